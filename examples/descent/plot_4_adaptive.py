"""
Adaptive learning rates
=======================

When does each coefficient need a learning rate of its own?

When features differ in frequency, as words do in a text. A rare word gets a gradient in few rows
only. With one learning rate for all coefficients, that of a rare word hardly moves, while a larger
rate makes those of frequent words unstable. Adagrad, RMSprop and Adam divide each step by the size
of the gradients that the coefficient has seen, so rare features take longer steps.

Here the columns are present or absent, with frequencies from 1 in 2 to 1 in 1000, and all have the
same true coefficient. ``precondition=None`` shows the plain methods.
"""
# sphinx_gallery_thumbnail_number = 1

from typing import Literal

import matplotlib.pyplot as plt
import numpy as np

from skgd import GDRegressor

# sphinx_gallery_start_ignore
rng = np.random.default_rng(0)
frequency = np.logspace(np.log10(0.5), -3, 12)
X = (rng.random((20_000, 12)) < frequency).astype(float)
y = X.sum(axis=1) + 0.1 * rng.normal(size=len(X))
# sphinx_gallery_end_ignore


def fit(
    optimizer: str, learning_rate: float, precondition: Literal["auto"] | None = None
) -> GDRegressor:
    model = GDRegressor(penalty=None, optimizer=optimizer, learning_rate=learning_rate,
                        batch_size=32, precondition=precondition, max_iter=2, tol=None,
                        random_state=0)
    return model.fit(X, y)


best = {}
for optimizer in ("sgd", "adagrad", "rmsprop", "adam"):
    models = [fit(optimizer, rate) for rate in (0.003, 0.01, 0.03, 0.1, 0.3)]
    best[optimizer] = min(models, key=lambda model: model.history_["objective"][-1])
# sphinx_gallery_start_ignore
fig, ax = plt.subplots(figsize=(8, 4.4))
for number, (optimizer, model) in enumerate(best.items()):
    ax.semilogx(frequency, model.coef_, f"C{number}o-", label=optimizer)
ax.axhline(1, color="0.6", ls="--")
ax.text(frequency[0], 1.03, "truth", color="0.4", ha="right")
ax.set(xlabel="frequency of the feature", ylabel="coefficient after 2 epochs", ylim=(-0.05, 1.3))
ax.legend(loc="lower right")
plt.show()
# sphinx_gallery_end_ignore

# %%
# Each optimizer has its best learning rate out of five. Stochastic gradient descent has learned the
# frequent features and not yet the rare ones; the adaptive methods have learned almost all of them.

for optimizer, model in best.items():
    error = np.abs(model.coef_ - 1).max()
    print(f"{optimizer:8} rate {model.learning_rate:<5}  largest error {error:.2f}")

# %%
# skgd's default preconditioning scales each column by its standard deviation, which has the same
# effect. With it, plain stochastic gradient descent learns the rare features, too:

model = fit("sgd", 0.02, precondition="auto")
print(f"preconditioned sgd, largest error {np.abs(model.coef_ - 1).max():.2f}")

# %%
# So far there was one lowest point. What if there are several minima, or none nearby?
# :ref:`sphx_glr_auto_examples_descent_plot_5_saddles.py`
