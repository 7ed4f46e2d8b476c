"""
Noise and shallow minima
========================

Why can a noisy gradient find a deeper minimum than the exact one?

The function has two minima, and the left one is deeper. All runs start on the right, above the
shallow minimum. The exact gradient leads to it and stays. Below, noise is added to each gradient,
as a mini-batch does, and the learning rate decays, so that the noise dies down in the end.
"""
# sphinx_gallery_thumbnail_number = 1

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import OptimizeResult

from skgd import minimize
from skgd.schedules import Polynomial

# sphinx_gallery_start_ignore
RUNS, STEPS = 50, 400


def wells(x: np.ndarray) -> Any:
    """Two minima; the left one is deeper."""
    return x[0] ** 4 / 4 - x[0] ** 2 / 2 + 0.1 * x[0]


def wells_slope(x: np.ndarray) -> Any:
    return x**3 - x + 0.1


# sphinx_gallery_end_ignore
def descend(noise: float, seed: int) -> OptimizeResult:
    rng = np.random.default_rng(seed)
    return minimize(wells, [1.5], jac=lambda x: wells_slope(x) + noise * rng.normal(size=1),
                    optimizer="sgd", learning_rate=Polynomial(0.1), max_iter=STEPS, tol=None)


runs = {noise: [descend(noise, seed) for seed in range(RUNS)] for noise in (0, 1.5, 2)}
# sphinx_gallery_start_ignore
fig, axes = plt.subplots(1, 3, figsize=(8, 3.6), sharey=True, sharex=True)
for ax, (noise, several) in zip(axes, runs.items(), strict=True):
    for run in several:
        ax.plot(run.path[:, 0], np.arange(STEPS + 1), lw=0.5, alpha=0.5,
                color="C0" if run.x[0] < 0 else "C1")
    left = sum(run.x[0] < 0 for run in several)
    ax.set(title=f"noise {noise}:\n{left} of {RUNS} leave", xlabel="x", xlim=(-2, 2))
    ax.axvline(0.95, color="0.6", ls=":", lw=1)
    ax.axvline(-1.05, color="0.3", ls="--", lw=1)
axes[0].set_ylabel("step")
plt.show()
# sphinx_gallery_end_ignore

# %%
# Time runs upwards. The dotted line is the shallow minimum, the dashed line the deep one. Without
# noise all runs end in the shallow minimum. With noise, more and more of them cross the hill (blue)
# and end in the deep one, where the learning rate has decayed too far for them to leave again. The
# noise of mini-batches works in the same way. It is one reason why neural networks are trained on
# them.

for noise, several in runs.items():
    deep = sum(run.x[0] < 0 for run in several)
    print(f"noise {noise}: {deep} of {RUNS} runs end in the deep minimum")

# %%
# The objective of a linear model with a convex loss has no shallow minima. There, noise only costs
# time at the end. Next: :ref:`sphx_glr_auto_examples_descent_plot_7_starts.py`
