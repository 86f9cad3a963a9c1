"""The kernels of the GPU, compiled by CuPy at the first call with arrays of a precision.

T is the precision of the network. Outputs such as `Z` and `loss` are read before they are written.
"""

from typing import Any

import cupy

from sklearn_mlp.devices.cpu import LEAK, NORM_EPSILON, SELU_ALPHA, SELU_SCALE

# Number of threads of a kernel that adds to an accumulator: each has its own element, so that the sum is deterministic.
# They are enough to saturate the memory of a large GPU; the accumulator is 1 MB, which is summed once an epoch.
WORKERS = 2**17

# The kernels of activations and losses, which `CUDA` has as methods of the same names.
ACTIVATIONS: dict[str, Any] = {}
ACTIVATIONS_BACKWARD: dict[str, Any] = {}
LOSSES: dict[str, Any] = {}
SOFTMAX_LOSSES: dict[str, Any] = {}


# -- activations: a forward and a backward kernel each -----------------------------------------------------------------


def _activation(name, operation):
    ACTIVATIONS[name] = cupy.ElementwiseKernel("T b", "T Z", f"const T z = Z + b; Z = {operation}", f"mlp_{name}")
    return ACTIVATIONS[name]


def _activation_backward(name, dz):
    # The sum of dZ over the rows, axis 0; and dZ itself, stored when its element is read: `_j` is the index in C order
    # of the current element in CuPy's template.
    ACTIVATIONS_BACKWARD[f"{name}_backward"] = cupy.ReductionKernel(
        "T A, T dA", "T db, raw T dZ", f"dZ[_j] = {dz}", "a + b", "db = a", "0", f"mlp_{name}_backward"
    )
    return ACTIVATIONS_BACKWARD[f"{name}_backward"]


identity = _activation("identity", "z")
logistic = _activation("logistic", "T(1) / (T(1) + exp(-z))")
tanh = _activation("tanh", "tanh(z)")
relu = _activation("relu", "z < T(0) ? T(0) : z")  # in this order NaN stays NaN
leaky_relu = _activation("leaky_relu", f"z < T(0) ? T({LEAK}) * z : z")
elu = _activation("elu", "z < T(0) ? expm1(z) : z")
selu = _activation("selu", f"T({SELU_SCALE}) * (z < T(0) ? T({SELU_ALPHA}) * expm1(z) : z)")
softplus = _activation("softplus", "(z < T(0) ? T(0) : z) + log1p(exp(-abs(z)))")
exp = _activation("exp", "exp(z)")
ACTIVATIONS["expit"] = logistic  # on a GPU, both have full relative precision
logistic_backward = _activation_backward("logistic", "dA * (A * (T(1) - A))")
tanh_backward = _activation_backward("tanh", "dA * (T(1) - A * A)")
relu_backward = _activation_backward("relu", "A > T(0) ? dA : T(0)")

leaky_relu_backward = _activation_backward("leaky_relu", f"A > T(0) ? dA : T({LEAK}) * dA")
elu_backward = _activation_backward("elu", "A > T(0) ? dA : dA * (A + T(1))")
selu_backward = _activation_backward(
    "selu", f"A > T(0) ? T({SELU_SCALE}) * dA : dA * (A + T({SELU_SCALE * SELU_ALPHA}))"
)
softplus_backward = _activation_backward("softplus", "dA * -expm1(-A)")
derivative_backward = _activation_backward("derivative", "dA * A")


def _activation_with_derivative(name, operation):
    ACTIVATIONS[name] = cupy.ElementwiseKernel("T b", "T Z, T D", f"const T z = Z + b; {operation}", f"mlp_{name}")
    return ACTIVATIONS[name]


gelu = _activation_with_derivative(
    "gelu",
    """
    const T p = T(0.5) * erfc(z * T(-0.7071067811865476));
    Z = z * p;
    D = p + z * T(0.3989422804014327) * exp(T(-0.5) * z * z);
    """,
)
silu = _activation_with_derivative(
    "silu", "const T p = T(1) / (T(1) + exp(-z)); Z = z * p; D = p * (T(1) + z * (T(1) - p));"
)
mish = _activation_with_derivative(
    "mish",
    """
    const T t = tanh((z < T(0) ? T(0) : z) + log1p(exp(-abs(z)))), p = T(1) / (T(1) + exp(-z));
    Z = z * t;
    D = t + z * p * (T(1) - t * t);
    """,
)

dropout = cupy.ElementwiseKernel(
    "T A, uint32 threshold, T scale, uint32 key_0, uint32 key_1",
    "T out",
    """
    unsigned int x = (unsigned int)i * 0x9E3779B9u + key_0;
    x = ((x ^ (x >> 16)) * 0x7FEB352Du) ^ key_1;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    x ^= x >> 16;
    out = x < threshold ? T(0) : scale * A;
    """,
    "mlp_dropout",
)

# -- normalisation -----------------------------------------------------------------------------------------------------

# Weighted mean and variance in one pass, by merging those of parts (Chan, Golub and LeVeque, 1983): single numbers, of
# variance 0, or tiles of rows that the kernel has reduced.
moments = cupy.ReductionKernel(
    "T part_mean, T part_variance, T part_weight",
    "T mean, T variance, T weight",
    "Moments(part_weight, part_mean, part_weight * part_variance)",
    "a + b",
    "mean = a.mean, variance = a.squares / a.weight, weight = a.weight",
    None,
    "mlp_moments",
    reduce_type="Moments",
    preamble="""
    struct Moments {
        T weight, mean, squares;
        __device__ Moments() : weight(0), mean(0), squares(0) {}
        __device__ Moments(T weight, T mean, T squares) : weight(weight), mean(mean), squares(squares) {}
    };
    __device__ Moments operator+(const Moments& a, const Moments& b) {
        if (b.weight == T(0)) return a;  // the variance of b is NaN
        if (a.weight == T(0)) return b;
        const T weight = a.weight + b.weight;
        const T d = b.mean - a.mean, share = b.weight / weight;
        return Moments(weight, a.mean + share * d, a.squares + b.squares + a.weight * share * d * d);
    }
    """,
)
normalise = cupy.ElementwiseKernel(
    "T mean, T variance, T gamma",
    "T Z, T A",
    f"Z = (Z - mean) / sqrt(variance + T({NORM_EPSILON})); A = gamma * Z",
    "mlp_normalise",
)
inverse_std = cupy.ElementwiseKernel(
    "T variance", "T out", f"out = T(1) / sqrt(variance + T({NORM_EPSILON}))", "mlp_inverse_std"
)
scale_gradient = cupy.ReductionKernel(
    "T dA, T Z_hat", "T dgamma", "dA * Z_hat", "a + b", "dgamma = a", "0", "mlp_scale_gradient"
)
batch_norm_backward = cupy.ElementwiseKernel(
    "T Z_hat, T variance, T gamma, T weight, T scale, T db, T dgamma",
    "T dA",
    f"""
    dA = gamma / sqrt(variance + T({NORM_EPSILON})) * (dA - scale * weight * (db + Z_hat * dgamma))
    """,
    "mlp_batch_norm_backward",
)
layer_norm_sums = cupy.ReductionKernel(
    "T dA, T Z_hat, T gamma",
    "T total, T along",
    "Sums(gamma * dA, gamma * dA * Z_hat)",
    "a + b",
    "total = a.total, along = a.along",
    None,
    "mlp_layer_norm_sums",
    reduce_type="Sums",
    preamble="""
    struct Sums {
        T total, along;
        __device__ Sums() : total(0), along(0) {}
        __device__ Sums(T total, T along) : total(total), along(along) {}
    };
    __device__ Sums operator+(const Sums& a, const Sums& b) { return Sums(a.total + b.total, a.along + b.along); }
    """,
)
layer_norm_backward = cupy.ElementwiseKernel(
    "T Z_hat, T inverse_std, T gamma, T total, T along, int64 n_units",
    "T dA",
    "dA = inverse_std * (gamma * dA - (total + Z_hat * along) / T(n_units))",
    "mlp_layer_norm_backward",
)

# -- the denominator of the softmax ------------------------------------------------------------------------------------

# log(sum(exp(z))) of each row in one pass: the largest z so far, and the sum so far relative to it (Milakov and
# Gimelshein, "Online normalizer calculation for softmax", 2018). In double precision, for accurate differences from it.
log_sum_exp = cupy.ReductionKernel(
    "T Z, T b",
    "float64 log_sum",
    "Z + b",
    "a + b",
    "log_sum = double(a.largest) + log(double(a.sum))",
    None,
    "mlp_log_sum_exp",
    reduce_type="SumOfExp",
    preamble="""
    struct SumOfExp {
        T largest, sum;
        __device__ SumOfExp() : largest(0), sum(0) {}
        __device__ SumOfExp(T z) : largest(z), sum(1) {}
        __device__ SumOfExp(T largest, T sum) : largest(largest), sum(sum) {}
    };
    __device__ SumOfExp operator+(const SumOfExp& a, const SumOfExp& b) {
        if (a.sum == T(0)) return b;
        if (b.sum == T(0)) return a;
        const T largest = a.largest > b.largest ? a.largest : b.largest;
        return SumOfExp(largest, a.sum * exp(a.largest - largest) + b.sum * exp(b.largest - largest));
    }
    """,
)
softmax = cupy.ElementwiseKernel("T b, float64 log_sum", "T Z", "Z = exp(T(double(Z + b) - log_sum))", "mlp_softmax")


# -- losses and optimizer steps: `size` workers, each of which takes every size-th element -----------------------------

_PREAMBLE = """
#define EVERY(j, n) ptrdiff_t j = i; j < n; j += _ind.size()

// A negative log-likelihood, clipped as if the probability were clipped to [eps, 1 - eps].
__device__ double limit(double L) {
    const double eps = sizeof(T) == 4 ? 1.1920928955078125e-07 : 2.220446049250313e-16;
    const double most = sizeof(T) == 4 ? 15.942385152878742 : 36.04365338911715;
    return L > most ? most : (L < eps ? eps : L);
}
"""


def _loss(name, operation, parameters="raw T y"):
    LOSSES[name] = _loss_kernel(name, operation, parameters)
    return LOSSES[name]


def _softmax_loss(name, operation, parameters="raw float64 log_sum, raw I y"):
    SOFTMAX_LOSSES[name] = _loss_kernel(name, operation, parameters)
    return SOFTMAX_LOSSES[name]


def _loss_kernel(name, operation, parameters):
    """The kernel of a loss; `operation` computes L and dz from z, the score at `row`, `column` and, of y, at `j`."""
    return cupy.ElementwiseKernel(
        f"raw T b, {parameters}, raw T weight, bool weighted, float64 scale, float64 share, int64 n, int64 n_columns",
        "raw T Z, raw float64 loss",
        f"""
        double total = 0;
        for (EVERY(j, n)) {{
            const ptrdiff_t row = j / n_columns, column = j % n_columns;
            const double w = weighted ? scale * weight[row] : scale;
            const T z = Z[j] + b[column];
            {operation}
            total += w * L;
            Z[j] = T(w) * dz;
        }}
        loss[i] += share * total;
        """,
        f"mlp_{name}",
        preamble=_PREAMBLE,
    )


squared_error = _loss("squared_error", "const T dz = z - y[j]; const T L = T(0.5) * dz * dz / T(n_columns);")
absolute_error = _loss(
    "absolute_error", "const T r = z - y[j], dz = r > T(0) ? T(1) : (r < T(0) ? T(-1) : r); const T L = abs(r);"
)
huber = _loss(
    "huber",
    """
    const T r = z - y[j], dz = r > delta ? delta : (r < -delta ? -delta : r);
    const T L = abs(r) > delta ? delta * (abs(r) - T(0.5) * delta) : T(0.5) * r * r;
    """,
    "raw T y, T delta",
)
pinball = _loss(
    "pinball",
    """
    const T r = z - y[j], q = level[column];
    const T dz = r > T(0) ? T(1) - q : (r < T(0) ? -q : r), L = r * dz;
    """,
    "raw T y, raw T level",
)
poisson_deviance = _loss(
    "poisson_deviance",
    """
    const T mu = exp(z), dz = mu - y[j];
    const double L = y[j] > T(0) ? double(y[j] * (log(y[j]) - z) + dz) : double(dz);
    """,
)
gamma_deviance = _loss(
    "gamma_deviance", "const T ratio = y[j] * exp(-z), dz = T(1) - ratio; const T L = ratio + z - log(y[j]) - T(1);"
)
tweedie_deviance = _loss(
    "tweedie_deviance",
    """
    const T p1 = T(1) - power, p2 = T(2) - power, of_y = y[j] * exp(p1 * z), of_mu = exp(p2 * z), dz = of_mu - of_y;
    const T L = pow(y[j], p2) / (p1 * p2) - of_y / p1 + of_mu / p2;
    """,
    "raw T y, T power",
)
logistic_log_loss = _loss(
    "logistic_log_loss",
    """
    const T p = T(1) / (T(1) + exp(-z)), dz = p - y[j];
    const double L = limit(-log(y[j] > T(0) ? p : T(1) - p));
    """,
)
softmax_log_loss = _softmax_loss(
    "softmax_log_loss",
    """
    const double log_p = double(z) - log_sum[row];
    const bool is_class = column == y[row];
    const T dz = exp(T(log_p)) - T(is_class);
    const double L = is_class ? limit(-log_p) : 0;
    """,
)

smooth_softmax_log_loss = _softmax_loss(
    "smooth_softmax_log_loss",
    """
    const double log_p = double(z) - log_sum[row];
    const T target = smoothing / T(n_columns) + (column == y[row] ? T(1) - smoothing : T(0));
    const T dz = exp(T(log_p)) - target;
    const double L = target * limit(-log_p);
    """,
    "raw float64 log_sum, raw I y, T smoothing",
)
smooth_logistic_log_loss = _loss(
    "smooth_logistic_log_loss",
    """
    const T p = T(1) / (T(1) + exp(-z)), target = (T(1) - smoothing) * y[j] + T(0.5) * smoothing, dz = p - target;
    const double L = target * limit(-log(p)) + (T(1) - target) * limit(-log(T(1) - p));
    """,
    "raw T y, T smoothing",
)
# The log-probability of each row's class, before the scores become gradients.
class_log_probability = cupy.ElementwiseKernel(
    "raw T Z, raw T b, float64 log_sum, I y, int64 n_columns",
    "float64 log_p",
    "log_p = double(Z[i * n_columns + y] + b[y]) - log_sum",
    "mlp_class_log_probability",
)
_FOCAL = """
    const double eps = sizeof(T) == 4 ? 1.1920928955078125e-07 : 2.220446049250313e-16;
    const T rest = T(1) - p < T(eps) ? T(eps) : T(1) - p, modulation = pow(rest, gamma);
    const T factor = modulation * (T(1) + gamma * p * T(neg_log) / rest);
"""
softmax_focal_loss = _loss_kernel(
    "softmax_focal_loss",
    f"""
    const bool is_class = column == y[row];
    const double neg_log = limit(-log_p[row]);
    const T p = exp(T(log_p[row]));
    {_FOCAL}
    const T dz = (exp(T(double(z) - log_sum[row])) - T(is_class)) * factor;
    const double L = is_class ? modulation * neg_log : 0;
    """,
    "raw float64 log_sum, raw float64 log_p, raw I y, T gamma",
)
logistic_focal_loss = _loss(
    "logistic_focal_loss",
    f"""
    const T q = T(1) / (T(1) + exp(-z)), p = y[j] > T(0) ? q : T(1) - q;
    const double neg_log = limit(-log(p));
    {_FOCAL}
    const T dz = (q - y[j]) * factor;
    const double L = modulation * neg_log;
    """,
    "raw T y, T gamma",
)

move_towards = cupy.ElementwiseKernel(
    "T theta, T weight", "T average", "average += weight * (theta - average)", "mlp_move_towards"
)
clip_norm = cupy.ElementwiseKernel(
    "raw T squares, T max_norm",
    "T grad",
    "const T norm = sqrt(squares[0]); if (norm > max_norm) grad *= max_norm / norm",
    "mlp_clip_norm",
)
normalise_vector = cupy.ElementwiseKernel(
    "raw T squares",
    "T x",
    "const T norm = sqrt(squares[0]); x /= norm > T(1e-7) ? norm : T(1e-7)",
    "mlp_normalise_vector",
)
axpby = cupy.ElementwiseKernel("T a, T x, T b", "T y", "y = a * x + b * y", "mlp_axpby")
add_momentum = cupy.ElementwiseKernel(
    "raw T W, T momentum, bool nesterov, T l2, float64 penalty, int64 n",
    "raw T grad, raw T velocity, raw float64 loss",
    """
    T squares = 0;
    for (EVERY(j, n)) {
        const T w = W[j];
        squares += w * w;
        const T g = grad[j] + l2 * w, v = momentum * velocity[j] + g;
        velocity[j] = v;
        grad[j] = nesterov ? g + momentum * v : v;
    }
    loss[i] += penalty * double(squares);
    """,
    "mlp_add_momentum",
    preamble=_PREAMBLE,
)
sgd_step = cupy.ElementwiseKernel(
    "raw T grad, T learning_rate, T momentum, bool nesterov, T l2, float64 penalty, int64 n_weights, int64 n",
    "raw T theta, raw T velocity, raw float64 loss",
    """
    T squares = 0;
    for (EVERY(j, n)) {
        const T w = theta[j], decay = j < n_weights ? l2 : T(0);
        if (j < n_weights) squares += w * w;
        const T step = learning_rate * (grad[j] + decay * w);
        const T v = momentum * velocity[j] - step;
        velocity[j] = v;
        theta[j] = w + (nesterov ? momentum * v - step : v);
    }
    loss[i] += penalty * double(squares);
    """,
    "mlp_sgd_step",
    preamble=_PREAMBLE,
)
adam_step = cupy.ElementwiseKernel(
    "raw T grad, T rate, T keep_m, T take_m, T keep_v, T take_v, T epsilon, T l2, T keep, float64 penalty, "
    "int64 n_weights, int64 n",
    "raw T theta, raw T m, raw T v, raw float64 loss",
    """
    T squares = 0;
    for (EVERY(j, n)) {
        const T w = theta[j], decay = j < n_weights ? l2 : T(0);
        if (j < n_weights) squares += w * w;
        const T g = grad[j] + decay * w;
        const T m_j = keep_m * m[j] + take_m * g;
        const T v_j = keep_v * v[j] + take_v * (g * g);
        m[j] = m_j;
        v[j] = v_j;
        theta[j] = (j < n_weights ? keep : T(1)) * w - rate * m_j / (sqrt(v_j) + epsilon);
    }
    loss[i] += penalty * double(squares);
    """,
    "mlp_adam_step",
    preamble=_PREAMBLE,
)

# -- rows --------------------------------------------------------------------------------------------------------------

gather = cupy.ElementwiseKernel(
    "raw S X, I row, int64 n_features",
    "T out",
    "out = T(X[ptrdiff_t(row) * n_features + _ind.get()[1]])",
    "mlp_gather",
    reduce_dims=False,
)
# One column of an encoded table, by its kind; see `CPU.encode`.
encode = cupy.ElementwiseKernel(
    "raw T table, int8 kind, int64 source, T offset, T width, int64 n_features",
    "T out",
    """
    const T x = table[ptrdiff_t(_ind.get()[0]) * n_features + source];
    const bool is_gap = x != x;
    const T z = is_gap ? T(0) : x, way = (z - offset) / width;
    if (kind == 0) out = z / sqrt(T(1) + (z / T(3)) * (z / T(3)));
    else if (kind == 1) out = way < T(0) ? T(0) : way > T(1) ? T(1) : way;
    else out = kind == 2 ? is_gap : x == offset;
    """,
    "mlp_encode",
    reduce_dims=False,
)
# Each sparse row has 32 workers, each of which takes every 32nd entry.
spread = cupy.ElementwiseKernel(
    "raw T data, raw I indices, raw I indptr, raw R rows, int64 n_features",
    "raw T out",
    """
    const ptrdiff_t row = i / 32, source = rows[row];
    for (ptrdiff_t p = indptr[source] + i % 32; p < indptr[source + 1]; p += 32)
        out[row * n_features + indices[p]] = data[p];
    """,
    "mlp_spread",
)
