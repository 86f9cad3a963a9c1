"""Muon: orthogonalised momentum between hidden layers, AdamW elsewhere, on every device."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sklearn_mlp import MLPClassifier
from sklearn_mlp.core.layers import declare_slots, mlp_blocks
from sklearn_mlp.core.optimizers import Muon
from sklearn_mlp.core.parameters import Parameters, n_parameters

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_digits(return_X_y=True)
X = X / 16
SLOTS = declare_slots(mlp_blocks([6, 4, 5], ["relu"] * 3, 2), n_features=3)
SMALL = {"hidden_layer_sizes": (32, 32), "max_iter": 10, "random_state": 0, "solver": "muon"}


def trained(device, rng_seed, nesterov, n_steps=6):
    """Parameters after steps along random gradients, and what they were."""
    rng = np.random.default_rng(rng_seed)
    theta = Parameters(rng.standard_normal(n_parameters(SLOTS)), SLOTS)
    gradients = rng.standard_normal((n_steps, theta.vector.size))
    on_device = theta.like(device.to_device_copy(theta.vector.copy()))
    muon = Muon(device, on_device, 0.9, nesterov, 0.9, 0.99, 1e-12, 0.3)
    loss = device.accumulator()
    for gradient in gradients:
        muon.step(device.to_device_copy(gradient.copy()), 0.02, 0.0, loss, 1.0)
    return theta, [theta.like(g) for g in gradients], theta.like(device.to_host(on_device.vector))


@pytest.mark.parametrize("nesterov", [False, True])
def test_pytorch_agrees(nesterov, each_device, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch, to compare with, is not installed")
    # PyTorch orthogonalises in 8 bits of precision, whatever that of the weights.
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    theta, gradients, ours = trained(each_device, 0, nesterov)
    hidden = [torch.nn.Parameter(torch.tensor(W.copy())) for W in theta.W[1:-1]]
    decayed = [torch.nn.Parameter(torch.tensor(W.copy())) for W in (theta.W[0], theta.W[-1])]
    biases = [torch.nn.Parameter(torch.tensor(b.copy())) for b in theta.b]
    muon = torch.optim.Muon(
        hidden, lr=0.02, momentum=0.9, nesterov=nesterov, weight_decay=0.3, adjust_lr_fn="match_rms_adamw"
    )
    groups = [{"params": decayed, "weight_decay": 0.3}, {"params": biases, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.99), eps=1e-12)
    for gradient in gradients:
        of = [*gradient.W[1:-1], gradient.W[0], gradient.W[-1], *gradient.b]
        for parameter, g in zip([*hidden, *decayed, *biases], of, strict=True):
            parameter.grad = torch.tensor(g.copy())
        muon.step()
        adamw.step()
    for mine, theirs in zip([*ours.W[1:-1], ours.W[0], ours.W[-1], *ours.b], [*hidden, *decayed, *biases], strict=True):
        np.testing.assert_allclose(mine, theirs.detach(), rtol=1e-6, atol=1e-8)


def test_the_step_is_nearly_orthogonal(each_device):
    theta, (gradient,), ours = trained(each_device, 1, False, n_steps=1)
    for before, after, g in zip(theta.W[1:-1], ours.W[1:-1], gradient.W[1:-1], strict=True):
        step = (before * (1 - 0.02 * 0.3) - after) / (0.02 * 0.2 * max(g.shape) ** 0.5)
        U, _, Vt = np.linalg.svd(g, full_matrices=False)
        # The same directions, each with a weight of about 1.
        weights = U.T @ step @ Vt.T
        np.testing.assert_allclose(weights - np.diag(np.diag(weights)), 0, atol=1e-9)
        assert np.all((np.diag(weights) > 0.3) & (np.diag(weights) < 1.3))


def test_it_trains():
    model = MLPClassifier(**{**SMALL, "max_iter": 30}, learning_rate_init=0.01).fit(X, Y)
    assert model.score(X, Y) > 0.99


def test_the_penalty_is_in_the_loss_and_in_the_step():
    """As for other solvers, the epoch's loss has alpha / 2 |W|² of all weights, before each step."""
    losses, norms = [], []
    for alpha in (0.0, 1000.0):
        model = MLPClassifier(**{**SMALL, "max_iter": 1}, alpha=alpha, batch_size=len(X), learning_rate_init=1e-12)
        losses.append(model.fit(X, Y).loss_)
        norms.append(sum(np.sum(W**2) for W in model.coefs_))
    assert losses[1] - losses[0] == pytest.approx(500 * norms[0] / len(X), rel=1e-6)


@pytest.mark.parametrize("hidden_layer_sizes", [(8,), ()])
def test_without_a_matrix_between_hidden_layers_it_is_adamw(hidden_layer_sizes):
    params = {**SMALL, "hidden_layer_sizes": hidden_layer_sizes}
    with pytest.warns(UserWarning, match="solver='muon' is 'adamw' for hidden_layer_sizes"):
        muon = MLPClassifier(**params).fit(X, Y)
    adamw = MLPClassifier(**{**params, "solver": "adamw"}).fit(X, Y)
    np.testing.assert_array_equal(muon.coefs_[0], adamw.coefs_[0])


@pytest.mark.parametrize("normalization", [None, "batch"])
def test_partial_fit_goes_on(normalization):
    params = {**SMALL, "hidden_layer_sizes": (8, 16, 4), "shuffle": False, "normalization": normalization}
    whole = MLPClassifier(**params).fit(X, Y)
    parts = MLPClassifier(**params)
    for _ in range(SMALL["max_iter"]):
        parts.partial_fit(X, Y, classes=range(10))
    for one, other in zip(whole.coefs_ + whole.intercepts_, parts.coefs_ + parts.intercepts_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
