"""The activations against their definitions, on every device, and the parameter `activation`."""

import numpy as np
import pytest
from scipy.special import erf, expit
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import scale

from sklearn_mlp import MLPClassifier, MLPRegressor
from sklearn_mlp.core.activations import ACTIVATIONS
from sklearn_mlp.core.layers import declare_slots, mlp_blocks
from sklearn_mlp.devices import resolve_kernel

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

DEFINITIONS = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * (np.exp(z) - 1)),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "gelu": lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + np.exp(-z)),
    "mish": lambda z: z * np.tanh(np.log(1 + np.exp(z))),
}
z = np.linspace(-6, 6, 120)  # not 0


def evaluate(device, name, z, b=0.0):
    """f(z + b), and its derivative by the backward kernel."""
    kernels = ACTIVATIONS[name]
    A, derivative = device.to_device_copy(z.copy()[:, np.newaxis]), []
    dA = device.to_device_copy(np.ones((len(z), 1), z.dtype))
    if kernels.keeps_derivative:
        derivative = [device.empty((len(z), 1), z.dtype)]
    resolve_kernel(device, kernels.forward)(A, device.to_device_copy(np.full(1, b, z.dtype)), *derivative)
    db = device.empty((1,), z.dtype)
    resolve_kernel(device, kernels.backward)(*(derivative or [A]), dA, db)
    assert device.to_host(db)[0] == pytest.approx(device.to_host(dA).sum(), rel=1e-5)
    return device.to_host(A)[:, 0], device.to_host(dA)[:, 0]


def test_all_are_here():
    assert set(DEFINITIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_definition_and_derivative(name, dtype, each_device):
    f, h = DEFINITIONS[name], 1e-6
    A, derivative = evaluate(each_device, name, (z - 0.5).astype(dtype), b=0.5)
    rtol, atol = (1e-12, 1e-14) if dtype == np.float64 else (1e-5, 1e-6)
    assert A.dtype == dtype
    np.testing.assert_allclose(A, f(z), rtol=rtol, atol=max(atol, 1e-6 if dtype == np.float32 else 1e-13))
    np.testing.assert_allclose(derivative, (f(z + h) - f(z - h)) / (2 * h), rtol=1e-4, atol=max(1e-8, atol))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_far_from_zero(name, each_device):
    with np.errstate(over="ignore"):
        A, derivative = evaluate(each_device, name, np.array([-800.0, 800.0]))
    assert np.isfinite(A).all()
    assert np.isfinite(derivative).all()
    near = DEFINITIONS[name](np.array([350.0, 700.0]))  # the formulas overflow before 800
    assert A[1] == pytest.approx(near[1] + (near[1] - near[0]) * 100 / 350)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_pytorch_agrees(name, each_device):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    points = torch.tensor(z, requires_grad=True)
    expected = getattr(torch.nn, ACTIVATIONS[name].torch_name)()(points)
    expected.sum().backward()
    A, derivative = evaluate(each_device, name, z)
    np.testing.assert_allclose(A, expected.detach(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(derivative, points.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_learns(name):
    X, y = load_digits(return_X_y=True)
    clf = MLPClassifier((40,), activation=name, learning_rate_init=0.01, max_iter=15, random_state=0)
    assert clf.fit(X[:900] / 16, y[:900]).score(X[900:] / 16, y[900:]) > 0.88


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_one_activation_for_each_layer(solver, each_device):
    X, y = load_diabetes(return_X_y=True)
    params = {"hidden_layer_sizes": (8, 6), "solver": solver, "max_iter": 20, "random_state": 0}
    same = MLPRegressor(**params, activation="tanh").fit(X, scale(y))
    by_layer = MLPRegressor(**params, activation=["tanh", "tanh"]).fit(X, scale(y))
    np.testing.assert_array_equal(same.predict(X), by_layer.predict(X))
    mixed = MLPRegressor(**params, activation=("silu", "tanh")).fit(X, scale(y))
    A = DEFINITIONS["silu"](X @ mixed.coefs_[0] + mixed.intercepts_[0])
    A = np.tanh(A @ mixed.coefs_[1] + mixed.intercepts_[1])
    expected = (A @ mixed.coefs_[2] + mixed.intercepts_[2])[:, 0]
    np.testing.assert_allclose(mixed.predict(X), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (("relu",), r"activation=\('relu',\) has 1 names, but there are 2 hidden layers. Pass one name for each"),
        (("relu", "sigmoid"), r"activation has 'sigmoid', which is none of \['elu', 'gelu', .*'identity'"),
        ("sigmoid", r"The 'activation' parameter of MLPClassifier must be a str among .*'gelu'.* or an array-like"),
    ],
)
def test_errors(activation, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier((5, 5), activation=activation).fit([[0.0], [1.0]], [0, 1])


def test_initial_weights_keep_the_variance():
    """Of the signal where the activation is by fan_in; the others are scikit-learn's."""

    def bounds(*args, **params):
        return [W.bound for W, *_ in declare_slots(mlp_blocks(*args, **params), 100)]

    np.testing.assert_allclose(
        bounds([50, 20], ["selu", "gelu"], 3), [(3 / 100) ** 0.5, (6 / 50) ** 0.5, (6 / 23) ** 0.5]
    )
    assert bounds([], [], 3, last="logistic") == [(2 / 103) ** 0.5]
    rng = np.random.default_rng(0)
    A = rng.standard_normal((500, 400))
    for _ in range(10):
        bound = ACTIVATIONS["selu"].initial_weights.bound(400, 400)
        A = DEFINITIONS["selu"](A @ rng.uniform(-bound, bound, (400, 400)))
    assert A.var() == pytest.approx(1, abs=0.2)
