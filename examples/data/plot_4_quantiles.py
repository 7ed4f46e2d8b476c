"""
Quantile bands
==============

Between which values do nine out of ten targets lie?

The minimum of the quantile loss has a given fraction of the targets below the prediction.
``Quantile`` takes a list of quantiles, which are fitted together; ``predict`` then returns one
column for each.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from skgd import GDRegressor
from skgd.losses import Quantile

X, y = load_diabetes(return_X_y=True, scaled=False)
bmi = X[:, [2]]
quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
model = make_pipeline(SplineTransformer(n_knots=4, degree=2),
                      GDRegressor(Quantile(quantiles), alpha=1e-5)).fit(bmi, y)

grid = np.linspace(bmi.min(), bmi.max(), 200)[:, None]
bands = model.predict(grid)
fig, ax = plt.subplots(figsize=(8, 4.6))
ax.plot(bmi, y, ".", color="0.6", ms=5)
for low, high, alpha, name in ((0, 4, 0.15, "nine out of ten"), (1, 3, 0.3, "half")):
    ax.fill_between(grid[:, 0], bands[:, low], bands[:, high], color="C0", alpha=alpha, lw=0)
    ax.text(grid[-1, 0], bands[-1, high], f" {name}", color="C0", va="center")
ax.plot(grid, bands[:, 2], "C0")
ax.text(grid[-1, 0], bands[-1, 2], " the median", color="C0", va="top")
ax.set(xlabel="body mass index", ylabel="progression of diabetes", xlim=(17, 48))
plt.show()

# %%
# The fraction of the targets below each quantile:

shares = np.mean(y[:, None] <= model.predict(bmi), axis=0)
for quantile, share in zip(quantiles, shares, strict=True):
    print(f"{quantile:4.2f} {share:.3f}")
