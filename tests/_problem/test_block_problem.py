"""The questions of a problem have the same answers where the rows lie in blocks."""

from functools import reduce

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skgd._problem import Problem
from skgd._problem.block import Block
from skgd._problem.block_problem import BlockProblem
from skgd.losses import Huber, LogLoss, Poisson, SquaredError, SquaredHinge

GENERATOR = np.random.default_rng(0)
N, D = 60, 4
X = GENERATOR.normal(size=(N, D))
CODES = GENERATOR.integers(0, 3, N).astype(float)
NUMBERS = GENERATOR.poisson(2.0, (N, 2)).astype(float)
WEIGHTS = GENERATOR.integers(0, 3, N).astype(float)
WEIGHTS[:7] = 0.0
COEF, INTERCEPT = GENERATOR.normal(size=(3, D)), GENERATOR.normal(size=3)
MEAN, SCALE = X.mean(axis=0), np.array([1.0, 0.5, 2.0, 1.0, 1.0])
CUTS = [0, 7, 8, 31, N]


class BlocksHere:
    """Blocks in this process."""

    def __init__(self, blocks):
        self.blocks = blocks

    def ask(self, question, *arguments, of=None):
        return [question(self.blocks[b], *arguments) for b in of or range(len(self.blocks))]

    def ask_some(self, question, arguments):
        return [question(self.blocks[b], argument) for b, argument in arguments.items()]

    def total(self, question, *arguments, of):
        answers = self.ask(question, *arguments, of=of)
        return reduce(lambda a, b: tuple(x + y for x, y in zip(a, b, strict=True)), answers)


def pair(loss, targets, weights, make, k):
    """Return a problem, and the same in blocks."""
    rows = [slice(start, stop) for start, stop in zip(CUTS[:-1], CUTS[1:], strict=True)]
    blocks = [
        Block(make(X[part]), targets[part], None if weights is None else weights[part], k)
        for part in rows
    ]
    whole = Problem(make(X), targets, weights, loss, k)
    return whole, BlockProblem(BlocksHere(blocks), loss, k, D)


def answers(problem, k, task):
    coef, intercept = COEF[:k], INTERCEPT[:k]
    expansion = problem.expand(coef, intercept)
    dual = expansion.dual_point(0.1 * coef, intercept)
    moments, sample = problem.moments(), np.array([40, 3, 9])
    found = [
        moments.mean, moments.deviation, problem.weight_sum, problem.n_weighted,
        problem.least_weight(), problem.width, problem.losses(coef, intercept),
        *problem.losses_and_gradients(coef, intercept),
        problem.losses(coef, intercept, np.arange(10, 50)),
        *expansion.output_hessians(MEAN, SCALE, k), *expansion.hessian_diagonal(MEAN),
        expansion.mean_output_hessian(MEAN, SCALE) if k > 1 else 0.0,
        *expansion.product(coef[::-1].copy(), intercept), *dual.moments(),
        *dual.weighted_sums(MEAN, with_sizes=True), *dual.conjugates(),
        *dual.scaled(0.5).conjugates(), dual.is_feasible(), dual.scaled(100.0).is_feasible(),
        *problem.gradient_dual_point(coef, intercept, balanced=True).moments(),
        *problem.gradient_dual_point(coef, intercept, balanced=False).conjugates(),
        *problem.dual_origin().conjugates(), problem.largest_weighted_norm(MEAN, SCALE),
        problem.row_numbers(np.array([20, 3, 11])), problem.row_weights(sample),
        problem.take(sample).losses(coef, intercept), problem.shares(),
        problem.scaled_rows(sample, MEAN, SCALE).squared_norms(), problem.counter.passes,
    ]  # fmt: skip
    if task == "classification":
        return found + [problem.class_sums()]
    targets, sizes = problem.target_moments(), problem.target_sizes()
    return found + [
        targets.mean, targets.deviation, problem.best_constant(), sizes.max(),
        sizes[sizes > 0].min(), problem.constant_losses(intercept),
    ]


CASES = {
    "softmax": (LogLoss(), CODES, 3), "one-vs-rest": (SquaredHinge(), CODES, 3),
    "squared": (SquaredError(), NUMBERS, 2), "poisson": (Poisson(), NUMBERS, 2),
    "huber": (Huber(), NUMBERS, 2),
}  # fmt: skip


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("case", CASES)
def test_blocks_add_up(case, weights, make):
    loss, targets, k = CASES[case]
    with np.errstate(all="ignore"):
        whole, blocks = (
            answers(each, k, loss.task) for each in pair(loss, targets, weights, make, k)
        )
    for found, expected in zip(blocks, whole, strict=True):
        assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_a_block_that_has_lost_what_it_kept_gives_the_same_bits():
    _, kept = pair(LogLoss(), CODES, WEIGHTS, np.asarray, 3)
    _, lost = pair(LogLoss(), CODES, WEIGHTS, np.asarray, 3)
    room = kept.room_for_margins()
    kept.losses_and_gradients(COEF, INTERCEPT, margins=room)
    for found, expected in zip(
        lost.expand(COEF, INTERCEPT).softmax_hessian(MEAN, SCALE),
        kept.expand(COEF, INTERCEPT).softmax_hessian(MEAN, SCALE), strict=True,
    ):  # fmt: skip
        assert_array_equal(found, expected)


def test_what_is_no_sum_is_asked_of_gathered_rows(monkeypatch):
    whole, blocks = pair(LogLoss(), CODES, WEIGHTS, np.asarray, 3)
    assert_array_equal(blocks.dense_rows(), whole.dense_rows())
    assert_array_equal(blocks.X, X)
    with pytest.raises(AttributeError, match="no_such_question"):
        blocks.no_such_question  # noqa: B018
    monkeypatch.setattr("skgd._problem.block_problem.GATHERED", N * D - 1)
    _, many = pair(LogLoss(), CODES, WEIGHTS, np.asarray, 3)
    assert not many.may_gather
    with pytest.raises(ValueError, match="spool"):
        many.dense_rows()
