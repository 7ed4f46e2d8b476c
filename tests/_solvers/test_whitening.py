"""Descent in coordinates without correlations: the same minimum, in fewer iterations."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from skgd import GDClassifier, GDRegressor
from skgd.penalties import Box

DIABETES = load_diabetes(return_X_y=True, scaled=False)
CANCER = load_breast_cancer(return_X_y=True)
WINE = load_wine(return_X_y=True)
SEVERAL = DIABETES[0], np.column_stack([DIABETES[1], DIABETES[1] ** 2])
SOLVERS = ["lbfgs", "accelerated_gradient", "gradient_descent", "barzilai_borwein"]
FITS = {
    "squared_error": (GDRegressor(), DIABETES),
    "several outputs": (GDRegressor(), SEVERAL),
    "log_loss": (GDClassifier(alpha=1e-2), CANCER),
    "softmax": (GDClassifier(alpha=1e-2), WINE),
    "no intercept": (GDClassifier(alpha=1e-2, fit_intercept=False), CANCER),
    "poisson": (GDRegressor("poisson", alpha=1e-2), DIABETES),
}


def fits_of(name):
    estimator, data = FITS[name]
    return estimator, *data


@pytest.mark.parametrize("optimizer", SOLVERS)
@pytest.mark.parametrize("name", FITS)
def test_the_minimum_is_that_of_newtons_method(name, optimizer):
    estimator, X, y = fits_of(name)
    exact = clone(estimator).set_params(tol=1e-12).fit(X, y)
    model = clone(estimator).set_params(
        optimizer=optimizer, precondition="full", tol=1e-9, max_iter=50_000
    ).fit(X, y)
    size = np.abs(exact.coef_).max()
    assert model.converged_
    assert_allclose(model.coef_, exact.coef_, rtol=1e-5, atol=1e-6 * size)
    assert_allclose(model.intercept_, exact.intercept_, rtol=1e-5)


@pytest.mark.parametrize("name", ["squared_error", "several outputs", "log_loss", "poisson"])
def test_it_takes_fewer_iterations_than_with_the_correlations(name):
    estimator, X, y = fits_of(name)
    full, diagonal = (
        clone(estimator).set_params(optimizer="lbfgs", precondition=which).fit(X, y)
        for which in ("full", "diagonal")
    )
    assert full.n_iter_ < 0.7 * diagonal.n_iter_


@pytest.mark.parametrize("optimizer", SOLVERS)
def test_squared_errors_are_done_in_a_few_steps(optimizer):
    X = DIABETES[0]
    X = np.column_stack([X, X[:, 0] + X[:, 1], np.ones(len(X)), 1e9 * X[:, 2]])
    model = GDRegressor(optimizer=optimizer, precondition="full").fit(X, DIABETES[1])
    assert model.n_iter_ <= 12
    assert model.optimality_ <= 1e-4


@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_rows_take_the_same_path(weighted):
    X, y = np.where(CANCER[0] > np.median(CANCER[0], axis=0), CANCER[0], 0.0), CANCER[1]
    weights = np.arange(len(y)) % 3.0 if weighted else None
    model = GDClassifier(optimizer="lbfgs", precondition="full", max_iter=5, tol=None)
    dense = model.fit(X, y, weights).coef_
    assert_allclose(model.fit(sparse.csr_array(X), y, weights).coef_, dense, rtol=1e-7)


@pytest.mark.parametrize("penalty", ["l1", Box(0.0, 1.0)], ids=repr)
def test_a_penalty_with_kinks_or_bounds_is_an_error(penalty):
    model = GDRegressor(penalty=penalty, optimizer="gradient_descent", precondition="full")
    with pytest.raises(ValueError, match="precondition='full' with a penalty that is not smooth"):
        model.fit(*DIABETES)


def test_more_parameters_than_can_be_factorised_are_an_error():
    model = GDRegressor(optimizer="lbfgs", precondition="full")
    with pytest.raises(ValueError, match="'full' with 2001 parameters.*pass precondition='auto'"):
        model.fit(sparse.eye_array(20, 2000, format="csr"), np.arange(20.0))
