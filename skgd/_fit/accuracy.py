"""How far the end of a run is from the minimum, and whether it is an end at all."""

import time
from dataclasses import replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgd._descent.history import NEGLIGIBLE
from skgd._descent.solution import Solution, Stop
from skgd._fit.build_objective import build_objective
from skgd._objective.smoothing import smoothing_path
from skgd._solvers import duality_gap, row_space
from skgd._solvers.costs import Gap
from skgd.optimizers import LBFGS, AcceleratedGradient
from skgd.schedules import checked_rates

# The share of the steps' work that a step for the duality gap may take, of which there are some
# ten. The same where it is to tell whether steps have stopped too early, and what it may at least.
GAP_SHARE, GAP_SHARE_IN_DOUBT, LITTLE_WORK = 0.05, 1.0, 1e8
# The overhead of an epoch, in multiplications.
EPOCH = 2e5
# Passes that look for a further decrease: at least, and as a share of those so far.
PROBES, PROBED = 10, 0.2
# Smoothed losses of the path up to the one that they minimise: of what Adam has missed under the
# hinge, on 400 x 2000 words, they find three quarters with 2, 60 % with 1 or 3, a sixth without.
PROBED_WIDTHS = 2
# Steps of a stream's schedule that tell whether its rate is zero for good, a rate whose steps may
# be lost in rounding, and the squared gradient, as a share of the objective, that counts as zero.
FEW_STEPS, ROUNDED_AWAY, FLAT = 1000, 1e-10, 1e-12
# Coefficients beyond all bounds, and a multiple of a model that is as good as infinite.
BEYOND, MULTIPLE = 1e200, 1e3


class Accuracy:
    """What is known about the distance from the minimum at which a run has ended.

    Parameters
    ----------
    run : Run
    coef : array of shape (n_outputs, n_features)
    intercept : array of shape (n_outputs,)
        The model that the estimator has, in the dtype of X.

    Attributes
    ----------
    optimality : float
        The duality gap, once it has been asked for; NaN where it is not known.
    """

    def __init__(self, run, coef=None, intercept=None):
        self.run, self.coef, self.intercept = run, coef, intercept
        self.settings, self.history, self.plan = run.settings, run.history, run.plan
        self.optimality = np.nan
        gap_stop = run.history.gap_stop
        self.solution = run.solution if gap_stop is None else gap_stop.solution

    @property
    def decrease(self):
        """How far the objective has fallen from that of the best constant model."""
        return self.history.baseline.objective - self.history.objective

    @property
    def negligible(self):
        """A distance from the minimum that is nothing, whatever the objective has fallen."""
        return NEGLIGIBLE / float(self.run.objective.metric.unit.max())

    # ---- how far the minimum is -----------------------------------------------------------------

    @property
    def _objective(self):
        """That of the descent, which may have fewer columns, or that of the run."""
        known = self.solution.objective if self.solution is not None else None
        return self.run.objective if known is None else known

    def duality_gap(self, budget=None):
        """Return an upper bound on how far the objective is from its minimum, and keep it.

        NaN where it takes more work than the budget, or where the run has seen a part of the rows.
        """
        run, is_asked = self.run, budget is not None
        solution = self.solution
        if not is_asked:
            budget = Gap.affordable
            if self.plan.takes_steps:
                in_doubt = max(LITTLE_WORK, GAP_SHARE_IN_DOUBT * self._work)
                budget = min(in_doubt if self.is_in_doubt else GAP_SHARE * self._work, budget)
        work = duality_gap.work(self._objective, solution)
        if run.is_partial or work > budget:
            return np.nan
        objective = run.objective
        # A bound that a descent has left is one in any metric.
        if solution is None or solution.lower_bound is None or not solution.lower_bound.is_tight:
            objective = self.centred_objective()
            solution = solution if objective is run.objective else None
        if solution is not None and solution.objective is not None:
            objective = solution.objective
        allowance = duality_gap.Allowance() if is_asked or not work else self._allowance()
        if allowance.steps < 1:
            return np.nan
        if is_asked and row_space.suits(objective):
            solution = Solution(None, reduced=row_space.in_row_space(objective))
        self.optimality = duality_gap.duality_gap(
            objective, objective.of_own_columns(self.coef), self.intercept, solution, allowance
        )
        return self.optimality

    def _allowance(self):
        """Return what a gap may cost: as much as the fit, within a callback's time."""
        run, within = self.run, max(LITTLE_WORK, self._work)
        steps = duality_gap.steps_within(self._objective, self.solution, within)
        if self.plan.optimizer is None:  # whose iterations are such steps
            steps = max(steps, self.history.n_iter)
        left = np.inf if run.tasks is None else run.tasks.seconds_left
        if steps < np.inf and left <= 0.0:
            steps = 0
        return duality_gap.Allowance(steps, time.perf_counter() + left)

    @property
    def _work(self):
        """The multiplications of the epochs so far."""
        return self.history.passes * (
            EPOCH + 4.0 * self.run.problem.n * self._objective.metric.inverse.size
        )

    def centred_objective(self):
        """Return the objective in a diagonal metric that is centred."""
        run = self.run
        if self.plan.preconditioned and self.plan.centred:
            return run.objective
        plan = replace(self.plan, preconditioned=True, centred=True)
        state = run.state
        return build_objective(
            self.settings, run.problem, plan, state.moments, state.target_moments, run.shared
        )

    def further_decrease(self):
        """Return how far the objective falls on in a few passes of a full-batch optimizer.

        In the place of a loss with kinks it minimises a smoothed one, where there is one.
        """
        objective = self.centred_objective()
        loss = objective.loss
        if not loss.smooth:
            loss = smoothing_path(objective)[:PROBED_WIDTHS][-1]
        probed = replace(objective, problem=objective.problem.with_loss(loss))
        last = probed.passes + max(PROBES, PROBED * self.history.passes)

        def monitor(x, *_):
            ends.append(objective.values(*objective.raw(x))[1].sum())
            return probed.passes >= last

        ends, is_smooth = [], loss.smooth and not objective.proximal
        optimizer = LBFGS() if is_smooth else AcceleratedGradient()
        start = objective.metric.from_raw(self.coef, self.intercept).ravel()
        optimizer.solve(probed, start, monitor)
        return ends[0] - min(ends)

    # ---- what kind of end it was ----------------------------------------------------------------

    @property
    def is_in_doubt(self):
        """Whether the run stopped because its objective did, at a rate that nobody chose."""
        is_automatic = self.settings.has_automatic_rate and not self.run.loss.homogeneous
        return self.history.stop == Stop.TOL and self.plan.takes_steps and is_automatic

    @property
    def may_be_on_plateau(self):
        """Whether the solver that needs no rate looked for a plateau, and no bound excluded it."""
        solution = self.run.solution
        bound = solution.lower_bound if solution is not None else None
        is_done = self.plan.optimizer is None and self.history.stop == Stop.TOL
        return is_done and bound is not None and not bound.is_tight

    def has_no_minimum(self):
        """Tell whether the run found that the objective falls for ever, without a minimum.

        Where the mean loss is so small that no row can be on the wrong side, and nothing else than
        the loss counts, twice the coefficients are better still.
        """
        run, history, problem = self.run, self.history, self.run.problem
        limit = run.loss.separable_loss
        if limit is None or run.objective.alpha.any() or run.is_partial or not history.n_iter:
            return False
        if history.stop == Stop.DIVERGED or self.plan.monitors_sample(problem):
            return False
        limit *= problem.least_weight() / problem.weight_sum
        # One class alone has weight where a constant decides: no coefficient grows then.
        if not history.table["loss"][-1] < limit <= history.baseline.objective:
            return False
        return not run.objective.proximal or self._falls_for_ever()

    def _falls_for_ever(self):
        """Tell whether the loss falls along coefficients that no bound ever stops."""
        objective, coef, intercept = self.run.objective, self.coef, self.intercept
        far = BEYOND * coef / (np.abs(coef).max() or 1.0)
        within = far.copy()
        objective.penalty.apply_projection(within)
        direction = np.where(within == far, coef, 0.0)
        further = coef + MULTIPLE * direction, intercept + MULTIPLE * intercept
        now, then = (
            objective.values(*model)[0].sum() for model in ((coef, intercept), further)
        )
        return bool(direction.any() and then < now)

    def check_moved(self):
        """Raise where no step has changed anything, though the gradient is not zero.

        Returns
        -------
        list of (category, message)
            What to warn of where that may be meant.
        """
        run, steps, history = self.run, self.run.state.steps, self.history
        if run.steps_began is None or not history.n_iter or history.stop == Stop.DIVERGED:
            return []
        began, t = run.steps_began
        if steps.t == t or not np.array_equal(steps.parameters, began):
            return []
        rates = checked_rates(self.plan.schedule, np.arange(t, max(steps.t, t + FEW_STEPS)))
        # On a stream, steps below rounding may be wanted, and rates that begin with zero.
        if run.is_partial and rates.any() and (not rates[0] or rates.max() < ROUNDED_AWAY):
            return []
        x, objective = began.ravel(), run.objective
        gradient, losses, _ = objective.losses_and_gradients(*objective.raw(x))
        size = float(objective.metric.unit @ (
            np.abs(losses) + np.abs(history.baseline.objectives)
        ))  # fmt: skip
        if objective.decrement(x, gradient) <= FLAT * size:
            return []
        remedy = (
            "pass a larger learning_rate, or change w in place (w -= ...) in "
            f"{type(self.plan.optimizer).__name__}.update, which must neither rebind w nor return "
            "it"
        ) if rates.any() else "the learning rate is 0 at each of them: pass a larger one"
        has_ended = not rates.any() and self.plan.schedule.ran_to_its_end(steps.t)
        if has_ended:
            remedy += ", as by a min_rate above 0: the schedule has come to its end"
        message = (
            f"learning_rate={self.settings.learning_rate!r} with optimizer="
            f"{self.settings.optimizer!r}: no update step has changed the coefficients, "
            f"though the gradient is not zero; {remedy}."
        )
        if not (has_ended and run.is_partial):
            raise ValueError(message)
        # A stream that has outlasted its schedule keeps a model that is of use.
        return [(ConvergenceWarning, message)]
