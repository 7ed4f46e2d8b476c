"""Smoothing: a non-smooth loss as the limit of a sequence of smooth ones."""

import numpy as np

# Widths of the smooth losses that stand for one that is not, in units of the targets' spread.
SMOOTHING = 10.0 ** np.arange(0.0, -6.5, -1.0)


def smoothing_path(objective, loss):
    """Return the loss, after smooth ones that come ever closer if it turns within a small width.

    References
    ----------
    Nesterov, Smooth minimization of non-smooth functions, 2005.
    """
    if loss.smoothing is None:
        return [loss]
    spread = 1.0
    if loss.task == "regression":
        spread = np.sqrt(np.max(1.0 / (objective.curvature * objective.metric.unit)))
    wider = [loss.smoothed(width) for width in spread * SMOOTHING if width > loss.smoothing]
    wider = [smooth for smooth in wider if smooth is not loss]
    return [*wider, loss] if loss.smooth or not wider else wider
