"""Constant columns take no part in a solver's choice, in its systems, or in its coefficients."""

import numpy as np
import pytest
from scipy import sparse

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd.callbacks import Callback
from skgd.penalties import L1, L2, Box, ElasticNet, GroupLasso, Penalty

N, D, CONSTANT = 60, 8, 100


def table(n=N, d=D):
    generator = np.random.default_rng(d)
    X = generator.normal(size=(n, d)).round(2)
    X[generator.random(X.shape) < 0.3] = 0.0
    return X, X[:, :3] @ [1.0, -2.0, 0.5] + 0.5 * generator.normal(size=n)


def widened(X, value=0.0, n_constant=CONSTANT):
    """X among constant columns, and the numbers of its columns there."""
    d = X.shape[1]
    at = np.sort(np.random.default_rng(0).permutation(d + n_constant)[:d])
    wide = np.full((len(X), d + n_constant), value, dtype=X.dtype)
    wide[:, at] = X
    return wide, at


def spread(numbers, at, rest):
    """Numbers of the varying columns among those of the constant ones."""
    result = np.full(len(at) + CONSTANT, rest)
    result[at] = numbers
    return result


def same_fits(make, X, y, *, value=0.0, layout=np.asarray, rtol=1e-10, weights=None):
    """Fit with and without constant columns; compare all that a user sees."""
    wide, at = widened(X, value)
    narrow = make(np.arange(X.shape[1]), lambda numbers, rest: np.asarray(numbers, dtype=float))
    narrow = narrow.fit(layout(X), y, sample_weight=weights)
    full = make(at, lambda numbers, rest: spread(numbers, at, rest))
    full = full.fit(layout(wide), y, sample_weight=weights)
    scale = np.abs(narrow.coef_).max()
    assert scale > 0.0
    assert full.n_features_in_ == wide.shape[1]
    assert full.coef_.shape == (*narrow.coef_.shape[:-1], wide.shape[1])
    assert full.coef_.dtype == narrow.coef_.dtype
    np.testing.assert_allclose(full.coef_[..., at], narrow.coef_, rtol=rtol, atol=rtol * scale)
    assert not np.delete(full.coef_, at, axis=-1).any()
    np.testing.assert_allclose(full.intercept_, narrow.intercept_, rtol=rtol, atol=rtol)
    assert full.n_iter_ == narrow.n_iter_
    assert full.stop_reason_ == narrow.stop_reason_
    floor = 1e-12 * abs(narrow.history_["objective"][-1])
    np.testing.assert_allclose(
        full.history_["objective"], narrow.history_["objective"], rtol=1e-10, atol=floor
    )
    np.testing.assert_allclose(full.optimality_, narrow.optimality_, rtol=0.5, atol=floor)
    return full


LAYOUTS = {"dense": np.asarray, "csr": sparse.csr_matrix}

# Penalties from the numbers of the varying columns; `numbers` widens one number for each of them.
PENALTIES = {
    "none": lambda at, numbers: None,
    "l2": lambda at, numbers: "l2",
    "l1": lambda at, numbers: "l1",
    "elastic net": lambda at, numbers: "elasticnet",
    "weighted l2": lambda at, numbers: L2(numbers(np.arange(1.0, D + 1), 3.0)),
    "weighted l1": lambda at, numbers: L1(numbers(np.arange(1.0, D + 1), 3.0)),
    "weighted elastic net": lambda at, numbers: ElasticNet(
        0.5, numbers(np.arange(1.0, D + 1), 0.5)
    ),
    "a bound": lambda at, numbers: Box(upper=0.3),
    "bounds": lambda at, numbers: Box(
        numbers(np.linspace(-1.0, -0.1, D), -1.0), numbers(np.linspace(0.1, 0.4, D), 2.0), L1()
    ),
    "groups": lambda at, numbers: GroupLasso([at[4:].tolist(), at[[0, 3]].tolist()]),
    "groups in a box": lambda at, numbers: Box(0.0, None, GroupLasso(
        [at[::2].tolist()], numbers(np.arange(1.0, D + 1), 3.0)
    )),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_a_fit_is_that_of_the_columns_that_vary(penalty, layout):
    def make(at, numbers):
        return GDRegressor(penalty=penalty(at, numbers), alpha=0.01, tol=1e-7)

    same_fits(make, *table(), layout=layout)


@pytest.mark.parametrize("layout", [np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("loss", ["absolute_error", "huber", "poisson"])
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_losses_of_all_kinds_have_the_same_fit(loss, penalty, layout):
    X, y = table()
    y = np.abs(y).round() if loss == "poisson" else y
    same_fits(
        lambda *_: GDRegressor(loss, penalty=penalty, alpha=0.01, tol=1e-7), X, y, value=-3.0,
        layout=layout,
    )  # fmt: skip


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_have_the_same_fit(loss, n_classes, layout):
    X, y = table()
    labels = np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))
    same_fits(lambda *_: GDClassifier(loss, alpha=0.1, tol=1e-7), X, labels, layout=layout)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_float32_several_targets_and_weights(layout):
    X, y = table()
    targets, weights = np.column_stack([y, -y + X[:, 4]]), np.arange(N) % 4
    same_fits(
        lambda *_: GDRegressor(alpha=0.1, tol=1e-7), X.astype(np.float32), targets,
        layout=layout, rtol=1e-6, weights=weights,
    )  # fmt: skip
    same_fits(
        lambda *_: GDRegressor("log_cosh", penalty="l1", alpha=0.01, tol=1e-7), X, targets,
        layout=layout, weights=weights,
    )  # fmt: skip


def test_columns_vary_only_in_rows_that_count():
    X, y = table()
    wide, at = widened(X)
    wide[-5:] = np.random.default_rng(1).normal(size=(5, wide.shape[1]))
    weights = np.append(np.ones(N - 5), np.zeros(5))
    full = GDRegressor(tol=1e-8).fit(wide, y, sample_weight=weights)
    narrow = GDRegressor(tol=1e-8).fit(X[:-5], y[:-5])
    np.testing.assert_allclose(full.coef_[at], narrow.coef_, rtol=1e-10)
    assert not np.delete(full.coef_, at).any()


def test_without_an_intercept_only_empty_columns_are_left_out():
    X, y = table()
    same_fits(lambda *_: GDRegressor("huber", fit_intercept=False, tol=1e-7), X, y)
    wide, at = widened(X, 1.0)
    fit = GDRegressor("huber", fit_intercept=False, alpha=0.1, tol=1e-7).fit(wide, y + 5.0)
    assert np.delete(fit.coef_, at).all()


def test_a_bound_that_excludes_zero_keeps_its_columns():
    X, y = table()
    wide, at = widened(X)
    lower = np.zeros(wide.shape[1])
    others = np.delete(np.arange(wide.shape[1]), at)[:5]
    lower[others] = 2.0
    fit = GDRegressor(penalty=Box(lower, penalty=L2()), alpha=0.1, tol=1e-8).fit(wide, y)
    expected = GDRegressor(penalty=Box(0.0, penalty=L2()), alpha=0.1, tol=1e-8).fit(X, y)
    np.testing.assert_array_equal(fit.coef_[others], 2.0)
    np.testing.assert_allclose(fit.coef_[at], expected.coef_, rtol=1e-7, atol=1e-9)


class Squares(Penalty):
    """A penalty of the user's, whose part for some columns nobody knows."""

    def value(self, coef):
        return float(coef[0] ** 2 + coef @ coef)

    def gradient(self, coef):
        return 2.0 * coef + np.append(2.0 * coef[0], np.zeros(len(coef) - 1))


def test_a_penalty_of_the_users_gets_all_columns():
    X, y = table()
    wide = np.hstack([X, np.zeros((N, CONSTANT))])
    fit = GDRegressor(penalty=Squares(), alpha=0.1, tol=1e-8).fit(wide, y)
    weights = np.append(4.0, np.full(D - 1, 2.0))
    expected = GDRegressor(penalty=L2(weights), alpha=0.1, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(fit.coef_[:D], expected.coef_, rtol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "epsilon_insensitive"])
def test_more_varying_columns_than_rows(loss):
    X, y = table(n=40, d=150)
    same_fits(lambda *_: GDRegressor(loss, alpha=0.01, tol=1e-7), X, y, value=1.0, rtol=1e-8)


class Coefficients(Callback):
    """Keeps those of each epoch."""

    def __init__(self):
        self.seen = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.seen.append(fitted_estimator.coef_.copy())


@pytest.mark.parametrize("d", [D, 150])
def test_callbacks_and_warm_starts_see_all_columns(d):
    X, y = table(n=40, d=d)
    wide, at = widened(X, 1.0)
    callback = Coefficients()
    narrow, full = (GDRegressor("huber", alpha=0.1, tol=1e-7, warm_start=True) for _ in "ab")
    narrow.fit(X, y)
    full.set_callbacks(callback).fit(wide, y)
    assert [coef.shape for coef in callback.seen] == full.n_iter_ * [(wide.shape[1],)]
    np.testing.assert_allclose(callback.seen[-1], full.coef_, rtol=1e-12)
    # What columns that have become constant had before goes into the intercept.
    full.coef_ = full.coef_ + np.where(np.isin(np.arange(wide.shape[1]), at), 0.0, 7.0)
    full.intercept_ -= 7.0 * CONSTANT
    narrow.fit(X, y)
    full.fit(wide, y)
    assert full.n_iter_ == narrow.n_iter_ <= 2
    np.testing.assert_allclose(full.coef_[at], narrow.coef_, rtol=1e-6, atol=1e-9)
    assert not np.delete(full.coef_, at).any()


@pytest.mark.parametrize("loss, penalty", [("log_loss", "l1"), ("hinge", "l2")])
def test_searches_find_the_same_fit(loss, penalty):
    X, y = table()
    wide, at = widened(X)
    full, narrow = (
        GDSearchCV(
            GDClassifier(loss, penalty=penalty, tol=1e-7), {"alpha": [1e-1, 1e-2]}, cv=2
        ).fit(rows, y > 0) for rows in (wide, X)
    )  # fmt: skip
    assert full.best_params_ == narrow.best_params_
    np.testing.assert_allclose(
        full.cv_results_["mean_test_score"], narrow.cv_results_["mean_test_score"], rtol=1e-10
    )
    np.testing.assert_allclose(
        full.best_estimator_.coef_[..., at], narrow.best_estimator_.coef_, rtol=1e-5, atol=1e-8
    )


def test_alpha_is_the_same():
    X, y = table()
    same_fits(lambda *_: GDRegressor("huber", alpha="auto", tol=1e-7), X, y, rtol=1e-8)


def test_constant_columns_cost_no_iterations():
    generator = np.random.default_rng(4)
    X, y = generator.normal(size=(30, 60)), generator.normal(size=30)
    wide, at = widened(X, n_constant=3000)
    narrow, full = (
        GDRegressor("absolute_error", penalty="l1", alpha=1e-3, tol=1e-8).fit(rows, y)
        for rows in (X, wide)
    )
    assert full.converged_
    assert full.n_iter_ == narrow.n_iter_
    np.testing.assert_allclose(full.coef_[at], narrow.coef_, rtol=1e-10, atol=1e-10)
