"""Labels of several types that meet in y, `classes`, y_val, class_weight and score: compared exactly, in any size."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklearn_mlp import MLPClassifier

pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X = np.random.RandomState(0).randn(90, 3)
CODES = (X[:, 0] > 0).astype(int)
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 5, "learning_rate_init": 0.1, "random_state": 0}
LARGE = 2**53  # from where float64 does not have all integers


def parameters(model):
    return np.concatenate([array.ravel() for array in model.coefs_ + model.intercepts_])


def labels_from(first, dtype):
    """Two labels in sequence; as Python's integers if `dtype` is list."""
    labels = [(first, first + 1)[code] for code in CODES]
    return labels if dtype is list else np.array(labels, dtype)


INTEGERS = [np.int64, np.uint64, object, list]


@pytest.mark.parametrize("y_dtype", INTEGERS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_large_labels_of_partial_fit(dtype, y_dtype):
    by_codes = MLPClassifier(**SMALL).partial_fit(X, CODES, classes=[0, 1]).partial_fit(X, CODES)
    classes, y = labels_from(LARGE, dtype), labels_from(LARGE, y_dtype)
    model = MLPClassifier(**SMALL).partial_fit(X, y, classes=classes).partial_fit(X, y, classes=y)
    assert_array_equal(parameters(model), parameters(by_codes))
    assert model.classes_.tolist() == [LARGE, LARGE + 1]
    assert model.predict(X).tolist() == [LARGE + code for code in by_codes.predict(X).tolist()]
    assert model.score(X, y) == model.score(X, labels_from(LARGE, np.int64)) == by_codes.score(X, CODES)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        model.partial_fit(X, labels_from(LARGE + 1, y_dtype))
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, y, classes=labels_from(LARGE + 1, dtype))


@pytest.mark.parametrize("other", INTEGERS)
def test_large_labels_of_fit(other):
    y, y_val = labels_from(LARGE, np.uint64), labels_from(LARGE, other)
    params = SMALL | {"warm_start": True}
    model = MLPClassifier(**params, class_weight={LARGE: 1.0, LARGE + 1: 3.0}).fit(X, y, X_val=X, y_val=y_val)
    by_codes = MLPClassifier(**params, class_weight={0: 1.0, 1: 3.0}).fit(X, CODES, X_val=X, y_val=CODES)
    assert_array_equal(parameters(model), parameters(by_codes))
    assert model.validation_loss_curve_ == by_codes.validation_loss_curve_
    assert_array_equal(parameters(model.fit(X, y_val)), parameters(by_codes.fit(X, CODES)))
    with pytest.raises(ValueError, match=rf"y_val has \[{LARGE + 2}\], which are not in y"):
        model.fit(X, y, X_val=X, y_val=labels_from(LARGE + 1, other))
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same classes"):
        model.fit(X, labels_from(LARGE + 1, other))


@pytest.mark.parametrize("other", INTEGERS)
def test_large_labels_of_several_outputs(other):
    y = np.column_stack([labels_from(LARGE, np.uint64), 2 * CODES.astype(np.uint64)])
    first = labels_from(LARGE, other)
    y_val = [[label, 2 * code] for label, code in zip(first, CODES.tolist(), strict=True)]
    model = MLPClassifier(**SMALL).fit(X, y, X_val=X, y_val=y_val)
    by_codes = MLPClassifier(**SMALL).fit(X, np.c_[CODES, 2 * CODES], X_val=X, y_val=np.c_[CODES, 2 * CODES])
    assert_array_equal(parameters(model), parameters(by_codes))
    assert model.validation_scores_ == by_codes.validation_scores_
    assert model.score(X, y_val) == by_codes.score(X, np.c_[CODES, 2 * CODES])
    frame = pd.DataFrame({"signed": -CODES, "unsigned": labels_from(2**63, np.uint64)})
    signed, unsigned = MLPClassifier(**SMALL).fit(X, frame).classes_
    assert signed.tolist() == [-1, 0]
    assert unsigned.tolist() == [2**63, 2**63 + 1]


def test_a_list_of_integers_that_no_signed_integer_holds():
    mixed = [(LARGE + 1, 2**63)[code] for code in CODES]
    model = MLPClassifier(**SMALL).fit(X, mixed)
    assert model.classes_.tolist() == [LARGE + 1, 2**63]
    assert_array_equal(parameters(model), parameters(MLPClassifier(**SMALL).fit(X, CODES)))
    assert model.score(X, mixed) == MLPClassifier(**SMALL).fit(X, CODES).score(X, CODES)


@pytest.mark.parametrize("dtype", [float, np.float32, np.uint8, bool])
def test_small_numbers_of_any_type_are_equal(dtype):
    by_codes = MLPClassifier(**SMALL).partial_fit(X, CODES, classes=[0, 1]).fit(X, CODES, X_val=X, y_val=CODES)
    model = MLPClassifier(**SMALL).partial_fit(X, CODES.astype(dtype), classes=[0, 1])
    assert_array_equal(model.classes_, [0, 1], strict=True)
    model.fit(X, CODES, X_val=X, y_val=CODES.astype(dtype))
    assert_array_equal(parameters(model), parameters(by_codes))
    assert model.score(X, CODES.astype(dtype)) == model.validation_scores_[-1] == by_codes.score(X, CODES)


def test_a_float_is_no_integer_that_rounds_to_it():
    model = MLPClassifier(**SMALL).partial_fit(X, labels_from(LARGE + 1, np.int64), classes=[LARGE + 1, LARGE + 2])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        model.partial_fit(X, np.full(90, float(LARGE)))


def test_labels_of_two_types_in_one_column():
    y = np.array([(1, "one")[code] for code in CODES], dtype=object)
    with pytest.raises(ValueError, match=r"y has labels of the types \['int', 'str'\] in one column"):
        MLPClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match=r"y_val: y has labels of the types \['int', 'str'\]"):
        MLPClassifier(**SMALL).fit(X, CODES, X_val=X, y_val=y)


@pytest.mark.parametrize("first", ["partial_fit", "fit"])
def test_a_chunk_without_some_class_under_warm_start(first):
    one_class = CODES == 1
    models = []
    for warm_start in (True, False):
        model = MLPClassifier(**SMALL, warm_start=warm_start)
        if first == "fit":
            model.fit(X, CODES)
        else:
            model.partial_fit(X[one_class], CODES[one_class], classes=[0, 1, 2])
        models.append(model.partial_fit(X[one_class], CODES[one_class]).partial_fit(X[:1], CODES[:1]))
    assert_array_equal(*map(parameters, models))
    assert_array_equal(models[0].classes_, models[1].classes_)
    # A fit has to have them all.
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same classes"):
        models[0].fit(X[one_class], CODES[one_class])
