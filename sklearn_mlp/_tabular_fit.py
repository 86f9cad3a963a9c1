"""One fit of an estimator for tables: from a data frame to the attributes of the fitted estimator."""

from typing import NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state, column_or_1d

from sklearn_mlp._blocks import BlockReader, about_block, without_unit
from sklearn_mlp._checks import about, as_column, is_blocks, read_array, to_host, validate_weight, validate_y
from sklearn_mlp._columns import as_table, read_columns
from sklearn_mlp._ensemble import EnsembleFit, Member, normalised, outputs, split
from sklearn_mlp._fit import OF_X
from sklearn_mlp._survey import stack_rows
from sklearn_mlp._training_set import TrainingSet
from sklearn_mlp._validation_set import ValidationSet
from sklearn_mlp.devices.encoded import EncodedTable
from sklearn_mlp.encoders import TabularEncoder


class Merged(NamedTuple):
    """Merged equal rows: the index of the first row of each, and for each row the index of its merged row."""

    first: np.ndarray
    inverse: np.ndarray


class TableReader(BlockReader):
    """Reads the columns of blocks."""

    drops_rows_of_zero_weight = True

    def _read_X(self, X, reset):
        self.names, _, columns = read_columns(self.mlp, X, reset)
        return [*columns]

    def columns(self, rows):
        """`Rows` as `read_columns` returns a table."""
        return self.names, rows.y.shape[0], iter(rows.X)


class TabularFit:
    """A `fit`.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
        A shallow copy.
    device : Device
    inputs : Inputs
    groups : array-like or None
    tasks : FitTasks
    n_threads : int
    """

    def __init__(self, estimator, device, inputs, groups, tasks, n_threads):
        self.estimator = estimator
        self.device = device
        self.tasks = tasks
        self.n_threads = n_threads
        self.groups = self.merged = None
        self.encoder = TabularEncoder(
            estimator.categorical_features,
            n_bins=estimator.n_bins,
            min_frequency=estimator.min_frequency,
            max_interactions=estimator.max_interactions,
        )
        self.training_set = self._read_training_set(inputs, groups)
        self.validation_set = self._read_validation_set(inputs)

    # -- data ----------------------------------------------------------------------------------------------------------

    def _read_training_set(self, inputs, groups):
        """Read the data and fit the encoder."""
        X, y, weight, self.groups = self._read_rows(inputs, groups)
        columns = read_columns(self.estimator, X, reset=True)
        self.network = self.estimator._network(len(y))
        dtype = np.dtype(self.network.dtype)
        of_network = None if weight is None else weight.astype(dtype)
        training_set = TrainingSet(self.network, self.device, None, y, of_network, dtype)
        table = self._fit_encoder(columns, self.device.to_host(training_set.target), weight)
        if len(table) <= self.network.batch_size:
            table = self._merge_rows(table, training_set)
        training_set.X = EncodedTable(table, self.encoder._encoding())
        return training_set

    def _fit_encoder(self, columns, target, weight):
        table = self.encoder._fit_table(columns, target, weight)
        self.of_X = {name: vars(self.estimator)[name] for name in OF_X if name in vars(self.estimator)}
        vars(self.encoder).update(self.of_X)
        return table

    def _read_rows(self, inputs, groups):
        """X as a table, y, weights and groups of the rows of positive weight."""
        device = self.device
        X = as_table(to_host(read_array(self.estimator, "X", inputs.X, device), device))
        y = self._read_y("y", inputs.y)
        with about("X", "y"):
            check_consistent_length(X, y)
        self.n_rows = y.shape[0]
        weight = self._read_weight("sample_weight", inputs.sample_weight, self.n_rows)
        if groups is not None:
            with about("groups"):
                groups = np.unique(column_or_1d(groups), return_inverse=True)[1]
                check_consistent_length(y, groups)
        self.kept = np.arange(self.n_rows) if weight is None else np.flatnonzero(weight)
        arrays = X, y, weight, groups
        if len(self.kept) == self.n_rows:
            return arrays
        return tuple(None if each is None else _safe_indexing(each, self.kept) for each in arrays)

    def _read_y(self, name, y):
        y = read_array(self.estimator, name, y, self.device)
        with about(name):
            return as_column(validate_y(self.estimator, to_host(y, self.device), self.device))

    def _read_weight(self, name, weight, n_rows):
        with about(name):
            weight = read_array(self.estimator, name, weight, self.device)
            weight = validate_weight(weight, n_rows, np.float64, self.device)
        return None if weight is None else without_unit(weight, weight.max())

    def _read_validation_set(self, inputs):
        if inputs.X_val is None:
            return None
        if is_blocks(inputs.X_val):
            reader = TableReader(self.estimator, inputs.X_val, "X_val")
            parts = []
            for i, rows in enumerate(reader.all()):
                if rows is not None:
                    with about_block(reader.name, i):
                        parts.append(rows._replace(X=self.encoder._table(reader.columns(rows))))
            if not parts:
                raise ValueError("X_val has no row with a positive weight. One is required.")
            table, y, weight = stack_rows(parts)
            weight = None if weight is None else without_unit(weight, weight.max())
        else:
            with about("X_val"):
                X = to_host(read_array(self.estimator, "X_val", inputs.X_val, self.device), self.device)
                table = self.encoder._table(read_columns(self.estimator, X, reset=False))
            y = self._read_y("y_val", inputs.y_val)
            with about("X_val", "y_val"):
                check_consistent_length(table, y)
            weight = self._read_weight("sample_weight_val", inputs.sample_weight_val, len(table))
        weight = None if weight is None else weight.astype(self.training_set.dtype)
        X = EncodedTable(table, self.training_set.X.encoding)
        return ValidationSet(X, y, *self.training_set.encode_validation(y, weight), None)

    def _merge_rows(self, table, of):
        """Merge equal rows of X and y, with the sums of their weights, and order them by their values.

        As all of them are in one batch, training is the same, except for rounding; but weights are then exactly
        equivalent to repetitions.
        """
        target = self.device.to_host(of.target)
        rows = np.column_stack([table, target]).astype(np.float64)
        rows += 0.0  # -0.0 becomes 0.0
        keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        self.merged = Merged(first, inverse)
        of.y = _safe_indexing(of.y, first)
        of.target = self.device.to_device(target[first])
        if of.sample_weight is not None or len(first) < len(table):
            of.sample_weight = np.bincount(inverse, of.sample_weight).astype(of.dtype)
        self.groups = None if self.groups is None else self.groups[first]
        return table[first]

    # -- training ------------------------------------------------------------------------------------------------------

    def run(self, data):
        """Train.

        Parameters
        ----------
        data : tuple
            X, y and sample_weight as the user gave them, for callbacks.

        Returns
        -------
        fitted : dict
            The attributes of the fitted estimator.
        """
        fit = EnsembleFit(
            self.estimator,
            self.device,
            self.training_set,
            self._members(),
            self.validation_set,
            self.n_threads,
            self._fitted,
        )
        members = fit.run(self.tasks.root, data)
        fitted = self._fitted([member.network for member in members])
        return fitted | self._out_of_fold(members)

    def _members(self):
        random_state = check_random_state(self.estimator.random_state)
        n_members, n_columns = self.estimator.n_members, self.training_set.X.shape[1]
        seeds = random_state.randint(2**31 - 1, size=n_members)
        if self.validation_set is not None or len(self.training_set.target) < 2:
            splits = [(None, None)] * n_members
        else:
            splits = self._split(random_state)
        members = []
        for seed, (rows, rows_val) in zip(seeds.tolist(), splits, strict=True):
            parameters = self.network.get_params() | {"random_state": seed}
            member = type(self.network)(**parameters)
            member.early_stopping = self.validation_set is not None or rows is not None
            member.n_features_in_ = n_columns
            members.append(Member(member, rows, rows_val))
        return members

    def _split(self, random_state):
        """The training and validation rows of each member."""
        of = self.training_set
        strata = of.task.strata(self.device.to_host(of.target))
        splits = split(self.estimator.n_members, len(of.target), strata, self.groups, random_state)
        weight = of.sample_weight
        if weight is not None and not all(weight[rows].any() for pair in splits for rows in pair):
            raise ValueError(
                "The weight (sample_weight times class_weight) is zero for all rows that a network is trained on, "
                "or validated on. Drop the rows of zero weight, or pass X_val and y_val."
            )
        return splits

    def _fitted(self, networks):
        """The attributes of the estimator with these networks."""
        task = self.training_set.task
        return (
            self.of_X
            | ({"classes_": task.classes} if is_classifier(self.estimator) else {})
            | {
                "encoder_": self.encoder,
                "estimators_": networks,
                "n_iter_": max(network.n_iter_ for network in networks),
                "n_outputs_": task.n_outputs,
                "device_": self.device.name,
            }
        )

    def _out_of_fold(self, members):
        """The out-of-fold predictions and their score, as fitted attributes, if there are any."""
        if members[0].rows_val is None:
            return {}
        of, task = self.training_set, self.training_set.task
        total = np.zeros((of.X.shape[0], task.n_outputs))
        n_predictions = np.zeros((of.X.shape[0], 1))
        for network, _, rows in members:
            total[rows] += outputs(self.device, [network], of.X[rows], 1)[0]
            n_predictions[rows] += 1
        covered = np.flatnonzero(n_predictions)
        output = np.divide(total, n_predictions, out=np.full_like(total, np.nan), where=n_predictions > 0)
        output = normalised(task, output)
        score = task.score_decoded(
            task.read(_safe_indexing(of.y, covered), self.device),
            task.decode(output[covered], self.device),
            None if of.sample_weight is None else of.sample_weight[covered],
        )
        in_all = np.full((self.n_rows, task.n_outputs), np.nan)
        in_all[self.kept] = output if self.merged is None else output[self.merged.inverse]
        prediction = task.probability(in_all) if is_classifier(self.estimator) else task.decode(in_all, self.device)
        return {"oof_prediction_": prediction, "oof_score_": float(score)}
