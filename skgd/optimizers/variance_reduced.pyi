from skgd.optimizers.base import Optimizer

__all__ = ["SVRG", "SAGA"]

class SVRG(Optimizer):
    every: float
    def __init__(self, *, every: float = 2) -> None: ...

class SAGA(Optimizer):
    def __init__(self) -> None: ...
