"""A stack of dense layers: forward keeps what backward needs, in buffers that every batch reuses."""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from sklearn_mlp.core import dense
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.parameters import Parameters
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


class Network:
    """A fully connected network with one activation for its hidden layers and raw scores as its output.

    Parameters
    ----------
    device : Device
    W, b : sequences of arrays
        The weights (fan_in, fan_out) and biases (fan_out,) of each layer; read at every pass, never written.
    activation : str
        A key of `ACTIVATIONS`.
    dtype : numpy dtype
        The precision of every layer's output.
    """

    def __init__(
        self, device: Device, W: Sequence[Array], b: Sequence[Array], activation: str, dtype: npt.DTypeLike
    ) -> None:
        kernels = ACTIVATIONS[activation]
        self.device = device
        self.W = W
        self.b = b
        self.dtype = dtype
        self.activate = [getattr(device, kernels.forward)] * (len(W) - 1) + [device.identity]
        self.activate_backward = getattr(device, kernels.backward)
        self._A: list[Array] = []
        self._dA: list[Array] = []
        self._max_rows = 0
        self._views: dict[int, tuple[list[Array], list[Array]]] = {}

    def _buffers(self, n_rows: int) -> tuple[list[Array], list[Array]]:
        """Each layer's output, and the gradient of each hidden layer's output, for a batch of `n_rows`."""
        if n_rows not in self._views:
            if n_rows > self._max_rows:
                self._A = [self.device.empty((n_rows, b.shape[0]), self.dtype) for b in self.b]
                self._dA = [self.device.empty(A.shape, self.dtype) for A in self._A[:-1]]
                self._max_rows = n_rows
                self._views.clear()
            self._views[n_rows] = [A[:n_rows] for A in self._A], [dA[:n_rows] for dA in self._dA]
        return self._views[n_rows]

    def forward(self, X: Any) -> Array:
        """The raw scores Z (n, n_outputs) of a batch: a buffer, valid until the next forward pass."""
        outputs, _ = self._buffers(X.shape[0])
        for W, b, activate, A in zip(self.W, self.b, self.activate, outputs, strict=True):
            dense.forward(self.device, X, W, b, activate, A)
            X = A
        return outputs[-1]

    def backward(self, X: Any, dZ: Array, grad: Parameters) -> None:
        """Write into `grad` the gradient of the loss whose gradient with respect to the raw scores is `dZ`.

        To be called after `forward` of the same batch, whose activations it reads.
        """
        outputs, gradients = self._buffers(X.shape[0])
        for i in range(len(self.W) - 1, 0, -1):
            A, dA = outputs[i - 1], gradients[i - 1]
            dense.backward(self.device, A, self.W[i], dZ, grad.W[i], grad.b[i], dA)
            self.activate_backward(A, dA)
            dZ = dA
        dense.backward(self.device, X, self.W[0], dZ, grad.W[0], grad.b[0], None)

    def predict(self, batches: Batches, inverse_link: str) -> Array:
        """The predictions (n_samples, n_outputs) for the rows of `batches`."""
        prediction = self.device.empty((batches.n_rows, self.b[-1].shape[0]), self.dtype)
        start = 0
        for X, _, _ in batches:
            stop = start + X.shape[0]
            prediction[start:stop] = self.forward(X)
            start = stop
        getattr(self.device, inverse_link)(prediction)
        return prediction
