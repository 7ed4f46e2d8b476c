# cython: language_level=3, cdivision=True
"""Step rules along the gradient, and along its signs."""

from libc.math cimport fabs

from skgd.optimizers.base cimport Rule

from skgd._utils.checks import shown
from skgd.optimizers.base import Optimizer, check_smooth, in_unit_interval

__all__ = ["SGD", "Lion", "Rprop"]

cdef extern from "../_engine/vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)

# Below it a number is zero to a division.
cdef double TINY = 1e-300
# The power by which SGD's rate falls on a stream: with 1 it follows no drift, with 0.5 its noise is
# twice as large after 5000 rows (examples/benchmarks/streams.py).
STREAM_POWER = 0.75


cdef class SGDRule(Rule):
    cdef double momentum, dampening
    cdef bint nesterov

    def __init__(self, momentum, nesterov, dampening):
        self.momentum = in_unit_interval("momentum", momentum)
        self.dampening = in_unit_interval("dampening", dampening)
        self.nesterov = nesterov
        self.plain = momentum == 0
        self.coordinatewise = True
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
    """Gradient descent, optionally with momentum.

    ``s = momentum s + (1 - dampening) g``, ``w = w - rate s``; the first step takes ``s = g``. With
    nesterov, ``w = w - rate (g + momentum s)``. The definition is that of ``torch.optim.SGD``.

    Parameters
    ----------
    momentum : float, default=0.0
        The momentum coefficient, from 0 to below 1.
    nesterov : bool, default=False
        Whether to use Nesterov's momentum.
    dampening : float, default=0.0
        The dampening of the new gradient.

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
    def momentum_horizon(self):
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
        curvature = curvatures.mean / (1.0 if self.nesterov else 1.5)
        return 1.0 / (curvature + single), STREAM_POWER


cdef inline double sign(double x) noexcept nogil:
    # The quotient keeps NaN in sight.
    return x / fabs(x) if x != 0.0 else 0.0


cdef class LionRule(Rule):
    cdef double beta_1, beta_2

    def __init__(self, beta_1, beta_2):
        self.beta_1 = in_unit_interval("beta_1", beta_1)
        self.beta_2 = in_unit_interval("beta_2", beta_2)
        self.slots = 1
        self.coordinatewise = True

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
    """Steps of equal size, along the sign of a mean of gradients.

    ``w = w - rate sign(beta_1 m + (1 - beta_1) g)``, then ``m = beta_2 m + (1 - beta_2) g``. Good
    rates are 3 to 10 times smaller than Adam's. Use ``alpha`` in place of the paper's weight decay.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The share of the mean in the direction of a step, from 0 to below 1.
    beta_2 : float, default=0.99
        The decay rate of the mean, from 0 to below 1.

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
    sign_step_factor = 1.0

    def __init__(self, *, beta_1=0.9, beta_2=0.99):
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    @property
    def momentum_horizon(self):
        return 1 / (1 - self.beta_1)


def _pair(name, value):
    try:
        first, second = value
        return float(first), float(second)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}={shown(value)}: pass two numbers.") from error


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
        self.coordinatewise = True

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


class Rprop(Optimizer):
    """A step size for each coordinate, adapted by the signs of its gradients alone.

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
        check_smooth(self, objective)
