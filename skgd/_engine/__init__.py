"""The engine: compiled passes over rows of X, for full gradients and for update steps.

Each file needs those before it alone: `rows` reads X; `data_term` is that of the objective and has
its full pass; `team` shares work between threads; `parameters` takes one step of an optimizer in
the coordinates of a metric; `batches`, `single_rows` and `sparse_tiles` are three ways to follow
mini-batches, between which a `sweep` chooses; `variance_reduced` has SVRG and SAGA, `joint_sweep`
many models at once, `dual_coordinates` the dual variables of single rows. The GIL is released
throughout; what comes in is checked in Python before a loop starts.
"""

from skgd._engine.data_term import (
    DataTerm,
    MeanLosses,
    joint_losses,
    signed_targets,
    value_and_gradient,
)
from skgd._engine.dual_coordinates import DualCoordinates, SingleRows, weighted_quantile
from skgd._engine.joint_sweep import JointSweep
from skgd._engine.parameters import cache_aligned
from skgd._engine.rows import chunk_starts, in_chunks, rows_of, shuffle
from skgd._engine.sweep import Sweep
from skgd._engine.variance_reduced import VarianceReducedSweep

__all__ = [
    "DataTerm", "DualCoordinates", "JointSweep", "MeanLosses", "SingleRows", "Sweep",
    "VarianceReducedSweep", "cache_aligned", "chunk_starts", "in_chunks", "joint_losses",
    "rows_of", "shuffle", "signed_targets", "value_and_gradient", "weighted_quantile",
]  # fmt: skip
