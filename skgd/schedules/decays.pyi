from skgd.schedules.base import Schedule

__all__ = [
    "InverseScaling",
    "Exponential",
    "Step",
    "Polynomial",
    "Cosine",
    "OneCycle",
    "Warmup",
    "ReduceOnPlateau",
]

class InverseScaling(Schedule):
    def __init__(self, rate: float = 0.01, power: float = 0.5) -> None: ...

class Exponential(Schedule):
    def __init__(self, rate: float = 0.01, factor: float = 0.95) -> None: ...

class Step(Schedule):
    def __init__(
        self, rate: float = 0.01, factor: float = 0.1, epochs: int | list[int] = 30
    ) -> None: ...

class _Annealing(Schedule):
    @property
    def end(self) -> int: ...

class Polynomial(_Annealing):
    def __init__(
        self,
        rate: float = 0.01,
        power: float = 1.0,
        min_rate: float = 0.0,
        epochs: int | None = None,
    ) -> None: ...

class Cosine(_Annealing):
    def __init__(
        self, rate: float = 0.01, min_rate: float = 0.0, epochs: int | None = None
    ) -> None: ...

class OneCycle(_Annealing):
    def __init__(
        self,
        rate: float = 0.01,
        rising: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 10000.0,
        epochs: int | None = None,
    ) -> None: ...

class Warmup(Schedule):
    @property
    def following(self) -> Schedule: ...
    def __init__(self, steps: int = 100, then: float | Schedule = 0.01) -> None: ...

class ReduceOnPlateau(Schedule):
    best: float
    waited: int
    reductions: int
    def __init__(
        self,
        rate: float = 0.01,
        factor: float = 0.1,
        patience: int = 5,
        threshold: float = 1e-4,
        min_rate: float = 1e-6,
    ) -> None: ...
