"""Optimizers, in order of increasing complexity: step rules first, then full-batch solvers.

A step rule is two adjacent classes. The rule has the mathematics in the papers' letters: ``w`` the
parameters, ``g`` the gradient, ``s`` the state, ``t`` the step number from 0. It is made afresh for
each run and each row of parameters. The public class has the hyperparameters and the documentation.
No optimizer holds a learning rate: that is the estimator's.
"""

from skgd._utils.checks import shown
from skgd._utils.names import check_choice
from skgd._utils.rules import check_types, name_by_package, snake_case
from skgd.optimizers import adam, adaptive, base, full_batch, step_rules, variance_reduced
from skgd.optimizers.adam import *
from skgd.optimizers.adaptive import *
from skgd.optimizers.base import *
from skgd.optimizers.full_batch import *
from skgd.optimizers.step_rules import *
from skgd.optimizers.variance_reduced import *

__all__ = [
    *base.__all__,
    *step_rules.__all__,
    *adaptive.__all__,
    *adam.__all__,
    *variance_reduced.__all__,
    *full_batch.__all__,
]

name_by_package(globals())

# Each public optimizer by its name in snake_case, and what goes by names of their own.
OPTIMIZERS = {
    snake_case(name): globals()[name]
    for name in __all__
    if name not in ("Optimizer", "FullBatchOptimizer")
} | {
    "momentum": lambda: step_rules.SGD(momentum=0.9),
    "nesterov": lambda: step_rules.SGD(momentum=0.9, nesterov=True),
}


def make_optimizer(optimizer, among=("auto",)):
    """Return the optimizer object that a user's ``optimizer`` means; None for "auto"."""
    if isinstance(optimizer, base.Optimizer | full_batch.FullBatchOptimizer):
        check_types(optimizer)
        return optimizer
    if isinstance(optimizer, str):
        if optimizer == "auto":
            return None
        check_choice("optimizer", optimizer, (*among, *OPTIMIZERS), "or an Optimizer")
        return OPTIMIZERS[optimizer]()
    raise TypeError(
        f"optimizer={shown(optimizer)}: pass a string or an object from skgd.optimizers, such as "
        "Adam()."
    )
