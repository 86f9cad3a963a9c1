"""The solvers at work on an estimator: its parameters in, its fitted attributes out, the core in between.

`mlp` is the estimator throughout. Its `coefs_` and `intercepts_` are views of the vector that is trained, so it can
predict whenever training stops.
"""

from math import ceil, inf, isfinite
from numbers import Integral
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_mlp._scoring import make_validation
from sklearn_mlp._validation import check_batch_size, warn
from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.lbfgs import minimize_lbfgs
from sklearn_mlp.core.optimizers import SGD, Adam, Muon
from sklearn_mlp.core.schedules import (
    Adaptive,
    ByProgress,
    Constant,
    InverseScaling,
    cosine,
    linear,
    one_cycle,
    warmed_up,
)
from sklearn_mlp.core.training import Patience, Training

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
    " Scale X and y, or decrease learning_rate_init."
)


STOPPED_BY_CALLBACK = 99  # a status of scipy.optimize

# What of a training's record is in the fitted attributes.
RECORD = (
    "loss_",
    "loss_curve_",
    "learning_rate_curve_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_loss_",
    "best_validation_score_",
    "n_iter_",
    "t_",
)


class StochasticFit:
    """The training of an estimator by a stochastic solver.

    Parameters
    ----------
    data : tuple of (X, target, sample_weight)
    rows : array of int or None
        The rows to train on; None for all.
    validation : ValidationSet or None
    bring_home : callable
        Makes the estimator predict with the weights of now.
    random_state : RandomState
    """

    def __init__(self, mlp, objective, data, rows, validation, bring_home, random_state):
        X, target, sample_weight = data
        device, theta = objective.device, objective.theta.vector
        X = device.hold(X, theta.dtype, gather=mlp.shuffle or rows is not None)
        validate = best_theta = None
        mlp.validation_scores_ = list(mlp.validation_scores_ or []) if validation else None
        mlp.validation_loss_curve_ = list(mlp.validation_loss_curve_ or []) if validation else None
        if validation:
            held = X if validation.rows is not None else device.hold(validation.X, theta.dtype, gather=False)
            validate = make_validation(mlp, objective, validation, held, bring_home)
            if mlp.early_stopping and mlp.restore_best:
                best_theta = theta.copy()
        if rows is None and mlp.shuffle:
            rows = np.arange(X.shape[0])
        self.n_rows = n_rows = X.shape[0] if rows is None else len(rows)
        batch_size = check_batch_size(mlp.batch_size, n_rows)
        if batch_size == 1 and mlp.normalization == "batch":
            raise ValueError(
                "normalization='batch' takes mean and variance from the rows of a mini-batch, and with "
                f"batch_size={mlp.batch_size!r} and {n_rows} rows there is one row in each. Use larger batches, or "
                "normalization='layer'."
            )
        self.mlp = mlp
        self.random_state = random_state
        self.objective = objective
        self.is_over = self.is_between_epochs = False
        self.training = Training(
            objective,
            _make_optimizer(mlp, device, objective.theta),
            _make_schedule(mlp, mlp.max_iter * ceil(n_rows / batch_size)),
            Batches(device, X, target, sample_weight, dtype=theta.dtype, batch_size=batch_size, rows=rows),
            Patience(mlp.tol, mlp.n_iter_no_change, -inf if mlp.best_loss_ is None else -mlp.best_loss_),
            max_grad_norm=None if mlp.max_grad_norm is None else float(mlp.max_grad_norm),
            t=mlp.t_,
            random_state=random_state if mlp.shuffle else None,
            validate=validate,
            early_stopping=mlp.early_stopping,
            best_theta=best_theta,
        )

    @property
    def model(self):
        """The parameters, on the device, of the model that training has led to: the last or the best ones."""
        best_theta = self.training.best_theta
        return self.objective.model.vector if best_theta is None else best_theta

    def run(self, tasks):
        """Train for the epochs of a whole fit."""
        mlp = self.mlp
        asked_to_stop = False
        try:
            while not (self.is_over or asked_to_stop or mlp.n_iter_ >= mlp.max_iter):
                tasks.epoch_begins()
                self.is_between_epochs = False
                began = perf_counter()
                epoch = self.training.epoch()
                _record(mlp, epoch, self.n_rows, self.training.patience.best, perf_counter() - began)
                self.is_over = epoch.stop
                self.is_between_epochs = True
                asked_to_stop = tasks.epoch_ends()
        except KeyboardInterrupt:
            asked_to_stop = True
            warn("Training interrupted by user.")
        if mlp.n_iter_ and not isfinite(mlp.loss_):
            if self.training.best_theta is None:
                raise ValueError(NON_FINITE)
            warn(
                f"The training loss was {mlp.loss_} in epoch {mlp.n_iter_}: training has diverged. It stops there, and "
                "the weights are those of the best validation score. Scale X and y, or decrease "
                f"learning_rate_init={mlp.learning_rate_init}.",
                ConvergenceWarning,
            )
        elif not (self.is_over or asked_to_stop or self.training.schedule.has_end):
            warn(
                f"Stochastic Optimizer: Maximum iterations ({mlp.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
            )

    def snapshot(self):
        """All that is needed to go on; None in the middle of an epoch."""
        if not self.is_between_epochs:
            return None
        objective, training = self.objective, self.training
        home = objective.device.home
        averages = objective.model is not objective.theta
        return {
            "training": training.state(),
            "best": training.patience.best,
            "theta": home(objective.theta.vector),
            "model": home(objective.model.vector) if averages else None,
            "best_theta": None if training.best_theta is None else home(training.best_theta),
            "rows": training.batches.rows,
            "random_state": self.random_state.get_state(legacy=False),
            "is_over": self.is_over,
            "record": {name: getattr(self.mlp, name) for name in RECORD},
        }

    def go_on_from(self, snapshot):
        """Take the place of the fit whose snapshot this is."""
        objective, training = self.objective, self.training
        training.load(snapshot["training"])
        training.patience.best = snapshot["best"]
        objective.device.write(snapshot["theta"], out=objective.theta.vector)
        for vector, kept in ((objective.model.vector, "model"), (training.best_theta, "best_theta")):
            if snapshot[kept] is not None:
                objective.device.write(snapshot[kept], out=vector)
        if snapshot["rows"] is not None:
            training.batches.rows[...] = snapshot["rows"]
        self.random_state.set_state(snapshot["random_state"])
        self.is_over = snapshot["is_over"]
        vars(self.mlp).update(snapshot["record"])
        training.t = self.mlp.t_


def partial_fit_epoch(mlp, fit, state):
    """One epoch of partial_fit.

    Parameters
    ----------
    state : dict or None
        Of the training that the last call returned; None before the first.

    Returns
    -------
    state : dict
        For the next call.
    """
    if runs_over_max_iter(mlp):
        raise ValueError(
            f"learning_rate={mlp.learning_rate!r} runs over the max_iter epochs of fit, and partial_fit does not know "
            "how many there will be. Use learning_rate='constant', and set_params(learning_rate_init=...) in between."
        )
    if state is not None:
        fit.training.load(state)
    training, theta = fit.training, fit.objective.theta.vector
    began = perf_counter()
    try:
        epoch = training.epoch()
    except KeyboardInterrupt:
        warn("Training interrupted by user.")
    else:
        if not (isfinite(epoch.loss) and np.isfinite(fit.objective.device.home(theta)).all()):
            raise ValueError(NON_FINITE)
        # Last of all: the estimator that `mlp` is a copy of has the same lists.
        _record(mlp, epoch, fit.n_rows, training.patience.best, perf_counter() - began)
    is_seeded = isinstance(mlp.random_state, Integral)
    return {
        "solver": mlp.solver,
        "training": training.state(),
        "seed": mlp.random_state if is_seeded else None,
        "random_state": fit.random_state.get_state(legacy=False) if is_seeded else None,
    }


def fit_lbfgs(mlp, objective, data, tasks):
    """Train with 'lbfgs'."""
    if mlp.early_stopping:
        warn(
            "early_stopping=True has no effect with solver='lbfgs', which trains on all rows until its gradient is "
            "small. Use solver='adam' or 'sgd', or set early_stopping=False."
        )
    mlp.validation_loss_curve_ = None
    X, target, sample_weight = data
    device, network = objective.device, objective.network
    X = device.hold(X, network.dtype, gather=False)
    batch_size = device.chunk_rows(X, network.n_units)
    batches = Batches(device, X, target, sample_weight, dtype=network.dtype, batch_size=batch_size)

    def iteration_ends(loss):
        mlp.n_iter_ += 1
        loss = mlp.loss_ = mlp._loss_unit() * loss
        mlp.loss_curve_.append(loss)
        mlp.best_loss_ = loss if mlp.best_loss_ is None else min(loss, mlp.best_loss_)
        if tasks.epoch_ends():
            raise StopIteration
        if mlp.n_iter_ < mlp.max_iter:
            tasks.epoch_begins()

    tasks.epoch_begins()
    try:
        result = minimize_lbfgs(
            objective,
            batches,
            X.shape[0] if sample_weight is None else float(sample_weight.sum()),
            tol=mlp.tol,
            max_iter=mlp.max_iter,
            max_fun=mlp.max_fun,
            iteration_ends=iteration_ends,
        )
    except KeyboardInterrupt:
        warn("Training interrupted by user.")
        return
    mlp.loss_ = mlp._loss_unit() * float(result.fun)
    if not isfinite(mlp.loss_):
        raise ValueError(NON_FINITE)
    if result.status not in (0, STOPPED_BY_CALLBACK):
        advice = f"\nIncrease the number of iterations to improve the convergence (max_iter={mlp.max_iter})."
        warn(
            f"lbfgs failed to converge after {mlp.n_iter_} iteration(s) (status={result.status}):\n{result.message}\n"
            + (advice if mlp.n_iter_ == mlp.max_iter else "")
            + "\nYou might also want to scale the data as shown in:\n"
            "    https://scikit-learn.org/stable/modules/preprocessing.html",
            ConvergenceWarning,
        )


# Parameters go to the kernels as Python's own numbers: another kind (np.float16) would have to be compiled for.


def _make_optimizer(mlp, device, theta):
    if mlp.solver == "sgd":
        return SGD(device, theta, float(mlp.momentum), bool(mlp.nesterovs_momentum))
    weight_decay = 0.0 if mlp.solver == "adam" else float(mlp.weight_decay)
    adam = float(mlp.beta_1), float(mlp.beta_2), float(mlp.epsilon), weight_decay
    if mlp.solver == "muon":
        if len(theta.W) < 3:
            warn(
                f"solver='muon' is 'adamw' for hidden_layer_sizes={mlp.hidden_layer_sizes!r}: what else it does is for "
                "the weights between two hidden layers. Use solver='adamw', or more layers."
            )
        return Muon(device, theta, float(mlp.momentum), bool(mlp.nesterovs_momentum), *adam)
    return Adam(device, theta, *adam)


def runs_over_max_iter(mlp):
    """Whether the learning rate depends on how many epochs there are to be."""
    return callable(mlp.learning_rate) or mlp.learning_rate in ("cosine", "linear", "one_cycle")


def _make_schedule(mlp, n_steps):
    learning_rate_init = float(mlp.learning_rate_init)
    if callable(mlp.learning_rate):
        return ByProgress(learning_rate_init, mlp.learning_rate, n_steps)
    if mlp.learning_rate == "one_cycle":
        warmup_fraction = 0.3 if mlp.warmup_fraction == "auto" else float(mlp.warmup_fraction)
        return ByProgress(learning_rate_init, one_cycle(warmup_fraction), n_steps)
    if mlp.learning_rate in ("cosine", "linear"):
        warmup_fraction = 0.0 if mlp.warmup_fraction == "auto" else float(mlp.warmup_fraction)
        factor = {"cosine": cosine, "linear": linear}[mlp.learning_rate]
        return ByProgress(learning_rate_init, warmed_up(factor, warmup_fraction), n_steps)
    if mlp.solver == "sgd" and mlp.learning_rate == "invscaling":
        return InverseScaling(learning_rate_init, float(mlp.power_t))
    if mlp.solver == "sgd" and mlp.learning_rate == "adaptive":
        return Adaptive(learning_rate_init)
    return Constant(learning_rate_init)


def _record(mlp, epoch, n_rows, best, seconds):
    """Write an epoch into the fitted attributes, and print it."""
    unit = mlp._loss_unit()
    epoch = epoch._replace(loss=unit * epoch.loss)
    if epoch.score is not None:
        epoch = epoch._replace(validation_loss=unit * epoch.validation_loss)
        if mlp.scoring == "loss":
            epoch = epoch._replace(score=unit * epoch.score)
    if not mlp.early_stopping or mlp.scoring == "loss":
        best = unit * best
    mlp.t_ += n_rows
    mlp.loss_ = epoch.loss
    mlp.loss_curve_.append(epoch.loss)
    mlp.learning_rate_curve_.append(epoch.learning_rate)
    if epoch.score is not None:
        mlp.validation_scores_.append(epoch.score)
        mlp.validation_loss_curve_.append(epoch.validation_loss)
    if mlp.early_stopping:
        mlp.best_validation_score_ = best
    else:
        mlp.best_loss_ = -best
        if epoch.score is not None:
            before = mlp.best_validation_score_
            mlp.best_validation_score_ = epoch.score if before is None else max(before, epoch.score)
    mlp.n_iter_ += 1
    if mlp.verbose == 2:
        _print_row(mlp.n_iter_, epoch, seconds, n_rows)
    elif mlp.verbose:
        print(f"Iteration {mlp.n_iter_}, loss = {epoch.loss:.8f}")
        if epoch.score is not None:
            print(f"Validation score: {epoch.score:f}")
    if mlp.verbose and epoch.plateau:
        what = "Validation score" if mlp.early_stopping else "Training loss"
        print(
            f"{what} did not improve more than tol={mlp.tol:f} for {mlp.n_iter_no_change} consecutive epochs. "
            + epoch.plateau
        )


def _print_row(n_iter, epoch, seconds, n_rows):
    """An epoch as a row of a table, under the names of its columns if it is the first."""
    columns = {"epoch": f"{n_iter}", "loss": f"{epoch.loss:.6g}"}
    if epoch.score is not None:
        columns |= {"val. loss": f"{epoch.validation_loss:.6g}", "val. score": f"{epoch.score:.6g}"}
    columns |= {"rate": f"{epoch.learning_rate:.3g}", "seconds": f"{seconds:.3g}", "rows/s": f"{n_rows / seconds:,.0f}"}
    if n_iter == 1:
        print("".join(f"{name:>12}" for name in columns))
    print("".join(f"{value:>12}" for value in columns.values()))
