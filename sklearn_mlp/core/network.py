"""A stack of dense layers: forward keeps what backward needs, in buffers that every batch reuses."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy.typing as npt

from sklearn_mlp.core import dense
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.normalization import FORGETTING, BatchNorm, LayerNorm
from sklearn_mlp.core.parameters import Layers, Parameters
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


class Buffers:
    """Arrays of (rows of a batch, n_columns) that grow to the largest batch, and their first rows for smaller ones."""

    def __init__(self, device: Device, n_arrays: int, n_columns: int, dtype: npt.DTypeLike) -> None:
        self.device = device
        self.n_arrays = n_arrays
        self.n_columns = n_columns
        self.dtype = dtype
        self._arrays: list[Array] = []
        self._views: dict[int, list[Array]] = {}

    def __getitem__(self, n_rows: int) -> list[Array]:
        if n_rows not in self._views:
            if not self._arrays or n_rows > self._arrays[0].shape[0]:
                shape = n_rows, self.n_columns
                self._arrays = [self.device.empty(shape, self.dtype) for _ in range(self.n_arrays)]
                self._views.clear()
            self._views[n_rows] = [array[:n_rows] for array in self._arrays]
        return self._views[n_rows]


class HiddenLayer:
    """A = f(X W + b), in training with dropout (Srivastava et al., JMLR 2014), and the way back.

    Attributes
    ----------
    output : array of shape (n, n_units)
        What the last forward pass gave to the next layer.
    dA : array of shape (n, n_units)
        Where the gradient with respect to `output` goes.
    """

    def __init__(
        self,
        device: Device,
        activation: str,
        n_units: int,
        dtype: npt.DTypeLike,
        dropout: float = 0.0,
        norm: BatchNorm | LayerNorm | None = None,
    ) -> None:
        kernels = ACTIVATIONS[activation]
        self.device = device
        self.activate = getattr(device, kernels.forward)
        self.activate_backward = getattr(device, kernels.backward)
        self.buffers = Buffers(device, 3 if kernels.keeps_derivative else 2, n_units, dtype)
        self.norm = norm
        self.normalised = Buffers(device, 1, n_units, dtype)
        self.dropout = dropout
        self.dropped = Buffers(device, 1, n_units, dtype)

    def forward(self, X: Any, W: Array, b: Array, batch: "TrainingBatch | None" = None, i: int = 0) -> Array:
        """The output of the layer, which is number `i`; `batch` is None in prediction."""
        A, self.dA, *derivative = self.buffers[X.shape[0]]
        Z = A if self.norm is None else self.normalised[X.shape[0]][0]
        dense.forward(self.device, X, W, Z)
        if self.norm is not None and batch is None:
            self.norm.forward(Z, A)
        elif self.norm is not None and batch is not None:
            self.norm.forward_training(Z, A, batch.sample_weight, batch.scale, batch.rate)
        self.activate(A, b, *derivative)
        self.keep = derivative or [A]
        self.keys = _keys(batch.seed, batch.number, i) if batch is not None and self.dropout else None
        if self.keys is None:
            self.output = A
        else:
            (self.output,) = self.dropped[X.shape[0]]
            self.device.dropout(A, self.output, self.dropout, self.keys)
        return self.output

    def backward(self, db: Array, dgamma: Array | None) -> None:
        """Turn `dA` into dZ; `db` and `dgamma` receive the gradients of the bias and of the normalisation's scale."""
        if self.keys is not None:
            self.device.dropout(self.dA, self.dA, self.dropout, self.keys)
        self.activate_backward(*self.keep, self.dA, db)
        if self.norm is not None and dgamma is not None:
            self.norm.backward(self.dA, db, dgamma)


class TrainingBatch(NamedTuple):
    """What training, and not prediction, does with a batch depends on.

    `scale` is one over the sum of the weights, `rate` that of the running statistics; the random numbers of dropout
    follow from `seed` and the `number` of the batch.
    """

    sample_weight: Array | None
    scale: float
    rate: float
    seed: int
    number: int


class Network:
    """A fully connected network with raw scores as its output.

    Parameters
    ----------
    device : Device
    parameters : Parameters or Layers
        Read at every pass; training writes the running statistics alone.
    activations : sequence of str
        A key of `ACTIVATIONS` for each hidden layer.
    dtype : numpy dtype
        The precision of every layer's output.
    dropout : sequence of float, default=()
        The dropout rate of each hidden layer; none of them drops anything by default.
    seed : int, default=0
        Of dropout's random numbers, which also depend on how many training passes there were.
    """

    def __init__(
        self,
        device: Device,
        parameters: Parameters | Layers,
        activations: Sequence[str],
        dtype: npt.DTypeLike,
        dropout: Sequence[float] = (),
        seed: int = 0,
    ) -> None:
        self.device = device
        self.W = W = parameters.W
        self.b = parameters.b
        self.dtype = dtype
        self.n_units = sum(b.shape[0] for b in self.b)
        norms: list[BatchNorm | LayerNorm | None] = [None] * len(activations)
        if parameters.statistics:
            norms = [BatchNorm(device, *views) for views in zip(parameters.gamma, parameters.statistics, strict=True)]
        elif parameters.gamma:
            norms = [LayerNorm(device, gamma) for gamma in parameters.gamma]
        rates = dropout or [0.0] * len(activations)
        self.hidden = [
            HiddenLayer(device, activation, W.shape[1], dtype, rate, norm)
            for activation, W, rate, norm in zip(activations, W[:-1], rates, norms, strict=True)
        ]
        # Half a microsecond of a step that takes 10.
        self.is_plain = not any(rates) and not any(norms)
        self.seed = seed
        self.n_training_passes = 0
        self.seen_weight = 0.0
        self.scores = Buffers(device, 1, W[-1].shape[1], dtype)

    def forward(self, X: Any) -> Array:
        """The product Z = A W of the output layer (n, n_outputs), to which its bias is still to be added.

        What adds it is the loss or the output activation. Z is a buffer, valid until the next forward pass.
        """
        return self._forward(X, None)

    def forward_training(self, X: Any, sample_weight: Array | None, scale: float, alone: bool) -> Array:
        """As `forward`, with dropout and the normalisation of training.

        Parameters
        ----------
        scale : float
            One over the sum of the batch's weights.
        alone : bool
            Whether one row has all the weight.
        """
        if self.is_plain:
            return self._forward(X, None)
        self.n_training_passes += 1
        rate = 0.0
        if not alone:
            # An average over the batches, each by its weight and with FORGETTING; the first one's rate is 1.
            self.seen_weight = (1 - FORGETTING) * self.seen_weight + 1 / scale
            rate = 1 / (scale * self.seen_weight)
        return self._forward(X, TrainingBatch(sample_weight, scale, rate, self.seed, self.n_training_passes))

    def _forward(self, X: Any, batch: TrainingBatch | None) -> Array:
        for i, (layer, W, b) in enumerate(zip(self.hidden, self.W, self.b, strict=False)):
            X = layer.forward(X, W, b, batch, i)
        (Z,) = self.scores[X.shape[0]]
        dense.forward(self.device, X, self.W[-1], Z)
        return Z

    def backward(self, X: Any, dZ: Array, grad: Parameters) -> None:
        """Write into `grad` the gradient of the loss whose gradient with respect to the raw scores is `dZ`.

        To be called after `forward` of the same batch, whose activations it reads.
        """
        self.device.column_sums(dZ, out=grad.b[-1])
        for i in range(len(self.hidden), 0, -1):
            layer = self.hidden[i - 1]
            dense.backward(self.device, layer.output, self.W[i], dZ, grad.W[i], layer.dA)
            layer.backward(grad.b[i - 1], grad.gamma[i - 1] if grad.gamma else None)
            dZ = layer.dA
        dense.backward(self.device, X, self.W[0], dZ, grad.W[0], None)

    def predict(
        self,
        batches: Batches,
        activate: Callable[[Array, Array], None],
        take_scores: Callable[..., None] | None = None,
    ) -> Array:
        """The predictions (n_samples, n_outputs) for the rows of `batches`.

        `activate` is the output activation. `take_scores` is called with the scores of each batch, which it may change,
        and with what the batch has beside X.
        """
        prediction = self.device.empty((batches.n_rows, self.b[-1].shape[0]), self.dtype)
        start = 0
        for X, *rest in batches:
            Z = self.forward(X)
            part = prediction[start : start + X.shape[0]]
            part[...] = Z
            activate(part, self.b[-1])
            if take_scores is not None:
                take_scores(Z, *rest)
            start += X.shape[0]
        return prediction


def _keys(*numbers: int) -> tuple[int, int]:
    """Two numbers below 2^32 that look random, from small ones (the finaliser of SplitMix64, Steele et al., 2014)."""
    mask = 2**64 - 1
    x = 0
    for number in numbers:
        x = (x ^ number) + 0x9E3779B97F4A7C15 & mask
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
        x ^= x >> 31
    return x >> 32, x & 2**32 - 1
