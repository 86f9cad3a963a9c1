"""Multi-layer perceptrons with the interface of scikit-learn's, and networks for tables.

The submodules are `blocks`, `callbacks`, `dask`, `encoders`, `export` and `plotting`.
"""

from importlib import import_module

from sklearn_mlp._version import __version__

try:
    from sklearn_mlp.classifier import MLPClassifier
    from sklearn_mlp.regressor import MLPRegressor
    from sklearn_mlp.tabular import TabularMLPClassifier, TabularMLPRegressor
except ImportError as error:
    # Private names of scikit-learn are not the same in every version.
    if (error.name or "").startswith("sklearn."):
        import sklearn

        error.add_note(
            f"sklearn_mlp {__version__} was tested with scikit-learn 1.9, and this is scikit-learn "
            f"{sklearn.__version__}. Upgrade sklearn_mlp, or install scikit-learn 1.9."
        )
    raise

SUBMODULES = {"blocks", "callbacks", "dask", "encoders", "export", "plotting"}


def __getattr__(name):
    if name in SUBMODULES:
        return import_module(f"sklearn_mlp.{name}")
    raise AttributeError(f"module 'sklearn_mlp' has no attribute {name!r}")


def __dir__():
    return [*__all__, *SUBMODULES]


__all__ = ["MLPClassifier", "MLPRegressor", "TabularMLPClassifier", "TabularMLPRegressor", "__version__"]
