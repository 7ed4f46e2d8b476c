"""The problem of rows that lie in blocks: each question is put to every block.

What the blocks answer is added up here, in the order of the blocks and not in that in which the
answers come: the sums do not depend, to the bit, on where the blocks lie or who has answered.
A solver sees no difference from a `Problem`, whose questions these are. What is no sum over rows,
as for the interior point method, is asked of a copy of all rows, where they are few enough.
"""

import uuid
from functools import cached_property

import numpy as np
from scipy import sparse

from skgd._problem import block as questions
from skgd._problem.dual_point import balancing
from skgd._problem.moments import Moments
from skgd._problem.problem import PassCounter, Problem
from skgd._utils.checks import canonical
from skgd.losses import Gamma, Poisson, SquaredError

# Numbers of X, or of targets, that are gathered in one place: 256 MiB.
GATHERED = 2**25
# Targets that stand for all where they are more, for a constant that is not their mean.
SAMPLED_TARGETS = 2**22
# Best constants that are those of the weighted mean of the targets.
OF_MEAN = {SquaredError.best_constant, Poisson.best_constant, Gamma.best_constant}
# What a problem has of its rows in addition to its questions.
ROWS = {"X", "targets", "weights", "data_term"}
# Samples of rows that are kept.
SAMPLES = 4


class BlockProblem:
    """Rows in blocks with targets, weights and a loss.

    Parameters
    ----------
    blocks : Blocks
        Each with rows.
    loss : Loss
    n_outputs, n_features : int
    facts : list of Facts or None, default=None
        What the blocks have told of themselves; None to ask them.
    shared : dict or None, default=None
        What problems of the same blocks share.
    """

    is_in_blocks, keeps_margins = True, True

    def __init__(self, blocks, loss, n_outputs, n_features, *, facts=None, shared=None):
        self.blocks, self.loss, self.k, self.d = blocks, loss, n_outputs, n_features
        self.named_loss = questions.NamedLoss(uuid.uuid4().hex, loss)
        if facts is None:
            facts = blocks.ask(questions.describe, self.named_loss, loss.task)
        self.facts = facts
        self.shared = {"counter": PassCounter(), "samples": {}} if shared is None else shared
        self.counter = self.shared["counter"]
        self.sizes = np.array([fact.n for fact in facts], dtype=np.intp)
        self.n = int(self.sizes.sum())
        self.n_weighted = sum(fact.n_weighted for fact in facts)
        self.weight_sum = float(sum(fact.weight for fact in facts))
        self.counted = [b for b, fact in enumerate(facts) if fact.weight > 0.0]
        self.is_multiclass, self.n_threads = loss.is_multiclass(n_outputs), 1
        self.is_sparse = facts[0].is_sparse

    def __getattr__(self, name):
        """Return what only a problem whose rows are all here knows."""
        if name.startswith("__") or not (name in ROWS or hasattr(Problem, name)):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")
        return getattr(self.gathered, name)

    # ---- other problems -------------------------------------------------------------------------

    def with_loss(self, loss):
        """Return the same rows with another loss."""
        return BlockProblem(
            self.blocks, loss, self.k, self.d, facts=self.facts, shared=self.shared
        )

    def take(self, rows):
        """Return the problem of the rows with given numbers: a copy, in one place."""
        samples, key = self.shared["samples"], rows.tobytes()
        if key not in samples:
            while len(samples) >= SAMPLES:
                del samples[next(iter(samples))]
            samples[key] = self._fetch(rows)
        return Problem(*samples[key], self.loss, self.k)

    def _fetch(self, rows):
        order = np.argsort(rows, kind="stable")
        parts = self.blocks.ask_some(questions.rows_at, self._split(rows[order], self.sizes))
        X, targets, weights = stacked(parts)
        back = np.argsort(order, kind="stable")
        return X[back], targets[back], None if weights is None else weights[back]

    @staticmethod
    def _split(numbers, sizes):
        """Return which of some rising numbers each block has, as numbers of its own."""
        ends = np.cumsum(sizes)
        cuts = np.searchsorted(numbers, np.append(0, ends))
        return {
            b: numbers[first:last] - (ends[b] - sizes[b])
            for b, (first, last) in enumerate(zip(cuts[:-1], cuts[1:], strict=True))
            if first < last
        }  # fmt: skip

    @property
    def may_gather(self):
        """Whether all rows may be copied to one place."""
        return sum(fact.size for fact in self.facts) <= GATHERED

    @cached_property
    def gathered(self):
        """The problem of all rows, in one place."""
        if "rows" not in self.shared:
            if not self.may_gather:
                raise ValueError(
                    f"X has {self.n} rows in blocks, and more than {GATHERED} numbers: this "
                    "optimizer or loss works on all rows in one place; pass optimizer='lbfgs' or "
                    "'adam', fit a sample of the rows, or spool them with skgd.data.spool."
                )
            self.shared["rows"] = stacked(self.blocks.ask(questions.all_rows))
        return Problem(*self.shared["rows"], self.loss, self.k, counter=self.counter)

    # ---- what the rows are ----------------------------------------------------------------------

    @property
    def width(self):
        """The numbers that a row has in memory, on average."""
        return sum(fact.size for fact in self.facts) / self.n

    def row_weights(self, rows):
        """Return the weights of some rows."""
        return self.take(rows).row_weights()

    def row_numbers(self, positions):
        """Return the numbers of the rows at some positions among those with a weight."""
        if self.n_weighted == self.n:
            return positions
        counts = np.array([fact.n_weighted for fact in self.facts])
        order, starts = np.argsort(positions, kind="stable"), np.cumsum(self.sizes) - self.sizes
        split = self._split(positions[order], counts)
        found = self.blocks.ask_some(questions.numbers_at, split)
        numbers = np.empty_like(positions)
        numbers[order] = np.concatenate([
            starts[b] + part for b, part in zip(split, found, strict=True)
        ])  # fmt: skip
        return numbers

    def weighted_rows(self):
        """Return the numbers of the rows with a weight; None for all rows."""
        if self.n_weighted == self.n:
            return None
        return self.row_numbers(np.arange(self.n_weighted))

    def least_weight(self):
        """Return the least weight above 0."""
        return min(fact.least_weight for fact in self.facts)

    def moments(self):
        """Return the moments of the columns."""
        return self._combined([fact.columns for fact in self.facts], self.d)

    def target_moments(self):
        """Return the moments of the targets of a regression."""
        return self._combined([fact.targets for fact in self.facts], self.k)

    @staticmethod
    def _combined(parts, size):
        moments = Moments.empty(size)
        for part in parts:
            if part is not None:
                moments.combine(part)
        return moments

    def target_sizes(self):
        """Return numbers among which are the least size above 0 of a target, and the largest."""
        return np.concatenate([fact.target_sizes for fact in self.facts])

    def class_sums(self):
        """Return the weight of each class, or of the positive class for two."""
        return sum(fact.targets for fact in self.facts)

    @cached_property
    def _targets(self):
        """Targets and weights, those of a sample where they are many."""
        if self.n * self.k > GATHERED:
            rows = np.random.default_rng(0).choice(self.n, SAMPLED_TARGETS // self.k, replace=False)
            split = self._split(np.sort(rows), self.sizes)
            parts = self.blocks.ask_some(questions.targets_at, split)
        else:
            parts = self.blocks.ask(questions.all_targets)
        targets, weights = zip(*parts, strict=True)
        targets = np.concatenate(targets)
        return targets, np.ones(len(targets)) if weights[0] is None else np.concatenate(weights)

    def best_constant(self):
        """Return the constant margins with the least loss of a regression, or None."""
        if type(self.loss).best_constant in OF_MEAN:
            return self.loss.best_constant(self.target_moments().mean[None], np.ones(1))
        return self.loss.best_constant(*self._targets)

    def constant_losses(self, intercept):
        """Return the mean loss of each output where all margins are constants."""
        return self.mean_of(questions.sum_constant_losses, intercept)[0]

    # ---- sums at given coefficients -------------------------------------------------------------

    def total_of(self, question, *arguments):
        """Return the sums of what the blocks answer."""
        return self.blocks.total(
            question, self.named_loss, *map(_packed, arguments), of=self.counted
        )

    def mean_of(self, question, *arguments):
        return [total / self.weight_sum for total in self.total_of(question, *arguments)]

    def losses(self, coef, intercept, subset=None):
        """Return the mean loss of each output, of all rows or of a subset."""
        if subset is not None:
            return self.take(subset).losses(coef, intercept)
        return self.mean_of(questions.sum_losses, coef, intercept)[0]

    def losses_and_gradients(self, coef, intercept, *, margins=None, subset=None):
        """Return the mean loss of each output and its gradients, in one pass.

        Parameters
        ----------
        margins : object or None
            What `room_for_margins` returned, for blocks to keep the margins.
        subset : intp array or None
            The rows to read instead of all.
        """
        if subset is not None:
            return self.take(subset).losses_and_gradients(coef, intercept)
        self.counter.passes += 1
        return tuple(self.mean_of(questions.sum_gradients, coef, intercept, margins is not None))

    def room_for_margins(self):
        """Return what stands for the margins that the blocks keep."""
        return "kept by the blocks"

    def expand(self, coef, intercept, margins=None):
        """Return the losses to second order about given coefficients."""
        return BlockExpansion(self, coef, intercept)

    def gradient_dual_point(self, coef, intercept, *, balanced, margins=None):
        """Return the derivatives of the losses at given coefficients as dual variables."""
        factors = np.ones(self.k), np.ones(self.k)
        if balanced:
            factors = balancing(*self.mean_of(questions.sum_derivatives, coef, intercept))
        origin = self.named_loss, "gradient", coef, intercept, *factors
        return BlockDualPoint(self, origin)

    def dual_origin(self):
        """Return dual variables that are all 0."""
        return BlockDualPoint(self, (self.named_loss, "origin"))

    def scaled_rows(self, rows, mean, scale):
        """Return a sample of rows in preconditioned coordinates."""
        return self.take(rows).scaled_rows(slice(None), mean, scale)

    def largest_weighted_norm(self, mean, scale):
        """Return the largest weight of a row times its squared norm in given coordinates."""
        return max(self.blocks.ask(
            questions.largest_norm, self.named_loss, mean, scale, of=self.counted
        ))  # fmt: skip


class BlockExpansion:
    """The losses of all rows to second order about a point; see `Expansion`."""

    def __init__(self, problem, coef, intercept):
        self.problem, self.point = problem, (coef, intercept)

    def _mean(self, name, *arguments):
        return self.problem.mean_of(questions.sum_second_order, *self.point, name, *arguments)

    def output_hessians(self, mean, scale, n_outputs, dtype=float):
        return self._mean("output_hessians", mean, scale, n_outputs, dtype)[0]

    def mean_output_hessian(self, mean, scale):
        return self._mean("mean_output_hessian", mean, scale)[0]

    def softmax_hessian(self, mean, scale):
        return self._mean("softmax_hessian", mean, scale)

    def hessian_diagonal(self, mean):
        return self._mean("hessian_diagonal", mean)

    def product(self, coef, intercept):
        self.problem.counter.passes += 1
        return self._mean("product", coef, intercept)

    def dual_point(self, coef, intercept):
        origin = self.problem.named_loss, "step", *self.point, coef, intercept
        return BlockDualPoint(self.problem, origin)


class BlockDualPoint:
    """Dual variables of rows in blocks; see `DualPoint`.

    Parameters
    ----------
    problem : BlockProblem
    origin : tuple
        What they are; see `Block.dual_point`.
    factors : array of shape (n_outputs,) or None, default=None
        What they are multiplied with.
    """

    def __init__(self, problem, origin, factors=None):
        self.problem = problem
        self.origin = tuple(map(_packed, origin))
        self.factors = np.ones(problem.k) if factors is None else factors

    def scaled(self, factors):
        factors = self.factors * factors
        if np.array_equal(factors, self.factors):
            return self
        return BlockDualPoint(self.problem, self.origin, factors)

    def for_problem(self, problem):
        return BlockDualPoint(problem, self.origin, self.factors)

    @cached_property
    def _terms(self):
        return self.problem.total_of(questions.sum_dual_terms, self.origin, self.factors)

    def is_feasible(self):
        return not self._terms[0].any()

    def conjugates(self):
        return self._terms[1] / self.problem.weight_sum, self._terms[2] / self.problem.weight_sum

    def moments(self):
        return self._terms[3] / self.problem.weight_sum, self._terms[4] / self.problem.weight_sum

    def weighted_sums(self, mean, *, with_sizes):
        return self.problem.mean_of(
            questions.sum_dual_products, self.origin, self.factors, mean, with_sizes
        )


def _packed(argument):
    """Return an argument as blocks take it: arrays in C order."""
    return np.ascontiguousarray(argument) if isinstance(argument, np.ndarray) else argument


def stacked(parts):
    """Return rows, targets and weights of parts as one."""
    X, targets, weights = zip(*parts, strict=True)
    if sparse.issparse(X[0]):
        X = sparse.vstack(X, format="csr")
    else:
        X = np.concatenate(X)
    weights = None if weights[0] is None else np.concatenate(weights)
    return canonical(X), np.concatenate(targets), weights
