"""Compilation of the fused kernels by Numba, with its cache on disk.

Numba does not validate its cache. Errors of the file system and of the unpickler are raised by the first call of a
kernel, damaged machine code crashes the process, and two processes that compile a kernel for different types at the
same time can store the code of one under the types of the other.
"""

import hashlib
import os
import pickle
import warnings
from contextlib import nullcontext, suppress
from typing import Any

from llvmlite.binding import ffi
from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature

# Held while Numba compiles a kernel and while LLVM frees memory, in the order in which they are acquired.
LOCKS = (global_compiler_lock, getattr(ffi.lib, "_lock", nullcontext()))


class _WithChecksum(CompileResultCacheImpl):
    """The content of a file of the cache: the compiled kernel, pickled, and its checksum."""

    def reduce(self, compiled: Any) -> tuple[bytes, bytes]:
        data = dumps(super().reduce(compiled))
        return hashlib.sha256(data).digest(), data

    def rebuild(self, target_context: Any, payload: tuple[bytes, bytes]) -> Any:
        checksum, data = payload
        if hashlib.sha256(data).digest() != checksum:
            raise ValueError("a file is damaged")
        return super().rebuild(target_context, pickle.loads(data))


class _KernelCache(FunctionCache):
    """Numba's cache of a kernel; an error becomes a warning, and the kernel is compiled."""

    _impl_class = _WithChecksum

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            compiled = super().load_overload(sig, target_context)
            if compiled is not None and compiled.signature.args != normalize_signature(sig)[0]:
                raise ValueError("a file is for arguments of other types")
        except Exception as error:
            with suppress(Exception):
                self.flush()  # so that the compiled kernel replaces the file
            _warn(self.cache_path, error)
            return None
        return compiled

    def save_overload(self, sig: Any, compiled: Any) -> None:
        try:
            super().save_overload(sig, compiled)
        except Exception as error:
            _warn(self.cache_path, error)


_warned = False


def _warn(folder: str, error: Exception) -> None:
    """Warn about the cache, once in a process."""
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"Numba's cache of compiled kernels in {folder!r} failed ({type(error).__name__}: {error}). The kernels "
        "are compiled without it, which takes seconds in every process. If the warning recurs, delete the folder, "
        "make room on its disk, or set the environment variable NUMBA_CACHE_DIR to a folder that can be written to.",
        RuntimeWarning,
        stacklevel=3,
    )


def kernel(function: Any) -> Any:
    """Compile `function` at its first call for each type of its arguments, and cache the result on disk if possible.

    Sums may be reordered, which their vectorisation requires; NaN and infinity are respected.
    """
    compiled: Any = njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})(function)
    try:
        compiled._cache = _KernelCache(function)
    except Exception as error:  # neither the package's folder nor the user's cache folder is writable
        _warn(os.environ.get("NUMBA_CACHE_DIR") or os.path.dirname(__file__), error)
    return compiled
