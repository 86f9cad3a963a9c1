"""The regressor: real-valued targets of one or more columns, and the losses that fit them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from sklearn_mlp._base import BaseMLP, solver_is_stochastic
from sklearn_mlp._docstrings import documented
from sklearn_mlp._parameters import ACTIVATION, HIDDEN_LAYER_SIZES, declares_parameters, parameter
from sklearn_mlp._validation import on_gpu, to_host, warn
from sklearn_mlp.core.losses import LOSSES


@documented
@declares_parameters
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor.

    Minimises the squared error, or another loss, of a fully connected network. The constructor, the fitted
    attributes and, for the same seed, the model are those of :class:`sklearn.neural_network.MLPRegressor`; the
    differences are listed in :doc:`docs/differences.md </differences>`.

    The parameters in groups, in the order of their description:

    $first_group
    - Target: `loss`, `huber_delta`, `quantile`, `tweedie_power`, `standardize_target`.
    $further_groups

    Parameters
    ----------
    $essentials

    loss : {'squared_error', 'absolute_error', 'huber', 'quantile', 'poisson', 'gamma', 'tweedie'}, \
            default='squared_error'
        Loss of a sample, with z the output of the network before the output activation.

        - 'squared_error': ``(y - z) ** 2 / 2``; predicts the mean.
        - 'absolute_error': ``|y - z|``; predicts the median.
        - 'huber': quadratic for errors up to `huber_delta`, and linear beyond.
        - 'quantile': the pinball loss; predicts the quantiles `quantile`.
        - 'poisson': half the Poisson deviance of y >= 0 from the prediction ``exp(z)``.
        - 'gamma': half the gamma deviance of y > 0 from the prediction ``exp(z)``.
        - 'tweedie': half the Tweedie deviance with power `tweedie_power` from the prediction ``exp(z)``, for y >= 0
          with many zeros.

    huber_delta : float, default=1.0
        Error, in the units of y, at which 'huber' changes from quadratic to linear. Ignored by other losses.

    quantile : float or sequence of float of shape (n_levels,), default=0.5
        Level of the quantile for loss='quantile', in (0, 1). An increasing sequence gives a network with one output per
        level, for a y with one column: `predict` returns an array of shape (n_samples, n_levels) with sorted rows, so
        that quantiles do not cross [Quantiles]_. Ignored by other losses.

    tweedie_power : float, default=1.5
        Power of the variance function for loss='tweedie', in (1, 2): 'poisson' is the limit 1, 'gamma' the limit 2.
        Ignored by other losses.

    standardize_target : bool, default=False
        Whether to train on the standardised y: zero mean and unit variance per output, weighted by `sample_weight`.
        The solvers' step sizes suit targets of that scale, and training can fail at other scales. The model, its
        predictions and its losses are in the units of y; `huber_delta` and `tol` refer to the standardised y. All
        outputs have equal weight, and the losses are in the units of an output with the mean variance. Only for losses
        that predict z itself; not available for `partial_fit`.

    $optimiser

    $regularisation

    $stopping

    $device

    $compatibility

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        The mean and the standard deviation of y. Only defined with ``standardize_target=True``.

    out_activation_ : str
        Activation of the output layer: 'exp' for the losses 'poisson', 'gamma' and 'tweedie', 'identity' otherwise.

    $attributes

    See Also
    --------
    MLPClassifier : The same network for class labels.

    Notes
    -----
    $notes

    With several outputs, the squared error is reported as their mean and differentiated as their sum, as in
    scikit-learn. Other losses are summed over the outputs.

    References
    ----------
    $references
    .. [Quantiles] V. Chernozhukov, I. Fernández-Val and A. Galichon, "Quantile and probability curves without
       crossing", Econometrica 78, 2010. :arxiv:`0704.3649`

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mlp import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", alpha=30, random_state=0)
    >>> model = TransformedTargetRegressor(make_pipeline(StandardScaler(), network), transformer=StandardScaler())
    >>> model.fit(X_train, y_train).score(X_test, y_test)
    0.3...
    """

    loss: str = parameter(
        "squared_error",
        StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie"}),
    )
    hidden_layer_sizes: int | Sequence[int] = HIDDEN_LAYER_SIZES
    activation: str | Sequence[str] = ACTIVATION
    _: KW_ONLY
    huber_delta: float = parameter(1.0, Interval(Real, 0, None, closed="neither"))
    quantile: float | Sequence[float] = parameter(0.5, Interval(Real, 0, 1, closed="neither"), "array-like")
    tweedie_power: float = parameter(1.5, Interval(Real, 1, 2, closed="neither"))
    standardize_target: bool = parameter(False, "boolean")

    @_fit_context(prefer_skip_nested_validation=True)
    @documented
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, resume_from=None):
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values; ``y >= 0`` for loss='poisson' and 'tweedie', ``y > 0`` for 'gamma'.

        $fit_parameters

        Returns
        -------
        self : MLPRegressor
            The fitted regressor.

        Raises
        ------
        $fit_raises
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._fit(X, y, sample_weight, **validation, resume_from=resume_from)

    @available_if(solver_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    @documented
    def partial_fit(self, X, y, sample_weight=None):
        """Train the network for one epoch on X and y, starting from its current state.

        $partial_fit

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values; ``y >= 0`` for loss='poisson' and 'tweedie', ``y > 0`` for 'gamma'.

        $partial_fit_weight

        Returns
        -------
        self : MLPRegressor
            The fitted regressor.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """Predict the mean, the median or the quantiles of y, depending on `loss`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions.
        """
        return self._predict(X, type(self)._to_target)

    def _to_target(self, prediction, device):
        if self._has_levels():
            prediction.sort(axis=1)
        return prediction.ravel() if self.n_outputs_ == 1 else prediction

    def score(self, X, y, sample_weight=None):
        """Return the coefficient of determination, R², of the predictions.

        For several quantiles, the mean over the levels of D², the fraction of the pinball loss explained (see
        :func:`sklearn.metrics.d2_pinball_score`).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. None gives all samples a weight of 1.

        Returns
        -------
        score : float
            1 for perfect predictions, 0 for a constant prediction: the mean of y for R², its quantile for D².
        """
        y, prediction, sample_weight = self._to_score(X, y, sample_weight)
        return self._metric(y, prediction, sample_weight)

    def _trains_in_other_units(self):
        return self.standardize_target

    def _learn_units(self, y, sample_weight, device):
        if not self.standardize_target:
            for name in ("target_mean_", "target_scale_"):
                vars(self).pop(name, None)
            return
        if LOSSES[self.loss].out_activation != "identity":
            raise ValueError(
                f"standardize_target=True is not for loss={self.loss!r}, which takes y as it is and predicts exp(z). "
                "Use standardize_target=False, or loss='squared_error'."
            )
        self._check_is_numeric(y)
        y = to_host(y, device).astype(np.float64).reshape(len(y), -1)
        self.target_mean_ = np.average(y, axis=0, weights=sample_weight)
        deviation = np.sqrt(np.average((y - self.target_mean_) ** 2, axis=0, weights=sample_weight))
        # A constant column has a deviation of 0, but for rounding.
        is_constant = deviation <= 1e-14 * np.abs(self.target_mean_)
        self.target_scale_ = np.where(is_constant, 1.0, deviation)

    def _loss_unit(self):
        if not self.standardize_target:
            return 1.0
        power = 2 if self.loss in ("squared_error", "huber") else 1
        return float(np.mean(self.target_scale_**power))

    def _check_scale(self, objective, target, sample_weight):
        if self.standardize_target:
            return
        y = objective.device.home(target)
        mean, deviation = y.mean(axis=0), y.std(axis=0)
        if self.out_activation_ == "exp":
            suits = (mean >= 0.1) & (mean <= 10)
            # Counts are often hard to tell from their mean; only to be worse than that is a sign.
            enough = 1.0
            remedy = (
                "targets with a mean of about 1. Divide y by its standard deviation, as sklearn.compose."
                "TransformedTargetRegressor does with transformer=StandardScaler(with_mean=False)."
            )
        else:
            suits = (np.maximum(np.abs(mean), deviation) <= 10) & ((deviation >= 0.1) | (deviation == 0))
            enough = 0.9
            remedy = (
                "targets of about 0 and 1. Set standardize_target=True, or wrap the model in "
                "sklearn.compose.TransformedTargetRegressor."
            )
        if suits.all():
            return
        of_constant = objective.of_constant(self._best_constant(y), target, sample_weight)
        if self.loss_ > enough * of_constant:
            warn(
                f"The training loss, {self.loss_:.3g}, is not clearly better than the {of_constant:.3g} of a constant "
                f"prediction. The scale of y can be the reason: its mean is {_short(mean)} and its standard deviation "
                f"{_short(deviation)}, and the solvers' steps suit {remedy}",
                ConvergenceWarning,
            )

    def _best_constant(self, y):
        """The scores of the constant prediction that has the least loss."""
        if self.loss in ("absolute_error", "quantile"):
            levels = np.broadcast_to(self.quantile if self.loss == "quantile" else 0.5, y.shape[1])
            columns = zip(y.T, levels, strict=True)
            return np.array([np.quantile(column, level) for column, level in columns], y.dtype)
        mean = y.mean(axis=0)
        return np.log(np.maximum(mean, np.finfo(y.dtype).tiny)) if self.out_activation_ == "exp" else mean

    def _check_is_numeric(self, y):
        if issparse(y):
            raise ValueError(
                f"y is a sparse matrix of shape {y.shape}; {type(self).__name__} takes dense targets only. "
                "Pass y.toarray()."
            )
        if y.dtype.kind not in "biuf":
            raise ValueError(f"y has dtype {y.dtype}; {type(self).__name__} takes numbers only. Pass y.astype(float).")

    def _encode_target(self, y, dtype, incremental, device):
        self._check_is_numeric(y)
        target = y if y.ndim == 2 else y[:, np.newaxis]
        if self.standardize_target and target.shape[1] == self.target_mean_.size:
            units = self.target_mean_, self.target_scale_
            mean, scale = (device.place(unit) for unit in units) if on_gpu(y) else units
            target = (target - mean) / scale
        target = target.astype(dtype)
        self._check_domain(device.home(target.min()))
        if self._has_levels():
            if target.shape[1] > 1:
                raise ValueError(
                    f"quantile={self.quantile!r} has one output for each level, and needs a y of one column; it has "
                    f"{target.shape[1]}. Pass a single level, or fit a model for each column."
                )
            ones = np.ones(len(self.quantile), dtype)
            target = target * (device.place(ones) if on_gpu(target) else ones)
        return target, self.loss, target.shape[1]

    def _check_domain(self, least):
        if self.loss in ("poisson", "tweedie") and least < 0:
            needs = "y >= 0"
        elif self.loss == "gamma" and least <= 0:
            needs = "y > 0"
        else:
            return
        raise ValueError(
            f"loss={self.loss!r} needs {needs}, got a least value of {least}. Use loss='squared_error' for targets "
            "that can be negative" + (", or loss='tweedie' for zeros." if least == 0 else ".")
        )

    def _has_levels(self):
        """Whether there is one output for each of several quantiles."""
        return self.loss == "quantile" and not isinstance(self.quantile, Real)

    def _loss_parameters(self, n_outputs, dtype):
        if self.loss == "huber":
            return (float(self.huber_delta),)
        if self.loss == "tweedie":
            return (float(self.tweedie_power),)
        if self.loss == "quantile":
            levels = np.broadcast_to(np.asarray(self.quantile, dtype), n_outputs)
            if not (np.all(levels > 0) and np.all(levels < 1)):
                raise ValueError(f"quantile must be between 0 and 1, got {self.quantile!r}.")
            if self._has_levels() and np.any(np.diff(levels) <= 0):
                raise ValueError(f"quantile must have its levels in increasing order, got {self.quantile!r}.")
            return (levels.copy(),)
        return ()

    def _stratify_by(self, target):
        return None, []

    def _score_prediction(self, target, prediction, sample_weight):
        return self._metric(target[:, 0] if self._has_levels() else target, prediction, sample_weight)

    def _metric(self, y, prediction, sample_weight):
        if not self._has_levels():
            return r2_score(y, prediction, sample_weight=sample_weight)
        scores = [
            d2_pinball_score(y, prediction[:, j], alpha=level, sample_weight=sample_weight)
            for j, level in enumerate(self.quantile)
        ]
        return float(np.mean(scores))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _short(values):
    return ", ".join(f"{value:.3g}" for value in values[:3]) + (", ..." if len(values) > 3 else "")
