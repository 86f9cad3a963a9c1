"""The rows of an array in main memory, read batch by batch."""

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class HostRows:
    """Batches of the rows of X, gathered and cast one at a time; X is neither copied nor written to.

    Parameters
    ----------
    X : NumPy array or SciPy sparse matrix of shape (n_samples, n_features)
    dtype : numpy dtype
        The precision of the batches.
    """

    def __init__(self, X: Any, dtype: npt.DTypeLike) -> None:
        self.sparse = not isinstance(X, np.ndarray)
        self.X = X.tocsr() if self.sparse else X
        self.dtype = np.dtype(dtype)
        self._buffer: Any = None

    def batches(self, rows: Array | None, order: Any, batch_size: int) -> Iterator[Any]:
        """The rows with the indices `rows` (None: all, in their order), `batch_size` at a time.

        `order` is `rows` on the device. A batch may be a buffer, valid until the next.
        """
        X = self.X
        as_they_are = rows is None and X.dtype == self.dtype
        if not self.sparse and not as_they_are and (self._buffer is None or len(self._buffer) < batch_size):
            self._buffer = np.empty((batch_size, X.shape[1]), self.dtype)
        n_rows = X.shape[0] if rows is None else len(rows)
        for start in range(0, n_rows, batch_size):
            stop = min(start + batch_size, n_rows)
            index = slice(start, stop) if rows is None else rows[start:stop]
            if self.sparse:
                yield X[index].astype(self.dtype, copy=False)
            elif as_they_are:
                yield X[index]
            else:
                batch = self._buffer[: stop - start]
                gather(X, index, batch)
                yield batch


def gather(X: Array, index: Any, out: Array) -> None:
    """out <- the rows of X selected by a slice or an array of indices, cast to the dtype of `out`."""
    if X.dtype == out.dtype and X.flags.c_contiguous and not isinstance(index, slice):
        # With mode="raise", the default, take would gather into a temporary first.
        X.take(index, 0, out, "clip")
    else:
        out[...] = X[index]


def is_memory_mapped(X: Any) -> bool:
    while isinstance(X, np.ndarray):
        X = X.base
    return isinstance(X, mmap.mmap)
