"""Step rules at their automatic rates: they converge or say so."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning

from skgd import GDClassifier, GDRegressor
from skgd._descent.smoothness import Curvatures
from skgd._estimators.base import fitted_run
from skgd._fit import diagnosis
from skgd._solvers.costs import Gap
from skgd.optimizers import SGD, Adagrad, Adam, Adamax, Lion, RMSprop

CANCER, DIABETES = load_breast_cancer(return_X_y=True), load_diabetes(return_X_y=True)
RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")


def missing(model, least, constant):
    """Return the missing share of the possible decrease."""
    return (model.history_["objective"][-1] - least) / (constant - least)


def entropy(y):
    shares = np.bincount(y) / len(y)
    return -shares @ np.log(shares)


def fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


@pytest.mark.parametrize("batch_size", [1, 32, 256, "full"])
@pytest.mark.parametrize("optimizer", RULES)
def test_a_step_rule_ends_near_the_minimum_of_raw_columns(optimizer, batch_size):
    X, y = CANCER
    least = GDClassifier(tol=1e-8).fit(X, y).history_["objective"][-1]
    model = GDClassifier(
        optimizer=optimizer, batch_size=batch_size, max_iter=100, random_state=0
    )  # fmt: skip
    assert missing(fitted(model, X, y), least, entropy(y)) < 0.05


@pytest.mark.parametrize("optimizer", RULES)
def test_a_step_rule_that_explodes_begins_again_with_a_lower_rate(optimizer):
    rng = np.random.default_rng(0)
    X = rng.standard_t(1.5, size=(400, 10))
    y = X @ rng.normal(size=10) + rng.normal(size=400)
    least = GDRegressor(tol=1e-8).fit(X, y).history_["objective"][-1]
    model = GDRegressor(optimizer=optimizer, batch_size=1, max_iter=100, random_state=0)
    assert missing(fitted(model, X, y), least, 0.5 * np.var(y)) < 0.05
    assert model.stop_reason_ != "diverged"


def words(n_rows, n_words, rng):
    """Return rows of unit length whose columns are ever rarer, and classes."""
    often = 1.0 / np.arange(1, n_words + 1)
    columns = rng.choice(n_words, size=(n_rows, 40), p=often / often.sum())
    starts = np.arange(0, 40 * n_rows + 1, 40)
    X = sparse.csr_matrix((np.ones(columns.size), columns.ravel(), starts), (n_rows, n_words))
    X.sum_duplicates()
    X.data *= np.log(n_rows / np.maximum(X.getnnz(axis=0), 1))[X.indices]
    X = sparse.csr_matrix(X.multiply(1 / np.sqrt(X.multiply(X).sum(axis=1))))
    return X, (X @ rng.normal(size=n_words) > 0).astype(int)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad"])
def test_rare_columns_do_not_make_the_descent_diverge(optimizer):
    X, y = words(1000, 5000, np.random.default_rng(0))
    least = GDClassifier(tol=1e-6).fit(X, y).history_["objective"][-1]
    model = fitted(GDClassifier(optimizer=optimizer, max_iter=120, random_state=0), X, y)
    assert missing(model, least, entropy(y)) < 0.05
    assert model.history_["objective"].max() < entropy(y)


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("scales", ["1e-6", "1", "1e6", "rows", "columns"])
@pytest.mark.parametrize("rule", [{"optimizer": "sgd", "batch_size": 1}, {"optimizer": "adam"}])
def test_no_automatic_rate_makes_sparse_rows_of_any_scale_diverge(rule, scales, loss):
    X, y = words(400, 2000, np.random.default_rng(0))
    factors = 10.0 ** np.random.default_rng(1).uniform(-3, 3, 2000)
    if scales == "rows":
        X = sparse.diags_array(factors[:400]) @ X
    elif scales == "columns":
        X = X @ sparse.diags_array(factors)
    else:
        X = X * float(scales)
    model = fitted(GDClassifier(loss, random_state=0, **rule), sparse.csr_matrix(X), y)
    constant = entropy(y) if loss == "log_loss" else 2 * min(y.mean(), 1 - y.mean())
    objective = model.history_["objective"]
    assert model.stop_reason_ == "tol"
    assert objective.max() < 10.0 * constant
    assert objective[-1] <= constant * (1 + 1e-2)
    if scales == "1":
        least = GDClassifier(loss).fit(X, y).history_["objective"][-1]
        assert missing(model, least, constant) < 0.1


def test_a_stop_far_from_the_minimum_is_told():
    X, y = CANCER
    model = GDClassifier(optimizer="sgd", batch_size="full", tol=0.2, n_iter_no_change=1)
    with pytest.warns(ConvergenceWarning, match="stopped falling .* above its minimum"):
        model.fit(X, y)
    assert model.stop_reason_ == "tol"


@pytest.mark.parametrize("settings", [{}, {"fit_intercept": False}, {"penalty": "elasticnet"}])
@pytest.mark.parametrize("rule", [{"optimizer": "sgd", "batch_size": 1}, {"optimizer": "adam"}])
def test_a_small_duality_gap_ends_a_run_on_text(rule, settings):
    X, y = words(1000, 3000, np.random.default_rng(0))
    settings = {"alpha": 1e-3, "random_state": 0, **rule, **settings}
    model = GDClassifier(**settings).fit(X, y)
    least = GDClassifier(**settings | {"optimizer": "auto", "batch_size": "auto", "tol": 1e-7})
    distance = model.history_["objective"][-1] - least.fit(X, y).history_["objective"][-1]
    constant = entropy(y) if model.fit_intercept else np.log(2)
    assert model.stop_reason_ == "tol"
    assert 0 < distance <= model.optimality_
    assert model.optimality_ <= 50 * model.tol * (constant - model.history_["objective"][-1])


def test_a_gap_ends_the_steps_on_dense_rows_and_on_sparse_ones_alike():
    X, y = words(300, 400, np.random.default_rng(0))
    weights = np.arange(300) % 3
    model = GDClassifier(optimizer="adam", alpha=1e-2, random_state=0)
    epochs, bounds = [], []
    for rows in (X, X.toarray(), X.toarray().astype(np.float32)):
        model.fit(rows, y, sample_weight=weights)
        epochs.append(model.n_iter_)
        bounds.append(model.optimality_)
    assert len(set(epochs)) == 1
    assert np.isfinite(bounds).all()
    np.testing.assert_allclose(bounds, bounds[0], rtol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_low_end_of_a_swing_is_no_end(seed):
    X, y = words(400, 2000, np.random.default_rng(seed))
    least = GDClassifier("hinge").fit(X, y).history_["objective"][-1]
    model = fitted(GDClassifier("hinge", optimizer="adam", random_state=0), X, y)
    assert missing(model, least, 2 * min(y.mean(), 1 - y.mean())) < 0.04


def test_kinks_do_not_hide_how_far_an_objective_falls_on(monkeypatch):
    monkeypatch.setattr(diagnosis, "FAR", 0.0)
    X, y = words(400, 2000, np.random.default_rng(0))
    least = GDClassifier("hinge").fit(X, y).history_["objective"][-1]
    model = GDClassifier("hinge", optimizer="sgd", tol=0.3, n_iter_no_change=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="at least") as told:
        model.fit(X, y)
    said = float(str(told[0].message).split("at least ")[1].split()[0])
    assert 0.5 < said / (model.history_["objective"][-1] - least) < 1.05


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", ["mean", "least", "typical", "single"])
def test_curvatures_are_the_same_on_sparse_rows(name, intercept):
    dense, sparse_rows = curvatures(intercept)
    assert getattr(sparse_rows, name) == pytest.approx(getattr(dense, name), rel=1e-9)


@pytest.mark.parametrize("batch_length", [1, 32, 442])
def test_the_step_along_signs_is_the_same_on_sparse_rows(batch_length):
    dense, sparse_rows = curvatures(intercept=True)
    actual, expected = (c.sign_step(batch_length, 0.001) for c in (sparse_rows, dense))
    assert actual == pytest.approx(expected, rel=1e-9)


def test_the_step_along_signs_is_the_least_of_a_parabola():
    curvature, _ = curvatures(intercept=True)
    objective, (coef, intercept) = curvature.objective, curvature.start
    x = objective.metric.from_raw(coef, intercept).ravel()
    move = -np.sign(objective.value_and_gradient(x)[1])
    lengths = curvature.sign_step(442, 1.0) * np.array([0.9, 1.0, 1.1])
    values = [objective.value_and_gradient(x + length * move)[0] for length in lengths]
    assert values[0] == pytest.approx(values[2], rel=1e-9)
    assert values[1] < values[0]


@pytest.mark.parametrize(
    "rule, memory",
    [(SGD(), 1), (SGD(momentum=0.5), 2), (RMSprop(momentum=0.9), 10), (Adagrad(), 1),
     (Adam(beta_1=0.75), 4), (Adamax(), 10), (Lion(beta_1=0.98), 50)],
    ids=str,
)  # fmt: skip
def test_a_rule_knows_how_long_it_goes_on_along_a_gradient(rule, memory):
    assert rule.momentum_horizon == pytest.approx(memory)


def collinear():
    """Return columns that depend on one another."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1)) + 0.4 * rng.normal(size=(300, 12))
    y = X @ np.linspace(-1, 1, 12)
    return X, y


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_a_full_batch_rate_grows_where_columns_depend_on_one_another(optimizer):
    X, y = collinear()
    least = GDRegressor(tol=1e-8).fit(X, y).history_["objective"][-1]
    model = GDRegressor(optimizer=optimizer, batch_size="full", max_iter=100, tol=None)
    model.fit(X, y)
    assert missing(model, least, 0.5 * np.var(y)) < 0.02
    assert model.history_["learning_rate"].max() > 2 * model.learning_rate_


def rare():
    """Return indicators of rare categories and a rare class that depends on them."""
    rng = np.random.default_rng(0)
    categories = rng.zipf(1.3, size=(600, 6)).clip(max=30)
    X = np.hstack([np.eye(31)[column] for column in categories.T])
    return X, (X @ rng.normal(size=X.shape[1]) + rng.normal(size=600) > 2).astype(int)


@pytest.mark.parametrize("optimizer", RULES)
def test_a_descent_begins_at_the_best_constant_model(optimizer):
    X, y = rare()
    model = GDClassifier(optimizer=optimizer, batch_size="full", max_iter=1, tol=None).fit(X, y)
    assert model.history_["objective"][0] < entropy(y)


def test_biased_steps_are_told_where_no_duality_gap_is_affordable(monkeypatch):
    monkeypatch.setattr(Gap, "affordable", 0.0)
    X, y = rare()
    model = GDClassifier(optimizer="rmsprop", batch_size=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="stopped falling .* at least .* above its minimum"):
        model.fit(X, y)
    least = GDClassifier(tol=1e-8).fit(X, y).history_["objective"][-1]
    assert missing(model, least, entropy(y)) > 0.05
    assert np.isnan(model.optimality_)
    # No rate helps against a bias.
    assert model.stop_reason_ == "tol" and model.n_iter_ < 200


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_the_further_fall_is_below_what_is_missing(penalty, monkeypatch):
    monkeypatch.setattr(Gap, "affordable", 0.0)
    X, y = CANCER
    least = GDClassifier(penalty=penalty, tol=1e-8).fit(X, y).history_["objective"][-1]
    model = GDClassifier(
        penalty=penalty, optimizer="sgd", batch_size="full", tol=0.2, n_iter_no_change=1
    )
    with pytest.warns(ConvergenceWarning, match="at least") as told:
        model.fit(X, y)
    said = float(str(told[0].message).split("at least ")[1].split()[0])
    assert 0 < said <= 1.05 * (model.history_["objective"][-1] - least)


@pytest.mark.parametrize("shape", [(3000, 60), (60, 3)])
def test_short_fits_are_not_certified_at_many_times_their_cost(shape):
    X = np.random.default_rng(0).normal(size=shape)
    y = (X[:, 0] > 0).astype(int)
    model = GDClassifier(optimizer="adam", max_iter=3, tol=None, random_state=0).fit(X, y)
    assert np.isnan(model.optimality_)
    assert 0 < model.optimality(X, y) < entropy(y)


def curvatures(intercept):
    X, y = DIABETES
    found = []
    for rows in (X, sparse.csr_matrix(X)):
        model = GDRegressor(
            optimizer="sgd", batch_size=8, fit_intercept=intercept, random_state=0
        )  # fmt: skip
        model.fit(X, y)
        run = fitted_run(model, rows, y)
        start = np.zeros((1, X.shape[1])), np.array([y.mean() + 10.0])
        found.append(Curvatures(run.objective, run.plan, start, np.random.default_rng(0)))
    return found


@pytest.mark.parametrize("optimizer", ["auto", "adam", "sgd"])
def test_a_stream_after_a_fit_stays_near_the_minimum(optimizer):
    X, y = CANCER
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    model = fitted(GDClassifier(optimizer=optimizer, alpha=1e-2, random_state=0), X, y)
    least = GDClassifier(alpha=1e-2, tol=1e-8).fit(X, y).history_["objective"][-1]
    for start in [*range(0, 500, 50)] * 3:
        model.partial_fit(X[start:start + 50], y[start:start + 50])
        margins = X @ model.coef_[0] + model.intercept_
        value = np.logaddexp(0, -(2 * y - 1) * margins).mean() + 0.005 * np.sum(model.coef_**2)
        assert value - least < 0.05 * (entropy(y) - least)


@pytest.mark.parametrize("seed", [0, 2, 23])
def test_noise_in_the_last_epoch_is_not_a_divergence(seed):
    X, y = DIABETES
    model = GDRegressor(
        optimizer="sgd", batch_size=8, fit_intercept=False, max_iter=1, random_state=seed
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="max_iter=1 was reached"):
        model.fit(X, y)
    assert model.stop_reason_ == "max_iter"
    assert model.history_["objective"][-1] <= 0.5 * np.mean(y**2)
