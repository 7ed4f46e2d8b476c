"""
Raw tables: SGDRegressor and GDRegressor
========================================

What happens when columns have the units that they happen to have?

A least-squares model is the same model in any unit: multiply a column by ten and its coefficient is
divided by ten. Here all columns of the diabetes data are multiplied by random powers of ten, up to
10^spread and down to 10^-spread, and the cross-validated R^2 is drawn over the spread.
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
    "C1o-": [SGDRegressor(random_state=0)],
    "C3s-": [
        SGDRegressor(eta0=rate, learning_rate="adaptive", random_state=0)
        for rate in 10.0 ** np.arange(-8, 0)
    ],
    "C0-": [GDRegressor(penalty=None)],
    "C0D": [GDRegressor(penalty=None, optimizer="sgd", random_state=0)],
}
spreads = np.arange(0, 3.1, 0.5)
factors = 10.0 ** np.random.default_rng(0).uniform(-1, 1, X.shape[1])


def best_score(candidates: list[Any], columns: np.ndarray) -> Any:
    """Return the cross-validated R^2 of the best of some models."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return max(cross_val_score(model, columns, y).mean() for model in candidates)


fig, ax = plt.subplots(figsize=(8, 4.4))
for style, candidates in models.items():
    scores = [best_score(candidates, X * factors**spread) for spread in spreads]
    ax.plot(spreads, np.maximum(scores, -0.1), style, ms=7)
    if style == "C1o-":  # what is too low to draw
        for spread, score in zip(spreads[3:], scores[3:], strict=True):
            ax.annotate(f"{score:.0e}", (spread, -0.21), (spread, -0.13), ha="center", va="top",
                        color="C1", arrowprops={"arrowstyle": "->", "color": "C1"})
ax.text(1.45, 0.02, "SGDRegressor()", color="C1")
ax.text(2.1, 0.22, "SGDRegressor,\nthe best of 8 rates", color="C3")
ax.text(1.75, 0.37, 'GDRegressor() and\nGDRegressor(optimizer="sgd")', color="C0")
ax.axhline(0, color="0.7", lw=0.8)
ax.set(xlabel="spread of the units (powers of ten)", ylabel="cross-validated R²",
       title="The same table in other units", xlim=(-0.1, 3.25),
       ylim=(-0.24, 0.53))
plt.show()

# %%
# The rate of SGD has the unit of the columns. A bit more spread and it explodes, without a warning;
# rates small enough for the widest column teach the narrow ones nothing. GDRegressor takes the
# units out before it descends: exactly the same model at each point, whatever the optimizer.
