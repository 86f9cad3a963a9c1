"""Save the same pipeline as a joblib, a skops and an ONNX file, and predict from the ONNX file without scikit-learn.

The pipeline predicts the species of iris from a data frame with a column of strings, through a ColumnTransformer. A
process without scikit-learn and without this package predicts from the ONNX file. The skops file is loaded with one
trusted type.

Needs `pip install 'sklearn_mlp[onnx]' onnxruntime skops pandas`. Run with `python examples/shipping.py`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mlp import MLPClassifier
from sklearn_mlp.export import to_onnx

PREDICT_WITH_ONNX = """
import sys
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("iris.onnx")
columns = np.load("columns.npz", allow_pickle=False)
inputs = {}
for variable in session.get_inputs():
    column = columns[variable.name]
    inputs[variable.name] = column.astype(object) if column.dtype.kind == "U" else column
species, probability = session.run(["label", "probabilities"], inputs)
imported = sorted({name.split(".")[0] for name in sys.modules} & {"sklearn", "sklearn_mlp", "scipy", "joblib"})
print("imported:", imported or "neither scikit-learn nor sklearn_mlp")
np.savez("predicted.npz", species=species.astype(str), probability=probability)
"""


def main():
    iris = load_iris(as_frame=True)
    X = iris.data.astype(np.float32)
    X.columns = [name.removesuffix(" (cm)").replace(" ", "_") for name in X.columns]
    X["collector"] = np.array(["Anderson", "Fisher"])[np.arange(150) % 2]
    species = iris.target_names[iris.target]

    columns = make_column_transformer((OneHotEncoder(), ["collector"]), remainder=StandardScaler())
    network = MLPClassifier((16,), solver="lbfgs", activation="tanh", alpha=1.0, random_state=0)
    model = make_pipeline(columns, network).fit(X, species)
    print(f"training accuracy: {model.score(X, species):.3f}")

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        joblib.dump(model, folder / "iris.joblib")
        skops.io.dump(model, folder / "iris.skops")
        (folder / "iris.onnx").write_bytes(to_onnx(model, X).SerializeToString())
        for file in sorted(folder.iterdir()):
            print(f"{file.name:>12} {file.stat().st_size / 1024:6.1f} KiB")

        to_trust = skops.io.get_untrusted_types(file=folder / "iris.skops")
        loaded = skops.io.load(folder / "iris.skops", trusted=to_trust)
        same = np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
        print(f"skops, trusted types {to_trust}: {'bit-identical' if same else 'different'} probabilities")

        np.savez(
            folder / "columns.npz", **{name: X[[name]].to_numpy(str if name == "collector" else None) for name in X}
        )
        subprocess.run([sys.executable, "-c", PREDICT_WITH_ONNX], cwd=folder, check=True)
        with np.load(folder / "predicted.npz") as predicted:
            n_same = np.count_nonzero(predicted["species"] == model.predict(X))
            error = np.abs(predicted["probability"] - model.predict_proba(X)).max()
        print(f"onnxruntime: {n_same} of 150 predictions are the same, probabilities differ by at most {error:.0e}")


if __name__ == "__main__":
    main()
