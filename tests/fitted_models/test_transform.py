"""The output of the last hidden layer is what predictions are computed from, and serves as a step of a pipeline."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils import estimator_checks, estimator_html_repr

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.activations import ACTIVATIONS

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_iris(return_X_y=True)
X = scale(X)
SMALL = {"hidden_layer_sizes": (8, 5), "max_iter": 5, "random_state": 0}


def output_layer(model, A):
    return A @ model.coefs_[-1] + model.intercepts_[-1]


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, ("tanh", "relu")], ids=str)
def test_the_output_layer_makes_the_prediction_of_it(activation, normalization):
    params = SMALL | {"activation": activation, "normalization": normalization, "dropout": 0.3}
    clf = MLPClassifier(**params).fit(X, Y)
    A = clf.transform(X)
    assert A.shape == (150, 5)
    assert_allclose(softmax(output_layer(clf, A), axis=1), clf.predict_proba(X), rtol=1e-12)
    target = np.column_stack([Y, -Y])
    reg = MLPRegressor(**params).fit(X, target)
    assert_allclose(output_layer(reg, reg.transform(X)), reg.predict(X), rtol=1e-12)


def test_a_single_layer_by_hand():
    reg = MLPRegressor(**SMALL | {"hidden_layer_sizes": 6, "activation": "tanh"}).fit(X, Y)
    assert_allclose(reg.transform(X), np.tanh(X @ reg.coefs_[0] + reg.intercepts_[0]), rtol=1e-12)


def test_chunks_sparse_matrices_and_single_rows(each_device, monkeypatch):
    clf = MLPClassifier(**SMALL).fit(X, Y)
    whole = clf.transform(X)
    assert_allclose(clf.transform(csr_array(X)), whole, rtol=1e-12)
    assert_allclose(np.vstack([clf.transform(X[i : i + 1]) for i in range(150)]), whole, rtol=1e-12)
    monkeypatch.setattr(type(each_device), "chunk_rows", lambda self, X, n_units: 7)
    assert_allclose(clf.transform(X), whole, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_has_the_precision_of_the_model(dtype):
    clf = MLPClassifier(**SMALL).fit(X.astype(dtype), Y)
    assert clf.transform(X).dtype == clf.fit_transform(X.astype(dtype), Y).dtype == dtype


def test_threads_share_a_model():
    clf = MLPClassifier(**SMALL).fit(X, Y)
    rows = [X[i : i + 1] for i in range(150)] * 5
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda row: (clf.transform(row), clf.predict_proba(row)), rows))
    hidden, probability = map(np.vstack, zip(*outputs, strict=True))
    assert_array_equal(hidden, np.vstack([clf.transform(row) for row in rows]))
    assert_allclose(softmax(output_layer(clf, hidden), axis=1), probability, rtol=1e-12)


def test_arrays_on_the_gpu_stay_there(cupy):
    clf = MLPClassifier(**SMALL, device="cuda").fit(X, Y)
    A = clf.transform(cupy.asarray(X))
    assert isinstance(A, cupy.ndarray)
    assert_array_equal(cupy.asnumpy(A), clf.transform(X))


def test_a_pipeline_trains_it_and_goes_on_with_its_output():
    network, linear = MLPClassifier(**SMALL), LogisticRegression()
    weight = np.linspace(0.1, 2, 150)
    pipeline = make_pipeline(StandardScaler(), clone(network), clone(linear))
    pipeline.fit(X, Y, mlpclassifier__sample_weight=weight, mlpclassifier__X_val=X[:9], mlpclassifier__y_val=Y[:9])
    network.fit(StandardScaler().fit_transform(X), Y, weight, X_val=X[:9], y_val=Y[:9])
    assert pipeline[1].validation_scores_ == network.validation_scores_
    A = network.transform(StandardScaler().fit_transform(X))
    assert_array_equal(pipeline.predict_proba(X), linear.fit(A, Y).predict_proba(A))
    search = GridSearchCV(pipeline, {"mlpclassifier__hidden_layer_sizes": [3, (4, 2)]}, cv=2).fit(X, Y)
    assert is_classifier(search)
    with sklearn.config_context(enable_metadata_routing=True):
        asked = MLPClassifier(**SMALL).set_fit_request(sample_weight=True)
        assert not hasattr(asked, "set_transform_request")
        scaler, linear = (step.set_fit_request(sample_weight=False) for step in (StandardScaler(), linear))
        routed = make_pipeline(scaler, asked, linear)
        routed.fit(X, Y, sample_weight=weight)
    unvalidated = MLPClassifier(**SMALL).fit(StandardScaler().fit_transform(X), Y, weight)
    assert_array_equal(routed[1].coefs_[0], unvalidated.coefs_[0])


def test_frames_with_names():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    reg = MLPRegressor(**SMALL).fit(frame, Y)
    names = [f"mlpregressor{i}" for i in range(5)]
    assert reg.get_feature_names_out().tolist() == names
    A, prediction = reg.transform(frame), reg.predict(frame)
    for library in (pandas, polars):
        output = reg.set_output(transform=library.__name__).transform(frame)
        assert isinstance(output, library.DataFrame)
        assert list(output.columns) == names
        assert_array_equal(output.to_numpy(), A)
        assert type(reg.predict(frame)) is np.ndarray
        assert_array_equal(reg.predict(frame), prediction)
        assert isinstance(clone(reg).fit(frame, Y).transform(frame), library.DataFrame)
    columns = make_column_transformer((MLPRegressor(**SMALL), ["a", "b"]), ("passthrough", ["c"]))
    union = make_union(columns, MLPRegressor(**SMALL)).fit(frame, Y)
    assert union.transform(frame).shape == (150, 5 + 1 + 5)
    assert union.get_feature_names_out()[-1] == "mlpregressor__mlpregressor4"


CHECKS = [
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_set_output_transform_polars,
    estimator_checks.check_global_output_transform_pandas,
    estimator_checks.check_global_set_output_transform_polars,
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
]


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_scikit_learns_further_checks_of_transformers(estimator, check):
    check(estimator.__name__, estimator(**SMALL))


def test_a_classifier_stays_a_classifier_and_a_regressor_a_regressor():
    clf, reg = MLPClassifier(**SMALL).fit(X, Y), MLPRegressor(**SMALL).fit(X, Y)
    assert is_classifier(clf)
    assert is_regressor(reg)
    assert "mlpclassifier4" in estimator_html_repr(clf)


def test_errors():
    with pytest.raises(NotFittedError):
        MLPClassifier().transform(X)
    with pytest.raises(NotFittedError):
        MLPClassifier().get_feature_names_out()
    clf = MLPClassifier(**SMALL).fit(X, Y)
    with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4"):
        clf.transform(X[:, :3])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        clf.transform(np.full((1, 4), np.nan))
    linear = MLPRegressor(**SMALL | {"hidden_layer_sizes": ()}).fit(*load_diabetes(return_X_y=True))
    with pytest.raises(ValueError, match=r"a network with hidden_layer_sizes=\(\) has none"):
        linear.transform(load_diabetes().data)
    assert linear.get_feature_names_out().size == 0
    assert "MLPRegressor" in estimator_html_repr(linear)
