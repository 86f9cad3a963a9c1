"""Estimators for tables of data in blocks: the encoder of a sample, the files of encoded rows, and what is refused."""

import gc
import pickle
import tempfile
import weakref

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_wine
from test_blocks import Blocks, Broken, cut, readers

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp._survey import random_keys
from sklearn_mlp._tabular_blocks import EncodedTrainingSet
from sklearn_mlp.callbacks import StopWhen

SMALL = {"n_members": 2, "hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


def make_table():
    """Measurements, with gaps, and categories made of some; every tenth row is of the rare category."""
    X, y = load_wine(return_X_y=True, as_frame=True)
    X = X.iloc[:, :5].copy()
    X["colour"] = pd.cut(X["alcalinity_of_ash"], 3, labels=["light", "medium", "dark"]).astype(object)
    X["grade"] = pd.Categorical(X["magnesium"].round(-1).astype(int).astype(str))
    order = np.random.RandomState(0).permutation(len(X))
    return X.iloc[order].reset_index(drop=True), y.to_numpy()[order]


X, LABELS = make_table()
N = len(X)
TARGET = X["alcohol"].to_numpy() + LABELS


def clf(**params):
    return TabularMLPClassifier(**(SMALL | params))


def reg(**params):
    return TabularMLPRegressor(**(SMALL | params))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where temporary files are, of which none is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert not [*tmp_path.glob("sklearn_mlp-*")]
    assert not readers()


def blocks_of(X, y, *weight, size=40, make=lambda part: part):
    starts = range(0, len(X), size)
    columns = (y, *weight)
    return Blocks(
        [(make(X.iloc[i : i + size]), *(of_rows[i : i + size] for of_rows in columns)) for i in starts],
    )


def as_objects(part):
    return part.astype(object).to_numpy()


KINDS = {"pandas": lambda part: part, "polars": pl.from_pandas, "objects": as_objects}


@pytest.mark.parametrize("kind", KINDS)
def test_the_encoder_is_that_of_the_whole_table(kind):
    """Categories and gaps that only one block has, and a column with nothing but gaps in a block."""
    table = X.copy()
    table.loc[81, "colour"] = "rare"
    table.loc[82:84, "colour"] = "few"
    table.loc[130, "ash"] = np.nan
    table.loc[0:39, "colour"] = None
    table.loc[40:79, "alcohol"] = np.nan
    make = KINDS[kind]
    model, expected = clf().fit(blocks_of(table, LABELS, make=make)), clf().fit(make(table), LABELS)
    ours, theirs = model.encoder_, expected.encoder_
    assert_array_equal(ours.get_feature_names_out(), theirs.get_feature_names_out())
    assert_allclose(ours.medians_, theirs.medians_)
    assert_allclose(ours.scales_, theirs.scales_)
    assert_array_equal(ours.has_gaps_, theirs.has_gaps_)
    for edges, expected_edges in zip(ours.bin_edges_, theirs.bin_edges_, strict=True):
        assert_allclose(edges, expected_edges, rtol=1e-6)
    for name in ("n_features_in_", "feature_names_in_"):
        assert hasattr(model, name) == hasattr(expected, name)
        assert_array_equal(getattr(model, name, None), getattr(expected, name, None))
    blocks = blocks_of(table, LABELS, make=make)
    assert_allclose(model.predict_proba(blocks), model.predict_proba(make(table)), rtol=1e-5)
    assert_allclose(model.score(blocks), model.score(make(table), LABELS))


def test_it_learns_what_it_learns_in_memory(each_device):
    params = {"max_iter": 30, "n_members": 3, "learning_rate_init": 0.01}
    model, expected = clf(**params).fit(blocks_of(X, LABELS)), clf(**params).fit(X, LABELS)
    assert expected.score(X, LABELS) > 0.85
    assert model.score(X, LABELS) > expected.score(X, LABELS) - 0.06
    model, expected = reg(**params).fit(blocks_of(X, TARGET)), reg(**params).fit(X, TARGET)
    assert expected.score(X, TARGET) > 0.6
    assert model.score(X, TARGET) > expected.score(X, TARGET) - 0.1
    assert not hasattr(model, "oof_score_")
    assert hasattr(expected, "oof_score_")


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (clf(), np.array(["a", "bcd", "ef"])[LABELS]),
        (clf(class_weight="balanced"), LABELS > 1),
        (clf(), np.c_[LABELS > 0, LABELS > 1].astype(int)),
        (clf(), np.c_[LABELS, LABELS[::-1]]),
        (reg(), np.c_[TARGET, LABELS]),
        (reg(loss="poisson"), LABELS),
        (reg(loss="quantile", quantile=[0.1, 0.9]), TARGET),
    ],
    ids=["strings", "two classes", "multilabel", "several outputs", "several columns", "poisson", "quantiles"],
)
def test_kinds_of_y(model, y):
    blocks = blocks_of(X, y)
    model.fit(blocks)
    prediction = model.predict(blocks)
    if prediction.dtype.kind == "f":
        assert_allclose(prediction, model.predict(X))
    else:
        assert_array_equal(prediction, model.predict(X))
    assert_allclose(model.score(blocks), model.score(X, y))
    out = np.empty(prediction.shape, prediction.dtype)
    assert model.predict(blocks, out=out) is out
    assert_array_equal(out, prediction)


def test_the_same_seed_gives_the_same_model():
    blocks = blocks_of(X, LABELS)
    one, other = clf().fit(blocks), clf(n_jobs=2).fit(blocks)
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert np.any(clf(random_state=1).fit(blocks).predict_proba(X) != one.predict_proba(X))


def test_rows_of_zero_weight_have_no_effect():
    """Not even on the features, or on what is a number."""
    weight = 1.0 + np.arange(N) % 2
    table, labels = X.astype({"ash": object}), LABELS.copy()
    dropped = np.r_[0:40, 50:60, 100]
    weight[dropped] = 0
    table.loc[dropped, "ash"] = "not a number"
    parts = blocks_of(table, labels, weight).parts
    kept = [(part[w > 0].astype({"ash": float}), y[w > 0], w[w > 0]) for part, y, w in parts]
    model, expected = clf().fit(Blocks(parts)), clf().fit(Blocks(kept))
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    with pytest.raises(ValueError, match="X has no row with a positive weight"):
        clf().fit(blocks_of(X, LABELS, np.zeros(N)))


def test_the_unit_of_weights_has_no_effect():
    weight = np.linspace(0, 2, N)
    expected = clf().fit(blocks_of(X, LABELS, weight), X_val=blocks_of(X, LABELS, weight)).predict_proba(X)
    for unit in (2.0**-200, 2.0**200):
        blocks = blocks_of(X, LABELS, unit * weight)
        assert_array_equal(clf().fit(blocks, X_val=blocks).predict_proba(X), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_X_val_in_blocks(weighted):
    weight = [np.linspace(0.5, 2, N)] if weighted else []
    blocks = blocks_of(X, LABELS)
    model = clf().fit(blocks, X_val=blocks_of(X[::-1], LABELS[::-1], *weight, size=30))
    expected = clf().fit(blocks, X_val=X[::-1], y_val=LABELS[::-1], sample_weight_val=weight[0] if weighted else None)
    for ours, theirs in zip(model.estimators_, expected.estimators_, strict=True):
        assert_allclose(ours.validation_loss_curve_, theirs.validation_loss_curve_, rtol=1e-5)
    with pytest.raises(ValueError, match="X_val has no row with a positive weight"):
        clf().fit(X, LABELS, X_val=blocks_of(X, LABELS, np.zeros(N)))


@pytest.mark.parametrize("n_rows", [1, 2, 5])
@pytest.mark.parametrize("estimator", [clf, reg])
def test_few_rows(n_rows, estimator):
    """Some folds have no row, and some have all."""
    y = (LABELS if estimator is clf else TARGET)[:n_rows]
    for seed in range(10):
        model = estimator(n_members=4, max_iter=1, random_state=seed).fit(blocks_of(X[:n_rows], y, size=2))
        assert len(model.predict(X)) == N


def test_a_validation_set_of_few_rows(monkeypatch):
    monkeypatch.setattr("sklearn_mlp._tabular_blocks.MAX_VALIDATION_ROWS", 50)
    monkeypatch.setattr("sklearn_mlp._tabular_blocks.ROWS_OF_PART", 16)
    sizes = []
    read = EncodedTrainingSet.validation_rows

    def seen(self, held_out):
        validation_set = read(self, held_out)
        sizes.append(len(validation_set.target))
        return validation_set

    monkeypatch.setattr(EncodedTrainingSet, "validation_rows", seen)
    clf(n_members=5).fit(blocks_of(X, LABELS))
    assert 25 < sum(sizes) < 75  # of 178, in folds that have no row in common


# -- the sample --------------------------------------------------------------------------------------------------------


def test_the_encoder_is_of_a_sample(monkeypatch):
    monkeypatch.setattr("sklearn_mlp._tabular_blocks.N_SAMPLED", 60)
    model = clf().fit(blocks_of(X, LABELS))
    keys = np.concatenate([random_keys(0, i, len(part[0])) for i, part in enumerate(blocks_of(X, LABELS).parts)])
    sample = X.iloc[np.argsort(keys)[:60]]
    assert_allclose(model.encoder_.medians_, clf().fit(sample, LABELS[sample.index]).encoder_.medians_)
    assert_allclose(model.predict_proba(blocks_of(X, LABELS)), model.predict_proba(X), rtol=1e-5)


def outside_of_sample(i, size=40):
    """A row of block i that is not in the sample of 60."""
    return i * size + int(random_keys(0, i, size).argmax())


def test_a_string_in_a_column_of_numbers(monkeypatch):
    monkeypatch.setattr("sklearn_mlp._tabular_blocks.N_SAMPLED", 60)
    table = X.astype({"ash": object})
    table.loc[outside_of_sample(3), "ash"] = "unknown"
    model = clf(categorical_features=["colour", "grade"])
    with pytest.raises(ValueError, match=r"Block 3 of X: X has 'unknown' in the feature 'ash'.*categorical_features"):
        model.fit(blocks_of(table, LABELS))
    assert not hasattr(model, "estimators_")
    with pytest.raises(ValueError, match="Block 3 of X_val: X has 'unknown' in the feature 'ash'"):
        clf().fit(X, LABELS, X_val=blocks_of(table, LABELS))
    model.fit(X, LABELS)
    with pytest.raises(ValueError, match="Block 3 of X: X has 'unknown' in the feature 'ash'"):
        model.predict(blocks_of(table, LABELS))


def test_a_category_outside_of_the_sample(monkeypatch):
    monkeypatch.setattr("sklearn_mlp._tabular_blocks.N_SAMPLED", 60)
    table, labels = X.copy(), LABELS.copy()
    table.loc[outside_of_sample(3), "colour"] = "violet"
    table.loc[outside_of_sample(2), "ash"] = np.nan
    labels[outside_of_sample(1)] = 3
    model = clf().fit(blocks_of(table, labels))
    assert model.classes_.tolist() == [0, 1, 2, 3]


# -- files, memory and errors ------------------------------------------------------------------------------------------


def test_the_model_has_no_blocks_and_no_files():
    blocks = blocks_of(X, LABELS)
    model = clf().fit(blocks)
    alive = weakref.ref(blocks)
    del blocks
    gc.collect()
    assert alive() is None
    assert b"sklearn_mlp-" not in pickle.dumps(model)


class Counted(Blocks):
    """Tables that are made when they are read, and the most of them that were alive at once."""

    alive = most = 0

    def __getitem__(self, i):
        table, y = super().__getitem__(i)
        table = table.copy()
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(table, self._drop)
        return table, y

    def _drop(self):
        self.alive -= 1


def test_three_blocks_are_in_memory():
    blocks = Counted(blocks_of(X, LABELS, size=4).parts)
    model = clf(n_members=1, max_iter=1).fit(blocks)
    model.predict(blocks)
    gc.collect()
    assert blocks.most <= 3
    assert blocks.alive == 0


@pytest.mark.parametrize("n_reads", [1, 2])
def test_a_block_that_cannot_be_read(n_reads, folder):
    model = clf().fit(X, LABELS)
    before = dict(vars(model))
    blocks = blocks_of(X, LABELS)

    def fails(i):
        if blocks.loaded.count(3) == n_reads:
            raise Broken(5)

    blocks.fails = fails
    with pytest.raises(Broken) as error:
        model.fit(blocks)
    assert error.value.__notes__ == ["Raised for block 3 of X."]
    assert not [*folder.glob("sklearn_mlp-*")]
    assert vars(model) == before


def test_a_block_that_changes_during_fit():
    blocks = blocks_of(X, LABELS)

    def shrinks(i):
        if blocks.loaded.count(3) == 2:
            blocks.parts[3] = X[:39], LABELS[:39]

    blocks.fails = shrinks
    with pytest.raises(ValueError, match="Block 3 of X had 40 rows when fit read it first, and now has 39"):
        clf().fit(blocks)


def test_callbacks_and_errors_of_members():
    blocks = blocks_of(X, LABELS)
    model = clf(max_iter=50, n_members=1).set_callbacks(StopWhen(lambda model: model.n_iter_ == 3)).fit(blocks)
    assert model.n_iter_ == 3

    def fails(model):
        raise RuntimeError("a callback")

    with pytest.raises(RuntimeError, match="a callback"):
        clf().set_callbacks(StopWhen(fails)).fit(blocks)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda part, y: (part.drop(columns="ash"), y), "Block 2 of X: The feature names should match"),
        (lambda part, y: (part, y[1:]), "Block 2 of X: .*inconsistent numbers of samples"),
        (lambda part, y: (part.assign(ash=np.inf), y), "X contains infinity in the feature 'ash'"),
        (lambda part, y: (part.assign(ash=np.datetime64("2020")), y), "Block 2 of X: X has dates or times: ash"),
        (lambda part, y: (part, y, -np.ones(len(y))), "Block 2 of X: .*[Nn]egative"),
        (lambda part, y: part, "Block 2 of X: a block is .*but this is a DataFrame"),
        (lambda part, y: (part, None), "Block 2 of X: .*requires y to be passed"),
    ],
)
def test_blocks_that_are_refused(change, match):
    blocks = blocks_of(X, LABELS)
    blocks.parts[2] = change(*blocks.parts[2])
    with pytest.raises((TypeError, ValueError), match=f"(?s){match}"):
        clf().fit(blocks)


def test_arguments_beside_blocks():
    blocks = blocks_of(X, LABELS)
    with pytest.raises(ValueError, match="groups is for arrays and data frames"):
        clf().fit(blocks, groups=LABELS)
    with pytest.raises(ValueError, match=r"X is a sequence of blocks.* y is given, too"):
        clf().fit(blocks, LABELS)
    with pytest.raises(ValueError, match="X has no row with a positive weight"):
        clf().fit(Blocks([]))
    numbers, target = load_diabetes(return_X_y=True)
    model = reg().fit(cut(100, numbers, target))
    assert_allclose(model.predict(cut(70, numbers, target)), model.predict(numbers), rtol=1e-5)
