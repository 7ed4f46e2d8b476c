"""Which candidates of a search cannot win any more.

All candidates are scored on the held-out rows after 1, 2, 4, 8 ... epochs, and their losses are
taken there. One leaves where the gain of its last doubling of the epochs, made again in each
doubling to come, would not bring its mean score up to that of the best by now, less the noise of
their difference over the folds and not less than a margin; and where the same holds for its loss
beside the least of the candidates with the same loss, because a score that moves by jumps may rest
while the loss still falls. Of many candidates half stay after the first epoch, and half of those
after each doubling, but a few at least (successive halving, Jamieson and Talwalkar, AISTATS 2016):
they who lead by the score that is to be hoped for, or by the loss. Besides, all stay who are so
near to the best that the folds cannot tell them apart. One that has diverged on a fold leaves at
once.
"""

import time
from math import ceil

import numpy as np

from skgd._utils.threads import ALONE

# Standard errors of a difference between two candidates that are noise.
NOISE = 2.0
# The share of the best score by which a candidate must be behind to leave: it may be luck.
MARGIN = 0.02
# The share that leads after the first epoch, and the leaders who stay whatever their share.
LEADING, FEWEST = 0.5, 16
# Standard errors within which the folds do not tell a candidate from the best.
NEAR = 3.0


class Halving:
    """The standings of a search; ``race(epoch, entries)`` returns the entries that leave.

    Parameters
    ----------
    scoring : Scoring
    metric : str or None
        The score that counts; with None nobody leaves but the diverged.
    threads : Threads
        Those that share the folds.
    """

    def __init__(self, scoring, metric, threads=ALONE):
        self.scoring, self.metric, self.threads = scoring, metric, threads
        self.before, self.final = {}, {}

    def __call__(self, epoch, entries):
        live = [entry for entry in entries if entry.run is not None]
        lost = {entry.candidate for entry in entries if entry.stop_reason == "diverged"}
        if live and self.metric is not None and epoch & (epoch - 1) == 0:
            with np.errstate(invalid="ignore"):  # losses may be infinite
                lost |= self._losers(epoch, entries)
        return [entry for entry in live if entry.candidate in lost and entry.end is not None]

    def _losers(self, epoch, entries):
        """Return the candidates that cannot win any more."""
        by_now, measures, limits, kinds = self._measures(entries), {}, {}, {}
        for entry, pair in by_now.items():
            measures.setdefault(entry.candidate, []).append(pair)
            limits[entry.candidate] = np.log2(entry.estimator.max_iter / epoch)
            kinds[entry.candidate] = repr(entry.estimator.loss)
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
        self.final |= {entry: pair for entry, pair in by_now.items() if entry.candidate in lost}
        return lost

    def _measures(self, entries):
        """Return the score and the loss of each entry by now."""
        measures, by_fold, answers_do = {}, {}, self.scoring.needs_answers_alone
        for entry in entries:
            if entry in self.final:
                measures[entry] = self.final[entry]
            else:
                measures[entry], model = (np.nan, np.nan), entry.model_by_now(not answers_do)
                if model is not None:
                    by_fold.setdefault(entry.fold, {})[entry] = model
        threads = self.threads if answers_do else ALONE
        jobs = [
            (fold, share) for fold, models in by_fold.items()
            for share in threads.share(list(models.items()))
        ]  # fmt: skip
        for standings in threads.map(self._standings, jobs):
            for entry, score, loss in standings:
                entry.score = score
                measures[entry] = score[self.metric] if self.scoring.several else score, loss
                if entry.run is None:
                    self.final[entry] = measures[entry]
        return measures

    def _standings(self, job):
        fold, pairs = job
        entries, models = zip(*pairs, strict=True)
        started = time.perf_counter()
        with np.errstate(invalid="ignore"):  # each thread has its own
            standings = fold.standings(models, self.scoring)
        for entry in entries:
            entry.score_time += (time.perf_counter() - started) / len(entries)
        return [(entry, *pair) for entry, pair in zip(entries, standings, strict=True)]


def can_win(scores, best, gain, doublings):
    """Return whether a candidate, or each of several, may still come to the score of the best.

    Parameters
    ----------
    scores : array of shape (n_splits,) or (n_candidates, n_splits)
        By now; more is better.
    best : array of shape (n_splits,)
    gain : float or array of shape (n_candidates,)
        Of the mean score, in the last doubling of the epochs.
    doublings : float or array of shape (n_candidates,)
        Of the epochs, to come.
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
    """Return the mean score if each doubling to come brings what the last one did."""
    return scores.mean(axis=-1) + np.maximum(gain, 0.0) * np.maximum(doublings, 0.0)


def leaders(standings, share):
    """Return the candidates with the best standings: a share of them, or a few."""
    order = sorted(standings, key=lambda c: _or_least(standings[c]), reverse=True)
    return set(order[:max(FEWEST, ceil(share * len(order)))])


def _or_least(number):
    """Return a number, or what comes after all others for NaN."""
    return -np.inf if np.isnan(number) else number


def _by_value(values):
    """Return the sets of keys that have the same value."""
    groups = {}
    for key, value in values.items():
        groups.setdefault(value, set()).add(key)
    return list(groups.values())
