"""
Descending a valley
===================

What does the learning rate do?

Gradient descent takes the slope where it stands, times the rate, as its step. In a valley of the
form ``x^2 / 2`` the slope is x, so each step multiplies x by ``1 - rate``. All that can happen
follows: creeping, arriving, bouncing, exploding.
"""
# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

from skgd import PathDisplay, minimize


def valley(x):
    return 0.5 * x[0] ** 2


def slope(x):
    return x


rates = {
    "0.1: creeps": 0.1,
    "0.7: arrives": 0.7,
    "1.8: bounces": 1.8,
    "2.1: explodes": 2.1,
}
fig, axes = plt.subplots(1, 4, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, (name, rate) in zip(axes, rates.items(), strict=True):
    run = minimize(valley, [-3.0], jac=slope, optimizer="sgd", learning_rate=rate, max_iter=7,
                   tol=None)
    PathDisplay.from_result(run, valley, ax=ax, limits=[(-6, 6)])
    ax.set(title=f"rate {name}", xlabel="x", ylabel="", ylim=(-0.8, 16))
    ax.get_legend().remove()
axes[0].set_ylabel("height")
plt.show()

# %%
# The best rate of a valley is one over its curvature: here 1, which arrives in a single step. Twice
# that is the border of the explosion. But a function of several parameters is curved in one
# direction more than in another, and one rate must serve them all:
# :ref:`sphx_glr_auto_examples_descent_plot_3_momentum.py`. The estimators take the curvature of the
# columns out before they descend; that is why their rates have no unit.

rates = np.linspace(0.02, 2.2, 200)
ends = [
    minimize(valley, [-3.0], jac=slope, optimizer="sgd", learning_rate=rate, max_iter=10, tol=None)
    for rate in rates
]
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.semilogy(rates, [end.fun for end in ends])
ax.axhline(4.5, color="0.7", ls="--")
ax.text(0.03, 6, "height at the start", color="0.4")
ax.set(xlabel="learning rate", ylabel="height after 10 steps", ylim=(1e-12, 1e3))
plt.show()
