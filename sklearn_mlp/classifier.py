"""The classifier: from labels to the target of a loss, and from probabilities back to labels."""

from numbers import Real

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from sklearn_mlp._base import BaseMLP, solver_is_stochastic
from sklearn_mlp._validation import on_gpu, to_host


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier.

    Minimises the log-loss of a fully connected network. The constructor, the fitted attributes and, for the same seed,
    the model are those of :class:`sklearn.neural_network.MLPClassifier`; what differs is listed in
    :doc:`docs/differences.md </differences>`.

    Parameters
    ----------
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
          step [21]_ [22]_. Takes a good deal more time a step, which large batches make less of; with fewer than two
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
        Whether to set aside `validation_fraction` of the samples and stop when the score on them (their accuracy) stops
        to improve; the weights of the best epoch are kept. The split is
        stratified by class, except for multilabel y. Ignored, with a warning, by 'lbfgs'.

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
        Precision of training and of the model, and so of its probabilities. None is float32 for X of
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
        ``scorer(estimator, X, y)``, or 'loss', which is minus the validation loss. None is the accuracy of `score`.

    restore_best : bool, default=True
        Whether `early_stopping` ends with the weights of the best validation score; else with those of the last epoch.

    dropout : float or sequence of float of shape (n_layers - 2,), default=0.0
        The share of a hidden layer's outputs, in [0, 1), that each training step sets to 0, chosen at random; the
        others are scaled up by as much as keeps their mean [15]_. A sequence has one rate for each hidden layer.
        Ignored by 'lbfgs'.

    ema_decay : float or None, default=None
        In [0, 1): the model is an exponential moving average of the weights over the steps, with this decay (0.99 and
        0.999 are usual; it is less in the first steps), and the validation set is evaluated with it. Smooths out what
        single steps do, much as smaller learning rates at the end would [18]_. None is the weights themselves. Ignored
        by 'lbfgs', and not for `partial_fit`.

    normalization : {'batch', 'layer'} or None, default=None
        What happens to the inputs of a hidden layer's activation before the bias is added; each neuron has a scale for
        the result, `scales_`.

        - 'batch': mean 0 and variance 1 over the samples of the mini-batch, by their weights, for each neuron [19]_. To
          predict, averages over the batches are used, in which each counts a tenth less than the next. Needs batches of
          more than one sample; not for 'lbfgs'.
        - 'layer': mean 0 and variance 1 over the layer's neurons, for each sample [20]_.

    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weight of each class: ``{label: weight}``, or for multilabel classification such a dict for each column, whose
        weights are multiplied. Samples weigh as much as their class, times `sample_weight`, in the loss and in the
        validation score. 'balanced' is ``n_samples / (n_classes * count of the class)``; not for `partial_fit`. None is
        a weight of 1 for each.

    loss : {'log_loss', 'focal'}, default='log_loss'
        The loss of a sample, with p the probability of its class.

        - 'log_loss': ``-log(p)``.
        - 'focal': ``-(1 - p) ** focal_gamma * log(p)``, which gives samples that are classified well less weight [16]_.
          Its probabilities are not calibrated.

        For multilabel classification the losses of the columns add up.

    focal_gamma : float, default=2.0
        The exponent of 'focal'; 0 makes it the log-loss. Ignored by 'log_loss'.

    label_smoothing : float, default=0.0
        The share of each label, in [0, 1), that 'log_loss' spreads over all classes, and that keeps probabilities from
        0 and 1 [17]_. Not for 'focal'.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of such
        The class labels; for multilabel y, the numbers of its columns; for a y of several columns with classes of their
        own, a list with those of each.

    coefs_ : list of ndarray of shape (fan_in, fan_out)
        The weights of each layer.

    intercepts_ : list of ndarray of shape (fan_out,)
        The biases of each layer.

    scales_ : list of ndarray of shape (fan_out,)
        The scales of each hidden layer with `normalization`; empty without.

    running_means_, running_variances_ : list of ndarray of shape (fan_out,)
        What normalization='batch' predicts with in each hidden layer; empty without it.

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
        Activation of the output layer: 'logistic' for two classes and for multilabel y, 'softmax' for more
        classes.

    device_ : str
        Where the last fit trained: 'cpu', 'cuda:0', ...

    n_features_in_ : int
        Features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names that are all strings.

    See Also
    --------
    MLPRegressor : The same network for real-valued targets.

    Notes
    -----
    Initial weights and biases are uniform in ``±sqrt(6 / (fan_in + fan_out))``, or ``±sqrt(2 / (fan_in + fan_out))``
    for activation='logistic' [4]_, as in scikit-learn. Hidden layers of the activations that scikit-learn does not have
    take ``±sqrt(6 / fan_in)`` [10]_, and of 'selu' ``±sqrt(3 / fan_in)`` [7]_. With `normalization`, hidden layers
    begin with biases of 0 and scales of 1.

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
    .. [15] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A simple way to
       prevent neural networks from overfitting", JMLR 15, 2014.
    .. [16] T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollár, "Focal loss for dense object detection", ICCV 2017.
       :arxiv:`1708.02002`
    .. [17] C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, "Rethinking the Inception architecture for
       computer vision", CVPR 2016. :arxiv:`1512.00567`
    .. [18] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on
       Control and Optimization 30, 1992.
    .. [19] S. Ioffe and C. Szegedy, "Batch normalization: Accelerating deep network training by reducing internal
       covariate shift", ICML 2015. :arxiv:`1502.03167`
    .. [20] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016.
       :arxiv:`1607.06450`
    .. [21] K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse and J. Bernstein, "Muon: An optimizer for hidden
       layers in neural networks", 2024. https://kellerjordan.github.io/posts/muon/
    .. [22] J. Liu et al., "Muon is scalable for LLM training", 2025.
       :arxiv:`2502.16982`

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mlp import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = make_pipeline(StandardScaler(), MLPClassifier(early_stopping=True, random_state=0))
    >>> model.fit(X_train, y_train).score(X_test, y_test)
    0.9...
    """

    _parameter_constraints: dict = {
        **BaseMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "loss": [StrOptions({"log_loss", "focal"})],
        "focal_gamma": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
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
        class_weight=None,
        loss="log_loss",
        focal_gamma=2.0,
        label_smoothing=0.0,
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
        self.class_weight = class_weight
        self.loss = loss
        self.focal_gamma = focal_gamma
        self.label_smoothing = label_smoothing

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, resume_from=None):
        """Train the network on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels of any sortable kind; or, for multilabel classification, a matrix of 0 and 1 (also sparse). Of
            any other y of several columns, each has classes of its own, and the network a softmax for it.

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
        self : MLPClassifier
            The trained classifier.

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
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train the network for one epoch on X and y, going on from where it is.

        Not available for solver='lbfgs'. The state of the solver and of the random numbers is kept from call
        to call, and in a pickle between calls.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, which can be a part of `classes`.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss. None is a weight of 1 for each.

        classes : array-like of shape (n_classes,) or list of such, default=None
            All classes that any call will see; for a y of several columns with classes of their own, a list with those
            of each. Needed in the first call only; for a matrix of 0 and 1, multilabel
            classification, not even there.

        Returns
        -------
        self : MLPClassifier
            The trained classifier.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def _learn_classes(self, classes, y):
        shape = y.shape if hasattr(y, "shape") else np.shape(y)
        if classes is not None and np.ndim(next(iter(classes), 0)) == 1:
            self._check_classes_of_outputs([np.unique(of_output) for of_output in classes], shape)
            return
        if isinstance(getattr(self, "classes_", None), list):
            return
        if len(shape) == 2 and shape[1] > 1 and (classes is None or np.isin(classes, [0, 1]).all()):
            # The classes of several labels are the columns, whose number y shows.
            classes = np.arange(shape[1])
        _check_partial_fit_first_call(self, classes)

    def _check_classes_of_outputs(self, classes, shape):
        if len(shape) != 2 or shape[1] != len(classes):
            raise ValueError(f"classes has lists for {len(classes)} outputs, but y has the shape {shape}.")
        if not hasattr(self, "classes_"):
            self.classes_ = classes
        elif not _same_classes(self.classes_, classes):
            raise ValueError(f"classes={classes} is not the same as on last call to partial_fit: {self.classes_}.")

    def predict(self, X):
        """The most probable class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class labels; for multilabel models, the columns whose probability is above 0.5 (a sparse array if y was
            sparse in `fit`).
        """
        return self._predict(X, type(self)._to_labels)

    def _to_labels(self, probability, device):
        if self._blocks():
            codes = [device.home(probability[:, columns].argmax(axis=1)) for columns in self._blocks()]
            labels = np.column_stack([of_output[code] for of_output, code in zip(self.classes_, codes, strict=True)])
            return device.place(labels) if on_gpu(probability) and labels.dtype.kind in "biuf" else labels
        if self.out_activation_ == "softmax":
            codes = probability.argmax(axis=1)
        elif self.n_outputs_ == 1:
            codes = (probability[:, 0] > 0.5) * min(1, len(self.classes_) - 1)
        else:
            positive = (probability > 0.5).astype(np.intp)
            return csr_matrix(device.home(positive)) if self._sparse_target else positive
        if on_gpu(codes) and self.classes_.dtype.kind in "biuf":
            return device.take(device.place(self.classes_), codes)
        return self.classes_[device.home(codes)]  # a GPU holds no strings

    def predict_proba(self, X):
        """The probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes) or list of such
            One column for each of `classes_`. The rows sum to 1, except for multilabel models. For a y of several
            columns with classes of their own, a list with the array of each.
        """
        return self._predict(X, type(self)._to_probability)

    def _to_probability(self, probability, device):
        if self._blocks():
            return [probability[:, columns] for columns in self._blocks()]
        if self.n_outputs_ > 1:
            return probability
        if len(self.classes_) == 1:
            return np.ones_like(probability)
        return np.hstack([1 - probability, probability])

    def predict_log_proba(self, X):
        """The logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes) or list of such
            ``log(predict_proba(X))``.
        """
        return self._predict(X, type(self)._to_log_probability)

    def _to_log_probability(self, probability, device):
        probability = self._to_probability(probability, device)
        with np.errstate(divide="ignore"):
            if self._blocks():
                return [np.log(of_output) for of_output in probability]
            return np.log(probability, out=probability)

    def score(self, X, y, sample_weight=None):
        """The accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. None is a weight of 1 for each.

        Returns
        -------
        score : float
            The share of the samples whose labels are all predicted correctly.
        """
        y, prediction, sample_weight = self._to_score(X, y, sample_weight)
        if self._blocks():
            return float(np.average((np.asarray(y) == prediction).all(axis=1), weights=sample_weight))
        return accuracy_score(y, prediction, sample_weight=sample_weight)

    def _encode_target(self, y, dtype, incremental, device):
        if on_gpu(y):
            values = device.home(np.unique(y))
            kind = type_of_target(values)
            if y.ndim == 2:
                kind = "multilabel-indicator" if kind == "binary" else f"{kind}-multioutput"
        else:
            values, kind = None, type_of_target(y, input_name="y")
        resumes = hasattr(self, "classes_") and (self.warm_start or incremental)
        of_outputs = isinstance(getattr(self, "classes_", None), list)
        if kind == "multiclass-multioutput" or (y.ndim == 2 and of_outputs and (resumes or incremental is None)):
            return self._encode_outputs(to_host(y, device), resumes, incremental)
        if kind not in ("binary", "multiclass", "multilabel-indicator"):
            check_classification_targets(y if values is None else values)  # raises
        if kind == "multilabel-indicator":
            classes = np.arange(y.shape[1])
        elif values is not None:
            classes = values
        else:
            # unique_labels would find out the type of y once more: a third of the time of a small fit.
            classes = np.unique(y) if y.dtype.kind in "biuf" else unique_labels(y)
        if incremental is None:
            unknown = np.setdiff1d(classes, self.classes_)
            if unknown.size:
                raise ValueError(f"y_val has {unknown.tolist()}, which y has not; its classes are {self.classes_}.")
        elif resumes:
            self._check_classes(classes)
        else:
            self.classes_ = classes
        if kind == "multilabel-indicator":
            if incremental is not None:
                self._sparse_target = issparse(y)
            target = y.toarray() if issparse(y) else y
            values = np.unique(target) if values is None else values
            if values[0] < 0 or np.count_nonzero(values) > 1:
                raise ValueError(
                    f"y of shape {y.shape} has the values {values.tolist()}; a multilabel y has 0 and 1. Pass, for "
                    "example, (y > 0).astype(int)."
                )
            return (target != 0).astype(dtype), self._loss_name("logistic"), y.shape[1]
        codes = np.searchsorted(device.place(self.classes_) if on_gpu(y) else self.classes_, y)
        if len(self.classes_) > 2:
            return codes, self._loss_name("softmax"), len(self.classes_)
        return codes.astype(dtype)[:, np.newaxis], self._loss_name("logistic"), 1

    def _encode_outputs(self, y, resumes, incremental):
        """Of y with several classes in several columns, a softmax each: the class numbers, one column for each."""
        y = y.toarray() if issparse(y) else y
        classes = [np.unique(column) for column in y.T]
        if resumes or incremental is None:
            known = self.classes_ if isinstance(self.classes_, list) else [self.classes_]
            if len(known) != len(classes) or any(map(np.size, map(np.setdiff1d, classes, known))):
                raise ValueError(
                    f"The columns of y have the classes {[c.tolist() for c in classes]}, of which some are not among "
                    f"those that the model was made for: {[c.tolist() for c in known]}."
                )
        else:
            self.classes_ = classes
        codes = np.column_stack([np.searchsorted(*pair) for pair in zip(self.classes_, y.T, strict=True)])
        return codes, self._loss_name("softmax"), sum(len(of_output) for of_output in self.classes_)

    def _blocks(self):
        if not isinstance(self.classes_, list):
            return []
        stops = np.cumsum([len(of_output) for of_output in self.classes_]).tolist()
        return [slice(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]

    def _loss_name(self, out_activation):
        if self.loss == "focal":
            if self.label_smoothing:
                raise ValueError(
                    f"label_smoothing={self.label_smoothing} is for loss='log_loss'; 'focal' takes labels as they are."
                )
            return f"{out_activation}_focal_loss"
        return f"smooth_{out_activation}_log_loss" if self.label_smoothing else f"{out_activation}_log_loss"

    def _loss_parameters(self, n_outputs, dtype):
        if self.loss == "focal":
            return (float(self.focal_gamma),)
        return (float(self.label_smoothing),) if self.label_smoothing else ()

    def _check_classes(self, classes):
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
        elif np.setdiff1d(classes, self.classes_).size:
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _weigh_classes(self, y, sample_weight, dtype, incremental, device):
        if self.class_weight is None:
            return sample_weight
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not possible with partial_fit, which sees a part of y only. Pass weights: "
                "dict(zip(classes, sklearn.utils.class_weight.compute_class_weight('balanced', classes=classes, y=y)))."
            )
        weights = compute_sample_weight(self.class_weight, to_host(y, device)).astype(dtype)
        if not (weights >= 0).all():
            raise ValueError(f"class_weight={self.class_weight} has weights that are negative or not numbers.")
        return weights if sample_weight is None else weights * sample_weight

    def _stratify_by(self, target):
        if target.ndim == 1:
            return target, [str(label) for label in self.classes_]
        if target.shape[1] == 1:
            # Two classes go by their encoding in messages, as they do in scikit-learn's.
            return target[:, 0].astype(np.intp), ["False", "True"]
        return None, []

    def _score_prediction(self, target, prediction, sample_weight):
        if self._blocks():
            codes = [prediction[:, columns].argmax(axis=1) for columns in self._blocks()]
            correct = (np.column_stack(codes) == target).all(axis=1)
        elif self.out_activation_ == "softmax":
            correct = prediction.argmax(axis=1) == target
        else:
            correct = ((prediction > 0.5) == target).all(axis=1)
        return np.average(correct, weights=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags


def _same_classes(one, other):
    return isinstance(one, list) and len(one) == len(other) and all(map(np.array_equal, one, other))
