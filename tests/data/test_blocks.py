"""Data in blocks: the same models as of arrays, in two windows of memory, and what is refused.

Tables in blocks are in test_table_blocks.py.
"""

import gc
import os
import pickle
import signal
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from same_model import assert_same_model
from scipy.sparse import csc_matrix, csr_matrix, issparse
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from threadpoolctl import threadpool_limits

from sklearn_mlp import MLPClassifier, MLPRegressor, TabularMLPClassifier
from sklearn_mlp._survey import LabelCounts, Moments, Rows, Survey
from sklearn_mlp.callbacks import Checkpoint, StopWhen
from sklearn_mlp.core import blocks as core
from sklearn_mlp.core.batches import Data
from sklearn_mlp.devices import resolve_device
from sklearn_mlp.devices.blas import n_blas_threads

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, LABELS = load_iris(return_X_y=True)
X = scale(X)
X_REAL, Y_REAL = load_diabetes(return_X_y=True)
X_REAL, Y_REAL = 20 * X_REAL, Y_REAL / 100
N = len(X)
EPS = np.finfo(float).eps


class Blocks:
    """Blocks in memory; `fails` says what to do in place of returning a block."""

    def __init__(self, parts, fails=lambda i: None):
        self.parts = parts
        self.fails = fails
        self.loaded = []

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, i):
        self.loaded.append(i)
        self.fails(i)
        return self.parts[i]


def cut(sizes, *arrays):
    """Blocks of these sizes, or of one size, of arrays."""
    n_rows = arrays[0].shape[0]
    starts = [*range(0, n_rows, sizes), n_rows] if isinstance(sizes, int) else np.cumsum([0, *sizes]).tolist()
    assert starts[-1] == n_rows
    return Blocks([tuple(array[start:stop] for array in arrays) for start, stop in pairwise(starts)])


def sizes_of_blocks(n_rows):
    """Any sizes, among them those of empty blocks."""
    cuts = st.lists(st.integers(0, n_rows), max_size=8)
    return cuts.map(lambda ends: np.diff(sorted([0, *ends, n_rows])).tolist())


def clf(**params):
    return MLPClassifier(**({"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0} | params))


def reg(**params):
    return MLPRegressor(hidden_layer_sizes=(6,), **({"max_iter": 3, "random_state": 0} | params))


@pytest.fixture(autouse=True)
def ends_within_a_minute():
    """A test that waits for a thread for ever fails; and no test leaves a reader."""

    def fail(*_):
        raise RuntimeError("the test has not ended within a minute")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert not readers()


def readers():
    """The threads that read blocks, after idle ones have ended."""
    threads = [thread for thread in threading.enumerate() if "reader of blocks" in thread.name]
    for thread in threads:
        thread.join(5)
    return [thread for thread in threads if thread.is_alive()]


@pytest.fixture
def small_windows(monkeypatch):
    """Windows of four blocks, of a few rows."""
    monkeypatch.setattr(core, "WINDOW_ROWS", 32)


# -- mini-batches ------------------------------------------------------------------------------------------------------


def batches_of(n_rows_of, batch_size, weights=True, load=None):
    starts = np.cumsum([0, *n_rows_of])
    numbers = np.arange(starts[-1])

    def load_part(i):
        part = numbers[starts[i] : starts[i + 1]]
        return Data(part[:, np.newaxis].astype(float), part, 1.0 + part if weights else None)

    total = float((1.0 + numbers).sum()) if weights else len(numbers)
    data = core.BlockData(load or load_part, n_rows_of, np.empty((1, 1)), total)
    return data.batches(resolve_device("cpu"), np.float64, batch_size)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20).filter(any), st.integers(1, 30), st.booleans())
@settings(deadline=None, max_examples=60)
def test_every_row_is_in_one_batch_of_an_epoch(n_rows_of, batch_size, weights):
    n_rows = sum(n_rows_of)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "WINDOW_ROWS", 1)
        batches = batches_of(n_rows_of, batch_size, weights)
        random_state = np.random.RandomState(0)
        for epoch in range(3):
            order = []
            sizes = []
            for X_part, y, weight, total, single in batches:
                assert_array_equal(X_part[:, 0], y)
                assert (weight is None) == (not weights)
                assert total == (len(y) if weight is None else weight.sum())
                if weights:
                    assert_array_equal(weight, 1 + y)
                assert single == (len(y) == 1)
                order += y.tolist()
                sizes.append(len(y))
            assert sorted(order) == [*range(n_rows)]
            if epoch == 0:
                assert order == sorted(order)
            assert set(sizes[:-1]) <= {batches.batch_size}
            assert sizes[-1] <= batches.batch_size == min(batch_size, n_rows)
            batches.shuffle(random_state)


def order_of(batches):
    return np.concatenate([y for _, y, *_ in batches])


def test_the_order_is_of_the_seed_and_differs_between_epochs(small_windows):
    batches, again = batches_of([10] * 12, 7), batches_of([10] * 12, 7)
    one, other = np.random.RandomState(3), np.random.RandomState(3)
    orders = []
    for _ in range(3):
        batches.shuffle(one)
        again.shuffle(other)
        orders.append(order_of(batches))
        assert_array_equal(order_of(again), orders[-1])
        assert_array_equal(order_of(batches), orders[-1])
    assert all((a != b).mean() > 0.9 for a, b in pairwise(orders))


def test_blocks_in_order_are_mixed(small_windows):
    """A window has blocks from anywhere: the first tenth of an epoch has rows of both halves of a sorted file."""
    batches = batches_of([10] * 100, 7)
    random_state, shares = np.random.RandomState(0), []
    for _ in range(20):
        batches.shuffle(random_state)
        first = order_of(batches)[:35]
        assert len({*(first // 10)}) == 4  # all of its blocks, whose rows are mixed:
        assert abs(np.diff(first)).mean() > 50
        shares.append((first < 500).mean())
    assert 0.3 < np.mean(shares) < 0.7


def test_chunks_are_no_larger_than_windows(small_windows):
    data = core.BlockData(None, [20] * 50, np.empty((1, 1)), 1000)
    assert data.chunks(resolve_device("cpu"), np.float64, 1).batch_size == core.WINDOW_ROWS


def test_windows_have_many_small_blocks():
    assert batches_of([10] * 100, 7).n_blocks == core.WINDOW_ROWS // 10
    assert batches_of([core.WINDOW_ROWS] * 9, 7, load=lambda i: None).n_blocks == core.WINDOW_BLOCKS


# -- the same model ----------------------------------------------------------------------------------------------------


@given(sizes_of_blocks(N), st.sampled_from([1, 7, 40, 200]))
@settings(deadline=None, max_examples=15)
def test_in_order_it_is_the_model_of_the_array(sizes, batch_size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "WINDOW_ROWS", 1)
        params = {"shuffle": False, "batch_size": min(batch_size, N), "max_iter": 2 if batch_size > 1 else 1}
        model = clf(**params).fit(cut(sizes, X, LABELS))
    assert_same_model(model, clf(**params).fit(X, LABELS))


PROBLEMS = {
    "labels": (clf, X, LABELS, {}),
    "strings": (clf, X, np.array(["a", "bcd", "ef"])[LABELS], {}),
    "objects": (clf, X, np.array(["a", "bcd", "ef"], object)[LABELS], {}),
    "two classes": (clf, X, LABELS == 1, {"class_weight": "balanced"}),
    "dates": (clf, X, np.datetime64("2020-01-01") + LABELS, {}),
    "balanced": (clf, X, LABELS, {"class_weight": "balanced"}),
    "class weights": (clf, X, LABELS, {"class_weight": {0: 1, 1: 0, 2: 5}}),
    "multilabel": (clf, X, (X[:, :3] > 0).astype(int), {"class_weight": "balanced"}),
    "sparse multilabel": (clf, X, csr_matrix((X[:, :3] > 0).astype(int)), {}),
    "several outputs": (clf, X, np.c_[LABELS, LABELS[::-1] % 2], {"class_weight": "balanced"}),
    "several types": (clf, X, pd.DataFrame({"a": LABELS, "b": np.array(["p", "q", "r"])[LABELS]}), {}),
    "many classes": (clf, X, np.arange(N) % 120, {}),
    "sparse X": (clf, csr_matrix(X), LABELS, {}),
    "csc": (clf, csc_matrix(X), LABELS, {}),
    "float32": (clf, X.astype(np.float32), LABELS, {}),
    "integers": (clf, np.round(X).astype(int), LABELS, {}),
    "column-major": (clf, np.asfortranarray(X), LABELS, {"batch_size": N}),
    "pandas": (clf, pd.DataFrame(X, columns=[*"abcd"]), pd.Series(LABELS), {}),
    "polars": (clf, pl.DataFrame(X, schema=[*"abcd"]), pl.Series(LABELS), {}),
    "real": (reg, X_REAL, Y_REAL, {}),
    "column": (reg, X_REAL, Y_REAL[:, np.newaxis], {}),
    "standardized": (reg, X_REAL, 1000 + 50 * Y_REAL, {"standardize_target": True}),
    "several columns": (reg, X_REAL, np.c_[Y_REAL, X_REAL[:, 0], np.full(len(Y_REAL), 0.1)], {}),
    "standardized columns": (
        reg,
        X_REAL,
        np.c_[1000 * Y_REAL, X_REAL[:, 0], np.full(len(Y_REAL), 0.1)],
        {"standardize_target": True},
    ),
    "poisson": (reg, X_REAL, np.round(Y_REAL), {"loss": "poisson"}),
    "quantiles": (reg, X_REAL, Y_REAL, {"loss": "quantile", "quantile": [0.1, 0.9]}),
    "normalised": (clf, X, LABELS, {"normalization": "batch", "dropout": 0.2}),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_in_order_it_is_the_model_of_the_array_for_all_kinds(problem, small_windows, each_device):
    make, X_of, y, params = PROBLEMS[problem]
    params = {"shuffle": False, "batch_size": 50} | params
    blocks = cut(32, X_of, y)
    model, expected = make(**params).fit(blocks), make(**params).fit(X_of, y)
    tolerance = {"rtol": 1e-9, "atol": 1e-9}
    if each_device.name != "cpu" or problem == "column-major":
        tolerance = {"rtol": 1e-5, "atol": 1e-6}
    for ours, theirs in zip(model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert ours.dtype == theirs.dtype
        assert_allclose(ours, theirs, **tolerance)
    assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-5)
    for name in ("classes_", "feature_names_in_", "n_features_in_", "n_outputs_"):
        assert hasattr(model, name) == hasattr(expected, name)
        if hasattr(model, name):
            mine, other = (getattr(each, name) for each in (model, expected))
            for a, b in zip(mine, other, strict=True) if isinstance(mine, list) else [(mine, other)]:
                assert_array_equal(a, b, strict=True)
    # And what it predicts.
    ours, theirs = model.predict(blocks), model.predict(X_of)
    assert type(ours) is type(theirs)
    assert ours.dtype == theirs.dtype
    if issparse(ours):
        ours, theirs = ours.toarray(), theirs.toarray()
    if make is clf:
        assert_array_equal(ours, theirs)
        probabilities = model.predict_proba(blocks), model.predict_proba(X_of)
        for a, b in zip(*probabilities, strict=True) if isinstance(probabilities[0], list) else [probabilities]:
            assert_allclose(a, b, rtol=1e-5)
    else:
        assert_allclose(ours, theirs, rtol=1e-5)
    assert_allclose(model.score(blocks), model.score(X_of, y), rtol=1e-5)


@pytest.mark.parametrize("problem", ["labels", "standardized columns", "sparse X"])
def test_lbfgs(problem, small_windows):
    make, X_of, y, params = PROBLEMS[problem]
    params = {"solver": "lbfgs", "max_iter": 5, **params}
    weight = np.linspace(0, 2, X_of.shape[0])
    blocks = cut(32, X_of, y, weight)
    model, expected = make(**params).fit(blocks), make(**params).fit(X_of, y, weight)
    for ours, theirs in zip(model.coefs_, expected.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)
    assert_allclose(model.loss_, expected.loss_)


@pytest.mark.parametrize("params", [{}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("class_weight", [None, {0: 1, 1: 0.5, 2: 3}], ids=str)
def test_weights_of_some_blocks(params, class_weight, small_windows):
    """Blocks without weights have those of 1, and a block can have zeros only."""
    weight = np.ones(N)
    weight[32:64], weight[64:96] = 0, np.linspace(0, 3, 32)
    parts = cut(32, X, LABELS, weight).parts
    parts[0], parts[3] = parts[0][:2], (*parts[3][:2], None)
    params = {"shuffle": False, "batch_size": 32, "class_weight": class_weight, **params}
    model = clf(**params).fit(Blocks(parts))
    expected = clf(**params).fit(X, LABELS, weight)
    for ours, theirs in zip(model.coefs_, expected.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)
    assert_allclose(model.loss_, expected.loss_)
    assert_allclose(model.score(Blocks(parts)), expected.score(X, LABELS, weight))


def test_a_class_in_one_block_only(small_windows):
    order = np.argsort(LABELS, kind="stable")
    blocks = cut(25, X[order], np.array([*"xyz"])[LABELS[order]])
    model = clf(max_iter=60, learning_rate_init=0.03).fit(blocks)
    assert model.classes_.tolist() == [*"xyz"]
    assert model.score(blocks) > 0.9


def test_sorted_blocks_are_learned(monkeypatch):
    monkeypatch.setattr(core, "WINDOW_ROWS", 800)  # of 1797
    digits, y = load_digits(return_X_y=True)
    digits, order = digits / 16, np.argsort(y, kind="stable")
    model = MLPClassifier((50,), batch_size=50, max_iter=8, learning_rate_init=0.01, random_state=0)
    blocks = cut(45, digits[order], y[order])
    assert model.fit(blocks).score(blocks) > 0.9
    assert model.set_params(shuffle=False).fit(blocks).score(blocks) < 0.8


def test_the_same_seed_gives_the_same_model(small_windows):
    blocks = cut(20, X, LABELS)
    one, other = clf().fit(blocks), clf().fit(blocks)
    assert_same_model(one, other)
    assert np.any(clf(random_state=1).fit(blocks).coefs_[0] != one.coefs_[0])


# -- validation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scoring", [None, "loss", "neg_log_loss", "accuracy"])
@pytest.mark.parametrize("weighted", [False, True])
def test_X_val_in_blocks(scoring, weighted, small_windows, each_device):
    weight = [np.linspace(0, 2, N)] if weighted else []
    val = X[::-1] + 0.1, LABELS[::-1], *weight
    model = clf(scoring=scoring).fit(X, LABELS, X_val=cut(20, *val))
    expected = clf(scoring=scoring).fit(
        X, LABELS, X_val=val[0], y_val=val[1], sample_weight_val=val[2] if weighted else None
    )
    assert_allclose(model.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-6)
    assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-6)


def test_X_val_in_blocks_of_a_regression(small_windows):
    params = {"standardize_target": True, "scoring": "neg_mean_absolute_error"}
    model = reg(**params).fit(cut(50, X_REAL, Y_REAL), X_val=cut(70, X_REAL, Y_REAL + 1))
    expected = reg(**params).fit(cut(50, X_REAL, Y_REAL), X_val=X_REAL, y_val=Y_REAL + 1)
    assert_allclose(model.validation_loss_curve_, expected.validation_loss_curve_)
    assert_allclose(model.validation_scores_, expected.validation_scores_)


def test_early_stopping_trains_on_no_row_that_it_holds_out(small_windows, monkeypatch):
    trained, validated = [], []
    batches = core.BlockBatches.__iter__

    def seen(self):
        for batch in batches(self):
            trained.append(numbers_of(batch[0]))
            yield batch

    def numbers_of(rows):
        return np.round(rows[:, 0] * N).astype(int)

    def scorer(model, rows, y):
        validated.append(numbers_of(rows))
        assert_array_equal(y, LABELS[validated[-1]])
        return model.score(rows, y)

    monkeypatch.setattr(core.BlockBatches, "__iter__", seen)
    numbered = np.c_[np.arange(N) / N, X]
    model = clf(early_stopping=True, validation_fraction=0.3, scoring=scorer).fit(cut(20, numbered, LABELS))
    rows, counts = np.unique(np.concatenate(trained), return_counts=True)
    assert_array_equal(counts, model.n_iter_)
    assert 0.15 * N < len(validated[0]) < 0.45 * N
    assert_array_equal(np.sort(np.concatenate([rows, validated[0]])), np.arange(N))


def test_the_validation_set_has_not_many_rows(monkeypatch):
    monkeypatch.setattr("sklearn_mlp._blocks.MAX_VALIDATION_ROWS", 10)
    sizes = []

    class Scorer:
        def __call__(self, model, X, y):
            sizes.append(len(y))
            return 0.0

    clf(early_stopping=True, scoring=Scorer(), validation_fraction=0.9).fit(cut(20, X, LABELS))
    assert 2 <= sizes[0] <= 20


def test_no_weight_in_the_validation_set():
    weight = np.r_[np.zeros(N - 1), 1.0]
    with pytest.raises(ValueError, match=r"zero for all rows of the validation set .* set early_stopping=False"):
        clf(early_stopping=True).fit(cut(20, X, LABELS, weight))


@pytest.mark.parametrize(("n_units", "n_used"), [(100, 1), (300, 2)])
def test_a_small_network_leaves_a_core_to_the_reader(n_units, n_used, small_windows):
    """Also if two fits do so at a time."""
    seen = []

    def fit(random_state):
        blocks = cut(25, X, LABELS)
        blocks.fails = lambda i: seen.append(n_blas_threads())
        return clf(hidden_layer_sizes=(n_units,), max_iter=2, random_state=random_state).fit(blocks)

    with threadpool_limits(2, user_api="blas"):
        fit(0)
        assert seen[:6] == [2] * 6  # the survey
        assert set(seen[6:]) == {n_used}
        assert n_blas_threads() == 2
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fit, range(4)))
        assert n_blas_threads() == 2


@pytest.mark.parametrize("fraction", [0.001, 0.9999])
def test_too_few_rows_for_early_stopping(fraction):
    with pytest.raises(ValueError, match="set is too small"):
        clf(early_stopping=True, validation_fraction=fraction).fit(cut(20, X, LABELS))


# -- what is around a fit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"scoring": "neg_log_loss"}], ids=str)
def test_resume(params, tmp_path, small_windows):
    blocks, path = cut(20, X, LABELS), tmp_path / "checkpoint"
    val = {} if "early_stopping" in params else {"X_val": cut(30, X, LABELS)}
    params = {"max_iter": 6, "dropout": 0.1, **params}
    expected = clf(**params).fit(blocks, **val)
    interrupted = clf(**params).set_callbacks(Checkpoint(path), StopWhen(lambda model: model.n_iter_ == 3))
    assert interrupted.fit(blocks, **val).n_iter_ == 3
    assert_same_model(clf(**params).fit(blocks, resume_from=path, **val), expected)
    with pytest.raises(ValueError, match="other data"):
        clf(**params).fit(cut(25, X, LABELS), resume_from=path, **val)
    if val:
        with pytest.raises(ValueError, match="other data: X_val"):
            clf(**params).fit(blocks, resume_from=path, X_val=cut(30, X + 1e-3, LABELS))


def test_warm_start_partial_fit_and_pickles(small_windows):
    blocks = cut(20, X, LABELS)
    model = clf(warm_start=True, max_iter=1, solver="sgd", shuffle=False)
    for _ in range(3):
        model.fit(blocks)
    expected = clf(max_iter=3, solver="sgd", shuffle=False, momentum=0).fit(blocks)
    assert model.n_iter_ == 1
    assert model.t_ == expected.t_ == 3 * N
    in_parts = clf(shuffle=False, batch_size=10)
    for X_part, y, *_ in blocks:
        in_parts.partial_fit(X_part, y, classes=[0, 1, 2])
    assert in_parts.t_ == N
    # The fitted model has no reference to the blocks.
    alive = weakref.ref(blocks)
    restored = pickle.loads(pickle.dumps(model))
    assert_array_equal(restored.predict(X), model.predict(X))
    del blocks, _, X_part, y
    gc.collect()
    assert alive() is None


def test_warm_start_refuses_other_features():
    model = clf(warm_start=True).fit(cut(20, X, LABELS))
    with pytest.raises(ValueError, match="Block 0 of X: X has 2 features, but MLPClassifier is expecting 4"):
        model.fit(cut(20, X[:, :2], LABELS))


def test_callbacks_get_the_blocks():
    seen = []

    class Callback:
        def setup(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
            seen.append((X, y, fitted_estimator.score(X)))

        def teardown(self, estimator, context): ...

    blocks = cut(40, X, LABELS)
    model = clf(early_stopping=True).set_callbacks(Callback()).fit(blocks)
    assert all(each[0] is blocks and each[1] is None for each in seen)
    assert seen[-1][2] == model.score(blocks)


def test_pipelines_and_searches():
    blocks = cut(20, X, LABELS)
    assert make_pipeline(clf()).fit(blocks).score(blocks) == clf().fit(blocks).score(blocks)
    # A search takes items of X, for scikit-learn those of a list.
    search = GridSearchCV(clf(), {"alpha": [0.1, 0.2]}, error_score="raise")
    with pytest.raises(TypeError, match="X is a list of tuples, which is neither an array nor blocks"):
        search.fit(blocks)
    with pytest.raises(ValueError, match="inhomogeneous shape"):
        make_pipeline(StandardScaler(), clf()).fit(blocks)


# -- predictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_out(method, tmp_path, each_device):
    model = clf().fit(X, LABELS)
    expected = getattr(model, method)(X)
    for data in (cut(40, X, LABELS), cut([0, 100, 0, 50], X, LABELS), X):
        out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", expected.dtype, expected.shape)
        assert getattr(model, method)(data, out=out) is out
        assert_allclose(out, expected, rtol=1e-6)
    if method != "predict":
        out = np.empty(expected.shape, np.float32)
        assert_allclose(getattr(model, method)(X, out=out), expected, rtol=1e-5)


def test_transform():
    model = clf().fit(X, LABELS)
    assert_allclose(model.transform(cut(40, X, LABELS)), model.transform(X))


NAMED = clf().partial_fit(X, np.array(["a", "bcd", "ef"])[LABELS], classes=["a", "bcd", "ef"])


@pytest.mark.parametrize(
    ("out", "match"),
    [
        (np.empty((N, 4)), "out has the shape .150, 4.; the result needs .150, 3."),
        (np.empty(N), "out has the shape .150,.; the result needs .150, 3."),
        (np.empty((N + 1, 3)), "out has 151 rows, and X has 150.*Pass out.:150."),
        (np.empty((N - 1, 3)), "out has 149 rows, and X has more: at least 150"),
        (np.empty((N, 3), int), "out has dtype int64, which cannot hold the result's float64"),
        ([0.0] * N, "out is a list. Pass an array"),
    ],
)
def test_an_out_in_which_the_result_does_not_fit(out, match):
    for data in (X, cut(40, X, LABELS)):
        with pytest.raises((TypeError, ValueError), match=match) as error:
            NAMED.predict_proba(data, out=out)
        assert not str(error.value).startswith("Block")


def test_an_out_of_short_strings():
    with pytest.raises(ValueError, match="out has dtype <U1, which cannot hold the result's <U3"):
        NAMED.predict(X, out=np.empty(N, "U1"))


@pytest.mark.parametrize("y", [csr_matrix((X > 0).astype(int)), np.c_[LABELS, LABELS]], ids=["sparse", "list"])
def test_no_out_for_a_result_that_is_no_array(y):
    model = clf().fit(X, y)
    with pytest.raises(ValueError, match="out is for a result that is one dense array"):
        (model.predict if issparse(y) else model.predict_proba)(cut(40, X, LABELS), out=np.empty((N, 4), int))


def test_out_has_errors_of_an_array():
    with pytest.raises(ValueError, match=r"^Input X contains NaN"):
        NAMED.predict(np.full((2, 4), np.nan), out=np.empty(2, "U3"))


# -- memory and threads ------------------------------------------------------------------------------------------------


class Counted(Blocks):
    """Blocks that are made when they are read, and the most of their rows that were alive at once."""

    def __init__(self, n_blocks, n_rows, n_features=50, fails=lambda i: None):
        super().__init__(range(n_blocks), fails)
        self.shape_of_block = n_rows, n_features
        self.alive = self.most = 0

    def __getitem__(self, i):
        super().__getitem__(i)
        random_state = np.random.RandomState(i)
        block, y = random_state.randn(*self.shape_of_block), random_state.randint(3, size=self.shape_of_block[0])
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(block, self._drop)
        return block, y

    def _drop(self):
        self.alive -= 1


@pytest.fixture
def live_windows(small_windows, monkeypatch):
    """The rows of windows that are alive at once: a list with the number of them, and the most that there were."""
    counts = [0, 0]
    join = core.join

    def counted(parts, n_rows):
        window = join(parts, n_rows)
        counts[0] += 1
        counts[1] = max(counts)
        X = window.X
        weakref.finalize(X, lambda: counts.__setitem__(0, counts[0] - 1))
        return window

    monkeypatch.setattr(core, "join", counted)
    return counts


WAYS = {
    "adam": {},
    "in order": {"shuffle": False},
    "early stopping": {"early_stopping": True},
    "lbfgs": {"solver": "lbfgs", "max_fun": 3},
}


@pytest.mark.parametrize("way", WAYS)
def test_two_windows_are_in_memory(way, live_windows):
    blocks = Counted(40, 100)
    model = clf(max_iter=2, **WAYS[way]).fit(blocks)
    gc.collect()
    assert live_windows[0] == 0
    assert live_windows[1] <= 2
    # One is being copied, and one has been; in the survey, one is used while the next is read.
    assert blocks.most <= 3
    assert blocks.alive == 0
    blocks.most = 0
    model.predict(blocks)
    model.score(blocks)
    assert blocks.most <= 3
    assert blocks.alive == 0


def test_two_windows_of_a_validation_set_are_in_memory(live_windows):
    blocks = Counted(40, 100, 4)
    clf(max_iter=2).fit(X, LABELS, X_val=blocks)
    assert live_windows[0] == 0
    assert live_windows[1] <= 2
    assert blocks.most <= 3


class Broken(OSError):
    """With arguments of its own, as those of libraries for files."""

    def __init__(self, code):
        super().__init__(code, "the disk has gone")


def fails_in_epoch(epoch, n_blocks=8):
    """A failure when the blocks are read again, after the survey."""
    reads = dict.fromkeys(range(n_blocks), 0)

    def fails(i):
        reads[i] += 1
        if i == 5 and reads[i] == epoch + 1:
            raise Broken(5)

    return fails


@pytest.mark.parametrize("epoch", [0, 1, 2])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_a_block_that_cannot_be_read(epoch, params, live_windows):
    model = clf(max_iter=5, **params)
    model.fit(X, LABELS)
    before = dict(vars(model))
    blocks = Counted(8, 20, 4, fails_in_epoch(epoch))
    with pytest.raises(Broken) as error:
        model.fit(blocks)
    assert error.value.__notes__ == ["Raised for block 5 of X."]
    assert not readers()  # though the traceback is alive
    assert vars(model) == before
    del error
    gc.collect()
    assert blocks.alive == live_windows[0] == 0
    assert live_windows[1] <= 2


def test_an_error_in_training_leaves_no_reader(live_windows):
    def rate(progress):
        if progress > 0.3:
            raise RuntimeError("stop")
        return 1.0

    blocks = Counted(40, 20, 4)
    model = clf(learning_rate=rate, max_iter=3)
    with pytest.raises(RuntimeError, match="stop") as error:
        model.fit(blocks)
    assert not readers()
    assert not hasattr(model, "coefs_")
    del error
    gc.collect()
    assert blocks.alive == live_windows[0] == 0


def test_an_interrupt_in_training_keeps_the_model(live_windows):
    def rate(progress):
        if progress > 0.5:
            raise KeyboardInterrupt
        return 1.0

    blocks = Counted(40, 20, 4)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = clf(learning_rate=rate, max_iter=4).fit(blocks)
    assert model.n_iter_ == 2
    assert not readers()
    gc.collect()
    assert blocks.alive == live_windows[0] == 0


@pytest.mark.parametrize("call", ["fit", "predict"])
def test_interrupts_while_a_block_is_read(call):
    """The first waits until the block is read, and the second does not."""
    go_on, was_set = threading.Event(), []
    timers = [threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)) for delay in (0.2, 1.2)]

    def fails(i):
        if i == 1:
            for timer in timers:
                timer.start()
            was_set.append(go_on.wait(20))

    with pytest.raises(KeyboardInterrupt):
        getattr(NAMED if call != "fit" else clf(), call)(Blocks(cut(40, X, LABELS).parts, fails))
    go_on.set()
    assert not readers()
    assert was_set == [True]


# -- errors ------------------------------------------------------------------------------------------------------------


def with_block(i, *block):
    """Blocks of 30 rows, one of which is another."""
    parts = cut(30, X, LABELS).parts
    parts[i] = block
    return Blocks(parts)


NAN = X[:30].copy()
NAN[3, 2] = np.nan
HUGE = X[:30].copy()
HUGE[3, 2] = 1e39


@pytest.mark.parametrize(
    ("blocks", "match"),
    [
        (with_block(3, NAN, LABELS[:30]), "Block 3 of X: .*contains NaN"),
        (with_block(3, X[:30, :2], LABELS[:30]), "Block 3 of X: X has 2 features, but MLPClassifier is expecting 4"),
        (with_block(3, X[:30], LABELS[:29]), "Block 3 of X: .*inconsistent numbers of samples"),
        (with_block(3, X[:30]), "Block 3 of X: a block is .X, y. or .X, y, sample_weight., but this is a tuple of 1"),
        (with_block(3, *[X[:30]] * 4), "Block 3 of X: a block is .*, but this is a tuple of 4"),
        (with_block(3, X[:30], None), "Block 3 of X: .*requires y to be passed"),
        (with_block(3, X[:30], LABELS[:30], np.full(30, -1.0)), "Block 3 of X: .*[Nn]egative"),
        (with_block(3, X[:30], LABELS[:30], np.ones(29)), "Block 3 of X: .*sample_weight"),
        (with_block(3, X[:30], LABELS[:30].astype(str)), "types .*'int', 'str'"),
        (with_block(3, csr_matrix(X[:30]), LABELS[:30]), "Block 3 of X: it has a sparse X .*have a dense X"),
        (with_block(3, X[:30], np.c_[LABELS, LABELS][:30]), "Block 3 of X: it has .*y of 2 column.s.*Make them alike"),
        (Blocks([X[:30], X[30:]]), "Block 0 of X: a block is .*, but this is a ndarray"),
        (Blocks([*zip(X, LABELS, strict=True)]), "Block 0 of X: .*X of this one is a ndarray of shape .4,."),
        (Blocks([]), "X has no row with a positive weight"),
        (cut([0, 0], X[:0], LABELS[:0]), "X has no row with a positive weight"),
        (cut(30, X, LABELS, np.zeros(N)), "X has no row with a positive weight"),
    ],
)
def test_blocks_that_are_refused(blocks, match):
    model = clf()
    with pytest.raises((TypeError, ValueError), match=f"(?s){match}"):
        model.fit(blocks)
    assert not hasattr(model, "n_features_in_")
    match = match.replace("of X", "of X_val").replace("X has no", "X_val has no")
    with pytest.raises((TypeError, ValueError), match=f"(?s){match}"):
        model.fit(X, LABELS, X_val=blocks)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.array([*"ab"])[LABELS % 2], "Block 0 of X: y has dtype <U1; MLPRegressor takes numbers only"),
        (LABELS.astype(str), "Block 0 of X: y has dtype <U21; MLPRegressor takes numbers only"),
        (csr_matrix(X), "Block 0 of X: y is a sparse matrix .*; MLPRegressor takes dense targets only"),
    ],
)
def test_no_y_for_a_regressor(y, match):
    with pytest.raises(ValueError, match=match):
        reg().fit(cut(30, X, y))


def test_values_too_large_for_the_precision():
    with pytest.raises(ValueError, match=r"Block 3 of X: .*too large for dtype.'float32'"):
        clf(dtype="float32").fit(with_block(3, HUGE, LABELS[:30]))
    with pytest.raises(ValueError, match=r"Block 3 of X_val: .*too large for dtype.'float32'"):
        clf(dtype="float32").fit(X, LABELS, X_val=with_block(3, HUGE, LABELS[:30]))
    with pytest.raises(ValueError, match=r"Block 3 of X: .*too large for dtype.'float32'"):
        clf(dtype="float32").fit(X, LABELS).predict(with_block(3, HUGE, LABELS[:30]))
    with pytest.raises(ValueError, match=r"sample_weight.*too large"):
        clf(dtype="float32").fit(with_block(3, X[:30], LABELS[:30], np.full(30, 1e39)))


def test_a_block_that_changes_during_fit():
    blocks = cut(30, X, LABELS)

    def grows(i):
        if blocks.loaded.count(3) == 2:
            blocks.parts[3] = X[:31], LABELS[:31]

    blocks.fails = grows
    with pytest.raises(ValueError, match="Block 3 of X had 30 rows when fit read it first, and now has 31"):
        clf().fit(blocks)


def test_a_label_that_appears_during_fit():
    blocks = cut(30, X, LABELS)

    def changes(i):
        if blocks.loaded.count(3) == 2:
            blocks.parts[3] = X[:30], np.full(30, 7)

    blocks.fails = changes
    with pytest.raises(ValueError, match=r"Block 3 of X: y has \[7\], which fit has not seen; its classes are"):
        clf().fit(blocks)


@pytest.mark.parametrize("estimator", [clf(), TabularMLPClassifier()])
@pytest.mark.parametrize(
    ("X_wrong", "match"),
    [
        (((part, y) for part, y in [(X, LABELS)]), "X is a generator, which is neither an array nor blocks"),
        (iter([(X, LABELS)]), "X is a list_iterator"),
        (cut(30, X, LABELS).parts, "X is a list of tuples"),
        (tuple(cut(30, X, LABELS).parts), "X is a tuple of tuples"),
    ],
    ids=["generator", "iterator", "list", "tuple"],
)
def test_parts_that_are_not_blocks(estimator, X_wrong, match):
    for args in [(X_wrong,), (X_wrong, LABELS)]:
        with pytest.raises(TypeError, match=f"{match}.*__len__.*__getitem__.* tuple .X, y. or"):
            estimator.fit(*args)
    with pytest.raises(TypeError, match=match):
        NAMED.predict(X_wrong)


def test_arguments_beside_blocks():
    blocks = cut(30, X, LABELS)
    with pytest.raises(ValueError, match=r"X is a sequence of blocks.* y is given, too"):
        clf().fit(blocks, LABELS)
    with pytest.raises(ValueError, match=r"X is a sequence of blocks.* sample_weight is given, too"):
        clf().fit(blocks, sample_weight=np.ones(N))
    with pytest.raises(ValueError, match=r"X_val is a sequence of blocks.* y_val is given, too"):
        clf().fit(X, LABELS, X_val=blocks, y_val=LABELS)
    with pytest.raises(ValueError, match="blocks, which have y and sample_weight; score takes no others"):
        NAMED.score(blocks, LABELS)
    for y in (LABELS, None):
        with pytest.raises(ValueError, match=r"blocks, which are for fit. Call partial_fit for each"):
            clf().partial_fit(blocks, y, classes=[0, 1, 2])
    for fit in (clf().fit, reg().fit):
        with pytest.raises(ValueError, match="requires y to be passed"):
            fit(X)


@pytest.mark.parametrize("method", ["predict", "score"])
def test_errors_of_predictions_name_the_block(method):
    with pytest.raises(ValueError, match=r"Block 3 of X: .*contains NaN"):
        getattr(NAMED, method)(with_block(3, NAN, NAMED.classes_[LABELS[:30]]))
    with pytest.raises(TypeError, match=r"Block 0 of X: a block is .*, but this is a ndarray"):
        getattr(NAMED, method)(Blocks([X]))
    with pytest.raises(ValueError, match="X has no rows: all of its blocks are empty"):
        getattr(NAMED, method)(cut([0], X[:0], LABELS[:0]))
    broken = cut(20, X, NAMED.classes_[LABELS])
    with pytest.raises(Broken) as error:
        getattr(NAMED, method)(Blocks(broken.parts, fails_in_epoch(0)))
    assert error.value.__notes__ == ["Raised for block 5 of X."]


# -- the survey --------------------------------------------------------------------------------------------------------


@given(sizes_of_blocks(N), st.booleans(), st.integers(1, 200))
@settings(deadline=None, max_examples=30)
def test_surveys_of_parts(sizes, weighted, n_sampled):
    """However the data are cut, and surveys merged, the statistics are those of all rows."""
    random_state = np.random.RandomState(0)
    weight = random_state.randint(0, 3, N).astype(float)
    numbers = np.c_[X_REAL[:N, 0], np.full(N, 0.1)]
    for y, kind in [(LABELS, LabelCounts), (np.c_[LABELS, LABELS % 2].astype(object), LabelCounts), (numbers, Moments)]:
        surveys = [Survey(n_sampled), Survey(n_sampled)]
        for i, (part, of_y, of_weight) in enumerate(cut(sizes, X, y, weight).parts):
            rows = Rows(part, of_y, of_weight if weighted else None) if len(part) else None
            surveys[2 * i >= len(sizes)].add(i, rows, kind)
        survey = surveys[0].merge(surveys[1])
        weights = weight if weighted else np.ones(N)
        assert survey.n_rows_of == sizes
        assert_allclose(survey.total_weight, weights.sum())
        sample = survey.sample
        assert sample.X.shape == (min(N, n_sampled), 4)
        assert len(np.unique(sample.X, axis=0)) == len(np.unique(X, axis=0)) or n_sampled < N
        if kind is Moments:
            mean = np.average(y, axis=0, weights=weights)
            assert_allclose(survey.y.mean, mean, atol=1e-12)
            variance = np.average((y - mean) ** 2, axis=0, weights=weights)
            assert_allclose(survey.y.deviation, np.sqrt(variance), atol=1e-12)
            assert_array_equal(survey.y.values, [y.min(axis=0), y.max(axis=0)])
            continue
        order = np.lexsort(np.atleast_2d(survey.y.values.T.astype(int))[::-1])
        values, which, counts = np.unique(y.astype(int), axis=0, return_inverse=True, return_counts=True)
        assert_array_equal(survey.y.values[order].astype(int), values)
        assert_array_equal(survey.y.counts[order], counts)
        assert_allclose(survey.y.weights[order], np.bincount(which.ravel(), weights))
