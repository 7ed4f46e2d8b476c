"""Learning-rate schedules: the rate as a function of the step number, for whole arrays of steps.

The name of an argument says its unit: ``epochs`` counts epochs, ``steps`` update steps, and
``factor`` is per epoch where nothing else is said. In `skgd.minimize`, and for a schedule that no
run has bound, an epoch is one step. Where ``epochs`` is None, a schedule that ends does so with the
run, after ``max_iter`` epochs.

A run doesn't stop by ``tol`` before its schedule has ended. With `Cosine`, `Polynomial` and
`OneCycle`, pass ``max_iter`` or ``epochs``; 10 to 50 epochs are common.
"""

from skgd._utils.rules import name_by_package
from skgd.schedules import base, decays
from skgd.schedules.base import *
from skgd.schedules.base import all_checked_rates, as_schedule, checked_rates, same_rates
from skgd.schedules.decays import *

__all__ = [*base.__all__, *decays.__all__]
name_by_package(globals())
