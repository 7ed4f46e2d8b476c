"""The rows of a fit, and the questions that solvers may ask of them."""

from skgd._problem.moments import Moments
from skgd._problem.problem import Problem

__all__ = ["Moments", "Problem"]
