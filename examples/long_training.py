"""Resume a killed and a stopped training run, with the same result as without interruption.

The network is trained on scikit-learn's digits, with dropout and batch normalisation. A process writes a checkpoint
after each epoch and is killed; another fit stops at its time limit. Both resume, and end with the same weights as a fit
without interruption.

Run with `python examples/long_training.py`; `--plot FILE` also draws the curves of this training run and of one with
Adam, with matplotlib.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from sklearn_mlp import MLPClassifier
from sklearn_mlp.callbacks import Checkpoint, TimeLimit

PARAMS = {
    "hidden_layer_sizes": (128, 64),
    "solver": "adamw",
    "learning_rate": "cosine",
    "learning_rate_init": 0.005,
    "dropout": 0.1,
    "normalization": "batch",
    "batch_size": 32,
    "max_iter": 100,
    "n_iter_no_change": np.inf,
    "early_stopping": True,
    "random_state": 0,
}

TRAIN_IN_A_PROCESS = f"""
import sys
from numpy import inf
from sklearn.datasets import load_digits
from sklearn_mlp import MLPClassifier
from sklearn_mlp.callbacks import Checkpoint
MLPClassifier(**{PARAMS}).set_callbacks(Checkpoint(sys.argv[1])).fit(*load_digits(return_X_y=True))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="FILE")
    arguments = parser.parse_args()
    X, y = load_digits(return_X_y=True)
    reference = MLPClassifier(**PARAMS).fit(X, y)
    print(f"not interrupted: {reference.n_iter_} epochs, validation accuracy {reference.best_validation_score_:.4f}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "killed.checkpoint"
        process = subprocess.Popen([sys.executable, "-c", TRAIN_IN_A_PROCESS, str(path)])
        while not path.exists():
            time.sleep(0.01)
        time.sleep(0.1)
        process.kill()
        process.wait()
        report("killed", MLPClassifier(**PARAMS), path, X, y, reference)

        path = Path(folder) / "timed.checkpoint"
        timed = MLPClassifier(**PARAMS).set_callbacks(Checkpoint(path), TimeLimit(0.2)).fit(X, y)
        print(f"stopped after {timed.n_iter_} epochs, with a validation accuracy of {timed.best_validation_score_:.4f}")
        report("stopped", MLPClassifier(**PARAMS), path, X, y, reference)

    if arguments.plot is not None:
        plot(arguments.plot, reference, X, y)


def report(what, clf, path, X, y, reference):
    clf.fit(X, y, resume_from=path)
    same = all(np.array_equal(*pair) for pair in zip(clf.coefs_, reference.coefs_, strict=True))
    print(f"{what} and resumed: {clf.n_iter_} epochs, {'bit-identical' if same else 'different'} weights")


def plot(path, reference, X, y):
    from sklearn_mlp.plotting import LossCurveDisplay

    adam = MLPClassifier((128, 64), batch_size=32, early_stopping=True, random_state=0).fit(X, y)
    display = LossCurveDisplay.from_estimators({"adam": adam, "adamw, cosine, dropout, batch norm": reference})
    display.axes_[0].set_yscale("log")
    display.axes_[1].set_ylim(0.9, 1)
    display.figure_.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
