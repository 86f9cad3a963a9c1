"""The kinds of X, y and sample_weight that fit takes: one model from all of them, and none touched or copied."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning

from sklearn_mlp import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SMALL = {"hidden_layer_sizes": (5,), "batch_size": 16, "learning_rate_init": 0.01, "max_iter": 4, "random_state": 0}
rng = np.random.RandomState(0)
N = 60
# Values that every dtype in use can hold; zeros for the sparse formats, and a row of nothing else.
INTEGERS = rng.randint(0, 5, (N, 6)) * rng.randint(0, 2, (N, 6))
INTEGERS[7] = 0
X = INTEGERS / 4
CODES = (INTEGERS[:, 0] + INTEGERS[:, 1] > 2) + (INTEGERS[:, 2] > 0) * 1
TARGET = X[:, 0] - X[:, 1] * X[:, 2]
LABELS = np.c_[INTEGERS[:, :2] > 0, CODES > 1].astype(int)
WEIGHT = rng.uniform(0.5, 2, N)
NAMES = list("abcdef")


def plain(X, dtype=None):
    """The values of X as a C-ordered array: float32 if X is, else float64."""
    X = X.toarray() if sp.issparse(X) else np.asarray(X)
    return np.array(X, dtype=np.float32 if X.dtype == np.float32 else np.float64, order="C")


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def memory_map(path, array, order="C"):
    mapped = np.memmap(path, mode="w+", dtype=array.dtype, shape=array.shape, order=order)
    mapped[...] = array
    mapped.flush()
    return np.memmap(path, mode="r", dtype=array.dtype, shape=array.shape, order=order)


def with_explicit_zeros(X):
    X = sp.csr_array(X)
    X.data[::3] = 0
    return X


def with_unsorted_duplicates(X):
    """Each entry as two halves, stored from the last column to the first."""
    X = sp.coo_array(X[:, ::-1])
    row, column, value = (np.repeat(a, 2) for a in (X.row, 5 - X.col, X.data / 2))
    return sp.csr_array((value, column, np.searchsorted(row, np.arange(N + 1))), shape=X.shape)


def with_index_dtype(X, dtype):
    X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
    return X


def parameters(model):
    return np.concatenate([array.ravel() for array in model.coefs_ + model.intercepts_])


def assert_close(ours, theirs):
    """The same up to rounding, of which what is promised is no more.

    X in another memory layout or format is multiplied by other routines, which add up in another order. Relative errors
    of eps in every product move the four iterations of lbfgs by up to 70 eps, and four epochs of Adam by 8.
    """
    assert ours.dtype == theirs.dtype
    assert_allclose(ours, theirs, rtol=0, atol=1000 * np.finfo(ours.dtype).eps)


def assert_same_model(model, other):
    assert_close(parameters(model), parameters(other))


# -- kinds of X --------------------------------------------------------------------------------------------------------

KINDS_OF_X = {
    "F order": np.asfortranarray(X),
    "F order float32": np.asfortranarray(X, dtype=np.float32),
    "every other column": np.repeat(X, 2, axis=1)[:, ::2],
    "every other column float32": np.repeat(X, 2, axis=1).astype(np.float32)[:, ::2],
    "rows reversed": X[::-1].copy()[::-1],
    "columns reversed": X[:, ::-1].copy()[:, ::-1],
    "read-only": read_only(X),
    "int64": INTEGERS,
    "uint8": INTEGERS.astype(np.uint8),
    "int16 F order": np.asfortranarray(INTEGERS, dtype=np.int16),
    "bool": INTEGERS > 1,
    "float16": X.astype(np.float16),
    "longdouble": X.astype(np.longdouble),
    "big-endian float64": X.astype(">f8"),
    "big-endian int32": INTEGERS.astype(">i4"),
    "objects": X.astype(object),
    "lists": X.tolist(),
    "pandas": pd.DataFrame(X, columns=NAMES),
    "pandas of many dtypes": pd.DataFrame(X, columns=NAMES).astype({"a": "float32", "b": "Float64"}),
    "pandas of integers": pd.DataFrame(INTEGERS, columns=NAMES),
    "polars": pl.DataFrame(X, schema=NAMES),
    "polars of integers": pl.DataFrame(INTEGERS, schema=NAMES),
    **{
        f"{kind.__name__} {index}": with_index_dtype(kind(X), index)
        for kind in (sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array)
        for index in ("int32", "int64")
    },
    "csr of integers": sp.csr_array(INTEGERS),
    "csc of bools": sp.csc_array(INTEGERS > 1),
    "coo": sp.coo_array(X),
    "explicit zeros": with_explicit_zeros(X),
    "unsorted duplicates": with_unsorted_duplicates(X),
}
WAYS_TO_TRAIN = {
    "adam": {},
    "rows in order": {"shuffle": False, "solver": "sgd"},
    "early stopping": {"early_stopping": True},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.mark.parametrize("params", WAYS_TO_TRAIN.values(), ids=WAYS_TO_TRAIN)
@pytest.mark.parametrize("X", KINDS_OF_X.values(), ids=KINDS_OF_X)
def test_fit_and_predict_are_those_of_a_plain_array(X, params):
    model = MLPClassifier(**SMALL).set_params(**params).fit(X, CODES, WEIGHT)
    by_plain = MLPClassifier(**SMALL).set_params(**params).fit(plain(X), CODES, WEIGHT)
    assert_same_model(model, by_plain)
    assert_close(model.predict_proba(X), by_plain.predict_proba(plain(X)))


@pytest.mark.parametrize("X", KINDS_OF_X.values(), ids=KINDS_OF_X)
def test_partial_fit_is_that_of_a_plain_array(X):
    model, by_plain = MLPRegressor(**SMALL), MLPRegressor(**SMALL)
    for _ in range(3):
        model.partial_fit(X, TARGET)
        by_plain.partial_fit(plain(X), TARGET)
    assert_same_model(model, by_plain)


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_array])
def test_sparse_float32_is_that_of_a_plain_array(kind):
    model = MLPClassifier(**SMALL).fit(kind(X.astype(np.float32)), CODES)
    assert_same_model(model, MLPClassifier(**SMALL).fit(X.astype(np.float32), CODES))


@pytest.mark.parametrize("params", WAYS_TO_TRAIN.values(), ids=WAYS_TO_TRAIN)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_memory_map_gives_the_model_of_a_plain_array(order, dtype, params, tmp_path):
    mapped = memory_map(tmp_path / "X", INTEGERS.astype(dtype), order)
    model = MLPClassifier(**SMALL).set_params(**params).fit(mapped, CODES)
    by_plain = MLPClassifier(**SMALL).set_params(**params).fit(plain(mapped), CODES)
    assert_same_model(model, by_plain)
    assert_close(model.predict_proba(mapped), by_plain.predict_proba(plain(mapped)))


# -- frames and their names --------------------------------------------------------------------------------------------

frames = pytest.mark.parametrize(
    "frame", [pd.DataFrame(X, columns=NAMES), pl.DataFrame(X, schema=NAMES)], ids=["pandas", "polars"]
)


@frames
def test_the_names_of_a_frame_are_learnt(frame):
    assert_array_equal(MLPClassifier(**SMALL).fit(frame, CODES).feature_names_in_, NAMES)
    assert not hasattr(MLPClassifier(**SMALL).fit(X, CODES), "feature_names_in_")


@frames
@pytest.mark.parametrize("method", ["predict", "partial_fit"])
@pytest.mark.parametrize(
    ("names", "message"), [(NAMES[::-1], "must be in the same order"), (list("abcdez"), "unseen at fit time:\n- z")]
)
def test_other_names_than_in_fit_are_an_error(frame, method, names, message):
    model = MLPRegressor(**SMALL).fit(frame, TARGET)
    other = pd.DataFrame(X, columns=names) if isinstance(frame, pd.DataFrame) else pl.DataFrame(X, schema=names)
    with pytest.raises(ValueError, match=message):
        model.predict(other) if method == "predict" else model.partial_fit(other, TARGET)


@frames
def test_names_missing_in_fit_or_in_predict_are_a_warning(frame):
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        MLPClassifier(**SMALL).fit(frame, CODES).predict(X)
    with pytest.warns(UserWarning, match="X has feature names"):
        MLPClassifier(**SMALL).fit(X, CODES).predict(frame)


# -- kinds of y --------------------------------------------------------------------------------------------------------

WORDS = np.array(["one", "three", "two"])[CODES]
SERIES_INDEX = pd.Index(np.arange(N)[::-1])
KINDS_OF_CLASSES = {
    "list": CODES.tolist(),
    "int8": CODES.astype(np.int8),
    "float64": CODES.astype(float),
    "big-endian": CODES.astype(">i8"),
    "read-only": read_only(CODES),
    "reversed": CODES[::-1].copy()[::-1],
    "pandas": pd.Series(CODES, index=SERIES_INDEX),
    "pandas nullable": pd.Series(CODES, dtype="Int64"),
    "polars": pl.Series(CODES),
    "fixed-width strings": WORDS,
    "object strings": WORDS.astype(object),
    "list of strings": WORDS.tolist(),
    "pandas of strings": pd.Series(WORDS, index=SERIES_INDEX),
    "pandas categories": pd.Series(WORDS, dtype="category"),
    "polars of strings": pl.Series(WORDS),
}


@pytest.mark.parametrize("y", KINDS_OF_CLASSES.values(), ids=KINDS_OF_CLASSES)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_kinds_of_classes(y, early_stopping):
    model = MLPClassifier(**SMALL, early_stopping=early_stopping).fit(X, y)
    by_codes = MLPClassifier(**SMALL, early_stopping=early_stopping).fit(X, CODES)
    assert_array_equal(parameters(model), parameters(by_codes))
    assert_array_equal(model.predict(X), np.unique(np.asarray(y))[by_codes.predict(X)])
    assert model.score(X, y) == by_codes.score(X, CODES)


@pytest.mark.parametrize(
    "y", [CODES > 1, (CODES > 1).tolist(), pd.Series(CODES > 1), pl.Series(CODES > 1), np.where(CODES > 1, "yes", "no")]
)
def test_kinds_of_two_classes(y):
    model, by_codes = MLPClassifier(**SMALL).fit(X, y), MLPClassifier(**SMALL).fit(X, CODES // 2)
    assert_array_equal(parameters(model), parameters(by_codes))
    assert_array_equal(model.predict(X), np.unique(np.asarray(y))[by_codes.predict(X)])
    assert model.predict(X).dtype == np.asarray(y).dtype


KINDS_OF_TARGETS = {
    "list": TARGET.tolist(),
    "float32": TARGET.astype(np.float32),
    "int64": (TARGET * 16).astype(np.int64),
    "big-endian": TARGET.astype(">f8"),
    "read-only": read_only(TARGET),
    "pandas": pd.Series(TARGET, index=SERIES_INDEX),
    "polars": pl.Series(TARGET),
    "two columns": np.asfortranarray(X[:, :2]),
    "two columns of pandas": pd.DataFrame(X[:, :2]),
    "two columns of polars": pl.DataFrame(X[:, :2]),
}


@pytest.mark.parametrize("y", KINDS_OF_TARGETS.values(), ids=KINDS_OF_TARGETS)
def test_kinds_of_regression_targets(y):
    model, by_plain = MLPRegressor(**SMALL).fit(X, y), MLPRegressor(**SMALL).fit(X, plain(y).astype(float))
    assert_array_equal(parameters(model), parameters(by_plain))
    assert model.predict(X).shape == np.shape(y)


@pytest.mark.parametrize(("estimator", "y"), [(MLPClassifier, WORDS), (MLPRegressor, TARGET)])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_column_vector_is_raveled_with_a_warning(estimator, y, method):
    classes = {"classes": np.unique(y)} if (estimator, method) == (MLPClassifier, "partial_fit") else {}
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        model = getattr(estimator(**SMALL), method)(X, y[:, np.newaxis], **classes)
    assert_array_equal(parameters(model), parameters(getattr(estimator(**SMALL), method)(X, y, **classes)))
    assert model.predict(X).shape == (N,)


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_sparse_labels_in_sparse_labels_out(kind, method):
    classes = {"classes": np.arange(3)} if method == "partial_fit" else {}
    model = getattr(MLPClassifier(**SMALL), method)(X, kind(LABELS), **classes)
    by_dense = getattr(MLPClassifier(**SMALL), method)(X, LABELS, **classes)
    assert_array_equal(parameters(model), parameters(by_dense))
    assert sp.issparse(model.predict(X))
    assert_array_equal(model.predict(X).toarray(), by_dense.predict(X), strict=True)
    assert isinstance(by_dense.predict(X), np.ndarray)
    assert model.score(X, kind(LABELS)) == by_dense.score(X, LABELS)


@pytest.mark.parametrize(
    "weight", [WEIGHT.tolist(), WEIGHT.astype(">f8"), pd.Series(WEIGHT, index=SERIES_INDEX), pl.Series(WEIGHT)]
)
def test_kinds_of_sample_weight(weight):
    model = MLPRegressor(**SMALL).fit(X, TARGET, weight)
    assert_array_equal(parameters(model), parameters(MLPRegressor(**SMALL).fit(X, TARGET, WEIGHT)))


# -- inputs are left alone ---------------------------------------------------------------------------------------------


TOUCHABLE_X = {
    "C": X,
    "float32": X.astype(np.float32),
    "F": np.asfortranarray(X),
    "integers": INTEGERS,
    "csr": sp.csr_array(X),
    "csc": sp.csc_array(X),
    "explicit zeros": with_explicit_zeros(X),
    "unsorted duplicates": with_unsorted_duplicates(X),
}
TOUCHABLE_Y = {
    "classes": (MLPClassifier, CODES),
    "labels": (MLPClassifier, LABELS.astype(float)),
    "sparse labels": (MLPClassifier, sp.csr_array(LABELS)),
    "float64 target": (MLPRegressor, TARGET),
    "float32 target": (MLPRegressor, TARGET.astype(np.float32)),
}


def bytes_of(array):
    if sp.issparse(array):
        return b"".join(part.tobytes() for part in (array.data, array.indices, array.indptr))
    return array.tobytes()


@pytest.mark.parametrize("params", WAYS_TO_TRAIN.values(), ids=WAYS_TO_TRAIN)
@pytest.mark.parametrize(
    "X",
    TOUCHABLE_X.values(),
    ids=TOUCHABLE_X,
)
@pytest.mark.parametrize(
    ("estimator", "y"),
    TOUCHABLE_Y.values(),
    ids=TOUCHABLE_Y,
)
def test_inputs_keep_their_bytes(estimator, y, X, params):
    before = [bytes_of(array) for array in (X, y, WEIGHT)]
    model = estimator(**SMALL).set_params(**params).fit(X, y, WEIGHT)
    model.predict(X)
    if hasattr(model, "partial_fit") and not model.early_stopping:
        model.partial_fit(X, y, WEIGHT)
    assert [bytes_of(array) for array in (X, y, WEIGHT)] == before


@pytest.mark.parametrize("params", WAYS_TO_TRAIN.values(), ids=WAYS_TO_TRAIN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("estimator", "y"), [(MLPClassifier, CODES), (MLPClassifier, LABELS), (MLPRegressor, TARGET)])
def test_read_only_inputs_are_enough(estimator, y, dtype, params):
    arrays = [read_only(X.astype(dtype)), read_only(y), read_only(WEIGHT.astype(dtype))]
    model = estimator(**SMALL).set_params(**params).fit(*arrays)
    model.predict(arrays[0])
    assert_same_model(model, estimator(**SMALL).set_params(**params).fit(X.astype(dtype), y, WEIGHT.astype(dtype)))


# -- dtype -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "X_dtype", "expected"),
    [
        (None, "float32", "float32"),
        (None, "float64", "float64"),
        (None, "int32", "float64"),
        *[(dtype, X_dtype, dtype) for dtype in ("float32", "float64") for X_dtype in ("float32", "float64", "uint8")],
    ],
)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_the_model_and_its_predictions_have_the_precision_asked_for(dtype, X_dtype, expected, solver, kind):
    params = {**SMALL, "solver": solver, "dtype": dtype}
    data = kind(INTEGERS.astype(X_dtype))
    classifier, regressor = MLPClassifier(**params).fit(data, CODES), MLPRegressor(**params).fit(data, TARGET)
    for model in (classifier, regressor):
        assert {array.dtype for array in model.coefs_ + model.intercepts_} == {np.dtype(expected)}
    for other in (np.float32, np.float64):
        assert classifier.predict_proba(data.astype(other)).dtype == expected
        assert classifier.predict_log_proba(data.astype(other)).dtype == expected
        assert regressor.predict(data.astype(other)).dtype == expected


@pytest.mark.parametrize("params", WAYS_TO_TRAIN.values(), ids=WAYS_TO_TRAIN)
@pytest.mark.parametrize(("dtype", "X_dtype"), [("float32", "float64"), ("float64", "float32"), ("float32", "uint8")])
def test_dtype_is_as_good_as_a_cast_of_X(dtype, X_dtype, params):
    data = INTEGERS.astype(X_dtype)
    model = MLPClassifier(**SMALL, dtype=dtype).set_params(**params).fit(data, CODES)
    by_cast = MLPClassifier(**SMALL).set_params(**params).fit(data.astype(dtype), CODES)
    assert_array_equal(parameters(model), parameters(by_cast), strict=True)
    assert_array_equal(model.predict_proba(data), by_cast.predict_proba(data.astype(dtype)), strict=True)


def test_partial_fit_and_warm_start_keep_the_precision_of_the_model():
    model = MLPRegressor(**SMALL, warm_start=True).fit(X.astype(np.float32), TARGET)
    assert parameters(model.partial_fit(X, TARGET)).dtype == np.float32
    assert parameters(model.fit(X, TARGET)).dtype == np.float32
    assert parameters(model.set_params(dtype="float64").partial_fit(X, TARGET)).dtype == np.float64


# -- any shape ---------------------------------------------------------------------------------------------------------


@st.composite
def problems(draw):
    """(X, parameters, number of classes or of columns of y)."""
    n = draw(st.integers(1, 30))
    X = np.random.RandomState(draw(st.integers(0, 99))).normal(size=(n, draw(st.integers(1, 6))))
    X *= draw(st.sampled_from([0, 1]))
    X = X.astype(draw(st.sampled_from([np.float32, np.float64])))
    params = {
        "hidden_layer_sizes": draw(st.lists(st.integers(1, 5), max_size=3)),
        "activation": draw(st.sampled_from(["identity", "logistic", "tanh", "relu"])),
        "solver": draw(st.sampled_from(["adam", "sgd", "lbfgs"])),
        "batch_size": draw(st.sampled_from([1, n, n + 3, "auto"]) | st.integers(1, n)),
        "dtype": draw(st.sampled_from([None, "float32", "float64"])),
        "shuffle": draw(st.booleans()),
        "max_iter": 2,
        "random_state": 0,
    }
    return draw(st.sampled_from([np.asarray, sp.csr_array, sp.csc_array]))(X), params, draw(st.integers(1, 4))


any_problem = given(problems())
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
clipping = pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger than sample size:UserWarning")


@clipping
@few
@any_problem
def test_any_classifier_predicts_probabilities(problem):
    X, params, n_classes = problem
    model = MLPClassifier(**params).fit(X, np.arange(X.shape[0]) % n_classes)
    probability = model.predict_proba(X)
    assert probability.shape == (X.shape[0], min(n_classes, X.shape[0]))
    assert probability.dtype == (params["dtype"] or X.dtype)
    assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert set(model.predict(X)) <= set(model.classes_)


@clipping
@few
@any_problem
def test_any_regressor_predicts_finite_values(problem):
    X, params, n_outputs = problem
    y = np.random.RandomState(0).normal(size=(X.shape[0], n_outputs))
    prediction = MLPRegressor(**params).fit(X, y if n_outputs > 1 else y.ravel()).predict(X)
    assert prediction.shape == ((X.shape[0], n_outputs) if n_outputs > 1 else (X.shape[0],))
    assert prediction.dtype == (params["dtype"] or X.dtype)
    assert np.isfinite(prediction).all()
