"""The interface of a device, which mypy checks for each device.

`cpu.py` has the reference implementation, whose docstrings document each method. Kernels work in place on arrays that
the caller owns. Those of activations and losses are methods of a device as well, but not listed here: `core` refers to
the reference implementation, and `resolve_kernel` finds the method of the same name.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy.typing as npt

# An array on the device.
Array = Any
# The forward or backward pass of an activation, or a loss with its gradient; writes to its arguments.
Kernel = Callable[..., None]


class DeviceError(RuntimeError):
    """A device was found, but does not compute."""


class Device(Protocol):
    """Arrays on a device, and the arithmetic on them.

    Attributes
    ----------
    name : str
        The value of the estimators' attribute `device_`.
    chunk_size : int
        Rows are predicted, scored and (by lbfgs) trained on in chunks of about this many numbers.
    asynchronous : bool
        Whether methods return before the device has computed.
    """

    name: str
    chunk_size: int
    asynchronous: bool

    def active(self) -> AbstractContextManager[None]: ...
    def release(self) -> None: ...

    # -- arrays ------------------------------------------------------------------------------------------------------

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array: ...
    def zeros(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array: ...
    def to_device(self, array: Any) -> Any: ...
    def to_device_copy(self, array: Any) -> Array: ...
    def to_host(self, array: Any) -> Any: ...
    def write(self, array: npt.NDArray[Any], out: Array) -> None: ...
    def take(self, array: Array, rows: Array) -> Array: ...

    # -- rows of X ---------------------------------------------------------------------------------------------------

    def prepare_rows(self, X: Any, dtype: npt.DTypeLike, gather: bool) -> Any: ...
    def rows(self, X: Any, dtype: npt.DTypeLike) -> Any: ...
    def chunk_rows(self, X: Any, n_units: int) -> int: ...

    # -- sums over batches -------------------------------------------------------------------------------------------

    def accumulator(self) -> Array: ...
    def collect(self, loss: Array) -> float: ...

    # -- layers ------------------------------------------------------------------------------------------------------

    def matmul(self, A: Any, B: Array, out: Array) -> None: ...
    def column_sums(self, A: Array, out: Array) -> None: ...
    def column_moments(self, Z: Array, weight: Array | None, scale: float, out: Array) -> None: ...
    def batch_norm(self, Z: Array, moments: Array, gamma: Array, A: Array) -> None: ...
    def batch_norm_backward(
        self,
        Z_hat: Array,
        moments: Array,
        gamma: Array,
        weight: Array | None,
        scale: float,
        dA: Array,
        db: Array,
        dgamma: Array,
    ) -> None: ...
    def layer_norm(self, Z: Array, gamma: Array, A: Array, inverse_std: Array) -> None: ...
    def layer_norm_backward(self, Z_hat: Array, inverse_std: Array, gamma: Array, dA: Array, dgamma: Array) -> None: ...
    def dropout(self, A: Array, out: Array, rate: float, keys: tuple[int, int]) -> None: ...

    # -- flat vectors ------------------------------------------------------------------------------------------------

    def move_towards(self, average: Array, theta: Array, weight: float) -> None: ...
    def clip_norm(self, grad: Array, max_norm: float) -> None: ...
    def normalise_vector(self, x: Array) -> None: ...
    def axpby(self, a: float, x: Array, b: float, y: Array) -> None: ...
    def add_momentum(
        self,
        W: Array,
        grad: Array,
        velocity: Array,
        momentum: float,
        nesterov: bool,
        l2: float,
        loss: Array,
        share: float,
    ) -> None: ...
    def sgd_step(
        self,
        theta: Array,
        grad: Array,
        velocity: Array,
        learning_rate: float,
        momentum: float,
        nesterov: bool,
        n_weights: int,
        l2: float,
        loss: Array,
        share: float,
    ) -> None: ...
    def adam_step(
        self,
        theta: Array,
        grad: Array,
        m: Array,
        v: Array,
        rate: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        n_weights: int,
        l2: float,
        decay: float,
        loss: Array,
        share: float,
    ) -> None: ...


def resolve_kernel(device: Device, kernel: Kernel) -> Kernel:
    """The device's version of a kernel of `CPU`."""
    resolved: Kernel = getattr(device, kernel.__name__)
    return resolved
