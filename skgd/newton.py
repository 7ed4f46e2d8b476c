"""Newton's method for the objectives of "auto": no rate, and an end at rounding.

A step goes to the minimum of the quadratic with the objective's Hessian: one solve, conjugate
gradients, or, for penalties with kinks, coordinate descent and solves on the free coordinates.
"""

from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from skgd.curvature import Curvature, Kinks
from skgd.optimizers import FullBatchOptimizer

# Widths of the smooth losses that stand for one that is not, in units of the targets' spread.
SMOOTHING = 10.0 ** np.arange(0.0, -6.5, -1.0)
# The share of a step that the solution of a system may miss where it has to be exact.
EXACT = 1e-10
# The share of a step that the solution of a system may miss far from the minimum: less is lost.
FORCING = 0.5
# The same between kinks, where less would leave open which coordinates are at one.
AT_KINKS = 1e-6
# The damping of a step grows tenfold, from the first one to the largest.
FIRST_DAMPING, LARGEST_DAMPING = 1e-3, 1e6
# Steps below this share are damped next time, below this one at once.
SHORT, SHORTEST = 0.25, 0.05
# The share of the objective below which a fall may be rounding, which no damping helps.
HIDDEN = 1e-13


class Newton(FullBatchOptimizer):
    """Damped Newton steps, proximal for penalties that have kinks coordinate by coordinate.

    Parameters
    ----------
    loss : Loss
        With second derivatives.
    X : array or CSR matrix of shape (n_samples, n_features)
    observe : callable, default=None
        Called before each step that is not damped with (curvature, x, value, move, fall), where
        fall is what the slope along the move promises; True ends the descent.

    References
    ----------
    Lee, Sun and Saunders, Proximal Newton-type methods for minimizing composite functions, 2014.
    """

    def __init__(self, loss, X, observe=None):
        self.loss = loss
        self.X = X
        self.observe = observe

    def solve(self, objective, x, monitor):
        with one_thread():
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        kinks = Kinks.of(objective) if objective.proximal else None
        x = x if kinks is None else kinks.clip(x)
        objective.keeps_margins = True
        value, gradient = evaluate(objective, x)
        first, step, damping = float(gradient @ gradient), 1.0, 0.0
        curvature = decrement = None
        while not monitor(x, value, gradient, step, decrement):
            if curvature is None or not self.loss.constant_hessian:
                curvature = Curvature(objective, self.loss, self.X, x)
                if self.loss.constant_hessian:
                    objective.hessian = curvature
            size = float(gradient @ gradient)
            # Tighter systems would only amplify rounding along directions without curvature.
            tol = max(1e-6, FORCING * (size / first) ** 0.25) if first > 0 else FORCING
            if kinks is not None:
                tol = AT_KINKS
            if self.observe is not None or (kinks is not None and self.loss.constant_hessian):
                tol = EXACT
            while True:
                move, fall = model_step(curvature, x, gradient, kinks, tol, damping)
                if self.observe is not None and damping == 0.0:
                    if self.observe(curvature, x, value, move, fall):
                        return x
                step, point = search(objective, x, value, gradient, move, fall)
                if step > 0 or damping >= LARGEST_DAMPING or fall <= HIDDEN * abs(value):
                    break
                damping = max(10 * damping, FIRST_DAMPING)
            if step == 0.0:
                return x
            if step == 1.0:
                damping = damping / 10 if damping > FIRST_DAMPING else 0.0
            elif step <= SHORT:
                damping = max(10 * damping, FIRST_DAMPING)
            x, value, gradient = point
            # The Hessian of the last point will do to tell how far the minimum is.
            if kinks is None:
                decrement = float(gradient @ curvature.precondition(gradient))
            else:
                decrement = model_step(curvature, x, gradient, kinks, tol, damping)[1]
        return x


@cache
def _threads():
    return ThreadpoolController()


def one_thread():
    """Limit BLAS: on small blocks threads slow it down, and the last bits depend on them."""
    return _threads().limit(limits=1, user_api="blas")


def stand_ins(objective, loss):
    """Return the loss, or smooth losses that come ever closer to one that is not smooth.

    References
    ----------
    Nesterov, Smooth minimization of non-smooth functions, 2005.
    """
    if loss.smooth:
        return [loss]
    spread = 1.0 if loss.task == "classification" else float(np.max(1.0 / objective.metric.unit))
    return [loss.smoothed(width) for width in spread * SMOOTHING]


def evaluate(objective, x):
    """Return the objective and the gradient of its smooth part."""
    value, gradient = objective.value_and_gradient(x)
    return value + objective.rest(x), gradient


def model_step(curvature, x, gradient, kinks, tol, damping):
    """Return the move to the minimum of the quadratic model and the fall that its slope says."""
    if kinks is None:
        move = -curvature.solve(gradient, tol, damping)
        return move, -float(gradient @ move)
    target = curvature.target(x, gradient, kinks, tol, damping)
    move = target - x
    fall = kinks.value(x) - kinks.value(target) - float(gradient @ move)
    return move, max(fall, 0.0)


def search(objective, x, value, gradient, move, fall):
    """Halve a step until the objective falls enough; 0 where rounding hides any fall."""
    step, size = 1.0, objective.decrement(x, gradient)
    while fall > 0 and step > SHORTEST:
        candidate = x + step * move
        new_value, new_gradient = evaluate(objective, candidate)
        rounding = 4e-15 * (abs(value) + abs(new_value))
        if new_value < value - 1e-4 * step * fall - rounding:
            return step, (candidate, new_value, new_gradient)
        # Where values differ by no more than rounding, the gradient tells which point is better.
        if new_value <= value + rounding and (
            objective.decrement(candidate, new_gradient) < 0.3 * size
        ):
            return step, (candidate, new_value, new_gradient)
        step *= 0.5
    return 0.0, None
