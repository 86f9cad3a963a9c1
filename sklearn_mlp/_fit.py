"""One fit, from the user's data to the attributes of a fitted estimator."""

from dataclasses import replace
from math import inf, isfinite
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_consistent_length, check_random_state

from sklearn_mlp._blocks import BlockReader, BlocksTrainingSet, read_validation_blocks
from sklearn_mlp._caller import is_nested, warn
from sklearn_mlp._checkpoint import check_identity, check_snapshot, identity, read_checkpoint
from sklearn_mlp._checks import (
    about,
    as_column,
    check_range,
    is_blocks,
    leave_random_state,
    random_state_from,
    take_random_state,
    validate_weight,
    validate_X,
    validate_X_y,
    validate_y,
)
from sklearn_mlp._history import History
from sklearn_mlp._model import Model, fitted_views, parameter_attributes
from sklearn_mlp._plan import (
    check_batch_size,
    continues_fit,
    make_plan,
    schedule_needs_max_iter,
    training_dtype,
)
from sklearn_mlp._scales import check_same_scale, check_scale
from sklearn_mlp._training_set import TrainingSet
from sklearn_mlp._validation_set import ValidationSet, make_validation
from sklearn_mlp.core.batches import Data
from sklearn_mlp.core.lbfgs import minimize_lbfgs
from sklearn_mlp.core.parameters import draw, empty_parameters
from sklearn_mlp.devices import kernels_for
from sklearn_mlp.devices.encoded import EncodedTable

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
    " Scale X and y, or decrease learning_rate_init."
)
# Attributes that scikit-learn's validation of X sets.
OF_X = "n_features_in_", "feature_names_in_"
STOPPED_BY_CALLBACK = 99  # a status of scipy.optimize


class Inputs(NamedTuple):
    """The data arguments of `fit`, as the user gave them."""

    X: Any
    y: Any
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None


def read_training_set(mlp, device, inputs, known_classes, incremental, resume_from):
    """The training set of an estimator's `fit` or `partial_fit`."""
    continues = continues_fit(mlp, incremental, resume_from)
    if is_blocks(inputs.X):
        reader = BlockReader(mlp, inputs.X)
        survey = reader.survey(reset=not continues)
        dtype = training_dtype(mlp, mlp.coefs_[0] if continues else survey)
        check_scale(survey.sample.X, device, getattr(mlp, "feature_names_in_", None))
        return BlocksTrainingSet(mlp, device, reader, survey, dtype, known_classes=known_classes)
    with about("X", "y"):
        X, y = validate_X_y(mlp, inputs.X, inputs.y, device, reset=not continues)
    dtype = training_dtype(mlp, mlp.coefs_[0] if continues else X)
    check_range(X, dtype, device, "X")
    if not incremental:
        check_scale(X, device, getattr(mlp, "feature_names_in_", None))
    with about("sample_weight"):
        weight = validate_weight(inputs.sample_weight, X.shape[0], dtype, device)
    return TrainingSet(mlp, device, X, y, weight, dtype, known_classes=known_classes, incremental=incremental)


class Fit:
    """A `fit` or a `partial_fit` of a network.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
        A shallow copy of the estimator, which other threads do not change; scorers receive it with the current
        parameters.
    device : Device
    training_set : TrainingSet
    tasks : FitTasks
    incremental : bool
        Whether this is a `partial_fit`.
    resume_from : str, path-like or None
        The path of a checkpoint.
    """

    def __init__(self, mlp, device, training_set, tasks, *, incremental=False, resume_from=None):
        self.mlp = mlp
        self.device = device
        self.training_set = training_set
        self.task = training_set.task
        self.loss = training_set.loss
        self.tasks = tasks
        self.incremental = incremental
        self.resume_from = resume_from
        self.continues = continues_fit(mlp, incremental, resume_from)
        # `partial_fit` is often called many times; NumPy's kernels would convert an encoded table to a dense matrix.
        may_be_small = not (incremental or isinstance(training_set.X, EncodedTable))
        with_kernels = device if may_be_small else kernels_for(device, inf)
        self.plan = make_plan(mlp, with_kernels, training_set.dtype, self.task, self.loss, incremental)
        if may_be_small:
            n_numbers = self.plan.n_numbers(training_set.n_rows, training_set.X.shape[1])
            self.plan = replace(self.plan, device=kernels_for(device, n_numbers))
        self._find_start(None if resume_from is None else read_checkpoint(resume_from))
        self.rows = self.validation_set = None
        self.model = Model(self.plan.blocks, self.task)
        self.history = None

    # -- validation ----------------------------------------------------------------------------------------------------

    def read_validation_set(self, inputs):
        """Validate on the user's own validation set or, for `early_stopping`, on rows of the training set."""
        mlp, device, training_set = self.mlp, self.device, self.training_set
        if inputs.X_val is None:
            if self.plan.early_stopping:
                self.rows, self.validation_set = training_set.split(self.plan, self.random_state)
            return
        names = getattr(mlp, "feature_names_in_", None)
        if is_blocks(inputs.X_val):
            self.validation_set = read_validation_blocks(mlp, training_set, inputs.X_val)
            check_same_scale(training_set.X, self.validation_set.blocks.X, device, names)
            return
        with about("X_val"):
            X = validate_X(mlp, inputs.X_val, device, reset=False, dtype=training_set.dtype)
        with about("y_val"):
            y = as_column(validate_y(mlp, inputs.y_val, device))
        with about("X_val", "y_val"):
            check_consistent_length(X, y)
        check_same_scale(training_set.X, X, device, names)
        with about("sample_weight_val"):
            weight = validate_weight(inputs.sample_weight_val, X.shape[0], training_set.dtype, device)
        self.validation_set = ValidationSet(X, y, *training_set.encode_validation(y, weight))

    def hold_out(self, rows, rows_val):
        """Train on some rows of the training set, and validate on others."""
        self.rows = rows
        self.validation_set = self.training_set.validation_rows(rows_val)

    def _validation_data(self, data):
        """The validation set for the network, which trains on `data`."""
        X, _, target, sample_weight, rows, blocks = self.validation_set
        if blocks is not None:
            return blocks
        if rows is not None:
            return data._replace(rows=rows)
        return Data(self.device.prepare_rows(X, self.plan.dtype, gather=False), target, sample_weight)

    # -- initial state -------------------------------------------------------------------------------------------------

    def _find_start(self, checkpoint):
        """Set the random state, the initial parameters, and the state of the solver after the last `partial_fit`."""
        mlp, plan = self.mlp, self.plan
        self.checkpoint = checkpoint
        slots, dtype = plan.slots(self.training_set.X.shape[1]), self.training_set.dtype
        self.solver_state = None
        self.random_state = None
        if checkpoint is not None:
            self.random_state = random_state_from(checkpoint["random_state"])
        elif self.incremental and self.continues:
            state = getattr(mlp, "_training_state", None) or {}
            if state.get("solver") == plan.solver:
                self.solver_state = state["training"]
                if state["random_state"] is not None and state["seed"] == plan.random_state:
                    self.random_state = take_random_state(state["random_state"])
        self.random_state = self.random_state or check_random_state(plan.random_state)
        if checkpoint is not None:
            self.theta = empty_parameters(slots, dtype)
        elif self.continues:
            if self.loss.out_activation != mlp.out_activation_:
                raise ValueError(
                    f"The fitted network has out_activation_={mlp.out_activation_!r}, but y (or loss) now asks for "
                    f"{self.loss.out_activation!r}. warm_start=True and partial_fit continue with the fitted network: "
                    "restore the kind of y, or train a new one with warm_start=False and fit."
                )
            self.theta = _pack_parameters(fitted_views(mlp), slots, dtype)
            if self.task.standardizes:
                self.task.to_standard_units(self.theta)
        else:
            self.theta = draw(slots, self.random_state, dtype)
        self.random_state_before = None
        if self.tasks.root is not None:
            self.random_state_before = self.random_state.get_state(legacy=False)

    # -- training ------------------------------------------------------------------------------------------------------

    def run(self):
        """Train.

        Returns
        -------
        fitted : dict
            The attributes of the fitted estimator.
        """
        of = self.training_set
        self._identify()
        past = vars(self.mlp) if self.continues else {}
        self.history = History(self.plan, of.loss_unit, self.validation_set is not None, past, self.incremental)
        gathers = self.plan.solver != "lbfgs" and (self.plan.shuffle or self.rows is not None)
        data = of.data(self.rows, gathers)
        if self.plan.solver == "lbfgs":
            return self._run_lbfgs(data)
        check_batch_size(self.mlp, data.n_rows)
        validate = None
        if self.validation_set is not None:
            validate = make_validation(
                self.plan,
                self.task,
                self.validation_set,
                self._validation_data(data),
                self.history,
                self.mlp,
                self._load_parameters,
            )
        best = self.history.best_loss_
        training = of.start(
            self.plan,
            data,
            self.theta,
            self.random_state,
            validate=validate,
            best=-inf if best is None else -best,
            t=self.history.t_,
        )
        return self._run_partial_fit(training) if self.incremental else self._run_stochastic(training)

    def _identify(self):
        """Compute the fingerprint, before training, which can change variables of functions among the parameters."""
        if self.checkpoint is None and not self.tasks.writes_checkpoints:
            return
        data = self.training_set.for_identity()
        if self.validation_set is not None and self.rows is None:
            X, y, _, sample_weight, _, blocks = self.validation_set
            data |= {"X_val": X if blocks is None else blocks.X, "y_val": y, "sample_weight_val": sample_weight}
        self.identity = identity(self.mlp, self.device, self.training_set.parameters, **data)
        if self.checkpoint is not None:
            needs_max_iter = schedule_needs_max_iter(self.mlp)
            check_identity(self.resume_from, self.checkpoint["identity"], self.identity, needs_max_iter=needs_max_iter)

    def _run_stochastic(self, training):
        plan, history, tasks = self.plan, self.history, self.tasks
        if self.checkpoint is not None:
            check_snapshot(self.resume_from, self.checkpoint["fit"], training, history)
            training.resume(self.checkpoint["fit"])
            history.load(self.checkpoint["fit"]["record"])
            training.t = history.t_

        def snapshot():
            if not training.is_between_epochs:
                return None
            state = training.snapshot() | {"record": history.state()}
            return {"identity": self.identity, "random_state": self.random_state_before, "fit": state}

        tasks.describe(self.rows, lambda: self._fitted_now(training.model), snapshot)
        asked_to_stop = False
        try:
            asked_to_stop = training.run(history.add_epoch, tasks.epoch_begins, tasks.epoch_ends, history.n_iter_)
        except KeyboardInterrupt:
            asked_to_stop = True
            keep_what_is_trained()
        if history.n_iter_ and not isfinite(history.loss_):
            if training.best_theta is None:
                raise ValueError(NON_FINITE)
            warn(
                f"The training loss was {history.loss_} in epoch {history.n_iter_}: training has diverged. It stops "
                "there, and the weights are those of the best validation score. Scale X and y, or decrease "
                f"learning_rate_init={plan.learning_rate_init}.",
                ConvergenceWarning,
            )
        is_over = training.is_over or training.schedule.has_end
        if not (is_over or asked_to_stop or history.has_flattened()):
            warn(
                f"Stochastic Optimizer: Maximum iterations ({plan.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
            )
        return self._finished(training.model, training.objective, is_over)

    def _run_partial_fit(self, training):
        if self.solver_state is not None:
            training.load(self.solver_state)
        try:
            epoch = training.epoch()
        except KeyboardInterrupt:
            keep_what_is_trained()
        else:
            if not (isfinite(epoch.loss) and np.isfinite(self.device.to_host(training.model)).all()):
                raise ValueError(NON_FINITE)
            self.history.add_epoch(epoch)
        seed = self.plan.random_state if isinstance(self.plan.random_state, Integral) else None
        return self._fitted(self._to_host(training.model)) | {
            "_training_state": {
                "solver": self.plan.solver,
                "training": training.state(),
                "seed": seed,
                "random_state": None if seed is None else leave_random_state(self.random_state),
                "parameters": self.mlp._parameter_values(),
            }
        }

    def _run_lbfgs(self, data):
        history, tasks = self.history, self.tasks
        objective = self.plan.objective(self.theta)
        tasks.describe(self.rows, lambda: self._fitted_now(objective.theta.vector), None)

        def iteration_ends(loss):
            history.add_iteration(loss)
            if tasks.epoch_ends():
                raise StopIteration
            if history.n_iter_ < self.plan.max_iter:
                tasks.epoch_begins()

        tasks.epoch_begins()
        is_over = False
        try:
            mean_loss = self.training_set.mean_loss(self.plan, data, objective)
            result = minimize_lbfgs(self.plan, mean_loss, data.total_weight, objective, iteration_ends)
        except KeyboardInterrupt:
            keep_what_is_trained()
        else:
            history.loss_ = self.training_set.loss_unit * float(result.fun)
            if not isfinite(history.loss_):
                raise ValueError(NON_FINITE)
            is_over = result.status == 0
            if result.status not in (0, STOPPED_BY_CALLBACK):
                self._warn_about_lbfgs(result)
        return self._finished(objective.theta.vector, objective, is_over)

    def _warn_about_lbfgs(self, result):
        n_iter, max_iter = self.history.n_iter_, self.plan.max_iter
        advice = f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
        warn(
            f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n{result.message}\n"
            + (advice if n_iter == max_iter else "")
            + "\nYou might also want to scale the data as shown in:\n"
            "    https://scikit-learn.org/stable/modules/preprocessing.html",
            ConvergenceWarning,
        )

    # -- results -------------------------------------------------------------------------------------------------------

    def _finished(self, vector, objective, is_over):
        """The fitted attributes; `is_over` is whether training ended before `max_iter`."""
        theta = self._to_host(vector)
        if not np.isfinite(theta.vector).all():
            raise ValueError(NON_FINITE)
        # For a classifier that has not converged, there already is a warning.
        if self.history.loss_ is not None and (is_over or is_regressor(self.mlp)):
            target, weight = self.training_set.trained_on(self.rows)
            loss_value = self.history.loss_
            if not is_regressor(self.mlp):  # the limits of a regressor include the penalty
                loss_value -= self._penalty(theta, 1.0 if weight is None else weight.mean())
            self.task.check_loss(loss_value, objective, self.loss, target, weight)
        return self._fitted(theta)

    def _penalty(self, theta, mean_weight):
        """The contribution of `alpha` to `loss_`, at the final parameters: on average over the epoch it was larger."""
        plan, n_rows = self.plan, self.training_set.n_rows
        if plan.solver != "lbfgs":
            n_rows = min(n_rows, plan.batch_size)
        squares = float(theta.weights @ theta.weights)
        return self.training_set.loss_unit * 0.5 * plan.alpha * squares / (n_rows * float(mean_weight))

    def _to_host(self, vector, copy=False):
        """The parameters in `vector`, copied from the device to the host, for predictions in the units of y."""
        vector = self.device.to_host(vector)
        theta = self.theta.like(vector.copy() if copy or self.task.standardizes else vector)
        if self.task.standardizes:
            self.task.to_units_of_y(theta)
        return theta

    def _fitted(self, theta):
        """The attributes of the estimator with the parameters `theta`."""
        of_X = {name: vars(self.mlp)[name] for name in OF_X if name in vars(self.mlp)}
        return (
            of_X
            | self.task.attributes()
            | parameter_attributes(theta)
            | self.history.state()
            | {
                "device_": self.device.name,
                "n_layers_": len(self.plan.blocks) + 1,
                "n_outputs_": self.task.n_outputs,
                "out_activation_": self.loss.out_activation,
                "_model": self.model,
            }
        )

    def _fitted_now(self, vector):
        """Like `_fitted`, for callbacks: a copy that further training does not change."""
        fitted = self._fitted(self._to_host(vector, copy=True))
        return {name: list(value) if isinstance(value, list) else value for name, value in fitted.items()}

    def _load_parameters(self, objective):
        """Set the current parameters on `mlp`, which scorers receive."""
        vars(self.mlp).update(self._fitted(self._to_host(objective.model.vector)) | self.task.scorer_attributes())


def keep_what_is_trained(what=""):
    """Turn an interrupt of the user's fit into a warning; re-raise it within a search or another fit."""
    if is_nested():
        raise
    warn(f"Training interrupted by user.{what}")


def _pack_parameters(views, slots, dtype):
    """One flat vector with the values of the fitted attributes: of a fit, of a file, or set by the user."""
    fitted = [[np.shape(array) for array in of_layer] for of_layer in views]
    wanted = [[slot.shape for slot in of_layer] for of_layer in slots]
    advice = "or train a new one with warm_start=False and fit."
    if [shapes[:2] for shapes in fitted] != [shapes[:2] for shapes in wanted]:
        raise ValueError(
            f"The fitted network has layers of sizes {_layer_sizes(fitted)} (features, hidden layers, outputs), but X, "
            f"hidden_layer_sizes and y now ask for {_layer_sizes(wanted)}. warm_start=True and partial_fit continue "
            f"with the fitted network: restore hidden_layer_sizes and the columns of y, {advice}"
        )
    if fitted != wanted:
        of_fitted, of_wanted = ((None, "layer", "batch")[len(shapes[0]) - 2] for shapes in (fitted, wanted))
        raise ValueError(
            f"The fitted network has normalization={of_fitted!r}, but the parameter is now {of_wanted!r}. "
            f"warm_start=True and partial_fit continue with the fitted network: restore normalization, {advice}"
        )
    theta = empty_parameters(slots, dtype)
    for of_layer, arrays in zip(theta.views, views, strict=True):
        for view, array in zip(of_layer, arrays, strict=True):
            view[...] = array
    return theta


def _layer_sizes(shapes):
    return [W[0] for W, *_ in shapes if W] + [shapes[-1][1][-1]]
