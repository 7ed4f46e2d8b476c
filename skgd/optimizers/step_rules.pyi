from skgd.optimizers.base import Optimizer, Rule

__all__ = ["SGD", "Lion", "Rprop"]

class SGDRule(Rule):
    def __init__(self, momentum: float, nesterov: bool, dampening: float) -> None: ...

class SGD(Optimizer):
    momentum: float
    nesterov: bool
    dampening: float
    def __init__(
        self, *, momentum: float = 0.0, nesterov: bool = False, dampening: float = 0.0
    ) -> None: ...

class Lion(Optimizer):
    beta_1: float
    beta_2: float
    def __init__(self, *, beta_1: float = 0.9, beta_2: float = 0.99) -> None: ...

class Rprop(Optimizer):
    etas: tuple[float, float]
    step_sizes: tuple[float, float]
    def __init__(
        self,
        *,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
    ) -> None: ...
