"""Whether the derivatives of a user's loss and penalty are those of their values.

A wrong sign or factor leads to the minimum of another function, most often without a sign of it.
Central differences at a few points tell.
"""

import numpy as np

from skgd._fit.start import has_link
from skgd.losses.base import PythonLossRule
from skgd.penalties.base import PythonPenaltyRule

# Targets that are looked at, the step as a share of their spread, and the share by which
# derivatives and differences may differ: those of most targets, as kinks are near some.
ROWS, STEP, APART = 100, 1e-4, 0.05
# The rounding of a value.
ROUNDING = 100.0 * np.finfo(float).eps
# Directions in which a penalty is looked at.
DIRECTIONS = 3


def wrong_derivatives(run, coef):
    """Return messages on a user's derivatives that are not those of the values.

    Parameters
    ----------
    run : Run
    coef : array of shape (n_outputs, n_features)
        The coefficients at the end.
    """
    loss, penalty, found = run.loss, run.settings.penalty, []
    with np.errstate(all="ignore"):
        rule = loss.compiled(run.problem.k)
        if isinstance(rule, PythonLossRule) and not run.problem.is_in_blocks:
            targets = run.problem.signed_targets()
            if _is_wrong(*_derivatives_of_loss(rule, targets, has_link(loss, run.problem.k))):
                found.append(_message(loss, "value(y, z) with respect to z"))
        if penalty is not None and isinstance(penalty.compiled(), PythonPenaltyRule):
            if _is_wrong(*_derivatives_of_penalty(penalty, np.array(coef[0], dtype=float))):
                is_mixed = penalty.compiled().is_proximal
                found.append(_message(penalty, f"{'smooth_' * is_mixed}value(coef)"))
    return found


def _derivatives_of_loss(rule, targets, is_linked):
    """Return derivatives at margins around the targets, the differences, and their rounding."""
    targets = targets.reshape(len(targets), -1)
    y = np.ascontiguousarray(targets[:: 1 + len(targets) // ROWS])
    spread = 1.0 if is_linked else float(y.std()) or 1.0
    waves = np.cos(np.arange(y.size) + 0.5).reshape(y.shape)
    z, h = spread * waves + (0.0 if is_linked else y.mean()), STEP * spread
    values = [rule.apply("value", y, z + side) for side in (h, -h)]
    differences = (values[0] - values[1]) / (2.0 * h)
    return rule.apply("gradient", y, z), differences, ROUNDING * np.abs(values[0]) / h


def _derivatives_of_penalty(penalty, coef):
    """Return the same along a few directions from coefficients near those of the end."""
    size = float(np.abs(coef).max()) or 1.0
    directions = np.cos(np.outer(np.arange(1.0, DIRECTIONS + 1), np.arange(len(coef)) + 0.5))
    at, h = coef + 0.1 * size * directions[0], STEP * size
    slopes = directions @ penalty.gradient(at.copy())
    values = np.array([
        [penalty.smooth_value(at + side * u) for u in directions] for side in (h, -h)
    ])  # fmt: skip
    differences = (values[0] - values[1]) / (2.0 * h)
    return slopes, differences, ROUNDING * np.abs(values[0]) / h


def _is_wrong(derivatives, differences, rounding):
    """Tell whether most derivatives are not what differences say."""
    apart = np.abs(derivatives - differences)
    known = np.isfinite(apart)
    allowed = APART * np.maximum(np.abs(derivatives), np.abs(differences)) + rounding
    return bool(np.mean((apart > allowed)[known]) > 0.5) if known.any() else False


def _message(piece, value):
    name = type(piece).__name__
    return (
        f"{name}.gradient is not the derivative of {name}.{value}, so that the fit ends at the "
        "minimum of neither: correct one of them."
    )
