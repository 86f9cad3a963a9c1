"""The docstrings of all that is public are numpydoc's, and say what each parameter is."""

import ast
import inspect

import pytest
from numpydoc.validate import validate

import sklearn_mlp
from sklearn_mlp import callbacks, export, plotting

# Not asked for: an extended summary where one line says all, and Returns without the name of what is returned, which
# scikit-learn gives.
LEFT_OUT = {"ES01", "RT02"}
OF_METHODS = {"SA01", "EX01"}  # their class has See Also and Examples
# Of sklearn.callback.FitCallback, whose docstrings say when each is called.
HOOKS = {"setup", "on_fit_task_begin", "on_fit_task_end", "teardown"}


def _public():
    for module in (sklearn_mlp, callbacks, export, plotting):
        for name in module.__all__:
            public = getattr(module, name)
            if isinstance(public, str):
                continue
            yield f"{module.__name__}.{name}", LEFT_OUT
            for method in vars(public) if inspect.isclass(public) else ():
                if not (method.startswith("_") or method.endswith("_request") or method in HOOKS):
                    yield f"{module.__name__}.{name}.{method}", LEFT_OUT | OF_METHODS


@pytest.mark.parametrize(("name", "left_out"), [*_public()], ids=lambda value: str(value) if "." in value else "")
def test_docstring(name, left_out):
    problems = [f"{code}: {text}" for code, text in validate(name)["errors"] if code not in left_out]
    assert not problems


@pytest.mark.parametrize("estimator", [sklearn_mlp.MLPClassifier, sklearn_mlp.MLPRegressor])
def test_parameters_are_in_the_order_of_the_constructor_with_its_defaults(estimator):
    text = inspect.getdoc(estimator)
    documented = text[text.index("Parameters\n----") : text.index("Attributes\n----")]
    start = 0
    for name, parameter in inspect.signature(estimator).parameters.items():
        start = documented.index(f"\n{name} : ", start)
        line = " ".join(documented[start + 1 :].split("\n    ")[0].split())
        assert ast.literal_eval(line.rpartition("default=")[2]) == parameter.default
