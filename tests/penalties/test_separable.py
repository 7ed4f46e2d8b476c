"""Norms and bounds against closed forms, and what must be refused."""

import numpy as np
import pytest
from penalty_cases import GROUPS, WEIGHTED, WEIGHTS, D, coefficients, every_penalty
from sklearn.datasets import load_diabetes

from skgd import GDRegressor
from skgd.penalties import L1, L2, Box, ElasticNet, GroupLasso
from skgd.penalties.separable import BoxRule

every_weighted_class = pytest.mark.parametrize("kind", WEIGHTED)


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
