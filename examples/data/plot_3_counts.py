"""
Counts and intensities
======================

How do I model counts that were observed for different lengths of time?

The data are synthetic: customers of a snack bar by the hour of the day, observed 250 times for some
minutes or some hours. The target is the rate, the count divided by the time, and the time is the
sample weight. The Poisson loss has a logarithmic link: coefficients multiply the rate, and no
prediction is negative.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from skgd import GDRegressor

rng = np.random.default_rng(0)
hour = rng.uniform(0, 24, 250)


def true_rate(hour: np.ndarray) -> Any:
    return 0.05 + 14 * np.exp(-((hour - 12.5) ** 2)) + 9 * np.exp(-((hour - 18) ** 2) / 2)


observed = rng.exponential(0.5, len(hour))
rate = rng.poisson(true_rate(hour) * observed) / observed

features = SplineTransformer(n_knots=14)
grid = np.linspace(0, 24, 300)[:, None]
fits = {}
for loss in ("squared_error", "poisson"):
    model = make_pipeline(features, GDRegressor(loss, alpha=1e-4, tol=1e-8))
    fits[loss] = model.fit(hour[:, None], rate, gdregressor__sample_weight=observed).predict(grid)
theirs = make_pipeline(features, PoissonRegressor(alpha=1e-4, solver="newton-cholesky", tol=1e-9))
theirs.fit(hour[:, None], rate, poissonregressor__sample_weight=observed)
print("largest distance from PoissonRegressor:",
      f"{np.abs(fits['poisson'] / theirs.predict(grid) - 1).max():.0e}")

fig, (all_day, night) = plt.subplots(2, 1, figsize=(8, 6.5), sharex=True, height_ratios=[3, 2])
for ax in (all_day, night):
    ax.scatter(hour, rate, s=12 * observed, color="0.7", label="observation, sized by its length")
    ax.plot(grid, true_rate(grid), "k--", lw=1.5, label="truth")
    for loss, predictions in fits.items():
        ax.plot(grid, predictions, label=loss)
all_day.set(ylabel="customers per hour", ylim=(-2, 25), title="the whole day")
all_day.legend(loc="upper left")
night.axhspan(-2, 0, color="C0", alpha=0.12, lw=0)
night.text(0.2, -1.7, "negative predictions", color="C0")
night.set(xlabel="hour", ylabel="customers per hour", xlim=(0, 24), ylim=(-2, 2.5))
night.set_title("near zero")
plt.show()

# %%
# In quiet hours the squared error predicts negative rates, and it misses the peak, because it
# assumes the same noise all day. The Poisson model equals scikit-learn's ``PoissonRegressor``; in
# skgd it also takes an l1 penalty, mini-batches and ``partial_fit``.
