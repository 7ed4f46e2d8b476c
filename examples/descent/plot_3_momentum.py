"""
Momentum through a ravine
=========================

Why is plain gradient descent slow where one direction is steep and another is flat, and what helps?

This ravine, ``(x^2 + 30 y^2) / 2``, is 30 times more curved across than along. The steep walls
allow small steps only, or the descent diverges. With small steps it hardly moves along the flat
floor.

A heavy ball does better. It keeps its speed: gradients along the floor point the same way and add
up, while gradients of the walls alternate and cancel. That is momentum. Nesterov's momentum
evaluates the gradient where the ball is about to be, and brakes in time. Adam scales each direction
by the gradients that it has seen there. The learning rates were picked by hand, one for each
method.
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
# The height after each step. Adam heads straight for the minimum and overshoots, because its steps
# don't shrink with the slope. It ends worst here with its constant, hand-picked rate; with a
# decaying one it converges: :ref:`sphx_glr_auto_examples_choices_plot_2_schedules.py`.

fig, ax = plt.subplots(figsize=(8, 4))
for name, run in runs.items():
    ax.semilogy(run.path_fun, label=name)
ax.set(xlabel="step", ylabel="height", ylim=(1e-8, 100))
ax.legend(loc="lower left")
plt.show()

# %%
# There is another way: rescale the axes until all directions are equally steep. In a round valley,
# plain gradient descent goes straight to the minimum. This is preconditioning. skgd's estimators do
# it by default, which is why they work on unscaled features.

round_valley = minimize(lambda u: 0.5 * u @ u, np.sqrt(CURVATURE) * START, jac=lambda u: u,
                        optimizer="sgd", learning_rate=0.9, max_iter=10, tol=None)
print(f"plain descent in a round valley: height {round_valley.fun:.0e} after 10 steps")

# %%
# A ravine is steep in one direction and flat in another because of scale. Features can also differ
# in how often they are present: :ref:`sphx_glr_auto_examples_descent_plot_4_adaptive.py`
