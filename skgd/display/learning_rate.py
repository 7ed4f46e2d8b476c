"""The score or the loss over the learning rate."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgd.display.base import COLORS, Display
from skgd.rate_test import find_learning_rate

__all__ = ["LearningRateDisplay"]


class LearningRateDisplay(Display):
    """How well each learning rate does, and which one to take.

    Make it by `from_estimator`, which tries rates in short runs, or by `from_search` for a search
    over rates. Of a `skgd.RateTest`, pass ``rates``, ``values=test.losses`` and ``suggestion``.

    Parameters
    ----------
    rates : array of shape (n_rates,)
    values : array of shape (n_rates,)
        Losses or scores; those that are not finite are marked as diverged.
    suggestion : float
    spread : array of shape (n_rates,), default=None
        The standard deviation of each value.
    value_name : str, default="Mean objective of a short run"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The curve and the mark of the suggestion.
    spread_ : matplotlib FillBetweenPolyCollection or None

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skgd import GDClassifier, LearningRateDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> display = LearningRateDisplay.from_estimator(GDClassifier(optimizer="adam"), X, y)
    >>> 0.01 < display.suggestion < 1
    True
    """

    def __init__(
        self, *, rates, values, suggestion, spread=None, value_name="Mean objective of a short run"
    ):  # fmt: skip
        self.rates = rates
        self.values = values
        self.suggestion = suggestion
        self.spread = spread
        self.value_name = value_name

    @classmethod
    def from_estimator(
        cls, estimator, X, y, sample_weight=None, *, ax=None, line_kw=None, **test_settings
    ):  # fmt: skip
        """Try rates in short runs, as `skgd.find_learning_rate` does, and draw what came out.

        Parameters
        ----------
        estimator : GDClassifier, GDRegressor or a Pipeline that ends with one
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array of shape (n_samples,), default=None
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            More settings of ``Axes.plot``.
        **test_settings
            ``rates``, ``epochs``, ``max_samples`` and ``random_state`` of
            `skgd.find_learning_rate`.

        Returns
        -------
        LearningRateDisplay
        """
        test = find_learning_rate(estimator, X, y, sample_weight, **test_settings)
        display = cls(rates=test.rates, values=test.losses, suggestion=test.suggestion)
        return display.plot(ax=ax, line_kw=line_kw)

    @classmethod
    def from_search(cls, search, *, scoring=None, ax=None, line_kw=None):
        """Draw the scores of a fitted search over ``learning_rate``, with their spread over folds.

        Where other parameters were searched too, each rate gets the best score over them.

        Parameters
        ----------
        search : GridSearchCV, GDSearchCV or another search with ``cv_results_``
            Fitted, over numbers for ``learning_rate``, also of a step of a Pipeline.
        scoring : str, default=None
            Which score, of several; None is the one that the search was refitted for.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            More settings of ``Axes.plot``.

        Returns
        -------
        LearningRateDisplay
        """
        check_is_fitted(
            search, "cv_results_", msg="search=%(name)s has no cv_results_: fit it first, and pass "
            "a GridSearchCV, a GDSearchCV or another search.",
        )  # fmt: skip
        results = search.cv_results_
        key, name = score_of(search, scoring)
        rates = _searched_rates(results)
        scores = np.asarray(results[f"mean_test_{key}"], dtype=float)
        spreads = np.asarray(results[f"std_test_{key}"], dtype=float)
        values, best = np.unique(rates), []
        for rate in values:
            candidates = np.flatnonzero(rates == rate)
            best.append(candidates[np.argmax(np.nan_to_num(scores[candidates], nan=-np.inf))])
        scores, spreads = scores[best], spreads[best]
        if not np.any(np.isfinite(scores)):
            raise ValueError(f"search: it has no score {name!r} that is a number.")
        display = cls(
            rates=values, values=scores, spread=spreads, value_name=name,
            suggestion=float(values[np.nanargmax(scores)]),
        )  # fmt: skip
        return display.plot(ax=ax, line_kw=line_kw)

    def plot(self, ax=None, *, line_kw=None):
        """Draw the curve and the suggestion.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            More settings of ``Axes.plot``.

        Returns
        -------
        self
        """
        ax, own = self._axes(ax)
        rates, values = np.asarray(self.rates), np.asarray(self.values, dtype=float)
        finite = np.isfinite(values)
        settings = {"color": COLORS[0], "marker": "o", "markersize": 4} | (line_kw or {})
        self.lines_ += ax.plot(rates, np.where(finite, values, np.nan), **settings)
        self.spread_ = None
        if self.spread is not None:
            self.lines_[0].set_label("mean over folds")
            self.spread_ = ax.fill_between(
                rates[finite], (values - self.spread)[finite], (values + self.spread)[finite],
                color=self.lines_[0].get_color(), alpha=0.2, linewidth=0,
                label="standard deviation",
            )  # fmt: skip
        height = values[np.argmin(np.abs(np.log(rates / self.suggestion)))]
        self.lines_ += ax.plot(
            self.suggestion, height, marker="D", markersize=9, linestyle="", color=COLORS[1],
            label=f"suggested: {self.suggestion:.3g}",
        )
        if not finite.all():
            ax.plot(
                rates[~finite], np.full(np.sum(~finite), 0.97), linestyle="", marker="x",
                color=COLORS[-1], transform=ax.get_xaxis_transform(), label="diverged",
            )  # fmt: skip
        ax.set_xscale("log")
        ax.set_xlabel("Learning rate")
        ax.set_ylabel(self.value_name)
        if self.spread is None:
            self._limit(ax, values[finite])
        self._add_legend(own)
        return self

    @staticmethod
    def _limit(ax, losses):
        """Let losses that are far above those of small rates leave the picture."""
        lowest = losses.min()
        height = 1.25 * max(losses[0] - lowest, np.median(losses) - lowest)
        if 0 < height < losses.max() - lowest:
            ax.set_ylim(lowest - 0.05 * height, lowest + height)


def score_of(search, scoring):
    """Return the key of a score in cv_results_ and its name."""
    prefix = "mean_test_"
    names = [key.removeprefix(prefix) for key in search.cv_results_ if key.startswith(prefix)]
    if names == ["score"] and scoring is None:
        scoring = getattr(search, "scoring", None)
        return "score", scoring if isinstance(scoring, str) else "score"
    if scoring is None and isinstance(getattr(search, "refit", None), str):
        scoring = search.refit
    if scoring not in names:
        raise ValueError(f"scoring={scoring!r}: pass one of {', '.join(map(repr, names))}.")
    return scoring, scoring


def _searched_rates(results):
    """Return the learning rate of each candidate of a search."""
    keys = [
        key for key in results
        if key.startswith("param_") and key[len("param_"):].split("__")[-1] == "learning_rate"
    ]  # fmt: skip
    if len(keys) != 1:
        raise ValueError(
            f"search: {len(keys)} of its parameters are a learning_rate; pass a search over one."
        )
    try:
        return np.array([float(rate) for rate in results[keys[0]]])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"search: {keys[0].removeprefix('param_')} was searched over values that are no "
            "numbers; pass a search over numbers."
        ) from error
