"""Losses on the raw scores Z of the output layer, and the output activations that are the inverses of their links.

With the canonical link the gradient is the residual, dZ = prediction - target (McCullagh & Nelder, Generalized Linear
Models, 2nd ed., section 2.2). Losses add up over the outputs, but for the squared error, which is reported as a mean
over them and differentiated as a sum: scikit-learn does so, and the same seed has to give the same model.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy.typing as npt

Array = npt.NDArray[Any]


class Loss(NamedTuple):
    """Name of the kernel that turns Z into dZ, and of the output activation, which is the inverse link.

    Some kernels take parameters of the loss besides: the smoothing of labels, the gamma of the focal loss, the delta of
    Huber's, the levels of the quantiles, the power of Tweedie's.
    """

    gradient: str
    out_activation: str


def in_blocks(kernel: Callable[..., None], blocks: Sequence[slice]) -> Callable[..., None]:
    """`kernel`, of a loss or an output activation, on each of the blocks of columns by itself; y has a column for each.

    Without blocks, `kernel` itself.
    """
    if not blocks:
        return kernel

    def of_blocks(Z: Array, b: Array, *y_and_more: Any) -> None:
        for k, columns in enumerate(blocks):
            block = Z[:, columns].copy()
            more = [argument[:, k].copy() if i == 0 else argument for i, argument in enumerate(y_and_more)]
            kernel(block, b[columns], *more)
            Z[:, columns] = block

    return of_blocks


LOSSES = {
    "softmax_log_loss": Loss("softmax_log_loss", "softmax"),
    "logistic_log_loss": Loss("logistic_log_loss", "logistic"),
    "smooth_softmax_log_loss": Loss("smooth_softmax_log_loss", "softmax"),
    "smooth_logistic_log_loss": Loss("smooth_logistic_log_loss", "logistic"),
    "softmax_focal_loss": Loss("softmax_focal_loss", "softmax"),
    "logistic_focal_loss": Loss("logistic_focal_loss", "logistic"),
    "squared_error": Loss("squared_error", "identity"),
    "absolute_error": Loss("absolute_error", "identity"),
    "huber": Loss("huber", "identity"),
    "quantile": Loss("pinball", "identity"),
    "poisson": Loss("poisson_deviance", "exp"),
    "gamma": Loss("gamma_deviance", "exp"),
    "tweedie": Loss("tweedie_deviance", "exp"),
}
