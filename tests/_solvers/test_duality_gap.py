"""The upper bound on the distance from the minimum: true at every stage of a descent."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, sparse, special
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from skgd import GDClassifier, GDRegressor, losses
from skgd._engine import value_and_gradient
from skgd._problem.expansion import Expansion
from skgd._solvers.costs import Gap
from skgd.losses import (
    AbsoluteError,
    EpsilonInsensitive,
    Hinge,
    Huber,
    LogLoss,
    Loss,
    SquaredError,
    SquaredHinge,
)
from skgd.penalties import Penalty

X, Y = load_diabetes(return_X_y=True, scaled=False)
X, Y = X[:80], Y[:80]
CANCER_X, CANCER = load_breast_cancer(return_X_y=True)
CANCER_X, CANCER = CANCER_X[:120, :8], 2.0 * CANCER[:120] - 1
IRIS_X, IRIS = load_iris(return_X_y=True)
WEIGHTS = np.random.default_rng(0).integers(1, 4, 200).astype(float)
STAGES = [1, 2, 5, 20]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def least(loss, X, y, s, alpha, l1_ratio, fit_intercept):
    """Return the minimum of the objective by a solver from outside."""
    n, d = X.shape
    if isinstance(loss, AbsoluteError | EpsilonInsensitive | Hinge):
        return linear_program(loss, X, y, s, alpha, fit_intercept)
    if isinstance(loss, SquaredError):
        model = Ridge(alpha * s.sum(), fit_intercept=fit_intercept, solver="svd")
        if l1_ratio:
            model = ElasticNet(
                alpha, l1_ratio=l1_ratio, tol=1e-14, max_iter=10**6, fit_intercept=fit_intercept
            )
        model.fit(X, y, s)
        return objective(loss, model.coef_, model.intercept_, X, y, s, alpha, l1_ratio)
    if isinstance(loss, LogLoss):
        model = LogisticRegression(
            C=1 / (alpha * s.sum()), solver="newton-cholesky", tol=1e-12, max_iter=1000,
            fit_intercept=fit_intercept,
        ).fit(X, y, s)  # fmt: skip
        return objective(loss, model.coef_, model.intercept_, X, y, s, alpha, l1_ratio)
    # Standardised columns, so that a quasi-Newton method gets to the end.
    scale, mean = X.std(axis=0), X.mean(axis=0) * fit_intercept

    def function(u):
        coef = u[:d] / scale
        b = (u[d] if fit_intercept else 0.0) - coef @ mean
        return objective(loss, coef, b, X, y, s, alpha, l1_ratio)

    start = np.append(np.zeros(d), np.median(y))
    return optimize.minimize(function, start, method="BFGS", options={"gtol": 1e-7}).fun


def linear_program(loss, X, y, s, alpha, fit_intercept):
    """Return the minimum for a loss of straight pieces with l1."""
    n, d = X.shape
    costs = np.concatenate([np.full(2 * d, alpha), [0.0], s / s.sum()])
    ones = np.full((n, 1), float(fit_intercept))
    margins, eye = np.hstack([X, -X, ones]), np.eye(n)
    if isinstance(loss, Hinge):
        A, b = np.hstack([-y[:, None] * margins, -eye]), -np.ones(n)
    else:
        A = np.vstack([np.hstack([margins, -eye]), np.hstack([-margins, -eye])])
        band = getattr(loss, "epsilon", 0.0)
        b = np.concatenate([y + band, band - y])
    bounds = [(0, None)] * (2 * d) + [(None, None)] + [(0, None)] * n
    return optimize.linprog(costs, A, b, bounds=bounds, method="highs").fun


def objective(loss, coef, intercept, X, y, s, alpha, l1_ratio):
    coef = np.atleast_2d(coef)
    z = X @ coef.T + intercept
    if z.shape[1] > 1:
        y = np.where(y[:, None] == np.arange(z.shape[1]), 1.0, -1.0)
        losses = loss.value(y, z)
    else:
        losses = loss.value(y, z[:, 0])
    penalty = l1_ratio * np.abs(coef).sum() + (1 - l1_ratio) / 2 * (coef**2).sum()
    return s @ losses / s.sum() + alpha * penalty


CASES = [
    (GDRegressor, SquaredError(), "l2"),
    (GDRegressor, SquaredError(), "l1"),
    (GDRegressor, SquaredError(), "elasticnet"),
    (GDRegressor, Huber(10.0), "l2"),
    (GDRegressor, AbsoluteError(), "l1"),
    (GDRegressor, EpsilonInsensitive(20.0), "l1"),
    (GDClassifier, LogLoss(), "l2"),
    (GDClassifier, SquaredHinge(), "l2"),
    (GDClassifier, Hinge(), "l1"),
    (GDClassifier, LogLoss(), "softmax"),
]


@pytest.mark.parametrize(
    "make, fit_intercept, weighted",
    [(np.asarray, True, False), (sparse.csr_matrix, True, True), (np.asarray, False, True)],
    ids=["dense", "CSR, weights", "through 0, weights"],
)
@pytest.mark.parametrize("estimator, loss, penalty", CASES, ids=str)
def test_the_bound_is_true_at_every_stage(estimator, loss, penalty, make, fit_intercept, weighted):
    A, y = (X, Y) if estimator is GDRegressor else (CANCER_X, CANCER)
    if penalty == "softmax":
        A, y, penalty = IRIS_X, IRIS, "l2"
    s = WEIGHTS[:len(y)] if weighted else np.ones(len(y))
    alpha, l1_ratio = 0.01, {"l2": 0.0, "l1": 1.0, "elasticnet": 0.15}[penalty]
    minimum = least(loss, A, y, s, alpha, l1_ratio, fit_intercept)
    rounding = 1e-9 * abs(minimum)
    for max_iter in STAGES:
        for optimizer in ("accelerated_gradient", "adam", "auto"):
            if optimizer == "accelerated_gradient" and not loss.smooth:
                continue
            model = estimator(
                loss, penalty=penalty, alpha=alpha, optimizer=optimizer, tol=None,
                max_iter=max_iter, fit_intercept=fit_intercept, random_state=0,
            ).fit(make(A), y, s if weighted else None)  # fmt: skip
            value = objective(loss, model.coef_, model.intercept_, A, y, s, alpha, l1_ratio)
            bound = model.optimality(make(A), y, s if weighted else None)
            assert value - minimum <= bound + rounding
            assert bound <= value + rounding
            if loss.smooth and not isinstance(loss, Huber):
                assert bound <= 1.1 * (value - minimum) + 1e-7 * value


@pytest.mark.parametrize("estimator, loss, penalty", CASES, ids=str)
def test_a_converged_fit_has_a_small_bound(estimator, loss, penalty):
    A, y = (X, Y) if estimator is GDRegressor else (CANCER_X, CANCER)
    penalty = "l2" if penalty == "softmax" else penalty
    model = estimator(loss, penalty=penalty, alpha=0.01).fit(A, y)
    assert model.converged_
    assert 0 <= model.optimality_ <= 1e-5 * model.history_["objective"][-1]


def test_squared_error_needs_no_bound():
    rng = np.random.default_rng(0)
    targets = np.column_stack([Y, 1e-3 * Y[::-1]])
    exact = Ridge(0.1 * len(Y), solver="svd").fit(X, targets)
    init = exact.coef_ + 0.1 * rng.normal(size=exact.coef_.shape), exact.intercept_
    model = GDRegressor(
        alpha=0.1, init=init, optimizer="sgd", learning_rate=1e-6, max_iter=1, tol=None
    ).fit(X, targets)
    assert np.isnan(model.optimality_)  # many times the cost of an epoch
    moved = model.coef_ - exact.coef_
    margins = X @ moved.T + model.intercept_ - exact.intercept_
    expected = 0.5 * np.mean(margins**2, axis=0).sum() + 0.05 * (moved**2).sum()
    assert_allclose(model.optimality(X, targets), expected, rtol=1e-10)


@pytest.mark.parametrize("precondition", [None, "diagonal"])
@pytest.mark.parametrize("estimator, y", [(GDRegressor(), Y), (GDClassifier(), Y > 100)], ids=str)
def test_on_request_the_bound_is_that_of_the_fit(estimator, y, precondition):
    estimator.set_params(optimizer="adam", max_iter=100, tol=None, random_state=0)
    estimator.set_params(precondition=precondition).fit(X, y, WEIGHTS[:80])
    again = estimator.optimality(X, y, WEIGHTS[:80])
    assert_allclose(again, estimator.optimality_, rtol=1e-6)


def test_raw_columns_and_units_do_not_loosen_it():
    units = 10.0 ** np.arange(-8, 8, 2)
    bounds = []
    for A in (CANCER_X, CANCER_X * units + 100 * units):
        model = GDClassifier(penalty=None, optimizer="accelerated_gradient", max_iter=5, tol=None)
        bounds.append(model.fit(A, CANCER).optimality_)
    assert_allclose(bounds[1], bounds[0], rtol=1e-5)


def test_too_much_work_is_left_to_a_request(monkeypatch):
    monkeypatch.setattr(Gap, "affordable", 1e3)
    model = GDClassifier(optimizer="lbfgs").fit(CANCER_X, CANCER)
    assert np.isnan(model.optimality_)
    assert 0 <= model.optimality(CANCER_X, CANCER) < 1e-6
    assert np.isnan(GDRegressor().partial_fit(X, Y).optimality_)


class Unknown(Loss):
    def value(self, y, z):
        return np.log(1 + (z - y) ** 2)

    def gradient(self, y, z):
        return 2 * (z - y) / (1 + (z - y) ** 2)


class Changed(SquaredError):
    def value(self, y, z):
        return 2 * super().value(y, z)

    def gradient(self, y, z):
        return 2 * super().gradient(y, z)


@pytest.mark.parametrize("loss", [Unknown(), Changed()], ids=str)
def test_without_a_conjugate_there_is_no_bound(loss):
    assert GDRegressor(loss, max_iter=3).fit(X, Y / Y.std()).optimality_ == np.inf


@pytest.mark.parametrize("far", [1e2, 1e4, 1e6, 1e8, 1e10])
def test_rows_that_are_far_off_do_not_end_a_descent_before_the_minimum(far):
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    s = np.where(x + rng.logistic(size=400) > 0, 1.0, -1.0)
    x[:3], s[:3] = [far, -far, far / 2], [1, -1, 1]

    def slope(w):
        return 1e-4 * w - np.mean(s * x * special.expit(-s * x * w))

    def value(w):
        return np.mean(np.logaddexp(0.0, -s * x * w)) + 5e-5 * w**2

    model = GDClassifier(fit_intercept=False).fit(x[:, None], s)
    best = value(optimize.brentq(slope, 0.0, 10.0, xtol=1e-14))
    assert value(model.coef_[0, 0]) - best <= 1e-6 * (np.log(2) - best)
    assert value(model.coef_[0, 0]) - best <= model.optimality_ + 1e-15


class AtMostOne(Penalty):
    def value(self, coef):
        return 0.0

    def prox(self, coef, step):
        return np.clip(coef, -1, 1)


@pytest.mark.parametrize("penalty, alpha, remedy", [
    ("l2", 1e-4, "a larger alpha"), ("l2", 0, "an alpha above 0"), (None, 1e-4, "penalty='l2'"),
])  # fmt: skip
def test_an_end_that_may_be_far_from_the_minimum_is_told(penalty, alpha, remedy):
    # A hundredth of all cells is so far off that the others are lost in rounding.
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 5))
    X = np.where(rng.random(rows.shape) < 0.01, 5e8 * rows, rows)
    y = (2 * rows @ rng.normal(size=(5, 4)) + rng.gumbel(size=(300, 4))).argmax(axis=1)
    with pytest.warns(ConvergenceWarning, match=f"above its minimum: pass {remedy}, or X "):
        model = GDClassifier(penalty=penalty, alpha=alpha).fit(X, y)
    assert model.optimality_ > 0.1


@pytest.mark.parametrize("seed", [1, 8])
def test_steps_that_rounding_ends_far_from_the_minimum_are_told(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 4))
    y = X @ [1.0, -2.0, 0.5, 1.0] + rng.normal(size=60) > 3.5
    # Steps along subgradients get stuck at kinks.
    model = GDClassifier("hinge", optimizer="barzilai_borwein", max_iter=5000)
    with pytest.warns(ConvergenceWarning, match=r"above its minimum: pass optimizer='auto'\."):
        model.fit(X, y)
    least = GDClassifier("hinge").fit(X, y).history_["objective"][-1]
    assert model.history_["objective"][-1] > 1.05 * least


def test_with_a_penalty_of_unknown_form_the_bound_is_the_objective():
    model = GDRegressor(penalty=AtMostOne()).fit(X, Y)
    assert_allclose(model.optimality_, model.history_["objective"][-1], rtol=1e-10)


KNOWN = [
    loss() for loss in vars(losses).values()
    if isinstance(loss, type) and issubclass(loss, Loss) and "conjugate" in vars(loss)
    and loss is not Loss
]  # fmt: skip


@pytest.mark.parametrize("loss", KNOWN, ids=str)
def test_a_conjugate_is_the_supremum(loss):
    narrow, wide = np.linspace(-40, 40, 160_001), np.linspace(-80, 80, 320_001)
    targets = np.array([1.0, -1.0])
    for y in targets[loss.in_domain(targets)]:
        for slope in (-4.5, -1.5, -1.0, -0.3, 0.0, 0.7, 1.0, 2.5):
            expected, further = (
                np.max(slope * z - loss.value(np.full(z.shape, y), z)) for z in (narrow, wide)
            )
            actual = loss.conjugate(np.array([y]), np.array([slope]))[0]
            if further > expected + 1e-6:
                assert actual == np.inf
            else:
                assert_allclose(actual, expected, atol=1e-6)


def test_the_conjugate_of_a_softmax_is_an_entropy():
    y = np.array([[1.0, -1.0, -1.0]])
    z = np.array([[0.3, -0.2, 1.0]])
    slope = LogLoss().gradient(y, z)
    expected = (slope * z).sum() - LogLoss().value(y, z)
    assert_allclose(LogLoss().conjugate(y, slope), expected, rtol=1e-12)
    assert LogLoss().conjugate(y, np.array([[-1.0, 0.5, 0.4]])) == np.inf
    assert LogLoss().conjugate(y, np.array([[-1.5, 0.5, 1.0]])) == np.inf


def test_a_duality_gap_at_rounding_looks_at_few_points(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    model = GDClassifier(tol=1e-12).fit(X, X[:, 0] + rng.logistic(size=300) > 0)
    calls = []

    def counted(*args, **kwargs):
        calls.append(1)
        return value_and_gradient(*args, **kwargs)

    monkeypatch.setattr("skgd._problem.problem.value_and_gradient", counted)
    assert model.optimality(X, X[:, 0] > 0) >= 0.0
    del calls[:]
    y = model.predict(X)
    assert model.fit(X, y, sample_weight=np.ones(300)).optimality_ < 1e-10
    assert len(calls) < 60


def counted_hessians(monkeypatch):
    """Return a list that gets an item for each Hessian that is computed."""
    made, compute = [], Expansion.output_hessians
    monkeypatch.setattr(
        Expansion, "output_hessians", lambda *args: made.append(1) or compute(*args)
    )
    return made


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_the_bound_of_squared_errors_takes_no_second_gram_matrix(monkeypatch, penalty, dtype):
    made, A = counted_hessians(monkeypatch), X.astype(dtype)
    model = GDRegressor(penalty=penalty, alpha=2.0, l1_ratio=0.5).fit(A, Y)
    assert len(made) == 1
    coef, intercept, A = (part.astype(float) for part in (model.coef_, model.intercept_, A))
    terms = A, Y, np.ones(len(Y)), 2.0, 1.0 if penalty == "l1" else 0.5
    minimum = least(SquaredError(), *terms, True)
    value = objective(SquaredError(), coef, intercept, *terms)
    assert value - minimum <= model.optimality_ + 1e-12 * minimum
    assert model.optimality_ <= (1e-12 if dtype is np.float64 else 1e-7) * minimum


@pytest.mark.parametrize("penalty", [None, "l2", "l1"])
def test_the_bound_of_the_last_newton_step_is_enough(monkeypatch, penalty):
    made = counted_hessians(monkeypatch)
    model = GDClassifier(penalty=penalty, alpha=0.01).fit(CANCER_X, CANCER)
    assert len(made) == model.n_iter_
    closest = GDClassifier(penalty=penalty, alpha=0.01, tol=1e-12).fit(CANCER_X, CANCER)
    value, minimum = (each.history_["objective"][-1] for each in (model, closest))
    assert value - minimum <= model.optimality_ + 1e-15
    assert model.optimality_ <= 1e-8 * value
