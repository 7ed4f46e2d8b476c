"""Penalties against finite differences and scipy; public penalties are enumerated."""


import re

import numpy as np
import pytest
from scipy import optimize
from sklearn.datasets import load_diabetes

from skgd import GDRegressor, penalties
from skgd.penalties import L1, L2, Box, ElasticNet, GroupLasso, Penalty
from skgd.penalties.separable import BoxRule

CLASSES = [
    found
    for name in penalties.__all__
    if isinstance(found := getattr(penalties, name), type)
    and issubclass(found, Penalty)
    and found.Rule is not None
]
WEIGHTS = np.array([1.0, 0.0, 2.5, 0.3, 1.0, 4.0])
D = len(WEIGHTS)
WEIGHTED = [found for found in CLASSES if "weights" in found().get_params()]
# Bounds that none of the coefficients below meets, and bounds that some do.
WIDE = {"lower": -50.0, "upper": np.full(D, 60.0)}
TIGHT = {"lower": [-0.3, -np.inf, -1, 0, -2, -0.5], "upper": [0.1, 0.2, np.inf, 3, 0, 0.7]}
SEPARABLE = [
    *(found() for found in CLASSES),
    *(found(weights=WEIGHTS) for found in WEIGHTED),
    ElasticNet(0.0),
    ElasticNet(0.7, weights=list(WEIGHTS)),
    ElasticNet(1.0),
    Box(-0.5, 0.5),
    Box(**TIGHT),
    Box(0.2, None, L1()),
    Box(**TIGHT, penalty=ElasticNet(0.7, weights=WEIGHTS)),
    Box(**WIDE, penalty=L2()),
]
GROUPS = [[0, 2, 5], [1, 4]]
GROUPED = [
    GroupLasso(GROUPS),
    GroupLasso([range(D)]),
    GroupLasso(GROUPS, weights=WEIGHTS),
    Box(**TIGHT, penalty=GroupLasso(GROUPS)),
    Box(**TIGHT, penalty=GroupLasso(GROUPS, weights=WEIGHTS)),
    Box(0.3, 0.9, GroupLasso([range(D)])),
]
INSTANCES = SEPARABLE + GROUPED

every_penalty = pytest.mark.parametrize("penalty", INSTANCES, ids=lambda p: repr(p)[:40])
every_weighted_class = pytest.mark.parametrize("kind", WEIGHTED)


def coefficients(seed=0):
    return np.random.default_rng(seed).normal(0, 1.5, D)


def rest(penalty, w):
    return penalty.value(w) - penalty.smooth_value(w)


def bounds(penalty):
    """Return the bounds of each coefficient; those of most penalties are infinite."""
    found = penalty.get_params()
    low, high = found.get("lower"), found.get("upper")
    return np.broadcast_arrays(
        -np.inf if low is None else low, np.inf if high is None else high, np.ones(D)
    )[:2]


# ---- what every penalty does --------------------------------------------------------------------

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


# ---- closed forms -------------------------------------------------------------------------------

def test_the_values_are_the_norms():
    w = coefficients()
    assert L1().value(w) == pytest.approx(np.linalg.norm(w, 1), rel=1e-15)
    assert L2().value(w) == pytest.approx(0.5 * np.linalg.norm(w) ** 2, rel=1e-15)
    assert ElasticNet(0.25).value(w) == pytest.approx(
        0.25 * np.linalg.norm(w, 1) + 0.375 * np.linalg.norm(w) ** 2, rel=1e-15
    )
    assert L1(weights=WEIGHTS).value(w) == pytest.approx(WEIGHTS @ np.abs(w), rel=1e-15)


def test_the_l1_prox_is_zero_up_to_the_threshold_and_exact_beyond():
    w = np.array([-3.0, -0.5, -0.25, 0.0, 0.5, 2.0])
    np.testing.assert_array_equal(L1().prox(w, 0.5), [-2.5, 0, 0, 0, 0, 1.5])
    np.testing.assert_array_equal(L1(weights=WEIGHTS).prox(w, 1.0), [-2, -0.5, 0, 0, 0, 0])
    np.testing.assert_array_equal(ElasticNet(0.5).prox(w, 1.0), [-2.5, 0, 0, 0, 0, 1.5])
    assert not np.any(np.signbit(L1().prox(w, 10.0)))


def test_a_weight_of_zero_leaves_a_feature_free():
    w = coefficients()
    assert L1(weights=WEIGHTS).prox(w, 100.0)[1] == w[1]
    assert L2(weights=WEIGHTS).gradient(w)[1] == 0


# ---- groups -------------------------------------------------------------------------------------

def test_with_one_step_a_group_shrinks_along_its_direction():
    w, penalty = coefficients(), GroupLasso([[3, 1, 5], [0, 2]])
    for columns in ([3, 1, 5], [0, 2], [4]):
        length, size = np.linalg.norm(w[columns]), np.sqrt(len(columns))
        for step in (0.9 * length / size, 0.1):
            expected = w[columns] * (1 - step * size / length)
            np.testing.assert_allclose(penalty.prox(w, step)[columns], expected, rtol=1e-14)
        for step in (1.001 * length / size, 1e300, np.inf):
            np.testing.assert_array_equal(penalty.prox(w, step)[columns], np.zeros(len(columns)))


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e3])
def test_a_group_with_different_steps_meets_the_conditions_of_the_minimum(scale):
    generator = np.random.default_rng(0)
    zeros = 0
    for _ in range(200):
        d = generator.integers(2, 9)
        w, steps = generator.normal(size=d), scale * 10 ** generator.uniform(-3, 3, size=d)
        weights = 10 ** generator.uniform(-1, 1, size=d)
        v = GroupLasso([range(d)], weights=weights).prox(w, steps)
        a = np.sqrt(d) * weights
        if v.any():
            pull = a**2 * v / np.linalg.norm(a * v)
            np.testing.assert_allclose(w - v, steps * pull, rtol=1e-9, atol=1e-12)
        else:
            zeros += 1
            assert np.linalg.norm(w / (steps * a)) <= 1 + 1e-12
    assert zeros == 0 if scale < 0.1 else zeros > 5


def test_columns_without_a_group_are_groups_of_their_own():
    w, step = coefficients(), np.linspace(0.1, 0.6, D)
    np.testing.assert_allclose(GroupLasso().prox(w, step), L1().prox(w, step), rtol=1e-14)
    weighted = GroupLasso([[0, 1]], weights=WEIGHTS)
    np.testing.assert_allclose(
        weighted.prox(w, step)[2:], L1(weights=WEIGHTS).prox(w, step)[2:], rtol=1e-14
    )
    assert GroupLasso(weights=WEIGHTS).value(w) == pytest.approx(L1(weights=WEIGHTS).value(w))


@pytest.mark.parametrize(
    "groups",
    [[[0, 1], [1, 2]], [[0, 0]], [[-1]], [[0.5]], [[]], ["ab"], [[True]], [0, 0, 1], [], (), 3],
    ids=repr,
)
def test_bad_groups_are_errors_when_compiled(groups):
    with pytest.raises(ValueError, match="groups"):
        GroupLasso(groups).compiled()


def test_a_group_beyond_the_last_column_is_an_error():
    with pytest.raises(ValueError, match="column 6 is named and X has 6 features"):
        GroupLasso([[0, 6]]).value(coefficients())


def test_one_rule_serves_rows_of_any_width():
    rule = GroupLasso([[0, 1]]).compiled()
    for d in (2, 5, 3):
        assert rule.apply_value(np.ones((1, d)))[0] == pytest.approx(2 + d - 2)


# ---- bounds -------------------------------------------------------------------------------------

def test_bounds_are_met_exactly_and_the_value_is_infinite_outside():
    w = coefficients()
    for penalty in (Box(-0.1, 0.3), Box(-0.1, 0.3, L1()), Box(-0.1, 0.3, GroupLasso(GROUPS))):
        v = penalty.prox(w, 1e-3)
        assert set(v[w > 0.31]) == {0.3} and set(v[w < -0.11]) == {-0.1}
        assert penalty.value(v) < penalty.value(w) == np.inf
        assert penalty.smooth_value(w) == 0


def test_boxes_in_boxes_are_their_intersection():
    w = coefficients()
    nested = Box(-0.5, [0.1, 1, 1, 1, 1, 0.2], Box([-1, -1, -1, -0.2, 0, 0], 0.7, L1()))
    flat = Box([-0.5, -0.5, -0.5, -0.2, 0, 0], [0.1, 0.7, 0.7, 0.7, 0.7, 0.2], L1())
    np.testing.assert_array_equal(nested.prox(w, 0.05), flat.prox(w, 0.05))
    with pytest.raises(ValueError, match="lower"):
        Box(2.0, None, Box(None, 1.0)).compiled()


def test_a_coefficient_that_rounding_moved_off_a_bound_is_put_back():
    for bound in (0.3, -1e-9, 7e11):
        for moved in (np.nextafter(bound, -np.inf), bound, np.nextafter(bound, np.inf)):
            for box in (Box(bound, bound + 1), Box(bound - 1, bound)):
                coef = np.array([[moved]])
                box.compiled().apply_projection(coef)
                assert coef == bound


@pytest.mark.parametrize(
    "box",
    [Box(1.0, 0.0), Box(np.nan), Box(None, np.nan), Box(np.inf), Box(None, -np.inf),
     Box([0.0, 2.0], [1.0, 1.0]), Box([[0.0]]), Box([]), Box([0.0, 0.0], [1.0, 1.0, 1.0]),
     Box("low"), Box(None, "high")],
    ids=repr,
)  # fmt: skip
def test_bad_bounds_are_errors_when_compiled(box):
    with pytest.raises(ValueError, match="lower|upper"):
        box.compiled()


def test_bounds_of_the_wrong_length_are_errors():
    with pytest.raises(ValueError, match="bounds, have 2 numbers and X has 6 features"):
        Box([0.0, 1.0], 2.0).prox(coefficients(), 0.1)


def test_a_penalty_of_a_box_that_is_none_is_an_error():
    with pytest.raises(TypeError, match="penalty='l1' of a Box"):
        Box(penalty="l1").compiled()


# ---- positive coefficients ----------------------------------------------------------------------

def test_positive_keeps_value_gradient_and_checks():
    coef = np.abs(coefficients())[None]
    rule = BoxRule(0.0, None, ElasticNet(0.5, weights=WEIGHTS).compiled())
    inner = ElasticNet(0.5, weights=WEIGHTS)
    assert rule.is_proximal and BoxRule(0.0, None, L2().compiled()).is_proximal
    assert rule.apply_value(coef)[0] == inner.value(coef[0])
    np.testing.assert_array_equal(rule.apply_gradient(coef)[0], inner.gradient(coef[0]))
    with pytest.raises(ValueError, match="weights"):
        rule.apply_value(np.ones((1, D + 1)))


# ---- a user's own penalty -----------------------------------------------------------------------

class Threshold(Penalty):
    """l1 once more, in Python."""

    def value(self, coef):
        return np.abs(coef).sum()

    def prox(self, coef, step):
        return np.sign(coef) * np.maximum(np.abs(coef) - step, 0)


class Ridge(Penalty):
    """l2 once more, in Python."""

    def value(self, coef):
        return 0.5 * coef @ coef

    def gradient(self, coef):
        return coef


class HalfL1(L1):
    """Overrides with the help of the compiled methods, with a hyperparameter of its own."""

    def __init__(self, weights=None, share=0.5):
        self.weights = weights
        self.share = share

    def value(self, coef):
        return self.share * super().value(coef)

    def prox(self, coef, step):
        return super().prox(coef, self.share * np.asarray(step))


@pytest.mark.parametrize(("user", "ours"), [(Threshold(), L1()), (Ridge(), L2())])
def test_a_python_penalty_gives_the_same_through_the_rule(user, ours):
    coef = np.stack([coefficients(0), coefficients(1)])
    rule, expected = user.compiled(), ours.compiled()
    assert rule.is_proximal == expected.is_proximal
    for method in ("apply_value", "apply_smooth_value"):
        np.testing.assert_allclose(
            getattr(rule, method)(coef), getattr(expected, method)(coef), rtol=1e-15
        )
    np.testing.assert_array_equal(rule.apply_gradient(coef), expected.apply_gradient(coef))


def test_a_python_prox_gives_the_same_through_the_rule():
    user, ours, steps = coefficients()[None], coefficients()[None], np.linspace(0, 2, D)[None]
    Threshold().compiled().apply_prox(user, steps)
    L1().compiled().apply_prox(ours, steps)
    np.testing.assert_array_equal(user, ours)


def test_a_python_penalty_without_gradient_has_gradient_zero():
    np.testing.assert_array_equal(Threshold().gradient(coefficients()), np.zeros(D))
    assert Threshold().smooth_value(coefficients()) == 0


def test_a_python_penalty_without_prox_is_moved_by_nothing():
    np.testing.assert_array_equal(Ridge().prox(coefficients(), 0.5), coefficients())


def test_a_smooth_python_penalty_may_be_combined_with_positive():
    coef = coefficients()[None]
    BoxRule(0.0, None, Ridge().compiled()).apply_prox(coef, np.ones((1, D)))
    np.testing.assert_array_equal(coef[0], np.maximum(coefficients(), 0))


def test_a_subclass_may_call_the_compiled_methods_of_its_parent():
    coef, w = coefficients()[None], coefficients()
    assert HalfL1().value(w) == 0.5 * L1().value(w)
    rule = HalfL1().compiled()
    assert rule.is_proximal and rule.apply_value(coef)[0] == 0.5 * L1().value(w)
    rule.apply_prox(coef, np.full((1, D), 0.8))
    np.testing.assert_array_equal(coef[0], L1().prox(w, 0.4))


@pytest.mark.parametrize("method", ["gradient", "prox"])
def test_a_python_penalty_of_the_wrong_shape_is_an_error(method):
    parts = {"value": lambda self, coef: 0.0, method: lambda self, *_: np.zeros(D + 1)}
    wrong = type("Wrong", (Penalty,), parts)
    with pytest.raises(ValueError, match="shape"):
        rule, coef = wrong().compiled(), coefficients()[None]
        rule.apply_gradient(coef) if method == "gradient" else rule.apply_prox(coef, coef)


def test_the_error_of_a_python_penalty_reaches_the_user():
    class Broken(Threshold):
        def value(self, coef):
            raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        Broken().compiled().apply_value(coefficients()[None])


@pytest.mark.parametrize(
    "defined, missing",
    [
        ([], "value(coef) and gradient(coef) or prox(coef, step)"),
        (["value"], "gradient(coef) or prox(coef, step)"),
        (["prox"], "value(coef)"),
        (["value", "gradient", "prox"], "smooth_value(coef)"),
    ],
    ids=str,
)
def test_a_penalty_that_lacks_a_method_is_an_error_that_names_it(defined, missing):
    part = type("Part", (Penalty,), dict.fromkeys(defined, lambda self, *_: 0.0))
    with pytest.raises(TypeError, match=re.escape(f"Part is not complete: define {missing}.")):
        part().compiled()


# ---- what does not fit --------------------------------------------------------------------------

@every_weighted_class
@pytest.mark.parametrize("d", [D - 1, D + 1])
def test_weights_of_the_wrong_length_are_errors(kind, d):
    penalty, w = kind(weights=WEIGHTS), np.ones(d)
    for call in (penalty.value, penalty.smooth_value, penalty.gradient):
        with pytest.raises(ValueError, match="one weight per feature"):
            call(w)
    with pytest.raises(ValueError, match="one weight per feature"):
        penalty.prox(w, 0.1)


@every_weighted_class
@pytest.mark.parametrize("weights", [[-1.0, 1], [np.nan, 1], [np.inf, 1], [[1.0, 1]], "ab"])
def test_bad_weights_are_errors_when_compiled(kind, weights):
    with pytest.raises(ValueError):
        kind(weights=weights).compiled()


@pytest.mark.parametrize("l1_ratio", [-0.1, 1.1, np.nan, np.inf])
def test_a_bad_l1_ratio_is_an_error_when_compiled(l1_ratio):
    with pytest.raises(ValueError, match="l1_ratio"):
        ElasticNet(l1_ratio).compiled()


@every_penalty
@pytest.mark.parametrize("coef", [[], 1.0, np.ones((2, D)), [[1.0]]], ids=str)
def test_coefficients_that_are_not_one_row_are_errors(penalty, coef):
    for method in (penalty.value, penalty.gradient, penalty.smooth_value):
        with pytest.raises(ValueError, match="shape"):
            method(coef)


@every_penalty
def test_steps_of_the_wrong_length_are_errors(penalty):
    with pytest.raises(ValueError):
        penalty.prox(coefficients(), np.ones(D + 1))


@pytest.mark.parametrize("bad", [np.ones(D), np.ones((1, D), np.float32), np.ones((D, 2)).T])
def test_the_rule_takes_nothing_but_rows_of_float64_in_c_order(bad):
    rule, refused = L1().compiled(), (ValueError, TypeError, IndexError)
    for call in (rule.apply_value, rule.apply_smooth_value, rule.apply_gradient):
        with pytest.raises(refused):
            call(bad)
    with pytest.raises(refused):
        rule.apply_prox(bad, bad)
    with pytest.raises(ValueError):
        rule.apply_prox(np.ones((1, D)), np.ones((1, D - 1)))


def test_a_start_that_bounds_move_off_zero_is_not_a_trained_model():
    X, y = load_diabetes(return_X_y=True)
    rates = [
        GDRegressor(penalty=Box(*bounds), optimizer="sgd", max_iter=1, tol=None, random_state=0)
        .fit(X, y).learning_rate_ for bounds in ((1, 2), (-1, 2))
    ]  # fmt: skip
    assert rates[0] == rates[1]
