"""Data frames, nullable columns, dates, objects and arrays of other libraries: what NumPy makes of them, everywhere."""

import datetime
from functools import partial

import array_api_strict
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from sklearn_mlp import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.encoders import PiecewiseLinearEncoder, TabularEncoder

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SMALL = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0}
N = 60
X = np.random.RandomState(0).randint(-4, 5, (N, 3)) / 4
CODES = (X[:, 0] > 0).astype(int)
TARGET = X[:, 0] - X[:, 1]
WEIGHT = np.linspace(0.5, 2, N)
NAMES = ["a", "b", "c"]


def parameters(model):
    return np.concatenate([array.ravel() for array in model.coefs_ + model.intercepts_])


# -- the precision of columns ------------------------------------------------------------------------------------------

COLUMNS = {
    "float32": [X[:, j].astype(np.float32) for j in range(3)],
    "float32, int8 and bool": [X[:, 0].astype(np.float32), (4 * X[:, 1]).astype(np.int8), X[:, 2] > 0],
    "float32, float16 and uint16": [X[:, 0].astype("f4"), X[:, 1].astype("f2"), (4 * X[:, 2] + 4).astype("u2")],
    "float32 and int32": [X[:, 0].astype(np.float32), X[:, 1].astype(np.int32), X[:, 2].astype(np.float32)],
    "float32 and float64": [X[:, 0].astype(np.float32), X[:, 1], X[:, 2].astype(np.float32)],
    "float16": [X[:, j].astype(np.float16) for j in range(3)],
    "int16": [(4 * X[:, j]).astype(np.int16) for j in range(3)],
}


def nullable(columns):
    names = {"bool": "boolean", "uint16": "UInt16"} | {
        f"{kind}{n}": f"{kind.title()}{n}" for kind in ("int", "float") for n in (8, 16, 32, 64)
    }
    return pd.DataFrame(
        {
            name: pd.Series(each, dtype=names.get(each.dtype.name, "float16").replace("Float16", "float16"))
            for name, each in columns.items()
        }
    )


FRAMES = {
    "pandas": pd.DataFrame,
    "pandas nullable": nullable,
    "pandas of Arrow": lambda columns: pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
}


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_float32_columns_give_a_float32_model(frame, columns):
    promoted = np.result_type(*columns)
    expected = np.float32 if promoted == np.float32 else np.float64
    data = frame(dict(zip(NAMES, columns, strict=True)))
    array = np.column_stack(columns).astype(expected)
    model = MLPRegressor(**SMALL).fit(data, TARGET, X_val=data, y_val=TARGET)
    by_array = MLPRegressor(**SMALL).fit(array, TARGET, X_val=array, y_val=TARGET)
    assert parameters(model).dtype == model.predict(data).dtype == expected
    assert_array_equal(model.predict(data), by_array.predict(array))
    assert model.validation_scores_ == by_array.validation_scores_
    assert_array_equal(parameters(model.partial_fit(data, TARGET)), parameters(by_array.partial_fit(array, TARGET)))


# -- dates -------------------------------------------------------------------------------------------------------------

DAYS = np.datetime64("2020-01-01") + np.arange(N)
MOMENTS = DAYS.astype("datetime64[us]")
SPANS = MOMENTS - MOMENTS[::-1]
DATES = {
    "NumPy": DAYS,
    "NumPy durations": SPANS,
    "list": list(DAYS),
    "list of date": DAYS.tolist(),
    "list of timedelta": SPANS.tolist(),
    "objects": np.array(list(DAYS), dtype=object),
    "Timestamps": list(pd.Series(MOMENTS)),
    "pandas": pd.Series(MOMENTS),
    "pandas durations": pd.Series(SPANS),
    "pandas with a time zone": pd.Series(MOMENTS).dt.tz_localize("UTC"),
    "pandas periods": pd.Series(MOMENTS).dt.to_period("D"),
    "pandas categories": pd.Series(MOMENTS, dtype="category"),
    "pandas objects": pd.Series(MOMENTS).astype(object),
    "pandas of Arrow": pd.Series(pa.array(DAYS).to_pandas(types_mapper=pd.ArrowDtype)),
    "polars Date": pl.Series(DAYS),
    "polars Datetime": pl.Series(MOMENTS),
    "polars Duration": pl.Series(SPANS),
    "polars Time": pl.Series([datetime.time(i % 24) for i in range(N)]),
    "pyarrow dates": pa.array(DAYS),
    "pyarrow timestamps": pa.chunked_array([pa.array(MOMENTS)]),
    "pyarrow durations": pa.array(SPANS),
}


def beside_numbers(dates):
    """A table of two columns, the second of which is called day and has the dates."""
    if isinstance(dates, pd.Series):
        return pd.DataFrame({"x": X[:, 0], "day": dates})
    if isinstance(dates, pl.Series):
        return pl.DataFrame({"x": X[:, 0], "day": dates})
    if isinstance(dates, pa.Array | pa.ChunkedArray):
        return pa.table({"x": X[:, 0], "day": dates})
    return [[x, day] for x, day in zip(X[:, 0].tolist(), dates, strict=True)]


@pytest.mark.parametrize("dates", DATES.values(), ids=DATES)
@pytest.mark.parametrize("name", ["X", "X_val", "sample_weight", "sample_weight_val", "y", "y_val"])
def test_dates_are_no_numbers(name, dates):
    arguments = {"X": X[:, :2], "y": TARGET, "X_val": X[:, :2], "y_val": TARGET}
    table = name.startswith("X")
    where = r"dates or times: (day|dtype) is \w+(\[\w+\])?\. Convert them to numbers"
    with pytest.raises(ValueError, match=f"^{name}.* has {where}"):
        MLPRegressor(**SMALL).fit(**arguments | {name: beside_numbers(dates) if table else dates})
    if name == "y":
        with pytest.raises(ValueError, match=r"^y has dates or times"):
            MLPRegressor(**SMALL).fit(**arguments | {"y": beside_numbers(dates)})
    if name == "X":
        with pytest.raises(ValueError, match=r"^X has dates or times"):
            MLPRegressor(**SMALL).fit(X[:, :2], TARGET).predict(beside_numbers(dates))


LABELS = DAYS[CODES]


@pytest.mark.parametrize("y", [LABELS, list(LABELS), pd.Series(LABELS), pl.Series(LABELS), pa.array(LABELS)], ids=type)
def test_dates_can_be_labels(y):
    model = MLPClassifier(**SMALL).fit(X, y, X_val=X, y_val=LABELS.astype("datetime64[ns]"))
    assert_array_equal(model.classes_, DAYS[:2])
    assert_array_equal(model.predict(X), DAYS[MLPClassifier(**SMALL).fit(X, CODES).predict(X)])
    assert model.validation_scores_[-1] == model.score(X, LABELS.astype("datetime64[s]")) == model.score(X, y)
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`"):
        model.partial_fit(X, LABELS.astype("datetime64[s]") + np.timedelta64(1, "s"))


# -- objects and nullable columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [TARGET, X[:, :2]], ids=["one column", "two columns"])
def test_targets_that_are_objects(y):
    objects = y.astype(object)
    model = MLPRegressor(**SMALL).fit(X, objects, X_val=X, y_val=objects).partial_fit(X, objects)
    by_floats = MLPRegressor(**SMALL).fit(X, y, X_val=X, y_val=y).partial_fit(X, y)
    assert_array_equal(parameters(model), parameters(by_floats))
    assert model.validation_loss_curve_ == by_floats.validation_loss_curve_
    assert model.score(X, objects) == by_floats.score(X, y)


WORDS = np.where(CODES, "yes", "no")
NATURAL_LABELS = {
    "pandas Int64": (pd.Series(CODES, dtype="Int64"), CODES),
    "pandas UInt8": (pd.Series(CODES, dtype="UInt8"), CODES.astype(np.uint8)),
    "pandas boolean": (pd.Series(CODES > 0, dtype="boolean"), CODES > 0),
    "pandas string": (pd.Series(WORDS, dtype="string"), WORDS),
    "pandas Int64 of Arrow": (pd.Series(CODES, dtype="int64[pyarrow]"), CODES),
    "pandas categories of integers": (pd.Series(CODES, dtype="category"), CODES),
    "pandas objects": (pd.Series(CODES > 0, dtype=object), CODES > 0),
    "a column of pandas objects": (pd.DataFrame({"y": pd.Series(CODES, dtype=object)}), CODES),
    "objects": (CODES.astype(object), CODES),
    "polars": (pl.Series(CODES > 0), CODES > 0),
    "polars categories": (pl.Series(WORDS, dtype=pl.Categorical), WORDS),
    "pyarrow": (pa.array(CODES), CODES),
    "pyarrow chunks of strings": (pa.chunked_array([WORDS.tolist()]), WORDS),
}


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize(("y", "labels"), NATURAL_LABELS.values(), ids=NATURAL_LABELS)
def test_labels_keep_their_type(y, labels):
    model = MLPClassifier(**SMALL).fit(X, y, X_val=X, y_val=y)
    by_codes = MLPClassifier(**SMALL).fit(X, CODES, X_val=X, y_val=CODES)
    assert_array_equal(parameters(model), parameters(by_codes))
    assert_array_equal(model.classes_, np.unique(labels), strict=True)
    assert_array_equal(model.predict(X), np.unique(labels)[by_codes.predict(X)], strict=True)
    assert model.score(X, y) == model.validation_scores_[-1] == by_codes.score(X, CODES)
    assert_array_equal(MLPClassifier(**SMALL).partial_fit(X, y, classes=labels).classes_, model.classes_, strict=True)


SOME = np.arange(N) % 7 == 0
MISSING = {
    "pandas Int64": pd.Series(CODES, dtype="Int64").mask(SOME),
    "pandas boolean": pd.Series(CODES > 0, dtype="boolean").mask(SOME),
    "pandas string": pd.Series(WORDS, dtype="string").mask(SOME),
    "pandas categories": pd.Series(WORDS, dtype="category").mask(SOME),
    "pandas objects": pd.Series(CODES, dtype=object).mask(SOME),
    "objects": np.where(SOME, None, WORDS),
    "a list": np.where(SOME, None, CODES).tolist(),
    "polars": pl.Series(np.where(SOME, None, CODES).tolist()),
    "polars of strings": pl.Series(np.where(SOME, None, WORDS).tolist()),
    "pyarrow": pa.array(CODES, mask=SOME),
    "two columns": pd.DataFrame({"a": CODES, "b": pd.Series(WORDS).mask(SOME)}),
    "two nullable columns": pd.DataFrame({"a": WORDS, "b": pd.Series(CODES, dtype="Int64").mask(SOME)}),
}


@pytest.mark.parametrize("y", MISSING.values(), ids=MISSING)
def test_missing_labels(y):
    with pytest.raises(ValueError, match=r"Input y contains (missing values|NaN)"):
        MLPClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match=r"^y_val: Input y contains (missing values|NaN)"):
        MLPClassifier(**SMALL).fit(X, CODES, X_val=X, y_val=y)


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_missing_target_among_objects(estimator):
    with pytest.raises(ValueError, match=r"Input y contains missing values \(None, NaN or NA\). Drop their rows"):
        estimator(**SMALL).fit(X, np.where(SOME, None, CODES))


# -- arrays of other libraries -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_of_another_library_are_converted(dtype, dispatch, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without which scikit-learn refuses the option
    other = array_api_strict.asarray
    x, t, weight = X.astype(dtype), TARGET.astype(dtype), WEIGHT.astype(dtype)
    fitted = []
    for read in (other, np.asarray):
        data = {"X": read(x), "sample_weight": read(weight), "X_val": read(x), "sample_weight_val": read(weight)}
        with sklearn.config_context(array_api_dispatch=dispatch and read is other):
            classifier = MLPClassifier(**SMALL).fit(y=read(CODES), y_val=read(CODES), **data)
            regressor = MLPRegressor(**SMALL, scoring="r2").fit(y=read(t), y_val=read(t), **data)
            several = MLPClassifier(**SMALL).partial_fit(read(x), read(CODES), classes=read(np.arange(3)))
            fitted.append(
                [
                    *map(parameters, (classifier, regressor, several)),
                    classifier.predict(read(x)),
                    regressor.predict(read(x)),
                    classifier.score(read(x), read(CODES), read(weight)),
                    regressor.score(read(x), read(t), read(weight)),
                    *regressor.validation_scores_,
                ]
            )
    for ours, by_numpy in zip(*fitted, strict=True):
        assert_array_equal(ours, by_numpy, strict=True)


# -- beyond the range of a precision -----------------------------------------------------------------------------------


def with_large(array, value):
    array = array.astype(np.longdouble if value > 1e308 else np.float64)
    array.flat[0] = value
    return array


HUGE = np.longdouble("1e3000") if np.finfo(np.longdouble).max > 1e308 else np.longdouble(np.inf)


@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val"])
def test_a_longdouble_beyond_float64_is_infinite(name):
    arguments = {"X": X, "y": TARGET, "sample_weight": WEIGHT}
    arguments |= {f"{each}_val": array for each, array in arguments.items()}
    arguments[name] = with_large(arguments[name], HUGE)
    with pytest.raises(ValueError, match=rf"{name}.*contains infinity or a value too large for dtype\('float64'\)"):
        MLPRegressor(**SMALL).fit(**arguments)


def test_longdoubles_are_read_as_float64():
    third = X / np.longdouble(3)
    model = MLPRegressor(**SMALL).fit(third, third[:, 0])
    by_float64 = MLPRegressor(**SMALL).fit(third.astype(float), third[:, 0].astype(float))
    assert_array_equal(parameters(model), parameters(by_float64), strict=True)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        model.predict(with_large(X, HUGE))
    with pytest.raises(ValueError, match="Input X contains infinity"):
        model.predict(csr_array(X).astype(np.longdouble) * HUGE)


too_large = (
    r"contains values too large for dtype\('float32'\), the precision of the model; the largest is 1e\+300\. Scale"
)


@pytest.mark.parametrize("kind", [np.asarray, np.asfortranarray, csr_array, partial(pd.DataFrame, columns=NAMES)])
@pytest.mark.parametrize("value", [1e300, -1e300])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_float64_beyond_the_float32_of_the_model(activation, value, kind):
    # tanh makes a finite prediction of an infinite input.
    params = SMALL | {"activation": activation, "dtype": "float32"}
    large = with_large(X, value) if value > 0 else -with_large(-X, -value)
    usual = MLPClassifier(**params).fit(kind(X), CODES)
    for train in (MLPClassifier(**params).fit, usual.partial_fit):
        with pytest.raises(ValueError, match=f"Input X {too_large} X, or set dtype='float64'"):
            train(kind(large), CODES)
    with pytest.raises(ValueError, match=f"X_val: Input X {too_large}"):
        MLPClassifier(**params).fit(kind(X), CODES, X_val=kind(large), y_val=CODES)
    for method in (usual.predict, usual.predict_proba, partial(usual.score, y=CODES)):
        with pytest.raises(ValueError, match=f"Input X {too_large}"):
            method(kind(large))
    # A sum that overflows is no value that does.
    assert np.isfinite(usual.predict_proba(kind(np.full((N, 3), 2e38 / N)))).all()


def test_targets_beyond_the_float32_of_the_model():
    model = MLPRegressor(**SMALL, dtype="float32")
    with pytest.raises(ValueError, match=f"Input y {too_large} y, or set dtype='float64'"):
        model.fit(X, with_large(TARGET, 1e300))
    with pytest.raises(ValueError, match=f"y_val: Input y {too_large}"):
        model.fit(X, TARGET, X_val=X, y_val=with_large(TARGET, 1e300))


def test_an_integer_beyond_all_floats():
    with pytest.raises(OverflowError, match=r"^X or y: int too large to convert to float"):
        MLPRegressor(**SMALL).fit([[10**400], [1]], [1.0, 2.0])


# -- Dask --------------------------------------------------------------------------------------------------------------

ESTIMATORS = {
    MLPClassifier: SMALL,
    MLPRegressor: SMALL,
    TabularMLPClassifier: {"n_members": 1, "max_iter": 2},
    TabularMLPRegressor: {"n_members": 1, "max_iter": 2},
}
OF_DASK = {
    "Array": lambda values: da.from_array(values, chunks=N // 2),
    "DataFrame or Series": lambda values: dd.from_pandas(pd.DataFrame(values).squeeze(axis=1), npartitions=2),
}


@pytest.mark.parametrize("kind", OF_DASK)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_dask_collections_are_refused(estimator, kind):
    """Every argument of every method, also in a subclass: NumPy would gather the rows in memory without a word."""
    mine = type("Mine", (estimator,), {})(**ESTIMATORS[estimator])
    in_memory = {"X": X, "y": CODES, "sample_weight": WEIGHT}
    validation = {"X_val": X, "y_val": CODES, "sample_weight_val": WEIGHT}
    arguments = {"fit": in_memory | validation, "score": in_memory}
    arguments |= {"partial_fit": in_memory} if hasattr(mine, "partial_fit") else {}
    of_X = "predict", "predict_proba", "predict_log_proba", "transform"
    arguments |= {method: {"X": X} for method in of_X if hasattr(mine, method)}
    fitted = mine.fit(**arguments["fit"])
    for method, given in arguments.items():
        for name, values in given.items():
            lazy = OF_DASK[kind](values)
            message = (
                rf"^{name} is a dask\..*\.{type(lazy).__name__}, .* but Mine needs all rows in memory\. "
                rf"Use sklearn_mlp\.dask\.Dask{estimator.__name__}, or pass {name}\.compute\(\)\.$"
            )
            with pytest.raises(TypeError, match=message):
                getattr(fitted, method)(**given | {name: lazy})


@pytest.mark.parametrize("kind", OF_DASK)
@pytest.mark.parametrize("encoder", [TabularEncoder, PiecewiseLinearEncoder])
def test_encoders_refuse_dask_collections(encoder, kind):
    fitted = encoder().fit(X)
    for method in fitted.fit, fitted.transform:
        with pytest.raises(TypeError, match=rf"^X is a dask\..* {encoder.__name__} .* Pass X\.compute\(\)\.$"):
            method(OF_DASK[kind](X))


def test_arrays_in_memory_with_the_methods_of_a_collection():
    """Xarray's arrays have `__dask_graph__`, which returns None where their values are NumPy's."""

    class InMemory:
        __array__ = staticmethod(X.__array__)
        __dask_graph__ = staticmethod(lambda: None)

    expected = MLPClassifier(**SMALL).fit(X, CODES)
    assert_array_equal(parameters(MLPClassifier(**SMALL).fit(InMemory(), CODES)), parameters(expected))
