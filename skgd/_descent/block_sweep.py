"""Update steps over rows in blocks: the model travels from one block to the next.

An epoch takes the blocks in random order, and the rows of each in random order, as it does for a
memory map. A batch that ends in the next block takes its first rows along. The steps are those of
one machine with the rows in this order; only one worker is busy at a time. Averages of models that
workers train on their own end farther from the minimum: 0.4 % for exact fits of each block, 7 %
after 30 rounds of Adam.
"""

from dataclasses import dataclass, replace

import numpy as np

from skgd._descent.batching import epoch_order
from skgd._descent.steps import Steps, fresh_rules, take_steps
from skgd._engine import Sweep
from skgd._objective.penalty_rule import compiled_penalty
from skgd._problem import Problem
from skgd._problem.block import NamedLoss, rows_at
from skgd._problem.block_problem import stacked


@dataclass(frozen=True)
class Travelling:
    """What goes from block to block.

    Attributes
    ----------
    steps : Steps
    rows : tuple or None
        Rows, targets and weights of a batch that has begun.
    """

    steps: Steps
    rows: tuple | None = None


@dataclass(frozen=True)
class Leg:
    """What is to be done in a block.

    Attributes
    ----------
    loss : NamedLoss
    objective : TravellingObjective
    plan : Plan
        With the bounds of the batches that end here, the first of which begins with the rows that
        have come along, and with ``rows`` None.
    rates : array of shape (n_batches,)
    seed : int
        Of the order of the rows.
    """

    loss: NamedLoss
    objective: object
    plan: object
    rates: np.ndarray
    seed: int


@dataclass(frozen=True)
class TravellingObjective:
    """What a sweep needs of an objective but for the rows, as values that can be sent."""

    penalty: object
    positive: bool
    alpha: np.ndarray
    metric: object


class BlockSweep:
    """Update steps over the blocks of a problem; see `Sweep`.

    Parameters
    ----------
    objective : Objective
        Of a `BlockProblem`.
    plan : Plan
    make : callable
        Returns the `Sweep` of a data term.
    """

    def __init__(self, objective, plan, make):
        self.problem, self.plan = objective.problem, plan
        self.here = make(self.problem.take(np.zeros(1, dtype=np.intp)).data_term)
        self.carried = TravellingObjective(
            plan.penalty, plan.positive, objective.alpha, objective.metric
        )

    def run_epoch(self, steps, rates_of):
        """Take the steps of one epoch; return the last rates."""
        plan, sizes = self.plan, self.problem.sizes
        generator = steps.generator
        order = epoch_order(len(sizes), generator, shuffle=plan.shuffle, in_blocks=False)
        ends = np.cumsum(sizes[order])
        n_done = np.searchsorted(plan.bounds[1:], ends, side="right")
        rates = rates_of(np.arange(steps.t, steps.t + len(plan.bounds) - 1))
        legs, first = [], 0
        slim = replace(plan, schedule=None, rows=None, penalty=None)
        for block, last in zip(order, n_done, strict=True):
            bounds = plan.bounds[first:last + 1] - plan.bounds[first]
            legs.append((int(block), Leg(
                self.problem.named_loss, self.carried, replace(slim, bounds=bounds),
                rates[first:last], int(generator.integers(2**63)) if plan.shuffle else 0,
            )))  # fmt: skip
            first = last
        state = Travelling(replace(steps, generator=None, table=None))
        found = self.problem.blocks.chain(step_through, state, legs).steps
        for name in ("parameters", "state", "average"):
            if getattr(steps, name) is not None:
                getattr(steps, name)[:] = getattr(found, name)
        steps.t, steps.averaged = found.t, found.averaged
        return rates[..., -1]

    def step_along(self, *arguments):
        """Take one step along the gradient of a full pass."""
        self.here.step_along(*arguments)

    def begin_epoch(self):
        """Return how often all rows are read before an epoch."""
        return 0


def step_through(block, state, leg):
    """Return what travels on after the batches that end in a block."""
    steps, bounds = state.steps.copy(), leg.plan.bounds
    problem = block.problem(leg.loss)
    generator = np.random.default_rng(leg.seed)
    order = epoch_order(block.n, generator, shuffle=leg.plan.shuffle, in_blocks=leg.plan.in_blocks)
    rates, began = leg.rates, steps.t
    n_come = 0 if state.rows is None else len(state.rows[1])
    if len(bounds) == 1:
        return Travelling(steps, _joined(state.rows, rows_at(block, order)))
    done = 0
    if n_come:
        joint = _joined(state.rows, rows_at(block, order[:bounds[1] - n_come]))
        mixed = Problem(*joint, leg.loss.loss, problem.k)
        _sweep(steps, mixed, leg, np.arange(mixed.n), bounds[:2], rates, began)
        done = 1
    if len(bounds) - 1 > done:
        _sweep(steps, problem, leg, order, bounds[done:] - n_come, rates, began)
    rest = order[bounds[-1] - n_come:]
    return Travelling(steps, rows_at(block, rest) if len(rest) else None)


def _joined(rows, more):
    return more if rows is None else stacked([rows, more])


def _sweep(steps, problem, leg, order, bounds, rates, began):
    """Take steps along batches of rows of a problem."""
    carried, optimizer = leg.objective, leg.plan.optimizer
    sweep = Sweep(
        problem.data_term, compiled_penalty(carried.penalty, carried.positive),
        fresh_rules(optimizer, problem.k), steps.parameters, steps.state, carried.alpha,
        carried.metric, leg.plan.weight_scale, steps.average,
    )  # fmt: skip
    take_steps(steps, sweep, leg.plan, order, bounds, lambda t: rates[t - began])
