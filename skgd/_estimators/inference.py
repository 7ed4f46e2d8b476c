"""What a fitted estimator says of its coefficients: a table of them, and their covariance.

With the expected information J, the observed H and the variance M of the gradient
(``skgd._problem.information``), the Hessian ``D`` of the penalty and the dispersion ``phi``::

    classical    phi/S (J + D)^-1 J (J + D)^-1
    sandwich     (H + D)^-1 M (H + D)^-1

Without a penalty these are the covariances of generalised linear models (McCullagh and Nelder,
1989) and of Huber and White. With one they are those of the penalised estimate about its own mean.
"""

import numpy as np
from scipy.linalg import helmert

from skgd._estimators.base import fitted_run
from skgd._fit.state import FitState
from skgd._problem.information import Information
from skgd._utils.names import check_choice, shown
from skgd.losses import Gamma, LogLoss, Poisson, SquaredError, Tweedie
from skgd.penalties import L2

# The variance of the targets, given the mean, is known but for a factor, or known.
DISPERSED, KNOWN = (SquaredError, Gamma, Tweedie), (LogLoss, Poisson)


def coefficients(estimator, coef, state, *, sort):
    """Return the columns of the table of coefficients of a fitted estimator, by name.

    Parameters
    ----------
    coef : array of shape (n_outputs, n_features)
    state : dict or None
        What the estimator keeps of its rows.
    sort : bool
    """
    k, d = coef.shape
    names = getattr(estimator, "feature_names_in_", None)
    columns = {"feature": np.tile(np.arange(d) if names is None else names, k)}
    if hasattr(estimator, "classes_"):
        columns["class"] = np.repeat(estimator.classes_[-k:], d)
    elif k > 1:
        columns["output"] = np.repeat(np.arange(k), d)
    columns["coefficient"] = coef.ravel()
    deviation = np.full(d, np.nan)
    if state is not None:
        deviation = np.sqrt(FitState.resumed(state).moments.variance(about_mean=True))
    columns["per_deviation"] = (coef * deviation).ravel()
    if sort:
        key = "per_deviation" if np.isfinite(deviation).all() else "coefficient"
        order = np.argsort(-np.abs(columns[key]), kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
    return columns


def covariance(estimator, coef, intercept, X, y, sample_weight, kind):
    """Return the covariance of coefficients and intercepts of a fitted estimator."""
    check_choice("kind", kind, ("classical", "sandwich"))
    run = fitted_run(estimator, X, y, sample_weight)
    _check_likelihood(run.settings)
    problem, has_intercept = run.problem, int(run.settings.fit_intercept)
    moments = problem.moments()
    variance = moments.variance(about_mean=bool(has_intercept))
    scale = 1.0 / np.sqrt(np.where(variance > 0, variance, 1.0))
    mean = moments.mean if has_intercept else np.zeros(problem.d)
    scale = np.append(scale, np.ones(has_intercept))
    information = Information(problem, coef, intercept, is_expected=kind == "classical")
    matrices = information.matrices(mean, scale)
    penalised = matrices + np.diag(_penalty_curvature(run.settings, scale, matrices.shape[1]))
    to_raw = np.diag(scale)
    if has_intercept:
        to_raw[-1, :-1] = -mean * scale[:-1]
    if problem.is_multiclass:
        # The coefficients of a softmax sum to zero over the classes.
        basis = np.kron(helmert(problem.k).T, np.eye(len(scale)))
        to_raw = np.kron(np.eye(problem.k), to_raw)
    else:
        basis = np.eye(len(scale))
    inverse = np.array([basis @ _inverse(basis.T @ each @ basis) @ basis.T for each in penalised])
    if kind == "sandwich":
        variances = information.gradient_variance(mean, scale)
    else:
        freedom = np.trace(inverse @ matrices, axis1=1, axis2=2)
        phi = _dispersion(problem, information, freedom)
        variances = matrices * (phi / problem.weight_sum)[:, None, None]
    result = to_raw @ inverse @ variances @ inverse @ to_raw.T
    result = (result + np.swapaxes(result, 1, 2)) / 2
    is_single = run.settings.task == "classification" or run.targets.is_single
    return result[0] if is_single else result


def _check_likelihood(settings):
    """Raise unless the objective is a likelihood with no penalty or with l2."""
    if type(settings.loss) not in DISPERSED + KNOWN:
        raise ValueError(
            f"loss={shown(settings.named_loss)} is not the likelihood of a generalised linear "
            "model: pass 'squared_error', 'log_loss', 'poisson', 'gamma' or 'tweedie', or "
            "bootstrap the fit."
        )
    if settings.positive:
        raise ValueError(
            "positive=True: coefficients at a bound have no normal distribution; bootstrap the "
            "fit, or pass positive=False."
        )
    if settings.alpha > 0 and settings.penalty is not None and type(settings.penalty) is not L2:
        raise ValueError(
            f"penalty={shown(settings.named_penalty)}: coefficients that are set to zero have no "
            "normal distribution; bootstrap the fit, or pass penalty='l2' or None."
        )


def _penalty_curvature(settings, scale, size):
    """Return the Hessian of the penalty in given coordinates, which is diagonal."""
    result = np.zeros(len(scale))
    if settings.penalty is not None and settings.alpha > 0:
        d = len(scale) - bool(settings.fit_intercept)
        result[:d] = settings.alpha * np.asarray(settings.penalty.curvature(d), dtype=float)
    return np.tile(result * scale**2, size // len(scale))


def _inverse(matrix):
    """Return the inverse of the information about the parameters."""
    values = np.linalg.eigvalsh(matrix)
    if not values[0] > len(values) * np.finfo(float).eps * values[-1]:
        raise ValueError(
            "X does not determine the coefficients: its columns are linearly dependent or "
            "constant, or the classes are separable. Drop columns, or fit with penalty='l2' and "
            "an alpha above 0."
        )
    return np.linalg.inv(matrix)


def _dispersion(problem, information, freedom):
    """Return the factor of each output's variance: 1, or Pearson's statistic by its freedom."""
    if type(problem.loss) in KNOWN:
        return np.ones(len(freedom))
    rows = problem.weighted_rows()
    left = (problem.n if rows is None else len(rows)) - freedom
    if not np.all(left > 0):
        raise ValueError(
            f"X has {problem.n} rows, which leave no degrees of freedom for the variance of y: "
            "pass more rows, or kind='sandwich'."
        )
    return information.pearson() * problem.weight_sum / left
