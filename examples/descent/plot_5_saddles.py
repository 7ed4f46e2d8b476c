"""
Local minima and saddle points
==============================

Which methods leave a shallow minimum, and which leave a saddle point?

Gradient descent stops where the slope is zero. That can be a local minimum, while a deeper one is
behind the next hill. Here the descent starts on the right, above the shallow minimum.
"""
# sphinx_gallery_thumbnail_number = 2

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from skgd import PathDisplay, minimize
from skgd.optimizers import SGD


def wells(x: np.ndarray) -> Any:
    """Two minima; the left one is deeper."""
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
# Without momentum, the descent ends in the first minimum. With enough momentum it rolls through it
# and over the hill. That is luck, not a method: with other numbers it would roll out of the deep
# one.
#
# A saddle point has zero slope too, but a way down leads off to the side, as at a mountain pass.
# The runs below start almost exactly on the ridge that leads to the saddle. Plain gradient descent
# comes nearest and stays longest, because its step is proportional to the slope. Momentum comes
# almost as near, but adds up the small gradients that lead away, and leaves much earlier. RMSprop
# and Adam divide by the size of the gradient. They turn aside at full speed, before they come near.


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
runs = {}
rates = {"momentum": (0.1, "C1"), "sgd": (0.1, "C0"), "rmsprop": (0.03, "C2"), "adam": (0.1, "C3")}
for optimizer, (rate, color) in rates.items():
    run = minimize(saddle, [-2.0, 1e-4], jac=saddle_slope, optimizer=optimizer,
                   learning_rate=rate, max_iter=150, tol=None)
    runs[optimizer] = run
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
# How near each run comes to the saddle, and when it has left:

for optimizer, run in runs.items():
    distance = np.linalg.norm(run.path, axis=1)
    left = np.argmax(run.path_fun < -0.5)
    print(f"{optimizer:8} comes within {distance.min():.4f} of the saddle, left after {left} steps")

# %%
# A linear model with a convex loss has no local minima and no saddle points. Every descent
# converges to the same coefficients, and methods differ in speed alone. For other functions, noise
# helps as well: :ref:`sphx_glr_auto_examples_descent_plot_6_noise.py`
