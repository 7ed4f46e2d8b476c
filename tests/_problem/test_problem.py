"""The questions of a problem have the same answers whether numbers of all rows are kept or not."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris

from skgd import GDClassifier, GDRegressor
from skgd._problem import Problem, problem
from skgd.losses import LogLoss, SquaredError, SquaredHinge

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(60, 4))
CODES = GENERATOR.integers(0, 3, 60).astype(float)
WEIGHTS = GENERATOR.integers(0, 3, 60).astype(float)
COEF, INTERCEPT = GENERATOR.normal(size=(3, 4)), GENERATOR.normal(size=3)
MEAN, SCALE = X.mean(axis=0), np.array([1.0, 0.5, 2.0, 1.0, 1.0])


def answers(loss, weights, make):
    asked = Problem(make(X), CODES, weights, loss, 3)
    expansion = asked.expand(COEF, INTERCEPT)
    dual = expansion.dual_point(0.1 * COEF, INTERCEPT)
    found = [
        *expansion.output_hessians(MEAN, SCALE, 3), *expansion.hessian_diagonal(MEAN),
        expansion.mean_output_hessian(MEAN, SCALE),
        *expansion.product(COEF[::-1].copy(), INTERCEPT), *dual.moments(),
        *dual.scaled(0.5).conjugates(),
        *dual.weighted_sums(MEAN, with_sizes=True),
        *asked.gradient_dual_point(COEF, INTERCEPT, balanced=True).moments(),
        *asked.dual_origin().conjugates(), asked.largest_weighted_norm(MEAN, SCALE),
    ]  # fmt: skip
    return found + [dual.is_feasible(), dual.scaled(100.0).is_feasible()]


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "CSR"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("loss", [LogLoss(), SquaredHinge()], ids=["softmax", "one-vs-rest"])
def test_blocks_of_rows_add_up(loss, weights, make, monkeypatch):
    whole = answers(loss, weights, make)
    monkeypatch.setattr(problem, "KEPT", 50)
    monkeypatch.setattr(problem, "PART", 21)
    for part, of_all in zip(answers(loss, weights, make), whole, strict=True):
        np.testing.assert_allclose(part, of_all, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("model, data", [
    (GDClassifier(tol=1e-8), load_iris(return_X_y=True)),
    (GDClassifier("squared_hinge", penalty="l1", alpha=1e-2), (X, CODES)),
    (GDRegressor("huber"), (X, X @ [1.0, 2.0, 3.0, 0.0])),
    (GDRegressor("absolute_error"), (X, X @ [1.0, 2.0, 3.0, 0.0] + WEIGHTS)),
], ids=["softmax", "squared_hinge", "huber", "absolute_error"])  # fmt: skip
def test_fits_do_not_depend_on_what_is_kept(model, data, monkeypatch):
    kept = model.fit(*data).coef_
    monkeypatch.setattr(problem, "KEPT", 50)
    monkeypatch.setattr(problem, "PART", 50)
    np.testing.assert_allclose(model.fit(*data).coef_, kept, rtol=1e-7, atol=1e-9)


def test_a_softmax_on_a_memory_map_keeps_no_number_of_each_row_and_output(tmp_path):
    """Margins, second derivatives and targets of three outputs would take 96 MB each."""
    code = f"""
        import resource
        import numpy as np
        from skgd import GDClassifier

        generator = np.random.default_rng(0)
        X = np.memmap({str(tmp_path / "X")!r}, dtype=np.float32, mode="w+", shape=(4_000_000, 16))
        y = np.empty(len(X), dtype=np.int8)
        for start in range(0, len(X), 100_000):
            rows = slice(start, start + 100_000)
            X[rows] = generator.standard_normal((100_000, 16), dtype=np.float32)
            y[rows] = (X[rows, 0] + generator.standard_normal(100_000) > 0) + (X[rows, 1] > 0)
        model = GDClassifier(penalty="l1", alpha=1e-3).fit(X[:10_000], y[:10_000])
        lines = dict(line.split(":") for line in open("/proc/self/status"))
        limit = 1024 * int(lines["VmData"].split()[0]) + 180 * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        assert model.fit(X, y).converged_, model.stop_reason_
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120)


@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, np.float32])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_sums_of_products_do_not_lose_what_is_far_from_zero(make, weights):
    far, values = np.round(X, 2) + 2.0**14, GENERATOR.normal(size=(60, 1))
    rows, mean = make(far), far.mean(axis=0)
    asked = Problem(rows, X[:, :1].copy(), weights, SquaredError(), 1)
    sums, sizes = asked.dual_point(values).weighted_sums(mean, with_sizes=True)
    s = np.ones(60) if weights is None else weights
    terms = (s / s.sum())[:, None] * values * (rows.astype(float) - mean)
    np.testing.assert_allclose(sums[0, :4], terms.sum(axis=0), atol=1e-15)
    np.testing.assert_allclose(sizes[0, :4], np.abs(terms).sum(axis=0), rtol=1e-13)
