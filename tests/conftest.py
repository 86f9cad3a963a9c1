import pytest


@pytest.fixture
def global_random_seed():
    """The seed that scikit-learn's own tests run with by default."""
    return 42
