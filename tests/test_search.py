"""The search: the same candidates, folds and scores as one fit after the other."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer, make_scorer, mean_absolute_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd.losses import Huber
from skgd.optimizers import SGD, Adam
from skgd.penalties import L1, ElasticNet
from skgd.schedules import InverseScaling

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def sample(load, n=120, d=8):
    """Return some shuffled rows and columns of one of scikit-learn's sets."""
    X, y = load(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))[:n]
    return np.ascontiguousarray(X[rows][:, :d]), y[rows]


class Watcher:
    """A scorer of the user's own that keeps the models it is shown."""

    def __init__(self):
        self.models = []

    def __call__(self, estimator, X, y):
        self.models.append(estimator)
        return estimator.score(X, y)


def models_of(search, X, y, **params):
    """Return the search and its models, the candidates of the first fold first."""
    watcher = Watcher()
    search.set_params(scoring=watcher, refit=False, race=False).fit(X, y, **params)
    return watcher.models


CLASSIFIER = GDClassifier(batch_size=16, max_iter=6, tol=None, random_state=3)
REGRESSOR = GDRegressor(batch_size=16, max_iter=6, tol=None, random_state=3)
RATES = {"learning_rate": [0.001, 0.1]}
FUSED = [
    (CLASSIFIER, {"learning_rate": [1e-3, 0.1, InverseScaling(0.1), lambda t: 0.1 / (1 + t)]}),
    (CLASSIFIER, {"alpha": [0.0, 0.1], "penalty": ["l2", "l1", ElasticNet(0.3), None]}),
    (CLASSIFIER, {"optimizer": ["adam", SGD(momentum=0.5), Adam(beta_1=0.5)], **RATES}),
    (CLASSIFIER, {"loss": ["log_loss", "hinge"], "class_weight": [None, "balanced"], **RATES}),
    (CLASSIFIER, {"batch_size": [8, 0.5], "shuffle": [True, False], **RATES}),
    (CLASSIFIER, {"optimizer": ["sgd", "adagrad"], "learning_rate": ["auto", 0.1]}),
    (CLASSIFIER, {"average": [False, True, 5], "precondition": ["auto", None], **RATES}),
    (CLASSIFIER, {"early_stopping": [True, False], "n_iter_no_change": [1, 3], **RATES}),
    (CLASSIFIER, {"tol": [1e-1, 1e-4], "max_iter": [3, 30], **RATES}),
    (CLASSIFIER, {"fit_intercept": [True, False], "init": ["zeros", "random"], **RATES}),
    (CLASSIFIER, {"batch_size": [1], "optimizer": ["sgd"], "learning_rate": [1e-3, 1e-2]}),
    (REGRESSOR, {"loss": ["squared_error", Huber(0.5), Huber(5.0)], **RATES}),
    (REGRESSOR, {"penalty": [L1(), "l2"], "positive": [True, False], **RATES}),
]


def parameters_apart(model, other):
    """Return how far two models are apart, in units of the larger one's coefficients."""
    apart = max(np.abs(model.coef_ - other.coef_).max(),
                np.abs(model.intercept_ - other.intercept_).max())  # fmt: skip
    return apart / max(np.abs(other.coef_).max(), np.abs(other.intercept_).max())


def check_coefficients(estimator, grid, X, y, n_jobs=None, sample_weight=None):
    """Compare each candidate on each fold with its fit to all rows, those held out weighing 0."""
    cv = StratifiedKFold(3) if estimator._task == "classification" else KFold(3)
    search = GDSearchCV(estimator, grid, cv=cv, n_jobs=n_jobs)
    params = {} if sample_weight is None else {"sample_weight": sample_weight}
    models = iter(models_of(search, X, y, **params))
    for train, _ in cv.split(X, y):
        weights = np.zeros(len(y))
        weights[train] = 1.0 if sample_weight is None else sample_weight[train]
        for candidate in search.cv_results_["params"]:
            alone = clone(estimator).set_params(**candidate).fit(X, y, sample_weight=weights)
            model = next(models)
            assert model.stop_reason_ == alone.stop_reason_
            assert model.n_iter_ == alone.n_iter_
            assert model.t_ == alone.t_
            assert parameters_apart(model, alone) < 1e-8
    assert next(models, None) is None


@pytest.mark.parametrize("estimator, grid", FUSED)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_candidate_is_its_fit_with_the_fold_as_weights(estimator, grid, n_jobs):
    load = load_wine if estimator is CLASSIFIER else load_diabetes
    check_coefficients(estimator, grid, *sample(load), n_jobs=n_jobs)


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_diabetes, load_linnerud])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, np.float32, sparse.csr_matrix])
def test_all_kinds_of_rows_and_targets(load, weighted, make):
    X, y = sample(load)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
    classes = y.ndim == 1 and len(np.unique(y)) < 4
    estimator = (CLASSIFIER if classes else REGRESSOR).set_params(batch_size=5)
    check_coefficients(clone(estimator), RATES, make(X), y, sample_weight=weights)


def test_what_is_watched_is_a_part_of_many_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 3))
    y = X[:, 0] + rng.normal(size=len(X)) > 0
    estimator = GDClassifier(batch_size=1000, max_iter=30, random_state=0)
    check_coefficients(estimator, {"learning_rate": [0.01, 0.3]}, X, y)


def test_candidates_without_a_seed_read_the_rows_in_one_order():
    X, y = sample(load_breast_cancer)
    search = GDSearchCV(clone(CLASSIFIER).set_params(random_state=None), RATES, random_state=5)
    first, again = models_of(search, X, y), models_of(search, X, y)
    assert_array_equal([model.coef_ for model in first], [model.coef_ for model in again])
    assert len({model.random_state for model in first}) == 1
    other = models_of(search.set_params(random_state=6), X, y)
    assert not np.array_equal(first[0].coef_, other[0].coef_)
    assert search.estimator.random_state is None


# ---- beside scikit-learn's searches -------------------------------------------------------------

def agree(ours, theirs):
    """Compare what a search found, times aside."""
    assert set(ours.cv_results_) - set(theirs.cv_results_) == {"stop_reason"}
    assert set(theirs.cv_results_) <= set(ours.cv_results_)
    for key, values in theirs.cv_results_.items():
        if key == "params":
            assert ours.cv_results_["params"] == values
        elif "time" not in key:
            assert type(ours.cv_results_[key]) is type(values)
            assert ours.cv_results_[key].dtype == values.dtype
            if values.dtype.kind == "f":
                assert_allclose(ours.cv_results_[key], values, rtol=1e-9)
            else:
                assert_array_equal(ours.cv_results_[key], values)
    public = {name for name in vars(theirs) if name.endswith("_")}
    assert {name for name in vars(ours) if name.endswith("_")} - {"_memory"} >= public
    for name in ("best_params_", "best_index_", "n_splits_", "multimetric_"):
        assert getattr(ours, name) == getattr(theirs, name)


ALONE = [
    (GDClassifier(), {"alpha": [1e-3, 1e-1]}),
    (GDClassifier(optimizer="lbfgs", max_iter=20), {"penalty": ["l2", None]}),
    (GDClassifier(batch_size="full", max_iter=20), RATES),
    (LogisticRegression(max_iter=1000), {"C": [0.1, 1.0]}),
    (make_pipeline(StandardScaler(), GDClassifier()), {"gdclassifier__alpha": [1e-3, 1e-1]}),
]
STEPS = make_pipeline(StandardScaler(), PCA(random_state=0), clone(CLASSIFIER))
INSIDE = {"pca__n_components": [2, 4], "gdclassifier__learning_rate": [0.01, 0.1, 1.0]}


@pytest.mark.parametrize("estimator, grid", ALONE)
@pytest.mark.parametrize("scoring", [None, "roc_auc_ovr", ["accuracy", "neg_log_loss"]])
def test_what_does_not_fuse_is_fitted_as_grid_search_does(estimator, grid, scoring):
    X, y = sample(load_wine)
    params = {"scoring": scoring, "cv": 3, "refit": scoring is None, "return_train_score": True}
    agree(*(search(clone(estimator), grid, **params).fit(X, y)
            for search in (GDSearchCV, GridSearchCV)))  # fmt: skip


@pytest.mark.parametrize("race", [False, True])
@pytest.mark.parametrize("sparse_output", [False, True])
def test_in_a_pipeline_the_candidates_are_those_of_grid_search(race, sparse_output):
    X, y = sample(load_wine)
    estimator = clone(STEPS)
    if sparse_output:
        estimator.steps.insert(2, ("csr", FunctionTransformer(sparse.csr_matrix)))
    theirs = GridSearchCV(estimator, INSIDE, cv=3, return_train_score=True).fit(X, y)
    ours = GDSearchCV(estimator, INSIDE, cv=3, return_train_score=True, race=race).fit(X, y)
    if race:
        assert ours.best_params_ == theirs.best_params_
    else:
        agree(ours, theirs)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))


def test_the_steps_before_are_fitted_once_for_each_fold_and_setting():
    X, y = sample(load_wine)
    counted = []

    class Counted(PCA):
        def fit_transform(self, X, y=None):
            counted.append(self.n_components)
            return super().fit_transform(X, y)

    estimator = make_pipeline(Counted(), clone(CLASSIFIER))
    grid = {"counted__n_components": [2, 3], "gdclassifier__learning_rate": [0.01, 0.1, 1.0]}
    GDSearchCV(estimator, grid, cv=3, refit=False).fit(X, y)
    assert counted == [2] * 3 + [3] * 3


def test_weights_reach_the_last_step():
    X, y = sample(load_breast_cancer)
    weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    grid = {"gdclassifier__learning_rate": [0.01, 0.1]}
    params = {"gdclassifier__sample_weight": weights}
    agree(*(search(clone(STEPS), grid, cv=3).fit(X, y, **params)
            for search in (GDSearchCV, GridSearchCV)))  # fmt: skip


@pytest.mark.parametrize("distribution", [stats.loguniform(1e-4, 1), np.logspace(-4, 0, 20)])
def test_draws_are_those_of_randomized_search(distribution):
    X, y = sample(load_breast_cancer)
    drawn = {"learning_rate": distribution}
    ours = GDSearchCV(CLASSIFIER, drawn, n_iter=5, random_state=7, refit=False).fit(X, y)
    theirs = RandomizedSearchCV(CLASSIFIER, drawn, n_iter=5, random_state=7, refit=False).fit(X, y)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
