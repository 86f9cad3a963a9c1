"""The columns of a table: data frames of several libraries, arrays and lists."""

from math import inf
from numbers import Number

import narwhals.stable.v2 as nw
import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from sklearn_mlp._checks import is_missing, refuse_dates

# The names of booleans and of numbers that stand for them.
BOOLEANS = {"False": "0", "True": "1", "0": "False", "1": "True"}


def as_table(X):
    """X, unless it is a data frame or a sparse matrix, as an array."""
    if nw.dependencies.is_into_dataframe(X) or issparse(X):
        return X
    # NumPy would convert numbers next to strings to strings.
    return np.array(X, dtype=object) if isinstance(X, list | tuple) else np.asarray(X)


def read_columns(estimator, X, reset):
    """The names and a generator of the columns of X, after scikit-learn's checks of the features.

    Each column is an array of float64 with NaN for missing values, or of objects with None.
    """
    if nw.dependencies.is_into_dataframe(X):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        frame = nw.from_native(X)
        names, n_rows, columns = frame.columns, len(frame), map(from_series, frame.iter_columns())
    else:
        X = validate_data(estimator, as_table(X), reset=reset, dtype=None, ensure_all_finite=False)
        names, n_rows, columns = list(range(X.shape[1])), len(X), map(_from_array, X.T)
    if not names or not n_rows:
        raise ValueError(
            f"Found array with {n_rows or 'no'} sample(s) and {len(names)} feature(s) while a minimum of 1 is required "
            f"by {type(estimator).__name__}."
        )
    return names, n_rows, (_without_dates(*column) for column in zip(names, columns, strict=True))


def named_categories(which, names):
    """A mask of the features that `categorical_features` names, or None if it is 'from_dtype'."""
    if isinstance(which, str):
        return None
    which = np.asarray([] if which is None else which)
    if which.dtype.kind == "b":
        if which.shape != (len(names),):
            raise ValueError(f"categorical_features is a mask of shape {which.shape}, but X has {len(names)} features.")
        return which
    known = names if which.dtype.kind in "UO" else list(range(len(names)))
    unknown = [name for name in which.tolist() if name not in known]
    if unknown:
        raise ValueError(f"categorical_features has {unknown[0]!r}, which is not a feature of X: it has {known}.")
    return np.isin(known, which)


def as_number(name, column):
    """A column as float64; raises ValueError if it has other values than numbers and missing values."""
    if column.dtype == object:
        others = (value for value in column if value is not None and not isinstance(value, Number))
        if (example := next(others, None)) is not None:
            raise ValueError(
                f"X has {example!r} in the feature {name!r}, which must be a number. Name the feature in "
                "categorical_features, or convert it to numbers."
            )
        column = column.astype(np.float64)
    if np.isinf(column).any():
        raise ValueError(
            f"X contains infinity in the feature {name!r}. Replace it by a number, or by NaN, a missing value."
        )
    return column


def _without_dates(name, column):
    refuse_dates("X", {name: column})
    return column


def from_series(series):
    """A column of a data frame in the form of `read_columns`; dates in NumPy's dtypes."""
    dtype = series.dtype
    if dtype.is_temporal():
        return series.to_numpy()
    if dtype.is_numeric() and not series.is_null().any():
        return series.cast(nw.Float64).to_numpy()
    objects = _with_none(series.to_list())
    return objects if dtype in (nw.Categorical, nw.Enum, nw.Boolean) else _as_numbers(objects)


def _from_array(column):
    """Like `from_series`, for a column of an array."""
    if column.dtype.kind in "biuf":
        return column.astype(np.float64)
    return column if column.dtype.kind in "mM" else _as_numbers(_with_none(column.tolist()))


def _with_none(values):
    """An array of objects, with None for missing values of any kind."""
    objects = np.empty(len(values), dtype=object)
    can_be_gaps = set(map(type, values)) - {str, int, bool}
    objects[:] = [None if is_missing(value) else value for value in values] if can_be_gaps else values
    return objects


def _as_numbers(objects):
    """Numbers and None as float64 with NaN; other objects unchanged."""
    types = set(map(type, objects.tolist())) - {type(None)}
    are_numbers = all(issubclass(each, Number) and each is not bool for each in types)
    return objects.astype(np.float64) if are_numbers else objects


def as_categories(column, known=None):
    """The categories in a column as strings, with None for missing values.

    With `known` categories, those of the training data, True is the same as 1 and False the same as 0.
    """
    values = column.tolist() if column.dtype == object else _with_none(column.tolist()).tolist()
    try:
        distinct = set(values)
    except TypeError as error:
        raise TypeError(f"The argument must be a string or a number, or another hashable category: {error}.") from error
    names = {value: None if value is None else name_of(value) for value in distinct}
    if known is not None:
        names |= {value: BOOLEANS[name] for value, name in names.items() if name in BOOLEANS and name not in known}
    named = np.empty(len(values), dtype=object)
    named[:] = [names[value] for value in values]
    return named


def name_of(value):
    """The name of a category, without ".0" for whole numbers: gaps turn integers into floats."""
    is_whole = isinstance(value, Number) and abs(value) != inf and value == int(value) and not isinstance(value, bool)
    return str(int(value)) if is_whole else str(value)
