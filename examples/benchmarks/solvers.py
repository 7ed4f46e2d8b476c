"""Fit the cells of a table of loss x penalty x shape with defaults, beside a peer on the same F.

    python solvers.py [--only NAME] [--repetitions 3] [--quick]

A line a cell: the seconds and the objective of skgd, of skgd as it was where a fault slowed it down
("before", put back for the measurement), and of the peer; how often the peer takes longer; and the
stop reason. The objective of all is skgd's, so the lower one is nearer to the minimum.
"""

import time
import warnings
from functools import cache
from inspect import getattr_static
from typing import NamedTuple

import numpy as np
from _shared import read_options
from scipy import sparse
from scipy.signal import lfilter
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC, LinearSVR

from skgd import GDClassifier, GDRegressor
from skgd._objective.objective import Objective
from skgd._solvers import costs, duality_gap, newton, row_space, warm_start


class Cell(NamedTuple):
    """A fit, its peer, and what puts an old fault back: (owner, name, replacement)."""

    name: str
    data: tuple
    make: object
    peer: object
    before: tuple | None = None


@cache
def table(kind, n, d, task):
    """Return X and the targets of a table whose first columns count.

    Neighbouring columns of a "correlated" table are nearly equal; three factors make most of
    the columns of "factors".
    """
    rng = np.random.default_rng(0)
    if kind == "text":
        return text(n, d, task, rng)
    if kind == "CSR":
        X = sparse.random(n, d, density=min(1.0, 30 / d), format="csr", random_state=0)
    elif kind == "correlated":
        X = lfilter([1.0], [1.0, -0.98], rng.normal(size=(n, d)), axis=1)
    elif kind == "factors":
        X = 5 * rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + rng.normal(size=(n, d))
    else:
        X = rng.normal(size=(n, d))
    z = X @ (rng.normal(size=d) * (np.arange(d) < max(50, d // 100)))
    z += 0.1 * np.std(z) * rng.normal(size=n)
    return X, (z > np.median(z)) if task == "classes" else z


def text(n, d, task, rng):
    """Return rows of unit length with 80 numbers, as tf-idf has them, and targets or classes."""
    columns = rng.integers(0, d, (n, 80))
    starts = np.arange(0, n * 80 + 1, 80)
    X = sparse.csr_matrix((rng.random(n * 80), columns.ravel(), starts), (n, d))
    X.sum_duplicates()
    X = normalize(X)
    z = X @ rng.normal(size=(d, 20 if task == "20 classes" else 1))
    z = z / np.std(z) + 0.3 * rng.gumbel(size=z.shape)
    if task == "20 classes":
        return X, z.argmax(axis=1)
    z = z[:, 0] - np.median(z)
    return X, (z > 0) if task == "classes" else z


def l1_of(share, X, y):
    """Return a share of the least alpha for which all coefficients of the lasso are zero."""
    return share * np.abs(X.T @ (y - y.mean())).max() / len(y)


def lasso(positive, share=0.05):
    """Return the estimators of the lasso for data."""
    def ours(X, y):
        return GDRegressor(penalty="l1", positive=positive, alpha=l1_of(share, X, y))

    def peer(X, y):
        return Lasso(l1_of(share, X, y), positive=positive)

    return ours, peer


def l1_logistic(alpha):
    """Return the estimators of logistic regression with l1, whose peer is liblinear."""
    def peer(X, y):
        return LogisticRegression(
            C=1 / (alpha * len(y)), l1_ratio=1.0, solver="liblinear", intercept_scaling=1e3
        )

    return lambda X, y: GDClassifier(penalty="l1", alpha=alpha), peer


def l2_logistic(alpha):
    """Return the estimators of logistic regression with l2, whose peer is L-BFGS."""
    def peer(X, y):
        return LogisticRegression(C=1 / (alpha * len(y)), max_iter=10_000)

    return lambda X, y: GDClassifier(alpha=alpha), peer


def support_vectors(alpha):
    """Return the estimators of the linear support vector machine."""
    def peer(X, y):
        return LinearSVC(loss="hinge", C=1 / (alpha * len(y)), intercept_scaling=1e3)

    return lambda X, y: GDClassifier("hinge", alpha=alpha), peer


def liblinear(loss, alpha=1e-4):
    """Return the estimators of a loss whose peer is liblinear, which penalises the intercept.

    The loss of the quantile 0.5 is half the absolute error.
    """
    def ours(X, y):
        return (GDClassifier if loss.endswith("hinge") else GDRegressor)(loss, alpha=alpha)

    def peer(X, y):
        C = (0.5 if loss == "quantile" else 1.0) / (alpha * len(y))
        if loss.endswith("hinge"):
            return LinearSVC(loss=loss, C=C, max_iter=10_000)
        return LinearSVR(epsilon=0.1 * (loss == "epsilon_insensitive"), C=C, max_iter=10_000)

    return ours, peer


class Unwary(newton._Iteration):  # noqa: SLF001
    """Newton steps that reuse the Hessian of a sample in spite of a non-smooth penalty."""

    def __init__(self, solver, *more):
        super().__init__(solver, *more)
        self.is_reused = solver.hessian is not None


CLIPPED_PROX = Objective.prox
UNCLIPPED = (
    Objective, "prox", lambda self, x, step: x if step == 0.0 else CLIPPED_PROX(self, x, step)
)  # fmt: skip
REUSED_HESSIAN = (newton, "_Iteration", Unwary)
ENTIRE_START = (warm_start.GradientStart, "_passes_left", staticmethod(lambda squares, used: 0.0))
NO_START = (costs.LBFGSStart, "hessian_work", np.inf)
FULL_HESSIAN = (costs.Factorisation, "sampled_from", np.inf)
ALL_COLUMNS = (row_space, "in_row_space", lambda objective: None)
CELLS = [
    Cell("lasso positive CSR 20000x30000", ("CSR", 20_000, 30_000, "numbers"), *lasso(True),
         UNCLIPPED),
    Cell("lasso positive dense 200x5000", ("dense", 200, 5_000, "numbers"), *lasso(True),
         UNCLIPPED),
    Cell("lasso dense 200x5000", ("dense", 200, 5_000, "numbers"), *lasso(False)),
    Cell("l1 log_loss dense 100000x50", ("dense", 100_000, 50, "classes"), *l1_logistic(1e-2),
         REUSED_HESSIAN),
    Cell("l2 log_loss correlated 10000x300", ("correlated", 10_000, 300, "classes"),
         *l2_logistic(1e-4), ENTIRE_START),
    Cell("l2 log_loss factors 10000x300", ("factors", 10_000, 300, "classes"),
         *l2_logistic(1e-4), ENTIRE_START),
    Cell("l2 log_loss dense 10000x300", ("dense", 10_000, 300, "classes"), *l2_logistic(1e-4),
         NO_START),
    Cell("l2 log_loss correlated 60000x500", ("correlated", 60_000, 500, "classes"),
         *l2_logistic(1e-4), FULL_HESSIAN),
    Cell("hinge l2 dense 200x5000", ("dense", 200, 5_000, "classes"), *support_vectors(1e-4),
         ALL_COLUMNS),
    Cell("hinge l2 dense 20000x50", ("dense", 20_000, 50, "classes"), *support_vectors(1e-4)),
]  # fmt: skip

# Dual coordinate descent on sparse and wide tables.
CELLS += [
    Cell(f"{loss} {kind} {n}x{d}", (kind, n, d, "classes" if "hinge" in loss else "numbers"),
         *liblinear(loss))
    for kind, n, d in (("text", 20_000, 30_000), ("text", 3_750, 15_000), ("dense", 200, 5_000))
    for loss in ("hinge", "squared_hinge", "absolute_error", "epsilon_insensitive", "quantile")
]  # fmt: skip
CELLS.append(Cell("hinge 20 classes text 2000x8000", ("text", 2_000, 8_000, "20 classes"),
                  *liblinear("hinge")))  # fmt: skip


def objective(model, X, y, coef, intercept):
    """Return skgd's objective of any coefficients."""
    if np.ndim(coef) == 2 and len(coef) > 1:  # one-vs-rest
        return sum(
            objective(model, X, y == c, *parts)
            for c, parts in enumerate(zip(coef, intercept, strict=True))
        )
    z = X @ np.ravel(coef) + float(np.ravel(intercept)[0])
    targets = y if isinstance(model, GDRegressor) else np.where(y, 1.0, -1.0)
    if model.loss in ("absolute_error", "quantile"):
        losses = np.abs(targets - z) * (0.5 if model.loss == "quantile" else 1.0)
    elif model.loss == "epsilon_insensitive":
        losses = np.maximum(np.abs(targets - z) - 0.1, 0.0)
    elif model.loss == "squared_error":
        losses = 0.5 * (targets - z) ** 2
    elif "hinge" in model.loss:
        losses = np.maximum(0.0, 1.0 - targets * z) ** (2 if model.loss == "squared_hinge" else 1)
    else:
        losses = np.logaddexp(0.0, -targets * z)
    w = np.ravel(coef)
    penalty = np.abs(w).sum() if model.penalty == "l1" else 0.5 * w @ w
    return losses.mean() + model.alpha * penalty


def measure(model, X, y, repetitions):
    """Return the least seconds of a fit, and the fitted model."""
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(repetitions):
            start = time.perf_counter()
            model.fit(X, y)
            seconds.append(time.perf_counter() - start)
    return min(seconds), model


def measure_before(cell, model, X, y):
    """Return what `measure` does once, with the old fault put back."""
    faults = [cell.before, (duality_gap, "knows_gap", lambda objective: False)]
    now = [getattr_static(owner, name) for owner, name, _ in faults]
    try:
        for owner, name, replacement in faults:
            setattr(owner, name, replacement)
        return measure(model, X, y, 1)
    finally:
        for (owner, name, _), value in zip(faults, now, strict=True):
            setattr(owner, name, value)


def main():
    """Print a line a cell."""
    only, divisor, repetitions = read_options(__doc__, 3, 1)
    print(f"{'':32}{'skgd':>20}{'before':>20}{'peer':>20}  peer/skgd  stop reason")
    for cell in CELLS:
        if only not in cell.name:
            continue
        kind, n, d, task = cell.data
        X, y = table(kind, max(50, n // divisor), max(10, d // divisor), task)
        model = cell.make(X, y)
        seconds, fitted = measure(model, X, y, repetitions)
        columns = [(seconds, objective(model, X, y, fitted.coef_, fitted.intercept_))]
        reason = fitted.stop_reason_
        if cell.before is not None:
            was, fitted = measure_before(cell, cell.make(X, y), X, y)
            columns.append((was, objective(model, X, y, fitted.coef_, fitted.intercept_)))
        else:
            columns.append(None)
        took, peer = measure(cell.peer(X, y), X, y, repetitions)
        columns.append((took, objective(model, X, y, peer.coef_, peer.intercept_)))
        texts = ("" if c is None else f"{c[0]:.3g} s {c[1]:.4e}" for c in columns)
        print(f"{cell.name:32}" + "".join(f"{text:>20}" for text in texts)
              + f"{took / seconds:11.2f}  {reason}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
