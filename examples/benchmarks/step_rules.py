"""Run step rules at their automatic rates on raw tables, and say which end far from the minimum.

    python step_rules.py FOLDER [--only NAME ...] [--optimizers NAME ...] [--max-rows 1000]

FOLDER is that of ``raw_tables.py``. A line a set and rule, and in it, for each batch size, the
missing share of the possible decrease after at most 100 epochs, (F - F*) / (F0 - F*) in per cent,
where F0 belongs to the best constant model and F* to the automatic solver; "~" marks sets where no
duality gap confirms F*. After a share stands why the run stopped and after how many epochs,
then "*" where the share is above 5 % and a warning told of it, or "!" where nothing did: a silent
bad answer. Runs that would change more than ``--work`` numbers are left out ("-"), and what a set
would do after ``--seconds``. In the end the shares of good runs, rule by rule and in all.

Then, with all defaults, whole fits on text next to SGDClassifier with its own: synthetic rows
(20 000 x 30 000, 80 words in a row) and 25 000 verses of the table kjv_testament, four fifths of
the rows for training. CPU seconds, the ratio of times, epochs, the missing share of the possible
decrease in per cent, and the accuracy on the other rows. ``--only text`` prints these rows alone.
"""

import argparse
import signal
import time
import warnings
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
from _shared import read_tables
from raw_tables import (
    ALPHA,
    DENSE_PARAMETERS,
    TASKS,
    constant_model,
    give_up,
    objective,
    read,
)
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import SGDClassifier

from skgd import GDClassifier, GDRegressor

OPTIMIZERS = "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"
BATCHES = 1, 32, 256, "full"
EPOCHS = 100
BAR = 0.05


def minimum(make, X, y, k):
    """Return the least objective, and whether the duality gap confirms it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = make(tol=1e-6).fit(X, y)
    value = objective(X, y, k, np.atleast_2d(model.coef_), model.intercept_)
    bound = model.optimality_
    if np.isnan(bound) and (k if k > 2 else 1) * X.shape[1] <= DENSE_PARAMETERS:
        bound = model.optimality(X, y)
    return value, bound <= 1e-3 * (constant_model(y, k) - value)


def run(model, X, y, k):
    """Return the model's objective and whether it warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    told = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return objective(X, y, k, np.atleast_2d(model.coef_), model.intercept_), told


def numbers_changed(X, k, optimizer, batch):
    """Return how many numbers a run changes: some sparse steps of single rows change few."""
    n, d = X.shape
    if hasattr(X, "nnz") and batch == 1 and optimizer == "sgd" and k <= 2:
        return EPOCHS * X.nnz
    steps = 1 if batch == "full" else ceil(n / batch)
    return EPOCHS * steps * d * (k if k > 2 else 1)


def measure(load, name, args):
    """Print and return a set's runs, those that end in time."""
    results = {}
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, args.seconds)
    try:
        print_runs(load, name, args, results)
    except TimeoutError:
        print(f"\n    left out: what {name} would do after {args.seconds:g} s", flush=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return results


def print_runs(load, name, args, results):
    X, y, _, _, k, task = read(load, name, args.max_rows)
    make = partial(GDClassifier if k else GDRegressor, alpha=ALPHA)
    classes = f" x {k}" if k > 2 else ""
    print(f"{name} ({task}, {X.shape[0]} x {X.shape[1]}{classes})", end="", flush=True)
    (best, exact), first = minimum(make, X, y, k), constant_model(y, k)
    print("" if exact else " ~", end="")
    for optimizer in args.optimizers:
        print(f"\n    {optimizer:12s}", end="", flush=True)
        begun = time.perf_counter()
        for batch in args.batches:
            if numbers_changed(X, k, optimizer, batch) > args.work:
                print(f"{'-':>20s} ", end="")
                continue
            model = make(
                optimizer=optimizer, batch_size=batch, max_iter=EPOCHS, random_state=0
            )  # fmt: skip
            value, told = run(model, X, y, k)
            share = (value - best) / (first - best)
            bad = not share <= BAR
            results[optimizer, batch] = share, told
            mark = "!" if bad and not told else "*" if bad else " "
            ended = f"{model.stop_reason_[:6]:>6s}{model.n_iter_:4d}{mark}"
            print(f"{100 * share:9.3g} {ended}", end="")
        print(f"{time.perf_counter() - begun:6.1f}s", end="", flush=True)
    print()


def summary(results, optimizers, batches):
    """Print how many runs were good, for each rule and batch and in all."""
    def good(*kinds):
        shares = [found[kind][0] for found in results for kind in kinds if kind in found]
        return f"{np.mean(np.array(shares) <= BAR):.1%}" if shares else "-"

    print(f"\nwithin {BAR:.0%}" + "".join(f"{batch!s:>10}" for batch in (*batches, "all")))
    for rule in optimizers:
        cells = [good((rule, batch)) for batch in batches]
        cells.append(good(*((rule, batch) for batch in batches)))
        print(f"  {rule:10}" + "".join(f"{cell:>10}" for cell in cells))
    cells = [good(*((rule, batch) for rule in optimizers)) for batch in batches]
    print(f"  {'all':10}" + "".join(f"{cell:>10}" for cell in cells))
    runs = [run for found in results for run in found.values()]
    silent = sum(not share <= BAR and not told for share, told in runs)
    left_out = len(results) * len(optimizers) * len(batches) - len(runs)
    print(
        f"\n{len(results)} sets, {len(runs)} runs ({left_out} left out): "
        f"{np.mean([share <= BAR for share, _ in runs]):.1%} within {BAR:.0%} of the possible "
        f"decrease (bar: 90 %), {silent} silent bad answers (bar: 0)"
    )


def synthetic_text(n=20_000, d=30_000, words=80):
    """Return rows of words whose frequencies fall as 1 / rank, and noisy targets of two classes."""
    rng = np.random.default_rng(0)
    frequency = 1.0 / np.arange(1, d + 1)
    columns = rng.choice(d, size=n * words, p=frequency / frequency.sum())
    parts = np.ones(n * words), columns, np.arange(0, n * words + 1, words)
    X = sparse.csr_matrix(parts, shape=(n, d))
    X.sum_duplicates()
    margins = X @ rng.normal(size=d)
    noise = 0.7 * margins.std() * rng.logistic(size=n)
    return TfidfTransformer().fit_transform(X), (margins - margins.mean() + noise > 0).astype(int)


def real_text(load, n=25_000):
    """Return verses of a table as rows of words, and whether each is of the rarer kind."""
    X, y, _ = load.load("kjv_testament")
    rows = np.random.default_rng(0).permutation(len(y))[:n]
    return TfidfTransformer().fit_transform(X).tocsr()[rows], y[rows]


def binary_objective(model, X, y):
    """Return the objective of a linear classifier under l2."""
    margins = np.where(y == 1, 1.0, -1.0) * model.decision_function(X)
    hinges = np.maximum(0.0, 1.0 - margins)
    losses = hinges if model.loss == "hinge" else np.logaddexp(0.0, -margins)
    return losses.mean() + 0.5 * model.alpha * np.sum(model.coef_**2)


def constant_objective(loss, y):
    """Return the objective of the best constant model of two classes."""
    share = y.mean()
    if loss == "hinge":
        return 2.0 * min(share, 1.0 - share)
    return -share * np.log(share) - (1.0 - share) * np.log1p(-share)


def text(load):
    """Print the fits on text, with the defaults, next to SGDClassifier's."""
    for name, make in ("synthetic", synthetic_text), ("kjv_testament", partial(real_text, load)):
        X, y = make()
        print(f"\ntext, {name + ', defaults':<30}{'CPU s':>8}{'ratio':>7}{'epochs':>8}"
              f"{'missing %':>11}{'accuracy':>10}")  # fmt: skip
        for loss in ("log_loss", "hinge"):
            for alpha in (1e-5, 1e-4, 1e-3):
                fits_on_text(X, y, loss, alpha)


def fits_on_text(X, y, loss, alpha):
    """Print a line for SGDClassifier and each step rule, fitted in turn."""
    n, settings = 4 * len(y) // 5, {"alpha": alpha, "random_state": 0}
    models = {
        "SGDClassifier": SGDClassifier(loss=loss, **settings),
        "adam": GDClassifier(loss, optimizer="adam", **settings),
        "sgd": GDClassifier(loss, optimizer="sgd", batch_size=1, **settings),
    }
    seconds = dict.fromkeys(models, np.inf)
    for _ in range(3):
        for name, model in models.items():
            begun = time.process_time()
            model.fit(X[:n], y[:n])
            seconds[name] = min(seconds[name], time.process_time() - begun)
    best = GDClassifier(loss, alpha=alpha, tol=1e-6).fit(X[:n], y[:n])
    least = binary_objective(best, X[:n], y[:n])
    possible = constant_objective(loss, y[:n]) - least
    for name, model in models.items():
        missing = (binary_objective(model, X[:n], y[:n]) - least) / possible
        print(f"{f'{loss}, alpha={alpha:g}, {name}':<36}{seconds[name]:>8.3f}"
              f"{seconds[name] / seconds['SGDClassifier']:>7.1f}{model.n_iter_:>8}"
              f"{100 * missing:>11.3f}{model.score(X[n:], y[n:]):>10.4f}", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the sets to take")
    parser.add_argument("--optimizers", nargs="+", metavar="NAME", default=OPTIMIZERS)
    parser.add_argument("--batches", nargs="+", default=BATCHES, metavar="SIZE",
                        type=lambda size: size if size == "full" else int(size))
    parser.add_argument("--max-rows", type=int, default=1000)
    parser.add_argument("--work", type=float, default=2e9)
    parser.add_argument("--seconds", type=float, default=30.0, help="for a set")
    args = parser.parse_args()
    load = read_tables(args.folder)
    if args.only == ["text"]:
        text(load)
        return
    names = args.only or [name for name in load.names() if load.info(name)["task"] in TASKS]
    summary([measure(load, name, args) for name in names], args.optimizers, args.batches)
    text(load)


if __name__ == "__main__":
    main()
