"""The effect of the training features on scikit-learn's data sets, compared with its MLP and its gradient boosting.

Digits (accuracy), breast cancer with few malignant cases (average precision) and diabetes (R², and the coverage of an
80 % interval). The script prints the mean of the test scores and its standard error over ten random splits, which are
the same for all models. The parameters are the same everywhere, and not tuned.

Run with `python examples/modern_training.py`.
"""

import warnings

import numpy as np
import sklearn.neural_network
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import MLPClassifier, MLPRegressor

N_SPLITS = 10
BASE = {"hidden_layer_sizes": (100,), "max_iter": 60, "random_state": 0}
MODERN = {
    **BASE,
    "solver": "adamw",
    "dropout": 0.2,
    "activation": "gelu",
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "n_iter_no_change": np.inf,
    "batch_size": 64,
}


def scaled(model):
    return make_pipeline(StandardScaler(), model)


def scaled_target(model):
    return TransformedTargetRegressor(scaled(model), transformer=StandardScaler())


def scores(model, X, y, scorer, stratify):
    """The test score of each split."""
    results = []
    for seed in range(N_SPLITS):
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed, stratify=y if stratify else None)
        results.append(scorer(model.fit(X_train, y_train), X_test, y_test))
    return np.array(results)


def report(title, models, X, y, scorer, stratify=True):
    print(f"\n{title}")
    for name, model in models.items():
        values = scores(model, X, y, scorer, stratify)
        print(f"  {name:<46} {values.mean():.3f} ±{values.std(ddof=1) / N_SPLITS**0.5:.3f}")


def coverage(model, X, y):
    """The share of the targets inside the interval."""
    low, high = model.predict(X).T
    return np.mean((low <= y) & (y <= high))


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)  # models with a constant rate stop at max_iter
    X, y = load_digits(return_X_y=True)
    classifiers = {
        "scikit-learn's MLP": scaled(sklearn.neural_network.MLPClassifier(**BASE)),
        "HistGradientBoosting": HistGradientBoostingClassifier(max_iter=60, random_state=0),
        "sklearn_mlp, the same parameters": scaled(MLPClassifier(**BASE)),
        "sklearn_mlp, AdamW, dropout, gelu, cosine": scaled(MLPClassifier(**MODERN)),
        "the same, label smoothing": scaled(MLPClassifier(**MODERN, label_smoothing=0.1)),
    }
    report("digits: accuracy", classifiers, X, y, get_scorer("accuracy"))

    X, y = load_breast_cancer(return_X_y=True)
    rows = np.r_[np.flatnonzero(y == 1), np.flatnonzero(y == 0)[:24]]
    classifiers["the same, label smoothing"] = scaled(MLPClassifier(**MODERN, class_weight="balanced"))
    classifiers = {name.replace("label smoothing", "class_weight"): model for name, model in classifiers.items()}
    classifiers["the same, focal loss"] = scaled(MLPClassifier(**MODERN, loss="focal"))
    # The positive class, 1, is malignant.
    title = "breast cancer, 24 malignant of 381: average precision"
    report(title, classifiers, X[rows], 1 - y[rows], get_scorer("average_precision"))

    X, y = load_diabetes(return_X_y=True)
    regressors = {
        "scikit-learn's MLP": scaled_target(sklearn.neural_network.MLPRegressor(**BASE)),
        "HistGradientBoosting": HistGradientBoostingRegressor(max_iter=60, random_state=0),
        "sklearn_mlp, the same parameters": scaled_target(MLPRegressor(**BASE)),
        "sklearn_mlp, AdamW, dropout, gelu, cosine": scaled_target(MLPRegressor(**MODERN)),
        "the same, Huber loss": scaled_target(MLPRegressor("huber", **MODERN)),
    }
    report("diabetes: R²", regressors, X, y, get_scorer("r2"), stratify=False)

    interval = scaled(MLPRegressor("quantile", quantile=(0.1, 0.9), **MODERN))
    report("diabetes: coverage of an 80 % interval", {"quantile": interval}, X, y / 80, coverage, stratify=False)


if __name__ == "__main__":
    main()
