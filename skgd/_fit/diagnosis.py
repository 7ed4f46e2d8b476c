"""What a fit tells its user once it has ended: warnings with a reason and a remedy."""

import warnings

from skgd._descent.history import DivergenceWarning


def warn_diverged(record, place, remedy, on_divergence):
    """Say that the descent exploded, where, and what to pass instead."""
    message = (
        f"The descent diverged at {place}: the objective rose to "
        f"{record.history['objective'][-1]:.3g}, where the best constant model has "
        f"{record.constant_objective:.3g}. {remedy}"
    )
    if on_divergence == "raise":
        raise FloatingPointError(message)
    warnings.warn(
        message + " The estimator has the best coefficients from before.", DivergenceWarning
    )
