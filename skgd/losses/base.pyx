# cython: language_level=3, cdivision=True
"""What a loss is: its rule, which runs over arrays of margins, and the class that users see."""

import numpy as np
from scipy import optimize
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score

from libc.string cimport memcpy

from skgd._engine.arrays cimport floats, writeable_floats

from skgd._utils.checks import as_floats, check_second_derivatives
from skgd._utils.rules import check_complete, make_rule, overrides

__all__ = ["Loss"]


cdef class LossRule:
    """The mathematics of a loss: values and derivatives over a block of margins."""

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        with gil:
            raise NotImplementedError(f"{type(self).__name__} has no value.")

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        with gil:
            raise NotImplementedError(f"{type(self).__name__} has no gradient.")

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        with gil:
            raise NotImplementedError(f"{type(self).__name__} has no second derivative.")

    def apply(self, what, y, z):
        """Run one of the three functions over arrays of shape (n_samples, n_outputs)."""
        targets, margins = np.ascontiguousarray(y.T), np.ascontiguousarray(z.T)
        result = np.empty(margins.shape)
        cdef Py_ssize_t k = margins.shape[0], m = margins.shape[1]
        cdef const double* a = floats(targets, margins.shape)
        cdef const double* b = floats(margins, margins.shape)
        cdef double* out = writeable_floats(result, margins.shape)
        cdef int which = ("value", "gradient", "hessian").index(what)
        with nogil:
            if which == 0:
                self.value(k, m, a, b, out)
            elif which == 1:
                self.gradient(k, m, a, b, out)
            else:
                self.hessian(k, m, a, b, out)
        return result.T

    def total(self, y, z):
        """Return the sum of the values over C-ordered arrays of shape (n_outputs, n_samples)."""
        cdef Py_ssize_t k = z.shape[0], m = z.shape[1]
        values = np.empty((k, m))
        cdef const double* a = floats(y, (k, m))
        cdef const double* b = floats(z, (k, m))
        cdef double* out = writeable_floats(values, (k, m))
        with nogil:
            self.value(k, m, a, b, out)
        return values.sum()


cdef class QuadraticRule(LossRule):
    """``b z^2 / 2``, where b stands for the targets."""

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = 0.5 * y[i] * z[i] * z[i]
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(k * m):
            out[i] = y[i] * z[i]
        return 0


cdef class SoftmaxQuadraticRule(LossRule):
    """``z' (diag(p) - p p') z / 2``, where p stands for the targets."""

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        self.gradient(k, m, y, z, out)
        for i in range(m):
            out[i] *= 0.5 * z[i]
        for c in range(1, k):
            for i in range(m):
                out[i] += 0.5 * z[c * m + i] * out[c * m + i]
                out[c * m + i] = 0.0
        return 0

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        cdef Py_ssize_t i, c
        for i in range(m):
            out[i] = 0.0
        for c in range(k):
            for i in range(m):
                out[i] += y[c * m + i] * z[c * m + i]
        for c in range(k - 1, -1, -1):
            for i in range(m):
                out[c * m + i] = y[c * m + i] * (z[c * m + i] - out[i])
        return 0


cdef class PythonLossRule(LossRule):
    """Calls the methods of a user's loss back, with arrays of their own."""

    cdef object loss

    def __init__(self, loss):
        self.loss = loss

    cdef int call(self, method, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                  double* out) except -1:
        targets, margins = np.empty((k, m)), np.empty((k, m))
        memcpy(writeable_floats(targets, (k, m)), y, k * m * sizeof(double))
        memcpy(writeable_floats(margins, (k, m)), z, k * m * sizeof(double))
        targets, margins = (targets[0], margins[0]) if k == 1 else (targets.T, margins.T)
        result = as_floats(method(targets, margins), method.__qualname__)
        if result.shape != margins.shape:
            raise ValueError(
                f"{method.__qualname__} returned shape {result.shape} for margins of shape "
                f"{margins.shape}: return one number per margin."
            )
        result = np.ascontiguousarray(result.reshape(m, k).T)
        memcpy(out, floats(result, (k, m)), k * m * sizeof(double))
        return 0

    cdef int value(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                   double* out) except -1 nogil:
        with gil:
            return self.call(self.loss.value, k, m, y, z, out)

    cdef int gradient(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                      double* out) except -1 nogil:
        with gil:
            return self.call(self.loss.gradient, k, m, y, z, out)

    cdef int hessian(self, Py_ssize_t k, Py_ssize_t m, const double* y, const double* z,
                     double* out) except -1 nogil:
        with gil:
            return self.call(self.loss.hessian, k, m, y, z, out)


def weighted_mean(y, sample_weight):
    """Return the weighted mean of each column, as `numpy.average` does in five times as long."""
    columns, weights = np.asarray(y), np.asarray(sample_weight)
    shape = (-1,) + (1,) * (columns.ndim - 1)
    return (columns * weights.reshape(shape)).sum(axis=0) / weights.sum()


def _least_constant(rule, column, sample_weight):
    """Return the constant margin with the least weighted loss for the targets of one output."""
    targets, known = np.ascontiguousarray(column)[:, None], {}
    margins = np.empty(targets.shape)

    def derivative(b):
        # The ends of the bracket are asked for three times.
        if b not in known:
            margins.fill(b)
            known[b] = sample_weight @ rule.apply("gradient", targets, margins)[:, 0]
        return known[b]

    centre = float(np.average(column, weights=sample_weight))
    width = max(float(np.ptp(column)), 1e-12 * (abs(centre) + 1))
    low, high = centre - width, centre + width
    for _ in range(30):
        if derivative(low) > 0:
            low -= 2 * (high - low)
        elif derivative(high) < 0:
            high += 2 * (high - low)
        else:
            break
    if derivative(low) * derivative(high) < 0:
        return optimize.brentq(derivative, low, high, xtol=1e-12 * width)
    return 0.5 * (low + high)


class Loss(BaseEstimator):
    """Base class of the losses; subclass it to write your own.

    A loss of your own needs ``value(y, z)`` and ``gradient(y, z)``: functions of arrays of targets
    and margins that return an array of the same shape. With ``hessian(y, z)`` and ``has_hessian =
    True``, second derivatives are used as well.

    Attributes
    ----------
    task : {"regression", "classification"}
        Which estimator takes the loss. The targets of a classification are -1 and +1.
    smooth : bool
        Whether the derivative is continuous.
    convex : bool
        Whether the loss is convex in the margin.
    smoothness : float or None
        A bound on the second derivative; None if there is none.
    smoothing : float or None
        The width over which the derivative changes from its lower to its upper limit, 0 for a kink;
        None for an unbounded derivative. If the targets vary far more than that, descent starts
        with what `smoothed` returns.
    homogeneous : bool
        Whether the loss doubles with the margins. Zero coefficients are then a useless minimum, and
        only update steps lead to a model.
    separable_loss : float or None
        The loss of a row below which it is classified correctly, for losses that decrease towards
        infinite margins. Separable classes then have no finite minimum.
    expands : bool
        Whether one target has several outputs.
    domain : str
        The targets for which the loss is defined, in words; `in_domain` checks them.

    Examples
    --------
    >>> import numpy as np
    >>> from skgd import GDRegressor
    >>> from skgd.losses import Loss
    >>> class Quartic(Loss):
    ...     def value(self, y, z):
    ...         return (y - z) ** 4 / 4
    ...     def gradient(self, y, z):
    ...         return (z - y) ** 3
    >>> X, y = np.arange(6.0).reshape(-1, 1), np.array([1.0, 3, 5, 7, 9, 11])
    >>> GDRegressor(loss=Quartic(), alpha=0).fit(X, y).predict([[10.0]]).round(1)
    array([21.])
    """

    Rule = None
    task = "regression"
    smooth = True
    convex = True
    smoothness = None
    has_hessian = False
    constant_hessian = False
    homogeneous = False
    smoothing = None
    separable_loss = None
    expands = False
    domain = "finite numbers"

    @classmethod
    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        given = vars(cls)
        if "curvature" in given and "smoothness" not in given:
            cls.smoothness = given["curvature"]

    @property
    def curvature(self):
        """The former name of ``smoothness``, which a loss may still define instead."""
        return self.smoothness

    @curvature.setter
    def curvature(self, bound):
        self.smoothness = bound

    def value(self, y, z):
        """Return the loss at each target and margin.

        Parameters
        ----------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Targets; -1 and +1 for a classification.
        z : array of the same shape
            Margins, ``W x + b``.

        Returns
        -------
        array of the same shape; of shape (n_samples,) for a softmax over several outputs.
        """
        return self._apply("value", y, z)

    def gradient(self, y, z):
        """Return the derivative of the loss with respect to each margin, shaped like ``z``.

        Parameters
        ----------
        y, z : arrays of the same shape
            Targets and margins, as in ``value``.
        """
        return self._apply("gradient", y, z)

    def hessian(self, y, z):
        """Return the second derivative with respect to each margin, shaped like ``z``.

        Parameters
        ----------
        y, z : arrays of the same shape
            Targets and margins, as in ``value``.
        """
        return self._apply("hessian", y, z)

    def hessian_terms(self, y, z):
        """Return what ``hessian_product`` needs to know of the targets and margins.

        Parameters
        ----------
        y, z : arrays of shape (n_samples, n_outputs)
            Targets and margins.
        """
        if np.ndim(z) != 2:
            raise ValueError(f"z has shape {np.shape(z)}: pass (n_samples, n_outputs).")
        rule = self.compiled(z.shape[1])
        terms = rule.apply("hessian", y, z)
        if isinstance(rule, PythonLossRule):
            check_second_derivatives(terms, f"{type(self).__name__}.hessian", self.convex)
        return terms

    def hessian_product(self, terms, direction):
        """Return the second derivative times a direction.

        Parameters
        ----------
        terms : array of shape (n_samples, n_outputs)
            What ``hessian_terms`` returned.
        direction : array of shape (n_samples, n_outputs)
            A change of the margins.
        """
        return self.quadratic(terms.shape[1]).apply("gradient", terms, direction)

    def quadratic(self, n_outputs):
        """Return the rule of the quadratic part, whose targets are what ``hessian_terms`` returns.

        Parameters
        ----------
        n_outputs : int
            The number of margins of a row.
        """
        return SoftmaxQuadraticRule() if self.is_multiclass(n_outputs) else QuadraticRule()

    def conjugate(self, y, slope):
        """Return ``sup_z slope z - loss(y, z)`` for slopes shaped like ``y``; inf if unknown.

        With it a fit can say how far from the minimum it ended; the loss must be convex.
        """
        return np.full(np.shape(slope), np.inf)

    def compiled(self, n_outputs=1):
        """Return the rule that the engine runs; one that calls back where a subclass overrides.

        Parameters
        ----------
        n_outputs : int, default=1
            The number of margins of a row.
        """
        hessian = ("hessian(y, z)",) if self.has_hessian else ()
        check_complete(self, Loss, "value(y, z)", "gradient(y, z)", *hessian)
        if overrides(type(self), Loss, {"value", "gradient", "hessian"}):
            return PythonLossRule(self)
        return self._rule(n_outputs)

    def best_constant(self, y, sample_weight):
        """Return the constant margin with the least weighted loss, one per column of ``y``.

        The root of the derivative, by Brent's method in a bracket grown around the targets.

        Parameters
        ----------
        y : array of shape (n_samples, n_outputs)
            Targets.
        sample_weight : array of shape (n_samples,)
            The weight of each row.
        """
        rule = self.compiled()
        return np.array([_least_constant(rule, column, sample_weight) for column in y.T])

    def piecewise_linear(self, y):
        """Return (position, low, high) for targets of shape (n_samples, n_outputs).

        For losses that are sums of hinges, ``max over low <= a <= high of a (z - position)``: the
        position has the shape (hinges, n_samples, n_outputs); None for other losses.
        """
        return None

    def quadratic_conjugate(self, y):
        """Return (position, low, high, curvature) for targets of shape (n_samples, n_outputs).

        For losses whose conjugate is ``position a + curvature a^2 / 2`` where ``low <= a <= high``,
        and infinite elsewhere; None for other losses.
        """
        return None

    def smoothed(self, smoothing):
        """Return a loss whose slope turns over more residuals, for those that have a ``smoothing``.

        Parameters
        ----------
        smoothing : float
            In the unit of the margins.
        """
        return self

    def is_multiclass(self, n_outputs):
        """Tell whether the outputs enter the loss of a row together, as in a softmax.

        Parameters
        ----------
        n_outputs : int
            The number of margins of a row.
        """
        return False

    def lipschitz(self, n_outputs):
        """Return the length of the longest gradient of a row's loss in its margins.

        Of a loss that does not couple its outputs, that of the derivative in one of them; infinity
        where there is no bound, or none is known.

        Parameters
        ----------
        n_outputs : int
            The number of margins of a row.
        """
        return np.inf

    def predictions(self, z):
        """Return what margins predict for a regression: the inverse link, shaped like ``z``."""
        return z

    def in_domain(self, y):
        """Tell for each target whether the loss is defined there."""
        return np.isfinite(y)

    def encoded(self, y):
        """Return targets of shape (n_samples, n_outputs), one column for each margin.

        Raises
        ------
        ValueError
            If a target is out of the domain.
        """
        outside = y[~self.in_domain(y)]
        if outside.size:
            raise ValueError(
                f"y has the value {outside[0]:g}, and loss={self!r} needs {self.domain}: pass such "
                "targets, or another loss."
            )
        return y

    def scales(self, mean, spread):
        """Return the curvature that descent expects of the loss, and a unit for the objective.

        Both follow from the targets, so that descent is the same whatever their unit.

        Parameters
        ----------
        mean, spread : array of shape (n_outputs,)
            The targets' mean and standard deviation.

        Returns
        -------
        curvature, unit : array of shape (n_outputs,)
        """
        if not self.smooth:
            # A kink bends by its slope, which is 1, over the spread of the targets.
            return 1.0 / spread, 1.0 / spread
        # So does a slope that turns within a width that is small compared with the spread.
        share = np.ones(spread.shape)
        if self.smoothing is not None:
            share = np.minimum(1, self.smoothing / spread)
        return share * (self.smoothness or 1.0), 1.0 / (share * spread**2)

    def score(self, y, predictions, sample_weight=None):
        """Return the score of a regression: R^2, averaged over the outputs."""
        return r2_score(y, predictions, sample_weight=sample_weight)

    def sample_targets(self, shape, seed=0):
        """Return random targets of a given shape that the loss is defined for."""
        generator = np.random.default_rng(seed)
        if self.task == "classification":
            return generator.choice([-1.0, 1.0], shape)
        return generator.normal(0.5, 2.0, shape)

    def _rule(self, n_outputs):
        return make_rule(self)

    def _apply(self, what, y, z):
        y, z = np.asarray(y, dtype=float), np.asarray(z, dtype=float)
        if y.shape != z.shape or z.ndim not in (1, 2):
            raise ValueError(
                f"y has shape {y.shape} and z has shape {z.shape}: pass equal shapes, (n_samples,) "
                "or (n_samples, n_outputs)."
            )
        n_outputs = 1 if z.ndim == 1 else z.shape[1]
        shape = (-1, n_outputs) if z.size else (0, n_outputs)
        result = self._rule(n_outputs).apply(what, y.reshape(shape), z.reshape(shape))
        if what == "value" and self.is_multiclass(n_outputs):
            return result[:, 0].copy()
        return np.ascontiguousarray(result).reshape(z.shape)
