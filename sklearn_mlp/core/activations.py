"""The activations: the device's kernels for each and, for hidden layers, the size of the initial weights."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple


class Activation(NamedTuple):
    """A hidden layer's activation f.

    Attributes
    ----------
    forward, backward : str
        Names of the kernels A = f(Z + b), and dZ = dA f'(Z) with db.
    initial_variance : float
        Initial weights are uniform in +-sqrt(initial_variance / fan), with fan = fan_in + fan_out (Glorot & Bengio,
        2010), or
    by_fan_in : bool
        fan = fan_in alone: 6 for variances of 2 / fan_in (He et al., 2015), 3 for 1 / fan_in (LeCun et al., 1998).
    keeps_derivative : bool
        Whether f' cannot be read off A, so that the forward kernel takes an array to leave f'(Z) in.
    """

    forward: str
    backward: str
    initial_variance: float
    by_fan_in: bool = False
    keeps_derivative: bool = False

    def initial_bound(self, fan_in: int, fan_out: int) -> float:
        return sqrt(self.initial_variance / (fan_in if self.by_fan_in else fan_in + fan_out))


ACTIVATIONS = {
    "identity": Activation("identity", "identity_backward", 6.0),
    "logistic": Activation("logistic", "logistic_backward", 2.0),
    "tanh": Activation("tanh", "tanh_backward", 6.0),
    "relu": Activation("relu", "relu_backward", 6.0),
    "leaky_relu": Activation("leaky_relu", "leaky_relu_backward", 6.0, by_fan_in=True),
    "elu": Activation("elu", "elu_backward", 6.0, by_fan_in=True),
    "selu": Activation("selu", "selu_backward", 3.0, by_fan_in=True),
    "softplus": Activation("softplus", "softplus_backward", 6.0, by_fan_in=True),
    "gelu": Activation("gelu", "derivative_backward", 6.0, by_fan_in=True, keeps_derivative=True),
    "silu": Activation("silu", "derivative_backward", 6.0, by_fan_in=True, keeps_derivative=True),
    "mish": Activation("mish", "derivative_backward", 6.0, by_fan_in=True, keeps_derivative=True),
}

# The output layer's initial weights, after a hidden layer with an activation that goes by fan_in.
_OUTPUT = ACTIVATIONS["identity"]

# What the fitted attribute `out_activation_` says -> the kernel f(Z + b).
OUT_ACTIVATIONS = {
    "softmax": "softmax",
    "logistic": "expit",
    "identity": "identity",
    "exp": "exp",
}


def initial_bounds(layer_sizes: Sequence[int], activations: Sequence[str], last: str) -> list[float]:
    """The bound of each layer's initial weights, by the activation of the layer.

    The output layer goes by `last`, where that is scikit-learn's rule.
    """
    rules = [ACTIVATIONS[name] for name in (*activations, last)]
    if rules[-1].by_fan_in:
        rules[-1] = _OUTPUT
    return [rule.initial_bound(*fans) for rule, fans in zip(rules, pairwise(layer_sizes), strict=True)]
