"""NumPy arrays in main memory, and the arithmetic that training does on them.

Each kernel works in place on arrays that the caller owns. The names and meanings are the interface of a device: `core`
calls nothing else. `fused.py` has faster kernels of the same names; these are the reference, and what runs where Numba
is not installed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, xlogy

Array = npt.NDArray[Any]


class CPU:
    """The main processor: every array is a NumPy array."""

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        return np.empty(shape, dtype)

    @staticmethod
    def place(array: Array) -> Array:
        """`array`, or a copy of it if writing to it would fail or would change a file that it is mapped from."""
        return np.require(array, requirements=["W", "O"])

    @staticmethod
    def zeros_like(array: Array) -> Array:
        return np.zeros_like(array)

    # -- products ----------------------------------------------------------------------------------------------------

    @staticmethod
    def matmul(A: Any, B: Array, out: Array) -> None:
        """out <- A B, with A dense or a SciPy sparse matrix."""
        if isinstance(A, np.ndarray):
            A.dot(B, out)  # half a microsecond less than np.matmul
        else:
            out[...] = A @ B

    @staticmethod
    def column_sums(A: Array, out: Array) -> None:
        np.add.reduce(A, axis=0, out=out)

    # -- activations: forward Z <- f(Z + b); backward dA <- dZ = dA f'(Z), with f' read off the output A -------------

    @staticmethod
    def identity(Z: Array, b: Array) -> None:
        Z += b

    @staticmethod
    def identity_backward(A: Array, dA: Array) -> None:
        pass

    @staticmethod
    def logistic(Z: Array, b: Array) -> None:
        # 1 / (1 + exp(-z)) = (1 + tanh(z/2)) / 2: NumPy's tanh is vectorised, and takes a seventh of expit's time.
        Z += b
        Z *= 0.5
        np.tanh(Z, out=Z)
        Z += 1
        Z *= 0.5

    @staticmethod
    def logistic_backward(A: Array, dA: Array) -> None:
        dA *= A
        dA *= 1 - A

    @staticmethod
    def tanh(Z: Array, b: Array) -> None:
        Z += b
        np.tanh(Z, out=Z)

    @staticmethod
    def tanh_backward(A: Array, dA: Array) -> None:
        dA *= 1 - A * A

    @staticmethod
    def relu(Z: Array, b: Array) -> None:
        Z += b
        np.maximum(Z, 0, out=Z)

    @staticmethod
    def relu_backward(A: Array, dA: Array) -> None:
        dA *= A > 0

    # -- inverse links: raw scores Z of the output layer -> predictions, in place -------------------------------------

    @staticmethod
    def inverse_identity(Z: Array) -> None:
        pass

    @staticmethod
    def inverse_log(Z: Array) -> None:
        np.exp(Z, out=Z)

    @staticmethod
    def inverse_logit(Z: Array) -> None:
        expit(Z, out=Z)

    @staticmethod
    def softmax(Z: Array) -> None:
        Z -= Z.max(axis=1, keepdims=True)
        np.exp(Z, out=Z)
        Z /= Z.sum(axis=1, keepdims=True)

    # -- losses: raw scores Z -> dZ = dL/dZ in place, times the row's weight and `scale`; the summed loss is returned -

    @classmethod
    def squared_error(cls, Z: Array, y: Array, weight: Array | None, scale: float) -> float:
        """L = |z - y|^2 / 2, averaged over the outputs (its gradient is not: see `losses`)."""
        Z -= y
        L = 0.5 * np.einsum("ij,ij->i", Z, Z) / Z.shape[1]
        return cls._weigh(L, Z, weight, scale)

    @classmethod
    def poisson_deviance(cls, Z: Array, y: Array, weight: Array | None, scale: float) -> float:
        """L = y (log y - z) - y + mu with mu = exp(z), half the unit deviance; finite also where mu underflows."""
        L = xlogy(y, y) - y * Z - y
        np.exp(Z, out=Z)
        L = (L + Z).sum(axis=1)
        Z -= y
        return cls._weigh(L, Z, weight, scale)

    @classmethod
    def softmax_log_loss(cls, Z: Array, y: Array, weight: Array | None, scale: float) -> float:
        """L = -log p_y with p = softmax(z); `y` holds the column of each row's class."""
        cls.softmax(Z)
        rows = np.arange(len(y))
        L = cls._neg_log(Z[rows, y])
        Z[rows, y] -= 1
        return cls._weigh(L, Z, weight, scale)

    @classmethod
    def logistic_log_loss(cls, Z: Array, y: Array, weight: Array | None, scale: float) -> float:
        """L = -log p if y = 1 and -log(1 - p) if y = 0, with p = logistic(z), summed over the columns."""
        expit(Z, out=Z)
        L = cls._neg_log(np.where(y, Z, 1 - Z)).sum(axis=1)
        Z -= y
        return cls._weigh(L, Z, weight, scale)

    @staticmethod
    def _neg_log(p: Array) -> Array:
        """-log p, finite also where p has underflowed."""
        eps = np.finfo(p.dtype).eps
        return -np.log(np.clip(p, eps, 1 - eps))

    @staticmethod
    def _weigh(L: Array, dZ: Array, weight: Array | None, scale: float) -> float:
        if weight is None:
            dZ *= scale
            return float(L.sum()) * scale
        dZ *= (weight * scale)[:, np.newaxis]
        return float(np.dot(L, weight)) * scale

    # -- optimizer steps on flat vectors; `grad` is used up ------------------------------------------------------------
    # The gradient of the first `n_weights` parameters, the weights, has l2 times the weights added to it; the weights'
    # sum of squares before the step is returned. So one pass over the vectors does all that a step has to do.

    @classmethod
    def sgd_step(
        cls,
        theta: Array,
        grad: Array,
        velocity: Array,
        learning_rate: float,
        momentum: float,
        nesterov: bool,
        n_weights: int,
        l2: float,
    ) -> float:
        """v <- momentum v - rate g;  theta <- theta + (momentum v - rate g if nesterov else v)."""
        squares = cls._add_l2(theta[:n_weights], grad[:n_weights], l2)
        grad *= learning_rate
        velocity *= momentum
        velocity -= grad
        if nesterov:
            theta -= grad
            np.multiply(velocity, momentum, out=grad)
            theta += grad
        else:
            theta += velocity
        return squares

    @classmethod
    def adam_step(
        cls,
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
    ) -> float:
        """m, v <- moving averages of g and g^2;  theta <- theta - rate m / (sqrt(v) + epsilon)."""
        squares = cls._add_l2(theta[:n_weights], grad[:n_weights], l2)
        m -= grad  # m <- beta_1 m + (1 - beta_1) g, as g + beta_1 (m - g): no temporary
        m *= beta_1
        m += grad
        grad *= grad
        grad *= 1 - beta_2
        v *= beta_2
        v += grad
        np.sqrt(v, out=grad)
        grad += epsilon
        np.divide(m, grad, out=grad)
        grad *= rate
        theta -= grad
        return squares

    @staticmethod
    def _add_l2(W: Array, grad: Array, l2: float) -> float:
        if l2:
            grad += l2 * W
        return float(np.dot(W, W))
