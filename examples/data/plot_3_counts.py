"""
Counts and intensities
======================

How often, not how much: what does a linear model of counts look like?

Made data: how many customers come to a shop, by the hour of the day. The shop is watched for
different times, so the target is the rate, the count divided by the time, and the time is the
weight. The Poisson loss has a logarithmic link: coefficients multiply the rate, and no prediction
is negative.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from skgd import GDRegressor

rng = np.random.default_rng(0)
hour = rng.uniform(8, 20, 800)


def true_rate(hour):
    return 0.5 + 14 * np.exp(-((hour - 12.5) ** 2)) + 9 * np.exp(-((hour - 17.5) ** 2) / 3)


watched = rng.exponential(0.5, len(hour))
rate = rng.poisson(true_rate(hour) * watched) / watched

features = SplineTransformer(n_knots=12)
grid = np.linspace(8, 20, 300)[:, None]
fits = {}
for loss in ("squared_error", "poisson"):
    model = make_pipeline(features, GDRegressor(loss, alpha=1e-4))
    fits[loss] = model.fit(hour[:, None], rate, gdregressor__sample_weight=watched).predict(grid)
theirs = make_pipeline(features, PoissonRegressor(alpha=1e-4, tol=1e-9, max_iter=10_000))
theirs.fit(hour[:, None], rate, poissonregressor__sample_weight=watched)
print("largest distance from PoissonRegressor:",
      f"{np.abs(fits['poisson'] / theirs.predict(grid) - 1).max():.0e}")

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.scatter(hour, rate, s=10 * watched, color="0.75", label="a watch; its size is the time")
ax.plot(grid, true_rate(grid), "k--", lw=1, label="truth")
for loss, predictions in fits.items():
    ax.plot(grid, predictions, label=loss)
ax.set(xlabel="hour", ylabel="customers an hour", ylim=(-2, 40))
ax.legend()
plt.show()

# %%
# In the quiet hours the squared error swings below zero, and it trusts the noisy peaks as much as
# the quiet hours. The Poisson model is that of scikit-learn's ``PoissonRegressor``, whose loss is
# the same half deviance; here it also takes l1, batches and ``partial_fit``.
