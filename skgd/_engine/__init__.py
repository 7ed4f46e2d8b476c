"""The engine: two compiled primitives over rows of X, a full pass and a sweep of update steps.

Each file needs those before it alone: `rows` reads X; `problem` has the losses of the rows and
their gradients, the full pass; `tiles` lays sparse batches out for the cache, `team` shares dense
ones between threads; `sweep` takes update steps, `reduced` along estimates whose noise dies out,
`fleet` with many models at once. The GIL is released throughout; what comes in is checked in Python
before a loop starts.
"""

from skgd._engine.joint_sweep import JointSweep
from skgd._engine.problem import Problem, joint_losses, signed_targets, value_and_gradient
from skgd._engine.rows import chunk_starts, in_chunks, rows_of, shuffle
from skgd._engine.sweep import Sweep, cache_aligned
from skgd._engine.variance_reduced import VarianceReducedSweep

__all__ = [
    "JointSweep", "Problem", "VarianceReducedSweep", "Sweep", "chunk_starts", "in_chunks", "joint_losses",
    "cache_aligned", "rows_of", "shuffle", "signed_targets", "value_and_gradient",
]  # fmt: skip
