"""Warm starts."""

import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_iris

from skgd import GDClassifier
from skgd.optimizers import Adam

CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_warm_start_goes_on_where_the_last_fit_ended(optimizer):
    settings = {
        "optimizer": optimizer, "learning_rate": 0.01, "batch_size": 16, "tol": None,
        "shuffle": False,
    }  # fmt: skip
    once = GDClassifier(max_iter=6, **settings).fit(*IRIS)
    twice = GDClassifier(max_iter=3, warm_start=True, **settings).fit(*IRIS).fit(*IRIS)
    assert_allclose(twice.coef_, once.coef_, rtol=1e-10)


def test_a_warm_start_of_a_solved_problem_has_little_to_do():
    model = GDClassifier(alpha=1e-2, warm_start=True).fit(*CANCER)
    assert model.n_iter_ > 2
    assert model.fit(*CANCER).n_iter_ <= 1


@pytest.mark.parametrize(
    "change",
    [{"optimizer": "adam"}, {"optimizer": Adam(amsgrad=True)}, {"optimizer": "sgd"},
     {"optimizer": "lbfgs", "learning_rate": "auto", "batch_size": "auto"},
     {"fit_intercept": False}, {"loss": "squared_hinge"}, {"precondition": None}],
    ids=str,
)  # fmt: skip
def test_a_warm_start_of_another_kind_of_run_takes_nothing_but_the_coefficients(change):
    settings = {
        "optimizer": "momentum", "learning_rate": 1e-4, "batch_size": 16, "tol": None,
        "shuffle": False, "max_iter": 3,
    }  # fmt: skip
    model = GDClassifier(warm_start=True, **settings).fit(*IRIS)
    start = model.coef_.copy(), model.intercept_.copy()
    other = GDClassifier(init=start, **settings).set_params(**change).fit(*IRIS)
    model = model.set_params(**change).fit(*IRIS)
    assert_allclose(model.coef_, other.coef_, rtol=1e-9)
    assert model.n_iter_ == other.n_iter_
    assert model.t_ == other.t_


def test_a_warm_start_with_other_labels_says_what_to_pass():
    X, y = IRIS
    model = GDClassifier(warm_start=True).fit(X[:100], y[:100])
    with pytest.raises(ValueError, match=r"labels \[2\].*, or fit again with warm_start=False"):
        model.fit(X, y)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_warm_start_may_begin_or_end_the_averaging(optimizer):
    settings = {
        "optimizer": optimizer, "learning_rate": 0.01, "batch_size": 16, "tol": None,
        "shuffle": False, "warm_start": True,
    }  # fmt: skip
    once = GDClassifier(max_iter=6, **settings).fit(*IRIS)
    model = GDClassifier(max_iter=2, **settings).fit(*IRIS).set_params(average=True).fit(*IRIS)
    late = GDClassifier(max_iter=4, average=model.t_ // 2 + 1, **settings).fit(*IRIS)
    assert_allclose(model.coef_, late.coef_, rtol=1e-10)
    assert_allclose(model.set_params(average=False).fit(*IRIS).coef_, once.coef_, rtol=1e-10)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_a_start_that_is_worse_than_no_model_leads_to_the_same_minimum(loss, penalty):
    X, y = CANCER
    model = GDClassifier(loss, penalty=penalty, tol=1e-7, warm_start=True).fit(X, y)
    expected, n_iter = model.coef_, model.n_iter_
    # As where columns have changed places since the last fit.
    model.coef_ = expected[:, ::-1].copy()
    model.fit(X, y)
    assert model.converged_ and model.n_iter_ <= n_iter
    assert_allclose(model.coef_, expected, rtol=1e-3, atol=1e-5)
