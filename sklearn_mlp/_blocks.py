"""Data in blocks: anything with ``len(blocks)`` and ``blocks[i]``, which is (X, y) or (X, y, sample_weight)."""

from contextlib import contextmanager
from typing import NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from scipy.sparse import csr_matrix, issparse, vstack
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _num_samples

from sklearn_mlp._checks import (
    about,
    as_column,
    check_numeric,
    check_range,
    is_blocks,
    read_array,
    shallow_copy,
    validate_table,
    validate_weight,
    validate_X,
    validate_y,
)
from sklearn_mlp._survey import LabelCounts, Moments, Rows, Survey, random_keys, stack_rows
from sklearn_mlp._training_set import TrainingSet
from sklearn_mlp._validation_set import ValidationSet
from sklearn_mlp.core.batches import Data
from sklearn_mlp.core.blocks import BlockData, one_ahead
from sklearn_mlp.core.training import Training
from sklearn_mlp.devices import resolve_device
from sklearn_mlp.devices.blas import at_most_blas_threads, n_blas_threads

# Maximum number of rows in a sample, from which the scale of X, for example, is estimated.
N_SAMPLED = 10_000
# Approximate maximum number of rows that are set aside for validation; they are in memory.
MAX_VALIDATION_ROWS = 100_000
# With fewer parameters per column of X, training is faster if a core is left to the reading thread. On two cores, an
# epoch of 10⁶ rows of 200 columns of a Parquet file takes 1.7 s with two BLAS threads and 1.2 s with one for (100,),
# with 101 parameters per column; and 4.5 and 5.8 s for (256, 256), with 587.
FEW_PARAMETERS = 256


class BlockReader:
    """Reads and validates blocks, as `Rows`.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
        Receives the attributes that scikit-learn's validation of X sets.
    blocks : sequence of blocks
    name : {"X", "X_val"}
    part : str
        The name of a block in errors.
    """

    drops_rows_of_zero_weight = False

    def __init__(self, mlp, blocks, name="X", part="Block"):
        self.mlp = mlp
        self.blocks = blocks
        self.name = name
        self.part = part
        self._kind = None

    def of(self, blocks):
        """A reader of other blocks, a sequence or a dict by number, with a copy of the estimator."""
        reader = shallow_copy(self)
        reader.mlp, reader.blocks = shallow_copy(self.mlp), blocks
        return reader

    def read(self, i, reset=False):
        """The rows of block `i`, or None if it has none."""
        with about_block(self.name, i, self.part):
            X, y, weight = block_of(self.blocks, i)
            if not _num_samples(X):
                return None
            y, weight = read_targets(self.mlp, y, weight, resolve_device("cpu"))
            check_consistent_length(X, y)
            if self.drops_rows_of_zero_weight and weight is not None and not weight.all():
                kept = np.flatnonzero(weight)
                if not kept.size:
                    return None
                X, y, weight = (_safe_indexing(each, kept) for each in (X, y, weight))
            rows = Rows(self._read_X(X, reset), y, weight)
            self._check_kind(rows)
            return rows

    def _read_X(self, X, reset):
        host = resolve_device("cpu")
        X = read_array(self.mlp, "X", X, host)
        if nw.dependencies.is_pyarrow_table(X):
            return validate_table(self.mlp, X, reset=reset)
        return validate_X(self.mlp, X, host, reset=reset)

    def _check_kind(self, rows):
        """Raise ValueError if the rows cannot be stacked with those before."""
        n_columns = rows.y.shape[1] if rows.y.ndim == 2 else 1
        kind = f"a {'sparse' if issparse(rows.X) else 'dense'} X and a y of {n_columns} column(s)"
        self._kind = self._kind or kind
        if kind != self._kind:
            raise ValueError(f"it has {kind}, and blocks before have {self._kind}. Make them alike.")

    def survey(self, reset, n_sampled=N_SAMPLED, also=lambda rows: None):
        """Read all blocks once.

        Parameters
        ----------
        reset : bool
            Whether the first block defines the features.
        n_sampled : int
        also : callable
            Takes the `Rows` of each block.
        """
        kind = LabelCounts if is_classifier(self.mlp) else Moments
        survey = Survey(n_sampled)
        for i, rows in enumerate(self.all(reset)):
            with about_block(self.name, i):
                survey.add(i, rows, kind)
            if rows is not None:
                also(rows)
        check_survey(survey, self.name)
        return survey

    def all(self, reset=False):
        """The result of `read` for each block; the next block is read in a thread."""

        def read_all(reset):
            for i in range(len(self.blocks)):
                rows = self.read(i, reset)
                reset = reset and rows is None
                yield rows

        return one_ahead(read_all(reset))

    def again(self, n_rows_of):
        """The number and the `Rows` of each block that had rows when it was surveyed; the next is read in a thread."""
        return one_ahead((i, read_again(self, i, n)) for i, n in enumerate(n_rows_of) if n)


def block_of(blocks, i):
    """X, y and the weights, or None, of a block."""
    block = blocks[i]
    if not isinstance(block, tuple | list) or len(block) not in (2, 3):
        what = f"a {type(block).__name__}"
        if isinstance(block, tuple | list):
            what += f" of {len(block)}"
        raise TypeError(f"a block is (X, y) or (X, y, sample_weight), but this is {what}.")
    X, y, weight = (*block, None)[:3]
    if _num_samples(X) and len(np.shape(X)) != 2:
        raise TypeError(
            f"a block has the rows of many samples, of shape (n_samples, n_features), but X of this one is a "
            f"{type(X).__name__} of shape {np.shape(X)}. A data set of single samples is not a sequence of blocks."
        )
    return X, y, weight


def read_targets(mlp, y, weight, device):
    """y and the weights of a block, validated."""
    y = read_array(mlp, "y", y, device)
    y = as_column(validate_y(mlp, y, device), warns=False)
    if is_regressor(mlp):
        check_numeric(y)
    weight = read_array(mlp, "sample_weight", weight, device)
    return y, validate_weight(weight, y.shape[0], np.float64, device, zeros=True)


def check_survey(survey, name):
    if survey.total_weight == 0:
        raise ValueError(f"{name} has no row with a positive weight. One is required.")


class HeldOut(NamedTuple):
    """Rows of blocks that are not trained on: those whose random key is at least `start` and less than `stop`."""

    entropy: int
    start: float
    stop: float

    def mask(self, i, n_rows):
        keys = random_keys(self.entropy, i, n_rows)
        return (keys >= self.start) & (keys < self.stop)

    def counts(self, n_rows_of):
        """The number of these rows in each block."""
        return [int(self.mask(i, n).sum()) for i, n in enumerate(n_rows_of)]


class BlocksTrainingSet(TrainingSet):
    """A training set in blocks, whose arrays are a sample of the rows.

    Parameters
    ----------
    mlp, device, dtype, known_classes, incremental
        See `TrainingSet`.
    reader : object
        Its `read` returns the `Rows` of a block.
    survey : Survey
    drops_unit_of_weights : bool
        Whether to scale weights to the order of 1.
    """

    encoding = None

    def __init__(
        self, mlp, device, reader, survey, dtype, *, known_classes=None, incremental=False, drops_unit_of_weights=False
    ):
        X, y, weight = survey.sample
        self._set(device, X, y, weight, dtype)
        self.reader = reader
        self.survey = survey
        self.n_rows_of = survey.n_rows_of
        self.has_weights = survey.has_weights
        self.mean_weight = survey.total_weight / self.n_rows if drops_unit_of_weights else None
        of_all = survey.y
        with about("y"):
            labels = csr_matrix(of_all.values) if issparse(y) else of_all.values
            read = self._learn(mlp, labels, None, known_classes, incremental)
            if self.task.standardizes:
                self.task.standardize(of_all.mean, of_all.deviation)
            target = self.encode(read)
        counts = of_all.counts if is_classifier(mlp) else None
        self._find_class_weights(target, counts)
        self.total_weight = survey.total_weight
        if self.class_weight is not None:
            self.total_weight = float(self.weigh(target, of_all.weights, "y").sum())
        self.target, self.sample_weight = self.encode_y(survey.sample)

    @property
    def n_rows(self):
        return sum(self.n_rows_of)

    def encode_y(self, rows):
        """The target and the weights of `Rows`."""
        target = self.encode(self.task.read(rows.y, self.device))
        weight = rows.sample_weight
        if self.has_weights:
            weight = np.ones(len(target)) if weight is None else weight
            weight = weight if self.mean_weight is None else without_unit(weight, self.mean_weight)
            weight = cast(weight, self.dtype, self.device, "sample_weight")
        return target, self.weigh_part(target, weight)

    def load(self, i):
        """The rows of block `i` in the form used in training."""
        rows = read_again(self.reader, i, self.n_rows_of[i])
        with about_block(self.reader.name, i):
            return Data(cast(rows.X, self.dtype, self.device, "X"), *self.encode_y(rows))

    def data(self, held_out, gathers):
        """All rows except those that are `held_out`."""

        def load(i):
            data = self.load(i)
            return data if held_out is None else data.take(np.flatnonzero(~held_out.mask(i, data.n_rows)))

        return BlockData(load, self.n_trained_on(held_out), self.X, self.total_weight, self.encoding)

    def start(self, plan, data, *args, **kwargs):
        return BlocksTraining(plan, data, *args, **kwargs)

    def n_trained_on(self, held_out):
        """The number of rows of each block except those that are `held_out`."""
        if held_out is None:
            return self.n_rows_of
        return np.subtract(self.n_rows_of, held_out.counts(self.n_rows_of)).tolist()

    def split(self, plan, random_state):
        """Set rows aside at random, at most `MAX_VALIDATION_ROWS`, which are read into memory."""
        n_rows = self.n_rows
        share = min(plan.validation_fraction, MAX_VALIDATION_ROWS / n_rows)
        held_out = HeldOut(random_state.randint(2**31), 0.0, share)
        n_val = sum(held_out.counts(self.n_rows_of))
        if n_val < 2 or n_val == n_rows:
            what, remedy = ("validation", "Increase") if n_val < 2 else ("training", "Decrease")
            raise ValueError(
                f"The {what} set is too small. {remedy} 'validation_fraction' or the size of your dataset. "
                f"early_stopping=True sets aside about validation_fraction={plan.validation_fraction} of the {n_rows} "
                f"rows of the blocks: {n_val} to validate on, and {n_rows - n_val} to train on."
            )
        validation_set = self.validation_rows(held_out)
        if validation_set.sample_weight is not None and not validation_set.sample_weight.any():
            raise ValueError(
                "The weight (sample_weight times class_weight) is zero for all rows of the validation set that "
                f"early_stopping=True makes with validation_fraction={plan.validation_fraction}. Drop the rows of zero "
                "weight, or set early_stopping=False."
            )
        return held_out, validation_set

    def validation_rows(self, held_out):
        """The rows that are `held_out`, which are read into memory."""
        X, y, weight = self._read_held_out(held_out)
        weight = None if weight is None else cast(weight, self.dtype, self.device, "sample_weight")
        return ValidationSet(X, y, *self.encode_validation(y, weight))

    def _read_held_out(self, held_out):
        """The `Rows` that are `held_out`."""
        parts = one_ahead(
            read_again(self.reader, i, n).take(np.flatnonzero(mask))
            for i, n in enumerate(self.n_rows_of)
            if (mask := held_out.mask(i, n)).any()
        )
        return stack_rows([*parts])

    def trained_on(self, held_out):
        """Target and weights of a sample of the rows to train on, on the host."""
        return super().trained_on(None)

    def for_identity(self):
        return super().for_identity() | {"n_rows_of": np.array(self.n_rows_of)}


class BlocksTraining(Training):
    """A training run that leaves a core to the reading thread if the network is small (see `FEW_PARAMETERS`)."""

    def __init__(self, plan, data, *args, **kwargs):
        super().__init__(plan, data, *args, **kwargs)
        n = n_blas_threads()
        is_small = self.objective.theta.vector.size < FEW_PARAMETERS * data.X.shape[1]
        self.n_blas_threads = max(1, n - 1) if is_small else n

    def _steps(self):
        with at_most_blas_threads(self.n_blas_threads):
            return super()._steps()


def read_validation_blocks(mlp, training_set, blocks):
    """A validation set in blocks: all of y is in memory, X is not."""
    reader = BlockReader(mlp, blocks, "X_val")
    parts = []
    survey = reader.survey(reset=False, also=lambda rows: parts.append(rows._replace(X=[])))
    _, y, weight = stack_rows(parts)
    dtype, device = training_set.dtype, training_set.device
    weight = None if weight is None else cast(weight, dtype, device, "sample_weight_val")
    with about("y_val"):
        target, weight = training_set.encode_validation(y, weight)
    starts = np.cumsum([0, *survey.n_rows_of])

    def load(i):
        X = read_again(reader, i, survey.n_rows_of[i]).X
        with about_block(reader.name, i):
            X = cast(X, dtype, device, "X_val")
        part = slice(starts[i], starts[i + 1])
        return Data(X, target[part], None if weight is None else weight[part])

    data = BlockData(load, survey.n_rows_of, survey.sample.X, survey.total_weight)
    return ValidationSet(blocks, y, target, weight, blocks=data)


def without_unit(weight, size):
    """Weights divided by a power of 2 near `size`: without rounding, and within the range of float32."""
    return np.ldexp(weight, -np.frexp(size)[1])


def cast(array, dtype, device, name):
    """X or weights in the precision of training."""
    check_range(array, dtype, device, name)
    return (array.tocsr() if issparse(array) else array).astype(dtype, copy=False)


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
    """The result of `predict` for X, or for all blocks of X as one array; written into `out` unless it is None."""
    parts, start = [], 0
    for part in _predictions(predict, X) if is_blocks(X) else [predict(X)]:
        if out is None:
            parts.append(part)
            continue
        stop = start + _num_samples(part)
        _check_out(out, part, stop)
        out[start:stop] = part
        start = stop
    if out is None:
        return _join(parts)
    if start < len(out):
        raise ValueError(f"out has {len(out)} rows, and X has {start}: the last rows are not set. Pass out[:{start}].")
    return out


def _predictions(predict, blocks):
    """The predictions for each block that has rows."""

    def read_all():
        for i in range(len(blocks)):
            with about_block("X", i):
                yield block_of(blocks, i)[0]

    for i, X in enumerate(one_ahead(read_all())):
        if _num_samples(X):
            with about_block("X", i):
                part = predict(X)
            yield part


def _check_out(out, part, n_rows):
    """Raise an error unless the array `out` can hold `n_rows` rows like those of `part`."""
    if not isinstance(part, np.ndarray):
        raise ValueError("out is for a result that is one dense array, which this one is not. Use out=None.")
    if not (hasattr(out, "shape") and hasattr(out, "dtype")):
        raise TypeError(f"out is a {type(out).__name__}. Pass an array, such as numpy.empty or numpy.memmap return.")
    if out.shape[1:] != part.shape[1:]:
        raise ValueError(f"out has the shape {out.shape}; the result needs {(len(out), *part.shape[1:])}.")
    if n_rows > len(out):
        raise ValueError(f"out has {len(out)} rows, and X has more: at least {n_rows}.")
    # A cast from float64 to float32 only rounds; other unsafe casts can change the result.
    if not np.can_cast(part.dtype, out.dtype, "same_kind" if part.dtype.kind == "f" else "safe"):
        raise ValueError(f"out has dtype {out.dtype}, which cannot hold the result's {part.dtype}.")


def _join(parts):
    if not parts:
        raise ValueError("X has no rows: all of its blocks are empty. One is required.")
    if isinstance(parts[0], list):
        return [np.concatenate(of_column) for of_column in zip(*parts, strict=True)]
    return vstack(parts, format="csr") if issparse(parts[0]) else np.concatenate(parts)


@contextmanager
def about_block(name, i, part="Block"):
    """Add the number of the block to errors."""
    try:
        yield
    except Exception as error:
        if type(error) in (TypeError, ValueError, OverflowError):
            error.args = (f"{part} {i} of {name}: {error}",)
        else:  # an error of the library that reads the block, with its own arguments
            error.add_note(f"Raised for {part.lower()} {i} of {name}.")
        raise


def targets_of_blocks(mlp, blocks):
    """y and the weights, or None, of all blocks."""
    host = resolve_device("cpu")

    def read_all():
        for i in range(len(blocks)):
            with about_block("X", i):
                X, y, weight = block_of(blocks, i)
                if _num_samples(X):
                    yield Rows([], *read_targets(mlp, y, weight, host))

    parts = [*one_ahead(read_all())]
    if not parts:
        raise ValueError("X has no rows: all of its blocks are empty. One is required.")
    rows = stack_rows(parts)
    return rows.y, rows.sample_weight
