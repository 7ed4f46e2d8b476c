from typing import Any, Self

from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from skgd._estimators.reports import Reports
from skgd._utils.sklearn_compat import CallbackSupportMixin

def takes_batches(estimator: Any) -> bool: ...
def losses_in_words(task: str) -> str: ...

class BaseGD(Reports, CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    coef_: Any
    intercept_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    n_iter_: int
    t_: int
    history_: dict[str, NDArray[Any]]
    converged_: bool
    stop_reason_: str
    learning_rate_: float
    alpha_: float
    alpha_path_: dict[str, NDArray[Any]] | None
    optimality_: float
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self: ...
    def optimality(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float: ...
    def to_sklearn(self) -> Any: ...
    def sparsify(self) -> Self: ...
    def densify(self) -> Self: ...

def read_rows(
    estimator: Any,
    settings: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    reset: bool,
    is_known: bool,
    holds_out: bool = True,
) -> tuple[Any, Any]: ...
def fitted_run(
    estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> Any: ...
