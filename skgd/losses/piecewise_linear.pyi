from collections.abc import Sequence

from skgd.losses.base import Loss

__all__ = [
    "AbsoluteError",
    "Quantile",
    "EpsilonInsensitive",
    "Huber",
]

class PiecewiseLinear(Loss): ...

class AbsoluteError(PiecewiseLinear):
    def __init__(self) -> None: ...

class Quantile(PiecewiseLinear):
    quantile: float | Sequence[float]
    def __init__(self, quantile: float | Sequence[float] = 0.5) -> None: ...

class EpsilonInsensitive(PiecewiseLinear):
    epsilon: float
    def __init__(self, epsilon: float = 0.1) -> None: ...

class Huber(Loss):
    delta: float
    def __init__(self, delta: float = 1.35) -> None: ...
