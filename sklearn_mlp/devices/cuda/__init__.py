"""CuPy arrays on an NVIDIA GPU, and the arithmetic that training does on them.

The methods do the same as their namesakes in `cpu.py`, which are the reference. Only this package imports CuPy, and it
is imported when a model first uses a GPU.

A step should not wait for the device and should launch few kernels: each launch costs Python some microseconds, which
dominate in small networks. Therefore each kernel does as much as possible with an array, and losses are summed on the
device.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import cupy
import cupyx.scipy.sparse
import numpy as np
import numpy.typing as npt

from sklearn_mlp.devices.cuda import kernels, rows
from sklearn_mlp.devices.protocol import DeviceError

Array = Any

# `release` keeps less than this in CuPy's pools: the next fit would allocate it again, and each allocation by the
# driver waits for the device.
RELEASED_BYTES = 2**28

# The ID of the process that has found a device; in a forked process, where CUDA does not work, that of the parent.
_users: set[int] = set()


def _call_loss(
    kernel: Any, arrays: tuple[Any, ...], weight: Array, scale: float, share: float, Z: Array, loss: Array
) -> None:
    weighted = weight is not None
    # Without weights, Z is a placeholder that is not read.
    weight = weight if weighted else Z
    kernel(*arrays, weight, weighted, scale, share, Z.size, Z.shape[1], Z, loss, size=min(Z.size, kernels.WORKERS))


def _sums(A: Array, out: Array, axis: int) -> None:
    A.sum(axis=axis, out=out)


def _moments(Z: Array, *out: Array, axis: int) -> None:
    kernels.moments(Z, 0.0, 1.0, *out, axis=axis)


def _weighted_moments(Z: Array, weight: Array, *out: Array, axis: int) -> None:
    kernels.moments(Z, 0.0, weight, *out, axis=axis)


def _n_tiles(n_rows: int, n_columns: int) -> int:
    """The number of tiles into which `_reduce_rows` splits the rows, a function of their shape.

    CuPy reduces 32 columns in a block of 512 threads, each of which reads n_rows / 16 numbers in sequence: 256 columns
    occupy 8 of the 132 multiprocessors of an H100. At the latency of its caches, 0.2 µs, that is 3 µs for 256 rows,
    about the device time of a second launch, which also takes 10 µs of Python; and 50 µs for 4,096 rows, 5 × the time
    of the layer's product. Therefore the rows are split from 128 numbers a thread on, into tiles of at least 64 rows (4
    numbers a thread) that fill at most 512 blocks. (The times are arithmetic, not measurements.)
    """
    if n_rows * min(n_columns, 32) < 128 * 512:
        return 1
    return max(1, min(n_rows // 64, 512 * 32 // n_columns))


def _reduce_rows(
    reduce: Callable[..., Any], arrays: tuple[Array, ...], out: tuple[Array, ...], merge: Callable[..., Any] = _sums
) -> None:
    """Reduce `arrays`, the first of shape (n_rows, n_columns), over their rows to `out`, each of shape (n_columns,).

    With a single tile, this is `reduce(*arrays, *out, axis=0)`. Otherwise `reduce` reduces all tiles, each of rows that
    are `n_tiles` apart, in one launch, and the remaining rows as a further tile; `merge` reduces the results.
    """
    n_rows, n_columns = arrays[0].shape
    n_tiles = _n_tiles(n_rows, n_columns)
    if n_tiles == 1:
        reduce(*arrays, *out, axis=0)
        return
    height, rest = divmod(n_rows, n_tiles)
    stop = n_rows - rest
    tiles = [cupy.empty((n_tiles + bool(rest), n_columns), x.dtype) for x in out]
    reduce(*(x[:stop].reshape(height, n_tiles, -1) for x in arrays), *(x[:n_tiles] for x in tiles), axis=0)
    if rest:
        reduce(*(x[stop:] for x in arrays), *(x[n_tiles] for x in tiles), axis=0)
    merge(*tiles, *out, axis=0)


class CUDA:
    """An NVIDIA GPU: every array is a CuPy array on it.

    Attributes
    ----------
    name : str
        "cuda:" and the number of the device.
    """

    # Larger than on the CPU, as a GPU is fast only on large products.
    chunk_size = 2**24
    asynchronous = True

    def __init__(self, index: int) -> None:
        self.index = index
        self.name = f"cuda:{index}"

    @contextmanager
    def active(self) -> Iterator[None]:
        with cupy.cuda.Device(self.index):
            try:
                yield
            except cupy.cuda.memory.OutOfMemoryError as error:
                raise MemoryError(
                    f"device={self.name!r} has too little free memory for the network and its batches: {error}. "
                    "Decrease batch_size or hidden_layer_sizes, predict fewer rows at a time, or use device='cpu'."
                ) from error

    @staticmethod
    def release() -> None:
        pool = cupy.get_default_memory_pool()
        if pool.free_bytes() >= RELEASED_BYTES:
            pool.free_all_blocks()
            cupy.get_default_pinned_memory_pool().free_all_blocks()

    # -- arrays ------------------------------------------------------------------------------------------------------

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        return cupy.empty(shape, dtype)

    @staticmethod
    def zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        return cupy.zeros(shape, dtype)

    @staticmethod
    def to_device(array: Any) -> Any:
        if cupyx.scipy.sparse.issparse(array):
            return _csr_on_device(array)
        if isinstance(array, np.ndarray) and array.nbytes > rows.CHUNK_BYTES:
            return rows.copy(array, array.dtype.newbyteorder("="))
        if not isinstance(array, np.ndarray | cupy.ndarray) and hasattr(array, "__dlpack_device__"):
            # With the CUDA array interface, PyTorch and others would not synchronise their streams.
            array = cupy.from_dlpack(array)
        return cupy.asarray(array, order="C")  # copies from other devices

    @staticmethod
    def to_device_copy(array: Any) -> Array:
        return cupy.array(array)

    @staticmethod
    def to_host(array: Any) -> Any:
        return array.get() if cupyx.scipy.sparse.issparse(array) else cupy.asnumpy(array)

    @staticmethod
    def write(array: npt.NDArray[Any], out: Array) -> None:
        out.set(np.ascontiguousarray(array, dtype=out.dtype))

    @staticmethod
    def take(array: Array, rows: Array) -> Array:
        return array.take(rows, axis=0)

    # -- rows of X ---------------------------------------------------------------------------------------------------

    @staticmethod
    def prepare_rows(X: Any, dtype: npt.DTypeLike, gather: bool) -> Any:
        return rows.prepare_rows(X, dtype)

    @staticmethod
    def rows(X: Any, dtype: npt.DTypeLike) -> Any:
        return rows.reader(X, dtype)

    def chunk_rows(self, X: Any, n_units: int) -> int:
        return max(1, self.chunk_size // (X.shape[1] + n_units))

    # -- sums over batches -------------------------------------------------------------------------------------------

    @staticmethod
    def accumulator() -> Array:
        return cupy.zeros(kernels.WORKERS, np.float64)

    @staticmethod
    def collect(loss: Array) -> float:
        total = float(loss.sum().item())
        loss.fill(0)
        return total

    # -- products ----------------------------------------------------------------------------------------------------

    @staticmethod
    def matmul(A: Array, B: Array, out: Array) -> None:
        A.dot(B, out)

    @staticmethod
    def column_sums(A: Array, out: Array) -> None:
        _reduce_rows(_sums, (A,), (out,))

    # -- activations and losses; those with a single kernel are added below the class ----------------------------------

    @classmethod
    def identity_backward(cls, A: Array, dA: Array, db: Array) -> None:
        cls.column_sums(dA, db)

    # Without weights, each row has a weight of 1.

    @staticmethod
    def column_moments(Z: Array, weight: Array, scale: float, out: Array) -> None:
        out = out[0], out[1], cupy.empty(Z.shape[1], Z.dtype)
        if weight is None:
            _reduce_rows(_moments, (Z,), out, kernels.moments)
        else:
            _reduce_rows(_weighted_moments, (Z, weight[:, np.newaxis]), out, kernels.moments)

    @staticmethod
    def batch_norm(Z: Array, moments: Array, gamma: Array, A: Array) -> None:
        kernels.normalise(moments[0], moments[1], gamma, Z, A)

    @staticmethod
    def batch_norm_backward(
        Z_hat: Array, moments: Array, gamma: Array, weight: Array, scale: float, dA: Array, db: Array, dgamma: Array
    ) -> None:
        _reduce_rows(kernels.scale_gradient, (dA, Z_hat), (dgamma,))
        weight = 1.0 if weight is None else weight[:, np.newaxis]
        kernels.batch_norm_backward(Z_hat, moments[1], gamma, weight, scale, db, dgamma, dA)

    @staticmethod
    def layer_norm(Z: Array, gamma: Array, A: Array, inverse_std: Array) -> None:
        mean, variance, total = (cupy.empty(Z.shape[0], Z.dtype) for _ in range(3))
        kernels.moments(Z, 0.0, 1.0, mean, variance, total, axis=1)
        kernels.inverse_std(variance, inverse_std)
        kernels.normalise(mean[:, np.newaxis], variance[:, np.newaxis], gamma, Z, A)

    @staticmethod
    def layer_norm_backward(Z_hat: Array, inverse_std: Array, gamma: Array, dA: Array, dgamma: Array) -> None:
        _reduce_rows(kernels.scale_gradient, (dA, Z_hat), (dgamma,))
        total, along = cupy.empty(dA.shape[0], dA.dtype), cupy.empty(dA.shape[0], dA.dtype)
        kernels.layer_norm_sums(dA, Z_hat, gamma, total, along, axis=1)
        kernels.layer_norm_backward(
            Z_hat, inverse_std[:, np.newaxis], gamma, total[:, np.newaxis], along[:, np.newaxis], dA.shape[1], dA
        )

    @staticmethod
    def dropout(A: Array, out: Array, rate: float, keys: tuple[int, int]) -> None:
        kernels.dropout(A, int(rate * 2**32), 1 / (1 - rate), *keys, out)

    @staticmethod
    def softmax(Z: Array, b: Array) -> None:
        kernels.softmax(b, kernels.log_sum_exp(Z, b, axis=1)[:, np.newaxis], Z)

    @staticmethod
    def move_towards(average: Array, theta: Array, weight: float) -> None:
        kernels.move_towards(theta, weight, average)

    @staticmethod
    def clip_norm(grad: Array, max_norm: float) -> None:
        kernels.clip_norm(grad.dot(grad), max_norm, grad)

    @staticmethod
    def softmax_focal_loss(
        Z: Array, b: Array, y: Array, weight: Array, scale: float, loss: Array, share: float, gamma: float
    ) -> None:
        log_sum = kernels.log_sum_exp(Z, b, axis=1)
        log_p = cupy.empty(y.shape, np.float64)
        kernels.class_log_probability(Z, b, log_sum, y, Z.shape[1], log_p)
        _call_loss(kernels.softmax_focal_loss, (b, log_sum, log_p, y, gamma), weight, scale, share, Z, loss)

    @staticmethod
    def normalise_vector(x: Array) -> None:
        kernels.normalise_vector(x.dot(x), x)

    @staticmethod
    def axpby(a: float, x: Array, b: float, y: Array) -> None:
        kernels.axpby(a, x, b, y)

    # -- optimizer steps ---------------------------------------------------------------------------------------------

    @staticmethod
    def add_momentum(
        W: Array,
        grad: Array,
        velocity: Array,
        momentum: float,
        nesterov: bool,
        l2: float,
        loss: Array,
        share: float,
    ) -> None:
        n = W.size
        penalty = share * 0.5 * l2
        kernels.add_momentum(W, momentum, nesterov, l2, penalty, n, grad, velocity, loss, size=min(n, kernels.WORKERS))

    @staticmethod
    def sgd_step(
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
        n = theta.size
        penalty = share * 0.5 * l2
        kernels.sgd_step(
            grad, learning_rate, momentum, nesterov, l2, penalty, n_weights, n, theta, velocity, loss,
            size=min(n, kernels.WORKERS),
        )  # fmt: skip

    @staticmethod
    def adam_step(
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
        n = theta.size
        penalty = share * 0.5 * l2
        kernels.adam_step(
            grad, rate, beta_1, 1 - beta_1, beta_2, 1 - beta_2, epsilon, l2, 1 - decay, penalty, n_weights, n,
            theta, m, v, loss, size=min(n, kernels.WORKERS),
        )  # fmt: skip


def _csr_on_device(X: Any) -> Any:
    """A CuPy matrix in CSR format on the current device."""
    with X.data.device:
        X = X.tocsr()
    if X.data.device.id == cupy.cuda.runtime.getDevice():
        return X
    arrays = tuple(cupy.asarray(array) for array in (X.data, X.indices, X.indptr))
    return cupyx.scipy.sparse.csr_matrix(arrays, shape=X.shape)


def _activation(kernel: Any) -> Any:
    def activate(Z: Array, b: Array, *derivative: Array) -> None:
        kernel(b, Z, *derivative)

    return activate


def _activation_backward(kernel: Any) -> Any:
    def reduce(A: Array, dA: Array, db: Array, axis: int) -> None:
        kernel(A, dA, db, dA, axis=axis)

    def activate_backward(A: Array, dA: Array, db: Array) -> None:
        _reduce_rows(reduce, (A, dA), (db,))

    return activate_backward


def _loss(kernel: Any) -> Any:
    def to_gradient(
        Z: Array, b: Array, y: Array, weight: Array, scale: float, loss: Array, share: float, *parameters: Any
    ) -> None:
        _call_loss(kernel, (b, y, *parameters), weight, scale, share, Z, loss)

    return to_gradient


def _softmax_loss(kernel: Any) -> Any:
    def to_gradient(
        Z: Array, b: Array, y: Array, weight: Array, scale: float, loss: Array, share: float, *parameters: Any
    ) -> None:
        log_sum = kernels.log_sum_exp(Z, b, axis=1)
        _call_loss(kernel, (b, log_sum, y, *parameters), weight, scale, share, Z, loss)

    return to_gradient


for _method, _kernels in (
    (_activation, kernels.ACTIVATIONS),
    (_activation_backward, kernels.ACTIVATIONS_BACKWARD),
    (_loss, kernels.LOSSES),
    (_softmax_loss, kernels.SOFTMAX_LOSSES),
):
    for _name, _kernel in _kernels.items():
        setattr(CUDA, _name, staticmethod(_method(_kernel)))


def find_device(index: int | None) -> CUDA:
    """The GPU with the number `index`; None is CUDA's current device.

    Raises
    ------
    DeviceError
        If the device does not compute, or this process was forked from one that has used CUDA.
    RuntimeError
        If there is no driver, or no device.
    ValueError
        If there are devices, but none with that number.
    """
    runtime = cupy.cuda.runtime
    if _users and os.getpid() not in _users:
        raise DeviceError(
            "This process was forked from one that had used CUDA, which does not work in the child of a fork. Start "
            "processes by spawn: multiprocessing.set_start_method('spawn'), or joblib, as n_jobs does; or use "
            "device='cpu' in them."
        )
    found = f"CuPy {cupy.__version__} is installed"
    try:
        n_devices = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        n_devices = 0
        driver = runtime.driverGetVersion()
        if driver == 0:
            found += ", but no NVIDIA driver was found. Install the driver"
        elif driver // 1000 < runtime.runtimeGetVersion() // 1000:
            found += (
                f" for CUDA {runtime.runtimeGetVersion() // 1000}, but the NVIDIA driver is for CUDA "
                f"{driver // 1000}.{driver % 1000 // 10}. Update the driver"
            )
        else:
            found += f", and so is the NVIDIA driver, but CUDA reports: {error}. Make a device visible"
    else:
        found += ", and so is the NVIDIA driver, but it shows no device. Make one visible (CUDA_VISIBLE_DEVICES)"
    if n_devices == 0:
        raise RuntimeError(f"{found}, or use device='cpu' or device='auto'.")
    if index is None:
        index = runtime.getDevice()
    if index >= n_devices:
        names = ", ".join(f"'cuda:{i}'" for i in range(n_devices))
        raise ValueError(f"device='cuda:{index}' does not exist: the CUDA devices here are {names}.")
    _users.add(os.getpid())
    device = _device(index)
    try:
        fault = _fault(device)
    except runtime.CUDARuntimeError as error:
        raise DeviceError(
            f"CUDA reports on {device.name!r}: {error}. `nvidia-smi` shows the processes that use the device; wait for "
            "them, or use device='cpu'."
        ) from error
    if fault is not None:
        raise DeviceError(
            f"CuPy {cupy.__version__} has found the device {device.name!r}, but cannot compute on it: {fault}; or use "
            "device='cpu'."
        )
    return device


@cache
def _device(index: int) -> CUDA:
    return CUDA(index)


@cache
def _fault(device: CUDA) -> str | None:
    """The error of a product or a kernel, with its remedy: CuPy only loads libraries and the compiler when needed.

    CUDA's errors are raised, and thus not cached: a device that another process uses may be free at the next call.
    """
    with device.active():
        try:
            A, b, Z = (device.zeros(shape, np.float32) for shape in ((2, 2), (2,), (2, 2)))
            device.matmul(A, A, out=Z)
            kernels.relu(b, Z)
            device.to_host(Z)
        except (MemoryError, cupy.cuda.runtime.CUDARuntimeError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:  # for a file; for a library, errno is None
                return f"{error}. Set the environment variable CUPY_CACHE_DIR to a folder that can be written to"
            return (
                f"{type(error).__name__}: {error}. `pip install 'sklearn_mlp[cuda"
                f"{cupy.cuda.runtime.runtimeGetVersion() // 1000}]'` installs the libraries that CuPy needs"
            )
    return None
