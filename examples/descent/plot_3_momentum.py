"""
Momentum through a ravine
=========================

Why does plain descent crawl where one direction is steep and another is flat, and what helps?

This ravine, ``(x^2 + 30 y^2) / 2``, is 30 times more curved across than along. The steep walls
allow small steps only, or the walk explodes; and with small steps it hardly moves along the flat
floor.

A heavy ball does better than a walker. It keeps its speed: pushes along the floor all point the
same way and add up, pushes from the walls point this way and that way and cancel. That is momentum.
Nesterov's momentum feels the slope where the ball is about to be, and brakes in time. Adam gives
each direction a step length of its own, from the slopes that it has met there.
"""
# sphinx_gallery_thumbnail_number = 1

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import OptimizeResult

from skgd import PathDisplay, minimize
from skgd.optimizers import SGD

CURVATURE = np.array([1.0, 30.0])
START = [-8.0, 1.2]


def ravine(x: np.ndarray) -> Any:
    return 0.5 * CURVATURE @ x**2


def slope(x: np.ndarray) -> Any:
    return CURVATURE * x


def descend(optimizer: str | SGD, rate: float) -> OptimizeResult:
    return minimize(ravine, START, jac=slope, optimizer=optimizer, learning_rate=rate, max_iter=50,
                    tol=None)


runs = {
    "plain": descend("sgd", 0.06),
    "momentum": descend(SGD(momentum=0.7), 0.04),
    "Nesterov's momentum": descend(SGD(momentum=0.7, nesterov=True), 0.03),
    "Adam": descend("adam", 0.6),
}

fig, axes = plt.subplots(4, 1, figsize=(8, 8), sharex=True, sharey=True)
for number, (ax, (name, run)) in enumerate(zip(axes, runs.items(), strict=True)):
    PathDisplay.from_result(run, ravine, ax=ax, limits=[(-9, 3), (-1.7, 1.7)],
                            line_kw={"color": f"C{number}", "marker": "o"})
    ax.get_legend().remove()
    ax.set(title=f"{name}, height {run.fun:.0e} after 50 steps", xlabel="x", ylabel="y")
    ax.label_outer()
plt.show()

# %%
# The height after each step. Adam runs straight at the lowest place and past it, because its steps
# do not shrink with the slope. It wants a rate that falls:
# :ref:`sphx_glr_auto_examples_choices_plot_2_schedules.py`.

fig, ax = plt.subplots(figsize=(8, 4))
for name, run in runs.items():
    ax.semilogy(run.path_fun, label=name)
ax.set(xlabel="step", ylabel="height", ylim=(1e-8, 100))
ax.legend(loc="lower left")
plt.show()

# %%
# There is another way out: stretch the map until all directions are equally steep. In a round
# valley even the plain walk goes straight to the bottom. This is what skgd's estimators do before
# they take a step (``precondition``), and it is why they can be given raw columns of any scale.

round_valley = minimize(lambda u: 0.5 * u @ u, np.sqrt(CURVATURE) * START, jac=lambda u: u,
                        optimizer="sgd", learning_rate=0.9, max_iter=10, tol=None)
print(f"plain descent in a round valley: height {round_valley.fun:.0e} after 10 steps")

# %%
# Valleys and ravines have one lowest place. What if there are several?
# :ref:`sphx_glr_auto_examples_descent_plot_4_saddles.py`
