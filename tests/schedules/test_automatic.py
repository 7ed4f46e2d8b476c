"""Automatic rates follow the objective."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skgd.schedules.automatic import Watched


@pytest.mark.parametrize("memory, steps_per_epoch", [(1, 1), (1, 50), (10, 1), (10, 50)])
def test_a_rate_follows_the_objective(memory, steps_per_epoch):
    schedule = Watched(0.1, True, memory, best=9.0, highest=9.0).bound(10**6, steps_per_epoch)

    def rate(objective):
        schedule.observe(objective)
        return schedule.rates(np.array([0]))[0]

    first = rate(8.0)
    assert first > 0.1
    growth = rate(7.0) / first
    # A rule that keeps moving along its gradients shows late what a rate does.
    assert growth == pytest.approx(1.2 if memory <= steps_per_epoch else 1.2 ** memory**-0.5)
    patience = max(4, 2 * memory // steps_per_epoch)
    flat = np.array([rate(7.0) for _ in range(patience)])
    assert_allclose(flat[:-1], growth * first)
    assert_allclose(flat[-1], growth * first / 2)
    # After many steps, the fall that follows a cut says nothing of the rate; those after it do.
    after = rate(6.0)
    assert after == pytest.approx(flat[-1] * (growth if steps_per_epoch == 1 else 1))
    assert rate(5.0) == pytest.approx(growth * after)


@pytest.mark.parametrize(
    "steps_per_epoch, factors",
    [(50, [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]), (8, [1, 1, 1, 1, *4 * [0.5], 0.25])],
)
def test_once_noise_is_known_a_rate_is_cut_sooner(steps_per_epoch, factors):
    schedule = Watched(0.1, True, 1, best=9.0, highest=9.0).bound(10**6, steps_per_epoch)
    rates = []
    for objective in [8.0] + 8 * [8.5]:
        schedule.observe(objective)
        rates.append(schedule.rates(np.array([0]))[0])
    assert_allclose(np.array(rates) / rates[0], factors)


def test_an_epoch_above_the_start_does_not_make_the_rate_grow():
    schedule = Watched(0.1, True, 1, best=9.0, highest=9.0).bound(10**6, 1)
    schedule.observe(9.1)
    assert schedule.rates(np.array([0]))[0] == 0.1
    assert not schedule.settled(1)


@pytest.mark.parametrize("objective, is_settled", [(8.02, True), (8.001, False)])
def test_an_objective_that_falls_has_not_settled_wherever_it_is(objective, is_settled):
    schedule = Watched(0.1, True, 1, best=9.0, highest=18.0).bound(10**6, 8)
    for value in [8.0] + 7 * [8.03] + [8.03]:
        schedule.observe(value)
    assert schedule.settled(1)
    schedule.observe(objective)
    assert schedule.settled(1) == is_settled
