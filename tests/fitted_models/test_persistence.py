"""Copies of an estimator: dumped and loaded, memory-mapped, deep-copied, cloned; and what they weigh."""

import copy
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import sklearn_mlp
from sklearn_mlp import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SMALL = {"hidden_layer_sizes": (8, 4), "max_iter": 5, "batch_size": 32}
SOLVERS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "sgd momentum": {"solver": "sgd", "momentum": 0.9, "learning_rate_init": 0.01},
    "sgd without nesterov": {"solver": "sgd", "momentum": 0.8, "nesterovs_momentum": False},
    # An improvement of 10 never comes: the rate falls every other epoch.
    "sgd adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10, "n_iter_no_change": 1},
    "sgd invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.1},
}
LBFGS = {"lbfgs": {"solver": "lbfgs"}}


def data(estimator):
    X, y = load_digits(return_X_y=True) if estimator is MLPClassifier else load_diabetes(return_X_y=True)
    return scale(X[:200]), y[:200] if estimator is MLPClassifier else scale(y[:200])


def outputs(model, X):
    return [model.predict(X), model.predict_proba(X)] if hasattr(model, "predict_proba") else [model.predict(X)]


def train(model, n_epochs):
    """Epochs of partial_fit, each on other rows."""
    X, y = data(type(model))
    classes = {"classes": np.unique(y)} if isinstance(model, MLPClassifier) else {}
    for i in range(n_epochs):
        model.partial_fit(X[i % 3 :: 2], y[i % 3 :: 2], **classes)
    return model


def assert_same_bits(model, other):
    for ours, theirs in zip(model.coefs_ + model.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_array_equal(ours, theirs, strict=True)
    X, _ = data(type(model))
    for ours, theirs in zip(outputs(model, X), outputs(other, X), strict=True):
        assert_array_equal(ours, theirs, strict=True)


def dump_and_load(model, path, **kwargs):
    joblib.dump(model, path)
    return joblib.load(path, **kwargs)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.joblib"


estimators = pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
solvers = pytest.mark.parametrize("params", SOLVERS.values(), ids=SOLVERS)
every_solver = pytest.mark.parametrize("params", (SOLVERS | LBFGS).values(), ids=SOLVERS | LBFGS)


# -- fitted, then copied -----------------------------------------------------------------------------------------------


@estimators
@every_solver
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_model_predicts_identically(estimator, params, dtype, path):
    model = estimator(**SMALL, **params, dtype=dtype, random_state=0).fit(*data(estimator))
    loaded = dump_and_load(model, path)
    assert loaded.loss_curve_ == model.loss_curve_
    assert_same_bits(loaded, model)


@estimators
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(estimator, protocol):
    model = train(estimator(**SMALL, random_state=0), 2)
    loaded = pickle.loads(pickle.dumps(model, protocol=protocol))
    assert_same_bits(loaded, model)
    assert_same_bits(train(loaded, 2), train(model, 2))


@estimators
def test_a_warm_start_goes_on_from_a_loaded_model(estimator, path):
    model = estimator(**SMALL, warm_start=True, random_state=0).fit(*data(estimator))
    loaded = dump_and_load(model, path)
    assert_same_bits(loaded.fit(*data(estimator)), model.fit(*data(estimator)))


@estimators
def test_a_clone_is_unfitted_and_trains_to_the_same_model(estimator):
    model = estimator(**SMALL, random_state=0).fit(*data(estimator))
    cloned = clone(model)
    assert cloned.get_params() == model.get_params()
    assert not [name for name in vars(cloned) if name.endswith("_")]
    assert_same_bits(cloned.fit(*data(estimator)), model)


def test_a_loaded_pipeline_predicts_identically_in_a_new_process(tmp_path, each_device, kernels_of_any_job):
    X, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL, random_state=0)).fit(X, y)
    joblib.dump((pipeline, X), tmp_path / "pipeline.joblib")
    script = (
        "import joblib, numpy, threadpoolctl; pipeline, X = joblib.load('pipeline.joblib'); "
        "threadpoolctl.threadpool_limits(1); "  # as in this process: the last bit depends on the threads of BLAS
        "numpy.savez('outputs.npz', predict=pipeline.predict(X), predict_proba=pipeline.predict_proba(X))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, check=True, timeout=60)
    with np.load(tmp_path / "outputs.npz") as theirs:
        assert_array_equal(theirs["predict"], pipeline.predict(X))
        rtol = 0 if each_device.name == "cpu" else 1e-13  # they have no GPU
        assert_allclose(theirs["predict_proba"], pipeline.predict_proba(X), rtol=rtol)


# -- partly trained, then copied ---------------------------------------------------------------------------------------


@estimators
@solvers
@pytest.mark.parametrize("random_state", [int, np.random.RandomState], ids=["int", "RandomState"])
@pytest.mark.parametrize("copied", ["dump and load", "deepcopy"])
def test_a_copy_goes_on_training_as_if_never_copied(estimator, params, random_state, copied, path):
    def new():
        return estimator(**SMALL, **params, random_state=random_state(7))

    model = train(new(), 3)
    model = dump_and_load(model, path) if copied == "dump and load" else copy.deepcopy(model)
    never_copied = train(train(train(new(), 3), 1), 4)
    model = train(model, 1)
    # Once more, after it has trained as a copy.
    model = dump_and_load(model, path) if copied == "dump and load" else copy.deepcopy(model)
    train(model, 4)
    assert model.loss_curve_ == never_copied.loss_curve_
    assert_same_bits(model, never_copied)


@estimators
@solvers
def test_deep_copies_train_independently(estimator, params):
    model = train(estimator(**SMALL, **params, random_state=np.random.RandomState(0)), 2)
    snapshot = pickle.loads(pickle.dumps(model))
    copied = train(copy.deepcopy(model), 3)
    assert_same_bits(model, snapshot)
    assert (copied.coefs_[0] != model.coefs_[0]).any()
    # Nor has it touched the solver's state or the random numbers.
    assert_same_bits(train(model, 2), train(snapshot, 2))


@estimators
@solvers
def test_shallow_copies_train_independently(estimator, params):
    model = train(estimator(**SMALL, **params, random_state=0), 2)
    snapshot = pickle.loads(pickle.dumps(model))
    train(copy.copy(model), 3)
    assert_same_bits(model, snapshot)
    assert model.loss_curve_ == snapshot.loss_curve_
    assert model.history_ == snapshot.history_
    assert_same_bits(train(model, 2), train(snapshot, 2))


@estimators
@solvers
def test_a_loaded_model_trains_the_arrays_that_it_predicts_with(estimator, params, path):
    model = dump_and_load(train(estimator(**SMALL, **params, activation="tanh", random_state=0), 2), path)
    X, _ = data(estimator)
    before = model.coefs_[0].copy(), outputs(model, X)[-1]
    train(model, 2)
    assert (model.coefs_[0] != before[0]).any()
    assert (outputs(model, X)[-1] != before[1]).any()
    A = X
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        A = np.tanh(A @ W + b)
    Z = A @ model.coefs_[-1] + model.intercepts_[-1]
    expected = softmax(Z, axis=1) if estimator is MLPClassifier else Z.ravel()
    assert_allclose(outputs(model, X)[-1], expected, rtol=0, atol=1e-12)


# -- loaded as a memory map --------------------------------------------------------------------------------------------


@estimators
def test_a_memory_mapped_model_predicts_identically_and_leaves_the_file_alone(estimator, path):
    model = estimator(**SMALL, random_state=0).fit(*data(estimator))
    loaded = dump_and_load(model, path, mmap_mode="r")
    before = path.read_bytes()
    assert isinstance(loaded.coefs_[0], np.memmap)
    assert_same_bits(loaded, model)
    assert path.read_bytes() == before


@estimators
@solvers
@pytest.mark.parametrize("mmap_mode", ["r", "c", "r+"])
def test_a_memory_mapped_model_goes_on_training_and_leaves_the_file_alone(estimator, params, mmap_mode, path):
    model = train(estimator(**SMALL, **params, random_state=0), 2)
    loaded = dump_and_load(model, path, mmap_mode=mmap_mode)
    before = path.read_bytes()
    assert_same_bits(train(loaded, 2), train(model, 2))
    assert path.read_bytes() == before


# -- size --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.filterwarnings("ignore:early_stopping=True has no effect:UserWarning")
def test_the_pickle_of_a_fitted_model_is_about_the_size_of_its_weights(estimator, solver, early_stopping):
    rng = np.random.RandomState(0)
    X, y = rng.uniform(size=(60, 784)), np.arange(60) % 3
    model = estimator(solver=solver, early_stopping=early_stopping, validation_fraction=0.2, max_iter=3)
    model.fit(X, y)
    assert len(pickle.dumps(model)) <= 1.1 * sum(array.nbytes for array in model.coefs_ + model.intercepts_)


# -- versions ----------------------------------------------------------------------------------------------------------


@estimators
def test_a_model_of_another_version_warns_with_both_versions(estimator, path, monkeypatch):
    model = estimator(**SMALL, random_state=0).fit(*data(estimator))
    with monkeypatch.context() as patch:
        patch.setattr("sklearn_mlp._base.__version__", "0.0.42")
        joblib.dump(model, path)
    with pytest.warns(InconsistentVersionWarning, match=rf"{estimator.__name__} from version 0\.0\.42") as record:
        loaded = joblib.load(path)
    assert sklearn_mlp.__version__ in str(record[0].message)
    assert_same_bits(loaded, model)


@estimators
def test_a_model_of_this_version_loads_without_a_warning(estimator, path):
    model = estimator(**SMALL, random_state=0).fit(*data(estimator))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dump_and_load(model, path)
        copy.deepcopy(model)
