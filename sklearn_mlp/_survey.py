"""Statistics of data in parts, from one pass: sizes, the labels or moments of y, and a sample of the rows."""

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse, vstack


class Rows(NamedTuple):
    """Validated rows: X is an array, a sparse matrix or a list of columns."""

    X: Any
    y: Any
    sample_weight: np.ndarray | None

    def take(self, rows):
        X = [column[rows] for column in self.X] if isinstance(self.X, list) else self.X[rows]
        return Rows(X, self.y[rows], None if self.sample_weight is None else self.sample_weight[rows])


class LabelCounts(NamedTuple):
    """The distinct rows of a y of labels, with the count and the total weight of each."""

    values: np.ndarray
    counts: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, y, sample_weight):
        ones = np.ones(y.shape[0])
        return cls(y.toarray() if issparse(y) else y, ones, ones if sample_weight is None else sample_weight)._collect()

    def merge(self, other):
        return LabelCounts(*(concatenate(pair) for pair in zip(self, other, strict=True)))._collect()

    def _collect(self):
        values = self.values
        if values.dtype.kind != "O":
            distinct, which = np.unique(values, axis=0, return_inverse=True)
            which = which.ravel()
        else:
            numbers = {}
            rows = map(tuple, values) if values.ndim == 2 else values
            which = np.array([numbers.setdefault(row, len(numbers)) for row in rows])
            distinct = np.empty((len(numbers), *values.shape[1:]), object)
            distinct[...] = [*numbers]
        return LabelCounts(distinct, np.bincount(which, self.counts), np.bincount(which, self.weights))


class Moments(NamedTuple):
    """The weighted mean and sum of squared deviations, the minimum and the maximum of each column of a numeric y; and
    the total weight.
    """

    total: float
    mean: np.ndarray
    squares: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, y, sample_weight):
        y = y.astype(np.float64)
        total = len(y) if sample_weight is None else sample_weight.sum()
        ends = np.array([y.min(axis=0), y.max(axis=0)])
        columns = y.reshape(len(y), -1)
        if total == 0:
            return cls(0.0, np.zeros(columns.shape[1]), np.zeros(columns.shape[1]), ends)
        mean = np.average(columns, axis=0, weights=sample_weight)
        squares = total * np.average((columns - mean) ** 2, axis=0, weights=sample_weight)
        return cls(float(total), mean, squares, ends)

    def merge(self, other):
        """Merge by the formulas of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for computing
        sample variances", 1979).
        """
        total = self.total + other.total
        share = other.total / total if total else 0.0
        distance = other.mean - self.mean
        values = np.concatenate([self.values, other.values])
        return Moments(
            total,
            self.mean + share * distance,
            self.squares + other.squares + distance**2 * self.total * share,
            np.array([values.min(axis=0), values.max(axis=0)]),
        )

    @property
    def deviation(self):
        return np.sqrt(self.squares / self.total)


class Survey:
    """The statistics of parts of the data, which can be merged.

    Parameters
    ----------
    n_sampled : int
        Number of rows that are sampled without replacement: those with the smallest random keys, which only depend on
        the number of the part.

    Attributes
    ----------
    n_rows_of : list of int
        The number of rows of each part.
    total_weight : float
    has_weights : bool
        Whether a part has weights.
    dtype : numpy dtype or None
        float32 if X of all parts is, and otherwise float64.
    y : LabelCounts or Moments
    """

    def __init__(self, n_sampled):
        self.n_sampled = n_sampled
        self.n_rows_of = []
        self.total_weight = 0.0
        self.has_weights = False
        self.dtype = None
        self.y = None
        self._keys, self._samples = [], []

    def add(self, i, rows, kind):
        """Add part `i`: its `Rows`, or None if it has none.

        `kind` is the class of the statistics of y.
        """
        n_rows = 0 if rows is None else rows.y.shape[0]
        self.n_rows_of.append(n_rows)
        if not n_rows:
            return
        weight = rows.sample_weight
        self._add_statistics(
            n_rows if weight is None else float(weight.sum()),
            weight is not None,
            np.float32 if getattr(rows.X, "dtype", None) == np.float32 else np.float64,
            kind.of(rows.y, weight),
        )
        keys = random_keys(0, i, n_rows)
        chosen = np.flatnonzero(keys <= self._largest_key())
        chosen = chosen[np.argsort(keys[chosen], kind="stable")[: self.n_sampled]]
        self._add_sample(keys[chosen], rows.take(chosen))

    def merge(self, other):
        """Add the parts of another survey, which follow those of this one."""
        self.n_rows_of += other.n_rows_of
        if other.y is not None:
            self._add_statistics(other.total_weight, other.has_weights, other.dtype, other.y)
            self._add_sample(*other._sample())
        return self

    def _add_statistics(self, total_weight, has_weights, dtype, y):
        self.total_weight += total_weight
        self.has_weights |= has_weights
        self.dtype = np.dtype(dtype if self.dtype is None else np.result_type(self.dtype, dtype))
        self.y = y if self.y is None else self.y.merge(y)

    def _largest_key(self):
        return self._keys[0][-1] if self._keys and len(self._keys[0]) == self.n_sampled else 1.0

    def _add_sample(self, keys, rows):
        self._keys.append(keys)
        self._samples.append(rows)
        if sum(map(len, self._keys)) > 2 * self.n_sampled:
            self._sample()

    def _sample(self):
        """The keys, in increasing order, and the rows sampled so far."""
        keys = np.concatenate(self._keys)
        order = np.argsort(keys, kind="stable")[: self.n_sampled]
        rows = stack_rows(self._samples).take(order)
        self._keys, self._samples = [keys[order]], [rows]
        return keys[order], rows

    @property
    def sample(self):
        """The sampled rows."""
        return self._sample()[1]


def random_keys(entropy, i, n_rows):
    """Uniform random numbers for the rows of part `i`."""
    return np.random.default_rng([entropy, i]).random(n_rows)


def stack_rows(parts):
    """The `Rows` of several parts as one."""
    X = [part.X for part in parts]
    if isinstance(X[0], list):
        X = [concatenate(column) for column in zip(*X, strict=True)]
    else:
        X = vstack(X, format="csr") if issparse(X[0]) else np.concatenate(X)
    weights = [part.sample_weight for part in parts]
    if all(weight is None for weight in weights):
        weights = None
    else:
        weights = np.concatenate([np.ones(p.y.shape[0]) if p.sample_weight is None else p.sample_weight for p in parts])
    return Rows(X, concatenate([part.y for part in parts]), weights)


def concatenate(arrays):
    """Concatenate arrays; of objects for numbers next to strings, which NumPy would convert to strings."""
    if any(issparse(array) for array in arrays):
        return vstack(arrays, format="csr")
    if len({array.dtype.kind in "biufc" for array in arrays}) > 1:
        arrays = [_as_objects(array) for array in arrays]
    return np.concatenate(arrays)


def _as_objects(array):
    """The array as one of objects, with None for NaN."""
    objects = array.astype(object)
    if array.dtype.kind == "f":
        objects[np.isnan(array)] = None
    return objects
