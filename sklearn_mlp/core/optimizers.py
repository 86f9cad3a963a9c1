"""Stochastic optimizers: one flat vector of gradients in, one flat vector of parameters updated in place."""

from math import sqrt
from typing import Any, Protocol

import numpy.typing as npt

from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


class Optimizer(Protocol):
    def step(self, theta: Array, grad: Array, learning_rate: float) -> None:
        """Update `theta`; `grad` is used as scratch space and holds nothing of use afterwards."""

    def state(self) -> dict[str, Any]:
        """What a new optimizer takes as keyword arguments to go on where this one is."""


class SGD:
    """Gradient descent with classical or Nesterov momentum (Sutskever et al., ICML 2013)."""

    def __init__(
        self, device: Device, theta: Array, momentum: float, nesterov: bool, *, velocity: Array | None = None
    ) -> None:
        self.device = device
        self.momentum = momentum
        self.nesterov = nesterov
        self.velocity = device.zeros_like(theta) if velocity is None else device.place(velocity)

    def step(self, theta: Array, grad: Array, learning_rate: float) -> None:
        self.device.sgd_step(theta, grad, self.velocity, learning_rate, self.momentum, self.nesterov)

    def state(self) -> dict[str, Any]:
        return {"velocity": self.velocity}


class Adam:
    """Adaptive moment estimation (Kingma & Ba, ICLR 2015), with the bias corrections in the step size."""

    def __init__(
        self,
        device: Device,
        theta: Array,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        *,
        t: int = 0,
        m: Array | None = None,
        v: Array | None = None,
    ) -> None:
        self.device = device
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.t = t
        self.m = device.zeros_like(theta) if m is None else device.place(m)
        self.v = device.zeros_like(theta) if v is None else device.place(v)

    def step(self, theta: Array, grad: Array, learning_rate: float) -> None:
        self.t += 1
        rate = learning_rate * sqrt(1 - self.beta_2**self.t) / (1 - self.beta_1**self.t)
        self.device.adam_step(theta, grad, self.m, self.v, rate, self.beta_1, self.beta_2, self.epsilon)

    def state(self) -> dict[str, Any]:
        return {"t": self.t, "m": self.m, "v": self.v}
