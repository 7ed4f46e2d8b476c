"""
Choosing a learning rate
========================

Range test, search, or neither?

A range test tries many learning rates in short runs. A search finds the rate that predicts best.
And "auto" needs no learning rate.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from skgd import DescentDisplay, GDClassifier, GDSearchCV, LearningRateDisplay

X, y = load_breast_cancer(return_X_y=True)
model = GDClassifier(optimizer="adam", batch_size=32, random_state=0)

# %%
# The range test plots the mean objective of a short run at each learning rate. Small rates make
# little progress; large ones oscillate or diverge. The columns are raw, yet the best rate is in the
# usual range, because it is dimensionless.

test = LearningRateDisplay.from_estimator(model, X, y)
plt.show()

# %%
# The search compares the accuracy on held-out rows, where the differences are smaller: half or
# twice the rate does as well. ``GDSearchCV`` has the interface of ``GridSearchCV`` and trains all
# candidates on all folds together.

model.set_params(max_iter=30, tol=None)
search = GDSearchCV(model, {"learning_rate": np.geomspace(1e-4, 1, 9)}).fit(X, y)
LearningRateDisplay.from_search(search)
plt.show()

# %%
# The descent with the suggested learning rate, and with "auto":

models = {
    f"adam, rate {test.suggestion:.2g}": model.set_params(learning_rate=test.suggestion),
    "auto": GDClassifier(tol=1e-10),
}
for name, fitted in models.items():
    start = time.perf_counter()
    fitted.fit(X, y)
    print(f"{name}: {time.perf_counter() - start:.2f} s, {fitted.stop_reason_}")
DescentDisplay.from_estimators(models, x="passes", excess=True)
plt.show()
