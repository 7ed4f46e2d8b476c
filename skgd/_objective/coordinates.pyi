import numpy as np
from numpy.typing import NDArray

from skgd.penalties.base import PenaltyRule

_Floats = NDArray[np.float64]

def to_raw(
    u: _Floats, mean: _Floats, inverse: _Floats, is_centred: bool
) -> tuple[_Floats, _Floats]: ...
def without_rounding(
    losses: _Floats,
    coef_gradient: _Floats,
    intercept_gradient: _Floats,
    mean: _Floats,
    smoothness: _Floats,
    unit: _Floats,
    rounding: float,
) -> None: ...
def gradient(
    coef_gradient: _Floats,
    intercept_gradient: _Floats,
    coef: _Floats,
    penalty: PenaltyRule,
    alpha: _Floats,
    mean: _Floats,
    slopes: _Floats,
) -> _Floats: ...
