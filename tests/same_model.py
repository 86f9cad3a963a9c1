"""Whether two fitted estimators are bit-identical."""

import numpy as np
from numpy.testing import assert_array_equal


def fitted_attributes(model):
    model = vars(model)
    return {name: value for name, value in model.items() if name.endswith("_") and not name.startswith("_")}


def assert_same_model(one, other):
    one, other = fitted_attributes(one), fitted_attributes(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            for ours, theirs in zip(value, other[name], strict=True):
                assert_array_equal(ours, theirs, strict=True)
        else:
            assert_array_equal(value, other[name])
