import numpy as np
from numpy.typing import NDArray

from skgd._objective.metric import Metric
from skgd.penalties.base import PenaltyRule

_Floats = NDArray[np.float64]

def to_raw(
    u: _Floats, mean: _Floats, inverse: _Floats, is_centred: bool
) -> tuple[_Floats, _Floats]: ...
def gradient(
    losses: _Floats,
    coef_gradient: _Floats,
    intercept_gradient: _Floats,
    coef: _Floats,
    penalty: PenaltyRule,
    alpha: _Floats,
    metric: Metric,
    smoothness: _Floats,
    rounding: float,
    is_multiclass: bool,
) -> _Floats: ...
def with_penalty(
    losses: _Floats, coef: _Floats, penalty: PenaltyRule, alpha: _Floats
) -> _Floats: ...
def smooth_value(
    losses: _Floats, coef: _Floats, penalty: PenaltyRule, alpha: _Floats, unit: _Floats
) -> float: ...
def margin_sizes(
    x: _Floats, coef: _Floats, metric: Metric, smoothness: _Floats
) -> _Floats: ...
def margin_rounding(
    x: _Floats, coef: _Floats, value: float, metric: Metric, smoothness: _Floats
) -> float: ...
def inverse_scales(
    curvature: _Floats, variance: _Floats, penalty_curvature: _Floats, unit: _Floats, p: int
) -> tuple[_Floats, bool]: ...
def slopes_along(
    coef_slopes: _Floats,
    intercept_slopes: _Floats,
    penalty_slopes: _Floats,
    mean: _Floats,
    slopes: _Floats,
) -> _Floats: ...
