"""Callbacks for `MLPClassifier` and `MLPRegressor`, following the (experimental) protocol of :mod:`sklearn.callback`.

Set them with ``estimator.set_callbacks(...)``, next to scikit-learn's and custom callbacks. They are called at the end
of each epoch (with 'lbfgs', of each iteration). Training stops as soon as one of them requests it.
"""

import os
from numbers import Integral, Real
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

from sklearn.utils._param_validation import Interval, validate_params

from sklearn_mlp._caller import warn
from sklearn_mlp._checkpoint import prepare, write_checkpoint

__all__ = ["Checkpoint", "StopWhen", "TimeLimit"]


class Checkpoint:
    """Periodically write a checkpoint from which ``fit(..., resume_from=path)`` continues.

    A checkpoint contains everything that the remaining training run depends on: the weights, the states of the solver
    and of the random number generator, the order of the rows, the curves, the best weights so far. It is written to a
    temporary file and then renamed, so that `path` is always a complete checkpoint or does not exist, even after a
    crash. The last epoch always writes a checkpoint. It contains no code, and its structure and the ranges of its
    values are validated before use: a file from an untrusted source can lead to a ValueError or, as its weights can be
    any, to a bad model, but to nothing else. Not available for solver='lbfgs'.

    Parameters
    ----------
    path : str or path-like
        The file; relative to the working directory at the start of the fit. If it is a symbolic link, its target is
        replaced. ``{task}`` is replaced by the numbers of the task of the fit and of its parent tasks, such as '0-0-3'
        in a search, whose fits would otherwise overwrite each other's files.

    every : int, default=1
        Number of epochs between checkpoints.

    keep : int, default=1
        Number of checkpoints to keep: `path` is the latest, ``path + '.1'`` the one before, and so on. A crash at any
        moment loses none of them. While they are renamed, there is one more, with the number `keep`.

    Raises
    ------
    OSError
        At the start of the fit, if `path` cannot be written. If a later checkpoint cannot be written, a warning is
        issued, the earlier checkpoints are kept and training continues.
    ValueError
        If solver='lbfgs', or in a search if `path` does not contain ``{task}``.

    See Also
    --------
    sklearn_mlp.MLPClassifier.fit : Its parameter `resume_from` is the path of a checkpoint.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mlp import MLPClassifier
    >>> from sklearn_mlp.callbacks import Checkpoint, StopWhen
    >>> X, y = load_digits(return_X_y=True)
    >>> path = Path(tempfile.mkdtemp()) / "digits.checkpoint"
    >>> clf = MLPClassifier(random_state=0).set_callbacks(Checkpoint(path), StopWhen(lambda clf: clf.n_iter_ == 10))
    >>> clf.fit(X, y).n_iter_
    10
    >>> resumed = MLPClassifier(random_state=0).fit(X, y, resume_from=path)
    >>> uninterrupted = MLPClassifier(random_state=0).fit(X, y)
    >>> bool((resumed.coefs_[0] == uninterrupted.coefs_[0]).all())
    True
    """

    @validate_params(
        {
            "path": [str, os.PathLike],
            "every": [Interval(Integral, 1, None, closed="left")],
            "keep": [Interval(Integral, 1, None, closed="left")],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, path, *, every=1, keep=1):
        self.path = path
        self.every = every
        self.keep = keep

    def setup(self, estimator, context):
        if getattr(estimator, "solver", "lbfgs") == "lbfgs":
            raise ValueError(
                "Checkpoint is for sklearn_mlp's MLPClassifier and MLPRegressor with a stochastic solver, not for "
                f"{estimator}. Set it on the MLP itself, and use another solver than 'lbfgs'."
            )
        name = os.fsdecode(self.path)
        if "{task}" not in name and not all(task.sequential_subtasks for task in _lineage(context)):
            path = Path(name)
            raise ValueError(
                f"Checkpoint({name!r}) would be overwritten by each fit of the search. Put {{task}} into the path, for "
                f"example {str(path.with_stem(path.stem + '-{task}'))!r}."
            )
        name = name.replace("{task}", "-".join(str(above.task_id) for above in reversed(_lineage(context))))
        path = Path(os.path.realpath(name))
        try:
            prepare(path)
        except OSError as error:
            raise type(error)(error.errno, f"Checkpoint cannot write to its path ({error.strerror})", name) from error
        # Kept on the context, since several fits can share a callback.
        vars(context).setdefault("checkpoints", {})[self] = SimpleNamespace(name=name, path=path, is_written=True)

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context):
        is_epoch = not hasattr(context, "snapshot")
        fit = context.parent if is_epoch else context
        file = fit.checkpoints[self]
        is_due = (context.task_id + 1) % self.every == 0 if is_epoch else not file.is_written
        file.is_written = is_due
        if is_due and (content := fit.snapshot()):
            self._write(file, content)

    def teardown(self, estimator, context):
        """Do nothing."""

    def _write(self, file, content):
        try:
            write_checkpoint(file.path, content, self.keep)
        except OSError as error:
            warn(
                f"Checkpoint could not write {file.name!r} after epoch {content['fit']['record']['n_iter_']}: "
                f"{error.strerror}. The earlier checkpoints are kept; training continues.",
                RuntimeWarning,
            )


class TimeLimit:
    """Stop training at the end of the first epoch (or iteration) that exceeds a time limit.

    The limit applies to the wall-clock time of each fit, measured with a monotonic clock; in a search, each candidate
    has its own limit.

    Parameters
    ----------
    seconds : float
        The time limit, greater than 0.

    See Also
    --------
    StopWhen : Stop training on any condition.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mlp import MLPClassifier
    >>> from sklearn_mlp.callbacks import TimeLimit
    >>> clf = MLPClassifier(max_iter=1_000_000, n_iter_no_change=1_000_000).set_callbacks(TimeLimit(0.1))
    >>> clf.fit(*load_digits(return_X_y=True)).n_iter_ < 1000
    True
    """

    @validate_params({"seconds": [Interval(Real, 0, None, closed="neither")]}, prefer_skip_nested_validation=True)
    def __init__(self, seconds):
        self.seconds = seconds

    def setup(self, estimator, context):
        # Kept on the context, since several fits can share a callback.
        context.began = monotonic()

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context):
        # An epoch is a task of the fit, or of a member of an ensemble.
        while not hasattr(context, "began"):
            context = context.parent
        return monotonic() - context.began >= self.seconds

    def teardown(self, estimator, context):
        """Do nothing."""


class StopWhen:
    """Stop training at the end of the first epoch (or iteration) after which a condition holds.

    Parameters
    ----------
    condition : callable
        Called with the estimator as it would be if training stopped now; returns whether to stop.

    See Also
    --------
    TimeLimit : Stop training after a given time.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mlp import MLPClassifier
    >>> from sklearn_mlp.callbacks import StopWhen
    >>> clf = MLPClassifier(random_state=0).set_callbacks(StopWhen(lambda clf: clf.loss_ < 0.1))
    >>> clf.fit(*load_digits(return_X_y=True)).loss_ < 0.1 < clf.loss_curve_[-2]
    True
    """

    @validate_params({"condition": [callable]}, prefer_skip_nested_validation=True)
    def __init__(self, condition):
        self.condition = condition

    def setup(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        return fitted_estimator is not None and bool(self.condition(fitted_estimator))

    def teardown(self, estimator, context):
        """Do nothing."""


def _lineage(context):
    """The task and its parent tasks, innermost first."""
    return [context] if context.parent is None else [context, *_lineage(context.parent)]
