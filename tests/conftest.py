import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Two BLAS threads that wait for each other take 60 times as long where another process is busy."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture
def global_random_seed():
    """The seed that scikit-learn's own tests run with by default."""
    return 42
