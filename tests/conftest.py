import importlib
import shutil
import signal
import sys
from collections import Counter
from math import inf
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from sklearn_mlp.devices import SMALL_PASS, kernels_for, resolve_device

# Not tests, and not to be imported where they are not asked for: the stand-in for CuPy, and two programs.
collect_ignore = ["cupy_on_cpu", "cuda_counts.py", "real_cupy.py"]
STAND_IN = Path(__file__).parent / "cupy_on_cpu"
_modules = {}

# A shell starts background jobs with SIGINT ignored, and their processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _ours_or_cupy(name):
    return name.split(".")[0] in ("cupy", "cupyx") or name.startswith("sklearn_mlp.devices.cuda")


def stand_in_modules():
    """CuPy's stand-in and the modules of the package that import it, loaded aside from the real ones, once."""
    if not _modules:
        real = {name: sys.modules.pop(name) for name in list(sys.modules) if _ours_or_cupy(name)}
        sys.path.insert(0, str(STAND_IN))
        try:
            importlib.import_module("sklearn_mlp.devices.cuda")
            _modules.update({name: module for name, module in sys.modules.items() if _ours_or_cupy(name)})
        finally:
            sys.path.remove(str(STAND_IN))
            for name in _modules:
                del sys.modules[name]
            sys.modules.update(real)
    return _modules


@pytest.fixture
def cupy(monkeypatch):
    """CuPy as `device="cuda"` finds it: the stand-in."""
    if shutil.which("c++") is None:
        pytest.skip("the stand-in for CuPy needs a C++ compiler, c++")
    for name, module in stand_in_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    module = sys.modules["cupy"]
    sys.modules["sklearn_mlp.devices.cuda"].find_device(0)  # tries the device, once, which is not what tests count
    module.cuda.counts.clear()
    monkeypatch.setattr(module.cuda, "runtime", module.cuda.Runtime())
    return module


@pytest.fixture(params=["cpu", "cuda"])
def each_device(request, monkeypatch):
    """Runs a test as it is, and with every model on the GPU (or its stand-in) that would be on the CPU."""
    if request.param == "cuda":
        request.getfixturevalue("cupy")
    device = kernels_for(resolve_device(request.param), inf)
    if request.param == "cuda":
        for module in ("_base", "tabular"):
            monkeypatch.setattr(
                f"sklearn_mlp.{module}.resolve_device", lambda name: device if name == "cpu" else resolve_device(name)
            )
    return device


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what repeats a test on the stand-in as slow or exhaustive, and put the longest first.

    Of each test that runs on each device, the first case on the stand-in stays in the fast suite, and a third of the
    others is in the slow one. Where tests run in parallel, the longest would run alone at the end.
    """
    n_cases = Counter()
    for item in items:
        if hasattr(item, "callspec") and item.callspec.params.get("each_device") == "cuda":
            n = n_cases[item.path, item.originalname]
            n_cases[item.path, item.originalname] += 1
            if n:
                item.add_marker(pytest.mark.slow if n % 3 == 1 else pytest.mark.exhaustive)
    first = ["test_examples.py", "test_dask_faults.py", "test_cuda_compile.py"]
    items.sort(key=lambda item: first.index(item.path.name) if item.path.name in first else len(first))


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Limit BLAS to one thread: two that wait for each other are 60 × slower next to another busy process."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(autouse=True)
def kernels_of_large_jobs(monkeypatch):
    """The jobs of tests are small, and those of users are not: tests run on the kernels of the latter."""
    monkeypatch.setattr("sklearn_mlp.devices.SMALL_PASS", 0)


@pytest.fixture
def kernels_of_any_job(monkeypatch, kernels_of_large_jobs):
    """As without tests."""
    monkeypatch.setattr("sklearn_mlp.devices.SMALL_PASS", SMALL_PASS)


@pytest.fixture
def global_random_seed():
    """The seed that scikit-learn's own tests run with by default."""
    return 42


@pytest.fixture
def timeout():
    """Fails a test that takes longer than three minutes, and would otherwise hang."""
    if not hasattr(signal, "SIGALRM"):
        pytest.skip("the timeout of a test needs SIGALRM")

    def fail(*_):
        raise TimeoutError("the test takes longer than three minutes")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(180)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def client():
    """The client of a Dask cluster of two processes with one thread each."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client
