"""Layers as blocks: slots and their order in the vector, and blocks in front of the first dense layer."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from sklearn_mlp import MLPRegressor
from sklearn_mlp._plan import make_plan
from sklearn_mlp._task import Real
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.layers import Dense, declare_slots, dense_views, mlp_blocks
from sklearn_mlp.core.losses import SquaredError
from sklearn_mlp.core.network import Network
from sklearn_mlp.core.objective import Objective
from sklearn_mlp.core.optimizers import SOLVERS
from sklearn_mlp.core.parameters import Slot, draw, n_parameters
from sklearn_mlp.core.training import Data, Training
from sklearn_mlp.devices import resolve_device


class Embedding(NamedTuple):
    """A row of a table replaces the last column, which has whole numbers."""

    n_categories: int
    n_dimensions: int

    def slots(self, n_in):
        return [Slot("table", (self.n_categories, self.n_dimensions), "weight", bound=1.0)]

    def n_outputs(self, n_in):
        return n_in - 1 + self.n_dimensions

    def layer(self, device, views, dtype, index):
        return EmbeddingLayer(*views)


class EmbeddingLayer:
    needs_batch = False

    def __init__(self, table):
        self.table = table
        self.n_units = table.shape[1]

    def forward(self, X, batch):
        self.categories = X[:, -1].astype(np.intp)
        return np.hstack([X[:, :-1], self.table[self.categories]])

    def backward(self, dA, grads, need_dX):
        assert not need_dX
        (d_table,) = grads
        d_table[...] = 0
        np.add.at(d_table, self.categories, dA[:, -self.table.shape[1] :])


class Steps(NamedTuple):
    """A column for each threshold and column of X, without parameters."""

    thresholds: tuple

    def slots(self, n_in):
        return []

    def n_outputs(self, n_in):
        return n_in * len(self.thresholds)

    def layer(self, device, views, dtype, index):
        return StepsLayer(self, dtype)


class StepsLayer:
    needs_batch = False

    def __init__(self, block, dtype):
        self.thresholds, self.dtype = np.array(block.thresholds), dtype
        self.n_units = len(block.thresholds)

    def forward(self, X, batch):
        return (X[:, :, np.newaxis] > self.thresholds).reshape(len(X), -1).astype(self.dtype)

    def backward(self, dA, grads, need_dX):
        raise AssertionError("nothing before the first parameters needs a gradient")


def _data(rng):
    X = rng.standard_normal((40, 4))
    X[:, -1] = rng.randint(6, size=40)
    return X, rng.standard_normal((40, 2))


def _objective(front, rng, **params):
    blocks = (*front, *mlp_blocks([7, 5, 4], ["tanh"] * 3, 2, **params))
    theta = draw(declare_slots(blocks, 4), rng, np.float64)
    return Objective(resolve_device("cpu"), theta, blocks, SquaredError(), alpha=0.1, seed=3)


FRONTS = {
    "embedding": [Embedding(6, 3)],
    "steps": [Steps((-1.0, 0.0, 1.0))],
    "steps and a dense layer": [Steps((0.5, 2.5)), Dense(3, ACTIVATIONS["relu"])],
}


@pytest.mark.parametrize("params", [{}, {"normalization": "batch", "dropout": [0.2, 0.0, 0.3]}], ids=["plain", "both"])
@pytest.mark.parametrize("front", FRONTS)
def test_gradient_with_a_block_in_front(front, params):
    rng = np.random.RandomState(0)
    X, y = _data(rng)
    objective = _objective(FRONTS[front], rng, **params)
    here = objective.theta.trainable.copy()

    def evaluate(at):
        objective.theta.trainable[...] = at
        objective.network.n_training_passes = 0  # the same dropout each time
        objective.backpropagate(X, y, None, 1 / len(X))
        # The squared error is a mean over the outputs, and its gradient that of the sum.
        return 2 * objective.device.collect(objective.loss), objective.grad.trainable.copy()

    _, gradient = evaluate(here)
    for _ in range(5):
        direction = rng.standard_normal(here.size)
        direction /= np.linalg.norm(direction)
        difference = (evaluate(here + 1e-6 * direction)[0] - evaluate(here - 1e-6 * direction)[0]) / 2e-6
        assert difference == pytest.approx(gradient @ direction, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("front", FRONTS)
def test_training_with_a_block_in_front(front, solver):
    rng = np.random.RandomState(0)
    X, y = _data(rng)
    y[:, 0] = X[:, -1] == 3
    device = resolve_device("cpu")
    mlp = MLPRegressor("squared_error", [7, 5, 4], "tanh", solver=solver, alpha=0.1, batch_size=10, max_iter=30)
    mlp.set_params(learning_rate_init=0.01, n_iter_no_change=np.inf)
    plan = make_plan(mlp, device, np.dtype(float), Real(2, "identity"), SquaredError(), incremental=False)
    plan = replace(plan, blocks=(*FRONTS[front], *plan.blocks))
    theta = draw(plan.slots(4), rng, plan.dtype)
    before = theta.trainable.copy()
    training, epochs = Training(plan, Data(X, y, None), theta, rng), []
    training.run(epochs.append)
    objective, losses = training.objective, [epoch.loss for epoch in epochs]
    batches = Batches(device, X, y, None, dtype=plan.dtype, batch_size=40)
    assert losses[-1] < 0.9 * losses[0]
    assert (objective.theta.trainable != before).mean() > 0.9
    prediction, loss = objective.evaluate(batches)
    assert loss == pytest.approx(((prediction - y) ** 2).mean() / 2)


def test_dense_layers_after_an_embedding_are_those_on_their_own():
    """The embedded columns, given as columns, have the same scores."""
    rng = np.random.RandomState(0)
    X, _ = _data(rng)
    objective = _objective([Embedding(6, 3)], rng)
    theta, device = objective.theta, objective.device
    embedded = np.hstack([X[:, :-1], theta.views[0][0][X[:, -1].astype(int)]])
    network = Network(device, mlp_blocks([7, 5, 4], ["tanh"] * 3, 2), dense_views(theta.W, theta.b), np.float64)
    np.testing.assert_array_equal(objective.network.forward(X), network.forward(embedded))


def test_the_order_of_the_vector():
    blocks = mlp_blocks([3, 2], ["relu"] * 2, 1, normalization="batch")
    slots = declare_slots((Embedding(6, 3), *blocks), 4)
    theta = draw(slots, np.random.RandomState(0), np.float64)
    parts = [*theta.views[0], *theta.W, *theta.b, *theta.gamma, *theta.statistics]
    np.testing.assert_array_equal(theta.vector, np.concatenate([part.ravel() for part in parts]))
    assert theta.vector.size == n_parameters(slots)
    assert theta.weights.size == 6 * 3 + 6 * 3 + 3 * 2 + 2
    assert theta.trainable.size == theta.vector.size - 2 * (3 + 2)
    assert all(np.shares_memory(part, theta.vector) for part in parts)


def test_initial_values():
    """In the order of scikit-learn: the weights and then the biases of each layer."""
    slots = declare_slots(mlp_blocks([3], ["relu"], 1, normalization="batch"), 4)
    theta, rng = draw(slots, np.random.RandomState(0), np.float64), np.random.RandomState(0)
    np.testing.assert_array_equal(theta.W[0], rng.uniform(-((6 / 7) ** 0.5), (6 / 7) ** 0.5, (4, 3)))
    rng.uniform(size=3)  # the biases of a layer with normalization are drawn, and then 0
    np.testing.assert_array_equal(theta.b[0], 0)
    np.testing.assert_array_equal(theta.W[1], rng.uniform(-((6 / 4) ** 0.5), (6 / 4) ** 0.5, (3, 1)))
    np.testing.assert_array_equal(theta.gamma[0], 1)
    np.testing.assert_array_equal(theta.statistics[0], [[0] * 3, [1] * 3])


def test_prediction_keeps_no_batch():
    """A network that is kept for later predictions does not keep the data of earlier ones."""
    network = _objective([], np.random.RandomState(0)).network
    network.forward(np.ones((5, 4)))
    assert not hasattr(network.layers[0], "X")
