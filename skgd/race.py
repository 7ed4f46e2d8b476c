"""Which candidates of a search cannot win any more.

All candidates are scored on the held-out rows after 1, 2, 4, 8 ... epochs, and their losses are
taken there. One leaves where the gain of its last doubling of the epochs, made again in each
doubling to come, would not bring its mean score up to that of the best by now, less the noise of
their difference over the folds and not less than a margin; and where the same holds for its loss
beside the least of the candidates with the same loss, because a score that moves by jumps may rest
while the loss still falls. Of many candidates those stay who lead by the score that is to be hoped
for, or by the loss: as large a share as that of the doublings that are to come, and a few at least
(a slow form of successive halving, Jamieson and Talwalkar, AISTATS 2016). One that has diverged on
a fold leaves at once.
"""

from math import ceil

import numpy as np

# Standard errors of a difference between two candidates that are noise.
NOISE = 2.0
# The share of the best score by which a candidate must be behind to leave: it may be luck.
MARGIN = 0.02
# The leaders who stay whatever their share.
FEWEST = 16


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
            with np.errstate(invalid="ignore"):  # losses may be infinite
                lost |= self._losers(epoch, entries)
        return [entry for entry in live if entry.candidate in lost]

    def _losers(self, epoch, entries):
        """Return the candidates that cannot win any more."""
        measures, limits, kinds = {}, {}, {}
        for entry, pair in self._measures(entries).items():
            measures.setdefault(entry.candidate, []).append(pair)
            limits[entry.candidate] = np.log2(entry.estimator.max_iter / epoch)
            kinds[entry.candidate] = repr(entry.estimator.loss)
        # More is better: of the loss, what it falls short of zero.
        signs = np.array([[1.0], [-1.0]])
        measures = {c: signs * np.array(rows).T for c, rows in measures.items()}
        before, self.before = self.before, measures
        if not before:
            return set()
        gains = {c: (rows - before[c]).mean(axis=1) for c, rows in measures.items()}
        known = {c: rows[0] for c, rows in measures.items() if not np.isnan(rows[0]).any()}
        best = max(known.values(), key=np.mean, default=None)
        lost = {c for c, row in known.items() if not can_win(row, best, gains[c][0], limits[c])}
        horizon = max(entry.estimator.max_iter for entry in entries)
        share = np.log2(horizon / epoch) / np.log2(horizon)
        stay = leaders({c: hoped(known[c], gains[c][0], limits[c]) for c in known}, share)
        for kind in set(kinds.values()):
            losses = {c: rows[1] for c, rows in measures.items() if kinds[c] == kind}
            least = max(losses.values(), key=lambda row: np.nan_to_num(row, nan=-np.inf).mean())
            lost -= {c for c in losses if can_win(losses[c], least, gains[c][1], limits[c])}
            stay |= leaders({c: hoped(losses[c], gains[c][1], limits[c]) for c in losses}, share)
        return lost | (known.keys() - stay)

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
            models = [entry.model_by_now() for entry in several]
            standings = several[0].fold.standings(models, self.scoring)
            for entry, (score, loss) in zip(several, standings, strict=True):
                measures[entry] = score[self.metric] if self.scoring.several else score, loss
                if entry.run is None:
                    self.final[entry] = measures[entry]
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
    hope = hoped(scores, gain, doublings) - scores.mean()
    return behind.mean() <= max(hope + noise, MARGIN * abs(best.mean()))


def hoped(scores, gain, doublings):
    """Return the mean score if each doubling to come brings what the last one did."""
    return scores.mean() + max(gain, 0.0) * max(doublings, 0.0)


def leaders(standings, share):
    """Return the candidates with the best standings: a share of them, or a few."""
    order = sorted(standings, key=lambda c: np.nan_to_num(standings[c], nan=-np.inf), reverse=True)
    return set(order[:max(FEWEST, ceil(share * len(order)))])
