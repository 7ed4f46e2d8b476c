"""The group lasso over working sets: the conditions of optimality at the minima it finds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skgd import GDClassifier, GDRegressor
from skgd._solvers import working_sets
from skgd.losses import Huber, LogLoss, ModifiedHuber, Poisson, SquaredError, SquaredHinge
from skgd.penalties import Box, GroupLasso

RNG = np.random.default_rng(0)
N, D = 60, 200
X = RNG.normal(size=(N, D)) * RNG.choice([0.0, 0.0, 1.0], size=(N, D))
Z = X[:, :8] @ RNG.normal(size=8) + 0.1 * RNG.normal(size=N)
WEIGHTS = RNG.integers(0, 4, N).astype(float)
CLASSES = np.where(Z > 0, 1.0, -1.0)
TARGETS = {
    SquaredError(): Z, Huber(): Z, Poisson(): RNG.poisson(np.exp(0.3 * Z)).astype(float),
    LogLoss(): CLASSES, SquaredHinge(): CLASSES, ModifiedHuber(): CLASSES,
}  # fmt: skip
# Columns of unequal groups next to others, in any order; the last column is in none.
ORDER = np.append(np.random.default_rng(1).permutation(D - 1), D - 1)
GROUPS = [list(group) for group in np.split(ORDER[:-1], [1, 4, 9, 10, *range(20, D - 1, 7)])]
TIGHT = {"tol": 1e-9, "max_iter": 10_000}


@pytest.fixture(autouse=True)
def descents(monkeypatch):
    """Return a list of the descents over working sets."""
    calls, minimise = [], working_sets.minimise
    monkeypatch.setattr(
        working_sets, "minimise", lambda *a, **k: calls.append(a) or minimise(*a, **k)
    )
    return calls


def assert_is_minimum(slope, w, alpha, *, groups=GROUPS, weights=None, atol=1e-6):
    """Check the subgradients of a mean loss with the gradient `slope` and the group lasso."""
    weights, zeros = np.ones(len(w)) if weights is None else weights, 0
    for group in [*groups, *([j] for j in set(range(len(w))) - set(np.concatenate(groups)))]:
        pull = alpha * np.sqrt(len(group)) * weights[group]
        if w[group].any():
            length = np.linalg.norm(weights[group] * w[group])
            expected = -pull * weights[group] * w[group] / length
            assert_allclose(slope[group], expected, atol=atol)
        else:
            zeros += 1
            assert np.linalg.norm(slope[group] / pull) <= 1.0 + atol / pull.min()
    assert 0 < zeros < len(groups)


@pytest.mark.parametrize("storage", ["dense", "CSR", "float32"])
@pytest.mark.parametrize("loss", list(TARGETS), ids=repr)
def test_subgradients_are_zero_at_the_minimum(loss, storage, descents):
    y = TARGETS[loss]
    rows = {"dense": np.asarray, "CSR": sparse.csr_array, "float32": np.float32}[storage](X)
    kind = GDClassifier if loss.task == "classification" else GDRegressor
    tol = {"tol": 1e-5} if storage == "float32" else {}
    model = kind(loss, penalty=GroupLasso(GROUPS), alpha=0.02, **{**TIGHT, **tol})
    model.fit(rows, y, WEIGHTS)
    assert descents
    assert model.converged_
    assert model.optimality_ <= 1e-4
    w = np.ravel(model.coef_).astype(float)
    slopes = WEIGHTS * loss.gradient(y, X @ w + np.ravel(model.intercept_)) / WEIGHTS.sum()
    atol = 2e-4 if storage == "float32" else 1e-6
    assert abs(slopes.sum()) < atol
    assert_is_minimum(X.T @ slopes, w, 0.02, atol=atol)


@pytest.mark.parametrize("shift", [0.0, 50.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_columns_of_any_scale_mean_and_weight(fit_intercept, shift):
    scale = 10.0 ** np.random.default_rng(2).integers(-6, 7, D)
    rows = (X + shift) if fit_intercept else X
    settings = {"alpha": 0.05, "fit_intercept": fit_intercept, **TIGHT}
    plain = GDRegressor(penalty=GroupLasso(GROUPS), **settings).fit(rows, Z)
    slopes = (rows @ plain.coef_ + plain.intercept_ - Z) / N
    assert_is_minimum((X - X.mean(axis=0)).T @ slopes if fit_intercept else X.T @ slopes,
                      plain.coef_, 0.05)  # fmt: skip
    for layout in (np.asarray, sparse.csr_array):
        scaled = GDRegressor(penalty=GroupLasso(GROUPS, weights=scale), **settings)
        scaled.fit(layout(rows * scale), Z)
        assert_allclose(scaled.coef_ * scale, plain.coef_, atol=1e-6)


def test_constant_duplicate_and_free_columns(descents):
    rows = X.copy()
    rows[:, GROUPS[2][0]] = 3.0
    rows[:, GROUPS[3][0]] = 0.0
    rows[:, GROUPS[4][1]] = rows[:, GROUPS[4][0]]
    weights = np.ones(D)
    weights[GROUPS[1]] = [0.0, 2.0, 1.0]
    penalty = GroupLasso(GROUPS, weights=weights)
    model = GDRegressor(penalty=penalty, alpha=0.05, **TIGHT).fit(rows, Z)
    slope = rows.T @ (rows @ model.coef_ + model.intercept_ - Z) / N
    assert descents
    assert abs(slope[GROUPS[1][0]]) < 1e-6
    assert model.coef_[GROUPS[2][0]] == 0.0
    twins = model.coef_[GROUPS[4][:2]]
    assert_allclose(twins[0], twins[1], atol=1e-6)
    free = GROUPS[1][0]
    groups = [[j for j in group if j != free] for group in GROUPS]
    # The group keeps the size that it has in the penalty.
    weights[[j for j in GROUPS[1] if j != free]] *= np.sqrt(3 / 2)
    slope, w = np.delete(slope, free), np.delete(model.coef_, free)
    renumbered = [[j - (j > free) for j in group] for group in groups]
    assert_is_minimum(slope, w, 0.05, groups=renumbered, weights=np.delete(weights, free))


def test_outputs_are_fitted_as_if_alone(descents):
    targets = np.column_stack([Z, X[:, 20] - 2 * X[:, 21], -Z])
    settings = {"penalty": GroupLasso(GROUPS), "alpha": 0.03, **TIGHT}
    model = GDRegressor(**settings).fit(X, targets)
    assert descents
    for c in range(3):
        alone = GDRegressor(**settings).fit(X, targets[:, c])
        assert_allclose(model.coef_[c], alone.coef_, atol=1e-7)


def test_a_softmax_has_the_subgradients_of_its_minimum(descents):
    y = np.digitize(Z, np.quantile(Z, [0.3, 0.7]))
    model = GDClassifier(penalty=GroupLasso(GROUPS), alpha=0.02, **TIGHT).fit(X, y)
    slopes = (model.predict_proba(X) - np.eye(3)[y]) / N
    assert descents
    assert_allclose(slopes.sum(axis=0), 0.0, atol=1e-6)
    for slope, w in zip(slopes.T @ X, model.coef_, strict=True):
        assert_is_minimum(slope, w, 0.02)


def test_strongly_correlated_columns_end_at_the_minimum(descents):
    rows = np.cumsum(np.random.default_rng(3).normal(size=(300, 120)), axis=1)
    y = rows[:, 30] - rows[:, 80] + np.random.default_rng(4).normal(size=300)
    penalty = GroupLasso(np.arange(120).reshape(12, 10))
    settings = {"penalty": penalty, "alpha": 0.1, **TIGHT}
    model = GDRegressor(**settings).fit(rows, y)
    assert descents
    slope = rows.T @ (rows @ model.coef_ + model.intercept_ - y) / 300
    groups = [list(group) for group in penalty.groups]
    assert_is_minimum(slope, model.coef_, 0.1, groups=groups, atol=1e-5)


def test_groups_of_one_column_are_l1():
    single = GroupLasso([[j] for j in range(5)], weights=np.linspace(0.5, 2.0, D))
    model = GDRegressor(penalty=single, alpha=0.05, **TIGHT).fit(X, Z)
    slope = X.T @ (X @ model.coef_ + model.intercept_ - Z) / N
    each = [[j] for j in range(D)]
    assert_is_minimum(slope, model.coef_, 0.05, groups=each, weights=np.linspace(0.5, 2.0, D))


def test_bounds_on_groups_are_left_to_proximal_gradients(descents):
    model = GDRegressor(penalty=Box(0.0, None, GroupLasso(GROUPS)), alpha=0.02).fit(X, Z)
    assert not descents
    assert model.converged_
    assert model.coef_.min() == 0.0 < model.coef_.max()


def test_a_second_fit_from_the_minimum_takes_no_step():
    model = GDRegressor(penalty=GroupLasso(GROUPS), alpha=0.05, warm_start=True).fit(X, Z)
    before = model.coef_.copy()
    assert model.fit(X, Z).n_iter_ == 1
    assert_allclose(model.coef_, before, atol=1e-3)
