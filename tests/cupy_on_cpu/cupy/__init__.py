"""A stand-in for CuPy on a machine without a GPU: NumPy underneath, and as unforgiving as CuPy where that hurts.

It has what `sklearn_mlp.devices.cuda` uses and nothing else; `tests/devices/test_cuda_compile.py` checks that CuPy has
every name and parameter too. Its rules:

- No array becomes a NumPy array, and no NumPy array takes part in arithmetic, an index or an assignment, unless asked
  for by `get`, `set`, `asnumpy` or `asarray`. A number is read by `item` or `get` only, not by `float`, `int` or `bool`
  (which CuPy would allow; they hide a wait).
- `dot(out=)` wants the precision and C order that CuPy wants, and refuses the operands that CuPy would silently copy.
- The code of an `ElementwiseKernel` or `ReductionKernel` is compiled by the C++ compiler and run, elements last to
  first and sums in several parts, since on a GPU nothing is first. T, S, ... must be one precision each.
- An array is used on its own device only, and each thread has a current device of its own. Memory is limited, and
  counted until an array is gone.
- cuBLAS is refused, and so is a wait, while a stream is captured; a stream is a thread's current one inside `with`.
- Copies from pinned memory happen as late as an event allows, and pinned memory is read-only until the host has
  waited for the copy; two streams that use one array without an event between them are an error.
- `cupy.cuda.counts` counts launches, copies each way, waits, and the allocations and frees that reach the driver: what
  an array leaves is kept in a pool. Pinned memory takes a power of two.
"""

import operator

import numpy as np

from cupy import cuda
from cupy._kernels import ElementwiseKernel, ReductionKernel

__version__ = "0 (stand-in)"
__all__ = ["ElementwiseKernel", "ReductionKernel", "cuda", "ndarray"]


class ndarray:
    """An array on a device; `_array` is the NumPy array that holds its numbers."""

    __array_priority__ = 100

    def __init__(self, array, memory=None):
        self._array = array
        self._memory = cuda.Memory(array.nbytes) if memory is None else memory

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    nbytes = property(lambda self: self._array.nbytes)
    flags = property(lambda self: self._array.flags)
    T = property(lambda self: ndarray(self._array.T, self._memory))
    device = property(lambda self: cuda.Device(self._memory.device))

    @property
    def __cuda_array_interface__(self):
        return {**self._array.__array_interface__, "version": 3}

    def __len__(self):
        return len(self._array)

    def __repr__(self):
        return f"array of {self.dtype} of shape {self.shape} on {self.device}"

    # -- to and from the host --

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def _no_number(self):
        raise TypeError("Reading a number waits for the device: use .item().")

    __float__ = __int__ = __bool__ = __index__ = _no_number

    def get(self):
        cuda.use(self)
        cuda.copy("to_host", self.nbytes)
        cuda.wait()
        return self._array.copy()

    def item(self):
        return self.get().item()

    def set(self, arr, stream=None):
        assert type(arr) in (np.ndarray, cuda.Pinned), type(arr)
        assert arr.flags.c_contiguous
        assert self.flags.c_contiguous
        assert (arr.shape, arr.dtype) == (self.shape, self.dtype)
        cuda.copy("to_device", self.nbytes)
        cuda.use(self, stream=stream)
        if isinstance(arr, cuda.Pinned):
            (stream or cuda.get_current_stream()).send(arr, self._array)
        else:
            np.copyto(self._array, arr)

    # -- indexing --

    def __getitem__(self, index):
        key = _index(index)
        result = self._array[key]
        if np.may_share_memory(result, self._array):
            return ndarray(result, self._memory)
        return _new(result, self)

    def __setitem__(self, index, value):
        value = _operand(value)
        cuda.launch(self, value)
        self._array[_index(index)] = _unwrap(value)

    def __iter__(self):
        raise TypeError("Iterating over a device array would read it number by number.")

    # -- methods --

    def astype(self, dtype, copy=True):
        return self if not copy and self.dtype == dtype else _new(self._array.astype(dtype), self)

    def copy(self):
        return _new(self._array.copy(), self)

    def fill(self, value):
        cuda.launch(self)
        self._array.fill(value)

    def ravel(self):
        return ndarray(self._array.reshape(-1), self._memory)

    def reshape(self, *shape):
        view = self._array.reshape(*shape)
        assert np.shares_memory(view, self._array) or not view.size
        return ndarray(view, self._memory)

    def take(self, indices, axis=None):
        assert isinstance(indices, ndarray)
        return _new(self._array.take(indices._array, axis=axis), self, indices)

    def sort(self, axis):
        cuda.launch(self)
        self._array.sort(axis=axis)

    def sum(self, axis=None, dtype=None, out=None):
        if out is None:
            return _new(self._array.sum(axis=axis, dtype=dtype), self)
        assert (out.shape, out.dtype) == (self.shape[:axis] + self.shape[axis + 1 :], self.dtype)
        cuda.launch(self, out)
        self._array.sum(axis=axis, out=out._array)
        return out

    def dot(self, b, out=None):
        if out is None:
            assert self.ndim == b.ndim == 1
            cuda.product(self, b)  # the sums of parts, and below their sum
            return _new(np.dot(self._array, b._array), self, b)
        for operand in (self, b):
            assert operand.flags.c_contiguous or operand.flags.f_contiguous, "CuPy would copy the operand"
            assert not np.may_share_memory(operand._array, out._array), "CuPy would copy the result"
        if not (self.dtype == b.dtype == out.dtype):
            raise ValueError("Not supported dtype combination.")
        if not out.flags.c_contiguous:
            raise ValueError("Output array must be C-contiguous")
        assert out.shape == (self.shape[0], b.shape[1])
        cuda.product(self, b, out)
        np.dot(self._array, b._array, out=out._array)

    # -- NumPy's functions and operators: on device arrays and numbers alone --

    def __array_ufunc__(self, ufunc, method, *inputs, out=None):
        if method != "__call__":
            return NotImplemented
        return _call(ufunc, inputs, None if out is None else out[0])

    def __array_function__(self, function, types, args, kwargs):
        if not (function in _FUNCTIONS and not kwargs):
            raise TypeError(f"np.{function.__name__} of device arrays is not in the stand-in")
        return globals()[function.__name__](*args)


def _method(name):
    def method(self, *, axis=None):
        return _new(getattr(self._array, name)(axis=axis), self)

    return method


for _name in ("min", "max", "argmax", "all", "any"):
    setattr(ndarray, _name, _method(_name))
for _name in ("add", "sub", "mul", "truediv", "lt", "le", "gt", "ge", "eq", "ne"):
    _operator = getattr(operator, _name)
    setattr(ndarray, f"__{_name}__", lambda self, other, f=_operator: _call(f, (self, other)))
    if hasattr(np.ndarray, f"__r{_name}__"):
        setattr(ndarray, f"__r{_name}__", lambda self, other, f=_operator: _call(f, (other, self)))
        setattr(ndarray, f"__i{_name}__", lambda self, other, f=_operator: _call_in_place(f, self, other))


def _new(array, *sources):
    """A new array that a kernel makes from `sources`."""
    result = ndarray(np.asarray(array))
    cuda.launch(result, *sources)
    return result


def _unwrap(value):
    return value._array if isinstance(value, ndarray) else value


def _operand(value):
    if isinstance(value, ndarray) or np.isscalar(value):
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def _index(index):
    parts = index if isinstance(index, tuple) else (index,)
    for part in parts:
        if not (isinstance(part, ndarray | slice | int) or part is None or part is Ellipsis):
            raise TypeError(f"Unsupported index {type(part)}")
    return tuple(_unwrap(part) for part in parts)


def _call(function, operands, out=None):
    operands = [_operand(operand) for operand in operands]
    result = function(*(_unwrap(operand) for operand in operands))
    if out is None:
        return _new(result, *operands)
    cuda.launch(out, *operands)
    out._array[...] = result
    return out


def _call_in_place(function, array, operand):
    return _call(function, (array, operand), array)


# -- functions --


def empty(shape, dtype=float):
    array = np.empty(shape, dtype)
    if array.dtype.kind == "f":
        array.fill(np.nan)
    return ndarray(array)


def zeros(shape, dtype=float):
    return _new(np.zeros(shape, dtype))


def arange(start):
    return _new(np.arange(start))


def array(obj):
    result = asarray(obj)
    return result.copy() if result is obj else result


def asarray(a, dtype=None, order="K"):
    if isinstance(a, ndarray):
        if a._memory.device != cuda.runtime.getDevice():
            return ndarray(a._array.copy(order))
        if order == "C" and not a.flags.c_contiguous:
            return _new(np.ascontiguousarray(a._array), a)
        return a if dtype is None else a.astype(dtype, copy=False)
    if hasattr(a, "__cuda_array_interface__"):
        interface = {"__array_interface__": a.__cuda_array_interface__}
        return asarray(ndarray(np.asarray(type("foreign", (), interface)())), dtype, order)
    a = np.array(a, dtype, order=order)
    if a.dtype.kind not in "biuf":
        raise ValueError(f"Unsupported dtype {a.dtype}")
    cuda.copy("to_device", a.nbytes)
    return ndarray(a)


def from_dlpack(array):
    _, device = array.__dlpack_device__()
    with cuda.Device(device):
        return ndarray(np.asarray(array.__dlpack__(stream=1)))


def asnumpy(a):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def unique(ar):
    # The number of different values decides on the shape of the result.
    cuda.wait()
    return _new(np.unique(ar._array), ar)


def searchsorted(a, v):
    return _call(np.searchsorted, (a, v))


def hstack(tup):
    return _new(np.hstack([a._array for a in tup]), *tup)


def ones_like(a):
    return _new(np.ones_like(a._array), a)


def isfinite(x):
    return _call(np.isfinite, (x,))


def isnan(x):
    return _call(np.isnan, (x,))


_FUNCTIONS = {np.unique, np.searchsorted, np.hstack, np.ones_like}


def get_default_memory_pool():
    return cuda.pool


def get_default_pinned_memory_pool():
    return cuda.pinned_pool
