"""The fitted model without its parameters, which are fitted attributes of the estimator."""

from itertools import chain
from math import inf
from operator import is_

import numpy as np

from sklearn_mlp import _task
from sklearn_mlp._checks import float_dtype
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.layers import dense_views, mlp_blocks
from sklearn_mlp.core.losses import output_activation
from sklearn_mlp.core.network import Network
from sklearn_mlp.devices import kernels_for
from sklearn_mlp.devices.encoded import EncodedTable

# Networks whose buffers have at most about this many numbers are kept between predictions.
KEPT_SIZE = 2**16
NAMES = {activation: name for name, activation in ACTIVATIONS.items()}


class Model:
    """The architecture of a fitted network, and its task: immutable, and safe to share between threads.

    Predictions depend on what was fitted, and not on parameters of the estimator that are set afterwards.

    Parameters
    ----------
    blocks : sequence of Block
    task : Task
    """

    def __init__(self, blocks, task):
        self.blocks = blocks
        self.task = task
        # Idle networks on the estimator's arrays, each with these arrays and its output activation.
        self._idle = []

    def output(self, device, views, X, hidden=False):
        """The output of the network for X, or of its last hidden layer, of shape (n_samples, n_outputs), on the device.

        Parameters
        ----------
        device : Device
        views : list of tuples of arrays
            The parameters of each layer, on the host.
        X : array or sparse matrix of shape (n_samples, n_features)
        hidden : bool, default=False
            Whether to return the output of the last hidden layer.
        """
        if hidden and len(views) == 1:
            raise ValueError(
                "transform returns the output of the last hidden layer, and a network with hidden_layer_sizes=() has "
                "none. Fit one with hidden layers."
            )
        size = X.shape[0] * sum(len(b) for _, b, *_ in views)
        # NumPy's kernels would convert an encoded table to a dense matrix.
        device = kernels_for(device, inf if isinstance(X, EncodedTable) else size)
        on_device, network, activate = self._network(device, views, size <= KEPT_SIZE)
        batch_size = device.chunk_rows(X, network.n_units)
        batches = Batches(device, X, None, None, dtype=network.dtype, batch_size=batch_size)
        output = network.last_hidden(batches) if hidden else network.predict(batches, activate)
        if size <= KEPT_SIZE and _are_same(on_device, views):
            self._idle.append((on_device, network, activate))
        return output

    def _network(self, device, views, takes_idle):
        """The parameters on the device, a network with them for this thread, and its output activation."""
        if takes_idle:
            try:
                idle = self._idle.pop()
            except IndexError:
                pass
            else:
                # Valid unless the arrays of the estimator have been replaced.
                if _are_same(idle[0], views):
                    return idle
        dtype = float_dtype(views[0][0])
        on_device = [tuple(device.to_device(np.asarray(array, dtype)) for array in of_layer) for of_layer in views]
        activate = output_activation(device, self.task.out_activation, tuple(self.task.columns))
        return on_device, Network(device, self.blocks, on_device, dtype), activate

    def state(self):
        """The model as lists, strings, numbers and arrays, for files."""
        hidden = self.blocks[:-1]
        return {
            "hidden_layer_sizes": [block.n_units for block in hidden],
            "activations": [NAMES[block.activation] for block in hidden],
            "normalization": hidden[0].normalization if hidden else None,
            "kind": type(self.task).__name__,
            "task": vars(self.task),
        }

    @classmethod
    def from_state(cls, state):
        """The model with this `state`."""
        task = object.__new__(_task.KINDS[state["kind"]])
        vars(task).update(state["task"])
        sizes, activations = state["hidden_layer_sizes"], state["activations"]
        return cls(mlp_blocks(sizes, activations, task.n_outputs, normalization=state["normalization"]), task)


def fitted_views(mlp):
    """The parameters of each layer of a fitted estimator, as they are in its attributes."""
    # scikit-learn's attributes suffice, as users may set them.
    moments = getattr(mlp, "running_means_", ()), getattr(mlp, "running_variances_", ())
    statistics = [np.stack(pair) for pair in zip(*moments, strict=True)]
    return dense_views(mlp.coefs_, mlp.intercepts_, getattr(mlp, "scales_", ()), statistics)


def parameter_attributes(theta):
    """The fitted attributes that are views of `theta`."""
    return {
        "coefs_": theta.W,
        "intercepts_": theta.b,
        "scales_": theta.gamma,
        "running_means_": [mean for mean, _ in theta.statistics],
        "running_variances_": [variance for _, variance in theta.statistics],
    }


def _are_same(one, other):
    """Whether two lists of tuples contain the same array objects."""
    return all(map(is_, chain.from_iterable(one), chain.from_iterable(other)))
