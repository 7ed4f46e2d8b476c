"""Figures without a screen, closed after each test, and what they show."""

import matplotlib
import pytest
from display_cases import fitted
from matplotlib import pyplot as plt
from scipy.optimize import rosen, rosen_der

from skgd import minimize

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def no_figures_are_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def models():
    return {name: fitted(name) for name in ("sgd", "adam", "adagrad")}


@pytest.fixture(scope="module")
def results():
    return {
        name: minimize(
            rosen, [-1.2, 1.0], jac=rosen_der, optimizer=name, learning_rate=1e-3, max_iter=100
        )
        for name in ("sgd", "momentum")
    }
