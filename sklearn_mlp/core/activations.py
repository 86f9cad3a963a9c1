"""The activations of hidden layers, and the output activations.

Kernels are referred to by their reference implementations, the methods of `CPU`; `resolve_kernel` returns the device's
version.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

from sklearn_mlp.devices import Kernel
from sklearn_mlp.devices.cpu import CPU, LEAK, SELU_ALPHA, SELU_SCALE


class InitialWeights(NamedTuple):
    """Initial weights are uniform in +-sqrt(variance / fan).

    Attributes
    ----------
    variance : float
    by_fan_in : bool
        Whether fan is fan_in instead of fan_in + fan_out.
    """

    variance: float
    by_fan_in: bool = False

    def bound(self, fan_in: int, fan_out: int) -> float:
        return sqrt(self.variance / (fan_in if self.by_fan_in else fan_in + fan_out))


GLOROT = InitialWeights(6.0)  # Glorot & Bengio, 2010
GLOROT_LOGISTIC = InitialWeights(2.0)
HE = InitialWeights(6.0, by_fan_in=True)  # variances of 2 / fan_in (He et al., 2015)
LECUN = InitialWeights(3.0, by_fan_in=True)  # variances of 1 / fan_in (LeCun et al., 1998)


@dataclass(frozen=True)
class Activation:
    """The activation f of a hidden layer.

    Attributes
    ----------
    forward, backward : kernel
        A = f(Z + b), and dZ = dA f'(Z) with db.
    initial_weights : InitialWeights
    torch_name : str
        The module of `torch.nn`.
    onnx : callable
        f of a variable Z in the operators `o` of ONNX.
    keeps_derivative : bool
        Whether f' cannot be computed from A; the forward kernel then stores f'(Z) in an additional array.
    """

    forward: Kernel
    backward: Kernel
    initial_weights: InitialWeights
    torch_name: str
    onnx: Callable[[Any, Any], Any]
    keeps_derivative: bool = False


def _positive(o: Any, Z: Any) -> Any:
    return o.Max(Z, o.number(0))


def _negative(o: Any, Z: Any) -> Any:
    return o.Min(Z, o.number(0))


def _expm1_negative(o: Any, Z: Any) -> Any:
    return o.Sub(o.Exp(_negative(o, Z)), o.number(1))


def _leaky_relu(o: Any, Z: Any) -> Any:
    return o.Add(_positive(o, Z), o.Mul(_negative(o, Z), o.number(LEAK)))


def _elu(o: Any, Z: Any) -> Any:
    return o.Add(_positive(o, Z), _expm1_negative(o, Z))


def _selu(o: Any, Z: Any) -> Any:
    negative = o.Mul(_expm1_negative(o, Z), o.number(SELU_ALPHA))
    return o.Mul(o.Add(_positive(o, Z), negative), o.number(SELU_SCALE))


def _softplus(o: Any, Z: Any) -> Any:
    return o.Add(_positive(o, Z), o.Log(o.Add(o.Exp(o.Neg(o.Abs(Z))), o.number(1))))


def _gelu(o: Any, Z: Any) -> Any:
    return o.Mul(Z, o.Mul(o.Add(o.erf(o.Mul(Z, o.number(0.5**0.5))), o.number(1)), o.number(0.5)))


def _silu(o: Any, Z: Any) -> Any:
    # ONNX Runtime before 1.31 fuses Z * Sigmoid(Z) into an operator that only supports float32.
    return o.Div(Z, o.Add(o.Exp(o.Neg(Z)), o.number(1)))


def _mish(o: Any, Z: Any) -> Any:
    return o.Mul(Z, o.Tanh(_softplus(o, Z)))


ACTIVATIONS = {
    "identity": Activation(CPU.identity, CPU.identity_backward, GLOROT, "Identity", lambda o, Z: Z),
    "logistic": Activation(CPU.logistic, CPU.logistic_backward, GLOROT_LOGISTIC, "Sigmoid", lambda o, Z: o.Sigmoid(Z)),
    "tanh": Activation(CPU.tanh, CPU.tanh_backward, GLOROT, "Tanh", lambda o, Z: o.Tanh(Z)),
    "relu": Activation(CPU.relu, CPU.relu_backward, GLOROT, "ReLU", _positive),
    "leaky_relu": Activation(CPU.leaky_relu, CPU.leaky_relu_backward, HE, "LeakyReLU", _leaky_relu),
    "elu": Activation(CPU.elu, CPU.elu_backward, HE, "ELU", _elu),
    "selu": Activation(CPU.selu, CPU.selu_backward, LECUN, "SELU", _selu),
    "softplus": Activation(CPU.softplus, CPU.softplus_backward, HE, "Softplus", _softplus),
    "gelu": Activation(CPU.gelu, CPU.derivative_backward, HE, "GELU", _gelu, keeps_derivative=True),
    "silu": Activation(CPU.silu, CPU.derivative_backward, HE, "SiLU", _silu, keeps_derivative=True),
    "mish": Activation(CPU.mish, CPU.derivative_backward, HE, "Mish", _mish, keeps_derivative=True),
}

# The kernels f(Z + b) by the value of the fitted attribute `out_activation_`.
OUT_ACTIVATIONS: dict[str, Kernel] = {
    "softmax": CPU.softmax,
    "logistic": CPU.expit,
    "identity": CPU.identity,
    "exp": CPU.exp,
}
