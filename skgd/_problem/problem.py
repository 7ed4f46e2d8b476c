"""The data term of the objective, and the questions that solvers may ask of its rows.

    f(W, b) = 1/S sum_i s_i l(y_i, z_i),    z_i = W x_i + b,    S = sum_i s_i

Each question is a pure function of the rows and of what is asked: sums over the rows for given
coefficients, or some rows for given numbers. Sums are taken block by block, in the blocks' order.
No solver sees a row, so that a solver works in the same way wherever the rows are. Numbers of
shape (n_samples, n_outputs), such as margins and derivatives, are kept where they are few and
computed again block by block where they are many.
"""

from functools import cached_property

import numpy as np
from scipy import sparse

from skgd._engine import DataTerm, rows_of, signed_targets, value_and_gradient
from skgd._problem.column_store import ColumnStore
from skgd._problem.dual_point import DualPoint, balancing
from skgd._problem.expansion import Expansion
from skgd._problem.moments import Moments
from skgd._problem.scaled_rows import ScaledRows, dense_scaled_rows, margins_of, single_rows
from skgd._utils.checks import canonical

# Numbers of shape (n_samples, n_outputs) that are kept, at most: 64 MB each. Where they are more,
# this many are computed at a time: 8 MB.
KEPT, PART = 2**23, 2**20
# Rows that tell whether most numbers of a table are not zero.
SEEN = 1024
# Numbers of a block of rows whose squared norms are taken together.
NORMS = 2**15


class PassCounter:
    """The passes over the rows that questions have taken so far."""

    def __init__(self):
        self.passes = 0


class Problem:
    """Rows of X with targets, weights and a loss.

    Parameters
    ----------
    X : array or CSR matrix of shape (n_samples, n_features)
    targets : float64 array of shape (n_samples, n_outputs) or (n_samples,)
        Numbers, or codes of classes.
    weights : float64 array of shape (n_samples,) or None
    loss : Loss
    n_outputs : int
    n_threads : int, default=1
    rows : Rows or None, default=None
        The engine's view of X, where it is known already.
    counter : PassCounter or None, default=None
        That of the problem that this one is derived from.
    """

    # Whether the rows lie in blocks, and whether solvers may ask for more than sums over them.
    is_in_blocks, may_gather = False, True

    def __init__(
        self, X, targets, weights, loss, n_outputs, *, n_threads=1, rows=None, counter=None
    ):
        self.X, self.loss, self.n_threads = X, loss, n_threads
        self.rule = loss.compiled(n_outputs)
        self.data_term = DataTerm(
            rows_of(X) if rows is None else rows, targets, weights, self.rule, n_outputs
        )
        self.n, self.d, self.k = self.data_term.n, self.data_term.d, n_outputs
        self.targets, self.weights = targets, weights
        self.weight_sum = self.data_term.weight_sum
        self.is_multiclass = loss.is_multiclass(n_outputs)
        self.counter = PassCounter() if counter is None else counter

    # ---- other problems -------------------------------------------------------------------------

    def with_loss(self, loss):
        """Return the same rows with another loss."""
        return Problem(
            self.X, self.targets, self.weights, loss, self.k, n_threads=self.n_threads,
            rows=self.data_term.rows, counter=self.counter,
        )  # fmt: skip

    def with_targets(self, targets, loss):
        """Return the same rows with other numbers as targets, and another loss."""
        return Problem(
            self.X, targets, self.weights, loss, self.k, n_threads=self.n_threads,
            rows=self.data_term.rows, counter=self.counter,
        )  # fmt: skip

    def with_features(self, X):
        """Return the same targets and weights with other features."""
        return Problem(X, self.targets, self.weights, self.loss, self.k, counter=self.counter)

    def compressed(self, largest_share):
        """Return the same rows as a CSR matrix; self where more than a share is not zero.

        Numbers of some of the rows tell soon where it is much more.
        """
        if self.is_sparse:
            return self
        X, some = self.X, self.X[::max(10, self.n // SEEN)]
        if np.count_nonzero(some) > 2.0 * largest_share * some.size:
            return self
        if np.count_nonzero(X) > largest_share * X.size:
            return self
        return Problem(
            canonical(sparse.csr_matrix(X)), self.targets, self.weights, self.loss, self.k,
            n_threads=self.n_threads, counter=self.counter,
        )  # fmt: skip

    def take(self, rows):
        """Return the problem of the rows with given numbers: a copy."""
        weights = None if self.weights is None else self.weights[rows]
        return Problem(self.X[rows], self.targets[rows], weights, self.loss, self.k)

    # ---- what the rows are ----------------------------------------------------------------------

    @property
    def width(self):
        """The numbers that a row has in memory, on average."""
        return self.data_term.rows.row_nnz

    @property
    def is_sparse(self):
        return sparse.issparse(self.X)

    def weighted_rows(self):
        """Return the numbers of the rows with a weight; None for all rows."""
        return None if self.weights is None else np.flatnonzero(self.weights)

    def shares(self, part=slice(None)):
        """Return the share of some rows in the sum of the weights."""
        if self.n <= PART:
            return self._shares[part]
        if self.weights is None:
            return np.full(len(range(*part.indices(self.n))), 1.0 / self.n)
        return self.weights[part] / self.weight_sum

    @cached_property
    def _shares(self):
        """The share of each row, for rows of which there are not too many."""
        if self.weights is None:
            return np.full(self.n, 1.0 / self.n)
        return self.weights / self.weight_sum

    def signed_targets(self, part=slice(None)):
        """Return targets of shape (n_samples, n_outputs), -1 and +1 for classes."""
        return signed_targets(self.targets[part], self.k)

    def row_parts(self):
        """Return slices of rows whose numbers, one for each output, are in memory together."""
        step = self.n if self.n * self.k <= KEPT else max(1, PART // self.k)
        return [slice(start, min(start + step, self.n)) for start in range(0, self.n, step)]

    def rows_at(self, part):
        """Return a slice of the rows; sparse ones are not copied where the slice has all."""
        return self.X if len(range(*part.indices(self.n))) == self.n else self.X[part]

    def row_weights(self, rows=slice(None)):
        """Return the weight of each row, or of some, which is 1 without weights."""
        return (np.ones(self.n) if self.weights is None else self.weights)[rows]

    @property
    def n_weighted(self):
        """The number of rows with a weight."""
        return self.n if self.weights is None else np.count_nonzero(self.weights)

    def row_numbers(self, positions):
        """Return the numbers of the rows at some positions among those with a weight."""
        rows = self.weighted_rows()
        return positions if rows is None else rows[positions]

    def least_weight(self):
        """Return the least weight above 0."""
        return 1.0 if self.weights is None else self.weights[self.weights > 0].min()

    # ---- what the targets are --------------------------------------------------------------------

    def target_sizes(self):
        """Return numbers among which are the least size above 0 of a target, and the largest."""
        return np.abs(self.targets)

    def class_sums(self):
        """Return the weight of each class, or of the positive class for two."""
        weights = self.row_weights()
        if self.targets.ndim == 1:
            return np.bincount(self.targets.astype(np.intp), weights=weights, minlength=self.k)
        return 0.5 * (weights.sum() + np.einsum("i,ij->j", weights, self.targets))

    def best_constant(self):
        """Return the constant margins with the least loss of a regression, or None."""
        return self.loss.best_constant(self.targets, self.row_weights())

    def constant_losses(self, intercept):
        """Return the mean loss of each output where all margins are constants."""
        values = self.rule.apply("value", self.targets, np.full(self.targets.shape, intercept))
        return _mean(values, self.weights, self.weight_sum)

    def moments(self):
        """Return the moments of the columns."""
        return Moments.of(self.data_term.rows, self.weights, self.n_threads)

    def target_moments(self):
        """Return the moments of the targets of a regression."""
        mean = _mean(self.targets, self.weights, self.weight_sum)
        variance = _mean((self.targets - mean) ** 2, self.weights, self.weight_sum)
        return Moments(self.weight_sum, mean, self.weight_sum * variance)

    # ---- sums at given coefficients -------------------------------------------------------------

    def losses(self, coef, intercept, subset=None):
        """Return the mean loss of each output, of all rows or of a subset."""
        return value_and_gradient(
            self.data_term, coef, intercept, gradient=False, subset=subset,
            n_threads=self.n_threads,
        )[0]  # fmt: skip

    def losses_and_gradients(self, coef, intercept, *, margins=None, subset=None):
        """Return the mean loss of each output and its gradients, in one pass.

        Parameters
        ----------
        margins : array of shape (n_samples, n_outputs) or None
            Receives the margins.
        subset : intp array or None
            The rows to read instead of all.
        """
        self.counter.passes += subset is None
        return value_and_gradient(
            self.data_term, coef, intercept, n_threads=self.n_threads, margins=margins,
            subset=subset,
        )  # fmt: skip

    @property
    def keeps_margins(self):
        """Whether the margins of all rows are few enough to keep."""
        return self.n * self.k <= KEPT

    def room_for_margins(self):
        """Return an array for the margins of all rows, or None where they are too many to keep."""
        return np.empty((self.n, self.k)) if self.keeps_margins else None

    def expand(self, coef, intercept, margins=None):
        """Return the losses to second order about given coefficients.

        Parameters
        ----------
        margins : array of shape (n_samples, n_outputs) or None
            The margins there, where they are known.
        """
        return Expansion(self, coef, intercept, margins)

    def dual_point(self, values):
        """Return dual variables of given values, of shape (n_samples, n_outputs)."""
        return DualPoint(self, lambda part: values[part])

    def gradient_dual_point(self, coef, intercept, *, balanced, margins=None):
        """Return the derivatives of the losses at given coefficients as dual variables.

        Where they are to be balanced, those of the sign that weighs more are scaled down until
        their weighted sum over the rows is 0.

        Parameters
        ----------
        margins : array of shape (n_samples, n_outputs) or None
            The margins there, where they are known.
        """
        if not balanced:
            return DualPoint(self, self._derivatives(coef, intercept, margins))
        factors = balancing(*self.derivative_sums(coef, intercept, margins))
        return self.scaled_gradient_dual_point(coef, intercept, *factors, margins)

    def scaled_gradient_dual_point(self, coef, intercept, up, down, margins=None):
        """Return the derivatives as dual variables: positive ones times up, others times down."""
        values = self._derivatives(coef, intercept, margins)

        def scaled_values(part):
            derivatives = values(part)
            return derivatives * np.where(derivatives > 0, up, down)

        return DualPoint(self, scaled_values)

    def derivative_sums(self, coef, intercept, margins=None):
        """Return each output's mean positive derivative, and the size of its mean negative one."""
        values = self._derivatives(coef, intercept, margins)
        up, down = np.zeros(self.k), np.zeros(self.k)
        for part in self.row_parts():
            share, derivatives = self.shares(part), values(part)
            up += share @ np.maximum(derivatives, 0.0)
            down += share @ np.maximum(-derivatives, 0.0)
        return up, down

    def _derivatives(self, coef, intercept, margins=None):
        """Return the function of a slice of rows that has the derivatives of their losses."""
        def values(part):
            known = margins_of(self.rows_at(part), coef, intercept) if margins is None else (
                margins[part]
            )
            return self.rule.apply("gradient", self.signed_targets(part), known)

        return values

    def dual_origin(self):
        """Return dual variables that are all 0."""
        return DualPoint(self, lambda part: np.zeros((len(range(*part.indices(self.n))), self.k)))

    # ---- rows with given numbers, for what works on few ------------------------------------------

    def scaled_rows(self, rows, mean, scale):
        """Return a sample of rows in preconditioned coordinates."""
        return ScaledRows(self.X[rows], mean, scale)

    def weighted_norms(self, mean, scale):
        """Return the weight of each row times its squared norm in given coordinates."""
        norms, size = np.empty(self.n), self.n if self.is_sparse else max(1, NORMS // self.d)
        for start in range(0, self.n, size):
            rows = slice(start, start + size)
            norms[rows] = self.scaled_rows(rows, mean, scale).squared_norms()
        return norms if self.weights is None else norms * self.weights

    def largest_weighted_norm(self, mean, scale):
        """Return the largest weight of a row times its squared norm in given coordinates."""
        return float(self.weighted_norms(mean, scale).max())

    def single_rows(self, scale=None, mean=None):
        """Return the rows for methods that read them one by one.

        Parameters
        ----------
        scale : array of shape (n_features,) or None
            What the columns of a copy are multiplied with; None for rows that are read where they
            lie, as far as possible.
        mean : array of shape (n_features,) or None
            What is subtracted from the columns of a dense copy before.
        """
        return single_rows(self.X, self.data_term.rows, scale, mean)

    def dense_scaled_rows(self, rows, mean, scale):
        """Return some rows as a dense array in preconditioned coordinates."""
        return dense_scaled_rows(self.X, rows, mean, scale)

    def column_store(self, mean):
        """Return the columns, for methods that move one coefficient at a time."""
        return ColumnStore(self.X, mean)

    def dense_rows(self):
        """Return all rows as a dense array."""
        return self.X.toarray() if self.is_sparse else np.asarray(self.X)


def _mean(numbers, weights, weight_sum):
    """Return the weighted mean of each column."""
    if weights is None:
        return numbers.sum(axis=0) / weight_sum
    return np.einsum("i,ij->j", weights, numbers) / weight_sum
