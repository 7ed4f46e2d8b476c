"""The checks of an estimator's parameters."""

import sys
from numbers import Integral

import numpy as np

from skgd._utils.checks import (
    check_count,
    check_flag,
    check_n_jobs,
    check_seed,
    check_tol,
    is_finite,
    is_number,
)
from skgd._utils.names import check_choice, shown


def check_parameters(estimator):
    """Raise for the first constructor parameter that cannot be used."""
    for name in ("alpha", "l1_ratio"):
        if not is_number(getattr(estimator, name)):
            raise TypeError(f"{name}={shown(getattr(estimator, name))}: pass a number.")
    if not is_finite(estimator.alpha) or estimator.alpha < 0:
        raise ValueError(f"alpha={shown(estimator.alpha)}: pass a finite number >= 0.")
    if not 0 <= estimator.l1_ratio <= 1:
        raise ValueError(f"l1_ratio={shown(estimator.l1_ratio)}: pass a number from 0 to 1.")
    check_count("max_iter", estimator.max_iter)
    check_count("n_iter_no_change", estimator.n_iter_no_change)
    check_tol(estimator.tol)
    for name in ("fit_intercept", "positive", "shuffle", "early_stopping", "warm_start"):
        check_flag(name, getattr(estimator, name))
    check_choice("precondition", estimator.precondition, ("auto", "diagonal", "full", None))
    check_choice("on_divergence", estimator.on_divergence, ("recover", "raise"))
    if isinstance(estimator.init, str):
        check_choice("init", estimator.init, ("zeros", "random"), "or (coef, intercept)")
    fraction = estimator.validation_fraction
    if not is_number(fraction) or not 0 < fraction < 1:
        raise ValueError(
            f"validation_fraction={shown(fraction)}: pass a number between 0 and 1."
        )
    average = estimator.average
    if not isinstance(average, bool | np.bool_) and not (
        isinstance(average, Integral) and 0 <= average <= sys.maxsize
    ):
        raise ValueError(
            f"average={shown(average)}: pass True, False, or the update step from which to average."
        )
    if not isinstance(estimator.verbose, bool | Integral):
        raise TypeError(f"verbose={shown(estimator.verbose)}: pass an integer.")
    check_n_jobs(estimator.n_jobs)
    check_seed(estimator.random_state)
