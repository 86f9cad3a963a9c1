"""The training set of a fit: X, weights, y and its encoding."""

from math import isfinite
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import is_regressor

from sklearn_mlp._checks import about, split_rows
from sklearn_mlp._validation_set import ValidationSet
from sklearn_mlp.core.batches import Data
from sklearn_mlp.core.lbfgs import mean_loss
from sklearn_mlp.core.training import Training


class Problem(NamedTuple):
    """The learning problem for y: y as `task.encode` accepts it, the task, the loss, and class weights or None."""

    y: Any
    task: Any
    loss: Any
    class_weight: Any


class TrainingSet:
    """The training data of networks; several can share them.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
    device : Device
    X : array, sparse matrix or EncodedTable
    y : array
        As the user gave it, validated.
    sample_weight : ndarray or None
        That of the user, validated.
    dtype : numpy dtype
        The precision of training.
    known_classes : ndarray, list of ndarray or None
        The classes of the model that training continues, or that `partial_fit` was told.
    incremental : bool
        Whether the fit is a `partial_fit`.

    Attributes
    ----------
    task : Task
    loss : Loss
    target : array
        y as the loss takes it.
    sample_weight : ndarray or None
        Multiplied by the class weights.
    weight_of_user : ndarray or None
    loss_unit : float
        Factor from the network's loss to the scale of y.
    """

    # Further parameters that the result depends on, for checkpoints.
    parameters: ClassVar[dict] = {}

    def __init__(self, mlp, device, X, y, sample_weight, dtype, *, known_classes=None, incremental=False):
        self._set(device, X, y, sample_weight, dtype)
        with about("y"):
            self.target = self.encode(self._learn(mlp, y, sample_weight, known_classes, incremental))
        self._find_class_weights(self.target)
        self.sample_weight = self.weigh(self.target, sample_weight, "y")

    def _set(self, device, X, y, sample_weight, dtype):
        self.device = device
        self.dtype = dtype
        self.X = X
        self.y = y
        self.weight_of_user = sample_weight

    def _learn(self, mlp, y, sample_weight, known_classes, incremental=False):
        """Set task and loss; return y in the form that `encode` accepts."""
        y, self.task, self.loss, self.class_weight = mlp._learn_task(
            y, sample_weight, known_classes, self.device, incremental
        )
        self._checks_domain = is_regressor(mlp)
        return y

    def _find_class_weights(self, target, counts=None):
        self._class_weights = None
        if self.class_weight is not None:
            with about("class_weight"):
                target = self.device.to_host(target)
                self._class_weights = self.task.class_weights(self.class_weight, target, counts)

    @property
    def n_rows(self):
        return self.X.shape[0]

    @property
    def loss_unit(self):
        return float(np.mean(self.task.scale**self.loss.unit_power)) if self.task.standardizes else 1.0

    def encode(self, y):
        """Encode the result of `task.read` for the loss."""
        target = self.task.encode(y, self.dtype, self.device)
        if self._checks_domain:
            self.loss.check_domain(*(self.device.to_host(end) for end in (target.min(), target.max())))
        return target

    def encode_validation(self, y, sample_weight):
        """The target and the weights of a validation set."""
        with about("y_val"):
            y = self.task.read(y, self.device)
            self.task.check(y)
            target = self.encode(y)
        return target, self.weigh(target, sample_weight, "y_val")

    def weigh(self, target, sample_weight, name):
        """The weights of the rows of y or y_val, as `name` says."""
        weight = self.weigh_part(target, sample_weight)
        if self._class_weights is None:
            return weight
        total = weight.sum()
        if total == 0:
            raise ValueError(
                f"class_weight={self.class_weight} gives all rows of {name} a weight of zero, with which they have no "
                "effect. Give one of their classes a positive weight, or drop them."
            )
        if not isfinite(total):
            raise ValueError(
                f"class_weight={self.class_weight} times sample_weight is not finite in {self.dtype}, or its sum over "
                f"the rows of {name} is not. Divide the weights by a constant."
            )
        return weight

    def weigh_part(self, target, sample_weight):
        """Like `weigh`, for rows that may all have a weight of zero."""
        if self._class_weights is None:
            return sample_weight
        return self.task.weigh(self._class_weights, self.device.to_host(target), sample_weight, self.dtype)

    def data(self, rows, gathers):
        """The training data of `rows`, indices or None for all; `gathers` is whether their order changes."""
        X = self.device.prepare_rows(self.X, self.dtype, gather=gathers)
        return Data(X, self.target, self.sample_weight, None if rows is None else rows.copy())

    def start(self, *args, **kwargs):
        """A `Training` with these arguments."""
        return Training(*args, **kwargs)

    def mean_loss(self, plan, data, objective):
        """The function that 'lbfgs' minimises, without the penalty."""
        return mean_loss(plan, data, data.total_weight, objective)

    def split(self, plan, random_state):
        """The rows to train on, and a validation set of others, for `early_stopping`."""
        fraction, weight = plan.validation_fraction, self.sample_weight
        strata = self.task.strata(self.device.to_host(self.target))
        rows, rows_val = split_rows(len(self.target), strata, fraction, random_state)
        if weight is not None and not (weight[rows].any() and weight[rows_val].any()):
            raise ValueError(
                "The weight (sample_weight times class_weight) is zero for all rows of the training or of the "
                f"validation set that early_stopping=True makes with validation_fraction={fraction}. Drop the rows of "
                "zero weight, or set early_stopping=False."
            )
        return rows, self.validation_rows(rows_val)

    def validation_rows(self, rows):
        """Rows of the training set as a validation set."""
        return ValidationSet(self.X, self.y, self.target, self.sample_weight, rows)

    def trained_on(self, rows):
        """Target and weights of the rows to train on, on the host."""
        rows, weight = slice(None) if rows is None else rows, self.sample_weight
        return self.device.to_host(self.target)[rows], None if weight is None else weight[rows]

    def for_identity(self):
        """The arrays that identify the data of a checkpoint, by the name of the argument."""
        return {"X": self.X, "y": self.y, "sample_weight": self.weight_of_user}
