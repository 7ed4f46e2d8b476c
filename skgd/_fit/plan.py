"""How a fit descends: its optimizer, its batches, and what else a run of it needs to know."""

from dataclasses import dataclass

import numpy as np

from skgd._utils.checks import shown
from skgd.optimizers import SGD, Adam, FullBatchOptimizer, Optimizer, make_optimizer
from skgd.schedules import as_schedule


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

    @property
    def takes_steps(self):
        return isinstance(self.optimizer, Optimizer)

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
