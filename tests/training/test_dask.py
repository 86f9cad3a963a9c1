"""Training on a Dask cluster follows its definition, local steps and averages, whatever the workers are."""

import importlib
import inspect
import pickle
import shutil
import signal
import sys
from pathlib import Path

import dask.array as da
import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pytest
from dask.sizeof import sizeof
from distributed import Client, LocalCluster
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_diabetes, load_digits
from sklearn.metrics import accuracy_score

from sklearn_mlp import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp._cluster import automatic_sync_every, deal
from sklearn_mlp._plan import make_plan
from sklearn_mlp._rounds import At, Shard
from sklearn_mlp._training_set import TrainingSet
from sklearn_mlp.callbacks import Checkpoint, StopWhen, TimeLimit
from sklearn_mlp.core.batches import Data
from sklearn_mlp.core.parameters import draw
from sklearn_mlp.core.training import Solver
from sklearn_mlp.dask import (
    DaskMLPClassifier,
    DaskMLPRegressor,
    DaskTabularMLPClassifier,
    DaskTabularMLPRegressor,
)
from sklearn_mlp.devices import kernels_for, resolve_device

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("timeout"),
]

STAND_IN = Path(__file__).parents[1] / "cupy_on_cpu"
X, Y = load_digits(return_X_y=True)
X /= 16
X_REAL, Y_REAL = load_diabetes(return_X_y=True)
X_REAL /= X_REAL.std(axis=0)
DASK_X, DASK_Y = da.from_array(X, chunks=(300, -1)), da.from_array(Y, chunks=300)  # 5 of 300, and 297
PAIRS = {
    DaskMLPClassifier: MLPClassifier,
    DaskMLPRegressor: MLPRegressor,
    DaskTabularMLPClassifier: TabularMLPClassifier,
    DaskTabularMLPRegressor: TabularMLPRegressor,
}
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


def classifier(**parameters):
    return DaskMLPClassifier(**SMALL | {"n_shards": 2} | parameters)


def assert_same_model(one, other):
    assert one.n_iter_ == other.n_iter_
    for name in ("coefs_", "intercepts_"):
        for array, expected in zip(getattr(one, name), getattr(other, name), strict=True):
            assert_array_equal(array, expected)


def assert_close_models(one, other, rtol):
    for name in ("coefs_", "intercepts_"):
        for array, expected in zip(getattr(one, name), getattr(other, name), strict=True):
            assert_allclose(array, expected, rtol=rtol, atol=rtol)


# -- the interface -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PAIRS)
def test_signatures_are_those_of_the_local_estimators(kind):
    of_dask, local = inspect.signature(kind).parameters, inspect.signature(PAIRS[kind]).parameters
    assert list(of_dask.values())[: len(local)] == list(local.values())
    more = {name: of_dask[name].default for name in of_dask.keys() - local.keys()}
    assert more == {"client": None, "n_shards": None, "sync_every": "auto"}
    assert all(of_dask[name].kind is inspect.Parameter.KEYWORD_ONLY for name in more)
    for name in ("fit", "partial_fit", "predict", "predict_proba", "score"):
        assert hasattr(kind, name) == hasattr(PAIRS[kind], name)
    assert inspect.signature(kind.fit) == inspect.signature(PAIRS[kind].fit)


@pytest.mark.parametrize("parameters", [{"n_shards": 0}, {"sync_every": 0}, {"sync_every": "never"}, {"client": 3}])
def test_parameters_are_validated(client, parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of DaskMLPClassifier must be"):
        classifier(**parameters).fit(DASK_X, DASK_Y)
    fitted = classifier().partial_fit(DASK_X, DASK_Y, classes=range(10))
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        fitted.set_params(**parameters).partial_fit(DASK_X, DASK_Y)


def test_fitted_attributes_and_to_local(client):
    clf = classifier(sync_every=2).fit(DASK_X, DASK_Y)
    assert (clf.client_, clf.n_shards_, clf.sync_every_, clf.n_rounds_) == (client, 2, 2, 9)  # 5 steps an epoch
    assert (clf.n_iter_, clf.t_, len(clf.loss_curve_), clf.n_features_in_) == (3, 3 * 1797, 3, 64)
    local = clf.to_local()
    assert type(local) is MLPClassifier
    assert not {"client_", "n_shards_", "sync_every_", "n_rounds_", "client", "n_shards"} & vars(local).keys()
    assert_array_equal(local.predict(X), clf.predict(DASK_X).compute())
    assert clf.score(DASK_X, DASK_Y) == local.score(X, Y)
    weight = np.arange(len(Y)) % 3.0
    of_weight = clf.score(DASK_X, DASK_Y, da.from_array(weight, chunks=300))
    assert_allclose(of_weight, local.score(X, Y, weight))
    assert of_weight != local.score(X, Y)
    assert_array_equal(clf.transform(DASK_X).compute(), local.transform(X))


def test_clones_keep_the_client_and_pickles_do_not(client, tmp_path):
    clf = classifier(client=client).fit(DASK_X, DASK_Y)
    assert clone(clf).client is client
    assert not hasattr(clone(clf), "coefs_")
    joblib.dump(clf, tmp_path / "clf")
    for restored in (pickle.loads(pickle.dumps(clf)), joblib.load(tmp_path / "clf")):
        assert restored.client is None
        assert not hasattr(restored, "client_")
        assert_array_equal(restored.predict(DASK_X).compute(), clf.predict(DASK_X).compute())
    assert clf.client is clf.client_ is client


# -- rounds against their definition -----------------------------------------------------------------------------------


def mean(one, other, share):
    """Of parameters and states: arrays are averaged, and counts are equal or the larger one."""
    if isinstance(one, dict):
        return {name: mean(one[name], other[name], share) for name in one}
    if isinstance(one, list):
        return [mean(*pair, share) for pair in zip(one, other, strict=True)]
    if isinstance(one, np.ndarray):
        return (1 - share) * one + share * other
    return one if one is None else max(one, other)


def train_by_hand(mlp, shards, n_rounds, X, y, weight=None):
    """The parameters after all epochs, each in rounds of local steps, of which the results are averaged by rows.

    With one shard, there are no rounds: the solver simply continues.
    """
    device, random_state = kernels_for(resolve_device("cpu"), np.inf), np.random.RandomState(0)
    of = TrainingSet(mlp, device, X, y, weight, X.dtype)
    plan = make_plan(mlp, device, X.dtype, of.task, of.loss, False)
    slots = plan.slots(X.shape[1])
    theta = draw(slots, random_state, X.dtype)
    dropout = random_state.randint(2**31) if plan.drops_out else 0
    n_steps_of = [-(-len(rows) // plan.batch_size) for rows in shards]
    solvers = [
        Solver(
            plan,
            theta.like(theta.vector.copy()),
            mlp.max_iter * max(n_steps_of),
            int(np.random.SeedSequence([dropout, k]).generate_state(1)[0]) >> 1,
        )
        for k in range(len(shards))
    ]
    for _ in range(mlp.max_iter):
        orders, seed = [rows.copy() for rows in shards], random_state.randint(2**31)
        for k, order in enumerate(orders):
            shuffled = np.arange(len(order))
            np.random.RandomState([seed, k]).shuffle(shuffled)
            order[:] = order[shuffled]
        for part in range(n_rounds):
            n_rows = []
            for solver, order, n_steps in zip(solvers, orders, n_steps_of, strict=True):
                start, stop = part * n_steps // n_rounds, (part + 1) * n_steps // n_rounds
                rows = order[start * plan.batch_size : stop * plan.batch_size]
                n_rows.append(len(rows))
                data = Data(of.X, of.target, of.sample_weight, rows)
                solver.steps(data.batches(device, plan.dtype, plan.batch_size))
            if len(solvers) > 1:
                share = n_rows[1] / sum(n_rows)
                parameters = mean(*(solver.parameters() for solver in solvers), share)
                state = mean(*(solver.state() for solver in solvers), share)
                for solver in solvers:
                    solver.load_parameters(parameters)
                    solver.load(state)
    return solvers[0].objective.model


# `on_cluster` and `by_hand` train with these parameters.
SETTINGS = {
    "adam": {},
    "float32": {"dtype": "float32"},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive"},
    "muon": {"solver": "muon", "hidden_layer_sizes": (8, 8)},
    "cosine": {"learning_rate": "cosine", "warmup_fraction": 0.2, "max_grad_norm": 0.5},
    "dropout": {"dropout": 0.2, "solver": "adamw"},
    "batch": {"normalization": "batch"},
    "ema": {"ema_decay": 0.9},
    "balanced": {"class_weight": "balanced", "label_smoothing": 0.1},
}


def by_hand(parameters, shards, n_rounds):
    mlp = MLPClassifier(**SMALL | {"learning_rate_init": 0.01} | parameters)
    rows = X.astype(parameters.get("dtype", np.float64))
    return train_by_hand(mlp, shards, n_rounds, rows, Y)


def on_cluster(parameters, **of_cluster):
    return classifier(learning_rate_init=0.01, **parameters | of_cluster).fit(DASK_X, DASK_Y)


def settings(*fast):
    """All settings, of which those that are not fast to test here are tested by the slow suite."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in SETTINGS]


@pytest.mark.parametrize("setting", settings("adam", "float32", "dropout", "ema"))
def test_one_shard_is_the_solver_without_rounds(client, setting):
    """A round begins where the one before has ended: parameters, averages, and the state of the solver."""
    clf = on_cluster(SETTINGS[setting], n_shards=1, sync_every=4)
    assert clf.n_rounds_ == 3 * 3
    expected = by_hand(SETTINGS[setting], [np.arange(len(X))], 3)
    for layer, W in enumerate(clf.coefs_):
        assert_array_equal(W, expected.W[layer])


@pytest.mark.parametrize("setting", settings("adam", "sgd", "muon", "cosine", "batch", "balanced"))
def test_two_shards_are_averaged_by_their_rows(client, setting):
    """The partitions of 300 rows are dealt in turns, and the last one, of 297, is the last of the second shard."""
    assert deal([300] * 5 + [297], 2) == [[0, 2, 4], [1, 3, 5]]
    partition = np.arange(len(X)) // 300
    shards = [np.flatnonzero(partition % 2 == k) for k in range(2)]
    clf = on_cluster(SETTINGS[setting], sync_every=2)
    expected = by_hand(SETTINGS[setting], shards, 3)
    rtol = 1e-4 if setting == "float32" else 1e-9
    for layer, W in enumerate(clf.coefs_):
        assert_allclose(W, expected.W[layer], rtol=rtol, atol=rtol)


def test_a_step_of_two_shards_is_a_step_on_the_union(client):
    """For gradients without momentum and shards of one batch each, an average of steps is the step of the average."""
    parameters = SMALL | {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.5, "alpha": 0, "shuffle": False}
    x, y = X[:600], Y[:600]
    local = MLPClassifier(**parameters, batch_size=600).fit(x, y)
    clf = DaskMLPClassifier(**parameters, batch_size=300, n_shards=2, sync_every=1)
    clf.fit(da.from_array(x, chunks=(300, -1)), da.from_array(y, chunks=300))
    assert_close_models(clf, local, 1e-12)
    assert_allclose(clf.loss_curve_, local.loss_curve_)


@pytest.mark.parametrize("weighted", [False, True])
def test_lbfgs_is_that_of_the_local_estimator(client, weighted):
    """Sums over 3 shards and weights of zero in whole partitions change nothing except rounding."""
    parameters = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "max_iter": 8, "random_state": 0, "alpha": 0.1}
    weight = np.where(np.arange(len(Y)) < 300, 0.0, np.arange(len(Y)) % 5) if weighted else None
    local = MLPClassifier(**parameters, class_weight="balanced").fit(X, Y, weight)
    clf = DaskMLPClassifier(**parameters, class_weight="balanced", n_shards=3)
    clf.fit(DASK_X, DASK_Y, da.from_array(weight, chunks=300) if weighted else None)
    assert_close_models(clf, local, 1e-6)
    assert not hasattr(clf, "n_rounds_")


@pytest.mark.parametrize(
    "parameters",
    [
        {"standardize_target": True},
        {"loss": "huber", "standardize_target": True},
        {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
        {"loss": "poisson"},
    ],
)
def test_losses_are_those_of_the_local_regressor(client, parameters):
    parameters |= {"hidden_layer_sizes": (8,), "solver": "lbfgs", "max_iter": 8, "random_state": 0}
    local = MLPRegressor(**parameters).fit(X_REAL, Y_REAL)
    x, y = da.from_array(X_REAL, chunks=(100, -1)), da.from_array(Y_REAL, chunks=100)
    reg = DaskMLPRegressor(**parameters, n_shards=2).fit(x, y)
    assert_allclose(reg.predict(x).compute(), local.predict(X_REAL), rtol=1e-6)
    assert_allclose(reg.loss_, local.loss_, rtol=1e-9)
    if "quantile" not in parameters:
        assert_allclose(reg.score(x, y), local.score(X_REAL, Y_REAL), rtol=1e-6)


def test_several_targets_of_a_regressor(client):
    parameters = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "max_iter": 5, "random_state": 0}
    Y_TWO = np.c_[Y_REAL, X_REAL[:, 2]]
    x, y = da.from_array(X_REAL, chunks=(100, -1)), da.from_array(Y_TWO, chunks=(100, -1))
    reg = DaskMLPRegressor(**parameters, standardize_target=True).fit(x, y)
    local = MLPRegressor(**parameters, standardize_target=True).fit(X_REAL, Y_TWO)
    assert_allclose(reg.predict(x).compute(), local.predict(X_REAL), rtol=1e-6)
    assert_allclose(reg.score(x, y), local.score(X_REAL, Y_TWO))


# -- shards, not workers -----------------------------------------------------------------------------------------------


def test_threads_in_this_process_give_the_same_bits_as_two_processes(client):
    """Also for more shards than threads, and with the client of another thread's choice."""
    parameters = {"n_shards": 4, "sync_every": 1, "dropout": 0.1, "early_stopping": True}
    expected = classifier(**parameters, client=client).fit(DASK_X, DASK_Y)
    options = {"processes": False, "n_workers": 1, "dashboard_address": ":0", "set_as_default": False}
    with Client(threads_per_worker=2, **options) as threads:
        clf = classifier(**parameters, client=threads).fit(DASK_X, DASK_Y)
        assert clf.score(DASK_X, DASK_Y) == expected.score(DASK_X, DASK_Y)
        assert DaskMLPClassifier(**SMALL, client=threads).fit(DASK_X, DASK_Y).n_shards_ == 2
    assert_same_model(clf, expected)
    assert clf.n_shards_ == 4


def test_automatic_sync_every_depends_on_numbers(client):
    sizes = [
        (n_parameters, batch, n_shards)
        for n_parameters in (10**4, 10**6)
        for batch in (100, 1000)
        for n_shards in (2, 8)
    ]
    found = [automatic_sync_every(*size) for size in sizes]
    assert found == [automatic_sync_every(*size) for size in sizes]
    assert all(type(each) is int and each >= 1 for each in found)
    # A step takes longer with more parameters or rows, so that a round needs fewer of them.
    assert found[0] > found[2] > found[6]
    assert automatic_sync_every(10**9, 10**6, 2) == 1
    # The second time, the data are compiled and cached: it is faster.
    assert classifier().fit(DASK_X, DASK_Y).sync_every_ == classifier().fit(DASK_X, DASK_Y).sync_every_ == 5


# -- validation, callbacks, continuation -------------------------------------------------------------------------------


class Record:
    """A scorer of constant value that remembers what it is given."""

    def __init__(self):
        self.X, self.y = None, None

    def __call__(self, estimator, X, y):
        assert type(estimator) is MLPClassifier
        self.X, self.y = X, y
        return 0.5


def test_rows_held_out_by_early_stopping_are_not_trained_on(client):
    scoring = Record()
    parameters = {"early_stopping": True, "validation_fraction": 0.2}
    clf = classifier(**parameters, scoring=scoring).fit(DASK_X, DASK_Y)
    assert 0.15 < len(scoring.X) / len(X) < 0.25
    assert clf.validation_scores_ == [0.5] * 3
    rows = {row.tobytes(): i for i, row in enumerate(X)}
    held_out = [rows[row.tobytes()] for row in scoring.X]
    assert_array_equal(scoring.y, Y[held_out])

    def after(changed):
        y = Y.copy()
        y[changed] = (y[changed] + 1) % 10
        return classifier(**parameters, scoring=Record()).fit(DASK_X, da.from_array(y, chunks=300))

    assert_same_model(after(held_out), clf)
    trained = np.setdiff1d(np.arange(len(X)), held_out)[:1]
    assert not np.array_equal(after(trained).coefs_[0], clf.coefs_[0])


class Blocks:
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return X[i * 200 : (i + 1) * 200], Y[i * 200 : (i + 1) * 200]


def test_validation_sets_of_any_kind(client):
    local = classifier().fit(DASK_X, DASK_Y).to_local()
    kinds = {
        "numpy": (X[:400], Y[:400]),
        "dask": (DASK_X[:400], DASK_Y[:400]),
        "blocks": (Blocks(), None),
    }
    for X_val, y_val in kinds.values():
        clf = (
            classifier(scoring="accuracy").fit(DASK_X, DASK_Y, X_val=X_val, y_val=y_val)
            if y_val is not None
            else (classifier().fit(DASK_X, DASK_Y, X_val=X_val))
        )
        assert_allclose(clf.validation_scores_[-1], accuracy_score(Y[:400], local.predict(X[:400])))
        assert len(clf.validation_loss_curve_) == 3


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_checkpoint_continues_with_the_same_bits(client, tmp_path, early_stopping):
    parameters = {"max_iter": 6, "sync_every": 2, "early_stopping": early_stopping, "dropout": 0.1}
    expected = classifier(**parameters).fit(DASK_X, DASK_Y)
    stopped = classifier(**parameters).set_callbacks(Checkpoint(tmp_path / "c"), StopWhen(lambda clf: clf.n_iter_ == 2))
    assert stopped.fit(DASK_X, DASK_Y).n_iter_ == 2
    resumed = classifier(**parameters).fit(DASK_X, DASK_Y, resume_from=tmp_path / "c")
    assert_same_model(resumed, expected)
    assert resumed.loss_curve_ == expected.loss_curve_
    for name, value in {"n_shards": 3, "sync_every": 1}.items():
        with pytest.raises(ValueError, match=f"{name} was 2.0, and is {value}.0"):
            classifier(**parameters | {name: value}).fit(DASK_X, DASK_Y, resume_from=tmp_path / "c")


def test_partial_fit_continues(client):
    """With a seed, epochs of partial_fit are those of fit: the state of Adam and the random stream are kept."""
    clf = classifier()
    for _ in range(3):
        clf.partial_fit(DASK_X, DASK_Y, classes=range(10))
        clf = pickle.loads(pickle.dumps(clf))
    expected = classifier().fit(DASK_X, DASK_Y)
    for W, of_fit in zip(clf.coefs_, expected.coefs_, strict=True):
        assert_array_equal(W, of_fit)
    assert clf.loss_curve_ == expected.loss_curve_
    assert (clf.client, clf.t_) == (None, 3 * 1797)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier().partial_fit(DASK_X, DASK_Y)


def test_warm_start(client):
    clf = classifier(warm_start=True).fit(DASK_X, DASK_Y)
    losses = clf.loss_curve_.copy()
    clf.fit(DASK_X, DASK_Y)
    assert clf.loss_curve_[:3] == losses
    assert clf.loss_curve_[3] < losses[0]


def test_callbacks_and_verbose(client, capsys):
    clf = classifier(max_iter=50, verbose=True).set_callbacks(TimeLimit(1e-6), ProgressBar())
    assert clf.fit(DASK_X, DASK_Y).n_iter_ == 1
    assert "Iteration 1, loss = " in capsys.readouterr().out
    seen = []
    classifier().set_callbacks(StopWhen(lambda clf: seen.append((type(clf), clf.n_iter_)))).fit(DASK_X, DASK_Y)
    assert seen[:3] == [(DaskMLPClassifier, i) for i in (1, 2, 3)]


# -- tables ------------------------------------------------------------------------------------------------------------

N_ROWS = 900
_rng = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "number": _rng.normal(size=N_ROWS),
        "gaps": np.where(_rng.random(N_ROWS) < 0.2, np.nan, _rng.normal(size=N_ROWS)),
        "colour": _rng.choice(["red", "green", "blue"], N_ROWS),
    },
    index=np.arange(N_ROWS) * 2,
)
OF_TABLE = TABLE["number"] + (TABLE["colour"] == "red") * 2 + TABLE["gaps"].fillna(3) > 1.2
TABULAR = {"n_members": 2, "max_iter": 20, "hidden_layer_sizes": (16,), "random_state": 0, "learning_rate_init": 0.03}


def frame(table, n_partitions=3):
    return dd.from_pandas(table, npartitions=n_partitions)


def test_tables(client):
    x, y = frame(TABLE), frame(OF_TABLE)
    clf = DaskTabularMLPClassifier(**TABULAR, n_shards=2).fit(x, y)
    local = TabularMLPClassifier(**TABULAR).fit(TABLE, OF_TABLE)
    assert local.score(TABLE, OF_TABLE) > 0.9
    assert clf.score(x, y) > local.score(TABLE, OF_TABLE) - 0.03
    assert (clf.n_shards_, len(clf.estimators_), clf.client_) == (2, 2, client)
    assert clf.n_rounds_ == sum(network.n_iter_ for network in clf.estimators_) * -(-450 // 128 // clf.sync_every_)
    probability = clf.predict_proba(x)
    assert probability.divisions == x.divisions
    assert_array_equal(probability.compute().index, TABLE.index)
    restored = pickle.loads(pickle.dumps(clf))
    assert type(clf.to_local()) is TabularMLPClassifier
    for same in (restored.to_local(), clf.to_local()):
        assert_allclose(same.predict_proba(TABLE), probability.compute(), rtol=1e-6)


def test_tables_of_zero_weights_and_with_a_validation_set(client):
    """Rows of zero weight have no effect, also if they are all of a partition."""
    weight = pd.Series(np.where(np.arange(N_ROWS) < 300, 0.0, 1.0), TABLE.index)
    changed = OF_TABLE.copy()
    changed.iloc[:300] = ~changed.iloc[:300]
    fits = [
        DaskTabularMLPClassifier(**TABULAR, n_shards=2).fit(
            frame(TABLE), frame(y), frame(weight), X_val=TABLE[:200], y_val=OF_TABLE[:200]
        )
        for y in (OF_TABLE, changed)
    ]
    probability = [clf.predict_proba(frame(TABLE)).compute() for clf in fits]
    assert_array_equal(*probability)
    assert len(fits[0].estimators_[0].validation_loss_curve_) == fits[0].estimators_[0].n_iter_
    assert fits[0].score(frame(TABLE), frame(OF_TABLE)) > 0.85


def test_tables_of_a_regressor(client):
    y = TABLE["number"] * 3 + (TABLE["colour"] == "red") * 5 + 100
    reg = DaskTabularMLPRegressor(**TABULAR, n_shards=2).fit(frame(TABLE), frame(y))
    assert reg.score(frame(TABLE), frame(y)) > 0.9


def test_groups_of_tables_are_refused(client):
    with pytest.raises(ValueError, match="groups is for arrays and data frames in memory"):
        DaskTabularMLPClassifier(**TABULAR).fit(frame(TABLE), frame(OF_TABLE), groups=np.arange(N_ROWS))


# -- a GPU -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        pytest.param({"dropout": 0.1, "normalization": "batch", "ema_decay": 0.9}, marks=pytest.mark.slow),
        pytest.param({"solver": "lbfgs"}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.skipif(shutil.which("c++") is None, reason="the stand-in for CuPy needs a C++ compiler, c++")
def test_workers_with_a_gpu(parameters):
    """Or its stand-in, which the client does not need; the model is that of the CPU up to rounding."""
    signal.alarm(240)  # the worker compiles the kernels
    folder = str(STAND_IN)

    def load_stand_in():
        sys.path.insert(0, folder)
        return importlib.import_module("cupy").__file__

    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        assert all(path.startswith(folder) for path in client.run(load_stand_in).values())
        clf = classifier(device="cuda", **parameters).fit(DASK_X, DASK_Y)
        expected = classifier(**parameters).fit(DASK_X, DASK_Y)
        prediction = clf.predict(DASK_X).compute()
    assert clf.device_ == "cuda"
    assert_close_models(clf, expected, 1e-6)
    local = clf.to_local()
    assert local.device == "cuda"
    assert_array_equal(prediction, local.set_params(device="cpu").predict(X))


def test_dask_knows_how_large_shards_and_parameters_are():
    """Or it would move a shard to where a thread is idle."""
    data = Data(np.zeros((100, 10)), np.zeros(100), np.zeros(100))
    assert sizeof(Shard(data, None, ((0, 100),))) >= 100 * 12 * 8
    assert sizeof(At({"theta": np.zeros(1000), "model": None}, {"optimizer": {"m": np.zeros(1000)}})) >= 16_000
