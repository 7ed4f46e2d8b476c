"""What a run remembers: its history, its best iterate and why it stopped."""

import math
import time
import warnings
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgd.objective import ROUNDING

# A run has exploded where its objective is this many times that of the best constant model.
EXPLODED = 10.0
# A run has ended worse than it began where its objective is higher by this share: noise is not.
WORSE = 0.01
# What is nothing in units of the objective, and below what share of one the best constant model has
# nothing but rounding left: no share of that tells anything.
NEGLIGIBLE, NOTHING = 1e-6, 1e-12

HISTORY = (
    "epoch", "step", "passes", "loss", "objective", "gradient_norm", "learning_rate", "seconds",
    "validation_loss", "validation_score",
)  # fmt: skip

# What of a record a checkpoint keeps; the rest follows from the data and the parameters.
STATE = (
    "history", "stop_reason", "best_objective", "best", "best_validation", "best_validated",
    "validated_at", "epochs_before", "waited", "waited_from", "waited_validation",
    "start_objective",
)  # fmt: skip


class DivergenceWarning(ConvergenceWarning):
    """The descent exploded; the estimator has the best iterate from before.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import DivergenceWarning, GDRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", DivergenceWarning)
    ...     GDRegressor(optimizer="sgd", learning_rate=1e3).fit(X, y).stop_reason_
    'diverged'
    """


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
    scale : float
        The unit of the objective, which is above zero where that of the constant model is not.
    partial : bool
        Whether the run is one epoch of a stream, whose rows may be harder than those before.
    homogeneous : bool
        Whether twice the coefficients have twice the loss: then neither the objective of the start
        nor a rise tells anything.
    cut_short : bool
        Whether the last epoch exploded at a rate that would be cut if there were another one.
    validation : Validation or None
    tasks : FitTasks or None
        Who is told of each epoch.
    attributes : callable
        ``attributes(coef, intercept)``: those of an estimator that is fitted up to there.
    halted : bool
        Whether a callback wants to stop after an epoch that exploded.
    unseen : list of tuple
        The coefficients and intercepts of epochs at whose objective nobody has looked.
    """

    max_iter: int
    tol: float | None
    patience: int
    constant_objectives: np.ndarray
    constant: tuple | None = None
    scale: float = 0.0
    partial: bool = False
    homogeneous: bool = False
    validation: object = None
    tasks: object = None
    attributes: object = None
    history: dict = field(default_factory=lambda: {key: [] for key in HISTORY})
    stop_reason: str | None = None
    best_objective: float = np.inf
    best: tuple | None = None
    best_validation: float = np.inf
    best_validated: tuple | None = None
    validated_at: int = -1
    started: float = field(default_factory=time.perf_counter)
    epochs_before: int = 0
    waited: int = 0
    waited_from: float = np.inf
    waited_validation: int = 0
    exploded_at: int | None = None
    cut_short: bool = False
    start_objective: float = 0.0
    halted: bool = False
    unseen: list = field(default_factory=list)

    @cached_property
    def constant_objective(self):
        return float(self.constant_objectives.sum())

    @cached_property
    def is_exact(self):
        """Whether the best constant model is exact, but for rounding.

        That of a homogeneous loss, at zero margins, is no model.
        """
        return not self.homogeneous and abs(self.constant_objective) <= NOTHING * self.scale

    @cached_property
    def ceiling(self):
        """What the objective falls from, in a way that leaves a distance where nothing is left."""
        return self.constant_objective + (NEGLIGIBLE * self.scale if self.is_exact else 0.0)

    @property
    def n_iter(self):
        return len(self.history["epoch"])

    @property
    def is_last_epoch(self):
        """Whether an epoch that has not been entered yet is the last one."""
        return self.n_iter + 1 >= self.max_iter

    def start(self, coef, intercept, objective):
        """Count the starting point in as the first candidate for the best iterate."""
        self.start_objective = objective
        if np.isfinite(objective) and not self.homogeneous:
            self.best, self.best_objective = (coef, intercept), objective

    def begin_epoch(self):
        """Hear that an epoch begins."""
        if self.tasks is not None:
            self.tasks.begin_epoch()

    def add(
        self, coef, intercept, *, step, passes, losses, objectives, decrement, unit, rate,
        patience=None, bound=None,
    ):  # fmt: skip
        """Enter an epoch and return whether the run shall stop.

        Parameters
        ----------
        coef, intercept : array
        step, passes : int
            Update steps and passes over the rows so far.
        losses, objectives : array of shape (n_outputs,)
        decrement : float
            The squared length of the gradient in the metric; NaN where it is not known.
        unit : array of shape (n_outputs,)
            The unit of the objective in the metric.
        rate : float
        patience : int or None
            The epochs without improvement after which the run stops; None for no such stop.
        bound : float or None
            The objective above which the run has exploded; None is that of `bound`.
        """
        objective = float(objectives.sum())
        validation_loss = validation_score = np.nan
        if self.validation is not None:
            validation_loss, validation_score = self.validation(coef, intercept)
        self._append(
            step=step, passes=passes, loss=losses.sum(), objective=objective,
            gradient_norm=np.sqrt(decrement), learning_rate=rate, validation_loss=validation_loss,
            validation_score=validation_score,
        )  # fmt: skip
        if not math.isfinite(objective) or objective > (self.bound if bound is None else bound):
            self.stop_reason, self.exploded_at = "diverged", step
            # Callbacks see what the fit would keep, which predicts finite numbers.
            self.halted = self._tell(*(self.best or self.constant))
            return True
        self.compare(coef, intercept, objective)
        if self.validation is not None and self._validated(
            coef, intercept, validation_loss, validation_score
        ):
            self.stop_reason = "early_stopping"
        elif self.n_iter >= self.max_iter:
            self.stop_reason = "max_iter"
        elif not self.flat(decrement, unit, objectives):
            self._stall(patience)
        if self._tell(coef, intercept):
            self.stop_reason = "callback"
        return self.stop_reason is not None

    def _tell(self, coef, intercept):
        """Tell of the end of an epoch; return whether a callback wants to stop."""
        return self.tasks is not None and self.tasks.end_epoch(
            self.history, lambda: self.attributes(coef, intercept)
        )

    def pass_over(self, coef, intercept, *, step, passes, rate):
        """Enter an epoch at whose objective nobody has looked."""
        self._append(step=step, passes=passes, learning_rate=rate)
        self.unseen.append((coef, intercept))

    def _append(self, **entries):
        entries |= {"epoch": self.epochs_before + self.n_iter + 1,
                    "seconds": time.perf_counter() - self.started}  # fmt: skip
        for key, values in self.history.items():
            values.append(entries.get(key, np.nan))

    def compare(self, coef, intercept, objective):
        """Keep the best iterate and count the epochs since it was clearly better than before."""
        if objective < self.best_objective:
            self.best, self.best_objective = (coef, intercept), objective
        possible = max(self.ceiling - self.best_objective, 0.0)
        if self.waited_from - self.best_objective > (self.tol or 0.0) * possible:
            self.waited, self.waited_from = 0, self.best_objective
        else:
            self.waited += 1

    def _stall(self, patience):
        """Stop where the last epochs brought nothing; a validation set would tell instead."""
        if patience is None or self.tol is None or self.validation is not None:
            return
        if self.waited >= patience:
            self.stop_reason = "tol"

    def flat(self, decrement, unit, objectives):
        """Return whether the squared gradient length says that the minimum is reached."""
        if self.stop_reason is None and self.tol is not None:
            if decrement <= self.tol * self.tol * self.possible(unit, objectives):
                self.stop_reason = "tol"
            elif decrement <= ROUNDING**2 * self.worth(unit):
                self.stop_reason = "precision"
        return self.stop_reason is not None

    def possible(self, unit, objectives):
        """Return how far objectives are below those of the best constant model."""
        possible = float(unit @ (self.constant_objectives - objectives))
        return max(possible, NEGLIGIBLE * len(unit)) if self.is_exact else possible

    def worth(self, unit):
        """Return the size of the best constant model's objective, in units of the metric."""
        worth = float(unit @ np.abs(self.constant_objectives))
        return max(worth, float(len(unit))) if self.is_exact else worth

    @property
    def bound(self):
        """The objective above which a run has exploded."""
        if self.homogeneous:
            return np.inf
        known = filter(math.isfinite, (self.constant_objective, self.start_objective))
        largest = max(map(abs, known), default=0.0)
        # A few rows of a stream may have no spread of their own.
        return EXPLODED * (max(largest, self.scale) if self.partial or self.is_exact else largest)

    @property
    def bound_of_epoch(self):
        """The objective above which the next epoch to be entered is the end of a diverged run."""
        return self.start_bound if self.is_last_epoch else self.bound

    @property
    def start_bound(self):
        """The objective above which a run has ended worse than it began."""
        if self.partial or self.homogeneous:
            return self.bound
        worst = max(self.constant_objective, self.start_objective)
        slack = WORSE if self.is_exact else NEGLIGIBLE
        return worst + WORSE * abs(worst) + slack * self.scale

    def _validated(self, coef, intercept, loss, score):
        measure = loss if np.isnan(score) else -score
        improvement = self.best_validation - measure
        significant = improvement > self.validation.least_change(loss, self.tol or 0.0)
        self.waited_validation = 0 if significant else self.waited_validation + 1
        if improvement > 0:
            self.best_validation, self.best_validated = measure, (coef, intercept)
            self.validated_at = self.n_iter - 1
        return self.waited_validation >= self.patience

    @property
    def has_exploded(self):
        """Whether the last epoch led to a point that is worse than no model."""
        return not self.history["objective"][-1] <= self.start_bound

    def go_on(self):
        """Return the parameters to begin again with after an explosion."""
        self.stop_reason = self.exploded_at = None
        return self.best

    def take_back(self):
        """Forget the last epoch, which is taken again."""
        self.stop_reason = self.exploded_at = None
        for values in self.history.values():
            values.pop()

    def state(self):
        """Return what another record needs to resume from here, as arrays and numbers."""
        state = {name: getattr(self, name) for name in STATE}
        return state | {
            "history": self.as_arrays(), "seconds": time.perf_counter() - self.started,
        }  # fmt: skip

    def restore(self, state):
        """Go on from the state of another record."""
        for name in STATE:
            setattr(self, name, state[name])
        self.history = {key: values.tolist() for key, values in state["history"].items()}
        self.started = time.perf_counter() - state["seconds"]
        if self.stop_reason == "callback" or (
            self.stop_reason == "max_iter" and self.n_iter < self.max_iter
        ):
            self.stop_reason = None

    def as_arrays(self):
        """Return the history as a dict of arrays."""
        return {key: np.array(values) for key, values in self.history.items()}


def warn_diverged(record, place, remedy, on_divergence):
    """Say that the descent exploded, where, and what to pass instead."""
    message = (
        f"The descent diverged at {place}: the objective rose to "
        f"{record.history['objective'][-1]:.3g}, where the best constant model has "
        f"{record.constant_objective:.3g}. {remedy}"
    )
    if on_divergence == "raise":
        raise FloatingPointError(message)
    warnings.warn(
        message + " The estimator has the best coefficients from before.", DivergenceWarning
    )
