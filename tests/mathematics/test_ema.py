"""The exponential moving average of the weights, on every device."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sklearn_mlp import MLPClassifier
from sklearn_mlp.core.layers import declare_slots, mlp_blocks
from sklearn_mlp.core.losses import SquaredError
from sklearn_mlp.core.objective import Objective
from sklearn_mlp.core.parameters import draw

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_digits(return_X_y=True)
X = X / 16
SMALL = {"hidden_layer_sizes": (12,), "max_iter": 5, "random_state": 0}


def test_is_the_formula(each_device):
    rng = np.random.RandomState(0)
    blocks = mlp_blocks([], [], 3)
    theta = draw(declare_slots(blocks, 2), rng, np.float64)
    device, expected = each_device, theta.vector.copy()
    on_device = theta.like(device.to_device_copy(theta.vector.copy()))
    objective = Objective(device, on_device, blocks, SquaredError(), 0.0, ema_decay=0.8)
    for t in range(60):
        now = rng.standard_normal(theta.vector.size)
        device.write(now, out=on_device.vector)
        objective.average()
        decay = min(0.8, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * now
        np.testing.assert_allclose(device.to_host(objective.model.vector), expected, rtol=1e-10)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_no_decay_is_the_plain_fit(solver):
    plain, last = (MLPClassifier(**SMALL, solver=solver, ema_decay=ema).fit(X, Y) for ema in (None, 0.0))
    np.testing.assert_allclose(plain.predict_proba(X), last.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(plain.loss_curve_, last.loss_curve_, rtol=1e-9)


def test_it_is_smoother_and_training_goes_on_beneath_it():
    params = {**SMALL, "learning_rate_init": 0.05, "batch_size": 20, "max_iter": 20, "tol": 0}
    fits = [
        MLPClassifier(**params, ema_decay=ema).fit(X[:900], Y[:900], X_val=X[900:], y_val=Y[900:])
        for ema in (None, 0.99)
    ]
    assert fits[0].loss_curve_ == pytest.approx(fits[1].loss_curve_)
    rough, smooth = (np.abs(np.diff(model.validation_loss_curve_[5:])).mean() for model in fits)
    assert smooth < 0.5 * rough
    assert fits[1].validation_loss_curve_[-1] < fits[0].validation_loss_curve_[-1]


@pytest.mark.parametrize("scoring", [None, "loss", "accuracy"])
def test_validation_is_of_the_average(scoring):
    params = {**SMALL, "learning_rate_init": 0.02, "max_iter": 12, "ema_decay": 0.9, "scoring": scoring}
    validation = {"X_val": X[900:], "y_val": Y[900:]}
    watched = MLPClassifier(**params).fit(X[:900], Y[:900], **validation)
    assert watched.score(X[900:], Y[900:]) == pytest.approx(
        watched.validation_scores_[-1] if scoring != "loss" else watched.score(X[900:], Y[900:])
    )
    p = watched.predict_proba(X[900:])[np.arange(len(Y) - 900), Y[900:]]
    assert watched.validation_loss_curve_[-1] == pytest.approx(-np.log(p).mean())
    # A scorer, for which the average is copied to the host, does not change training.
    alone = MLPClassifier(**{**params, "scoring": None}).fit(X[:900], Y[:900])
    np.testing.assert_array_equal(watched.coefs_[0], alone.coefs_[0])
    stopped = MLPClassifier(**params, early_stopping=True).fit(X[:900], Y[:900], **validation)
    if scoring is None:
        assert stopped.score(X[900:], Y[900:]) == max(stopped.validation_scores_)


def test_errors():
    with pytest.raises(ValueError, match=r"ema_decay=0\.9 is for fit: partial_fit continues from coefs_"):
        MLPClassifier(**SMALL, ema_decay=0.9).partial_fit(X, Y, classes=range(10))
    with pytest.raises(ValueError, match=r"The 'ema_decay' parameter .* \[0\.0, 1\.0\)"):
        MLPClassifier(**SMALL, ema_decay=1.0).fit(X, Y)
