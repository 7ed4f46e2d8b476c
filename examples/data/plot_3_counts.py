"""
Counts and intensities
======================

How often, not how much: what does a linear model of counts look like?

Made data: how many customers come to a snack bar, by the hour of the day. It was watched 250 times,
some minutes or some hours each. So the target is the rate, the count divided by the time, and the
time is the weight. The Poisson loss has a logarithmic link: coefficients multiply the rate, and no
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


watched = rng.exponential(0.5, len(hour))
rate = rng.poisson(true_rate(hour) * watched) / watched

features = SplineTransformer(n_knots=14)
grid = np.linspace(0, 24, 300)[:, None]
fits = {}
for loss in ("squared_error", "poisson"):
    model = make_pipeline(features, GDRegressor(loss, alpha=1e-4, tol=1e-8))
    fits[loss] = model.fit(hour[:, None], rate, gdregressor__sample_weight=watched).predict(grid)
theirs = make_pipeline(features, PoissonRegressor(alpha=1e-4, solver="newton-cholesky", tol=1e-9))
theirs.fit(hour[:, None], rate, poissonregressor__sample_weight=watched)
print("largest distance from PoissonRegressor:",
      f"{np.abs(fits['poisson'] / theirs.predict(grid) - 1).max():.0e}")

fig, (all_day, night) = plt.subplots(2, 1, figsize=(8, 6.5), sharex=True, height_ratios=[3, 2])
for ax in (all_day, night):
    ax.scatter(hour, rate, s=12 * watched, color="0.7", label="one watch; its size is the time")
    ax.plot(grid, true_rate(grid), "k--", lw=1.5, label="truth")
    for loss, predictions in fits.items():
        ax.plot(grid, predictions, label=loss)
all_day.set(ylabel="customers an hour", ylim=(-2, 25), title="the whole day")
all_day.legend(loc="upper left")
night.axhspan(-2, 0, color="C0", alpha=0.12, lw=0)
night.text(0.2, -1.7, "fewer than no customers", color="C0")
night.set(xlabel="hour", ylabel="customers an hour", xlim=(0, 24), ylim=(-2, 2.5))
night.set_title("near zero")
plt.show()

# %%
# In the quiet hours the squared error swings below zero, and it misses the height of the rush,
# because it takes the noise to be the same all day. The Poisson model is that of scikit-learn's
# ``PoissonRegressor``, whose loss is the same half deviance; here it also takes l1, batches and
# ``partial_fit``.
