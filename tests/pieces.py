"""Every public loss, penalty, optimizer and schedule, and one of each as a user would write it."""

import inspect

import numpy as np
import pytest

from skgd import GDClassifier, GDRegressor, losses, optimizers, penalties, schedules
from skgd.losses import Loss
from skgd.optimizers import FullBatchOptimizer, Optimizer
from skgd.penalties import L1, L2, Box, ElasticNet, GroupLasso, Penalty
from skgd.schedules import Schedule


class MineQuartic(Loss):
    """``(y - z)^4 / 4``"""

    def value(self, y, z):
        return (y - z) ** 4 / 4

    def gradient(self, y, z):
        return (z - y) ** 3


class MineCap(Penalty):
    """No coefficient beyond a limit, and a little l2.

    Parameters
    ----------
    limit : float, default=0.4
        The largest absolute coefficient.
    """

    def __init__(self, limit=0.4):
        self.limit = limit

    def value(self, coef):
        return np.inf if np.abs(coef).max() > self.limit * (1 + 1e-12) else 0.5 * coef @ coef

    def smooth_value(self, coef):
        return 0.5 * coef @ coef

    def gradient(self, coef):
        return coef

    def curvature(self, n_features):
        return np.ones(n_features)

    def prox(self, coef, step):
        return np.clip(coef, -self.limit, self.limit)


class MineMomentum(Optimizer):
    """Heavy ball.

    Parameters
    ----------
    momentum : float, default=0.5
        The share of the last step that is kept.
    """

    slots = 1

    def __init__(self, momentum=0.5):
        self.momentum = momentum

    def update(self, w, g, state, rate, t):
        state[0] = self.momentum * state[0] + g
        w -= rate * state[0]
        return rate / (1 - self.momentum)


class MineSteps(FullBatchOptimizer):
    """Proximal gradient descent at a constant step.

    Parameters
    ----------
    step : float, default=0.7
        The step, in the units of the metric.
    """

    def __init__(self, step=0.7):
        self.step = step

    def solve(self, objective, x, monitor):
        value, gradient = objective.value_and_gradient(x)
        while not monitor(x, value + objective.nonsmooth_value(x), gradient, self.step):
            x = objective.prox(x - self.step * gradient, self.step)
            value, gradient = objective.value_and_gradient(x)
        return x


class MineSaw(Schedule):
    """Falls and starts again.

    Parameters
    ----------
    rate : float, default=0.05
        The first rate.
    """

    def __init__(self, rate=0.05):
        self.rate = rate

    def rates(self, t):
        return self.rate / (1 + np.asarray(t) % 10)


def public(module, base):
    """Return an object of each public class of a kind, but of the base itself."""
    found = [getattr(module, name) for name in module.__all__]
    return [
        kind() for kind in found
        if inspect.isclass(kind) and issubclass(kind, base) and kind is not base
    ]  # fmt: skip


LOSSES = [*public(losses, Loss), MineQuartic()]
PENALTIES = [*public(penalties, Penalty), MineCap()]
RULES = [*public(optimizers, Optimizer), MineMomentum()]
SOLVERS = [*public(optimizers, FullBatchOptimizer), MineSteps()]
SCHEDULES = [*public(schedules, Schedule), MineSaw()]
PIECES = LOSSES + PENALTIES + RULES + SOLVERS + SCHEDULES
SMOOTHED = [loss.smoothed(0.3) for loss in LOSSES if not loss.smooth]
# Penalties that do more than those without arguments.
COMBINED = [
    *PENALTIES,
    L2(weights=[0.0, 1, 2.5, 0.3]),
    ElasticNet(0.5, weights=[0.0, 1, 2, 1]),
    GroupLasso([[0, 2], [1, 3]]),
    GroupLasso([[0, 2, 3]], weights=[1.0, 0, 2, 0.5]),
    Box(-0.2, [0.1, 0.3, np.inf, 0.5]),
    Box(-0.2, 0.3, L1()),
    Box(0.1, None, L2()),
    Box(-0.2, [0.1, 0.3, np.inf, 0.5], GroupLasso([[0, 1, 3]])),
]

every_piece = pytest.mark.parametrize("piece", PIECES, ids=repr)
every_loss = pytest.mark.parametrize("loss", LOSSES + SMOOTHED, ids=repr)
every_penalty = pytest.mark.parametrize("penalty", COMBINED, ids=repr)
every_rule = pytest.mark.parametrize("rule", RULES, ids=repr)
every_solver = pytest.mark.parametrize("solver", SOLVERS, ids=repr)
every_optimizer = pytest.mark.parametrize("optimizer", RULES + SOLVERS, ids=repr)
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)


def data():
    """Return four columns of different scales and a target that follows from three of them."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 4)) * [1, 10, 0.1, 1] + [0, 5, 1, 0]
    return X, X @ [0.5, -0.02, 3.0, 0.0] + 0.3 * generator.normal(size=60)


def estimator_with(piece, **settings):
    """Return an estimator, unfitted, whose only unusual part is the piece."""
    settings = {"random_state": 0, "max_iter": 20} | settings
    if isinstance(piece, Schedule) or getattr(piece, "takes_batches", False):
        settings["batch_size"] = 4
    if isinstance(piece, Loss):
        kind = GDClassifier if piece.task == "classification" else GDRegressor
        return kind(loss=piece, **settings)
    if isinstance(piece, Penalty):
        return GDRegressor(penalty=piece, alpha=0.05, **settings)
    if isinstance(piece, Schedule):
        return GDRegressor(learning_rate=piece, optimizer="sgd", **settings)
    return GDRegressor(optimizer=piece, **settings)


def targets_for(estimator):
    """Return targets that the estimator's loss takes, which follow from the columns."""
    X, y = data()
    loss = estimator.loss
    if isinstance(estimator, GDClassifier):
        return y > np.median(y)
    if isinstance(loss, Loss) and not np.all(loss.in_domain(np.array([-1.0]))):
        return np.exp(y / 4)
    return y


def score_of_a_constant(model):
    """Return the best score of a constant: the accuracy of two equal classes, or R^2 and D^2."""
    return 0.5 if isinstance(model, GDClassifier) else 0.0
