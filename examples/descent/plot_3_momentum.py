"""
Momentum through a ravine
=========================

Why does plain descent crawl where one direction is steep and another is flat, and what helps?

The ravine ``(x^2 + 30 y^2) / 2`` is 30 times steeper across than along. Plain descent must keep its
rate small enough for the steep walls, and then hardly moves along the floor. Momentum sums up the
steps along the floor and cancels those across it.
"""
# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

from skgd import PathDisplay, minimize
from skgd.optimizers import SGD

CURVATURE = np.array([1.0, 30.0])
START = [-8.0, 1.2]


def ravine(x):
    return 0.5 * CURVATURE @ x**2


def slope(x):
    return CURVATURE * x


def descend(optimizer, rate):
    return minimize(ravine, START, jac=slope, optimizer=optimizer, learning_rate=rate, max_iter=50,
                    tol=None)


runs = {
    "plain": descend("sgd", 0.06),
    "momentum 0.7": descend(SGD(momentum=0.7), 0.04),
    "Nesterov's momentum 0.7": descend(SGD(momentum=0.7, nesterov=True), 0.03),
    "Adam": descend("adam", 0.6),
}

fig, axes = plt.subplots(2, 2, figsize=(10, 4.6), sharex=True, sharey=True, layout="constrained")
for ax, (name, run) in zip(axes.flat, runs.items(), strict=True):
    PathDisplay.from_result(run, ravine, ax=ax, limits=[(-9, 3), (-1.8, 1.8)])
    ax.get_legend().remove()
    ax.set_title(f"{name}: {run.fun:.0e} after 50 steps", fontsize=10)
    ax.label_outer()
plt.show()

# %%
# The height over the steps. Adam goes straight at the minimum and then overshoots, because its step
# does not shrink with the slope: it wants a rate that falls.

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, run in runs.items():
    ax.semilogy(run.path_fun, label=name)
ax.set(xlabel="step", ylabel="height", ylim=(1e-8, 100))
ax.legend()
plt.show()

# %%
# The other way out is to change the coordinates so that all directions are equally steep. That is
# what ``precondition`` does in the estimators: measure each column's scale, and descend in the
# round valley that is left.

round_valley = minimize(lambda u: 0.5 * u @ u, np.sqrt(CURVATURE) * START, jac=lambda u: u,
                        optimizer="sgd", learning_rate=0.9, max_iter=10, tol=None)
print(f"plain descent in a round valley: {round_valley.fun:.0e} after 10 steps")
