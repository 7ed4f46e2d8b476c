"""Kills three workers of a cluster in the middle of a fit, and fails if a bit changes.

A program of its own: what nannies warn of while they start workers again must not raise in them.
"""

import os
import signal
import sys
import threading
import time

import dask.array as da
import numpy as np
from clusters import two_workers

from skgd import GDClassifier
from skgd.callbacks import Callback

PATIENCE = 120  # seconds in which a nanny starts a worker again, on a busy machine, too


class Kill(Callback):
    """Kills a worker soon after some epochs, in turn."""

    def __init__(self, client, epochs):
        self.client, self.epochs, self.killed = client, list(epochs), []

    def on_fit_task_end(self, estimator, context, **more):
        if context.task_name == "epoch" and self.epochs and context.task_id == self.epochs[0]:
            self.epochs.pop(0)
            pids = living(self.client.cluster, self.killed)
            pid = pids[len(self.epochs) % len(pids)]
            self.killed.append(pid)
            threading.Timer(0.01, os.kill, (pid, signal.SIGKILL)).start()


def living(cluster, killed):
    """Return the numbers of the workers' processes, once none is missing.

    A nanny gives up a worker that is killed before the nanny has heard of it.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        processes = [nanny.process for _, nanny in sorted(cluster.workers.items())]
        pids = [each.pid for each in processes if each and each.status.name == "running"]
        if len(pids) == len(processes) and all(pids) and not set(pids) & set(killed):
            return pids
        time.sleep(0.05)
    states = [each.status.name if each else "no process" for each in processes]
    raise TimeoutError(f"no new worker came within {PATIENCE} s: {states}")


def main():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(1200, 6)) * 10.0 ** np.arange(-3, 3)
    y = (X / X.std(axis=0) @ generator.normal(size=(6, 3)) + generator.gumbel(size=(1200, 3)))
    with two_workers() as client:
        sizes = (300, 0, 150, 350, 250, 150)
        parts = client.persist([
            da.from_array(X, chunks=(sizes, 6)), da.from_array(y.argmax(axis=1), chunks=(sizes,))
        ])  # fmt: skip
        model = GDClassifier(optimizer="lbfgs", tol=1e-10)
        coef = model.fit(*parts).coef_
        kill = Kill(client, epochs=[1, 4, 7])
        model.set_callbacks(kill).fit(*parts)
        same = np.array_equal(model.coef_, coef)
        print(len(set(kill.killed)), "workers killed, the same bits:", same)
        return int(not same or len(set(kill.killed)) != 3)


if __name__ == "__main__":
    sys.exit(main())
