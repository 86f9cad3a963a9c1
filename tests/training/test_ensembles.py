"""The networks of an estimator for tables: reproducible, honest about the rows held out, and with callbacks."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.callback import ProgressBar
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.callbacks import Checkpoint, StopWhen, TimeLimit

SMALL = {"n_members": 3, "hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
ESTIMATORS = [TabularMLPClassifier, TabularMLPRegressor]
both = pytest.mark.parametrize("estimator", ESTIMATORS)

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(300, 3)), columns=list("abc")).assign(word=RNG.choice(["x", "y", "z"], 300))
X.loc[::9, "a"] = np.nan
TARGET = X["b"].to_numpy() + (X["word"] == "x") + 0.1 * RNG.normal(size=300)
LABELS = np.digitize(TARGET, [-0.3, 0.8])
Y = {TabularMLPClassifier: LABELS, TabularMLPRegressor: TARGET}
# More rows and units than a single batch, and a prediction that is divided among threads, have.
LARGE = pd.concat([X] * 100, ignore_index=True)


def outputs(model, X=X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def assert_same_fit(model, other):
    assert_array_equal(outputs(model), outputs(other), strict=True)
    assert model.oof_score_ == other.oof_score_
    assert model.n_iter_ == other.n_iter_
    for network, its_other in zip(model.estimators_, other.estimators_, strict=True):
        assert network.validation_loss_curve_ == its_other.validation_loss_curve_


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


# -- the same model ----------------------------------------------------------------------------------------------------


@both
def test_the_number_of_jobs_does_not_change_the_model(estimator):
    alone = estimator(**SMALL, n_jobs=1).fit(X, Y[estimator])
    for n_jobs in (2, None, -1, 7):
        model = estimator(**SMALL, n_jobs=n_jobs).fit(X, Y[estimator])
        assert_same_fit(model, alone)
        assert_array_equal(outputs(model, LARGE), outputs(alone, LARGE), strict=True)


@both
def test_the_random_state_determines_the_model(estimator):
    first = estimator(**SMALL).fit(X, Y[estimator])
    assert_same_fit(estimator(**SMALL | {"random_state": np.random.RandomState(0)}).fit(X, Y[estimator]), first)
    np.random.seed(1)  # noqa: NPY002
    assert_same_fit(first.fit(X, Y[estimator]), estimator(**SMALL).fit(X, Y[estimator]))
    for seed in (1, None):
        other = estimator(**SMALL | {"random_state": seed}).fit(X, Y[estimator])
        assert not np.array_equal(outputs(other), outputs(first))
    assert len({tuple(network.coefs_[0].ravel()[:4]) for network in first.estimators_}) == 3


def test_fits_in_several_threads_at_once():
    before = blas_threads()
    with threadpool_limits(2, user_api="blas"):
        limit = blas_threads()
        with ThreadPoolExecutor(3) as pool:
            together = list(pool.map(lambda i: ESTIMATORS[i % 2](**SMALL).fit(X, Y[ESTIMATORS[i % 2]]), range(6)))
        assert blas_threads() == limit
    assert blas_threads() == before
    for i, model in enumerate(together):
        assert_same_fit(model, ESTIMATORS[i % 2](**SMALL).fit(X, Y[ESTIMATORS[i % 2]]))


def test_the_limit_of_blas_threads_is_restored_after_an_error():
    class Fails:
        setup = on_fit_task_begin = teardown = lambda self, estimator, context: None

        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("no disk")

    with threadpool_limits(2, user_api="blas"):
        limit = blas_threads()
        clf = TabularMLPClassifier(**SMALL).set_callbacks(Fails())
        with pytest.raises(RuntimeError, match="no disk"):
            clf.fit(X, LABELS)
        assert blas_threads() == limit
    assert not hasattr(clf, "estimators_")


@both
@pytest.mark.parametrize("n_rows", [100, 300], ids=["float64", "float32"])
def test_a_gpu_trains_the_same_model(estimator, n_rows, cupy):
    table, y = X.head(n_rows), Y[estimator][:n_rows]
    of_gpu = estimator(**SMALL, device="cuda").fit(table, y)
    of_cpu = estimator(**SMALL).fit(table, y)
    assert of_gpu.device_ == "cuda:0"
    assert of_gpu.estimators_[0].coefs_[0].dtype == (np.float64 if n_rows == 100 else np.float32)
    assert_allclose(outputs(of_gpu), outputs(of_cpu), atol=1e-4)
    assert_allclose(of_gpu.oof_prediction_, of_cpu.oof_prediction_, atol=1e-4)
    assert_allclose(outputs(of_gpu.set_params(device="cpu")), outputs(of_cpu), atol=1e-4)


# -- rows held out -----------------------------------------------------------------------------------------------------


@pytest.fixture
def splits(monkeypatch):
    """What `split` has returned, once there has been a fit."""
    from sklearn_mlp import _tabular_fit

    recorded, split = [], _tabular_fit.split

    def record(*args):
        recorded[:] = split(*args)
        return recorded

    monkeypatch.setattr(_tabular_fit, "split", record)
    return recorded


@both
@pytest.mark.parametrize("n_members", [3, 5, 10])
def test_out_of_fold_predictions_are_those_of_networks_that_were_not_trained_on_the_row(estimator, n_members, splits):
    y, weight = Y[estimator], np.linspace(1, 2, 300)
    model = estimator(**SMALL | {"n_members": n_members}).fit(X, y, weight)
    encoded = model.encoder_.transform(X)
    assert len(splits) == len(model.estimators_) == n_members
    assert len({rows_val.tobytes() for _, rows_val in splits}) == n_members
    columns = 3 if estimator is TabularMLPClassifier else 1
    total, count = np.zeros((300, columns)), np.zeros((300, 1))
    for network, (rows, rows_val) in zip(model.estimators_, splits, strict=True):
        assert sorted([*rows, *rows_val]) == [*range(300)]
        total[rows_val] += outputs(network, encoded[rows_val]).reshape(-1, columns)
        count[rows_val] += 1
    covered = count[:, 0] > 0
    assert covered.all() == (n_members >= 5)
    assert count.max() == (2 if n_members == 10 else 1)
    expected = total[covered] / count[covered]
    assert_allclose(model.oof_prediction_[covered].reshape(-1, columns), expected, rtol=1e-4, atol=1e-6)
    assert np.isnan(model.oof_prediction_[~covered]).all()
    if estimator is TabularMLPClassifier:
        hits = model.classes_[model.oof_prediction_[covered].argmax(axis=1)] == y[covered]
        score = np.average(hits, weights=weight[covered])
    else:
        score = r2_score(y[covered], model.oof_prediction_[covered], sample_weight=weight[covered])
    assert model.oof_score_ == pytest.approx(score, rel=1e-6)
    # The prediction is the mean of all.
    mean = np.mean([outputs(network, encoded) for network in model.estimators_], axis=0)
    assert_allclose(outputs(model), mean, rtol=1e-4, atol=1e-6)


def test_a_network_does_not_see_the_target_of_its_rows_held_out(splits):
    # Targets of the same order of size do not change the units of y.
    reg = TabularMLPRegressor(**SMALL, max_interactions=0).fit(X, TARGET)
    shuffled = TARGET.copy()
    _, rows_val = splits[1]
    shuffled[rows_val] = TARGET[rows_val[::-1]]
    other = TabularMLPRegressor(**SMALL, max_interactions=0).fit(X, shuffled)
    losses = [each.estimators_[1].loss_curve_ for each in (reg, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert reg.estimators_[0].loss_curve_ != pytest.approx(other.estimators_[0].loss_curve_, rel=1e-2)


@pytest.mark.parametrize("n_levels", [None, 25, 2], ids=["numbers", "levels", "two levels"])
def test_noise_is_not_predicted_out_of_fold(n_levels):
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(1000, 10)) if n_levels is None else rng.integers(0, n_levels, (1000, 10))
    y = rng.integers(0, 2, 1000)
    clf = TabularMLPClassifier(**SMALL | {"n_members": 5, "hidden_layer_sizes": (32,), "max_iter": 10}).fit(noise, y)
    assert clf.encoder_.interactions_ == []
    assert abs(roc_auc_score(y, clf.oof_prediction_[:, 1]) - 0.5) < 0.07
    assert abs(clf.oof_score_ - 0.5) < 0.07


def test_the_folds_of_a_classifier_have_all_classes(splits):
    rare = np.where(np.arange(300) % 30 == 0, "rare", "often")
    TabularMLPClassifier(**SMALL | {"n_members": 5}).fit(X, rare)
    assert [np.sum(rare[rows_val] == "rare") for _, rows_val in splits] == [2] * 5


@both
def test_groups_are_in_one_fold(estimator, splits):
    groups = np.array([f"group {i}" for i in RNG.permutation(np.arange(300) // 7)])
    model = estimator(**SMALL | {"n_members": 10}).fit(X, Y[estimator], groups=groups)
    assert len(splits) == 10
    for rows, rows_val in splits:
        assert not set(groups[rows]) & set(groups[rows_val])
    assert np.isfinite(model.oof_prediction_).all()
    estimator(**SMALL | {"n_members": 10}).fit(X, Y[estimator], groups=np.arange(300) % 2)
    assert {len(rows_val) for _, rows_val in splits} == {150}


def test_groups_of_rows_that_are_merged(splits):
    """In a small table, equal rows are one row, and rows without weight are none."""
    table = pd.concat([X.head(20)] * 2, ignore_index=True)
    y, groups = np.tile(TARGET[:20], 2), np.tile(np.arange(20) // 4, 2)
    reg = TabularMLPRegressor(**SMALL | {"n_members": 5}).fit(table, y, np.arange(40) != 7, groups=groups)
    assert [len(rows_val) for _, rows_val in splits] == [4] * 5
    assert np.flatnonzero(np.isnan(reg.oof_prediction_)).tolist() == [7]
    assert_array_equal(reg.oof_prediction_[:7], reg.oof_prediction_[20:27])


def test_groups_through_a_pipeline(splits):
    groups = np.arange(300) // 7
    with sklearn.config_context(enable_metadata_routing=True):
        clf = TabularMLPClassifier(**SMALL).set_fit_request(groups=True)
        make_pipeline(FunctionTransformer(), clf).fit(X, LABELS, groups=groups)
    for rows, rows_val in splits:
        assert not set(groups[rows]) & set(groups[rows_val])


# -- a validation set of the user --------------------------------------------------------------------------------------


@both
def test_with_a_validation_set_all_rows_are_trained_on(estimator, splits):
    y = Y[estimator]
    model = estimator(**SMALL).fit(X, y)
    assert len(splits) == 3
    splits.clear()
    model.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert not splits
    assert not hasattr(model, "oof_prediction_")
    assert not hasattr(model, "oof_score_")
    again = estimator(**SMALL).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:], sample_weight_val=[2.0] * 100)
    assert_array_equal(outputs(again), outputs(model))
    # Each has its lowest loss on the validation set; that of the best epoch is that of the weights.
    for network in model.estimators_:
        assert len(network.validation_loss_curve_) == network.n_iter_
        if estimator is TabularMLPRegressor:
            prediction = network.predict(model.encoder_.transform(X[200:]))
            loss = 0.5 * np.mean((prediction - y[200:]) ** 2)
            assert min(network.validation_loss_curve_) == pytest.approx(loss, rel=1e-4)
    model.fit(X, y)
    assert model.oof_prediction_.shape[0] == 300


def test_weights_of_a_validation_set():
    """Rows without weight make no difference."""
    weight = np.arange(100) % 2
    y_val = np.where(weight, TARGET[200:], 1e3)
    reg = TabularMLPRegressor(**SMALL).fit(X[:200], TARGET[:200], X_val=X[200:], y_val=y_val, sample_weight_val=weight)
    odd = TabularMLPRegressor(**SMALL).fit(X[:200], TARGET[:200], X_val=X[201::2], y_val=TARGET[201::2])
    assert_allclose(outputs(reg), outputs(odd), rtol=1e-4)


def test_a_class_that_only_the_validation_set_has():
    with pytest.raises(ValueError, match=r"y_val has \[9\], which are not in y"):
        TabularMLPClassifier(**SMALL).fit(X, LABELS, X_val=X, y_val=LABELS // 2 * 9)


# -- callbacks ---------------------------------------------------------------------------------------------------------


class Recorder:
    """Keeps what each hook was called with."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append(("setup", context, None))

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context, None))

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.calls.append(("end", context, (X, fitted_estimator)))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context, None))


@both
def test_a_fit_is_a_task_with_a_subtask_for_each_network(estimator):
    recorder = Recorder()
    model = estimator(**SMALL, n_jobs=2).set_callbacks(recorder).fit(X, Y[estimator])
    for task_name, expected in (("fit", 1), ("member", 3), ("epoch", 15)):
        for hook in ("begin", "end"):
            of_task = [context for name, context, _ in recorder.calls if (name, context.task_name) == (hook, task_name)]
            assert len(of_task) == expected
    ends = [(context.task_name, data) for hook, context, data in recorder.calls if hook == "end"]
    for rows, fitted in (data for task_name, data in ends if task_name == "epoch"):
        assert 240 <= len(rows) < 300  # those that the network is trained on
        assert 1 <= len(fitted.estimators_) <= 3
        assert np.isfinite(outputs(fitted)).all()
    assert ends[-1][0] == "fit"
    # Callbacks change nothing.
    assert_same_fit(model, estimator(**SMALL).fit(X, Y[estimator]))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_progress_bar(n_jobs, capsys):
    pytest.importorskip("rich")
    TabularMLPClassifier(**SMALL, n_jobs=n_jobs).set_callbacks(ProgressBar()).fit(X, LABELS)
    assert "100%" in capsys.readouterr().out


def test_a_time_limit_leaves_the_networks_so_far(monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr("sklearn_mlp.callbacks.monotonic", lambda: next(now))
    params = SMALL | {"max_iter": 20, "n_members": 5, "n_jobs": 1}
    reg = TabularMLPRegressor(**params).set_callbacks(TimeLimit(30)).fit(X, TARGET)
    # The clock is read at the beginning, after each epoch and after each network.
    assert [network.n_iter_ for network in reg.estimators_] == [20, 9]
    assert reg.n_iter_ == 20
    assert np.isnan(reg.oof_prediction_).mean() == pytest.approx(0.6)
    assert reg.score(X, TARGET) > 0


def test_a_time_limit_of_less_than_an_epoch_leaves_a_model():
    reg = TabularMLPRegressor(**SMALL | {"max_iter": 10**6}).set_callbacks(TimeLimit(1e-9)).fit(X, TARGET)
    assert reg.n_iter_ == 1
    assert np.isfinite(reg.predict(X)).all()


@both
def test_stop_when_a_condition_holds(estimator):
    seen = []

    def is_good(model):
        seen.append(model.score(X, Y[estimator]))
        return len(seen) == 4

    params = SMALL | {"max_iter": 20, "n_jobs": 1}
    model = estimator(**params).set_callbacks(StopWhen(is_good)).fit(X, Y[estimator])
    assert [network.n_iter_ for network in model.estimators_] == [4]
    assert model.score(X, Y[estimator]) in seen


def test_there_are_no_checkpoints(tmp_path):
    clf = TabularMLPClassifier(**SMALL).set_callbacks(Checkpoint(tmp_path / "file"))
    with pytest.raises(ValueError, match="Checkpoint is for sklearn_mlp's MLPClassifier and MLPRegressor"):
        clf.fit(X, LABELS)


def test_another_thread_predicts_with_the_old_model_until_the_new_one_is_there():
    clf = TabularMLPClassifier(**SMALL).fit(X, LABELS)
    before, seen = outputs(clf), []

    class Predicts(Recorder):
        def on_fit_task_end(self, estimator, context):
            thread = threading.Thread(target=lambda: seen.append(outputs(clf)))
            thread.start()
            thread.join()

    clf.set_params(random_state=1, max_iter=2).set_callbacks(Predicts()).fit(X, LABELS[::-1])
    assert len(seen) == 3 * 3 + 1
    for probability in seen[:-1]:
        assert_array_equal(probability, before)
    assert not np.array_equal(outputs(clf), before)


def test_a_search_with_callbacks_over_parameters():
    search = GridSearchCV(
        TabularMLPRegressor(**SMALL).set_callbacks(TimeLimit(1e9)), {"weight_decay": [0.0, 0.1]}, cv=2
    )
    assert search.fit(X, TARGET).best_estimator_.n_iter_ == 5


# -- what is printed and warned about ----------------------------------------------------------------------------------


def test_verbose_prints_a_line_for_each_network(capsys):
    reg = TabularMLPRegressor(**SMALL, verbose=True, n_jobs=1).fit(X, TARGET)
    losses = [min(network.validation_loss_curve_) for network in reg.estimators_]
    assert capsys.readouterr().out.splitlines() == [
        f"Member {k} of 3: 5 epochs, validation loss {loss:.6g}" for k, loss in enumerate(losses, 1)
    ]


def test_divergence_is_a_warning_or_an_error():
    reg = TabularMLPRegressor(**SMALL | {"learning_rate_init": 1e30})
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        reg.fit(X, TARGET)
    assert not hasattr(reg, "estimators_")
    with pytest.warns(ConvergenceWarning, match="of 3 networks has diverged") as record:
        reg.set_params(learning_rate_init=1e5, max_iter=10).fit(X, TARGET)
    assert record[0].filename == __file__
