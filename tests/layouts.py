"""Rows in every layout of memory, with targets, weights and coefficients."""

import numpy as np
import pytest
from scipy import sparse

N, D = 200, 7


def raw(n=N, d=D):
    """Numbers that float32 holds exactly, a third of them zeros."""
    generator = np.random.default_rng(n)
    X = generator.normal(1, 2, (n, d)) * generator.choice([0, 1, 1], (n, d))
    return X.astype(np.float32).astype(np.float64)


def strided(X, step, axis):
    """A view with the rows or columns of X that lie `step` apart in memory."""
    wide = np.repeat(X, step, axis=axis)
    return wide[::step] if axis == 0 else wide[:, ::step]


def mapped(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def unaligned(X):
    """X at an odd address."""
    room = np.empty(X.nbytes + 1, np.uint8)[1:]
    room[:] = np.ascontiguousarray(X).view(np.uint8).ravel()
    return room.view(X.dtype).reshape(X.shape)


def csr(X, kind=sparse.csr_array, index=np.int32, dtype=np.float64):
    X = kind(X.astype(dtype))
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def unsorted(X):
    """CSR whose columns come in falling order, with each number in two halves."""
    flipped = sparse.csr_array(X[:, ::-1] / 2)
    columns = X.shape[1] - 1 - flipped.indices
    starts = flipped.indptr
    order = np.concatenate([
        np.tile(np.arange(a, b), 2) for a, b in zip(starts[:-1], starts[1:], strict=True)
    ])  # fmt: skip
    return sparse.csr_array((flipped.data[order], columns[order], 2 * starts), shape=X.shape)


LAYOUTS = {
    "C": lambda X, path: X,
    "F": lambda X, path: np.asfortranarray(X),
    "C float32": lambda X, path: X.astype(np.float32),
    "F float32": lambda X, path: np.asfortranarray(X, dtype=np.float32),
    "every third row": lambda X, path: strided(X, 3, 0),
    "every third column": lambda X, path: strided(X, 3, 1),
    "every second column float32": lambda X, path: strided(X.astype(np.float32), 2, 1),
    "rows backwards": lambda X, path: X[::-1].copy()[::-1],
    "columns backwards": lambda X, path: X[:, ::-1].copy()[:, ::-1],
    "some columns of a wider array": lambda X, path: np.hstack([X, X])[:, : X.shape[1]],
    "at an odd address": lambda X, path: unaligned(X),
    "read-only memory map": lambda X, path: mapped(X, path),
    "memory map, F, float32": lambda X, path: mapped(np.asfortranarray(X, np.float32), path),
    "CSR": lambda X, path: csr(X),
    "CSR matrix, float32": lambda X, path: csr(X, sparse.csr_matrix, dtype=np.float32),
    "CSR int64": lambda X, path: csr(X, index=np.int64),
    "CSR matrix, int64, float32": lambda X, path: csr(
        X, sparse.csr_matrix, index=np.int64, dtype=np.float32
    ),
    "CSR in any order with repetitions": lambda X, path: unsorted(X),
}

every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def targets(n, k, seed=0):
    return np.random.default_rng(seed).normal(size=(n, k))


def weights(n):
    return np.random.default_rng(1).choice([0.0, 0.5, 1.0, 3.0], n)


def coefficients(k, d=D):
    generator = np.random.default_rng(2)
    return generator.normal(size=(k, d)), generator.normal(size=k)
