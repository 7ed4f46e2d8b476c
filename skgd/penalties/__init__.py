"""Penalties on the coefficients, in order of increasing complexity.

A penalty has a value, the gradient of its smooth part and the proximal operator of the rest. The
estimator's ``alpha`` multiplies it; the penalty object carries its shape.
"""

from skgd._utils.checks import shown
from skgd._utils.names import check_choice
from skgd._utils.rules import name_by_package
from skgd.penalties import base, groups, separable
from skgd.penalties.base import *
from skgd.penalties.groups import *
from skgd.penalties.separable import *

__all__ = [*base.__all__, *separable.__all__, *groups.__all__]
name_by_package(globals())


def make_penalty(penalty, l1_ratio):
    """Return the penalty object that a user's ``penalty`` means."""
    named = {
        None: lambda: None, "l2": separable.L2, "l1": separable.L1,
        "elasticnet": lambda: separable.ElasticNet(l1_ratio=l1_ratio),
    }  # fmt: skip
    if isinstance(penalty, base.Penalty):
        return penalty
    if not (penalty is None or isinstance(penalty, str)):
        raise TypeError(
            f"penalty={shown(penalty)}: pass a string, None or an object from skgd.penalties."
        )
    check_choice("penalty", penalty, tuple(named), "or a Penalty")
    return named[penalty]()
