"""Scores and coefficients along alpha."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skgd._search.alpha_sequence import alpha_sequence
from skgd._search.one_standard_error import alpha_parameter, one_standard_error
from skgd._search.regularization_path import regularization_path
from skgd.display.base import COLORS, Display
from skgd.display.learning_rate import score_of

__all__ = ["RegularizationPathDisplay"]


class RegularizationPathDisplay(Display):
    """What becomes of a model's score, or of its coefficients, as ``alpha`` falls.

    Make it by `from_search` for the scores of a search, or by `from_estimator` for the coefficients
    on all rows.

    Parameters
    ----------
    alphas : array of shape (n_alphas,)
    values : array of shape (n_alphas,) or (n_alphas, n_lines)
    errors : array of shape (n_alphas,), default=None
        The standard error of each value.
    marks : dict, default=None
        Names of alphas to mark, and the alphas.
    names : list of str, default=None
        What the lines are, where they are several.
    value_name : str, default="Coefficient"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The curves, and the lines at the marked alphas.
    errors_ : matplotlib FillBetweenPolyCollection or None

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor, GDSearchCV, RegularizationPathDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = GDRegressor(penalty="l1")
    >>> display = RegularizationPathDisplay.from_estimator(model, X, y)
    >>> display.values.shape
    (100, 10)
    >>> search = GDSearchCV(model, {"alpha": "path"}).fit(X, y)
    >>> display = RegularizationPathDisplay.from_search(search)
    >>> sorted(display.marks)
    ['best', 'one standard error']
    """

    def __init__(
        self, *, alphas, values, errors=None, marks=None, names=None, value_name="Coefficient"
    ):  # fmt: skip
        self.alphas = alphas
        self.values = values
        self.errors = errors
        self.marks = marks
        self.names = names
        self.value_name = value_name

    @classmethod
    def from_search(cls, search, *, scoring=None, ax=None, line_kw=None):
        """Draw the scores of a fitted search over ``alpha``, with their standard errors.

        The best alpha is marked, and the largest one whose score is within one standard error of
        it (`skgd.one_standard_error`). Other parameters are those of the best candidate.

        Parameters
        ----------
        search : GDSearchCV, GridSearchCV or another search with ``cv_results_``
            Fitted, over numbers for ``alpha``, also of a step of a Pipeline.
        scoring : str, default=None
            Which score, of several; None is the one that the search was refitted for.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            More settings of ``Axes.plot``.

        Returns
        -------
        RegularizationPathDisplay
        """
        check_is_fitted(
            search, "cv_results_", msg="search=%(name)s has no cv_results_: fit it first, and pass "
            "a GridSearchCV, a GDSearchCV or another search.",
        )  # fmt: skip
        results = search.cv_results_
        key, name = score_of(search, scoring)
        alpha, params = alpha_parameter(results), results["params"]
        scores = np.asarray(results[f"mean_test_{key}"], dtype=float)
        if np.isnan(scores).all():
            raise ValueError(f"search: it has no score {name!r} that is a number.")
        simple = one_standard_error(results, None if key == "score" else key)
        best, others = int(np.nanargmax(scores)), _without(params[simple], alpha)
        chosen = [i for i, each in enumerate(params) if _without(each, alpha) == others]
        chosen.sort(key=lambda i: params[i][alpha], reverse=True)
        n_splits = sum(part.startswith("split") and part.endswith(f"_test_{key}")
                       for part in results)  # fmt: skip
        errors = np.asarray(results[f"std_test_{key}"], dtype=float)[chosen]
        display = cls(
            alphas=np.array([params[i][alpha] for i in chosen], dtype=float),
            values=scores[chosen], errors=errors / np.sqrt(max(n_splits - 1, 1)), value_name=name,
            marks={"best": params[best][alpha], "one standard error": params[simple][alpha]},
        )
        return display.plot(ax=ax, line_kw=line_kw)

    @classmethod
    def from_estimator(
        cls, estimator, X, y, sample_weight=None, *, alphas=None, ax=None, line_kw=None
    ):
        """Draw the coefficients along alpha on all rows.

        Parameters
        ----------
        estimator : GDClassifier, GDRegressor or a Pipeline that ends in one
            Neither fitted nor changed.
        X : array, frame or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array of shape (n_samples,), default=None
        alphas : array of shape (n_alphas,), default=None
            None takes those of `skgd.alpha_sequence`.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            More settings of ``Axes.plot``.

        Returns
        -------
        RegularizationPathDisplay
        """
        if alphas is None:
            alphas = alpha_sequence(estimator, X, y, sample_weight=sample_weight)
        path = regularization_path(estimator, X, y, alphas, sample_weight)
        coef = path["coef"].reshape(len(path["alpha"]), -1)
        names = None
        if hasattr(X, "columns") and not isinstance(estimator, Pipeline):
            names = [str(name) for name in X.columns]
            n_outputs = coef.shape[1] // len(names)
            if n_outputs > 1:
                names = [f"{name}, output {c}" for c in range(n_outputs) for name in names]
        return cls(alphas=path["alpha"], values=coef, names=names).plot(ax=ax, line_kw=line_kw)

    def plot(self, ax=None, *, line_kw=None):
        """Draw the curves and the marks.

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
        alphas, values = np.asarray(self.alphas, dtype=float), np.asarray(self.values, dtype=float)
        lines = values.reshape(len(alphas), -1)
        names = [None] * lines.shape[1] if self.names is None else self.names
        for j, name in enumerate(names):
            settings = {"color": COLORS[j % len(COLORS)], "label": name,
                        "linestyle": ("-", "--", ":")[j // len(COLORS) % 3]}  # fmt: skip
            self.lines_ += ax.plot(alphas, lines[:, j], **settings | (line_kw or {}))
        self.errors_ = None
        if self.errors is not None:
            self.lines_[0].set_label("mean over folds")
            self.errors_ = ax.fill_between(
                alphas, lines[:, 0] - self.errors, lines[:, 0] + self.errors, alpha=0.2,
                color=self.lines_[0].get_color(), linewidth=0, label="standard error",
            )  # fmt: skip
        for j, (name, alpha) in enumerate((self.marks or {}).items()):
            self.lines_.append(ax.axvline(
                alpha, color=COLORS[j + 1], linestyle="--", label=f"{name}: {alpha:.3g}"
            ))  # fmt: skip
        positive = alphas[alphas > 0]
        ax.set_xscale("log" if len(positive) == len(alphas) else "symlog",
                      **({} if len(positive) == len(alphas)
                         else {"linthresh": positive.min(initial=1.0)}))  # fmt: skip
        ax.set_xlabel("alpha")
        ax.set_ylabel(self.value_name)
        self._add_legend(own)
        return self


def _without(params, name):
    return {other: repr(value) for other, value in params.items() if other != name}
