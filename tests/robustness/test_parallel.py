"""Estimators in several threads and processes at the same time, and in less memory than X takes."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.datasets import load_digits

from sklearn_mlp import MLPClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning",
)

X, Y = load_digits(return_X_y=True)


def fit(seed):
    clf = MLPClassifier((20,), activation=["relu", "tanh"][seed % 2], max_iter=5, random_state=seed).fit(X, Y)
    return np.concatenate([array.ravel() for array in clf.coefs_])


def test_threads_fit_different_estimators():
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(8)))
    for seed, weights in enumerate(together):
        np.testing.assert_array_equal(weights, fit(seed))


def test_threads_predict_with_one_estimator():
    clf = MLPClassifier((20,), max_iter=5, random_state=0).fit(X, Y)
    expected = [clf.predict_proba(X[i:]) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda i: clf.predict_proba(X[i % 8 :]), range(80)))
    for i, probability in enumerate(together):
        np.testing.assert_array_equal(probability, expected[i % 8])


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib_backends(backend):
    """Also after a fork: multiprocessing forks this process, whose kernels and BLAS threads have run."""
    expected = [fit(seed) for seed in range(4)]
    for weights, alone in zip(Parallel(2, backend=backend)(delayed(fit)(i) for i in range(4)), expected, strict=True):
        np.testing.assert_allclose(weights, alone, rtol=1e-6, atol=1e-9)


FORK = """
import os, signal, sys, threading, time
import numpy as np
from sklearn_mlp.devices import kernels_for, resolve_device

moment = sys.argv[1]
busy = threading.Event()

def pause(*_):
    if not busy.is_set():
        busy.set()
        time.sleep(0.2)  # the main thread forks

def first_call(dtype):
    out = np.empty(3, dtype)
    kernels_for(resolve_device("cpu"), np.inf).column_sums(np.ones((4, 3), dtype), out)
    assert out.tolist() == [4, 4, 4]

if moment == "import":
    class Finder:
        def find_spec(name, path, target):
            if name == "numba.core":
                pause()
    sys.meta_path.insert(0, Finder)
else:
    from numba.core import event
    class Listener(event.Listener):
        on_start = pause
        on_end = pause
    if moment == "llvm_lock":
        first_call(np.float64)
    event.register(f"numba:{moment}", Listener())

if moment == "llvm_lock":
    from llvmlite.binding import parse_assembly
    thread = threading.Thread(target=parse_assembly, args=("",))
else:
    thread = threading.Thread(target=first_call, args=(np.float64,))
thread.start()
busy.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)
    first_call(np.float32)
    os._exit(0)
thread.join()
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("moment", ["import", "compile", "llvm_lock"])
def test_fork_during_the_first_fit(moment, tmp_path):
    """While another thread imports Numba, compiles a kernel, or deletes what LLVM made: the child waits for no lock."""
    pytest.importorskip("numba", reason="Numba is not installed")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, moment],
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stdout == "0\n", run.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts private memory against RLIMIT_DATA")
@pytest.mark.parametrize("early_stopping", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_training_on_a_file_larger_than_the_memory(early_stopping, tmp_path):
    """A file of 1.2 GB of float32 under a limit of 600 MB for everything that is not mapped from a file."""
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_DATA, (600_000_000, 600_000_000))
import numpy as np
from sklearn_mlp import MLPClassifier
X = np.memmap("X.npy", np.float32, "w+", shape=(300_000, 1000))  # a file with holes: it takes no space
X[::1000] = np.random.default_rng(0).standard_normal((300, 1000))
X.flush()
X = np.memmap("X.npy", np.float32, "r", shape=X.shape)
try:
    np.array(X)
    raise SystemExit("the limit does not hold")
except MemoryError:
    pass
clf = MLPClassifier((4,), max_iter=1, early_stopping={early_stopping}, random_state=0)
clf.fit(X, np.arange(len(X)) % 2).predict(X)
print(clf.n_iter_)
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert run.stdout == "1\n", run.stderr
