"""Choose alpha by leaving out rows, and by five folds along a path, and compare.

    python auto_alpha.py [FOLDER] [--only NAME] [--max-rows 10000] [--seconds 120]

FOLDER holds .npz tables and the ``load.py`` that reads them; without it the sets come with
scikit-learn. The columns are not scaled. A line a table: the alphas chosen, the loss of test rows
with the default alpha, with ``alpha="auto"`` and with the alpha of `GDSearchCV`, and the CPU
seconds of a fit with the chosen alpha, of ``alpha="auto"`` and of the search. A fit or a search
that is not done after ``--seconds`` of CPU time is stopped, and its table has no ratio. The last
lines are geometric means, and single fits on tall tables.
"""

import argparse
import signal
import time
import warnings
from pathlib import Path

import numpy as np
from _shared import dense, read_tables
from sklearn import datasets
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error
from sklearn.model_selection import train_test_split

from skgd import GDClassifier, GDRegressor, GDSearchCV

SCORES = {
    "squared_error": ("neg_mean_squared_error", mean_squared_error),
    "poisson": ("neg_mean_poisson_deviance", mean_poisson_deviance),
    "log_loss": ("neg_log_loss", log_loss),
}
LOSSES = {"regression": "squared_error", "semicontinuous": "squared_error", "count": "poisson"}
TALL = [(50_000, 50), (200_000, 30), (20_000, 200)]
BUNDLED = {
    "diabetes": ("regression", datasets.load_diabetes),
    "breast_cancer": ("binary", datasets.load_breast_cancer),
    "iris": ("multiclass", datasets.load_iris),
    "wine": ("multiclass", datasets.load_wine),
    "digits": ("multiclass", datasets.load_digits),
}


def tables(folder, max_rows):
    """Yield each table's name, its loss, and its rows and targets for training and for tests."""
    for name, (task, load) in BUNDLED.items() if folder is None else ():
        X, y = load(return_X_y=True)
        parts = train_test_split(X, y, test_size=0.25, random_state=0)
        yield name, LOSSES.get(task, "log_loss"), parts[0], parts[2], parts[1], parts[3]
    load = None if folder is None else read_tables(folder)
    for name in [] if load is None else load.names():
        X, y, X_test, y_test, meta = load.train_test(name)
        if meta["task"] not in LOSSES and np.ndim(y) > 1:
            continue
        rows = np.random.default_rng(0).permutation(len(y))[:max_rows]
        yield name, LOSSES.get(meta["task"], "log_loss"), X[rows], y[rows], X_test, y_test


def test_loss(model, X, y, measure):
    """Return the loss of test rows."""
    if measure is log_loss:
        return log_loss(y, model.predict_proba(X), labels=model.classes_)
    if measure is mean_poisson_deviance:
        return mean_poisson_deviance(y, np.maximum(model.predict(X), 1e-12))
    return measure(y, model.predict(X))


class OutOfTime(BaseException):
    """A fit or a search has taken longer than it may."""


def within(limit, run):
    """Return what a function returns, and its CPU seconds; None and the limit where they end it."""
    def stop(signum, frame):
        raise OutOfTime

    signal.signal(signal.SIGPROF, stop)
    started = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        result = run()
    except OutOfTime:
        return None, limit
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    return result, time.process_time() - started


def seconds(fit):
    """Return the CPU seconds of a fit: the least of several while it takes little."""
    times = []
    while len(times) < 1 or (sum(times) < 0.5 and len(times) < 5):
        started = time.process_time()
        fit()
        times.append(time.process_time() - started)
    return min(times)


def compare(name, loss, X, y, X_test, y_test, limit):
    """Print the line of a table; return the ratios of test losses and of times, or None."""
    scoring, measure = SCORES[loss]
    kind = GDClassifier if loss == "log_loss" else GDRegressor
    shape = f"{name:16s} {X.shape[0]:6d} x {X.shape[1]:5d}"
    auto, of_auto = within(limit, lambda: kind(loss, alpha="auto", random_state=0).fit(X, y))
    if auto is None:
        print(f"{shape}  auto: not done in {limit:.0f} s", flush=True)
        return None
    of_auto = min(of_auto, seconds(lambda: auto.fit(X, y))) if of_auto < 2.0 else of_auto
    of_fit = seconds(lambda: kind(loss, alpha=auto.alpha_).fit(X, y))
    search = GDSearchCV(kind(loss), {"alpha": "path"}, cv=5, scoring=scoring)
    done, of_search = within(limit, lambda: search.fit(X, y))
    if done is None:
        print(f"{shape}  one fit {of_fit:.2f} s, auto {of_auto:.2f} s, folds: not done in "
              f"{limit:.0f} s", flush=True)  # fmt: skip
        return None
    losses = [
        test_loss(model, X_test, y_test, measure)
        for model in (kind(loss).fit(X, y), auto, search.best_estimator_)
    ]
    print(
        f"{shape} {auto.alpha_:9.2e} {search.best_params_['alpha']:9.2e} "
        + " ".join(f"{value:10.4g}" for value in losses)
        + f" {losses[1] / losses[2]:6.3f} {of_fit:7.3f} {of_auto:7.3f} {of_search:7.3f}"
        f" {of_auto / of_search:6.3f}", flush=True,
    )  # fmt: skip
    return losses[1] / losses[2], of_auto / of_search


def single_fits():
    """Print how many fits ``alpha="auto"`` takes on tall tables."""
    for n, d in TALL:
        rng = np.random.default_rng(0)
        X, y = dense(n, d, 1)
        counts = rng.poisson(np.exp(0.3 * y / y.std()))
        for model, target in (
            (GDRegressor(), y), (GDClassifier(), y > 0), (GDRegressor("poisson"), counts)
        ):  # fmt: skip
            auto = type(model)(model.loss, alpha="auto").fit(X, target)
            model.set_params(alpha=auto.alpha_)
            times = np.array([
                [seconds(lambda: each.fit(X, target)) for each in (auto, model)]  # noqa: B023
                for _ in range(3)
            ]).min(axis=0)  # fmt: skip
            print(f"{model.loss:14s} {n:7d} x {d:4d}: alpha='auto' takes {times[0]:.3f} s, "
                  f"{times[0] / times[1]:.1f} fits", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--max-rows", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'table':34s} {'alpha':>7s} {'of folds':>9s} {'default':>10s} {'auto':>10s} "
          f"{'folds':>10s}  ratio   fit s  auto s folds s  ratio")  # fmt: skip
    ratios = []
    for name, loss, X, y, X_test, y_test in tables(options.folder, options.max_rows):
        if options.only in name:
            found = compare(name, loss, X, y, X_test, y_test, options.seconds)
            ratios += [] if found is None else [found]
    if ratios:
        means = np.exp(np.log(np.array(ratios)).mean(axis=0))
        print(f"geometric means of {len(ratios)} tables: test loss {means[0]:.4f} of that of the "
              f"folds, time {means[1]:.3f}")  # fmt: skip
    if not options.only:
        single_fits()


if __name__ == "__main__":
    main()
