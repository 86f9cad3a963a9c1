"""The number of threads of the BLAS, which all threads of a process share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController

lock = threading.Lock()
_limits: list[int] = []
_limiter: Any = None


def n_blas_threads() -> int:
    """The number of threads of a product: that of the cores, unless the environment or a caller limits it."""
    return max((library["num_threads"] for library in _libraries().info()), default=1)


@contextmanager
def at_most_blas_threads(n: int) -> Iterator[None]:
    """A context in which each product uses at most `n` threads; of concurrent contexts, the smallest `n` applies."""
    with lock:
        _limits.append(n)
        _limit()
    try:
        yield
    finally:
        with lock:
            _limits.remove(n)
            _limit()


def _limit() -> None:
    global _limiter
    if _limiter is not None:
        _limiter.restore_original_limits()
        _limiter = None
    if _limits:
        n = min(*_limits, n_blas_threads())
        _limiter = _libraries().limit(limits=n)


def _libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
