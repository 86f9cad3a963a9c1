"""Time of a training step on an NVIDIA GPU: ours, the bare cuBLAS products, PyTorch's with and without a CUDA graph.

Adam in float32; all in one process, interleaved, and the minima of several runs are compared, as in `training.py`.
PyTorch is skipped where it is not installed with CUDA. Run with `python benchmarks/gpu.py`, and with
`CUPY_TF32=1` for products on tensor cores (for PyTorch as well).
"""

import argparse
import importlib.util
import os
import sys
import time
import warnings
from itertools import pairwise

import cupy
import numpy as np
from peers import prepare_products, prepare_torch
from sklearn.exceptions import ConvergenceWarning
from training import Workload, estimator_run, interleave

import sklearn_mlp
from sklearn_mlp.devices import resolve_device

WORKLOADS = [
    Workload(20_000, 20, (100,), 3, 200, 5),
    Workload(20_000, 784, (100,), 10, 200, 5),
    Workload(20_000, 50, (256, 256, 256), 5, 256, 5),
    Workload(20_000, 784, (512, 512), 10, 256, 5),
    Workload(400_000, 50, (512, 512, 512), 5, 4096, 3),
    Workload(100_000, 784, (2048, 2048), 10, 4096, 3),
]


def prepare_torch_graph(X, y, hidden, n_outputs, batch_size, loss):
    """The same training as in `prepare_torch`, each step one replay of a captured CUDA graph; whole batches only."""
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
            for i in range(0, len(X) - batch_size + 1, batch_size):
                rows.copy_(permutation[i : i + batch_size])
                graph.replay()
        torch.cuda.synchronize()
        return time.perf_counter() - start

    return run


def measure(workload, repeat, with_torch):
    """µs per step of each contestant."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((workload.n, workload.n_features), dtype=np.float32)
    y = rng.integers(workload.n_classes, size=workload.n)
    network = workload.hidden, workload.n_classes, workload.batch_size
    epochs = workload.epochs
    contestants = {}
    for device in ("cuda", "cpu"):
        fit = estimator_run(sklearn_mlp, workload, X, y, device=device)
        contestants[f"{device}, 1 epoch"] = lambda fit=fit: fit(1)
        contestants[device] = lambda fit=fit: fit(epochs + 1)
        fit(1)
    runs = {"products": prepare_products(X, *network, xp=cupy, wait=cupy.cuda.Device().synchronize)}
    if with_torch:
        runs["PyTorch"] = prepare_torch(X, y, *network, "softmax", 1, device="cuda")
        runs["PyTorch, graph"] = prepare_torch_graph(X, y, *network, "softmax")
    for name, run in runs.items():
        run(1)
        contestants[name] = lambda run=run: run(epochs)
    seconds = {name: min(times) for name, times in interleave(contestants, repeat).items()}
    n_steps = epochs * -(-workload.n // workload.batch_size)
    n_whole = epochs * (workload.n // workload.batch_size)
    times = {device: seconds[device] - seconds[f"{device}, 1 epoch"] for device in ("cuda", "cpu")}
    times |= {name: seconds[name] for name in runs}
    return {name: t / (n_whole if "graph" in name else n_steps) * 1e6 for name, t in times.items()}


def main(repeat):
    try:
        resolve_device("cuda")
    except (ImportError, RuntimeError) as error:
        sys.exit(str(error))
    with_torch = importlib.util.find_spec("torch") is not None
    versions = f"CuPy {cupy.__version__}, CUDA driver {cupy.cuda.runtime.driverGetVersion()}"
    if with_torch:
        import torch

        with_torch = torch.cuda.is_available()
        torch.backends.cuda.matmul.allow_tf32 = os.environ.get("CUPY_TF32") == "1"
        versions += f", PyTorch {torch.__version__}"
    card = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    print(f"{card}, {os.cpu_count()} CPUs, {versions}, CUPY_TF32={os.environ.get('CUPY_TF32', '0')}")
    print("a step's time; that of the others as multiples of ours\n")
    names = ["cpu", "products", *(["PyTorch", "PyTorch, graph"] if with_torch else [])]
    print("| workload | ours, µs | " + " | ".join(names) + " |")
    print("|---|---|" + "---|" * len(names))
    warnings.simplefilter("ignore", ConvergenceWarning)
    for workload in WORKLOADS:
        times = measure(workload, repeat, with_torch)
        ratios = " | ".join(f"{times[name] / times['cuda']:.2f}" for name in names)
        print(f"| {workload} | {times['cuda']:.0f} | {ratios} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, interleaved (default: 5)")
    main(parser.parse_args().repeat)
