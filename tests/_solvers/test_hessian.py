"""The Hessian that Newton's steps use, and what they solve with it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.linear_model import Ridge

from skgd import GDClassifier, GDRegressor
from skgd._objective.metric import diagonal_metric
from skgd._objective.objective import Objective
from skgd._problem import Problem
from skgd._solvers.active_set import SeparablePenalty
from skgd._solvers.costs import Factorisation
from skgd._solvers.hessian import DiagonalHessian, Hessian
from skgd.losses import LogLoss, SquaredError, SquaredHinge
from skgd.penalties import L1, L2, Box, ElasticNet

RNG = np.random.default_rng(0)
N, D = 60, 4
X = RNG.normal(size=(N, D)) * [1.0, 100.0, 1e-3, 3.0] + [0.0, 1e3, 0.0, 5.0]


def make_objective(loss, k, X, penalty, alpha=0.1, weighted=True, positive=False):
    """Return an objective in its diagonal metric; k counts outputs."""
    weights = RNG.integers(1, 4, N).astype(float) if weighted else None
    if loss.task == "regression":
        targets = RNG.normal(size=(N, k))
    elif loss.is_multiclass(k):
        targets = RNG.integers(0, k, N).astype(float)
    else:
        targets = RNG.choice([-1.0, 1.0], (N, 1))
    problem = Problem(X, targets, weights, loss, k)
    hessian_diag = np.tile(alpha * penalty.curvature(D), (k, 1))
    smoothness, unit = np.full(k, loss.smoothness), np.ones(k)
    if positive:
        penalty = Box(0.0, None, penalty)
    return Objective(
        problem, penalty.compiled(), np.full(k, alpha),
        diagonal_metric(problem.moments(), smoothness, hessian_diag, unit, True), smoothness,
        hessian_diag,
    )  # fmt: skip


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize(
    "loss, k", [(SquaredError(), 1), (SquaredError(), 2), (LogLoss(), 1), (LogLoss(), 3)], ids=str
)
def test_the_hessian_is_the_derivative_of_the_gradient(loss, k, make):
    objective = make_objective(loss, k, make(X), L2(weights=[1.0, 0.0, 2.0, 1.0]))
    size = k * (D + 1)
    x = RNG.normal(size=size)
    curvature = Hessian(objective, x)
    assert curvature.is_exact
    expected = np.empty((size, size))
    for j, step in enumerate(1e-5 * np.eye(size)):
        up, down = (objective.value_and_gradient(x + s * step)[1] for s in (1, -1))
        expected[j] = (up - down) / 2e-5
    products = np.array([curvature.product(v) for v in np.eye(size)])
    assert_allclose(products, expected, atol=1e-8)
    hessian = np.zeros((size, size))
    for c in range(size // len(curvature.blocks[0])):
        block = curvature.blocks[c if len(curvature.blocks) > 1 else 0]
        part = slice(c * len(block), (c + 1) * len(block))
        hessian[part, part] = block
    v = RNG.normal(size=size)
    if loss.is_multiclass(k):
        # Equal changes of all outputs change the penalty alone; curvature is added there.
        for j in range(D + 1):
            flat = np.zeros(size)
            flat[j::D + 1] = 1.0
            added = flat @ (hessian - expected) @ flat
            assert added > 0.01
            hessian -= np.outer(flat, flat) * added / k**2
            if j in (1, D):
                assert_allclose(expected @ flat, 0, atol=1e-8)
                v -= flat * (flat @ v) / k
    assert_allclose(hessian, expected, atol=1e-8)
    assert_allclose(curvature.solve(expected @ v, 0.0), v, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("loss, k", [(LogLoss(), 1), (LogLoss(), 3)], ids=str)
def test_the_diagonal_alone_is_that_of_the_hessian(loss, k, make):
    objective = make_objective(loss, k, make(X), L2(weights=[1.0, 0.0, 2.0, 1.0]))
    x = RNG.normal(size=k * (D + 1))
    diagonal = DiagonalHessian(objective, x)
    products = np.array([diagonal.product(v) for v in np.eye(len(x))])
    assert_allclose(1.0 / diagonal.precondition(np.ones(len(x))), np.diag(products), rtol=1e-9)


@pytest.mark.parametrize("loss, k", [(LogLoss(), 1), (LogLoss(), 3)], ids=str)
def test_conjugate_gradients_solve_what_a_sample_cannot(loss, k, monkeypatch):
    objective = make_objective(loss, k, X, L2())
    x, gradient = RNG.normal(size=(2, k * (D + 1)))
    gradient = objective.value_and_gradient(x)[1]
    exact = Hessian(objective, x).solve(gradient, 1e-12)
    monkeypatch.setattr(Factorisation, "sampled_from", 0)
    monkeypatch.setattr(Factorisation, "sampled_rows", 30)
    monkeypatch.setattr(Factorisation, "sampled_rows_per_parameter", 1)
    sampled = Hessian(objective, x)
    assert not sampled.is_exact
    product = sampled.product(sampled.solve(gradient, 1e-12))
    assert_allclose(product, gradient, atol=1e-9)
    assert_allclose(sampled.product(exact), gradient, atol=1e-9)


# ---- proximal steps -----------------------------------------------------------------------------

@pytest.mark.parametrize(
    "penalty, positive",
    [(L1(), False), (L1(weights=[0, 1, 5, 1]), True), (ElasticNet(0.5), False), (L2(), True)],
    ids=str,
)
@pytest.mark.parametrize("loss, k", [(SquaredHinge(), 1), (LogLoss(), 3)], ids=str)
def test_the_target_of_a_step_is_the_minimum_of_the_model(loss, k, penalty, positive):
    objective = make_objective(loss, k, X, penalty, positive=positive)
    separable = SeparablePenalty.of(objective)
    x = separable.clip(RNG.normal(size=k * (D + 1)))
    gradient = objective.value_and_gradient(x)[1]
    hessian = Hessian(objective, x)
    target = hessian.proximal_step(x, gradient, separable, 0.0)
    assert np.all((target >= separable.lower) & (target <= separable.upper))
    # No move from the target lowers the model: its proximal gradient step goes nowhere.
    slope = gradient + hessian.blocks[0] @ (target - x)
    moved = objective.prox(target - slope, 1.0)
    assert_allclose(separable.clip(moved), target, atol=1e-10)
    assert np.any(target[np.isfinite(separable.lower) | (separable.l1 > 0)] == 0)


def test_a_large_hessian_is_factorised_where_products_lead_nowhere(monkeypatch):
    """Products alone take more than a thousand passes."""
    monkeypatch.setattr(Factorisation, "largest", 20)
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(400, 60)).cumsum(axis=1) * np.logspace(-3.0, 3.0, 60)
    y = rows[:, 30] > 3.0 * rows[:, 30].std() * generator.normal(size=400)
    fitted = GDClassifier(alpha=1e-8, tol=1e-8).fit(rows, y)
    slopes = (fitted.predict_proba(rows)[:, 1] - y) / len(y)
    gradient = (slopes @ rows + 1e-8 * fitted.coef_[0]) / rows.std(axis=0)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-8)
    assert fitted.history_["passes"][-1] <= 50


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("is_correlated", [False, True])
def test_ridge_on_sparse_rows_tries_products_before_it_factorises(is_correlated, outputs):
    rng = np.random.default_rng(0)
    if is_correlated:
        columns = rng.integers(0, 680, (800, 1)) + np.arange(20)
    else:
        columns = rng.permuted(np.tile(np.arange(700), (800, 1)), axis=1)[:, :8]
    numbers = 1.0 + 1e-3 * rng.random(columns.size)
    rows = np.repeat(np.arange(800), columns.shape[1])
    X = sparse.csr_array((numbers, (rows, columns.ravel())), shape=(800, 700))
    Y = X @ rng.normal(size=(700, outputs)) * [1.0, 20.0, 3.0][:outputs]
    Y = np.squeeze(Y + rng.normal(size=Y.shape))
    alpha = 1e-3 if not is_correlated else 1e-8
    model = GDRegressor(alpha=alpha).fit(X, Y)
    expected = Ridge(alpha * 800, solver="cholesky").fit(X.toarray(), Y)
    possible = 0.5 * np.var(Y, axis=0).sum()
    assert model.optimality(X, Y) <= 1e-6 * possible
    assert_allclose(model.predict(X), expected.predict(X), atol=1e-3 * np.std(Y))
    # A factorised Hessian needs two passes over the rows.
    assert model.history_["passes"][-1] > 10
    assert np.isnan(model.optimality_) != is_correlated
