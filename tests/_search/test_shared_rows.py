"""Candidates that are fitted one by one share the rows of a fold, whatever else they differ in."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd.losses import Huber, Quantile

X, Y = load_diabetes(return_X_y=True)
X, Y = X[:60, :5] * [1e3, 1.0, 1.0, 1.0, 1.0], Y[:60]
FLOWERS, KINDS = load_iris(return_X_y=True)
GRID = [
    {"loss": ["squared_error", Huber(0.5), Quantile(0.8)], "alpha": [1e-2, 1e-3]},
    {"penalty": ["l1"], "fit_intercept": [False, True]},
]


def check_scores(estimator, grid, X, y, cv, **params):
    """Compare scores, and stop reasons, with those of scikit-learn's search."""
    own = GDSearchCV(estimator, grid, cv=cv, refit=False).fit(X, y, **params).cv_results_
    others = GridSearchCV(estimator, grid, cv=cv, refit=False).fit(X, y, **params).cv_results_
    for split in range(cv.get_n_splits()):
        name = f"split{split}_test_score"
        assert_allclose(own[name], others[name], rtol=1e-6, atol=1e-8)
    return own


@pytest.mark.parametrize("form", [pd.DataFrame, sparse.csr_matrix, np.float32])
def test_regressions_of_many_kinds_score_as_alone(form):
    check_scores(GDRegressor(tol=1e-8), GRID, form(X), Y, KFold(2))


def test_weights_belong_to_the_rows_of_each_candidate():
    weights = np.random.default_rng(0).uniform(0.0, 2.0, len(Y))
    check_scores(GDRegressor(tol=1e-8), GRID, X, Y, KFold(2), sample_weight=weights)


def test_classifications_of_many_kinds_score_as_alone():
    grid = {"loss": ["log_loss", "squared_hinge"], "class_weight": [None, "balanced", {0: 3.0}]}
    check_scores(GDClassifier(tol=1e-8), grid, FLOWERS, KINDS, StratifiedKFold(2))


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_loss_that_targets_do_not_suit_fails_alone():
    y = np.where(np.arange(len(Y)) % 30 == 0, 0.0, Y)
    grid = {"loss": ["gamma", "huber", "poisson"]}
    with pytest.warns(FitFailedWarning, match="loss=Gamma"):
        search = GDSearchCV(GDRegressor(), grid, cv=KFold(2), refit=False).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert_array_equal(np.isnan(scores), [True, False, False])
    assert search.cv_results_["stop_reason"][0] == "failed"


def test_candidates_leave_what_was_given_as_it_was():
    loss = Huber(0.5)
    model = GDRegressor(loss=loss, alpha=0.5)
    search = GDSearchCV(model, {"fit_intercept": [True, False], "penalty": ["l2", "l1"]}, cv=2)
    search.fit(X, Y)
    assert model.loss is loss and loss.get_params() == Huber(0.5).get_params()
    assert model.fit_intercept is True and not hasattr(model, "coef_")
    assert search.best_estimator_.loss is not loss
    with pytest.raises(ValueError, match="Invalid parameter 'coef_'"):
        GDSearchCV(model.fit(X, Y), {"coef_": [1, 2]}, cv=2).fit(X, Y)
