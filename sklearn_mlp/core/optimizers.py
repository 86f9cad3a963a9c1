"""Stochastic optimizers: one flat vector of gradients in, one flat vector of parameters updated in place.

A step takes the L2 penalty along, since it reads every weight anyway: a pass of its own over the weights would cost a
third of Adam's.
"""

from itertools import pairwise
from math import sqrt
from typing import Any, Protocol

import numpy.typing as npt

from sklearn_mlp.core.parameters import Parameters, Part
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]

# Jordan's: iterations, and coefficients that take singular values to between 0.7 and 1.2 in so few.
N_NEWTON_SCHULZ = 5
NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315


class Optimizer(Protocol):
    def step(self, grad: Array, learning_rate: float, l2: float, loss: Array, share: float) -> None:
        """Update the parameters with `grad` plus the gradient of l2/2 |W|^2.

        `share` times the l2/2 |W|^2 before the step is added to the accumulator `loss`. `grad` is used as scratch space
        and holds nothing of use afterwards.
        """

    def state(self) -> dict[str, Any]:
        """What `load` takes to go on where this one is; its arrays are in main memory, and may be those in use."""

    def load(self, state: dict[str, Any]) -> None:
        """Go on where the optimizer was whose state this is."""


class SGD:
    """Gradient descent with classical or Nesterov momentum (Sutskever et al., ICML 2013)."""

    def __init__(self, device: Device, theta: Parameters, momentum: float, nesterov: bool) -> None:
        self.device = device
        self.theta = theta.trainable
        self.n_weights = theta.weights.size
        self.momentum = momentum
        self.nesterov = nesterov
        self.velocity = device.zeros(theta.trainable.shape, theta.trainable.dtype)

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

    def load(self, state: dict[str, Any]) -> None:
        self.device.write(state["velocity"], out=self.velocity)


class Adam:
    """Adaptive moment estimation (Kingma & Ba, ICLR 2015), with the bias corrections in the step size.

    With `weight_decay` the weights shrink by learning_rate * weight_decay in each step, aside from the gradient: AdamW
    (Loshchilov & Hutter, ICLR 2019).
    """

    def __init__(
        self,
        device: Device,
        theta: Parameters | Part,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        weight_decay: float = 0.0,
    ) -> None:
        self.device = device
        self.theta = theta.trainable
        self.n_weights = theta.weights.size
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.t = 0
        self.m, self.v = (device.zeros(theta.trainable.shape, theta.trainable.dtype) for _ in range(2))

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

    def load(self, state: dict[str, Any]) -> None:
        self.t = state["t"]
        self.device.write(state["m"], out=self.m)
        self.device.write(state["v"], out=self.v)


class Muon:
    """Orthogonalised momentum for the weights between hidden layers (Jordan et al., 2024), and AdamW for all else.

    Where the momentum of a matrix is U S Vᵀ, the step is along U Vᵀ, so that all directions count the same. Its size is
    that of AdamW's steps (Liu et al., "Muon is scalable for LLM training", 2025): both go by one learning rate.
    """

    def __init__(
        self,
        device: Device,
        theta: Parameters,
        momentum: float,
        nesterov: bool,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        weight_decay: float,
    ) -> None:
        self.device = device
        self.momentum = momentum
        self.nesterov = nesterov
        self.weight_decay = weight_decay
        self.layer_sizes = theta.layer_sizes[1:-1]
        n_first, n_last = theta.W[0].size, theta.W[-1].size
        if len(self.layer_sizes) > 1:
            stop = theta.weights.size - n_last
            self.hidden = slice(n_first, stop)
            self.others = [slice(0, n_first), slice(stop, theta.trainable.size)]
            parts = [Part(theta.trainable[rows], theta.weights[rows]) for rows in self.others]
        else:
            self.hidden = slice(0, 0)
            self.others = [slice(0, theta.trainable.size)]
            parts = [Part(theta.trainable, theta.weights)]
        self.adams = [Adam(device, part, beta_1, beta_2, epsilon, weight_decay) for part in parts]
        self.theta = theta.trainable[self.hidden]
        self.velocity = device.zeros(self.theta.shape, self.theta.dtype)
        self.scratch = device.empty(self.theta.shape, self.theta.dtype)
        sides = {min(fans) for fans in pairwise(self.layer_sizes)}
        self.grams = {n: [device.empty((n, n), self.theta.dtype) for _ in range(2)] for n in sides}

    def step(self, grad: Array, learning_rate: float, l2: float, loss: Array, share: float) -> None:
        for adam, part in zip(self.adams, self.others, strict=True):
            adam.step(grad[part], learning_rate, l2, loss, share)
        if not self.theta.size:
            return
        momentum, keep = grad[self.hidden], 1 - learning_rate * self.weight_decay
        self.device.add_momentum(self.theta, momentum, self.velocity, self.momentum, self.nesterov, l2, loss, share)
        start = 0
        for fans in pairwise(self.layer_sizes):
            part = slice(start, start + fans[0] * fans[1])
            rate = learning_rate * 0.2 * sqrt(max(fans))
            direction = self._orthogonalise(momentum[part].reshape(fans), self.scratch[part].reshape(fans))
            self.device.axpby(-rate, direction.reshape(-1), keep, self.theta[part])
            start = part.stop

    def _orthogonalise(self, X: Array, Y: Array) -> Array:
        """About U Vᵀ of X = U S Vᵀ, by Newton–Schulz iterations; in X or in `Y`, which is overwritten."""
        device = self.device
        device.normalise_vector(X.reshape(-1))
        fewer_rows = X.shape[0] <= X.shape[1]
        G, P = self.grams[min(X.shape)]
        for _ in range(N_NEWTON_SCHULZ):
            # X <- a X + b (X Xᵀ) X + c (X Xᵀ)² X, by way of the smaller one of X Xᵀ and Xᵀ X.
            a, b, c = NEWTON_SCHULZ
            device.matmul(X if fewer_rows else X.T, X.T if fewer_rows else X, out=G)
            device.matmul(G, G, out=P)
            device.axpby(b, G.reshape(-1), c, P.reshape(-1))
            device.matmul(P if fewer_rows else X, X if fewer_rows else P, out=Y)
            device.axpby(a, X.reshape(-1), 1.0, Y.reshape(-1))
            X, Y = Y, X
        return X

    def state(self) -> dict[str, Any]:
        return {"velocity": self.device.home(self.velocity), "adams": [adam.state() for adam in self.adams]}

    def load(self, state: dict[str, Any]) -> None:
        self.device.write(state["velocity"], out=self.velocity)
        for adam, of_adam in zip(self.adams, state["adams"], strict=True):
            adam.load(of_adam)
