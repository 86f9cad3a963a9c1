"""Batch and layer normalisation: what they compute, with which weights, and what they predict with."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, make_regression
from sklearn.model_selection import train_test_split

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.normalization import RUNNING_MOMENTUM

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_digits(return_X_y=True)
X = X / 16
SMALL = {"hidden_layer_sizes": (32, 16), "max_iter": 8, "tol": 0, "learning_rate_init": 0.01, "random_state": 0}
BOTH = pytest.mark.parametrize("normalization", ["batch", "layer"])


def predicted(model, X):
    """The forward pass as the papers have it, for relu layers, before the output activation."""
    for i, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        X = X @ W
        if i == len(model.coefs_) - 1:
            return X + b
        if model.normalization == "layer":
            mean, variance = X.mean(axis=1, keepdims=True), X.var(axis=1, keepdims=True)
        else:
            mean, variance = model.running_means_[i], model.running_variances_[i]
        X = np.maximum((X - mean) / np.sqrt(variance + 1e-5) * model.scales_[i] + b, 0)


@BOTH
def test_prediction_is_the_formula(normalization):
    model = MLPClassifier(**SMALL, normalization=normalization).fit(X, Y)
    scores = predicted(model, X)
    np.testing.assert_array_equal(model.predict(X), scores.argmax(axis=1))
    np.testing.assert_allclose(
        model.predict_log_proba(X), scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), rtol=1e-9, atol=1e-9
    )
    assert model.score(X, Y) > 0.95
    assert [scale.shape for scale in model.scales_] == [(32,), (16,)]
    assert len(model.running_means_) == len(model.running_variances_) == 2 * (normalization == "batch")


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
def test_it_trains_deep_networks_with_large_inputs(normalization, solver):
    X, y = make_regression(n_samples=600, n_features=10, random_state=0)
    X = 1000 * X + 5000 * (normalization == "batch")
    params = {"max_iter": 60, "batch_size": 64, "learning_rate_init": 0.01, "random_state": 0, "tol": 0}
    model = MLPRegressor("huber", (32, 32, 32), solver=solver, normalization=normalization, **params)
    assert model.fit(X, y / y.std()).score(X, y / y.std()) > 0.9


def test_running_statistics_average_the_batches():
    """Without learning, they are those of X W, each batch by its weight and a tenth less than the next."""
    for sample_weight in (None, np.random.default_rng(0).integers(0, 3, 50).astype(float)):
        model = MLPRegressor(
            hidden_layer_sizes=(5,),
            normalization="batch",
            batch_size=20,
            shuffle=False,
            max_iter=1,
            random_state=0,
            solver="sgd",
            learning_rate_init=1e-300,
            n_iter_no_change=np.inf,
            tol=0,
        )
        model.fit(X[:50], Y[:50], sample_weight=sample_weight)
        Z = X[:50] @ model.coefs_[0]
        mean = variance = seen = 0.0
        for rows in (slice(0, 20), slice(20, 40), slice(40, 50)):
            weight = np.ones(len(Z[rows])) if sample_weight is None else sample_weight[rows]
            seen = (1 - RUNNING_MOMENTUM) * seen + weight.sum()
            rate = weight.sum() / seen
            batch_mean = np.average(Z[rows], axis=0, weights=weight)
            mean += rate * (batch_mean - mean)
            variance += rate * (np.average((Z[rows] - batch_mean) ** 2, axis=0, weights=weight) - variance)
        np.testing.assert_allclose(model.running_means_[0], mean, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(model.running_variances_[0], variance, rtol=1e-10, atol=1e-12)


def same(a, b):
    for name in ("coefs_", "intercepts_", "scales_", "running_means_", "running_variances_"):
        for one, other in zip(getattr(a, name), getattr(b, name), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


@BOTH
def test_weights_are_repetitions(normalization):
    """Of one batch in which rows have whole weights, and of one in which they are repeated so often."""
    weight = np.random.default_rng(0).integers(0, 4, 60)
    params = {**SMALL, "normalization": normalization, "shuffle": False, "alpha": 0.0, "batch_size": weight.sum()}
    with pytest.warns(UserWarning, match="batch_size"):
        weighted = MLPClassifier(**params).fit(X[:60], Y[:60], sample_weight=weight)
    repeated = MLPClassifier(**params).fit(X[:60].repeat(weight, axis=0), Y[:60].repeat(weight))
    same(weighted, repeated)


@BOTH
def test_a_last_batch_of_one_row(normalization):
    params = {**SMALL, "normalization": normalization, "batch_size": 50, "shuffle": False}
    model = MLPClassifier(**params).fit(X[:201], Y[:201])
    assert np.isfinite(model.loss_curve_).all()
    assert model.score(X[:201], Y[:201]) > 0.9
    # A batch in which only one row has a weight is the same batch.
    rows = np.r_[:201, 0, 1, 2]
    weight = np.r_[np.ones(201), np.zeros(3)]
    alone = MLPClassifier(**params).fit(X[rows], Y[rows], sample_weight=weight)
    same(model, alone)


def test_batches_of_one_row_are_refused():
    for model in (MLPClassifier(**SMALL, normalization="batch", batch_size=1),):
        with pytest.raises(ValueError, match="Use larger batches, or normalization='layer'"):
            model.fit(X, Y)
    with pytest.raises(ValueError, match="with batch_size='auto' and 1 rows there is one row in each"):
        MLPClassifier(**SMALL, normalization="batch").partial_fit(X[:1], Y[:1], classes=range(10))
    MLPClassifier(**SMALL, normalization="layer", batch_size=1).fit(X[:20], Y[:20])


def test_lbfgs():
    model = MLPClassifier(**{**SMALL, "max_iter": 100}, normalization="layer", solver="lbfgs").fit(X[:300], Y[:300])
    assert model.score(X[:300], Y[:300]) == 1
    with pytest.raises(ValueError, match="normalization='batch' takes its statistics from mini-batches"):
        MLPClassifier(**SMALL, normalization="batch", solver="lbfgs").fit(X, Y)


def test_one_neuron_is_no_layer_to_normalise():
    with pytest.raises(ValueError, match=r"constant, as its mean is its value; got hidden_layer_sizes=\[4, 1\]"):
        MLPClassifier((4, 1), normalization="layer").fit(X, Y)
    MLPClassifier((4, 1), normalization="batch", max_iter=2, tol=10).fit(X, Y)


def test_without_hidden_layers_there_is_nothing_to_normalise():
    models = [MLPClassifier((), max_iter=5, tol=10, random_state=0, normalization=n).fit(X, Y) for n in (None, "batch")]
    np.testing.assert_array_equal(*(model.coefs_[0] for model in models))


@BOTH
@pytest.mark.parametrize("more", [{"ema_decay": 0.9}, {"dropout": 0.2}, {"early_stopping": True}])
def test_with_what_else_there_is(normalization, more):
    X_train, X_test, y_train, y_test = train_test_split(X, Y, random_state=0)
    model = MLPClassifier(**{**SMALL, "max_iter": 25}, normalization=normalization, batch_size=64, **more)
    model.fit(csr_array(X_train), y_train, X_val=X_test, y_val=y_test)
    assert model.score(X_test, y_test) > 0.93
    best = max(model.validation_scores_) if "early_stopping" in more else model.validation_scores_[-1]
    assert model.score(X_test, y_test) == best
    same(model, clone(model).fit(csr_array(X_train), y_train, X_val=X_test, y_val=y_test))


@BOTH
def test_partial_fit_is_fit_epoch_by_epoch(normalization):
    params = {**SMALL, "normalization": normalization, "batch_size": 64, "shuffle": False}
    whole = MLPClassifier(**params).fit(X, Y)
    parts = MLPClassifier(**params)
    for _ in range(SMALL["max_iter"]):
        parts.partial_fit(X, Y, classes=range(10))
    same(whole, parts)


@BOTH
def test_warm_start_goes_on(normalization):
    model = MLPClassifier(**SMALL, normalization=normalization, warm_start=True).fit(X, Y)
    first = model.loss_curve_[0]
    model.fit(X, Y)
    assert model.loss_curve_[SMALL["max_iter"]] < 0.2 * first
    other = "layer" if normalization == "batch" else None
    with pytest.raises(ValueError, match=f"has normalization='{normalization}', but the parameter is now {other!r}"):
        model.set_params(normalization=other).fit(X, Y)


def test_none_is_the_plain_fit():
    plain, neutral = MLPClassifier(**SMALL).fit(X, Y), MLPClassifier(**SMALL, normalization=None).fit(X, Y)
    same(plain, neutral)
    assert plain.scales_ == plain.running_means_ == []


@BOTH
def test_gradients_of_pytorch(normalization, each_device):
    """One step of gradient descent on a batch, against torch.nn's layers."""
    torch = pytest.importorskip("torch", reason="PyTorch, to compare with, is not installed")
    model = MLPClassifier(
        (6, 5),
        normalization=normalization,
        solver="sgd",
        momentum=0,
        learning_rate_init=1.0,
        alpha=0,
        batch_size=30,
        shuffle=False,
        random_state=0,
        activation="tanh",
    )
    model.partial_fit(X[:30], Y[:30], classes=range(10))
    layers = []
    for W, b, gamma in zip(model.coefs_, model.intercepts_, model.scales_, strict=False):
        linear = torch.nn.Linear(*W.shape, bias=False, dtype=torch.float64)
        kind = torch.nn.BatchNorm1d if normalization == "batch" else torch.nn.LayerNorm
        norm = kind(W.shape[1], dtype=torch.float64)
        with torch.no_grad():
            linear.weight[...] = torch.tensor(W.T.copy())
            norm.weight[...], norm.bias[...] = torch.tensor(gamma.copy()), torch.tensor(b.copy())
        layers += [linear, norm, torch.nn.Tanh()]
    last = torch.nn.Linear(5, 10, dtype=torch.float64)
    with torch.no_grad():
        last.weight[...] = torch.tensor(model.coefs_[-1].T.copy())
        last.bias[...] = torch.tensor(model.intercepts_[-1].copy())
    network = torch.nn.Sequential(*layers, last)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    torch.nn.functional.cross_entropy(network(torch.tensor(X[:30])), torch.tensor(Y[:30])).backward()
    optimizer.step()
    model.partial_fit(X[:30], Y[:30])
    for W, b, gamma, linear, norm in zip(
        model.coefs_, model.intercepts_, model.scales_, layers[::3], layers[1::3], strict=False
    ):
        np.testing.assert_allclose(W, linear.weight.detach().numpy().T, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(b, norm.bias.detach().numpy(), rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(gamma, norm.weight.detach().numpy(), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(model.coefs_[-1], last.weight.detach().numpy().T, rtol=1e-9, atol=1e-10)
