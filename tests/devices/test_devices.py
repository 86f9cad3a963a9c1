"""The kernels of the devices: all do what the plain ones do, and Numba can be absent."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.losses import REGRESSION_LOSSES, FocalLoss, LogLoss
from sklearn_mlp.devices import cpu, kernels_for, resolve_device

fused = pytest.importorskip("sklearn_mlp.devices.fused", reason="Numba is not installed")

ACCUMULATOR = object()  # among the arguments of a kernel: one of the device's own
PARAMETERS = {"huber_delta": 0.7, "quantile": 0.3, "tweedie_power": 1.3}
SHAPES = [(1, 1), (1, 5), (7, 1), (33, 10), (200, 100), (2111, 33)]  # the last in tiles of rows on a GPU


def _kernels():
    """(name, function from (rng, shape, dtype) to arguments) for each kernel; all arguments may be written to."""

    def scores(rng, shape, dtype):
        return (3 * rng.standard_normal(shape)).astype(dtype)

    def bias(rng, shape, dtype):
        return scores(rng, shape, dtype), scores(rng, shape[1], dtype)

    for activation in ACTIVATIONS.values():
        if activation.keeps_derivative:
            yield activation.forward.__name__, lambda *args: (*bias(*args), np.empty(args[1], args[2]))
        else:
            yield activation.forward.__name__, bias
            yield (
                activation.backward.__name__,
                lambda *args: (np.tanh(scores(*args)), scores(*args), np.empty(args[1][1], args[2])),
            )

    def positive(rng, shape, dtype):
        return np.abs(scores(rng, shape, dtype)) + dtype(0.1)

    for weighted in (False, True):

        def weights(rng, shape, dtype, weighted=weighted):
            weight = rng.integers(0, 3, shape[0]).astype(dtype) + dtype(0.1) if weighted else None
            return weight, 1 / (shape[0] if weight is None else float(weight.sum()))

        yield (
            "column_moments",
            lambda *args, w=weights: (scores(*args), *w(*args), np.empty((2, args[1][1]), args[2])),
        )
        yield (
            "batch_norm_backward",
            lambda rng, shape, dtype, w=weights: (
                scores(rng, shape, dtype),
                positive(rng, (2, shape[1]), dtype),
                scores(rng, shape[1], dtype),
                *w(rng, shape, dtype),
                scores(rng, shape, dtype),
                scores(rng, shape[1], dtype),
                np.empty(shape[1], dtype),
            ),
        )
    yield (
        "batch_norm",
        lambda rng, shape, dtype: (
            scores(rng, shape, dtype),
            positive(rng, (2, shape[1]), dtype),
            scores(rng, shape[1], dtype),
            np.empty(shape, dtype),
        ),
    )
    yield (
        "layer_norm",
        lambda rng, shape, dtype: (*bias(rng, shape, dtype), np.empty(shape, dtype), np.empty(shape[0], dtype)),
    )
    yield (
        "layer_norm_backward",
        lambda rng, shape, dtype: (
            scores(rng, shape, dtype),
            scores(rng, shape[0], dtype),
            scores(rng, shape[1], dtype),
            scores(rng, shape, dtype),
            np.empty(shape[1], dtype),
        ),
    )
    yield "dropout", lambda *args: (scores(*args), np.empty(args[1], args[2]), 0.3, (0x9E3779B9, 0xFFFFFFFF))
    yield "derivative_backward", lambda *args: (scores(*args), scores(*args), np.empty(args[1][1], args[2]))
    yield "column_sums", lambda rng, shape, dtype: (scores(rng, shape, dtype), np.empty(shape[1], dtype))
    for name in ("exp", "expit", "softmax"):
        yield name, bias
    losses = [
        loss() if loss.parameter is None else loss(PARAMETERS[loss.parameter]) for loss in REGRESSION_LOSSES.values()
    ]
    for link in ("softmax", "logistic"):
        losses += [LogLoss(link), LogLoss(link, smoothing=0.2), FocalLoss(link, gamma=1.5)]
    for loss in losses:
        for weighted in (False, True):

            def arguments(rng, shape, dtype, loss=loss, weighted=weighted):
                if loss.out_activation == "softmax":
                    y = rng.integers(shape[1], size=shape[0])
                elif getattr(loss, "name", None) == "log_loss":
                    y = rng.uniform(size=shape).astype(dtype)
                elif loss.out_activation == "logistic":
                    y = rng.integers(2, size=shape).astype(dtype)
                elif loss.domain.contains(-1):
                    y = rng.standard_normal(shape).astype(dtype)
                else:
                    y = rng.poisson(2, shape).astype(dtype) + dtype(not loss.domain.contains(0))
                weight = rng.uniform(0, 2, shape[0]).astype(dtype) if weighted else None
                more = loss.kernel_parameters(shape[1], dtype)
                return *bias(rng, shape, dtype), y, weight, 1 / shape[0], ACCUMULATOR, 3.0, *more

            yield loss.kernel.__name__, arguments

    def vectors(rng, shape, dtype, n):
        return [np.abs(scores(rng, shape, dtype)).ravel() for _ in range(n)]

    for nesterov in (False, True):
        yield (
            "sgd_step",
            lambda *args, nesterov=nesterov: (*vectors(*args, 3), 0.01, 0.9, nesterov, 1, 0.3, ACCUMULATOR, 3.0),
        )
        yield (
            "add_momentum",
            lambda *args, nesterov=nesterov: (*vectors(*args, 3), 0.9, nesterov, 0.3, ACCUMULATOR, 3.0),
        )
    yield "move_towards", lambda *args: (*vectors(*args, 2), 0.2)
    yield "normalise_vector", lambda *args: vectors(*args, 1)
    yield "axpby", lambda *args: (0.3, vectors(*args, 1)[0], -1.2, vectors(*args, 1)[0])
    yield "adam_step", lambda *args: (*vectors(*args, 4), 0.01, 0.9, 0.999, 1e-8, 1, 0.3, 0.2, ACCUMULATOR, 3.0)


@pytest.fixture(params=["plain", "fused", "cuda"])
def device(request):
    if request.param == "cuda":
        request.getfixturevalue("cupy")
        return resolve_device("cuda")
    return cpu.CPU() if request.param == "plain" else fused.FusedCPU()


# What a device does by itself; the other kernels of `FusedCPU` are those of `CPU`.
OWN_KERNELS = [
    (device, name, arguments)
    for name, arguments in _kernels()
    for device in ("fused", "cuda")
    if device == "cuda" or name in vars(fused.FusedCPU)
]


def _run(device, kernel, args):
    """The arrays that a kernel leaves behind, in main memory, the sum in its accumulator among them."""
    loss = device.accumulator()
    args = [
        loss if arg is ACCUMULATOR else device.to_device_copy(arg.copy()) if isinstance(arg, np.ndarray) else arg
        for arg in args
    ]
    getattr(device, kernel)(*args)
    return [
        np.float64(device.collect(loss)) if arg is loss else device.to_host(arg)
        for arg in args
        if hasattr(arg, "dtype")
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("device", "name", "arguments"), OWN_KERNELS, indirect=["device"])
def test_kernels_do_what_the_plain_ones_do(name, arguments, shape, dtype, device):
    args = arguments(np.random.default_rng(0), shape, dtype)
    eps = float(np.finfo(dtype).eps)
    results, references = _run(device, name, args), _run(cpu.CPU(), name, args)
    if "step" in name:
        del results[1], references[1]  # the gradient, of which nothing of use is left
    for array, expected in zip(results, references, strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_allclose(array, expected, rtol=100 * eps, atol=max(100, 3 * shape[0]) * eps)


@pytest.mark.parametrize("name", ["relu_backward", "column_sums", "column_moments", "layer_norm_backward"])
def test_sums_over_rows_have_the_same_bits_again(name, device):
    arguments = dict(_kernels())[name]
    first, again = (_run(device, name, arguments(np.random.default_rng(0), SHAPES[-1], np.float32)) for _ in range(2))
    for array, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(array, same)


def test_what_is_not_finite_is_not_hidden(device):
    Z, _ = _run(device, "relu", [np.array([[np.nan, np.inf, -np.inf, 1.0]]), np.zeros(4)])
    np.testing.assert_array_equal(Z, [[np.nan, np.inf, 0, 1]])
    for loss, y in (
        ("squared_error", np.zeros((1, 2))),
        ("poisson_deviance", np.ones((1, 2))),
        ("logistic_log_loss", np.ones((1, 2))),
        ("softmax_log_loss", np.array([0])),
    ):
        for scores in ([[np.nan, 1.0]], [[1.0, np.nan]]):
            with np.errstate(invalid="ignore"):
                *_, value = _run(device, loss, [np.array(scores), np.zeros(2), y, None, 1.0, ACCUMULATOR, 1.0])
            assert np.isnan(value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", [-1e3, 1e3])
def test_log_losses_of_extreme_scores_are_finite(device, score, dtype):
    eps = float(np.finfo(dtype).eps)
    with np.errstate(over="ignore"):
        for Z, y, loss in (
            (np.array([[score]], dtype), np.array([[1.0]], dtype), "logistic_log_loss"),
            (np.array([[score, 0.0]], dtype), np.array([0]), "softmax_log_loss"),
        ):
            b = np.zeros(Z.shape[1], dtype)
            dZ, *_, value = _run(device, loss, [Z, b, y, None, 1.0, ACCUMULATOR, 1.0])
            assert value == pytest.approx(0 if score > 0 else -np.log(eps), rel=1e-6, abs=2 * eps)
            assert np.isfinite(dZ).all()


def test_numba_is_not_imported_with_the_package():
    script = "import sys, sklearn_mlp; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("how", ["absent", "disabled"])
def test_plain_kernels_without_numba(how):
    hide = "sys.modules['numba'] = None" if how == "absent" else "os.environ['SKLEARN_MLP_NUMBA'] = '0'"
    script = f"""
import os, sys
{hide}
from sklearn_mlp import MLPRegressor
from sklearn_mlp.devices import kernels_for, resolve_device
assert type(kernels_for(resolve_device("cpu"), float("inf"))).__name__ == "CPU"
mlp = MLPRegressor(tol=1e3).partial_fit([[0.0], [1.0]], [0.0, 1.0])
mlp.predict([[0.5]] * 2000)
assert not sys.modules.get("numba")
"""
    subprocess.run([sys.executable, "-c", script], check=True)


SMALL_JOB = """
import sys, warnings
warnings.simplefilter("ignore")
from sklearn.datasets import load_iris
from sklearn_mlp import MLPClassifier
X, y = load_iris(return_X_y=True)
clf = MLPClassifier(max_iter=3, random_state=0).fit(X, y)
clf.predict(X)
"""


def test_small_jobs_do_not_load_numba():
    """They take less time than that; a stream of `partial_fit` is not small."""
    subprocess.run([sys.executable, "-c", SMALL_JOB + "assert 'numba' not in sys.modules"], check=True)
    script = SMALL_JOB + "clf.partial_fit(X, y); assert 'numba' in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_small_jobs_are_the_same_after_large_ones():
    """The kernels depend only on the job, not on what the process has loaded."""
    large = "MLPClassifier(max_iter=1).fit(X.repeat(20, axis=0), y.repeat(20)); assert 'numba' in sys.modules\n"
    end = "print(clf.coefs_[0].tobytes().hex(), clf.predict_proba(X).tobytes().hex())"
    first, clf, rest = SMALL_JOB.partition("clf = ")
    alone, after = (
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
        for script in (SMALL_JOB + end, first + large + clf + rest + end)
    )
    assert alone == after


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("mlp", [MLPClassifier, MLPRegressor])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_both_kinds_of_kernels_train_the_same_model(mlp, solver, monkeypatch):
    X, y = load_iris(return_X_y=True)
    models = []
    for small_pass in (0, np.inf):
        monkeypatch.setattr("sklearn_mlp.devices.SMALL_PASS", small_pass)
        models.append(mlp(solver=solver, max_iter=20, random_state=0).fit(X, y))
    for one, other in zip(*(model.coefs_ for model in models), strict=True):
        assert not np.array_equal(one, other)
        assert_allclose(one, other, rtol=0, atol=1e-12 if solver != "lbfgs" else 1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_counts_as_small(monkeypatch, kernels_of_any_job):
    """By rows, units and steps of an epoch; the number of epochs does not count."""
    chosen = []

    def recorded(device, n_numbers):
        chosen.append(type(kernels_for(device, n_numbers)))
        return kernels_for(device, n_numbers)

    monkeypatch.setattr("sklearn_mlp._fit.kernels_for", recorded)

    def kernels(n_rows, **params):
        X, y = np.eye(n_rows, 10), np.arange(n_rows) % 3
        MLPClassifier(tol=10, n_iter_no_change=1, **params).fit(X, y)
        return chosen.pop()

    assert kernels(400) is kernels(400, max_iter=10_000) is cpu.CPU
    assert kernels(2000) is kernels(400, hidden_layer_sizes=(3000,)) is fused.FusedCPU
    assert kernels(400, batch_size=10) is kernels(2000, solver="lbfgs", max_iter=1) is fused.FusedCPU


def test_the_device_is_resolved_once():
    assert resolve_device("cpu") is resolve_device("auto")
