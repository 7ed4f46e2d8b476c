"""Fit the cells of a table of loss x penalty x shape with defaults, beside a peer on the same F.

    python solvers.py [--only NAME] [--repetitions 3] [--quick]

A line a cell: the seconds and the objective of skgd, of skgd as it was where a fault slowed it down
("before", put back for the measurement), and of the peer; how often the peer takes longer; and the
stop reason. The objective of all is skgd's, so the lower one is nearer to the minimum.
"""

import time
import warnings
from functools import cache, partial
from inspect import getattr_static
from typing import NamedTuple

import numpy as np
from _shared import read_options
from scipy import sparse
from scipy.signal import lfilter
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LogisticRegression, SGDClassifier
from sklearn.svm import LinearSVC

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
    if kind == "CSR":
        stored = min(30, d)
        columns = np.sort(rng.integers(0, d, size=(n, stored)), axis=1)
        ends = np.arange(0, n * stored + 1, stored)
        X = sparse.csr_matrix((rng.random(n * stored), columns.ravel(), ends), shape=(n, d))
        X.sum_duplicates()
    elif kind == "correlated":
        X = lfilter([1.0], [1.0, -0.98], rng.normal(size=(n, d)), axis=1)
    elif kind == "factors":
        X = 5 * rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + rng.normal(size=(n, d))
    else:
        X = rng.normal(size=(n, d))
    z = X @ (rng.normal(size=d) * (np.arange(d) < max(50, d // 100)))
    z += 0.1 * np.std(z) * rng.normal(size=n)
    return X, (z > np.median(z)) if task == "classes" else z


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


def sparse_peers():
    """Return the solvers of celer and skglm for sparse models: functions of alpha, by name.

    A line says which is not installed.
    """
    peers = {}
    try:
        import celer  # noqa: PLC0415

        peers["celer lasso"] = celer.Lasso
    except ImportError:
        print("celer is not installed: pip install -e '.[bench]' adds its cells")
    try:
        import skglm  # noqa: PLC0415

        peers["skglm lasso"] = skglm.Lasso
        peers["skglm l1 log_loss"] = skglm.SparseLogisticRegression
    except ImportError:
        print("skglm is not installed: pip install -e '.[bench]' adds its cells")
    return peers


def cells_of_working_sets():
    """Return cells of non-smooth penalties on wide and sparse tables."""
    shapes = (
        ("CSR", 20_000, 30_000), ("dense", 200, 5_000), ("dense", 20_000, 500),
        ("dense", 100_000, 50), ("dense", 2_000, 50),
    )  # fmt: skip
    cells, peers = [], sparse_peers()
    for kind, n, d in shapes:
        label = f"{kind} {n}x{d}"
        regression, classes = (kind, n, d, "numbers"), (kind, n, d, "classes")
        for positive in (False, True):
            ours, peer = lasso(positive)
            name = "lasso positive" if positive else "lasso"
            cells.append(Cell(f"{name} {label} Lasso", regression, ours, peer))
            for library in ("celer", "skglm"):
                if f"{library} lasso" in peers:
                    cells.append(Cell(f"{name} {label} {library}", regression, ours, partial(
                        _sparse_lasso, peers[f"{library} lasso"], positive
                    )))  # fmt: skip
        ours, peer = l1_logistic(1e-3)
        cells.append(Cell(f"l1 log_loss {label} liblinear", classes, ours, peer))
        if "skglm l1 log_loss" in peers:
            cells.append(Cell(f"l1 log_loss {label} skglm", classes, ours, partial(
                _sparse_logistic, peers["skglm l1 log_loss"], 1e-3
            )))  # fmt: skip
        if n * d < 1e8:
            cells.append(Cell(f"hinge l1 {label} SGD", classes, *l1_support_vectors(1e-2)))
    return cells


def _sparse_lasso(kind, positive, X, y):
    return kind(l1_of(0.05, X, y), positive=positive)


def _sparse_logistic(kind, alpha, X, y):
    return kind(alpha)


def l1_support_vectors(alpha):
    """Return the estimators of the support vector machine with l1, whose peer takes steps."""
    def peer(X, y):
        return SGDClassifier(penalty="l1", alpha=alpha, random_state=0)

    return lambda X, y: GDClassifier("hinge", penalty="l1", alpha=alpha), peer


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


def objective(model, X, y, coef, intercept):
    """Return skgd's objective of any coefficients."""
    z = X @ np.ravel(coef) + float(np.ravel(intercept)[0])
    targets = y if isinstance(model, GDRegressor) else np.where(y, 1.0, -1.0)
    if model.loss == "squared_error":
        losses = 0.5 * (targets - z) ** 2
    elif model.loss == "hinge":
        losses = np.maximum(0.0, 1.0 - targets * z)
    else:
        losses = np.logaddexp(0.0, -targets * z)
    w = np.ravel(coef)
    penalty = np.abs(w).sum() if model.penalty == "l1" else 0.5 * w @ w
    return losses.mean() + model.alpha * penalty


def measure(model, X, y, repetitions):
    """Return the least seconds of a fit, and the fitted model."""
    if sparse.issparse(X) and type(model).__module__.startswith(("celer", "skglm")):
        X = X.tocsc()  # which is what they take
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
    for cell in [*CELLS, *cells_of_working_sets()]:
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
        print(f"{cell.name:42}" + "".join(f"{text:>20}" for text in texts)
              + f"{took / seconds:11.2f}  {reason}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
