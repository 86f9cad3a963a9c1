"""Multi-layer perceptrons with scikit-learn's interface, trained in mini-batch matrix form."""

from sklearn_mlp._version import __version__
from sklearn_mlp.classifier import MLPClassifier
from sklearn_mlp.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "__version__"]
