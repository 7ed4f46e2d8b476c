"""What every public loss, penalty, optimizer and schedule does, found by enumeration.

A new piece needs no new line here. The pieces `Mine...` of pieces.py are written as a user would
and go through the same checks, which shows that the base classes are all that the checks rely on.
"""

import inspect
import pickle
import re
from functools import cache

import numpy as np
import pytest
from pieces import (
    COMBINED,
    LOSSES,
    RULES,
    SOLVERS,
    MineCap,
    MineMomentum,
    MineQuartic,
    MineSaw,
    data,
    estimator_with,
    every_loss,
    every_optimizer,
    every_penalty,
    every_piece,
    every_rule,
    every_schedule,
    every_solver,
    score_of_a_constant,
    targets_for,
)
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from skgd import GDClassifier, GDRegressor
from skgd.penalties import L1
from skgd.penalties.separable import BoxRule
from skgd.schedules import checked_rates

# ---- the object ---------------------------------------------------------------------------------

@every_piece
def test_clone_pickle_and_parameters_go_round(piece):
    for copy in (clone(piece), pickle.loads(pickle.dumps(piece))):
        assert type(copy) is type(piece) and copy is not piece
        assert repr(copy) == repr(piece) == f"{type(piece).__name__}()"
        assert copy.get_params() == piece.get_params()
    again = type(piece)()
    assert again.set_params(**piece.get_params()) is again
    assert again.get_params() == piece.get_params()
    with pytest.raises(ValueError, match="Invalid parameter"):
        piece.set_params(no_such_parameter=1)


@every_piece
def test_each_parameter_is_kept_as_it_was_passed_and_documented(piece):
    kind = type(piece)
    documented = re.findall(r"^(\w[\w, ]*) : ", inspect.getdoc(kind), flags=re.MULTILINE)
    documented = ", ".join(documented).split(", ")
    for name, parameter in inspect.signature(kind).parameters.items():
        value = object()
        assert getattr(kind(**{name: value}), name) is value
        assert getattr(piece, name) is parameter.default
        assert name in documented
    if kind.__module__.startswith("skgd"):
        assert "Examples\n" in kind.__doc__


# ---- in an estimator ----------------------------------------------------------------------------

@every_piece
def test_a_fit_learns_and_changes_nothing_of_the_piece(piece):
    before = repr(sorted(vars(piece).items()))
    estimator = estimator_with(piece, tol=None)
    X, y = data()[0], targets_for(estimator)
    model = estimator.fit(X, y)
    assert repr(sorted(vars(piece).items())) == before
    assert np.isfinite(model.history_["objective"]).all()
    assert model.score(X, y) > score_of_a_constant(model)
    again = clone(estimator).fit(X, y)
    np.testing.assert_array_equal(again.coef_, model.coef_)


@every_piece
def test_partial_fit_learns_where_the_piece_takes_streams(piece):
    estimator = estimator_with(piece)
    takes_streams = getattr(piece, "takes_streams", True)
    assert hasattr(estimator, "partial_fit") == takes_streams
    if not takes_streams:
        with pytest.raises(AttributeError):
            estimator.partial_fit(*data())
        return
    before = repr(sorted(vars(piece).items()))
    X, y = data()[0], targets_for(estimator)
    classes = {"classes": [False, True]} if isinstance(estimator, GDClassifier) else {}
    for _ in range(20):
        estimator.partial_fit(X, y, **classes)
    assert repr(sorted(vars(piece).items())) == before
    # Streams take single rows, and rules that are told their batch or rate what they are told.
    rows = {4: 15, "auto": len(X)}[estimator.batch_size]
    assert estimator.t_ == 20 * rows
    assert estimator.score(X, y) > score_of_a_constant(estimator)


# scikit-learn's checks that take a few milliseconds and look at what a piece may spoil.
FAST = {
    "check_dict_unchanged", "check_estimators_unfitted", "check_estimators_overwrite_params",
    "check_fit2d_1feature", "check_n_features_in", "check_set_params", "check_estimators_pickle",
}  # fmt: skip


@every_piece
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learns_fast_checks_find_nothing(piece):
    estimator, done = estimator_with(piece, max_iter=5), set()
    for checked, check in estimator_checks_generator(estimator):
        name = getattr(check, "func", check).__name__
        if name in FAST:
            check(checked)
            done.add(name)
    assert done == FAST


# ---- losses -------------------------------------------------------------------------------------

@every_loss
def test_a_loss_has_the_slope_and_the_bend_that_it_says(loss):
    generator = np.random.default_rng(1)
    y, z, other = loss.sample_targets(300), *generator.normal(0, 2, (2, 300))
    assert np.all(loss.in_domain(y))
    # The error of a central difference: width^2 times the third derivative, and rounding / width.
    slope = (loss.value(y, z + 1e-5) - loss.value(y, z - 1e-5)) / 2e-5
    np.testing.assert_allclose(loss.gradient(y, z), slope, rtol=1e-7, atol=1e-8)
    change = loss.gradient(y, z) - loss.gradient(y, other)
    if loss.smoothness is not None:
        assert np.all(np.abs(change) <= loss.smoothness * np.abs(z - other) * (1 + 1e-12))
    if loss.convex:
        # The slope never falls, and the loss lies above each of its tangents.
        assert np.all(change * (z - other) >= 0)
        tangent = loss.value(y, other) + loss.gradient(y, other) * (z - other)
        assert np.all(loss.value(y, z) >= tangent - 1e-13 * (1 + np.abs(tangent)))


@every_loss
def test_the_loss_is_smooth_where_it_says_so(loss):
    z = np.linspace(-5, 5, 100_001)
    jumps = np.abs(np.diff(loss.gradient(np.ones(z.shape), z)))
    assert loss.smooth == bool(jumps.max() < 0.05)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_beats_the_best_constant_and_balances_its_slopes(loss):
    estimator = estimator_with(loss, alpha=1e-2, tol=1e-8, max_iter=1000)
    X, y = data()[0], targets_for(estimator)
    model = estimator.fit(X, y)
    y = np.where(y, 1.0, -1.0) if y.dtype == bool else y
    margins = X @ np.ravel(model.coef_) + model.intercept_
    if loss.homogeneous:
        # Zero margins have the least loss of all and say nothing.
        assert np.any(model.coef_) and np.mean(margins * y > 0) > 0.8
        return
    constant = loss.best_constant(y[:, None], np.ones(len(y)))
    assert loss.value(y, margins).mean() < loss.value(y, np.full(len(y), constant[0])).mean()
    if loss.smooth:
        slopes = loss.gradient(y, margins)
        assert abs(slopes.mean()) < 1e-6 * np.abs(slopes).max()


# ---- penalties ----------------------------------------------------------------------------------

def rest(penalty, w):
    return penalty.value(w) - penalty.smooth_value(w)


@every_penalty
def test_a_penalty_has_the_slope_and_the_bend_that_it_says(penalty):
    w = np.random.default_rng(0).normal(0, 1.5, 4)
    for j, e in enumerate(np.eye(4) * 1e-3):
        # A difference of a parabola has no error but rounding.
        slope = (penalty.smooth_value(w + e) - penalty.smooth_value(w - e)) / 2e-3
        assert penalty.gradient(w)[j] == pytest.approx(slope, rel=1e-11, abs=1e-12)
        curvature = (penalty.gradient(w + e) - penalty.gradient(w - e))[j] / 2e-3
        assert penalty.curvature(4)[j] == pytest.approx(curvature, rel=1e-11, abs=1e-12)


@every_penalty
def test_the_prox_is_where_the_rest_of_the_penalty_balances_the_step(penalty):
    """``v = prox(w)`` where ``rest(u) >= rest(v) + (w - v)/step . (u - v)`` for every u."""
    generator, rule = np.random.default_rng(0), penalty.compiled()
    for steps in (0.3, np.array([0.05, 0.2, 1.0, 0.3]), np.array([1e-4, 10.0, 0.01, 3.0])):
        for w in (0.5 * generator.normal(size=4), 5.0 * generator.normal(size=4)):
            v = penalty.prox(w, steps)
            assert np.isfinite(penalty.value(v))
            moves = generator.normal(size=(60, 4)) * (generator.random((60, 4)) < 0.5)
            points = v + moves * np.repeat([10.0, 1.0, 1e-2], 20)[:, None]
            rule.apply_projection(points)
            for u in points:
                rounding = 1e-15 * ((np.abs(w) + np.abs(v)) / steps) @ np.abs(u - v) + 1e-13
                assert rest(penalty, u) - rest(penalty, v) >= (w - v) / steps @ (u - v) - rounding
    np.testing.assert_array_equal(penalty.prox(v, 0.0), v)


# ---- optimizers and penalties -------------------------------------------------------------------

ALPHA = 0.2
X, Y = StandardScaler().fit_transform(data()[0]), data()[1] - data()[1].mean()
HESSIAN, PULL = X.T @ X / len(Y), X.T @ Y / len(Y)
# Every penalty with free and with positive coefficients.
CASES = [(penalty, positive) for penalty in COMBINED for positive in (False, True)]
every_case = pytest.mark.parametrize(("penalty", "positive"), CASES, ids=repr)


def prox_of(penalty, positive):
    """Return the proximal operator of a penalty, on arrays that it changes."""
    rule = penalty.compiled()
    rule = BoxRule(0.0, None, rule) if positive else rule
    return lambda w, steps: rule.apply_prox(w[None], np.broadcast_to(steps, w.shape)[None].copy())


def slope_at(penalty, w):
    """Return the gradient of the smooth part; as in a fit, one that is rounding is zero."""
    g = HESSIAN @ w - PULL + ALPHA * penalty.gradient(w)
    return np.where(np.abs(g) < 1e-13, 0.0, g)


@cache
def minimiser(case):
    """Return where the squared error and the penalty of a case are least, by proximal descent."""
    penalty, positive = CASES[case]
    w, prox = np.zeros(4), prox_of(penalty, positive)
    step = 1.0 / (np.linalg.norm(HESSIAN, 2) + 3 * ALPHA)
    for _ in range(3000):
        before = w.copy()
        w -= step * slope_at(penalty, w)
        prox(w, step * ALPHA)
        if np.array_equal(w, before):
            break
    return w


def is_proximal(penalty, positive):
    return positive or penalty.compiled().is_proximal


def refusal(optimizer, penalty, positive):
    """Return what an optimizer says against a penalty, or None."""
    model = GDRegressor(optimizer=optimizer, penalty=penalty, positive=positive, max_iter=1)
    try:
        model.set_params(tol=None).fit(X, Y)
    except ValueError as error:
        return str(error)


@cache
def is_for_smooth_penalties(optimizer):
    return refusal(optimizer, L1(), False) is not None


def cases_of(optimizer):
    """Return the numbers of the cases that an optimizer takes."""
    return [
        i for i, case in enumerate(CASES)
        if not (is_proximal(*case) and is_for_smooth_penalties(optimizer))
    ]  # fmt: skip


def test_most_optimizers_take_every_penalty_and_the_others_say_what_they_take():
    smooth = [optimizer for optimizer in RULES + SOLVERS if is_for_smooth_penalties(optimizer)]
    assert len(smooth) <= 2
    for optimizer in smooth:
        for case in CASES:
            said = refusal(optimizer, *case)
            assert ("needs a smooth penalty" in said) if is_proximal(*case) else said is None


@every_rule
def test_the_minimiser_is_the_fixed_point_of_every_rule_with_every_penalty(rule):
    """In the steady state: the rule's memory is that of many gradients at the minimiser."""
    taken = cases_of(rule)
    if hasattr(rule, "weight_decay"):
        rule = clone(rule).set_params(weight_decay=0.0)  # what it decays is not of the objective
    parts = [slice(4 * i, 4 * i + 4) for i in range(len(taken))]
    best = np.concatenate([minimiser(i) for i in taken])
    compiled, proxes = rule.compiled(), [prox_of(*CASES[i]) for i in taken]
    w, g, state = best.copy(), np.empty(best.size), np.zeros((rule.slots, best.size))
    compiled.bind(w, g, state)
    remembered = 3500  # Lion's memory is the longest: 0.99^3500 is 5e-16
    for t in range(remembered + 20):
        for i, part in zip(taken, parts, strict=True):
            if t == 0 or t > remembered:
                g[part] = slope_at(CASES[i][0], w[part])
        step = compiled.apply(w, g, state, 1e-3, t)
        if t < remembered:
            w[:] = best
            continue
        for prox, part in zip(proxes, parts, strict=True):
            prox(w[part], ALPHA * step[part])
    np.testing.assert_allclose(w, best, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(w == 0, best == 0)


@every_rule
def test_a_fit_takes_the_steps_that_its_pieces_say(rule):
    """The gradient of a batch, the rule's update and the prox of its step, in turn."""
    generator = np.random.default_rng(5)
    weights, start = generator.integers(0, 4, 60).astype(float), generator.normal(0, 0.1, 5)
    length = 10 if rule.takes_batches else 60
    # The first epoch of reduced variance is plain gradient descent where it begins at zero.
    start, epochs = (start, 2) if rule.snapshots is None else (np.zeros(5), 1)
    for i in cases_of(rule):
        penalty, positive = CASES[i]
        w, g, state = start.copy(), np.empty(5), np.zeros((rule.slots, 5))
        prox, compiled = prox_of(penalty, positive), rule.compiled()
        prox(w[:4], 0.0)
        if rule.snapshots is not None and w.any():
            continue
        model = GDRegressor(
            penalty=penalty, alpha=ALPHA, positive=positive, optimizer=rule, learning_rate=0.01,
            batch_size=length if length < 60 else "full", shuffle=False, precondition=None,
            max_iter=epochs, tol=None, init=(start[:4], start[4]),
            on_divergence="raise",
        ).fit(X, Y, sample_weight=weights)  # fmt: skip
        compiled.unpenalised = 1
        compiled.bind(w, g, state)
        for t in range(epochs * 60 // length):
            rows = np.arange(60)[length * t % 60:][:length]
            slopes = weights[rows] * (X[rows] @ w[:4] + w[4] - Y[rows])
            g[:] = np.append(slopes @ X[rows], slopes.sum()) * (60 / length / weights.sum())
            g[:4] += ALPHA * penalty.gradient(w[:4])
            step = compiled.apply(w, g, state, 0.01, t)
            prox(w[:4], ALPHA * step[:4])
        case = f"{penalty!r}, positive={positive}"
        np.testing.assert_allclose(
            np.append(model.coef_, model.intercept_), w, rtol=1e-9, atol=1e-12, err_msg=case
        )
        np.testing.assert_array_equal(model.coef_ == 0, w[:4] == 0, err_msg=case)


@every_solver
def test_a_solver_finds_the_minimiser_of_every_penalty(solver):
    for i in cases_of(solver):
        (penalty, positive), best = CASES[i], minimiser(i)
        model = GDRegressor(
            penalty=penalty, alpha=ALPHA, positive=positive, optimizer=solver, tol=1e-12
        ).fit(X, Y)
        case = f"{penalty!r}, positive={positive}"
        np.testing.assert_allclose(model.coef_, best, rtol=0, atol=1e-7, err_msg=case)
        np.testing.assert_array_equal(model.coef_ == 0, best == 0, err_msg=case)


@every_case
def test_the_solver_that_is_chosen_finds_the_minimiser_too(penalty, positive):
    model = GDRegressor(penalty=penalty, alpha=ALPHA, positive=positive, tol=1e-12).fit(X, Y)
    best = minimiser(CASES.index((penalty, positive)))
    np.testing.assert_allclose(model.coef_, best, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(model.coef_ == 0, best == 0)


@every_optimizer
def test_an_optimizer_says_which_rows_it_takes(optimizer):
    assert optimizer.takes_batches or not optimizer.takes_streams
    batches = GDRegressor(optimizer=optimizer, batch_size=16, max_iter=2, tol=None)
    if optimizer.takes_batches:
        assert batches.fit(*data()).t_ == 8
    else:
        with pytest.raises(ValueError, match="batch_size=16 .*pass batch_size='full'"):
            batches.fit(*data())


# ---- schedules ----------------------------------------------------------------------------------

@every_schedule
def test_a_schedule_gives_each_step_one_rate_whatever_the_others(schedule):
    own = schedule.bound(100, 10)
    assert own is not schedule and (own.total_steps, own.steps_per_epoch) == (100, 10)
    assert schedule.total_steps is None and schedule.steps_per_epoch is None
    assert vars(schedule) == vars(type(schedule)())
    rates = checked_rates(own, np.arange(100))
    assert rates.shape == (100,) and rates.dtype == np.float64 and rates[0] > 0
    np.testing.assert_array_equal([own.rates(np.array([t]))[0] for t in range(100)], rates)
    assert checked_rates(own, np.arange(0)).shape == (0,)


# ---- the checks themselves ----------------------------------------------------------------------

def test_pieces_that_break_their_contract_are_found():
    class SteepLoss(MineQuartic):
        def gradient(self, y, z):
            return 1.001 * (z - y) ** 3

    class ShortProx(MineCap):
        def prox(self, coef, step):
            return 0.999 * super().prox(coef, step)

    class PlainStep(MineMomentum):
        def update(self, w, g, state, rate, t):
            super().update(w, g, state, rate, t)
            return rate

    class Remembering(MineMomentum):
        def update(self, w, g, state, rate, t):
            self.last = t
            return super().update(w, g, state, rate, t)

    class Converting(MineSaw):
        def __init__(self, rate=0.05):
            self.rate = float(rate)

    for broken, check in [
        (SteepLoss(), test_a_loss_has_the_slope_and_the_bend_that_it_says),
        (ShortProx(), test_the_prox_is_where_the_rest_of_the_penalty_balances_the_step),
        (PlainStep(), test_the_minimiser_is_the_fixed_point_of_every_rule_with_every_penalty),
        (Remembering(), test_a_fit_learns_and_changes_nothing_of_the_piece),
        (Remembering(), test_partial_fit_learns_where_the_piece_takes_streams),
    ]:
        with pytest.raises(AssertionError):
            check(broken)
    with pytest.raises((TypeError, AssertionError)):
        test_each_parameter_is_kept_as_it_was_passed_and_documented(Converting())
