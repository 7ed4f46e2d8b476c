"""Tables of coefficients, and standard errors: statsmodels' without a penalty."""

import builtins

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError

from skgd import GDClassifier, GDRegressor

RANDOM = np.random.default_rng(0)
N = 200
# Columns of other means and units.
X = RANDOM.normal(size=(N, 3)) * [1.0, 100.0, 0.01] + [3.0, 0.0, 1.0]
MARGINS = X @ [0.3, 0.004, -20.0] + 19.0
MEAN = np.exp(MARGINS / 2)
WEIGHTS = RANDOM.uniform(0.5, 2.0, size=N)
CONSTANT = np.column_stack([X, np.ones(N)])
KINDS = pytest.mark.parametrize("kind, theirs", [("classical", "nonrobust"), ("sandwich", "HC0")])
WEIGHTED = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
LOG = sm.families.links.Log()
LIKELIHOODS = {
    "squared_error": (sm.families.Gaussian(), MARGINS + RANDOM.normal(size=N) * X[:, 0]),
    "log_loss": (sm.families.Binomial(), RANDOM.random(N) < 1 / (1 + np.exp(-MARGINS))),
    "poisson": (sm.families.Poisson(), RANDOM.poisson(MEAN)),
    "gamma": (sm.families.Gamma(LOG), RANDOM.gamma(2.0, MEAN / 2)),
    "tweedie": (
        sm.families.Tweedie(LOG, var_power=1.5),
        RANDOM.poisson(1.0, size=N) * RANDOM.gamma(2.0, MEAN / 2),
    ),
}  # fmt: skip
EXACT = {"penalty": None, "tol": 1e-9}


def fitted(loss, y, weights=None, X=X, **settings):
    estimator = GDClassifier if loss == "log_loss" else GDRegressor
    return estimator(loss, **EXACT | settings).fit(X, y, weights)


def standard_errors(covariance):
    return np.sqrt(np.diag(np.asarray(covariance)))


# ---- covariance ---------------------------------------------------------------------------------

@KINDS
@WEIGHTED
@pytest.mark.parametrize("loss", LIKELIHOODS)
def test_covariance_is_that_of_statsmodels(loss, weights, kind, theirs):
    family, y = LIKELIHOODS[loss]
    covariance = fitted(loss, y, weights).covariance(X, y, weights, kind)
    reference = sm.GLM(
        y.astype(float), CONSTANT, family, var_weights=np.ones(N) if weights is None else weights
    ).fit(cov_type=theirs, tol=1e-13)
    assert_allclose(standard_errors(covariance), standard_errors(reference.cov_params()), rtol=1e-6)
    scale = np.abs(reference.cov_params()).max()
    assert_allclose(covariance, reference.cov_params(), rtol=1e-6, atol=1e-9 * scale)


@KINDS
def test_covariance_of_a_softmax_is_that_of_differences_from_a_class(kind, theirs):
    random = np.random.default_rng(0)
    X = random.normal(size=(N, 3))
    y = (X @ random.normal(size=(3, 3)) + random.gumbel(size=(N, 3))).argmax(axis=1)
    covariance = fitted("log_loss", y, X=X).covariance(X, y, kind=kind)
    reference = sm.MNLogit(y, np.column_stack([X, np.ones(N)])).fit(
        disp=False, method="newton", tol=1e-10, maxiter=100, cov_type=theirs
    )
    contrasts = np.kron([[-1, 1, 0], [-1, 0, 1]], np.eye(4))
    actual = standard_errors(contrasts @ covariance @ contrasts.T)
    assert_allclose(actual, standard_errors(reference.cov_params()), rtol=1e-6)


def test_covariance_without_an_intercept():
    y = LIKELIHOODS["poisson"][1]
    covariance = fitted("poisson", y, fit_intercept=False).covariance(X, y)
    reference = sm.GLM(y, X, sm.families.Poisson()).fit(tol=1e-13)
    assert_allclose(standard_errors(covariance), standard_errors(reference.cov_params()), rtol=1e-6)


@KINDS
def test_covariance_of_sparse_rows_single_precision_and_stored_coefficients(kind, theirs):
    y = LIKELIHOODS["log_loss"][1]
    expected = fitted("log_loss", y).covariance(X, y, kind=kind)
    rows = sparse.csr_matrix(X)
    sparsified = fitted("log_loss", y, X=rows).sparsify()
    assert_allclose(sparsified.covariance(rows, y, kind=kind), expected, rtol=1e-6)
    single = X.astype(np.float32)
    actual = fitted("log_loss", y, X=single).covariance(single, y, kind=kind)
    assert_allclose(standard_errors(actual), standard_errors(expected), rtol=1e-3)


def test_covariance_of_several_targets_is_that_of_each():
    y = LIKELIHOODS["squared_error"][1]
    several = np.column_stack([y, y[::-1]])
    covariance = fitted("squared_error", several).covariance(X, several)
    for each, target in zip(covariance, several.T, strict=True):
        assert_allclose(each, fitted("squared_error", target).covariance(X, target), rtol=1e-9)


@pytest.mark.parametrize("kind", ["classical", "sandwich"])
def test_covariance_of_a_ridge_is_its_closed_form(kind):
    y, alpha = LIKELIHOODS["squared_error"][1], 0.3
    model = GDRegressor(alpha=alpha).fit(X, y)
    bread = np.linalg.inv(CONSTANT.T @ CONSTANT + N * alpha * np.diag([1.0, 1.0, 1.0, 0.0]))
    residuals = y - model.predict(X)
    if kind == "classical":
        freedom = np.trace(bread @ CONSTANT.T @ CONSTANT)
        meat = CONSTANT.T @ CONSTANT * (residuals @ residuals) / (N - freedom)
    else:
        meat = CONSTANT.T @ (CONSTANT * residuals[:, None] ** 2)
    assert_allclose(model.covariance(X, y, kind=kind), bread @ meat @ bread, rtol=1e-7, atol=1e-12)


def test_rows_without_weight_do_not_count():
    y, weights = LIKELIHOODS["gamma"][1], (np.arange(N) % 3 > 0).astype(float)
    some = weights > 0
    expected = fitted("gamma", y[some], X=X[some]).covariance(X[some], y[some])
    assert_allclose(fitted("gamma", y, weights).covariance(X, y, weights), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"loss": "huber"}, "loss='huber' is not the likelihood"),
        ({"penalty": "l1"}, "penalty='l1'.*pass penalty='l2' or None"),
        ({"positive": True}, "positive=True.*pass positive=False"),
    ],
)
def test_an_objective_without_a_covariance_says_what_to_pass(settings, words):
    y = LIKELIHOODS["squared_error"][1]
    with pytest.raises(ValueError, match=words):
        GDRegressor(**settings).fit(X, y).covariance(X, y)


def test_rows_that_do_not_determine_the_coefficients_are_an_error():
    y, twice = LIKELIHOODS["squared_error"][1], np.column_stack([X, X[:, 0]])
    with pytest.raises(ValueError, match="linearly dependent.*penalty='l2'"):
        fitted("squared_error", y, X=twice).covariance(twice, y)
    with pytest.raises(ValueError, match="4 rows, which leave no degrees of freedom"):
        fitted("squared_error", y[:4], X=X[:4]).covariance(X[:4], y[:4])
    with pytest.raises(ValueError, match="kind='robust'"):
        fitted("squared_error", y).covariance(X, y, kind="robust")


# ---- coefficients -------------------------------------------------------------------------------

def test_table_of_a_frame_has_names_and_changes_per_standard_deviation():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    model = GDRegressor(alpha=0).fit(X, y)
    table = model.coefficients()
    assert table.columns.tolist() == ["feature", "coefficient", "per_deviation"]
    assert table["feature"].tolist() == X.columns.tolist()
    assert_array_equal(table["coefficient"], model.coef_)
    assert_allclose(table["per_deviation"], model.coef_ * X.std(ddof=0), rtol=1e-9)
    largest = model.coefficients(sort=True)["per_deviation"].abs()
    assert (largest.diff()[1:] <= 0).all() and len(largest) == 10


@pytest.mark.parametrize("species, classes", [([0, 1], [1]), ([0, 1, 2], [0, 1, 2])])
def test_table_of_a_classifier_has_the_classes(species, classes):
    X, y = load_iris(return_X_y=True)
    rows = np.isin(y, species)
    labels = np.array(["a", "b", "c"])
    model = GDClassifier(max_iter=3, tol=None, optimizer="adam").fit(X[rows], labels[y[rows]])
    table = model.coefficients()
    assert table["class"].tolist() == np.repeat(labels[classes], 4).tolist()
    assert table["feature"].tolist() == [0, 1, 2, 3] * len(classes)
    assert_array_equal(table["coefficient"], model.coef_.ravel())


def test_table_of_several_targets_and_of_a_stream():
    y = np.column_stack([X[:, 0], X[:, 2]])
    model = GDRegressor().partial_fit(X[:99], y[:99]).partial_fit(X[99:], y[99:]).sparsify()
    table = model.coefficients()
    assert table["output"].tolist() == [0, 0, 0, 1, 1, 1]
    expected = model.coef_.toarray() * X.std(axis=0)
    assert_allclose(table["per_deviation"], expected.ravel(), rtol=1e-9)


def test_table_without_pandas_is_a_dict(monkeypatch):
    original = builtins.__import__

    def without_pandas(name, *args, **kwargs):
        if name == "pandas":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    model = fitted("squared_error", LIKELIHOODS["squared_error"][1])
    expected = model.coefficients()
    monkeypatch.setattr(builtins, "__import__", without_pandas)
    columns = model.coefficients()
    monkeypatch.undo()
    assert type(columns) is dict
    pd.testing.assert_frame_equal(pd.DataFrame(columns), expected)


@pytest.mark.parametrize("estimator", [GDRegressor(), GDClassifier()])
def test_before_a_fit_there_is_nothing_to_report(estimator):
    with pytest.raises(NotFittedError):
        estimator.coefficients()
    with pytest.raises(NotFittedError):
        estimator.covariance(X, X[:, 0])
