"""The full-batch solver: L-BFGS (Liu & Nocedal, 1989) as SciPy has it, on the whole data set's loss."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult, minimize

from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.training import Objective

Array = npt.NDArray[Any]


def minimize_lbfgs(
    objective: Objective,
    batches: Batches,
    total_weight: float,
    *,
    tol: float,
    max_iter: int,
    max_fun: int,
    iteration_ends: Callable[[float], None],
) -> OptimizeResult:
    """Minimise the objective over all rows of `batches`, whose weights sum to `total_weight`.

    The gradient is summed over the batches, so that memory depends on their size and not on the number of rows. SciPy
    works in float64, whatever the precision of the network. The parameters are those of the last iteration when this
    returns, and also when it is interrupted.

    Parameters
    ----------
    tol : float
        The largest component of the gradient at which to stop.
    iteration_ends : callable
        Takes the loss after each iteration; may raise StopIteration.
    """
    device = objective.device
    theta = objective.theta.trainable
    n_weights = objective.theta.weights.size
    reached = device.home(theta).astype(np.float64)

    def loss_and_gradient(x: Array) -> tuple[float, Array]:
        device.write(x, out=theta)
        total = device.zeros(theta.shape, np.float64)
        for X, y, sample_weight, *_ in batches:
            objective.backpropagate(X, y, sample_weight, 1 / total_weight)
            total += objective.grad.trainable
        gradient = device.home(total)
        W = x[:n_weights]
        l2 = objective.alpha / total_weight
        gradient[:n_weights] += l2 * W
        return device.collect(objective.loss) + 0.5 * l2 * float(W @ W), gradient

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
            options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
        )
        reached[...] = result.x
    finally:
        device.write(reached, out=theta)
    return result
