"""Losses on the raw scores Z of the output layer, each with its canonical inverse link.

With the canonical link the gradient is the residual, dZ = prediction - target (McCullagh & Nelder, Generalized Linear
Models, 2nd ed., section 2.2). The squared error is reported as a mean over the outputs but differentiated as a sum over
them: scikit-learn does so, and the same seed has to give the same model.
"""

from typing import NamedTuple


class Loss(NamedTuple):
    """Name of the kernel that turns Z into dZ, and of the output activation, which is the inverse link."""

    gradient: str
    out_activation: str


LOSSES = {
    "softmax_log_loss": Loss("softmax_log_loss", "softmax"),
    "logistic_log_loss": Loss("logistic_log_loss", "logistic"),
    "squared_error": Loss("squared_error", "identity"),
    "poisson": Loss("poisson_deviance", "exp"),
}
