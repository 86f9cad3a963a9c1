"""Losses of the raw scores Z of the output layer, and their output activations, the inverse links.

With the canonical link the gradient is the residual, dZ = prediction - target (McCullagh & Nelder, Generalized Linear
Models, 2nd ed., section 2.2). Losses are sums over the outputs, except the squared error, which is reported as a mean
over them and differentiated as a sum: scikit-learn does so, and the same seed has to give the same model.

Kernels are referred to by their reference implementations, the methods of `CPU`; `resolve_kernel` returns the device's
version.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from sklearn_mlp.core.activations import OUT_ACTIVATIONS
from sklearn_mlp.devices import Device, Kernel, resolve_kernel
from sklearn_mlp.devices.cpu import CPU

Array = npt.NDArray[Any]


class Loss:
    """A loss with its parameters.

    Attributes
    ----------
    kernel : kernel
        Turns Z into dZ, and adds up the loss.
    out_activation : str
        A key of `OUT_ACTIVATIONS`.
    columns : tuple of slice
        The scores of each column of y, if each column has its own classes; empty otherwise.
    """

    kernel: Kernel
    out_activation: str
    columns: tuple[slice, ...] = ()

    def kernel_parameters(self, n_outputs: int, dtype: npt.DTypeLike) -> tuple[Any, ...]:
        """Additional arguments of the kernel: numbers, and arrays with one number for each output."""
        return ()

    def kernel_on(self, device: Device, n_outputs: int, dtype: npt.DTypeLike) -> Callable[..., None]:
        """The device's kernel, with the arguments (Z, b, y, weight, scale, loss, share)."""
        kernel = resolve_kernel(device, self.kernel)
        parameters = self.kernel_parameters(n_outputs, dtype)
        if parameters:
            parameters = tuple(device.to_device(p) if isinstance(p, np.ndarray) else p for p in parameters)
            return _by_columns(lambda *args: kernel(*args, *parameters), self.columns)
        return _by_columns(kernel, self.columns)


def output_activation(device: Device, name: str, columns: Sequence[slice] = ()) -> Callable[[Array, Array], None]:
    """The kernel (Z, b) of an output activation, applied to each of `columns` separately if there are any."""
    return _by_columns(resolve_kernel(device, OUT_ACTIVATIONS[name]), columns)


def _by_columns(kernel: Callable[..., None], columns: Sequence[slice]) -> Callable[..., None]:
    """`kernel`, of a loss or an output activation, for each block of columns separately; y has a column for each."""
    if not columns:
        return kernel

    def of_columns(Z: Array, b: Array, *y_and_more: Any) -> None:
        for k, of_block in enumerate(columns):
            block = Z[:, of_block].copy()
            more = [argument[:, k].copy() if i == 0 else argument for i, argument in enumerate(y_and_more)]
            kernel(block, b[of_block], *more)
            Z[:, of_block] = block

    return of_columns


# -- classification ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogLoss(Loss):
    """-log p of the class; with smoothing, of labels that give each class a share (Szegedy et al., CVPR 2016)."""

    out_activation: Literal["softmax", "logistic"]
    smoothing: float = 0.0
    columns: tuple[slice, ...] = ()

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        if self.smoothing:
            is_softmax = self.out_activation == "softmax"
            return CPU.smooth_softmax_log_loss if is_softmax else CPU.smooth_logistic_log_loss
        return CPU.softmax_log_loss if self.out_activation == "softmax" else CPU.logistic_log_loss

    def kernel_parameters(self, n_outputs: int, dtype: npt.DTypeLike) -> tuple[Any, ...]:
        return (self.smoothing,) if self.smoothing else ()

    def of_frequencies(self, p: Array) -> float:
        """The mean loss if p, the frequencies of the classes, is predicted for each row."""
        p = (1 - self.smoothing) * p + self.smoothing / len(p)
        return float(-xlogy(p, p).sum())


@dataclass(frozen=True)
class FocalLoss(Loss):
    """-(1 - p)^gamma log p of the class (Lin et al., ICCV 2017)."""

    out_activation: Literal["softmax", "logistic"]
    gamma: float
    columns: tuple[slice, ...] = ()

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        return CPU.softmax_focal_loss if self.out_activation == "softmax" else CPU.logistic_focal_loss

    def kernel_parameters(self, n_outputs: int, dtype: npt.DTypeLike) -> tuple[Any, ...]:
        return (self.gamma,)

    def of_frequencies(self, p: Array) -> float:
        """As `LogLoss.of_frequencies`."""
        return float(-((1 - p) ** self.gamma * xlogy(p, p)).sum())


# -- regression --------------------------------------------------------------------------------------------------------


class Domain(NamedTuple):
    """The interval of valid targets: its description, a membership test, and the remedy for other targets."""

    needs: str
    contains: Callable[[float], bool]
    remedy: str


REAL = Domain("real y", lambda y: True, "")
NON_NEGATIVE = Domain("y >= 0", lambda y: y >= 0, "Use loss='squared_error' for targets that can be negative.")
POSITIVE = Domain("y > 0", lambda y: y > 0, NON_NEGATIVE.remedy[:-1] + ", or loss='tweedie' for zeros.")
RATE = Domain("0 <= y <= 1", lambda y: 0 <= y <= 1, "Divide percentages by 100, or use loss='squared_error'.")


class RegressionLoss(Loss):
    """A loss of real-valued targets.

    Attributes
    ----------
    name : str
        The value of the parameter `loss`.
    parameter : str or None
        The parameter of the estimator that the loss takes.
    domain : Domain
    unit_power : int
        The unit of the loss is that of y to this power.
    """

    name: ClassVar[str]
    parameter: ClassVar[str | None] = None
    out_activation = "identity"
    domain: ClassVar[Domain] = REAL
    unit_power: ClassVar[int] = 1

    @classmethod
    def check_domain(cls, least: float, largest: float) -> None:
        """Raise ValueError if the smallest or the largest target is not in the domain of the loss."""
        ends = {"minimum": least, "maximum": largest}
        outside = [f"a {end} of {y}" for end, y in ends.items() if not cls.domain.contains(y)]
        if outside:
            raise ValueError(
                f"loss={cls.name!r} needs {cls.domain.needs}, got {' and '.join(outside)}. {cls.domain.remedy}"
            )

    def best_constant(self, y: Array, sample_weight: Array | None) -> Array:
        """The scores (n_outputs,) of the constant prediction with the least loss for y of shape (n, n_outputs).

        All arrays are on the host. By default, the constant is the mean.
        """
        mean = np.average(y, axis=0, weights=sample_weight).astype(y.dtype)
        return np.log(np.maximum(mean, np.finfo(y.dtype).tiny)) if self.out_activation == "exp" else mean


@dataclass(frozen=True)
class SquaredError(RegressionLoss):
    name = "squared_error"
    kernel = staticmethod(CPU.squared_error)
    unit_power = 2


@dataclass(frozen=True)
class Pinball(RegressionLoss):
    """The quantile loss, with one level for all outputs or one for each (Koenker, 1978)."""

    levels: float | Sequence[float]

    name = "quantile"
    parameter = "quantile"
    kernel = staticmethod(CPU.pinball)

    def kernel_parameters(self, n_outputs: int, dtype: npt.DTypeLike) -> tuple[Any, ...]:
        return (np.broadcast_to(np.asarray(self.levels, dtype), n_outputs).copy(),)

    def best_constant(self, y: Array, sample_weight: Array | None) -> Array:
        return _quantiles(y, self.levels, sample_weight)


@dataclass(frozen=True)
class AbsoluteError(RegressionLoss):
    name = "absolute_error"
    kernel = staticmethod(CPU.absolute_error)

    def best_constant(self, y: Array, sample_weight: Array | None) -> Array:
        return _quantiles(y, 0.5, sample_weight)


@dataclass(frozen=True)
class Huber(RegressionLoss):
    """Quadratic for residuals up to delta, and linear beyond (Huber, 1964)."""

    delta: float

    name = "huber"
    parameter = "huber_delta"
    kernel = staticmethod(CPU.huber)
    unit_power = 2

    def kernel_parameters(self, n_outputs: int, dtype: npt.DTypeLike) -> tuple[Any, ...]:
        return (self.delta,)

    def best_constant(self, y: Array, sample_weight: Array | None) -> Array:
        # Bisection: the derivative increases with the constant.
        low, high = y.min(axis=0), y.max(axis=0)
        for _ in range(40):
            middle = low + (high - low) / 2
            derivative = np.average(np.clip(middle - y, -self.delta, self.delta), axis=0, weights=sample_weight)
            low, high = np.where(derivative < 0, middle, low), np.where(derivative < 0, high, middle)
        return high


@dataclass(frozen=True)
class Poisson(RegressionLoss):
    name = "poisson"
    kernel = staticmethod(CPU.poisson_deviance)
    out_activation = "exp"
    domain = NON_NEGATIVE


@dataclass(frozen=True)
class Gamma(RegressionLoss):
    name = "gamma"
    kernel = staticmethod(CPU.gamma_deviance)
    out_activation = "exp"
    domain = POSITIVE


@dataclass(frozen=True)
class Tweedie(RegressionLoss):
    """Half the unit deviance of the Tweedie distribution with a power between 1 and 2, a compound Poisson-gamma."""

    power: float

    name = "tweedie"
    parameter = "tweedie_power"
    kernel = staticmethod(CPU.tweedie_deviance)
    out_activation = "exp"
    domain = NON_NEGATIVE

    def kernel_parameters(self, n_outputs: int, dtype: npt.DTypeLike) -> tuple[Any, ...]:
        return (self.power,)


@dataclass(frozen=True)
class BinaryCrossEntropy(RegressionLoss):
    """-y log p - (1 - y) log(1 - p): the classifier's log-loss, for y between 0 and 1."""

    name = "log_loss"
    kernel = staticmethod(CPU.smooth_logistic_log_loss)
    out_activation = "logistic"
    domain = RATE

    def kernel_parameters(self, n_outputs: int, dtype: npt.DTypeLike) -> tuple[Any, ...]:
        return (0.0,)  # no label smoothing

    def best_constant(self, y: Array, sample_weight: Array | None) -> Array:
        eps = np.finfo(y.dtype).eps
        mean = np.clip(super().best_constant(y, sample_weight), eps, 1 - eps)
        return np.log(mean / (1 - mean))


def _quantiles(y: Array, levels: float | Sequence[float], sample_weight: Array | None) -> Array:
    columns = zip(y.T, np.broadcast_to(levels, y.shape[1]), strict=True)
    # NumPy's only weighted method minimises the pinball loss, as linear interpolation does.
    how: dict[str, Any] = {} if sample_weight is None else {"weights": sample_weight, "method": "inverted_cdf"}
    return np.array([np.quantile(column, level, **how) for column, level in columns], y.dtype)


# The losses by the value of the parameter `loss`.
REGRESSION_LOSSES: dict[str, type[RegressionLoss]] = {
    loss.name: loss
    for loss in (SquaredError, AbsoluteError, Huber, Pinball, Poisson, Gamma, Tweedie, BinaryCrossEntropy)
}
