"""Every kernel of the GPU, as it is called, through CuPy's code generator and NVIDIA's compiler; no GPU is needed.

`make cuda-check` installs what this takes.
"""

import importlib.util
import json
import re
import subprocess
import sys
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

import sklearn_mlp
from sklearn_mlp import MLPClassifier, MLPRegressor, TabularMLPRegressor
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.losses import REGRESSION_LOSSES
from sklearn_mlp.core.optimizers import SOLVERS

for package in ("cupy", "nvidia.cuda_nvrtc", "nvidia.cuda_runtime"):
    try:
        found = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{package} is not installed: make cuda-check", allow_module_level=True)

SOURCE = Path(sklearn_mlp.__file__).parent / "devices" / "cuda" / "kernels.py"
KERNELS = re.findall(r"^(\w+) = (?:_\w+|cupy\.\w+Kernel)\(", SOURCE.read_text(), re.MULTILINE)

# Operations in double precision, which most GPUs do 32 to 64 times as slowly, in the kernels for float32: those that
# add up the loss, and the logarithm in the denominator of the softmax.
DOUBLES = {name: 2 for name in KERNELS if name.endswith("_step")}
DOUBLES |= {"add_momentum": 2, "softmax": 1, "log_sum_exp": 32}
DOUBLES |= {loss.kernel.__name__: 8 for loss in REGRESSION_LOSSES.values()}
DOUBLES |= {"poisson_deviance": 4, "logistic_log_loss": 8, "softmax_log_loss": 11}
DOUBLES |= {"smooth_softmax_log_loss": 13, "smooth_logistic_log_loss": 16, "class_log_probability": 1}
DOUBLES |= {"softmax_focal_loss": 14, "logistic_focal_loss": 12}


def ask(what, request):
    program = Path(__file__).parents[1] / "real_cupy.py"
    answer = subprocess.run([sys.executable, program, what], input=json.dumps(request), capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def calls(cupy, monkeypatch):
    """Every call of a kernel in fits and predictions that need them all."""
    monkeypatch.setattr(cupy.cuda, "calls", [])
    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((30, 4)), np.arange(30) % 3
    common = {"device": "cuda", "hidden_layer_sizes": (3,), "max_iter": 1, "batch_size": 7}
    for dtype in ("float32", "float64"):
        for activation in ACTIVATIONS:
            for inputs in (X, csr_array(X), (10 * X).astype(np.int8)):
                MLPClassifier(**common, activation=activation, dtype=dtype).fit(inputs, labels).predict(inputs)
        MLPClassifier(**common, dtype=dtype, max_grad_norm=1.0, dropout=0.5, ema_decay=0.9).fit(X, labels)
        for solver in SOLVERS:
            MLPClassifier(**{**common, "hidden_layer_sizes": (3, 4, 3)}, dtype=dtype, solver=solver).fit(X, labels)
        for normalization in ("batch", "layer"):
            model = MLPClassifier(**common, dtype=dtype, normalization=normalization)
            model.fit(X, labels, sample_weight=labels + 1).fit(X, labels).predict(X)
        MLPClassifier(**common, dtype=dtype, solver="sgd").fit(X, labels > 1, sample_weight=labels + 1).predict(X)
        for params in ({"loss": "focal"}, {"label_smoothing": 0.1}):
            for y in (labels, labels > 1):
                MLPClassifier(**common, dtype=dtype, **params).fit(X, y)
        for loss in REGRESSION_LOSSES:
            MLPRegressor(**common, dtype=dtype, loss=loss).fit(X, (labels + 1) / 3).predict(X)
    for batch_size in (7, 30):  # in float32, and as a single batch in float64
        TabularMLPRegressor(device="cuda", hidden_layer_sizes=(3,), max_iter=1, batch_size=batch_size).fit(X, X[:, 0])
    for normalization in (None, "batch", "layer"):  # rows in tiles
        for dtype in ("float32", "float64"):
            model = MLPClassifier((32,), normalization=normalization, dtype=dtype, device="cuda", max_iter=1)
            model.set_params(batch_size=2100).fit(np.tile(X, (70, 1)), np.tile(labels, 70), np.ones(2100))
    unique = {json.dumps(call): call for call in cupy.cuda.calls}
    return list(unique.values())


def faults(name, dtype, programs):
    """What is wrong with the programs of a kernel for one architecture."""
    yield from (program["error"] for program in programs if "error" in program)
    of_dtype = [program for program in programs if dtype in program.get("precisions", ())]
    if not of_dtype:
        yield "no program in this precision"
    if any(program["size"] <= 1000 for program in of_dtype):
        yield "hardly any machine code"
    doubles = max((program["doubles"] for program in of_dtype), default=0)
    if dtype == "float32" and doubles > DOUBLES.get(name, 0):
        yield f"{doubles} operations in double precision"


@pytest.mark.slow
def test_kernels_compile(cupy, monkeypatch):
    """All in one test, as the compiler runs for all of them."""
    with warnings.catch_warnings(action="ignore"):
        compiled = ask("compile", calls(cupy, monkeypatch))
    found = {}
    for name, dtype, architecture in product(KERNELS, ("float32", "float64"), ("sm_75", "sm_80", "sm_90")):
        programs = [p for p in compiled if p["name"] == f"mlp_{name}" and p["architecture"] == architecture]
        found[name, dtype, architecture] = list(faults(name, dtype, programs))
    assert not {case: of_case for case, of_case in found.items() if of_case}


def test_all_kernels_are_listed(cupy):
    from sklearn_mlp.devices.cuda import kernels

    assert {f"mlp_{name}" for name in KERNELS} == {k.name for k in vars(kernels).values() if hasattr(k, "preamble")}


def test_cupy_has_what_the_stand_in_has(cupy):
    import cupyx.scipy.sparse
    from cupy import _kernels, cuda

    assert ask("names", {"cupy": {"nonsense": None}, "cupy.ndarray": {"set": ["nonsense"]}}) == [
        "cupy.nonsense",
        "cupy.ndarray.set(nonsense=)",
    ]
    names = {"cupy": cupy, "cupy.ndarray": cupy.ndarray, "cupy.cuda": cuda, "cupyx": cupyx}
    names |= {f"cupy.{kernel}": getattr(_kernels, kernel) for kernel in ("ElementwiseKernel", "ReductionKernel")}
    names |= {f"cupy.cuda.{name}": getattr(cuda, name) for name in ("Device", "Event", "Stream", "memory")}
    names |= {"cupy.cuda.runtime": cuda.Runtime, "cupy.cuda.MemoryPool": cuda.Pool}
    names |= {"cupyx.scipy.sparse": cupyx.scipy.sparse, "cupyx.scipy.sparse.csr_matrix": cupyx.scipy.sparse.csr_matrix}
    own = cuda.OWN | {"cuda"}
    request = {}
    for path, thing in names.items():
        members = {n: m for n, m in vars(thing).items() if not n.startswith("_") and n not in own and not _module(m)}
        request[path] = {n: _parameters(member) for n, member in members.items()}
        if isinstance(thing, type):
            request[path]["__init__"] = None
    assert ask("names", request) == []


def _module(member):
    return type(member).__name__ == "module"


def _parameters(function):
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    return [n for n in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if n not in ("self", "f")]
