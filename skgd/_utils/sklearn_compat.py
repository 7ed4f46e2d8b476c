"""What skgd needs of scikit-learn beyond its public API, in one place.

skgd supports the releases of scikit-learn since 1.6. What older ones lack, callbacks (1.9) for
instance, is stood in for here.
"""

from operator import attrgetter, methodcaller

from sklearn.base import _fit_context as fit_context
from sklearn.metrics._scorer import _BaseScorer as BaseScorer
from sklearn.metrics._scorer import _MultimetricScorer as MultimetricScorer
from sklearn.metrics._scorer import _PassthroughScorer as PassthroughScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _fit_and_score
from sklearn.model_selection._validation import _insert_error_scores as insert_error_scores
from sklearn.model_selection._validation import _score as score_with
from sklearn.model_selection._validation import (
    _warn_or_raise_about_fit_failures as report_failed_fits,
)
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _num_samples as num_samples

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    HAS_CALLBACKS = True
except ImportError:
    HAS_CALLBACKS = False

    class CallbackSupportMixin:
        """Stands in for the mixin of scikit-learn 1.9: no callbacks can be set."""

        def set_callbacks(self, *callbacks):
            """Set nothing, and say what it takes to set callbacks."""
            if callbacks:
                raise ImportError(
                    "set_callbacks needs scikit-learn 1.9 or newer, for instance by `pip install "
                    "-U scikit-learn`; without callbacks, history_ has all epochs after a fit."
                )
            return self

    class BaseSearchCV(CallbackSupportMixin, BaseSearchCV):
        """The base of searches, which has the mixin in scikit-learn 1.9."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


__all__ = [
    "HAS_CALLBACKS",
    "BaseScorer",
    "BaseSearchCV",
    "CallbackSupportMixin",
    "MultimetricScorer",
    "PassthroughScorer",
    "callback_context",
    "check_method_params",
    "constructor_parameters",
    "fit_and_score",
    "fit_context",
    "insert_error_scores",
    "logistic_penalty",
    "num_samples",
    "parameter_constraints",
    "propagation_depth",
    "report_failed_fits",
    "safe_indexing",
    "score_with",
    "scorers_by_name",
    "set_fitted_loss",
    "with_callbacks",
]

# How deep in the estimators of a search a callback's context lies.
propagation_depth = attrgetter("_propagation_depth")
# The names of the constructor's parameters of a class of estimators.
constructor_parameters = methodcaller("_get_param_names")
parameter_constraints = attrgetter("_parameter_constraints")
# The scorers of a search with several, by name.
scorers_by_name = attrgetter("_scorers")


def callback_context(estimator, max_subtasks):
    """Return the context of a fit for the callbacks of an estimator."""
    return methodcaller("_init_callback_context", max_subtasks=max_subtasks)(estimator)


def fit_and_score(estimator, X, y, *, caller, callback_ctx, **settings):
    """Fit an estimator on the rows of a fold, and return its scores and times."""
    if HAS_CALLBACKS:
        settings |= {"caller": caller, "callback_ctx": callback_ctx}
    return _fit_and_score(estimator, X, y, **settings)


def set_fitted_loss(model):
    """Give a generalised linear model the loss that its own fit would have set."""
    vars(model)["_base_loss"] = methodcaller("_get_loss")(model)


def logistic_penalty(l1_ratio):
    """Return the parameters by which LogisticRegression knows a penalty.

    Before scikit-learn 1.8 it reads ``l1_ratio`` with ``penalty="elasticnet"`` only.
    """
    from sklearn.linear_model import LogisticRegression  # which takes long

    if LogisticRegression().penalty != "l2":
        return {"l1_ratio": l1_ratio}
    if l1_ratio in (0, 1):
        return {"penalty": "l1" if l1_ratio else "l2"}
    return {"penalty": "elasticnet", "l1_ratio": l1_ratio}
