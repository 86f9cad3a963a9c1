"""From the estimator's parameters to a plan of plain values: the only reader of parameters in a fit.

Errors about combinations of parameters are raised here.
"""

from functools import partial
from itertools import pairwise
from numbers import Real

import numpy as np
from sklearn.base import is_classifier

from sklearn_mlp._caller import warn
from sklearn_mlp._checks import (
    check_activation,
    check_dropout,
    check_hidden_layer_sizes,
    check_normalization,
    float_dtype,
)
from sklearn_mlp.core.layers import mlp_blocks
from sklearn_mlp.core.losses import REGRESSION_LOSSES, FocalLoss, LogLoss
from sklearn_mlp.core.optimizers import SOLVERS
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
from sklearn_mlp.core.training import Plan


def make_plan(mlp, device, dtype, task, loss, incremental):
    """The plan of a fit.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
    device : Device
    dtype : numpy dtype
    task : Task
    loss : Loss
    incremental : bool
        Whether the fit is a `partial_fit`.

    Returns
    -------
    plan : Plan

    Raises
    ------
    ValueError
        If parameters contradict each other.
    """
    stochastic = mlp.solver != "lbfgs"
    if incremental:
        _check_incremental(mlp)
    hidden_layer_sizes = check_hidden_layer_sizes(mlp.hidden_layer_sizes)
    n_hidden = len(hidden_layer_sizes)
    activations = check_activation(mlp.activation, n_hidden)
    check_normalization(mlp.normalization, hidden_layer_sizes, mlp.solver)
    dropout = check_dropout(mlp.dropout, n_hidden) if stochastic else []
    if mlp.early_stopping and not stochastic:
        warn(
            "early_stopping=True has no effect with solver='lbfgs', which trains on all rows until its gradient is "
            "small. Use solver='adam' or 'sgd', or set early_stopping=False."
        )
    if mlp.solver == "muon" and n_hidden < 2:
        warn(
            f"solver='muon' is 'adamw' for hidden_layer_sizes={mlp.hidden_layer_sizes!r}: it only differs for the "
            "weights between two hidden layers. Use solver='adamw', or more layers."
        )
    return Plan(
        device=device,
        dtype=dtype,
        blocks=mlp_blocks(
            hidden_layer_sizes,
            activations,
            task.n_outputs,
            normalization=mlp.normalization,
            dropout=dropout,
            last=mlp.activation if isinstance(mlp.activation, str) else "relu",
        ),
        drops_out=bool(dropout),
        loss=loss,
        alpha=float(mlp.alpha),
        solver=mlp.solver,
        optimizer=_optimizer(mlp) if stochastic else None,
        schedule=_schedule(mlp) if stochastic else None,
        batch_size=200 if mlp.batch_size == "auto" else int(mlp.batch_size),
        shuffle=bool(mlp.shuffle),
        learning_rate_init=float(mlp.learning_rate_init),
        max_iter=mlp.max_iter,
        max_fun=mlp.max_fun,
        tol=mlp.tol,
        n_iter_no_change=mlp.n_iter_no_change,
        early_stopping=bool(mlp.early_stopping) and stochastic,
        restore_best=bool(mlp.restore_best),
        validation_fraction=mlp.validation_fraction,
        scoring=mlp.scoring,
        max_grad_norm=None if mlp.max_grad_norm is None else float(mlp.max_grad_norm),
        ema_decay=None if mlp.ema_decay is None or not stochastic else float(mlp.ema_decay),
        random_state=mlp.random_state,
        verbose=mlp.verbose,
    )


def classification_loss(mlp, task):
    """The loss of a classifier for `task`."""
    columns = tuple(task.columns)
    if mlp.loss != "focal":
        return LogLoss(task.out_activation, float(mlp.label_smoothing), columns)
    if mlp.label_smoothing:
        raise ValueError(
            f"label_smoothing={mlp.label_smoothing} is for loss='log_loss'; 'focal' takes labels as they are."
        )
    return FocalLoss(task.out_activation, float(mlp.focal_gamma), columns)


def quantile_levels(mlp):
    """The levels of a regressor with an output for each of several quantiles, or None."""
    return None if mlp.loss != "quantile" or isinstance(mlp.quantile, Real) else [float(q) for q in mlp.quantile]


def regression_loss(mlp):
    """The loss of a regressor."""
    loss = REGRESSION_LOSSES[mlp.loss]
    if loss.parameter is None:
        return loss()
    if loss.parameter != "quantile":
        return loss(float(getattr(mlp, loss.parameter)))
    levels = quantile_levels(mlp)
    if levels is None:
        return loss(float(mlp.quantile))
    if not all(0 < level < 1 for level in levels):
        raise ValueError(f"quantile must be between 0 and 1, got {mlp.quantile!r}.")
    if any(low >= high for low, high in pairwise(levels)):
        raise ValueError(f"quantile must have its levels in increasing order, got {mlp.quantile!r}.")
    return loss(tuple(levels))


def check_standardize_target(mlp, loss, incremental):
    if not mlp.standardize_target:
        return
    if incremental:
        raise ValueError(
            "standardize_target=True is for fit: partial_fit does not see all of y, whose mean and standard "
            "deviation it would need. Scale y, and use standardize_target=False."
        )
    if loss.out_activation != "identity":
        raise ValueError(
            f"standardize_target=True is not for loss={mlp.loss!r}, which takes y as it is. "
            "Use standardize_target=False, or loss='squared_error'."
        )


def check_batch_size(mlp, n_rows):
    """Check the size of mini-batches for the number of rows to train on."""
    if mlp.batch_size != "auto" and mlp.batch_size > n_rows:
        warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
    if mlp.normalization == "batch" and 1 in (mlp.batch_size, n_rows):
        raise ValueError(
            "normalization='batch' takes mean and variance from the rows of a mini-batch, and with "
            f"batch_size={mlp.batch_size!r} and {n_rows} rows there is one row in each. Use larger batches, or "
            "normalization='layer'."
        )


def training_dtype(mlp, array):
    """The precision of training for an array of the data, or of the model that training continues."""
    return float_dtype(array) if mlp.dtype is None else np.dtype(mlp.dtype)


def continues_fit(mlp, incremental, resume_from):
    """Whether training continues from the parameters of the last fit."""
    return hasattr(mlp, "coefs_") and (mlp.warm_start or incremental) and resume_from is None


def schedule_needs_max_iter(mlp):
    """Whether the learning rate depends on the number of epochs to come."""
    return callable(mlp.learning_rate) or mlp.learning_rate in ("cosine", "linear", "one_cycle")


def _check_incremental(mlp):
    if mlp.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    if mlp.ema_decay is not None:
        raise ValueError(
            f"ema_decay={mlp.ema_decay} is for fit: partial_fit continues from coefs_, which would be the average, "
            "not the weights that are trained. Use ema_decay=None."
        )
    if schedule_needs_max_iter(mlp):
        raise ValueError(
            f"learning_rate={mlp.learning_rate!r} runs over the max_iter epochs of fit, and partial_fit does not know "
            "how many there will be. Use learning_rate='constant', and set_params(learning_rate_init=...) in between."
        )
    if is_classifier(mlp) and isinstance(mlp.class_weight, str):
        raise ValueError(
            "class_weight='balanced' is not possible with partial_fit, which sees a part of y only. Pass weights: "
            "dict(zip(classes, sklearn.utils.class_weight.compute_class_weight('balanced', classes=classes, y=y)))."
        )


def _optimizer(mlp):
    solver = SOLVERS[mlp.solver]
    parameters = [(name, getattr(mlp, name)) for name in solver.parameters]
    # As Python numbers: Numba would compile the kernels again for another type, such as np.float16.
    values = [bool(value) if name == "nesterovs_momentum" else float(value) for name, value in parameters]
    return lambda device, theta: solver.optimizer(device, theta, *values)


def _schedule(mlp):
    rate, warmup = float(mlp.learning_rate_init), mlp.warmup_fraction
    if callable(mlp.learning_rate):
        return partial(ByProgress, rate, mlp.learning_rate)
    if mlp.learning_rate == "one_cycle":
        return partial(ByProgress, rate, one_cycle(0.3 if warmup == "auto" else float(warmup)))
    if mlp.learning_rate in ("cosine", "linear"):
        factor = {"cosine": cosine, "linear": linear}[mlp.learning_rate]
        return partial(ByProgress, rate, warmed_up(factor, 0.0 if warmup == "auto" else float(warmup)))
    if mlp.solver == "sgd" and mlp.learning_rate == "invscaling":
        return lambda n_steps: InverseScaling(rate, float(mlp.power_t))
    if mlp.solver == "sgd" and mlp.learning_rate == "adaptive":
        return lambda n_steps: Adaptive(rate)
    return lambda n_steps: Constant(rate)
