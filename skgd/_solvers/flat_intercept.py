"""The intercept of a piecewise-linear loss where a whole interval of them is best.

With coefficients given, the loss falls to the kinks on one side of the interval, and rises from
those on the other. An interior point method tends to its analytic centre,

    max_b sum_ij share_i log |b - t_ij|

of all intercepts t_ij at which a row i comes to a kink j, but ends near it alone, and where depends
on its start.
"""

import numpy as np
from scipy import optimize

from skgd._solvers.costs import InteriorPointLimits as Limits


def to_centre(z, position, low, high, share):
    """Return the change of the intercept to the centre of the interval of the best ones, or 0.

    Parameters
    ----------
    z : array of shape (n_samples,)
        The margins.
    position, low, high, share : arrays of shape (n_kinks, n_samples)
        See `Loss.piecewise_linear`.
    """
    slope = float(np.sum(share * np.where(z > position, high, low)))
    if abs(slope) > Limits.flat:
        return 0.0
    crossings, share = (position - z)[share > 0], share[share > 0]
    above, below = crossings[crossings > 0], crossings[crossings <= 0]
    if not len(above) or not len(below):
        return 0.0
    first, last = below.max(), above.min()
    margin = Limits.inside * (last - first)

    def rise(b):
        return float(np.sum(share / (b - crossings)))

    if not last - first > Limits.inside * np.abs(crossings).mean() or not (
        rise(first + margin) > 0.0 > rise(last - margin)
    ):  # fmt: skip
        return 0.0
    return optimize.brentq(rise, first + margin, last - margin, xtol=1e-3 * margin)
