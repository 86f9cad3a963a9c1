"""Smoothed labels and the focal loss against their definitions, PyTorch and the plain log-loss, on every device."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from sklearn_mlp import MLPClassifier

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_iris(return_X_y=True)
X = scale(X)
LABELS = np.c_[Y > 0, Y > 1].astype(int)
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 30, "random_state": 0, "alpha": 0.0, "learning_rate_init": 0.01}
WEIGHT = np.linspace(0.2, 2, len(Y))
KINDS = {"softmax": Y, "logistic": Y > 1, "multilabel": LABELS}


def probabilities(model, y):
    """The probability of each label (of each column), and those of all."""
    p = model.predict_proba(X)
    if y.ndim == 2:
        return np.where(y, p, 1 - p), np.stack([p, 1 - p])
    return p[np.arange(len(y)), y.astype(int)][:, np.newaxis], p.T[:, :, np.newaxis]


def loss_now(model, y, weight):
    """The loss of the model as it is, which a step of next to no length reports."""
    model.set_params(solver="sgd", momentum=0.0, learning_rate_init=1e-300, batch_size=len(y), max_iter=1)
    return model.set_params(warm_start=True).fit(X, y, weight).loss_


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("y", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss(gamma, y, weight):
    model = MLPClassifier(**SMALL, loss="focal", focal_gamma=gamma).fit(X, y, weight)
    p, _ = probabilities(model, y)
    expected = np.average((-((1 - p) ** gamma) * np.log(p)).sum(axis=1), weights=weight)
    assert loss_now(model, y, weight) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("y", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing(smoothing, y, weight):
    model = MLPClassifier(**SMALL, label_smoothing=smoothing).fit(X, y, weight)
    p, p_all = probabilities(model, y)
    losses = -(1 - smoothing) * np.log(p) - smoothing / len(p_all) * np.log(p_all).sum(axis=0)
    assert loss_now(model, y, weight) == pytest.approx(np.average(losses.sum(axis=1), weights=weight), rel=1e-9)


def test_pytorchs_label_smoothing():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    model = MLPClassifier(**SMALL, label_smoothing=0.3).fit(X, Y)
    scores = torch.tensor(model.predict_log_proba(X))
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor(Y), label_smoothing=0.3)
    assert loss_now(model, Y, None) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("y", KINDS.values(), ids=KINDS)
def test_neutral_values_are_the_log_loss(y):
    plain = MLPClassifier(**SMALL).fit(X, y)
    smooth = MLPClassifier(**SMALL, label_smoothing=0.0).fit(X, y)
    np.testing.assert_array_equal(smooth.predict_proba(X), plain.predict_proba(X))
    focal = MLPClassifier(**SMALL, loss="focal", focal_gamma=0.0).fit(X, y)
    np.testing.assert_allclose(focal.predict_proba(X), plain.predict_proba(X), rtol=1e-6)


def test_smoothed_labels_keep_probabilities_from_0_and_1():
    params = {**SMALL, "max_iter": 600, "tol": 0, "n_iter_no_change": np.inf}
    plain, smooth = (
        np.median(MLPClassifier(**params, label_smoothing=s).fit(X, Y).predict_proba(X).max(axis=1)) for s in (0.0, 0.3)
    )
    assert plain > 0.99
    assert smooth == pytest.approx(0.8, abs=0.02)  # 1 - 0.3 + 0.3 / 3


def test_the_focal_loss_leaves_hard_samples_more_weight():
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    params = {"hidden_layer_sizes": (), "max_iter": 200, "random_state": 0, "learning_rate_init": 0.01}
    plain = MLPClassifier(**params).fit(X, y)
    focal = MLPClassifier(**params, loss="focal").fit(X, y)
    confidence = [np.median(model.predict_proba(X).max(axis=1)) for model in (plain, focal)]
    assert confidence[1] < confidence[0]
    assert abs(focal.score(X, y) - plain.score(X, y)) < 0.02


@pytest.mark.parametrize("params", [{"loss": "focal"}, {"label_smoothing": 0.1}], ids=str)
def test_everything_else_works(params):
    clf = MLPClassifier(**{**SMALL, **params}, early_stopping=True).fit(X, Y)
    assert clf.best_validation_score_ > 0.5
    assert MLPClassifier(**{**SMALL, **params}, solver="lbfgs").fit(X, Y).score(X, Y) > 0.95
    clf = MLPClassifier(**{**SMALL, **params})
    for _ in range(60):
        clf.partial_fit(X, Y, classes=[0, 1, 2])
    assert clf.score(X, Y) > 0.6
    grid = {"focal_gamma": [1.0, 2.0], "class_weight": [None, "balanced"]}
    assert GridSearchCV(MLPClassifier(**{**SMALL, **params}), grid, cv=2).fit(X, Y).best_score_ > 0.4


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "hinge"}, "The 'loss' parameter of MLPClassifier must be a str among"),
        ({"focal_gamma": -1.0}, "The 'focal_gamma' parameter"),
        ({"label_smoothing": 1.0}, "The 'label_smoothing' parameter"),
        ({"loss": "focal", "label_smoothing": 0.1}, r"label_smoothing=0\.1 is for loss='log_loss'"),
    ],
)
def test_errors(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**SMALL, **params).fit(X, Y)
