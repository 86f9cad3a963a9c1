"""The gradient of the objective against central differences along random directions, in float64."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.losses import LOSSES
from sklearn_mlp.core.parameters import draw
from sklearn_mlp.core.training import Objective
from sklearn_mlp.devices import resolve_device

N_ROWS, N_FEATURES, N_OUTPUTS = 12, 5, 3


def _target(loss_name, rng):
    if loss_name == "softmax_log_loss":
        return rng.randint(N_OUTPUTS, size=N_ROWS)
    if loss_name == "logistic_log_loss":
        return rng.randint(2, size=(N_ROWS, N_OUTPUTS)).astype(float)
    if loss_name == "poisson":
        return rng.poisson(2.0, size=(N_ROWS, N_OUTPUTS)).astype(float)
    return rng.standard_normal((N_ROWS, N_OUTPUTS))


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_along_random_directions(activation, loss_name, depth, weighted, sparse):
    rng = np.random.RandomState(depth)
    X = rng.standard_normal((N_ROWS, N_FEATURES)) * (rng.uniform(size=(N_ROWS, N_FEATURES)) < 0.7)
    y = _target(loss_name, rng)
    sample_weight = rng.uniform(0.1, 2, size=N_ROWS) if weighted else None
    theta = draw([N_FEATURES, *[7, 6, 4][:depth], N_OUTPUTS], 6.0, rng, np.float64)
    objective = Objective(resolve_device("cpu"), theta, activation, LOSSES[loss_name], alpha=0.3)
    scale = 1 / (N_ROWS if sample_weight is None else sample_weight.sum())
    here = theta.vector.copy()

    def evaluate(at):
        theta.vector[...] = at
        data = objective.backpropagate(csr_array(X) if sparse else X, y, sample_weight, scale)
        gradient_of_data = objective.grad.vector.copy()
        penalty = objective.add_penalty(scale)
        # The squared error is reported as a mean over the outputs, and differentiated as a sum over them.
        factor = N_OUTPUTS if loss_name == "squared_error" else 1
        return factor * data + penalty, objective.grad.vector.copy(), gradient_of_data

    _, gradient, gradient_of_data = evaluate(here)
    assert np.abs(gradient - gradient_of_data).max() > 0
    for _ in range(3):
        direction = rng.standard_normal(here.size)
        direction /= np.linalg.norm(direction)
        # A short step, so that hardly ever a ReLU changes side on it; the difference is exact to 1e-10 or so.
        h = 1e-6
        difference = (evaluate(here + h * direction)[0] - evaluate(here - h * direction)[0]) / (2 * h)
        assert difference == pytest.approx(gradient @ direction, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("loss_name", LOSSES)
def test_batches_add_up(loss_name):
    """The gradient of a batch is the sum of the gradients of its rows."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((N_ROWS, N_FEATURES)), _target(loss_name, rng)
    theta = draw([N_FEATURES, 4, N_OUTPUTS], 6.0, rng, np.float64)
    objective = Objective(resolve_device("cpu"), theta, "tanh", LOSSES[loss_name], alpha=0.0)

    def evaluate(rows):
        loss = objective.backpropagate(X[rows], y[rows], None, 1.0)
        return np.append(objective.grad.vector, loss)

    whole = evaluate(slice(None))
    np.testing.assert_allclose(sum(evaluate(slice(i, i + 1)) for i in range(N_ROWS)), whole, rtol=1e-10, atol=1e-12)
