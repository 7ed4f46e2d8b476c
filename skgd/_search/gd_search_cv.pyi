from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skgd._utils.sklearn_compat import BaseSearchCV

class GDSearchCV(BaseSearchCV):
    cv_results_: dict[str, Any]
    best_estimator_: Any
    best_params_: dict[str, Any]
    best_score_: float
    best_index_: int
    scorer_: Any
    n_splits_: int
    refit_time_: float
    path_: dict[str, NDArray[Any]]
    multimetric_: bool
    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    estimator: Any
    param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    n_iter: int | None
    scoring: Any
    cv: Any
    refit: bool | str | Callable[[dict[str, Any]], int]
    n_jobs: int | None
    return_train_score: bool
    return_path: bool
    race: bool
    error_score: str | float
    random_state: int | np.random.RandomState | None
    verbose: int
    pre_dispatch: int | str
    def __init__(
        self,
        estimator: Any,
        param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        n_iter: int | None = None,
        scoring: Any = None,
        cv: Any = None,
        refit: bool | str | Callable[[dict[str, Any]], int] = True,
        n_jobs: int | None = None,
        return_train_score: bool = False,
        return_path: bool = False,
        race: bool = True,
        error_score: str | float = ...,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
    ) -> None: ...
    def fit(self, X: Any, y: ArrayLike | None = None, **params: Any) -> Self: ...
    def predict(self, X: Any) -> NDArray[Any]: ...
    def predict_proba(self, X: Any) -> NDArray[Any]: ...
    def predict_log_proba(self, X: Any) -> NDArray[Any]: ...
    def decision_function(self, X: Any) -> NDArray[Any]: ...
    def score(self, X: Any, y: ArrayLike | None = None, **params: Any) -> float: ...
