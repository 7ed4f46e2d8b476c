"""Penalties that are not smooth."""

import numpy as np
from scipy import sparse
from sklearn.linear_model import Lasso, SGDClassifier

from cells.base import Cell, logistic, optional, there
from cells.tables import made
from skgd import GDClassifier, GDRegressor
from skgd._objective.objective import Objective
from skgd._solvers import augmented_lagrangian, newton, working_sets
from skgd.losses import Quantile
from skgd.penalties import GroupLasso


def share_of_largest(share, X, y):
    """Return a share of the least alpha for which all coefficients of the lasso are zero."""
    return share * np.abs(X.T @ (y - y.mean())).max() / len(y)


def lasso(table, share=0.05, *, positive=False, without=None):
    """Return the cell of the lasso."""
    def ours(X, y):
        return GDRegressor(
            penalty="l1", positive=positive, alpha=share_of_largest(share, X, y)
        )  # fmt: skip

    def peer(kind, **settings):
        return kind and (lambda X, y, **options: kind(
            share_of_largest(share, X, y), positive=positive, **settings, **options
        ))  # fmt: skip

    penalty = "l1 positive" if positive else "l1"
    peers = there(
        Lasso=peer(Lasso, max_iter=10_000), celer=peer(by_columns("celer", "Lasso")),
        skglm=peer(by_columns("skglm", "Lasso")),
    )  # fmt: skip
    return Cell("squared_error", penalty, table, ours, peers, without)


def by_columns(module, name):
    """Return an optional class that reads a sparse X by columns; None where it is not installed."""
    kind = optional(module, name)
    if kind is None:
        return None

    class ByColumns(kind):
        def fit(self, X, y):
            return super().fit(X.tocsc() if sparse.issparse(X) else X, y)

    return ByColumns


def groups_of(size, X):
    """Return groups of neighbouring columns."""
    d = X.shape[1]
    return [list(range(start, min(start + size, d))) for start in range(0, d, size)]


def largest_group_alpha(groups, X, y):
    """Return the least alpha for which all coefficients of the group lasso are zero."""
    slope = X.T @ (y - y.mean()) / len(y)
    return max(np.linalg.norm(slope[group]) / np.sqrt(len(group)) for group in groups)


def group_lasso(table, size=5, share=0.05, without=None):
    """Return the cell of the group lasso."""
    def ours(X, y):
        groups = groups_of(size, X)
        return GDRegressor(
            penalty=GroupLasso(groups), alpha=share * largest_group_alpha(groups, X, y)
        )  # fmt: skip

    kind = by_columns("celer", "GroupLasso")

    def peer(X, y, **options):
        groups = groups_of(size, X)
        alpha, weights = share * largest_group_alpha(groups, X, y), np.sqrt([*map(len, groups)])
        return kind(groups=groups, alpha=alpha, weights=weights, **options)

    return Cell(
        "squared_error", f"groups of {size}", table, ours, there(celer=kind and peer), without
    )


def group_log_loss(table, size=5, share=0.05, without=None):
    """Return the cell of logistic regression with penalised groups."""
    def ours(X, y):
        groups = groups_of(size, X)
        return GDClassifier(
            penalty=GroupLasso(groups), alpha=share * largest_group_alpha(groups, X, y)
        )  # fmt: skip

    def peer(X, y, **options):
        groups = groups_of(size, X)
        return GroupLogistic(share * largest_group_alpha(groups, X, y), groups, **options)

    peers = there(skglm=optional("skglm.datafits", "LogisticGroup") and peer)
    return Cell("log_loss", f"groups of {size}", table, ours, peers, without)


class GroupLogistic:
    """skglm's proximal Newton method for logistic regression with penalised groups."""

    def __init__(self, alpha, groups, tol=1e-4):
        self.alpha, self.groups, self.tol = alpha, groups, tol

    def fit(self, X, y):
        starts = np.append(0, np.cumsum([*map(len, self.groups)])).astype(np.int32)
        columns = np.concatenate(self.groups).astype(np.int32)
        roots = np.sqrt(np.diff(starts))
        model = optional("skglm", "GeneralizedLinearEstimator")(
            optional("skglm.datafits", "LogisticGroup")(starts, columns),
            optional("skglm.penalties", "WeightedGroupL2")(self.alpha, roots, starts, columns),
            optional("skglm.solvers", "GroupProxNewton")(tol=self.tol, fit_intercept=True),
        ).fit(np.asfortranarray(X), np.where(y > 0, 1.0, -1.0))
        self.coef_, self.intercept_ = np.ravel(model.coef_), model.intercept_
        return self


def l1_hinge(table, alpha=1e-2, without=None):
    """Return the cell of the support vector machine with l1, whose peer takes steps."""
    peers = {"SGD": lambda X, y, **options: SGDClassifier(
        penalty="l1", alpha=alpha, random_state=0, **options
    )}  # fmt: skip
    return Cell(
        "hinge", "l1", table, lambda X, y: GDClassifier("hinge", penalty="l1", alpha=alpha), peers,
        without,
    )  # fmt: skip


def l1_quantile(table, q=0.9, alpha=1e-4, without=None):
    """Return the cell of sparse quantile regression, whose peers are too slow for large tables."""
    return Cell(
        f"quantile {q}", "l1", table,
        lambda X, y: GDRegressor(Quantile(q), penalty="l1", alpha=alpha), {}, without,
    )  # fmt: skip


def l1_log_loss(table, alpha=1e-4, without=None):
    """Return the cell of sparse logistic regression."""
    sparse_logistic = by_columns("skglm", "SparseLogisticRegression")
    peers = there(
        liblinear=logistic(alpha, "liblinear", l1_ratio=1.0, intercept_scaling=10.0),
        skglm=sparse_logistic and (lambda X, y, **options: sparse_logistic(alpha, **options)),
    )  # fmt: skip
    return Cell(
        "log_loss", "l1", table, lambda X, y: GDClassifier(penalty="l1", alpha=alpha), peers,
        without,
    )  # fmt: skip


class Unwary(newton._Iteration):  # noqa: SLF001
    """Newton steps that reuse the Hessian of a sample in spite of a non-smooth penalty."""

    def __init__(self, solver, *more):
        super().__init__(solver, *more)
        self.is_reused = solver.hessian is not None


CLIPPED_PROX = Objective.prox
UNCLIPPED = (
    Objective, "prox", lambda self, x, step: x if step == 0.0 else CLIPPED_PROX(self, x, step)
)  # fmt: skip
SMOOTHED = (augmented_lagrangian, "suits", lambda objective: False)
REUSED_HESSIAN = (newton, "_Iteration", Unwary)

NO_GROUPS = (working_sets, "suits", lambda objective: False)

CELLS = [
    lasso(made("text", 20_000, 30_000, "numbers")),
    lasso(made("dense", 20_000, 500, "numbers")),
    l1_log_loss(made("text", 20_000, 30_000, "classes")),
    l1_hinge(made("dense", 200, 5_000, "classes")),
    l1_hinge(made("dense", 2_000, 50, "classes")),
    l1_hinge(made("dense", 20_000, 500, "classes"), without=SMOOTHED),
    l1_hinge(made("text", 20_000, 30_000, "classes"), alpha=1e-4, without=SMOOTHED),
    l1_quantile(made("text", 20_000, 30_000, "numbers"), without=SMOOTHED),
    lasso(made("text", 20_000, 30_000, "numbers"), positive=True, without=UNCLIPPED),
    lasso(made("dense", 200, 5_000, "numbers"), positive=True, without=UNCLIPPED),
    lasso(made("dense", 200, 5_000, "numbers")),
    lasso(made("dense", 2_000, 50, "numbers")),
    lasso(made("dense", 100_000, 50, "numbers")),
    l1_log_loss(made("dense", 200, 5_000, "classes")),
    l1_log_loss(made("dense", 100_000, 50, "classes"), alpha=1e-2, without=REUSED_HESSIAN),
    group_lasso(made("dense", 200, 5_000, "numbers"), without=NO_GROUPS),
    group_lasso(made("dense", 200, 5_000, "numbers"), size=50),
    group_lasso(made("dense", 20_000, 500, "numbers"), share=0.01, without=NO_GROUPS),
    group_lasso(made("dense", 2_000, 50, "numbers")),
    group_lasso(made("dense", 100_000, 50, "numbers")),
    group_lasso(made("text", 4_000, 15_000, "numbers"), share=0.3),
    group_log_loss(made("dense", 200, 5_000, "classes"), without=NO_GROUPS),
    group_log_loss(made("dense", 20_000, 500, "classes"), share=0.02),
]
