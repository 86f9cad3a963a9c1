"""The labels of a classification: the classes in y, and the index of each label among known classes."""

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from sklearn_mlp._checks import on_gpu, stack_columns, to_host, to_numpy


class Labelled(NamedTuple):
    """A y of class labels.

    `kind` is scikit-learn's type of target; `classes` has the sorted labels, as a list with those of each column if the
    columns have classes of their own.
    """

    y: Any
    kind: str
    classes: Any


def find_classes(y, device, separate_columns):
    """The labels in y as `Labelled`; with `separate_columns`, columns of 0 and 1 are not multilabel indicators."""
    values = None
    if on_gpu(y):
        values = device.to_host(np.unique(y))
        kind = type_of_target(values)
        if y.ndim == 2:
            kind = "multilabel-indicator" if kind == "binary" else f"{kind}-multioutput"
    elif isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "biu":
        # Same as `type_of_target`, which takes longer than a step on a small batch.
        values = np.unique(y)
        kind = "binary" if values.size <= 2 else "multiclass"
    elif y.dtype.kind == "O":
        y = stack_columns([_typed(column) for column in y.T]) if y.ndim == 2 else _typed(y)
    if values is None:
        # The remaining arrays of objects have no common dtype: strings, or columns of several types.
        kind = "multiclass-multioutput" if y.dtype.kind == "O" and y.ndim == 2 else type_of_target(y, input_name="y")
    if kind == "multiclass-multioutput" or (y.ndim == 2 and separate_columns):
        y = to_host(y, device)
        y = y.toarray() if issparse(y) else y
        return Labelled(y, "multiclass-multioutput", [sorted_labels(column) for column in y.T])
    if kind not in ("binary", "multiclass", "multilabel-indicator"):
        check_classification_targets(y if values is None else values)  # raises
    if kind == "multilabel-indicator":
        values = np.unique(y.data if issparse(y) else y) if values is None else values
        if values.size and (values[0] < 0 or np.count_nonzero(values) > 1):
            raise ValueError(
                f"y of shape {y.shape} has the values {values.tolist()}; a multilabel y has 0 and 1. Pass, for "
                "example, (y > 0).astype(int)."
            )
        return Labelled(y, kind, np.arange(y.shape[1]))
    return Labelled(y, kind, sorted_labels(y) if values is None else values)


def sorted_labels(labels):
    """The distinct labels in an array or a list, sorted, in the narrowest dtype for strings and objects."""
    labels = to_numpy(labels)
    if labels.dtype.kind == "O":
        labels = _typed(labels)
    # The longest string determines the width of an array: only the distinct strings are converted.
    return np.array(sorted(set(labels.tolist()))) if labels.dtype.kind in "OU" else np.unique(labels)


def same_labels(one, other):
    """Whether two sorted arrays of labels, or lists of one for each column, are the same."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_labels, one, other))
    return not (isinstance(one, list) or isinstance(other, list)) and one.tolist() == other.tolist()


def unknown_labels(labels, classes):
    """The distinct `labels` that are not among the `classes`, as a list."""
    where = _positions(labels, classes)
    return labels[where < 0].tolist()


def encode_labels(labels, distinct, classes, device):
    """The index of each label among the `classes`, which include all of the `distinct` labels."""
    if labels.dtype.kind == "O":
        labels = _typed(labels)
    codes = np.searchsorted(device.to_device(distinct) if on_gpu(labels) else distinct, labels)
    if distinct is classes:
        return codes
    positions = _positions(distinct, classes)
    if positions.min(initial=0) < 0:  # a block has changed since it was surveyed
        raise ValueError(
            f"y has {distinct[positions < 0].tolist()}, which fit has not seen; its classes are {classes}."
        )
    return device.take(device.to_device(positions), codes) if on_gpu(codes) else positions[codes]


def _positions(labels, classes):
    """The index of each label among the classes, -1 for none.

    Python compares integers and floats of any size exactly. NumPy converts int64 and uint64 to float64 first.
    """
    if labels.dtype.kind in "mM" and classes.dtype.kind in "mM":
        dtype = np.result_type(labels, classes)  # the finer of the two units
        labels, classes = labels.astype(dtype), classes.astype(dtype)
    numbers = {label: number for number, label in enumerate(classes.tolist())}
    return np.array([numbers.get(label, -1) for label in labels.tolist()], dtype=np.intp)


def _typed(column):
    """A column of Python objects in the dtype of its values; strings are unchanged."""
    values = column.tolist()
    types = set(map(type, values))
    n_strings = sum(issubclass(each, str) for each in types)
    if n_strings:
        if n_strings < len(types):
            names = sorted(each.__name__ for each in types)
            raise ValueError(f"y has labels of the types {names} in one column. Pass labels of one type.")
        return column
    typed = np.array(values)
    if typed.dtype.kind == "f" and not any(issubclass(each, float | np.floating) for each in types):
        # NumPy finds float64 for integers of which some need uint64 and others do not.
        return np.array(values, dtype=np.uint64)
    return typed
