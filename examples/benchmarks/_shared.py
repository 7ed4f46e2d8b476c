"""What the benchmarks share: the command line, the data and the clock."""

import argparse
import importlib.util
import os
import time
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import sparse

from skgd._engine import DataTerm
from skgd.losses import LogLoss

# Seconds.
REST = 0.2


def read_options(doc, repetitions, when_quick):
    """Return which races to run, by what to divide the sizes, how often to repeat each, and the
    clock.

    Parameters
    ----------
    doc : str
        The docstring of the script.
    repetitions, when_quick : int
        The default, and those of ``--quick``.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--repetitions", type=int, default=repetitions)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args()
    sizes = (50, when_quick) if options.quick else (1, options.repetitions)
    return options.only, *sizes, Clock(options.cpu)


def read_tables(folder):
    """Return the module ``load.py`` of a folder of tables."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    load = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    return load


@cache
def dense(n, d, k=2, dtype=np.float64):
    """Return standard normal columns and noisy targets of k classes, or numbers for k = 1."""
    if dtype != np.float64:
        X, y = dense(n, d, k)
        return X.astype(dtype), y
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    margins = X @ rng.normal(size=(d, k)) / np.sqrt(d)
    if k == 1:
        return X, margins[:, 0] + rng.normal(size=n)
    return X, (margins + 0.5 * rng.gumbel(size=(n, k))).argmax(axis=1)


@cache
def csr(n, d, stored):
    """Return a CSR matrix with as many numbers in each row, and noisy targets of two classes."""
    rng = np.random.default_rng(0)
    columns = np.arange(stored) * (d // stored) + rng.integers(0, d // stored, size=(n, stored))
    starts = np.arange(0, n * stored + 1, stored, dtype=np.int32)
    parts = rng.normal(size=n * stored), columns.ravel().astype(np.int32), starts
    X = sparse.csr_matrix(parts, shape=(n, d))
    return X, (X @ rng.normal(size=d) + rng.normal(size=n) > 0).astype(int)


def gradient_data(n, d, dtype=np.float64):
    """Return the engine's data term, X, the targets and coefficients to take the gradient at."""
    X, y = dense(n, d, 2, dtype)
    data_term = DataTerm(X, 2.0 * y[:, None] - 1.0, None, LogLoss().compiled(1), 1)
    return data_term, X, y, np.random.default_rng(1).normal(size=(1, d)) / np.sqrt(d)


@dataclass(frozen=True)
class Clock:
    """What the benchmarks measure with.

    Parameters
    ----------
    cpu : bool, default=False
        Whether to take CPU time, with one thread on both sides, and the least of the repetitions:
        for a machine that does other work. Otherwise the time that passes, with two threads.
    """

    cpu: bool = False

    @property
    def n_threads(self):
        return 1 if self.cpu else 2

    def describe(self, repetitions):
        if not self.cpu:
            return f"{os.cpu_count()} cores, {repetitions} repetitions"
        return (f"CPU time of one thread, least of {repetitions}, "
                f"load average {os.getloadavg()[2]:.1f} on {os.cpu_count()} cores")  # fmt: skip

    def alternate(self, functions, repetitions, calls=1):
        """Return the seconds of each function, a row for each repetition that counts."""
        if not self.cpu:
            return alternate(functions, repetitions, calls)
        times = alternate(functions, repetitions, calls, time.process_time)
        return times.min(axis=0, keepdims=True)


def alternate(functions, repetitions, calls=1, clock=time.perf_counter):
    """Return the seconds of each function's calls, one row a repetition, taken in turn.

    Each begins after a rest: BLAS's threads keep spinning for a while, and take cores from who
    comes after them.
    """
    times = np.empty((repetitions, len(functions)))
    for i in range(repetitions):
        for j in np.roll(np.arange(len(functions)), i):
            time.sleep(REST)
            start = clock()
            for _ in range(calls):
                functions[j]()
            times[i, j] = (clock() - start) / calls
    return times


def ratio(times, numerator, denominator):
    """Return the median over the repetitions of one function's time over another's."""
    return float(np.median(times[:, numerator] / times[:, denominator]))
