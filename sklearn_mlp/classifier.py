"""The classifier: from labels to the target of a loss, and from probabilities back to labels."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import available_if

from sklearn_mlp._base import BaseMLP, interruptible, solver_is_stochastic
from sklearn_mlp._checks import about, to_numpy
from sklearn_mlp._docstrings import documented
from sklearn_mlp._fit import Inputs
from sklearn_mlp._labels import find_classes, same_labels, sorted_labels
from sklearn_mlp._parameters import ACTIVATION, HIDDEN_LAYER_SIZES, Names, declares_parameters, parameter
from sklearn_mlp._plan import classification_loss
from sklearn_mlp._task import classification_task
from sklearn_mlp._training_set import Problem


@documented
@declares_parameters
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier.

    Minimises the log-loss of a fully connected network. The constructor, the fitted attributes and, for the same seed,
    the model are those of :class:`sklearn.neural_network.MLPClassifier`; the differences are listed in
    :doc:`docs/differences.md </differences>`.

    The parameters in groups, in the order of their description:

    $first_group
    - Classes: `loss`, `focal_gamma`, `label_smoothing`, `class_weight`.
    $further_groups

    Parameters
    ----------
    $essentials

    loss : {'log_loss', 'focal'}, default='log_loss'
        Loss of a sample, with p the predicted probability of its class. For multilabel classification, the sum over
        the columns.

        - 'log_loss': ``-log(p)``.
        - 'focal': ``-(1 - p) ** focal_gamma * log(p)``, which reduces the weight of well-classified samples [Focal]_.
          Its probabilities are not calibrated.

    focal_gamma : float, default=2.0
        Focusing parameter of 'focal'; 0 gives the log-loss. Ignored by 'log_loss'.

    label_smoothing : float, default=0.0
        Fraction of each label, in [0, 1), that 'log_loss' distributes over all classes, which keeps probabilities away
        from 0 and 1 [Smoothing]_. Not available for 'focal'.

    class_weight : dict, list of dict, 'balanced' or None, default=None
        Class weights ``{label: weight}``, or for multilabel classification a list with one dict per column, whose
        weights are multiplied. They multiply `sample_weight` in the loss and in the validation score. 'balanced' is
        ``n_samples / (n_classes * class count)``; not available for `partial_fit`. None gives all classes a weight
        of 1.

    $optimiser

    $regularisation

    $stopping

    $device

    $compatibility

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of such
        The class labels; for multilabel y, the column indices; for a multiclass-multioutput y, a list with the labels
        of each column.

    out_activation_ : str
        Activation of the output layer: 'logistic' for binary and multilabel y, 'softmax' for multiclass y.

    $attributes

    See Also
    --------
    MLPRegressor : The same network for real-valued targets.

    Notes
    -----
    $notes

    References
    ----------
    $references
    .. [Focal] T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollár, "Focal loss for dense object detection", ICCV
       2017. :arxiv:`1708.02002`
    .. [Smoothing] C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, "Rethinking the Inception architecture
       for computer vision", CVPR 2016. :arxiv:`1512.00567`

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

    hidden_layer_sizes: int | Sequence[int] = HIDDEN_LAYER_SIZES
    activation: str | Sequence[str] = ACTIVATION
    _: KW_ONLY
    class_weight: dict | list[dict] | str | None = parameter(None, Names({"balanced"}), dict, list, None)
    loss: str = parameter("log_loss", Names({"log_loss", "focal"}))
    focal_gamma: float = parameter(2.0, Interval(Real, 0, None, closed="left"))
    label_smoothing: float = parameter(0.0, Interval(Real, 0, 1, closed="left"))

    @interruptible
    @_fit_context(prefer_skip_nested_validation=True)
    @documented
    def fit(self, X, y=None, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, resume_from=None):
        """Fit the network to X and y.

        Parameters
        ----------
        $X

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Class labels of any sortable type or, for multilabel classification, an indicator matrix of 0 and 1, which
            may be sparse. In any other y with several columns, each column is a separate multiclass target with its
            own softmax, and may have labels of another type. $y_blocks

        $fit_parameters

        Returns
        -------
        self : MLPClassifier
            The fitted classifier.

        Raises
        ------
        $fit_raises
        """
        known_classes = getattr(self, "classes_", None) if self.warm_start else None
        inputs = Inputs(X, y, sample_weight, X_val, y_val, sample_weight_val)
        return self._fit(inputs, known_classes=known_classes, resume_from=resume_from)

    @available_if(solver_is_stochastic)
    @interruptible
    @_fit_context(prefer_skip_nested_validation=True)
    @documented
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train the network for one epoch on X and y, starting from its current state.

        $partial_fit

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, a subset of `classes`.

        $partial_fit_weight

        classes : array-like of shape (n_classes,) or list of such, default=None
            All classes across all calls; for a multiclass-multioutput y, a list with those of each column. Required
            in the first call, and optional in later calls and for multilabel classification.

        Returns
        -------
        self : MLPClassifier
            The fitted classifier.
        """
        known_classes = self._known_classes(classes, y)
        return self._fit(Inputs(X, y, sample_weight), known_classes=known_classes, incremental=True)

    def _known_classes(self, classes, y):
        """The classes that any call of partial_fit will see, from the first call's `classes` or from the model."""
        shape = y.shape if hasattr(y, "shape") else np.shape(y)
        known = getattr(self, "classes_", None)
        with about("classes"):
            classes = classes if classes is None or isinstance(classes, list | tuple) else to_numpy(classes)
            if classes is not None and np.ndim(next(iter(classes), 0)) == 1:
                classes = [sorted_labels(of_column) for of_column in classes]
                if len(shape) != 2 or shape[1] != len(classes):
                    raise ValueError(f"classes has lists for {len(classes)} outputs, but y has the shape {shape}.")
            elif isinstance(known, list):
                return known
            elif len(shape) == 2 and shape[1] > 1 and (classes is None or np.isin(classes, [0, 1]).all()):
                # The classes of a multilabel y are its columns.
                classes = np.arange(shape[1])
            elif classes is not None:
                classes = sorted_labels(classes)
            elif known is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            if known is None:
                return classes
            if classes is not None and not same_labels(classes, known):
                raise ValueError(f"classes={classes} is not the same as on last call to partial_fit: {known}.")
            return known

    def _learn_task(self, y, sample_weight, known_classes, device, incremental):
        labelled = find_classes(y, device, separate_columns=isinstance(known_classes, list))
        task = classification_task(labelled, known_classes, warm_start=self.warm_start and not incremental)
        return Problem(labelled, task, classification_loss(self, task), self.class_weight)

    @documented
    def predict(self, X, out=None):
        """Predict class labels.

        Parameters
        ----------
        $X

        $out

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class of each sample. For multilabel models, an indicator of the columns with a
            probability above 0.5, sparse if y was sparse in `fit`; for columns of several types, an array of objects.
        """
        return self._predict(X, lambda task, output, device: task.decode(output, device), out=out)

    @documented
    def predict_proba(self, X, out=None):
        """Predict class probabilities.

        Parameters
        ----------
        $X

        $out

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes) or list of such
            One column per class, in the order of `classes_`. The rows sum to 1, except for multilabel models. For a
            multiclass-multioutput y, a list with one array per column.
        """
        return self._predict(X, lambda task, output, device: task.probability(output), out=out)

    @documented
    def predict_log_proba(self, X, out=None):
        """Predict the logarithm of class probabilities.

        Parameters
        ----------
        $X

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
        $X

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
        tags.target_tags.multi_output = True
        return tags


def log_probability(task, output, device):
    probability = task.probability(output)
    with np.errstate(divide="ignore"):
        return list(map(np.log, probability)) if isinstance(probability, list) else np.log(probability)
