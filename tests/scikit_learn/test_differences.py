"""Each difference from scikit-learn's MLP that docs/differences.md lists, shown on both."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.neural_network as theirs
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import sklearn_mlp as ours
from sklearn_mlp._task import Classes

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
both = pytest.mark.parametrize("mlp", [theirs, ours], ids=["scikit-learn", "sklearn_mlp"])

IRIS = load_iris(return_X_y=True)
CANCER = (lambda X, y: (scale(X), y))(*load_breast_cancer(return_X_y=True))


@both
def test_1_early_stopping_split_is_stratified_for_multiclass(mlp, monkeypatch):
    X, y = IRIS
    rows = np.r_[0:50, 50:100, 100:110]  # the third class is rare
    rare_in_validation = []
    # (self, target, output, weight) here, (self, X, y, weight) in scikit-learn: codes and labels are the same
    owner, name, position = (Classes, "score", 0) if mlp is ours else (mlp.MLPClassifier, "_score", 1)
    score = getattr(owner, name)

    def spy(self, *args, **kwargs):
        rare_in_validation.append(np.count_nonzero(args[position] == 2))
        return score(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, spy)
    for seed in range(5):
        mlp.MLPClassifier(early_stopping=True, max_iter=1, random_state=seed).fit(X[rows], y[rows])
    if mlp is ours:
        assert rare_in_validation == 5 * [1]
    else:
        assert len(set(rare_in_validation)) > 1


@both
def test_2_warm_start_refits_with_fresh_patience(mlp):
    X, y = CANCER
    clf = mlp.MLPClassifier((5,), warm_start=True, tol=1e-2, n_iter_no_change=5, max_iter=300, random_state=0)
    clf.fit(X, y)
    assert clf.n_iter_ < 300
    clf.fit(X, y)
    assert clf.n_iter_ == (1 if mlp is theirs else 7)


@both
def test_2_warm_start_with_early_stopping_keeps_the_best_weights_of_the_refit(mlp):
    X, y = CANCER
    clf = mlp.MLPClassifier((5,), solver="sgd", early_stopping=True, warm_start=True, max_iter=40, random_state=0)
    clf.fit(X[::2], y[::2])
    best = clf.best_validation_score_
    # A refit on data that can only be scored worse: half of the labels are wrong.
    wrong = np.where(np.arange(y.size) % 4 == 1, 1 - y, y)
    clf.fit(X[1::2], wrong[1::2])
    refit_scores = clf.validation_scores_[-clf.n_iter_ :]
    assert max(refit_scores) < best
    assert clf.best_validation_score_ == (best if mlp is theirs else max(refit_scores))


@both
def test_3_regressor_with_lbfgs_has_no_partial_fit(mlp):
    assert hasattr(mlp.MLPRegressor(solver="lbfgs"), "partial_fit") == (mlp is theirs)
    assert not hasattr(mlp.MLPClassifier(solver="lbfgs"), "partial_fit")


@both
def test_4_a_fitted_model_is_pickled_without_the_state_of_its_optimizer(mlp):
    X, y = load_digits(return_X_y=True)
    clf = mlp.MLPClassifier((200, 200), early_stopping=True, max_iter=3, random_state=0).fit(X, y)
    size_of_weights = sum(array.nbytes for array in clf.coefs_ + clf.intercepts_)
    size = len(pickle.dumps(clf))
    if mlp is ours:
        assert size < 1.1 * size_of_weights
    else:
        assert size > 3 * size_of_weights


@both
def test_5_partial_fit_with_an_int_seed_goes_on_with_its_random_stream(mlp, monkeypatch):
    X, y = CANCER
    orders = []
    original = np.random.RandomState.shuffle

    class Recording(np.random.RandomState):
        def shuffle(self, x):
            original(self, x)
            orders.append(np.array(x))

    def shuffle(batches, random_state):
        random_state.shuffle(batches.rows)
        orders.append(batches.rows.copy())

    monkeypatch.setattr(
        theirs._multilayer_perceptron,
        "check_random_state",
        lambda seed: seed if isinstance(seed, np.random.RandomState) else Recording(seed),
    )
    monkeypatch.setattr(ours.core.batches.Batches, "shuffle", shuffle)
    clf = mlp.MLPClassifier((5,), random_state=0)
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1])
    orders = orders[1:]  # the first call draws the weights before it shuffles
    assert np.array_equal(orders[0], orders[1]) == (mlp is theirs)


@both
def test_6_a_batch_of_zero_weight_is_passed_over(mlp):
    X, y = CANCER
    sample_weight = np.ones(y.size)
    sample_weight[:100] = 0
    clf = mlp.MLPClassifier((5,), batch_size=50, shuffle=False, max_iter=5, random_state=0)
    if mlp is theirs:
        with pytest.raises(ZeroDivisionError):
            clf.fit(X, y, sample_weight=sample_weight)
        return
    clf.fit(X, y, sample_weight=sample_weight)
    rest = mlp.MLPClassifier(**clf.get_params()).fit(X[100:], y[100:])
    assert clf.loss_ == pytest.approx(rest.loss_)
    np.testing.assert_allclose(clf.coefs_[0], rest.coefs_[0])


@both
def test_7_poisson_refuses_negative_targets(mlp):
    X, y = load_diabetes(return_X_y=True)
    y = scale(y)
    reg = mlp.MLPRegressor("poisson", (5,), max_iter=2, random_state=0)
    if mlp is ours:
        with pytest.raises(ValueError, match=r"loss='poisson' needs y >= 0, got a minimum of -1\.6"):
            reg.fit(X, y)
    else:
        with np.errstate(invalid="ignore"):
            assert np.isnan(reg.fit(X, y).loss_)


MEANINGLESS = {
    "weights below 0": (lambda X: X, -1.0, "Negative values in data passed to `sample_weight`"),
    "masked": (lambda X: np.ma.masked_less(X, -1), 1.0, "X is a masked array of which 1642 values are masked"),
    "dates": (lambda X: X.astype("datetime64[D]"), 1.0, r"X has dates or times: dtype is datetime64\[D\]"),
}


@both
@pytest.mark.parametrize(("change", "last_weight", "message"), MEANINGLESS.values(), ids=MEANINGLESS)
def test_7_values_without_a_meaning_are_refused(mlp, change, last_weight, message):
    X, y = CANCER
    weight = np.ones(len(y))
    weight[-1] = last_weight
    clf = mlp.MLPClassifier((5,), max_iter=2, random_state=0)
    if mlp is ours:
        with pytest.raises(ValueError, match=message):
            clf.fit(change(X), y, weight)
    else:
        clf.fit(change(X), y, weight)


@both
def test_12_a_prediction_that_is_not_finite_is_an_error(mlp):
    X, y = CANCER
    clf = mlp.MLPClassifier((5,), max_iter=2, random_state=0).fit(X.astype(np.float32), y)
    clf.coefs_[0][...] = 1.0  # sums overflow in any order
    too_large = np.full((1, X.shape[1]), 3e38)
    if mlp is ours:
        with pytest.raises(ValueError, match="The prediction for X is not finite: X has values that are too large"):
            clf.predict(too_large)
    else:
        assert clf.predict(too_large)[0] in (0, 1)


@both
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_8_float32_data_give_a_float32_model(mlp, solver):
    X, y = CANCER
    reg = mlp.MLPRegressor(hidden_layer_sizes=(5,), solver=solver, max_iter=3, random_state=0)
    reg.fit(X.astype(np.float32), y.astype(np.float64))
    is_float32 = all(array.dtype == np.float32 for array in reg.coefs_ + reg.intercepts_)
    assert is_float32 == (mlp is ours or solver != "lbfgs")
    assert reg.predict(X.astype(np.float32)).dtype == (np.float32 if is_float32 else np.float64)
    # The predictions of a float32 model are float32 for any X here; scikit-learn promotes them.
    assert reg.predict(X).dtype == (np.float32 if mlp is ours else np.float64)


@both
def test_8_lbfgs_has_a_loss_curve_and_warns_of_early_stopping(mlp):
    X, y = CANCER
    clf = mlp.MLPClassifier((5,), solver="lbfgs", early_stopping=True, max_iter=20, random_state=0)
    if mlp is theirs:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)
            clf.fit(X, y)
        assert not hasattr(clf, "best_loss_")
    else:
        with pytest.warns(UserWarning, match="early_stopping=True has no effect with solver='lbfgs'"):
            clf.fit(X, y)
        assert len(clf.loss_curve_) == clf.n_iter_
        assert clf.best_loss_ == clf.loss_curve_[-1] == clf.loss_
        assert clf.validation_scores_ is None


DIVERGING = {"hidden_layer_sizes": (5,), "activation": "identity", "solver": "sgd", "learning_rate_init": 1.0}


@both
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_9_divergence_stops_training(mlp, capsys):
    X, y = load_diabetes(return_X_y=True)
    reg = mlp.MLPRegressor(**DIVERGING, max_iter=50, random_state=0, verbose=True)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        reg.fit(X, y)
    n_epochs = len(capsys.readouterr().out.splitlines())
    assert (n_epochs == 50) if mlp is theirs else (n_epochs < 20)


@both
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_9_divergence_with_early_stopping_keeps_the_best_weights(mlp):
    X, y = load_diabetes(return_X_y=True)
    reg = mlp.MLPRegressor(**DIVERGING, early_stopping=True, n_iter_no_change=100, max_iter=50, random_state=0)
    if mlp is ours:
        with pytest.warns(ConvergenceWarning, match=r"training has diverged.*learning_rate_init=1\.0"):
            reg.fit(X, y)
        assert np.isnan(reg.validation_scores_).sum() == 1
    else:
        reg.fit(X, y)
        assert np.isnan(reg.validation_scores_).sum() > 20
    assert np.isnan(reg.validation_scores_[-1])
    assert np.isfinite(reg.predict(X)).all()


@both
def test_10_one_class_has_one_probability(mlp):
    X, _ = IRIS
    clf = mlp.MLPClassifier((5,), max_iter=5, random_state=0).fit(X, np.full(len(X), "setosa"))
    assert list(clf.predict(X[:2])) == ["setosa", "setosa"]
    assert clf.predict_proba(X).shape[1] == (2 if mlp is theirs else len(clf.classes_))


@both
def test_11_the_only_row_of_a_class_is_trained_on(mlp, monkeypatch):
    X, y = IRIS
    rows = np.r_[0:50, 50:100, 100]
    splits = []

    def recorded(*arrays, **how):
        splits.append(train_test_split(*arrays, **how))
        return splits[-1]

    module = theirs._multilayer_perceptron if mlp is theirs else ours._checks
    monkeypatch.setattr(module, "train_test_split", recorded)
    for seed in range(30):
        mlp.MLPClassifier((2,), early_stopping=True, max_iter=1, random_state=seed).fit(X[rows], y[rows])
    if mlp is theirs:
        is_validated_on = [y_val[:, 2].any() for _, _, _, y_val in splits]
    else:
        is_validated_on = [100 in rows_val for _, rows_val in splits]
    assert any(is_validated_on) == (mlp is theirs)


@both
def test_12_predict_works_in_chunks(mlp, monkeypatch, each_device):
    X, y = CANCER
    clf = mlp.MLPClassifier((5,), max_iter=5, random_state=0).fit(X, y)
    rows_at_once = []
    with monkeypatch.context() as patch:
        if mlp is ours:
            relu = each_device.relu
            patch.setattr(each_device, "relu", lambda Z, b: (rows_at_once.append(len(Z)), relu(Z, b)))
            patch.setattr(each_device, "chunk_size", 3600)
        else:
            relu = theirs._base.ACTIVATIONS["relu"]
            patch.setitem(theirs._base.ACTIVATIONS, "relu", lambda Z: (rows_at_once.append(len(Z)), relu(Z)))
        probability = clf.predict_proba(X)
    assert rows_at_once == ([569] if mlp is theirs else [100, 100, 100, 100, 100, 69])
    np.testing.assert_allclose(probability, clf.predict_proba(X), rtol=1e-12)


@both
def test_13_parameters_set_between_partial_fits_take_effect(mlp):
    X, y = CANCER
    clf = mlp.MLPClassifier((5,), learning_rate_init=1e-3, random_state=0).partial_fit(X, y, classes=[0, 1])
    before = clf.coefs_[0].copy()
    clf.set_params(learning_rate_init=1e-12).partial_fit(X, y)
    moved = np.abs(clf.coefs_[0] - before).max()
    assert moved > 1e-4 if mlp is theirs else moved < 1e-9


@both
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_14_a_fit_that_fails_changes_nothing(mlp):
    X, y = CANCER
    clf = mlp.MLPClassifier((5,), random_state=0, max_iter=3, solver="sgd").fit(X, y)
    before = pickle.dumps(clf.set_params(learning_rate_init=1e308))
    with pytest.raises(ValueError, match="non-finite"):
        clf.fit(X, y)
    assert (pickle.dumps(clf) == before) == (mlp is ours)


@both
def test_15_predictions_depend_on_what_was_fitted(mlp):
    X, y = CANCER
    clf = mlp.MLPClassifier((5,), random_state=0, max_iter=5).fit(X, y)
    before = clf.predict_proba(X)
    after = clf.set_params(activation="tanh").predict_proba(X)
    assert (np.abs(after - before).max() == 0) == (mlp is ours)


@both
def test_16_a_network_is_a_transformer(mlp):
    X, y = CANCER
    clf = mlp.MLPClassifier((5, 3), random_state=0, max_iter=5).fit(X, y)
    assert hasattr(clf, "transform") == (mlp is ours)
    if mlp is ours:
        assert clf.transform(X).shape == (len(X), 3)


@both
def test_17_labels_keep_their_type(mlp):
    X, y = CANCER
    clf = mlp.MLPClassifier((5,), random_state=0, max_iter=5).fit(X, pd.Series(y == 1, dtype="boolean"))
    assert clf.classes_.dtype == (bool if mlp is ours else float)
