"""skgd's engine and its peers: seconds, ratios and the bars that they are held to.

A race times whole fits, validation included, of a peer and of skgd in turn in one process: the same
data, epochs, batch length, rate and regularisation, rows in a new random order each epoch. skgd
runs with ``precondition=None``, which is what the peers do, and with its default. Ratios are
medians over the repetitions of peer seconds / skgd seconds; "more" is what the default precondition
adds to skgd's time, "most" what it may add. The peers: SGDClassifier and SGDRegressor with a
constant rate; a torch.optim.Adam loop on 2 threads (its weight_decay shrinks the bias too, which is
less work than to spare it); MLPClassifier(hidden_layer_sizes=()), which divides its alpha by the
batch length and whose BLAS has 2 threads; both of these against skgd with ``n_jobs=2``; NumPy's
``X.T @ f(X @ w)`` with 2 BLAS threads against one call of the engine with 2 threads, which returns
the loss too; skgd on float64 where X is float32; LogisticRegression on iris.
"floor" is plain C's time for the same epochs of SGD of the logistic loss (``floor.c``, compiled
where there is a compiler, with no check, history or preconditioning) over that of skgd's whole fit;
at least 0.7 of it is the bar.
Then figures: a user's Python optimizer, GB/s of the full gradient, threads.
With ``--cpu`` times are CPU times, ratios those of the least of the repetitions, and both sides
have one thread; what is about threads is left out.

    pip install -e ".[bench]"
    python examples/benchmarks/engine.py [--only NAME] [--repetitions 5] [--quick] [--cpu]

``--only`` runs what has NAME in it; ``--quick`` shrinks the data until the numbers mean nothing.
The bars are for two cores that do nothing else.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import sklearn
from _floor import floor_fit, library
from _shared import alternate, csr, dense, gradient_data, ratio, read_options
from scipy.special import expit
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier
from threadpoolctl import ThreadpoolController

from skgd import GDClassifier, GDRegressor
from skgd._engine import value_and_gradient
from skgd.losses import Huber
from skgd.optimizers import Optimizer

try:
    import torch
except ImportError:
    torch = None

EPOCHS = 5
LEAST_OF_FLOOR = 0.7
ALPHA = 1e-4
DELTA = 1.35
REGRESSION = ("squared_error", "huber")
BLAS = ThreadpoolController()


@dataclass
class Race:
    """A peer against skgd; `theirs` and `ours` take what `data(dtype)` returns."""

    work: str
    peer: str
    bar: float
    data: Callable
    theirs: Callable
    ours: Callable  # takes precondition, too
    most: float | None = 0.15  # None where there is nothing to precondition
    dense: bool = True
    calls: int = 1
    bar_default: float | None = None  # with the default precondition
    floor: Callable | None = None  # takes X and y; plain C


# ---- contenders ---------------------------------------------------------------------------------

def fit(estimator, X, y):
    estimator.fit(X, y)
    if estimator.n_iter_ != estimator.max_iter:
        raise RuntimeError(f"{estimator} stopped after {estimator.n_iter_} epochs.")


def skgd_fit(X, y, precondition, loss="log_loss", epochs=EPOCHS, **parameters):
    model = GDRegressor if loss in REGRESSION else GDClassifier
    loss = Huber(delta=DELTA) if loss == "huber" else loss
    fit(model(loss, precondition=precondition, alpha=ALPHA, max_iter=epochs, tol=None,
              random_state=0, **parameters), X, y)  # fmt: skip


def sgd_fit(X, y, loss="log_loss", rate=0.01, penalty="l2"):
    model = SGDRegressor if loss in REGRESSION else SGDClassifier
    fit(model(loss=loss, penalty=penalty, alpha=ALPHA, learning_rate="constant", eta0=rate,
              epsilon=DELTA, max_iter=EPOCHS, tol=None, random_state=0), X, y)  # fmt: skip


def mlp_fit(X, y, batch, threads=2):
    with BLAS.limit(limits=threads, user_api="blas"):
        fit(MLPClassifier((), alpha=ALPHA * batch, batch_size=batch, max_iter=EPOCHS, tol=0.0,
                          n_iter_no_change=EPOCHS + 1, random_state=0), X, y)  # fmt: skip


def torch_fit(X, y, batch, threads=2):
    torch.set_num_threads(threads)
    X, y = torch.from_numpy(X), torch.from_numpy(y).to(torch.float64)
    model = torch.nn.Linear(X.shape[1], 1, dtype=torch.float64)
    loss = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=ALPHA)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(X)).split(batch):
            optimizer.zero_grad()
            loss(model(X[rows]).squeeze(1), y[rows]).backward()
            optimizer.step()


def skgd_gradient(problem, X, y, w, precondition=None, n_threads=2):
    value_and_gradient(problem, w, np.zeros(1), n_threads=n_threads)


def numpy_pass(problem, X, y, w, threads=2, gradient=True):
    with BLAS.limit(limits=threads, user_api="blas"):
        margins = X @ w[0]
        if gradient:
            X.T @ (expit(margins) - y)


class PlainStep(Optimizer):
    """What a user may write: gradient descent, in Python."""

    slots = 0

    def update(self, w, g, state, rate, t):
        w -= rate * g


# ---- the races ----------------------------------------------------------------------------------

def sgd_race(loss, n, d, bar):
    k, rate = 1 if loss in REGRESSION else 2, 0.2 / d
    ours = partial(skgd_fit, loss=loss, optimizer="sgd", batch_size=1, learning_rate=rate)
    return Race(f"SGD batch 1, {loss}, {n}x{d}", "SGDRegressor" if k == 1 else "SGDClassifier", bar,
                partial(dense, n, d, k), partial(sgd_fit, loss=loss, rate=rate), ours,
                floor=plain_c(rate) if loss == "log_loss" else None)  # fmt: skip


def plain_c(rate):
    return partial(floor_fit, epochs=EPOCHS, rate=rate, alpha=ALPHA)


def csr_race(penalty, n, d, bar, bar_default):
    def ours(X, y, precondition):  # in the metric a row is as long as a dense one
        skgd_fit(X, y, precondition, penalty=penalty, optimizer="sgd", batch_size=1,
                 learning_rate=0.002 if precondition is None else 0.2 / d)  # fmt: skip

    return Race(f"SGD batch 1, CSR, {penalty}, {n}x{d}", "SGDClassifier", bar,
                partial(csr, n, d, 100), partial(sgd_fit, penalty=penalty, rate=0.002), ours,
                dense=False, most=None, bar_default=bar_default,
                floor=plain_c(0.002) if penalty == "l2" else None)  # fmt: skip


def adam_race(peer, theirs, k, batch, n, d, bar, threads):
    loss = "log_loss" if k == 2 else f"softmax of {k}"
    ours = partial(skgd_fit, optimizer="adam", batch_size=batch, learning_rate=1e-3,
                   n_jobs=threads)  # fmt: skip
    return Race(f"Adam batch {batch}, {loss}, {n}x{d}", peer, bar, partial(dense, n, d, k),
                partial(theirs, batch=batch, threads=threads), ours)  # fmt: skip


def gradient_race(n, d, bar, threads):
    return Race(f"full gradient, {n}x{d}", "NumPy", bar, partial(gradient_data, n, d),
                partial(numpy_pass, threads=threads), partial(skgd_gradient, n_threads=threads),
                most=None)  # fmt: skip


def float32_race(race):
    return Race(f"{race.work}, float32", "skgd, float64", 1.0,
                lambda: (race.data(), race.data(np.float32)),
                lambda wide, _: race.ours(*wide, precondition=None),
                lambda _, narrow, precondition: race.ours(*narrow, precondition=precondition),
                most=race.most)  # fmt: skip


def small_race(name, peer, bar, theirs, **parameters):
    def ours(X, y, precondition):
        GDClassifier(precondition=precondition, **parameters).fit(X, y)

    return Race(f"iris, {name}", peer, bar, partial(load_iris, return_X_y=True),
                lambda X, y: theirs.fit(X, y), ours, most=None, calls=20)  # fmt: skip


def all_races(shrink, threads):
    """Return the races of the table, with fewer rows, and CSR columns, by a factor."""
    n, m, big = 200_000 // shrink, 100_000 // shrink, 1_000_000 // shrink
    small, wide = 20_000 // shrink, 100_000 // shrink
    races = [
        *(sgd_race("log_loss", n, d, bar) for d, bar in ((20, 4.5), (100, 5.0))),
        *(sgd_race(loss, n, 20, 4.0) for loss in ("hinge", *REGRESSION)),
        sgd_race("log_loss", small, 1000, 3.0),
        csr_race("l2", small, wide, 1.25, 1.0),
        csr_race("elasticnet", small, wide, 2.0, 1.5),
        adam_race("torch", torch_fit, 2, 256, n, 100, 14.0, threads),
        adam_race("torch", torch_fit, 2, 32, n, 100, 50.0, threads),
        adam_race("MLPClassifier", mlp_fit, 2, 256, n, 100, 8.0, threads),
        *(adam_race("MLPClassifier", mlp_fit, k, 256, m, 50, 3.0, threads) for k in (10, 30)),
        gradient_race(n, 100, 1.4, threads),
        gradient_race(big, 20, 2.5, threads),
    ]
    narrow = {race.work: float32_race(race) for race in races if race.dense}
    peer, same = LogisticRegression(), {"alpha": 1 / 150}
    return [*races, *narrow.values(), small_race("defaults", "LogisticRegression", 2.0, peer),
            small_race("alpha=1/150, its objective", "LogisticRegression", 2.0, peer, **same),
            small_race("n_jobs=2", "skgd, n_jobs=1", 0.95, GDClassifier(precondition=None),
                       n_jobs=2)]  # fmt: skip


def run_race(race, repetitions, clock):
    data = race.data()
    ours = (partial(race.ours, *data, precondition=value) for value in (None, "auto"))
    has_floor = race.floor is not None and library() is not None
    floor = [partial(race.floor, *data)] if has_floor else []
    functions = [partial(race.theirs, *data), *ours, *floor]
    times = clock.alternate(functions, repetitions, race.calls)
    theirs, plain = 1e3 * np.median(times[:, :2], axis=0)
    missed = ratio(times, 0, 1) < race.bar
    line = (f"{race.work:<50}{race.peer:<23}{theirs:>10.4g}{plain:>10.4g}{ratio(times, 0, 1):>8.2f}"
            f"{race.bar:>7.4g}{ratio(times, 0, 2):>9.2f}")  # fmt: skip
    if race.bar_default is not None:
        missed |= ratio(times, 0, 2) < race.bar_default
    if race.most is not None:
        more = ratio(times, 2, 1) - 1
        missed |= more > race.most
        line += f"{more:>8.0%}{race.most:>6.0%}"
    elif has_floor:
        line += f"{'':14}"
    if has_floor:
        missed |= ratio(times, 3, 1) < LEAST_OF_FLOOR
        line += f"{ratio(times, 3, 1):>7.2f}"
    print(line + ("  missed" if missed else ""), flush=True)


# ---- figures ------------------------------------------------------------------------------------

def print_figure(what, value, unit, least=None, most=None):
    bar = f"at least {least:g}" if least is not None else f"at most {most:g}" if most else ""
    missed = (least is not None and value < least) or (most is not None and value > most)
    print(f"{what:<72}{value:>9.3g} {unit:<10}{bar:<12}{'  missed' if missed else ''}", flush=True)


def python_optimizer(shrink, repetitions, clock):
    def contenders(d, **settings):
        return [partial(skgd_fit, *dense(n, d, 2), epochs=1, learning_rate=1e-3,
                        optimizer=optimizer, **settings) for optimizer in (PlainStep(), "sgd")]

    def numpy_steps():
        w, g = np.zeros(21), np.ones(21)
        for _ in range(n):
            w -= 1e-3 * g

    n = 200_000 // shrink
    for value in (None, "auto"):
        functions = [*contenders(20, batch_size=1, precondition=value), numpy_steps]
        times = clock.alternate(functions, repetitions)
        over = 1e6 * np.median(times[:, 0] - times[:, 2]) / n
        name = f"python optimizer, precondition={value!r}"
        print_figure(f"{name}, batch 1, over NumPy's own time", over, "us a step", most=2.0)
        print_figure(f"{name}, batch 1, relative to the built-in", ratio(times, 0, 1), "x")
        times = clock.alternate(contenders(100, batch_size=256, precondition=value),
                                repetitions)  # fmt: skip
        figure = f"{name}, batch 256, relative to the built-in"
        print_figure(figure, ratio(times, 0, 1), "x", most=1.5)


def bandwidth(shrink, repetitions, _):
    for d, least in ((20, 0.6), (50, 0.8), (100, 0.8)):
        data = gradient_data(20_000_000 // shrink // d, d)
        X, functions = data[1], [data[1].sum]
        for k in (1, 2):
            functions.append(partial(skgd_gradient, *data, n_threads=k))
            functions.append(partial(numpy_pass, *data, threads=k, gradient=False))
        times = alternate(functions, 3 * repetitions)
        speed = X.nbytes / np.median(times, axis=0) / 1e9
        name = f"bandwidth, {len(X)}x{d}"
        print_figure(f"{name}, X.sum()", speed[0], "GB/s")
        for k, column in ((1, 1), (2, 3)):
            relative = ratio(times, column + 1, column)
            print_figure(f"{name}, full gradient, n_jobs={k}", speed[column], "GB/s")
            figure = f"{name}, relative to X @ w with {k} BLAS threads"
            print_figure(figure, relative, "x", least=0.6)
        print_figure(f"{name}, relative to X.sum(), n_jobs=1", ratio(times, 0, 1), "x", least=least)


def threads(shrink, repetitions, _):
    n = 1_000_000 // shrink
    data = gradient_data(n, 20)
    times = alternate([partial(skgd_gradient, *data, n_threads=k) for k in (1, 2)], 3 * repetitions)
    print_figure(f"threads, {n}x20, full gradient, 2 against 1", ratio(times, 0, 1), "x", least=1.4)
    models = [GDClassifier(optimizer="lbfgs", max_iter=5, tol=None, n_jobs=k) for k in (1, 2, 4)]
    coefs = [model.fit(*dense(n, 20, 2)).coef_ for model in models]
    same = all(np.array_equal(coefs[0], coef) for coef in coefs)
    print_figure("threads, 1, 2 and 4 the same to the bit (1 is yes)", same, "", least=1)


def main():
    only, shrink, repetitions, clock = read_options(__doc__, 5, 2)
    warnings.simplefilter("ignore")  # that so few epochs are not enough
    print(f"{clock.describe(repetitions)}, NumPy {np.__version__}, "
          f"scikit-learn {sklearn.__version__}, torch {torch and torch.__version__}\n\n"
          f"{'work':<50}{'peer':<23}{'peer ms':>10}{'skgd ms':>10}{'ratio':>8}{'bar':>7}"
          f"{'default':>9}{'more':>8}{'most':>6}{'floor':>7}")  # fmt: skip
    for race in all_races(shrink, clock.n_threads):
        if clock.cpu and "n_jobs" in race.work:
            continue
        if only not in f"{race.work}, {race.peer}":
            continue
        if torch is None and race.peer.startswith("torch"):
            print(f"{race.work:<50}left out: torch is not installed")
        else:
            run_race(race, repetitions, clock)
    for figures in (python_optimizer,) if clock.cpu else (python_optimizer, bandwidth, threads):
        if only in figures.__name__.replace("_", " "):
            figures(shrink, repetitions, clock)


if __name__ == "__main__":
    main()
