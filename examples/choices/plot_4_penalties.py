"""
Penalties
=========

What does a penalty do to the coefficients?

l2 shrinks all of them. l1 sets many to exactly zero. A group lasso does so group by group, and
bounds keep each coefficient within limits. The columns are standardised, so that the penalties
treat them alike. Grey bars are the coefficients without a penalty, and a dot is an exact zero.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from skgd import GDRegressor
from skgd.penalties import L1, L2, Box, ElasticNet, GroupLasso

data = load_diabetes(scaled=False)
X, y = StandardScaler().fit_transform(data.data), data.target
groups = [[0, 1], [2, 3], [4, 5, 6, 7, 8, 9]]  # the person, the body, the blood

penalties = {
    "L2": (L2(), 0.5),
    "L1": (L1(), 4.0),
    "ElasticNet": (ElasticNet(l1_ratio=0.8), 3.0),
    "GroupLasso": (GroupLasso(groups), 8.0),
    "Box from -10 to 10": (Box(-10, 10), 0.0),
    "L2, positive=True": (L2(), 0.5),
}
fig, axes = plt.subplots(3, 2, figsize=(8, 8), sharex=True, sharey=True)
free = GDRegressor(penalty=None).fit(X, y).coef_
for ax, (name, (penalty, alpha)) in zip(axes.flat, penalties.items(), strict=True):
    model = GDRegressor(penalty=penalty, alpha=alpha, positive="positive" in name).fit(X, y)
    ax.bar(data.feature_names, free, color="0.88")
    ax.bar(data.feature_names, model.coef_, width=0.5)
    zero = np.flatnonzero(model.coef_ == 0)
    ax.plot(zero, np.zeros(len(zero)), "o", color="C1")
    ax.set_title(f"{name}\n{len(zero)} zeros, R² {model.score(X, y):.2f}")
    ax.axhline(0, color="0.5", lw=0.6, zorder=0)
fig.supylabel("coefficient")
plt.show()
