"""The rows of a data set, dealt out in mini-batches."""

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]
Batch = tuple[Any, Array | None, Array | None]


class Batches:
    """Mini-batches of chosen rows of X, in an order that can be shuffled; X itself is neither copied nor written to.

    Rows are gathered, and cast if need be, one batch at a time into one buffer. Two exceptions convert X as a whole:
    sparse columns (CSC) become sparse rows (CSR); and where rows are gathered, an array in memory that is not
    C-contiguous (a data frame's values, mostly) becomes so: a 200-row batch of 784 float32 takes 10 µs to gather from
    rows in C order and 220 µs from columns, when the products of its training step take 380 µs.

    Parameters
    ----------
    device : Device
    X : array or sparse matrix of shape (n_samples, n_features)
    y : array of shape (n_samples, ...) or None
    sample_weight : array of shape (n_samples,) or None
    dtype : numpy dtype
        The precision of the batches of X.
    batch_size : int
    rows : array of int, default=None
        The rows to deal out; None stands for all of them, in their order, without gathering.
    """

    def __init__(
        self,
        device: Device,
        X: Any,
        y: Array | None,
        sample_weight: Array | None,
        *,
        dtype: npt.DTypeLike,
        batch_size: int,
        rows: Array | None = None,
    ) -> None:
        self.y = y
        self.sample_weight = sample_weight
        self.rows = rows
        self.n_rows = X.shape[0] if rows is None else len(rows)
        self.dtype = np.dtype(dtype)
        self.sparse = not isinstance(X, np.ndarray)
        if self.sparse:
            X = X.tocsr()
        elif rows is not None and not X.flags.c_contiguous and not _is_memory_mapped(X):
            X = np.ascontiguousarray(X, dtype=dtype)
        self.X = X
        self.batch_size = min(batch_size, self.n_rows)
        self._X_buffer: Any = None
        if not self.sparse and (rows is not None or X.dtype != self.dtype):
            self._X_buffer = device.empty((self.batch_size, X.shape[1]), dtype)
        self._y_buffer, self._weight_buffer = (
            None if array is None or rows is None else device.empty((self.batch_size, *array.shape[1:]), array.dtype)
            for array in (y, sample_weight)
        )

    def shuffle(self, random_state: np.random.RandomState) -> None:
        """Put `rows` in a new order."""
        assert self.rows is not None
        random_state.shuffle(self.rows)

    def __iter__(self) -> Iterator[Batch]:
        y, sample_weight = self.y, self.sample_weight
        for start in range(0, self.n_rows, self.batch_size):
            batch = slice(start, min(start + self.batch_size, self.n_rows))
            if self.rows is None:
                yield (
                    self._gather(batch),
                    None if y is None else y[batch],
                    None if sample_weight is None else sample_weight[batch],
                )
            else:
                rows = self.rows[batch]
                yield (
                    self._gather(rows),
                    None if y is None else _take(y, rows, self._y_buffer),
                    None if sample_weight is None else _take(sample_weight, rows, self._weight_buffer),
                )

    def _gather(self, index: Any) -> Any:
        X = self.X
        if self.sparse:
            return X[index].astype(self.dtype, copy=False)
        if X.dtype == self.dtype:
            if self.rows is None:
                return X[index]
            if X.flags.c_contiguous:
                return _take(X, index, self._X_buffer)
        batch = X[index]
        out = self._X_buffer[: len(batch)]
        out[...] = batch
        return out


def _take(array: Array, rows: Array, buffer: Any) -> Array:
    # With mode="raise", the default, take would gather into a temporary first.
    return array.take(rows, 0, buffer[: len(rows)], "clip")


def _is_memory_mapped(X: Any) -> bool:
    while isinstance(X, np.ndarray):
        X = X.base
    return isinstance(X, mmap.mmap)
