from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from skgd._estimators.base import BaseGD
from skgd.losses import Loss
from skgd.optimizers import FullBatchOptimizer, Optimizer
from skgd.penalties import Penalty
from skgd.schedules import Schedule

class GDClassifier(ClassifierMixin, BaseGD):  # type: ignore[misc]
    classes_: NDArray[Any]
    loss: str | Loss
    penalty: str | Penalty | None
    alpha: float | Literal["auto"]
    l1_ratio: float | None
    fit_intercept: bool
    positive: bool
    optimizer: str | Optimizer | FullBatchOptimizer
    learning_rate: str | float | Schedule | Callable[[Any], Any]
    batch_size: str | float
    shuffle: bool
    precondition: Literal["auto", "diagonal", "full"] | None
    average: int
    max_iter: int
    tol: float | None
    n_iter_no_change: float
    early_stopping: bool
    validation_fraction: float
    scoring: str | Callable[..., Any] | None
    init: str | tuple[ArrayLike, ArrayLike]
    on_divergence: Literal["recover", "raise"]
    warm_start: bool
    n_jobs: int | None
    verbose: int
    random_state: int | np.random.RandomState | None
    class_weight: dict[Any, float] | Literal["balanced"] | None
    def __init__(
        self,
        loss: str | Loss = "log_loss",
        *,
        penalty: str | Penalty | None = "l2",
        alpha: float | Literal["auto"] = 1e-4,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        positive: bool = False,
        optimizer: str | Optimizer | FullBatchOptimizer = "auto",
        learning_rate: str | float | Schedule | Callable[[Any], Any] = "auto",
        batch_size: str | float = "auto",
        shuffle: bool = True,
        precondition: Literal["auto", "diagonal", "full"] | None = "auto",
        average: int = False,
        max_iter: int = 1000,
        tol: float | None = 1e-4,
        n_iter_no_change: float = 5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: str | Callable[..., Any] | None = None,
        init: str | tuple[ArrayLike, ArrayLike] = "zeros",
        on_divergence: Literal["recover", "raise"] = "recover",
        warm_start: bool = False,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
    ) -> None: ...
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self: ...
    def decision_function(self, X: Any) -> NDArray[Any]: ...
    def predict(self, X: Any) -> NDArray[Any]: ...
    def predict_proba(self, X: Any) -> NDArray[Any]: ...
    def predict_log_proba(self, X: Any) -> NDArray[Any]: ...
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float: ...
