"""How labels become numbers and weights."""

import numpy as np


def class_codes(targets):
    """Return the number of each row's class: targets are signs for two classes."""
    return (targets[:, 0] > 0 if targets.ndim == 2 else targets).astype(np.intp)


def class_sums(targets, weights, k):
    """Return the weight of each class, or of the positive class for two."""
    if targets.ndim == 1:
        return np.bincount(targets.astype(np.intp), weights=weights, minlength=k)
    return 0.5 * (weights.sum() + np.einsum("i,ij->j", weights, targets))
