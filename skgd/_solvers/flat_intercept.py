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
    counts = share > 0
    crossings, low, high, share = (part[counts] for part in (position - z, low, high, share))
    # Rows at their kinks come to them at 0 but for rounding: they are on either side.
    rounding = Limits.inside * np.abs(crossings).mean()
    for passed in (crossings <= rounding, crossings < -rounding):
        if abs(float(np.sum(share * np.where(passed, high, low)))) <= Limits.flat:
            break
    else:
        return 0.0
    if passed.all() or not passed.any():
        return 0.0
    first, last = crossings[passed].max(), crossings[~passed].min()
    margin = Limits.inside * (last - first)

    def rise(b):
        return float(np.sum(share / (b - crossings)))

    if not (last - first > rounding and rise(first + margin) > 0.0 > rise(last - margin)):
        return 0.0
    return optimize.brentq(rise, first + margin, last - margin, xtol=1e-3 * margin)
