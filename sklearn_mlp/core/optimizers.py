"""Stochastic optimizers: one flat vector of gradients in, one flat vector of parameters updated in place.

A step takes the L2 penalty along, since it reads every weight anyway: a pass of its own over the weights would cost a
third of Adam's.
"""

from math import sqrt
from typing import Any, Protocol

import numpy.typing as npt

from sklearn_mlp.core.parameters import Parameters
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


class Optimizer(Protocol):
    def step(self, grad: Array, learning_rate: float, l2: float, loss: Array, share: float) -> None:
        """Update the parameters with `grad` plus the gradient of l2/2 |W|^2.

        `share` times the l2/2 |W|^2 before the step is added to the accumulator `loss`. `grad` is used as scratch space
        and holds nothing of use afterwards.
        """

    def state(self) -> dict[str, Any]:
        """What a new optimizer takes as keyword arguments to go on where this one is."""


class SGD:
    """Gradient descent with classical or Nesterov momentum (Sutskever et al., ICML 2013)."""

    def __init__(
        self, device: Device, theta: Parameters, momentum: float, nesterov: bool, *, velocity: Array | None = None
    ) -> None:
        self.device = device
        self.theta = theta.vector
        self.n_weights = theta.weights.size
        self.momentum = momentum
        self.nesterov = nesterov
        self.velocity = (
            device.zeros(theta.vector.shape, theta.vector.dtype) if velocity is None else device.own(velocity)
        )

    def step(self, grad: Array, learning_rate: float, l2: float, loss: Array, share: float) -> None:
        self.device.sgd_step(
            self.theta,
            grad,
            self.velocity,
            learning_rate,
            self.momentum,
            self.nesterov,
            self.n_weights,
            l2,
            loss,
            share,
        )

    def state(self) -> dict[str, Any]:
        return {"velocity": self.device.home(self.velocity)}


class Adam:
    """Adaptive moment estimation (Kingma & Ba, ICLR 2015), with the bias corrections in the step size.

    With `weight_decay` the weights shrink by learning_rate * weight_decay in each step, aside from the gradient: AdamW
    (Loshchilov & Hutter, ICLR 2019).
    """

    def __init__(
        self,
        device: Device,
        theta: Parameters,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        weight_decay: float = 0.0,
        *,
        t: int = 0,
        m: Array | None = None,
        v: Array | None = None,
    ) -> None:
        self.device = device
        self.theta = theta.vector
        self.n_weights = theta.weights.size
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.t = t
        self.m = device.zeros(theta.vector.shape, theta.vector.dtype) if m is None else device.own(m)
        self.v = device.zeros(theta.vector.shape, theta.vector.dtype) if v is None else device.own(v)

    def step(self, grad: Array, learning_rate: float, l2: float, loss: Array, share: float) -> None:
        self.t += 1
        rate = learning_rate * sqrt(1 - self.beta_2**self.t) / (1 - self.beta_1**self.t)
        self.device.adam_step(
            self.theta,
            grad,
            self.m,
            self.v,
            rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self.n_weights,
            l2,
            learning_rate * self.weight_decay,
            loss,
            share,
        )

    def state(self) -> dict[str, Any]:
        return {"t": self.t, "m": self.device.home(self.m), "v": self.device.home(self.v)}
