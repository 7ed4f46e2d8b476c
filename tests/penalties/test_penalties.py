"""What every penalty does."""

import numpy as np
import pytest
from penalty_cases import D, bounds, coefficients, every_penalty
from scipy import optimize

from skgd.penalties.separable import BoxRule


def rest(penalty, w):
    return penalty.value(w) - penalty.smooth_value(w)


STEPS = [0.4, np.array([0.01, 0.1, 0.5, 1.0, 2.0, 10.0]), np.array([0.0, 3.0, 0, 0.2, 0.2, 0.2])]


@every_penalty
@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("positive", [False, True])
def test_the_prox_is_the_best_of_many_points(penalty, steps, positive):
    low, high = bounds(penalty)
    if positive:
        if np.any(high < 0):
            return
        low = np.maximum(low, 0)
    generator = np.random.default_rng(1)
    step = np.broadcast_to(steps, D)
    for size in (0.3, 10.0):
        w, point = size * coefficients(), size * coefficients()[None]
        rule = penalty.compiled()
        if positive:
            rule = BoxRule(0.0, None, rule)
        rule.apply_prox(point, np.ascontiguousarray(step)[None])

        def total(v, w=w):
            moved = (v - w) ** 2
            near = np.divide(moved, 2 * step, out=np.where(moved == 0, 0, np.inf), where=step > 0)
            return near.sum() + rest(penalty, v)

        assert np.all(low <= point) and np.all(point <= high)
        best = total(point[0]) if np.all((step > 0) | (point[0] == w)) else None
        if best is None:
            # A step of zero leaves a coefficient where it is, but for its bounds.
            np.testing.assert_array_equal(point[0][step == 0], np.clip(w, low, high)[step == 0])
            continue
        for spread in 10.0 ** np.arange(-6, 2, 2):
            trials = point + spread * generator.normal(size=(12, D)) * (step > 0)
            trials[::3] *= generator.random((4, D)) < 0.5
            trials = np.where(step > 0, np.clip(trials, low, high), w)
            assert best <= min(map(total, trials)) + 1e-13 * (1 + abs(best))
        zero = np.where(step > 0, np.clip(0.0, low, high), w)
        assert best <= total(zero) + 1e-13 * (1 + abs(best))


@every_penalty
@pytest.mark.parametrize("steps", STEPS[:2], ids=str)
def test_the_prox_is_the_minimiser_that_scipy_finds_in_each_coordinate(penalty, steps):
    w, (low, high) = coefficients(), bounds(penalty)
    point, step = penalty.prox(w, steps), np.broadcast_to(steps, D)
    assert point.shape == (D,)
    for j in range(D):

        def total(v, j=j):
            trial = np.where(np.arange(D) == j, v, point)
            return (v - w[j]) ** 2 / (2 * step[j]) + rest(penalty, trial)

        reach = np.clip([-abs(w[j]) - 1, abs(w[j]) + 1], low[j], high[j])
        found = optimize.minimize_scalar(total, bounds=reach, options={"xatol": 1e-9})
        assert total(point[j]) <= found.fun + 1e-12
        assert point[j] == pytest.approx(found.x, abs=2e-5)
        assert total(point[j]) <= min(total(v) for v in np.linspace(*reach, 21)) + 1e-12


@every_penalty
def test_a_smooth_penalty_has_an_empty_prox(penalty):
    w = 100 * coefficients()
    proximal = penalty.compiled().is_proximal
    assert proximal == (rest(penalty, w) != 0)
    assert proximal != np.array_equal(penalty.prox(w, 0.5), w)


@every_penalty
def test_the_projection_is_the_nearest_point_within_bounds(penalty):
    w, (low, high) = coefficients()[None], bounds(penalty)
    penalty.compiled().apply_projection(w)
    np.testing.assert_array_equal(w[0], np.clip(coefficients(), low, high))


@every_penalty
def test_the_arguments_are_left_alone(penalty):
    w, step = coefficients(), np.full(D, 0.3)
    penalty.value(w), penalty.gradient(w), penalty.prox(w, step)
    np.testing.assert_array_equal(w, coefficients())
    np.testing.assert_array_equal(step, np.full(D, 0.3))


@every_penalty
def test_nothing_costs_nothing_but_where_bounds_forbid_it(penalty):
    nearest = np.clip(0.0, *bounds(penalty))
    assert penalty.value(np.zeros(D)) == (np.inf if nearest.any() else 0)
    np.testing.assert_array_equal(penalty.prox(np.zeros(D), 1.0), nearest)


@every_penalty
def test_nan_is_not_hidden(penalty):
    w = np.where(np.arange(D) == 2, np.nan, np.clip(coefficients(), *bounds(penalty)))
    assert np.isnan(penalty.value(w))
    assert np.isnan(penalty.prox(w, 0.5)[2])


@every_penalty
def test_several_rows_are_penalised_one_by_one(penalty):
    coef = np.stack([coefficients(0), coefficients(1)])
    rule = penalty.compiled()
    np.testing.assert_array_equal(rule.apply_value(coef), [penalty.value(w) for w in coef])
    smooth = [penalty.smooth_value(w) for w in coef]
    np.testing.assert_array_equal(rule.apply_smooth_value(coef), smooth)
    np.testing.assert_array_equal(rule.apply_gradient(coef), [penalty.gradient(w) for w in coef])
    steps, moved = np.stack([np.full(D, 0.1), np.full(D, 0.9)]), coef.copy()
    rule.apply_prox(moved, steps)
    expected = [penalty.prox(w, s) for w, s in zip(coef, steps, strict=True)]
    np.testing.assert_array_equal(moved, expected)
