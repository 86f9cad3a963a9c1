"""The caller of a fit: warnings point to its line, and an interrupt also ends a search or fit that has called."""

import re
import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar

LIBRARIES = {"sklearn_mlp", "sklearn", "joblib"}
# The module of scikit-learn's decorator of `fit` and of `fit_transform`.
DECORATOR = "sklearn.base"


_is_silent = ContextVar("is_silent", default=False)


@contextmanager
def no_warnings():
    """A context, of one thread, in which `warn` does nothing."""
    token = _is_silent.set(True)
    try:
        yield
    finally:
        _is_silent.reset(token)


def warn(message, category=UserWarning):
    """Warn about the line that called this package, directly or through scikit-learn and joblib.

    Filters by module match this package: scripts written for scikit-learn use module="sklearn".
    """
    if _is_silent.get():
        return
    frame = sys._getframe(1)
    while frame.f_back is not None and _module(frame).partition(".")[0] in LIBRARIES:
        frame = frame.f_back
    line = frame.f_lineno
    shown = frame.f_globals.setdefault("__warningregistry__", {})
    # Python forgets which warnings it has shown when filters change, which joblib does for each candidate of a search.
    if not ((message, category, line) in shown and _is_shown_once(message, category, line)):
        warnings.warn_explicit(message, category, frame.f_code.co_filename, line, "sklearn_mlp", shown)


def _is_shown_once(message, category, line):
    """Whether the filters show a warning of a line only once."""
    for action, pattern, kind, module, of_line in warnings.filters:
        if (
            issubclass(category, kind)
            and (pattern is None or re.match(pattern, message))
            and (module is None or re.match(module, "sklearn_mlp"))
            and of_line in (0, line)
        ):
            return action in ("default", "module", "once")
    return warnings.defaultaction == "default"


def is_nested():
    """Whether the running fit was called by another estimator or by a function of scikit-learn, such as a search."""
    frame, has_left = sys._getframe(1), False
    while frame is not None:
        module = _module(frame)
        package = module.partition(".")[0]
        if package == "sklearn_mlp":
            if has_left:
                return True  # another of our estimators, through a scorer or a callback
        elif module != DECORATOR:
            has_left = True
            is_fit = frame.f_code.co_name.lstrip("_").startswith(("fit", "partial_fit"))
            if package in LIBRARIES or (is_fit and hasattr(frame.f_locals.get("self"), "get_params")):
                return True
        frame = frame.f_back
    return False


def _module(frame):
    return frame.f_globals.get("__name__", "")
