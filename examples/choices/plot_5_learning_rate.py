"""
Choosing a learning rate
========================

Test, search, or none?

A range test tries many rates in short runs. A search asks which rate predicts best. And
without a rate, "auto" descends by a method that needs none.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from skgd import DescentDisplay, GDClassifier, GDSearchCV, LearningRateDisplay

X, y = load_breast_cancer(return_X_y=True)
model = GDClassifier(optimizer="adam", batch_size=32, random_state=0)

# %%
# The test draws the mean objective of a short run at each rate. Small rates don't arrive, large
# ones swing or explode. The columns are raw, and still the best rate lies where it usually lies.

test = LearningRateDisplay.from_estimator(model, X, y)
plt.show()

# %%
# The search asks for the accuracy on other rows, where the differences are smaller: a rate that is
# half or twice as large does as well. ``GDSearchCV`` is used as ``GridSearchCV`` is, and trains all
# rates on all folds in one pass over the data.

model.set_params(max_iter=30, tol=None)
search = GDSearchCV(model, {"learning_rate": np.geomspace(1e-4, 1, 9)}).fit(X, y)
LearningRateDisplay.from_search(search)
plt.show()

# %%
# What the rates lead to, beside the descent without one:

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
