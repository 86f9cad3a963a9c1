"""scikit-learn's checks of the estimator interface, with no expected failure."""

from dataclasses import is_dataclass

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_mlp import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor


# max_iter=100 is what scikit-learn checks its own MLP with, too: in 200 iterations lbfgs fits the data of one check so
# well that probabilities reach 1.0 in floating point, and the check wants them below 1.
@pytest.mark.usefixtures("each_device")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        estimator(solver=solver, max_iter=100)
        for estimator in (MLPClassifier, MLPRegressor)
        for solver in ("adam", "sgd", "lbfgs")
    ]
)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.usefixtures("each_device")
@parametrize_with_checks(
    [estimator(n_members=2, max_iter=30) for estimator in (TabularMLPClassifier, TabularMLPRegressor)]
)
def test_check_estimator_for_tables(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([TabularMLPClassifier(), TabularMLPRegressor()])
def test_check_estimator_for_tables_with_defaults(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor])
def test_an_estimator_is_more_than_its_parameters(estimator):
    # Dask hashes a dataclass by its fields only, and would mistake one fitted model for another.
    assert not is_dataclass(estimator)
    assert len({estimator(), estimator()}) == 2
