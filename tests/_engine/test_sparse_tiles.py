"""Batches of sparse rows with many columns, in tiles."""

import numpy as np
import pytest
from scipy.sparse import random_array

from skgd import GDClassifier, optimizers
from skgd.optimizers import Optimizer
from skgd.penalties import L2

GENERATOR = np.random.default_rng(0)

# Outputs enough for tiles to be faster than one output after the other.
N_CLASSES = 9
WIDE = random_array((90, 1400), density=0.02, format="csr", rng=GENERATOR)
RULES = [
    kind for kind in (getattr(optimizers, name) for name in optimizers.__all__)
    if issubclass(kind, Optimizer) and kind is not Optimizer and kind.takes_batches
]  # fmt: skip


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("penalty", ["l2", "l1", L2(weights=np.arange(1400.0))])
def test_batches_in_tiles_give_what_dense_rows_give(penalty, dtype, index):
    rows = WIDE.astype(dtype)
    rows.indices, rows.indptr = rows.indices.astype(index), rows.indptr.astype(index)
    check_against_dense(rows, penalty=penalty, optimizer="adam", average=True)


@pytest.mark.parametrize("optimizer", RULES, ids=lambda optimizer: optimizer.__name__)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("precondition", [None, "diagonal"])
def test_each_optimizer_takes_tiles(optimizer, fit_intercept, precondition):
    check_against_dense(
        WIDE, optimizer=optimizer(), fit_intercept=fit_intercept, precondition=precondition
    )


@pytest.mark.parametrize("precondition", [None, "diagonal"])
def test_intercepts_may_have_a_tile_of_their_own(precondition):
    check_against_dense(WIDE[:, :1024], optimizer="adam", precondition=precondition)


def check_against_dense(rows, **params):
    """Compare a fit of many classes on sparse rows with that on the same rows in full."""
    y = np.random.default_rng(0).integers(0, N_CLASSES, rows.shape[0])
    weights = np.random.default_rng(1).integers(0, 3, rows.shape[0]).astype(float)
    model = GDClassifier(batch_size=20, learning_rate=1e-3, max_iter=2, tol=None, random_state=0,
                         **params)  # fmt: skip
    got = model.fit(rows, y, sample_weight=weights).coef_
    expected = model.fit(rows.toarray(), y, sample_weight=weights).coef_
    tolerance = 1e-9 if rows.dtype == np.float64 else 1e-4
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * abs(expected).max())
