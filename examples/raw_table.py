"""A table with categories and missing values: TabularMLPClassifier compared with gradient boosting.

The task is to predict the species of a rodent from the time and place of its capture, its sex and two measurements.
The table has 2,000 captures, with missing values (examples/data/README.md names the source). TabularMLPClassifier takes
the fields of the file directly. HistGradientBoostingClassifier handles missing values as well, but needs the categories
of an array encoded as numbers.

Run with `make demo`, or `python examples/raw_table.py`.
"""

import csv
import time
from pathlib import Path

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from sklearn_mlp import TabularMLPClassifier

FILE = Path(__file__).parent / "data" / "rodents.csv"


def value_of(field):
    """A number, a string, or None for an empty field."""
    try:
        return int(field) if field else None
    except ValueError:
        return field


def seconds_to_fit(model, X, y):
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start


def main():
    with open(FILE, newline="") as file:
        names, *rows = csv.reader(file)
    X = np.array([[value_of(field) for field in row[:-1]] for row in rows], dtype=object)
    y = np.array([row[-1] for row in rows])
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    print(f"rodents of {len(set(y))} species: {len(X_train)} training rows, {len(X_test)} test rows; the first three:")
    for row in [names[:-1], *X[:3]]:
        print("{:>8}{:>7}{:>27}{:>5}{:>17}{:>8}".format(*("" if value is None else value for value in row)))

    categories = [names.index("plot_type"), names.index("sex")]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    networks = TabularMLPClassifier(random_state=0)
    trees = make_pipeline(
        make_column_transformer((codes, categories), remainder="passthrough"),
        HistGradientBoostingClassifier(categorical_features=[0, 1], random_state=0),
    )
    print(f"\n{'':32}{'accuracy':>10}{'log-loss':>10}{'seconds to fit':>16}")
    for name, model in {"TabularMLPClassifier": networks, "HistGradientBoostingClassifier": trees}.items():
        # The faster of two runs counts: first runs are slow.
        seconds = min(seconds_to_fit(model, X_train, y_train) for _ in range(2))
        loss = log_loss(y_test, model.predict_proba(X_test))
        print(f"{name:32}{model.score(X_test, y_test):>10.3f}{loss:>10.3f}{seconds:>16.1f}")
    print(f"\nout-of-fold accuracy of the networks: {networks.oof_score_:.3f}")


if __name__ == "__main__":
    main()
