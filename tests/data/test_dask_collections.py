"""Arrays, frames and series of Dask in all forms that X, y and weights have, and predictions that are like X."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from scipy.sparse import csr_matrix, issparse
from sklearn.datasets import load_digits

from sklearn_mlp import MLPClassifier
from sklearn_mlp.dask import DaskMLPClassifier, DaskMLPRegressor, DaskTabularMLPClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("timeout"),
]

X, Y = load_digits(return_X_y=True)
X, Y = X[:900] / 16, Y[:900]
DASK_X, DASK_Y = da.from_array(X, chunks=(300, -1)), da.from_array(Y, chunks=300)
FRAME = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)], index=np.arange(900) * 10 + 5)
SERIES = pd.Series(Y, FRAME.index, name="digit")
DASK_FRAME, DASK_SERIES = dd.from_pandas(FRAME, npartitions=3), dd.from_pandas(SERIES, npartitions=3)


def classifier(**parameters):
    defaults = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0, "n_shards": 2}
    return DaskMLPClassifier(**defaults | parameters)


@pytest.fixture(scope="module", autouse=True)
def threads():
    """A cluster within this process."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with Client(processes=False, **options) as client:
        yield client


@pytest.fixture(scope="module")
def fitted(threads):
    return classifier().fit(DASK_X, DASK_Y)


def chunked(array, *sizes):
    """With partitions of these numbers of rows, which can be 0."""
    return da.from_array(array, chunks=(sizes, *array.shape[1:]))


def assert_same(clf, other):
    for W, expected in zip(clf.coefs_, other.coefs_, strict=True):
        assert_array_equal(W, expected)


# -- partitions --------------------------------------------------------------------------------------------------------


def test_empty_partitions_have_no_effect(fitted):
    sizes = 0, 300, 300, 0, 300, 0
    x, y = chunked(X, *sizes), chunked(Y, *sizes)
    clf = classifier().fit(x, y)
    assert_same(clf, fitted)
    assert_array_equal(clf.predict(x).compute(), fitted.predict(DASK_X).compute())


def test_a_frame_of_which_a_filter_leaves_nothing_in_a_partition():
    kept = FRAME.index < 6000
    x, y = (each.map_partitions(lambda part: part[part.index < 6000]) for each in (DASK_FRAME, DASK_SERIES))
    clf = classifier().fit(x, y)
    assert clf.t_ == 2 * kept.sum()
    assert_array_equal(clf.predict(x).compute().index, FRAME.index[kept])
    assert clf.predict_proba(x).get_partition(2).compute().shape == (0, 10)


def test_a_class_in_one_partition_only_and_sorted_rows():
    order = np.argsort(Y, kind="stable")
    x, y = da.from_array(X[order], chunks=(90, -1)), da.from_array(Y[order], chunks=90)
    clf = classifier(hidden_layer_sizes=(32,), max_iter=25, sync_every=1, learning_rate_init=0.01).fit(x, y)
    assert_array_equal(clf.classes_, range(10))
    assert clf.score(x, y) > 0.9


def test_more_shards_than_workers_and_than_partitions():
    assert classifier(n_shards=3).fit(DASK_X, DASK_Y).n_shards_ == 3
    with pytest.warns(UserWarning, match=r"n_shards=7, but X has 3 partitions with rows.*3 shards are used"):
        clf = classifier(n_shards=7).fit(DASK_X, DASK_Y)
    assert clf.n_shards_ == 3
    assert_same(clf, classifier(n_shards=3).fit(DASK_X, DASK_Y))


def test_uneven_partitions():
    sizes = 800, 100
    with pytest.warns(UserWarning, match=r"smallest of 2 shards has 100 rows, less than half of the mean, 450"):
        clf = classifier().fit(chunked(X, *sizes), chunked(Y, *sizes))
    assert clf.n_shards_ == 2


# -- weights -----------------------------------------------------------------------------------------------------------


def test_weights_are_those_of_rows():
    """A weight of zero in whole partitions, and frames of weights; a constant weight has no effect."""
    weight = np.where(np.arange(900) < 300, 0.0, 1 + np.arange(900) % 3)
    of_weights = classifier(n_shards=1).fit(DASK_X, DASK_Y, chunked(weight, 300, 300, 300))
    y = Y.copy()
    y[:300] = y[:300][::-1]
    changed = classifier(n_shards=1).fit(DASK_X, chunked(y, 300, 300, 300), chunked(weight, 300, 300, 300))
    assert_same(of_weights, changed)
    assert_allclose(of_weights.loss_, changed.loss_)
    ones = dd.from_pandas(pd.Series(2.0, FRAME.index), npartitions=3)
    frames = classifier().fit(DASK_FRAME, DASK_SERIES, ones)
    assert_allclose(frames.coefs_[0], classifier(alpha=1e-4 / 2).fit(DASK_FRAME, DASK_SERIES).coefs_[0], rtol=1e-7)


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_missing_and_negative_weights(value):
    weight = np.ones(900)
    weight[700] = value
    with pytest.raises(ValueError, match=r"Partition 2 of X: .*sample_weight|Partition 2 of X: .*[Nn]egative"):
        classifier().fit(DASK_X, DASK_Y, chunked(weight, 300, 300, 300))
    with pytest.raises(ValueError, match=r"X has no row with a positive weight"):
        classifier().fit(DASK_X, DASK_Y, chunked(weight * 0, 300, 300, 300) if value < 0 else 0 * DASK_Y)


# -- labels and targets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["str", "object", "bool", "category", "Int64"])
def test_labels_of_several_types(kind):
    y = pd.Series(Y > 4, FRAME.index) if kind == "bool" else SERIES
    y = y.astype({"str": "str", "object": "object"}.get(kind, kind))
    if kind == "object":
        y = y.map(lambda digit: f"digit {digit}").astype(object)
    clf = classifier().fit(DASK_FRAME, dd.from_pandas(y, npartitions=3))
    local = MLPClassifier(max_iter=1).fit(FRAME, y)
    assert_array_equal(clf.classes_, local.classes_)
    assert clf.classes_.dtype == local.classes_.dtype
    prediction = clf.predict(DASK_FRAME)
    assert prediction.dtype == prediction.compute().dtype
    assert set(prediction.compute()) <= set(local.classes_)


TWO = np.c_[Y, Y % 3]
LABELS = np.c_[Y > 4, Y % 2 == 0].astype(int)


def test_several_outputs():
    clf = classifier().fit(DASK_X, chunked(TWO, 300, 300, 300))
    local = clf.to_local()
    assert_array_equal(clf.predict(DASK_X).compute(), local.predict(X))
    for name in ("predict_proba", "predict_log_proba"):
        for found, expected in zip(getattr(clf, name)(DASK_X), getattr(local, name)(X), strict=True):
            assert found.shape == expected.shape
            assert_allclose(found.compute(), expected)
    of_frame = pd.DataFrame(TWO, FRAME.index, columns=["digit", "rest"])
    clf = classifier().fit(DASK_FRAME, dd.from_pandas(of_frame, npartitions=3))
    assert_array_equal(clf.predict(DASK_FRAME).compute(), local.predict(X))
    assert clf.score(DASK_FRAME, dd.from_pandas(of_frame, npartitions=3)) == local.score(X, TWO)
    probability = clf.predict_proba(DASK_FRAME)[1].compute()
    assert probability.columns.tolist() == [0, 1, 2]
    assert_array_equal(probability.index, FRAME.index)


@pytest.mark.parametrize("sparse", [False, True])
def test_multilabel(sparse):
    y = chunked(LABELS, 300, 300, 300)
    y = y.map_blocks(csr_matrix) if sparse else y
    clf = classifier().fit(DASK_X, y)
    prediction = clf.predict(DASK_X).compute()
    assert issparse(prediction) == sparse
    expected = clf.to_local().predict(X)
    assert_array_equal(prediction.toarray() if sparse else prediction, expected.toarray() if sparse else expected)
    assert clf.predict_proba(DASK_X).shape == (900, 2)
    assert clf.score(DASK_X, y) == clf.to_local().score(X, LABELS)


# -- predictions -------------------------------------------------------------------------------------------------------


def test_predictions_of_frames_keep_index_divisions_and_order():
    clf = classifier().fit(DASK_FRAME, DASK_SERIES)
    local = clf.to_local()
    prediction, probability = clf.predict(DASK_FRAME), clf.predict_proba(DASK_FRAME)
    for found in (prediction, probability):
        assert found.divisions == DASK_FRAME.divisions
        assert found.known_divisions
    assert_series_equal(prediction.compute(), pd.Series(local.predict(FRAME), FRAME.index))
    expected = pd.DataFrame(local.predict_proba(FRAME), FRAME.index, columns=local.classes_)
    assert_frame_equal(probability.compute(), expected)
    assert_frame_equal(clf.predict_log_proba(DASK_FRAME).compute(), np.log(expected))
    hidden = clf.transform(DASK_FRAME).compute()
    assert_array_equal(hidden, local.transform(FRAME))
    assert hidden.columns.tolist() == [*range(8)]


def test_predictions_of_arrays_of_unknown_chunks(fitted):
    x, y = DASK_FRAME.to_dask_array(), DASK_SERIES.to_dask_array()
    assert np.isnan(x.shape[0])
    assert_same(classifier().fit(x, y), fitted)
    assert_array_equal(fitted.predict(x).compute(), fitted.predict(DASK_X).compute())
    assert fitted.predict_proba(x).compute().shape == (900, 10)


def test_predictions_are_lazy_and_like_x(fitted):
    def fail(block):
        raise ArithmeticError("was read")

    probability = fitted.predict_proba(DASK_X.map_blocks(fail, meta=X[:0]))
    assert probability.chunks == ((300, 300, 300), (10,))
    assert probability.dtype == fitted.to_local().predict_proba(X).dtype
    with pytest.raises(ArithmeticError, match="was read"):
        probability.compute()
    sparse = DASK_X.map_blocks(csr_matrix)
    assert_array_equal(fitted.predict(sparse).compute(), fitted.predict(DASK_X).compute())
    clf = classifier().fit(sparse, DASK_Y)
    assert_allclose(clf.coefs_[0], fitted.coefs_[0], rtol=1e-6, atol=1e-9)
    assert fitted.predict(chunked(X[:0], 0)).compute().shape == (0,)
    with pytest.raises(ValueError, match=r"out is for arrays in memory"):
        fitted.predict(DASK_X, out=np.empty(900))


def test_the_model_is_one_task_of_a_prediction(fitted):
    """Which a worker that needs it copies once, whatever the number of partitions."""
    x = da.from_array(X, chunks=(10, -1))
    models = [key for key in dict(fitted.predict(x).__dask_graph__()) if "MLPClassifier" in str(key)]
    assert len(models) == 1


def test_names_of_an_earlier_fit_are_forgotten():
    clf = classifier().fit(DASK_FRAME, DASK_SERIES)
    assert_array_equal(clf.feature_names_in_, FRAME.columns)
    clf.fit(DASK_X, DASK_Y)
    assert not hasattr(clf, "feature_names_in_")
    clf.predict(DASK_X).compute()  # without a warning


# -- errors ------------------------------------------------------------------------------------------------------------


def replaced(i, change):
    """X with another partition."""

    def of_block(block, block_info=None):
        return change(block) if block_info[0]["chunk-location"][0] == i else block

    return DASK_X.map_blocks(of_block, dtype=X.dtype)


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("numpy", TypeError, r"X is a numpy.ndarray, and DaskMLPClassifier takes Dask.*sklearn_mlp\.MLPClassifier"),
        ("numpy y", TypeError, r"y is a numpy.ndarray"),
        ("no y", ValueError, r"requires y to be passed"),
        ("columns", ValueError, r"X has its columns in 2 chunks.*X\.rechunk\(\{1: -1\}\)"),
        ("partitions", ValueError, r"X has 3 partitions and y has 2.*repartition"),
        ("rows", ValueError, r"Partition \d of X: .*inconsistent numbers of samples"),
        ("no rows", ValueError, r"X has no row with a positive weight"),
        ("NaN", ValueError, r"Partition 1 of X: Input X contains NaN"),
        ("features", ValueError, r"Partition \d of X has 64 features, and partition \d has 63 features"),
        ("objects", ValueError, r"Partition \d of X: "),
        ("series", ValueError, r"Expected 2D array"),
    ],
)
def test_errors(kind, error, message):
    x, y = DASK_X, DASK_Y
    if kind == "numpy":
        x = X
    elif kind == "numpy y":
        y = Y
    elif kind == "no y":
        y = None
    elif kind == "columns":
        x = DASK_X.rechunk({1: 32})
    elif kind == "partitions":
        y = DASK_Y.rechunk(450)
    elif kind == "rows":
        y = chunked(Y, 300, 299, 301)
    elif kind == "no rows":
        x, y = DASK_X[:0], DASK_Y[:0]
    elif kind == "NaN":
        x = replaced(1, lambda block: block * np.nan)
    elif kind == "features":
        x = replaced(2, lambda block: block[:, 1:])
    elif kind == "objects":
        x = dd.from_pandas(FRAME.assign(name="abc"), npartitions=3)
    elif kind == "series":
        x = DASK_SERIES
    clf = classifier()
    with pytest.raises(error, match=message):
        clf.fit(x, y)
    assert not hasattr(clf, "coefs_")


def test_columns_of_another_name_in_a_partition():
    def rename(part, partition_info=None):
        return part.rename(columns={"pixel 3": "pixel 1003"}) if partition_info["number"] == 2 else part

    x = DASK_FRAME.map_partitions(rename, meta=FRAME[:0], enforce_metadata=False)
    with pytest.raises(ValueError, match=r"(?s)Partition \d of X has \[.*and partition \d has \["):
        classifier().fit(x, DASK_SERIES)


@pytest.mark.parametrize("estimator", [DaskMLPRegressor(), DaskTabularMLPClassifier()])
def test_all_estimators_refuse_arrays_in_memory(estimator):
    with pytest.raises(TypeError, match=f"takes Dask arrays and data frames.*{type(estimator)._local_class.__name__}"):
        estimator.fit(X, Y)


def test_predictions_of_other_data(fitted):
    with pytest.raises(TypeError, match=r"X is a numpy\.ndarray"):
        fitted.predict(X)
    with pytest.raises(ValueError, match="Expected 2D array"):
        fitted.predict(DASK_Y)
    with pytest.raises(ValueError, match="63 features"):
        fitted.predict(DASK_X[:, 1:].rechunk({1: -1}))
    with pytest.raises(TypeError, match=r"y is a numpy\.ndarray"):
        fitted.score(DASK_X, Y)
