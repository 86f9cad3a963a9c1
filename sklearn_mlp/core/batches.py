"""The rows of a data set in mini-batches."""

import pickle
from collections.abc import Iterator
from copy import deepcopy
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


# With at least this many rows, the next order is drawn while an asynchronous device computes. Shuffling fewer takes no
# longer than copying the generator.
N_ROWS_AHEAD = 50_000

# X, y and sample_weight of some rows; their total weight, or their number without weights; and `single_row`, whether a
# single row has all the weight.
Batch = tuple[Any, Any, Any, float, bool]


class TrainingBatch(NamedTuple):
    """Properties of a batch that are only used in training.

    `scale` is the reciprocal of the sum of the weights, `rate` the step size of the running statistics; the random
    numbers of dropout are a function of `seed`, the `number` of the batch and the layer.
    """

    sample_weight: Array | None
    scale: float
    rate: float
    seed: int
    number: int


class NextOrder:
    """The order of the next shuffle, drawn from a copy of the generator.

    The generator itself is not advanced, as its state may be saved or used between two epochs.
    """

    def __init__(self, rows: Array, random_state: np.random.RandomState) -> None:
        self.before = pickle.dumps(random_state.get_state(legacy=False))
        self.rows, ahead = rows.copy(), deepcopy(random_state)
        ahead.shuffle(self.rows)
        self.after = ahead.get_state(legacy=False)

    def is_of(self, random_state: np.random.RandomState) -> bool:
        """Whether the generator is in the state from which the order was drawn."""
        return pickle.dumps(random_state.get_state(legacy=False)) == self.before


class Batches:
    """Mini-batches of a selection of rows, in an order that can be shuffled.

    Parameters
    ----------
    device : Device
    X : array or matrix of shape (n_samples, n_features)
        In a form that `device.rows` accepts.
    y : array of shape (n_samples, ...) or None
    sample_weight : NumPy array of shape (n_samples,) or None
    dtype : numpy dtype
        The precision of the batches of X.
    batch_size : int
    rows : NumPy array of int, default=None
        The selected rows; None selects all of them in their order, without gathering.
    """

    def __init__(
        self,
        device: Device,
        X: Any,
        y: Any,
        sample_weight: Array | None,
        *,
        dtype: npt.DTypeLike,
        batch_size: int,
        rows: Array | None = None,
    ) -> None:
        self.device = device
        self.X = device.rows(X, dtype)
        self.y = None if y is None else device.to_device(y)
        self.sample_weight = sample_weight
        self.rows = rows
        self.n_rows = X.shape[0] if rows is None else len(rows)
        self.batch_size = min(batch_size, self.n_rows)
        self._random_state: np.random.RandomState | None = None  # of the last shuffle
        self._next_order: NextOrder | None = None

    @property
    def n_steps(self) -> int:
        return ceil(self.n_rows / self.batch_size)

    def shuffle(self, random_state: np.random.RandomState) -> None:
        """Shuffle `rows` in place."""
        assert self.rows is not None
        self._random_state, ahead = random_state, self._next_order
        if ahead is not None and ahead.is_of(random_state):
            self.rows[...] = ahead.rows
            random_state.set_state(ahead.after)
        else:
            random_state.shuffle(self.rows)

    def __iter__(self) -> Iterator[Batch]:
        y, sample_weight, order = self.y, self.sample_weight, None
        if self.rows is not None:
            order = self.device.to_device(self.rows)
            if y is not None:
                y = self.device.take(y, order)
            if sample_weight is not None:
                sample_weight = sample_weight[self.rows]
        starts = range(0, self.n_rows, self.batch_size)
        total_weights = n_weighted = None
        if sample_weight is not None:
            # On the host, as reading a sum from a GPU would wait for it.
            total_weights = np.add.reduceat(sample_weight, starts, dtype=np.float64).tolist()
            n_weighted = np.add.reduceat(sample_weight > 0, starts, dtype=np.intp).tolist()
            sample_weight = self.device.to_device(sample_weight)
        for i, X in enumerate(self.X.batches(self.rows, order, self.batch_size)):
            rows = slice(starts[i], starts[i] + X.shape[0])
            yield (
                X,
                None if y is None else y[rows],
                None if sample_weight is None else sample_weight[rows],
                X.shape[0] if total_weights is None else total_weights[i],
                (X.shape[0] if n_weighted is None else n_weighted[i]) == 1,
            )
        draws_ahead = self.device.asynchronous and self.n_rows >= N_ROWS_AHEAD
        if self.rows is not None and self._random_state is not None and draws_ahead:
            self._next_order = NextOrder(self.rows, self._random_state)


class Data(NamedTuple):
    """Training data: X as `device.prepare_rows` returns it, the encoded y, weights or None, and the indices of the rows
    to use, or None for all.
    """

    X: Any
    y: Any
    sample_weight: Array | None = None
    rows: Array | None = None

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0]) if self.rows is None else len(self.rows)

    @property
    def total_weight(self) -> float:
        """The sum of the weights of all rows of X."""
        return self.n_rows if self.sample_weight is None else float(self.sample_weight.sum())

    def take(self, rows: Array) -> "Data":
        """Some rows, in main memory."""
        weight = self.sample_weight
        return Data(self.X[rows], self.y[rows], None if weight is None else weight[rows])

    def batches(self, device: Device, dtype: npt.DTypeLike, batch_size: int, shuffles: bool = False) -> Batches:
        """The rows in batches of `batch_size`; `shuffles` is whether their order will be changed."""
        rows = np.arange(self.n_rows) if self.rows is None and shuffles else self.rows
        return Batches(device, self.X, self.y, self.sample_weight, dtype=dtype, batch_size=batch_size, rows=rows)

    def chunks(self, device: Device, dtype: npt.DTypeLike, n_units: int) -> Batches:
        """The rows in batches of a suitable size for a single pass."""
        return self.batches(device, dtype, device.chunk_rows(self.X, n_units))
