"""Warnings name the caller's line, once in a search, and filters for scikit-learn's match them."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from sklearn_mlp import MLPClassifier

X, y = load_iris(return_X_y=True)
X = scale(X)
CLF = MLPClassifier((3,), max_iter=2)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: CLF.fit(X, y),
        lambda: make_pipeline(StandardScaler(), CLF).fit(X, y),
        lambda: GridSearchCV(CLF, {"alpha": [0.1]}, cv=2).fit(X, y),
    ],
    ids=["fit", "pipeline", "search"],
)
def test_the_line_is_that_of_the_caller(fit):
    with pytest.warns(ConvergenceWarning, match="Maximum iterations") as record:
        fit()
    assert {(warning.filename, warning.lineno) for warning in record} == {(__file__, fit.__code__.co_firstlineno)}


SCRIPT = """
import warnings
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn_mlp import MLPClassifier
X, y = load_iris(return_X_y=True)
CLF = MLPClassifier((3,), max_iter=2)
GridSearchCV(CLF, {"alpha": [1, 2, 3, 4, 5, 6, 7]}, cv=2).fit(X, y)
for _ in range(3):
    CLF.fit(X, y)
warnings.simplefilter("always")
for _ in range(2):
    CLF.fit(X, y)
"""


def test_python_s_filters_hold_in_a_search(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    heads = [line for line in run.stderr.splitlines() if "Maximum iterations" in line]
    assert [line.split(":")[1] for line in heads] == ["8", "10", "13", "13"], run.stderr
    assert len(run.stderr.splitlines()) == 8
    run = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "ConvergenceWarning: Stochastic Optimizer" in run.stderr


def test_a_filter_for_scikit_learn_s_warnings_matches():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")
        CLF.fit(X, y)


def test_a_shown_warning_can_still_be_an_error():
    for action in ("default", "error", "always", "default"):
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter(action)
            if action == "error":
                with pytest.raises(ConvergenceWarning):
                    _fit()
            else:
                _fit()
        assert len(record) == {"always": 1, "error": 0}.get(action, len(record))


def _fit():
    return CLF.fit(np.copy(X), y)
