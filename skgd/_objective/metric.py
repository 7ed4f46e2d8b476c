"""Metrics: the coordinates in which descent runs.

With ``u = w * scale`` and X centred through the intercept, raw columns of any scale train like
standardised ones. The objective and its minimiser stay those of raw X, only the path changes. The
scale is the square root of the objective's curvature along a coefficient, the penalty's included,
so that a learning rate is dimensionless.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skgd._engine import cache_aligned
from skgd._objective import coordinates


@dataclass
class Metric:
    """Diagonal coordinates: ``w = u * inverse`` and ``b = u_b * inverse_b - mean . w``.

    Attributes
    ----------
    mean : array of shape (n_features,)
        What X is centred with; zeros without an intercept.
    inverse : array of shape (n_outputs, n_parameters)
        One over the scale; 0 freezes a coordinate along which the objective is flat.
    unit : array of shape (n_outputs,)
        The unit in which the objective is measured during descent.
    beyond : bool array of shape (n_features,)
        Which columns are frozen because squares of their numbers are beyond the range of doubles.
    identity : bool
        Whether the coordinates are the raw ones.
    constant : bool array of shape (n_features,) or None
        Which columns are constant, so that the intercept alone fits what they could.
    values : array of shape (n_features,) or None
        The values of the constant columns.
    held : array of shape (n_outputs, n_features) or None
        Coefficients of constant columns that a stream keeps for rows in which they vary.
    """

    mean: np.ndarray
    inverse: np.ndarray
    unit: np.ndarray
    beyond: np.ndarray
    identity: bool = False
    constant: np.ndarray | None = None
    values: np.ndarray | None = None
    held: np.ndarray | None = None

    def freezing(self, columns, values):
        """Return the metric in which the coefficients of constant columns stay at zero.

        In raw coordinates those of empty columns, which have no gradient, stay by themselves.
        """
        frozen = columns & (values != 0) if self.identity else columns
        inverse = self.inverse
        if inverse[:, :len(frozen)][:, frozen].any():
            inverse = cache_aligned(np.where(_padded(frozen, inverse.shape[1]), 0.0, inverse))
        return replace(
            self, inverse=inverse, identity=self.identity and not frozen.any(),
            constant=columns, values=np.where(columns, values, 0.0),
        )  # fmt: skip

    def holding(self, coef):
        """Return the metric in which the coefficients of constant columns stay as they are."""
        if self.constant is None or not coef[:, self.constant].any():
            return self
        return replace(self, held=np.where(self.constant, coef, 0.0))

    def settled(self, coef, intercept):
        """Return a model without constant columns that makes the same predictions."""
        if self.constant is None or not coef[:, self.constant].any():
            return coef, intercept
        moved = np.where(self.constant, 0.0, coef)
        if self.inverse.shape[1] > coef.shape[1]:
            intercept = intercept + ((coef - moved) * self.values).sum(axis=1)
        return moved, intercept

    def of_columns(self, columns):
        """Return the same coordinates for some of the columns, none of them constant."""
        d = len(self.mean)
        parameters = np.append(columns, np.arange(d, self.inverse.shape[1]))
        return Metric(
            mean=cache_aligned(self.mean[columns]),
            inverse=cache_aligned(np.take(self.inverse, parameters, axis=1)),
            unit=self.unit, beyond=self.beyond[columns], identity=self.identity,
        )  # fmt: skip

    def numbers(self):
        """Return the arrays that fix the coordinates."""
        return self.mean, self.inverse, self.held

    def to_raw(self, u):
        """Return the coefficients and the intercepts of parameters u."""
        coef, intercept = coordinates.to_raw(
            np.ascontiguousarray(u, dtype=float), self.mean, self.inverse, not self.identity
        )
        if self.held is not None:
            intercept = intercept - (self.held * self.values).sum(axis=1)
            coef += self.held
        return coef, intercept

    def shift(self, coef):
        """Return the margins of the columns' means."""
        # Not by BLAS, whose threads keep spinning next to the engine for a while after each call.
        return (coef * self.mean).sum(axis=1)

    def from_raw(self, coef, intercept):
        """Return the parameters of coefficients and intercepts."""
        if self.held is not None:
            coef, intercept = self.settled(coef, intercept)
        raw, d = coef, coef.shape[1]
        if self.inverse.shape[1] > d:
            raw = np.empty(self.inverse.shape)
            raw[:, :d], raw[:, d] = coef, intercept + self.shift(coef)
        return np.divide(raw, self.inverse, out=np.zeros(raw.shape), where=self.inverse != 0)

    def gradient(self, coef_gradient, intercept_gradient, penalty_gradient):
        """Return the gradient with respect to u of the objective in its unit."""
        return coordinates.slopes_along(
            coef_gradient, intercept_gradient, penalty_gradient, self.mean, self.slopes
        )

    @cached_property
    def slopes(self):
        """What makes slopes along the parameters, in their units, of raw ones."""
        return self.inverse * self.unit[:, None]


def _padded(columns, n_parameters):
    """Return a choice of columns as one of parameters."""
    return np.append(columns, np.zeros(n_parameters - len(columns), dtype=bool))


def identity_metric(n_features, n_outputs, fit_intercept):
    """Return the raw coordinates."""
    return Metric(
        mean=np.zeros(n_features),
        inverse=np.ones((n_outputs, n_features + fit_intercept)),
        unit=np.ones(n_outputs),
        beyond=np.zeros(n_features, dtype=bool),
        identity=True,
    )


def diagonal_metric(moments, curvature, penalty_curvature, unit, fit_intercept, *, centred=True):
    """Return the coordinates in which the objective's curvature is 1 along each axis.

    Parameters
    ----------
    moments : Moments
    curvature : array of shape (n_outputs,)
        The second derivative of the loss, or a bound of it.
    penalty_curvature : array of shape (n_outputs, n_features)
        The second derivative of alpha times the penalty.
    unit : array of shape (n_outputs,)
    fit_intercept : bool
    centred : bool, default=True
        Whether X may be centred through the intercept.
    """
    centred = centred and fit_intercept
    variance = moments.variance(about_mean=centred)
    d, beyond = len(variance), np.zeros(len(variance), dtype=bool)
    inverse, is_flat = coordinates.inverse_scales(
        curvature, variance, penalty_curvature, unit, d + bool(fit_intercept)
    )
    if is_flat:
        vanishing = (moments.mean != 0) & (moments.mean**2 == 0)
        frozen = (inverse == 0)[:, :d].any(axis=0)
        beyond = frozen & ((variance > 0) | ~np.isfinite(variance) | vanishing)
    mean = moments.mean.copy() if centred else np.zeros(d)
    mean, inverse = cache_aligned(mean), cache_aligned(inverse)
    return Metric(mean=mean, inverse=inverse, unit=unit, beyond=beyond)
