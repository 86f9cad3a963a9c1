"""Training of the same network with other libraries, each in its fastest configuration.

Each `prepare_*` returns a function `run(n_epochs) -> seconds`, with data placed and code compiled beforehand:

- PyTorch: eager, its fused Adam and AdamW, zero_grad(set_to_none=True), the rows of a batch by index_select from a
  permutation, the loss added up without reading it. One thread and two are both timed, and the faster is taken. Its
  Muon multiplies in the precision of the weights: in bfloat16, few CPUs are fast. On a GPU also by torch.compile, in
  the mode that launches CUDA graphs.
- JAX: a whole epoch as one jitted lax.scan over the batches, Adam written out in the scan, the state's buffers donated.
- Only the products: X W, Xᵀ dZ and dZ Wᵀ of each layer by ndarray.dot into buffers.

None of the three has an L2 penalty, stops early or records anything but the loss, which favours them.
"""

import time
from itertools import pairwise

import numpy as np


def prepare_torch(
    X,
    y,
    hidden,
    n_outputs,
    batch_size,
    loss,
    n_threads,
    device="cpu",
    solver="adam",
    dropout=0.0,
    normalization=None,
    compiled=False,
):
    import torch

    torch.set_num_threads(n_threads)
    torch.manual_seed(0)
    if solver == "muon":
        torch.Tensor.bfloat16 = torch.Tensor.clone
    sizes = [X.shape[1], *hidden, n_outputs]
    layers = []
    for n_in, n_out in pairwise(sizes[:-1]):
        layers.append(torch.nn.Linear(n_in, n_out))
        if normalization == "batch":
            layers.append(torch.nn.BatchNorm1d(n_out))
        layers.append(torch.nn.ReLU())
        if dropout:
            layers.append(torch.nn.Dropout(dropout))
    X = torch.from_numpy(X).to(device)
    model = torch.nn.Sequential(*layers, torch.nn.Linear(*sizes[-2:])).to(device, X.dtype)
    optimizers = torch_optimizers(model, solver)
    forward = torch.compile(model, mode="reduce-overhead", dynamic=False) if compiled else model
    criterion = {
        "softmax": torch.nn.functional.cross_entropy,
        "logistic": lambda Z, y: torch.nn.functional.binary_cross_entropy_with_logits(Z[:, 0], y),
        "squared_error": lambda Z, y: 0.5 * torch.nn.functional.mse_loss(Z[:, 0], y),
    }[loss]
    y = torch.from_numpy(y).to(device)
    y = y.long() if loss == "softmax" else y.to(X.dtype)

    def run(n_epochs):
        torch.set_num_threads(n_threads)
        start = time.perf_counter()
        for _ in range(n_epochs):
            total = torch.zeros((), device=device)
            permutation = torch.randperm(len(X), device=device)
            for i in range(0, len(X), batch_size):
                rows = permutation[i : i + batch_size]
                value = criterion(forward(X.index_select(0, rows)), y.index_select(0, rows))
                model.zero_grad(set_to_none=True)
                value.backward()
                for optimizer in optimizers:
                    optimizer.step()
                total += value.detach()
            total.item()  # waits
        return time.perf_counter() - start

    run(1)
    return run


def torch_optimizers(model, solver):
    import torch

    if solver == "adam":
        return [torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)]
    weights = [layer.weight for layer in model if isinstance(layer, torch.nn.Linear)]
    orthogonal = weights[1:-1] if solver == "muon" else []
    by_adamw = [theta for theta in model.parameters() if not any(theta is W for W in orthogonal)]
    adamw = torch.optim.AdamW(by_adamw, lr=1e-3, fused=True)
    return [adamw, torch.optim.Muon(orthogonal)] if orthogonal else [adamw]


def prepare_jax(X, y, hidden, n_outputs, batch_size, loss):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", X.dtype == np.float64)
    rng = np.random.default_rng(0)
    sizes = [X.shape[1], *hidden, n_outputs]
    params = [
        (jnp.asarray(rng.uniform(-0.1, 0.1, shape).astype(X.dtype)), jnp.zeros(shape[1], X.dtype))
        for shape in pairwise(sizes)
    ]
    X, y = jnp.asarray(X), jnp.asarray(y)
    n_steps = len(X) // batch_size  # a last batch of another size would have to be compiled by itself

    def objective(params, X, y):
        A = X
        for W, b in params[:-1]:
            A = jax.nn.relu(A @ W + b)
        Z = A @ params[-1][0] + params[-1][1]
        if loss == "softmax":
            return -jnp.take_along_axis(jax.nn.log_softmax(Z), y[:, None], 1).mean()
        if loss == "logistic":
            return jnp.mean(jax.nn.softplus(Z[:, 0]) - y * Z[:, 0])
        return 0.5 * jnp.mean((Z[:, 0] - y) ** 2)

    def step(state, rows):
        params, m, v, t = state
        value, grad = jax.value_and_grad(objective)(params, X[rows], y[rows])
        t += 1
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grad)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grad)
        params = jax.tree.map(lambda p, m, v: p - (rate * m / (jnp.sqrt(v) + 1e-8)).astype(p.dtype), params, m, v)
        return (params, m, v, t), value

    @jax.jit
    def permute(key):
        return jax.random.permutation(key, len(X))[: n_steps * batch_size].reshape(n_steps, batch_size)

    epoch = jax.jit(lambda state, rows: jax.lax.scan(step, state, rows), donate_argnums=0)
    zeros = jax.tree.map(jnp.zeros_like, params)
    state = [(params, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros(()))]

    def run(n_epochs):
        start = time.perf_counter()
        for i in range(n_epochs):
            state[0], values = epoch(state[0], permute(jax.random.key(i)))
            values.mean().block_until_ready()
        return time.perf_counter() - start

    run(1)
    return run


def prepare_products(X, hidden, n_outputs, batch_size, xp=np, wait=lambda: None):
    """`xp` is NumPy or CuPy; `wait` synchronises with the device."""
    rng = np.random.default_rng(0)
    sizes = [X.shape[1], *hidden, n_outputs]
    A = [xp.asarray(rng.standard_normal((batch_size, size)).astype(X.dtype)) for size in sizes]
    W = [xp.asarray((rng.standard_normal(shape) / shape[0] ** 0.5).astype(X.dtype)) for shape in pairwise(sizes)]
    dW = [xp.empty(W_layer.shape, X.dtype) for W_layer in W]
    dA = [A_layer.copy() for A_layer in A]
    n_steps = -(-len(X) // batch_size)

    def run(n_epochs):
        start = time.perf_counter()
        for _ in range(n_epochs * n_steps):
            for i in range(len(W)):
                A[i].dot(W[i], A[i + 1])
            for i in reversed(range(len(W))):
                A[i].T.dot(dA[i + 1], dW[i])
                if i:
                    dA[i + 1].dot(W[i].T, dA[i])
        wait()
        return time.perf_counter() - start

    return run
