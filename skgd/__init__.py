"""Linear models trained by gradient descent behind scikit-learn's API."""

from skgd.classifier import GDClassifier
from skgd.model_selection import GDSearchCV
from skgd.record import DivergenceWarning
from skgd.regressor import GDRegressor

__all__ = ["DivergenceWarning", "GDClassifier", "GDRegressor", "GDSearchCV"]

__version__ = "0.1.0"
