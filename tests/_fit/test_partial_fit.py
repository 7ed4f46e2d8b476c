"""partial_fit: an epoch at a time, with all state kept from one call to the next."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV

from skgd import DivergenceWarning, GDClassifier, GDRegressor
from skgd.optimizers import SGD, Adam, RMSprop
from skgd.schedules import InverseScaling, Step

DIABETES = load_diabetes(return_X_y=True, scaled=False)
IRIS = load_iris(return_X_y=True)
WINE = load_wine(return_X_y=True)
OPTIMIZERS = {
    "sgd": "sgd",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "dampened": SGD(momentum=0.5, dampening=0.3),
    "adagrad": "adagrad",
    "rmsprop": "rmsprop",
    "centred": RMSprop(centered=True, momentum=0.5),
    "adam": "adam",
    "amsgrad": Adam(amsgrad=True),
}


def same_model(model, other, rtol=1e-10):
    assert_allclose(model.coef_, other.coef_, rtol=rtol, atol=rtol * np.abs(other.coef_).max())
    assert_allclose(model.intercept_, other.intercept_, rtol=rtol)
    assert model.t_ == other.t_
    assert model.n_iter_ == other.n_iter_


@pytest.mark.parametrize("average", [False, True, 7])
@pytest.mark.parametrize("batch_size", [1, 32, "full"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_calls_of_partial_fit_equal_as_many_epochs_of_fit(optimizer, batch_size, average):
    settings = {
        "optimizer": OPTIMIZERS[optimizer], "batch_size": batch_size, "learning_rate": 0.003,
        "average": average, "shuffle": False, "alpha": 0.01,
    }  # fmt: skip
    whole = GDRegressor(max_iter=3, tol=None, **settings).fit(*DIABETES)
    parts = GDRegressor(**settings)
    for _ in range(3):
        parts.partial_fit(*DIABETES)
    same_model(parts, whole)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
@pytest.mark.parametrize("data", [IRIS, (IRIS[0], IRIS[1] == 1)], ids=["softmax", "binary"])
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_partial_fit_of_a_classifier_equals_fit(loss, data, penalty):
    settings = {
        "loss": loss, "penalty": penalty, "alpha": 0.01, "batch_size": 16, "shuffle": False,
        "learning_rate": InverseScaling(0.05, power=0.3), "class_weight": {1: 2.0},
    }  # fmt: skip
    s = np.random.default_rng(0).integers(0, 3, len(IRIS[1]))
    whole = GDClassifier(max_iter=4, tol=None, **settings).fit(*data, sample_weight=s)
    parts = GDClassifier(**settings)
    for _ in range(4):
        parts.partial_fit(*data, classes=np.unique(data[1]), sample_weight=s)
    same_model(parts, whole)


def test_partial_fit_in_raw_coordinates_equals_fit():
    X, y = IRIS
    settings = {"batch_size": 16, "shuffle": False, "learning_rate": 0.01, "precondition": None}
    whole = GDClassifier(max_iter=4, tol=None, **settings).fit(X, y)
    parts = GDClassifier(**settings)
    for _ in range(4):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    same_model(parts, whole)


def test_partial_fit_of_sgd_on_raw_coordinates_is_the_loop_written_by_hand():
    X, y = IRIS
    rate, alpha, w, b = 0.01, 0.1, np.zeros(4), 0.0
    model = GDRegressor(
        optimizer="sgd", learning_rate=rate, alpha=alpha, batch_size=1, shuffle=False,
        precondition=None,
    ).partial_fit(X, y)  # fmt: skip
    for row, target in zip(X, y, strict=True):
        slope = w @ row + b - target
        w, b = w - rate * (slope * row + alpha * w), b - rate * slope
    assert_allclose(model.coef_, w, rtol=1e-12)
    assert_allclose(model.intercept_, [b], rtol=1e-12)


@pytest.mark.parametrize("learning_rate", ["auto", 0.01])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_pickle_between_the_calls_changes_nothing(optimizer, learning_rate):
    settings = {
        "optimizer": OPTIMIZERS[optimizer], "batch_size": 16, "learning_rate": learning_rate,
        "average": True, "random_state": 3,
    }  # fmt: skip
    kept, pickled = GDClassifier(**settings), GDClassifier(**settings)
    for _ in range(3):
        kept.partial_fit(*WINE, classes=[0, 1, 2])
        pickled = pickle.loads(pickle.dumps(pickled)).partial_fit(*WINE, classes=[0, 1, 2])
    assert_array_equal(kept.coef_, pickled.coef_)
    assert_array_equal(kept.intercept_, pickled.intercept_)
    assert np.abs(kept.coef_).max() > 0


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_call_whose_weights_are_all_zero_changes_nothing(optimizer, class_weight):
    X, y = WINE
    settings = {
        "optimizer": OPTIMIZERS[optimizer], "learning_rate": 0.01, "random_state": 0,
        "batch_size": 16, "class_weight": class_weight,
    }  # fmt: skip
    plain, with_zeros = GDClassifier(**settings), GDClassifier(**settings)
    for first in (0, 60, 120):
        rows = (np.arange(60) * 7 + first) % len(y)
        plain.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        with_zeros.partial_fit(X[::-1], y, classes=[0, 1, 2], sample_weight=np.zeros(len(y)))
        with_zeros.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    with_zeros.partial_fit(X[:3], y[:3], sample_weight=np.zeros(3))
    assert_array_equal(plain.coef_, with_zeros.coef_)
    assert_array_equal(plain.intercept_, with_zeros.intercept_)
    assert plain.t_ == with_zeros.t_


def test_a_first_call_whose_weights_are_all_zero_leaves_a_model_that_predicts():
    X, y = DIABETES
    model = GDRegressor().partial_fit(X, y, sample_weight=np.zeros(len(y)))
    assert_array_equal(model.predict(X), 0)
    assert model.t_ == 0


def test_rows_without_weight_count_for_nothing_but_their_place_in_a_batch():
    X, y = DIABETES
    s = np.tile([0.0, 2.0], len(y) // 2)
    model = GDRegressor(optimizer="sgd", batch_size="full", learning_rate=0.5)
    other = GDRegressor(optimizer="sgd", batch_size="full", learning_rate=0.5)
    for _ in range(3):
        model.partial_fit(X, y, sample_weight=s)
        other.partial_fit(X[1::2], y[1::2])
    assert_allclose(model.coef_, other.coef_, rtol=1e-10)


def test_the_first_call_without_classes_is_an_error():
    model = GDClassifier(batch_size="full")
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(*IRIS)
    assert model.partial_fit(*IRIS, classes=[0, 1, 2]).partial_fit(*IRIS).t_ == 2


@pytest.mark.parametrize("first", [True, False])
def test_labels_that_were_not_announced_are_an_error(first):
    X, y = IRIS
    model = GDClassifier()
    if not first:
        model.partial_fit(X[:100], y[:100], classes=[0, 1])
        coef = model.coef_.copy()
    with pytest.raises(ValueError, match=r"y contains the labels \[2\]"):
        model.partial_fit(X, y, classes=[0, 1])
    if not first:
        assert_array_equal(model.coef_, coef)
    model.partial_fit(X[:100], y[:100], classes=[0, 1])


def test_other_classes_in_a_later_call_are_an_error():
    model = GDClassifier().partial_fit(*IRIS, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(*IRIS, classes=[0, 1, 2, 3])


def test_a_class_may_be_missing_from_a_call():
    X, y = IRIS
    model = GDClassifier(learning_rate=0.1, random_state=0)
    for _ in range(60):
        for c in range(3):
            model.partial_fit(X[y == c], y[y == c], classes=[0, 1, 2])
    assert model.score(X, y) > 0.9
    assert_array_equal(np.unique(model.predict(X)), [0, 1, 2])


def test_balanced_counts_the_weights_of_all_calls():
    X, y = IRIS
    s = np.where(y == 0, 3.0, 1.0) * np.where(np.arange(len(y)) % 5, 1.0, 2.0)
    settings = {"learning_rate": 0.05, "batch_size": 16, "shuffle": False}
    balanced = GDClassifier(class_weight="balanced", **settings)
    by_hand = GDClassifier(**settings)
    for _ in range(3):
        balanced.partial_fit(X, y, classes=[0, 1, 2], sample_weight=s)
        # Each call has the same rows, so the running sums stay in proportion.
        factors = s.sum() / (3 * np.bincount(y, weights=s))
        by_hand.partial_fit(X, y, classes=[0, 1, 2], sample_weight=s * factors[y])
    assert_allclose(balanced.coef_, by_hand.coef_, rtol=1e-9)


def test_balanced_gives_a_rare_class_its_share_though_calls_differ():
    X, y = IRIS
    rare = np.append(np.flatnonzero(y == 1), np.flatnonzero(y == 2)[:5])
    plain = GDClassifier(learning_rate=0.02, random_state=0)
    balanced = GDClassifier(learning_rate=0.02, class_weight="balanced", random_state=0)
    for k in range(40):
        rows = rare[k % 2::2]
        for model in (plain, balanced):
            model.partial_fit(X[rows], y[rows], classes=[1, 2])
    assert balanced.predict_proba(X[y == 2])[:, 1].mean() > plain.predict_proba(
        X[y == 2]
    )[:, 1].mean()


def test_partial_fit_ignores_early_stopping_and_tol():
    model = GDRegressor(early_stopping=True, tol=1.0, optimizer="adam", random_state=0)
    for k in range(8):
        model.partial_fit(*DIABETES)
        assert model.n_iter_ == k + 1
    other = GDRegressor(optimizer="adam", random_state=0)
    for _ in range(8):
        other.partial_fit(*DIABETES)
    assert_array_equal(model.coef_, other.coef_)


@pytest.mark.parametrize("optimizer", ["lbfgs", "gradient_descent", "accelerated_gradient"])
def test_partial_fit_with_a_full_batch_optimizer_is_an_error(optimizer):
    model = GDRegressor(optimizer=optimizer)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        model.partial_fit(*DIABETES)
    assert f"partial_fit with optimizer='{optimizer}'" in str(caught.value.__cause__)
    assert "optimizer='adam'" in str(caught.value.__cause__)


def test_other_columns_in_a_later_call_are_an_error():
    X, y = DIABETES
    model = GDRegressor().partial_fit(X, y)
    with pytest.raises(ValueError, match="9 features"):
        model.partial_fit(X[:, 1:], y)


def test_fit_after_partial_fit_starts_anew():
    X, y = DIABETES
    model = GDRegressor(alpha=0.1).partial_fit(X, -y)
    assert_array_equal(model.fit(X, y).coef_, GDRegressor(alpha=0.1).fit(X, y).coef_)


def test_streams_of_many_small_calls_learn():
    X, y = DIABETES
    model = GDRegressor(random_state=0)
    for k in range(600):
        rows = np.arange(k * 20, k * 20 + 20) % len(y)
        model.partial_fit(X[rows], y[rows])
    assert model.score(X, y) > 0.45


IN_ANOTHER_PROCESS = """
import pickle, sys
from sklearn.datasets import load_wine
models = pickle.load(open(sys.argv[1], "rb"))
for model in models:
    for _ in range(2):
        model.partial_fit(*load_wine(return_X_y=True))
pickle.dump(models, open(sys.argv[1], "wb"))
"""


def test_another_process_goes_on_as_if_it_had_never_stopped(tmp_path):
    estimators = [
        GDClassifier(
            optimizer=optimizer, average=average, batch_size=16, random_state=0,
            learning_rate=Step(0.01, factor=0.5, epochs=1),
        )
        for optimizer in ("nesterov", "adam") for average in (False, True)
    ]  # fmt: skip
    wholes, parts = [clone(estimator) for estimator in estimators], estimators
    for models, n_calls in ((wholes, 4), (parts, 2)):
        for model in models:
            for _ in range(n_calls):
                model.partial_fit(*WINE, classes=[0, 1, 2])
    path = tmp_path / "models"
    path.write_bytes(pickle.dumps(parts))
    subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, path], check=True)
    for again, whole in zip(pickle.loads(path.read_bytes()), wholes, strict=True):
        assert_array_equal(again.coef_, whole.coef_)
        assert_array_equal(again.intercept_, whole.intercept_)
        assert again.t_ == whole.t_


@pytest.mark.parametrize("average", [False, True])
def test_a_model_that_joblib_has_mapped_learns_on(average, tmp_path):
    model = GDClassifier(optimizer="adam", average=average, random_state=0)
    joblib.dump(model.partial_fit(*WINE, classes=[0, 1, 2]), tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert_array_equal(mapped.partial_fit(*WINE).coef_, model.partial_fit(*WINE).coef_)


def test_a_new_learning_rate_takes_effect_at_the_next_call():
    settings = {"optimizer": "sgd", "batch_size": 16, "shuffle": False}
    model = GDRegressor(learning_rate=0.01, **settings).partial_fit(*DIABETES)
    before = model.coef_.copy()
    model.set_params(learning_rate=1e-20).partial_fit(*DIABETES)
    assert_allclose(model.coef_, before, rtol=1e-12)
    assert model.history_["learning_rate"][-1] == 1e-20
    model.set_params(learning_rate=0.02).partial_fit(*DIABETES)
    assert model.history_["learning_rate"][-1] == 0.02
    assert np.abs(model.coef_ - before).max() > 1e-3


def test_coefficients_that_the_user_sets_are_gone_on_from():
    settings = {"optimizer": "adam", "batch_size": 32, "learning_rate": 1e-20}
    for average in (False, True):
        model = GDRegressor(average=average, **settings).partial_fit(*DIABETES)
        model.coef_, model.intercept_ = np.arange(10.0), np.array([3.0])
        model.partial_fit(*DIABETES)
        assert_allclose(model.coef_, np.arange(10.0), rtol=1e-9, atol=1e-9)
        assert_allclose(model.intercept_, 3.0, rtol=1e-6)


def test_partial_fit_after_a_solved_fit_stays_near_the_minimum():
    model = GDRegressor(random_state=0).fit(*DIABETES)
    score = model.score(*DIABETES)
    for _ in range(3):
        model.partial_fit(*DIABETES)
    assert model.score(*DIABETES) > score - 0.01


def test_partial_fit_goes_on_after_an_explosion():
    X, y = DIABETES
    model = GDRegressor(optimizer="momentum", learning_rate=0.01, batch_size=16, random_state=0)
    for _ in range(5):
        model.partial_fit(X, y)
    with pytest.warns(DivergenceWarning):
        model.set_params(learning_rate=1e3).partial_fit(X, y)
    model.set_params(learning_rate=0.01)
    for _ in range(5):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.45


@pytest.mark.parametrize("warm_start", [False, True])
def test_halving_search_spends_epochs_as_its_resource(warm_start):
    model = GDClassifier(
        optimizer="adam", batch_size=16, tol=None, random_state=0, warm_start=warm_start
    )
    search = HalvingGridSearchCV(
        model, {"learning_rate": [1e-6, 1e-4, 1e-2, 1e-1]}, resource="max_iter", max_resources=32,
        min_resources=8, factor=2, cv=3, random_state=0,
    ).fit(*WINE)  # fmt: skip
    assert search.best_params_["learning_rate"] >= 1e-2
    assert search.best_estimator_.n_iter_ == 32
    assert search.score(*WINE) > 0.95


def test_blocks_of_rows_learn_as_an_incremental_wrapper_passes_them():
    # dask-ml's Incremental calls partial_fit with one block after the other, with keywords only.
    X, y = WINE
    order = np.random.default_rng(0).permutation(len(y))
    model = clone(GDClassifier(random_state=0))
    for _ in range(20):
        for block in np.array_split(order, 6):
            model.partial_fit(X=X[block], y=y[block], classes=[0, 1, 2])
    assert model.score(X, y) > 0.95


@pytest.mark.parametrize("batch_size", [1, 16, "full"])
def test_a_warm_start_keeps_the_state_of_a_run(batch_size):
    settings = {
        "optimizer": "nesterov", "batch_size": batch_size, "learning_rate": 0.003, "tol": None,
        "random_state": 0,
    }  # fmt: skip
    whole = GDRegressor(max_iter=7, **settings).fit(*DIABETES)
    parts = GDRegressor(max_iter=4, warm_start=True, **settings).fit(*DIABETES)
    parts.set_params(max_iter=3).fit(*DIABETES)
    assert_array_equal(parts.coef_, whole.coef_)
    assert parts.t_ == whole.t_
    assert_array_equal(parts.history_["epoch"], [5, 6, 7])
