"""Print what an epoch on the GPU launches, copies and waits for, and what a fit allocates, counted on the stand-in.

The table of docs/guide/gpu.md is what it prints.
"""

import sys
import warnings
from pathlib import Path

import numpy as np


def main(cupy):
    from sklearn_mlp import MLPClassifier
    from sklearn_mlp.devices import resolve_device

    resolve_device("cuda")  # tries it, which is not to be counted
    rng = np.random.default_rng(0)
    workloads = [
        ("tabular", 20_000, 50, 2, (256, 256, 256), {"batch_size": 256}),
        ("tabular, early stopping", 20_000, 50, 2, (256, 256, 256), {"batch_size": 256, "early_stopping": True}),
        ("digits", 1_797, 64, 10, (100,), {}),
        ("digits, sgd", 1_797, 64, 10, (100,), {"solver": "sgd"}),
    ]
    print("| workload | steps per epoch | launches per step | other launches | copies to, from | waits | allocations |")
    print("|---|---|---|---|---|---|---|")
    for name, n_rows, n_features, n_classes, hidden_layer_sizes, params in workloads:
        X = rng.standard_normal((n_rows, n_features)).astype(np.float32)
        y = np.arange(n_rows) % n_classes
        # Two fits that differ by an epoch; for the launches of a step, two that differ by steps.
        more, less = (_counts(cupy, MLPClassifier, X, y, hidden_layer_sizes, epochs, params) for epochs in (3, 2))
        epoch = {what: more[what] - less[what] for what in more}
        batch_size = params.get("batch_size", 200)
        n_training = n_rows - (n_rows // 10 if params.get("early_stopping") else 0)
        n_steps = -(-n_training // batch_size)
        per_step = _launches_of_a_step(cupy, MLPClassifier, X, y, hidden_layer_sizes, batch_size, params)
        print(
            f"| {name} | {n_steps} | {per_step} | {epoch['launches'] - per_step * n_steps} "
            f"| {epoch['to_device']}, {epoch['to_host']} | {epoch['waits']} | {more['allocations']} |"
        )


def _counts(cupy, estimator, X, y, hidden_layer_sizes, epochs, params):
    cupy.get_default_memory_pool().free_all_blocks()
    cupy.cuda.counts.clear()
    with warnings.catch_warnings(action="ignore"):
        model = estimator(hidden_layer_sizes, **params, max_iter=epochs, tol=0, device="cuda", random_state=0)
        model.fit(X, y)
    return {what: cupy.cuda.counts[what] for what in ("launches", "to_device", "to_host", "waits", "allocations")}


def _launches_of_a_step(cupy, estimator, X, y, hidden_layer_sizes, batch_size, params):
    params = {**params, "early_stopping": False}
    fits = [
        _counts(cupy, estimator, X[: n * batch_size], y[: n * batch_size], hidden_layer_sizes, 1, params)
        for n in (2, 4)
    ]
    return (fits[1]["launches"] - fits[0]["launches"]) // 2


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent / "cupy_on_cpu"))
    import cupy

    main(cupy)
