"""Estimators, grids and data to search over, and the models that a search fits."""

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor


def sample(load, n=120, d=8):
    """Return some shuffled rows and columns of one of scikit-learn's sets."""
    X, y = load(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))[:n]
    return np.ascontiguousarray(X[rows][:, :d]), y[rows]


class Watcher:
    """A scorer of the user's own that keeps the models it is shown."""

    def __init__(self):
        self.models = []

    def __call__(self, estimator, X, y, sample_weight=None):
        self.models.append(estimator)
        return estimator.score(X, y, sample_weight=sample_weight)


def models_of(search, X, y, **params):
    """Return the search and its models, the candidates of the first fold first."""
    watcher = Watcher()
    search.set_params(scoring=watcher, refit=False, race=False).fit(X, y, **params)
    return watcher.models


def parameters_apart(model, other):
    """Return how far two models are apart, in units of the larger one's coefficients."""
    apart = max(np.abs(model.coef_ - other.coef_).max(),
                np.abs(model.intercept_ - other.intercept_).max())  # fmt: skip
    return apart / max(np.abs(other.coef_).max(), np.abs(other.intercept_).max())


CLASSIFIER = GDClassifier(batch_size=16, max_iter=6, tol=None, random_state=3)
REGRESSOR = GDRegressor(batch_size=16, max_iter=6, tol=None, random_state=3)
RATES = {"learning_rate": [0.001, 0.1]}
STEPS = make_pipeline(StandardScaler(), PCA(random_state=0), clone(CLASSIFIER))
INSIDE = {"pca__n_components": [2, 4], "gdclassifier__learning_rate": [0.01, 0.1, 1.0]}
