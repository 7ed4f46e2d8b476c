"""``alpha="auto"``: leave-one-out losses as they are by leaving out each row, and the choice."""

import pickle
import warnings

import numpy as np
import pytest
from exact_fits import DIABETES_Y, RAW_DIABETES
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.linear_model import LassoCV, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd.losses import Quantile
from skgd.penalties import L2

GENERATOR = np.random.default_rng(0)
WEIGHTS = GENERATOR.uniform(0.2, 3.0, len(DIABETES_Y))
WIDE = GENERATOR.normal(size=(40, 130))
# Of scales that are 1e8 apart, and far from zero.
GRADED = np.column_stack([RAW_DIABETES + 1e3, 1e5 * GENERATOR.normal(size=(442, 2))])


def ridge_losses(model, X, y, weights):
    """Halved mean squared errors of RidgeCV, which leaves out each row, and its choice of alpha."""
    alphas = model.alpha_path_["alpha"]
    total = len(y) if weights is None else weights.sum()
    ridge = RidgeCV(
        alphas * total, store_cv_results=True, fit_intercept=model.fit_intercept, gcv_mode="svd"
    ).fit(X, y, sample_weight=weights)
    losses = ridge.cv_results_.reshape(-1, len(alphas)).sum(axis=0) / (2 * total)
    return losses, ridge.alpha_ / total


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["rows", "weights"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("X", "n"), [(RAW_DIABETES, 442), (GRADED, 442), (RAW_DIABETES, 9), (WIDE, 40)],
    ids=["raw", "graded", "few rows", "wide"],
)  # fmt: skip
def test_squared_errors_are_left_out_as_by_ridgecv(X, n, fit_intercept, weights):
    X, y, weights = X[:n], DIABETES_Y[:n], None if weights is None else weights[:n]
    model = GDRegressor(alpha="auto", fit_intercept=fit_intercept).fit(X, y, sample_weight=weights)
    losses, alpha = ridge_losses(model, X, y, weights)
    assert_allclose(model.alpha_path_["loss"], losses, rtol=1e-8)
    assert_allclose(model.alpha_, alpha, rtol=1e-12)


def test_several_targets_share_an_alpha():
    Y = np.column_stack([DIABETES_Y, RAW_DIABETES[:, 0] ** 2, GENERATOR.normal(size=442)])
    model = GDRegressor(alpha="auto").fit(RAW_DIABETES, Y)
    losses, alpha = ridge_losses(model, RAW_DIABETES, Y, None)
    assert_allclose(model.alpha_path_["loss"], losses, rtol=1e-8)
    assert_allclose(model.alpha_, alpha, rtol=1e-12)


def test_columns_without_a_penalty():
    penalty, rows = L2(weights=np.arange(10) > 2), slice(60)
    X, y = RAW_DIABETES[rows], DIABETES_Y[rows]
    model = GDRegressor(penalty=penalty, alpha="auto").fit(X, y)
    assert_allclose(min(model.alpha_path_["loss"]), exact_loss(model, X, y, np.ones(60)), rtol=1e-8)


def exact_loss(model, X, y, weights):
    """The mean loss of each row under a fit without it, whose penalty has the same factor."""
    total, sum_of_losses = weights.sum(), 0.0
    for row in np.flatnonzero(weights):
        others = np.where(np.arange(len(y)) == row, 0.0, weights)
        alpha = model.alpha_ * total / others.sum()
        fit = clone(model).set_params(alpha=alpha, tol=1e-9).fit(X, y, sample_weight=others)
        margins = fit.decision_function(X) if hasattr(fit, "classes_") else fit.predict(X)
        target, margin = y[row], margins[row]
        if hasattr(fit, "classes_"):
            target = 2.0 * (fit.classes_ == target) - 1.0
            target = target[1:] if len(target) == 2 else target[None]
            margin = margin[None]
        elif model.loss == "poisson":
            margin = np.log(margin)
        losses = fit._loss.value(np.atleast_1d(target), np.atleast_1d(margin))
        sum_of_losses += weights[row] * np.sum(losses)
    return sum_of_losses / total


SMOOTH = [
    GDRegressor("poisson"),
    GDRegressor("huber"),
    GDRegressor("log_cosh"),
    GDClassifier(),
    GDClassifier("squared_hinge"),
]


@pytest.mark.parametrize("model", SMOOTH, ids=lambda model: f"{model._task} {model.loss}")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_smooth_losses_are_left_out_as_by_fits_without_each_row(model, n_classes):
    n, is_classifier = 24, model._task == "classification"
    if not is_classifier and n_classes == 3:
        pytest.skip("no classes")
    X, y = RAW_DIABETES[:n, [2, 3, 8]], DIABETES_Y[:n] / 50.0
    if is_classifier:
        y = np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))
    model = clone(model).set_params(alpha="auto").fit(X, y, sample_weight=WEIGHTS[:n])
    least = model.alpha_path_["loss"].min()
    assert_allclose(least, exact_loss(model, X, y, WEIGHTS[:n]), rtol=1e-3)


def test_rows_that_rise_most_are_left_out_as_by_fits_where_classes_are_nearly_separable():
    X, y = load_breast_cancer(return_X_y=True)
    X, y = X[:120], y[:120]
    model = GDClassifier(alpha="auto").fit(X, y)
    least = min(model.alpha_path_["loss"])
    assert_allclose(least, exact_loss(model, X, y, np.ones(120)), rtol=1e-3)


@pytest.mark.parametrize(
    ("n", "n_columns"), [(10_000, 5), (7_000, 120)], ids=["all rows", "a sample"]
)
def test_many_rows_are_left_out_by_a_newton_step(n, n_columns):
    X, y = make_classification(
        n, n_columns, n_informative=3, n_redundant=0, flip_y=0.3, random_state=0
    )
    model = GDClassifier(alpha="auto").fit(X, y)
    # The excess of the loss where each row takes one Newton step.
    A = np.column_stack([X - X.mean(axis=0), np.ones(len(X))])
    p = model.predict_proba(X)[:, 1]
    penalty = model.alpha_ * np.diag([1.0] * n_columns + [0.0])
    hessian = (A.T * (p * (1 - p))) @ A / len(X) + penalty
    h = (A @ np.linalg.inv(hessian) * A).sum(axis=1) / len(X)
    z = model.decision_function(X) + h * (p - y) / (1 - h * p * (1 - p))
    excess = np.mean(np.logaddexp(0, z) - y * z) - log_loss(y, p)
    assert_allclose(min(model.alpha_path_["loss"]) - log_loss(y, p), excess, rtol=0.05)


def test_many_rows_of_several_classes_are_all_left_out_by_a_newton_step():
    n, k = 2000, 5
    X, y = make_classification(
        n, 20, n_informative=8, n_classes=k, class_sep=3.0, flip_y=0.02, random_state=0
    )
    model = GDClassifier(alpha="auto", tol=1e-9).fit(X, y)
    A = np.column_stack([X - X.mean(axis=0), np.ones(n)])
    p, one_hot = model.predict_proba(X), y[:, None] == np.arange(k)
    second = np.eye(k) * p[:, :, None] - p[:, :, None] * p[:, None]
    penalty = model.alpha_ * np.diag([1.0] * 20 + [0.0])
    hessian = np.einsum("icd,ip,iq->cpdq", second, A, A, optimize=True) / n
    hessian = hessian.reshape(21 * k, -1) + np.kron(np.eye(k), penalty)
    inverse = np.linalg.pinv(hessian, hermitian=True).reshape(k, 21, k, 21)
    h = np.einsum("ip,cpdq,iq->icd", A, inverse, A, optimize=True) / n
    moves = np.linalg.solve(np.eye(k) - h @ second, h @ (p - one_hot)[:, :, None])[:, :, 0]
    left_out = softmax(model.decision_function(X) + moves, axis=1)
    assert_allclose(min(model.alpha_path_["loss"]), log_loss(y, left_out), rtol=1e-3)


def test_many_classes_are_left_out_output_by_output():
    n, k, d = 240, 40, 26
    y = np.arange(n) % k
    rng = np.random.default_rng(0)
    X = rng.normal(size=(k, d))[y] + 2.0 * rng.normal(size=(n, d))
    model = GDClassifier(alpha="auto", tol=1e-9).fit(X, y)
    A = np.column_stack([X - X.mean(axis=0), np.ones(n)])
    p = model.predict_proba(X)
    penalty = model.alpha_ * np.diag([1.0] * d + [0.0])
    margins = model.decision_function(X)
    for c, q in enumerate((p * (1 - p)).T):
        h = (A @ np.linalg.inv((A.T * q) @ A / n + penalty) * A).sum(axis=1) / n
        margins[:, c] += h * (p[:, c] - (y == c)) / (1 - h * q)
    assert_allclose(model.alpha_path_["loss"].min(), log_loss(y, softmax(margins, 1)), rtol=1e-3)


def test_many_rows_take_few_alphas_for_the_same_choice():
    # One row with a column of its own and an error of its own: generalised cross-validation, which
    # knows no rows, would fit it.
    X, noise = GENERATOR.normal(size=(3000, 12)), GENERATOR.normal(size=3000)
    X[:, 11] *= 0.01
    X[0, 11], noise[0] = 20.0, 300.0
    y = X[:, :4].sum(axis=1) + noise
    model = GDRegressor(alpha="auto").fit(X, y)
    losses, alpha = ridge_losses(model, X, y, None)
    assert_allclose(model.alpha_path_["loss"], losses, rtol=1e-8)
    assert_allclose(model.alpha_, alpha, rtol=1e-12)
    grid = np.geomspace(1e-6, 1e4, 80) * len(y)
    ridge = RidgeCV(grid, store_cv_results=True).fit(X, y)
    least = ridge.cv_results_.mean(axis=0).min() / 2
    assert min(losses) < least * (1 + 1e-3)
    smooth = GDRegressor(alpha="auto").fit(X[1:], y[1:])
    assert len(smooth.alpha_path_["alpha"]) < 12


# ---- folds --------------------------------------------------------------------------------------

def test_l1_is_chosen_by_five_folds():
    X = StandardScaler().fit_transform(RAW_DIABETES)
    model = GDRegressor(penalty="l1", alpha="auto", random_state=0, tol=1e-6).fit(X, DIABETES_Y)
    alphas, losses = model.alpha_path_["alpha"], model.alpha_path_["loss"]
    seed = np.random.RandomState(0).randint(2**31 - 1)
    folds = KFold(5, shuffle=True, random_state=seed)
    lasso = LassoCV(alphas=alphas, cv=folds, tol=1e-8).fit(X, DIABETES_Y)
    sizes = [len(test) for _, test in folds.split(X)]
    expected = np.average(lasso.mse_path_, axis=1, weights=sizes)[::-1] / 2
    assert_allclose(losses, expected, rtol=1e-4)
    assert_allclose(model.alpha_, lasso.alpha_)
    assert not clone(model).set_params(alpha=1.001 * alphas[-1]).fit(X, DIABETES_Y).coef_.any()


@pytest.mark.parametrize(
    "model", [GDRegressor(positive=True), GDRegressor(Quantile(quantile=[0.2]))], ids=str
)
def test_other_objectives_are_chosen_by_folds(model):
    X, y = RAW_DIABETES[:10, 2:3], DIABETES_Y[:10]
    model = clone(model).set_params(alpha="auto", random_state=0).fit(X, y)
    path = model.alpha_path_
    assert model.alpha_ == path["alpha"][path["loss"].argmin()]
    assert np.isfinite(path["loss"]).all()


# ---- what it means for the estimators -----------------------------------------------------------

@pytest.mark.parametrize("model", [GDRegressor("poisson"), GDClassifier()], ids=str)
def test_the_model_is_that_of_the_alpha_that_was_chosen(model):
    X, y = RAW_DIABETES, DIABETES_Y
    y = np.digitize(y, [100, 200]) if isinstance(model, GDClassifier) else y
    auto = clone(model).set_params(alpha="auto").fit(X, y)
    path = auto.alpha_path_
    assert auto.alpha == "auto"
    assert auto.alpha_ == path["alpha"][path["loss"].argmin()]
    assert (np.diff(path["alpha"]) > 0).all()
    given = clone(model).set_params(alpha=auto.alpha_).fit(X, y)
    assert_array_equal(auto.coef_, given.coef_)
    assert given.alpha_ == auto.alpha_ and given.alpha_path_ is None
    assert auto.optimality(X, y) == given.optimality(X, y)
    assert repr(auto.to_sklearn()) == repr(given.to_sklearn())
    assert pickle.loads(pickle.dumps(auto)).alpha_ == auto.alpha_


@pytest.mark.parametrize("model", [GDRegressor(), GDClassifier("log_loss")], ids=str)
def test_layouts_and_zero_weights_make_no_difference(model):
    X, y = RAW_DIABETES[:90].astype(np.float32), DIABETES_Y[:90]
    y = y > 120 if isinstance(model, GDClassifier) else y
    weights = np.where(np.arange(90) % 3 == 0, 0.0, WEIGHTS[:90])
    expected = clone(model).set_params(alpha="auto").fit(
        X[weights > 0].astype(float), y[weights > 0], sample_weight=weights[weights > 0]
    ).alpha_path_["loss"]
    for rows in (X, sparse.csr_array(X), X.astype(float)):
        other = clone(model).set_params(alpha="auto").fit(rows, y, sample_weight=2.0 * weights)
        assert_allclose(other.alpha_path_["loss"], expected, rtol=1e-6)


def test_searches_and_pipelines_take_it():
    model = make_pipeline(StandardScaler(), GDClassifier(alpha="auto"))
    assert 1e-6 < model.fit(RAW_DIABETES, DIABETES_Y > 150)[-1].alpha_ < 1.0
    grid = {"alpha": [1e-8, "auto"]}
    search = GDSearchCV(GDRegressor(), grid, cv=3).fit(WIDE[:, :30], DIABETES_Y[:40])
    assert search.best_params_ == {"alpha": "auto"}
    assert search.best_estimator_.alpha_ > 1e-8
    batches = GDSearchCV(GDRegressor(batch_size=8, max_iter=5, tol=None), grid, cv=3)
    assert np.isfinite(batches.fit(RAW_DIABETES, DIABETES_Y).cv_results_["mean_test_score"]).all()


def test_without_a_penalty_there_is_nothing_to_choose():
    model = GDRegressor(penalty=None, alpha="auto").fit(RAW_DIABETES, DIABETES_Y)
    assert model.alpha_ == 0.0 and model.alpha_path_ is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (GDRegressor(alpha="auto", learning_rate=0.1), "search with GDSearchCV"),
        (GDClassifier("perceptron", alpha="auto"), "search with GDSearchCV"),
    ],
    ids=["rate", "perceptron"],
)
def test_what_cannot_be_chosen_is_an_error(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(RAW_DIABETES, DIABETES_Y > 100)


def test_streams_do_not_have_it():
    model = GDRegressor(alpha="auto")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as error:
        model.partial_fit(RAW_DIABETES, DIABETES_Y)
    assert "search with GDSearchCV" in str(error.value.__cause__)


@pytest.mark.parametrize("alpha", ["balanced", None])
def test_other_values_are_an_error(alpha):
    with pytest.raises(TypeError, match="pass a number or 'auto'"):
        GDRegressor(alpha=alpha).fit(RAW_DIABETES, DIABETES_Y)


# ---- hard rows ----------------------------------------------------------------------------------

def test_classes_that_can_be_separated_are_told():
    X = np.concatenate([GENERATOR.normal(size=(30, 2)), 20 + GENERATOR.normal(size=(30, 2))])
    model = GDClassifier(alpha="auto")
    with pytest.warns(UserWarning, match="still falls at the smallest alpha"):
        model.fit(X, np.repeat([0, 1], 30))
    assert np.isfinite(model.alpha_path_["loss"]).all()


def test_rows_that_decide_alone_are_told():
    # Each row has a column of its own, whose coefficient has no penalty.
    X = np.column_stack([np.eye(30), RAW_DIABETES[:30, 2]])
    model = GDClassifier("log_loss", penalty=L2(weights=np.arange(31) > 28), alpha="auto")
    with pytest.warns(UserWarning, match="rows decide alone"):
        model.fit(X, GENERATOR.integers(0, 2, 30))
    assert np.isfinite(model.alpha_path_["loss"]).all()


@pytest.mark.parametrize("n_columns", [130, 800])
def test_more_columns_than_rows_some_of_which_are_repeated(n_columns):
    X = (GENERATOR.normal(size=(60, n_columns)) > 1.0).astype(float)
    X[40:] = X[:20]
    X[:, :30] = 0.0
    y = X[:, 30] + GENERATOR.normal(size=60)
    model = GDRegressor(alpha="auto").fit(X, y)
    losses, alpha = ridge_losses(model, X, y, None)
    assert_allclose(model.alpha_path_["loss"], losses, rtol=1e-8)
    assert_allclose(model.alpha_, alpha, rtol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_more_columns_than_rows(n_classes):
    X, y = WIDE[:20, :110], DIABETES_Y[:20]
    y = np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))
    model = GDClassifier(alpha="auto").fit(X, y)
    least = model.alpha_path_["loss"].min()
    assert_allclose(least, exact_loss(model, X, y, np.ones(20)), rtol=1e-3)


# As with RidgeCV: one of two equal rows that is left out leaves the other one behind.
WEIGHTED_ROWS = {
    f"check_sample_weight_equivalence_on_{layout}_data": "rows are left out with their weights"
    for layout in ("dense", "sparse")
}


@parametrize_with_checks(
    [GDRegressor(alpha="auto")],
    expected_failed_checks=lambda estimator: WEIGHTED_ROWS,
)
def test_common_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check(estimator)


def test_models_from_before_alpha_could_be_chosen_have_their_own():
    model = GDRegressor(alpha=0.3).fit(RAW_DIABETES, DIABETES_Y)
    gap = model.optimality(RAW_DIABETES, DIABETES_Y)
    del model.alpha_, model.alpha_path_
    assert model.optimality(RAW_DIABETES, DIABETES_Y) == gap
