"""NumPy arrays in main memory, and the arithmetic that training does on them.

This is the reference implementation of a device: `core` only calls its methods, each of which works in place on arrays
that the caller owns. It does not need Numba; `fused.py` overrides some of the kernels by faster ones, and `cuda/` is
the implementation for GPUs.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from scipy.special import expit, ndtr, xlogy

from sklearn_mlp.devices.encoded import BIN, CODE, GAP, NUMBER, EncodedRows, EncodedTable, Encoding
from sklearn_mlp.devices.rows import HostRows, is_memory_mapped

Array = npt.NDArray[Any]

NORM_EPSILON = 1e-5  # added to the variances of normalisation
LEAK = 0.01  # the slope of leaky_relu below 0
# The fixed point of zero mean and unit variance (Klambauer et al., NeurIPS 2017).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class CPU:
    """The CPU: every array is a NumPy array.

    Attributes
    ----------
    name : str
        The value of the estimators' attribute `device_`.
    """

    name = "cpu"

    # Rows are predicted, scored and (by lbfgs) trained on in chunks of about this many numbers: 8 MB in float64, which
    # is enough for the products to run at full speed and little enough to stay in cache.
    chunk_size = 2**20
    asynchronous = False

    def active(self) -> AbstractContextManager[None]:
        """A context in which arrays are made, and kernels run, on this device."""
        return nullcontext()

    @staticmethod
    def release() -> None:
        """Return large amounts of unused memory to the system, at the end of a fit."""

    # -- arrays ------------------------------------------------------------------------------------------------------

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        return np.empty(shape, dtype)

    @staticmethod
    def zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        return np.zeros(shape, dtype)

    @staticmethod
    def to_device(array: Any) -> Any:
        """`array` on this device, for reading."""
        return array

    @staticmethod
    def to_device_copy(array: Array) -> Array:
        """`array` on this device, for writing: a copy if writing would fail or would change a mapped file."""
        return np.require(array, requirements=["W", "O"])

    @staticmethod
    def to_host(array: Array) -> Array:
        """`array` as a NumPy array."""
        return array

    @staticmethod
    def write(array: Array, out: Array) -> None:
        """out <- a NumPy array."""
        out[...] = array

    @staticmethod
    def take(array: Array, rows: Array) -> Array:
        return array.take(rows, axis=0)

    # -- rows of X ---------------------------------------------------------------------------------------------------

    @staticmethod
    def prepare_rows(X: Any, dtype: npt.DTypeLike, gather: bool) -> Any:
        """X in the layout, and on the device, from which its rows are read fastest in many passes.

        With `gather`, the order of the rows changes from pass to pass. Two kinds of X are converted as a whole: sparse
        columns (CSC) to sparse rows (CSR); and, for gathering, an array in memory that is not C-contiguous (usually the
        values of a data frame) to C order: gathering a 200-row batch of 784 float32 takes 10 µs from rows in C order
        and 220 µs from columns, where the products of its training step take 380 µs.
        """
        if isinstance(X, EncodedTable):
            return X
        if issparse(X):
            return X.tocsr()
        if gather and not X.flags.c_contiguous and not is_memory_mapped(X):
            return np.ascontiguousarray(X, dtype=dtype)
        return X

    @classmethod
    def rows(cls, X: Any, dtype: npt.DTypeLike) -> HostRows | EncodedRows:
        """The batches of X."""
        if isinstance(X, EncodedTable):
            return EncodedRows(HostRows(X.table, dtype), lambda table: cls.encoded_batch(table, X.encoding))
        return HostRows(X, dtype)

    @classmethod
    def encoded_batch(cls, table: Array, encoding: Encoding) -> Any:
        """The rows of a table in a form that `matmul` accepts."""
        batch = np.empty((len(table), encoding.n_columns), table.dtype)
        cls.encode(table, encoding, batch)
        return batch

    @staticmethod
    def encode(table: Array, encoding: Encoding, out: Array) -> None:
        """out <- the columns of the matrix for the rows of a table."""
        numbers, bins, gaps, codes = (np.flatnonzero(encoding.kind == kind) for kind in (NUMBER, BIN, GAP, CODE))
        is_gap = np.isnan(table[:, : encoding.n_numbers])
        z = np.where(is_gap, table.dtype.type(0), table[:, : encoding.n_numbers])
        out[:, numbers] = z / np.sqrt(1 + (z / 3) ** 2)
        way = (z[:, encoding.source[bins]] - encoding.offset[bins]) / encoding.width[bins]
        out[:, bins] = np.clip(way, 0, 1, out=way)
        out[:, gaps] = is_gap[:, encoding.source[gaps]]
        out[:, codes] = table[:, encoding.source[codes]] == encoding.offset[codes]

    def chunk_rows(self, X: Any, n_units: int) -> int:
        """The number of rows of a chunk; each has its features, if dense, and `n_units` activations."""
        n_features = 0 if issparse(X) else X.shape[1]
        return max(1, self.chunk_size // (n_features + n_units))

    # -- sums over batches: an array that kernels add to -------------------------------------------------------------

    @staticmethod
    def accumulator() -> Array:
        return np.zeros(1)

    @staticmethod
    def collect(loss: Array) -> float:
        """Read and reset an accumulator."""
        total = float(loss[0])
        loss[0] = 0
        return total

    # -- products ----------------------------------------------------------------------------------------------------

    @staticmethod
    def matmul(A: Any, B: Array, out: Array) -> None:
        """out <- A B, with A dense or a SciPy sparse matrix."""
        if isinstance(A, np.ndarray):
            A.dot(B, out)  # np.matmul is 1.5 × slower for 64 × 10 by 10 × 32
        else:
            out[...] = A @ B

    @staticmethod
    def column_sums(A: Array, out: Array) -> None:
        np.add.reduce(A, axis=0, out=out)

    # -- activations: forward Z <- f(Z + b); backward dA <- dZ = dA f'(Z), with f' computed from the output A, and db <-
    # its column sums --------------------------------------------------------------------------------------------------

    @staticmethod
    def identity(Z: Array, b: Array) -> None:
        Z += b

    @classmethod
    def identity_backward(cls, A: Array, dA: Array, db: Array) -> None:
        cls.column_sums(dA, db)

    @staticmethod
    def logistic(Z: Array, b: Array) -> None:
        # 1 / (1 + exp(-z)) = (1 + tanh(z/2)) / 2: NumPy's tanh is vectorised, and expit is 7 × slower.
        Z += b
        Z *= 0.5
        np.tanh(Z, out=Z)
        Z += 1
        Z *= 0.5

    @classmethod
    def logistic_backward(cls, A: Array, dA: Array, db: Array) -> None:
        dA *= A
        dA *= 1 - A
        cls.column_sums(dA, db)

    @staticmethod
    def tanh(Z: Array, b: Array) -> None:
        Z += b
        np.tanh(Z, out=Z)

    @classmethod
    def tanh_backward(cls, A: Array, dA: Array, db: Array) -> None:
        dA *= 1 - A * A
        cls.column_sums(dA, db)

    @staticmethod
    def relu(Z: Array, b: Array) -> None:
        Z += b
        np.maximum(Z, 0, out=Z)

    @classmethod
    def relu_backward(cls, A: Array, dA: Array, db: Array) -> None:
        dA *= A > 0
        cls.column_sums(dA, db)

    @staticmethod
    def leaky_relu(Z: Array, b: Array) -> None:
        Z += b
        np.maximum(Z, LEAK * Z, out=Z)

    @classmethod
    def leaky_relu_backward(cls, A: Array, dA: Array, db: Array) -> None:
        dA *= np.where(A > 0, 1, LEAK).astype(A.dtype)
        cls.column_sums(dA, db)

    @staticmethod
    def elu(Z: Array, b: Array) -> None:
        Z += b
        np.copyto(Z, np.expm1(Z), where=Z < 0)

    @classmethod
    def elu_backward(cls, A: Array, dA: Array, db: Array) -> None:
        dA *= np.minimum(A, 0) + 1
        cls.column_sums(dA, db)

    @staticmethod
    def selu(Z: Array, b: Array) -> None:
        Z += b
        np.copyto(Z, SELU_ALPHA * np.expm1(Z), where=Z < 0)
        Z *= SELU_SCALE

    @classmethod
    def selu_backward(cls, A: Array, dA: Array, db: Array) -> None:
        dA *= np.where(A > 0, SELU_SCALE, A + SELU_SCALE * SELU_ALPHA).astype(A.dtype)
        cls.column_sums(dA, db)

    @staticmethod
    def softplus(Z: Array, b: Array) -> None:
        Z += b
        np.logaddexp(Z, 0, out=Z)

    @classmethod
    def softplus_backward(cls, A: Array, dA: Array, db: Array) -> None:
        dA *= -np.expm1(-A)
        cls.column_sums(dA, db)

    # If f' cannot be computed from A, the forward kernel stores it in D.

    @staticmethod
    def gelu(Z: Array, b: Array, D: Array) -> None:
        """f(z) = z Phi(z), with Phi the cumulative distribution function of the standard normal distribution."""
        Z += b
        ndtr(Z, out=D)
        density = np.exp(-0.5 * Z * Z) / np.sqrt(2 * np.pi).astype(Z.dtype)
        density *= Z
        Z *= D
        D += density

    @staticmethod
    def silu(Z: Array, b: Array, D: Array) -> None:
        """f(z) = z p, with p = logistic(z); f' = p (1 + z - f)."""
        Z += b
        p = expit(Z)
        D[...] = Z
        Z *= p
        D -= Z
        D += 1
        D *= p

    @staticmethod
    def mish(Z: Array, b: Array, D: Array) -> None:
        """f(z) = z t, with t = tanh(softplus(z)); f' = t + z logistic(z) (1 - t^2)."""
        Z += b
        t = np.tanh(np.logaddexp(Z, 0))
        D[...] = t + Z * expit(Z) * (1 - t * t)
        Z *= t

    @classmethod
    def derivative_backward(cls, D: Array, dA: Array, db: Array) -> None:
        dA *= D
        cls.column_sums(dA, db)

    # -- normalisation: Z <- Z_hat, of mean 0 and variance 1; A <- gamma Z_hat. Backward: dA, the gradient with respect
    # to gamma Z_hat, becomes that with respect to the Z before; dgamma <- the column sums of dA Z_hat -----------------

    @staticmethod
    def column_moments(Z: Array, weight: Array | None, scale: float, out: Array) -> None:
        """out[0], out[1] <- mean and variance of the columns; `scale` is the reciprocal of the sum of the weights."""
        p = np.full(Z.shape[0], scale, Z.dtype) if weight is None else weight * Z.dtype.type(scale)
        np.dot(p, Z, out=out[0])
        centred = Z - out[0]
        np.dot(p, np.square(centred, out=centred), out=out[1])

    @staticmethod
    def batch_norm(Z: Array, moments: Array, gamma: Array, A: Array) -> None:
        mean, variance = moments
        Z -= mean
        Z /= np.sqrt(variance + Z.dtype.type(NORM_EPSILON))
        np.multiply(Z, gamma, out=A)

    @staticmethod
    def batch_norm_backward(
        Z_hat: Array,
        moments: Array,
        gamma: Array,
        weight: Array | None,
        scale: float,
        dA: Array,
        db: Array,
        dgamma: Array,
    ) -> None:
        """`db` has the column sums of dA; with a `scale` of 0, the moments are constants."""
        np.einsum("ij,ij->j", dA, Z_hat, out=dgamma)
        through_moments = db + Z_hat * dgamma
        through_moments *= scale if weight is None else (weight * scale)[:, np.newaxis].astype(dA.dtype)
        dA -= through_moments
        dA *= gamma / np.sqrt(moments[1] + dA.dtype.type(NORM_EPSILON))

    @staticmethod
    def layer_norm(Z: Array, gamma: Array, A: Array, inverse_std: Array) -> None:
        """Moments of each row; `inverse_std` of shape (n,) is stored for the backward pass."""
        Z -= Z.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", Z, Z) / Z.shape[1]
        inverse_std[...] = 1 / np.sqrt(variance + NORM_EPSILON)
        Z *= inverse_std[:, np.newaxis]
        np.multiply(Z, gamma, out=A)

    @staticmethod
    def layer_norm_backward(Z_hat: Array, inverse_std: Array, gamma: Array, dA: Array, dgamma: Array) -> None:
        np.einsum("ij,ij->j", dA, Z_hat, out=dgamma)
        dA *= gamma
        along = np.einsum("ij,ij->i", dA, Z_hat) / Z_hat.shape[1]
        dA -= dA.mean(axis=1, keepdims=True)
        dA -= Z_hat * along[:, np.newaxis]
        dA *= inverse_std[:, np.newaxis]

    # -- dropout: out <- A with each element set to 0 with probability rate, and the others divided by 1 - rate --------
    # The mask is a function of the index of the element and of `keys`, two numbers below 2^32, so that the backward
    # pass recomputes it instead of storing it, and all devices agree. The steps are those of a hash with a strong
    # avalanche effect, "lowbias32" (C. Wellons, 2018), with the second key mixed in between.

    @staticmethod
    def dropout(A: Array, out: Array, rate: float, keys: tuple[int, int]) -> None:
        x = np.arange(A.size, dtype=np.uint32)
        x *= np.uint32(0x9E3779B9)
        x += np.uint32(keys[0])
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= np.uint32(keys[1])
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
        kept = x.reshape(A.shape) >= np.uint32(rate * 2**32)
        np.multiply(A, kept * A.dtype.type(1 / (1 - rate)), out=out)

    # -- output activations except the identity: Z <- f(Z + b) ---------------------------------------------------------

    @staticmethod
    def exp(Z: Array, b: Array) -> None:
        Z += b
        np.exp(Z, out=Z)

    @staticmethod
    def expit(Z: Array, b: Array) -> None:
        """The logistic function with full relative precision, also next to 0."""
        Z += b
        expit(Z, out=Z)

    @staticmethod
    def softmax(Z: Array, b: Array) -> None:
        Z += b
        Z -= Z.max(axis=1, keepdims=True)
        np.exp(Z, out=Z)
        Z /= Z.sum(axis=1, keepdims=True)

    # -- losses of the scores z + b: Z <- dZ = dL/dz, times the row's weight and `scale` ------------------------------
    # `share` times the sum of the losses, weighted and scaled likewise, is added to the accumulator `loss`.

    @classmethod
    def squared_error(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float
    ) -> None:
        """L = |z - y|^2 / 2, averaged over the outputs (its gradient is not: see `losses`)."""
        Z += b
        Z -= y
        L = 0.5 * np.einsum("ij,ij->i", Z, Z) / Z.shape[1]
        cls._weigh(L, Z, weight, scale, loss, share)

    @classmethod
    def absolute_error(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float
    ) -> None:
        """L = |z - y|."""
        Z += b
        Z -= y
        L = np.abs(Z).sum(axis=1)
        np.sign(Z, out=Z)
        cls._weigh(L, Z, weight, scale, loss, share)

    @classmethod
    def huber(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float, delta: float
    ) -> None:
        """L = r^2 / 2 for |r| <= delta, else delta (|r| - delta / 2), with r = z - y (Huber, 1964)."""
        Z += b
        Z -= y
        size = np.abs(Z)
        L = np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta)).sum(axis=1)
        np.clip(Z, -delta, delta, out=Z)
        cls._weigh(L, Z, weight, scale, loss, share)

    @classmethod
    def pinball(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float, level: Array
    ) -> None:
        """L = level r for r > 0, else (level - 1) r, with r = y - z and a level for each column (Koenker, 1978)."""
        Z += b
        Z -= y
        L = np.where(Z < 0, -level * Z, (1 - level) * Z).sum(axis=1)
        Z[...] = (Z > 0) * (1 - level) - (Z < 0) * level
        cls._weigh(L, Z, weight, scale, loss, share)

    @classmethod
    def poisson_deviance(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float
    ) -> None:
        """L = y (log y - z) - y + mu with mu = exp(z), half the unit deviance; finite also where mu underflows."""
        Z += b
        L = xlogy(y, y) - y * Z - y
        np.exp(Z, out=Z)
        L = (L + Z).sum(axis=1)
        Z -= y
        cls._weigh(L, Z, weight, scale, loss, share)

    @classmethod
    def gamma_deviance(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float
    ) -> None:
        """L = y / mu - log(y / mu) - 1 with mu = exp(z), half the unit deviance."""
        Z += b
        ratio = y * np.exp(-Z)
        L = (ratio + Z - np.log(y) - 1).sum(axis=1)
        np.subtract(1, ratio, out=Z)
        cls._weigh(L, Z, weight, scale, loss, share)

    @classmethod
    def tweedie_deviance(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float, power: float
    ) -> None:
        """Half the unit deviance of the Tweedie distribution with power p, 1 < p < 2, and mu = exp(z).

        L = y^(2-p) / ((1-p) (2-p)) - y mu^(1-p) / (1-p) + mu^(2-p) / (2-p).
        """
        Z += b
        of_y, of_mu = y * np.exp((1 - power) * Z), np.exp((2 - power) * Z)
        L = y ** (2 - power) / ((1 - power) * (2 - power)) - of_y / (1 - power) + of_mu / (2 - power)
        np.subtract(of_mu, of_y, out=Z)
        cls._weigh(L.sum(axis=1), Z, weight, scale, loss, share)

    @classmethod
    def softmax_log_loss(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float
    ) -> None:
        """L = -log p_y with p = softmax(z); `y` holds the column of each row's class."""
        cls.softmax(Z, b)
        rows = np.arange(len(y))
        L = cls._neg_log(Z[rows, y])
        Z[rows, y] -= 1
        cls._weigh(L, Z, weight, scale, loss, share)

    @classmethod
    def logistic_log_loss(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float
    ) -> None:
        """L = -log p if y = 1 and -log(1 - p) if y = 0, with p = logistic(z), summed over the columns."""
        cls.expit(Z, b)
        L = cls._neg_log(np.where(y, Z, 1 - Z)).sum(axis=1)
        Z -= y
        cls._weigh(L, Z, weight, scale, loss, share)

    # Smoothed labels (Szegedy et al., CVPR 2016) give each of the K classes a share of smoothing / K, and y the rest.

    @classmethod
    def smooth_softmax_log_loss(
        cls,
        Z: Array,
        b: Array,
        y: Array,
        weight: Array | None,
        scale: float,
        loss: Array,
        share: float,
        smoothing: float,
    ) -> None:
        cls.softmax(Z, b)
        rows, each = np.arange(len(y)), smoothing / Z.shape[1]
        neg_log = cls._neg_log(Z)
        L = (1 - smoothing) * neg_log[rows, y] + each * neg_log.sum(axis=1)
        Z[rows, y] -= 1 - smoothing
        Z -= each
        cls._weigh(L, Z, weight, scale, loss, share)

    @classmethod
    def smooth_logistic_log_loss(
        cls,
        Z: Array,
        b: Array,
        y: Array,
        weight: Array | None,
        scale: float,
        loss: Array,
        share: float,
        smoothing: float,
    ) -> None:
        cls.expit(Z, b)
        target = (1 - smoothing) * y + 0.5 * smoothing
        L = (target * cls._neg_log(Z) + (1 - target) * cls._neg_log(1 - Z)).sum(axis=1)
        Z -= target
        cls._weigh(L, Z, weight, scale, loss, share)

    # The focal loss (Lin et al., ICCV 2017) is L = -(1 - p)^gamma log p, with p the probability of y. Its gradient is
    # that of -log p times a factor of p.

    @classmethod
    def softmax_focal_loss(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float, gamma: float
    ) -> None:
        cls.softmax(Z, b)
        rows = np.arange(len(y))
        L, factor = cls._focal(Z[rows, y], gamma)
        Z[rows, y] -= 1
        Z *= factor[:, np.newaxis]
        cls._weigh(L, Z, weight, scale, loss, share)

    @classmethod
    def logistic_focal_loss(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float, gamma: float
    ) -> None:
        cls.expit(Z, b)
        L, factor = cls._focal(np.where(y, Z, 1 - Z), gamma)
        Z -= y
        Z *= factor
        cls._weigh(L.sum(axis=1), Z, weight, scale, loss, share)

    @classmethod
    def _focal(cls, p: Array, gamma: float) -> tuple[Array, Array]:
        eps = np.finfo(p.dtype).eps
        neg_log, rest = cls._neg_log(p), np.clip(1 - p, eps, 1 - eps)
        modulation = rest**gamma
        return modulation * neg_log, modulation * (1 + gamma * p * neg_log / rest)

    @staticmethod
    def _neg_log(p: Array) -> Array:
        """-log p, finite also where p has underflowed."""
        eps = np.finfo(p.dtype).eps
        return -np.log(np.clip(p, eps, 1 - eps))

    @staticmethod
    def _weigh(L: Array, dZ: Array, weight: Array | None, scale: float, loss: Array, share: float) -> None:
        if weight is None:
            dZ *= scale
            loss += share * scale * float(L.sum())
        else:
            dZ *= (weight * scale)[:, np.newaxis]
            loss += share * scale * float(np.dot(L, weight))

    @staticmethod
    def move_towards(average: Array, theta: Array, weight: float) -> None:
        """average <- average + weight (theta - average)."""
        average += weight * (theta - average)

    @staticmethod
    def clip_norm(grad: Array, max_norm: float) -> None:
        """Rescale `grad` to the norm `max_norm` if its norm is larger."""
        norm = float(np.sqrt(np.dot(grad, grad)))
        if norm > max_norm:
            grad *= max_norm / norm

    # -- for Muon: vectors ---------------------------------------------------------------------------------------------

    @classmethod
    def add_momentum(
        cls,
        W: Array,
        grad: Array,
        velocity: Array,
        momentum: float,
        nesterov: bool,
        l2: float,
        loss: Array,
        share: float,
    ) -> None:
        """g <- g + l2 W, v <- momentum v + g;  g <- g + momentum v if nesterov else v. `loss` as in the steps below."""
        cls._add_l2(W, grad, l2, loss, share)
        velocity *= momentum
        velocity += grad
        if nesterov:
            grad += momentum * velocity
        else:
            grad[...] = velocity

    @staticmethod
    def normalise_vector(x: Array) -> None:
        """x <- x / |x|, and 0 for x = 0."""
        x /= max(float(np.sqrt(np.dot(x, x))), 1e-7)

    @staticmethod
    def axpby(a: float, x: Array, b: float, y: Array) -> None:
        """y <- a x + b y."""
        y *= b
        y += a * x

    # -- optimizer steps on flat vectors; `grad` is scratch space ------------------------------------------------------
    # A step adds l2 W to the gradient of the first `n_weights` parameters, the weights W, and `share` times the
    # l2/2 |W|^2 before the step to the accumulator `loss`, so that it is a single pass over the vectors.

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
        loss: Array,
        share: float,
    ) -> None:
        """v <- momentum v - rate g;  theta <- theta + (momentum v - rate g if nesterov else v)."""
        cls._add_l2(theta[:n_weights], grad[:n_weights], l2, loss, share)
        grad *= learning_rate
        velocity *= momentum
        velocity -= grad
        if nesterov:
            theta -= grad
            np.multiply(velocity, momentum, out=grad)
            theta += grad
        else:
            theta += velocity

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
        decay: float,
        loss: Array,
        share: float,
    ) -> None:
        """m, v <- moving averages of g and g^2;  theta <- theta - rate m / (sqrt(v) + epsilon) - decay theta.

        The decay applies only to the weights.
        """
        cls._add_l2(theta[:n_weights], grad[:n_weights], l2, loss, share)
        if decay:
            theta[:n_weights] *= 1 - decay
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

    @staticmethod
    def _add_l2(W: Array, grad: Array, l2: float, loss: Array, share: float) -> None:
        if l2:
            loss += share * 0.5 * l2 * float(np.dot(W, W))
            grad += l2 * W
