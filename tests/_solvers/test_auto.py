"""The mechanisms of the solvers meet one another: every pair of them ends at the minimum.

Each case is one fit. The cases cover every pair of loss, penalty, shape, storage, weights, outputs
and optimizer, greedily, so that a hundred or so stand for some ten thousand. The shapes are those
that set a mechanism off: growing samples, the span of the rows, more parameters than a
factorisation takes.
"""

import time
import warnings
from itertools import combinations, product

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from sklearn.svm import LinearSVC

from skgd import GDClassifier, GDRegressor
from skgd._problem import Problem
from skgd._solvers.costs import Compression
from skgd.callbacks import TimeLimit
from skgd.penalties import L2, Box, GroupLasso

CLASSIFIERS = ("log_loss", "hinge", "squared_hinge", "modified_huber")
COUNTS = ("poisson", "gamma", "tweedie")
REGRESSORS = (
    "squared_error", "absolute_error", "huber", "quantile", "epsilon_insensitive",
    "squared_epsilon_insensitive", "log_cosh", *COUNTS,
)  # fmt: skip
FACTORS = {
    "loss": REGRESSORS + CLASSIFIERS,
    "penalty": ("none", "l2", "l1", "elasticnet", "groups", "box", "positive", "uneven"),
    "shape": ((60, 5), (25, 120), (4200, 2), (8, 1540)),
    "storage": ("dense", "CSR", "float32"),
    "weights": (False, True),
    "outputs": (1, 3),
    "fit_intercept": (True, False),
    "optimizer": ("auto", "lbfgs", "whitened lbfgs", "accelerated_gradient", "barzilai_borwein"),
}
# What raises by design, or has no minimum.
SMOOTH = {"none", "l2", "uneven"}


def is_possible(case):
    """Tell whether a case, or the part of it that is chosen, is a fit that has a minimum."""
    smooth = case.get("penalty", "l2") in SMOOTH
    piecewise = case.get("loss") in ("absolute_error", "quantile", "epsilon_insensitive", "hinge")
    optimizer, (n, d) = case.get("optimizer", "auto"), case.get("shape", (60, 5))
    if "lbfgs" in optimizer and not smooth:
        return False
    if "whitened" in optimizer and d > n:
        return False
    if optimizer != "auto" and (piecewise or n < d):
        return False
    # First-order methods on smoothed losses get near these minima, but not in 1000 iterations.
    if piecewise and (case.get("penalty") == "groups" or (d > 1000 and not smooth)):
        return False
    return not (case.get("penalty") in ("none", "uneven") and n < d)


def covering(factors):
    """Return cases in which every possible pair of values meets."""
    names = list(factors)
    missing = {
        ((a, i), (b, j))
        for a, b in combinations(names, 2)
        for i, j in product(range(len(factors[a])), range(len(factors[b])))
        if is_possible({a: factors[a][i], b: factors[b][j]})
    }
    rng, cases = np.random.default_rng(0), []
    while missing:
        (a, i), (b, j) = min(missing)
        case = {a: i, b: j}
        for name in rng.permutation([name for name in names if name not in (a, b)]):
            options = [
                option for option in rng.permutation(len(factors[name]))
                if is_possible({key: factors[key][at] for key, at in case.items()}
                               | {name: factors[name][option]})
            ]  # fmt: skip
            case[str(name)] = max(options, key=lambda option, name=name: sum(
                tuple(sorted((pair, (name, int(option))), key=lambda x: names.index(x[0])))
                in missing for pair in case.items()
            ), default=0)  # fmt: skip
        pairs = set(combinations([(name, int(case[name])) for name in names], 2))
        missing -= pairs | {((a, i), (b, j))}
        case = {name: factors[name][at] for name, at in case.items()}
        if is_possible(case):
            cases.append(case)
    return cases


CASES = covering(FACTORS)


def rows(loss, shape, outputs):
    n, d = shape
    rng = np.random.default_rng(n + d)
    X = rng.normal(size=shape) * (rng.random(shape) < 0.7)
    Z = X @ rng.normal(size=(d, outputs)) / np.sqrt(d) + rng.normal(size=(n, outputs))
    if loss in CLASSIFIERS:
        y = Z[:, 0] > 0.2 if outputs == 1 else Z.argmax(axis=1)
        return X, y.astype(int)
    y = np.exp(0.5 * Z) + (loss == "poisson") if loss in COUNTS else Z
    return X, y[:, 0] if outputs == 1 else y


def arguments(penalty, d):
    named = {
        "none": None, "groups": GroupLasso(np.array_split(np.arange(d), d // 2)),
        "box": Box(-0.2, 0.3),
        "positive": "l2", "uneven": L2(weights=np.arange(d) % 3),
    }  # fmt: skip
    return {"penalty": named.get(penalty, penalty), "positive": penalty == "positive"}


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: "-".join(str(value) for value in case.values())
)
@pytest.mark.filterwarnings("error")
def test_every_pair_of_mechanisms_ends_at_the_minimum(case):
    loss, shape, optimizer = case["loss"], case["shape"], case["optimizer"]
    X, y = rows(loss, shape, case["outputs"])
    store = {
        "dense": np.asarray, "CSR": sparse.csr_matrix, "float32": np.float32
    }
    weights = np.random.default_rng(0).integers(0, 3, len(y)) if case["weights"] else None
    make = GDClassifier if loss in CLASSIFIERS else GDRegressor
    model = make(
        loss, alpha=0.05, l1_ratio=0.5, optimizer=optimizer.split()[-1],
        precondition="full" if "whitened" in optimizer else "auto",
        fit_intercept=case["fit_intercept"], **arguments(case["penalty"], shape[1]),
    )  # fmt: skip
    X = store[case["storage"]](X)
    model.fit(X, y, weights)
    assert model.converged_
    gap = model.optimality(X, y, weights)
    # Single precision moves the coefficients.
    if loss != "tweedie":
        # The best constant model has an objective of about 1 for each output.
        assert gap <= 1e-4 * case["outputs"]


@pytest.mark.parametrize("loss", ["huber", "log_cosh", "hinge", "absolute_error"])
def test_a_wide_table_is_as_good_in_the_span_of_its_rows(loss):
    X = np.random.default_rng(0).normal(size=(25, 120))
    y = X[:, 0] > 0 if loss == "hinge" else 3 * X[:, 0]
    model = (GDClassifier if loss == "hinge" else GDRegressor)(loss).fit(X, y)
    assert model.converged_
    assert model.optimality_ <= 1e-4 * model.history_["objective"][-1]
    assert model.n_iter_ < 40


def test_an_interior_point_method_that_rounding_ends_is_not_the_last_word():
    X, y = rows("absolute_error", (25, 120), 3)
    weights = np.random.default_rng(2).integers(0, 3, len(y))
    # With a system in the parameters its slopes bound the minimum 0.038 below its end.
    model = GDRegressor("absolute_error", alpha=0.05, positive=True).fit(X, y, weights)
    assert model.converged_
    assert model.optimality_ <= 1e-4
    model.set_params(fit_intercept=False).fit(X, y, weights)
    assert model.converged_ and model.optimality_ <= 1e-4


@pytest.mark.parametrize("loss", ["log_cosh", "absolute_error"])
def test_on_request_the_bound_of_a_wide_table_is_that_of_the_fit(loss):
    X, y = rows(loss, (25, 120), 1)
    model = GDRegressor(loss, alpha=0.05).fit(X, y)
    bound = model.optimality(X, y)
    assert bound <= 1e-4
    np.testing.assert_allclose(bound, model.optimality_, rtol=0.1, atol=1e-6)


def test_hinge_on_a_wide_table_ends_where_liblinear_does():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 1700))
    y = X @ rng.normal(size=1700) > 0
    model = GDClassifier("hinge", alpha=1e-2, fit_intercept=False).fit(X, y)
    peer = LinearSVC(
        loss="hinge", C=1 / (1e-2 * 60), fit_intercept=False, tol=1e-10, max_iter=10**5
    ).fit(X, y)  # fmt: skip
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
def test_accelerated_gradient_keeps_its_steps_under_bounds(make):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 300)) * (rng.random((50, 300)) < 0.3)
    y = X[:, :5].sum(axis=1) + 0.1 * rng.normal(size=50)
    model = GDRegressor(
        penalty="l1", alpha=0.01, positive=True, optimizer="accelerated_gradient", tol=1e-6
    ).fit(make(X), y)  # fmt: skip
    assert model.history_["learning_rate"].min() > 0.01
    assert model.n_iter_ < 300
    peer = Lasso(alpha=0.01, positive=True, tol=1e-10, max_iter=10**5).fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-4)


@pytest.mark.parametrize("arguments", [{"penalty": "l1"}, {"positive": True}])
def test_newton_steps_over_kinks_do_not_use_the_hessian_of_a_sample(arguments):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 10))
    y = X @ rng.normal(size=10) * (np.arange(20_000) % 3) + rng.normal(size=20_000) > 0
    model = GDClassifier(alpha=1e-2, **arguments).fit(X, y)
    assert model.history_["passes"][-1] <= 8


def test_convergence_of_a_smoothed_loss_is_claimed_from_the_duality_gap():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1700)) @ np.diag(np.logspace(0, -1, 1700))
    y = X @ rng.normal(size=1700) > 0
    model = GDClassifier("hinge", penalty="l1", alpha=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert not model.converged_ or model.optimality(X, y) <= 1e-4


def test_a_certificate_takes_no_longer_than_the_fit():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 40)), rng.integers(22, size=64)
    model = GDClassifier("modified_huber", penalty="elasticnet", max_iter=1)
    began = time.perf_counter()
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    # It took a hundred times as long.
    assert time.perf_counter() - began < 20 * model.history_["seconds"][-1]
    model.set_params(max_iter=100).set_callbacks(TimeLimit(0)).fit(X, y)
    assert model.n_iter_ == 1
    assert np.isnan(model.optimality_)


@pytest.mark.parametrize("weights", [None, np.arange(200) % 3], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("kind", [GDRegressor, GDClassifier])
def test_dense_rows_that_are_mostly_zero_end_where_others_do(kind, weights, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 20)) * (rng.random((200, 20)) < 0.08)
    z = X @ rng.normal(size=20) + 0.3 * rng.normal(size=200)
    y, asked = (z if kind is GDRegressor else np.digitize(z, [-0.3, 0.3])), []
    compressed = Problem.compressed
    monkeypatch.setattr(
        Problem, "compressed", lambda *a: asked.append(compressed(*a).is_sparse) or compressed(*a)
    )
    model = kind(tol=1e-10)
    fits = []
    for least in (0, np.inf):
        monkeypatch.setattr(Compression, "least", least)
        fits.append(model.fit(X, y, sample_weight=weights).coef_)
    assert asked == [True]
    np.testing.assert_allclose(*fits, rtol=1e-6, atol=1e-8)
    monkeypatch.setattr(Compression, "least", 0)
    model.fit(X + (rng.random(X.shape) < 0.2), y)
    assert asked == [True, False]
