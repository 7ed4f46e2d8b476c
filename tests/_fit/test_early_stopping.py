"""Early stopping on held-out rows."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
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

from skgd import GDClassifier, GDRegressor

DIABETES = load_diabetes(return_X_y=True, scaled=False)
CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)


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
