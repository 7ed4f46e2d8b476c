"""Weighted means and variances of columns, accumulated over chunks of rows and over calls."""

from dataclasses import dataclass

import numpy as np

from skgd._engine import in_chunks

# A column whose standard deviation is this share of its mean has no more than rounding in it.
ROUNDING = 1e-13
TINY = np.finfo(float).tiny


@dataclass
class Moments:
    """Running weighted means and sums of squared deviations of the columns of X."""

    weight: float
    mean: np.ndarray
    deviation: np.ndarray
    # The variances, once they have been asked for.
    known = None

    @classmethod
    def empty(cls, n_features):
        return cls(0.0, np.zeros(n_features), np.zeros(n_features))

    @classmethod
    def of(cls, rows, weights, n_threads=1):
        """Return the moments of rows of X, the same to the bit for any number of threads."""
        def of_chunk(start, stop):
            chunk = cls.empty(rows.d)
            chunk.weight = rows.moments(weights, start, stop, chunk.mean, chunk.deviation)
            return chunk

        moments = cls.empty(rows.d)
        for chunk in in_chunks(rows, rows.n, of_chunk, n_threads, by_column=True):
            moments.combine(chunk)
        return moments

    @np.errstate(over="ignore", invalid="ignore")
    def combine(self, other):
        """Take in rows whose moments are known."""
        self.known = None
        if not self.weight:
            self.weight = other.weight
            self.mean, self.deviation = other.mean.copy(), other.deviation.copy()
        elif other.weight:
            total = self.weight + other.weight
            change = other.mean - self.mean
            self.deviation += other.deviation + change**2 * (self.weight * other.weight / total)
            self.mean += change * (other.weight / total)
            self.weight = total

    def constant(self, *, fit_intercept):
        """Tell which columns an intercept fits, or else which are empty."""
        return self.variance(about_mean=fit_intercept) == 0

    def variance(self, *, about_mean):
        """Return the variance of the columns, or their mean square, without what is rounding."""
        if self.known is None:
            with np.errstate(over="ignore"):
                self.known = self.deviation / max(self.weight, TINY)
                self.known[np.sqrt(self.known) <= ROUNDING * np.abs(self.mean)] = 0.0
        if about_mean:
            return self.known.copy()
        with np.errstate(over="ignore"):
            return self.known + self.mean**2
