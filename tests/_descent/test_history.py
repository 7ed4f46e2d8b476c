"""When a run stops, what it says then, and what it gives back."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skgd import DivergenceWarning, GDClassifier, GDRegressor
from skgd.losses import Loss

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


@pytest.mark.filterwarnings("ignore:Wrong.gradient is not the derivative of Wrong.value")
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


class Slow(Loss):
    """Half the squared residual, in Python."""

    def value(self, y, z):
        return 0.5 * (z - y) ** 2

    def gradient(self, y, z):
        return z - y


# ---- the HTML representation --------------------------------------------------------------------

@pytest.mark.parametrize("epochs", [10, 1000])
def test_a_long_history_does_not_clutter_the_html(epochs):
    model = GDRegressor(optimizer="sgd", batch_size="full", tol=None, max_iter=epochs)
    html = model.fit(*DIABETES)._repr_html_()
    assert "history_" in html
    assert len(html) < 1.02 * len(model.set_params(max_iter=1).fit(*DIABETES)._repr_html_()) + 500


# ---- classes that can be separated --------------------------------------------------------------

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


# ---- on many rows -------------------------------------------------------------------------------

@pytest.mark.parametrize("n_rows, is_exact", [(2048, True), (4096, False)])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix])
def test_between_the_epochs_the_objective_is_that_of_a_sample(n_rows, is_exact, convert):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 3))
    y = (X[:, 0] + rng.logistic(size=n_rows) > 0).astype(int)
    weights = rng.integers(1, 3, size=n_rows)
    settings = {"optimizer": "adam", "learning_rate": 0.01, "tol": None, "random_state": 0}
    two, one = (
        GDClassifier(max_iter=epochs, **settings).fit(convert(X), y, sample_weight=weights)
        for epochs in (2, 1)
    )
    first, exact = (model.history_["loss"][0] for model in (two, one))
    assert exact == pytest.approx(log_loss(y, one.predict_proba(X), sample_weight=weights))
    assert first == pytest.approx(exact, rel=0.05)
    assert (first == pytest.approx(exact, rel=1e-12)) == is_exact


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("n_features, convert", [
    (3, np.asarray), (70, np.asarray), (1100, np.asarray), (70, sparse.csr_matrix),
])  # fmt: skip
def test_a_sample_that_repeats_all_rows_has_their_objective(n_features, convert, n_classes):
    # A run of 16 neighbours has each of the distinct rows once.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(16, n_features)), np.arange(16) % n_classes
    X, y, weights = np.tile(X, (136, 1)), np.tile(y, 136), np.tile(rng.uniform(1, 2, 16), 136)
    settings = {"optimizer": "adam", "learning_rate": 0.01, "tol": None, "random_state": 0}
    two, one = (
        GDClassifier(max_iter=epochs, penalty="l1", **settings).fit(convert(X), y, weights)
        for epochs in (2, 1)
    )
    for key in ("loss", "objective"):
        assert two.history_[key][0] == pytest.approx(one.history_[key][0], rel=1e-12)


def test_the_sample_of_sorted_rows_is_spread_over_all_of_them():
    y = np.arange(50_000.0)
    settings = {"optimizer": "adam", "learning_rate": 1.0, "tol": None, "random_state": 0}
    two, one = (GDRegressor(max_iter=m, **settings).fit(y[:, None], y) for m in (2, 1))
    assert two.history_["loss"][0] == pytest.approx(one.history_["loss"][0], rel=0.01)


@pytest.mark.parametrize("start", ["zeros", (np.array([1e-3]), 0.0)])
def test_outliers_in_the_sample_are_no_divergence(start):
    # A sample of 1024 of the rows has one of these runs of 16 rows, in which the loss is large.
    rng, n = np.random.default_rng(0), 16_400
    X, y = rng.normal(size=(n, 1)), rng.normal(size=n)
    for first in range(0, 256, 16):
        heavy = y.copy()
        heavy[first:first + 16] = 1e3
        model = GDRegressor(
            optimizer="sgd", learning_rate=1e-9, tol=None, max_iter=2, init=start, random_state=0
        ).fit(X, heavy)
        assert model.stop_reason_ == "max_iter"
