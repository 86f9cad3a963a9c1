"""The classifier: from labels to the target of a loss, and from probabilities back to labels."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
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
from sklearn_mlp._docstrings import documented
from sklearn_mlp._parameters import ACTIVATION, HIDDEN_LAYER_SIZES, declares_parameters, parameter
from sklearn_mlp._validation import on_gpu, to_host


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
    class_weight: dict | list[dict] | str | None = parameter(None, StrOptions({"balanced"}), dict, list, None)
    loss: str = parameter("log_loss", StrOptions({"log_loss", "focal"}))
    focal_gamma: float = parameter(2.0, Interval(Real, 0, None, closed="left"))
    label_smoothing: float = parameter(0.0, Interval(Real, 0, 1, closed="left"))

    @_fit_context(prefer_skip_nested_validation=True)
    @documented
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, resume_from=None):
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels of any sortable type or, for multilabel classification, an indicator matrix of 0 and 1, which
            may be sparse. In any other y with several columns, each column is a separate multiclass target with its
            own softmax.

        $fit_parameters

        Returns
        -------
        self : MLPClassifier
            The fitted classifier.

        Raises
        ------
        $fit_raises
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._fit(X, y, sample_weight, **validation, resume_from=resume_from)

    @available_if(solver_is_stochastic)
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
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class of each sample. For multilabel models, an indicator of the columns with a
            probability above 0.5, sparse if y was sparse in `fit`.
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
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes) or list of such
            One column per class, in the order of `classes_`. The rows sum to 1, except for multilabel models. For a
            multiclass-multioutput y, a list with one array per column.
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
        """Predict the logarithm of class probabilities.

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
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. None gives all samples a weight of 1.

        Returns
        -------
        score : float
            The fraction of samples with all labels predicted correctly.
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
