"""The history of a descent: a row an epoch, the best iterate, and the rule that stops it.

With F0 the objective of the best constant model and ``lambda^2 = g' M^-1 g`` the squared length of
the gradient in the metric M, a full-batch descent stops where ``lambda^2 <= tol^2 (F0 - F)``, and a
stochastic one where the best objective of ``n_iter_no_change`` epochs has improved by less than
``tol (F0 - F)``, or where a duality gap is known and small. A descent has diverged where its
objective is above 10 F0 or not finite.
"""

import math
import time
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgd._descent.solution import Stop
from skgd._objective.objective import ROUNDING

# A run has diverged where its objective is this many times that of the best constant model.
DIVERGED = 10.0
# A run has ended worse than it began where its objective is higher by this share: noise is not.
WORSE = 0.01
# What is nothing in units of the objective, and below what share of one the best constant model has
# only rounding left, and no fraction of it means anything.
NEGLIGIBLE, NOTHING = 1e-6, 1e-12

COLUMNS = (
    "epoch", "step", "passes", "loss", "objective", "gradient_norm", "learning_rate", "seconds",
    "validation_loss", "validation_score",
)  # fmt: skip

# What of a history a checkpoint keeps; the rest follows from the data and the parameters.
STATE = (
    "table", "stop", "best_objective", "best", "best_validation", "best_validated", "validated_at",
    "epochs_before", "waited", "waited_from", "waited_validation", "start_objective",
    "gap_due",
)  # fmt: skip


class DivergenceWarning(ConvergenceWarning):
    """The descent diverged; the estimator keeps the best coefficients found so far.

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


def _finite_size(number):
    return abs(number) if math.isfinite(number) else 0.0


@dataclass(frozen=True, eq=False)
class Baseline:
    """The best constant model, which descents are measured against.

    Attributes
    ----------
    objectives : array of shape (n_outputs,)
        Its objective, output by output.
    model : tuple
        Its coefficients and intercepts.
    scale : float
        The unit of the objective, which is above zero where that of the model is not.
    is_homogeneous : bool
        Whether twice the coefficients have twice the loss: then neither the objective of the model,
        at zero margins, nor a rise tells anything.
    sampling_error : float
        By how much the objective of the model is higher on the rows on which epochs are monitored
        than on all.
    """

    objectives: np.ndarray
    model: tuple | None = None
    scale: float = 0.0
    is_homogeneous: bool = False
    sampling_error: float = 0.0

    @cached_property
    def objective(self):
        return float(self.objectives.sum())

    @cached_property
    def monitored(self):
        """The objective of the model on the rows on which epochs are monitored."""
        return self.objective + self.sampling_error

    @cached_property
    def is_exact(self):
        """Whether the model is exact, but for rounding."""
        return not self.is_homogeneous and abs(self.objective) <= NOTHING * self.scale

    @cached_property
    def ceiling(self):
        """What the objective falls from, in a way that leaves a distance where nothing is left."""
        return self.monitored + (NEGLIGIBLE * self.scale if self.is_exact else 0.0)

    def divergence_bound(self, start, is_partial):
        """Return the objective above which a run has diverged that began with another one."""
        if self.is_homogeneous:
            return np.inf
        largest = max(_finite_size(self.monitored), _finite_size(start))
        # A few rows of a stream may have no spread of their own.
        if is_partial or self.is_exact:
            largest = max(largest, self.scale)
        return DIVERGED * largest

    def value(self, unit):
        """Return the objective of the model in units of a metric."""
        return float(unit @ self.objectives)

    def size(self, unit):
        """Return the size of the objective in units of a metric, which is never nothing."""
        size = float(unit @ np.abs(self.objectives))
        return max(size, float(len(unit))) if self.is_exact else size

    def possible_decrease(self, unit, objectives):
        """Return how far objectives are below those of the model, in units of a metric."""
        decrease = float(unit @ (self.objectives - objectives))
        return max(decrease, NEGLIGIBLE * len(unit)) if self.is_exact else decrease


@dataclass
class History:
    """The rows of a descent's epochs, its best iterate and why it stopped.

    Attributes
    ----------
    max_iter : int
    tol : float or None
    patience : int
        The epochs without improvement after which a stochastic run stops.
    baseline : Baseline
    is_partial : bool
        Whether the run is one epoch of a stream, whose rows may be harder than those before.
    validation : Validation or None
    tasks : FitTasks or None
        Who is told of each epoch.
    attributes : callable
        ``attributes(coef, intercept)``: those of an estimator that is fitted up to there.
    stop : Stop or None
        Why the descent stopped; written by the methods of this class alone.
    best_model : callable or None
        Returns the coefficients and intercepts of the best iterate.
    is_cut_short : bool
        Whether the last epoch diverged at a rate that would be cut if there were another one.
    is_halted : bool
        Whether a callback wants to stop after an epoch that diverged.
    unmonitored : list of tuple
        The coefficients and intercepts of epochs whose objective was not evaluated.
    gap_stop : GapStop or None
        Tells whether the duality gap after an epoch of steps is small enough.
    """

    max_iter: int
    tol: float | None
    patience: int
    baseline: Baseline
    is_partial: bool = False
    validation: object = None
    tasks: object = None
    attributes: object = None
    table: dict = field(default_factory=lambda: {key: [] for key in COLUMNS})
    stop: Stop | None = None
    best_objective: float = np.inf
    best_model: object = None
    best_validation: float = np.inf
    best_validated: tuple | None = None
    validated_at: int = -1
    started: float = field(default_factory=time.perf_counter)
    epochs_before: int = 0
    waited: int = 0
    waited_from: float = np.inf
    waited_validation: int = 0
    diverged_at: int | None = None
    is_cut_short: bool = False
    start_objective: float = 0.0
    is_halted: bool = False
    unmonitored: list = field(default_factory=list)
    gap_stop: object = None
    gap_due: int = 0

    @property
    def best(self):
        """The coefficients and intercepts of the best iterate; None where there is none yet."""
        return None if self.best_model is None else self.best_model()

    @best.setter
    def best(self, model):
        self.best_model = None if model is None else lambda: model

    @property
    def n_iter(self):
        return len(self.table["epoch"])

    @property
    def passes(self):
        """The passes over the rows so far."""
        return self.table["passes"][-1] if self.n_iter else 0

    @property
    def objective(self):
        """The objective of the last epoch."""
        return self.table["objective"][-1]

    @property
    def is_last_epoch(self):
        """Whether an epoch that has not been entered yet is the last one."""
        return self.n_iter + 1 >= self.max_iter

    def finish(self, stop):
        """Say why the descent stopped, unless that is known."""
        self.stop = self.stop or stop

    def resume(self):
        """Continue with another descent."""
        self.stop = None

    def halt(self, stop):
        """Stop from outside the descent: by an interrupt, or by leaving a race."""
        self.stop = stop

    @property
    def has_failed(self):
        """Whether a descent stopped, and not because it had reached its minimum."""
        return self.stop not in (None, Stop.TOL, Stop.PRECISION)

    def is_flat(self, decrement, unit, objectives, ignores_tol=False):
        """Return whether the descent stops, as at a squared gradient length of the minimum."""
        is_known = not math.isnan(decrement)
        if is_known and self.stop is None and self.tol is not None and not ignores_tol:
            decrease = self.baseline.possible_decrease(unit, objectives)
            if decrement <= self.tol * self.tol * decrease:
                self.stop = Stop.TOL
            elif decrement <= ROUNDING**2 * self.baseline.size(unit):
                self.stop = Stop.PRECISION
        return self.stop is not None

    def _stall(self, patience, model):
        """Stop where nothing is to be gained; a validation set would tell instead."""
        if self.tol is None or self.validation is not None:
            return
        has_stalled = patience is not None and self.waited >= patience
        if has_stalled or (self.gap_stop is not None and self.gap_stop.ends(model, self)):
            self.stop = Stop.TOL

    @property
    def divergence_bound(self):
        """The objective above which a run has diverged."""
        return self.baseline.divergence_bound(self.start_objective, self.is_partial)

    @property
    def end_bound(self):
        """The objective above which a run has ended worse than it began."""
        if self.is_partial or self.baseline.is_homogeneous:
            return self.divergence_bound
        worst = max(self.baseline.monitored, self.start_objective)
        slack = WORSE if self.baseline.is_exact else NEGLIGIBLE
        return worst + WORSE * abs(worst) + slack * self.baseline.scale

    @property
    def has_risen(self):
        """Whether the last epoch led to a point that is worse than no model."""
        return not self.objective <= self.end_bound

    def start(self, coef, intercept, objective):
        """Count the starting point in as the first candidate for the best iterate."""
        self.start_objective = objective
        if np.isfinite(objective) and not self.baseline.is_homogeneous:
            self.best_model, self.best_objective = lambda: (coef, intercept), objective

    def compare_on_sample(self, objective_of):
        """Compare epochs with the best constant model and the start on a sample of the rows."""
        error = objective_of(*self.baseline.model) - self.baseline.objective
        if math.isfinite(error):
            self.baseline = replace(self.baseline, sampling_error=error)
        if self.best_model is not None and not self.n_iter:
            self.start_objective = self.best_objective = objective_of(*self.best)

    def begin_epoch(self):
        """Tell the tasks that an epoch begins."""
        if self.tasks is not None:
            self.tasks.begin_epoch()

    def add(
        self, model, *, step, passes, losses, objectives, decrement, unit, rate,
        patience=None, bound=None, ignores_tol=False,
    ):  # fmt: skip
        """Enter an epoch and return whether the run stops.

        Parameters
        ----------
        model : callable
            Returns the coefficients and the intercepts, which may take longer than the epoch.
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
            The objective above which the run has diverged; None is `divergence_bound`.
        ignores_tol : bool
            Whether something else than `tol` tells when the minimum is reached.
        """
        objective, validated = sum(objectives.tolist()), (math.nan, math.nan)
        if self.validation is not None:
            validated = self.validation(*model())
        self._append(
            step, passes, rate, sum(losses.tolist()), objective, decrement**0.5, validated
        )
        bound = self.divergence_bound if bound is None else bound
        if not math.isfinite(objective) or objective > bound:
            self.stop, self.diverged_at = Stop.DIVERGED, step
            # Callbacks see what the fit would keep, which predicts finite numbers.
            self.is_halted = self._end_epoch(lambda: self.best or self.baseline.model)
            return True
        self.compare(model, objective)
        if self.validation is not None and self._stops_early(model, *validated):
            self.stop = Stop.EARLY_STOPPING
        elif self.n_iter >= self.max_iter:
            self.stop = Stop.MAX_ITER
        elif not self.is_flat(decrement, unit, objectives, ignores_tol):
            self._stall(patience, model)
        if self._end_epoch(model):
            self.stop = Stop.CALLBACK
        return self.stop is not None

    def add_end(self, model, **entries):
        """Enter the end of a descent that had nothing to do; why it stopped stays."""
        stop = self.stop
        self.add(model, **entries)
        if self.stop != Stop.CALLBACK:
            self.stop = stop

    def add_unmonitored(self, coef, intercept, *, step, passes, rate):
        """Enter an epoch whose objective was not evaluated."""
        self._append(step, passes, rate)
        self.unmonitored.append((coef, intercept))

    def _end_epoch(self, model):
        """Report the end of an epoch; return whether a callback wants to stop."""
        return self.tasks is not None and self.tasks.end_epoch(
            self.table, lambda: self.attributes(*model())
        )

    def _append(
        self, step, passes, rate, loss=math.nan, objective=math.nan, length=math.nan,
        validated=(math.nan, math.nan),
    ):  # fmt: skip
        row = (
            self.epochs_before + self.n_iter + 1, step, passes, loss, objective, length, rate,
            time.perf_counter() - self.started, *validated,
        )  # fmt: skip
        for key, number in zip(COLUMNS, row, strict=True):
            self.table[key].append(number)

    def compare(self, model, objective):
        """Keep the best iterate and count the epochs since it was clearly better than before."""
        if objective < self.best_objective:
            self.best_model, self.best_objective = model, objective
        possible = max(self.baseline.ceiling - self.best_objective, 0.0)
        if self.waited_from - self.best_objective > (self.tol or 0.0) * possible:
            self.waited, self.waited_from = 0, self.best_objective
        else:
            self.waited += 1

    def _stops_early(self, model, loss, score):
        measure = loss if np.isnan(score) else -score
        improvement = self.best_validation - measure
        significant = improvement > self.validation.least_change(loss, self.tol or 0.0)
        self.waited_validation = 0 if significant else self.waited_validation + 1
        if improvement > 0:
            self.best_validation, self.best_validated = measure, model()
            self.validated_at = self.n_iter - 1
        return self.waited_validation >= self.patience

    def restart(self):
        """Return the parameters to begin again with after a divergence."""
        self.stop = self.diverged_at = None
        return self.best

    def take_back(self):
        """Forget the last epoch, which is taken again."""
        self.stop = self.diverged_at = None
        for values in self.table.values():
            values.pop()

    def kept(self, coef, intercept, *, is_noisy):
        """Return the iterate to keep, mostly the last one, and its row of the table.

        Parameters
        ----------
        coef, intercept : array
            The last iterate.
        is_noisy : bool
            Whether noise may have ended the run on a bad epoch.
        """
        if self.is_cut_short:
            self.stop = Stop.MAX_ITER
        elif self.n_iter and self.objective > self.end_bound:
            self.stop, self.diverged_at = Stop.DIVERGED, self.table["step"][-1]
        if self.is_cut_short or self.stop == Stop.DIVERGED:
            if self.best is None or self.best_objective > self.baseline.monitored:
                return *self.baseline.model, -1
            return *self.best, -1
        if self.best_validated is not None:
            return *self.best_validated, self.validated_at
        # With tol=None the steps are the user's.
        is_noisy = is_noisy and self.tol is not None
        if is_noisy and self.n_iter and self.objective > self.best_objective:
            return *self.best, -1
        return coef, intercept, -1

    def state(self):
        """Return what another history needs to resume from here, as arrays and numbers."""
        state = {name: getattr(self, name) for name in STATE}
        stop = None if self.stop is None else str(self.stop)
        return state | {
            "table": self.as_arrays(), "stop": stop, "seconds": time.perf_counter() - self.started
        }  # fmt: skip

    def restore(self, state):
        """Resume from the state of another history."""
        for name in STATE:
            setattr(self, name, state[name])
        self.stop = None if state["stop"] is None else Stop(state["stop"])
        self.table = {key: values.tolist() for key, values in state["table"].items()}
        self.started = time.perf_counter() - state["seconds"]
        if self.stop == Stop.CALLBACK or (
            self.stop == Stop.MAX_ITER and self.n_iter < self.max_iter
        ):
            self.stop = None

    def as_arrays(self):
        """Return the table as a dict of arrays."""
        return {key: np.array(values) for key, values in self.table.items()}
