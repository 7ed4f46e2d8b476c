"""
Losses, and what an outlier does to them
========================================

Which loss shrugs off a bad row?

A loss says what a residual or a margin costs; its slope says how hard a row pulls. A row that pulls
harder the farther it is off can move the whole model.
"""
# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from skgd import GDRegressor
from skgd.losses import (
    AbsoluteError,
    Cauchy,
    EpsilonInsensitive,
    Hinge,
    Huber,
    LogCosh,
    LogLoss,
    ModifiedHuber,
    Perceptron,
    SquaredError,
    SquaredHinge,
)

regression = [
    SquaredError(), AbsoluteError(), Huber(delta=1.0), LogCosh(), EpsilonInsensitive(epsilon=0.5),
    Cauchy(scale=1.0),
]
classification = [LogLoss(), Hinge(), SquaredHinge(), ModifiedHuber(), Perceptron()]

z = np.linspace(-4, 4, 401)
fig, axes = plt.subplots(2, 2, figsize=(11, 6.5), sharex=True, layout="constrained")
for column, losses, target, top in ((0, regression, 0.0, 5), (1, classification, 1.0, 7)):
    for loss in losses:
        y = np.full(len(z), target)
        axes[0, column].plot(z, loss.value(y, z), label=type(loss).__name__)
        axes[1, column].plot(z, loss.gradient(y, z))
    axes[0, column].set_ylim(0, top)
    axes[1, column].set_ylim(-top, 3)
    axes[0, column].legend(fontsize=8)
axes[0, 0].set(title="regression, by the residual", ylabel="loss")
axes[0, 1].set(title="classification, by the margin of the right class")
axes[1, 0].set(ylabel="slope", xlabel="residual")
axes[1, 1].set(xlabel="margin")
plt.show()

# %%
# Twelve of 442 rows are spoilt: their targets have a digit too many. The line of the squared error
# follows them, those of the others hardly move.

X, y = load_diabetes(return_X_y=True, scaled=False)
bmi, spoilt = X[:, [2]], y.copy()
rows = np.argsort(bmi[:, 0])[-200::17]
spoilt[rows] *= 10
at = np.array([[18.0], [42.0]])
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
ax.plot(bmi, y, ".", color="0.8")
for loss in (SquaredError(), Huber(delta=50.0), AbsoluteError(), Cauchy(scale=50.0)):
    line = GDRegressor(loss).fit(bmi, spoilt)
    ax.plot(at, line.predict(at), label=type(loss).__name__)
ax.plot(at, GDRegressor().fit(bmi, y).predict(at), "k--", lw=1, label="SquaredError, no bad rows")
ax.set(xlabel="body mass index", ylabel="progression", ylim=(0, 700))
ax.legend(fontsize=8)
plt.show()
