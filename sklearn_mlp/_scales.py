"""Warnings about the scale of X: training needs columns near unit scale, and a validation set on the scale of X."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_mlp._caller import warn
from sklearn_mlp._checks import to_host

# Maximum numbers of rows and of values in a sample, which has at least 100 rows.
N_SAMPLED_ROWS, N_SAMPLED_VALUES, N_SPARSE_VALUES = 1000, 1_000_000, 100_000
# In benchmarks/scales.py, columns of scale 30 give 1 to 15 × the log-loss of unit scale, of scale 100 1.2 to 36 ×.
LARGEST_COLUMN, SMALLEST_ROW = 30, 0.1


def check_scale(X, device, names):
    """Warn if columns of X are far from unit scale; `names` are those of the columns, or None.

    A sparse X is judged as a whole, by its values that are not zero.
    """
    if is_sparse(X):
        size = _root_mean_square(X.data[:N_SPARSE_VALUES], device)
        if not size > LARGEST_COLUMN:
            return
        what = f"its values that are not zero have a root mean square of {size:.3g}"
    elif ((size := _root_mean_square(_sample_rows(X), device)) > LARGEST_COLUMN).any():
        worst = size.argmax()
        what = f"{_column(worst, names)} has a root mean square of {size[worst]:.3g}"
        if n_others := np.count_nonzero(size > LARGEST_COLUMN) - 1:
            what += f", and of {n_others} more it is above {LARGEST_COLUMN}"
    elif 0 < np.linalg.norm(size) < SMALLEST_ROW:
        what = f"the largest root mean square of a column is {size.max():.3g}"
    else:
        return
    warn(
        f"X is far from unit scale: {what}. Networks train badly on such data. Put a sklearn.preprocessing."
        "StandardScaler in front: make_pipeline(StandardScaler(), ...).",
        ConvergenceWarning,
    )


def check_same_scale(X, X_val, device, names):
    """Warn if a validation set is not on the scale of X.

    In each column, the median distance of X_val from the median of X is compared with half the interquartile range of
    X, which it equals if both are from one distribution; and the interquartile ranges are compared. Columns that are
    mostly constant, and sparse X, are skipped.
    """
    if is_sparse(X) or is_sparse(X_val):
        return
    quartiles = np.quantile(to_host(_sample_rows(X), device), [0.25, 0.5, 0.75], axis=0)
    sample = to_host(_sample_rows(X_val), device)
    columns = np.flatnonzero(quartiles[2] > quartiles[0])
    if not columns.size:
        return
    low, median, high = quartiles[:, columns]
    low_val, median_val, high_val = np.quantile(sample[:, columns], [0.25, 0.5, 0.75], axis=0)
    distance = np.median(np.abs(sample[:, columns] - median), axis=0) / ((high - low) / 2)
    spread = (high_val - low_val) / (high - low)
    has_enough = len(sample) >= 10
    if np.median(distance) > 4 or (has_enough and distance.max() > 20):
        worst = distance.argmax()
    elif has_enough and np.median(spread) < 0.05:
        worst = spread.argmin()
    else:
        return
    warn(
        f"X_val is not on the scale of X: {_column(columns[worst], names)} has the median {median[worst]:.3g} and the "
        f"interquartile range {high[worst] - low[worst]:.3g} in X, and {median_val[worst]:.3g} and "
        f"{high_val[worst] - low_val[worst]:.3g} in X_val. Transform X_val as X was; Pipeline(..., "
        "transform_input=['X_val']) does, with metadata routing."
    )


def is_sparse(X):
    return hasattr(X, "indptr")  # on a GPU as well


def _sample_rows(X):
    """Some evenly spaced rows, in float64."""
    n_rows = min(N_SAMPLED_ROWS, max(100, N_SAMPLED_VALUES // X.shape[1]))
    return X[:: -(-X.shape[0] // n_rows)].astype(np.float64)


def _root_mean_square(values, device):
    """The root mean square of each column, on the host."""
    values = values.astype(np.float64, copy=False)
    return np.sqrt(to_host((values * values).sum(axis=0), device) / len(values))


def _column(index, names):
    return f"column {index if names is None else repr(str(names[index]))}"
