"""Candidates that differ in alpha and l1_ratio: points of paths, equal to fits one by one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from searches import models_of
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.linear_model import ElasticNet as TheirElasticNet
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
)

from skgd import GDRegressor, GDSearchCV
from skgd.penalties import L1, L2, Box

X, Y = load_diabetes(return_X_y=True)
ALPHAS = {"alpha": np.geomspace(3.0, 1e-4, 4)}
# Enough that l2 is worth an eigendecomposition.
MANY = {"alpha": np.geomspace(3.0, 1e-4, 12)}
L1_MODEL, L2_MODEL = GDRegressor(penalty="l1"), GDRegressor()
MIXED = GDRegressor(penalty="elasticnet", l1_ratio=0.5)
MODELS = [L1_MODEL, L2_MODEL, MIXED]


def fits_one_by_one(estimator, grid, splits, X, y, sample_weight=None):
    """Yield the estimators that fits to the rows of each split come to."""
    for train, _ in splits:
        weights = None if sample_weight is None else sample_weight[train]
        for alpha in grid["alpha"]:
            model = clone(estimator).set_params(alpha=alpha)
            yield model.fit(X[train], y[train], weights)


def check_models(
    estimator, X, y, cv=2, grid=None, sample_weight=None, near=1e-5, walks=True, usual=np.inf
):
    """Compare the predictions and objectives of a path's models with those of fits one by one.

    The predictions are those of held-out rows whose numbers are as large as usual.
    """
    grid, estimator = ALPHAS if grid is None else grid, clone(estimator).set_params(tol=1e-9)
    cv = KFold(cv) if isinstance(cv, int) else cv
    params = {} if sample_weight is None else {"sample_weight": sample_weight}
    search = GDSearchCV(estimator, grid, cv=cv)
    models = models_of(search, X, y, **params)
    if walks:  # then the fit times are shares of a path's
        assert len(set(np.round(search.cv_results_["mean_fit_time"], 12))) == 1
    splits, size = list(cv.split(X, y)), np.std(y, axis=0).max()
    alone = fits_one_by_one(estimator, grid, splits, X, y, sample_weight)
    for i, (model, other) in enumerate(zip(models, alone, strict=True)):
        _, test = splits[i // len(grid["alpha"])]
        if usual < np.inf:
            test = test[np.abs(X[test]).max(axis=1) < usual]
        assert_allclose(model.predict(X[test]), other.predict(X[test]), rtol=0, atol=near * size)
        values = [each.history_["objective"][-1] for each in (model, other)]
        assert_allclose(*values, rtol=1e-10, atol=1e-12 * size**2)
        assert model.stop_reason_ in ("tol", "precision")
        assert model.converged_
        assert (model.n_iter_, model.t_) == (1, 1) or not walks
    return models


# ---- models -------------------------------------------------------------------------------------

@pytest.mark.parametrize("estimator", MODELS)
@pytest.mark.parametrize("make, weighted", [(np.asarray, True), (sparse.csr_matrix, False)])
def test_models_are_fits_one_by_one(estimator, make, weighted):
    weights = np.random.default_rng(0).integers(0, 4, len(Y)).astype(float) if weighted else None
    check_models(estimator, make(X), Y, sample_weight=weights, near=1e-7)


@pytest.mark.parametrize(
    "estimator",
    [
        GDRegressor(penalty="l1", positive=True),
        GDRegressor(positive=True),
        GDRegressor(penalty="l1", fit_intercept=False),
        GDRegressor(fit_intercept=False),
        GDRegressor(penalty=L1(np.arange(10.0))),
        GDRegressor(penalty=L2(np.arange(10.0))),
        GDRegressor(penalty=L2(np.arange(1.0, 11.0))),
        GDRegressor(penalty=Box(-100.0, 300.0, L1())),
    ],
)
def test_penalties_and_bounds(estimator):
    check_models(estimator, X, Y, near=1e-7)


@pytest.mark.parametrize("estimator", MODELS)
def test_several_outputs(estimator):
    many, targets = load_linnerud(return_X_y=True)
    check_models(estimator, many, targets, near=1e-7)


def test_models_are_those_of_scikit_learn():
    models = models_of(GDSearchCV(MIXED, ALPHAS, cv=KFold(3)), X, Y)
    splits = [train for train, _ in KFold(3).split(X)]
    peers = [
        TheirElasticNet(alpha=alpha, tol=1e-14, max_iter=100_000).fit(X[rows], Y[rows])
        for rows in splits for alpha in ALPHAS["alpha"]
    ]  # fmt: skip
    for model, peer in zip(models, peers, strict=True):
        assert_allclose(model.coef_, peer.coef_, atol=1e-6)
    models = models_of(GDSearchCV(L2_MODEL, ALPHAS, cv=KFold(3)), X, Y)
    for model, (rows, alpha) in zip(
        models, [(rows, alpha) for rows in splits for alpha in ALPHAS["alpha"]], strict=True
    ):
        peer = Ridge(alpha * len(rows)).fit(X[rows], Y[rows])
        assert_allclose(model.coef_, peer.coef_, rtol=1e-9)


def test_single_precision_is_kept():
    for model in models_of(GDSearchCV(L1_MODEL, ALPHAS, cv=2), X.astype(np.float32), Y):
        assert model.coef_.dtype == model.intercept_.dtype == np.float32


# ---- traps --------------------------------------------------------------------------------------

class Given:
    """A splitter that has one split."""

    def __init__(self, split):
        self.splits = [split]

    def split(self, X, y=None, groups=None):
        return self.splits

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


SCALES = 10.0 ** np.linspace(-10, 10, 10)


@pytest.mark.parametrize("estimator", MODELS)
def test_columns_of_very_different_scales(estimator):
    check_models(estimator, X * SCALES, Y, grid=MANY if estimator is L2_MODEL else None)


@pytest.mark.parametrize("estimator", MODELS)
def test_a_row_of_huge_numbers_in_one_fold(estimator):
    rows = X.copy()
    rows[7] = 1e9
    for split in list(KFold(4).split(rows))[:2]:
        # Where it is among the rows to train on, no Gram matrix has digits for the others.
        walks = 7 not in split[0]
        check_models(estimator, rows, Y, cv=Given(split), walks=walks, usual=1e6)


@pytest.mark.parametrize("estimator", MODELS)
def test_a_fold_that_lies_far_off(estimator):
    rows = X.copy()
    rows[:111] += 1e4
    for number, split in enumerate(list(KFold(4).split(rows))[:2]):
        check_models(estimator, rows, Y, cv=Given(split), walks=number == 0)


@pytest.mark.parametrize("estimator", MODELS)
def test_duplicated_and_constant_columns(estimator):
    rows = np.column_stack([X, X[:, :4], np.ones(len(X))])
    for model in check_models(estimator, rows, Y, near=1e-6):
        assert model.coef_[-1] == 0.0


@pytest.mark.parametrize("estimator", MODELS)
def test_an_alpha_of_zero(estimator):
    check_models(estimator, X, Y, grid={"alpha": [1.0, 0.1, 0.0, 0.01]})


@pytest.mark.parametrize("alphas", [[0.01], [0.01, 1.0, 0.01, 3.0], MANY["alpha"][::-1]])
def test_alphas_in_any_order_and_number(alphas):
    for estimator in (L1_MODEL, L2_MODEL):
        check_models(estimator, X, Y, grid={"alpha": alphas}, near=1e-7)


# ---- splits -------------------------------------------------------------------------------------

class Bootstrap:
    """A splitter that trains on rows drawn with replacement."""

    def split(self, X, y=None, groups=None):
        rng = np.random.default_rng(0)
        for _ in range(3):
            rows = rng.integers(0, X.shape[0], X.shape[0])
            yield rows, np.setdiff1d(np.arange(X.shape[0]), rows)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 3


@pytest.mark.parametrize(
    "cv",
    [RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), TimeSeriesSplit(3), Bootstrap(),
     ShuffleSplit(2, random_state=0)],
    ids=lambda cv: type(cv).__name__,
)  # fmt: skip
def test_splitters(cv):
    for estimator in (L1_MODEL, L2_MODEL):
        check_models(estimator, X[:200], Y[:200], cv=cv, grid={"alpha": [1, 0.01]}, near=1e-7)


def test_groups_are_split_along():
    groups = np.arange(len(Y)) // 7
    search = GDSearchCV(L1_MODEL, ALPHAS, cv=GroupKFold(4)).fit(X, Y, groups=groups)
    peer = GridSearchCV(L1_MODEL, ALPHAS, cv=GroupKFold(4)).fit(X, Y, groups=groups)
    assert_scores_match(search, peer)


# ---- the search ---------------------------------------------------------------------------------

def assert_scores_match(search, peer, near=1e-9):
    for key, values in peer.cv_results_.items():
        if "_test_" in key or "_train_" in key:
            assert_allclose(search.cv_results_[key], values, rtol=near, err_msg=key)
    assert search.cv_results_["params"] == peer.cv_results_["params"]


SCORINGS = [
    None, "r2", "neg_mean_absolute_error", "neg_max_error",
    ["r2", "neg_mean_squared_error", "neg_root_mean_squared_error", "neg_median_absolute_error"],
    lambda model, X, y: -np.abs(model.predict(X) - y).mean() - 0 * model.history_["objective"][-1],
]


@pytest.mark.parametrize("scoring", SCORINGS)
def test_results_are_those_of_a_search_one_by_one(scoring):
    model = clone(MIXED).set_params(tol=1e-8)
    grid = {"alpha": [1.0, 0.1, 0.01], "l1_ratio": [0.1, 0.9]}
    settings = {"scoring": scoring, "refit": "r2" if isinstance(scoring, list) else True,
                "return_train_score": True, "cv": 3}  # fmt: skip
    ours, peer = (kind(model, grid, **settings).fit(X, Y) for kind in (GDSearchCV, GridSearchCV))
    assert_scores_match(ours, peer, near=1e-7)
    assert ours.best_params_ == peer.best_params_
    assert_array_equal(ours.best_estimator_.coef_, peer.best_estimator_.coef_)
    assert set(ours.cv_results_["stop_reason"]) == {"tol"}


@pytest.mark.parametrize("estimator", MODELS)
def test_the_same_bits_for_any_n_jobs(estimator):
    results = [
        GDSearchCV(estimator, ALPHAS, n_jobs=n_jobs).fit(X, Y).cv_results_ for n_jobs in (1, 2, 5)
    ]
    for other in results[1:]:
        assert_array_equal(other["mean_test_score"], results[0]["mean_test_score"])


def test_sample_weights_count_in_fits_and_scores():
    weights = np.random.default_rng(0).uniform(0.1, 3.0, len(Y))
    searches = [kind(clone(L1_MODEL).set_params(tol=1e-9), ALPHAS).fit(X, Y, sample_weight=weights)
                for kind in (GDSearchCV, GridSearchCV)]  # fmt: skip
    assert_scores_match(*searches)


def test_candidates_that_walk_no_path_agree_with_those_that_do():
    grid = [{"alpha": [0.1, 1.0]},
            {"alpha": [0.1], "learning_rate": [0.01], "max_iter": [3], "tol": [None]},
            {"alpha": [0.1], "loss": ["absolute_error"]}]  # fmt: skip
    model = clone(L1_MODEL).set_params(random_state=0)
    search = GDSearchCV(model, grid, cv=3, race=False).fit(X, Y)
    alone = [GDSearchCV(model, each, cv=3, race=False).fit(X, Y) for each in grid]
    scores = np.concatenate([each.cv_results_["mean_test_score"] for each in alone])
    assert_array_equal(search.cv_results_["mean_test_score"], scores)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_fold_that_fails_fails_alone():
    rows = X[:90].copy()
    rows[5] = np.nan
    search = GDSearchCV(L1_MODEL, {"alpha": [0.1, 1.0]}, cv=[(np.arange(60), np.arange(60, 90)),
                                                            (np.arange(6, 60), np.arange(60, 90))],
                        refit=False)  # fmt: skip
    with pytest.warns(match="2 fits failed out of a total of 4"):
        search.fit(rows, Y[:90])
    assert np.isnan(search.cv_results_["split0_test_score"]).all()
    assert (search.cv_results_["split1_test_score"] > 0).all()


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_candidate_that_cannot_be_fitted_fails_alone():
    with pytest.warns(match="alpha=-1.0: pass a finite number >= 0"):
        search = GDSearchCV(L1_MODEL, {"alpha": [0.1, -1.0, 1.0]}, cv=3).fit(X, Y)
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True, False])
    with pytest.raises(ValueError, match="alpha=-1.0"):
        GDSearchCV(L1_MODEL, {"alpha": [0.1, -1.0]}, cv=3, error_score="raise").fit(X, Y)


def test_nothing_of_the_users_is_changed():
    estimator, rows = clone(L1_MODEL), X.copy()
    GDSearchCV(estimator, ALPHAS).fit(rows, Y)
    assert_array_equal(rows, X)
    assert vars(estimator) == vars(clone(L1_MODEL))
