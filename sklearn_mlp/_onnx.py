"""The converters of all estimators, registered with skl2onnx by the import of this module."""

from copy import copy
from functools import partial, reduce

import numpy as np
import skl2onnx
from onnx import TensorProto
from skl2onnx._parse import (
    _parse_sklearn_classifier,
    _parse_sklearn_simple_model,
    sklearn_parsers_map,
    update_registered_parser,
)
from skl2onnx.algebra import onnx_ops
from skl2onnx.common._registration import get_converter, register_converter
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    SequenceType,
    StringTensorType,
)
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from sklearn_mlp._onnx_tabular import encoded_columns, types_of_columns
from sklearn_mlp.classifier import MLPClassifier
from sklearn_mlp.devices.cpu import NORM_EPSILON
from sklearn_mlp.regressor import MLPRegressor
from sklearn_mlp.tabular import TabularMLPClassifier, TabularMLPRegressor

# The types of labels, by the kind of NumPy's dtype.
LABELS = {
    "b": (np.bool_, BooleanTensorType),
    "i": (np.int64, Int64TensorType),
    "u": (np.int64, Int64TensorType),
    "f": (np.float64, DoubleTensorType),
    "U": (np.str_, StringTensorType),
    "O": (np.str_, StringTensorType),
}
# Containers in which estimators transform, except as the last step of a pipeline that predicts.
CONTAINERS = {Pipeline: "steps", FeatureUnion: "transformer_list", ColumnTransformer: "transformers_"}
CLASSIFIERS = MLPClassifier, TabularMLPClassifier
TABULAR = TabularMLPClassifier, TabularMLPRegressor


def convert(estimator, X_sample):
    """The ONNX model of an estimator, which may contain estimators of this package."""
    options = {kind: {"zipmap": False} for kind in CLASSIFIERS}
    if is_classifier(estimator):
        options[id(estimator)] = {"zipmap": False}
        _check_labels(estimator)
    if not isinstance(_last_step(estimator), TABULAR):
        return skl2onnx.to_onnx(estimator, X_sample, options=options)
    types = types_of_columns(X_sample)
    model = skl2onnx.to_onnx(estimator, initial_types=types, options=options)
    _rename_inputs(model.graph, [name for name, _ in types])
    return model


def _rename_inputs(graph, names):
    """Restore the names of columns, in which skl2onnx replaces spaces and other characters."""
    taken = {constant.name for constant in graph.initializer}.union(*(node.output for node in graph.node))
    pairs = zip(graph.input, names, strict=True)
    new = {variable.name: variable.name if name in taken else name for variable, name in pairs}
    for variable in graph.input:
        variable.name = new[variable.name]
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]


def _last_step(estimator):
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


# -- networks ----------------------------------------------------------------------------------------------------------


class HiddenLayer(BaseEstimator):
    """A network as a transformer; replaces one that is followed by another step."""

    def __init__(self, mlp):
        self.mlp = mlp


def _set_types(operator):
    estimator = operator.raw_operator
    n_rows = operator.inputs[0].get_first_dimension()
    numbers = FloatTensorType if _dtype(operator, estimator) == np.float32 else DoubleTensorType
    if not is_classifier(estimator):
        operator.outputs[0].type = numbers([n_rows, estimator.n_outputs_])
        return
    label, probability = operator.outputs
    if isinstance(estimator.classes_, list):
        _, type_of_label = _labels_for_onnx(operator.scope_inst, estimator, estimator.classes_[0])
        label.type = type_of_label([n_rows, len(estimator.classes_)])
        probability.type = SequenceType(numbers([n_rows, None]))
    else:
        is_multilabel = _networks(estimator)[0].out_activation_ == "logistic" and estimator.n_outputs_ > 1
        _, type_of_label = _labels_for_onnx(operator.scope_inst, estimator, estimator.classes_)
        label.type = type_of_label([n_rows, estimator.n_outputs_] if is_multilabel else [n_rows])
        probability.type = numbers([n_rows, len(estimator.classes_)])


def _set_type_of_hidden(operator):
    mlp = operator.raw_operator.mlp
    numbers = FloatTensorType if _dtype(operator, mlp) == np.float32 else DoubleTensorType
    operator.outputs[0].type = numbers([operator.inputs[0].get_first_dimension(), len(mlp.coefs_[-1])])


def _networks(estimator):
    return estimator.estimators_ if isinstance(estimator, TABULAR) else [estimator]


def _dtype(operator, estimator):
    """The precision of the network; or single precision for such an X, as for most converters, but not for tables."""
    is_single = isinstance(operator.inputs[0].type, FloatTensorType) and not isinstance(estimator, TABULAR)
    return np.dtype(np.float32) if is_single else _networks(estimator)[0].coefs_[0].dtype


def _convert(scope, operator, container):
    estimator = operator.raw_operator
    o = _Operators(container.target_opset, _dtype(operator, estimator))
    if isinstance(estimator, TABULAR):
        X = encoded_columns(o, estimator, operator.inputs)
    else:
        X = _one_input(o, operator.inputs)
    decode = _labels_and_probabilities if is_classifier(estimator) else _targets
    results = decode(o, operator, _mean_output(o, _networks(estimator), X))
    for result, variable in zip(results, operator.outputs, strict=True):
        o.Identity(result, output_names=[variable.full_name]).add_to(scope, container)


def _convert_hidden(scope, operator, container):
    mlp = operator.raw_operator.mlp
    o = _Operators(container.target_opset, _dtype(operator, mlp))
    A = _last_hidden(o, mlp, _one_input(o, operator.inputs))
    o.Identity(A, output_names=[operator.outputs[0].full_name]).add_to(scope, container)


def _one_input(o, inputs):
    inputs = [o.cast(variable) for variable in inputs]
    return inputs[0] if len(inputs) == 1 else o.Concat(*inputs, axis=1)


def _last_hidden(o, mlp, A):
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
    return A


def _output(o, mlp, X):
    """The output of a network, in the parts that its task has."""
    Z = o.Add(o.MatMul(_last_hidden(o, mlp, X), o.number(mlp.coefs_[-1])), o.number(mlp.intercepts_[-1]))
    columns = mlp._model.task.columns
    parts = [o.Slice(Z, *(o.whole([n]) for n in (part.start, part.stop, 1))) for part in columns] or [Z]
    functions = {"exp": o.Exp, "logistic": o.Sigmoid, "softmax": partial(o.Softmax, axis=1)}
    return [functions.get(mlp.out_activation_, lambda Z: Z)(part) for part in parts]


def _mean_output(o, networks, X):
    """The mean of the networks' outputs, in parts."""
    parts = zip(*(_output(o, mlp, X) for mlp in networks), strict=True)
    if len(networks) == 1:
        return [part for (part,) in parts]
    return [o.Div(reduce(o.Add, of_networks), o.number(len(networks))) for of_networks in parts]


def _targets(o, operator, parts):
    estimator, (output,) = operator.raw_operator, parts
    if _networks(estimator)[0]._model.task.levels is not None:
        output = o.TopK(output, o.whole([estimator.n_outputs_]), largest=0)[0]
    return (output,)


def _labels_and_probabilities(o, operator, parts):
    estimator = operator.raw_operator
    if isinstance(estimator.classes_, list):
        pairs = zip(estimator.classes_, parts, strict=True)
        labels = [_most_probable(o, operator, *pair, keepdims=1) for pair in pairs]
        return o.Concat(*labels, axis=1), o.SequenceConstruct(*parts)
    (probability,) = parts
    if _networks(estimator)[0].out_activation_ == "logistic":
        if estimator.n_outputs_ > 1:
            return o.Cast(o.Greater(probability, o.number(0.5)), to=TensorProto.INT64), probability
        both = o.Sub(o.number(1), probability), probability
        probability = o.Concat(*both, axis=1) if len(estimator.classes_) == 2 else o.Add(*both)
    return _most_probable(o, operator, estimator.classes_, probability, keepdims=0), probability


def _most_probable(o, operator, classes, probability, keepdims):
    labels, _ = _labels_for_onnx(operator.scope_inst, operator.raw_operator, classes)
    return o.Gather(labels, o.ArgMax(probability, axis=1, keepdims=keepdims), axis=0)


# -- labels ------------------------------------------------------------------------------------------------------------


def _labels_for_onnx(scope, mlp, classes):
    """The labels as an array that ONNX has a type for, and this type."""
    options = scope.get_options(mlp, {"zipmap": True, "nocl": False})
    if options["nocl"]:
        classes = np.arange(len(classes))
    kind = classes.dtype.kind
    # The keys of a ZipMap are integers or strings.
    dtype, type_of_label = LABELS.get("i" if options["zipmap"] and kind in "bf" else kind, (None, None))
    if dtype is None:
        _refuse(classes)
    labels = classes.astype(dtype)
    if (labels != classes).any():
        _refuse(classes[labels != classes])
    return labels, type_of_label


def _check_labels(estimator):
    """Raise ValueError for labels that converters of skl2onnx would change: some of them have int32 for all numbers."""
    estimator = _last_step(estimator)
    if isinstance(estimator, CLASSIFIERS):
        return
    for classes in _columns(getattr(estimator, "classes_", [])):
        if classes.dtype.kind in "iuf":
            too_large = (classes < np.iinfo(np.int32).min) | (classes > np.iinfo(np.int32).max)
            if too_large.any():
                _refuse(classes[too_large])


def _columns(classes):
    return classes if isinstance(classes, list) else [classes]


def _refuse(labels):
    raise ValueError(
        f"ONNX models cannot hold the labels {', '.join(map(str, labels[:3]))} ({labels.dtype}): labels are strings, "
        "bool, float64 or int64, and with classifiers that skl2onnx converts, int32. Encode y before training, for "
        "example with sklearn.preprocessing.LabelEncoder."
    )


# -- networks in pipelines ---------------------------------------------------------------------------------------------


def _with_transformers(container):
    """A copy of a pipeline, a union or a column transformer in which `HiddenLayer` replaces networks that transform."""
    attribute = next(name for kind, name in CONTAINERS.items() if isinstance(container, kind))
    steps = list(getattr(container, attribute))
    for i in range(len(steps) - isinstance(container, Pipeline)):
        name, step, *columns = steps[i]
        steps[i] = name, _as_transformer(step), *columns
    return _replace(container, attribute, steps)


def _as_transformer(step):
    step = getattr(step, "best_estimator_", step)
    if isinstance(step, (MLPClassifier, MLPRegressor)):
        return HiddenLayer(step)
    if isinstance(step, Pipeline):
        name, last = step.steps[-1]
        return _replace(step, "steps", [*step.steps[:-1], (name, _as_transformer(last))])
    return step


def _replace(container, attribute, steps):
    if all(new[1] is old[1] for new, old in zip(steps, getattr(container, attribute), strict=True)):
        return container  # options refer to a container by its id
    container = copy(container)
    setattr(container, attribute, steps)
    return container


def _container_parser(parse):
    def parse_container(scope, model, inputs, custom_parsers=None):
        return parse(scope, _with_transformers(model), inputs, custom_parsers=custom_parsers)

    return parse_container


def _parse_classifier(scope, model, inputs, custom_parsers=None):
    for classes in _columns(model.classes_):
        _labels_for_onnx(scope, model, classes)
    # There is no ZipMap for the probabilities of several outputs.
    parse = _parse_sklearn_simple_model if isinstance(model.classes_, list) else _parse_sklearn_classifier
    return parse(scope, model, inputs, custom_parsers=custom_parsers)


PIPELINE_CONVERTER = get_converter("SklearnPipeline")


def _convert_pipeline(scope, operator, container):
    """Convert a pipeline in an ensemble, which is not parsed."""
    operator.raw_operator = _with_transformers(operator.raw_operator)
    PIPELINE_CONVERTER(scope, operator, container)


def _register():
    options = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]}
    register = skl2onnx.update_registered_converter
    for kind in CLASSIFIERS:
        register(kind, f"SklearnMlp{kind.__name__}", _set_types, _convert, parser=_parse_classifier, options=options)
    for kind in (MLPRegressor, TabularMLPRegressor):
        register(kind, f"SklearnMlp{kind.__name__}", _set_types, _convert)
    register(HiddenLayer, "SklearnMlpHiddenLayer", _set_type_of_hidden, _convert_hidden)
    for kind in CONTAINERS:
        update_registered_parser(kind, _container_parser(sklearn_parsers_map[kind]))
    allowed = PIPELINE_CONVERTER.get_allowed_options()
    register_converter("SklearnPipeline", _convert_pipeline, overwrite=True, options=allowed)


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
        """Erf in single precision, the only one that onnxruntime supports."""
        return self.cast(self.Erf(self.Cast(variable, to=TensorProto.FLOAT)))

    def number(self, value):
        """A constant of the network's precision."""
        return np.atleast_1d(value).astype(self.dtype)

    @staticmethod
    def whole(value):
        return np.array(value, np.int64)


_register()
