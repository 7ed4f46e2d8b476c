"""
Local minima and saddle points
==============================

Who gets out of a shallow hole, and who gets away from a saddle?

A walker in fog stops where the ground is level. That may be the bottom of a small hole, while the
deep valley is behind the next hill. Here the descent starts on the right, above the shallow hole.
"""
# sphinx_gallery_thumbnail_number = 2

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from skgd import PathDisplay, minimize
from skgd.optimizers import SGD


def wells(x: np.ndarray) -> Any:
    """Two holes; the left one is the deeper."""
    return x[0] ** 4 / 4 - x[0] ** 2 / 2 + 0.1 * x[0]


def wells_slope(x: np.ndarray) -> Any:
    return x**3 - x + 0.1


fig, axes = plt.subplots(1, 3, figsize=(8, 3.2), sharey=True)
for ax, momentum in zip(axes, (0.0, 0.8, 0.95), strict=True):
    run = minimize(wells, [1.7], jac=wells_slope, optimizer=SGD(momentum=momentum),
                   learning_rate=0.05, max_iter=250, tol=None)
    PathDisplay.from_result(run, wells, ax=ax, limits=[(-1.8, 1.8)])
    ax.set(title=f"momentum {momentum}", xlabel="x", ylabel="height", ylim=(-0.5, 1.0))
    ax.label_outer()
    ax.get_legend().remove()
plt.show()

# %%
# Without momentum the walk ends in the first hole. A ball with enough momentum rolls through it and
# over the hill. That is luck, not a method: with other numbers it would roll out of the deep one.
#
# A saddle is level too, but not a hole: a way down leads off to the side, like from a mountain
# pass. Plain descent gets slower as it comes near, because its step is as short as the slope is
# small. Rules that divide by the size of the slope leave at their usual pace.


def saddle(p: Any) -> Any:
    return 0.5 * p[0] ** 2 - 0.5 * p[1] ** 2 + 0.05 * p[1] ** 4


def saddle_slope(p: Any) -> np.ndarray:
    return np.array([p[0], -p[1] + 0.2 * p[1] ** 3])


fig = plt.figure(figsize=(8, 8.5))
grid = np.meshgrid(np.linspace(-2.1, 1.7, 60), np.linspace(-1.3, 2.7, 60))
land: Any = fig.add_subplot(3, 1, (1, 2), projection="3d", computed_zorder=False)
land.plot_surface(*grid, saddle(grid), cmap="Greys", alpha=0.5, lw=0, rcount=60, ccount=60)
land.contour(*grid, saddle(grid), levels=18, colors="0.5", linewidths=0.6, linestyles="solid")
over = fig.add_subplot(3, 1, 3)
rates = {"momentum": (0.1, "C1"), "sgd": (0.1, "C0"), "rmsprop": (0.03, "C2"), "adam": (0.1, "C3")}
for optimizer, (rate, color) in rates.items():
    run = minimize(saddle, [-2.0, 1e-4], jac=saddle_slope, optimizer=optimizer,
                   learning_rate=rate, max_iter=150, tol=None)
    land.plot(*run.path.T, run.path_fun, color=color, lw=3)
    over.plot(run.path_fun, color=color, label=optimizer)
land.plot(0, 0, 0, "k.", ms=12)
land.text(-0.6, -0.6, 0, "the saddle")
land.view_init(elev=55, azim=-60)
land.set_box_aspect((4, 4, 2.6), zoom=1.3)
land.set_axis_off()
over.set(xlabel="step", ylabel="height")
over.legend()
plt.show()

# %%
# And linear models? With a convex loss their ground has one valley, without holes and passes: every
# descent that goes on long enough ends at the same coefficients. What is left is how fast it gets
# there, on real columns: :ref:`sphx_glr_auto_examples_choices_plot_1_optimizers.py`
