"""Where the time of an epoch of Adam goes, at batches of 256 rows.

A line a shape: milliseconds of an epoch, and the shares that its parts take. *forward* is a pass in
order that computes margins and losses, *gradients* what the gradients add to it, *random rows* what
an epoch takes longer because it reads the rows in random order, drawing the order included.
*update* is Adam's arithmetic for as many steps, *monitoring* the objective and the entry in
``history_`` after the epoch. *rest* is what is left, such as the calls for each batch. CPU time of
one thread, the least of several runs; an epoch is the difference between a long and a short fit.
"""

import time

import numpy as np
from _shared import dense
from history import stopwatch

from skgd import GDClassifier
from skgd._descent.history import History
from skgd._descent.stochastic import Monitor
from skgd._engine import DataTerm, value_and_gradient
from skgd._objective.objective import Objective
from skgd.losses import LogLoss
from skgd.optimizers import Adam

SHAPES = (200_000, 100, 2), (50_000, 50, 10), (50_000, 50, 30)
BATCH, SHORT, LONG, REPETITIONS = 256, 2, 8, 5


def seconds(function):
    """Return the CPU time of a call."""
    begun = time.process_time()
    function()
    return time.process_time() - begun


def fits(X, y, *, shuffle):
    """Return the seconds of a short and a long fit, and what monitoring takes of each."""
    found = []
    for epochs in (SHORT, LONG):
        model = GDClassifier(
            optimizer="adam", learning_rate=1e-3, batch_size=BATCH, tol=None, max_iter=epochs,
            shuffle=shuffle, random_state=0,
        )  # fmt: skip
        with stopwatch((Objective, "values"), (Monitor, "values"), (History, "add")) as watched:
            found += [seconds(lambda model=model: model.fit(X, y)), watched[0]]
    return found


def passes(X, y, k):
    """Return functions that take a pass in order, without and with gradients."""
    targets = 2.0 * y[:, None] - 1.0 if k == 1 else np.eye(k)[y]
    data_term = DataTerm(X, targets, None, LogLoss().compiled(k), k)
    model = np.zeros((k, X.shape[1])), np.zeros(k)
    return [
        lambda gradient=gradient: value_and_gradient(data_term, *model, gradient=gradient)
        for gradient in (False, True)
    ]


def updates(n_parameters, n_steps):
    """Return the seconds of Adam's steps, without those of a call."""
    def steps(size):
        rule, (w, g), state = Adam().compiled(), np.ones((2, size)), np.zeros((2, size))
        return seconds(lambda: [rule.apply(w, g, state, 1e-3, t) for t in range(n_steps)])

    return max(0.0, steps(n_parameters) - steps(1))


def shares(n, d, n_classes):
    """Return the seconds of an epoch, and the share of each part."""
    k = 1 if n_classes == 2 else n_classes
    X, y = dense(n, d, n_classes)
    runs = [
        (*fits(X, y, shuffle=True), *fits(X, y, shuffle=False),
         *map(seconds, passes(X, y, k)), updates(k * (d + 1), -(-n // BATCH)))
        for _ in range(REPETITIONS)
    ]
    *times, forward, both, update = np.min(runs, axis=0)
    shuffled, in_order = np.reshape(times, (2, 2, 2))
    whole, watching = (shuffled[1] - shuffled[0]) / (LONG - SHORT)
    whole_in_order = (in_order[1, 0] - in_order[0, 0]) / (LONG - SHORT)
    parts = {
        "forward": forward, "gradients": both - forward, "random rows": whole - whole_in_order,
        "update": update, "monitoring": watching,
    }  # fmt: skip
    parts["rest"] = whole - sum(parts.values())
    return whole, {name: part / whole for name, part in parts.items()}


if __name__ == "__main__":
    print(f"{'rows x columns, classes':<26}{'ms':>8}", end="")
    print("".join(f"{name:>13}" for name in
                  ("forward", "gradients", "random rows", "update", "monitoring", "rest")))
    for n, d, k in SHAPES:
        whole, found = shares(n, d, k)
        print(f"{f'{n} x {d}, {k}':<26}{1e3 * whole:>8.1f}"
              + "".join(f"{share:>13.0%}" for share in found.values()), flush=True)
