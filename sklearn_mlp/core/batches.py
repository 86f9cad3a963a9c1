"""The rows of a data set, dealt out in mini-batches."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


# X, y and sample_weight of some rows; the sum of their weights, or their number if they have none; and whether one of
# them has all the weight.
Batch = tuple[Any, Any, Any, float, bool]


class Batches:
    """Mini-batches of chosen rows of X, in an order that can be shuffled.

    Parameters
    ----------
    device : Device
    X : what `device.rows` takes, of shape (n_samples, n_features)
    y : array of shape (n_samples, ...) or None
    sample_weight : NumPy array of shape (n_samples,) or None
    dtype : numpy dtype
        The precision of the batches of X.
    batch_size : int
    rows : NumPy array of int, default=None
        The rows to deal out; None stands for all of them, in their order, without gathering.
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
        self.y = None if y is None else device.place(y)
        self.sample_weight = sample_weight
        self.rows = rows
        self.n_rows = X.shape[0] if rows is None else len(rows)
        self.batch_size = min(batch_size, self.n_rows)

    def shuffle(self, random_state: np.random.RandomState) -> None:
        """Put `rows` in a new order."""
        assert self.rows is not None
        random_state.shuffle(self.rows)

    def __iter__(self) -> Iterator[Batch]:
        y, sample_weight = self.y, self.sample_weight
        if self.rows is not None:
            if y is not None:
                y = self.device.take(y, self.device.place(self.rows))
            if sample_weight is not None:
                sample_weight = sample_weight[self.rows]
        starts = range(0, self.n_rows, self.batch_size)
        total_weights = n_weighted = None
        if sample_weight is not None:
            # Here and not batch by batch, since on a GPU reading a sum would have to wait for it.
            total_weights = np.add.reduceat(sample_weight, starts, dtype=np.float64).tolist()
            n_weighted = np.add.reduceat(sample_weight > 0, starts, dtype=np.intp).tolist()
            sample_weight = self.device.place(sample_weight)
        for i, X in enumerate(self.X.batches(self.rows, self.batch_size)):
            rows = slice(starts[i], starts[i] + X.shape[0])
            yield (
                X,
                None if y is None else y[rows],
                None if sample_weight is None else sample_weight[rows],
                X.shape[0] if total_weights is None else total_weights[i],
                (X.shape[0] if n_weighted is None else n_weighted[i]) == 1,
            )
