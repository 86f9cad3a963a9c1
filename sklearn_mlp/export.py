"""Fitted estimators in other formats: ONNX files and PyTorch modules.

The import registers the estimators with skl2onnx, if that is installed; ``skl2onnx.to_onnx`` then also converts them.
"""

from contextlib import suppress

from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp.tabular import TabularMLPClassifier, TabularMLPRegressor

with suppress(ImportError):
    import sklearn_mlp._onnx  # noqa: F401

__all__ = ["to_onnx", "to_torch"]


def to_onnx(estimator, X_sample):
    """Convert a fitted estimator, or a pipeline, search or ensemble that contains one, to ONNX.

    The model computes `predict` and, for a classifier, `predict_proba` in the precision of `X_sample`. Saved with
    ``Path("model.onnx").write_bytes(model.SerializeToString())``, it predicts without Python or this package, and
    contains no code.

    Parameters
    ----------
    estimator : estimator
        The fitted estimator. Those that are not of this package are converted by skl2onnx, which must support them.
        The model of a `TabularMLPClassifier` or `TabularMLPRegressor` has the encoder and all networks.

    X_sample : array-like of shape (n_samples, n_features)
        Sample input; only its types and columns are used. An array gives the model a single input 'X' with any number
        of rows; a data frame gives one input per column, of shape (n_samples, 1). float32 gives a model in single
        precision, which is usual for ONNX. For estimators for tables, see the notes.

    Returns
    -------
    model : onnx.ModelProto
        For a classifier, the outputs are 'label' of shape (n_samples,) or (n_samples, n_outputs), of strings if the
        labels are strings, and 'probabilities' of shape (n_samples, n_classes), or a sequence of such for a
        multiclass-multioutput model. For a regressor, the output is 'variable' of shape (n_samples, n_outputs).

    Raises
    ------
    ImportError
        If skl2onnx is not installed: ``pip install 'sklearn_mlp[onnx]'``.
    ValueError
        If ONNX has no type for the labels, such as dates, or integers from 2**63 on. For an estimator for tables, if
        `X_sample` has other columns than the training data, or strings in a feature that is a number.

    See Also
    --------
    to_torch : Convert to a PyTorch module.

    Notes
    -----
    The import of `sklearn_mlp.export` registers the estimators with skl2onnx. ``skl2onnx.to_onnx``, with the options
    'zipmap', 'nocl' and 'output_class_labels' of its own MLPClassifier, converts them from then on; this function calls
    it without ZipMap.

    The model of an estimator for tables, also as the last step of a pipeline, computes in the precision of its
    networks: single, or double after a fit to at most as many rows as a batch has. For a data frame of pandas or
    Polars, or a PyArrow table, it has an input for each column, in the order and with the name of the column. (A column
    with the name of an output, such as 'label', becomes 'label1'.) `X_sample` should be the training data, so that the
    types allow for its missing values:

    - Columns of float32 and float64 become inputs of this type; NaN is a gap.
    - Integers become int64, or float64 if there are missing values.
    - Booleans become bool, or the strings 'True' and 'False' if there are missing values.
    - Other columns become strings, of which the empty string is a gap. That includes categories that are numbers: 3
      and 3.0 are '3'.

    Categories that the training data do not have are treated as in `predict`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mlp import MLPClassifier
    >>> from sklearn_mlp.export import to_onnx
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MLPClassifier(random_state=0).fit(X, y)
    >>> [output.name for output in to_onnx(clf, X.astype(np.float32)).graph.output]
    ['label', 'probabilities']
    """
    check_is_fitted(estimator)
    try:
        from sklearn_mlp._onnx import convert
    except ImportError as error:
        raise ImportError(
            f"to_onnx needs skl2onnx, which cannot be imported here ({error}). `pip install 'sklearn_mlp[onnx]'` "
            "installs it."
        ) from error
    return convert(getattr(estimator, "best_estimator_", estimator), X_sample)


def to_torch(estimator):
    """Convert a fitted estimator to a PyTorch module in evaluation mode.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The fitted estimator; also one of the `estimators_` of an estimator for tables.

    Returns
    -------
    module : torch.nn.Sequential
        Takes X of shape (n_samples, n_features) in the precision of the estimator, and returns the output of
        `predict_proba`, or of `predict` for a regressor. The last submodule is the output activation; ``module[:-1]``
        returns the raw scores, for further training.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError
        If the estimator is a `TabularMLPClassifier` or `TabularMLPRegressor`, which have several networks.

    See Also
    --------
    to_onnx : Convert to an ONNX model, which needs neither Python nor PyTorch.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mlp import MLPClassifier
    >>> from sklearn_mlp.export import to_torch
    >>> clf = MLPClassifier(random_state=0).fit(*load_digits(return_X_y=True))
    >>> module = to_torch(clf)  # doctest: +SKIP
    """
    check_is_fitted(estimator)
    if isinstance(estimator, (TabularMLPClassifier, TabularMLPRegressor)):
        raise TypeError(
            f"to_torch converts a single network, but {type(estimator).__name__} has several, and an encoder. Convert "
            "one of them by to_torch(estimator.estimators_[0]), which takes estimator.encoder_.transform(X), or all by "
            "to_onnx."
        )
    import torch
    from torch import nn

    mlp, n_hidden = estimator, estimator.n_layers_ - 2
    parts = []
    for i, (W, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
        parts.append(nn.Linear(*W.shape, bias=not mlp.scales_ or i == n_hidden))
        values = {"weight": W.T}
        if i < n_hidden and mlp.scales_:
            parts[-1].weight = nn.Parameter(torch.tensor(W.T))
            parts.append((nn.BatchNorm1d if mlp.running_means_ else nn.LayerNorm)(W.shape[1]))
            values = {"weight": mlp.scales_[i]}
            if mlp.running_means_:
                values |= {"running_mean": mlp.running_means_[i], "running_var": mlp.running_variances_[i]}
        for name, value in (values | {"bias": b}).items():
            getattr(parts[-1], name).data = torch.tensor(value)
        if i < n_hidden:
            parts.append(getattr(nn, mlp._model.blocks[i].activation.torch_name)())

    class Output(nn.Module):
        def forward(self, Z):
            if not is_classifier(mlp):
                Z = {"exp": Z.exp, "logistic": Z.sigmoid}.get(mlp.out_activation_, lambda: Z)()
                Z = Z.sort(dim=1).values if mlp._model.task.levels is not None else Z
                return Z.ravel() if mlp.n_outputs_ == 1 else Z
            if isinstance(mlp.classes_, list):
                return [Z[:, columns].softmax(dim=1) for columns in mlp._model.task.columns]
            if mlp.out_activation_ == "softmax":
                return Z.softmax(dim=1)
            probability = Z.sigmoid()
            if mlp.n_outputs_ > 1:
                return probability
            both = [1 - probability, probability]
            return torch.hstack(both) if len(mlp.classes_) == 2 else sum(both)

    return nn.Sequential(*parts, Output()).eval()
