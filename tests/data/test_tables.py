"""Estimators for tables: every kind of column, label, target and weight, and what they refuse."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import d2_pinball_score, d2_tweedie_score, r2_score
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor

SMALL = {"n_members": 2, "hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
LONG = SMALL | {"hidden_layer_sizes": (32,), "max_iter": 40}
ESTIMATORS = [TabularMLPClassifier, TabularMLPRegressor]
both = pytest.mark.parametrize("estimator", ESTIMATORS)


def make_frame(n_rows=200, seed=0):
    """A column of each kind, with gaps, and a number on which they depend."""
    rng = np.random.default_rng(seed)
    colour = rng.choice(["red", "green", "blue"], n_rows)
    X = pd.DataFrame(
        {
            "size": rng.lognormal(size=n_rows),
            "count": rng.integers(0, 9, n_rows),
            "large": rng.normal(1e9, 1e8, n_rows).astype(np.float32),
            "constant": 7.0,
            "word": colour,
            "kind": pd.Categorical(rng.choice(["1", "2", "10"], n_rows)),
            "flag": rng.uniform(size=n_rows) < 0.5,
            "whole": pd.array(rng.integers(0, 4, n_rows), dtype="Int64"),
            "maybe": pd.array(rng.uniform(size=n_rows) < 0.5, dtype="boolean"),
            "text": pd.array(rng.choice(["p", "q"], n_rows), dtype="string"),
        }
    )
    target = np.log(X["size"].to_numpy()) + (colour == "red") + 0.1 * rng.normal(size=n_rows)
    for name, gap in [("size", np.nan), ("word", None), ("kind", None), ("whole", pd.NA), ("text", pd.NA)]:
        X.loc[rng.uniform(size=n_rows) < 0.1, name] = gap
    return X, target


X, TARGET = make_frame()
LABELS = np.where(TARGET > 0.3, "high", "low")
Y = {TabularMLPClassifier: LABELS, TabularMLPRegressor: TARGET}
CONTAINERS = {"pandas": lambda frame: frame, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


# -- columns -----------------------------------------------------------------------------------------------------------


def test_categories_that_are_to_be_numbers():
    """Of a dtype for categories or flags, whose values are numbers."""
    frame = pd.DataFrame({"a": pd.Categorical(np.arange(200) % 3), "b": np.arange(200) % 2 == 0})
    model = TabularMLPRegressor(None, **SMALL).fit(frame, TARGET)
    expected = TabularMLPRegressor(None, **SMALL).fit(frame.astype(float), TARGET)
    assert_array_equal(model.predict(frame), expected.predict(frame.astype(float)))


@both
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_data_frame_of_any_library(estimator, container):
    model = estimator(**SMALL).fit(CONTAINERS[container](X), Y[estimator])
    expected = estimator(**SMALL).fit(X, Y[estimator])
    assert model.feature_names_in_.tolist() == X.columns.tolist()
    assert model.encoder_.is_categorical_.tolist() == 4 * [False] + 3 * [True] + [False] + 2 * [True]
    assert_array_equal(outputs(model, CONTAINERS[container](X)), outputs(expected, X))
    assert_array_equal(outputs(model, X), outputs(expected, X))


@both
def test_it_learns_from_numbers_and_categories_with_gaps(estimator):
    params = SMALL | {"max_iter": 40, "n_members": 3}
    X_new, target = make_frame(400, seed=1)
    y_new = np.where(target > 0.3, "high", "low") if estimator is TabularMLPClassifier else target
    model = estimator(**params).fit(X, Y[estimator])
    assert model.score(X_new, y_new) > 0.7
    columns = ["count", "large", "constant", "flag"]
    assert estimator(**params).fit(X[columns], Y[estimator]).score(X_new[columns], y_new) < 0.6


@both
def test_an_array_and_a_list_are_the_same_table(estimator):
    frame = X[["size", "word", "count", "kind"]].astype(object)
    objects = frame.to_numpy()
    objects[pd.isna(objects)] = None
    of_frame = outputs(estimator(**SMALL).fit(frame, Y[estimator]), frame)
    for table in (objects, objects.tolist()):
        assert_array_equal(outputs(estimator(**SMALL).fit(table, Y[estimator]), table), of_frame)


@both
def test_categories_that_are_coded_as_numbers(estimator):
    table = np.column_stack([TARGET, np.arange(200) % 7, np.arange(200) % 3])
    model = estimator([1], **SMALL).fit(table, Y[estimator])
    assert model.encoder_.is_categorical_.tolist() == [False, True, False]
    named = estimator(["b"], **SMALL).fit(pd.DataFrame(table, columns=list("abc")), Y[estimator])
    assert_array_equal(outputs(named, pd.DataFrame(table, columns=list("abc"))), outputs(model, table))


@both
def test_gaps_and_categories_that_are_new(estimator):
    model = estimator(**SMALL).fit(X.dropna(), Y[estimator][X.notna().all(axis=1)])
    for gap in (None, np.nan, pd.NA):
        new = X.head(4).astype(object).where(np.eye(4, X.shape[1]) < 0, gap)
        assert new.isna().all(axis=None)
        assert np.isfinite(outputs(model, new)).all()
    # A new category is none of the known ones, as the encoder has no column for it.
    new = X.dropna().head(6).astype({"word": object})
    expected = new.assign(word=None)
    assert_array_equal(outputs(model, new.assign(word="violet")), outputs(model, expected))


@both
def test_features_have_to_be_those_of_the_fit(estimator):
    model = estimator(**SMALL).fit(X, Y[estimator])
    for new, message in (
        (X[X.columns[::-1]], "must be in the same order"),
        (X.drop(columns="size"), "seen at fit time, yet now missing"),
        (X.assign(more=1), "unseen at fit time"),
        (X.assign(size="large"), "X has 'large' in the feature 'size', which must be a number"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(new)
    of_array = estimator(**SMALL).fit(X[["size", "count"]].to_numpy(), Y[estimator])
    with pytest.raises(ValueError, match=f"X has 3 features, but {estimator.__name__} is expecting 2 features"):
        of_array.predict(np.zeros((4, 3)))
    with pytest.warns(UserWarning, match=f"but {estimator.__name__} was fitted with"):
        model.predict(X.to_numpy())
    with pytest.raises(NotFittedError, match=f"This {estimator.__name__} instance is not fitted yet"):
        estimator().predict(X)


BAD = {
    "dates": ({}, X.assign(day=pd.Timestamp("2020-01-01")), Y, {}, "X has dates or times: day is .*skrub"),
    "duplicate names": ({}, pd.concat([X, X], axis=1), Y, {}, r"X has several columns of the same name: \['size'"),
    "infinity": ({}, X.assign(size=np.inf), Y, {}, "contains infinity in the feature 'size'"),
    "words as numbers": ({"categorical_features": ["kind"]}, X, Y, {}, "in the feature 'word', which must be a number"),
    "no such feature": ({"categorical_features": ["shape"]}, X, Y, {}, "'shape', which is not a feature of X"),
    "other length": ({}, X.head(9), Y, {}, r"inconsistent numbers of samples: \[9, 200\]"),
    "no y": ({}, X, dict.fromkeys(Y), {}, "requires y to be passed, but the target y is None"),
    "negative weight": ({}, X, Y, {"sample_weight": np.linspace(-1, 1, 200)}, "Negative values in .*sample_weight"),
    "no weight": ({}, X, Y, {"sample_weight": np.zeros(200)}, "sample_weight.* at least one non-zero"),
    "a single group": ({}, X, Y, {"groups": np.zeros(200)}, "groups has a single group"),
    "other groups": ({}, X, Y, {"groups": np.arange(9)}, "groups.* inconsistent numbers of samples"),
    "y_val": ({}, X, Y, {"y_val": LABELS}, "y_val and sample_weight_val are for a validation set: pass its X_val"),
    "X_val": ({}, X, Y, {"X_val": X}, "X_val is given without y_val"),
    "other X_val": ({}, X, Y, {"X_val": X[["size"]], "y_val": LABELS}, "seen at fit time, yet now missing"),
    "member": ({"dropout": [0.1, 0.1]}, X, Y, {}, "has 2 rates, but there are 1 hidden layers"),
    "parameter": ({"n_members": 0}, X, Y, {}, "The 'n_members' parameter of"),
}


@both
def test_a_lazy_frame_is_refused(estimator):
    lazy = pl.from_pandas(X).lazy()
    with pytest.raises(TypeError, match=r"X is a polars\.LazyFrame, which is not in memory\. Pass X\.collect\(\)"):
        estimator(**SMALL).fit(lazy, Y[estimator])
    with pytest.raises(TypeError, match=r"X_val is a polars\.LazyFrame.* Pass X_val\.collect\(\)"):
        estimator(**SMALL).fit(X, Y[estimator], X_val=lazy, y_val=Y[estimator])
    with pytest.raises(TypeError, match=r"X is a polars\.LazyFrame"):
        estimator(**SMALL).fit(X, Y[estimator]).predict(lazy)


@both
@pytest.mark.parametrize(("params", "table", "y", "more", "message"), BAD.values(), ids=BAD)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(estimator, params, table, y, more, message):
    unfitted = estimator(**SMALL | params)
    with pytest.raises(ValueError, match=message):
        unfitted.fit(table, y[estimator], **more)
    with pytest.raises(NotFittedError):
        check_is_fitted(unfitted)
    assert not hasattr(unfitted, "n_features_in_")
    fitted = estimator(**SMALL).fit(X[["size", "word"]], Y[estimator]).set_params(**params)
    before = pickle.dumps(fitted)
    with pytest.raises(ValueError, match=message):
        fitted.fit(table, y[estimator], **more)
    assert pickle.dumps(fitted) == before


# -- labels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [["b", "a", "c"], [7, -2, 30], [4.0, 1.0, 2.0], ["b", "a"], [True, False], [3, 1]],
    ids=["words", "integers", "floats", "two words", "bool", "two integers"],
)
def test_labels_of_any_type(labels):
    iris, codes = load_iris(return_X_y=True)
    rows = codes < len(labels)
    iris, y = iris[rows], np.array(labels)[codes[rows]]
    clf = TabularMLPClassifier(**LONG).fit(iris, y)
    assert_array_equal(clf.classes_, np.unique(y), strict=True)
    probability = clf.predict_proba(iris)
    assert_allclose(probability.sum(axis=1), 1)
    assert_array_equal(clf.predict(iris), clf.classes_[probability.argmax(axis=1)])
    assert_allclose(clf.predict_log_proba(iris), np.log(probability))
    assert clf.score(iris, y) == np.mean(clf.predict(iris) == y) > 0.9


def test_a_class_of_one_row_and_a_single_class():
    y = np.where(np.arange(200) == 3, "rare", LABELS)
    clf = TabularMLPClassifier(**SMALL | {"n_members": 5}).fit(X, y)
    assert clf.classes_.tolist() == ["high", "low", "rare"]
    assert clf.oof_prediction_.shape == (200, 3)
    assert np.isfinite(clf.oof_prediction_).all()
    assert TabularMLPClassifier(**SMALL).fit(X, ["only"] * 200).predict(X).tolist() == ["only"] * 200


def test_multilabel_and_multiclass_multioutput():
    labels = np.column_stack([LABELS == "high", X["flag"], X["count"] > 4]).astype(int)
    clf = TabularMLPClassifier(**LONG).fit(X, labels)
    assert clf.n_outputs_ == 3
    assert clf.oof_prediction_.shape == clf.predict_proba(X).shape == clf.predict(X).shape == (200, 3)
    assert clf.score(X, labels) == np.mean((clf.predict(X) == labels).all(axis=1)) > 0.5
    words = np.column_stack([LABELS, X["kind"].astype(object).fillna("none"), X["flag"].astype(str)])
    clf = TabularMLPClassifier(**LONG).fit(X, words)
    assert [classes.tolist() for classes in clf.classes_] == [sorted(set(column)) for column in words.T]
    for probabilities in (clf.predict_proba(X), clf.oof_prediction_):
        assert [each.shape for each in probabilities] == [(200, 2), (200, 4), (200, 2)]
    assert clf.score(X, words) == np.mean((clf.predict(X) == words).all(axis=1)) > 0.3


# -- targets -----------------------------------------------------------------------------------------------------------


def test_several_outputs_of_different_scales():
    y = np.column_stack([1e6 * TARGET, X["count"] / 1e3])
    reg = TabularMLPRegressor(**LONG).fit(X, y)
    assert reg.predict(X).shape == reg.oof_prediction_.shape == (200, 2)
    assert reg.score(X, y) == pytest.approx(r2_score(y, reg.predict(X)))
    assert (r2_score(y, reg.predict(X), multioutput="raw_values") > 0.7).all()


def test_a_column_vector_is_a_single_output():
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        reg = TabularMLPRegressor(**SMALL).fit(X, TARGET[:, np.newaxis])
    assert_array_equal(reg.predict(X), TabularMLPRegressor(**SMALL).fit(X, TARGET).predict(X))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.parametrize(("scale", "shift"), [(1e6, 0.0), (1e-4, 0.0), (1.0, 1e5)])
def test_the_unit_of_y_does_not_matter(loss, scale, shift):
    reg = TabularMLPRegressor(**LONG, loss=loss).fit(X, scale * TARGET + shift)
    plain = TabularMLPRegressor(**LONG, loss=loss).fit(X, TARGET)
    assert_allclose((reg.predict(X) - shift) / scale, plain.predict(X), atol=2e-2)
    assert plain.score(X, TARGET) > 0.7


def test_quantiles():
    levels = [0.1, 0.5, 0.9]
    reg = TabularMLPRegressor(**LONG, loss="quantile", quantile=levels).fit(X, TARGET)
    predicted = reg.predict(X)
    assert predicted.shape == reg.oof_prediction_.shape == (200, 3)
    assert (np.diff(predicted, axis=1) >= 0).all()
    assert (np.diff(predicted.mean(axis=0)) > 0.1).all()
    covered = (TARGET[:, np.newaxis] <= predicted).mean(axis=0)
    assert_allclose(covered, levels, atol=0.1)
    of_each = [d2_pinball_score(TARGET, column, alpha=q) for column, q in zip(predicted.T, levels, strict=True)]
    assert reg.score(X, TARGET) == pytest.approx(np.mean(of_each))


@pytest.mark.parametrize(("loss", "power"), [("poisson", 1), ("gamma", 2), ("tweedie", 1.5)])
@pytest.mark.parametrize("mean", [1e-3, 1.0, 1e3])
def test_positive_targets_of_any_mean(loss, power, mean):
    rate = mean * np.exp(TARGET)
    y = np.random.default_rng(0).poisson(rate) if loss == "poisson" and mean > 1 else rate
    reg = TabularMLPRegressor(**LONG, loss=loss).fit(X, y)
    predicted = reg.predict(X)
    assert (predicted > 0).all()
    assert d2_tweedie_score(y, predicted, power=power) > 0.5


# -- weights -----------------------------------------------------------------------------------------------------------


@both
def test_rows_of_zero_weight_are_absent(estimator):
    kept = np.arange(200) % 3 > 0
    weight = np.where(kept, np.linspace(1, 2, 200), 0)
    table, y = X.copy(), Y[estimator].copy()
    # What they have makes no difference.
    table.loc[~kept, ["size", "word"]] = 1e7, "absent"
    y[~kept] = y[0] if estimator is TabularMLPClassifier else 1e9
    model = estimator(**SMALL).fit(table, y, weight)
    expected = estimator(**SMALL).fit(X[kept], Y[estimator][kept], weight[kept])
    assert_array_equal(outputs(model, X), outputs(expected, X))
    assert_array_equal(model.oof_prediction_[kept], expected.oof_prediction_)
    assert np.isnan(model.oof_prediction_[~kept]).all()
    assert len(model.oof_prediction_) == 200
    assert model.oof_score_ == expected.oof_score_


@both
def test_a_weight_is_a_repetition_in_a_small_table(estimator):
    times = np.arange(60) % 4
    table, y = X.head(60), Y[estimator][:60]
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(60), times))
    params = SMALL | {"max_iter": 10}
    weighted = estimator(**params).fit(table, y, times)
    repeated = estimator(**params).fit(table.iloc[order], y[order])
    assert_allclose(outputs(weighted, X), outputs(repeated, X), rtol=1e-9)
    assert_allclose(weighted.oof_prediction_[order], repeated.oof_prediction_, rtol=1e-9)
    assert weighted.oof_score_ == pytest.approx(repeated.oof_score_)


@both
@pytest.mark.parametrize("n_rows", [60, 200])
def test_the_unit_of_weights_does_not_matter(estimator, n_rows):
    table, y = X.head(n_rows), Y[estimator][:n_rows]
    units = 1.0, 1e-3, 1e3, 1e-60, 1e60
    models = [estimator(**SMALL).fit(table, y, np.full(n_rows, unit)) for unit in units]
    models.append(estimator(**SMALL).fit(table, y))
    for model in models[1:]:
        assert_allclose(outputs(model, X), outputs(models[0], X), atol=1e-3)


def test_class_weights_are_weights():
    y = np.where(TARGET > 1.5, "rare", "often")
    # Categories, whose encoding does not depend on weights.
    table, params = X[["word", "kind", "flag"]], SMALL | {"max_interactions": 0}
    clf = TabularMLPClassifier(**params, class_weight={"rare": 5.0, "often": 0.5}).fit(table, y)
    expected = TabularMLPClassifier(**params).fit(table, y, np.where(y == "rare", 5.0, 0.5))
    assert_allclose(clf.predict_proba(table), expected.predict_proba(table), rtol=1e-5)
    clf, plain = (TabularMLPClassifier(**LONG, class_weight=each).fit(X, y) for each in ("balanced", None))
    assert clf.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.1
    counts = {label: 200 / (2 * np.sum(y == label)) for label in ("rare", "often")}
    balanced = TabularMLPClassifier(**SMALL, class_weight="balanced").fit(X, y)
    by_hand = TabularMLPClassifier(**SMALL, class_weight=counts).fit(X, y)
    assert_allclose(balanced.predict_proba(X), by_hand.predict_proba(X), rtol=1e-5)


def test_a_single_row_with_weight_cannot_be_trained_and_validated_on():
    alone = np.arange(200) == 3
    message = "is zero for all rows that a network is trained on, or validated on"
    with pytest.raises(ValueError, match=message):
        TabularMLPClassifier(**SMALL, class_weight={True: 1, False: 0}).fit(X, alone)
    with pytest.raises(ValueError, match=message):
        TabularMLPRegressor(**SMALL).fit(X, TARGET, np.where(alone, 1.0, 1e-60))  # zero in float32


def test_label_smoothing_makes_probabilities_less_sure():
    models = [TabularMLPClassifier(**LONG, label_smoothing=each).fit(X, LABELS) for each in (0.0, 0.4)]
    sure, smooth = (model.predict_proba(X).max(axis=1).mean() for model in models)
    assert smooth < sure - 0.05
