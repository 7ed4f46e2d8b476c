"""The public losses and their smoothings, margins for them, and finite differences."""

import numpy as np
import pytest

from skgd import losses
from skgd.losses import Loss

CLASSES = [
    found
    for name in losses.__all__
    if isinstance(found := getattr(losses, name), type)
    and issubclass(found, Loss)
    and found.Rule is not None
]
PUBLIC = [found() for found in CLASSES]
SMOOTHED = [loss.smoothed(0.3) for loss in PUBLIC if not loss.smooth]

curved_loss = pytest.mark.parametrize(
    "loss", [a for a in PUBLIC + SMOOTHED if a.has_hessian], ids=repr
)


def sample(loss, shape, seed=0):
    """Targets and margins; random margins do not meet the kinks."""
    return loss.sample_targets(shape, seed), np.random.default_rng(seed + 1).normal(0, 2, shape)


def difference(function, z, width=1e-5):
    return (function(z + width) - function(z - width)) / (2 * width)
