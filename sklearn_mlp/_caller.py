"""Who called a fit: warnings name the caller's line, and an interrupt ends the fits that surround it."""

import re
import sys
import warnings
from os.path import dirname, join

import joblib
import sklearn.base

PACKAGE = join(dirname(__file__), "")
LIBRARIES = tuple(join(dirname(package.__file__), "") for package in (sklearn, joblib))
# Where scikit-learn's decorator of `fit` is.
DECORATOR = sklearn.base.__file__


def warn(message, category=UserWarning):
    """Warn about the line that called this package, directly or through scikit-learn and joblib.

    Filters by module match this package: scripts for scikit-learn have them, with module="sklearn".
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((PACKAGE, *LIBRARIES)):
        frame = frame.f_back
    line = frame.f_lineno
    shown = frame.f_globals.setdefault("__warningregistry__", {})
    # Python forgets what it has shown when filters change, as joblib changes them for each candidate of a search.
    if not ((message, category, line) in shown and _is_shown_once(message, category, line)):
        warnings.warn_explicit(message, category, frame.f_code.co_filename, line, "sklearn_mlp", shown)


def _is_shown_once(message, category, line):
    """Whether the filters are to show a warning of a line once."""
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
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE):
            if has_left:
                return True  # another of our estimators, through a scorer or a callback
        elif code.co_filename != DECORATOR:
            has_left = True
            caller = frame.f_locals.get("self")
            is_fit = code.co_name.lstrip("_").startswith(("fit", "partial_fit"))
            if code.co_filename.startswith(LIBRARIES) or (is_fit and isinstance(caller, sklearn.base.BaseEstimator)):
                return True
        frame = frame.f_back
    return False
