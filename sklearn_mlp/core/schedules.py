"""Learning-rate schedules: the rate of each step, and the response to a plateau."""

from collections.abc import Callable
from math import cos, inf, pi
from numbers import Real


class Constant:
    """The same learning rate throughout.

    Attributes
    ----------
    has_end : bool
        Whether the schedule ends after a fixed number of steps.
    learning_rate : float
        The rate of the last step; before the first one, its rate.
    """

    has_end = False

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def step(self) -> float:
        """Advance by one step, and return its rate."""
        return self.learning_rate

    def epoch_ends(self, t: int) -> None:
        """Update the rate at the end of an epoch, after `t` rows in all."""

    def plateau(self) -> tuple[bool, str]:
        """Respond to exhausted patience; return whether training stops, and a message."""
        return True, "Stopping."

    def state(self) -> dict[str, float]:
        """The state for `load`."""
        return {}

    def load(self, state: dict[str, float]) -> None:
        """Restore a state."""
        for name in self.state().keys() & state.keys():
            setattr(self, name, state[name])


class InverseScaling(Constant):
    """learning_rate_init / (t + 1)**power_t after an epoch, with t the rows seen so far."""

    def __init__(self, learning_rate_init: float, power_t: float) -> None:
        super().__init__(learning_rate_init)
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t

    def epoch_ends(self, t: int) -> None:
        self.learning_rate = self.learning_rate_init / (t + 1) ** self.power_t

    def state(self) -> dict[str, float]:
        return {"learning_rate": self.learning_rate}


class Adaptive(Constant):
    """The rate is divided by 5 at each plateau, until it is 1e-6 or less."""

    def plateau(self) -> tuple[bool, str]:
        if self.learning_rate <= 1e-6:
            return True, "Learning rate too small. Stopping."
        self.learning_rate /= 5.0
        return False, f"Setting learning rate to {self.learning_rate:f}"

    def state(self) -> dict[str, float]:
        return {"learning_rate": self.learning_rate}


class ByProgress(Constant):
    """learning_rate_init times a factor of the progress, which is (step + 1/2) / n_steps for steps from 0.

    Raises
    ------
    ValueError
        If the factor of a step is negative or not finite.
    """

    has_end = True

    def __init__(self, learning_rate_init: float, factor: Callable[[float], float], n_steps: int) -> None:
        super().__init__(learning_rate_init)
        self.learning_rate_init = learning_rate_init
        self.factor = factor
        self.n_steps = n_steps
        self.n_taken = 0

    def step(self) -> float:
        progress = (self.n_taken + 0.5) / self.n_steps
        factor = self.factor(progress)
        if not (isinstance(factor, Real) and 0 <= factor < inf):
            raise ValueError(
                f"learning_rate({progress}) is {factor!r}; the factor of learning_rate_init must be finite and >= 0."
            )
        self.n_taken += 1
        self.learning_rate = self.learning_rate_init * float(factor)
        return self.learning_rate

    def state(self) -> dict[str, float]:
        return {"learning_rate": self.learning_rate, "n_taken": self.n_taken}


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + cos(pi * progress))


def cosine(progress: float) -> float:
    """From 1 to 0 along half a cosine (Loshchilov & Hutter, ICLR 2017)."""
    return _half_cosine(1, 0, progress)


def linear(progress: float) -> float:
    """From 1 to 0 in a straight line."""
    return 1 - progress


def warmed_up(factor: Callable[[float], float], warmup_fraction: float) -> Callable[[float], float]:
    """A linear rise from 0 to 1 over the first `warmup_fraction`, followed by `factor`."""

    def warmed(progress: float) -> float:
        if progress < warmup_fraction:
            return progress / warmup_fraction
        return factor((progress - warmup_fraction) / (1 - warmup_fraction))

    return warmed


def one_cycle(warmup_fraction: float) -> Callable[[float], float]:
    """From 1/25 up to 1, and down to 1/250,000, each along half a cosine (Smith & Topin, 2018)."""

    def factor(progress: float) -> float:
        if progress < warmup_fraction:
            return _half_cosine(1 / 25, 1, progress / warmup_fraction)
        return _half_cosine(1, 1 / 250_000, (progress - warmup_fraction) / (1 - warmup_fraction))

    return factor
