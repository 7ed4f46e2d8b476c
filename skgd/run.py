"""One call of fit or partial_fit: what it needs, in the order in which it is made, and its course.

The estimator hands over checked rows (`Sample`) and what earlier calls left (`Memory`). A `Run`
makes the problem, the plan, the metric and the start from them, and descends.
"""

import copy
import time
import warnings
from dataclasses import dataclass, field, fields, replace

import numpy as np
from joblib import effective_n_jobs
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skgd import auto, automatic_rate, certificate
from skgd._checks import given_start, make_generator
from skgd._engine import Problem, rows_of
from skgd.batching import batch_bounds, batch_length, exceeds_memory
from skgd.metric import Metric, Moments, diagonal_metric, identity_metric
from skgd.objective import Objective
from skgd.optimizers import (
    LBFGS,
    AcceleratedGradient,
    FullBatchOptimizer,
    Optimizer,
    make_optimizer,
)
from skgd.penalties import L2
from skgd.penalties.separable import BoxRule
from skgd.plan import Plan, choose_optimizer
from skgd.record import Record
from skgd.schedules import as_schedule, checked_rates, same_rates
from skgd.schedules.automatic import Decaying, is_for, made_from
from skgd.state import (
    copied,
    generator_state,
    resume_schedule,
    resumed_generator,
    schedule_state,
)
from skgd.training import (
    WATCHED_ROWS,
    Steps,
    conclude_epoch,
    enter_end,
    train_full_batch,
    train_steps,
)
from skgd.validation import Validation
from skgd.whitening import whitened

# The share of the steps' work that a certificate's Newton step may take, of which there are some
# ten. The same where it is to tell whether steps have stopped too early, and what it may at least.
CERTIFIED, CERTIFIED_IN_DOUBT, LITTLE_IN_DOUBT = 0.05, 1.0, 1e8
# What an epoch takes beside its multiplications, in multiplications.
EPOCH = 2e5
# Passes that look for a further fall: at least, and as a share of those so far.
PROBES, PROBED = 10, 0.2
# Steps of a stream's schedule that tell whether its rate is zero for good, a rate whose steps may
# be lost in rounding, and the squared gradient, as a share of the objective, that counts as zero.
FEW_STEPS, ROUNDED_AWAY, FLAT = 1000, 1e-10, 1e-12
# The share of numbers up to which a stream's sparse rows are stepped along one by one, uncentred.
MOSTLY_ZEROS = 0.25
# A distance from the minimum, in the unit of the objective, that is nothing.
NEGLIGIBLE = 1e-6
AUTOMATIC = "learning_rate='auto'"
# Coefficients beyond all bounds, and a multiple of a model that is as good as infinite.
FAR_OFF, FURTHER = 1e200, 1e3


@dataclass
class Sample:
    """Checked rows.

    Attributes
    ----------
    X : array or CSR matrix of shape (n_samples, n_features)
    y : array
        As the user passed it.
    targets : float64 array
        As the loss wants them.
    weights : float64 array of shape (n_samples,) or None
    n_outputs : int
    rows : intp array or None
        The numbers of the rows that count, in rising order; None for all.
    known : dict
        What was worked out already, for all runs over the sample.
    """

    X: object
    y: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    n_outputs: int
    rows: np.ndarray | None = None
    known: dict = field(default_factory=dict, repr=False)

    def once(self, key, make):
        """Return what `make` returns, made for the first run that asks."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def engine_rows(self):
        """Return the engine's `Rows` of X."""
        return self.once("rows", lambda: rows_of(self.X))

    def weighted(self, weights):
        """Return a sample of the same rows with other weights; nothing is copied."""
        return replace(self, weights=weights, known={"rows": self.engine_rows()})

    @property
    def n_rows(self):
        return self.X.shape[0] if self.rows is None else len(self.rows)

    def only(self, rows):
        """Return a sample of some rows; nothing is copied."""
        return replace(self, rows=rows, known={"rows": self.engine_rows()})

    def taken(self, array):
        """Return the rows that count of an array that has all."""
        return array if self.rows is None or array is None else array[self.rows]

    def masked_weights(self):
        """Return the weights with zeros for the rows that do not count."""
        if self.rows is None:
            return self.weights
        weights = np.zeros(self.X.shape[0])
        weights[self.rows] = 1.0 if self.weights is None else self.weights[self.rows]
        return weights


@dataclass
class Memory:
    """What lasts from one call of partial_fit, or a warm start, to the next.

    Attributes
    ----------
    moments, target_moments : Moments
        Of the rows of all calls.
    rows : int
    weight : float
    class_weights : array of shape (n_classes,) or 0.0
        The weight of each class in all calls.
    steps : Steps or None
    kind : list or None
        The kind of run that the steps and the schedule belong to, in names.
    metric : Metric or None
        The coordinates of the steps' parameters.
    schedule : Schedule or None
    learning_rate : object
        What the user passed when the schedule was made.
    returned : tuple or None
        The coefficients and intercepts that the steps' parameters gave the estimator. Where the
        estimator has others, the next call starts from those.
    """

    moments: Moments
    target_moments: Moments
    rows: int = 0
    weight: float = 0.0
    class_weights: object = 0.0
    steps: Steps | None = None
    kind: list | None = None
    metric: object = None
    schedule: object = None
    learning_rate: object = None
    returned: tuple | None = None

    @classmethod
    def empty(cls, n_features, n_outputs):
        return cls(Moments.empty(n_features), Moments.empty(n_outputs))

    @classmethod
    def resumed(cls, state):
        """Return what a `state` tells of, whose arrays are copied; None for None."""
        if state is None:
            return None
        own = {
            name: value if name == "learning_rate" else copied(value)
            for name, value in state.items()
        }
        kinds = {"moments": Moments, "target_moments": Moments, "steps": Steps, "metric": Metric}
        if own["steps"] is not None:
            own["steps"]["generator"] = resumed_generator(own["steps"]["generator"])
        for name, kind in kinds.items():
            own[name] = None if own[name] is None else kind(**own[name])
        if own["schedule"] is not None:
            own["schedule"] = _resumed_schedule(own["learning_rate"], own["schedule"])
        return cls(**own)

    def state(self):
        """Return all of it as plain values, apart from what the user passed as the rate.

        An estimator holds them in the place of objects; arrays aren't copied.
        """
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in ("moments", "target_moments", "steps", "metric"):
            if state[name] is not None:
                state[name] = {
                    item.name: getattr(state[name], item.name) for item in fields(state[name])
                }
        if self.steps is not None:
            state["steps"]["generator"] = generator_state(self.steps.generator)
        if self.schedule is not None:
            state["schedule"] = schedule_state(self.schedule)
        return state

    def keep_steps_of(self, kind):
        """Forget the steps and the schedule of another kind of run."""
        if self.kind != kind:
            self.kind, self.steps, self.schedule = kind, None, None


def _resumed_schedule(learning_rate, state):
    """Return the schedule of a rate that the user passed, with what it knew in an earlier run."""
    if isinstance(learning_rate, str):
        schedule = made_from(state)
    else:
        schedule = as_schedule(learning_rate).bound(state["total_steps"], state["steps_per_epoch"])
    return resume_schedule(schedule, state)


class Run:
    """One call of fit or partial_fit.

    Parameters
    ----------
    estimator : BaseGD
        Read for its parameters, never changed.
    sample : Sample
    held_out : Sample or None
        The validation set.
    memory : Memory
        Changed in place.
    partial : bool
        Whether this is one epoch of a stream.
    tasks : FitTasks or None
        Who is told of each epoch.
    state : dict or None
        The `state` of an earlier run, to go on from.
    """

    def __init__(self, estimator, sample, held_out, memory, partial, tasks, state=None):
        self.estimator, self.sample, self.tasks = estimator, sample, tasks
        if state is not None:
            rate = copy.deepcopy(estimator.learning_rate)
            memory = Memory.resumed(state["memory"] | {"learning_rate": rate})
        self.memory, self.partial = memory, partial
        self.loss = estimator._make_loss()
        self.penalty = estimator._make_penalty()
        self.generator = make_generator(estimator.random_state)
        self.weighting = repr(getattr(estimator, "class_weight", None))
        self.terms = estimator.loss, estimator.fit_intercept
        weights = sample.once("weights", sample.masked_weights)
        self.class_factors = self._once("class factors", lambda: estimator._class_factors(
            sample.targets, weights, memory, partial
        ))  # fmt: skip
        self.problem = self._problem(sample, weights)
        self.plan = self._make_plan()
        memory.keep_steps_of([
            _name(self.plan.optimizer), getattr(self.plan.optimizer, "slots", 0), _name(self.loss),
            estimator.precondition, bool(estimator.fit_intercept),
        ])  # fmt: skip
        only_zeros = self._only_zeros(memory.target_moments)
        self.objective = self._make_objective(self.plan, memory)
        self.reborn = only_zeros & ~self._only_zeros(memory.target_moments)
        intercept, objectives = self._once("constant", self._best_constant, *self.terms)
        constant = self.objective.feasible(np.zeros((self.problem.k, self.problem.d)), intercept)
        if constant[0].any():
            objectives = self.objective.values(*constant)[1]
        validation = None
        if held_out is not None:
            problem = self._problem(held_out, held_out.weights)
            validation = Validation(estimator, held_out, problem, sample.X.dtype, constant)
        self.record = Record(
            max_iter=1 if partial else estimator.max_iter, tol=None if partial else estimator.tol,
            patience=estimator.n_iter_no_change, constant_objectives=objectives,
            constant=constant, scale=self._scale(), partial=partial,
            homogeneous=self.loss.homogeneous, validation=validation,
            tasks=tasks if tasks is not None and tasks.has_listeners else None,
            attributes=self.epoch_attributes,
        )  # fmt: skip
        self.first_rate, self.steps_began = 1.0, None
        if state is None:
            start, metric = self._make_start(), self.objective.metric
            if partial:
                self.objective.metric = metric.holding(start[0])
            else:
                start = metric.settled(*start)
            self.start = self.objective.feasible(*start)
        else:
            self.start, self.first_rate = state["start"], state["first_rate"]
            self.record.restore(state["record"])

    # ---- the preparations -----------------------------------------------------------------------

    def _once(self, what, make, *more):
        """Return what runs share that have the same class weights, and more in common."""
        return self.sample.once((what, self.weighting, *more), make)

    def _problem(self, sample, weights):
        """Return the rows for the engine, weighted by their classes too."""
        if self.class_factors is not None:
            weights = sample.once(
                ("weights", self.weighting), lambda: self._class_weighted(sample, weights)
            )
        loss = self.loss.compiled(sample.n_outputs)
        return Problem(sample.engine_rows(), sample.targets, weights, loss, sample.n_outputs)

    def _class_weighted(self, sample, weights):
        factors = self.class_factors[class_codes(sample.targets)]
        return factors if weights is None else weights * factors

    def _make_plan(self):
        estimator, memory, X = self.estimator, self.memory, self.sample.X
        optimizer = choose_optimizer(
            estimator.optimizer, estimator.learning_rate, estimator.batch_size,
            partial=self.partial,
        )  # fmt: skip
        if self.loss.homogeneous:
            if make_optimizer(estimator.optimizer) is None:
                optimizer = make_optimizer("sgd")
            if isinstance(optimizer, FullBatchOptimizer):
                raise ValueError(
                    f"optimizer={estimator.optimizer!r} with loss={estimator.loss!r}, whose "
                    "minimum is at zero coefficients: pass a step rule such as optimizer='sgd', or "
                    "another loss."
                )
        n = self.sample.n_rows
        length = n
        if optimizer is not None and optimizer.takes_batches:
            default = optimizer.automatic_batch(n, self.problem.d, self.problem.rows.row_nnz)
            if self.partial and isinstance(estimator.learning_rate, str):
                default = optimizer.stream_batch or default
            length = batch_length(estimator.batch_size, n, default)
        steps = isinstance(optimizer, Optimizer)
        if estimator.precondition == "full" and steps:
            raise ValueError(
                f"precondition='full' with optimizer={estimator.optimizer!r}: step rules descend "
                "in the diagonal metric; pass precondition='auto' or a full-batch optimizer "
                "('lbfgs')."
            )
        rows, weight = n, self.problem.weight_sum
        if self.partial:
            memory.rows += rows
            memory.weight += weight
            rows, weight = memory.rows, memory.weight
        return Plan(
            optimizer=optimizer,
            schedule=None,
            batch_length=length,
            bounds=batch_bounds(n, length),
            rows=self.sample.rows,
            preconditioned=estimator.precondition is not None,
            centred=not (steps and length == 1 and self._is_mostly_zeros()),
            shuffle=estimator.shuffle,
            in_blocks=exceeds_memory(X),
            average_from=int(estimator.average) - 1,
            weight_scale=rows / weight,
        )

    def _is_mostly_zeros(self):
        """Whether X is sparse and steps along single rows had better leave its zeros alone."""
        if not sparse.issparse(self.sample.X):
            return False
        chosen = self.partial and isinstance(self.estimator.batch_size, str)
        return not chosen or self.problem.rows.row_nnz < MOSTLY_ZEROS * self.problem.d

    def _make_objective(self, plan, memory):
        estimator, problem, penalty = self.estimator, self.problem, self.penalty
        rule = (penalty if penalty is not None else L2()).compiled()
        rule.check(problem.d)
        if estimator.positive:
            rule = BoxRule(0.0, None, rule)
        alpha = np.full(problem.k, float(estimator.alpha) if penalty is not None else 0.0)
        n_threads = effective_n_jobs(estimator.n_jobs)
        if not self.partial:
            memory.moments = Moments.empty(problem.d)
        memory.moments.combine(self._once(
            "moments", lambda: Moments.of(problem.rows, problem.weights, n_threads)
        ))  # fmt: skip
        scales = self._mean_and_spread(plan, memory)

        def metric_and_curvatures():
            curvature, unit = self.loss.scales(*scales)
            hessian_diag = np.zeros(problem.d) if penalty is None else penalty.curvature(problem.d)
            penalty_curvature = alpha[:, None] * np.asarray(hessian_diag, dtype=float)
            if not plan.preconditioned:
                metric = identity_metric(problem.d, problem.k, estimator.fit_intercept)
            else:
                metric = diagonal_metric(
                    memory.moments, curvature, penalty_curvature, unit, estimator.fit_intercept,
                    centred=plan.centred,
                )  # fmt: skip
            constant = memory.moments.constant(fit_intercept=estimator.fit_intercept)
            if constant.any():
                constant &= _stays_at_zero(rule, alpha, problem.d)
                metric = metric.freezing(constant, memory.moments.mean)
            return metric, curvature, penalty_curvature

        return Objective(problem, rule, alpha, *self._once(
            "metric", metric_and_curvatures, *self.terms, estimator.penalty, estimator.alpha,
            estimator.l1_ratio, bool(estimator.positive), plan.preconditioned, plan.centred,
        ), coupled=self.loss.is_multiclass(problem.k), n_threads=n_threads)  # fmt: skip

    def _mean_and_spread(self, plan, memory):
        """Return the mean and the spread of each output's targets; 0 and 1 for classes."""
        problem = self.problem
        if self.loss.task == "classification":
            return np.zeros(problem.k), np.ones(problem.k)
        if not self.partial:
            memory.target_moments = Moments.empty(problem.k)
        moments = memory.target_moments
        moments.combine(self._once("target moments", self._target_moments))
        spread = self._spread(moments) if plan.preconditioned else np.ones(problem.k)
        return moments.mean, spread

    def _spread(self, moments):
        spread = np.sqrt(moments.variance(about_mean=self.estimator.fit_intercept))
        size = np.sqrt(moments.variance(about_mean=False))
        return np.where(spread > 0, spread, np.where(size > 0, size, 1.0))

    def _scale(self):
        """Return the unit of the objective that the targets have, whatever the metric."""
        mean, spread = np.zeros(self.problem.k), np.ones(self.problem.k)
        if self.loss.task == "regression":
            mean = self.memory.target_moments.mean
            spread = self._spread(self.memory.target_moments)
        return float((1.0 / self.loss.scales(mean, spread)[1]).sum())

    def _target_moments(self):
        targets, weights = self.problem.targets, self.problem.row_weights()
        total = weights.sum()
        mean = (weights[:, None] * targets).sum(axis=0) / total
        return Moments(total, mean, np.einsum("i,ij->j", weights, (targets - mean) ** 2))

    def _target_noise(self):
        """Return the targets' variance in squares of their mean, for losses with a link; else 0.

        So long are the steps of single rows with a log link, where others have at most 1.
        """
        moments = self.memory.target_moments
        if self.loss.task != "regression" or not self.has_link or not np.any(moments.mean > 0.0):
            return 0.0
        seen = moments.mean > 0.0
        return float((moments.variance(about_mean=True)[seen] / moments.mean[seen] ** 2).max())

    def _best_constant(self):
        """Return the best intercepts without coefficients and each output's loss there."""
        constants = []
        for y, s in self._targets_alone():
            constant = self.loss.best_constant(y, s) if self.estimator.fit_intercept else None
            constants.append(np.zeros(y.shape[1]) if constant is None else constant)
        constant = np.concatenate(constants).astype(float)
        return constant, self._constant_losses(constant)

    def _constant_losses(self, intercept):
        """Return the mean loss of each output where all coefficients are zero.

        No pass over X: a constant model sees nothing but the targets, and of a classification
        nothing but the weights of the classes.
        """
        losses, first = [], 0
        for y, s in self._targets_alone():
            last = first + y.shape[1]
            margins = np.full(y.shape, intercept[first:last])
            values = self.loss.compiled(y.shape[1]).apply("value", y, margins)
            losses.append(np.einsum("i,ij->j", s, values) / s.sum())
            first = last
        return np.concatenate(losses)

    def _targets_alone(self):
        """Return targets and their weights, for one output after the other or for all at once."""
        k, targets = self.problem.k, self.problem.targets
        if self.loss.task == "regression":
            return [(targets, self.problem.row_weights())]
        sums = self._once("class sums", lambda: _class_sums(targets, self.problem.row_weights(), k))
        if self.loss.is_multiclass(k):
            return [(2.0 * np.eye(k) - 1.0, sums)]
        total, signs = self.problem.weight_sum, np.array([[-1.0], [1.0]])
        return [(signs, np.array([total - part, part])) for part in sums]

    def _only_zeros(self, moments):
        """Return for which outputs all targets so far put the minimum at an intercept of -inf."""
        logarithmic = self.loss.task == "regression" and self.has_link
        return logarithmic & (moments.mean == 0.0) & (moments.weight > 0.0)

    @property
    def has_link(self):
        """Whether a margin of zero stands for another prediction, as with the log link."""
        k = self.sample.n_outputs
        return bool(np.any(self.loss.predictions(np.zeros((1, k))) != 0.0))

    def _reborn_start(self, coef, intercept):
        """Return a start whose outputs that have known nothing but zeros begin anew."""
        means = self.memory.target_moments.mean[None, self.reborn]
        coef[self.reborn] = 0.0
        if self.estimator.fit_intercept:
            intercept[self.reborn] = self.loss.best_constant(means, np.ones(1))
        memory = self.memory
        if memory.steps is not None:
            memory.steps.state[self.reborn] = 0.0
            if isinstance(memory.schedule, Decaying):
                memory.schedule.begin_again(memory.steps.t)
            elif isinstance(self.estimator.learning_rate, str):
                memory.schedule = None
        return coef, intercept

    def _make_start(self):
        """Return the coefficients and intercepts to start from."""
        estimator = self.estimator
        k, d = self.problem.k, self.problem.d
        trained = getattr(estimator, "n_iter_", 0) > 0
        if trained and (self.partial or self.memory.steps is not None or estimator.warm_start):
            start = given_start(estimator._raw_attributes(k, d), k, d, estimator.fit_intercept)
            return self._reborn_start(*start) if self.reborn.any() else start
        if isinstance(estimator.init, str) and estimator.init in ("zeros", "random"):
            # Where descent is free of scales, targets far from zero are no harder than others. A
            # stream's first rows may lack a class, and a hinge may be just at its kink.
            automatic = isinstance(estimator.learning_rate, str) and not self.partial
            automatic &= self.loss.smooth
            centred = self.plan.preconditioned and (automatic or self.loss.task == "regression")
            intercept = self.record.constant[1].copy() if centred else np.zeros(k)
            coef = np.zeros((k, d))
            if estimator.init == "random":
                u = 0.1 * self.generator.normal(size=self.objective.metric.inverse.shape)
                coef = self.objective.metric.to_raw(u)[0]
            return coef, intercept
        return given_start(estimator.init, k, d, estimator.fit_intercept)

    # ---- the course -----------------------------------------------------------------------------

    def begin(self):
        """Enter the start into the record and make ready for the first step."""
        (coef, intercept), record = self.start, self.record
        if record.n_iter:
            self.objective.passes = record.history["passes"][-1]
        elif coef.any():
            record.start(coef, intercept, self.objective.values(coef, intercept)[1].sum())
        else:
            objectives = self._once(
                "constant losses", lambda: self._constant_losses(intercept), self.terms,
                intercept.tobytes(),
            )  # fmt: skip
            record.start(coef, intercept, objectives.sum())
        if self.plan.takes_steps and (record.n_iter or record.stop_reason is None):
            self._begin_steps()
        if self.plan.takes_steps and record.n_iter:
            # A checkpoint is written before.
            conclude_epoch(self.memory.steps, self.objective, self.plan.schedule, record)

    def descend(self):
        """Return the coefficients and the intercepts at which the run ended."""
        self.begin()
        objective, plan, record = self.objective, self.plan, self.record
        if record.stop_reason is not None:
            return self.start
        if plan.takes_steps:
            return self._take_steps()
        x = objective.metric.from_raw(*self.start).ravel()
        if plan.optimizer is None:
            x = auto.solve(objective, self.loss, self.sample.X, x, record)
        else:
            if self.estimator.precondition == "full":
                objective, x = whitened(objective, self.sample.X, x)
            x = train_full_batch(plan.optimizer, objective, x, record)
            record.stop_reason = record.stop_reason or "precision"
        if not record.n_iter:
            enter_end(objective, x, record)
        return objective.raw(x)

    def _take_steps(self):
        """Train by steps, those of a stream anew where its automatic rate was too high for them."""
        memory, record, plan = self.memory, self.record, self.plan
        steps, epochs = memory.steps, memory.steps.epochs
        ended = train_steps(steps, self.objective, plan, record)
        while (
            self.partial and record.stop_reason == "diverged" and record.best is not None
            and not record.halted and plan.schedule.recover(diverged=True)
        ):  # fmt: skip
            parameters, steps.t = self.steps_began
            steps.epochs = epochs
            steps.start_from(parameters)
            steps.state[:], steps.table = 0.0, None
            record.take_back()
            ended = train_steps(steps, self.objective, plan, record)
        return ended

    def _begin_steps(self):
        memory, metric, plan = self.memory, self.objective.metric, self.plan
        if memory.steps is None:
            parameters, slots = metric.from_raw(*self.start), plan.optimizer.compiled().slots
            memory.steps = Steps(
                parameters=parameters,
                state=np.zeros((self.problem.k, slots, parameters.shape[1])),
                average=parameters.copy() if plan.average_from >= 0 else None,
                generator=self.generator,
            )
        elif not self.record.n_iter:
            memory.steps.move_to(memory.metric, metric)
            if memory.returned is None or not all(map(np.array_equal, memory.returned, self.start)):
                memory.steps.start_from(metric.from_raw(*self.start))
            memory.steps.average_or_not(plan.average_from >= 0)
        memory.metric = metric
        steps = memory.steps
        self.steps_began = steps.parameters.copy(), steps.t
        self.record.epochs_before = steps.epochs - self.record.n_iter
        plan.schedule = self._schedule()
        if not self.record.n_iter:
            self.first_rate = float(checked_rates(plan.schedule, np.array([steps.t]))[0])

    def check_moved(self):
        """Raise where no step has changed anything, though the gradient is not zero."""
        record, steps = self.record, self.memory.steps
        if self.steps_began is None or not record.n_iter or record.stop_reason == "diverged":
            return
        began, t = self.steps_began
        if steps.t == t or not np.array_equal(steps.parameters, began):
            return
        rates = checked_rates(self.plan.schedule, np.arange(t, max(steps.t, t + FEW_STEPS)))
        # On a stream, steps below rounding may be wanted, and rates that begin with zero.
        if self.partial and rates.any() and (not rates[0] or rates.max() < ROUNDED_AWAY):
            return
        x = began.ravel()
        gradient, losses, _ = self.objective.losses_and_gradients(*self.objective.raw(x))
        worth = float(self.objective.metric.unit @ (np.abs(losses) + np.abs(
            record.constant_objectives
        )))  # fmt: skip
        if self.objective.decrement(x, gradient) > FLAT * worth:
            optimizer = type(self.plan.optimizer).__name__
            remedy = (
                f"pass a larger learning_rate, or change w in place (w -= ...) in {optimizer}."
                "update, which must neither rebind w nor return it"
            ) if rates.any() else "the learning rate is 0 at each of them: pass a larger one"
            ended = not rates.any() and self.plan.schedule.ran_to_its_end(steps.t)
            if ended:
                remedy += ", as by a min_rate above 0: the schedule has come to its end"
            message = (
                f"learning_rate={self.estimator.learning_rate!r} with optimizer="
                f"{self.estimator.optimizer!r}: no update step has changed the coefficients, "
                f"though the gradient is not zero; {remedy}."
            )
            if not (ended and self.partial):
                raise ValueError(message)
            # A stream that has outlasted its schedule keeps a model that is of use.
            warnings.warn(message, ConvergenceWarning)

    def _is_trained(self):
        """Whether the start knows more than the best constant model, which bounds may move."""
        known = not np.array_equal(self.start[0], self.record.constant[0])
        return known and self.estimator.init != "random"

    def _schedule(self):
        """Return the run's own schedule, which lasts as long as the rate that the user passed."""
        memory, plan, rate = self.memory, self.plan, self.estimator.learning_rate
        steps = memory.steps
        known = memory.schedule is not None and same_rates(memory.learning_rate, rate)
        known = known and is_for(memory.schedule, self.partial)
        if not known:
            memory.learning_rate = copy.deepcopy(rate)
            memory.schedule = (
                automatic_rate.automatic_schedule(
                    plan.optimizer, self.objective, self.sample.X, plan, self.start, steps,
                    self.record, trained=self._is_trained(),
                )
                if isinstance(rate, str) else as_schedule(rate)
            )  # fmt: skip
        if self.partial and isinstance(rate, str):
            memory.schedule.estimate(plan.optimizer, automatic_rate.Curvatures(
                self.objective, self.sample.X, plan, self.start, steps.generator, on_stream=True
            ), plan, memory.rows, self._target_noise())  # fmt: skip
        if known and self.partial:
            return memory.schedule
        n_batches = len(plan.bounds) - 1
        end = steps.t + n_batches * (self.estimator.max_iter - self.record.n_iter)
        if not (self.record.n_iter and memory.schedule.total_steps == end):
            memory.schedule = memory.schedule.bound(end, n_batches)
        return memory.schedule

    # ---- what others may know of it -------------------------------------------------------------

    def certificate(self, coef, intercept, budget=None):
        """Return an upper bound on how far the objective is from its minimum.

        NaN where it takes more work than the budget, or where the run has seen a part of the rows.
        """
        asked = budget is not None
        if not asked:
            budget = certificate.AFFORDABLE
            if self.plan.takes_steps:
                in_doubt = max(LITTLE_IN_DOUBT, CERTIFIED_IN_DOUBT * self._work)
                budget = min(in_doubt if self.in_doubt else CERTIFIED * self._work, budget)
        if self.partial or certificate.work(self.objective, self.loss) > budget:
            return np.nan
        objective, bound = self.objective, self.objective.bound
        # A bound that a descent has left is one in any metric.
        if bound is None or not bound.tight:
            objective = self._whole_objective()
        allowance = certificate.Allowance()
        if asked:
            objective.space = objective.space or auto.row_space(
                objective, self.loss, self.sample.X
            )
        else:
            allowance = self._allowance()
            if allowance.steps < 1:
                return np.nan
        return certificate.optimality(
            objective, self.loss, self.sample.X, coef, intercept, allowance
        )

    def _allowance(self):
        """Return what a certificate may cost: as much as the fit, within a callback's time."""
        within = max(LITTLE_IN_DOUBT, self._work)
        steps = certificate.steps_within(self.objective, self.loss, within)
        if self.plan.optimizer is None:  # whose iterations are such steps
            steps = max(steps, self.record.n_iter)
        left = np.inf if self.tasks is None else self.tasks.seconds_left
        if steps < np.inf and left <= 0.0:
            steps = 0
        return certificate.Allowance(steps, time.perf_counter() + left)

    def further_fall(self, coef, intercept):
        """Return how far the objective falls on in a few passes of a full-batch optimizer."""
        objective = self._whole_objective()
        last = objective.passes + max(PROBES, PROBED * self.record.history["passes"][-1])

        def monitor(x, *_):
            ends.append(objective.values(*objective.raw(x))[1].sum())
            return objective.passes >= last

        ends, smooth = [], self.loss.smooth and not objective.proximal
        optimizer = LBFGS() if smooth else AcceleratedGradient()
        optimizer.solve(objective, objective.metric.from_raw(coef, intercept).ravel(), monitor)
        return ends[0] - min(ends)

    @property
    def in_doubt(self):
        """Whether the run stopped because its objective did, at a rate that nobody chose."""
        automatic = isinstance(self.estimator.learning_rate, str) and not self.loss.homogeneous
        return self.record.stop_reason == "tol" and self.plan.takes_steps and automatic

    @property
    def may_be_far(self):
        """Whether the solver that needs no rate looked for a plateau, and no bound told it off."""
        bound = (self.objective.space or self.objective).bound
        done = self.plan.optimizer is None and self.record.stop_reason == "tol"
        return done and bound is not None and not bound.tight

    @property
    def negligible(self):
        """A distance from the minimum that is nothing, whatever the objective has fallen."""
        return NEGLIGIBLE / float(self.objective.metric.unit.max())

    @property
    def _work(self):
        """The multiplications of the epochs so far."""
        passes = sum(self.record.history["passes"][-1:])
        return passes * (EPOCH + 4.0 * self.problem.n * self.objective.metric.inverse.size)

    def _whole_objective(self):
        """Return the objective in a diagonal metric that is centred."""
        if self.plan.preconditioned and self.plan.centred:
            return self.objective
        whole = replace(self.plan, preconditioned=True, centred=True)
        return self._make_objective(whole, Memory.empty(self.problem.d, self.problem.k))

    def without_minimum(self, coef, intercept):
        """Tell whether the run found that the objective falls for ever, without a minimum.

        Where the mean loss is so small that no row can be on the wrong side, and nothing else than
        the loss counts, twice the coefficients are better still.
        """
        limit, problem, record = self.loss.separable_loss, self.problem, self.record
        if limit is None or self.objective.alpha.any() or self.partial or not record.n_iter:
            return False
        if record.stop_reason == "diverged" or self.watches_a_part:
            return False
        weights = problem.weights
        least = 1.0 if weights is None else weights[weights > 0].min()
        limit *= least / problem.weight_sum
        # One class alone has weight where a constant decides: no coefficient grows then.
        if not record.history["loss"][-1] < limit <= record.constant_objective:
            return False
        return not self.objective.proximal or self._falls_for_ever(coef, intercept)

    def _falls_for_ever(self, coef, intercept):
        """Tell whether the loss falls along coefficients that no bound ever stops."""
        far = FAR_OFF * coef / (np.abs(coef).max() or 1.0)
        within = far.copy()
        self.objective.penalty.apply_projection(within)
        direction = np.where(within == far, coef, 0.0)
        further = coef + FURTHER * direction, intercept + FURTHER * intercept
        now, then = (self.objective.values(*model)[0].sum() for model in (
            (coef, intercept), further
        ))  # fmt: skip
        return bool(direction.any() and then < now)

    @property
    def watches_a_part(self):
        """Whether the objectives in the history are those of a part of the rows."""
        return self.plan.takes_steps and self.problem.n > WATCHED_ROWS

    def place(self):
        """Say where the run exploded."""
        record = self.record
        if self.plan.schedule is None:
            return f"iteration {record.n_iter} of the full-batch optimizer"
        rate = record.history["learning_rate"][-1]
        return f"update step {record.exploded_at} with learning rate {rate:.3g}"

    def remedy(self, names):
        """Say what to pass instead of what made the run explode.

        Parameters
        ----------
        names : array of str or None
            Those of the columns.
        """
        plan, problem, X = self.plan, self.problem, self.sample.X
        gradient, losses, _ = self.objective.losses_and_gradients(*self.start)
        if not (np.isfinite(losses).all() and np.isfinite(gradient).all()):
            return (
                "It or its gradient is not finite at the start: mend the loss or the penalty, or "
                "pass another init."
            )
        if plan.schedule is None:
            return f"Pass {self._other_than_set()}a larger alpha."
        rate = self.record.history["learning_rate"][-1] / 10
        if not self.partial:  # whose automatic rate follows the rows of all calls
            rate = min(rate, automatic_rate.automatic_schedule(
                plan.optimizer, self.objective, X, plan, self.start,
                replace(self.memory.steps, generator=np.random.default_rng(0)), self.record,
                trained=False,
            ).rate)  # fmt: skip
        given = not isinstance(self.estimator.learning_rate, str)
        if not 0.0 < rate < np.inf:
            others = [AUTOMATIC] * given + ["precondition='auto'"] * (not plan.preconditioned)
            return f"Pass {', or '.join([*others, 'a larger alpha'])}."
        if plan.preconditioned:
            return f"Pass learning_rate={rate:.1g}{' or ' + AUTOMATIC if given else ''}."
        moments = Moments.of(problem.rows, problem.weights)
        sizes = np.sqrt(moments.variance(about_mean=False))
        largest = int(np.argmax(sizes))
        column = largest if names is None else repr(str(names[largest]))
        return (
            f"Column {column} has the largest scale, {sizes[largest]:.3g}: pass "
            "precondition='auto', which makes the descent independent of the columns' scales, or "
            f"scale the columns, or pass learning_rate={rate:.1g} or less."
        )

    def _other_than_set(self):
        """Return the settings that a descent without a rate might do with, as far as not passed."""
        advice = ""
        if not (isinstance(self.estimator.init, str) and self.estimator.init == "zeros"):
            advice += "init='zeros', "
        if make_optimizer(self.estimator.optimizer) is not None:
            advice += "optimizer='auto', "
        return advice and advice + "or "

    def coefficients(self, coef, intercept):
        """Return the attributes that predictions need."""
        if self.problem.k > 1:
            coef, intercept = self.estimator._identified(coef, intercept, self.objective)
        dtype, numbers = self.sample.X.dtype, [coef, intercept]
        if self.loss.task == "regression":
            numbers.append(self.problem.targets)
        # What predicts numbers that X's type does not have is in one that has them.
        if not all(_fit_in(dtype, part) for part in numbers):
            dtype = np.dtype(float)
        return self.estimator._coefficients(coef, intercept, dtype)

    def attributes(self, coef, intercept):
        """Return the public attributes of an estimator that is fitted up to here."""
        record, steps = self.record, self.memory.steps
        return self.coefficients(coef, intercept) | {
            "history_": record.as_arrays(),
            "n_iter_": steps.epochs if self.partial and steps else max(1, record.n_iter),
            "t_": steps.t if steps is not None else record.n_iter,
            "stop_reason_": record.stop_reason,
            "converged_": record.stop_reason in ("tol", "precision", "early_stopping"),
            "learning_rate_": self.first_rate,
            "optimality_": np.nan,
            "_weight_sum": self.memory.weight if self.partial else self.problem.weight_sum,
        }

    def epoch_attributes(self, coef, intercept):
        """Return the attributes of an estimator that callbacks see after an epoch."""
        attributes = self.attributes(coef, intercept) | {"_memory": None}
        if self.tasks.keepers:
            memory = self.memory.state()
            del memory["learning_rate"]
            attributes["_state"] = {
                "memory": memory, "record": self.record.state(), "start": (coef, intercept),
                "first_rate": self.first_rate, "fingerprint": self.tasks.fingerprint,
                "callbacks": self.tasks.stateful, "later": self.tasks.keep_later,
            }  # fmt: skip
        return attributes


def _name(value):
    """Return the name of a value's class."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _fit_in(dtype, numbers):
    """Tell whether a type has all its digits for numbers."""
    if dtype == np.float64:
        return True
    sizes, limits = np.abs(numbers), np.finfo(dtype)
    return bool(np.all((sizes == 0) | (sizes >= limits.tiny) & (sizes <= limits.max)))


def _stays_at_zero(rule, alpha, n_features):
    """Tell in which columns a penalty and its bounds let a coefficient stay at zero."""
    move = np.zeros((len(alpha), n_features))
    move -= alpha[:, None] * rule.apply_gradient(move)
    if rule.is_proximal:
        rule.apply_prox(move, np.ones(move.shape))
    return (move == 0).all(axis=0)


def class_codes(targets):
    """Return the number of each row's class: targets are signs for two classes."""
    return (targets[:, 0] > 0 if targets.ndim == 2 else targets).astype(np.intp)


def _class_sums(targets, weights, k):
    """Return the weight of each class, or of the positive class for two."""
    if targets.ndim == 1:
        return np.bincount(targets.astype(np.intp), weights=weights, minlength=k)
    return 0.5 * (weights.sum() + np.einsum("i,ij->j", weights, targets))
