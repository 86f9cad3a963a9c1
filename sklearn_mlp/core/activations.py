"""The activations: the device's kernels for each and, for hidden layers, the scale of the initial weights."""

from typing import NamedTuple


class Activation(NamedTuple):
    """Names of the kernels A = f(Z + b) and dZ = dA f'(Z), and the variance factor of the initial weights."""

    forward: str
    backward: str
    initial_variance: float


ACTIVATIONS = {
    "identity": Activation("identity", "identity_backward", 6.0),
    "logistic": Activation("logistic", "logistic_backward", 2.0),
    "tanh": Activation("tanh", "tanh_backward", 6.0),
    "relu": Activation("relu", "relu_backward", 6.0),
}

# What the fitted attribute `out_activation_` says -> the kernel f(Z + b).
OUT_ACTIVATIONS = {
    "softmax": "softmax",
    "logistic": "expit",
    "identity": "identity",
    "exp": "exp",
}
