"""Fit raw tables with only defaults, and say how far from the minimum each fit ends.

    python raw_tables.py FOLDER [--only NAME ...] [--max-rows 120000] [--no-peers] [--fast]
    python raw_tables.py --synthetic

FOLDER holds .npz tables and the ``load.py`` that reads them. The columns are not scaled. A line a
set: the missing share of the possible decrease, (F - F*) / (F0 - F*), where F0 belongs to the best
constant model and F* to an independent solver (least squares by QR, Newton's method with the full
Hessian); "~" marks sets too wide for that, where F* is the lowest value that a Newton-CG or any
solver of the line found. Next to it SGD on raw and on standardised columns, and Ridge or
LogisticRegression on the same objective, each with its missing share and its seconds.

--synthetic makes 200 000 rows and 100 columns, well scaled or spanning 1 to 1000 with offsets, and
gives each solver of LogisticRegression the largest tol with which it misses a share of 1e-6.
"""

import argparse
import json
import signal
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from _shared import read_tables
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import expit, log_softmax, softmax
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor

ALPHA = 1e-4
TASKS = ("regression", "count", "ordinal", "binary", "multiclass")
DENSE_PARAMETERS = 4000  # up to which the independent solver factorises the Hessian
SECONDS = 90.0  # that it may take
PEER_SECONDS = 60.0  # that --fast gives a peer


def losses(z, y, k):
    """Return the loss of each row: k is 0 for regression, else the number of classes."""
    if k == 0:
        return 0.5 * (y - z[:, 0]) ** 2
    if k == 2:
        return np.logaddexp(0.0, np.where(y == 1, -z[:, 0], z[:, 0]))
    return -log_softmax(z, axis=1)[np.arange(len(y)), y]


def mean_loss(X, y, k, coef, intercept):
    """Return the mean loss of raw coefficients."""
    rows = np.array_split(np.arange(len(y)), 1 + len(y) * X.shape[1] // 2**22)
    with np.errstate(all="ignore"):
        return sum(losses(X[r] @ coef.T + intercept, y[r], k).sum() for r in rows) / len(y)


def objective(X, y, k, coef, intercept):
    """Return mean loss plus alpha/2 times the squared coefficients."""
    with np.errstate(all="ignore"):
        return mean_loss(X, y, k, coef, intercept) + 0.5 * ALPHA * float(np.sum(coef**2))


def constant_model(y, k):
    """Return the objective of the best constant model."""
    if k == 0:
        return 0.5 * float(np.var(y))
    share = np.bincount(y) / len(y)
    return -float(share @ np.log(share))


def minimum(X, y, k):
    """Return the raw coefficients and intercepts of the minimum, and whether it is exact."""
    mean = np.asarray(X.mean(axis=0)).ravel()
    scale = np.sqrt(StandardScaler(with_mean=False).fit(X).var_ + ALPHA)
    if k == 0:
        return *least_squares(X, y, mean, scale), True
    exact = (1 if k == 2 else k) * (X.shape[1] + 1) <= DENSE_PARAMETERS
    if exact:
        Z = ((X.toarray() if sparse.issparse(X) else X) - mean) / scale
    else:
        Z, mean = sparse.csr_matrix(X) @ sparse.diags(1 / scale), np.zeros(len(mean))
    U, ended = newton(Z, y, k, scale, exact)
    return (coef := U[:, :-1] / scale), U[:, -1] - coef @ mean, exact and ended


def least_squares(X, y, mean, scale):
    X = X.toarray() if sparse.issparse(X) else X
    A = np.vstack([(X - mean) / scale / np.sqrt(len(y)), np.diag(np.sqrt(ALPHA) / scale)])
    b = np.concatenate([(y - y.mean()) / np.sqrt(len(y)), np.zeros(len(scale))])
    coef = linalg.lstsq(A, b, cond=1e-16, lapack_driver="gelsy", overwrite_a=True)[0] / scale
    return coef[None], np.array([y.mean() - coef @ mean])


def newton(Z, y, k, scale, exact):
    """Return the minimum over standardised columns by damped Newton steps."""
    (n, d), m = Z.shape, 1 if k == 2 else k
    Y = (y == 1)[:, None].astype(float) if m == 1 else np.eye(k)[y]
    U, penalty_diag = np.zeros((m, d + 1)), np.append(ALPHA / scale**2, 0.0)
    Z = np.column_stack([Z, np.ones(n)]) if exact else sparse.hstack([Z, np.ones((n, 1))]).tocsr()

    def value(U, z):
        return float(losses(z, y, k).mean() + 0.5 * np.sum(penalty_diag * U**2))

    z = np.zeros((n, m))
    f, first, size, damping = value(U, z), constant_model(y, k), None, 1e-15
    ends = time.perf_counter() + SECONDS
    while time.perf_counter() < ends:
        p = expit(z) if m == 1 else softmax(z, axis=1)
        g = (Z.T @ (p - Y)).T / n + penalty_diag * U
        norm = np.sqrt(np.sum(g**2))
        size = size or norm
        if norm <= 1e-12 or (not exact and norm <= 1e-9 * size):
            return U, True
        if exact:
            step, damping = factorised(hessian(Z, p, penalty_diag), g, damping)
        else:
            step = conjugate(Z, p, penalty_diag, g, min(0.1, np.sqrt(norm / size)))
        decrement, t, move = float(np.sum(g * step)), 1.0, Z @ step.T
        while t > 1e-6 and not value(U - t * step, z - t * move) < f - 1e-4 * t * decrement:
            t /= 2
        if t <= 1e-6 or decrement <= 1e-15 * abs(first - f):
            return U, decrement <= 1e-8 * abs(first - f)
        U, z = U - t * step, z - t * move
        f = value(U, z)
    return U, False


def hessian(Z, p, penalty_diag):
    (n, q), m = Z.shape, p.shape[1]
    H = np.zeros((m, q, m, q))
    for c in range(m):
        for e in range(c + 1):
            weight = p[:, c] * ((c == e) - p[:, e]) / n
            H[c, :, e] = (Z * weight[:, None]).T @ Z
            H[e, :, c] = H[c, :, e].T
        H[c, np.arange(q), c, np.arange(q)] += penalty_diag
    return H.reshape(m * q, m * q)


def factorised(H, g, damping):
    """Solve a system with a Hessian, with as much damping as its factor needs."""
    diagonal = H.diagonal().copy()
    while True:
        try:
            np.fill_diagonal(H, diagonal * (1 + damping))
            return linalg.cho_solve(linalg.cho_factor(H), g.ravel()).reshape(g.shape), damping
        except linalg.LinAlgError:
            damping *= 10


def conjugate(Z, p, penalty_diag, g, tol):
    def product(v):
        V = v.reshape(g.shape)
        move = p * (Z @ V.T)
        move -= p * (move.sum(axis=1, keepdims=True) if p.shape[1] > 1 else move)
        return ((Z.T @ move).T / len(p) + penalty_diag * V).ravel()

    A = LinearOperator((g.size, g.size), matvec=product, dtype=float)
    return cg(A, g.ravel(), rtol=tol, maxiter=300)[0].reshape(g.shape)


def give_up(*_):
    raise TimeoutError


def timed_fit(make, X, y, limit=0.0):
    """Return the model, the seconds (of fast fits the best of three) and the warnings."""
    times = []
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            while not times or (len(times) < 3 and times[-1] < 1.0):
                begun = time.perf_counter()
                model = make().fit(X, y)
                times.append(time.perf_counter() - begun)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return model, min(times), sorted({str(w.message)[:160] for w in caught})


def peers(X, k):
    """Return the constructors of the peers by name; those that end in "std" get a scaler."""
    C = 1 / (ALPHA * X.shape[0])
    if k == 0:
        return {"sgd raw": SGDRegressor, "sgd std": SGDRegressor, "ridge": partial(Ridge, 1 / C)}
    found = dict.fromkeys(("sgd raw", "sgd std"), partial(SGDClassifier, loss="log_loss"))
    found["lbfgs"] = partial(LogisticRegression, C=C, max_iter=1000)
    if k * X.shape[1] <= 2000:
        found["newton-chol"] = partial(found["lbfgs"], solver="newton-cholesky", tol=1e-6)
    return found


def fit_peer(make, scaled, X, y, k, limit):
    """Return the peer's objective on raw columns and its seconds; nan and inf if it fails."""
    try:
        dense = not sparse.issparse(X)
        begun = time.perf_counter()
        scaler = StandardScaler(with_mean=dense).fit(X) if scaled else None
        Z = scaler.transform(X) if scaled else X
        spent = time.perf_counter() - begun
        model, seconds, _ = timed_fit(make, Z, y, limit)
        coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
        if scaled:
            coef = coef / scaler.scale_
            intercept = intercept - (coef @ scaler.mean_ if dense else 0.0)
        return objective(X, y, k, coef, intercept), seconds + spent
    except Exception as error:
        return np.nan, np.inf if isinstance(error, TimeoutError) else np.nan


def read(load, name, max_rows):
    """Return the training and test rows of a set, y encoded, and the number of classes or 0."""
    X, y, Xt, yt, meta = load.train_test(name)
    if len(y) > max_rows:
        rows = np.sort(np.random.default_rng(0).permutation(len(y))[:max_rows])
        X, y = X[rows], y[rows]
    if meta["task"] not in ("binary", "multiclass"):
        return X, y.astype(float), Xt, yt.astype(float), 0, meta["task"]
    classes, y = np.unique(y, return_inverse=True)
    known = np.isin(yt, classes)
    return X, y, Xt[known], np.searchsorted(classes, yt[known]), len(classes), meta["task"]


def measure(load, name, args, cache):
    X, y, Xt, yt, k, task = read(load, name, args.max_rows)
    first, key = constant_model(y, k), f"{name} {len(y)}"
    if key not in cache:
        coef, intercept, exact = minimum(X, y, k)
        cache[key] = objective(X, y, k, coef, intercept), exact
    best, exact = cache[key]
    model, seconds, told = timed_fit(GDClassifier if k else GDRegressor, X, y)
    coef = np.atleast_2d(model.coef_)
    values = {"skgd": (objective(X, y, k, coef, model.intercept_), seconds)}
    if not args.no_peers:
        for peer, make in peers(X, k).items():
            limit = PEER_SECONDS if args.fast else 0.0
            values[peer] = fit_peer(make, peer.endswith("std"), X, y, k, limit)
    if not exact:
        cache[key] = best, exact = np.nanmin([best, *(f for f, _ in values.values())]), exact
    score = mean_loss(Xt, yt, k, coef, model.intercept_)
    score = 1 - 2 * score / np.mean((yt - yt.mean()) ** 2) if k == 0 else score
    result = {peer: ((f - best) / (first - best), t) for peer, (f, t) in values.items()}
    size = f"{X.shape[0]} x {X.shape[1]}" + (f" x {k}" if k > 2 else "")
    line = f"{name:15s} {task:10s} {size:18s} {result['skgd'][0]:8.1e}{' ' if exact else '~'} "
    line += f"{model.stop_reason_:9s} {model.n_iter_:4d} {seconds:8.4f}s "
    line += f"{'R2' if k == 0 else 'logloss'} {score:.4f}"
    for peer, (share, t) in list(result.items())[1:]:
        text = "-" if np.isnan(t) else f"{share:.0e} {t:.4f}s"
        text = f">{PEER_SECONDS:g}s" if np.isinf(t) else text
        line += f" | {peer} {text}"
    print(line, *(f"\n    {text}" for text in told), sep="", flush=True)
    return len(y), result


def synthetic(n, d):
    """Print the seconds to a missing share of 1e-6, for skgd and LogisticRegression's solvers."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(n, d))
    y = (Z @ rng.normal(size=d) / np.sqrt(d) + rng.logistic(size=n) > 0).astype(int)
    scale = np.logspace(0.0, 3.0, d)
    C = 1 / (ALPHA * n)
    for name, X in ("well scaled", Z), ("1:1000, offsets", (Z + rng.normal(0.0, 3.0, d)) * scale):
        X = np.ascontiguousarray(X)
        coef, intercept, _ = minimum(X, y, 2)
        best = objective(X, y, 2, coef, intercept)
        goal = best + 1e-6 * (constant_model(y, 2) - best)
        ours = seconds_to(goal, GDClassifier, X, y)
        print(f"{name}: skgd {ours:.3f}s", end="", flush=True)
        for solver in ("lbfgs", "newton-cholesky", "newton-cg", "sag", "saga"):
            steps = 30 if solver.startswith("sag") else 1000
            make = partial(LogisticRegression, C=C, solver=solver, max_iter=steps)
            theirs = seconds_to(goal, make, X, y)
            print(f" | {solver} {theirs:.3f}s, ratio {theirs / ours:.1f}", end="", flush=True)
        print()


def seconds_to(goal, make, X, y):
    """Return the seconds with the largest tol that reaches an objective; inf if none does."""
    for tol in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        try:
            model, seconds, told = timed_fit(partial(make, tol=tol), X, y, PEER_SECONDS)
        except TimeoutError:
            break
        if objective(X, y, 2, model.coef_, model.intercept_) <= goal:
            return seconds
        if told:
            break
    return np.inf


def summary(rows):
    shares = np.array([result["skgd"][0] for _, result in rows])
    print(f"\n{len(rows)} sets: share at most 1e-3 on {np.sum(shares <= 1e-3)} (bar: all)")
    print(f"share at most 1e-5 on {np.mean(shares <= 1e-5):.0%} (bar: 80 %)")
    for peer, bar, bound in (("lbfgs", 4.0, 2.0), ("newton-chol", 1.0, None), ("ridge", None, 3.0)):
        both = [(n, r["skgd"][1], r[peer][1]) for n, r in rows if peer in r]
        both = [t for n, *t in both if np.isfinite(t[1]) and (n >= 2000 or peer == "ridge")]
        if not both:
            continue
        ours, theirs = np.transpose(both)
        ratio = np.exp(np.mean(np.log(theirs / ours)))
        worst = np.max((ours - 0.005) / theirs)
        print(
            f"{peer}: {len(ours)} sets, geometric mean of its time over skgd's {ratio:.2f} (bar: "
            f"{bar}), worst (skgd - 5 ms) / {peer} {worst:.2f} (bar: {bound})"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--synthetic", action="store_true", help="made data and no table")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the sets to take")
    parser.add_argument("--max-rows", type=int, default=120_000)
    parser.add_argument("--no-peers", action="store_true", help="fit skgd alone")
    parser.add_argument("--fast", action="store_true", help="give a peer up after 60 seconds")
    parser.add_argument("--cache", type=Path, help="a json file that keeps F*")
    args = parser.parse_args()
    if args.synthetic:
        synthetic(200_000, 100)
        return
    load = read_tables(args.folder)
    cache = json.loads(args.cache.read_text()) if args.cache and args.cache.exists() else {}
    rows = []
    names = [name for name in args.only or load.names() if load.info(name)["task"] in TASKS]
    for name in names:
        try:
            rows.append(measure(load, name, args, cache))
        except Exception as error:
            print(f"{name:15s} {type(error).__name__}: {error}", flush=True)
            rows.append((0, {"skgd": (np.nan, np.nan)}))
        if args.cache:
            args.cache.write_text(json.dumps(cache, indent=1))
    summary(rows)


if __name__ == "__main__":
    main()
