"""device="cuda": what is the GPU's own; that it trains as the CPU does, all the other tests of the estimators check.

They run on the stand-in for CuPy in `cupy_on_cpu`, which counts launches, copies and waits.
"""

import gc
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from sklearn.datasets import load_digits

from sklearn_mlp import MLPClassifier, MLPRegressor, TabularMLPClassifier, devices
from sklearn_mlp.core import batches
from sklearn_mlp.core.activations import ACTIVATIONS

STAND_IN = Path(__file__).parents[1] / "cupy_on_cpu"

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.standard_normal((90, 6))
CODES = np.arange(90) % 3
TARGET = X[:, :2] @ [1.0, -2.0] + 5
LABELS = (X[:, :2] > 0).astype(int)
SMALL = {"hidden_layer_sizes": (5,), "batch_size": 16, "max_iter": 3, "random_state": 0}


def on_both(estimator, *arrays, **params):
    """The same estimator fitted on the GPU and on the CPU."""
    return [estimator(**{**SMALL, **params}, device=device).fit(*arrays) for device in ("cuda", "cpu")]


def assert_same_model(a, b, rtol=1e-9):
    for theirs, ours in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert_allclose(theirs, ours, rtol=rtol, atol=rtol)
    assert_allclose(a.loss_curve_, b.loss_curve_, rtol=rtol)
    assert a.n_iter_ == b.n_iter_


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "params", "y"),
    [
        (MLPClassifier, {"normalization": "batch", "dropout": 0.5}, CODES),
        (MLPRegressor, {"solver": "lbfgs"}, TARGET),
        (TabularMLPClassifier, {}, CODES),
    ],
    ids=["adam", "lbfgs", "tabular"],
)
def test_a_stream_of_the_user(estimator, params, y, cupy):
    model = estimator(**{**SMALL, **params}, device="cuda")
    expected = model.fit(X, y).predict(X)
    with cupy.cuda.Stream(non_blocking=True):
        assert_array_equal(model.fit(X, y).predict(X), expected)


def test_a_captured_stream_takes_kernels_but_no_products(cupy):
    # CuPy 14.2 refuses them, https://github.com/cupy/cupy/issues/6290.
    device = devices.resolve_device("cuda")
    A, b, Z = (device.to_device(np.ones(shape)) for shape in ((2, 2), (2,), (2, 2)))
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        device.tanh(Z, b)
        with pytest.raises(NotImplementedError, match="cuBLAS API during stream capture"):
            device.matmul(A, A, out=Z)
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="capturing"):
            device.to_host(Z)
        stream.end_capture()
        device.matmul(A, A, out=Z)
        assert_array_equal(device.to_host(Z), 2)


# -- which device ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "used"), [("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"), ("auto", "cuda:0")]
)
def test_device_says_which_was_used(device, used, cupy):
    model = MLPClassifier(**SMALL, device=device).fit(X, CODES)
    assert model.device_ == used
    assert model.set_params(device="cpu").fit(X, CODES).device_ == "cpu"
    assert model.set_params(device=device).fit(X, CODES).device_ == used


def test_predictions_are_where_the_model_is(cupy):
    model = MLPClassifier(**SMALL, device="cuda:1").fit(cupy.asarray(X), cupy.asarray(CODES))
    for method in ("predict", "predict_proba", "predict_log_proba"):
        output = getattr(model, method)(cupy.asarray(X))
        assert output.device.id == 1
    assert model.score(cupy.asarray(X), cupy.asarray(CODES)) == model.score(X, CODES)


def test_cuda_is_the_current_device_and_stays_it(cupy):
    with cupy.cuda.Device(1):
        assert MLPClassifier(**SMALL, device="cuda").fit(X, CODES).device_ == "cuda:1"
        model = MLPClassifier(**SMALL, device="cuda:0").fit(X, CODES)
        assert cupy.cuda.runtime.getDevice() == 1
        with pytest.raises(ValueError, match="NaN"):
            model.predict(cupy.asarray(X * np.nan))
        assert cupy.cuda.runtime.getDevice() == 1


def test_members_of_an_ensemble_train_in_threads_on_the_device(cupy):
    """A thread begins on the first device, whatever the one that has started it is on."""
    params = {"n_members": 2, "hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 0}
    models = [TabularMLPClassifier(**params, device=device).fit(X, CODES) for device in ("cuda:1", "cpu")]
    assert_allclose(*(model.predict_proba(X) for model in models), rtol=1e-4)


@pytest.mark.parametrize(
    ("driver", "error", "message"),
    [
        (0, "cudaErrorInsufficientDriver", r"no NVIDIA driver was found. Install the driver, or use device='cpu'"),
        (11040, "cudaErrorInsufficientDriver", r"for CUDA 12, but the NVIDIA driver is for CUDA 11\.4\. Update"),
        (12080, "cudaErrorNoDevice", r"so is the NVIDIA driver, but CUDA reports: cudaErrorNoDevice"),
        (12080, None, r"so is the NVIDIA driver, but it shows no device.*CUDA_VISIBLE_DEVICES"),
    ],
)
def test_without_a_device(driver, error, message, cupy):
    cupy.cuda.runtime.driver, cupy.cuda.runtime.error, cupy.cuda.runtime.n_devices = driver, error, 0
    model = MLPClassifier(**SMALL, device="cuda")
    with pytest.raises(RuntimeError, match=message):
        model.fit(X, CODES)
    assert model.set_params(device="auto").fit(X, CODES).device_ == "cpu"


@pytest.fixture
def untried(cupy):
    """The device as in a new process."""
    once = sys.modules["sklearn_mlp.devices.cuda"]._fault, devices._warn
    for cached in once:
        cached.cache_clear()
    yield
    for cached in once:
        cached.cache_clear()


def fail_with(error):
    def dot(*args):
        raise error

    return dot


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("libcublasLt.so.12: cannot open"), r"ImportError: libcublasLt.*sklearn_mlp\[cuda12\]'` installs"),
        (OSError("libcublasLt.so.12: cannot open"), r"OSError: libcublasLt.*sklearn_mlp\[cuda12\]'` installs"),
        (PermissionError(13, "Permission denied", "/.cupy"), r"Permission denied: '/.cupy'. Set .* CUPY_CACHE_DIR"),
    ],
    ids=["no cuBLAS", "no library", "no cache"],
)
def test_a_device_that_does_not_compute(error, message, cupy, untried, monkeypatch):
    monkeypatch.setattr(cupy.ndarray, "dot", fail_with(error))
    model = MLPClassifier(**SMALL, device="cuda")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=f"found the device 'cuda:0', but cannot compute on it: .*{message}"):
            model.fit(X, CODES)
    with pytest.warns(RuntimeWarning, match=f"^device='auto' uses the CPU. CuPy .* has found .*{message}") as found:
        model.set_params(device="auto").fit(X, CODES).fit(X, CODES)
    assert model.device_ == "cpu"
    assert sum("device='auto'" in str(warning.message) for warning in found) == 1


def test_a_device_that_another_process_has_may_be_free_later(cupy, untried):
    model = MLPClassifier(**SMALL, device="cuda")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cupy.ndarray, "dot", fail_with(cupy.cuda.runtime.CUDARuntimeError("cudaErrorDevicesUnavailable")))
        with pytest.raises(RuntimeError, match=r"reports on 'cuda:0': cudaErrorDevicesUnavailable.*nvidia-smi"):
            model.fit(X, CODES)
    assert model.fit(X, CODES).device_ == "cuda:0"


def test_a_device_is_tried_once(cupy, untried):
    counts, launches = cupy.cuda.counts, []
    for _ in range(3):
        devices.resolve_device("cuda:1")
        launches.append(counts["launches"])
    assert 0 < launches[0] == launches[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_the_child_of_a_fork_is_told_so(cupy):
    script = """
    import os, warnings
    import numpy as np
    from sklearn_mlp import MLPClassifier

    X, y = np.eye(4), np.arange(4)
    model = MLPClassifier(max_iter=2, tol=1e3, device="cuda").fit(X, y)
    if os.fork():
        assert os.wait()[1] == 0
        assert model.fit(X, y).device_ == "cuda:0"
    else:
        try:
            model.fit(X, y)
        except RuntimeError as error:
            assert "forked" in str(error) and "multiprocessing.set_start_method('spawn')" in str(error)
        else:
            raise AssertionError
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            assert model.set_params(device="auto").fit(X, y).device_ == "cpu"
        assert "device='auto' uses the CPU. This process was forked" in str(found[0].message)
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(STAND_IN)}, check=True)


def test_a_number_too_high(cupy):
    with pytest.raises(ValueError, match=r"device='cuda:2' does not exist: .* are 'cuda:0', 'cuda:1'"):
        MLPClassifier(**SMALL, device="cuda:2").fit(X, CODES)


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    for name in [name for name in sys.modules if name.startswith("sklearn_mlp.devices.cuda")]:
        monkeypatch.delitem(sys.modules, name)
    model = MLPRegressor(**SMALL, device="cuda:0")
    with pytest.raises(
        ImportError, match=r"device='cuda:0' needs CuPy.*`pip install 'sklearn_mlp\[cuda12\]'`.*\[cuda13\]"
    ):
        model.fit(X, TARGET)
    assert model.set_params(device="auto").fit(X, TARGET).device_ == "cpu"


def test_cupy_is_not_imported_before_it_is_needed():
    script = """
    import sys, sklearn, sklearn_mlp
    model = sklearn_mlp.MLPClassifier(device="cuda")
    sklearn.clone(model).set_params(max_iter=3).get_params()
    assert "cupy" not in sys.modules
    model.set_params(device="cpu", tol=1e3).fit([[0.0], [1.0]], [0, 1])
    assert "cupy" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


# -- what a fit costs --------------------------------------------------------------------------------------------------


def costs(cupy, n_rows, max_iter, X=X, estimator=MLPClassifier, y=CODES, **params):
    counts = cupy.cuda.counts
    cupy.get_default_memory_pool().free_all_blocks()
    counts.clear()
    model = estimator(**{**SMALL, "max_iter": max_iter, "tol": 0, "n_iter_no_change": np.inf, **params}, device="cuda")
    model.fit(X[np.arange(n_rows) % 90], y[np.arange(n_rows) % 90])
    return {name: counts[name] for name in ("launches", "waits", "to_device", "to_host", "allocations", "frees")}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "params", [{}, {"solver": "sgd"}, {"early_stopping": True}, {"solver": "lbfgs"}, {"shuffle": False}], ids=str
)
def test_waits_and_copies_do_not_grow_with_the_batches(params, sparse, cupy):
    data = csr_array(X) if sparse else X
    few, many = (costs(cupy, n_rows, 4, data, **params) for n_rows in (160, 1600))
    assert [few[name] for name in ("waits", "to_device", "to_host")] == [
        many[name] for name in ("waits", "to_device", "to_host")
    ]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True},
        {"solver": "lbfgs"},
        {"solver": "muon", "hidden_layer_sizes": (5, 5)},
        {"normalization": "layer", "dropout": 0.5},
    ],
    ids=str,
)
def test_only_the_first_epoch_allocates(params, cupy):
    """The driver, when it is asked for memory, waits for the device; what the pool has, it gives at once."""
    n_allocations = []
    for max_iter in (1, 4):
        cupy.get_default_memory_pool().free_all_blocks()
        n_allocations.append(costs(cupy, 1600, max_iter, **params)["allocations"])
    assert 5 < n_allocations[0] == n_allocations[1]


def test_pinned_memory_takes_a_power_of_two(cupy):
    import cupyx

    pool = cupy.get_default_pinned_memory_pool()
    pool.free_all_blocks()
    array = cupyx.empty_pinned((1025,), np.float64)
    view = array[1:]
    del array
    assert pool.used_bytes() == 16384
    del view
    assert (pool.used_bytes(), pool.free_bytes()) == (0, 16384)
    pool.free_all_blocks()


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        # 5 products; relu, the sum of exp, softmax's loss; the sums and the relu of the backward pass; Adam; the rows.
        ({}, 12),
        ({"solver": "sgd"}, 12),
        ({"solver": "adamw", "learning_rate": "cosine"}, 12),
        ({"max_grad_norm": 1.0}, 15),
        ({"dropout": 0.5}, 14),
        ({"ema_decay": 0.9}, 13),
        ({"hidden_layer_sizes": (5, 5)}, 17),
        ({"hidden_layer_sizes": ()}, 7),
        ({"estimator": MLPClassifier, "y": LABELS}, 11),
        ({"estimator": MLPRegressor, "y": TARGET}, 11),
        ({"estimator": MLPRegressor, "y": TARGET, "shuffle": False}, 10),
        ({"X": csr_array(X)}, 13),
    ],
    ids=lambda value: str(value)[:60],
)
def test_launches_of_a_step(params, expected, cupy):
    few, many = (costs(cupy, n_rows, 1, **params)["launches"] for n_rows in (160, 320))
    assert many - few == 10 * expected


@pytest.mark.parametrize(
    ("shape", "shapes"),
    [
        ((2047, 32), [(2047, 32)]),
        ((2048, 32), [(64, 32, 32), (32, 32)]),
        ((4096, 256), [(64, 64, 256), (64, 256)]),
        ((4097, 256), [(64, 64, 256), (1, 256), (65, 256)]),
        ((6553, 10), [(6553, 10)]),
        ((6600, 10), [(64, 103, 10), (8, 10), (104, 10)]),
        ((60000, 1), [(60000, 1)]),
        ((4096, 10_000), [(4096, 10_000)]),
    ],
    ids=str,
)
def test_many_rows_are_reduced_in_tiles(shape, shapes, cupy, monkeypatch):
    """Each shape is that of a launch."""
    from sklearn_mlp.devices import resolve_device

    device = resolve_device("cuda")
    Z_hat, dA = np.float32(rng.standard_normal((2, *shape)))
    out = cupy.empty(shape[1], np.float32)
    reduced = []
    monkeypatch.setattr(cupy.ndarray, "sum", lambda A, axis, out: reduced.append(A.shape))
    monkeypatch.setattr(cupy.cuda, "calls", [])
    device.relu_backward(cupy.asarray(Z_hat), cupy.asarray(dA), out)
    assert [tuple(kinds[0][1]) for _, kinds, _, _ in cupy.cuda.calls] + reduced == shapes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_of_tiles_without_weight(dtype, cupy):
    from sklearn_mlp.devices import resolve_device

    device = resolve_device("cuda")
    Z, weight = rng.standard_normal((2100, 33)).astype(dtype), rng.uniform(size=2100).astype(dtype)
    weight[np.arange(2100) % 32 < 7] = 0
    weight[-20:] = 0  # those left over
    moments = cupy.empty((2, 33), dtype)
    device.column_moments(cupy.asarray(Z), cupy.asarray(weight), 1.0, moments)
    mean = np.average(Z, axis=0, weights=weight)
    expected = [mean, np.average((Z - mean) ** 2, axis=0, weights=weight)]
    assert_allclose(moments.get(), expected, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-6)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_epoch_waits_once(solver, cupy):
    few, many = (costs(cupy, 160, max_iter, solver=solver) for max_iter in (3, 5))
    evaluations = 2
    # Adam: the order of the rows there, the loss back.
    expected = {"waits": 1, "to_host": 1, "to_device": 1} if solver == "adam" else {"waits": 2, "to_host": 2}
    for name, each in expected.items():
        assert many[name] - few[name] == evaluations * each


def test_the_next_order_is_drawn_while_the_device_computes(cupy, monkeypatch):
    class NextOrder(batches.NextOrder):
        def __init__(self, *args):
            events.append("shuffle")
            super().__init__(*args)

    def collect(loss):
        events.append("wait")
        return type(device).collect(loss)

    events, device = [], devices.resolve_device("cuda")
    monkeypatch.setattr(batches, "N_ROWS_AHEAD", len(X))
    monkeypatch.setattr(batches, "NextOrder", NextOrder)
    monkeypatch.setattr(device, "collect", collect, raising=False)
    MLPClassifier(**SMALL, device="cuda").fit(X, CODES)
    assert events == 3 * ["shuffle", "wait"]
    del events[:]
    MLPClassifier(**SMALL, device="cuda").fit(X[1:], CODES[1:])
    assert events == 3 * ["wait"]


@pytest.mark.parametrize("draws", [False, True])
@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.PCG64])
def test_the_order_of_rows_does_not_depend_on_when_it_is_drawn(kind, draws, cupy, monkeypatch):
    class Draws:
        def setup(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context):
            if draws:
                random_state.random_sample()
            states.append(random_state.get_state(legacy=False)["state"])

        def teardown(self, estimator, context): ...

    def fit():
        model = MLPClassifier(**SMALL | {"random_state": random_state}, device="cuda").set_callbacks(Draws())
        model.fit(X, CODES).partial_fit(X, CODES)
        return model.coefs_[0], str(states), random_state.random_sample()

    results = []
    for n_rows_ahead in (len(X), len(X) + 1):
        monkeypatch.setattr(batches, "N_ROWS_AHEAD", n_rows_ahead)
        states, random_state = [], np.random.RandomState(kind(0))
        results.append(fit())
    for ahead, expected in zip(*results, strict=True):
        assert_array_equal(ahead, expected)


@pytest.mark.parametrize("error", [False, True])
def test_memory_is_given_back(error, cupy, monkeypatch):
    monkeypatch.setattr(sys.modules["sklearn_mlp.devices.cuda"], "RELEASED_BYTES", 0)
    gc.collect()
    before = cupy.cuda.pool.used_bytes()
    for params in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        model = MLPClassifier(**SMALL, device="cuda").set_params(**params)
        if error:
            with pytest.raises(ValueError, match="non-finite"):
                model.set_params(max_iter=20, solver="sgd", learning_rate_init=1e300, early_stopping=False).fit(
                    X, CODES
                )
            gc.collect()
        else:
            model.fit(X, CODES)
            assert cupy.cuda.pool.free_bytes() == 0
        assert cupy.cuda.pool.used_bytes() == before
    if not error:
        model.predict(X)
        assert cupy.cuda.pool.used_bytes() == before


def test_little_memory_and_that_of_partial_fit_stay_in_the_pool(cupy, monkeypatch):
    model = MLPClassifier(**SMALL, device="cuda").fit(X, CODES)
    cached = cupy.cuda.pool.free_bytes()
    assert cached > 0
    monkeypatch.setattr(sys.modules["sklearn_mlp.devices.cuda"], "RELEASED_BYTES", cached)
    model.partial_fit(X, CODES)
    assert cupy.cuda.pool.free_bytes() >= cached
    model.fit(X, CODES)
    assert cupy.cuda.pool.free_bytes() == 0


# -- any parameters ----------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    solver=st.sampled_from(["adam", "adamw", "sgd", "lbfgs"]),
    activation=st.sampled_from([*ACTIVATIONS]),
    hidden_layer_sizes=st.lists(st.integers(1, 40), max_size=3),
    batch_size=st.integers(1, 90),
    kind=st.sampled_from(["classes", "two classes", "labels", "target", "targets", "counts"]),
    form=st.sampled_from([np.asarray, csr_array, np.asfortranarray]),
    weights=st.sampled_from([None, "some zero", "float32"]),
    early_stopping=st.booleans(),
    shuffle=st.booleans(),
    learning_rate=st.sampled_from(["constant", "invscaling", "adaptive", "cosine", "linear", "one_cycle"]),
    weight_decay=st.sampled_from([0.0, 1.0]),
    max_grad_norm=st.sampled_from([None, 0.1]),
    dropout=st.sampled_from([0.0, 0.3]),
    ema_decay=st.sampled_from([None, 0.9]),
    momentum=st.sampled_from([0.0, 0.9]),
    nesterovs_momentum=st.booleans(),
    alpha=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 100),
)
def test_any_model_is_the_same(kind, form, weights, seed, cupy, **params):
    assume(not (params["early_stopping"] and (params["solver"] == "lbfgs" or params["batch_size"] > 81)))
    y = {
        "classes": CODES,
        "two classes": CODES > 0,
        "labels": LABELS,
        "target": TARGET,
        "targets": np.c_[TARGET, -TARGET],
        "counts": CODES,
    }[kind]
    estimator = MLPClassifier if kind in ("classes", "two classes", "labels") else MLPRegressor
    params |= {"loss": "poisson"} if kind == "counts" else {}
    weight = {
        None: None,
        "some zero": (np.arange(90) // 16) % 2 + X[:, 0] ** 2 // 1,
        "float32": np.float32(X[:, 0] ** 2),
    }
    # A small rate, so that nothing diverges, which would magnify rounding.
    params |= {"learning_rate_init": 1e-4, "max_iter": 4, "random_state": seed}
    a, b = on_both(estimator, form(X), y, weight[weights], **params)
    assert_same_model(a, b, 1e-7)
    assert_allclose(a.predict(form(X)), b.predict(form(X)), rtol=1e-6)


# -- X larger than the memory of the GPU -------------------------------------------------------------------------------


@pytest.fixture
def streamed(cupy, monkeypatch):
    """X does not fit, and a chunk holds about 20 rows of it."""
    from sklearn_mlp.devices.cuda import rows

    monkeypatch.setattr(rows, "X_SHARE", 0.0)
    monkeypatch.setattr(rows, "CHUNK_BYTES", 20 * 6 * 8)


STREAMED = {
    "float64": X,
    "float32": X.astype(np.float32),
    "float16": (8 * X).astype(np.float16),
    "int8": (8 * X).astype(np.int8),
    "big-endian": X.astype(">f8"),
    "columns": np.asfortranarray(X),
    "csr": csr_array(np.where(X > 0, X, 0)),
}


@pytest.mark.parametrize("params", [{}, {"batch_size": 5}, {"batch_size": 80}, {"dtype": "float64"}], ids=str)
@pytest.mark.parametrize(
    "way", [{}, {"shuffle": False}, {"early_stopping": True}, {"solver": "lbfgs", "tol": 0}], ids=str
)
@pytest.mark.parametrize("data", STREAMED.values(), ids=STREAMED)
def test_streamed_rows_train_the_same_model(data, way, params, streamed):
    a, b = on_both(MLPClassifier, data, CODES, **way, **params)
    rtol = 1e-9 if b.coefs_[0].dtype == np.float64 else 1e-4
    assert_same_model(a, b, rtol)
    assert_allclose(a.predict_proba(data), b.predict_proba(data), rtol=rtol)


@pytest.mark.parametrize("way", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_streamed_rows_on_a_stream_of_the_user(way, streamed, cupy):
    expected = MLPClassifier(**SMALL, **way, device="cuda").fit(X, CODES)
    with cupy.cuda.Stream(non_blocking=True):
        clf = MLPClassifier(**SMALL, **way, device="cuda").fit(X, CODES)
        proba = clf.predict_proba(X)
    assert_same_model(clf, expected, rtol=0)
    assert_array_equal(proba, expected.predict_proba(X))


def test_streaming_allocates_pinned_memory_once(streamed, cupy):
    for max_iter in (1, 4):
        cupy.get_default_pinned_memory_pool().free_all_blocks()
        costs(cupy, 90, max_iter)
        # Two chunks of 20 rows in batches of 16: 768 bytes each, and a power of two is taken.
        assert cupy.cuda.counts["pinned_allocations"] == 2
        assert cupy.get_default_pinned_memory_pool().used_bytes() == 0


def test_an_X_that_fits_is_placed_once(cupy):
    wide = np.tile(X, (1, 50))
    n_bytes = []
    for max_iter in (1, 3):
        cupy.cuda.counts.clear()
        MLPClassifier(**{**SMALL, "max_iter": max_iter}, device="cuda", early_stopping=True).fit(wide, CODES)
        n_bytes.append(cupy.cuda.counts["bytes_to_device"])
    assert wide.nbytes < n_bytes[0] < 1.1 * wide.nbytes
    assert n_bytes[1] - n_bytes[0] < 0.1 * wide.nbytes  # the order of the rows


@pytest.mark.parametrize("sparse", [False, True])
def test_no_large_array_is_copied_as_a_whole(sparse, cupy, monkeypatch):
    from sklearn_mlp.devices.cuda import rows

    asarray, sizes = cupy.asarray, []

    def recorded(a, *args, **kwargs):
        sizes.append(a.nbytes if isinstance(a, np.ndarray) else 0)
        return asarray(a, *args, **kwargs)

    y, weight = np.c_[TARGET, -TARGET], np.linspace(0, 2, 90, dtype=">f8")
    params = {"shuffle": False, "hidden_layer_sizes": (2,)}
    expected = MLPRegressor(**SMALL | params).fit(X, y, weight)
    monkeypatch.setattr(cupy, "asarray", recorded)
    monkeypatch.setattr(rows, "CHUNK_BYTES", 500)
    data = csr_array(X) if sparse else X
    assert_same_model(MLPRegressor(**SMALL | params, device="cuda").fit(data, y, weight), expected)
    assert 0 < max(sizes) <= 500


def test_indices_of_64_bits_are_not_cast(cupy):
    from sklearn_mlp.devices.cuda import rows

    data = csr_array(np.where(X > 0, X, 0))
    data.indices, data.indptr = data.indices.astype(np.int64), data.indptr.astype(np.int64)
    on_device = rows.prepare_rows(data, np.float64)
    assert on_device.indices.dtype == on_device.indptr.dtype == np.int64
    assert_same_model(*on_both(MLPClassifier, data, CODES))


def test_small_numbers_travel_as_they_are(cupy):
    cupy.cuda.counts.clear()
    images = rng.integers(0, 255, (90, 500), dtype=np.uint8)
    model = MLPClassifier(**SMALL, device="cuda").fit(images, CODES)
    assert cupy.cuda.counts["bytes_to_device"] < images.nbytes + 4 * model.coefs_[0].nbytes
    assert_same_model(model, MLPClassifier(**SMALL).fit(images, CODES), 1e-6)


def test_too_little_memory_for_X_streams_it(cupy, monkeypatch):
    from sklearn_mlp.devices.cuda import rows

    monkeypatch.setattr(rows, "CHUNK_BYTES", 100_000)
    monkeypatch.setattr(cupy.cuda.pool, "total", 2_000_000)
    wide = rng.standard_normal((400, 1000))
    a, b = on_both(MLPClassifier, wide, np.arange(400) % 3, hidden_layer_sizes=(2,))
    assert_same_model(a, b)


@pytest.mark.parametrize(("total", "fits"), [(20_000_000, True), (13_000_000, False)])
def test_a_pool_that_is_not_cupys(total, fits, cupy, monkeypatch):
    """As RMM's: it has all memory of the device, and raises a MemoryError of its own where that is not enough."""
    from sklearn_mlp.devices.cuda import rows

    class Block:
        used = 0

        def __init__(self, size):
            if Block.used + size > total:
                raise MemoryError("std::bad_alloc: out_of_memory: maximum pool size exceeded")
            self.size = size
            Block.used += size

        def __del__(self):
            Block.used -= getattr(self, "size", 0)

    wide = rng.standard_normal((90, 10_000))  # 7.2 MB
    monkeypatch.setattr(rows, "CHUNK_BYTES", 500_000)
    monkeypatch.setattr(cupy.cuda.Device, "mem_info", (0, 2**30))
    cupy.cuda.set_allocator(Block)
    try:
        assert isinstance(rows.prepare_rows(wide, np.float64), cupy.ndarray) is fits
        assert Block.used == 0
        assert_same_model(*on_both(MLPClassifier, wide, CODES, batch_size=4))
    finally:
        cupy.cuda.set_allocator(cupy.get_default_memory_pool().malloc)


@pytest.mark.parametrize("method", ["fit", "predict"])
def test_too_little_memory_for_the_network(method, cupy, monkeypatch):
    model = MLPClassifier(**{**SMALL, "hidden_layer_sizes": (300, 300)}, device="cuda").fit(X, CODES)
    cupy.get_default_memory_pool().free_all_blocks()
    monkeypatch.setattr(cupy.cuda.pool, "total", 500_000)
    with pytest.raises(MemoryError, match=r"device='cuda:0' has too little free memory.*Decrease batch_size"):
        model.fit(X, CODES) if method == "fit" else model.predict(X)


# -- arrays in, arrays out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "lbfgs"}, {"dtype": "float32"}], ids=str)
@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (MLPClassifier, CODES),
        (MLPClassifier, CODES + 7.0),
        (MLPClassifier, CODES > 0),
        (MLPClassifier, LABELS),
        (MLPRegressor, TARGET),
        (MLPRegressor, np.c_[TARGET, -TARGET]),
        (MLPRegressor, np.asfortranarray(np.c_[TARGET, -TARGET])),
        (MLPRegressor, CODES),
    ],
)
def test_cupy_arrays_train_the_same_model_and_get_cupy_arrays(estimator, y, params, cupy):
    model = estimator(**{**SMALL, **params}, device="cuda").fit(cupy.asarray(X), cupy.asarray(y))
    same = estimator(**{**SMALL, **params}, device="cuda").fit(X, y)
    assert_same_model(model, same)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(model, method):
            output = getattr(model, method)(cupy.asarray(X))
            assert type(output) is cupy.ndarray
            expected = getattr(same, method)(X)
            assert type(expected) is np.ndarray
            assert_array_equal(output.get(), expected, strict=True)
    assert model.score(cupy.asarray(X), cupy.asarray(y)) == pytest.approx(same.score(X, y), rel=1e-12)
    assert model.score(X, cupy.asarray(y)) == pytest.approx(same.score(X, y), rel=1e-12)
    if estimator is MLPClassifier:
        assert_array_equal(model.classes_, same.classes_, strict=True)


@pytest.mark.parametrize("way", [{}, {"shuffle": False}, {"solver": "lbfgs"}], ids=str)
def test_cupy_arrays_of_columns(way, cupy):
    params = {**SMALL, **way, "device": "cuda"}
    columns = cupy.ndarray(np.asfortranarray(X))
    model = MLPRegressor(**params).fit(columns, cupy.ndarray(np.asfortranarray(np.c_[TARGET, -TARGET])))
    assert_same_model(model, MLPRegressor(**params).fit(X, np.c_[TARGET, -TARGET]))
    assert_array_equal(model.predict(columns).get(), model.predict(X))


def test_cupy_arrays_do_not_travel_through_the_host(cupy):
    X_gpu, y_gpu = cupy.asarray(np.tile(X, (100, 1))), cupy.asarray(np.tile(CODES, 100))
    model = MLPClassifier(**SMALL, device="cuda")
    cupy.cuda.counts.clear()
    model.fit(X_gpu, y_gpu)
    assert cupy.cuda.counts["bytes_to_host"] < 10_000
    assert cupy.cuda.counts["bytes_to_device"] < SMALL["max_iter"] * 2 * y_gpu.nbytes
    cupy.cuda.counts.clear()
    model.predict_proba(X_gpu)
    assert cupy.cuda.counts["bytes_to_host"] == 2  # are all of X, and all of the probabilities, finite?
    assert cupy.cuda.counts["bytes_to_device"] < 10_000


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("y_on_gpu", [False, True])
@pytest.mark.parametrize("X_on_gpu", [False, True])
def test_X_y_and_weights_may_be_in_different_places(X_on_gpu, y_on_gpu, sparse, cupy):
    from cupyx.scipy.sparse import csr_matrix as gpu_csr

    data, weight = np.where(X > 0, X, 0), np.linspace(0, 2, 90)
    if sparse:
        data = csr_matrix(data)
    X_in = data
    if X_on_gpu:
        parts = tuple(cupy.asarray(part) for part in (data.data, data.indices, data.indptr)) if sparse else None
        X_in = gpu_csr(parts, shape=data.shape) if sparse else cupy.asarray(data)
    model = MLPClassifier(**SMALL, device="cuda")
    model.fit(X_in, cupy.asarray(CODES) if y_on_gpu else CODES, cupy.asarray(weight) if y_on_gpu else weight)
    assert_same_model(model, MLPClassifier(**SMALL).fit(data, CODES, weight))
    assert type(model.predict(X_in)) is (cupy.ndarray if X_on_gpu else np.ndarray)


def test_labels_that_a_gpu_cannot_hold(cupy):
    names = np.array(["a", "b", "c"])[CODES]
    model = MLPClassifier(**SMALL, device="cuda").fit(cupy.asarray(X), names)
    predicted = model.predict(cupy.asarray(X))
    assert_array_equal(predicted, MLPClassifier(**SMALL).fit(X, names).predict(X), strict=True)


def test_partial_fit_of_cupy_arrays(cupy):
    a, b = MLPClassifier(**SMALL, device="cuda"), MLPClassifier(**SMALL)
    for _ in range(3):
        a.partial_fit(cupy.asarray(X), cupy.asarray(CODES), classes=[0, 1, 2, 3])
        b.partial_fit(X, CODES, classes=[0, 1, 2, 3])
    assert_same_model(a, b)


class Foreign:
    """An array of another library."""

    def __init__(self, array, protocol, device=0):
        self.array = array
        if "interface" in protocol:
            self.__cuda_array_interface__ = {**array.__array_interface__, "version": 3}
        if "dlpack" in protocol:
            self.__dlpack__ = lambda stream: array
            self.__dlpack_device__ = lambda: (2, device)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("protocol", "device"), [("interface", 0), ("dlpack", 0), ("dlpack", 1)])
def test_arrays_of_other_libraries(protocol, device, order, cupy):
    data, labels = Foreign(np.array(X, order=order), protocol, device), Foreign(CODES, protocol, device)
    model = MLPClassifier(**SMALL, device="cuda").fit(data, labels)
    assert_same_model(model, MLPClassifier(**SMALL).fit(X, CODES))
    predicted = model.predict(data)
    assert type(predicted) is cupy.ndarray
    assert predicted.device.id == 0
    assert model.score(data, labels) == model.score(X, CODES)


def test_dlpack_comes_before_the_interface(cupy):
    """PyTorch has both, and makes the stream of the consumer wait with the former only."""
    data = Foreign(X, "dlpack and interface")
    data.__cuda_array_interface__ = None
    model = MLPClassifier(**SMALL, device="cuda").fit(data, CODES)
    assert_same_model(model, MLPClassifier(**SMALL).fit(X, CODES))


@pytest.mark.parametrize("form", ["C", "F", "csr"])
def test_cupy_arrays_of_another_device_are_copied(form, cupy):
    from cupyx.scipy.sparse import csr_matrix as gpu_csr

    with cupy.cuda.Device(1):
        weight, labels, matrix = cupy.asarray(np.linspace(0, 2, 90)), cupy.asarray(CODES), csr_matrix(X)
        parts = tuple(cupy.asarray(part) for part in (matrix.data, matrix.indices, matrix.indptr))
        data = gpu_csr(parts, shape=X.shape) if form == "csr" else cupy.ndarray(np.array(X, order=form))
    model = MLPClassifier(**SMALL, device="cuda:0").fit(data, labels, weight)
    assert_same_model(model, MLPClassifier(**SMALL).fit(X, CODES, np.linspace(0, 2, 90)))
    assert model.predict_proba(data).device.id == 0
    assert model.score(data, labels) == model.score(X, CODES)


def test_cupy_arrays_on_the_cpu_are_an_error(cupy):
    model = MLPClassifier(**SMALL)
    with pytest.raises(TypeError, match=r"X is a cupy.ndarray in the memory of a GPU, .* Set device='cuda', or pass"):
        model.fit(cupy.asarray(X), CODES)
    with pytest.raises(TypeError, match=r"y is a cupy\.ndarray"):
        model.fit(X, cupy.asarray(CODES))
    with pytest.raises(TypeError, match=r"sample_weight is a cupy\.ndarray"):
        model.fit(X, CODES, cupy.asarray(X[:, 0]))
    model.fit(X, CODES)
    with pytest.raises(TypeError, match=r"X is a cupy\.ndarray"):
        model.predict(cupy.asarray(X))
    with pytest.raises(TypeError, match=r"y is a cupy\.ndarray"):
        model.score(X, cupy.asarray(CODES))


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (X[:, 0], CODES, r"Expected X to be 2D, got an array of shape \(90,\)"),
        (X[:0], CODES[:0], r"Found X of shape \(0, 6\): a minimum of 1 sample"),
        (X * [1, np.nan, 1, 1, 1, 1], CODES, "Input X contains NaN"),
        (X * [1, np.inf, 1, 1, 1, 1], CODES, r"Input X contains infinity or a value too large for dtype\('float64'\)"),
        (X, CODES[:-1], r"inconsistent numbers of samples: \[90, 89\]"),
        (X, np.where(CODES, CODES, np.nan), "Input y contains NaN"),
        (X, TARGET, "Unknown label type: continuous"),
        (X, LABELS * 2 - 1, "a multilabel y has 0 and 1"),
        (X + 1j, CODES, "X has dtype complex128; numbers are needed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_of_cupy_arrays(X, y, message, cupy):
    X = cupy.ndarray(np.array(X))
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**SMALL, device="cuda").fit(X, cupy.asarray(y))


@pytest.mark.parametrize("value", [1e300, -1e300])
def test_cupy_arrays_beyond_the_precision_of_the_model(value, cupy):
    large = X.copy()
    large[3, 1] = value
    model = MLPRegressor(**SMALL, device="cuda", dtype="float32").fit(cupy.asarray(X), cupy.asarray(TARGET))
    for call in (model.predict, lambda large: model.fit(large, cupy.asarray(TARGET))):
        with pytest.raises(ValueError, match=r"Input X contains values too large for dtype\('float32'\)"):
            call(cupy.asarray(large))
    with pytest.raises(ValueError, match=r"Input y contains values too large for dtype\('float32'\)"):
        model.fit(cupy.asarray(X), cupy.asarray(large[:, 1]))


def test_large_labels_in_cupy_arrays(cupy):
    start = 2**53
    y = cupy.asarray((CODES + start).astype(np.uint64))
    classes = np.unique(CODES).astype(np.int64)
    models = [
        MLPClassifier(**SMALL, device="cuda").partial_fit(cupy.asarray(X), labels, classes=known).partial_fit(X, labels)
        for labels, known in ((y, classes + start), (cupy.asarray(CODES), classes))
    ]
    assert np.array_equal(*(model.coefs_[0] for model in models))
    prediction = models[0].predict(cupy.asarray(X))
    assert cupy.asnumpy(prediction).tolist() == (models[1].predict(X) + start).tolist()
    assert models[0].score(X, y) == models[1].score(X, CODES)


def test_several_outputs_of_cupy_arrays(cupy):
    y = np.c_[CODES, CODES > 1]
    model = MLPClassifier(**SMALL, device="cuda").fit(cupy.asarray(X), cupy.asarray(y))
    prediction = model.predict(cupy.asarray(X))
    assert isinstance(prediction, cupy.ndarray)
    np.testing.assert_array_equal(cupy.asnumpy(prediction), model.predict(X))
    for probability in model.predict_proba(cupy.asarray(X)):
        assert isinstance(probability, cupy.ndarray)
    on_host = MLPClassifier(**SMALL).fit(X, y)
    np.testing.assert_allclose(on_host.coefs_[0], model.coefs_[0], rtol=1e-7, atol=1e-10)


def test_features_of_cupy_arrays_are_counted(cupy):
    model = MLPRegressor(**SMALL, device="cuda").fit(cupy.asarray(X), cupy.asarray(TARGET))
    assert model.n_features_in_ == 6
    with pytest.raises(ValueError, match="X has 5 features, but MLPRegressor is expecting 6 features"):
        model.predict(cupy.asarray(X[:, :5]))
    with pytest.raises(ValueError, match="loss='poisson' needs y >= 0, got a minimum of -"):
        model.set_params(loss="poisson").fit(cupy.asarray(X), cupy.asarray(X[:, 0]))


# -- files and processes -----------------------------------------------------------------------------------------------


def device_arrays(value, cupy):
    """The arrays of the GPU anywhere inside."""
    if isinstance(value, cupy.ndarray):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
    return [array for item in values for array in device_arrays(item, cupy)]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_model_holds_nothing_of_the_gpu(solver, cupy):
    model = MLPClassifier(**SMALL, solver=solver, device="cuda").fit(cupy.asarray(X), cupy.asarray(CODES))
    assert device_arrays(vars(model), cupy) == []
    assert all(type(array) is np.ndarray for array in [*model.coefs_, *model.intercepts_, model.classes_])
    if solver != "lbfgs":
        model.partial_fit(cupy.asarray(X), cupy.asarray(CODES))
        assert device_arrays(vars(model), cupy) == []
    assert b"cupy" not in pickle.dumps(model)


def test_a_model_is_loaded_where_there_is_no_cupy(tmp_path, cupy):
    model = MLPClassifier(**SMALL, device="cuda").fit(X, CODES)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps((model, X)))
    np.save(tmp_path / "expected.npy", model.predict_proba(X))
    script = """
    import pickle, sys, numpy as np
    sys.modules["cupy"] = None
    with open("model.pickle", "rb") as file:
        model, X = pickle.load(file)
    assert model.device_ == "cuda:0"
    try:
        model.predict(X)
    except ImportError as error:
        assert "device='cuda' needs CuPy" in str(error)
    else:
        raise AssertionError
    for device in ("auto", "cpu"):
        np.testing.assert_allclose(model.set_params(device=device).predict_proba(X), np.load("expected.npy"), rtol=1e-9)
    model.partial_fit(X, np.arange(90) % 3)
    assert model.device_ == "cpu"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, check=True)


def test_a_search_in_workers_leaves_the_gpu_to_them(cupy, tmp_path):
    script = """
    import sys
    from sklearn.datasets import load_iris
    from sklearn.model_selection import GridSearchCV
    from sklearn_mlp import MLPClassifier

    if __name__ == "__main__":
        X, y = load_iris(return_X_y=True)
        model = MLPClassifier((4,), max_iter=3, tol=1e3, random_state=0, device="cuda")
        search = GridSearchCV(model, {"alpha": [0.1, 1]}, cv=2, n_jobs=2, refit=False).fit(X, y)
        assert "cupy" not in sys.modules
        on_cpu = GridSearchCV(model.set_params(device="cpu"), {"alpha": [0.1, 1]}, cv=2, refit=False).fit(X, y)
        assert (search.cv_results_["mean_test_score"] == on_cpu.cv_results_["mean_test_score"]).all()
    """
    program = tmp_path / "search.py"
    program.write_text(textwrap.dedent(script))
    subprocess.run([sys.executable, program], env={**os.environ, "PYTHONPATH": str(STAND_IN)}, check=True)


@pytest.mark.parametrize(
    "left_out", ["the_same_model_as_on_the_cpu", pytest.param("nothing_else", marks=pytest.mark.slow)]
)
def test_the_tests_for_a_real_gpu_run(left_out):
    """Those of test_gpu.py, all but the one that keeps the GPU busy; the grid of models only where time allows."""
    tests = Path(__file__).parent / "test_gpu.py"
    chosen = f"not does_not_wait and not torch and not {left_out}"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests, "-k", chosen]
    result = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(STAND_IN)}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "skipped" not in result.stdout


def test_the_example_runs():
    example = Path(__file__).parents[2] / "examples" / "gpu.py"
    command = [sys.executable, "-W", "error", example]
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(STAND_IN)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "CuPy arrays in, CuPy arrays out" in run.stdout


def test_the_benchmark_runs():
    """With `fit` and the products only: neither PyTorch nor JAX finds a GPU here."""
    script = """
    import gpu

    gpu.WORKLOADS = [gpu.Workload(64, 6, (5, 4), 3, 32, 1)]
    gpu.main(2, True)
    """
    folder = Path(__file__).parents[2] / "benchmarks"
    environment = {**os.environ, "PYTHONPATH": f"{STAND_IN}{os.pathsep}{folder}"}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    header, _, row = run.stdout.splitlines()[-3:]
    assert [cell.strip() for cell in header.split("|")][3::5] == ["products", "cpu"]
    assert [cell.strip() for cell in row.split("|")][4:8] == ["-"] * 4


def test_the_documented_counts_are_those_of_the_stand_in(cupy, capsys):
    import cuda_counts

    cuda_counts.main(cupy)
    assert capsys.readouterr().out in Path(__file__).parents[2].joinpath("docs", "guide", "gpu.md").read_text()


def test_digits(cupy):
    """The model of the README, on the GPU."""
    digits, labels = load_digits(return_X_y=True)
    a, b = on_both(MLPClassifier, digits, labels, early_stopping=True, max_iter=20, hidden_layer_sizes=(30,))
    assert_same_model(a, b)
    assert a.score(digits, labels) == b.score(digits, labels) > 0.8
