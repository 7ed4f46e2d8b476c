"""What a run remembers: its history, its best iterate and why it stopped."""

import time
import warnings
from dataclasses import dataclass, field

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgd.objective import ROUNDING

# A run has exploded where its objective is this many times that of the best constant model.
EXPLODED = 10.0
# A run has ended worse than it began where its objective is higher by this share: noise is not.
WORSE = 0.01

HISTORY = (
    "epoch", "step", "passes", "loss", "objective", "gradient_norm", "learning_rate", "seconds",
    "validation_loss", "validation_score",
)  # fmt: skip


class DivergenceWarning(ConvergenceWarning):
    """The descent exploded; the estimator has the best iterate from before."""


@dataclass
class Record:
    """What a run remembers: its history, its best iterate and why it stopped.

    Attributes
    ----------
    max_iter : int
    tol : float or None
    patience : int
        The epochs without improvement after which a stochastic run stops.
    constant_objectives : array of shape (n_outputs,)
        The objective of the best constant model, output by output.
    constant : tuple
        Its coefficients and intercepts.
    partial : bool
        Whether the run is one epoch of a stream, whose rows may be harder than those before.
    validation : Validation or None
    callback : callable
        Called with (record, coef, intercept) after each epoch; True stops the run.
    """

    max_iter: int
    tol: float | None
    patience: int
    constant_objectives: np.ndarray
    constant: tuple | None = None
    partial: bool = False
    validation: object = None
    callback: object = None
    history: dict = field(default_factory=lambda: {key: [] for key in HISTORY})
    stop_reason: str | None = None
    best_objective: float = np.inf
    best: tuple | None = None
    best_validation: float = np.inf
    best_validated: tuple | None = None
    started: float = field(default_factory=time.perf_counter)
    epochs_before: int = 0
    waited: int = 0
    waited_validation: int = 0
    exploded_at: int | None = None
    start_objective: float = 0.0

    @property
    def constant_objective(self):
        return float(self.constant_objectives.sum())

    @property
    def n_iter(self):
        return len(self.history["epoch"])

    def start(self, coef, intercept, objective):
        """Count the starting point in as the first candidate for the best iterate."""
        self.start_objective = objective
        if np.isfinite(objective):
            self.best, self.best_objective = (coef, intercept), objective

    def add(self, coef, intercept, *, step, passes, loss, objective, gradient_norm, rate):
        """Enter an epoch and return whether the run shall stop."""
        validation_loss = validation_score = np.nan
        if self.validation is not None:
            validation_loss, validation_score = self.validation(coef, intercept)
        entries = {
            "epoch": self.epochs_before + self.n_iter + 1, "step": step, "passes": passes,
            "loss": loss, "objective": objective, "gradient_norm": gradient_norm,
            "learning_rate": rate, "seconds": time.perf_counter() - self.started,
            "validation_loss": validation_loss, "validation_score": validation_score,
        }  # fmt: skip
        for key, value in entries.items():
            self.history[key].append(value)
        if not np.isfinite(objective) or objective > self.bound:
            self.stop_reason, self.exploded_at = "diverged", step
            return True
        improvement = self.best_objective - objective
        if improvement > 0:
            self.best, self.best_objective = (coef, intercept), objective
        significant = improvement > (self.tol or 0.0) * max(
            self.constant_objective - objective, 0.0
        )
        self.waited = 0 if significant and improvement > 0 else self.waited + 1
        if self.callback is not None and self.callback(self, coef, intercept):
            self.stop_reason = "callback"
        elif self.validation is not None and self._validated(
            coef, intercept, validation_loss, validation_score
        ):
            self.stop_reason = "early_stopping"
        elif self.n_iter >= self.max_iter:
            self.stop_reason = "max_iter"
        return self.stop_reason is not None

    def flat(self, decrement, unit, objectives):
        """Return whether the squared gradient length says that the minimum is reached."""
        if self.stop_reason is None and self.tol is not None:
            possible = float(unit @ (self.constant_objectives - objectives))
            if decrement <= self.tol**2 * possible:
                self.stop_reason = "tol"
            elif decrement <= ROUNDING**2 * float(unit @ np.abs(self.constant_objectives)):
                self.stop_reason = "precision"
        return self.stop_reason is not None

    def stalled(self, factor=1):
        """Return whether the last epochs brought nothing; a validation set would tell instead."""
        patience = factor * self.patience
        watched = self.stop_reason is None and self.tol is not None and self.validation is None
        if watched and self.waited >= patience:
            self.stop_reason = "tol"
        return self.stop_reason is not None

    @property
    def bound(self):
        """The objective above which a run has exploded."""
        known = np.array([self.constant_objective, self.start_objective])
        return EXPLODED * max(np.abs(known[np.isfinite(known)]), default=0.0)

    @property
    def start_bound(self):
        """The objective above which a run has ended worse than it began."""
        if self.partial:
            return self.bound
        worst = max(self.constant_objective, self.start_objective)
        return worst + WORSE * abs(worst) + np.finfo(float).tiny

    def _validated(self, coef, intercept, loss, score):
        measure = loss if np.isnan(score) else -score
        improvement = self.best_validation - measure
        significant = improvement > self.validation.least_change(loss, self.tol or 0.0)
        self.waited_validation = 0 if significant else self.waited_validation + 1
        if improvement > 0:
            self.best_validation, self.best_validated = measure, (coef, intercept)
        return self.waited_validation >= self.patience

    def as_arrays(self):
        """Return the history as a dict of arrays."""
        return {key: np.array(values) for key, values in self.history.items()}


def warn_diverged(record, plan, on_divergence):
    """Say that the descent exploded, at which rate, and what to pass instead."""
    rate = record.history["learning_rate"][-1]
    at = f"update step {record.exploded_at} with learning rate {rate:.3g}"
    if plan.schedule is None:
        at = f"iteration {record.n_iter} of the full-batch optimizer"
    message = (
        f"The descent diverged at {at}: "
        f"the objective rose to {record.history['objective'][-1]:.3g}, where the best constant "
        f"model has {record.constant_objective:.3g}. {plan.remedy(rate)}"
    )
    if on_divergence == "raise":
        raise FloatingPointError(message)
    warnings.warn(
        message + " The estimator has the best coefficients from before.", DivergenceWarning
    )
