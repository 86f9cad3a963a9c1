"""The validation set at the end of each epoch: its loss and its score."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import check_scoring

from sklearn_mlp._validation import to_host
from sklearn_mlp.core.batches import Batches


class ValidationSet(NamedTuple):
    """Data to validate on: the rows numbered by `rows` (None: all) of X and the rest.

    `y` is as the user gave it, `target` as the loss takes it.
    """

    X: Any
    y: Any
    target: Any
    sample_weight: Any
    rows: Any


def make_validation(mlp, objective, validation, held, bring_home):
    """A function that gives the score and the loss of the validation set.

    Parameters
    ----------
    held : what `device.hold` makes of the X of `validation`
    bring_home : callable
        Makes the estimator predict with the weights of now.
    """
    X, y, target, sample_weight, rows = validation
    device, network = objective.device, objective.network
    batch_size = device.chunk_rows(X, network.n_units)
    batches = Batches(device, held, target, sample_weight, dtype=network.dtype, batch_size=batch_size, rows=rows)
    if rows is not None:
        sample_weight = None if sample_weight is None else sample_weight[rows]
    if mlp.scoring is None:
        target = _rows_on_host(target, rows, device)
    elif mlp.scoring != "loss":
        scorer = check_scoring(mlp, mlp.scoring)
        X, y = (_rows_on_host(array, rows, device) for array in (X, y))
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}

    def validate():
        prediction, loss = objective.evaluate(batches)
        if mlp.scoring == "loss":
            return -loss, loss
        prediction = device.home(prediction)
        if not np.isfinite(prediction).all():
            return np.nan, loss
        if mlp.scoring is not None:
            bring_home()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "X does not have valid feature names")
                return float(scorer(mlp, X, y, **weights)), loss
        return float(mlp._score_prediction(target, prediction, sample_weight)), loss

    return validate


def _rows_on_host(array, rows, device):
    array = to_host(array, device)
    return array if rows is None else array[rows]
