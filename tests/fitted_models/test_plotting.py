"""LossCurveDisplay: the right curves in the right places."""

import numpy as np
import pytest
import sklearn.neural_network
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import MLPClassifier, TabularMLPClassifier
from sklearn_mlp.plotting import LossCurveDisplay

matplotlib = pytest.importorskip("matplotlib", reason="what draws the plots is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
SMALL = {"hidden_layer_sizes": (6,), "max_iter": 12, "random_state": 0}


@pytest.fixture(autouse=True)
def pyplot():
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    yield plt
    plt.close("all")


def labels(display):
    return [[text.get_text() for text in ax.get_legend().get_texts()] for ax in display.axes_]


def test_a_panel_for_each_kind_of_curve():
    clf = MLPClassifier(**SMALL, early_stopping=True, learning_rate="cosine").fit(X, Y)
    display = LossCurveDisplay.from_estimator(clf, name="iris")
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "validation score", "learning rate"]
    assert labels(display) == [["iris", "iris, validation"], ["iris"], ["iris"]]
    curves = clf.loss_curve_, clf.validation_loss_curve_, clf.validation_scores_, clf.learning_rate_curve_
    for line, curve in zip(display.lines_, curves, strict=True):
        assert_array_equal(line.get_xdata(), np.arange(1, clf.n_iter_ + 1))
        assert_array_equal(line.get_ydata(), curve)
    assert display.figure_ is display.axes_[0].figure


def test_the_best_epoch_is_marked():
    clf = MLPClassifier(**SMALL, early_stopping=True).fit(X, Y)
    display = LossCurveDisplay.from_estimator(clf)
    (score, mark) = display.axes_[1].get_lines()
    best = int(np.argmax(clf.validation_scores_))
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (best + 1, clf.best_validation_score_)
    assert mark.get_color() == score.get_color()


def test_only_what_was_recorded_is_shown():
    display = LossCurveDisplay.from_estimator(MLPClassifier(**SMALL).fit(X, Y))
    assert labels(display) == [["MLPClassifier"]]
    assert len(display.axes_[0].get_lines()) == 1
    lbfgs = LossCurveDisplay.from_estimator(MLPClassifier(**SMALL, solver="lbfgs").fit(X, Y))
    assert labels(lbfgs) == [["MLPClassifier"]]


@pytest.mark.parametrize("scoring", ["loss", "neg_log_loss"])
def test_a_score_that_is_the_negative_loss_is_no_second_curve(scoring):
    params = SMALL | {"early_stopping": True, "n_iter_no_change": 2, "learning_rate_init": 0.5}
    by_loss, by_accuracy = MLPClassifier(**params, scoring=scoring).fit(X, Y), MLPClassifier(**params).fit(X, Y)
    display = LossCurveDisplay.from_estimator(by_loss)
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss"]
    assert labels(display) == [["MLPClassifier", "MLPClassifier, validation"]]
    (_, validation, mark) = display.axes_[0].get_lines()
    assert_array_equal(validation.get_ydata(), by_loss.validation_loss_curve_)
    best = int(np.argmin(by_loss.validation_loss_curve_))
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (best + 1, by_loss.validation_loss_curve_[best])
    both = LossCurveDisplay.from_estimators({"by loss": by_loss, "by accuracy": by_accuracy})
    assert [ax.get_ylabel() for ax in both.axes_] == ["loss", "validation score"]
    assert labels(both)[1] == ["by accuracy"]


def test_a_tabular_estimator_says_what_to_plot():
    clf = TabularMLPClassifier(n_members=2, hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(X, Y)
    with pytest.raises(TypeError, match=r"each of its networks.*from_estimator\(model.estimators_\[0\]\)"):
        LossCurveDisplay.from_estimator(clf)
    assert len(LossCurveDisplay.from_estimator(clf.estimators_[0]).axes_[0].get_lines()) == 3


def test_several_networks_with_a_colour_each():
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL, early_stopping=True)).fit(X, Y)
    search = GridSearchCV(MLPClassifier(**SMALL), {"alpha": [1.0]}, cv=2).fit(X, Y)
    theirs = sklearn.neural_network.MLPClassifier(**SMALL, early_stopping=True).fit(X, Y)
    display = LossCurveDisplay.from_estimators({"pipeline": pipeline, "search": search, "scikit-learn": theirs})
    assert labels(display) == [
        ["pipeline", "pipeline, validation", "search", "scikit-learn"],
        ["pipeline", "scikit-learn"],
    ]
    assert [line.get_color() for line in display.lines_] == ["C0", "C0", "C1", "C2", "C0", "C2"]


def test_axes_and_style_of_the_user(pyplot):
    clf = MLPClassifier(**SMALL, early_stopping=True).fit(X, Y)
    figure, ax = pyplot.subplots()
    display = LossCurveDisplay.from_estimator(clf, ax=ax, color="k", linewidth=3)
    assert [*display.axes_] == [ax]
    assert display.figure_ is figure
    assert {(line.get_color(), line.get_linewidth()) for line in display.lines_} == {("k", 3.0)}
    _, axes = pyplot.subplots(2)
    assert [*display.plot(ax=axes).axes_] == [*axes]


def test_scores_that_are_nan_are_no_best():
    display = LossCurveDisplay(
        histories={"late": {"epoch": [1, 2, 3], "loss": [3, 2, 1], "validation_score": [np.nan, 0.5, 0.4]}}
    ).plot()
    assert display.axes_[1].get_lines()[1].get_xdata()[0] == 2


def test_what_has_no_curve_is_refused():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(MLPClassifier())
    with pytest.raises(TypeError, match="which LogisticRegression does not have"):
        LossCurveDisplay.from_estimator(make_pipeline(LogisticRegression()).fit(X[:, :1], Y))
