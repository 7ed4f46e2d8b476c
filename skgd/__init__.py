"""Linear models trained by gradient descent behind scikit-learn's API."""

from skgd.classifier import GDClassifier
from skgd.minimize import minimize
from skgd.regressor import GDRegressor
from skgd.training import DivergenceWarning

__all__ = ["DivergenceWarning", "GDClassifier", "GDRegressor", "minimize"]

__version__ = "0.1.0"
