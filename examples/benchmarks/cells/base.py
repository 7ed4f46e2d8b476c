"""What a cell is: a table, skgd's estimator for it, and its peers on the same objective."""

import importlib
from typing import NamedTuple

from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.svm import LinearSVC, LinearSVR


class Cell(NamedTuple):
    """A fit and its peers.

    Attributes
    ----------
    loss, penalty : str
    table : Table
    ours : callable
        ``ours(X, y)`` returns skgd's estimator, with defaults but for the objective.
    peers : dict
        ``peer(X, y, **options)`` by its name: an estimator with ``coef_`` and ``intercept_`` of the
        same objective. Options are empty or ``tol``.
    without : tuple or None
        (owner, name, replacement): what switches a special path off, so that ``--without`` shows
        its gain.
    """

    loss: str
    penalty: str
    table: object
    ours: object
    peers: dict
    without: tuple | None = None

    @property
    def name(self):
        return f"{self.loss} {self.penalty} {self.table.name}"


def optional(module, name):
    """Return a class of a package of the ``bench`` extra; None where it is not installed."""
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError:
        return None


def there(**peers):
    """Return the peers that are installed."""
    return {name: peer for name, peer in peers.items() if peer is not None}


def logistic(alpha, solver="lbfgs", **more):
    """Return scikit-learn's logistic regression with skgd's alpha."""
    def make(X, y, **options):
        most = {"lbfgs": 10_000, "newton-cholesky": 100, "newton-cg": 1000}.get(solver, 1000)
        return LogisticRegression(
            C=1 / (alpha * len(y)), solver=solver, max_iter=most, **more, **options
        )

    return make


def ridge(alpha):
    """Return scikit-learn's ridge regression with skgd's alpha."""
    return lambda X, y, **options: Ridge(alpha * len(y), **options)


def poisson(alpha, solver="lbfgs"):
    """Return scikit-learn's Poisson regression."""
    return lambda X, y, **options: PoissonRegressor(
        alpha=alpha, solver=solver, max_iter=10_000, **options
    )


def support_vectors(alpha, loss="hinge", intercept_scaling=1.0, **more):
    """Return liblinear's support vector machine, which penalises the intercept, too.

    With classes of one size it hardly differs from 0. Where a large ``intercept_scaling`` takes
    most of its penalty away, liblinear takes up to a hundred times as long.
    """
    return lambda X, y, **options: LinearSVC(
        loss=loss, C=1 / (alpha * len(y)), intercept_scaling=intercept_scaling, max_iter=2000,
        **more, **options,
    )  # fmt: skip


def support_vector_regression(alpha, epsilon=0.0, intercept_scaling=1.0, **more):
    """Return liblinear's support vector regression, which penalises the intercept, too."""
    return lambda X, y, **options: LinearSVR(
        epsilon=epsilon, C=1 / (alpha * len(y)), intercept_scaling=intercept_scaling,
        max_iter=2000, **more, **options,
    )  # fmt: skip
