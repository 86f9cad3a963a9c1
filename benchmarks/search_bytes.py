"""Bytes that a search sends to the workers of Dask and, if installed, of Ray: `python benchmarks/search_bytes.py`.

A grid of 8 candidates in 5 folds on an X of 50 MB. For Dask, the bytes sent by client and scheduler are counted, which
are one process here; for Ray, those that the client serialises. The figures are those of docs/guide/searches.md.
"""

import importlib.util
import warnings

import numpy as np
from distributed import Client, LocalCluster
from distributed.comm.tcp import TCP
from joblib import parallel_config
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

from sklearn_mlp import MLPClassifier

N_BYTES = {"sent": 0}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((62_500, 100))
Y = (X[:, 0] + RNG.standard_normal(len(X)) > 0).astype(int)
X_VAL, Y_VAL = X[:12_500].copy(), Y[:12_500].copy()
NETWORK = MLPClassifier((8,), max_iter=1, batch_size=1000, dtype="float32", random_state=0)
GRID = {"alpha": np.geomspace(1e-5, 1, 8)}
SEARCH = GridSearchCV(NETWORK, GRID, refit=False)
HALVING = HalvingGridSearchCV(NETWORK, GRID, refit=False, random_state=0)


def report(name, search, X=X, fit_params=None, **config):
    N_BYTES["sent"] = 0
    with parallel_config(**config):
        clone(search).fit(X, Y, **(fit_params or {}))
    print(f"{name:<42}{N_BYTES['sent'] / 1e6:6.0f} MB", flush=True)


def dask():
    write = TCP.write

    async def counted(self, *args, **kwargs):
        n_bytes = await write(self, *args, **kwargs)
        N_BYTES["sent"] += n_bytes
        return n_bytes

    TCP.write = counted
    validation = {"X_val": X_VAL, "y_val": Y_VAL}
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            once = {"backend": "dask", "scatter": [X, Y]}
            report("Dask", SEARCH, backend="dask")
            report("Dask, scatter=[X, y]", SEARCH, **once)
            report("Dask, halving", HALVING, backend="dask")
            report("Dask, halving, scatter=[X, y]", HALVING, **once)
            report("Dask, scatter=[X, y], X_val of 10 MB", SEARCH, fit_params=validation, **once)
            futures = dict(zip(validation, client.scatter([*validation.values()], broadcast=True), strict=True))
            report("Dask, scatter=[X, y], X_val as a future", SEARCH, fit_params=futures, **once)
        with Client(cluster, direct_to_workers=True):
            report("Dask, scatter=[X, y], direct_to_workers", SEARCH, **once)


def on_ray():
    import ray
    from ray._private.serialization import SerializationContext
    from ray.util.joblib import register_ray

    serialize = SerializationContext.serialize

    def counted(self, value):
        serialized = serialize(self, value)
        N_BYTES["sent"] += serialized.total_bytes
        return serialized

    class InStore(np.ndarray):
        """An array in Ray's object store, which is pickled as a reference to it."""

        def __reduce__(self):
            return ray.get, (self.reference,)

    ray.init(num_cpus=2, include_dashboard=False)
    register_ray()
    SerializationContext.serialize = counted
    report("Ray", SEARCH, backend="ray", n_jobs=-1)
    shared = X.view(InStore)
    shared.reference = ray.put(X)
    report("Ray, X in the object store", SEARCH, X=shared, backend="ray", n_jobs=-1)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    dask()
    if importlib.util.find_spec("ray"):
        on_ray()
