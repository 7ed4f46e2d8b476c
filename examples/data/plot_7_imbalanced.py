"""
Probabilities and class weights
===============================

One class is rare. Should it get a larger weight?

One digit in ten is an eight. ``class_weight="balanced"`` finds more of them, but its probabilities
are those of data in which every second digit is an eight. Without it the probabilities are
calibrated, and a lower threshold finds just as many.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_digits
from sklearn.metrics import brier_score_loss, precision_recall_curve, recall_score
from sklearn.model_selection import cross_val_predict

from skgd import GDClassifier

X, y = load_digits(return_X_y=True)
X, y = X[:, ::3], y == 8  # a third of the pixels, or it would be too easy
models = {
    "log_loss": GDClassifier(alpha=1e-3),
    "log_loss, balanced": GDClassifier(alpha=1e-3, class_weight="balanced"),
    "modified_huber": GDClassifier("modified_huber", alpha=1e-3),
}

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 4.6))
left.plot([0, 1], [0, 1], color="0.7", ls=":")
for name, model in models.items():
    probability = cross_val_predict(model, X, y, cv=5, method="predict_proba")[:, 1]
    shares, means = calibration_curve(y, probability, n_bins=8, strategy="quantile")
    left.plot(means, shares, "o-", label=name)
    precision, recall, _ = precision_recall_curve(y, probability)
    right.plot(recall, precision, label=name)
    found = recall_score(y, probability > 0.5)
    print(f"{name:20s} Brier score {brier_score_loss(y, probability):.3f}, "
          f"finds {found:.0%} above 0.5")
left.set(xlabel="predicted probability", ylabel="fraction of eights", title="calibration")
right.set(xlabel="recall", ylabel="precision", title="discrimination", ylim=(0, 1.03))
fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# The curves on the right show what thresholds can reach: class weights gain nothing over a
# threshold. The cost of a missed eight belongs in the threshold, for instance ``probability >
# 0.1``:

probability = cross_val_predict(models["log_loss"], X, y, cv=5, method="predict_proba")[:, 1]
print(f"log_loss finds {recall_score(y, probability > 0.1):.0%} above 0.1")
print(f"mean probability {np.mean(probability):.3f}, fraction of eights {np.mean(y):.3f}")
