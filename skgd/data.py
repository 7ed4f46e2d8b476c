"""Data that doesn't fit in memory: from files and streams to memory maps that estimators take.

A fit reads its rows several times, and reading Parquet again for each pass takes five times as long
as to write the numbers down once and map them into memory (8.4 s against 1.6 s for a fit on
1 million x 50). Only the batch that is being written is in memory; of a map, what the operating
system has room for.
"""

import os
import shutil
import tempfile
import weakref
from glob import glob
from pathlib import Path

import numpy as np

from skgd._utils.checks import shown
from skgd._utils.collections import is_dask

__all__ = ["spool"]

# Rows that are read and written together: 6 MiB of 50 columns.
BATCH = 2**14
# The bytes of a header of the .npy format, which the number of rows is written into at the end.
HEADER = 128
# Bytes of labels that are written together.
PART = 2**22


def spool(source, *, target, weight=None, columns=None, directory=None):
    """Write rows from files or a stream to disk, and map them into memory.

    The numbers are float32 if all features are float32, else float64. Fits on what is returned are
    the same, to the bit, as on arrays.

    Parameters
    ----------
    source : str, Path, or a source of batches
        - a path of a Parquet file, a folder of them, or a pattern such as ``"data/*.parquet"``;
        - a pyarrow ``Dataset``, ``Table`` or ``RecordBatchReader``, a polars ``LazyFrame``, a Dask
          dataframe, or any object with ``__arrow_c_stream__``;
        - an iterable of such objects, or of tuples ``(X, y)`` or ``(X, y, sample_weight)`` of
          arrays.
    target : str, list of str or None
        The column of the targets, or those of several outputs. None for tuples.
    weight : str or None, default=None
        The column of the sample weights.
    columns : list of str or None, default=None
        The features; None for all columns that are neither targets nor weights.
    directory : str, Path or None, default=None
        A folder to make and keep: ``X.npy``, ``y.npy`` and ``sample_weight.npy`` in it can be
        opened again with ``np.load(path, mmap_mode="r")``. None for a temporary one, which is
        removed with the last of the arrays.

    Returns
    -------
    X : read-only memory map of shape (n_samples, n_features)
    y : read-only memory map of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : read-only memory map of shape (n_samples,), or None

    Raises
    ------
    ImportError
        If the source needs pyarrow, which ``skgd[parquet]`` installs.
    FileExistsError
        If the directory is there already and not empty.
    ValueError
        If a column is missing, has no numbers or has nulls, or if there are no rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd import GDRegressor
    >>> from skgd.data import spool
    >>> generator = np.random.default_rng(0)
    >>> def batches():
    ...     for _ in range(10):
    ...         X = generator.normal(size=(1000, 3))
    ...         yield X, X @ [1.0, 2.0, 3.0]
    >>> X, y, _ = spool(batches(), target=None)
    >>> X.shape, type(X).__name__
    ((10000, 3), 'memmap')
    >>> GDRegressor(alpha=0).fit(X, y).coef_.round(6)
    array([1., 2., 3.])
    """
    path = None if directory is None else Path(directory)
    if path is not None and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(
            f"directory={str(directory)!r} is there already: pass another one, or delete it."
        )
    parent = None if path is None else path.absolute().parent
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="skgd-", dir=parent))
    writer = _Writer(work)
    try:
        for X, y, weights in _batches(source, work, _Columns(target, weight, columns)):
            writer.add(X, y, weights)
        writer.finish()
        if path is not None:
            if path.exists():
                path.rmdir()
            work.rename(path)
    except BaseException:
        writer.close()
        shutil.rmtree(work, ignore_errors=True)
        raise
    return _mapped(work if path is None else path, removes=path is None)


def _mapped(folder, *, removes):
    """Return the arrays of a folder, which is removed with the last of them if that is wanted."""
    arrays = [
        np.load(file, mmap_mode="r") if file.exists() else None
        for file in (folder / "X.npy", folder / "y.npy", folder / "sample_weight.npy")
    ]
    if removes:
        left = [array for array in arrays if array is not None]
        count = [len(left)]
        for array in left:
            # The map itself lives as long as any view of the array.
            weakref.finalize(array.base, _remove_with_the_last, folder, count)
    return tuple(arrays)


def _remove_with_the_last(folder, count):
    count[0] -= 1
    if not count[0]:
        shutil.rmtree(folder, ignore_errors=True)


# ---- writing ------------------------------------------------------------------------------------


class _Writer:
    """Files of arrays that grow row by row."""

    def __init__(self, folder):
        self.folder, self.files = folder, {}

    def add(self, X, y, weights):
        """Write some rows."""
        X, y = _numbers(X, "X"), _targets(y)
        if weights is not None:
            weights = np.ascontiguousarray(weights, dtype=np.float64)
        if X.ndim != 2 or any(
            len(part) != len(X) for part in (y, weights) if part is not None
        ):
            raise ValueError(
                f"A batch has X of shape {X.shape} and y of shape {y.shape}: pass two dimensions, "
                "and as many rows of both and of the weights."
            )
        if not self.files:
            label = _Labels if y.dtype.kind == "U" else _File
            self.files = {
                "X": _File(self.folder / "X.npy"), "y": label(self.folder / "y.npy"),
                "sample_weight": _File(self.folder / "sample_weight.npy"),
            }  # fmt: skip
            self.weighted = weights is not None
        if (weights is not None) != self.weighted:
            raise ValueError("Some batches have weights and others not: pass them with all.")
        for name, part in (("X", X), ("y", y), ("sample_weight", weights)):
            if part is not None:
                self.files[name].add(name, part)

    def finish(self):
        """Complete the files."""
        if not self.files or not self.files["X"].n:
            raise ValueError("source has no rows: pass at least one.")
        for file in self.files.values():
            file.finish()

    def close(self):
        """Close the files as they are."""
        for file in self.files.values():
            file.close()


class _File:
    """A file of the .npy format, whose number of rows is known at the end."""

    def __init__(self, path):
        self.path, self.n, self.file = path, 0, None

    def add(self, name, array):
        if self.file is None:
            self.shape, self.dtype = array.shape[1:], array.dtype
            self.file = open(self.path, "wb")
            self.file.write(bytes(HEADER))
        if array.shape[1:] != self.shape:
            raise ValueError(
                f"{name} has {array.shape[1:]} columns in a batch and {self.shape} before: pass "
                "the same in all."
            )
        if array.dtype != self.dtype:
            if not np.can_cast(array.dtype, self.dtype, "safe"):
                raise ValueError(
                    f"{name} has the type {array.dtype} in a batch and {self.dtype} before: pass "
                    "the same in all."
                )
            array = array.astype(self.dtype)
        array.tofile(self.file)
        self.n += len(array)

    def finish(self):
        if self.file is None:
            return
        shape = (self.n, *self.shape)
        text = repr({"descr": self.dtype.str, "fortran_order": False, "shape": shape})
        header = b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little")
        self.file.seek(0)
        self.file.write(header + text.encode().ljust(HEADER - 11) + b"\n")
        self.close()

    def close(self):
        if self.file is not None:
            self.file.close()


class _Labels:
    """Text: codes until the longest label is known."""

    def __init__(self, path):
        self.path, self.codes = path, _File(path.with_suffix(".codes"))
        self.known = {}

    def add(self, name, labels):
        if labels.dtype.kind != "U":
            raise ValueError(f"{name} has text and numbers: pass one of them.")
        labels, codes = np.unique(labels, return_inverse=True)
        numbers = [self.known.setdefault(label, len(self.known)) for label in labels.tolist()]
        self.codes.add(name, np.array(numbers, dtype=np.int64)[codes.reshape(-1)])

    def close(self):
        self.codes.close()

    def finish(self):
        self.codes.finish()
        codes, labels = np.load(self.codes.path, mmap_mode="r"), np.array(list(self.known))
        file, step = _File(self.path), max(1, PART // labels.itemsize)
        for start in range(0, len(codes), step):
            file.add("y", labels[codes[start:start + step]])
        file.finish()
        del codes
        os.remove(self.codes.path)


def _numbers(array, name):
    """Return an array as float32 or float64."""
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has the type {array.dtype}: pass numbers.")
    return np.ascontiguousarray(array, np.float32 if array.dtype == np.float32 else np.float64)


def _targets(y):
    y = np.asarray(y)
    if y.dtype == object:
        y = y.astype(str)
    if y.dtype.kind not in "biufU":
        raise ValueError(f"y has the type {y.dtype}: pass numbers or text.")
    return np.ascontiguousarray(y)


# ---- reading ------------------------------------------------------------------------------------


class _Columns:
    """Which columns are what."""

    def __init__(self, target, weight, columns):
        self.target, self.weight = target, weight
        self.targets = [target] if isinstance(target, str) else list(target or [])
        self.columns = None if columns is None else list(columns)

    def of(self, names):
        """Return the features among some names.

        Raises
        ------
        ValueError
            If a column is missing.
        """
        if not self.targets:
            raise ValueError("target=None: pass the name of the column of the targets.")
        others = self.targets + ([] if self.weight is None else [self.weight])
        columns = self.columns
        if columns is None:
            columns = [name for name in names if name not in others]
        missing = [name for name in [*columns, *others] if name not in names]
        if missing:
            raise ValueError(
                f"the source has no column {', '.join(map(repr, missing))}: pass names among "
                f"{names!r}."
            )
        return columns

    def wanted(self, names):
        """Return all columns to read."""
        columns = self.of(names)
        return columns + [
            name for name in [*self.targets, *([self.weight] if self.weight else [])]
            if name not in columns
        ]  # fmt: skip

    def arrays(self, batch):
        """Return the features, targets and weights of a batch of Arrow."""
        features = self.of(batch.schema.names)
        arrays = [_array(batch, name) for name in features]
        dtype = np.float32 if all(a.dtype == np.float32 for a in arrays) else np.float64
        X = np.empty((batch.num_rows, len(arrays)), dtype=dtype)
        for j, array in enumerate(arrays):
            X[:, j] = array
        targets = [_array(batch, name, text=True) for name in self.targets]
        y = targets[0] if isinstance(self.target, str) else np.column_stack(targets)
        return X, y, None if self.weight is None else _array(batch, self.weight)


def _array(batch, name, *, text=False):
    """Return a column of a batch of Arrow as an array."""
    from pyarrow import types

    column = batch.column(name)
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if column.null_count:
        raise ValueError(
            f"column {name!r} has nulls: fill them, or leave out their rows, before spooling."
        )
    is_number = (
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
        or types.is_decimal(kind)
    )  # fmt: skip
    if not is_number and not (text and (types.is_string(kind) or types.is_large_string(kind))):
        raise ValueError(
            f"column {name!r} has the type {kind}: encode it as numbers, or leave it out with "
            "columns=[...]."
        )
    if types.is_decimal(kind):
        column = column.cast("float64")
    array = column.to_numpy(zero_copy_only=False)
    return array.astype(str) if array.dtype == object else array


def _batches(source, folder, columns):
    """Yield features, targets and weights."""
    if isinstance(source, str | Path):
        yield from _of_files(source, columns)
    elif is_dask(source):
        parts = (source.partitions[i].compute() for i in range(source.npartitions))
        yield from _batches(parts, folder, columns)
    elif hasattr(source, "to_batches") and hasattr(source, "scanner"):  # a pyarrow Dataset
        names = columns.wanted(source.schema.names)
        for batch in source.to_batches(
            columns=names, batch_size=BATCH, batch_readahead=2, fragment_readahead=1
        ):  # fmt: skip
            yield columns.arrays(batch)
    elif hasattr(source, "sink_parquet"):  # a polars LazyFrame
        path = folder / "source.parquet"
        source.sink_parquet(path)
        yield from _of_files(path, columns)
        os.remove(path)
    elif hasattr(source, "__arrow_c_stream__"):
        for batch in _arrow().RecordBatchReader.from_stream(source):
            yield from _slices(batch, columns)
    elif hasattr(source, "__arrow_c_array__"):
        yield from _slices(_arrow().record_batch(source), columns)
    elif isinstance(source, tuple):
        yield source if len(source) == 3 else (*source, None)
    elif hasattr(source, "__iter__"):
        for part in source:
            yield from _batches(part, folder, columns)
    else:
        raise TypeError(
            f"source={shown(source)}: pass a path, a data set, a stream of Arrow, or an iterable "
            "of (X, y)."
        )


def _slices(batch, columns):
    """Yield parts of a batch of Arrow, whose conversion takes little memory."""
    for start in range(0, batch.num_rows, BATCH):
        yield columns.arrays(batch.slice(start, BATCH))


def _of_files(source, columns):
    """Yield from Parquet files, in the order of their names."""
    path = Path(source)
    paths = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not path.exists():
        paths = [Path(name) for name in sorted(glob(str(source)))]
    if not paths:
        raise FileNotFoundError(f"source={str(source)!r}: there is no such file or folder.")
    parquet = _arrow(".parquet")
    for each in paths:
        with parquet.ParquetFile(each) as file:
            names = columns.wanted(file.schema_arrow.names)
            for batch in file.iter_batches(BATCH, columns=names):
                yield columns.arrays(batch)


def _arrow(module=""):
    """Return pyarrow or a module of it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "this source needs pyarrow: pip install skgd[parquet], or pass an iterable of (X, y)."
        ) from error
    return pyarrow.parquet if module else pyarrow
