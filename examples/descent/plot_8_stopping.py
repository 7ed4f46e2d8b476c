"""
When to stop
============

After how many steps is gradient descent done?

There are three answers: after a fixed number of iterations, when the possible improvement is below
a tolerance, or when the loss on held-out rows stops falling. The first bounds the time, the second
the error of the minimiser, the third the error on new data. Here all three look at the same run:
495 polynomial features of 200 rows, without a penalty.
"""
# sphinx_gallery_thumbnail_number = 1

from typing import Any

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skgd import GDClassifier

# sphinx_gallery_start_ignore
X, y = load_breast_cancer(return_X_y=True)
X, X_val, y, y_val = train_test_split(X, y, train_size=200, random_state=0)
features = make_pipeline(StandardScaler(), PolynomialFeatures(include_bias=False))
X, X_val = features.fit_transform(X), features.transform(X_val)
settings: dict[str, Any] = {"alpha": 0.0, "optimizer": "adam", "learning_rate": 0.01,
                            "batch_size": 32, "random_state": 0}
# sphinx_gallery_end_ignore
long = GDClassifier(**settings, max_iter=1000, tol=None, early_stopping=True, n_iter_no_change=200)
long.fit(X, y, X_val=X_val, y_val=y_val)
stopped = {
    "max_iter=100": GDClassifier(**settings, max_iter=100, tol=None).fit(X, y),
    "tol=0.001": GDClassifier(**settings, max_iter=500, tol=0.001).fit(X, y),
    "early_stopping": GDClassifier(**settings, max_iter=500, early_stopping=True,
                                   n_iter_no_change=20).fit(X, y, X_val=X_val, y_val=y_val),
}
# sphinx_gallery_start_ignore
history = long.history_
fig, ax = plt.subplots(figsize=(8, 4.4))
ax.plot(history["epoch"], history["loss"], label="training loss")
ax.plot(history["epoch"], history["validation_loss"], label="validation loss")
for number, (name, model) in enumerate(stopped.items()):
    ax.axvline(min(model.n_iter_, 200), color=f"C{number + 2}", ls="--")
    ax.text(min(model.n_iter_, 200) + 1, 0.55 - 0.06 * number, name, color=f"C{number + 2}")
ax.set(xlabel="epoch", ylabel="log loss", ylim=(0, 0.6))
ax.legend(loc="center right")
plt.show()
# sphinx_gallery_end_ignore

# %%
# The training loss keeps falling, because 495 columns can fit 200 rows perfectly. The validation
# loss falls at first and then rises: the model starts to learn noise. Early stopping returns the
# coefficients with the lowest validation loss.

for name, model in stopped.items():
    print(f"{name:15} {model.n_iter_:3d} epochs, stopped by {model.stop_reason_!r}, "
          f"validation accuracy {model.score(X_val, y_val):.3f}")

# %%
# Early stopping acts like a penalty, and a penalty is the simpler way to the same end: the
# objective then has a minimum that predicts well, and ``tol`` says when it is reached.

penalised = GDClassifier(alpha=1e-2).fit(X, y)
print(f"alpha=0.01      {penalised.n_iter_:3d} iterations, stopped by {penalised.stop_reason_!r}, "
      f"validation accuracy {penalised.score(X_val, y_val):.3f}")

# %%
# This is the end of the story. For real columns and all optimizers, continue with
# :ref:`sphx_glr_auto_examples_choices_plot_1_optimizers.py`
