"""Fits that were stopped or killed resume from a checkpoint as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from fit_log import Log
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

from skgd import GDClassifier, GDRegressor
from skgd.callbacks import Checkpoint
from skgd.schedules import ReduceOnPlateau

DIABETES = load_diabetes(return_X_y=True, scaled=False)
IRIS = load_iris(return_X_y=True)
RULES = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.01},
    "single rows": {"optimizer": "sgd", "learning_rate": 0.001, "batch_size": 1},
    "adam": {"optimizer": "adam", "batch_size": 32},
    "momentum full": {"optimizer": "momentum", "batch_size": "full"},
    "averaged": {"optimizer": "sgd", "average": 20, "learning_rate": 0.01, "batch_size": 16},
    "early stopping": {"optimizer": "adam", "early_stopping": True, "scoring": "accuracy"},
    "balanced": {"optimizer": "adagrad", "class_weight": "balanced", "batch_size": 8},
    "on plateau": {
        "optimizer": "sgd", "batch_size": 16, "learning_rate": ReduceOnPlateau(0.1, patience=1),
    },
    "until tol": {"optimizer": "adam", "max_iter": 1000, "tol": 1e-2, "batch_size": 32},
}


@pytest.mark.parametrize("stop_after", [1, 5])
@pytest.mark.parametrize("settings", RULES.values(), ids=RULES)
def test_a_step_rule_goes_on_to_the_same_weights_to_the_bit(stop_after, settings, tmp_path):
    model = GDClassifier(max_iter=25, tol=None, random_state=0).set_params(**settings)
    whole = clone(model).fit(*IRIS)
    stopped = clone(model).set_callbacks(Checkpoint(tmp_path / "fit"), Log(stop_after=stop_after))
    assert stopped.fit(*IRIS).n_iter_ == stop_after
    again = clone(model).set_callbacks(Checkpoint(tmp_path / "fit")).fit(*IRIS)
    assert_array_equal(again.coef_, whole.coef_)
    assert_array_equal(again.intercept_, whole.intercept_)
    assert again.stop_reason_ == whole.stop_reason_
    assert again.t_ == whole.t_
    assert again.n_iter_ == whole.n_iter_
    for key in set(whole.history_) - {"seconds"}:
        assert_array_equal(again.history_[key], whole.history_[key])
    assert np.all(np.diff(again.history_["seconds"]) >= 0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "lbfgs"}, {"optimizer": "gradient_descent"}, {"penalty": "l1"}],
    ids=str,
)
def test_a_full_batch_optimizer_goes_on_to_the_same_minimum(settings, tmp_path):
    model = GDClassifier(max_iter=10**5, tol=1e-8, alpha=0.01, **settings)
    whole = clone(model).fit(*IRIS)
    clone(model).set_callbacks(Checkpoint(tmp_path / "fit"), Log(stop_after=3)).fit(*IRIS)
    again = clone(model).set_callbacks(Checkpoint(tmp_path / "fit")).fit(*IRIS)
    assert again.history_["objective"][-1] == pytest.approx(
        whole.history_["objective"][-1], rel=1e-12
    )
    assert_allclose(again.coef_, whole.coef_, atol=1e-5)
    assert again.converged_
    assert_array_equal(again.history_["objective"][:3], whole.history_["objective"][:3])
    assert len(again.history_["epoch"]) == again.n_iter_
    assert np.all(np.diff(again.history_["passes"]) > 0)


KILLED = """
import os, signal, sys
from sklearn.datasets import load_iris
from skgd import GDClassifier
from skgd.callbacks import Callback, Checkpoint

class Slow(Callback):
    def on_fit_task_end(self, estimator, context):
        if context.task_id == 6:
            print("written", flush=True)
            signal.pause()

model = GDClassifier(optimizer="adam", batch_size=16, max_iter=30, tol=None, random_state=0)
model.set_callbacks(Checkpoint(sys.argv[1]), Slow()).fit(*load_iris(return_X_y=True))
"""


def test_a_fit_that_was_killed_goes_on_in_another_process(tmp_path):
    path = tmp_path / "fit"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    log = Log()
    model = GDClassifier(optimizer="adam", batch_size=16, max_iter=30, tol=None, random_state=0)
    whole = clone(model).fit(*IRIS)
    model.set_callbacks(Checkpoint(path), log).fit(*IRIS)
    assert len(log.models) == 30 - 7
    assert_array_equal(model.coef_, whole.coef_)
    assert not path.exists()


def epochs_in(path, model):
    """Return how many epochs a file holds, from which a model is fitted on for one."""
    copy = shutil.copy(path, path.with_suffix(".copy"))
    epochs = model.set_callbacks(Checkpoint(copy), Log(stop_after=1)).fit(*IRIS).n_iter_ - 1
    os.remove(copy)
    return epochs


@pytest.mark.parametrize("done", [1, 2, 100])
def test_a_kill_while_the_file_is_written_leaves_the_old_one(done, tmp_path, monkeypatch):
    written, replace = [], os.replace

    def replace_or_die(source, target):
        written.append(source)
        if len(written) > done:
            raise KeyboardInterrupt
        replace(source, target)

    model = GDClassifier(optimizer="adam", tol=None, max_iter=5, random_state=0)
    whole = clone(model).fit(*IRIS)
    model.set_callbacks(Checkpoint(tmp_path / "fit"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_or_die)
        if done < 5:
            with pytest.raises(KeyboardInterrupt):
                model.fit(*IRIS)
            assert os.listdir(tmp_path) == ["fit"]
        else:
            model.fit(*IRIS)
    if done < 5:
        assert epochs_in(tmp_path / "fit", clone(model)) == done
    assert_array_equal(model.fit(*IRIS).coef_, whole.coef_)


def test_the_file_is_written_every_so_many_epochs(tmp_path):
    model = GDClassifier(optimizer="adam", tol=None, random_state=0)
    model.set_callbacks(Checkpoint(tmp_path / "fit", every=3), Log(stop_after=8)).fit(*IRIS)
    assert epochs_in(tmp_path / "fit", clone(model)) == 6


def test_more_epochs_may_be_asked_for_after_a_stop(tmp_path):
    model = GDClassifier(
        optimizer="adam", learning_rate=0.03, tol=None, random_state=0, max_iter=5
    )  # fmt: skip
    stopped = clone(model).set_callbacks(Checkpoint(tmp_path / "fit"), Log(stop_after=3))
    stopped.fit(*IRIS)
    again = clone(model).set_params(max_iter=9).set_callbacks(Checkpoint(tmp_path / "fit"))
    assert_array_equal(again.fit(*IRIS).coef_, model.set_params(max_iter=9).fit(*IRIS).coef_)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda model, X, y: model.fit(X, 2 - y), "y differed"),
        (lambda model, X, y: model.fit(X[:, 1:], y), "X differed"),
        (lambda model, X, y: model.fit(X, y, sample_weight=y + 1.0), "sample_weight differed"),
        (lambda model, X, y: model.set_params(alpha=1.0).fit(X, y), "alpha differed"),
        (lambda model, X, y: model.set_params(loss="hinge").fit(X, y), "loss differed"),
    ],
)
def test_the_checkpoint_of_another_fit_is_not_gone_on_with(change, message, tmp_path):
    model = GDClassifier(optimizer="adam", tol=None, random_state=0)
    model.set_callbacks(Checkpoint(tmp_path / "fit"), Log(stop_after=2)).fit(*IRIS)
    with pytest.raises(ValueError, match=message):
        change(clone(model), *IRIS)


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(ValueError, match="notes.txt' is not a checkpoint"):
        GDClassifier().set_callbacks(Checkpoint(path)).fit(*IRIS)
    assert path.read_text() == "hello"


def test_what_cannot_be_written_is_said():
    model = GDRegressor(optimizer="adam", learning_rate=lambda t: 0.01 / (1 + t))
    with pytest.raises(ValueError, match="defined in a module"):
        model.set_callbacks(Checkpoint("nowhere")).fit(*DIABETES)
