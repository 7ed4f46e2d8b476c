"""
Your own optimizer
==================

How do I try a step rule from a paper?

Write one method, ``update``, which changes the parameters and the state in place. Mini-batches,
schedules, penalties, early stopping, pipelines and grid searches work with it.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skgd import DescentDisplay, GDClassifier
from skgd.optimizers import Optimizer
from skgd.schedules import InverseScaling


class AdaBelief(Optimizer):
    """Adam with the variance around the mean gradient (Zhuang et al., 2020)."""

    slots = 2

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-8) -> None:
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps

    def update(
        self, w: np.ndarray, g: np.ndarray, state: np.ndarray, rate: float, t: int
    ) -> Any:
        mean, variance = state
        mean += (1 - self.beta_1) * (g - mean)
        variance *= self.beta_2
        variance += (1 - self.beta_2) * (g - mean) ** 2
        step = rate / (np.sqrt(variance / (1 - self.beta_2 ** (t + 1))) + self.eps)
        w -= step * mean / (1 - self.beta_1 ** (t + 1))
        return step  # the step for a unit gradient: penalties such as l1 need it


X, y = load_digits(return_X_y=True)
lowest = GDClassifier(alpha=1e-3, tol=1e-8).fit(X, y).history_["objective"][-1]
models = {
    str(optimizer): GDClassifier(
        alpha=1e-3, optimizer=optimizer, learning_rate=InverseScaling(0.05), batch_size=64,
        max_iter=40, tol=None, random_state=0,
    ).fit(X, y)
    for optimizer in ("adagrad", "rmsprop", "adam", AdaBelief())
}
DescentDisplay.from_estimators(models, excess=lowest)
plt.show()

# %%
# Its parameters are searched like those of any estimator:

model = GDClassifier(alpha=1e-3, optimizer=AdaBelief(), learning_rate=0.03, max_iter=20, tol=None,
                     random_state=0)
search = GridSearchCV(model, {"optimizer__beta_1": [0.8, 0.9, 0.99]}, cv=3).fit(X, y)
for parameters, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(parameters, f"{score:.3f}")
