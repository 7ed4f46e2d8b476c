"""The same objective as scikit-learn's exact solvers, so the same coefficients.

The estimators minimise ``mean weighted loss + alpha (l1_ratio |W|_1 + (1 - l1_ratio)/2 |W|^2)``
with a free intercept; the translations of alpha are those of the documentation.
"""

import numpy as np
import pytest
from exact_fits import (
    COLUMNS,
    DIABETES_Y,
    LABELLED,
    RAW_DIABETES,
    TIGHT,
    assert_close,
    assert_same_model,
    labelled,
    weights_of,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    TweedieRegressor,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from skgd import GDClassifier, GDRegressor
from skgd.losses import EpsilonInsensitive, Huber, Quantile, SquaredEpsilonInsensitive

# ---- scikit-learn's exact solvers ---------------------------------------------------------------


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("A", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_l2_squared_error_is_ridge(columns, A, fit_intercept, weighted):
    X, y = COLUMNS[columns], DIABETES_Y
    s = weights_of(len(y)) if weighted else None
    total = s.sum() if weighted else len(y)
    oracle = Ridge(A, fit_intercept=fit_intercept, solver="cholesky").fit(X, y, s)
    model = GDRegressor(alpha=A / total, fit_intercept=fit_intercept, **TIGHT).fit(X, y, s)
    assert_same_model(model, oracle)


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("alpha", [1.0, 0.05])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_l1_squared_error_is_lasso(columns, alpha, positive, weighted):
    X, y = COLUMNS[columns], DIABETES_Y
    s = weights_of(len(y)) if weighted else None
    oracle = Lasso(alpha, positive=positive, tol=1e-14, max_iter=100_000).fit(X, y, s)
    model = GDRegressor(penalty="l1", alpha=alpha, positive=positive, **TIGHT).fit(X, y, s)
    assert_same_model(model, oracle)
    assert_array_equal(model.coef_ == 0, oracle.coef_ == 0)
    if positive:
        assert np.all(model.coef_ >= 0)
        assert np.any(oracle.coef_ == 0)


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("l1_ratio", [0.9, 0.2])
@pytest.mark.parametrize("positive", [False, True])
def test_elasticnet_squared_error_is_elastic_net(columns, l1_ratio, positive):
    X, y = COLUMNS[columns], DIABETES_Y
    oracle = ElasticNet(
        0.5, l1_ratio=l1_ratio, positive=positive, tol=1e-14, max_iter=100_000
    ).fit(X, y)
    model = GDRegressor(
        penalty="elasticnet", alpha=0.5, l1_ratio=l1_ratio, positive=positive, **TIGHT
    ).fit(X, y)
    assert_same_model(model, oracle)
    assert_array_equal(model.coef_ == 0, oracle.coef_ == 0)


@pytest.mark.parametrize("positive", [False, True])
def test_positive_alone_is_least_squares_with_bounds(positive):
    X = COLUMNS["standardised"]
    bound = 0.0 if positive else -np.inf
    centred, target = X - X.mean(axis=0), DIABETES_Y - DIABETES_Y.mean()
    oracle = optimize.lsq_linear(centred, target, bounds=(bound, np.inf), tol=1e-15, method="bvls")
    model = GDRegressor(penalty=None, positive=positive, **TIGHT).fit(X, DIABETES_Y)
    assert_close(model.coef_, oracle.x)
    assert np.all(model.coef_ >= 0) == positive


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_l2_log_loss_is_logistic_regression(name, standardise, C):
    X, y = labelled(name, standardise=standardise)
    oracle = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(X, y)
    model = GDClassifier(alpha=1 / (C * len(y)), **TIGHT).fit(X, y)
    assert_same_model(model, oracle)
    assert_allclose(model.predict_proba(X), oracle.predict_proba(X), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", LABELLED)
def test_weighted_log_loss_is_weighted_logistic_regression(name):
    X, y = labelled(name, standardise=True)
    s = weights_of(len(y)) * 0.7
    oracle = LogisticRegression(solver="newton-cholesky", tol=1e-14, fit_intercept=False).fit(
        X, y, s
    )
    model = GDClassifier(alpha=1 / s.sum(), fit_intercept=False, **TIGHT).fit(X, y, s)
    assert_close(model.coef_, oracle.coef_)
    assert_array_equal(model.intercept_, 0)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_l1_log_loss_is_sparse_logistic_regression(name, l1_ratio):
    X, y = labelled(name, standardise=True)
    C = 0.1
    oracle = LogisticRegression(
        C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-13, max_iter=100_000, random_state=0
    ).fit(X, y)
    model = GDClassifier(
        penalty="elasticnet", l1_ratio=l1_ratio, alpha=1 / (C * len(y)), **TIGHT
    ).fit(X, y)
    assert_same_model(model, oracle)
    assert_array_equal(model.coef_ == 0, oracle.coef_ == 0)
    assert np.any(oracle.coef_ == 0)


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_l1_log_loss_on_raw_columns_is_sparse_logistic_regression(name):
    X, y = labelled(name, standardise=False)
    # saga stalls where columns lie far from zero or differ much in scale: the widest are left out,
    # and it gets centred ones, which changes only the intercept.
    X = X[:, X.std(axis=0) < 4]
    oracle = LogisticRegression(
        C=0.1, l1_ratio=1.0, solver="saga", tol=1e-13, max_iter=100_000, random_state=0
    ).fit(X - X.mean(axis=0), y)
    model = GDClassifier(penalty="l1", alpha=1 / (0.1 * len(y)), **TIGHT).fit(X, y)
    assert_close(model.coef_, oracle.coef_)
    assert_array_equal(model.coef_ == 0, oracle.coef_ == 0)
    assert np.any(oracle.coef_ == 0)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("C", [0.01, 0.1])
def test_l1_log_loss_on_raw_columns_is_that_of_coordinate_descent(name, C):
    X, y = labelled(name, standardise=False)
    signs = np.where(y == 0, -1.0, 1.0)

    def objective(m):
        loss = np.logaddexp(0, -signs * m.decision_function(X)).mean()
        return loss + 1 / (C * len(y)) * np.abs(m.coef_).sum()

    # It penalises the intercept, and the larger its scale is the less.
    oracle = LogisticRegression(
        C=C, l1_ratio=1.0, solver="liblinear", intercept_scaling=1e5, tol=1e-12, max_iter=100_000
    ).fit(X, signs)
    model = GDClassifier(penalty="l1", alpha=1 / (C * len(y)), **TIGHT).fit(X, signs)
    assert objective(model) <= objective(oracle)
    assert objective(model) == pytest.approx(objective(oracle), rel=1e-7)
    assert_array_equal(model.coef_ == 0, oracle.coef_ == 0)
    assert np.any(oracle.coef_ == 0)


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("A", [1e-4, 1.0])
def test_huber_is_huber_regressor_with_its_scale(columns, A):
    X, y = COLUMNS[columns], DIABETES_Y
    # HuberRegressor stops where its objective changes by 2e-9; a root finder makes the rest of the
    # way to the point where the gradient of the same objective, at the same scale, is zero.
    scaler = StandardScaler().fit(X)
    rough = HuberRegressor(alpha=0.0, max_iter=10_000).fit(scaler.transform(X), y)
    delta, alpha = 1.35 * rough.scale_, A * rough.scale_ / len(y)
    Z = np.column_stack([scaler.transform(X), np.ones(len(y))])
    shape = alpha / np.append(scaler.scale_, np.inf) ** 2

    def gradient(w):
        return np.clip(Z @ w - y, -delta, delta) @ Z / len(y) + shape * w

    start = np.append(rough.coef_, rough.intercept_)
    exact = optimize.root(gradient, start, tol=1e-14).x
    assert np.abs(gradient(exact)).max() < 1e-9
    model = GDRegressor(Huber(delta), alpha=alpha, **TIGHT).fit(X, y)
    assert_close(model.coef_, exact[:-1] / scaler.scale_)
    if columns == "standardised":
        oracle = HuberRegressor(alpha=A, max_iter=10_000).fit(X, y)
        model = GDRegressor(
            Huber(1.35 * oracle.scale_), alpha=A * oracle.scale_ / len(y), **TIGHT
        ).fit(X, y)
        assert_allclose(model.coef_, oracle.coef_, atol=1e-4 * np.abs(oracle.coef_).max())


def pinball(model, X, y, quantile, alpha):
    """The objective of QuantileRegressor, with its penalty l1."""
    r = y - model.predict(X)
    return np.maximum(quantile * r, (quantile - 1) * r).mean() + alpha * np.abs(model.coef_).sum()


@pytest.mark.parametrize("columns", ["raw", "standardised"])
def test_absolute_error_with_l1_is_median_regression(columns):
    X, y = COLUMNS[columns], DIABETES_Y
    oracle = QuantileRegressor(quantile=0.5, alpha=1.0).fit(X, y)
    # Twice the pinball loss, so twice the penalty.
    model = GDRegressor("absolute_error", penalty="l1", alpha=2.0).fit(X, y)
    least = pinball(oracle, X, y, 0.5, 1.0)
    assert pinball(model, X, y, 0.5, 1.0) == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("columns", ["raw", "standardised"])
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.0, 0.01])
def test_quantile_with_l1_is_quantile_regression(columns, quantile, alpha):
    X, y = COLUMNS[columns], DIABETES_Y
    oracle = QuantileRegressor(quantile=quantile, alpha=alpha).fit(X, y)
    model = GDRegressor(Quantile(quantile), penalty="l1", alpha=alpha, tol=1e-8, max_iter=20_000)
    least = pinball(oracle, X, y, quantile, alpha)
    assert pinball(model.fit(X, y), X, y, quantile, alpha) == pytest.approx(least, rel=1e-6)
    # The minimum is a vertex: close to its height is close to its place.
    assert_close(model.coef_, oracle.coef_, 1e-3, smallest=1)


WIDE = RAW_DIABETES * np.logspace(-3, 3, 10)
LOG_LINKS = {
    "poisson": (lambda **settings: PoissonRegressor(**settings), np.rint(DIABETES_Y / 20)),
    "gamma": (lambda **settings: GammaRegressor(**settings), DIABETES_Y),
    "tweedie": (
        lambda **settings: TweedieRegressor(power=1.5, link="log", **settings),
        np.maximum(DIABETES_Y - 80, 0),
    ),
}


@pytest.mark.parametrize("columns", [*COLUMNS, "wide"])
@pytest.mark.parametrize("alpha", [1e-3, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", LOG_LINKS)
def test_losses_with_a_log_link_are_scikit_learns(loss, columns, alpha, fit_intercept):
    X = COLUMNS.get(columns, WIDE)
    peer, y = LOG_LINKS[loss]
    s = weights_of(len(y))
    oracle = peer(
        alpha=alpha, fit_intercept=fit_intercept, solver="newton-cholesky", tol=1e-10, max_iter=1000
    ).fit(X, y, s)
    model = GDRegressor(loss, alpha=alpha, fit_intercept=fit_intercept, **TIGHT).fit(X, y, s)
    assert_same_model(model, oracle)
    assert_allclose(model.predict(X), oracle.predict(X), rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
@pytest.mark.parametrize("loss", LOG_LINKS)
def test_targets_of_any_size_are_no_harder_for_a_log_link(loss, unit):
    X = COLUMNS["standardised"]
    peer, y = LOG_LINKS[loss]
    # Targets times a unit have the deviance times unit^(2 - power).
    factor = unit ** (2 - {"poisson": 1.0, "gamma": 2.0, "tweedie": 1.5}[loss])
    oracle = peer(alpha=0.01, solver="newton-cholesky", tol=1e-10).fit(X, y)
    model = GDRegressor(loss, alpha=0.01 * factor, **TIGHT).fit(X, y * unit)
    assert_close(model.coef_, oracle.coef_)
    assert_allclose(model.predict(X), unit * oracle.predict(X), rtol=1e-6)
    assert model.n_iter_ < 10


@pytest.mark.parametrize("loss", ["huber", "log_cosh"])
@pytest.mark.parametrize("unit", [1e-3, 1e3, 1e6])
def test_a_loss_that_turns_within_little_of_the_targets_spread_is_no_harder(loss, unit):
    model = GDRegressor(loss, alpha=1e-6 / unit).fit(RAW_DIABETES, DIABETES_Y * unit)
    assert model.n_iter_ < 100
    assert model.optimality_ <= 1e-6 * model.history_["objective"][-1]
    if unit > 1:  # where most residuals are beyond the turn
        errors = [
            np.abs(fitted.predict(RAW_DIABETES) / unit - DIABETES_Y).mean()
            for fitted in (model, GDRegressor("absolute_error", alpha=0.0).fit(
                RAW_DIABETES, DIABETES_Y * unit))
        ]  # fmt: skip
        assert errors[0] == pytest.approx(errors[1], rel=1e-3)


@pytest.mark.parametrize("seed", range(3, 7))
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_columns_far_from_zero_cost_no_digits_but_their_own(k, offset, seed):
    # Multiples of 2^-20: with the offset they are still exact.
    generator, unit = np.random.default_rng(seed), 2.0**7
    X = np.round(generator.normal(size=(2000, 3)) * 2**20) / 2**20
    margins = X.sum(axis=1) + generator.logistic(size=2000)
    model = GDRegressor(**TIGHT) if k == 1 else GDClassifier(**TIGHT)
    y = margins if k == 1 else np.digitize(margins, [0.0, 1.0][:k - 1])
    near = unit * model.fit(unit * X, y).coef_
    far = unit * model.fit(unit * (X + [0.0, offset, 0.0]), y).coef_
    np.testing.assert_allclose(far, near, rtol=0, atol=1e-14 * offset)
    if k == 3:
        np.testing.assert_allclose(far.sum(axis=0), 0.0, atol=1e-14 * offset)


def test_exposures_are_weights_of_rates():
    X, rng = COLUMNS["standardised"], np.random.default_rng(0)
    exposure = rng.uniform(0.1, 5.0, len(X))
    counts = rng.poisson(exposure * np.exp(0.5 * X[:, 2] + 0.3 * X[:, 8])).astype(float)
    model = GDRegressor("poisson", alpha=0, **TIGHT).fit(X, counts / exposure, exposure)
    # With an offset the gradient of the likelihood is that of counts.
    means = exposure * model.predict(X)
    assert_allclose((counts - means) @ X / len(X), 0, atol=1e-9)
    assert means.sum() == pytest.approx(counts.sum())


@pytest.mark.parametrize("C", [0.01, 1.0])
@pytest.mark.parametrize("epsilon", [0.0, 10.0])
def test_epsilon_insensitive_reaches_the_objective_of_support_vector_regression(C, epsilon):
    X, y = COLUMNS["standardised"], DIABETES_Y
    model = GDRegressor(EpsilonInsensitive(epsilon), alpha=1 / (C * len(y))).fit(X, y)

    def objective(m):
        loss = np.maximum(0, np.abs(y - m.predict(X)) - epsilon).mean()
        return loss + 0.5 / (C * len(y)) * (m.coef_**2).sum()

    exact = SVR(kernel="linear", C=C, epsilon=epsilon, tol=1e-8).fit(X, y)
    assert objective(model) == pytest.approx(objective(exact), rel=1e-6)
    oracle = LinearSVR(
        C=C, epsilon=epsilon, intercept_scaling=1e3, tol=1e-3, max_iter=1_000_000, random_state=0
    ).fit(X, y)
    assert objective(model) < objective(oracle) * (1 + 1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 10.0])
def test_epsilon_insensitive_on_raw_columns_is_support_vector_regression(epsilon):
    X, y, alpha = COLUMNS["raw"], DIABETES_Y, 1 / (0.01 * len(DIABETES_Y))
    # Its steps get lost where columns lie far from zero; it gets centred ones.
    centred = X - X.mean(axis=0)
    model = GDRegressor(EpsilonInsensitive(epsilon), alpha=alpha).fit(X, y)

    def objective(m, X):
        loss = np.maximum(0, np.abs(y - m.predict(X)) - epsilon).mean()
        return loss + 0.5 * alpha * (m.coef_**2).sum()

    exact = SVR(kernel="linear", C=0.01, epsilon=epsilon, tol=1e-10).fit(centred, y)
    assert objective(model, X) == pytest.approx(objective(exact, centred), rel=1e-8)
    oracle = LinearSVR(
        C=0.01, epsilon=epsilon, intercept_scaling=1e3, max_iter=1_000_000, random_state=0
    ).fit(X, y)
    assert objective(model, X) <= objective(oracle, X)


@pytest.mark.parametrize("C", [0.01, 1.0])
@pytest.mark.parametrize("epsilon", [0.0, 10.0])
def test_squared_epsilon_insensitive_is_linear_svr(C, epsilon):
    X, y = COLUMNS["standardised"], DIABETES_Y
    oracle = LinearSVR(
        C=C, epsilon=epsilon, loss="squared_epsilon_insensitive", dual=False, tol=1e-14,
        intercept_scaling=1e4, max_iter=10_000,
    ).fit(X, y)  # fmt: skip
    model = GDRegressor(SquaredEpsilonInsensitive(epsilon), alpha=1 / (C * len(y)), **TIGHT)
    assert_close(model.fit(X, y).coef_, oracle.coef_, smallest=1)
    assert_allclose(model.intercept_, oracle.intercept_, rtol=1e-6)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("standardise", [False, True])
def test_squared_errors_of_signs_are_ridge_classifier(name, standardise):
    X, y = labelled(name, standardise=standardise)
    oracle = RidgeClassifier(alpha=1.0, solver="cholesky").fit(X, y)
    signs = np.where(y[:, None] == np.unique(y), 1.0, -1.0)
    signs = signs if signs.shape[1] > 2 else signs[:, 1]
    model = GDRegressor(alpha=1 / len(y), **TIGHT).fit(X, signs)
    assert_same_model(model, oracle)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_hinge_reaches_the_objective_of_support_vector_machines(name, C):
    X, y = labelled(name, standardise=True)
    signs = np.where(y == 0, 1.0, -1.0)
    model = GDClassifier("hinge", alpha=1 / (C * len(y))).fit(X, signs)

    def objective(m):
        hinge = np.maximum(0, 1 - signs * m.decision_function(X)).mean()
        return hinge + 0.5 / (C * len(y)) * (m.coef_**2).sum()

    # SVC's intercept is free as ours is.
    oracle = SVC(kernel="linear", C=C, tol=1e-8).fit(X, signs)
    assert objective(model) == pytest.approx(objective(oracle), rel=1e-5)


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_hinge_reaches_the_objective_of_linear_svc(name):
    X, y = labelled(name, standardise=True)
    signs = np.where(y == 0, 1.0, -1.0)
    oracle = LinearSVC(
        loss="hinge", C=0.01, intercept_scaling=1e3, tol=0.1, max_iter=1_000_000, random_state=0
    ).fit(X, signs)
    model = GDClassifier("hinge", alpha=1 / (0.01 * len(y))).fit(X, signs)

    def objective(m):
        hinge = np.maximum(0, 1 - signs * m.decision_function(X)).mean()
        return hinge + 0.5 / (0.01 * len(y)) * (m.coef_**2).sum()

    assert objective(model) < objective(oracle) * (1 + 1e-5)


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_hinge_on_raw_columns_is_a_support_vector_machine(name):
    X, y = labelled(name, standardise=False)
    signs, alpha = np.where(y == 0, 1.0, -1.0), 1 / (0.01 * len(y))
    # Its steps get lost where columns lie far from zero; it gets centred ones.
    centred = X - X.mean(axis=0)
    model = GDClassifier("hinge", alpha=alpha).fit(X, signs)

    def objective(m, X):
        hinge = np.maximum(0, 1 - signs * m.decision_function(X)).mean()
        return hinge + 0.5 * alpha * (m.coef_**2).sum()

    exact = SVC(kernel="linear", C=0.01, tol=1e-10).fit(centred, signs)
    assert objective(model, X) == pytest.approx(objective(exact, centred), rel=1e-5)
    assert objective(model, X) <= objective(exact, centred)
    oracle = LinearSVC(
        loss="hinge", C=0.01, intercept_scaling=1e3, tol=0.1, max_iter=1_000_000, random_state=0
    ).fit(X, signs)
    assert objective(model, X) <= objective(oracle, X)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("C", [0.01, 1.0])
def test_squared_hinge_without_intercept_is_linear_svc(name, C):
    X, y = labelled(name, standardise=True)
    signs = np.where(y == 0, 1.0, -1.0)
    oracle = LinearSVC(C=C, dual=False, fit_intercept=False, tol=1e-14, max_iter=10_000).fit(
        X, signs
    )
    # liblinear multiplies the summed losses by C and takes half the squared length.
    model = GDClassifier("squared_hinge", alpha=1 / (C * len(y)), fit_intercept=False, **TIGHT)
    assert_close(model.fit(X, signs).coef_, oracle.coef_, smallest=1)


# ---- the classes of a classifier ----------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared_hinge", "modified_huber"])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_several_classes_are_one_against_the_rest(loss, penalty):
    X, y = labelled("iris", standardise=False)
    settings = {"loss": loss, "penalty": penalty, "alpha": 0.01, **TIGHT}
    model = GDClassifier(**settings).fit(X, y)
    for c in range(3):
        alone = GDClassifier(**settings).fit(X, y == c)
        assert_close(model.coef_[c], alone.coef_[0])
        assert_close(model.intercept_[c:c + 1], alone.intercept_)


@pytest.mark.filterwarnings("ignore:.*minimum is at infinite")
@pytest.mark.parametrize("name", ["iris", "wine"])
@pytest.mark.parametrize("optimizer", ["auto", "lbfgs", "adam"])
def test_a_softmax_without_penalty_sums_to_zero_over_the_classes(name, optimizer):
    X, y = labelled(name, standardise=False)
    model = GDClassifier(penalty=None, optimizer=optimizer, tol=None, max_iter=10, random_state=0)
    model.fit(X, y)
    assert np.abs(model.coef_).max() > 0
    assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-10 * np.abs(model.coef_).max())
    assert_allclose(model.intercept_.sum(), 0, atol=1e-10 * np.abs(model.intercept_).max())


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_the_intercepts_of_a_penalised_softmax_sum_to_zero(penalty):
    X, y = labelled("wine", standardise=False)
    model = GDClassifier(penalty=penalty, alpha=0.1, max_iter=50_000).fit(X, y)
    assert_allclose(model.intercept_.sum(), 0, atol=1e-12 * np.abs(model.intercept_).max())
