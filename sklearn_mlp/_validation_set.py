"""The validation set at the end of each epoch: its loss and its score."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import check_scoring

from sklearn_mlp._checks import to_host
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


def make_validation(plan, task, validation_set, X_prepared, mlp, load_parameters):
    """A function of the objective that returns the score and the loss of the validation set.

    Parameters
    ----------
    plan : Plan
    task : Task
    validation_set : ValidationSet
    X_prepared : what `device.prepare_rows` returns for the X of `validation_set`
    mlp : MLPClassifier or MLPRegressor
        The estimator that scorers get.
    load_parameters : callable
        Makes `mlp` predict with the parameters of an objective.
    """
    X, y, target, sample_weight, rows = validation_set
    device, scoring = plan.device, plan.scoring
    batch_size = device.chunk_rows(X, plan.n_units(X.shape[1]))
    batches = Batches(device, X_prepared, target, sample_weight, dtype=plan.dtype, batch_size=batch_size, rows=rows)
    if rows is not None and sample_weight is not None:
        sample_weight = sample_weight[rows]
    if scoring is None:
        target = _rows_on_host(target, rows, device)
    elif scoring != "loss":
        scorer = check_scoring(mlp, scoring)
        X, y = (_rows_on_host(array, rows, device) for array in (X, y))
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}

    def validate(objective):
        output, loss = objective.evaluate(batches)
        if scoring == "loss":
            return -loss, loss
        output = device.to_host(output)
        if not np.isfinite(output).all():
            return np.nan, loss
        if scoring is None:
            return float(task.score(target, output, sample_weight)), loss
        load_parameters(objective)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            return float(scorer(mlp, X, y, **weights)), loss

    return validate


def _rows_on_host(array, rows, device):
    array = to_host(array, device)
    return array if rows is None else array[rows]
