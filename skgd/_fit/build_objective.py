"""Loss, penalty, metric and problem put together: the objective of a run."""

import numpy as np

from skgd._objective.metric import diagonal_metric, identity_metric
from skgd._objective.objective import Objective
from skgd._objective.penalty_rule import compiled_penalty


def build_objective(settings, problem, plan, moments, target_moments, shared):
    """Return the objective of a run.

    Parameters
    ----------
    settings : Settings
    problem : Problem
    plan : Plan
    moments, target_moments : Moments
        Of the columns, and of the targets of a regression.
    shared : callable
        ``shared(key, make, *more)`` returns what runs over the same rows share.
    """
    penalty, rule = settings.penalty, penalty_rule(settings, problem.d)
    alpha = np.full(problem.k, float(settings.alpha) if penalty is not None else 0.0)

    def metric_and_curvatures():
        mean, spread = target_scales(settings, target_moments, problem.k, plan.preconditioned)
        smoothness, unit = settings.loss.scales(mean, spread)
        diag = np.zeros(problem.d) if penalty is None else penalty.curvature(problem.d)
        penalty_curvature = alpha[:, None] * np.asarray(diag, dtype=float)
        if not plan.preconditioned:
            metric = identity_metric(problem.d, problem.k, settings.fit_intercept)
        else:
            metric = diagonal_metric(
                moments, smoothness, penalty_curvature, unit, settings.fit_intercept,
                centred=plan.centred,
            )  # fmt: skip
        constant = moments.constant(fit_intercept=settings.fit_intercept)
        if constant.any():
            constant &= _stays_at_zero(rule, alpha, problem.d)
            metric = metric.freezing(constant, moments.mean)
        return metric, smoothness, penalty_curvature

    return Objective(problem, rule, alpha, *shared(
        "metric", metric_and_curvatures, settings.named_loss, settings.fit_intercept,
        settings.named_penalty, settings.alpha, settings.l1_ratio, bool(settings.positive),
        plan.preconditioned, plan.centred,
    ))  # fmt: skip


def penalty_rule(settings, n_features):
    """Return the compiled penalty of an estimator, within the bounds that it sets."""
    rule = compiled_penalty(settings.penalty, settings.positive)
    rule.check(n_features)
    return rule


def target_scales(settings, moments, n_outputs, preconditioned=True):
    """Return the mean and the spread of each output's targets; 0 and 1 for classes."""
    if settings.task == "classification":
        return np.zeros(n_outputs), np.ones(n_outputs)
    if not preconditioned:
        return moments.mean, np.ones(n_outputs)
    spread = np.sqrt(moments.variance(about_mean=settings.fit_intercept))
    if (spread > 0).all():
        return moments.mean, spread
    size = np.sqrt(moments.variance(about_mean=False))
    return moments.mean, np.where(spread > 0, spread, np.where(size > 0, size, 1.0))


def objective_scale(settings, objective, moments, *, preconditioned):
    """Return the unit of the objective that the targets have, whatever the metric."""
    unit = objective.metric.unit
    if not preconditioned:
        unit = settings.loss.scales(*target_scales(settings, moments, len(unit)))[1]
    return float((1.0 / unit).sum())


def _stays_at_zero(rule, alpha, n_features):
    """Tell in which columns a penalty and its bounds let a coefficient stay at zero."""
    step = np.zeros((len(alpha), n_features))
    step -= alpha[:, None] * rule.apply_gradient(step)
    if rule.is_proximal:
        rule.apply_prox(step, np.ones(step.shape))
    return (step == 0).all(axis=0)
