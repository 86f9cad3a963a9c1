"""Mini-batch training: the loop over epochs and batches, and when it stops."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sklearn_mlp.core.batches import Batch, Data
from sklearn_mlp.core.blocks import BlockData
from sklearn_mlp.core.layers import Block, declare_slots
from sklearn_mlp.core.losses import Loss
from sklearn_mlp.core.objective import Objective
from sklearn_mlp.core.optimizers import Optimizer
from sklearn_mlp.core.parameters import Parameters, Slots, n_parameters
from sklearn_mlp.core.schedules import Constant
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]

# The function calls of a step take as long as NumPy's kernels take for this many numbers.
OF_A_STEP = 25_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a training run depends on, except data, initial parameters and random numbers.

    Attributes
    ----------
    device : Device
    dtype : numpy dtype
        Precision of parameters and batches.
    blocks : sequence of Block
        The network.
    drops_out : bool
        Whether any block has dropout.
    loss : Loss
    alpha : float
        Strength of the L2 penalty, relative to a row.
    solver : str
        Name of the solver.
    optimizer : callable
        Takes a device and `Parameters`, and returns the optimizer. Not used by 'lbfgs'.
    schedule : callable
        Takes the number of steps in `max_iter` epochs, and returns the schedule. Not used by 'lbfgs'.
    learning_rate_init : float
        Initial rate of `schedule`.
    batch_size : int
        At most the number of rows.
    shuffle : bool
        Whether the rows are shuffled before each epoch.
    max_iter : int
        Maximum number of epochs, or of iterations of 'lbfgs'.
    max_fun : int
        Maximum number of evaluations of the objective by 'lbfgs'.
    tol : float
    n_iter_no_change : float
        Patience: see `Patience`.
    early_stopping : bool
        Whether patience depends on the validation score instead of the training loss.
    restore_best : bool
        Whether the model of `early_stopping` is that of the best validation score.
    max_grad_norm : float or None
        Gradients (of the loss, without the penalty) with a larger norm are scaled down to it.
    ema_decay : float or None
        Decay of the exponential moving average of the parameters, which becomes the model.
    validation_fraction : float
        Share of the rows that `early_stopping` holds out, if there is no other validation set.
    scoring : str, callable or None
        Scorer of the validation set.
    random_state : int, RandomState or None
        The estimator's parameter.
    verbose : int
        The estimator's parameter.
    """

    device: Device
    dtype: np.dtype[Any]
    blocks: Sequence[Block]
    drops_out: bool
    loss: Loss
    alpha: float
    solver: str
    optimizer: Callable[[Device, Parameters], Optimizer] | None
    schedule: Callable[[int], Constant] | None
    learning_rate_init: float
    batch_size: int
    shuffle: bool
    max_iter: int
    max_fun: int
    tol: float
    n_iter_no_change: float
    early_stopping: bool
    restore_best: bool
    max_grad_norm: float | None
    ema_decay: float | None
    validation_fraction: float
    scoring: Any
    random_state: Any
    verbose: int

    def slots(self, n_features: int) -> Slots:
        """The slots of the network for a number of features."""
        return declare_slots(self.blocks, n_features)

    def n_units(self, n_features: int) -> int:
        """The number of outputs of all layers."""
        total = 0
        for block in self.blocks:
            n_features = block.n_outputs(n_features)
            total += n_features
        return total

    def n_numbers(self, n_rows: int, n_features: int) -> int:
        """Approximate number of values that the kernels process in an epoch, for `kernels_for`."""
        n_units = self.n_units(n_features)
        if self.optimizer is None:
            return OF_A_STEP + n_rows * n_units
        n_steps = ceil(n_rows / self.batch_size)
        return n_rows * n_units + n_steps * (OF_A_STEP + n_parameters(self.slots(n_features)))

    def objective(self, theta: Parameters, seed: int = 0) -> Objective:
        """The objective on the device, at `theta`; `seed` is that of dropout."""
        theta = theta.like(self.device.to_device_copy(theta.vector))
        return Objective(self.device, theta, self.blocks, self.loss, self.alpha, seed=seed, ema_decay=self.ema_decay)


class Epoch(NamedTuple):
    """The record of one epoch.

    `loss` is the mean over the rows of the batches' losses, each taken before its step; `learning_rate` is that of the
    last step; `score` and `validation_loss` are those of the validation set. `plateau` is the schedule's message if
    patience ran out, and empty otherwise.
    """

    loss: float
    learning_rate: float
    score: float | None
    validation_loss: float | None
    n_rows: int
    seconds: float
    plateau: str = ""


class Patience:
    """Counts consecutive epochs without an improvement by `tol` of a score, greater is better."""

    def __init__(self, tol: float, n_iter_no_change: float, best: float, count: int = 0) -> None:
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.best = best
        self.count = count

    def update(self, score: float) -> bool:
        """Record the score of an epoch; return whether it is the best so far. Only finite scores are improvements."""
        if not isfinite(score):
            self.count += 1
            return False
        self.count = self.count + 1 if score < self.best + self.tol else 0
        is_best = score > self.best
        if is_best:
            self.best = score
        return is_best

    @property
    def at_end(self) -> bool:
        return self.count > self.n_iter_no_change


class Solver:
    """The objective, the optimizer and the learning-rate schedule of a stochastic solver.

    Parameters
    ----------
    plan : Plan
    theta : Parameters
        The initial parameters, on the host; on the CPU they are trained in place.
    n_steps : int
        The number of steps of the whole training run, for the schedule.
    seed : int
        Seed of dropout.
    """

    def __init__(self, plan: Plan, theta: Parameters, n_steps: int, seed: int) -> None:
        assert plan.optimizer is not None
        assert plan.schedule is not None
        self.plan = plan
        self.objective = plan.objective(theta, seed)
        self.optimizer = plan.optimizer(plan.device, self.objective.theta)
        self.schedule = plan.schedule(n_steps)

    def steps(self, batches: Iterable[Batch]) -> tuple[float, int]:
        """Take a step for each batch; return the mean of the batches' losses over the rows, and the number of rows.

        Batches with zero total weight are skipped.
        """
        plan, objective, optimizer, schedule = self.plan, self.objective, self.optimizer, self.schedule
        device, grad = plan.device, objective.grad.trainable
        n_rows = 0
        for X, y, sample_weight, total_weight, single_row in batches:
            if total_weight == 0:
                continue
            n = X.shape[0]
            objective.backpropagate(X, y, sample_weight, 1 / total_weight, n, single_row)
            if plan.max_grad_norm is not None:
                device.clip_norm(grad, plan.max_grad_norm)
            optimizer.step(grad, schedule.step(), objective.alpha / total_weight, objective.loss, n)
            if plan.ema_decay is not None:
                objective.average()
            n_rows += n
        return (device.collect(objective.loss) / n_rows if n_rows else inf), n_rows

    def state(self) -> dict[str, Any]:
        """The state that the steps change, except the parameters."""
        network = self.objective.network
        return {
            "optimizer": self.optimizer.state(),
            "schedule": self.schedule.state(),
            "seen_weight": network.seen_weight,
            "n_training_passes": network.n_training_passes,
            "n_averaged": self.objective.n_averaged,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a `state`."""
        self.optimizer.load(state["optimizer"])
        self.schedule.load(state["schedule"])
        self.objective.network.seen_weight = state["seen_weight"]
        self.objective.network.n_training_passes = state["n_training_passes"]
        self.objective.n_averaged = state["n_averaged"]

    def parameters(self) -> dict[str, Any]:
        """The parameters, on the host, and their average if there is one."""
        objective, to_host = self.objective, self.plan.device.to_host
        averages = objective.model is not objective.theta
        return {
            "theta": to_host(objective.theta.vector),
            "model": to_host(objective.model.vector) if averages else None,
        }

    def load_parameters(self, parameters: dict[str, Any]) -> None:
        """Restore the result of `parameters`."""
        objective, write = self.objective, self.plan.device.write
        write(parameters["theta"], out=objective.theta.vector)
        if parameters["model"] is not None:
            write(parameters["model"], out=objective.model.vector)


class Training:
    """A training run with a stochastic solver.

    Parameters
    ----------
    plan : Plan
    data : Data or BlockData
        The `rows` of the former are shuffled in place.
    theta : Parameters
        The initial parameters, on the host; on the CPU they are trained in place.
    random_state : RandomState
        Draws the seed of dropout, and shuffles the rows.
    validate : callable or None
        Takes the objective; returns the validation score and the validation loss.
    best : float
        The best monitored value, loss or score, of the run that this one continues.
    t : int
        Number of rows seen in that run.

    Attributes
    ----------
    objective : Objective
    is_over : bool
        Whether patience has run out, or the loss is not finite.
    is_between_epochs : bool
        Whether no epoch is unfinished, so that a `snapshot` is consistent.
    """

    def __init__(
        self,
        plan: Plan,
        data: Data | BlockData,
        theta: Parameters,
        random_state: np.random.RandomState,
        *,
        validate: Callable[[Objective], tuple[float, float]] | None = None,
        best: float = -inf,
        t: int = 0,
    ) -> None:
        self.plan = plan
        self.random_state = random_state
        self.dropout_seed = random_state.randint(2**31) if plan.drops_out else 0
        self.batches = data.batches(plan.device, plan.dtype, plan.batch_size, shuffles=plan.shuffle)
        self.n_steps = plan.max_iter * self.batches.n_steps
        self.solver = Solver(plan, theta, self.n_steps, self.dropout_seed)
        self.objective, self.schedule = self.solver.objective, self.solver.schedule
        self.patience = Patience(plan.tol, plan.n_iter_no_change, best)
        self.validate = validate
        self.t = t
        self.restores_best = validate is not None and plan.early_stopping and plan.restore_best
        self.best_theta: Array | None = None  # until an epoch has a score
        self.is_over = self.is_between_epochs = False

    @property
    def model(self) -> Array:
        """The flat vector of the model's parameters, the last or the best ones, on the device."""
        return self.objective.model.vector if self.best_theta is None else self.best_theta

    def run(
        self,
        record: Callable[[Epoch], None],
        epoch_begins: Callable[[], object] = lambda: None,
        epoch_ends: Callable[[], bool] = lambda: False,
        n_epochs_before: int = 0,
    ) -> bool:
        """Train until patience or `max_iter` is exhausted.

        Parameters
        ----------
        record : callable
            Takes the `Epoch` after each epoch.
        epoch_begins, epoch_ends : callable
            `epoch_ends` returns whether to stop.
        n_epochs_before : int
            Number of epochs of this run before it was resumed.

        Returns
        -------
        stopped : bool
            Whether `epoch_ends` requested to stop.
        """
        for _ in range(n_epochs_before, self.plan.max_iter):
            if self.is_over:
                break
            epoch_begins()
            self.is_between_epochs = False
            epoch = self.epoch()
            record(epoch)
            self.is_between_epochs = True
            if epoch_ends():
                return True
        return False

    def epoch(self) -> Epoch:
        """Train for one epoch."""
        began = perf_counter()
        if self.plan.shuffle:
            self.batches.shuffle(self.random_state)
        loss = self._steps()
        learning_rate = self.schedule.learning_rate
        score, validation_loss = self.validate(self.objective) if self.validate is not None else (None, None)
        n_rows = self.batches.n_rows
        self.t += n_rows
        self.schedule.epoch_ends(self.t)
        record = Epoch(loss, learning_rate, score, validation_loss, n_rows, perf_counter() - began)
        if not isfinite(loss):
            self.is_over = True
            return record
        is_best = self.patience.update(score if self.plan.early_stopping and score is not None else -loss)
        if is_best and self.restores_best:
            if self.best_theta is None:
                self.best_theta = self.objective.model.vector.copy()
            else:
                self.best_theta[...] = self.objective.model.vector
        if not self.patience.at_end:
            return record
        self.is_over, what = self.schedule.plateau()
        if not self.is_over:
            self.patience.count = 0
        return record._replace(plateau=what)

    def _steps(self) -> float:
        """Take the steps of an epoch; return the mean of the batches' losses over the rows."""
        return self.solver.steps(self.batches)[0]

    def state(self) -> dict[str, Any]:
        """The state of training, except parameters, order of rows and random numbers."""
        return self.solver.state() | {"n_no_improvement": self.patience.count}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a `state`."""
        self.solver.load(state)
        self.patience.count = state["n_no_improvement"]

    def snapshot(self) -> dict[str, Any]:
        """Everything needed to continue bit-identically, unless taken in the middle of an epoch."""
        to_host = self.plan.device.to_host
        return self.solver.parameters() | {
            "training": self.state(),
            "best": self.patience.best,
            "best_theta": None if self.best_theta is None else to_host(self.best_theta),
            "rows": self.batches.rows,
            "random_state": self.random_state.get_state(legacy=False),
            "is_over": self.is_over,
        }

    def resume(self, snapshot: dict[str, Any]) -> None:
        """Restore a `snapshot`."""
        self.load(snapshot["training"])
        self.solver.load_parameters(snapshot)
        self.patience.best = snapshot["best"]
        if snapshot["best_theta"] is not None:
            self.best_theta = self.plan.device.to_device_copy(snapshot["best_theta"])
        if self.batches.rows is not None:
            self.batches.rows[...] = snapshot["rows"]
        self.random_state.set_state(snapshot["random_state"])
        self.is_over = snapshot["is_over"]
