"""Functions of two parameters or one to minimise, and every optimizer that may do it."""

import pytest

from skgd import optimizers
from skgd.optimizers import FullBatchOptimizer, Optimizer

KINDS = [getattr(optimizers, name) for name in optimizers.__all__]
RULES = [kind for kind in KINDS if issubclass(kind, Optimizer) and kind is not Optimizer]
SOLVERS = [
    kind for kind in KINDS
    if issubclass(kind, FullBatchOptimizer) and kind is not FullBatchOptimizer
]  # fmt: skip

every_rule = pytest.mark.parametrize("kind", RULES)
every_solver = pytest.mark.parametrize("kind", SOLVERS)


def beale(x):
    y = x[1]
    return sum((c - x[0] * (1 - y**k)) ** 2 for k, c in enumerate((1.5, 2.25, 2.625), start=1))


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def bowl(x):
    return 0.5 * ((x - 1) @ ([1, 4] * (x - 1)))


def bowl_der(x):
    return [1, 4] * (x - 1)


def double_well(x):
    """Two valleys: the shallow one at 0.96, the deep one at -1.04."""
    return (x[0] ** 2 - 1) ** 2 + 0.3 * x[0]


def double_well_der(x):
    return 4 * x * (x**2 - 1) + 0.3


def saddle(x):
    return x[0] ** 2 - x[1] ** 2


def saddle_der(x):
    return 2 * x * [1, -1]
