"""Peak memory of fitting TabularMLPRegressor to many rows, as a multiple of the memory of X.

A new process fits one network for one epoch: the peak of resident memory during the fit, minus the memory before it,
which includes X and y. Linux only. Run with `python benchmarks/tables_memory.py`, or with another number of rows.
"""

import argparse
import subprocess
import sys

SCRIPT = """
import resource, sys, warnings
import numpy as np
from sklearn_mlp import TabularMLPRegressor
warnings.simplefilter("ignore")

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

rng = np.random.default_rng(0)
X = rng.standard_normal((int(sys.argv[1]), int(sys.argv[2])), np.float32)
y = X[:, 0] + rng.standard_normal(len(X), np.float32)
model = TabularMLPRegressor(n_members=1, max_iter=1, random_state=0)
model.fit(X[:1000], y[:1000])
with open("/proc/self/clear_refs", "w") as clear_refs:
    clear_refs.write("5")  # resets the peak
before = resident()
model.fit(X, y)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
print(peak - before)
"""


def main(n_rows, n_columns):
    """The extra bytes at the peak of a fit."""
    command = [sys.executable, "-c", SCRIPT, str(n_rows), str(n_columns)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    args = parser.parse_args()
    extra, of_X = main(args.rows, args.columns), 4 * args.rows * args.columns
    print(f"{args.rows:,} × {args.columns} float32 are {of_X / 1e6:.0f} MB. ", end="")
    print(f"A fit takes {extra / 1e6:.0f} MB more at its peak, {extra / of_X:.2f} × X.")
