"""AdamW, the clipping of gradients and the schedules that change the rate in every step, on every device."""

import numpy as np
import pytest
import sklearn.exceptions
from same_model import assert_same_model
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.preprocessing import scale

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.layers import Dense, declare_slots
from sklearn_mlp.core.optimizers import SGD, Adam
from sklearn_mlp.core.parameters import Parameters
from sklearn_mlp.core.training import Training

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_diabetes(return_X_y=True)
X, Y = scale(X), scale(Y)
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 4, "batch_size": 100, "random_state": 0}
N_STEPS = 4 * 5  # 442 rows


def walk(optimizer, device, gradients, rates):
    """The parameters, 4 weights and 2 biases, after steps with these gradients."""
    theta = Parameters(device.to_device_copy(np.linspace(-1, 2, 6)), declare_slots([Dense(2)], 2))
    step = optimizer(device, theta)
    loss = device.accumulator()
    for gradient, rate in zip(gradients, rates, strict=True):
        step.step(device.to_device_copy(gradient.copy()), rate, 0.0, loss, 1.0)
    return device.to_host(theta.vector)


GRADIENTS = np.random.default_rng(0).standard_normal((7, 6))
RATES = np.linspace(0.1, 0.01, 7)


def test_adamw_is_the_textbook_formula(each_device):
    theta = np.linspace(-1, 2, 6)
    m = v = np.zeros(6)
    decays = np.array([1, 1, 1, 1, 0, 0])  # biases do not decay
    for t, (g, rate) in enumerate(zip(GRADIENTS, RATES, strict=True), start=1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        update = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-12)
        theta = theta - rate * (update + 0.3 * decays * theta)
    ours = walk(lambda *args: Adam(*args, 0.9, 0.99, 1e-12, 0.3), each_device, GRADIENTS, RATES)
    np.testing.assert_allclose(ours, theta, rtol=1e-9)


def test_pytorch_agrees(each_device):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    start = torch.tensor(np.linspace(-1, 2, 6))
    W, b = (torch.nn.Parameter(part.clone()) for part in (start[:4], start[4:]))
    groups = [{"params": [W], "weight_decay": 0.3}, {"params": [b], "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, betas=(0.9, 0.99), eps=1e-12)
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        W.grad, b.grad = torch.tensor(gradient[:4]), torch.tensor(gradient[4:])
        for group in theirs.param_groups:
            group["lr"] = rate
        theirs.step()
    ours = walk(lambda *args: Adam(*args, 0.9, 0.99, 1e-12, 0.3), each_device, GRADIENTS, RATES)
    np.testing.assert_allclose(ours, torch.cat([W, b]).detach(), rtol=1e-9)


def test_adamw_without_decay_is_adam():
    adam = MLPRegressor(**SMALL).fit(X, Y)
    adamw = MLPRegressor(**SMALL, solver="adamw", weight_decay=0.0).fit(X, Y)
    np.testing.assert_array_equal(adam.predict(X), adamw.predict(X))
    decayed = MLPRegressor(**SMALL, solver="adamw", weight_decay=50.0).fit(X, Y)
    assert np.linalg.norm(decayed.coefs_[0]) < 0.9 * np.linalg.norm(adam.coefs_[0])


def test_adamw_is_resumed():
    model = MLPRegressor(**{**SMALL, "shuffle": False}, solver="adamw", weight_decay=1.0)
    once = model.fit(X, Y).coefs_[0].copy()
    model = MLPRegressor(**{**SMALL, "shuffle": False}, solver="adamw", weight_decay=1.0)
    for _ in range(4):
        model.partial_fit(X, Y)
    np.testing.assert_allclose(model.coefs_[0], once, rtol=1e-12)


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 100.0])
def test_gradients_are_clipped(max_norm, each_device):
    for gradient in GRADIENTS:
        clipped = each_device.to_device_copy(gradient.copy())
        each_device.clip_norm(clipped, max_norm)
        norm = np.linalg.norm(gradient)
        np.testing.assert_allclose(each_device.to_host(clipped), gradient * min(1, max_norm / norm), rtol=1e-14)


def test_max_grad_norm():
    """Plain descent moves by at most the rate times the norm in a step; a norm out of reach changes nothing."""
    params = {**SMALL, "solver": "sgd", "momentum": 0.0, "alpha": 0.0, "max_iter": 1}
    start = MLPRegressor(**{**params, "learning_rate_init": 1e-300}).fit(X, 1e3 * Y)
    clipped = MLPRegressor(**params, max_grad_norm=1e-3).fit(X, 1e3 * Y)
    moved = [a - b for a, b in zip(clipped.coefs_ + clipped.intercepts_, start.coefs_ + start.intercepts_, strict=True)]
    distance = np.sqrt(sum((part**2).sum() for part in moved))
    assert 0.5 * 5e-6 < distance <= 5 * 1e-3 * 1e-3 * (1 + 1e-9)
    plain, unclipped = (MLPRegressor(**SMALL, max_grad_norm=norm).fit(X, Y) for norm in (None, 1e9))
    np.testing.assert_array_equal(plain.predict(X), unclipped.predict(X))


def test_clipping_tames_a_rate_that_diverges():
    params = {**SMALL, "solver": "sgd", "learning_rate_init": 0.5, "max_iter": 30}
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="non-finite"):
        MLPRegressor(**params).fit(X, 1e4 * Y)
    assert np.isfinite(MLPRegressor(**params, max_grad_norm=1.0).fit(X, 1e4 * Y).loss_)


# -- schedules ---------------------------------------------------------------------------------------------------------


def rates_used(monkeypatch, **params):
    """The rate of every step."""
    used = []
    solver = params.get("solver", "adam")
    kind = SGD if solver == "sgd" else Adam
    step = kind.step

    def recorded(self, grad, learning_rate, *args):
        used.append(learning_rate)
        return step(self, grad, learning_rate, *args)

    monkeypatch.setattr(kind, "step", recorded)
    model = MLPRegressor(**{**SMALL, **params}, tol=0, n_iter_no_change=np.inf).fit(X, Y)
    assert model.learning_rate_curve_ == used[4::5]
    return np.array(used) / model.learning_rate_init


P = (np.arange(N_STEPS) + 0.5) / N_STEPS


def half_cosine(start, end, p):
    return end + (start - end) * (1 + np.cos(np.pi * p)) / 2


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"learning_rate": "constant"}, np.ones(N_STEPS)),
        ({"learning_rate": "cosine"}, half_cosine(1, 0, P)),
        ({"learning_rate": "linear"}, 1 - P),
        (
            {"learning_rate": "cosine", "warmup_fraction": 0.2},
            np.where(P < 0.2, P / 0.2, half_cosine(1, 0, (P - 0.2) / 0.8)),
        ),
        ({"learning_rate": "linear", "warmup_fraction": 0.5}, np.where(P < 0.5, P / 0.5, 2 * (1 - P))),
        (
            {"learning_rate": "one_cycle"},
            np.where(P < 0.3, half_cosine(0.04, 1, P / 0.3), half_cosine(1, 4e-6, (P - 0.3) / 0.7)),
        ),
        ({"learning_rate": "one_cycle", "warmup_fraction": 0.0}, half_cosine(1, 4e-6, P)),
        pytest.param({"learning_rate": lambda p: (1 - p) ** 2}, (1 - P) ** 2, id="callable"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_rates(params, expected, solver, monkeypatch):
    used = rates_used(monkeypatch, solver=solver, **params)
    np.testing.assert_allclose(used, expected, rtol=1e-12)


def test_rates_of_scikit_learns_schedules(monkeypatch):
    used = rates_used(monkeypatch, solver="sgd", learning_rate="invscaling")
    np.testing.assert_allclose(used, np.repeat([1, *(1 / (442 * np.arange(1, 4) + 1) ** 0.5)], 5))
    assert set(rates_used(monkeypatch, learning_rate="invscaling")) == {1.0}  # Adam has none of them


def test_lbfgs_has_no_rates():
    assert MLPRegressor(**{**SMALL, "solver": "lbfgs"}).fit(X, Y).learning_rate_curve_ == []


def test_a_search_over_schedules():
    from sklearn.model_selection import GridSearchCV

    digits, labels = load_digits(return_X_y=True)
    digits, labels = digits[:500] / 16, labels[:500]
    grid = {"learning_rate": ["constant", "cosine", "one_cycle", abs], "solver": ["adam", "adamw"]}
    search = GridSearchCV(
        MLPClassifier((16,), max_iter=20, batch_size=20, random_state=0, learning_rate_init=0.01), grid, cv=2
    )
    assert search.fit(digits, labels).best_score_ > 0.8


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rate": lambda p: -1}, r"learning_rate\(0\.025\) is -1; the factor .* must be finite and >= 0"),
        ({"learning_rate": lambda p: np.nan}, r"learning_rate\(0\.025\) is nan"),
        ({"warmup_fraction": 1.0}, r"The 'warmup_fraction' parameter .* \[0\.0, 1\.0\)"),
        ({"max_grad_norm": 0.0}, r"The 'max_grad_norm' parameter .* \(0\.0, inf\)"),
        ({"weight_decay": -1.0}, r"The 'weight_decay' parameter .* \[0\.0, inf\)"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_errors(params, message):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**SMALL, **params).fit(X, Y)


@pytest.mark.parametrize("learning_rate", ["cosine", "linear", "one_cycle", abs])
def test_partial_fit_has_no_progress(learning_rate):
    with pytest.raises(
        ValueError, match=r"partial_fit does not know how many there will be. Use learning_rate='constant'"
    ):
        MLPRegressor(**SMALL, learning_rate=learning_rate).partial_fit(X, Y)


def test_the_end_of_a_schedule_is_no_failure_to_converge(recwarn):
    params = {**SMALL, "tol": 0, "n_iter_no_change": np.inf}
    MLPRegressor(**params, learning_rate="cosine").fit(X, Y)
    assert not recwarn.list
    with pytest.warns(sklearn.exceptions.ConvergenceWarning, match="Maximum iterations"):
        MLPRegressor(**params).fit(X, Y)


def test_partial_fits_of_several_models_by_turns(monkeypatch, each_device):
    """Also where one of them fails: each has a random stream of its own."""
    X, y = load_iris(return_X_y=True)
    epoch = Training.epoch

    def fail_after(training):
        epoch(training)
        raise RuntimeError("after the epoch")

    kinds = [(0, "adam"), (1, "sgd"), (2, "adam")]

    def start(kind):
        return MLPClassifier((5,), random_state=kind[0], solver=kind[1], batch_size=20).partial_fit(
            X, y, classes=[0, 1, 2]
        )

    alone, turns = ([start(kind) for kind in kinds] for _ in range(2))
    for clf in alone:
        for _ in range(4):
            clf.partial_fit(X, y)
    for _ in range(2):
        for clf in turns:
            clf.partial_fit(X, y)
            with monkeypatch.context() as context:
                context.setattr(Training, "epoch", fail_after)
                with pytest.raises(RuntimeError, match="after the epoch"):
                    clf.partial_fit(X, y)
            clf.partial_fit(X, y)
    for one, other in zip(alone, turns, strict=True):
        assert_same_model(one, other)
