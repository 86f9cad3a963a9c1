"""The memory that fit and predict take on the CPU does not grow with X, which may be a file larger than memory."""

import tracemalloc

import numpy as np
import pytest

from sklearn_mlp import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WAYS_TO_TRAIN = {
    "adam": {},
    "rows in order": {"shuffle": False, "solver": "sgd"},
    "early stopping": {"early_stopping": True},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.fixture(scope="module", params=["float32", "float32 map", "float32 map F", "uint8", "uint8 map"])
def large_X(request, tmp_path_factory):
    """40 MB, in memory or in a memory-mapped file."""
    dtype, *storage = request.param.split()
    array = np.zeros((40_000_000 // 500 // np.dtype(dtype).itemsize, 500), dtype)
    array[:, :100] = np.random.RandomState(0).randint(0, 5, (len(array), 100))
    if not storage:
        return array
    path, order = tmp_path_factory.mktemp("large") / "X", "F" if "F" in storage else "C"
    mapped = np.memmap(path, mode="w+", dtype=array.dtype, shape=array.shape, order=order)
    mapped[...] = array
    mapped.flush()
    return np.memmap(path, mode="r", dtype=array.dtype, shape=array.shape, order=order)


def peak_memory(call, *args):
    """The most bytes that were allocated at once while `call` ran."""
    tracemalloc.start()
    try:
        call(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("params", WAYS_TO_TRAIN.values(), ids=WAYS_TO_TRAIN)
def test_fit_does_not_copy_a_large_X(large_X, params):
    model = MLPClassifier((4,), batch_size=500, max_iter=1).set_params(**params)
    peak = peak_memory(model.fit, large_X, np.arange(len(large_X)) % 3)
    assert peak < 20_000_000


@pytest.mark.parametrize("method", ["partial_fit", "predict"])
def test_partial_fit_and_predict_do_not_copy_a_large_X(large_X, method):
    y = np.arange(len(large_X)) % 3
    model = MLPClassifier((4,), batch_size=500).partial_fit(large_X[:500], y[:500], classes=[0, 1, 2])
    peak = peak_memory(model.predict, large_X) if method == "predict" else peak_memory(model.partial_fit, large_X, y)
    assert peak < 20_000_000
