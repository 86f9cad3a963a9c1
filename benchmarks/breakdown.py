"""Time of the parts of a training step: the device's kernels and the gathering of rows, with a timer around each.

Two alternatives were slower, for (512, 512), three layers of 256 and (100,) on two cores: updating each layer right
after its gradient, while that is in the cache, by 6, 3 and 1 %; gathering the rows of the next batch in a thread during
a step, by 7, 3 and 6 %, as the thread takes a core from the products.

The timers themselves take about 0.1 µs for each call, and the whole includes the validation of X. Run with
`python benchmarks/breakdown.py`.
"""

import time
import warnings
from collections import Counter

import numpy as np
from training import WORKLOADS, estimator_run

import sklearn_mlp
from sklearn_mlp.devices import kernels_for, resolve_device, rows

warnings.simplefilter("ignore")

KERNELS = ["matmul", "relu", "relu_backward", "column_sums", "softmax_log_loss", "adam_step"]


def clocked(function, name, seconds):
    def wrapper(*args, **kwargs):
        start = time.perf_counter()
        result = function(*args, **kwargs)
        seconds[name] += time.perf_counter() - start
        return result

    return wrapper


def breakdown(workload):
    """{part of a step: µs}, the step as a whole under ''."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((workload.n, workload.n_features)).astype(workload.dtype)
    fit = estimator_run(sklearn_mlp, workload, X, rng.integers(workload.n_classes, size=workload.n))
    fit(1)
    seconds = Counter()
    device = kernels_for(resolve_device("cpu"), np.inf)
    gather = rows.gather
    try:
        for name in KERNELS:
            setattr(device, name, clocked(getattr(device, name), name, seconds))
        rows.gather = clocked(gather, "gather of the rows", seconds)
        seconds[""] = fit(workload.epochs)
    finally:
        rows.gather = gather
        for name in KERNELS:
            delattr(device, name)
    n_steps = workload.epochs * -(-workload.n // workload.batch_size)
    return {name: seconds[name] / n_steps * 1e6 for name in seconds}


def main():
    """The breakdown of the widest workload."""
    workload = WORKLOADS[4]
    times = min((breakdown(workload) for _ in range(3)), key=lambda times: times[""])
    total = times.pop("")
    rows = sorted(times.items(), key=lambda item: -item[1])
    rows.append(("the rest: Python, validation", total - sum(times.values())))
    return workload, [(name, microseconds, microseconds / total) for name, microseconds in rows]


if __name__ == "__main__":
    workload, rows = main()
    print(workload)
    for name, microseconds, share in rows:
        print(f"{name:>28} {microseconds:>8.0f} µs {share:>6.1%}")
