# cython: language_level=3, cdivision=True
"""Losses of a classification, whose targets are -1 and +1."""

import numpy as np
from scipy import special

from libc.math cimport copysign, exp, fabs, log

from skgd.losses.base cimport LossRule
from skgd.losses.piecewise_linear cimport clipped, rounded

from skgd.losses.base import Loss, weighted_mean
from skgd.losses.piecewise_linear import PiecewiseLinear

__all__ = [
    "Perceptron", "Hinge", "SquaredHinge", "ModifiedHuber", "LogLoss", "Focal",
]

cdef extern from "../_engine/vector.h" nogil:
    void skgd_softplus(Py_ssize_t n, const double* x, double* out)
    void skgd_sigmoid(Py_ssize_t n, const double* x, double* out)
    void skgd_logistic_slope(Py_ssize_t n, const double* y, const double* z, double* out)
    void skgd_softmax(Py_ssize_t k, Py_ssize_t m, const double* y, const double* z, double* out)
    void skgd_softmax_loss(Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                           double* out)


cdef class HingeRule(LossRule):
    """max(0, threshold |y| - sign(y) z); the kink may be rounded over a width."""

    cdef double threshold, smoothing

    def __init__(self, double threshold=1.0, double smoothing=0.0):
        self.threshold, self.smoothing = threshold, smoothing

    cdef inline double below(self, double y, double z) noexcept nogil:
        return self.threshold * fabs(y) - copysign(1.0, y) * z

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = rounded(self.below(y[i], z[i]), self.smoothing)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        # A row on the kink itself has a slope: a perceptron at zero must leave it. A branch on the
        # side would often be mispredicted: without it SGD row by row took 0.87 of the time.
        cdef Py_ssize_t i
        cdef double t, slope
        for i in range(k * m):
            t = self.below(y[i], z[i])
            slope = clipped(t / self.smoothing) if self.smoothing > 0.0 else t >= 0.0
            out[i] = -copysign(slope, y[i]) if t == t else t
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = self.below(y[i], z[i])
            out[i] = 1.0 / self.smoothing if 0.0 <= t <= self.smoothing else 0.0
        return 0


cdef class PerceptronRule(HingeRule):
    def __init__(self, double smoothing=0.0):
        HingeRule.__init__(self, 0.0, smoothing)


class Perceptron(PiecewiseLinear):
    """The loss of the perceptron: zero for correctly classified rows.

    ``loss(y, z) = max(0, -y z)``

    Its minimum is 0 at zero coefficients, so minimising it to convergence learns nothing. It is
    trained by update steps, and "auto" is SGD. The perceptron algorithm is
    ``GDClassifier("perceptron", penalty=None, optimizer="sgd", learning_rate=1.0, batch_size=1,
    precondition=None)``.

    References
    ----------
    Rosenblatt, The perceptron: a probabilistic model for information storage and organization in
    the brain, 1958.

    Examples
    --------
    >>> from skgd.losses import Perceptron
    >>> Perceptron().value([1.0, -1.0], [3.0, 0.5])
    array([0. , 0.5])
    """

    Rule = PerceptronRule
    task = "classification"
    homogeneous = True

    def best_constant(self, y, sample_weight):
        return np.zeros(y.shape[1])


class Hinge(PiecewiseLinear):
    """The loss of the support vector machine.

    ``loss(y, z) = max(0, 1 - y z)``

    References
    ----------
    Cortes and Vapnik, Support-vector networks, 1995.

    Examples
    --------
    >>> from skgd.losses import Hinge
    >>> Hinge().value([1.0, -1.0], [3.0, 0.5])
    array([0. , 1.5])
    """

    Rule = HingeRule
    task = "classification"

    def best_constant(self, y, sample_weight):
        # The kink of the class that weighs more; between the kinks all are alike.
        return np.sign(sample_weight @ np.sign(y))

    def lipschitz(self, n_outputs):
        return 1.0

    def conjugate(self, y, slope):
        return np.where(np.abs(y * slope + 0.5) <= 0.5, y * slope, np.inf)

    def piecewise_linear(self, y):
        return y[None], np.where(y > 0, -1.0, 0.0), np.where(y > 0, 0.0, 1.0)


cdef class SquaredHingeRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            out[i] = t * t
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            out[i] = -2.0 * y[i] * t
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = 2.0 if 1.0 - y[i] * z[i] > 0.0 else 0.0
        return 0


class SquaredHinge(Loss):
    """The square of the hinge, with a continuous derivative.

    ``loss(y, z) = max(0, 1 - y z)^2``

    Examples
    --------
    >>> from skgd.losses import SquaredHinge
    >>> SquaredHinge().value([1.0, -1.0], [3.0, 0.5])
    array([0.  , 2.25])
    """

    Rule = SquaredHingeRule
    task = "classification"
    smoothness = 2.0
    has_hessian = True

    def conjugate(self, y, slope):
        return np.where(y * slope <= 0.0, y * slope + 0.25 * slope**2, np.inf)

    def quadratic_conjugate(self, y):
        return y, np.where(y > 0, -np.inf, 0.0), np.where(y > 0, 0.0, np.inf), 0.5


cdef class ModifiedHuberRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t, inside
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            inside = 2.0 if t > 2.0 else t
            out[i] = inside * (2.0 * t - inside)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            t = 0.0 if t < 0.0 else t
            t = 2.0 if t > 2.0 else t
            out[i] = -2.0 * y[i] * t
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(k * m):
            t = 1.0 - y[i] * z[i]
            out[i] = 2.0 if 0.0 < t <= 2.0 else 0.0
        return 0


class ModifiedHuber(Loss):
    """A squared hinge that is linear for large errors; its margins give probabilities.

    ``loss(y, z) = max(0, 1 - y z)^2`` where ``y z >= -1``, else ``-4 y z``

    References
    ----------
    Zhang, Solving large scale linear prediction problems using stochastic gradient descent
    algorithms, ICML 2004.

    Examples
    --------
    >>> from skgd.losses import ModifiedHuber
    >>> ModifiedHuber().value([1.0, 1.0], [0.0, -3.0])
    array([ 1., 12.])
    """

    Rule = ModifiedHuberRule
    task = "classification"
    smoothness = 2.0
    has_hessian = True

    def lipschitz(self, n_outputs):
        return 4.0

    def conjugate(self, y, slope):
        return np.where(np.abs(y * slope + 2.0) <= 2.0, y * slope + 0.25 * slope**2, np.inf)

    def probabilities(self, z):
        """Return the probabilities of the classes.

        Parameters
        ----------
        z : array of shape (n_samples, n_outputs)
            Margins.
        """
        return _against_the_rest((np.clip(z, -1, 1) + 1) / 2)


def _against_the_rest(positive):
    """Return the probabilities of the classes from those of each class against the others."""
    if positive.shape[1] == 1:
        return np.hstack([1 - positive, positive])
    total = positive.sum(axis=1, keepdims=True)
    uniform = np.full_like(positive, 1 / positive.shape[1])
    return np.divide(positive, total, out=uniform, where=total > 0)


cdef class LogLossRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = -y[i] * z[i]
        skgd_softplus(k * m, out, out)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        skgd_logistic_slope(k * m, y, z, out)
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = -fabs(z[i])
        skgd_sigmoid(k * m, out, out)
        for i in range(k * m):
            out[i] *= 1.0 - out[i]
        return 0


cdef class SoftmaxRule(LossRule):
    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        skgd_softmax_loss(k, m, y, z, out)
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        skgd_softmax(k, m, y, z, out)
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        # The diagonal of diag(p) - p p'.
        cdef Py_ssize_t i
        skgd_softmax(k, m, NULL, z, out)
        for i in range(k * m):
            out[i] *= 1.0 - out[i]
        return 0


class LogLoss(Loss):
    """The negative log-likelihood of a logistic model: sigmoid for two classes, softmax for more.

    ``loss(y, z) = log(1 + exp(-y z))`` for two classes, and
    ``loss(y, z) = log(sum_c exp(z_c)) - z_y`` for more.

    Examples
    --------
    >>> from skgd.losses import LogLoss
    >>> LogLoss().value([1.0, -1.0], [0.0, -1e4])
    array([0.69314718, 0.        ])
    """

    Rule = LogLossRule
    task = "classification"
    has_hessian = True
    separable_loss = log(2.0)

    @property
    def smoothness(self):
        """The bound for the sigmoid; a softmax of K outputs has (1 - 1/K)/2 (Boehning 1988)."""
        return 0.25

    def is_multiclass(self, n_outputs):
        return n_outputs > 1

    def lipschitz(self, n_outputs):
        return np.sqrt(2.0) if self.is_multiclass(n_outputs) else 1.0

    def conjugate(self, y, slope):
        if self.is_multiclass(1 if np.ndim(y) == 1 else y.shape[1]):
            p = slope + (y > 0)
            balanced = np.abs(p.sum(axis=1) - 1.0) <= 1e-9
            # A probability that a Newton step takes to zero may end a rounding error below.
            balanced &= np.all(p >= -1e-15, axis=1)
            p = np.maximum(p, 0.0)
            return np.where(balanced, special.xlogy(p, p).sum(axis=1), np.inf)
        p = -y * slope
        entropy = special.xlogy(p, p) + special.xlog1py(1.0 - p, -p)
        return np.where((p >= 0) & (p <= 1), entropy, np.inf)

    def scales(self, mean, spread):
        k = len(spread)
        return np.full(k, 0.25 if k == 1 else 0.5 * (1 - 1 / k)), np.ones(k)

    def probabilities(self, z):
        """Return the probabilities of the classes.

        Parameters
        ----------
        z : array of shape (n_samples, n_outputs)
            Margins.
        """
        if z.shape[1] == 1:
            return special.expit(np.hstack([-z, z]))
        exponentials = np.exp(z - z.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def hessian_terms(self, y, z):
        if self.is_multiclass(z.shape[1]):
            return SoftmaxRule().apply("gradient", np.full(z.shape, -1.0), z)
        return Loss.hessian_terms(self, y, z)

    def best_constant(self, y, sample_weight):
        share = weighted_mean(y > 0, sample_weight)
        with np.errstate(divide="ignore"):
            if len(share) == 1:
                return np.clip(np.log(share / (1 - share)), -30, 30)
            logs = np.maximum(np.log(share), -30)
        return logs - logs.mean()

    def _rule(self, n_outputs):
        return SoftmaxRule() if n_outputs > 1 else LogLossRule()


cdef class FocalRule(LossRule):
    """With p = sigmoid(y z), q = 1 - p and s = -log(p): q^gamma s."""

    cdef double gamma

    def __init__(self, double gamma):
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma={gamma!r}: pass a finite number >= 0.")
        self.gamma = gamma

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double s
        self.logs(k * m, y, z, out)
        for i in range(k * m):
            s = out[i]
            # -log(q) is y z + s.
            out[i] = exp(-self.gamma * (y[i] * z[i] + s)) * s
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double s, p, q
        self.logs(k * m, y, z, out)
        for i in range(k * m):
            s = out[i]
            p, q = exp(-s), exp(-(y[i] * z[i] + s))
            out[i] = -y[i] * exp(-self.gamma * (y[i] * z[i] + s)) * (self.gamma * p * s + q)
        return 0

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        cdef Py_ssize_t i
        cdef double s, p, q, g = self.gamma
        self.logs(k * m, y, z, out)
        for i in range(k * m):
            s = out[i]
            p, q = exp(-s), exp(-(y[i] * z[i] + s))
            out[i] = p * exp(-g * (y[i] * z[i] + s)) * (
                g * s * (g * p - q) + (2.0 * g + 1.0) * q
            )
        return 0

    cdef void logs(self, Py_ssize_t n, const double* y, const double* z,
                   double* out) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(n):
            out[i] = -y[i] * z[i]
        skgd_softplus(n, out, out)


class Focal(Loss):
    """A logistic loss that down-weights well-classified rows; not convex.

    ``loss(y, z) = -(1 - p)^gamma log(p)`` with ``p = sigmoid(y z)``

    The sigmoid of the margin is not the class probability. ``predict_proba`` returns the
    probability for which the margin is optimal, ``g(-1, z) / (g(-1, z) - g(1, z))`` with the
    derivative g of the loss. More than two classes are one-vs-rest.

    Parameters
    ----------
    gamma : float, default=2.0
        The strength of the down-weighting; 0 gives the logistic loss.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollar, Focal loss for dense object detection, 2017.
    Charoenphakdee, Vongkulbhisal, Chairatanakul and Sugiyama, On focal loss for class-posterior
    probability estimation, 2021.

    Examples
    --------
    >>> from skgd.losses import Focal
    >>> Focal(gamma=2.0).value([1.0, 1.0], [0.0, 2.0]).round(4)
    array([0.1733, 0.0018])
    """

    Rule = FocalRule
    task = "classification"
    convex = False
    has_hessian = True

    def __init__(self, gamma=2.0):
        self.gamma = gamma

    @property
    def smoothness(self):
        """The largest second derivative, from a fine grid of margins."""
        z = np.linspace(-10.0, 10.0, 4001)
        return 1.0001 * self.hessian(np.ones(z.shape), z).max()

    @property
    def separable_loss(self):
        """The loss of a row at the margin 0."""
        return 0.5**self.gamma * log(2.0)

    def best_constant(self, y, sample_weight):
        # Beyond, as where all rows are of one class, the loss is less than rounding.
        return np.clip(Loss.best_constant(self, y, sample_weight), -30, 30)

    def probabilities(self, z):
        """Return the probabilities of the classes from margins of shape (n_samples, n_outputs)."""
        if z.shape[1] == 1:
            z = np.hstack([-z, z])
        ones = np.ones(z.shape)
        up, down = self.gradient(-ones, z), self.gradient(ones, z)
        return _against_the_rest(up / (up - down))
