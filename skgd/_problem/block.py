"""A block of rows, and the questions that are put to it.

A question is a function of a block and of what is asked, loss and coefficients among them. It
returns sums over the rows of the block, as a tuple of arrays, and changes nothing that an answer
depends on: what a block keeps of a point spares it a pass when it is asked again, and is computed
in the same way where it has been lost. So an answer is the same, to the bit, whoever gives it.
"""

import sys
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skgd._engine import rows_of
from skgd._problem.problem import Problem
from skgd._utils.checks import canonical

# Losses of which a block keeps the problem: those of a smoothing path.
LOSSES = 16


class NamedLoss(NamedTuple):
    """A loss, and a name that distinguishes it from others of the same fit."""

    name: str
    loss: object


class Block:
    """Rows of X with targets and weights.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_rows, n_features)
    targets : array of shape (n_rows, n_outputs) or (n_rows,)
        As the loss wants them.
    weights : array of shape (n_rows,) or None
    n_outputs : int
    """

    def __init__(self, X, targets, weights, n_outputs):
        # What came over a network may lie at odd addresses.
        self.X, self.n_outputs = canonical(X), n_outputs
        self.targets = np.require(targets, np.float64, "CA")
        self.weights = None if weights is None else np.require(weights, np.float64, "CA")
        self.n = self.X.shape[0]
        self.weight = float(self.n if self.weights is None else self.weights.sum())
        self.problems, self.known = {}, {}

    def __reduce__(self):
        return Block, (self.X, self.targets, self.weights, self.n_outputs)

    def __sizeof__(self):
        X = self.X
        parts = [X.data, X.indices, X.indptr] if sparse.issparse(X) else [X]
        parts += [self.targets] if self.weights is None else [self.targets, self.weights]
        return sys.getsizeof(self.known) + sum(part.nbytes for part in parts)

    def problem(self, loss):
        """Return the problem of the rows with a `NamedLoss`."""
        if loss.name not in self.problems:
            if len(self.problems) >= LOSSES:
                self.problems.clear()
            rows = self.once("rows", None, lambda: rows_of(self.X))
            self.problems[loss.name] = Problem(
                self.X, self.targets, self.weights, loss.loss, self.n_outputs, rows=rows
            )
        return self.problems[loss.name]

    def once(self, what, key, make):
        """Return what `make` returns, which is kept until it is asked for another key."""
        known = self.known.get(what)
        if known is None or known[0] != key:
            known = self.known[what] = key, make()
        return known[1]

    def losses_and_gradients(self, loss, coef, intercept, *, keep):
        """Return means over the rows; the margins are kept for an expansion if that is wanted."""
        problem = self.problem(loss)
        margins = problem.room_for_margins() if keep else None
        means = problem.losses_and_gradients(coef, intercept, margins=margins)
        if margins is not None:
            self.known["margins"] = _point(loss, coef, intercept), margins
        return means

    def expansion(self, loss, coef, intercept):
        """Return the losses to second order about a point."""
        problem, key = self.problem(loss), _point(loss, coef, intercept)

        def margins():
            # By the same pass as in `losses_and_gradients`: products of BLAS differ in rounding.
            found = problem.room_for_margins()
            if found is not None:
                problem.losses_and_gradients(coef, intercept, margins=found)
            return found

        return self.once("expansion", key, lambda: problem.expand(
            coef, intercept, self.once("margins", key, margins)
        ))  # fmt: skip

    def dual_point(self, loss, origin):
        """Return dual variables for a loss.

        Parameters
        ----------
        loss : NamedLoss
        origin : tuple
            Of the `NamedLoss` that they come from, what they are there ("origin", "step",
            "gradient"), and arguments.
        """
        source, kind, *arguments = origin
        key = source.name, kind, *(part.tobytes() for part in arguments)

        def make():
            if kind == "step":
                return self.expansion(source, *arguments[:2]).dual_point(*arguments[2:])
            if kind == "gradient":
                return self.problem(source).scaled_gradient_dual_point(*arguments)
            return self.problem(source).dual_origin()

        return self.once("dual", key, make).for_problem(self.problem(loss))


def _point(loss, coef, intercept):
    return loss.name, coef.tobytes(), intercept.tobytes()


def _sums(block, means):
    """Return sums over the rows from means."""
    return tuple(np.asarray(mean) * block.weight for mean in means)


# ---- questions ----------------------------------------------------------------------------------

class Facts(NamedTuple):
    """What a block says about itself before anything is asked."""

    n: int
    n_weighted: int
    weight: float
    least_weight: float
    size: int
    is_sparse: bool
    columns: object
    targets: object
    target_sizes: np.ndarray


def describe(block, loss, task):
    """Return the `Facts` of a block."""
    problem, X = block.problem(loss), block.X
    is_counted = block.weight > 0.0
    if task == "classification":
        targets = problem.class_sums()
    else:
        targets = problem.target_moments() if is_counted else None
    sizes = np.abs(block.targets)
    least = sizes[sizes > 0].min(initial=np.inf)
    return Facts(
        block.n, problem.n_weighted, block.weight,
        problem.least_weight() if is_counted else np.inf,
        X.nnz if sparse.issparse(X) else X.size, sparse.issparse(X),
        problem.moments() if is_counted else None, targets,
        np.array([least, sizes.max(initial=0.0)]),
    )  # fmt: skip


def sum_losses(block, loss, coef, intercept):
    """Return the sum of each output's losses."""
    return _sums(block, [block.problem(loss).losses(coef, intercept)])


def sum_gradients(block, loss, coef, intercept, keep):
    """Return the sums of the losses and of their gradients; the margins may be kept."""
    return _sums(block, block.losses_and_gradients(loss, coef, intercept, keep=keep))


def sum_constant_losses(block, loss, intercept):
    """Return the sum of each output's losses where all margins are constants."""
    return _sums(block, [block.problem(loss).constant_losses(intercept)])


def sum_second_order(block, loss, coef, intercept, name, *arguments):
    """Return the sums of a method of the block's `Expansion` about a point."""
    means = getattr(block.expansion(loss, coef, intercept), name)(*arguments)
    return _sums(block, means if isinstance(means, tuple | list) else [means])


def sum_derivatives(block, loss, coef, intercept):
    """Return the sums of derivatives above 0, and of the sizes of those below."""
    return _sums(block, block.problem(loss).derivative_sums(coef, intercept))


def sum_dual_terms(block, loss, origin, factors):
    """Return how many rows are not feasible, and sums of conjugates and of the dual variables."""
    dual = block.dual_point(loss, origin).scaled(factors)
    is_infeasible = np.array([0.0 if dual.is_feasible() else 1.0])
    return is_infeasible, *_sums(block, [*dual.conjugates(), *dual.moments()])


def sum_dual_products(block, loss, origin, factors, mean, with_sizes):
    """Return the sums of `DualPoint.weighted_sums`."""
    dual = block.dual_point(loss, origin).scaled(factors)
    return _sums(block, dual.weighted_sums(mean, with_sizes=with_sizes))


def largest_norm(block, loss, mean, scale):
    """Return the largest weight of a row times its squared norm."""
    return block.problem(loss).largest_weighted_norm(mean, scale)


def rows_at(block, rows):
    """Return the rows with given numbers, with their targets and weights."""
    weights = None if block.weights is None else block.weights[rows]
    return block.X[rows], block.targets[rows], weights


def all_rows(block):
    """Return all rows, with their targets and weights."""
    return block.X, block.targets, block.weights


def all_targets(block):
    """Return all targets, and weights or None."""
    return block.targets, block.weights


def targets_at(block, rows):
    """Return the targets of some rows, and their weights or None."""
    return block.targets[rows], None if block.weights is None else block.weights[rows]


def numbers_at(block, positions):
    """Return the numbers of the rows at some positions among those with a weight."""
    return np.flatnonzero(block.weights)[positions]
