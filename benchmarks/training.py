"""Time of a training step: ours, scikit-learn's, and the bare matrix products of the same step, as ratios.

Five workloads in float32 with Adam. Each is run by the three in turn, several times over, and the minimum of each is
compared. A step is one mini-batch, with everything that an epoch does for it: the time of a fit of one epoch is
subtracted from that of a fit of several, so that validation and initialisation do not count. BLAS uses the threads that
it finds.

Run with `make bench`, or `python benchmarks/training.py`.
"""

import argparse
import time
import warnings
from itertools import pairwise

import numpy as np
import sklearn.neural_network
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info

import sklearn_mlp

# rows, features, hidden layers, classes, batch size, epochs
WORKLOADS = [
    (500, 10, (32,), 2, 64, 120),
    (1000, 20, (100,), 2, 200, 120),
    (10000, 784, (100,), 10, 200, 8),
    (20000, 50, (256, 256, 256), 10, 256, 3),
    (10000, 784, (512, 512), 10, 256, 3),
]


def seconds_of_fit(module, X, y, hidden, batch_size, epochs):
    clf = module.MLPClassifier(
        hidden, batch_size=batch_size, max_iter=epochs, tol=0, n_iter_no_change=np.inf, random_state=0
    )
    start = time.perf_counter()
    clf.fit(X, y)
    return time.perf_counter() - start


def seconds_of_products(n_features, hidden, n_outputs, batch_size, n_steps):
    """The products of a step alone: X W for each layer, Xᵀ dZ for each layer, dZ Wᵀ for all but the first."""
    rng = np.random.default_rng(0)
    sizes = [n_features, *hidden, n_outputs]
    A = [rng.standard_normal((batch_size, size), np.float32) for size in sizes]
    W = [rng.standard_normal(shape, np.float32) / np.float32(shape[0] ** 0.5) for shape in pairwise(sizes)]
    dW = [np.empty_like(W_layer) for W_layer in W]
    dA = [A_layer.copy() for A_layer in A]
    start = time.perf_counter()
    for _ in range(n_steps):
        for i in range(len(W)):
            A[i].dot(W[i], A[i + 1])
        for i in reversed(range(len(W))):
            A[i].T.dot(dA[i + 1], dW[i])
            if i:
                dA[i + 1].dot(W[i].T, dA[i])
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, interleaved (default: 5)")
    repeat = parser.parse_args().repeat
    warnings.simplefilter("ignore", ConvergenceWarning)
    for pool in threadpool_info():
        print(
            f"{pool['internal_api']} {pool['version']}: {pool['num_threads']} threads, {pool.get('architecture', '')}"
        )
    print(f"\n{'workload':>42} {'ours, µs/step':>14} {'scikit-learn/ours':>18} {'ours/products':>14}")
    for n, n_features, hidden, n_classes, batch_size, epochs in WORKLOADS:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((n, n_features), np.float32)
        y = rng.integers(n_classes, size=n)
        n_outputs = n_classes if n_classes > 2 else 1
        n_steps = epochs * -(-n // batch_size)

        def run(X=X, y=y, hidden=hidden, batch_size=batch_size, epochs=epochs, n_outputs=n_outputs, n_steps=n_steps):
            for module in (sklearn_mlp, sklearn.neural_network):
                for n_epochs in (1, epochs + 1):
                    yield seconds_of_fit(module, X, y, hidden, batch_size, n_epochs)
            yield seconds_of_products(X.shape[1], hidden, n_outputs, batch_size, n_steps)

        ours_1, ours, theirs_1, theirs, products = np.min([list(run()) for _ in range(repeat)], axis=0)
        ours, theirs, products = (ours - ours_1) / n_steps, (theirs - theirs_1) / n_steps, products / n_steps
        workload = f"{n} x {n_features}, {hidden}, {n_classes} classes, batch {batch_size}"
        print(f"{workload:>42} {ours * 1e6:>14.0f} {theirs / ours:>18.1f} {ours / products:>14.1f}")


if __name__ == "__main__":
    main()
