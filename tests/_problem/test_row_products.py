"""Rows in preconditioned coordinates, times numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skgd._problem.row_products import add_centred_products, scale_rows


def test_scaled_rows_are_those_of_numpy():
    rng = np.random.default_rng(0)
    rows, mean, scale = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=4)
    factors, out = rng.normal(size=(5, 2)), np.empty((5, 8))
    scale_rows(rows, mean, scale, factors, out)
    expected = np.column_stack([rows - mean, np.ones(5)]) * scale
    assert_allclose(out.reshape(5, 2, 4), factors[:, :, None] * expected[:, None])
    with pytest.raises(ValueError, match="scale: got 5 numbers for 3 columns"):
        scale_rows(rows, mean, np.ones(5), factors, np.empty((5, 10)))


def test_numbers_and_columns_of_centred_products_must_match():
    rows, sums = np.ones((5, 3)), np.zeros(3)
    add_centred_products(rows, np.zeros(3), np.arange(5.0), sums, None)
    assert_allclose(sums, 10.0)
    for arguments in (
        (rows, np.zeros(2), np.ones(5), sums, None), (rows, np.zeros(3), np.ones(4), sums, None),
        (rows, np.zeros(3), np.ones(5), np.zeros(2), None),
        (rows, np.zeros(3), np.ones(5), sums, np.zeros(4)),
        (rows.T, np.zeros(5), np.ones(3), np.zeros(5), None),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="pass"):
            add_centred_products(*arguments)
