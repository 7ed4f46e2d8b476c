"""
Schedules
=========

What does a falling rate buy?

A constant rate ends in noise, whose size grows with the rate. A rate that falls too early gets
stuck. The schedules below make different compromises; each starts from the rate 0.3 or has it as
its highest one.
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
steps = np.arange(EPOCHS * STEPS_PER_EPOCH)
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for schedule in schedules:
    name = type(schedule).__name__
    left.plot(steps, schedule.bound(len(steps), STEPS_PER_EPOCH).rates(steps), label=name)
    model = GDClassifier(optimizer="adam", learning_rate=schedule, batch_size=32, max_iter=EPOCHS,
                         tol=None, random_state=0).fit(X, y)
    right.semilogy(model.history_["epoch"], model.history_["objective"] - lowest, label=name)
left.set(title="the rate", xlabel="step")
right.set(title="objective above the minimum", xlabel="epoch")
right.legend(fontsize=8)
plt.show()

# %%
# As long as the rate is high, the objective swings; it ends as low as the rate ends. The constant
# rate gets nowhere. Cosine and OneCycle fall to zero exactly at the end of the run, so they must
# know ``max_iter``: a run of 40 epochs is another run than the first 40 of 80. InverseScaling needs
# to know nothing and is the one for ``partial_fit``.
