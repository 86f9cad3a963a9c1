"""A stack of layers: forward and backward pass, and prediction."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from sklearn_mlp.core.batches import Batches, TrainingBatch
from sklearn_mlp.core.layers import Block, Views
from sklearn_mlp.core.normalization import RUNNING_MOMENTUM
from sklearn_mlp.core.parameters import Parameters
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]

# A placeholder for layers that do not read it: constructing one would take 0.5 µs of a step of 10 µs.
ANY_BATCH = TrainingBatch(None, 1.0, 0.0, 0, 0)


class Network:
    """A network with raw scores as its output.

    Parameters
    ----------
    device : Device
    blocks : sequence of Block
        The last one is `Dense` without an activation.
    views : sequence of sequences of arrays
        The parameters of each block, see `Parameters.views`. Read at every pass; training writes only the running
        statistics.
    dtype : numpy dtype
        The precision of every layer's output.
    seed : int, default=0
        Seed of dropout's random numbers, which also depend on the number of training passes.

    Attributes
    ----------
    n_last_hidden : int
        The number of units of the last hidden layer.
    b_out : array of shape (n_outputs,)
        The bias of the output layer.
    n_units : int
        The sum over the layers.
    """

    def __init__(
        self, device: Device, blocks: Sequence[Block], views: Sequence[Views], dtype: npt.DTypeLike, seed: int = 0
    ) -> None:
        self.device = device
        self.dtype = dtype
        self.layers = [
            block.layer(device, of_block, dtype, i)
            for i, (block, of_block) in enumerate(zip(blocks, views, strict=True))
        ]
        W_out, self.b_out = views[-1]
        self.n_last_hidden = W_out.shape[0]
        self.n_units = sum(layer.n_units for layer in self.layers)
        # Layers before the first one with parameters need no gradient.
        self.first_trained = next(i for i, of_block in enumerate(views) if len(of_block))
        self.needs_batch = any(layer.needs_batch for layer in self.layers)
        self.seed = seed
        self.n_training_passes = 0
        self.seen_weight = 0.0

    def forward(self, X: Any) -> Array:
        """The raw scores (n, n_outputs) without the bias `b_out`, which the loss or the output activation adds.

        They are in a buffer, valid until the next forward pass.
        """
        return self._forward(X, None)

    def forward_training(self, X: Any, sample_weight: Array | None, scale: float, single_row: bool) -> Array:
        """As `forward`, with dropout and the normalisation of training; `backward` may follow.

        Parameters
        ----------
        scale : float
            The reciprocal of the sum of the batch's weights.
        single_row : bool
            Whether a single row has all the weight.
        """
        if not self.needs_batch:
            return self._forward(X, ANY_BATCH)
        self.n_training_passes += 1
        rate = 0.0
        if not single_row:
            # An average of the batches by weight, with exponential decay; the rate of the first batch is 1.
            self.seen_weight = (1 - RUNNING_MOMENTUM) * self.seen_weight + 1 / scale
            rate = 1 / (scale * self.seen_weight)
        return self._forward(X, TrainingBatch(sample_weight, scale, rate, self.seed, self.n_training_passes))

    def _forward(self, X: Any, batch: TrainingBatch | None) -> Array:
        for layer in self.layers:
            X = layer.forward(X, batch)
        return X

    def backward(self, dZ: Array, grad: Parameters) -> None:
        """Write into `grad` the gradient of the loss whose gradient with respect to the raw scores is `dZ`.

        Must follow `forward_training` of the same batch, whose activations it reads.
        """
        dA: Any = dZ
        for i in range(len(self.layers) - 1, self.first_trained - 1, -1):
            dA = self.layers[i].backward(dA, grad.views[i], i > self.first_trained)

    def predict(
        self,
        batches: Batches,
        activate: Callable[[Array, Array], None],
        take_scores: Callable[..., None] | None = None,
    ) -> Array:
        """The predictions (n_samples, n_outputs) for the rows of `batches`.

        `activate` is the output activation. `take_scores` is called with the scores of each batch, which it may change,
        and with everything in the batch except X.
        """
        prediction = self.device.empty((batches.n_rows, self.b_out.shape[0]), self.dtype)
        start = 0
        for X, *rest in batches:
            Z = self.forward(X)
            part = prediction[start : start + X.shape[0]]
            part[...] = Z
            activate(part, self.b_out)
            if take_scores is not None:
                take_scores(Z, *rest)
            start += X.shape[0]
        return prediction

    def last_hidden(self, batches: Batches) -> Array:
        """The outputs (n_samples, n_units) of the last hidden layer for the rows of `batches`, as in prediction."""
        output = self.device.empty((batches.n_rows, self.n_last_hidden), self.dtype)
        start = 0
        for A, *_ in batches:
            for layer in self.layers[:-1]:
                A = layer.forward(A, None)
            output[start : start + A.shape[0]] = A
            start += A.shape[0]
        return output
