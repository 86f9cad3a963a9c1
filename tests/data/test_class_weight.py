"""class_weight is sample_weight by class."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.metrics import recall_score
from sklearn.preprocessing import scale
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from sklearn_mlp import MLPClassifier

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_iris(return_X_y=True)
X = scale(X)
LABELS = np.c_[Y > 0, Y > 1].astype(int)
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 5, "batch_size": 20, "random_state": 0}
WEIGHT = np.linspace(0.5, 2, len(Y))


@pytest.mark.parametrize("params", [{}, {"solver": "lbfgs"}, {"early_stopping": True}, {"dtype": "float32"}], ids=str)
@pytest.mark.parametrize("sample_weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(
    ("y", "class_weight"),
    [
        (Y, {0: 1, 1: 2.5, 2: 0.1}),
        (Y, "balanced"),
        (np.array(["a", "b", "c"])[Y], {"a": 3, "b": 1, "c": 2}),
        (Y > 1, {False: 1, True: 5}),
        (np.minimum(Y, 1), "balanced"),
        (LABELS, [{0: 1, 1: 2}, {0: 3, 1: 4}]),
        (LABELS, "balanced"),
    ],
    ids=lambda value: "" if isinstance(value, np.ndarray) else str(value),
)
def test_is_the_same_as_sample_weights(y, class_weight, sample_weight, params):
    weights = compute_sample_weight(class_weight, y) * (1 if sample_weight is None else sample_weight)
    a = MLPClassifier(**SMALL, **params, class_weight=class_weight).fit(X, y, sample_weight)
    b = MLPClassifier(**SMALL, **params).fit(X, y, weights)
    # In float32 the weights are rounded before they are multiplied.
    rtol = 1e-4 if "dtype" in params else 0
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=rtol)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=rtol)
    assert a.validation_scores_ == b.validation_scores_


def test_sparse_labels():
    a = MLPClassifier(**SMALL, class_weight="balanced").fit(X, csr_array(LABELS))
    b = MLPClassifier(**SMALL, class_weight="balanced").fit(X, LABELS)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_partial_fit_takes_the_weights_it_is_given():
    classes = [0, 1, 2]
    with pytest.raises(ValueError, match=r"not possible with partial_fit.*Pass weights: dict\(zip\(classes, sklearn"):
        MLPClassifier(**SMALL, class_weight="balanced").partial_fit(X, Y, classes=classes)
    weights = dict(zip(classes, compute_class_weight("balanced", classes=np.array(classes), y=Y[:110]), strict=True))
    a = MLPClassifier(**SMALL, class_weight=weights).partial_fit(X[:110], Y[:110], classes=classes)
    b = MLPClassifier(**SMALL).partial_fit(X[:110], Y[:110], compute_sample_weight("balanced", Y[:110]), classes)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_a_weighted_class_may_be_absent_from_a_chunk_and_from_y_val():
    weight = {2: 10.0}
    chunk = Y < 2
    a = MLPClassifier(**SMALL, class_weight=weight).partial_fit(X[chunk], Y[chunk], classes=[0, 1, 2])
    b = MLPClassifier(**SMALL).partial_fit(X[chunk], Y[chunk], classes=[0, 1, 2])
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    validation = {"X_val": X[chunk], "y_val": Y[chunk]}
    c = MLPClassifier(**SMALL, class_weight=weight).fit(X, Y, **validation)
    d = MLPClassifier(**SMALL).fit(X, Y, np.where(Y == 2, 10.0, 1.0), **validation)
    np.testing.assert_allclose(c.validation_loss_curve_, d.validation_loss_curve_)


def test_a_rare_class_is_found():
    cancer, benign = load_breast_cancer(return_X_y=True)
    rows = np.r_[np.flatnonzero(benign == 1), np.flatnonzero(benign == 0)[:15]]
    cancer, benign = scale(cancer)[rows], benign[rows]
    recalls = [
        recall_score(
            benign,
            MLPClassifier((10,), max_iter=20, random_state=0, class_weight=class_weight)
            .fit(cancer, benign)
            .predict(cancer),
            pos_label=0,
        )
        for class_weight in (None, "balanced")
    ]
    assert recalls[1] > recalls[0]


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("even", r"The 'class_weight' parameter .* must be a str among {'balanced'}"),
        ([{0: 1}], "For multi-output, number of elements in class_weight should match number of outputs"),
        ({3: 1.0}, "are not in class_weight"),
    ],
)
def test_errors(class_weight, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**SMALL, class_weight=class_weight).fit(X, LABELS if isinstance(class_weight, list) else Y)


@pytest.mark.parametrize("class_weight", [None, [{0: 1, 1: 2}, {0: 3, 1: 4}]], ids=str)
@pytest.mark.parametrize("as_labels", [np.asarray, csr_array, np.ndarray.tolist], ids=["array", "sparse", "list"])
@pytest.mark.parametrize("classes", [None, [0, 1], np.arange(2)], ids=str)
def test_partial_fit_with_several_labels(classes, as_labels, class_weight):
    params = {**SMALL, "shuffle": False, "class_weight": class_weight}
    model = MLPClassifier(**params)
    for _ in range(5):
        model.partial_fit(X, as_labels(LABELS), classes=classes)
    whole = MLPClassifier(**params, tol=0).fit(X, LABELS)
    np.testing.assert_allclose(model.predict_proba(X), whole.predict_proba(X), rtol=1e-10)
    np.testing.assert_array_equal(model.classes_, [0, 1])


def test_partial_fit_with_more_labels_than_two():
    three = np.c_[LABELS, Y == 0].astype(int)
    model = MLPClassifier(**SMALL).partial_fit(X, three, classes=[0, 1]).partial_fit(X, three, classes=[0, 1])
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, np.c_[three, three])
