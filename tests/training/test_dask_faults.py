"""A fit on a Dask cluster survives workers and restarts, leaves nothing on the cluster, and sends little to it."""

import os
import threading
import time

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, Future, LocalCluster
from distributed.comm.tcp import TCP
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from sklearn_mlp import _cluster, _rounds
from sklearn_mlp.callbacks import StopWhen
from sklearn_mlp.dask import DaskMLPClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("timeout"),
]

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
DASK_X, DASK_Y = da.from_array(X, chunks=(300, -1)), da.from_array(Y, chunks=300)


def classifier(**parameters):
    defaults = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0, "n_shards": 2, "sync_every": 2}
    return DaskMLPClassifier(**defaults | parameters)


@pytest.fixture(scope="module")
def expected(client):
    return classifier().fit(DASK_X, DASK_Y).coefs_


def assert_same(clf, expected):
    for W, of_expected in zip(clf.coefs_, expected, strict=True):
        assert_array_equal(W, of_expected)


def n_tasks(client):
    return client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))


def assert_nothing_is_left(client):
    """Futures are released by messages, which take a moment."""
    deadline = time.monotonic() + 10
    while n_tasks(client) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert n_tasks(client) == 0
    assert not client.futures


class KillsOnce:
    """A learning rate of 1 that ends the process of a worker after half of the steps, if there is a file."""

    def __init__(self, path):
        self.path = path
        self.client = os.getpid()

    def __call__(self, progress):
        if progress > 0.5 and os.getpid() != self.client and os.path.exists(self.path):
            os.remove(self.path)
            os._exit(1)
        return 1.0


def test_a_killed_worker_changes_nothing(client, tmp_path):
    gate = tmp_path / "gate"
    before = classifier(learning_rate=KillsOnce(gate)).fit(DASK_X, DASK_Y)
    gate.touch()
    clf = classifier(learning_rate=KillsOnce(gate)).fit(DASK_X, DASK_Y)
    assert not gate.exists()
    assert clf.loss_curve_ == before.loss_curve_
    assert_same(clf, before.coefs_)
    client.wait_for_workers(2)
    assert_nothing_is_left(client)


def test_workers_that_die_again_and_again(client, tmp_path):
    """Dask gives up, here after one death: the error says after which round, and how to go on."""
    gate = tmp_path / "gate"
    gate.touch()

    def allow(n_failures):
        client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", n_failures))

    allow(0)
    try:
        with pytest.raises(RuntimeError, match=r"stopped after \d rounds: the workers .* died.*resume_from") as kept:
            classifier(learning_rate=KillsOnce(gate)).fit(DASK_X, DASK_Y)
    finally:
        allow(3)
    assert "n_shards" in str(kept.value)
    client.wait_for_workers(2)
    assert_nothing_is_left(client)


def cancel_all(client):
    """What a restart does to the futures of a client."""
    client.cancel([Future(key, client) for key in list(client.futures)], force=True)


def at_epoch(epoch, function):
    """A callback that calls a function once, at the end of an epoch."""
    called = []

    def condition(clf):
        if clf.n_iter_ == epoch and not called:
            called.append(function())

    return StopWhen(condition)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_lost_tasks_are_made_again(client, solver):
    before = classifier(solver=solver).fit(DASK_X, DASK_Y)
    clf = classifier(solver=solver).set_callbacks(at_epoch(2, lambda: cancel_all(client)))
    assert_same(clf.fit(DASK_X, DASK_Y), before.coefs_)
    assert_nothing_is_left(client)


def test_tasks_that_are_lost_within_a_round_are_made_again(client, expected):
    """By another thread, while a round waits for its tasks."""
    gate = threading.Event()
    submit, n_submitted = client.submit, []

    def submit_and_cancel(function, *args, **kwargs):
        future = submit(function, *args, **kwargs)
        n_submitted.append(function)
        if function is _rounds.average and n_submitted.count(function) == 2 and not gate.is_set():
            gate.set()
            cancel_all(client)
        return future

    client.submit = submit_and_cancel
    try:
        clf = classifier().fit(DASK_X, DASK_Y)
    finally:
        del client.submit
    assert gate.is_set()
    assert_same(clf, expected)
    del clf
    assert_nothing_is_left(client)


def test_lost_data_say_what_to_do(client):
    x, y = DASK_X.persist(), DASK_Y.persist()
    clf = classifier().set_callbacks(at_epoch(2, lambda: cancel_all(client)))
    with pytest.raises(RuntimeError, match=r"after 6 rounds.*persist, scatter.*create them again.*resume_from"):
        clf.fit(x, y)
    assert not hasattr(clf, "coefs_")
    del x, y
    assert_nothing_is_left(client)


@pytest.mark.slow
@pytest.mark.parametrize("persists", [False, True])
def test_a_restart(persists):
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        expected = classifier().fit(DASK_X, DASK_Y)
        clf = classifier().set_callbacks(at_epoch(2, client.restart))
        x, y = (DASK_X.persist(), DASK_Y.persist()) if persists else (DASK_X, DASK_Y)
        if persists:
            with pytest.raises(RuntimeError, match="create them again"):
                clf.fit(x, y)
        else:
            assert_same(clf.fit(x, y), expected.coefs_)


# -- nothing is left ---------------------------------------------------------------------------------------------------


def interrupt():
    raise KeyboardInterrupt


def fail():
    raise ArithmeticError("of a callback")


def test_nothing_is_left_after_a_fit(client):
    clf = classifier().fit(DASK_X, DASK_Y)
    assert_nothing_is_left(client)
    clf.partial_fit(DASK_X, DASK_Y)
    prediction = clf.predict(DASK_X)
    clf.score(DASK_X, DASK_Y)
    assert_nothing_is_left(client)
    assert prediction.shape == Y.shape


def test_nothing_is_left_after_an_interrupt(client):
    clf = classifier(max_iter=50).set_callbacks(at_epoch(2, interrupt))
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf.fit(DASK_X, DASK_Y)
    assert clf.n_iter_ == 2
    assert clf.score(DASK_X, DASK_Y) > 0
    assert_nothing_is_left(client)


def test_nothing_is_left_after_an_interrupt_within_a_round(client, monkeypatch):
    """Which comes while the client waits for tasks; the task that runs then ends, and nothing follows it."""
    result = _cluster.Cluster._result

    def interrupted(self, future):
        if self.n_rounds == 4:
            raise KeyboardInterrupt
        return result(self, future)

    monkeypatch.setattr(_cluster.Cluster, "_result", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        clf = classifier(max_iter=50).fit(DASK_X, DASK_Y)
    assert (clf.n_iter_, clf.n_rounds_) == (1, 4)
    assert_nothing_is_left(client)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_nothing_is_left_after_an_error_whose_traceback_is_kept(client, solver):
    """Its frames have the futures."""
    with pytest.raises(ArithmeticError) as kept:
        classifier(solver=solver).set_callbacks(at_epoch(2, fail)).fit(DASK_X, DASK_Y)
    assert_nothing_is_left(client)
    broken = DASK_X.map_blocks(lambda block: block * np.nan)
    with pytest.raises(ValueError, match=r"Partition . of X: Input X contains NaN") as of_survey:
        classifier(solver=solver).fit(broken, DASK_Y)
    assert_nothing_is_left(client)
    assert kept.tb
    assert of_survey.tb


# -- several fits and clients ------------------------------------------------------------------------------------------


def test_two_fits_at_once(client, expected):
    """On one client, from two threads, of which neither waits for the other."""
    threshold = dask.config.get("distributed.admin.large-graph-warning-threshold")
    results, errors, together = {}, [], threading.Barrier(2, timeout=30)

    def fit(seed):
        try:
            clf = classifier(random_state=seed, client=client)
            results[seed] = clf.set_callbacks(at_epoch(2, together.wait)).fit(DASK_X, DASK_Y)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert_same(results[0], expected)
    assert_same(results[1], classifier(random_state=1).fit(DASK_X, DASK_Y).coefs_)
    assert dask.config.get("distributed.admin.large-graph-warning-threshold") == threshold
    assert_nothing_is_left(client)


def test_without_a_client(monkeypatch):
    def no_client():
        raise ValueError("No global client found")

    monkeypatch.setattr(_cluster, "get_client", no_client)
    with pytest.raises(RuntimeError, match=r"no Dask client.*distributed.Client"):
        classifier().fit(DASK_X, DASK_Y)


def test_a_client_that_is_closed_or_without_workers(monkeypatch):
    monkeypatch.setattr(_cluster, "SECONDS_FOR_WORKERS", 0.1)
    options = {"processes": False, "dashboard_address": ":0"}
    with (
        LocalCluster(n_workers=0, **options) as cluster,
        Client(cluster, set_as_default=False) as without,
        pytest.raises(RuntimeError, match=r"had no worker for 0.1 seconds.*cluster.scale"),
    ):
        classifier(client=without).fit(DASK_X, DASK_Y)
    with pytest.raises(RuntimeError, match=r"is closed\. Pass a running client"):
        classifier(client=without).fit(DASK_X, DASK_Y)


# -- what is sent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_epochs", [10, pytest.param(40, marks=pytest.mark.slow)])
def test_the_scheduler_keeps_nothing_of_many_rounds(client, n_epochs):
    """50 or 200 rounds: there are the partitions, the shards, and the tasks of the last round that are not released."""
    n_tasks_of = []
    clf = classifier(max_iter=n_epochs, sync_every=1, tol=0, n_iter_no_change=50)
    clf.set_callbacks(StopWhen(lambda clf: n_tasks_of.append(n_tasks(client)))).fit(DASK_X, DASK_Y)
    assert clf.n_rounds_ == 5 * n_epochs
    assert max(n_tasks_of) <= 30
    assert np.mean(n_tasks_of[n_epochs // 2 :]) <= np.mean(n_tasks_of[: n_epochs // 2]) + 5


def count_bytes():
    """Count what this process sends, in `TCP.sizes`."""
    write, TCP.sizes = TCP.write, []

    async def counted(self, *args, **kwargs):
        TCP.sizes.append(await write(self, *args, **kwargs))
        return TCP.sizes[-1]

    TCP.write = counted
    return write


def stop_counting(write):
    TCP.write = write
    del TCP.sizes


def test_bytes_of_a_round(client):
    """Each shard gets parameters and moments, and gives them back: 24 bytes a parameter in single precision.

    They pass the scheduler between the client and a worker on one of the ways, which adds 12 bytes for all shards.
    """
    client.run(count_bytes)
    write = count_bytes()
    try:
        totals = {}
        for max_iter in (2, 12):
            clf = classifier(hidden_layer_sizes=(4000,), max_iter=max_iter, sync_every=5).fit(DASK_X, DASK_Y)
            totals[max_iter] = sum(TCP.sizes) + sum(client.run(lambda: sum(TCP.sizes)).values())
    finally:
        stop_counting(write)
    n_parameters = sum(W.size for W in clf.coefs_ + clf.intercepts_)
    # The second total includes the first, and both fits have read the data.
    of_round = (totals[12] - 2 * totals[2]) / 10 / n_parameters
    assert of_round <= (24 * clf.n_shards_ + 12) * 1.01
