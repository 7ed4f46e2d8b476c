"""Raw columns, a pipeline and a grid search, with scikit-learn's SGD side by side.

Two data sets that come with scikit-learn, their columns as they were measured. All models have
their defaults, but that SGDClassifier gets the loss of GDClassifier; each is shown on raw columns
and after a StandardScaler, and with its learning rate chosen by an inner cross-validation.
"""

import time
import warnings
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.model_selection import (
    GridSearchCV,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor

FOLDS = {"n_splits": 5, "n_repeats": 2, "random_state": 0}
# The rate of SGD has the unit of the columns: its grid is wide. That of skgd has none.
SGD_RATES = {
    "model__learning_rate": ["adaptive"],
    "model__eta0": [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
}
GD_RATES = {"model__learning_rate": ["auto", 0.01, 0.03, 0.1]}


def raw(model: Any) -> Pipeline:
    return Pipeline([("impute", SimpleImputer()), ("model", model)])


def scaled(model: Any) -> Pipeline:
    return Pipeline([("impute", SimpleImputer()), ("scale", StandardScaler()), ("model", model)])


def print_row(name: str, model: Any, X: np.ndarray, y: np.ndarray, folds: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        scores = cross_val_score(model, X, y, cv=folds)
        seconds = time.perf_counter() - start
    told = sum(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    print(f"  {name:<40}{scores.mean():>10.3g}{scores.min():>12.3g}{told:>10}{seconds:>10.2f}")


def print_table(
    title: str,
    data: tuple[np.ndarray, np.ndarray],
    models: list[tuple[Any, dict[str, Any]]],
    folds: Any,
) -> None:
    X, y = data
    low, high = X.std(axis=0).min(), X.std(axis=0).max()
    n, d = X.shape
    print(f"\n{title}: {n} rows, {d} columns, standard deviations from {low:.1g} to {high:.0f}")
    print(f"  {'':<40}{'mean':>10}{'worst fold':>12}{'warnings':>10}{'seconds':>10}")
    for model, rates in models:
        name = type(model).__name__
        print_row(f"{name}, raw columns", raw(model), X, y, folds)
        print_row(f"{name}, after StandardScaler", scaled(model), X, y, folds)
        search = GridSearchCV(raw(model), rates, cv=3)
        print_row(f"{name}, raw columns, grid of rates", search, X, y, folds)


if __name__ == "__main__":
    print_table(
        "breast_cancer, accuracy",
        load_breast_cancer(return_X_y=True),
        [
            (GDClassifier(random_state=0), GD_RATES),
            (SGDClassifier(loss="log_loss", random_state=0), SGD_RATES),
        ],
        RepeatedStratifiedKFold(**FOLDS),
    )
    print_table(
        "diabetes, R^2",
        load_diabetes(return_X_y=True, scaled=False),
        [
            (GDRegressor(random_state=0), GD_RATES),
            (SGDRegressor(random_state=0), SGD_RATES),
        ],
        RepeatedKFold(**FOLDS),
    )
