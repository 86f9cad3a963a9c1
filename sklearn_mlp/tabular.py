"""Estimators for tables as people have them: a data frame in, an ensemble of networks inside."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY
from numbers import Integral, Real
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context, is_classifier, is_regressor
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, Options
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp._base import interruptible
from sklearn_mlp._checks import (
    about,
    as_column,
    check_arguments,
    read_array,
    to_host,
    validate_weight,
    validate_y,
)
from sklearn_mlp._columns import as_table, read_columns
from sklearn_mlp._docstrings import documented
from sklearn_mlp._ensemble import EnsembleFit, Member, n_threads, outputs, split
from sklearn_mlp._fit import Inputs
from sklearn_mlp._parameters import Names, ValidatesNames, declares_parameters, parameter
from sklearn_mlp._tasks import FitTasks, callback_context
from sklearn_mlp._training_set import TrainingSet
from sklearn_mlp._validation_set import ValidationSet
from sklearn_mlp.classifier import MLPClassifier, log_probability
from sklearn_mlp.core.losses import REGRESSION_LOSSES
from sklearn_mlp.devices import resolve_device
from sklearn_mlp.devices.encoded import EncodedTable
from sklearn_mlp.encoders import N_BINS, TabularEncoder
from sklearn_mlp.regressor import MLPRegressor

__all__ = ["TabularMLPClassifier", "TabularMLPRegressor"]

# Fitted attributes that not every fit leaves.
NOT_ALWAYS_THERE = {"feature_names_in_", "oof_prediction_", "oof_score_"}


@declares_parameters
class TabularParameters(ValidatesNames, BaseEstimator):
    """The parameters of both estimators."""

    categorical_features: str | Sequence | None = parameter("from_dtype", Names({"from_dtype"}), "array-like", None)
    _: KW_ONLY
    n_members: int = parameter(8, Interval(Integral, 1, None, closed="left"))
    hidden_layer_sizes: int | Sequence[int] = parameter(
        (256, 256), "array-like", Interval(Integral, 1, None, closed="left")
    )
    max_iter: int = parameter(64, Interval(Integral, 1, None, closed="left"))
    learning_rate_init: float | str = parameter("auto", Names({"auto"}), Interval(Real, 0, None, closed="neither"))
    batch_size: int | str = parameter("auto", Names({"auto"}), Interval(Integral, 1, None, closed="left"))
    dropout: float | str | Sequence[float] = parameter(
        "auto", Names({"auto"}), Interval(Real, 0, 1, closed="left"), "array-like"
    )
    weight_decay: float = parameter(0.02, Interval(Real, 0, None, closed="left"))
    n_bins: int | str = parameter(32, *N_BINS)
    min_frequency: int = parameter(3, Interval(Integral, 1, None, closed="left"))
    max_interactions: int = parameter(4, Interval(Integral, 0, None, closed="left"))
    n_jobs: int | None = parameter(None, Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None)
    device: str = parameter("cpu", str)
    random_state: int | np.random.RandomState | None = parameter(None, "random_state")
    verbose: bool | int = parameter(False, "verbose")


class _TabularMLP(CallbackSupportMixin, TabularParameters, ABC):
    @abstractmethod
    def _network(self, **parameters):
        """A network with parameters of this estimator and `parameters`."""

    def _member_parameters(self, n_rows):
        """The parameters of the networks for so many rows."""
        is_small = n_rows < 3000
        automatic = {
            "learning_rate_init": 0.001 if is_classifier(self) else 0.003,
            "batch_size": 128,
            "dropout": 0.3 if is_small else 0.1,
        }
        for name, value in automatic.items():
            given = getattr(self, name)
            automatic[name] = value if isinstance(given, str) else given
        return automatic | {
            "hidden_layer_sizes": self.hidden_layer_sizes,
            "activation": "silu",
            "solver": "adamw",
            "alpha": 0.0,
            "beta_2": 0.95,
            "weight_decay": self.weight_decay,
            "learning_rate": "cosine",
            "max_iter": self.max_iter,
            "n_iter_no_change": max(16, self.max_iter // 4),
            "early_stopping": True,
            "scoring": "loss",
            "tol": 0.0,
            # In a single batch, precision costs nothing.
            "dtype": "float64" if n_rows <= automatic["batch_size"] else "float32",
        }

    # -- fit -----------------------------------------------------------------------------------------------------------

    def _fit(self, inputs, groups):
        check_arguments(inputs, "adamw", None)
        device = resolve_device(self.device)
        data = inputs.X, inputs.y, inputs.sample_weight
        tasks = FitTasks(self, callback_context(self, self.n_members, sequential_subtasks=False), *data)
        # The estimator is as it was until the fit has succeeded.
        snapshot = object.__new__(type(self))
        vars(snapshot).update(vars(self))
        with device.active():
            try:
                fitted = snapshot._fit_members(inputs, groups, device, tasks, data)
            finally:
                device.release()
        gone = NOT_ALWAYS_THERE - fitted.keys()
        vars(self).update(dict.fromkeys(gone) | fitted)
        for name in gone:
            vars(self).pop(name, None)
        tasks.end()
        return self

    def _fit_members(self, inputs, groups, device, tasks, data):
        """The fitted attributes."""
        X, y, weight, groups, kept = self._read_rows(inputs, groups, device)
        columns = read_columns(self, X, reset=True)
        network = self._network(**self._member_parameters(len(y)), random_state=0)
        encoder = TabularEncoder(
            self.categorical_features,
            n_bins=self.n_bins,
            min_frequency=self.min_frequency,
            max_interactions=self.max_interactions,
        )
        training_set = TrainingSet(
            network, device, None, y, None if weight is None else weight.astype(network.dtype), np.dtype(network.dtype)
        )
        target = device.to_host(training_set.target)
        table = encoder._fit_table(columns, target, weight)
        encoding = encoder._encoding()
        merged = None
        if network.dtype == "float64":
            table, merged = _merge_rows(table, training_set, device)
            groups = None if groups is None else groups[merged.first]
        training_set.X = EncodedTable(table, encoding)
        validation_set = self._read_validation_set(inputs, encoder, training_set, device)
        random_state = check_random_state(self.random_state)
        members = self._members(network, training_set, validation_set, groups, device, random_state)
        of_X = {name: vars(self)[name] for name in ("n_features_in_", "feature_names_in_") if name in vars(self)}
        vars(encoder).update(of_X)

        def fitted(networks):
            task = training_set.task
            return of_X | {
                **({"classes_": task.classes} if is_classifier(self) else {}),
                "encoder_": encoder,
                "estimators_": networks,
                "n_iter_": max(network.n_iter_ for network in networks),
                "n_outputs_": task.n_outputs,
                "device_": device.name,
            }

        threads = n_threads(joblib.cpu_count() if self.n_jobs == -1 else self.n_jobs, device)
        fit = EnsembleFit(self, device, training_set, members, validation_set, threads, fitted)
        members = fit.run(tasks.root, data)
        attributes = fitted([member.network for member in members])
        if validation_set is None and members[0].rows is not None:
            attributes |= _out_of_fold(members, training_set, device, merged, kept)
        return attributes

    def _read_rows(self, inputs, groups, device):
        """X as a table, y, weights and groups of the rows of positive weight, and where those are among all."""
        X = as_table(to_host(read_array("X", inputs.X, device), device))
        y = to_host(read_array("y", inputs.y, device, dates_allowed=is_classifier(self)), device)
        with about("y"):
            y = as_column(validate_y(self, y, device))
        with about("X", "y"):
            check_consistent_length(X, y)
        n_rows = y.shape[0]
        with about("sample_weight"):
            weight = read_array("sample_weight", inputs.sample_weight, device)
            weight = validate_weight(weight, n_rows, np.float64, device)
        if groups is not None:
            with about("groups"):
                groups = np.asarray(groups)
                check_consistent_length(y, groups)
        if weight is not None:
            # By a power of 2, which rounds nothing: their unit has no effect, and float32 has them.
            weight = np.ldexp(weight, -np.frexp(weight.max())[1])
        if weight is None or weight.all():
            return X, y, weight, groups, np.arange(n_rows)
        kept = np.flatnonzero(weight)
        X, y, weight, groups = (None if each is None else _safe_indexing(each, kept) for each in (X, y, weight, groups))
        return X, y, weight, groups, kept

    def _read_validation_set(self, inputs, encoder, training_set, device):
        if inputs.X_val is None:
            return None
        with about("X_val"):
            X = to_host(read_array("X_val", inputs.X_val, device), device)
            table = encoder._table(read_columns(self, X, reset=False))
        y = to_host(read_array("y_val", inputs.y_val, device, dates_allowed=is_classifier(self)), device)
        with about("y_val"):
            y = as_column(validate_y(self, y, device))
        with about("X_val", "y_val"):
            check_consistent_length(table, y)
        with about("sample_weight_val"):
            weight = read_array("sample_weight_val", inputs.sample_weight_val, device)
            weight = validate_weight(weight, len(table), training_set.dtype, device)
        X = EncodedTable(table, training_set.X.encoding)
        return ValidationSet(X, y, *training_set.encode_validation(y, weight), None)

    def _members(self, network, training_set, validation_set, groups, device, random_state):
        seeds = random_state.randint(2**31 - 1, size=self.n_members)
        n_rows = training_set.X.shape[0]
        if validation_set is not None or n_rows < 2:
            splits = [(None, None)] * self.n_members
        else:
            strata = training_set.task.strata(device.to_host(training_set.target))
            splits = split(self.n_members, n_rows, strata, groups, random_state)
            weight = training_set.sample_weight
            if weight is not None and not all(weight[rows].any() for pair in splits for rows in pair):
                raise ValueError(
                    "The weight (sample_weight times class_weight) is zero for all rows that a network is trained on, "
                    "or validated on. Drop the rows of zero weight, or pass X_val and y_val."
                )
        members = []
        for seed, rows in zip(seeds.tolist(), splits, strict=True):
            member = type(network)(**network.get_params() | {"random_state": seed})
            member.early_stopping = validation_set is not None or rows[0] is not None
            member.n_features_in_ = training_set.X.shape[1]
            members.append(Member(member, *rows))
        return members

    # -- predict -------------------------------------------------------------------------------------------------------

    def _predict(self, X, decode):
        """What `decode` makes of the task, the mean output of the networks for X, and the device."""
        check_is_fitted(self, "estimators_")
        # Another thread may fit in between.
        snapshot = object.__new__(type(self))
        vars(snapshot).update(vars(self))
        device = resolve_device(self.device)
        X = to_host(read_array("X", X, device), device)
        with about("X"):
            table = snapshot.encoder_._table(read_columns(snapshot, X, reset=False))
        X = EncodedTable(table, snapshot.encoder_._encoding())
        threads = n_threads(joblib.cpu_count() if self.n_jobs == -1 else self.n_jobs, device)
        output = outputs(device, snapshot.estimators_, X, threads).mean(axis=0, dtype=np.float64)
        return decode(snapshot.estimators_[0]._model.task, output, device)

    def _score(self, X, y, sample_weight):
        device = resolve_device(self.device)
        prediction = self.predict(X)
        with about("y"):
            y = to_host(read_array("y", y, device, dates_allowed=is_classifier(self)), device)
            y = as_column(validate_y(self, y, device), warns=False)
            check_consistent_length(y, prediction)
            task = self.estimators_[0]._model.task
            y = task.read(y, device)
        with about("sample_weight"):
            weight = read_array("sample_weight", sample_weight, device)
            weight = validate_weight(weight, len(prediction), np.float64, device)
        return task.score_decoded(y, prediction, weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.multi_output = True
        return tags


@documented
@declares_parameters
class TabularMLPClassifier(ClassifierMixin, _TabularMLP):
    """Classifier for tables: an ensemble of networks with all that a data frame needs in front of it.

    Takes a data frame as it is, with numbers of any scale, categories and gaps. Each feature is encoded for a network
    by :class:`~sklearn_mlp.encoders.TabularEncoder`; several networks are trained on different parts of the rows, with
    settings that suit tables, and their probabilities are averaged.

    Parameters
    ----------
    $categorical_features

    class_weight : dict, list of dict, 'balanced' or None, default=None
        Class weights ``{label: weight}``, see :class:`MLPClassifier`.

    label_smoothing : float, default=0.0
        Fraction of each label, in [0, 1), that is distributed over all classes.

    $tabular_parameters

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of such
        The class labels; for multilabel y, the column indices; for a multiclass-multioutput y, a list with the labels
        of each column.

    $tabular_attributes

    See Also
    --------
    TabularMLPRegressor : The same for real-valued targets.
    MLPClassifier : A single network on numbers of unit scale.
    sklearn_mlp.encoders.TabularEncoder : The encoding alone.

    Notes
    -----
    $tabular_notes

    References
    ----------
    $tabular_references

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.datasets import load_wine
    >>> from sklearn_mlp import TabularMLPClassifier
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> X["colour"] = pd.cut(X.pop("color_intensity"), 3, labels=["light", "medium", "dark"])
    >>> clf = TabularMLPClassifier(n_members=2, random_state=0).fit(X, y)
    >>> clf.predict(X[:3]).tolist()
    [0, 0, 0]
    >>> clf.predict_proba(X[:3]).shape
    (3, 3)
    """

    class_weight: dict | list[dict] | str | None = parameter(None, Names({"balanced"}), dict, list, None)
    label_smoothing: float = parameter(0.0, Interval(Real, 0, 1, closed="left"))

    @interruptible
    @_fit_context(prefer_skip_nested_validation=True)
    @documented
    def fit(self, X, y, sample_weight=None, *, groups=None, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the networks to X and y.

        Parameters
        ----------
        $tabular_X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, see :meth:`MLPClassifier.fit`.

        $tabular_fit_parameters

        Returns
        -------
        self : TabularMLPClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If X has dates, if a feature that is to be a number is not, or if another argument is invalid. The estimator
            is left unchanged.
        """
        return self._fit(Inputs(X, y, sample_weight, X_val, y_val, sample_weight_val), groups)

    def _network(self, **parameters):
        return MLPClassifier(**parameters, class_weight=self.class_weight, label_smoothing=self.label_smoothing)

    @documented
    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        $tabular_X

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class of each sample, see :meth:`MLPClassifier.predict`.
        """
        return self._predict(X, lambda task, output, device: task.decode(output, device))

    @documented
    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        $tabular_X

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes) or list of such
            One column per class, in the order of `classes_`: the mean of the networks'.
        """
        return self._predict(X, lambda task, output, device: task.probability(output))

    @documented
    def predict_log_proba(self, X):
        """Predict the logarithm of class probabilities.

        Parameters
        ----------
        $tabular_X

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes) or list of such
            ``log(predict_proba(X))``.
        """
        return self._predict(X, log_probability)

    @documented
    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the predictions.

        Parameters
        ----------
        $tabular_X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. None gives all samples a weight of 1.

        Returns
        -------
        score : float
            The fraction of samples with all labels predicted correctly.
        """
        return self._score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@documented
@declares_parameters
class TabularMLPRegressor(RegressorMixin, _TabularMLP):
    """Regressor for tables: an ensemble of networks with all that a data frame needs in front of it.

    Takes a data frame as it is, with numbers of any scale, categories and gaps. Each feature is encoded for a network
    by :class:`~sklearn_mlp.encoders.TabularEncoder`, and y is standardised; several networks are trained on different
    parts of the rows, with settings that suit tables, and their predictions are averaged.

    Parameters
    ----------
    $categorical_features

    loss : {'squared_error', 'absolute_error', 'huber', 'quantile', 'poisson', 'gamma', 'tweedie', 'log_loss'}, \
            default='squared_error'
        Loss of a sample, see :class:`MLPRegressor`.

    huber_delta : float, default=1.0
        Error, in standard deviations of y, at which 'huber' changes from quadratic to linear. Ignored by other losses.

    quantile : float or sequence of float of shape (n_levels,), default=0.5
        Level of the quantile for loss='quantile', or increasing levels of several quantiles. Ignored by other losses.

    tweedie_power : float, default=1.5
        Power of the variance function for loss='tweedie', in (1, 2). Ignored by other losses.

    $tabular_parameters

    Attributes
    ----------
    $tabular_attributes

    See Also
    --------
    TabularMLPClassifier : The same for class labels.
    MLPRegressor : A single network on numbers of unit scale.
    sklearn_mlp.encoders.TabularEncoder : The encoding alone.

    Notes
    -----
    $tabular_notes

    References
    ----------
    $tabular_references

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_mlp import TabularMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> X["sex"] = X["sex"].map(lambda sex: "first" if sex > 0 else "second")
    >>> reg = TabularMLPRegressor(n_members=2, random_state=0).fit(X, y)
    >>> reg.score(X, y)
    0...
    """

    loss: str = parameter("squared_error", Names(set(REGRESSION_LOSSES)))
    huber_delta: float = parameter(1.0, Interval(Real, 0, None, closed="neither"))
    quantile: float | Sequence[float] = parameter(0.5, Interval(Real, 0, 1, closed="neither"), "array-like")
    tweedie_power: float = parameter(1.5, Interval(Real, 1, 2, closed="neither"))

    @interruptible
    @_fit_context(prefer_skip_nested_validation=True)
    @documented
    def fit(self, X, y, sample_weight=None, *, groups=None, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the networks to X and y.

        Parameters
        ----------
        $tabular_X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values of any scale, in the domain of `loss`.

        $tabular_fit_parameters

        Returns
        -------
        self : TabularMLPRegressor
            The fitted regressor.

        Raises
        ------
        ValueError
            If X has dates, if a feature that is to be a number is not, or if another argument is invalid. The estimator
            is left unchanged.
        """
        return self._fit(Inputs(X, y, sample_weight, X_val, y_val, sample_weight_val), groups)

    def _network(self, **parameters):
        return MLPRegressor(
            **parameters,
            loss=self.loss,
            huber_delta=self.huber_delta,
            quantile=self.quantile,
            tweedie_power=self.tweedie_power,
            standardize_target=REGRESSION_LOSSES[self.loss].out_activation == "identity",
        )

    @documented
    def predict(self, X):
        """Predict the mean, the median or the quantiles of y, depending on `loss`.

        Parameters
        ----------
        $tabular_X

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The mean of the networks' predictions.
        """
        return self._predict(X, lambda task, output, device: task.decode(output, device))

    @documented
    def score(self, X, y, sample_weight=None):
        """Return the coefficient of determination, R², of the predictions.

        For several quantiles, the mean over the levels of D², see :meth:`MLPRegressor.score`.

        Parameters
        ----------
        $tabular_X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. None gives all samples a weight of 1.

        Returns
        -------
        score : float
            1 for perfect predictions, 0 for a constant prediction.
        """
        return self._score(X, y, sample_weight)


class _Merged(NamedTuple):
    """Rows merged into one: the first of each, and for each row the number of the one that it is part of."""

    first: np.ndarray
    inverse: np.ndarray


def _merge_rows(table, training_set, device):
    """Merge equal rows of a table and a target, with the sums of their weights, in an order of their values."""
    target = device.to_host(training_set.target)
    rows = np.column_stack([table.astype(np.float64), target])
    keys = np.ascontiguousarray(rows + 0.0).view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    training_set.y = _safe_indexing(training_set.y, first)
    training_set.target = device.to_device(target[first])
    if training_set.sample_weight is not None or len(first) < len(table):
        training_set.sample_weight = np.bincount(inverse, training_set.sample_weight).astype(np.float64)
    return table[first], _Merged(first, inverse)


def _out_of_fold(members, training_set, device, merged, kept):
    """The out-of-fold predictions and their score, as fitted attributes."""
    X, task = training_set.X, training_set.task
    total = np.zeros((X.shape[0], task.n_outputs))
    n_predictions = np.zeros((X.shape[0], 1))
    for network, _, rows in members:
        total[rows] += outputs(device, [network], X[rows], 1)[0]
        n_predictions[rows] += 1
    covered = n_predictions[:, 0] > 0
    with np.errstate(invalid="ignore"):
        output = total / n_predictions
    weight = training_set.sample_weight
    score = task.score_decoded(
        task.read(_safe_indexing(training_set.y, np.flatnonzero(covered)), device),
        task.decode(output[covered], device),
        None if weight is None else weight[covered],
    )
    in_all = np.full((kept[-1] + 1, task.n_outputs), np.nan)
    in_all[kept] = output if merged is None else output[merged.inverse]
    prediction = task.decode(in_all, device) if is_regressor(members[0].network) else task.probability(in_all)
    return {"oof_prediction_": prediction, "oof_score_": float(score)}
