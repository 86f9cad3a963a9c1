"""Stochastic optimizers: one flat vector of gradients in, one flat vector of parameters updated in place.

A step includes the L2 penalty, as it reads every weight anyway: a separate pass over the weights would cost a third of
Adam's.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt

from sklearn_mlp.core.parameters import Parameters, Part
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]

# Jordan's number of iterations, and his coefficients, with which they bring singular values to between 0.7 and 1.2.
N_NEWTON_SCHULZ = 5
NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315


class Optimizer(Protocol):
    def step(self, grad: Array, learning_rate: float, l2: float, loss: Array, share: float) -> None:
        """Update the parameters with `grad` plus the gradient of l2/2 |W|^2.

        `share` times l2/2 |W|^2 before the step is added to the accumulator `loss`. `grad` is used as scratch space.
        """

    def state(self) -> dict[str, Any]:
        """The state for `load`; its arrays are on the host, and may not be copies."""

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state."""


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
        return {"velocity": self.device.to_host(self.velocity)}

    def load(self, state: dict[str, Any]) -> None:
        self.device.write(state["velocity"], out=self.velocity)


class Adam:
    """Adaptive moment estimation (Kingma & Ba, ICLR 2015), with the bias corrections in the step size.

    With `weight_decay` it is AdamW (Loshchilov & Hutter, ICLR 2019): each step shrinks the weights by learning_rate *
    weight_decay, independently of the gradient.
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
        return {"t": self.t, "m": self.device.to_host(self.m), "v": self.device.to_host(self.v)}

    def load(self, state: dict[str, Any]) -> None:
        self.t = state["t"]
        self.device.write(state["m"], out=self.m)
        self.device.write(state["v"], out=self.v)


class Muon:
    """Orthogonalised momentum for the weights between hidden layers (Jordan et al., 2024), and AdamW for the rest.

    Where the momentum of a matrix is U S Vᵀ, the step is along U Vᵀ, so that all directions count the same. Its size is
    that of AdamW's steps (Liu et al., "Muon is scalable for LLM training", 2025), so that both share a learning rate.
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
        # The slices of all matrices between dense layers; they are contiguous in the vector.
        matrices = [
            (slot.shape, part)
            for slots, parts in zip(theta.slots, theta.slices, strict=True)
            for slot, part in zip(slots, parts, strict=True)
            if slot.name == "W"
        ][1:-1]
        start, stop = (matrices[0][1].start, matrices[-1][1].stop) if matrices else (0, 0)
        self.hidden = slice(start, stop)
        self.others = [part for part in (slice(0, start), slice(stop, theta.trainable.size)) if part.stop > part.start]
        parts = [Part(theta.trainable[part], theta.weights[part]) for part in self.others]
        self.matrices = [(shape, slice(part.start - start, part.stop - start)) for shape, part in matrices]
        self.adams = [Adam(device, part, beta_1, beta_2, epsilon, weight_decay) for part in parts]
        self.theta = theta.trainable[self.hidden]
        self.velocity = device.zeros(self.theta.shape, self.theta.dtype)
        self.scratch = device.empty(self.theta.shape, self.theta.dtype)
        sides = {min(fans) for fans, _ in self.matrices}
        self.grams = {n: [device.empty((n, n), self.theta.dtype) for _ in range(2)] for n in sides}

    def step(self, grad: Array, learning_rate: float, l2: float, loss: Array, share: float) -> None:
        for adam, part in zip(self.adams, self.others, strict=True):
            adam.step(grad[part], learning_rate, l2, loss, share)
        if not self.theta.size:
            return
        momentum, keep = grad[self.hidden], 1 - learning_rate * self.weight_decay
        self.device.add_momentum(self.theta, momentum, self.velocity, self.momentum, self.nesterov, l2, loss, share)
        for fans, part in self.matrices:
            rate = learning_rate * 0.2 * sqrt(max(fans))
            direction = self._orthogonalise(momentum[part].reshape(fans), self.scratch[part].reshape(fans))
            self.device.axpby(-rate, direction.reshape(-1), keep, self.theta[part])

    def _orthogonalise(self, X: Array, Y: Array) -> Array:
        """U Vᵀ of X = U S Vᵀ, approximately, by Newton–Schulz iterations; stored in X or `Y`, which are overwritten."""
        device = self.device
        device.normalise_vector(X.reshape(-1))
        fewer_rows = X.shape[0] <= X.shape[1]
        G, P = self.grams[min(X.shape)]
        for _ in range(N_NEWTON_SCHULZ):
            # X <- a X + b (X Xᵀ) X + c (X Xᵀ)² X, with the smaller one of X Xᵀ and Xᵀ X.
            a, b, c = NEWTON_SCHULZ
            device.matmul(X if fewer_rows else X.T, X.T if fewer_rows else X, out=G)
            device.matmul(G, G, out=P)
            device.axpby(b, G.reshape(-1), c, P.reshape(-1))
            device.matmul(P if fewer_rows else X, X if fewer_rows else P, out=Y)
            device.axpby(a, X.reshape(-1), 1.0, Y.reshape(-1))
            X, Y = Y, X
        return X

    def state(self) -> dict[str, Any]:
        return {"velocity": self.device.to_host(self.velocity), "adams": [adam.state() for adam in self.adams]}

    def load(self, state: dict[str, Any]) -> None:
        self.device.write(state["velocity"], out=self.velocity)
        for adam, of_adam in zip(self.adams, state["adams"], strict=True):
            adam.load(of_adam)


class Solver(NamedTuple):
    """An optimizer, and the parameters of the estimator that follow `device` and `theta` in its constructor.

    The parameters are Python floats and bools: for other types (np.float16) the kernels would be compiled again.
    """

    optimizer: Callable[..., Optimizer]
    parameters: tuple[str, ...]


# The solvers by the value of the parameter `solver`.
SOLVERS = {
    "sgd": Solver(SGD, ("momentum", "nesterovs_momentum")),
    "adam": Solver(Adam, ("beta_1", "beta_2", "epsilon")),
    "adamw": Solver(Adam, ("beta_1", "beta_2", "epsilon", "weight_decay")),
    "muon": Solver(Muon, ("momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon", "weight_decay")),
}
