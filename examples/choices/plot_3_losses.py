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
axes[1, 1].set(xlabel="margin of the right class")
plt.show()

# %%
# Twelve of 442 rows are spoilt: their targets have a digit too many. They lie far above this
# picture; the triangles say where. The line of the squared error follows them, those of the others
# hardly move.

X, y = load_diabetes(return_X_y=True, scaled=False)
bmi, spoilt = X[:, [2]], y.copy()
rows = np.argsort(bmi[:, 0])[-200::17]
spoilt[rows] *= 10
at = np.array([[18.0], [42.0]])
fig, ax = plt.subplots(figsize=(8, 5))
ax.plot(bmi, y, ".", color="0.8")
ax.plot(bmi[rows], np.full(len(rows), 640), "^", color="0.3", label="spoilt rows, up to "
        f"{spoilt.max():.0f}")
for loss in (SquaredError(), Huber(delta=50.0), AbsoluteError(), Cauchy(scale=50.0)):
    line = GDRegressor(loss).fit(bmi, spoilt)
    ax.plot(at, line.predict(at), label=type(loss).__name__)
ax.plot(at, GDRegressor().fit(bmi, y).predict(at), "k--", lw=1.5, label="SquaredError, none spoilt")
ax.set(xlabel="body mass index", ylabel="progression of diabetes", ylim=(0, 660))
ax.legend(loc="upper left", bbox_to_anchor=(0, 0.95))
plt.show()
