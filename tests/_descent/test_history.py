"""When a run stops, what it says then, and what it gives back."""

import os
import pickle
import re
import signal
import threading
import time
import tracemalloc
from contextlib import ExitStack
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController, threadpool_limits

from skgd import DivergenceWarning, GDClassifier, GDRegressor
from skgd._utils.linalg import one_thread
from skgd.callbacks import Callback, TimeLimit
from skgd.losses import Loss
from skgd.optimizers import Adam

DIABETES = load_diabetes(return_X_y=True, scaled=False)
CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)
KEYS = {
    "epoch", "step", "passes", "loss", "objective", "gradient_norm", "learning_rate", "seconds",
    "validation_loss", "validation_score",
}  # fmt: skip
STEP_RULES = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"]
FULL_BATCH = ["gradient_descent", "accelerated_gradient", "lbfgs"]


# ---- tol and max_iter ---------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", STEP_RULES)
@pytest.mark.parametrize("batch_size", [16, "full"])
def test_without_tol_a_step_rule_runs_max_iter_epochs(optimizer, batch_size):
    model = GDClassifier(optimizer=optimizer, batch_size=batch_size, tol=None, max_iter=7)
    model.fit(*IRIS)
    assert model.n_iter_ == 7
    assert model.t_ == 7 * (10 if batch_size == 16 else 1)
    assert model.stop_reason_ == "max_iter"
    assert not model.converged_


@pytest.mark.parametrize("optimizer", [*FULL_BATCH, "auto"])
def test_without_tol_a_full_batch_solver_runs_max_iter_iterations(optimizer):
    model = GDClassifier(optimizer=optimizer, tol=None, max_iter=4).fit(*CANCER)
    assert model.n_iter_ == 4
    assert model.stop_reason_ == "max_iter"


@pytest.mark.parametrize("optimizer", ["auto", *FULL_BATCH, "adam"])
def test_too_small_a_max_iter_warns_and_says_what_to_change(optimizer):
    model = GDClassifier(optimizer=optimizer, max_iter=2)
    with pytest.warns(ConvergenceWarning, match="max_iter=2 .*larger max_iter or tol"):
        model.fit(*CANCER)
    assert model.stop_reason_ == "max_iter"
    assert not model.converged_
    assert model.n_iter_ == 2


def test_a_number_as_rate_that_is_too_small_is_named_in_the_advice():
    model = GDClassifier(learning_rate=1e-3, max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="learning_rate='auto'"):
        model.fit(*CANCER)


@pytest.mark.parametrize("optimizer", ["auto", *FULL_BATCH, *STEP_RULES])
def test_a_run_that_meets_tol_says_so(optimizer):
    X, y = IRIS
    model = GDClassifier(optimizer=optimizer, alpha=1e-2, random_state=0).fit(X, y == 1)
    assert model.stop_reason_ == "tol"
    assert model.converged_
    assert model.n_iter_ < 1000


@pytest.mark.parametrize("optimizer", ["auto", *FULL_BATCH])
def test_a_tol_below_rounding_ends_as_converged(optimizer):
    X, y = IRIS
    model = GDClassifier(optimizer=optimizer, alpha=1.0, tol=0, max_iter=3000).fit(X, y == 1)
    assert model.stop_reason_ == "precision"
    assert model.converged_


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs", "gradient_descent", "adam"])
def test_a_start_at_the_minimum_is_one_iteration(optimizer):
    X, y = np.repeat([[-1.0], [1.0]], 4, axis=0), np.tile([0.0, 1.0], 4)
    model = GDRegressor(optimizer=optimizer).fit(X, y)
    assert model.n_iter_ == len(model.history_["objective"]) == 1
    assert model.history_["objective"][0] == pytest.approx(0.125)
    assert model.converged_


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_rows_far_from_their_targets_have_a_slope_without_a_curvature(scale):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 20))
    y = scale * (X @ rng.normal(size=20) + 3.0 * rng.standard_cauchy(40))
    newton, slow = (
        GDRegressor("log_cosh", alpha=0.0, optimizer=optimizer, tol=1e-8, max_iter=50_000).fit(X, y)
        for optimizer in ("auto", "lbfgs")
    )
    least = slow.history_["objective"][-1]
    assert newton.history_["objective"][-1] < least * (1 + 1e-6)


@pytest.mark.parametrize("optimizer", ["auto", "saga"])
def test_where_nothing_can_be_gained_a_run_ends_at_once_and_in_silence(optimizer):
    model = GDRegressor(optimizer=optimizer, fit_intercept=False, tol=1e300)
    model.fit(np.zeros((30, 3)), np.sin(np.arange(30.0)))
    assert model.converged_
    assert_array_equal(model.coef_, 0.0)


def test_newton_steps_end_as_near_to_the_minimum_as_tol_says():
    X, y = CANCER
    exact = GDClassifier(alpha=0.1, tol=1e-12).fit(X, y).history_["objective"][-1]
    share = np.mean(y)
    constant = -share * np.log(share) - (1 - share) * np.log(1 - share)
    for tol in (1e-1, 1e-2, 1e-4):
        model = GDClassifier(alpha=0.1, tol=tol).fit(X, y)
        assert model.history_["objective"][-1] - exact <= tol * (constant - exact)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"penalty": "l1"},
        {"optimizer": "accelerated_gradient"},
        {"optimizer": "lbfgs"},
        {"optimizer": "gradient_descent"},
        {"optimizer": "sgd", "batch_size": "full"},
        {"optimizer": "sgd", "batch_size": 16},
        {"optimizer": "adam", "batch_size": 16},
        {"loss": "absolute_error"},
    ],
    ids=str,
)
def test_tol_does_not_depend_on_the_unit_of_y(settings):
    X, y = DIABETES
    # The penalty in the units of y: l2 keeps alpha, l1's and absolute error's follow the unit.
    model = GDRegressor(alpha=1e-3, random_state=0, max_iter=5000).set_params(**settings)
    model.fit(X, y)
    n_iter, coef = model.n_iter_, model.coef_
    for unit in (1e6, 1e-6):
        alpha = 1e-3
        if settings.get("penalty") == "l1":
            alpha *= unit
        if settings.get("loss") == "absolute_error":
            alpha /= unit
        model.set_params(alpha=alpha).fit(X, unit * y)
        assert model.n_iter_ == n_iter
        assert_allclose(model.coef_, unit * coef, rtol=1e-6, atol=1e-8 * unit)


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs", "sgd", "adam"])
def test_the_path_does_not_depend_on_the_units_of_the_columns(optimizer):
    X, y = CANCER
    units = 10.0 ** np.random.default_rng(0).integers(-6, 7, X.shape[1])
    model = GDClassifier(penalty=None, optimizer=optimizer, tol=None, max_iter=5, random_state=0)
    expected = model.fit(X, y).decision_function(X)
    actual = model.fit(X * units, y).decision_function(X * units)
    assert_allclose(actual, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


# ---- history ------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["auto", "adam", "lbfgs", "accelerated_gradient"])
def test_history_has_one_entry_an_epoch_under_each_key(optimizer):
    model = GDClassifier(optimizer=optimizer, tol=None, max_iter=4, random_state=0).fit(*IRIS)
    history = model.history_
    assert set(history) == KEYS
    assert all(isinstance(values, np.ndarray) and len(values) == 4 for values in history.values())
    assert_array_equal(history["epoch"], [1, 2, 3, 4])
    assert np.all(np.diff(history["step"]) > 0)
    assert np.all(np.diff(history["passes"]) > 0)
    assert np.all(np.diff(history["seconds"]) >= 0)
    assert history["step"][-1] == model.t_


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("settings", [{}, {"batch_size": 16}, {"batch_size": 16, "average": True}])
def test_the_last_objective_is_that_of_the_coefficients(penalty, settings):
    X, y = IRIS
    model = GDClassifier(
        penalty=penalty, alpha=0.03, tol=None, max_iter=20, random_state=0, **settings
    ).fit(X, y)
    loss = log_loss(y, model.predict_proba(X))
    shape = (model.coef_**2).sum() / 2 if penalty == "l2" else np.abs(model.coef_).sum()
    assert model.history_["loss"][-1] == pytest.approx(loss, rel=1e-10)
    assert model.history_["objective"][-1] == pytest.approx(loss + 0.03 * shape, rel=1e-10)


def test_one_epoch_more_extends_the_history_and_changes_none_of_it():
    model = GDClassifier(optimizer="adam", batch_size=16, tol=None, random_state=0)
    short = model.set_params(max_iter=3, learning_rate=0.01).fit(*IRIS).history_["objective"]
    long = model.set_params(max_iter=6).fit(*IRIS).history_["objective"]
    assert_allclose(long[:3], short, rtol=1e-12)


# ---- divergence ---------------------------------------------------------------------------------


def constant_objective(task, y):
    if task == "classification":
        share = np.mean(y)
        return -share * np.log(share) - (1 - share) * np.log(1 - share)
    return y.var() / 2


@pytest.mark.parametrize("batch_size", [1, 32, "full"])
@pytest.mark.parametrize("precondition", [None, "diagonal"])
@pytest.mark.parametrize("estimator, data", [(GDClassifier(), CANCER), (GDRegressor(), DIABETES)])
def test_divergence_warns_and_gives_the_best_model_back(estimator, data, precondition, batch_size):
    X, y = data
    estimator.set_params(
        optimizer="sgd", learning_rate=1e3, precondition=precondition, batch_size=batch_size,
        random_state=0,
    )  # fmt: skip
    with pytest.warns(DivergenceWarning) as caught:
        estimator.fit(X, y)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "learning rate 1e+03" in message
    assert "learning_rate=" in message
    assert ("precondition='auto'" in message) == (precondition is None)
    assert estimator.stop_reason_ == "diverged"
    assert not estimator.converged_
    assert np.all(np.isfinite(estimator.coef_))
    assert np.all(np.isfinite(estimator.intercept_))
    if is_classifier(estimator):
        loss = log_loss(y, estimator.predict_proba(X))
        constant = constant_objective("classification", y)
    else:
        loss = np.mean((y - estimator.predict(X)) ** 2) / 2
        constant = constant_objective("regression", y)
    objective = loss + 1e-4 / 2 * (estimator.coef_**2).sum()
    assert objective <= constant * (1 + 1e-9)


@pytest.mark.parametrize("precondition", [None, "auto"])
@pytest.mark.parametrize("batch_size", [16, "full"])
@pytest.mark.parametrize("estimator, data", [(GDClassifier(), CANCER), (GDRegressor(), DIABETES)])
def test_the_rate_that_the_warning_advises_does_not_diverge(
    estimator, data, batch_size, precondition
):
    estimator.set_params(
        optimizer="sgd", batch_size=batch_size, tol=None, max_iter=20, precondition=precondition,
        random_state=0,
    )  # fmt: skip
    with pytest.warns(DivergenceWarning) as caught:
        estimator.set_params(learning_rate=1e4).fit(*data)
    words = str(caught[0].message).split("learning_rate=")[1]
    estimator.set_params(learning_rate=float(words.split()[0].rstrip(".,"))).fit(*data)
    assert estimator.stop_reason_ == "max_iter"
    assert estimator.history_["objective"][-1] < estimator.history_["objective"][0]


def test_the_warning_names_the_step_and_the_column_with_the_largest_scale():
    X, y = CANCER
    model = GDClassifier(optimizer="sgd", learning_rate=1.0, precondition=None, batch_size="full")
    size = re.escape(f"{np.sqrt((X**2).mean(axis=0).max()):.3g}")
    with pytest.warns(DivergenceWarning, match=f"Column 23 has the largest scale, {size}:"):
        model.fit(X, y)
    frame = pd.DataFrame(X, columns=load_breast_cancer().feature_names)
    with pytest.warns(DivergenceWarning, match="Column 'worst area' has the largest scale"):
        model.fit(frame, y)
    with pytest.warns(DivergenceWarning, match="at update step 1 with learning rate 1:"):
        model.fit(X, y)


@pytest.mark.parametrize("slope", [np.negative, np.abs], ids=["minus", "abs"])
def test_a_gradient_that_is_not_that_of_the_value_is_told_of(slope):
    wrong = type("Wrong", (Slow,), {"gradient": lambda self, y, z: slope(z - y)})
    with pytest.warns(ConvergenceWarning, match="No step lowers the objective.*check the gradient"):
        GDRegressor(wrong()).fit(*DIABETES)
    GDRegressor(Slow(), tol=1e-12).fit(*DIABETES)


def test_a_loss_with_kinks_that_says_so_is_not_told_of():
    class Absolute(Slow):
        def value(self, y, z):
            return np.abs(z - y)

        def gradient(self, y, z):
            return np.sign(z - y)

    # The signs of an odd number of rows never add up to zero, wherever the descent ends.
    X, y = DIABETES[0][:21, :1], DIABETES[1][:21]
    with pytest.warns(ConvergenceWarning, match="smooth = False"):
        model = GDRegressor(Absolute()).fit(X, y)
    Absolute.smooth = False
    lowest = GDRegressor("absolute_error").fit(X, y).history_["objective"][-1]
    for fitted in (model, GDRegressor(Absolute()).fit(X, y)):
        assert fitted.history_["objective"][-1] == pytest.approx(lowest, rel=1e-3)


@pytest.mark.parametrize("part", ["value", "gradient"])
def test_a_loss_that_is_not_a_number_at_the_start_is_what_the_warning_tells_of(part):
    lost = type("Lost", (Slow,), {part: lambda self, y, z: np.full(z.shape, np.nan)})
    model = GDRegressor(lost(), learning_rate=0.1)
    with pytest.warns(DivergenceWarning, match="not finite at the start: fix the loss"):
        model.fit(*DIABETES)
    assert np.all(np.isfinite(model.coef_))


@pytest.mark.parametrize("estimator, data", [(GDClassifier(), CANCER), (GDRegressor(), DIABETES)])
def test_divergence_raises_where_that_is_wanted(estimator, data):
    estimator.set_params(
        optimizer="sgd", learning_rate=1e3, precondition=None, on_divergence="raise"
    )
    with pytest.raises(FloatingPointError, match="learning rate 1e.03"):
        estimator.fit(*data)


# ---- early stopping -----------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"batch_size": 16}, {"scoring": "accuracy"}])
def test_early_stopping_on_a_split_watches_the_validation_set(settings):
    model = GDClassifier(
        optimizer="adam", learning_rate=0.1, early_stopping=True, random_state=0, **settings
    ).fit(*CANCER)
    history = model.history_
    assert model.stop_reason_ == "early_stopping"
    assert model.converged_
    assert np.all(np.isfinite(history["validation_loss"]))
    assert np.all(np.isfinite(history["validation_score"])) == ("scoring" in settings)
    best, waited = np.inf, 0
    if "scoring" in settings:
        for k, score in enumerate(history["validation_score"]):
            waited = 0 if -score < best - 1e-4 else waited + 1
            best = min(best, -score)
            assert (waited == 5) == (k + 1 == model.n_iter_)


def test_early_stopping_on_given_rows_gives_the_best_weights_back():
    X, X_val, y, y_val = train_test_split(*CANCER, test_size=60, random_state=1)
    model = GDClassifier(
        optimizer="adam", learning_rate=0.3, batch_size="full", early_stopping=True
    ).fit(X, y, X_val=X_val, y_val=y_val)
    losses = model.history_["validation_loss"]
    assert model.stop_reason_ == "early_stopping"
    assert log_loss(y_val, model.predict_proba(X_val)) == pytest.approx(losses.min(), rel=1e-9)
    assert losses[-1] > losses.min()
    loss = log_loss(y, model.predict_proba(X))
    assert model.history_["loss"][np.argmin(losses)] == pytest.approx(loss, rel=1e-9)


def test_early_stopping_weights_the_validation_rows():
    X, X_val, y, y_val = train_test_split(*CANCER, test_size=60, random_state=1)
    s = np.random.default_rng(0).integers(0, 3, 60).astype(float)
    model = GDClassifier(optimizer="adam", learning_rate=0.3, early_stopping=True, random_state=0)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=s)
    loss = log_loss(y_val, model.predict_proba(X_val), sample_weight=s)
    assert model.history_["validation_loss"].min() == pytest.approx(loss, rel=1e-9)


def test_early_stopping_works_for_regression_with_a_score():
    X, X_val, y, y_val = train_test_split(*DIABETES, test_size=60, random_state=1)
    model = GDRegressor(
        optimizer="adam", learning_rate=0.1, early_stopping=True, scoring="r2", random_state=0
    ).fit(X, y, X_val=X_val, y_val=y_val)
    scores = model.history_["validation_score"]
    assert model.score(X_val, y_val) == pytest.approx(scores.max(), rel=1e-9)


SPLIT = {
    "newton": (GDClassifier(), CANCER),
    "l1": (GDClassifier(penalty="l1", alpha=0.01), CANCER),
    "softmax": (GDClassifier(optimizer="adam", batch_size=16), IRIS),
    "one row": (GDClassifier(optimizer="sgd", batch_size=1, learning_rate=0.001), CANCER),
    "full": (GDClassifier(optimizer="sgd", batch_size="full"), CANCER),
    "share": (GDClassifier(optimizer="adam", batch_size=0.1, learning_rate=0.01), CANCER),
    "balanced": (GDClassifier(optimizer="adam", class_weight="balanced"), CANCER),
    "average": (GDRegressor(optimizer="sgd", average=True, learning_rate=0.01), DIABETES),
    "huber": (GDRegressor(loss="huber"), DIABETES),
    "in order": (GDRegressor(optimizer="adam", shuffle=False), DIABETES),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("model, data", SPLIT.values(), ids=SPLIT)
def test_a_split_trains_as_if_its_rows_had_been_passed(model, data, form, weighted):
    X, y = data
    X = form(X)
    s = np.random.default_rng(0).integers(0 if weighted else 1, 3 if weighted else 2, len(y))
    model = clone(model).set_params(
        early_stopping=True, validation_fraction=0.2, max_iter=6, tol=None, random_state=0
    )
    split = clone(model).fit(X, y, sample_weight=s if weighted else None)
    train, test = map(np.sort, train_test_split(
        np.arange(len(y)), test_size=0.2, stratify=y if is_classifier(model) else None,
        random_state=0,
    ))  # fmt: skip
    given = model.fit(
        X[train], y[train], s[train] if weighted else None,
        X_val=X[test], y_val=y[test], sample_weight_val=s[test],
    )  # fmt: skip
    assert_allclose(split.coef_, given.coef_, rtol=1e-6, atol=1e-9)
    assert split.n_iter_ == given.n_iter_
    assert split.t_ == given.t_
    for key in ("loss", "objective", "validation_loss"):
        assert_allclose(split.history_[key], given.history_[key], rtol=1e-7)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}, {"optimizer": "lbfgs"}], ids=str)
def test_a_split_copies_no_rows(settings, mapped, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 50))
    y = X[:, 0] + rng.normal(size=len(X))
    if mapped:
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = GDRegressor(max_iter=3, tol=None, random_state=0, **settings)
    peaks = []
    for early_stopping in (False, True):
        tracemalloc.start()
        model.set_params(early_stopping=early_stopping).fit(X, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert np.all(np.isfinite(model.history_["validation_loss"]))
    assert peaks[1] < peaks[0] + 0.25 * X.nbytes


def test_a_split_holds_out_the_same_share_of_each_class():
    X, y = CANCER
    rows = np.append(np.flatnonzero(y == 0)[:20], np.flatnonzero(y == 1)[:300])
    seen = []

    def scoring(estimator, X, y):
        seen.append(np.bincount(y))
        return 0.0

    model = GDClassifier(early_stopping=True, scoring=scoring, random_state=0)
    model.fit(X[rows], y[rows])
    assert_array_equal(seen[0], [2, 30])


def test_class_weights_count_in_the_validation_loss():
    X, X_val, y, y_val = train_test_split(*CANCER, test_size=60, random_state=1)
    model = GDClassifier(
        optimizer="adam", learning_rate=0.3, early_stopping=True, random_state=0,
        class_weight={0: 5.0},
    ).fit(X, y, X_val=X_val, y_val=y_val)  # fmt: skip
    loss = log_loss(
        y_val, model.predict_proba(X_val), sample_weight=np.where(y_val == 0, 5.0, 1.0)
    )
    assert model.history_["validation_loss"].min() == pytest.approx(loss, rel=1e-9)


@pytest.mark.parametrize("fraction", [np.float32(0.25), Fraction(1, 4)], ids=repr)
def test_the_validation_fraction_may_be_any_real_number(fraction):
    settings = {"early_stopping": True, "random_state": 0, "max_iter": 3, "tol": None}
    model = GDClassifier(optimizer="adam", **settings)
    expected = model.set_params(validation_fraction=0.25).fit(*IRIS).coef_
    assert_array_equal(model.set_params(validation_fraction=fraction).fit(*IRIS).coef_, expected)


def test_early_stopping_works_without_tol():
    model = GDClassifier(
        optimizer="adam", learning_rate=0.3, early_stopping=True, tol=None, random_state=0
    ).fit(*CANCER)
    best = int(np.argmin(model.history_["validation_loss"]))
    assert model.stop_reason_ == "early_stopping"
    assert model.n_iter_ == best + 1 + 5


def test_the_training_loss_does_not_stop_a_run_that_is_validated():
    X, X_val, y, y_val = train_test_split(*CANCER, test_size=100, random_state=1)
    scores = iter(np.arange(40.0))
    model = GDClassifier(
        optimizer="adam", early_stopping=True, tol=0.5, max_iter=40, random_state=0,
        scoring=lambda estimator, X, y: next(scores),
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="max_iter=40"):
        model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.n_iter_ == 40


@pytest.mark.parametrize("n_iter_no_change", [1, 4])
def test_patience_is_n_iter_no_change(n_iter_no_change):
    scores = iter([0.1, 0.5, 0.3, 0.7, 0.7, 0.7, 0.2, 0.7, 0.8])
    model = GDClassifier(
        optimizer="adam", early_stopping=True, n_iter_no_change=n_iter_no_change, random_state=0,
        scoring=lambda estimator, X, y: next(scores),
    ).fit(*CANCER)  # fmt: skip
    assert model.n_iter_ == {1: 3, 4: 8}[n_iter_no_change]


@pytest.mark.parametrize("learning_rate", [0.1, 0.3])
def test_the_entry_of_the_best_epoch_is_that_of_the_coefficients(learning_rate):
    X, X_val, y, y_val = train_test_split(*CANCER, test_size=60, random_state=1)
    model = GDClassifier(
        optimizer="adam", learning_rate=learning_rate, early_stopping=True, batch_size=32,
        random_state=0,
    ).fit(X, y, X_val=X_val, y_val=y_val)  # fmt: skip
    best = int(np.argmin(model.history_["validation_loss"]))
    assert best < model.n_iter_ - 1
    loss = log_loss(y, model.predict_proba(X))
    assert model.history_["loss"][best] == pytest.approx(loss, rel=1e-9)
    assert model.history_["loss"][-1] != pytest.approx(loss, rel=1e-9)


def test_x_val_goes_through_a_pipeline():
    X, X_val, y, y_val = train_test_split(*CANCER, test_size=100, random_state=1)
    settings = {"optimizer": "adam", "early_stopping": True, "random_state": 0}
    scaler = StandardScaler().fit(X)
    alone = GDClassifier(**settings).fit(
        scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val
    )
    with config_context(enable_metadata_routing=True):
        model = GDClassifier(**settings).set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline(
            [("scaler", StandardScaler()), ("model", model)], transform_input=["X_val"]
        ).fit(X, y, X_val=X_val, y_val=y_val)
    assert_array_equal(pipeline[-1].coef_, alone.coef_)
    assert_array_equal(pipeline[-1].history_["validation_loss"], alone.history_["validation_loss"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"X_val": CANCER[0]},
        {"y_val": CANCER[1]},
        {"X_val": CANCER[0], "y_val": CANCER[1][1:]},
        {"X_val": CANCER[0][:, 1:], "y_val": CANCER[1]},
        {"X_val": CANCER[0], "y_val": CANCER[1] + 7},
        {"X_val": CANCER[0], "y_val": CANCER[1], "sample_weight_val": np.ones(3)},
    ],
    ids=["half", "other half", "lengths", "columns", "labels", "weights"],
)
def test_what_hist_gradient_boosting_refuses_as_validation_set_is_refused(arguments):
    for model in (HistGradientBoostingClassifier(early_stopping=True),
                  GDClassifier(early_stopping=True)):
        with pytest.raises(ValueError) as caught:
            model.fit(*CANCER, **arguments)
        if "y_val" not in arguments:
            assert "X_val is provided, but y_val was not provided" in str(caught.value)
        if "X_val" not in arguments:
            assert "y_val is provided, but X_val was not provided" in str(caught.value)


def test_early_stopping_does_not_end_a_kinked_loss_at_its_smoothing_path():
    X, y = DIABETES
    model = GDRegressor(loss="absolute_error", early_stopping=True, random_state=0).fit(X, y)
    whole = GDRegressor(loss="absolute_error").fit(X, y)
    assert model.history_["loss"].min() < 1.03 * whole.history_["loss"].min()
    error, least = (np.abs(fitted.predict(X) - y).mean() for fitted in (model, whole))
    assert error < 1.05 * least


def test_a_warm_start_after_early_stopping_goes_on_from_the_best_weights():
    model = GDClassifier(
        optimizer="adam", learning_rate=0.3, early_stopping=True, warm_start=True, random_state=0
    ).fit(*CANCER)
    best = model.history_["validation_loss"].min()
    model.set_params(learning_rate=1e-12, max_iter=1, tol=None).fit(*CANCER)
    assert model.history_["validation_loss"][0] == pytest.approx(best, rel=1e-6)


def test_without_early_stopping_nothing_is_validated():
    history = GDClassifier(optimizer="adam", random_state=0).fit(*CANCER).history_
    assert np.all(np.isnan(history["validation_loss"]))
    assert np.all(np.isnan(history["validation_score"]))


def test_a_validation_set_without_early_stopping_is_an_error():
    X, y = CANCER
    with pytest.raises(ValueError, match="early_stopping=True"):
        GDClassifier().fit(X, y, X_val=X, y_val=y)


def test_half_a_validation_set_is_an_error():
    X, y = CANCER
    with pytest.raises(ValueError, match="y_val"):
        GDClassifier(early_stopping=True).fit(X, y, X_val=X)


def test_a_split_that_would_leave_a_class_out_is_not_made():
    X, y = CANCER
    rows = np.append(np.flatnonzero(y == 0)[:1], np.flatnonzero(y == 1)[:30])
    with pytest.warns(UserWarning, match="early_stopping=True.*X_val"):
        model = GDClassifier(early_stopping=True, alpha=1.0).fit(X[rows], y[rows])
    assert np.all(np.isnan(model.history_["validation_loss"]))
    assert model.converged_


# ---- Ctrl-C -------------------------------------------------------------------------------------


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
    # The process that started the worker can go on with the same object.
    assert models[2].fit(*DIABETES).stop_reason_ == "max_iter"


# ---- the HTML representation --------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [10, 1000])
def test_a_long_history_does_not_clutter_the_html(epochs):
    model = GDRegressor(optimizer="sgd", batch_size="full", tol=None, max_iter=epochs)
    html = model.fit(*DIABETES)._repr_html_()
    assert "history_" in html
    assert len(html) < 1.02 * len(model.set_params(max_iter=1).fit(*DIABETES)._repr_html_()) + 500


# ---- warm starts --------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_warm_start_goes_on_where_the_last_fit_ended(optimizer):
    settings = {
        "optimizer": optimizer, "learning_rate": 0.01, "batch_size": 16, "tol": None,
        "shuffle": False,
    }  # fmt: skip
    once = GDClassifier(max_iter=6, **settings).fit(*IRIS)
    twice = GDClassifier(max_iter=3, warm_start=True, **settings).fit(*IRIS).fit(*IRIS)
    assert_allclose(twice.coef_, once.coef_, rtol=1e-10)


def test_a_warm_start_of_a_solved_problem_has_little_to_do():
    model = GDClassifier(alpha=1e-2, warm_start=True).fit(*CANCER)
    assert model.n_iter_ > 2
    assert model.fit(*CANCER).n_iter_ <= 1


@pytest.mark.parametrize(
    "change",
    [{"optimizer": "adam"}, {"optimizer": Adam(amsgrad=True)}, {"optimizer": "sgd"},
     {"optimizer": "lbfgs", "learning_rate": "auto", "batch_size": "auto"},
     {"fit_intercept": False}, {"loss": "squared_hinge"}, {"precondition": None}],
    ids=str,
)  # fmt: skip
def test_a_warm_start_of_another_kind_of_run_takes_nothing_but_the_coefficients(change):
    settings = {
        "optimizer": "momentum", "learning_rate": 1e-4, "batch_size": 16, "tol": None,
        "shuffle": False, "max_iter": 3,
    }  # fmt: skip
    model = GDClassifier(warm_start=True, **settings).fit(*IRIS)
    start = model.coef_.copy(), model.intercept_.copy()
    other = GDClassifier(init=start, **settings).set_params(**change).fit(*IRIS)
    model = model.set_params(**change).fit(*IRIS)
    assert_allclose(model.coef_, other.coef_, rtol=1e-9)
    assert model.n_iter_ == other.n_iter_
    assert model.t_ == other.t_


def test_a_warm_start_with_other_labels_says_what_to_pass():
    X, y = IRIS
    model = GDClassifier(warm_start=True).fit(X[:100], y[:100])
    with pytest.raises(ValueError, match=r"labels \[2\].*, or fit anew with warm_start=False"):
        model.fit(X, y)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_warm_start_may_begin_or_end_the_averaging(optimizer):
    settings = {
        "optimizer": optimizer, "learning_rate": 0.01, "batch_size": 16, "tol": None,
        "shuffle": False, "warm_start": True,
    }  # fmt: skip
    once = GDClassifier(max_iter=6, **settings).fit(*IRIS)
    model = GDClassifier(max_iter=2, **settings).fit(*IRIS).set_params(average=True).fit(*IRIS)
    late = GDClassifier(max_iter=4, average=model.t_ // 2 + 1, **settings).fit(*IRIS)
    assert_allclose(model.coef_, late.coef_, rtol=1e-10)
    assert_allclose(model.set_params(average=False).fit(*IRIS).coef_, once.coef_, rtol=1e-10)


@pytest.mark.parametrize(
    "settings", [{"alpha": 0.0}, {"penalty": None}, {"penalty": None, "loss": "focal"}], ids=str
)
@pytest.mark.parametrize("y", [np.arange(12) // 6, np.arange(12) // 4], ids=["two", "three"])
def test_classes_that_can_be_separated_have_no_minimum_without_a_penalty(settings, y):
    noise = 0.1 * np.sin(np.arange(36.0)).reshape(12, 3)
    X = np.column_stack([y == label for label in range(3)]) + noise
    with pytest.warns(ConvergenceWarning, match="minimum is at infinite coefficients.*alpha > 0"):
        model = GDClassifier(**settings).fit(X, y)
    assert np.isfinite(model.coef_).all()
    assert model.score(X, y) == 1.0


def test_classes_that_overlap_have_a_minimum_without_a_penalty():
    X, y = load_iris(return_X_y=True)
    GDClassifier(alpha=0.0).fit(X[50:, 2:3], y[50:])
    GDClassifier(alpha=1e-6).fit(*CANCER)


def test_a_trial_step_beyond_all_numbers_is_no_warning():
    rng = np.random.default_rng(0)
    X, y = 1e8 + 1e3 * rng.normal(size=(12, 6)), np.exp(rng.normal(scale=4, size=12))
    model = GDRegressor("gamma", penalty=None).fit(X, y)
    assert model.converged_
    assert model.optimality_ < 1e-6
