"""The converter of both estimators for skl2onnx."""

from functools import partial

import numpy as np
import skl2onnx
from onnx import TensorProto
from skl2onnx.algebra import onnx_ops
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    SequenceType,
    StringTensorType,
)
from sklearn.base import is_classifier

from sklearn_mlp.classifier import MLPClassifier
from sklearn_mlp.devices.cpu import NORM_EPSILON
from sklearn_mlp.regressor import MLPRegressor

TYPE_OF_LABELS = {
    "b": BooleanTensorType,
    "i": Int64TensorType,
    "u": Int64TensorType,
    "f": DoubleTensorType,
    "U": StringTensorType,
    "O": StringTensorType,
}


def convert(estimator, X_sample):
    """The ONNX model of an estimator, which may contain ours."""
    for model in (MLPClassifier, MLPRegressor):
        options = {"zipmap": [True, False, "columns"]} if model is MLPClassifier else None
        alias = f"SklearnMlp{model.__name__}"
        skl2onnx.update_registered_converter(model, alias, _set_types, _convert, overwrite=True, options=options)
    options = {MLPClassifier: {"zipmap": False}}
    if is_classifier(estimator):
        options[id(estimator)] = {"zipmap": False}
    return skl2onnx.to_onnx(estimator, X_sample, options=options)


def _set_types(operator):
    mlp = operator.raw_operator
    n_rows = operator.inputs[0].get_first_dimension()
    numbers = FloatTensorType if _dtype(operator) == np.float32 else DoubleTensorType
    if not is_classifier(mlp):
        operator.outputs[0].type = numbers([n_rows, mlp.n_outputs_])
        return
    label, probability = operator.outputs
    if isinstance(mlp.classes_, list):
        label.type = TYPE_OF_LABELS[mlp.classes_[0].dtype.kind]([n_rows, len(mlp.classes_)])
        probability.type = SequenceType(numbers([n_rows, None]))
    else:
        is_multilabel = mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1
        label.type = TYPE_OF_LABELS[mlp.classes_.dtype.kind]([n_rows, mlp.n_outputs_] if is_multilabel else [n_rows])
        probability.type = numbers([n_rows, len(mlp.classes_)])


def _dtype(operator):
    """Single precision if X has it, as the outputs of most other converters do; else the network's."""
    of_X = operator.inputs[0].type
    return np.dtype(np.float32) if isinstance(of_X, FloatTensorType) else operator.raw_operator.coefs_[0].dtype


def _convert(scope, operator, container):
    mlp, dtype = operator.raw_operator, _dtype(operator)
    o = _Operators(container.target_opset, dtype)
    inputs = [o.cast(variable) for variable in operator.inputs]
    A = inputs[0] if len(inputs) == 1 else o.Concat(*inputs, axis=1)
    statistics = list(zip(mlp.running_means_, mlp.running_variances_, strict=True))
    for i, block in enumerate(mlp._model.blocks[:-1]):
        Z = o.MatMul(A, o.number(mlp.coefs_[i]))
        if statistics:
            mean, variance = statistics[i]
            Z = o.Div(o.Sub(Z, o.number(mean)), o.number(np.sqrt(variance + NORM_EPSILON)))
        elif mlp.scales_:
            Z = o.Sub(Z, o.ReduceMean(Z, o.whole([1])))
            Z = o.Div(Z, o.Sqrt(o.Add(o.ReduceMean(o.Mul(Z, Z), o.whole([1])), o.number(NORM_EPSILON))))
        if mlp.scales_:
            Z = o.Mul(Z, o.number(mlp.scales_[i]))
        A = block.activation.onnx(o, o.Add(Z, o.number(mlp.intercepts_[i])))
    Z = o.Add(o.MatMul(A, o.number(mlp.coefs_[-1])), o.number(mlp.intercepts_[-1]))
    results = _labels_and_probabilities(o, mlp, Z) if is_classifier(mlp) else [_targets(o, mlp, Z)]
    for result, variable in zip(results, operator.outputs, strict=True):
        o.Identity(result, output_names=[variable.full_name]).add_to(scope, container)


def _targets(o, mlp, Z):
    if mlp.out_activation_ == "exp":
        return o.Exp(Z)
    if mlp.out_activation_ == "logistic":
        return o.Sigmoid(Z)
    if mlp._model.task.levels is not None:
        return o.TopK(Z, o.whole([mlp.n_outputs_]), largest=0)[0]
    return Z


def _labels_and_probabilities(o, mlp, Z):
    if isinstance(mlp.classes_, list):
        parts = [o.Slice(Z, *(o.whole([n]) for n in (part.start, part.stop, 1))) for part in mlp._model.task.columns]
        probabilities = [o.Softmax(part, axis=1) for part in parts]
        labels = [_labels(o, *pair, keepdims=1) for pair in zip(mlp.classes_, probabilities, strict=True)]
        return o.Concat(*labels, axis=1), o.SequenceConstruct(*probabilities)
    if mlp.out_activation_ == "softmax":
        probability = o.Softmax(Z, axis=1)
    elif mlp.n_outputs_ > 1:
        probability = o.Sigmoid(Z)
        return o.Cast(o.Greater(probability, o.number(0.5)), to=TensorProto.INT64), probability
    else:
        positive = o.Sigmoid(Z)
        negative = o.Sub(o.number(1), positive)
        probability = o.Concat(negative, positive, axis=1) if len(mlp.classes_) == 2 else o.Add(negative, positive)
    return _labels(o, mlp.classes_, probability, keepdims=0), probability


def _labels(o, classes, probability, keepdims):
    if classes.dtype.kind == "O" and not all(isinstance(label, str) for label in classes):
        raise TypeError(f"ONNX has no type for the labels {classes.tolist()}. Train with strings or numbers.")
    kinds = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}
    classes = classes.astype(kinds.get(classes.dtype.kind, np.str_))
    return o.Gather(classes, o.ArgMax(probability, axis=1, keepdims=keepdims), axis=0)


class _Operators:
    """The ONNX operators of one version, as functions of variables and constants."""

    def __init__(self, opset, dtype):
        self.opset = opset
        self.dtype = dtype

    def __getattr__(self, name):
        return partial(getattr(onnx_ops, f"Onnx{name}"), op_version=self.opset)

    def cast(self, variable):
        return self.Cast(variable, to=TensorProto.FLOAT if self.dtype == np.float32 else TensorProto.DOUBLE)

    def erf(self, variable):
        """In single precision, the only one of onnxruntime's Erf."""
        return self.cast(self.Erf(self.Cast(variable, to=TensorProto.FLOAT)))

    def number(self, value):
        """A constant of the network's precision."""
        return np.atleast_1d(value).astype(self.dtype)

    @staticmethod
    def whole(value):
        return np.array(value, np.int64)
