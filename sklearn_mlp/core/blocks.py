"""Data that do not fit in memory, read in blocks of rows, several of which are in memory at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from math import ceil
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse, vstack

from sklearn_mlp.core.batches import Batch, Data
from sklearn_mlp.devices import Device
from sklearn_mlp.devices.encoded import EncodedTable, Encoding

Array = npt.NDArray[Any]
Item = TypeVar("Item")

# A window has at least WINDOW_BLOCKS blocks, and more if they are small, up to about WINDOW_ROWS rows.
WINDOW_BLOCKS = 4
WINDOW_ROWS = 2**16


class BlockData(NamedTuple):
    """Training data in blocks.

    Attributes
    ----------
    load : callable
        Takes the number of a block, and returns its rows as `Data` without `rows`. X, or the table of `encoding`, has
        the same dtype and kind in all blocks, and all or none have weights. Called in a thread.
    n_rows_of : sequence of int
        The number of rows of each block.
    X : array, sparse matrix or EncodedTable
        Sample rows, which determine its kind and its columns.
    total_weight : float
        The sum of the weights of all rows.
    encoding : Encoding or None
    """

    load: Callable[[int], Data]
    n_rows_of: Sequence[int]
    X: Any
    total_weight: float
    encoding: Encoding | None = None

    @property
    def n_rows(self) -> int:
        return sum(self.n_rows_of)

    def batches(self, device: Device, dtype: npt.DTypeLike, batch_size: int, shuffles: bool = False) -> "BlockBatches":
        return BlockBatches(device, self, dtype=dtype, batch_size=batch_size)

    def chunks(self, device: Device, dtype: npt.DTypeLike, n_units: int) -> "BlockBatches":
        # Chunks larger than a window would be collected from several windows.
        return self.batches(device, dtype, min(device.chunk_rows(self.X, n_units), WINDOW_ROWS))


class BlockBatches:
    """Mini-batches of the rows of blocks.

    The blocks are read in windows of several blocks; after `shuffle`, a window consists of random blocks, and its rows
    are shuffled. While the batches of a window are used, the next window is read in a thread. Rows that do not fill a
    batch at the end of a window are part of the next one, so that all batches except the last have `batch_size` rows,
    as in memory.

    Parameters
    ----------
    device : Device
    data : BlockData
    dtype : numpy dtype
        The precision of the batches of X.
    batch_size : int
    """

    def __init__(self, device: Device, data: BlockData, *, dtype: npt.DTypeLike, batch_size: int) -> None:
        self.device = device
        self.data = data
        self.dtype = dtype
        self.n_rows = data.n_rows
        self.batch_size = min(batch_size, self.n_rows)
        self.rows = None  # unlike in `Batches`, the order is a function of a seed
        rows_of_block = max(1, self.n_rows // len(data.n_rows_of))
        self.n_blocks = max(WINDOW_BLOCKS, WINDOW_ROWS // rows_of_block)
        self._seed: int | None = None

    @property
    def n_steps(self) -> int:
        return ceil(self.n_rows / self.batch_size)

    def shuffle(self, random_state: np.random.RandomState) -> None:
        """Draw the order of blocks and rows."""
        self._seed = random_state.randint(2**31)

    def __iter__(self) -> Iterator[Batch]:
        for window in one_ahead(self._windows()):
            X = window.X if self.data.encoding is None else EncodedTable(window.X, self.data.encoding)
            window = window._replace(X=self.device.prepare_rows(X, self.dtype, gather=False))
            del X
            yield from window.batches(self.device, self.dtype, self.batch_size)
            del window  # else it would stay in memory while the window after the next is read

    def _windows(self) -> Iterator[Data]:
        n_rows_of = self.data.n_rows_of
        order, random_state = np.arange(len(n_rows_of)), None
        if self._seed is not None:
            random_state = np.random.RandomState(self._seed)
            random_state.shuffle(order)
        left: Data | None = None
        for start in range(0, len(order), self.n_blocks):
            numbers = order[start : start + self.n_blocks]
            n_rows = sum(n_rows_of[i] for i in numbers) + (0 if left is None else left.n_rows)
            if n_rows == 0:
                continue
            rows = np.arange(n_rows)
            if random_state is not None:
                random_state.shuffle(rows)
            window = join(self._parts(left, numbers), n_rows)._replace(rows=rows)
            left = None
            if start + self.n_blocks < len(order):
                n_used = n_rows - n_rows % self.batch_size
                left = window.take(rows[n_used:])
                window = window._replace(rows=rows[:n_used])
            if window.n_rows:
                yield window
            del window

    def _parts(self, left: Data | None, numbers: Array) -> Iterator[Data]:
        if left is not None and left.n_rows:
            yield left
        for i in numbers:
            if self.data.n_rows_of[i]:
                yield self.data.load(int(i))


def one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items, each computed in a thread while its predecessor is used."""
    iterator, end = iter(items), object()

    def read() -> Future[Any]:
        # A thread for each item: the traceback of an error would keep an idle one alive. It uses the caller's context,
        # which includes NumPy's error handling.
        reader = ThreadPoolExecutor(1, "reader of blocks")
        coming = reader.submit(copy_context().run, lambda: next(iterator, end))
        reader.shutdown(wait=False)
        return coming

    coming = read()
    try:
        while (item := _wait(coming).result()) is not end:
            coming = read()
            yield item
            del item
    finally:
        _wait(coming)


def _wait(future: Future[Any]) -> Future[Any]:
    """Wait with a timeout: interrupts do not end other waits if a library such as Polars has set a signal handler."""
    while not wait([future], timeout=0.1).done:
        pass
    return future


def join(parts: Iterator[Data], n_rows: int) -> Data:
    """The rows of several parts, each of which is released as soon as it is copied."""
    part: Data | None = next(parts)
    assert part is not None
    if issparse(part.X):
        every = [part, *parts]
        weights = [each.sample_weight for each in every if each.sample_weight is not None]
        X = vstack([each.X for each in every], format="csr")
        return Data(X, np.concatenate([each.y for each in every]), np.concatenate(weights) if weights else None)
    joined = [None if of is None else np.empty((n_rows, *of.shape[1:]), of.dtype) for of in part[:3]]
    start = 0
    while part is not None:
        rows = slice(start, start + part.n_rows)
        for array, of_part in zip(joined, part[:3], strict=True):
            if array is not None:
                array[rows] = of_part
        start = rows.stop
        part = None  # release it before the next one is read
        part = next(parts, None)
    return Data(*joined)
