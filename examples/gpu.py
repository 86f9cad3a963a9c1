"""Train the same classifier of handwritten digits on a GPU, if there is one, and on the CPU, and compare the models.

Run with `python examples/gpu.py`. Without a GPU, or without CuPy (`pip install 'sklearn_mlp[cuda12]'`), both fits run
on the CPU. The network is larger than the data require, in order to use the GPU.
"""

import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sklearn_mlp import MLPClassifier


def fit(X, y, device):
    model = MLPClassifier((512, 512), max_iter=10, dtype="float32", alpha=0.1, random_state=0, device=device)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model.fit(X[:200], y[:200])  # compiles the kernels
        start = time.perf_counter()
        model.fit(X, y)
    seconds = time.perf_counter() - start
    print(f"{model.device_:>7}: loss {model.loss_:.6f} after {model.n_iter_} epochs, {seconds:.2f} s")
    return model


def main():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    fastest, on_cpu = (fit(X_train, y_train, device) for device in ("auto", "cpu"))
    print(f"test accuracy: {fastest.score(X_test, y_test):.3f}, {on_cpu.score(X_test, y_test):.3f}")
    difference = np.abs(fastest.predict_proba(X_test) - on_cpu.predict_proba(X_test)).max()
    print(f"largest difference in probability: {difference:.1e}")

    if fastest.device_ != "cpu":
        import cupy

        probability = fastest.predict_proba(cupy.asarray(X_test))
        print(f"CuPy arrays in, CuPy arrays out: {type(probability).__module__}.{type(probability).__name__}")


if __name__ == "__main__":
    main()
