"""Time of predicting for many rows: ours, scikit-learn's, PyTorch's, JAX's, and that of the bare matrix products.

predict_proba of 1,000,000×50 float32 through (256, 256) for two classes, in one process, interleaved, with equal
weights. PyTorch (inference_mode) and JAX (one jitted function, compiled beforehand) predict in chunks of 10,000 rows,
the fastest of 1,000, 10,000, 100,000 and all rows for both; both return all probabilities in one array, as we do.

Run with `make bench`, or `python benchmarks/prediction.py`.
"""

import importlib.util
import time
import warnings
from itertools import pairwise

import numpy as np
import sklearn.neural_network

import sklearn_mlp

SIZES = [50, 256, 256, 1]
CHUNK = 10_000


def torch_predict(X, coefs, intercepts):
    import torch

    layers = []
    for W, b in zip(coefs, intercepts, strict=True):
        linear = torch.nn.Linear(*W.shape)
        linear.weight.data, linear.bias.data = torch.from_numpy(W.T.copy()), torch.from_numpy(b.copy())
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1], torch.nn.Sigmoid())
    X = torch.from_numpy(X)

    def run():
        with torch.inference_mode():
            p = torch.cat([model(chunk) for chunk in X.split(CHUNK)])
            return torch.hstack([1 - p, p]).numpy()

    return run


def jax_predict(X, coefs, intercepts):
    import jax
    import jax.numpy as jnp

    @jax.jit
    def forward(X):
        for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
            X = jax.nn.relu(X @ W + b)
        p = jax.nn.sigmoid(X @ coefs[-1] + intercepts[-1])
        return jnp.hstack([1 - p, p])

    return lambda: np.concatenate([forward(X[i : i + CHUNK]) for i in range(0, len(X), CHUNK)])


def products(X, coefs):
    buffers = [np.empty((CHUNK, W.shape[1]), X.dtype) for W in coefs]

    def run():
        for i in range(0, len(X), CHUNK):
            A = X[i : i + CHUNK]
            for W, out in zip(coefs, buffers, strict=True):
                A = A.dot(W, out)

    return run


def main(repeat=3):
    """{contestant: seconds}."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1_000_000, SIZES[0]), np.float32)
    fitted = [
        module.MLPClassifier(SIZES[1:-1], max_iter=1, random_state=0).fit(X[:2000], X[:2000, 0] > 0)
        for module in (sklearn_mlp, sklearn.neural_network)
    ]
    coefs, intercepts = fitted[0].coefs_, fitted[0].intercepts_
    assert [W.shape for W in coefs] == list(pairwise(SIZES))
    contestants = {
        "ours": lambda: fitted[0].predict_proba(X),
        "scikit-learn": lambda: fitted[1].predict_proba(X),
        "products": products(X, coefs),
    }
    for name, prepare in (("torch", torch_predict), ("jax", jax_predict)):
        if importlib.util.find_spec(name):
            contestants[{"torch": "PyTorch", "jax": "JAX"}[name]] = prepare(X, coefs, intercepts)
    expected = contestants["ours"]()
    for name, predict in contestants.items():
        assert name == "products" or np.allclose(predict(), expected, atol=1e-4)
    times = {name: [] for name in contestants}
    for _ in range(repeat):
        for name, predict in contestants.items():
            start = time.perf_counter()
            predict()
            times[name].append(time.perf_counter() - start)
    return {name: min(seconds) for name, seconds in times.items()}


if __name__ == "__main__":
    times = main()
    print("predict_proba of 1,000,000×50 through (256, 256); time as a multiple of ours")
    for name, seconds in times.items():
        print(f"{name:>14} {seconds / times['ours']:.2f}")
