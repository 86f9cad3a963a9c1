"""Time of each fused kernel and of the plain NumPy one of the same name, in µs, for float32 and float64.

Run with `python benchmarks/kernels.py`; with no argument for 200 rows of 100 (10 for the losses) and vectors of 80,000.
"""

import timeit

import numpy as np

from sklearn_mlp.devices.cpu import CPU
from sklearn_mlp.devices.encoded import Encoding
from sklearn_mlp.devices.fused import FusedCPU


def calls(dtype):
    """(name, function of the device) for each kernel."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    Z, A, b, out = normal(200, 100), np.abs(normal(200, 100)), normal(100), normal(100)
    for name in ("identity", "relu", "logistic", "tanh"):
        yield name, lambda device, name=name: getattr(device, name)(Z, b)
        if name != "identity":
            # Without the copy, a factor f'(Z) of about 0.25 would shrink dA to denormal numbers.
            yield f"{name}_backward", lambda device, name=name: getattr(device, f"{name}_backward")(A, A.copy(), out)
    D = np.empty_like(Z)
    for name in ("silu", "mish"):
        yield name, lambda device, name=name: getattr(device, name)(Z, b, D)
    # 5 numbers and 3 categories as the inputs of 100 units; on the plain CPU, the table is encoded for each product.
    edges = [np.linspace(-2, 2, 33, dtype=np.float32)] * 5
    encoding = Encoding(edges, [True] * 5, [40] * 3)
    table = np.hstack([normal(200, 5), rng.integers(40, size=(200, 3))]).astype(dtype)
    W, dW, Z_of_table = (np.zeros(shape, dtype) for shape in [(encoding.n_columns, 100)] * 2 + [(200, 100)])
    yield "E W", lambda device: device.matmul(device.encoded_batch(table, encoding), W, Z_of_table)
    yield "E.T dZ", lambda device: device.matmul(device.encoded_batch(table, encoding).T, Z, dW)
    yield "column_sums", lambda device: device.column_sums(A, out)
    scores, biases, codes, loss = normal(200, 10), normal(10), rng.integers(10, size=200), np.zeros(1)
    targets = rng.integers(2, size=(200, 10)).astype(dtype)
    yield "softmax_log_loss", lambda device: device.softmax_log_loss(scores, biases, codes, None, 1.0, loss, 1.0)
    for name in ("logistic_log_loss", "squared_error", "poisson_deviance"):
        yield name, lambda device, name=name: getattr(device, name)(scores, biases, targets, None, 1.0, loss, 1.0)
    theta, grad, m, v = (np.abs(normal(80_000)) for _ in range(4))
    yield "sgd_step", lambda device: device.sgd_step(theta, grad, m, 1e-3, 0.9, True, 79_000, 1e-6, loss, 1.0)
    yield (
        "adam_step",
        lambda device: device.adam_step(theta, grad, m, v, 1e-3, 0.9, 0.999, 1e-8, 79_000, 1e-6, 0.0, loss, 1.0),
    )


def main():
    for dtype in (np.float32, np.float64):
        print(f"{dtype.__name__:>20} {'fused':>8} {'NumPy':>8} {'ratio':>6}")
        for name, call in calls(dtype):
            with np.errstate(all="ignore"):
                fused, plain = (
                    min(timeit.repeat(lambda call=call, device=device: call(device), number=200, repeat=7)) / 200 * 1e6
                    for device in (FusedCPU(), CPU())
                )
            print(f"{name:>20} {fused:>8.1f} {plain:>8.1f} {plain / fused:>6.1f}")


if __name__ == "__main__":
    main()
