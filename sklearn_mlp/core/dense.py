"""The dense layer: the three matrix products of training and prediction.

A batch X has one sample a row (n, fan_in); W is (fan_in, fan_out). The backward pass takes dZ, the gradient of the loss
with respect to Z, and writes the gradients with respect to W and X. The bias is left to the activation's kernels, which
read or write every element of Z or dZ anyway: forward adds b, backward sums dZ over the rows, which is db.
`docs/theory.md` has the derivation.
"""

from typing import Any

import numpy.typing as npt

from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


def forward(device: Device, X: Any, W: Array, Z: Array) -> None:
    """Z = X W, written into `Z`, which is (n, fan_out)."""
    device.matmul(X, W, out=Z)


def backward(device: Device, X: Any, W: Array, dZ: Array, dW: Array, dX: Array | None) -> None:
    """dW = Xᵀ dZ and dX = dZ Wᵀ; None for dX skips it, as for a first layer, whose X is data."""
    device.matmul(X.T, dZ, out=dW)
    if dX is not None:
        device.matmul(dZ, W.T, out=dX)
