"""Normalisation of a hidden layer's Z before its bias and activation.

Z becomes Z_hat, of mean 0 and variance 1, over the batch for each neuron (Ioffe & Szegedy, ICML 2015) or over the
neurons for each row (Ba, Kiros & Hinton, 2016). A trained scale gamma for each neuron and the layer's own bias restore
the expressiveness of the layer.
"""

from typing import Any

import numpy.typing as npt

from sklearn_mlp.core.batches import TrainingBatch
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]

# Momentum of the running statistics: the weight of the newest batch, at batches of equal weights.
RUNNING_MOMENTUM = 0.1


class BatchNorm:
    """Statistics over the rows of the batch in training, and the running ones in prediction.

    Rows count with their weights. A batch in which a single row has all the weight has no variance: it is normalised by
    the running statistics, and does not change them.
    """

    def __init__(self, device: Device, gamma: Array, running: Array) -> None:
        self.device = device
        self.gamma = gamma
        self.running = running
        self.batch_statistics = device.empty(running.shape, running.dtype)

    def forward(self, Z: Array, A: Array, batch: TrainingBatch | None) -> None:
        """Z <- Z_hat; A <- gamma Z_hat. In training, updates the running statistics with `batch.rate`."""
        if batch is None or batch.rate == 0:
            self.statistics, self.sample_weight, self.scale = self.running, None, 0.0
        else:
            self.statistics, self.sample_weight, self.scale = self.batch_statistics, batch.sample_weight, batch.scale
            self.device.column_moments(Z, self.sample_weight, self.scale, self.statistics)
            self.device.move_towards(self.running.reshape(-1), self.statistics.reshape(-1), batch.rate)
        self.device.batch_norm(Z, self.statistics, self.gamma, A)
        self.Z_hat = Z

    def backward(self, dA: Array, db: Array, dgamma: Array) -> None:
        """From the gradient `dA` with respect to gamma Z_hat to dZ, in place; `db` is the sum of its rows."""
        self.device.batch_norm_backward(
            self.Z_hat, self.statistics, self.gamma, self.sample_weight, self.scale, dA, db, dgamma
        )


class LayerNorm:
    """Statistics over the neurons of the layer, the same in training and in prediction."""

    def __init__(self, device: Device, gamma: Array) -> None:
        self.device = device
        self.gamma = gamma

    def forward(self, Z: Array, A: Array, batch: TrainingBatch | None) -> None:
        """Z <- Z_hat; A <- gamma Z_hat."""
        self.Z_hat, self.inverse_std = Z, self.device.empty((Z.shape[0],), Z.dtype)
        self.device.layer_norm(Z, self.gamma, A, self.inverse_std)

    def backward(self, dA: Array, db: Array, dgamma: Array) -> None:
        self.device.layer_norm_backward(self.Z_hat, self.inverse_std, self.gamma, dA, dgamma)
