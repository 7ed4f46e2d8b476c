"""Candidates of a search on the folds of a cross-validation, trained in as few passes as may be."""

import time
import warnings
from traceback import format_exc

from sklearn.exceptions import ConvergenceWarning

from skgd.fit_tasks import FitTasks
from skgd.fleet import Pass, meeting
from skgd.report import tell
from skgd.run import Memory, Run
from skgd.scores import shallow_copy
from skgd.threads import ALONE
from skgd.watch import Watch


class Entry:
    """A candidate on a fold.

    Parameters
    ----------
    candidate : int
        The number of the candidate.
    estimator : GDClassifier or GDRegressor
        With the parameters of the candidate; not changed.
    fold : Fold
    strict : bool
        Whether an error in the fit is raised.

    Attributes
    ----------
    tasks : EntryTasks or None
        Tells the callbacks of the search.
    """

    tasks = None

    def __init__(self, candidate, estimator, fold, strict):
        self.candidate, self.fold, self.strict = candidate, fold, strict
        self.estimator = fold.informed(estimator)
        self.run = self.end = self.model = self.error = self.score = None
        self.seconds = self.score_time = 0.0

    def begin(self):
        """Make the run; one that no pass can take up goes on alone, to its end."""
        estimator, fold, started = self.estimator, self.fold, time.perf_counter()
        try:
            estimator._check_parameters()
            sample, held_out = fold.sample, None
            if estimator.early_stopping:
                sample, held_out = fold.stopping_early(estimator)
            memory = Memory.empty(sample.X.shape[1], sample.n_outputs)
            if self.tasks is not None:
                tasks = self.tasks.begin(sample)
            else:
                tasks = FitTasks(estimator, sample) if estimator.verbose else None
            self.run = Run(estimator, sample, held_out, memory, False, tasks)
            if self.run.plan.shares_passes:
                self.run.begin()
            else:
                self.end = self.run.descend()
                self.finish()
        except Exception:
            self.fail()
        self.seconds += time.perf_counter() - started

    def come_to(self, end):
        """Hear of the coefficients and intercepts after an epoch."""
        self.end, self.score = end, None
        if self.run.record.stop_reason is not None:
            self.finish()

    def model_by_now(self, whole):
        """Return an estimator with the coefficients of the last epoch, or those kept.

        None before the first epoch, to which an error in the pass may have sent the entry back.
        With all attributes of a fitted one, or with no more than predictions need.
        """
        if self.run is None or self.end is None:
            return self.model
        return self._model(self.run.attributes if whole else self.run.coefficients, *self.end)

    def _model(self, attributes, coef, intercept):
        model = shallow_copy(self.estimator)
        vars(model).update(attributes(coef, intercept))
        return model

    def leave(self):
        """Stop with what the last epoch has come to."""
        self.run.record.stop_reason = "race"
        self._keep(*self.end)

    def finish(self):
        """Stop with what a fit would keep."""
        coef, intercept, _ = self.estimator._kept(*self.end, self.run)
        if coef is not self.end[0]:
            self.score = None
        self._keep(coef, intercept)

    def _keep(self, coef, intercept):
        """Keep nothing of the run but the model."""
        run = self.run
        try:
            if run.record.stop_reason != "race":
                run.check_moved()
            self.model = self._model(run.attributes, coef, intercept)
            if self.estimator.on_divergence == "raise":  # otherwise stop_reason tells
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    model = self.model._raw_attributes(run.problem.k, run.problem.d)
                    tell(self.model, run, model)
            if self.tasks is not None:
                self.tasks.end(self.model)
        except Exception:
            self.fail()
        self.run = self.end = None

    def fail(self):
        """Keep nothing but the error that is being handled."""
        if self.strict:
            raise
        self.run = self.end = self.model = self.score = None
        self.error = format_exc()

    @property
    def stop_reason(self):
        """Why the entry is over; None where it is not."""
        if self.run is not None:
            return None
        return "failed" if self.model is None else self.model.stop_reason_


class Group:
    """Entries whose runs share a pass."""

    def __init__(self, entries, threads, watch=Watch):
        self.entries = entries
        self.joint = Pass([entry.run for entry in entries], threads, watch)

    def epoch(self):
        """Take an epoch; return the groups that go on."""
        live = [entry for entry in self.entries if entry.run is not None]
        if len(live) < len(self.entries):
            self.entries = live
            self.joint.keep([entry.run for entry in live])
        if not live:
            return []
        started = time.perf_counter()
        try:
            ends = self.joint.epoch()
        except Exception:
            return self._fall_apart()
        for entry in live:
            entry.seconds += (time.perf_counter() - started) / len(live)
            entry.come_to(ends[entry.run])
        return [self]

    def _fall_apart(self):
        """Find out whose error it is: each entry starts again, alone."""
        if len(self.entries) == 1:
            self.entries[0].fail()
            return []
        for entry in self.entries:
            entry.begin()
        return [Group([entry], ALONE) for entry in self.entries if entry.run is not None]


def train(entries, threads, race=None, watch=Watch):
    """Train candidates on folds; each entry ends with a model or an error.

    Parameters
    ----------
    entries : list of Entry
    threads : Threads
    race : callable or None
        ``race(epoch, entries)`` returns after each epoch the entries that leave.
    watch : class
        Of what looks at the objectives.
    """
    # What the entries of a fold share is worked out by the first of them.
    firsts = list({entry.fold: entry for entry in reversed(entries)}.values())
    told = any(entry.tasks is not None for entry in entries)
    # Callbacks hear of one fit after the other.
    (ALONE if told else threads).map(Entry.begin, firsts)
    alike = {}
    for entry in entries:
        if entry not in firsts:
            entry.begin()
        if entry.run is not None:
            alike.setdefault(meeting(entry.run), []).append(entry)
    groups, epoch = [Group(several, threads, watch) for several in alike.values()], 0
    while groups:
        epoch += 1
        groups = [rest for group in groups for rest in group.epoch()]
        for entry in race(epoch, entries) if race is not None else []:
            entry.leave()
