"""The full-batch solver: SciPy's L-BFGS (Liu & Nocedal, 1989) on the loss of the whole data set."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult, minimize

from sklearn_mlp.core.batches import Data
from sklearn_mlp.core.blocks import BlockData
from sklearn_mlp.core.objective import Objective
from sklearn_mlp.core.training import Plan

Array = npt.NDArray[Any]


# Takes a float64 vector x; returns the mean loss without the penalty, and its float64 gradient.
MeanLoss = Callable[[Array], tuple[float, Array]]


def minimize_lbfgs(
    plan: Plan,
    mean_loss: MeanLoss,
    total_weight: float,
    objective: Objective,
    iteration_ends: Callable[[float], None],
) -> OptimizeResult:
    """Minimise the objective over all rows, starting from its parameters.

    SciPy works in float64, whatever the precision of the network. After a return or an interrupt, the parameters are
    those of the last iteration.

    Parameters
    ----------
    plan : Plan
        Training stops when no component of the gradient exceeds its `tol`.
    mean_loss : callable
        See `MeanLoss`.
    total_weight : float
        The sum of the weights of all rows.
    objective : Objective
    iteration_ends : callable
        Takes the loss after each iteration; may raise StopIteration.
    """
    device = plan.device
    theta = objective.theta.trainable
    n_weights = objective.theta.weights.size
    reached = device.to_host(theta).astype(np.float64)
    l2 = objective.alpha / total_weight

    def loss_and_gradient(x: Array) -> tuple[float, Array]:
        loss, gradient = mean_loss(x)
        W = x[:n_weights]
        gradient[:n_weights] += l2 * W
        return loss + 0.5 * l2 * float(W @ W), gradient

    def callback(intermediate_result: OptimizeResult) -> None:
        reached[...] = intermediate_result.x
        device.write(reached, out=theta)
        iteration_ends(float(intermediate_result.fun))

    try:
        result = minimize(
            loss_and_gradient,
            reached.copy(),
            method="L-BFGS-B",
            jac=True,
            callback=callback,
            options={"maxfun": plan.max_fun, "maxiter": plan.max_iter, "gtol": plan.tol},
        )
        reached[...] = result.x
    finally:
        device.write(reached, out=theta)
    return result


def mean_loss(plan: Plan, data: Data | BlockData, total_weight: float, objective: Objective) -> MeanLoss:
    """The mean loss over the rows of `data`, computed in chunks to limit the memory.

    The sum is divided by `total_weight`, that of all rows even if `data` has only some of them.
    """
    device = plan.device
    batches = data.chunks(device, plan.dtype, objective.network.n_units)
    theta = objective.theta.trainable

    def evaluate(x: Array) -> tuple[float, Array]:
        device.write(x, out=theta)
        gradient = device.zeros(theta.shape, np.float64)
        for X, y, sample_weight, *_ in batches:
            objective.backpropagate(X, y, sample_weight, 1 / total_weight)
            gradient += objective.grad.trainable
        return device.collect(objective.loss), device.to_host(gradient)

    return evaluate
