"""scikit-learn's own checks, and what stands for the two that batches cannot pass."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special
from sklearn.base import is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgd import GDClassifier, GDRegressor
from skgd.losses import by_name

# No expected failures: together these have each way to train and each kind of targets. A subset of
# the checks is made with every piece by test_pieces.py.
EXACT = [
    GDClassifier(),
    GDRegressor(),
    GDClassifier("hinge", max_iter=20),
    GDClassifier("squared_hinge", penalty="elasticnet"),
    GDClassifier("modified_huber", penalty=None),
    GDRegressor("absolute_error", max_iter=20),
    GDRegressor("huber", penalty="l1"),
    GDRegressor(positive=True),
    GDClassifier(optimizer="lbfgs"),
    GDRegressor(optimizer="gradient_descent", max_iter=100),
    GDClassifier(penalty="l1", optimizer="accelerated_gradient", max_iter=100),
    GDRegressor(precondition=None),
    GDRegressor(optimizer="sgd", batch_size="full", precondition=None, max_iter=100),
    GDClassifier(penalty="l1", optimizer="adagrad", batch_size="full", max_iter=100),
    GDClassifier("hinge", optimizer="adam", batch_size="full", average=True, max_iter=50),
    GDRegressor(optimizer="adam", batch_size="full", penalty=None, max_iter=100),
]
EXACT += [
    GDRegressor(name, max_iter=20, batch_size="full")
    for name, loss in by_name("regression").items()
    if not loss().in_domain(np.array(-1.0))
]
# A batch is drawn from rows, so a row with weight 2 and two equal rows are met at other moments.
BATCHED = [
    GDRegressor(optimizer="sgd", batch_size=1),
    GDClassifier(optimizer="adagrad", batch_size=1, max_iter=100),
    GDClassifier(optimizer="adam", batch_size=4, max_iter=50),
    GDRegressor(optimizer="nesterov", batch_size=4, average=True),
    GDClassifier(early_stopping=True, validation_fraction=0.3),
]
BY_CHANCE = {
    "check_sample_weight_equivalence_on_dense_data": "the batches differ",
    "check_sample_weight_equivalence_on_sparse_data": "the batches differ",
}
NEGATIVE = {"check_regressor_multioutput": "its targets are negative, whatever the tags say"}


def failures(estimator):
    if any(estimator is other for other in BATCHED):
        return BY_CHANCE
    return NEGATIVE if get_tags(estimator).target_tags.positive_only else {}


@parametrize_with_checks(EXACT + BATCHED, expected_failed_checks=failures)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_finds_nothing_to_complain_about(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)


# ---- instead of those two: on average, a batch's step is the weighted gradient's ----------------

START = np.array([0.3, -0.2, 0.1, 0.4, 0.0]), 0.5
ALPHA = 0.3


def problem_of(classification):
    """Return 61 rows whose weights differ, and the gradient at START computed in NumPy."""
    load = load_breast_cancer if classification else load_diabetes
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)[:61, :5]
    y = y[:61] if classification else y[:61] / 100
    s = np.random.default_rng(0).integers(0, 4, 61).astype(float)
    margins = X @ START[0] + START[1]
    if classification:
        slopes = special.expit(margins) - y
    else:
        slopes = margins - y
    slopes *= s / s.sum()
    return X, y, s, np.append(slopes @ X + ALPHA * START[0], slopes.sum())


def moves_of_one_epoch(estimator, X, y, s, rate, n_orders):
    """Return how far one epoch goes along minus the rate, per step, for random orders."""
    moves = np.empty((n_orders, 6))
    estimator.set_params(
        optimizer="sgd", learning_rate=rate, precondition=None, alpha=ALPHA, init=START,
        max_iter=1, tol=None, shuffle=True,
    )  # fmt: skip
    for seed, move in enumerate(moves):
        estimator.set_params(random_state=seed).fit(X, y, sample_weight=s)
        move[:] = np.append(estimator.coef_, estimator.intercept_) - np.append(*START)
    return moves / (-rate * estimator.t_)


@pytest.mark.parametrize("estimator", [GDClassifier(), GDRegressor()])
def test_the_mean_step_over_many_orders_is_along_the_weighted_gradient(estimator):
    # 61 rows make batches of 15 and 16 rows; so the sum of an epoch's steps depends on the order,
    # and a mean of weights taken batch by batch would be biased.
    X, y, s, gradient = problem_of(is_classifier(estimator))
    estimator.set_params(batch_size=0.3)
    moves = moves_of_one_epoch(estimator, X, y, s, rate=1e-7, n_orders=200)
    error = moves.std(axis=0, ddof=1) / np.sqrt(len(moves))
    assert np.all(error > 0)
    assert np.all(error < 0.02 * np.abs(gradient).max())
    assert np.all(np.abs(moves.mean(axis=0) - gradient) <= 4 * error)


@pytest.mark.parametrize("estimator", [GDClassifier(), GDRegressor()])
def test_the_steps_of_single_rows_add_up_to_the_weighted_gradient(estimator):
    X, y, s, gradient = problem_of(is_classifier(estimator))
    estimator.set_params(batch_size=1)
    moves = moves_of_one_epoch(estimator, X, y, s, rate=1e-7, n_orders=10)
    assert_allclose(moves, np.tile(gradient, (10, 1)), rtol=1e-4)
