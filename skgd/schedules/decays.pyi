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
    rate: float
    power: float
    def __init__(self, rate: float = 0.01, power: float = 0.5) -> None: ...

class Exponential(Schedule):
    rate: float
    factor: float
    def __init__(self, rate: float = 0.01, factor: float = 0.95) -> None: ...

class Step(Schedule):
    rate: float
    factor: float
    epochs: int | list[int]
    def __init__(
        self, rate: float = 0.01, factor: float = 0.1, epochs: int | list[int] = 30
    ) -> None: ...

class _Annealing(Schedule):
    @property
    def end(self) -> int: ...

class Polynomial(_Annealing):
    rate: float
    power: float
    min_rate: float
    epochs: int | None
    def __init__(
        self,
        rate: float = 0.01,
        power: float = 1.0,
        min_rate: float = 0.0,
        epochs: int | None = None,
    ) -> None: ...

class Cosine(_Annealing):
    rate: float
    min_rate: float
    epochs: int | None
    def __init__(
        self, rate: float = 0.01, min_rate: float = 0.0, epochs: int | None = None
    ) -> None: ...

class OneCycle(_Annealing):
    rate: float
    rising: float
    start_divisor: float
    end_divisor: float
    epochs: int | None
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
    steps: int
    then: float | Schedule
    def __init__(self, steps: int = 100, then: float | Schedule = 0.01) -> None: ...

class ReduceOnPlateau(Schedule):
    best: float
    waited: int
    reductions: int
    rate: float
    factor: float
    patience: int
    threshold: float
    min_rate: float
    def __init__(
        self,
        rate: float = 0.01,
        factor: float = 0.1,
        patience: int = 5,
        threshold: float = 1e-4,
        min_rate: float = 1e-6,
    ) -> None: ...
