"""Checks of parameters and data that go beyond the constraints on a single parameter."""

import re
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import date, time, timedelta
from difflib import get_close_matches
from math import ceil, isnan
from numbers import Integral, Number

import narwhals.stable.v2 as nw
import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import _check_sample_weight, validate_data

from sklearn_mlp._caller import warn
from sklearn_mlp.core.activations import ACTIVATIONS

DATES = date, time, timedelta, np.datetime64, np.timedelta64
# Types whose values float32 represents exactly: NumPy promotes them to it.
EXACT_IN_FLOAT32 = {"Float32", "Float16", "Int16", "Int8", "UInt16", "UInt8", "Boolean"}
# Attributes that arrays and frames have, and blocks do not.
OF_ARRAYS = "shape", "__array__", "__array_interface__", "__dataframe__", "__dlpack__", "indptr"
# Options by their names in other libraries, where these are not similar.
SYNONYMS = {
    "swish": ["silu"],
    "sigmoid": ["logistic"],
    "linear": ["identity"],
    "auc": ["roc_auc"],
    "mse": ["squared_error", "neg_mean_squared_error"],
    "mae": ["absolute_error", "neg_mean_absolute_error"],
    "rmse": ["neg_root_mean_squared_error"],
    "cross_entropy": ["log_loss"],
    "pinball": ["quantile"],
}


def suggest(name, options):
    """A sentence that suggests the option most similar to `name`; empty if there is none."""
    name = str(name).lower()
    likely = [option for option in SYNONYMS.get(name, ()) if option in options]
    likely += get_close_matches(name, options, n=1)
    return f" Did you mean {likely[0]!r}?" if likely else ""


def shallow_copy(instance):
    """A shallow copy: a snapshot that other threads do not change by setting attributes."""
    copied = object.__new__(type(instance))
    vars(copied).update(vars(instance))
    return copied


@contextmanager
def about(*names):
    """Prefix errors that name none of the arguments `names` with them: scikit-learn's checks say "array"."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        message = str(error)
        if not set(names) & set(re.findall(r"\w+", message)):
            error.args = (f"{' or '.join(names)}: {message}",)
        raise


def on_gpu(array):
    """Whether an array, of CuPy or of a library that exchanges arrays with it, is in GPU memory."""
    if array is None or isinstance(array, np.ndarray):
        return False
    if hasattr(array, "__cuda_array_interface__") or type(array).__module__.startswith("cupyx.scipy.sparse"):
        return True
    dlpack_device = getattr(array, "__dlpack_device__", None)
    return dlpack_device is not None and dlpack_device()[0] == 2  # kDLCUDA


def is_blocks(X):
    """Whether X is a sequence of blocks, and not an array, a list or a frame."""
    if isinstance(X, np.ndarray | list | tuple | dict | str | bytes) or X is None:
        return False
    methods = all(hasattr(type(X), name) for name in ("__len__", "__getitem__"))
    return methods and not any(hasattr(X, name) for name in OF_ARRAYS)


def _refuse_parts(name, X):
    """Raise TypeError if X is in parts that are not blocks: a generator, or a list of the tuples that blocks are."""
    if isinstance(X, list | tuple):
        are_parts = len(X) > 0 and isinstance(X[0], tuple) and len(X[0]) > 0 and np.ndim(X[0][0]) == 2
    else:
        are_parts = hasattr(X, "__iter__") and not any(hasattr(X, of) for of in ("__getitem__", *OF_ARRAYS))
    if are_parts:
        what = " of tuples" if isinstance(X, list | tuple) else ""
        raise TypeError(
            f"{name} is a {type(X).__name__}{what}, which is neither an array nor blocks. Pass an array, or blocks: an "
            f"object of a class with the methods __len__, the number of blocks, and __getitem__, where {name}[i] is a "
            "tuple (X, y) or (X, y, sample_weight)."
        )


def check_arguments(inputs, solver, resume_from):
    """Raise ValueError if arguments of `fit` contradict each other."""
    for X, *others in (("X", "y", "sample_weight"), ("X_val", "y_val", "sample_weight_val")):
        given = [name for name in others if getattr(inputs, name) is not None]
        if is_blocks(getattr(inputs, X)) and given:
            raise ValueError(
                f"{X} is a sequence of blocks, each (X, y) or (X, y, sample_weight), and {given[0]} is given, too. Put "
                f"it in the blocks, or pass {X} as an array or a data frame."
            )
    if inputs.X_val is None:
        if inputs.y_val is not None or inputs.sample_weight_val is not None:
            raise ValueError("y_val and sample_weight_val are for a validation set: pass its X_val, too.")
    elif inputs.y_val is None and not is_blocks(inputs.X_val):
        raise ValueError("X_val is given without y_val: pass the targets of the validation set, too.")
    if resume_from is not None and solver == "lbfgs":
        raise ValueError(
            f"resume_from={resume_from!r} is for the stochastic solvers: SciPy's L-BFGS-B does not give its state. "
            "Use another solver, or resume_from=None."
        )


def read_array(estimator, name, array, device):
    """The data argument `name` as an array, of the dtype that NumPy infers from its values.

    A sparse matrix, an array in GPU memory, X in blocks, and X in a data frame, whose names are needed, are returned
    unchanged. Raises an error for a Dask collection, for an array in GPU memory if the device is the CPU, for masked
    values, and for dates, except in labels (in a frame, `accepted_dtypes` raises it).
    """
    if (type(array) is np.ndarray and array.dtype.kind in "biuf" and array.itemsize <= 8) or array is None:
        return array
    check_container(estimator, name, array)
    if name.startswith("X") and is_blocks(array):
        return array
    if on_gpu(array):
        if device.name == "cpu":
            raise TypeError(
                f"{name} is a {type(array).__module__}.{type(array).__name__} in the memory of a GPU, but the model is "
                f"on the CPU. Set device='cuda', or pass a NumPy array (cupy.asnumpy({name}))."
            )
        return array
    if name.startswith("X"):
        _refuse_parts(name, array)
    if isinstance(array, np.ma.MaskedArray) and (n_masked := np.ma.count_masked(array)):
        raise ValueError(
            f"{name} is a masked array of which {n_masked} values are masked, which cannot be "
            f"trained on. Drop their rows, or fill them in: {name}.filled(value), or sklearn.impute."
        )
    if isinstance(array, Number) and name.startswith("sample_weight"):
        return array
    if nw.dependencies.is_into_dataframe(array):
        if name.startswith("X"):
            return array
        columns = {column.name: column.to_numpy() for column in nw.from_native(array).iter_columns()}
        array = stack_columns([*columns.values()])
    else:
        if not (issparse(array) or isinstance(array, np.ndarray)):
            with about(name):
                array = to_numpy(array)
        columns = {"dtype": array}
    if not (name in ("y", "y_val") and is_classifier(estimator)):
        refuse_dates(name, columns)
    if array.dtype == np.longdouble:
        with np.errstate(over="ignore"):
            array = array.astype(np.float64)
    return array


def check_container(estimator, name, array):
    """Raise an error if the argument `name` is not in memory, or is a data frame with duplicate column names."""
    _refuse_dask(estimator, name, array)
    if nw.dependencies.is_polars_lazyframe(array):
        raise TypeError(f"{name} is a polars.LazyFrame, which is not in memory. Pass {name}.collect().")
    if nw.dependencies.is_into_dataframe(array):
        columns = list(getattr(array, "column_names", array.columns))
        if len(set(columns)) < len(columns):
            duplicates = [column for column, count in Counter(columns).items() if count > 1]
            raise ValueError(
                f"{name} has several columns of the same name: {duplicates}. Rename them, so that each name is unique."
            )


def _refuse_dask(estimator, name, array):
    """Raise TypeError if the argument `name` is a Dask collection: NumPy would silently load it."""
    graph = getattr(array, "__dask_graph__", None)
    if graph is None or graph() is None:  # xarray has the method for arrays in memory, too
        return
    remedy = f"Pass {name}.compute()."
    if is_classifier(estimator) or is_regressor(estimator):
        ours = next(kind for kind in type(estimator).__mro__ if kind.__module__.startswith("sklearn_mlp."))
        remedy = f"Use sklearn_mlp.dask.Dask{ours.__name__}, or pass {name}.compute()."
    raise TypeError(
        f"{name} is a {type(array).__module__}.{type(array).__name__}, which Dask computes in parts, but "
        f"{type(estimator).__name__} needs all rows in memory. {remedy}"
    )


def to_numpy(array):
    """`array` as a NumPy array; of objects for a list whose numbers NumPy would round or convert to strings."""
    values = np.asarray(array)
    of_strings = values.dtype.kind == "U" and values.ndim == 2
    of_large_numbers = values.dtype.kind == "f" and np.abs(values).max(initial=0) >= 2**53
    if isinstance(array, list | tuple) and (of_strings or of_large_numbers):
        return np.array(array, dtype=object)
    return values


def stack_columns(columns):
    """Columns as one array, of objects unless a NumPy dtype can represent the values of all of them."""
    kinds = {column.dtype.kind for column in columns}
    if len(kinds) == 1 or kinds <= set("biuf"):
        stacked = np.column_stack(columns)
        with np.errstate(invalid="ignore"):
            if all(np.array_equal(a.astype(b.dtype), b) for a, b in zip(stacked.T, columns, strict=True)):
                return stacked
    stacked = np.empty((len(columns[0]), len(columns)), dtype=object)
    for j, column in enumerate(columns):
        # Elements as objects; NumPy would convert datetime64[ns] to integers.
        stacked[:, j] = list(column) if column.dtype.kind in "mM" else column
    return stacked


def refuse_dates(name, columns):
    """Raise ValueError if there are dates, times or durations in arrays, by name, of the argument `name`."""
    dates = [f"{where} is {what}" for where, values in columns.items() if (what := _kind_of_date(values))]
    if dates:
        raise ValueError(
            f"{name} has dates or times: {', '.join(dates)}. Convert them to numbers, such as the days since a date, "
            "(dates - pandas.Timestamp('2020-01-01')).dt.days, and the month, dates.dt.month; or use skrub's "
            "DatetimeEncoder."
        )


def _kind_of_date(values):
    """The name of a type of dates, times or durations among the values of an array, or None."""
    if values.dtype.kind in "mM":
        return str(values.dtype)
    types = set(map(type, values.flat)) if values.dtype.kind == "O" else ()
    # A pandas Period is not a date, but has its method.
    return next((each.__name__ for each in types if issubclass(each, DATES) or hasattr(each, "strftime")), None)


def to_host(array, device):
    """`array` unchanged, or as a NumPy array if it is in GPU memory."""
    return device.to_host(device.to_device(array)) if on_gpu(array) else array


def check_gpu_array(array, device, name, n_dims):
    """`array` as an array on `device`, after the checks that scikit-learn applies to a NumPy array."""
    array = device.to_device(array)
    if array.ndim not in n_dims:
        raise ValueError(f"Expected {name} to be {n_dims[0]}D, got an array of shape {array.shape} instead.")
    if 0 in array.shape:
        raise ValueError(f"Found {name} of shape {array.shape}: a minimum of 1 sample and 1 feature is required.")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {array.dtype}; numbers are needed.")
    values = getattr(array, "data", array) if hasattr(array, "indptr") else array
    if array.dtype.kind == "f" and not device.to_host(np.isfinite(values).all()):
        what = "NaN" if device.to_host(np.isnan(values).any()) else f"infinity or a value too large for {array.dtype!r}"
        raise ValueError(f"Input {name} contains {what}.")
    return array


def as_column(y, warns=True):
    """y of shape (n_samples, 1) as (n_samples,), with scikit-learn's warning."""
    if y.ndim != 2 or y.shape[1] != 1:
        return y
    if warns:
        warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to (n_samples,), "
            "for example using ravel().",
            DataConversionWarning,
        )
    return (y.toarray() if issparse(y) else y).ravel()


def validate_X_y(estimator, X, y, device, reset):
    """X and y as arrays, each in GPU memory if it was there, and otherwise in main memory."""
    X, y = validate_X(estimator, X, device, reset), as_column(validate_y(estimator, y, device))
    check_consistent_length(X, y)
    return X, y


def validate_X(estimator, X, device, reset, dtype=None):
    """X as an array or a sparse matrix of numbers, in the range of `dtype`, that of the model, unless it is None."""
    if not reset and _is_valid(estimator, X, dtype):
        return X
    if on_gpu(X):
        X = check_gpu_array(X, device, "X", n_dims=(2,))
        X = validate_data(estimator, X, skip_check_array=True, reset=reset)
    else:
        try:
            X = validate_data(estimator, X, accept_sparse=["csr", "csc"], dtype=accepted_dtypes(X), reset=reset)
        except ValueError as error:
            if "contains NaN" in str(error) or "convert string to float" in str(error):
                error.add_note(
                    "TabularMLPClassifier and TabularMLPRegressor accept data frames with missing values and strings."
                )
            raise
    if dtype is not None:
        check_range(X, dtype, device, "X")
    return X


def validate_table(estimator, table, reset):
    """Like `validate_X`, for a PyArrow table; takes half the time, and returns an array in Fortran order."""
    dtype = np.float32 if accepted_dtypes(table) is np.float32 else np.float64
    if {*map(str, table.schema.types)} == {"float" if dtype is np.float32 else "double"}:
        # Without the GIL, for which the training thread would wait after each column.
        (batch,) = table.combine_chunks().to_batches()
        X = batch.to_tensor(null_to_nan=True, row_major=False).to_numpy()
    else:
        X = np.empty(table.shape[::-1], dtype).T
        for values, column in zip(X.T, table.columns, strict=True):
            values[:] = column.to_numpy()
    validate_data(estimator, table, skip_check_array=True, reset=reset)
    return check_array(X, input_name="X", estimator=estimator)


def _is_valid(estimator, X, dtype):
    """Whether `validate_X` would return X unchanged; its checks take most of the time of a single-row prediction."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in (np.float64, np.float32)
        and X.shape[0] > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
        and np.isfinite(X.sum(dtype=dtype))
    )


def _is_finite(array):
    """Whether the array has integers, or floats with a finite sum; False for finite floats whose sum overflows."""
    return array.dtype.kind in "biu" or (array.dtype in (np.float64, np.float32) and np.isfinite(array.sum()))


def check_range(array, dtype, device, name):
    """Raise ValueError if `array`, of finite numbers, has some that are infinite in `dtype`."""
    if array.dtype != np.float64 or dtype == np.float64:
        return
    values = array.data if hasattr(array, "indptr") else array
    # The sum of finite values can overflow.
    if np.isfinite(device.to_host(values.sum(dtype=dtype))) or values.size == 0:
        return
    largest = max(device.to_host(values.max()), -device.to_host(values.min()))
    if largest > np.finfo(dtype).max:
        raise ValueError(
            f"Input {name} contains values too large for {dtype!r}, the precision of the model; the largest is "
            f"{largest:.3g}. Scale {name}, or set dtype='float64'."
        )


def validate_y(estimator, y, device):
    """y with labels of any type for a classifier, and with numbers for a regressor."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )
    if type(y) is np.ndarray and y.ndim in (1, 2) and y.size and _is_finite(y):
        return y
    if on_gpu(y):
        return check_gpu_array(y, device, "y", n_dims=(1, 2))
    dtype = None
    if y.dtype.kind == "O":
        if any(map(is_missing, y.flat)):
            raise ValueError("Input y contains missing values (None, NaN or NA). Drop their rows, or fill them in.")
        dtype = np.float64 if is_regressor(estimator) else None
    return check_array(y, accept_sparse="csr", ensure_2d=False, dtype=dtype, input_name="y", estimator=estimator)


def check_numeric(y):
    """Raise ValueError if y is not what a regressor takes."""
    if issparse(y):
        raise ValueError(
            f"y is a sparse matrix of shape {y.shape}; MLPRegressor takes dense targets only. Pass y.toarray()."
        )
    if y.dtype.kind not in "biuf":
        raise ValueError(f"y has dtype {y.dtype}; MLPRegressor takes numbers only. Pass y.astype(float).")


def is_missing(value):
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and isnan(value))


def validate_weight(sample_weight, n_rows, dtype, device, zeros=False):
    """Weights of some rows; with `zeros`, all of them may be zero."""
    if sample_weight is None:
        return None
    # Only the number of rows of X is used; with array_api_dispatch, the weights would follow an X to the GPU.
    rows_of_X = np.empty((n_rows, 0))
    return _check_sample_weight(
        to_host(sample_weight, device),
        rows_of_X,
        dtype=dtype,
        ensure_non_negative=True,
        allow_all_zero_weights=zeros,
    )


def accepted_dtypes(X):
    """The dtypes that `validate_data` does not convert: any numeric array, as batches are cast when they are used."""
    floats = np.float64, np.float32
    if not nw.dependencies.is_into_dataframe(X):
        return "numeric" if getattr(X, "dtype", np.dtype(object)).kind in "biuf" else floats
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in getattr(X, "dtypes", [None])):
        return floats  # check_array promotes NumPy's dtypes; the rest takes half as long as a prediction
    frame = nw.from_native(X, eager_only=True)
    schema = frame.schema
    dtypes = set(schema.values())
    others = {dtype for dtype in dtypes if not (dtype.is_numeric() or dtype == nw.Boolean)}
    refuse_dates("X", {name: frame[:, j].to_numpy() for j, name in enumerate(schema) if schema[name] in others})
    return np.float32 if nw.Float32 in dtypes and set(map(str, dtypes)) <= EXACT_IN_FLOAT32 else floats


def float_dtype(array):
    """float32 for float32, and float64 for all other dtypes."""
    return np.dtype(np.float32 if array.dtype == np.float32 else np.float64)


def check_hidden_layer_sizes(hidden_layer_sizes):
    sizes = list(hidden_layer_sizes) if hasattr(hidden_layer_sizes, "__iter__") else [hidden_layer_sizes]
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be integers, one for each hidden layer, got {hidden_layer_sizes!r}. "
            "For example, hidden_layer_sizes=(100, 50) makes two hidden layers."
        )
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def check_activation(activation, n_hidden):
    """The name of the activation of each hidden layer."""
    if isinstance(activation, str):
        return [activation] * n_hidden
    names = list(activation)
    unknown = [name for name in names if name not in ACTIVATIONS]
    if unknown:
        advice = suggest(unknown[0], ACTIVATIONS)
        raise ValueError(f"activation has {unknown[0]!r}, which is none of {sorted(ACTIVATIONS)}.{advice}")
    if len(names) != n_hidden:
        raise ValueError(
            f"activation={activation!r} has {len(names)} names, but there are {n_hidden} hidden layers. Pass one name "
            "for each, or a single name for all."
        )
    return names


def check_dropout(dropout, n_hidden):
    """The dropout rate of each hidden layer; empty if all are 0."""
    with about("dropout"):
        rates = [float(rate) for rate in (dropout if np.ndim(dropout) else [dropout] * n_hidden)]
    if len(rates) != n_hidden:
        raise ValueError(
            f"dropout={dropout!r} has {len(rates)} rates, but there are {n_hidden} hidden layers. Pass one rate for "
            "each, or a single rate for all."
        )
    if not all(0 <= rate < 1 for rate in rates):
        raise ValueError(f"dropout must be at least 0 and less than 1, got {dropout!r}.")
    return rates if any(rates) else []


def check_normalization(normalization, hidden_layer_sizes, solver):
    if normalization == "batch" and solver == "lbfgs":
        raise ValueError(
            "normalization='batch' takes its statistics from mini-batches, and solver='lbfgs' has none. Use "
            "normalization='layer', or another solver."
        )
    if normalization == "layer" and 1 in hidden_layer_sizes:
        raise ValueError(
            "normalization='layer' makes a hidden layer of one neuron constant, as its mean is its value; got "
            f"hidden_layer_sizes={hidden_layer_sizes}. Use normalization='batch', or more neurons."
        )


def random_state_from(state):
    """A generator in a state returned by `RandomState.get_state`; a deepcopy is 6 × slower."""
    random_state = np.random.RandomState(0)
    random_state.set_state(state)
    return random_state


class _OfThread(threading.local):
    """A generator, and its state if it has not been used since the last `leave_random_state`."""

    def __init__(self):
        self.random_state = np.random.RandomState(0)
        self.state = None


_of_thread = _OfThread()


def take_random_state(state):
    """The thread's own generator in a state that `leave_random_state` returned.

    For `partial_fit`: creating and setting a generator takes longer than training on a small batch.
    """
    if state is not _of_thread.state:
        _of_thread.random_state.set_state(state)
    _of_thread.state = None
    return _of_thread.random_state


def leave_random_state(random_state):
    """The state of a generator."""
    state = random_state.get_state(legacy=False)
    if random_state is _of_thread.random_state:
        _of_thread.state = state
    return state


def split_rows(n_samples, codes, validation_fraction, random_state):
    """Row indices to train on and to validate on, split as by scikit-learn for the same random state.

    The split is stratified if every class has enough rows. With more than two classes, the only row of a class is in
    the training set.

    Parameters
    ----------
    codes : array of int of shape (n_samples,) or None
        The class of each row, to stratify by.
    """
    n_val = ceil(validation_fraction * n_samples)
    counts = [] if codes is None else np.bincount(codes)
    if len(counts) == 2 and counts.min() == 1:
        raise ValueError(
            "The least populated classes in y have only 1 member, which cannot be both in the training and in the "
            f"validation set of early_stopping=True. Classes with too few members are: [{str(counts[1] == 1)!r}]. Add "
            "samples of this class, pass X_val and y_val, or set early_stopping=False."
        )
    if n_val < 2 or n_val == n_samples:
        what, remedy = ("validation", "Increase") if n_val < 2 else ("training", "Decrease")
        raise ValueError(
            f"The {what} set is too small. {remedy} 'validation_fraction' or the size of your dataset. "
            f"early_stopping=True sets aside validation_fraction={validation_fraction} of the {n_samples} samples: "
            f"{n_val} to validate on, of which there must be 2, and {n_samples - n_val} to train on."
        )
    rows = np.arange(n_samples)
    if codes is None:
        return train_test_split(rows, test_size=n_val, random_state=random_state)
    is_single = counts[codes] == 1
    if n_samples - np.count_nonzero(is_single) <= n_val:
        is_single[:] = False  # there are too few others
    rows, codes = rows[~is_single], codes[~is_single]
    counts = np.unique_counts(codes).counts
    can_stratify = counts.min() > 1 and len(counts) <= min(n_val, len(rows) - n_val)
    stratify = codes if can_stratify else None
    train, val = train_test_split(rows, test_size=n_val, random_state=random_state, stratify=stratify)
    return np.concatenate([train, np.flatnonzero(is_single)]), val
