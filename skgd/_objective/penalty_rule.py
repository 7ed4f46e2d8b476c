"""The compiled rule of a penalty and of bounds."""

from skgd.penalties import L2
from skgd.penalties.separable import BoxRule


def compiled_penalty(penalty, positive):
    """Return the rule of a penalty or None, with coefficients of at least 0 if wanted."""
    rule = (penalty if penalty is not None else L2()).compiled()
    return BoxRule(0.0, None, rule) if positive else rule
