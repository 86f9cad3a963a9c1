"""Mini-batch training: the loop over epochs and batches, and when it stops."""

from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sklearn_mlp.core.activations import OUT_ACTIVATIONS
from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.losses import Loss, in_blocks
from sklearn_mlp.core.network import Network
from sklearn_mlp.core.optimizers import Optimizer
from sklearn_mlp.core.parameters import Parameters
from sklearn_mlp.core.schedules import Constant
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


class Epoch(NamedTuple):
    """The record of one epoch.

    `loss` is the mean over the rows of the batches' losses, each taken before its step; `learning_rate` is that of the
    last step; `score` and `validation_loss` are those of the validation set. `plateau` says what was done about
    patience at its end, and is empty before.
    """

    loss: float
    learning_rate: float
    score: float | None
    validation_loss: float | None
    plateau: str = ""
    stop: bool = False


class Patience:
    """Counts epochs in a row without an improvement by `tol`, of a score that should rise."""

    def __init__(self, tol: float, n_iter_no_change: float, best: float, count: int = 0) -> None:
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.best = best
        self.count = count

    def update(self, score: float) -> bool:
        """Take the score of an epoch (NaN counts as no score); whether it is the best so far."""
        self.count = self.count + 1 if score < self.best + self.tol else 0
        is_best = score > self.best
        if is_best:
            self.best = score
        return is_best

    @property
    def at_end(self) -> bool:
        return self.count > self.n_iter_no_change


class Objective:
    """The regularised mean loss of a network, (sum of w_i L_i + alpha/2 |W|^2) / sum of w_i, and its gradient.

    Attributes
    ----------
    network : Network
        Over the views of `theta`.
    theta, grad : Parameters
        Where the objective is taken, and its gradient there.
    model : Parameters
        What predicts: `theta`, or the exponential moving average of it.
    loss : accumulator
        What `backpropagate` and the optimizer add the loss to. Read once an epoch, so that a GPU need not be waited
        for in between.
    """

    def __init__(
        self,
        device: Device,
        theta: Parameters,
        activations: Sequence[str],
        loss: Loss,
        alpha: float,
        loss_parameters: Sequence[Any] = (),
        dropout: Sequence[float] = (),
        seed: int = 0,
        ema_decay: float | None = None,
        blocks: Sequence[slice] = (),
    ) -> None:
        dtype = theta.vector.dtype
        self.device = device
        self.theta = theta
        self.grad = theta.like(device.empty(theta.vector.shape, dtype))
        self.network = Network(device, theta, activations, dtype, dropout, seed)
        self.model, self.model_network = theta, self.network
        self.ema_decay = ema_decay
        self.n_averaged = 0
        if ema_decay is not None:
            self.model = theta.like(theta.vector.copy())
            self.model_network = Network(device, self.model, activations, dtype)
        self.alpha = alpha
        self.loss = device.accumulator()
        self._to_gradient = in_blocks(getattr(device, loss.gradient), blocks)
        self._activate = in_blocks(getattr(device, OUT_ACTIVATIONS[loss.out_activation]), blocks)
        self._loss_parameters = [device.place(p) if isinstance(p, np.ndarray) else p for p in loss_parameters]

    def backpropagate(
        self, X: Any, y: Any, sample_weight: Any, scale: float, share: float = 1.0, alone: bool = False
    ) -> None:
        """Leave in `grad` the gradient of a batch's weighted sum of losses times `scale`; `share` of it is added to
        `loss`. `alone` is whether one row has all the weight.
        """
        Z = self.network.forward_training(X, sample_weight, scale, alone)
        b = self.theta.b[-1]
        self._to_gradient(Z, b, y, sample_weight, scale, self.loss, share, *self._loss_parameters)  # Z becomes dZ
        self.network.backward(X, Z, self.grad)

    def of_constant(self, scores: Array, y: Any, sample_weight: Any) -> float:
        """The mean loss of the same scores for each row."""
        device = self.device
        n_rows, total = y.shape[0], y.shape[0] if sample_weight is None else float(sample_weight.sum())
        Z = device.zeros((n_rows, scores.size), scores.dtype)
        y, b = device.place(y), device.place(scores)
        sample_weight = None if sample_weight is None else device.place(sample_weight)
        loss = device.accumulator()
        self._to_gradient(Z, b, y, sample_weight, 1 / total, loss, 1.0, *self._loss_parameters)
        return device.collect(loss)

    def average(self) -> None:
        """Take the parameters of now into the average.

        The first steps weigh more, so that the initial weights are soon forgotten: decay is at most (t + 1) / (t + 10).
        """
        assert self.ema_decay is not None
        decay = min(self.ema_decay, (self.n_averaged + 1) / (self.n_averaged + 10))
        self.n_averaged += 1
        self.device.move_towards(self.model.vector, self.theta.vector, 1 - decay)

    def evaluate(self, batches: Batches) -> tuple[Array, float]:
        """The predictions (n_samples, n_outputs) for the rows of `batches`, and their mean loss without the penalty."""
        loss = self.device.accumulator()
        weight = 0.0

        def add_loss(Z: Array, y: Any, sample_weight: Any, total_weight: float, _: bool) -> None:
            nonlocal weight
            b = self.model.b[-1]
            self._to_gradient(Z, b, y, sample_weight, 1.0, loss, 1.0, *self._loss_parameters)
            weight += total_weight

        prediction = self.model_network.predict(batches, self._activate, add_loss)
        return prediction, self.device.collect(loss) / weight


def run_epoch(
    objective: Objective, optimizer: Optimizer, schedule: Constant, batches: Batches, max_grad_norm: float | None
) -> float:
    """One step for each batch; the mean of the batches' losses over the rows.

    A batch whose weights sum to zero says nothing, and is passed over.
    """
    device = objective.device
    n_rows = 0
    for X, y, sample_weight, total_weight, alone in batches:
        if total_weight == 0:
            continue
        n = X.shape[0]
        objective.backpropagate(X, y, sample_weight, 1 / total_weight, n, alone)
        if max_grad_norm is not None:
            device.clip_norm(objective.grad.trainable, max_grad_norm)
        optimizer.step(objective.grad.trainable, schedule.step(), objective.alpha / total_weight, objective.loss, n)
        if objective.ema_decay is not None:
            objective.average()
        n_rows += n
    return device.collect(objective.loss) / n_rows if n_rows else inf


class Training:
    """Mini-batch training, an epoch at a time.

    Parameters
    ----------
    max_grad_norm : float or None
        Longer gradients (of the loss, without the penalty) are shortened to this.
    t : int
        Rows seen in earlier training; for the schedule.
    random_state : RandomState or None
        Shuffles the rows before each epoch; None leaves them in order.
    validate : callable or None
        Gives the validation score and loss.
    early_stopping : bool
        Whether patience depends on the validation score, and not on the training loss.
    best_theta : array or None
        Receives the parameters of each new best validation score.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: Optimizer,
        schedule: Constant,
        batches: Batches,
        patience: Patience,
        *,
        max_grad_norm: float | None,
        t: int,
        random_state: np.random.RandomState | None,
        validate: Callable[[], tuple[float, float]] | None,
        early_stopping: bool,
        best_theta: Array | None,
    ) -> None:
        self.objective = objective
        self.optimizer = optimizer
        self.schedule = schedule
        self.batches = batches
        self.patience = patience
        self.max_grad_norm = max_grad_norm
        self.t = t
        self.random_state = random_state
        self.validate = validate
        self.early_stopping = early_stopping
        self.best_theta = best_theta

    def epoch(self) -> Epoch:
        """Train for one epoch. To be called again unless its record says to stop."""
        if self.random_state is not None:
            self.batches.shuffle(self.random_state)
        loss = run_epoch(self.objective, self.optimizer, self.schedule, self.batches, self.max_grad_norm)
        learning_rate = self.schedule.learning_rate
        score, validation_loss = self.validate() if self.validate is not None else (None, None)
        self.t += self.batches.n_rows
        self.schedule.epoch_ends(self.t)
        record = Epoch(loss, learning_rate, score, validation_loss)
        if not isfinite(loss):
            return record._replace(stop=True)
        is_best = self.patience.update(score if self.early_stopping and score is not None else -loss)
        if is_best and self.best_theta is not None:
            self.best_theta[...] = self.objective.model.vector
        if not self.patience.at_end:
            return record
        stop, what = self.schedule.plateau()
        if not stop:
            self.patience.count = 0
        return record._replace(plateau=what, stop=stop)

    def state(self) -> dict[str, Any]:
        """Where training is, beside the parameters, the order of the rows and the random numbers."""
        network = self.objective.network
        return {
            "optimizer": self.optimizer.state(),
            "schedule": self.schedule.state(),
            "n_no_improvement": self.patience.count,
            "seen_weight": network.seen_weight,
            "n_training_passes": network.n_training_passes,
            "n_averaged": self.objective.n_averaged,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on where the training was whose state this is."""
        self.optimizer.load(state["optimizer"])
        self.schedule.load(state["schedule"])
        self.patience.count = state["n_no_improvement"]
        self.objective.network.seen_weight = state["seen_weight"]
        self.objective.network.n_training_passes = state["n_training_passes"]
        self.objective.n_averaged = state["n_averaged"]
