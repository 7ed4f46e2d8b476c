"""
Batch, stochastic and mini-batch descent
========================================

How many rows should a step look at? All of them, one, or something between?

Two columns of the diabetes data, so that the path can be drawn. The ellipses join coefficients
with the same objective. Each path shows 5 passes over the 442 rows, with the same kind of falling
rate.
"""
# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from skgd import GDRegressor
from skgd.schedules import InverseScaling

X, y = load_diabetes(return_X_y=True)
X, y = StandardScaler().fit_transform(X[:, [2, 8]]), (y - y.mean()) / y.std()
minimum = GDRegressor(alpha=0.0).fit(X, y).coef_


def path(batch_size, learning_rate, passes=5):
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


# %%
# A step on all rows goes straight downhill, but there are only five of them. A step on one row is
# 442 times cheaper and points anywhere; the mean of many such steps points downhill. Batches of 32
# rows get most of both.

ways = {
    "5 steps on all rows": path(len(y), 0.5),
    "65 steps on 32 rows each": path(32, InverseScaling(0.2)),
    "2210 steps on one row each": path(1, InverseScaling(0.2)),
}
grid = np.stack(np.meshgrid(np.linspace(-0.25, 0.75, 80), np.linspace(-0.25, 0.75, 80)))
margins = np.einsum("nj,jab->nab", X, grid)
height = 0.5 * np.mean((margins - y[:, None, None]) ** 2, axis=0)

fig, axes = plt.subplots(1, 3, figsize=(11, 4.5), sharex=True, sharey=True, layout="constrained")
for ax, (name, coefs) in zip(axes, ways.items(), strict=True):
    ax.contour(*grid, height, levels=12, colors="0.8", linewidths=0.8)
    ax.plot(*coefs.T, color="C0", lw=0.8, marker=".", ms=4 if len(coefs) < 100 else 2)
    ax.plot(*minimum, "C3*", ms=12)
    ax.set(title=name, xlabel="coefficient of bmi", aspect="equal")
axes[0].set_ylabel("coefficient of s5")
plt.show()

# %%
# What a pass is worth: the objective above its minimum, over passes.

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
lowest = 0.5 * np.mean((X @ minimum - y) ** 2)
for name, coefs in ways.items():
    objective = 0.5 * np.mean((X @ coefs.T - y[:, None]) ** 2, axis=0)
    ax.semilogy(np.linspace(0, 5, len(coefs)), objective - lowest, label=name)
ax.set(xlabel="passes over the data", ylabel="objective above the minimum", ylim=(1e-8, 1))
ax.legend(loc="lower left")
plt.show()
