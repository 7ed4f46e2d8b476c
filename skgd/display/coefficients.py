"""The largest coefficients."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skgd._estimators.base import BaseGD
from skgd._utils.checks import check_count, shown
from skgd.display.base import COLORS, Display

__all__ = ["CoefficientDisplay"]


class CoefficientDisplay(Display):
    """The largest coefficients of one or several fitted estimators, as bars.

    Make it by `from_estimator` or `from_estimators`. A bar is the mean over the estimators, for
    instance those of the folds of a cross-validation, and a dot each of them.

    Parameters
    ----------
    features : list of str
    coefficients : array of shape (n_estimators, n_features)
    label : str, default="Coefficient"
        What the axis calls them.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer
        From the largest mean coefficient to smaller ones.
    lines_ : list of matplotlib Line2D
        The dots of several estimators.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_validate
    >>> from skgd import CoefficientDisplay, GDRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> folds = cross_validate(GDRegressor(), X, y, return_estimator=True)["estimator"]
    >>> display = CoefficientDisplay.from_estimators(folds, n_largest=3)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['s1', 's5', 'bmi']
    """

    def __init__(self, *, features, coefficients, label="Coefficient"):
        self.features = features
        self.coefficients = coefficients
        self.label = label

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **settings):
        """Draw the largest coefficients of a fitted estimator.

        Parameters
        ----------
        estimator : GDClassifier, GDRegressor
            Fitted; also a Pipeline that ends with one, or a search whose best estimator is one.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **settings
            ``output`` and ``per_deviation`` of `from_estimators`, ``n_largest`` and ``bar_kw`` of
            `plot`.

        Returns
        -------
        CoefficientDisplay
        """
        return cls.from_estimators([estimator], ax=ax, **settings)

    @classmethod
    def from_estimators(
        cls, estimators, *, output=None, per_deviation=True, ax=None, **plot_settings
    ):
        """Draw the coefficients with the largest means over several estimators.

        Parameters
        ----------
        estimators : list of estimators
            Each as for `from_estimator`, fitted on the same features.
        output : object, default=None
            The class or the number of the output, where there are several.
        per_deviation : bool, default=True
            Whether coefficients are taken times the standard deviations of their columns, which
            makes those of columns with different units comparable.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_settings
            ``n_largest`` and ``bar_kw`` of `plot`.

        Returns
        -------
        CoefficientDisplay
        """
        tables = [_table(each, output, per_deviation) for each in estimators]
        if not tables:
            raise ValueError("estimators: got an empty list; pass fitted estimators.")
        features = tables[0][0]
        if any(list(names) != list(features) for names, _ in tables):
            raise ValueError(
                "estimators were fitted on different features: pass some with the same."
            )
        label = "Coefficient" + (" times standard deviation" if per_deviation else "")
        display = cls(
            features=list(map(str, features)), coefficients=np.array([each for _, each in tables]),
            label=label,
        )  # fmt: skip
        return display.plot(ax=ax, **plot_settings)

    def plot(self, ax=None, *, n_largest=10, bar_kw=None):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_largest : int or None, default=10
            How many features to show; None shows all.
        bar_kw : dict, default=None
            More settings of ``Axes.barh``.

        Returns
        -------
        self
        """
        check_count("n_largest", n_largest, None)
        ax, _ = self._axes(ax)
        mean = self.coefficients.mean(axis=0)
        order = np.argsort(-np.abs(mean), kind="stable")[:n_largest]
        places = np.arange(len(order))
        colors = [COLORS[0] if mean[i] >= 0 else COLORS[1] for i in order]
        several = len(self.coefficients) > 1
        settings = {"color": colors, "alpha": 0.6 if several else 1.0} | (bar_kw or {})
        self.bars_ = ax.barh(places, mean[order], **settings)
        if several:
            dots = {"linestyle": "", "marker": "o", "markersize": 4, "color": "0.2"}
            self.lines_ = [
                line for each in self.coefficients for line in ax.plot(each[order], places, **dots)
            ]
        ax.axvline(0.0, color="0.4", linewidth=0.8)
        ax.set_yticks(places, [self.features[i] for i in order])
        ax.invert_yaxis()
        ax.set_xlabel(self.label)
        return self


def _table(estimator, output, per_deviation):
    """Return the names of the features of a fitted estimator, and the coefficients of an output."""
    check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        return _table(estimator.best_estimator_, output, per_deviation)
    model = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(model, BaseGD):
        raise TypeError(
            f"estimator={shown(estimator)}: pass a fitted GDClassifier or GDRegressor, a Pipeline "
            "that ends with one, or a search over one."
        )
    columns = model.coefficients()
    names, values = np.asarray(columns["feature"]), np.asarray(
        columns["per_deviation" if per_deviation else "coefficient"]
    )
    if not np.all(np.isfinite(values)):
        raise ValueError("per_deviation=True: the estimator keeps no standard deviations of the "
                         "columns; pass per_deviation=False.")  # fmt: skip
    chosen = _rows_of(columns, output)
    names, values = names[chosen], values[chosen]
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        try:
            names = estimator[:-1].get_feature_names_out()
        except (AttributeError, ValueError):
            pass  # The steps give their columns no names.
    return names, values


def _rows_of(columns, output):
    """Return which rows of a table are those of an output."""
    key = next((key for key in ("class", "output") if key in columns), None)
    outputs = np.array([0]) if key is None else np.asarray(columns[key])
    several = np.unique(outputs)
    if output is None and len(several) == 1:
        return slice(None)
    if output not in several.tolist():
        raise ValueError(f"output={output!r}: pass one of {several.tolist()!r}.")
    return outputs == output
