"""Plots of a descent (curves, learning rates, path, coefficients) and of regularisation paths.

They follow scikit-learn's convention: ``from_...`` makes and draws one, ``plot(ax=...)`` draws it
again, ``ax_``, ``figure_`` and ``lines_`` are what was drawn. matplotlib is needed only to draw.
"""

from skgd._utils.rules import name_by_package
from skgd.display import coefficients, descent, learning_rate, path, regularization
from skgd.display.base import COLORS
from skgd.display.coefficients import *
from skgd.display.descent import *
from skgd.display.learning_rate import *
from skgd.display.path import *
from skgd.display.regularization import *

__all__ = [
    *coefficients.__all__, *descent.__all__, *learning_rate.__all__, *path.__all__,
    *regularization.__all__,
]  # fmt: skip
name_by_package(globals())
