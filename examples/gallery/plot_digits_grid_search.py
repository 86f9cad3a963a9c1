"""
Grid search, and the errors of the best model
=============================================

A grid search over the sizes of the hidden layers and the L2 penalty ``alpha`` of a pipeline of StandardScaler and
MLPClassifier, on scikit-learn's 1,797 images of handwritten digits. Most differences between the candidates are no
larger than the standard deviation over the folds. Most of the remaining errors are among the images for which the best
candidate is least confident.
"""

# %%
# The search
# ----------
# There are three architectures with four penalties each, in five folds: 60 fits and the final one, in two processes.
# The learning rate decays to 0 along half a cosine within 30 epochs, and patience is disabled, so every candidate
# completes its schedule. The scaler is a step of the pipeline, so it is fitted to the training samples of each fold.

# sphinx_gallery_thumbnail_number = 3
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

mlp = MLPClassifier(
    learning_rate="cosine", learning_rate_init=0.01, max_iter=30, n_iter_no_change=np.inf, random_state=0
)
sizes = [(16,), (64,), (64, 64)]
alphas = [0.01, 0.1, 1, 10]
grid = {"mlpclassifier__hidden_layer_sizes": sizes, "mlpclassifier__alpha": alphas}
search = GridSearchCV(make_pipeline(StandardScaler(), mlp), grid, cv=5, n_jobs=2).fit(X_train, y_train)

# %%
# ``cv_results_`` has one row per candidate. The parameters are in alphabetical order, and the last one, the sizes,
# changes fastest. The table shows the mean and standard deviation of the accuracy over the folds.

shape = len(alphas), len(sizes)
mean = search.cv_results_["mean_test_score"].reshape(shape).T
std = search.cv_results_["std_test_score"].reshape(shape).T

print(f"{'alpha':>10}" + "".join(f"{alpha:>16g}" for alpha in alphas))
for size, *row in zip(sizes, mean, std, strict=True):
    print(f"{size!s:>10}" + "".join(f"{m:>9.4f} ±{s:.4f}" for m, s in zip(*row, strict=True)))

figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for size, m, s, marker, shift in zip(sizes, mean, std, "os^", (0.9, 1, 1.1), strict=True):
    ax.errorbar(shift * np.array(alphas), m, s, marker=marker, capsize=3, label=f"{size}")
ax.set(xscale="log", xlabel="alpha", ylabel="accuracy in 5-fold cross-validation")
ax.legend(title="hidden layers")
plt.show()

# %%
# Sixteen neurons are too few, and a penalty of 10 is too large, for every size. Of the others, a penalty of 1 is best
# for every size, but by at most about a standard deviation, and a second layer does not help.
#
# The test images
# ---------------
# The best score is the maximum of twelve, so it is optimistic. The score on the images that were held out before the
# search is not.

print(f"best: {search.best_params_}")
print(f"accuracy: {search.best_score_:.4f} in cross-validation, {search.score(X_test, y_test):.4f} on the test images")

y_pred = search.predict(X_test)
figure, ax = plt.subplots(figsize=(5, 4.6), layout="constrained")
display = ConfusionMatrixDisplay.from_predictions(y_test, y_pred, ax=ax, cmap="Blues", colorbar=False)
for text in display.text_.flat:
    text.set_visible(text.get_text() != "0")
plt.show()

# %%
# Of the eleven errors, five are other digits predicted as 1, and three are nines.
#
# The misclassified images
# ------------------------
# The figure shows all eleven, with the predicted and the true digit, and their probabilities.

wrong = np.flatnonzero(y_pred != y_test)
probability = search.predict_proba(X_test)

figure, axes = plt.subplots(2, 6, figsize=(9, 3.8), layout="constrained")
for ax in axes.flat:
    ax.axis("off")
for ax, i in zip(axes.flat, wrong, strict=False):
    read, true = y_pred[i], y_test[i]
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"predicted {read}: {probability[i, read]:.2f}\ntrue {true}: {probability[i, true]:.2f}", fontsize=10)
plt.show()

# %%
# For two of the errors, the predicted probability exceeds 0.8; for the others it is at most 0.71. If the model may
# abstain on the tenth of the images for which it is least confident, two errors remain.

confidence = probability.max(axis=1)
print(f"median of the largest probability: {np.median(confidence[wrong]):.2f} for errors, ", end="")
print(f"{np.median(confidence[y_pred == y_test]):.2f} for correct predictions")
sure = confidence >= np.quantile(confidence, 0.1)
print(f"errors among the {sure.sum()} images with the highest confidence: {np.sum((y_pred != y_test)[sure])}")
