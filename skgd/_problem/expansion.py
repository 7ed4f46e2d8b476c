"""The losses of the rows to second order about a point.

With the margins ``z_i`` at the point, the derivatives of the losses ``l'_i`` and their Hessians
``L_i`` in the margins (a diagonal, or ``diag(p) - p p'`` for a softmax)::

    H = 1/S sum_i s_i L_i (x) a_i a_i',    a_i = scale * (x_i - mean, 1)

Solvers see sums over the rows alone: blocks of H, products with it, its diagonal, and dual
variables ``a_i = l'_i + L_i dz_i`` after a step, as a `DualPoint`.
"""

from functools import cached_property

import numpy as np

from skgd._engine import DataTerm, rows_of, value_and_gradient
from skgd._problem.dual_point import DualPoint
from skgd._problem.row_products import scale_rows, softmax_factors, weigh_rows
from skgd._problem.scaled_rows import centred_squares, gram, gram_blocks, margins_of


class Expansion:
    """The losses of all rows to second order about a point.

    Parameters
    ----------
    problem : Problem
    coef : array of shape (n_outputs, n_features)
    intercept : array of shape (n_outputs,)
    margins : array of shape (n_samples, n_outputs) or None
        The margins of the rows, where they are known.
    """

    def __init__(self, problem, coef, intercept, margins=None):
        self.problem, self.coef, self.intercept = problem, coef, intercept
        self.is_kept = problem.keeps_margins
        self.known_margins = margins

    @cached_property
    def _margins(self):
        """The margins of all rows; None where they are too many to keep."""
        if self.known_margins is not None or not self.is_kept:
            return self.known_margins
        return margins_of(self.problem.X, self.coef, self.intercept)

    @cached_property
    def _kept_hessians(self):
        return self._hessians_at(slice(None)) if self.is_kept else None

    def margins(self, part):
        """Return the margins of some rows."""
        if self._margins is not None:
            return self._margins[part]
        return margins_of(self.problem.rows_at(part), self.coef, self.intercept)

    def _hessians_at(self, part):
        targets = self.problem.signed_targets(part)
        return self.problem.loss.hessian_terms(targets, self.margins(part))

    def hessians(self, part):
        """Return what the loss keeps of the Hessians of some rows in their margins."""
        if self._kept_hessians is not None:
            return self._kept_hessians[part]
        return self._hessians_at(part)

    def hessian_diagonals(self, part):
        """Return the second derivative of the loss of some rows along each margin alone."""
        second = self.hessians(part)
        return second * (1.0 - second) if self.problem.is_multiclass else second

    # ---- blocks of the Hessian ------------------------------------------------------------------

    def blocks(self, mean, scale, k=1):
        """Yield slices of rows, their shares, and what makes their products with numbers.

        That is a function of factors of shape (part, k), which returns the rows in the given
        coordinates times each factor, side by side; it holds until the next call.
        """
        p, buffer = len(scale), None
        for part, block in self._dense_blocks(k * p):
            buffer = np.empty((len(block), k * p)) if buffer is None else buffer

            def weighted(factors, block=block, buffer=buffer):
                columns = np.ascontiguousarray(factors.reshape(len(block), -1))
                out = buffer[:len(block)].reshape(-1)[:columns.size * p]
                out = out.reshape(len(block), -1)
                scale_rows(block, mean, scale, columns, out)
                return out

            yield part, self.problem.shares(part), weighted

    def _dense_blocks(self, p):
        """Yield slices of rows for Gram matrices of p columns, and the rows as dense arrays."""
        X, is_sparse = self.problem.X, self.problem.is_sparse
        for part in gram_blocks(self.problem.n, p):
            block = X[part].toarray() if is_sparse else X[part]
            yield part, np.ascontiguousarray(block, dtype=float)

    def output_hessians(self, mean, scale, n_outputs, dtype=float):
        """Return the Hessians of the first outputs' parameters, other outputs held fixed.

        Parameters
        ----------
        mean, scale : arrays of shape (n_features,) and (n_parameters,)
            The coordinates.
        n_outputs : int
        dtype : dtype

        Returns
        -------
        array of shape (n_outputs, n_parameters, n_parameters)
        """
        p, buffer = len(scale), None
        result = np.zeros((n_outputs, p, p), dtype=dtype)
        for part, block in self._dense_blocks(p):
            buffer = np.empty((len(block), p)) if buffer is None else buffer
            share, rows = self.problem.shares(part), buffer[:len(block)]
            second = np.ascontiguousarray(self.hessian_diagonals(part).T)
            for c in range(n_outputs):
                is_positive = weigh_rows(block, mean, scale, share, second[c], rows)
                result[c] += gram(
                    rows, None if is_positive else share * second[c] < 0, dtype
                )  # fmt: skip
        return result

    def mean_output_hessian(self, mean, scale):
        """Return one matrix that stands for the Hessian of each output of a softmax.

        The Hessian in the margins is 0 along an equal change of all outputs. Here it is its mean
        eigenvalue along the others, ``sum_c p_c (1 - p_c) / (k - 1)``.

        Returns
        -------
        array of shape (n_parameters, n_parameters)
        """
        result = np.zeros((len(scale), len(scale)))
        for part, share, weighted in self.blocks(mean, scale):
            second = self.hessian_diagonals(part).sum(axis=1) / (self.problem.k - 1)
            result += gram(weighted(np.sqrt(share * second)))
        return result

    def softmax_hessian(self, mean, scale):
        """Return the Hessian of all outputs' parameters of a softmax, and its diagonal blocks.

        Returns
        -------
        off_diagonal : array of shape (n_outputs * n_parameters, n_outputs * n_parameters)
            ``-1/S sum_i s_i (p_i p_i') (x) a_i a_i'``, whose diagonal blocks are meaningless.
        diagonal : array of shape (n_outputs, n_parameters, n_parameters)
        """
        k, p = self.problem.k, len(scale)
        off_diagonal, diagonal = np.zeros((k * p, k * p)), np.zeros((k, p, p))
        for part, share, weighted in self.blocks(mean, scale, k):
            own, joint = softmax_factors(np.ascontiguousarray(self.hessians(part)), share)
            each = weighted(own).reshape(-1, k, p)
            for c in range(k):
                diagonal[c] += each[:, c].T @ each[:, c]
            rows = weighted(joint)
            off_diagonal -= rows.T @ rows
        return off_diagonal, diagonal

    def hessian_diagonal(self, mean):
        """Return the diagonal of the Hessian in centred raw columns and in the intercepts.

        Returns
        -------
        coef : array of shape (n_outputs, n_features)
        intercept : array of shape (n_outputs,)
        """
        coef, intercept = 0.0, 0.0
        for part in self.problem.row_parts():
            second = self.hessian_diagonals(part) * self.problem.shares(part)[:, None]
            coef = coef + centred_squares(self.problem.rows_at(part), mean, second)
            intercept = intercept + second.sum(axis=0)
        return coef, intercept

    # ---- products -------------------------------------------------------------------------------

    @cached_property
    def _quadratics(self):
        """The quadratic parts of the losses for the engine, or None where they are too many."""
        return [self._quadratic(slice(None))] if self.is_kept else None

    def _quadratic(self, part):
        problem = self.problem
        rows = problem.data_term.rows if self.is_kept else rows_of(problem.X[part])
        weights = None if problem.weights is None else problem.weights[part]
        hessians = np.ascontiguousarray(self.hessians(part))
        return DataTerm(rows, hessians, weights, problem.loss.quadratic(problem.k), problem.k)

    def product(self, coef, intercept):
        """Return the Hessian times changes of the coefficients and intercepts, in one pass."""
        problem = self.problem
        problem.counter.passes += 1
        if self._quadratics is not None:
            return value_and_gradient(
                self._quadratics[0], coef, intercept, n_threads=problem.n_threads
            )[1:]
        images = [0.0, 0.0]
        for part in problem.row_parts():
            quadratic = self._quadratic(part)
            share = quadratic.weight_sum / problem.weight_sum
            for i, image in enumerate(value_and_gradient(
                quadratic, coef, intercept, n_threads=problem.n_threads
            )[1:]):  # fmt: skip
                images[i] = images[i] + share * image
        return images

    def dual_point(self, coef, intercept):
        """Return the dual variables after changes of the coefficients and intercepts."""
        problem = self.problem
        rule = problem.rule

        def values(part):
            change = margins_of(problem.rows_at(part), coef, intercept)
            first = rule.apply("gradient", problem.signed_targets(part), self.margins(part))
            return first + problem.loss.hessian_product(self.hessians(part), change)

        return DualPoint(problem, values)
