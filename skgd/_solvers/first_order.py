"""First-order methods, where no Hessian is known or none is affordable.

L-BFGS for smooth objectives, accelerated proximal gradient (FISTA with restarts) for others.
"""

from skgd._descent.full_batch import train_full_batch
from skgd._descent.solution import Solution, Stop
from skgd._objective.smoothing import smoothing_path
from skgd._solvers import duality_gap
from skgd._solvers.costs import Work
from skgd.optimizers import LBFGS, AcceleratedGradient


def suits(objective):
    """Tell whether first-order methods can minimise an objective: any one without smoothing."""
    return len(smoothing_path(objective)) == 1


def cost(objective):
    """Return about how many multiplications the descent takes."""
    return Work.first_order_passes * Work.of_pass(objective)


def minimise(objective, x, history, *, reported=None, enough=0.0, confirm=None):
    """Return the `Solution` of a descent from x; see `auto.solve` and `train_full_batch`.

    Proximal gradients say little of the distance from the minimum where columns are correlated:
    there the duality gap confirms convergence, where it is known.
    """
    optimizer, bound = AcceleratedGradient() if objective.proximal else LBFGS(), None
    if objective.proximal and confirm is None and reported is None:
        bound, confirm = duality_gap.confirmation(objective, history)
    x = train_full_batch(
        optimizer, objective, x, history, reported=reported, enough=enough, confirm=confirm
    )
    history.finish(Stop.PRECISION)
    return Solution(x, lower_bound=bound)
