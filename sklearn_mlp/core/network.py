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


class Buffers:
    """Arrays of (rows of a batch, n_columns) that grow to the largest batch, and their first rows for smaller ones."""

    def __init__(self, device: Device, n_arrays: int, n_columns: int, dtype: npt.DTypeLike) -> None:
        self.device = device
        self.n_arrays = n_arrays
        self.n_columns = n_columns
        self.dtype = dtype
        self._arrays: list[Array] = []
        self._views: dict[int, list[Array]] = {}

    def __getitem__(self, n_rows: int) -> list[Array]:
        if n_rows not in self._views:
            if not self._arrays or n_rows > self._arrays[0].shape[0]:
                shape = n_rows, self.n_columns
                self._arrays = [self.device.empty(shape, self.dtype) for _ in range(self.n_arrays)]
                self._views.clear()
            self._views[n_rows] = [array[:n_rows] for array in self._arrays]
        return self._views[n_rows]


class HiddenLayer:
    """A = f(X W + b), and the way back through f."""

    def __init__(self, device: Device, activation: str, n_units: int, dtype: npt.DTypeLike) -> None:
        kernels = ACTIVATIONS[activation]
        self.device = device
        self.activate = getattr(device, kernels.forward)
        self.activate_backward = getattr(device, kernels.backward)
        self.keeps_derivative = kernels.keeps_derivative
        self.buffers = Buffers(device, 3 if kernels.keeps_derivative else 2, n_units, dtype)

    def forward(self, X: Any, W: Array, b: Array) -> Array:
        A, _, *derivative = self.buffers[X.shape[0]]
        dense.forward(self.device, X, W, A)
        self.activate(A, b, *derivative)
        return A

    def backward(self, dA: Array, db: Array) -> None:
        """Turn `dA`, a buffer of this layer, into dZ, and sum it up in `db`."""
        A, _, *derivative = self.buffers[dA.shape[0]]
        self.activate_backward(*(derivative or [A]), dA, db)


class Network:
    """A fully connected network with raw scores as its output.

    Parameters
    ----------
    device : Device
    W, b : sequences of arrays
        The weights (fan_in, fan_out) and biases (fan_out,) of each layer; read at every pass, never written.
    activations : sequence of str
        A key of `ACTIVATIONS` for each hidden layer.
    dtype : numpy dtype
        The precision of every layer's output.
    """

    def __init__(
        self, device: Device, W: Sequence[Array], b: Sequence[Array], activations: Sequence[str], dtype: npt.DTypeLike
    ) -> None:
        self.device = device
        self.W = W
        self.b = b
        self.dtype = dtype
        self.n_units = sum(b.shape[0] for b in b)
        self.hidden = [
            HiddenLayer(device, activation, W.shape[1], dtype)
            for activation, W in zip(activations, W[:-1], strict=True)
        ]
        self.scores = Buffers(device, 1, W[-1].shape[1], dtype)

    def forward(self, X: Any) -> Array:
        """The product Z = A W of the output layer (n, n_outputs), to which its bias is still to be added.

        What adds it is the loss or the output activation. Z is a buffer, valid until the next forward pass.
        """
        for layer, W, b in zip(self.hidden, self.W, self.b, strict=False):
            X = layer.forward(X, W, b)
        (Z,) = self.scores[X.shape[0]]
        dense.forward(self.device, X, self.W[-1], Z)
        return Z

    def backward(self, X: Any, dZ: Array, grad: Parameters) -> None:
        """Write into `grad` the gradient of the loss whose gradient with respect to the raw scores is `dZ`.

        To be called after `forward` of the same batch, whose activations it reads.
        """
        n_rows = X.shape[0]
        self.device.column_sums(dZ, out=grad.b[-1])
        for i in range(len(self.hidden), 0, -1):
            layer = self.hidden[i - 1]
            A, dA, *_ = layer.buffers[n_rows]
            dense.backward(self.device, A, self.W[i], dZ, grad.W[i], dA)
            layer.backward(dA, grad.b[i - 1])
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
