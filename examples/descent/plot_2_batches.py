"""
Batch, stochastic and mini-batch descent
========================================

How many rows should a step look at?

With data, the ground is an average: each row of the table has its own valley, and the height is the
mean over all rows. So is the slope. A step may look at all rows, at one that is drawn by lot, or at
a batch of some. Below are five passes over the 442 rows of the diabetes data, each way. Two columns
make two coefficients, so the walk can be drawn on a map; the lines join places of the same height,
and the star is the lowest one. The rates of the batches fall as the walk goes on.
"""
# sphinx_gallery_thumbnail_number = 1

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from skgd import GDRegressor
from skgd.schedules import InverseScaling, Schedule

X, y = load_diabetes(return_X_y=True)
X, y = StandardScaler().fit_transform(X[:, [2, 8]]), (y - y.mean()) / y.std()
minimum = GDRegressor(alpha=0.0).fit(X, y).coef_


def path(batch_size: int, learning_rate: float | Schedule, passes: int = 5) -> np.ndarray:
    """Train batch by batch and note the coefficients after each step."""
    rng = np.random.default_rng(0)
    model = GDRegressor(optimizer="sgd", learning_rate=learning_rate, batch_size="full", alpha=0.0,
                        fit_intercept=False, precondition=None)
    coefs = [np.zeros(2)]
    for _ in range(passes):
        rows = rng.permutation(len(y))
        for batch in np.array_split(rows, len(y) // batch_size):
            coefs.append(model.partial_fit(X[batch], y[batch]).coef_.copy())
    return np.array(coefs)


ways = {
    "5 steps,\neach on all rows": path(len(y), 0.5),
    "65 steps,\neach on 34 rows": path(34, InverseScaling(0.2)),
    "2210 steps,\neach on one row": path(1, InverseScaling(0.2)),
}
grid = np.stack(np.meshgrid(np.linspace(-0.1, 0.7, 80), np.linspace(-0.1, 0.7, 80)))
margins = np.einsum("nj,jab->nab", X, grid)
height = 0.5 * np.mean((margins - y[:, None, None]) ** 2, axis=0)

fig, axes = plt.subplots(1, 3, figsize=(8, 3.6), sharex=True, sharey=True)
for number, (ax, (name, coefs)) in enumerate(zip(axes, ways.items(), strict=True)):
    ax.contour(*grid, height, levels=12, colors="0.8", linewidths=0.8)
    few = len(coefs) < 100
    ax.plot(*coefs.T, f"C{number}.-", lw=1.5 if few else 0.4, ms=7 if few else 1.5)
    ax.plot(*minimum, "*", color="k", ms=14, mec="w")
    ax.set(title=name, xlabel="coefficient of bmi", aspect="equal")
axes[0].set_ylabel("coefficient of s5")
plt.show()

# %%
# A step on all rows goes straight downhill, but there are only five of them. A step on one row is
# 442 times cheaper and may point anywhere; only the mean of many such steps points downhill. A
# batch gets most of both. The same walks again, as height above the lowest place:

fig, ax = plt.subplots(figsize=(8, 4))
lowest = 0.5 * np.mean((X @ minimum - y) ** 2)
for number, (name, coefs) in reversed(list(enumerate(ways.items()))):
    objective = 0.5 * np.mean((X @ coefs.T - y[:, None]) ** 2, axis=0)
    ax.semilogy(np.linspace(0, 5, len(coefs)), objective - lowest, f"C{number}",
                lw=0.7 if number == 2 else 2.5, label=name.replace("\n", " "))
ax.set(xlabel="passes over the data", ylabel="height above the minimum", ylim=(1e-6, 1))
ax.legend(loc="upper right")
plt.show()

# %%
# One row at a time is down first, within a fraction of the first pass. Then it only dances around
# the minimum: the noise stays as long as the rate does. All rows at once have no noise and get
# there in the end. This is why skgd takes batches when you ask for quick learning, and all rows
# when you ask for nothing. Next, the ground itself gets harder:
# :ref:`sphx_glr_auto_examples_descent_plot_3_momentum.py`
