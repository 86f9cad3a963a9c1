"""Where to start: recipes for a scaled matrix, and the tabular estimators, compared on nine data sets.

Digits and diabetes of scikit-learn, and the seven tables of `tables.py` as a matrix: one-hot categories, numbers with
medians for gaps and indicators of them, all numbers standardised. Splits and scores are those of `tables.py`. The
tabular estimators get the data frame as it is. A table in Markdown has each score relative to the best of the column,
their geometric mean, and the time of all fits relative to the first row.

Run with `python benchmarks/starting_points.py`; it takes some ten minutes.
"""

import argparse
import warnings

import joblib
import numpy as np
from scipy.stats import gmean
from sklearn.datasets import load_diabetes, load_digits
from sklearn.pipeline import make_pipeline
from tables import TABLES, Result, load, measure, ours, to_matrix
from threadpoolctl import threadpool_limits

from sklearn_mlp import MLPClassifier, MLPRegressor

MATRICES = {"digits": load_digits, "diabetes": load_diabetes}

STOPPED = {"early_stopping": True, "max_iter": 1000}
START = STOPPED | {"scoring": "loss", "hidden_layer_sizes": (256, 256)}
COSINE = {
    "hidden_layer_sizes": (256, 256),
    "solver": "adamw",
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "max_iter": 30,
    "n_iter_no_change": np.inf,
}
RECIPES = {
    "the defaults, as in scikit-learn": {},
    "early stopping by the score": STOPPED,
    "early stopping by the loss": STOPPED | {"scoring": "loss"},
    "early stopping by the loss, (256, 256)": START,
    "the same, alpha=0.1, ema_decay=0.99": START | {"alpha": 0.1, "ema_decay": 0.99},
    "lbfgs, (50,), alpha=10": {"solver": "lbfgs", "hidden_layer_sizes": (50,), "alpha": 10, "max_iter": 1000},
    "adamw, cosine, 30 epochs, (256, 256)": COSINE,
}


def recipe(params):
    def make(are_classes, seed, n_threads):
        network = MLPClassifier if are_classes else MLPRegressor
        params_of_kind = params if are_classes else params | {"standardize_target": True}
        return make_pipeline(to_matrix(), network(random_state=seed, **params_of_kind))

    return make


def load_any(name):
    if name in TABLES:
        return load(name)
    X, y = MATRICES[name](return_X_y=True, as_frame=True)
    return name != "diabetes", X.astype("float32"), y.to_numpy()


def main(names, seeds, n_threads):
    makers = {title: recipe(params) for title, params in RECIPES.items()} | {"tabular": ours}
    means = {title: {} for title in makers}
    with threadpool_limits(n_threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measure(load_any("digits"), recipe(START), 0, n_threads)  # loads the kernels
        for name in names:
            data = load_any(name)
            print(f"{name}: {len(data[1])} rows, {data[1].shape[1]} columns")
            for title, make in makers.items():
                results = [measure(data, make, seed, n_threads) for seed in seeds]
                means[title][name] = Result(*np.mean(results, axis=0))
                print(f"{title:>40}: {means[title][name].score:.4f}", flush=True)
    print()
    print(markdown(means, names))


def markdown(means, names):
    best = {name: min(of[name].score for of in means.values()) for name in names}
    seconds = {title: sum(result.fit_seconds for result in of.values()) for title, of in means.items()}
    unit, *_ = seconds.values()
    rows = [f"| start | mean | time | {' | '.join(names)} |", f"|---|{'---|' * (len(names) + 2)}"]
    for title, of in means.items():
        ratios = [of[name].score / best[name] for name in names]
        cells = [f"{gmean(ratios):.2f}", f"{seconds[title] / unit:.1f}", *(f"{ratio:.2f}" for ratio in ratios)]
        rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=[*MATRICES, *TABLES])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=joblib.cpu_count())
    args = parser.parse_args()
    main(args.sets, args.seeds, args.threads)
