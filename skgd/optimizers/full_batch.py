"""Optimizers that choose their own step lengths, from gradients of all rows."""

import numpy as np
from scipy import optimize

from skgd._utils.checks import check_count
from skgd.optimizers.base import Minimizer, check_smooth

__all__ = [
    "FullBatchOptimizer",
    "GradientDescent",
    "AcceleratedGradient",
    "BarzilaiBorwein",
    "LBFGS",
]


class FullBatchOptimizer(Minimizer):
    """Base class of the optimizers that choose their own step lengths from full gradients.

    Attributes
    ----------
    descends : bool
        Whether the objective decreases during a run, so that a value far above the first one means
        divergence.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd import GDRegressor
    >>> from skgd.optimizers import FullBatchOptimizer
    >>> class UnitSteps(FullBatchOptimizer):
    ...     def solve(self, objective, x, monitor):
    ...         value, gradient = objective.value_and_gradient(x)
    ...         while not monitor(x, value, gradient, 1.0):
    ...             x = x - gradient
    ...             value, gradient = objective.value_and_gradient(x)
    ...         return x
    >>> X, y = np.arange(6.0).reshape(-1, 1), 3 * np.arange(6.0)
    >>> GDRegressor(optimizer=UnitSteps(), alpha=0).fit(X, y).coef_.round(3)
    array([3.])
    """

    takes_batches = takes_streams = False
    descends = True

    def solve(self, objective, x, monitor):
        """Descend from ``x`` until ``monitor`` says stop or rounding ends the descent.

        Parameters
        ----------
        objective : object
            ``objective.value_and_gradient(x)`` of the smooth part; where ``objective.proximal``,
            ``objective.nonsmooth_value(x)`` is the value of the part that is not smooth and
            ``objective.prox(x, step)`` its proximal point.
        x : array of shape (n_parameters,)
            The start, in the coordinates of the metric.
        monitor : callable
            ``monitor(x, value, gradient, step)`` is called once an iteration, with the whole
            objective, the smooth part's gradient and the step's size; True ends the descent.

        Returns
        -------
        array of shape (n_parameters,)
        """
        raise NotImplementedError(f"{type(self).__name__} does not define solve.")


def _decreases_enough(at, gradient, value, new_gradient, move, step):
    """Whether a step stays below the parabola of curvature 1 / step.

    Where rounding hides that, the change of the gradient along the step tells the curvature.
    """
    if value == float("inf"):
        return False
    bound = at + gradient @ move + (move @ move) / (2 * step)
    rounding = 1e-14 * (abs(at) + abs(value))
    if abs(value - bound) > rounding:
        return value < bound
    return (new_gradient - gradient) @ move <= (move @ move) / step


class GradientDescent(FullBatchOptimizer):
    """Full gradient descent with a backtracking line search.

    ``x = prox(x - step g)`` with the step halved until the objective decreases as far as a
    quadratic model of curvature ``1 / step`` predicts. Each iteration first tries a longer step.

    Parameters
    ----------
    shrink : float, default=0.5
        The factor of each backtracking, between 0 and 1.
    grow : float, default=1.5
        The factor by which the next iteration's first trial step grows, at least 1.

    References
    ----------
    Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm, 2009.

    Examples
    --------
    >>> from skgd import GDRegressor
    >>> from skgd.optimizers import GradientDescent
    >>> GDRegressor(optimizer=GradientDescent(shrink=0.8)).optimizer
    GradientDescent(shrink=0.8)
    """

    def __init__(self, *, shrink=0.5, grow=1.5):
        self.shrink = shrink
        self.grow = grow

    def solve(self, objective, x, monitor):
        shrink, grow = _backtracking(self.shrink, self.grow)
        step = objective.first_step
        value, gradient = objective.value_and_gradient(x)
        while not monitor(x, value + objective.nonsmooth_value(x), gradient, step):
            step *= grow
            while True:
                candidate = objective.prox(x - step * gradient, step)
                move = candidate - x
                if not move @ move > 0.0:
                    return x
                new_value, new_gradient = objective.value_and_gradient(candidate)
                if _decreases_enough(value, gradient, new_value, new_gradient, move, step):
                    break
                step *= shrink
            x, value, gradient = candidate, new_value, new_gradient
        return x


def _backtracking(shrink, grow):
    if not 0 < shrink < 1:
        raise ValueError(f"shrink={shrink!r}: pass a number between 0 and 1.")
    if not 1 <= grow < float("inf"):
        raise ValueError(f"grow={grow!r}: pass a number >= 1.")
    return shrink, grow


class AcceleratedGradient(FullBatchOptimizer):
    """Nesterov's accelerated gradient, proximal, with backtracking and restarts.

    ``x_next = prox(z - step grad(z))``, ``z = x_next + (q - 1)/q_next (x_next - x)`` with
    ``q_next = (1 + sqrt(1 + 4 q^2))/2``; the momentum restarts when it points uphill.

    Parameters
    ----------
    shrink : float, default=0.5
        The factor of each backtracking, between 0 and 1.
    grow : float, default=1.05
        The factor by which the next iteration's first trial step grows, at least 1.

    References
    ----------
    Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm, 2009. O'Donoghue and
    Candes, Adaptive restart for accelerated gradient schemes, 2015.

    Examples
    --------
    >>> from skgd import GDRegressor
    >>> from skgd.optimizers import AcceleratedGradient
    >>> GDRegressor(penalty="l1", optimizer=AcceleratedGradient()).optimizer
    AcceleratedGradient()
    """

    def __init__(self, *, shrink=0.5, grow=1.05):
        self.shrink = shrink
        self.grow = grow

    def solve(self, objective, x, monitor):
        shrink, grow = _backtracking(self.shrink, self.grow)
        step, q, z = objective.first_step, 1.0, x
        value, gradient = objective.value_and_gradient(x)
        value_z, gradient_z = value, gradient
        while not monitor(x, value + objective.nonsmooth_value(x), gradient, step):
            step *= grow
            while True:
                candidate = objective.prox(z - step * gradient_z, step)
                move = candidate - z
                new_value, new_gradient = objective.value_and_gradient(candidate)
                if _decreases_enough(value_z, gradient_z, new_value, new_gradient, move, step):
                    break
                step *= shrink
                if not move @ move > 0.0:
                    return x
            if move @ (candidate - x) < 0 and q > 1:
                q, z, value_z, gradient_z = 1.0, x, value, gradient
                continue
            q_next = 0.5 * (1 + np.sqrt(1 + 4 * q * q))
            # Within the bounds: the value and the gradient there are those of no other point.
            z = objective.prox(candidate + (q - 1) / q_next * (candidate - x), 0.0)
            x, value, gradient, q = candidate, new_value, new_gradient, q_next
            value_z, gradient_z = objective.value_and_gradient(z)
        return x


class BarzilaiBorwein(FullBatchOptimizer):
    """Proximal gradient descent with step lengths from the curvature along the last step.

    ``x = prox(x - step g)``; then, with s the change of x and y that of g, ``step = s.s / s.y`` and
    ``s.y / y.y`` alternately. The objective may increase temporarily: a step is shortened only if
    the objective exceeds the largest of the last few values.

    Parameters
    ----------
    memory : int, default=10
        The number of last values that a step is compared with.
    shrink : float, default=0.5
        The factor of each backtracking, between 0 and 1.

    References
    ----------
    Barzilai and Borwein, Two-point step size gradient methods, 1988. Wright, Nowak and Figueiredo,
    Sparse reconstruction by separable approximation, 2009.

    Examples
    --------
    >>> from skgd import GDRegressor
    >>> GDRegressor(penalty="l1", optimizer="barzilai_borwein").optimizer
    'barzilai_borwein'
    """

    def __init__(self, *, memory=10, shrink=0.5):
        self.memory = memory
        self.shrink = shrink

    def solve(self, objective, x, monitor):
        check_count("memory", self.memory)
        memory, shrink = self.memory, _backtracking(self.shrink, 1.0)[0]
        step, short = objective.first_step, False
        smooth, gradient = objective.value_and_gradient(x)
        values = [smooth + objective.nonsmooth_value(x)]
        while not monitor(x, values[-1], gradient, step):
            while True:
                candidate = objective.prox(x - step * gradient, step)
                move = candidate - x
                square = move @ move
                if not square > 0.0:
                    return x
                smooth, new_gradient = objective.value_and_gradient(candidate)
                value = smooth + objective.nonsmooth_value(candidate)
                highest = max(values)
                # Where rounding hides the decrease, the formula for the step is left alone.
                slack = 1e-14 * abs(highest)
                if value <= highest - 1e-4 * square / step + slack:
                    break
                step *= shrink
            change = new_gradient - gradient
            curvature = move @ change
            if curvature > 0.0:
                step = curvature / (change @ change) if short else square / curvature
                short = not short
            x, gradient, values = candidate, new_gradient, [*values, value][-memory:]
        return x


class LBFGS(FullBatchOptimizer):
    """The limited-memory BFGS method of SciPy, for smooth objectives.

    Parameters
    ----------
    memory : int, default=10
        The number of pairs of steps and gradients that model the curvature.

    References
    ----------
    Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989;
    ``scipy.optimize.minimize(method="L-BFGS-B")``.

    Examples
    --------
    >>> from skgd import GDRegressor
    >>> GDRegressor(optimizer="lbfgs").optimizer
    'lbfgs'
    """

    def __init__(self, *, memory=10):
        self.memory = memory

    def solve(self, objective, x, monitor, *, first_step=None):
        """Do as any full-batch optimizer does.

        Parameters
        ----------
        first_step : float, default=None
            The share of the gradient that the first step takes; None is a step of length 1.
        """
        check_count("memory", self.memory)
        check_smooth(self, objective)
        latest = {}

        def value_and_gradient(x):
            value, gradient = objective.value_and_gradient(x)
            if latest and not (value < np.inf and np.all(np.isfinite(gradient))):
                # The line search interpolates: it turns back from values that are merely high.
                return latest["value"] + 1e3 * abs(latest["value"]) + 1.0, np.zeros(len(x))
            latest.update(x=x.copy(), value=value, gradient=gradient)
            return value, gradient

        value_and_gradient(x)
        if monitor(x, latest["value"], latest["gradient"], 1.0):
            return x
        # SciPy's first step has length 1: in this unit it is the one that was asked for.
        unit = 1.0 if first_step is None else first_step * float(np.linalg.norm(latest["gradient"]))
        unit = unit if 0.0 < unit < np.inf else 1.0

        def in_units(v):
            value, gradient = value_and_gradient(unit * v)
            return value, unit * gradient

        def callback(intermediate_result):
            x = unit * intermediate_result.x
            if not np.array_equal(latest["x"], x):
                value_and_gradient(x)
            if monitor(latest["x"], latest["value"], latest["gradient"], 1.0):
                raise StopIteration

        options = {
            "maxcor": self.memory, "maxiter": 2**31 - 1, "maxfun": 2**31 - 1,
            "ftol": 0.0, "gtol": 0.0, "maxls": 40,
        }
        return unit * optimize.minimize(
            in_units, x / unit, jac=True, method="L-BFGS-B", callback=callback, options=options
        ).x
