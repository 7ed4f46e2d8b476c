"""How a fit descends: its optimizer, its batches, and what else a run of it needs to know."""

from dataclasses import dataclass

import numpy as np

from skgd._descent.batching import batch_bounds, batch_length, exceeds_memory
from skgd._descent.stochastic import n_monitored
from skgd._utils.names import shown
from skgd.optimizers import SGD, Adam, FullBatchOptimizer, Optimizer, make_optimizer
from skgd.schedules import as_schedule

# The share of numbers up to which a stream's sparse rows are stepped along one by one, uncentred.
MOSTLY_ZEROS = 0.25


@dataclass
class Plan:
    """How a fit descends.

    Attributes
    ----------
    optimizer : Optimizer, FullBatchOptimizer or None
        None is the solver of `auto`, which needs no rate.
    schedule : Schedule or None
        None where the optimizer finds its own steps.
    batch_length : int
    bounds : array of int of shape (n_batches + 1,)
        Where the batches of an epoch begin and the last one ends.
    rows : array of int or None
        The rows to train on; None for all.
    preconditioned : bool
    centred : bool
        Whether the coordinates may be centred; single sparse rows could not be stepped along then.
    shuffle, in_blocks : bool
    average_from : int
        The update step from which parameters are averaged; -1 for never.
    weight_scale : float
        Rows divided by the sum of their weights.
    penalty : Penalty or None
    positive : bool
        What the objective's penalty is made of.
    """

    optimizer: object
    schedule: object
    batch_length: int
    bounds: np.ndarray
    rows: np.ndarray | None
    preconditioned: bool
    centred: bool = True
    shuffle: bool = True
    in_blocks: bool = False
    average_from: int = -1
    weight_scale: float = 1.0
    penalty: object = None
    positive: bool = False

    @property
    def takes_steps(self):
        return isinstance(self.optimizer, Optimizer)

    def monitors_sample(self, problem):
        """Whether the objectives in the history are those of a sample of the rows."""
        return self.takes_steps and problem.n > n_monitored(problem)

    @property
    def shares_passes(self):
        """Whether other runs may take their steps on the same batches in the same passes."""
        return self.takes_steps and len(self.bounds) > 2 and self.optimizer.snapshots is None


def choose_optimizer(optimizer, learning_rate, batch_size, *, partial):
    """Return the optimizer of a fit, checked to go with the rate and the batches."""
    chosen = make_optimizer(optimizer)
    rate_given = not (isinstance(learning_rate, str) and learning_rate == "auto")
    if rate_given:
        as_schedule(learning_rate)
    batches = not (isinstance(batch_size, str) and batch_size in ("auto", "full"))
    if chosen is None:
        if partial and not rate_given:
            return SGD()
        return Adam() if rate_given or batches else None
    name = type(chosen).__name__
    if rate_given and isinstance(chosen, FullBatchOptimizer):
        raise ValueError(
            f"learning_rate={shown(learning_rate)} with optimizer={optimizer!r}: {name} finds its "
            "own step lengths; pass learning_rate='auto', or a step rule such as "
            "optimizer='adam'."
        )
    if batches and not chosen.takes_batches:
        raise ValueError(
            f"batch_size={shown(batch_size)} with optimizer={optimizer!r}: {name} needs all rows; "
            "pass batch_size='full', or a step rule such as optimizer='adam'."
        )
    return chosen

def make_plan(settings, sample, problem, state, is_partial):
    """Return how a run descends.

    Parameters
    ----------
    settings : Settings
    sample : Sample
    problem : Problem
    state : FitState
        Its totals of a stream are changed in place.
    is_partial : bool
    """
    optimizer = _optimizer_for(settings, is_partial)
    n, length = sample.n_rows, sample.n_rows
    if optimizer is not None and optimizer.takes_batches:
        default = optimizer.automatic_batch(n, problem.d, problem.width)
        if is_partial and settings.has_automatic_rate:
            default = optimizer.stream_batch or default
        length = batch_length(settings.batch_size, n, default)
    takes_steps = isinstance(optimizer, Optimizer)
    if settings.precondition == "full" and takes_steps:
        raise ValueError(
            f"precondition='full' with optimizer={settings.optimizer!r}: step rules descend "
            "in the diagonal metric; pass precondition='auto' or a full-batch optimizer "
            "('lbfgs')."
        )
    rows, weight = n, problem.weight_sum
    if is_partial:
        state.rows += rows
        state.weight += weight
        rows, weight = state.rows, state.weight
    chosen = is_partial and isinstance(settings.batch_size, str)
    is_mostly_zeros = problem.is_sparse and (
        not chosen or problem.width < MOSTLY_ZEROS * problem.d
    )
    return Plan(
        optimizer=optimizer,
        schedule=None,
        batch_length=length,
        bounds=batch_bounds(n, length),
        rows=sample.rows,
        preconditioned=settings.precondition is not None,
        centred=not (takes_steps and length == 1 and is_mostly_zeros),
        shuffle=settings.shuffle,
        in_blocks=exceeds_memory(sample.X),
        average_from=int(settings.average) - 1,
        weight_scale=rows / weight,
        penalty=settings.penalty,
        positive=settings.positive,
    )


def _optimizer_for(settings, is_partial):
    optimizer = choose_optimizer(
        settings.optimizer, settings.learning_rate, settings.batch_size, partial=is_partial
    )
    if not settings.loss.homogeneous:
        return optimizer
    if make_optimizer(settings.optimizer) is None:
        return make_optimizer("sgd")
    if isinstance(optimizer, FullBatchOptimizer):
        raise ValueError(
            f"optimizer={settings.optimizer!r} with loss={settings.named_loss!r}, whose "
            "minimum is at zero coefficients: pass a step rule such as optimizer='sgd', or "
            "another loss."
        )
    return optimizer
