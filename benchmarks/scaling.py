"""How the time and the memory of training grow with rows, features, hidden units and classes, ours and scikit-learn's.

One of the four varies while the others are those of `BASE`. Each point is a new process: float32, Adam, batches of 200,
BLAS with its default number of threads. The time is that of an epoch, as the difference of two fits, the median of
several; the memory is the peak of resident memory during a fit of one epoch, minus that before it, without X. Beyond
10⁶ rows, X is a memory-mapped file. Linux only. `python benchmarks/scaling.py` prints a table and the slopes between
its rows, and writes docs/scaling.svg; it takes about a quarter of an hour, and 2 GB in the folder of temporary files.
"""

import json
import subprocess
import sys
import tempfile
from math import log
from pathlib import Path

BASE = {"rows": 10_000, "features": 100, "hidden units": 128, "classes": 10}
# The quantity that varies: its values, and the others where they differ from `BASE`.
SWEEPS = {
    "rows": ([10**3, 10**4, 10**5, 10**6, 10**7], {"features": 20, "hidden units": 32}),
    "features": ([10, 30, 100, 300, 1000, 3000, 10_000], {}),
    "hidden units": ([16, 64, 256, 1024, 4096], {}),
    "classes": ([2, 10, 100, 1000, 10_000], {}),
}
PACKAGES = {"ours": "sklearn_mlp", "scikit-learn": "sklearn.neural_network"}

SCRIPT = """
import importlib, json, resource, sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
module, n_rows, n_features, n_hidden, n_classes, path = json.loads(sys.argv[1])

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

rng = np.random.default_rng(0)
if n_rows > 10**6:
    X = np.memmap(path, np.float32, mode="r", shape=(n_rows, n_features))
else:
    X = rng.standard_normal((n_rows, n_features), np.float32)
y = np.arange(n_rows) % n_classes
MLPClassifier = importlib.import_module(module).MLPClassifier

def fit(max_iter):
    mlp = MLPClassifier((n_hidden,), max_iter=max_iter, tol=0, n_iter_no_change=np.inf, random_state=0)
    start = time.perf_counter()
    mlp.fit(X, y)
    return time.perf_counter() - start

# What is loaded once does not count.
MLPClassifier((n_hidden,)).partial_fit(X[:1000], y[:1000], classes=np.arange(n_classes))
with open("/proc/self/clear_refs", "w") as clear_refs:
    clear_refs.write("5")  # resets the peak
before = resident()
first = fit(1)
with open("/proc/self/status") as status:
    lines = dict(line.split(":", 1) for line in status)
peak = int(lines["VmHWM"].split()[0]) * 1024 - before
if n_rows > 10**6:
    peak = max(0, peak - X.nbytes)  # pages of the file, which the system can drop
n_epochs = max(1, min(20, int(1 / first)))
times = []
for _ in range(1 if first > 2 else 3):
    one, several = fit(1), fit(1 + n_epochs)
    times.append((several - one) / n_epochs)
print(json.dumps([sorted(times)[len(times) // 2], peak]))
"""


def points(folder):
    """Yield (what varies, its value, {package: (seconds of an epoch, extra bytes)})."""
    path = Path(folder) / "X.f4"
    for name, (values, others) in SWEEPS.items():
        for value in values:
            sizes = BASE | others | {name: value}
            if sizes["rows"] > 10**6:
                write(path, sizes["rows"], sizes["features"])
            measured = {}
            for package, module in PACKAGES.items():
                argument = json.dumps([module, *sizes.values(), str(path)])
                command = [sys.executable, "-c", SCRIPT, argument]
                run = subprocess.run(command, check=True, capture_output=True, text=True)
                measured[package] = json.loads(run.stdout)
            yield name, value, sizes, measured


def write(path, n_rows, n_features):
    import numpy as np

    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        for _ in range(0, n_rows, 10**6):
            file.write(rng.standard_normal((10**6, n_features), np.float32).tobytes())


def draw(found, path):
    """The figure: a column for each sweep, time above, memory below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "scaling"
    figure, axes = plt.subplots(2, len(SWEEPS), figsize=(12, 5.5), layout="constrained", sharex="col", sharey="row")
    for column, name in zip(axes.T, SWEEPS, strict=True):
        of_sweep = [(value, sizes, measured) for what, value, sizes, measured in found if what == name]
        for package, colour in zip(PACKAGES, ("C0", "C1"), strict=True):
            values = [value for value, *_ in of_sweep]
            seconds = [measured[package][0] / sizes["rows"] * 1e6 for _, sizes, measured in of_sweep]
            memory = [max(measured[package][1], 1e6) / 1e6 for *_, measured in of_sweep]
            column[0].loglog(values, seconds, "o-", color=colour, label=package)
            column[1].loglog(values, memory, "o-", color=colour)
        column[1].set_xlabel(name)
    axes[0, 0].set_ylabel("µs for each row and epoch")
    axes[1, 0].set_ylabel("MB of extra memory, 1 for less")
    axes[0, 0].legend(frameon=False)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def main():
    """Yield the rows of a table."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, value, sizes, measured in points(folder):
            found.append((name, value, sizes, measured))
            previous = found[-2] if len(found) > 1 and found[-2][0] == name else None
            row = [name, f"{value:,}"]
            for package in PACKAGES:
                seconds, extra = measured[package]
                row.append(f"{seconds / sizes['rows'] * 1e6:.3g}")
                slope = ""
                if previous is not None:
                    before = previous[3][package][0] / previous[2]["rows"]
                    slope = f"{log(seconds / sizes['rows'] / before) / log(value / previous[1]):.2f}"
                row += [slope, f"{extra / 1e6:.0f}"]
            ours, theirs = (measured[package][0] for package in PACKAGES)
            yield [*row, f"{theirs / ours:.1f}"]
    draw(found, Path(__file__).parents[1] / "docs" / "scaling.svg")


if __name__ == "__main__":
    names = ["", ""]
    for package in PACKAGES:
        names += [f"µs a row, {package}", "slope", "MB"]
    names.append("scikit-learn / ours")
    print(f"| {' | '.join(names)} |\n|{len(names) * '---|'}")
    for row in main():
        print(f"| {' | '.join(row)} |", flush=True)
