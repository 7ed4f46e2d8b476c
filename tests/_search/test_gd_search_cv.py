"""The search: the same candidates, folds and scores as one fit after the other."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from sklearn.base import clone, is_regressor
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.exceptions import DataConversionWarning, FitFailedWarning
from sklearn.linear_model import ElasticNet as TheirElasticNet
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd._search.halving import FEWEST, can_win, hoped, leaders
from skgd.losses import Huber
from skgd.optimizers import SGD, Adam, Optimizer
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

    def __call__(self, estimator, X, y, sample_weight=None):
        self.models.append(estimator)
        return estimator.score(X, y, sample_weight=sample_weight)


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
    (CLASSIFIER, {"alpha": [1e-3, 0.1], "penalty": ["l2", "l1", ElasticNet(0.3), None]}),
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


def test_a_candidate_that_begins_again_is_its_fit():
    rng = np.random.default_rng(0)
    X = rng.standard_t(1.5, size=(90, 10))
    y = X @ rng.normal(size=10) + rng.normal(size=90)
    estimator = GDRegressor(
        optimizer="momentum", batch_size=2, max_iter=12, tol=None, random_state=0
    )  # fmt: skip
    objectives = clone(estimator).fit(X, y).history_["objective"]
    assert objectives.max() > 0.5 * np.var(y)
    check_coefficients(estimator, {"alpha": [1e-4, 1e-2]}, X, y)


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
        assert getattr(ours, name, None) == getattr(theirs, name, None)


ALONE = [
    (GDClassifier(), {"alpha": [1e-3, 1e-1]}),
    (GDClassifier(optimizer="lbfgs", max_iter=20), {"penalty": ["l2", None]}),
    (GDClassifier(batch_size="full", max_iter=20), RATES),
    (GaussianNB(), {"var_smoothing": [1e-9, 0.1]}),
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


INSIDE_RATES = {"gdclassifier__learning_rate": [0.01, 0.1]}
FORMS = {
    "column": lambda y: y[:, None],
    "frame": lambda y: pd.DataFrame({"target": y}),
    "series": pd.Series,
    "nullable": lambda y: pd.Series(y).convert_dtypes(),
    "list": list,
    "object": lambda y: y.astype(object),
    "texts": lambda y: np.array(["a", "bb", "ccc"], dtype=object)[y],
    "column of texts": lambda y: pd.DataFrame({"target": np.array(["a", "bb", "ccc"])[y]}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_held_out_classes_are_checked_as_those_of_fit(form, load):
    X, y = sample(load, 60)
    y, column, found = FORMS[form](y), "column" in form or form == "frame", {}
    scoring = ["accuracy", "neg_log_loss", "f1_macro"]
    for search, more in ((GridSearchCV, {}), (GDSearchCV, {"race": False})):
        made = search(clone(STEPS), INSIDE_RATES, cv=2, scoring=scoring, refit=False, **more)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataConversionWarning)
            try:
                results = made.fit(X, y).cv_results_
                found[search] = [results[f"mean_test_{name}"] for name in scoring]
            except ValueError as error:
                found[search] = str(error).strip().splitlines()[-1]
        assert any(each.category is DataConversionWarning for each in caught) == column
    if form == "object":
        assert found[GDSearchCV] == found[GridSearchCV] and "Unknown label" in found[GridSearchCV]
    else:
        assert_allclose(found[GDSearchCV], found[GridSearchCV], rtol=1e-9)


@pytest.mark.parametrize("form", ["column", "frame", "list", "object", "nullable"])
@pytest.mark.parametrize("load", [load_diabetes, load_linnerud])
def test_held_out_numbers_are_checked_as_those_of_fit(form, load):
    X, y = sample(load, 60)
    if y.ndim == 2:
        y = {"frame": pd.DataFrame(y), "list": y.tolist()}.get(form, y)
    else:
        y = FORMS[form](y)
    estimator = make_pipeline(StandardScaler(), clone(REGRESSOR))
    grid = {"gdregressor__learning_rate": [0.01, 0.1]}
    theirs = GridSearchCV(estimator, grid, cv=2).fit(X, y)
    for race in (False, True):
        ours = GDSearchCV(estimator, grid, cv=2, race=race).fit(X, y)
        assert_allclose(ours.best_score_, theirs.best_score_, rtol=1e-9)
        assert ours.best_estimator_[-1].coef_.shape == theirs.best_estimator_[-1].coef_.shape


@pytest.mark.parametrize("race", [False, True])
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_a_column_of_targets_is_searched_as_a_vector(race, load):
    X, y = sample(load)
    for estimator, grid in ((CLASSIFIER, RATES), (clone(STEPS), INSIDE_RATES)):
        vector = GDSearchCV(estimator, grid, cv=2, race=race).fit(X, y)
        with pytest.warns(DataConversionWarning):
            column = GDSearchCV(estimator, grid, cv=2, race=race).fit(X, y[:, None])
        assert_array_equal(*(each.cv_results_["mean_test_score"] for each in (vector, column)))
        assert 0.3 < column.best_score_ <= 1.0


@pytest.mark.parametrize("weights", [2.0, np.ones((120, 1)), np.ones(200), np.r_[np.ones(119), -1]])
def test_weights_of_a_pipeline_are_checked_as_those_of_fit(weights):
    X, y = sample(load_breast_cancer)
    results = []
    for search in (GridSearchCV, GDSearchCV):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = search(clone(STEPS), INSIDE_RATES, cv=3).fit(
                    X, y, gdclassifier__sample_weight=weights
                )
            results.append(found.cv_results_["mean_test_score"])
        except ValueError as error:
            results.append(str(error).strip().splitlines()[-1])
    if isinstance(results[0], str):
        assert results[1] == results[0]
    else:
        assert_allclose(results[1].max(), results[0].max())


def test_weights_that_a_scorer_refuses_are_left_to_scikit_learn():
    X, y = sample(load_breast_cancer)
    weights = np.ones(len(y))
    weights[::7] = np.nan
    with sklearn.config_context(enable_metadata_routing=True):
        asked = clone(CLASSIFIER).set_fit_request(sample_weight=False)
        asked.set_score_request(sample_weight=True)
        search = GDSearchCV(asked, RATES, cv=3, refit=False, error_score=-7.0)
        with pytest.warns(UserWarning, match="(?s)Scoring failed.*NaN"):
            search.fit(X, y, sample_weight=weights)
    assert_array_equal(search.cv_results_["mean_test_score"], [-7.0, -7.0])


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
    ours = GDSearchCV(clone(STEPS), grid, cv=3, race=False).fit(X, y, **params)
    agree(ours, GridSearchCV(clone(STEPS), grid, cv=3).fit(X, y, **params))


@pytest.mark.parametrize("distribution", [stats.loguniform(1e-4, 1), np.logspace(-4, 0, 20)])
def test_draws_are_those_of_randomized_search(distribution):
    X, y = sample(load_breast_cancer)
    drawn = {"learning_rate": distribution}
    ours = GDSearchCV(CLASSIFIER, drawn, n_iter=5, random_state=7, refit=False).fit(X, y)
    theirs = RandomizedSearchCV(CLASSIFIER, drawn, n_iter=5, random_state=7, refit=False).fit(X, y)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]


def test_a_list_of_grids_is_searched_as_grid_search_does():
    X, y = sample(load_wine)
    grid = [{"alpha": [0.1]}, {"learning_rate": [0.1, 0.3]}, {"loss": ["hinge"], **RATES}]
    ours = GDSearchCV(CLASSIFIER, grid, race=False, cv=3).fit(X, y)
    theirs = GridSearchCV(CLASSIFIER, grid, cv=3).fit(X, y)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    for name in ("alpha", "learning_rate", "loss"):
        assert_array_equal(ours.cv_results_[f"param_{name}"].mask,
                           theirs.cv_results_[f"param_{name}"].mask)  # fmt: skip


def test_one_candidate_refits_to_what_fit_gives():
    X, y = sample(load_diabetes)
    search = GDSearchCV(REGRESSOR, {"learning_rate": [0.1]}, scoring="r2").fit(X, y)
    alone = clone(REGRESSOR).set_params(learning_rate=0.1).fit(X, y)
    assert_array_equal(search.best_estimator_.coef_, alone.coef_)
    assert search.score(X, y) == alone.score(X, y)
    assert search.best_params_ == {"learning_rate": 0.1}
    assert search.n_features_in_ == 8


def test_no_row_that_is_held_out_enters_the_metric_or_the_class_weights():
    X, y = sample(load_wine)
    estimator = clone(CLASSIFIER).set_params(class_weight="balanced")
    held_out = np.arange(len(y)) % 3 == 0
    splits = [(np.flatnonzero(~held_out), np.flatnonzero(held_out))]
    spoilt = np.where(held_out[:, None], 1e6 * X, X)
    codes = np.where(held_out, 0, y)
    coefs = [
        models_of(GDSearchCV(estimator, RATES, cv=splits), *data)[0].coef_
        for data in ((X, y), (spoilt, y), (X, codes))
    ]  # fmt: skip
    assert_allclose(coefs[1], coefs[0], rtol=1e-9)
    assert_allclose(coefs[2], coefs[0], rtol=1e-9)


@pytest.mark.parametrize("cv", [GroupKFold(3), TimeSeriesSplit(3), PredefinedSplit(
    np.arange(120) % 4 - 1), [(np.arange(120) % 2 == 0, np.arange(120) % 2 == 1)],
    [(np.repeat(np.arange(60), 2), np.arange(60, 120))]])  # fmt: skip
def test_any_splitter(cv):
    X, y = sample(load_diabetes)
    groups = {"groups": np.arange(len(y)) % 7} if isinstance(cv, GroupKFold) else {}
    search = GDSearchCV(REGRESSOR, RATES, cv=cv)
    models = models_of(search, X, y, **groups)
    splits = list(cv) if isinstance(cv, list) else list(cv.split(X, y, **groups))
    assert search.n_splits_ == len(splits)
    for i, (train, test) in enumerate(splits):
        weights = np.zeros(len(y))
        np.add.at(weights, train, 1.0)
        model, params = models[2 * i], search.cv_results_["params"][0]
        alone = clone(REGRESSOR).set_params(**params).fit(X, y, sample_weight=weights)
        assert parameters_apart(model, alone) < 1e-8
        score = search.cv_results_[f"split{i}_test_score"][0]
        assert_allclose(score, alone.score(X[test], y[test]))


def test_a_frame_keeps_its_names():
    X, y = load_wine(return_X_y=True, as_frame=True)
    search = GDSearchCV(CLASSIFIER, RATES).fit(X, y)
    assert_array_equal(search.feature_names_in_, X.columns)
    assert_array_equal(search.predict(X[:5]), search.best_estimator_.predict(X[:5]))
    labels = pd.Series(np.array(["a", "b", "c"])[y])
    assert_array_equal(GDSearchCV(CLASSIFIER, RATES).fit(X, labels).classes_, ["a", "b", "c"])


# ---- scores -------------------------------------------------------------------------------------

BINARY = ("accuracy", "neg_log_loss", "roc_auc", "f1", "average_precision", "neg_brier_score")
SEVERAL = ("accuracy", "neg_log_loss", "f1_macro", "roc_auc_ovr")
NUMBERS = ("r2", "neg_mean_squared_error", "neg_mean_absolute_error", "neg_max_error")
SCORED = [(load_breast_cancer, BINARY), (load_wine, SEVERAL), (load_diabetes, NUMBERS)]


@pytest.mark.parametrize("load, names", SCORED)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_scores_are_those_of_the_scorers(load, names, weighted, together):
    X, y = sample(load)
    estimator = REGRESSOR if load is load_diabetes else CLASSIFIER
    names = [name for name in names if not weighted or name != "neg_max_error"]
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    params = {"sample_weight": weights} if weighted else {}
    models = models_of(GDSearchCV(estimator, RATES, cv=KFold(3)), X, y, **params)
    for scoring in [names] if together else names:
        search = GDSearchCV(estimator, RATES, cv=KFold(3), scoring=scoring, refit=False,
                            race=False, return_train_score=True).fit(X, y, **params)  # fmt: skip
        for i, split in enumerate(KFold(3).split(X)):
            for name in names if together else [scoring]:
                for part, rows in zip(("train", "test"), split, strict=True):
                    known = {"sample_weight": weights[rows]} if weighted else {}
                    expected = [get_scorer(name)(model, X[rows], y[rows], **known)
                                for model in models[2 * i:2 * i + 2]]  # fmt: skip
                    key = f"split{i}_{part}_{name if together else 'score'}"
                    assert_allclose(search.cv_results_[key], expected, rtol=1e-9, atol=1e-12)


def test_scores_of_labels_that_a_fold_lacks_are_left_to_scikit_learn():
    X, y = sample(load_wine)
    order = np.argsort(y, kind="stable")
    search = GDSearchCV(CLASSIFIER, RATES, cv=[(order[:100], order[100:])], refit=False,
                        scoring="neg_log_loss", error_score=-7.0)  # fmt: skip
    with pytest.warns(UserWarning, match="Scoring failed"):
        search.fit(X, y)
    assert_array_equal(search.cv_results_["mean_test_score"], [-7.0, -7.0])


def test_a_scorer_of_the_users_own_gets_rows_as_they_were_passed():
    X, y = load_wine(return_X_y=True, as_frame=True)
    seen = []

    def scorer(estimator, X, y):
        seen.append((type(estimator).__name__, type(X).__name__, len(X)))
        return {"a": estimator.score(X, y), "b": 0.0}

    search = GDSearchCV(STEPS, INSIDE, cv=3, scoring=scorer, refit="a", race=False).fit(X, y)
    assert set(seen[:-1]) <= {("Pipeline", "DataFrame", 60), ("Pipeline", "DataFrame", 59)}
    assert search.multimetric_
    assert search.best_index_ == search.cv_results_["mean_test_a"].argmax()


def test_refit_may_choose_by_a_function():
    X, y = sample(load_wine)
    search = GDSearchCV(CLASSIFIER, RATES, refit=lambda results: 1).fit(X, y)
    assert search.best_index_ == 1
    assert not hasattr(search, "best_score_")
    assert search.best_estimator_.learning_rate == 0.1


# ---- failures -----------------------------------------------------------------------------------

FAILING = {"learning_rate": [0.1, lambda t: -1.0 - t, lambda t: 0.1 / (1 + t)]}


def test_a_fit_that_fails_gets_the_error_score_and_the_others_theirs():
    X, y = sample(load_wine)
    search = GDSearchCV(CLASSIFIER, FAILING, error_score=-1.0, race=False, cv=3)
    with pytest.warns(FitFailedWarning, match="finite rates above or equal to 0"):
        search.fit(X, y)
    assert search.cv_results_["stop_reason"].tolist() == ["max_iter", "failed", "max_iter"]
    assert search.cv_results_["mean_test_score"][1] == -1.0
    fine = GDSearchCV(CLASSIFIER, {"learning_rate": FAILING["learning_rate"][::2]}, race=False,
                      cv=3).fit(X, y)  # fmt: skip
    assert_allclose(search.cv_results_["mean_test_score"][::2],
                    fine.cv_results_["mean_test_score"])  # fmt: skip
    with pytest.raises(ValueError, match="finite rates above or equal to 0"):
        search.set_params(error_score="raise").fit(X, y)


class BrokenAtOnce(Optimizer):
    def update(self, w, g, state, rate, t):
        raise RuntimeError("the first step")


def test_an_error_in_the_first_epoch_does_not_stop_the_race():
    X, y = sample(load_wine)
    grid = {"optimizer": ["adam", BrokenAtOnce(), "sgd"], "learning_rate": [0.1]}
    with pytest.warns((FitFailedWarning, UserWarning), match="the first step|non-finite"):
        search = GDSearchCV(CLASSIFIER, grid, cv=3).fit(X, y)
    assert search.cv_results_["stop_reason"][1] == "failed"
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True, False])


class Broken(Optimizer):
    """An optimizer that fails in its seventh step."""

    def update(self, w, g, state, rate, t):
        if t == 6:
            raise RuntimeError("the seventh step")
        w -= rate * g


def test_an_error_inside_a_pass_hits_the_one_that_made_it():
    X, y = sample(load_wine)
    grid = {"optimizer": ["adam", Broken(), "sgd"], "learning_rate": [0.1]}
    search = GDSearchCV(CLASSIFIER, grid, race=False, cv=3)
    with pytest.warns((FitFailedWarning, UserWarning), match="the seventh step|non-finite"):
        search.fit(X, y)
    assert search.cv_results_["stop_reason"].tolist() == ["max_iter", "failed", "max_iter"]
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True, False])


@pytest.mark.parametrize("estimator", [CLASSIFIER, STEPS])
def test_rows_that_cannot_be_used_fail_as_in_grid_search(estimator):
    X, y = sample(load_wine)
    X[3, 2] = np.nan
    rate = "learning_rate" if estimator is CLASSIFIER else "gdclassifier__learning_rate"
    with pytest.raises(ValueError, match="(?s)All the 10 fits failed.*NaN"):
        GDSearchCV(estimator, {rate: [0.1, 0.2]}).fit(X, y)


def test_a_fold_with_one_class_fails_and_the_others_do_not():
    X, y = sample(load_breast_cancer)
    folds = [(np.flatnonzero(y), np.arange(9)), (np.arange(60), np.arange(60, 120))]
    search = GDSearchCV(CLASSIFIER, RATES, cv=folds, refit=False)
    with pytest.warns((FitFailedWarning, UserWarning), match="at least 2 classes|non-finite"):
        search.fit(X, y)
    assert np.isnan(search.cv_results_["split0_test_score"]).all()
    assert (search.cv_results_["split1_test_score"] > 0.8).all()


def test_divergence_may_raise():
    X, y = sample(load_diabetes)
    model = clone(REGRESSOR).set_params(on_divergence="raise", optimizer="sgd", max_iter=20)
    search = GDSearchCV(model, {"learning_rate": [1e-3, 50.0]}, cv=3, error_score=-9.0)
    with pytest.warns(FitFailedWarning, match="The descent diverged at update step"):
        search.fit(X, y)
    assert search.cv_results_["stop_reason"].tolist() == ["max_iter", "failed"]
    assert search.cv_results_["mean_test_score"][1] == -9.0


def test_diverged_candidates_are_reported_without_a_warning():
    X, y = sample(load_diabetes)
    model = clone(REGRESSOR).set_params(optimizer="sgd", max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GDSearchCV(model, {"learning_rate": [1e-3, 50.0]}, cv=3).fit(X, y)
    assert search.cv_results_["stop_reason"].tolist() == ["max_iter", "diverged"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_index_ == 0


# ---- the race -----------------------------------------------------------------------------------

RACES = [(load_diabetes, "r2"), (load_breast_cancer, "accuracy"), (load_digits, "accuracy")] + [
    (load, "neg_log_loss") for load in (load_breast_cancer, load_wine, load_digits, load_iris)
]


@pytest.mark.parametrize("load, scoring", RACES)
@pytest.mark.parametrize("optimizer, max_iter", [("adam", 10), ("adam", 40), ("sgd", 10)])
def test_the_race_has_the_same_winner_or_one_as_good(load, scoring, optimizer, max_iter):
    X, y = sample(load, 600, 64)
    estimator = (GDRegressor if load is load_diabetes else GDClassifier)(
        optimizer=optimizer, batch_size=32, max_iter=max_iter, tol=None, random_state=0
    )
    grid = {"learning_rate": np.logspace(-4, 0.5, 8), "alpha": [1e-4, 1e-2]}
    raced, whole = (
        GDSearchCV(estimator, grid, scoring=scoring, race=race, refit=False, cv=4).fit(X, y)
        for race in (True, False)
    )
    scores = whole.cv_results_["mean_test_score"]
    assert scores.max() - scores[raced.best_index_] <= 1e-3 * abs(scores.max())
    assert (raced.cv_results_["stop_reason"] == "race").sum() >= 3


@pytest.mark.parametrize("tol", [None, 1e-9])
@pytest.mark.parametrize("scoring", ["neg_log_loss", ["accuracy", "neg_log_loss"]])
def test_the_scores_of_a_race_are_those_of_what_its_candidates_have_come_to(scoring, tol):
    X, y = sample(load_digits, 300)
    # With a tol, steps that are too long end elsewhere than at their best.
    estimator = clone(CLASSIFIER).set_params(max_iter=8, tol=tol, n_iter_no_change=8)
    grid = {"learning_rate": np.logspace(-4, 1.5, 24)}
    refit = scoring[1] if isinstance(scoring, list) else True
    raced, *whole = (
        GDSearchCV(
            clone(estimator).set_params(max_iter=epochs), grid, race=race,
            scoring=scoring, refit=refit, cv=3,
        ).fit(X, y).cv_results_
        for race, epochs in [(True, 8), (False, 1), (False, 2), (False, 4), (False, 8)]
    )  # fmt: skip
    left, stayed = (raced["stop_reason"] == reason for reason in ("race", "max_iter"))
    # A fit that ends so badly, or has a tol, keeps another epoch than the last.
    left &= np.all([each["stop_reason"] == "max_iter" for each in whole], axis=0) & (tol is None)
    assert left.any() == (tol is None) and stayed.any()
    for name in [name for name in raced if name.startswith("split")]:
        assert_array_equal(raced[name][stayed], whole[-1][name][stayed])
        assert all(raced[name][i] in [each[name][i] for each in whole] for i in left.nonzero()[0])


def test_a_candidate_that_catches_up_stays():
    before, best = np.array([0.5, 0.5]), np.array([0.9, 0.9])
    assert can_win(np.array([0.6, 0.6]), best, gain=0.1, doublings=3.0)
    assert not can_win(np.array([0.6, 0.6]), best, gain=0.01, doublings=3.0)
    assert can_win(np.array([1.1, 0.5]), best, gain=0.0, doublings=3.0)
    assert can_win(best, best, gain=-0.1, doublings=0.0)
    assert can_win(best - 0.015, best, gain=0.0, doublings=0.0)
    assert not can_win(before, best, gain=0.0, doublings=3.0)
    assert not can_win(before[:1], best[:1], gain=0.0, doublings=3.0)


def test_of_many_candidates_the_leaders_stay():
    standings = {c: float(c) for c in range(100)} | {100: np.nan}
    assert leaders(standings, 0.3) == set(range(69, 100))
    assert leaders(standings, 0.0) == set(range(100 - FEWEST, 100))
    assert leaders({0: 1.0, 1: np.nan}, 1.0) == {0, 1}
    assert hoped(np.array([0.5, 0.7]), 0.1, 2.0) == pytest.approx(0.8)
    assert hoped(np.array([0.5, 0.7]), -0.1, 2.0) == pytest.approx(0.6)


def test_a_race_of_many_candidates_keeps_its_leaders_and_the_winner():
    X, y = sample(load_wine)
    grid = {"learning_rate": np.logspace(-4, 0.5, 16), "alpha": np.logspace(-6, 0, 8)}
    estimator = clone(CLASSIFIER).set_params(max_iter=8)
    raced, whole = (
        GDSearchCV(estimator, grid, scoring="neg_log_loss", race=race, refit=False, cv=3).fit(X, y)
        for race in (True, False)
    )
    scores = whole.cv_results_["mean_test_score"]
    assert scores.max() - scores[raced.best_index_] <= 1e-3 * abs(scores.max())
    # After 4 of 8 epochs a third of the doublings is to come: so many lead by score, or by loss.
    assert (raced.cv_results_["stop_reason"] == "max_iter").sum() <= 2 * np.ceil(128 / 3)


# ---- scikit-learn's protocols -------------------------------------------------------------------

def test_weights_are_routed_where_they_are_asked_for():
    X, y = sample(load_breast_cancer)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    plain = GDSearchCV(CLASSIFIER, RATES, cv=3).fit(X, y, sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=True):
        asked = clone(CLASSIFIER).set_fit_request(sample_weight=True)
        asked.set_score_request(sample_weight=True)
        routed = GDSearchCV(asked, RATES, cv=3).fit(X, y, sample_weight=weights)
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            GDSearchCV(CLASSIFIER, RATES).fit(X, y, sample_weight=weights)
        grouped = GDSearchCV(CLASSIFIER, RATES, cv=GroupKFold(3))
        grouped.fit(X, y, groups=np.arange(len(y)) % 5)
    assert_array_equal(routed.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    assert grouped.n_splits_ == 3


@pytest.mark.parametrize("wrong, error", [
    ({"param_grid": {"nonsense": [1]}}, "Invalid parameter 'nonsense'"),
    ({"param_grid": {"alpha": 1.0}}, "needs to be a list"),
    ({"param_grid": {"alpha": []}}, "non-empty"),
    ({"param_grid": {"alpha": stats.uniform()}}, "pass n_iter"),
    ({"n_iter": 0}, "n_iter"),
    ({"race": 3}, "race"),
    ({"scoring": "nonsense"}, "scoring"),
    ({"scoring": ["accuracy"], "refit": True}, "refit"),
    ({"cv": []}, "No fits were performed"),
])  # fmt: skip
def test_wrong_arguments_are_named(wrong, error):
    search = GDSearchCV(CLASSIFIER, RATES).set_params(**wrong)
    with pytest.raises((TypeError, ValueError), match=error):
        search.fit(*sample(load_wine))


BATCHES = {"check_sample_weight_equivalence_on_dense_data": "the batches differ",
           "check_sample_weight_equivalence_on_sparse_data": "the batches differ"}  # fmt: skip
CHECKED = [
    GDSearchCV(GDClassifier(), {"alpha": [0.1, 1.0]}, cv=2, error_score="raise"),
    GDSearchCV(TheirElasticNet(), {"alpha": [0.01, 0.1]}, cv=2, error_score="raise"),
    GDSearchCV(GDClassifier(batch_size=4, max_iter=50, tol=None, random_state=0),
               {"learning_rate": [0.05, 0.1]}, cv=2, error_score="raise"),
    GDSearchCV(make_pipeline(StandardScaler(), clone(REGRESSOR).set_params(batch_size=4)),
               {"gdregressor__learning_rate": [0.05, 0.1]}, cv=2, error_score="raise"),
]  # fmt: skip
# As for GridSearchCV itself, whose folds of one column are not those of two.
TWO_COLUMNS = {"check_supervised_y_2d": "no warning is caught"}


def expected_failures(search):
    batched = any(search is each for each in CHECKED[2:])
    return (BATCHES if batched else {}) | (TWO_COLUMNS if is_regressor(search) else {})


@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_scikit_learn_finds_nothing_to_complain_about(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)
