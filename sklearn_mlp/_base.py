"""The base class of the classifier and the regressor: fit, prediction, persistence and tags."""

import warnings
from abc import ABC, abstractmethod
from functools import wraps
from itertools import chain
from operator import is_not
from typing import ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp._blocks import predict_blocks, targets_of_blocks
from sklearn_mlp._checks import (
    about,
    as_column,
    check_arguments,
    float_dtype,
    is_blocks,
    on_gpu,
    read_array,
    shallow_copy,
    to_host,
    validate_weight,
    validate_X,
    validate_y,
)
from sklearn_mlp._fit import Fit, Inputs, keep_what_is_trained, read_training_set
from sklearn_mlp._model import Model, fitted_views
from sklearn_mlp._parameters import SharedParameters
from sklearn_mlp._tasks import FitTasks, callback_context
from sklearn_mlp._version import __version__
from sklearn_mlp.devices import resolve_device

# Fitted attributes that some fits do not set.
NOT_ALWAYS_THERE = {"feature_names_in_", "target_mean_", "target_scale_", "_training_state"}


def solver_is_stochastic(estimator):
    """Condition for `available_if`: partial_fit requires a stochastic solver."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
    return True


def interruptible(fit):
    """Decorate a `fit`: an interrupt after the fitted attributes are set is only a warning."""

    def model(estimator):
        return vars(estimator).get("_model", vars(estimator).get("estimators_"))

    @wraps(fit)
    def until_interrupted(self, *args, **kwargs):
        before = model(self)
        try:
            return fit(self, *args, **kwargs)
        except KeyboardInterrupt:
            if model(self) is before:
                raise
            keep_what_is_trained()
            return self

    return until_interrupted


def score(estimator, task_of, X, y, sample_weight):
    """The score of a fitted estimator by scikit-learn's metrics, in main memory; `task_of` returns its task."""
    device = resolve_device(estimator.device)
    snapshot = shallow_copy(estimator)  # another thread may fit in between
    if is_blocks(X):
        if not (y is None and sample_weight is None):
            raise ValueError("X is a sequence of blocks, which have y and sample_weight; score takes no others.")
        y, sample_weight = targets_of_blocks(snapshot, X)
    with device.active():
        prediction = to_host(snapshot.predict(X), device)
        return score_prediction(snapshot, task_of(snapshot), prediction, y, sample_weight, device)


def score_prediction(estimator, task, prediction, y, sample_weight, device):
    """Like `score`, for a given prediction."""
    y = read_array(estimator, "y", y, device)
    sample_weight = read_array(estimator, "sample_weight", sample_weight, device)
    with about("y"):
        y = as_column(to_host(validate_y(estimator, y, device), device), warns=False)
        check_consistent_length(y, prediction)
        y = task.read(y, device)
    with about("sample_weight"):
        weight = validate_weight(sample_weight, prediction.shape[0], np.float64, device)
    return task.score_decoded(y, prediction, weight)


class CaptionedDiagram:
    """scikit-learn's diagram of an estimator for notebooks, with a caption about the fitted networks."""

    def _sk_visual_block_(self):
        # The module is private: where it is another one, scikit-learn draws the diagram without a caption.
        from sklearn.utils._repr_html.estimator import _VisualBlock

        name, networks = type(self).__name__, self._fitted_networks()
        caption = self._caption(networks) if networks else None
        return _VisualBlock("single", self, names=name, name_details=str(self), name_caption=caption)

    def _caption(self, networks):
        first = networks[0]
        layers = " → ".join(str(size) for size in [*map(len, first.coefs_), first.n_outputs_])
        arrays = [[*each.coefs_, *each.intercepts_, *getattr(each, "scales_", ())] for each in networks]
        n_epochs = max(len(each.loss_curve_) for each in networks)
        epoch = "epoch" if first.learning_rate_curve_ else "iteration"
        facts = {
            "loss": getattr(self, "loss_", None),
            "best validation score": getattr(self, "best_validation_score_", None),
            "out-of-fold score": getattr(self, "oof_score_", None),
        }
        return " · ".join(
            [
                layers if first is self else f"{len(networks)} × ({layers})",
                f"{sum(array.size for array in chain.from_iterable(arrays)):,} parameters",
                f"{n_epochs:,} {epoch}{'s' * (n_epochs != 1)}",
                *(f"{name} {value:.4g}" for name, value in facts.items() if value is not None),
            ]
        )


class Here:
    """The default place of training: this process."""

    attributes: ClassVar[dict] = {}

    def device(self, estimator):
        return resolve_device(estimator.device)

    def snapshot(self, estimator):
        return shallow_copy(estimator)

    def read_arrays(self, estimator, inputs, device):
        return Inputs(*(read_array(estimator, name, array, device) for name, array in inputs._asdict().items()))

    def read_training_set(self, *args):
        return read_training_set(*args)


class BaseMLP(
    CaptionedDiagram, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, SharedParameters, ABC
):
    """Multi-layer perceptron; a subclass finds the task and the loss for y."""

    @abstractmethod
    def _learn_task(self, y, sample_weight, known_classes, device, incremental):
        """The `Problem` that the y of a training set poses."""

    # -- fit ---------------------------------------------------------------------------------------------------------

    def _fit(self, inputs, *, known_classes=None, incremental=False, resume_from=None, where=None):
        where = where or Here()
        if incremental:
            self._validate_changed_params()
            if is_blocks(inputs.X):
                raise ValueError(
                    "X is a sequence of blocks, which are for fit. Call partial_fit for each: for X, y in blocks: "
                    "partial_fit(X, y)."
                )
        check_arguments(inputs, self.solver, resume_from)
        device = where.device(self)
        arrays = where.read_arrays(self, inputs, device)
        context = None if incremental else callback_context(self, self.max_iter)
        tasks = FitTasks(self, context, inputs.X, inputs.y, inputs.sample_weight)
        before, fit = dict(vars(self)), None
        # Non-finite values are reported once, by an error or a warning with a remedy, instead of by NumPy in each step.
        with device.active(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                snapshot = where.snapshot(self)
                training_set = where.read_training_set(
                    snapshot, device, arrays, known_classes, incremental, resume_from
                )
                fit = Fit(snapshot, device, training_set, tasks, incremental=incremental, resume_from=resume_from)
                fit.read_validation_set(arrays)
                self._publish(fit.run() | where.attributes, vars(fit.mlp), before)
                tasks.end()
            except BaseException:
                if fit is not None and fit.history is not None and vars(self).get("_model") is not fit.model:
                    fit.history.undo()
                raise
            finally:
                if not incremental:  # the next call would allocate it again
                    device.release()
        return self

    def _publish(self, fitted, snapshot, before):
        """Set the fitted attributes, and those that a scorer has set on its snapshot.

        No other method sets fitted attributes. Attributes that other threads set during the fit are kept.
        """
        set_by_scorers = {name: value for name, value in snapshot.items() if before.get(name, snapshot) is not value}
        gone = NOT_ALWAYS_THERE - fitted.keys()
        # A single update, which an interrupt cannot split.
        vars(self).update(set_by_scorers | dict.fromkeys(gone) | fitted)
        for name in gone:
            vars(self).pop(name, None)

    def _validate_changed_params(self):
        # Validating 40 parameters takes longer than training on a small batch: it is done only if one has changed.
        validated = (getattr(self, "_training_state", None) or {}).get("parameters")
        values = self._parameter_values()
        if validated is None or len(validated) != len(values) or any(map(is_not, values, validated)):
            self._validate_params()

    def _parameter_values(self):
        return [getattr(self, name) for name in self._parameter_constraints]

    # -- predict -----------------------------------------------------------------------------------------------------

    def transform(self, X):
        """Compute the output of the last hidden layer.

        As in prediction, there is no dropout, and ``normalization="batch"`` uses the running statistics. In a pipeline,
        a network that is not the last step is fitted to y, and transforms X for the next step.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        A : ndarray of shape (n_samples, n_units)
            The output of the units of the last hidden layer, in the precision of the model.

        Raises
        ------
        ValueError
            If the network has no hidden layer.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.model_selection import train_test_split
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from sklearn_mlp import MLPClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        >>> network = MLPClassifier((30,), early_stopping=True, random_state=0)
        >>> model = make_pipeline(StandardScaler(), network, KNeighborsClassifier())
        >>> model.fit(X_train, y_train).score(X_test, y_test)
        0.9...
        >>> model[:-1].transform(X_test).shape
        (450, 30)
        """
        return self._predict(X, lambda task, output, device: output, hidden=True)

    @property
    def _n_features_out(self):
        return len(self.coefs_[-1]) if len(self.coefs_) > 1 else 0

    def _predict(self, X, decode, *, hidden=False, out=None):
        """The prediction ``decode(task, output, device)`` for X.

        `output`, of shape (n_samples, n_outputs), has probabilities or expected values or, with `hidden`, the output of
        the last hidden layer. It is in GPU memory if X is.
        """
        snapshot = shallow_copy(self)
        if out is not None or is_blocks(X):
            return predict_blocks(lambda part: snapshot._predict(part, decode, hidden=hidden), X, out)
        model = vars(snapshot).get("_model")
        if model is None:
            check_is_fitted(snapshot, "_model")  # raises; takes a tenth of the time of a prediction for one row
        device = resolve_device(snapshot.device)
        X = read_array(snapshot, "X", X, device)
        with device.active(), np.errstate(over="ignore", invalid="ignore"):
            with about("X"):
                X = validate_X(snapshot, X, device, reset=False, dtype=float_dtype(snapshot.coefs_[0]))
            output = model.output(device, fitted_views(snapshot), X, hidden)
            # The sum of finite values can overflow.
            if not (device.to_host(np.isfinite(output.sum())) or device.to_host(np.isfinite(output).all())):
                raise ValueError(
                    "The prediction for X is not finite: X has values that are too large for the network, whose "
                    f"precision is {output.dtype}. Scale X as for fit, and check it for outliers."
                )
            return decode(model.task, output if on_gpu(X) else device.to_host(output), device)

    def _score(self, X, y, sample_weight):
        return score(self, lambda snapshot: snapshot._model.task, X, y, sample_weight)

    @property
    def history_(self):
        n_epochs = len(self.loss_curve_)
        curves = {
            "loss": self.loss_curve_,
            "learning_rate": self.learning_rate_curve_,
            "validation_loss": self.validation_loss_curve_,
            "validation_score": self.validation_scores_,
        }
        return {"epoch": [*range(1, n_epochs + 1)]} | {
            name: [np.nan] * (n_epochs - len(curve)) + curve for name, curve in curves.items() if curve
        }

    def _fitted_networks(self):
        return [self] if "_model" in vars(self) else []

    # -- persistence and tags ----------------------------------------------------------------------------------------

    def __getstate__(self):
        state = {**super().__getstate__(), "_sklearn_mlp_version": __version__}
        if "_model" in state:
            state["_model"] = state["_model"].state()
            # `partial_fit` appends to the lists; a copy has its own.
            state |= {name: list(value) for name, value in state.items() if isinstance(value, list)}
        return state

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop("_sklearn_mlp_version", "unknown")
        if "_model" in state:
            state["_model"] = Model.from_state(state["_model"])
        if version != __version__:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=f"sklearn_mlp.{type(self).__name__}",
                    current_sklearn_version=__version__,
                    original_sklearn_version=version,
                ),
                stacklevel=2,
            )
        super().__setstate__(state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
