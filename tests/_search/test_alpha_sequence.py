"""Which alphas a search goes through, and which of them it takes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LassoCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor, GDSearchCV, alpha_sequence, one_standard_error
from skgd.penalties import L1, Box, ElasticNet, GroupLasso

DIABETES, CANCER, IRIS = (
    load(return_X_y=True) for load in (load_diabetes, load_breast_cancer, load_iris)
)


@pytest.mark.parametrize(
    "estimator, data",
    [
        (GDRegressor(penalty="l1"), DIABETES),
        (GDRegressor(penalty="elasticnet", l1_ratio=0.3), DIABETES),
        (GDRegressor(penalty="l1", positive=True), DIABETES),
        (GDRegressor(penalty="l1", fit_intercept=False), DIABETES),
        (GDRegressor(penalty=GroupLasso([[0, 1], [2, 3]])), DIABETES),
        (GDRegressor(penalty=ElasticNet(0.5, weights=np.arange(1.0, 11.0))), DIABETES),
        (GDRegressor("poisson", penalty="l1"), DIABETES),
        (GDClassifier(penalty="l1"), CANCER),
        (GDClassifier("squared_hinge", penalty="l1", class_weight="balanced"), CANCER),
        (GDClassifier(penalty="l1"), IRIS),
    ],
)
def test_the_first_is_the_smallest_alpha_of_an_empty_model(estimator, data):
    X, y = data
    largest = alpha_sequence(estimator, X, y)[0]
    for alpha, is_empty in [(1.0001 * largest, True), (0.99 * largest, False)]:
        model = clone(estimator).set_params(alpha=alpha, tol=1e-8)
        assert is_empty == (not model.fit(X, y).coef_.any())


def test_alphas_are_those_of_scikit_learn():
    X, y = DIABETES
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    for n, more in [(100, {}), (7, {"sample_weight": weights})]:
        theirs = LassoCV(alphas=n, eps=1e-3).fit(X, y, **more).alphas_
        ours = alpha_sequence(GDRegressor(penalty="l1"), X, y, n, 1e-3, **more)
        assert_allclose(ours, theirs, rtol=1e-8)


def test_sparse_rows_have_the_same_alphas():
    X, y = DIABETES
    for model in (GDRegressor(penalty="l1"), GDRegressor()):
        assert_allclose(alpha_sequence(model, sparse.csr_matrix(X), y), alpha_sequence(model, X, y))


def test_l2_goes_from_few_degrees_of_freedom_to_nearly_all():
    X, y = DIABETES
    for scale in (1e-8, 1.0, 1e8):
        alphas = alpha_sequence(GDRegressor(), scale * X, y)
        variance = scale**2 * X.var(axis=0)
        freedom = [np.mean(variance / (variance + alpha)) for alpha in alphas]
        assert_allclose([freedom[0], 1.0 - freedom[-1]], [1e-3, 1e-5], rtol=0.05)
        assert len(alphas) == 20
        assert_allclose(alphas[1:] / alphas[:-1], alphas[1] / alphas[0])
    assert_allclose(alpha_sequence(GDRegressor(), X, y, 3, 1e-2)[[1, 2]],
                    alpha_sequence(GDRegressor(), X, y)[0] * np.array([0.1, 0.01]))  # fmt: skip


def test_columns_without_a_penalty_do_not_count():
    X, y = DIABETES
    weights = np.r_[0.0, np.ones(9)]
    ours = alpha_sequence(GDRegressor(penalty=L1(weights)), X, y)[0]
    assert_allclose(ours, alpha_sequence(GDRegressor(penalty="l1"), X[:, 1:], y)[0])


@pytest.mark.parametrize(
    "estimator, arguments, message",
    [
        (GDRegressor(penalty=None), {}, "penalty=None: without a penalty alpha has no effect"),
        (GDRegressor(penalty=Box(0, 1)), {}, "alpha has no effect on it"),
        (GDRegressor(), {"n": 0}, "n=0"),
        (GDRegressor(), {"ratio": 1.0}, "ratio=1.0: pass a number between 0 and 1"),
    ],
)
def test_errors_say_what_to_pass(estimator, arguments, message):
    with pytest.raises(ValueError, match=message):
        alpha_sequence(estimator, *DIABETES, **arguments)


def test_targets_that_nothing_explains_have_alphas():
    X = DIABETES[0]
    assert alpha_sequence(GDRegressor(penalty="l1"), X, np.ones(len(X)))[0] == 1.0


# ---- as a grid ----------------------------------------------------------------------------------

def test_a_grid_of_a_path_has_the_alphas_of_each_setting():
    X, y = DIABETES
    model = GDRegressor(penalty="elasticnet")
    grid = {"alpha": "path", "l1_ratio": [0.5, 1.0]}
    search = GDSearchCV(model, grid, cv=2, refit=False).fit(X, y)
    params = search.cv_results_["params"]
    for ratio in grid["l1_ratio"]:
        alphas = [each["alpha"] for each in params if each["l1_ratio"] == ratio]
        model = GDRegressor(penalty="elasticnet", l1_ratio=ratio)
        assert_allclose(alphas, alpha_sequence(model, X, y))


def test_the_path_of_a_pipeline_is_that_of_its_last_step():
    X, y = DIABETES
    model = make_pipeline(StandardScaler(), GDRegressor())
    search = GDSearchCV(model, {"gdregressor__alpha": "path"}, cv=2).fit(1e3 * X, y)
    alphas = search.cv_results_["param_gdregressor__alpha"].astype(float)
    assert_allclose(alphas, alpha_sequence(GDRegressor(), StandardScaler().fit_transform(X), y))


def test_what_has_no_path_says_so():
    X, y = DIABETES
    with pytest.raises(ValueError, match="n_iter=3 with alpha='path'"):
        GDSearchCV(GDRegressor(), {"alpha": "path"}, n_iter=3).fit(X, y)
    with pytest.raises(ValueError, match="standardscaler__alpha='path' in param_grid: only"):
        model = make_pipeline(StandardScaler(), GDRegressor())
        GDSearchCV(model, {"standardscaler__alpha": "path"}).fit(X, y)


# ---- one standard error -------------------------------------------------------------------------

def results(alphas, mean, std, others=None, n_splits=5):
    params = [{"alpha": alpha} for alpha in alphas]
    for each, other in zip(params, others or [], strict=bool(others)):
        each["l1_ratio"] = other
    splits = {f"split{i}_test_score": np.array(mean) for i in range(n_splits)}
    return {"params": params, "mean_test_score": np.array(mean), "std_test_score": np.array(std),
            **splits}  # fmt: skip


@pytest.mark.parametrize(
    "found, index",
    [
        (results([3, 2, 1, 0.1], [0.79, 0.85, 0.9, 0.9], [0.2] * 4), 1),
        (results([0.1, 1, 2, 3], [0.9, 0.9, 0.85, 0.79], [0.2] * 4), 2),
        # The error is that of the best candidate, and a smaller alpha is never taken.
        (results([3, 2, 1], [0.9, 0.85, 0.89], [0.01, 9.0, 9.0]), 0),
        (results([3, 2, 1], [np.nan, 0.9, 0.89], [np.nan, 0.1, 0.1]), 1),
        (results([3, 2, 1], [0.89, 0.88, 0.9], [0.1] * 3, [0.5, 1.0, 1.0]), 1),
    ],
)
def test_one_standard_error_takes_the_largest_alpha_within_the_noise(found, index):
    assert one_standard_error(found) == index


def test_one_standard_error_refits_any_search():
    X, y = DIABETES
    grid = {"alpha": np.geomspace(10, 0.001, 12)}
    chosen = []
    for search in (GDSearchCV, GridSearchCV):
        fitted = search(GDRegressor(penalty="l1"), grid, refit=one_standard_error).fit(X, y)
        chosen.append(fitted.best_params_["alpha"])
        best = grid["alpha"][np.argmax(fitted.cv_results_["mean_test_score"])]
        assert fitted.best_estimator_.alpha == chosen[-1] > best
    assert chosen[0] == chosen[1]


def test_one_standard_error_says_what_it_needs():
    found = results([1], [0.5], [0.1])
    with pytest.raises(ValueError, match="the search has the scores"):
        one_standard_error(found, scoring="r2")
    with pytest.raises(ValueError, match="0 of its parameters are an alpha"):
        one_standard_error(found | {"params": [{"tol": 1}]})
    with pytest.raises(ValueError, match="no score is a number"):
        one_standard_error(results([1], [np.nan], [np.nan]))
    for wrong in ({}, {"params": [{"alpha": 1}]}):
        with pytest.raises(ValueError, match="cv_results=.* pass the cv_results_ of a fitted"):
            one_standard_error(wrong)
