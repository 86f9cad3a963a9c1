"""The direction of the arrows: what each part of the package may import from the others, and from outside."""

import ast
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest
import sklearn

import sklearn_mlp
from sklearn_mlp import MLPClassifier, MLPRegressor

PACKAGE = Path(sklearn_mlp.__file__).parent
MAY_IMPORT = {
    "__init__": {"_version", "classifier", "regressor", "tabular"},
    "tabular": {
        "_base",
        "_blocks",
        "_checks",
        "_columns",
        "_docstrings",
        "_ensemble",
        "_fit",
        "_parameters",
        "_tabular_blocks",
        "_tabular_fit",
        "_tasks",
        "classifier",
        "core.losses",
        "devices",
        "devices.encoded",
        "encoders",
        "regressor",
    },
    "_tabular_blocks": {
        "_blocks",
        "_ensemble",
        "_tabular_fit",
        "_validation_set",
        "core.batches",
        "core.blocks",
        "devices.encoded",
    },
    "_tabular_fit": {
        "_blocks",
        "_checks",
        "_columns",
        "_ensemble",
        "_fit",
        "_survey",
        "_training_set",
        "_validation_set",
        "devices.encoded",
        "encoders",
    },
    "_ensemble": {"_caller", "_fit", "_model", "_tasks", "devices.blas"},
    "classifier": {
        "_base",
        "_checks",
        "_docstrings",
        "_fit",
        "_labels",
        "_parameters",
        "_plan",
        "_task",
        "_training_set",
    },
    "regressor": {"_base", "_docstrings", "_fit", "_parameters", "_plan", "_task", "_training_set", "core.losses"},
    "_docstrings": set(),
    "_parameters": {"_checks", "core.activations", "core.optimizers"},
    "_base": {"_blocks", "_checks", "_fit", "_model", "_parameters", "_tasks", "_version", "devices"},
    "_fit": {
        "_blocks",
        "_caller",
        "_checkpoint",
        "_checks",
        "_history",
        "_model",
        "_plan",
        "_scales",
        "_training_set",
        "_validation_set",
        "core",
        "devices",
        "devices.encoded",
    },
    "_training_set": {"_checks", "_validation_set", "core.batches", "core.lbfgs", "core.training"},
    "_blocks": {
        "_checks",
        "_survey",
        "_training_set",
        "_validation_set",
        "core.batches",
        "core.blocks",
        "core.training",
        "devices",
        "devices.blas",
    },
    "_survey": set(),
    "_plan": {"_caller", "_checks", "core"},
    "_model": {"_checks", "_task", "core", "devices", "devices.encoded"},
    "_task": {"_caller", "_checks", "_labels"},
    "_labels": {"_checks"},
    "_history": set(),
    "_validation_set": {"_caller", "_checks"},
    "_checks": {"_caller", "core.activations"},
    "_scales": {"_caller", "_checks"},
    "_caller": set(),
    "_checkpoint": {"_checks"},
    "_tasks": set(),
    "dask": {
        "_base",
        "_cluster",
        "_docstrings",
        "_parameters",
        "classifier",
        "devices",
        "regressor",
        "tabular",
    },
    "_cluster": {
        "_blocks",
        "_caller",
        "_checks",
        "_fit",
        "_plan",
        "_rounds",
        "_scales",
        "_survey",
        "_tabular_blocks",
        "_tabular_fit",
        "_validation_set",
        "core.batches",
        "core.training",
        "devices",
        "devices.encoded",
    },
    "_rounds": {
        "_caller",
        "_checks",
        "_fit",
        "_plan",
        "_survey",
        "core",
        "devices",
        "devices.blas",
        "devices.encoded",
    },
    "blocks": {"_checks"},
    "callbacks": {"_caller", "_checkpoint"},
    "encoders": {"_checks", "_columns", "_docstrings", "_interactions", "devices.cpu", "devices.encoded"},
    "_columns": {"_checks"},
    "_interactions": set(),
    "export": {"_onnx", "tabular"},
    "plotting": set(),
    "_onnx": {"_onnx_tabular", "classifier", "devices.cpu", "regressor", "tabular"},
    "_onnx_tabular": {"_columns", "_interactions", "encoders"},
    "_version": set(),
    "core": set(),
    "core.activations": {"devices"},
    "core.losses": {"core.activations", "devices"},
    "core.parameters": set(),
    "core.schedules": set(),
    "core.dense": {"devices"},
    "core.batches": {"devices"},
    "core.blocks": {"core.batches", "devices"},
    "core.optimizers": {"core.parameters", "devices"},
    "core.normalization": {"core.batches", "devices"},
    "core.layers": {
        "core.activations",
        "core.batches",
        "core.dense",
        "core.normalization",
        "core.parameters",
        "devices",
    },
    "core.network": {"core.batches", "core.layers", "core.normalization", "core.parameters", "devices"},
    "core.objective": {
        "core.batches",
        "core.layers",
        "core.losses",
        "core.network",
        "core.parameters",
        "devices",
    },
    "core.training": {
        "core.batches",
        "core.blocks",
        "core.layers",
        "core.losses",
        "core.objective",
        "core.optimizers",
        "core.parameters",
        "core.schedules",
        "devices",
    },
    "core.lbfgs": {"core.batches", "core.blocks", "core.objective", "core.training"},
    "devices": {"devices.blas", "devices.cpu", "devices.cuda", "devices.fused", "devices.jit", "devices.protocol"},
    "devices.protocol": set(),
    "devices.blas": set(),
    "devices.cpu": {"devices.encoded", "devices.rows"},
    "devices.encoded": set(),
    "devices.rows": set(),
    "devices.fused": {"devices.cpu", "devices.encoded", "devices.jit"},
    "devices.jit": set(),
    "devices.cuda": {"devices.cuda.kernels", "devices.cuda.rows", "devices.protocol"},
    "devices.cuda.kernels": {"devices.cpu"},
    "devices.cuda.rows": {"devices.cuda.kernels", "devices.encoded", "devices.rows"},
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


def test_only_the_plan_reads_parameters():
    """Below the estimators; `_checkpoint` compares all of them, by `get_params`."""
    parameters = {*MLPClassifier._parameter_constraints, *MLPRegressor._parameter_constraints}
    for name in ("_fit", "_task", "_model", "_history", "_validation_set", "_tasks", "_checkpoint"):
        tree = ast.parse((PACKAGE / f"{name}.py").read_text())
        read = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("mlp", "self.mlp", "estimator")
        }
        # The task of the callbacks has as many subtasks as there are epochs.
        assert not read & parameters - ({"max_iter"} if name == "_tasks" else set())


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=_name)
def test_imports(path):
    name = _name(path)
    imports = set(_imports(path))
    within = {imported.removeprefix("sklearn_mlp.") for imported in imports if imported.startswith("sklearn_mlp.")}
    allowed = MAY_IMPORT[name]
    assert all(imported in allowed or imported.split(".")[0] in allowed for imported in within)
    outside = {imported.split(".")[0] for imported in imports}
    assert not outside & {"llvmlite", "numba"} or name == "devices.jit"
    assert not outside & {"cupy", "cupyx"} or name.startswith("devices.cuda")
    if name.startswith(("core", "devices")):
        assert not any(imported.split(".")[0] == "sklearn" for imported in imports)


def test_submodules_are_imported_when_they_are_first_used():
    script = "import sklearn_mlp, sys; assert 'sklearn_mlp.export' not in sys.modules; sklearn_mlp.export.to_torch"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert set(dir(sklearn_mlp)) >= {"callbacks", "dask", "MLPClassifier"}
    with pytest.raises(AttributeError, match="no attribute 'callback'"):
        attrgetter("callback")(sklearn_mlp)


def test_an_import_that_fails_for_the_version_of_scikit_learn_says_so():
    script = "import sklearn.callback; del sklearn.callback.CallbackSupportMixin; import sklearn_mlp"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    *_, error, note = run.stderr.splitlines()
    assert error.startswith("ImportError: cannot import name 'CallbackSupportMixin'")
    assert f"this is scikit-learn {sklearn.__version__}. Upgrade sklearn_mlp, or install" in note
