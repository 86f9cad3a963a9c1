"""The text that the docstrings of both estimators share: parameters by group, attributes, notes and references.

A docstring names a part as `$part`, where `documented` inserts it. The references that only one class cites are in its
own docstring; their labels are names, so that nothing has to be numbered.
"""

import re
from inspect import cleandoc
from string import Template

PARTS = {
    "first_group": """\
- Essentials: `hidden_layer_sizes`, `activation`, `solver`, `learning_rate_init`, `batch_size`, `max_iter`,
  `random_state`, `verbose`.""",
    "further_groups": """\
- Optimiser: `learning_rate`, `warmup_fraction`, `momentum`, `max_grad_norm`, `warm_start`.
- Regularisation: `alpha`, `weight_decay`, `dropout`, `normalization`, `ema_decay`.
- Stopping and validation: `tol`, `n_iter_no_change`, `early_stopping`, `validation_fraction`, `scoring`,
  `restore_best`.
- Device: `device`, `dtype`.
- Compatibility with scikit-learn, seldom worth changing: `shuffle`, `power_t`, `nesterovs_momentum`, `beta_1`,
  `beta_2`, `epsilon`, `max_fun`.""",
    "essentials": """\
hidden_layer_sizes : array-like of int of shape (n_layers - 2,), default=(100,)
    The number of neurons in each hidden layer. An int is the size of a single hidden layer; ``()`` gives a linear
    model.

activation : str or sequence of str of shape (n_layers - 2,), default='relu'
    Activation function of the hidden layers; a sequence has one name per hidden layer.

    - 'identity': f(z) = z.
    - 'logistic': f(z) = 1 / (1 + exp(-z)).
    - 'tanh': f(z) = tanh(z).
    - 'relu': f(z) = max(0, z).
    - 'leaky_relu': f(z) = max(0.01 z, z) [LeakyReLU]_.
    - 'elu': f(z) = z for z > 0, else exp(z) - 1 [ELU]_.
    - 'selu': 1.0507 times z for z > 0, else 1.6733 (exp(z) - 1); keeps activations near unit variance [SELU]_.
    - 'softplus': f(z) = log(1 + exp(z)).
    - 'gelu': f(z) = z Φ(z), with Φ the cumulative distribution function of the standard normal distribution [GELU]_.
    - 'silu': f(z) = z / (1 + exp(-z)) [GELU]_.
    - 'mish': f(z) = z tanh(log(1 + exp(z))) [Mish]_.

solver : {'lbfgs', 'sgd', 'adam', 'adamw', 'muon'}, default='adam'
    The solver for weight optimisation.

    - 'adam': stochastic gradient descent with adaptive moment estimates [Adam]_. Works well on most data sets.
    - 'adamw': 'adam' with decoupled `weight_decay` [AdamW]_.
    - 'muon': orthogonalised momentum for the weights between two hidden layers [Muon]_ [MuonScaling]_, and 'adamw' for
      all other parameters. A step takes considerably longer, less so with large batches. Equivalent to 'adamw' with
      fewer than two hidden layers.
    - 'sgd': stochastic gradient descent with momentum [Momentum]_.
    - 'lbfgs': a full-batch quasi-Newton method [LBFGS]_. Works well on small data sets.

learning_rate_init : float, default=0.001
    The (initial) learning rate. Ignored by 'lbfgs'.

batch_size : int or 'auto', default='auto'
    Number of samples in a mini-batch. 'auto' is ``min(200, n_samples)``. Ignored by 'lbfgs', which uses the whole
    training set in each iteration.

max_iter : int, default=200
    Maximum number of epochs (passes over the training set), or of iterations of 'lbfgs'.

random_state : int, RandomState instance or None, default=None
    Determines the initial weights, the split of `early_stopping`, the order of the samples and the dropout masks. Pass
    an int for reproducible results across calls of `fit`.

verbose : bool or int, default=False
    Whether to print the loss of each epoch and the reason for stopping. 2 prints a table with one row per epoch,
    including its time and throughput in rows per second. Ignored by 'lbfgs'.""",
    "optimiser": """\
learning_rate : {'constant', 'invscaling', 'adaptive', 'cosine', 'linear', 'one_cycle'} or callable, \
        default='constant'
    Learning rate schedule. 'invscaling' and 'adaptive' only have an effect with 'sgd'; the solvers of the Adam family
    treat them as 'constant', as in scikit-learn. 'lbfgs' ignores all schedules.

    - 'constant': `learning_rate_init` throughout.
    - 'invscaling': ``learning_rate_init / (t + 1) ** power_t`` after each epoch, with t the number of samples seen.
    - 'adaptive': `learning_rate_init`, divided by 5 each time the patience (see `n_iter_no_change`) is exhausted, until
      the rate is 1e-6 or less.
    - 'cosine', 'linear': a linear warm-up over the first `warmup_fraction` of the steps, then a decay from
      `learning_rate_init` to 0 along a half cosine [SGDR]_ or a straight line.
    - 'one_cycle': a rise from ``learning_rate_init / 25`` to `learning_rate_init` over the first `warmup_fraction` of
      the steps, then a decay to ``learning_rate_init / 250000``, each along a half cosine [OneCycle]_.
    - callable: `learning_rate_init` times the value returned for the progress, a float between 0 and 1.

    The last four update the rate at every step and span `max_iter` epochs: if training stops earlier (see
    `n_iter_no_change`), the schedule is not completed. They are not available for `partial_fit`.

warmup_fraction : float or 'auto', default='auto'
    Fraction of the steps, in [0, 1), over which the schedules 'cosine', 'linear' and 'one_cycle' rise. 'auto' is 0.3
    for 'one_cycle' and 0 otherwise.

momentum : float, default=0.9
    Momentum of 'sgd', and of 'muon' between hidden layers, in [0, 1]. Ignored by the other solvers.

max_grad_norm : float or None, default=None
    Maximum Euclidean norm of the gradient of a step, over all weights and biases; a larger gradient is rescaled to this
    norm [Clipping]_. The gradient of the penalty `alpha` is excluded. Ignored by 'lbfgs'.

warm_start : bool, default=False
    Whether `fit` starts from the solution of the previous call, with its patience reset.""",
    "regularisation": """\
alpha : float, default=0.0001
    Strength of the L2 penalty ``alpha / 2 * sum of squared weights``. It is added to the sum of the losses of a batch
    before both are divided by the number of samples (or the sum of the sample weights). Biases are not penalised.

weight_decay : float, default=0.01
    Decoupled weight decay of 'adamw' and 'muon': each step shrinks the weights (not the biases) by this fraction times
    the learning rate, regardless of the gradient and in addition to `alpha`. Ignored by the other solvers.

dropout : float or sequence of float of shape (n_layers - 2,), default=0.0
    Fraction of the outputs of a hidden layer, in [0, 1), that each training step sets to 0 at random; the remaining
    outputs are scaled up to preserve the mean [Dropout]_. A sequence has one rate per hidden layer. Ignored by 'lbfgs'.

normalization : {'batch', 'layer'} or None, default=None
    Normalisation of the inputs of each hidden layer's activation, before the bias is added. Each neuron has a learned
    scale, `scales_`.

    - 'batch': zero mean and unit variance over the samples of the mini-batch, with their weights, for each neuron
      [BatchNorm]_. Prediction uses exponential moving averages over the batches, with momentum 0.1. Requires batches of
      more than one sample; not available for 'lbfgs'.
    - 'layer': zero mean and unit variance over the neurons of the layer, for each sample [LayerNorm]_.

ema_decay : float or None, default=None
    Decay, in [0, 1), of an exponential moving average of the weights over the steps, which becomes the model and is
    evaluated on the validation set [Averaging]_. Typical values are 0.99 and 0.999; the first steps use a smaller
    decay. The effect is similar to that of a decreasing learning rate. None disables averaging. Ignored by 'lbfgs', not
    available for `partial_fit`.""",
    "stopping": """\
tol : float, default=1e-4
    Minimum improvement of the training loss (or, with `early_stopping`, of the validation score) that resets the
    patience. For 'lbfgs', training stops when no component of the gradient exceeds `tol`.

n_iter_no_change : int or np.inf, default=10
    Patience: training stops (or 'adaptive' lowers the learning rate) after more than this number of consecutive epochs
    without an improvement of at least `tol`. Ignored by 'lbfgs'.

early_stopping : bool, default=False
    Whether to set aside `validation_fraction` of the samples and stop training when their score (see `scoring`) stops
    improving; the weights of the best epoch are kept. For classification the split is stratified, except with
    multilabel y. Ignored, with a warning, by 'lbfgs'.

validation_fraction : float, default=0.1
    Fraction of the samples, in [0, 1), that `early_stopping` holds out.

scoring : str, callable or None, default=None
    Validation score, greater is better: the name of a scikit-learn scorer, a callable with the signature
    ``scorer(estimator, X, y)``, or 'loss', the negative validation loss. None is the metric of the method `score`.

restore_best : bool, default=True
    Whether `early_stopping` restores the weights with the best validation score; otherwise those of the last epoch are
    kept.""",
    "device": """\
device : str, default='cpu'
    Device used by `fit` and `predict`, resolved at each call.

    - 'cpu': the CPU.
    - 'cuda': the current CUDA device, an NVIDIA GPU. Requires CuPy: ``pip install 'sklearn_mlp[cuda12]'`` or
      ``'sklearn_mlp[cuda13]'``. 'cuda:0', 'cuda:1', ...: the device with that number.
    - 'auto': 'cuda' if CuPy and a GPU are available, else 'cpu'; `device_` is the result. If a GPU is found but does
      not compute, a RuntimeWarning is issued.

dtype : {'float32', 'float64'} or None, default=None
    Precision of training, of the model and of its predictions. None is float32 if X is float32, and float64 otherwise.
    X is cast batch by batch, not copied as a whole.""",
    "compatibility": """\
shuffle : bool, default=True
    Whether to shuffle the samples before each epoch. Ignored by 'lbfgs'.

power_t : float, default=0.5
    Exponent of the schedule 'invscaling'. Ignored otherwise.

nesterovs_momentum : bool, default=True
    Whether to use Nesterov's momentum. Only used by 'sgd' and 'muon' with ``momentum > 0``.

beta_1 : float, default=0.9
    Decay rate of the first moment estimate of 'adam', 'adamw' and 'muon', in [0, 1). Ignored by the other solvers.

beta_2 : float, default=0.999
    Decay rate of the second moment estimate of 'adam', 'adamw' and 'muon', in [0, 1). Ignored by the other solvers.

epsilon : float, default=1e-8
    Value for numerical stability in 'adam', 'adamw' and 'muon'. Ignored by the other solvers.

max_fun : int, default=15000
    Maximum number of loss evaluations of 'lbfgs'. Ignored by the other solvers.""",
    "attributes": """\
coefs_ : list of ndarray of shape (fan_in, fan_out)
    The weight matrix of each layer.

intercepts_ : list of ndarray of shape (fan_out,)
    The bias vector of each layer.

scales_ : list of ndarray of shape (fan_out,)
    The scales of each hidden layer with `normalization`; empty otherwise.

running_means_, running_variances_ : list of ndarray of shape (fan_out,)
    The statistics of each hidden layer that prediction uses with normalization='batch'; empty otherwise.

loss_ : float
    The loss of the last epoch: the mean over its batches, each evaluated before its step. For 'lbfgs', the loss of the
    fitted model.

loss_curve_ : list of float
    The loss of each epoch or iteration. `warm_start` and `partial_fit` append to it.

learning_rate_curve_ : list of float
    The learning rate of the last step of each epoch. Empty for 'lbfgs'.

best_loss_ : float or None
    The minimum of `loss_curve_`. None with `early_stopping`.

validation_scores_ : list of float or None
    The validation score after each epoch. None without a validation set.

validation_loss_curve_ : list of float or None
    The mean loss of the validation set after each epoch, excluding the penalty `alpha`. None without a validation set.

best_validation_score_ : float or None
    The maximum of `validation_scores_`. None without a validation set.

history_ : dict of list
    'epoch', 'loss', 'learning_rate' and, with a validation set, 'validation_loss' and 'validation_score': the curves
    above as columns of equal length, for ``pandas.DataFrame(history_)``. Epochs before a warm start that adds a
    validation set have NaN.

t_ : int
    The number of samples seen during training. 0 for 'lbfgs'.

n_iter_ : int
    The number of epochs or iterations of the last fit.

n_layers_ : int
    The number of layers, including the input and output layers.

n_outputs_ : int
    The number of neurons of the output layer.

device_ : str
    The device of the last fit: 'cpu', 'cuda:0', ...

n_features_in_ : int
    The number of features seen during `fit`.

feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features seen during `fit`, if X has feature names that are all strings.""",
    "notes": """\
Initial weights and biases are uniform in ``±sqrt(6 / (fan_in + fan_out))``, or ``±sqrt(2 / (fan_in + fan_out))`` for
activation='logistic' [Glorot]_, as in scikit-learn. Hidden layers with an activation that scikit-learn does not have
use ``±sqrt(6 / fan_in)`` [He]_, and 'selu' uses ``±sqrt(3 / fan_in)`` [SELU]_. With `normalization`, the biases of
the hidden layers start at 0 and their scales at 1.

X of shape (n_samples, n_features) can be dense or sparse (CSR; CSC is converted), in memory or memory-mapped. It is
read one mini-batch at a time and never modified. With a CUDA device, X and y can be CuPy arrays or other arrays in GPU
memory; predictions are CuPy arrays if X is one. Fitted attributes are always NumPy arrays.""",
    "references": """\
.. [Adam] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
   :arxiv:`1412.6980`
.. [AdamW] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
   :arxiv:`1711.05101`
.. [Averaging] B. T. Polyak and A. B. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on
   Control and Optimization 30, 1992.
.. [BatchNorm] S. Ioffe and C. Szegedy, "Batch normalization: Accelerating deep network training by reducing internal
   covariate shift", ICML 2015. :arxiv:`1502.03167`
.. [Clipping] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML
   2013. :arxiv:`1211.5063`
.. [Dropout] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A simple way to
   prevent neural networks from overfitting", JMLR 15, 2014.
.. [ELU] D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep network learning by exponential
   linear units (ELUs)", ICLR 2016. :arxiv:`1511.07289`
.. [GELU] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", 2016.
   :arxiv:`1606.08415`
.. [Glorot] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
   AISTATS 2010.
.. [He] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015.
   :arxiv:`1502.01852`
.. [LayerNorm] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016.
   :arxiv:`1607.06450`
.. [LBFGS] D. C. Liu and J. Nocedal, "On the limited memory BFGS method for large scale optimization", Mathematical
   Programming 45, 1989.
.. [LeakyReLU] A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier nonlinearities improve neural network acoustic
   models", ICML 2013.
.. [Mish] D. Misra, "Mish: A self regularized non-monotonic activation function", BMVC 2020.
   :arxiv:`1908.08681`
.. [Momentum] I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and momentum in deep
   learning", ICML 2013.
.. [Muon] K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse and J. Bernstein, "Muon: An optimizer for hidden
   layers in neural networks", 2024. https://kellerjordan.github.io/posts/muon/
.. [MuonScaling] J. Liu et al., "Muon is scalable for LLM training", 2025.
   :arxiv:`2502.16982`
.. [OneCycle] L. N. Smith and N. Topin, "Super-convergence: Very fast training of neural networks using large learning
   rates", 2018. :arxiv:`1708.07120`
.. [SELU] G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-normalizing neural networks", NeurIPS 2017.
   :arxiv:`1706.02515`
.. [SGDR] I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017.
   :arxiv:`1608.03983`""",
    "tabular_parameters": """\
n_members : int, default=8
    Number of networks, whose predictions are averaged. Each is trained on all but one of 5 to 8 folds of the rows; the
    remaining fold determines the number of its epochs. A single network is trained on all but one of 5 folds.

hidden_layer_sizes : array-like of int of shape (n_hidden_layers,), default=(256, 256)
    The number of neurons in each hidden layer of a network.

max_iter : int or 'auto', default='auto'
    Maximum number of epochs. 'auto' is 500,000 divided by the number of rows, at least 64 and at most 256; from 100,000
    rows on, it falls from 64 to 16. The learning rate falls to 0 over all epochs along a half cosine. Training stops
    when the validation loss has not improved for a quarter of them, at least 16, and the weights of the best epoch are
    kept.

learning_rate_init : float or 'auto', default='auto'
    The initial learning rate. 'auto' is 0.001 for a classifier and 0.003 for a regressor.

batch_size : int or 'auto', default='auto'
    Number of samples in a mini-batch. 'auto' is 128, twice as many from 50,000 rows on, and again
    for each 4 times as many rows, up to 1024.

dropout : float, 'auto' or array-like of float of shape (n_hidden_layers,), default='auto'
    Fraction of the outputs of the hidden layers, in [0, 1), that are set to 0 in training. 'auto' is 0.3
    with less than 3,000 rows, 0.1 otherwise, and 0 for quantiles.

weight_decay : float, default=0.02
    Decoupled weight decay: each step shrinks the weights by this fraction times the learning rate.

n_bins : int or 'auto', default='auto'
    Maximum number of bins of a numeric feature, see :class:`sklearn_mlp.encoders.PiecewiseLinearEncoder`.

min_frequency : int, default=3
    Categories with fewer samples share one input, see :class:`sklearn_mlp.encoders.TabularEncoder`.

max_interactions : int, default=4
    Maximum number of pairs of discrete features whose combinations are encoded as categories. A pair is only chosen if
    it improves the prediction of held-out rows. See :class:`sklearn_mlp.encoders.TabularEncoder`.

n_jobs : int or None, default=None
    Number of networks that are trained, or predict, at the same time, each in a thread that uses one core. None is the
    number of threads of the BLAS: all cores, or fewer where the environment (``OMP_NUM_THREADS``), threadpoolctl or a
    search with several processes sets it. -1 is all cores. It does not change the result. Ignored on a GPU, on which
    the networks are trained one after another.

device : str, default='cpu'
    Device used by `fit` and `predict`, resolved at each call: 'cpu', 'cuda', 'cuda:N' or 'auto', see
    :class:`~sklearn_mlp.MLPClassifier`. The table remains in main memory if it does not fit on the device.

random_state : int, RandomState instance or None, default=None
    Determines the folds, and the initial weights, the order of the samples and the dropout masks of each network. Pass
    an int for reproducible results across calls of `fit`.

verbose : bool or int, default=False
    Whether to print the epochs and the validation loss of each network.""",
    "categorical_features": """\
categorical_features : 'from_dtype', array-like of {bool, int, str} of shape (n_features) or \
        (n_categorical_features,), or None, default='from_dtype'
    All categorical features, including those of strings; the others must be numbers.

    - 'from_dtype': in a data frame the columns of strings, categories and booleans, and of objects that are not all
      numbers; in an array of objects or a list, the columns that are not all numbers.
    - A mask, the indices or, for a data frame, the names of the features.
    - None: no feature.""",
    "tabular_attributes": """\
encoder_ : TabularEncoder
    Encodes a table as the inputs of the networks.

estimators_ : list of MLPClassifier or MLPRegressor
    The fitted networks, each of which predicts from ``encoder_.transform(X)``. Their `loss_curve_`,
    `validation_loss_curve_` and `history_` are those of training.

oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    Out-of-fold predictions (for a classifier, probabilities): for each row of X, the mean of the networks that were not
    trained on it, and NaN if there are none, as for rows of zero weight. The rows were also used to choose the number
    of epochs and the pairs of features. Not defined with `X_val`.

oof_score_ : float
    The score of the out-of-fold predictions, weighted by `sample_weight`. Not defined with `X_val`.

n_iter_ : int
    The largest number of epochs of a network.

n_outputs_ : int
    Number of outputs.

device_ : str
    The device of the last fit.

n_features_in_ : int
    The number of features seen during `fit`.

feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features seen during `fit`, if X has feature names that are all strings.""",
    "tabular_fit_parameters": """\
sample_weight : array-like of shape (n_samples,), default=None
    Sample weights. Rows of zero weight are ignored.

groups : array-like of shape (n_samples,), default=None
    Rows with the same label are in the same fold. In a pipeline or a search, request it by metadata routing.

X_val : data frame or array-like of shape (n_val_samples, n_features), default=None
    Validation set: all networks are trained on all of X, and the number of epochs is chosen on it.

y_val : array-like of shape (n_val_samples,) or (n_val_samples, n_outputs), default=None
    Targets of the validation set.

sample_weight_val : array-like of shape (n_val_samples,), default=None
    Sample weights of the validation set.""",
    "tabular_notes": """\
There are no checkpoints. An interrupt, a :class:`~sklearn_mlp.callbacks.TimeLimit` or another callback that requests to
stop ends training after the current epochs; the model consists of the networks trained so far. A fit takes seconds to
minutes; for days of training, encode the table by :class:`~sklearn_mlp.encoders.TabularEncoder` and train an
:class:`~sklearn_mlp.MLPClassifier` or :class:`~sklearn_mlp.MLPRegressor` with a
:class:`~sklearn_mlp.callbacks.Checkpoint`.

If all rows fit in one mini-batch, equal rows are merged into one with their total weight, so that a weight is
equivalent to a repetition.

The method is that of pre-tuned networks for tables [RealMLP]_, with piecewise linear encodings of numbers [PLE]_ and an
average over networks.""",
    "tabular_references": """\
.. [RealMLP] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: Strong pre-tuned MLPs and boosted trees
   on tabular data", NeurIPS 2024. :arxiv:`2407.04491`
.. [PLE] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in tabular deep learning",
   NeurIPS 2022. :arxiv:`2203.05556`""",
    "tabular_X": """\
X : data frame or array-like of shape (n_samples, n_features), or sequence of blocks
    A data frame of pandas or Polars, a PyArrow table, an array or a list, with numbers, categories and missing values.
    Blocks, such as :class:`sklearn_mlp.blocks.ParquetBlocks`, are for data that do not fit in memory: ``X[i]`` is a
    tuple (X, y) or (X, y, sample_weight), and ``len(X)`` the number of blocks.""",
    "X": """\
X : {array-like, sparse matrix} of shape (n_samples, n_features) or sequence of blocks
    The input data. Blocks, such as :class:`sklearn_mlp.blocks.ParquetBlocks`, are for data that do not fit in memory:
    ``X[i]`` is a tuple (X, y) or (X, y, sample_weight), and ``len(X)`` the number of blocks.""",
    "y_blocks": """\
None for blocks, which contain y.""",
    "out": """\
out : array-like, default=None
    Array of the shape of the result, such as a memory-mapped array, to write it to. None returns a new array.""",
    "fit_parameters": """\
sample_weight : array-like of shape (n_samples,), default=None
    Sample weights in the loss and in the validation score. None gives all samples a weight of 1.

X_val : {array-like, sparse matrix} of shape (n_val_samples, n_features) or sequence of blocks, default=None
    Validation set: its loss and score are recorded after each epoch, and `early_stopping` uses it instead of setting
    samples of X aside. To have a pipeline transform it like X, use ``Pipeline(..., transform_input=["X_val"])`` with
    metadata routing. Ignored by 'lbfgs'.

y_val : array-like of shape (n_val_samples,) or (n_val_samples, n_outputs), default=None
    Targets of the validation set.

sample_weight_val : array-like of shape (n_val_samples,), default=None
    Sample weights of the validation set in its loss and score.

resume_from : str or path-like, default=None
    A checkpoint written by :class:`sklearn_mlp.callbacks.Checkpoint` while an estimator with the same parameters was
    fitted to the same data. Training continues from there, and the result is bit-identical to that of an uninterrupted
    fit. Other data, or other parameters that affect the result, raise an error; `max_iter` may change, unless a
    schedule spans it. Functions and scorers are compared by their code and the variables and state that they use. Not
    available for 'lbfgs'.""",
    "dask_parameters": """\
client : distributed.Client, default=None
    The client of the cluster to train on. None takes the current one.

n_shards : int, default=None
    Number of shards, parts of the data that are trained on in parallel, from the same parameters at the beginning of
    each round. The model depends on it. None is the number of threads of the workers, or of partitions if there are
    fewer.

sync_every : int or 'auto', default='auto'
    Number of steps in each shard between two averages of the parameters and the solver's state, at most an epoch. With
    'auto', which depends on the numbers of rows, parameters and shards, the overhead of a round is about 5 % of the
    time of its steps.""",
    "dask_attributes": """\
client_ : distributed.Client
    The client of the cluster; not part of a pickle.

n_shards_ : int
    Number of shards.

sync_every_ : int
    Number of steps in a round. Not defined for 'lbfgs'.

n_rounds_ : int
    Number of rounds. Not defined for 'lbfgs'.""",
    "dask_notes": """\
The partitions of X are distributed over `n_shards` shards, which workers keep in memory. Each shard is trained on
separately for some steps; then the parameters and the state of the solver are averaged over the shards, weighted by
their rows [LocalSGD]_ [LocalSteps]_. The model depends on partitions, `n_shards`, `sync_every` and `random_state`, but
not on the number of workers or the loss of workers. 'lbfgs' sums the gradients of all shards in each evaluation and
gives, up to rounding, the model of the local estimator.

A task uses one thread for its products. X_val, y_val and the rows that `early_stopping` holds out, at most 100,000,
are in the memory of the client.""",
    "dask_references": """\
.. [LocalSGD] Sebastian U. Stich, "Local SGD converges fast and communicates little", ICLR 2019. :arxiv:`1805.09767`
.. [LocalSteps] T. Lin, S. U. Stich, K. K. Patel and M. Jaggi, "Don't use large mini-batches, use local SGD", ICLR 2020.
   :arxiv:`1808.07217`""",
    "fit_raises": """\
ValueError
    If a parameter, the data or the checkpoint is invalid, or if training ends with non-finite weights. The estimator
    is left unchanged, as by any other error.
TypeError
    If arrays are in GPU memory and `device` is the CPU.
ImportError, RuntimeError
    If `device` is a CUDA device and CuPy is not installed, or no driver or GPU is found, or the GPU does not compute.
MemoryError
    If the network and its mini-batches do not fit in GPU memory.""",
    "partial_fit": """\
Not available for solver='lbfgs'. The states of the solver and of the random number generator are kept between calls,
and are part of a pickle.""",
    "partial_fit_weight": """\
sample_weight : array-like of shape (n_samples,), default=None
    Sample weights in the loss. None gives all samples a weight of 1.""",
}


def documented(described, **parts):
    """Insert the shared parts, and others, into the docstring of a class or function, unless ``python -OO`` is on."""
    if described.__doc__ is not None:
        described.__doc__ = Template(cleandoc(described.__doc__) + "\n").substitute(PARTS | parts)
    return described


def documented_after(cls):
    """Like `documented`, with the sections of another class's docstring: "$local_parameters", "$local_notes", ...

    "$local_groups" is the paragraph before the first section, the list of groups of the parameters.
    """
    introduction, *sections = re.split(r"\n\n([A-Z][\w ]+)\n-+\n", (cls.__doc__ or "").rstrip())
    parts = {f"local_{title.lower()}": text for title, text in zip(sections[::2], sections[1::2], strict=True)}
    parts["local_groups"] = introduction.rpartition("\n\n")[2]
    return lambda described: documented(described, **parts)
