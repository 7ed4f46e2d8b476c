"""
Descending a valley
===================

How long should a step be?

Gradient descent steps downhill. The step is the slope times a number that we choose, the learning
rate. The simplest valley is ``x^2 / 2``. Its slope at x is x, so a step goes from x to ``x - rate *
x``. Here are seven steps with each of four learning rates, all from the same point.
"""
# sphinx_gallery_thumbnail_number = 1

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import OptimizeResult

from skgd import PathDisplay, minimize


def valley(x: Any) -> Any:
    return 0.5 * x[0] ** 2


def slope(x: Any) -> Any:
    return x


def descend(rate: float, steps: int) -> OptimizeResult:
    return minimize(valley, [-3.0], jac=slope, optimizer="sgd", learning_rate=rate,
                    max_iter=steps, tol=None)


stories = {0.1: "it creeps", 0.7: "it converges", 1.8: "it oscillates", 2.1: "it diverges"}
fig, axes = plt.subplots(2, 2, figsize=(8, 5.6), sharex=True, sharey=True)
for ax, (rate, story) in zip(axes.flat, stories.items(), strict=True):
    PathDisplay.from_result(descend(rate, 7), valley, ax=ax, limits=[(-6, 6)])
    ax.get_legend().remove()
    ax.set(title=f"rate {rate}: {story}", xlabel="x", ylabel="height", ylim=(-0.8, 16))
    ax.label_outer()
plt.show()

# %%
# A step multiplies x by ``1 - rate``, and everything follows from that. With a rate near 0, x
# hardly changes. With a rate of 1, the step leads to the minimum. Above 1 it overshoots. Above 2 it
# ends higher than it began, where the slope is steeper still, and the descent diverges.

rates = np.linspace(0.02, 2.4, 239)
heights = [descend(rate, 10).fun for rate in rates]
fig, ax = plt.subplots(figsize=(8, 4))
ax.semilogy(rates, heights)
ax.axhline(valley([-3.0]), color="0.6", ls="--")
ax.text(0.75, 12, "height at the start", color="0.4")
for rate, story in stories.items():
    height = descend(rate, 10).fun
    ax.plot(rate, height, "o", color="C1", ms=9)
    ax.annotate(story, (rate, height), (12, -4), textcoords="offset points", color="C1")
ax.set(xlabel="learning rate", ylabel="height after 10 steps", xlim=(0, 2.6),
       ylim=(1e-12, 1e4))
plt.show()

# %%
# The best learning rate is one over the curvature, and the descent diverges at twice that. A
# steeper valley needs a smaller rate. In a real problem the curvature differs between directions,
# and one rate must fit all of them: chapter three. First, a question about data. The slope is an
# average over all rows; must each step compute it from all of them?
# :ref:`sphx_glr_auto_examples_descent_plot_2_batches.py`
