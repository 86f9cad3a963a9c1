"""The kernels of a device: the fused ones do what the plain ones do, and Numba can be absent."""

import subprocess
import sys

import numpy as np
import pytest

from sklearn_mlp.devices import cpu, resolve_device

fused = pytest.importorskip("sklearn_mlp.devices.fused", reason="Numba is not installed")

SHAPES = [(1, 1), (1, 5), (7, 1), (33, 10), (200, 100)]


def _kernels():
    """(name, function from (rng, shape, dtype) to arguments) for each kernel; all arguments may be written to."""

    def scores(rng, shape, dtype):
        return (3 * rng.standard_normal(shape)).astype(dtype)

    def bias(rng, shape, dtype):
        return scores(rng, shape, dtype), scores(rng, shape[1], dtype)

    for name in ("identity", "relu", "logistic", "tanh"):
        yield name, bias
        yield (
            f"{name}_backward",
            lambda *args: (scores(*args), scores(*args), np.empty(args[1][1], args[2])),
        )
    yield "column_sums", lambda rng, shape, dtype: (scores(rng, shape, dtype), np.empty(shape[1], dtype))
    for name in ("exp", "expit", "softmax"):
        yield name, bias
    targets = {
        "squared_error": lambda rng, shape, dtype: rng.standard_normal(shape).astype(dtype),
        "poisson_deviance": lambda rng, shape, dtype: rng.poisson(2, shape).astype(dtype),
        "softmax_log_loss": lambda rng, shape, dtype: rng.integers(shape[1], size=shape[0]),
        "logistic_log_loss": lambda rng, shape, dtype: rng.integers(2, size=shape).astype(dtype),
    }
    for name, target in targets.items():
        for weighted in (False, True):

            def arguments(rng, shape, dtype, target=target, weighted=weighted):
                weight = rng.uniform(0, 2, shape[0]).astype(dtype) if weighted else None
                return *bias(rng, shape, dtype), target(rng, shape, dtype), weight, 1 / shape[0], np.ones(1), 3.0

            yield name, arguments

    def vectors(rng, shape, dtype, n):
        return [np.abs(scores(rng, shape, dtype)).ravel() for _ in range(n)]

    for nesterov in (False, True):
        yield (
            "sgd_step",
            lambda *args, nesterov=nesterov: (*vectors(*args, 3), 0.01, 0.9, nesterov, 1, 0.3, np.ones(1), 3.0),
        )
    yield "adam_step", lambda *args: (*vectors(*args, 4), 0.01, 0.9, 0.999, 1e-8, 1, 0.3, np.ones(1), 3.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "arguments"), list(_kernels()))
def test_fused_kernels_do_what_the_plain_ones_do(name, arguments, shape, dtype):
    results = []
    for device in (cpu.CPU(), fused.FusedCPU()):
        args = arguments(np.random.default_rng(0), shape, dtype)
        getattr(device, name)(*args)
        # The optimizer steps leave nothing of use in the gradient.
        written = [
            array for i, array in enumerate(args) if isinstance(array, np.ndarray) and not ("step" in name and i == 1)
        ]
        results.append(written)
    rtol = 100 * float(np.finfo(dtype).eps)
    for expected, array in zip(*results, strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_allclose(array, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("device", [cpu.CPU(), fused.FusedCPU()], ids=["plain", "fused"])
def test_what_is_not_finite_is_not_hidden(device):
    Z = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    device.relu(Z, np.zeros(4))
    np.testing.assert_array_equal(Z, [[np.nan, np.inf, 0, 1]])
    for loss, y in (("squared_error", np.zeros((1, 2))), ("softmax_log_loss", np.array([0]))):
        with np.errstate(invalid="ignore"):
            total = device.accumulator()
            getattr(device, loss)(np.array([[np.nan, 1.0]]), np.zeros(2), y, None, 1.0, total, 1.0)
            assert np.isnan(device.collect(total))


@pytest.mark.parametrize("device", [cpu.CPU(), fused.FusedCPU()], ids=["plain", "fused"])
@pytest.mark.parametrize("score", [-1e3, 1e3])
def test_log_losses_of_extreme_scores_are_finite(device, score):
    with np.errstate(over="ignore"):
        for Z, y, loss in (
            (np.array([[score]]), np.array([[1.0]]), "logistic_log_loss"),
            (np.array([[score, 0.0]]), np.array([0]), "softmax_log_loss"),
        ):
            total = device.accumulator()
            getattr(device, loss)(Z, np.zeros(Z.shape[1]), y, None, 1.0, total, 1.0)
            value = device.collect(total)
            assert value == pytest.approx(0 if score > 0 else -np.log(np.finfo(float).eps), abs=1e-12)
            assert np.isfinite(Z).all()


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
from sklearn_mlp.devices import resolve_device
assert type(resolve_device("cpu")).__name__ == "CPU"
MLPRegressor(tol=1e3).fit([[0.0], [1.0]], [0.0, 1.0]).predict([[0.5]])
assert not sys.modules.get("numba")
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_device_is_resolved_once():
    assert resolve_device("cpu") is resolve_device("auto")
