"""Which parameters are worth tuning: held-out loss with one parameter changed at a time.

Five of the tables of `tables.py`, with at most 2,000 rows each; a quarter of the rows is held out. Each parameter takes
each of its values while the others keep their start values: for the tabular estimators, one member at the defaults; for
the MLP, the start of docs/guide/choosing.md on one-hot categories and standardised numbers. The loss is the log-loss or
the root mean squared error, divided by that of the start, and averaged over seeds (of the split and the model) and
tables. Changing only `random_state` shows the random variation.

Run with `python benchmarks/tuning.py tabular` or `python benchmarks/tuning.py mlp`.
"""

import argparse
import warnings

import numpy as np
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from starting_points import START as START_OF_MLP
from starting_points import recipe
from tables import load
from threadpoolctl import threadpool_limits

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor

NAMES = "oj", "churn", "surveys", "diamonds", "ames"
MAX_ROWS = 2000
LAYERS = [(64,), (256,), (64, 64), (256, 256), (512, 512), (256, 256, 256)]
START = {"tabular": {"n_members": 1}, "mlp": START_OF_MLP}
VALUES = {
    "tabular": {
        "learning_rate_init": [0.0003, 0.001, 0.003, 0.01, 0.03],
        "max_iter": [16, 32, 64, 128, 256],
        "dropout": [0.0, 0.1, 0.2, 0.3, 0.5],
        "hidden_layer_sizes": LAYERS,
        "batch_size": [32, 64, 128, 256],
        "weight_decay": [0.0, 0.02, 0.1, 0.3],
        "n_bins": [4, 8, 16, 32, 64],
        "min_frequency": [1, 3, 10, 30],
        "max_interactions": [0, 4, 16],
        "n_members": [1, 2, 4, 8],
    },
    "mlp": {
        "learning_rate_init": [0.0001, 0.0003, 0.001, 0.003, 0.01],
        "n_iter_no_change": [5, 10, 20, 50],
        "dropout": [0.0, 0.1, 0.3, 0.5],
        "hidden_layer_sizes": LAYERS,
        "batch_size": [32, 64, 128, 200, 400],
        "alpha": [0.0001, 0.01, 0.1, 1.0, 10.0],
        "activation": ["relu", "tanh", "silu", "mish"],
        "normalization": [None, "batch", "layer"],
        "ema_decay": [0.0, 0.9, 0.99],
    },
}


def make_model(family, is_classifier, params, seed):
    params = START[family] | params
    seed = params.pop("random_state", seed)
    if family == "tabular":
        return (TabularMLPClassifier if is_classifier else TabularMLPRegressor)(random_state=seed, **params)
    return recipe(params)(is_classifier, seed, n_threads=1)


def loss(family, table, params, seed, split_seed):
    is_classifier, X, y = table
    stratify = y if is_classifier else None
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=stratify, random_state=split_seed)
    model = make_model(family, is_classifier, params, seed).fit(X_train, y_train)
    if is_classifier:
        return log_loss(y_test, model.predict_proba(X_test), labels=model.classes_)
    return root_mean_squared_error(y_test, model.predict(X_test))


def main(family, seeds):
    warnings.simplefilter("ignore")
    tables = []
    for name in NAMES:
        is_classifier, X, y = load(name)
        tables.append((is_classifier, X[:MAX_ROWS], y[:MAX_ROWS]))
    values = VALUES[family] | {"random_state": list(range(10, 15))}
    start = np.array([[loss(family, table, {}, seed, seed) for seed in seeds] for table in tables])
    print("| parameter | loss relative to the start, mean of the tables | best value, for each table |")
    print("|---|---|---|")
    for parameter, levels in values.items():
        losses = np.array(
            [
                [[loss(family, table, {parameter: level}, seed, seed) for seed in seeds] for table in tables]
                for level in levels
            ]
        )
        relative = (losses / start).mean(axis=2)  # levels × tables
        curve = ", ".join(f"{level}: {value:.2f}" for level, value in zip(levels, relative.mean(axis=1), strict=True))
        best = ", ".join(f"{value:.2f}" for value in relative.min(axis=0))
        print(f"| `{parameter}` | {curve} | {best} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", choices=list(START))
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    with threadpool_limits(1):
        main(arguments.family, range(arguments.seeds))
