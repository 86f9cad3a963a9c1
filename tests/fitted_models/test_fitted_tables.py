"""Fitted estimators for tables: copies, files, displays, and scikit-learn's tools around them."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import StackingClassifier
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor

SMALL = {"n_members": 2, "hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
LONG = SMALL | {"hidden_layer_sizes": (32,), "max_iter": 40}
ESTIMATORS = [TabularMLPClassifier, TabularMLPRegressor]
both = pytest.mark.parametrize("estimator", ESTIMATORS)

RNG = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "noise": RNG.normal(size=300),
        "size": RNG.lognormal(size=300),
        "word": RNG.choice(["x", "y", None], 300),
        "flag": RNG.uniform(size=300) < 0.5,
    }
)
X.loc[::9, "size"] = np.nan
TARGET = np.log(X["size"].fillna(1).to_numpy()) + 2.0 * (X["word"] == "x").to_numpy() + 0.1 * RNG.normal(size=300)
Y = {TabularMLPClassifier: np.where(TARGET > 0.5, "high", "low"), TabularMLPRegressor: TARGET}


def outputs(model, X=X):
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


def fit(estimator, **params):
    return estimator(**SMALL | params).fit(X, Y[estimator])


# -- copies and files --------------------------------------------------------------------------------------------------


def through_a_file(model, path):
    joblib.dump(model, path)
    return joblib.load(path)


def memory_mapped(model, path):
    joblib.dump(model, path)
    return joblib.load(path, mmap_mode="r")


COPIES = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "joblib": through_a_file,
    "memory map": memory_mapped,
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "copy": lambda model, _: copy.copy(model),
}


@both
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_predicts_identically(estimator, copied, tmp_path):
    model = fit(estimator)
    loaded = copied(model, tmp_path / "model")
    assert_array_equal(outputs(loaded), outputs(model), strict=True)
    assert loaded.oof_score_ == model.oof_score_
    assert loaded.score(X, Y[estimator]) == model.score(X, Y[estimator])


@both
def test_a_copy_is_fitted_without_the_original(estimator):
    model = fit(estimator)
    before = outputs(model)
    copy.copy(model).set_params(random_state=1).fit(X, Y[estimator])
    assert_array_equal(outputs(model), before)


@both
def test_a_clone_is_not_fitted_and_trains_the_same_model(estimator):
    model = fit(estimator)
    cloned = clone(model)
    assert cloned.get_params() == model.get_params()
    assert not [name for name in vars(cloned) if name.endswith("_")]
    assert_array_equal(outputs(cloned.fit(X, Y[estimator])), outputs(model))


def test_a_loaded_model_predicts_identically_in_a_new_process(tmp_path):
    model = fit(TabularMLPClassifier)
    joblib.dump((model, X), tmp_path / "model.joblib")
    script = (
        "import joblib, numpy; model, X = joblib.load('model.joblib'); numpy.save('output.npy', model.predict_proba(X))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, check=True, timeout=120)
    assert_allclose(np.load(tmp_path / "output.npy"), outputs(model), rtol=1e-5)


@both
def test_a_skops_file_has_no_pickle(estimator):
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    model = fit(estimator)
    data = skops.dumps(model)
    untrusted = skops.get_untrusted_types(data=data)
    assert all(name.startswith("sklearn_mlp.") for name in untrusted)
    loaded = skops.loads(data, trusted=untrusted)
    assert_array_equal(outputs(loaded), outputs(model), strict=True)
    assert b".pickle" not in data


@both
def test_the_pickle_has_the_weights_and_little_else(estimator):
    model = fit(estimator, hidden_layer_sizes=(128, 128))
    weights = sum(array.nbytes for network in model.estimators_ for array in network.coefs_)
    assert len(pickle.dumps(model)) < 1.3 * weights


@both
def test_displays(estimator):
    model = fit(estimator)
    for each in (model, estimator()):
        assert estimator.__name__ in repr(each)
        assert estimator.__name__ in estimator_html_repr(each)
    assert "max_iter=5" in repr(model)


def test_the_encoder_can_be_used_alone():
    reg = fit(TabularMLPRegressor, n_bins=3)
    names = reg.encoder_.get_feature_names_out().tolist()
    assert names[:5] == ["noise", "size", "noise_bin0", "noise_bin1", "noise_bin2"]
    assert reg.encoder_.transform(X).shape == (300, len(names))
    frame = reg.encoder_.set_output(transform="pandas").transform(X)
    assert frame.columns.tolist() == names
    assert_allclose(
        np.mean([each.predict(frame.to_numpy()) for each in reg.estimators_], axis=0), outputs(reg), atol=1e-5
    )


# -- scikit-learn's tools ----------------------------------------------------------------------------------------------


def test_a_search_over_a_pipeline():
    size = make_column_transformer(
        (StandardScaler(), ["size"]), remainder="passthrough", verbose_feature_names_out=False
    )
    pipeline = make_pipeline(size.set_output(transform="pandas"), TabularMLPClassifier(**SMALL))
    grid = {"tabularmlpclassifier__max_iter": [1, 30], "tabularmlpclassifier__n_bins": [8]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="roc_auc").fit(X, Y[TabularMLPClassifier])
    assert search.best_params_["tabularmlpclassifier__max_iter"] == 30
    assert search.score(X, Y[TabularMLPClassifier]) > 0.8
    clf = search.best_estimator_[-1]
    assert clf.encoder_.is_categorical_[clf.feature_names_in_ == "word"].tolist() == [True]


@both
def test_cross_validation(estimator):
    scores = cross_val_score(estimator(**LONG), X, Y[estimator], cv=3)
    assert scores.mean() > 0.7
    predicted = cross_val_predict(estimator(**SMALL), X, Y[estimator], cv=3)
    assert predicted.shape == (300,)


@both
def test_permutation_importance_of_a_frame(estimator):
    model = estimator(**LONG).fit(X, Y[estimator])
    importance = permutation_importance(model, X, Y[estimator], n_repeats=3, random_state=0).importances_mean
    assert importance[1] > importance[2] > importance[[0, 3]].max() + 0.01


@both
def test_partial_dependence_of_numbers_and_categories(estimator):
    model = estimator(**LONG).fit(X, Y[estimator])
    sign = -1 if estimator is TabularMLPClassifier else 1  # of "low"
    known = X.dropna()
    of_size = partial_dependence(model, known, ["size"], grid_resolution=5)["average"][0]
    assert (sign * np.diff(of_size) > 0).all()
    of_word = partial_dependence(model, known, ["word"], categorical_features=["word"])
    assert of_word["grid_values"][0].tolist() == ["x", "y"]
    assert sign * np.diff(of_word["average"][0]) < 0


def test_a_transformed_target():
    reg = TransformedTargetRegressor(TabularMLPRegressor(**LONG), func=np.log, inverse_func=np.exp)
    assert reg.fit(X, np.exp(TARGET)).score(X, np.exp(TARGET)) > 0.5


def test_a_stack():
    stack = StackingClassifier([("mlp", TabularMLPClassifier(**LONG))], LogisticRegression(), cv=2)
    assert stack.fit(X, Y[TabularMLPClassifier]).score(X, Y[TabularMLPClassifier]) > 0.7
