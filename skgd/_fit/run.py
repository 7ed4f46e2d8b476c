"""One call of fit or partial_fit: what it needs, in the order in which it is made, and its course.

The estimator hands over its checked parameters (`Settings`), how labels become numbers (`Targets`),
checked rows (`Sample`) and what earlier calls left (`FitState`). A `Run` makes the problem, the
plan, the objective and the start from them, and descends.
"""

import copy
from dataclasses import replace
from functools import cached_property

import numpy as np

from skgd._descent import smoothness
from skgd._descent.full_batch import enter_end, train_full_batch
from skgd._descent.history import Baseline, History
from skgd._descent.solution import Stop
from skgd._descent.steps import Steps
from skgd._descent.stochastic import conclude_epoch, monitored_rows, train_steps
from skgd._fit.build_objective import build_objective, objective_scale
from skgd._fit.constant_model import ConstantModel
from skgd._fit.learning_rate import bound_schedule
from skgd._fit.plan import make_plan
from skgd._fit.start import make_start, only_zeros, restarted
from skgd._fit.state import FitState
from skgd._problem import Moments
from skgd._solvers import auto
from skgd._solvers.gap_stop import gap_stop
from skgd._solvers.whitening import whitened
from skgd._utils.checks import make_generator
from skgd.schedules import checked_rates


class Run:
    """One call of fit or partial_fit.

    Parameters
    ----------
    settings : Settings
    targets : Targets
    sample : Sample
    state : FitState
        Changed in place.
    is_partial : bool
        Whether this is one epoch of a stream.
    previous : tuple or None
        The coefficients and intercepts of an earlier call, to continue from.
    tasks : FitTasks or None
        Who is told of each epoch.
    validation : callable or None
        Makes the `Validation` of a problem of held-out rows and the best constant model, from
        ``(make_problem, constant)``.
    resumed : dict or None
        The state of an earlier run, to resume from.
    """

    def __init__(
        self, settings, targets, sample, state, *, is_partial=False, previous=None, tasks=None,
        validation=None, resumed=None,
    ):  # fmt: skip
        self.settings, self.targets, self.sample, self.tasks = settings, targets, sample, tasks
        if resumed is not None:
            rate = copy.deepcopy(settings.learning_rate)
            state = FitState.resumed(resumed["state"] | {"learning_rate": rate})
        self.state, self.is_partial = state, is_partial
        self.loss = settings.loss
        if isinstance(settings.random_state, np.random.RandomState):
            self.generator  # noqa: B018 - each run draws from it once
        self.weighting = repr(settings.class_weight)
        self.class_factors = self.shared("class factors", lambda: targets.class_factors(
            sample.class_weights, state, is_partial
        ))  # fmt: skip
        self.problem = self.make_problem(sample, n_threads=settings.n_threads)
        self.plan = make_plan(settings, sample, self.problem, state, is_partial)
        state.keep_steps_of(self._kind())
        self.constant_model = ConstantModel(self.problem, settings.task, self.shared)
        self.objective, revived = self._make_objective()
        self.history = self._make_history(validation)
        self.first_rate, self.steps_began, self.solution = 1.0, None, None
        if resumed is None:
            self.start = self._make_start(previous, revived)
        else:
            self.start, self.first_rate = resumed["start"], resumed["first_rate"]
            self.history.restore(resumed["history"])

    @cached_property
    def generator(self):
        """The generator of the run's random numbers, which many runs have no use for."""
        return make_generator(self.settings.random_state)

    def shared(self, what, make, *more):
        """Return what runs share that have the same class weights, and more in common."""
        return self.sample.once((what, self.weighting, *more), make)

    def make_problem(self, sample, *, masked=True, n_threads=1):
        """Return the problem of some rows, weighted by their classes too.

        Those that do not count have the weight 0, if they are to be masked.
        """
        return sample.make_problem(
            self.loss, self.class_factors, self.weighting, masked=masked, n_threads=n_threads
        )

    def _kind(self):
        """Return the kind of run that steps and schedules belong to, in names."""
        optimizer, settings = self.plan.optimizer, self.settings
        return [
            _class_name(optimizer), getattr(optimizer, "slots", 0), _class_name(self.loss),
            settings.precondition, bool(settings.fit_intercept),
        ]  # fmt: skip

    def _make_objective(self):
        """Return the objective, and for which outputs a stream has its first target above 0."""
        state, problem, settings = self.state, self.problem, self.settings
        before = only_zeros(settings, state.target_moments, problem.k)
        if not self.is_partial:
            state.moments = Moments.empty(problem.d)
        state.moments.combine(self.shared("moments", problem.moments))
        if settings.task == "regression":
            if not self.is_partial:
                state.target_moments = Moments.empty(problem.k)
            state.target_moments.combine(self.shared("target moments", problem.target_moments))
        objective = build_objective(
            settings, problem, self.plan, state.moments, state.target_moments, self.shared
        )
        return objective, before & ~only_zeros(settings, state.target_moments, problem.k)

    def _make_history(self, validation):
        settings, constant_model, problem = self.settings, self.constant_model, self.problem
        terms = settings.named_loss, settings.fit_intercept

        def best():
            intercept = constant_model.best_intercept(settings.fit_intercept)
            return intercept, constant_model.losses(intercept)

        intercept, objectives = self.shared("constant", best, *terms)
        constant = self.objective.feasible(np.zeros((problem.k, problem.d)), intercept)
        if constant[0].any():
            objectives = self.objective.values(*constant)[1]
        scale = objective_scale(
            settings, self.objective, self.state.target_moments,
            preconditioned=self.plan.preconditioned,
        )  # fmt: skip
        return History(
            max_iter=1 if self.is_partial else settings.max_iter,
            tol=None if self.is_partial else settings.tol, patience=settings.n_iter_no_change,
            baseline=Baseline(objectives, constant, scale, self.loss.homogeneous),
            is_partial=self.is_partial,
            validation=None if validation is None else validation(self.make_problem, constant),
            tasks=self.tasks if self.tasks is not None and self.tasks.has_listeners else None,
            attributes=self.epoch_attributes,
            gap_stop=gap_stop(self.objective, self.plan, settings.has_automatic_rate),
        )  # fmt: skip

    def _make_start(self, previous, revived):
        settings = self.settings
        start = make_start(
            settings, self.objective, self.history.baseline.model[1], lambda: self.generator,
            previous=previous, is_partial=self.is_partial,
            preconditioned=self.plan.preconditioned,
        )  # fmt: skip
        if previous is not None and revived.any():
            start = restarted(settings, *start, revived, self.state)
        metric = self.objective.metric
        if self.is_partial:
            self.objective = replace(self.objective, metric=metric.holding(start[0]))
        else:
            start = metric.settled(*start)
        return self.objective.feasible(*start)

    def begin(self):
        """Enter the start into the history and make ready for the first step."""
        (coef, intercept), history = self.start, self.history
        if history.n_iter:
            self.problem.counter.passes = history.passes
        elif coef.any():
            history.start(coef, intercept, self.objective.values(coef, intercept)[1].sum())
        else:
            history.start(coef, intercept, self._constant_objective(intercept))
        if self.plan.monitors_sample(self.problem):
            history.compare_on_sample(self._objective_on_sample)
        if self.plan.takes_steps and (history.n_iter or history.stop is None):
            self._begin_steps()
        if self.plan.takes_steps and history.n_iter:
            # A checkpoint is written before.
            conclude_epoch(self.state.steps, self.objective, self.plan.schedule, history)

    def _objective_on_sample(self, coef, intercept):
        """Return an objective on the rows on which epochs are monitored."""
        def losses():
            return self.problem.losses(coef, intercept, monitored_rows(self.problem))
        key = "sampled", losses, self.settings.named_loss, intercept.tobytes()
        found = losses() if coef.any() else self.shared(*key)
        return self.objective.with_penalty(found, coef).sum()

    def _constant_objective(self, intercept):
        """Return the objective of intercepts without coefficients."""
        settings, baseline = self.settings, self.history.baseline
        if np.array_equal(intercept, baseline.model[1]) and not baseline.model[0].any():
            return baseline.objectives.sum()
        return self.shared(
            "constant losses", lambda: self.constant_model.losses(intercept),
            (settings.named_loss, settings.fit_intercept), intercept.tobytes(),
        ).sum()  # fmt: skip

    def descend(self, last=None):
        """Return the coefficients and the intercepts at which the run ended.

        Parameters
        ----------
        last : tuple or None
            A solution for another alpha, and the ratio of the alphas; see `auto.solve`.
        """
        self.begin()
        objective, plan, history = self.objective, self.plan, self.history
        if history.stop is not None:
            return self.start
        if plan.takes_steps:
            return self._take_steps()
        x = objective.metric.from_raw(*self.start).ravel()
        if plan.optimizer is None:
            self.solution = auto.solve(objective, x, history, last)
            x = self.solution.x
        else:
            if self.settings.precondition == "full":
                objective, x = whitened(objective, x)
            x = train_full_batch(plan.optimizer, objective, x, history)
            history.finish(Stop.PRECISION)
        if not history.n_iter:
            enter_end(objective, x, history)
        return objective.raw(x)

    def _take_steps(self):
        """Train by steps; repeat those of a stream whose automatic rate was too high."""
        history, plan, steps = self.history, self.plan, self.state.steps
        epochs, end = steps.epochs, train_steps(steps, self.objective, plan, history)
        while (
            self.is_partial and history.stop == Stop.DIVERGED and history.best is not None
            and not history.is_halted and plan.schedule.recover(diverged=True)
        ):  # fmt: skip
            parameters, steps.t = self.steps_began
            steps.epochs = epochs
            steps.start_from(parameters)
            steps.state[:], steps.table = 0.0, None
            history.take_back()
            end = train_steps(steps, self.objective, plan, history)
        return end

    def _begin_steps(self):
        state, metric, plan = self.state, self.objective.metric, self.plan
        if state.steps is None:
            parameters, slots = metric.from_raw(*self.start), plan.optimizer.compiled().slots
            state.steps = Steps(
                parameters=parameters,
                state=np.zeros((self.problem.k, slots, parameters.shape[1])),
                average=parameters.copy() if plan.average_from >= 0 else None,
                generator=self.generator,
            )
        elif not self.history.n_iter:
            state.steps.move_to(state.metric, metric)
            if state.returned is None or not all(map(np.array_equal, state.returned, self.start)):
                state.steps.start_from(metric.from_raw(*self.start))
            state.steps.average_or_not(plan.average_from >= 0)
        state.metric = metric
        steps = state.steps
        self.steps_began = steps.parameters.copy(), steps.t
        self.history.epochs_before = steps.epochs - self.history.n_iter
        plan.schedule = bound_schedule(self)
        if not self.history.n_iter:
            self.first_rate = float(checked_rates(plan.schedule, np.array([steps.t]))[0])

    def automatic_schedule(self, is_trained, generator=None):
        """Return a schedule whose rate comes from the data."""
        steps = self.state.steps
        if generator is not None:
            steps = replace(steps, generator=generator)
        return smoothness.automatic_schedule(
            self.plan.optimizer, self.objective, self.plan, self.start, steps, self.history,
            trained=is_trained,
        )  # fmt: skip

    # ---- what comes of it -----------------------------------------------------------------------

    def kept(self, coef, intercept):
        """Return the iterate to keep, mostly the last one, and its row of the history."""
        steps = self.state.steps
        is_noisy = steps is not None and not steps.averaged
        return self.history.kept(coef, intercept, is_noisy=is_noisy)

    def coefficients(self, coef, intercept):
        """Return the attributes that predictions need."""
        if self.problem.k > 1:
            coef, intercept = self.targets.identified(coef, intercept, self.objective)
        numbers, dtype = [coef, intercept], self.sample.dtype
        if self.settings.task == "regression" and dtype != np.float64:
            numbers.append(self.problem.target_sizes())
        dtype = coefficient_type(dtype, numbers)
        return self.targets.coefficients(coef, intercept, dtype)

    def attributes(self, coef, intercept):
        """Return the public attributes of an estimator that is fitted up to here."""
        history, steps = self.history, self.state.steps
        return self.coefficients(coef, intercept) | {
            "history_": history.as_arrays(),
            "n_iter_": steps.epochs if self.is_partial and steps else max(1, history.n_iter),
            "t_": steps.t if steps is not None else history.n_iter,
            "stop_reason_": None if history.stop is None else str(history.stop),
            "converged_": history.stop is not None and history.stop.is_converged,
            "learning_rate_": self.first_rate,
            "alpha_": float(self.settings.alpha),
            "optimality_": np.nan,
            "_weight_sum": self.state.weight if self.is_partial else self.problem.weight_sum,
        }

    def epoch_attributes(self, coef, intercept):
        """Return the attributes of an estimator that callbacks see after an epoch."""
        attributes = self.attributes(coef, intercept) | {"_memory": None}
        if self.tasks.keepers:
            state = self.state.state()
            del state["learning_rate"]
            attributes["_state"] = {
                "state": state, "history": self.history.state(), "start": (coef, intercept),
                "first_rate": self.first_rate, "fingerprint": self.tasks.fingerprint,
                "callbacks": self.tasks.stateful, "later": self.tasks.keep_later,
            }  # fmt: skip
        return attributes

    def final_attributes(self, coef, intercept):
        """Return the attributes of an estimator whose run has ended, its state included.

        Changes the state in place: steps that are no use to the next call are forgotten.
        """
        history, steps, last = self.history, self.state.steps, coef
        coef, intercept, row = self.kept(coef, intercept)
        attributes = self.attributes(coef, intercept)
        has_broken = history.stop in (Stop.DIVERGED, Stop.INTERRUPTED)
        if not (coef is last and not self.plan.monitors_sample(self.problem)) and (
            history.n_iter and not has_broken
        ):
            losses, values = self.objective.values(
                np.ascontiguousarray(coef), np.ascontiguousarray(intercept)
            )
            attributes["history_"]["loss"][row] = losses.sum()
            attributes["history_"]["objective"][row] = values.sum()
        # Whether the next call continues from the steps' own parameters or from the attributes.
        goes_on = coef is last and not has_broken
        self.state.returned = raw_model(attributes, *coef.shape) if goes_on else None
        if steps is not None:
            if history.stop == Stop.DIVERGED:
                steps.state[:] = 0.0
            # As large as the targets, and of no use with other rows.
            steps.table = None
        return attributes | {"_memory": self.state.state()}


def fresh_run(settings, targets, sample, **more):
    """Return a run over rows of which no earlier call knows anything."""
    return Run(
        settings, targets, sample, FitState.empty(sample.n_features, targets.n_outputs), **more
    )


def raw_model(attributes, n_outputs, n_features):
    """Return the coefficients and intercepts of an estimator's attributes as arrays of doubles."""
    return (
        np.array(attributes["coef_"], dtype=float).reshape(n_outputs, n_features),
        np.full(n_outputs, attributes["intercept_"], dtype=float),
    )


def coefficient_type(dtype, numbers):
    """Return the type of X, or doubles where it does not have what numbers predict."""
    return dtype if all(_fit_in(dtype, part) for part in numbers) else np.dtype(float)


def _class_name(value):
    """Return the name of a value's class."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _fit_in(dtype, numbers):
    """Tell whether a type has all its digits for numbers."""
    if dtype == np.float64:
        return True
    sizes, limits = np.abs(numbers), np.finfo(dtype)
    return bool(np.all((sizes == 0) | (sizes >= limits.tiny) & (sizes <= limits.max)))
