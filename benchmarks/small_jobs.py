"""Time of small jobs next to scikit-learn's: predictions for one row, `partial_fit` of 32 rows, and fits of few rows.

MLPClassifier with 64 hidden units, in float64; the first three jobs on scikit-learn's digits. The packages take turns;
each time is the minimum over the turns of the mean of several calls. The fits are of 200 epochs, on data so small that
Numba is not loaded; they are also timed on Numba's kernels. Run with `make bench`, or
`python benchmarks/small_jobs.py`.
"""

import time
import warnings
from functools import partial
from unittest.mock import patch

import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.preprocessing import scale

import sklearn_mlp

OURS, THEIRS = sklearn_mlp.MLPClassifier, sklearn.neural_network.MLPClassifier


def compare(calls, n_calls, repeat=15):
    """The best times of several functions, in turn."""
    times = []
    for _ in range(repeat):
        for call in calls:
            start = time.perf_counter()
            for _ in range(n_calls):
                call()
            times.append((time.perf_counter() - start) / n_calls)
    return np.reshape(times, (repeat, -1)).min(axis=0)


def on_numba(fit):
    with patch("sklearn_mlp.devices.SMALL_PASS", 0):
        fit()


def main():
    """Yield (job, times of the first and of the second, their ratio)."""
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    X = X / 16
    models = [mlp((64,), max_iter=20, random_state=0).fit(X, y) for mlp in (OURS, THEIRS)]
    learners = [mlp((64,), random_state=0).partial_fit(X[:32], y[:32], classes=np.arange(10)) for mlp in (OURS, THEIRS)]
    for job, calls in {
        "`predict_proba` of one row": [partial(model.predict_proba, X[:1]) for model in models],
        "`predict` of one row": [partial(model.predict, X[:1]) for model in models],
        "`partial_fit` of 32 rows": [partial(model.partial_fit, X[:32], y[:32]) for model in learners],
    }.items():
        ours, theirs = compare(calls, n_calls=200)
        yield job, f"{ours * 1e6:.0f}, {theirs * 1e6:.0f} µs", f"{ours / theirs:.2f}"
    small = {"iris": load_iris(return_X_y=True), "500×20": make_classification(500, random_state=0)}
    for name, (X, y) in small.items():
        parameters = {"max_iter": 200, "tol": 0, "n_iter_no_change": 200, "random_state": 0}
        fit, of_theirs = (partial(mlp((64,), **parameters).fit, scale(X), y) for mlp in (OURS, THEIRS))
        ours, numba, theirs = compare([fit, partial(on_numba, fit), of_theirs], n_calls=5, repeat=3)
        yield f"`fit` of {name}", f"{ours * 1e3:.0f}, {theirs * 1e3:.0f} ms", f"{ours / theirs:.2f}"
        yield "the same, with Numba's kernels", f"{numba * 1e3:.0f} ms", f"{numba / theirs:.2f}"


if __name__ == "__main__":
    for row in main():
        print(*row, sep="  ")
