"""The rows of a fit that lie in blocks elsewhere.

Partitions are checked where they lie, and describe themselves: `PartFacts`. From these come the
classes, so that targets are encoded in the same way everywhere, and the weights of the classes.
"""

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from skgd._fit.targets import class_codes
from skgd._problem.block import Block
from skgd._problem.block_problem import BlockProblem
from skgd._utils.checkpoint import hash_array, hash_rows


class Part(NamedTuple):
    """Checked rows of a partition, targets as the user passed them, and weights or None."""

    X: object
    y: np.ndarray
    weights: np.ndarray | None


class PartFacts(NamedTuple):
    """What a partition says about itself.

    Attributes
    ----------
    n : int
    weight : float
    labels : array
        The different labels of a classification.
    label_weights : array
        The weight of each.
    example : array
        The row of targets with the largest one.
    """

    n: int
    weight: float
    labels: np.ndarray
    label_weights: np.ndarray
    example: np.ndarray


def part_facts(part, *, is_classification):
    """Return the `PartFacts` of a part."""
    n, y = len(part.y), part.y
    weight = float(n if part.weights is None else part.weights.sum())
    if is_classification:
        labels, codes = np.unique(y, return_inverse=True)
        return PartFacts(
            n, weight, labels, np.bincount(codes, part.weights, len(labels)), y[:1]
        )
    example = y[:1]
    if n and y.dtype.kind in "biuf":
        largest = np.abs(y.reshape(n, -1)).max(axis=1).argmax()
        example = y[largest:largest + 1]
    return PartFacts(n, weight, np.empty(0), np.empty(0), example)


def labels_of(facts):
    """Return the labels of all parts, each once or more often."""
    return np.concatenate([fact.labels for fact in facts])


@dataclass
class BlockSample:
    """Rows in blocks; see `Sample`.

    Attributes
    ----------
    X, y, weights : object
        The collections, as the user passed them.
    parts : DaskBlocks or None
        Each a `Part` with rows; None once the problem has been made, which there is one of.
    facts : list of PartFacts
    targets : Targets
    dtype : numpy dtype
    n_features : int
    known : dict
        What was computed already, for all runs over the sample.
    """

    X: object
    y: object
    weights: object
    parts: object
    facts: list
    targets: object
    dtype: np.dtype
    n_features: int
    known: dict = field(default_factory=dict, repr=False)
    rows = None

    @property
    def n_outputs(self):
        return self.targets.n_outputs

    @property
    def n_rows(self):
        return sum(fact.n for fact in self.facts)

    def once(self, key, make):
        """Return what `make` returns, made for the first run that asks."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def taken(self, array):
        """Return the rows that count, which are all."""
        return array

    def class_weights(self, n_classes):
        """Return the sum of the weights of each class."""
        codes = np.searchsorted(self.targets.classes, labels_of(self.facts))
        weights = np.concatenate([fact.label_weights for fact in self.facts])
        return np.bincount(codes, weights, n_classes)

    def make_problem(self, loss, class_factors, weighting, *, masked, n_threads):
        """Return the problem of the rows with a loss; see `Sample.make_problem`."""
        blocks = self.parts.map(_make_block, self.targets, class_factors)
        problem = BlockProblem(blocks, loss, self.n_outputs, self.n_features)
        # The blocks have all of them: workers need not count the memory twice.
        self.parts = None
        return problem

    def hashes(self, labels):
        """Return hashes of the rows; see `Sample.hashes`."""
        digest = hashlib.sha256(repr(labels).encode())
        for part in self.parts.ask(_hashes):
            digest.update(part.encode())
        return {"X": digest.hexdigest(), "y": "", "sample_weight": "", "rows to train on": ""}


def _make_block(part, targets, class_factors):
    encoded, weights = targets.encode(part.y), part.weights
    if class_factors is not None:
        factors = class_factors[class_codes(encoded)]
        weights = factors if weights is None else weights * factors
    return Block(part.X, encoded, weights, targets.n_outputs)


def _hashes(part):
    y = part.y.astype(str) if part.y.dtype == object else part.y
    return hash_rows(part.X) + hash_array(y) + hash_array(part.weights)


