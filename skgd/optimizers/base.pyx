# cython: language_level=3, cdivision=True
"""What a step rule is: its compiled rule, over a row of parameters, and the class users see."""

from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator

from libc.math cimport sqrt
from libc.string cimport memcpy

from skgd._engine.arrays cimport floats, writeable_floats

from skgd._utils.checks import as_floats
from skgd._utils.rules import check_complete, make_rule, overrides, without_rate

__all__ = ["Optimizer"]


class Minimizer(BaseEstimator):
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


cdef class Rule:
    """The mathematics of a step rule, over one row of parameters."""

    cdef int update(self, double* w, const double* g, double* s, Py_ssize_t stride, double rate,
                    Py_ssize_t t, Py_ssize_t d, double* step) except -1 nogil:
        with gil:
            raise NotImplementedError(f"{type(self).__name__} has no update.")

    cdef double update_in_metric(self, double* u, const double* g, double* s, Py_ssize_t stride,
                                 double rate, Py_ssize_t t, Py_ssize_t d, double sum,
                                 const double* mean, double l2, const double* inverse,
                                 double unit, double* w) noexcept nogil:
        return 0.0

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


class Optimizer(Minimizer):
    """Base class of the step rules; subclass it to write your own.

    Attributes
    ----------
    slots : int
        The number of state arrays, each shaped like the parameters and initially zero.
    takes_batches : bool
        Whether a step may use a batch of the rows.
    takes_streams : bool
        Whether ``partial_fit`` may be called, with rows that are seen only once.
    snapshots : int or None
        None for plain gradients of batches. A number means variance reduction: the epochs between
        full gradients, 0 for a table that is updated row by row.
    first_rate : float
        The first learning rate of ``learning_rate="auto"`` for batches of 256.
    stream_batch : int or None
        The batch size of ``batch_size="auto"`` in ``partial_fit`` with ``learning_rate="auto"``;
        None means the same as in ``fit``.
    sign_step_factor : float or None
        For rules whose first steps follow the signs of the gradient: the largest automatic rate on
        batches, as a multiple of the best step along the signs of a batch's gradient. Full-batch
        descent starts with a third of it.
    second_moment_window : float
        The smallest fraction of steps that a running mean of squared gradients can remember, ``1 -
        beta_2``.
    momentum_horizon : float
        The number of steps over which the rule still moves along an old gradient, ``1 / (1 -
        momentum)``.
    plain_rate : float
        The meaning of ``learning_rate=None`` in :func:`skgd.minimize`.

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
    sign_step_factor = None
    second_moment_window = 1.0
    momentum_horizon = 1.0
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

    def automatic_batch(self, n_rows, n_features, row_nnz):
        """Return what ``batch_size="auto"`` stands for: rows enough for the products, yet 8 steps.

        Parameters
        ----------
        n_rows, n_features : int
        row_nnz : float
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
            ``curvatures.single`` the largest of them;
            ``curvatures.sign_step(batch_length, second_moment_window)`` is how far along the signs
            of a batch's gradient its objective is least. Each is computed on demand.

        Returns
        -------
        rate : float
        power : float
            On a stream the rate falls as ``(1 + t / steps)^-power``. In a fit, whose rate falls
            where the objective stops falling, a rate with a power above 0 ends at zero.
        """
        rate = self.first_rate * min(1.0, sqrt(batch_length / 256))
        if self.sign_step_factor is None:
            return rate, 1.0
        longest = curvatures.sign_step(batch_length, self.second_moment_window)
        longest *= self.sign_step_factor
        if batch_length == n_rows:
            # Only a step too far could make the objective rise.
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


def in_unit_interval(name, value):
    if not 0 <= value < 1:
        raise ValueError(f"{name}={value!r}: pass a number from 0 to below 1.")
    return value


def not_negative(name, value):
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}={value!r}: pass a finite number >= 0.")
    return value


def positive(name, value):
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}={value!r}: pass a finite number > 0; no step is taken with 0.")
    return value


def check_smooth(optimizer, objective):
    if objective.proximal:
        raise ValueError(
            f"{type(optimizer).__name__} needs a smooth penalty: pass optimizer='auto' or "
            "AcceleratedGradient() for l1, elasticnet, groups, bounds and positive=True."
        )
