from skgd.optimizers.base import Optimizer

__all__ = ["Adagrad", "RMSprop", "Adadelta", "DoG"]

class Adagrad(Optimizer):
    eps: float
    def __init__(self, *, eps: float = 1e-10) -> None: ...

class RMSprop(Optimizer):
    rho: float
    momentum: float
    centered: bool
    eps: float
    def __init__(
        self,
        *,
        rho: float = 0.99,
        momentum: float = 0.0,
        centered: bool = False,
        eps: float = 1e-8,
    ) -> None: ...

class Adadelta(Optimizer):
    rho: float
    eps: float
    def __init__(self, *, rho: float = 0.9, eps: float = 1e-6) -> None: ...

class DoG(Optimizer):
    initial_distance: float
    def __init__(self, *, initial_distance: float = 1e-6) -> None: ...
