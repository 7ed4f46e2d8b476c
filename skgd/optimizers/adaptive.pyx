# cython: language_level=3, cdivision=True
"""Step rules with a step size of their own: for each coordinate, or for all of them."""

from libc.math cimport fmax, sqrt
from libc.string cimport memcpy

from skgd.optimizers.base cimport Rule

from skgd.optimizers.base import Optimizer, in_unit_interval, not_negative, positive

__all__ = ["Adagrad", "RMSprop", "Adadelta", "DoG"]

cdef extern from "../_engine/vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)
    double skgd_distance(Py_ssize_t n, const double* x, const double* y)


cdef class AdagradRule(Rule):
    cdef double eps

    def __init__(self, eps):
        self.eps = not_negative("eps", eps)
        self.coordinatewise = True
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
        Added to the denominator for numerical stability.

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
    sign_step_factor = 3.0

    def __init__(self, *, eps=1e-10):
        self.eps = eps


cdef class RMSpropRule(Rule):
    cdef double rho, momentum, eps
    cdef bint centered

    def __init__(self, rho, momentum, centered, eps):
        self.rho = in_unit_interval("rho", rho)
        self.momentum = in_unit_interval("momentum", momentum)
        self.eps = not_negative("eps", eps)
        self.centered = centered
        self.slots = 1 + self.centered + (momentum != 0)
        self.coordinatewise = True

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
        The momentum coefficient, from 0 to below 1.
    centered : bool, default=False
        Whether to divide by the standard deviation of the gradient.
    eps : float, default=1e-8
        Added to the denominator, outside the square root, for numerical stability.

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
    def sign_step_factor(self):
        return 3.0 * sqrt(1 - self.rho) * (1 - self.momentum)

    @property
    def second_moment_window(self):
        return 1 - self.rho

    @property
    def momentum_horizon(self):
        return 1 / (1 - self.momentum)


cdef class AdadeltaRule(Rule):
    cdef double rho, eps

    def __init__(self, rho, eps):
        self.rho = in_unit_interval("rho", rho)
        self.eps = positive("eps", eps)
        self.slots = 2
        self.coordinatewise = True

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


cdef class DoGRule(Rule):
    cdef double initial_distance

    def __init__(self, initial_distance):
        self.initial_distance = positive("initial_distance", initial_distance)
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
