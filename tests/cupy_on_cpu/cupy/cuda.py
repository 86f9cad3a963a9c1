"""Devices, memory, streams and events of the stand-in, and its counts."""

from collections import Counter
from types import SimpleNamespace

import numpy as np

counts = Counter()  # launches, waits, copies to_device and to_host, bytes_to_device, bytes_to_host
# What is the stand-in's and not CuPy's.
# fmt: off
OWN = {
    "CUDARuntimeError", "Counter", "Memory", "OWN", "OutOfMemoryError", "Pinned", "Pool", "Runtime",
    "SimpleNamespace", "cached", "calls", "copy", "counts", "driver", "error", "happen", "launch", "n_devices", "np",
    "pending", "send", "sending", "pinned_pool", "pool", "seen", "tick", "total", "use", "used", "wait",
}
# fmt: on
calls = None  # or a list, to which every call of a kernel is added


# -- devices and their memory --


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
_current = [0]


class Runtime:
    """What a test may change: the number of devices, the driver's version, an error to raise."""

    CUDARuntimeError = CUDARuntimeError

    def __init__(self):
        self.n_devices, self.driver, self.error = 2, 12080, None

    def getDeviceCount(self):
        if self.error:
            raise CUDARuntimeError(self.error)
        return self.n_devices

    def getDeviceProperties(self, device):
        return {"name": b"stand-in"}

    def getDevice(self):
        return _current[-1]

    def driverGetVersion(self):
        return self.driver

    def runtimeGetVersion(self):
        return 12090


runtime = Runtime()


class Device:
    def __init__(self, device=None):
        self.id = _current[-1] if device is None else device

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def __enter__(self):
        _current.append(self.id)

    def __exit__(self, *args):
        _current.pop()

    def synchronize(self):
        wait()

    @property
    def mem_info(self):
        return pool.total - pool.used[self.id] - pool.cached[self.id], pool.total


class Pool:
    """The memory of each device; what an array leaves stays in the pool until `free_all_blocks`."""

    def __init__(self):
        self.total, self.used, self.cached = 2**30, Counter(), Counter()

    def malloc(self, size):
        if self.used_bytes() + size > self.total:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes")
        self.used[_current[-1]] += size
        self.cached[_current[-1]] = max(0, self.free_bytes() - size)

    def free_bytes(self):
        return self.cached[_current[-1]]

    def used_bytes(self):
        return self.used[_current[-1]]

    def get_limit(self):
        return self.total

    def set_limit(self, size):
        self.total = size

    def free_all_blocks(self):
        self.cached[_current[-1]] = 0


pool, pinned_pool = Pool(), Pool()


_allocator = [pool.malloc]


def get_allocator():
    return _allocator[-1]


def set_allocator(allocator):
    _allocator[-1] = allocator


class Memory:
    """The memory of an array and of its views."""

    def __init__(self, n_bytes):
        self.n_bytes, self.device, self.uses = 0, _current[-1], {}
        self.block = get_allocator()(n_bytes)  # None is the pool's
        if self.block is None:
            self.n_bytes = n_bytes

    def __del__(self):
        pool.used[self.device] -= self.n_bytes
        pool.cached[self.device] += self.n_bytes


class Pinned(np.ndarray):
    """An array in pinned memory; not writeable while a copy of it may be under way."""


# -- streams: what each has done (`tick`), and what it knows others to have done before (`seen`) --


class Stream:
    def __init__(self, non_blocking=False):
        self.tick, self.seen, self.pending, self.sending = 0, {}, [], []

    def send(self, source, target):
        self.pending.append(lambda: np.copyto(target, source))
        owner = source if source.base is None else source.base
        owner.flags.writeable = False
        self.sending.append((self.tick, owner))

    def wait_event(self, event):
        event.happen()
        _merge(self.seen, event.seen)

    def synchronize(self):
        Event().record(self).synchronize()


class Event:
    def __init__(self, disable_timing=False):
        self.seen, self.stream = {}, None

    def record(self, stream=None):
        self.stream = stream or get_current_stream()
        self.seen = {**self.stream.seen, self.stream: self.stream.tick}
        return self

    def synchronize(self):
        if self.stream is not None:
            counts["waits"] += 1
            for tick, array in self.stream.sending:
                array.flags.writeable |= tick <= self.seen[self.stream]
        self.happen()
        _merge(_host, self.seen)

    def happen(self):
        if self.stream is not None:
            for copy in self.stream.pending:
                copy()
            self.stream.pending.clear()


_null, _host = Stream(), {}


def get_current_stream():
    return _null


def _merge(seen, other):
    for stream, tick in other.items():
        seen[stream] = max(seen.get(stream, 0), tick)


def wait():
    """The host waits for the current stream."""
    counts["waits"] += 1
    _host[_null] = _null.tick


def use(*operands, stream=None):
    """The stream uses these arrays next."""
    stream = stream or _null
    stream.tick += 1
    for memory_ in {operand._memory for operand in operands if hasattr(operand, "_memory")}:
        if memory_.device != _current[-1]:
            raise ValueError(f"The array is on device {memory_.device}, the current device is {_current[-1]}.")
        for other, tick in memory_.uses.items():
            if other is not stream and max(stream.seen.get(other, 0), _host.get(other, 0)) < tick:
                raise RuntimeError("Two streams use an array, and nothing says which is first.")
        memory_.uses[stream] = stream.tick


def copy(direction, n_bytes):
    counts[direction] += 1
    counts[f"bytes_{direction}"] += n_bytes


def launch(*operands):
    counts["launches"] += 1
    use(*operands)
