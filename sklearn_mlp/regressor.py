"""The regressor: real-valued targets of one or more columns, and the losses that fit them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from numbers import Real

from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import available_if

from sklearn_mlp._base import BaseMLP, interruptible, solver_is_stochastic
from sklearn_mlp._docstrings import documented
from sklearn_mlp._fit import Inputs
from sklearn_mlp._parameters import ACTIVATION, HIDDEN_LAYER_SIZES, Names, declares_parameters, parameter
from sklearn_mlp._plan import check_standardize_target, quantile_levels, regression_loss
from sklearn_mlp._task import regression_task
from sklearn_mlp._training_set import Problem
from sklearn_mlp.core.losses import REGRESSION_LOSSES


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

    loss : {'squared_error', 'absolute_error', 'huber', 'quantile', 'poisson', 'gamma', 'tweedie', 'log_loss'}, \
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
        - 'log_loss': the cross-entropy ``-y * log(p) - (1 - y) * log(1 - p)`` of 0 <= y <= 1, such as rates or soft
          labels, and the prediction ``p = 1 / (1 + exp(-z))``.

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
        Activation of the output layer: 'exp' for the losses 'poisson', 'gamma' and 'tweedie', 'logistic' for
        'log_loss', 'identity' otherwise.

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

    loss: str = parameter("squared_error", Names(set(REGRESSION_LOSSES)))
    hidden_layer_sizes: int | Sequence[int] = HIDDEN_LAYER_SIZES
    activation: str | Sequence[str] = ACTIVATION
    _: KW_ONLY
    huber_delta: float = parameter(1.0, Interval(Real, 0, None, closed="neither"))
    quantile: float | Sequence[float] = parameter(0.5, Interval(Real, 0, 1, closed="neither"), "array-like")
    tweedie_power: float = parameter(1.5, Interval(Real, 1, 2, closed="neither"))
    standardize_target: bool = parameter(False, "boolean")

    @interruptible
    @_fit_context(prefer_skip_nested_validation=True)
    @documented
    def fit(self, X, y=None, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, resume_from=None):
        """Fit the network to X and y.

        Parameters
        ----------
        $X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target values; ``y >= 0`` for loss='poisson' and 'tweedie', ``y > 0`` for 'gamma', ``0 <= y <= 1`` for
            'log_loss'. $y_blocks

        $fit_parameters

        Returns
        -------
        self : MLPRegressor
            The fitted regressor.

        Raises
        ------
        $fit_raises
        """
        inputs = Inputs(X, y, sample_weight, X_val, y_val, sample_weight_val)
        return self._fit(inputs, resume_from=resume_from)

    @available_if(solver_is_stochastic)
    @interruptible
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
            Target values; ``y >= 0`` for loss='poisson' and 'tweedie', ``y > 0`` for 'gamma', ``0 <= y <= 1`` for
            'log_loss'.

        $partial_fit_weight

        Returns
        -------
        self : MLPRegressor
            The fitted regressor.
        """
        return self._fit(Inputs(X, y, sample_weight), incremental=True)

    def _learn_task(self, y, sample_weight, known_classes, device, incremental):
        loss = regression_loss(self)
        check_standardize_target(self, loss, incremental)
        levels = quantile_levels(self)
        task = regression_task(y, sample_weight, device, loss, levels=levels, standardize=self.standardize_target)
        return Problem(y, task, loss, None)

    @documented
    def predict(self, X, out=None):
        """Predict the mean, the median or the quantiles of y, depending on `loss`.

        Parameters
        ----------
        $X

        $out

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions.
        """
        return self._predict(X, lambda task, output, device: task.decode(output, device), out=out)

    @documented
    def score(self, X, y=None, sample_weight=None):
        """Return the coefficient of determination, R², of the predictions.

        For several quantiles, the mean over the levels of D², the fraction of the pinball loss explained (see
        :func:`sklearn.metrics.d2_pinball_score`).

        Parameters
        ----------
        $X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            The true targets. $y_blocks

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. None gives all samples a weight of 1.

        Returns
        -------
        score : float
            1 for perfect predictions, 0 for a constant prediction: the mean of y for R², its quantile for D².
        """
        return self._score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
