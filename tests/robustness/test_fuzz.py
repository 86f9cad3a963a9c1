"""Any parameters with any data: a good fit, or an error that says which of them is at fault and leaves no trace."""

import inspect
import pickle
import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from same_model import fitted_attributes
from scipy import sparse

from sklearn_mlp import MLPClassifier, MLPRegressor

DATA = {"X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val", "classes"}
NUMBERS = st.sampled_from([-1, 0, 0.5, 1, 3, 1e-300, 1e300, np.inf, np.nan, True, None, "1", np.float32(0.1), [1]])
RATES = st.sampled_from([0, 0.1, 0.5, 0.9, 1 - 1e-9, 1, np.nan, -0.1, "0.5", None])
COUNTS = st.sampled_from([1, 2, 7, np.int64(3), 10**9, 0, -1, 2.5, np.inf, "auto", None])
BOOLS = st.sampled_from([True, False, np.bool_(True), 1, "no", None])
PARAMETERS = {
    "hidden_layer_sizes": st.sampled_from(
        [(), (1,), (5,), 4, (3, 4), [2, 3], np.array([3, 2]), (0,), (-2,), (2.5,), "ab", None, ((2, 3),), (True,)]
    ),
    "activation": st.sampled_from(
        ["relu", "identity", "logistic", "tanh", "gelu", "mish", "selu", ("relu",), ("tanh", "elu"), [], "sin", None, 3]
    ),
    "solver": st.sampled_from(["adam", "sgd", "lbfgs", "adamw", "muon", "newton", None]),
    "alpha": NUMBERS,
    "batch_size": COUNTS,
    "learning_rate": st.sampled_from(
        ["constant", "invscaling", "adaptive", "cosine", "linear", "one_cycle", "step", None]
    )
    | st.sampled_from([lambda _: 0.5, lambda _: -1.0, lambda _: np.nan, lambda _: "a"]),
    "learning_rate_init": NUMBERS,
    "power_t": NUMBERS,
    "shuffle": BOOLS,
    "random_state": st.sampled_from([0, 1, None, np.random.RandomState(0), -1, "a", 0.5, np.random.default_rng(0)]),
    "tol": NUMBERS,
    "warm_start": BOOLS,
    "momentum": RATES,
    "nesterovs_momentum": BOOLS,
    "early_stopping": BOOLS,
    "validation_fraction": RATES,
    "beta_1": RATES,
    "beta_2": RATES,
    "epsilon": NUMBERS,
    "n_iter_no_change": COUNTS,
    "max_fun": COUNTS,
    "device": st.sampled_from(["cpu", "auto", "gpu", "cuda:x", "", None]),
    "dtype": st.sampled_from([None, "float32", "float64", "float16", np.float32, 32]),
    "weight_decay": NUMBERS,
    "warmup_fraction": st.sampled_from(["auto", 0, 0.2, 0.99, 1, -1, np.nan, None]),
    "max_grad_norm": NUMBERS,
    "scoring": st.sampled_from([None, "loss", "r2", "accuracy", "roc_auc", "neg_log_loss", "best", 3]),
    "restore_best": BOOLS,
    "dropout": st.sampled_from([0, 0.3, 0.99, [0.1], (0.1, 0.2), 1, -0.1, np.nan, "0.1", None, [[0.1]], ["a"], []]),
    "ema_decay": RATES,
    "normalization": st.sampled_from([None, "batch", "layer", "group"]),
    # of the classifier
    "class_weight": st.sampled_from(
        [
            None,
            "balanced",
            {0: 2.0, 1: 1.0},
            {0: -1.0},
            {7: 1.0},
            {0: np.nan},
            {0: 0, 1: 0, 2: 0},
            {0: "a"},
            [{0: 2}],
            3,
        ]
    ),
    "focal_gamma": NUMBERS,
    "label_smoothing": RATES,
    # of the regressor
    "huber_delta": NUMBERS,
    "quantile": st.sampled_from([0.5, 0.1, (0.1, 0.9), [0.5], (0.9, 0.1), 0, 1, np.nan, (), "a", None, ("a",)]),
    "tweedie_power": st.sampled_from([1.5, 1.01, 1, 2, 0, np.nan, "1.5", None]),
    "standardize_target": BOOLS,
}
LOSSES = {
    MLPClassifier: ["log_loss", "focal", "hinge", None],
    MLPRegressor: [
        *["squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie", "log_loss"],
        *["log_cosh", None],
    ],
}


@st.composite
def parameters(draw, estimator):
    """Up to five parameters that are not the default, about half of their values allowed."""
    names = inspect.signature(estimator).parameters
    strategies = {name: strategy for name, strategy in PARAMETERS.items() if name in names}
    strategies["loss"] = st.sampled_from(LOSSES[estimator])
    chosen = draw(st.lists(st.sampled_from(sorted(strategies)), max_size=5, unique=True))
    values = {name: draw(strategies[name]) for name in chosen}
    return {"hidden_layer_sizes": (4,), "random_state": 0} | values | {"max_iter": draw(st.integers(1, 4))}


SPECIAL = st.sampled_from([np.nan, np.inf, -np.inf, 1e30, 1e300, -1e300, 1e-300, 0.0])
X_KINDS = {
    "list": lambda X: X.tolist(),
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int8": lambda X: (10 * X).astype(np.int8),
    "uint64": lambda X: (1e19 * np.abs(X) / (1 + np.abs(X).max(initial=0))).astype(np.uint64),
    "bool": lambda X: X > 0,
    "object": lambda X: X.astype(object),
    "strings": lambda X: X.astype(str),
    "words": lambda X: np.full(X.shape, "word"),
    "complex": lambda X: X + 1j,
    "dates": lambda X: (1e6 * X).astype("datetime64[s]"),
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[:, ::-1],
    "big-endian": lambda X: X.astype(">f8"),
    "masked": lambda X: np.ma.masked_less(X, 0),
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "1d": lambda X: X.ravel(),
    "3d": lambda X: X[:, :, np.newaxis],
    "scalar": lambda X: 3.0,
    "None": lambda X: None,
    "generator": lambda X: (row for row in X),
    "no rows": lambda X: X[:0],
    "no columns": lambda X: X[:, :0],
    "constant": np.ones_like,
}
Y_KINDS = {
    "classes": lambda y: y % 3,
    "two classes": lambda y: y % 2,
    "one class": lambda y: 0 * y,
    "strings": lambda y: y.astype(str),
    "objects": lambda y: np.array(["a", None, 3], object)[y % 3],
    "floats": lambda y: y / 7,
    "negative": lambda y: -1.0 * y,
    "float32": lambda y: y.astype(np.float32),
    "huge": lambda y: 1e300 * y,
    "NaN": lambda y: np.where(y % 3 == 0, np.nan, y),
    "uint8": lambda y: y.astype(np.uint8),
    "column": lambda y: y[:, np.newaxis],
    "labels": lambda y: np.column_stack([y % 2, y // 2 % 2]),
    "sparse labels": lambda y: sparse.csr_matrix(np.column_stack([y % 2, y // 2 % 2])),
    "several": lambda y: np.column_stack([y % 3, y % 4]),
    "two targets": lambda y: np.column_stack([y, -y]) / 3,
    "short": lambda y: y[:-1],
    "list": lambda y: y.tolist(),
    "dates": lambda y: y.astype("datetime64[D]"),
    "complex": lambda y: y + 1j,
    "None": lambda y: None,
    "3d": lambda y: y[:, np.newaxis, np.newaxis] + np.zeros((1, 2, 2)),
}
WEIGHT_KINDS = {
    "none": lambda n: None,
    "linear": lambda n: np.linspace(0, 1, n),
    "zero": np.zeros,
    "negative": lambda n: np.linspace(-1, 1, n),
    "NaN": lambda n: np.full(n, np.nan),
    "huge": lambda n: np.full(n, 1e300),
    "tiny": lambda n: np.full(n, 1e-320),
    "one": lambda n: 2.0,
    "short": lambda n: np.ones(n - 1),
    "strings": lambda n: np.full(n, "1"),
    "2d": lambda n: np.ones((n, 1)),
}


def mostly(kinds, usual):
    return st.one_of(st.just(usual), st.just(usual), st.sampled_from(sorted(kinds)))


@st.composite
def data(draw):
    n_rows = draw(st.sampled_from([1, 2, 3, 20, 21]))
    X = np.random.default_rng(n_rows).normal(size=(n_rows, 3))
    for value in draw(st.lists(SPECIAL, max_size=2)):
        X[draw(st.integers(0, n_rows - 1)), draw(st.integers(0, 2))] = value
    y = np.arange(n_rows)
    kinds = draw(st.tuples(mostly(X_KINDS, "float32"), mostly(Y_KINDS, "classes"), mostly(WEIGHT_KINDS, "none")))
    return n_rows, X, y, kinds


def outcome(estimator, params, case):
    n_rows, X, y, (x_kind, y_kind, weight_kind) = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X = X_KINDS[x_kind](X)
        y = Y_KINDS[y_kind](y)
        weight = WEIGHT_KINDS[weight_kind](n_rows)
    model = estimator(hidden_layer_sizes=(2,), solver="lbfgs", alpha=0.01, random_state=1)
    model.fit([[0.0, 1, 2], [2, 1, 0]], [0, 1]).set_params(solver="adam", alpha=1e-4).set_params(**params)
    before = pickle.dumps(fitted_attributes(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            model.fit(X, y, weight)
        except (ValueError, TypeError) as error:
            message = str(error)
        else:
            check_fit(model, X)
            return "a fit"
    assert pickle.dumps(fitted_attributes(model)) == before
    names = set(inspect.signature(estimator).parameters) | DATA
    assert names & set(re.findall(r"\w+", message)), message
    return message


def check_fit(model, X):
    assert all(np.isfinite(array).all() for array in model.coefs_ + model.intercepts_)
    # Where training has diverged, early stopping has the weights of an epoch before.
    assert np.isfinite(model.loss_) or (model.early_stopping and model.restore_best)
    assert len(model.loss_curve_) >= model.n_iter_ >= 0
    for method in ("predict", "predict_proba"):
        result = getattr(model, method)(X) if hasattr(model, method) else np.zeros(0)
        for array in result if isinstance(result, list) else [result]:
            if not sparse.issparse(array) and array.dtype.kind == "f":
                assert np.isfinite(array).all()


SETTINGS = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),
}


@pytest.mark.parametrize("n_examples", [100, pytest.param(2500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_good_fit_or_an_error_that_names_the_culprit(estimator, n_examples):
    @settings(max_examples=n_examples, **SETTINGS)
    @given(parameters(estimator), data())
    def check(params, case):
        outcome(estimator, params, case)

    check()
