"""What the real CuPy says about the use that the package makes of it; run as a program where CuPy is, GPU or not.

`python real_cupy.py compile < calls.json` sends each kernel, in the precisions of each call, through the code that CuPy
generates and NVIDIA's compiler NVRTC, to machine code of three GPUs. Each call is [kernel, [[precision, shape, is C
contiguous] or null for a number, ...], the length of the loop, the reduced axis or null]. The answer, as JSON, has for
each program and architecture the size of the machine code and the number of double-precision operations in the PTX.

`python real_cupy.py names < names.json` lists what CuPy lacks of {object: {name: [parameters] or null}}.
"""

import inspect
import json
import re
import sys
from itertools import product
from pathlib import Path

import cupy
import cupyx
import cupyx.scipy.sparse
import numpy as np
from cupy._core import _kernel, _reduction
from cupy._core._carray import Indexer
from cupy._core._scalar import CScalar
from cupy_backends.cuda.libs import nvrtc

from sklearn_mlp.devices.cuda import kernels

ARCHITECTURES = ["sm_75", "sm_80", "sm_90"]
NDARRAY, INDEXER, SCALAR = 1, 2, 3  # CuPy's numbers for kinds of arguments


def source(kernel, args, size, axis):
    """The CUDA code that CuPy would compile for such a call, by CuPy's own functions."""
    params = kernel.in_params + kernel.out_params
    elements = [not p.raw and a is not None for p, a in zip(params, args, strict=True)]
    types = [None if a is None else np.dtype(a[0]) for a in args]
    decide, of = (kernel, ()) if axis is None else (_reduction, (kernel.in_params, kernel.out_params))
    in_types, out_types, type_map = decide._decide_params_type(
        *of, tuple(types[: kernel.nin]), tuple(types[kernel.nin :])
    )
    shapes = [tuple(a[1]) for a, element in zip(args, elements, strict=True) if element]
    inputs = [tuple(a[1]) for a, element in zip(args[: kernel.nin], elements, strict=False) if element]
    shape = (size,) if size is not None else np.broadcast_shapes(*(inputs if axis is not None else shapes))
    # CuPy drops dimensions where all arrays are contiguous.
    flat = (
        kernel.reduce_dims
        and axis != 1
        and all(
            a is None or not e or (a[2] and tuple(a[1]) == shape) or p in kernel.out_params
            for p, a, e in zip(params, args, elements, strict=True)
        )
    )
    n_dims = 1 if flat else len(shape)
    infos = []
    for p, a, element, dtype in zip(params, args, elements, (*in_types, *out_types), strict=True):
        if a is None:
            infos.append(_kernel._ArgInfo(SCALAR, CScalar, np.dtype(dtype), 0, True, True))
        elif not element or (axis is not None and p in kernel.out_params):
            out_dims = len(a[1]) if p.raw else 1  # what is reduced to is contiguous, one dimension to CuPy
            infos.append(_kernel._ArgInfo(NDARRAY, cupy.ndarray, np.dtype(a[0]), out_dims, True, True))
        else:
            contiguous = flat or (a[2] and tuple(a[1]) == shape and axis != 1)
            infos.append(_kernel._ArgInfo(NDARRAY, cupy.ndarray, np.dtype(a[0]), n_dims, contiguous, True))
    indexer = _kernel._ArgInfo(INDEXER, Indexer, None, n_dims, True, True)
    if axis is None:
        return _kernel._get_elementwise_kernel_code(
            (*infos, indexer), type_map, kernel.params, kernel.operation, kernel.name, kernel.preamble, **kernel.kwargs
        )
    out_indexer = _kernel._ArgInfo(INDEXER, Indexer, None, 1, True, True)
    stride = _kernel._ArgInfo(SCALAR, CScalar, np.dtype(np.int32), 0, True, True)
    type_map = type(type_map)((*_pairs(type_map), ("IndexT", np.dtype(np.int32))))
    return _reduction._ReductionKernel_get_cached_function_code(
        kernel.nin, kernel.nout, kernel._params, (*infos, indexer, out_indexer, stride), type_map, kernel.name, 512,
        kernel.reduce_type, kernel.identity, kernel.map_expr, kernel.reduce_expr, kernel.post_map_expr, kernel.preamble,
        kernel.options,
    )  # fmt: skip


def _pairs(type_map):
    return [(letter, np.dtype(name)) for letter, name in re.findall(r"\('(\w+)', dtype\('(\w+)'\)\)", str(type_map))]


HEADERS = "".join(
    f"#include <cupy/{name}>\n" for name in ("complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h")
)


def include_folders():
    import nvidia.cuda_runtime

    own = Path(cupy.__file__).parent / "_core" / "include"
    return [
        own,
        *sorted((own / "cupy" / "_cccl").iterdir()),
        Path(next(iter(nvidia.cuda_runtime.__path__))) / "include",
    ]


def compile_calls(calls):
    by_name = {kernel.name: kernel for kernel in vars(kernels).values() if hasattr(kernel, "preamble")}
    options = ["-std=c++17", "-ftz=true", *(f"-I{folder}" for folder in include_folders())]
    programs = set()  # calls that differ in nothing but their shapes are one program
    for name, args, size, axis in calls:
        code = HEADERS + source(by_name[name], args, size, axis)
        programs.add((name, code, tuple(sorted({a[0] for a in args if a is not None}))))
    for (name, code, precisions), architecture in product(sorted(programs), ARCHITECTURES):
        program = nvrtc.createProgram(code, f"{name}.cu", [], [])
        try:
            nvrtc.compileProgram(program, [*options, f"--gpu-architecture={architecture}"])
        except nvrtc.NVRTCError:
            yield {"name": name, "architecture": architecture, "error": nvrtc.getProgramLog(program)}
            continue
        ptx = nvrtc.getPTX(program)
        ptx = ptx if isinstance(ptx, str) else ptx.decode()
        yield {
            "name": name,
            "architecture": architecture,
            "precisions": precisions,
            "size": len(nvrtc.getCUBIN(program)),
            "doubles": len(re.findall(r"\b(?:add|sub|mul|fma|div|rcp|sqrt|min|max|setp)\.[.\w]*f64\b", ptx)),
        }


def missing(names):
    """What of {path: {name: [parameters] or None}} CuPy does not have."""
    for path, members in names.items():
        found = cupy if path.startswith("cupy.") or path == "cupy" else cupyx
        for part in path.split(".")[1:]:
            found = getattr(found, part)
        for name, parameters in members.items():
            if not hasattr(found, name):
                yield f"{path}.{name}"
            elif parameters:
                known = _parameters(getattr(found, name))
                yield from (f"{path}.{name}({p}=)" for p in parameters if known is not None and p not in known)


def _parameters(function):
    """The names of a function's parameters, from its signature or the first line of its docstring; None if unknown."""
    try:
        parameters = inspect.signature(function).parameters
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters.values()):
            return None
        return list(parameters)
    except ValueError:
        line = (function.__doc__ or "").strip().split("\n")[0]
        listed = re.search(r"\((.*)\)", line)
        return None if listed is None or "*" in listed[1] else re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", listed[1])


if __name__ == "__main__":
    request = json.load(sys.stdin)
    json.dump(list(compile_calls(request) if sys.argv[1] == "compile" else missing(request)), sys.stdout)
