# cython: language_level=3, cdivision=True
"""Optimizers, in order of increasing complexity: step rules first, then full-batch solvers.

A step rule is two adjacent classes. The rule has the mathematics in the papers' letters: ``w`` the
parameters, ``g`` the gradient, ``s`` the state, ``t`` the step number from 0. It is made afresh for
each run and each row of parameters. The public class has the hyperparameters and the documentation.
No optimizer holds a learning rate: that is the estimator's.
"""

from functools import partial
from numbers import Integral

import numpy as np
from scipy import optimize
from sklearn.base import BaseEstimator

from libc.math cimport pow, sqrt
from libc.string cimport memcpy

from skgd._arrays cimport floats, writeable_floats

from skgd.losses import check_complete, make_rule, overrides

cdef extern from "_vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)


__all__ = [
    "Optimizer",
    "SGD",
    "Adagrad",
    "RMSprop",
    "Adam",
    "FullBatchOptimizer",
    "GradientDescent",
    "AcceleratedGradient",
    "LBFGS",
]


# ---- the contract of step rules -----------------------------------------------------------------

cdef class Rule:
    """The mathematics of a step rule, over one row of parameters."""

    cdef int update(self, double* w, const double* g, double* s, double rate, Py_ssize_t t,
                    Py_ssize_t d, double* step) except -1 nogil:
        with gil:
            raise NotImplementedError(f"{type(self).__name__} has no update.")

    @property
    def is_local(self):
        """Whether coordinates with a zero gradient stay as they are."""
        return self.local

    def bind(self, w, g, state):
        """Receive the arrays that every later update of the run works on."""

    def apply(self, w, g, state, double rate, Py_ssize_t t):
        """Run one update on arrays and return the step sizes."""
        if np.ndim(w) != 1:
            raise ValueError(f"w has shape {np.shape(w)}: pass (n_parameters,).")
        if np.ndim(state) != 2 or len(state) < self.slots:
            raise ValueError(
                f"state has shape {np.shape(state)}: pass at least {self.slots} rows like w."
            )
        step = np.empty(w.shape)
        cdef Py_ssize_t d = w.shape[0]
        self.update(writeable_floats(w, (d,)), floats(g, (d,)),
                    writeable_floats(state, (len(state), d)), rate, t, d,
                    writeable_floats(step, (d,)))
        return step


cdef class PythonRule(Rule):
    """Calls the update of a user's optimizer back, with the run's own arrays."""

    cdef object method, w, g, state

    def __init__(self, optimizer):
        self.method, self.slots = optimizer.update, optimizer.slots

    def bind(self, w, g, state):
        self.w, self.g, self.state = w, g, state

    cdef int update(self, double* w, const double* g, double* s, double rate, Py_ssize_t t,
                    Py_ssize_t d, double* step) except -1 nogil:
        with gil:
            result = self.method(self.w, self.g, self.state, rate, t)
            if step != NULL:
                sizes = np.empty(d)
                sizes[:] = rate if result is None else result
                memcpy(step, floats(sizes, (d,)), d * sizeof(double))
        return 0


class Optimizer(BaseEstimator):
    """Base class of the step rules; subclass it to write your own.

    Attributes
    ----------
    slots : int
        The number of arrays of state, each shaped like the parameters and zero at first.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd import GDRegressor
    >>> from skgd.optimizers import Optimizer
    >>> class SignDescent(Optimizer):
    ...     slots = 0
    ...     def update(self, w, g, state, rate, t):
    ...         w -= rate * np.sign(g)
    >>> X, y = np.arange(6.0).reshape(-1, 1), 3 * np.arange(6.0)
    >>> model = GDRegressor(optimizer=SignDescent(), learning_rate=lambda t: 0.5 / (1 + t))
    >>> model.fit(X, y).coef_.round(1)
    array([3.])
    """

    Rule = None

    @property
    def slots(self):
        return 0 if type(self).Rule is None else self._rule().slots

    def update(self, w, g, state, rate, t):
        """Take one step: change ``w`` and ``state`` in place.

        Parameters
        ----------
        w : array of shape (n_parameters,)
            The parameters, in the coordinates of the metric.
        g : array of shape (n_parameters,)
            The gradient; read only.
        state : array of shape (slots, n_parameters)
            The memory of the rule, zero at first.
        rate : float
            The learning rate of this step.
        t : int
            The number of the step, from 0.

        Returns
        -------
        float, array of shape (n_parameters,) or None
            The size of the step that a unit gradient takes in the steady state, which proximal
            penalties use; None stands for ``rate``.
        """
        return self._rule().apply(w, g, state, rate, t)

    def compiled(self):
        """Return the rule that the engine runs; one that calls back where a subclass overrides."""
        if overrides(type(self), Optimizer, {"update"}):
            return PythonRule(self)
        check_complete(self, "update(w, g, state, rate, t)")
        return self._rule()

    def minimizer(self, *, learning_rate=None, max_iter=1000, tol=1e-6, keep_path=True):
        """Return a ``method`` for ``scipy.optimize.minimize``.

        Parameters
        ----------
        learning_rate : float, Schedule, callable or None, default=None
            The rate; in a schedule, an epoch is one step. None means 0.01.
        max_iter : int, default=1000
            The largest number of steps; scipy's ``options={"maxiter": ...}`` comes before it.
        tol : float or None, default=1e-6
            The largest derivative at which the descent has converged; scipy's ``tol`` comes before.
        keep_path : bool, default=True
            Whether the result has the path.

        Returns
        -------
        callable

        Examples
        --------
        >>> from scipy.optimize import minimize, rosen, rosen_der
        >>> from skgd.optimizers import Adam
        >>> method = Adam().minimizer(learning_rate=0.1)
        >>> minimize(rosen, [-1.0, 1.0], jac=rosen_der, method=method).x.round(3)
        array([1., 1.])
        """
        # Not at the top, because that module knows this one.
        from skgd.minimize import scipy_method

        return partial(
            scipy_method, optimizer=self, learning_rate=learning_rate, max_iter=max_iter, tol=tol,
            keep_path=keep_path,
        )

    def _rule(self):
        return make_rule(self, "update(w, g, state, rate, t)")


def _in_unit_interval(name, value):
    if not 0 <= value < 1:
        raise ValueError(f"{name}={value!r}: pass a number from 0 to below 1.")
    return value


def _not_negative(name, value):
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}={value!r}: pass a finite number >= 0.")
    return value


# ---- step rules ---------------------------------------------------------------------------------

cdef class SGDRule(Rule):
    cdef double momentum, dampening
    cdef bint nesterov

    def __init__(self, momentum, nesterov, dampening):
        self.momentum = _in_unit_interval("momentum", momentum)
        self.dampening = _in_unit_interval("dampening", dampening)
        self.nesterov = nesterov
        self.local = self.plain = momentum == 0
        self.slots = momentum != 0
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("nesterov=True: pass a momentum above 0 and dampening=0.")

    cdef int update(self, double* w, const double* g, double* s, double rate, Py_ssize_t t,
                    Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double fresh = 1.0 - self.dampening if t > 0 else 1.0
        if self.plain:
            skgd_axpy(d, -rate, g, w)
        elif self.nesterov:
            for j in range(d):
                s[j] = self.momentum * s[j] + fresh * g[j]
                w[j] -= rate * (g[j] + self.momentum * s[j])
        else:
            for j in range(d):
                s[j] = self.momentum * s[j] + fresh * g[j]
                w[j] -= rate * s[j]
        if step != NULL:
            for j in range(d):
                step[j] = rate * (1.0 - self.dampening) / (1.0 - self.momentum)
        return 0


class SGD(Optimizer):
    """Gradient descent, with momentum on request.

    ``s = momentum s + (1 - dampening) g``, ``w = w - rate s``; the first step takes ``s = g``. With
    nesterov, ``w = w - rate (g + momentum s)``. The definition is that of ``torch.optim.SGD``.

    Parameters
    ----------
    momentum : float, default=0.0
        The share of the last step that is kept, from 0 to below 1.
    nesterov : bool, default=False
        Whether to look ahead along the momentum.
    dampening : float, default=0.0
        The share by which the new gradient is reduced.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep
    learning, ICML 2013.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import SGD
    >>> GDClassifier(optimizer=SGD(momentum=0.9), learning_rate=0.1).optimizer
    SGD(momentum=0.9)
    """

    Rule = SGDRule

    def __init__(self, *, momentum=0.0, nesterov=False, dampening=0.0):
        self.momentum = momentum
        self.nesterov = nesterov
        self.dampening = dampening


cdef class AdagradRule(Rule):
    cdef double eps

    def __init__(self, eps):
        self.eps = _not_negative("eps", eps)
        self.local = True
        self.slots = 1

    cdef int update(self, double* w, const double* g, double* s, double rate, Py_ssize_t t,
                    Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        for j in range(d):
            s[j] += g[j] * g[j]
            if g[j] != 0.0:
                w[j] -= rate * g[j] / (sqrt(s[j]) + self.eps)
        if step != NULL:
            for j in range(d):
                step[j] = rate / (sqrt(s[j]) + self.eps) if s[j] > 0.0 else rate
        return 0


class Adagrad(Optimizer):
    """A rate for each coordinate that falls with the sum of its squared gradients.

    ``s = s + g^2``, ``w = w - rate g / (sqrt(s) + eps)``. The definition is that of
    ``torch.optim.Adagrad``.

    Parameters
    ----------
    eps : float, default=1e-10
        Keeps the division finite.

    References
    ----------
    Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic
    optimization, JMLR 2011.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import Adagrad
    >>> GDClassifier(optimizer=Adagrad(), learning_rate=0.1).optimizer
    Adagrad()
    """

    Rule = AdagradRule

    def __init__(self, *, eps=1e-10):
        self.eps = eps


cdef class RMSpropRule(Rule):
    cdef double rho, momentum, eps
    cdef bint centered

    def __init__(self, rho, momentum, centered, eps):
        self.rho = _in_unit_interval("rho", rho)
        self.momentum = _in_unit_interval("momentum", momentum)
        self.eps = _not_negative("eps", eps)
        self.centered = centered
        self.slots = 1 + self.centered + (momentum != 0)

    cdef int update(self, double* w, const double* g, double* s, double rate, Py_ssize_t t,
                    Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* v = s
        cdef double* mean = s + d
        cdef double* b = s + d + d * self.centered
        cdef double variance, scale
        for j in range(d):
            v[j] = self.rho * v[j] + (1.0 - self.rho) * g[j] * g[j]
            variance = v[j]
            if self.centered:
                mean[j] += (1.0 - self.rho) * (g[j] - mean[j])
                variance -= mean[j] * mean[j]
            # The difference is never negative but for rounding.
            scale = 1.0 / (sqrt(variance if variance > 0.0 else 0.0) + self.eps)
            if self.momentum > 0.0:
                b[j] = self.momentum * b[j] + g[j] * scale
                w[j] -= rate * b[j]
            elif g[j] != 0.0:
                w[j] -= rate * g[j] * scale
            if step != NULL:
                step[j] = rate * scale / (1.0 - self.momentum)
        return 0


class RMSprop(Optimizer):
    """A rate for each coordinate from a running mean of its squared gradients.

    ``v = rho v + (1 - rho) g^2``, ``w = w - rate g / (sqrt(v) + eps)``; with centered, the running
    mean's square is taken off v; with momentum, the quotients are summed up as in SGD. The
    definition is that of ``torch.optim.RMSprop``.

    Parameters
    ----------
    rho : float, default=0.99
        The memory of the running mean, from 0 to below 1.
    momentum : float, default=0.0
        The share of the last step that is kept, from 0 to below 1.
    centered : bool, default=False
        Whether to divide by the standard deviation of the gradient.
    eps : float, default=1e-8
        Keeps the division finite; outside of the square root.

    References
    ----------
    Tieleman and Hinton, Neural networks for machine learning, lecture 6.5, 2012.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import RMSprop
    >>> GDClassifier(optimizer=RMSprop(rho=0.9), learning_rate=0.01).optimizer
    RMSprop(rho=0.9)
    """

    Rule = RMSpropRule

    def __init__(self, *, rho=0.99, momentum=0.0, centered=False, eps=1e-8):
        self.rho = rho
        self.momentum = momentum
        self.centered = centered
        self.eps = eps


cdef class AdamRule(Rule):
    cdef double beta_1, beta_2, eps
    cdef bint amsgrad

    def __init__(self, beta_1, beta_2, eps, amsgrad):
        self.beta_1 = _in_unit_interval("beta_1", beta_1)
        self.beta_2 = _in_unit_interval("beta_2", beta_2)
        self.eps = _not_negative("eps", eps)
        self.amsgrad = amsgrad
        self.slots = 2 + self.amsgrad

    cdef int update(self, double* w, const double* g, double* s, double rate, Py_ssize_t t,
                    Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* m = s
        cdef double* v = s + d
        cdef double* v_max = s + 2 * d
        cdef double correction_1 = 1.0 / (1.0 - pow(self.beta_1, t + 1))
        cdef double correction_2 = 1.0 / sqrt(1.0 - pow(self.beta_2, t + 1))
        cdef double m_hat, scale
        for j in range(d):
            m[j] += (1.0 - self.beta_1) * (g[j] - m[j])
            v[j] = self.beta_2 * v[j] + (1.0 - self.beta_2) * g[j] * g[j]
        if self.amsgrad:
            for j in range(d):
                v_max[j] = v[j] if v[j] > v_max[j] else v_max[j]
            v = v_max
        for j in range(d):
            m_hat = m[j] * correction_1
            scale = sqrt(v[j]) * correction_2 + self.eps
            w[j] -= rate * m_hat / scale if m_hat != 0.0 else 0.0
        if step != NULL:
            for j in range(d):
                step[j] = rate / (sqrt(v[j]) * correction_2 + self.eps)
        return 0


class Adam(Optimizer):
    """Momentum and a rate for each coordinate, both corrected for their start at zero.

    ``m = beta_1 m + (1 - beta_1) g``, ``v = beta_2 v + (1 - beta_2) g^2``,
    ``w = w - rate m_hat / (sqrt(v_hat) + eps)`` with ``m_hat = m / (1 - beta_1^(t+1))`` and
    ``v_hat = v / (1 - beta_2^(t+1))``. The definition is that of ``torch.optim.Adam``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The memory of the gradient's mean, from 0 to below 1.
    beta_2 : float, default=0.999
        The memory of the squared gradient's mean, from 0 to below 1.
    eps : float, default=1e-8
        Keeps the division finite; outside of the square root.
    amsgrad : bool, default=False
        Whether to divide by the largest v so far.

    References
    ----------
    Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015. Reddi, Kale and Kumar, On
    the convergence of Adam and beyond, ICLR 2018.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import Adam
    >>> GDClassifier(optimizer=Adam(beta_1=0.95), learning_rate=0.01).optimizer
    Adam(beta_1=0.95)
    """

    Rule = AdamRule

    def __init__(self, *, beta_1=0.9, beta_2=0.999, eps=1e-8, amsgrad=False):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps
        self.amsgrad = amsgrad


# ---- full-batch solvers -------------------------------------------------------------------------

class FullBatchOptimizer(BaseEstimator):
    """Base class of the optimizers that choose their own step lengths from full gradients.

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

    def solve(self, objective, x, monitor):
        """Descend from ``x`` until ``monitor`` says stop or rounding ends the descent.

        Parameters
        ----------
        objective : object
            ``objective.value_and_gradient(x)`` of the smooth part; where ``objective.proximal``,
            ``objective.rest(x)`` is the value of the part that is not smooth and
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

    def minimizer(self, *, max_iter=1000, tol=1e-6, keep_path=True):
        """Return a ``method`` for ``scipy.optimize.minimize``.

        Parameters
        ----------
        max_iter : int, default=1000
            The largest number of steps; scipy's ``options={"maxiter": ...}`` comes before it.
        tol : float or None, default=1e-6
            The largest derivative at which the descent has converged; scipy's ``tol`` comes before.
        keep_path : bool, default=True
            Whether the result has the path.

        Returns
        -------
        callable

        Examples
        --------
        >>> from scipy.optimize import minimize, rosen, rosen_der
        >>> from skgd.optimizers import AcceleratedGradient
        >>> method = AcceleratedGradient().minimizer(max_iter=5000)
        >>> minimize(rosen, [-1.0, 1.0], jac=rosen_der, method=method).x.round(3)
        array([1., 1.])
        """
        # Not at the top, because that module knows this one.
        from skgd.minimize import scipy_method

        return partial(
            scipy_method, optimizer=self, max_iter=max_iter, tol=tol, keep_path=keep_path
        )


def _decreases_enough(at, gradient, value, new_gradient, move, step):
    """Whether a step stays below the parabola of curvature 1 / step.

    Where rounding hides that, the change of the gradient along the step tells the curvature.
    """
    bound = at + gradient @ move + (move @ move) / (2 * step)
    rounding = 1e-14 * (abs(at) + abs(value))
    if abs(value - bound) > rounding:
        return value < bound
    return (new_gradient - gradient) @ move <= (move @ move) / step


class GradientDescent(FullBatchOptimizer):
    """Full gradient descent with a backtracking line search.

    ``x = prox(x - step g)`` with the step halved until the objective falls as far as a parabola of
    curvature ``1 / step`` promises, and tried longer again at each iteration.

    Parameters
    ----------
    shrink : float, default=0.5
        The factor of each backtracking, between 0 and 1.
    grow : float, default=1.5
        The factor by which the next iteration's first trial is longer, at least 1.

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
        while not monitor(x, value + objective.rest(x), gradient, step):
            step *= grow
            while True:
                candidate = objective.prox(x - step * gradient, step)
                move = candidate - x
                if not np.any(move):
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
    ``q_next = (1 + sqrt(1 + 4 q^2))/2``; the momentum starts anew when it points uphill.

    Parameters
    ----------
    shrink : float, default=0.5
        The factor of each backtracking, between 0 and 1.
    grow : float, default=1.05
        The factor by which the next iteration's first trial is longer, at least 1.

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
        while not monitor(x, value + objective.rest(x), gradient, step):
            step *= grow
            while True:
                candidate = objective.prox(z - step * gradient_z, step)
                move = candidate - z
                new_value, new_gradient = objective.value_and_gradient(candidate)
                if _decreases_enough(value_z, gradient_z, new_value, new_gradient, move, step):
                    break
                step *= shrink
                if not np.any(move):
                    return x
            if move @ (candidate - x) < 0 and q > 1:
                q, z, value_z, gradient_z = 1.0, x, value, gradient
                continue
            q_next = 0.5 * (1 + np.sqrt(1 + 4 * q * q))
            z = candidate + (q - 1) / q_next * (candidate - x)
            x, value, gradient, q = candidate, new_value, new_gradient, q_next
            value_z, gradient_z = objective.value_and_gradient(z)
        return x


class LBFGS(FullBatchOptimizer):
    """The limited-memory BFGS method of scipy, for smooth objectives.

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

    def solve(self, objective, x, monitor):
        if not isinstance(self.memory, Integral) or self.memory < 1:
            raise ValueError(f"memory={self.memory!r}: pass an integer >= 1.")
        if objective.proximal:
            raise ValueError(
                "LBFGS needs a smooth penalty: pass optimizer='auto' or AcceleratedGradient() for "
                "l1, elasticnet, bounds and positive=True."
            )
        latest = {}

        def value_and_gradient(x):
            value, gradient = objective.value_and_gradient(x)
            if latest and not value < np.inf:
                # The line search interpolates: it turns back from values that are merely high.
                return latest["value"] + 1e3 * abs(latest["value"]) + 1.0, np.zeros(len(x))
            latest.update(x=x.copy(), value=value, gradient=gradient)
            return value, gradient

        def callback(intermediate_result):
            if not np.array_equal(latest["x"], intermediate_result.x):
                value_and_gradient(intermediate_result.x)
            if monitor(latest["x"], latest["value"], latest["gradient"], 1.0):
                raise StopIteration

        value_and_gradient(x)
        if monitor(x, latest["value"], latest["gradient"], 1.0):
            return x
        options = {
            "maxcor": self.memory, "maxiter": 2**31 - 1, "maxfun": 2**31 - 1,
            "ftol": 0.0, "gtol": 0.0, "maxls": 40,
        }
        return optimize.minimize(
            value_and_gradient, x, jac=True, method="L-BFGS-B", callback=callback, options=options
        ).x
