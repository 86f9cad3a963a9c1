"""Fitted estimators in other formats: ONNX files and PyTorch modules."""

from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

__all__ = ["to_onnx", "to_torch"]

TORCH_NAMES = {
    "identity": "Identity",
    "logistic": "Sigmoid",
    "tanh": "Tanh",
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "selu": "SELU",
    "softplus": "Softplus",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
}


def to_onnx(estimator, X_sample):
    """The ONNX model of a fitted estimator, or of a whole pipeline, search or ensemble around it.

    What it computes is what `predict`, and for a classifier `predict_proba`, give, in the precision of `X_sample`. A
    file of it (``Path("model.onnx").write_bytes(model.SerializeToString())``) needs neither Python nor this package to
    predict, and holds no code.

    Parameters
    ----------
    estimator : estimator
        Fitted. All but `MLPClassifier` and `MLPRegressor` is converted by skl2onnx, which has to know it.

    X_sample : array-like of shape (n_samples, n_features)
        Some data to predict for, of which only types and columns count: an array gives the model one input, 'X', of any
        number of rows; a data frame an input for each column. With float32 the model is of single precision, as most
        users of ONNX want it.

    Returns
    -------
    model : onnx.ModelProto
        Its outputs are, for a classifier, 'label' of shape (n_samples,) or (n_samples, n_outputs), with strings where
        the labels are, and 'probabilities' of shape (n_samples, n_classes), for several columns with classes of their
        own a sequence of such; for a regressor, 'variable' of shape (n_samples, n_outputs).

    Raises
    ------
    ImportError
        If skl2onnx is not installed: ``pip install 'sklearn_mlp[onnx]'``.
    TypeError
        If labels are objects that ONNX has no type for.

    See Also
    --------
    to_torch : A PyTorch module instead.

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
    """A PyTorch module with the weights of a fitted estimator, in evaluation mode.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted.

    Returns
    -------
    module : torch.nn.Sequential
        Takes X of shape (n_samples, n_features) in the estimator's precision, and returns what `predict_proba` does, or
        `predict` of a regressor. Its last part turns scores into that; ``module[:-1]`` gives the scores, to train on.

    Raises
    ------
    ImportError
        If PyTorch is not installed.

    See Also
    --------
    to_onnx : A file that needs neither Python nor PyTorch to predict.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mlp import MLPClassifier
    >>> from sklearn_mlp.export import to_torch
    >>> clf = MLPClassifier(random_state=0).fit(*load_digits(return_X_y=True))
    >>> module = to_torch(clf)  # doctest: +SKIP
    """
    check_is_fitted(estimator)
    import torch
    from torch import nn

    mlp, n_hidden = estimator, estimator.n_layers_ - 2
    activations = [mlp.activation] * n_hidden if isinstance(mlp.activation, str) else mlp.activation
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
            parts.append(getattr(nn, TORCH_NAMES[activations[i]])())

    class Output(nn.Module):
        def forward(self, Z):
            if not is_classifier(mlp):
                Z = Z.exp() if mlp.out_activation_ == "exp" else Z
                Z = Z.sort(dim=1).values if mlp._has_levels() else Z
                return Z.ravel() if mlp.n_outputs_ == 1 else Z
            if isinstance(mlp.classes_, list):
                return [Z[:, columns].softmax(dim=1) for columns in mlp._blocks()]
            if mlp.out_activation_ == "softmax":
                return Z.softmax(dim=1)
            probability = Z.sigmoid()
            if mlp.n_outputs_ > 1:
                return probability
            both = [1 - probability, probability]
            return torch.hstack(both) if len(mlp.classes_) == 2 else sum(both)

    return nn.Sequential(*parts, Output()).eval()
