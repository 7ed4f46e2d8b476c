"""Candidates of a search on the folds of a cross-validation, trained in as few passes as may be."""

import time
from traceback import format_exc

from skgd._descent.solution import Stop
from skgd._estimators.validation import make_validation
from skgd._fit.accuracy import Accuracy
from skgd._fit.diagnosis import Diagnosis
from skgd._fit.run import Run, raw_model
from skgd._fit.settings import Settings
from skgd._fit.state import FitState
from skgd._fit.tasks import FitTasks
from skgd._search.joint_run import JointRun, shared_pass_key
from skgd._search.monitor import ObjectiveMonitor
from skgd._search.scoring import shallow_copy
from skgd._utils.threads import ALONE


class Trial:
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
    known : dict
        What the trials of a candidate have in common, made by the first of them.

    Attributes
    ----------
    tasks : TrialTasks or None
        Tells the callbacks of the search.
    """

    tasks = None

    def __init__(self, candidate, estimator, fold, strict, known):
        self.candidate, self.fold, self.strict, self.known = candidate, fold, strict, known
        self.estimator = fold.informed(estimator)
        self.run = self.end = self.model = self.error = self.score = None
        self.seconds = self.score_time = 0.0

    def begin(self):
        """Make the run; one that no pass can take up continues alone, to its end."""
        estimator, fold, started = self.estimator, self.fold, time.perf_counter()
        try:
            settings = self._settings()
            targets = fold.targets.with_settings(settings)
            sample, held_out = fold.sample, None
            if settings.early_stopping:
                sample, held_out = fold.stopping_early(settings)
            if self.tasks is not None:
                tasks = self.tasks.begin(sample)
            else:
                tasks = FitTasks(estimator, sample) if settings.verbose else None
            self.run = Run(
                settings, targets, sample, FitState.empty(sample.X.shape[1], targets.n_outputs),
                tasks=tasks,
                validation=make_validation(estimator, targets, held_out, sample.X.dtype),
            )  # fmt: skip
            if self.run.plan.shares_passes:
                self.run.begin()
            else:
                self.end = self.run.descend()
                self.finish()
        except Exception:
            self.fail()
        self.seconds += time.perf_counter() - started

    def _settings(self):
        """Return the checked parameters, the same on all folds."""
        if "settings" not in self.known:
            self.known["settings"] = Settings.of(self.estimator)
        return self.known["settings"]

    def come_to(self, end):
        """Hear of the coefficients and intercepts after an epoch."""
        self.end, self.score = end, None
        if self.run.history.stop is not None:
            self.finish()

    def model_by_now(self, whole):
        """Return an estimator with the coefficients of the last epoch, or those kept.

        None before the first epoch, to which an error in the pass may have sent the trial back.
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
        self.run.history.halt(Stop.RACE)
        self._keep(*self.end)

    def finish(self):
        """Stop with what a fit would keep."""
        coef, intercept, _ = self.run.kept(*self.end)
        if coef is not self.end[0]:
            self.score = None
        self._keep(coef, intercept)

    def _keep(self, coef, intercept):
        """Keep nothing of the run but the model."""
        run = self.run
        try:
            if run.history.stop != Stop.RACE:
                Accuracy(run).check_moved()
            self.model = self._model(run.attributes, coef, intercept)
            if run.settings.on_divergence == "raise":  # otherwise stop_reason tells
                model = raw_model(vars(self.model), *coef.shape)
                Diagnosis(run, *model, getattr(self.model, "feature_names_in_", None)).warnings()
            if self.tasks is not None:
                self.tasks.end(self.model)
        except Exception:
            self.fail()
        self.run = self.end = None

    def fail(self):
        """Keep only the error that is being handled."""
        if self.strict:
            raise
        self.run = self.end = self.model = self.score = None
        self.error = format_exc()

    @property
    def stop_reason(self):
        """Why the trial is over; None where it is not."""
        if self.run is not None:
            return None
        return "failed" if self.model is None else self.model.stop_reason_


class Group:
    """Entries whose runs share a pass."""

    def __init__(self, trials, threads, monitor=ObjectiveMonitor):
        self.trials = trials
        self.joint = JointRun([trial.run for trial in trials], threads, monitor)

    def epoch(self):
        """Take an epoch; return the groups that continue."""
        live = [trial for trial in self.trials if trial.run is not None]
        if len(live) < len(self.trials):
            self.trials = live
            self.joint.keep([trial.run for trial in live])
        if not live:
            return []
        started = time.perf_counter()
        try:
            ends = self.joint.epoch()
        except Exception:
            return self._fall_apart()
        for trial in live:
            trial.seconds += (time.perf_counter() - started) / len(live)
            trial.come_to(ends[trial.run])
        return [self]

    def _fall_apart(self):
        """Find out whose error it is: each trial starts again, alone."""
        if len(self.trials) == 1:
            self.trials[0].fail()
            return []
        for trial in self.trials:
            trial.begin()
        return [Group([trial], ALONE) for trial in self.trials if trial.run is not None]


def train(trials, threads, race=None, monitor=ObjectiveMonitor):
    """Train candidates on folds; each trial ends with a model or an error.

    Parameters
    ----------
    trials : list of Trial
    threads : Threads
    race : callable or None
        ``race(epoch, trials)`` returns after each epoch the trials that leave.
    monitor : class
        Of what evaluates the objectives.
    """
    # What the trials of a fold share is computed by the first of them.
    firsts = list({trial.fold: trial for trial in reversed(trials)}.values())
    told = any(trial.tasks is not None for trial in trials)
    # Callbacks hear of one fit after the other.
    (ALONE if told else threads).map(Trial.begin, firsts)
    by_key = {}
    for trial in trials:
        if trial not in firsts:
            trial.begin()
        if trial.run is not None:
            by_key.setdefault(shared_pass_key(trial.run), []).append(trial)
    groups, epoch = [Group(several, threads, monitor) for several in by_key.values()], 0
    while groups:
        epoch += 1
        groups = [rest for group in groups for rest in group.epoch()]
        for trial in race(epoch, trials) if race is not None else []:
            trial.leave()
