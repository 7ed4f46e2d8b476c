from skgd.losses.base import Loss

__all__ = [
    "Poisson",
    "Gamma",
    "Tweedie",
]

class _LogLink(Loss):
    power: float

class Poisson(_LogLink):
    def __init__(self) -> None: ...

class Gamma(_LogLink):
    def __init__(self) -> None: ...

class Tweedie(_LogLink):
    def __init__(self, power: float = 1.5) -> None: ...
