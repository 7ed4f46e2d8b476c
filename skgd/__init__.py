"""Linear models trained by gradient descent behind scikit-learn's API."""

from skgd.classifier import GDClassifier
from skgd.display import DescentDisplay, LearningRateDisplay, PathDisplay
from skgd.learning_rate import RateTest, find_learning_rate
from skgd.minimize import minimize
from skgd.model_selection import GDSearchCV
from skgd.record import DivergenceWarning
from skgd.regressor import GDRegressor

__all__ = [
    "DescentDisplay",
    "DivergenceWarning",
    "GDClassifier",
    "GDRegressor",
    "GDSearchCV",
    "LearningRateDisplay",
    "PathDisplay",
    "RateTest",
    "find_learning_rate",
    "minimize",
]

__version__ = "0.1.0"
