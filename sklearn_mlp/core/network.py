"""A stack of dense layers: forward keeps what backward needs, in buffers that every batch reuses."""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from sklearn_mlp.core import dense
from sklearn_mlp.core.activations import ACTIVATIONS, OUT_ACTIVATIONS
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
        self.n_units = sum(b.shape[0] for b in b)
        self.activate = getattr(device, kernels.forward)
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
        """The product Z = A W of the output layer (n, n_outputs), to which its bias is still to be added.

        What adds it is the loss or the output activation. Z is a buffer, valid until the next forward pass.
        """
        outputs, _ = self._buffers(X.shape[0])
        for W, b, A in zip(self.W[:-1], self.b[:-1], outputs[:-1], strict=True):
            dense.forward(self.device, X, W, A)
            self.activate(A, b)
            X = A
        dense.forward(self.device, X, self.W[-1], outputs[-1])
        return outputs[-1]

    def backward(self, X: Any, dZ: Array, grad: Parameters) -> None:
        """Write into `grad` the gradient of the loss whose gradient with respect to the raw scores is `dZ`.

        To be called after `forward` of the same batch, whose activations it reads.
        """
        outputs, gradients = self._buffers(X.shape[0])
        self.device.column_sums(dZ, out=grad.b[-1])
        for i in range(len(self.W) - 1, 0, -1):
            A, dA = outputs[i - 1], gradients[i - 1]
            dense.backward(self.device, A, self.W[i], dZ, grad.W[i], dA)
            self.activate_backward(A, dA, grad.b[i - 1])
            dZ = dA
        dense.backward(self.device, X, self.W[0], dZ, grad.W[0], None)

    def predict(self, batches: Batches, out_activation: str) -> Array:
        """The predictions (n_samples, n_outputs) for the rows of `batches`."""
        activate = getattr(self.device, OUT_ACTIVATIONS[out_activation])
        prediction = self.device.empty((batches.n_rows, self.b[-1].shape[0]), self.dtype)
        start = 0
        for X, *_ in batches:
            stop = start + X.shape[0]
            Z = self.forward(X)
            activate(Z, self.b[-1])
            prediction[start:stop] = Z
            start = stop
        return prediction
