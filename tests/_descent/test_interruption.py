"""Ctrl-C, fits in threads, and workers that are killed."""

import os
import pickle
import signal
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest
from joblib import Parallel, delayed
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from threadpoolctl import ThreadpoolController, threadpool_limits

from skgd import GDClassifier, GDRegressor
from skgd._utils.linalg import one_thread
from skgd.callbacks import Callback, TimeLimit
from skgd.losses import Loss

DIABETES = load_diabetes(return_X_y=True, scaled=False)
IRIS = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def _interruptible():
    """A process that was started in the background ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Slow(Loss):
    """Half the squared residual, in a Python loop that a signal must get through."""

    def value(self, y, z):
        return 0.5 * (z - y) ** 2

    def gradient(self, y, z):
        return z - y


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "learning_rate": 1e-5, "batch_size": 1},
        {"optimizer": "adam", "learning_rate": 1e-5, "batch_size": 64},
        {"optimizer": "sgd", "learning_rate": 1e-5, "batch_size": "full"},
        {"optimizer": "gradient_descent"},
        {"optimizer": "lbfgs", "loss": "huber"},
        {"optimizer": "auto", "penalty": "l1", "loss": "log_cosh"},
        {"optimizer": "adam", "learning_rate": 1e-5, "batch_size": 64, "loss": Slow()},
        {"optimizer": "gradient_descent", "loss": Slow()},
    ],
    ids=str,
)
def test_ctrl_c_is_answered_at_once_and_leaves_a_model(settings):
    X, y = DIABETES
    X, y = np.tile(X, (800, 1)), np.tile(y, 800)
    model = GDRegressor(tol=None, max_iter=10**9, random_state=0, **settings)
    sent = []

    def send():
        sent.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.15, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        waited = time.perf_counter() - sent[0]
    finally:
        timer.cancel()
    assert waited < 0.2
    assert model.stop_reason_ == "interrupted"
    assert not model.converged_
    assert np.all(np.isfinite(model.predict(X)))


def test_an_interrupted_fit_keeps_its_best_epoch_and_says_so():
    class Interrupting(Callback):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            seen.append(fitted_estimator)
            if context.task_id == 7:
                raise KeyboardInterrupt

    seen = []
    model = GDRegressor(optimizer="adam", learning_rate=0.5, tol=None, random_state=0)
    with pytest.raises(KeyboardInterrupt) as caught:
        model.set_callbacks(Interrupting()).fit(*DIABETES)
    assert caught.value.__notes__ == [
        "GDRegressor keeps the best coefficients so far; stop_reason_ is 'interrupted'."
    ]
    best = int(np.argmin(model.history_["objective"]))
    assert_array_equal(model.coef_, seen[best].coef_)
    assert model.n_iter_ == len(model.history_["objective"]) == 8
    assert model.stop_reason_ == "interrupted"
    assert GDRegressor().fit(*DIABETES).score(*DIABETES) > 0.5


@pytest.mark.parametrize("settings", [{"batch_size": 1, "optimizer": "sgd"}, {"batch_size": 64}])
def test_a_fit_in_a_thread_does_not_block_others(settings):
    X, y = np.tile(DIABETES[0], (500, 1)), np.tile(DIABETES[1], 500)
    model = GDRegressor(
        learning_rate=1e-5, tol=None, max_iter=10**6, **settings
    ).set_callbacks(TimeLimit(0.5))  # fmt: skip
    thread = threading.Thread(target=model.fit, args=(X, y))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(1e-3)
        turns += 1
    assert turns > 50
    assert model.stop_reason_ == "callback"


def test_fits_in_threads_give_what_they_give_alone():
    models = [
        GDClassifier(optimizer="adam", batch_size=16, tol=None, max_iter=30, random_state=k)
        for k in range(4)
    ]
    together = Parallel(n_jobs=4, backend="threading")(
        delayed(clone(model).fit)(*IRIS) for model in models
    )
    for model, other in zip(models, together, strict=True):
        assert_array_equal(model.fit(*IRIS).coef_, other.coef_)


def test_fits_at_the_same_time_leave_blas_its_threads():
    def threads():
        libraries = ThreadpoolController().select(user_api="blas").info()
        return [library["num_threads"] for library in libraries]

    one, other = ExitStack(), ExitStack()
    with threadpool_limits(2, "blas"):
        before = threads()
        one.enter_context(one_thread())
        other.enter_context(one_thread())
        one.close()
        assert set(threads()) == {1}
        other.close()
        assert threads() == before == [2] * len(before)


class Deadly(Loss):
    """Kills its process, if the file that it is given is there."""

    def __init__(self, path=None):
        self.path = path

    def value(self, y, z):
        return 0.5 * (z - y) ** 2

    def gradient(self, y, z):
        if self.path is not None and os.path.exists(self.path):
            os.remove(self.path)
            os.kill(os.getpid(), signal.SIGKILL)
        return z - y


def fit_and_write(model, X, y, path):
    with open(path, "wb") as file:
        pickle.dump(model.fit(X, y), file)


def test_a_worker_that_is_killed_loses_nothing_of_the_others(tmp_path):
    mine = tmp_path / "kill"
    mine.touch()
    # A given rate: what BLAS rounds depends on its threads, of which workers have fewer.
    settings = {
        "optimizer": "sgd", "learning_rate": 0.1, "batch_size": "full", "tol": None, "max_iter": 20
    }  # fmt: skip
    models = [GDRegressor(loss="huber", alpha=a, **settings) for a in (0.1, 1.0)]
    models.append(GDRegressor(loss=Deadly(str(mine)), **settings))
    with ProcessPoolExecutor(1) as pool:
        futures = [
            pool.submit(fit_and_write, model, *DIABETES, tmp_path / f"{k}")
            for k, model in enumerate(models)
        ]
        with pytest.raises(TerminatedWorkerError):
            futures[2].result()
    for k, model in enumerate(models):
        if k < 2:
            found = pickle.loads((tmp_path / f"{k}").read_bytes())
            assert_allclose(found.coef_, model.fit(*DIABETES).coef_, rtol=1e-10)
    assert (tmp_path / "2").read_bytes() == b""
    # The process that started the worker can continue with the same object.
    assert models[2].fit(*DIABETES).stop_reason_ == "max_iter"
