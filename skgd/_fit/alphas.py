"""The values of alpha that a path goes through: a search's, and those of ``alpha="auto"``.

Where a penalty empties a model, the largest alpha is the smallest one for which all coefficients
are 0. With g the slope of the mean loss at the best constant model and alpha times the penalty's
proximal operator, that is

    min {alpha : prox_alpha(-g) = 0},    max_j |g_j| / (l1_ratio v_j) for l1 and the elastic net

and the others follow in equal ratios. With l2 no alpha empties a model. Its coefficients are shrunk
where alpha reaches the curvatures ``h_j = c var_j / v_j`` of the mean loss, so the alphas go from
where uncorrelated columns would have few degrees of freedom to where they would have nearly all:

    df(alpha) = mean_j h_j / (h_j + alpha)

A search goes in equal ratios there, too; ``alpha="auto"``, which tries fewer, by equal distances of
the log odds of df.

References
----------
Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate
descent, 2010, section 2.5.
Hastie, Tibshirani and Friedman, The elements of statistical learning, 2009, section 3.4.1.
"""

import numpy as np
from scipy.special import expit, logit

from skgd._utils.checks import check_count, is_number
from skgd._utils.names import shown

# Alphas of a path where a penalty empties a model, of a search and of "auto"; and the smallest one
# as a share of the largest.
N_SPARSE, N_SPARSE_AUTO, RATIO = 100, 30, 1e-3
# Alphas for l2, the degrees of freedom at one end, and those that are missing at the other.
N_SMOOTH, FEWEST, MISSING, MISSING_AUTO = 20, 1e-3, 1e-5, 1e-6
# How near the smallest alpha of an empty model is found.
NEAR = 1e-9
# An alpha that leaves no coefficient which it can empty.
HUGE = 1e300
# Curvatures that stand for all, and alphas at which the degrees of freedom are evaluated.
QUANTILES, GRID = 256, 1024


def falling_alphas(run, n=None, ratio=None):
    """Return the alphas of a path in falling order.

    Parameters
    ----------
    run : Run
        Of the rows and of an estimator; its own alpha does not matter.
    n : int or None
        None is 100 where the penalty empties a model, and 20 for l2.
    ratio : float or None
        The smallest alpha as a share of the largest. None is 1e-3 where the penalty empties a
        model; for l2 the columns decide.

    Returns
    -------
    array of shape (n,)
    """
    check_sequence(n, ratio)
    largest = smallest_empty(run)
    if largest is not None:
        return geometric(largest, ratio or RATIO, n or N_SPARSE)
    curvatures = relative_curvatures(run)
    if not curvatures.size:
        raise ValueError(
            f"penalty={shown(run.settings.named_penalty)}: alpha has no effect on it; pass "
            "penalty='l2', 'l1' or 'elasticnet'."
        )
    largest, smallest = by_degrees_of_freedom(curvatures)
    return geometric(largest, ratio or smallest / largest, n or N_SMOOTH)


def tried_alphas(run):
    """Return the alphas that ``alpha="auto"`` tries first, in falling order.

    Parameters
    ----------
    run : Run
        Of the rows, with a penalty; its own alpha does not matter.
    """
    largest = smallest_empty(run)
    if largest is not None:
        return geometric(largest, RATIO, N_SPARSE_AUTO)
    curvatures = relative_curvatures(run)
    grid, kept, lost = _degrees_of_freedom(
        curvatures if curvatures.size else np.ones(1), MISSING_AUTO
    )
    odds, wanted = np.log(kept) - np.log(lost), (logit(FEWEST), -logit(MISSING_AUTO))
    return np.exp(np.interp(np.linspace(*wanted, N_SMOOTH), odds[::-1], grid[::-1]))


def check_sequence(n, ratio):
    """Raise unless the number of alphas and the ratio can be used."""
    check_count("n", n, None)
    if ratio is not None and not (is_number(ratio) and 0 < ratio < 1):
        raise ValueError(f"ratio={shown(ratio)}: pass a number between 0 and 1, or None.")


def geometric(largest, ratio, n):
    """Return n numbers in equal ratios, from the largest down to its share."""
    return largest * ratio ** (np.arange(n) / max(n - 1, 1))


def smallest_empty(run):
    """Return the smallest alpha whose model is empty; None where no alpha empties one.

    Coefficients that the penalty leaves out are not looked at.
    """
    rule, settings = run.objective.penalty, run.settings
    if settings.penalty is None:
        raise ValueError(
            f"penalty={shown(settings.named_penalty)}: without a penalty alpha has no effect; pass "
            "penalty='l2', 'l1' or 'elasticnet'."
        )
    if not rule.is_proximal:
        return None
    slopes = np.ascontiguousarray(slopes_of_constant(run))
    slopes[~_is_emptied(rule, slopes)] = 0.0
    if not slopes.any():
        # Either nothing pulls, or alpha empties nothing.
        ones = np.ones(slopes.shape)
        return 1.0 if any(_is_emptied(rule, sign * ones).any() for sign in (-1.0, 1.0)) else None
    high = float(np.abs(slopes).max())
    while _after_prox(rule, slopes, high).any():
        high *= 2.0
    low = 0.5 * high
    while not _after_prox(rule, slopes, low).any():
        low, high = 0.5 * low, low
    while high > (1.0 + NEAR) * low:
        middle = np.sqrt(low) * np.sqrt(high)
        if _after_prox(rule, slopes, middle).any():
            low = middle
        else:
            high = middle
    return high


def _is_emptied(rule, slopes):
    """Tell which coefficients slopes pull away from 0 until a large alpha keeps them there."""
    return (_after_prox(rule, slopes, 0.0) != 0) & (_after_prox(rule, slopes, HUGE) == 0)


def _after_prox(rule, slopes, alpha):
    """Return the coefficients to which the slopes lead from 0."""
    coef = -slopes
    rule.apply_prox(coef, np.full(coef.shape, alpha))
    return coef


def slopes_of_constant(run):
    """Return the slopes of the mean loss at the best constant model, in centred columns.

    Where the loss has a kink there, those of dual variables that balance: each has a model of its
    own that is empty at the alpha they lead to.
    """
    problem, (coef, intercept) = run.problem, run.history.baseline.model
    fits = run.settings.fit_intercept
    dual = problem.gradient_dual_point(coef, intercept, balanced=fits and not problem.loss.smooth)
    mean = run.state.moments.mean if fits else np.zeros(problem.d)
    return dual.weighted_sums(mean, with_sizes=False)[0][:, :problem.d]


def relative_curvatures(run):
    """Return the curvature of the mean loss along each coefficient, in units of the penalty's."""
    fits, d = run.settings.fit_intercept, run.problem.d
    variance = run.state.moments.variance(about_mean=fits)
    weights = np.broadcast_to(np.asarray(run.settings.penalty.curvature(d), dtype=float), (d,))
    penalised = weights > 0
    curvatures = run.objective.smoothness[:, None] * variance[penalised] / weights[penalised]
    known = curvatures[np.isfinite(curvatures) & (curvatures > 0)]
    return known if known.size or not penalised.any() else np.ones(1)


def by_degrees_of_freedom(curvatures):
    """Return the alphas at which few degrees of freedom are left, and at which few are lost."""
    grid, kept, lost = _degrees_of_freedom(curvatures, MISSING)
    return np.exp(np.interp(-FEWEST, -kept, grid)), np.exp(np.interp(MISSING, lost, grid))


def _degrees_of_freedom(curvatures, missing):
    """Return logarithms of alphas, and the shares of the degrees of freedom kept and lost there."""
    logs = np.log(curvatures)
    if len(logs) > QUANTILES:
        logs = np.quantile(logs, np.linspace(0, 1, QUANTILES))
    grid = np.linspace(logs.min() + np.log(missing) - 1, logs.max() - np.log(FEWEST) + 1, GRID)
    return grid, expit(logs - grid[:, None]).mean(axis=1), expit(grid[:, None] - logs).mean(axis=1)
