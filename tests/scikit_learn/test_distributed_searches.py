"""Searches on the workers of Dask and of Ray, by joblib's backends: the scores of a serial run, and X is sent once."""

import importlib.util
import signal
import subprocess
import sys

import numpy as np
import pytest
from distributed.comm.tcp import TCP
from joblib import parallel_config
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import MLPClassifier, TabularMLPClassifier
from sklearn_mlp.callbacks import TimeLimit
from sklearn_mlp.devices.blas import n_blas_threads

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("timeout"),
]

X, Y = load_digits(return_X_y=True)
NETWORK = MLPClassifier((8,), max_iter=3, random_state=0)
TABULAR = TabularMLPClassifier(n_members=2, max_iter=2, max_interactions=0, random_state=0)
# The log loss tells models that predict the same labels.
OPTIONS = {"cv": 3, "scoring": "neg_log_loss", "refit": False}
ALPHAS = [1e-4, 1e-2, 1.0, 10.0]
SEARCHES = {
    "network": GridSearchCV(NETWORK, {"alpha": ALPHAS}, **OPTIONS),
    "pipeline": GridSearchCV(make_pipeline(StandardScaler(), NETWORK), {"mlpclassifier__alpha": ALPHAS}, **OPTIONS),
    "halving": HalvingGridSearchCV(NETWORK, {"alpha": ALPHAS}, factor=2, random_state=0, **OPTIONS),
    "tabular": GridSearchCV(TABULAR, {"n_bins": [4, 8]}, **OPTIONS | {"cv": 2}),
}


@pytest.fixture
def sent(monkeypatch):
    """The sizes of the messages that the client and the scheduler, both in this process, have sent."""
    sizes, write = [], TCP.write

    async def counted(self, *args, **kwargs):
        sizes.append(await write(self, *args, **kwargs))
        return sizes[-1]

    monkeypatch.setattr(TCP, "write", counted)
    return sizes


def scores(search, **fit_params):
    return search.fit(X, Y, **fit_params).cv_results_["mean_test_score"]


@pytest.mark.parametrize("kind", SEARCHES)
def test_dask_gives_the_scores_of_a_serial_run(kind, client):
    expected = scores(clone(SEARCHES[kind]))
    search = clone(SEARCHES[kind])
    with parallel_config("dask"):
        assert_allclose(scores(search), expected, rtol=1e-6)
    assert np.ptp(expected) > 0


@pytest.mark.parametrize("kind", ["network", "pipeline", "halving"])
def test_X_is_sent_once(kind, client, sent):
    """From the client to the scheduler and from there to a worker, for 12 tasks and more, whose callbacks know X."""
    search = clone(SEARCHES[kind])
    network = search.estimator[-1] if kind == "pipeline" else search.estimator
    network.set_callbacks(TimeLimit(60))
    with parallel_config("dask", scatter=[X, Y]):
        search.fit(X, Y)
    assert 2 * X.nbytes < sum(sent) < 3 * X.nbytes


def test_a_validation_set_is_sent_once_as_futures(client, sent):
    """Joblib does not look into the dict of the parameters of fit, but Dask does."""
    search = GridSearchCV(NETWORK, {"early_stopping": [True], "alpha": ALPHAS}, **OPTIONS)
    X_val = X[:900] + 0.5
    expected = scores(clone(search), X_val=X_val, y_val=Y[:900])
    futures = dict(zip(["X_val", "y_val"], client.scatter([X_val, Y[:900]], broadcast=True), strict=True))
    with parallel_config("dask", scatter=[X, Y]):
        assert_allclose(scores(clone(search), **futures), expected, rtol=1e-6)
    assert sum(sent) < 3 * (X.nbytes + X_val.nbytes)


def test_workers_have_one_blas_thread(client):
    """By the environment that Dask's nannies set: as many tasks as cores, each with one thread, also of ensembles."""
    assert set(client.run(n_blas_threads).values()) == {1}


ON_RAY = """
import numpy as np
import ray
from joblib import parallel_config
from ray.util.joblib import register_ray
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_mlp import MLPClassifier
from sklearn_mlp.devices.blas import n_blas_threads

X, y = load_digits(return_X_y=True)
ray.init(num_cpus=2, include_dashboard=False)
register_ray()
pipeline = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=3, random_state=0))
search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1.0, 10.0]}, cv=3, scoring="neg_log_loss")
expected = search.fit(X, y).cv_results_["mean_test_score"]
with parallel_config("ray", n_jobs=-1):
    found = search.fit(X, y).cv_results_["mean_test_score"]
np.testing.assert_allclose(found, expected, rtol=1e-6)
assert np.ptp(found) > 0
assert ray.get(ray.remote(n_blas_threads).remote()) == 1
"""


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_ray_gives_the_scores_of_a_serial_run():
    signal.alarm(300)  # a process that imports Ray and starts its own
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ON_RAY], capture_output=True, text=True, timeout=240, check=False
    )
    assert run.returncode == 0, run.stderr
