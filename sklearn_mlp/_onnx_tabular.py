"""The encoding of a table in ONNX's operators, and ONNX's types for its columns."""

from math import isfinite

import narwhals.stable.v2 as nw
import numpy as np
from onnx import TensorProto
from skl2onnx.algebra.onnx_ops import OnnxLabelEncoder
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

from sklearn_mlp._columns import as_table, from_series, name_of
from sklearn_mlp._interactions import N_CODES, Interaction, tolerance
from sklearn_mlp.encoders import LARGEST

GAP = ""  # in tensors of strings, which have no missing values
LABEL_ENCODER = 2  # the version of ai.onnx.ml, which skl2onnx supports


# -- types -------------------------------------------------------------------------------------------------------------


def types_of_columns(X_sample):
    """The inputs of a model for skl2onnx: the name and the type of each."""
    if nw.dependencies.is_into_dataframe(X_sample):
        return [(str(series.name), _type_of(series)([None, 1])) for series in nw.from_native(X_sample).iter_columns()]
    X = as_table(X_sample)
    types = {"b": BooleanTensorType, "i": Int64TensorType, "u": Int64TensorType, "f": DoubleTensorType}
    kind = FloatTensorType if X.dtype == np.float32 else types.get(X.dtype.kind, StringTensorType)
    return [("X", kind([None, X.shape[1]]))]


def _type_of(series):
    """The narrowest type that can represent all values and the gaps."""
    values = from_series(series)
    if values.dtype == object:
        is_boolean = series.dtype == nw.Boolean and None not in values.tolist()
        return BooleanTensorType if is_boolean else StringTensorType
    if series.dtype.is_integer() and not np.isnan(values).any():
        return Int64TensorType
    return FloatTensorType if series.dtype == nw.Float32 else DoubleTensorType


# -- the encoding ------------------------------------------------------------------------------------------------------


def encoded_columns(o, estimator, inputs):
    """The output (n_samples, n_encoded) of `estimator.encoder_` for the inputs, in the ONNX operators `o`."""
    encoder = estimator.encoder_
    _check_inputs(estimator, inputs)
    encoded = []
    numbers = None
    if encoder.medians_.size:
        numbers = _standardised(o, encoder, _features(inputs, ~encoder.is_categorical_))
        encoded += _encoded_numbers(o, encoder._encoding(), numbers)
    codes = []
    for k, j in enumerate(np.flatnonzero(encoder.is_categorical_)):
        ((variable, columns),) = _features(inputs, np.arange(len(encoder.is_categorical_)) == j)
        codes.append(_codes(o, *_known_categories(encoder, k), variable, _gather(o, variable, columns)))
    encoded += [_one_hot(o, *pair) for pair in zip(codes, map(np.arange, encoder._n_codes()), strict=True)]
    for interaction in map(Interaction._make, encoder.interactions_):
        first, second = (
            codes[j - len(encoder.medians_)] if levels is None else _level(o, numbers, j, levels)
            for j, levels in zip(interaction.features, interaction.levels, strict=True)
        )
        # With -1 for an unknown level, the result does not equal the number of any combination.
        encoded.append(_one_hot(o, o.Add(o.Mul(first, o.whole([N_CODES])), second), interaction.cells))
    return encoded[0] if len(encoded) == 1 else o.Concat(*encoded, axis=1)


def _check_inputs(estimator, inputs):
    if len(inputs) == 1:
        return
    given = [variable.raw_name for variable in inputs]
    expected = list(getattr(estimator, "feature_names_in_", given))
    if given != expected or len(given) != estimator.n_features_in_:
        raise ValueError(
            f"X_sample has the features {given}, but {type(estimator).__name__} was fitted to "
            f"{estimator.n_features_in_} features: {expected}."
        )


def _features(inputs, mask):
    """The inputs that have features in `mask`, each with their columns; None for an input with one column."""
    if len(inputs) == 1:
        return [(inputs[0], np.flatnonzero(mask) if len(mask) > 1 else None)]
    return [(variable, None) for variable, is_meant in zip(inputs, mask, strict=True) if is_meant]


def _gather(o, variable, columns):
    return variable if columns is None else o.Gather(variable, o.whole(columns), axis=1)


def _standardised(o, encoder, features):
    """The numbers of a table, in float32."""
    parts = []
    for variable, columns in features:
        if isinstance(variable.type, StringTensorType):
            raise ValueError(
                f"X_sample has strings in {variable.raw_name!r}, but the estimator was fitted to numbers. Pass a data "
                "frame with the types of the training data, or an array of numbers."
            )
        parts.append(o.Cast(_gather(o, variable, columns), to=TensorProto.DOUBLE))
    X = parts[0] if len(parts) == 1 else o.Concat(*parts, axis=1)
    z = o.Div(o.Sub(X, encoder.medians_[np.newaxis]), encoder.scales_[np.newaxis])
    return o.Cast(o.Clip(z, np.array(-LARGEST), np.array(LARGEST)), to=TensorProto.FLOAT)


def _encoded_numbers(o, encoding, numbers):
    """Like `CPU.encode`."""
    bins, gaps = slice(encoding.n_numbers, encoding.first_gap), slice(encoding.first_gap, encoding.first_code[0])
    is_gap = o.IsNaN(numbers)
    z = o.Where(is_gap, o.number(0), o.cast(numbers))
    third = o.Div(z, o.number(3))
    encoded = [o.Div(z, o.Sqrt(o.Add(o.Mul(third, third), o.number(1))))]
    if bins.start < bins.stop:
        z = o.Gather(z, o.whole(encoding.source[bins]), axis=1)
        way = o.Div(o.Sub(z, o.number(encoding.offset[bins])), o.number(encoding.width[bins]))
        encoded.append(o.Clip(way, np.array(0, o.dtype), np.array(1, o.dtype)))
    if gaps.start < gaps.stop:
        encoded.append(o.cast(o.Gather(is_gap, o.whole(encoding.source[gaps]), axis=1)))
    return encoded


def _known_categories(encoder, k):
    """The code of each category that has one, and the code of all others."""
    known, rare = (getattr(encoder._one_hot, name)[k] for name in ("categories_", "infrequent_categories_"))
    rare = [] if rare is None else rare.tolist()
    frequent = [name for name in known.tolist() if name not in set(rare)]
    return {name: code for code, name in enumerate(frequent)}, len(frequent) if rare else -1


def _codes(o, known, other, variable, column):
    """The codes of the categories in a column, as int64."""
    if isinstance(variable.type, StringTensorType):
        known = {GAP if name is None else name: code for name, code in known.items()} or {GAP: other}
        attributes = {"keys_strings": [*known], "values_int64s": [*known.values()], "default_int64": other}
        return OnnxLabelEncoder(column, op_version=LABEL_ENCODER, **attributes)
    if isinstance(variable.type, BooleanTensorType):
        return o.Where(column, *(o.whole([known.get(name, other)]) for name in ("True", "False")))
    column = o.Cast(column, to=TensorProto.DOUBLE)
    codes = o.whole([other])
    numbers = {_number(name): code for name, code in known.items() if _number(name) is not None}
    if numbers:
        is_known = o.Equal(column, np.array([[*numbers]]))
        codes = o.Add(_index(o, is_known, np.array([*numbers.values()]) - other), codes)
    return o.Where(o.IsNaN(column), o.whole([known.get(None, other)]), codes)


def _number(name):
    """The number with this name, if there is one."""
    try:
        number = float(name)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) and name_of(number) == name else None


def _level(o, numbers, j, levels):
    """Like `sklearn_mlp._interactions._level`: at most one of the levels is within the tolerance."""
    column = o.Gather(numbers, o.whole([j]), axis=1)
    distance = o.Abs(o.Sub(column, levels[np.newaxis]))
    is_level = o.LessOrEqual(distance, np.atleast_1d(tolerance(levels)))
    level = o.Sub(_index(o, is_level, np.arange(1, len(levels) + 1)), o.whole([1]))
    return o.Where(o.IsNaN(column), o.whole([len(levels)]), level)


def _index(o, is_value, indices):
    """The index of the value in each row, and 0 for none, as int64."""
    indices = indices.astype(np.float32)[:, np.newaxis]
    return o.Cast(o.MatMul(o.Cast(is_value, to=TensorProto.FLOAT), indices), to=TensorProto.INT64)


def _one_hot(o, codes, of_columns):
    return o.cast(o.Equal(codes, o.whole(of_columns)[np.newaxis]))
