"""Piecewise-linear losses with an l2 penalty."""

from cells.base import Cell, support_vector_regression, support_vectors
from cells.tables import made
from skgd import GDClassifier, GDRegressor
from skgd._solvers import row_space
from skgd.losses import Quantile


def hinge(table, alpha=1e-4, without=None):
    """Return the cell of the linear support vector machine."""
    peers = {"liblinear": support_vectors(alpha)}
    return Cell(
        "hinge", "l2", table, lambda X, y: GDClassifier("hinge", alpha=alpha), peers, without
    )


def absolute_error(table, alpha=1e-4):
    """Return the cell of median regression."""
    peers = {"liblinear": support_vector_regression(alpha)}
    return Cell(
        "absolute_error", "l2", table, lambda X, y: GDRegressor("absolute_error", alpha=alpha),
        peers,
    )  # fmt: skip


def epsilon_insensitive(table, alpha=1e-4):
    """Return the cell of linear support vector regression."""
    peers = {"liblinear": support_vector_regression(alpha, epsilon=0.1)}
    return Cell(
        "epsilon_insensitive", "l2", table,
        lambda X, y: GDRegressor("epsilon_insensitive", alpha=alpha), peers,
    )  # fmt: skip


def quantile(table, q=0.9, alpha=1e-4):
    """Return the cell of quantile regression, which has no peer with this penalty."""
    return Cell(f"quantile {q}", "l2", table, lambda X, y: GDRegressor(Quantile(q), alpha=alpha),
                {})  # fmt: skip


ALL_COLUMNS = (row_space, "in_row_space", lambda objective: None)

CELLS = [
    hinge(made("dense", 200, 5_000, "classes"), without=ALL_COLUMNS),
    hinge(made("dense", 20_000, 50, "classes")),
    absolute_error(made("dense", 200, 5_000, "numbers")),
    absolute_error(made("dense", 20_000, 50, "numbers")),
    quantile(made("dense", 20_000, 50, "numbers")),
    hinge(made("text", 20_000, 30_000, "classes")),
    hinge(made("text", 3_750, 15_000, "classes")),
    hinge(made("text", 2_000, 8_000, 20)),
    *(
        regression(made("text", n, d, "numbers"))
        for n, d in ((20_000, 30_000), (3_750, 15_000))
        for regression in (absolute_error, epsilon_insensitive, quantile)
    ),
]
