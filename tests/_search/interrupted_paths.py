"""Search along paths, one kind after the other, and say when each search is to be interrupted."""

import signal

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError

from skgd import GDClassifier, GDRegressor, GDSearchCV

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 200))
Y = X[:, 0] + RNG.normal(size=300)
ROWS = sparse.random_array((300, 2000), density=0.05, rng=RNG, format="csr")
SEARCHES = {
    "dense": (GDRegressor(penalty="l1"), X, Y),
    "sparse": (GDRegressor(penalty="l1"), ROWS, Y),
    "newton": (GDClassifier(penalty="l1"), X, Y > 0),
    # A single fit takes hours, in threads that no signal reaches.
    "long": (GDRegressor(optimizer="sgd", batch_size="full", tol=None, max_iter=10**8), X, Y),
}


def search_until_interrupted(estimator, rows, targets, n_jobs):
    search = GDSearchCV(estimator, {"alpha": np.geomspace(1.0, 1e-4, 3000)}, n_jobs=n_jobs)
    print("searching", flush=True)
    try:
        search.fit(rows, targets)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    assert not hasattr(search, "cv_results_")
    try:
        search.predict(rows)
    except (NotFittedError, AttributeError):
        print("not fitted", flush=True)
    search.set_params(param_grid={"alpha": [0.1, 0.03]}, estimator__max_iter=100)
    search.fit(rows, targets)
    print(len(search.cv_results_["params"]), flush=True)


if __name__ == "__main__":
    # A process that was started in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for n_jobs, kind in enumerate(SEARCHES.values(), 1):
        search_until_interrupted(*kind, n_jobs)
