"""The objective: the regularised mean loss of a network, and its gradient."""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from sklearn_mlp.core.batches import Batches
from sklearn_mlp.core.layers import Block
from sklearn_mlp.core.losses import Loss, output_activation
from sklearn_mlp.core.network import Network
from sklearn_mlp.core.parameters import Parameters
from sklearn_mlp.devices import Device

Array = npt.NDArray[Any]


class Objective:
    """The regularised mean loss of a network, (sum of w_i L_i + alpha/2 |W|^2) / sum of w_i, and its gradient.

    Parameters
    ----------
    device : Device
    theta : Parameters
        On the device, with the slots of `blocks`.
    blocks : sequence of Block
    loss : Loss
    alpha : float
        The strength of the penalty, which the optimizers add.
    seed : int, default=0
        Seed of dropout.
    ema_decay : float or None, default=None
        Decay of the exponential moving average of the parameters; None for no average.

    Attributes
    ----------
    network : Network
        Reads the views of `theta`.
    theta, grad : Parameters
        The point at which the objective is evaluated, and the gradient there.
    model : Parameters
        The parameters for prediction: `theta`, or its exponential moving average.
    loss : accumulator
        The sum of the losses that `backpropagate` and the optimizer add. Read once an epoch, so that there is no
        synchronisation with a GPU within it.
    """

    def __init__(
        self,
        device: Device,
        theta: Parameters,
        blocks: Sequence[Block],
        loss: Loss,
        alpha: float,
        *,
        seed: int = 0,
        ema_decay: float | None = None,
    ) -> None:
        dtype = theta.vector.dtype
        self.device = device
        self.theta = theta
        self.grad = theta.like(device.empty(theta.vector.shape, dtype))
        self.network = Network(device, blocks, theta.views, dtype, seed)
        self.model, self.model_network = theta, self.network
        self.ema_decay = ema_decay
        self.n_averaged = 0
        if ema_decay is not None:
            self.model = theta.like(theta.vector.copy())
            self.model_network = Network(device, blocks, self.model.views, dtype)
        self.alpha = alpha
        self.loss = device.accumulator()
        self._to_gradient = loss.kernel_on(device, self.network.b_out.shape[0], dtype)
        self._activate = output_activation(device, loss.out_activation, loss.columns)

    def backpropagate(
        self, X: Any, y: Any, sample_weight: Any, scale: float, share: float = 1.0, single_row: bool = False
    ) -> None:
        """Write into `grad` the gradient of a batch's weighted sum of losses times `scale`; `share` of it is added to
        `loss`. `single_row` is whether a single row has all the weight.
        """
        network = self.network
        Z = network.forward_training(X, sample_weight, scale, single_row)
        self._to_gradient(Z, network.b_out, y, sample_weight, scale, self.loss, share)  # Z becomes dZ
        network.backward(Z, self.grad)

    def of_constant(self, scores: Array, y: Any, sample_weight: Any) -> float:
        """The mean loss if every row has the same scores."""
        device = self.device
        n_rows, total = y.shape[0], y.shape[0] if sample_weight is None else float(sample_weight.sum())
        Z = device.zeros((n_rows, scores.size), scores.dtype)
        y, b = device.to_device(y), device.to_device(scores)
        sample_weight = None if sample_weight is None else device.to_device(sample_weight)
        loss = device.accumulator()
        self._to_gradient(Z, b, y, sample_weight, 1 / total, loss, 1.0)
        return device.collect(loss)

    def average(self) -> None:
        """Update the moving average of the parameters.

        The decay is at most (t + 1) / (t + 10) in step t, so that the initial weights soon lose their influence.
        """
        assert self.ema_decay is not None
        decay = min(self.ema_decay, (self.n_averaged + 1) / (self.n_averaged + 10))
        self.n_averaged += 1
        self.device.move_towards(self.model.vector, self.theta.vector, 1 - decay)

    def evaluate(self, batches: Batches) -> tuple[Array, float]:
        """The predictions (n_samples, n_outputs) for the rows of `batches`, and their mean loss without the penalty."""
        loss = self.device.accumulator()
        weight = 0.0

        def add_loss(Z: Array, y: Any, sample_weight: Any, total_weight: float, _: bool) -> None:
            nonlocal weight
            self._to_gradient(Z, self.model_network.b_out, y, sample_weight, 1.0, loss, 1.0)
            weight += total_weight

        prediction = self.model_network.predict(batches, self._activate, add_loss)
        return prediction, self.device.collect(loss) / weight
