"""
Local minima and saddle points
==============================

Who gets out of a shallow hole, and who gets away from a saddle?

Linear models with convex losses have neither: every descent that goes on long enough finds the same
minimum. The optimizers are made for more than that, and ``minimize`` runs them on any function.
"""
# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

from skgd import PathDisplay, minimize
from skgd.optimizers import SGD


def wells(x):
    """Two holes; the left one is the deeper."""
    return x[0] ** 4 / 4 - x[0] ** 2 / 2 + 0.1 * x[0]


def wells_slope(x):
    return x**3 - x + 0.1


fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, momentum in zip(axes, (0.0, 0.8, 0.95), strict=True):
    run = minimize(wells, [1.7], jac=wells_slope, optimizer=SGD(momentum=momentum),
                   learning_rate=0.05, max_iter=250, tol=None)
    PathDisplay.from_result(run, wells, ax=ax, limits=[(-1.8, 1.8)])
    ax.set(title=f"momentum {momentum}", xlabel="x", ylabel="", ylim=(-0.5, 1.0))
    ax.get_legend().remove()
axes[0].set_ylabel("height")
plt.show()

# %%
# Without momentum the descent ends in the first hole. A ball with enough momentum rolls through it
# and over the hill. That is luck, not a method: with other numbers it rolls out again.
#
# A saddle is flat, and a way down leads off to the side. Plain descent slows down as it comes near,
# because its step is as short as the slope is small. Rules that divide by the size of the gradient
# leave at their usual pace.


def saddle(p):
    return 0.5 * p[0] ** 2 - 0.5 * p[1] ** 2 + 0.05 * p[1] ** 4


def saddle_slope(p):
    return np.array([p[0], -p[1] + 0.2 * p[1] ** 3])


runs = {
    optimizer: minimize(saddle, [-2.0, 1e-4], jac=saddle_slope, optimizer=optimizer,
                        learning_rate=rate, max_iter=150, tol=None)
    for optimizer, rate in {"sgd": 0.1, "momentum": 0.1, "rmsprop": 0.03, "adam": 0.1}.items()
}
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
paths = PathDisplay.from_results(runs, saddle, ax=left, limits=[(-2.2, 1.5), (-1, 3)])
left.set(title="from the left to the saddle at (0, 0)")
for line, run in zip(paths.lines_, runs.values(), strict=True):
    right.plot(run.path_fun, color=line.get_color())
right.set(title="height", xlabel="step")
plt.show()
