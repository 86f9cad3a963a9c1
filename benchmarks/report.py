"""Run all benchmarks and write docs/benchmarks.md with its figure. Needs matplotlib; run with `make bench`."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import breakdown
import fits
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import memory
import modern
import parquet
import prediction
import search
import small_jobs
import startup
import tables
import training
from threadpoolctl import threadpool_info

DOCS = Path(__file__).parents[1] / "docs"
CONTESTANTS = ["products", "ours", "JAX", "PyTorch", "scikit-learn"]

TEXT = """# Benchmarks

`make bench` writes this page. All figures are ratios of alternating measurements, from the minimum of {repeat} runs.
The machine is shared, so ratios vary by a tenth from run to run. scikit-learn's predict, which allocates gigabytes, and
the recipes with dropout vary more. Machine and versions: {machine}.

## Training

A step processes one mini-batch, including everything that an epoch does for it. *bare products* are only the matrix
products X W, Xᵀ dZ and dZ Wᵀ of each layer, a lower bound for the time of a step. `benchmarks/peers.py` contains the
optimised PyTorch and JAX versions; there are none for sparse X.

| Adam; float32 unless noted | scikit-learn / ours | PyTorch / ours | JAX / ours | ours / bare products |
|---|---|---|---|---|
{training}

![Time of a training step relative to the matrix products](benchmarks.svg)

## Whole fits

Time relative to ours of a fit of a new model and, after the slash, of each epoch after the first (`benchmarks/fits.py`;
Adam, one hidden layer of 100, batches of 200, float32; Keras with JAX, which compiles the network again in each fit):

| | ours | scikit-learn | skorch | Keras |
|---|---|---|---|---|
{fits}

## Tables

The tabular estimators and others, all at their defaults, on seven real tables of 802 to 7,500 training rows
(`benchmarks/tables.py` describes the tables and the input of each estimator). The score is 1 - ROC AUC for two classes,
the log-loss for more classes, and the root mean squared error in standard deviations of y for regression. Lower is
better.

{tables}
## Dropout, normalisation, solvers

A step of the network {modern_workload} (`benchmarks/modern.py`; PyTorch
eager with the same layers and solver; Muon in float32 in both):

| | step / Adam's step | PyTorch / ours |
|---|---|---|
{modern}

## Where the time of a step goes

For {workload}:

| part of a step | share |
|---|---|
{breakdown}

## Prediction

predict_proba of 1,000,000×50 float32 through (256, 256), time relative to ours (`benchmarks/prediction.py`):

| scikit-learn | PyTorch | JAX | bare products |
|---|---|---|---|
| {prediction} |

## Memory

Peak memory in addition to X and the result:

| | ours | scikit-learn |
|---|---|---|
{memory}

## Scaling

Time and memory of training as a function of the number of rows, features, hidden units or classes
(`benchmarks/scaling.py`, not part of `make bench`, run on another machine, with AVX-512). The fixed values are
10,000×100 through (128,) to 10 classes, but 20 features and 32 hidden units where the rows vary; float32, batches of
200. The slope between two rows of the table is in logarithmic scale: 0 means constant time per row and epoch, 1 means
proportional time. Memory is in addition to X, which is a memory-mapped file at 10⁷ rows.

![Time and memory by rows, features, hidden units and classes](scaling.svg)

| varies | to | µs per row, ours | slope | MB | µs per row, scikit-learn | slope | MB | scikit-learn / ours |
|---|---|---|---|---|---|---|---|---|
| rows | 1,000 | 0.149 |  | 0 | 0.969 |  | 0 | 6.5 |
| rows | 10,000 | 0.149 | 0.00 | 0 | 1.02 | 0.02 | 1 | 6.8 |
| rows | 100,000 | 0.172 | 0.06 | 2 | 1.05 | 0.01 | 12 | 6.1 |
| rows | 1,000,000 | 0.176 | 0.01 | 24 | 1.05 | -0.00 | 121 | 6.0 |
| rows | 10,000,000 | 0.208 | 0.07 | 238 | 1.16 | 0.04 | 1208 | 5.6 |
| features | 10 | 0.309 |  | 0 | 1.68 |  | 1 | 5.4 |
| features | 30 | 0.366 | 0.16 | 0 | 1.8 | 0.06 | 1 | 4.9 |
| features | 100 | 0.554 | 0.34 | 2 | 2.13 | 0.14 | 0 | 3.8 |
| features | 300 | 1.18 | 0.69 | 5 | 3.06 | 0.33 | 2 | 2.6 |
| features | 1,000 | 3.2 | 0.83 | 16 | 9.48 | 0.94 | 3 | 3.0 |
| features | 3,000 | 11.1 | 1.13 | 15 | 24.3 | 0.86 | 9 | 2.2 |
| features | 10,000 | 35.8 | 0.97 | 7 | 77.5 | 0.96 | 31 | 2.2 |
| hidden units | 16 | 0.199 |  | 2 | 1.07 |  | 1 | 5.4 |
| hidden units | 64 | 0.366 | 0.44 | 2 | 1.51 | 0.25 | 1 | 4.1 |
| hidden units | 256 | 0.978 | 0.71 | 2 | 3.7 | 0.65 | 2 | 3.8 |
| hidden units | 1,024 | 2.96 | 0.80 | 1 | 11.3 | 0.81 | 6 | 3.8 |
| hidden units | 4,096 | 12.8 | 1.06 | 3 | 44.7 | 0.99 | 25 | 3.5 |
| classes | 2 | 0.437 |  | 2 | 1.96 |  | 0 | 4.5 |
| classes | 10 | 0.766 | 0.35 | 2 | 2.08 | 0.04 | 0 | 2.7 |
| classes | 100 | 1.31 | 0.23 | 2 | 2.79 | 0.13 | 8 | 2.1 |
| classes | 1,000 | 6.75 | 0.71 | 1 | 12.3 | 0.64 | 90 | 1.8 |
| classes | 10,000 | 56.1 | 0.92 | 7 | 210 | 1.23 | 899 | 3.8 |

- **Rows**: the time per row is constant. Memory is 24 bytes per row: for their order, and for two copies of y.
  scikit-learn copies X.
- **Features, hidden units, classes**: slopes start near 0, where the overhead of calls dominates a step, and reach 1,
  where matrix products dominate. The transition is at some ten thousand parameters. scikit-learn is 5 times slower
  where calls dominate and 2 to 4 times where products do.
- **Classes**: scikit-learn stores y as a matrix of rows × classes; here y is a column of integers.

## Parquet files

`MLPClassifier` fitted alternately to the row groups of a Parquet file and to the same rows in memory
(`benchmarks/parquet.py`). A fit includes the pass before the first epoch. 'narrow' and 'wide' are written without
dictionary encoding, as [the guide](guide/scale.md#cost) recommends.

{parquet}

## Search

| `GridSearchCV` of 24 candidates × 5 folds on digits, `n_jobs=2` (`benchmarks/search.py`) | |
|---|---|
{search}

## Small jobs

64 hidden units, fits of 200 epochs; the first three rows are for scikit-learn's digits (`benchmarks/small_jobs.py`):

| | ours, scikit-learn's | ours / scikit-learn's |
|---|---|---|
{small_jobs}

## Startup time

| With the compiled kernels cached on disk (`benchmarks/startup.py`) | |
|---|---|
{startup}

## Dask

Cost and accuracy of rounds on a cluster whose workers are processes of this machine with one thread each
(`benchmarks/dask_rounds.py`, which describes the data; not part of `make bench`; run on another machine, with AVX-512):

| flights, 531 columns, 76,417 parameters, two shards and workers | |
|---|---|
| overhead of the rounds as a share of an epoch, 274 steps per round | 5.3 % |
| the same for (512, 256) hidden units, 98 steps per round | 5.0 % |
| rows per second: two workers / one; without Dask, two processes / one | 1.79; 1.96 |
| bytes sent in a round, relative to 24 bytes per parameter and shard, in four runs | 0.5 to 1.7 |
| tasks of the scheduler after 5, 100, 200 rounds | 69, 66, 66 |
| held-out log-loss after four epochs, mean of five seeds, minus that of one process | 0.0046 |
| the same with twice the learning rate | -0.0005 |
| the model after a worker was killed | bit-identical |
"""


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next(line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name"))
    blas = {f"{pool['internal_api']} {pool['version']} ({pool['architecture']}, {pool['num_threads']} threads)"
            for pool in threadpool_info() if pool["user_api"] == "blas"}  # fmt: skip
    packages = []
    for name in ("numpy", "scikit-learn", "numba", "torch", "jax", "skorch", "keras"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    blas = "; ".join(sorted(blas))
    return f"{model}, Python {platform.python_version()}, {', '.join(packages)};\n{blas}"


def plot(results):
    figure, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    results = [(workload, times) for workload, times in results if "products" in times]
    height = 0.8 / (len(CONTESTANTS) - 1)
    for i, name in enumerate(CONTESTANTS[1:]):
        rows = [k for k, (_, times) in enumerate(results) if name in times]
        ratios = [results[k][1][name] / results[k][1]["products"] for k in rows]
        bars = axes.barh([k + (i - 1.5) * height for k in rows], ratios, height, label=name)
        axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=7)
    axes.set(xscale="log", xlabel="time of a step relative to the bare matrix products (log scale)")
    axes.set_yticks(
        range(len(results)), [workload.replace(", batch", ",\nbatch") for workload, _ in results], fontsize=8
    )
    axes.set_xlim(left=1)
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.invert_yaxis()
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "benchmarks.svg", metadata={"Date": None})


def fits_row(what, results):
    fit, epoch, _ = results["ours"]
    times = [results.get(name) for name in ("ours", "scikit-learn", "skorch", "Keras")]
    return f"| {what} | " + " | ".join(f"{t[0] / fit:.1f} / {t[1] / epoch:.1f}" if t else "-" for t in times) + " |"


def section(part):
    title, names, rows = part
    table = [names, len(names) * ["---"], *rows]
    return f"{title[0].upper()}{title[1:]}:\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in table)


def main(repeat=5):
    results = list(training.main(repeat))

    def ratio(times, name):
        return f"{times[name] / times['ours']:.2f}" if name in times else "-"

    training_rows = [
        f"| {workload} | {ratio(times, 'scikit-learn')} | {ratio(times, 'PyTorch')} | {ratio(times, 'JAX')} | "
        + (f"{times['ours'] / times['products']:.2f} |" if "products" in times else "- |")
        for workload, times in results
    ]
    plot(results)
    workload, parts = breakdown.main()
    predicting = prediction.main()
    page = TEXT.format(
        machine=machine(),
        repeat=repeat,
        training="\n".join(training_rows),
        fits="\n".join(fits_row(what, results) for what, results in fits.main(repeat)),
        modern_workload=modern.WORKLOAD,
        modern="\n".join(
            f"| {name} | {to_plain:.2f} | {f'{to_torch:.2f}' if to_torch else '-'} |"
            for name, to_plain, to_torch in modern.main(repeat)
        ),
        tables=tables.main(tables.installed()),
        workload=workload,
        breakdown="\n".join(f"| {name} | {share:.1%} |" for name, _, share in parts),
        prediction=" | ".join(ratio(predicting, name) for name in ("scikit-learn", "PyTorch", "JAX", "products")),
        memory="\n".join(f"| {title} | {ours:.0f} MB | {theirs:.0f} MB |" for title, ours, theirs in memory.main()),
        parquet="\n\n".join(map(section, parquet.main())),
        search="\n".join(f"| {' | '.join(row)} |" for row in search.main()),
        small_jobs="\n".join(f"| {' | '.join(row)} |" for row in small_jobs.main()),
        startup="\n".join(f"| {' | '.join(row)} |" for row in startup.main()),
    )
    (DOCS / "benchmarks.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
