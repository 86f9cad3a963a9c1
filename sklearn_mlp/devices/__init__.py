"""Devices: where arrays are, and the arithmetic on them."""

import os
import re
import threading
import warnings
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

from sklearn_mlp.devices import blas
from sklearn_mlp.devices.cpu import CPU
from sklearn_mlp.devices.protocol import Device, DeviceError, Kernel, resolve_kernel

if TYPE_CHECKING:
    from sklearn_mlp.devices.cuda import CUDA

__all__ = ["Device", "Kernel", "kernels_for", "resolve_device", "resolve_kernel"]

# For this many numbers, NumPy's kernels take 0.15 ms longer than Numba's, or 30 ms in 200 epochs
# (`benchmarks/small_jobs.py`); importing Numba takes 400 ms (`benchmarks/startup.py`).
SMALL_PASS = 150_000

# A lock that another thread holds during a fork is never released in the child process, so a fork acquires these first.
# The first represents Python's locks of the modules that an import holds.
_importing = threading.RLock()
_locks: list[AbstractContextManager[Any]] = [_importing, blas.lock]


def _before_fork() -> None:
    for lock in _locks:  # includes those that `_fused_cpu` appends while this waits for the first
        lock.__enter__()


def _after_fork() -> None:
    for lock in reversed(_locks):
        lock.__exit__(None, None, None)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def resolve_device(name: str) -> Device:
    """The device that the parameter ``device`` names.

    Parameters
    ----------
    name : str
        "cpu"; "cuda", which is CUDA's current device; "cuda:N"; or "auto", which is "cuda" if CuPy and a GPU are
        available and "cpu" if not. "auto" warns of a GPU that is found but does not compute.

    Raises
    ------
    ValueError
        If `name` is none of these, or there are GPUs but none with that number.
    ImportError
        If CuPy is not installed.
    RuntimeError
        If there is no driver, or no GPU, or it does not compute.
    """
    with _importing:
        if name == "cpu":
            return _cpu()
        if name == "auto":
            try:
                return _cuda(name, None)
            except DeviceError as error:
                _warn(f"device='auto' uses the CPU. {error}")
                return _cpu()
            except (ImportError, RuntimeError):
                return _cpu()
        match = re.fullmatch(r"cuda(?::(\d+))?", name)
        if match is None:
            raise ValueError(
                f"device={name!r} is not a device: use 'cpu', 'cuda', 'cuda:0' (or another number) or 'auto'."
            )
        return _cuda(name, None if match[1] is None else int(match[1]))


@cache
def _warn(message: str) -> None:
    """Warn, once per process."""
    warnings.warn(message, RuntimeWarning, stacklevel=4)


@cache
def _cpu() -> CPU:
    return CPU()


def kernels_for(device: Device, n_numbers: float) -> Device:
    """The device with suitable kernels for passes over the rows, such as epochs, of `n_numbers` values each.

    Importing Numba and loading its kernels takes half a second, longer than a whole small job, which therefore uses
    NumPy's kernels. The choice only depends on the job, so that a seed gives the same model in every process.
    """
    if n_numbers <= SMALL_PASS or type(device) is not CPU:
        return device
    with _importing:
        return _fused_cpu()


@cache
def _fused_cpu() -> CPU:
    """The CPU with the kernels of Numba, if it can be imported."""
    if os.environ.get("SKLEARN_MLP_NUMBA") == "0":
        return _cpu()
    try:
        from sklearn_mlp.devices.fused import FusedCPU
        from sklearn_mlp.devices.jit import LOCKS
    except ImportError:
        return _cpu()
    _locks.extend(LOCKS)
    return FusedCPU()


def _cuda(name: str, index: int | None) -> "CUDA":
    try:
        from sklearn_mlp.devices.cuda import find_device
    except ImportError as error:
        raise ImportError(
            f"device={name!r} needs CuPy, which cannot be imported here ({error}). `pip install 'sklearn_mlp[cuda12]'` "
            "installs it for an NVIDIA driver of CUDA 12, `pip install 'sklearn_mlp[cuda13]'` for one of CUDA 13; or "
            "use device='cpu' or device='auto'."
        ) from error
    return find_device(index)
