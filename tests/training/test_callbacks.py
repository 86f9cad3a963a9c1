"""Callbacks, scikit-learn's and ours, and what is left of a fit that fails."""

import io
import pickle
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from same_model import assert_same_model, fitted_attributes
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.callbacks import StopWhen, TimeLimit

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = scale(X_IRIS)
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
X_DIABETES = scale(X_DIABETES)
SMALL = {"hidden_layer_sizes": (6, 4), "max_iter": 6, "batch_size": 32, "random_state": 0}
SETTINGS = {
    "adam": {},
    "muon, dropout, batch": {"solver": "muon", "dropout": 0.2, "normalization": "batch"},
    "averaged": {"ema_decay": 0.9},
    "early stopping": {"early_stopping": True, "learning_rate_init": 0.1},
    "scorer": {"early_stopping": True, "scoring": "neg_log_loss"},
    "lbfgs": {"solver": "lbfgs"},
}


class Recorder:
    """Keeps what each hook was called with."""

    def __init__(self, stop_after=None):
        self.calls = []
        self.stop_after = stop_after

    def setup(self, estimator, context):
        self.calls.append(("setup", context, {}))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.calls.append(("begin", context, {"fitted": fitted_estimator}))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        data = {"X": X, "y": y, "metadata": metadata, "fitted": fitted_estimator}
        self.calls.append(("end", context, data))
        return context.task_name == "epoch" and len(self.ends("epoch")) == self.stop_after

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context, {}))

    def ends(self, task_name):
        return [data for hook, context, data in self.calls if hook == "end" and context.task_name == task_name]


class Raises(Recorder):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_fit_task_end(self, estimator, context):
        if context.task_id == 2:
            raise self.error


# -- the protocol ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_fit_is_a_task_with_a_subtask_for_each_epoch(solver, each_device):
    recorder = Recorder()
    clf = MLPClassifier(**SMALL, solver=solver).set_callbacks(recorder).fit(X_IRIS, Y_IRIS)
    calls = [(hook, context.task_name, context.task_id) for hook, context, _ in recorder.calls]
    epochs = [(hook, "epoch", i) for i in range(clf.n_iter_) for hook in ("begin", "end")]
    assert clf.n_iter_ == 6
    assert calls == [("setup", "fit", 0), ("begin", "fit", 0), *epochs, ("end", "fit", 0), ("teardown", "fit", 0)]
    assert recorder.calls[0][1].max_subtasks == 6
    assert recorder.calls[2][1].parent is recorder.calls[0][1]


def test_every_task_that_begins_ends_where_lbfgs_converges_before_max_iter():
    recorder = Recorder()
    clf = MLPClassifier((), solver="lbfgs", alpha=100.0, max_iter=500).set_callbacks(recorder).fit(X_IRIS, Y_IRIS)
    assert clf.n_iter_ < 500
    n_begun, n_ended = (sum(call[0] == hook for call in recorder.calls) for hook in ("begin", "end"))
    assert n_begun == n_ended


def test_hooks_get_the_data_as_the_user_gave_them():
    weight = np.linspace(1, 2, 150)
    X = X_IRIS.tolist()
    recorder = Recorder()
    MLPClassifier(**SMALL).set_callbacks(recorder).fit(X, Y_IRIS, weight)
    for data in recorder.ends("epoch"):
        assert data["X"] is X
        assert data["y"] is Y_IRIS
        assert data["metadata"] == {"sample_weight": weight}


def test_hooks_get_the_rows_that_are_trained_on():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(X_IRIS, columns=list("abcd"))
    recorder = Recorder()
    clf = MLPClassifier(**SMALL, early_stopping=True).set_callbacks(recorder).fit(X, Y_IRIS, np.ones(150))
    data = recorder.ends("epoch")[-1]
    assert data["X"].shape == (135, 4)
    assert data["metadata"]["sample_weight"].shape == (135,)
    rows = data["X"].index
    assert_array_equal(data["y"], Y_IRIS[rows])
    assert data["fitted"].score(data["X"], data["y"]) == clf.score(X.loc[rows], Y_IRIS[rows])


@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
def test_the_fitted_estimator_is_what_a_fit_that_stops_there_makes(params, each_device):
    recorder = Recorder()
    clf = MLPClassifier(**SMALL | params).set_callbacks(recorder).fit(X_IRIS, Y_IRIS)
    fitted = [data["fitted"] for data in recorder.ends("epoch")]
    # Looked at now, after training has gone on: nothing of them changes any more.
    for n_epochs in (1, 3):
        assert_same_model(
            fitted[n_epochs - 1], MLPClassifier(**SMALL | params | {"max_iter": n_epochs}).fit(X_IRIS, Y_IRIS)
        )
    assert_same_model(fitted[-1], clf)
    assert_same_model(clf, MLPClassifier(**SMALL | params).fit(X_IRIS, Y_IRIS))


def test_the_fitted_estimator_predicts_in_the_units_of_y():
    recorder = Recorder()
    params = SMALL | {"standardize_target": True}
    MLPRegressor(**params).set_callbacks(recorder).fit(X_DIABETES, 1e4 * Y_DIABETES)
    third = MLPRegressor(**params | {"max_iter": 3}).fit(X_DIABETES, 1e4 * Y_DIABETES)
    assert_same_model(recorder.ends("epoch")[2]["fitted"], third)


def test_no_estimator_is_built_for_callbacks_that_do_not_ask_for_it(monkeypatch):
    monkeypatch.setattr("sklearn_mlp._fit.Fit._fitted_now", None)
    clf = MLPClassifier(**SMALL).set_callbacks(TimeLimit(1e9), ProgressBarWithoutRich()).fit(X_IRIS, Y_IRIS)
    assert clf.n_iter_ == 6


class ProgressBarWithoutRich:
    """The signatures of scikit-learn's ProgressBar."""

    def setup(self, estimator, context): ...
    def on_fit_task_begin(self, estimator, context): ...
    def on_fit_task_end(self, estimator, context): ...
    def teardown(self, estimator, context): ...


@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
def test_a_callback_that_returns_true_stops_training(params, recwarn):
    clf = MLPClassifier(**SMALL | params).set_callbacks(Recorder(stop_after=2), Recorder()).fit(X_IRIS, Y_IRIS)
    assert clf.n_iter_ == len(clf.loss_curve_) == 2
    assert not recwarn.list
    other = MLPClassifier(**SMALL | params | {"max_iter": 2}).fit(X_IRIS, Y_IRIS)
    assert_array_equal(clf.predict_proba(X_IRIS), other.predict_proba(X_IRIS))


def test_an_error_in_a_callback_is_raised_and_the_callbacks_are_torn_down():
    clf = MLPClassifier(**SMALL).fit(X_IRIS, Y_IRIS)
    before = pickle.dumps(clf)
    failing = Raises(RuntimeError("no disk"))
    with pytest.raises(RuntimeError, match="no disk"):
        clf.set_callbacks(failing).fit(X_IRIS, Y_IRIS)
    assert failing.calls[-1][0] == "teardown"
    assert pickle.dumps(clf.set_callbacks()) == before


def test_ctrl_c_in_a_callback_leaves_a_usable_model():
    clf = MLPClassifier(**SMALL).set_callbacks(Raises(KeyboardInterrupt))
    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X_IRIS, Y_IRIS)
    assert clf.n_iter_ == 3


def test_partial_fit_calls_nothing():
    recorder = Recorder()
    MLPClassifier(**SMALL).set_callbacks(recorder).partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])
    assert not recorder.calls


def test_clones_have_the_same_callbacks():
    recorder = Recorder()
    clone(MLPClassifier(**SMALL).set_callbacks(recorder)).fit(X_IRIS, Y_IRIS)
    assert len(recorder.ends("epoch")) == 6


# -- scikit-learn's callbacks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("estimator", "scoring"), [(MLPClassifier, "accuracy"), (MLPRegressor, "r2")])
def test_scoring_monitor_in_a_search_in_two_processes(estimator, scoring):
    monitor = ScoringMonitor(scoring=scoring)
    pipeline = make_pipeline(StandardScaler(), estimator(**SMALL).set_callbacks(monitor))
    grid = {f"{estimator.__name__.lower()}__alpha": [1e-4, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X_IRIS, Y_IRIS)
    (log,) = monitor.get_logs(select="all")
    assert log.estimator_name == "GridSearchCV"
    epochs = [row for row in log.data if row["task_name"] == "epoch"]
    assert len(epochs) == 5 * 6  # two candidates, two folds and the refit
    last = max(epochs, key=lambda row: row["task_id_path"])
    assert last[scoring] == search.score(X_IRIS, Y_IRIS)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bars_of_the_candidates_of_a_search(n_jobs, capsys):
    pytest.importorskip("rich")
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X_IRIS, Y_IRIS)
    lines = [line for line in capsys.readouterr().out.splitlines() if "MLPClassifier - fit" in line]
    assert len(lines) == 5
    assert all("100%" in line for line in lines)


# -- ours --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_time_limit_stops_after_the_epoch_that_exceeds_it(solver, monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr("sklearn_mlp.callbacks.monotonic", lambda: next(now))
    monkeypatch.setattr(time, "time", lambda: -1e9 * next(now))  # setting the clock has no effect
    clf = MLPClassifier(**SMALL, solver=solver).set_callbacks(TimeLimit(3)).fit(X_IRIS, Y_IRIS)
    assert clf.n_iter_ == 3


def test_each_fit_of_a_search_has_its_own_time(monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr("sklearn_mlp.callbacks.monotonic", lambda: next(now))
    clf = MLPClassifier(**SMALL).set_callbacks(TimeLimit(4))
    search = GridSearchCV(clf, {"alpha": [0.1, 1.0]}, cv=2).fit(X_IRIS, Y_IRIS)
    assert search.best_estimator_.n_iter_ == 4


def test_stop_when_a_condition_holds():
    clf = MLPClassifier((20,), max_iter=200, random_state=0, learning_rate_init=0.01)
    clf.set_callbacks(StopWhen(lambda clf: clf.score(X_IRIS, Y_IRIS) > 0.95)).fit(X_IRIS, Y_IRIS)
    assert 1 < clf.n_iter_ < 200
    assert clf.score(X_IRIS, Y_IRIS) > 0.95


@pytest.mark.parametrize(("callback", "value"), [(TimeLimit, 0), (TimeLimit, "1 h"), (StopWhen, 3)])
def test_parameters_of_callbacks_are_checked(callback, value):
    with pytest.raises(ValueError, match=r"The '(seconds|condition)' parameter of"):
        callback(value)


# -- fits that fail ----------------------------------------------------------------------------------------------------

BAD = {
    "NaN": ({}, np.full((3, 4), np.nan), [0, 1, 2]),
    "one class for each split": ({"early_stopping": True}, X_IRIS[:6], [0, 1, 2, 3, 4, 5]),
    "divergence": ({"solver": "sgd", "learning_rate_init": 1e200}, X_IRIS, Y_IRIS),
    "other columns": ({"hidden_layer_sizes": (0,)}, X_IRIS[:, :2], Y_IRIS),
}


@pytest.mark.parametrize(("params", "X", "y"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(params, X, y, warm_start):
    unfitted = MLPClassifier(**SMALL | params)
    with pytest.raises(ValueError, match=r".+"):
        unfitted.fit(X, y)
    with pytest.raises(NotFittedError):
        check_is_fitted(unfitted)
    clf = MLPClassifier(**SMALL).fit(X_IRIS, Y_IRIS).set_params(**params, warm_start=warm_start)
    before = pickle.dumps(clf)
    with pytest.raises(ValueError, match=r".+"):
        clf.fit(X, y)
    assert pickle.dumps(clf) == before


@pytest.mark.parametrize("solver", ["adam", "sgd", "muon"])
def test_a_partial_fit_that_fails_leaves_the_training_as_it_was(solver, each_device):
    def new():
        clf = MLPClassifier(**SMALL, solver=solver, dropout=0.1)
        return clf.partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2]).partial_fit(X_IRIS, Y_IRIS)

    clf, never_failed = new(), new()
    for X, y, learning_rate_init, match in (
        (X_IRIS, np.full(150, 7), 0.001, "classes"),
        (X_IRIS[:, :3], Y_IRIS, 0.001, "features"),
        (X_IRIS, Y_IRIS, 1e308, "non-finite"),
    ):
        clf.set_params(learning_rate_init=learning_rate_init)
        before = pickle.dumps(clf)
        with pytest.raises(ValueError, match=match):
            clf.partial_fit(X, y)
        assert pickle.dumps(clf) == before
    clf.set_params(learning_rate_init=0.001)
    assert_same_model(clf.partial_fit(X_IRIS, Y_IRIS), never_failed.partial_fit(X_IRIS, Y_IRIS))


def test_a_first_partial_fit_that_fails_leaves_the_estimator_unfitted():
    clf = MLPClassifier(**SMALL)
    with pytest.raises(ValueError, match="NaN"):
        clf.partial_fit(np.full((3, 4), np.nan), [0, 1, 2], classes=[0, 1, 2])
    assert not fitted_attributes(clf)


def test_another_thread_predicts_with_the_old_model_until_the_new_one_is_there():
    clf = MLPClassifier(**SMALL).fit(X_IRIS, Y_IRIS)
    before = clf.predict_proba(X_IRIS)
    seen, fitting, done = [], threading.Event(), threading.Event()

    class WaitForPrediction(Recorder):
        def on_fit_task_end(self, estimator, context):
            fitting.set()
            assert done.wait(60)

    def predict():
        assert fitting.wait(60)
        seen.append(clf.predict_proba(X_IRIS))
        done.set()

    thread = threading.Thread(target=predict)
    thread.start()
    clf.set_params(random_state=1).set_callbacks(WaitForPrediction()).fit(X_IRIS[:, ::-1], (Y_IRIS + 1) % 3)
    thread.join()
    assert_array_equal(seen[0], before)
    assert not np.array_equal(clf.predict_proba(X_IRIS), before)


# -- what is printed and recorded --------------------------------------------------------------------------------------


def test_history_has_columns_of_one_length():
    pandas = pytest.importorskip("pandas")
    clf = MLPClassifier(**SMALL, warm_start=True).fit(X_IRIS, Y_IRIS)
    assert pandas.DataFrame(clf.history_).columns.tolist() == ["epoch", "loss", "learning_rate"]
    clf.fit(X_IRIS, Y_IRIS, X_val=X_IRIS[::2], y_val=Y_IRIS[::2])
    frame = pandas.DataFrame(clf.history_)
    assert frame.epoch.tolist() == [*range(1, 13)]
    assert frame.loss.tolist() == clf.loss_curve_
    assert frame.validation_score.isna().tolist() == [True] * 6 + [False] * 6
    assert frame.validation_loss.tolist()[6:] == clf.validation_loss_curve_
    assert not hasattr(MLPClassifier(), "history_")


def test_history_of_lbfgs():
    clf = MLPClassifier(**SMALL, solver="lbfgs").fit(X_IRIS, Y_IRIS)
    assert clf.history_ == {"epoch": [*range(1, clf.n_iter_ + 1)], "loss": clf.loss_curve_}


def test_verbose_2_prints_a_table(capsys):
    clf = MLPClassifier(**SMALL, verbose=2).fit(X_IRIS, Y_IRIS, X_val=X_IRIS, y_val=Y_IRIS)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["epoch", "loss", "val.", "loss", "val.", "score", "rate", "seconds", "rows/s"]
    assert [int(row.split()[0]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [float(row.split()[1]) for row in rows] == pytest.approx(clf.loss_curve_, rel=1e-5)
    assert {len(line) for line in [head, *rows]} == {7 * 12}


def test_verbose_2_needs_no_clock(capsys, monkeypatch):
    monkeypatch.setattr("sklearn_mlp.core.training.perf_counter", lambda: 1.0)
    MLPClassifier(**SMALL, verbose=2).fit(X_IRIS, Y_IRIS)
    assert capsys.readouterr().out.splitlines()[1].split()[-2:] == ["0", "-"]


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_partial_fit_that_cannot_print_changes_nothing(verbose, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError("stdout is closed")

    clf = MLPClassifier(**SMALL).partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])
    before = pickle.dumps(clf)
    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError):
        clf.set_params(verbose=verbose).partial_fit(X_IRIS, Y_IRIS)
    assert pickle.dumps(clf.set_params(verbose=False)) == before
