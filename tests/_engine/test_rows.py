"""Views of X: moments of its columns, chunks of its rows, and what must be refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from layouts import LAYOUTS, D, N, csr, raw, weights
from scipy import sparse

from skgd._engine import chunk_starts, rows_of
from skgd._problem import Moments

# ---- chunks and moments -------------------------------------------------------------------------

def test_the_chunks_depend_on_the_data_alone_and_cover_it():
    for X in (raw(5000, 300), csr(raw(5000, 300))):
        starts = chunk_starts(rows_of(X), 5000)
        assert starts[0] == 0 and starts.step % 64 == 0 and starts[-1] < 5000
        assert starts[-1] + starts.step >= 5000


# A column that is named twice counts as two numbers: estimators sum such up before.
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "repetitions" not in name])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_moments_are_those_of_numpy(layout, weighted, n_threads, monkeypatch, tmp_path):
    X, s = raw() + 1000, weights(N) if weighted else None
    X[:, 1] *= np.arange(N) % 3 == 0  # zeros that CSR does not store
    X[:, 2] = 1e6 + 0.1  # a constant column has no spread
    seen = LAYOUTS[layout](X, tmp_path)
    at_once = Moments.of(rows_of(seen), s)
    monkeypatch.setattr("skgd._engine.rows.CHUNK", 300)
    moments = Moments.of(rows_of(seen), s, n_threads)
    X = (seen.toarray() if hasattr(seen, "toarray") else np.asarray(seen)).astype(float)
    s = np.ones(N) if s is None else s
    mean = np.average(X, axis=0, weights=s)
    for got in (at_once, moments):
        assert got.weight == pytest.approx(s.sum(), rel=1e-14)
        np.testing.assert_allclose(got.mean, mean, rtol=1e-14)
        np.testing.assert_allclose(
            got.variance(about_mean=True), s @ (X - mean) ** 2 / s.sum(), rtol=1e-10, atol=1e-13
        )
        assert got.variance(about_mean=True)[2] == 0.0


def test_moments_of_one_column_do_not_depend_on_what_others_are_like():
    # Columns whose mean is much larger than their deviations take other sums than the rest.
    X = raw() * (np.arange(N)[:, None] % 2 == 0)
    X[:, 0], X[:, 2] = 1e9 + np.arange(N) % 2, 1e170
    moments = Moments.of(rows_of(csr(X)), None)
    with np.errstate(over="ignore"):
        variance = X.astype(np.longdouble).var(axis=0)
    np.testing.assert_allclose(moments.mean, X.astype(np.longdouble).mean(axis=0).astype(float))
    np.testing.assert_allclose(moments.variance(about_mean=True), variance.astype(float), atol=0)


# ---- what must be refused -----------------------------------------------------------------------

refused = (ValueError, TypeError)


def tampered(part, position, value):
    X = csr(raw())
    getattr(X, part)[position] = value
    return X


BAD_X = {
    "one axis": lambda: np.zeros(N),
    "three axes": lambda: np.zeros((N, 1, 1)),
    "no rows": lambda: np.zeros((0, D)),
    "no columns": lambda: np.zeros((N, 0)),
    "integers": lambda: np.zeros((N, D), dtype=int),
    "float16": lambda: np.zeros((N, D), dtype=np.float16),
    "complex": lambda: np.zeros((N, D), dtype=complex),
    "objects": lambda: np.zeros((N, D), dtype=object),
    "other byte order": lambda: np.zeros((N, D), dtype=np.dtype(float).newbyteorder()),
    "CSC": lambda: sparse.csc_array(raw()),
    "COO": lambda: sparse.coo_array(raw()),
    "BSR": lambda: sparse.bsr_array(raw()),
    "integers in CSR": lambda: sparse.csr_array(raw().astype(int)),
    "CSR of no rows": lambda: sparse.csr_array((0, D)),
    "CSR with a column too far": lambda: tampered("indices", 5, D),
    "CSR with a negative column": lambda: tampered("indices", 5, -1),
    "CSR with an indptr that falls": lambda: tampered("indptr", 5, 0),
    "CSR with an indptr beyond the end": lambda: tampered("indptr", -1, 10**6),
    "CSR with a negative indptr": lambda: tampered("indptr", 0, -1),
    "CSR with two index types": lambda: SimpleNamespace(
        data=np.ones(3), indices=np.arange(3, dtype=np.int32), indptr=np.arange(4), shape=(3, 3),
        format="csr", nnz=3,
    ),
    "CSR with short data": lambda: SimpleNamespace(
        data=np.ones(2), indices=np.arange(3), indptr=np.arange(4), shape=(3, 3), format="csr",
        nnz=3,
    ),
    "CSR with a short indptr": lambda: SimpleNamespace(
        data=np.ones(3), indices=np.arange(3), indptr=np.arange(4), shape=(9, 3), format="csr",
        nnz=3,
    ),
    "CSR with strided data": lambda: SimpleNamespace(
        data=np.ones(6)[::2], indices=np.arange(3), indptr=np.arange(4), shape=(3, 3),
        format="csr", nnz=3,
    ),
    "CSR with floats as indices": lambda: SimpleNamespace(
        data=np.ones(3), indices=np.ones(3), indptr=np.ones(4), shape=(3, 3), format="csr", nnz=3
    ),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_X)
def test_a_bad_matrix_is_refused(bad):
    with pytest.raises(refused):
        rows_of(BAD_X[bad]())


@pytest.mark.parametrize(
    "bad",
    [
        (None, -1, 10, np.zeros(D), np.zeros(D)),
        (None, 0, N + 1, np.zeros(D), np.zeros(D)),
        (None, 20, 10, np.zeros(D), np.zeros(D)),
        (np.ones(N - 1), 0, N, np.zeros(D), np.zeros(D)),
        (None, 0, N, np.zeros(D - 1), np.zeros(D)),
        (None, 0, N, np.zeros(D), np.zeros(D - 1)),
    ],
)
@pytest.mark.parametrize("X", [raw(), csr(raw())], ids=["dense", "CSR"])
def test_bad_moments_are_refused(bad, X):
    weights, start, stop, mean, deviation = bad
    with pytest.raises(refused):
        rows_of(X).moments(weights, start, stop, mean, deviation)
