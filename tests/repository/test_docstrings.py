"""The docstrings of all that is public are numpydoc's, and say what each parameter is."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from numpydoc.validate import validate

import sklearn_mlp
from sklearn_mlp import blocks, callbacks, dask, encoders, export, plotting

# Not asked for: an extended summary where one line says all, and Returns without the name of what is returned, which
# scikit-learn gives.
LEFT_OUT = {"ES01", "RT02"}
# The order of the parameters: the estimators describe theirs in groups.
OF_ESTIMATORS = {"PR03"}
OF_METHODS = {"SA01", "EX01"}  # their class has See Also and Examples
IN_GROUPS = [sklearn_mlp.MLPClassifier, sklearn_mlp.MLPRegressor, dask.DaskMLPClassifier, dask.DaskMLPRegressor]
# Of sklearn.callback.FitCallback, whose docstrings say when each is called.
HOOKS = {"setup", "on_fit_task_begin", "on_fit_task_end", "teardown"}


def _public():
    for module in (sklearn_mlp, blocks, callbacks, dask, encoders, export, plotting):
        for name in module.__all__:
            public = getattr(module, name)
            if isinstance(public, str):
                continue
            yield f"{module.__name__}.{name}", LEFT_OUT | (OF_ESTIMATORS if module in (sklearn_mlp, dask) else set())
            for method in vars(public) if inspect.isclass(public) else ():
                if not (method.startswith("_") or method.endswith("_request") or method in HOOKS):
                    yield f"{module.__name__}.{name}.{method}", LEFT_OUT | OF_METHODS


@pytest.mark.parametrize(("name", "left_out"), [*_public()], ids=lambda value: str(value) if "." in value else "")
def test_docstring(name, left_out):
    problems = [f"{code}: {text}" for code, text in validate(name)["errors"] if code not in left_out]
    assert not problems


@pytest.mark.parametrize("estimator", IN_GROUPS)
def test_parameters_are_in_groups_with_the_defaults_of_the_constructor(estimator):
    text = inspect.getdoc(estimator)
    groups, _, rest = text.partition("Parameters\n----")
    documented, _, rest = rest.partition("Attributes\n----")
    groups = re.findall(r"`(\w+)`", groups.partition("The parameters in groups")[2])
    lines = re.findall(r"^(\w+) : .*default=(.*)$", documented, re.MULTILINE)
    assert [name for name, _ in lines] == groups
    defaults = {name: parameter.default for name, parameter in inspect.signature(estimator).parameters.items()}
    assert {name: ast.literal_eval(default) for name, default in lines} == defaults


def test_table_of_the_guide_has_these_groups():
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "choosing.md").read_text()
    table = guide.partition("## Parameters by group")[2].partition("\n## ")[0]
    found = {tuple(re.findall(r"`(\w+)`", row)) for row in re.findall(r"^\|[^|]+\|(.*)\|$", table, re.MULTILINE)} - {()}
    groups = set()
    for estimator in sklearn_mlp.MLPClassifier, sklearn_mlp.MLPRegressor:
        listed = inspect.getdoc(estimator).partition("The parameters in groups")[2].partition("\nParameters\n")[0]
        groups |= {tuple(re.findall(r"`(\w+)`", group)) for group in listed.split("\n- ")[1:]}
    assert found == groups


@pytest.mark.parametrize("estimator", [sklearn_mlp.MLPClassifier, sklearn_mlp.MLPRegressor])
def test_each_reference_is_cited_and_each_citation_has_its_reference(estimator):
    text = inspect.getdoc(estimator)
    references = re.findall(r"^\.\. \[(\w+)\] ", text, re.MULTILINE)
    assert sorted(references) == sorted(set(re.findall(r"\[(\w+)\]_", text)))
