"""A softmax with dear Hessians, of classes that can nearly be separated."""

import numpy as np
import pytest
from scipy import sparse

from skgd import GDClassifier

GENERATOR = np.random.default_rng(0)
N, D, K, ALPHA = 400, 370, 3, 1e-3
X = GENERATOR.normal(size=(N, D)).cumsum(axis=1)
Y = (X @ GENERATOR.normal(size=(D, K))).argmax(axis=1)
WEIGHTS = GENERATOR.integers(1, 3, N).astype(float)
REPEATED = np.repeat(np.arange(N), WEIGHTS.astype(int))


def excess(model, X, y):
    """Bound how far the objective, whose curvature is alpha or more, is from its minimum."""
    slopes = (model.predict_proba(X) - (y[:, None] == np.arange(K))) / len(y)
    gradient = slopes.T @ X + ALPHA * model.coef_
    np.testing.assert_allclose(slopes.sum(axis=0), 0.0, atol=1e-8)
    return (gradient**2).sum() / (2.0 * ALPHA)


@pytest.mark.parametrize("make", [
    np.asarray, sparse.csr_array, lambda X: X.astype(np.float32),
], ids=["dense", "CSR", "float32"])  # fmt: skip
def test_the_minimum_is_reached(make):
    rows = make(X)
    fitted = GDClassifier(alpha=ALPHA, tol=1e-6).fit(rows, Y, sample_weight=WEIGHTS)
    assert fitted.converged_
    dense = np.asarray(rows.todense() if sparse.issparse(rows) else rows, dtype=float)
    assert excess(fitted, dense[REPEATED], Y[REPEATED]) <= 1e-9


def test_few_passes_lead_there():
    """Newton's method, with a Hessian for each class, takes 423."""
    fitted = GDClassifier(alpha=ALPHA).fit(X, Y)
    assert fitted.converged_
    assert fitted.history_["passes"][-1] <= 200
