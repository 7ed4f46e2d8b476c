"""The schedules of an automatic rate: one for streams, and one that watches the objective."""

import numpy as np

from skgd.schedules.base import Schedule

# The share of its first rate with which a step rule continues after another optimizer's fit.
REFINED = 0.03
# What an automatic rate grows by in an epoch that is the best so far.
GROWTH = 1.2
# The last share of a run, in which an automatic rate falls to zero.
ENDING = 0.2
# A rate is halved after as many epochs, and memories of its rule, without a new least objective.
FLAT_EPOCHS, FLAT_HORIZONS = 4, 2
# Once the rate was halved, noise holds the objective up: this many epochs show that it does so
# again, where they have this many steps. Adam on text, 20 000 x 30 000, ends after 48 epochs at
# 0.02 % of the possible decrease with 2 epochs, and after 60 at 0.03 % with 4; SGD on single rows
# after 40 instead of 72. With 8 steps an epoch, Lion stops too soon.
NOISY_EPOCHS, MANY_STEPS = 2, 32
# A fall by less than this share of the objective may be rounding, which must not decide on a rate.
TOLD = 1e-12
# An objective is back at the least one within this share of the possible decrease.
NEAR = 0.01
# An objective that falls by more than this share of the possible decrease in an epoch, be it above
# the least one, has not stopped falling. Without it, Adam ends at 6 to 9 % of it on 400 x 2000
# words under the hinge, at the low end of a swing of 14 epochs.
FALLING = 0.002
# Cuts in a row that a stall must outlast to say something, slow ones and quick ones, and those
# after which an objective that has risen will not come back: then it was not noise.
CALM, QUICKLY_CALM, IN_VAIN = 2, 3, 8
# A rate that was cut to this share of its first value will not do.
HOPELESS = 1e-9
# A stream's rate begins to fall after as many steps, and rows for each parameter; see
# examples/benchmarks/streams.py: 5 learns 100 columns as fast as 20, with a third of the noise.
STREAM_STEPS, STREAM_ROWS = 50.0, 5.0
# The least share of its first rate with which a stream continues. On 1e5 rows that turn their
# coefficients by 3 radians, R2 is 0.980 with it and 0.970 without.
LEAST_SHARE = 0.01
# Rows from which deviations are known well enough for full steps: of two rows some column has next
# to none. Without it, R2 of 100 columns, one row a call, is 0.29 after 200 rows instead of 0.8.
SURE_ROWS = 16


class Decaying(Schedule):
    """The automatic rate of a step rule on a stream: ``rate / (1 + (t - first) / steps)^power``.

    The first rows tell little of those to come, so that the rate is estimated again each time that
    the rows have doubled.
    """

    partial = True
    rate = 0.0
    noise = 1.0
    factor = 1.0
    estimated_at = 0

    def __init__(self, first, share):
        self.first = first
        self.share = share

    def estimate(self, optimizer, curvatures, plan, n_rows, noise):
        """Estimate the rate after a number of rows, where it is time to.

        Parameters
        ----------
        optimizer : Optimizer
        curvatures : Curvatures
            Those of the stream so far.
        plan : Plan
        n_rows : int
        noise : float
            What makes the steps of single rows longer than the curvature tells.
        """
        if optimizer.sign_step_factor is None:
            self.noise = 1.0 + noise / plan.batch_length
        if n_rows < 2 * self.estimated_at:
            return
        self.estimated_at = n_rows
        rate, self.power = optimizer.automatic_rate(np.inf, plan.batch_length, curvatures)
        # Of a step along the signs, few rows may see nothing.
        if optimizer.sign_step_factor is not None:
            # Steps along the signs have no curvature to follow: with the whole power, R2 of 10
            # columns is 0.76 after 1000 rows instead of 0.87.
            self.power *= 0.5
        rate *= self.share * min(1.0, n_rows / SURE_ROWS)
        self.rate = rate if optimizer.sign_step_factor is None else max(rate, self.rate)
        rows = STREAM_ROWS * curvatures.typical
        self.steps = max(STREAM_STEPS, rows / plan.batch_length)

    def begin_again(self, t):
        """Let the rate fall from the step t on, as from the first."""
        self.first, self.estimated_at = t, 0

    def rates(self, t):
        fallen = (1.0 + (np.asarray(t) - self.first) / self.steps) ** -self.power
        return self.factor * self.rate / self.noise * np.maximum(fallen, LEAST_SHARE)

    def recover(self, diverged):
        if self.factor < HOPELESS or not diverged:
            return False
        self.factor /= 4
        return True


class Watched(Schedule):
    """The automatic rate of a step rule in a fit, which watches the objective.

    It grows with each epoch that is the best so far, but for the first one after a quick cut, and
    is halved where the objective has stopped falling: so it stays as long as noise and curvature
    allow, which is what columns that depend on one another need. It is cut to a quarter where the
    descent has diverged and begins again, and falls to zero, in a line, in the last part of the
    run.

    Parameters
    ----------
    rate : float
        The first rate.
    decays : bool
        Whether the rule needs a rate that falls; otherwise it is cut only after divergence.
    momentum_horizon : float
        The steps for which the rule keeps moving along a gradient: the effect of a rate shows only
        after them.
    best : float
        The least objective so far.
    highest : float
        The objective of the best constant model.
    tol : float or None
        The share of the possible decrease that is no improvement, as for the estimators.
    """

    partial = False
    factor = 1.0
    waited = 0
    in_vain = 0
    far = False
    falling = False
    is_cut = False
    has_been_cut = False

    def __init__(self, rate, decays, momentum_horizon, best, highest, tol=None):
        self.rate = rate
        self.decays = decays
        self.momentum_horizon = momentum_horizon
        self.best = self.last = best
        self.highest = highest
        self.falling_by = max(FALLING, tol or 0.0)

    def rates(self, t):
        rate = self.rate * self.factor
        if not (self.decays and self.total_steps):
            return np.full(len(t), rate)
        left = (self.total_steps - np.asarray(t)) / (ENDING * self.total_steps)
        return rate * np.clip(left, 0.0, 1.0)

    @property
    def _horizon(self):
        """The epochs for which the rule keeps moving along a gradient, at least one."""
        return max(1.0, self.momentum_horizon / self.steps_per_epoch)

    @property
    def _cuts_quickly(self):
        """Whether an epoch has steps enough to tell noise from slow progress."""
        return self.steps_per_epoch >= MANY_STEPS

    def observe(self, objective):
        self.falling = self.last - objective > self.falling_by * (self.highest - objective)
        self.last = objective
        if objective < self.best - TOLD * abs(self.best):
            self.best, self.waited, self.in_vain, self.far = objective, 0, 0, False
            # A cut makes the objective fall by itself.
            if self.decays and not (self.is_cut and self._cuts_quickly):
                self.factor *= GROWTH ** (1.0 / np.sqrt(self._horizon))
            self.is_cut = False
            return
        self.waited += 1
        self.far = not objective - self.best <= NEAR * (self.highest - self.best)
        is_noisy = self.has_been_cut and self._cuts_quickly
        epochs = NOISY_EPOCHS if is_noisy else FLAT_EPOCHS
        if self.waited >= max(epochs, FLAT_HORIZONS * self._horizon) and self.decays:
            self.factor, self.waited, self.in_vain = self.factor / 2, 0, self.in_vain + 1
            self.is_cut = self.has_been_cut = True

    def recover(self, diverged):
        # Before its memory is over a rule may come back by itself.
        if self.factor < HOPELESS or not (diverged or self.waited >= self._horizon):
            return False
        self.factor, self.waited = self.factor / 4, 0
        return True

    def settled(self, t):
        # A stall says something where it outlasts some cuts, or where nothing rose at all.
        cuts = QUICKLY_CALM if self._cuts_quickly else CALM
        calm = self.in_vain >= cuts or not (self.in_vain or self.waited)
        is_still = calm and not self.far and not self.falling
        return not self.decays or is_still or self.in_vain >= IN_VAIN

    def ran_to_its_end(self, t):
        return False


def made_from(state):
    """Return an automatic schedule of the kind whose state this is, to resume from it."""
    kind = Watched if "highest" in state else Decaying
    return kind.__new__(kind)


def is_for(schedule, partial):
    """Return whether a schedule goes with a stream, or else with a fit; a user's with both."""
    return getattr(schedule, "partial", partial) == partial
