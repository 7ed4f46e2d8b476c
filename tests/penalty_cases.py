"""Penalties to test, with and without weights, bounds and groups, and coefficients for them."""

import numpy as np
import pytest

from skgd import penalties
from skgd.penalties import L1, L2, Box, ElasticNet, GroupLasso, Penalty

CLASSES = [
    found
    for name in penalties.__all__
    if isinstance(found := getattr(penalties, name), type)
    and issubclass(found, Penalty)
    and found.Rule is not None
]
WEIGHTS = np.array([1.0, 0.0, 2.5, 0.3, 1.0, 4.0])
D = len(WEIGHTS)
WEIGHTED = [found for found in CLASSES if "weights" in found().get_params()]
# Bounds that none of the coefficients below meets, and bounds that some do.
WIDE = {"lower": -50.0, "upper": np.full(D, 60.0)}
TIGHT = {"lower": [-0.3, -np.inf, -1, 0, -2, -0.5], "upper": [0.1, 0.2, np.inf, 3, 0, 0.7]}
SEPARABLE = [
    *(found() for found in CLASSES),
    *(found(weights=WEIGHTS) for found in WEIGHTED),
    ElasticNet(0.0),
    ElasticNet(0.7, weights=list(WEIGHTS)),
    ElasticNet(1.0),
    Box(-0.5, 0.5),
    Box(**TIGHT),
    Box(0.2, None, L1()),
    Box(**TIGHT, penalty=ElasticNet(0.7, weights=WEIGHTS)),
    Box(**WIDE, penalty=L2()),
]
GROUPS = [[0, 2, 5], [1, 4]]
GROUPED = [
    GroupLasso(GROUPS),
    GroupLasso([range(D)]),
    GroupLasso(GROUPS, weights=WEIGHTS),
    Box(**TIGHT, penalty=GroupLasso(GROUPS)),
    Box(**TIGHT, penalty=GroupLasso(GROUPS, weights=WEIGHTS)),
    Box(0.3, 0.9, GroupLasso([range(D)])),
]
INSTANCES = SEPARABLE + GROUPED

every_penalty = pytest.mark.parametrize("penalty", INSTANCES, ids=lambda p: repr(p)[:40])


def coefficients(seed=0):
    return np.random.default_rng(seed).normal(0, 1.5, D)


def bounds(penalty):
    """Return the bounds of each coefficient; those of most penalties are infinite."""
    found = penalty.get_params()
    low, high = found.get("lower"), found.get("upper")
    return np.broadcast_arrays(
        -np.inf if low is None else low, np.inf if high is None else high, np.ones(D)
    )[:2]
