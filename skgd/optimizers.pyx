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

from libc.math cimport fabs, fmax, pow, sqrt
from libc.string cimport memcpy

from skgd._engine.arrays cimport floats, writeable_floats

from skgd._checks import as_floats, check_count, shown
from skgd._pieces import check_complete, make_rule, overrides, without_rate

cdef extern from "_engine/vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)
    double skgd_distance(Py_ssize_t n, const double* x, const double* y)
    void skgd_remember(Py_ssize_t n, double beta_1, double beta_2, const double* g, double* m,
                       double* v)
    void skgd_descend(Py_ssize_t n, const double* m, const double* v, double rate, double eps,
                      double* w)
    void skgd_remember_and_descend(Py_ssize_t n, double beta_1, double beta_2, const double* g,
                                   double* m, double* v, double rate, double eps, double* w)

# Below it a number is zero to a division.
cdef double TINY = 1e-300
# The power by which SGD's rate falls on a stream: with 1 it follows no drift, with 0.5 its noise is
# twice as large after 5000 rows (examples/benchmarks/streams.py).
STREAM_POWER = 0.75


__all__ = [
    "Optimizer",
    "SGD",
    "Lion",
    "Rprop",
    "Adagrad",
    "RMSprop",
    "Adadelta",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "RAdam",
    "Yogi",
    "DoG",
    "SVRG",
    "SAGA",
    "FullBatchOptimizer",
    "GradientDescent",
    "AcceleratedGradient",
    "BarzilaiBorwein",
    "LBFGS",
]


# ---- what all optimizers have in common ---------------------------------------------------------

class _Minimizer(BaseEstimator):
    """An optimizer of any kind, at the service of ``scipy.optimize.minimize``."""

    def __init_subclass__(cls, **settings):
        super().__init_subclass__(**settings)
        if "__init__" in vars(cls):
            cls.__init__ = without_rate(cls.__init__)

    def minimizer(self, *, learning_rate=None, max_iter=1000, tol=1e-6, keep_path=True):
        """Return a ``method`` for ``scipy.optimize.minimize``.

        Parameters
        ----------
        learning_rate : float, Schedule, callable or None, default=None
            The rate of a step rule; in a schedule, an epoch is one step. None means the rule's
            ``plain_rate``, and must stand with the full-batch optimizers, which find their own.
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


# ---- the contract of step rules -----------------------------------------------------------------

cdef class Rule:
    """The mathematics of a step rule, over one row of parameters."""

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        with gil:
            raise NotImplementedError(f"{type(self).__name__} has no update.")

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
                    writeable_floats(state, (len(state), d)), d, rate, t, d,
                    writeable_floats(step, (d,)))
        return step


cdef class PythonRule(Rule):
    """Calls the update of a user's optimizer back, with the run's own arrays."""

    cdef object method, w, g, state

    def __init__(self, optimizer):
        slots = optimizer.slots
        if not isinstance(slots, Integral) or isinstance(slots, bool) or slots < 0:
            raise ValueError(f"slots={slots!r} of {optimizer!r}: define it as an integer >= 0.")
        self.method, self.slots = optimizer.update, slots
        self.keeps_arrays = True

    def bind(self, w, g, state):
        self.w, self.g, self.state = w, g, state

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        with gil:
            result = self.method(self.w, self.g, self.state, rate, t)
            if step != NULL:
                result = as_floats(rate if result is None else result, self.method.__qualname__)
                if result.shape not in ((), (1,), (d,)):
                    raise ValueError(
                        f"{self.method.__qualname__} returned shape {result.shape} for {d} "
                        "parameters: return a step size, one for each parameter, or None."
                    )
                sizes = np.ascontiguousarray(np.broadcast_to(result, (d,)))
                memcpy(step, floats(sizes, (d,)), d * sizeof(double))
        return 0


class Optimizer(_Minimizer):
    """Base class of the step rules; subclass it to write your own.

    Attributes
    ----------
    slots : int
        The number of arrays of state, each shaped like the parameters and zero at first.
    takes_batches : bool
        Whether a step may be taken on a part of the rows.
    takes_streams : bool
        Whether ``partial_fit`` may be called, with rows that are not seen again.
    snapshots : int or None
        None for steps along the gradients of batches. A number stands for estimates of the gradient
        whose noise dies out: the epochs from one time to the next that all rows' slopes are taken,
        0 for row by row.
    first_rate : float
        What ``learning_rate="auto"`` begins with on batches of 256.
    stream_batch : int or None
        What ``batch_size="auto"`` stands for in ``partial_fit`` with ``learning_rate="auto"``,
        where rows pass once; None is what it stands for in ``fit``.
    reach : float or None
        For rules whose first steps go along the signs of the gradient: the largest automatic rate
        on batches, in units of how far along the signs of a batch's gradient its objective is
        least. A descent along all rows' gradients begins with a third of it.
    rarest : float
        The least share of the steps for which a rule's mean of squared gradients has a memory.
    memory : float
        The steps for which the rule goes on along a gradient: ``1 / (1 - momentum)``.
    plain_rate : float
        What ``learning_rate=None`` means in :func:`skgd.minimize`, where nothing is known of the
        function.

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
    takes_batches = True
    takes_streams = True
    snapshots = None
    first_rate = 0.03
    stream_batch = None
    reach = None
    rarest = 1.0
    memory = 1.0
    plain_rate = 0.01

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

    def automatic_batch(self, n_rows, n_features, width):
        """Return what ``batch_size="auto"`` stands for: rows enough for the products, yet 8 steps.

        Parameters
        ----------
        n_rows, n_features : int
        width : float
            The numbers that are stored for a row.
        """
        return int(min(256, max(8, n_rows // 8)))

    def automatic_rate(self, n_rows, batch_length, curvatures):
        """Return what ``learning_rate="auto"`` stands for: a first rate and the power of its decay.

        Parameters
        ----------
        n_rows : int or inf
        batch_length : int
        curvatures : object
            ``curvatures.mean`` is the largest curvature of the mean objective in the metric and
            ``curvatures.least`` its least one, ``curvatures.typical`` that of a single row, and
            ``curvatures.single`` the largest of them; ``curvatures.sign_step(batch_length,
            rarest)`` is how far along the signs of a batch's gradient its objective is least. Each
            is worked out when it is asked for.

        Returns
        -------
        rate : float
        power : float
            On a stream the rate falls as ``(1 + t / steps)^-power``. In a fit, whose rate falls
            where the objective stops falling, a rate with a power above 0 ends at zero.
        """
        rate = self.first_rate * min(1.0, sqrt(batch_length / 256))
        if self.reach is None:
            return rate, 1.0
        longest = self.reach * curvatures.sign_step(batch_length, self.rarest)
        if batch_length == n_rows:
            # Nothing but a step too far could make the objective rise.
            return longest / 3.0, 1.0
        # What a batch leaves of the noise of its rows.
        return min(longest, rate / (1 - batch_length / n_rows)), 1.0

    def check(self, objective):
        """Raise ValueError where the rule does not go with an objective."""

    def compiled(self):
        """Return the rule that the engine runs; one that calls back where a subclass overrides."""
        check_complete(self, Optimizer, "update(w, g, state, rate, t)")
        return PythonRule(self) if overrides(type(self), Optimizer, {"update"}) else self._rule()

    def _rule(self):
        return make_rule(self)


def _in_unit_interval(name, value):
    if not 0 <= value < 1:
        raise ValueError(f"{name}={value!r}: pass a number from 0 to below 1.")
    return value


def _not_negative(name, value):
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}={value!r}: pass a finite number >= 0.")
    return value


def _positive(name, value):
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}={value!r}: pass a finite number > 0; no step is taken with 0.")
    return value


def _check_smooth(optimizer, objective):
    if objective.proximal:
        raise ValueError(
            f"{type(optimizer).__name__} needs a smooth penalty: pass optimizer='auto' or "
            "AcceleratedGradient() for l1, elasticnet, groups, bounds and positive=True."
        )


# ---- step rules ---------------------------------------------------------------------------------

cdef class SGDRule(Rule):
    cdef double momentum, dampening
    cdef bint nesterov

    def __init__(self, momentum, nesterov, dampening):
        self.momentum = _in_unit_interval("momentum", momentum)
        self.dampening = _in_unit_interval("dampening", dampening)
        self.nesterov = nesterov
        self.plain = momentum == 0
        self.apart = True
        self.slots = momentum != 0
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("nesterov=True: pass a momentum above 0 and dampening=0.")

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
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
    stream_batch = 1

    def __init__(self, *, momentum=0.0, nesterov=False, dampening=0.0):
        self.momentum = momentum
        self.nesterov = nesterov
        self.dampening = dampening

    @property
    def memory(self):
        return 1 / (1 - self.momentum)

    def automatic_rate(self, n_rows, batch_length, curvatures):
        """Return a rate that is stable with room to spare, and a decay on batches.

        One over the curvature of the mean objective plus the share of a single row's curvature that
        a batch of its size leaves (Gower et al., SGD: general analysis and improved rates, 2019).
        Up to 2 over the mean's curvature is stable, with nesterov up to 1.36, and longer steps pay
        where the objective is flat.
        """
        noise = 1 - batch_length / n_rows
        single = noise * curvatures.typical / batch_length / (1 - self.momentum)
        bend = curvatures.mean / (1.0 if self.nesterov else 1.5)
        return 1.0 / (bend + single), STREAM_POWER


cdef inline double sign(double x) noexcept nogil:
    # The quotient keeps NaN in sight.
    return x / fabs(x) if x != 0.0 else 0.0


cdef class LionRule(Rule):
    cdef double beta_1, beta_2

    def __init__(self, beta_1, beta_2):
        self.beta_1 = _in_unit_interval("beta_1", beta_1)
        self.beta_2 = _in_unit_interval("beta_2", beta_2)
        self.slots = 1
        self.apart = True

    cdef inline double direction(self, double m, double g) noexcept nogil:
        return self.beta_1 * m + (1.0 - self.beta_1) * g

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double c
        if step != NULL:
            for j in range(d):
                c = fabs(self.direction(s[j], g[j]))
                step[j] = rate / c if c > TINY else rate
        for j in range(d):
            w[j] -= rate * sign(self.direction(s[j], g[j]))
            s[j] = self.beta_2 * s[j] + (1.0 - self.beta_2) * g[j]
        return 0


class Lion(Optimizer):
    """Steps of one size, along the sign of a mean of gradients.

    ``w = w - rate sign(beta_1 m + (1 - beta_1) g)``, then ``m = beta_2 m + (1 - beta_2) g``. Good
    rates are 3 to 10 times smaller than Adam's. The paper's weight decay is left to ``alpha``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The share of the mean in the direction of a step, from 0 to below 1.
    beta_2 : float, default=0.99
        The memory of the mean, from 0 to below 1.

    References
    ----------
    Chen et al., Symbolic discovery of optimization algorithms, NeurIPS 2023, Algorithm 2.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import Lion
    >>> GDClassifier(optimizer=Lion(), learning_rate=0.003).optimizer
    Lion()
    """

    Rule = LionRule
    first_rate = 0.01
    reach = 1.0

    def __init__(self, *, beta_1=0.9, beta_2=0.99):
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    @property
    def memory(self):
        return 1 / (1 - self.beta_1)


cdef class RpropRule(Rule):
    cdef double shrink, grow, smallest, largest

    def __init__(self, etas, step_sizes):
        self.shrink, self.grow = _pair("etas", etas)
        self.smallest, self.largest = _pair("step_sizes", step_sizes)
        if not 0 < self.shrink < 1 < self.grow < float("inf"):
            raise ValueError(f"etas={etas!r}: pass one number from 0 to 1 and one above 1.")
        if not 0 < self.smallest <= self.largest < float("inf"):
            raise ValueError(f"step_sizes={step_sizes!r}: pass two positive numbers that rise.")
        self.slots = 2
        self.apart = True

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* before = s
        cdef double* size = s + stride
        cdef double agreement, length, kept
        for j in range(d):
            agreement = g[j] * before[j]
            length = size[j] if t > 0 else rate
            if agreement > 0.0:
                length *= self.grow
            elif agreement < 0.0:
                length *= self.shrink
            length = self.smallest if length < self.smallest else length
            length = self.largest if length > self.largest else length
            kept = 0.0 if agreement < 0.0 else g[j]
            w[j] -= length * sign(kept)
            before[j], size[j] = kept, length
        if step != NULL:
            for j in range(d):
                step[j] = size[j] / fabs(g[j]) if fabs(g[j]) > TINY else size[j]
        return 0


def _pair(name, value):
    try:
        first, second = value
        return float(first), float(second)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}={shown(value)}: pass two numbers.") from error


class Rprop(Optimizer):
    """A step size of its own for each coordinate, from the signs of its gradients alone.

    Where the gradient kept its sign, the size grows by ``etas[1]``; where it changed, it shrinks by
    ``etas[0]`` and the coordinate waits for one step. ``w = w - size sign(g)``. The learning rate
    is the first size; it plays no part later. The definition is that of ``torch.optim.Rprop``.

    Signs of gradients on batches say little: the rule takes all rows (``batch_size="full"``, which
    is what "auto" means for it), and a smooth penalty.

    Parameters
    ----------
    etas : tuple of two floats, default=(0.5, 1.2)
        The factors by which a size shrinks and grows.
    step_sizes : tuple of two floats, default=(1e-6, 50.0)
        The smallest and the largest size.

    References
    ----------
    Riedmiller and Braun, A direct adaptive method for faster backpropagation learning: the RPROP
    algorithm, 1993.

    Examples
    --------
    >>> from skgd import GDRegressor
    >>> from skgd.optimizers import Rprop
    >>> GDRegressor(optimizer=Rprop(etas=(0.5, 1.1)), batch_size="full").optimizer
    Rprop(etas=(0.5, 1.1))
    """

    Rule = RpropRule
    takes_batches = takes_streams = False

    def __init__(self, *, etas=(0.5, 1.2), step_sizes=(1e-6, 50.0)):
        self.etas = etas
        self.step_sizes = step_sizes

    def check(self, objective):
        _check_smooth(self, objective)


cdef class AdagradRule(Rule):
    cdef double eps

    def __init__(self, eps):
        self.eps = _not_negative("eps", eps)
        self.apart = True
        self.slots = 1

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
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
    first_rate = 0.5
    reach = 3.0

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
        self.apart = True

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* v = s
        cdef double* mean = s + stride
        cdef double* b = s + stride + stride * self.centered
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

    @property
    def first_rate(self):
        # The first step is longer, because the mean of squared gradients starts at zero.
        return 0.09 * sqrt(1 - self.rho) * (1 - self.momentum)

    @property
    def reach(self):
        return 3.0 * sqrt(1 - self.rho) * (1 - self.momentum)

    @property
    def rarest(self):
        return 1 - self.rho

    @property
    def memory(self):
        return 1 / (1 - self.momentum)


cdef class AdadeltaRule(Rule):
    cdef double rho, eps

    def __init__(self, rho, eps):
        self.rho = _in_unit_interval("rho", rho)
        self.eps = _positive("eps", eps)
        self.slots = 2
        self.apart = True

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* v = s
        cdef double* moved = s + stride
        cdef double move
        for j in range(d):
            v[j] = self.rho * v[j] + (1.0 - self.rho) * g[j] * g[j]
        if step != NULL:
            for j in range(d):
                step[j] = rate * sqrt(moved[j] + self.eps) / sqrt(v[j] + self.eps)
        for j in range(d):
            move = sqrt(moved[j] + self.eps) / sqrt(v[j] + self.eps) * g[j]
            moved[j] = self.rho * moved[j] + (1.0 - self.rho) * move * move
            w[j] -= rate * move
        return 0


class Adadelta(Optimizer):
    """Steps in the units of the parameters, from running means of squared gradients and moves.

    ``v = rho v + (1 - rho) g^2``, ``move = sqrt(u + eps) / sqrt(v + eps) g``,
    ``u = rho u + (1 - rho) move^2``, ``w = w - rate move``. The learning rate is a factor; the
    paper's 1 is slow, "auto" begins with 10. The definition is that of ``torch.optim.Adadelta``.

    Parameters
    ----------
    rho : float, default=0.9
        The memory of both means, from 0 to below 1.
    eps : float, default=1e-6
        Sets the first moves off; inside of the square roots.

    References
    ----------
    Zeiler, ADADELTA: an adaptive learning rate method, 2012.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import Adadelta
    >>> GDClassifier(optimizer=Adadelta(rho=0.95), learning_rate=1.0).optimizer
    Adadelta(rho=0.95)
    """

    Rule = AdadeltaRule
    first_rate = 10.0
    plain_rate = 1.0

    def __init__(self, *, rho=0.9, eps=1e-6):
        self.rho = rho
        self.eps = eps


# ---- the Adam family: step rules from running means of gradients and of their squares -----------

cdef class MeansRule(Rule):
    """A rule with the means ``m`` of the gradient and ``v`` of its square."""

    cdef double beta_1, beta_2, eps
    cdef Py_ssize_t t_known  # the step of the corrections, which all outputs and tiles take
    cdef double known_1, known_2

    def __init__(self, beta_1, beta_2, eps):
        self.beta_1 = _in_unit_interval("beta_1", beta_1)
        self.beta_2 = _in_unit_interval("beta_2", beta_2)
        self.eps = _not_negative("eps", eps)
        self.slots = 2
        self.apart = True
        self.t_known = -1

    cdef inline double correction_1(self, Py_ssize_t t) noexcept nogil:
        """What makes the mean of the gradient unbiased."""
        self.correct(t)
        return self.known_1

    cdef inline double correction_2(self, Py_ssize_t t) noexcept nogil:
        """What makes the mean of the squared gradient unbiased."""
        self.correct(t)
        return self.known_2

    cdef inline void correct(self, Py_ssize_t t) noexcept nogil:
        if t != self.t_known:
            self.known_1 = 1.0 / (1.0 - pow(self.beta_1, t + 1))
            self.known_2 = 1.0 / (1.0 - pow(self.beta_2, t + 1))
            self.t_known = t

    cdef inline void remember(self, Py_ssize_t d, const double* g, double* m,
                              double* v) noexcept nogil:
        skgd_remember(d, self.beta_1, self.beta_2, g, m, v)


cdef inline void fill_sizes(Py_ssize_t d, const double* v, double rate, double eps,
                            double* step) noexcept nogil:
    """``step = rate / (sqrt(v) + eps)``"""
    cdef Py_ssize_t j
    if step != NULL:
        for j in range(d):
            step[j] = rate / (sqrt(v[j]) + eps)


class _Means(Optimizer):
    """Base class of the rules that step along a running mean of gradients."""

    @property
    def memory(self):
        return 1 / (1 - self.beta_1)


class _MeanSquares(_Means):
    """Base class of the rules that divide by the root of a running mean of squared gradients."""

    reach = 3.0

    @property
    def rarest(self):
        return 1 - self.beta_2


cdef class AdamRule(MeansRule):
    cdef bint amsgrad

    def __init__(self, beta_1, beta_2, eps, amsgrad):
        MeansRule.__init__(self, beta_1, beta_2, eps)
        self.amsgrad = amsgrad
        self.slots = 2 + self.amsgrad

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* m = s
        cdef double* v = s + stride
        cdef double* v_max = s + 2 * stride
        # m_hat / (sqrt(v_hat) + eps), with the corrections taken out of the loop.
        cdef double root = 1.0 / sqrt(self.correction_2(t))
        cdef double corrected = rate * self.correction_1(t) * root, eps = self.eps * root
        if self.amsgrad:
            self.remember(d, g, m, v)
            for j in range(d):
                v_max[j] = v[j] if v[j] > v_max[j] else v_max[j]
            v = v_max
            skgd_descend(d, m, v, corrected, eps, w)
        else:
            skgd_remember_and_descend(d, self.beta_1, self.beta_2, g, m, v, corrected, eps, w)
        fill_sizes(d, v, rate * root, eps, step)
        return 0


class Adam(_MeanSquares):
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


cdef class AdamWRule(AdamRule):
    cdef double weight_decay

    def __init__(self, beta_1, beta_2, eps, weight_decay, amsgrad):
        AdamRule.__init__(self, beta_1, beta_2, eps, amsgrad)
        self.weight_decay = _not_negative("weight_decay", weight_decay)
        # The parameters at the end do not decay.
        self.apart = False

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double keep = 1.0 - rate * self.weight_decay
        for j in range(d - self.unpenalised):
            w[j] *= keep
        return AdamRule.update(self, w, g, s, stride, rate, t, d, step)


class AdamW(_MeanSquares):
    """Adam with weight decay that is decoupled from the gradient.

    ``w = (1 - rate weight_decay) w``, then a step of :class:`Adam`. The intercept does not decay.
    The definition is that of ``torch.optim.AdamW``.

    This is the one rule whose descent does not end at the minimiser of the estimator's objective.
    The decay acts besides ``alpha``, and other than a penalty it is not divided by Adam's
    denominators: coefficients with large gradients are shrunk more, relative to their steps, than
    an l2 penalty would. Take :class:`Adam` and ``alpha`` for the minimiser.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The memory of the gradient's mean, from 0 to below 1.
    beta_2 : float, default=0.999
        The memory of the squared gradient's mean, from 0 to below 1.
    eps : float, default=1e-8
        Keeps the division finite; outside of the square root.
    weight_decay : float, default=0.01
        The share of the coefficients that a step takes away, times the learning rate.
    amsgrad : bool, default=False
        Whether to divide by the largest v so far.

    References
    ----------
    Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import AdamW
    >>> GDClassifier(optimizer=AdamW(weight_decay=0.1), learning_rate=0.01).optimizer
    AdamW(weight_decay=0.1)
    """

    Rule = AdamWRule

    def __init__(self, *, beta_1=0.9, beta_2=0.999, eps=1e-8, weight_decay=0.01, amsgrad=False):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps
        self.weight_decay = weight_decay
        self.amsgrad = amsgrad


cdef class AdamaxRule(MeansRule):

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* m = s
        cdef double* u = s + stride
        cdef double size, corrected = rate * self.correction_1(t)
        for j in range(d):
            m[j] += (1.0 - self.beta_1) * (g[j] - m[j])
            size = fabs(g[j]) + self.eps
            u[j] = self.beta_2 * u[j] if self.beta_2 * u[j] > size else size
            w[j] -= corrected * m[j] / u[j] if m[j] != 0.0 else 0.0
        if step != NULL:
            for j in range(d):
                step[j] = rate / u[j] if u[j] > TINY else rate
        return 0


class Adamax(_Means):
    """Adam with the largest gradient, slowly forgotten, in place of the mean of the squares.

    ``m = beta_1 m + (1 - beta_1) g``, ``u = max(beta_2 u, |g| + eps)``, ``w = w - rate m_hat / u``
    with ``m_hat = m / (1 - beta_1^(t+1))``. The definition is that of ``torch.optim.Adamax``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The memory of the gradient's mean, from 0 to below 1.
    beta_2 : float, default=0.999
        The memory of the largest gradient, from 0 to below 1.
    eps : float, default=1e-8
        Keeps the division finite.

    References
    ----------
    Kingma and Ba, Adam: a method for stochastic optimization, ICLR 2015, Algorithm 2.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import Adamax
    >>> GDClassifier(optimizer=Adamax(), learning_rate=0.01).optimizer
    Adamax()
    """

    Rule = AdamaxRule
    first_rate = 0.06
    reach = 3.0

    def __init__(self, *, beta_1=0.9, beta_2=0.999, eps=1e-8):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps


cdef class NAdamRule(MeansRule):
    cdef double momentum_decay

    def __init__(self, beta_1, beta_2, eps, momentum_decay):
        MeansRule.__init__(self, beta_1, beta_2, eps)
        self.momentum_decay = _not_negative("momentum_decay", momentum_decay)
        self.slots = 3
        self.apart = False

    cdef inline double mu(self, Py_ssize_t t) noexcept nogil:
        return self.beta_1 * (1.0 - 0.5 * pow(0.96, t * self.momentum_decay))

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* m = s
        cdef double* v = s + stride
        # One minus the product of all mu so far.
        cdef double* rest = s + 2 * stride
        cdef double mu = self.mu(t + 1), mu_next = self.mu(t + 2)
        cdef double root = 1.0 / sqrt(self.correction_2(t))
        cdef double of_g, of_m, move
        rest[0] = 1.0 - (1.0 - rest[0]) * mu
        of_g = rate * root * (1.0 - mu) / rest[0]
        of_m = rate * root * mu_next / (1.0 - (1.0 - rest[0]) * mu_next)
        self.remember(d, g, m, v)
        for j in range(d):
            move = of_g * g[j] + of_m * m[j]
            w[j] -= move / (sqrt(v[j]) + self.eps * root) if move != 0.0 else 0.0
        fill_sizes(d, v, of_g + of_m, self.eps * root, step)
        return 0


class NAdam(_MeanSquares):
    """Adam with Nesterov's look ahead and a momentum that grows slowly.

    ``m = beta_1 m + (1 - beta_1) g``, ``v = beta_2 v + (1 - beta_2) g^2``,
    ``w = w - rate ((1 - mu_t) / (1 - mu_1...mu_t) g + mu_(t+1) / (1 - mu_1...mu_(t+1)) m) /
    (sqrt(v_hat) + eps)`` with ``mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2)`` and steps counted
    from 1. The definition is that of ``torch.optim.NAdam``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The memory of the gradient's mean, from 0 to below 1.
    beta_2 : float, default=0.999
        The memory of the squared gradient's mean, from 0 to below 1.
    eps : float, default=1e-8
        Keeps the division finite; outside of the square root.
    momentum_decay : float, default=0.004
        How fast the momentum grows from half of ``beta_1`` to all of it.

    References
    ----------
    Dozat, Incorporating Nesterov momentum into Adam, ICLR workshop 2016.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import NAdam
    >>> GDClassifier(optimizer=NAdam(beta_1=0.8), learning_rate=0.01).optimizer
    NAdam(beta_1=0.8)
    """

    Rule = NAdamRule

    def __init__(self, *, beta_1=0.9, beta_2=0.999, eps=1e-8, momentum_decay=4e-3):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps
        self.momentum_decay = momentum_decay


cdef class RAdamRule(MeansRule):

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* m = s
        cdef double* v = s + stride
        cdef double correction_1 = self.correction_1(t), correction_2 = self.correction_2(t)
        cdef double longest = 2.0 / (1.0 - self.beta_2) - 1.0
        cdef double length = (
            longest - 2.0 * (t + 1) * pow(self.beta_2, t + 1) * correction_2
        )
        cdef double rectified
        self.remember(d, g, m, v)
        if length > 5.0:
            rectified = rate * sqrt(
                (length - 4.0) * (length - 2.0) * longest
                / ((longest - 4.0) * (longest - 2.0) * length * correction_2)
            )
            skgd_descend(d, m, v, rectified * correction_1, self.eps, w)
            fill_sizes(d, v, rectified, self.eps, step)
            return 0
        for j in range(d):
            w[j] -= rate * correction_1 * m[j]
        if step != NULL:
            for j in range(d):
                step[j] = rate
        return 0


class RAdam(_MeanSquares):
    """Adam whose first steps wait until the squared gradients are known well enough.

    ``rho_t = rho - 2 (t+1) beta_2^(t+1) / (1 - beta_2^(t+1))`` with ``rho = 2/(1 - beta_2) - 1`` is
    the number of gradients that the mean of squares has seen. Up to 5 of them,
    ``w = w - rate m_hat``; then ``w = w - rate r m_hat sqrt(1 - beta_2^(t+1)) / (sqrt(v) + eps)``
    with ``r^2 = (rho_t - 4)(rho_t - 2) rho / ((rho - 4)(rho - 2) rho_t)``. The definition is that
    of ``torch.optim.RAdam``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The memory of the gradient's mean, from 0 to below 1.
    beta_2 : float, default=0.999
        The memory of the squared gradient's mean, from 0 to below 1.
    eps : float, default=1e-8
        Keeps the division finite; outside of the square root.

    References
    ----------
    Liu et al., On the variance of the adaptive learning rate and beyond, ICLR 2020.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import RAdam
    >>> GDClassifier(optimizer=RAdam(), learning_rate=0.01).optimizer
    RAdam()
    """

    Rule = RAdamRule
    # Twice Adam's, because its rectified steps are short for long.
    first_rate = 0.06
    reach = 6.0

    def __init__(self, *, beta_1=0.9, beta_2=0.999, eps=1e-8):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps


cdef class YogiRule(MeansRule):

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* m = s
        cdef double* v = s + stride
        cdef double square, change
        for j in range(d):
            m[j] += (1.0 - self.beta_1) * (g[j] - m[j])
            square = g[j] * g[j]
            change = (1.0 - self.beta_2) * square
            v[j] += -change if v[j] > square else (change if v[j] != square else 0.0)
        skgd_descend(d, m, v, rate, self.eps, w)
        fill_sizes(d, v, rate, self.eps, step)
        return 0


class Yogi(_MeanSquares):
    """Adam whose denominators change by small amounts, down as slowly as up.

    ``m = beta_1 m + (1 - beta_1) g``, ``v = v - (1 - beta_2) sign(v - g^2) g^2``,
    ``w = w - rate m / (sqrt(v) + eps)``: the paper's Algorithm 2, without corrections for the start
    at zero.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The memory of the gradient's mean, from 0 to below 1.
    beta_2 : float, default=0.999
        One minus the share by which v may change, from 0 to below 1.
    eps : float, default=1e-3
        Keeps the division finite; outside of the square root.

    References
    ----------
    Zaheer, Reddi, Sachan, Kale and Kumar, Adaptive methods for nonconvex optimization, NeurIPS
    2018.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import Yogi
    >>> GDClassifier(optimizer=Yogi(), learning_rate=0.01).optimizer
    Yogi()
    """

    Rule = YogiRule
    first_rate = 0.01
    # Its eps is not small beside a gradient.
    reach = None

    def __init__(self, *, beta_1=0.9, beta_2=0.999, eps=1e-3):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps


# ---- a step rule without a rate -----------------------------------------------------------------

cdef class DoGRule(Rule):
    cdef double initial_distance

    def __init__(self, initial_distance):
        self.initial_distance = _positive("initial_distance", initial_distance)
        self.slots = 3

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        cdef Py_ssize_t j
        cdef double* start = s
        # Of two more arrays of state one number each is used: the farthest distance from the
        # start so far, and the sum of all squared gradients.
        cdef double* farthest = s + stride
        cdef double* squares = s + 2 * stride
        cdef double size = rate
        if t == 0:
            memcpy(start, w, d * sizeof(double))
            farthest[0] = self.initial_distance * (1.0 + skgd_distance(d, w, NULL))
        else:
            farthest[0] = fmax(farthest[0], skgd_distance(d, w, start))
        squares[0] += skgd_distance(d, g, NULL) ** 2
        size = rate * farthest[0] / (sqrt(squares[0]) if squares[0] != 0.0 else 1.0)
        skgd_axpy(d, -size, g, w)
        if step != NULL:
            for j in range(d):
                step[j] = size
        return 0


class DoG(Optimizer):
    """Gradient descent that needs no rate: distance over gradients.

    ``w = w - rate r / sqrt(G) g`` with ``r`` the farthest distance from the start so far and ``G``
    the sum of the squared lengths of all gradients so far. The learning rate is a factor that is 1
    unless there is a reason. Average the iterates of a noisy run (``average=True``).

    Parameters
    ----------
    initial_distance : float, default=1e-6
        What r is at first, relative to ``1 + |w|``.

    References
    ----------
    Ivgi, Hinder and Carmon, DoG is SGD's best friend: a parameter-free dynamic step size schedule,
    ICML 2023.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import DoG
    >>> GDClassifier(optimizer=DoG(), learning_rate=1.0).optimizer
    DoG()
    """

    Rule = DoGRule
    plain_rate = 1.0

    def __init__(self, *, initial_distance=1e-6):
        self.initial_distance = initial_distance

    def automatic_rate(self, n_rows, batch_length, curvatures):
        return self.plain_rate, 0.0


# ---- variance-reduced rules ---------------------------------------------------------------------

class SVRG(Optimizer):
    """Gradient descent on batches without their noise: a snapshot corrects each of them.

    ``w = w - rate (g_B(w) - g_B(v) + g(v))`` with ``g_B`` a batch's gradient and v the parameters
    of a snapshot, at which the gradient ``g(v)`` of all rows was taken. The first epoch, before
    there is a snapshot, is plain gradient descent, as the paper advises. On a strongly convex
    objective the descent converges linearly at a constant rate.

    Of the snapshot one slope is remembered for each row and output; nothing of it is computed
    twice. A step changes all features, on sparse rows too: the batch "auto" has about as many
    numbers as there are features. The rate "auto" comes from the batch's size, the longest row and
    the least curvature.

    Parameters
    ----------
    every : int, default=2
        The epochs from one snapshot to the next; a snapshot reads all rows once.

    References
    ----------
    Johnson and Zhang, Accelerating stochastic gradient descent using predictive variance reduction,
    NeurIPS 2013. Gazagnadou, Gower and Salmon, Optimal mini-batch and step sizes for SAGA, ICML
    2019.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import SVRG
    >>> GDClassifier(optimizer=SVRG(every=1), batch_size=8).optimizer
    SVRG(every=1)
    """

    Rule = SGDRule
    takes_streams = False

    def __init__(self, *, every=2):
        self.every = every

    @property
    def snapshots(self):
        check_count("every", self.every)
        return self.every

    def automatic_rate(self, n_rows, batch_length, curvatures):
        return _reduced_rate(n_rows, batch_length, curvatures), 0.0

    def automatic_batch(self, n_rows, n_features, width):
        return _reduced_batch(n_features, width)

    def _rule(self):
        check_count("every", self.every)
        return SGDRule(0.0, False, 0.0)


class SAGA(Optimizer):
    """Gradient descent on batches without their noise: each row corrects itself.

    ``w = w - rate (g_B(w) - h_B + h)`` with ``g_B`` a batch's gradient, ``h_B`` what it was when
    its rows were last visited, and h the mean of that over all rows; then the batch's rows are
    entered anew. The first epoch, in which each row is visited for the first time, is plain
    gradient descent. On a strongly convex objective the descent converges linearly at a constant
    rate.

    One slope is remembered for each row and output. A step changes all features, on sparse rows
    too: the batch "auto" has about as many numbers as there are features. The rate "auto" comes
    from the batch's size, the longest row and the least curvature.

    References
    ----------
    Defazio, Bach and Lacoste-Julien, SAGA: a fast incremental gradient method with support for
    non-strongly convex composite objectives, NeurIPS 2014. Gazagnadou, Gower and Salmon, Optimal
    mini-batch and step sizes for SAGA, ICML 2019.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> GDClassifier(optimizer="saga", batch_size=8).optimizer
    'saga'
    """

    Rule = SGDRule
    takes_streams = False
    snapshots = 0

    def __init__(self):
        pass

    def automatic_rate(self, n_rows, batch_length, curvatures):
        return _reduced_rate(n_rows, batch_length, curvatures), 0.0

    def automatic_batch(self, n_rows, n_features, width):
        return _reduced_batch(n_features, width)

    def _rule(self):
        return SGDRule(0.0, False, 0.0)


def _reduced_rate(n_rows, batch_length, curvatures):
    """Return the rate of a variance-reduced rule.

    Theory has 1/(3 L) and 1/(2 (L + n mu)), with L the expected curvature of a batch's objective
    and mu the least curvature of the mean's. Rows that are drawn without replacement stand about
    three times as much; where n mu is large, shorter steps leave less noise in each pass.
    """
    noise = (n_rows - batch_length) / max(1, n_rows - 1) / batch_length
    expected = noise * curvatures.single + (1.0 - noise) * curvatures.mean
    return 1.0 / min(max(n_rows * curvatures.least / 8.0, 0.75 * expected), 5.0 * expected)


def _reduced_batch(n_features, width):
    """Return the rows whose numbers are as many as those that a step changes."""
    return int(min(max(n_features / width, 1.0), 256.0))


# ---- full-batch solvers -------------------------------------------------------------------------

class FullBatchOptimizer(_Minimizer):
    """Base class of the optimizers that choose their own step lengths from full gradients.

    Attributes
    ----------
    descends : bool
        Whether the objective falls on the way, so that one that is far above the start's tells of
        an explosion.

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
    """Proximal gradient descent whose step lengths come from the last step's curvature.

    ``x = prox(x - step g)``; then, with s the change of x and y that of g, ``step = s.s / s.y`` and
    ``s.y / y.y`` in turn. The objective may rise for a while: a step is shortened only where it is
    above the largest of the last few values.

    Parameters
    ----------
    memory : int, default=10
        The number of last values that a step is held against.
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
        values = [smooth + objective.rest(x)]
        while not monitor(x, values[-1], gradient, step):
            while True:
                candidate = objective.prox(x - step * gradient, step)
                move = candidate - x
                square = move @ move
                if not square > 0.0:
                    return x
                smooth, new_gradient = objective.value_and_gradient(candidate)
                value = smooth + objective.rest(candidate)
                highest = max(values)
                # Where rounding hides the decrease, the formula for the step is left alone.
                slack = 1e-14 * abs(highest)
                if value <= highest - 1e-4 * square / step + slack:
                    break
                step *= shrink
            change = new_gradient - gradient
            bend = move @ change
            if bend > 0.0:
                step = bend / (change @ change) if short else square / bend
                short = not short
            x, gradient, values = candidate, new_gradient, [*values, value][-memory:]
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
        check_count("memory", self.memory)
        _check_smooth(self, objective)
        latest = {}

        def value_and_gradient(x):
            value, gradient = objective.value_and_gradient(x)
            if latest and not (value < np.inf and np.all(np.isfinite(gradient))):
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
