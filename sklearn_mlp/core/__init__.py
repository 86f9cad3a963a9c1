"""The engine: networks, losses, optimizers and the training loop.

Nothing here knows labels, estimators or scikit-learn, and no array library is named: arrays come from a
`Device`, which is handed in from above.
"""
