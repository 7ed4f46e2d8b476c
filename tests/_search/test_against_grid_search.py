"""The search against those of scikit-learn: the same results, and the same protocols."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats
from searches import (
    CLASSIFIER,
    INSIDE,
    RATES,
    REGRESSOR,
    STEPS,
    models_of,
    parameters_apart,
    sample,
)
from sklearn.base import clone, is_regressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_linnerud, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import ElasticNet as TheirElasticNet
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    PredefinedSplit,
    RandomizedSearchCV,
    TimeSeriesSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgd import GDClassifier, GDSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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


@pytest.mark.filterwarnings("ignore:Scoring failed|One or more of the test scores:UserWarning")
@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "max_iter": 2, "tol": None}])
@pytest.mark.parametrize("case", ["no probabilities", "no rows"])
def test_what_cannot_be_scored_gets_the_error_score(case, settings):
    X, y = sample(load_breast_cancer)
    model = GDClassifier("hinge", **settings)
    options = {"scoring": "neg_log_loss"}
    if case == "no rows":
        half, none = np.arange(0, 120, 2), np.array([], dtype=int)
        options = {"cv": [(half, half + 1), (half, none)]}
    for search in (GridSearchCV, GDSearchCV):
        found = search(model, {"alpha": [0.1, 1.0]}, **options).fit(X, y)
        assert np.isnan(found.cv_results_["mean_test_score"]).all()
        assert found.best_index_ == 0
