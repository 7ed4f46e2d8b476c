"""A user's own penalty."""

import re

import numpy as np
import pytest

from skgd.penalties import L1, L2, Penalty
from skgd.penalties.separable import BoxRule

WEIGHTS = np.array([1.0, 0.0, 2.5, 0.3, 1.0, 4.0])
D = len(WEIGHTS)


def coefficients(seed=0):
    return np.random.default_rng(seed).normal(0, 1.5, D)


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
