"""The schedules of an automatic rate: one for streams, and one that watches the objective."""

import numpy as np

from skgd.schedules.base import Schedule

# The share of its first rate with which a step rule goes on after another optimizer's fit.
REFINED = 0.03
# What an automatic rate grows by in an epoch that is the best so far.
GROWTH = 1.2
# The last share of a run, in which an automatic rate falls to zero.
ENDING = 0.2
# A rate is halved after as many epochs, and memories of its rule, without a new least objective.
FLAT_EPOCHS, FLAT_HORIZONS = 4, 2
# A fall by less than this share of the objective may be rounding, which must not decide on a rate.
TOLD = 1e-12
# An objective is back at the least one within this share of the possible decrease.
NEAR = 0.01
# Cuts in a row after which the objective will not come back: then it was not noise.
IN_VAIN = 8
# A rate that was cut to this share of its first value will not do.
HOPELESS = 1e-9


class Decaying(Schedule):
    """The automatic rate of a step rule on a stream: ``rate / (1 + (t - first) / steps)^power``."""

    partial = True

    def __init__(self, rate, steps, power, first):
        self.rate = rate
        self.steps = steps
        self.power = power
        self.first = first

    def rates(self, t):
        return self.rate / (1.0 + (np.asarray(t) - self.first) / self.steps) ** self.power


class Watched(Schedule):
    """The automatic rate of a step rule in a fit, which watches the objective.

    It grows with each epoch that is the best so far, and is halved where the objective has stopped
    falling: so it stays as long as noise and curvature allow, which is what columns that depend on
    one another need. It is cut to a quarter where the descent has exploded and begins again, and
    falls to zero, in a line, in the last part of the run.

    Parameters
    ----------
    rate : float
        The first rate.
    decays : bool
        Whether the rule needs a rate that falls; otherwise it is cut after explosions alone.
    momentum_horizon : float
        The steps for which the rule goes on along a gradient: before they are over, nothing tells
        what a rate does.
    best : float
        The least objective so far.
    highest : float
        The objective of the best constant model.
    """

    partial = False
    factor = 1.0
    waited = 0
    in_vain = 0
    far = False

    def __init__(self, rate, decays, momentum_horizon, best, highest):
        self.rate = rate
        self.decays = decays
        self.momentum_horizon = momentum_horizon
        self.best = best
        self.highest = highest

    def rates(self, t):
        rate = self.rate * self.factor
        if not (self.decays and self.total_steps):
            return np.full(len(t), rate)
        left = (self.total_steps - np.asarray(t)) / (ENDING * self.total_steps)
        return rate * np.clip(left, 0.0, 1.0)

    @property
    def _horizon(self):
        """The epochs for which the rule goes on along a gradient, at least one."""
        return max(1.0, self.momentum_horizon / self.steps_per_epoch)

    def observe(self, objective):
        if objective < self.best - TOLD * abs(self.best):
            self.best, self.waited, self.in_vain, self.far = objective, 0, 0, False
            if self.decays:
                self.factor *= GROWTH ** (1.0 / np.sqrt(self._horizon))
            return
        self.waited += 1
        self.far = not objective - self.best <= NEAR * (self.highest - self.best)
        if self.waited >= max(FLAT_EPOCHS, FLAT_HORIZONS * self._horizon) and self.decays:
            self.factor, self.waited, self.in_vain = self.factor / 2, 0, self.in_vain + 1

    def recover(self, diverged):
        # Before its memory is over a rule may come back by itself.
        if self.factor < HOPELESS or not (diverged or self.waited >= self._horizon):
            return False
        self.factor, self.waited = self.factor / 4, 0
        return True

    def settled(self, t):
        # A stall says something where it outlasts two cuts, or where nothing rose at all.
        calm = self.in_vain >= 2 or not (self.in_vain or self.waited)
        return not self.decays or (calm and not self.far) or self.in_vain >= IN_VAIN

    def ran_to_its_end(self, t):
        return False


def is_for(schedule, partial):
    """Return whether a schedule goes with a stream, or else with a fit; a user's with both."""
    return getattr(schedule, "partial", partial) == partial
