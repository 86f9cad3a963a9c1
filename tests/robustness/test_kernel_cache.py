"""Numba's cache of the compiled kernels on disk: whatever happens to it, a fit gives the same model."""

import errno
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

fused = pytest.importorskip("sklearn_mlp.devices.fused", reason="Numba is not installed")
from numba.core import caching  # noqa: E402

from sklearn_mlp.devices import jit  # noqa: E402

A = np.random.default_rng(0).standard_normal((7, 3))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for the cache of the kernels of the test, in a process that has not warned yet."""
    monkeypatch.setattr(caching.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "_warned", False)
    return tmp_path


def in_a_new_process(types=(np.float64,)):
    """What a new process has of `column_sums`: its results, its number of cache hits, its warnings."""
    jit._warned = False
    results = []
    with warnings.catch_warnings(record=True, action="always") as caught:
        kernel = jit.kernel(fused._column_sums.py_func)
        for dtype in types:
            results.append(np.empty(3, dtype))
            kernel(A.astype(dtype), results[-1])
    messages = [str(warning.message) for warning in caught if issubclass(warning.category, RuntimeWarning)]
    return results, sum(kernel.stats.cache_hits.values()), messages


def file_of(folder, suffix):
    (path,) = folder.rglob(f"*{suffix}")
    return path


DAMAGE = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "a tenth": lambda content: content[: len(content) // 10],
    "half": lambda content: content[: len(content) // 2],
    "all but a byte": lambda content: content[:-1],
    "zeros": lambda content: bytes(len(content)),
    "other bytes": lambda content: np.random.default_rng(0).bytes(len(content)),
    "a pickle of what is not there": lambda content: b"cno_module\nname\n.",
}


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_replaced(damage, suffix, folder):
    expected, *_ = in_a_new_process()
    path = file_of(folder, suffix)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    results, _, messages = in_a_new_process()
    np.testing.assert_array_equal(results, expected)
    assert len(messages) == 1
    assert str(path.parent) in messages[0]
    assert "NUMBA_CACHE_DIR" in messages[0]
    results, hits, messages = in_a_new_process()
    np.testing.assert_array_equal(results, expected)
    assert (hits, messages) == (1, [])


def test_damaged_machine_code_is_not_run(folder):
    """Bytes anywhere in the file; without a checksum, a quarter of these would crash the process."""
    expected, *_ = in_a_new_process()
    path = file_of(folder, ".nbc")
    content = path.read_bytes()
    for start in range(200, len(content), len(content) // 8):
        path.write_bytes(content[:start] + bytes(b ^ 0xFF for b in content[start : start + 16]) + content[start + 16 :])
        results, _, messages = in_a_new_process()
        np.testing.assert_array_equal(results, expected)
        assert len(messages) == 1


def test_code_for_other_types_is_not_run(folder):
    """As two processes leave it that begin the cache at the same time, each for another type."""
    types = [np.float32, np.float64]
    expected, *_ = in_a_new_process(types)
    first, second = sorted(folder.rglob("*.nbc"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    for dtype, one in zip(types, expected, strict=True):
        results, _, messages = in_a_new_process([dtype])
        np.testing.assert_array_equal(results[0], one)
        assert len(messages) <= 1  # the first replaces the index
    assert in_a_new_process(types)[1:] == (2, [])


def _full_disk(folder, monkeypatch):
    def replace(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(caching.os, "replace", replace)


def _file_in_its_place(folder, monkeypatch):
    (cache,) = folder.iterdir()
    shutil.rmtree(cache)
    cache.touch()
    monkeypatch.setattr(caching.CacheImpl._locator_classes[0], "ensure_cache_path", lambda self: None)


def _no_folder_at_all(folder, monkeypatch):
    (folder / "file").touch()
    nowhere = str(folder / "file" / "cache")
    monkeypatch.setenv("NUMBA_CACHE_DIR", nowhere)
    monkeypatch.setattr(caching.config, "CACHE_DIR", nowhere)
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", caching.CacheImpl._locator_classes[:1])


@pytest.mark.parametrize("fault", [_full_disk, _file_in_its_place, _no_folder_at_all])
def test_a_folder_that_cannot_be_written_to(fault, folder, monkeypatch):
    expected, *_ = in_a_new_process()
    for path in folder.rglob("*.nb*"):
        path.unlink()
    fault(folder, monkeypatch)
    results, hits, messages = in_a_new_process()
    np.testing.assert_array_equal(results, expected)
    assert hits == 0
    assert len(messages) == 1
    assert str(folder) in messages[0]
    assert "NUMBA_CACHE_DIR" in messages[0]


FIT = """
import sys
if len(sys.argv) > 1:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
import numpy as np
from sklearn_mlp import MLPRegressor
X = np.random.RandomState(0).randn(30_000, 3)
mlp = MLPRegressor(hidden_layer_sizes=(5,), batch_size=10_000, max_iter=3, random_state=0).fit(X, X[:, 0])
print(np.concatenate([array.ravel() for array in mlp.coefs_ + mlp.intercepts_]).tobytes().hex())
"""


def test_a_fit_gives_the_same_model(tmp_path):
    """With a new cache, with one whose files are all damaged, and where no file of a kernel can be written."""

    def fit(cache, *limit):
        return subprocess.run(
            [sys.executable, "-W", "ignore:Stochastic Optimizer", "-c", FIT, *limit],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / cache), "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    expected = fit("damaged")
    files = sorted((tmp_path / "damaged").rglob("*.nb*"))
    assert len(files) > 8
    assert expected.stderr == ""
    for path in files:
        os.truncate(path, path.stat().st_size // 2)
    runs = [fit("damaged")]
    if sys.platform != "win32":
        runs.append(fit("full", "10000"))
    for run in runs:
        assert run.stdout == expected.stdout
        assert run.stderr.count("Warning: ") == run.stderr.count("NUMBA_CACHE_DIR") == 1
