import numpy as np
from numpy.typing import ArrayLike, NDArray

from skgd.penalties.base import Penalty, PenaltyRule

_Floats = NDArray[np.float64]

__all__ = ["L2", "L1", "ElasticNet", "Box"]

class BoxRule(PenaltyRule):
    def __init__(
        self, lower: ArrayLike | None, upper: ArrayLike | None, penalty: PenaltyRule
    ) -> None: ...

class ElasticNet(Penalty):
    l1_ratio: float
    weights: ArrayLike | None
    def __init__(self, l1_ratio: float = 0.15, weights: ArrayLike | None = None) -> None: ...
    def curvature(self, n_features: int) -> _Floats: ...

class L2(ElasticNet):
    def __init__(self, weights: ArrayLike | None = None) -> None: ...

class L1(ElasticNet):
    def __init__(self, weights: ArrayLike | None = None) -> None: ...

class Box(Penalty):
    lower: ArrayLike | None
    upper: ArrayLike | None
    penalty: Penalty | None
    def __init__(
        self,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        penalty: Penalty | None = None,
    ) -> None: ...
