"""
Early stopping in a pipeline
============================

How do I pass a validation set to the last step of a pipeline?

With 200 rows and 495 columns, all squares and products of 30, a model without a penalty overfits.
Its loss on held-out rows falls at first, then rises. ``fit`` takes ``X_val`` and ``y_val`` to
monitor that. The validation rows must go through the same steps as X: with metadata routing,
``Pipeline(transform_input=["X_val"])`` transforms them.
"""

import matplotlib.pyplot as plt
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skgd import GDClassifier

X, y = load_breast_cancer(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, train_size=200, random_state=0)

sklearn.set_config(enable_metadata_routing=True)
model = GDClassifier(alpha=0.0, optimizer="adam", learning_rate=0.01, batch_size=32, max_iter=200,
                     early_stopping=True, n_iter_no_change=50, random_state=0)
model = model.set_fit_request(X_val=True, y_val=True)
steps = [("scale", StandardScaler()), ("square", PolynomialFeatures()), ("model", model)]
pipeline = Pipeline(steps, transform_input=["X_val"])
pipeline.fit(X_train, y_train, X_val=X_val, y_val=y_val)
sklearn.set_config(enable_metadata_routing=False)

fitted = pipeline[-1]
history = fitted.history_
best = history["validation_loss"].argmin()
print(f"stopped by {fitted.stop_reason_} after {fitted.n_iter_} epochs")
print(f"coefficients of epoch {best + 1}, accuracy {pipeline.score(X_val, y_val):.3f}")

fig, ax = plt.subplots(figsize=(8, 4.2))
ax.plot(history["epoch"], history["loss"], label="loss on the 200 training rows")
ax.plot(history["epoch"], history["validation_loss"], label="loss on the 369 validation rows")
ax.plot(best + 1, history["validation_loss"][best], "k*", ms=15, label="coefficients that are kept")
ax.set(xlabel="epoch", ylabel="log loss", ylim=(0, None))
ax.legend()
plt.show()
