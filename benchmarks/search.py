"""Wall time of a grid search on scikit-learn's digits: 24 candidates, 5 folds, two processes.

Ours and scikit-learn's MLP in turn, each with the threads that joblib grants its workers, and ours again with BLAS held
to one thread by hand, which should make no difference. The best accuracies are printed to show that the same work was
done.
"""

import os
import time
import warnings

import numpy as np
import sklearn.neural_network
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


def search(module):
    X, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), module.MLPClassifier(max_iter=50, random_state=0))
    grid_search = GridSearchCV(pipeline, GRID, cv=5, n_jobs=2)
    start = time.perf_counter()
    grid_search.fit(X.astype(np.float32), y)
    return time.perf_counter() - start, grid_search.best_score_


def one_thread_by_hand():
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown()  # new workers, which see the environment
    search(sklearn_mlp)
    result = search(sklearn_mlp)
    del os.environ["OPENBLAS_NUM_THREADS"], os.environ["OMP_NUM_THREADS"]
    get_reusable_executor().shutdown()
    return result


def main(repeat=3):
    warnings.simplefilter("ignore")
    search(sklearn_mlp)  # starts the workers
    runs = [(search(sklearn_mlp), search(sklearn.neural_network)) for _ in range(repeat)]
    (ours, our_score), (theirs, their_score) = (min(run[i] for run in runs) for i in range(2))
    limited, _ = one_thread_by_hand()
    yield "wall time, scikit-learn / ours", f"{theirs / ours:.1f}"
    yield "wall time with BLAS held to one thread by hand / without", f"{limited / ours:.2f}"
    yield "best cv accuracy, ours and scikit-learn's", f"{our_score:.4f} and {their_score:.4f}"


if __name__ == "__main__":
    for row in main():
        print(*row, sep="  ")
