"""Pairs of features whose combinations explain more of y than the sum of the two features' effects.

On separately encoded features, a network has to learn products of two in its hidden layers, which takes more data than
a table often has: whether a flight is late depends on the day of the year, not on the month plus the day of the month.
Such pairs are found as in generalised additive models with interactions (Lou, Caruana, Gehrke and Hooker, "Accurate
intelligible models with pairwise interactions", KDD 2013), on the residuals of an additive model; but they are selected
by the variance that they explain on held-out rows, so that noise is not chosen.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import Ridge

MAX_ROWS = 20_000  # enough to find the pairs that are worth a column
MAX_SIZE = 2**24  # elements of the matrix of the additive model
MIN_ROWS = 200
MAX_LEVELS = 32  # distinct values of a discrete number
MAX_FEATURES = 64  # these have 2,016 pairs
MAX_OUTPUTS = 8
N_SWEEPS = 3
SHRINKAGE = 10.0  # total weight of the zeros with which the residuals of a combination are averaged
ROUNDING = 0.01  # tolerance of levels, relative to the smallest distance between two
N_CODES = 2**20  # more than any feature has
MIN_T = 4.0  # minimum improvement by a pair on held-out rows, in standard errors


class Interaction(NamedTuple):
    """The combinations of the levels of two discrete features; each combination is a category.

    Attributes
    ----------
    features : tuple of int
        The columns of the table.
    levels : tuple of (ndarray of float32 or None)
        The values of a feature that is a number; None for the codes of a category.
    cells : ndarray of int
        The combinations, as `_cells` numbers them, in increasing order.
    """

    features: tuple
    levels: tuple
    cells: np.ndarray

    def codes(self, table):
        """The combination of each row as an index of `cells`, or -1."""
        cells = _cells(*(_level(table[:, j], levels) for j, levels in zip(self.features, self.levels, strict=True)))
        index = np.minimum(np.searchsorted(self.cells, cells), len(self.cells) - 1)
        return np.where(self.cells[index] == cells, index, -1)


def find_interactions(table, n_numbers, n_encoded, X_encoded, y, sample_weight, max_interactions, min_frequency):
    """The pairs of discrete columns of a table that explain most of y, at most `max_interactions`.

    Parameters
    ----------
    table : ndarray of float32 of shape (n_samples, n_features)
        Numbers, with NaN for gaps, and then the codes of categories, -1 for none.
    n_numbers : int
    n_encoded : int
        The number of inputs of the additive model.
    X_encoded : callable
        Takes indices of rows, and returns these inputs for them.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Numbers or labels.
    sample_weight : ndarray of shape (n_samples,) or None
    max_interactions : int
    min_frequency : int
        Combinations with fewer rows are not encoded.
    """
    if len(table) < MIN_ROWS or not max_interactions:
        return []
    levels = [_levels(column) if j < n_numbers else None for j, column in enumerate(table.T)]
    discrete = [j for j, of_column in enumerate(levels) if of_column is None or 1 < len(of_column) <= MAX_LEVELS]
    if len(discrete) < 2:
        return []
    rows = np.random.RandomState(0).permutation(len(table))[: min(MAX_ROWS, MAX_SIZE // n_encoded)]
    weight = np.ones(len(rows)) if sample_weight is None else sample_weight[rows] / sample_weight[rows].mean()
    residual = _residual(X_encoded(rows), _as_numbers(y)[rows], weight)
    # The level of each row by feature, from 0 for unknown values.
    of_feature = {j: 1 + _level(table[rows, j], levels[j]) for j in discrete}
    # Ridge regression leaves a part of the main effects of features with many levels, which backfitting removes.
    for _ in range(N_SWEEPS):
        for of_rows in of_feature.values():
            residual = residual - _means(of_rows, of_rows.max() + 1, residual, weight)[of_rows]
    if len(of_feature) > MAX_FEATURES:
        helpful = sorted(of_feature, key=lambda j: _help(of_feature[j], residual, weight)[0], reverse=True)
        of_feature = {j: of_feature[j] for j in sorted(helpful[:MAX_FEATURES])}

    def combined(pair):
        first, second = (of_feature[j] for j in pair)
        return first * (second.max() + 1) + second

    candidates = list(combinations(of_feature, 2))
    found = []
    while len(found) < max_interactions:
        helps = {pair: _help(combined(pair), residual, weight) for pair in candidates}
        candidates = [pair for pair in candidates if helps[pair][1] > MIN_T]
        if not candidates:
            break
        best = max(candidates, key=lambda pair: helps[pair][0])
        candidates.remove(best)
        cells = combined(best)
        residual = residual - _means(cells, cells.max() + 1, residual, weight)[cells]
        of_pair = tuple(levels[j] for j in best)
        cells, counts = np.unique(
            _cells(*(_level(table[:, j], of_column) for j, of_column in zip(best, of_pair, strict=True))),
            return_counts=True,
        )
        found.append(Interaction(best, of_pair, cells[(counts >= min_frequency) & (cells >= 0)]))
    return [interaction for interaction in found if len(interaction.cells)]


def _levels(column):
    """The distinct values of a number, or of its first rows if these are too many to be discrete."""
    some = np.unique(column[:1000])
    return some if len(some) > MAX_LEVELS + 1 else np.unique(column[~np.isnan(column)])


def _level(column, levels):
    """The index of each value among the levels of a feature; NaN is an additional level, -1 an unknown value.

    Values match levels up to rounding, as the same number can have another precision.
    """
    if levels is None:
        return column.astype(np.int64)
    nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, column)
    is_known = np.abs(column - levels[np.minimum(nearest, len(levels) - 1)]) <= tolerance(levels)
    return np.where(np.isnan(column), len(levels), np.where(is_known, nearest, -1))


def tolerance(levels):
    """The largest distance at which a value matches a level."""
    return np.float32(ROUNDING * np.diff(levels).min())


def _cells(first, second):
    """A number for each combination of levels, the same in any table; -1 if one of them is unknown."""
    return np.where((first < 0) | (second < 0), -1, first * N_CODES + second)


def _as_numbers(y):
    """y in standardised columns, one for each label."""
    columns = []
    for column in y.reshape(len(y), -1).T:
        labels = np.unique(column)
        is_number = column.dtype.kind == "f" and len(labels) > MAX_LEVELS
        columns.append(column[:, np.newaxis] if is_number else column[:, np.newaxis] == labels[len(labels) == 2 :])
    numbers = np.hstack(columns).astype(np.float64)
    return (numbers - numbers.mean(axis=0)) / np.maximum(numbers.std(axis=0), 1e-12)


def _residual(X, y, weight):
    """The residuals of an additive model of y, in at most `MAX_OUTPUTS` columns and without outliers."""
    residual = y - Ridge(alpha=SHRINKAGE).fit(X, y, weight).predict(X).reshape(y.shape)
    if residual.shape[1] > MAX_OUTPUTS:
        _, directions = np.linalg.eigh(np.cov(residual.T))
        residual = residual @ directions[:, -MAX_OUTPUTS:]
    largest = 3 * residual.std(axis=0)
    return np.clip(residual, -largest, largest)


def _means(cells, n_cells, residual, weight):
    """The means of the residuals in each cell, shrunk to 0, of shape (n_cells, n_outputs)."""
    sums = [np.bincount(cells, weight * of_output, n_cells) for of_output in residual.T]
    return np.transpose(sums) / (np.bincount(cells, weight, n_cells) + SHRINKAGE)[:, np.newaxis]


def _help(cells, residual, weight):
    """The mean square of each half of the rows that the other half's means explain; also in standard errors."""
    in_half = 2 * cells + np.arange(len(cells)) % 2
    prediction = _means(in_half, 2 * (cells.max() + 1), residual, weight)[in_half ^ 1]
    explained = weight * (prediction * (2 * residual - prediction)).sum(axis=1)
    mean, deviation = explained.mean(), explained.std()
    return mean, mean * np.sqrt(len(cells)) / deviation if deviation else 0.0
