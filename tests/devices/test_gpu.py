"""On a real GPU, with the real CuPy: `make test-gpu`. Everywhere else this file is skipped."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_digits

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.losses import REGRESSION_LOSSES
from sklearn_mlp.devices import resolve_device

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


try:
    resolve_device("cuda")
except (ImportError, RuntimeError) as error:
    pytest.skip(f"no GPU: {error}", allow_module_level=True)


@pytest.fixture
def real_cupy():
    import cupy

    return cupy


DIGITS, LABELS = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
X = rng.standard_normal((600, 30))
TARGET = np.c_[X[:, 0] - X[:, 1] ** 2, X[:, 2]]
SMALL = {"hidden_layer_sizes": (20, 10), "max_iter": 5, "random_state": 0}


def assert_same_model(a, b, rtol):
    for theirs, ours in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert_allclose(theirs, ours, rtol=rtol, atol=rtol)
    assert_allclose(a.loss_curve_, b.loss_curve_, rtol=rtol)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(
    "params", [{}, {"solver": "sgd"}, {"solver": "lbfgs"}, {"early_stopping": True}, {"shuffle": False}], ids=str
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (MLPClassifier, LABELS[:600]),
        (MLPClassifier, LABELS[:600] > 4),
        (MLPClassifier, (X[:, :3] > 0).astype(int)),
        (MLPRegressor, TARGET),
        (lambda **params: MLPRegressor(loss="poisson", **params), LABELS[:600]),
    ],
    ids=["softmax", "logistic", "multilabel", "squared error", "poisson"],
)
def test_the_same_model_as_on_the_cpu(estimator, y, activation, params, weighted, sparse):
    params = {**SMALL, **params, "activation": activation}
    data = csr_array(np.where(X > 0, X, 0)) if sparse else X
    weight = np.linspace(0, 2, 600) if weighted else None
    a = estimator(**params, device="cuda").fit(data, y, weight)
    b = estimator(**params).fit(data, y, weight)
    assert_same_model(a, b, 1e-6)
    assert_allclose(a.predict(data), b.predict(data), rtol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        *((MLPRegressor, {"loss": loss}) for loss in REGRESSION_LOSSES),
        (MLPRegressor, {"loss": "quantile", "quantile": (0.1, 0.9)}),
        *(
            (MLPClassifier, params)
            for params in ({"loss": "focal"}, {"label_smoothing": 0.2}, {"class_weight": "balanced"})
        ),
        (MLPClassifier, {"dropout": 0.3, "solver": "adamw", "learning_rate": "cosine"}),
        (MLPClassifier, {"ema_decay": 0.9, "max_grad_norm": 0.5, "early_stopping": True, "scoring": "neg_log_loss"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("several", [False, True], ids=["two classes", "ten classes"])
def test_the_same_modern_model_as_on_the_cpu(estimator, params, several):
    y = LABELS[:600] if several else LABELS[:600] > 4
    y = (y + 1) / 10 if estimator is MLPRegressor else y
    a, b = (estimator(**SMALL, **params, device=device).fit(X, y) for device in ("cuda", "cpu"))
    assert_same_model(a, b, 1e-6)
    assert_allclose(a.predict(X), b.predict(X), rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 200])
def test_float32(batch_size):
    params = {**SMALL, "dtype": "float32", "max_iter": 2, "batch_size": batch_size}
    a, b = (MLPClassifier(**params, device=device).fit(X, LABELS[:600]) for device in ("cuda", "cpu"))
    assert_same_model(a, b, 1e-2)
    assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-4)


def test_the_same_seed_gives_the_same_bits():
    a, b = (MLPClassifier(**SMALL, device="cuda", dtype="float32").fit(DIGITS, LABELS) for _ in range(2))
    for one, other in zip(a.coefs_, b.coefs_, strict=True):
        assert_array_equal(one, other)
    assert a.loss_curve_ == b.loss_curve_


def test_an_epoch_does_not_wait(real_cupy):
    """A whole epoch is launched while the GPU is still busy with earlier work."""
    from sklearn_mlp.core.batches import Batches
    from sklearn_mlp.core.layers import declare_slots, mlp_blocks
    from sklearn_mlp.core.losses import LogLoss
    from sklearn_mlp.core.objective import Objective
    from sklearn_mlp.core.optimizers import Adam
    from sklearn_mlp.core.parameters import draw

    cupy, device = real_cupy, resolve_device("cuda")
    blocks = mlp_blocks([30], ["relu"], 10)
    theta = draw(declare_slots(blocks, 64), np.random.RandomState(0), np.float32)
    theta = theta.like(device.to_device_copy(theta.vector))
    objective = Objective(device, theta, blocks, LogLoss("softmax"), alpha=1e-4)
    optimizer = Adam(device, theta, 0.9, 0.999, 1e-8)
    held = device.prepare_rows(DIGITS, np.float32, True)
    batches = Batches(device, held, LABELS, None, dtype=np.float32, batch_size=100, rows=np.arange(len(DIGITS)))

    def steps():
        for X, y, sample_weight, total_weight, _ in batches:
            objective.backpropagate(X, y, sample_weight, 1 / total_weight, len(y))
            optimizer.step(objective.grad.vector, 1e-3, 1e-6, objective.loss, len(y))

    steps()  # compiles
    cupy.cuda.Device().synchronize()
    busy = cupy.RawKernel(
        r"""
        extern "C" __global__ void busy(long long cycles) {
            for (const long long start = clock64(); clock64() - start < cycles;) {}
        }
        """,
        "busy",
    )
    busy((1,), (1,), (np.int64(3_000_000_000),))
    done = cupy.cuda.Event()
    done.record()
    steps()
    assert not done.done
    assert np.isfinite(device.collect(objective.loss))


@pytest.mark.parametrize("data", [X, X.astype(np.float32), (9 * X).astype(np.int8), csr_array(np.where(X > 0, X, 0))])
@pytest.mark.parametrize("params", [{}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_streamed_rows_train_the_same_model(data, params, monkeypatch):
    from sklearn_mlp.devices.cuda import rows

    params = {**SMALL, **params, "device": "cuda", "dtype": "float64"}
    held = MLPClassifier(**params).fit(data, LABELS[:600])
    monkeypatch.setattr(rows, "X_SHARE", 0.0)
    monkeypatch.setattr(rows, "CHUNK_BYTES", 50_000)
    assert_same_model(MLPClassifier(**params).fit(data, LABELS[:600]), held, 1e-12)


def test_too_little_memory(real_cupy):
    pool = real_cupy.get_default_memory_pool()
    pool.free_all_blocks()
    limit = pool.get_limit()
    try:
        pool.set_limit(size=60_000_000)
        with pytest.raises(MemoryError, match=r"too little free memory.*Decrease batch_size"):
            MLPClassifier((4000, 4000), device="cuda").fit(X, LABELS[:600])
        # X alone would be 96 MB, and is streamed.
        from sklearn_mlp.devices.cuda import rows

        assert rows.prepare_rows(np.zeros((600, 20_000)), np.float64).shape == (600, 20_000)
    finally:
        pool.set_limit(size=limit)


def test_memory_is_given_back(real_cupy, monkeypatch):
    monkeypatch.setattr("sklearn_mlp.devices.cuda.RELEASED_BYTES", 0)
    pool = real_cupy.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.used_bytes()
    MLPClassifier(**SMALL, device="cuda").fit(X, LABELS[:600])
    assert pool.used_bytes() == before
    assert pool.free_bytes() == 0


def test_cupy_arrays(real_cupy):
    gpu_X, gpu_y = real_cupy.asarray(X), real_cupy.asarray(LABELS[:600])
    model = MLPClassifier(**SMALL, device="cuda").fit(gpu_X, gpu_y)
    same = MLPClassifier(**SMALL, device="cuda").fit(X, LABELS[:600])
    assert_same_model(model, same, 1e-12)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        output = getattr(model, method)(gpu_X)
        assert type(output) is real_cupy.ndarray
        assert_allclose(output.get(), getattr(same, method)(X), rtol=1e-12)
    assert model.score(gpu_X, gpu_y) == same.score(X, LABELS[:600])


def test_torch_tensors():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    model = MLPRegressor(**SMALL, device="cuda").fit(torch.tensor(X).cuda(), torch.tensor(TARGET).cuda())
    assert_same_model(model, MLPRegressor(**SMALL, device="cuda").fit(X, TARGET), 1e-12)


def test_two_devices(real_cupy):
    if real_cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is one GPU only")
    models = [MLPClassifier(**SMALL, device=device).fit(X, LABELS[:600]) for device in ("cuda:0", "cuda:1")]
    assert_same_model(*models, 1e-6)
    assert models[1].device_ == "cuda:1"
    assert real_cupy.cuda.runtime.getDevice() == 0
    on_other = real_cupy.asarray(X)
    assert models[1].predict(on_other).device.id == 1
