"""Losses with kinks, and working sets, along alphas: each fit starts where the last one ended."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import GridSearchCV, KFold

from skgd import GDClassifier, GDRegressor, GDSearchCV

ALPHAS = {"alpha": np.geomspace(1.0, 1e-3, 4)}
RNG = np.random.default_rng(0)
WIDE = RNG.normal(size=(120, 900))
SIDES = (WIDE[:, :5].sum(axis=1) + RNG.normal(size=120) > 0).astype(int)
DIABETES, CANCER = (load(return_X_y=True) for load in (load_diabetes, load_breast_cancer))


def check_scores(estimator, X, y, near=1e-4, scoring=None):
    """Compare the scores of a search with those of a search one by one."""
    cv = KFold(2, shuffle=True, random_state=0)
    ours, peer = (
        kind(estimator, ALPHAS, cv=cv, scoring=scoring, refit=False).fit(X, y)
        for kind in (GDSearchCV, GridSearchCV)
    )
    for key in ("split0_test_score", "split1_test_score"):
        assert_allclose(ours.cv_results_[key], peer.cv_results_[key], atol=near)
    assert set(ours.cv_results_["stop_reason"]) <= {"tol", "precision"}


@pytest.mark.parametrize("loss", ["absolute_error", "quantile", "epsilon_insensitive"])
def test_regressions_with_kinks(loss):
    check_scores(GDRegressor(loss), *DIABETES)


@pytest.mark.parametrize("kind", [np.asfortranarray, np.float32, sparse.csr_matrix])
def test_kinds_of_rows(kind):
    check_scores(GDRegressor("absolute_error"), kind(DIABETES[0]), DIABETES[1])


@pytest.mark.parametrize("penalty", [{"penalty": "l1"}, {"positive": True}])
def test_kinks_of_penalties(penalty):
    check_scores(GDRegressor("quantile", tol=1e-6, **penalty), DIABETES[0][:150], DIABETES[1][:150])


def test_several_outputs():
    X, y = DIABETES[0][:150], DIABETES[1][:150]
    y = np.column_stack([y, 1e-3 * y[::-1]])
    check_scores(GDRegressor("absolute_error"), X, y)


def test_the_intercept_does_not_depend_on_the_start():
    """With a strong penalty and an even number of rows, a whole interval of them is best."""
    X, y = DIABETES
    grid, cv = {"alpha": [1e3, 3e2, 1e2]}, [(np.arange(200), np.arange(200, 442))]
    search = GDSearchCV(
        GDRegressor("absolute_error"), grid, cv=cv, scoring="neg_mean_absolute_error", refit=False
    ).fit(X, y)  # fmt: skip
    for alpha, score in zip(grid["alpha"], search.cv_results_["mean_test_score"], strict=True):
        model = GDRegressor("absolute_error", alpha=alpha).fit(X[:200], y[:200])
        assert_allclose(score, -np.abs(model.predict(X[200:]) - y[200:]).mean(), rtol=1e-9)


@pytest.mark.parametrize("rows", [WIDE, sparse.csr_matrix(np.where(WIDE > 0.5, WIDE, 0.0))])
def test_hinge_on_many_columns(rows):
    check_scores(GDClassifier("hinge", tol=1e-6), rows, SIDES, near=0.02)


def test_hinge_on_few_columns():
    check_scores(GDClassifier("hinge"), *CANCER, near=0.004)


def test_log_loss_with_l1_on_many_columns():
    rows = sparse.csr_matrix(np.where(np.abs(WIDE) > 1.0, WIDE, 0.0))
    rows = sparse.hstack([rows, rows[:, ::-1]], format="csr")
    model = GDClassifier(penalty="l1", tol=1e-6)
    check_scores(model, rows, SIDES, near=5e-4, scoring="neg_log_loss")


def test_the_same_bits_for_any_n_jobs():
    one, two = (
        GDSearchCV(GDClassifier("hinge"), ALPHAS, cv=3, n_jobs=n_jobs, refit=False).fit(WIDE, SIDES)
        for n_jobs in (1, 2)
    )
    assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
