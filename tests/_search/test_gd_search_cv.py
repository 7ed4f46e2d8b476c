"""The search: the same candidates, folds and scores as one fit after the other."""

import warnings

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from searches import (
    CLASSIFIER,
    INSIDE,
    RATES,
    REGRESSOR,
    STEPS,
    models_of,
    parameters_apart,
    sample,
)
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
)
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.fixes import parse_version

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd._search.halving import FEWEST, can_win, hoped, leaders
from skgd.losses import Huber
from skgd.optimizers import SGD, Adam, Optimizer
from skgd.penalties import L1, ElasticNet
from skgd.schedules import InverseScaling

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FUSED = [
    (CLASSIFIER, {"learning_rate": [1e-3, 0.1, InverseScaling(0.1), lambda t: 0.1 / (1 + t)]}),
    (CLASSIFIER, {"alpha": [1e-3, 0.1], "penalty": ["l2", "l1", ElasticNet(0.3), None]}),
    (CLASSIFIER, {"optimizer": ["adam", SGD(momentum=0.5), Adam(beta_1=0.5)], **RATES}),
    (CLASSIFIER, {"loss": ["log_loss", "hinge"], "class_weight": [None, "balanced"], **RATES}),
    (CLASSIFIER, {"batch_size": [8, 0.5], "shuffle": [True, False], **RATES}),
    (CLASSIFIER, {"optimizer": ["sgd", "adagrad"], "learning_rate": ["auto", 0.1]}),
    (CLASSIFIER, {"average": [False, True, 5], "precondition": ["auto", None], **RATES}),
    (CLASSIFIER, {"early_stopping": [True, False], "n_iter_no_change": [1, 3], **RATES}),
    (CLASSIFIER, {"tol": [1e-1, 1e-4], "max_iter": [3, 30], **RATES}),
    (CLASSIFIER, {"fit_intercept": [True, False], "init": ["zeros", "random"], **RATES}),
    (CLASSIFIER, {"batch_size": [1], "optimizer": ["sgd"], "learning_rate": [1e-3, 1e-2]}),
    (REGRESSOR, {"loss": ["squared_error", Huber(0.5), Huber(5.0)], **RATES}),
    (REGRESSOR, {"penalty": [L1(), "l2"], "positive": [True, False], **RATES}),
]


def check_coefficients(estimator, grid, X, y, n_jobs=None, sample_weight=None):
    """Compare each candidate on each fold with its fit to all rows, those held out weighing 0."""
    cv = StratifiedKFold(3) if estimator._task == "classification" else KFold(3)
    search = GDSearchCV(estimator, grid, cv=cv, n_jobs=n_jobs)
    params = {} if sample_weight is None else {"sample_weight": sample_weight}
    models = iter(models_of(search, X, y, **params))
    for train, _ in cv.split(X, y):
        weights = np.zeros(len(y))
        weights[train] = 1.0 if sample_weight is None else sample_weight[train]
        for candidate in search.cv_results_["params"]:
            alone = clone(estimator).set_params(**candidate).fit(X, y, sample_weight=weights)
            model = next(models)
            assert model.stop_reason_ == alone.stop_reason_
            assert model.n_iter_ == alone.n_iter_
            assert model.t_ == alone.t_
            assert parameters_apart(model, alone) < 1e-8
    assert next(models, None) is None


@pytest.mark.parametrize("estimator, grid", FUSED)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_candidate_is_its_fit_with_the_fold_as_weights(estimator, grid, n_jobs):
    load = load_wine if estimator is CLASSIFIER else load_diabetes
    check_coefficients(estimator, grid, *sample(load), n_jobs=n_jobs)


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_diabetes, load_linnerud])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, np.float32, sparse.csr_matrix])
def test_all_kinds_of_rows_and_targets(load, weighted, make):
    X, y = sample(load)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
    classes = y.ndim == 1 and len(np.unique(y)) < 4
    estimator = clone(CLASSIFIER if classes else REGRESSOR).set_params(batch_size=5)
    check_coefficients(estimator, RATES, make(X), y, sample_weight=weights)


def test_a_candidate_that_begins_again_is_its_fit():
    rng = np.random.default_rng(0)
    X = rng.standard_t(1.5, size=(90, 10))
    y = X @ rng.normal(size=10) + rng.normal(size=90)
    estimator = GDRegressor(
        optimizer="momentum", batch_size=2, max_iter=12, tol=None, random_state=0
    )  # fmt: skip
    objectives = clone(estimator).fit(X, y).history_["objective"]
    assert objectives.max() > 0.5 * np.var(y)
    check_coefficients(estimator, {"alpha": [1e-4, 1e-2]}, X, y)


def test_what_is_watched_is_a_part_of_many_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 3))
    y = X[:, 0] + rng.normal(size=len(X)) > 0
    estimator = GDClassifier(batch_size=1000, max_iter=30, random_state=0)
    check_coefficients(estimator, {"learning_rate": [0.01, 0.3]}, X, y)


def test_candidates_without_a_seed_read_the_rows_in_one_order():
    X, y = sample(load_breast_cancer)
    search = GDSearchCV(clone(CLASSIFIER).set_params(random_state=None), RATES, random_state=5)
    first, again = models_of(search, X, y), models_of(search, X, y)
    assert_array_equal([model.coef_ for model in first], [model.coef_ for model in again])
    assert len({model.random_state for model in first}) == 1
    other = models_of(search.set_params(random_state=6), X, y)
    assert not np.array_equal(first[0].coef_, other[0].coef_)
    assert search.estimator.random_state is None


# ---- scores -------------------------------------------------------------------------------------

def test_scores_by_default_need_no_scorer(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("A score of 1 000 rows takes milliseconds more by scikit-learn's way.")

    X, y = load_iris(return_X_y=True)
    search = GDSearchCV(CLASSIFIER, RATES)
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    monkeypatch.setattr("skgd._estimators.classifier.accuracy_score", fail)
    assert_array_equal(search.fit(X, y).cv_results_["mean_test_score"], scores)


BINARY = ("accuracy", "neg_log_loss", "roc_auc", "f1", "average_precision", "neg_brier_score")
SEVERAL = ("accuracy", "neg_log_loss", "f1_macro", "roc_auc_ovr")
NUMBERS = ("r2", "neg_mean_squared_error", "neg_mean_absolute_error", "neg_max_error")
# GridSearchCV hands sample weights to scorers since 1.7.
WEIGHTED_SCORES = parse_version(sklearn.__version__) >= parse_version("1.7")
SCORED = [(load_breast_cancer, BINARY), (load_wine, SEVERAL), (load_diabetes, NUMBERS)]


@pytest.mark.parametrize("load, names", SCORED)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_scores_are_those_of_the_scorers(load, names, weighted, together):
    X, y = sample(load)
    estimator = REGRESSOR if load is load_diabetes else CLASSIFIER
    names = [name for name in names if not weighted or name != "neg_max_error"]
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    params = {"sample_weight": weights} if weighted else {}
    models = models_of(GDSearchCV(estimator, RATES, cv=KFold(3)), X, y, **params)
    for scoring in [names] if together else names:
        search = GDSearchCV(estimator, RATES, cv=KFold(3), scoring=scoring, refit=False,
                            race=False, return_train_score=True).fit(X, y, **params)  # fmt: skip
        for i, split in enumerate(KFold(3).split(X)):
            for name in names if together else [scoring]:
                for part, rows in zip(("train", "test"), split, strict=True):
                    known = {"sample_weight": weights[rows]} if weighted and WEIGHTED_SCORES else {}
                    expected = [get_scorer(name)(model, X[rows], y[rows], **known)
                                for model in models[2 * i:2 * i + 2]]  # fmt: skip
                    key = f"split{i}_{part}_{name if together else 'score'}"
                    assert_allclose(search.cv_results_[key], expected, rtol=1e-9, atol=1e-12)


def test_scores_of_labels_that_a_fold_lacks_are_left_to_scikit_learn():
    X, y = sample(load_wine)
    order = np.argsort(y, kind="stable")
    search = GDSearchCV(CLASSIFIER, RATES, cv=[(order[:100], order[100:])], refit=False,
                        scoring="neg_log_loss", error_score=-7.0)  # fmt: skip
    with pytest.warns(UserWarning, match="Scoring failed"):
        search.fit(X, y)
    assert_array_equal(search.cv_results_["mean_test_score"], [-7.0, -7.0])


def test_a_scorer_of_the_users_own_gets_rows_as_they_were_passed():
    X, y = load_wine(return_X_y=True, as_frame=True)
    seen = []

    def scorer(estimator, X, y):
        seen.append((type(estimator).__name__, type(X).__name__, len(X)))
        return {"a": estimator.score(X, y), "b": 0.0}

    search = GDSearchCV(STEPS, INSIDE, cv=3, scoring=scorer, refit="a", race=False).fit(X, y)
    assert set(seen[:-1]) <= {("Pipeline", "DataFrame", 60), ("Pipeline", "DataFrame", 59)}
    assert search.multimetric_
    assert search.best_index_ == search.cv_results_["mean_test_a"].argmax()


def test_refit_may_choose_by_a_function():
    X, y = sample(load_wine)
    search = GDSearchCV(CLASSIFIER, RATES, refit=lambda results: 1).fit(X, y)
    assert search.best_index_ == 1
    assert not hasattr(search, "best_score_")
    assert search.best_estimator_.learning_rate == 0.1


# ---- failures -----------------------------------------------------------------------------------

FAILING = {"learning_rate": [0.1, lambda t: -1.0 - t, lambda t: 0.1 / (1 + t)]}


def test_a_fit_that_fails_gets_the_error_score_and_the_others_theirs():
    X, y = sample(load_wine)
    search = GDSearchCV(CLASSIFIER, FAILING, error_score=-1.0, race=False, cv=3)
    with pytest.warns(FitFailedWarning, match="finite rates above or equal to 0"):
        search.fit(X, y)
    assert search.cv_results_["stop_reason"].tolist() == ["max_iter", "failed", "max_iter"]
    assert search.cv_results_["mean_test_score"][1] == -1.0
    fine = GDSearchCV(CLASSIFIER, {"learning_rate": FAILING["learning_rate"][::2]}, race=False,
                      cv=3).fit(X, y)  # fmt: skip
    assert_allclose(search.cv_results_["mean_test_score"][::2],
                    fine.cv_results_["mean_test_score"])  # fmt: skip
    with pytest.raises(ValueError, match="finite rates above or equal to 0"):
        search.set_params(error_score="raise").fit(X, y)


class BrokenAtOnce(Optimizer):
    def update(self, w, g, state, rate, t):
        raise RuntimeError("the first step")


def test_an_error_in_the_first_epoch_does_not_stop_the_race():
    X, y = sample(load_wine)
    grid = {"optimizer": ["adam", BrokenAtOnce(), "sgd"], "learning_rate": [0.1]}
    with pytest.warns((FitFailedWarning, UserWarning), match="the first step|non-finite"):
        search = GDSearchCV(CLASSIFIER, grid, cv=3).fit(X, y)
    assert search.cv_results_["stop_reason"][1] == "failed"
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True, False])


class Broken(Optimizer):
    """An optimizer that fails in its seventh step."""

    def update(self, w, g, state, rate, t):
        if t == 6:
            raise RuntimeError("the seventh step")
        w -= rate * g


def test_an_error_inside_a_pass_hits_the_one_that_made_it():
    X, y = sample(load_wine)
    grid = {"optimizer": ["adam", Broken(), "sgd"], "learning_rate": [0.1]}
    search = GDSearchCV(CLASSIFIER, grid, race=False, cv=3)
    with pytest.warns((FitFailedWarning, UserWarning), match="the seventh step|non-finite"):
        search.fit(X, y)
    assert search.cv_results_["stop_reason"].tolist() == ["max_iter", "failed", "max_iter"]
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True, False])


@pytest.mark.parametrize("estimator", [CLASSIFIER, STEPS])
def test_rows_that_cannot_be_used_fail_as_in_grid_search(estimator):
    X, y = sample(load_wine)
    X[3, 2] = np.nan
    rate = "learning_rate" if estimator is CLASSIFIER else "gdclassifier__learning_rate"
    with pytest.raises(ValueError, match="(?s)All the 10 fits failed.*NaN"):
        GDSearchCV(estimator, {rate: [0.1, 0.2]}).fit(X, y)


def test_a_fold_with_one_class_fails_and_the_others_do_not():
    X, y = sample(load_breast_cancer)
    folds = [(np.flatnonzero(y), np.arange(9)), (np.arange(60), np.arange(60, 120))]
    search = GDSearchCV(CLASSIFIER, RATES, cv=folds, refit=False)
    with pytest.warns((FitFailedWarning, UserWarning), match="at least 2 classes|non-finite"):
        search.fit(X, y)
    assert np.isnan(search.cv_results_["split0_test_score"]).all()
    assert (search.cv_results_["split1_test_score"] > 0.8).all()


def test_divergence_may_raise():
    X, y = sample(load_diabetes)
    model = clone(REGRESSOR).set_params(on_divergence="raise", optimizer="sgd", max_iter=20)
    search = GDSearchCV(model, {"learning_rate": [1e-3, 50.0]}, cv=3, error_score=-9.0)
    with pytest.warns(FitFailedWarning, match="The descent diverged at update step"):
        search.fit(X, y)
    assert search.cv_results_["stop_reason"].tolist() == ["max_iter", "failed"]
    assert search.cv_results_["mean_test_score"][1] == -9.0


def test_diverged_candidates_are_reported_without_a_warning():
    X, y = sample(load_diabetes)
    model = clone(REGRESSOR).set_params(optimizer="sgd", max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GDSearchCV(model, {"learning_rate": [1e-3, 50.0]}, cv=3).fit(X, y)
    assert search.cv_results_["stop_reason"].tolist() == ["max_iter", "diverged"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_index_ == 0


# ---- the race -----------------------------------------------------------------------------------

RACES = {
    load_diabetes: ["r2"], load_breast_cancer: ["accuracy", "neg_log_loss"],
    load_digits: ["accuracy", "neg_log_loss"], load_wine: ["neg_log_loss"],
    load_iris: ["neg_log_loss"],
}  # fmt: skip


@pytest.mark.parametrize("load", RACES)
@pytest.mark.parametrize("optimizer, max_iter", [("adam", 10), ("adam", 40), ("sgd", 10)])
def test_the_race_has_the_same_winner_or_one_as_good(load, optimizer, max_iter):
    X, y = sample(load, 600, 64)
    estimator = (GDRegressor if load is load_diabetes else GDClassifier)(
        optimizer=optimizer, batch_size=32, max_iter=max_iter, tol=None, random_state=0
    )
    grid = {"learning_rate": np.logspace(-4, 0.5, 8), "alpha": [1e-4, 1e-2]}
    whole = GDSearchCV(estimator, grid, scoring=RACES[load], race=False, refit=False, cv=4)
    results = whole.fit(X, y).cv_results_
    for scoring in RACES[load]:
        raced = GDSearchCV(estimator, grid, scoring=scoring, race=True, refit=False, cv=4).fit(X, y)
        scores = results[f"mean_test_{scoring}"]
        assert scores.max() - scores[raced.best_index_] <= 1e-3 * abs(scores.max())
        assert (raced.cv_results_["stop_reason"] == "race").sum() >= 3


@pytest.mark.parametrize("tol", [None, 1e-9])
@pytest.mark.parametrize("scoring", ["neg_log_loss", ["accuracy", "neg_log_loss"]])
def test_the_scores_of_a_race_are_those_of_what_its_candidates_have_come_to(scoring, tol):
    X, y = sample(load_digits, 300)
    # With a tol, steps that are too long end elsewhere than at their best.
    estimator = clone(CLASSIFIER).set_params(max_iter=8, tol=tol, n_iter_no_change=8)
    grid = {"learning_rate": np.logspace(-4, 1.5, 24)}
    refit = scoring[1] if isinstance(scoring, list) else True
    raced, *whole = (
        GDSearchCV(
            clone(estimator).set_params(max_iter=epochs), grid, race=race,
            scoring=scoring, refit=refit, cv=3,
        ).fit(X, y).cv_results_
        for race, epochs in [(True, 8), (False, 1), (False, 2), (False, 4), (False, 8)]
    )  # fmt: skip
    left, stayed = (raced["stop_reason"] == reason for reason in ("race", "max_iter"))
    # A fit that ends so badly, or has a tol, keeps another epoch than the last.
    left &= np.all([each["stop_reason"] == "max_iter" for each in whole], axis=0) & (tol is None)
    assert left.any() == (tol is None) and stayed.any()
    for name in [name for name in raced if name.startswith("split")]:
        assert_array_equal(raced[name][stayed], whole[-1][name][stayed])
        assert all(raced[name][i] in [each[name][i] for each in whole] for i in left.nonzero()[0])


def test_a_candidate_that_catches_up_stays():
    before, best = np.array([0.5, 0.5]), np.array([0.9, 0.9])
    assert can_win(np.array([0.6, 0.6]), best, gain=0.1, doublings=3.0)
    assert not can_win(np.array([0.6, 0.6]), best, gain=0.01, doublings=3.0)
    assert can_win(np.array([1.1, 0.5]), best, gain=0.0, doublings=3.0)
    assert can_win(best, best, gain=-0.1, doublings=0.0)
    assert can_win(best - 0.015, best, gain=0.0, doublings=0.0)
    assert not can_win(before, best, gain=0.0, doublings=3.0)
    assert not can_win(before[:1], best[:1], gain=0.0, doublings=3.0)


def test_of_many_candidates_the_leaders_stay():
    standings = {c: float(c) for c in range(100)} | {100: np.nan}
    assert leaders(standings, 0.3) == set(range(69, 100))
    assert leaders(standings, 0.0) == set(range(100 - FEWEST, 100))
    assert leaders({0: 1.0, 1: np.nan}, 1.0) == {0, 1}
    assert hoped(np.array([0.5, 0.7]), 0.1, 2.0) == pytest.approx(0.8)
    assert hoped(np.array([0.5, 0.7]), -0.1, 2.0) == pytest.approx(0.6)


def test_a_race_of_many_candidates_keeps_its_leaders_and_the_winner():
    X, y = sample(load_wine)
    grid = {"learning_rate": np.logspace(-4, 0.5, 16), "alpha": np.logspace(-6, 0, 8)}
    estimator = clone(CLASSIFIER).set_params(max_iter=8)
    raced, whole = (
        GDSearchCV(estimator, grid, scoring="neg_log_loss", race=race, refit=False, cv=3).fit(X, y)
        for race in (True, False)
    )
    scores = whole.cv_results_["mean_test_score"]
    assert scores.max() - scores[raced.best_index_] <= 1e-3 * abs(scores.max())
    # After 4 of 8 epochs a third of the doublings is to come: that many lead by score, or by loss.
    assert (raced.cv_results_["stop_reason"] == "max_iter").sum() <= 2 * np.ceil(128 / 3)
