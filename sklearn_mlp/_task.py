"""The kinds of y: how each is encoded for the loss, and how predictions are decoded, scored and weighted.

A task is fitted to the y of the training set, and then encodes the y of the validation set and of further chunks in the
same way. It is part of the fitted model.
"""

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, d2_pinball_score, r2_score
from sklearn.utils.class_weight import compute_class_weight

from sklearn_mlp._caller import warn
from sklearn_mlp._checks import check_numeric, check_range, on_gpu, stack_columns, to_host
from sklearn_mlp._labels import encode_labels, find_classes, unknown_labels


def classification_task(labelled, known, *, warm_start):
    """The task for the labels of a training set.

    Parameters
    ----------
    known : ndarray, list of ndarray or None
        The classes of the model that training continues, or that `partial_fit` was told; None if there are none.
    warm_start : bool
        Whether y must have all of the known classes.
    """
    if labelled.kind == "multiclass-multioutput":
        if known is None:
            return Outputs(labelled.classes)
        task = Outputs(known if isinstance(known, list) else [known])
        task.check(labelled)
        return task
    classes = labelled.classes
    if known is not None:
        unknown = unknown_labels(classes, known)
        if warm_start and (unknown or len(classes) != len(known)):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {known}, `y` has {classes}"
            )
        if unknown:
            raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {known}. 'y' has {classes}.")
    if labelled.kind == "multilabel-indicator":
        return Labels(classes if known is None else known, issparse(labelled.y))
    return Classes(classes if known is None else known)


class _Task:
    """The defaults of tasks."""

    # Groups of columns of the output; empty for a single group.
    columns = ()

    def strata(self, target):
        """The class of each row as an int, for a stratified split, or None."""
        return None

    def scorer_attributes(self):
        """Fitted attributes with the values that scikit-learn's scorers need, where they differ."""
        return {}


class _Classification(_Task):
    """The base class of classification tasks; `classes` is the fitted attribute `classes_`."""

    standardizes = False

    def __init__(self, classes):
        self.classes = classes

    def attributes(self):
        """The fitted attributes that describe y."""
        return {"classes_": self.classes}

    def read(self, y, device):
        """y in the form that `encode` accepts."""
        return find_classes(y, device, separate_columns=isinstance(self, Outputs))

    def score(self, target, output, sample_weight):
        """The accuracy for an encoded y."""
        return np.average(self._is_correct(target, output), weights=sample_weight)

    def score_decoded(self, labelled, prediction, sample_weight):
        """The accuracy for the result of `read` and a decoded prediction."""
        return accuracy_score(labelled.y, prediction, sample_weight=sample_weight)

    def class_weights(self, class_weight, target, counts=None):
        """The weight of each class, in one array for each column of labels.

        `counts` is the number of samples that each row of `target` represents, by default 1.
        """
        columns = self._codes(target)
        if len(columns) == 1 and not isinstance(self, Outputs):
            class_weight = [class_weight]
        elif isinstance(class_weight, str):
            class_weight = [class_weight] * len(columns)
        elif isinstance(class_weight, dict):
            raise ValueError("For multi-output, class_weight should be a list of dicts, or the string 'balanced'.")
        elif len(class_weight) != len(columns):
            raise ValueError("For multi-output, number of elements in class_weight should match number of outputs.")
        weights = []
        for of_column, (classes, codes) in zip(class_weight, columns, strict=True):
            if of_column == "balanced":
                # Only of the classes in y: warm starts and chunks can have fewer than the model.
                of_class = np.bincount(codes, counts, len(classes))
                present = of_class > 0
                weights.append(np.ones(len(classes)))
                weights[-1][present] = of_class.sum() / (np.count_nonzero(present) * of_class[present])
            else:
                weights.append(compute_class_weight(of_column, classes=classes, y=classes))
        if not all((np.isfinite(of_column) & (of_column >= 0)).all() for of_column in weights):
            raise ValueError(f"class_weight={class_weight} has weights that must be finite and not negative.")
        return weights

    def check_loss(self, loss_value, objective, loss, target, sample_weight):
        """Warn if the network has learned no more than the frequencies of the classes.

        `loss_value` is the training loss without the penalty.
        """
        columns = self._codes(target)
        counts = [np.bincount(codes, sample_weight, len(classes)) for classes, codes in columns]
        of_frequencies = sum(loss.of_frequencies(of_column / of_column.sum()) for of_column in counts)
        several = any(np.count_nonzero(of_column) > 1 for of_column in counts)
        if several and loss_value > 0.999 * of_frequencies:
            warn(
                f"The training loss, {loss_value:.3g}, is not lower than the {of_frequencies:.3g} of predicting the "
                "frequencies of the classes for each row. Scale the columns of X to about unit variance, or change "
                "learning_rate_init, alpha or max_iter.",
                ConvergenceWarning,
            )

    def weigh(self, class_weights, target, sample_weight, dtype):
        """`sample_weight` times the weight of each sample's classes."""
        columns = zip(class_weights, self._codes(target), strict=True)
        weights = np.prod([of_column[codes] for of_column, (_, codes) in columns], axis=0).astype(dtype)
        return weights if sample_weight is None else weights * sample_weight


class Classes(_Classification):
    """One label for each row: a softmax, or for two classes a logistic output for the second."""

    def __init__(self, classes):
        super().__init__(classes)
        self.n_outputs = len(classes) if len(classes) > 2 else 1
        self.out_activation = "softmax" if len(classes) > 2 else "logistic"

    def check(self, labelled):
        """Raise ValueError unless the y of a validation set is of this task."""
        if labelled.y.ndim > 1:
            raise ValueError(_of_another_kind(labelled.y, "labels in one column"))
        unknown = unknown_labels(labelled.classes, self.classes)
        if unknown:
            raise ValueError(f"y_val has {unknown}, which are not in y; its classes are {self.classes}.")

    def encode(self, labelled, dtype, device):
        codes = encode_labels(labelled.y, labelled.classes, self.classes, device)
        return codes if self.n_outputs > 1 else codes.astype(dtype)[:, np.newaxis]

    def decode(self, output, device):
        """The most probable label of each row."""
        last = len(self.classes) - 1  # 0 for a single class, whatever the output
        codes = output.argmax(axis=1) if self.n_outputs > 1 else (output[:, 0] > 0.5) * last
        if on_gpu(codes) and self.classes.dtype.kind in "biuf":
            return device.take(device.to_device(self.classes), codes)
        return self.classes[device.to_host(codes)]  # a GPU stores no strings

    def probability(self, output):
        if self.n_outputs > 1:
            return output
        if len(self.classes) == 1:
            return np.ones_like(output)
        return np.hstack([1 - output, output])

    def strata(self, target):
        return target if self.n_outputs > 1 else target[:, 0].astype(np.intp)

    def _codes(self, target):
        return [(self.classes, target if target.ndim == 1 else target[:, 0].astype(np.intp))]

    def _is_correct(self, target, output):
        return output.argmax(axis=1) == target if self.n_outputs > 1 else (output[:, 0] > 0.5) == target[:, 0]


class Labels(_Classification):
    """Multilabel: a matrix of 0 and 1, and a logistic output for each column."""

    out_activation = "logistic"

    def __init__(self, classes, sparse):
        super().__init__(classes)
        self.n_outputs = len(classes)
        self.sparse = sparse

    def check(self, labelled):
        if labelled.kind != "multilabel-indicator" or len(labelled.classes) != self.n_outputs:
            raise ValueError(_of_another_kind(labelled.y, f"0 and 1 in {self.n_outputs} columns"))

    def encode(self, labelled, dtype, device):
        y = labelled.y.toarray() if issparse(labelled.y) else labelled.y
        return (y != 0).astype(dtype)

    def decode(self, output, device):
        """The columns whose probability is above 0.5."""
        positive = (output > 0.5).astype(np.intp)
        return csr_matrix(device.to_host(positive)) if self.sparse else positive

    def probability(self, output):
        return output

    def score_decoded(self, labelled, prediction, sample_weight):
        return super().score_decoded(labelled._replace(y=labelled.y != 0), prediction, sample_weight)

    def scorer_attributes(self):
        # From an array of two classes, they would infer a binary y.
        return {"classes_": [np.arange(2)] * self.n_outputs}

    def _codes(self, target):
        return [(np.arange(2), column) for column in target.T.astype(np.intp)]

    def _is_correct(self, target, output):
        return ((output > 0.5) == target).all(axis=1)


class Outputs(_Classification):
    """Several columns of labels, each with its own classes and softmax."""

    out_activation = "softmax"

    def __init__(self, classes):
        super().__init__(classes)
        stops = np.cumsum([len(of_column) for of_column in classes]).tolist()
        self.n_outputs = stops[-1]
        self.columns = [slice(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]

    def check(self, labelled):
        known = [of_column.tolist() for of_column in self.classes]
        if labelled.kind != "multiclass-multioutput":
            raise ValueError(_of_another_kind(labelled.y, f"columns with the classes {known}"))
        pairs = zip(labelled.classes, self.classes, strict=False)
        if len(labelled.classes) != len(self.classes) or any(unknown_labels(*pair) for pair in pairs):
            raise ValueError(
                f"The columns of y have the classes {[c.tolist() for c in labelled.classes]}, of which some are not "
                f"among those that the model was made for: {known}."
            )

    def encode(self, labelled, dtype, device):
        """The index of each label among the classes of its column."""
        columns = zip(labelled.y.T, labelled.classes, self.classes, strict=True)
        return np.column_stack([encode_labels(*column, device) for column in columns])

    def decode(self, output, device):
        """The most probable label of each column."""
        codes = [device.to_host(code) for code in self._argmax(output)]
        labels = stack_columns([of_column[code] for of_column, code in zip(self.classes, codes, strict=True)])
        return device.to_device(labels) if on_gpu(output) and labels.dtype.kind in "biuf" else labels

    def probability(self, output):
        return [output[:, columns] for columns in self.columns]

    def score_decoded(self, labelled, prediction, sample_weight):
        y = labelled.y
        if y.shape != prediction.shape:
            raise ValueError(f"y has the shape {y.shape}, but the predictions for X have {prediction.shape}.")
        return float(np.average((y == prediction).all(axis=1), weights=sample_weight))

    def _argmax(self, output):
        return [output[:, columns].argmax(axis=1) for columns in self.columns]

    def _codes(self, target):
        return list(zip(self.classes, target.T, strict=True))

    def _is_correct(self, target, output):
        return (np.column_stack(self._argmax(output)) == target).all(axis=1)


class Real(_Task):
    """Real values in one or more columns; with several quantile `levels`, one column and an output for each level."""

    def __init__(self, n_outputs, out_activation, levels=None):
        self.n_outputs = n_outputs
        self.out_activation = out_activation
        self.levels = levels
        # The standardisation of y in training, if any; the fitted weights are in the units of y.
        self.mean = self.scale = None

    def standardize(self, mean, deviation):
        """Train on y standardised to zero mean and unit deviation."""
        self.mean = mean
        # A constant column has a deviation of 0, up to rounding.
        self.scale = np.where(deviation <= 1e-14 * np.abs(mean), 1.0, deviation)

    @property
    def standardizes(self):
        return self.scale is not None

    def attributes(self):
        return {"target_mean_": self.mean, "target_scale_": self.scale} if self.standardizes else {}

    def read(self, y, device):
        check_numeric(y)
        return y

    def check(self, y):
        n_columns = self.n_outputs if self.levels is None else 1
        if (y.shape[1] if y.ndim == 2 else 1) != n_columns:
            raise ValueError(_of_another_kind(y, f"{n_columns} column(s)"))

    def encode(self, y, dtype, device):
        target = y if y.ndim == 2 else y[:, np.newaxis]
        if self.standardizes:
            self._check_standardized(y, dtype, device)
            mean, scale = (device.to_device(unit) if on_gpu(y) else unit for unit in (self.mean, self.scale))
            target = (target - mean) / scale
        check_range(target, dtype, device, "y")
        target = target.astype(dtype)
        if self.levels is not None:
            ones = np.ones(self.n_outputs, dtype)
            target = target * (device.to_device(ones) if on_gpu(target) else ones)
        return target

    def _check_standardized(self, y, dtype, device):
        """Raise ValueError if the model, whose output is in the units of y, would not be finite in `dtype`."""
        if (np.abs(self.mean) <= np.finfo(dtype).max).all() and (self.scale <= np.finfo(dtype).max).all():
            return
        largest = max(device.to_host(y.max()), -device.to_host(y.min()))
        raise ValueError(
            f"Input y contains values too large to be standardised in {dtype!r}, the precision of the model; the "
            f"largest is {largest:.3g}. Divide y by a constant, or remove outliers from it."
        )

    def decode(self, output, device):
        """The prediction in the shape of y; quantiles in increasing order."""
        if self.levels is not None:
            output.sort(axis=1)
        return output.ravel() if self.n_outputs == 1 else output

    def to_units_of_y(self, theta):
        """Convert parameters of the standardised problem, in place, to the units of y."""
        theta.W[-1][...] *= self.scale
        theta.b[-1][...] = theta.b[-1] * self.scale + self.mean

    def to_standard_units(self, theta):
        """The inverse of `to_units_of_y`."""
        theta.W[-1][...] /= self.scale
        theta.b[-1][...] = (theta.b[-1] - self.mean) / self.scale

    def check_loss(self, loss_value, objective, loss, target, sample_weight):
        """Warn if the scale of y is the likely reason why the network has not learned from the rows of `target`.

        `loss_value` is the training loss, including the penalty.
        """
        if self.standardizes or self.out_activation == "logistic":  # y is between 0 and 1
            return
        mean, deviation = _mean_and_deviation(target, sample_weight)
        if self.out_activation == "exp":
            suits = (mean >= 0.1) & (mean <= 10)
            # The loss for counts is often close to that of their mean; only a larger one indicates a failure.
            enough = 1.0
            remedy = (
                "targets with a mean of about 1. Divide y by its standard deviation, as sklearn.compose."
                "TransformedTargetRegressor does with transformer=StandardScaler(with_mean=False)."
            )
        else:
            is_constant = deviation <= np.finfo(target.dtype).eps * np.abs(mean)
            suits = (np.maximum(np.abs(mean), deviation) <= 10) & ((deviation >= 0.1) | is_constant)
            enough = 0.9
            remedy = (
                "targets of about 0 and 1. Set standardize_target=True, or wrap the model in "
                "sklearn.compose.TransformedTargetRegressor."
            )
        if suits.all():
            return
        of_constant = objective.of_constant(loss.best_constant(target, sample_weight), target, sample_weight)
        if loss_value > enough * of_constant:
            warn(
                f"The training loss, {loss_value:.3g}, is not clearly better than the {of_constant:.3g} of a constant "
                f"prediction. The scale of y can be the reason: its mean is {_short(mean)} and its standard deviation "
                f"{_short(deviation)}, and the solvers' steps suit {remedy}",
                ConvergenceWarning,
            )

    def score(self, target, output, sample_weight):
        return self.score_decoded(target if self.levels is None else target[:, 0], output, sample_weight)

    def score_decoded(self, y, prediction, sample_weight):
        """R², or for several quantiles the mean of D² over the levels."""
        if self.levels is None:
            return r2_score(y, prediction, sample_weight=sample_weight)
        scores = [
            d2_pinball_score(y, prediction[:, j], alpha=level, sample_weight=sample_weight)
            for j, level in enumerate(self.levels)
        ]
        return float(np.mean(scores))


def regression_task(y, sample_weight, device, loss, *, levels, standardize):
    """The task for the y of a training set.

    Parameters
    ----------
    loss : Loss
    levels : sequence of float or None
        The levels of several quantiles.
    standardize : bool
        Whether the network is trained on (y - mean) / standard deviation.
    """
    check_numeric(y)
    n_columns = y.shape[1] if y.ndim == 2 else 1
    if levels is not None and n_columns > 1:
        raise ValueError(
            f"quantile={levels!r} has one output for each level, and needs a y of one column; it has {n_columns}. Pass "
            "a single level, or fit a model for each column."
        )
    task = Real(n_columns if levels is None else len(levels), loss.out_activation, levels)
    if standardize:
        task.standardize(*_mean_and_deviation(to_host(y, device).astype(np.float64).reshape(len(y), -1), sample_weight))
    return task


def _mean_and_deviation(values, sample_weight):
    with np.errstate(over="ignore", invalid="ignore"):  # `Real.encode` checks that they are finite
        mean = np.average(values, axis=0, weights=sample_weight)
        return mean, np.sqrt(np.average((values - mean) ** 2, axis=0, weights=sample_weight))


def _of_another_kind(y_val, kind):
    return f"y_val of shape {y_val.shape} is not of the kind of y, which has {kind}."


def _short(values):
    return ", ".join(f"{value:.3g}" for value in values[:3]) + (", ..." if len(values) > 3 else "")


KINDS = {kind.__name__: kind for kind in (Classes, Labels, Outputs, Real)}
