"""Newton's method for the objectives of "auto": no rate, and an end at rounding.

A step goes to the minimum of the quadratic with the objective's Hessian: one solve, conjugate
gradients, or, for penalties with kinks, coordinate descent and solves on the free coordinates.
"""

from skgd._solvers.active_set import Kinks
from skgd._solvers.lbfgs_start import DiagonalCurvature
from skgd._solvers.woodbury import curvature_at
from skgd._utils.linalg import one_thread
from skgd.optimizers import FullBatchOptimizer

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
# The slope that is left after a step is more than rounding where it is this share of what it was,
# and this share of the rounding of values.
FALLING, CERTAIN = 0.1, 0.01
# The share of a fall that may be left behind a step for its Hessian to be used again.
BRISK = 0.1
# The share of the squared gradient that may lie along directions in which a Hessian does not bend:
# rows far from their targets have no curvature, and a slope all the same.
OVERLOOKED = 1e-4
# The share of the first squared gradient that is no more than rounding.
ROUNDING = 1e-20
# The share of the objective below which a fall may be rounding, which no damping helps.
HIDDEN = 1e-13


class Newton(FullBatchOptimizer):
    """Damped Newton steps, proximal for penalties that have kinks coordinate by coordinate.

    While steps lead on briskly, a Hessian that was costly is used again, corrected by what the
    steps since have told of it.

    Parameters
    ----------
    loss : Loss
        With second derivatives.
    X : array or CSR matrix of shape (n_samples, n_features)
    observe : callable, default=None
        Called before each step that is not damped with (curvature, x, value, move, fall), where
        fall is what the slope along the move promises; True ends the descent.
    gradually : bool, default=False
        Whether a loss that turns within less comes after this one: little hangs on where it ends.
    products_first : bool, default=False
        Whether to factorise Hessians no sooner than products with them are too many.

    Attributes
    ----------
    curvature : Curvature or None
        The last one of a descent. One that is there before a descent, of some of the rows, is used
        for its first step.
    overlooks : bool
        Whether a descent ended where the objective falls along directions without curvature.

    References
    ----------
    Lee, Sun and Saunders, Proximal Newton-type methods for minimizing composite functions, 2014.
    """

    def __init__(self, loss, X, observe=None, gradually=False, products_first=False):
        self.loss = loss
        self.X = X
        self.observe = observe
        self.gradually = gradually
        self.products_first = products_first
        self.curvature = None
        self.overlooks = False

    def solve(self, objective, x, monitor):
        with one_thread():
            return self._solve(objective, x, monitor)

    def _solve(self, objective, x, monitor):
        kinks = Kinks.of(objective) if objective.proximal else None
        x = x if kinks is None else kinks.clip(x)
        objective.keeps_margins = True
        value, gradient = evaluate(objective, x)
        steps, step = _Steps(self, objective, kinks, gradient), 1.0
        while not monitor(x, value, gradient, step, steps.decrement):
            step, point = steps.take(x, value, gradient)
            if step == 0.0:
                break
            x, value, gradient = point
        self.curvature = steps.curvature
        return x


class _Steps:
    """The steps of one descent of Newton's method.

    Attributes
    ----------
    curvature : Curvature or None
    secants : Secants
        What the steps since it was made have told.
    brisk : bool
        Whether both serve for the next step.
    damping : float
    decrement : float or None
        How far the minimum is, as far as the curvature knows.
    """

    def __init__(self, newton, objective, kinks, gradient):
        self.newton, self.objective, self.kinks = newton, objective, kinks
        self.curvature, self.secants, self.damping = newton.curvature, Secants(), 0.0
        # Its systems know nothing of kinks.
        self.brisk, self.decrement = newton.curvature is not None and kinks is None, None
        self.first = float(gradient @ gradient)

    def take(self, x, value, gradient):
        """Return the length of the next step, 0 where there is none, and the point behind it."""
        step = 0.0
        if self.brisk:
            move, fall = self.secants.step(self.curvature, gradient)
            step, point = search(self.objective, x, value, gradient, move, fall)
        if step == 0.0:
            fall, step, point = self._take_anew(x, value, gradient)
        if step > 0.0:
            self.secants.add(point[0] - x, point[2] - gradient)
            self._look_back(step, fall, *point)
        return step, point

    def _take_anew(self, x, value, gradient):
        """Take a step with the curvature of the point itself, as damped as it has to be."""
        newton, objective, kinks = self.newton, self.objective, self.kinks
        if self.curvature is None or not newton.loss.constant_hessian:
            self._make_curvature(x)
        tol, from_before = self._tol(gradient), self.damping
        while True:
            move, fall = model_step(self.curvature, x, gradient, kinks, tol, self.damping)
            if newton.products_first and not self.curvature.solved:
                newton.products_first = False
                self._make_curvature(x)
                continue
            if self._overlooks(gradient, move):
                newton.overlooks = True
                return fall, 0.0, None
            if newton.observe is not None and self.damping == 0.0:
                if newton.observe(self.curvature, x, value, move, fall):
                    return fall, 0.0, None
            step, point = search(objective, x, value, gradient, move, fall)
            hidden = fall <= HIDDEN * abs(value)
            if step > 0 or self.damping >= LARGEST_DAMPING or (hidden and not from_before):
                break
            # Where a damping that an earlier step needed hides the fall, it is not needed any more.
            self.damping = 0.0 if hidden else max(10 * self.damping, FIRST_DAMPING)
            from_before = 0.0 if hidden else from_before
        if step == 1.0:
            self.damping = self.damping / 10 if self.damping > FIRST_DAMPING else 0.0
        elif step <= SHORT:
            self.damping = max(10 * self.damping, FIRST_DAMPING)
        return fall, step, point

    def _make_curvature(self, x):
        newton, objective = self.newton, self.objective
        make = DiagonalCurvature if newton.products_first else curvature_at
        self.curvature, self.secants = make(objective, newton.loss, newton.X, x), Secants()
        if newton.loss.constant_hessian:
            objective.hessian = self.curvature

    def _overlooks(self, gradient, move):
        """Tell whether the objective falls along directions in which its Hessian does not bend."""
        certain = self.kinks is None and self.damping == 0.0 and self.curvature.exact
        if self.newton.gradually or self.newton.observe is not None or not certain:
            return False
        unseen = self.curvature.unseen(gradient, -move)
        size = max(OVERLOOKED * float(gradient @ gradient), ROUNDING * self.first)
        return float(unseen @ unseen) > size

    def _tol(self, gradient):
        """Return the share of a step that the solution of its system may miss."""
        observed = self.newton.observe is not None
        if self.kinks is not None:
            return 0.0 if observed or self.newton.loss.constant_hessian else AT_KINKS
        if observed:
            return EXACT
        share = float(gradient @ gradient) / self.first if self.first > 0 else 1.0
        # Tighter systems would only amplify rounding along directions without curvature.
        return max(1e-6, FORCING * share**0.25)

    def _look_back(self, step, fall, x, value, gradient):
        """See how far the minimum is, with a Hessian that is a step old, and how it has served."""
        if self.kinks is not None:
            if self.newton.observe is not None:  # who looks for himself how far the minimum is
                return
            tol, damping = self._tol(gradient), self.damping
            self.decrement = model_step(self.curvature, x, gradient, self.kinks, tol, damping)[1]
            return
        direction = self.curvature.precondition(gradient)
        unseen = self.curvature.unseen(gradient, direction)
        # In the metric no curvature is above 1.
        seen = self.curvature.stretch * float(gradient @ direction)
        self.decrement = seen + float(unseen @ unseen)
        self.brisk = (
            self.curvature.costly and step == 1.0 and self.damping == 0.0
            and self.newton.observe is None and self.decrement <= BRISK * fall
        )  # fmt: skip


class Secants:
    """What steps have told of a Hessian, on top of one that is not quite right any more.

    References
    ----------
    Nocedal, Updating quasi-Newton matrices with limited storage, 1980.
    """

    def __init__(self):
        self.pairs = []

    def add(self, move, change):
        """Take in by how much a move has changed the gradient."""
        product = float(move @ change)
        if product > 0:
            self.pairs.append((move, change, product))

    def step(self, curvature, gradient):
        """Return the next move and the fall that its slope says."""
        rest, shares = gradient.copy(), []
        for move, change, product in reversed(self.pairs):
            shares.append(float(move @ rest) / product)
            rest -= shares[-1] * change
        rest = curvature.precondition(rest)
        for (move, change, product), share in zip(self.pairs, reversed(shares), strict=True):
            rest += (share - float(change @ rest) / product) * move
        return -rest, float(gradient @ rest)


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
    rounding = 2.0 * objective.rounding(x, value)
    while fall > 0 and step > SHORTEST:
        candidate = x + step * move
        new_value, new_gradient = evaluate(objective, candidate)
        if new_value < value - 1e-4 * step * fall - rounding:
            return step, (candidate, new_value, new_gradient)
        # Where values differ by no more than rounding, the gradient tells which point is better.
        # Along the move it tells less between kinks, whose slopes are not in it.
        left = 0.0 if objective.proximal else -float(new_gradient @ move)
        if new_value <= value + rounding and (
            left > max(FALLING * fall, CERTAIN * rounding)
            or objective.decrement(candidate, new_gradient) < 0.5 * size
        ):
            return step, (candidate, new_value, new_gradient)
        step *= 0.5
    return 0.0, None
