"""
Raw tables: SGDRegressor and GDRegressor
========================================

Does the unit of a column matter?

It shouldn't. A least-squares model doesn't depend on units: multiply a column by ten and its
coefficient is divided by ten. Here the columns of the diabetes data are multiplied by random
factors. The plot shows the cross-validated R² against the ratio of the largest to the smallest
standard deviation among the columns. In the breast cancer data that ratio is 215,000 as measured.
"""

import warnings
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDRegressor
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from skgd import GDRegressor

X, y = load_diabetes(return_X_y=True)
X = StandardScaler().fit_transform(X)
models = {
    "SGDRegressor": [SGDRegressor(random_state=0)],
    "SGDRegressor, best of 8 rates": [
        SGDRegressor(eta0=rate, learning_rate="adaptive", random_state=0)
        for rate in 10.0 ** np.arange(-8, 0)
    ],
    "GDRegressor": [GDRegressor(penalty=None)],
    'GDRegressor(optimizer="sgd")': [GDRegressor(penalty=None, optimizer="sgd", random_state=0)],
}
exponents = np.random.default_rng(0).uniform(-1, 1, X.shape[1])
spreads = np.arange(0, 3.1, 0.5)
ratios = 10 ** (spreads * np.ptp(exponents))


def best_score(candidates: list[Any], columns: np.ndarray) -> Any:
    """Return the cross-validated R^2 of the best of some models."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return max(cross_val_score(model, columns, y).mean() for model in candidates)


scores = {
    name: np.array([best_score(candidates, X * 10 ** (exponents * spread)) for spread in spreads])
    for name, candidates in models.items()
}
# sphinx_gallery_start_ignore
styles = {"SGDRegressor": ("C1", "o"), "SGDRegressor, best of 8 rates": ("C3", "s"),
          "GDRegressor": ("C0", None), 'GDRegressor(optimizer="sgd")': ("C0", "D")}
LOWEST = -0.1
fig, ax = plt.subplots(figsize=(8, 4.4))
for name, (color, marker) in styles.items():
    shown = np.maximum(scores[name], LOWEST)
    clipped = scores[name] < LOWEST
    ax.plot(ratios, shown, color=color, ls=":" if marker == "D" else "-")
    if marker:
        ax.plot(ratios[~clipped], shown[~clipped], marker, color=color, ms=7)
    ax.plot(ratios[clipped], shown[clipped], "v", color=color, mfc="white", ms=9, clip_on=False)
lowest = scores["SGDRegressor"].min()
ax.text(2.5, 0.05, f"SGDRegressor\n(down to {lowest:.0e})", color="C1")
ax.text(5500, 0.22, "SGDRegressor,\nbest of 8 rates", color="C3")
ax.text(300, 0.38, 'GDRegressor and\nGDRegressor(optimizer="sgd")', color="C0")
ax.axhline(0, color="0.7", lw=0.8)
ax.set(xscale="log", xlabel="largest / smallest standard deviation of a column", xlim=(0.7, 5e5),
       ylabel="cross-validated R²", ylim=(LOWEST, 0.53), title="The same table in other units")
ax.minorticks_off()
plt.show()
# sphinx_gallery_end_ignore

# %%
# Hollow triangles are scores below the axis.
#
# The learning rate of ``SGDRegressor`` depends on the units of the columns. When they differ by a
# factor of about a hundred, it diverges without a warning. A learning rate that is small enough for
# the widest column learns nothing from the narrow ones. ``GDRegressor`` preconditions for column
# scale, so it finds the same model at every point, with every optimizer.
