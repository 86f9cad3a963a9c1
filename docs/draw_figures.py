"""Draw the figures of README.md, theory.md and guide/scale.md: `python docs/draw_figures.py` writes docs/figures/*.svg.

The same versions of matplotlib and NumPy draw the same bytes. With the name of a folder, PNGs go there as well.
"""

import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from scipy.special import softmax

from sklearn_mlp.core.optimizers import SGD, Adam
from sklearn_mlp.core.parameters import Part
from sklearn_mlp.devices.cpu import CPU

FOLDER = Path(__file__).parent / "figures"
X_COLOUR, W_COLOUR, Z_COLOUR, B_COLOUR = "tab:blue", "tab:orange", "tab:green", "tab:purple"
N, FAN_IN, FAN_OUT = 5, 4, 3

plt.rcParams.update(
    {
        "svg.hashsalt": "theory",
        "font.size": 11,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "savefig.bbox": "tight",
        "savefig.pad_inches": 0.12,
    }
)


def blank(width, height, columns, rows):
    """A figure of `width` x `height` inches without axes, whose y runs down from 0 to `rows`."""
    fig, ax = plt.subplots(figsize=(width, height))
    ax.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal")
    ax.axis("off")
    return fig, ax


def matrix(ax, x, y, shape, colour, name="", size="", cells=()):
    """A matrix of `shape` with its upper left corner at (x, y), some cells dark, its name above and its size below."""
    rows, columns = shape
    for i, j in np.ndindex(shape):
        fill = 0.75 if (i, j) in cells else 0.18
        corner = x + j, y + i
        ax.add_patch(Rectangle(corner, 1, 1, facecolor=(colour, fill), edgecolor=colour, linewidth=0.6))
    ax.add_patch(Rectangle((x, y), columns, rows, fill=False, edgecolor=colour, linewidth=1.8))
    middle = x + columns / 2
    ax.text(middle, y - 0.3, name, ha="center", va="bottom", fontsize=13, fontweight="bold")
    ax.text(middle, y + rows + 0.25, size, ha="center", va="top", fontsize=10, color="0.25")


def sign(ax, x, y, text):
    ax.text(x, y, text, ha="center", va="center", fontsize=17)


def arrow(ax, start, end, colour="0.2", **style):
    style = {"arrowstyle": "-|>", "mutation_scale": 13, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0} | style
    ax.add_patch(FancyArrowPatch(start, end, color=colour, **style))


def row(i, columns):
    return {(i, j) for j in range(columns)}


def column(j, rows):
    return {(i, j) for i in range(rows)}


def neuron():
    fig, ax = blank(7.2, 3.0, 14, 5.8)
    for i, y in enumerate((0.8, 2.2, 3.6, 5.0), start=1):
        arrow(ax, (1.6, y), (6.15, 2.9 + 0.17 * (y - 2.9)))
        ax.add_patch(Circle((1, y), 0.55, facecolor=(X_COLOUR, 0.25), edgecolor=X_COLOUR, linewidth=1.8))
        ax.text(1, y, f"$x_{i}$", ha="center", va="center", fontsize=13)
        at = 3.0, y + (2.9 - y) * 0.255
        ax.text(*at, f"$w_{i}$", ha="center", va="center", color="0.1", bbox={"fc": "white", "ec": "none", "pad": 1.5})
    ax.add_patch(Circle((7.0, 2.9), 0.85, facecolor=(W_COLOUR, 0.25), edgecolor=W_COLOUR, linewidth=1.8))
    ax.text(7.0, 2.9, "Σ", ha="center", va="center", fontsize=18)
    arrow(ax, (7.0, 0.9), (7.0, 2.05))
    ax.text(7.0, 0.75, "$b$", ha="center", va="bottom", fontsize=13)
    arrow(ax, (7.85, 2.9), (10.1, 2.9))
    ax.text(9.0, 2.6, "$z$", ha="center", va="bottom", fontsize=13)
    box = FancyBboxPatch(
        (10.1, 2.2), 1.4, 1.4, boxstyle="round,pad=0,rounding_size=0.25", fc=(Z_COLOUR, 0.25), ec=Z_COLOUR, lw=1.8
    )
    ax.add_patch(box)
    ax.text(10.8, 2.9, "$f$", ha="center", va="center", fontsize=15)
    arrow(ax, (11.5, 2.9), (13.3, 2.9))
    ax.text(12.5, 2.6, "$a$", ha="center", va="bottom", fontsize=13)
    ax.text(7.0, 4.2, "z = x · w + b", ha="center", va="top", fontsize=11)
    ax.text(10.8, 4.2, "a = f(z)", ha="center", va="top", fontsize=11)
    return fig


def layer():
    fig, ax = blank(8.2, 3.0, 20.4, 7.5)
    y = 1.5
    matrix(ax, 0.4, y, (N, FAN_IN), X_COLOUR, "X", "n × fan_in", row(2, FAN_IN))
    matrix(ax, 5.9, y, (FAN_IN, FAN_OUT), W_COLOUR, "W", "fan_in × fan_out", column(1, FAN_IN))
    sign(ax, 9.75, y + 2, "+")
    matrix(ax, 10.6, y + 1.5, (1, FAN_OUT), B_COLOUR, "b", "fan_out", {(0, 1)})
    sign(ax, 14.6, y + 2, "=")
    matrix(ax, 15.6, y, (N, FAN_OUT), Z_COLOUR, "Z", "n × fan_out", {(2, 1)})
    ax.text(0.2, y + 2.5, "sample s", ha="right", va="center", fontsize=10)
    ax.text(18.8, y + 2.5, "$Z_{sj}$", ha="left", va="center", fontsize=12)
    ax.text(12.1, y + 4.0, "added to each row", ha="center", va="top", fontsize=10, color="0.25")
    return fig


def backward():
    fig, ax = blank(8.2, 5.5, 23.4, 15.6)
    y = 1.4
    matrix(ax, 0.9, y, (FAN_IN, FAN_OUT), W_COLOUR, "dW", "fan_in × fan_out", {(1, 2)})
    sign(ax, 5.6, y + 2, "=")
    matrix(ax, 7.0, y, (FAN_IN, N), X_COLOUR, "Xᵀ", "fan_in × n", row(1, N))
    matrix(ax, 13.2, y, (N, FAN_OUT), Z_COLOUR, "dZ", "n × fan_out", column(2, N))

    matrix(ax, 19.6, y, (N, FAN_OUT), Z_COLOUR, "dZ", "", column(2, N))
    for j in range(FAN_OUT):
        arrow(ax, (20.1 + j, y + 5.2), (20.1 + j, y + 8.6))
    ax.text(19.6, y + 6.9, "sum over the n rows", ha="right", va="center", fontsize=10, color="0.25")
    matrix(ax, 19.6, y + 8.7, (1, FAN_OUT), B_COLOUR, "", "fan_out", {(0, 2)})
    ax.text(19.3, y + 9.2, "db", ha="right", va="center", fontsize=13, fontweight="bold")

    y = 9.2
    matrix(ax, 0.4, y, (N, FAN_IN), X_COLOUR, "dX", "n × fan_in", {(3, 1)})
    sign(ax, 5.6, y + 2.5, "=")
    matrix(ax, 7.0, y, (N, FAN_OUT), Z_COLOUR, "dZ", "n × fan_out", row(3, FAN_OUT))
    matrix(ax, 11.2, y, (FAN_OUT, FAN_IN), W_COLOUR, "Wᵀ", "fan_out × fan_in", column(1, FAN_OUT))
    return fig


def tensor():
    """∂Z/∂X of n = 4 samples, 3 inputs and 2 outputs, laid out as one matrix."""
    n, fan_in, fan_out = 4, 3, 2
    fig, ax = blank(8.2, 4.3, 22.5, 11.2)
    x, y = 2.4, 2.2
    for s, j, t, i in np.ndindex(n, fan_out, n, fan_in):
        fill = (W_COLOUR, 0.3 + 0.12 * (fan_out * i + j)) if s == t else "white"
        corner = x + t * fan_in + i, y + s * fan_out + j
        ax.add_patch(Rectangle(corner, 1, 1, facecolor=fill, edgecolor="0.75", linewidth=0.5))
        if s != t:
            ax.text(corner[0] + 0.5, corner[1] + 0.5, "0", ha="center", va="center", fontsize=8, color="0.6")
    for s, t in np.ndindex(n, n):
        corner = x + t * fan_in, y + s * fan_out
        ax.add_patch(Rectangle(corner, fan_in, fan_out, fill=False, edgecolor="0.35", linewidth=1.4))
    for s in range(n):
        middle = x + (s + 0.5) * fan_in, y + (s + 0.5) * fan_out
        ax.text(*middle, "Wᵀ", ha="center", va="center", fontsize=13, fontweight="bold")
        ax.text(x - 0.3, middle[1], f"$z_{s + 1}$", ha="right", va="center", fontsize=13)
        ax.text(middle[0], y - 0.3, f"$x_{s + 1}$", ha="center", va="bottom", fontsize=13)
    ax.text(x + n * fan_in / 2, y - 1.3, "∂Z/∂X", ha="center", va="bottom", fontsize=13, fontweight="bold")
    ax.text(x + n * fan_in / 2, y + n * fan_out + 0.25, "n² fan_in fan_out numbers", ha="center", va="top", fontsize=10)
    matrix(ax, 18.2, y + 2.5, (fan_out, fan_in), W_COLOUR, "Wᵀ", "fan_in fan_out numbers")
    for j, i in np.ndindex(fan_out, fan_in):
        shade = (W_COLOUR, 0.3 + 0.12 * (fan_out * i + j))
        ax.add_patch(Rectangle((18.2 + i, y + 2.5 + j), 1, 1, facecolor=shade, edgecolor=W_COLOUR, linewidth=0.6))
    ax.text(16.3, y + 3.5, "copies of", ha="center", va="center", fontsize=10, color="0.25")
    return fig


def network():
    fig, ax = blank(9.0, 3.1, 29.8, 10.4)
    y, height, forward, back = 4.0, 3.2, 4.9, 6.3
    parts = (
        (3.6, 4.2, "A₀ W₁ + b₁", W_COLOUR, "A₀ = X", "dW₁, db₁"),
        (10.6, 2.4, "f", Z_COLOUR, "A₁", ""),
        (15.8, 4.2, "A₁ W₂ + b₂", W_COLOUR, "A₁", "dW₂, db₂"),
        (22.8, 3.0, "loss", B_COLOUR, "y", ""),
    )
    for x, width, text, colour, kept, gradients in parts:
        style = {"boxstyle": "round,pad=0,rounding_size=0.35", "facecolor": (colour, 0.22), "edgecolor": colour}
        ax.add_patch(FancyBboxPatch((x, y), width, height, linewidth=1.8, **style))
        middle = x + width / 2
        ax.text(middle, y + height / 2, text, ha="center", va="center", fontsize=11)
        ax.text(middle, y - 0.5, f"keeps {kept}", ha="center", va="bottom", fontsize=10, color="0.25")
        if gradients:
            arrow(ax, (middle, y + height), (middle, y + height + 1.9), "tab:red")
            ax.text(middle, y + height + 2.1, gradients, ha="center", va="top", fontsize=12, color="tab:red")
    edges = [edge for x, width, *_ in parts for edge in (x, x + width)]
    ends = [0.8, *edges, 29.2]
    for left, right, there, way_back in zip(
        ends[::2], ends[1::2], ("X", "Z₁", "A₁", "Z₂", "L"), ("", "dZ₁", "dA₁", "dZ₂", ""), strict=True
    ):
        middle = (left + right) / 2
        arrow(ax, (left + 0.1, forward), (right - 0.1, forward))
        ax.text(middle, forward - 0.25, there, ha="center", va="bottom", fontsize=12)
        if way_back:
            arrow(ax, (right - 0.1, back), (left + 0.1, back), "tab:red")
            ax.text(middle, back + 0.3, way_back, ha="center", va="top", fontsize=12, color="tab:red")
    arrow(ax, (0.8, 1.4), (4.8, 1.4))
    ax.text(5.2, 1.4, "forward", ha="left", va="center", fontsize=11)
    arrow(ax, (15.0, 1.4), (11.0, 1.4), "tab:red")
    ax.text(15.4, 1.4, "backward", ha="left", va="center", fontsize=11, color="tab:red")
    return fig


def residual():
    """What the log-loss hands back for one sample of class 2 out of 5."""
    z = np.array([1.2, -0.4, 0.8, 2.0, -1.0])
    p, y = softmax(z), np.eye(5)[2]
    fig, axes = plt.subplots(1, 3, figsize=(8.4, 2.8), layout="constrained")
    classes = np.arange(5)
    axes[0].bar(classes, z, color=X_COLOUR)
    axes[0].set(title="scores z", xlabel="class")
    axes[1].bar(classes - 0.2, p, 0.4, color=W_COLOUR, label="p = softmax(z)")
    axes[1].bar(classes + 0.2, y, 0.4, color="0.6", label="y")
    axes[1].set(title="prediction and target", xlabel="class", ylim=(0, 1.45))
    axes[1].legend(loc="upper center", ncols=2, fontsize=9, frameon=False, columnspacing=1.2)
    bars = axes[2].bar(classes, p - y, color=Z_COLOUR)
    axes[2].bar_label(bars, fmt="%.2f", padding=2, fontsize=9)
    axes[2].set(title="gradient dz = p − y", xlabel="class", ylim=(-1.02, 0.72))
    for ax in axes:
        ax.axhline(0, color="0.2", linewidth=0.8)
        ax.set_xticks(classes)
        ax.spines[["top", "right"]].set_visible(False)
    return fig


def valley(turn):
    """A rotation by `turn` degrees, and the H of the loss x H x / 2: thirty times as steep across as along."""
    angle = np.deg2rad(turn)
    Q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Q, Q @ np.diag([1.0, 30.0]) @ Q.T


def descend(make_optimizer, learning_rate, H, start, n_steps):
    """The points that an optimizer of the package comes by."""
    device = CPU()
    theta = np.array(start)
    optimizer = make_optimizer(device, Part(theta, theta))
    path = [theta.copy()]
    for _ in range(n_steps):
        optimizer.step(H @ theta, learning_rate, 0.0, device.accumulator(), 0.0)
        path.append(theta.copy())
    return np.array(path)


OPTIMIZERS = (
    ("gradient descent, rate 0.06", lambda device, theta: SGD(device, theta, 0.0, False), 0.06, "tab:blue", "o"),
    ("momentum 0.9, rate 0.02", lambda device, theta: SGD(device, theta, 0.9, False), 0.02, "tab:orange", "s"),
    ("Adam, rate 0.3", lambda device, theta: Adam(device, theta, 0.9, 0.999, 1e-8), 0.3, "tab:green", "^"),
)


def paths():
    n_steps, start = 40, np.array([-4.0, 1.4])
    fig, axes = plt.subplots(1, 2, figsize=(8.6, 4.9), layout="constrained")
    a, b = np.meshgrid(np.linspace(-5, 5, 200), np.linspace(-5, 5, 200))
    grid = np.stack([a, b], axis=-1)
    for ax, turn in zip(axes, (0, 45), strict=True):
        Q, H = valley(turn)
        loss = 0.5 * np.einsum("...i,ij,...j", grid, H, grid)
        ax.contour(a, b, loss, levels=np.geomspace(0.3, 300, 9), colors="0.8", linewidths=0.8)
        for name, make, learning_rate, colour, marker in OPTIMIZERS:
            x, y = descend(make, learning_rate, H, Q @ start, n_steps).T
            ax.plot(x, y, color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=name)
        ax.plot(0, 0, "k+", markersize=11, markeredgewidth=2)
        ax.set(aspect="equal", xlim=(-5, 2.6), ylim=(-4.6, 3), xlabel="first weight", ylabel="second weight")
        ax.set_title("valley along an axis" if turn == 0 else f"the same, rotated by {turn}°")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return fig


def hidden():
    """Dropout of a batch of six rows through eight neurons, and what the two normalisations take moments over."""
    rng = np.random.default_rng(0)
    A = rng.uniform(0.2, 1.0, (6, 8))
    dropped = np.empty_like(A)
    CPU.dropout(A, dropped, 0.25, (1, 2))
    fig, axes = plt.subplots(1, 4, figsize=(9.2, 2.7), layout="constrained")
    for ax, values, title in zip(axes, (A, dropped), ("A", "A after dropout 0.25"), strict=False):
        ax.pcolormesh(values, cmap="Blues", vmin=0, vmax=1.5, edgecolors="0.6", linewidth=0.6)
        for i, j in np.argwhere(values == 0):
            ax.text(j + 0.5, i + 0.5, "0", ha="center", va="center", fontsize=9, color="0.35")
        ax.set_title(title, fontsize=11)
    marks = np.zeros(A.shape), np.zeros(A.shape)
    marks[0][:, 2] = marks[1][2, :] = 1
    for ax, values, title in zip(axes[2:], marks, ("batch normalisation", "layer normalisation"), strict=True):
        ax.pcolormesh(values, cmap="Oranges", vmin=-0.25, vmax=1.8, edgecolors="0.6", linewidth=0.6)
        ax.set_title(title, fontsize=11)
    for ax in axes:
        ax.set(aspect="equal", xticks=[], yticks=[], xlabel="neurons", ylabel="samples")
        ax.invert_yaxis()
        ax.spines[:].set_visible(False)
    return fig


FAN = 8  # children of a node of the trees
BANDWIDTH = 10e9 / 8  # bytes a second


def seconds_per_round(n_workers, n_parameters, latency, per_task):
    """What a round of averaging costs beside its training steps, with one shard a worker.

    theta, m and v in float32 go down a tree from the client to the workers, and their means come up one. In each of
    its L = ceil(log_8 workers) levels a node exchanges 8 messages of 12 bytes a parameter (fewer with fewer workers)
    over its own link, all nodes of a level at once. The scheduler handles one task after the other: one a shard, and
    one a node of the upward tree.

        2 L (8 * 12 * parameters / bandwidth + latency)  +  workers * 8 / 7 * per_task
    """
    n_levels = np.ceil(np.log(n_workers) / np.log(FAN) - 1e-9)  # of 512 workers 3, despite rounding
    transfer = 2 * n_levels * (np.minimum(FAN, n_workers) * 12 * n_parameters / BANDWIDTH + latency)
    return transfer + n_workers * FAN / (FAN - 1) * per_task


def rounds():
    """Seconds a round by workers and parameters, and the training that makes them 5 % of a fit."""
    n_workers = np.arange(1, 1001)
    fig, ax = plt.subplots(figsize=(7.4, 4.4), layout="constrained")
    for n_parameters, colour, name in ((1e7, "tab:red", "10⁷"), (1e6, "tab:orange", "10⁶"), (1e5, "tab:blue", "10⁵")):
        fastest = seconds_per_round(n_workers, n_parameters, latency=1e-3, per_task=1e-3)
        slowest = seconds_per_round(n_workers, n_parameters, latency=5e-3, per_task=4e-3)
        ax.fill_between(n_workers, fastest, slowest, color=colour, alpha=0.3, linewidth=0)
        ax.plot(n_workers, fastest, color=colour, linewidth=1.4, label=f"{name} parameters")
        ax.plot(n_workers, slowest, color=colour, linewidth=0.6)
    ax.set(xscale="log", yscale="log", xlim=(1, 1000), ylim=(1e-3, 20))
    ax.set(xlabel="workers", ylabel="seconds that a round costs")
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    ax.set_yticks([1e-3, 0.01, 0.1, 1, 10], ["0.001", "0.01", "0.1", "1", "10"])
    training = ax.secondary_yaxis("right", functions=(lambda seconds: 19 * seconds, lambda seconds: seconds / 19))
    training.set_ylabel("seconds of training between rounds, for 5 %")
    training.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    ax.grid(color="0.9", linewidth=0.6)
    ax.spines["top"].set_visible(False)
    ax.legend(loc="upper left", frameon=False)
    return fig


def tables():
    """Score and time to fit on seven tables relative to ours, as docs/benchmarks.md has them."""
    page = (Path(__file__).parent / "benchmarks.md").read_text()
    lines = [line for line in page.partition("\n## Tables\n")[2].partition("\n## ")[0].splitlines() if line[:1] == "|"]
    names, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    cells = np.array(
        [[re.fullmatch(r"(\S+) \((\S+), \S+\)", cell).groups() for cell in row[1:]] for row in rows], float
    )
    fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    places = np.arange(len(rows))[::-1]
    for j, (name, marker) in enumerate(zip(names[1:], "o^sDv", strict=True)):
        name = "sklearn_mlp" if name == "ours" else name
        style = {"marker": marker, "label": name, "zorder": 3 if j == 0 else 2, "s": 60 if j == 0 else 40}
        axes[0].scatter(cells[:, j, 0] / cells[:, 0, 0], places, **style)
        axes[1].scatter(cells[:, j, 1], places, **style)
    axes[0].set(xlabel="error relative to sklearn_mlp's", yticks=places, yticklabels=[row[0] for row in rows])
    axes[1].set(xlabel="time to fit relative to sklearn_mlp's", xscale="log")
    for ax in axes:
        ax.axvline(1, color="0.7", linewidth=1)
        ax.grid(axis="y", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(names) - 1, frameon=False)
    return fig


OF_THEORY = neuron, layer, backward, tensor, network, residual, paths, hidden
DRAWINGS = {f"theory_{draw.__name__}": draw for draw in OF_THEORY} | {"scale_rounds": rounds, "tables": tables}


def main():
    FOLDER.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        fig = draw()
        fig.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
        for folder in sys.argv[1:]:
            fig.savefig(Path(folder) / f"{name}.png", dpi=110)
        plt.close(fig)


if __name__ == "__main__":
    main()
