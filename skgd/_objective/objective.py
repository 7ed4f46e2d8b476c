"""The objective of a fit in the coordinates of a metric: values, gradients, proximal points.

    F(W, b) = 1/S sum_i s_i l(y_i, W x_i + b) + alpha penalty(W)

as a function of the parameters ``u = scale * W`` with X centred through the intercept (see
`metric`), in the units of the metric. The smooth part has a gradient, the rest of the penalty a
proximal operator.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skgd._objective import coordinates

# Gradients this small, relative to the root of the objective, are rounding.
ROUNDING = 4e-15
# Numbers of which copies take longer than calls.
MANY = 8192


class Point(NamedTuple):
    """What a pass over the rows says about a point, in the metric; the losses in raw units."""

    x: np.ndarray
    raw: tuple
    losses: np.ndarray
    value: float
    gradient: np.ndarray
    margins: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Objective:
    """The objective of a fit in the coordinates of a metric: a value, but for its last point.

    Attributes
    ----------
    problem : Problem
    penalty : PenaltyRule
    alpha : array of shape (n_outputs,)
    metric : Metric
    smoothness : array of shape (n_outputs,)
        The second derivative of the loss that the metric expects, or a bound of it.
    penalty_curvature : array of shape (n_outputs, n_features)
        The second derivative of alpha times the penalty.
    first_step : float
        The step that a line search tries first.
    keeps_margins : bool
        Whether the last point has its margins, for a Hessian there.
    """

    problem: object
    penalty: object
    alpha: np.ndarray
    metric: object
    smoothness: np.ndarray
    penalty_curvature: np.ndarray
    first_step: float = 1.0
    keeps_margins: bool = False
    last: list = field(default_factory=lambda: [None], init=False, repr=False)
    asked: list = field(default_factory=lambda: [None], init=False, repr=False)

    @property
    def loss(self):
        return self.problem.loss

    @property
    def shape(self):
        """The shape of the parameters, (n_outputs, n_parameters)."""
        return self.metric.inverse.shape

    @property
    def passes(self):
        """The passes over the rows so far."""
        return self.problem.counter.passes

    @property
    def proximal(self):
        return self.penalty.is_proximal

    @cached_property
    def penalty_hessian_diag(self):
        """The penalty's second derivative along each parameter, in the units of the metric."""
        diag = np.zeros(self.shape)
        diag[:, :self.problem.d] = self.penalty_curvature
        return diag * self.metric.inverse**2 * self.metric.unit[:, None]

    @cached_property
    def shift_invariant(self):
        """The parameters whose equal change in all outputs of a softmax leaves the loss as it is.

        Those whose penalty is the same square in all outputs; the intercept's is one of them.
        """
        diag = self.penalty_curvature
        result = np.ones(self.shape[1], dtype=bool)
        result[:diag.shape[1]] = not self.proximal and (diag == diag[0]).all()
        return result

    def with_alpha(self, alpha, penalty_curvature):
        """Return the objective with another alpha in the same metric, which knows the last point.

        Parameters
        ----------
        alpha : float
        penalty_curvature : array of shape (n_outputs, n_features)
            That of the penalty times the new alpha.
        """
        other = replace(
            self, alpha=np.full(len(self.alpha), alpha), penalty_curvature=penalty_curvature
        )
        last = self.last[0]
        if last is not None:
            coef, nothing = last.raw[0], np.zeros(len(self.alpha))
            slopes = self.metric.gradient(
                np.zeros(coef.shape), nothing,
                (other.alpha - self.alpha)[:, None] * self.penalty.apply_gradient(coef),
            )  # fmt: skip
            smooth = last.losses + other.alpha * self.penalty.apply_smooth_value(coef)
            other.last[0] = last._replace(
                value=float(self.metric.unit @ smooth), gradient=last.gradient + slopes.ravel()
            )
        return other

    # ---- at raw coefficients --------------------------------------------------------------------

    def values(self, coef, intercept):
        """Return the loss and the objective of raw coefficients, output by output."""
        losses = self._losses(coef, intercept).copy()
        return losses, self.with_penalty(losses, coef)

    def _losses(self, coef, intercept):
        """Return the losses at raw coefficients, which are known where they were the last."""
        if self._is_last(coef, intercept):
            return self.last[0].losses
        # A fit by steps asks twice at its end: for its history, and for its duality gap.
        known = self.asked[0]
        if known is None or not (
            np.array_equal(known[1], intercept) and np.array_equal(known[0], coef)
        ):
            losses = self.problem.losses(coef, intercept)
            known = self.asked[0] = coef.copy(), intercept.copy(), losses
        return known[2]

    def _is_last(self, coef, intercept):
        """Tell whether raw coefficients are those of the last point."""
        last = self.last[0]
        return last is not None and bool(
            np.array_equal(last.raw[1], intercept) and np.array_equal(last.raw[0], coef)
        )

    def parameters(self, coef, intercept):
        """Return the parameters of raw coefficients: of the last point, the same to the bit."""
        if self._is_last(coef, intercept):
            return self.last[0].x
        return self.metric.from_raw(coef, intercept).ravel()

    def with_penalty(self, losses, coef):
        """Return the objective of each output from its loss."""
        return coordinates.with_penalty(losses, coef, self.penalty, self.alpha)

    def losses_and_gradients(self, coef, intercept, margins=None):
        """Return the smooth part's gradient, each output's loss, and the losses' raw gradients."""
        losses, *gradients = self.problem.losses_and_gradients(coef, intercept, margins=margins)
        gradient = coordinates.gradient(
            losses, *gradients, coef, self.penalty, self.alpha, self.metric, self.smoothness,
            ROUNDING, self.problem.is_multiclass,
        )  # fmt: skip
        return gradient, losses, gradients

    # ---- at parameters in the metric ------------------------------------------------------------

    def value_and_gradient(self, x):
        """Return the smooth part and its gradient, both in the units of the metric."""
        point = self.at(x)
        return point.value, point.gradient.copy()

    def at(self, x):
        """Return what a pass over the rows says about x, which is known where x was the last."""
        last = self.last[0]
        if last is None or not _is_same(x, last.x):
            margins = self.problem.room_for_margins() if self.keeps_margins else None
            raw = self.to_raw(x)
            gradient, losses, _ = self.losses_and_gradients(*raw, margins)
            value = coordinates.smooth_value(
                losses, raw[0], self.penalty, self.alpha, self.metric.unit
            )
            last = self.last[0] = Point(x.copy(), raw, losses, value, gradient, margins)
        return last

    def expand(self, x):
        """Return the losses to second order about x, an `Expansion`."""
        return self.problem.expand(*self.raw(x), self.known_margins(x))

    def known_margins(self, x):
        """Return the margins at x, None where they are not known."""
        return self.last[0].margins if self._knows(x) else None

    def rounding(self, x, value):
        """Return how much of the value at x may be rounding."""
        return ROUNDING * (abs(value) + coordinates.margin_rounding(
            x, self.raw(x)[0], value, self.metric, self.smoothness
        ))  # fmt: skip

    def margin_size(self, x):
        """Return the size of what the margins of each output at x are made of.

        It may be larger than they are, where columns are far from zero.
        """
        return coordinates.margin_sizes(x, self.raw(x)[0], self.metric, self.smoothness)

    def _knows(self, x):
        last = self.last[0]
        return last is not None and _is_same(x, last.x)

    def raw(self, x):
        """Return the coefficients and the intercepts at x, which are known from the last point."""
        return self.last[0].raw if self._knows(x) else self.to_raw(x)

    def to_raw(self, x):
        """Return the coefficients and the intercepts at x."""
        return self.feasible(*self.metric.to_raw(x.reshape(self.shape)))

    def model(self, x):
        """Return the coefficients and the intercepts for X that x stands for."""
        coef, intercept = self.raw(x)
        return self.for_all_columns(coef), intercept

    def for_all_columns(self, coef):
        """Return coefficients of the columns that the objective has as those of all columns."""
        return coef

    def of_own_columns(self, coef):
        """Return those coefficients of all columns that the objective has."""
        return coef

    def feasible(self, coef, intercept):
        """Return raw coefficients within bounds, and intercepts with the same mean margin.

        What rounding moved off a bound, between one set of coordinates and another, is on it.
        """
        if not self.proximal:
            return coef, intercept
        moved = coef.copy()
        self.penalty.apply_projection(moved)
        return moved, intercept - self.metric.shift(moved - coef)

    def nonsmooth_value(self, x):
        """Return the part of the penalty that is not smooth, in the units of the metric."""
        if not self.proximal:
            return 0.0
        coef, _ = self.raw(x)
        values = self.penalty.apply_value(coef) - self.penalty.apply_smooth_value(coef)
        return float(self.metric.unit @ (self.alpha * values))

    def prox(self, x, step):
        """Return the proximal point of parameters after a step of a given size."""
        if not self.proximal:
            return x
        u = x.reshape(self.shape).copy()
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


def _is_same(x, y):
    """Tell whether parameters are the same to the bit."""
    if x is y or x.shape != y.shape:
        return x is y
    # A comparison of bytes takes a few hundred nanoseconds, one of numbers microseconds; but bytes
    # are copied, which takes 0.4 ms of 160 000 numbers, and a comparison of those 0.1 ms.
    if len(x) < MANY:
        return x.tobytes() == y.tobytes()
    return np.array_equal(np.ascontiguousarray(x).view(np.int64), y.view(np.int64))
