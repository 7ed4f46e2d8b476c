"""Smooth losses with an l2 penalty."""

from cells.base import Cell, logistic, poisson, ridge, support_vectors
from cells.tables import bundled, enlarged_digits, made
from skgd import GDClassifier, GDRegressor
from skgd._solvers import costs, warm_start


def log_loss(table, alpha=1e-4, without=None, *, is_wide=False):
    """Return the cell of logistic regression, with a softmax for several classes.

    newton-cholesky, which takes half a minute on 5000 columns, is no peer on wide tables, and
    newton-cg, which takes longer wherever both reach the objective, on no others.
    """
    solvers = ("lbfgs", "newton-cg" if is_wide else "newton-cholesky")
    peers = {solver: logistic(alpha, solver) for solver in solvers}
    return Cell("log_loss", "l2", table, lambda X, y: GDClassifier(alpha=alpha), peers, without)


def least_squares(table, alpha=1e-4):
    """Return the cell of ridge regression."""
    peers = {"ridge": ridge(alpha)}
    return Cell("squared_error", "l2", table, lambda X, y: GDRegressor(alpha=alpha), peers)


def counts(table, alpha=1e-4, *, is_wide=False):
    """Return the cell of Poisson regression; newton-cholesky is no peer on wide tables."""
    solvers = ("lbfgs",) if is_wide else ("lbfgs", "newton-cholesky")
    peers = {solver: poisson(alpha, solver) for solver in solvers}
    return Cell("poisson", "l2", table, lambda X, y: GDRegressor("poisson", alpha=alpha), peers)


def squared_hinge(table, alpha=1e-4, *, is_wide=False):
    """Return the cell of the l2-loss support vector machine.

    liblinear's dual coordinate descent, which takes up to half a minute on others, is a peer on
    wide tables.
    """
    peers = {"liblinear": support_vectors(alpha, "squared_hinge", dual=False)}
    if is_wide:
        peers["liblinear dual"] = support_vectors(alpha, "squared_hinge", dual=True)
    return Cell(
        "squared_hinge", "l2", table, lambda X, y: GDClassifier("squared_hinge", alpha=alpha),
        peers,
    )  # fmt: skip


def huber(table, alpha=1e-4):
    """Return the cell of Huber regression, whose scale is fixed: no peer has one."""
    return Cell("huber", "l2", table, lambda X, y: GDRegressor("huber", alpha=alpha), {})


ENTIRE_START = (warm_start.GradientStart, "_passes_left", staticmethod(lambda squares, used: 0.0))
NO_START = (costs.LBFGSStart, "hessian_work", float("inf"))
ALL_NUMBERS = (costs.Compression, "share", 0.0)
FULL_HESSIAN = (costs.Factorisation, "sampled_from", float("inf"))

CELLS = [
    # Wide dense tables.
    log_loss(made("dense", 200, 5_000, "classes"), is_wide=True),
    log_loss(made("dense", 200, 5_000, 3), is_wide=True),
    counts(made("dense", 200, 5_000, "counts"), is_wide=True),
    least_squares(made("dense", 200, 5_000, "numbers")),
    squared_hinge(made("dense", 200, 5_000, "classes"), is_wide=True),
    huber(made("dense", 200, 5_000, "numbers")),
    log_loss(made("dense", 1_000, 5_000, "classes"), is_wide=True),
    least_squares(made("dense", 1_000, 5_000, "numbers")),
    # Small ones.
    least_squares(made("dense", 2_000, 50, "numbers")),
    counts(made("dense", 2_000, 50, "counts")),
    log_loss(made("dense", 2_000, 50, "classes")),
    huber(made("dense", 2_000, 50, "numbers")),
    least_squares(bundled("iris")),
    least_squares(bundled("diabetes")),
    counts(bundled("diabetes", counts=True)),
    log_loss(bundled("breast_cancer")),
    log_loss(bundled("iris")),
    log_loss(bundled("wine")),
    log_loss(bundled("digits")),
    # Tall ones.
    log_loss(made("dense", 20_000, 500, "classes")),
    log_loss(made("dense", 100_000, 50, "classes")),
    log_loss(made("dense", 100_000, 50, 3)),
    counts(made("dense", 20_000, 500, "counts")),
    counts(made("dense", 100_000, 50, "counts")),
    least_squares(made("dense", 20_000, 500, "numbers")),
    least_squares(made("dense", 100_000, 50, "numbers")),
    squared_hinge(made("dense", 100_000, 50, "classes")),
    huber(made("dense", 100_000, 50, "numbers")),
    log_loss(made("correlated", 10_000, 300, "classes"), without=ENTIRE_START),
    log_loss(made("factors", 10_000, 300, "classes"), without=ENTIRE_START),
    log_loss(made("dense", 10_000, 300, "classes"), without=NO_START),
    log_loss(made("correlated", 60_000, 500, "classes"), without=FULL_HESSIAN),
    # Mostly zero, and nearly separable.
    log_loss(made("one-hot", 6_142, 1_838, "classes"), without=ALL_NUMBERS),
    log_loss(enlarged_digits(), is_wide=True),
    # Text.
    log_loss(made("text", 20_000, 30_000, "classes"), is_wide=True),
    log_loss(made("text", 4_000, 15_000, "classes"), is_wide=True),
    log_loss(made("text", 2_000, 8_000, 20), is_wide=True),
    squared_hinge(made("text", 20_000, 30_000, "classes")),
    squared_hinge(made("text", 4_000, 15_000, "classes")),
    counts(made("text", 20_000, 30_000, "counts"), is_wide=True),
    least_squares(made("text", 20_000, 30_000, "numbers")),
]
