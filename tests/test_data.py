"""Rows that are spooled to memory maps are those of the source, and fits on them are the same."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from skgd import GDClassifier
from skgd.data import spool

GENERATOR = np.random.default_rng(0)
N = 40_000
FRAME = pd.DataFrame({
    "small": GENERATOR.normal(size=N), "whole": GENERATOR.integers(0, 9, N),
    "flag": GENERATOR.integers(0, 2, N) > 0,
    "label": np.array(["a", "bcd"])[GENERATOR.integers(0, 2, N)],
    "weight": GENERATOR.integers(0, 3, N).astype(float),
})  # fmt: skip
X, Y = FRAME[["small", "whole", "flag"]].to_numpy(dtype=float), FRAME["label"].to_numpy(dtype=str)
WEIGHTS = FRAME["weight"].to_numpy()
NAMED = {"target": "label", "weight": "weight"}


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    table = pa.Table.from_pandas(FRAME)
    for i, start in enumerate(range(0, N, N // 4)):
        pq.write_table(table.slice(start, N // 4), folder / f"{i}.parquet", row_group_size=3000)
    return folder


SOURCES = {
    "folder": lambda files: files,
    "pattern": lambda files: f"{files}/*.parquet",
    "dataset": lambda files: pyarrow.dataset.dataset(files),
    "table": lambda files: pa.Table.from_pandas(FRAME),
    "reader": lambda files: pa.Table.from_pandas(FRAME).to_reader(max_chunksize=999),
    "batches": lambda files: iter(pa.Table.from_pandas(FRAME).to_batches(max_chunksize=7000)),
    "polars": lambda files: pl.scan_parquet(files / "*.parquet"),
    "dask": lambda files: dd.from_pandas(FRAME, npartitions=3),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_rows_of_the_source(files, name):
    found = spool(SOURCES[name](files), **NAMED)
    for array, expected in zip(found, (X, Y, WEIGHTS), strict=True):
        assert isinstance(array, np.memmap) and not array.flags.writeable
        assert array.dtype == expected.dtype
        assert_array_equal(array, expected)


def test_fits_are_the_same_to_the_bit(files):
    spooled = GDClassifier(penalty="l1").fit(*spool(files, **NAMED))
    assert_array_equal(spooled.coef_, GDClassifier(penalty="l1").fit(X, Y, WEIGHTS).coef_)


def test_tuples_columns_and_several_targets(files):
    batches = ((X[i:i + 999].astype(np.float32), X[i:i + 999, 1]) for i in range(0, N, 999))
    rows, y, weights = spool(batches, target=None)
    assert rows.dtype == np.float32 and weights is None
    assert_array_equal(y, X[:, 1])
    rows, y, _ = spool(files, target=["whole", "small"], columns=["flag"])
    assert_array_equal(rows, X[:, 2:])
    assert_array_equal(y, X[:, 1::-1])


def test_a_folder_lasts_as_long_as_its_arrays(files, tmp_path):
    rows, y, weights = spool(files, **NAMED)
    folder = Path(rows.filename).parent
    view = rows[5:]
    del rows, y, weights
    gc.collect()
    assert view[0, 0] == X[5, 0] and folder.exists()
    del view
    gc.collect()
    assert not folder.exists()
    named = tmp_path / "new" / "spooled"
    del_me = spool(files, directory=named, **NAMED)
    del del_me
    gc.collect()
    assert_array_equal(np.load(named / "X.npy", mmap_mode="r"), X)
    with pytest.raises(FileExistsError, match="pass another"):
        spool(files, directory=named, **NAMED)


def test_an_interrupted_spool_leaves_nothing(tmp_path):
    def broken():
        yield X[:10], Y[:10]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spool(broken(), target=None, directory=tmp_path / "spooled")
    assert not os.listdir(tmp_path)


BROKEN = {
    "text": ({"small": ["a"] * N}, {}, "column 'small' has the type .*string.*columns="),
    "nulls": ({"small": [None] + [1.0] * (N - 1)}, {}, "column 'small' has nulls: fill"),
    "null target": ({"label": [None] + ["a"] * (N - 1)}, {}, "column 'label' has nulls"),
    "missing": ({}, {"columns": ["other"]}, "no column 'other'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_refused(name):
    changes, options, message = BROKEN[name]
    arrays = {column: FRAME[column].to_numpy() for column in FRAME}
    table = pa.table({name: pa.array(column) for name, column in (arrays | changes).items()})
    with pytest.raises(ValueError, match=message):
        spool(table, **NAMED, **options)


def test_other_broken_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        spool(tmp_path / "none.parquet", target="y")
    with pytest.raises(TypeError, match="pass a path"):
        spool(3, target="y")
    with pytest.raises(ValueError, match="no rows"):
        spool([], target="y")
    with pytest.raises(ValueError, match="as many rows"):
        spool([(X, Y[1:])], target=None)


def test_large_tables_are_not_copied_silently():
    table = pa.table({"a": np.zeros(2**23 + 1)})
    with pytest.raises(TypeError, match="spool"):
        GDClassifier().fit(table, np.zeros(table.num_rows))
    with pytest.raises(TypeError, match="spool"):
        GDClassifier().fit(pl.LazyFrame({"a": [1.0]}), [0])


def test_skgd_imports_neither_dask_nor_pyarrow():
    # pandas, which scikit-learn imports where it is installed, imports pyarrow by itself.
    code = "import sys; sys.modules['pandas'] = None; import skgd, skgd.data; " \
           "print({'dask', 'distributed', 'pyarrow'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.strip() == b"set()"
