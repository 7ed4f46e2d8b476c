"""What is not in memory: Dask collections, Arrow tables and data sets on disk.

None of their packages is imported. To gather a collection is to copy all of it into the memory of
one process; nothing does so silently with more than 64 MiB.
"""

import numpy as np

# Bytes that may be gathered without being asked for.
GATHERED = 2**26


def is_dask(value):
    """Tell whether a value is a collection of Dask."""
    return hasattr(type(value), "__dask_graph__")


def gathered(value, name):
    """Return a value in memory; what is large elsewhere is refused.

    Raises
    ------
    TypeError
        If the value is larger than 64 MiB and not in memory; the message says what to pass.
    """
    if is_dask(value):
        size = _size(value)
        if size > GATHERED:
            raise TypeError(
                f"{name} is a Dask collection of {size / 2**20:.0f} MiB, which this does not take "
                "in blocks: pass it to fit or to a prediction of GDClassifier or GDRegressor, "
                f"spool it to a memory map with skgd.data.spool, or pass {name}.compute()."
            )
        return value.compute()
    package, kind = type(value).__module__.partition(".")[0], type(value).__name__
    if package == "pyarrow" and getattr(value, "nbytes", np.inf) > GATHERED:
        raise TypeError(
            f"{name} is an Arrow {kind}, which would be copied as a whole: spool it to a memory "
            "map with skgd.data.spool, or pass an array."
        )
    if package == "polars" and kind == "LazyFrame":
        raise TypeError(
            f"{name} is a LazyFrame: spool it to a memory map with skgd.data.spool, or pass "
            f"{name}.collect()."
        )
    return value


def _size(collection):
    """Return the bytes of a Dask collection; its partitions are computed where it is unknown."""
    size = getattr(collection, "nbytes", np.nan)
    if hasattr(collection, "chunks") and not np.isnan(size):
        return size
    import dask

    parts = [dask.delayed(_size_of)(part) for part in np.ravel(collection.to_delayed())]
    return sum(dask.compute(*parts))


def _size_of(part):
    if hasattr(part, "memory_usage"):
        return int(np.sum(part.memory_usage(index=False, deep=True)))
    if hasattr(part, "indptr"):
        return part.data.nbytes + part.indices.nbytes + part.indptr.nbytes
    return part.nbytes
