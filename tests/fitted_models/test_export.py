"""ONNX models, skops files and PyTorch modules that predict what the estimator does."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from same_model import assert_same_model
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.optimizers import SOLVERS
from sklearn_mlp.export import to_onnx, to_torch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_DIGITS, Y_DIGITS = load_digits(return_X_y=True)
X_DIGITS, Y_DIGITS = X_DIGITS[:300] / 16, Y_DIGITS[:300]
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
X_DIABETES = scale(X_DIABETES)
SMALL = {"hidden_layer_sizes": (8, 6), "max_iter": 5, "random_state": 0}
NAMES = np.array([f"digit {label}" for label in Y_DIGITS])
LABELS = {
    "int": Y_DIGITS,
    "two": Y_DIGITS % 2,
    "str": NAMES,
    "object": NAMES.astype(object),
    "bool": Y_DIGITS > 4,
    "float": Y_DIGITS.astype(float),
    "int8": Y_DIGITS.astype(np.int8),
    "one": np.full(300, "digit"),
    "multilabel": np.eye(10, dtype=int)[Y_DIGITS],
    "several": np.column_stack([Y_DIGITS, Y_DIGITS % 3]),
    "several, str": np.column_stack([NAMES, NAMES[::-1]]),
}
REGRESSIONS = {
    "one": ({}, Y_DIABETES / 50),
    "two": ({}, np.column_stack([Y_DIABETES, -Y_DIABETES]) / 50),
    "standardised": ({"standardize_target": True}, Y_DIABETES),
    "quantiles": ({"loss": "quantile", "quantile": (0.1, 0.5, 0.9)}, Y_DIABETES / 50),
    "exp": ({"loss": "poisson"}, Y_DIABETES / 50),
    "logistic": ({"loss": "log_loss"}, np.column_stack([Y_DIABETES, 400 - Y_DIABETES]) / 400),
}
labels = pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
regressions = pytest.mark.parametrize(("params", "y"), REGRESSIONS.values(), ids=REGRESSIONS)
layers = pytest.mark.parametrize("normalization", [None, "batch", "layer"])
activations = pytest.mark.parametrize("activation", [*ACTIVATIONS, ("mish", "identity")], ids=str)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def run_onnx(model, X):
    """What onnxruntime makes of X, all rows, one row and none."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="what runs the models is not installed")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def outputs(X):
        if hasattr(X, "columns"):
            return session.run(None, {name: X[[name]].to_numpy() for name in X.columns})
        return session.run(None, {"X": X})

    assert len(outputs(X[:1])[0]) == 1
    return outputs(X)


def assert_same_predictions(model, estimator, X, tolerance):
    result = run_onnx(model, X)
    if not hasattr(estimator, "predict_proba"):
        expected = estimator.predict(X)
        assert_allclose(result[0], expected.reshape(len(X), -1), rtol=tolerance, atol=tolerance)
        return
    label, probability = result
    expected = estimator.predict_proba(X)
    assert_array_equal(label, estimator.predict(X))
    for ours, theirs in zip(probability, expected, strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=tolerance)


# -- ONNX --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def _skl2onnx():
    pytest.importorskip("skl2onnx", reason="the converter of ONNX is not installed")


onnx = pytest.mark.usefixtures("_skl2onnx")


@onnx
@activations
@layers
@dtypes
def test_onnx_of_every_architecture(activation, normalization, dtype):
    X = X_DIGITS.astype(dtype)
    clf = MLPClassifier(**SMALL, activation=activation, normalization=normalization, learning_rate_init=0.01)
    clf.fit(X, Y_DIGITS)
    assert_same_predictions(to_onnx(clf, X[:1]), clf, X, 1e-6 if dtype == np.float32 or activation == "gelu" else 1e-12)


@onnx
@labels
def test_onnx_of_every_kind_of_labels(y):
    clf = MLPClassifier(**SMALL).fit(X_DIGITS, y)
    assert_same_predictions(to_onnx(clf, X_DIGITS), clf, X_DIGITS, 1e-12)


@onnx
@regressions
@dtypes
def test_onnx_of_every_kind_of_target(params, y, dtype):
    X = X_DIABETES.astype(dtype)
    reg = MLPRegressor(**SMALL, **params).fit(X, y)
    assert_same_predictions(to_onnx(reg, X), reg, X, 1e-5 if dtype == np.float32 else 1e-12)


@onnx
def test_onnx_without_hidden_layers_and_with_whole_numbers():
    X = (16 * X_DIGITS).astype(np.int64)
    clf = MLPClassifier((), max_iter=5, random_state=0).fit(X, NAMES)
    assert_same_predictions(to_onnx(clf, X), clf, X, 1e-12)


@onnx
def test_onnx_in_single_precision_of_a_model_in_double_precision():
    clf = MLPClassifier(**SMALL).fit(X_DIGITS, NAMES)
    assert_same_predictions(to_onnx(clf, X_DIGITS.astype(np.float32)), clf, X_DIGITS.astype(np.float32), 1e-6)


@onnx
def test_onnx_of_a_pipeline_of_columns_in_a_search():
    pandas = pytest.importorskip("pandas")
    X, y = load_iris(return_X_y=True)
    frame = pandas.DataFrame(X.astype(np.float32), columns=["a", "b", "c", "d"])
    frame["colour"] = np.array(["red", "green", "blue"])[np.arange(150) % 3]
    columns = make_column_transformer((StandardScaler(), ["a", "b", "c", "d"]), (OneHotEncoder(), ["colour"]))
    pipeline = make_pipeline(columns, MLPClassifier(**SMALL, learning_rate_init=0.01))
    species = np.array(["setosa", "versicolor", "virginica"])[y]
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=2).fit(frame, species)
    assert_same_predictions(to_onnx(search, frame), search, frame, 1e-6)


@onnx
def test_onnx_of_an_ensemble():
    members = [("mlp", MLPClassifier(**SMALL)), ("linear", LogisticRegression())]
    vote = VotingClassifier(members, voting="soft", flatten_transform=False).fit(X_DIGITS, Y_DIGITS)
    assert_same_predictions(to_onnx(vote, X_DIGITS.astype(np.float32)), vote, X_DIGITS.astype(np.float32), 1e-6)


@onnx
def test_onnx_needs_a_fitted_estimator_and_labels_that_it_has_types_for():
    with pytest.raises(NotFittedError):
        to_onnx(MLPClassifier(), X_DIGITS)
    clf = MLPClassifier(**SMALL).fit(X_DIGITS, NAMES.astype(object))
    clf.classes_ = np.array([b"bytes", *clf.classes_[1:]], object)
    with pytest.raises(ValueError, match=r"ONNX models cannot hold the labels b'bytes'.*LabelEncoder"):
        to_onnx(clf, X_DIGITS)


WITHOUT_TYPE = {
    "uint64": np.array([0, 2**63, 2**64 - 1], np.uint64)[Y_DIGITS % 3],
    "dates": np.datetime64("2026-01-01") + Y_DIGITS,
    "durations": Y_DIGITS.astype("m8[s]"),
}


@onnx
@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize(("kind", "y"), WITHOUT_TYPE.items(), ids=WITHOUT_TYPE)
def test_labels_that_onnx_cannot_hold_are_refused(kind, y, zipmap):
    import skl2onnx

    clf = MLPClassifier(**SMALL).fit(X_DIGITS, y)
    options = {"zipmap": zipmap}
    with pytest.raises(ValueError, match=rf"ONNX models cannot hold the labels .*{clf.classes_[1]}.*LabelEncoder"):
        skl2onnx.to_onnx(clf, X_DIGITS, options={MLPClassifier: options})
    model = skl2onnx.to_onnx(clf, X_DIGITS, options={MLPClassifier: {"zipmap": False, "nocl": True}})
    assert_array_equal(clf.classes_[run_onnx(model, X_DIGITS)[0]], clf.predict(X_DIGITS))


@onnx
def test_labels_that_fit_into_64_bits_are_exact():
    for labels in ([0, 2**31, 2**63 - 1], np.array([0, 2**31, 2**63 - 1], np.uint64), [0.0, 2.0**31, 2.0**60]):
        clf = MLPClassifier(**SMALL).fit(X_DIGITS, np.array(labels)[Y_DIGITS % 3])
        assert_same_predictions(to_onnx(clf, X_DIGITS), clf, X_DIGITS, 1e-12)
    stack = StackingClassifier([("mlp", MLPClassifier(**SMALL))], LogisticRegression(), cv=2)
    with pytest.raises(ValueError, match=r"cannot hold the labels 2147483648.*that skl2onnx converts, int32"):
        to_onnx(stack.fit(X_DIGITS, 2**31 * (Y_DIGITS % 2)), X_DIGITS)


def test_without_skl2onnx_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    monkeypatch.delitem(sys.modules, "sklearn_mlp._onnx", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'sklearn_mlp\[onnx\]'"):
        to_onnx(MLPClassifier(**SMALL).fit(X_DIGITS, Y_DIGITS), X_DIGITS)


@onnx
def test_an_onnx_file_needs_nothing_of_this_package(tmp_path):
    pytest.importorskip("onnxruntime", reason="what runs the models is not installed")
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL)).fit(X_DIGITS, NAMES)
    (tmp_path / "model.onnx").write_bytes(to_onnx(pipeline, X_DIGITS).SerializeToString())
    np.save(tmp_path / "X.npy", X_DIGITS)
    script = (
        "import sys, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession('model.onnx')\n"
        "label, probability = session.run(None, {'X': numpy.load('X.npy')})\n"
        "assert not [name for name in sys.modules if name.startswith(('sklearn', 'skl2onnx', 'scipy'))]\n"
        "numpy.savez('outputs.npz', label=label.astype(str), probability=probability)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)
    with np.load(tmp_path / "outputs.npz") as theirs:
        assert_array_equal(theirs["label"], pipeline.predict(X_DIGITS))
        assert_allclose(theirs["probability"], pipeline.predict_proba(X_DIGITS), rtol=0, atol=1e-6)


# -- skl2onnx, which knows the estimators from the import of sklearn_mlp.export ----------------------------------------


def mlp(**params):
    return MLPClassifier(**SMALL | params)


def regressor(**params):
    return MLPRegressor(**SMALL | params)


NO_ZIPMAP = {"zipmap": False}
MEMBERS = [("mlp", mlp()), ("scaled", make_pipeline(StandardScaler(), mlp())), ("linear", LogisticRegression())]
# Networks that another step follows transform, wherever they are.
HIDDEN = make_pipeline(StandardScaler(), mlp(hidden_layer_sizes=(4,)), mlp())
HIDDEN_REGRESSOR = make_pipeline(StandardScaler(), regressor(hidden_layer_sizes=(1,)), regressor())
CLASSIFIERS = {
    "alone": mlp(),
    "search": GridSearchCV(make_pipeline(StandardScaler(), mlp()), {"mlpclassifier__alpha": [1.0]}, cv=2),
    "stack": StackingClassifier(MEMBERS, LogisticRegression(), cv=2),
    "top of a stack": StackingClassifier(MEMBERS[2:], mlp(), cv=2),
    "vote": VotingClassifier(MEMBERS, voting="soft", flatten_transform=False),
    "one for each class": OneVsRestClassifier(mlp()),
    "hidden layer": HIDDEN,
    "hidden layer, to another": make_pipeline(StandardScaler(), mlp(), LogisticRegression()),
    "hidden layer, search": GridSearchCV(HIDDEN, {"mlpclassifier-1__alpha": [1.0]}, cv=2),
    "hidden layer of a search": make_pipeline(GridSearchCV(mlp(), {"alpha": [1.0]}, cv=2), LogisticRegression()),
    "hidden layer, vote": VotingClassifier([("a", HIDDEN), MEMBERS[2]], voting="soft", flatten_transform=False),
    "hidden layer, columns": make_pipeline(
        make_column_transformer((mlp(), [0, 1, 2]), (HIDDEN, [2, 3]), ("passthrough", [4])), mlp()
    ),
}
REGRESSORS = {
    "several outputs": make_pipeline(StandardScaler(), regressor()),
    "hidden layer": HIDDEN_REGRESSOR,
    "hidden layer, stack": StackingRegressor([("a", HIDDEN_REGRESSOR), ("b", regressor())], LinearRegression(), cv=2),
    "hidden layer, union": make_pipeline(make_union(StandardScaler(), regressor(), HIDDEN_REGRESSOR), regressor()),
}


@onnx
@dtypes
@pytest.mark.parametrize("estimator", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_skl2onnx_converts_classifiers_in_anything(estimator, dtype):
    import skl2onnx

    X, y = X_DIGITS[:, 18:23].astype(dtype), NAMES
    model = clone(estimator).fit(X, y)
    options = {id(model): NO_ZIPMAP} | dict.fromkeys((MLPClassifier, LogisticRegression), NO_ZIPMAP)
    onnx_model = skl2onnx.to_onnx(model, X[:1], options=options)
    assert_same_predictions(onnx_model, model, X, 1e-5 if dtype == np.float32 else 1e-10)


@onnx
@dtypes
@pytest.mark.parametrize("estimator", REGRESSORS.values(), ids=REGRESSORS)
def test_skl2onnx_converts_regressors_in_anything(estimator, dtype):
    import skl2onnx

    X, y = X_DIABETES.astype(dtype), Y_DIABETES / 100
    y = np.column_stack([y, -y]) if estimator is REGRESSORS["several outputs"] else y
    model = clone(estimator).fit(X, y)
    assert_same_predictions(skl2onnx.to_onnx(model, X[:1]), model, X, 1e-5 if dtype == np.float32 else 1e-10)


@onnx
@pytest.mark.parametrize("labels", ["int", "two", "str", "bool", "float", "one", "multilabel", "several"])
def test_skl2onnx_with_its_zipmap(labels):
    import skl2onnx

    X, y = X_DIGITS.astype(np.float32), LABELS[labels]
    model = make_pipeline(StandardScaler(), mlp()).fit(X, y)
    label, probability = run_onnx(skl2onnx.to_onnx(model, X[:1]), X)
    assert_array_equal(label, model.predict(X))
    expected = model.predict_proba(X)
    if labels != "several":  # for which there is no ZipMap
        assert [*probability[0]] == model.classes_.tolist()
        probability, expected = [np.array([list(row.values()) for row in probability])], [expected]
    for ours, theirs in zip(probability, expected, strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@onnx
def test_skl2onnx_with_other_options():
    import skl2onnx

    X = X_DIGITS.astype(np.float32)
    clf = mlp().fit(X, NAMES)
    columns = skl2onnx.to_onnx(clf, X[:1], options={MLPClassifier: {"zipmap": "columns"}})
    assert [output.name for output in columns.graph.output] == ["output_label", *(f"s{name}" for name in clf.classes_)]
    assert_allclose(np.column_stack(run_onnx(columns, X)[1:]), clf.predict_proba(X), atol=1e-6)
    with_labels = skl2onnx.to_onnx(clf, X[:1], options={MLPClassifier: NO_ZIPMAP | {"output_class_labels": True}})
    assert_array_equal(run_onnx(with_labels, X)[2], clf.classes_)
    with pytest.raises(NameError, match="Option 'raw_scores' not in"):  # as for scikit-learn's MLPClassifier
        skl2onnx.to_onnx(clf, X[:1], options={MLPClassifier: {"raw_scores": True}})


@onnx
def test_the_import_of_export_is_enough_for_skl2onnx():
    script = (
        "import numpy, skl2onnx\n"
        "from sklearn_mlp import MLPClassifier\n"
        "import sklearn_mlp.export\n"
        "X = numpy.eye(3)\n"
        "skl2onnx.to_onnx(MLPClassifier(solver='lbfgs', max_iter=9).fit(X, [0, 1, 2]), X)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)


def test_only_the_import_of_export_imports_skl2onnx_and_it_is_not_required():
    script = (
        "import sys, sklearn_mlp\n"
        "assert 'skl2onnx' not in sys.modules\n"
        "sys.modules['skl2onnx'] = None\n"
        "import sklearn_mlp.export\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


# -- skops -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("solver", [*SOLVERS, "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.filterwarnings("ignore:early_stopping=True has no effect:UserWarning")
def test_a_skops_file_has_one_type_to_trust_and_no_pickle(estimator, solver, early_stopping):
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    X, y = (X_DIGITS, NAMES) if estimator is MLPClassifier else (X_DIABETES, Y_DIABETES / 50)
    model = make_pipeline(StandardScaler(), estimator(**SMALL, solver=solver, early_stopping=early_stopping)).fit(X, y)
    data = skops.dumps(model)
    (untrusted,) = skops.get_untrusted_types(data=data)
    assert untrusted == f"{estimator.__module__}.{estimator.__name__}"
    loaded = skops.loads(data, trusted=[untrusted])
    assert_same_model(loaded[-1], model[-1])
    assert_array_equal(loaded.predict(X), model.predict(X))
    # The extension that a pickled part would have.
    assert b".pickle" not in data
    with pytest.raises(skops.exceptions.UntrustedTypesFoundException):
        skops.loads(data, trusted=[])


def test_a_model_from_a_skops_file_goes_on_training():
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    clf = MLPClassifier(**SMALL, dropout=0.1).partial_fit(X_DIGITS, Y_DIGITS, classes=range(10))
    data = skops.dumps(clf)
    loaded = skops.loads(data, trusted=skops.get_untrusted_types(data=data))
    assert_same_model(loaded.partial_fit(X_DIGITS, Y_DIGITS), clf.partial_fit(X_DIGITS, Y_DIGITS))


# -- PyTorch -----------------------------------------------------------------------------------------------------------


def assert_same_output(estimator, X):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    output = to_torch(estimator)(torch.tensor(X))
    classifies = hasattr(estimator, "predict_proba")
    expected = estimator.predict_proba(X) if classifies else estimator.predict(X)
    pairs = zip(output, expected, strict=True) if isinstance(expected, list) else [(output, expected)]
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape
        assert_allclose(ours.detach().numpy(), theirs, rtol=1e-10, atol=1e-10)


@activations
@layers
def test_torch_of_every_architecture(activation, normalization):
    clf = MLPClassifier(**SMALL, activation=activation, normalization=normalization, learning_rate_init=0.01)
    assert_same_output(clf.fit(X_DIGITS, Y_DIGITS), X_DIGITS)


@labels
def test_torch_of_every_kind_of_labels(y):
    assert_same_output(MLPClassifier(**SMALL).fit(X_DIGITS, y), X_DIGITS)


@regressions
def test_torch_of_every_kind_of_target(params, y):
    assert_same_output(MLPRegressor(**SMALL, **params).fit(X_DIABETES, y), X_DIABETES)
