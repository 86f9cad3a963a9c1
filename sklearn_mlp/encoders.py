"""Transformers from the columns of a table to the inputs of a network."""

from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import _safe_indexing, check_consistent_length, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from sklearn_mlp._checks import check_container
from sklearn_mlp._columns import as_categories, as_number, as_table, named_categories, read_columns
from sklearn_mlp._docstrings import documented
from sklearn_mlp._interactions import Interaction, find_interactions
from sklearn_mlp.devices.cpu import CPU
from sklearn_mlp.devices.encoded import Encoding

__all__ = ["PiecewiseLinearEncoder", "TabularEncoder"]

N_ROWS_AT_ONCE = 2048  # few enough for their encoding to stay in the cache
LARGEST = 1e18  # bound of standardised numbers, whose square is finite in float32
N_BINS = [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")]


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):
    """Encode each number by its relative position in each of several bins.

    The bins are bounded by quantiles of the training data. The encoding of a number has a 1 for each bin below it, its
    relative position in its own bin, and a 0 for each bin above, so that a linear layer on the encoding is a piecewise
    linear function of the number [1]_. Numbers outside the range of the training data are clipped to it. NaN is ignored
    by `fit`, and stays NaN.

    Parameters
    ----------
    n_bins : int or 'auto', default='auto'
        Maximum number of bins of a feature. 'auto' is ``sqrt(n_samples) / 4``, at least 4 and at most 32. A feature has
        fewer bins if it has fewer distinct values, which are then the bounds, and none if it is constant.

    Attributes
    ----------
    bin_edges_ : list of ndarray of shape (n_bins_of_feature + 1,)
        The bounds of the bins of each feature, increasing.

    n_features_in_ : int
        The number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen during `fit`, if X has feature names that are all strings.

    See Also
    --------
    TabularEncoder : Encodes the columns of a data frame, this way and others.
    sklearn.preprocessing.KBinsDiscretizer : Encodes the bin only.
    sklearn.preprocessing.SplineTransformer : Smooth bases.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in tabular deep learning",
       NeurIPS 2022. :arxiv:`2203.05556`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mlp.encoders import PiecewiseLinearEncoder
    >>> X = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> encoder = PiecewiseLinearEncoder(n_bins=3).fit(X)
    >>> encoder.bin_edges_[0].tolist()
    [0.0, 1.0, 2.0, 4.0]
    >>> encoder.transform([[1.5], [3.0], [9.0]]).tolist()
    [[1.0, 0.5, 0.0], [1.0, 1.0, 0.5], [1.0, 1.0, 1.0]]
    """

    _parameter_constraints = {"n_bins": N_BINS}

    def __init__(self, n_bins="auto"):
        self.n_bins = n_bins

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find the bounds of the bins.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights: a weight of 2 is equivalent to a repeated row. Rows of zero weight are ignored.

        Returns
        -------
        self : PiecewiseLinearEncoder
            The fitted encoder.
        """
        check_container(self, "X", X)
        X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
            X, sample_weight = X[sample_weight > 0], sample_weight[sample_weight > 0]
        n_bins = automatic_n_bins(len(X)) if self.n_bins == "auto" else self.n_bins
        edges = [_edges(column, n_bins, sample_weight) for column in X.T]
        with np.errstate(over="ignore"):
            if not all(np.isfinite(np.diff(of_column)).all() for of_column in edges):
                raise ValueError(f"X has a feature whose range is not finite in {X.dtype}. Scale it first.")
        self.bin_edges_ = edges
        return self

    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data.

        Returns
        -------
        X_encoded : ndarray of float32 of shape (n_samples, n_bins)
            The bins of all features, between 0 and 1.
        """
        check_is_fitted(self)
        check_container(self, "X", X)
        X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan", reset=False)
        encoded = np.empty((len(X), sum(len(edges) - 1 for edges in self.bin_edges_)), np.float32)
        for rows in gen_batches(len(X), N_ROWS_AT_ONCE):
            start = 0
            for column, edges in zip(X[rows].T, self.bin_edges_, strict=True):
                stop = start + len(edges) - 1
                with np.errstate(over="ignore"):
                    way = (column[:, np.newaxis] - edges[:-1]) / np.diff(edges)
                encoded[rows, start:stop] = np.clip(way, 0, 1, out=way)
                start = stop
        return encoded

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the features; by default those seen during `fit`, or "x0", "x1", ...

        Returns
        -------
        names : ndarray of str of shape (n_bins,)
            The name of the feature, "_bin" and the number of the bin.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        return np.array(_names_of_bins(names, self.bin_edges_), dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def automatic_n_bins(n_rows):
    return int(np.clip(np.sqrt(n_rows) / 4, 4, 32))


def _edges(column, n_bins, sample_weight):
    """At most `n_bins` + 1 increasing numbers: the distinct values, or quantiles of them."""
    values, up_to = _distribution(column, sample_weight)
    distinct = values[np.append(True, values[1:] > values[:-1])]
    if len(distinct) <= n_bins + 1:
        return distinct
    return np.unique(_quantiles(values, up_to, np.linspace(0, 1, n_bins + 1)))


@documented
class TabularEncoder(TransformerMixin, BaseEstimator):
    """Encode the columns of a table (numbers of any scale, categories, missing values) as the inputs of a network.

    - A number is encoded twice: centred by the median, divided by the interquartile range and bounded smoothly [2]_,
      and by :class:`PiecewiseLinearEncoder`. A missing value is encoded as the median; features with missing values in
      the training data also have a column that indicates them.
    - A category is encoded one-hot. Missing values are a separate category, if the training data have any. Rare
      categories share a column with unknown ones.
    - With y, the combinations of two features are also encoded one-hot, if they explain more of y than the sum of the
      features' effects. Both features are categories or numbers with at most 32 distinct values. A pair is found on the
      residuals of a ridge regression on the columns above, as in generalised additive models with interactions [3]_,
      and is chosen if the means of half of the rows explain the residuals of the other half, by at least four standard
      errors.

    Parameters
    ----------
    $categorical_features

    n_bins : int or 'auto', default='auto'
        See :class:`PiecewiseLinearEncoder`.

    min_frequency : int, default=3
        Categories with fewer samples are rare.

    max_categories : int, default=256
        Maximum number of columns of a feature with categories; the least frequent ones are rare.

    max_interactions : int, default=4
        Maximum number of pairs of features whose combinations are encoded. Only used if `fit` gets y, with at least 200
        rows; 20,000 of them are searched.

    Attributes
    ----------
    is_categorical_ : ndarray of bool of shape (`n_features_in_`,)
        The features that are categories.

    medians_, scales_ : ndarray of shape (n_numbers,)
        The medians and interquartile ranges of the features that are numbers. An interquartile range of zero is
        replaced by half of the range.

    bin_edges_ : list of ndarray of shape (n_bins_of_feature + 1,)
        The bounds of the bins of each number, after subtraction of the median and division by the scale.

    has_gaps_ : ndarray of bool of shape (n_numbers,)
        The numbers with missing values in the training data.

    interactions_ : list of tuple
        The pairs of features whose combinations are encoded: the numbers of both features among the numbers and then
        the categories; the values of each, or None for a category; and the combinations.

    n_features_in_ : int
        The number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen during `fit`, if X has feature names that are all strings.

    See Also
    --------
    PiecewiseLinearEncoder : Encodes numbers only.

    References
    ----------
    .. [2] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: Strong pre-tuned MLPs and boosted trees on
       tabular data", NeurIPS 2024. :arxiv:`2407.04491`
    .. [3] Y. Lou, R. Caruana, J. Gehrke and G. Hooker, "Accurate intelligible models with pairwise interactions",
       KDD 2013.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mlp.encoders import TabularEncoder
    >>> X = pd.DataFrame({"size": [1.0, None, 3.0], "colour": ["red", "blue", "red"]})
    >>> encoder = TabularEncoder(min_frequency=1).set_output(transform="pandas")
    >>> list(encoder.fit_transform(X).columns)
    ['size', 'size_bin0', 'size_missing', 'colour_blue', 'colour_red']
    """

    _parameter_constraints = {
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "n_bins": N_BINS,
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "max_categories": [Interval(Integral, 2, None, closed="left")],
        "max_interactions": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        categorical_features="from_dtype",
        *,
        n_bins="auto",
        min_frequency=3,
        max_categories=256,
        max_interactions=4,
    ):
        self.categorical_features = categorical_features
        self.n_bins = n_bins
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.max_interactions = max_interactions

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find medians, scales, bins, categories and, with y, interactions.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            The training data: a data frame of pandas or Polars, a PyArrow table, an array or a list.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            The target, which `max_interactions` needs.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. Rows of zero weight are ignored.

        Returns
        -------
        self : TabularEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If X has dates, or if a numeric feature has other values than numbers.
        """
        check_container(self, "X", X)
        X = as_table(X)
        if y is not None:
            y = y.toarray() if issparse(y) else np.asarray(y)
            check_consistent_length(X, y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
            kept = np.flatnonzero(sample_weight)
            X, sample_weight = _safe_indexing(X, kept), sample_weight[kept]
            y = None if y is None else y[kept]
        self._fit_table(read_columns(self, X, reset=True), y, sample_weight)
        return self

    def _fit_table(self, read, y, sample_weight):
        """Fit to the result of `read_columns`, whose rows all have positive weight.

        Returns
        -------
        table : ndarray of float32 of shape (n_samples, n_features_in_ + n_interactions)
            As `_encoding` encodes it: numbers, and the codes of categories.
        """
        names, n_rows, columns = read
        is_categorical = named_categories(self.categorical_features, names)
        table = np.empty((n_rows, len(names)), np.float32)
        medians, scales, categories, mask = [], [], [], []
        for j, (name, column) in enumerate(zip(names, columns, strict=True)):
            mask.append(column.dtype == object if is_categorical is None else is_categorical[j])
            if mask[-1]:
                categories.append(as_categories(column))
                continue
            column = as_number(name, column)
            median, scale = _location_and_scale(column, sample_weight)
            table[:, len(medians)] = _standardise(column, median, scale)
            medians.append(median)
            scales.append(scale)
        self.is_categorical_ = np.array(mask)
        self.medians_, self.scales_ = np.array(medians), np.array(scales)
        numbers = table[:, : len(medians)]
        self.has_gaps_ = np.isnan(numbers).any(axis=0)
        self.bin_edges_ = []
        if medians:
            self.bin_edges_ = PiecewiseLinearEncoder(self.n_bins).fit(numbers, sample_weight=sample_weight).bin_edges_
        self._one_hot = OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=self.min_frequency, max_categories=self.max_categories
        )
        if categories:
            self._one_hot.fit(np.column_stack(categories))
            table[:, len(medians) :] = self._codes(categories)
        self.interactions_ = []
        if y is not None:
            encoding = self._encoding()
            found = find_interactions(
                table,
                len(medians),
                encoding.n_columns,
                lambda rows: encode_table(table[rows], encoding),
                y,
                sample_weight,
                self.max_interactions,
                self.min_frequency,
            )
            # Plain tuples, so that files have no type that is not NumPy's or Python's.
            self.interactions_ = [tuple(interaction) for interaction in found]
        return self._with_interactions(table)

    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            The data.

        Returns
        -------
        X_encoded : ndarray of float32 of shape (n_samples, n_encoded)
            The inputs of a network.

        Raises
        ------
        ValueError
            If X does not have the features of the training data, or if a numeric feature has other values than numbers.
        """
        check_is_fitted(self)
        check_container(self, "X", X)
        return encode_table(self._table(read_columns(self, X, reset=False)), self._encoding())

    def _table(self, read):
        """The table of the result of `read_columns`, as `_fit_table` returns it."""
        names, n_rows, columns = read
        n_numbers = len(self.medians_)
        table = np.empty((n_rows, len(names)), np.float32)
        units, categories, n = zip(self.medians_, self.scales_, strict=True), [], 0
        for name, column, is_categorical in zip(names, columns, self.is_categorical_, strict=True):
            if is_categorical:
                categories.append(as_categories(column, self._one_hot.categories_[len(categories)]))
            else:
                column = as_number(name, column)
                table[:, n] = _standardise(column, *next(units))
                n += 1
        if categories:
            table[:, n_numbers:] = self._codes(categories)
        return self._with_interactions(table)

    def _codes(self, categories):
        """The index of the column of each category among those of its feature, or -1 if it has none."""
        encoded = self._one_hot.transform(np.column_stack(categories)).tocoo()
        first = np.cumsum([0, *self._n_codes()])
        feature = np.searchsorted(first, encoded.col, side="right") - 1
        codes = np.full((len(categories[0]), len(categories)), -1)
        codes[encoded.row, feature] = encoded.col - first[feature]
        return codes

    def _n_codes(self):
        if not self.is_categorical_.any():
            return []
        pairs = zip(self._one_hot.categories_, self._one_hot.infrequent_categories_, strict=True)
        return [len(known) - (0 if rare is None else len(rare) - 1) for known, rare in pairs]

    def _with_interactions(self, table):
        codes = [Interaction(*interaction).codes(table)[:, np.newaxis] for interaction in self.interactions_]
        return np.hstack([table, *codes], dtype=np.float32, casting="unsafe") if codes else table

    def _encoding(self):
        n_cells = [len(Interaction(*interaction).cells) for interaction in self.interactions_]
        return Encoding(self.bin_edges_, self.has_gaps_, self._n_codes() + n_cells)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the features; by default those seen during `fit`, or "x0", "x1", ...

        Returns
        -------
        names : ndarray of str of shape (n_encoded,)
            The name of the feature and, where it has several columns, "_bin0", "_missing" or the category.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        numbers, categories = names[~self.is_categorical_], names[self.is_categorical_]
        encoded = [*numbers]
        encoded += _names_of_bins(numbers, self.bin_edges_)
        encoded += [f"{name}_missing" for name in numbers[self.has_gaps_]]
        if categories.size:
            encoded += [*self._one_hot.get_feature_names_out(categories)]
        in_table = [*numbers, *categories]
        for interaction in map(Interaction._make, self.interactions_):
            pair = " × ".join(in_table[j] for j in interaction.features)
            encoded += [f"{pair}_{i}" for i in range(len(interaction.cells))]
        return np.array(encoded, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def encode_table(table, encoding):
    """The encoded columns as a whole."""
    encoded = np.empty((len(table), encoding.n_columns), np.float32)
    for rows in gen_batches(len(table), N_ROWS_AT_ONCE):
        CPU.encode(table[rows], encoding, encoded[rows])
    return encoded


def _location_and_scale(column, sample_weight):
    """The median and the interquartile range, or half of the range if the latter is zero."""
    least, low, median, high, largest = _quantiles(*_distribution(column, sample_weight), [0, 0.25, 0.5, 0.75, 1])
    return median, high - low if high > low else (largest - least) / 2 or 1.0


def _standardise(column, median, scale):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.clip((column - median) / scale, -LARGEST, LARGEST)


def _distribution(column, sample_weight):
    """The values except NaN in increasing order, or 0 if there are none, and the total weight up to each."""
    known = ~np.isnan(column)
    if not known.any():
        return np.zeros(1, column.dtype), np.ones(1)
    if sample_weight is None:
        values = np.sort(column[known])
        return values, np.arange(1, len(values) + 1)
    values, weight = column[known], sample_weight[known]
    order = np.argsort(values)
    return values[order], np.cumsum(weight[order])


def _quantiles(values, up_to, levels):
    """The smallest values of a distribution up to which the share of the weight is at least `levels`."""
    share_of_all = (1 - 1e-10) * up_to[-1]  # the sums of weights are rounded
    return values[np.searchsorted(up_to, np.multiply(levels, share_of_all))]


def _names_of_bins(names, edges):
    return [f"{name}_bin{i}" for name, of_feature in zip(names, edges, strict=True) for i in range(len(of_feature) - 1)]
