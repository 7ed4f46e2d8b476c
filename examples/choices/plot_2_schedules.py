"""
Schedules
=========

What does a decaying learning rate gain?

With a constant learning rate, the iterates fluctuate around the minimum, and the more so the larger
the rate. A rate that decays too early stops the progress. The schedules below make different
compromises. Each starts at 0.3 or reaches 0.3 as its maximum. Orange is the learning rate over 40
epochs, blue is how far the objective is above its minimum, and grey are the other six.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from skgd import GDClassifier
from skgd.schedules import Constant, Cosine, Exponential, InverseScaling, OneCycle, Step, Warmup

EPOCHS, STEPS_PER_EPOCH = 40, 18  # 569 rows in batches of 32
schedules = [
    Constant(0.3),
    InverseScaling(0.3),
    Step(0.3, epochs=15),
    Exponential(0.3),
    Cosine(0.3),
    OneCycle(0.3),
    Warmup(100, Cosine(0.3)),
]

X, y = load_breast_cancer(return_X_y=True)
lowest = GDClassifier(tol=1e-10).fit(X, y).history_["objective"][-1]
heights = []
for schedule in schedules:
    model = GDClassifier(optimizer="adam", learning_rate=schedule, batch_size=32, max_iter=EPOCHS,
                         tol=None, random_state=0).fit(X, y)
    heights.append(model.history_["objective"] - lowest)

# sphinx_gallery_start_ignore
steps = np.arange(EPOCHS * STEPS_PER_EPOCH)
fig, axes = plt.subplots(4, 2, figsize=(8, 8), sharex=True, sharey=True)
for ax, schedule, height in zip(axes.flat, schedules, heights, strict=False):
    rates = schedule.bound(len(steps), STEPS_PER_EPOCH).rates(steps)
    behind = ax.twinx()
    behind.fill_between(steps / STEPS_PER_EPOCH, rates, color="C4", alpha=0.35, lw=0)
    behind.set(ylim=(0, 0.33), yticks=[])
    ax.set_zorder(behind.get_zorder() + 1)
    ax.patch.set_visible(False)
    for other in heights:
        ax.semilogy(other, color="0.75", lw=0.8)
    ax.semilogy(height, color="C0")
    ax.set(title=f"{type(schedule).__name__}, ends at {height[-1]:.0e}", ylim=(7e-4, 0.4))
for ax in axes[-1]:
    ax.set_xlabel("epoch")
axes[-1, 1].remove()
axes[-2, 1].xaxis.set_tick_params(labelbottom=True)
fig.supylabel("objective above the minimum")
plt.show()
# sphinx_gallery_end_ignore

# %%
# While the learning rate is high, the objective fluctuates. The lower the final rate, the lower the
# final objective; the constant rate makes no progress. Cosine and OneCycle reach zero exactly at
# the end of the run, so they depend on ``max_iter``: a run of 40 epochs differs from the first 40
# of 80. InverseScaling doesn't, and suits ``partial_fit``.
