"""Judge the solvers by a table of loss x penalty x shape, each cell with its peers on F.

    python solvers.py [FOLDER] [--only WORDS] [--repetitions 3] [--quick] [--without] [--no-peers]

A line a cell: skgd's seconds with defaults, what is missing to the lowest objective that anybody
found and to the lower bound of the duality gap (both as shares of the possible decrease
``F0 - F``), and the stop reason; the same for each peer with its defaults, and the seconds of the
largest `tol` at which it misses no more than `SAME` beyond skgd. The last column is how often the
best peer takes skgd's time at an equal or better objective. The bars follow at the end.

Seconds are those of the CPU, on one thread, the least of several fits taken in turn. FOLDER holds
raw tables and a ``load.py`` that reads them, as for ``raw_tables.py``.
"""

import argparse
import signal
import time
import warnings
from inspect import getattr_static
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cells import CELLS, raw
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.base import is_classifier
from threadpoolctl import threadpool_limits

from skgd._solvers import duality_gap
from skgd.losses import by_name

# The share of the possible decrease that may be missing where objectives are the same, and where a
# fit has converged.
SAME, CONVERGED = 1e-6, 1e-4
TOLS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
# Seconds that a fit of a peer may take, those after which fits are not repeated, and those up to
# which they are repeated `OFTEN` times as often.
LIMIT, LONG, SHORT, OFTEN = 60.0, 5.0, 0.1, 5
# Bars: how often the best peer's time a cell may take, what it may take in addition, and the mean.
WORST, SLACK, MEAN = 1.5, 3e-3, 2.0


class Fit(NamedTuple):
    """A fit: the estimator, its seconds, its objective, and whether it warned."""

    model: object
    seconds: float
    objective: float
    warned: bool


class Judge:
    """The objective of a cell, of any coefficients.

    Parameters
    ----------
    model : GDClassifier or GDRegressor
        Which fixes loss and penalty.
    X, y : array or sparse matrix, array
    """

    def __init__(self, model, X, y):
        self.X, self.y, self.model, self.targets = X, y, model, y
        task = "classification" if is_classifier(model) else "regression"
        loss = model.loss
        self.loss = by_name(task)[loss]() if isinstance(loss, str) else loss
        if task == "classification":
            self.classes, self.codes = np.unique(y, return_inverse=True)
            columns = self.codes[:, None] == np.arange(len(self.classes))
            self.targets = np.where(columns if len(self.classes) > 2 else columns[:, 1:], 1.0, -1.0)

    def __call__(self, coef, intercept):
        """Return the objective."""
        coef = np.atleast_2d(coef)
        Z = self.X @ coef.T + intercept
        return self._losses(Z) + self.model.alpha * sum(map(self._penalty, coef))

    def of_constant_model(self):
        """Return the objective of the best model without coefficients."""
        if len(np.shape(self.targets)) == 2 and self.model.loss == "log_loss":
            shares = np.bincount(self.codes) / len(self.codes)
            return -float(shares @ np.log(shares))
        return sum(
            minimize_scalar(
                lambda b, y=y: np.mean(self.loss.value(y, np.full(len(y), b))), np.sort(y)[[0, -1]],
            ).fun for y in np.reshape(self.targets, (len(self.y), -1)).T.astype(float)
        )  # fmt: skip

    def _losses(self, Z):
        if Z.shape[1] > 1 and self.model.loss == "log_loss":
            return -float(log_softmax(Z, axis=1)[np.arange(len(Z)), self.codes].mean())
        targets = np.reshape(self.targets, Z.shape)
        parts = zip(targets.T, Z.T, strict=True)
        return float(sum(np.mean(self.loss.value(y, z)) for y, z in parts))

    def _penalty(self, w):
        penalty = self.model.penalty
        if not isinstance(penalty, str):
            return 0.0 if penalty is None else penalty.value(w)
        share = {"l1": 1.0, "l2": 0.0, "elasticnet": self.model.l1_ratio}[penalty]
        return share * float(np.abs(w).sum()) + (1.0 - share) * 0.5 * float(w @ w)


def give_up(*_):
    raise TimeoutError


def fit(make, judge, limit=0.0):
    """Return the fit of an estimator, None if it fails or takes too long."""
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            start = time.process_time()
            model = make().fit(judge.X, judge.y)
            seconds = time.process_time() - start
    except (TimeoutError, ValueError, FloatingPointError):
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    objective = judge(model.coef_, model.intercept_)
    return Fit(model, seconds, objective, bool(caught))


def at_same_objective(make, judge, goal):
    """Return the maker and the fit of the largest tol that reaches an objective; None if none."""
    for tol in TOLS:
        found = fit(lambda tol=tol: make(tol=tol), judge, LIMIT)
        if found is None:
            return None
        if found.objective <= goal:
            return lambda tol=tol: make(tol=tol), found
    return None


def repeat(makers, fits, judge, repetitions):
    """Return the fits with the least seconds of several, taken in turn."""
    for i in range(OFTEN * (repetitions - 1)):
        for name, make in makers.items():
            if fits[name].seconds <= (LONG if i < repetitions - 1 else SHORT):
                again = fit(make, judge)
                fits[name] = min(fits[name], again, key=lambda found: found.seconds)
    return fits


def measure(cell, divisor, repetitions, *, takes_peers, switches_off):
    """Return the fits of a cell by name, and the objectives of the peers' goal and to start from.

    Those at the same objective as skgd's have a name that ends in "same".
    """
    X, y = cell.table.read(divisor)
    judge = Judge(cell.ours(X, y), X, y)
    makers = {"skgd": lambda: cell.ours(X, y)}
    fits = {"skgd": fit(makers["skgd"], judge)}
    start = judge.of_constant_model()
    goal = fits["skgd"].objective + SAME * max(start - fits["skgd"].objective, 0.0)
    for name, peer in cell.peers.items() if takes_peers else ():
        def make(peer=peer, **options):
            return peer(X, y, **options)

        found = fit(make, judge, LIMIT)
        if found is None:
            continue
        makers[name], fits[name] = make, found
        same = (make, found)
        if found.objective > goal:
            same = at_same_objective(make, judge, goal)
            if same is not None:
                makers[f"{name} same"], fits[f"{name} same"] = same
    fits = repeat(makers, fits, judge, repetitions)
    if switches_off and cell.without is not None:
        fits["without"] = fit_without(cell, makers["skgd"], judge)
    return judge, fits, goal, start


def fit_without(cell, make, judge):
    """Return the fit of skgd with a special path switched off."""
    off = [cell.without, (duality_gap, "knows_gap", lambda objective: False)]
    now = [getattr_static(owner, name) for owner, name, _ in off]
    try:
        for owner, name, replacement in off:
            setattr(owner, name, replacement)
        return fit(make, judge)
    finally:
        for (owner, name, _), value in zip(off, now, strict=True):
            setattr(owner, name, value)


class Verdict(NamedTuple):
    """What a cell says of skgd.

    Attributes
    ----------
    name : str
    seconds : float
    best : float
        The seconds of the best peer at an equal or better objective; NaN if none gets there.
    gap : float
        The duality gap as a share of the possible decrease.
    is_honest : bool
        Whether the fit has converged, or says that it has not.
    """

    name: str
    seconds: float
    best: float
    gap: float
    is_honest: bool

    @property
    def is_slow(self):
        return self.seconds > WORST * self.best + SLACK


def judged(cell, judge, fits, goal, start):
    """Print the line of a cell and return its verdict."""
    ours = fits["skgd"]
    least = min(found.objective for found in fits.values())
    decrease = max(start - least, np.finfo(float).tiny)

    def text(found):
        return f"{found.seconds:.4g} s {(found.objective - least) / decrease:7.1e}"

    gap = ours.model.optimality_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gap = ours.model.optimality(judge.X, judge.y) if np.isnan(gap) else gap
    gap = gap / decrease
    times = [found.seconds for name, found in fits.items()
             if name not in ("skgd", "without") and found.objective <= goal]  # fmt: skip
    best = min(times, default=np.nan)
    told = "" if ours.model.converged_ and not ours.warned else ", says so"
    line = f"{cell.name:52} {text(ours)}, gap {gap:7.1e} {ours.model.stop_reason_}{told}"
    line += "".join(f" | {name} {text(found)}" for name, found in fits.items() if name != "skgd")
    verdict = Verdict(cell.name, ours.seconds, best, gap, gap <= CONVERGED or bool(told))
    ratio = "-" if np.isnan(best) else f"{best / ours.seconds:.2f}"
    print(f"{line} | ratio {ratio}{' SLOW' if verdict.is_slow else ''}", flush=True)
    return verdict


def summary(verdicts):
    """Print how the table stands to the bars."""
    compared = [verdict for verdict in verdicts if not np.isnan(verdict.best)]
    ratios = np.array([verdict.best / verdict.seconds for verdict in compared])
    print(f"\ncells: {len(verdicts)}, {len(compared)} with a peer at the same objective")
    if compared:
        mean = np.exp(np.mean(np.log(ratios)))
        print(f"geometric mean of the best peer's time over skgd's: {mean:.2f} (bar: {MEAN:g})")
    slow = [verdict.name for verdict in compared if verdict.is_slow]
    print(f"slower than {WORST:g} x the best peer + {SLACK * 1e3:g} ms: {len(slow)} (bar: 0)")
    dishonest = [verdict.name for verdict in verdicts if not verdict.is_honest]
    print(f"gap above {CONVERGED:g} of the decrease, and not said: {len(dishonest)} (bar: 0)")
    for name in (*slow, *dishonest):
        print(f"    {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="raw tables and a load.py")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="words of the name")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the sizes, once")
    parser.add_argument("--without", action="store_true", help="special paths switched off, too")
    parser.add_argument("--no-peers", action="store_true", help="fit skgd alone")
    args = parser.parse_args()
    divisor, repetitions = (50, 1) if args.quick else (1, args.repetitions)
    cells = [*CELLS, *(raw.cells(args.folder) if args.folder else ())]
    verdicts = []
    for cell in cells:
        if all(word in cell.name for word in args.only):
            verdicts.append(judged(cell, *measure(
                cell, divisor, repetitions, takes_peers=not args.no_peers,
                switches_off=args.without,
            )))  # fmt: skip
    summary(verdicts)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
