"""Predictions depend only on the fitted model; a fit is isolated from changes to the estimator by other threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.preprocessing import scale

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.export import to_onnx

X, Y = load_iris(return_X_y=True)
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
Y_DIABETES = scale(Y_DIABETES)
SMALL = {"hidden_layer_sizes": (8, 5), "max_iter": 5, "random_state": 0, "n_iter_no_change": np.inf}
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer.*:sklearn.exceptions.ConvergenceWarning")

LATER = {
    "activation": "tanh",
    "hidden_layer_sizes": (3,),
    "normalization": "batch",
    "dropout": 0.5,
    "solver": "lbfgs",
    "dtype": "float32",
}


@pytest.mark.parametrize("later", [{name: value} for name, value in LATER.items()], ids=str)
def test_parameters_set_after_fit_do_not_change_predictions(later, each_device):
    clf = MLPClassifier(**SMALL).fit(X, Y)
    before = clf.predict_proba(X)
    assert_array_equal(clf.set_params(**later).predict_proba(X), before)
    reg = MLPRegressor(**SMALL).fit(X_DIABETES, Y_DIABETES)
    before = reg.predict(X_DIABETES)
    assert_array_equal(reg.set_params(**later).predict(X_DIABETES), before)


def test_a_loss_set_after_fit_does_not_sort_outputs_or_change_the_score():
    targets = np.c_[Y_DIABETES + 3, Y_DIABETES - 3]
    reg = MLPRegressor(**SMALL).fit(X_DIABETES, targets)
    before, score = reg.predict(X_DIABETES), reg.score(X_DIABETES, targets)
    assert (np.diff(before) < 0).any()
    reg.set_params(loss="quantile", quantile=(0.1, 0.9))
    assert_array_equal(reg.predict(X_DIABETES), before)
    assert reg.score(X_DIABETES, targets) == score


def test_exports_are_of_what_was_fitted():
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    clf = MLPClassifier(**SMALL).fit(X, Y)
    expected = clf.predict_proba(X)
    model = to_onnx(clf.set_params(activation="tanh", hidden_layer_sizes=()), X[:1])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert_allclose(session.run(["probabilities"], {"X": X})[0], expected, atol=1e-12)


def test_parameters_that_users_replace_or_write_to_are_used():
    clf = MLPClassifier(**SMALL).fit(X, Y)
    before = clf.predict_proba(X[:1])
    clf.intercepts_[-1][0] += 1
    written = clf.predict_proba(X[:1])
    assert written[0, 0] > before[0, 0]
    clf.intercepts_ = [*clf.intercepts_[:-1], clf.intercepts_[-1] - [1, 0, 0]]
    assert_allclose(clf.predict_proba(X[:1]), before)
    clf.coefs_ = [W.copy() for W in clf.coefs_]
    clf.coefs_[0] *= 0
    assert_allclose(clf.predict_proba(X[:1]), clf.predict_proba(X[-1:]))


def test_threads_share_a_model():
    clf = MLPClassifier(**SMALL).fit(X, Y)
    rows = [X[i : i + 1] for i in range(len(X))] * 10
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(clf.predict_proba, rows))
    assert_array_equal(np.vstack(outputs), np.vstack([clf.predict_proba(row) for row in rows]))


def test_a_plain_array_of_one_row_is_checked_as_any_other():
    clf = MLPClassifier(**SMALL).fit(X, Y)
    for bad, message in (
        (np.full((1, 4), np.nan), "Input X contains NaN"),
        (np.full((1, 4), np.inf), "Input X contains infinity"),
        (X[:1, :3], "X has 3 features, but MLPClassifier is expecting 4"),
        (X[0], "Expected 2D array, got 1D array"),
        (X[:0], "Found array with 0 sample"),
    ):
        with pytest.raises(ValueError, match=message):
            clf.predict(bad)
    with pytest.raises(NotFittedError):
        clone(clf).predict(X)


class CountsOnTheEstimator:
    """A callback that counts the epochs on the estimator that is being fitted."""

    def __init__(self, estimator):
        self.estimator = estimator

    def setup(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.estimator.n_calls = getattr(self.estimator, "n_calls", 0) + 1

    def teardown(self, estimator, context): ...


def test_what_a_callback_sets_on_the_estimator_survives():
    clf = MLPClassifier(**SMALL)
    clf.set_callbacks(CountsOnTheEstimator(clf)).fit(X, Y)
    assert clf.n_calls == 6  # five epochs and the fit
    assert clf.n_iter_ == 5


def test_parameters_set_during_a_fit_survive():
    clf = MLPClassifier(**SMALL, early_stopping=True)

    def scorer(estimator, X, y):
        estimator.set_params(alpha=0.5)
        estimator.n_scored = getattr(estimator, "n_scored", 0) + 1
        clf.set_params(tol=0.5)
        return estimator.predict(X).mean()

    clf.set_params(scoring=scorer).fit(X, Y)
    assert (clf.alpha, clf.tol, clf.n_scored, clf.n_iter_) == (0.5, 0.5, 5, 5)


# -- weights of classes ------------------------------------------------------------------------------------------------


def test_classes_of_a_chunk_that_has_not_all_keep_their_weights():
    weights = {0: 1.0, 1: 10.0, 2: 3.0}
    chunk = np.flatnonzero(Y != 1)
    ours = MLPClassifier(**SMALL, class_weight=weights).partial_fit(X[chunk], Y[chunk], classes=[0, 1, 2])
    by_hand = MLPClassifier(**SMALL)
    by_hand.partial_fit(X[chunk], Y[chunk], np.vectorize(weights.get)(Y[chunk]), classes=[0, 1, 2])
    assert_array_equal(ours.predict_proba(X), by_hand.predict_proba(X))


@pytest.mark.filterwarnings("ignore:X_val is not on the scale")
def test_the_validation_set_has_the_class_weights_of_the_training_set():
    rng = np.random.RandomState(0)
    train, validation = np.r_[0:50, 50:60, 100:105], rng.permutation(len(X))[:40]
    own = {"X_val": X[validation], "y_val": Y[validation]}
    balanced = {c: 65 / (3 * n) for c, n in zip(range(3), (50, 10, 5), strict=True)}
    curves = [
        MLPClassifier(**SMALL, class_weight=class_weight).fit(X[train], Y[train], **own).validation_loss_curve_
        for class_weight in ("balanced", balanced)
    ]
    assert_allclose(*curves, rtol=1e-12)
    only_two = np.flatnonzero(Y[validation] != 1)
    own = {"X_val": X[validation][only_two], "y_val": Y[validation][only_two]}
    assert MLPClassifier(**SMALL, class_weight=balanced).fit(X, Y, **own).validation_scores_


# -- the scale of y ----------------------------------------------------------------------------------------------------


def test_the_constant_of_the_scale_warning_has_weights_and_training_rows_only():
    # Rows of weight 0 are outliers, without which the best constant has a fifth of the loss.
    y = np.r_[np.full(100, 1000.0) + np.arange(100), np.full(20, 1e5)]
    X = np.random.RandomState(0).randn(120, 3)
    weight = np.r_[np.ones(100), np.zeros(20)]
    with pytest.warns(ConvergenceWarning, match=r"a constant prediction.*its mean is 1.05e\+03"):
        MLPRegressor(**SMALL).fit(X, y, weight)
