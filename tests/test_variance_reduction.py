"""SVRG and SAGA: the steps of their papers, linear convergence, the exact minimiser."""

import numpy as np
import pytest
from scipy import sparse, special
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor
from skgd.optimizers import SAGA, SGD, SVRG
from skgd.penalties import Box, GroupLasso

CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True, scaled=False)
SCALED = StandardScaler().fit_transform(DIABETES[0])
RULES = [SAGA(), SVRG(), SVRG(every=1)]

every_rule = pytest.mark.parametrize("rule", RULES, ids=repr)


# ---- the papers' steps --------------------------------------------------------------------------

def paper(X, y, s, batches, rate, alpha, epochs, every):
    """Descend on the squared error as in the papers, on whole gradients of single rows.

    Reddi, Hefny, Sra, Poczos and Smola, On variance reduction in stochastic gradient descent and
    its asynchronous variants, 2015, Algorithm 1: what differs is when the table is renewed.
    """
    n, d = X.shape
    w, table = np.zeros(d + 1), np.zeros((n, d + 1))
    rows = np.column_stack([X, np.ones(n)]) * (n * s / s.sum())[:, None]

    def gradients(w):
        return rows * (X @ w[:d] + w[d] - y)[:, None]

    for epoch in range(epochs):
        if every and epoch and (epoch - 1) % every == 0:
            table = gradients(w)
        for batch in batches:
            fresh = gradients(w)
            # The first epoch is plain gradient descent.
            estimate = (fresh - table)[batch].mean(axis=0) + (epoch > 0) * table.mean(axis=0)
            if not every:
                table[batch] = fresh[batch]
            w = w - rate * (estimate + alpha * np.append(w[:d], 0.0))
    return w


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["dense", "columns", "sparse", "narrow"])
@every_rule
def test_the_steps_are_those_of_the_papers(rule, kind, weighted, batch_size):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(12, 3)).astype(np.float32).astype(float)
    y = generator.normal(size=12)
    s = generator.integers(0, 4, size=12).astype(float) if weighted else np.ones(12)
    converted = {
        "dense": X, "columns": np.asfortranarray(X), "sparse": sparse.csr_matrix(X),
        "narrow": X.astype(np.float32),
    }[kind]  # fmt: skip
    batches = np.arange(12).reshape(-1, batch_size)
    every = 0 if rule.snapshots == 0 else rule.every
    expected = paper(X, y, s, batches, 0.05, 0.3, 5, every)
    model = GDRegressor(
        optimizer=rule, learning_rate=0.05, alpha=0.3, precondition=None, batch_size=batch_size,
        shuffle=False, max_iter=5, tol=None,
    ).fit(converted, y, sample_weight=s if weighted else None)  # fmt: skip
    rtol = 1e-6 if kind == "narrow" else 1e-12
    np.testing.assert_allclose(np.append(model.coef_, model.intercept_), expected, rtol=rtol)


@every_rule
def test_single_rows_take_one_path_in_all_metrics_and_loops(rule):
    X, y = DIABETES
    settings = {"optimizer": rule, "batch_size": 1, "max_iter": 3, "tol": None, "shuffle": False}
    fast = GDRegressor(**settings).fit(X, y)
    # Columns of X that are not adjacent, and averages, go another way.
    slow = GDRegressor(**settings).fit(np.asfortranarray(X), y)
    np.testing.assert_allclose(slow.coef_, fast.coef_, rtol=1e-9)
    average = GDRegressor(average=10**6, **settings).fit(X, y)
    np.testing.assert_allclose(average.coef_, fast.coef_, rtol=1e-9)


# ---- convergence --------------------------------------------------------------------------------

@pytest.mark.parametrize("batch_size", [1, 8, "auto"])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
@every_rule
def test_on_a_strongly_convex_objective_the_convergence_is_linear(rule, make, batch_size):
    X, y = StandardScaler().fit_transform(CANCER[0]), CANCER[1]
    exact = GDClassifier(alpha=0.1, tol=1e-14).fit(X, y).history_["objective"][-1]
    history = GDClassifier(
        alpha=0.1, optimizer=rule, batch_size=batch_size, max_iter=60, tol=None, random_state=0
    ).fit(make(X), y).history_  # fmt: skip
    gap = history["objective"] - exact
    seen = (gap > 1e-13) & (history["passes"] > 3)
    passes, height = history["passes"][seen], np.log(gap[seen])
    slope, start = np.polyfit(passes, height, 1)
    unexplained = np.var(height - slope * passes - start) / np.var(height)
    assert seen.sum() > 10
    assert np.exp(slope) < 0.85
    assert unexplained < 0.03
    # Noise that does not die out leaves plain descent with the same steps far above.
    rate = GDClassifier(
        alpha=0.1, optimizer=rule, batch_size=batch_size, max_iter=1, tol=None
    ).fit(make(X), y).learning_rate_  # fmt: skip
    plain = GDClassifier(
        alpha=0.1, optimizer=SGD(), learning_rate=rate, max_iter=60, tol=None, random_state=0,
        batch_size=1 if batch_size == "auto" else batch_size,
    ).fit(make(X), y)  # fmt: skip
    assert plain.history_["objective"][-1] - exact > 100 * gap[-1]


PROBLEMS = {
    "squares": (GDRegressor(alpha=0.1), DIABETES),
    "no intercept": (GDRegressor(alpha=0.1, fit_intercept=False), (SCALED, DIABETES[1])),
    "several targets": (
        GDRegressor(alpha=0.1), (DIABETES[0], np.column_stack([DIABETES[1], DIABETES[0][:, 2]]))
    ),
    "huber": (GDRegressor("huber", alpha=0.1), (DIABETES[0], DIABETES[1] / 50)),
    "l1": (GDRegressor(penalty="l1", alpha=1.0), DIABETES),
    "elasticnet": (GDRegressor(penalty="elasticnet", alpha=0.5), DIABETES),
    "groups": (GDRegressor(penalty=GroupLasso([[0, 1, 2], [3, 4]]), alpha=1.0), DIABETES),
    "bounds": (GDRegressor(penalty=Box(-0.3, 0.5)), DIABETES),
    "positive": (GDRegressor(positive=True, alpha=0.1), DIABETES),
    "two classes": (GDClassifier(alpha=0.1), (SCALED, DIABETES[1] > 140)),
    "three classes": (GDClassifier(alpha=0.1), load_iris(return_X_y=True)),
    "squared hinge": (GDClassifier("squared_hinge", alpha=0.1), (SCALED, DIABETES[1] > 140)),
}  # fmt: skip


@pytest.mark.parametrize("rule", [SAGA(), SVRG()], ids=repr)
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_end_is_the_exact_minimiser(name, rule):
    estimator, (X, y) = PROBLEMS[name]
    s = np.random.default_rng(0).integers(1, 4, size=len(y)).astype(float)
    exact = clone(estimator).set_params(tol=1e-13, max_iter=20_000).fit(X, y, sample_weight=s)
    model = clone(estimator).set_params(
        optimizer=rule, batch_size=8, max_iter=400, tol=None, random_state=0
    ).fit(X, y, sample_weight=s)  # fmt: skip
    scale = X.std(axis=0)
    np.testing.assert_allclose(
        model.coef_ * scale, exact.coef_ * scale, atol=1e-9 * np.abs(exact.coef_ * scale).max()
    )
    np.testing.assert_allclose(model.intercept_, exact.intercept_, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(model.coef_ == 0, exact.coef_ == 0)


def test_a_descent_may_be_taken_up_at_its_end():
    X, y = DIABETES
    exact = GDRegressor(alpha=0.1, tol=1e-13).fit(X, y)
    start = exact.coef_, exact.intercept_
    for rule in (SAGA(), SVRG(every=5)):
        model = GDRegressor(
            alpha=0.1, optimizer=rule, batch_size=1, max_iter=2, tol=None, init=start
        ).fit(X, y)
        np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-10)
        np.testing.assert_array_equal(model.history_["passes"], [2, 3])


def test_averaging_gives_the_mean_of_the_iterates():
    X, y = DIABETES
    settings = {"optimizer": "saga", "batch_size": 100, "shuffle": False, "tol": None,
                "learning_rate": 0.1}  # fmt: skip
    path = [GDRegressor(max_iter=k, **settings).fit(X, y).coef_ for k in (1, 2)]
    model = GDRegressor(average=True, max_iter=1, **settings).fit(X, y)
    assert np.all(np.abs(model.coef_) < np.abs(path[1]).max())
    late = GDRegressor(average=8, max_iter=2, **settings).fit(X, y)
    assert not np.array_equal(late.coef_, path[1])
    last = GDRegressor(average=10, max_iter=2, **settings).fit(X, y)
    np.testing.assert_allclose(last.coef_, path[1], rtol=1e-12)


# ---- what it takes ------------------------------------------------------------------------------

@pytest.mark.parametrize(
    ("rule", "passes"),
    [(SAGA(), [1, 2, 3, 4, 5]), (SVRG(every=1), [1, 3, 5, 7, 9]), (SVRG(), [1, 3, 4, 6, 7])],
    ids=repr,
)
def test_snapshots_count_as_passes(rule, passes):
    model = GDRegressor(optimizer=rule, max_iter=5, tol=None, batch_size=16).fit(*DIABETES)
    np.testing.assert_array_equal(model.history_["passes"], passes)


@every_rule
def test_rows_that_are_not_seen_again_are_refused(rule):
    model = GDRegressor(optimizer=rule)
    assert not hasattr(model, "partial_fit")


@pytest.mark.parametrize(
    "every, error",
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), (None, TypeError), ("2", TypeError)],
)
def test_a_bad_number_of_epochs_is_an_error(every, error):
    with pytest.raises(error, match="every=.*: pass an integer >= 1"):
        GDRegressor(optimizer=SVRG(every=every)).fit(*DIABETES)


@every_rule
def test_all_rows_at_once_is_gradient_descent(rule):
    settings = {"batch_size": "full", "learning_rate": 0.1, "max_iter": 5, "tol": None}
    reduced = GDRegressor(optimizer=rule, **settings).fit(*DIABETES)
    plain = GDRegressor(optimizer="sgd", **settings).fit(*DIABETES)
    np.testing.assert_array_equal(reduced.coef_, plain.coef_)


def test_a_batch_of_sparse_rows_has_about_as_many_numbers_as_a_step_changes():
    generator = np.random.default_rng(0)
    X = sparse.random(200, 400, density=0.05, format="csr", random_state=0)
    y = special.expit(X @ generator.normal(size=400)) > 0.5
    model = GDClassifier(optimizer="saga", max_iter=2, tol=None).fit(X, y)
    assert model.t_ == 2 * np.ceil(200 / 20)
    dense = GDClassifier(optimizer="saga", max_iter=2, tol=None).fit(X.toarray(), y)
    assert dense.t_ == 400
