"""
Losses and outliers
===================

Which loss is robust to outliers?

A loss is the cost of a residual or a margin. Its slope is the influence of a row on the model. If
the slope grows with the residual, one outlier can move the whole model.
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
fig, axes = plt.subplots(2, 2, figsize=(8, 7), sharex=True)
for column, losses, target, top in ((0, regression, 0.0, 5), (1, classification, 1.0, 7)):
    for loss in losses:
        y = np.full(len(z), target)
        axes[0, column].plot(z, loss.value(y, z))
        axes[1, column].plot(z, loss.gradient(y, z), label=type(loss).__name__)
    axes[0, column].set_ylim(0, top)
    axes[1, column].set_ylim(-top, 3)
    axes[1, column].legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
axes[0, 0].set(title="regression", ylabel="loss")
axes[0, 1].set(title="classification")
axes[1, 0].set(ylabel="slope", xlabel="residual")
axes[1, 1].set(xlabel="margin of the true class")
plt.show()

# %%
# Twelve of 442 targets are ten times too large. They lie far above this plot, at the triangles. The
# line of the squared error follows them. The lines of the other losses hardly move.

X, y = load_diabetes(return_X_y=True, scaled=False)
bmi, corrupted = X[:, [2]], y.copy()
rows = np.argsort(bmi[:, 0])[-200::17]
corrupted[rows] *= 10
at = np.array([[18.0], [42.0]])
fig, ax = plt.subplots(figsize=(8, 5))
ax.plot(bmi, y, ".", color="0.8")
ax.plot(bmi[rows], np.full(len(rows), 640), "^", color="0.3", label="outliers, up to "
        f"{corrupted.max():.0f}")
for loss in (SquaredError(), Huber(delta=50.0), AbsoluteError(), Cauchy(scale=50.0)):
    line = GDRegressor(loss).fit(bmi, corrupted)
    ax.plot(at, line.predict(at), label=type(loss).__name__)
clean = GDRegressor().fit(bmi, y)
ax.plot(at, clean.predict(at), "k--", lw=1.5, label="SquaredError without outliers")
ax.set(xlabel="body mass index", ylabel="progression of diabetes", ylim=(0, 660))
ax.legend(loc="upper left", bbox_to_anchor=(0, 0.95))
plt.show()
