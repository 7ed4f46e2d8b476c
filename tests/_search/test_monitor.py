"""Runs at whose objectives nobody looks: the bound that allows it, and what divergence leads to."""

import gc
import weakref

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.model_selection import StratifiedKFold

from skgd import GDClassifier, GDSearchCV, losses
from skgd._search import gd_search_cv, monitor, trials

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODEL = GDClassifier(batch_size=16, max_iter=6, tol=None, random_state=3)
RATES = {"learning_rate": [1e-7, 1e-3, 0.1, 1.0, 3.0, 30.0, 1e3, 1e6]}
CLASSES = (getattr(losses, name) for name in losses.__all__)
LOSSES = [each() for each in CLASSES if isinstance(each, type) and each is not losses.Loss]
BOUNDED = [loss for loss in LOSSES if np.isfinite(loss.lipschitz(1))]


def sample(load):
    X, y = load(return_X_y=True)
    return X[:, :8], y


@pytest.fixture
def entries(monkeypatch):
    """What a search trains, with the models that it has come to."""
    seen, train = [], gd_search_cv.train

    def spy(entries, *more):
        seen.extend(entries)
        train(entries, *more)

    monkeypatch.setattr(gd_search_cv, "train", spy)
    return seen


@pytest.mark.parametrize("loss", BOUNDED, ids=str)
@pytest.mark.parametrize("k", [1, 3])
def test_no_gradient_of_a_row_is_longer_than_the_steepest(loss, k):
    if loss.is_multiclass(k):
        y = 2.0 * np.eye(k)[np.arange(3000) % k] - 1.0
    else:
        y = np.where(np.arange(3000 * k).reshape(-1, k) % 2, 1.0, -1.0)
    z = np.random.default_rng(0).normal(size=y.shape) * np.logspace(-3, 3, 3000)[:, None]
    slopes = loss.compiled(k).apply("gradient", y, z)
    length = np.linalg.norm(slopes, axis=1) if loss.is_multiclass(k) else np.abs(slopes)
    assert 0.99 * loss.lipschitz(k) <= length.max() <= (1 + 1e-12) * loss.lipschitz(k)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_second_moments_are_those_of_numpy(weighted, dtype):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(5000, 4)) * [1, 10, 0.1, 1] + [0, 1e5, 0, -3]).astype(dtype)
    rows = np.sort(rng.permutation(5000)[:3000])
    weights = rng.uniform(0.5, 2, 5000) if weighted else None
    mean, squares = monitor.second_moments(X, rows, weights)
    chosen, aweights = X[rows].astype(float), None if weights is None else weights[rows]
    assert_allclose(mean, np.average(chosen, axis=0, weights=aweights), rtol=1e-12)
    expected = np.cov(chosen.T, ddof=0, aweights=aweights)
    assert_allclose(squares, expected, rtol=1e-9, atol=1e-9 * expected.diagonal().mean())


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("loss", [each for each in BOUNDED if each.task == "classification"],
                         ids=str)  # fmt: skip
def test_only_runs_whose_objectives_are_bounded_are_not_looked_at(load, loss, monkeypatch):
    X, y = sample(load)
    bounds, passed_over, watched = [], [], monitor.DivergenceMonitor
    upper_bounds, safe = watched._upper_bounds, watched._safe

    def spy_on_bounds(self, runs, ends, *form):
        uppers = upper_bounds(self, runs, ends, *form)
        values = [run.objective.values(*ends[run])[1].sum() for run in runs]
        bounds.extend(zip(runs, values, uppers, strict=True))
        return uppers

    def spy_on_safe(self, ends, runs):
        first, found = len(bounds), safe(self, ends, runs)
        passed_over.extend(run in found for run, *_ in bounds[first:])
        return found

    monkeypatch.setattr(watched, "_upper_bounds", spy_on_bounds)
    monkeypatch.setattr(watched, "_safe", spy_on_safe)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    GDSearchCV(clone(MODEL).set_params(loss=loss), {**RATES, "alpha": [0.0, 0.1]}, cv=3).fit(
        X, y, sample_weight=weights
    )
    limits = np.array([run.history.divergence_bound for run, *_ in bounds])
    values, uppers = np.array([pair for _, *pair in bounds]).T
    known = np.isfinite(uppers)
    assert np.all(values[known] <= (1 + 1e-12) * uppers[known])
    assert np.min(uppers / values) < 4
    assert np.array_equal(passed_over, uppers <= limits) and 0 < sum(passed_over) < len(bounds)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("settings", [
    {"optimizer": "sgd"}, {"optimizer": "adam"}, {"optimizer": "adam", "loss": "hinge"},
    {"optimizer": "sgd", "average": 5}, {"optimizer": "adam", "positive": True},
    {"optimizer": "sgd", "precondition": None}, {"optimizer": "sgd", "penalty": "l1"},
    {"optimizer": "momentum", "init": "random", "fit_intercept": False},
], ids=str)  # fmt: skip
def test_candidates_are_their_fits_though_nobody_looks(load, settings, n_jobs, entries):
    X, y = sample(load)
    model, cv = clone(MODEL).set_params(**settings), StratifiedKFold(3)
    search = GDSearchCV(model, RATES, cv=cv, race=False, n_jobs=n_jobs).fit(X, y)
    seen = [~np.isnan(entry.model.history_["objective"]) for entry in entries]
    assert any(not each.all() for each in seen) and all(each[-1] for each in seen)
    found = iter(entries)
    for train, _ in cv.split(X, y):
        weights = np.zeros(len(y))
        weights[train] = 1.0
        for candidate in search.cv_results_["params"]:
            alone = clone(model).set_params(**candidate).fit(X, y, sample_weight=weights)
            ours = next(found).model
            assert ours.stop_reason_ == alone.stop_reason_
            assert len(ours.history_["objective"]) == len(alone.history_["objective"])
            scale = max(np.abs(alone.coef_).max(), np.abs(alone.intercept_).max(), 1e-300)
            assert_allclose(ours.coef_, alone.coef_, rtol=0, atol=1e-8 * scale)
            assert_allclose(ours.intercept_, alone.intercept_, rtol=0, atol=1e-8 * scale)


def test_no_more_is_kept_unseen_than_there_is_room_for(monkeypatch, entries):
    X, y = sample(load_wine)
    size = 3 * X.shape[1] * 3 * 3  # of the coefficients of three candidates on three folds
    monkeypatch.setattr(monitor, "UNSEEN", 2 * size)
    GDSearchCV(MODEL, {"learning_rate": [1e-4, 1e-3, 1e-2]}, cv=3, race=False).fit(X, y)
    unseen = [np.isnan(entry.model.history_["objective"]) for entry in entries]
    assert_array_equal(unseen, len(entries) * [[True, True, False, False, False, False]])


def test_runs_that_have_left_are_not_kept(monkeypatch):
    X, y = sample(load_wine)
    gone, checked, leave, look = [], [], trials.Trial.leave, monitor.DivergenceMonitor.look

    def spy_on_leave(entry):
        gone.append(weakref.ref(entry.run))
        leave(entry)

    def spy_on_look(self, runs, ends):
        gc.collect()
        checked.extend(ref() is None for ref in gone)
        return look(self, runs, ends)

    monkeypatch.setattr(trials.Trial, "leave", spy_on_leave)
    monkeypatch.setattr(monitor.DivergenceMonitor, "look", spy_on_look)
    GDSearchCV(MODEL, {"learning_rate": np.logspace(-7, 0, 40)}, cv=3).fit(X, y)
    assert checked and all(checked)
