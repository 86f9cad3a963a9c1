"""One dense layer, written with loops and written with matrix products: the same numbers, at very different speed.

The loops follow the element-by-element formulas of docs/theory.md; the products are those of sklearn_mlp/core/dense.py.
The forward and the backward pass of both are checked to be equal, on images of scikit-learn's digits, and timed. Then
the gradients are checked against finite differences along random directions.

Run with `python examples/matrix_form.py`.
"""

import timeit

import numpy as np
from sklearn.datasets import load_digits

from sklearn_mlp.core import dense
from sklearn_mlp.devices import resolve_device


def forward_loops(X, W, b):
    n, n_in, n_out = len(X), *W.shape
    Z = np.empty((n, n_out))
    for s in range(n):  # sample
        for j in range(n_out):  # neuron
            Z[s, j] = b[j]
            for i in range(n_in):  # feature
                Z[s, j] += X[s, i] * W[i, j]
    return Z


def backward_loops(X, W, dZ):
    n, n_in, n_out = len(X), *W.shape
    dW, db, dX = np.zeros_like(W), np.zeros(n_out), np.zeros_like(X)
    for s in range(n):
        for j in range(n_out):
            db[j] += dZ[s, j]
            for i in range(n_in):
                dW[i, j] += X[s, i] * dZ[s, j]
                dX[s, i] += dZ[s, j] * W[i, j]
    return dW, db, dX


def forward_products(X, W, b):
    return X @ W + b


def backward_products(X, W, dZ):
    return X.T @ dZ, dZ.sum(axis=0), dZ @ W.T


def backward_package(X, W, dZ):
    dW, db, dX = np.empty_like(W), np.empty(W.shape[1]), np.empty_like(X)
    dense.backward(resolve_device("cpu"), X, W, dZ, dW, db, dX)
    return dW, db, dX


def finite_difference(f, x, direction, h=1e-6):
    return (f(x + h * direction) - f(x - h * direction)) / (2 * h)


def main():
    rng = np.random.default_rng(0)
    X = load_digits().data[:64] / 16
    W, b = rng.standard_normal((64, 16)), rng.standard_normal(16)
    target = rng.standard_normal((64, 16))

    def loss(X, W, b):
        return 0.5 * np.sum((X @ W + b - target) ** 2)

    Z = forward_products(X, W, b)
    dZ = Z - target  # the gradient of that loss with respect to Z
    np.testing.assert_allclose(forward_loops(X, W, b), Z, atol=1e-12)
    for backward in (backward_products, backward_package):
        for loops, products in zip(backward_loops(X, W, dZ), backward(X, W, dZ), strict=True):
            np.testing.assert_allclose(loops, products, atol=1e-12)
    print("loops, products and sklearn_mlp.core.dense agree\n")

    print(f"X {X.shape}, W {W.shape}      loops  products     ratio")
    for name, loops, products in (
        ("forward", lambda: forward_loops(X, W, b), lambda: forward_products(X, W, b)),
        ("backward", lambda: backward_loops(X, W, dZ), lambda: backward_products(X, W, dZ)),
    ):
        slow = min(timeit.repeat(loops, number=1, repeat=3))
        fast = min(timeit.repeat(products, number=100, repeat=3)) / 100
        print(f"{name:<25} {slow * 1e3:>5.0f} ms  {fast * 1e6:>5.0f} µs  {slow / fast:>8,.0f}")

    print("\nfinite differences along a random direction")
    dW, db, dX = backward_products(X, W, dZ)
    for name, gradient, point, along in (
        ("dW", dW, W, lambda W: loss(X, W, b)),
        ("db", db, b, lambda b: loss(X, W, b)),
        ("dX", dX, X, lambda X: loss(X, W, b)),
    ):
        direction = rng.standard_normal(point.shape)
        difference = finite_difference(along, point, direction)
        error = abs(difference - np.sum(gradient * direction)) / abs(difference)
        assert error < 1e-6
        print(f"{name}: relative error {error:.0e}")


if __name__ == "__main__":
    main()
