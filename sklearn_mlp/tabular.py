"""Estimators for tables: ensembles of networks on the encoded columns of a data frame."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY
from numbers import Integral, Real
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context, is_classifier
from sklearn.callback import CallbackSupportMixin
from sklearn.utils._param_validation import Interval, Options
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp._base import CaptionedDiagram, interruptible, score
from sklearn_mlp._blocks import predict_blocks
from sklearn_mlp._checks import (
    about,
    check_arguments,
    is_blocks,
    read_array,
    shallow_copy,
    to_host,
)
from sklearn_mlp._columns import read_columns
from sklearn_mlp._docstrings import documented
from sklearn_mlp._ensemble import n_threads, normalised, outputs
from sklearn_mlp._fit import Inputs
from sklearn_mlp._parameters import Names, ValidatesNames, declares_parameters, parameter
from sklearn_mlp._tabular_blocks import TabularBlocksFit
from sklearn_mlp._tabular_fit import TabularFit
from sklearn_mlp._tasks import FitTasks, callback_context
from sklearn_mlp.classifier import MLPClassifier, log_probability
from sklearn_mlp.core.losses import REGRESSION_LOSSES
from sklearn_mlp.devices import resolve_device
from sklearn_mlp.devices.encoded import EncodedTable
from sklearn_mlp.encoders import N_BINS
from sklearn_mlp.regressor import MLPRegressor

__all__ = ["TabularMLPClassifier", "TabularMLPRegressor"]

# Fitted attributes that some fits do not set.
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
    max_iter: int | str = parameter("auto", Names({"auto"}), Interval(Integral, 1, None, closed="left"))
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


class _TabularMLP(CaptionedDiagram, CallbackSupportMixin, TabularParameters, ABC):
    @abstractmethod
    def _network(self, n_rows):
        """A network with the parameters of this estimator for `n_rows` rows."""

    def _parameters_of_network(self, n_rows):
        """The parameters of the networks of both estimators, by rules found on seven tables.

        `benchmarks/tables.py` prints their results.
        """
        doublings = int(max(0, np.emath.logn(4, n_rows / 12_500)))  # of the batch, one for each factor of 4 in the rows
        # With dropout, the intervals between quantiles are too wide: 96 % of 90 on 3,000 diamonds, 88 % without.
        predicts_quantiles = getattr(self, "loss", None) == "quantile"
        automatic = {
            "learning_rate_init": 0.001 if is_classifier(self) else 0.003,
            "batch_size": min(128 * 2**doublings, 1024),
            "dropout": 0.0 if predicts_quantiles else 0.3 if n_rows < 3000 else 0.1,
            # Enough steps for few rows, and few epochs for many.
            "max_iter": int(np.clip(500_000 / n_rows, min(64, max(16, 6_400_000 / n_rows)), 256)),
        }
        parameters = {name: getattr(self, name) for name in automatic}
        parameters |= {name: automatic[name] for name, value in parameters.items() if isinstance(value, str)}
        return parameters | {
            "hidden_layer_sizes": self.hidden_layer_sizes,
            "activation": "mish",
            "solver": "adamw",
            "alpha": 0.0,
            "beta_2": 0.95,
            "weight_decay": self.weight_decay,
            "learning_rate": "cosine",
            "n_iter_no_change": max(16, parameters["max_iter"] // 4),
            "scoring": "loss",
            "tol": 0.0,
            # With a single batch, double precision costs nothing.
            "dtype": "float64" if n_rows <= parameters["batch_size"] else "float32",
        }

    # -- fit -----------------------------------------------------------------------------------------------------------

    def _fit(self, inputs, groups):
        check_arguments(inputs, "adamw", None)
        data = inputs.X, inputs.y, inputs.sample_weight
        tasks = FitTasks(self, callback_context(self, self.n_members, sequential_subtasks=False), *data)
        fitted = self._train(inputs, groups, tasks, data)
        gone = NOT_ALWAYS_THERE - fitted.keys()
        # A single update, which an interrupt cannot split.
        vars(self).update(dict.fromkeys(gone) | fitted)
        for name in gone:
            vars(self).pop(name, None)
        tasks.end()
        return self

    def _train(self, inputs, groups, tasks, data):
        """The fitted attributes."""
        device = resolve_device(self.device)
        of_fit = shallow_copy(self), device, inputs, groups, tasks, n_threads(self.n_jobs, device)
        with device.active():
            try:
                if is_blocks(inputs.X):
                    with TemporaryDirectory(prefix="sklearn_mlp-") as folder:
                        return TabularBlocksFit(folder, *of_fit).run(data)
                return TabularFit(*of_fit).run(data)
            finally:
                device.release()

    # -- predict -------------------------------------------------------------------------------------------------------

    def _predict(self, X, decode, *, out=None):
        """The prediction ``decode(task, output, device)`` for X, with the mean output of the networks."""
        check_is_fitted(self, "estimators_")
        snapshot = shallow_copy(self)  # another thread may fit in between
        if out is not None or is_blocks(X):
            return predict_blocks(lambda part: snapshot._predict(part, decode), X, out)
        device, networks = resolve_device(snapshot.device), snapshot.estimators_
        X = to_host(read_array(snapshot, "X", X, device), device)
        with about("X"):
            table = snapshot.encoder_._table(read_columns(snapshot, X, reset=False))
        X = EncodedTable(table, snapshot.encoder_._encoding())
        task = networks[0]._model.task
        output = outputs(device, networks, X, n_threads(snapshot.n_jobs, device)).mean(axis=0, dtype=np.float64)
        return decode(task, normalised(task, output), device)

    def _score(self, X, y, sample_weight):
        return score(self, lambda snapshot: snapshot.estimators_[0]._model.task, X, y, sample_weight)

    def _fitted_networks(self):
        return vars(self).get("estimators_", [])

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
    """Classifier for tables: an ensemble of networks on the encoded columns of a data frame.

    Accepts a data frame with numbers of any scale, categories and missing values. Each feature is encoded by
    :class:`~sklearn_mlp.encoders.TabularEncoder`; several networks are trained on different parts of the rows, with
    defaults suited to tables, and their probabilities are averaged.

    Parameters
    ----------
    $categorical_features

    class_weight : dict, list of dict, 'balanced' or None, default=None
        Class weights ``{label: weight}``, see :class:`~sklearn_mlp.MLPClassifier`.

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
    sklearn_mlp.encoders.TabularEncoder : Only the encoding.

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
    def fit(self, X, y=None, sample_weight=None, *, groups=None, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the networks to X and y.

        Parameters
        ----------
        $tabular_X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Class labels, see :meth:`MLPClassifier.fit`. $y_blocks

        $tabular_fit_parameters

        Returns
        -------
        self : TabularMLPClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If X has dates, if a numeric feature has other values than numbers, or if another argument is invalid. The
            estimator is left unchanged.
        """
        return self._fit(Inputs(X, y, sample_weight, X_val, y_val, sample_weight_val), groups)

    def _network(self, n_rows):
        return MLPClassifier(
            **self._parameters_of_network(n_rows),
            class_weight=self.class_weight,
            label_smoothing=self.label_smoothing,
        )

    @documented
    def predict(self, X, out=None):
        """Predict class labels.

        Parameters
        ----------
        $tabular_X

        $out

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class of each sample, see :meth:`MLPClassifier.predict`.
        """
        return self._predict(X, lambda task, output, device: task.decode(output, device), out=out)

    @documented
    def predict_proba(self, X, out=None):
        """Predict class probabilities.

        Parameters
        ----------
        $tabular_X

        $out

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes) or list of such
            One column per class, in the order of `classes_`: the mean over the networks.
        """
        return self._predict(X, lambda task, output, device: task.probability(output), out=out)

    @documented
    def predict_log_proba(self, X, out=None):
        """Predict the logarithm of class probabilities.

        Parameters
        ----------
        $tabular_X

        $out

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes) or list of such
            ``log(predict_proba(X))``.
        """
        return self._predict(X, log_probability, out=out)

    @documented
    def score(self, X, y=None, sample_weight=None):
        """Return the accuracy of the predictions.

        Parameters
        ----------
        $tabular_X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            The true labels. $y_blocks

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
    """Regressor for tables: an ensemble of networks on the encoded columns of a data frame.

    Accepts a data frame with numbers of any scale, categories and missing values. Each feature is encoded by
    :class:`~sklearn_mlp.encoders.TabularEncoder`, and y is standardised; several networks are trained on different
    parts of the rows, with defaults suited to tables, and their predictions are averaged.

    Parameters
    ----------
    $categorical_features

    loss : {'squared_error', 'absolute_error', 'huber', 'quantile', 'poisson', 'gamma', 'tweedie', 'log_loss'}, \
            default='squared_error'
        Loss of a sample, see :class:`~sklearn_mlp.MLPRegressor`.

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
    sklearn_mlp.encoders.TabularEncoder : Only the encoding.

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
    def fit(self, X, y=None, sample_weight=None, *, groups=None, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the networks to X and y.

        Parameters
        ----------
        $tabular_X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target values of any scale, in the domain of `loss`. $y_blocks

        $tabular_fit_parameters

        Returns
        -------
        self : TabularMLPRegressor
            The fitted regressor.

        Raises
        ------
        ValueError
            If X has dates, if a numeric feature has other values than numbers, or if another argument is invalid. The
            estimator is left unchanged.
        """
        return self._fit(Inputs(X, y, sample_weight, X_val, y_val, sample_weight_val), groups)

    def _network(self, n_rows):
        return MLPRegressor(
            **self._parameters_of_network(n_rows),
            loss=self.loss,
            huber_delta=self.huber_delta,
            quantile=self.quantile,
            tweedie_power=self.tweedie_power,
            standardize_target=REGRESSION_LOSSES[self.loss].out_activation == "identity",
        )

    @documented
    def predict(self, X, out=None):
        """Predict the mean, the median or the quantiles of y, depending on `loss`.

        Parameters
        ----------
        $tabular_X

        $out

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The mean of the networks' predictions.
        """
        return self._predict(X, lambda task, output, device: task.decode(output, device), out=out)

    @documented
    def score(self, X, y=None, sample_weight=None):
        """Return the coefficient of determination, R², of the predictions.

        For several quantiles, the mean over the levels of D², see :meth:`MLPRegressor.score`.

        Parameters
        ----------
        $tabular_X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            The true targets. $y_blocks

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. None gives all samples a weight of 1.

        Returns
        -------
        score : float
            1 for perfect predictions, 0 for a constant prediction.
        """
        return self._score(X, y, sample_weight)
