"""The checked parameters of an estimator, as values."""

import math
import sys
from dataclasses import dataclass, fields
from functools import cache, cached_property
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import ClassifierMixin

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
from skgd._utils.rules import check_types
from skgd.losses import make_loss
from skgd.penalties import make_penalty
from skgd.schedules import as_schedule


@dataclass(frozen=True, eq=False)
class Settings:
    """The checked parameters of an estimator.

    Those that are named for an object (``optimizer``, ``learning_rate``, ...) are as the user
    passed them; of the loss and the penalty, which may be shared between runs, the objects are
    here too.

    Attributes
    ----------
    task : {"classification", "regression"}
    owner : str
        The name of the estimator, for messages.
    loss, penalty : Loss and Penalty or None
    named_loss, named_penalty : object
        What the user passed for them.
    """

    task: str
    owner: str
    loss: object
    penalty: object
    named_loss: object
    named_penalty: object
    alpha: float | str
    l1_ratio: float | None
    fit_intercept: bool
    positive: bool
    optimizer: object
    learning_rate: object
    batch_size: object
    shuffle: bool
    precondition: str | None
    average: object
    max_iter: int
    tol: float | None
    n_iter_no_change: float
    early_stopping: bool
    validation_fraction: float
    scoring: object
    init: object
    on_divergence: str
    warm_start: bool
    n_jobs: int | None
    verbose: int
    random_state: object
    class_weight: object = None

    @classmethod
    def of(cls, estimator):
        """Return those of an estimator; raise for the first that cannot be used."""
        check_parameters(estimator)
        owner = type(estimator).__name__
        task = "classification" if isinstance(estimator, ClassifierMixin) else "regression"
        loss = make_loss(estimator.loss, task, owner)
        penalty = make_penalty(estimator.penalty, estimator.l1_ratio)
        for rule in (loss, penalty):
            check_types(rule)
        if not isinstance(estimator.learning_rate, str) or estimator.learning_rate != "auto":
            as_schedule(estimator.learning_rate)
        check_class_weight(getattr(estimator, "class_weight", None))
        own = vars(estimator)
        return cls(
            task=task, owner=owner, loss=loss, penalty=penalty, named_loss=estimator.loss,
            named_penalty=estimator.penalty,
            **{name: getattr(estimator, name) for name in _parameter_names()
               if name in own or hasattr(estimator, name)},
        )  # fmt: skip

    @cached_property
    def n_threads(self):
        """The number of threads that n_jobs stands for here."""
        return effective_n_jobs(self.n_jobs)

    @property
    def chooses_alpha(self):
        return isinstance(self.alpha, str)

    @property
    def has_automatic_rate(self):
        return isinstance(self.learning_rate, str)


@cache
def _parameter_names():
    """Return the names of parameters that are settings as they are."""
    made = {"task", "owner", "loss", "penalty", "named_loss", "named_penalty"}
    return [field.name for field in fields(Settings) if field.name not in made]


def check_class_weight(class_weight):
    """Raise unless class_weight is "balanced", a dict or None."""
    if isinstance(class_weight, str):
        check_choice("class_weight", class_weight, ("balanced", None), "or a dict")
    elif not (class_weight is None or isinstance(class_weight, dict)):
        raise TypeError(f"class_weight={shown(class_weight)}: pass 'balanced', a dict or None.")


def check_alpha(alpha):
    """Raise unless alpha is a finite number >= 0 or "auto"."""
    if isinstance(alpha, str) and alpha == "auto":
        return
    if not is_number(alpha):
        raise TypeError(f"alpha={shown(alpha)}: pass a number or 'auto'.")
    if not is_finite(alpha) or alpha < 0:
        raise ValueError(f"alpha={shown(alpha)}: pass a finite number >= 0.")


def check_l1_ratio(l1_ratio, penalty):
    """Raise unless l1_ratio is a share, or None for a penalty that does not read it."""
    remedy = f"l1_ratio={shown(l1_ratio)}: pass a number from 0 to 1."
    is_read = isinstance(penalty, str) and penalty == "elasticnet"
    if l1_ratio is None and not is_read:
        return
    if not is_number(l1_ratio):
        raise TypeError(remedy)
    if not 0 <= l1_ratio <= 1:
        raise ValueError(remedy)


def check_parameters(estimator):
    """Raise for the first constructor parameter that cannot be used."""
    check_alpha(estimator.alpha)
    check_l1_ratio(estimator.l1_ratio, estimator.penalty)
    check_count("max_iter", estimator.max_iter)
    check_count("n_iter_no_change", estimator.n_iter_no_change, math.inf)
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
    if estimator.verbose < 0:
        raise ValueError(f"verbose={shown(estimator.verbose)}: pass an integer >= 0.")
    check_n_jobs(estimator.n_jobs)
    check_seed(estimator.random_state)
