"""All weights and biases of a network in one flat vector, and where each layer finds its own."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Layers(NamedTuple):
    """What a network needs of its parameters, see `Parameters`."""

    W: Sequence[Array]
    b: Sequence[Array]
    gamma: Sequence[Array] = ()
    statistics: Sequence[Array] = ()


class Part(NamedTuple):
    """A stretch of the vector that begins with weights."""

    trainable: Array
    weights: Array


class Parameters:
    """One flat vector and its views: the weights W of every layer, then the biases b of every layer.

    Weights come first so that what concerns them alone, the L2 penalty, is arithmetic on one contiguous slice. A
    network with normalisation has the scales of its hidden layers after the biases and, for "batch", at the end what is
    not trained: the running statistics.

    Attributes
    ----------
    vector : array of shape (n_parameters,)
    layer_sizes : sequence of int
        Features, hidden layers, outputs.
    normalization : None, "batch" or "layer"
    weights : view of `vector` with all the weights
    trainable : view of `vector` without the running statistics
    W : list of views of shape (fan_in, fan_out)
    b : list of views of shape (fan_out,)
    gamma : list of views of shape (fan_out,), of the hidden layers
    statistics : list of views of shape (2, fan_out), of the hidden layers
        Mean and variance.
    """

    def __init__(self, vector: Array, layer_sizes: Sequence[int], normalization: str | None = None) -> None:
        self.vector = vector
        self.layer_sizes = layer_sizes
        self.normalization = normalization
        self.W, self.b = [], []
        self.gamma, self.statistics = [], []
        start = 0
        for fan_in, fan_out in pairwise(layer_sizes):
            self.W.append(vector[start : start + fan_in * fan_out].reshape(fan_in, fan_out))
            start += fan_in * fan_out
        self.weights = vector[:start]
        for fan_out in layer_sizes[1:]:
            self.b.append(vector[start : start + fan_out])
            start += fan_out
        if normalization is not None:
            for n_units in layer_sizes[1:-1]:
                self.gamma.append(vector[start : start + n_units])
                start += n_units
        self.trainable = vector[:start]
        if normalization == "batch":
            for n_units in layer_sizes[1:-1]:
                self.statistics.append(vector[start : start + 2 * n_units].reshape(2, n_units))
                start += 2 * n_units

    def like(self, vector: Array) -> "Parameters":
        """Another vector with the same views."""
        return Parameters(vector, self.layer_sizes, self.normalization)


def n_parameters(layer_sizes: Sequence[int], normalization: str | None = None) -> int:
    more = {None: 0, "layer": 1, "batch": 3}[normalization] * sum(layer_sizes[1:-1])
    return more + sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(layer_sizes))


def empty_parameters(layer_sizes: Sequence[int], dtype: npt.DTypeLike, normalization: str | None = None) -> Parameters:
    return Parameters(np.empty(n_parameters(layer_sizes, normalization), dtype), layer_sizes, normalization)


def draw(
    layer_sizes: Sequence[int],
    bounds: Sequence[float],
    random_state: np.random.RandomState,
    dtype: npt.DTypeLike,
    normalization: str | None = None,
) -> Parameters:
    """Initial weights and biases: uniform in +- the bound of their layer.

    Layers with normalisation begin with biases of 0, scales of 1 and the statistics of a standard normal distribution.
    """
    parameters = empty_parameters(layer_sizes, dtype, normalization)
    for W, b, bound in zip(parameters.W, parameters.b, bounds, strict=True):
        W[...] = random_state.uniform(-bound, bound, W.shape)
        b[...] = random_state.uniform(-bound, bound, b.shape)
    for b, gamma in zip(parameters.b, parameters.gamma, strict=False):
        b[...] = 0
        gamma[...] = 1
    for mean, variance in parameters.statistics:
        mean[...] = 0
        variance[...] = 1
    return parameters
