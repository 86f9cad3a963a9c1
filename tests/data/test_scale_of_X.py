"""Warnings about the scales of X and X_val, and about a network that has not learned."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_array, csr_array
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, RobustScaler, StandardScaler, scale

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.losses import FocalLoss, LogLoss

pytestmark = pytest.mark.usefixtures("each_device")

SMALL = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
RNG = np.random.default_rng(0)
CANCER, Y_CANCER = load_breast_cancer(return_X_y=True)
IRIS, Y_IRIS = load_iris(return_X_y=True)
COLUMN = RNG.normal(size=(200, 1))
WORDS = ["some words of a text", "other words of a document", "and a text again", "words"] * 50


def messages(fit):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit()
    return [str(warning.message) for warning in caught if "Maximum iterations" not in str(warning.message)]


@pytest.mark.parametrize(
    ("X", "what"),
    [
        (CANCER, "column 23 has a root mean square of 1.05e[+]03, and of 4 more it is above 30"),
        (pd.DataFrame(CANCER[:, :5], columns=list("abcde")), "column 'd' has a root mean square of 743"),
        (load_wine().data, "column 12 .*, and of 1 more"),
        (COLUMN + 1000, "column 0"),
        ((COLUMN * 60).clip(-127, 127).astype(np.int8), "column 0 has a root mean square of 5"),
        (np.float32(COLUMN * 1e4), r"column 0 has a root mean square of .*e\+0(3|4)"),
        (csr_array(CANCER), "values that are not zero"),
        (csc_array(CANCER), "values that are not zero"),
        (scale(CANCER) / 1000, "the largest root mean square of a column is 0.001"),
    ],
    ids=["cancer", "frame", "wine", "offset", "int8", "float32", "csr", "csc", "small"],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_X_far_from_unit_scale(X, what, solver):
    y = np.arange(X.shape[0]) % 2
    for estimator in (MLPClassifier, MLPRegressor):
        said = messages(lambda: estimator(**SMALL, solver=solver).fit(X, y))  # noqa: B023
        assert re.match(f"X is far from unit scale: .*{what}", said[0])  # before any other


@pytest.mark.parametrize(
    "X",
    [
        scale(CANCER),
        RobustScaler().fit_transform(CANCER),
        QuantileTransformer(n_quantiles=50).fit_transform(CANCER),
        load_digits().data,
        IRIS,
        load_diabetes().data,
        OneHotEncoder().fit_transform(np.arange(200)[:, np.newaxis] // 7),
        TfidfVectorizer().fit_transform(WORDS),
        np.zeros((20, 3)),
        COLUMN,
    ],
    ids=["standardized", "robust", "quantiles", "digits", "iris", "diabetes", "one-hot", "TF-IDF", "zeros", "column"],
)
def test_usual_scales_of_X(X):
    y = np.arange(X.shape[0]) % 3
    assert not messages(lambda: MLPClassifier(**SMALL).fit(X, y, X_val=X[::2], y_val=y[::2]))


def test_partial_fit_says_nothing_of_the_scale():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier(**SMALL).partial_fit(CANCER, Y_CANCER, classes=[0, 1])


SCALED = StandardScaler().fit_transform(IRIS)
HALF = RNG.permutation(150)[:40]


@pytest.mark.parametrize(
    ("X", "X_val"),
    [
        (SCALED, IRIS),
        (IRIS, SCALED),
        (scale(CANCER), CANCER),
        (scale(CANCER), scale(CANCER) / 100),
        (np.c_[SCALED, SCALED[:, :1]], np.c_[SCALED, 1000 * SCALED[:, :1]]),
        (SCALED, IRIS[120:121]),
        (pd.DataFrame(SCALED, columns=list("abcd")), pd.DataFrame(IRIS, columns=list("abcd"))),
    ],
    ids=["raw X_val", "raw X", "cancer", "small", "a column", "one row", "frames"],
)
def test_a_validation_set_on_another_scale(X, X_val):
    y = np.arange(len(X)) % 2
    said = messages(lambda: MLPClassifier(**SMALL).fit(X, y, X_val=X_val, y_val=np.arange(len(X_val)) % 2))
    assert re.match(r"X_val is not on the scale of X: column .* Transform X_val as X was", said[-1])


@pytest.mark.parametrize(
    ("X", "X_val"),
    [
        (SCALED, SCALED[HALF]),
        (SCALED, SCALED[:1]),
        (np.c_[SCALED, np.arange(150) == 3], np.c_[SCALED, np.arange(150) % 2]),  # a rare category that is frequent
        (np.c_[SCALED, np.arange(150) / 50], np.c_[SCALED, 3 + np.arange(150) / 150]),  # a later time
        (np.zeros((20, 2)), np.ones((20, 2))),
        (csr_array(SCALED), csr_array(IRIS)),
    ],
    ids=["random rows", "one row", "a rare category", "time", "constant", "sparse"],
)
def test_a_validation_set_that_may_be_of_the_same_data(X, X_val):
    y = np.arange(X.shape[0]) % 2
    clf = MLPClassifier(**SMALL)
    assert not messages(lambda: clf.fit(X, y, X_val=X_val, y_val=np.arange(X_val.shape[0]) % 2, sample_weight_val=None))


def test_raw_data_past_a_pipeline():
    model = make_pipeline(StandardScaler(), MLPRegressor(**SMALL))
    said = messages(lambda: model.fit(IRIS, Y_IRIS, mlpregressor__X_val=IRIS[HALF], mlpregressor__y_val=Y_IRIS[HALF]))
    assert "X_val is not on the scale of X" in said[0]


# -- iterations --------------------------------------------------------------------------------------------------------


def test_a_loss_that_has_flattened_is_no_reason_to_train_longer():
    X, y = scale(CANCER), Y_CANCER
    said = []
    for tol, max_iter in ((0, 5), (0, 40), (0, 1500)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf = MLPClassifier((3,), tol=tol, n_iter_no_change=np.inf, max_iter=max_iter, random_state=0).fit(X, y)
        said.append(any("Maximum iterations" in str(warning.message) for warning in caught))
    curve = clf.loss_curve_
    assert curve[-151] - curve[-1] < 0.01 * (curve[0] - curve[-1])
    assert said == [True, True, False]


@pytest.mark.parametrize(
    ("params", "y", "weight"),
    [
        ({"solver": "sgd", "learning_rate_init": 1e-9, "loss": "log_loss"}, np.arange(569) % 3, None),
        ({"alpha": 1e6, "solver": "lbfgs", "max_iter": 500}, Y_CANCER, None),
        ({"solver": "sgd", "learning_rate_init": 1e-9, "loss": "focal"}, Y_CANCER, np.linspace(0, 1, 569)),
        ({"solver": "sgd", "learning_rate_init": 1e-9, "label_smoothing": 0.3}, Y_CANCER, None),
        ({"solver": "sgd", "learning_rate_init": 1e-9}, np.c_[Y_CANCER, 1 - Y_CANCER, Y_CANCER], None),
        ({"solver": "sgd", "learning_rate_init": 1e-9, "class_weight": {3: 5}}, Y_CANCER + 2, None),
    ],
    ids=["softmax", "lbfgs", "focal", "smoothing", "multilabel", "weights"],
)
def test_a_classifier_that_learns_no_more_than_frequencies(params, y, weight):
    params = {**SMALL, "max_iter": 50, **params}
    X = RNG.normal(size=(569, 2))
    with pytest.warns(ConvergenceWarning, match="is not lower than the .* of predicting the frequencies"):
        MLPClassifier(**params).fit(X, y, weight)


@pytest.mark.parametrize("solver", ["adam", "adamw"])
def test_the_penalty_is_not_part_of_the_comparison(solver):
    stopped = {"early_stopping": True, "scoring": "loss", "tol": 0.05, "n_iter_no_change": 1}
    clf = MLPClassifier((256, 256), solver=solver, alpha=3, random_state=0, **stopped)
    assert not messages(lambda: clf.fit(scale(CANCER), Y_CANCER))
    of_frequencies = LogLoss("logistic").of_frequencies(np.bincount(Y_CANCER) / 569)
    assert clf.loss_ > of_frequencies
    assert clf.best_validation_score_ > -0.5 * of_frequencies


def test_the_loss_of_the_frequencies():
    p, y = np.array([0.2, 0.5, 0.3]), np.repeat([0, 1, 2], [2, 5, 3])
    one_hot = np.eye(3)[y]
    assert LogLoss("softmax").of_frequencies(p) == pytest.approx(np.mean(-np.log(p[y])))
    smooth = 0.9 * one_hot + 0.1 / 3
    assert LogLoss("softmax", 0.1).of_frequencies(p) == pytest.approx(-(smooth * np.log(smooth.mean(0))).sum(1).mean())
    assert FocalLoss("softmax", 2.0).of_frequencies(p) == pytest.approx(np.mean(-((1 - p[y]) ** 2) * np.log(p[y])))
    assert LogLoss("softmax").of_frequencies(np.array([0.0, 1.0])) == 0


@pytest.mark.parametrize("y", [np.zeros(569), Y_CANCER], ids=["one class", "learned"])
def test_a_classifier_that_learns_says_nothing(y):
    assert not messages(lambda: MLPClassifier((5,), max_iter=500, random_state=0).fit(scale(CANCER), y))
