"""Search, test, save and load a classifier of handwritten digits.

A grid search over a pipeline of StandardScaler and MLPClassifier is timed against the same search over scikit-learn's
MLPClassifier. Then the best pipeline is dumped with joblib, and a new process loads it and predicts.

Run with `make demo`, or `python examples/digits_grid_search.py`.
"""

import subprocess
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_mlp

OUTPUT = Path("demo_output")
GRID = {
    "mlpclassifier__hidden_layer_sizes": [(32,), (64,), (64, 32)],
    "mlpclassifier__alpha": [1e-4, 1.0],
}

PREDICT_IN_A_NEW_PROCESS = """
import sys, joblib, numpy as np
model = joblib.load(sys.argv[1])
print("".join(map(str, model.predict(np.load(sys.argv[2])[:40]))))
"""


def search(module, X, y):
    """Return the fitted grid search over the classifier of `module`, and the seconds it took."""
    pipeline = make_pipeline(StandardScaler(), module.MLPClassifier(max_iter=60, random_state=0))
    grid_search = GridSearchCV(pipeline, GRID, cv=3)
    start = time.perf_counter()
    grid_search.fit(X, y)
    return grid_search, time.perf_counter() - start


def print_table(results):
    print(f"\n{'hidden layers':>14} {'alpha':>8} {'cv accuracy':>14} {'rank':>5}")
    for params, mean, std, rank in zip(
        results["params"],
        results["mean_test_score"],
        results["std_test_score"],
        results["rank_test_score"],
        strict=True,
    ):
        layers, alpha = (params[f"mlpclassifier__{name}"] for name in ("hidden_layer_sizes", "alpha"))
        print(f"{layers!s:>14} {alpha:>8g} {mean:>7.4f} ±{std:.4f} {rank:>5}")


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)  # 60 epochs are enough to rank the candidates
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    n_fits = 3 * len(GRID["mlpclassifier__hidden_layer_sizes"]) * len(GRID["mlpclassifier__alpha"]) + 1
    print(f"scikit-learn's digits: {len(X_train)} training images, {len(X_test)} test images; ", end="")
    print(f"{n_fits} fits per search")

    # Two alternating runs of each library, of which the faster counts: first runs are slow.
    runs = [search(module, X_train, y_train) for module in 2 * [sklearn.neural_network, sklearn_mlp]]
    (theirs, _), (ours, _) = runs[:2]
    theirs_seconds, ours_seconds = (min(seconds for _, seconds in runs[i::2]) for i in range(2))
    print_table(ours.cv_results_)
    print(f"\ntest accuracy of the best candidate: {ours.score(X_test, y_test):.4f} (scikit-learn: ", end="")
    print(f"{theirs.score(X_test, y_test):.4f}; largest difference in cv accuracy: ", end="")
    print(f"{np.abs(ours.cv_results_['mean_test_score'] - theirs.cv_results_['mean_test_score']).max():.1g})")
    print(f"time of the search: {ours_seconds:.1f} s (scikit-learn: {theirs_seconds:.1f} s, ", end="")
    print(f"{theirs_seconds / ours_seconds:.1f}× slower)")

    OUTPUT.mkdir(exist_ok=True)
    model_file, images_file = OUTPUT / "digits.joblib", OUTPUT / "test_images.npy"
    joblib.dump(ours.best_estimator_, model_file)
    np.save(images_file, X_test)
    command = [sys.executable, "-c", PREDICT_IN_A_NEW_PROCESS, str(model_file), str(images_file)]
    predicted = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    print(f"\nsaved {model_file.resolve()} ({model_file.stat().st_size / 1024:.0f} KiB)")
    print(f"saved {images_file.resolve()}")
    print(f"predictions of a new process for the first 40 test images:\n  {predicted}")
    print(f"true labels:\n  {''.join(map(str, y_test[:40]))}")


if __name__ == "__main__":
    main()
