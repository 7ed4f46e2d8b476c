"""
Raw tables: SGDRegressor and GDRegressor
========================================

What happens when columns have the units that they happen to have?

A least-squares model is the same model in any unit: multiply a column by ten and its coefficient is
divided by ten. Here all columns of the diabetes data are multiplied by random powers of ten, up to
10^spread and down to 10^-spread, and the cross-validated R^2 is drawn over the spread.
"""

import warnings

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
    "SGDRegressor()": SGDRegressor(random_state=0),
    "SGDRegressor, best of 5 rates": [
        SGDRegressor(eta0=rate, learning_rate="adaptive", random_state=0)
        for rate in 10.0 ** np.arange(-8, 1, 2)
    ],
    'GDRegressor(optimizer="sgd")': GDRegressor(penalty=None, optimizer="sgd", random_state=0),
    "GDRegressor()": GDRegressor(penalty=None),
}
spreads = np.arange(0, 3.1, 0.5)
factors = 10.0 ** np.random.default_rng(0).uniform(-1, 1, X.shape[1])


def score(model, columns):
    """Return the cross-validated R^2; the best one of a list of models."""
    if isinstance(model, list):
        return max(score(one, columns) for one in model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cross_val_score(model, columns, y).mean()


fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for (name, model), style in zip(models.items(), ("C1o-", "C3s-", "C2D--", "C0-"), strict=True):
    scores = [score(model, X * factors**spread) for spread in spreads]
    ax.plot(spreads, np.maximum(scores, -0.1), style, ms=5, label=name)
ax.axhline(0, color="0.7", lw=0.8)
ax.set(xlabel="spread of the units (powers of ten)", ylabel="cross-validated R²",
       title="The same table in other units")
ax.text(0.02, -0.09, "-0.1 stands for all that is below", color="0.4", fontsize=8)
ax.legend(loc="center left")
plt.show()

# %%
# The rate of SGD has the unit of the columns. A bit more spread and it explodes, without a warning;
# rates small enough for the widest column teach the narrow ones nothing. GDRegressor takes the
# units out before it descends: exactly the same model at each point, whatever the optimizer.
