"""The rows of X, batch by batch on the GPU: from its memory if X is stored there, else streamed from main memory."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import cupy
import cupyx
import cupyx.scipy.sparse
import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from sklearn_mlp.devices.cuda import kernels
from sklearn_mlp.devices.encoded import EncodedRows, EncodedTable
from sklearn_mlp.devices.rows import gather

Array = Any

# X is copied to the device if it takes at most this share of the free memory there: the network, its batches and other
# processes also need memory.
X_SHARE = 0.5
# Otherwise it is streamed in chunks of about this many bytes, two of which are on the device at a time.
CHUNK_BYTES = 2**26


def prepare_rows(X: Any, dtype: npt.DTypeLike) -> Any:
    """X on the device if it fits there, else unchanged."""
    if is_on_device(X):
        return X
    if isinstance(X, EncodedTable):
        return EncodedTable(prepare_rows(X.table, dtype), X.encoding)
    if issparse(X):
        X = X.tocsr()
        n_bytes = X.nnz * (np.dtype(dtype).itemsize + X.indices.itemsize) + X.indptr.nbytes
    else:
        n_bytes = X.size * _stored_dtype(X.dtype, dtype).itemsize
    if not _leaves_room(n_bytes):
        return X
    try:
        return _copy_csr(X, dtype) if issparse(X) else copy(X, _stored_dtype(X.dtype, dtype))
    except MemoryError:
        return X


def _leaves_room(n_bytes: int) -> bool:
    """Whether an array of `n_bytes` takes at most `X_SHARE` of the free memory of the device."""
    pool = cupy.get_default_memory_pool()
    if cupy.cuda.get_allocator() == pool.malloc:
        return n_bytes <= X_SHARE * (cupy.cuda.Device().mem_info[0] + pool.free_bytes())
    # Another allocator, such as RMM's, holds memory of the driver, and does not tell how much of it is free.
    try:
        cupy.empty(int(n_bytes / X_SHARE), np.uint8)
    except MemoryError:
        return False
    return True


def reader(X: Any, dtype: npt.DTypeLike) -> Any:
    """A reader of batches of X, on the device or on the host."""
    if isinstance(X, EncodedTable):
        return _encoded_rows(X, dtype)
    if is_on_device(X):
        return SparseRows(X, dtype) if cupyx.scipy.sparse.issparse(X) else DenseRows(X, dtype)
    return StreamedSparseRows(X, dtype) if issparse(X) else StreamedRows(X, dtype)


def _encoded_rows(X: EncodedTable, dtype: npt.DTypeLike) -> EncodedRows:
    """A reader of the batches of a table; each batch is encoded as a dense matrix, for one large product."""
    e = X.encoding
    columns = cupy.asarray(e.kind), cupy.asarray(e.source), cupy.asarray(e.offset, dtype), cupy.asarray(e.width, dtype)

    def encode(table: Array) -> Array:
        batch = cupy.empty((len(table), e.n_columns), dtype)
        kernels.encode(table, *columns, table.shape[1], batch)
        return batch

    return EncodedRows(reader(X.table, dtype), encode)


def is_on_device(X: Any) -> bool:
    return isinstance(X, cupy.ndarray) or cupyx.scipy.sparse.issparse(X)


def _stored_dtype(dtype: npt.DTypeLike, training: npt.DTypeLike) -> np.dtype[Any]:
    """The dtype in which X is copied to the device and stored there: that of training, or its own if smaller."""
    own, training = np.dtype(dtype).newbyteorder("="), np.dtype(training)
    return own if own.itemsize < training.itemsize and own != np.float16 else training


def copy(array: npt.NDArray[Any], dtype: npt.DTypeLike) -> Array:
    """`array` on the device, cast and copied chunk by chunk.

    A single copy would need two temporaries on the host: the cast array, and CuPy's pinned memory, whose size is
    rounded up to a power of two.
    """
    copied = cupy.empty(array.shape, dtype)
    n_rows = max(1, CHUNK_BYTES * len(array) // max(1, copied.nbytes))
    for start in range(0, len(array), n_rows):
        rows = slice(start, start + n_rows)
        copied[rows].set(np.ascontiguousarray(array[rows], dtype=copied.dtype))
    return copied


def _copy_csr(X: Any, dtype: npt.DTypeLike) -> Any:
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    arrays = copy(X.data, dtype), copy(X.indices, X.indices.dtype), copy(X.indptr, X.indptr.dtype)
    return cupyx.scipy.sparse.csr_matrix(arrays, shape=X.shape)


class DenseRows:
    """Rows of an array on the device, gathered (and cast if necessary) by one kernel."""

    def __init__(self, X: Array, dtype: npt.DTypeLike) -> None:
        self.X = X
        self.dtype = np.dtype(dtype)
        self._buffer: Any = None

    def batches(self, rows: npt.NDArray[Any] | None, order: Array | None, batch_size: int) -> Iterator[Array]:
        X = self.X
        n_rows, n_features = X.shape
        if order is not None:
            n_rows, order = len(order), order[:, np.newaxis]
        as_they_are = order is None and X.dtype == self.dtype
        if not as_they_are and (self._buffer is None or len(self._buffer) < batch_size):
            self._buffer = cupy.empty((batch_size, n_features), self.dtype)
        for start in range(0, n_rows, batch_size):
            stop = min(start + batch_size, n_rows)
            if as_they_are:
                yield X[start:stop]
                continue
            batch = self._buffer[: stop - start]
            if order is None:
                batch[...] = X[start:stop]
            else:
                kernels.gather(X, order[start:stop], n_features, batch)
            yield batch


class SparseRows:
    """Rows of a CSR matrix on the device; each batch is converted to a dense array.

    The gradient dW = Xᵀ dZ and the optimizer's pass over it are dense anyway, and of the same order of size as the
    batch. The products of cuSPARSE would need each batch as a separate matrix, for which CuPy waits for the device, and
    would sum Xᵀ dZ in a nondeterministic order.
    """

    def __init__(self, X: Any, dtype: npt.DTypeLike) -> None:
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        self.X = X if X.dtype == dtype else X.astype(dtype)
        self.dtype = np.dtype(dtype)
        self._buffer: Any = None

    def batches(self, rows: npt.NDArray[Any] | None, order: Array | None, batch_size: int) -> Iterator[Array]:
        X = self.X
        n_features = X.shape[1]
        if order is None:
            order = cupy.arange(X.shape[0])
        if self._buffer is None or len(self._buffer) < batch_size:
            self._buffer = cupy.empty((batch_size, n_features), self.dtype)
        for start in range(0, len(order), batch_size):
            index = order[start : start + batch_size]
            batch = self._buffer[: len(index)]
            batch.fill(0)
            kernels.spread(X.data, X.indices, X.indptr, index, n_features, batch, size=32 * len(index))
            yield batch


class StreamedSparseRows:
    """Rows of a SciPy CSR matrix in main memory, copied to the device in chunks."""

    def __init__(self, X: Any, dtype: npt.DTypeLike) -> None:
        self.X = X.tocsr()
        self.dtype = np.dtype(dtype)

    def batches(self, rows: npt.NDArray[Any] | None, order: Array | None, batch_size: int) -> Iterator[Array]:
        X = self.X
        n_rows = X.shape[0] if rows is None else len(rows)
        batch_bytes = batch_size * (X.data.nbytes + X.indices.nbytes) // max(1, X.shape[0])
        chunk = batch_size * max(1, CHUNK_BYTES // max(1, batch_bytes))
        for start in range(0, n_rows, chunk):
            index = slice(start, start + chunk) if rows is None else rows[start : start + chunk]
            yield from SparseRows(_copy_csr(X[index], self.dtype), self.dtype).batches(None, None, batch_size)


class _Slot:
    """A chunk in pinned memory and on the device, and events after which each can be overwritten."""

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self.on_host = cupyx.empty_pinned(shape, dtype)
        self.on_device = cupy.empty(shape, dtype)
        self.sent = cupy.cuda.Event(disable_timing=True)
        self.used = cupy.cuda.Event(disable_timing=True)
        self.used.record()  # pending kernels may still use the memory, for another array


class StreamedRows:
    """Rows of an array in main memory, copied to the device in chunks.

    While the device computes with one chunk, the next is gathered into pinned memory and copied on a separate stream.
    """

    def __init__(self, X: npt.NDArray[Any], dtype: npt.DTypeLike) -> None:
        self.X = X
        self.dtype = np.dtype(dtype)
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._slots: list[_Slot] = []
        self._buffer: Any = None

    def batches(self, rows: npt.NDArray[Any] | None, order: Array | None, batch_size: int) -> Iterator[Array]:
        n_rows, n_features = self.X.shape
        if rows is not None:
            n_rows = len(rows)
        dtype = _stored_dtype(self.X.dtype, self.dtype)
        chunk = batch_size * max(1, CHUNK_BYTES // (batch_size * n_features * dtype.itemsize))
        chunk = min(chunk, n_rows)
        if not self._slots or self._slots[0].on_device.shape != (chunk, n_features):
            self._slots = [_Slot((chunk, n_features), dtype) for _ in range(2 if chunk < n_rows else 1)]
        if dtype != self.dtype and (self._buffer is None or len(self._buffer) < batch_size):
            self._buffer = cupy.empty((batch_size, n_features), self.dtype)
        for start, slot in zip(range(0, n_rows, chunk), cycle(self._slots), strict=False):
            stop = min(start + chunk, n_rows)
            index = slice(start, stop) if rows is None else rows[start:stop]
            X = self._send(slot, index, stop - start)
            for first in range(0, len(X), batch_size):
                batch = X[first : first + batch_size]
                if dtype != self.dtype:
                    cast = self._buffer[: len(batch)]
                    cast[...] = batch
                    batch = cast
                yield batch
            slot.used.record()

    def _send(self, slot: _Slot, index: Any, n_rows: int) -> Array:
        """The rows of X selected by `index`, on the device before any kernel that is launched later runs."""
        slot.sent.synchronize()
        gather(self.X, index, slot.on_host[:n_rows])
        self._stream.wait_event(slot.used)
        X = slot.on_device[:n_rows]
        X.set(slot.on_host[:n_rows], stream=self._stream)
        slot.sent.record(self._stream)
        cupy.cuda.get_current_stream().wait_event(slot.sent)
        return X
