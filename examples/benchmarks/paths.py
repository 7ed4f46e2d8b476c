"""Searches over alpha compared with the paths of other libraries: seconds, ratios and their bars.

Each race fits one search on five folds, with the same alphas and folds on both sides, the fit of
the best candidate included, and BLAS on one thread. Ratios are medians over the repetitions of skgd
seconds / peer seconds: below 1, skgd is faster. "off" is how far the scores of skgd are from those
of fits one by one with a small tol, at most.

Then, for candidates that are fitted one by one: the CPU milliseconds that a fit takes in the
solver, and all others of the search, which have a bar, too.

    python examples/benchmarks/paths.py [--only NAME] [--repetitions 3] [--quick]

``--only`` runs what has NAME in it; ``--quick`` shrinks the data until the numbers mean nothing.
celer takes part where it is installed.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from unittest import mock

import numpy as np
import sklearn
import sklearn.metrics
from _shared import csr, dense, ratio, read_options
from scipy import sparse
from sklearn.linear_model import (
    ElasticNetCV,
    LassoCV,
    LogisticRegression,
    LogisticRegressionCV,
    RidgeCV,
)
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid, StratifiedKFold
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from skgd import GDClassifier, GDRegressor, GDSearchCV, alpha_sequence
from skgd._solvers import auto
from skgd.losses import Huber

try:
    from celer import celer_path
except ImportError:
    celer_path = None

# Alphas whose scores are compared with those of fits one by one.
COMPARED = 5
# Milliseconds that a fit of a search may take on top of its solver's.
OVERHEAD = 3.0


@dataclass
class Race:
    """Searches over the same alphas; `theirs(X, y, alphas)` is the peer's."""

    work: str
    peer: str
    bar: float
    data: tuple
    model: object
    alphas: np.ndarray
    theirs: Callable
    scoring: str | None = None


def lasso(X, y, alphas, kind=LassoCV, **settings):
    kind(alphas=alphas, cv=KFold(5), **settings).fit(X, y)


def celer(X, y, alphas):
    """Walk celer's own paths: its LassoCV does not know scikit-learn 1.9. CSR stays uncentred."""
    scores = []
    for train, test in KFold(5).split(X):
        rows, shift = X[train], y[train].mean()
        mean = 0.0 if sparse.issparse(X) else rows.mean(axis=0)
        rows = rows.tocsc() if sparse.issparse(X) else np.asfortranarray(rows - mean)
        coefs = celer_path(rows, y[train] - shift, "lasso", alphas=alphas)[1]
        errors = (X[test] - mean) @ coefs + shift - y[test][:, None]
        scores.append((errors**2).mean(axis=0))
    best = np.argmin(np.mean(scores, axis=0))
    rows = X.tocsc() if sparse.issparse(X) else np.asfortranarray(X - X.mean(axis=0))
    celer_path(rows, y - y.mean(), "lasso", alphas=alphas[best:best + 1])


def liblinear(X, y, alphas):
    model = LogisticRegression(solver="liblinear", l1_ratio=1.0)
    GridSearchCV(model, {"C": 1.0 / (0.8 * len(y) * alphas)}, cv=StratifiedKFold(5),
                 scoring="neg_log_loss").fit(X, y)  # fmt: skip


def support_vectors(X, y, alphas):
    model = LinearSVC(loss="hinge", max_iter=1000)
    GridSearchCV(model, {"C": 1.0 / (0.8 * len(y) * alphas)}, cv=StratifiedKFold(5)).fit(X, y)


def one_by_one(X, y, alphas, model):
    cv = StratifiedKFold(5) if isinstance(model, GDClassifier) else KFold(5)
    GridSearchCV(model, {"alpha": alphas}, cv=cv).fit(X, y)


def ridge(X, y, alphas):
    RidgeCV(alphas=0.8 * len(y) * alphas, cv=KFold(5)).fit(X, y)


def logistic(X, y, alphas):
    LogisticRegressionCV(
        Cs=1.0 / (0.8 * len(y) * alphas), cv=StratifiedKFold(5), scoring="neg_log_loss",
        max_iter=10_000,
    ).fit(X, y)  # fmt: skip


def all_races(shrink):
    """Return the races of the table, with fewer rows by a factor."""
    races = []
    for n, d, l1_bar, log_bar in [(5000, 50, 0.7, 0.5), (2000, 500, 1.0, 1.3),
                                  (50_000, 50, 1.0, 0.5)]:  # fmt: skip
        n = max(200, n // shrink)
        numbers, classes, where = dense(n, d, 1), dense(n, d), f"{n}x{d}"
        l1, mixed = GDRegressor(penalty="l1"), GDRegressor(penalty="elasticnet", l1_ratio=0.5)
        alphas, few = alpha_sequence(l1, *numbers), np.logspace(1, -6, 20)
        mixed_alphas = alpha_sequence(mixed, *numbers)
        races += [
            Race(f"l1, 100 alphas, {where}", "LassoCV", l1_bar, numbers, l1, alphas, lasso),
            Race(f"elastic net, 100 alphas, {where}", "ElasticNetCV", l1_bar, numbers, mixed,
                 mixed_alphas, partial(lasso, kind=ElasticNetCV, l1_ratio=0.5)),
            Race(f"l2, 20 alphas, {where}", "RidgeCV", 0.15, numbers, GDRegressor(), few, ridge),
            Race(f"log_loss, l2, 20 alphas, {where}", "LogisticRegressionCV", log_bar, classes,
                 GDClassifier(), np.logspace(0, -5, 20), logistic, "neg_log_loss"),
        ]  # fmt: skip
        if celer_path is not None:
            races.append(Race(f"l1, 100 alphas, {where}", "celer", 1.0, numbers, l1, alphas, celer))
        if d == 50:
            races.append(Race(f"softmax of 4, 20 alphas, {where}", "LogisticRegressionCV", 0.8,
                              dense(n, d, 4), GDClassifier(), np.logspace(0, -5, 20), logistic,
                              "neg_log_loss"))  # fmt: skip
            races.append(Race(f"log_loss, l1, 20 alphas, {where}", "liblinear", 0.2, classes,
                              GDClassifier(penalty="l1"),
                              alpha_sequence(GDClassifier(penalty="l1"), *classes, n=20), liblinear,
                              "neg_log_loss"))  # fmt: skip
    return races + races_on_many_columns(shrink) + races_with_kinks(shrink)


def races_on_many_columns(shrink):
    """Return the races of the lasso on more columns than rows, dense and sparse."""
    l1, races = GDRegressor(penalty="l1"), []
    wide, text = dense(max(50, 200 // shrink), max(1600, 5000 // shrink), 1), sparse_numbers(shrink)
    for data, n_alphas, least, theirs_bar, name in [
        (wide, 100, 1e-2, 0.5, "200x5000"), (text, 20, 1e-1, 0.1, "CSR 20000x30000"),
    ]:  # fmt: skip
        alphas = alpha_sequence(l1, *data, n=n_alphas, ratio=least)
        work = f"l1, {n_alphas} alphas, {name}"
        races.append(Race(work, "LassoCV", theirs_bar, data, l1, alphas, lasso))
        if celer_path is not None:
            races.append(Race(work, "celer", 0.4, data, l1, alphas, celer))
    return races + races_near_interpolation(shrink)


def races_near_interpolation(shrink):
    """Return the races of the lasso with nearly as many coefficients as rows, which are sparse."""
    l1, alphas, races = GDRegressor(penalty="l1"), np.array([1e-2, 1e-4]), []
    for density in (0.02, 0.05, 0.2):
        data = numbers_of_density(max(100, 300 // shrink), 2000, density)
        work = f"l1, 2 alphas, CSR 300x2000, {density}"
        races.append(Race(work, "one by one", 1.0, data, l1, alphas,
                          partial(one_by_one, model=l1)))  # fmt: skip
        if celer_path is not None:
            races.append(Race(work, "celer", 1.0, data, l1, alphas, celer))
    return races


def numbers_of_density(n, d, density):
    """Return a CSR matrix, and targets to which 30 of its columns add."""
    rng = np.random.default_rng(0)
    X = sparse.random(n, d, density, "csr", random_state=rng, data_rvs=rng.standard_normal)
    coef = np.append(rng.normal(size=30), np.zeros(d - 30))
    return X, X @ coef + 0.1 * rng.normal(size=n)


def sparse_numbers(shrink):
    """Return a CSR matrix, and targets to which 100 of its columns add."""
    n, d = 20_000 // shrink, 30_000 // shrink
    X, rng = csr(n, d, min(80, d))[0], np.random.default_rng(1)
    coef = np.zeros(d)
    coef[rng.choice(d, 100)] = 3.0 * rng.normal(size=100)
    return X, X @ coef + rng.normal(size=n)


def races_with_kinks(shrink):
    """Return the races of losses with kinks; where no peer has a path, fits one by one are one."""
    n, alphas, hinge = max(200, 5000 // shrink), np.logspace(0, -5, 20), GDClassifier("hinge")
    wide = dense(max(100, 500 // shrink), 2000)
    races = [
        Race("hinge, l2, 20 alphas, 5000x50", "LinearSVC", 1.0, dense(n, 50), hinge, alphas,
             support_vectors),
        Race("hinge, l2, 20 alphas, 500x2000", "LinearSVC", 1.0, wide, hinge, alphas,
             support_vectors),
        Race("hinge, l2, 20 alphas, 500x2000", "one by one", 0.7, wide, hinge, alphas,
             partial(one_by_one, model=hinge)),
    ]  # fmt: skip
    for loss in ("absolute_error", "quantile", "epsilon_insensitive"):
        model = GDRegressor(loss)
        races.append(Race(f"{loss}, l2, 20 alphas, 5000x50", "one by one", 1.0, dense(n, 50, 1),
                          model, alphas, partial(one_by_one, model=model)))  # fmt: skip
    return races


def folds_of(race):
    return StratifiedKFold(5) if isinstance(race.model, GDClassifier) else KFold(5)


def ours(race, X, y):
    return GDSearchCV(
        race.model, {"alpha": race.alphas}, cv=folds_of(race), scoring=race.scoring
    ).fit(X, y)  # fmt: skip


def furthest(race, X, y):
    """Return by how much a score is off, at most, of some alphas on the first fold."""
    results = ours(race, X, y).cv_results_
    train, test = next(folds_of(race).split(X, y))
    apart = 0.0
    for i in np.linspace(0, len(race.alphas) - 1, COMPARED).astype(int):
        model = sklearn.clone(race.model).set_params(alpha=race.alphas[i], tol=1e-9)
        model.fit(X[train], y[train])
        scorer = sklearn.metrics.check_scoring(model, race.scoring)
        score = scorer(model, X[test], y[test])
        apart = max(apart, abs(score - results["split0_test_score"][i]))
    return apart


def run_race(race, repetitions, clock):
    X, y = race.data
    functions = [partial(race.theirs, X, y, race.alphas), partial(ours, race, X, y)]
    times = clock.alternate(functions, repetitions)
    theirs, own = np.median(times, axis=0)
    found = ratio(times, 1, 0)
    print(f"{race.work:<44}{race.peer:<22}{theirs:>9.3g}{own:>9.3g}{found:>8.2f}{race.bar:>6.4g}"
          f"{furthest(race, X, y):>10.1e}{'  missed' if found > race.bar else ''}",
          flush=True)  # fmt: skip


@dataclass
class OneByOne:
    """A search whose candidates share no path."""

    work: str
    data: tuple
    model: object
    grid: dict


def all_one_by_one(shrink):
    """Return the searches of the second table."""
    found = []
    deltas = {"loss": [Huber(delta) for delta in (0.1, 0.3, 1.0, 3.0)]}
    kinds = {"penalty": ["l2", "l1"], "loss": ["log_loss", "squared_hinge"]}
    intercepts = {"fit_intercept": [True, False], "alpha": [1e-3, 1e-2]}
    for n, d in [(1000, 20), (5000, 50)]:
        n, where = max(200, n // shrink), f"{n}x{d}"
        numbers, classes = dense(n, d, 1), dense(n, d)
        found += [
            OneByOne(f"Huber's delta, {where}", numbers, GDRegressor(), deltas),
            OneByOne(f"penalty and loss, {where}", classes, GDClassifier(), kinds),
            OneByOne(f"intercept and alpha, {where}", classes, GDClassifier(), intercepts),
        ]
    return found


def measure_overhead(case, repetitions):
    (X, y), found, spent = case.data, [], []

    def timed(*args, solve=auto.solve):
        started = time.process_time()
        try:
            return solve(*args)
        finally:
            spent.append(time.process_time() - started)

    n_fits = folds_of(case).get_n_splits() * len(ParameterGrid(case.grid))
    search = GDSearchCV(case.model, case.grid, cv=folds_of(case), refit=False)
    for _ in range(repetitions):
        spent.clear()
        started = time.process_time()
        with mock.patch.object(auto, "solve", timed):
            search.fit(X, y)
        found.append((time.process_time() - started - sum(spent), sum(spent)))
    rest, solver = 1e3 * np.min(found, axis=0) / n_fits
    missed = "  missed" if rest > OVERHEAD else ""
    print(f"{case.work:<44}{n_fits:>6}{solver:>11.2f}{rest:>10.2f}{OVERHEAD:>6.4g}{missed}",
          flush=True)  # fmt: skip


def main():
    only, shrink, repetitions, clock = read_options(__doc__, 3, 1)
    warnings.simplefilter("ignore")  # that peers have not converged
    print(f"{clock.describe(repetitions)}, NumPy {np.__version__}, "
          f"scikit-learn {sklearn.__version__}\n\n"
          f"{'work':<44}{'peer':<22}{'peer s':>9}{'skgd s':>9}{'ratio':>8}{'bar':>6}{'off':>10}")
    with threadpool_limits(1, "blas"):
        races = all_races(shrink)
        ours(races[0], *races[0].data)  # the first search of a process takes 0.2 s more
        for race in races:
            if only in f"{race.work}, {race.peer}":
                run_race(race, repetitions, clock)
        print(f"\n{'candidates one by one':<44}{'fits':>6}{'solver ms':>11}{'rest':>10}{'bar':>6}")
        for case in all_one_by_one(shrink):
            if only in case.work:
                measure_overhead(case, repetitions)


if __name__ == "__main__":
    main()
