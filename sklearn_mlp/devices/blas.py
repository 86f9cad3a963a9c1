"""The number of threads of the BLAS, which all threads of a process share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController

lock = threading.Lock()
_n_users = 0
_limiter: Any = None


def n_blas_threads() -> int:
    """How many threads a product may use: as many as there are cores, unless the environment or a caller limits it."""
    return max((library["num_threads"] for library in _libraries().info()), default=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """A context in which each product runs in the thread that calls it; the last of several to leave it ends it."""
    global _n_users, _limiter
    with lock:
        if _n_users == 0:
            _limiter = _libraries().limit(limits=1)
        _n_users += 1
    try:
        yield
    finally:
        with lock:
            _n_users -= 1
            if _n_users == 0:
                _limiter.restore_original_limits()


def _libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
