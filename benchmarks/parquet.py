"""Training from Parquet files: its speed next to that of the same rows in memory, and its peak memory.

Speed: MLPClassifier in float32, on a narrow and on a wide table, fitted to an array and to `ParquetBlocks` in turn. The
time of an epoch is the median over those after the first, of all runs; that of a fit includes the survey and the first
epoch. Memory: a new process fits one epoch to 10⁶ or to 10⁷ rows; the peak of resident memory during the fit, minus the
memory before it. Linux only. The files have the compression and the encoding that pyarrow chooses. Run with
`python benchmarks/parquet.py`; takes some minutes, and 1.5 GB in the folder of temporary files.
"""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from joblib import cpu_count
from threadpoolctl import threadpool_info

from sklearn_mlp import MLPClassifier
from sklearn_mlp.blocks import ParquetBlocks

N_EPOCHS = 4
# Rows, columns, rows of a row group, whether columns have a dictionary; and the networks.
TABLES = {
    "narrow": (2_000_000, 20, 25_000, False, ((100,), (256, 256))),
    "wide": (1_000_000, 200, 25_000, False, ((100,), (256, 256))),
    "wide, with dictionaries": (1_000_000, 200, 25_000, True, ((100,),)),
}
# Of the tables for memory: rows; columns, rows of a row group, dictionary.
ROWS = 1_000_000, 10_000_000
OTHERS = 10, 50_000, False

SCRIPT = """
import resource, sys, warnings
import numpy as np
from sklearn_mlp import MLPClassifier, TabularMLPClassifier
from sklearn_mlp.blocks import ParquetBlocks
warnings.simplefilter("ignore")

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

model = {
    "MLPClassifier": MLPClassifier(dtype="float32", max_iter=1, random_state=0),
    "TabularMLPClassifier": TabularMLPClassifier(hidden_layer_sizes=(32,), n_members=1, max_iter=1, random_state=0),
}[sys.argv[1]]
blocks = ParquetBlocks(sys.argv[2], target="y")
X, y = blocks[0]
model.fit(X[:1000], y[:1000])
del X, y
with open("/proc/self/clear_refs", "w") as clear_refs:
    clear_refs.write("5")  # resets the peak
before = resident()
model.fit(blocks)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
print(peak - before)
"""


class Clock:
    """A callback that records the ends of epochs."""

    def setup(self, estimator, context):
        self.ends = []

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.ends.append(perf_counter())

    def teardown(self, estimator, context): ...


def write(path, n_rows, n_columns, rows_of_group, use_dictionary):
    """A table of float32 and two classes, of which one row group is in memory at a time."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(n_columns) / np.sqrt(n_columns)
    schema = pa.schema([(f"x{j}", pa.float32()) for j in range(n_columns)] + [("y", pa.int8())])
    with pq.ParquetWriter(path, schema, use_dictionary=use_dictionary) as file:
        for _ in range(0, n_rows, rows_of_group):
            X = rng.standard_normal((n_columns, rows_of_group), np.float32)
            y = weights @ X + 0.5 * rng.standard_normal(rows_of_group) > 0
            file.write_table(pa.table([*X, y.astype(np.int8)], schema=schema))


def in_memory(blocks):
    """All rows as arrays."""
    X = np.empty((sum(blocks.n_rows), len(blocks[0][0].column_names)), np.float32)
    y = np.empty(len(X), np.int8)
    stop = 0
    for table, y_of_block in blocks:
        start, stop = stop, stop + len(y_of_block)
        X[start:stop], y[start:stop] = table, y_of_block
    return X, y


def seconds(hidden_layer_sizes, *data):
    """The time of a fit, and of its epochs after the first."""
    clock = Clock()
    mlp = MLPClassifier(hidden_layer_sizes, dtype="float32", max_iter=N_EPOCHS, n_iter_no_change=N_EPOCHS)
    mlp.set_params(random_state=0).set_callbacks(clock)
    start = perf_counter()
    mlp.fit(*data)
    return perf_counter() - start, np.diff(clock.ends)


def speeds(folder, repeat):
    """Yield (table, network, seconds in memory and from Parquet of a fit, the same of an epoch)."""
    path = folder / "speed.parquet"
    for name, (n_rows, n_columns, rows_of_group, use_dictionary, networks) in TABLES.items():
        write(path, n_rows, n_columns, rows_of_group, use_dictionary)
        blocks = ParquetBlocks(path, target="y")
        X, y = in_memory(blocks)
        of_table = f"{name}: {n_rows:,}×{n_columns}, row groups of {rows_of_group:,}"
        for network in networks:
            seconds(network, blocks[:1])  # the first run of anything is slow
            runs = [[seconds(network, X, y), seconds(network, blocks)] for _ in range(repeat)]
            fits, epochs = (np.array([[run[i] for run in pair] for pair in runs]) for i in (0, 1))
            yield of_table, network, np.median(fits, axis=0), np.median(epochs, axis=(0, 2))


def memory(folder):
    """Yield (estimator, number of rows, peak bytes of a fit)."""
    for n_rows in ROWS:
        path = folder / "memory.parquet"
        write(path, n_rows, *OTHERS)
        for estimator in ("MLPClassifier", "TabularMLPClassifier"):
            command = [sys.executable, "-c", SCRIPT, estimator, str(path)]
            peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            yield estimator, n_rows, peak


def main(repeat=3):
    """Yield the sections of the report: a title, the names of the columns, and the rows."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        yield (
            f"speed relative to training in memory; medians of {repeat} runs of {N_EPOCHS} epochs in float32, "
            "batches of 200",
            (
                "table",
                "network",
                "speed of an epoch",
                "of a fit",
                "seconds per epoch: in memory, from Parquet",
                "per fit",
            ),
            (
                [table, str(network)]
                + [f"{first / second:.2f}" for first, second in (epoch, fit)]
                + [f"{first:.2f}, {second:.2f}" for first, second in (epoch, fit)]
                for table, network, fit, epoch in speeds(Path(folder), repeat)
            ),
        )
        yield (
            f"peak memory of a fit minus the memory before it, {OTHERS[0]} columns, row groups of {OTHERS[1]:,}",
            ("estimator", "rows", "the rows as float32", "extra memory"),
            (
                (estimator, f"{n_rows:,}", f"{4 * n_rows * OTHERS[0] / 2**20:.0f} MiB", f"{peak / 2**20:.0f} MiB")
                for estimator, n_rows, peak in memory(Path(folder))
            ),
        )


if __name__ == "__main__":
    threads = [str(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"]
    print(f"{cpu_count()} cores; BLAS threads: {', '.join(threads)}; load before: {os.getloadavg()[0]:.1f}")
    for title, names, rows in main():
        print(f"\n{title}\n\n| {' | '.join(names)} |\n|{len(names) * '---|'}")
        for row in rows:
            print(f"| {' | '.join(row)} |", flush=True)
