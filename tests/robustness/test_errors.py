"""Errors about invalid parameters and data, and the state of the estimator after them."""

import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import sklearn.neural_network
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.preprocessing import scale

import sklearn_mlp
from sklearn_mlp import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = scale(X_IRIS)
X_CANCER, Y_CANCER = load_breast_cancer(return_X_y=True)
X_CANCER = scale(X_CANCER)

BAD_PARAMETERS = [
    ("hidden_layer_sizes", 0),
    ("hidden_layer_sizes", "100"),
    ("activation", "sigmoid"),
    ("solver", "rmsprop"),
    ("alpha", -1e-3),
    ("batch_size", 0),
    ("batch_size", "all"),
    ("learning_rate", "sine"),
    ("learning_rate_init", 0),
    ("power_t", -1),
    ("max_iter", 0),
    ("max_iter", 1.5),
    ("shuffle", "yes"),
    ("random_state", "seed"),
    ("tol", -1),
    ("verbose", -1),
    ("warm_start", "no"),
    ("momentum", 1.1),
    ("nesterovs_momentum", 2),
    ("early_stopping", "auto"),
    ("validation_fraction", 1),
    ("beta_1", 1),
    ("beta_2", -0.1),
    ("epsilon", 0),
    ("n_iter_no_change", 0.5),
    ("max_fun", 0),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS)
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_a_bad_parameter_has_the_message_of_scikit_learn(kind, name, value):
    parts = []
    for module in (sklearn.neural_network, sklearn_mlp):
        with pytest.raises(ValueError, match=name) as error:
            getattr(module, kind)(**{name: value}).fit(X_IRIS, Y_IRIS)
        parts.append(re.fullmatch(r"(?s)(.*?)(?:\{(.*)\}.*( Got .*ead\.).*)?", str(error.value)).groups(default=""))
    (theirs, their_options, got), (ours, our_options, we_got) = parts
    assert (theirs, got) == (ours, we_got)
    # Options are listed in any order, and there may be more of them here.
    assert set(their_options.split(", ")) <= set(our_options.split(", "))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_layer_sizes": (5, 0)}, r"hidden_layer_sizes must be > 0, got \[5, 0\]"),
        ({"hidden_layer_sizes": (True,)}, r"hidden_layer_sizes must be integers.*got \(True,\)"),
        ({"hidden_layer_sizes": (5.5,)}, r"hidden_layer_sizes must be integers.*got \(5.5,\).*For example"),
        (
            {"device": "gpu"},
            r"device='gpu' is not a device: use 'cpu', 'cuda', 'cuda:0' \(or another number\) or 'auto'",
        ),
        ({"device": 0}, r"The 'device' parameter .* must be an instance of 'str'. Got 0"),
        ({"dtype": "float16"}, r"The 'dtype' parameter .*float32.*Got 'float16'"),
        ({"dtype": np.float32}, r"The 'dtype' parameter .*float32"),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_beyond_scikit_learn(method, params, message):
    with pytest.raises(ValueError, match=message):
        getattr(MLPRegressor(**params), method)(X_IRIS, Y_IRIS)


@pytest.mark.parametrize("number", [np.float16, np.float32, np.longdouble])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_any_kind_of_real_number_will_do(solver, number):
    names = ("alpha", "learning_rate_init", "power_t", "tol", "momentum", "beta_1", "beta_2", "epsilon")
    params = {name: number(0.25) for name in names}
    for learning_rate in ("constant", "invscaling", "adaptive"):
        common = {"solver": solver, "learning_rate": learning_rate, "max_iter": 5, "random_state": 0}
        losses = [
            MLPClassifier((3,), **common, **{name: kind(value) for name, value in params.items()})
            .fit(X_IRIS, Y_IRIS)
            .loss_
            for kind in (float, number)
        ]
        assert losses[0] == losses[1]


def test_a_bad_parameter_is_seen_by_a_later_partial_fit():
    clf = MLPClassifier((3,)).partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="'alpha' parameter"):
        clf.set_params(alpha=-1).partial_fit(X_IRIS, Y_IRIS)


NAN = np.where(np.arange(X_IRIS.size).reshape(X_IRIS.shape) == 5, np.nan, X_IRIS)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (NAN, Y_IRIS, "Input X contains NaN"),
        (np.where(np.isnan(NAN), np.inf, X_IRIS), Y_IRIS, "Input X contains infinity"),
        (X_IRIS[:, 0], Y_IRIS, "Expected 2D array, got 1D array"),
        (X_IRIS[np.newaxis], Y_IRIS, "Found array with dim 3"),
        (X_IRIS[:0], Y_IRIS[:0], r"Found array with 0 sample"),
        (X_IRIS[:, :0], Y_IRIS, r"Found array with 0 feature"),
        (X_IRIS * 1j, Y_IRIS, "Complex data not supported"),
        (X_IRIS, Y_IRIS[:-1], "inconsistent numbers of samples"),
        (X_IRIS, None, "requires y to be passed"),
        (X_IRIS, np.where(Y_IRIS == 1, np.nan, Y_IRIS), "Input y contains NaN"),
        (X_IRIS, np.zeros((150, 2, 2)), "Found array with dim 3"),
        ([["a", "b"]] * 150, Y_IRIS, "could not convert string"),
    ],
)
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_bad_data(Estimator, X, y, message):
    with pytest.raises(ValueError, match=message):
        Estimator(hidden_layer_sizes=(3,)).fit(X, y)


@pytest.mark.parametrize("method", ["fit", "predict"])
@pytest.mark.parametrize("value", [np.nan, "setosa"], ids=str)
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_missing_values_and_strings_are_for_the_tabular_estimators(estimator, value, method):
    model = estimator(hidden_layer_sizes=(2,), max_iter=1).fit(X_IRIS, Y_IRIS)
    X = X_IRIS.astype(object)
    X[3, 1] = value
    with pytest.raises(ValueError, match=r"NaN|could not convert string") as error:
        getattr(model, method)(*(X, Y_IRIS)[: 2 if method == "fit" else 1])
    assert any("TabularMLPClassifier and TabularMLPRegressor" in note for note in error.value.__notes__)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (X_IRIS[:, 0], "Unknown label type: continuous"),
    ],
)
def test_bad_labels(y, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier((3,)).fit(X_IRIS, y)


@pytest.mark.parametrize("values", [(-1, 1), (1, 2), (-1, 0)])
def test_a_multilabel_target_is_zero_or_not(values):
    indicator = np.eye(3, dtype=int)[Y_IRIS]
    with pytest.raises(
        ValueError, match=r"has the values \[.*\]; a multilabel y has 0 and 1. Pass, for example, \(y > 0"
    ):
        MLPClassifier((3,)).fit(X_IRIS, np.where(indicator, values[1], values[0]))
    # Any positive number stands for 1, as in scikit-learn.
    twos = MLPClassifier((3,), max_iter=3, random_state=0).fit(X_IRIS, 2 * indicator)
    ones = MLPClassifier((3,), max_iter=3, random_state=0).fit(X_IRIS, indicator)
    assert twos.loss_ == ones.loss_


def test_targets_of_a_regression_that_are_no_numbers():
    with pytest.raises(ValueError, match=r"y has dtype .*; MLPRegressor takes numbers only"):
        MLPRegressor().fit(X_IRIS, Y_IRIS.astype(str))


def test_sparse_targets_of_a_regression():
    with pytest.raises(ValueError, match=r"y is a sparse matrix of shape \(150, 4\).*Pass y.toarray\(\)"):
        MLPRegressor(hidden_layer_sizes=(3,)).fit(X_IRIS, csr_array(X_IRIS))


@pytest.mark.parametrize(
    ("sample_weight", "message"),
    [
        (np.ones(149), r"sample_weight.shape == \(149,\), expected \(150,\)"),
        (np.ones((150, 1)), "Sample weights must be 1D array or scalar"),
        (np.full(150, np.nan), "Input sample_weight contains NaN"),
        (np.zeros(150), "Sample weights must contain at least one non-zero number"),
    ],
)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_bad_weights(solver, sample_weight, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier((3,), solver=solver).fit(X_IRIS, Y_IRIS, sample_weight=sample_weight)


def test_weights_that_leave_nothing_to_train_on_after_the_split():
    sample_weight = np.zeros(150)
    sample_weight[0] = 1
    with pytest.raises(ValueError, match=r"sample_weight times class_weight\) is zero .*validation_fraction=0.1"):
        MLPRegressor(hidden_layer_sizes=(3,), early_stopping=True, random_state=0).fit(
            X_IRIS, Y_IRIS, sample_weight=sample_weight
        )


@pytest.mark.parametrize(
    ("validation_fraction", "message"),
    [
        (0, r"validation set is too small.*validation_fraction=0 of the 150 samples: 0 to validate"),
        (0.005, r"validation set is too small.*samples: 1 to validate on, of which there must be 2, and 149 to"),
        (0.999, r"training set is too small. Decrease 'validation_fraction'.*150 to validate on.* and 0 to train"),
    ],
)
def test_a_validation_set_that_cannot_be_made(validation_fraction, message):
    clf = MLPClassifier((3,), early_stopping=True, validation_fraction=validation_fraction)
    with pytest.raises(ValueError, match=message):
        clf.fit(X_IRIS, Y_IRIS)


def test_partial_fit_of_a_classifier_needs_classes():
    clf = MLPClassifier((3,))
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        clf.partial_fit(X_IRIS, Y_IRIS)
    clf.partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`. .* 'y' has \[1 2 3\]"):
        clf.partial_fit(X_IRIS, Y_IRIS + 1)
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        clf.partial_fit(X_IRIS, Y_IRIS, classes=[0, 1])


@pytest.mark.parametrize("resume", ["warm_start", "partial_fit"])
@pytest.mark.parametrize("change", ["hidden layers", "outputs", "features"])
def test_training_goes_on_only_with_the_same_network(resume, change):
    reg = MLPRegressor(hidden_layer_sizes=(6,), max_iter=2, random_state=0, warm_start=True)
    y = X_IRIS[:, :2]
    reg.fit(X_IRIS, y)
    before = reg.predict(X_IRIS)
    X = X_IRIS
    if change == "hidden layers":
        reg.set_params(hidden_layer_sizes=(6, 3))
        message = r"layers of sizes \[4, 6, 2\].*now ask for \[4, 6, 3, 2\]"
    elif change == "outputs":
        y = X_IRIS[:, :3]
        message = r"layers of sizes \[4, 6, 2\].*now ask for \[4, 6, 3\]"
    else:
        X = X_IRIS[:, :3]
        message = "X has 3 features, but MLPRegressor is expecting 4 features"
    with pytest.raises(ValueError, match=message):
        getattr(reg, "fit" if resume == "warm_start" else resume)(X, y)
    np.testing.assert_array_equal(reg.predict(X_IRIS), before)


def test_another_kind_of_target_cannot_go_on():
    clf = MLPClassifier((3,), max_iter=2, random_state=0)
    indicator = np.eye(3, dtype=int)[Y_IRIS]
    clf.fit(X_IRIS, Y_IRIS)
    with pytest.raises(ValueError, match=r"softmax.*logistic"):
        clf.partial_fit(X_IRIS, indicator)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_predicting_before_fit(method):
    with pytest.raises(sklearn.exceptions.NotFittedError, match="not fitted yet"):
        getattr(MLPClassifier(), method)(X_IRIS)


def test_predicting_other_features():
    clf = MLPClassifier((3,), max_iter=2).fit(X_IRIS, Y_IRIS)
    with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4 features"):
        clf.predict(X_IRIS[:, :3])


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_an_interrupt_stops_training_and_leaves_a_usable_model(solver, early_stopping, monkeypatch, each_device):
    if early_stopping and solver == "lbfgs":
        early_stopping = False
    relu = each_device.relu
    calls = []

    def interrupted(Z, b):
        calls.append(1)
        if len(calls) == 100:
            raise KeyboardInterrupt
        relu(Z, b)

    clf = MLPClassifier((5,), solver=solver, early_stopping=early_stopping, tol=0, max_iter=1000, random_state=0)
    monkeypatch.setattr(each_device, "relu", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf.fit(X_CANCER, Y_CANCER)
    assert 5 < clf.n_iter_ == len(clf.loss_curve_) < 100
    assert clf.score(X_CANCER, Y_CANCER) > 0.6
    assert np.isfinite(clf.predict_proba(X_CANCER)).all()


def test_ctrl_c_in_a_real_process():
    script = """
import numpy as np
from sklearn_mlp import MLPRegressor
rng = np.random.default_rng(0)
X = rng.standard_normal((20000, 20))
reg = MLPRegressor(hidden_layer_sizes=(50,), max_iter=100_000, tol=0, n_iter_no_change=np.inf, verbose=True)
reg.fit(X, X[:, 0])
print("trained", reg.n_iter_, np.isfinite(reg.predict(X)).all(), flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(3):
        assert process.stdout.readline().startswith("Iteration")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "UserWarning: Training interrupted by user." in err
    assert re.search(r"^trained \d+ True$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("kind", "parameters", "suggestion"),
    [
        ("Classifier", {"scoring": "auc"}, "roc_auc"),
        ("Classifier", {"scoring": "balanced-accuracy"}, "balanced_accuracy"),
        ("Regressor", {"scoring": "mse"}, "neg_mean_squared_error"),
        ("Regressor", {"loss": "mse"}, "squared_error"),
        ("Classifier", {"activation": "swish"}, "silu"),
        ("Classifier", {"activation": ("swish",)}, "silu"),
        ("Classifier", {"solver": "AdamW"}, "adamw"),
        ("Classifier", {"learning_rate": "cosin"}, "cosine"),
        ("Classifier", {"normalization": "batchnorm"}, "batch"),
        ("Classifier", {"class_weight": "balance"}, "balanced"),
    ],
)
def test_a_misspelt_name_has_a_suggestion(kind, parameters, suggestion):
    model = getattr(sklearn_mlp, f"MLP{kind}")(hidden_layer_sizes=(5,), **parameters)
    with pytest.raises(ValueError, match=rf"Did you mean '{suggestion}'\?$") as error:
        model.fit(X_IRIS, Y_IRIS)
    assert len(str(error.value)) < 300


def test_options_are_listed_in_order():
    with pytest.raises(ValueError, match=r"among {'adam', 'adamw', 'lbfgs', 'muon', 'sgd'}. Got 'x' instead.$"):
        MLPClassifier(solver="x").fit(X_IRIS, Y_IRIS)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: 0, 1: 0, 2: 0}, "class_weight={0: 0, 1: 0, 2: 0} gives all rows of y a weight of zero"),
        ({0: np.inf}, r"class_weight=.* must be finite and not negative"),
        ({0: np.nan}, r"class_weight=.* must be finite and not negative"),
        ({0: -1}, r"class_weight=.* must be finite and not negative"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_class_weights_that_are_no_weights(method, class_weight, message):
    clf = MLPClassifier((3,), class_weight=class_weight, max_iter=2)
    classes = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match=message):
        getattr(clf, method)(X_IRIS, Y_IRIS, **classes)


def test_weights_that_overflow_or_vanish_together():
    few = {"X_val": X_IRIS[:9], "y_val": Y_IRIS[:9]}  # of class 0
    with pytest.raises(ValueError, match=r"class_weight={0: 0} gives all rows of y_val a weight of zero"):
        MLPClassifier((3,), class_weight={0: 0}).fit(X_IRIS, Y_IRIS, **few)
    with pytest.raises(ValueError, match=r"class_weight={0: 1e\+30} times sample_weight is not finite in float32"):
        MLPClassifier((3,), class_weight={0: 1e30}, dtype="float32").fit(X_IRIS, Y_IRIS, np.full(150, 1e30))
    with pytest.raises(ValueError, match=r"class_weight={0: 1e\+300} .* not finite in float32"):
        MLPClassifier((3,), class_weight={0: 1e300}, dtype="float32").fit(X_IRIS, Y_IRIS)
    chunk = Y_IRIS == 0
    clf = MLPClassifier((3,), class_weight={0: 0}).partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"class_weight={0: 0} gives all rows of y a weight of zero"):
        clf.partial_fit(X_IRIS[chunk], Y_IRIS[chunk])
