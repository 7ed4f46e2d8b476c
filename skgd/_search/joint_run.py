"""Many runs of update steps in one pass: the rows are read once for all of them.

Runs that read the same rows in the same batches and in the same order take their steps together.
Each keeps its own weights, loss, penalty, optimizer, rate, metric and history, and ends at the same
coefficients as alone.
"""

import copy

import numpy as np
from scipy import sparse

from skgd._descent.stochastic import Epoch, enter, make_sweep, sweep_epoch
from skgd._engine import JointSweep
from skgd._search.monitor import ObjectiveMonitor
from skgd._utils.threads import ALONE
from skgd.schedules import all_checked_rates

# Coefficients of the models that take a step together, so that all that belongs to them is in
# cache.
TOGETHER = 2**13
# The work of a slice of steps, in slices of a single sweep: many models multiply faster than one,
# and threads wait for each other at its end.
SPEED = 24.0


def shared_pass_key(run):
    """Return what runs must have in common to read the rows together."""
    plan, generator = run.plan, run.state.steps.generator
    return (
        id(run.problem.data_term.rows), None if plan.rows is None else plan.rows.tobytes(),
        len(plan.bounds), plan.average_from,
        repr(generator.bit_generator.state) if plan.shuffle else None,
    )  # fmt: skip


class JointRun:
    """Runs that take their steps together.

    Parameters
    ----------
    runs : list of Run
        Begun, and alike in what `shared_pass_key` returns.
    threads : Threads
        Those among which the runs are shared out.
    monitor : class
        Of what looks at the objectives.
    """

    def __init__(self, runs, threads=ALONE, monitor=ObjectiveMonitor):
        self.threads = threads
        self.sweeps = {}
        # One generator draws the order, and one clock counts the steps, for all.
        self.clock, self.plan = copy.copy(runs[0].state.steps), runs[0].plan
        self.monitor = monitor(self.plan, threads)
        self._begin(runs)

    @property
    def runs(self):
        return list(self.sweeps)

    def keep(self, runs):
        """Continue with some of the runs."""
        self.sweeps = {run: self.sweeps[run] for run in runs}
        if runs:
            self._assemble()

    def _begin(self, runs):
        """Add runs, or add them again, from where their steps are."""
        for run in runs:
            self.sweeps[run] = make_sweep(run.state.steps, run.objective, run.plan)
        self._assemble()

    def _assemble(self):
        runs = self.runs
        if sparse.issparse(runs[0].sample.X):
            # Those take many steps each, one model after the other.
            self.parts = [np.arange(len(runs))]
            self.joint_sweeps = [JointSweep(list(self.sweeps.values()), self.threads)]
            return
        numbers = sum(run.problem.k for run in runs) * runs[0].problem.d
        rounds = max(1, round(numbers / TOGETHER / self.threads.n))
        self.parts = np.array_split(np.arange(len(runs)), min(self.threads.n * rounds, len(runs)))
        self.joint_sweeps = [
            JointSweep([self.sweeps[runs[i]] for i in part]) for part in self.parts
        ]

    def work(self, length):
        """Return about how many multiplications of a single sweep a step of the models takes.

        Of those that take it together: the others follow when these have taken a few.
        """
        return max(joint_sweep.work(length) for joint_sweep in self.joint_sweeps) / SPEED

    # ---- an epoch -------------------------------------------------------------------------------

    def epoch(self):
        """Take the steps of one epoch and enter it into the records.

        Returns
        -------
        dict
            The coefficients and intercepts to which each run has come.
        """
        runs, first = self.runs, self.clock.t
        t = np.arange(first, first + len(self.plan.bounds) - 1)
        with np.errstate(over="ignore", invalid="ignore"):
            for run in runs:
                run.history.begin_epoch()
            rates = all_checked_rates([run.plan.schedule for run in runs], t)
            sweep_epoch(self.clock, self, self.plan, lambda t: rates[:, t - first])
            for run in runs:
                steps = run.state.steps
                steps.t, steps.averaged = self.clock.t, self.clock.averaged
                steps.epochs += 1
            ends, begun_again = {run: self._end(run) for run in runs}, []
            seen = self.monitor.look(runs, ends)
            for run, rate in zip(runs, rates[:, -1], strict=True):
                epoch = Epoch(*ends[run], *seen.get(run, (None, None)), rate)
                if enter(
                    epoch, run.state.steps, run.objective, run.plan.schedule, run.history,
                    run.history.patience,
                ):  # fmt: skip
                    begun_again.append(run)
            if begun_again:
                self._begin(begun_again)
        return ends

    def _end(self, run):
        """Return the raw coefficients and intercepts to which a run has come."""
        steps, objective = run.state.steps, run.objective
        if steps.averaged:
            return objective.raw(steps.kept)
        return objective.feasible(*self.sweeps[run].raw())

    def run(self, order, bounds, rates, t, averaged):
        """Take one step per batch; as for `Sweep.run`, with a row of rates for each run."""
        jobs = [
            (joint_sweep, order, bounds, rates[part], t, [averaged] * len(part))
            for joint_sweep, part in zip(self.joint_sweeps, self.parts, strict=True)
        ]
        self.threads.map(_run_joint_sweep, jobs)


def _run_joint_sweep(job):
    joint_sweep, *arguments = job
    joint_sweep.run(*arguments)
