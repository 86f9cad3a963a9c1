"""The direction of the arrows: what each part of the package may import from the others, and from outside."""

import ast
from pathlib import Path

import pytest

import sklearn_mlp

PACKAGE = Path(sklearn_mlp.__file__).parent
MAY_IMPORT = {
    "__init__": {"_version", "classifier", "regressor"},
    "classifier": {"_base", "_validation"},
    "regressor": {"_base", "_validation", "core.losses"},
    "_base": {"_checkpoint", "_scoring", "_solvers", "_tasks", "_validation", "_version", "core", "devices"},
    "_checkpoint": {"_validation"},
    "_tasks": set(),
    "callbacks": {"_checkpoint", "_validation"},
    "export": {"_onnx"},
    "plotting": set(),
    "_onnx": {"classifier", "devices.cpu", "regressor"},
    "_solvers": {"_scoring", "_validation", "core"},
    "_scoring": {"_validation", "core.batches"},
    "_validation": {"core.activations", "core.parameters"},
    "_version": set(),
    "core": set(),
    "core.activations": set(),
    "core.losses": set(),
    "core.parameters": set(),
    "core.schedules": set(),
    "core.dense": {"devices"},
    "core.batches": {"devices"},
    "core.optimizers": {"core.parameters", "devices"},
    "core.normalization": {"devices"},
    "core.network": {
        "core.activations",
        "core.batches",
        "core.dense",
        "core.normalization",
        "core.parameters",
        "devices",
    },
    "core.training": {
        "core.activations",
        "core.batches",
        "core.losses",
        "core.network",
        "core.optimizers",
        "core.parameters",
        "core.schedules",
        "devices",
    },
    "core.lbfgs": {"core.batches", "core.training"},
    "devices": {"devices.cpu", "devices.cuda", "devices.fused"},
    "devices.cpu": {"devices.rows"},
    "devices.rows": set(),
    "devices.fused": {"devices.cpu"},
    "devices.cuda": {"devices.cuda.kernels", "devices.cuda.rows"},
    "devices.cuda.kernels": {"devices.cpu"},
    "devices.cuda.rows": {"devices.cuda.kernels", "devices.rows"},
}


def _name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from package import module` names the module; `from module import name` does not.
            folder = PACKAGE.parent.joinpath(*node.module.split("."))
            yield from (
                f"{node.module}.{alias.name}" if (folder / f"{alias.name}.py").exists() else node.module
                for alias in node.names
            )


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=_name)
def test_imports(path):
    name = _name(path)
    imports = set(_imports(path))
    within = {imported.removeprefix("sklearn_mlp.") for imported in imports if imported.startswith("sklearn_mlp.")}
    allowed = MAY_IMPORT[name]
    assert all(imported in allowed or imported.split(".")[0] in allowed for imported in within)
    outside = {imported.split(".")[0] for imported in imports}
    assert "numba" not in outside or name == "devices.fused"
    assert not outside & {"cupy", "cupyx"} or name.startswith("devices.cuda")
    if name.startswith(("core", "devices")):
        assert not any(imported.split(".")[0] == "sklearn" for imported in imports)
