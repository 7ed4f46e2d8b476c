"""
Optimizers on raw and standardised columns
==========================================

Which optimizer is best? It depends on the preconditioning.

Five step rules learn the breast cancer data on batches of 32 rows. Each uses the learning rate, out
of ten from 1e-8 to 3, with the lowest objective after 30 epochs. The columns are raw, with standard
deviations from 0.003 to 569, or standardised. ``precondition=None`` takes plain steps. The plots
show how far the objective is above its minimum.
"""

import warnings
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier

X, y = load_breast_cancer(return_X_y=True)
X_scaled = StandardScaler().fit_transform(X)
RULES = ("sgd", "momentum", "adagrad", "rmsprop", "adam")
RATES = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 3.0)


def best_history(
    optimizer: str, X: np.ndarray, precondition: Literal["auto"] | None
) -> tuple[np.ndarray, float]:
    """Return the objectives of the best learning rate, and that rate."""
    runs = []
    for rate in RATES:
        model = GDClassifier(optimizer=optimizer, learning_rate=rate, batch_size=32, max_iter=30,
                             tol=None, precondition=precondition, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # rates that are too large
            objective = model.fit(X, y).history_["objective"]
        if len(objective) == 30:
            runs.append((objective[-1], rate, objective))
    _, rate, objective = min(runs)
    return objective, rate


panels: dict[str, tuple[np.ndarray, Literal["auto"] | None]] = {
    "raw columns,\nplain": (X, None),
    "standardised columns,\nplain": (X_scaled, None),
    "raw columns,\npreconditioned": (X, "auto"),
}
# sphinx_gallery_start_ignore
fig, axes = plt.subplots(1, 3, figsize=(8, 4.4), sharey=True)
for ax, (title, (columns, precondition)) in zip(axes, panels.items(), strict=True):
    lowest = GDClassifier(tol=1e-10).fit(columns, y).history_["objective"][-1]
    chosen = []
    for rule in RULES:
        objective, rate = best_history(rule, columns, precondition)
        ax.semilogy(np.arange(1, 31), objective - lowest, label=rule)
        chosen.append(f"{rule} {rate:g}")
    ax.set(title=title, xlabel="epoch")
    print(title.replace("\n", " "), "- best rates:", ", ".join(chosen))
axes[0].set_ylabel("objective above the minimum")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
plt.show()
# sphinx_gallery_end_ignore

# %%
# On raw columns, plain steps need a tiny learning rate and stay far above the minimum. Adaptive
# rates (adagrad, rmsprop, adam) help a little. On standardised columns all five come close. The
# default preconditioning does the same for raw columns, with learning rates of the same size.
# ``optimizer="auto"``, which found the minima, needs no learning rate.
