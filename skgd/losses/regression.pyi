from skgd.losses.base import Loss

__all__ = [
    "SquaredError",
    "SquaredEpsilonInsensitive",
    "LogCosh",
    "Cauchy",
]

class SquaredError(Loss):
    def __init__(self) -> None: ...

class SquaredEpsilonInsensitive(Loss):
    epsilon: float
    def __init__(self, epsilon: float = 0.1) -> None: ...

class LogCosh(Loss):
    def __init__(self) -> None: ...

class Cauchy(Loss):
    scale: float
    def __init__(self, scale: float = 1.0) -> None: ...
