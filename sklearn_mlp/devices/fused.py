"""Kernels of the CPU that Numba fuses into one or two passes.

They compute the same as their namesakes in `cpu.py`, which are the reference; `tests/devices/test_devices.py` checks
that. A kernel is here because `benchmarks/kernels.py` measured it to be faster; in µs, for float32, fused and NumPy's
(200 rows of 100, 10 for the softmax; vectors of 80,000):

    relu             1.3   9.6      column_sums        1.3   3.8      adam_step   11   80
    relu_backward    1.3   4.3      softmax_log_loss   3.9    24      sgd_step     6   34

exp of many numbers and tanh are left to NumPy, which vectorises them: Numba's loops are several times slower. In silu
and mish in float32, `_exp` replaces SciPy's expit: 256 rows of 256 take 26 µs instead of 270. Every kernel uses one
thread: Adam's pass over 668,000 weights, split between two, took 169 µs of a training step instead of 136, as the
synchronisation costs more than the second core gains.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_mlp.devices.cpu import CPU, LEAK, NORM_EPSILON
from sklearn_mlp.devices.encoded import EncodedTable, Encoding
from sklearn_mlp.devices.jit import kernel

Array = npt.NDArray[Any]


@kernel
def _add_bias(Z, b):
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] += b[j]


@kernel
def _relu(Z, b):
    zero = Z.dtype.type(0)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            z = Z[i, j] + b[j]
            # In this order NaN stays NaN.
            Z[i, j] = zero if z < zero else z


@kernel
def _relu_backward(A, dA, db):
    zero = A.dtype.type(0)
    db[:] = 0
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            dz = dA[i, j] if A[i, j] > zero else zero
            dA[i, j] = dz
            db[j] += dz


@kernel
def _half_sum(Z, b):
    half = Z.dtype.type(0.5)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = half * (Z[i, j] + b[j])


@kernel
def _half_of_one_plus(Z):
    half = Z.dtype.type(0.5)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            Z[i, j] = half + half * Z[i, j]


@kernel
def _logistic_backward(A, dA, db):
    one = A.dtype.type(1)
    db[:] = 0
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            dz = dA[i, j] * (A[i, j] * (one - A[i, j]))
            dA[i, j] = dz
            db[j] += dz


@kernel
def _tanh_backward(A, dA, db):
    one = A.dtype.type(1)
    db[:] = 0
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            dz = dA[i, j] * (one - A[i, j] * A[i, j])
            dA[i, j] = dz
            db[j] += dz


@kernel
def _leaky_relu(Z, b):
    zero, leak = Z.dtype.type(0), Z.dtype.type(LEAK)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            z = Z[i, j] + b[j]
            Z[i, j] = leak * z if z < zero else z


@kernel
def _leaky_relu_backward(A, dA, db):
    zero, leak = A.dtype.type(0), A.dtype.type(LEAK)
    db[:] = 0
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            dz = dA[i, j] if A[i, j] > zero else leak * dA[i, j]
            dA[i, j] = dz
            db[j] += dz


@kernel
def _exp(x):
    """exp of a float32 to about one unit in the last place, in operations that LLVM vectorises.

    exp(x) = 2^n exp(r) with |r| <= log(2) / 2 and a polynomial for exp(r) (the coefficients of Cephes, S. Moshier,
    1989); 2^n is assembled from its bits.
    """
    x = min(max(x, np.float32(-87.3)), np.float32(88.3))
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    # log(2) in two parts, the first of which has few bits, so that its product with n is exact.
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@kernel
def _silu(Z, b, D):
    one = np.float32(1)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            z = Z[i, j] + b[j]
            p = one / (one + _exp(-z))
            Z[i, j] = z * p
            D[i, j] = p * (one + z * (one - p))


@kernel
def _mish(Z, b, D):
    # With e = exp(z), tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2). For z >= 20 it is 1 in float32; for larger z, e^2
    # would overflow.
    one, two, large = np.float32(1), np.float32(2), np.float32(20)
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            z = Z[i, j] + b[j]
            e = _exp(min(z, large))
            t = e * (e + two) / (e * (e + two) + two)
            Z[i, j] = z * t
            D[i, j] = t + z * (e / (one + e)) * (one - t * t)


@kernel
def _derivative_backward(D, dA, db):
    db[:] = 0
    for i in range(D.shape[0]):
        for j in range(D.shape[1]):
            dz = dA[i, j] * D[i, j]
            dA[i, j] = dz
            db[j] += dz


@kernel
def _column_moments(Z, weight, scale, out):
    mean, variance = out[0], out[1]
    scale = Z.dtype.type(scale)
    mean[:] = 0
    variance[:] = 0
    for i in range(Z.shape[0]):
        p = scale if weight is None else scale * weight[i]
        for j in range(Z.shape[1]):
            mean[j] += p * Z[i, j]
    for i in range(Z.shape[0]):
        p = scale if weight is None else scale * weight[i]
        for j in range(Z.shape[1]):
            centred = Z[i, j] - mean[j]
            variance[j] += p * centred * centred


@kernel
def _normalise_columns(Z, mean, inverse_std, gamma, A):
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            z_hat = (Z[i, j] - mean[j]) * inverse_std[j]
            Z[i, j] = z_hat
            A[i, j] = gamma[j] * z_hat


@kernel
def _batch_norm_backward(Z_hat, factor, weight, scale, dA, db, dgamma):
    scale = dA.dtype.type(scale)
    dgamma[:] = 0
    for i in range(dA.shape[0]):
        for j in range(dA.shape[1]):
            dgamma[j] += dA[i, j] * Z_hat[i, j]
    for i in range(dA.shape[0]):
        p = scale if weight is None else scale * weight[i]
        for j in range(dA.shape[1]):
            dA[i, j] = factor[j] * (dA[i, j] - p * (db[j] + Z_hat[i, j] * dgamma[j]))


@kernel
def _layer_norm(Z, gamma, A, inverse_std):
    real = Z.dtype.type
    one, share, epsilon = real(1), real(1 / Z.shape[1]), real(NORM_EPSILON)
    for i in range(Z.shape[0]):
        mean = variance = real(0)
        for j in range(Z.shape[1]):
            mean += Z[i, j]
        mean *= share
        for j in range(Z.shape[1]):
            variance += (Z[i, j] - mean) * (Z[i, j] - mean)
        factor = one / np.sqrt(share * variance + epsilon)
        inverse_std[i] = factor
        for j in range(Z.shape[1]):
            z_hat = (Z[i, j] - mean) * factor
            Z[i, j] = z_hat
            A[i, j] = gamma[j] * z_hat


@kernel
def _layer_norm_backward(Z_hat, inverse_std, gamma, dA, dgamma):
    real = dA.dtype.type
    share = real(1 / dA.shape[1])
    dgamma[:] = 0
    for i in range(dA.shape[0]):
        total = along = real(0)
        for j in range(dA.shape[1]):
            dgamma[j] += dA[i, j] * Z_hat[i, j]
        for j in range(dA.shape[1]):
            d = gamma[j] * dA[i, j]
            dA[i, j] = d
            total += d
            along += d * Z_hat[i, j]
        total *= share
        along *= share
        for j in range(dA.shape[1]):
            dA[i, j] = inverse_std[i] * (dA[i, j] - total - Z_hat[i, j] * along)


@kernel
def _hash(i, key_0, key_1):
    x = np.uint32(np.uint32(i) * np.uint32(0x9E3779B9) + key_0)
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)) ^ key_1
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return x ^ (x >> np.uint32(16))


@kernel
def _dropout(a, out, threshold, scale, key_0, key_1):
    zero = a.dtype.type(0)
    for i in range(a.size):
        out[i] = zero if _hash(i, key_0, key_1) < threshold else scale * a[i]


# The same in place. With `a` and `out` aliased, the loop above is not vectorised, and 10 × slower (256 rows of 256: 100
# and 9 µs).
@kernel
def _dropout_in_place(a, threshold, scale, key_0, key_1):
    zero = a.dtype.type(0)
    for i in range(a.size):
        a[i] = zero if _hash(i, key_0, key_1) < threshold else scale * a[i]


@kernel
def _column_sums(A, out):
    out[:] = 0
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            out[j] += A[i, j]


@kernel
def _subtract_row_max(Z, b):
    for i in range(Z.shape[0]):
        largest = Z[i, 0] + b[0]
        for j in range(Z.shape[1]):
            Z[i, j] += b[j]
            largest = max(largest, Z[i, j])
        for j in range(Z.shape[1]):
            Z[i, j] -= largest


@kernel
def _normalise_rows(Z):
    one = Z.dtype.type(1)
    for i in range(Z.shape[0]):
        total = Z.dtype.type(0)
        for j in range(Z.shape[1]):
            total += Z[i, j]
        factor = one / total
        for j in range(Z.shape[1]):
            Z[i, j] *= factor


@kernel
def _residual_of_softmax(P, y, weight, scale, loss, share):
    one = P.dtype.type(1)
    eps = P.dtype.type(np.finfo(P.dtype).eps)
    total = 0.0
    for i in range(P.shape[0]):
        w = scale if weight is None else scale * weight[i]
        total -= w * np.log(min(max(P[i, y[i]], eps), one - eps))
        P[i, y[i]] -= one
        w = P.dtype.type(w)
        for j in range(P.shape[1]):
            P[i, j] *= w
    loss[0] += share * total


@kernel
def _logistic_log_loss(Z, b, y, weight, scale, loss, share):
    one = Z.dtype.type(1)
    eps = Z.dtype.type(np.finfo(Z.dtype).eps)
    total = 0.0
    for i in range(Z.shape[0]):
        w = scale if weight is None else scale * weight[i]
        for j in range(Z.shape[1]):
            p = one / (one + np.exp(-(Z[i, j] + b[j])))
            q = p if y[i, j] > 0 else one - p
            total -= w * np.log(min(max(q, eps), one - eps))
            Z[i, j] = Z.dtype.type(w) * (p - y[i, j])
    loss[0] += share * total


@kernel
def _squared_error(Z, b, y, weight, scale, loss, share):
    total = 0.0
    for i in range(Z.shape[0]):
        w = scale if weight is None else scale * weight[i]
        for j in range(Z.shape[1]):
            residual = Z[i, j] + b[j] - y[i, j]
            total += w * residual * residual
            Z[i, j] = Z.dtype.type(w) * residual
    loss[0] += share * 0.5 * total / Z.shape[1]


@kernel
def _poisson_deviance(Z, b, y, weight, scale, loss, share):
    total = 0.0
    for i in range(Z.shape[0]):
        w = scale if weight is None else scale * weight[i]
        for j in range(Z.shape[1]):
            z, target = Z[i, j] + b[j], y[i, j]
            mu = np.exp(z)
            if target > 0:
                total += w * (target * (np.log(target) - z))
            total += w * (mu - target)
            Z[i, j] = Z.dtype.type(w) * (mu - target)
    loss[0] += share * total


@kernel
def _move_towards(average, theta, weight):
    weight = theta.dtype.type(weight)
    for i in range(theta.size):
        average[i] += weight * (theta[i] - average[i])


@kernel
def _sgd_pass(theta, grad, velocity, learning_rate, momentum, nesterov, l2):
    real = theta.dtype.type
    rate, mu, l2 = real(learning_rate), real(momentum), real(l2)
    squares = real(0)
    for i in range(theta.size):
        w = theta[i]
        squares += w * w
        step = rate * (grad[i] + l2 * w)
        v = mu * velocity[i] - step
        velocity[i] = v
        theta[i] = w + (mu * v - step if nesterov else v)
    return squares


@kernel
def _sgd_step(theta, grad, velocity, learning_rate, momentum, nesterov, n_weights, l2, loss, share):
    squares = _sgd_pass(
        theta[:n_weights], grad[:n_weights], velocity[:n_weights], learning_rate, momentum, nesterov, l2
    )
    _sgd_pass(theta[n_weights:], grad[n_weights:], velocity[n_weights:], learning_rate, momentum, nesterov, 0.0)
    loss[0] += share * 0.5 * l2 * squares


@kernel
def _adam_pass(theta, grad, m, v, rate, beta_1, beta_2, epsilon, l2, decay):
    real = theta.dtype.type
    rate, epsilon, l2, keep = real(rate), real(epsilon), real(l2), real(1 - decay)
    keep_m, take_m = real(beta_1), real(1 - beta_1)
    keep_v, take_v = real(beta_2), real(1 - beta_2)
    squares = real(0)
    for i in range(theta.size):
        w = theta[i]
        squares += w * w
        g = grad[i] + l2 * w
        m_i = keep_m * m[i] + take_m * g
        v_i = keep_v * v[i] + take_v * (g * g)
        m[i] = m_i
        v[i] = v_i
        theta[i] = keep * w - rate * m_i / (np.sqrt(v_i) + epsilon)
    return squares


@kernel
def _adam_step(theta, grad, m, v, rate, beta_1, beta_2, epsilon, n_weights, l2, decay, loss, share):
    n = n_weights
    squares = _adam_pass(theta[:n], grad[:n], m[:n], v[:n], rate, beta_1, beta_2, epsilon, l2, decay)
    _adam_pass(theta[n:], grad[n:], m[n:], v[n:], rate, beta_1, beta_2, epsilon, 0.0, 0.0)
    loss[0] += share * 0.5 * l2 * squares


# The products with an encoded table E add up rows of W, or add to rows of dW, instead of multiplying by columns that
# are mostly 0 or 1. A number at the relative position `way` in bin k contributes (1 - way) P[k] + way P[k + 1], with P
# the cumulative sums of the rows of W of its bins, from 0. A tile of rows is processed column by column of the table,
# so that the rows of W of the column stay in the cache.
TILE = 128


@kernel
def _find_bin(z, offset, first, last):
    """The last of the bins first, ..., last whose lower bound is at most z, or the first."""
    while first < last:
        middle = (first + last + 1) // 2
        if offset[middle] <= z:
            first = middle
        else:
            last = middle - 1
    return first


@kernel
def _add_row(w, factor, out):
    for u in range(out.size):
        out[u] += factor * w[u]


@kernel
def _encoded_matmul(table, n_numbers, first_bin, offset, width, gap_column, first_code, W, P, Z):
    zero, one, three = W.dtype.type(0), W.dtype.type(1), W.dtype.type(3)
    for j in range(n_numbers):
        p = first_bin[j] - n_numbers + j
        P[p] = zero
        for k in range(first_bin[j], first_bin[j + 1]):
            p += 1
            for u in range(W.shape[1]):
                P[p, u] = P[p - 1, u] + W[k, u]
    Z[:] = zero
    for start in range(0, table.shape[0], TILE):
        stop = min(start + TILE, table.shape[0])
        for j in range(n_numbers):
            first, last = first_bin[j], first_bin[j + 1] - 1
            for i in range(start, stop):
                z = table[i, j]
                if np.isnan(z):
                    z = zero
                    if gap_column[j] >= 0:
                        _add_row(W[gap_column[j]], one, Z[i])
                bounded = z / np.sqrt(one + (z / three) * (z / three))
                if last < first:
                    _add_row(W[j], bounded, Z[i])
                    continue
                k = _find_bin(z, offset, first, last)
                way = min(max((z - offset[k]) / width[k], zero), one)
                w, low, high = W[j], P[k - n_numbers + j], P[k - n_numbers + j + 1]
                for u in range(W.shape[1]):
                    Z[i, u] += bounded * w[u] + (one - way) * low[u] + way * high[u]
        for j in range(first_code.size - 1):
            for i in range(start, stop):
                code = table[i, n_numbers + j]
                if code >= zero:
                    _add_row(W[first_code[j] + int(code)], one, Z[i])


@kernel
def _encoded_transposed_matmul(table, n_numbers, first_bin, offset, width, gap_column, first_code, dZ, dP, dW):
    zero, one, three = dW.dtype.type(0), dW.dtype.type(1), dW.dtype.type(3)
    dW[:] = zero
    dP[:] = zero
    for start in range(0, table.shape[0], TILE):
        stop = min(start + TILE, table.shape[0])
        for j in range(n_numbers):
            first, last = first_bin[j], first_bin[j + 1] - 1
            for i in range(start, stop):
                z = table[i, j]
                if np.isnan(z):
                    z = zero
                    if gap_column[j] >= 0:
                        _add_row(dZ[i], one, dW[gap_column[j]])
                bounded = z / np.sqrt(one + (z / three) * (z / three))
                if last < first:
                    _add_row(dZ[i], bounded, dW[j])
                    continue
                k = _find_bin(z, offset, first, last)
                way = min(max((z - offset[k]) / width[k], zero), one)
                dz, dw, low, high = dZ[i], dW[j], dP[k - n_numbers + j], dP[k - n_numbers + j + 1]
                for u in range(dW.shape[1]):
                    dw[u] += bounded * dz[u]
                    low[u] += (one - way) * dz[u]
                    high[u] += way * dz[u]
        for j in range(first_code.size - 1):
            for i in range(start, stop):
                code = table[i, n_numbers + j]
                if code >= zero:
                    _add_row(dZ[i], one, dW[first_code[j] + int(code)])
    for j in range(n_numbers):
        for k in range(first_bin[j + 1] - 1, first_bin[j] - 1, -1):
            p = k - n_numbers + j
            for u in range(dW.shape[1]):
                dW[k, u] = dP[p + 1, u]
                dP[p, u] += dP[p + 1, u]


class FusedCPU(CPU):
    """The CPU, with fused kernels for those that take several passes in NumPy."""

    identity = staticmethod(_add_bias)
    relu = staticmethod(_relu)
    relu_backward = staticmethod(_relu_backward)
    logistic_backward = staticmethod(_logistic_backward)
    tanh_backward = staticmethod(_tanh_backward)
    leaky_relu = staticmethod(_leaky_relu)
    leaky_relu_backward = staticmethod(_leaky_relu_backward)
    derivative_backward = staticmethod(_derivative_backward)
    column_sums = staticmethod(_column_sums)
    logistic_log_loss = staticmethod(_logistic_log_loss)
    squared_error = staticmethod(_squared_error)
    poisson_deviance = staticmethod(_poisson_deviance)
    move_towards = staticmethod(_move_towards)
    column_moments = staticmethod(_column_moments)
    layer_norm = staticmethod(_layer_norm)
    layer_norm_backward = staticmethod(_layer_norm_backward)
    sgd_step = staticmethod(_sgd_step)
    adam_step = staticmethod(_adam_step)

    @staticmethod
    def silu(Z: Array, b: Array, D: Array) -> None:
        (_silu if Z.dtype == np.float32 else CPU.silu)(Z, b, D)

    @staticmethod
    def mish(Z: Array, b: Array, D: Array) -> None:
        (_mish if Z.dtype == np.float32 else CPU.mish)(Z, b, D)

    @classmethod
    def encoded_batch(cls, table: Array, encoding: Encoding) -> Any:
        return EncodedTable(table, encoding)

    @classmethod
    def matmul(cls, A: Any, B: Array, out: Array) -> None:
        if not isinstance(A, EncodedTable):
            CPU.matmul(A, B, out)
            return
        e = A.encoding
        P = np.empty((e.first_gap, B.shape[1]), B.dtype)
        arrays = A.table, e.n_numbers, e.first_bin, e.offset, e.width, e.gap_column, e.first_code, B, P, out
        (_encoded_transposed_matmul if A.transposed else _encoded_matmul)(*arrays)

    @staticmethod
    def dropout(A: Array, out: Array, rate: float, keys: tuple[int, int]) -> None:
        parameters = np.uint32(rate * 2**32), A.dtype.type(1 / (1 - rate)), np.uint32(keys[0]), np.uint32(keys[1])
        if out is A:
            _dropout_in_place(A.reshape(-1), *parameters)
        else:
            _dropout(A.reshape(-1), out.reshape(-1), *parameters)

    @staticmethod
    def batch_norm(Z: Array, moments: Array, gamma: Array, A: Array) -> None:
        mean, variance = moments
        _normalise_columns(Z, mean, 1 / np.sqrt(variance + Z.dtype.type(NORM_EPSILON)), gamma, A)

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
        factor = gamma / np.sqrt(moments[1] + dA.dtype.type(NORM_EPSILON))
        _batch_norm_backward(Z_hat, factor, weight, scale, dA, db, dgamma)

    @staticmethod
    def logistic(Z: Array, b: Array) -> None:
        _half_sum(Z, b)
        np.tanh(Z, out=Z)
        _half_of_one_plus(Z)

    @staticmethod
    def tanh(Z: Array, b: Array) -> None:
        _add_bias(Z, b)
        np.tanh(Z, out=Z)

    @staticmethod
    def softmax(Z: Array, b: Array) -> None:
        _subtract_row_max(Z, b)
        np.exp(Z, out=Z)
        _normalise_rows(Z)

    @classmethod
    def softmax_log_loss(
        cls, Z: Array, b: Array, y: Array, weight: Array | None, scale: float, loss: Array, share: float
    ) -> None:
        cls.softmax(Z, b)
        _residual_of_softmax(Z, y, weight, scale, loss, share)
