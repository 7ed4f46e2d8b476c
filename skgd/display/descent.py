"""The curves of a descent."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skgd._utils.checks import is_number
from skgd.display.base import COLORS, Display, named

__all__ = ["DescentDisplay"]

X_LABELS = {
    "epoch": "Epoch", "passes": "Passes over the data", "seconds": "Seconds",
    "step": "Update steps",
}  # fmt: skip
Y_LABELS = {
    "objective": "Objective", "loss": "Loss", "gradient_norm": "Length of the gradient",
    "learning_rate": "Learning rate", "validation_loss": "Validation loss",
    "validation_score": "Validation score",
}  # fmt: skip


class DescentDisplay(Display):
    """The loss, epoch by epoch, of one or several fitted estimators.

    Make it by `from_estimator` or `from_estimators`. A dot marks the best epoch: that of the best
    validation score or loss where there is one, else that of the lowest objective.

    Parameters
    ----------
    histories : list of dict
        The ``history_`` of each estimator.
    names : list of str
        What the legend calls them.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        For each estimator its curve, and that of its validation loss next to it.
    best_ : list of matplotlib Line2D
        The marks of the best epochs.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skgd import DescentDisplay, GDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> models = {
    ...     name: GDClassifier(optimizer=name, random_state=0).fit(X, y) for name in ("sgd", "adam")
    ... }
    >>> display = DescentDisplay.from_estimators(models, excess=True)
    >>> display.ax_.get_ylabel()
    'Objective above the least'
    """

    def __init__(self, *, histories, names):
        self.histories = histories
        self.names = names

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **plot_settings):
        """Draw the descent of a fitted estimator.

        Parameters
        ----------
        estimator : GDClassifier, GDRegressor
            Fitted; also a Pipeline that ends with one, or a search whose best estimator is one.
        name : str, default=None
            What the legend calls it; None is the name of the class.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_settings
            ``x``, ``y``, ``excess`` and ``line_kw`` of `plot`.

        Returns
        -------
        DescentDisplay
        """
        model = _fitted_model(estimator)
        name = type(model).__name__ if name is None else name
        return cls(histories=[model.history_], names=[name]).plot(ax=ax, **plot_settings)

    @classmethod
    def from_estimators(cls, estimators, *, names=None, ax=None, **plot_settings):
        """Draw the descents of several fitted estimators.

        Parameters
        ----------
        estimators : dict of name to estimator, or list of estimators
            Each as for `from_estimator`.
        names : list of str, default=None
            The names for a list; None numbers them.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_settings
            ``x``, ``y``, ``excess`` and ``line_kw`` of `plot`.

        Returns
        -------
        DescentDisplay
        """
        estimators, names = named("estimators", estimators, names)
        histories = [_fitted_model(estimator).history_ for estimator in estimators]
        return cls(histories=histories, names=names).plot(ax=ax, **plot_settings)

    def plot(self, ax=None, *, x="epoch", y=None, excess=False, line_kw=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        x : {"epoch", "passes", "seconds", "step"}, default="epoch"
        y : str, default=None
            A key of ``history_``. None is the "loss", of training and of validation, where one of
            the estimators was validated; else the "objective".
        excess : bool or float, default=False
            Whether to draw, on a logarithmic scale, how far y is above the least value of all; a
            number is the minimum, where it is known.
        line_kw : dict, default=None
            More settings of ``Axes.plot``.

        Returns
        -------
        self
        """
        y = y or ("loss" if any(map(self._validated, self.histories)) else "objective")
        self._check(x, y, excess)
        ax, own = self._axes(ax)
        self.best_ = []
        curves = [key for key in (y, "validation_loss" if y == "loss" else None) if key]
        lowest = excess if is_number(excess) else min(
            np.nanmin(history[key]) for history in self.histories for key in curves
            if np.any(np.isfinite(history[key]))
        )  # fmt: skip
        excess = excess is not False
        for number, (history, name) in enumerate(zip(self.histories, self.names, strict=True)):
            for key, style in zip(curves, ("-", "--"), strict=False):
                values = np.array(history[key], dtype=float)
                if not np.any(np.isfinite(values)):
                    continue
                if excess:
                    values = np.where(values > lowest, values - lowest, np.nan)
                settings = {
                    "color": COLORS[number % len(COLORS)], "linestyle": style,
                    "label": name if style == "-" else f"{name}, validation",
                }  # fmt: skip
                self.lines_ += ax.plot(history[x], values, **settings | (line_kw or {}))
                best = self._best_epoch(history)
                if style == "-" and self._validated(history) and len(curves) == 2:
                    continue
                self.best_ += ax.plot(
                    history[x][best], values[best], marker="o", markersize=7, linestyle="",
                    color=self.lines_[-1].get_color(),
                )
        ax.plot([], [], marker="o", markersize=7, linestyle="", color="0.4", label="best epoch")
        ax.set_xlabel(X_LABELS[x])
        ax.set_ylabel(Y_LABELS[y] + (" above the least" if excess else ""))
        if excess:
            ax.set_yscale("log")
        self._add_legend(own)
        return self

    def _check(self, x, y, excess):
        if x not in X_LABELS:
            raise ValueError(f"x={x!r}: pass one of {', '.join(map(repr, X_LABELS))}.")
        if y not in Y_LABELS:
            raise ValueError(f"y={y!r}: pass one of {', '.join(map(repr, Y_LABELS))}.")
        if not any(np.any(np.isfinite(history[y])) for history in self.histories):
            raise ValueError(f"y={y!r}: no history has it; pass another key of history_.")
        if excess is not False and y == "validation_score":
            raise ValueError("excess=True with y='validation_score': pass a y that is minimised.")

    @staticmethod
    def _validated(history):
        return bool(np.any(np.isfinite(history["validation_loss"])))

    @staticmethod
    def _best_epoch(history):
        if np.any(np.isfinite(history["validation_score"])):
            return int(np.nanargmax(history["validation_score"]))
        if np.any(np.isfinite(history["validation_loss"])):
            return int(np.nanargmin(history["validation_loss"]))
        return int(np.nanargmin(history["objective"]))


def _fitted_model(estimator):
    """Return the estimator with a history, from inside of a pipeline or a search."""
    check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        return _fitted_model(estimator.best_estimator_)
    if isinstance(estimator, Pipeline):
        return _fitted_model(estimator[-1])
    if not hasattr(estimator, "history_"):
        raise TypeError(
            f"estimator={estimator!r} has no history_: pass a fitted GDClassifier or GDRegressor, "
            "a Pipeline that ends with one, or a search over one."
        )
    if not len(estimator.history_["epoch"]):
        raise ValueError(f"estimator={estimator!r} has an empty history_: its fit took no epoch.")
    return estimator
