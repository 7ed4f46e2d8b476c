"""Streams: what partial_fit learns by default, from the first rows on."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from skgd import DivergenceWarning, GDClassifier, GDRegressor, GDSearchCV, minimize
from skgd.losses import Loss, Poisson, Tweedie
from skgd.optimizers import SGD, Optimizer
from skgd.schedules import Constant, Cosine

RAW = np.geomspace(1e-3, 1e6, 10)


def rows(n, d=10, seed=0):
    rng = np.random.default_rng(seed)
    X, noise = rng.normal(size=(n, d)), rng.normal(size=n)
    return X, X @ rng.normal(size=d), noise


def learned(model, X, y, call, n_rows, scaler=None):
    """Return a model after the first rows, in calls of some rows."""
    options = {"classes": np.unique(y)} if hasattr(model, "class_weight") else {}
    for start in range(0, n_rows, call):
        chunk = X[start:min(start + call, n_rows)]
        if scaler is not None:
            chunk = scaler.partial_fit(chunk).transform(chunk)
        model.partial_fit(chunk, y[start:min(start + call, n_rows)], **options)
    return model


def data(kind):
    X, margin, noise = rows(2200)
    if kind == "9 %":
        return X, (margin + noise > np.quantile(margin + noise, 0.91)).astype(int)
    if kind == "3 classes":
        return X * RAW + 5 * RAW, np.digitize(margin + noise, [-2.0, 2.0])
    y = margin + 0.3 * noise
    return {
        "raw": (X * RAW + 5 * RAW, 1e4 + 100 * y), "float32": (X.astype(np.float32), y),
        "dense": (X, y), "csr": (sparse.csr_matrix(X * (np.abs(X) > 1)), y),
    }[kind]  # fmt: skip


@pytest.mark.parametrize("kind, call, n_rows", [("dense", 1, 200)] + [
    (kind, *calls) for kind in ("dense", "raw", "float32", "csr", "9 %", "3 classes")
    for calls in ((10, 200), (50, 200), (50, 1000), (500, 500))
])  # fmt: skip
def test_defaults_are_level_with_sgd_behind_a_running_scaler(kind, call, n_rows):
    X, y = data(kind)
    classifies, held_out = kind in ("9 %", "3 classes"), slice(1000, None)
    ours = GDClassifier(random_state=0) if classifies else GDRegressor(random_state=0)
    theirs = SGDClassifier("log_loss", random_state=0) if classifies else SGDRegressor()
    scaler = StandardScaler(with_mean=not sparse.issparse(X))
    learned(ours, X, y, call, n_rows)
    learned(theirs, X, y, call, n_rows, scaler)
    X, y = X[held_out], y[held_out]
    if not classifies:
        assert ours.score(X, y) > theirs.score(scaler.transform(X), y) - 0.01
        return
    loss, share = log_loss(y, ours.predict_proba(X)), np.bincount(y) / len(y)
    assert loss < log_loss(y, theirs.predict_proba(scaler.transform(X)))
    assert loss < 0.8 * -share @ np.log(share)


def test_the_default_follows_a_drift():
    X, _, noise = rows(20000, 5)
    angle = np.linspace(0, 3, len(X))
    y = np.cos(angle) * X[:, 0] + np.sin(angle) * X[:, 1] + 0.1 * noise
    model = learned(GDRegressor(random_state=0), X, y, 500, len(X))
    assert_allclose(model.coef_[:2], [np.cos(3), np.sin(3)], atol=0.12)


def counts(n=2000):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    return X, rng.poisson(np.exp(0.5 * X[:, 0] + 1)).astype(float)


@pytest.mark.parametrize("loss", ["poisson", Tweedie(1.5)])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
@pytest.mark.filterwarnings("ignore::skgd.DivergenceWarning")  # of a best objective of 0
def test_counts_that_begin_with_zeros_recover(loss, layout):
    X, y = counts()
    y[:50] = 0.0
    model = learned(GDRegressor(loss, random_state=0), layout(X), y, 50, len(y))
    assert model.predict(X[50:]).mean() == pytest.approx(y[50:].mean(), rel=0.05)


@pytest.mark.filterwarnings("ignore::skgd.DivergenceWarning")
def test_rows_of_counts_that_begin_with_zeros_recover():
    X, y = counts(150)
    y[:20] = 0.0
    model = learned(GDRegressor("poisson", random_state=0), X, y, 1, len(y))
    assert model.predict(X).mean() == pytest.approx(y.mean(), rel=0.2)


def test_an_output_that_begins_with_zeros_recovers_next_to_another():
    X, y = counts()
    Y = np.column_stack([y, np.where(np.arange(len(y)) < 200, 0.0, y)])
    model = learned(GDRegressor("poisson", random_state=0), X, Y, 50, len(y))
    assert_allclose(model.predict(X[200:]).mean(axis=0), Y[200:].mean(axis=0), rtol=0.05)


@pytest.mark.parametrize("optimizer", ["auto", "sgd", "adam"])
def test_a_warm_start_from_zeros_recovers(optimizer):
    X, y = counts(500)
    model = GDRegressor(Poisson(), optimizer=optimizer, warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, 0 * y).fit(X, y)
    assert model.predict(X).mean() == pytest.approx(y.mean(), rel=0.03)


def test_rare_counts_do_not_diverge():
    X, _ = counts()
    y = np.random.default_rng(1).poisson(0.03 * np.exp(0.5 * X[:, 0])).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = learned(GDRegressor("poisson", random_state=0), X, y, 50, len(y))
    assert model.predict(X).mean() == pytest.approx(y.mean(), rel=0.2)


# ---- steps that change nothing ------------------------------------------------------------------

class Rebinding(Optimizer):
    slots = 0

    def update(self, w, g, state, rate, t):
        w = w - rate * g


class Returning(Optimizer):
    slots = 0

    def update(self, w, g, state, rate, t):
        return w - rate * g


NOTHING = {
    "rebinds": {"optimizer": Rebinding(), "learning_rate": 0.1},
    "returns": {"optimizer": Returning(), "learning_rate": 0.1},
    "full": {"optimizer": Rebinding(), "learning_rate": 0.1, "batch_size": "full"},
    "zeros": {"learning_rate": lambda t: 0.0 * t}, "constant": {"learning_rate": Constant(0.0)},
}  # fmt: skip


@pytest.mark.parametrize("settings", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_steps_that_change_nothing_are_an_error(method, settings):
    X, y, _ = rows(100, 3)
    with pytest.raises(ValueError, match="no update step has changed the coefficients"):
        getattr(GDRegressor(**settings), method)(X, y)


def test_a_search_counts_steps_that_change_nothing_as_a_failed_fit():
    X, y, _ = rows(100, 3)
    search = GDSearchCV(
        GDRegressor(optimizer=Rebinding()), {"learning_rate": [0.1]}, error_score="raise"
    )
    with pytest.raises(ValueError, match="no update step has changed the coefficients"):
        search.fit(X, y)


@pytest.mark.parametrize("rule", [Rebinding(), Returning()])
def test_minimize_says_that_no_step_changed_x(rule):
    with pytest.raises(ValueError, match="have not changed x"):
        minimize(lambda x: x @ x, [1.0, 2.0], jac=lambda x: 2 * x, optimizer=rule, max_iter=9)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("rate", [0, 0.0])
def test_a_rate_of_zero_is_an_error(rate, method):
    X, y, _ = rows(100, 3)
    with pytest.raises(ValueError, match="learning_rate=0.*pass a number above 0"):
        getattr(GDRegressor(learning_rate=rate), method)(X, y)


@pytest.mark.parametrize("batch_size", [16, "full"])
def test_a_minimum_at_the_start_is_no_error(batch_size):
    X, y, _ = rows(100, 3)
    settings = {"optimizer": SGD(), "learning_rate": 0.1, "batch_size": batch_size}
    l1 = GDRegressor(penalty="l1", alpha=1e3, **settings).fit(X, y)
    assert not l1.coef_.any()
    GDRegressor(**settings).fit(X, np.full(len(y), 5.0))
    GDRegressor(**settings).fit(X, np.zeros(len(y)))
    warm = GDRegressor(warm_start=True, **settings).fit(X, y).fit(X, y).fit(X, y)
    assert warm.score(X, y) > 0.99


def test_a_stream_may_begin_with_a_rate_of_zero():
    X, y, _ = rows(100, 3)
    model = GDRegressor(learning_rate=lambda t: 0.1 * np.minimum(t / 10, 1.0))
    assert learned(model, X, y, 1, 100).score(X, y) > 0.5


def test_a_stream_that_outlasts_its_schedule_is_told_so():
    X, y, _ = rows(100, 3)
    model = GDRegressor(learning_rate=Cosine(0.1), max_iter=3, tol=None).fit(X, y)
    before = model.coef_
    with pytest.warns(ConvergenceWarning, match="min_rate above 0: the schedule has come to its"):
        model.partial_fit(X, y)
    assert_allclose(model.coef_, before, rtol=1e-12)


# ---- counts and averages ------------------------------------------------------------------------

@pytest.mark.parametrize("optimizer", ["auto", "adam", "lbfgs"])
def test_the_epochs_of_a_warm_start_are_its_own(optimizer):
    X, y, _ = rows(100, 3)
    model = GDRegressor(
        optimizer=optimizer, warm_start=True, tol=1e-12, max_iter=7, random_state=0
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(3):
            model.fit(X, y)
            assert model.n_iter_ == len(model.history_["epoch"]) <= 7


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("average", [False, True, 1, 2, 10, 100, 101, 1000])
def test_an_average_begins_where_that_of_sgd_does(average, epochs):
    X, y, noise = rows(100, 3)
    y = y + noise
    theirs = SGDRegressor(
        learning_rate="constant", eta0=0.02, alpha=0.01, shuffle=False, tol=None, max_iter=epochs,
        average=average,
    ).fit(X, y)  # fmt: skip
    ours = GDRegressor(
        optimizer="sgd", learning_rate=0.02, alpha=0.01, shuffle=False, tol=None, max_iter=epochs,
        average=average, batch_size=1, precondition=None,
    ).fit(X, y)  # fmt: skip
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-9)


@pytest.mark.parametrize("share, n_batches", [(0.5, 2), (0.25, 4), (0.1, 10), (1 / 3, 3), (1.0, 1)])
@pytest.mark.parametrize("n", [569, 568, 30, 10])
def test_a_share_of_the_rows_makes_as_many_batches(share, n_batches, n):
    X, y, _ = rows(n, 3)
    model = GDRegressor(optimizer="adam", batch_size=share, max_iter=1, tol=None).fit(X, y)
    assert model.t_ == n_batches


# ---- buffers that are not aligned ---------------------------------------------------------------

def unaligned(array):
    """Return the same numbers one byte off, as buffers of Arrow and Dask may give them."""
    if sparse.issparse(array):
        copied = array.copy()
        for name in ("data", "indices", "indptr"):
            setattr(copied, name, unaligned(getattr(array, name)))
        return copied
    array = np.ascontiguousarray(array)
    moved = np.frombuffer(bytearray(array.nbytes + 1), np.uint8)[1:]
    moved = np.frombuffer(moved.data, array.dtype).reshape(array.shape)
    moved[...] = array
    assert not moved.flags.aligned
    return moved


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("estimator", [GDRegressor, GDClassifier])
def test_unaligned_buffers_are_the_same_data(estimator, layout, dtype):
    X, y, _ = rows(100, 3)
    X, s = layout(X.astype(dtype)), np.linspace(1, 2, 100)
    y = (y > 0).astype(float)
    settings = {"optimizer": "adam", "max_iter": 5, "tol": None, "random_state": 0}
    models = []
    for moved in (lambda array: array, unaligned):
        data, targets, weights = moved(X), moved(y), moved(s)
        fitted = estimator(early_stopping=True, **settings).fit(
            data, targets, weights, X_val=data, y_val=targets, sample_weight_val=weights
        )
        init = moved(np.atleast_2d(fitted.coef_)), moved(fitted.intercept_)
        started = estimator(init=init, **settings).fit(data, targets)
        options = {"classes": [0.0, 1.0]} if estimator is GDClassifier else {}
        streamed = estimator(random_state=0).partial_fit(
            data, targets, sample_weight=weights, **options
        )
        models.append([
            *(model.coef_ for model in (fitted, started, streamed)), fitted.predict(data),
            fitted.optimality(data, targets, weights),
        ])  # fmt: skip
    for actual, expected in zip(*models, strict=True):
        assert_allclose(actual, expected, rtol=0)


# ---- streams that diverge -----------------------------------------------------------------------

class Quartic(Loss):
    def value(self, y, z):
        return (y - z) ** 4 / 4

    def gradient(self, y, z):
        return (z - y) ** 3


def test_a_stream_takes_a_rate_that_it_stands_by_itself():
    # Nothing is known about the loss's curvature, which grows with the residuals.
    X, y, _ = rows(60, 4)
    model = GDRegressor(Quartic(), random_state=0)
    for calls in range(1, 9):
        model.partial_fit(X, y)
        assert model.t_ == 60 * calls and model.n_iter_ == calls
        assert len(model.history_["epoch"]) == 1
    assert model.score(X, y) > 0.5


@pytest.mark.parametrize("rate", [1e4, 1e300])
@pytest.mark.parametrize("precondition", ["auto", None])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_a_stream_is_advised_is_never_a_rate_of_zero(optimizer, precondition, rate):
    X, y, _ = rows(60, 4)
    model = GDRegressor(optimizer=optimizer, learning_rate=rate, precondition=precondition)
    with pytest.warns(DivergenceWarning, match=r"learning_rate=[0-9.e+]*[1-9]"):
        model.partial_fit(X, y)
