"""A training that is watched, stopped and killed, and ends as if it had not been.

scikit-learn's digits, with dropout and batch normalisation: a process trains with a checkpoint after each epoch and is
killed; another fit stops by itself when its time is up. Both go on, and end with the same weights as a fit that nothing
has happened to.

Run with `python examples/long_training.py`; `--plot FILE` also draws the curves of this training and of Adam's, with
matplotlib.
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
    undisturbed = MLPClassifier(**PARAMS).fit(X, y)
    print(f"undisturbed: {undisturbed.n_iter_} epochs, validation accuracy {undisturbed.best_validation_score_:.4f}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "killed.checkpoint"
        process = subprocess.Popen([sys.executable, "-c", TRAIN_IN_A_PROCESS, str(path)])
        while not path.exists():
            time.sleep(0.01)
        time.sleep(0.1)
        process.kill()
        process.wait()
        report("killed", MLPClassifier(**PARAMS), path, X, y, undisturbed)

        path = Path(folder) / "timed.checkpoint"
        timed = MLPClassifier(**PARAMS).set_callbacks(Checkpoint(path), TimeLimit(0.2)).fit(X, y)
        print(f"stopped after {timed.n_iter_} epochs, with a validation accuracy of {timed.best_validation_score_:.4f}")
        report("stopped", MLPClassifier(**PARAMS), path, X, y, undisturbed)

    if arguments.plot is not None:
        plot(arguments.plot, undisturbed, X, y)


def report(what, clf, path, X, y, undisturbed):
    clf.fit(X, y, resume_from=path)
    same = all(np.array_equal(*pair) for pair in zip(clf.coefs_, undisturbed.coefs_, strict=True))
    print(f"{what} and resumed: {clf.n_iter_} epochs, {'the same' if same else 'other'} weights to the last bit")


def plot(path, undisturbed, X, y):
    from sklearn_mlp.plotting import LossCurveDisplay

    adam = MLPClassifier((128, 64), batch_size=32, early_stopping=True, random_state=0).fit(X, y)
    display = LossCurveDisplay.from_estimators({"adam": adam, "adamw, cosine, dropout, batch norm": undisturbed})
    display.axes_[0].set_yscale("log")
    display.axes_[1].set_ylim(0.9, 1)
    display.figure_.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
