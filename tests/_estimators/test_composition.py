"""The estimators inside scikit-learn's tools, cloned, stored and printed."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import StackingClassifier, VotingRegressor
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor
from skgd.losses import Huber
from skgd.optimizers import SGD, Adam
from skgd.schedules import InverseScaling

DIABETES = load_diabetes(return_X_y=True, scaled=False)
CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)


# ---- scikit-learn's tools -----------------------------------------------------------------------


def test_a_grid_search_over_rates_inside_a_pipeline_compares_the_rates():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GDClassifier(max_iter=20, tol=None, random_state=0)),
        {"gdclassifier__learning_rate": [1e-5, 0.03, InverseScaling(0.1)]},
        scoring="neg_log_loss", cv=3,
    ).fit(*CANCER)  # fmt: skip
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] < -0.5
    assert scores[1] > -0.15
    assert scores[2] > -0.15


def test_a_grid_search_over_an_optimizers_parameter_sets_it():
    search = GridSearchCV(
        GDClassifier(optimizer=Adam(), max_iter=5, tol=None, random_state=0, learning_rate=0.01),
        {"optimizer__beta_1": [0.0, 0.9, 0.99]}, scoring="neg_log_loss", cv=3,
    ).fit(*CANCER)  # fmt: skip
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    assert search.best_estimator_.optimizer.beta_1 == search.best_params_["optimizer__beta_1"]


def test_a_grid_search_over_a_losss_parameter_sets_it():
    X, y = DIABETES
    search = GridSearchCV(
        GDRegressor(loss=Huber()), {"loss__delta": [1.0, 1e6]}, cv=3, scoring="r2"
    ).fit(X, y)
    squares = cross_validate(GDRegressor(alpha=1e-4), X, y, cv=3, scoring="r2")["test_score"]
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(squares.mean(), abs=1e-3)
    assert search.cv_results_["mean_test_score"][0] != pytest.approx(squares.mean(), abs=1e-3)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_val_predict_is_that_of_logistic_regression(method):
    X, y = CANCER
    X, y = StandardScaler().fit_transform(X)[:565], y[:565]
    oracle = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12)
    # Each of the five fits has 452 rows.
    model = GDClassifier(alpha=1 / 452, tol=1e-12)
    expected = cross_val_predict(oracle, X, y, method=method, cv=5)
    actual = cross_val_predict(model, X, y, method=method, cv=5)
    assert_allclose(actual, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("loss", ["hinge", "log_loss"])
def test_a_calibrated_classifier_gives_probabilities(loss):
    X, y = CANCER
    model = CalibratedClassifierCV(GDClassifier(loss, alpha=1e-2), cv=3).fit(X, y)
    assert log_loss(y, model.predict_proba(X)) < 0.15


def test_multi_output_classifier_fits_each_column():
    X, y = IRIS
    Y = np.column_stack([y, y == 1])
    model = MultiOutputClassifier(GDClassifier(alpha=1e-2)).fit(X, Y)
    for column, part in zip(Y.T, model.estimators_, strict=True):
        assert_array_equal(part.coef_, GDClassifier(alpha=1e-2).fit(X, column).coef_)


def test_select_from_model_drops_the_columns_with_zeros():
    X, y = CANCER
    X = StandardScaler().fit_transform(X)
    selector = SelectFromModel(GDClassifier(penalty="l1", alpha=0.05)).fit(X, y)
    kept = selector.estimator_.coef_[0] != 0
    assert 0 < kept.sum() < 15
    assert_array_equal(selector.get_support(), kept)


def test_stacking_and_voting_take_the_estimators():
    X, y = IRIS
    stack = StackingClassifier(
        [("soft", GDClassifier()), ("hard", GDClassifier("squared_hinge"))],
        final_estimator=GDClassifier(), cv=3,
    ).fit(X, y)  # fmt: skip
    assert stack.score(X, y) > 0.95
    X, y = DIABETES
    vote = VotingRegressor([("skgd", GDRegressor(alpha=1 / len(y))), ("ridge", Ridge(1.0))])
    assert_allclose(vote.fit(X, y).predict(X), Ridge(1.0).fit(X, y).predict(X), rtol=1e-3)


def test_sample_weights_are_routed():
    X, y = DIABETES
    s = (np.arange(len(y)) % 3).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            GDRegressor(alpha=0.1).set_fit_request(sample_weight=True),
        ).fit(X, y, sample_weight=s)
        search = GridSearchCV(
            GDRegressor()
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=True),
            {"alpha": [0.1]}, cv=3,
        ).fit(X, y, sample_weight=s)  # fmt: skip
    scaled = StandardScaler().fit_transform(X)
    alone = GDRegressor(alpha=0.1).fit(scaled, y, sample_weight=s)
    assert_array_equal(pipeline[-1].coef_, alone.coef_)
    assert not np.allclose(alone.coef_, GDRegressor(alpha=0.1).fit(scaled, y).coef_)
    direct = GDRegressor(alpha=0.1).fit(X, y, sample_weight=s)
    assert_array_equal(search.best_estimator_.coef_, direct.coef_)


def test_partial_fit_has_requests_too():
    with sklearn.config_context(enable_metadata_routing=True):
        model = GDClassifier().set_partial_fit_request(classes=True, sample_weight=True)
        requests = model.get_metadata_routing().partial_fit.requests
    assert requests == {"classes": True, "sample_weight": True}


# ---- clone, pickle, repr ------------------------------------------------------------------------


ESTIMATORS = [
    GDClassifier(),
    GDRegressor(),
    GDClassifier("hinge", optimizer=SGD(momentum=0.9), learning_rate=InverseScaling(0.01)),
    GDRegressor(loss=Huber(delta=30.0), optimizer=Adam(beta_1=0.8), learning_rate=0.01),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_a_clone_has_equal_parameters_of_its_own(estimator):
    other = clone(estimator)
    assert repr(other) == repr(estimator)
    for name in ("loss", "optimizer", "learning_rate"):
        piece = getattr(estimator, name)
        if hasattr(piece, "get_params"):
            assert getattr(other, name) is not piece
            assert getattr(other, name).get_params() == piece.get_params()


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_a_pickled_estimator_is_the_same_estimator(estimator, protocol):
    unfitted = pickle.loads(pickle.dumps(clone(estimator), protocol))
    assert repr(unfitted) == repr(estimator)
    X, y = IRIS
    model = clone(estimator).set_params(max_iter=50, random_state=0, tol=1.0).fit(X, y)
    again = pickle.loads(pickle.dumps(model, protocol))
    assert repr(again) == repr(model)
    assert_array_equal(again.predict(X), model.predict(X))
    assert_array_equal(again.history_["objective"], model.history_["objective"])
    assert_array_equal(unfitted.set_params(max_iter=50, random_state=0, tol=1.0).fit(X, y).coef_,
                       model.coef_)  # fmt: skip
    assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_joblib_stores_a_fitted_estimator(estimator):
    X, y = IRIS
    model = clone(estimator).set_params(max_iter=50, random_state=0, tol=1.0).fit(X, y)
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    assert_array_equal(joblib.load(buffer).predict(X), model.predict(X))


def test_repr_names_what_differs_from_the_defaults():
    assert repr(GDClassifier()) == "GDClassifier()"
    assert repr(GDRegressor("huber", alpha=1.0)) == "GDRegressor(alpha=1.0, loss='huber')"
    model = GDClassifier(optimizer=Adam(beta_1=0.5)).fit(*IRIS[:1], IRIS[1] == 1)
    assert repr(model) == "GDClassifier(optimizer=Adam(beta_1=0.5))"


@pytest.mark.parametrize("task", ["binary", "several", "regression", "outputs"])
def test_a_sparsified_model_predicts_the_same(task):
    X, y = DIABETES if task in ("regression", "outputs") else IRIS
    if task == "binary":
        y = y == 1
    elif task == "outputs":
        y = np.column_stack([y, X[:, 0]])
    estimator = GDRegressor if task in ("regression", "outputs") else GDClassifier
    model = estimator(penalty="l1", alpha=0.1).fit(X, y)
    coef, expected = model.coef_.copy(), model.predict(X)
    assert model.sparsify() is model
    assert sparse.issparse(model.coef_)
    assert model.coef_.nnz == np.count_nonzero(coef)
    assert_allclose(model.predict(X), expected, rtol=1e-12)
    assert_allclose(model.predict(sparse.csr_matrix(X)), expected, rtol=1e-12)
    assert model.densify() is model
    assert_array_equal(model.coef_, coef)
