"""Squared errors with l1 on many columns: points of paths over few of them, equal to fits."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from searches import models_of
from sklearn.base import clone
from sklearn.linear_model import ElasticNet
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skgd import GDRegressor, GDSearchCV
from skgd.penalties import L1, Box

# More columns than a Gram matrix of all of them has.
N, D = 60, 1600
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)) + RNG.normal(size=(N, 1))
Y = X[:, :5] @ np.arange(1.0, 6.0) + 0.5 * RNG.normal(size=N) + 3.0
ROWS = sparse.random_array((N, D), density=0.1, rng=RNG, format="csr")
ALPHAS = {"alpha": [3.0, 0.3, 0.1]}
MODEL = GDRegressor(penalty="l1")
MIXED = GDRegressor(penalty="elasticnet", l1_ratio=0.7)


def distance(model, X, y, weights, alpha, l1=1.0, ridge=0.0, lower=-np.inf, upper=np.inf):
    """Return how far coordinates are from their own minima, in units of the targets' spread."""
    X, coef = np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=float), model.coef_
    shares = weights / weights.sum()
    centre = shares @ X if model.fit_intercept else 0.0
    residuals = y - (X - centre) @ coef - (model.intercept_ + np.sum(centre * coef))
    curvature = shares @ (X - centre) ** 2
    slopes = (shares * residuals) @ (X - centre)
    moved = coef * curvature + slopes
    moved = np.sign(moved) * np.maximum(np.abs(moved) - alpha * l1, 0.0)
    moved = np.divide(moved, curvature + alpha * ridge, out=np.zeros(len(coef)),
                      where=curvature > 0)  # fmt: skip
    steps = np.abs(np.clip(moved, lower, upper) - coef) * np.sqrt(curvature)
    slope = abs(shares @ residuals) if model.fit_intercept else 0.0
    return max(steps.max(), slope) / np.std(y)


def check_models(estimator, X, y=Y, cv=2, grid=ALPHAS, sample_weight=None, near=1e-7, **penalty):
    """Check that a path's models are at the minimum of the objective on the rows of each fold."""
    cv = KFold(cv) if isinstance(cv, int) else cv
    splits = cv if isinstance(cv, list) else list(cv.split(X))
    search = GDSearchCV(estimator, grid, cv=cv)
    params = {} if sample_weight is None else {"sample_weight": sample_weight}
    models = models_of(search, X, y, **params)
    # Fit times are shares of a path's.
    assert len(set(np.round(search.cv_results_["mean_fit_time"], 12))) == 1
    weights = np.ones(len(y)) if sample_weight is None else sample_weight
    for i, model in enumerate(models):
        train, _ = splits[i // len(grid["alpha"])]
        alpha = grid["alpha"][i % len(grid["alpha"])]
        assert distance(model, X[train], y[train], weights[train], alpha, **penalty) <= near
        assert model.stop_reason_ == "tol"
        assert model.converged_


@pytest.mark.parametrize("rows", [X, ROWS], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "estimator, penalty",
    [
        (MODEL, {}),
        (MIXED, {"l1": 0.7, "ridge": 0.3}),
        (GDRegressor(penalty="l1", positive=True), {"lower": 0.0}),
        (GDRegressor(penalty="l1", fit_intercept=False), {}),
        (GDRegressor(penalty=L1(np.linspace(0.5, 2.0, D))), {"l1": np.linspace(0.5, 2.0, D)}),
        (GDRegressor(penalty=Box(-0.5, 3.0, L1())), {"lower": -0.5, "upper": 3.0}),
    ],
)
def test_models_are_minima(estimator, penalty, rows):
    weights = np.random.default_rng(1).integers(0, 3, N).astype(float)
    check_models(estimator, rows, sample_weight=weights, **penalty)


def test_models_are_those_of_scikit_learn():
    train, rows = np.arange(N // 2), ROWS
    models = models_of(GDSearchCV(MIXED, ALPHAS, cv=[(train, train + N // 2)]), rows, Y)
    for model, alpha in zip(models, ALPHAS["alpha"], strict=True):
        peer = ElasticNet(alpha=alpha, l1_ratio=0.7, tol=1e-10, max_iter=100_000)
        assert_allclose(model.coef_, peer.fit(rows[train], Y[train]).coef_, atol=1e-5)


def test_explicit_zeros_and_single_precision():
    rows = ROWS.copy()
    rows.data[::3] = 0.0
    path = models_of(GDSearchCV(MODEL, ALPHAS, cv=2), rows, Y)
    rows.eliminate_zeros()
    for model, other in zip(path, models_of(GDSearchCV(MODEL, ALPHAS, cv=2), rows, Y), strict=True):
        assert_allclose(model.coef_, other.coef_, atol=1e-9)
    for kind in (X, ROWS):
        check_models(MODEL, kind.astype(np.float32), near=1e-5)


def test_columns_of_very_different_scales():
    scales = 10.0 ** np.linspace(-10, 10, D)
    model = GDRegressor(penalty=L1(scales))
    check_models(model, X * scales, l1=scales)
    check_models(model, ROWS.multiply(scales).tocsr(), l1=scales)


def assert_scores_match(rows, near, y=Y):
    """Compare scores with those of a search one by one, which what falls back agrees with."""
    model = clone(MODEL).set_params(tol=1e-8)
    ours, peer = (kind(model, {"alpha": [0.5]}, cv=2, refit=False).fit(rows, y)
                  for kind in (GDSearchCV, GridSearchCV))  # fmt: skip
    for key in ("split0_test_score", "split1_test_score"):
        assert_allclose(ours.cv_results_[key], peer.cv_results_[key], rtol=near)


def test_columns_that_lie_far_off():
    check_models(MODEL, X + 1e6, near=1e-6)
    assert_scores_match(sparse.csr_matrix(np.where(np.arange(D) < 3, X + 1e4, ROWS.toarray())), 0)


def test_duplicated_and_constant_columns():
    rows = np.column_stack([X, X[:, :4], np.ones(N), np.zeros(N)])
    check_models(MODEL, rows)
    check_models(MODEL, sparse.csr_matrix(np.where(rows == 0, 0, rows)))


def test_a_row_of_huge_numbers_in_one_fold():
    rows = X.copy()
    rows[7] = 1e9
    (held_out, _) = KFold(2).split(rows)
    check_models(MODEL, rows, cv=[held_out])
    # Among the rows to train on, it hides the others of the columns that have it.
    rows = X.copy()
    rows[7, :3] = 1e9
    for kind in (rows, sparse.csr_matrix(rows)):
        scores = GDSearchCV(MODEL, ALPHAS, cv=2, refit=False).fit(kind, Y).cv_results_
        assert np.isfinite(scores["mean_test_score"]).all()


@pytest.mark.parametrize(
    "cv", [RepeatedKFold(n_splits=2, n_repeats=2, random_state=0), TimeSeriesSplit(3),
           ShuffleSplit(2, random_state=0)], ids=lambda cv: type(cv).__name__,
)  # fmt: skip
def test_splitters(cv):
    for rows in (X, ROWS):
        check_models(MODEL, rows, cv=cv, grid={"alpha": [0.5]})


@pytest.mark.parametrize("alphas", [[0.2], [0.1, 3.0, 0.1, 100.0]])
def test_alphas_in_any_order_and_number(alphas):
    for rows in (X, ROWS):
        check_models(MODEL, rows, grid={"alpha": alphas})


@pytest.mark.parametrize(
    "estimator, penalty",
    [
        (MODEL, {}),
        (MIXED, {"l1": 0.7, "ridge": 0.3}),
        (GDRegressor(penalty="l1", positive=True, fit_intercept=False), {"lower": 0.0}),
        (GDRegressor(penalty=Box(-0.5, 3.0, L1())), {"lower": -0.5, "upper": 3.0}),
    ],
)
@pytest.mark.parametrize("alphas", [[1e-4], [1e-4, 1e-2]])
def test_almost_as_many_coefficients_as_sparse_rows(estimator, penalty, alphas):
    rng = np.random.default_rng(0)
    X = sparse.random_array((150, D), density=0.1, rng=rng, format="csr", data_sampler=rng.normal)
    y = X[:, :20] @ rng.normal(size=20) + 0.1 * rng.normal(size=150)
    weights = rng.integers(0, 4, 150).astype(float)
    grid = {"alpha": alphas}
    check_models(estimator, X, y, grid=grid, sample_weight=weights, **penalty)


def test_an_alpha_of_zero():
    search = GDSearchCV(MODEL, {"alpha": [1.0, 0.0]}, cv=2, refit=False)
    for rows in (X, ROWS):
        assert np.isfinite(search.fit(rows, Y).cv_results_["mean_test_score"]).all()


def test_the_same_bits_for_any_n_jobs():
    for rows in (X, ROWS):
        one, other = (
            GDSearchCV(MODEL, ALPHAS, n_jobs=n, refit=False).fit(rows, Y) for n in (1, 2)
        )
        assert_array_equal(one.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"])


def test_pipelines_and_paths_on_all_rows():
    steps, grid = make_pipeline(MaxAbsScaler(), MODEL), {"gdregressor__alpha": [0.03, 0.01]}
    search = GDSearchCV(steps, grid, cv=2, return_path=True).fit(ROWS, Y)
    scaled, path = MaxAbsScaler().fit_transform(ROWS), search.path_
    for alpha, coef, intercept in zip(*(path[k] for k in ("alpha", "coef", "intercept")),
                                      strict=True):  # fmt: skip
        model = SimpleNamespace(coef_=coef, intercept_=intercept, fit_intercept=True)
        assert distance(model, scaled, Y, np.ones(N), alpha) <= 1e-7
