"""The rows of a fit: checked once, never copied."""

from dataclasses import dataclass, field, replace

import numpy as np

from skgd._engine import rows_of
from skgd._fit.targets import class_codes
from skgd._problem import Problem
from skgd._utils.checkpoint import hash_array, hash_rows


@dataclass
class Sample:
    """Checked rows.

    Attributes
    ----------
    X : array or CSR matrix of shape (n_samples, n_features)
    y : array
        As the user passed it.
    targets : float64 array
        As the loss wants them.
    weights : float64 array of shape (n_samples,) or None
    n_outputs : int
    rows : intp array or None
        The numbers of the rows that count, in rising order; None for all.
    known : dict
        What was computed already, for all runs over the sample.
    """

    X: object
    y: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    n_outputs: int
    rows: np.ndarray | None = None
    known: dict = field(default_factory=dict, repr=False)

    def once(self, key, make):
        """Return what `make` returns, made for the first run that asks."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def engine_rows(self):
        """Return the engine's `Rows` of X."""
        return self.once("rows", lambda: rows_of(self.X))

    def weighted(self, weights):
        """Return a sample of the same rows with other weights; nothing is copied."""
        return replace(self, weights=weights, known={"rows": self.engine_rows()})

    @property
    def dtype(self):
        return self.X.dtype

    @property
    def n_features(self):
        return self.X.shape[1]

    @property
    def n_rows(self):
        return self.X.shape[0] if self.rows is None else len(self.rows)

    def with_targets(self, targets, n_outputs):
        """Return a sample of the same rows with other targets; nothing is copied.

        With the same targets, what has been computed from them is kept.
        """
        if n_outputs == self.n_outputs and np.array_equal(targets, self.targets):
            return self
        known = {"rows": self.engine_rows()}
        return replace(self, targets=targets, n_outputs=n_outputs, known=known)

    def only(self, rows):
        """Return a sample of some rows; nothing is copied."""
        return replace(self, rows=rows, known={"rows": self.engine_rows()})

    def taken(self, array):
        """Return the rows that count of an array that has all."""
        return array if self.rows is None or array is None else array[self.rows]

    def masked_weights(self):
        """Return the weights with zeros for the rows that do not count."""
        if self.rows is None:
            return self.weights
        weights = np.zeros(self.X.shape[0])
        weights[self.rows] = 1.0 if self.weights is None else self.weights[self.rows]
        return weights

    def hashes(self, labels):
        """Return hashes of the rows and of what belongs to them, by name, for a checkpoint.

        Parameters
        ----------
        labels : list
            Those that the targets stand for.
        """
        return {
            "X": hash_rows(self.X),
            "y": hash_array(self.targets, repr(labels).encode()),
            "sample_weight": hash_array(self.weights),
            "rows to train on": hash_array(self.rows),
        }

    def class_weights(self, n_classes):
        """Return the sum of the weights of each class."""
        weights = self.once("weights", self.masked_weights)
        return np.bincount(class_codes(self.targets), weights=weights, minlength=n_classes)

    def make_problem(self, loss, class_factors, weighting, *, masked, n_threads):
        """Return the problem of the rows with a loss.

        Parameters
        ----------
        loss : Loss
        class_factors : array of shape (n_classes,) or None
            What the weights of each class are multiplied with.
        weighting : str
            What names the class factors.
        masked : bool
            Whether rows that do not count have the weight 0.
        n_threads : int
        """
        weights = self.once("weights", self.masked_weights) if masked else self.weights
        if class_factors is not None:
            weights = self.once(("weights", weighting), lambda: self._times(weights, class_factors))
        return Problem(
            self.X, self.targets, weights, loss, self.n_outputs, n_threads=n_threads,
            rows=self.engine_rows(),
        )  # fmt: skip

    def _times(self, weights, class_factors):
        factors = class_factors[class_codes(self.targets)]
        return factors if weights is None else weights * factors
