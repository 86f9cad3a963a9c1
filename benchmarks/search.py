"""Wall time of a grid search on scikit-learn's digits: 24 candidates, 5 folds, two processes.

Ours and scikit-learn's MLP, interleaved, with joblib's limit on the threads of its workers, and ours again with the
workers' BLAS limited to one thread explicitly, which should make no difference. The best accuracies show that all do
the same work.
"""

import os
import time
import warnings

import numpy as np
import sklearn.neural_network
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_mlp

os.environ["PYTHONWARNINGS"] = "ignore"  # the workers', of searches that stop at max_iter

GRID = {
    "mlpclassifier__hidden_layer_sizes": [(32,), (64,), (64, 32)],
    "mlpclassifier__alpha": [1e-4, 1e-2],
    "mlpclassifier__activation": ["relu", "tanh"],
    "mlpclassifier__learning_rate_init": [1e-3, 3e-3],
}


def search(module, grid=GRID):
    """Seconds and best accuracy of the search over the classifier of `module`."""
    X, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), module.MLPClassifier(max_iter=50, random_state=0))
    grid_search = GridSearchCV(pipeline, grid, cv=5, n_jobs=2)
    start = time.perf_counter()
    grid_search.fit(X.astype(np.float32), y)
    return time.perf_counter() - start, grid_search.best_score_


def main(repeat=3):
    warnings.simplefilter("ignore")
    contestants = {
        "ours": (sklearn_mlp, {}),
        "scikit-learn": (sklearn.neural_network, {}),
        "one thread": (sklearn_mlp, {"inner_max_num_threads": 1}),
    }
    runs = {name: [] for name in contestants}
    for _ in range(repeat):
        for name, (module, limits) in contestants.items():
            with parallel_config("loky", **limits):
                search(module, {"mlpclassifier__alpha": [1e-4]})  # starts the workers
                runs[name].append(search(module))
    (ours, our_score), (theirs, their_score), (limited, _) = (min(results) for results in runs.values())
    yield "wall time, scikit-learn / ours", f"{theirs / ours:.1f}"
    yield "wall time with BLAS limited to one thread / without limit", f"{limited / ours:.2f}"
    yield "best cv accuracy, ours and scikit-learn's", f"{our_score:.4f} and {their_score:.4f}"


if __name__ == "__main__":
    for row in main():
        print(*row, sep="  ")
