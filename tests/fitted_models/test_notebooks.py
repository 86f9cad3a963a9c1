"""In a notebook, a fitted model has a caption in scikit-learn's diagram, and a fit a progress bar."""

import re
import sys
from types import SimpleNamespace

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pytest
import rich
from distributed import Client
from rich.console import Console
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import estimator_html_repr

from sklearn_mlp import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp._base import CaptionedDiagram
from sklearn_mlp.dask import DaskMLPClassifier, DaskTabularMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
WINES, KINDS = load_wine(return_X_y=True, as_frame=True)
ESTIMATORS = [
    (MLPClassifier((30,), max_iter=3), "64 → 30 → 10 · 2,260 parameters · 3 epochs · loss LOSS"),
    (
        MLPClassifier((30, 20), normalization="batch", early_stopping=True, max_iter=3),
        "64 → 30 → 20 → 10 · 2,830 parameters · 3 epochs · loss LOSS · best validation score SCORE",
    ),
    (MLPRegressor(solver="lbfgs", max_iter=4), "64 → 100 → 1 · 6,601 parameters · 4 iterations · loss LOSS"),
    (MLPClassifier((), max_iter=1), "64 → 10 · 650 parameters · 1 epoch · loss LOSS"),
]
TABULAR = {"hidden_layer_sizes": (8,), "n_members": 3, "max_iter": 2, "max_interactions": 0, "n_bins": 2}


def diagram(estimator):
    """The HTML, without the numbers of its elements."""
    return re.sub(r"sk-(container|estimator)-id-\d+", "", estimator_html_repr(estimator))


def captions(estimator):
    return re.findall(r'<div class="caption">([^<]*)</div>', diagram(estimator))


@pytest.fixture
def of_scikit_learn(monkeypatch):
    def diagram_of(estimator):
        with monkeypatch.context() as patch:
            patch.delattr(CaptionedDiagram, "_sk_visual_block_")
            return diagram(estimator)

    return diagram_of


@pytest.mark.parametrize("estimator", [MLPClassifier(), MLPRegressor((5, 5)), TabularMLPRegressor(n_bins=9)])
def test_before_fit_the_diagram_is_that_of_scikit_learn(estimator, of_scikit_learn):
    assert diagram(estimator) == of_scikit_learn(estimator)


@pytest.mark.parametrize(("estimator", "caption"), ESTIMATORS)
def test_after_fit_it_has_a_caption_too(estimator, caption, of_scikit_learn):
    before = repr(estimator)
    fitted = estimator.fit(X, Y)
    caption = caption.replace("LOSS", f"{fitted.loss_:.4g}")
    caption = caption.replace("SCORE", f"{fitted.best_validation_score_ or 0:.4g}")
    assert captions(fitted) == [caption]
    assert diagram(fitted).replace(f'<div class="caption">{caption}</div>', "") == of_scikit_learn(fitted)
    assert repr(fitted) == before


def test_partial_fit_adds_to_the_epochs():
    clf = MLPClassifier().partial_fit(X, Y, classes=range(10)).partial_fit(X, Y)
    assert captions(clf) == [f"64 → 100 → 10 · 7,510 parameters · 2 epochs · loss {clf.loss_:.4g}"]


@pytest.mark.parametrize("estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_networks_for_a_table(estimator):
    model = estimator(**TABULAR).fit(WINES, KINDS)
    inputs, outputs = len(model.estimators_[0].coefs_[0]), model.n_outputs_
    size = 3 * ((inputs + 1) * 8 + 9 * outputs)
    caption = f"3 × ({inputs} → 8 → {outputs}) · {size:,} parameters · 2 epochs"
    assert captions(model) == [f"{caption} · out-of-fold score {model.oof_score_:.4g}"]
    assert captions(model.fit(WINES, KINDS, X_val=WINES, y_val=KINDS)) == [caption]


def test_networks_of_a_cluster():
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"):
        clf = DaskMLPClassifier((30,), max_iter=3, n_shards=1).fit(da.from_array(X), da.from_array(Y))
        collections = dd.from_pandas(WINES, npartitions=1), dd.from_pandas(KINDS, npartitions=1)
        table = DaskTabularMLPClassifier(**TABULAR, n_shards=1).fit(*collections)
    assert captions(clf) == captions(clf.to_local()) == [ESTIMATORS[0][1].replace("LOSS", f"{clf.loss_:.4g}")]
    assert captions(table) == captions(table.to_local())
    assert captions(table)[0].startswith("3 × (")


def test_within_pipelines_and_searches():
    model = GridSearchCV(
        make_pipeline(MinMaxScaler(), MLPClassifier((30,), max_iter=3)), {"mlpclassifier__alpha": [1.0]}, cv=2
    )
    assert captions(model) == []
    model.fit(X, Y)
    assert captions(model) == captions(model.best_estimator_) == captions(model.best_estimator_[-1])
    assert captions(model)[0].startswith("64 → 30 → 10")


def test_without_the_private_module_it_is_that_of_scikit_learn(monkeypatch, of_scikit_learn):
    clf = MLPClassifier((5,), max_iter=1).fit(X, Y)
    monkeypatch.setitem(sys.modules, "sklearn.utils._repr_html.estimator", None)
    assert diagram(clf) == of_scikit_learn(clf)


def test_the_progress_bar(monkeypatch):
    """With a stand-in for the two things that rich takes from Jupyter: a widget for output, and `display`."""
    shown = []

    class Output:
        def __enter__(self):
            self.n_shown = len(shown)

        def __exit__(self, *exc):
            self.content = shown[self.n_shown :]
            del shown[self.n_shown :]

        def clear_output(self, wait):
            self.content = []

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=shown.append))
    monkeypatch.setitem(sys.modules, "ipywidgets", SimpleNamespace(Output=Output))
    monkeypatch.setattr(rich, "_console", Console(force_jupyter=True))
    MLPClassifier((5,), max_iter=30, random_state=np.random.RandomState(0)).set_callbacks(ProgressBar()).fit(X, Y)
    widget, *others = shown
    assert not any(re.sub("<[^>]*>", "", each.html).strip() for each in others)
    (bar,) = widget.content
    assert re.fullmatch(r"MLPClassifier - fit ━+ 100% \d:\d\d:\d\d", re.sub("<[^>]*>", "", bar.html).strip())
