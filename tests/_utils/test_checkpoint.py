"""Checkpoints: the whole state of a fit, the file it is in, and what it belongs to."""

import errno
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.utils import shuffle

from skgd import GDClassifier, GDRegressor
from skgd._utils import checkpoint
from skgd.callbacks import Callback, Checkpoint, EarlyStopping
from skgd.losses import LogLoss
from skgd.optimizers import Optimizer
from skgd.schedules import Cosine, OneCycle, ReduceOnPlateau, Schedule, Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = shuffle(*load_iris(return_X_y=True), random_state=0)
X, Y = IRIS
OPTIMIZERS = [
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "adamax",
    "nadam", "radam", "yogi", "lion", "rprop", "dog", "svrg", "saga",
]  # fmt: skip
BATCHES = {name: [1, 32, "full"] for name in OPTIMIZERS} | {"rprop": ["full"]}


class Stop(Callback):
    """Stops a fit after some epochs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        # Nobody is notified of an epoch that has diverged.
        return context.task_name == "epoch" and fitted_estimator.n_iter_ >= self.epochs


class Kill(Stop):
    """Ends a fit after some epochs as Ctrl-C does."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if super().on_fit_task_end(estimator, context, fitted_estimator=fitted_estimator):
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch):
    """The tests kill processes and not machines."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


def assert_resumes(model, data, path, epochs):
    """Assert that a fit that stops and resumes is the same to the bit as one that doesn't."""
    whole = clone(model).fit(*data)
    with pytest.raises(KeyboardInterrupt):
        clone(model).set_callbacks(Checkpoint(path), Kill(epochs)).fit(*data)
    assert os.path.exists(path)
    assert epochs < whole.n_iter_
    again = clone(model).set_callbacks(Checkpoint(path)).fit(*data)
    for name in ("coef_", "intercept_", "stop_reason_", "t_", "n_iter_", "learning_rate_"):
        assert_array_equal(getattr(again, name), getattr(whole, name), err_msg=name)
    for key in set(whole.history_) - {"seconds"}:
        assert_array_equal(again.history_[key], whole.history_[key], err_msg=key)
    assert not os.path.exists(path)


# ---- the whole state ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer, batch_size", [(name, size) for name in OPTIMIZERS for size in BATCHES[name]]
)
def test_every_rule_resumes_to_the_bit(optimizer, batch_size, tmp_path):
    settings = {"optimizer": optimizer, "batch_size": batch_size, "random_state": 0, "tol": None}
    model = GDClassifier(max_iter=7, learning_rate=0.02, **settings)
    binary = GDClassifier(max_iter=6, penalty="elasticnet", alpha=0.01, **settings)
    if optimizer in ("rprop", "svrg", "saga"):
        binary.set_params(penalty="l2")
    regressor = GDRegressor(max_iter=6, average=2, **settings)
    assert_resumes(model, IRIS, tmp_path / "a", 4)
    assert_resumes(model, (sparse.csr_array(X), Y), tmp_path / "b", 3)
    assert_resumes(binary, (sparse.csr_array(X[:, :3]), Y == 1), tmp_path / "c", 3)
    assert_resumes(regressor, (X[:, :3], X[:, 3]), tmp_path / "d", 2)
    assert_resumes(regressor, (X[:, :2].astype(np.float32), X[:, 2:]), tmp_path / "e", 1)


SCHEDULES = [
    "auto", Cosine(0.05), OneCycle(0.05), ReduceOnPlateau(0.05, patience=0),
    Warmup(7, then=ReduceOnPlateau(0.05, patience=0, factor=0.5)),
]  # fmt: skip


RULES = [("sgd", 1), ("adam", 32), ("svrg", 1)]


# Every pair of an optimizer, a schedule and early stopping.
@pytest.mark.parametrize("optimizer, batch_size, schedule, early_stopping", [
    (*rule, schedule, bool((i + j) % 2))
    for i, rule in enumerate(RULES) for j, schedule in enumerate(SCHEDULES)
], ids=str)  # fmt: skip
def test_schedules_and_early_stopping_resume_to_the_bit(
    optimizer, batch_size, schedule, early_stopping, tmp_path
):
    model = GDRegressor(
        optimizer=optimizer, batch_size=batch_size, learning_rate=schedule, max_iter=9, tol=1e-9,
        early_stopping=early_stopping, random_state=0, n_iter_no_change=4,
    )  # fmt: skip
    assert_resumes(model, (X[:, :3], X[:, 3]), tmp_path / "fit", 5)


def test_wide_rows_resume_to_the_bit(tmp_path):
    wide = np.random.default_rng(0).normal(size=(60, 1300))
    for size in (1, 16):
        model = GDRegressor(optimizer="sgd", batch_size=size, max_iter=6, tol=None, random_state=0)
        assert_resumes(model, (wide, wide[:, 0]), tmp_path / "fit", 3)


@pytest.mark.parametrize("epochs", [2, 6])
def test_a_rate_that_is_cut_after_a_rise_is_cut_when_resuming(epochs, tmp_path):
    # Rows of many sizes: the first automatic rate makes the objective rise above its start.
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 5)) * np.exp(2.0 * rng.normal(size=(80, 1)))
    model = GDRegressor(optimizer="momentum", batch_size=8, max_iter=9, tol=None, random_state=0)
    assert_resumes(model, (rows, rows[:, 0] ** 3), tmp_path / "fit", epochs)


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_early_stopping_of_a_callback_resumes_with_its_scores(first, tmp_path):
    def stopping():
        return EarlyStopping(X[:50], Y[:50], patience=4)

    model = GDClassifier(optimizer="adam", learning_rate=0.05, tol=None, random_state=0)
    data = X[50:], Y[50:]
    whole, again = stopping(), stopping()
    expected = clone(model).set_callbacks(whole).fit(*data)
    pair = [stopping(), Checkpoint(tmp_path / "fit")]
    stopped = clone(model).set_callbacks(*(pair if first else pair[::-1]), Stop(3)).fit(*data)
    assert stopped.n_iter_ == 3 < expected.n_iter_
    pair = [again, Checkpoint(tmp_path / "fit")]
    resumed = clone(model).set_callbacks(*(pair if first else pair[::-1])).fit(*data)
    assert again.scores_ == whole.scores_
    assert_array_equal(resumed.coef_, expected.coef_)
    assert resumed.n_iter_ == expected.n_iter_


class Halving(Schedule):
    """A user's schedule, with a memory of its own."""

    def __init__(self, rate=0.1):
        self.rate = rate

    def rates(self, t):
        return np.full(len(t), self.rate)

    def observe(self, objective):
        self.seen = np.append(getattr(self, "seen", []), objective)
        if len(self.seen) % 2:
            self.rate *= 0.5


class Sign(Optimizer):
    """A user's rule with an array of state."""

    slots = 1

    def update(self, w, g, state, rate, t):
        state[0] = 0.9 * state[0] + g
        w -= rate * np.sign(state[0])

    def automatic_rate(self, n_rows, batch_length, curvatures):
        return 0.01, 0.5


def test_schedules_and_rules_of_users_resume_to_the_bit(tmp_path):
    model = GDClassifier(
        optimizer=Sign(), learning_rate=Halving(), batch_size=32, max_iter=8, tol=None,
        random_state=0,
    )  # fmt: skip
    assert_resumes(model, IRIS, tmp_path / "fit", 3)


class Listing(Schedule):
    """Keeps what no file without a pickle can hold."""

    def rates(self, t):
        return np.full(len(t), 0.01)

    def observe(self, objective):
        self.seen = {objective}


def test_a_state_that_is_no_array_is_named(tmp_path):
    model = GDClassifier(optimizer="adam", learning_rate=Listing(), max_iter=3)
    with pytest.raises(ValueError, match=r"schedule\.seen is \{.*arrays, numbers and strings"):
        model.set_callbacks(Checkpoint(tmp_path / "fit")).fit(*IRIS)
    assert os.listdir(tmp_path) == []


def test_a_longer_run_takes_its_schedule_to_the_new_end(tmp_path):
    model = GDClassifier(
        optimizer="adam", learning_rate=Cosine(0.05), max_iter=5, tol=None, random_state=0
    )  # fmt: skip
    model.set_callbacks(Checkpoint(tmp_path / "fit"), Stop(3)).fit(*IRIS)
    model.set_params(max_iter=12).set_callbacks(Checkpoint(tmp_path / "fit")).fit(*IRIS)
    assert np.all(model.history_["learning_rate"][:-1] > 0)


@pytest.mark.parametrize("tol", [None, 1e-12])
def test_a_kill_between_the_last_epoch_and_the_end_resumes_at_the_end(tol, tmp_path, monkeypatch):
    model = GDClassifier(optimizer="adam", max_iter=4, tol=tol, random_state=0)
    whole = clone(model).fit(*IRIS)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "remove", lambda path: None)
        clone(model).set_callbacks(Checkpoint(tmp_path / "fit")).fit(*IRIS)
    assert os.listdir(tmp_path) == ["fit"]
    again = clone(model).set_callbacks(Checkpoint(tmp_path / "fit")).fit(*IRIS)
    assert_array_equal(again.coef_, whole.coef_)
    assert (again.n_iter_, again.stop_reason_) == (4, "max_iter")
    assert os.listdir(tmp_path) == []


# ---- the file -----------------------------------------------------------------------------------


@pytest.fixture
def stopped(tmp_path):
    """A model of which a checkpoint has been written, and the file."""
    model = GDClassifier(optimizer="saga", max_iter=5, tol=None, random_state=0)
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit"), Stop(2)).fit(*IRIS)
    return model.set_callbacks(Checkpoint(tmp_path / "fit")), tmp_path / "fit"


def test_a_damaged_file_is_one_clear_error(stopped):
    model, path = stopped
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:length] for length in (0, 1, 17, 18, 50, 90, 1000, len(whole) - 1)]
    damaged += [whole + b"\0", whole[::-1], bytes(len(whole))]
    for position in [*range(0, 90, 7), *rng.integers(0, len(whole), 150)]:
        flipped = bytearray(whole)
        flipped[position] ^= 1 << rng.integers(8)
        damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="fit' is .*: delete the file or pass another path"):
            Checkpoint(path).resume({})
    with pytest.raises(ValueError, match="delete the file or pass another path"):
        model.fit(*IRIS)
    path.write_bytes(whole)
    assert model.fit(*IRIS).n_iter_ == 5


class Bomb:
    """Unpickles with an effect."""

    def __reduce__(self):
        return os.mkdir, (os.environ["BOMB"],)


def test_nothing_in_a_file_is_executed(stopped, tmp_path, monkeypatch):
    model, path = stopped
    monkeypatch.setenv("BOMB", str(tmp_path / "triggered"))
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="not a checkpoint of a fit"):
        model.fit(*IRIS)
    # With a checksum that is right, too.
    np.savez(tmp_path / "forged.npz", json=np.array([Bomb()], dtype=object))
    content = (tmp_path / "forged.npz").read_bytes()
    path.write_bytes(
        checkpoint.FORMAT + checkpoint.checksum(content) + content
    )  # fmt: skip
    with pytest.raises(ValueError, match="not a checkpoint of a fit"):
        model.fit(*IRIS)
    assert not (tmp_path / "triggered").exists()


KILLED = """
import os, signal, sys
from sklearn.datasets import load_iris
from skgd import GDClassifier
from skgd.callbacks import Checkpoint

def die(*paths):
    os.kill(os.getpid(), signal.SIGKILL)

os.replace = die
GDClassifier(optimizer="adam", max_iter=3).set_callbacks(Checkpoint(sys.argv[1])).fit(
    *load_iris(return_X_y=True)
)
"""


def test_a_kill_while_writing_leaves_nothing_for_ever(tmp_path):
    path = tmp_path / "fit"
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    GDClassifier(optimizer="adam", max_iter=3).set_callbacks(Checkpoint(path)).fit(*IRIS)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_said_and_the_old_file_stays(code, tmp_path, monkeypatch):
    written = []

    def full(file):
        written.append(file)
        if len(written) == 3:
            raise OSError(code, os.strerror(code))

    model = GDClassifier(optimizer="adam", max_iter=6, tol=None, random_state=0)
    whole = clone(model).fit(*IRIS)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        model.set_callbacks(Checkpoint(tmp_path / "fit"))
        with pytest.raises(OSError, match=f"{os.strerror(code)}.*: free space or pass") as caught:
            model.fit(*IRIS)
    assert caught.value.errno == code
    assert not hasattr(model, "coef_")
    assert os.listdir(tmp_path) == ["fit"]
    assert_array_equal(model.fit(*IRIS).coef_, whole.coef_)


def test_a_folder_that_cannot_be_written_to_is_said_before_the_first_epoch(tmp_path, monkeypatch):
    model = GDClassifier(optimizer="adam").set_callbacks(Checkpoint(tmp_path))
    with pytest.raises(IsADirectoryError, match="is a folder: pass the name of a file"):
        model.fit(*IRIS)

    def denied(path, mode):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(PermissionError, match="(?s)Permission denied.*pass a path in a folder"):
        Checkpoint(tmp_path / "fit").resume({})


# ---- what a file belongs to ---------------------------------------------------------------------


def mapped(array, folder):
    """Return the array as a memory map."""
    np.save(folder / "X.npy", array)
    return np.load(folder / "X.npy", mmap_mode="r")


CHANGES = {
    "other numbers": lambda X, y, s: (X * 7, y, s),
    "reversed columns": lambda X, y, s: (X[:, ::-1], y, s),
    "reversed rows": lambda X, y, s: (X[::-1], y, s),
    "one number": lambda X, y, s: (X + 1e-15 * (np.arange(X.size) == 77).reshape(X.shape), y, s),
    "one sign": lambda X, y, s: (np.where(np.arange(X.size).reshape(X.shape) == 5, -X, X), y, s),
    "float32": lambda X, y, s: (X.astype(np.float32), y, s),
    "fewer rows": lambda X, y, s: (X[1:], y[1:], s[1:]),
    "y": lambda X, y, s: (X, np.append(y[1:], y[0]), s),
    "labels": lambda X, y, s: (X, y + 1, s),
    "weights": lambda X, y, s: (X, y, s + np.arange(len(s))),
}


@pytest.mark.parametrize("whole", [True, False], ids=["small", "large"])
@pytest.mark.parametrize("kind", [np.array, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_checkpoint_of_other_data_is_refused(change, kind, whole, tmp_path, monkeypatch):
    if not whole:
        monkeypatch.setattr(checkpoint, "WHOLE", 10)
        monkeypatch.setattr(checkpoint, "SAMPLED_ROWS", 3)
        monkeypatch.setattr(checkpoint, "BLOCK", 500)
    s = np.ones(len(Y))
    model = GDClassifier(optimizer="adam", max_iter=4, tol=None, random_state=0)
    model.set_callbacks(Checkpoint(tmp_path / "fit"), Stop(2)).fit(kind(X), Y, s)
    again = clone(model).set_callbacks(Checkpoint(tmp_path / "fit"))
    rows, y, weights = change(X, Y, s)
    with pytest.raises(ValueError, match=r"differed: delete the file or pass another path"):
        again.fit(kind(rows), y, weights)
    assert again.fit(kind(X), Y, s).n_iter_ == 4


def test_the_same_numbers_may_lie_elsewhere(tmp_path):
    model = GDClassifier(optimizer="adam", max_iter=4, tol=None, random_state=0)
    for rows in (np.asfortranarray(X), mapped(X, tmp_path), np.repeat(X, 2, axis=1)[:, ::2]):
        clone(model).set_callbacks(Checkpoint(tmp_path / "fit"), Stop(2)).fit(X, Y)
        again = clone(model).set_callbacks(Checkpoint(tmp_path / "fit"), Stop(3)).fit(rows, Y)
        assert again.n_iter_ == 3
        os.remove(tmp_path / "fit")


def test_another_validation_set_is_refused(tmp_path):
    model = GDClassifier(optimizer="adam", early_stopping=True, random_state=0)
    model.set_callbacks(Checkpoint(tmp_path / "fit"), Stop(2))
    model.fit(X, Y, X_val=X[:50], y_val=Y[:50])
    for rows, y, s in ((X[1:51], Y[1:51], None), (X[:50], Y[:50], np.arange(50.0))):
        with pytest.raises(ValueError, match="_val differed"):
            clone(model).set_callbacks(Checkpoint(tmp_path / "fit")).fit(
                X, Y, X_val=rows, y_val=y, sample_weight_val=s
            )


def test_rows_that_are_held_out_at_random_ask_for_a_random_state(tmp_path):
    model = GDClassifier(optimizer="adam", early_stopping=True)
    model.set_callbacks(Checkpoint(tmp_path / "fit"), Stop(2)).fit(*IRIS)
    with pytest.raises(ValueError, match="pass an int as random_state"):
        model.fit(*IRIS)


class Scaled(LogLoss):
    """A user's loss."""


def test_a_loss_of_a_users_own_that_no_module_defines_is_named(tmp_path):
    class Local(LogLoss):
        pass

    path = tmp_path / "fit"
    model = GDClassifier(Scaled(), optimizer="adam", max_iter=4, tol=None, random_state=0)
    assert_resumes(model, IRIS, path, 2)
    with pytest.raises(ValueError, match="loss=Local.*defined in a module"):
        clone(model).set_params(loss=Local()).set_callbacks(Checkpoint(path)).fit(*IRIS)
