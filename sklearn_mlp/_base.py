"""What the classifier and the regressor share: the orchestration of fit and predict."""

import warnings
from abc import ABC, abstractmethod
from functools import cache
from operator import is_not

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_regressor
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sklearn_mlp._checkpoint import check_identity, identity, read_checkpoint
from sklearn_mlp._parameters import SharedParameters
from sklearn_mlp._scoring import ValidationSet
from sklearn_mlp._solvers import NON_FINITE, StochasticFit, fit_lbfgs, partial_fit_epoch, runs_over_max_iter
from sklearn_mlp._tasks import FitTasks
from sklearn_mlp._validation import (
    about,
    accepted_dtypes,
    as_column,
    check_activation,
    check_arrays,
    check_dropout,
    check_gpu_array,
    check_hidden_layer_sizes,
    check_normalization,
    float_dtype,
    on_gpu,
    pack_parameters,
    random_state_from,
    split_rows,
    to_host,
)
from sklearn_mlp._version import __version__
from sklearn_mlp.core.activations import OUT_ACTIVATIONS, initial_bounds
from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.losses import LOSSES, in_blocks
from sklearn_mlp.core.network import Network
from sklearn_mlp.core.parameters import Layers, draw, empty_parameters
from sklearn_mlp.core.training import Objective
from sklearn_mlp.devices import resolve_device


def solver_is_stochastic(estimator):
    """For `available_if`: partial_fit exists for the stochastic solvers."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
    return True


class BaseMLP(CallbackSupportMixin, SharedParameters, ABC):
    """Multi-layer perceptron; a subclass says what y is, which loss fits it and how a prediction is scored."""

    # -- what a subclass says ----------------------------------------------------------------------------------------

    @abstractmethod
    def _encode_target(self, y, dtype, incremental, device):
        """y as (target of the loss, key of LOSSES, number of outputs); a classifier learns or checks its classes.

        `incremental` is None for the y of a validation set.
        """

    @abstractmethod
    def _stratify_by(self, target):
        """(the class of each row as an int, or None; the names of the classes) for the split of early stopping."""

    def _learn_units(self, y, sample_weight, device):
        """Learn from y in which units the network is to be trained, if not in those of y."""

    def _trains_in_other_units(self):
        return False

    def _loss_unit(self):
        """What a loss of the network is multiplied by to be one of y."""
        return 1.0

    def _check_scale(self, objective, target, sample_weight):
        """Warn if the scale of y has kept the network from learning."""

    def _learn_classes(self, classes, y):
        """Take from partial_fit the classes that any call of it will see."""

    def _loss_parameters(self, n_outputs, dtype):
        """What the kernel of the loss takes besides: numbers, and arrays with one for each output."""
        return ()

    def _blocks(self):
        """The columns of the output that belong together, if not all do."""
        return []

    def _weigh_classes(self, y, sample_weight, dtype, incremental, device):
        """`sample_weight`, times the weight of each sample's class where there are such."""
        return sample_weight

    @abstractmethod
    def _score_prediction(self, target, prediction, sample_weight):
        """The score of early stopping: accuracy or R²."""

    # -- fit ---------------------------------------------------------------------------------------------------------

    def _fit(
        self,
        X,
        y,
        sample_weight,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        resume_from=None,
        incremental=False,
        classes=None,
    ):
        if incremental:
            self._check_partial_fit()
        device = resolve_device(self.device)
        own_validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        check_arrays(device, X=X, y=y, sample_weight=sample_weight, **own_validation)
        if X_val is None:
            if y_val is not None or sample_weight_val is not None:
                raise ValueError("y_val and sample_weight_val are for a validation set: pass its X_val, too.")
        elif y_val is None:
            raise ValueError("X_val is given without y_val: pass the targets of the validation set, too.")
        if resume_from is not None and self.solver == "lbfgs":
            raise ValueError(
                f"resume_from={resume_from!r} is for the stochastic solvers: SciPy's L-BFGS-B does not give its state. "
                "Use another solver, or resume_from=None."
            )
        tasks = FitTasks(None if incremental else self, X, y, sample_weight)
        # What trains is a copy: a fit that fails leaves the estimator as it was, and who uses it meanwhile has the old
        # model.
        trainee = self._as_it_is()
        # What is not finite is reported once, by an error or a warning that says what to do, not by NumPy in each step.
        with device.active(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                if incremental:
                    trainee._learn_classes(classes, y)
                trainee._fit_on(device, X, y, sample_weight, incremental, own_validation, tasks, resume_from)
                self.__dict__ = vars(trainee)
                tasks.end()
            finally:
                device.release()
        return self

    def _as_it_is(self):
        """This estimator, as which another thread will not change it; the attributes are shared, not copied."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def _check_partial_fit(self):
        # To validate 40 parameters takes longer than to train on a small batch: it is done when one of them changes.
        validated = getattr(self, "_training_state", {}).get("parameters")
        if validated is None or any(map(is_not, self._parameter_values(), validated)):
            self._validate_params()
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.ema_decay is not None:
            raise ValueError(
                f"ema_decay={self.ema_decay} is for fit: partial_fit goes on from coefs_, which would be the average, "
                "not the weights that are trained. Use ema_decay=None."
            )
        if self._trains_in_other_units():
            raise ValueError(
                "standardize_target=True is for fit: partial_fit does not see all of y, whose mean and standard "
                "deviation it would need. Scale y, and use standardize_target=False."
            )

    def _parameter_values(self):
        return [getattr(self, name) for name in self._parameter_constraints]

    def _fit_on(self, device, X, y, sample_weight, incremental, own_validation, tasks, resume_from):
        goes_on = hasattr(self, "coefs_") and (self.warm_start or incremental) and resume_from is None
        hidden_layer_sizes = check_hidden_layer_sizes(self.hidden_layer_sizes)
        activations = check_activation(self.activation, len(hidden_layer_sizes))
        check_normalization(self.normalization, hidden_layer_sizes, self.solver)
        with about("X", "y"):
            X, y = self._validate(device, X, y, goes_on)
        dtype = self._training_dtype(X, goes_on)
        with about("sample_weight"):
            sample_weight = self._validate_weight(device, sample_weight, X, dtype)
        data = {"X": X, "y": y, "sample_weight": sample_weight}
        self._learn_units(y, sample_weight, device)
        with about("y"):
            target, loss_name, n_outputs = self._encode_target(y, dtype, incremental, device)
        with about("class_weight"):
            sample_weight = self._weigh_classes(y, sample_weight, dtype, incremental, device)
        loss = LOSSES[loss_name]
        layer_sizes = [X.shape[1], *hidden_layer_sizes, n_outputs]

        state = self._partial_fit_state() if incremental and goes_on else {}
        checkpoint = None if resume_from is None else read_checkpoint(resume_from)
        if checkpoint is not None:
            random_state = random_state_from(checkpoint["random_state"])
            theta = empty_parameters(layer_sizes, dtype, self.normalization)
        else:
            goes_on_from = state.get("random_state")
            random_state = random_state_from(goes_on_from) if goes_on_from else check_random_state(self.random_state)
            theta = self._first_parameters(layer_sizes, activations, loss, random_state, dtype, goes_on)
        random_state_before = random_state.get_state(legacy=False) if tasks.root is not None else None
        rows = validation = None
        if own_validation["X_val"] is not None:
            validation = self._validation_set(device, *own_validation.values(), dtype, loss_name, n_outputs)
            data |= {"X_val": validation.X, "y_val": validation.y, "sample_weight_val": validation.sample_weight}
        elif self.early_stopping and self.solver != "lbfgs":
            rows, rows_val = self._split_rows(device, target, sample_weight, random_state)
            validation = ValidationSet(X, y, target, sample_weight, rows_val)
        if checkpoint is not None:
            ours = identity(self, device, **data)
            check_identity(resume_from, checkpoint["identity"], ours, needs_max_iter=runs_over_max_iter(self))
        self._begin_history(goes_on, incremental)
        self.device_ = device.name
        self.n_layers_ = len(layer_sizes)
        self.n_outputs_ = n_outputs
        self.out_activation_ = loss.out_activation
        self._set_parameters(theta)
        vars(self).pop("_training_state", None)

        objective = self._objective(device, theta, activations, loss, random_state, goes_on)

        def bring_home():
            self._set_parameters(self._at_home(device, objective.model.vector, theta))

        if self.solver == "lbfgs":
            tasks.describe(rows, lambda: self._fitted(device, objective.theta.vector, theta), None)
            fit_lbfgs(self, objective, (X, target, sample_weight), tasks)
            model = objective.theta.vector
        else:
            of_data = X, target, sample_weight
            fit = StochasticFit(self, objective, of_data, rows, validation, bring_home, random_state)
            if incremental:
                state = partial_fit_epoch(self, fit, state.get("training"))
                self._training_state = state | {"parameters": self._parameter_values()}
            else:
                if checkpoint is not None:
                    fit.go_on_from(checkpoint["fit"])
                ours = cache(lambda: identity(self, device, **data))

                def snapshot():
                    state = fit.snapshot()
                    return state and {"identity": ours(), "random_state": random_state_before, "fit": state}

                tasks.describe(rows, lambda: self._fitted(device, fit.model, theta), snapshot)
                fit.run(tasks)
            model = fit.model
        theta = self._at_home(device, model, theta)
        if not np.isfinite(theta.vector).all():
            raise ValueError(NON_FINITE)
        self._set_parameters(theta)
        if not incremental:
            self._check_scale(objective, target, sample_weight)

    def _first_parameters(self, layer_sizes, activations, loss, random_state, dtype, goes_on):
        """Those of the fitted network, if it is to go on, or drawn."""
        if not goes_on:
            # scikit-learn's rule for the output layer goes by `activation` even where there is no hidden layer.
            last = activations[-1] if activations else self.activation if isinstance(self.activation, str) else "relu"
            bounds = initial_bounds(layer_sizes, activations, last)
            return draw(layer_sizes, bounds, random_state, dtype, self.normalization)
        if loss.out_activation != self.out_activation_:
            raise ValueError(
                f"The fitted network has out_activation_={self.out_activation_!r}, but y (or loss) now asks for "
                f"{loss.out_activation!r}. warm_start=True and partial_fit go on with the fitted network: restore "
                "the kind of y, or train a new one with warm_start=False and fit."
            )
        return pack_parameters(self._layers(), layer_sizes, dtype, self.normalization)

    def _begin_history(self, goes_on, incremental):
        history = vars(self) if goes_on and hasattr(self, "loss_curve_") else {}
        for name in ("loss_curve_", "learning_rate_curve_"):
            curve = history.get(name, [])
            # partial_fit adds to the lists of the estimator that this is a copy of; to copy them would take long when
            # they are long.
            setattr(self, name, curve if incremental else list(curve))
        for name in ("validation_scores_", "validation_loss_curve_"):
            setattr(self, name, history.get(name))
        self.t_ = history.get("t_", 0)
        if not (history and incremental):
            # A refit under warm_start is judged by its own epochs, as its data may be others.
            self.best_loss_ = self.best_validation_score_ = None
        self.n_iter_ = 0

    def _objective(self, device, theta, activations, loss, random_state, goes_on):
        """What is minimised, over parameters that begin as `theta`."""
        stochastic = self.solver != "lbfgs"
        dropout = check_dropout(self.dropout, len(activations)) if stochastic else []
        seed = random_state.randint(2**31) if dropout else 0
        ema_decay = None if self.ema_decay is None or not stochastic else float(self.ema_decay)
        in_other_units = self._trains_in_other_units()
        # Where the weights are trained must not be what the estimator predicts with, if that is not the same.
        trained = theta.like(theta.vector.copy() if in_other_units or ema_decay is not None else theta.vector)
        if in_other_units and goes_on:
            trained.W[-1][...] /= self.target_scale_
            trained.b[-1][...] = (trained.b[-1] - self.target_mean_) / self.target_scale_
        return Objective(
            device,
            theta.like(device.own(trained.vector)),
            activations,
            loss,
            float(self.alpha),
            self._loss_parameters(self.n_outputs_, theta.vector.dtype),
            dropout,
            seed,
            ema_decay,
            self._blocks(),
        )

    def _set_parameters(self, theta):
        self.coefs_ = theta.W
        self.intercepts_ = theta.b
        self.scales_ = theta.gamma
        self.running_means_ = [mean for mean, _ in theta.statistics]
        self.running_variances_ = [variance for _, variance in theta.statistics]

    def _at_home(self, device, trained, theta):
        """What `trained`, on the device, stands for in the units of y; `theta`, if that is what is trained."""
        if trained is theta.vector:
            return theta
        home = theta.like(np.array(device.home(trained)))
        if self._trains_in_other_units():
            home.W[-1][...] *= self.target_scale_
            home.b[-1][...] = home.b[-1] * self.target_scale_ + self.target_mean_
        return home

    def _fitted(self, device, trained, theta):
        """The attributes of this estimator, were it fitted with `trained`; none of them changes any more."""
        fitted = self._as_it_is()
        fitted._set_parameters(theta.like(self._at_home(device, trained, theta).vector.copy()))
        return {name: list(value) if isinstance(value, list) else value for name, value in vars(fitted).items()}

    def _validate(self, device, X, y, goes_on):
        """X and y as arrays: each on the GPU if it was there, else in main memory."""
        if not on_gpu(X) and not on_gpu(y):
            X, y = validate_data(
                self,
                X,
                y,
                accept_sparse=["csr", "csc"],
                multi_output=True,
                y_numeric=is_regressor(self),
                dtype=accepted_dtypes(X),
                reset=not goes_on,
            )
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y.toarray() if issparse(y) else y, warn=True)
            return X, y
        X = self._validate_X(device, X, reset=not goes_on)
        y = self._validate_y(device, y)
        check_consistent_length(X, y)
        return X, y

    def _validate_y(self, device, y):
        if on_gpu(y):
            return as_column(check_gpu_array(y, device, "y", n_dims=(1, 2)))
        return as_column(check_array(y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y"))

    def _validate_X(self, device, X, reset):
        if not on_gpu(X):
            return validate_data(self, X, accept_sparse=["csr", "csc"], dtype=accepted_dtypes(X), reset=reset)
        X = check_gpu_array(X, device, "X", n_dims=(2,))
        return validate_data(self, X, skip_check_array=True, reset=reset)

    def _validation_set(self, device, X, y, sample_weight, dtype, *kind):
        """The user's own validation set, checked as the training data are."""
        with about("X_val"):
            X = self._validate_X(device, X, reset=False)
        with about("y_val"):
            y = self._validate_y(device, y)
        with about("X_val", "y_val"):
            check_consistent_length(X, y)
        with about("sample_weight_val"):
            sample_weight = self._validate_weight(device, sample_weight, X, dtype)
        with about("y_val"):
            target, *kind_val = self._encode_target(y, dtype, None, device)
        if kind_val != [*kind]:
            raise ValueError(f"y_val of shape {y.shape} is not of the kind of y: y asks for {kind}, it for {kind_val}.")
        sample_weight = self._weigh_classes(y, sample_weight, dtype, False, device)
        return ValidationSet(X, y, target, sample_weight, None)

    def _validate_weight(self, device, sample_weight, X, dtype):
        if sample_weight is None:
            return None
        # Of X it wants the number of rows; an X on the GPU would, with array_api_dispatch, take the weights there.
        rows_of_X = np.empty((X.shape[0], 0))
        return _check_sample_weight(to_host(sample_weight, device), rows_of_X, dtype=dtype, ensure_non_negative=True)

    def _split_rows(self, device, target, sample_weight, random_state):
        """The rows to train on and those to validate on, for early stopping."""
        codes, class_names = self._stratify_by(device.home(target))
        rows, rows_val = split_rows(len(target), codes, class_names, self.validation_fraction, random_state)
        if sample_weight is not None and not (sample_weight[rows].any() and sample_weight[rows_val].any()):
            raise ValueError(
                "sample_weight is zero for all rows of the training or of the validation set that "
                f"early_stopping=True makes with validation_fraction={self.validation_fraction}. Drop the rows of "
                "zero weight, or set early_stopping=False."
            )
        return rows, rows_val

    def _layers(self):
        """The fitted parameters as `core` takes them."""
        statistics = zip(getattr(self, "running_means_", ()), getattr(self, "running_variances_", ()), strict=True)
        return Layers(self.coefs_, self.intercepts_, getattr(self, "scales_", ()), [np.stack(s) for s in statistics])

    def _partial_fit_state(self):
        """What the last partial_fit left for this one; nothing if another solver is to go on."""
        state = getattr(self, "_training_state", {})
        if state.get("solver") != self.solver:
            return {}
        if state["seed"] != self.random_state:
            return {**state, "random_state": None}
        return state

    def _training_dtype(self, X, goes_on):
        if self.dtype is not None:
            return np.dtype(self.dtype)
        return float_dtype(self.coefs_[0] if goes_on else X)

    # -- predict -----------------------------------------------------------------------------------------------------

    def _predict(self, X, to_result):
        """What the method `to_result` makes, on the device, of the output of the network for X and the device.

        The output is of shape (n_samples, n_outputs), probabilities or expected values; it is where X is.
        """
        model = self._as_it_is()
        check_is_fitted(model)
        device = resolve_device(model.device)
        check_arrays(device, X=X)
        with device.active(), np.errstate(over="ignore", invalid="ignore"):
            with about("X"):
                X = model._validate_X(device, X, reset=False)
            output = model._output(device, X)
            # The sum is finite, unless it overflows, where all of them are.
            if not (device.home(np.isfinite(output.sum())) or device.home(np.isfinite(output).all())):
                raise ValueError(
                    "The prediction for X is not finite: X has values that are too large for the network, which is of "
                    f"{output.dtype}. Scale X as it was for fit, and look for outliers in it."
                )
            return to_result(model, output if on_gpu(X) else device.home(output), device)

    def _output(self, device, X):
        dtype = float_dtype(self.coefs_[0])
        layers = Layers(*([device.place(np.asarray(array, dtype)) for array in arrays] for arrays in self._layers()))
        network = Network(device, layers, check_activation(self.activation, len(layers.W) - 1), dtype)
        batch_size = device.chunk_rows(X, network.n_units)
        batches = Batches(device, X, None, None, dtype=dtype, batch_size=batch_size)
        activate = getattr(device, OUT_ACTIVATIONS[self.out_activation_])
        return network.predict(batches, in_blocks(activate, self._blocks()))

    def _to_score(self, X, y, sample_weight):
        """y, the prediction for X, and sample_weight, all in main memory, for a metric of scikit-learn."""
        device = resolve_device(self.device)
        check_arrays(device, y=y, sample_weight=sample_weight)
        with device.active():
            return [to_host(array, device) for array in (y, self.predict(X), sample_weight)]

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

    # -- persistence and tags ----------------------------------------------------------------------------------------

    def __getstate__(self):
        return {**super().__getstate__(), "_sklearn_mlp_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop("_sklearn_mlp_version", "unknown")
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
        return tags
