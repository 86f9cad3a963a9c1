"""The validation set at the end of each epoch: its loss and its score."""

import warnings
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import check_scoring

from sklearn_mlp._caller import warn
from sklearn_mlp._checks import to_host


class ValidationSet(NamedTuple):
    """Data to validate on: the rows numbered by `rows` (None: all) of X and the rest.

    `y` is as the user gave it, `target` as the loss takes it. `blocks` is None unless X is in blocks.
    """

    X: Any
    y: Any
    target: Any
    sample_weight: Any
    rows: Any = None
    blocks: Any = None


def make_validation(plan, task, validation_set, data, history, mlp, load_parameters):
    """A function of the objective that returns the score and the loss of the validation set.

    Parameters
    ----------
    plan : Plan
    task : Task
    validation_set : ValidationSet
    data : Data or BlockData
        The same for the network.
    history : History
    mlp : MLPClassifier or MLPRegressor
        The estimator that scorers get.
    load_parameters : callable
        Makes `mlp` predict with the parameters of an objective.
    """
    X, y, target, sample_weight, rows, _ = validation_set
    device, scoring = plan.device, plan.scoring
    batches = data.chunks(device, plan.dtype, plan.n_units(data.X.shape[1]))
    if rows is not None and sample_weight is not None:
        sample_weight = sample_weight[rows]
    if scoring is None:
        target = _rows_on_host(target, rows, device)
    elif scoring != "loss":
        scorer = check_scoring(mlp, scoring)
        X, y = (_rows_on_host(array, rows, device) for array in (X, y))
        takes_weight = sample_weight is not None and _takes_sample_weight(scorer)
        weights = {"sample_weight": sample_weight} if takes_weight else {}

    def validate(objective):
        output, loss = objective.evaluate(batches)
        if scoring == "loss":
            return -loss, loss
        output = device.to_host(output)
        if not np.isfinite(output).all():
            return np.nan, loss
        if scoring is None:
            score = float(task.score(target, output, sample_weight))
        else:
            load_parameters(objective)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "X does not have valid feature names")
                score = float(scorer(mlp, X, y, **weights))
        if not np.isfinite(score):
            _report_undefined_score(score, plan, history, batches.n_rows)
        return score, loss

    return validate


def _report_undefined_score(score, plan, history, n_rows):
    """Raise ValueError if early stopping has no score to follow, and otherwise warn at the first such score."""
    scores = history.validation_scores_[len(history.validation_scores_) - history.n_iter_ :]
    is_first = not scores
    if not (is_first or np.isfinite(scores).all()):
        return
    message = (
        f"The validation score of epoch {history.n_iter_ + 1} is {score}: scoring={plan.scoring!r} is not defined for "
        f"these predictions and the {n_rows} row(s) of the validation set. Use a larger validation set, for a "
        "classifier with rows of all classes, or another score, such as scoring='loss'."
    )
    if is_first and plan.early_stopping:
        raise ValueError(message)
    warn(message + " It does not count as an improvement.")


def _takes_sample_weight(scorer):
    if hasattr(scorer, "_accept_sample_weight"):
        return scorer._accept_sample_weight()
    parameters = signature(scorer).parameters.values()
    return any(each.name == "sample_weight" or each.kind is each.VAR_KEYWORD for each in parameters)


def _rows_on_host(array, rows, device):
    array = to_host(array, device)
    return array if rows is None else array[rows]
