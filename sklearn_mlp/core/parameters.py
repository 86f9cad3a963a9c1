"""All parameters of a network in one flat vector: slots that the layers declare, and the views of the vector."""

from collections.abc import Sequence
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# The order in the vector. Weights come first, so that the L2 penalty applies to one contiguous slice; buffers,
# which are not trained, come last.
KINDS = "weight", "bias", "scale", "buffer"


class Slot(NamedTuple):
    """One array of parameters of a layer.

    Attributes
    ----------
    name : str
    shape : tuple of int
    kind : {"weight", "bias", "scale", "buffer"}
        Only weights are penalised; a buffer, such as running statistics, is not trained.
    bound : float or None
        Initial values are drawn uniformly from +-bound; None draws nothing.
    initial : float, array-like or None
        Deterministic initial values, broadcast to `shape`. With a bound, they replace the drawn values.
    """

    name: str
    shape: tuple[int, ...]
    kind: Literal["weight", "bias", "scale", "buffer"]
    bound: float | None = None
    initial: Any = None


# The slots of each layer of a network.
Slots = Sequence[Sequence[Slot]]


class Part(NamedTuple):
    """A slice of the vector that starts with weights."""

    trainable: Array
    weights: Array


class Parameters:
    """One flat vector and its views.

    Attributes
    ----------
    vector : array of shape (n_parameters,)
    slots : sequence of sequences of Slot
    weights : view of `vector` with all the weights
    trainable : view of `vector` without the buffers
    slices : list of tuples of slice
        The positions of each layer's slots in `vector`.
    views : list of tuples of arrays
        The views of each layer, in the order of its slots.
    W, b, gamma, statistics : lists of views
        Of the dense layers: weights of shape (fan_in, fan_out), biases (fan_out,), and the scales (fan_out,) and the
        running means and variances (2, fan_out) of normalisation.
    """

    def __init__(self, vector: Array, slots: Slots) -> None:
        self.slots = slots
        position: dict[tuple[int, int], slice] = {}
        stop = {}
        start = 0
        for kind in KINDS:
            for i, j, slot in _enumerate(slots):
                if slot.kind == kind:
                    position[i, j] = slice(start, start + prod(slot.shape))
                    start = position[i, j].stop
            stop[kind] = start
        self.slices = [tuple(position[i, j] for j in range(len(of_layer))) for i, of_layer in enumerate(slots)]
        self._n_weights, self._n_trainable = stop["weight"], stop["scale"]
        self._view(vector)

    def _view(self, vector: Array) -> None:
        self.vector = vector
        self.weights = vector[: self._n_weights]
        self.trainable = vector[: self._n_trainable]
        self.views: list[tuple[Array, ...]] = []
        named: dict[str, list[Array]] = {"W": [], "b": [], "gamma": [], "statistics": []}
        for of_layer, parts in zip(self.slots, self.slices, strict=True):
            views = [vector[part].reshape(slot.shape) for slot, part in zip(of_layer, parts, strict=True)]
            self.views.append(tuple(views))
            for slot, view in zip(of_layer, views, strict=True):
                if slot.name in named:
                    named[slot.name].append(view)
        self.W, self.b, self.gamma, self.statistics = named.values()

    def like(self, vector: Array) -> "Parameters":
        """Another vector with the same views."""
        other = object.__new__(Parameters)  # takes a fifth of the time of copy.copy
        vars(other).update(vars(self))
        other._view(vector)
        return other


def _enumerate(slots: Slots) -> list[tuple[int, int, Slot]]:
    return [(i, j, slot) for i, of_layer in enumerate(slots) for j, slot in enumerate(of_layer)]


def n_parameters(slots: Slots) -> int:
    return sum(prod(slot.shape) for _, _, slot in _enumerate(slots))


def empty_parameters(slots: Slots, dtype: npt.DTypeLike) -> Parameters:
    return Parameters(np.empty(n_parameters(slots), dtype), slots)


def draw(slots: Slots, random_state: np.random.RandomState, dtype: npt.DTypeLike) -> Parameters:
    """Initial parameters."""
    parameters = empty_parameters(slots, dtype)
    for i, j, slot in _enumerate(slots):
        view = parameters.views[i][j]
        if slot.bound is not None:
            view[...] = random_state.uniform(-slot.bound, slot.bound, slot.shape)
        if slot.initial is not None:
            view[...] = slot.initial
    return parameters
