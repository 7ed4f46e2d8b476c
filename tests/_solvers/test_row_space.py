"""More columns than rows: the span of the rows and the Woodbury identity have the minimum."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from skgd import GDClassifier, GDRegressor
from skgd._solvers import row_space, row_span
from skgd._solvers.costs import Gap
from skgd.penalties import L1, L2

RNG = np.random.default_rng(0)
N, D = 30, 120
WIDE = RNG.normal(size=(N, D)) * np.logspace(-3, 3, D) + np.linspace(-5.0, 5.0, D)
NUMBERS = WIDE @ (1.0 / np.logspace(-3, 3, D)) + RNG.normal(size=N)
CLASSES = np.digitize(NUMBERS, np.quantile(NUMBERS, [0.3, 0.7]))


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
    short = dict(vars(model.fit(make(WIDE), y, sample_weight=weights)))
    monkeypatch.setattr(row_space, "in_row_space", lambda objective: None)
    long = dict(vars(model.fit(make(WIDE), y, sample_weight=weights)))
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
    monkeypatch.setattr(row_space, "in_row_space", lambda objective: None)
    monkeypatch.setattr(Gap, "affordable", 0.0)  # what a descent knows costs nothing
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


EVEN = RNG.normal(size=(N, D)) + np.linspace(-5.0, 5.0, D)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    "kind, y", [(GDRegressor, NUMBERS), (GDRegressor, np.column_stack([NUMBERS, NUMBERS**2])),
                (GDClassifier, CLASSES > 0), (GDClassifier, CLASSES)],
    ids=["numbers", "2 outputs", "2 classes", "3 classes"],
)  # fmt: skip
def test_even_columns_need_no_orthogonal_basis(kind, y, fit_intercept, make, monkeypatch):
    model = kind(alpha=0.01, tol=1e-10, fit_intercept=fit_intercept)
    weights = np.arange(N) % 3 + 1.0
    monkeypatch.setattr(row_span.QRSpan, "of", None)
    short = dict(vars(model.fit(make(EVEN), y, sample_weight=weights)))
    monkeypatch.setattr(row_space, "in_row_space", lambda objective: None)
    long = dict(vars(model.fit(make(EVEN), y, sample_weight=weights)))
    assert_allclose(short["coef_"], long["coef_"], rtol=1e-6, atol=1e-9)
    assert_allclose(short["intercept_"], long["intercept_"], rtol=1e-6, atol=1e-8)
    assert 0.0 <= short["optimality_"] <= 1e-9 * np.var(y)


@pytest.mark.parametrize("change", [0.0, 1e-9, 1e-5])
def test_rows_that_are_nearly_the_same_keep_their_digits(change):
    X = EVEN.copy()
    X[1] = X[0] * (1.0 + change)
    classes = (CLASSES > 0).astype(int)
    expected = LogisticRegression(C=1 / (0.01 * N), solver="newton-cholesky", tol=1e-12)
    model = GDClassifier(alpha=0.01, tol=1e-10).fit(X, classes)
    assert_allclose(model.coef_, expected.fit(X, classes).coef_, rtol=1e-6, atol=1e-9)


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
    asked, suits = [], row_space.suits
    monkeypatch.setattr(row_space, "suits", lambda *a: asked.append(suits(*a)) or asked[-1])
    monkeypatch.setattr(Gap, "affordable", 0.0)  # which would take many steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        GDRegressor(max_iter=1, **parameters).fit(WIDE, NUMBERS)
    assert asked == [False]
