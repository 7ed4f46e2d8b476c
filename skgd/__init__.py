"""Linear models trained by gradient descent behind scikit-learn's API."""

from skgd._descent.history import DivergenceWarning
from skgd._estimators.classifier import GDClassifier
from skgd._estimators.regressor import GDRegressor
from skgd._search.alpha_sequence import alpha_sequence
from skgd._search.gd_search_cv import GDSearchCV
from skgd._search.one_standard_error import one_standard_error
from skgd._utils.rules import name_by_package
from skgd._utils.versions import __version__ as __version__
from skgd._utils.versions import show_versions
from skgd.display import (
    CoefficientDisplay,
    DescentDisplay,
    LearningRateDisplay,
    PathDisplay,
    RegularizationPathDisplay,
)
from skgd.minimize import minimize
from skgd.rate_test import RateTest, find_learning_rate

__all__ = [
    "CoefficientDisplay",
    "DescentDisplay",
    "DivergenceWarning",
    "GDClassifier",
    "GDRegressor",
    "GDSearchCV",
    "LearningRateDisplay",
    "PathDisplay",
    "RateTest",
    "RegularizationPathDisplay",
    "alpha_sequence",
    "find_learning_rate",
    "minimize",
    "one_standard_error",
    "show_versions",
]
name_by_package(globals())
