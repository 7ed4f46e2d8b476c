"""Newton's method, proximal for separable penalties that are not smooth: no rate, to rounding.

With the gradient g and the Hessian H of the smooth part at x, a step goes to the minimum of

    g' (v - x) + (v - x)' (H + damping I) (v - x) / 2 + penalty(v)

which is ``v = x - (H + damping I)^-1 g`` for a smooth objective: one solve, or conjugate gradients
to the share ``min(1/2, (|g|^2 / |g_0|^2)^(1/4))`` of the step. The step is halved until the
objective has fallen by 1e-4 of the predicted decrease. While steps bring nearly what was predicted,
a Hessian that was costly is used again, corrected by quasi-Newton pairs. The method stops where the
decrement ``g' H^-1 g``, or the predicted decrease of the proximal step, is below `tol`, or where
rounding hides any decrease.

References
----------
Nocedal and Wright, Numerical Optimization, 2006, chapters 3, 6 and 7.
Lee, Sun and Saunders, Proximal Newton-type methods for minimizing composite functions, 2014.
"""

from collections import deque

import numpy as np

from skgd._solvers.active_set import SeparablePenalty
from skgd._solvers.costs import NewtonLimits as Limits
from skgd._solvers.hessian import DiagonalHessian
from skgd._solvers.hessian_cost import factorised_size
from skgd._solvers.row_space import make_hessian
from skgd._utils.linalg import one_thread
from skgd.optimizers import FullBatchOptimizer


def suits(objective):
    """Tell whether Newton's method can minimise an objective.

    The loss must be convex with second derivatives, and a penalty that is not smooth separable,
    with a Hessian of all parameters.
    """
    loss = objective.loss
    return loss.convex and loss.has_hessian and (
        not objective.proximal or has_proximal_step(objective)
    )


def has_proximal_step(objective):
    """Tell whether proximal Newton steps are possible: with a factorised Hessian alone."""
    k, p = objective.shape
    size = factorised_size(objective)[0]
    whole = size == k * p if objective.problem.is_multiclass else size > 0
    return whole and objective.penalty.separable_form(objective.problem.d) is not None


class Newton(FullBatchOptimizer):
    """Damped Newton steps, proximal where the penalty is not smooth.

    Parameters
    ----------
    observe : callable, default=None
        Called before each step that is not damped with (hessian, x, value, step, decrease), where
        decrease is the predicted one; True ends the descent.
    gradually : bool, default=False
        Whether the loss is one of a smoothing path: little hangs on where it ends.
    products_first : bool, default=False
        Whether to factorise Hessians no sooner than products with them are too many.

    Attributes
    ----------
    hessian : Hessian or None
        The last one of a descent. One that is there before a descent, of some of the rows, is used
        for its first step.
    whole_step : array of shape (n_parameters,) or None
        The last step, where it went to the minimum of the model with an exact Hessian, the last
        one.
    decrement : float or None
        How far the minimum is from the start of a descent, where that is known.
    misses_null_space : bool
        Whether a descent ended where the objective falls in the null space of its Hessian.
    """

    def __init__(self, observe=None, gradually=False, products_first=False):
        self.observe = observe
        self.gradually = gradually
        self.products_first = products_first
        self.hessian = self.whole_step = self.decrement = None
        self.misses_null_space = False

    def solve(self, objective, x, monitor):
        with one_thread():
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        penalty = SeparablePenalty.of(objective) if objective.proximal else None
        x = x if penalty is None else penalty.clip(x)
        value, gradient = evaluate(objective, x)
        iteration, length = _Iteration(self, objective, penalty, gradient), 1.0
        while not monitor(x, value, gradient, length, iteration.decrement):
            length, point = iteration.take(x, value, gradient)
            if length == 0.0:
                break
            x, value, gradient = point
        self.hessian = iteration.hessian
        return x


class _Iteration:
    """The steps of one descent of Newton's method.

    Attributes
    ----------
    hessian : Hessian or None
    pairs : QuasiNewtonPairs
        What the steps since it was made have told.
    is_reused : bool
        Whether both serve for the next step.
    damping : float
    least_damping : float
        The first damping where coordinates have a slope and no curvature.
    decrement : float or None
        How far the minimum is, as far as the Hessian knows.
    """

    def __init__(self, newton, objective, penalty, gradient):
        self.newton, self.objective, self.penalty = newton, objective, penalty
        self.hessian, self.pairs, self.damping = newton.hessian, QuasiNewtonPairs(), 0.0
        self.least_damping = Limits.first_damping
        # Its systems know nothing of a non-smooth penalty.
        self.is_reused = newton.hessian is not None and penalty is None
        self.decrement = newton.decrement
        self.first = float(gradient @ gradient)

    def take(self, x, value, gradient):
        """Return the length of the next step, 0 where there is none, and the point behind it."""
        length, newton = 0.0, self.newton
        newton.whole_step = None
        if self.is_reused:
            step, decrease = self.pairs.step(self.hessian, gradient)
            length, point = line_search(self.objective, x, value, gradient, step, decrease)
        if length == 0.0:
            is_damped = self.damping != 0.0
            decrease, length, point = self._take_anew(x, value, gradient)
            if length == 1.0 and self.damping == 0.0 and not is_damped and self.hessian.is_exact:
                newton.whole_step = point[0] - x
        if length > 0.0:
            if self.hessian.is_costly:
                self.pairs.add(point[0] - x, point[2] - gradient)
            self._look_back(length, decrease, *point)
        return length, point

    def _take_anew(self, x, value, gradient):
        """Take a step with the Hessian of the point itself, as damped as it has to be."""
        newton, objective, penalty = self.newton, self.objective, self.penalty
        if self.hessian is None or not objective.loss.constant_hessian:
            self._make_hessian(x)
        tol, from_before = self._tol(gradient), self.damping
        while True:
            step, decrease = model_step(self.hessian, x, gradient, penalty, tol, self.damping)
            if newton.products_first and not self.hessian.is_solved:
                newton.products_first = False
                self._make_hessian(x)
                continue
            if self._misses_null_space(gradient, step):
                newton.misses_null_space = True
                return decrease, 0.0, None
            if self._misses_flat_coordinates(x, gradient, step):
                self.damping = max(10 * self.damping, self.least_damping)
                continue
            if newton.observe is not None and self.damping == 0.0:
                if newton.observe(self.hessian, x, value, step, decrease):
                    return decrease, 0.0, None
            length, point = line_search(objective, x, value, gradient, step, decrease)
            hidden = decrease <= Limits.hidden * abs(value)
            stuck = self.damping >= Limits.largest_damping or (hidden and not from_before)
            if length > 0 or stuck:
                break
            # Where a damping that an earlier step needed hides the decrease, it is not needed now.
            self.damping = 0.0 if hidden else max(10 * self.damping, Limits.first_damping)
            from_before = 0.0 if hidden else from_before
        if length == 1.0:
            # On a slope without curvature the next step may be ten times as long.
            self.least_damping = min(self.damping / 10 or np.inf, Limits.first_damping)
            self.damping = self.damping / 10 if self.damping > Limits.first_damping else 0.0
        elif length <= Limits.short:
            self.damping = max(10 * self.damping, Limits.first_damping)
        return decrease, length, point

    def _make_hessian(self, x):
        make = DiagonalHessian if self.newton.products_first else make_hessian
        self.hessian, self.pairs = make(self.objective, x), QuasiNewtonPairs()

    def _misses_null_space(self, gradient, step):
        """Tell whether the objective falls in the null space of its Hessian."""
        newton = self.newton
        certain = self.penalty is None and self.damping == 0.0 and self.hessian.is_exact
        if newton.gradually or newton.observe is not None or not certain:
            return False
        residual = self.hessian.null_space_residual(gradient, -step)
        size = max(Limits.null_space * float(gradient @ gradient), Limits.rounding * self.first)
        return float(residual @ residual) > size

    def _misses_flat_coordinates(self, x, gradient, step):
        """Tell whether a proximal step leaves coordinates without curvature where they fall."""
        if self.penalty is None or self.damping >= Limits.largest_damping:
            return False
        left = self._flat_decrement(x, gradient, step)
        return left > Limits.rounding * self.first and (
            left > Limits.null_space * self.objective.decrement(x, gradient)
        )

    def _flat_decrement(self, x, gradient, step):
        """Return the squared proximal step that a step to the minimum of the model leaves."""
        if self.hessian.least_curvature + self.damping > Limits.flat:
            return 0.0
        slope = self.hessian.model_gradient(gradient, step, self.damping)
        left = self.penalty.coordinate_steps(x + step, slope, np.ones(len(x)))
        return float(left @ left)

    def _tol(self, gradient):
        """Return the share of a step that the solution of its system may miss."""
        observed = self.newton.observe is not None
        if self.penalty is not None:
            exact = observed or self.objective.loss.constant_hessian
            return 0.0 if exact else Limits.proximal
        if observed:
            return Limits.exact
        share = float(gradient @ gradient) / self.first if self.first > 0 else 1.0
        # Tighter systems would only amplify rounding along directions without curvature.
        return max(1e-6, Limits.forcing * share**0.25)

    def _look_back(self, length, decrease, x, value, gradient):
        """See how far the minimum is, with a Hessian that is a step old, and how it has served."""
        if self.penalty is not None:
            if self.newton.observe is not None:  # who looks for himself how far the minimum is
                return
            step, decrease = model_step(
                self.hessian, x, gradient, self.penalty, self._tol(gradient), self.damping
            )
            self.decrement = decrease + self._flat_decrement(x, gradient, step)
            return
        direction = self.hessian.precondition(gradient)
        residual = self.hessian.null_space_residual(gradient, direction)
        # In the metric no curvature is above 1.
        seen = self.hessian.stretch * float(gradient @ direction)
        self.decrement = seen + float(residual @ residual)
        self.is_reused = (
            self.hessian.is_costly and length == 1.0 and self.damping == 0.0
            and self.newton.observe is None and self.decrement <= Limits.reused * decrease
        )  # fmt: skip


class QuasiNewtonPairs:
    """What steps have told of a Hessian, on top of one that is not quite right any more.

    Pairs of a step and the change of the gradient along it update the inverse as in L-BFGS.

    Parameters
    ----------
    most : int or None, default=None
        The pairs that are kept, the last ones; None for all.

    References
    ----------
    Nocedal, Updating quasi-Newton matrices with limited storage, 1980.
    """

    def __init__(self, most=None):
        self.pairs = deque(maxlen=most)

    def add(self, step, change):
        """Take in by how much a step has changed the gradient."""
        curvature = float(step @ change)
        if curvature > 0:
            self.pairs.append((step, change, curvature))

    def step(self, hessian, gradient):
        """Return the next step and the decrease that its slope predicts."""
        rest, shares = gradient.copy(), []
        for step, change, curvature in reversed(self.pairs):
            shares.append(float(step @ rest) / curvature)
            rest -= shares[-1] * change
        rest = hessian.precondition(rest)
        for (step, change, curvature), share in zip(self.pairs, reversed(shares), strict=True):
            rest += (share - float(change @ rest) / curvature) * step
        return -rest, float(gradient @ rest)


def evaluate(objective, x):
    """Return the objective and the gradient of its smooth part."""
    point = objective.at(x)
    return point.value + objective.nonsmooth_value(x), point.gradient


def model_step(hessian, x, gradient, penalty, tol, damping):
    """Return the step to the minimum of the model and the decrease that its slope predicts."""
    if penalty is None:
        step = -hessian.solve(gradient, tol, damping)
        return step, -float(gradient @ step)
    target = hessian.proximal_step(x, gradient, penalty, tol, damping)
    step = target - x
    decrease = penalty.value(x) - penalty.value(target) - float(gradient @ step)
    return step, max(decrease, 0.0)


def line_search(objective, x, value, gradient, step, decrease):
    """Halve a step until the objective falls enough; 0 where rounding hides any decrease."""
    length, size = 1.0, objective.decrement(x, gradient)
    rounding = 2.0 * objective.rounding(x, value)
    while decrease > 0 and length > Limits.shortest:
        candidate = x + length * step
        new_value, new_gradient = evaluate(objective, candidate)
        if new_value < value - 1e-4 * length * decrease - rounding:
            return length, (candidate, new_value, new_gradient)
        # Where values differ by no more than rounding, the gradient tells which point is better.
        # With a non-smooth penalty it tells less along the step: its subgradients are not in it.
        left = 0.0 if objective.proximal else -float(new_gradient @ step)
        if new_value <= value + rounding and (
            left > max(Limits.falling * decrease, Limits.certain * rounding)
            or objective.decrement(candidate, new_gradient) < 0.5 * size
        ):
            return length, (candidate, new_value, new_gradient)
        length *= 0.5
    return 0.0, None


def long_line_search(objective, x, value, gradient, step, decrease):
    """Do the same for a step that may be far too long."""
    for share in Limits.shares:
        length, point = line_search(objective, x, value, gradient, share * step, share * decrease)
        if length > 0.0:
            return share * length, point
    return 0.0, None
