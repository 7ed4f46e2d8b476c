"""
The start decides the valley
============================

Does it matter where gradient descent starts?

With several minima it does: each start leads to the minimum of its own basin of attraction. Here is
Himmelblau's function, which has four minima of height zero. Each point of the map is coloured by
the minimum that gradient descent reaches from it.
"""
# sphinx_gallery_thumbnail_number = 1

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from scipy.optimize import OptimizeResult
from sklearn.datasets import load_breast_cancer

from skgd import GDClassifier, minimize

# sphinx_gallery_start_ignore
MINIMA = np.array([[3.0, 2.0], [-2.805, 3.131], [-3.779, -3.283], [3.584, -1.848]])


def himmelblau(p: Any) -> Any:
    x, y = p
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def slope(p: np.ndarray) -> np.ndarray:
    x, y = p
    first, second = x**2 + y - 11, x + y**2 - 7
    return np.array([4 * x * first + 2 * second, 2 * first + 4 * y * second])


# sphinx_gallery_end_ignore
def descend(start: Any) -> OptimizeResult:
    return minimize(himmelblau, start, jac=slope, optimizer="sgd", learning_rate=0.01, max_iter=200)


def valley(start: Any) -> Any:
    """Return the number of the minimum that a descent reaches."""
    return np.argmin(np.sum((MINIMA - descend(start).x) ** 2, axis=1))


starts = np.linspace(-5, 5, 41)
reached = [[valley([x, y]) for x in starts] for y in starts]
# sphinx_gallery_start_ignore
fig, ax = plt.subplots(figsize=(6.5, 6))
colors = ListedColormap(["#9ecae1", "#fdd0a2", "#a1d99b", "#dadaeb"])
ax.pcolormesh(starts, starts, reached, cmap=colors, shading="nearest")
grid = np.meshgrid(np.linspace(-5, 5, 200), np.linspace(-5, 5, 200))
ax.contour(*grid, himmelblau(grid), levels=np.logspace(0, 3, 9), colors="0.5", linewidths=0.5)
for start in np.random.default_rng(3).uniform(-4.5, 4.5, (7, 2)):
    path = descend(start).path
    ax.plot(*path.T, "k.-", lw=1.2, ms=3)
    ax.plot(*start, "ko", mfc="white", ms=7)
ax.plot(*MINIMA.T, "k*", ms=14, mec="w")
ax.set(xlabel="x", ylabel="y", aspect="equal", title="Four minima and their basins")
plt.show()
# sphinx_gallery_end_ignore

# %%
# Circles are random starts, stars are the minima. Two starts that are close to each other can end
# far apart if a ridge runs between them. So with several minima one starts at random several times
# and keeps the best result:

rng = np.random.default_rng(0)
for trial in range(4):
    run = descend(rng.uniform(-5, 5, 2))
    print(f"start {trial}: minimum at {run.x.round(2)}, height {run.fun:.0e}")

# %%
# A linear model with a convex loss has one valley. Every start leads to the same coefficients,
# which is why ``GDClassifier`` starts from zero and needs no ``random_state`` by default:

X, y = load_breast_cancer(return_X_y=True)
from_zero = GDClassifier(tol=1e-8).fit(X, y)
start = np.random.default_rng(0).normal(size=30), np.zeros(1)
from_random = GDClassifier(tol=1e-8, init=start).fit(X, y)
print(f"largest difference {np.abs(from_zero.coef_ - from_random.coef_).max():.0e}")

# %%
# One question is left: :ref:`sphx_glr_auto_examples_descent_plot_8_stopping.py`
