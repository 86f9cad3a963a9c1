"""Transformers from the columns of a table to the inputs of a network."""

from numbers import Integral, Number

import narwhals.stable.v2 as nw
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from sklearn_mlp._checks import is_missing, refuse_dates

__all__ = ["PiecewiseLinearEncoder", "TabularEncoder"]

N_ROWS_AT_ONCE = 2048  # whose encoding stays in the cache
N_BINS = [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")]


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):
    """Encode each number by how far it has come through each of several bins.

    The bins are bounded by quantiles of the training data. A number has a 1 for each bin below it, the fraction of its
    way through its own bin, and a 0 for each bin above, so that a linear layer on the encoding is a piecewise linear
    function of the number [1]_. Numbers beyond the training data are encoded as its smallest and largest. NaN is
    ignored by `fit`, and stays NaN.

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
    def fit(self, X, y=None):
        """Find the bounds of the bins.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.

        y : None
            Ignored.

        Returns
        -------
        self : PiecewiseLinearEncoder
            The fitted encoder.
        """
        X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan")
        n_bins = automatic_n_bins(len(X)) if self.n_bins == "auto" else self.n_bins
        edges = [_quantiles(column[~np.isnan(column)], n_bins) for column in X.T]
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
        pairs = zip(names, self.bin_edges_, strict=True)
        return np.array([f"{name}_bin{i}" for name, edges in pairs for i in range(len(edges) - 1)], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def automatic_n_bins(n_rows):
    return int(np.clip(np.sqrt(n_rows) / 4, 4, 32))


def _quantiles(column, n_bins):
    """At most `n_bins` + 1 increasing numbers: the distinct values, or quantiles of them."""
    distinct = np.unique(column) if column.size else np.zeros(1)
    if len(distinct) <= n_bins + 1:
        return distinct
    return np.unique(np.quantile(column, np.linspace(0, 1, n_bins + 1)))


class TabularEncoder(TransformerMixin, BaseEstimator):
    """Encode the columns of a table, with numbers of any scale, categories and gaps, as the inputs of a network.

    - A number is encoded twice: centred by the median, divided by the interquartile range and bounded smoothly [2]_,
      and by :class:`PiecewiseLinearEncoder`. A gap is encoded as the median; features with gaps in the training data
      also have a column that indicates them.
    - A category is encoded one-hot. Gaps are a category of their own, if the training data have any. Rare categories
      share a column with those that the training data do not have.

    Parameters
    ----------
    categorical_features : 'from_dtype', array-like of {bool, int, str} of shape (n_features) or \
            (n_categorical_features,), or None, default='from_dtype'
        The features that are categories; the others must be numbers.

        - 'from_dtype': in a data frame the columns of strings, categories and booleans, and of objects that are not all
          numbers; in an array of objects or a list, the columns that are not all numbers.
        - A mask, the indices or, for a data frame, the names of the features.
        - None: no feature.

    n_bins : int or 'auto', default='auto'
        See :class:`PiecewiseLinearEncoder`.

    min_frequency : int, default=3
        Categories with fewer samples are rare.

    max_categories : int, default=256
        Maximum number of columns of a feature with categories; the least frequent ones are rare.

    Attributes
    ----------
    is_categorical_ : ndarray of bool of shape (`n_features_in_`,)
        The features that are categories.

    medians_, scales_ : ndarray of shape (n_numbers,)
        The medians and interquartile ranges of the features that are numbers. Where the latter is zero, half of the
        range.

    n_features_in_ : int
        The number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen during `fit`, if X has feature names that are all strings.

    See Also
    --------
    PiecewiseLinearEncoder : The encoding of numbers alone.

    References
    ----------
    .. [2] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: Strong pre-tuned MLPs and boosted trees on
       tabular data", NeurIPS 2024. :arxiv:`2407.04491`

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
    }

    def __init__(self, categorical_features="from_dtype", *, n_bins="auto", min_frequency=3, max_categories=256):
        self.categorical_features = categorical_features
        self.n_bins = n_bins
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find medians, scales, bins and categories.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            The training data: a data frame of pandas or Polars, a PyArrow table, an array or a list.

        y : None
            Ignored.

        Returns
        -------
        self : TabularEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If X has dates, or a feature that is to be a number is not.
        """
        columns = self._read(X, reset=True)
        self.is_categorical_ = self._find_categorical(columns)
        numbers, categories = self._split(columns)
        if numbers.shape[1]:
            self._imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True).fit(numbers)
            known = np.where(np.isnan(numbers).all(axis=0), 0.0, numbers)
            least, low, self.medians_, high, largest = np.nanquantile(known, [0, 0.25, 0.5, 0.75, 1], axis=0)
            halves = (largest - least) / 2
            self.scales_ = np.where(high > low, high - low, np.where(halves > 0, halves, 1.0))
            self._bins = PiecewiseLinearEncoder(self.n_bins).fit(self._standardise(known))
        else:
            self.medians_ = self.scales_ = np.empty(0)
        self._one_hot = OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            min_frequency=self.min_frequency,
            max_categories=self.max_categories,
            sparse_output=False,
            dtype=np.float32,
        )
        if categories.shape[1]:
            self._one_hot.fit(categories)
        return self

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
            If X does not have the features of the training data, or a feature that was a number is not.
        """
        check_is_fitted(self)
        numbers, categories = self._split(self._read(X, reset=False))
        parts = []
        if numbers.shape[1]:
            filled, gaps = np.split(self._imputer.transform(numbers), [numbers.shape[1]], axis=1)
            z = self._standardise(filled)
            parts += [z / np.sqrt(1 + (z / 3) ** 2), self._bins.transform(z), gaps]
        if categories.shape[1]:
            parts.append(self._one_hot.transform(categories))
        return np.hstack(parts, dtype=np.float32, casting="unsafe")

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
        parts = []
        if numbers.size:
            gaps = [f"{name}_missing" for name in numbers[self._imputer.indicator_.features_]]
            parts += [numbers, self._bins.get_feature_names_out(numbers), np.array(gaps, dtype=object)]
        if categories.size:
            parts.append(self._one_hot.get_feature_names_out(categories))
        return np.concatenate(parts)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _standardise(self, filled):
        return (filled - self.medians_) / self.scales_

    def _read(self, X, reset):
        """The columns of X, each an array of float64 with NaN for gaps, or of objects with None for gaps."""
        if nw.dependencies.is_into_dataframe(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            columns = {column.name: _from_series(column) for column in nw.from_native(X).iter_columns()}
        else:
            if isinstance(X, list | tuple):
                X = np.array(X, dtype=object)  # NumPy would make strings of numbers next to strings
            X = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
            columns = {j: _from_array(column) for j, column in enumerate(X.T)}
        if not columns or not len(next(iter(columns.values()))):
            raise ValueError(
                f"Found array with {len(columns)} feature(s) and no sample, while a minimum of 1 is required by "
                "TabularEncoder."
            )
        refuse_dates("X", columns)
        return columns

    def _find_categorical(self, columns):
        """A mask of the features that are categories."""
        which = self.categorical_features
        if which is None:
            return np.zeros(len(columns), dtype=bool)
        if isinstance(which, str):
            return np.array([column.dtype == object for column in columns.values()])
        which = np.asarray(which)
        if which.dtype.kind == "b":
            if which.shape != (len(columns),):
                raise ValueError(
                    f"categorical_features is a mask of shape {which.shape}, but X has {len(columns)} features."
                )
            return which
        names = list(columns) if which.dtype.kind in "UO" else list(range(len(columns)))
        unknown = [name for name in which.tolist() if name not in names]
        if unknown:
            raise ValueError(f"categorical_features has {unknown[0]!r}, which is no feature of X: it has {names}.")
        return np.isin(names, which)

    def _split(self, columns):
        """The numbers as float64, and the categories as objects."""
        numbers, categories = [], []
        for (name, column), is_categorical in zip(columns.items(), self.is_categorical_, strict=True):
            if is_categorical:
                categories.append(_as_categories(column))
            elif column.dtype == object:
                example = next(value for value in column if value is not None and not isinstance(value, Number))
                raise ValueError(
                    f"X has {example!r} in the feature {name!r}, which is to be a number. Name the feature in "
                    "categorical_features, or make it a number."
                )
            else:
                numbers.append(column)
        n_rows = len(next(iter(columns.values())))
        return (
            np.column_stack(numbers) if numbers else np.empty((n_rows, 0)),
            np.column_stack(categories) if categories else np.empty((n_rows, 0), dtype=object),
        )


def _from_series(series):
    """A column of a data frame as `TabularEncoder._read` returns it; dates as NumPy has them."""
    dtype = series.dtype
    if dtype.is_temporal():
        return series.to_numpy()
    if dtype.is_numeric() and not series.is_null().any():
        return series.cast(nw.Float64).to_numpy()
    objects = _with_none(series.to_list())
    return objects if dtype in (nw.Categorical, nw.Enum, nw.Boolean) else _as_numbers(objects)


def _from_array(column):
    """As `_from_series`, a column of an array."""
    if column.dtype.kind in "biuf":
        return column.astype(np.float64)
    return column if column.dtype.kind in "mM" else _as_numbers(_with_none(column.tolist()))


def _with_none(values):
    """An array of objects, with None for gaps of any kind."""
    objects = np.empty(len(values), dtype=object)
    can_be_gaps = set(map(type, values)) - {str, int, bool}
    objects[:] = [None if is_missing(value) else value for value in values] if can_be_gaps else values
    return objects


def _as_numbers(objects):
    """Numbers and None as float64 with NaN; other objects unchanged."""
    types = set(map(type, objects.tolist())) - {type(None)}
    are_numbers = all(issubclass(each, Number) and each is not bool for each in types)
    return objects.astype(np.float64) if are_numbers else objects


def _as_categories(column):
    """The categories in a column as strings, with None for gaps."""
    values = column.tolist() if column.dtype == object else _with_none(column.tolist()).tolist()
    try:
        distinct = set(values)
    except TypeError as error:
        raise TypeError(f"The argument must be a string or a number, or another hashable category: {error}.") from error
    names = {value: None if value is None else _name_of(value) for value in distinct}
    named = np.empty(len(values), dtype=object)
    named[:] = [names[value] for value in values]
    return named


def _name_of(value):
    """As an integer if it is one, since a gap makes floats of a column of integers."""
    is_whole = isinstance(value, Number) and value == int(value) and not isinstance(value, bool)
    return str(int(value)) if is_whole else str(value)
