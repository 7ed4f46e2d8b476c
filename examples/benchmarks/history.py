"""What watching costs: the share of a fit's time that history_ takes.

The clock, of CPU time, runs in the places that exist for the history alone: the objective between
the epochs of mini-batches and at their end, and the entry in the history.
"""

import time
from contextlib import contextmanager
from unittest.mock import patch

from _shared import csr, dense

from skgd import GDClassifier
from skgd._descent.history import History
from skgd._descent.stochastic import Monitor
from skgd._objective.objective import Objective

# Fits of so few rows take milliseconds, and are repeated more often.
FEW_ROWS = 10_000


@contextmanager
def stopwatch(*methods):
    """Add up the seconds spent in methods, each given as its class and its name."""
    seconds, inside = [0.0], [False]

    def timed(method):
        def run(*args, **kwargs):
            if inside[0]:
                return method(*args, **kwargs)
            inside[0], start = True, time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                seconds[0] += time.process_time() - start
                inside[0] = False
        return run

    patches = [patch.object(kind, name, timed(getattr(kind, name))) for kind, name in methods]
    for each in patches:
        each.start()
    yield seconds
    for each in patches:
        each.stop()


def share(X, y, epochs, **settings):
    """Return the share of the history in the fastest fit's time, and the seconds of an epoch."""
    model = GDClassifier(tol=None, max_iter=epochs, random_state=0, **settings)
    fits = []
    for _ in range(3 if len(y) > FEW_ROWS else 15):
        with stopwatch((Objective, "values"), (Monitor, "values"), (History, "add")) as watching:
            start = time.process_time()
            model.fit(X, y)
            seconds = time.process_time() - start
            fits.append((seconds / model.n_iter_, watching[0] / seconds))
    return min(fits)[::-1]


if __name__ == "__main__":
    print("share of history_  epoch      rows x columns, optimizer")
    cases = [
        (dense(200_000, 100), 20, {"optimizer": "adam"}),
        (dense(200_000, 20), 20, {"optimizer": "adam"}),
        (dense(200_000, 100), 20, {"optimizer": "sgd", "batch_size": 1, "learning_rate": 1e-4}),
        (dense(20_000, 1_000), 20, {"optimizer": "sgd", "batch_size": 1, "learning_rate": 1e-4}),
        (dense(10_000, 20), 20, {"optimizer": "adam"}),
        (dense(10_000, 20), 20, {"optimizer": "sgd", "batch_size": 1, "learning_rate": 1e-4}),
        (dense(1_000, 20), 50, {"optimizer": "adam", "batch_size": 32}),
        (dense(10_000, 20), 100, {"optimizer": "adam", "batch_size": "full"}),
        (dense(200_000, 100), 5, {"optimizer": "lbfgs"}),
        (dense(200_000, 100), 5, {}),
        (csr(100_000, 10_000, 50), 20, {"optimizer": "adagrad"}),
        (csr(20_000, 100_000, 100), 20, {"optimizer": "sgd", "batch_size": 1,
                                         "learning_rate": 1e-3, "precondition": None}),
    ]
    for (X, y), epochs, settings in cases:
        part, seconds = share(X, y, epochs, **settings)
        words = ", ".join(str(value) for value in settings.values()) or "auto"
        print(
            f"{100 * part:13.1f} %  {1e3 * seconds:8.2f} ms   {X.shape[0]} x {X.shape[1]}, {words}"
        )
