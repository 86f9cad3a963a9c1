"""Normalisation of a hidden layer's Z before its bias and activation, and the way back.

Z becomes Z_hat, of mean 0 and variance 1, over the batch for each neuron (Ioffe & Szegedy, ICML 2015) or over the
neurons for each row (Ba, Kiros & Hinton, 2016). A scale gamma for each neuron and the layer's own bias give back the
freedom that this takes.
"""

from typing import Any

import numpy.typing as npt

from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]

# The running statistics are an average over the batches, in which each weighs this share less than the next.
FORGETTING = 0.1


class BatchNorm:
    """Statistics over the rows of the batch in training, and the running ones in prediction.

    Rows count with their weights. A batch in which one row has all the weight has no variance: it is normalised by the
    running statistics, and does not change them.
    """

    def __init__(self, device: Device, gamma: Array, running: Array) -> None:
        self.device = device
        self.gamma = gamma
        self.running = running
        self.of_batch = device.empty(running.shape, running.dtype)

    def forward(self, Z: Array, A: Array) -> None:
        """Z <- Z_hat; A <- gamma Z_hat."""
        self.device.batch_norm(Z, self.running, self.gamma, A)
        self._keep(Z, self.running, None, 0.0)

    def forward_training(self, Z: Array, A: Array, sample_weight: Array | None, scale: float, rate: float) -> None:
        """`scale` is one over the sum of the weights; the running statistics move by `rate` towards the batch's."""
        if rate == 0:
            self.forward(Z, A)
            return
        self.device.column_moments(Z, sample_weight, scale, self.of_batch)
        self.device.move_towards(self.running.reshape(-1), self.of_batch.reshape(-1), rate)
        self.device.batch_norm(Z, self.of_batch, self.gamma, A)
        self._keep(Z, self.of_batch, sample_weight, scale)

    def _keep(self, Z_hat: Array, moments: Array, sample_weight: Array | None, scale: float) -> None:
        self.Z_hat, self.moments, self.sample_weight, self.scale = Z_hat, moments, sample_weight, scale

    def backward(self, dA: Array, db: Array, dgamma: Array) -> None:
        """From the gradient `dA` with respect to gamma Z_hat to dZ, in place; `db` is the sum of its rows."""
        self.device.batch_norm_backward(
            self.Z_hat, self.moments, self.gamma, self.sample_weight, self.scale, dA, db, dgamma
        )


class LayerNorm:
    """Statistics over the neurons of the layer, the same in training and in prediction."""

    def __init__(self, device: Device, gamma: Array) -> None:
        self.device = device
        self.gamma = gamma

    def forward(self, Z: Array, A: Array) -> None:
        """Z <- Z_hat; A <- gamma Z_hat."""
        self.Z_hat, self.inverse_std = Z, self.device.empty((Z.shape[0],), Z.dtype)
        self.device.layer_norm(Z, self.gamma, A, self.inverse_std)

    def forward_training(self, Z: Array, A: Array, sample_weight: Array | None, scale: float, rate: float) -> None:
        self.forward(Z, A)

    def backward(self, dA: Array, db: Array, dgamma: Array) -> None:
        self.device.layer_norm_backward(self.Z_hat, self.inverse_std, self.gamma, dA, dgamma)
