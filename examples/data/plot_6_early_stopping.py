"""
Early stopping in a pipeline
============================

When to stop, if the validation rows are mine and the model is the last step of a pipeline?

``fit`` takes ``X_val`` and ``y_val``. The raw validation rows must go through the same steps as X:
with metadata routing, ``Pipeline(transform_input=["X_val"])`` takes care of that.
"""

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.kernel_approximation import RBFSampler
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from skgd import GDClassifier

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, train_size=400, random_state=0)
rng = np.random.default_rng(0)
y_train = np.where(rng.random(400) < 0.15, rng.integers(0, 10, 400), y_train)  # wrong labels

sklearn.set_config(enable_metadata_routing=True)
model = GDClassifier(alpha=0.0, optimizer="adam", learning_rate=0.001, batch_size=32, max_iter=200,
                     early_stopping=True, n_iter_no_change=20, random_state=0)
model = model.set_fit_request(X_val=True, y_val=True)
features = RBFSampler(gamma=0.001, n_components=500, random_state=0)
pipeline = Pipeline([("features", features), ("model", model)], transform_input=["X_val"])
pipeline.fit(X_train, y_train, X_val=X_val, y_val=y_val)
sklearn.set_config(enable_metadata_routing=False)

fitted = pipeline[-1]
history = fitted.history_
best = history["validation_loss"].argmin()
print(f"stopped by {fitted.stop_reason_} after {fitted.n_iter_} epochs")
print(f"weights of epoch {best + 1}, accuracy {pipeline.score(X_val, y_val):.3f}")

fig, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
ax.plot(history["epoch"], history["loss"], label="loss on the training rows")
ax.plot(history["epoch"], history["validation_loss"], label="loss on the validation rows")
ax.plot(best + 1, history["validation_loss"][best], "C3*", ms=12, label="the weights that are kept")
ax.set(xlabel="epoch", ylim=(0, None))
ax.legend()
plt.show()
