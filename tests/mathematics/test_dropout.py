"""Dropout: its random numbers, its gradient, and what it does to a model, on every device."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.layers import declare_slots, hash_keys, mlp_blocks
from sklearn_mlp.core.losses import LogLoss
from sklearn_mlp.core.objective import Objective
from sklearn_mlp.core.parameters import draw

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_digits(return_X_y=True)
X = X / 16
SMALL = {"hidden_layer_sizes": (20, 15), "max_iter": 4, "random_state": 0}


def kept(device, rate, keys, shape=(300, 40), dtype=np.float64):
    """Which elements dropout keeps."""
    out = device.empty(shape, dtype)
    device.dropout(device.to_device_copy(np.ones(shape, dtype)), out, rate, keys)
    values = device.to_host(out)
    np.testing.assert_allclose(values[values != 0], 1 / (1 - rate), rtol=1e-6)
    return values != 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_the_share_that_is_dropped(rate, dtype, each_device):
    shares = [1 - kept(each_device, rate, hash_keys(0, step, 0), dtype=dtype).mean() for step in range(30)]
    # 12,000 elements 30 times; each bound is 4 standard deviations.
    deviation = np.sqrt(rate * (1 - rate) / 12_000)
    assert abs(np.mean(shares) - rate) < 4 * deviation / np.sqrt(30)
    assert np.std(shares) < 2 * deviation


def test_what_is_dropped_is_independent(each_device):
    """Of the neighbours, of the other layers, of the other steps and of other seeds."""
    masks = [
        kept(each_device, 0.5, hash_keys(seed, step, layer)).astype(float) - 0.5
        for seed in (0, 1)
        for step in range(6)
        for layer in (0, 1)
    ]
    flat = np.array([mask.ravel() for mask in masks])
    correlations = np.corrcoef(flat)[np.triu_indices(len(flat), 1)]
    limit = 5 / np.sqrt(flat.shape[1])
    assert np.abs(correlations).max() < limit
    for lag in (1, 2, 39, 40, 41, 80):
        assert abs(np.mean(flat[:, lag:] * flat[:, :-lag]) * 4) < limit / np.sqrt(len(flat))
    # Nor are rows or columns alike.
    for axis in (0, 1):
        means = np.mean([mask.mean(axis=axis) for mask in masks], axis=0)
        assert np.abs(means).max() < 5 * 0.5 / np.sqrt(len(masks) * masks[0].shape[axis])


def test_a_mask_depends_on_nothing_but_the_keys_and_the_place(each_device):
    one, other = (kept(each_device, 0.3, (123, 456), shape) for shape in ((100, 7), (30, 7)))
    np.testing.assert_array_equal(one[:30], other)
    assert (kept(each_device, 0.3, (123, 457), (100, 7)) != one).any()
    assert (kept(each_device, 0.3, (124, 456), (100, 7)) != one).any()


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_gradient(activation, each_device):
    rng = np.random.RandomState(0)
    blocks = mlp_blocks([30, 20], [activation] * 2, 3, dropout=[0.4, 0.2])
    theta = draw(declare_slots(blocks, 5), rng, np.float64)
    device, here = each_device, theta.vector.copy()
    on_device = theta.like(device.to_device_copy(theta.vector))
    objective = Objective(device, on_device, blocks, LogLoss("softmax"), 0.0, seed=7)
    x, y = device.to_device(rng.standard_normal((12, 5))), device.to_device(rng.randint(3, size=12))

    def evaluate(at):
        device.write(at, out=on_device.vector)
        objective.network.n_training_passes = 3  # the same elements are dropped each time
        objective.backpropagate(x, y, None, 1 / 12)
        return device.collect(objective.loss), device.to_host(objective.grad.vector).copy()

    _, gradient = evaluate(here)
    for _ in range(5):
        direction = rng.standard_normal(here.size)
        direction /= np.linalg.norm(direction)
        difference = (evaluate(here + 1e-6 * direction)[0] - evaluate(here - 1e-6 * direction)[0]) / 2e-6
        assert difference == pytest.approx(gradient @ direction, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("dropout", [0.0, [0.0, 0.0]])
def test_no_dropout_is_the_plain_fit(dropout):
    plain, neutral = (MLPClassifier(**SMALL, **params).fit(X, Y) for params in ({}, {"dropout": dropout}))
    np.testing.assert_array_equal(plain.predict_proba(X), neutral.predict_proba(X))


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
def test_the_seed_decides(solver):
    params = {**SMALL, "dropout": 0.3, "solver": solver}
    a, b = (MLPClassifier(**params).fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    np.testing.assert_array_equal(a.predict_proba(X), a.predict_proba(X))
    other = MLPClassifier(**{**params, "random_state": 1}).fit(X, Y)
    assert np.abs(a.predict_proba(X) - other.predict_proba(X)).max() > 0.01


def test_a_rate_for_each_layer():
    one, both = (MLPClassifier(**SMALL, dropout=dropout).fit(X, Y) for dropout in ([0.5, 0.0], [0.5, 0.5]))
    assert one.loss_ < both.loss_


def test_training_differs_from_evaluation():
    """The training loss is that of the thinned networks, the validation loss that of the whole one."""
    params = {**SMALL, "dropout": 0.5, "max_iter": 30, "learning_rate_init": 0.01}
    model = MLPClassifier(**params).fit(X[:1000], Y[:1000], X_val=X[:1000], y_val=Y[:1000])
    assert model.validation_loss_curve_[-1] < 0.6 * model.loss_curve_[-1]
    assert model.score(X[:1000], Y[:1000]) == model.validation_scores_[-1] > 0.9


def test_it_narrows_the_gap_between_training_and_test():
    gaps = []
    for dropout in (0.0, 0.5):
        model = MLPClassifier((100,), dropout=dropout, max_iter=150, learning_rate_init=0.01, random_state=0, tol=0)
        model.fit(X[:300], Y[:300], X_val=X[300:], y_val=Y[300:])
        whole = MLPClassifier(**{**model.get_params(), "dropout": 0.0, "max_iter": 1}).fit(X[:300], Y[:300])
        whole.coefs_, whole.intercepts_ = model.coefs_, model.intercepts_
        on_training = -np.log(whole.predict_proba(X[:300])[np.arange(300), Y[:300]]).mean()
        gaps.append(model.validation_loss_curve_[-1] - on_training)
    assert gaps[1] < gaps[0]


def test_partial_fit_and_early_stopping():
    model = MLPClassifier(**SMALL, dropout=0.2)
    for _ in range(10):
        model.partial_fit(X, Y, classes=range(10))
    assert model.score(X, Y) > 0.6
    model = MLPRegressor(**{**SMALL, "max_iter": 40}, dropout=0.1, early_stopping=True).fit(X, Y)
    assert model.best_validation_score_ > 0.6


def test_lbfgs_trains_without():
    plain, with_dropout = (
        MLPClassifier(**SMALL, solver="lbfgs", dropout=dropout).fit(X[:200], Y[:200]) for dropout in (0.0, 0.5)
    )
    np.testing.assert_array_equal(plain.coefs_[0], with_dropout.coefs_[0])


def test_a_search_over_rates():
    grid = {"dropout": [0.0, 0.1, [0.2, 0.1]]}
    assert GridSearchCV(MLPClassifier(**SMALL), grid, cv=2).fit(X[:300], Y[:300]).best_score_ > 0.1


@pytest.mark.parametrize(
    ("dropout", "message"),
    [
        (1.0, r"The 'dropout' parameter of MLPClassifier must be a float in the range \[0.0, 1.0\) or an array-like"),
        ([0.1], r"dropout=\[0\.1\] has 1 rates, but there are 2 hidden layers. Pass one rate for each"),
        ([0.1, 1.0], r"dropout must be at least 0 and less than 1, got \[0\.1, 1\.0\]"),
    ],
)
def test_errors(dropout, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**SMALL, dropout=dropout).fit(X, Y)
