"""The training set of a fit: X, y and weights, and what the estimator makes of y."""

from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_regressor

from sklearn_mlp._checks import about


class Problem(NamedTuple):
    """What an estimator makes of y: as its task encodes it, the task, the loss, and weights of classes or None."""

    y: Any
    task: Any
    loss: Any
    class_weight: Any


class TrainingSet:
    """What networks are trained on; several can share it.

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
        Times the weights of the classes.
    weight_of_user : ndarray or None
    loss_unit : float
        Factor from the network's loss to the scale of y.
    """

    def __init__(self, mlp, device, X, y, sample_weight, dtype, *, known_classes=None, incremental=False):
        self.device = device
        self.dtype = dtype
        self.X = X
        self.y = y
        self.weight_of_user = sample_weight
        with about("y"):
            y, self.task, self.loss, self.class_weight = mlp._learn_task(
                y, sample_weight, known_classes, device, incremental
            )
            self._checks_domain = is_regressor(mlp)
            self.target = self.encode(y)
        with about("class_weight"):
            self._class_weights = None
            if self.class_weight is not None:
                self._class_weights = self.task.class_weights(self.class_weight, device.to_host(self.target))
        self.sample_weight = self.weigh(self.target, sample_weight, "y")
        self.loss_unit = 1.0
        if self.task.standardizes:
            self.loss_unit = float(np.mean(self.task.scale**self.loss.unit_power))

    def encode(self, y):
        """y, as `task.read` returns it, as the loss takes it."""
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
        if self._class_weights is None:
            return sample_weight
        weight = self.task.weigh(self._class_weights, self.device.to_host(target), sample_weight, self.dtype)
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
