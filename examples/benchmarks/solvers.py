"""Judge the solvers by a table of loss x penalty x shape, each cell with its peers on F.

    python solvers.py [FOLDER] [--only WORDS] [--into FILE] [--repetitions 3] [--quick] [--without]
                      [--no-peers]

A line a cell: skgd's seconds with defaults, what is missing to the lowest objective that anybody
found and to the lower bound of the duality gap (both as shares of the possible decrease
``F0 - F``), and the stop reason; the same for each peer with its defaults, and the seconds of the
largest `tol` at which it misses no more than `SAME` beyond skgd. The ratio is how often the best
peer takes skgd's time at an equal or better objective. The bars follow at the end, also if the run
is interrupted.

A fit of a peer that takes `FAR` times as long as skgd's is ended. A peer that misses the objective
after `ENOUGH` times as long is not fitted with a smaller `tol`, which would take longer. Their
lines say ``> seconds``. Neither can be the best peer of a slow cell. Where no other gets there
sooner, the ratio is that of those seconds: a lower bound, so that the mean can only be too low.

Seconds are those of the CPU, on one thread, the least of several fits taken in turn, after one to
a few rows that loads and compiles what peers need. With ``--into``, lines are appended to a file,
and those that it has are printed as they are: what was interrupted continues. FOLDER holds raw
tables and a ``load.py`` that reads them, as for ``raw_tables.py``.
"""

import argparse
import os
import re
import signal
import time
import warnings
from inspect import getattr_static
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn
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
# Tolerances below most defaults, at which a peer that misses the objective is fitted again.
TOLS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
# How often skgd's seconds a fit of a peer may take, and one that misses the objective for another
# to follow; the seconds that any may take, and none.
FAR, ENOUGH, LEAST_LIMIT, MOST = 10.0, 4.0, 0.2, 30.0
# Rows of the first fit, and the seconds that it may take.
FEW, FIRST = 60, 30.0
# Seconds that the fits of a cell are repeated, most fits of each (in units of --repetitions), and
# how often the best peer's time one may take for its fit to be repeated.
REPEATED, OFTEN, NEAR = 2.0, 7, 2.0
# Bars: how often the best peer's time a cell may take, what it may take in addition, and the mean.
WORST, SLACK, MEAN = 1.5, 3e-3, 2.0
# The cell that shows what a fit takes whatever the data, and the bar of its seconds.
SMALLEST, FIXED = "squared_error l2 iris 150x4", 1.5e-3


class Fit(NamedTuple):
    """A fit: the estimator, its seconds, its objective, and whether it warned.

    One that was ended has no model, and an infinite objective.
    """

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
    """Return the fit of an estimator; None if it fails.

    The clock is that of the thread: while a timer of the process runs, Linux counts its time in
    ticks of 4 ms.
    """
    signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, limit)
    start = time.thread_time()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = make().fit(judge.X, judge.y)
            seconds = time.thread_time() - start
    except (TimeoutError, SystemError):  # the latter where the timer ends compiled code of Numba
        return Fit(None, time.thread_time() - start, np.inf, warned=True)
    except (ValueError, FloatingPointError):
        return None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    objective = judge(model.coef_, model.intercept_)
    return Fit(model, seconds, objective, bool(caught))


def peer_fits(make, judge, goal, limit):
    """Return the fit with defaults, and that of the largest tol that reaches an objective.

    The latter is None where no tol does. It is one that was ended where it takes too long.
    """
    found = same = fit(make, judge, limit)
    if found is None or found.model is None or found.objective <= goal:
        return found, found, make
    for tol in TOLS:
        if same.seconds > ENOUGH / FAR * limit:
            return found, Fit(None, same.seconds, np.inf, warned=True), make
        def tighter(tol=tol):
            return make(tol=tol)

        same = fit(tighter, judge, limit)
        if same is None:
            break
        if same.objective <= goal or same.model is None:
            return found, same, tighter
    return found, None, None


def repeat(makers, fits, judge, repetitions):
    """Replace the fits by those with the least seconds of several, taken in turn."""
    seconds = [fits[name].seconds for name in makers if name != "skgd"]
    most = NEAR * min(seconds, default=np.inf)
    near = [name for name in makers if name == "skgd" or fits[name].seconds <= most]
    start = time.process_time()
    for _ in range(OFTEN * (repetitions - 1)):
        if time.process_time() - start > REPEATED * (repetitions - 1) / 2:
            break
        for name in near:
            fits[name] = min(fits[name], fit(makers[name], judge), key=lambda f: f.seconds)


def measure(cell, divisor, repetitions, *, takes_peers, switches_off):
    """Return the judge of a cell, its fits by name, and the objectives to reach and to start from.

    Those at the same objective as skgd's have a name that ends in "same".
    """
    X, y = cell.table.read(divisor)
    # A copy, not a view: what is compiled is compiled for how X lies in memory.
    rows = np.arange(0, len(y), max(len(y) // FEW, 1))
    few = Judge(cell.ours(X, y), X[rows], y[rows])
    judge = Judge(cell.ours(X, y), X, y)
    makers = {"skgd": lambda: cell.ours(X, y)}
    fit(makers["skgd"], few)
    fits = {"skgd": fit(makers["skgd"], judge)}
    start = judge.of_constant_model()
    goal = fits["skgd"].objective + SAME * max(start - fits["skgd"].objective, 0.0)
    limit = min(max(FAR * fits["skgd"].seconds, LEAST_LIMIT), MOST)
    for name, peer in cell.peers.items() if takes_peers else ():
        def make(peer=peer, **options):
            return peer(X, y, **options)

        fit(make, few, FIRST)
        found, same, maker = peer_fits(make, judge, goal, limit)
        if found is None:
            continue
        fits[name] = found
        if same is not found and same is not None:
            name = f"{name} same"
            fits[name] = same
        if same is not None and same.model is not None:
            makers[name] = maker
    repeat(makers, fits, judge, repetitions)
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
    """What a line says of skgd.

    Attributes
    ----------
    name : str
    seconds : float
    ratio : float
        How often the best peer takes skgd's time; NaN if none gets to its objective.
    is_bound : bool
        Whether the best peer was ended before it got there.
    is_slow : bool
    is_honest : bool
        Whether the fit has converged, or says that it has not.
    """

    name: str
    seconds: float
    ratio: float
    is_bound: bool
    is_slow: bool
    is_honest: bool

    @classmethod
    def of(cls, line):
        """Return the verdict of a line; None if it is not one of a cell."""
        found = re.search(r" gap +(\S+) .*\| ratio (> )?(\S+)( SLOW)?$", line)
        if found is None:
            return None
        gap, bound, ratio, slow = found.groups()
        ours = line.split(" | ")[0]
        return cls(
            line[:WIDTH].strip(), float(ours[WIDTH:].split()[0]),
            np.nan if ratio == "-" else float(ratio), bound is not None, slow is not None,
            float(gap) <= CONVERGED or ours.endswith(SAYS_SO),
        )  # fmt: skip


WIDTH, SAYS_SO = 52, ", says so"


def line_of(cell, judge, fits, goal, start):
    """Return the line of a cell."""
    ours = fits["skgd"]
    least = min(found.objective for found in fits.values())
    decrease = max(start - least, np.finfo(float).tiny)

    def text(found):
        if found.model is None:
            return f"> {found.seconds:.3g} s"
        return f"{found.seconds:.4g} s {max(found.objective - least, 0.0) / decrease:7.1e}"

    gap = ours.model.optimality_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gap = ours.model.optimality(judge.X, judge.y) if np.isnan(gap) else gap
    told = "" if ours.model.converged_ and not ours.warned else SAYS_SO
    line = f"{cell.name:{WIDTH}} {text(ours)}, gap {gap / decrease:7.1e} "
    line += f"{ours.model.stop_reason_}{told}"
    line += "".join(f" | {name} {text(found)}" for name, found in fits.items() if name != "skgd")
    peers = [found for name, found in fits.items() if name not in ("skgd", "without")]
    ends = [found.seconds for found in peers if found.model is None]
    times = [found.seconds for found in peers if found.objective <= goal]
    best = min(times + ends, default=np.nan)
    is_slow = ours.seconds > WORST * best + SLACK
    bound = "> " if best not in times and best in ends else ""
    ratio = "-" if np.isnan(best) else f"{bound}{best / ours.seconds:.3g}"
    return f"{line} | ratio {ratio}{' SLOW' if is_slow else ''}"


def summary(verdicts):
    """Print how the table stands to the bars."""
    compared = [verdict for verdict in verdicts if not np.isnan(verdict.ratio)]
    bounds = sum(verdict.is_bound for verdict in compared)
    print(f"\ncells: {len(verdicts)}, {len(compared)} with a peer at the same objective, "
          f"of which {bounds} with a bound on its time")  # fmt: skip
    if compared:
        mean = np.exp(np.mean(np.log([verdict.ratio for verdict in compared])))
        print(f"geometric mean of the best peer's time over skgd's: {mean:.2f} (bar: {MEAN:g})")
    for verdict in verdicts:
        if verdict.name == SMALLEST:
            print(f"{SMALLEST}: {verdict.seconds * 1e3:.2f} ms (bar: {FIXED * 1e3:g} ms)")
    slow = [verdict.name for verdict in compared if verdict.is_slow]
    print(f"slower than {WORST:g} x the best peer + {SLACK * 1e3:g} ms: {len(slow)} (bar: 0)")
    dishonest = [verdict.name for verdict in verdicts if not verdict.is_honest]
    print(f"gap above {CONVERGED:g} of the decrease, and not said: {len(dishonest)} (bar: 0)")
    for name in (*slow, *dishonest):
        print(f"    {name}")


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="raw tables and a load.py")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="words of the name")
    parser.add_argument("--into", type=Path, metavar="FILE", help="lines are appended")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the sizes, once")
    parser.add_argument("--without", action="store_true", help="special paths switched off, too")
    parser.add_argument("--no-peers", action="store_true", help="fit skgd alone")
    return parser.parse_args()


def read_lines(file):
    """Return the lines of a file by the names of their cells."""
    lines = file.read_text().splitlines() if file is not None and file.exists() else []
    verdicts = [(Verdict.of(line), line) for line in lines]
    return {verdict.name: line for verdict, line in verdicts if verdict is not None}


def main():
    args = read_options()
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    divisor, repetitions = (50, 1) if args.quick else (1, args.repetitions)
    cells = [*CELLS, *(raw.cells(args.folder) if args.folder else ())]
    lines, verdicts = read_lines(args.into), []
    print(
        f"{os.cpu_count()} cores, one thread, CPU seconds, {repetitions} repetitions, "
        f"NumPy {np.__version__}, scikit-learn {sklearn.__version__}\n"
    )
    try:
        for cell in cells:
            if not all(word in cell.name for word in args.only):
                continue
            line = lines.get(cell.name)
            if line is None:
                line = line_of(cell, *measure(
                    cell, divisor, repetitions, takes_peers=not args.no_peers,
                    switches_off=args.without,
                ))  # fmt: skip
                if args.into is not None:
                    with args.into.open("a") as file:
                        file.write(line + "\n")
            print(line, flush=True)
            verdicts.append(Verdict.of(line))
    except KeyboardInterrupt:
        print("interrupted")
    summary(verdicts)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
