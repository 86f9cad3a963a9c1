"""All weights and biases of a network in one flat vector, and where each layer finds its own."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Parameters:
    """One flat vector and its views: the weights W of every layer, then the biases b of every layer.

    Weights come first so that what concerns them alone, the L2 penalty, is arithmetic on one contiguous slice.

    Attributes
    ----------
    vector : array of shape (n_parameters,)
    layer_sizes : sequence of int
        Features, hidden layers, outputs.
    weights : view of `vector` with all the weights
    W : list of views of shape (fan_in, fan_out)
    b : list of views of shape (fan_out,)
    """

    def __init__(self, vector: Array, layer_sizes: Sequence[int]) -> None:
        self.vector = vector
        self.layer_sizes = layer_sizes
        self.W, self.b = [], []
        start = 0
        for fan_in, fan_out in pairwise(layer_sizes):
            self.W.append(vector[start : start + fan_in * fan_out].reshape(fan_in, fan_out))
            start += fan_in * fan_out
        self.weights = vector[:start]
        for fan_out in layer_sizes[1:]:
            self.b.append(vector[start : start + fan_out])
            start += fan_out


def n_parameters(layer_sizes: Sequence[int]) -> int:
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(layer_sizes))


def draw(
    layer_sizes: Sequence[int], bounds: Sequence[float], random_state: np.random.RandomState, dtype: npt.DTypeLike
) -> Parameters:
    """Initial weights and biases: uniform in +- the bound of their layer."""
    parameters = Parameters(np.empty(n_parameters(layer_sizes), dtype), layer_sizes)
    for W, b, bound in zip(parameters.W, parameters.b, bounds, strict=True):
        W[...] = random_state.uniform(-bound, bound, W.shape)
        b[...] = random_state.uniform(-bound, bound, b.shape)
    return parameters
