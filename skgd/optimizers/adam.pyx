# cython: language_level=3, cdivision=True
"""The Adam family: step rules from running means of gradients and of their squares."""

from libc.math cimport fabs, pow, sqrt

from skgd.optimizers.base cimport Rule

from skgd.optimizers.base import Optimizer, in_unit_interval, not_negative

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Yogi"]

cdef extern from "../_engine/vector.h" nogil:
    void skgd_remember(Py_ssize_t n, double beta_1, double beta_2, const double* g, double* m,
                       double* v)
    void skgd_descend(Py_ssize_t n, const double* m, const double* v, double rate, double eps,
                      double* w)
    void skgd_remember_and_descend(Py_ssize_t n, double beta_1, double beta_2, const double* g,
                                   double* m, double* v, double rate, double eps, double* w)
    double skgd_descend_in_metric(Py_ssize_t n, double beta_1, double beta_2, const double* g,
                                  double sum, const double* mean, double l2,
                                  const double* inverse, double unit, double* m, double* v,
                                  double rate, double eps, double* u, double* w)

# Below it a number is zero to a division.
cdef double TINY = 1e-300


cdef class MeansRule(Rule):
    """A rule with the means ``m`` of the gradient and ``v`` of its square."""

    cdef double beta_1, beta_2, eps
    cdef Py_ssize_t t_known  # the step of the corrections, which all outputs and tiles take
    cdef double known_1, known_2

    def __init__(self, beta_1, beta_2, eps):
        self.beta_1 = in_unit_interval("beta_1", beta_1)
        self.beta_2 = in_unit_interval("beta_2", beta_2)
        self.eps = not_negative("eps", eps)
        self.slots = 2
        self.coordinatewise = True
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
    def momentum_horizon(self):
        return 1 / (1 - self.beta_1)


class _MeanSquares(_Means):
    """Base class of the rules that divide by the root of a running mean of squared gradients."""

    sign_step_factor = 3.0

    @property
    def second_moment_window(self):
        return 1 - self.beta_2


cdef class AdamRule(MeansRule):
    cdef bint amsgrad

    def __init__(self, beta_1, beta_2, eps, amsgrad):
        MeansRule.__init__(self, beta_1, beta_2, eps)
        self.amsgrad = amsgrad
        self.slots = 2 + self.amsgrad
        self.knows_metrics = not self.amsgrad

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

    cdef double update_in_metric(self, double* u, const double* g, double* s, Py_ssize_t stride,
                                 double rate, Py_ssize_t t, Py_ssize_t d, double sum,
                                 const double* mean, double l2, const double* inverse,
                                 double unit, double* w) noexcept nogil:
        cdef double root = 1.0 / sqrt(self.correction_2(t))
        return skgd_descend_in_metric(
            d, self.beta_1, self.beta_2, g, sum, mean, l2, inverse, unit, s, s + stride,
            rate * self.correction_1(t) * root, self.eps * root, u, w
        )


class Adam(_MeanSquares):
    """Momentum and a rate for each coordinate, both corrected for their start at zero.

    ``m = beta_1 m + (1 - beta_1) g``, ``v = beta_2 v + (1 - beta_2) g^2``,
    ``w = w - rate m_hat / (sqrt(v_hat) + eps)`` with ``m_hat = m / (1 - beta_1^(t+1))`` and
    ``v_hat = v / (1 - beta_2^(t+1))``. The definition is that of ``torch.optim.Adam``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The decay rate of the running mean of the gradient, from 0 to below 1.
    beta_2 : float, default=0.999
        The decay rate of the running mean of the squared gradient, from 0 to below 1.
    eps : float, default=1e-8
        Added to the denominator, outside the square root, for numerical stability.
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
        self.weight_decay = not_negative("weight_decay", weight_decay)
        # The parameters at the end do not decay.
        self.coordinatewise = self.knows_metrics = False

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

    This is the only rule that doesn't converge to the minimum of the estimator's objective. The
    decay acts in addition to ``alpha``. Unlike a penalty, it isn't divided by Adam's denominators,
    so coefficients with large gradients shrink more than with an l2 penalty. Use :class:`Adam` and
    ``alpha`` for the minimiser.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The decay rate of the running mean of the gradient, from 0 to below 1.
    beta_2 : float, default=0.999
        The decay rate of the running mean of the squared gradient, from 0 to below 1.
    eps : float, default=1e-8
        Added to the denominator, outside the square root, for numerical stability.
    weight_decay : float, default=0.01
        The decay of the coefficients per step, relative to the learning rate.
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
    """Adam with a decaying maximum of the gradients in place of the mean of their squares.

    ``m = beta_1 m + (1 - beta_1) g``, ``u = max(beta_2 u, |g| + eps)``, ``w = w - rate m_hat / u``
    with ``m_hat = m / (1 - beta_1^(t+1))``. The definition is that of ``torch.optim.Adamax``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The decay rate of the running mean of the gradient, from 0 to below 1.
    beta_2 : float, default=0.999
        The decay rate of the largest gradient, from 0 to below 1.
    eps : float, default=1e-8
        Added to the denominator for numerical stability.

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
    sign_step_factor = 3.0

    def __init__(self, *, beta_1=0.9, beta_2=0.999, eps=1e-8):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps


cdef class NAdamRule(MeansRule):
    cdef double momentum_decay

    def __init__(self, beta_1, beta_2, eps, momentum_decay):
        MeansRule.__init__(self, beta_1, beta_2, eps)
        self.momentum_decay = not_negative("momentum_decay", momentum_decay)
        self.slots = 3
        self.coordinatewise = False

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
    """Adam with Nesterov's momentum, which grows slowly.

    ``m = beta_1 m + (1 - beta_1) g``, ``v = beta_2 v + (1 - beta_2) g^2``,
    ``w = w - rate ((1 - mu_t) / (1 - mu_1...mu_t) g + mu_(t+1) / (1 - mu_1...mu_(t+1)) m) /
    (sqrt(v_hat) + eps)`` with ``mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2)`` and steps counted
    from 1. The definition is that of ``torch.optim.NAdam``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The decay rate of the running mean of the gradient, from 0 to below 1.
    beta_2 : float, default=0.999
        The decay rate of the running mean of the squared gradient, from 0 to below 1.
    eps : float, default=1e-8
        Added to the denominator, outside the square root, for numerical stability.
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
    """Adam whose first steps ignore the squared gradients until their mean is reliable.

    ``rho_t = rho - 2 (t+1) beta_2^(t+1) / (1 - beta_2^(t+1))`` with ``rho = 2/(1 - beta_2) - 1`` is
    the number of gradients in the mean of squares. Up to 5, ``w = w - rate m_hat``; then ``w = w -
    rate r m_hat sqrt(1 - beta_2^(t+1)) / (sqrt(v) + eps)`` with ``r^2 = (rho_t - 4)(rho_t - 2) rho
    / ((rho - 4)(rho - 2) rho_t)``. The definition is that of ``torch.optim.RAdam``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The decay rate of the running mean of the gradient, from 0 to below 1.
    beta_2 : float, default=0.999
        The decay rate of the running mean of the squared gradient, from 0 to below 1.
    eps : float, default=1e-8
        Added to the denominator, outside the square root, for numerical stability.

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
    sign_step_factor = 6.0

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
    """Adam whose denominators decrease as slowly as they increase.

    ``m = beta_1 m + (1 - beta_1) g``, ``v = v - (1 - beta_2) sign(v - g^2) g^2``,
    ``w = w - rate m / (sqrt(v) + eps)``: the paper's Algorithm 2, without corrections for the start
    at zero.

    Parameters
    ----------
    beta_1 : float, default=0.9
        The decay rate of the running mean of the gradient, from 0 to below 1.
    beta_2 : float, default=0.999
        One minus the share by which v may change, from 0 to below 1.
    eps : float, default=1e-3
        Added to the denominator, outside the square root, for numerical stability.

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
    # Its eps is not small compared with a gradient.
    sign_step_factor = None

    def __init__(self, *, beta_1=0.9, beta_2=0.999, eps=1e-3):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps
