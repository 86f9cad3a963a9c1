"""Learning-rate schedules: the rate of the next epoch, and what to do when training has stopped to improve."""


class Constant:
    """The same learning rate throughout.

    Attributes
    ----------
    learning_rate : float
        The rate of the next step.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def epoch_ends(self, t: int) -> None:
        """Note that training has now seen `t` rows."""

    def plateau(self) -> tuple[bool, str]:
        """Respond to patience at its end: whether training stops, and a word on what was done."""
        return True, "Stopping."


class InverseScaling(Constant):
    """learning_rate_init / (t + 1)**power_t after an epoch, with t the rows seen so far."""

    def __init__(self, learning_rate: float, learning_rate_init: float, power_t: float) -> None:
        super().__init__(learning_rate)
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t

    def epoch_ends(self, t: int) -> None:
        self.learning_rate = self.learning_rate_init / (t + 1) ** self.power_t


class Adaptive(Constant):
    """A fifth of the rate at each plateau, until it is 1e-6 or less."""

    def plateau(self) -> tuple[bool, str]:
        if self.learning_rate <= 1e-6:
            return True, "Learning rate too small. Stopping."
        self.learning_rate /= 5.0
        return False, f"Setting learning rate to {self.learning_rate:f}"
