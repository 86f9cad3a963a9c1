"""The constructor parameters: each is declared once, with its type, its default and scikit-learn's constraints."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, field, fields, make_dataclass
from inspect import get_annotations
from numbers import Integral, Real
from typing import Any, dataclass_transform

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, InvalidParameterError, Options, StrOptions

from sklearn_mlp._checks import suggest
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.optimizers import SOLVERS


class Names(StrOptions):
    """The valid strings of a parameter; errors list them in order, or use `summary`."""

    def __init__(self, options, summary=None):
        super().__init__(options)
        self.summary = summary or f"a str among {{{', '.join(map(repr, sorted(options)))}}}"

    def __str__(self):
        return self.summary


def parameter(default: Any, *constraints: Any) -> Any:
    """Declare a parameter; a value must satisfy one of `constraints`, which are those of `_parameter_constraints`."""
    return field(default=default, metadata={"constraints": [*constraints]})


@dataclass_transform(eq_default=False)
def declares_parameters(cls):
    """Generate the constructor and `_parameter_constraints` of a class from the parameters of the class and its bases.

    The constructor is that of a dataclass with these fields. The class itself does not become a dataclass: Dask, for
    example, hashes a dataclass by its fields only, and would mistake one fitted estimator for another with the same
    parameters.
    """
    own = get_annotations(cls)
    declared = make_dataclass(
        cls.__name__,
        [(name, kind, vars(cls).get(name)) for name, kind in own.items()],
        bases=(getattr(cls, "_declared", object),),
    )
    declared.__init__.__annotations__ = {}  # the signature is scikit-learn's; the docstring has the types
    cls._declared = declared
    cls.__init__ = declared.__init__
    cls._parameter_constraints = {each.name: each.metadata["constraints"] for each in fields(declared)}
    for name in own.keys() & vars(cls):
        delattr(cls, name)
    return cls


# Positional parameters; the regressor has `loss` before them, so that each estimator declares them in its order.
HIDDEN_LAYER_SIZES = parameter((100,), "array-like", Interval(Integral, 1, None, closed="left"))
ACTIVATION = parameter("relu", Names(set(ACTIVATIONS)), "array-like")


class ValidatesNames:
    """Adds the most similar option to the error about an invalid string."""

    def _validate_params(self):
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            for name, constraints in self._parameter_constraints.items():
                value = getattr(self, name)
                if isinstance(value, str) and f"{name!r} parameter" in str(error):
                    options = [option for each in constraints if isinstance(each, Names) for option in each.options]
                    error.args = (str(error) + suggest(value, options),)
            raise


@declares_parameters
class SharedParameters(ValidatesNames, BaseEstimator):
    """The keyword-only parameters of both estimators: scikit-learn's, in its order, and then ours."""

    _: KW_ONLY
    solver: str = parameter("adam", Names({"lbfgs", *SOLVERS}))
    alpha: float = parameter(0.0001, Interval(Real, 0, None, closed="left"))
    batch_size: int | str = parameter("auto", Names({"auto"}), Interval(Integral, 1, None, closed="left"))
    learning_rate: str | Callable[[float], float] = parameter(
        "constant", Names({"constant", "invscaling", "adaptive", "cosine", "linear", "one_cycle"}), callable
    )
    learning_rate_init: float = parameter(0.001, Interval(Real, 0, None, closed="neither"))
    power_t: float = parameter(0.5, Interval(Real, 0, None, closed="left"))
    max_iter: int = parameter(200, Interval(Integral, 1, None, closed="left"))
    shuffle: bool = parameter(True, "boolean")
    random_state: int | np.random.RandomState | None = parameter(None, "random_state")
    tol: float = parameter(1e-4, Interval(Real, 0, None, closed="left"))
    verbose: bool | int = parameter(False, "verbose")
    warm_start: bool = parameter(False, "boolean")
    momentum: float = parameter(0.9, Interval(Real, 0, 1, closed="both"))
    nesterovs_momentum: bool = parameter(True, "boolean")
    early_stopping: bool = parameter(False, "boolean")
    validation_fraction: float = parameter(0.1, Interval(Real, 0, 1, closed="left"))
    beta_1: float = parameter(0.9, Interval(Real, 0, 1, closed="left"))
    beta_2: float = parameter(0.999, Interval(Real, 0, 1, closed="left"))
    epsilon: float = parameter(1e-8, Interval(Real, 0, None, closed="neither"))
    n_iter_no_change: float = parameter(10, Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf}))
    max_fun: int = parameter(15000, Interval(Integral, 1, None, closed="left"))
    device: str = parameter("cpu", str)
    dtype: str | None = parameter(None, Names({"float32", "float64"}), None)
    weight_decay: float = parameter(0.01, Interval(Real, 0, None, closed="left"))
    warmup_fraction: float | str = parameter("auto", Names({"auto"}), Interval(Real, 0, 1, closed="left"))
    max_grad_norm: float | None = parameter(None, Interval(Real, 0, None, closed="neither"), None)
    scoring: str | Callable[..., float] | None = parameter(
        None,
        Names({*get_scorer_names(), "loss"}, "'loss', one of sklearn.metrics.get_scorer_names()"),
        callable,
        None,
    )
    restore_best: bool = parameter(True, "boolean")
    dropout: float | Sequence[float] = parameter(0.0, Interval(Real, 0, 1, closed="left"), "array-like")
    ema_decay: float | None = parameter(None, Interval(Real, 0, 1, closed="left"), None)
    normalization: str | None = parameter(None, Names({"batch", "layer"}), None)
