"""The semismooth Newton method of paths on Gram matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import ElasticNet, Lasso

from skgd._solvers.semismooth_newton import BUSY, DONE, FAILED, SemismoothNewton

N, P = 80, 24
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, P)) @ (np.eye(P) + 0.3 * RNG.normal(size=(P, P)))
Y = X @ RNG.normal(size=P) + 3.0 * RNG.normal(size=N)
H, B = X.T @ X / N, X.T @ Y / N
FREE = np.full(P, -np.inf), np.full(P, np.inf)
ALPHAS = np.abs(B).max() * np.geomspace(0.95, 1e-3, 40)


def minimise(newton, x, l1, ridge=0.0, hessian=H, linear=B, lower=None, upper=None, work=10**6):
    """Move x to the minimum; return why the method stopped, and how many calls it took."""
    p, calls = len(x), 1
    bounds = [np.full(p, end) if given is None else given
              for given, end in ((lower, -np.inf), (upper, np.inf))]  # fmt: skip
    newton.start(hessian, linear, np.full(p, l1), np.full(p, ridge), *bounds, x, tol=1e-24)
    while (reason := newton.run(work)) == BUSY:
        calls += 1
    return reason, calls


def peer(alpha, l1_ratio=1.0, **settings):
    kind = Lasso if l1_ratio == 1.0 else ElasticNet
    ratio = {} if l1_ratio == 1.0 else {"l1_ratio": l1_ratio}
    return kind(alpha, fit_intercept=False, tol=1e-14, max_iter=10**6, **ratio, **settings)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("positive", [False, True])
def test_paths_are_those_of_scikit_learn_down_and_up(l1_ratio, positive):
    newton, x, lower = SemismoothNewton(), np.zeros(P), np.zeros(P) if positive else None
    for alpha in [*ALPHAS, *ALPHAS[::-1]]:
        l1, ridge = alpha * l1_ratio, alpha * (1.0 - l1_ratio)
        assert minimise(newton, x, l1, ridge, lower=lower)[0] == DONE
        expected = peer(alpha, l1_ratio, positive=positive).fit(X, Y).coef_
        assert_allclose(x, expected, atol=1e-9)
        assert np.count_nonzero(x) == np.count_nonzero(expected)


def test_what_is_cut_short_goes_on():
    newton, whole = SemismoothNewton(), SemismoothNewton()
    x, other, most = np.zeros(P), np.zeros(P), 0
    for alpha in ALPHAS:
        reason, calls = minimise(newton, x, alpha, work=1)
        most = max(most, calls)
        assert (reason, minimise(whole, other, alpha)) == (DONE, (DONE, 1))
        assert_allclose(x, other, atol=1e-12)
    assert most > 2


def test_coordinates_that_are_added_keep_the_others():
    newton, x = SemismoothNewton(), np.zeros(0)
    for alpha, p in zip(ALPHAS[:6], [3, 8, 8, 12, 20, P], strict=True):
        x = np.append(x, np.zeros(p - len(x)))
        block = np.ascontiguousarray(H[:p, :p])
        assert minimise(newton, x, alpha, hessian=block, linear=B[:p])[0] == DONE
        assert_allclose(x, peer(alpha).fit(X[:, :p], Y).coef_, atol=1e-9)
    with pytest.raises(ValueError, match="got 3 coordinates: pass the 24 of the last call"):
        minimise(newton, x[:3].copy(), 0.1, hessian=H[:3, :3].copy(), linear=B[:3])


def test_a_column_that_is_a_sum_of_others_stays_out():
    rows = np.column_stack([X, X[:, :2], X[:, 0] + X[:, 1]])
    hessian, linear, x = rows.T @ rows / N, rows.T @ Y / N, np.zeros(P + 3)
    newton = SemismoothNewton()
    for alpha in ALPHAS[:20]:
        reason, _ = minimise(newton, x, alpha, hessian=hessian, linear=linear)
        assert reason == DONE
        assert_allclose(rows @ x, X @ peer(alpha).fit(X, Y).coef_, atol=1e-6)


def test_columns_without_a_penalty_or_without_variance():
    rows, l1, x = np.column_stack([X, np.zeros(N)]), np.full(P + 1, 0.3), np.zeros(P + 1)
    l1[:2] = 0.0
    newton = SemismoothNewton()
    free = np.full(P + 1, -np.inf), np.full(P + 1, np.inf)
    newton.start(rows.T @ rows / N, rows.T @ Y / N, l1, np.zeros(P + 1), *free, x, tol=1e-24)
    assert newton.run(10**6) == DONE
    gradient = H @ x[:P] - B
    assert_allclose(gradient[:2], 0.0, atol=1e-12)
    at_zero = x[:P] == 0
    assert_allclose(gradient[~at_zero], -l1[:P][~at_zero] * np.sign(x[:P][~at_zero]), atol=1e-12)
    assert np.all(np.abs(gradient[at_zero]) <= l1[:P][at_zero])
    assert x[P] == 0.0


def test_starts_that_are_far_from_the_minimum_fail():
    # The system of all 50 columns that would leave 0 is as singular as 8 rows make it.
    rows = RNG.normal(size=(8, 50))
    x, linear = np.zeros(50), rows.T @ RNG.normal(size=8)
    assert minimise(SemismoothNewton(), x, 1e-9, hessian=rows.T @ rows, linear=linear)[0] == FAILED


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="call start first"):
        SemismoothNewton().run(1)
    with pytest.raises(ValueError, match="shape"):
        minimise(SemismoothNewton(), np.zeros(P), 1.0, linear=B[1:])
