"""``alpha="auto"``: leave-one-out losses as they are by leaving out each row, and the choice."""

import pickle
import warnings

import numpy as np
import pytest
from exact_fits import DIABETES_Y, RAW_DIABETES, labelled
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LassoCV, RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd.losses import Quantile
from skgd.penalties import L2

GENERATOR = np.random.default_rng(0)
WEIGHTS = GENERATOR.uniform(0.2, 3.0, len(DIABETES_Y))
WIDE = GENERATOR.normal(size=(40, 130)) * np.logspace(-1, 1, 130)
# Of scales that are 1e8 apart, and far from zero.
GRADED = np.column_stack([RAW_DIABETES + 1e3, 1e5 * GENERATOR.normal(size=(442, 2))])


def ridge_losses(model, X, y, weights):
    """Halved mean squared errors of RidgeCV, which leaves out each row, and its choice of alpha."""
    alphas = model.alpha_path_["alpha"]
    total = len(y) if weights is None else weights.sum()
    ridge = RidgeCV(
        alphas * total, store_cv_results=True, fit_intercept=model.fit_intercept, gcv_mode="svd"
    ).fit(X, y, sample_weight=weights)
    losses = ridge.cv_results_.reshape(-1, len(alphas)).sum(axis=0) / (2 * total)
    return losses, ridge.alpha_ / total


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["rows", "weights"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("X", "n"), [(RAW_DIABETES, 442), (GRADED, 442), (RAW_DIABETES, 9), (WIDE, 40)],
    ids=["raw", "graded", "few rows", "wide"],
)  # fmt: skip
def test_squared_errors_are_left_out_as_by_ridgecv(X, n, fit_intercept, weights):
    X, y, weights = X[:n], DIABETES_Y[:n], None if weights is None else weights[:n]
    model = GDRegressor(alpha="auto", fit_intercept=fit_intercept).fit(X, y, sample_weight=weights)
    losses, alpha = ridge_losses(model, X, y, weights)
    assert_allclose(model.alpha_path_["loss"], losses, rtol=1e-8)
    assert_allclose(model.alpha_, alpha, rtol=1e-12)


def test_several_targets_share_an_alpha():
    Y = np.column_stack([DIABETES_Y, RAW_DIABETES[:, 0] ** 2, GENERATOR.normal(size=442)])
    model = GDRegressor(alpha="auto").fit(RAW_DIABETES, Y)
    losses, alpha = ridge_losses(model, RAW_DIABETES, Y, None)
    assert_allclose(model.alpha_path_["loss"], losses, rtol=1e-8)
    assert_allclose(model.alpha_, alpha, rtol=1e-12)


def test_columns_without_a_penalty():
    penalty, rows = L2(weights=np.arange(10) > 2), slice(60)
    X, y = RAW_DIABETES[rows], DIABETES_Y[rows]
    model = GDRegressor(penalty=penalty, alpha="auto").fit(X, y)
    assert_allclose(min(model.alpha_path_["loss"]), exact_loss(model, X, y, np.ones(60)), rtol=1e-8)


def exact_loss(model, X, y, weights):
    """The mean loss of each row under a fit without it, whose penalty has the same factor."""
    total, sum_of_losses = weights.sum(), 0.0
    for row in np.flatnonzero(weights):
        others = np.where(np.arange(len(y)) == row, 0.0, weights)
        alpha = model.alpha_ * total / others.sum()
        fit = clone(model).set_params(alpha=alpha, tol=1e-9).fit(X, y, sample_weight=others)
        margins = fit.decision_function(X) if hasattr(fit, "classes_") else fit.predict(X)
        target, margin = y[row], margins[row]
        if hasattr(fit, "classes_"):
            target = 2.0 * (fit.classes_ == target) - 1.0
            target = target[1:] if len(target) == 2 else target[None]
            margin = margin[None]
        elif model.loss == "poisson":
            margin = np.log(margin)
        losses = fit._loss.value(np.atleast_1d(target), np.atleast_1d(margin))
        sum_of_losses += weights[row] * np.sum(losses)
    return sum_of_losses / total


SMOOTH = [
    GDRegressor("poisson"),
    GDRegressor("huber"),
    GDRegressor("log_cosh"),
    GDClassifier(),
    GDClassifier("squared_hinge"),
]


@pytest.mark.parametrize("model", SMOOTH, ids=lambda model: f"{model._task} {model.loss}")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_smooth_losses_are_left_out_as_by_fits_without_each_row(model, n_classes):
    is_classifier = model._task == "classification"
    if not is_classifier and n_classes == 3:
        pytest.skip("no classes")
    X, y = RAW_DIABETES[:100, [2, 3, 8]], DIABETES_Y[:100] / 50.0
    if is_classifier:
        y = np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))
    weights = WEIGHTS[:100]
    model = clone(model).set_params(alpha="auto").fit(X, y, sample_weight=weights)
    least = model.alpha_path_["loss"].min()
    assert_allclose(least, exact_loss(model, X, y, weights), rtol=1e-3)
