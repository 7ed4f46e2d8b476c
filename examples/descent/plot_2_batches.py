"""
Batch, stochastic and mini-batch descent
========================================

How many rows should a step use?

The objective is a mean over the rows of a table, and so is its gradient. A step can compute the
gradient from all rows, from one random row, or from a mini-batch. Below are five passes over the
442 rows of the diabetes data in each way. Two columns make two coefficients, so the path can be
drawn on a map. Lines join points of equal height, and the star is the minimum. The learning rates
of the two stochastic runs decay.
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
    """Train batch by batch and record the coefficients after each step."""
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
# sphinx_gallery_start_ignore
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
# sphinx_gallery_end_ignore

# %%
# A step on all rows goes straight downhill, but there are only five of them. A step on one row is
# 442 times cheaper but noisy: only the mean of many such steps points downhill. A mini-batch is in
# between. The same runs, as height above the minimum:

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
# Single rows come down first, within a fraction of the first pass. Then they fluctuate around the
# minimum, because the noise only vanishes with the learning rate. With all rows there is no noise,
# and the descent converges. This is why skgd uses all rows by default, and mini-batches when you
# pass a learning rate or a batch size. Next, a harder objective:
# :ref:`sphx_glr_auto_examples_descent_plot_3_momentum.py`
