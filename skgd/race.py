"""Which candidates of a search cannot win any more.

All candidates are scored on the held-out rows after 1, 2, 4, 8 ... epochs. One leaves where the
gain of its last doubling of the epochs, made again in each doubling to come, would not bring its
mean score up to that of the best by now, less the noise of their difference over the folds and not
less than a margin. One that has diverged on a fold leaves at once.
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
        self._score(entries)
        scores, limits = {}, {}
        for entry in entries:
            scores.setdefault(entry.candidate, []).append(self.scores[entry])
            limits[entry.candidate] = entry.estimator.max_iter
        before, self.before = self.before, {c: np.mean(row) for c, row in scores.items()}
        scores = {c: np.array(row) for c, row in scores.items() if not np.isnan(row).any()}
        if not before or not scores:
            return set()
        best = max(scores.values(), key=np.mean)
        return {
            c for c, row in scores.items()
            if not can_win(row, best, row.mean() - before[c], np.log2(limits[c] / epoch))
        }  # fmt: skip

    def _score(self, entries):
        """Score what has moved since the last time."""
        self.scores = {}
        by_fold = {}
        for entry in entries:
            if entry in self.final:
                self.scores[entry] = self.final[entry]
            elif entry.model_by_now() is None:
                self.scores[entry] = np.nan
            else:
                by_fold.setdefault(entry.fold.number, []).append(entry)
        for several in by_fold.values():
            models = [entry.model_by_now() for entry in several]
            scores = several[0].fold.scores(models, self.scoring, "test")
            for entry, score in zip(several, scores, strict=True):
                self.scores[entry] = score[self.metric] if self.scoring.several else score
                if entry.run is None:
                    self.final[entry] = self.scores[entry]


def can_win(scores, best, gain, doublings):
    """Return whether a candidate may still come to the score of the best.

    Parameters
    ----------
    scores, best : array of shape (n_splits,)
        By now.
    gain : float
        Of the candidate's mean score, in the last doubling of the epochs.
    doublings : float
        Of the epochs, to come.
    """
    behind = best - scores
    noise = NOISE * behind.std(ddof=1) / np.sqrt(len(behind)) if len(behind) > 1 else 0.0
    hope = max(gain, 0.0) * max(doublings, 0.0)
    return behind.mean() <= max(hope + noise, MARGIN * abs(best.mean()))
