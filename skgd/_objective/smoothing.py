"""Smoothing: a non-smooth loss as the limit of a sequence of smooth ones.

References
----------
Nesterov, Smooth minimization of non-smooth functions, 2005.
"""

import numpy as np

# Widths of the smoothed losses, in units of the targets' spread.
WIDTHS = 10.0 ** np.arange(0.0, -6.5, -1.0)


def smoothing_path(objective):
    """Return the objective's loss, after smoothed ones if it turns within a small width."""
    loss = objective.loss
    if loss.smoothing is None:
        return [loss]
    widths = target_spread(objective) * WIDTHS
    smoothed = [loss.smoothed(width) for width in widths if width > loss.smoothing]
    smoothed = [smooth for smooth in smoothed if smooth is not loss]
    return [*smoothed, loss] if loss.smooth or not smoothed else smoothed


def target_spread(objective):
    """Return the largest spread of the targets of an output; 1 for classes."""
    if objective.loss.task != "regression":
        return 1.0
    return float(np.sqrt(np.max(1.0 / (objective.smoothness * objective.metric.unit))))
