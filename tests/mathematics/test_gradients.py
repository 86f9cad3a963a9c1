"""The gradient of the objective against central differences along random directions, in float64."""

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sklearn_mlp import MLPRegressor
from sklearn_mlp._plan import make_plan
from sklearn_mlp._task import Real
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.layers import declare_slots, mlp_blocks
from sklearn_mlp.core.lbfgs import mean_loss, minimize_lbfgs
from sklearn_mlp.core.losses import REGRESSION_LOSSES, FocalLoss, LogLoss
from sklearn_mlp.core.objective import Objective
from sklearn_mlp.core.optimizers import SGD, Adam
from sklearn_mlp.core.parameters import draw
from sklearn_mlp.core.training import Data

pytestmark = pytest.mark.usefixtures("each_device")

N_ROWS, N_FEATURES, N_OUTPUTS = 12, 5, 3

PARAMETERS = {"huber_delta": 0.7, "quantile": (0.1, 0.5, 0.8), "tweedie_power": 1.3}
LOSSES = {
    name: loss() if loss.parameter is None else loss(PARAMETERS[loss.parameter])
    for name, loss in REGRESSION_LOSSES.items()
}
for link in ("softmax", "logistic"):
    LOSSES |= {f"{link}_log_loss": LogLoss(link), f"smooth_{link}_log_loss": LogLoss(link, smoothing=0.2)}
    LOSSES |= {f"{link}_focal_loss": FocalLoss(link, gamma=1.5)}


def _target(loss_name, rng):
    if "softmax" in loss_name:
        return rng.randint(N_OUTPUTS, size=N_ROWS)
    if "logistic" in loss_name:
        return rng.randint(2, size=(N_ROWS, N_OUTPUTS)).astype(float)
    domain = LOSSES[loss_name].domain
    if not domain.contains(2):
        return rng.uniform(size=(N_ROWS, N_OUTPUTS))
    if domain.contains(-1):
        return rng.standard_normal((N_ROWS, N_OUTPUTS))
    return rng.poisson(2.0, size=(N_ROWS, N_OUTPUTS)) + float(not domain.contains(0))


def _blocks(hidden_layer_sizes, activation="relu", **params):
    return mlp_blocks(hidden_layer_sizes, [activation] * len(hidden_layer_sizes), N_OUTPUTS, **params)


def _draw(blocks, rng):
    theta = draw(declare_slots(blocks, N_FEATURES), rng, np.float64)
    for scales in (*theta.gamma, *theta.b):
        scales += 0.3 * rng.standard_normal(scales.shape)
    return theta


def _objective(device, blocks, theta, loss_name, alpha=0.0):
    on_device = theta.like(device.to_device_copy(theta.vector))
    return Objective(device, on_device, blocks, LOSSES[loss_name], alpha, seed=7)


def _evaluate(objective, X, y, sample_weight, scale, at):
    """The loss of all rows at `at`, and its gradient."""
    device = objective.device
    device.write(at, out=objective.theta.trainable)
    objective.network.n_training_passes = 3  # dropout drops the same each time
    (batch,) = Batches(
        device, device.prepare_rows(X, at.dtype, True), y, sample_weight, dtype=at.dtype, batch_size=len(y)
    )
    objective.backpropagate(*batch[:3], scale)
    return device.collect(objective.loss), device.to_host(objective.grad.trainable).copy()


def _check_along_random_directions(objective, X, y, sample_weight, here, loss_name, rng):
    scale = 1 / (N_ROWS if sample_weight is None else sample_weight.sum())

    def evaluate(at):
        loss, gradient = _evaluate(objective, X, y, sample_weight, scale, at)
        # The squared error is reported as a mean over the outputs, and differentiated as a sum over them.
        return loss * (N_OUTPUTS if loss_name == "squared_error" else 1), gradient

    _, gradient = evaluate(here)
    for _ in range(3):
        direction = rng.standard_normal(here.size)
        direction /= np.linalg.norm(direction)
        # A short step, so that hardly ever a ReLU changes side on it; the difference is exact to 1e-10 or so.
        h = 1e-6
        difference = (evaluate(here + h * direction)[0] - evaluate(here - h * direction)[0]) / (2 * h)
        assert difference == pytest.approx(gradient @ direction, rel=1e-5, abs=1e-8)


WAYS = [(depth, weighted, sparse) for depth in range(4) for weighted in (False, True) for sparse in (False, True)]
# One activation's derivative is read off its output, the other's is kept; one loss takes classes, the other columns.
CASES = [
    *((activation, loss_name, 2, True, False) for activation in ACTIVATIONS for loss_name in LOSSES),
    *(("tanh", "softmax_log_loss", *way) for way in WAYS),
    *(("gelu", "squared_error", *way) for way in WAYS),
]


@pytest.mark.parametrize(("activation", "loss_name", "depth", "weighted", "sparse"), dict.fromkeys(CASES))
def test_gradient_along_random_directions(activation, loss_name, depth, weighted, sparse, each_device):
    rng = np.random.RandomState(depth)
    X = rng.standard_normal((N_ROWS, N_FEATURES)) * (rng.uniform(size=(N_ROWS, N_FEATURES)) < 0.7)
    y = _target(loss_name, rng)
    sample_weight = rng.uniform(0.1, 2, size=N_ROWS) if weighted else None
    blocks = _blocks([7, 6, 4][:depth], activation)
    theta = _draw(blocks, rng)
    objective = _objective(each_device, blocks, theta, loss_name)
    X = csr_array(X) if sparse else X
    _check_along_random_directions(objective, X, y, sample_weight, theta.vector.copy(), loss_name, rng)


WEIGHTINGS = {
    "unweighted": lambda rng: None,
    "weighted": lambda rng: rng.uniform(0.1, 2, size=N_ROWS),
    "with zeros": lambda rng: rng.randint(0, 3, size=N_ROWS).astype(float),
}
CROSS = list(product(ACTIVATIONS, (None, "batch", "layer"), ((), (0.4, 0.0)), LOSSES, WEIGHTINGS))


def _check_combination(device, activation, normalization, dropout, loss_name, weighting, seed=0):
    rng = np.random.RandomState(seed)
    X, y = rng.standard_normal((N_ROWS, N_FEATURES)), _target(loss_name, rng)
    blocks = _blocks([6, 4], activation, normalization=normalization, dropout=dropout)
    theta = _draw(blocks, rng)
    objective = _objective(device, blocks, theta, loss_name)
    here = theta.trainable.copy()
    _check_along_random_directions(objective, X, y, WEIGHTINGS[weighting](rng), here, loss_name, rng)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(combination=st.sampled_from(CROSS), seed=st.integers(0, 50))
def test_gradient_of_combinations(combination, seed, each_device):
    _check_combination(each_device, *combination, seed)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("each_device", ["cpu"], indirect=True)
def test_gradient_of_every_combination(activation, each_device):
    for combination in CROSS:
        if combination[0] == activation:
            _check_combination(each_device, *combination)


@pytest.mark.parametrize("loss_name", LOSSES)
def test_batches_add_up(loss_name, each_device):
    """The gradient of a batch is the sum of the gradients of its rows."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((N_ROWS, N_FEATURES)), _target(loss_name, rng)
    blocks = _blocks([4], "tanh")
    theta = _draw(blocks, rng)
    objective = _objective(each_device, blocks, theta, loss_name)

    def evaluate(rows):
        loss, gradient = _evaluate(objective, X[rows], y[rows], None, 1.0, theta.vector)
        return np.append(gradient, loss)

    whole = evaluate(slice(None))
    np.testing.assert_allclose(sum(evaluate(slice(i, i + 1)) for i in range(N_ROWS)), whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lbfgs"])
def test_gradient_of_the_penalty(optimizer, each_device):
    """A step on the penalty alone, |W|^2 alpha / 2 over the rows, shrinks every weight and no bias."""
    rng = np.random.RandomState(0)
    device = each_device
    blocks = _blocks([4])
    theta = _draw(blocks, rng)
    before = theta.vector.copy()
    theta.vector[theta.weights.size :] = before[theta.weights.size :] = 0 if optimizer == "lbfgs" else 1
    theta = theta.like(device.to_device_copy(theta.vector))
    n_weights = theta.weights.size
    loss = device.accumulator()
    grad = device.zeros(before.shape, before.dtype)
    if optimizer == "sgd":
        SGD(device, theta, momentum=0.0, nesterov=False).step(grad, 0.5, 0.1, loss, share=4)
        after = before[:n_weights] * (1 - 0.5 * 0.1)
    elif optimizer == "adam":
        Adam(device, theta, beta_1=0.9, beta_2=0.999, epsilon=1e-12).step(grad, 0.01, 0.1, loss, share=4)
        after = before[:n_weights] - 0.01 * np.sign(before[:n_weights])
    else:
        loss = LOSSES["squared_error"]
        objective = Objective(device, theta, blocks, loss, alpha=3.0)
        X, y = np.zeros((5, N_FEATURES)), np.zeros((5, N_OUTPUTS))
        data = Data(device.prepare_rows(X, np.float64, False), y, None)
        mlp = MLPRegressor(solver="lbfgs", alpha=3.0, tol=1e-8, max_iter=50, max_fun=50)
        plan = make_plan(mlp, device, np.dtype(float), Real(N_OUTPUTS, "identity"), loss, incremental=False)
        losses = []
        minimize_lbfgs(plan, mean_loss(plan, data, 5, objective), 5, objective, losses.append)
        np.testing.assert_allclose(device.to_host(theta.vector), 0, atol=1e-7)
        assert losses[-1] < 1e-12
        return
    assert device.collect(loss) == pytest.approx(4 * 0.1 / 2 * before[:n_weights] @ before[:n_weights])
    assert device.collect(loss) == 0
    np.testing.assert_allclose(device.to_host(theta.vector), np.append(after, before[n_weights:]))
