"""The augmented Lagrangian method: the minima that linear and quadratic programs have."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, sparse
from sklearn.exceptions import ConvergenceWarning

from skgd import GDClassifier, GDRegressor
from skgd._solvers import augmented_lagrangian, auto, interior_point
from skgd._solvers.costs import Multipliers
from skgd.losses import AbsoluteError, EpsilonInsensitive, Hinge, Quantile
from skgd.penalties import Box

RNG = np.random.default_rng(0)
N, D, ALPHA = 120, 60, 0.02
X = RNG.normal(size=(N, D)) * RNG.choice([0.0, 1.0], size=(N, D))
Z = X[:, :6] @ RNG.normal(size=6) + 0.5 * RNG.standard_t(2, size=N)
WEIGHTS = RNG.integers(0, 4, N).astype(float)
CLASSES = np.where(Z > 0.3, 1.0, -1.0)
LOSSES = Hinge(), AbsoluteError(), EpsilonInsensitive(0.3), Quantile(0.8)


@pytest.fixture(autouse=True)
def chosen(monkeypatch):
    """Let the method descend alone; return how many descents there were."""
    calls, minimise = [], augmented_lagrangian.minimise

    def counted(*args, **kwargs):
        calls.append(args)
        return minimise(*args, **kwargs)

    monkeypatch.setattr(augmented_lagrangian, "minimise", counted)
    monkeypatch.setattr(auto, "SOLVERS", (augmented_lagrangian,))
    monkeypatch.setattr(Multipliers, "most_free", 1.0)
    return calls


def targets_of(loss):
    return CLASSES if loss.task == "classification" else Z


def estimator(loss, **settings):
    kind = GDClassifier if loss.task == "classification" else GDRegressor
    return kind(loss, **{"penalty": "l1", "alpha": ALPHA, **settings})


def linear_program(loss, y, weights, *, alpha=ALPHA, bounds=(None, None), fit_intercept=True):
    """Return the minimum of ``mean loss + alpha |w|_1`` within bounds, by scipy's solver.

    Rows are constraints ``t >= slope (z - kink)``, one for each piece with a slope.
    """
    n, d = X.shape
    pieces = {
        "Hinge": [(-1.0 * y, y)],
        "AbsoluteError": [(-np.ones(n), y), (np.ones(n), y)],
        "EpsilonInsensitive": [(-np.ones(n), y - 0.3), (np.ones(n), y + 0.3)],
        "Quantile": [(np.full(n, -0.8), y), (np.full(n, 0.2), y)],
    }[type(loss).__name__]
    margins = np.hstack([X, -X, np.full((n, 1), float(fit_intercept))])
    rows = [np.hstack([slope[:, None] * margins, -np.eye(n)]) for slope, _ in pieces]
    low, high = bounds
    signs = [(max(low or 0.0, 0.0), high)] * d + [(0.0, None if low is None else -low)] * d
    return optimize.linprog(
        np.concatenate([np.full(2 * d, alpha), [0.0], weights / weights.sum()]),
        np.vstack(rows), np.concatenate([slope * kink for slope, kink in pieces]),
        bounds=[*signs, (None, None), *[(0.0, None)] * n],
    ).fun  # fmt: skip


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_minimum_is_that_of_a_linear_program(loss, storage, chosen):
    y = targets_of(loss)
    model = estimator(loss, tol=1e-7).fit(storage(X), y, WEIGHTS)
    expected = linear_program(loss, y, WEIGHTS)
    assert chosen
    assert model.converged_
    assert_allclose(model.history_["objective"][-1], expected, rtol=3e-7)
    assert model.optimality_ <= 1e-7
    assert 0 < np.count_nonzero(model.coef_) < D


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_default_tol_bounds_the_gap(loss):
    y = targets_of(loss)
    model = estimator(loss).fit(X, y)
    missing = model.history_["objective"][-1] - linear_program(loss, y, np.ones(N))
    constant = model.history_["objective"][0] + 1.0
    assert -1e-9 <= missing <= model.optimality_ <= 1e-4 * constant


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_without_an_intercept(loss):
    y = targets_of(loss)
    model = estimator(loss, fit_intercept=False, tol=1e-7).fit(X, y)
    expected = linear_program(loss, y, np.ones(N), fit_intercept=False)
    assert_allclose(model.history_["objective"][-1], expected, rtol=3e-7)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_bounds(loss):
    y = targets_of(loss)
    model = estimator(loss, penalty=Box(-0.1, 0.2), tol=1e-7).fit(X, y)
    expected = linear_program(loss, y, np.ones(N), alpha=0.0, bounds=(-0.1, 0.2))
    assert_allclose(model.history_["objective"][-1], expected, rtol=3e-7)
    assert model.coef_.min() == -0.1
    assert model.coef_.max() == 0.2


def test_positive_coefficients():
    model = GDRegressor("absolute_error", penalty="l1", alpha=ALPHA, positive=True, tol=1e-7)
    model.fit(X, Z)
    expected = linear_program(AbsoluteError(), Z, np.ones(N), bounds=(0.0, None))
    assert_allclose(model.history_["objective"][-1], expected, rtol=3e-7)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_elastic_nets_satisfy_their_duality_gap(loss):
    settings = {"penalty": "elasticnet", "l1_ratio": 0.5, "tol": 1e-6}
    dense, csr = (
        estimator(loss, **settings).fit(rows, targets_of(loss))
        for rows in (X, sparse.csr_array(X))
    )
    assert dense.optimality_ <= 2e-6
    assert_allclose(
        dense.history_["objective"][-1], csr.history_["objective"][-1], rtol=5e-6
    )


def test_outputs_and_quantiles_are_each_by_themselves():
    together = GDRegressor(Quantile([0.8, 0.2]), penalty="l1", alpha=ALPHA, tol=1e-7).fit(X, Z)
    expected = sum(linear_program(Quantile(0.8), y, np.ones(N)) for y in (Z, -Z))
    assert_allclose(together.history_["objective"][-1], expected, rtol=3e-7)


def test_single_precision():
    model = estimator(Hinge()).fit(X.astype(np.float32), CLASSES)
    assert model.coef_.dtype == np.float32
    expected = linear_program(Hinge(), CLASSES, np.ones(N))
    assert_allclose(model.history_["objective"][-1], expected, rtol=2e-4)


def test_a_fit_that_is_cut_short_says_how_far_the_minimum_may_be():
    with pytest.warns(ConvergenceWarning, match="above its minimum") as caught:
        model = estimator(Hinge(), max_iter=3).fit(X, CLASSES)
    assert f"{model.optimality_:.2g}" in str(caught[0].message)
    missing = model.history_["objective"][-1] - linear_program(Hinge(), CLASSES, np.ones(N))
    assert 0.0 < missing <= model.optimality_


@pytest.mark.parametrize(("alpha", "gives_up"), [(1e-3, True), (0.1, False)])
def test_where_most_coefficients_are_free_the_interior_point_method_takes_over(
    alpha, gives_up, monkeypatch
):
    calls, descend = [], interior_point.minimise
    monkeypatch.setattr(
        interior_point, "minimise", lambda *args: calls.append(args) or descend(*args)
    )
    monkeypatch.setattr(Multipliers, "most_free", 0.5)
    model = estimator(AbsoluteError(), alpha=alpha).fit(X, Z)
    assert bool(calls) == gives_up
    assert model.converged_
    expected = linear_program(AbsoluteError(), Z, np.ones(N), alpha=alpha)
    assert_allclose(model.history_["objective"][-1], expected, rtol=1e-10 if gives_up else 3e-4)


def test_no_coefficient_where_l1_is_too_strong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = estimator(AbsoluteError(), alpha=10.0).fit(X, Z)
    assert not model.coef_.any()
    assert model.optimality_ <= 1e-9


def test_constant_columns_are_no_free_coefficients(monkeypatch):
    calls, descend = [], interior_point.minimise
    monkeypatch.setattr(
        interior_point, "minimise", lambda *args: calls.append(args) or descend(*args)
    )
    monkeypatch.setattr(Multipliers, "most_free", 0.5)
    wide = sparse.csr_array(np.hstack([X, np.zeros((N, 4 * D))]))
    model = estimator(Hinge(), alpha=0.1, tol=1e-6).fit(wide, CLASSES)
    assert not calls and not model.coef_[:, D:].any()
    narrow = estimator(Hinge(), alpha=0.1, tol=1e-6).fit(wide[:, :D], CLASSES)
    assert_allclose(model.coef_[:, :D], narrow.coef_, atol=1e-4)


def test_the_interior_point_method_has_no_system_of_constant_columns(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(auto, "SOLVERS", (interior_point,))
    wide = np.hstack([X[:30], np.zeros((30, 3000))])
    model, narrow = (
        estimator(Hinge(), tol=1e-8).fit(rows, CLASSES[:30]) for rows in (wide, X[:30])
    )
    assert not model.coef_[:, D:].any()
    assert_allclose(model.coef_[:, :D], narrow.coef_, atol=1e-12)
    assert model.n_iter_ == narrow.n_iter_
