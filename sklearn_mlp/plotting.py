"""Plots of training curves, in the style of scikit-learn's displays."""

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

__all__ = ["LossCurveDisplay"]

PANELS = {
    "loss": {"loss": "-", "validation_loss": "--"},
    "validation score": {"validation_score": "-"},
    "learning rate": {"learning_rate": "-"},
}


class LossCurveDisplay:
    """Plot of losses, validation scores and learning rates by epoch, for one or several networks.

    Use :meth:`from_estimator` or :meth:`from_estimators` to create it.

    Parameters
    ----------
    histories : dict of str to dict of list
        The `history_` of each network, by its name in the legend.

    Attributes
    ----------
    figure_ : matplotlib Figure

    axes_ : ndarray of matplotlib Axes
        From top to bottom: the losses (validation loss dashed) and, if available, the validation scores and the
        learning rates that are not constant. A dot marks the epoch with the best validation score. Scores that are the
        negative validation loss, as with ``scoring="loss"``, are not plotted a second time.

    lines_ : list of matplotlib Line2D

    See Also
    --------
    sklearn_mlp.MLPClassifier : Its `history_` contains the plotted values.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mlp import MLPClassifier
    >>> from sklearn_mlp.plotting import LossCurveDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> small, large = (MLPClassifier(n, early_stopping=True, random_state=0).fit(X, y) for n in (10, 100))
    >>> display = LossCurveDisplay.from_estimators({"10 neurons": small, "100 neurons": large})
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['loss', 'validation score']
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, histories):
        self.histories = histories

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, **line_kw):
        """Plot the training curves of an estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted `MLPClassifier` or `MLPRegressor`, of this package or of scikit-learn, or a pipeline or search
            with one as its final estimator.

        ax : matplotlib Axes or array-like of such, default=None
            See :meth:`plot`.

        name : str, default=None
            Name in the legend. None is the name of the class.

        **line_kw : dict
            See :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay
        """
        mlp = _mlp_of(estimator)
        return cls.from_estimators({name or type(mlp).__name__: mlp}, ax=ax, **line_kw)

    @classmethod
    def from_estimators(cls, estimators, *, ax=None, **line_kw):
        """Plot the training curves of several estimators in one figure.

        Parameters
        ----------
        estimators : dict of str to estimator
            The estimators, as in :meth:`from_estimator`, by their names in the legend.

        ax : matplotlib Axes or array-like of such, default=None
            See :meth:`plot`.

        **line_kw : dict
            See :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimators")
        histories = {name: _history_of(_mlp_of(estimator)) for name, estimator in estimators.items()}
        return cls(histories=histories).plot(ax=ax, **line_kw)

    def plot(self, *, ax=None, **line_kw):
        """Plot the histories.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of such, default=None
            Axes to plot on: the losses on the first, the other curves on the following axes, if any. None creates a
            new figure.

        **line_kw : dict
            Keyword arguments of `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        panels = [panel for panel in PANELS if any(_curves(panel, history) for history in self.histories.values())]
        if ax is None:
            heights = [2 if panel == "loss" else 1 for panel in panels]
            size = {"figsize": (6.4, 1.6 * sum(heights)), "layout": "constrained"}
            _, ax = plt.subplots(len(panels), sharex=True, height_ratios=heights, squeeze=False, **size)
        self.axes_ = np.ravel(ax)[: len(panels)]
        self.figure_ = self.axes_[0].figure
        self.lines_ = []
        for axes, panel in zip(self.axes_, panels, strict=False):
            for i, (name, history) in enumerate(self.histories.items()):
                for curve, style in _curves(panel, history).items():
                    self._plot_curve(axes, history, curve, {"color": f"C{i}", "linestyle": style, **line_kw}, name)
            axes.set_ylabel(panel)
            axes.legend()
        self.axes_[-1].set_xlabel("epoch")
        return self

    def _plot_curve(self, axes, history, curve, line_kw, name):
        label = f"{name}, validation" if curve == "validation_loss" else name
        (line,) = axes.plot(history["epoch"], history[curve], label=label, **line_kw)
        self.lines_.append(line)
        scores = history.get("validation_score", [])
        if curve.startswith("validation") and not np.isnan(scores).all():
            best = np.nanargmax(scores)
            axes.plot(history["epoch"][best], history[curve][best], "o", color=line.get_color())


def _mlp_of(estimator):
    """The final estimator of a search or pipeline."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if hasattr(estimator, "steps"):
        estimator = estimator[-1]
    check_is_fitted(estimator)
    if hasattr(estimator, "encoder_"):
        raise TypeError(
            f"A {type(estimator).__name__} has a training curve for each of its networks. Plot one or several of them, "
            "for example LossCurveDisplay.from_estimator(model.estimators_[0])."
        )
    if not hasattr(estimator, "loss_curve_"):
        raise TypeError(
            "LossCurveDisplay requires an estimator with a loss_curve_, which "
            f"{type(estimator).__name__} does not have. Pass an MLPClassifier or MLPRegressor, or a pipeline or search "
            "with one as its final estimator; scikit-learn's have no loss_curve_ with solver='lbfgs'."
        )
    return estimator


def _history_of(mlp):
    if hasattr(mlp, "history_"):
        return mlp.history_
    # An estimator of scikit-learn.
    history = {"epoch": [*range(1, len(mlp.loss_curve_) + 1)], "loss": mlp.loss_curve_}
    return history | ({"validation_score": mlp.validation_scores_} if mlp.validation_scores_ else {})


def _curves(panel, history):
    """The curves of a history that belong to a panel, with their line styles."""
    curves = {curve: style for curve, style in PANELS[panel].items() if curve in history}
    if "learning_rate" in curves and len(set(history["learning_rate"])) == 1:
        return {}
    if "validation_score" in curves and "validation_loss" in history:
        score, loss = np.array(history["validation_score"]), np.array(history["validation_loss"])
        if np.allclose(score, -loss, equal_nan=True):
            return {}
    return curves
