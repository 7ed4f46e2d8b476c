"""Steps along single rows."""

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array
from sklearn.linear_model import LogisticRegression

from skgd import GDClassifier, GDRegressor
from skgd._engine import DataTerm, Sweep
from skgd._objective.metric import identity_metric
from skgd.losses import SquaredError
from skgd.optimizers import SGD
from skgd.penalties import L2

GENERATOR = np.random.default_rng(0)
X = random_array((80, 30), density=0.2, format="csr", rng=GENERATOR)
Y = X @ GENERATOR.normal(size=30) + GENERATOR.normal(size=80)
WEIGHTS = GENERATOR.integers(0, 4, 80).astype(float)


def settings(**more):
    return {
        "optimizer": "sgd", "batch_size": 1, "shuffle": False, "tol": None, "max_iter": 3,
        "learning_rate": 0.01, "precondition": None, **more,
    }  # fmt: skip


def steps(rows, targets, weights, *, alpha, l1_ratio, rate, epochs):
    """The same steps in NumPy: along one row, with all coefficients shrunk.

    Without l1 the shrinkage is the gradient's; with it, the flow's decay and the threshold follow.
    """
    w, b = np.zeros(rows.shape[1]), 0.0
    scale = len(targets) / weights.sum()
    for _ in range(epochs):
        for row, y, s in zip(rows, targets, weights, strict=True):
            slope = scale * s * (row @ w + b - y)
            if not l1_ratio:
                w = w * (1 - rate * alpha)
            w, b = w - rate * slope * row, b - rate * slope
            if not l1_ratio:
                continue
            w = w * np.exp(-rate * alpha * (1 - l1_ratio))
            w = np.sign(w) * np.maximum(np.abs(w) - rate * alpha * l1_ratio, 0)
    return w, b


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("alpha, l1_ratio", [(0.0, 0.0), (0.3, 0.0), (0.3, 1.0)])
def test_the_steps_are_those_over_dense_rows(alpha, l1_ratio, dtype, rtol, index):
    rows = X.astype(dtype)
    rows.indices, rows.indptr = rows.indices.astype(index), rows.indptr.astype(index)
    model = GDRegressor(**settings(penalty="elasticnet", alpha=alpha, l1_ratio=l1_ratio))
    model.fit(rows, Y, sample_weight=WEIGHTS)
    w, b = steps(
        rows.toarray().astype(float), Y, WEIGHTS, alpha=alpha, l1_ratio=l1_ratio, rate=0.01,
        epochs=3,
    )  # fmt: skip
    np.testing.assert_allclose(model.coef_, w, rtol=rtol, atol=rtol * np.abs(w).max())
    np.testing.assert_allclose(model.intercept_, b, rtol=rtol)
    if l1_ratio:
        np.testing.assert_array_equal(model.coef_ == 0, w == 0)
        assert 0 < (w == 0).sum() < len(w)


def test_a_row_that_names_a_column_twice_counts_both():
    doubled = csr_array(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape
    )
    model = GDRegressor(**settings(alpha=0.0)).fit(doubled, Y)
    expected = GDRegressor(**settings(alpha=0.0)).fit(X.toarray(), Y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-10)


@pytest.mark.parametrize("precondition", [None, "diagonal"])
def test_decaying_rates_lead_to_the_minimum_of_the_objective(precondition):
    y = (Y > 0).astype(int)
    model = GDClassifier(
        **settings(
            learning_rate=lambda t: 0.1 / (1 + t / 500), precondition=precondition, alpha=0.05,
            shuffle=True, max_iter=400, random_state=0,
        )
    ).fit(X, y)  # fmt: skip
    oracle = LogisticRegression(C=1 / (0.05 * len(y)), tol=1e-10, max_iter=1000).fit(X.toarray(), y)
    np.testing.assert_allclose(model.coef_, oracle.coef_, atol=0.02 * np.abs(oracle.coef_).max())


@pytest.mark.parametrize(
    "alpha, fit_intercept", [(0.0, True), (0.0, False), (0.3, True), (0.3, False), (90.0, True)]
)
@pytest.mark.parametrize("k", [1, 2, 9])
def test_single_rows_of_sparse_and_dense_matrices_give_one_model(k, alpha, fit_intercept):
    # At the largest alpha the factor of all coefficients falls by 0.1 a step.
    kwargs = settings(alpha=alpha, fit_intercept=fit_intercept, shuffle=True, random_state=0)
    y = np.column_stack([np.roll(Y, c) for c in range(k)])
    sparse, dense = (GDRegressor(**kwargs).fit(rows, y, WEIGHTS) for rows in (X, X.toarray()))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-10)
    np.testing.assert_allclose(sparse.intercept_, dense.intercept_, rtol=1e-10)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_single_rows_of_many_classes_give_one_model(loss, n_classes, penalty):
    kwargs = settings(penalty=penalty, alpha=0.01, shuffle=True, random_state=0)
    y = np.arange(80) * 7 % n_classes
    sparse, dense = (
        GDClassifier(loss, **kwargs).fit(rows, y, WEIGHTS) for rows in (X, X.toarray())
    )
    largest = np.abs(dense.coef_).max()
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-10, atol=1e-14 * largest)
    np.testing.assert_allclose(sparse.intercept_, dense.intercept_, rtol=1e-10)


@pytest.mark.parametrize("alpha", [1e-3, 3.0, 1e3, 1e5])
@pytest.mark.parametrize("k", [1, 3])
def test_a_decay_in_common_is_that_of_each_column_since_it_was_seen(k, alpha):
    # A threshold that moves nothing makes columns remember. In the metric, the exponent of a step
    # is up to the rate, 0.01: all are short, or steps begin again with what has decayed.
    y = np.column_stack([np.roll(Y, c) for c in range(k)])
    kwargs = settings(precondition="diagonal", alpha=alpha, penalty="elasticnet", shuffle=True)
    in_common, remembered = (
        GDRegressor(l1_ratio=ratio, random_state=0, **kwargs).fit(X, y, WEIGHTS).coef_
        for ratio in (0.0, 1e-20)
    )
    assert np.abs(in_common).max() > 0
    np.testing.assert_allclose(
        in_common, remembered, rtol=1e-10, atol=1e-13 * np.abs(remembered).max()
    )


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-10), (np.float32, 1e-4)])
def test_rows_of_all_lengths_in_any_order_take_the_same_steps(dtype, rtol):
    # From no number to more than are fetched at a time; long rows come before and after short ones.
    rows = np.triu(np.random.default_rng(1).normal(size=(70, 70)), 1).astype(dtype)
    y = rows @ np.linspace(-1, 1, 70) + 1.0
    kwargs = settings(shuffle=True, random_state=0, alpha=0.1)
    sparse, dense = (GDRegressor(**kwargs).fit(X, y) for X in (csr_array(rows), rows))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=rtol, atol=rtol)
    kwargs |= {"penalty": "elasticnet", "precondition": "diagonal"}
    in_common, remembered = (
        GDRegressor(**kwargs, l1_ratio=ratio).fit(csr_array(rows), y).coef_
        for ratio in (0.0, 1e-20)
    )
    assert np.abs(in_common).max() > 0
    np.testing.assert_allclose(in_common, remembered, rtol=rtol, atol=rtol)


def test_the_metric_is_the_same_whichever_number_of_a_column_is_the_first():
    rows = X.toarray()
    rows[0] = 1e3 * np.arange(30)
    rows[:, 7], rows[:, 8], rows[:3, 9] = 1e6 + rows[:, 7], 5.0, 0.0
    model = GDRegressor(**settings(precondition="diagonal", batch_size="full"))
    for weights in (np.ones(80), np.r_[1.0, 0.0, WEIGHTS[2:]]):
        first, last = (
            model.fit(csr_array(rows[::way]), Y[::way], weights[::way]).coef_ for way in (1, -1)
        )
        np.testing.assert_allclose(first, last, rtol=1e-9, atol=1e-11 * np.abs(last).max())
        assert first[8] == 0.0


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("precondition", [None, "diagonal"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_many_outputs_take_the_steps_of_each_alone(
    fit_intercept, precondition, penalty, dtype, index
):
    rows = X.astype(dtype)
    rows.indices, rows.indptr = rows.indices.astype(index), rows.indptr.astype(index)
    y = np.column_stack([np.roll(Y, c) * 2**c for c in range(3)])
    model = GDRegressor(**settings(
        penalty=penalty, alpha=0.1, precondition=precondition, fit_intercept=fit_intercept
    ))  # fmt: skip
    together = model.fit(rows, y, WEIGHTS).coef_
    alone = np.array([model.fit(rows, column, WEIGHTS).coef_ for column in y.T])
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(
        together, alone, rtol=tolerance, atol=1e-4 * tolerance * np.abs(alone).max()
    )
    if penalty == "l1":
        assert 0 < (together == 0).sum() < together.size


def test_a_step_costs_what_its_row_has_and_not_what_the_matrix_has():
    wide = random_array((50, 10_000), density=1e-3, format="csr", rng=GENERATOR)
    problem = DataTerm(wide, np.ones((50, 5)), None, SquaredError().compiled(5), 5)
    sweep = Sweep(
        problem, L2().compiled(), 5 * [SGD().compiled()], np.zeros((5, 10_001)),
        np.zeros((5, 0, 10_001)), np.full(5, 0.1), identity_metric(10_000, 5, True), 1.0,
    )  # fmt: skip
    assert sweep.work(1) < sweep.work(2) / 100
