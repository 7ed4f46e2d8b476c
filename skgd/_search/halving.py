"""Decide which candidates of a search can no longer win.

After 1, 2, 4, 8 ... epochs every candidate is scored on the held-out rows, and its loss there is
taken. The last doubling of the epochs gained something: a candidate leaves if the same gain in each
doubling to come would not bring its mean score up to today's best, allowing for the noise of their
difference over the folds and for a small margin. Its loss must be as hopeless, compared with the
smallest among candidates with the same loss, because a score that moves in jumps may stand still
while the loss still falls. Among many candidates, half stay after the first epoch and half of
those after each doubling, but never fewer than a few (successive halving, Jamieson and Talwalkar,
AISTATS 2016): those with the highest extrapolated score or the lowest extrapolated loss, and all
whom the folds cannot tell from the best. A candidate that has diverged on a fold leaves at once.
"""

import time
from math import ceil

import numpy as np

from skgd._utils.threads import ALONE

# A difference of this many standard errors is noise.
NOISE = 2.0
# A candidate this close to the best score, as a share of it, may only be unlucky.
MARGIN = 0.02
# The share that stays after the first epoch, and how many stay at least.
LEADING, FEWEST = 0.5, 16
# Standard errors within which the folds do not tell a candidate from the best.
NEAR = 3.0


class Halving:
    """Rank the trials of a search; ``race(epoch, trials)`` returns those that leave.

    Parameters
    ----------
    scoring : Scoring
    metric : str or None
        The score that counts; with None only diverged trials leave.
    threads : Threads
        Score the folds in parallel.
    """

    def __init__(self, scoring, metric, threads=ALONE):
        self.scoring, self.metric, self.threads = scoring, metric, threads
        self.before, self.final = {}, {}

    def __call__(self, epoch, trials):
        live = [trial for trial in trials if trial.run is not None]
        lost = {trial.candidate for trial in trials if trial.stop_reason == "diverged"}
        if live and self.metric is not None and epoch & (epoch - 1) == 0:
            with np.errstate(invalid="ignore"):  # losses may be infinite
                lost |= self._losers(epoch, trials)
        return [trial for trial in live if trial.candidate in lost and trial.end is not None]

    def _losers(self, epoch, trials):
        """Return the candidates that can no longer win."""
        by_now, measures, limits, kinds = self._measures(trials), {}, {}, {}
        for trial, pair in by_now.items():
            measures.setdefault(trial.candidate, []).append(pair)
            limits[trial.candidate] = np.log2(trial.estimator.max_iter / epoch)
            kinds[trial.candidate] = repr(trial.estimator.loss)
        # More is better: of the loss, what it falls short of zero.
        signs = np.array([[1.0], [-1.0]])
        measures = {c: signs * np.array(rows).T for c, rows in measures.items()}
        before, self.before = self.before, measures
        known = {c for c, rows in measures.items() if not np.isnan(rows[0]).any()}
        able, leading = set() if before else set(known), set()
        for i, group in [(0, known), *((1, alike) for alike in _by_value(kinds))]:
            if not group:
                continue
            group = np.array(sorted(group))
            rows = np.array([measures[c][i] for c in group])
            gains = np.zeros(len(group))
            best = max(rows, key=lambda row: _or_least(row.mean()))
            doublings = np.array([limits[c] for c in group])
            if before:
                gains = (rows - np.array([before[c][i] for c in group])).mean(axis=1)
                able.update(group[can_win(rows, best, gains, doublings)].tolist())
            hopes = hoped(rows, gains, doublings).tolist()
            leading |= leaders(dict(zip(group.tolist(), hopes, strict=True)), LEADING / epoch)
            leading.update(group[is_near(rows, best)].tolist())
        lost = known - (able & leading)
        self.final |= {trial: pair for trial, pair in by_now.items() if trial.candidate in lost}
        return lost

    def _measures(self, trials):
        """Return the current score and loss of each trial."""
        measures, by_fold, answers_do = {}, {}, self.scoring.needs_answers_alone
        for trial in trials:
            if trial in self.final:
                measures[trial] = self.final[trial]
            else:
                measures[trial], model = (np.nan, np.nan), trial.model_by_now(not answers_do)
                if model is not None:
                    by_fold.setdefault(trial.fold, {})[trial] = model
        threads = self.threads if answers_do else ALONE
        jobs = [
            (fold, share) for fold, models in by_fold.items()
            for share in threads.share(list(models.items()))
        ]  # fmt: skip
        for standings in threads.map(self._standings, jobs):
            for trial, score, loss in standings:
                trial.score = score
                measures[trial] = score[self.metric] if self.scoring.several else score, loss
                if trial.run is None:
                    self.final[trial] = measures[trial]
        return measures

    def _standings(self, job):
        fold, pairs = job
        trials, models = zip(*pairs, strict=True)
        started = time.perf_counter()
        with np.errstate(invalid="ignore"):  # each thread has its own
            standings = fold.standings(models, self.scoring)
        for trial in trials:
            trial.score_time += (time.perf_counter() - started) / len(trials)
        return [(trial, *pair) for trial, pair in zip(trials, standings, strict=True)]


def can_win(scores, best, gain, doublings):
    """Return whether a candidate, or each of several, may still reach the best score.

    Parameters
    ----------
    scores : array of shape (n_splits,) or (n_candidates, n_splits)
        Current scores; more is better.
    best : array of shape (n_splits,)
    gain : float or array of shape (n_candidates,)
        What the last doubling of the epochs added to the mean score.
    doublings : float or array of shape (n_candidates,)
        How often the epochs can still double.
    """
    hope = hoped(scores, gain, doublings) - scores.mean(axis=-1) + NOISE * noise(best - scores)
    return (best - scores).mean(axis=-1) <= np.maximum(hope, MARGIN * abs(best.mean()))


def is_near(scores, best):
    """Return whether a candidate is behind the best by no more than the noise."""
    return (best - scores).mean(axis=-1) <= NEAR * noise(best - scores)


def noise(differences):
    """Return the standard error of a mean over the folds; 0 for one fold."""
    n = differences.shape[-1]
    return differences.std(axis=-1, ddof=1) / np.sqrt(n) if n > 1 else 0.0


def hoped(scores, gain, doublings):
    """Return the mean score if each doubling to come gains what the last one did."""
    return scores.mean(axis=-1) + np.maximum(gain, 0.0) * np.maximum(doublings, 0.0)


def leaders(standings, share):
    """Return the best candidates: a share of them, but at least `FEWEST`."""
    order = sorted(standings, key=lambda c: _or_least(standings[c]), reverse=True)
    return set(order[:max(FEWEST, ceil(share * len(order)))])


def _or_least(number):
    """Return a number, or minus infinity for NaN."""
    return -np.inf if np.isnan(number) else number


def _by_value(values):
    """Return the sets of keys that have the same value."""
    groups = {}
    for key, value in values.items():
        groups.setdefault(value, set()).add(key)
    return list(groups.values())
