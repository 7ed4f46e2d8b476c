"""The group lasso."""

import numpy as np
import pytest
from penalty_cases import WEIGHTS, D, coefficients

from skgd.penalties import L1, GroupLasso


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
