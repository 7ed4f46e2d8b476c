import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

def scale_rows(
    rows: _Floats, mean: _Floats, scale: _Floats, factors: _Floats, out: _Floats
) -> None: ...
def weigh_rows(
    rows: _Floats,
    mean: _Floats,
    scale: _Floats,
    shares: _Floats,
    numbers: _Floats,
    out: _Floats,
) -> bool: ...
def softmax_factors(probabilities: _Floats, shares: _Floats) -> tuple[_Floats, _Floats]: ...
def add_centred_products(
    rows: _Floats, mean: _Floats, numbers: _Floats, sums: _Floats, sizes: _Floats | None
) -> None: ...
