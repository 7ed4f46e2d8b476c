"""The path of a descent over the contours of its objective."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skgd._estimators.base import fitted_run
from skgd.callbacks import Callback
from skgd.display.base import COLORS, Display, named
from skgd.rate_test import drawn_rows

__all__ = ["PathDisplay"]

# Points of a curve, and of each side of a grid of contours.
CURVE_POINTS, GRID_POINTS, LEVELS = 400, 80, 18
# Rows on which the objective is evaluated for the contours.
SURFACE_ROWS = 1000
# A path of no more points than this has a mark for each.
MARKED_POINTS = 300


class PathDisplay(Display):
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
        results, names = named("results", results, names)
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
        end; of many rows, it is that of a sample. The path comes from a callback, for which
        scikit-learn 1.9 or newer is needed.

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
    objective = fitted_run(model, X, y, sample_weight).objective
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
