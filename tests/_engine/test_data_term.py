"""A full pass against NumPy, for every layout of X, and what it must refuse."""

import numpy as np
import pytest
from layouts import LAYOUTS, D, N, coefficients, every_layout, raw, targets, weights
from scipy import sparse, special

from skgd._engine import DataTerm, chunk_starts, value_and_gradient
from skgd.losses import AbsoluteError, Huber, LogLoss, Loss, SquaredError


def expected(X, y, s, coef, intercept, loss="squared"):
    """Values and gradients in NumPy."""
    s = np.ones(len(X)) if s is None else s
    z = X @ coef.T + intercept
    if loss == "squared":
        values, slopes = (z - y) ** 2 / 2, z - y
    elif loss == "log":
        values, slopes = np.logaddexp(0, -y * z), -y * special.expit(-y * z)
    else:
        chosen = np.arange(z.shape[1]) == y[:, None]
        values, slopes = np.zeros(z.shape), special.softmax(z, axis=1) - chosen
        values[:, 0] = special.logsumexp(z, axis=1) - z[chosen]
    return s @ values / s.sum(), (s * slopes.T) @ X / s.sum(), s @ slopes / s.sum()


def assert_close(got, wanted):
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


# ---- a full pass --------------------------------------------------------------------------------

@every_layout
@pytest.mark.parametrize("k", [1, 2, 5, 9, 45])
def test_a_full_pass_is_what_numpy_computes(layout, k, tmp_path):
    X, y, s = raw(), targets(N, k), weights(N)
    problem = DataTerm(LAYOUTS[layout](X, tmp_path), y, s, SquaredError().compiled(k), k)
    got = value_and_gradient(problem, *coefficients(k))
    assert_close(got, expected(X, y, s, *coefficients(k)))
    assert problem.n == N and problem.d == D and problem.weight_sum == s.sum()


@pytest.mark.parametrize("kind", ["C", "F", "CSR"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 63, 64, 65, 127, 128, 200])
def test_the_blocks_of_64_rows_have_no_seams(kind, n, tmp_path):
    for d in (1, 3, 8, 131, 515):
        X, y = raw(n, d), targets(n, 2)
        problem = DataTerm(LAYOUTS[kind](X, tmp_path), y, None, SquaredError().compiled(2), 2)
        got = value_and_gradient(problem, *coefficients(2, d))
        for a, b in zip(got, expected(X, y, None, *coefficients(2, d)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("k", [4, 5, 6, 7, 8, 9])
def test_the_tiles_of_many_outputs_have_no_seams(k):
    generator = np.random.default_rng(k)
    coef, intercept = generator.integers(-9, 10, (k, 70)) / 1.0, generator.integers(-9, 10, k) / 1.0
    for n in range(1, 68, 3):
        for d in range(1, 71, 3):
            # Whole numbers, whose sums are exact in any order.
            X, y = generator.integers(-9, 10, (n, d)) / 1.0, np.zeros((n, k))
            w, z = np.ascontiguousarray(coef[:, :d]), np.empty((n, k))
            problem = DataTerm(X, y, None, SquaredError().compiled(k), k)
            _, *gradient = value_and_gradient(problem, w, intercept, margins=z)
            wanted = X @ w.T + intercept
            np.testing.assert_array_equal(z, wanted)
            np.testing.assert_array_equal(gradient[0], wanted.T @ X / n)
            np.testing.assert_array_equal(gradient[1], wanted.sum(axis=0) / n)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_log_losses_of_each_output_are_those_of_numpy(k):
    X, y, s = raw(), np.sign(targets(N, k)), weights(N)

    class OneVersusRest(LogLoss):
        def is_multiclass(self, n_outputs):
            return False

        def _rule(self, n_outputs):
            return LogLoss()._rule(1)

    problem = DataTerm(X, y, s, OneVersusRest().compiled(k), k)
    got = value_and_gradient(problem, *coefficients(k))
    assert_close(got, expected(X, y, s, *coefficients(k), "log"))


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("layout", ["C", "CSR"])
def test_class_codes_give_the_softmax(layout, k, tmp_path):
    X, s, codes = raw(), weights(N), np.random.default_rng(3).integers(0, k, N).astype(float)
    problem = DataTerm(LAYOUTS[layout](X, tmp_path), codes, s, LogLoss().compiled(k), k)
    got = value_and_gradient(problem, *coefficients(k))
    assert_close(got, expected(X, codes, s, *coefficients(k), "softmax"))


def test_class_codes_are_plus_one_for_the_class_and_minus_one_for_the_others():
    X, codes = raw(), np.random.default_rng(3).integers(0, 5, N).astype(float)
    signs = np.where(codes[:, None] == np.arange(5), 1.0, -1.0)
    rule = Huber().compiled(5)
    by_code = value_and_gradient(DataTerm(X, codes, None, rule, 5), *coefficients(5))
    by_sign = value_and_gradient(DataTerm(X, signs, None, rule, 5), *coefficients(5))
    for a, b in zip(by_code, by_sign, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_weight_is_a_repetition_and_zero_an_absence():
    X, y, s = raw(), targets(N, 2), np.random.default_rng(1).integers(0, 4, N)
    rule, rows = SquaredError().compiled(2), np.repeat(np.arange(N), s)
    weighted = value_and_gradient(DataTerm(X, y, s.astype(float), rule, 2), *coefficients(2))
    repeated = value_and_gradient(DataTerm(X[rows], y[rows], None, rule, 2), *coefficients(2))
    assert_close(weighted, repeated)


def test_a_row_of_weight_zero_may_have_an_infinite_loss():
    X, y, s = raw(), targets(N, 1), np.ones(N)
    y[3], s[3] = np.inf, 0.0
    got = value_and_gradient(
        DataTerm(X, y, s, SquaredError().compiled(), 1), *coefficients(1)
    )
    assert_close(got, expected(np.delete(X, 3, 0), np.delete(y, 3, 0), None, *coefficients(1)))


def test_without_gradient_the_values_are_the_same():
    problem = DataTerm(raw(), targets(N, 2), weights(N), SquaredError().compiled(2), 2)
    both = value_and_gradient(problem, *coefficients(2))
    values, coef_gradient, intercept_gradient = value_and_gradient(
        problem, *coefficients(2), gradient=False
    )
    np.testing.assert_array_equal(values, both[0])
    assert coef_gradient is None and intercept_gradient is None


@pytest.mark.parametrize("layout", ["C", "F float32", "CSR"])
@pytest.mark.parametrize("k", [1, 2, 19])
def test_the_margins_are_written_where_asked(layout, k, tmp_path):
    X, margins, rows = raw(), np.empty((N, k)), np.arange(0, N, 3)
    problem = DataTerm(
        LAYOUTS[layout](X, tmp_path), targets(N, k), None, SquaredError().compiled(k), k
    )
    coef, intercept = coefficients(k)
    value_and_gradient(problem, coef, intercept, margins=margins)
    np.testing.assert_allclose(margins, X @ coef.T + intercept, rtol=1e-12, atol=1e-12)
    some = np.empty((len(rows), k))
    value_and_gradient(problem, coef, intercept, gradient=False, subset=rows, margins=some)
    np.testing.assert_allclose(some, margins[rows], rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="pass float64 of shape"):
        value_and_gradient(problem, coef, intercept, margins=some)


@pytest.mark.parametrize("layout", ["C", "F float32", "CSR"])
@pytest.mark.parametrize("n_rows", [1, 64, 65, 150])
def test_a_subset_is_the_rows_in_any_order_and_number(layout, n_rows, tmp_path):
    X, y, s = raw(), targets(N, 2), weights(N)
    rows = np.random.default_rng(4).integers(0, N, n_rows)
    s[rows[0]] = 1.0
    problem = DataTerm(LAYOUTS[layout](X, tmp_path), y, s, SquaredError().compiled(2), 2)
    got = value_and_gradient(problem, *coefficients(2), subset=rows)
    assert_close(got, expected(X[rows], y[rows], s[rows], *coefficients(2)))


@pytest.mark.parametrize("layout", ["C", "F", "CSR"])
@pytest.mark.parametrize("k", [2, 5])
def test_any_number_of_threads_gives_the_same_bits(k, layout, monkeypatch, tmp_path):
    X, y, s = raw(1500), targets(1500, k), weights(1500)
    problem = DataTerm(LAYOUTS[layout](X, tmp_path), y, s, SquaredError().compiled(k), k)
    at_once = value_and_gradient(problem, *coefficients(k))
    monkeypatch.setattr("skgd._engine.rows.CHUNK", 500)
    assert len(chunk_starts(problem.rows, 1500)) > 8
    alone = value_and_gradient(problem, *coefficients(k), n_threads=1)
    assert_close(alone, at_once)
    for n_threads in (2, 3, 4, 50):
        together = value_and_gradient(problem, *coefficients(k), n_threads=n_threads)
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_matrix_without_any_number_is_a_matrix_of_zeros():
    X, y = sparse.csr_array((N, D)), targets(N, 1)
    got = value_and_gradient(DataTerm(X, y, None, SquaredError().compiled(), 1), *coefficients(1))
    assert_close(got, expected(np.zeros((N, D)), y, None, *coefficients(1)))


def test_the_arrays_are_kept_alive_by_the_problem():
    problem = DataTerm(raw(), targets(N, 1), weights(N), SquaredError().compiled(), 1)
    junk = [np.full((N, D), np.nan) for _ in range(20)]
    got = value_and_gradient(problem, *coefficients(1))
    assert_close(got, expected(raw(), targets(N, 1), weights(N), *coefficients(1)))
    assert len(junk) == 20


def test_with_loss_keeps_rows_targets_and_weights():
    problem = DataTerm(raw(), targets(N, 1), weights(N), AbsoluteError().compiled(), 1)
    got = value_and_gradient(problem.with_loss(SquaredError().compiled()), *coefficients(1))
    assert_close(got, expected(raw(), targets(N, 1), weights(N), *coefficients(1)))


def test_nan_is_not_hidden():
    X = raw()
    X[150, 2] = np.nan
    problem = DataTerm(X, targets(N, 1), None, SquaredError().compiled(), 1)
    assert all(np.isnan(part).all() for part in value_and_gradient(problem, *coefficients(1)))


class Squares(Loss):
    def value(self, y, z):
        return (z - y) ** 2 / 2

    def gradient(self, y, z):
        return z - y


class Broken(Loss):
    def value(self, y, z):
        return z

    def gradient(self, y, z):
        raise ArithmeticError("mine")


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_python_loss_is_called_back(k, n_threads, monkeypatch):
    monkeypatch.setattr("skgd._engine.rows.CHUNK", 1)
    problem = DataTerm(raw(), targets(N, k), weights(N), Squares().compiled(k), k)
    got = value_and_gradient(problem, *coefficients(k), n_threads=n_threads)
    assert_close(got, expected(raw(), targets(N, k), weights(N), *coefficients(k)))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_error_of_a_python_loss_reaches_the_user(n_threads, monkeypatch):
    monkeypatch.setattr("skgd._engine.rows.CHUNK", 1)
    problem = DataTerm(raw(), targets(N, 1), None, Broken().compiled(), 1)
    with pytest.raises(ArithmeticError, match="mine"):
        value_and_gradient(problem, *coefficients(1), n_threads=n_threads)


# ---- what must be refused -----------------------------------------------------------------------

refused = (ValueError, TypeError)

BAD_PROBLEM = {
    "too few targets": {"targets": targets(N - 1, 2)},
    "targets of one output": {"targets": targets(N, 1)},
    "targets in F order": {"targets": np.asfortranarray(targets(N, 2))},
    "targets of integers": {"targets": np.zeros((N, 2), dtype=int)},
    "too few codes": {"targets": np.zeros(N - 1)},
    "codes of integers": {"targets": np.zeros(N, dtype=int)},
    "no axis of targets": {"targets": np.array(1.0)},
    "too few weights": {"weights": np.ones(N - 1)},
    "a column of weights": {"weights": np.ones((N, 1))},
    "float32 weights": {"weights": np.ones(N, np.float32)},
    "strided weights": {"weights": np.ones(2 * N)[::2]},
    "a loss that is no rule": {"loss": SquaredError()},
    "no loss": {"loss": None},
    "more outputs than targets": {"n_outputs": 3},
    "no outputs": {"n_outputs": 0},
    "fewer than no outputs": {"n_outputs": -1},
}


@pytest.mark.parametrize("bad", BAD_PROBLEM)
def test_a_bad_problem_is_refused(bad):
    good = {
        "X": raw(), "targets": targets(N, 2), "weights": None, "loss": SquaredError().compiled(2),
        "n_outputs": 2,
    }  # fmt: skip
    assert DataTerm(**good).n == N
    with pytest.raises(refused):
        DataTerm(**(good | BAD_PROBLEM[bad]))


BAD_PASS = {
    "a row of coefficients": {"coef": np.zeros(D)},
    "too few features": {"coef": np.zeros((2, D - 1))},
    "too few outputs": {"coef": np.zeros((1, D))},
    "coefficients in F order": {"coef": np.zeros((D, 2)).T},
    "float32 coefficients": {"coef": np.zeros((2, D), np.float32)},
    "one intercept": {"intercept": np.zeros(1)},
    "intercepts in a column": {"intercept": np.zeros((2, 1))},
    "a subset too far": {"subset": np.array([0, N])},
    "a negative subset": {"subset": np.array([-1, 3])},
    "an empty subset": {"subset": np.zeros(0, dtype=int)},
    "a subset of floats": {"subset": np.array([0.0, 1.0])},
    "a subset of int32": {"subset": np.array([0, 1], np.int32)},
    "a subset of flags": {"subset": np.ones(N, dtype=bool)},
    "a strided subset": {"subset": np.arange(20)[::2]},
    "a subset of two axes": {"subset": np.zeros((2, 2), dtype=int)},
    "a word as subset": {"subset": "a"},
    "a list as subset": {"subset": [0, 1]},
    "margins of one output": {"margins": np.zeros((N, 1))},
    "a word as margins": {"margins": "a"},
    "a list as intercepts": {"intercept": [0.0, 0.0]},
}


@pytest.mark.parametrize("bad", BAD_PASS)
def test_a_bad_pass_is_refused(bad):
    problem = DataTerm(raw(), targets(N, 2), None, SquaredError().compiled(2), 2)
    good = {"coef": np.zeros((2, D)), "intercept": np.zeros(2)}
    with pytest.raises(refused):
        value_and_gradient(problem, **(good | BAD_PASS[bad]))
