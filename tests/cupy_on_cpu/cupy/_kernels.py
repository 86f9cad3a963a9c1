"""User-defined kernels of the stand-in: the code that CuPy would compile for a GPU, compiled by the C++ compiler."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

import cupy
from cupy import cuda

_CTYPES = {
    np.dtype(np.bool_): "bool",
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    **{np.dtype(f"{kind}{8 * size}"): f"{kind}{8 * size}_t" for kind in ("int", "uint") for size in (1, 2, 4, 8)},
}
_HEAD = """
#include <cmath>
#include <cstddef>
#include <cstdint>
using namespace std;
#define __device__
template <int n> struct Indexer {
    ptrdiff_t shape[n], index[n], total = 1;
    Indexer(const ptrdiff_t* s) { for (int d = 0; d < n; d++) total *= shape[d] = s[d]; }
    ptrdiff_t size() const { return total; }
    const ptrdiff_t (&get() const)[n] { return index; }
    void set(ptrdiff_t i) { for (int d = n; d--;) { index[d] = i % shape[d]; i /= shape[d]; } }
    template <typename T> T& of(T* data, const ptrdiff_t* strides) const {
        ptrdiff_t offset = 0;
        for (int d = 0; d < n; d++) offset += index[d] * strides[d];
        return *(T*)((char*)data + offset);
    }
};
"""


@cache
def _compile(source):
    """The function `run` of the source, from a shared library that is kept for the next time."""
    folder = Path(tempfile.gettempdir()) / f"cupy_on_cpu_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    library = folder / f"{hashlib.sha256(source.encode()).hexdigest()}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            Path(scratch, "kernel.cpp").write_text(source)
            command = [shutil.which("c++"), "-std=c++17", "-O1", "-shared", "-fPIC", "kernel.cpp", "-o", "kernel.so"]
            subprocess.run(command, cwd=scratch, check=True)
            Path(scratch, "kernel.so").replace(library)
    return ctypes.CDLL(str(library)).run


class _Parameter:
    def __init__(self, text, is_input):
        *qualifiers, self.type, self.name = text.split()
        assert qualifiers in ([], ["raw"]), text
        self.raw, self.is_input = bool(qualifiers), is_input


class _Kernel:
    _reduces = False

    def __init__(self, in_params, out_params, name, preamble):
        self.params = [_Parameter(text, True) for text in in_params.split(",")]
        self.n_in = len(self.params)
        self.params += [_Parameter(text, False) for text in out_params.split(",")]
        self.name, self.preamble = name, preamble
        assert name.isidentifier()
        assert "i" not in {p.name for p in self.params}

    def _record(self, args, size, axis):
        """Note for `real_cupy.py` the kinds of the arguments."""
        if cuda.calls is not None:
            kinds = [
                [a.dtype.name, a.shape, a.flags.c_contiguous] if isinstance(a, cupy.ndarray) else None for a in args
            ]
            cuda.calls.append([self.name, kinds, size, axis])

    def _types(self, args):
        """The precision that each letter stands for."""
        types = {}
        for p, arg in zip(self.params, args, strict=True):
            if not isinstance(arg, cupy.ndarray):
                assert p.is_input, f"{self.name}: {p.name} is not an array"
                assert isinstance(arg, int | float), f"{self.name}: {p.name} is a {type(arg)}"
            elif types.setdefault(p.type, arg.dtype if len(p.type) == 1 else np.dtype(p.type)) != arg.dtype:
                raise TypeError(f"Type is mismatched: {self.name}, {p.type} {p.name} of {arg.dtype}")
        return types

    def _run(self, args, shapes, body):
        """Compile and call `body`, a template with {load(parameter)} for the elements of an index."""
        types = self._types(args)
        lines, values = [], []
        for k, (p, arg) in enumerate(zip(self.params, args, strict=True)):
            dtype = types[p.type] if p.type in types else np.dtype(p.type)
            qualifier = "const " if p.is_input else ""
            if isinstance(arg, cupy.ndarray):
                assert not p.raw or arg.flags.c_contiguous, f"{self.name}: {p.name} is not contiguous"
                name = p.name if p.raw else f"_raw_{p.name}"
                lines.append(f"{qualifier}{_CTYPES[dtype]}* {name} = ({_CTYPES[dtype]}*)args[{k}];")
                values.append(arg._array.ctypes.data)
            else:
                lines.append(f"const {_CTYPES[dtype]} {p.name} = *({_CTYPES[dtype]}*)args[{k}];")
                values.append(np.array(arg, dtype))
        pointers = [value if isinstance(value, int) else value.ctypes.data for value in values]
        typedefs = "".join(
            f"typedef {_CTYPES[dtype]} {letter};\n" for letter, dtype in types.items() if len(letter) == 1
        )
        source = (
            f"{_HEAD}{typedefs}{self.preamble}\n"
            'extern "C" void run(void** args, const ptrdiff_t* shape, const ptrdiff_t* strides) {\n'
            + "\n".join(lines)
            + body
            + "}"
        )
        strides = [s for arg, shape in zip(args, shapes, strict=True) if shape for s in _strides(arg, shape)]
        shape = next(shape for shape in shapes if shape) if any(shapes) else self._size
        cuda.launch(*args)
        _compile(source)(
            (ctypes.c_void_p * len(pointers))(*pointers),
            (ctypes.c_ssize_t * len(shape))(*shape),
            (ctypes.c_ssize_t * max(1, len(strides)))(*strides),
        )

    def _elements(self, args, n_dims, indexer, params):
        """Declarations of the elements at an index, of the arrays that are not raw."""
        lines, offset = [], 0
        for p, arg in zip(self.params, args, strict=True):
            if isinstance(arg, cupy.ndarray) and not p.raw:
                if p in params:
                    declare = "const auto" if p.is_input else "auto&"
                    lines.append(f"{declare} {p.name} = {indexer}.of(_raw_{p.name}, strides + {offset});")
                offset += n_dims - (self._reduces and not p.is_input)
        return " ".join(lines)


def _strides(arg, shape):
    return np.broadcast_to(arg._array, shape).strides


class ElementwiseKernel(_Kernel):
    def __init__(self, in_params, out_params, operation, name="kernel", reduce_dims=True, preamble=""):
        super().__init__(in_params, out_params, name, preamble)
        self.operation = operation
        assert reduce_dims is False or "_ind.get" not in operation

    def __call__(self, *args, size=None):
        assert len(args) == len(self.params), self.name
        elements = [not p.raw and isinstance(arg, cupy.ndarray) for p, arg in zip(self.params, args, strict=True)]
        assert any(elements) is (size is None), f"{self.name}: size is for kernels whose arrays are all raw"
        if size == 0:
            return
        self._record(args, size, None)
        shape = (size,) if size else np.broadcast_shapes(*(a.shape for a, e in zip(args, elements, strict=True) if e))
        for p, arg, element in zip(self.params, args, elements, strict=True):
            assert p.is_input or not element or arg.shape == shape, f"{self.name}: the shape of {p.name}"
        self._size = shape
        n = len(shape)
        body = f"""
            Indexer<{n}> _ind(shape);
            for (ptrdiff_t i = _ind.size(); i--;) {{
                _ind.set(i);
                {self._elements(args, n, "_ind", self.params)}
                {self.operation};
            }}
        """
        self._run(args, [shape if element else None for element in elements], body)


class ReductionKernel(_Kernel):
    _reduces = True

    def __init__(
        self,
        in_params,
        out_params,
        map_expr,
        reduce_expr,
        post_map_expr,
        identity,
        name="reduce_kernel",
        reduce_type=None,
        preamble="",
    ):
        super().__init__(in_params, out_params, name, preamble)
        self.map_expr, self.reduce_expr, self.post_map_expr = map_expr, reduce_expr, post_map_expr
        self.identity = "" if identity is None else identity
        self.reduce_type = reduce_type or self.params[self.n_in].type

    def __call__(self, *args, axis):
        shape = np.broadcast_shapes(*(np.shape(getattr(arg, "_array", arg)) for arg in args[: self.n_in]))
        out_shape = shape[:axis] + shape[axis + 1 :]
        if len(args) == self.n_in:
            (out,) = self.params[self.n_in :]
            args = (*args, cupy.empty(out_shape, out.type))
        self._record(args, None, axis)
        inputs, outputs = list(args[: self.n_in]), list(args[self.n_in :])
        if axis > 0:
            assert len(shape) == 2, self.name
            assert not any(p.raw for p in self.params), "CuPy cannot reduce along the last axis with raw parameters"
            inputs = [
                cupy.ndarray(np.broadcast_to(arg._array, shape).T, arg._memory)
                if isinstance(arg, cupy.ndarray)
                else arg
                for arg in inputs
            ]
            shape = shape[::-1]
        args = inputs + outputs
        shapes = [
            None if p.raw or not isinstance(arg, cupy.ndarray) else shape if p.is_input else out_shape
            for p, arg in zip(self.params, args, strict=True)
        ]
        for p, arg in zip(self.params[self.n_in :], outputs, strict=True):
            assert p.raw or arg.shape == out_shape, f"{self.name}: the shape of {p.name}"
        body = f"""
            #define REDUCE(a, b) ({self.reduce_expr})
            #define POST_MAP(a) ({self.post_map_expr})
            typedef {self.reduce_type} Reduced;
            Indexer<{len(shape)}> _in_ind(shape);
            Indexer<{len(out_shape)}> _out_ind(shape + 1);
            for (ptrdiff_t _i = _out_ind.size(); _i--;) {{
                // As many threads as may be, some of which may find nothing to do, and then their sums in pairs.
                Reduced partial[4] = {{{", ".join(f"Reduced({self.identity})" for _ in range(4))}}};
                for (ptrdiff_t _J = shape[0]; _J--;) {{
                    const ptrdiff_t _j = _J * _out_ind.size() + _i;
                    _in_ind.set(_j);
                    {self._elements(args, len(shape), "_in_ind", self.params[: self.n_in])}
                    Reduced _a = static_cast<Reduced>({self.map_expr});
                    partial[_J % 4] = REDUCE(partial[_J % 4], _a);
                }}
                for (int k = 2; k; k /= 2) for (int l = 0; l < k; l++) partial[l] = REDUCE(partial[l], partial[l + k]);
                _out_ind.set(_i);
                {self._elements(args, len(shape), "_out_ind", self.params[self.n_in :])}
                POST_MAP(partial[0]);
            }}
        """
        self._run(args, shapes, body)
        return outputs[0]
