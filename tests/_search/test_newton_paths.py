"""Smooth losses along alphas: points of paths that share Hessians, as good as fits one by one."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd.penalties import L1, L2, Box

DIABETES, CANCER, IRIS = (
    load(return_X_y=True) for load in (load_diabetes, load_breast_cancer, load_iris)
)
# Their parameters together are too many for one Hessian.
LABELS = np.arange(240) % 40
MANY = np.random.default_rng(0).normal(size=(40, 26))[LABELS], LABELS
MANY[0][...] += np.random.default_rng(1).normal(size=(240, 26))
ALPHAS = {"alpha": np.geomspace(10.0, 1e-4, 4)}


def check_scores(estimator, X, y, near=1e-5, scoring=None, **params):
    """Compare the losses of a path's models on held-out rows with those of converged fits."""
    knows_chances = getattr(estimator, "loss", None) == "log_loss"
    scoring = scoring or ("neg_log_loss" if knows_chances else None)
    cv = StratifiedKFold(2) if isinstance(estimator, GDClassifier) else KFold(2)
    search = GDSearchCV(estimator, ALPHAS, cv=cv, scoring=scoring, refit=False)
    search.fit(X, y, **params)
    # Fit times are shares of a path's.
    assert len(set(np.round(search.cv_results_["mean_fit_time"], 12))) == 1
    exact = clone(estimator).set_params(tol=1e-9)
    peer = GridSearchCV(exact, ALPHAS, cv=cv, scoring=scoring, refit=False).fit(X, y, **params)
    for key in ("split0_test_score", "split1_test_score"):
        assert_allclose(search.cv_results_[key], peer.cv_results_[key], atol=near, rtol=near)
    return search


@pytest.mark.parametrize(
    "estimator, data",
    [
        (GDClassifier(), CANCER),
        (GDClassifier(class_weight="balanced"), CANCER),
        (GDClassifier(fit_intercept=False), CANCER),
        (GDClassifier(penalty=L2(np.linspace(0.5, 2.0, 30))), CANCER),
        (GDClassifier(), IRIS),
        (GDClassifier(), MANY),
        (GDRegressor("poisson"), DIABETES),
        (GDRegressor("gamma"), DIABETES),
        (GDRegressor("huber"), DIABETES),
        (GDClassifier(penalty="l1"), CANCER),
        (GDClassifier(penalty="elasticnet", l1_ratio=0.3, fit_intercept=False), CANCER),
        (GDClassifier(penalty=L1(np.linspace(0.5, 2.0, 30)), class_weight="balanced"), CANCER),
        (GDClassifier(penalty=Box(-1.0, 0.5, L1())), CANCER),
        (GDClassifier(penalty="l1"), IRIS),
        (GDRegressor("poisson", penalty="l1", positive=True), DIABETES),
        (GDRegressor("gamma", penalty="elasticnet"), DIABETES),
    ],
)
def test_scores_are_those_of_fits_one_by_one(estimator, data):
    check_scores(estimator, *data)


@pytest.mark.parametrize("make", [sparse.csr_matrix, np.asfortranarray, np.float32])
def test_kinds_of_rows(make):
    for penalty in ("l2", "l1"):
        check_scores(GDClassifier(penalty=penalty), make(IRIS[0][:100]), IRIS[1][:100])


def test_sample_weights():
    X, y = IRIS
    weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    for penalty in ("l2", "l1"):
        check_scores(GDClassifier(penalty=penalty), X, y, sample_weight=weights)


@pytest.mark.parametrize("common", [0.0, 300.0])
def test_large_hessians(common):
    """Where columns nearly coincide, Hessians in single precision would have too few digits."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1700, 620)) + common * rng.normal(size=(1700, 1))
    margins = X[:, :30].sum(axis=1) - 30.0 * X.mean(axis=1) + 3.0 * rng.normal(size=1700)
    y = (margins > 0).astype(int)
    alphas, cv = [1.0, 1e-2, 1e-4], [(np.arange(850), np.arange(850, 1700))]
    search = GDSearchCV(
        GDClassifier(), {"alpha": alphas}, cv=cv, scoring="neg_log_loss", refit=False
    ).fit(X, y)  # fmt: skip
    for alpha, score in zip(alphas, search.cv_results_["split0_test_score"], strict=True):
        exact = GDClassifier(alpha=alpha, tol=1e-9).fit(X[:850], y[:850])
        assert_allclose(score, -log_loss(y[850:], exact.predict_proba(X[850:])), rtol=3e-5)


@pytest.mark.parametrize("model", [GDClassifier("squared_hinge"), GDRegressor("huber")])
def test_quadratic_losses_with_l1_on_few_rows(model, recwarn):
    """Whole steps overshoot: only rows on one side of a kink of the slope have a curvature."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 30)) @ rng.normal(size=(30, 30))
    margins = X[:, :10].sum(axis=1) + 3.0 * rng.standard_t(2, size=90)
    y = (margins > 0).astype(int) if isinstance(model, GDClassifier) else margins
    grid, cv = {"alpha": np.geomspace(1.0, 1e-3, 7)}, [(np.arange(60), np.arange(60, 90))]
    model.set_params(penalty="l1")
    search = GDSearchCV(model, grid, cv=cv, return_path=True).fit(X, y)
    assert len(set(np.round(search.cv_results_["mean_fit_time"], 12))) == 1
    assert not [each for each in recwarn if "alpha" in str(each.message)]
    for alpha, coef in list(zip(search.path_["alpha"], search.path_["coef"], strict=True))[::3]:
        exact = clone(model).set_params(alpha=alpha, tol=1e-7).fit(X, y)
        assert_allclose(X @ np.ravel(coef), X @ exact.coef_.ravel(), atol=1e-2 * np.std(margins))


def test_columns_of_very_different_scales():
    X, y = IRIS
    scales = 10.0 ** np.array([-10, -3, 3, 10])
    check_scores(GDClassifier(), X * scales, y)
    check_scores(GDClassifier(penalty=L1(scales)), X * scales, y)


def test_duplicated_columns():
    X, y = CANCER
    check_scores(GDClassifier(penalty="l1"), np.column_stack([X, X[:, :5]]), y)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_the_same_bits_for_any_n_jobs(penalty):
    one, two = (
        GDSearchCV(
            GDClassifier(penalty=penalty), ALPHAS, n_jobs=n_jobs, scoring="neg_log_loss"
        ).fit(*IRIS)
        for n_jobs in (1, 2)
    )
    assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


def test_a_scorer_of_the_users_own_gets_fitted_models():
    seen = []

    def scorer(model, X, y):
        seen.append(model)
        return model.score(X, y)

    GDSearchCV(GDClassifier(), ALPHAS, cv=3, scoring=scorer, refit=False).fit(*IRIS)
    for model in seen:
        assert model.converged_
        assert model.stop_reason_ == "tol"
        assert model.history_["passes"][-1] >= 0
        assert model.n_iter_ >= 1
    public = {name for name in vars(GDClassifier().fit(*IRIS)) if not name.startswith("_")}
    assert all(set(vars(model)) >= public for model in seen)


def test_separable_classes_without_a_penalty_are_told_of_once():
    X, y = np.arange(40.0)[:, None], np.arange(40) >= 20
    grid = {"alpha": [1.0, 0.1, 0.0]}
    search = GDSearchCV(GDClassifier(), grid, cv=KFold(4, shuffle=True, random_state=0))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        search.set_params(refit=False).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert [str(each.message).count("can be separated") for each in told] == [1]
    assert "other fits" in str(told[0].message)
