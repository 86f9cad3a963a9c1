"""Targets that are not of the size that training suits: standardize_target, and the warning without it."""

import re

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_pinball_loss
from sklearn.preprocessing import StandardScaler, scale

from sklearn_mlp import MLPRegressor
from sklearn_mlp.core.losses import REGRESSION_LOSSES

pytestmark = pytest.mark.usefixtures("each_device")
IGNORE = pytest.mark.filterwarnings("ignore:Stochastic Optimizer|lbfgs failed")

X, Y = load_diabetes(return_X_y=True)
X = scale(X)
WEIGHT = np.random.default_rng(0).integers(0, 3, len(Y)).astype(float)
SMALL = {"hidden_layer_sizes": (16,), "max_iter": 40, "learning_rate_init": 0.01, "random_state": 0, "tol": 0}
IDENTITY_LOSSES = pytest.mark.parametrize(
    "loss", [name for name, loss in REGRESSION_LOSSES.items() if loss.out_activation == "identity"]
)


@IGNORE
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@IDENTITY_LOSSES
def test_it_is_training_on_a_standardised_target(loss, solver):
    params = {**SMALL, "solver": solver, "alpha": 0.0}
    ours = MLPRegressor(loss, **params, standardize_target=True).fit(X, Y)
    theirs = TransformedTargetRegressor(MLPRegressor(loss, **params), transformer=StandardScaler()).fit(X, Y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8)
    unit = Y.std() ** REGRESSION_LOSSES[loss].unit_power
    np.testing.assert_allclose(ours.loss_curve_, unit * np.array(theirs.regressor_.loss_curve_), rtol=1e-8)
    assert ours.loss_ == pytest.approx(unit * theirs.regressor_.loss_)


@IGNORE
@IDENTITY_LOSSES
@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e4, 1e8])
def test_the_scale_does_not_matter(unit, loss):
    models = [MLPRegressor(loss, **SMALL, standardize_target=True).fit(X, u * Y - 3 * u) for u in (1, unit)]
    a, b = (model.predict(X) for model in models)
    np.testing.assert_allclose(b / unit, a, rtol=1e-6)
    assert models[0].score(X, Y - 3) > 0.4


@IGNORE
def test_weights_outputs_and_a_constant_column():
    X, Y = load_linnerud(return_X_y=True)
    Y = np.column_stack([1000 * Y[:, 0], Y[:, 1], np.full(len(Y), 0.1)])
    weight = np.arange(len(Y)) % 3
    model = MLPRegressor(**SMALL, standardize_target=True).fit(scale(X), Y, sample_weight=weight)
    mean = np.average(Y, axis=0, weights=weight)
    np.testing.assert_allclose(model.target_mean_, mean)
    deviation = np.sqrt(np.average((Y - mean) ** 2, axis=0, weights=weight))
    np.testing.assert_allclose(model.target_scale_, [*deviation[:2], 1])
    np.testing.assert_allclose(model.predict(scale(X))[:, 2], 0.1, atol=0.5)


@IGNORE
def test_validation_is_in_the_units_of_y():
    params = {**SMALL, "early_stopping": True, "standardize_target": True}
    model = MLPRegressor(**params, scoring="loss").fit(X, 1e4 * Y, X_val=X[:99], y_val=1e4 * Y[:99])
    error = np.mean((model.predict(X[:99]) - 1e4 * Y[:99]) ** 2) / 2
    assert -model.best_validation_score_ == pytest.approx(error, rel=1e-6)
    assert min(model.validation_loss_curve_) == pytest.approx(error, rel=1e-6)
    named = MLPRegressor(**params, scoring="neg_mean_squared_error")
    named.fit(X, 1e4 * Y, X_val=X[:99], y_val=1e4 * Y[:99])
    error = np.mean((named.predict(X[:99]) - 1e4 * Y[:99]) ** 2)
    assert -named.best_validation_score_ == pytest.approx(error, rel=1e-6)


@IGNORE
def test_levels():
    model = MLPRegressor("quantile", quantile=(0.1, 0.9), **SMALL, standardize_target=True).fit(X, 1e6 * Y)
    low, high = model.predict(X).T
    assert 0.7 < np.mean((low < 1e6 * Y) & (high > 1e6 * Y)) < 0.9
    mean_of_levels = mean_pinball_loss(1e6 * Y, low, alpha=0.1) + mean_pinball_loss(1e6 * Y, high, alpha=0.9)
    assert model.loss_ == pytest.approx(mean_of_levels, rel=0.05)


@IGNORE
@pytest.mark.parametrize("more", [{"ema_decay": 0.9}, {"dtype": "float32"}, {"normalization": "batch"}])
def test_warm_start(more):
    model = MLPRegressor(**SMALL, standardize_target=True, warm_start=True, **more).fit(X, 1e5 * Y)
    first, score = model.loss_curve_[0], model.score(X, 1e5 * Y)
    model.fit(X, 1e5 * Y)
    assert model.loss_curve_[40] < 0.5 * first
    assert model.score(X, 1e5 * Y) > score


@IGNORE
def test_false_is_the_plain_fit_and_forgets():
    plain = MLPRegressor(max_iter=3, tol=1e9, random_state=0).fit(X, scale(Y))
    model = MLPRegressor(max_iter=3, tol=1e9, random_state=0, standardize_target=True).fit(X, 1e3 * Y)
    model.set_params(standardize_target=False).fit(X, scale(Y))
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))
    assert not hasattr(model, "target_mean_")


@IGNORE
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
@IDENTITY_LOSSES
@pytest.mark.parametrize(("factor", "offset"), [(1e4, 0.0), (1.0, 1e4)])
def test_a_hopeless_scale_is_told(factor, offset, loss, solver):
    y = factor * scale(Y) + offset
    params = {"random_state": 0, "max_iter": 20, "solver": solver}
    if solver == "sgd" and loss == "squared_error":
        params["learning_rate_init"] = 1e-7
    with pytest.warns(ConvergenceWarning, match="Set standardize_target=True, or wrap"):
        MLPRegressor(loss, **params).fit(X, y)


def test_a_target_that_is_too_small_is_told():
    message = re.escape("its standard deviation 0.001") + ".*standardize_target=True"
    with pytest.warns(ConvergenceWarning, match=message):
        model = MLPRegressor(random_state=0).fit(X, 1e-3 * scale(Y))
    assert model.score(X, 1e-3 * scale(Y)) < -10


@IGNORE
def test_no_warning_where_training_works():
    MLPRegressor(random_state=0, solver="lbfgs").fit(X, 1e3 * scale(Y))
    MLPRegressor(random_state=0, max_iter=20).fit(X, scale(Y))
    MLPRegressor(random_state=0, max_iter=20).fit(X, np.full(len(Y), 3.0))


@IGNORE
@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
@pytest.mark.parametrize("unit", [1e-4, 1e3])
def test_a_hopeless_mean_is_told(unit, loss):
    y = unit * Y / Y.mean()
    model = MLPRegressor(loss, random_state=0, max_iter=20)
    with pytest.warns(ConvergenceWarning, match=r"mean of about 1\. Divide y by its standard deviation"):
        model.fit(X, y)
    wrapped = TransformedTargetRegressor(model.set_params(max_iter=300), transformer=StandardScaler(with_mean=False))
    assert wrapped.fit(X, y).score(X, y) > 0.3


@IGNORE
@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_no_warning_where_counts_are_rare_or_many(loss):
    """The features say little about them, so that no loss is much better than that of the mean."""
    rng = np.random.default_rng(0)
    for mean in (0.05, 20):
        y = rng.poisson(mean, 2000) + (1e-3 if loss == "gamma" else 0)
        MLPRegressor(loss, random_state=0, learning_rate_init=0.01).fit(rng.standard_normal((2000, 4)), y)


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie", "log_loss"])
def test_losses_of_other_outputs_are_refused(loss):
    with pytest.raises(ValueError, match=f"standardize_target=True is not for loss='{loss}', which takes y as it is"):
        MLPRegressor(loss, standardize_target=True).fit(X, Y)


def test_partial_fit_is_refused():
    with pytest.raises(ValueError, match="standardize_target=True is for fit: partial_fit does not see all of y"):
        MLPRegressor(standardize_target=True).partial_fit(X, Y)


def test_a_validation_set_of_another_kind_is_refused():
    two = np.column_stack([Y, Y])
    for y, y_val in ((Y, two), (two, Y)):
        with pytest.raises(ValueError, match="is not of the kind of y"):
            MLPRegressor(standardize_target=True).fit(X, y, X_val=X, y_val=y_val)


@pytest.mark.parametrize(("dtype", "value"), [("float32", "1e+100"), ("float64", "1e+200")])
def test_a_target_too_large_to_be_standardised_is_refused(dtype, value):
    y = np.where(np.arange(len(Y)) == 3, float(value), Y)
    message = re.escape(f"Input y contains values too large to be standardised in dtype('{dtype}'")
    with pytest.raises(ValueError, match=rf"{message}.* the largest is {re.escape(value)}\. Divide y by a constant"):
        MLPRegressor(**SMALL, standardize_target=True, dtype=dtype).fit(X, y)
