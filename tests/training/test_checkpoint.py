"""Checkpoints: a resumed fit gives the same model; invalid files are refused; crashes lose no checkpoint."""

import errno
import io
import json
import math
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from contextlib import suppress
from copy import deepcopy
from functools import lru_cache, partial
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from same_model import assert_same_model
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.metrics import f1_score, make_scorer, mean_squared_error, recall_score
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp._checkpoint import FORMAT, read_checkpoint, write_checkpoint
from sklearn_mlp.callbacks import Checkpoint, StopWhen
from sklearn_mlp.core.optimizers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_DIGITS, Y_DIGITS = load_digits(return_X_y=True)
X_DIGITS, Y_DIGITS = X_DIGITS[:300] / 16, Y_DIGITS[:300]
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
X_DIABETES = scale(X_DIABETES)
SMALL = {"hidden_layer_sizes": (8, 6), "max_iter": 9, "batch_size": 64, "random_state": 3}
SETTINGS = {solver: {"solver": solver} for solver in SOLVERS} | {
    "sgd adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10, "n_iter_no_change": 1},
    "sgd invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.1},
    "adamw cosine": {"solver": "adamw", "learning_rate": "cosine", "warmup_fraction": 0.2},
    "muon one_cycle": {"solver": "muon", "learning_rate": "one_cycle"},
    "callable": {"learning_rate": lambda progress: 1 - progress / 2},
    "dropout": {"dropout": 0.3},
    "batch": {"normalization": "batch"},
    "layer": {"normalization": "layer", "max_grad_norm": 0.5},
    "averaged": {"ema_decay": 0.95},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "learning_rate_init": 0.03},
    "by loss, keep last": {"early_stopping": True, "scoring": "loss", "restore_best": False},
    "in order": {"shuffle": False},
    "float32": {"dtype": "float32"},
    "all": {
        "solver": "adamw",
        "learning_rate": "cosine",
        "dropout": [0.1, 0.2],
        "normalization": "batch",
        "ema_decay": 0.9,
        "early_stopping": True,
        "max_grad_norm": 1.0,
    },
}


def data(estimator):
    return (X_DIGITS, Y_DIGITS) if estimator is MLPClassifier else (X_DIABETES, Y_DIABETES / 50)


def after(n_epochs):
    return StopWhen(lambda mlp: mlp.n_iter_ == n_epochs)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "digits.checkpoint"


# -- bit-identical results ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
def test_a_resumed_fit_ends_as_if_it_had_not_been_interrupted(estimator, params, path, each_device):
    X, y = data(estimator)
    params = SMALL | params
    uninterrupted = estimator(**params).fit(X, y)
    interrupted = estimator(**params).set_callbacks(Checkpoint(path), after(2)).fit(X, y)
    assert interrupted.n_iter_ == 2
    again = estimator(**params).set_callbacks(Checkpoint(path), after(5)).fit(X, y, resume_from=path)
    assert again.n_iter_ == min(5, uninterrupted.n_iter_)
    resumed = estimator(**params).fit(X, y, resume_from=str(path))
    assert_same_model(resumed, uninterrupted)


@pytest.mark.parametrize("random_state", [np.random.RandomState, lambda seed: None], ids=["RandomState", "None"])
def test_the_random_numbers_are_those_of_the_checkpoint(random_state, path):
    params = SMALL | {"dropout": 0.2, "early_stopping": True}
    np.random.seed(1)  # noqa: NPY002
    uninterrupted = MLPClassifier(**params | {"random_state": random_state(1)}).fit(X_DIGITS, Y_DIGITS)
    np.random.seed(1)  # noqa: NPY002
    interrupted = MLPClassifier(**params | {"random_state": random_state(1)}).set_callbacks(Checkpoint(path), after(2))
    interrupted.fit(X_DIGITS, Y_DIGITS)
    np.random.seed(99)  # noqa: NPY002
    resumed = MLPClassifier(**params | {"random_state": random_state(99)})
    assert_same_model(resumed.fit(X_DIGITS, Y_DIGITS, resume_from=path), uninterrupted)


def test_weights_own_validation_set_and_standardised_targets(path):
    X, y = data(MLPRegressor)
    params = SMALL | {"standardize_target": True, "ema_decay": 0.9, "early_stopping": True, "scoring": "r2"}
    arguments = {
        "sample_weight": np.linspace(0, 1, 300),
        "X_val": X[300:],
        "y_val": 1e4 * y[300:],
        "sample_weight_val": np.linspace(1, 2, 142),
    }
    X, y = X[:300], 1e4 * y[:300]
    MLPRegressor(**params).set_callbacks(Checkpoint(path), after(3)).fit(X, y, **arguments)
    resumed = MLPRegressor(**params).fit(X, y, **arguments, resume_from=path)
    assert_same_model(resumed, MLPRegressor(**params).fit(X, y, **arguments))


def test_strings_sparse_rows_and_several_outputs(path):
    sparse = pytest.importorskip("scipy.sparse")
    for X, y in (
        (sparse.csr_matrix(X_DIGITS), np.array([f"digit {label}" for label in Y_DIGITS], object)),
        (sparse.csc_array(X_DIGITS), np.column_stack([Y_DIGITS, Y_DIGITS % 3])),
        (X_DIGITS, sparse.csr_matrix(np.eye(10, dtype=int)[Y_DIGITS])),
    ):
        clf = MLPClassifier(**SMALL, class_weight="balanced" if y.ndim == 1 else None)
        clone(clf).set_callbacks(Checkpoint(path), after(2)).fit(X, y)
        assert_same_model(clone(clf).fit(X, y, resume_from=path), clf.fit(X, y))


def test_a_warm_start_is_resumed_with_the_history_before_it(path):
    warm = MLPClassifier(**SMALL, warm_start=True, dropout=0.1).fit(X_DIGITS, Y_DIGITS)
    uninterrupted = MLPClassifier(**SMALL, warm_start=True, dropout=0.1).fit(X_DIGITS, Y_DIGITS)
    uninterrupted.fit(X_DIGITS, Y_DIGITS)
    warm.set_callbacks(Checkpoint(path), after(4)).fit(X_DIGITS, Y_DIGITS)
    resumed = MLPClassifier(**SMALL, warm_start=True, dropout=0.1).fit(X_DIGITS, Y_DIGITS, resume_from=path)
    assert_same_model(resumed, uninterrupted)


def test_a_fit_that_was_over_is_only_loaded(path):
    params = SMALL | {"tol": 10, "n_iter_no_change": 2}
    over = MLPClassifier(**params).set_callbacks(Checkpoint(path)).fit(X_DIGITS, Y_DIGITS)
    assert over.n_iter_ == 4
    assert_same_model(MLPClassifier(**params).fit(X_DIGITS, Y_DIGITS, resume_from=path), over)


def test_more_epochs_than_were_planned(path):
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(path)).fit(X_DIGITS, Y_DIGITS)
    resumed = MLPClassifier(**SMALL | {"max_iter": 14}).fit(X_DIGITS, Y_DIGITS, resume_from=path)
    assert_same_model(resumed, MLPClassifier(**SMALL | {"max_iter": 14}).fit(X_DIGITS, Y_DIGITS))
    cosine = MLPClassifier(**SMALL, learning_rate="cosine").set_callbacks(Checkpoint(path)).fit(X_DIGITS, Y_DIGITS)
    with pytest.raises(ValueError, match=r"max_iter was 9\.0, and is 14\.0"):
        cosine.set_params(max_iter=14).fit(X_DIGITS, Y_DIGITS, resume_from=path)


def test_a_checkpoint_changes_nothing(path):
    clf = MLPClassifier(**SMALL | SETTINGS["all"])
    assert_same_model(clone(clf).set_callbacks(Checkpoint(path)).fit(X_DIGITS, Y_DIGITS), clf.fit(X_DIGITS, Y_DIGITS))


def test_an_interrupt_in_the_middle_of_an_epoch_keeps_the_checkpoint_before_it(path, each_device, monkeypatch):
    uninterrupted = MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS)
    relu, calls = each_device.relu, []

    def interrupted(Z, b):
        calls.append(1)
        if len(calls) == 23:
            raise KeyboardInterrupt
        relu(Z, b)

    clf = MLPClassifier(**SMALL).set_callbacks(Checkpoint(path, every=2))
    with monkeypatch.context() as patch:
        patch.setattr(each_device, "relu", interrupted)
        with pytest.warns(UserWarning, match="interrupted"):
            clf.fit(X_DIGITS, Y_DIGITS)
    assert_same_model(MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS, resume_from=path), uninterrupted)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(path):
    weight = np.ones(300)
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(path), after(2)).fit(X_DIGITS, Y_DIGITS, weight)
    return path


OTHER_DATA = {
    "a value": (lambda X, y, weight: (np.where(X[0, 2] == X, X + 1e-9, X), y, weight), "X differ"),
    "rows": (lambda X, y, weight: (X[:-1], y[:-1], weight[:-1]), "X, y, sample_weight differ"),
    "order": (lambda X, y, weight: (X[::-1], y[::-1], weight), "X, y differ"),
    "dtype": (lambda X, y, weight: (X.astype(np.float32), y, weight), "X, sample_weight differ"),
    "labels": (lambda X, y, weight: (X, (y + 1) % 10, weight), "y differ"),
    "weights": (lambda X, y, weight: (X, y, 2 * weight), "sample_weight differ"),
    "no weights": (lambda X, y, weight: (X, y, None), "sample_weight differ"),
}


@pytest.mark.parametrize(("change", "what"), OTHER_DATA.values(), ids=OTHER_DATA)
def test_other_data_are_refused(change, what, checkpoint):
    with pytest.raises(ValueError, match=f"was written for other data: {what}") as error:
        MLPClassifier(**SMALL).fit(*change(X_DIGITS, Y_DIGITS, np.ones(300)), resume_from=checkpoint)
    assert str(checkpoint) in str(error.value)


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({"alpha": 0.1}, r"alpha was 0\.0001, and is 0\.1"),
        ({"random_state": 4}, r"random_state was 3\.0, and is 4\.0"),
        ({"hidden_layer_sizes": (8, 7)}, r"hidden_layer_sizes was \['8\.0', '6\.0'\]"),
        ({"solver": "sgd"}, "solver was adam, and is sgd"),
        ({"learning_rate": np.sqrt}, "learning_rate was constant"),
        ({"class_weight": {0: 2}}, "class_weight was None"),
    ],
)
def test_other_parameters_are_refused(params, what, checkpoint):
    with pytest.raises(ValueError, match=f"was written with other parameters: {what}"):
        MLPClassifier(**SMALL | params).fit(X_DIGITS, Y_DIGITS, np.ones(300), resume_from=checkpoint)


def decay(rate):
    return lambda progress: rate**progress


def by_default(rate):
    def factor(progress, rate=rate, *, power=rate):
        return rate ** (progress * power)

    return factor


def through_a_list(rate):
    rates = [{"rate": rate}]

    def factor(progress):
        def inner():
            return rates[0]["rate"] ** progress

        return inner()

    return factor


def with_an_attribute(rate):
    def factor(progress):
        return factor.rate**progress

    factor.rate = rate
    return factor


class Decay:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, progress):
        return self.rate**progress

    factor = __call__


class Slots:
    __slots__ = ("lock", "rate")

    def __init__(self, rate):
        self.rate, self.lock = rate, threading.Lock()  # a lock cannot be pickled
        self.lock.acquire()

    def __reduce__(self):
        return Slots, (self.rate,)

    def __call__(self, progress):
        return self.rate**progress


def from_script(text):
    """`factor` of a main script."""

    def make(rate):
        variables = {"__name__": "__main__"}
        exec(text.format(rate=rate), variables)
        return variables["factor"]

    return make


GLOBAL = "rate = {rate}\ndef helper(p):\n    return sum(rate**p for _ in range(1))\nfactor = lambda p: helper(p)"
CLASS = "class F:\n    def __call__(self, p):\n        return {rate}**p\nfactor = F()"
PROPERTY = "class F:\n    k = property(lambda self: {rate})\n    __call__ = lambda self, p: self.k**p\nfactor = F()"
CALLABLES = {
    "closure": decay,
    "defaults": by_default,
    "list": through_a_list,
    "attribute": with_an_attribute,
    "partial": lambda rate: partial(pow, rate),
    "partial of keywords": lambda rate: partial(by_default(1), rate=rate),
    "object": Decay,
    "method": lambda rate: Decay(rate).factor,
    "object of slots": Slots,
    "array": lambda rate: partial(np.interp, xp=np.arange(2), fp=np.array([1, rate])),
    "objects": lambda rate: partial(lambda table, p: table[0](p), np.array([decay(rate), None])),
    "wrapped": lambda rate: lru_cache(decay(rate)),
    "code": lambda rate: (lambda p: 0.5**p) if rate == 0.5 else (lambda p: 0.9**p),
    "ufunc": lambda rate: np.exp2 if rate == 0.5 else np.exp,
    "builtin": lambda rate: math.exp if rate == 0.5 else math.sqrt,
    "global of a script": from_script(GLOBAL),
    "class of a script": from_script(CLASS),
    "property of a script": from_script(PROPERTY),
}


@pytest.mark.parametrize("make", CALLABLES.values(), ids=CALLABLES)
def test_another_callable_of_the_same_name_is_refused(make, path):
    def fitted(rate, **kwargs):
        return (
            MLPClassifier(**SMALL, learning_rate=make(rate)).set_callbacks(*callbacks).fit(X_DIGITS, Y_DIGITS, **kwargs)
        )

    callbacks = [Checkpoint(path), after(2)]
    fitted(0.5)
    callbacks = []
    with pytest.raises(ValueError, match=r"learning_rate was \S+ \(code and variables: \w+\), and is \S+ \("):
        fitted(0.9, resume_from=path)
    assert_same_model(fitted(0.5, resume_from=path), fitted(0.5))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (make_scorer(f1_score, average="macro"), make_scorer(f1_score, average="micro")),
        (make_scorer(f1_score, average="macro"), make_scorer(recall_score, average="macro")),
        (make_scorer(mean_squared_error), make_scorer(mean_squared_error, greater_is_better=False)),
    ],
)
def test_another_scorer_is_refused(one, other, path):
    params = SMALL | {"early_stopping": True}
    clf = MLPClassifier(**params, scoring=one)
    clone(clf).set_callbacks(Checkpoint(path), after(2)).fit(X_DIGITS, Y_DIGITS)
    with pytest.raises(ValueError, match=r"scoring was _Scorer \(code and variables: \w+\), and is _Scorer \("):
        MLPClassifier(**params, scoring=other).fit(X_DIGITS, Y_DIGITS, resume_from=path)
    assert_same_model(clone(clf).fit(X_DIGITS, Y_DIGITS, resume_from=path), clf.fit(X_DIGITS, Y_DIGITS))


def test_a_callable_is_compared_as_it_is_before_training(path):
    def counts():
        calls = []
        return lambda progress: calls.append(progress) or 1 / len(calls)

    params = SMALL | {"learning_rate": counts()}
    MLPClassifier(**params).set_callbacks(Checkpoint(path), after(2)).fit(X_DIGITS, Y_DIGITS)
    MLPClassifier(**params | {"learning_rate": counts()}).fit(X_DIGITS, Y_DIGITS, resume_from=path)
    with pytest.raises(ValueError, match="learning_rate was"):
        MLPClassifier(**params).fit(X_DIGITS, Y_DIGITS, resume_from=path)


def test_a_variable_without_a_value():
    def factor(progress):
        return 1.0 if progress >= 0 else later

    clf = MLPClassifier(**SMALL, learning_rate=factor).set_callbacks(after(2))
    assert clf.fit(X_DIGITS, Y_DIGITS).n_iter_ == 2
    later = 1


SAME = """
import functools, math, sys, threading, time, warnings
from pathlib import Path
import numba
import numpy as np
from sklearn.metrics import f1_score, make_scorer
from sklearn.linear_model import LogisticRegression
from sklearn_mlp import MLPClassifier
from sklearn_mlp.callbacks import Checkpoint, StopWhen

warnings.simplefilter("ignore")
rate, names, lock, file, table = 0.5, {"one", "two", "three"}, threading.Lock(), open(__file__), {"a": np.ones(3)}
other = LogisticRegression(C=3).fit(np.eye(3), [0, 1, 1])

def helper(p):
    assert lock and file and names and other
    return {"one": rate, "two": 2}["one"] ** p if p in {0.1, "a", "b", "c"} else again(p)

def again(p, n=1):
    return helper(0.1) if n == 0 else math.exp(-p) * float(table["a"].mean())

class Schedule(list):
    power = 2
    @property
    def factor(self):
        return rate
    @staticmethod
    def static(p):
        return p
    def __call__(self, p):
        return self.factor ** self.static(p)

def scorer(clf, X, y, names=names):
    return (clf.predict(X) == y).mean()

compiled = numba.njit(lambda p: 1 - p)
X = np.random.default_rng(0).normal(size=(40, 3))
for number, (schedule, scoring) in enumerate([
    (lambda p: helper(p) + functools.reduce(max, [p]), scorer),
    (Schedule([1, 2]), make_scorer(f1_score, average="macro")),
    (compiled, None),
    (functools.partial(again, n=2), "accuracy"),
]):
    path = Path(sys.argv[1], str(number))
    clf = MLPClassifier((5,), early_stopping=True, random_state=0, max_iter=5, learning_rate=schedule, scoring=scoring)
    if not path.exists():
        clf.set_callbacks(Checkpoint(path), StopWhen(lambda mlp: mlp.n_iter_ == 2)).fit(X, X[:, 0] > 0)
    else:
        print(clf.fit(X, X[:, 0] > 0, resume_from=path).n_iter_)
"""


def test_the_same_script_in_another_process_is_not_refused(tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "checkpoints"
    script.write_text(SAME)
    folder.mkdir()
    outputs = [
        subprocess.run(
            [sys.executable, str(script), str(folder)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        for seed in "12"
    ]
    assert [output.stderr for output in outputs] == ["", ""]
    assert outputs[1].stdout.split() == ["5"] * 4


def test_what_makes_no_difference_is_not_refused(checkpoint, capsys):
    params = SMALL | {"hidden_layer_sizes": np.array([8, 6]), "verbose": True, "max_fun": 3, "device": "auto"}
    MLPClassifier(**params).fit(X_DIGITS, Y_DIGITS, np.ones(300), resume_from=checkpoint)
    assert capsys.readouterr().out.startswith("Iteration 3, ")


def test_another_estimator_is_refused(checkpoint):
    with pytest.raises(ValueError, match="was written by a MLPClassifier, and this is a MLPRegressor"):
        MLPRegressor(**SMALL).fit(X_DIGITS, Y_DIGITS, np.ones(300), resume_from=checkpoint)


@pytest.mark.parametrize("where", [0, 10, 30, 100, 5000, -1])
def test_a_changed_byte_is_found(where, checkpoint):
    content = bytearray(checkpoint.read_bytes())
    content[where] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged|is not a checkpoint of this version"):
        MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS, np.ones(300), resume_from=checkpoint)


@pytest.mark.parametrize("length", [0, 10, 40, 5000])
def test_a_torn_file_is_found(length, checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"is damaged|is not a checkpoint of this version"):
        MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS, np.ones(300), resume_from=checkpoint)


SOLVER = "fit.training.optimizer"
HOSTILE = {
    # NumPy's RandomState would read beyond its array
    "position": ("fit.random_state.state.pos", 2**30),
    "position before": ("random_state.state.pos", -1),
    "position of a bool": ("random_state.state.pos", True),
    "short key": ("random_state.state.key", np.zeros(8, np.uint32)),
    "key of doubles": ("fit.random_state.state.key", np.zeros(624)),
    "generator": ("random_state.bit_generator", "PCG64"),
    "gauss": ("random_state.has_gauss", 7),
    "method": ("fit.record.predict", 1.0),
    "parameter": ("fit.record.max_iter", 10**9),
    "text in a curve": ("fit.record.loss_curve_", [1.0, "2.0"]),
    "no curve": ("fit.record.loss_curve_", None),
    "curve": ("fit.record.validation_scores_", [1.0]),
    "epochs": ("fit.record.n_iter_", -1),
    "epochs beyond": ("fit.record.n_iter_", 2**64),
    "best": ("fit.record.best_loss_", "0"),
    "weights": ("fit.theta", np.zeros(3)),
    "precision": ("fit.theta", "float32"),
    "best weights": ("fit.best_theta", "theta"),
    "rows beyond": ("fit.rows", np.arange(1, 301)),
    "a row twice": ("fit.rows", np.zeros(300, np.intp)),
    "rows before": ("fit.rows", np.arange(-1, 299)),
    "moments": (f"{SOLVER}.m", np.zeros(0)),
    "steps": (f"{SOLVER}.t", -1),
    "state of another solver": (f"{SOLVER}", {"velocity": np.zeros(3)}),
    "schedule": ("fit.training.schedule.learning_rate", np.zeros(2)),
    "weight": ("fit.training.seen_weight", -1.0),
    "patience": ("fit.training.n_no_improvement", 0.5),
    "over": ("fit.is_over", "yes"),
    "identity": ("identity.data", ["X"]),
    "estimator": ("identity.estimator", 3),
    "parameters": ("identity.parameters.alpha", [0.0001]),
    "more": ("more", 1),
}


def change(content, name, value):
    """Set the part of that dotted name; or remove it, for `KeyError`."""
    *parents, last = name.split(".")
    for parent in parents:
        content = content[parent]
    if value is KeyError:
        del content[last]
    else:
        content[last] = value


@pytest.mark.parametrize(("name", "value"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_checkpoint_is_refused(name, value, checkpoint):
    content = read_checkpoint(checkpoint)
    if isinstance(value, str) and name.startswith("fit") and "theta" in name:
        value = content["fit"]["theta"].astype("float32" if value == "float32" else float)
    change(content, name, value)
    write_checkpoint(checkpoint, content)
    clf = MLPClassifier(**SMALL)
    with pytest.raises(ValueError, match=r"resume_from=.* is not a checkpoint of this fit: its [\w.]+ is not valid"):
        clf.fit(X_DIGITS, Y_DIGITS, np.ones(300), resume_from=checkpoint)
    assert vars(clf).keys() == vars(clone(clf)).keys()


def parts(content, prefix=""):
    """The dotted names of all parts of nested dicts."""
    names = []
    for name, part in content.items():
        names += [prefix + name, *(parts(part, f"{prefix}{name}.") if isinstance(part, dict) else [])]
    return names


def test_a_checkpoint_without_one_of_its_parts_is_refused(checkpoint):
    names = parts(read_checkpoint(checkpoint))
    assert len(names) > 80
    for name in names:
        if not name.startswith("identity."):
            content = read_checkpoint(checkpoint)
            change(content, name, KeyError)
            other = checkpoint.with_name("other")
            write_checkpoint(other, content)
            with pytest.raises(ValueError, match="is not a checkpoint of this fit"):
                MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS, np.ones(300), resume_from=other)


def test_a_schedule_beyond_its_end_is_refused(path):
    table = [1.0, 0.5, 0.25]
    params = SMALL | {"learning_rate": lambda progress: table[int(3 * progress)]}
    MLPClassifier(**params).set_callbacks(Checkpoint(path), after(2)).fit(X_DIGITS, Y_DIGITS)
    content = read_checkpoint(path)
    content["fit"]["training"]["schedule"]["n_taken"] = 11  # of 5 in each of 9 epochs
    write_checkpoint(path, content)
    with pytest.raises(ValueError, match="its n_taken is not valid"):
        MLPClassifier(**params).fit(X_DIGITS, Y_DIGITS, resume_from=path)


def arrays_as_npz(**options):
    file = io.BytesIO()
    np.savez_compressed(file, zeros=np.zeros(10**6), **options)
    return file.getvalue()


def text(content, rest=b""):
    return len(content).to_bytes(8, "little") + content + rest


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0" * 7,
        text(b"{}"),
        text(b"[]"),
        text(b"null"),
        text(b'{"identity": 1, "random_state": 2, "fit": 3}'),
        text(b"[" * 10**6),
        text(b'{"a":' * 10**5 + b"1" + b"}" * 10**5),
        text(b"[" * 900 + b"]" * 900),
        text(b"9" * 10**5),
        text(b"\xff\xfe{}"),
        (2**64 - 1).to_bytes(8, "little") + b"{}",
        *(
            text(json.dumps({"dtype": dtype, "start": start, "stop": stop}).encode(), b"\0" * 80)
            for dtype, start, stop in [
                ("|O", 0, 8),
                ("<f8", 0, 2**70),
                ("<f8", -(2**70), -8),
                ("<f8", 1.0, 8),
                ("<f8", [], {}),
                ("<f8", 0, 7),
                (["<f8"], 0, 8),
                ("(1000000000,)f8", 0, 8),
                (None, None, None),
            ]
        ),
        arrays_as_npz(),
        arrays_as_npz(zero_objects=np.array([None, print])),
    ],
)
def test_a_file_with_the_right_checksum_and_other_content_is_refused(payload, path):
    path.write_bytes(FORMAT + sha256(payload).digest() + payload)
    with pytest.raises(ValueError, match=r"is not a checkpoint of this fit: its [\w.]+ is not valid"):
        MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS, resume_from=path)


def test_a_large_array_is_not_made(path):
    # A file of 1 MB with 1000 references to the same 800 kB.
    reference = {"dtype": "<f8", "start": 0, "stop": 8 * 10**5}
    payload = text(json.dumps([reference] * 1000).encode(), bytes(8 * 10**5))
    path.write_bytes(FORMAT + sha256(payload).digest() + payload)
    tracemalloc.start()
    with pytest.raises(ValueError, match="is not a checkpoint of this fit"):
        MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS, resume_from=path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_what_is_no_checkpoint_is_not_read_to_its_end():
    if not os.path.exists("/dev/zero"):
        pytest.skip("there is no endless file")
    with pytest.raises(ValueError, match="is not a checkpoint of this version"):
        MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS, resume_from="/dev/zero")


NUMBERS = [-1, 0, 1, 623, 625, 2**30, 2**53 - 1, 2**64, 10**300, -1.0, 0.0, 0.5, 1e308, np.inf, -np.inf, np.nan]
OTHERS = [None, True, False, "", "MT19937", "predict", {}, {"a": 1}, {"array": 0}, [], [1.0], [None], [[[]]]]
SIZES = st.sampled_from([0, 1, 7, 54, 60, 624])


@st.composite
def arrays(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64, np.uint32, np.intp]))
    value = draw(st.sampled_from([0, 1, 2**31] + [np.nan, -np.inf] * (np.dtype(dtype).kind == "f")))
    return np.full(draw(SIZES), value, dtype)


def random_change(data, content):
    name = data.draw(st.sampled_from(parts(content)))
    *parents, last = name.split(".")
    part = content
    for parent in [*parents, last]:
        part = part[parent]
    changes = [st.sampled_from([KeyError, *NUMBERS, *OTHERS]), arrays()]
    if isinstance(part, np.ndarray):
        filled = st.builds(lambda value: np.full_like(part, value), st.sampled_from([0, 1, 100]))
        changes += [filled, st.permutations(part.tolist()).map(lambda items: np.array(items, part.dtype))]
    elif isinstance(part, list):
        item = st.sampled_from([*NUMBERS, *OTHERS])
        changes += [st.builds(lambda item: [*part, item], item), st.just(part[:-1])]
    elif isinstance(part, dict):
        new = st.sampled_from(["", "predict", "max_iter", "theta", "dtype"])
        changes += [st.builds(lambda name, value: part | {name: value}, new, st.sampled_from([*NUMBERS, *OTHERS]))]
    change(content, name, deepcopy(data.draw(st.one_of(changes))))


@pytest.mark.parametrize("params", [SETTINGS[name] for name in ("all", "muon one_cycle", "sgd adaptive", "callable")])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_checkpoint_crashes_the_process(params, tmp_path, data):
    path = tmp_path / "hostile.checkpoint"
    X, y = X_DIGITS[:60, 10:14], Y_DIGITS[:60] % 3
    clf = MLPClassifier(**SMALL | params | {"max_iter": 4, "hidden_layer_sizes": (3, 4), "batch_size": 20})
    if not (tmp_path / "right").exists():
        clone(clf).set_callbacks(Checkpoint(tmp_path / "right"), after(2)).fit(X, y)
    content = read_checkpoint(tmp_path / "right")
    for _ in range(data.draw(st.integers(1, 2))):
        random_change(data, content)
    write_checkpoint(path, content)
    before = clf.get_params()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            clf.fit(X, y, resume_from=path)
        except ValueError:
            return
        with suppress(ValueError):  # weights can be of any value
            clf.predict(X)
    assert clf.get_params() == before
    assert vars(clf).keys() == vars(clone(clf).fit(X, y)).keys()


def test_a_file_that_is_not_there(tmp_path):
    clf = MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS)
    with pytest.raises(FileNotFoundError, match=r"resume_from='.*nowhere' cannot be read \(No such file"):
        clf.fit(X_DIGITS, Y_DIGITS, resume_from=tmp_path / "nowhere")
    clf.predict(X_DIGITS)


def test_lbfgs_is_refused(path):
    clf = MLPClassifier(**SMALL, solver="lbfgs")
    with pytest.raises(ValueError, match=r"resume_from=.* is for the stochastic solvers"):
        clf.fit(X_DIGITS, Y_DIGITS, resume_from=path)
    with pytest.raises(ValueError, match=r"Checkpoint is for .* with a stochastic solver"):
        clf.set_callbacks(Checkpoint(path)).fit(X_DIGITS, Y_DIGITS)


# -- the files ---------------------------------------------------------------------------------------------------------


def n_epochs(path):
    """Of a checkpoint: by loading it."""
    return MLPClassifier(**SMALL | {"max_iter": 1}).fit(X_DIGITS, Y_DIGITS, resume_from=path).n_iter_


def test_every_and_keep(path):
    clf = MLPClassifier(**SMALL).set_callbacks(Checkpoint(path, every=2, keep=3))
    clf.fit(X_DIGITS, Y_DIGITS)
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.1", f"{path.name}.2"]
    # The last epoch's is there, too, though 9 is not a multiple of 2.
    assert [n_epochs(file) for file in (path, f"{path}.1", f"{path}.2")] == [9, 8, 6]
    clf.fit(X_DIGITS, Y_DIGITS, resume_from=f"{path}.2")
    assert [n_epochs(file) for file in (path, f"{path}.1", f"{path}.2")] == [9, 8, 9]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_fits_of_a_search_write_files_of_their_own(n_jobs, tmp_path):
    clf = MLPClassifier(**SMALL).set_callbacks(Checkpoint(tmp_path / "runs" / "{task}.checkpoint"))
    search = GridSearchCV(clf, {"alpha": [0.1, 1.0]}, cv=2, n_jobs=n_jobs).fit(X_DIGITS, Y_DIGITS)
    files = sorted((tmp_path / "runs").iterdir())
    assert [file.stem for file in files] == ["0-0-0", "0-0-1", "0-0-2", "0-0-3", "0-1"]
    resumed = clone(search.best_estimator_).set_callbacks().fit(X_DIGITS, Y_DIGITS, resume_from=files[-1])
    assert_same_model(resumed, search.best_estimator_.set_callbacks())


def test_one_file_for_all_fits_of_a_search_is_refused(path):
    search = GridSearchCV(MLPClassifier(**SMALL).set_callbacks(Checkpoint(path)), {"alpha": [1.0]}, cv=2)
    with pytest.raises(ValueError, match=r"would be overwritten by each fit of the search. Put \{task\} into the path"):
        search.set_params(error_score="raise").fit(X_DIGITS, Y_DIGITS)


def test_a_folder_that_cannot_be_written_to_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    path = tmp_path / "file" / "digits.checkpoint"
    recorded = []
    clf = MLPClassifier(**SMALL).set_callbacks(Checkpoint(path), StopWhen(recorded.append))
    with pytest.raises(OSError, match="Checkpoint cannot write to its path") as error:
        clf.fit(X_DIGITS, Y_DIGITS)
    assert error.value.filename == str(path)
    assert not recorded


def test_a_full_disk_loses_neither_the_fit_nor_the_checkpoint_before(path, monkeypatch):
    # No file can be longer than half a checkpoint, from now on.
    resource = pytest.importorskip("resource", reason="a limit on the size of files is a thing of Unix")
    clf = MLPClassifier(**SMALL)
    clone(clf).set_callbacks(Checkpoint(path), after(2)).fit(X_DIGITS, Y_DIGITS)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.warns(
            RuntimeWarning, match=r"could not write '.*digits.checkpoint' after epoch \d: File too large"
        ):
            fitted = clone(clf).set_callbacks(Checkpoint(path)).fit(X_DIGITS, Y_DIGITS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]
    assert_same_model(fitted.set_callbacks(), clf.fit(X_DIGITS, Y_DIGITS))


def n_iter(path):
    return read_checkpoint(path)["fit"]["record"]["n_iter_"]


def test_a_disk_that_fills_keeps_all_that_are_kept(path, monkeypatch):
    fsync = os.fsync

    def full(descriptor):
        if path.exists() and n_iter(path) >= 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match=r"No space left on device\. The earlier checkpoints are kept"):
        MLPClassifier(**SMALL).set_callbacks(Checkpoint(path, keep=3)).fit(X_DIGITS, Y_DIGITS)
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.1", f"{path.name}.2"]
    assert [n_iter(file) for file in (path, f"{path}.1", f"{path}.2")] == [4, 3, 2]


def no_hard_links(*args):
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_without_hard_links_the_same_are_kept(path, monkeypatch):
    monkeypatch.setattr(os, "link", no_hard_links)
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(path, keep=3)).fit(X_DIGITS, Y_DIGITS)
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.1", f"{path.name}.2"]
    assert [n_iter(file) for file in (path, f"{path}.1", f"{path}.2")] == [9, 8, 7]


class Stopped(BaseException):
    """As if the process was killed."""


class Faults:
    """Lets the call number `at` of those that change files fail; if by `Stopped`, all later ones too."""

    def __init__(self, monkeypatch, at, error):
        self.at, self.error, self.n_calls = at, error, 0
        for name in ("replace", "link", "unlink", "fsync"):
            monkeypatch.setattr(os, name, self.failing(getattr(os, name)))

    def failing(self, call):
        def fails(*args, **kwargs):
            self.n_calls += 1
            if self.n_calls == self.at or (self.n_calls > self.at and self.error is Stopped):
                raise self.error
            return call(*args, **kwargs)

        return fails


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("error", [Stopped, OSError(errno.EIO, "Input/output error")], ids=["killed", "error"])
@pytest.mark.parametrize("keep", [1, 3])
def test_no_interruption_of_a_write_loses_a_checkpoint(keep, error, links, path, monkeypatch):
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(path), after(1)).fit(X_DIGITS, Y_DIGITS)
    content = read_checkpoint(path)
    files = [path, *(path.with_name(f"{path.name}.{i}") for i in range(1, keep))]

    def write(epoch):
        content["fit"]["record"]["n_iter_"] = epoch
        write_checkpoint(path, content, keep)

    if not links:
        monkeypatch.setattr(os, "link", no_hard_links)
    failed, at = True, 0
    while failed:
        at += 1
        for file in path.parent.iterdir():
            file.unlink()
        for epoch in range(1, 7):
            write(epoch)
        assert [n_iter(file) for file in files] == [6, 5, 4][:keep]
        with monkeypatch.context() as patch:
            faults = Faults(patch, at, error)
            with suppress(Stopped, OSError):
                write(7)
            failed = faults.n_calls >= at
        newest = n_iter(path)
        numbered = [file for file in path.parent.iterdir() if file.suffix != ".tmp"]
        assert {n_iter(file) for file in numbered} >= {*range(newest, newest - keep, -1)}
        assert newest in (6, 7)
        write(8)
        assert [n_iter(file) for file in files] == [8, newest, newest - 1][:keep]
        assert not path.with_name(f"{path.name}.{keep}").exists()
    assert at > 4


def test_failures_one_after_the_other_lose_no_checkpoint(path, monkeypatch):
    def fails(source, target, replace=os.replace):
        if target == path and path.exists() and n_iter(path) == 5:
            raise PermissionError(errno.EACCES, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.warns(RuntimeWarning, match="Permission denied"):
        MLPClassifier(**SMALL).set_callbacks(Checkpoint(path, keep=3)).fit(X_DIGITS, Y_DIGITS)
    monkeypatch.undo()
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(path, keep=3), after(6)).fit(X_DIGITS, Y_DIGITS, resume_from=path)
    assert [n_iter(file) for file in (path, f"{path}.1", f"{path}.2")] == [6, 5, 4]


def test_a_checkpoint_that_someone_deletes_is_written_again(path):
    class Deletes(StopWhen):
        def on_fit_task_begin(self, estimator, context):
            if context.task_id == 3:
                path.unlink()

    clf = MLPClassifier(**SMALL).set_callbacks(Checkpoint(path, keep=2), Deletes(lambda clf: False))
    clf.fit(X_DIGITS, Y_DIGITS)
    assert n_epochs(path) == 9


def test_files_of_others_are_left_alone(path):
    digits = "0123456789abcdef" * 2
    others = [f"{path.name}.test", f"{path.name}.0123.tmp", f"{path.name}.notes.tmp", f"{path.name}.1", "x.tmp"]
    others += [f"other{path.name}.{digits}.tmp", f"{path.name}.{digits.upper()}.tmp", f"{path.name}.{digits}.tmp.gz"]
    for name in others:
        path.with_name(name).write_text(name)
        os.utime(path.with_name(name), (0, 0))
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(path)).fit(X_DIGITS, Y_DIGITS)
    assert sorted(file.name for file in path.parent.iterdir()) == sorted([path.name, *others])
    assert all(path.with_name(name).read_text() == name for name in others)


def test_what_a_killed_process_has_left_is_removed_after_an_hour(path):
    old, new = (path.with_name(f"{path.name}.{digit * 32}.tmp") for digit in "0f")
    for file, age in ((old, 3700), (new, 3500)):
        file.write_bytes(b"half")
        os.utime(file, (time.time() - age,) * 2)
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(path)).fit(X_DIGITS, Y_DIGITS)
    assert sorted(path.parent.iterdir()) == [path, new]


def test_a_path_is_that_of_the_beginning_of_the_fit(tmp_path, monkeypatch):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    checkpoint = Checkpoint("run.checkpoint", keep=2)
    moves = StopWhen(lambda mlp: os.chdir(tmp_path / "other"))
    clf = MLPClassifier(**SMALL).set_callbacks(pickle.loads(pickle.dumps(checkpoint)), moves)
    clf.fit(X_DIGITS, Y_DIGITS)
    assert sorted(os.listdir(tmp_path / "one")) == ["run.checkpoint", "run.checkpoint.1"]
    assert not os.listdir(tmp_path / "other")
    # The next fit with the same callback begins in the other folder.
    MLPClassifier(**SMALL).set_callbacks(checkpoint).fit(X_DIGITS, Y_DIGITS)
    assert n_epochs(tmp_path / "other" / "run.checkpoint") == 9


def test_a_symbolic_link_stays_one(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "target"
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("no permission to make symbolic links")
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(path)).fit(X_DIGITS, Y_DIGITS)
    assert path.is_symlink()
    assert not target.is_symlink()
    assert n_epochs(target) == n_epochs(path) == 9
    assert sorted(os.listdir(tmp_path)) == [path.name, "elsewhere"]


def test_path_like_objects(tmp_path):
    path = tmp_path / "run.checkpoint"
    path.touch()
    (entry,) = os.scandir(tmp_path)
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(entry)).fit(X_DIGITS, Y_DIGITS)
    assert os.listdir(tmp_path) == [path.name]
    assert n_epochs(path) == 9


def test_two_checkpoints_of_one_fit(path):
    other = path.with_name("other")
    clf = MLPClassifier(**SMALL).set_callbacks(Checkpoint(path, every=2, keep=2), Checkpoint(other, every=3, keep=2))
    clf.fit(X_DIGITS, Y_DIGITS)
    assert [n_epochs(file) for file in (path, f"{path}.1", other, f"{other}.1")] == [9, 8, 9, 6]


def test_a_folder_is_no_checkpoint(tmp_path):
    clf = MLPClassifier(**SMALL).set_callbacks(Checkpoint(tmp_path))
    with pytest.raises(IsADirectoryError, match=r"Checkpoint cannot write to its path \(Is a directory\)"):
        clf.fit(X_DIGITS, Y_DIGITS)


@pytest.mark.parametrize("params", [{"every": 0}, {"keep": 0}, {"path": 3}])
def test_parameters_are_checked(params):
    with pytest.raises(ValueError, match=f"The {next(iter(params))!r} parameter of Checkpoint"):
        Checkpoint(**{"path": "x"} | params)


# -- SIGKILL -----------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys, warnings
from pathlib import Path
import numpy as np
from threadpoolctl import threadpool_limits
from sklearn.datasets import load_digits
from sklearn_mlp.core.optimizers import SOLVERS
from sklearn_mlp import MLPClassifier
from sklearn_mlp.callbacks import Checkpoint

folder, params = Path(sys.argv[1]), eval(sys.argv[2])
path = folder / "run.checkpoint"
X, y = load_digits(return_X_y=True)
warnings.simplefilter("ignore")
with threadpool_limits(1):
    clf = MLPClassifier((64, 32), batch_size=32, max_iter=60, tol=0, n_iter_no_change=np.inf, random_state=0, **params)
    print("ready", flush=True)
    clf.set_callbacks(Checkpoint(path, keep=2)).fit(X / 16, y, resume_from=path if path.exists() else None)
# A kill during the write leaves no half of a file.
np.savez(folder / "written.npz", *clf.coefs_, *clf.intercepts_, np.array(clf.loss_curve_))
(folder / "written.npz").rename(folder / "model.npz")
"""
KILLED = [
    {"dropout": 0.2, "normalization": "batch", "ema_decay": 0.95, "early_stopping": True},
    {"solver": "adamw", "learning_rate": "cosine"},
    {"solver": "muon", "early_stopping": True, "dropout": 0.1},
    {"solver": "sgd", "learning_rate": "adaptive", "normalization": "layer"},
]


posix = pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")


def run(folder, params):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), repr(params)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def model_of(folder):
    with np.load(folder / "model.npz") as arrays:
        return [arrays[name] for name in arrays.files]


def kill_and_resume(n_kills, tmp_path):
    """Kill the processes of several training runs at random moments, until each run is complete."""
    rng = np.random.default_rng()
    n_done = n_trainings = 0
    while n_done < n_kills:
        params = KILLED[n_trainings % len(KILLED)]
        n_trainings += 1
        undisturbed, folder = tmp_path / "undisturbed", tmp_path / "killed"
        for new in (undisturbed, folder):
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
        _, err = run(undisturbed, params).communicate(timeout=300)
        assert (undisturbed / "model.npz").exists(), err
        while not (folder / "model.npz").exists():
            process = run(folder, params)
            assert process.stdout.readline() == "ready\n", process.communicate()
            if n_done < n_kills:
                time.sleep(rng.uniform(0, 1.0))
                process.send_signal(signal.SIGKILL)
                n_done += process.wait() == -signal.SIGKILL
            _, err = process.communicate(timeout=300)
            assert process.returncode in (0, -signal.SIGKILL), err
        for ours, theirs in zip(model_of(folder), model_of(undisturbed), strict=True):
            np.testing.assert_array_equal(ours, theirs, strict=True)
    names = re.compile(r"(model|written)\.npz|run\.checkpoint(\.1|\.[0-9a-f]{32}\.tmp)?")
    assert all(map(names.fullmatch, os.listdir(folder)))


@posix
def test_a_process_that_is_killed_loses_nothing(tmp_path):
    kill_and_resume(3, tmp_path)


@posix
@pytest.mark.slow
@pytest.mark.parametrize("part", [1, 2])  # for two workers
def test_processes_that_are_killed_20_times_lose_nothing(part, tmp_path):
    kill_and_resume(10, tmp_path)


# -- several processes on one path -------------------------------------------------------------------------------------

WRITER = """
import sys, warnings
warnings.simplefilter("error")
import numpy as np
from threadpoolctl import threadpool_limits
from sklearn_mlp import MLPClassifier
from sklearn_mlp.callbacks import Checkpoint

X = np.random.default_rng(0).normal(size=(40, 3))
clf = MLPClassifier((5,), max_iter=30, tol=0, n_iter_no_change=np.inf, random_state=0)
warnings.filterwarnings("ignore", "Stochastic Optimizer")
print("ready", flush=True)
sys.stdin.readline()
with threadpool_limits(1):
    for _ in range(5):
        clf.set_callbacks(Checkpoint(sys.argv[1]), Checkpoint(sys.argv[2], keep=3)).fit(X, X[:, 0] > 0)
"""


def test_processes_that_write_the_same_path_do_not_disturb_each_other(path):
    other = path.with_name("other")
    command = [sys.executable, "-c", WRITER, str(path), str(other)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    writers = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 4
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    n_read = 0
    while any(writer.poll() is None for writer in writers):
        for file in (path, other):
            if file.exists():
                n_read += n_iter(file) > 0  # an error if it is not complete
    assert n_read
    assert [writer.communicate()[1] for writer in writers] == [""] * 4
    files = {*path.parent.iterdir()}
    assert {path, other} <= files <= {path, other, other.with_name("other.1"), other.with_name("other.2")}
    assert {n_iter(file) for file in files} <= {*range(1, 31)}
