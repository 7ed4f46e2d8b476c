"""Defects of SGDClassifier, SGDRegressor and the MLPs of scikit-learn 1.9.1 that skgd is free of.

Each test says in its docstring what the peer does.
"""

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import scale

from skgd import DivergenceWarning, GDClassifier, GDRegressor
from skgd.schedules import InverseScaling


@contextmanager
def warnings_of(category):
    """Catch the warnings of a category; any other is an error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", category)
        yield caught


CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True, scaled=False)
IRIS = load_iris(return_X_y=True)


@pytest.mark.parametrize("labels", [(0, 1), (-1, 1), ("no", "yes"), (5, 3)], ids=str)
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_early_stopping_scores_with_the_labels_of_the_user(loss, labels):
    """SGDClassifier's early stopping compares labels {0, 1} with predictions in {-1, 1}."""
    X, y = CANCER
    X, X_val, y, y_val = train_test_split(X, np.array(labels)[y], test_size=100, random_state=0)
    model = GDClassifier(
        loss, optimizer="adam", early_stopping=True, scoring="accuracy", random_state=0
    ).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.history_["validation_score"].max() == model.score(X_val, y_val)
    assert model.score(X_val, y_val) > 0.9


@pytest.mark.parametrize("alpha", [1e-4, 1e-1, 1.0])
@pytest.mark.parametrize("batch_size", [1, 32])
def test_early_stopping_scores_the_weights_that_it_returns(batch_size, alpha):
    """SGDRegressor with l2 scores weights before their common factor is multiplied in."""
    X, X_val, y, y_val = train_test_split(*DIABETES, test_size=100, random_state=0)
    model = GDRegressor(
        alpha=alpha, optimizer="sgd", batch_size=batch_size, early_stopping=True, scoring="r2",
        random_state=0,
    ).fit(X, y, X_val=X_val, y_val=y_val)  # fmt: skip
    assert model.history_["validation_score"].max() == model.score(X_val, y_val)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_the_objective_of_sparse_rows_has_the_whole_penalty_in_it(batch_size, penalty):
    """SGDClassifier takes the norm of one sparse row's coefficients for that of all of them."""
    rng = np.random.default_rng(0)
    X = sparse.random(400, 50, density=0.05, random_state=0, format="csr")
    y = X @ rng.normal(size=50) > 0
    model = GDClassifier(
        penalty=penalty, alpha=1e-3, optimizer="sgd", batch_size=batch_size, learning_rate=0.01,
        tol=None, max_iter=9, random_state=0,
    ).fit(X, y)  # fmt: skip
    ridge, lasso = (model.coef_**2).sum() / 2, np.abs(model.coef_).sum()
    share = {"l2": 0.0, "l1": 1.0, "elasticnet": 0.15}[penalty]
    shape = share * lasso + (1 - share) * ridge
    history = model.history_
    assert history["objective"][-1] - history["loss"][-1] == pytest.approx(1e-3 * shape, rel=1e-9)
    assert shape > 0.01


@pytest.mark.parametrize("batch_size", [1, 16, "full"])
def test_the_watched_loss_counts_sample_weights_and_class_weights(batch_size):
    """SGDClassifier prints and stops by a loss in which no weight counts."""
    X, y = IRIS
    s = np.random.default_rng(0).integers(0, 5, len(y)).astype(float)
    model = GDClassifier(
        optimizer="sgd", batch_size=batch_size, learning_rate=0.01, class_weight={2: 3.0},
        tol=None, max_iter=3, random_state=0,
    ).fit(X, y, sample_weight=s)  # fmt: skip
    weights = s * np.where(y == 2, 3.0, 1.0)
    loss = log_loss(y, model.predict_proba(X), sample_weight=weights)
    assert model.history_["loss"][-1] == pytest.approx(loss, rel=1e-10)


def test_weights_decide_when_a_run_stops():
    """SGDClassifier stops at the same epoch whatever the weights are."""
    X, y = CANCER
    # Rows without weight that contradict the others must not keep the run going.
    X_noisy, y_noisy = np.tile(X, (2, 1)), np.append(y, 1 - y)
    s = np.repeat([1.0, 0.0], len(y))
    settings = {
        "optimizer": "sgd", "batch_size": "full", "alpha": 0.1, "learning_rate": 0.5, "tol": 1e-3,
    }  # fmt: skip
    plain = GDClassifier(**settings).fit(X, y)
    weighted = GDClassifier(**settings).fit(X_noisy, y_noisy, sample_weight=s)
    assert weighted.n_iter_ == plain.n_iter_
    assert_allclose(weighted.coef_, plain.coef_, rtol=1e-6, atol=1e-9)


UNSCALED = np.random.default_rng(0).normal(size=(500, 8)) * [1, 10, 100, 1000, 1, 5, 0.1, 1e4]
UNSCALED = UNSCALED, UNSCALED @ np.full(8, 1e-2) + np.random.default_rng(1).normal(size=500)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("learning_rate", [1e-2, 1.0, 1e4])
def test_raw_columns_with_any_rate_train_or_warn(learning_rate, optimizer):
    """SGDRegressor returns an R2 of -4e29 on columns that are not scaled, and says nothing."""
    X, y = UNSCALED
    model = GDRegressor(
        optimizer=optimizer, learning_rate=learning_rate, precondition=None, max_iter=50, tol=None
    )
    with warnings_of(DivergenceWarning) as caught:
        model.fit(X, y)
    assert model.score(X, y) > -1e-3
    assert bool(caught) == (model.stop_reason_ == "diverged")
    assert GDRegressor().fit(X, y).score(X, y) > 0.99


@pytest.mark.parametrize("precondition", [None, "auto"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_grid_search_over_rates_ranks_them_and_records_no_explosion(optimizer, precondition):
    """GridSearchCV over SGDRegressor's eta0 records scores of -1e24 without a word."""
    X, y = UNSCALED
    rates = 10.0 ** np.arange(-6, 7, 2)
    model = GDRegressor(
        optimizer=optimizer, precondition=precondition, max_iter=100, tol=None, random_state=0
    )
    search = GridSearchCV(model, {"learning_rate": rates}, cv=2)
    with warnings_of(DivergenceWarning) as caught:
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.all(scores > -0.1)
    assert caught
    if precondition is None and optimizer == "sgd":
        # Raw columns up to 1e4 let a rate of 1e-8 through at most.
        assert np.all(scores < 0.5)
    else:
        assert scores.max() > 0.9
        assert search.best_estimator_.stop_reason_ != "diverged"


def test_sparse_rows_train_as_dense_ones_do():
    """SGDRegressor shrinks the intercept's steps a hundredfold for CSR: R2 0.66 instead of 0.99."""
    X = sparse.random(1000, 30, density=0.1, random_state=0, format="csr")
    y = X @ np.random.default_rng(0).normal(size=30) + 10
    for settings in ({}, {"optimizer": "adam"}, {"optimizer": "sgd", "batch_size": 16}):
        model = GDRegressor(random_state=0, **settings)
        thin, dense = clone(model).fit(X, y), model.fit(X.toarray(), y)
        assert_allclose(thin.coef_, dense.coef_, rtol=1e-6, atol=1e-8)
        assert thin.intercept_ == pytest.approx(dense.intercept_, rel=1e-6)
        assert thin.score(X, y) > 0.99


def test_early_stopping_returns_the_best_weights_not_the_last():
    """SGDClassifier's early stopping returns the weights of the last epoch, the worst seen."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 60))
    y = (X[:, 0] + rng.normal(size=300) > 0).astype(int)
    model = GDClassifier(
        penalty=None, optimizer="sgd", learning_rate=0.3, early_stopping=True, random_state=0,
        validation_fraction=0.5, batch_size=16,
    ).fit(X, y)  # fmt: skip
    _, X_val, _, y_val = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
    losses = model.history_["validation_loss"]
    assert losses[-1] > losses.min() * 1.01
    assert log_loss(y_val, model.predict_proba(X_val)) == pytest.approx(losses.min(), rel=1e-9)


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "random_state": 0}], ids=str)
def test_class_weights_are_sample_weights(settings, loss):
    """SGDClassifier weights only the positive class of each of a multiclass fit's parts."""
    X, y = IRIS
    class_weight = {0: 1.0, 1: 5.0, 2: 0.2}
    by_class = GDClassifier(loss, class_weight=class_weight, alpha=0.01, **settings).fit(X, y)
    by_row = GDClassifier(loss, alpha=0.01, **settings)
    by_row.fit(X, y, sample_weight=[class_weight[label] for label in y])
    assert_allclose(by_class.coef_, by_row.coef_, rtol=1e-12)


def test_a_falling_rate_goes_on_falling_in_partial_fit():
    """SGDRegressor's "adaptive" rate restarts at each call of partial_fit."""
    settings = {"learning_rate": InverseScaling(0.1, power=0.5), "batch_size": 16}
    whole = GDRegressor(max_iter=3, tol=None, random_state=0, **settings).fit(*DIABETES)
    parts = GDRegressor(random_state=0, **settings)
    rates = [parts.partial_fit(*DIABETES).history_["learning_rate"][0] for _ in range(3)]
    assert_array_equal(rates, whole.history_["learning_rate"])
    assert np.all(np.diff(rates) < 0)


def test_each_call_of_partial_fit_has_an_order_of_its_own():
    """SGDClassifier with an integer random_state takes the rows in the same order at each call."""
    settings = {"optimizer": "sgd", "batch_size": 16, "learning_rate": 0.01, "random_state": 0}
    whole = GDClassifier(max_iter=3, tol=None, **settings).fit(*IRIS)
    parts = GDClassifier(**settings)
    for _ in range(3):
        parts.partial_fit(*IRIS, classes=[0, 1, 2])
    # Equal to the epochs of a fit, whose orders differ from one another.
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-10)
    again = GDClassifier(**settings)
    for _ in range(3):
        again.set_params(random_state=0).partial_fit(*IRIS, classes=[0, 1, 2])
    assert_array_equal(again.coef_, parts.coef_)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_averaging_keeps_the_zeros_of_l1(optimizer):
    """SGDRegressor with average=True and l1 has 55 coefficients of 55 that are not zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 55))
    y = X[:, :5] @ np.arange(5.0) + 0.1 * rng.normal(size=500)
    model = GDRegressor(
        penalty="l1", alpha=0.1, average=True, optimizer=optimizer, batch_size=16, tol=None,
        max_iter=50, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert np.count_nonzero(model.coef_) < 15
    assert np.all(model.coef_[1:5] != 0)
    assert model.score(X, y) > 0.99


def test_many_classes_are_one_softmax():
    """SGDClassifier's one-versus-rest loses a factor of five in log-loss on the digits."""
    X, y = load_digits(return_X_y=True)
    model = GDClassifier(alpha=1e-3).fit(scale(X), y)
    # LogisticRegression(C=1e3 / len(y)) has 0.041, SGDClassifier 0.195.
    assert log_loss(y, model.predict_proba(scale(X))) == pytest.approx(0.041, abs=5e-4)
    assert model.score(scale(X), y) > 0.995


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_default_tol_leaves_a_gap_that_is_small_in_any_unit(unit):
    """SGDClassifier's tol is absolute: 3 % of the objective left, more in smaller units."""
    X, y = scale(CANCER[0]), CANCER[1]
    exact = LogisticRegression(C=1e3 / len(y), tol=1e-10, solver="newton-cholesky").fit(X, y)
    model, coef, b = GDClassifier(alpha=1e-3), exact.coef_, exact.intercept_
    least = np.mean(np.logaddexp(0, -(2 * y - 1) * (X @ coef[0] + b))) + 5e-4 * (coef**2).sum()
    assert model.fit(X, y).history_["objective"][-1] < least * (1 + 1e-4)
    X, y = DIABETES
    model = GDRegressor(alpha=0.0).fit(X, unit * y)
    least = np.linalg.lstsq(np.column_stack([X, np.ones(len(y))]), unit * y)[1][0] / (2 * len(y))
    assert model.history_["objective"][-1] < least * (1 + 1e-4)


@pytest.mark.parametrize("batch_size", [10, 64, "full"])
def test_alpha_means_the_same_for_every_batch_size(batch_size):
    """MLPRegressor divides its penalty by the batch size: another model for each."""
    X, y = scale(DIABETES[0]), DIABETES[1]
    exact = np.linalg.solve(X.T @ X / len(y) + 5.0 * np.eye(10), X.T @ (y - y.mean()) / len(y))
    model = GDRegressor(
        alpha=5.0, optimizer="sgd", learning_rate=InverseScaling(0.3, power=0.6), tol=None,
        batch_size=batch_size, max_iter=200, average=1000 if batch_size != "full" else False,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    assert_allclose(model.coef_, exact, atol=0.02 * np.abs(exact).max())


def test_batches_without_weight_are_no_error_and_bias_nothing():
    """MLPRegressor raises ZeroDivisionError, and divides each batch by its own weights' sum."""
    X, y = DIABETES
    s = np.zeros(len(y))
    s[:60] = np.random.default_rng(0).uniform(0.1, 5.0, 60)
    model = GDRegressor(
        optimizer="sgd", learning_rate=1e-11, batch_size=26, precondition=None, penalty=None,
        fit_intercept=False, tol=None, max_iter=1, shuffle=False,
    ).fit(X, y, sample_weight=s)  # fmt: skip
    # Steps as small as these add up to one along the gradient of the weighted objective.
    gradient = -X.T @ (s * y) / s.sum()
    assert_allclose(model.coef_, -1e-11 * model.t_ * gradient, rtol=1e-3)
    assert model.t_ == 17


@pytest.mark.parametrize("estimator", [GDClassifier, GDRegressor])
def test_only_the_loss_may_be_passed_by_position(estimator):
    """MLPRegressor got a new first parameter in 1.7: MLPRegressor((100,)) fails since."""
    assert estimator("huber").loss == "huber"
    with pytest.raises(TypeError, match="positional"):
        estimator("huber", "l2")
