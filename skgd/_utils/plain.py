"""Plain values: arrays, numbers and strings, and lists and dicts of them."""

import numpy as np

# Kinds of arrays that a file can hold without a pickle.
PLAIN_KINDS = "biufcSU"


def is_plain(value):
    """Return whether a value is made of arrays, numbers and strings only."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in PLAIN_KINDS
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def copied(value):
    """Return a value whose arrays are copies, which a run may write to."""
    if isinstance(value, np.ndarray):
        return np.array(value)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(copied, value))
    return value
