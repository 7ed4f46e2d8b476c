"""Which candidates of a search cannot win any more.

All candidates are scored on the held-out rows after 1, 2, 4, 8 ... epochs, and their losses are
taken there. One leaves where the gain of its last doubling of the epochs, made again in each
doubling to come, would not bring its mean score up to that of the best by now, less the noise of
their difference over the folds and not less than a margin; and where the same holds for its loss
beside the least of the candidates with the same loss, because a score that moves by jumps may rest
while the loss still falls. One that has diverged on a fold leaves at once.
"""

import numpy as np

# Standard errors of a difference between two candidates that are noise.
NOISE = 2.0
# The share of the best score by which a candidate must be behind to leave: it may be luck.
MARGIN = 0.02


class Race:
    """The standings of a search; ``race(epoch, entries)`` returns the entries that leave.

    Parameters
    ----------
    scoring : Scoring
    metric : str or None
        The score that counts; with None nobody leaves but the diverged.
    """

    def __init__(self, scoring, metric):
        self.scoring, self.metric = scoring, metric
        self.before, self.final = {}, {}

    def __call__(self, epoch, entries):
        live = [entry for entry in entries if entry.run is not None]
        lost = {entry.candidate for entry in entries if entry.stop_reason == "diverged"}
        if live and self.metric is not None and epoch & (epoch - 1) == 0:
            lost |= self._losers(epoch, entries)
        return [entry for entry in live if entry.candidate in lost]

    def _losers(self, epoch, entries):
        """Return the candidates that cannot win any more."""
        measures, limits, kinds = {}, {}, {}
        for entry, pair in self._measures(entries).items():
            measures.setdefault(entry.candidate, []).append(pair)
            limits[entry.candidate] = np.log2(entry.estimator.max_iter / epoch)
            kinds[entry.candidate] = repr(entry.estimator.loss)
        measures = {c: np.array(rows).T for c, rows in measures.items()}
        before, self.before = self.before, measures
        if not before:
            return set()
        known = {c: scores for c, (scores, _) in measures.items() if not np.isnan(scores).any()}
        best = max(known.values(), key=np.mean, default=None)
        lost = set()
        for c, scores in known.items():
            gain = scores.mean() - before[c][0].mean()
            if not can_win(scores, best, gain, limits[c]):
                lost.add(c)
        for kind in {kinds[c] for c in lost}:
            losses = {c: -pair[1] for c, pair in measures.items() if kinds[c] == kind}
            least = max(losses.values(), key=lambda row: np.nan_to_num(row, nan=-np.inf).mean())
            for c in losses.keys() & lost:
                gain = losses[c].mean() - -before[c][1].mean()
                if can_win(losses[c], least, gain, limits[c]):
                    lost.discard(c)
        return lost

    def _measures(self, entries):
        """Return the score and the loss of each entry by now."""
        measures, by_fold = {}, {}
        for entry in entries:
            if entry in self.final:
                measures[entry] = self.final[entry]
            elif entry.model_by_now() is None:
                measures[entry] = np.nan, np.nan
            else:
                measures[entry] = None
                by_fold.setdefault(entry.fold.number, []).append(entry)
        for several in by_fold.values():
            fold, models = several[0].fold, [entry.model_by_now() for entry in several]
            scores = fold.scores(models, self.scoring, "test")
            if self.scoring.several:
                scores = [score[self.metric] for score in scores]
            for entry, *pair in zip(several, scores, fold.losses(models), strict=True):
                measures[entry] = pair
                if entry.run is None:
                    self.final[entry] = pair
        return measures


def can_win(scores, best, gain, doublings):
    """Return whether a candidate may still come to the score of the best.

    Parameters
    ----------
    scores, best : array of shape (n_splits,)
        By now; more is better.
    gain : float
        Of the candidate's mean score, in the last doubling of the epochs.
    doublings : float
        Of the epochs, to come.
    """
    behind = best - scores
    noise = NOISE * behind.std(ddof=1) / np.sqrt(len(behind)) if len(behind) > 1 else 0.0
    hope = max(gain, 0.0) * max(doublings, 0.0)
    return behind.mean() <= max(hope + noise, MARGIN * abs(best.mean()))
