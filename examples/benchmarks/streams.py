"""Learn from streams by default, compared with scikit-learn's SGD behind a running scaler.

    python streams.py [--only NAME] [--calls 1 10 50 500] [--rows 200 500 1000 5000]

For each stream and each number of rows a call of ``partial_fit``: a line for skgd with all defaults
and one for ``SGDRegressor`` or ``SGDClassifier(loss="log_loss")`` with all defaults, whose rows a
``StandardScaler`` scales that takes the same calls (without centring for CSR; SGD has no Poisson
loss, so there the peer is a ``SGDRegressor``). In it, after each number of rows, R2, for Poisson
D2, or the log loss, on rows that neither has seen. "!" marks where skgd is behind by more than
`MARGIN`.
"""

import argparse
import warnings

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import d2_tweedie_score, log_loss, r2_score
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor

HELD_OUT = 2000
MARGIN = 0.02
MEASURES = {"log_loss": "log loss", "poisson": "D2", "squared_error": "R2"}


def gaussian(rng, n, d, ratio=1.0):
    """Return normal columns whose correlations have eigenvalues that span a ratio."""
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0] * np.geomspace(1, ratio**-0.5, d)
    return rng.normal(size=(n, d)) @ axes.T


def linear(rng, n, d=10, ratio=1.0):
    X = gaussian(rng, n, d, ratio)
    margins = X @ rng.normal(size=d)
    return X, margins + 0.2 * margins.std() * rng.normal(size=n)


def raw(rng, n):
    """Return columns of sizes 1e-3 to 1e6, each ten of its own deviations from zero."""
    X, y = linear(rng, n)
    return (X + 10.0) * np.geomspace(1e-3, 1e6, X.shape[1]), 1e4 + 300.0 * y


def heavy(rng, n, d=10):
    X = rng.standard_t(3, size=(n, d))
    return X, X @ rng.normal(size=d) + rng.normal(size=n)


def single(rng, n):
    X, y = linear(rng, n)
    return X.astype(np.float32), y


def words(rng, n, d=1000, stored=20):
    """Return a CSR matrix whose columns are ever rarer, and numbers."""
    often = 1.0 / np.arange(1, d + 1) ** 0.7
    columns = rng.choice(d, size=n * stored, p=often / often.sum())
    starts = np.arange(0, n * stored + 1, stored)
    X = sparse.csr_matrix((np.ones(n * stored), columns, starts), (n, d))
    X.sum_duplicates()
    return X, X @ rng.normal(size=d) + rng.normal(size=n)


def classes(rng, X, k):
    width = X.nnz / X.shape[0] if sparse.issparse(X) else X.shape[1]
    margins = X @ rng.normal(size=(X.shape[1], k)) * (3.0 / np.sqrt(width))
    return (margins + rng.gumbel(size=margins.shape)).argmax(axis=1)


def rare(rng, n, d=10):
    """Return two classes, one of them 9 % of the rows."""
    X = gaussian(rng, n, d)
    margins = 2.0 * X @ rng.normal(size=d) / np.sqrt(d) + 0.5 * rng.logistic(size=n)
    return X, (margins > np.quantile(margins, 0.91)).astype(int)


def counts(rng, n, d=10):
    X = gaussian(rng, n, d)
    return X, rng.poisson(np.exp(0.5 * X @ rng.normal(size=d) / np.sqrt(d) + 0.5)).astype(float)


def three(rng, n):
    X = gaussian(rng, n, 8)
    return X, classes(rng, X, 3)


def binary(rng, n, d=20, ratio=30.0):
    X = gaussian(rng, n, d, ratio)
    return X, classes(rng, X, 2)


def scaled_classes(rng, n):
    X, y = three(rng, n)
    return (X + 10.0) * np.geomspace(1e-3, 1e6, X.shape[1]), y


def sparse_classes(rng, n):
    X, _ = words(rng, n)
    return X, classes(rng, X, 2)


STREAMS = {
    "10 columns": (linear, "squared_error"),
    "100 columns": (lambda rng, n: linear(rng, n, 100), "squared_error"),
    "correlated": (lambda rng, n: linear(rng, n, 20, 100.0), "squared_error"),
    "1e-3 to 1e6": (raw, "squared_error"),
    "heavy tails": (heavy, "squared_error"),
    "float32": (single, "squared_error"),
    "words": (words, "squared_error"),
    "counts": (counts, "poisson"),
    "a class of 9 %": (rare, "log_loss"),
    "2 classes": (binary, "log_loss"),
    "3 classes": (three, "log_loss"),
    "3 classes, raw": (scaled_classes, "log_loss"),
    "2 classes, words": (sparse_classes, "log_loss"),
}


class Scaled:
    """A peer whose rows a running scaler scales."""

    def __init__(self, model, centred):
        self.model, self.scaler = model, StandardScaler(with_mean=centred)

    def partial_fit(self, X, y, **options):
        self.model.partial_fit(self.scaler.partial_fit(X).transform(X), y, **options)

    def __getattr__(self, name):
        return lambda X: getattr(self.model, name)(self.scaler.transform(X))


def quality(model, X, y, loss):
    if loss == "log_loss":
        return log_loss(y, model.predict_proba(X))
    if loss == "poisson":
        return d2_tweedie_score(y, np.maximum(model.predict(X), 1e-3), power=1)
    return r2_score(y, model.predict(X))


def course(model, X, y, held_out, loss, call, marks):
    """Return the quality after each number of rows."""
    options = {"classes": np.unique(y)} if loss == "log_loss" else {}
    found = []
    for start in range(0, max(marks), call):
        rows = slice(start, start + call)
        model.partial_fit(X[rows], y[rows], **options)
        if start + call in marks:
            found.append(quality(model, *held_out, loss))
    return found


def models(loss, X):
    """Return skgd's estimator and its peer, both with all defaults."""
    ours = GDClassifier if loss == "log_loss" else GDRegressor
    peer = SGDClassifier("log_loss") if loss == "log_loss" else SGDRegressor()
    peer.set_params(random_state=0)
    return ours(loss, random_state=0), Scaled(peer, centred=not sparse.issparse(X))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 10, 50, 500])
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 500, 1000, 5000])
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, (make, loss) in STREAMS.items():
        if options.only not in name:
            continue
        X, y = make(np.random.default_rng(0), max(options.rows) + HELD_OUT)
        held_out = X[-HELD_OUT:], y[-HELD_OUT:]
        print(f"{name}: {MEASURES[loss]}")
        for call in options.calls:
            marks = [rows for rows in options.rows if rows % call == 0]
            ours, theirs = (
                np.array(course(model, X, y, held_out, loss, call, marks))
                for model in models(loss, X)
            )
            sign = -1 if loss == "log_loss" else 1
            behind = sign * (theirs - ours) > MARGIN
            for who, figures, marked in (("skgd", ours, behind), ("SGD", theirs, 0 * behind)):
                pairs = zip(figures, marked, strict=True)
                cells = (f"{x:9.3g}{'!' if m else ' '}" for x, m in pairs)
                print(f"  {call:4d} a call  {who:5s} " + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
