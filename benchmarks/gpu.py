"""Time of a training step on an NVIDIA GPU: ours, the bare cuBLAS products, PyTorch's and JAX's.

Adam in float32; all in one process, interleaved, and the minima of several runs are compared, as in `training.py`.
PyTorch is timed eagerly, compiled, and as a captured CUDA graph. PyTorch and JAX are skipped if they are not installed
with CUDA. All use the same precision of products: float32 without TF32, which JAX would use by default, or, with
`CUPY_TF32=1`, TF32 on tensor cores.

Run with `python benchmarks/gpu.py`. It takes about ten minutes, divided among the workloads; runs that would exceed a
workload's share are skipped. The CPU, which may be slow, is timed once per workload; `--no-cpu` skips it.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import sys
import time
import warnings
from itertools import pairwise

import cupy
import numpy as np
from peers import prepare_jax, prepare_products, prepare_torch
from sklearn.exceptions import ConvergenceWarning
from training import Workload, estimator_run, interleave

import sklearn_mlp
from sklearn_mlp.devices import resolve_device

TF32 = os.environ.get("CUPY_TF32") == "1"
SECONDS = 600
# All batches are full: others would be compiled separately.
WORKLOADS = [
    Workload(20_000, 20, (100,), 3, 200, 5),
    Workload(20_000, 784, (100,), 10, 200, 5),
    Workload(20_480, 50, (256, 256, 256), 5, 256, 5),
    Workload(20_480, 784, (512, 512), 10, 256, 5),
    Workload(401_408, 50, (512, 512, 512), 5, 4096, 3),
    Workload(102_400, 784, (2048, 2048), 10, 4096, 3),
]
PEERS = ("products", "PyTorch", "PyTorch, compiled", "PyTorch, graph", "JAX")


def prepare_torch_graph(X, y, hidden, n_outputs, batch_size):
    """The same training as in `prepare_torch`, each step one replay of a captured CUDA graph."""
    import torch

    sizes = [X.shape[1], *hidden, n_outputs]
    layers = [layer for n_in, n_out in pairwise(sizes) for layer in (torch.nn.Linear(n_in, n_out), torch.nn.ReLU())]
    model = torch.nn.Sequential(*layers[:-1]).cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True, capturable=True)
    X, y = torch.from_numpy(X).cuda(), torch.from_numpy(y).cuda().long()
    rows = torch.arange(batch_size, device="cuda")

    def step():
        value = torch.nn.functional.cross_entropy(model(X.index_select(0, rows)), y.index_select(0, rows))
        value.backward()
        optimizer.step()

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            optimizer.zero_grad(set_to_none=True)
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        step()

    def run(n_epochs):
        start = time.perf_counter()
        for _ in range(n_epochs):
            permutation = torch.randperm(len(X), device="cuda")
            for i in range(0, len(X), batch_size):
                rows.copy_(permutation[i : i + batch_size])
                graph.replay()
        torch.cuda.synchronize()
        return time.perf_counter() - start

    return run


def has_torch():
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    torch.backends.cuda.matmul.allow_tf32 = TF32
    return torch.cuda.is_available()


def has_jax():
    if importlib.util.find_spec("jax") is None:
        return False
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # it would take most of the memory from the others
    import jax

    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if TF32 else "float32")
    return jax.default_backend() == "gpu"


def prepare_peers(X, y, network, with_torch, with_jax):
    """{name: its `run`} of the available peers."""
    prepare = {"products": lambda: prepare_products(X, *network, xp=cupy, wait=cupy.cuda.Device().synchronize)}
    if with_torch:
        for name, compiled in (("PyTorch", False), ("PyTorch, compiled", True)):
            prepare[name] = lambda compiled=compiled: prepare_torch(
                X, y, *network, "softmax", 1, device="cuda", compiled=compiled
            )
        prepare["PyTorch, graph"] = lambda: prepare_torch_graph(X, y, *network)
    if with_jax:
        prepare["JAX"] = lambda: prepare_jax(X, y, *network, "softmax")
    runs = {}
    for name, prepare_run in prepare.items():
        try:
            runs[name] = prepare_run()
            runs[name](1)
        except Exception as error:  # such as a compiler that PyTorch does not find
            runs.pop(name, None)
            print(f"{name} is left out: {type(error).__name__}: {error}", file=sys.stderr)
    return runs


def measure(workload, repeat, seconds, with_cpu, with_torch, with_jax):
    """µs per step of each contestant."""
    stop = time.perf_counter() + seconds
    rng = np.random.default_rng(0)
    X = rng.standard_normal((workload.n, workload.n_features), dtype=np.float32)
    y = rng.integers(workload.n_classes, size=workload.n)
    network = workload.hidden, workload.n_classes, workload.batch_size
    epochs = workload.epochs
    n_steps = workload.n // workload.batch_size  # of an epoch
    fit = estimator_run(sklearn_mlp, workload, X, y, device="cuda")
    fit(1)
    contestants = {"1 epoch": lambda: fit(1), "ours": lambda: fit(epochs + 1)}
    for name, run in prepare_peers(X, y, network, with_torch, with_jax).items():
        contestants[name] = lambda run=run: run(epochs)
    runs = {name: [] for name in contestants}
    while len(runs["ours"]) < repeat and (not runs["ours"] or time.perf_counter() < stop):
        for name, times in interleave(contestants, 1).items():
            runs[name] += times
    best = {name: min(times) for name, times in runs.items()}
    best["ours"] -= best.pop("1 epoch")
    of_step = {name: t / (epochs * n_steps) * 1e6 for name, t in best.items()}
    if with_cpu:
        fit = estimator_run(sklearn_mlp, workload, X, y, device="cpu")
        fit(1)
        of_step["cpu"] = (fit(2) - fit(1)) / n_steps * 1e6
    return of_step


def main(repeat, with_cpu):
    try:
        resolve_device("cuda")
    except (ImportError, RuntimeError) as error:
        sys.exit(str(error))
    there = {"with_torch": has_torch(), "with_jax": has_jax()}
    versions = f"CuPy {cupy.__version__}, CUDA driver {cupy.cuda.runtime.driverGetVersion()}"
    for name in ("torch", "jax"):
        if there[f"with_{name}"]:
            versions += f", {name} {importlib.metadata.version(name)}"
    card = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    print(f"{card}, {os.cpu_count()} CPUs, {versions}, CUPY_TF32={TF32:d}")
    print("a step's time; that of the others as multiples of ours\n")
    names = [*PEERS, *(["cpu"] if with_cpu else [])]
    print("| workload | ours, µs | " + " | ".join(names) + " |")
    print("|---|---|" + "---|" * len(names))
    warnings.simplefilter("ignore", ConvergenceWarning)
    for workload in WORKLOADS:
        times = measure(workload, repeat, SECONDS / len(WORKLOADS), with_cpu, **there)
        ratios = " | ".join(f"{times[name] / times['ours']:.2f}" if name in times else "-" for name in names)
        print(f"| {workload} | {times['ours']:.0f} | {ratios} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, interleaved (default: 5)")
    parser.add_argument("--no-cpu", action="store_true", help="do not time the CPU")
    arguments = parser.parse_args()
    main(arguments.repeat, not arguments.no_cpu)
