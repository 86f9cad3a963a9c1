"""Where arrays live and what does arithmetic on them."""

import os
from functools import cache

from sklearn_mlp.devices.cpu import CPU

Device = CPU


def resolve_device(name: str) -> Device:
    """The device that the parameter ``device`` names.

    Parameters
    ----------
    name : {"cpu", "auto"}
        "auto" is the fastest device available, which is the CPU in this version.

    Raises
    ------
    ValueError
        If `name` is not a device of this version.
    """
    if name in ("cpu", "auto"):
        return _cpu()
    raise ValueError(
        f"device={name!r} is not available: this version of sklearn_mlp trains on the CPU only. "
        "Use device='cpu' or device='auto'."
    )


@cache
def _cpu() -> CPU:
    """The CPU with the fastest kernels that run here; Numba is imported now, not with the package."""
    if os.environ.get("SKLEARN_MLP_NUMBA") == "0":
        return CPU()
    try:
        from sklearn_mlp.devices.fused import FusedCPU
    except ImportError:
        return CPU()
    return FusedCPU()
