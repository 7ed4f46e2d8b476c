"""Callbacks: scikit-learn's and ours, alone, in pipelines and in searches."""

import builtins
import importlib.util
import pickle
import sys
import time
import warnings

import numpy as np
import pytest
from fit_log import Log
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.callback import FitCallback, ProgressBar, ScoringMonitor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skgd.callbacks
from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd._utils import sklearn_compat
from skgd.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    PrintProgress,
    StopAtLoss,
    TimeLimit,
)

CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True, scaled=False)
IRIS = load_iris(return_X_y=True)
WAYS = {
    "auto": {},
    "lbfgs": {"optimizer": "lbfgs"},
    "accelerated": {"optimizer": "accelerated_gradient", "penalty": "l1"},
    "adam": {"optimizer": "adam", "batch_size": 64, "learning_rate": 0.01},
    "full": {"optimizer": "sgd", "batch_size": "full"},
    "averaged": {"optimizer": "sgd", "average": True, "batch_size": 16, "learning_rate": 0.01},
}
each_way = pytest.mark.parametrize("settings", WAYS.values(), ids=WAYS)


# ---- the protocol -------------------------------------------------------------------------------


@each_way
def test_a_fit_tells_of_itself_and_of_each_epoch_in_order(settings):
    log = Log()
    model = GDClassifier(tol=None, max_iter=3, random_state=0, **settings).set_callbacks(log)
    model.fit(*CANCER)
    epochs = ["begin epoch", "end epoch"] * model.n_iter_
    assert log.events == ["setup", "begin fit", *epochs, "end fit", "teardown"]
    assert log.shape == (CANCER[0].shape, CANCER[1].shape)
    assert log.metadata is None


@each_way
def test_the_fitted_estimator_is_the_model_that_a_fit_up_to_there_gives(settings):
    log = Log()
    model = GDClassifier(tol=None, max_iter=4, random_state=0, **settings).set_callbacks(log)
    model.fit(*CANCER)
    assert len(log.models) == model.n_iter_ == 4
    for k, seen in enumerate(log.models, start=1):
        short = GDClassifier(tol=None, max_iter=k, random_state=0, **settings).fit(*CANCER)
        assert_array_equal(seen.coef_, short.coef_)
        assert_array_equal(seen.predict_proba(CANCER[0]), short.predict_proba(CANCER[0]))
        assert seen.n_iter_ == short.n_iter_ == len(seen.history_["loss"]) == k
        assert seen.t_ == short.t_


@each_way
def test_a_callback_that_returns_true_stops_the_fit(settings):
    model = GDClassifier(max_iter=20, tol=1e-12, random_state=0, **settings)
    model.set_callbacks(Log(stop_after=2)).fit(*CANCER)
    assert model.n_iter_ == 2
    assert model.stop_reason_ == "callback"
    assert not model.converged_


def test_weights_reach_the_callbacks_as_metadata():
    log, s = Log(), np.arange(len(CANCER[1]), dtype=float)
    GDClassifier(random_state=0).set_callbacks(log).fit(*CANCER, sample_weight=s)
    assert_array_equal(log.metadata["sample_weight"], s)


def test_callbacks_see_the_rows_that_are_trained_on():
    log, n = Log(), len(CANCER[1])
    s = np.ones(n)
    model = GDClassifier(early_stopping=True, validation_fraction=0.25, random_state=0)
    model.set_callbacks(log).fit(*CANCER, sample_weight=s)
    assert log.shape == ((n - 143, 30), (n - 143,))
    assert log.metadata["sample_weight"].shape == (n - 143,)


def test_callbacks_change_nothing_but_the_end():
    settings = {"optimizer": "adam", "batch_size": 32, "random_state": 0}
    plain = GDClassifier(**settings).fit(*CANCER)
    watched = GDClassifier(**settings).set_callbacks(Log(), ScoringMonitor(scoring="accuracy"))
    watched.fit(*CANCER)
    assert_array_equal(watched.coef_, plain.coef_)
    assert watched.n_iter_ == plain.n_iter_


def test_a_fit_leaves_no_trace_of_the_callbacks():
    model = GDClassifier(random_state=0).set_callbacks(TimeLimit(60)).fit(*CANCER)
    other = GDClassifier(random_state=0).fit(*CANCER)
    assert set(vars(model)) - set(vars(other)) == {"_skl_callbacks"}


@pytest.mark.parametrize("settings", [
    {"learning_rate": 1e6, "precondition": None, "batch_size": 1}, {"learning_rate": 1e300},
    {"learning_rate": 1e300, "batch_size": "full"},
], ids=str)  # fmt: skip
def test_an_exploded_epoch_shows_the_model_that_a_fit_would_keep(settings):
    log = Log()
    model = GDRegressor(optimizer="sgd", **settings)
    early = EarlyStopping(*DIABETES)
    with pytest.warns(skgd.DivergenceWarning):
        model.set_callbacks(log, early, StopAtLoss(0.0)).fit(*DIABETES)
    assert len(log.models) == model.n_iter_ == len(early.scores_)
    assert_array_equal(log.models[-1].coef_, model.coef_)
    assert log.models[-1].stop_reason_ == "diverged"
    assert log.events.count("begin epoch") == log.events.count("end epoch") == model.n_iter_


def test_a_callback_may_stop_a_fit_that_would_begin_again_after_an_explosion():
    class Careful(Callback):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            seen.append(fitted_estimator.stop_reason_)
            return fitted_estimator.stop_reason_ == "diverged"

    for seed in range(10):
        seen, rng = [], np.random.default_rng(seed)
        X = rng.standard_t(1.0, size=(90, 10))
        y = X @ rng.normal(size=10) + rng.normal(size=90)
        model = GDRegressor(optimizer="momentum", batch_size=2, max_iter=12, tol=None,
                            random_state=seed)  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.set_callbacks(Careful()).fit(X, y)
        if "diverged" in seen[:-2]:
            raise AssertionError
        if model.stop_reason_ == "diverged" and model.n_iter_ < 12:
            return
    raise AssertionError


@pytest.mark.parametrize("settings", [
    {"optimizer": "lbfgs", "tol": 0.0}, {"penalty": "l1", "alpha": 1e5}, {"tol": 0.0},
], ids=str)  # fmt: skip
def test_every_end_of_an_epoch_has_a_model(settings):
    class Last(Callback):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            seen.append(fitted_estimator.n_iter_)

    seen, early = [], EarlyStopping(*DIABETES, patience=1000)
    model = GDRegressor(**settings).set_callbacks(Last(), early).fit(*DIABETES)
    assert set(seen) == set(range(1, model.n_iter_ + 1))
    assert len(early.scores_) == model.n_iter_


def test_an_error_in_a_callback_ends_the_fit_and_tears_down():
    class Failing(Log):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("my own")

    failing = Failing()
    with pytest.raises(RuntimeError, match="my own"):
        GDClassifier().set_callbacks(failing).fit(*CANCER)
    assert failing.events[-1] == "teardown"


def test_partial_fit_calls_no_callbacks():
    log = Log()
    GDRegressor().set_callbacks(log).partial_fit(*DIABETES)
    assert log.events == []


# ---- scikit-learn's callbacks -------------------------------------------------------------------


def test_a_scoring_monitor_logs_every_epoch():
    monitor = ScoringMonitor(scoring="accuracy")
    model = GDClassifier(
        optimizer="adam", learning_rate=0.03, tol=None, max_iter=5, random_state=0
    )  # fmt: skip
    model.set_callbacks(monitor).fit(*CANCER)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    expected = [
        clone(model).set_params(max_iter=k).set_callbacks().fit(*CANCER).score(*CANCER)
        for k in range(1, 6)
    ]
    assert_allclose([row["accuracy"] for row in rows], expected)


def test_a_scoring_monitor_counts_weights():
    monitor = ScoringMonitor(scoring="accuracy")
    s = np.random.default_rng(0).integers(0, 4, len(CANCER[1])).astype(float)
    model = GDClassifier(optimizer="adam", tol=None, max_iter=2, random_state=0)
    model.set_callbacks(monitor).fit(*CANCER, sample_weight=s)
    last = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"][-1]
    assert last["accuracy"] == pytest.approx(model.score(*CANCER, sample_weight=s))


def test_a_scoring_monitor_works_in_a_pipeline():
    monitor = ScoringMonitor(scoring="r2")
    model = GDRegressor(optimizer="adam", tol=None, max_iter=3).set_callbacks(monitor)
    pipeline = make_pipeline(StandardScaler(), model).fit(*DIABETES)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 3
    assert rows[-1]["r2"] == pytest.approx(pipeline.score(*DIABETES))


def test_a_scoring_monitor_works_in_a_grid_search_with_two_workers():
    monitor = ScoringMonitor(scoring="r2")
    model = GDRegressor(optimizer="adam", tol=None, max_iter=3, random_state=0)
    search = GridSearchCV(
        model.set_callbacks(monitor), {"learning_rate": [0.01, 0.1]}, cv=2, n_jobs=2
    ).fit(*DIABETES)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 3 * (2 * 2 + 1)
    refit = max(rows, key=lambda row: row["task_id_path"])
    assert refit["r2"] == pytest.approx(search.score(*DIABETES))


@pytest.mark.parametrize(
    ("wrap", "n_fits"),
    [
        (lambda model: model, 1),
        (lambda model: make_pipeline(StandardScaler(), model), 1),
        (lambda model: GridSearchCV(model, {"alpha": [0.0, 1.0]}, cv=2, n_jobs=2), 5),
        (lambda model: GDSearchCV(model, {"alpha": [0.0, 1.0]}, cv=2), 5),
    ],
)
def test_a_progress_bar_runs_to_the_end_of_every_fit(wrap, n_fits, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    model = GDRegressor(optimizer="adam", tol=None, max_iter=3)
    wrap(model).set_callbacks(ProgressBar()).fit(*DIABETES)
    lines = capsys.readouterr().out.splitlines()
    bars = [line for line in lines if "GDRegressor - fit" in line and "100%" in line]
    assert len(bars) == n_fits


class Counter(Log):
    """Goes down to the estimators inside of others, as scikit-learn's ProgressBar does."""

    max_propagation_depth = None


@pytest.mark.parametrize("depth", [None, 0])
def test_a_callback_of_a_search_reaches_the_estimators_inside(depth):
    counter = Counter()
    counter.max_propagation_depth = depth
    pipeline = make_pipeline(StandardScaler(), GDRegressor(optimizer="adam", tol=None, max_iter=3))
    search = GridSearchCV(pipeline, {"gdregressor__alpha": [0, 1]}, cv=2).set_callbacks(counter)
    search.fit(*DIABETES)
    assert counter.events.count("end epoch") == (0 if depth == 0 else 3 * (2 * 2 + 1))
    assert counter.events.count("setup") == 1


OURS = {
    "TimeLimit": lambda folder: TimeLimit(1e-3),
    "StopAtLoss": lambda folder: StopAtLoss(0.2),
    "EarlyStopping": lambda folder: EarlyStopping(*CANCER),
    "Checkpoint": lambda folder: Checkpoint(folder / "fit"),
    "PrintProgress": lambda folder: PrintProgress(),
    "Callback": lambda folder: Callback(),
}


@pytest.mark.parametrize("name", skgd.callbacks.__all__)
def test_ours_follow_the_protocol_and_survive_clone_pickle_and_pipelines(name, tmp_path, capsys):
    callback = OURS[name](tmp_path)
    assert isinstance(callback, FitCallback)
    assert repr(callback).startswith(f"{name}(")
    model = GDClassifier(max_iter=30, random_state=0).set_callbacks(callback)
    again = pickle.loads(pickle.dumps(clone(model)))
    assert make_pipeline(StandardScaler(), again).fit(*CANCER).score(*CANCER) > 0.9
    assert model.fit(*CANCER).score(*CANCER) > 0.9


def test_without_callbacks_in_scikit_learn_setting_them_says_which_release_has_them(monkeypatch):
    import_module = builtins.__import__

    def without_callbacks(name, *args, **kwargs):
        if name == "sklearn.callback":
            raise ImportError(name)
        return import_module(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_callbacks)
    spec = importlib.util.spec_from_file_location("skgd.again", sklearn_compat.__file__)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "skgd.again", module)
    spec.loader.exec_module(module)
    assert module.with_callbacks(len) is len
    concrete = {"__init__": lambda self: None, "_run_search": None}
    search = type("Search", (module.BaseSearchCV,), concrete)()
    for estimator in (module.CallbackSupportMixin(), search):
        assert estimator.set_callbacks() is estimator
        with pytest.raises(ImportError, match="set_callbacks needs scikit-learn 1.9 or newer"):
            estimator.set_callbacks(TimeLimit(1))


# ---- ours ---------------------------------------------------------------------------------------


def test_a_time_limit_stops_at_the_end_of_an_epoch():
    model = GDRegressor(optimizer="sgd", tol=None, max_iter=10**6, learning_rate=1e-4)
    begun = time.perf_counter()
    model.set_callbacks(TimeLimit(0.2)).fit(*DIABETES)
    assert 0.2 <= time.perf_counter() - begun < 0.5
    assert model.stop_reason_ == "callback"
    assert model.n_iter_ < 10**6


@pytest.mark.parametrize("monitor", ["loss", "objective", "validation_loss"])
def test_a_fit_stops_at_a_loss(monitor):
    model = GDClassifier(
        optimizer="adam", early_stopping=True, learning_rate=0.01, random_state=0, tol=None
    )
    model.set_callbacks(StopAtLoss(0.3, monitor=monitor)).fit(*CANCER)
    values = model.history_[monitor]
    assert values[-1] <= 0.3
    assert np.all(values[:-1] > 0.3)
    assert model.stop_reason_ == "callback"


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: TimeLimit(-1), "seconds=-1: pass a number >= 0"),
        (lambda: TimeLimit("1 min"), "seconds='1 min'"),
        (lambda: StopAtLoss("0.1"), "threshold='0.1': pass a number"),
        (lambda: EarlyStopping(*CANCER, patience=0), "patience=0: pass an integer >= 1"),
        (lambda: EarlyStopping(*CANCER, min_delta=-1), "min_delta=-1"),
        (lambda: Checkpoint("x", every=0), "every=0: pass an integer >= 1"),
        (lambda: Checkpoint(3), "path=3: pass the name of a file"),
        (lambda: PrintProgress(every=0.5), "every=0.5: pass an integer >= 1"),
    ],
)
def test_a_wrong_argument_is_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_a_checkpoint_in_a_folder_that_is_missing_is_an_error_before_the_first_epoch(tmp_path):
    path, log = tmp_path / "nowhere" / "fit", Log()
    with pytest.raises(FileNotFoundError, match="path='.*nowhere.fit': make the folder"):
        GDClassifier().set_callbacks(Checkpoint(path), log).fit(*IRIS)
    assert log.models == []


def test_a_monitor_that_is_no_key_of_the_history_is_named():
    model = GDClassifier().set_callbacks(StopAtLoss(0, monitor="accuracy"))
    with pytest.raises(ValueError, match="monitor='accuracy': pass one of 'epoch'"):
        model.fit(*CANCER)


def test_an_error_of_a_callback_in_the_last_epoch_is_the_one_that_is_raised():
    model = GDRegressor(max_iter=1, tol=None).set_callbacks(StopAtLoss(0, monitor="accuracy"))
    with pytest.raises(ValueError, match="monitor='accuracy': pass one of 'epoch'"):
        model.fit(*load_diabetes(return_X_y=True))


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "roc_auc"])
def test_early_stopping_gives_the_weights_of_the_best_score_back(scoring):
    X, X_val, y, y_val = train_test_split(*CANCER, test_size=100, random_state=2)
    log, stop = Log(), EarlyStopping(X_val, y_val, scoring=scoring, patience=3)
    model = GDClassifier(optimizer="adam", learning_rate=0.3, tol=None, random_state=0)
    model.set_callbacks(stop, log).fit(X, y)
    best = int(np.argmax(stop.scores_))
    assert model.n_iter_ == len(stop.scores_) == best + 1 + 3
    assert_array_equal(model.coef_, log.models[best].coef_)
    assert_array_equal(model.intercept_, log.models[best].intercept_)


def test_early_stopping_counts_weights_and_a_least_change():
    X, X_val, y, y_val = train_test_split(*CANCER, test_size=100, random_state=2)
    s = np.random.default_rng(0).integers(0, 3, 100)
    stop = EarlyStopping(X_val, y_val, sample_weight_val=s, min_delta=0.5, patience=2)
    model = GDClassifier(optimizer="adam", tol=None, random_state=0).set_callbacks(stop).fit(X, y)
    assert model.n_iter_ == 3
    assert accuracy_score(y_val, model.predict(X_val), sample_weight=s) == max(stop.scores_)


def test_one_callback_serves_two_fits_one_in_the_other():
    X, y = CANCER
    stop = EarlyStopping(X, y, patience=1)
    inner = GDClassifier(optimizer="adam", tol=None, max_iter=3).set_callbacks(stop)

    def scoring(estimator, X, y):
        inner.fit(X, y)
        return estimator.score(X, y)

    outer = EarlyStopping(X, y, scoring=scoring, patience=1)
    model = GDClassifier(optimizer="adam", tol=None, max_iter=3).set_callbacks(outer, stop)
    model.fit(X, y)
    assert stop.scores_ == outer.scores_


def test_verbose_and_print_progress_print_a_line_an_epoch(capsys):
    settings = {"optimizer": "adam", "tol": None, "max_iter": 4, "random_state": 0}
    GDClassifier(verbose=1, **settings).fit(*CANCER)
    by_verbose = capsys.readouterr().out.splitlines()
    GDClassifier(**settings).set_callbacks(PrintProgress(every=2)).fit(*CANCER)
    by_callback = capsys.readouterr().out.splitlines()
    assert len(by_verbose) == 4
    assert [line.split("rate")[0] for line in by_callback] == [
        line.split("rate")[0] for line in by_verbose[1::2]
    ]
    GDClassifier(early_stopping=True, verbose=1, **settings).fit(*CANCER)
    assert "validation loss" in capsys.readouterr().out
    GDClassifier(**settings).fit(*CANCER)
    assert capsys.readouterr().out == ""
