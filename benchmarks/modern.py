"""Cost of dropout, normalisation and the newer solvers in a training step, ours and PyTorch's.

The network of the tabular workload; measured as in `benchmarks/training.py`. PyTorch is skipped where it is not
installed. Its Muon orthogonalises the momentum in bfloat16, which NumPy does not have; here it uses float32, as ours
does. (With bfloat16 its step is 3 × faster on a processor with instructions for it, and many times slower without.)

Run with `make bench`, or `python benchmarks/modern.py`.
"""

import argparse
import importlib.util
import warnings

import numpy as np
from peers import prepare_torch
from sklearn.exceptions import ConvergenceWarning
from training import WORKLOADS, estimator_run, interleave

import sklearn_mlp

WORKLOAD = WORKLOADS[2]
RECIPES = {
    "Adam": {},
    "AdamW": {"solver": "adamw"},
    "AdamW, dropout 0.1": {"solver": "adamw", "dropout": 0.1},
    "AdamW, batch normalisation": {"solver": "adamw", "normalization": "batch"},
    "AdamW, dropout 0.1, batch normalisation": {"solver": "adamw", "dropout": 0.1, "normalization": "batch"},
    "Muon": {"solver": "muon"},
}


def main(repeat=5):
    """Yield (recipe, its step relative to Adam's, PyTorch's step relative to ours or None)."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    n, n_features, hidden, n_classes, batch_size, epochs, dtype, _ = WORKLOAD
    X = rng.standard_normal((n, n_features)).astype(dtype)
    y = rng.integers(n_classes, size=n)
    contestants = {}
    for name, recipe in RECIPES.items():
        fit = estimator_run(sklearn_mlp, WORKLOAD, X, y, **recipe)
        fit(1)
        contestants[name, "1 epoch"] = lambda fit=fit: fit(1)
        contestants[name, "ours"] = lambda fit=fit: fit(epochs + 1)
        if importlib.util.find_spec("torch"):
            for n_threads in (1, 2):
                run = prepare_torch(X, y, hidden, n_classes, batch_size, "softmax", n_threads, **recipe)
                contestants[name, f"PyTorch {n_threads}"] = lambda run=run: run(epochs)
    seconds = {key: min(times) for key, times in interleave(contestants, repeat).items()}
    ours = {name: seconds[name, "ours"] - seconds[name, "1 epoch"] for name in RECIPES}
    for name in RECIPES:
        theirs = [seconds[key] for key in seconds if key[0] == name and key[1].startswith("PyTorch")]
        yield name, ours[name] / ours["Adam"], min(theirs) / ours[name] if theirs else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, interleaved (default: 5)")
    print(f"{WORKLOAD!s:56} {'step / plain':>14} {'PyTorch / ours':>15}")
    for name, to_plain, to_torch in main(parser.parse_args().repeat):
        print(f"{name:56} {to_plain:14.2f} " + (f"{to_torch:15.2f}" if to_torch else f"{'-':>15}"))
