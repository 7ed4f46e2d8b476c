"""Columns of X, in one piece each."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skgd._problem.column_store import ColumnStore
from skgd._problem.columns import Columns

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 9)) * RNG.choice([0.0, 1.0, 1.0], size=(30, 9))


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_over_columns_are_those_of_numpy(layout, dtype):
    rows, mean = layout(X.astype(dtype)), RNG.normal(size=9)
    store, numbers = ColumnStore(rows, mean), np.array([7, 2, 3])
    centre = mean[numbers] if store.is_centred else np.zeros(3)
    expected = X.astype(dtype)[:, numbers].astype(float) - centre
    h, r, w = RNG.random(30), RNG.normal(size=30), np.array([0.5, 0.0, -2.0])
    store.take(np.array([3, 0]))  # columns that are there already, in another order
    columns = store.take(numbers)
    assert (columns.n, columns.m) == (30, 3)
    assert_allclose(columns.times(w), expected @ w, atol=1e-12)
    assert_allclose(columns.transposed_times(r), expected.T @ r, atol=1e-12)
    first, second = columns.weighted_moments(h)
    assert_allclose(first, expected.T @ h, atol=1e-12)
    assert_allclose(second, (expected**2).T @ h, atol=1e-12)
    if store.is_centred:
        assert_allclose(store.gram(numbers, h), (expected.T * h) @ expected, atol=1e-12)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array])
def test_columns_at_some_rows_are_those_of_numpy(layout):
    numbers, rows = np.array([7, 2, 3]), np.array([4, 5, 11, 29])
    columns = ColumnStore(layout(X), np.zeros(9)).take(numbers).at_rows(rows)
    expected, h = X[np.ix_(rows, numbers)], RNG.random(4)
    assert (columns.n, columns.m) == (4, 3)
    assert columns.size == (12 if layout is np.asarray else np.count_nonzero(expected))
    assert_allclose(columns.times(np.ones(3)), expected.sum(axis=1), atol=1e-12)
    assert_allclose(columns.gram(h), (expected.T * h) @ expected, atol=1e-12)
    for row in (-1, 30):
        with pytest.raises(ValueError, match="outside of 30 rows"):
            ColumnStore(layout(X), np.zeros(9)).take(numbers).at_rows(np.array([row]))


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array])
def test_gram_matrices_of_groups_follow_one_another(layout):
    numbers, starts, h = np.array([7, 2, 3, 0]), np.array([0, 3, 4]), RNG.normal(size=30)
    columns = ColumnStore(layout(X), np.zeros(9)).take(numbers)
    expected = (X[:, numbers].T * h) @ X[:, numbers]
    grams = columns.group_grams(starts, h)
    assert_allclose(grams[:9].reshape(3, 3), expected[:3, :3], atol=1e-12)
    assert_allclose(grams[9:], expected[3, 3], atol=1e-12)
    for wrong in ([1, 4], [0, 3], [0, 5, 4]):
        with pytest.raises(ValueError, match="where groups of 4 columns begin"):
            columns.group_grams(np.array(wrong), h)


@pytest.mark.parametrize(
    ("rows", "starts", "stops"),
    [([0, 4], [0], [2]), ([0, -1], [0], [2]), ([0, 1], [0], [3]), ([0, 1], [-1], [1]),
     ([0, 1], [2], [1])],
)  # fmt: skip
def test_numbers_of_sparse_columns_must_be_in_the_rows_and_in_the_data(rows, starts, stops):
    rows, starts, stops = (np.array(part, dtype=np.intp) for part in (rows, starts, stops))
    with pytest.raises(ValueError, match="pass the indices and indptr of a CSC matrix"):
        Columns(np.ones(2), rows, starts, stops, 4)


def test_products_need_as_many_numbers_as_there_are_rows_or_columns():
    columns = Columns(np.ones((2, 5)))
    with pytest.raises(ValueError, match="float64 of shape"):
        columns.times(np.ones(3))
    with pytest.raises(ValueError, match="float64 of shape"):
        columns.transposed_times(np.ones(4))
    with pytest.raises(IndexError):
        columns.take(np.array([2]))


@pytest.mark.parametrize("k", [1, 8, 11])
def test_products_with_many_numbers_of_the_rows(k):
    columns = ColumnStore(sparse.csr_array(X), np.zeros(9)).columns
    numbers = RNG.normal(size=(30, k))
    assert_allclose(columns.products(numbers), X.T @ numbers, atol=1e-12)
    with pytest.raises(ValueError, match="shape"):
        columns.products(numbers[1:])
    with pytest.raises(ValueError, match="dense columns"):
        Columns(np.ones((2, 3))).products(numbers)
