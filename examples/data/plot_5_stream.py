"""
A stream, and a file larger than memory
=======================================

How do I learn from rows that arrive one after the other, or that don't fit in memory?

``partial_fit`` learns from rows as they arrive. ``fit`` also works on a memory map: X is read in
place, block by block.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skgd import GDClassifier

rng = np.random.default_rng(0)
N, D, CHUNK = 60_000, 30, 500
scales = 10.0 ** rng.uniform(-3, 3, D)
before, after = rng.normal(size=(2, D))

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "rows.npy")
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(N, D))
    file[:] = rng.normal(size=(N, D)) * scales
    file.flush()

    # Halfway through the stream, the true coefficients change.
    rows = np.load(path, mmap_mode="r")
    weights = np.where(np.arange(N)[:, None] < N // 2, before, after)
    y = np.sum(rows / scales * weights, axis=1) + rng.normal(size=N) > 0

    models = {
        "constant rate": GDClassifier(penalty=None, learning_rate=0.02, random_state=0),
        "decaying rate": GDClassifier(
            penalty=None, learning_rate=lambda t: 0.1 / np.sqrt(1 + t), random_state=0
        ),
    }
    scores: dict[str, list[float]] = {name: [] for name in models}
    for start in range(0, N, CHUNK):
        chunk = slice(start, start + CHUNK)
        for name, model in models.items():
            if start:  # test, then train
                scores[name].append(model.score(rows[chunk], y[chunk]))
            model.partial_fit(rows[chunk], y[chunk], classes=[False, True])

    half = rows[: N // 2], y[: N // 2]
    accuracy = GDClassifier(penalty=None).fit(*half).score(*half)
    print(f"fitted on the memory map of the first half: accuracy {accuracy:.3f}")
    del file, rows, half

# sphinx_gallery_start_ignore
fig, ax = plt.subplots(figsize=(8, 4.2))
for name, values in scores.items():
    ax.plot(CHUNK * np.arange(1, len(values) + 1), values, label=name)
ax.axhline(0.5, color="0.7", lw=0.8)
ax.text(0, 0.51, "chance", color="0.4")
ax.axvline(N / 2, color="0.6", ls=":")
ax.text(N / 2, 0.43, " the truth changes", color="0.4")
ax.set(xlabel="rows seen", ylabel="accuracy on the next 500 rows", ylim=(0.4, 1))
ax.legend(loc="lower right")
plt.show()
# sphinx_gallery_end_ignore

# %%
# Both models estimate the column scales, from 0.001 to 1000, from the stream itself. A decaying
# rate converges better while the truth is constant. A constant rate adapts when it changes.
