"""Train on ten million rows in Parquet files, with categories and missing values, in constant memory.

The task is to predict late deliveries from distance, weight, hour, weather, the traffic of the previous twelve hours,
carrier and region. One in eight wind speeds is missing. The rows are generated and written one row group at a time.
TabularMLPClassifier is fitted to the row groups, with the last one as the validation set, and writes the predictions
for another file to an array on disk. The probability of a late delivery is known here, and so is the best possible
log-loss.

Needs `pip install pyarrow`, and Linux or macOS. Run with `python examples/parquet.py`, which takes about ten minutes on
two cores and 2 GB in the folder of temporary files; `--rows 100000` uses fewer rows.
"""

import argparse
import resource
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit
from sklearn.metrics import log_loss

from sklearn_mlp import TabularMLPClassifier
from sklearn_mlp.blocks import ParquetBlocks

CARRIERS = pa.array(["Aves", "Borea", "Celer", "Dromo", "Eques"])
REGIONS = pa.array([f"{letter}{i}" for letter in "NESW" for i in range(10)])


def peak_memory():
    """Peak resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def make(rng, n_rows):
    """Random deliveries, and the probability that each is late."""
    distance, weight = rng.gamma(2.0, 80.0, n_rows), rng.lognormal(1.0, 1.0, n_rows)
    hour, temperature = rng.uniform(0.0, 24.0, n_rows), rng.normal(10.0, 9.0, n_rows)
    wind, traffic = rng.gamma(2.0, 3.0, n_rows), rng.lognormal(0.0, 0.5, (12, n_rows))
    carrier, region = rng.integers(len(CARRIERS), size=n_rows), rng.integers(len(REGIONS), size=n_rows)
    is_known = rng.random(n_rows) > 0.125
    score = distance / 100 - 2.5 + 1.5 * np.sin(hour / 24 * 2 * np.pi) * (carrier < 2)
    score += 1.5 * (temperature < 0) + np.where(is_known, 0.15 * wind, 0.8) + np.sin(2.0 * region)
    late = expit(score + traffic[-3:].sum(axis=0) - 3.4)
    columns = {"distance": distance, "weight": weight, "hour": hour, "temperature": temperature}
    columns["wind"] = pa.array(wind, mask=~is_known)
    columns |= {f"traffic_{k - 12}h": of_hour for k, of_hour in enumerate(traffic)}
    columns["carrier"] = pa.DictionaryArray.from_arrays(carrier.astype(np.int8), CARRIERS)
    columns["region"] = pa.DictionaryArray.from_arrays(region.astype(np.int8), REGIONS)
    return pa.table(columns | {"is_late": rng.random(n_rows) < late}), late


def write(path, n_rows, row_group_size, rng):
    """Write a file one row group at a time; return the lowest possible log-loss of a model on it."""
    losses = []
    with pq.ParquetWriter(path, make(rng, 1)[0].schema) as file:
        for start in range(0, n_rows, row_group_size):
            table, late = make(rng, min(row_group_size, n_rows - start))
            file.write_table(table)
            losses.append(-(late * np.log(late) + (1 - late) * np.log1p(-late)).sum())
    return sum(losses) / n_rows


def main(n_rows, folder):
    row_group_size = min(100_000, n_rows // 10)
    rng = np.random.default_rng(0)
    began = perf_counter()
    write(folder / "train.parquet", n_rows, row_group_size, rng)
    best = write(folder / "test.parquet", n_rows // 10, row_group_size, rng)
    blocks = ParquetBlocks(folder / "train.parquet", target="is_late")
    size, in_memory = (folder / "train.parquet").stat().st_size, blocks[0][0].nbytes * len(blocks)
    print(f"{sum(blocks.n_rows):,} rows in {len(blocks)} row groups: {size / 1e6:,.0f} MB in the file, ", end="")
    print(f"{in_memory / 1e6:,.0f} MB in memory; written in {perf_counter() - began:.0f} s")
    print(f"peak memory of this process so far: {peak_memory() / 1e6:,.0f} MB")

    clf = TabularMLPClassifier(hidden_layer_sizes=(64, 64), n_members=1, max_iter=2, random_state=0)
    began = perf_counter()
    clf.fit(blocks[:-1], X_val=blocks[-1:])
    print(f"fit: {perf_counter() - began:.0f} s, peak memory {peak_memory() / 1e6:,.0f} MB")

    test = ParquetBlocks(folder / "test.parquet", target="is_late")
    began = perf_counter()
    shape = sum(test.n_rows), len(clf.classes_)
    out = np.lib.format.open_memmap(folder / "probability.npy", mode="w+", dtype=np.float32, shape=shape)
    clf.predict_proba(test, out=out)
    print(f"predict_proba of {len(out):,} rows: {perf_counter() - began:.0f} s, peak {peak_memory() / 1e6:,.0f} MB")
    is_late = np.concatenate([y for _, y in ParquetBlocks(test.path, target="is_late", columns=[])])
    print(f"log-loss on these rows: {log_loss(is_late, out):.4f}; the best possible is {best:.4f} on average")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        main(arguments.rows, Path(folder))
