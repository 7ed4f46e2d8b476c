"""Run step rules at their automatic rates on raw tables, and say which end far from the minimum.

    python step_rules.py FOLDER [--only NAME ...] [--optimizers NAME ...] [--max-rows 5000]

FOLDER is that of ``raw_tables.py``. A line a set and rule, and in it, for each batch size, the
missing share of the possible decrease after 100 epochs, (F - F*) / (F0 - F*) in per cent, where F0
belongs to the best constant model and F* to the automatic solver; "~" marks sets where its
certificate cannot vouch for F*. After a share stands why the run stopped, and "!" where the share
is above 5 % and nothing warned of it: a silent bad answer. Runs of more than ``--work`` numbers
changed are left out ("-").
"""

import argparse
import time
import warnings
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
from _shared import read_tables
from raw_tables import ALPHA, TASKS, constant_model, objective, read
from sklearn.exceptions import ConvergenceWarning

from skgd import GDClassifier, GDRegressor

OPTIMIZERS = "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"
BATCHES = 1, 32, 256, "full"
EPOCHS = 100
BAR = 0.05


def minimum(make, X, y, k):
    """Return the least objective, and whether the certificate says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = make(tol=1e-6).fit(X, y)
    value = objective(X, y, k, np.atleast_2d(model.coef_), model.intercept_)
    return value, model.optimality_ <= 1e-3 * (constant_model(y, k) - value)


def run(model, X, y, k):
    """Return the model's objective and whether it warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    told = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return objective(X, y, k, np.atleast_2d(model.coef_), model.intercept_), told


def numbers_changed(X, k, optimizer, batch):
    """Return how many numbers a run changes: sparse steps of single rows change few."""
    n, d = X.shape
    steps = 1 if batch == "full" else ceil(n / batch)
    width = X.nnz / n if batch == 1 and optimizer in ("sgd", "adagrad") and hasattr(X, "nnz") else d
    return EPOCHS * steps * width * (k if k > 2 else 1)


def measure(load, name, args):
    X, y, _, _, k, task = read(load, name, args.max_rows)
    make = partial(GDClassifier if k else GDRegressor, alpha=ALPHA)
    (best, exact), first = minimum(make, X, y, k), constant_model(y, k)
    classes = f" x {k}" if k > 2 else ""
    print(f"{name} ({task}, {X.shape[0]} x {X.shape[1]}{classes}){'' if exact else ' ~'}")
    results = []
    for optimizer in args.optimizers:
        line, begun = f"    {optimizer:12s}", time.perf_counter()
        for batch in args.batches:
            if numbers_changed(X, k, optimizer, batch) > args.work:
                line += f"{'-':>20s} "
                continue
            model = make(
                optimizer=optimizer, batch_size=batch, max_iter=EPOCHS, random_state=0
            )  # fmt: skip
            value, told = run(model, X, y, k)
            share = (value - best) / (first - best)
            bad = not share <= BAR
            results.append((share, told))
            mark = "!" if bad and not told else "*" if bad else " "
            line += f"{100 * share:9.3g} {model.stop_reason_[:6]:>6s}{model.n_iter_:4d}{mark}"
        print(line, f"{time.perf_counter() - begun:6.1f}s", flush=True)
    return results


def summary(results):
    shares, told = np.transpose(results)
    good = shares <= BAR
    print(
        f"\n{len(results)} runs: {np.mean(good):.1%} within {BAR:.0%} of the possible decrease "
        f"(bar: 90 %), {np.sum(~good & (told == 0))} silent bad answers (bar: 0)"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the sets to take")
    parser.add_argument("--optimizers", nargs="+", metavar="NAME", default=OPTIMIZERS)
    parser.add_argument("--batches", nargs="+", default=BATCHES, metavar="SIZE",
                        type=lambda size: size if size == "full" else int(size))
    parser.add_argument("--max-rows", type=int, default=5000)
    parser.add_argument("--work", type=float, default=1e10)
    args = parser.parse_args()
    load = read_tables(args.folder)
    results = []
    for name in args.only or [n for n in load.names() if load.info(n)["task"] in TASKS]:
        results += measure(load, name, args)
    summary(results)


if __name__ == "__main__":
    main()
