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
import startup
import tables
import training
from threadpoolctl import threadpool_info

DOCS = Path(__file__).parents[1] / "docs"
CONTESTANTS = ["products", "ours", "JAX", "PyTorch", "scikit-learn"]

TEXT = """# Benchmarks

Written by `make bench`. All figures are ratios of times that were taken in turn; the minimum of {repeat} runs is
compared. The machine is shared with others, so a ratio moves by a tenth from one run to the next, and some by more:
scikit-learn's predict, which fills gigabytes of new memory, and the recipes with dropout. It was: {machine}.

## Training

A step is one mini-batch, with everything that an epoch does for it. *bare products* are X W, Xᵀ dZ and dZ Wᵀ of each
layer and nothing else: no training can be faster. What was done for PyTorch and JAX to be at their best is in
`benchmarks/peers.py`; for sparse X there is none of either.

| Adam; float32 unless noted | scikit-learn / ours | PyTorch / ours | JAX / ours | ours / bare products |
|---|---|---|---|---|
{training}

![Time of a training step relative to the bare products](benchmarks.svg)

## Fits as their users write them

Time relative to ours, of a fit of a new model and, after the slash, of each epoch after the first
(`benchmarks/fits.py`; Adam, one hidden layer of 100, batches of 200, float32; Keras with JAX, which compiles the
network anew in each fit):

| | ours | scikit-learn | skorch | Keras |
|---|---|---|---|---|
{fits}

## Tables

The estimators for tables and others at their defaults, on seven real tables of 802 to 7,500 training rows
(`benchmarks/tables.py` says which, and what each is given). The score of two classes is 1 - ROC AUC, that of more the
log-loss, that of a number the root mean squared error in standard deviations of y: lower is better.

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

Extra peak memory, beside X and the result:

| | ours | scikit-learn |
|---|---|---|
{memory}

## Parquet files

`MLPClassifier` fitted to the row groups of a Parquet file and to the same rows in memory, in turn
(`benchmarks/parquet.py`). A fit includes the pass before the first epoch. 'narrow' and 'wide' are written without
dictionaries, as [the guide](guide/scale.md#what-it-costs) advises.

{parquet}

## Search

| `GridSearchCV` of 24 candidates × 5 folds on digits, `n_jobs=2` (`benchmarks/search.py`) | |
|---|---|
{search}

## Starting

| With the compiled kernels cached on disk (`benchmarks/startup.py`) | |
|---|---|
{startup}

## Dask

What rounds on a cluster cost and give, on workers with one thread each that are processes of this machine
(`benchmarks/dask_rounds.py`, which says on what data; not part of `make bench`):

| flights, 531 columns, 76,417 parameters, two shards and workers | |
|---|---|
| share of an epoch that is not the longer task of a round, 274 steps a round | 4.8 % |
| the same for (512, 256) hidden units, 98 steps a round | 5.1 % |
| rows a second of two workers / one; two processes / one without Dask | 1.44; 2.01 |
| a round sends, relative to 24 bytes a parameter and shard | 1.51 |
| tasks of the scheduler after 5, 100, 200 rounds | 70, 70, 70 |
| the model after a worker is killed | bit-identical |
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
        startup="\n".join(f"| {' | '.join(row)} |" for row in startup.main()),
    )
    (DOCS / "benchmarks.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
