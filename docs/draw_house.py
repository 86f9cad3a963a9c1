"""Draw the figure of contributing.md: `python docs/draw_house.py` writes docs/figures/house.svg.

The arrows are those of tests/repository/test_architecture.py, floor by floor. It is an error if a file of the package
has no place in the house, or if an arrow would point up. With the name of a folder, a PNG goes there as well.
"""

import ast
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from draw_figures import FOLDER, arrow
from matplotlib.patches import FancyBboxPatch, Polygon

ROOT = Path(__file__).parents[1]
WIDTH, COLUMNS = 13.6, 4
ROW, TITLE, GAP = 0.95, 0.75, 1.0

# Of each floor: title, colour, what it may know from outside, and its files in rows from the top.
FLOORS = (
    (
        "top level: Dask, export",
        "tab:purple",
        "scikit-learn, PyTorch, libraries of extras",
        (
            ("__init__", "dask", "_cluster", "_rounds"),
            ("blocks", "callbacks", "plotting", "export"),
            ("_onnx", "_onnx_tabular"),
        ),
    ),
    (
        "tables: encoders, ensembles",
        "tab:red",
        "scikit-learn, narwhals",
        (("tabular", "encoders", "_tabular_fit", "_tabular_blocks"), ("_ensemble", "_columns", "_interactions")),
    ),
    (
        "the estimators: parameters and methods",
        "tab:blue",
        "scikit-learn",
        (("classifier", "regressor", "_base"), ("_parameters", "_docstrings")),
    ),
    (
        "a fit: plan, task, model, history",
        "tab:cyan",
        "scikit-learn",
        (
            ("_fit", "_training_set", "_plan", "_task"),
            ("_model", "_history", "_validation_set", "_tasks"),
            ("_checkpoint", "_labels", "_scales", "_checks"),
            ("_blocks", "_survey", "_caller", "_version"),
        ),
    ),
    (
        "core: networks, losses, the training loop",
        "tab:orange",
        "NumPy, SciPy",
        (
            ("core.lbfgs", "core.training", "core.objective"),
            ("core.network", "core.layers", "core.optimizers", "core.schedules"),
            ("core.losses", "core.activations", "core.normalization", "core.dense"),
            ("core.blocks", "core.batches", "core.parameters", "core"),
        ),
    ),
    (
        "devices: kernels",
        "tab:green",
        "NumPy, SciPy, Numba (jit.py), CuPy (cuda/)",
        (
            ("devices", "devices.protocol", "devices.cpu", "devices.encoded"),
            ("devices.fused", "devices.jit", "devices.rows", "devices.blas"),
            ("devices.cuda", "devices.cuda.kernels", "devices.cuda.rows"),
        ),
    ),
)
HANDED_DOWN = (
    "a data frame",
    "fit(X, y), predict(X)",
    "a plan, data, theta",
    "arrays and batches",
    "kernels by their names",
)
FLOOR_OF = {name: i for i, (*_, rows) in enumerate(FLOORS) for row in rows for name in row}


def arrows():
    """The pairs of floors of which the tests allow the first to import from the second."""
    tree = ast.parse((ROOT / "tests" / "repository" / "test_architecture.py").read_text())
    (table,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "MAY_IMPORT"
    ]
    assert set(table) == set(FLOOR_OF), set(table) ^ set(FLOOR_OF)
    found = set()
    for name, imports in table.items():
        for imported in imports:
            upper, lower = FLOOR_OF[name], FLOOR_OF[imported]
            assert upper <= lower, f"{name} must not import {imported}, which is above it"
            if upper < lower:
                found.add((upper, lower))
    return sorted(found)


def label(name):
    folder, _, file = name.rpartition(".")
    if name in ("core", "devices", "devices.cuda"):
        folder, file = name, "__init__"
    return ("cuda/" if folder == "devices.cuda" else "") + f"{file}.py"


def house():
    heights = [TITLE + ROW * len(rows) for *_, rows in FLOORS]
    tops = [2.2 + sum(heights[:i]) + GAP * i for i in range(len(FLOORS))]
    bottom = tops[-1] + heights[-1]
    fig, ax = plt.subplots(figsize=(9.0, 9.4))
    ax.set(xlim=(-3.4, WIDTH + 2.4), ylim=(bottom + 0.2, 0))
    ax.axis("off")
    roof = [(-0.4, tops[0] - 0.35), (WIDTH / 2, 0.1), (WIDTH + 0.4, tops[0] - 0.35)]
    ax.add_patch(Polygon(roof, closed=True, facecolor="0.93", edgecolor="0.35", linewidth=1.6))
    ax.text(
        WIDTH / 2,
        1.35,
        "from sklearn_mlp import MLPClassifier",
        ha="center",
        va="center",
        family="monospace",
        fontsize=9,
    )

    for (title, colour, outside, rows), top, height in zip(FLOORS, tops, heights, strict=True):
        style = {"boxstyle": "round,pad=0,rounding_size=0.2", "edgecolor": colour}
        ax.add_patch(FancyBboxPatch((0, top), WIDTH, height, facecolor=(colour, 0.13), linewidth=1.8, **style))
        ax.text(0.25, top + 0.4, title, ha="left", va="center", fontsize=10.5, fontweight="bold")
        ax.text(WIDTH - 0.25, top + 0.4, outside, ha="right", va="center", fontsize=8.5, style="italic", color="0.25")
        width = (WIDTH - 0.3) / COLUMNS
        for i, row in enumerate(rows):
            for j, name in enumerate(row):
                x, y = 0.25 + j * width, top + TITLE + i * ROW
                ax.add_patch(FancyBboxPatch((x, y), width - 0.2, 0.72, facecolor="white", linewidth=1.0, **style))
                middle = x + (width - 0.2) / 2
                ax.text(middle, y + 0.37, label(name), ha="center", va="center", family="monospace", fontsize=6.5)

    n_beside = [0, 0]
    for upper, lower in arrows():
        start, end = tops[upper] + heights[upper], tops[lower]
        if lower == upper + 1:
            x = WIDTH / 3
            arrow(ax, (x, start + 0.05), (x, end - 0.05), linewidth=2.2, mutation_scale=18)
            text = HANDED_DOWN[upper]
            ax.text(x + 0.4, (start + end) / 2, text, ha="left", va="center", fontsize=9.5, color="0.2")
        else:
            # Past the floors in between, outside the walls: left from the uppermost floor, right from the next, ...
            side = upper % 2
            wall, outwards = ((0, -1), (WIDTH, 1))[side]
            x = wall + outwards * (0.5 + 0.5 * n_beside[side])
            start, end, colour = start - 0.35 - 0.2 * n_beside[side], end + 0.4, FLOORS[upper][1]
            ax.plot([wall, x, x], [start, start, end], color=colour, linewidth=1.6)
            arrow(ax, (x, end), (wall + 0.02 * outwards, end), colour, linewidth=1.6)
            n_beside[side] += 1
    return fig


def main():
    plt.rcParams["svg.hashsalt"] = "house"
    fig = house()
    fig.savefig(FOLDER / "house.svg", metadata={"Date": None})
    for folder in sys.argv[1:]:
        fig.savefig(Path(folder) / "house.png", dpi=110)


if __name__ == "__main__":
    main()
