"""A dense layer with Python loops and with matrix products: the same results, at very different speeds.

The loops follow the elementwise formulas of docs/theory.md; the products are those of sklearn_mlp/core/dense.py. On
scikit-learn's digits, the script checks that the results of the forward pass (Z) and of the backward pass (dW, db, dX)
are equal, and times them. Then it checks the gradients against finite differences along random directions.

Run with `python examples/matrix_form.py`.
"""

import timeit

import numpy as np
from sklearn.datasets import load_digits

from sklearn_mlp.core import dense
from sklearn_mlp.devices import resolve_device


def forward_loops(X, W, b):
    n, fan_in, fan_out = len(X), *W.shape
    Z = np.empty((n, fan_out))
    for s in range(n):  # sample
        for j in range(fan_out):  # neuron
            Z[s, j] = b[j]
            for i in range(fan_in):  # feature
                Z[s, j] += X[s, i] * W[i, j]
    return Z


def backward_loops(X, W, dZ):
    n, fan_in, fan_out = len(X), *W.shape
    dW, db, dX = np.zeros_like(W), np.zeros(fan_out), np.zeros_like(X)
    for s in range(n):
        for j in range(fan_out):
            db[j] += dZ[s, j]
            for i in range(fan_in):
                dW[i, j] += X[s, i] * dZ[s, j]
                dX[s, i] += dZ[s, j] * W[i, j]
    return dW, db, dX


def forward_products(X, W, b):
    return X @ W + b


def backward_products(X, W, dZ):
    return X.T @ dZ, dZ.sum(axis=0), dZ @ W.T


def backward_package(X, W, dZ):
    device = resolve_device("cpu")
    dW, db, dX = np.empty_like(W), np.empty(W.shape[1]), np.empty_like(X)
    device.column_sums(dZ, out=db)
    dense.backward(device, X, W, dZ, dW, dX)
    return dW, db, dX


def check_equal(X, W, b, dZ):
    np.testing.assert_allclose(forward_products(X, W, b), forward_loops(X, W, b), atol=1e-12)
    expected = backward_loops(X, W, dZ)
    for backward in (backward_products, backward_package):
        for gradient, loops in zip(backward(X, W, dZ), expected, strict=True):
            np.testing.assert_allclose(gradient, loops, atol=1e-12)


def seconds(function, *args, number):
    return min(timeit.repeat(lambda: function(*args), number=number, repeat=5)) / number


def print_times(X, W, b, dZ):
    print(f"{'':<8}  {'loops':>9}  {'products':>9}  {'ratio':>7}")
    for name, loops, products, args in (
        ("forward", forward_loops, forward_products, (X, W, b)),
        ("backward", backward_loops, backward_products, (X, W, dZ)),
    ):
        slow, fast = seconds(loops, *args, number=1), seconds(products, *args, number=1000)
        print(f"{name:<8}  {slow * 1e6:>6,.0f} µs  {fast * 1e6:>6,.1f} µs  {slow / fast:>7,.0f}")


def relative_error(loss, point, gradient, direction, h=1e-3):
    """Error of the slope of `loss` along `direction`; central differences of a quadratic are exact for any h."""
    slope = (loss(point + h * direction) - loss(point - h * direction)) / (2 * h)
    return abs(np.vdot(gradient, direction) - slope) / abs(slope)


def main():
    n, fan_out = 32, 16
    X = load_digits().data[:n] / 16
    fan_in = X.shape[1]
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((fan_in, fan_out)), rng.standard_normal(fan_out)
    target = rng.standard_normal((n, fan_out))

    def loss(X, W, b):
        return 0.5 * np.sum((forward_products(X, W, b) - target) ** 2)

    dZ = forward_products(X, W, b) - target  # the gradient of that loss with respect to Z

    check_equal(X, W, b, dZ)
    print(f"X {X.shape}, W {W.shape}: loops, products and sklearn_mlp.core.dense agree\n")
    print_times(X, W, b, dZ)

    print("\nfinite differences, largest relative error along 5 random directions")
    dW, db, dX = backward_products(X, W, dZ)
    for name, gradient, point, loss_at in (
        ("dW", dW, W, lambda W: loss(X, W, b)),
        ("db", db, b, lambda b: loss(X, W, b)),
        ("dX", dX, X, lambda X: loss(X, W, b)),
    ):
        error = max(relative_error(loss_at, point, gradient, rng.standard_normal(point.shape)) for _ in range(5))
        print(f"{name}  {error:.0e}")
        assert error < 1e-6


if __name__ == "__main__":
    main()
