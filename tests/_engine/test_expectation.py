"""Batches draw rows by chance: what they do on average is what the objective says."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.datasets import load_breast_cancer, load_diabetes

from skgd import GDClassifier, GDRegressor

N_SEEDS, RATE, ALPHA = 200, 1e-5, 0.1
GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.choice(400, 15, replace=False)
WEIGHTS = GENERATOR.integers(0, 5, 15)


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


CANCER = standardised(load_breast_cancer().data)[ROWS, :6], load_breast_cancer().target[ROWS]
DIABETES = standardised(load_diabetes().data)[ROWS, :6], load_diabetes().target[ROWS] / 50.0


def gradient(estimator, X, y, weights, w, b):
    """The gradient of the objective in closed form, the intercept's last."""
    z = X @ w + b
    slope = expit(z) - y if isinstance(estimator, GDClassifier) else z - y
    share = weights * slope / weights.sum()
    return np.append(X.T @ share + ALPHA * w, share.sum())


def mean_update(estimator, X, y, weights, start):
    """The mean movement in an epoch over many seeds, and its standard error."""
    moves = []
    for seed in range(N_SEEDS):
        model = estimator.set_params(random_state=seed).fit(X, y, sample_weight=weights)
        moves.append(np.append(model.coef_.ravel(), model.intercept_) - start)
    return np.mean(moves, axis=0), np.std(moves, axis=0) / np.sqrt(N_SEEDS)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize(
    "container, repeated", [(np.asarray, False), (csr_array, False), (np.asarray, True)],
    ids=["dense, weights", "CSR, weights", "dense, repetition"],
)
@pytest.mark.parametrize("cls, data", [(GDClassifier, CANCER), (GDRegressor, DIABETES)])
def test_the_mean_update_is_the_weighted_gradient_step(cls, data, repeated, container, batch_size):
    (X, y), weights = data, WEIGHTS.astype(float)
    w, b = np.linspace(-0.5, 0.5, 6), 0.3
    estimator = cls(
        optimizer="sgd", learning_rate=RATE, batch_size=batch_size, precondition=None, alpha=ALPHA,
        max_iter=1, tol=None, init=(w, b),
    )  # fmt: skip
    wanted = gradient(estimator, X, y, weights, w, b)
    if repeated:
        X, y, weights = X.repeat(WEIGHTS, axis=0), y.repeat(WEIGHTS), None
    n_batches = -(-len(y) // batch_size)
    mean, error = mean_update(estimator, container(X), y, weights, np.append(w, b))
    # An epoch moves by a relative RATE while it runs: the second order of the step.
    second_order = 10 * (RATE * n_batches) ** 2 * np.abs(wanted).max()
    assert np.all(np.abs(mean + RATE * n_batches * wanted) <= 4 * error + second_order)
    assert np.abs(mean).max() > 100 * second_order


def test_batches_of_unequal_sizes_vary_with_the_seed():
    X, y = DIABETES
    estimator = GDRegressor(
        optimizer="sgd", learning_rate=RATE, batch_size=4, precondition=None, max_iter=1, tol=None
    )
    _, error = mean_update(estimator, X, y, WEIGHTS, np.zeros(7))
    assert np.all(error > 0)
