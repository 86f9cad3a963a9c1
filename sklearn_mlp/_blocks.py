"""Data in blocks: anything with ``len(blocks)`` and ``blocks[i]``, which is (X, y) or (X, y, sample_weight)."""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, issparse, vstack
from sklearn.base import is_classifier
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _num_samples

from sklearn_mlp._checks import (
    about,
    as_column,
    check_range,
    is_blocks,
    read_array,
    shallow_copy,
    validate_weight,
    validate_X,
    validate_y,
)
from sklearn_mlp._survey import LabelCounts, Moments, Rows, Survey, random_keys, stack_rows
from sklearn_mlp._training_set import TrainingSet
from sklearn_mlp._validation_set import ValidationSet
from sklearn_mlp.core.batches import Data
from sklearn_mlp.core.blocks import BlockData, one_ahead
from sklearn_mlp.devices import resolve_device

# What is estimated from a sample, such as the scale of X, is not from more rows.
N_SAMPLED = 10_000
# A validation set that is split off is in memory, and has not more rows.
MAX_VALIDATION_ROWS = 100_000


class BlockReader:
    """Reads blocks as `Rows` that are validated.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
        Gets the attributes that scikit-learn's validation of X leaves.
    blocks : sequence of blocks
    name : {"X", "X_val"}
    part : str
        What errors call a block.
    """

    def __init__(self, mlp, blocks, name="X", part="Block"):
        self.mlp = mlp
        self.blocks = blocks
        self.name = name
        self.part = part

    def of(self, blocks):
        """A reader of other blocks, by number, with a copy of the estimator."""
        reader = shallow_copy(self)
        reader.mlp, reader.blocks = shallow_copy(self.mlp), blocks
        return reader

    def read(self, i, reset=False):
        """The rows of block `i`, or None if it has none."""
        mlp, host = self.mlp, resolve_device("cpu")
        with about_block(self.name, i, self.part):
            X, y, weight = self._parts(i)
            if not _num_samples(X):
                return None
            y = read_array(mlp, "y", y, host)
            y = as_column(validate_y(mlp, y, host), warns=False)
            check_consistent_length(X, y)
            weight = read_array(mlp, "sample_weight", weight, host)
            weight = validate_weight(weight, y.shape[0], np.float64, host, zeros=True)
            return Rows(self._read_X(X, reset), y, weight)

    def _read_X(self, X, reset):
        host = resolve_device("cpu")
        return validate_X(self.mlp, read_array(self.mlp, "X", X, host), host, reset=reset)

    def _parts(self, i):
        block = self.blocks[i]
        if not isinstance(block, tuple | list) or len(block) not in (2, 3):
            what = f"a {type(block).__name__}"
            if isinstance(block, tuple | list):
                what += f" of {len(block)}"
            raise TypeError(f"a block is (X, y) or (X, y, sample_weight), but this is {what}.")
        return (*block, None)[:3]

    def survey(self, reset, n_sampled=N_SAMPLED, also=lambda rows: None):
        """Read all blocks once.

        Parameters
        ----------
        reset : bool
            Whether the first block says what the features are.
        n_sampled : int
        also : callable
            Takes the `Rows` of each block.
        """
        kind = LabelCounts if is_classifier(self.mlp) else Moments
        survey = Survey(n_sampled)
        for i, rows in enumerate(self.all(reset)):
            survey.add(i, rows, kind)
            if rows is not None:
                also(rows)
        check_survey(survey, self.name)
        return survey

    def all(self, reset=False):
        """What `read` returns for each block, of which the next is read in a thread."""

        def read_all(reset):
            for i in range(len(self.blocks)):
                rows = self.read(i, reset)
                reset = reset and rows is None
                yield rows

        return one_ahead(read_all(reset))


def check_survey(survey, name):
    if survey.y is None:
        raise ValueError(f"{name} has no rows: all of its {len(survey.n_rows_of)} blocks are empty. One is required.")
    if survey.total_weight == 0:
        raise ValueError(f"The sample weights of all rows of {name} are zero. One has to be positive.")


class HeldOut(NamedTuple):
    """Rows of blocks that are not trained on: those whose random key is at least `start` and less than `stop`."""

    entropy: int
    start: float
    stop: float

    def mask(self, i, n_rows):
        keys = random_keys(self.entropy, i, n_rows)
        return (keys >= self.start) & (keys < self.stop)


class BlocksTrainingSet(TrainingSet):
    """A training set in blocks; as arrays it has a sample of the rows.

    Parameters
    ----------
    mlp, device, dtype, known_classes, incremental
        See `TrainingSet`.
    reader : object
        Its `read` returns the `Rows` of a block.
    survey : Survey
    """

    encoding = None

    def __init__(self, mlp, device, reader, survey, dtype, *, known_classes=None, incremental=False):
        X, y, weight = survey.sample
        self._set(device, X, y, None if weight is None else weight.astype(dtype), dtype)
        self.reader = reader
        self.survey = survey
        self.n_rows_of = survey.n_rows_of
        self.has_weights = survey.has_weights
        of_all = survey.y
        with about("y"):
            values = csr_matrix(of_all.values) if issparse(y) else of_all.values
            read = self._learn(mlp, values, None, known_classes, incremental)
            if self.task.standardizes:
                self.task.standardize(of_all.mean, of_all.deviation)
            target = self.encode(read)
        counts = of_all.counts if is_classifier(mlp) else None
        self._find_class_weights(target, counts)
        self.total_weight = survey.total_weight
        if self.class_weight is not None:
            self.total_weight = float(self.weigh(target, of_all.weights, "y").sum())
        self.target, self.sample_weight = self.encode_y(survey.sample)

    def encode_y(self, rows):
        """The target and the weights of `Rows`."""
        target = self.encode(self.task.read(rows.y, self.device))
        weight = rows.sample_weight
        if self.has_weights:
            weight = (np.ones(len(target)) if weight is None else weight).astype(self.dtype)
        return target, self.weigh_part(target, weight)

    def load(self, i):
        """The rows of block `i` as they are trained on."""
        rows = read_again(self.reader, i, self.n_rows_of[i])
        return Data(as_trained(rows.X, self.dtype, self.device), *self.encode_y(rows))

    def data(self, held_out, gathers):
        """All rows but those that are `held_out`."""
        if held_out is None:
            return BlockData(self.load, self.n_rows_of, self.X, self.total_weight, self.encoding)
        n_rows_of = [n - np.count_nonzero(held_out.mask(i, n)) for i, n in enumerate(self.n_rows_of)]

        def load(i):
            return self.load(i).take(np.flatnonzero(~held_out.mask(i, self.n_rows_of[i])))

        return BlockData(load, n_rows_of, self.X, self.total_weight, self.encoding)

    def split(self, plan, random_state):
        """Set rows aside at random, at most `MAX_VALIDATION_ROWS`, which are read into memory."""
        n_rows = sum(self.n_rows_of)
        share = min(plan.validation_fraction, MAX_VALIDATION_ROWS / n_rows)
        held_out = HeldOut(random_state.randint(2**31), 0.0, share)
        n_val = sum(held_out.mask(i, n).sum() for i, n in enumerate(self.n_rows_of))
        if n_val < 2 or n_val == n_rows:
            what, remedy = ("validation", "Increase") if n_val < 2 else ("training", "Decrease")
            raise ValueError(
                f"The {what} set is too small. {remedy} 'validation_fraction' or the size of your dataset. "
                f"early_stopping=True sets aside about validation_fraction={plan.validation_fraction} of the {n_rows} "
                f"rows of the blocks: {n_val} to validate on, and {n_rows - n_val} to train on."
            )
        return held_out, self.validation_rows(held_out)

    def validation_rows(self, held_out):
        """The rows that are `held_out`, which are read into memory."""
        parts = one_ahead(
            read_again(self.reader, i, n).take(np.flatnonzero(mask))
            for i, n in enumerate(self.n_rows_of)
            if (mask := held_out.mask(i, n)).any()
        )
        X, y, weight = stack_rows([*parts])
        weight = None if weight is None else weight.astype(self.dtype)
        return ValidationSet(X, y, *self.encode_validation(y, weight))

    def trained_on(self, held_out):
        """Target and weights of a sample of the rows to train on, on the host."""
        return super().trained_on(None)

    def for_identity(self):
        return super().for_identity() | {"n_rows_of": np.array(self.n_rows_of)}


def read_validation_blocks(mlp, training_set, blocks):
    """A validation set in blocks: of all of its rows, y is in memory, and X is not."""
    reader = BlockReader(mlp, blocks, "X_val")
    parts = []
    survey = reader.survey(reset=False, also=lambda rows: parts.append(rows._replace(X=[])))
    _, y, weight = stack_rows(parts)
    dtype, device = training_set.dtype, training_set.device
    weight = None if weight is None else weight.astype(dtype)
    with about("y_val"):
        target, weight = training_set.encode_validation(y, weight)
    starts = np.cumsum([0, *survey.n_rows_of])

    def load(i):
        X = as_trained(read_again(reader, i, survey.n_rows_of[i]).X, dtype, device)
        part = slice(starts[i], starts[i + 1])
        return Data(X, target[part], None if weight is None else weight[part])

    data = BlockData(load, survey.n_rows_of, survey.sample.X, survey.total_weight)
    return ValidationSet(blocks, y, target, weight, blocks=data)


def as_trained(X, dtype, device):
    """X in the precision of training."""
    check_range(X, dtype, device, "X")
    return (X.tocsr() if issparse(X) else X).astype(dtype, copy=False)


def read_again(reader, i, n_rows):
    """The rows of a block that had `n_rows` when it was surveyed."""
    rows = reader.read(i)
    n_now = 0 if rows is None else rows.y.shape[0]
    if n_now != n_rows:
        raise ValueError(
            f"{reader.part} {i} of {reader.name} had {n_rows} rows when fit read it first, and now has {n_now}. Data "
            "must not change during fit: write to another file, or copy them first."
        )
    return rows


def predict_blocks(predict, X, out):
    """What `predict` returns for each of the blocks X as one array, which is `out` unless that is None."""
    blocks = X if is_blocks(X) else [(X, None)]
    parts, start = [], 0
    for i, (X, *_) in enumerate(one_ahead(map(blocks.__getitem__, range(len(blocks))))):
        if not _num_samples(X):
            continue
        with about_block("X", i):
            part = predict(X)
        if out is None:
            parts.append(part)
            continue
        if not isinstance(part, np.ndarray):
            raise ValueError("out is for a result that is one dense array, and this one is not. Use out=None.")
        stop = start + len(part)
        if stop > len(out):
            raise ValueError(f"out has {len(out)} rows, which blocks 0 to {i} of X have more of.")
        out[start:stop] = part
        start = stop
    if out is None:
        return _join(parts)
    if start < len(out):
        raise ValueError(f"out has {len(out)} rows, and the blocks of X have {start}: the last rows are not set.")
    return out


def _join(parts):
    if not parts:
        raise ValueError("X is blocks without any row.")
    if isinstance(parts[0], list):
        return [np.concatenate(of_column) for of_column in zip(*parts, strict=True)]
    return vstack(parts, format="csr") if issparse(parts[0]) else np.concatenate(parts)


@contextmanager
def about_block(name, i, part="Block"):
    """Prefix errors with the number of a block."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        error.args = (f"{part} {i} of {name}: {error}",)
        raise


def targets_of_blocks(blocks):
    """y and the weights, or None, of all blocks."""
    parts = [(*blocks[i], None)[:3] for i in range(len(blocks))]
    rows = stack_rows([Rows([], np.asarray(y), None if w is None else np.asarray(w)) for X, y, w in parts if len(y)])
    return rows.y, rows.sample_weight
