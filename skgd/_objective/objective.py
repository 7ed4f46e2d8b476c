"""The objective of a fit in the coordinates of a metric: values, gradients, proximal points."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skgd._engine import signed_targets, value_and_gradient

# Gradients this small, relative to the root of the objective, are rounding.
ROUNDING = 4e-15


class Point(NamedTuple):
    """What a pass over the rows tells of a point, in the units of the metric but for the losses."""

    x: np.ndarray
    raw: tuple
    losses: np.ndarray
    value: float
    gradient: np.ndarray
    margins: np.ndarray | None


@dataclass
class Objective:
    """The objective of a fit in the coordinates of a metric.

    Attributes
    ----------
    problem : Problem
    penalty : PenaltyRule
    alpha : array of shape (n_outputs,)
    metric : Metric
    curvature : array of shape (n_outputs,)
        The second derivative of the loss, or a bound of it.
    penalty_curvature : array of shape (n_outputs, n_features)
        The second derivative of alpha times the penalty.
    coupled : bool
        Whether the loss couples the outputs, so that it does not see an equal change of all.
    n_threads : int
    first_step : float
        The step that a line search tries first.
    keeps_margins : bool
        Whether the last point has its margins.
    latest : Point or None
    reported : Objective or None
        The objective whose values a record gets, where this one stands in for it.
    slopes : array of shape (n_samples, n_outputs) or None
        Slopes of the rows that a descent found to bound the minimum.
    hessian : Curvature or None
        That of a descent, where it is the same everywhere.
    bound : LowerBound or None
        What a descent found out about the minimum.
    space : InRowSpace or None
        The objective in fewer coordinates, where a descent used them.
    """

    problem: object
    penalty: object
    alpha: np.ndarray
    metric: object
    curvature: np.ndarray
    penalty_curvature: np.ndarray
    coupled: bool = False
    n_threads: int = 1
    first_step: float = 1.0
    passes: int = 0
    keeps_margins: bool = False
    latest: object = None
    reported: object = None
    slopes: np.ndarray | None = None
    hessian: object = None
    bound: object = None
    space: object = None

    @property
    def proximal(self):
        return self.penalty.is_proximal

    @cached_property
    def penalty_hessian_diag(self):
        """The penalty's curvature along each parameter, in the units of the metric."""
        hessian_diag = np.zeros(self.metric.inverse.shape)
        hessian_diag[:, :self.problem.d] = self.penalty_curvature
        return hessian_diag * self.metric.inverse**2 * self.metric.unit[:, None]

    @cached_property
    def targets(self):
        """The targets of shape (n_samples, n_outputs), -1 and +1 for classes."""
        return signed_targets(self.problem.targets, self.problem.k)

    @cached_property
    def alike(self):
        """The columns along which an equal change of all outputs of a softmax sees a square alone.

        The intercept's is one of them.
        """
        hessian_diag = self.penalty_curvature
        result = np.ones(self.metric.inverse.shape[1], dtype=bool)
        equal = not self.proximal and (hessian_diag == hessian_diag[0]).all()
        result[:hessian_diag.shape[1]] = equal
        return result

    def values(self, coef, intercept, subset=None):
        """Return the loss and the objective of raw coefficients, output by output."""
        losses, _, _ = value_and_gradient(
            self.problem, coef, intercept, gradient=False, subset=subset, n_threads=self.n_threads
        )
        return losses, self.with_penalty(losses, coef)

    def with_penalty(self, losses, coef):
        """Return the objective of each output from its loss."""
        return losses + self.alpha * self.penalty.apply_value(coef)

    def losses_and_gradients(self, coef, intercept, margins=None):
        """Return the smooth part's gradient, each output's loss, and the losses' raw gradients."""
        losses, *gradients = value_and_gradient(
            self.problem, coef, intercept, n_threads=self.n_threads, margins=margins
        )
        self.passes += 1
        if self.coupled:
            # Along equal changes of all outputs the loss has rounding, and little else bends there.
            for gradient in gradients:
                gradient -= gradient.sum(axis=0) / len(gradient)
        # A sum that cancels to rounding is zero: rules that normalise would make it a step.
        cancels = np.abs(gradients[1]) <= ROUNDING * self._size(losses)
        if cancels.any():  # and with it what it has in the gradients of columns that are far off
            cancelled = np.where(cancels, gradients[1], 0.0)
            gradients[0] -= np.outer(cancelled, self.metric.mean)
            gradients[1] -= cancelled
        penalty_gradient = self.alpha[:, None] * self.penalty.apply_gradient(coef)
        return self.metric.gradient(*gradients, penalty_gradient).ravel(), losses, gradients

    def _size(self, losses):
        """Return the size of slopes that go with losses."""
        return np.sqrt(self.curvature * (np.abs(losses) + 1.0 / self.metric.unit))

    def value_and_gradient(self, x):
        """Return the smooth part and its gradient, both in the units of the metric."""
        point = self.at(x)
        return point.value, point.gradient.copy()

    def at(self, x):
        """Return what a pass over the rows tells of x, which is known where x was the last."""
        if not self._knows(x):
            margins = np.empty((self.problem.n, self.problem.k)) if self.keeps_margins else None
            raw = self.to_raw(x)
            # What a line search tries may be too far off for numbers.
            with np.errstate(over="ignore", invalid="ignore"):
                gradient, losses, _ = self.losses_and_gradients(*raw, margins)
                smooth = losses + self.alpha * self.penalty.apply_smooth_value(raw[0])
                value = float(self.metric.unit @ smooth)
            self.latest = Point(x.copy(), raw, losses, value, gradient, margins)
        return self.latest

    def rounding(self, x, value):
        """Return how much of the value at x may be rounding."""
        unit, size = self.metric.unit, self._size(value / self.metric.unit)
        return ROUNDING * (abs(value) + float(unit @ (size * self.margin_size(x))))

    def gradient_terms(self, x):
        """Return the size of what each number of the gradient of squared errors at x sums up."""
        metric, shape = self.metric, self.metric.inverse.shape
        spread = np.ones(shape)
        spread[:, :self.problem.d] += np.abs(metric.mean) * metric.inverse[:, :self.problem.d] * (
            np.sqrt(self.curvature * metric.unit)[:, None]
        )
        residuals = np.sqrt(metric.unit * np.abs(self.at(x).losses))[:, None]
        return residuals * spread + self.penalty_hessian_diag * np.abs(x.reshape(shape))

    def margin_size(self, x):
        """Return the size of what the margins of each output at x are made of.

        It may be larger than they are, where columns are far from zero.
        """
        squares = (x.reshape(self.metric.inverse.shape) ** 2).sum(axis=1)
        parts = np.abs(self.raw(x)[0]) @ np.abs(self.metric.mean)
        return parts + np.sqrt(squares / (self.curvature * self.metric.unit))

    def _knows(self, x):
        last = self.latest
        return last is not None and last.x.shape == x.shape and bool((last.x == x).all())

    def margins(self, x):
        """Return the margins at x, of shape (n_samples, n_outputs), if it was the last point."""
        return self.latest.margins if self._knows(x) else None

    def raw(self, x):
        """Return the coefficients and the intercepts at x, which are known of the last point."""
        return self.latest.raw if self._knows(x) else self.to_raw(x)

    def to_raw(self, x):
        """Return the coefficients and the intercepts at x."""
        return self.feasible(*self.metric.to_raw(x.reshape(self.metric.inverse.shape)))

    def model(self, x):
        """Return the coefficients and the intercepts for X that x stands for."""
        return self.raw(x)

    def feasible(self, coef, intercept):
        """Return raw coefficients within bounds, and intercepts with the same mean margin.

        What rounding moved off a bound, between one set of coordinates and another, is on it.
        """
        if not self.proximal:
            return coef, intercept
        moved = coef.copy()
        self.penalty.apply_projection(moved)
        return moved, intercept - self.metric.shift(moved - coef)

    def rest(self, x):
        """Return the part of the penalty that is not smooth, in the units of the metric."""
        if not self.proximal:
            return 0.0
        coef, _ = self.raw(x)
        rest = self.penalty.apply_value(coef) - self.penalty.apply_smooth_value(coef)
        return float(self.metric.unit @ (self.alpha * rest))

    def prox(self, x, step):
        """Return the proximal point of parameters after a step of a given size."""
        if not self.proximal:
            return x
        u = x.reshape(self.metric.inverse.shape).copy()
        d = len(self.metric.mean)
        inverse = self.metric.inverse[:, :d]
        coef = np.ascontiguousarray(u[:, :d] * inverse)
        steps = step * inverse**2 * (self.metric.unit * self.alpha)[:, None]
        self.penalty.apply_prox(coef, steps)
        np.divide(coef, inverse, out=u[:, :d], where=inverse != 0)
        return u.ravel()

    def decrement(self, x, gradient):
        """Return the squared length of the gradient, or of the proximal gradient's step."""
        if not self.proximal:
            return float(gradient @ gradient)
        step = x - self.prox(x - gradient, 1.0)
        return float(step @ step)
