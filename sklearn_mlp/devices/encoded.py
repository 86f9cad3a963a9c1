"""A matrix of encoded columns, computed batch by batch from a table with fewer columns."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NUMBER, BIN, GAP, CODE = range(4)


class Encoding:
    """The encoding of the columns of a table as those of a matrix.

    A table of float32 has numbers of about unit scale, with NaN for gaps, in its first columns, and the codes of
    categories, -1 for none, in the others. The matrix has, in this order: each number z, with 0 for gaps, bounded as
    ``z / sqrt(1 + (z / 3) ** 2)``; its relative position in each of its bins, clipped to [0, 1]; an indicator of gaps
    for each number with `has_gaps`; and an indicator of each code.

    Parameters
    ----------
    edges : sequence of ndarray of float32
        The bounds of the bins of each number, increasing.
    has_gaps : sequence of bool
        The numbers with an indicator of gaps.
    n_codes : sequence of int
        The number of codes of each category.

    Attributes
    ----------
    first_bin : ndarray of int of shape (n_numbers + 1,)
        The column of the matrix at which the bins of each number begin.
    gap_column : ndarray of int of shape (n_numbers,)
        The column of the matrix that indicates the gaps of each number, or -1.
    first_code : ndarray of int of shape (n_categories + 1,)
        The column of the matrix at which the codes of each category begin.
    kind : ndarray of int8 of shape (n_columns,)
        NUMBER, BIN, GAP or CODE, for each column of the matrix.
    source : ndarray of int of shape (n_columns,)
        The column of the table that it is computed from.
    offset : ndarray of float32 of shape (n_columns,)
        The lower bound of a bin, or the code.
    width : ndarray of float32 of shape (n_columns,)
        The width of a bin.
    """

    def __init__(self, edges: Sequence[Array], has_gaps: Sequence[bool], n_codes: Sequence[int]) -> None:
        numbers, categories = np.arange(len(edges)), len(edges) + np.arange(len(n_codes))
        n_bins = [len(each) - 1 for each in edges]
        gaps = np.flatnonzero(has_gaps)
        self.n_numbers = len(edges)
        self.first_bin = self.n_numbers + np.cumsum([0, *n_bins])
        self.first_gap = self.first_bin[-1]
        self.gap_column = np.full(self.n_numbers, -1)
        self.gap_column[gaps] = self.first_gap + np.arange(len(gaps))
        self.first_code = self.first_gap + len(gaps) + np.cumsum([0, *n_codes])
        self.n_columns = int(self.first_code[-1])
        self.kind = np.repeat(
            np.array([NUMBER, BIN, GAP, CODE], np.int8), [len(edges), sum(n_bins), len(gaps), sum(n_codes)]
        )
        self.source = np.concatenate([numbers, np.repeat(numbers, n_bins), gaps, np.repeat(categories, n_codes)])
        self.offset, self.width = np.zeros(self.n_columns, np.float32), np.ones(self.n_columns, np.float32)
        for first, of_number in zip(self.first_bin, edges, strict=False):
            self.offset[first : first + len(of_number) - 1] = of_number[:-1]
            self.width[first : first + len(of_number) - 1] = np.diff(of_number)
        for first, n in zip(self.first_code, n_codes, strict=False):
            self.offset[first : first + n] = np.arange(n)


class EncodedTable:
    """The matrix given by a table and its encoding; it is never in memory as a whole.

    Parameters
    ----------
    table : array of float32 of shape (n_samples, n_features)
        In main memory or on a device.
    encoding : Encoding
    transposed : bool, default=False
    """

    def __init__(self, table: Any, encoding: Encoding, transposed: bool = False) -> None:
        self.table = table
        self.encoding = encoding
        self.transposed = transposed
        self.dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        n_rows, n_columns = len(self.table), self.encoding.n_columns
        return (n_columns, n_rows) if self.transposed else (n_rows, n_columns)

    @property
    def T(self) -> "EncodedTable":
        return EncodedTable(self.table, self.encoding, not self.transposed)

    def __getitem__(self, rows: Any) -> "EncodedTable":
        return EncodedTable(self.table[rows], self.encoding)


class EncodedRows:
    """Batches of an `EncodedTable`.

    Parameters
    ----------
    reader : object
        Its `batches` are those of the table.
    make_batch : callable
        Encodes a batch of the table.
    """

    def __init__(self, reader: Any, make_batch: Callable[[Any], Any]) -> None:
        self.reader = reader
        self.make_batch = make_batch

    def batches(self, rows: Array | None, order: Any, batch_size: int) -> Iterator[Any]:
        return map(self.make_batch, self.reader.batches(rows, order, batch_size))
