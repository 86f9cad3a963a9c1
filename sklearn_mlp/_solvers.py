"""The solvers at work on an estimator: its parameters in, its fitted attributes out, the core in between.

`mlp` is the estimator throughout. Its `coefs_` and `intercepts_` are views of the vector that is trained, so it can
predict whenever training stops.
"""

from math import ceil, inf, isfinite
from numbers import Integral

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
from sklearn_mlp.core.training import Patience, train

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


def fit_stochastic(mlp, objective, data, rows, validation, bring_home, random_state, state=None):
    """Train with a stochastic solver.

    Parameters
    ----------
    data : tuple of (X, target, sample_weight)
    rows : array of int or None
        The rows to train on; None for all.
    validation : ValidationSet or None
    bring_home : callable
        Makes the estimator predict with the weights of now.
    state : dict or None
        For one epoch of partial_fit, what the last one returned (empty before the first); None for a whole fit.

    Returns
    -------
    state : dict
        What the next call of partial_fit takes to go on from here.
    """
    X, target, sample_weight = data
    device, theta = objective.device, objective.theta.vector
    X = device.hold(X, theta.dtype, gather=mlp.shuffle or rows is not None)
    incremental = state is not None
    if incremental and (callable(mlp.learning_rate) or mlp.learning_rate in ("cosine", "linear", "one_cycle")):
        raise ValueError(
            f"learning_rate={mlp.learning_rate!r} runs over the max_iter epochs of fit, and partial_fit does not know "
            "how many there will be. Use learning_rate='constant', and set_params(learning_rate_init=...) in between."
        )
    state = state or {}
    validate = best_theta = None
    mlp.validation_scores_ = (mlp.validation_scores_ or []) if validation else None
    mlp.validation_loss_curve_ = (getattr(mlp, "validation_loss_curve_", None) or []) if validation else None
    if validation:
        held = X if validation.rows is not None else device.hold(validation.X, theta.dtype, gather=False)
        validate = make_validation(mlp, objective, validation, held, bring_home)
        if mlp.early_stopping and mlp.restore_best:
            best_theta = theta.copy()
    if rows is None and mlp.shuffle:
        rows = np.arange(X.shape[0])
    n_rows = X.shape[0] if rows is None else len(rows)
    batch_size = check_batch_size(mlp.batch_size, n_rows)
    if batch_size == 1 and mlp.normalization == "batch":
        raise ValueError(
            "normalization='batch' takes mean and variance from the rows of a mini-batch, and with "
            f"batch_size={mlp.batch_size!r} and {n_rows} rows there is one row in each. Use larger batches, or "
            "normalization='layer'."
        )
    objective.network.seen_weight = state.get("seen_weight", 0.0)
    batches = Batches(device, X, target, sample_weight, dtype=theta.dtype, batch_size=batch_size, rows=rows)
    optimizer = _make_optimizer(mlp, device, objective.theta, state.get("optimizer", {}))
    n_steps = mlp.max_iter * ceil(n_rows / batch_size)
    schedule = _make_schedule(mlp, state.get("learning_rate", mlp.learning_rate_init), n_steps)
    best = -inf if mlp.best_loss_ is None else -mlp.best_loss_
    patience = Patience(mlp.tol, mlp.n_iter_no_change, best, state.get("n_no_improvement", 0))
    epochs = train(
        objective,
        optimizer,
        schedule,
        batches,
        patience,
        max_iter=1 if incremental else mlp.max_iter,
        max_grad_norm=None if mlp.max_grad_norm is None else float(mlp.max_grad_norm),
        t=mlp.t_,
        random_state=random_state if mlp.shuffle else None,
        validate=validate,
        early_stopping=mlp.early_stopping,
        best_theta=best_theta,
    )
    stopped = incremental
    try:
        for epoch in epochs:
            _record(mlp, epoch, n_rows, patience.best)
            stopped = stopped or epoch.stop
    except KeyboardInterrupt:
        warn("Training interrupted by user.")
        stopped = True

    if best_theta is not None:
        objective.model.vector[...] = best_theta
    if mlp.n_iter_ and not isfinite(mlp.loss_):
        if best_theta is None:
            raise ValueError(NON_FINITE)
        warn(
            f"The training loss was {mlp.loss_} in epoch {mlp.n_iter_}: training has diverged. It stops there, and the "
            "weights are those of the best validation score. Scale X and y, or decrease "
            f"learning_rate_init={mlp.learning_rate_init}.",
            ConvergenceWarning,
        )
    elif not (stopped or schedule.has_end):
        warn(
            f"Stochastic Optimizer: Maximum iterations ({mlp.max_iter}) reached and the optimization hasn't converged "
            "yet.",
            ConvergenceWarning,
        )
    is_seeded = isinstance(mlp.random_state, Integral)
    return {
        "solver": mlp.solver,
        "optimizer": optimizer.state(),
        "learning_rate": schedule.learning_rate,
        "n_no_improvement": patience.count,
        "seen_weight": objective.network.seen_weight,
        "seed": mlp.random_state if is_seeded else None,
        "random_state": random_state if is_seeded else None,
    }


def fit_lbfgs(mlp, objective, data):
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
    if result.status != 0:
        advice = f"\nIncrease the number of iterations to improve the convergence (max_iter={mlp.max_iter})."
        warn(
            f"lbfgs failed to converge after {mlp.n_iter_} iteration(s) (status={result.status}):\n{result.message}\n"
            + (advice if mlp.n_iter_ == mlp.max_iter else "")
            + "\nYou might also want to scale the data as shown in:\n"
            "    https://scikit-learn.org/stable/modules/preprocessing.html",
            ConvergenceWarning,
        )


# Parameters go to the kernels as Python's own numbers: another kind (np.float16) would have to be compiled for.


def _make_optimizer(mlp, device, theta, state):
    if mlp.solver == "sgd":
        return SGD(device, theta, float(mlp.momentum), bool(mlp.nesterovs_momentum), **state)
    weight_decay = 0.0 if mlp.solver == "adam" else float(mlp.weight_decay)
    adam = float(mlp.beta_1), float(mlp.beta_2), float(mlp.epsilon), weight_decay
    if mlp.solver == "muon":
        if len(theta.W) < 3:
            warn(
                f"solver='muon' is 'adamw' for hidden_layer_sizes={mlp.hidden_layer_sizes!r}: what else it does is for "
                "the weights between two hidden layers. Use solver='adamw', or more layers."
            )
        return Muon(device, theta, float(mlp.momentum), bool(mlp.nesterovs_momentum), *adam, **state)
    return Adam(device, theta, *adam, **state)


def _make_schedule(mlp, learning_rate, n_steps):
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
        return InverseScaling(float(learning_rate), learning_rate_init, float(mlp.power_t))
    if mlp.solver == "sgd" and mlp.learning_rate == "adaptive":
        return Adaptive(float(learning_rate))
    return Constant(learning_rate_init)


def _record(mlp, epoch, n_rows, best):
    """Write an epoch into the fitted attributes, and print it as scikit-learn does."""
    unit = mlp._loss_unit()
    epoch = epoch._replace(loss=unit * epoch.loss)
    if epoch.score is not None:
        epoch = epoch._replace(validation_loss=unit * epoch.validation_loss)
        if mlp.scoring == "loss":
            epoch = epoch._replace(score=unit * epoch.score)
    if not mlp.early_stopping or mlp.scoring == "loss":
        best = unit * best
    mlp.n_iter_ += 1
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
    if mlp.verbose:
        print(f"Iteration {mlp.n_iter_}, loss = {epoch.loss:.8f}")
        if epoch.score is not None:
            print(f"Validation score: {epoch.score:f}")
        if epoch.plateau:
            what = "Validation score" if mlp.early_stopping else "Training loss"
            print(
                f"{what} did not improve more than tol={mlp.tol:f} for {mlp.n_iter_no_change} consecutive epochs. "
                + epoch.plateau
            )
