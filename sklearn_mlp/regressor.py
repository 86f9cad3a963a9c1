"""The regressor: real-valued targets of one or more columns, and the losses that fit them."""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from sklearn_mlp._base import BaseMLP, solver_is_stochastic
from sklearn_mlp._validation import on_gpu, to_host, warn
from sklearn_mlp.core.losses import LOSSES


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor.

    Minimises the squared error, or another loss, of a fully connected network. The constructor, the fitted
    attributes and, for the same seed, the model are those of :class:`sklearn.neural_network.MLPRegressor`; what differs
    is listed in :doc:`docs/differences.md </differences>`.

    Parameters
    ----------
    loss : {'squared_error', 'absolute_error', 'huber', 'quantile', 'poisson', 'gamma', 'tweedie'}, \
            default='squared_error'
        The loss of a sample, with z the output of the network before the output activation.

        - 'squared_error': ``(y - z) ** 2 / 2``; predicts means.
        - 'absolute_error': ``|y - z|``; predicts medians.
        - 'huber': the first up to a distance of `huber_delta`, and from there on a straight line like the second.
        - 'quantile': the pinball loss; predicts the quantiles of `quantile`.
        - 'poisson': half the Poisson deviance of y >= 0 from the prediction ``exp(z)``.
        - 'gamma': half the gamma deviance of y > 0 from the prediction ``exp(z)``.
        - 'tweedie': half the deviance of Tweedie's distribution of power `tweedie_power`, for y >= 0 with many zeros,
          from the prediction ``exp(z)``.

    hidden_layer_sizes : array-like of int of shape (n_layers - 2,), default=(100,)
        The number of neurons in each hidden layer. An int is one hidden layer; ``()`` is none: a linear model.

    activation : str or sequence of str of shape (n_layers - 2,), default='relu'
        The activation function of the hidden layers; a sequence has one name for each.

        - 'identity': f(z) = z.
        - 'logistic': f(z) = 1 / (1 + exp(-z)).
        - 'tanh': f(z) = tanh(z).
        - 'relu': f(z) = max(0, z).
        - 'leaky_relu': f(z) = max(0.01 z, z) [5]_.
        - 'elu': f(z) = z for z > 0, else exp(z) - 1 [6]_.
        - 'selu': 1.0507 times z for z > 0, else 1.6733 (exp(z) - 1); keeps signals at unit variance [7]_.
        - 'softplus': f(z) = log(1 + exp(z)).
        - 'gelu': f(z) = z Φ(z), with Φ the distribution function of the normal distribution [8]_.
        - 'silu': f(z) = z / (1 + exp(-z)) [8]_.
        - 'mish': f(z) = z tanh(log(1 + exp(z))) [9]_.

    solver : {'lbfgs', 'sgd', 'adam', 'adamw', 'muon'}, default='adam'
        The method that finds the weights.

        - 'adam': stochastic steps scaled by running moments of the gradient [1]_. Suits most data sets.
        - 'adamw': 'adam' with `weight_decay` [11]_.
        - 'muon': 'adamw', but for the weights between two hidden layers, whose momentum is made orthogonal before each
          step [20]_ [21]_. Takes a good deal more time a step, which large batches make less of; with fewer than two
          hidden layers it is 'adamw'.
        - 'sgd': stochastic gradient descent, with momentum [2]_ and a schedule for the learning rate.
        - 'lbfgs': a full-batch quasi-Newton method [3]_. Suits small data sets.

    alpha : float, default=0.0001
        Strength of the L2 penalty ``alpha / 2 * sum of squared weights``, which is added to the sum of the losses
        of a batch before both are divided by its number of samples (or its sum of sample weights). Biases are not
        penalised.

    batch_size : int or 'auto', default='auto'
        Samples in a mini-batch. 'auto' is ``min(200, n_samples)``. Ignored by 'lbfgs', which uses all samples in
        every step.

    learning_rate : {'constant', 'invscaling', 'adaptive', 'cosine', 'linear', 'one_cycle'} or callable, \
            default='constant'
        Schedule of the learning rate. 'invscaling' and 'adaptive' are for 'sgd', and mean 'constant' to the
        solvers of Adam's kind, as in scikit-learn; 'lbfgs' ignores all.

        - 'constant': `learning_rate_init` throughout.
        - 'invscaling': ``learning_rate_init / (t + 1) ** power_t`` after an epoch, with t the samples seen so far.
        - 'adaptive': `learning_rate_init`, and a fifth of the current rate whenever patience (see
          `n_iter_no_change`) ends, until the rate is 1e-6 or less.
        - 'cosine', 'linear': from `learning_rate_init` to 0 along half a cosine [12]_, or in a straight line, after a
          linear rise in the first `warmup_fraction` of the steps.
        - 'one_cycle': from a 25th of `learning_rate_init` up to it in the first `warmup_fraction` of the steps, then
          down to a 250,000th, each along half a cosine [13]_.
        - callable: `learning_rate_init` times what it returns for the progress, a float between 0 and 1.

        The last four change the rate in every step, and run over `max_iter` epochs: a training that patience (see
        `n_iter_no_change`) ends before does not get to the end of its schedule. They are not for `partial_fit`.

    learning_rate_init : float, default=0.001
        The (initial) step size. Ignored by 'lbfgs'.

    power_t : float, default=0.5
        The exponent of 'invscaling'. Ignored by all else.

    max_iter : int, default=200
        The most epochs (passes over the data), or iterations of 'lbfgs'.

    shuffle : bool, default=True
        Whether the samples are put in a new order before each epoch. Ignored by 'lbfgs'.

    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, the validation set of `early_stopping`, the order of the samples and what dropout
        drops. The same int gives the same model at every fit.

    tol : float, default=1e-4
        What counts as an improvement of the training loss (or, with `early_stopping`, of the validation score). For
        'lbfgs', the largest component of the gradient at which to stop.

    verbose : bool or int, default=False
        Whether to print the loss of each epoch, and why training stops; 2 prints a table with a row for each epoch,
        with its time and its rows per second. Ignored by 'lbfgs'.

    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit, with fresh patience.

    momentum : float, default=0.9
        Momentum of 'sgd', and of 'muon' between hidden layers, in [0, 1]. Ignored by all else.

    nesterovs_momentum : bool, default=True
        Whether momentum is Nesterov's. Only used by 'sgd' and 'muon' with ``momentum > 0``.

    early_stopping : bool, default=False
        Whether to set aside `validation_fraction` of the samples and stop when the score on them (R²) stops
        to improve; the weights of the best epoch are kept. Ignored, with a warning, by 'lbfgs'.

    validation_fraction : float, default=0.1
        The share of the samples that `early_stopping` sets aside, in [0, 1).

    beta_1 : float, default=0.9
        Decay rate of the first moment of 'adam', 'adamw' and 'muon', in [0, 1). Ignored by all else.

    beta_2 : float, default=0.999
        Decay rate of the second moment of 'adam', 'adamw' and 'muon', in [0, 1). Ignored by all else.

    epsilon : float, default=1e-8
        Keeps the step of 'adam', 'adamw' and 'muon' finite. Ignored by all else.

    n_iter_no_change : int or np.inf, default=10
        Patience: training stops (or 'adaptive' lowers the rate) after more than this many epochs in a row that
        did not improve by `tol`. Ignored by 'lbfgs'.

    max_fun : int, default=15000
        The most evaluations of the loss by 'lbfgs'. Ignored by all else.

    device : str, default='cpu'
        Where to train and predict; looked at when either begins.

        - 'cpu': the CPU.
        - 'cuda': CUDA's current device, an NVIDIA GPU. Needs CuPy: ``pip install 'sklearn_mlp[cuda12]'`` or
          ``'sklearn_mlp[cuda13]'``. 'cuda:0', 'cuda:1', ...: the device of that number.
        - 'auto': 'cuda' where CuPy and a GPU are found, else 'cpu'.

    dtype : {'float32', 'float64'} or None, default=None
        Precision of training and of the model, and so of its predictions. None is float32 for X of
        float32, and float64 for any other. A batch of X is cast when it is used, so that X itself is not copied.

    weight_decay : float, default=0.01
        In each step of 'adamw' and 'muon', weights (not biases) lose this share of themselves times the learning rate,
        whatever their gradient. `alpha` has its effect besides. Ignored by other solvers.

    warmup_fraction : float or 'auto', default='auto'
        The share of the steps, in [0, 1), in which the schedules 'cosine', 'linear' and 'one_cycle' rise. 'auto' is 0.3
        for 'one_cycle' and 0 for the others.

    max_grad_norm : float or None, default=None
        The greatest Euclidean norm of a step's gradient, of all weights and biases together: a longer one is
        shortened to it [14]_. `alpha`'s part of the gradient does not count. Ignored by 'lbfgs'.

    scoring : str, callable or None, default=None
        The validation score, which should rise: the name of a scorer of scikit-learn, a callable with the signature
        ``scorer(estimator, X, y)``, or 'loss', which is minus the validation loss. None is the R² of `score`.

    restore_best : bool, default=True
        Whether `early_stopping` ends with the weights of the best validation score; else with those of the last epoch.

    dropout : float or sequence of float of shape (n_layers - 2,), default=0.0
        The share of a hidden layer's outputs, in [0, 1), that each training step sets to 0, chosen at random; the
        others are scaled up by as much as keeps their mean [16]_. A sequence has one rate for each hidden layer.
        Ignored by 'lbfgs'.

    ema_decay : float or None, default=None
        In [0, 1): the model is an exponential moving average of the weights over the steps, with this decay (0.99 and
        0.999 are usual; it is less in the first steps), and the validation set is evaluated with it. Smooths out what
        single steps do, much as smaller learning rates at the end would [17]_. None is the weights themselves. Ignored
        by 'lbfgs', and not for `partial_fit`.

    normalization : {'batch', 'layer'} or None, default=None
        What happens to the inputs of a hidden layer's activation before the bias is added; each neuron has a scale for
        the result, `scales_`.

        - 'batch': mean 0 and variance 1 over the samples of the mini-batch, by their weights, for each neuron [18]_. To
          predict, averages over the batches are used, in which each counts a tenth less than the next. Needs batches of
          more than one sample; not for 'lbfgs'.
        - 'layer': mean 0 and variance 1 over the layer's neurons, for each sample [19]_.

    huber_delta : float, default=1.0
        Where 'huber' becomes a straight line, in the unit of y. Ignored by other losses.

    quantile : float or sequence of float of shape (n_levels,), default=0.5
        Level of the quantile for loss='quantile', in (0, 1). A sequence, in increasing order, makes a network with one
        output for each level, for a y of one column: `predict` gives an array of shape (n_samples, n_levels) whose rows
        are put in order, so that quantiles do not cross [15]_. Ignored by other losses.

    tweedie_power : float, default=1.5
        Power of the variance for loss='tweedie', in (1, 2): near 1 like 'poisson', near 2 like 'gamma'. Ignored by
        other losses.

    standardize_target : bool, default=False
        Whether the network is trained on y less its mean, divided by its standard deviation, both by `sample_weight`
        and for each output. The steps of the solvers suit targets of that size, and with a y of another size training
        can come to nothing. The model, its predictions and its losses are in the units of y, but for `huber_delta`,
        which is in standard deviations, and `tol`, which is for the loss on the standardised y. With several outputs
        each counts the same, and the losses are in the units of an output of their mean variance. For losses that
        predict z itself; not for `partial_fit`.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        The weights of each layer.

    intercepts_ : list of ndarray of shape (fan_out,)
        The biases of each layer.

    scales_ : list of ndarray of shape (fan_out,)
        The scales of each hidden layer with `normalization`; empty without.

    running_means_, running_variances_ : list of ndarray of shape (fan_out,)
        What normalization='batch' predicts with in each hidden layer; empty without it.

    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        The mean and the standard deviation of y; with ``standardize_target=True`` only.

    loss_ : float
        The loss of the last epoch, as a mean over its batches, each taken before its step; for 'lbfgs', the loss of
        the model.

    loss_curve_ : list of float
        The loss of each epoch or iteration; `warm_start` and `partial_fit` append to it.

    learning_rate_curve_ : list of float
        The learning rate of the last step of each epoch. Empty for 'lbfgs'.

    best_loss_ : float or None
        The least of `loss_curve_`; None with `early_stopping`.

    validation_scores_ : list of float or None
        The validation score after each epoch; None without a validation set.

    validation_loss_curve_ : list of float or None
        The mean loss of the validation set after each epoch, without the penalty of `alpha`; None without a validation
        set.

    best_validation_score_ : float or None
        The greatest of `validation_scores_`; None without a validation set.

    history_ : dict of list
        'epoch', 'loss', 'learning_rate', and with a validation set 'validation_loss' and 'validation_score': the curves
        above as columns of one length, for ``pandas.DataFrame(history_)``. Where a warm start has added a validation
        set, the epochs before have NaN.

    t_ : int
        Samples seen in training. Stays 0 for 'lbfgs'.

    n_iter_ : int
        Epochs or iterations of the last fit.

    n_layers_ : int
        Layers, input and output included.

    n_outputs_ : int
        Neurons of the output layer.

    out_activation_ : str
        Activation of the output layer: 'exp' for 'poisson', 'gamma' and 'tweedie', else 'identity'.

    device_ : str
        Where the last fit trained: 'cpu', 'cuda:0', ...

    n_features_in_ : int
        Features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names that are all strings.

    See Also
    --------
    MLPClassifier : The same network for class labels.

    Notes
    -----
    Initial weights and biases are uniform in ``±sqrt(6 / (fan_in + fan_out))``, or ``±sqrt(2 / (fan_in + fan_out))``
    for activation='logistic' [4]_, as in scikit-learn. Hidden layers of the activations that scikit-learn does not have
    take ``±sqrt(6 / fan_in)`` [10]_, and of 'selu' ``±sqrt(3 / fan_in)`` [7]_. With `normalization`, hidden layers
    begin with biases of 0 and scales of 1.

    With several outputs the squared error is reported as their mean and differentiated as their sum, as in
    scikit-learn. Other losses are the sum over the outputs.

    X of shape (n_samples, n_features) can be dense or sparse (CSR; CSC is converted), in memory or memory-mapped; it is
    read one mini-batch at a time and never written to. With a CUDA device, X and y can be CuPy arrays, or others in the
    memory of a GPU, and predictions are CuPy arrays where X is one. Fitted attributes are NumPy arrays always.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
       :arxiv:`1412.6980`
    .. [2] I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and momentum in deep
       learning", ICML 2013.
    .. [3] D. C. Liu and J. Nocedal, "On the limited memory BFGS method for large scale optimization", Mathematical
       Programming 45, 1989.
    .. [4] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.
    .. [5] A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier nonlinearities improve neural network acoustic models",
       ICML 2013.
    .. [6] D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep network learning by exponential
       linear units (ELUs)", ICLR 2016. :arxiv:`1511.07289`
    .. [7] G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-normalizing neural networks", NeurIPS 2017.
       :arxiv:`1706.02515`
    .. [8] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", 2016.
       :arxiv:`1606.08415`
    .. [9] D. Misra, "Mish: A self regularized non-monotonic activation function", BMVC 2020.
       :arxiv:`1908.08681`
    .. [10] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015.
       :arxiv:`1502.01852`
    .. [11] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
       :arxiv:`1711.05101`
    .. [12] I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017.
       :arxiv:`1608.03983`
    .. [13] L. N. Smith and N. Topin, "Super-convergence: Very fast training of neural networks using large learning
       rates", 2018. :arxiv:`1708.07120`
    .. [14] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
       :arxiv:`1211.5063`
    .. [15] V. Chernozhukov, I. Fernández-Val and A. Galichon, "Quantile and probability curves without crossing",
       Econometrica 78, 2010. :arxiv:`0704.3649`
    .. [16] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A simple way to
       prevent neural networks from overfitting", JMLR 15, 2014.
    .. [17] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on
       Control and Optimization 30, 1992.
    .. [18] S. Ioffe and C. Szegedy, "Batch normalization: Accelerating deep network training by reducing internal
       covariate shift", ICML 2015. :arxiv:`1502.03167`
    .. [19] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016.
       :arxiv:`1607.06450`
    .. [20] K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse and J. Bernstein, "Muon: An optimizer for hidden
       layers in neural networks", 2024. https://kellerjordan.github.io/posts/muon/
    .. [21] J. Liu et al., "Muon is scalable for LLM training", 2025.
       :arxiv:`2502.16982`

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

    _parameter_constraints: dict = {
        **BaseMLP._parameter_constraints,
        "loss": [
            StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie"}),
        ],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "tweedie_power": [Interval(Real, 1, 2, closed="neither")],
        "standardize_target": ["boolean"],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        device="cpu",
        dtype=None,
        weight_decay=0.01,
        warmup_fraction="auto",
        max_grad_norm=None,
        scoring=None,
        restore_best=True,
        dropout=0.0,
        ema_decay=None,
        normalization=None,
        huber_delta=1.0,
        quantile=0.5,
        tweedie_power=1.5,
        standardize_target=False,
    ):
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            device=device,
            dtype=dtype,
            weight_decay=weight_decay,
            warmup_fraction=warmup_fraction,
            max_grad_norm=max_grad_norm,
            scoring=scoring,
            restore_best=restore_best,
            dropout=dropout,
            ema_decay=ema_decay,
            normalization=normalization,
        )
        self.loss = loss
        self.huber_delta = huber_delta
        self.quantile = quantile
        self.tweedie_power = tweedie_power
        self.standardize_target = standardize_target

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, resume_from=None):
        """Train the network on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values; ``y >= 0`` for loss='poisson' and 'tweedie', ``y > 0`` for 'gamma'.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss and in the validation score. None is a weight of 1 for each.

        X_val : {array-like, sparse matrix} of shape (n_val_samples, n_features), default=None
            A validation set: its loss and score are recorded after each epoch, and `early_stopping` uses it instead of
            setting samples of X aside. In a pipeline, have it transformed like X by
            ``Pipeline(..., transform_input=["X_val"])`` with metadata routing. Ignored by 'lbfgs'.

        y_val : array-like of shape (n_val_samples,) or (n_val_samples, n_outputs), default=None
            The targets of the validation set.

        sample_weight_val : array-like of shape (n_val_samples,), default=None
            The weights of the validation set's samples in its loss and score.

        resume_from : str or path-like, default=None
            A file that :class:`sklearn_mlp.callbacks.Checkpoint` has written while an estimator with the same
            parameters was fitted to the same data: training goes on from there, and ends with the same bits as if it
            had never been interrupted. Other data, or parameters that make a difference, are refused; `max_iter` can be
            another, unless a schedule runs over it. Not for 'lbfgs'.

        Returns
        -------
        self : MLPRegressor
            The trained regressor.

        Raises
        ------
        ValueError
            If a parameter, the data or the checkpoint cannot be used, or if training ends in weights that are not
            finite. The estimator is as it was before then, as with any error.
        TypeError
            If arrays are in the memory of a GPU and `device` is the CPU.
        ImportError, RuntimeError
            If `device` is a CUDA device, and CuPy is not installed, or no driver or no GPU is found.
        MemoryError
            If the network and its mini-batches do not fit into the memory of the GPU.
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._fit(X, y, sample_weight, **validation, resume_from=resume_from)

    @available_if(solver_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Train the network for one epoch on X and y, going on from where it is.

        Not available for solver='lbfgs'. The state of the solver and of the random numbers is kept from call
        to call, and in a pickle between calls.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values; ``y >= 0`` for loss='poisson' and 'tweedie', ``y > 0`` for 'gamma'.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss. None is a weight of 1 for each.

        Returns
        -------
        self : MLPRegressor
            The trained regressor.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """The prediction for each sample: of its mean, its median or the quantiles, by `loss`.

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
        """The coefficient of determination, R², of the predictions.

        For several quantiles, the mean over the levels of the share of the pinball loss that is explained, D² (see
        :func:`sklearn.metrics.d2_pinball_score`).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. None is a weight of 1 for each.

        Returns
        -------
        score : float
            R²: 1 for perfect predictions, 0 for those of the mean of y. D²: likewise, for the quantile of y.
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
