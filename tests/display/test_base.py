"""What every display does."""

import subprocess
import sys

import pytest
from display_cases import quietly
from matplotlib import pyplot as plt
from numpy.testing import assert_array_equal
from scipy.optimize import rosen
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import DescentDisplay, GDClassifier, LearningRateDisplay, PathDisplay, minimize

WINE = load_wine(return_X_y=True)


@pytest.fixture(params=["descent", "rates", "search", "contours", "curve"])
def make(request, models, results):
    """A function of axes that makes a display."""
    double_well = minimize(lambda x: (x[0] ** 2 - 1) ** 2, [2.0], learning_rate=0.1, max_iter=30)
    return {
        "descent": lambda ax: DescentDisplay.from_estimators(models, ax=ax),
        "rates": lambda ax: LearningRateDisplay.from_estimator(
            GDClassifier(optimizer="sgd"), *WINE, rates=[0.01, 1.0, 1e4], ax=ax
        ),
        "search": lambda ax: LearningRateDisplay.from_search(searched(), ax=ax),
        "contours": lambda ax: PathDisplay.from_results(results, rosen, ax=ax),
        "curve": lambda ax: PathDisplay.from_result(
            double_well, lambda x: (x[0] ** 2 - 1) ** 2, ax=ax
        ),
    }[request.param]


def test_a_display_draws_on_the_axes_that_it_is_given(make):
    figure, (_, ax) = plt.subplots(1, 2)
    display = make(ax)
    assert display.ax_ is ax and display.figure_ is figure
    assert len(display.lines_) >= 1 and all(line.axes is ax for line in display.lines_)
    assert ax.get_xlabel() and ax.get_ylabel()


def test_a_legend_of_an_own_figure_stands_next_to_the_axes(make):
    display = make(None)
    display.figure_.canvas.draw()
    axes, legend = display.ax_.get_window_extent(), display.ax_.get_legend().get_window_extent()
    assert legend.x0 >= axes.x1
    figure = display.figure_.bbox
    assert legend.x1 <= figure.x1 + 1 and legend.y0 >= 0
    assert axes.width > 0.5 * figure.width


def test_a_display_is_drawn_again_by_plot(make):
    display = make(None)
    lines, figure = display.lines_, display.figure_
    assert display.plot() is display
    assert display.figure_ is not figure
    assert len(display.lines_) == len(lines)
    for line, before in zip(display.lines_, lines, strict=True):
        assert_array_equal(line.get_xydata(), before.get_xydata())


def test_a_display_without_matplotlib_says_what_to_install(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Display needs matplotlib: .* install skgd\[plot\]`"):
        make(None)


def test_the_library_is_imported_without_matplotlib():
    code = "import sys, skgd; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def searched(**settings):
    grid = {"gdclassifier__learning_rate": [0.01, 0.1, 1.0]}
    pipeline = make_pipeline(
        StandardScaler(), GDClassifier(optimizer="sgd", max_iter=5, random_state=0)
    )
    search = GridSearchCV(pipeline, settings.pop("grid", grid), cv=3, **settings)
    return quietly(search.fit, *WINE)
