"""Layers: a block is the specification of a layer, without arrays; a layer computes, on a device.

A network is a sequence of blocks, the last of which is a dense one without an activation: the loss, or the output
activation, adds its bias.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy.typing as npt

from sklearn_mlp.core import dense
from sklearn_mlp.core.activations import ACTIVATIONS, GLOROT, Activation, InitialWeights
from sklearn_mlp.core.batches import TrainingBatch
from sklearn_mlp.core.normalization import BatchNorm, LayerNorm
from sklearn_mlp.core.parameters import Slot, Slots
from sklearn_mlp.devices import Device, resolve_kernel

Array = npt.NDArray[Any]
Views = Sequence[Array]


class Layer(Protocol):
    """The computations of a block, with its parameters.

    Attributes
    ----------
    n_units : int
        Approximate number of values that a forward pass stores for each row; determines the size of chunks.
    needs_batch : bool
        Whether training reads `batch`.
    """

    n_units: int
    needs_batch: bool

    def forward(self, X: Any, batch: TrainingBatch | None) -> Any:
        """The output for X. In prediction `batch` is None, and no backward pass follows."""

    def backward(self, dA: Array, grads: Views, need_dX: bool) -> Array | None:
        """Write the gradients of the parameters into `grads`, and return that with respect to X if needed.

        `dA`, the gradient with respect to the output, may be overwritten.
        """


class Block(Protocol):
    """The specification of a layer.

    The first block of a network reads the columns of X; the gradient with respect to them is never requested.
    """

    def slots(self, n_in: int) -> Sequence[Slot]:
        """The parameters of a layer with `n_in` inputs."""

    def n_outputs(self, n_in: int) -> int:
        """The number of outputs of a layer with `n_in` inputs."""

    def layer(self, device: Device, views: Views, dtype: npt.DTypeLike, index: int) -> Layer:
        """Layer `index` of a network, with the parameters `views` in the order of the slots."""


def declare_slots(blocks: Sequence[Block], n_features: int) -> Slots:
    """The slots of a network with `n_features` inputs."""
    slots, n_in = [], n_features
    for block in blocks:
        slots.append(block.slots(n_in))
        n_in = block.n_outputs(n_in)
    return slots


class Buffers(dict[int, list[Array]]):
    """Views of buffers, by the number of rows of a batch; the buffers have the size of the largest batch so far."""

    def __init__(self, device: Device, n_arrays: int, n_columns: int, dtype: npt.DTypeLike) -> None:
        super().__init__()
        self.device = device
        self.n_arrays = n_arrays
        self.n_columns = n_columns
        self.dtype = dtype
        self._arrays: list[Array] = []

    def __missing__(self, n_rows: int) -> list[Array]:
        if not self._arrays or n_rows > self._arrays[0].shape[0]:
            shape = n_rows, self.n_columns
            self._arrays = [self.device.empty(shape, self.dtype) for _ in range(self.n_arrays)]
            self.clear()
        self[n_rows] = [array[:n_rows] for array in self._arrays]
        return self[n_rows]


class Dense(NamedTuple):
    """A = f(X W + b), with normalisation before the bias and, in training, dropout (Srivastava et al., JMLR 2014).

    Attributes
    ----------
    n_units : int
    activation : Activation or None
        None for the output layer, whose output is X W: the loss adds the bias.
    normalization : {None, "batch", "layer"}
    dropout : float
        The probability that an element of A is set to 0.
    initial_weights : InitialWeights or None
        None is the rule of the activation.
    """

    n_units: int
    activation: Activation | None = None
    normalization: Literal["batch", "layer"] | None = None
    dropout: float = 0.0
    initial_weights: InitialWeights | None = None

    def slots(self, n_in: int) -> list[Slot]:
        n = self.n_units
        rule = self.initial_weights or (self.activation.initial_weights if self.activation else GLOROT)
        bound = rule.bound(n_in, n)
        slots = [
            Slot("W", (n_in, n), "weight", bound),
            # The bias is drawn even with normalisation, so that later random numbers are the same.
            Slot("b", (n,), "bias", bound, initial=0.0 if self.normalization else None),
        ]
        if self.normalization is not None:
            slots.append(Slot("gamma", (n,), "scale", initial=1.0))
        if self.normalization == "batch":
            slots.append(Slot("statistics", (2, n), "buffer", initial=((0.0,), (1.0,))))
        return slots

    def n_outputs(self, n_in: int) -> int:
        return self.n_units

    def layer(self, device: Device, views: Views, dtype: npt.DTypeLike, index: int) -> "DenseLayer":
        return DenseLayer(device, self, views, dtype, index)


class DenseLayer:
    """The layer of a `Dense` block."""

    def __init__(self, device: Device, block: Dense, views: Views, dtype: npt.DTypeLike, index: int) -> None:
        self.device = device
        self.W, self.b, *norm_views = views
        fan_in, self.n_units = self.W.shape
        self.index = index
        self.dropout = block.dropout
        self.norm: BatchNorm | LayerNorm | None = None
        if block.normalization is not None:
            self.norm = (BatchNorm if block.normalization == "batch" else LayerNorm)(device, *norm_views)
        self.needs_batch = self.norm is not None or self.dropout > 0
        self.activate = self.activate_backward = None
        n_arrays = 1
        if block.activation is not None:
            self.activate = resolve_kernel(device, block.activation.forward)
            self.activate_backward = resolve_kernel(device, block.activation.backward)
            n_arrays += block.activation.keeps_derivative
        self.outputs = Buffers(device, n_arrays, self.n_units, dtype)
        self.normalised = Buffers(device, 1, self.n_units, dtype)
        self.dropped = Buffers(device, 1, self.n_units, dtype)
        self.input_gradients = Buffers(device, 1, fan_in, dtype)

    def forward(self, X: Any, batch: TrainingBatch | None) -> Array:
        A, *derivative = self.outputs[X.shape[0]]
        if self.norm is None:
            dense.forward(self.device, X, self.W, A)
        else:
            (Z,) = self.normalised[X.shape[0]]
            dense.forward(self.device, X, self.W, Z)
            self.norm.forward(Z, A, batch)
        if self.activate is not None:
            self.activate(A, self.b, *derivative)
        if batch is None:
            return A
        self.X = X
        self.A_or_derivative = derivative[0] if derivative else A
        if not self.dropout:
            return A
        self.keys = hash_keys(batch.seed, batch.number, self.index)
        (output,) = self.dropped[X.shape[0]]
        self.device.dropout(A, output, self.dropout, self.keys)
        return output

    def backward(self, dA: Array, grads: Views, need_dX: bool) -> Array | None:
        """See `Layer.backward`; dA is overwritten by dZ."""
        dW, db, *norm_grads = grads
        if self.activate_backward is None:
            self.device.column_sums(dA, out=db)
        else:
            if self.dropout:
                self.device.dropout(dA, dA, self.dropout, self.keys)
            self.activate_backward(self.A_or_derivative, dA, db)
        if self.norm is not None:
            self.norm.backward(dA, db, norm_grads[0])
        dX = self.input_gradients[dA.shape[0]][0] if need_dX else None
        dense.backward(self.device, self.X, self.W, dA, dW, dX)
        return dX


def hash_keys(*numbers: int) -> tuple[int, int]:
    """Two pseudorandom numbers below 2^32, from small ones (the finaliser of SplitMix64, Steele et al., 2014)."""
    mask = 2**64 - 1
    x = 0
    for number in numbers:
        x = (x ^ number) + 0x9E3779B97F4A7C15 & mask
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
        x ^= x >> 31
    return x >> 32, x & 2**32 - 1


def mlp_blocks(
    hidden_layer_sizes: Sequence[int],
    activations: Sequence[str],
    n_outputs: int,
    *,
    normalization: Literal["batch", "layer"] | None = None,
    dropout: Sequence[float] = (),
    last: str = "relu",
) -> tuple[Dense, ...]:
    """The dense blocks of a multi-layer perceptron.

    Parameters
    ----------
    activations : sequence of str
        A key of `ACTIVATIONS` for each hidden layer.
    dropout : sequence of float
        The dropout rate of each hidden layer; empty for none.
    last : str
        The activation whose rule gives the initial weights of a network without hidden layers, as in scikit-learn.
    """
    rates = dropout or [0.0] * len(hidden_layer_sizes)
    hidden = [
        Dense(n_units, ACTIVATIONS[activation], normalization, rate)
        for n_units, activation, rate in zip(hidden_layer_sizes, activations, rates, strict=True)
    ]
    # As in scikit-learn, the output layer uses the rule of the last hidden layer. Rules by fan_in, which scikit-learn
    # does not have, are for hidden layers only.
    rule = ACTIVATIONS[activations[-1] if activations else last].initial_weights
    return *hidden, Dense(n_outputs, initial_weights=GLOROT if rule.by_fan_in else rule)


def dense_views(
    W: Sequence[Array], b: Sequence[Array], gamma: Sequence[Array] = (), statistics: Sequence[Array] = ()
) -> list[tuple[Array, ...]]:
    """Separate arrays of dense layers as the views of each layer."""
    return [tuple(arrays[i] for arrays in (W, b, gamma, statistics) if i < len(arrays)) for i in range(len(W))]
