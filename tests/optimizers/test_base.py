"""A user's own step rule, alone and derived from ours."""


import numpy as np
import pytest
from rule_paths import new_state, path_of
from sklearn.base import clone

from skgd.optimizers import SGD, Adam, Optimizer


class Plain(Optimizer):
    def update(self, w, g, state, rate, t):
        w -= rate * g


class HeavyBall(Optimizer):
    slots = 1

    def __init__(self, momentum=0.9):
        self.momentum = momentum

    def update(self, w, g, state, rate, t):
        state[0] = self.momentum * state[0] + g
        w -= rate * state[0]
        return rate / (1 - self.momentum)


class ClippedAdam(Adam):
    def update(self, w, g, state, rate, t):
        return super().update(w, np.clip(g, -1, 1), state, rate, t)


class ClippedTo(Adam):
    """With a hyperparameter of its own."""

    def __init__(self, *, limit=1.0, beta_1=0.9, beta_2=0.999, eps=1e-8, amsgrad=False):
        super().__init__(beta_1=beta_1, beta_2=beta_2, eps=eps, amsgrad=amsgrad)
        self.limit = limit

    def update(self, w, g, state, rate, t):
        return super().update(w, np.clip(g, -self.limit, self.limit), state, rate, t)


@pytest.mark.parametrize(("user", "ours"), [(Plain(), SGD()), (HeavyBall(), SGD(momentum=0.9))])
def test_a_python_rule_takes_the_same_steps_through_the_compiled_one(user, ours, torch):
    rule, w, g = user.compiled(), torch["start"].copy(), np.zeros(5)
    state, expected = new_state(user, 5), path_of(ours, torch, ours.update)
    expected_step = ours.update(np.zeros(5), np.ones(5), new_state(ours, 5), 0.1, 1)
    rule.bind(w, g, state)
    for t in range(200):
        g[:] = torch["gradients"][t]
        rule.apply(w, g, state, torch["rates"][t], t)
        np.testing.assert_allclose(w, expected[t], rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(rule.apply(w, g, state, 0.1, 1), expected_step)


@pytest.mark.parametrize("user", [ClippedAdam(), ClippedTo(limit=1.0), clone(ClippedTo())])
def test_a_subclass_of_adam_may_call_its_update(user, torch):
    clipped = dict(torch, gradients=np.clip(torch["gradients"], -1, 1))
    path = path_of(user, torch, user.update)
    np.testing.assert_array_equal(path, path_of(Adam(), clipped, Adam().update))


def test_a_subclass_without_an_update_keeps_the_compiled_rule():
    class Renamed(Adam):
        pass

    assert type(Renamed().compiled()) is type(Adam().compiled())
    assert type(ClippedAdam().compiled()) is not type(Adam().compiled())


def test_the_error_of_a_python_rule_reaches_the_user():
    class Broken(Optimizer):
        def update(self, w, g, state, rate, t):
            raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        Broken().compiled().apply(np.zeros(2), np.zeros(2), np.zeros((0, 2)), 0.1, 0)


def test_a_python_rule_may_not_return_steps_of_another_length():
    class Wrong(Optimizer):
        def update(self, w, g, state, rate, t):
            return np.ones(len(w) + 1)

    rule, (w, g, state) = Wrong().compiled(), (np.zeros(2), np.zeros(2), np.zeros((0, 2)))
    rule.bind(w, g, state)
    with pytest.raises(ValueError):
        rule.apply(w, g, state, 0.1, 0)


def test_a_rule_without_update_is_an_error():
    with pytest.raises(TypeError, match="update"):
        type("Empty", (Optimizer,), {})().compiled()
