"""The dense layer: four products, on which all training and prediction rest.

A batch X has one sample a row (n, fan_in); W is (fan_in, fan_out) and b is (fan_out,). The backward pass takes dZ, the
gradient of the loss with respect to Z, and returns the gradients of the loss with respect to everything that Z was
made of. It is derived in `docs/theory.md`.
"""

from typing import Any

import numpy.typing as npt

from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


def forward(device: Device, X: Any, W: Array, b: Array, activate: Any, A: Array) -> None:
    """A = f(X W + b), written into `A`, which is (n, fan_out)."""
    device.matmul(X, W, out=A)
    activate(A, b)


def backward(device: Device, X: Any, W: Array, dZ: Array, dW: Array, db: Array, dX: Array | None) -> None:
    """dW = Xᵀ dZ, db = the sum of dZ over the rows, dX = dZ Wᵀ; no dX for the first layer, whose X is data."""
    device.matmul(X.T, dZ, out=dW)
    device.column_sums(dZ, out=db)
    if dX is not None:
        device.matmul(dZ, W.T, out=dX)
