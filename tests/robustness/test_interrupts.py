"""Ctrl-C: a fit that the user has called ends with the model so far, and one within a search with the search."""

import copy
import signal
import sys
import threading
import time
import warnings

import numpy as np
import polars  # noqa: F401 - with its handler of interrupts, waits without a timeout do not end
import pytest
import sklearn.base
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from sklearn_mlp import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
X = scale(X)


def interrupt(progress):
    """A learning rate whose computation is interrupted in the middle of training."""
    if progress > 0.5:
        raise KeyboardInterrupt
    return 1.0


class Wrapper(ClassifierMixin, BaseEstimator):
    """What a library that is not scikit-learn may have."""

    def __init__(self, clf):
        self.clf = clf

    def fit(self, X, y):
        self.clf.fit(X, y)
        return self


def within_scorer(clf):
    def score(model, X, y):
        try:
            clf.fit(X, y)
        except KeyboardInterrupt:
            raise SystemExit from None
        return 0.0

    try:
        MLPClassifier((3,), scoring=score).fit(X, y, X_val=X, y_val=y)
    except SystemExit:
        raise KeyboardInterrupt from None


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    "fit",
    [
        lambda clf: GridSearchCV(clf, {"alpha": [0.1, 0.2]}, error_score="raise").fit(X, y),
        lambda clf: cross_val_score(clf, X, y),
        lambda clf: make_pipeline(StandardScaler(), clf).fit(X, y),
        lambda clf: BaggingClassifier(clf, 2).fit(X, y),
        lambda clf: Wrapper(clf).fit(X, y),
        within_scorer,
    ],
    ids=["search", "cross_val_score", "pipeline", "bagging", "another library", "scorer"],
)
def test_it_ends_what_has_called_fit(fit, solver, monkeypatch):
    clf = MLPClassifier((5,), learning_rate=interrupt, solver=solver, max_iter=10)
    if solver == "lbfgs":
        monkeypatch.setattr("sklearn_mlp._fit.minimize_lbfgs", lambda *_: interrupt(1))
    with pytest.raises(KeyboardInterrupt):
        fit(clf)


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_fit_of_the_user_keeps_what_is_trained(estimator):
    with pytest.warns(UserWarning, match="interrupted by user") as record:
        model = estimator(hidden_layer_sizes=(5,), learning_rate=interrupt, max_iter=10, random_state=0).fit(X, y)
    assert record[0].filename == __file__
    assert model.n_iter_ == 5
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_at_the_end_of_a_fit_it_is_too_late(method):
    """KeyboardInterrupt in each line that runs once the model is in place, and before."""
    fitted = MLPRegressor(hidden_layer_sizes=(5,), max_iter=2, random_state=0).partial_fit(X, y)

    def interrupted_at(n):
        """The model and the exception of a fit with an interrupt at the n-th line from the last lines of training."""
        model, count = copy.copy(fitted), None

        def trace(frame, event, _):
            nonlocal count
            name = frame.f_code.co_filename
            # Not within scikit-learn's handling of its configuration, which an interrupt would leave half restored.
            if "sklearn_mlp" not in name and name != sklearn.base.__file__:
                return None
            if frame.f_code.co_name == "_fitted" and count is None:
                count = 0
            if event == "line" and count is not None:
                count += 1
                if count == n:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            getattr(model, method)(X, y)
        except KeyboardInterrupt as error:
            return model, error, count
        finally:
            sys.settrace(before)
        return model, None, count

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        new, _, n_lines = interrupted_at(None)
    assert n_lines > 20
    outcomes = set()
    for n in range(1, n_lines + 1):
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            model, error, _ = interrupted_at(n)
        is_new = np.array_equal(model.coefs_[0], new.coefs_[0])
        assert is_new or np.array_equal(model.coefs_[0], fitted.coefs_[0])
        has_warned = any("interrupted by user" in str(warning.message) for warning in record)
        assert (error is None) == is_new == has_warned, n
        expected = new if is_new else fitted
        assert model.loss_curve_ == expected.loss_curve_
        assert model.t_ == expected.t_
        has = [{name for name, value in vars(each).items() if value is not None} for each in (model, expected)]
        assert has[0] == has[1]
        outcomes.add(is_new)
    assert outcomes == {True, False}


# -- several networks --------------------------------------------------------------------------------------------------

needs_pthreads = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signal.pthread_kill")
ENSEMBLE = {"n_members": 3, "hidden_layer_sizes": (5,), "max_iter": 10_000, "random_state": 0}


class Interrupt:
    """Interrupts the main thread at a hook of a task, as Ctrl-C does, once it waits, and waits for it to react."""

    def __init__(self, hook, task_name, task_id):
        self.moment = hook, task_name, task_id

    def setup(self, estimator, context): ...
    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context):
        self._reach("begin", context)

    def on_fit_task_end(self, estimator, context):
        self._reach("end", context)

    def _reach(self, hook, context):
        if (hook, context.task_name, context.task_id) == self.moment:
            self.moment = None
            time.sleep(0.1)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.2)


@needs_pthreads
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("moment", [("begin", "epoch", 0), ("end", "epoch", 3)], ids=str)
@pytest.mark.parametrize("estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_an_ensemble_is_the_networks_so_far(estimator, moment, n_jobs):
    model = estimator(**ENSEMBLE, n_jobs=n_jobs).set_callbacks(Interrupt(*moment))
    with pytest.warns(UserWarning, match="interrupted by user") as record:
        model.fit(X, y)
    assert len(record) == 1
    assert record[0].filename == __file__
    assert 1 <= len(model.estimators_) <= n_jobs
    assert max(network.n_iter_ for network in model.estimators_) < 10_000
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.oof_score_)


@needs_pthreads
def test_networks_that_have_been_trained_are_kept_and_others_are_not_begun():
    reg = TabularMLPRegressor(**ENSEMBLE | {"max_iter": 20}, n_jobs=1).set_callbacks(Interrupt("begin", "member", 1))
    n_members = reg.n_members
    with pytest.warns(UserWarning, match=f"interrupted by user. The model has 2 of {n_members} networks"):
        reg.fit(X, y)
    assert [network.n_iter_ for network in reg.estimators_] == [20, 1]


@needs_pthreads
@pytest.mark.parametrize(
    "fit",
    [
        lambda clf: GridSearchCV(clf, {"weight_decay": [0.1, 0.2]}, error_score="raise").fit(X, y),
        lambda clf: make_pipeline(StandardScaler(), clf).fit(X, y),
        lambda clf: Wrapper(clf).fit(X, y),
    ],
    ids=["search", "pipeline", "another library"],
)
def test_it_ends_what_has_called_the_fit_of_an_ensemble(fit):
    clf = TabularMLPClassifier(**ENSEMBLE).set_callbacks(Interrupt("end", "epoch", 1))
    with pytest.raises(KeyboardInterrupt):
        fit(clf)
    assert not hasattr(clf, "estimators_")


@needs_pthreads
def test_once_the_ensemble_is_in_place_it_is_too_late():
    clf = TabularMLPClassifier(**ENSEMBLE | {"max_iter": 5}).set_callbacks(Interrupt("end", "fit", 0))
    with pytest.warns(UserWarning, match="interrupted by user"):
        clf.fit(X, y)
    assert len(clf.estimators_) == 3


@needs_pthreads
def test_an_interrupt_before_training_leaves_the_ensemble_as_it_was():
    clf = TabularMLPClassifier(**ENSEMBLE).set_callbacks(Interrupt("begin", "fit", 0))
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert not hasattr(clf, "estimators_")
