"""Devices, memory, streams and events of the stand-in, and its counts."""

import threading
import weakref
from collections import Counter, defaultdict
from types import SimpleNamespace

import numpy as np

# launches, waits, copies to_device and to_host, bytes_to_device, bytes_to_host, and calls of the driver for memory:
# allocations and frees, pinned_allocations and pinned_frees
counts = Counter()
# What is the stand-in's and not CuPy's.
# fmt: off
OWN = {
    "CUDARuntimeError", "Counter", "Memory", "OWN", "OutOfMemoryError", "Pinned", "PinnedPool", "Pool", "Runtime",
    "SimpleNamespace", "calls", "captures", "copy", "counts", "defaultdict", "driver", "error", "happen", "launch",
    "n_devices", "np", "pending", "pinned_pool", "pool", "prefix", "product", "rounded", "seen", "send", "sending",
    "threading", "tick", "use", "wait", "weakref",
}
# fmt: on
calls = None  # or a list, to which every call of a kernel is added


# -- devices and their memory --


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)


class _Current(threading.local):
    """The devices and streams that a thread has entered; a new thread begins with the first, whatever others have."""

    def __init__(self):
        self.devices, self.streams = [0], [_null]


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
        return _current.devices[-1]

    def driverGetVersion(self):
        return self.driver

    def runtimeGetVersion(self):
        return 12090


runtime = Runtime()


class Device:
    def __init__(self, device=None):
        self.id = runtime.getDevice() if device is None else device

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def __enter__(self):
        _current.devices.append(self.id)

    def __exit__(self, *args):
        _current.devices.pop()

    def synchronize(self):
        wait()

    @property
    def mem_info(self):
        with self:
            return pool.total - pool.used_bytes() - pool.free_bytes(), pool.total


class Pool:
    """The memory of each device. A block that an array leaves is for the next one of the same size, in steps of 512
    bytes; CuPy's pool splits and merges blocks too, so it asks the driver no more often.
    """

    prefix = ""

    def __init__(self):
        self.total, self.used, self.free = 2**30, Counter(), defaultdict(Counter)
        self.lock = threading.RLock()

    @staticmethod
    def rounded(n_bytes):
        return -(-n_bytes // 512) * 512

    def malloc(self, size):
        size, device = self.rounded(size), runtime.getDevice()
        with self.lock:
            if self.free[device][size]:
                self.free[device][size] -= 1
            elif size:
                if self.used_bytes() + self.free_bytes() + size > self.total:
                    self.free_all_blocks()
                if self.used_bytes() + size > self.total:
                    raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes")
                counts[f"{self.prefix}allocations"] += 1
            self.used[device] += size
        return _Block(self, device, size)

    def free_bytes(self):
        return sum(size * n for size, n in self.free[runtime.getDevice()].items())

    def used_bytes(self):
        return self.used[runtime.getDevice()]

    def get_limit(self):
        return self.total

    def set_limit(self, size):
        self.total = size

    def free_all_blocks(self):
        counts[f"{self.prefix}frees"] += self.free.pop(runtime.getDevice(), Counter()).total()


class _Block:
    def __init__(self, pool, device, size):
        self.pool, self.device, self.size = pool, device, size

    def __del__(self):
        with self.pool.lock:
            self.pool.used[self.device] -= self.size
            if self.size:
                self.pool.free[self.device][self.size] += 1


class PinnedPool(Pool):
    prefix = "pinned_"

    @staticmethod
    def rounded(n_bytes):
        return 2 ** max(9, (n_bytes - 1).bit_length())


pool, pinned_pool = Pool(), PinnedPool()
_allocator = [pool.malloc]


def get_allocator():
    return _allocator[-1]


def set_allocator(allocator):
    _allocator[-1] = allocator


class Memory:
    """The memory of an array and of its views."""

    def __init__(self, n_bytes, malloc=None):
        self.uses, self.device = {}, runtime.getDevice()
        self.block = (malloc or get_allocator())(n_bytes)


class Pinned(np.ndarray):
    """An array in pinned memory; not writeable while a copy of it may be under way."""


# -- streams: what each has done (`tick`), and what it knows others to have done before (`seen`) --


class Stream:
    def __init__(self, non_blocking=False):
        self.tick, self.seen, self.pending, self.sending = 0, {}, [], []
        self.captures = False

    def __enter__(self):
        _current.streams.append(self)
        return self

    def __exit__(self, *args):
        _current.streams.pop()

    def begin_capture(self):
        self.captures = True

    def end_capture(self):
        self.captures = False

    def send(self, source, target):
        self.pending.append(lambda: np.copyto(target, source))
        owner = source if source.base is None else source.base
        owner.flags.writeable = False
        self.sending.append((self.tick, weakref.ref(owner)))

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
            for tick, owner in self.stream.sending:
                if (array := owner()) is not None:
                    array.flags.writeable |= tick <= self.seen[self.stream]
        self.happen()
        _merge(_host, self.seen)

    def happen(self):
        if self.stream is not None:
            for copy in self.stream.pending:
                copy()
            self.stream.pending.clear()


_host = {}


_null = Stream()
_current = _Current()


def get_current_stream():
    return _current.streams[-1]


def _merge(seen, other):
    for stream, tick in other.items():
        seen[stream] = max(seen.get(stream, 0), tick)


def wait():
    """The host waits for the current stream, which it cannot while the stream is captured."""
    stream = get_current_stream()
    if stream.captures:
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
    counts["waits"] += 1
    _host[stream] = stream.tick


def use(*operands, stream=None):
    """The stream uses these arrays next."""
    stream = stream or get_current_stream()
    stream.tick += 1
    for memory_ in {operand._memory for operand in operands if hasattr(operand, "_memory")}:
        if memory_.device != runtime.getDevice():
            raise ValueError(f"The array is on device {memory_.device}, the current one is {runtime.getDevice()}.")
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


def product(*operands):
    """A launch of cuBLAS, which CuPy refuses while a stream is captured."""
    if get_current_stream().captures:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    launch(*operands)
