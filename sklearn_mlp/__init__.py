"""Multi-layer perceptrons with the interface of scikit-learn's, and networks for tables."""

from sklearn_mlp._version import __version__
from sklearn_mlp.classifier import MLPClassifier
from sklearn_mlp.regressor import MLPRegressor
from sklearn_mlp.tabular import TabularMLPClassifier, TabularMLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TabularMLPClassifier", "TabularMLPRegressor", "__version__"]
