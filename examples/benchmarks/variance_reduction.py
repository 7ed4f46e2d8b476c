"""How far SVRG and SAGA come per pass and per second, compared with scikit-learn's sag and saga.

    python examples/benchmarks/variance_reduction.py

Columns are standardised, which is what the peers need. The passes and the milliseconds are those
until the objective is as near to its minimum as the head of the column says, relative to the best
constant model; "-" is beyond 100 passes. Times are of one thread, the better of two runs; SVRG's
snapshots count as passes.
"""

import time
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skgd import GDClassifier, GDRegressor

NEAR = (1e-2, 1e-4, 1e-6, 1e-8)
PASSES = (1, 2, 3, 4, 6, 8, 11, 15, 20, 30, 45, 70, 100)


def made(n, d, classes):
    """Return correlated columns and noisy targets."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n, d)) @ (np.eye(d) + generator.normal(size=(d, d)) / np.sqrt(d))
    margins = X @ generator.normal(size=d) / d**0.5 + generator.normal(size=n)
    return X, margins > 0 if classes else margins


def problems():
    """Yield a name, X, y and alpha."""
    X, y = load_digits(return_X_y=True)
    yield "digits < 5", X, y < 5, 1e-3
    yield "breast cancer", *load_breast_cancer(return_X_y=True), 1e-2
    yield "20 000 x 50, two classes", *made(20_000, 50, True), 1e-4
    yield "diabetes", *load_diabetes(return_X_y=True), 1e-2
    yield "20 000 x 50, a number", *made(20_000, 50, False), 1e-4


def objective(model, X, y, alpha):
    """Return the value that all of them minimise."""
    z = X @ np.ravel(model.coef_) + np.ravel(model.intercept_)[0]
    loss = np.logaddexp(0, np.where(y, -z, z)) if y.dtype == bool else 0.5 * (y - z) ** 2
    return loss.mean() + 0.5 * alpha * (np.ravel(model.coef_) ** 2).sum()


def competitors(classification, n, alpha):
    """Return a function of the number of passes for each solver."""
    ours, peer = (GDClassifier, LogisticRegression) if classification else (GDRegressor, Ridge)
    strength = {"C": 1 / (alpha * n)} if classification else {"alpha": alpha * n}

    def own(name):
        return lambda k: ours(optimizer=name, alpha=alpha, max_iter=k, tol=None, random_state=0)

    def other(name):
        return lambda k: peer(solver=name, max_iter=k, tol=0.0, random_state=0, **strength)

    return {"skgd saga": own("saga"), "skgd svrg": own("svrg"),
            "sklearn sag": other("sag"), "sklearn saga": other("saga")}  # fmt: skip


def trace(make, X, y, alpha):
    """Return the passes, the seconds and the objective after each of several lengths of a fit."""
    rows = []
    for k in PASSES:
        seconds = []
        for _ in range(2):
            model = make(k)
            begun = time.perf_counter()
            model.fit(X, y)
            seconds.append(time.perf_counter() - begun)
        passes = model.history_["passes"][-1] if hasattr(model, "history_") else k
        rows.append((passes, min(seconds), objective(model, X, y, alpha)))
        if passes >= PASSES[-1]:
            break
    return np.array(rows)


def first(rows, column, level):
    """Return the first entry of a column whose objective is below the level."""
    below = np.flatnonzero(rows[:, 2] <= level)
    return rows[below[0], column] if below.size else None


def show(value, scale, form):
    return "-" if value is None else format(scale * value, form)


def main():
    warnings.simplefilter("ignore")
    for name, X, y, alpha in problems():
        X = StandardScaler().fit_transform(X)
        classification = y.dtype == bool or set(np.unique(y)) == {0, 1}
        y = y.astype(bool) if classification else (y - y.mean()) / y.std()
        estimator = GDClassifier if classification else GDRegressor
        best = objective(estimator(alpha=alpha, tol=1e-14).fit(X, y), X, y, alpha)
        share = y.mean()
        constant = (
            -share * np.log(share) - (1 - share) * np.log(1 - share) if classification else 0.5
        )
        levels = [best + near * (constant - best) for near in NEAR]
        print(f"\n{name}, {X.shape[0]} x {X.shape[1]}, alpha {alpha:g}")
        heads = "".join(f"{near:>8.0e}" for near in NEAR)
        print(f"{'':14}{'passes:':8}{heads}   {'ms:':4}{heads}")
        for solver, make in competitors(classification, len(y), alpha).items():
            rows = trace(make, X, y, alpha)
            passes = "".join(f"{show(first(rows, 0, level), 1, '.0f'):>8}" for level in levels)
            times = "".join(f"{show(first(rows, 1, level), 1e3, '.1f'):>8}" for level in levels)
            print(f"{solver:14}{'':8}{passes}   {'':4}{times}")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
