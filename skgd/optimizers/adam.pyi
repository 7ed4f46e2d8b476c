from skgd.optimizers.base import Optimizer

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Yogi"]

class _Means(Optimizer): ...

class _MeanSquares(_Means): ...

class Adam(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    amsgrad: bool
    def __init__(
        self,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float = 1e-8,
        amsgrad: bool = False,
    ) -> None: ...

class AdamW(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    weight_decay: float
    amsgrad: bool
    def __init__(
        self,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
    ) -> None: ...

class Adamax(_Means):
    beta_1: float
    beta_2: float
    eps: float
    def __init__(
        self, *, beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-8
    ) -> None: ...

class NAdam(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    momentum_decay: float
    def __init__(
        self,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float = 1e-8,
        momentum_decay: float = 4e-3,
    ) -> None: ...

class RAdam(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    def __init__(
        self, *, beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-8
    ) -> None: ...

class Yogi(_MeanSquares):
    beta_1: float
    beta_2: float
    eps: float
    def __init__(
        self, *, beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-3
    ) -> None: ...
