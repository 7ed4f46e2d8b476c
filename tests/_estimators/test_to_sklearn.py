"""Estimators converted to scikit-learn's make the same predictions; every loss is enumerated."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import linear_model, svm
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.multioutput import MultiOutputRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skgd import GDClassifier, GDRegressor
from skgd._estimators import to_sklearn
from skgd.losses import Huber, LogLoss, Quantile, Tweedie, by_name
from skgd.penalties import L2

X, Y = load_diabetes(return_X_y=True, scaled=False)
IRIS, SPECIES = load_iris(return_X_y=True)
REGRESSION, CLASSIFICATION = by_name("regression"), by_name("classification")
KNOWN = {kind: name for name, kind in (REGRESSION | CLASSIFICATION).items()}
LONELY = [name for kind, name in KNOWN.items() if kind not in to_sklearn.PEERS]
REGRESSIONS = [name for name in REGRESSION if name not in LONELY]
CLASSIFICATIONS = [name for name in CLASSIFICATION if name not in LONELY]
QUICK = {"optimizer": "adam", "max_iter": 3, "tol": None, "random_state": 0}


def assert_same_predictions(model, peer, X):
    labels = hasattr(model, "classes_")
    compare = assert_array_equal if labels else close
    compare(peer.predict(X), model.predict(X))
    if labels:
        close(peer.decision_function(X), model.decision_function(X))


def close(actual, expected):
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    assert_allclose(actual, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
@pytest.mark.parametrize("loss", REGRESSIONS)
def test_a_regressor_predicts_the_same(loss, penalty, fit_intercept):
    model = GDRegressor(loss, penalty=penalty, fit_intercept=fit_intercept, **QUICK).fit(X, Y)
    peer = model.to_sklearn()
    assert type(peer).__module__.startswith("sklearn.")
    assert_same_predictions(model, peer, X)
    assert_same_predictions(model, pickle.loads(pickle.dumps(peer)), X)
    assert peer.n_features_in_ == 10 and peer.n_iter_ == 3
    assert peer.fit_intercept == fit_intercept
    peer.coef_[:] = 0
    assert np.any(model.coef_)


@pytest.mark.parametrize("loss", REGRESSIONS)
def test_several_outputs_predict_the_same(loss):
    targets = np.column_stack([Y, Y[::-1] + 10.0])
    model = GDRegressor(loss, **QUICK).fit(X, targets)
    assert_same_predictions(model, model.to_sklearn(), X)
    model = GDRegressor(loss, **QUICK).fit(X, Y[:, None])
    assert_same_predictions(model, model.to_sklearn(), X)


@pytest.mark.parametrize("quantiles", [[0.2, 0.9], [0.3]])
def test_several_quantiles_predict_the_same(quantiles):
    model = GDRegressor(Quantile(quantiles), **QUICK).fit(X, Y)
    peer = model.to_sklearn()
    assert isinstance(peer, MultiOutputRegressor)
    assert [part.quantile for part in peer.estimators_] == quantiles
    assert_same_predictions(model, peer, X)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("loss", CLASSIFICATIONS)
def test_a_classifier_predicts_the_same(loss, several, penalty, fit_intercept):
    y = np.array(["a", "b", "c"])[SPECIES] if several else SPECIES == 1
    model = GDClassifier(loss, penalty=penalty, fit_intercept=fit_intercept, **QUICK).fit(IRIS, y)
    peer = model.to_sklearn()
    assert type(peer).__module__.startswith("sklearn.")
    assert_same_predictions(model, peer, IRIS)
    assert_same_predictions(model, pickle.loads(pickle.dumps(peer)), IRIS)
    assert_array_equal(peer.classes_, model.classes_)
    assert peer.coef_.shape == model.coef_.shape


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_probabilities_are_there_in_both(loss, several):
    model = GDClassifier(loss, **QUICK).fit(IRIS, SPECIES if several else SPECIES == 1)
    expected = model.predict_proba(IRIS)
    assert_allclose(model.to_sklearn().predict_proba(IRIS), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("loss", LONELY)
def test_a_loss_without_a_counterpart_says_so(loss):
    estimator = GDRegressor if loss in REGRESSION else GDClassifier
    other = "SquaredError" if loss in REGRESSION else "LogLoss"
    model = estimator(loss, **QUICK).fit(IRIS, SPECIES + 1)
    with pytest.raises(ValueError, match=f"loss='{loss}' has no counterpart.*{other}"):
        model.to_sklearn()


def test_a_users_loss_without_a_counterpart_says_so():
    class Own(LogLoss):
        pass

    with pytest.raises(ValueError, match=r"loss=Own\(\) has no counterpart"):
        GDClassifier(Own()).fit(IRIS, SPECIES).to_sklearn()


@pytest.mark.parametrize("estimator", [GDRegressor(), GDClassifier()])
def test_an_estimator_that_is_not_fitted_is_an_error(estimator):
    with pytest.raises(NotFittedError):
        estimator.to_sklearn()


def test_names_of_columns_and_sparse_coefficients_are_kept():
    frame = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    model = GDClassifier(penalty="l1", alpha=0.05).fit(frame, SPECIES).sparsify()
    peer = model.to_sklearn()
    assert peer.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert_same_predictions(model.densify(), peer, frame)


def test_single_precision_is_kept():
    model = GDClassifier(**QUICK).fit(IRIS.astype(np.float32), SPECIES)
    peer = model.to_sklearn()
    assert peer.coef_.dtype == peer.intercept_.dtype == np.float32
    assert_allclose(peer.predict_proba(IRIS), model.predict_proba(IRIS), rtol=1e-5)


# What scikit-learn fits by L-BFGS keeps single precision since 1.9.
BY_LBFGS = ("poisson", "gamma", "tweedie", "log_loss")
KEEPS_SINGLE_PRECISION = parse_version(sklearn.__version__) >= parse_version("1.9")


def form(value):
    """Return what tells a number of NumPy or an array from others."""
    return np.ndim(value), np.shape(value), np.asarray(value).dtype


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("loss", [*REGRESSIONS, *CLASSIFICATIONS])
# scikit-learn 1.8 takes C=inf for penalty=None, and then warns that it ignores C.
@pytest.mark.filterwarnings("ignore:Setting penalty=None will ignore the C")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_coefficients_have_the_form_that_scikit_learns_own_fit_gives(
    loss, outputs, fit_intercept, dtype
):
    rows, species = IRIS[::5].astype(dtype), SPECIES[::5]
    kind, y = GDRegressor, species + 1.0
    if loss in CLASSIFICATIONS:
        kind, y = GDClassifier, species if outputs == 2 else species == 1
    elif outputs == 2:
        y = np.column_stack([y, y[::-1]])
    squared = loss == "squared_error"
    for penalty in ("l2", "l1", "elasticnet", None) if squared else ("l2", None):
        model = kind(loss, penalty=penalty, fit_intercept=fit_intercept, **QUICK).fit(rows, y)
        peer = model.to_sklearn()
        own = clone(peer)
        for part in (own, getattr(own, "estimator", own)):
            if getattr(part, "C", None) == np.inf and loss != "log_loss":  # which its fit refuses
                part.set_params(C=1.0)
        if loss == "modified_huber" and own.alpha == 0:  # which it refuses, too
            own.set_params(alpha=1e-4)
        if "max_iter" in own.get_params() and loss not in ("absolute_error", "quantile"):
            own.set_params(max_iter=5)
        own.fit(rows, y)
        peers, owns = (getattr(each, "estimators_", [each]) for each in (peer, own))
        for one, other in zip(peers, owns, strict=True):
            assert isinstance(one.intercept_, np.floating | np.ndarray)
            if loss in BY_LBFGS and not KEEPS_SINGLE_PRECISION:
                other.coef_ = other.coef_.astype(dtype)
                if fit_intercept or loss == "log_loss":
                    other.intercept_ = np.asarray(other.intercept_, dtype=dtype)[()]
            assert form(one.intercept_) == form(other.intercept_)
            assert form(one.coef_) == form(other.coef_)


# ---- the parameters are those of the same objective ---------------------------------------------

SCALED = StandardScaler().fit_transform(X)
CANCER, SICK = load_breast_cancer(return_X_y=True)
CANCER = StandardScaler().fit_transform(CANCER)
TIGHT = {"tol": 1e-12, "max_iter": 50_000}
REFITS = {
    "least squares": (GDRegressor(penalty=None), {}),
    "ridge": (GDRegressor(alpha=0.1), {}),
    "lasso": (GDRegressor(penalty="l1", alpha=1.0), {"tol": 1e-12}),
    "positive lasso": (GDRegressor(penalty="l1", alpha=1.0, positive=True), {"tol": 1e-12}),
    "elastic net": (GDRegressor(penalty="elasticnet", alpha=0.5, l1_ratio=0.4), {"tol": 1e-12}),
    "poisson": (GDRegressor("poisson", alpha=0.1), {"solver": "newton-cholesky", "tol": 1e-10}),
    "tweedie": (GDRegressor(Tweedie(1.3), alpha=0.1), {"solver": "newton-cholesky", "tol": 1e-10}),
    "logistic": (GDClassifier(alpha=0.01), {"solver": "newton-cholesky", "tol": 1e-12}),
    "balanced": (
        GDClassifier(alpha=0.01, class_weight={0: 2.0, 1: 0.5}),
        {"solver": "newton-cholesky", "tol": 1e-12},
    ),
    "support vectors": (
        GDClassifier("squared_hinge", alpha=0.01, fit_intercept=False),
        {"tol": 1e-12, "max_iter": 10_000},
    ),
    "support vector regression": (
        GDRegressor("squared_epsilon_insensitive", alpha=0.01, fit_intercept=False),
        {"tol": 1e-12, "max_iter": 10_000},
    ),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", REFITS)
def test_fitting_the_counterpart_again_gives_the_same_model(name, weighted):
    model, settings = REFITS[name]
    X, y = (CANCER, SICK) if isinstance(model, GDClassifier) else (SCALED, Y)
    s = np.random.default_rng(0).integers(0, 4, len(y)).astype(float) if weighted else None
    model = clone(model).set_params(**TIGHT).fit(X, y, s)
    again = clone(model.to_sklearn()).set_params(**settings).fit(X, y, s)
    precision = 1e-6 * np.abs(model.coef_).max()
    assert_allclose(again.coef_, model.coef_, atol=precision)
    assert_allclose(np.ravel(again.intercept_), model.intercept_, rtol=1e-6, atol=precision)


def test_huber_keeps_delta_and_alpha_over_the_scale():
    peer = GDRegressor(Huber(27.0), alpha=0.5).fit(X, Y).to_sklearn()
    assert isinstance(peer, linear_model.HuberRegressor)
    assert peer.epsilon * peer.scale_ == pytest.approx(27.0)
    assert peer.alpha * peer.scale_ / len(Y) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("loss", "penalty", "expected"),
    [
        ("squared_error", L2(), linear_model.Ridge),
        ("squared_error", None, linear_model.LinearRegression),
        ("squared_error", "l1", linear_model.Lasso),
        ("squared_error", "elasticnet", linear_model.ElasticNet),
        ("epsilon_insensitive", "l2", svm.LinearSVR),
        ("gamma", "l2", linear_model.GammaRegressor),
    ],
)
def test_the_class_follows_from_loss_and_penalty(loss, penalty, expected):
    assert type(GDRegressor(loss, penalty=penalty, **QUICK).fit(X, Y).to_sklearn()) is expected


def test_calls_of_partial_fit_add_their_weights_up():
    model = GDClassifier(alpha=0.1)
    for _ in range(2):
        model.partial_fit(IRIS, SPECIES, classes=[0, 1, 2])
    assert model.to_sklearn().C == pytest.approx(1 / (0.1 * 300))
