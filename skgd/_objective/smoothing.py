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
    spread = 1.0
    if loss.task == "regression":
        spread = np.sqrt(np.max(1.0 / (objective.smoothness * objective.metric.unit)))
    smoothed = [loss.smoothed(width) for width in spread * WIDTHS if width > loss.smoothing]
    smoothed = [smooth for smooth in smoothed if smooth is not loss]
    return [*smoothed, loss] if loss.smooth or not smoothed else smoothed
