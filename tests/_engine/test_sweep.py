"""Update steps against a loop in NumPy, for every layout of X, and what must be refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from layouts import LAYOUTS, D, N, every_layout, raw, targets, weights

from skgd import GDClassifier
from skgd._engine import DataTerm, Sweep, cache_aligned, rows_of, shuffle, value_and_gradient
from skgd._objective.metric import diagonal_metric, identity_metric
from skgd._problem import Moments
from skgd.losses import LogLoss, Loss, SquaredError
from skgd.optimizers import SGD, Adagrad, Adam, Optimizer
from skgd.penalties import L1, L2, ElasticNet, Penalty
from skgd.penalties.separable import BoxRule

# ---- a user's own loss --------------------------------------------------------------------------

class Squares(Loss):
    def value(self, y, z):
        return (z - y) ** 2 / 2

    def gradient(self, y, z):
        return z - y


class BreaksLater(Squares):
    left = 0

    def gradient(self, y, z):
        self.left -= 1
        if self.left < 0:
            raise ArithmeticError("mine")
        return z - y


# ---- a sweep ------------------------------------------------------------------------------------

def metric_of(kind, X, k, fit_intercept):
    if kind == "identity":
        return identity_metric(X.shape[1], k, fit_intercept)
    moments = Moments.of(rows_of(X), None)
    curvature, unit = np.linspace(1, 2, k), np.linspace(0.5, 1.5, k)
    return diagonal_metric(moments, curvature, np.full((k, X.shape[1]), 0.1), unit, fit_intercept)


class Reference:
    """Update steps of SGD with momentum on the squared error, written out in NumPy."""

    def __init__(self, X, y, s, u, metric, alpha, l1_ratio=0.0, momentum=0.0, scale=None):
        self.X, self.y, self.s = X, y, np.ones(len(X)) if s is None else s
        self.u, self.average, self.buffer = u.copy(), np.zeros(u.shape), np.zeros(u.shape)
        self.metric, self.alpha, self.l1_ratio, self.momentum = metric, alpha, l1_ratio, momentum
        self.scale = len(X) / self.s.sum() if scale is None else scale
        self.fit_intercept, self.steps = u.shape[1] > X.shape[1], 0

    def step(self, rows, rate):
        d, unit, inverse = self.X.shape[1], self.metric.unit[:, None], self.metric.inverse
        mean = self.metric.mean
        coef = self.u[:, :d] * inverse[:, :d]
        intercept = -coef @ mean
        if self.fit_intercept:
            intercept = intercept + self.u[:, d] * inverse[:, d]
        slopes = self.s[rows, None] * (self.X[rows] @ coef.T + intercept - self.y[rows])
        slopes = slopes * self.scale / len(rows)
        g = slopes.T @ (self.X[rows] - mean) + (self.alpha * (1 - self.l1_ratio))[:, None] * coef
        if self.fit_intercept:
            g = np.column_stack([g, slopes.sum(axis=0)])
        self.buffer = self.momentum * self.buffer + g * inverse * unit
        self.u -= rate * self.buffer
        coef = self.u[:, :d] * inverse[:, :d]
        step = rate / (1 - self.momentum) * inverse[:, :d] ** 2 * unit
        cut = self.alpha[:, None] * self.l1_ratio * step
        self.u[:, :d] = np.sign(coef) * np.maximum(np.abs(coef) - cut, 0) / inverse[:, :d]
        self.steps += 1
        self.average += (self.u - self.average) / self.steps


def sweep_and_reference(X, seen, k, metric_kind, fit_intercept, l1_ratio, momentum, s):
    metric = metric_of(metric_kind, X, k, fit_intercept)
    y, alpha = targets(len(X), k), np.linspace(0.1, 0.3, k)
    u = np.random.default_rng(5).normal(size=(k, D + fit_intercept))
    reference = Reference(X, y, s, u, metric, alpha, l1_ratio, momentum)
    optimizer = SGD(momentum=momentum)
    state, average = np.zeros((k, optimizer.slots, u.shape[1])), np.zeros(u.shape)
    sweep = Sweep(
        DataTerm(seen, y, s, SquaredError().compiled(k), k),
        ElasticNet(l1_ratio).compiled(), [optimizer.compiled() for _ in range(k)],
        u, state, alpha, metric, reference.scale, average,
    )  # fmt: skip
    return sweep, reference, u, average


def run_both(sweep, reference, order, bounds):
    rates = np.linspace(0.002, 0.001, len(bounds) - 1)
    for b, rate in enumerate(rates):
        reference.step(order[bounds[b] : bounds[b + 1]], rate)
    sweep.run(order, bounds, rates, 0, 0)


@pytest.mark.parametrize("metric", ["identity", "diagonal"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("l1_ratio", "momentum"), [(0.0, 0.0), (1.0, 0.0), (0.3, 0.5)])
@pytest.mark.parametrize("batch", [1, 3, 64, 65, 200])
def test_a_sweep_takes_the_steps_of_a_numpy_loop(metric, fit_intercept, l1_ratio, momentum, batch):
    X, s = raw(), weights(N)
    sweep, reference, u, average = sweep_and_reference(
        X, X, 2, metric, fit_intercept, l1_ratio, momentum, s
    )
    order = np.random.default_rng(6).permutation(N)
    bounds = np.append(np.arange(0, N, batch), N)
    run_both(sweep, reference, order, bounds)
    np.testing.assert_allclose(u, reference.u, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(average, reference.average, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(u == 0, reference.u == 0)


@every_layout
@pytest.mark.parametrize("metric", ["identity", "diagonal"])
@pytest.mark.parametrize("k", [1, 5])
def test_a_sweep_reads_every_layout(layout, metric, k, tmp_path):
    X = raw()
    seen = LAYOUTS[layout](X, tmp_path)
    sweep, reference, u, _ = sweep_and_reference(X, seen, k, metric, True, 0.2, 0.0, None)
    order = np.random.default_rng(6).permutation(N)
    run_both(sweep, reference, order, np.array([0, 1, 2, 3, 10, 80, 200]))
    np.testing.assert_allclose(u, reference.u, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 3, 7)])
def test_arrays_are_laid_out_on_cache_lines(shape):
    array = np.arange(float(np.prod(shape)))
    for first in range(9):
        room = np.empty(array.size + 8)[first:][:array.size].reshape(shape)
        room[...] = array.reshape(shape)
        laid = cache_aligned(room)
        assert laid.ctypes.data % 64 == 0 and laid.flags.c_contiguous
        assert cache_aligned(laid) is laid
        np.testing.assert_array_equal(laid, room)


def test_l1_sets_coefficients_to_exactly_zero_in_a_metric():
    X = raw()
    sweep, reference, u, _ = sweep_and_reference(X, X, 2, "diagonal", True, 1.0, 0.0, None)
    bounds, order = np.arange(0, 20 * N + 1, N), np.tile(np.arange(N), 20)
    sweep.run(order, bounds, np.full(20, 0.9), 0)
    zeros = (u[:, :D] == 0).sum()
    for _ in range(20):
        reference.step(np.arange(N), 0.9)
    assert 0 < zeros < 2 * D and zeros == (reference.u[:, :D] == 0).sum()


@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.5), Adagrad(), Adam()], ids=repr)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_a_coordinate_without_curvature_stays_where_it_is(optimizer, l1_ratio):
    X = raw()
    X[:, 2] = 5.0
    moments = Moments.of(rows_of(X), None)
    metric = diagonal_metric(moments, np.ones(1), np.zeros((1, D)), np.ones(1), True)
    assert np.flatnonzero(metric.inverse[0] == 0).tolist() == [2]
    u = np.full((1, D + 1), 0.5)
    Sweep(
        DataTerm(X, targets(N, 1), None, SquaredError().compiled(), 1),
        ElasticNet(l1_ratio).compiled(), [optimizer.compiled()], u,
        np.zeros((1, optimizer.slots, D + 1)), np.full(1, 0.1), metric, 1.0,
    ).run(np.arange(N), np.arange(0, N + 1, 10), np.full(20, 0.1), 0)  # fmt: skip
    assert np.all(np.isfinite(u)) and (u == 0.5).sum() == 1 and u[0, 2] == 0.5


def test_rows_may_come_in_part_and_more_than_once():
    X = raw()
    sweep, reference, u, _ = sweep_and_reference(X, X, 1, "diagonal", True, 0.0, 0.9, None)
    order = np.random.default_rng(6).integers(0, N, 50)
    run_both(sweep, reference, order, np.array([5, 6, 30, 49]))
    np.testing.assert_allclose(u, reference.u, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("s", [None, weights(N)], ids=["unweighted", "weighted"])
def test_class_codes_take_the_steps_of_signs(s):
    codes, u = np.random.default_rng(7).integers(0, 3, N).astype(float), np.zeros((2, 3, D + 1))
    order = np.random.default_rng(6).integers(0, N, 300)
    for y, w in zip((codes, np.where(codes[:, None] == np.arange(3), 1.0, -1.0)), u, strict=True):
        sweep = Sweep(
            DataTerm(raw(), y, s, LogLoss().compiled(3), 3), L2().compiled(),
            3 * [Adam().compiled()], w, np.zeros((3, 2, D + 1)), np.full(3, 0.1),
            metric_of("diagonal", raw(), 3, True), 1.0,
        )  # fmt: skip
        sweep.run(order, np.array([5, 6, 30, 290]), np.full(3, 0.01), 0)
    assert np.all(u)
    np.testing.assert_array_equal(u[0], u[1])


def test_two_sweeps_go_on_where_one_would():
    X, order = raw(), np.random.default_rng(6).permutation(N)
    bounds, rates = np.arange(0, N + 1, 20), np.full(10, 0.01)
    paths = []
    for cuts in ([0, 10], [0, 3, 4, 10]):
        u, average, state = np.zeros((2, D + 1)), np.zeros((2, D + 1)), np.zeros((2, 2, D + 1))
        sweep = Sweep(
            DataTerm(X, targets(N, 2), None, SquaredError().compiled(2), 2), L2().compiled(),
            [Adam().compiled(), Adam().compiled()], u, state, np.full(2, 0.1),
            metric_of("diagonal", X, 2, True), 1.0, average,
        )  # fmt: skip
        for a, b in zip(cuts[:-1], cuts[1:], strict=True):
            sweep.run(order, bounds[a : b + 1], rates[a:b], a, a)
        paths.append((u, average, state))
    for one, two in zip(*paths, strict=True):
        assert np.any(one)
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("metric", ["identity", "diagonal"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
def test_a_step_along_the_full_gradient_is_a_batch_of_all_rows(metric, l1_ratio):
    X, s = raw(), weights(N)
    by_batch, reference, u, average = sweep_and_reference(X, X, 2, metric, True, l1_ratio, 0.0, s)
    by_pass, _, v, v_average = sweep_and_reference(X, X, 2, metric, True, l1_ratio, 0.0, s)
    problem = DataTerm(X, targets(N, 2), s, SquaredError().compiled(2), 2)
    by_batch.run(np.arange(N), np.array([0, N]), np.array([0.01]), 0, 0)
    d = reference.metric
    coef, intercept = d.to_raw(reference.u)
    _, coef_gradient, intercept_gradient = value_and_gradient(problem, coef, intercept)
    by_pass.step_along(coef_gradient, intercept_gradient, 0.01, 0, 0)
    np.testing.assert_allclose(v, u, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(v_average, v)
    np.testing.assert_array_equal(average, u)


def test_each_output_has_its_own_rule_and_alpha():
    X, y = raw(), targets(N, 2)
    rules = [SGD(), Adagrad()]
    together, state = np.zeros((2, D)), np.zeros((2, 1, D))
    order, bounds, rates = np.arange(N), np.arange(0, N + 1, 10), np.full(20, 0.02)
    alpha, metric = np.array([0.5, 0.0]), identity_metric(D, 2, False)
    Sweep(
        DataTerm(X, y, None, SquaredError().compiled(2), 2), L2().compiled(),
        [rule.compiled() for rule in rules], together, state, alpha, metric, 1.0,
    ).run(order, bounds, rates, 0)  # fmt: skip
    for c, rule in enumerate(rules):
        alone, state = np.zeros((1, D)), np.zeros((1, 1, D))
        column = np.ascontiguousarray(y[:, c : c + 1])
        Sweep(
            DataTerm(X, column, None, SquaredError().compiled(), 1), L2().compiled(),
            [rule.compiled()], alone, state, alpha[c : c + 1], identity_metric(D, 1, False), 1.0,
        ).run(order, bounds, rates, 0)  # fmt: skip
        np.testing.assert_array_equal(together[c], alone[0])


class Plain(Optimizer):
    def update(self, w, g, state, rate, t):
        w -= rate * g


class FailsAt(Optimizer):
    def update(self, w, g, state, rate, t):
        if t == 7:
            raise ArithmeticError("mine")


class Threshold(Penalty):
    def value(self, coef):
        return np.abs(coef).sum()

    def prox(self, coef, step):
        return np.sign(coef) * np.maximum(np.abs(coef) - step, 0)


def small_sweep(optimizer, penalty, loss, u, k=2, X=None, n_threads=1):
    state = np.zeros((k, optimizer.slots, u.shape[1]))
    X = raw() if X is None else X
    return Sweep(
        DataTerm(X, targets(N, k), None, loss.compiled(k), k), penalty.compiled(),
        [optimizer.compiled() for _ in range(k)], u, state, np.full(k, 0.1),
        metric_of("diagonal", X, k, u.shape[1] > D), 1.0, n_threads=n_threads,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("user", "ours"),
    [
        ((Plain(), L1(), SquaredError()), (SGD(), L1(), SquaredError())),
        ((SGD(), Threshold(), SquaredError()), (SGD(), L1(), SquaredError())),
        ((SGD(), L1(), Squares()), (SGD(), L1(), SquaredError())),
        ((Plain(), Threshold(), Squares()), (SGD(), L1(), SquaredError())),
    ],
)
def test_a_users_own_piece_takes_the_same_steps(user, ours):
    u, v = np.zeros((2, D + 1)), np.zeros((2, D + 1))
    for pieces, parameters in ((user, u), (ours, v)):
        small_sweep(*pieces, parameters).run(
            np.arange(N), np.arange(0, N + 1, 10), np.full(20, 0.1), 0
        )
    assert np.any(v)
    np.testing.assert_allclose(u, v, rtol=1e-13, atol=1e-14)


def test_the_error_of_a_python_rule_stops_the_sweep():
    sweep = small_sweep(FailsAt(), L2(), SquaredError(), np.zeros((2, D)))
    with pytest.raises(ArithmeticError, match="mine"):
        sweep.run(np.arange(N), np.arange(0, N + 1, 10), np.full(20, 0.1), 0)
    sweep.run(np.arange(N), np.arange(0, N + 1, 40), np.full(5, 0.1), 0)


@pytest.mark.parametrize("layout", ["C", "F", "C float32"])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("n_threads", [2, 3, 50])
def test_threads_that_share_batches_give_the_same_bits(layout, k, n_threads, monkeypatch, tmp_path):
    monkeypatch.setattr("skgd._engine.batches.MIN_THREADED_WORK", 0)
    X = LAYOUTS[layout](raw(), tmp_path)
    order = np.tile(np.random.default_rng(6).permutation(N), 20)
    bounds = np.unique(np.append(np.arange(0, 20 * N, 70), [1, 40, 71, 20 * N]))
    alone, together = np.zeros((k, D + 1)), np.zeros((k, D + 1))
    for u, threads in ((alone, 1), (together, n_threads)):
        sweep = small_sweep(Adam(), L2(), SquaredError(), u, k, X, n_threads=threads)
        for t in range(3):
            sweep.run(order, bounds, np.full(len(bounds) - 1, 0.01), t)
    assert np.any(alone)
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("d", [20, 50, 80])
def test_the_last_batch_of_a_thread_has_no_rows_to_come(d):
    X, y = np.random.default_rng(0).normal(size=(6000, d)), np.arange(6000) % 5
    model = GDClassifier(optimizer="adam", batch_size=256, max_iter=2, tol=None, random_state=0)
    alone = model.fit(X, y).coef_
    np.testing.assert_array_equal(model.set_params(n_jobs=2).fit(X, y).coef_, alone)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_error_of_a_python_loss_stops_the_sweep(n_threads, monkeypatch):
    monkeypatch.setattr("skgd._engine.batches.MIN_THREADED_WORK", 0)
    broken = BreaksLater()
    sweep = small_sweep(SGD(), L2(), broken, np.zeros((2, D + 1)), n_threads=n_threads)
    # Each of the threads in turn is the one that meets it.
    for calls in range(6):
        broken.left = calls
        with pytest.raises(ArithmeticError, match="mine"):
            sweep.run(np.arange(N), np.array([0, 100, N]), np.full(2, 0.1), 0)
    broken.left = 1000
    sweep.run(np.arange(N), np.array([0, 100, N]), np.full(2, 0.1), 0)


def test_positive_keeps_every_coefficient_above_zero():
    X, u = raw(), np.full((1, D + 1), -1.0)
    Sweep(
        DataTerm(X, targets(N, 1), None, SquaredError().compiled(), 1),
        BoxRule(0.0, None, L2().compiled()), [SGD().compiled()], u, np.zeros((1, 0, D + 1)),
        np.full(1, 0.1), metric_of("diagonal", X, 1, True), 1.0,
    ).run(np.arange(N), np.arange(0, N + 1, 10), np.full(20, 0.05), 0)  # fmt: skip
    assert u[:, :D].min() == 0 and u[:, :D].max() > 0


# ---- what must be refused -----------------------------------------------------------------------

refused = (ValueError, TypeError)


def good_sweep():
    return {
        "problem": DataTerm(raw(), targets(N, 2), None, SquaredError().compiled(2), 2),
        "penalty": L1().compiled(), "rules": [Adam().compiled(), Adam().compiled()],
        "parameters": np.zeros((2, D + 1)), "state": np.zeros((2, 2, D + 1)),
        "alpha": np.zeros(2), "metric": identity_metric(D, 2, True), "weight_scale": 1.0,
        "average": np.zeros((2, D + 1)),
    }  # fmt: skip


def with_metric(**changes):
    good = {
        "mean": np.zeros(D), "inverse": np.ones((2, D + 1)), "unit": np.ones(2), "identity": True
    }  # fmt: skip
    return {"metric": SimpleNamespace(**(good | changes))}


# Views of a larger array: what would be written beyond them does no harm to this process.
GROUND = np.zeros((40, D + 1))

BAD_SWEEP = {
    "parameters of one axis": {"parameters": np.zeros(D + 1)},
    "too few parameters": {"parameters": np.zeros((2, D - 1))},
    "too many parameters": {"parameters": np.zeros((2, D + 2))},
    "parameters of one output": {"parameters": np.zeros((1, D + 1))},
    "parameters in F order": {"parameters": np.zeros((D + 1, 2)).T},
    "float32 parameters": {"parameters": np.zeros((2, D + 1), np.float32)},
    "read-only parameters": {"parameters": np.broadcast_to(np.zeros(1), (2, D + 1))},
    "a state of one axis": {"state": np.zeros(2 * (D + 1))},
    "a state of one slot": {"state": GROUND[:2].reshape(2, 1, D + 1)},
    "a state without slots": {"state": GROUND[:0].reshape(2, 0, D + 1)},
    "a state without intercept": {"state": np.zeros((2, 2, D))},
    "a state of one output": {"state": np.zeros((1, 2, D + 1))},
    "one alpha": {"alpha": np.zeros(1)},
    "one rule": {"rules": [Adam().compiled()]},
    "a rule that is an optimizer": {"rules": [Adam(), Adam()]},
    "a penalty that is no rule": {"penalty": L1()},
    "a penalty of other features": {"penalty": L1(weights=np.ones(D + 1)).compiled()},
    "no problem": {"problem": None},
    "an average of another shape": {"average": np.zeros((2, D))},
    "a mean with intercept": with_metric(mean=np.zeros(D + 1)),
    "a short mean": with_metric(mean=np.zeros(D - 1)),
    "an inverse without intercept": with_metric(inverse=np.ones((2, D))),
    "an inverse of one output": with_metric(inverse=np.ones((1, D + 1))),
    "one unit": with_metric(unit=np.ones(1)),
}


@pytest.mark.parametrize("bad", BAD_SWEEP)
def test_a_bad_sweep_is_refused(bad):
    with pytest.raises(refused):
        Sweep(**(good_sweep() | BAD_SWEEP[bad]))


BAD_RUN = {
    "an order too far": {"order": np.full(N, N)},
    "a negative order": {"order": np.full(N, -1)},
    "an order of floats": {"order": np.zeros(N)},
    "an order of int32": {"order": np.zeros(N, np.int32)},
    "an empty order": {"order": np.zeros(0, dtype=int)},
    "a strided order": {"order": np.zeros(2 * N, dtype=int)[::2]},
    "bounds beyond the order": {"bounds": np.array([0, 10, N + 1])},
    "negative bounds": {"bounds": np.array([-1, 10, 20])},
    "bounds that fall": {"bounds": np.array([0, 10, 5])},
    "an empty batch": {"bounds": np.array([0, 10, 10])},
    "a single bound": {"bounds": np.array([0]), "rates": np.zeros(0)},
    "no bounds": {"bounds": np.zeros(0, dtype=int), "rates": np.zeros(0)},
    "bounds of floats": {"bounds": np.array([0.0, 10, 20])},
    "rates of one batch": {"rates": np.zeros(1)},
    "rates of two axes": {"rates": np.zeros((2, 2))},
    "float32 rates": {"rates": np.zeros(2, np.float32)},
}


@pytest.mark.parametrize("bad", BAD_RUN)
def test_a_bad_run_is_refused(bad):
    good = {
        "order": np.arange(N), "bounds": np.array([0, 10, 20]), "rates": np.zeros(2), "t": 0
    }  # fmt: skip
    sweep = Sweep(**good_sweep())
    sweep.run(**good)
    with pytest.raises(refused):
        sweep.run(**(good | BAD_RUN[bad]))


@pytest.mark.parametrize(
    "bad", [np.zeros(3), np.zeros(3, np.int32), np.zeros((2, 2), int), np.zeros(6, int)[::2]]
)
def test_a_bad_order_is_not_shuffled(bad):
    with pytest.raises(refused):
        shuffle(bad, 0)


def test_a_read_only_order_is_not_shuffled():
    order = np.arange(20)
    order.flags.writeable = False
    with pytest.raises(refused):
        shuffle(order, 0)
    np.testing.assert_array_equal(order, np.arange(20))


def test_averaging_without_an_array_for_the_average_is_refused():
    sweep = Sweep(**(good_sweep() | {"average": None}))
    with pytest.raises(refused, match="average"):
        sweep.run(np.arange(N), np.array([0, N]), np.zeros(1), 0, 0)
    with pytest.raises(refused, match="average"):
        sweep.step_along(np.zeros((2, D)), np.zeros(2), 0.1, 0, 0)


@pytest.mark.parametrize(
    "bad",
    [
        (np.zeros((2, D + 1)), np.zeros(2), 0.1),
        (np.zeros((1, D)), np.zeros(2), 0.1),
        (np.zeros((2, D)), np.zeros(1), 0.1),
        (np.zeros((2, D)), np.zeros(2), np.zeros(2)),
        (np.zeros((D, 2)).T, np.zeros(2), 0.1),
    ],
)
def test_a_bad_step_along_a_gradient_is_refused(bad):
    with pytest.raises(refused):
        Sweep(**good_sweep()).step_along(*bad, 0)
