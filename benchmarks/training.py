"""Time of a training step: ours, scikit-learn's, PyTorch's, JAX's, and that of the bare matrix products.

Adam on eight workloads. All train in one process, interleaved, and the minima of several runs are compared. A step is
one mini-batch with its share of the work of an epoch; for the estimators, the time of a fit of one epoch is
subtracted from that of a fit of several, so that validation and initialisation do not count. BLAS uses its
default number of threads. PyTorch and JAX are skipped where they are not installed, and for sparse data.

Run with `make bench`, or `python benchmarks/training.py`.
"""

import argparse
import importlib.util
import time
import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse
import sklearn.neural_network
from peers import prepare_jax, prepare_products, prepare_torch
from sklearn.exceptions import ConvergenceWarning

import sklearn_mlp


class Workload(NamedTuple):
    n: int
    n_features: int
    hidden: tuple
    n_classes: int  # 0 for regression
    batch_size: int
    epochs: int
    dtype: type = np.float32
    density: float = 1.0

    def __str__(self):
        target = f"{self.n_classes} classes" if self.n_classes else "regression"
        kind = f", {self.density:.0%} sparse" if self.density < 1 else ""
        kind += ", float64" if self.dtype == np.float64 else ""
        return f"{self.n}×{self.n_features}, {self.hidden}, {target}, batch {self.batch_size}{kind}"


WORKLOADS = [
    Workload(500, 10, (32,), 2, 64, 150),
    Workload(1000, 20, (100,), 3, 200, 150),
    Workload(20000, 50, (256, 256, 256), 5, 256, 3),
    Workload(10000, 784, (100,), 10, 200, 8),
    Workload(10000, 784, (512, 512), 10, 256, 3),
    Workload(20000, 2000, (100,), 5, 200, 2, density=0.01),
    Workload(10000, 784, (100,), 10, 200, 5, np.float64),
    Workload(20000, 8, (64, 64), 0, 200, 5),
]


def estimator_run(module, workload, X, y, **params):
    def fit(max_iter):
        kind = module.MLPClassifier if workload.n_classes else module.MLPRegressor
        mlp = kind(
            hidden_layer_sizes=workload.hidden,
            batch_size=workload.batch_size,
            max_iter=max_iter,
            tol=0,
            n_iter_no_change=np.inf,
            random_state=0,
            **params,
        )
        start = time.perf_counter()
        mlp.fit(X, y)
        return time.perf_counter() - start

    return fit


def measure(workload, repeat):
    """µs per step of each contestant."""
    rng = np.random.default_rng(0)
    n, n_features = workload.n, workload.n_features
    sparse = workload.density < 1
    if sparse:
        X = scipy.sparse.random_array((n, n_features), density=workload.density, format="csr", rng=rng)
        X = X.astype(workload.dtype)
    else:
        X = rng.standard_normal((n, n_features)).astype(workload.dtype)
    y = rng.integers(workload.n_classes, size=n) if workload.n_classes else X[:, 0] + X[:, 1] ** 2
    n_outputs = workload.n_classes if workload.n_classes > 2 else 1
    loss = {0: "squared_error", 2: "logistic"}.get(workload.n_classes, "softmax")
    ours = estimator_run(sklearn_mlp, workload, X, y)
    theirs = estimator_run(sklearn.neural_network, workload, X, y)
    epochs = workload.epochs
    contestants = {
        "ours, 1 epoch": lambda: ours(1),
        "ours": lambda: ours(epochs + 1),
        "scikit-learn, 1 epoch": lambda: theirs(1),
        "scikit-learn": lambda: theirs(epochs + 1),
    }
    if not sparse:
        peers = {"products": prepare_products(X, workload.hidden, n_outputs, workload.batch_size)}
        if importlib.util.find_spec("torch"):
            for n_threads in (1, 2):
                peers[f"torch {n_threads}"] = prepare_torch(
                    X, y, workload.hidden, n_outputs, workload.batch_size, loss, n_threads
                )
        if importlib.util.find_spec("jax"):
            peers["jax"] = prepare_jax(X, y, workload.hidden, n_outputs, workload.batch_size, loss)
        for name, run in peers.items():
            contestants[name] = lambda run=run: run(epochs)
    for _ in range(2):
        ours(1)
    seconds = {name: min(times) for name, times in interleave(contestants, repeat).items()}
    n_steps = epochs * -(-n // workload.batch_size)
    times = {
        "ours": seconds["ours"] - seconds["ours, 1 epoch"],
        "scikit-learn": seconds["scikit-learn"] - seconds["scikit-learn, 1 epoch"],
    }
    for name in ("torch 1", "torch 2", "jax", "products"):
        if name in seconds:
            label = {"torch 1": "PyTorch", "torch 2": "PyTorch", "jax": "JAX"}.get(name, name)
            times[label] = min(seconds[name], times.get(label, np.inf))
    n_full_steps = epochs * (n // workload.batch_size)  # JAX leaves out a last batch of another size
    return {name: time / (n_full_steps if name == "JAX" else n_steps) * 1e6 for name, time in times.items()}


def interleave(contestants, repeat):
    times = {name: [] for name in contestants}
    for _ in range(repeat):
        for name, run in contestants.items():
            times[name].append(run())
    return times


def main(repeat):
    """Yield (workload, {contestant: µs per step}) for each workload."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for workload in WORKLOADS:
        yield str(workload), measure(workload, repeat)


HEADER = f"{'workload':>62} {'ours, µs':>9} {'scikit-learn':>13} {'PyTorch':>8} {'JAX':>6} {'ours/products':>14}"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, interleaved (default: 5)")
    print("a step's time; that of scikit-learn, PyTorch and JAX as multiples of ours\n" + HEADER)
    for workload, times in main(parser.parse_args().repeat):
        ours = times["ours"]
        ratios = [f"{times[name] / ours:.2f}" if name in times else "-" for name in ("scikit-learn", "PyTorch", "JAX")]
        products = f"{ours / times['products']:.2f}" if "products" in times else "-"
        print(
            f"{workload:>62} {ours:>9.0f} {ratios[0]:>13} {ratios[1]:>8} {ratios[2]:>6} {products:>14}",
            flush=True,
        )
