"""Data of scikit-learn's sets, and comparisons of models that are fitted tightly to them."""

import numpy as np
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

RAW_DIABETES, DIABETES_Y = load_diabetes(return_X_y=True, scaled=False)
COLUMNS = {
    "raw": RAW_DIABETES,
    "standardised": StandardScaler().fit_transform(RAW_DIABETES),
    "small": load_diabetes().data,
}
LABELLED = {
    "breast_cancer": load_breast_cancer(return_X_y=True),
    "iris": load_iris(return_X_y=True),
    "wine": load_wine(return_X_y=True),
}
TIGHT = {"tol": 1e-12, "max_iter": 50_000}


def labelled(name, *, standardise):
    X, y = LABELLED[name]
    return (StandardScaler().fit_transform(X) if standardise else X), y


def assert_close(actual, expected, rtol=1e-6, *, smallest=1e-3):
    """Compare every coefficient, each relative to itself or to a share of the largest one.

    Where one of the two solvers compares values of the objective, which rounding cuts off at 1e-8
    in the coefficients, the share is 1.
    """
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    assert_allclose(actual, expected, rtol=rtol, atol=smallest * rtol * np.abs(expected).max())


def assert_same_model(model, other, rtol=1e-6):
    assert_close(model.coef_, other.coef_, rtol)
    assert_close(np.atleast_1d(model.intercept_), np.atleast_1d(other.intercept_), rtol)


def weights_of(n, seed=0):
    return np.random.default_rng(seed).integers(0, 4, n)
