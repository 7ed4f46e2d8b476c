"""A search in one pass against GridSearchCV: seconds, ratios and the bars that they are held to.

Each race searches one grid on five folds, with the same number of epochs on both sides, the fit of
the best candidate included. The peer, GridSearchCV, gets ``n_jobs=2``; so does GDSearchCV. Ratios
are medians over the repetitions of peer seconds / skgd seconds, without racing and with. ``--cpu``
takes CPU time instead, of one job each, and ratios of the least of the repetitions: pass
``--repetitions 1``, too, where there is little time, as the peers take most of it. First a figure:
the memory that a large search takes over X.

    python examples/benchmarks/search.py [--only NAME] [--repetitions 3] [--quick] [--cpu]

``--only`` runs what has NAME in it; ``--quick`` shrinks the data until the numbers mean nothing.
The bars are for two cores that do nothing else.
"""

import os
import resource
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import sklearn
from _shared import csr, dense, ratio, read_options
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV

from skgd import GDClassifier, GDSearchCV

EPOCHS = 10
RATES = np.logspace(-4, -0.5, 16)
ALPHAS = np.logspace(-6, 0, 8)
# In the metric a sparse row is as long as a dense one.
SPARSE_RATES = RATES / 100


@dataclass
class Race:
    """A grid that a peer and skgd search; `data()` returns X and y."""

    work: str
    peer: str
    bar: float
    bar_raced: float | None
    data: Callable
    theirs: Callable  # takes n_jobs, too
    ours: Callable  # takes race and n_jobs, too


def gd(batch_size=256):
    return GDClassifier(optimizer="adam", batch_size=batch_size, max_iter=EPOCHS, tol=None,
                        random_state=0)  # fmt: skip


def sgd_search(X, y, n_jobs):
    model = SGDClassifier(loss="log_loss", learning_rate="constant", max_iter=EPOCHS, tol=None,
                          random_state=0)  # fmt: skip
    GridSearchCV(model, {"eta0": RATES}, cv=5, n_jobs=n_jobs).fit(X, y)


def grid_search(X, y, grid, n_jobs):
    GridSearchCV(gd(), grid, cv=5, n_jobs=n_jobs).fit(X, y)


def fused_search(X, y, grid, race, n_jobs):
    GDSearchCV(gd(), grid, cv=5, n_jobs=n_jobs, race=race).fit(X, y)


def all_races(shrink):
    """Return the races of the table, with fewer rows by a factor."""
    n, digits, text = 200_000 // shrink, 5_620 // shrink, 20_000 // shrink
    rates, both = {"learning_rate": RATES}, {"learning_rate": RATES, "alpha": ALPHAS}

    def race(work, peer, bar, bar_raced, data, grid, theirs=None):
        theirs = theirs or partial(grid_search, grid=grid)
        return Race(work, peer, bar, bar_raced, data, theirs, partial(fused_search, grid=grid))

    wide = partial(dense, n, 50)
    return [
        race(f"16 rates, log_loss, {n}x50", "SGDClassifier", 25.0, None, wide, rates, sgd_search),
        race(f"16 rates, log_loss, {n}x50", "GDClassifier", 4.0, None, wide, rates),
        race(f"16 rates x 8 alphas, softmax of 10, {digits}x64", "GDClassifier", 3.0, 8.0,
             partial(dense, digits, 64, 10), both),
        race(f"16 rates, CSR, {text}x30000", "GDClassifier", 3.0, None,
             partial(csr, text, 30_000, 100), {"learning_rate": SPARSE_RATES}),
    ]  # fmt: skip


def run_race(race, repetitions, clock):
    data = race.data()
    n_jobs = clock.n_threads
    ours = (partial(race.ours, *data, race=value, n_jobs=n_jobs) for value in (False, True))
    times = clock.alternate([partial(race.theirs, *data, n_jobs=n_jobs), *ours], repetitions)
    theirs, whole, _ = np.median(times, axis=0)
    plain, raced = ratio(times, 0, 1), ratio(times, 0, 2)
    missed = plain < race.bar or (race.bar_raced is not None and raced < race.bar_raced)
    bar_raced = "" if race.bar_raced is None else f"{race.bar_raced:.4g}"
    print(f"{race.work:<48}{race.peer:<15}{theirs:>9.3g}{whole:>9.3g}{plain:>8.2f}{race.bar:>6.4g}"
          f"{raced:>8.2f}{bar_raced:>6}{'  missed' if missed else ''}", flush=True)  # fmt: skip


def memory(shrink):
    """Print by how much a search of 500 candidates raises the peak of the process's memory."""
    n = 200_000 // shrink
    X, y = dense(n, 50)
    grid = {"learning_rate": np.logspace(-4, -0.5, 500)}
    model = gd().set_params(max_iter=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    GDSearchCV(model, grid, cv=5, n_jobs=2, race=False).fit(X, y)
    over = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{f'500 candidates x 5 folds, {n}x50, memory over X':<63}{over:>9.3g} MB, at most 400"
          f"{'  missed' if over > 400 else ''}", flush=True)  # fmt: skip


def main():
    only, shrink, repetitions, clock = read_options(__doc__, 3, 1)
    warnings.simplefilter("ignore")  # that so few epochs are not enough
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the peer's processes, too
    print(f"{clock.describe(repetitions)}, NumPy {np.__version__}, "
          f"scikit-learn {sklearn.__version__}\n\n"
          f"{'work':<48}{'peer':<15}{'peer s':>9}{'skgd s':>9}{'ratio':>8}{'bar':>6}{'raced':>8}"
          f"{'bar':>6}")  # fmt: skip
    if only in "memory":
        memory(shrink)  # first, while the peak is that of X
    for race in all_races(shrink):
        if only in f"{race.work}, {race.peer}":
            run_race(race, repetitions, clock)


if __name__ == "__main__":
    main()
