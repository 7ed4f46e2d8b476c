import numpy as np
from numpy.typing import NDArray

from skgd.losses.base import Loss
from skgd.losses.piecewise_linear import PiecewiseLinear

_Floats = NDArray[np.float64]

__all__ = [
    "Perceptron",
    "Hinge",
    "SquaredHinge",
    "ModifiedHuber",
    "LogLoss",
    "Focal",
]

class Perceptron(PiecewiseLinear):
    def __init__(self) -> None: ...

class Hinge(PiecewiseLinear):
    def __init__(self) -> None: ...

class SquaredHinge(Loss):
    def __init__(self) -> None: ...

class ModifiedHuber(Loss):
    def __init__(self) -> None: ...
    def probabilities(self, z: _Floats) -> _Floats: ...

class LogLoss(Loss):
    def __init__(self) -> None: ...
    def probabilities(self, z: _Floats) -> _Floats: ...

class Focal(Loss):
    gamma: float
    def __init__(self, gamma: float = 2.0) -> None: ...
    def probabilities(self, z: _Floats) -> _Floats: ...
