"""Pictures of a descent: its curves, its learning rates, its path.

They follow scikit-learn's convention: ``from_...`` makes and draws one, ``plot(ax=...)`` draws it
again, ``ax_``, ``figure_`` and ``lines_`` are what was drawn. matplotlib is needed only to draw.
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skgd._checks import check_weights, is_number
from skgd.callbacks import Callback
from skgd.fit_tasks import FitTasks
from skgd.learning_rate import drawn_rows, find_learning_rate
from skgd.run import Memory, Run, Sample

__all__ = ["DescentDisplay", "LearningRateDisplay", "PathDisplay"]

# Okabe and Ito's colours, which colour-blind readers can tell apart, without the pale yellow.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

X_LABELS = {
    "epoch": "Epoch", "passes": "Passes over the data", "seconds": "Seconds",
    "step": "Update steps",
}  # fmt: skip
Y_LABELS = {
    "objective": "Objective", "loss": "Loss", "gradient_norm": "Length of the gradient",
    "learning_rate": "Learning rate", "validation_loss": "Validation loss",
    "validation_score": "Validation score",
}  # fmt: skip
# Points of a curve, and of each side of a grid of contours.
CURVE_POINTS, GRID_POINTS, LEVELS = 400, 80, 18
# Rows on which the objective is evaluated for the contours.
SURFACE_ROWS = 1000
# A path of no more points than this has a mark for each.
MARKED_POINTS = 300


class _Display:
    """What the displays share: the axes, the colours, the legend."""

    def _axes(self, ax):
        """Return axes to draw on, and whether the figure is this display's own."""
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__} needs matplotlib: install it, for instance by "
                "`pip install skgd[plot]`."
            ) from error
        own = ax is None
        if own:
            _, ax = plt.subplots(figsize=(7.0, 4.0), layout="constrained")
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        return ax, own

    def _add_legend(self, own):
        """Add a legend: beside the axes of an own figure, else where it hides least."""
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if own else {"loc": "best"}
        if self.ax_.get_legend_handles_labels()[0]:
            self.ax_.legend(frameon=not own, **place)


# ---- curves -------------------------------------------------------------------------------------

class DescentDisplay(_Display):
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
        estimators, names = _named("estimators", estimators, names)
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


def _named(what, things, names):
    """Return a list of things and one of their names."""
    if isinstance(things, dict):
        things, names = list(things.values()), list(things)
    things = list(things)
    names = list(map(str, range(1, len(things) + 1))) if names is None else list(names)
    if not things or len(names) != len(things):
        raise ValueError(
            f"{what}: got {len(things)} of them and {len(names)} names; pass a dict, or as many "
            "names."
        )
    return things, names


# ---- learning rates -----------------------------------------------------------------------------

class LearningRateDisplay(_Display):
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
        key, name = _score_of(search, scoring)
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


def _score_of(search, scoring):
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


# ---- paths --------------------------------------------------------------------------------------

class PathDisplay(_Display):
    """The path of a descent, over contours of the function or on its curve.

    Make it by `from_result` or `from_results` for what `skgd.minimize` returns, by `from_estimator`
    for two coefficients of a model. A function of one parameter is drawn as a curve; of more, two
    are chosen, and the contours are those where the others are as at the end of the first path.

    Parameters
    ----------
    paths : list of array of shape (n_points, 1) or (n_points, 2)
    names : list of str
        What the legend calls them.
    surface : callable
        ``surface(point)`` is the value at an array of one or two numbers.
    labels : list of str
        The names of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The paths.
    contours_ : matplotlib QuadContourSet or None
    curve_ : matplotlib Line2D or None

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from scipy.optimize import rosen, rosen_der
    >>> from skgd import PathDisplay, minimize
    >>> results = {
    ...     name: minimize(rosen, [-1.0, 1.0], jac=rosen_der, optimizer=name, learning_rate=1e-3)
    ...     for name in ("sgd", "momentum")
    ... }
    >>> len(PathDisplay.from_results(results, rosen).lines_)
    2
    """

    def __init__(self, *, paths, names, surface, labels):
        self.paths = paths
        self.names = names
        self.surface = surface
        self.labels = labels

    @classmethod
    def from_result(cls, result, fun, *, name="path", ax=None, **settings):
        """Draw the path of one result of `skgd.minimize`.

        Parameters
        ----------
        result : OptimizeResult
            With its ``path``.
        fun : callable
            The function that was minimised.
        name : str, default="path"
            What the legend calls it.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **settings
            ``args`` and ``parameters`` of `from_results`, ``limits`` and ``line_kw`` of `plot`.

        Returns
        -------
        PathDisplay
        """
        return cls.from_results([result], fun, names=[name], ax=ax, **settings)

    @classmethod
    def from_results(
        cls, results, fun, *, names=None, args=(), parameters=(0, 1), ax=None, **plot_settings
    ):  # fmt: skip
        """Draw the paths of several results of `skgd.minimize` of the same function.

        Parameters
        ----------
        results : dict of name to OptimizeResult, or list of OptimizeResult
            With their ``path``.
        fun : callable
            The function that was minimised.
        names : list of str, default=None
            The names for a list; None numbers them.
        args : tuple, default=()
            More arguments of ``fun``.
        parameters : pair of int, default=(0, 1)
            Which parameters to draw, of more than two.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_settings
            ``limits`` and ``line_kw`` of `plot`.

        Returns
        -------
        PathDisplay
        """
        results, names = _named("results", results, names)
        for result in results:
            if not hasattr(result, "path"):
                raise ValueError(
                    f"results: {result!r} has no path; pass keep_path=True to skgd.minimize, "
                    "and what it returns here."
                )
        shape, last = results[0].x.shape, results[0].x.ravel()
        chosen = _chosen(parameters, last.size)

        def surface(point):
            x = last.copy()
            x[chosen] = point
            value = fun(x.reshape(shape), *args)
            return float(np.ravel(value[0] if isinstance(value, tuple) else value)[0])

        display = cls(
            paths=[result.path.reshape(len(result.path), -1)[:, chosen] for result in results],
            names=names, surface=surface, labels=[f"x[{number}]" for number in chosen],
        )  # fmt: skip
        return display.plot(ax=ax, **plot_settings)

    @classmethod
    def from_estimator(
        cls, estimator, X, y, sample_weight=None, *, features=(0, 1), output=0, name=None, ax=None,
        **plot_settings,
    ):  # fmt: skip
        """Fit a clone of an estimator and draw the path of two of its coefficients.

        The contours are the objective where the other coefficients and the intercepts are as at the
        end; of many rows, it is that of a sample.

        Parameters
        ----------
        estimator : GDClassifier or GDRegressor
            Unfitted or fitted; it is cloned.
        X : array, data frame or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array of shape (n_samples,), default=None
        features : pair of int or str, default=(0, 1)
            The columns whose coefficients to draw, by their numbers or names.
        output : int, default=0
            Of which row of ``coef_``.
        name : str, default=None
            What the legend calls the path; None is the name of the class.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_settings
            ``limits`` and ``line_kw`` of `plot`.

        Returns
        -------
        PathDisplay

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> from sklearn.datasets import load_diabetes
        >>> from skgd import GDRegressor, PathDisplay
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> model = GDRegressor(optimizer="momentum", batch_size="full")
        >>> PathDisplay.from_estimator(model, X, y, features=("bmi", "bp")).labels
        ['coefficient of bmi', 'coefficient of bp']
        """
        model, recorder = clone(estimator), _Recorder()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_callbacks(recorder).fit(X, y, sample_weight=sample_weight)
        coef = np.atleast_2d(model.coef_).astype(float)
        intercept = np.atleast_1d(model.intercept_).astype(float)
        numbers, columns = _chosen_columns(model, features)
        if not 0 <= output < len(coef):
            raise ValueError(f"output={output!r}: pass a number from 0 to {len(coef) - 1}.")
        path = [np.atleast_2d(point)[output, numbers] for point in recorder.coefs]
        if not isinstance(model.init, str):
            path.insert(0, np.reshape(model.init[0], coef.shape)[output, numbers])
        elif model.init == "zeros":
            path.insert(0, np.zeros(2))
        if not np.array_equal(path[-1], coef[output, numbers]):
            path.append(coef[output, numbers])
        objective = _objective(model, X, y, sample_weight)

        def surface(point):
            there = coef.copy()
            there[output, numbers] = point
            return objective(there, intercept)

        display = cls(
            paths=[np.array(path)], names=[type(model).__name__ if name is None else name],
            surface=surface, labels=[f"coefficient of {column}" for column in columns],
        )  # fmt: skip
        return display.plot(ax=ax, **plot_settings)

    def plot(self, ax=None, *, limits=None, line_kw=None):
        """Draw the function and the paths.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        limits : list of (low, high), default=None
            The range of each parameter; None is that of the paths, and some more.
        line_kw : dict, default=None
            More settings of ``Axes.plot`` for the paths.

        Returns
        -------
        self
        """
        ax, own = self._axes(ax)
        limits = self._limits() if limits is None else [tuple(pair) for pair in limits]
        self.curve_ = self.contours_ = None
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if len(self.labels) == 1:
                self._draw_curve(ax, *limits)
            else:
                self._draw_contours(ax, *limits)
            for number, (path, name) in enumerate(zip(self.paths, self.names, strict=True)):
                self._draw_path(ax, path, name, COLORS[number % len(COLORS)], line_kw or {})
        ax.plot([], [], linestyle="", marker="o", color="0.3", fillstyle="none", label="start")
        ax.plot([], [], linestyle="", marker="*", color="0.3", markersize=10, label="end")
        ax.set_xlim(*limits[0])
        ax.set_xlabel(self.labels[0])
        self._add_legend(own)
        return self

    def _limits(self):
        points = np.concatenate(self.paths)
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.15 * np.where(high > low, high - low, 1.0)
        # A valley that is long and narrow is drawn a tenth as wide as long at least.
        margin = np.maximum(margin, 0.05 * np.max(high - low))
        return list(zip(low - margin, high + margin, strict=True))

    def _draw_curve(self, ax, limits):
        grid = np.linspace(*limits, CURVE_POINTS)
        values = [self.surface(np.array([point])) for point in grid]
        (self.curve_,) = ax.plot(grid, values, color="0.6", label="function")
        # The outer branches of the curve may rise far above the path.
        heights = [self.surface(point) for path in self.paths for point in path]
        low, high = np.nanmin(values), max(np.nanmax(heights), np.nanmedian(values))
        margin = 0.1 * (high - low) or 1.0
        ax.set_ylim(low - margin, high + margin)
        ax.set_ylabel("Value")

    def _draw_contours(self, ax, x_limits, y_limits):
        x, y = np.linspace(*x_limits, GRID_POINTS), np.linspace(*y_limits, GRID_POINTS)
        values = np.array([[self.surface(np.array([a, b])) for a in x] for b in y])
        values = np.ma.masked_invalid(values)
        # Levels by rank, closer together near the minimum, suit steep and flat functions alike.
        levels = np.unique(np.quantile(values.compressed(), np.linspace(0, 1, LEVELS) ** 2))
        if len(levels) > 1:
            ax.contourf(x, y, values, levels, cmap="Greys", alpha=0.35, zorder=0)
            self.contours_ = ax.contour(
                x, y, values, levels, colors="0.65", linewidths=0.6, linestyles="solid", zorder=1
            )
        ax.set_ylim(*y_limits)
        ax.set_ylabel(self.labels[1])

    def _draw_path(self, ax, path, name, color, line_kw):
        heights = path[:, 1] if path.shape[1] == 2 else np.array([self.surface(p) for p in path])
        settings = {
            "color": color, "linewidth": 1.2, "label": name, "zorder": 3, "markersize": 3,
            "marker": "o" if len(path) <= MARKED_POINTS else "",
        }  # fmt: skip
        self.lines_ += ax.plot(path[:, 0], heights, **settings | line_kw)
        ends = {"linestyle": "", "color": self.lines_[-1].get_color(), "zorder": 4}
        ax.plot(path[0, 0], heights[0], marker="o", markersize=8, fillstyle="none", **ends)
        ax.plot(
            path[-1, 0], heights[-1], marker="*", markersize=13, markeredgecolor="white", **ends
        )


class _Recorder(Callback):
    """Keeps the coefficients of each epoch."""

    def __init__(self):
        self.coefs = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        # The last epoch is empty where a descent found that it had come to its end.
        if context.task_name == "epoch" and fitted_estimator is not None:
            self.coefs.append(fitted_estimator.coef_.copy())


def _objective(model, X, y, sample_weight):
    """Return a fitted model's objective as a function of coefficients and intercepts."""
    if len(y) > SURFACE_ROWS:
        X, y, sample_weight = drawn_rows(model, X, y, sample_weight, SURFACE_ROWS, 0)
    X, y = model._check_data(X, y, reset=False)
    weights = check_weights(sample_weight, len(y))
    targets, n_outputs = model._encode(y, weights, reset=False)
    sample, memory = Sample(X, y, targets, weights, n_outputs), Memory.empty(X.shape[1], n_outputs)
    objective = Run(model, sample, None, memory, False, FitTasks(model, sample)).objective
    return lambda coef, intercept: float(objective.values(coef, intercept)[1].sum())


def _chosen_columns(model, features):
    """Return the numbers and the names of two columns."""
    numbered = np.array([f"column {number}" for number in range(model.n_features_in_)])
    names = getattr(model, "feature_names_in_", numbered).tolist()
    try:
        numbers = [
            names.index(feature) if isinstance(feature, str) else range(len(names))[feature]
            for feature in features
        ]
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"features={features!r}: pass two numbers from 0 to {len(names) - 1}, or two names of "
            "columns."
        ) from error
    if len(set(numbers)) != 2 or len(numbers) != 2:
        raise ValueError(f"features={features!r}: pass two different columns.")
    return numbers, [names[number] for number in numbers]


def _chosen(parameters, n):
    """Return the numbers of the one or two parameters that are drawn."""
    if n == 1:
        return [0]
    chosen = [int(number) for number in parameters]
    if len(set(chosen)) != 2 or not all(-n <= number < n for number in chosen):
        raise ValueError(f"parameters={parameters!r}: pass two numbers from 0 to {n - 1}.")
    return [number % n for number in chosen]
