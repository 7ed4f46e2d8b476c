from collections.abc import Callable
from typing import Any, Self, TypeVar

from sklearn.model_selection._search import BaseSearchCV as _BaseSearchCV

_Method = TypeVar("_Method", bound=Callable[..., Any])

HAS_CALLBACKS: bool

class CallbackSupportMixin:
    def set_callbacks(self, *callbacks: Any) -> Self: ...

class BaseSearchCV(CallbackSupportMixin, _BaseSearchCV): ...  # type: ignore[misc]

BaseScorer: Any
MultimetricScorer: Any
PassthroughScorer: Any
check_method_params: Any
constructor_parameters: Any
fit_context: Any
insert_error_scores: Any
num_samples: Any
parameter_constraints: Any
propagation_depth: Any
report_failed_fits: Any
safe_indexing: Any
score_with: Any
scorers_by_name: Any

def with_callbacks(method: _Method) -> _Method: ...
def callback_context(estimator: Any, max_subtasks: int) -> Any: ...
def fit_and_score(
    estimator: Any, X: Any, y: Any, *, caller: Any, callback_ctx: Any, **settings: Any
) -> dict[str, Any]: ...
def set_fitted_loss(model: Any) -> None: ...
def logistic_penalty(l1_ratio: float) -> dict[str, Any]: ...
