"""Type checkers read the annotations of the package in the code of its users."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_mlp

PACKAGE = Path(sklearn_mlp.__file__).parent
CODE = """
import numpy as np
from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.callbacks import Checkpoint, StopWhen, TimeLimit

X = np.zeros((9, 3))
y = np.arange(9) % 2
clf = MLPClassifier(hidden_layer_sizes=(5,), max_iter=5).fit(X, y)
print(clf.predict_proba(X)[:, 1], clf.score(X, y), clf.loss_curve_)
MLPClassifier((5, 5), "relu", solver="sgd", class_weight={0: 2.0}, random_state=np.random.RandomState(0)).fit(X, y)
MLPRegressor("huber", 5, learning_rate=lambda progress: 1 - progress, dtype="float32").fit(X, y, X_val=X, y_val=y)
model = MLPRegressor()
model.set_params(alpha=0.1).set_callbacks(TimeLimit(60), StopWhen(lambda **epoch: False), Checkpoint("model"))
print(model.fit(X, y).coefs_[0].shape, model.n_iter_)
"""


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_mypy_on_the_code_of_a_user(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed (make check installs it)")
    (tmp_path / "good.py").write_text(CODE)
    (tmp_path / "bad.py").write_text(CODE + 'MLPClassifier(max_iter="five")\n')
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir=cache", "good.py", "bad.py"],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    error, summary = run.stdout.splitlines()
    assert error.startswith('bad.py:15: error: Argument "max_iter" to "MLPClassifier"')
    assert summary.startswith("Found 1 error")
