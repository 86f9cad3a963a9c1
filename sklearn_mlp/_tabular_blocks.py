"""The fit of an estimator for tables to data in blocks, which are encoded once, into a temporary file."""

from pathlib import Path

import numpy as np

from sklearn_mlp._blocks import MAX_VALIDATION_ROWS, BlocksTrainingSet, HeldOut, about_block
from sklearn_mlp._ensemble import number_of_folds
from sklearn_mlp._tabular_fit import TableReader, TabularFit
from sklearn_mlp._validation_set import ValidationSet
from sklearn_mlp.core.batches import Data
from sklearn_mlp.core.blocks import join
from sklearn_mlp.devices.encoded import EncodedTable

# Number of sampled rows to which the encoder is fitted.
N_SAMPLED = 100_000
# Number of rows that are read from the file at a time: a window has many such parts, from random positions.
ROWS_OF_PART = 1024


class TabularBlocksFit(TabularFit):
    """A `fit` to blocks.

    The encoder is fitted to a sample of the rows. The networks are trained on the encoded rows, which are read from
    files in `folder`; there are no out-of-fold predictions.
    """

    def __init__(self, folder, *args):
        self.folder = folder
        super().__init__(*args)

    def _read_training_set(self, inputs, groups):
        training_set = self._survey(inputs, groups)
        self._fit_encoder_to_sample(training_set)
        training_set.encode_all(self.folder)
        return training_set

    def _survey(self, inputs, groups):
        refuse_groups(groups)
        reader = TableReader(self.estimator, inputs.X)
        survey = reader.survey(reset=True, n_sampled=N_SAMPLED)
        self.network = self.estimator._network(sum(survey.n_rows_of))
        return EncodedTrainingSet(
            self.network,
            self.device,
            reader,
            survey,
            np.dtype(self.network.dtype),
            drops_unit_of_weights=True,
        )

    def _fit_encoder_to_sample(self, training_set):
        sample = training_set.survey.sample
        columns, target = training_set.reader.columns(sample), self.device.to_host(training_set.target)
        training_set.X = EncodedTable(
            self._fit_encoder(columns, target, sample.sample_weight), self.encoder._encoding()
        )
        training_set.encoder, training_set.encoding = self.encoder, training_set.X.encoding

    def _split(self, random_state):
        n_members, n_rows_of = self.estimator.n_members, self.training_set.n_rows_of
        n_folds = number_of_folds(n_members)
        share = min(1.0, MAX_VALIDATION_ROWS / sum(n_rows_of)) / n_folds
        splits = []
        for k in range(n_members):
            fold = k % n_folds
            if fold == 0:
                entropy = random_state.randint(2**31 - 1)
            held_out = HeldOut(entropy, fold * share, (fold + 1) * share)
            n_val = sum(held_out.counts(n_rows_of))
            # With few rows, a fold can have none or all of them.
            splits.append((held_out, held_out) if 0 < n_val < sum(n_rows_of) else (None, None))
        return splits

    def _out_of_fold(self, members):
        return {}


def refuse_groups(groups):
    if groups is not None:
        raise ValueError("groups is for arrays and data frames in memory, which X is not. Use groups=None.")


class EncodedTrainingSet(BlocksTrainingSet):
    """A training set of blocks whose encoded rows are in files."""

    def encode_all(self, folder):
        """Read the blocks, and write the files."""
        self._paths = [Path(folder, name) for name in ("table", "target", "sample_weight")]
        self._like = Data(self.X.table, self.device.to_host(self.target), self.sample_weight)
        with open(self._paths[0], "wb") as X, open(self._paths[1], "wb") as y, open(self._paths[2], "wb") as weight:
            for i, rows in self.reader.again(self.n_rows_of):
                with about_block(self.reader.name, i):
                    encoded = self.encoder._table(self.reader.columns(rows)), *self.encode_y(rows)
                for file, array in zip((X, y, weight), encoded, strict=True):
                    if array is not None:
                        np.ascontiguousarray(array).tofile(file)
        n_rows = sum(self.n_rows_of)
        self.n_rows_of = [min(ROWS_OF_PART, n_rows - start) for start in range(0, n_rows, ROWS_OF_PART)]

    def load(self, i):
        parts = zip(self._paths, self._like[:3], strict=True)
        return Data(*(None if like is None else self._read(path, like, i) for path, like in parts))

    def _read(self, path, like, i):
        shape = (self.n_rows_of[i], *like.shape[1:])
        offset = i * ROWS_OF_PART * like.itemsize * int(np.prod(shape[1:]))
        return np.fromfile(path, like.dtype, int(np.prod(shape)), offset=offset).reshape(shape)

    def validation_rows(self, held_out):
        masks = ((i, held_out.mask(i, n)) for i, n in enumerate(self.n_rows_of))
        parts = [self.load(i).take(np.flatnonzero(mask)) for i, mask in masks if mask.any()]
        X, target, weight, _ = join(iter(parts), sum(part.n_rows for part in parts))
        return ValidationSet(EncodedTable(X, self.encoding), None, target, weight)
