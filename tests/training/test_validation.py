"""The user's own validation set, what is recorded of it, and the scores that early stopping can go by."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    log_loss,
    make_scorer,
    matthews_corrcoef,
    mean_absolute_error,
    roc_auc_score,
    top_k_accuracy_score,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler, scale

from sklearn_mlp import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_digits(return_X_y=True)
X = X / 16
X_TRAIN, Y_TRAIN, X_VAL, Y_VAL = X[:900], Y[:900], X[900:1300], Y[900:1300]
WEIGHT = np.linspace(0.5, 2, 400)
SMALL = {"hidden_layer_sizes": (12,), "max_iter": 6, "random_state": 0, "learning_rate_init": 0.01}


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("kind", ["softmax", "logistic", "multilabel", "regression", "sparse"])
def test_the_score_and_the_loss_of_each_epoch_are_recorded(kind, weight):
    as_target = {
        "logistic": lambda y: y > 4,
        "multilabel": lambda y: np.c_[y > 4, y % 2, y < 2].astype(int),
        "regression": lambda y: y / 4,
    }.get(kind, lambda y: y)
    as_input = csr_array if kind == "sparse" else np.asarray
    estimator = MLPRegressor if kind == "regression" else MLPClassifier
    y_val = as_target(Y_VAL)
    model = estimator(**SMALL).fit(
        as_input(X_TRAIN), as_target(Y_TRAIN), X_val=as_input(X_VAL), y_val=y_val, sample_weight_val=weight
    )
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_ == 6
    assert model.validation_scores_[-1] == pytest.approx(model.score(as_input(X_VAL), y_val, weight))
    assert model.best_validation_score_ == max(model.validation_scores_)
    if kind == "regression":
        expected = np.average((model.predict(X_VAL) - y_val) ** 2 / 2, weights=weight)
    elif kind == "multilabel":
        p = model.predict_proba(X_VAL)
        expected = np.average(-np.log(np.where(y_val, p, 1 - p)).sum(axis=1), weights=weight)
    else:
        expected = log_loss(y_val, model.predict_proba(as_input(X_VAL)), sample_weight=weight)
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_watching_changes_nothing(solver):
    watched = MLPClassifier(**SMALL, solver=solver).fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    plain = MLPClassifier(**SMALL, solver=solver).fit(X_TRAIN, Y_TRAIN)
    np.testing.assert_array_equal(watched.coefs_[0], plain.coefs_[0])
    assert watched.loss_curve_ == plain.loss_curve_
    assert watched.best_loss_ == plain.best_loss_
    assert plain.validation_scores_ is plain.validation_loss_curve_ is plain.best_validation_score_ is None


def test_early_stopping_goes_by_it_and_trains_on_all_of_X():
    params = {**SMALL, "max_iter": 60, "early_stopping": True, "n_iter_no_change": 3}
    model = MLPClassifier(**params).fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    assert model.t_ == 900 * model.n_iter_
    assert model.n_iter_ < 60
    assert model.score(X_VAL, Y_VAL) == model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None
    last = MLPClassifier(**params, restore_best=False).fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    assert last.validation_scores_ == model.validation_scores_
    assert last.score(X_VAL, Y_VAL) == last.validation_scores_[-1]
    assert not np.array_equal(last.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("own", [False, True], ids=["split", "own"])
@pytest.mark.parametrize(
    ("scoring", "metric"),
    [
        ("loss", None),
        ("neg_log_loss", lambda model, X, y: -log_loss(y, model.predict_proba(X))),
        ("accuracy", lambda model, X, y: accuracy_score(y, model.predict(X))),
        (lambda model, X, y: -len(np.unique(model.predict(X))), None),
        (make_scorer(log_loss, response_method="predict_proba", greater_is_better=False), None),
    ],
    ids=["loss", "neg_log_loss", "accuracy", "callable", "scorer"],
)
def test_scoring(scoring, metric, own):
    model = MLPClassifier(**SMALL, early_stopping=True, scoring=scoring, restore_best=False)
    validation = {"X_val": X_VAL, "y_val": Y_VAL} if own else {}
    model.fit(X_TRAIN, Y_TRAIN, **validation)
    assert len(model.validation_scores_) == 6
    if scoring == "loss" or (metric is None and not callable(scoring)):
        np.testing.assert_allclose(model.validation_scores_, -np.array(model.validation_loss_curve_))
    if metric is not None and own:
        assert model.validation_scores_[-1] == pytest.approx(metric(model, X_VAL, Y_VAL), rel=1e-9)
    if scoring == "neg_log_loss":
        np.testing.assert_allclose(model.validation_scores_, -np.array(model.validation_loss_curve_), rtol=1e-9)


def test_scoring_of_a_regressor_takes_the_weights():
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), y / 100
    weight = np.linspace(0, 3, 100)
    model = MLPRegressor(**SMALL, scoring="neg_mean_absolute_error")
    model.fit(X[100:], y[100:], X_val=X[:100], y_val=y[:100], sample_weight_val=weight)
    expected = -mean_absolute_error(y[:100], model.predict(X[:100]), sample_weight=weight)
    assert model.validation_scores_[-1] == pytest.approx(expected)


def test_data_frames_and_a_scorer_give_no_warning_about_names():
    frame = pd.DataFrame(X_TRAIN, columns=[f"pixel {i}" for i in range(64)])
    model = MLPClassifier(**SMALL, early_stopping=True, scoring="accuracy").fit(frame, Y_TRAIN)
    assert len(model.validation_scores_) == model.n_iter_


def test_labels_are_any():
    names = np.array(list("abcdefghij"))
    by_name = MLPClassifier(**SMALL, scoring="accuracy").fit(X_TRAIN, names[Y_TRAIN], X_val=X_VAL, y_val=names[Y_VAL])
    by_number = MLPClassifier(**SMALL).fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    assert by_name.validation_scores_ == pytest.approx(by_number.validation_scores_)
    # Not every class has to be in the validation set.
    few = Y_VAL < 5
    MLPClassifier(**SMALL).fit(X_TRAIN, Y_TRAIN, X_val=X_VAL[few], y_val=Y_VAL[few])


def test_a_pipeline_transforms_the_validation_set():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X_train, X_val = X.iloc[:400], X.iloc[400:]
    columns = ColumnTransformer([("scale", StandardScaler(), list(X.columns[:20]))])
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = MLPClassifier(**SMALL, early_stopping=True).set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline([("columns", columns), ("mlp", mlp)], transform_input=["X_val"])
        pipeline.fit(X_train, y[:400], X_val=X_val, y_val=y[400:])
    transformed = columns.fit(X_train).transform(X_val)
    assert pipeline["mlp"].score(transformed, y[400:]) == pipeline["mlp"].best_validation_score_
    assert pipeline.score(X_val, y[400:]) > 0.85


def test_a_search_over_scores():
    grid = {"scoring": [None, "loss", "neg_log_loss"], "restore_best": [True, False]}
    search = GridSearchCV(MLPClassifier(**SMALL, early_stopping=True), grid, cv=2).fit(X_TRAIN, Y_TRAIN)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_warm_start_appends():
    model = MLPClassifier(**SMALL, warm_start=True)
    for n_fits in (1, 2):
        model.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
        assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 6 * n_fits
    assert model.fit(X_TRAIN, Y_TRAIN).validation_scores_ is None


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({"X_val": X_VAL}, "X_val is given without y_val"),
        ({"y_val": Y_VAL}, "y_val and sample_weight_val are for a validation set: pass its X_val, too"),
        ({"X_val": X_VAL[:, :5], "y_val": Y_VAL}, "X has 5 features, but MLPClassifier is expecting 64"),
        ({"X_val": X_VAL, "y_val": Y_VAL[:7]}, r"inconsistent numbers of samples: \[400, 7\]"),
        ({"X_val": X_VAL, "y_val": Y_VAL + 5}, r"y_val has \[10, 11, 12, 13, 14\], which are not in y"),
        (
            {"X_val": X_VAL, "y_val": np.eye(10, dtype=int)[Y_VAL]},
            r"y_val of shape \(400, 10\) is not of the kind of y",
        ),
        ({"X_val": X_VAL * np.nan, "y_val": Y_VAL}, "Input X contains NaN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors(validation, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**SMALL).fit(X_TRAIN, Y_TRAIN, **validation)


def test_an_unknown_score():
    with pytest.raises(ValueError, match="'scoring' parameter of MLPRegressor must be 'loss', one of sklearn"):
        MLPRegressor(**SMALL, scoring="r3").fit(X_TRAIN, Y_TRAIN)
    by_name, by_default = (
        MLPRegressor(**SMALL, scoring=scoring, early_stopping=True).fit(X_TRAIN, Y_TRAIN) for scoring in ("r2", None)
    )
    np.testing.assert_allclose(by_name.validation_scores_, by_default.validation_scores_)


def nan_scorer(model, X, y):
    return np.nan


@pytest.mark.parametrize(
    ("estimator", "y", "rows", "scoring"),
    [
        (MLPRegressor, Y_TRAIN / 4, slice(1), None),  # R² of one row
        (MLPRegressor, Y_TRAIN / 4, slice(1), "r2"),
        (MLPClassifier, (Y_TRAIN > 4).astype(int), np.flatnonzero(Y_TRAIN > 4)[:9], "roc_auc"),
        (MLPClassifier, Y_TRAIN, slice(50), nan_scorer),
        (MLPClassifier, Y_TRAIN, slice(50), lambda *_: np.inf),
    ],
    ids=["R2", "r2", "roc_auc", "NaN", "inf"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_score_that_is_not_finite_is_reported(estimator, y, rows, scoring):
    model = estimator(**SMALL, scoring=scoring)
    validation = {"X_val": X_TRAIN[rows], "y_val": y[rows]}
    what = r"validation score of epoch 1 is (nan|inf): scoring=.* the (1|9|50) row\(s\) .* scoring='loss'"
    with pytest.warns(UserWarning, match=what) as record:
        model.fit(X_TRAIN, y, **validation)
    assert sum("The validation score" in str(warning.message) for warning in record) == 1
    assert not np.isfinite(model.validation_scores_).any()
    plain = estimator(**SMALL).fit(X_TRAIN, y)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])
    with pytest.raises(ValueError, match=what):
        model.set_params(early_stopping=True).fit(X_TRAIN, y, **validation)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])


def test_a_score_that_is_not_finite_is_no_improvement():
    scores = iter([0.5, 0.6, np.nan, np.inf, 0.6, 0.7, *[np.nan] * 10])
    model = MLPClassifier(**{**SMALL, "max_iter": 40}, early_stopping=True, n_iter_no_change=5)
    model.set_params(scoring=lambda *_: next(scores))
    at_epoch_6 = MLPClassifier(**SMALL).fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    with pytest.warns(UserWarning, match="score of epoch 3 is nan.*does not count as an improvement"):
        model.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    assert model.n_iter_ == 6 + 6
    assert model.best_validation_score_ == 0.7
    np.testing.assert_array_equal(model.coefs_[0], at_epoch_6.coefs_[0])


def test_weights_without_a_score_are_not_restored():
    def diverge(model, X, y):
        raise AssertionError("predictions are not finite")

    params = {"solver": "sgd", "learning_rate_init": 1e200, "early_stopping": True, "scoring": diverge}
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        MLPRegressor(hidden_layer_sizes=(5,), random_state=0, **params).fit(X_TRAIN, Y_TRAIN / 4)


@pytest.mark.parametrize(
    "scoring",
    [
        lambda model, X, y: model.score(X, y),
        make_scorer(lambda y, prediction: np.mean(y == prediction)),
        "matthews_corrcoef",
        "top_k_accuracy",
        lambda model, X, y, **kwargs: model.score(X, y, **kwargs),
        lambda model, X, y, sample_weight=None: model.score(X, y, sample_weight),
    ],
    ids=["callable", "make_scorer", "name", "top_k", "kwargs", "sample_weight"],
)
def test_weights_go_to_scorers_that_take_them(scoring, request):
    weight = np.linspace(0, 3, 400)
    model = MLPClassifier(**SMALL, class_weight={0: 5.0}, scoring=scoring)
    model.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL, sample_weight_val=weight)
    weight = weight * np.where(Y_VAL == 0, 5.0, 1.0)
    case = request.node.callspec.id
    if "callable" in case or "make_scorer" in case:
        expected = model.score(X_VAL, Y_VAL)
    elif "name" in case:
        expected = matthews_corrcoef(Y_VAL, model.predict(X_VAL), sample_weight=weight)
    elif "top_k" in case:
        expected = top_k_accuracy_score(Y_VAL, model.predict_proba(X_VAL), sample_weight=weight)
    else:
        expected = model.score(X_VAL, Y_VAL, weight)
    assert model.validation_scores_[-1] == pytest.approx(expected)


def test_a_regressor_scored_by_a_metric_without_weights():
    model = MLPRegressor(**SMALL, scoring="neg_max_error")
    model.fit(X_TRAIN, Y_TRAIN / 4, np.ones(900), X_val=X_VAL, y_val=Y_VAL / 4, sample_weight_val=WEIGHT)
    assert model.validation_scores_[-1] == -np.abs(model.predict(X_VAL) - Y_VAL / 4).max()


@pytest.mark.parametrize(
    ("scoring", "metric"), [("roc_auc", roc_auc_score), ("average_precision", average_precision_score)]
)
@pytest.mark.parametrize("n_labels", [2, 3])
def test_scores_of_probabilities_for_several_labels(n_labels, scoring, metric):
    labels = np.c_[Y_TRAIN > 4, Y_TRAIN % 2, Y_TRAIN < 2].astype(int)[:, :n_labels]
    model = MLPClassifier(**SMALL, scoring=scoring).fit(X_TRAIN, labels, X_val=X_TRAIN[:300], y_val=labels[:300])
    assert model.validation_scores_[-1] == pytest.approx(metric(labels[:300], model.predict_proba(X_TRAIN[:300])))
    np.testing.assert_array_equal(model.classes_, np.arange(n_labels))


@pytest.mark.parametrize("n", [90, 900])
@pytest.mark.parametrize("kind", ["single row", "single rows", "many classes", "all different", "pair"])
def test_the_split_trains_on_rows_of_rare_classes(kind, n):
    y = {
        "single row": np.r_[np.arange(n - 1) % 2, 2],
        "single rows": np.r_[np.arange(n - 3) % 2, 2, 3, 4],
        "many classes": np.arange(n) // 2,
        "all different": np.arange(n),
        "pair": np.r_[np.arange(n - 2) % 2, 2, 2],
    }[kind]
    seen = []
    rows = np.arange(n)
    X = np.c_[rows / n, rows % 7]
    scorer = lambda model, X, y: seen.append((X, y)) or 0.5  # noqa: E731
    model = MLPClassifier(**{**SMALL, "max_iter": 1}, early_stopping=True, scoring=scorer).fit(X, y)
    rows_val = np.rint(seen[0][0][:, 0] * n).astype(int)
    assert len(rows_val) == n // 10 == len(np.unique(rows_val))
    np.testing.assert_array_equal(y[rows_val], seen[0][1])
    assert model.t_ == n - n // 10
    trained_on = np.setdiff1d(rows, rows_val)
    if kind != "all different":
        counts = np.bincount(y)
        assert np.isin(np.flatnonzero(counts == 1), y[trained_on]).all()
    if kind in ("single row", "single rows", "pair"):
        assert abs(np.mean(y[rows_val] == 0) - 0.5) < 0.15  # stratified
