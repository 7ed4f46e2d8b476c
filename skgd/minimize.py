"""The optimizers on any function of an array, with the whole path kept for inspection."""

import inspect

import numpy as np
from scipy.optimize import Bounds, OptimizeResult
from scipy.optimize._numdiff import approx_derivative

from skgd._utils.checks import check_count, check_flag, check_tol, shown
from skgd._utils.names import did_you_mean
from skgd.optimizers import LBFGS, FullBatchOptimizer, make_optimizer
from skgd.schedules import as_schedule, checked_rates

__all__ = ["minimize"]

DIFFERENCES = ("2-point", "3-point", "cs")


def minimize(
    fun, x0, args=(), *, jac=None, optimizer="adam", learning_rate=None, bounds=None, max_iter=1000,
    tol=1e-6, callback=None, keep_path=True,
):  # fmt: skip
    """Minimise a function with an optimizer of skgd, and keep its path.

    The optimizers are those of the estimators. Each iteration takes one step and evaluates the
    function and its gradient once; line searches evaluate them more often.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns a number, or with ``jac=True`` a number and the gradient.
    x0 : array
        The start, of any shape; ``fun`` is called with arrays of that shape.
    args : tuple, default=()
        Additional arguments of ``fun`` and ``jac``.
    jac : callable, True, {"2-point", "3-point", "cs"} or None, default=None
        ``jac(x, *args)`` returns the gradient, shaped like x. True means that ``fun`` returns it
        too. Otherwise it is approximated by finite differences as in SciPy, "2-point" for None, at
        the cost of one more evaluation per parameter.
    optimizer : str, Optimizer or FullBatchOptimizer, default="adam"
        A name such as "sgd", "momentum" or "lbfgs", or an object from ``skgd.optimizers``.
    learning_rate : float, Schedule, callable or None, default=None
        The learning rate of a step rule; in a schedule, an epoch is one step. None means the rule's
        ``plain_rate``, 0.01 for most and 1 for Adadelta and DoG. Full-batch optimizers choose their
        own step length and need None.
    bounds : scipy.optimize.Bounds, sequence of (low, high) or None, default=None
        Bounds on the parameters; None in a pair means no bound. Each step is projected onto them.
    max_iter : int, default=1000
        The maximum number of iterations.
    tol : float or None, default=1e-6
        The descent has converged when no component of the gradient is larger; components that point
        out of the bounds don't count. It has the units of the gradient, like SciPy's ``gtol``. None
        runs ``max_iter`` iterations, as long as line searches find a step.
    callback : callable, default=None
        Called after each iteration, as in SciPy: ``callback(x)``, or
        ``callback(intermediate_result)`` with ``x``, ``fun``, ``jac`` and ``nit`` if its parameter
        has that name. The descent stops if it returns True or raises StopIteration.
    keep_path : bool, default=True
        Whether to keep the path in the result.

    Returns
    -------
    scipy.optimize.OptimizeResult
        With ``x``, ``fun`` and ``jac`` of the last iterate, ``nit``, ``nfev``, ``njev``,
        ``success``, ``status`` (0 converged, 1 max_iter, 2 not finite, 3 no step lowers the
        function, 99 the callback), ``message``, ``path`` of shape (nit + 1, \\*x.shape), which
        begins with the start, and ``path_fun`` of shape (nit + 1,).

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid; the message says what to pass. A function value that isn't finite
        raises no error: the result reports it.

    Examples
    --------
    >>> from scipy.optimize import rosen, rosen_der
    >>> from skgd import minimize
    >>> result = minimize(rosen, [-1.0, 1.0], jac=rosen_der, optimizer="lbfgs")
    >>> result.success, result.x.round(6)
    (True, array([1., 1.]))
    >>> result.path.shape == (result.nit + 1, 2)
    True
    >>> minimize(lambda x: (x - 3) @ (x - 3), [0.0], learning_rate=0.1).x.round(3)
    array([3.])
    """
    if not callable(fun):
        raise TypeError(f"fun={shown(fun)}: pass a function of an array that returns a number.")
    if not isinstance(args, tuple):
        raise TypeError(f"args={shown(args)}: pass a tuple, ({shown(args)},) for one argument.")
    optimizer = _make_optimizer(optimizer, learning_rate, bounds)
    start = _checked_start(x0)
    function = _Function(fun, start.shape, args, jac, _checked_bounds(bounds, start))
    check_count("max_iter", max_iter)
    check_tol(tol)
    check_flag("keep_path", keep_path)
    run = _Run(function, int(max_iter), tol, _with_result(callback), keep_path)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x = function.prox(start.ravel(), 0.0)
        if isinstance(optimizer, FullBatchOptimizer):
            optimizer.solve(function, x, run.stops)
        else:
            rate = optimizer.plain_rate if learning_rate is None else learning_rate
            _take_steps(optimizer, as_schedule(rate).bound(run.max_iter, 1), function, x, run)
    return run.result()


def scipy_method(
    fun, x0, args=(), jac=None, hess=None, hessp=None, bounds=None, constraints=(), callback=None,
    *, maxiter=None, **settings,
):  # fmt: skip
    """Run `minimize` as a ``method`` of ``scipy.optimize.minimize``, which calls it like this."""
    if np.size(constraints) > 0:
        raise ValueError(
            "constraints with an optimizer of skgd: pass bounds, or method='SLSQP' or "
            "'trust-constr'."
        )
    if maxiter is not None:
        settings["max_iter"] = maxiter
    return minimize(fun, x0, args, jac=jac, bounds=bounds, callback=callback, **settings)


def _take_steps(optimizer, schedule, function, x, run):
    """Descend by a step rule: the same compiled rule, state and rates as in a fit."""
    x, g, rule = x.copy(), np.empty(len(x)), optimizer.compiled()
    state = np.zeros((optimizer.slots, len(x)))
    rule.bind(x, g, state)
    value, g[:] = function.value_and_gradient(x)
    rate, t, start = np.nan, 0, x.copy()
    while not run.stops(x, value, g, rate):
        rate = float(checked_rates(schedule, np.array([t]))[0])
        rule.apply(x, g, state, rate, t)
        x[:] = function.prox(x, rate)
        value, g[:] = function.value_and_gradient(x)
        schedule.observe(value)
        t += 1
    if not t or not np.array_equal(x, start) or function.steepness(x, g) == 0.0:
        return
    # From zero, where nothing is rounded away, the same step goes somewhere if any does.
    near, state = np.zeros(len(x)), np.zeros(state.shape)
    rule.bind(near, g, state)
    rule.apply(near, g, state, float(checked_rates(schedule, np.arange(t)).max()), 0)
    if not near.any():
        raise ValueError(
            f"learning_rate and optimizer={optimizer!r}: {t} update steps have not changed x, "
            "though a derivative is not zero; pass a larger learning_rate, or change w in place "
            "(w -= ...) in update, which must neither rebind w nor return it."
        )
    run.stalls(t)


class _Function:
    """A user's function on flat arrays: counts calls, checks what comes back, knows the bounds.

    It is the objective of the full-batch optimizers: where it is not finite it is infinite and
    flat, so that a line search turns back.
    """

    first_step = 1.0

    def __init__(self, fun, shape, args, jac, bounds):
        if not (jac is None or jac is True or callable(jac)) and (
            not isinstance(jac, str) or jac not in DIFFERENCES
        ):
            raise ValueError(
                f"jac={shown(jac)}: pass a function, True, None, or one of "
                f"{', '.join(map(repr, DIFFERENCES))}{did_you_mean('jac', jac, DIFFERENCES)}"
            )
        self.fun, self.shape, self.args, self.jac, self.bounds = fun, shape, args, jac, bounds
        self.nfev = self.njev = 0

    @property
    def proximal(self):
        return self.bounds is not None

    def prox(self, x, step):
        """Return the point of the bounds that is nearest to x, whatever the step was."""
        return np.clip(x, *self.bounds) if self.proximal else x

    def nonsmooth_value(self, x):
        return 0.0

    def steepness(self, x, gradient):
        """Return the largest derivative, without those that point out of the bounds.

        A step along the gradient would be rounded away where x is large, so none is taken.
        """
        if self.proximal:
            low, high = self.bounds
            outwards = ((x <= low) & (gradient > 0.0)) | ((x >= high) & (gradient < 0.0))
            gradient = np.where(outwards, 0.0, gradient)
        return float(np.max(np.abs(gradient), initial=0.0))

    def value_and_gradient(self, x):
        value = self._value(x)
        if self.jac is True:
            try:
                value, gradient = value
            except (TypeError, ValueError) as error:
                raise _bad_value(value) from error
            self.njev += 1
        value = _as_number(value)
        if not np.isfinite(value):
            return (value if value == -np.inf else np.inf), np.zeros(len(x))
        if self.jac is not True:
            gradient = self._gradient(x, value)
        gradient = np.asarray(gradient, dtype=float)
        if gradient.size != x.size:
            raise ValueError(
                f"the derivatives have shape {gradient.shape}, where x has {self.shape}: return "
                "one for each parameter."
            )
        if not np.all(np.isfinite(gradient)):
            return np.inf, np.zeros(len(x))
        return value, gradient.ravel()

    def _value(self, x):
        self.nfev += 1
        return self.fun(x.reshape(self.shape).copy(), *self.args)

    def _gradient(self, x, value):
        self.njev += 1
        if callable(self.jac):
            return self.jac(x.reshape(self.shape).copy(), *self.args)
        return self._differences(x, value)

    def _differences(self, x, value):
        low, high = self.bounds if self.proximal else np.full((2, len(x)), [[-np.inf], [np.inf]])
        free, gradient = low < high, np.zeros(len(x))

        def of_free_parameters(z):
            point = x.astype(z.dtype)
            point[free] = z
            return self._value(point)

        if free.any():
            gradient[free] = approx_derivative(
                of_free_parameters, x[free], method=self.jac or "2-point", f0=value,
                bounds=(low[free], high[free]),
            )  # fmt: skip
        return gradient


class _Run:
    """The path of a descent, and what ended it."""

    def __init__(self, function, max_iter, tol, callback, keep_path):
        self.function, self.max_iter, self.tol = function, max_iter, tol
        self.callback, self.keep_path = callback, keep_path
        self.path, self.path_fun, self.nit = [], [], -1
        self.status = self.message = None

    def stops(self, x, value, gradient, rate):
        """Enter an iterate and the rate that led to it; return whether the descent shall stop."""
        first, finite = self.nit < 0, bool(np.isfinite(value))
        if first or finite:
            self.nit += 1
            self.x, self.value, self.gradient = x.copy(), value, gradient.copy()
            if self.keep_path:
                self.path.append(self.x)
                self.path_fun.append(value)
        if not finite and first:
            self._stop(2, "fun or jac is not finite at x0: pass another x0.")
        elif not finite:
            self._stop(
                2, f"fun or jac is not finite after step {self.nit + 1} at rate {rate:.3g}: pass "
                "bounds, another x0 or, for a step rule, a smaller learning_rate. x is the iterate "
                "before.",
            )  # fmt: skip
        elif self.nit > 0 and self._callback_stops():
            self._stop(99, f"The callback stopped the descent at step {self.nit}.")
        elif self.tol is not None and self.steepness <= self.tol:
            self._stop(
                0, f"The largest derivative is {self.steepness:.3g}, not above tol={self.tol}."
            )
        elif self.nit >= self.max_iter and self.tol is None:
            self._stop(0, f"max_iter={self.max_iter} steps were taken.")
        elif self.nit >= self.max_iter:
            self._stop(
                1, f"max_iter={self.max_iter} steps were taken, and the largest derivative is "
                f"{self.steepness:.3g}, above tol={self.tol}: pass a larger max_iter or tol, or "
                "another optimizer or learning_rate.",
            )  # fmt: skip
        return self.message is not None

    @property
    def steepness(self):
        return self.function.steepness(self.x, self.gradient)

    def result(self):
        """Return what scipy's minimisers return, and the path."""
        if self.message is None:
            self._stop(
                3, f"No step from here lowers fun, and the largest derivative is "
                f"{self.steepness:.3g} with tol={self.tol}: pass a larger tol, bounds if fun "
                "has no minimum, or check jac.",
            )  # fmt: skip
        shape = self.function.shape
        result = OptimizeResult(
            x=self.x.reshape(shape), fun=self.value, jac=self.gradient.reshape(shape),
            nit=self.nit, nfev=self.function.nfev, njev=self.function.njev,
            success=self.status == 0, status=self.status, message=self.message,
        )  # fmt: skip
        if self.keep_path:
            result.path = np.array(self.path).reshape(-1, *shape)
            result.path_fun = np.array(self.path_fun)
        return result

    def stalls(self, n_steps):
        """Say that no step was long enough to change x."""
        if self.status in (0, 1):
            self._stop(
                3, f"{n_steps} update steps were rounded away, each less than half a unit in the "
                "last place of x: pass a larger learning_rate, or an x0 nearer to zero.",
            )  # fmt: skip

    def _stop(self, status, message):
        self.status, self.message = status, message

    def _callback_stops(self):
        if self.callback is None:
            return False
        shape = self.function.shape
        state = OptimizeResult(
            x=self.x.reshape(shape).copy(), fun=self.value, nit=self.nit,
            jac=self.gradient.reshape(shape).copy(),
        )  # fmt: skip
        try:
            return self.callback(state) is True
        except StopIteration:
            return True


# ---- what the user passed -----------------------------------------------------------------------

def _make_optimizer(optimizer, learning_rate, bounds):
    made = make_optimizer(optimizer, among=())
    if made is None:
        raise ValueError(
            f"optimizer={optimizer!r} is for estimators: pass 'adam', 'lbfgs', or another name."
        )
    name = type(made).__name__
    if isinstance(made, FullBatchOptimizer) and learning_rate is not None:
        raise ValueError(
            f"learning_rate={shown(learning_rate)} with optimizer={optimizer!r}: {name} finds its "
            "own step lengths; pass learning_rate=None, or a step rule such as optimizer='adam'."
        )
    if isinstance(learning_rate, str):
        raise ValueError(
            f"learning_rate={shown(learning_rate)}: pass None for the plain rate of {name}, "
            f"{made.plain_rate}, a positive number, a Schedule, or a function of an array of step "
            "numbers; nothing is known about a function that a rate could be found from."
        )
    if isinstance(made, LBFGS) and bounds is not None:
        raise ValueError(
            f"bounds with optimizer={optimizer!r}: pass optimizer='accelerated_gradient', or call "
            "scipy.optimize.minimize(method='L-BFGS-B')."
        )
    return made


def _checked_start(x0):
    try:
        start = np.atleast_1d(np.asarray(x0))
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"x0={shown(x0)}: pass finite real numbers.") from error
    if not start.size:
        raise ValueError(f"x0={shown(x0)} is empty: pass one number or more.")
    if start.dtype.kind not in "biuf" or not np.all(np.isfinite(start)):
        raise ValueError(f"x0={shown(x0)}: pass finite real numbers.")
    return start.astype(float)


def _checked_bounds(bounds, start):
    """Return flat arrays of lower and upper bounds, or None."""
    if bounds is None:
        return None
    try:
        if isinstance(bounds, Bounds):
            low, high = bounds.lb, bounds.ub
        else:
            low, high = zip(*bounds, strict=True)
            low = np.reshape([-np.inf if side is None else side for side in low], start.shape)
            high = np.reshape([np.inf if side is None else side for side in high], start.shape)
        low, high = (np.broadcast_to(side, start.shape).astype(float) for side in (low, high))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"bounds={shown(bounds)}: pass one (low, high) for each of the {start.size} parameters."
        ) from error
    if not np.all(low <= high):
        raise ValueError(
            f"bounds={shown(bounds)}: pass lower bounds that are not above the upper ones."
        )
    return low.ravel(), high.ravel()


def _with_result(callback):
    """Return a callback that takes an intermediate result, as scipy reads signatures."""
    if callback is None:
        return None
    if not callable(callback):
        raise TypeError(
            f"callback={shown(callback)}: pass a function of x, or of intermediate_result."
        )
    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:
        return lambda state: callback(intermediate_result=state)
    return lambda state: callback(state.x)


def _as_number(value):
    number = np.asarray(value)
    if number.size != 1 or number.dtype.kind not in "biuf":
        raise _bad_value(value)
    return float(number.ravel()[0])


def _bad_value(value):
    return ValueError(
        f"fun returned {shown(value)}: return one real number, or with jac=True a pair of it and "
        "the derivatives."
    )
