"""The values of alpha along which ``alpha="auto"`` looks for the best one.

Where a penalty empties a model, the largest alpha is the smallest one for which all coefficients
are 0, and the others follow in equal ratios. With l2 coefficients are shrunk where alpha reaches
the curvatures ``h_j = c var_j / p''_j`` of the mean loss along them, so the alphas are those at
which the mean degrees of freedom of uncorrelated columns, ``h_j / (h_j + alpha)``, have log odds at
equal distances.

References
----------
Hastie, Tibshirani and Friedman, The elements of statistical learning, 2009, section 3.4.1.
"""

import numpy as np
from scipy.special import expit, logit

# Alphas of a path for l2, and the degrees of freedom at its ends.
N_SMOOTH, FEWEST, MISSING = 20, 1e-3, 1e-6
# The same where a penalty empties a model, and the smallest alpha as a share of the largest.
N_SPARSE, RATIO = 30, 1e-3
# Alphas at which degrees of freedom are evaluated, and curvatures that stand for all.
GRID, QUANTILES = 1024, 256


def falling_alphas(run):
    """Return the alphas of a path in falling order.

    Parameters
    ----------
    run : Run
        Of the rows, with a penalty and ``alpha=1``.
    """
    largest = _smallest_empty(run.objective.penalty, _slopes(run))
    if largest is not None:
        return np.geomspace(largest, RATIO * largest, N_SPARSE)
    return _by_degrees_of_freedom(_curvatures(run))


def _curvatures(run):
    """Return the curvature of the mean loss along each coefficient, in units of the penalty's."""
    objective = run.objective
    variance = run.state.moments.variance(about_mean=run.settings.fit_intercept)
    penalty = objective.penalty_curvature
    curvatures = np.divide(
        objective.smoothness[:, None] * variance, penalty, out=np.zeros(penalty.shape),
        where=penalty > 0,
    )  # fmt: skip
    curvatures = curvatures[np.isfinite(curvatures) & (curvatures > 0)]
    return curvatures if curvatures.size else np.ones(1)


def _by_degrees_of_freedom(curvatures):
    if len(curvatures) > QUANTILES:
        curvatures = np.quantile(curvatures, np.linspace(0.0, 1.0, QUANTILES))
    logs = np.log(curvatures)
    grid = np.linspace(logs.min() + np.log(MISSING) - 1, logs.max() - np.log(FEWEST) + 1, GRID)
    # Of the share that is left of each coefficient and the share that is taken away.
    left = expit(logs - grid[:, None]).mean(axis=1)
    taken = expit(grid[:, None] - logs).mean(axis=1)
    odds = np.log(left) - np.log(taken)
    wanted = np.linspace(logit(FEWEST), -logit(MISSING), N_SMOOTH)
    return np.exp(np.interp(wanted, odds[::-1], grid[::-1]))


def _slopes(run):
    """Return the slopes of the mean loss at the best constant model, in centred columns."""
    coef, intercept = run.history.baseline.model
    _, coef_slopes, slopes = run.problem.losses_and_gradients(
        np.ascontiguousarray(coef), np.ascontiguousarray(intercept)
    )
    return coef_slopes - slopes[:, None] * run.objective.metric.mean


def _smallest_empty(rule, slopes):
    """Return the smallest alpha whose model is empty; None where none is.

    Coefficients that the penalty leaves out are not looked at.
    """
    if not rule.is_proximal or not slopes.any():
        return None

    def left(alpha):
        coef = -np.ascontiguousarray(slopes)
        rule.apply_prox(coef, np.full(coef.shape, alpha))
        return coef

    slopes = np.where(left(np.abs(slopes).max() * 1e12) == 0, slopes, 0.0)
    if not left(0.0).any():
        return None
    high = float(np.abs(slopes).max())
    while left(high).any():
        high *= 2.0
    low = 0.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if left(middle).any() else (low, middle)
    # A penalty that only keeps coefficients within bounds empties nothing.
    return high if high > 0.0 and low > 0.0 else None
