"""Classification of several outputs, each with classes of its own and of a type of its own: a softmax for each."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

from sklearn_mlp import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, DIGIT = load_digits(return_X_y=True)
X = X / 16
# The digit, its remainder by three, and whether it is round.
Y = np.column_stack([DIGIT, DIGIT % 3, np.isin(DIGIT, [0, 3, 6, 8, 9])])
NAMES = np.array([f"digit {digit}" for digit in range(10)])
SMALL = {"hidden_layer_sizes": (32,), "max_iter": 40, "learning_rate_init": 0.01, "random_state": 0}


def test_predictions_are_in_the_form_of_scikit_learns_forests():
    ours, theirs = (model.fit(X, Y) for model in (MLPClassifier(**SMALL), RandomForestClassifier(random_state=0)))
    prediction = ours.predict(X)
    assert (prediction.shape, prediction.dtype) == (Y.shape, Y.dtype)
    assert np.mean(prediction == theirs.predict(X)) > 0.98
    for mine, other in zip(ours.classes_, theirs.classes_, strict=True):
        np.testing.assert_array_equal(mine, other)
    probabilities = ours.predict_proba(X)
    assert (
        [p.shape for p in probabilities]
        == [p.shape for p in theirs.predict_proba(X)]
        == [(1797, k) for k in (10, 3, 2)]
    )
    for p, log_p in zip(probabilities, ours.predict_log_proba(X), strict=True):
        np.testing.assert_allclose(p.sum(axis=1), 1)
        np.testing.assert_allclose(np.exp(log_p), p)
    assert ours.n_outputs_ == 15
    assert ours.score(X, Y) == np.mean((prediction == Y).all(axis=1)) > 0.97
    assert ours.score(X, prediction) == 1


def test_the_loss_is_the_sum_over_the_outputs():
    model = MLPClassifier(**SMALL, alpha=0).fit(X, Y, X_val=X, y_val=Y)
    expected = sum(-np.log(p[np.arange(len(X)), y]).mean() for p, y in zip(model.predict_proba(X), Y.T, strict=True))
    assert model.validation_loss_curve_[-1] == pytest.approx(expected)
    assert model.validation_scores_[-1] == model.score(X, Y)


def test_without_hidden_layers_it_is_a_model_for_each_output():
    params = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 10.0, "max_iter": 3000, "tol": 1e-7}
    together = MLPClassifier(**params).fit(X, Y[:, :2])
    for k in range(2):
        alone = MLPClassifier(**params).fit(X, Y[:, k])
        np.testing.assert_allclose(together.predict_proba(X)[k], alone.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize(
    "params",
    [
        {"label_smoothing": 0.1},
        {"loss": "focal"},
        {"class_weight": "balanced"},
        {"class_weight": [{k: 1.0 + k for k in range(10)}, {0: 1, 1: 2, 2: 1}, {0: 1, 1: 3}]},
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "loss"},
        {"dropout": 0.1, "normalization": "batch", "solver": "adamw"},
    ],
    ids=str,
)
def test_with_what_else_there_is(params):
    assert MLPClassifier(**SMALL, **params).fit(X, Y).score(X, Y) > 0.85


def test_names_for_classes(tmp_path):
    names = np.column_stack([NAMES[DIGIT], np.where(Y[:, 2], "round", "not round")]).astype(object)
    model = MLPClassifier(**SMALL).fit(X, names)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    assert loaded.score(X, names) == model.score(X, names) > 0.97
    assert set(loaded.predict(X)[:, 1]) == {"round", "not round"}
    assert cross_val_score(model, X[:300], names[:300], cv=2).mean() > 0.7


def test_partial_fit():
    classes = [range(10), range(3), [0, 1]]
    model = MLPClassifier(**SMALL).partial_fit(X[:100], Y[:100], classes=classes)
    for _ in range(30):
        model.partial_fit(X[:900], Y[:900]).partial_fit(X[900:], Y[900:], classes=classes)
    assert model.score(X, Y) > 0.96
    binary = np.zeros((5, 3), int)
    model.partial_fit(X[:5], binary)
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, Y, classes=[range(10), range(3), range(3)])
    with pytest.raises(ValueError, match=r"classes has lists for 2 outputs, but y has the shape \(1797, 3\)"):
        MLPClassifier(**SMALL).partial_fit(X, Y, classes=classes[:2])


def test_warm_start():
    model = MLPClassifier(**SMALL, warm_start=True).fit(X, Y)
    first = model.loss_curve_[0]
    assert model.fit(X, Y).loss_curve_[SMALL["max_iter"]] < 0.1 * first
    with pytest.raises(ValueError, match="of which some are not among those that the model was made for"):
        model.fit(X, Y + 1)
    single = MLPClassifier(**SMALL, warm_start=True).fit(X, DIGIT)
    with pytest.raises(ValueError, match="of which some are not among those that the model was made for"):
        single.fit(X, Y)


def test_a_validation_set_with_other_classes_is_refused():
    with pytest.raises(ValueError, match="of which some are not among those that the model was made for"):
        MLPClassifier(**SMALL).fit(X, Y, X_val=X, y_val=Y + 1)
    # A part of the classes is enough, be it 0 and 1.
    MLPClassifier(**SMALL).fit(X, Y, X_val=X[:2], y_val=np.array([[0, 0, 1], [1, 1, 0]]))


def test_a_refit_for_one_output():
    model = MLPClassifier(**SMALL).fit(X, Y).fit(X, DIGIT)
    assert model.predict_proba(X).shape == (1797, 10)
    assert model.predict(X).shape == (1797,)


ROUND = np.where(Y[:, 2], "round", "not round")
COLUMNS = {"digit": DIGIT, "shape": ROUND, "even": DIGIT % 2 == 0}
MIXED = {
    "lists": [list(row) for row in zip(*(column.tolist() for column in COLUMNS.values()), strict=True)],
    "objects": np.array([*zip(*(column.tolist() for column in COLUMNS.values()), strict=True)], dtype=object),
    "pandas": pd.DataFrame(COLUMNS),
    "pandas nullable": pd.DataFrame(COLUMNS).convert_dtypes(),
    "pandas categories": pd.DataFrame(COLUMNS).astype("category"),
    "polars": pl.DataFrame(COLUMNS),
    "pyarrow": pa.table({name: column.tolist() for name, column in COLUMNS.items()}),
}


@pytest.mark.parametrize("y", MIXED.values(), ids=MIXED)
def test_columns_of_several_types(y):
    codes = np.column_stack([DIGIT, ROUND == "round", COLUMNS["even"]]).astype(int)
    short = SMALL | {"max_iter": 3}
    model = MLPClassifier(**short).fit(X, y, X_val=X, y_val=y)
    by_codes = MLPClassifier(**short).fit(X, codes, X_val=X, y_val=codes)
    assert model.loss_ == by_codes.loss_
    assert model.validation_loss_curve_ == by_codes.validation_loss_curve_
    expected = [np.arange(10), np.array(["not round", "round"]), np.array([False, True])]
    for ours, labels in zip(model.classes_, expected, strict=True):
        np.testing.assert_array_equal(ours, labels, strict=True)
    prediction = model.predict(X)
    columns = zip(expected, by_codes.predict(X).T, strict=True)
    assert prediction.dtype == object
    assert prediction.tolist() == [list(row) for row in zip(*(c[code].tolist() for c, code in columns), strict=True)]
    assert model.score(X, y) == model.validation_scores_[-1] == by_codes.score(X, codes)
    chunks = MLPClassifier(**short).partial_fit(X, y, classes=[range(10), ["not round", "round"], [False, True]])
    assert chunks.loss_ == MLPClassifier(**short).partial_fit(X, codes, classes=[range(10), [0, 1], [0, 1]]).loss_


def test_columns_of_numbers_in_a_frame_are_one_array():
    frame = pd.DataFrame({"digit": DIGIT.astype(np.int8), "even": DIGIT % 2 == 0}).convert_dtypes()
    model = MLPClassifier(**SMALL | {"max_iter": 2}).fit(X, frame)
    assert [classes.dtype for classes in model.classes_] == [np.int8, np.int8]
    indicator = pd.DataFrame({"even": DIGIT % 2 == 0, "large": (DIGIT > 4).astype(int)})
    model = MLPClassifier(**SMALL | {"max_iter": 2}).fit(X, indicator)
    np.testing.assert_array_equal(model.classes_, [0, 1])
    assert model.score(X, indicator) == np.mean((model.predict(X) == indicator.to_numpy(int)).all(axis=1))


L = np.column_stack([DIGIT % 2, DIGIT > 4])


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (MLPClassifier(**SMALL), DIGIT),
        (MLPClassifier(**SMALL), L),
        (MLPClassifier(**SMALL), Y),
        (MLPClassifier(**SMALL), MIXED["pandas"]),
        (MLPRegressor(**SMALL), DIGIT),
        (MLPRegressor(**SMALL), Y),
        (MLPRegressor(loss="quantile", quantile=(0.1, 0.9), **SMALL), DIGIT),
    ],
    ids=["classes", "labels", "outputs", "mixed outputs", "target", "targets", "quantiles"],
)
def test_score_refuses_a_y_of_another_shape(model, y):
    rows = y[:100]
    model.set_params(max_iter=2).fit(X[:100], rows)
    assert model.score(X[:100], rows) <= 1
    for other in (y[:1], y[:99], y[:101]):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            model.score(X[:100], other)
    columns = np.asarray(rows)
    others = [np.column_stack([columns, columns])] + ([columns[:, :1], columns[:, 0]] if columns.ndim == 2 else [])
    for other in others:
        with pytest.raises(ValueError, match=r"shape|numbers? of|mix of"):
            model.score(X[:100], other)
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(1,\), expected \(100,\)"):
        model.score(X[:100], rows, sample_weight=[1.0])


def test_score_takes_any_positive_number_for_a_label():
    model = MLPClassifier(**SMALL).fit(X, 2 * L)
    assert model.score(X, 2 * L) == model.score(X, L) > 0.9
