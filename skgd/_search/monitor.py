"""The objectives of runs that share their passes: of all of them, or of those that need it."""

from functools import partial
from math import ceil
from weakref import WeakKeyDictionary

import numpy as np
from scipy import sparse

from skgd._descent.stochastic import monitored_rows
from skgd._engine import joint_losses
from skgd._problem.scaled_rows import gram, row_blocks
from skgd._utils.rules import defines, overrides
from skgd._utils.threads import ALONE
from skgd.losses import Loss
from skgd.schedules import Schedule

# Coefficients of models that are multiplied with a row together.
TOGETHER = 2**14
# Coefficients of each column that lie together where the rows are sparse.
WIDE = 8
# Coefficients of epochs whose objectives nobody has asked for that are kept, at most.
UNSEEN = 2**22
# Columns whose products with each other are computed, at most.
WIDEST = 512


class ObjectiveMonitor:
    """Looks at the objective of each run after each epoch, on the rows that stand for all.

    Parameters
    ----------
    plan : Plan
        That of all runs.
    threads : Threads
    """

    def __init__(self, plan, threads=ALONE):
        self.plan, self.threads = plan, threads
        self.rows = {}

    def look(self, runs, ends):
        """Return the losses and the objectives of runs.

        Parameters
        ----------
        runs : list of Run
        ends : dict
            The coefficients and intercepts of each run.

        Returns
        -------
        dict
        """
        found = {}
        for part in self.threads.map(partial(self._values, ends), self._together(runs)):
            found |= part
        return found

    def _values(self, ends, runs):
        rows = self._rows(runs[0].problem)
        coef = np.vstack([ends[run][0] for run in runs])
        intercept = np.concatenate([ends[run][1] for run in runs])
        joint = joint_losses([run.problem.data_term for run in runs], coef, intercept, rows)
        found, last = {}, 0
        for run in runs:
            first, last = last, last + run.problem.k
            losses = joint[first:last]
            found[run] = losses, run.objective.with_penalty(losses, ends[run][0])
        return found

    def _together(self, runs):
        """Yield runs that have the same weights and lie together in cache."""
        for several in by_weights(runs):
            problem = several[0].problem
            size = TOGETHER // (problem.k * problem.d)
            if sparse.issparse(several[0].sample.X):
                size = WIDE // problem.k
            size = max(1, min(size, ceil(len(several) / self.threads.n)))
            yield from (several[i:i + size] for i in range(0, len(several), size))

    def _rows(self, problem):
        """Return the rows on which the objective of a run is monitored."""
        key = id(problem.weights)
        if key not in self.rows:
            rows = monitored_rows(problem)
            if rows is None:
                known = problem.weights is None
                rows = np.arange(problem.n) if known else np.flatnonzero(problem.weights)
            self.rows[key] = rows
        return self.rows[key]


class DivergenceMonitor(ObjectiveMonitor):
    """Evaluates only objectives that may show divergence, and the last one of each run.

    Nothing else stops a run before `max_iter` that has no `tol`, no validation set and nobody who
    is told of its epochs. Where no slope of the loss is longer than G, the mean loss is at most G
    times the mean distance of the margins from those of the best constant model above the loss of
    that model. The mean square of the distances is a quadratic form in the coefficients, so that
    most runs need no pass over the rows to know that they have not diverged. What they have come
    to is kept: a run that diverges in the end returns the best of it.
    """

    def __init__(self, plan, threads=ALONE):
        super().__init__(plan, threads)
        # Runs that have left must not be kept.
        self.calm, self.forms, self.constants = WeakKeyDictionary(), {}, {}

    def look(self, runs, ends):
        safe = set()
        if sum(ends[run][0].size * (1 + len(run.history.unmonitored)) for run in runs) <= UNSEEN:
            safe.update(*self.threads.map(partial(self._safe, ends), by_weights(runs)))
        found = super().look([run for run in runs if run not in safe], ends)
        diverged = [
            run for run, (_, values) in found.items()
            if run.history.unmonitored and not values.sum() <= _next_bound(run.history)
        ]  # fmt: skip
        self.threads.map(self._look_back, diverged)
        return found

    def _safe(self, ends, runs):
        """Return those of some runs with the same weights that cannot have diverged."""
        calm = [run for run in runs if self._is_calm(run) and not run.history.is_last_epoch]
        form = self._form(runs) if calm else None
        if form is None:
            return []
        with np.errstate(over="ignore", invalid="ignore"):  # each thread has its own
            uppers = self._upper_bounds(calm, ends, *form)
        return [
            run for run, upper in zip(calm, uppers, strict=True)
            if upper <= run.history.divergence_bound
        ]

    def _is_calm(self, run):
        """Whether only divergence can stop a run before `max_iter`."""
        if run not in self.calm:
            history, schedule = run.history, run.plan.schedule
            told = any(defines(schedule, Schedule, method) for method in ("observe", "recover"))
            own = overrides(type(run.loss), Loss, {"value", "gradient"})
            self.calm[run] = (
                history.tol is None and history.validation is None and history.tasks is None
                and not told and not own and np.isfinite(run.loss.lipschitz(run.problem.k))
                and not history.baseline.is_homogeneous and not history.baseline.model[0].any()
            )  # fmt: skip
        return self.calm[run]

    def _form(self, runs):
        """Return the mean of the rows and the mean of their squares about it; None if too large."""
        problem, X = runs[0].problem, runs[0].sample.X
        key = id(problem.weights)
        if key not in self.forms:
            outputs = sum(run.problem.k * run.history.max_iter for run in runs)
            # As much work as what it saves, or more.
            dear = sparse.issparse(X) or problem.d > min(WIDEST, outputs / 2)
            self.forms[key] = None if dear else second_moments(
                X, self._rows(problem), problem.weights
            )  # fmt: skip
        return self.forms[key]

    def _upper_bounds(self, runs, ends, mean, squares):
        """Return upper bounds of the objectives of runs with the same weights."""
        k = runs[0].problem.k
        coef = np.vstack([ends[run][0] for run in runs])
        intercept = np.concatenate([ends[run][1] - run.history.baseline.model[1] for run in runs])
        distances = np.einsum("ij,ij->i", coef @ squares, coef) + (coef @ mean + intercept) ** 2
        distances = distances.reshape(-1, k)
        together, alone = np.sqrt(distances.sum(axis=1)), np.sqrt(distances).sum(axis=1)
        return [
            run.loss.lipschitz(k) * (together if run.loss.is_multiclass(k) else alone)[i]
            + run.objective.with_penalty(self._constant_losses(run), ends[run][0]).sum()
            for i, run in enumerate(runs)
        ]  # fmt: skip

    def _constant_losses(self, run):
        """Return the losses of the best constant model on the rows on which a run is monitored."""
        constant = run.history.baseline.model
        terms = run.settings.named_loss, run.settings.fit_intercept
        key = id(run.problem.weights), *terms, constant[1].tobytes()
        if key not in self.constants:
            rows = self._rows(run.problem)
            self.constants[key] = joint_losses([run.problem.data_term], *constant, rows)
        return self.constants[key]

    def _look_back(self, run):
        """Compare what a run has come to in epochs at whose objective nobody has looked."""
        unmonitored, problem = run.history.unmonitored, run.problem
        coefs, intercepts = (np.concatenate(each) for each in zip(*unmonitored, strict=True))
        terms = len(unmonitored) * [problem.data_term]
        losses = joint_losses(terms, coefs, intercepts, self._rows(problem))
        for end, loss in zip(unmonitored, losses.reshape(-1, problem.k), strict=True):
            run.history.compare(lambda end=end: end, run.objective.with_penalty(loss, end[0]).sum())
        unmonitored.clear()


def _next_bound(history):
    """Return the objective above which the next epoch is the end of a diverged run."""
    return history.end_bound if history.is_last_epoch else history.divergence_bound


def second_moments(X, rows, weights):
    """Return the weighted mean of some rows, and that of the squares of their distances from it.

    Returns
    -------
    mean : array of shape (n_features,)
    squares : array of shape (n_features, n_features)
    """
    weights = np.ones(len(rows)) if weights is None else weights[rows]
    weights = weights / weights.sum()
    blocks = row_blocks(len(rows), X.shape[1])
    near = X[rows[blocks[0]]].mean(axis=0, dtype=float)
    shift, squares = np.zeros(X.shape[1]), np.zeros((X.shape[1], X.shape[1]))
    for block in blocks:
        away = X[rows[block]] - near
        shift += weights[block] @ away
        squares += gram(away * np.sqrt(weights[block])[:, None])
    return near + shift, squares - np.outer(shift, shift)


def by_weights(runs):
    """Return lists of runs that have the same weights."""
    alike = {}
    for run in runs:
        alike.setdefault(id(run.problem.weights), []).append(run)
    return list(alike.values())
