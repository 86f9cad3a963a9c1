"""The same seed gives the same model as scikit-learn's own MLP, in float64."""

import re
from contextlib import nullcontext
from inspect import signature

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
from sklearn.preprocessing import scale

import sklearn_mlp

pytestmark = [
    pytest.mark.usefixtures("each_device", "kernels_of_any_job"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N_ROWS = 150


def _data():
    X, y = load_breast_cancer(return_X_y=True)
    yield "binary", scale(X)[:N_ROWS, :8], y[:N_ROWS]
    X, y = load_iris(return_X_y=True)
    yield "multiclass", scale(X), np.array(["setosa", "versicolor", "virginica"])[y]
    X, y = make_multilabel_classification(n_samples=N_ROWS, n_features=6, n_classes=4, random_state=0)
    yield "multilabel", scale(X), y
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X)[:N_ROWS], scale(y)[:N_ROWS]
    yield "squared_error", X, y
    yield "squared_error, two outputs", X, np.column_stack([y, y**2])
    yield "poisson", X, np.round(np.exp(y / 2))


DATA = {name: (X, y) for name, X, y in _data()}
SOLVERS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "sgd constant": {"solver": "sgd", "learning_rate_init": 0.02},
    "sgd invscaling": {"solver": "sgd", "learning_rate_init": 0.02, "learning_rate": "invscaling", "power_t": 0.1},
    "sgd adaptive": {"solver": "sgd", "learning_rate_init": 0.02, "learning_rate": "adaptive", "tol": 0.01},
    # Few iterations: the line search amplifies the last bit of rounding by orders of magnitude, in scikit-learn too.
    "lbfgs": {"solver": "lbfgs", "max_iter": 12},
}
STOCHASTIC = [name for name in SOLVERS if name != "lbfgs"]


def pair(data, **params):
    """scikit-learn's estimator and ours, with the same parameters."""
    if data in ("binary", "multiclass", "multilabel"):
        kind = "MLPClassifier"
    else:
        kind = "MLPRegressor"
        params["loss"] = data.split(",")[0]
    params = {"hidden_layer_sizes": (9, 5), "max_iter": 25, "batch_size": 32, "n_iter_no_change": 3, **params}

    def build(module):
        # Each its own generator, in the same state.
        seed = params.get("random_state", 0)
        return getattr(module, kind)(**{**params, "random_state": seed() if callable(seed) else seed})

    return build(sklearn.neural_network), build(sklearn_mlp)


def weights(weighted):
    return np.random.RandomState(1).uniform(0.1, 3, N_ROWS) if weighted else None


def assert_same_model(theirs, ours, X, y):
    assert ours.n_iter_ == theirs.n_iter_
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-6)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)
    for name in ("t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)
    if ours.solver != "lbfgs":
        assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=1e-6)
        for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
            expected = getattr(theirs, name)
            assert getattr(ours, name) == (None if expected is None else pytest.approx(expected, rel=1e-6))
    np.testing.assert_allclose(ours.score(X, y), theirs.score(X, y), rtol=1e-6)
    if hasattr(ours, "predict_proba"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
        assert ours.predict(X).dtype == theirs.predict(X).dtype
    else:
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("data", DATA)
def test_fit(data, solver, activation, weighted):
    X, y = DATA[data]
    theirs, ours = pair(data, activation=activation, **SOLVERS[solver])
    for estimator in (theirs, ours):
        estimator.fit(X, y, sample_weight=weights(weighted))
    assert_same_model(theirs, ours, X, y)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize("data", [name for name in DATA if name != "multiclass"])  # difference 1
def test_early_stopping(data, solver, weighted):
    X, y = DATA[data]
    theirs, ours = pair(data, early_stopping=True, validation_fraction=0.2, **SOLVERS[solver])
    for estimator in (theirs, ours):
        estimator.fit(X, y, sample_weight=weights(weighted))
    assert_same_model(theirs, ours, X, y)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("data", ["binary", "squared_error", "poisson"])
def test_warm_start(data, solver):  # without an end of patience or early stopping: difference 2
    X, y = DATA[data]
    theirs, ours = pair(data, warm_start=True, **{**SOLVERS[solver], "n_iter_no_change": np.inf, "max_iter": 5})
    for estimator in (theirs, ours):
        for _ in range(3):
            estimator.fit(X, y)
    assert_same_model(theirs, ours, X, y)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize("data", DATA)
def test_partial_fit(data, solver, weighted):
    X, y = DATA[data]
    classes = {"classes": np.unique(y)} if data in ("binary", "multiclass") else {}
    classes = {"classes": np.arange(4)} if data == "multilabel" else classes
    # A generator, as scikit-learn replays the same shuffle for an int: difference 5.
    theirs, ours = pair(data, random_state=lambda: np.random.RandomState(0), **SOLVERS[solver])
    sample_weight = weights(weighted)
    for estimator in (theirs, ours):
        for rows in 3 * [slice(0, 100), slice(50, 150), slice(30, 40)]:
            weight = None if sample_weight is None else sample_weight[rows]
            with pytest.warns(UserWarning, match="batch_size") if rows.stop == 40 else nullcontext():
                estimator.partial_fit(X[rows], y[rows], sample_weight=weight, **classes)
    assert_same_model(theirs, ours, X, y)


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 4},
        {"hidden_layer_sizes": (3, 2, 4, 2)},
        {"batch_size": 1},
        {"batch_size": 7},
        {"batch_size": "auto"},
        {"shuffle": False},
        {"shuffle": False, "early_stopping": True},
        {"alpha": 0},
        {"alpha": 10},
        {"solver": "sgd", "momentum": 0},
        {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False},
        {"solver": "sgd", "momentum": 1},
        {"beta_1": 0, "beta_2": 0, "epsilon": 1e-3},
        {"tol": 1, "max_iter": 500},
        {"tol": 0.1, "max_iter": 1000, "solver": "sgd", "learning_rate": "adaptive"},
        {"n_iter_no_change": 1},
        {"early_stopping": True, "validation_fraction": 0.5, "n_iter_no_change": 1},
        pytest.param({"random_state": lambda: np.random.RandomState(7)}, id="a generator"),
        {"solver": "lbfgs", "max_fun": 5},
        {"solver": "lbfgs", "tol": 0.5, "max_iter": 100},
    ],
    ids=str,
)
@pytest.mark.parametrize("data", ["binary", "squared_error"])
def test_parameters(data, params):
    X, y = DATA[data]
    theirs, ours = pair(data, **params)
    assert_same_model(theirs.fit(X, y), ours.fit(X, y), X, y)


def test_default_parameters_are_those_of_scikit_learn():
    for kind in ("MLPClassifier", "MLPRegressor"):
        theirs = getattr(sklearn.neural_network, kind)()
        ours = getattr(sklearn_mlp, kind)()
        assert ours.get_params().items() >= theirs.get_params().items()
        parameters = list(signature(type(theirs)).parameters.values())
        assert list(signature(type(ours)).parameters.values())[: len(parameters)] == parameters


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_prints_the_same_lines(solver, early_stopping, capsys):
    if early_stopping and solver == "lbfgs":
        early_stopping = False
    X, y = DATA["binary"]
    printed = []
    for estimator in pair(
        "binary", **{**SOLVERS[solver], "tol": 0.05, "max_iter": 80}, early_stopping=early_stopping, verbose=True
    ):
        estimator.fit(X, y)
        printed.append(capsys.readouterr().out)
    assert re.sub(r"\d", "0", printed[0]) == re.sub(r"\d", "0", printed[1])
    # Losses that differ by rounding may be printed as neighbours in the eighth decimal.
    theirs, ours = ([float(number) for number in re.findall(r"\d+(?:\.\d+)?", lines)] for lines in printed)
    assert ours == pytest.approx(theirs, rel=0, abs=1.5e-8)
    assert printed[0] or solver == "lbfgs"
