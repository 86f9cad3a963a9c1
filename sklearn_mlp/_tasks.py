"""The tasks of a fit, as scikit-learn's callbacks see them.

`sklearn.callback` is experimental in scikit-learn 1.9: only this file and `callbacks` depend on it.
"""

import numpy as np
from sklearn.utils import _safe_indexing


def callback_context(estimator, max_subtasks, sequential_subtasks=True):
    """The context of the fit of an estimator, or None if it has no callbacks."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return estimator._init_callback_context(max_subtasks=max_subtasks, sequential_subtasks=sequential_subtasks)


class FitTasks:
    """The task of a fit, with one subtask per epoch or iteration; does nothing if no callback is set.

    Parameters
    ----------
    estimator : estimator
        The estimator whose callbacks are called.
    root : CallbackContext or None
        The context of the task; None for none.
    X, y, sample_weight
        The arguments of fit, unchanged.
    """

    def __init__(self, estimator, root, X, y, sample_weight):
        self.estimator = estimator
        self.root = root
        self.data = X, y, sample_weight
        self.rows = self.fitted = self.epoch = None
        if self.root is not None:
            self._call(self.root.call_on_fit_task_begin)
        self.writes_checkpoints = hasattr(self.root, "checkpoints")  # `Checkpoint` has set it

    def describe(self, rows, fitted, snapshot):
        """Set what callbacks can request.

        Parameters
        ----------
        rows : array of int, HeldOut or None
            The training rows; None for all. With blocks, callbacks get all.
        fitted : callable
            Returns the current fitted attributes, with copies of those that training modifies.
        snapshot : callable or None
            Returns the state needed to resume from the current epoch, for `Checkpoint`.
        """
        if self.root is not None:
            self.rows = rows if isinstance(rows, np.ndarray) else None
            self.fitted = fitted
            self.root.snapshot = snapshot

    def epoch_begins(self):
        if self.root is not None:
            self.epoch = self.root.subcontext(task_name="epoch")
            self._call(self.epoch.call_on_fit_task_begin)

    def epoch_ends(self):
        """Whether a callback requests training to stop."""
        if self.root is None:
            return False
        epoch, self.epoch = self.epoch, None
        return self._call(epoch.call_on_fit_task_end)

    def end(self):
        if self.epoch is not None:
            # Training was interrupted, or lbfgs converged before this iteration.
            self.epoch.call_on_fit_task_end(estimator=self.estimator)
        if self.root is not None:
            self._call(self.root.call_on_fit_task_end)
            # They keep device memory alive.
            self.fitted = self.root.snapshot = None

    def _call(self, hook):
        X, y, sample_weight = self.data
        return hook(
            estimator=self.estimator,
            X=lambda: self._training_rows(X),
            y=lambda: self._training_rows(y),
            metadata=lambda: None if sample_weight is None else {"sample_weight": self._training_rows(sample_weight)},
            reconstruction_attributes=self.fitted,
        )

    def _training_rows(self, array):
        return array if self.rows is None else _safe_indexing(array, self.rows)
