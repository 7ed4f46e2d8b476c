"""The ways to the minimum that cost less: the span of the rows, samples, old Hessians."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from skgd._quadratic import scale_rows
from sklearn.linear_model import Ridge

from skgd import GDClassifier, GDRegressor
from skgd._engine import value_and_gradient
from skgd._solvers import auto, hessian, lbfgs_start, newton, row_space, warm_start, woodbury
from skgd.penalties import L1, L2

RNG = np.random.default_rng(0)
N, D = 30, 120
WIDE = RNG.normal(size=(N, D)) * np.logspace(-3, 3, D) + np.linspace(-5.0, 5.0, D)
NUMBERS = WIDE @ (1.0 / np.logspace(-3, 3, D)) + RNG.normal(size=N)
CLASSES = np.digitize(NUMBERS, np.quantile(NUMBERS, [0.3, 0.7]))


def both_ways(monkeypatch, module, name, fit):
    """Return the models with and without a shortcut."""
    short = fit()
    monkeypatch.setattr(module, name, without[name])
    return short, fit()


without = {
    "in_row_space": lambda objective, loss, X: None,
    "descend_on_samples": lambda objective, loss, X, x, worth: (x, None),
}


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    "kind, y", [(GDRegressor, NUMBERS), (GDClassifier, CLASSES > 0), (GDClassifier, CLASSES)],
    ids=["numbers", "2 classes", "3 classes"],
)  # fmt: skip
def test_the_span_of_the_rows_has_the_minimum(kind, y, fit_intercept, make, monkeypatch):
    model = kind(
        alpha=0.01, tol=1e-10, fit_intercept=fit_intercept,
        penalty=L2(weights=np.linspace(0.5, 2.0, D)),
    )  # fmt: skip
    weights = np.arange(N) % 3
    short, long = both_ways(
        monkeypatch, auto, "in_row_space",
        lambda: dict(vars(model.fit(make(WIDE), y, sample_weight=weights))),
    )  # fmt: skip
    scale = WIDE.std(axis=0)
    assert_allclose(short["coef_"] * scale, long["coef_"] * scale, atol=1e-7)
    assert_allclose(short["intercept_"], long["intercept_"], rtol=1e-6, atol=1e-7)
    least = [way["history_"]["objective"][-1] for way in (short, long)]
    assert_allclose(*least, rtol=0, atol=1e-12 * np.var(NUMBERS))
    assert short["optimality_"] <= 1e-10


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("largest", [1.0, 1e3, 1e8])
def test_equations_over_the_rows_have_the_solution(largest, fit_intercept, make, monkeypatch):
    sizes = np.ones(D)
    sizes[:50] = np.logspace(-3, np.log10(largest), 50)
    X, weights = WIDE / np.logspace(-3, 3, D) * sizes, np.arange(N) % 3
    alphas = np.linspace(0.05, 0.2, D)
    model = GDRegressor(
        penalty=L2(weights=alphas / 0.1), alpha=0.1, tol=1e-10, fit_intercept=fit_intercept
    )
    monkeypatch.setattr(auto, "in_row_space", None)
    monkeypatch.setattr("skgd._solvers.duality_gap.AFFORDABLE", 0.0)  # what a descent knows costs nothing
    y = np.column_stack([NUMBERS, 1e6 + 1e3 * NUMBERS**2])
    model.fit(make(X), y, sample_weight=weights)
    # Augmented least squares, with the penalty as rows.
    share = np.sqrt(weights / weights.sum())[:, None]
    centred = X - share.T**2 @ X if fit_intercept else X
    ones = np.full((N, 1), float(fit_intercept))
    A = np.vstack([share * np.hstack([centred, ones]), np.diag(np.append(alphas, 0.0) ** 0.5)[:D]])
    b = np.vstack([share * y, np.zeros((D, 2))])
    scale = np.maximum(np.linalg.norm(A, axis=0), 1e-9)
    expected = (np.linalg.lstsq(A / scale, b, rcond=None)[0] / scale[:, None]).T[:, :D]
    margins = expected @ (share * centred).T
    assert_allclose(model.coef_ @ (share * centred).T, margins, atol=1e-9 * np.abs(margins).max())
    sizes = np.sqrt(alphas) * expected, np.sqrt(alphas) * model.coef_
    assert_allclose(*np.linalg.norm(sizes, axis=2), rtol=1e-8)
    assert model.converged_
    assert 0.0 <= model.optimality_ <= 1e-12 * np.var(y)


def test_more_columns_than_rows_reach_an_exact_solution():
    assert_allclose(
        GDRegressor(alpha=0.1 / N).fit(WIDE, NUMBERS).coef_,
        Ridge(alpha=0.1, solver="svd").fit(WIDE, NUMBERS).coef_, rtol=1e-6, atol=1e-9,
    )  # fmt: skip


@pytest.mark.parametrize(
    "parameters", [{"alpha": 0.0}, {"penalty": L2(weights=[0.0] + [1.0] * (D - 1))},
                   {"penalty": L1()}, {"positive": True}, {"precondition": None}],
    ids=str,
)  # fmt: skip
def test_without_a_square_on_every_column_the_span_is_not_enough(parameters, monkeypatch):
    taken = []
    found = row_space.in_row_space
    monkeypatch.setattr(auto, "in_row_space", lambda *a: taken.append(found(*a)) or taken[-1])
    monkeypatch.setattr("skgd._solvers.duality_gap.AFFORDABLE", 0.0)  # which would take many steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        GDRegressor(max_iter=1, **parameters).fit(WIDE, NUMBERS)
    assert taken == [None]


@pytest.mark.parametrize("k", [2, 3])
def test_samples_change_the_way_alone(k, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 3)) * [1.0, 100.0, 0.01] + [0.0, 1e3, 1.0]
    margins = (X - [0.0, 1e3, 1.0]) / [1.0, 100.0, 0.01]
    y = np.digitize(margins.sum(axis=1) + rng.logistic(size=6000), [0.0, 1.0][:k - 1])
    model = GDClassifier(tol=1e-10)
    short, long = both_ways(
        monkeypatch, auto, "descend_on_samples", lambda: dict(vars(model.fit(X, y)))
    )
    assert short["n_iter_"] < long["n_iter_"]
    scale = [1.0, 100.0, 0.01]
    assert_allclose(short["coef_"] * scale, long["coef_"] * scale, atol=1e-8)


@pytest.mark.parametrize("products", [(0.0, 0.0), (15.0, 100.0)], ids=["few", "many"])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("kind, y", [
    (GDClassifier(), CLASSES > 0), (GDClassifier(), CLASSES), (GDRegressor("huber"), NUMBERS),
], ids=["2 classes", "3 classes", "huber"])  # fmt: skip
def test_gradients_first_change_the_way_alone(kind, y, make, products, monkeypatch):
    X = make(WIDE[:, 40:80])
    model = kind.set_params(alpha=0.01, tol=1e-10)
    expected = dict(vars(model.fit(X, y)))
    monkeypatch.setattr(lbfgs_start, "MANY", 0.0)
    monkeypatch.setattr(lbfgs_start, "PRODUCTS", products)
    taken, start = [], lbfgs_start.Gradients
    monkeypatch.setattr(auto, "Gradients", lambda passes: taken.append(passes) or start(passes))
    model.fit(X, y)
    assert taken
    scale = WIDE[:, 40:80].std(axis=0)
    assert_allclose(model.coef_ * scale, expected["coef_"] * scale, rtol=1e-6, atol=1e-7)
    assert model.converged_


def test_gradients_give_way_where_they_lead_on_slowly(monkeypatch):
    # Columns that nearly depend on one another: L-BFGS alone takes more steps than are left.
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.normal(size=(200, 30)), axis=1)
    y = X[:, 3] - X[:, 17] + rng.logistic(size=200) > 0
    expected = GDClassifier().fit(X, y)
    monkeypatch.setattr(lbfgs_start, "MANY", 0.0)
    model = GDClassifier(max_iter=60).fit(X, y)
    assert model.converged_
    first, *_, last = model.history_["objective"]
    least = expected.history_["objective"][-1]
    assert last - least <= 1e-6 * (first - least)


def test_a_sample_that_misleads_is_forgotten(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 2))
    y = X[:, 0] > 0
    # The rows that are drawn first have the other labels.
    first = np.random.default_rng(0).choice(len(y), len(y) // warm_start.GROWTH, replace=False)
    y[first] = ~y[first]
    model = GDClassifier(tol=1e-10).fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr(auto, "descend_on_samples", without["descend_on_samples"])
        expected = GDClassifier(tol=1e-10).fit(X, y)
    assert model.n_iter_ == expected.n_iter_
    assert_array_equal(model.coef_, expected.coef_)


@pytest.mark.parametrize("k", [2, 3])
def test_a_costly_hessian_is_used_again(k, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 40)) * np.logspace(-3, 3, 40) + 10.0
    margins = 2.0 * ((X - 10.0) / np.logspace(-3, 3, 40))[:, :k].sum(axis=1)
    y = np.digitize(margins + rng.logistic(size=3000), [0.0, 2.0][:k - 1])
    made = []

    class Counted(hessian.Curvature):
        def __init__(self, *args):
            made.append(self)
            super().__init__(*args)

    def fit():
        made.clear()
        model = GDClassifier(alpha=0.01, tol=1e-11).fit(X, y)
        return model, len(made)

    monkeypatch.setattr(woodbury, "Curvature", Counted)
    monkeypatch.setattr(hessian, "COSTLY", 1e6)
    model, several = fit()
    monkeypatch.setattr(hessian, "COSTLY", np.inf)
    expected, each = fit()
    assert several < each
    scale = X.std(axis=0)
    assert_allclose(model.coef_ * scale, expected.coef_ * scale, atol=1e-9)
    assert model.optimality_ <= 1e-12


def test_secants_on_a_quadratic_are_conjugate_gradients():
    # With exact line searches both reach the minimum in as many steps as there are parameters.
    hessian = np.diag(np.logspace(0.0, 2.0, 6))
    known = SimpleNamespace(precondition=lambda row: row / np.linspace(1.0, 2.0, 6))
    x, secants = np.ones(6), newton.Secants()
    for _ in range(6):
        move, fall = secants.step(known, hessian @ x)
        assert_allclose(fall, -(hessian @ x) @ move)
        step = fall / (move @ hessian @ move)
        secants.add(step * move, step * hessian @ move)
        x = x + step * move
    assert_allclose(x, 0.0, atol=1e-12)


def test_a_certificate_at_rounding_looks_at_few_points(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    model = GDClassifier(tol=1e-12).fit(X, X[:, 0] + rng.logistic(size=300) > 0)
    calls = []

    def counted(*args, **kwargs):
        calls.append(1)
        return value_and_gradient(*args, **kwargs)

    monkeypatch.setattr("skgd._objective.objective.value_and_gradient", counted)
    assert model.optimality(X, X[:, 0] > 0) >= 0.0
    del calls[:]
    y = model.predict(X)
    assert model.fit(X, y, sample_weight=np.ones(300)).optimality_ < 1e-10
    assert len(calls) < 60


def test_scaled_rows_are_those_of_numpy():
    rng = np.random.default_rng(0)
    rows, mean, scale = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=4)
    factors, out = rng.normal(size=(5, 2)), np.empty((5, 8))
    scale_rows(rows, mean, scale, factors, out)
    expected = np.column_stack([rows - mean, np.ones(5)]) * scale
    assert_allclose(out.reshape(5, 2, 4), factors[:, :, None] * expected[:, None])
    with pytest.raises(ValueError, match="scale: got 5 numbers for 3 columns"):
        scale_rows(rows, mean, np.ones(5), factors, np.empty((5, 10)))
