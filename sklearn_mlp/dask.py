"""Estimators for data that are spread over the workers of a Dask cluster: Dask arrays and data frames."""

from dataclasses import KW_ONLY
from numbers import Integral
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import delayed
from distributed import Client
from scipy.sparse import issparse
from sklearn.base import _clone_parametrized
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp._base import score_prediction
from sklearn_mlp._cluster import Cluster, TabularClusterFit, check_collection, check_columns
from sklearn_mlp._docstrings import documented_after
from sklearn_mlp._parameters import Names, declares_parameters, parameter
from sklearn_mlp.classifier import MLPClassifier
from sklearn_mlp.devices import resolve_device
from sklearn_mlp.regressor import MLPRegressor
from sklearn_mlp.tabular import TabularMLPClassifier, TabularMLPRegressor

__all__ = ["DaskMLPClassifier", "DaskMLPRegressor", "DaskTabularMLPClassifier", "DaskTabularMLPRegressor"]

PARAMETERS = "client", "n_shards", "sync_every"
CLIENT = parameter(None, Client, None)
N_SHARDS = parameter(None, Interval(Integral, 1, None, closed="left"), None)
SYNC_EVERY = parameter("auto", Names({"auto"}), Interval(Integral, 1, None, closed="left"))
# Attributes of a fit on a cluster.
ATTRIBUTES = "client_", "n_shards_", "sync_every_", "n_rounds_"


class _Dask:
    """Overrides for Dask collections; `_local_class` is the class of the same estimator for data in memory."""

    def to_local(self):
        """Return the fitted model as an estimator for data in memory.

        Returns
        -------
        estimator : estimator
            With the same parameters and fitted attributes, and without Dask.
        """
        check_is_fitted(self)
        return self._local()

    def _local(self):
        parameters = self.get_params(deep=False)
        local = self._local_class(**{name: parameters[name] for name in parameters if name not in PARAMETERS})
        vars(local).update({name: vars(self)[name] for name in vars(self) if name not in PARAMETERS + ATTRIBUTES})
        return local

    def _predict(self, X, decode, *, hidden=False, out=None):
        """The lazy prediction for a Dask collection, with the same partitions."""
        check_is_fitted(self)
        check_collection(self, "X", X)
        check_columns("X", X)
        if out is not None:
            raise ValueError(
                "out is for arrays in memory; this prediction is a Dask collection. Save it by to_zarr or to_parquet."
            )
        options = {"hidden": True} if hidden else {}  # networks of tables have no such parameter
        local, host = self._local().set_callbacks(), self._local()  # callbacks may not be picklable
        host.device = "cpu"  # the client may not have a GPU

        def predict(local, part):
            return local._predict(part, decode, **options)

        return _map_partitions(predict, local, host, X, None if hidden else getattr(local, "classes_", None))

    def score(self, X, y, sample_weight=None):
        check_is_fitted(self)
        for name, array in (("X", X), ("y", y), ("sample_weight", sample_weight)):
            if array is not None:
                check_collection(self, name, array)
        prediction, y, sample_weight = dask.compute(self.predict(X), y, sample_weight, scheduler=self.client)
        prediction = prediction if issparse(prediction) else np.asarray(prediction)
        task = getattr(self, "estimators_", [self])[0]._model.task
        return score_prediction(self._local(), task, prediction, y, sample_weight, resolve_device("cpu"))

    def __getstate__(self):
        """The state without the client."""
        state = dict(super().__getstate__())
        state.pop("client_", None)
        return state | {"client": None}

    def __sklearn_clone__(self):
        """A clone with the same client, which cannot be copied."""
        without = object.__new__(type(self))
        vars(without).update(vars(self) | {"client": None})
        cloned = _clone_parametrized(without)
        cloned.client = self.client
        return cloned


def _map_partitions(predict, local, host, X, classes):
    """A collection of `predict(local, part)` for each part of X; `local` is sent to each worker once.

    The type of the result is that of `predict(host, example)`, which is called here.
    """
    model = delayed(local, traverse=False, pure=False)
    is_array = isinstance(X, da.Array)
    if is_array and np.isnan(X.shape[1:]).any():
        raise ValueError("X has an unknown number of columns. Set it by X.compute_chunk_sizes().")
    example = np.zeros((1, *X.shape[1:]), X.dtype) if is_array else X._meta_nonempty
    result = predict(host, example)
    if isinstance(result, list):
        return [_map_one(predict, model, X, each, j, classes[j]) for j, each in enumerate(result)]
    return _map_one(predict, model, X, result, None, classes)


def _map_one(predict, model, X, like, j, classes):
    """Like `_map_partitions`, for output `j` of several unless it is None; `like` is an example of the result."""
    like = like[:0]

    def of_array(part, model):
        if not part.shape[0]:
            return like
        result = predict(model, part)
        return result if j is None else result[j]

    if isinstance(X, da.Array):
        if like.ndim == 1:
            return X.map_blocks(of_array, model, drop_axis=1, dtype=like.dtype, meta=like)
        chunks = X.chunks[0], (like.shape[1],)
        return X.map_blocks(of_array, model, chunks=chunks, dtype=like.dtype, meta=like)

    def of_frame(part, model):
        return _as_frame(of_array(part, model), part, classes)

    return X.map_partitions(of_frame, model, meta=_as_frame(like, X._meta, classes))


def _as_frame(result, part, classes):
    """A result for a data frame with its index, and with the classes as columns if these are probabilities."""
    if result.ndim == 1:
        return part._constructor_sliced(result, index=part.index)
    has_classes = isinstance(classes, np.ndarray) and len(classes) == result.shape[1]
    columns = classes if has_classes else range(result.shape[1])
    return part._constructor(result, index=part.index, columns=columns)


class _DaskMLP(_Dask):
    def _fit(self, *args, **kwargs):
        self._validate_changed_params()  # also for partial_fit, before the client is used
        with Cluster(self) as cluster:
            return super()._fit(*args, **kwargs, where=cluster)


class _DaskTabularMLP(_Dask):
    def _train(self, inputs, groups, tasks, data):
        local = self._local()
        with Cluster(self) as cluster:
            device = cluster.device(self)
            inputs = cluster.read_arrays(self, inputs, device)
            fit = TabularClusterFit(cluster, local, device, inputs, groups, tasks, self.n_members)
            return fit.run(data) | cluster.attributes


@documented_after(MLPClassifier)
@declares_parameters
class DaskMLPClassifier(_DaskMLP, MLPClassifier):
    """Multi-layer perceptron classifier for Dask collections.

    Trains the network of :class:`~sklearn_mlp.MLPClassifier` on the workers of a cluster, on data that need not fit in
    the memory of one machine.

    The parameters in groups, in the order of their description:

    $local_groups
    - Cluster: `client`, `n_shards`, `sync_every`.

    Parameters
    ----------
    $local_parameters

    $dask_parameters

    Attributes
    ----------
    $local_attributes

    $dask_attributes

    See Also
    --------
    sklearn_mlp.MLPClassifier : The same network for data in memory.
    DaskMLPRegressor : The same for real-valued targets.

    Notes
    -----
    $dask_notes

    References
    ----------
    $local_references
    $dask_references

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mlp.dask import DaskMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = da.from_array(X / 16, chunks=(300, -1)), da.from_array(y, chunks=300)
    >>> with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"):
    ...     clf = DaskMLPClassifier(n_shards=2, learning_rate_init=0.01, tol=0.01, random_state=0).fit(X, y)
    ...     accuracy = clf.score(X, y)
    >>> accuracy
    0.99...
    >>> clf.to_local()
    MLPClassifier(learning_rate_init=0.01, random_state=0, tol=0.01)
    """

    _: KW_ONLY
    client: Any = CLIENT
    n_shards: int | None = N_SHARDS
    sync_every: int | str = SYNC_EVERY

    _local_class = MLPClassifier


@documented_after(MLPRegressor)
@declares_parameters
class DaskMLPRegressor(_DaskMLP, MLPRegressor):
    """Multi-layer perceptron regressor for Dask collections.

    Trains the network of :class:`~sklearn_mlp.MLPRegressor` on the workers of a cluster, on data that need not fit in
    the memory of one machine.

    The parameters in groups, in the order of their description:

    $local_groups
    - Cluster: `client`, `n_shards`, `sync_every`.

    Parameters
    ----------
    $local_parameters

    $dask_parameters

    Attributes
    ----------
    $local_attributes

    $dask_attributes

    See Also
    --------
    sklearn_mlp.MLPRegressor : The same network for data in memory.
    DaskMLPClassifier : The same for class labels.

    Notes
    -----
    $dask_notes

    References
    ----------
    $local_references
    $dask_references

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_mlp.dask import DaskMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X, y = da.from_array(scale(X), chunks=(150, -1)), da.from_array(y, chunks=150)
    >>> with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"):
    ...     reg = DaskMLPRegressor(n_shards=2, solver="lbfgs", alpha=30, tol=0.01, standardize_target=True)
    ...     r2 = reg.fit(X, y).score(X, y)
    >>> r2
    0.5...
    """

    _: KW_ONLY
    client: Any = CLIENT
    n_shards: int | None = N_SHARDS
    sync_every: int | str = SYNC_EVERY

    _local_class = MLPRegressor


@documented_after(TabularMLPClassifier)
@declares_parameters
class DaskTabularMLPClassifier(_DaskTabularMLP, TabularMLPClassifier):
    """Classifier for tables in Dask data frames: an ensemble of networks on encoded columns.

    Trains the networks of :class:`~sklearn_mlp.TabularMLPClassifier` on the workers of a cluster, on data that need not
    fit in the memory of one machine. The encoder is fitted to a sample of 100,000 rows.

    Parameters
    ----------
    $local_parameters

    $dask_parameters

    Attributes
    ----------
    $local_attributes

    $dask_attributes

    See Also
    --------
    sklearn_mlp.TabularMLPClassifier : The same for data in memory.
    DaskTabularMLPRegressor : The same for real-valued targets.

    Notes
    -----
    $dask_notes

    All networks are trained at the same time. There are no out-of-fold predictions, `groups` cannot be given, and
    `n_jobs` has no effect.

    References
    ----------
    $local_references
    $dask_references

    Examples
    --------
    >>> import dask.dataframe as dd
    >>> from distributed import Client
    >>> from sklearn.datasets import load_wine
    >>> from sklearn_mlp.dask import DaskTabularMLPClassifier
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> X["colour"] = X["color_intensity"] > 5
    >>> X, y = dd.from_pandas(X, npartitions=2), dd.from_pandas(y, npartitions=2)
    >>> with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"):
    ...     clf = DaskTabularMLPClassifier(n_members=2, max_iter=20, random_state=0).fit(X, y)
    ...     score = clf.score(X, y)
    >>> score
    0.9...
    """

    _: KW_ONLY
    client: Any = CLIENT
    n_shards: int | None = N_SHARDS
    sync_every: int | str = SYNC_EVERY

    _local_class = TabularMLPClassifier


@documented_after(TabularMLPRegressor)
@declares_parameters
class DaskTabularMLPRegressor(_DaskTabularMLP, TabularMLPRegressor):
    """Regressor for tables in Dask data frames: an ensemble of networks on encoded columns.

    Trains the networks of :class:`~sklearn_mlp.TabularMLPRegressor` on the workers of a cluster, on data that need not
    fit in the memory of one machine. The encoder is fitted to a sample of 100,000 rows.

    Parameters
    ----------
    $local_parameters

    $dask_parameters

    Attributes
    ----------
    $local_attributes

    $dask_attributes

    See Also
    --------
    sklearn_mlp.TabularMLPRegressor : The same for data in memory.
    DaskTabularMLPClassifier : The same for class labels.

    Notes
    -----
    $dask_notes

    All networks are trained at the same time. There are no out-of-fold predictions, `groups` cannot be given, and
    `n_jobs` has no effect.

    References
    ----------
    $local_references
    $dask_references

    Examples
    --------
    >>> import dask.dataframe as dd
    >>> from distributed import Client
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_mlp.dask import DaskTabularMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> X, y = dd.from_pandas(X, npartitions=2), dd.from_pandas(y, npartitions=2)
    >>> with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"):
    ...     reg = DaskTabularMLPRegressor(n_members=2, max_iter=20, random_state=0).fit(X, y)
    ...     score = reg.score(X, y)
    >>> score
    0...
    """

    _: KW_ONLY
    client: Any = CLIENT
    n_shards: int | None = N_SHARDS
    sync_every: int | str = SYNC_EVERY

    _local_class = TabularMLPRegressor
