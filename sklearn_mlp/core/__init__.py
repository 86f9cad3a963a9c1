"""The engine: networks, losses, optimizers and the training loop.

The engine is independent of labels, estimators and scikit-learn. Its arrays come from a `Device`, which the caller
passes.
"""
