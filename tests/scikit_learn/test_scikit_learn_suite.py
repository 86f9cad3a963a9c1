"""scikit-learn's own tests of its MLP, from the installed scikit-learn, with our classes in the place of its own."""

import importlib.util
from unittest import mock

import pytest
import sklearn.neural_network

import sklearn_mlp

# They run under scikit-learn's own rules for warnings, not under ours.
pytestmark = [
    pytest.mark.usefixtures("each_device"),
    pytest.mark.filterwarnings("default"),
]

REACH_INTO_PRIVATE_ATTRIBUTES = {
    "test_gradient": "calls _loss_grad_lbfgs",
    "test_learning_rate_warmstart": "reads _optimizer.learning_rate",
    "test_adaptive_learning_rate": "reads _optimizer.learning_rate",
    "test_n_iter_no_change": "reads _no_improvement_count",
    "test_n_iter_no_change_inf": "reads _no_improvement_count",
}


def _load():
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    module = importlib.util.module_from_spec(spec)
    with mock.patch.multiple(
        sklearn.neural_network, MLPClassifier=sklearn_mlp.MLPClassifier, MLPRegressor=sklearn_mlp.MLPRegressor
    ):
        spec.loader.exec_module(module)
    return {name: test for name, test in vars(module).items() if name.startswith("test_")}


_suite = _load()
globals().update({name: test for name, test in _suite.items() if name not in REACH_INTO_PRIVATE_ATTRIBUTES})


def test_the_exclusions_are_still_tests_of_the_suite():
    assert _suite.keys() > REACH_INTO_PRIVATE_ATTRIBUTES.keys()
