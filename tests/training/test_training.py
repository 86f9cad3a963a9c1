"""The engine without an estimator: training from a plan, data and initial parameters."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

from sklearn_mlp import MLPRegressor
from sklearn_mlp._plan import make_plan
from sklearn_mlp._task import Real
from sklearn_mlp.core.losses import SquaredError
from sklearn_mlp.core.parameters import draw
from sklearn_mlp.core.training import Data, Training

X, Y = load_diabetes(return_X_y=True)
Y = scale(Y)
SMALL = {"hidden_layer_sizes": (8, 5), "max_iter": 4, "random_state": 0, "n_iter_no_change": np.inf}
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer.*:sklearn.exceptions.ConvergenceWarning")


def start(device, **params):
    """A training run that `MLPRegressor(**params)` would make."""
    mlp = MLPRegressor(**SMALL | params)
    plan = make_plan(mlp, device, np.dtype(float), Real(1, "identity"), SquaredError(), incremental=False)
    random_state = np.random.RandomState(0)
    theta = draw(plan.slots(X.shape[1]), random_state, plan.dtype)
    data = Data(device.prepare_rows(X, plan.dtype, gather=True), Y[:, np.newaxis], None)
    return Training(plan, data, theta, random_state)


@pytest.mark.parametrize("params", [{}, {"dropout": 0.2}, {"ema_decay": 0.9}, {"shuffle": False}], ids=str)
def test_a_run_gives_the_model_of_the_estimator(params, each_device):
    training, epochs = start(each_device, **params), []
    assert not training.run(epochs.append)
    mlp = MLPRegressor(**SMALL | params).fit(X, Y)
    vector = each_device.to_host(training.model)
    expected = [*mlp.coefs_, *mlp.intercepts_]
    assert_array_equal(vector, np.concatenate([array.ravel() for array in expected]))
    assert [epoch.loss for epoch in epochs] == mlp.loss_curve_


def test_a_run_stops_when_it_is_told_to(each_device):
    epochs = []
    training = start(each_device)
    assert training.run(epochs.append, epoch_ends=lambda: len(epochs) == 2)
    assert len(epochs) == 2


def test_a_snapshot_continues_bit_identically(each_device):
    whole = start(each_device, dropout=0.2)
    whole.run(lambda epoch: None)
    first, epochs = start(each_device, dropout=0.2), []
    assert not first.is_between_epochs
    first.run(epochs.append, epoch_ends=lambda: len(epochs) == 2)
    snapshot = first.snapshot()
    rest = start(each_device, dropout=0.2)
    rest.resume(snapshot)
    rest.run(epochs.append, n_epochs_before=2)
    assert len(epochs) == 4
    assert_array_equal(each_device.to_host(rest.model), each_device.to_host(whole.model))
