"""
Feature maps before the linear model
====================================

Can a linear model fit a curve?

Yes, on nonlinear features. Splines transform each column separately. Nystroem's method uses
distances to a sample of rows, which approximates a kernel machine at linear cost. Training stays
convex, works on mini-batches and streams, and takes time proportional to the rows.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_circles
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from sklearn.svm import SVC

from skgd import GDClassifier

X, y = make_circles(1000, noise=0.15, factor=0.5, random_state=0)
X[:, 1] *= 3
models = {
    "raw": GDClassifier(),
    "splines": make_pipeline(SplineTransformer(n_knots=4), GDClassifier(alpha=1e-3)),
    "Nystroem, 60 rows": make_pipeline(
        Nystroem(gamma=1.0, n_components=60, random_state=0), GDClassifier(alpha=1e-3)
    ),
}
fig, axes = plt.subplots(1, 3, figsize=(8, 3.6), sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    model.fit(X, y)
    DecisionBoundaryDisplay.from_estimator(model, X, ax=ax, eps=0.2, cmap="RdBu", alpha=0.6,
                                           response_method="predict_proba", vmin=0, vmax=1)
    ax.scatter(*X.T, c=y, cmap="RdBu", s=6, edgecolors="none")
    ax.set_title(f"{name}\naccuracy {model.score(X, y):.2f}")
plt.show()

# %%
# Training time against rows: that of the kernel machine grows faster than linearly.

sizes = np.array([1000, 4000, 16_000, 32_000])
machines = {"SVC": SVC(), "Nystroem, 60 rows": models["Nystroem, 60 rows"]}
fig, ax = plt.subplots(figsize=(8, 3.8))
for name, model in machines.items():
    seconds = []
    for size in sizes:
        rows, classes = make_circles(size, noise=0.15, factor=0.5, random_state=0)
        start = time.perf_counter()
        model.fit(rows, classes)
        seconds.append(time.perf_counter() - start)
    ax.loglog(sizes, seconds, "o-", label=name)
ax.set(xlabel="rows", ylabel="seconds")
ax.legend()
plt.show()
