"""Batches: how many rows each update step reads, and in which order."""

import os
from functools import cache
from math import ceil
from numbers import Integral, Real

import numpy as np

from skgd._engine import shuffle as engine_shuffle
from skgd._utils.checks import shown

# Rows that a memory map is shuffled by: one block is read from the disk at a time.
SHUFFLED_BLOCK = 4096
# The share of the memory that a memory map may take and is still shuffled row by row. joblib's maps
# lie in memory next to the array that they are a copy of, so larger ones are not joblib's.
SHARE_OF_MEMORY = 0.5
# Where Linux tells how much memory a container may use.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# What the product of a share and a number of rows may be off by.
SHARE_ROUNDING = 1e-12


def batch_length(batch_size, n_samples, default):
    """Return the number of rows of a batch for the estimator's ``batch_size``.

    Parameters
    ----------
    batch_size : "auto", "full", int or float
        "full" is all rows, a float a share of the rows.
    n_samples : int
    default : int
        What "auto" stands for.
    """
    if isinstance(batch_size, str):
        if batch_size == "full":
            return n_samples
        if batch_size == "auto":
            return min(default, n_samples)
    elif isinstance(batch_size, bool):
        pass
    elif isinstance(batch_size, Integral):
        if batch_size >= 1:
            return min(int(batch_size), n_samples)
    elif isinstance(batch_size, Real):
        if 0 < batch_size <= 1:
            # Rounded up, so that a half is two batches; 0.1 * 30 is above 3 by rounding.
            return max(1, ceil(float(batch_size) * n_samples * (1.0 - SHARE_ROUNDING)))
    else:
        raise TypeError(f"batch_size={shown(batch_size)}: {_BATCH_SIZE}")
    raise ValueError(f"batch_size={shown(batch_size)}: {_BATCH_SIZE}")


_BATCH_SIZE = "pass 'auto', 'full', an integer >= 1, or a float up to 1.0, the share of the rows."


def batch_bounds(n_samples, length):
    """Return where each batch of an epoch begins and the last one ends; sizes differ by at most 1.

    >>> batch_bounds(10, 4)
    array([ 0,  3,  6, 10])
    """
    n_batches = ceil(n_samples / length)
    return np.arange(n_batches + 1, dtype=np.intp) * n_samples // n_batches


def epoch_order(n_samples, generator, *, shuffle, in_blocks):
    """Return the row numbers of one epoch in the order in which they are read.

    Parameters
    ----------
    n_samples : int
    generator : numpy.random.Generator
    shuffle : bool
    in_blocks : bool
        Whether rows lie where single reads are expensive, in a memory map that does not fit in
        memory: blocks of rows are shuffled and then the rows of each block.
    """
    order = np.arange(n_samples, dtype=np.intp)
    if not shuffle:
        return order
    if not in_blocks:
        _shuffle(order, generator)
        return order
    blocks = np.arange(ceil(n_samples / SHUFFLED_BLOCK), dtype=np.intp)
    _shuffle(blocks, generator)
    filled = 0
    for block in blocks:
        start = block * SHUFFLED_BLOCK
        rows = np.arange(start, min(start + SHUFFLED_BLOCK, n_samples), dtype=np.intp)
        _shuffle(rows, generator)
        order[filled:filled + len(rows)] = rows
        filled += len(rows)
    return order


def _shuffle(order, generator):
    engine_shuffle(order, generator.integers(2**63, dtype=np.int64))


def is_memory_map(X):
    """Tell whether the numbers of X lie in a file."""
    while X is not None:
        if isinstance(X, np.memmap):
            return True
        X = getattr(X, "base", None)
    return False


def exceeds_memory(X):
    """Tell whether the numbers of X lie in a file and can't be kept in memory.

    All other X have their rows in the same random order, whether mapped or not: joblib hands large
    arrays to its processes as memory maps.
    """
    return is_memory_map(X) and X.nbytes > SHARE_OF_MEMORY * memory_size()


@cache
def memory_size():
    """Return the bytes of memory that the machine, or the container, has; inf if unknown."""
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, OSError, ValueError):
        sizes = [np.inf]
    for path in LIMITS:
        try:
            with open(path) as file:
                sizes.append(int(file.read()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(sizes)
