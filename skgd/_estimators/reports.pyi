from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

class Reports:
    def coefficients(self, *, sort: bool = False) -> Any: ...
    def covariance(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        kind: Literal["classical", "sandwich"] = "classical",
    ) -> NDArray[np.float64]: ...
