"""Figures without a screen, closed after each test."""

import matplotlib
import pytest
from matplotlib import pyplot as plt

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def no_figures_are_left():
    yield
    plt.close("all")
