"""What the estimators say to constructor parameters that they do not take."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd.losses import Hinge, Huber, LogLoss
from skgd.optimizers import LBFGS, SGD, Adam
from skgd.penalties import L1, ElasticNet
from skgd.schedules import Constant, InverseScaling

DIABETES = load_diabetes(return_X_y=True, scaled=False)
IRIS = load_iris(return_X_y=True)
BOTH = pytest.mark.parametrize("estimator", [GDClassifier(), GDRegressor()], ids=str)


# ---- constructor parameters ---------------------------------------------------------------------

BAD = {
    "loss": ["log", "mse", 3, None, LogLoss, ["hinge"], 1.5],
    "penalty": ["l3", "L2", 2, L1, ["l2"], True],
    "alpha": [-1e-9, np.nan, np.inf, "1", None, True, [1.0]],
    "l1_ratio": [-0.1, 1.1, np.nan, "half", True],
    "fit_intercept": ["yes", 1, 0.0, None, "auto"],
    "positive": ["yes", 1, None, [True]],
    "optimizer": ["adams", "Adam", 3, None, Adam, ["adam"]],
    "learning_rate": ["fast", -0.1, np.nan, np.inf, None, True, [0.1], Constant],
    "batch_size": [0, -1, 0.0, 1.5, np.nan, "all", None, True, [32]],
    "shuffle": ["yes", 1, None],
    "precondition": ["diag", 1, True, False, ["full"]],
    "average": ["yes", -1, 1.5, None],
    "max_iter": [0, -1, 1.5, "10", None, True, np.inf],
    "tol": [-1e-9, np.nan, np.inf, "small", True, [1e-3]],
    "n_iter_no_change": [0, -1, 1.5, "5", None, True],
    "early_stopping": ["auto", 1, None],
    "validation_fraction": [0.0, 1.0, -0.1, np.nan, "0.1", None, True],
    "scoring": ["accurate", 3, ["r2"]],
    "init": ["ones", 3, None, True, (1, 2, 3), (np.ones(2), np.ones(1)), (np.nan, 0.0)],
    "on_divergence": ["ignore", 1, None, True],
    "warm_start": ["yes", 1, None],
    "n_jobs": [0, 1.5, "all", True],
    "verbose": ["yes", None, 1.5, -1],
    "random_state": ["seed", 1.5, -1, [1]],
    "class_weight": ["equal", 3, [1, 2], {5: 1.0}, {0: -1.0}, {0: np.nan}, {0: 0, 1: 0},
                     {0: "1"}],
}
CASES = [(name, value) for name, values in BAD.items() for value in values]


@BOTH
@pytest.mark.parametrize("name, value", CASES, ids=lambda part: repr(part)[:40])
def test_a_bad_parameter_is_an_error_that_names_it(estimator, name, value):
    estimator = type(estimator)()
    if name == "class_weight" and name not in estimator.get_params():
        with pytest.raises(ValueError, match="class_weight"):
            estimator.set_params(class_weight=value)
        return
    if name == "scoring":
        estimator.set_params(early_stopping=True)
    if name in ("random_state", "batch_size", "average"):
        estimator.set_params(optimizer="adam")
    X, y = IRIS
    with pytest.raises((ValueError, TypeError), match=name):
        estimator.set_params(**{name: value}).fit(X, y)
    assert not hasattr(estimator, "coef_")


@BOTH
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_other_estimators_take_is_taken(estimator):
    X, y = IRIS
    settings = {"optimizer": "adam", "max_iter": 20, "random_state": 0}
    expected = clone(estimator).set_params(**settings).fit(X, y)
    model = clone(estimator).set_params(**settings, l1_ratio=None).fit(X, y)
    assert_array_equal(model.coef_, expected.coef_)
    # With a huge tolerance, every epoch is one without improvement.
    settings |= {"tol": 1e3}
    patient = clone(estimator).set_params(**settings, n_iter_no_change=np.inf).fit(X, y)
    assert patient.n_iter_ == 20 > clone(estimator).set_params(**settings).fit(X, y).n_iter_
    with pytest.raises(TypeError, match="l1_ratio=None: pass a number from 0 to 1"):
        clone(estimator).set_params(l1_ratio=None, penalty="elasticnet").fit(X, y)


def test_a_search_takes_pre_dispatch():
    expected = GDSearchCV(GDRegressor(), {"alpha": [0.1, 1.0]}, cv=2).fit(*DIABETES)
    search = GDSearchCV(GDRegressor(), {"alpha": [0.1, 1.0]}, cv=2, pre_dispatch=1).fit(*DIABETES)
    assert search.best_params_ == expected.best_params_
    with pytest.raises(ValueError, match="pre_dispatch"):
        GDSearchCV(GDRegressor(), {"alpha": [0.1]}, pre_dispatch=None).fit(*DIABETES)


def test_every_parameter_is_tried_above():
    assert set(BAD) == set(GDClassifier().get_params()) | set(GDRegressor().get_params())


@pytest.mark.parametrize(
    "word, remedy",
    [
        ("optimal", "'auto'"),
        ("adaptive", "'auto'"),
        ("pa1", "'auto'"),
        ("pa2", "'auto'"),
        ("constant", "a number"),
        ("invscaling", "InverseScaling"),
    ],
)
def test_the_rates_of_sgd_classifier_are_translated(word, remedy):
    with pytest.raises(ValueError, match=f"learning_rate='{word}'.*{remedy}"):
        GDClassifier(learning_rate=word).fit(*IRIS)


@pytest.mark.parametrize("optimizer", ["lbfgs", LBFGS(), "gradient_descent"])
@pytest.mark.parametrize(
    "name, value", [("learning_rate", 0.1), ("learning_rate", InverseScaling()), ("batch_size", 32)]
)
def test_rates_and_batches_do_not_go_with_full_batch_optimizers(optimizer, name, value):
    with pytest.raises(ValueError, match=f"{name}=.*optimizer='adam'"):
        GDClassifier(optimizer=optimizer, **{name: value}).fit(*IRIS)


@pytest.mark.parametrize("penalty", ["l1", "elasticnet", L1(), ElasticNet(0.1)])
def test_l1_with_lbfgs_names_what_can_do_it(penalty):
    with pytest.raises(ValueError, match="smooth penalty.*optimizer='auto'"):
        GDClassifier(optimizer="lbfgs", penalty=penalty).fit(*IRIS)


@pytest.mark.parametrize(
    "estimator",
    [GDRegressor(loss="hinge"), GDRegressor(loss=Hinge()), GDClassifier(loss="squared_error"),
     GDClassifier(loss=Huber())],
    ids=str,
)  # fmt: skip
def test_a_loss_of_the_other_task_is_an_error(estimator):
    with pytest.raises(ValueError, match="loss="):
        estimator.fit(*IRIS)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"optimizer": Adam(beta_1=1.0)}, "beta_1=1.0"),
        ({"optimizer": Adam(eps=-1.0)}, "eps=-1.0"),
        ({"optimizer": SGD(momentum=-0.1)}, "momentum=-0.1"),
        ({"optimizer": SGD(nesterov=True)}, "nesterov=True"),
        ({"optimizer": LBFGS(memory=0)}, "memory=0"),
        ({"loss": Huber(delta=0.0)}, "delta=0.0"),
        ({"penalty": ElasticNet(l1_ratio=2.0)}, "l1_ratio=2.0"),
        ({"penalty": L1(weights=[1.0, 2.0])}, "weights"),
        ({"penalty": L1(weights=-np.ones(10))}, "weights"),
        ({"learning_rate": lambda t: -1.0}, "learning_rate="),
        ({"learning_rate": lambda t: np.ones(3)[: len(t) - 1]}, "learning_rate="),
    ],
)
def test_a_bad_hyperparameter_of_a_piece_is_named(settings, words):
    with pytest.raises(ValueError, match=words):
        GDRegressor(**settings).fit(*DIABETES)


@pytest.mark.parametrize(
    "estimator, data, init",
    [
        (GDClassifier(), IRIS, (np.zeros((3, 4)), np.zeros(3))),
        (GDRegressor(), DIABETES, (np.zeros(10), 0.0)),
        (GDRegressor(), DIABETES, (np.zeros(10), np.zeros(1))),
    ],
    ids=["classes", "number", "array"],
)
def test_a_start_may_be_given_as_coef_and_intercept(estimator, data, init):
    expected = estimator.fit(*data).coef_
    estimator.set_params(init=init)
    assert_allclose(estimator.fit(*data).coef_, expected, rtol=1e-2)


WIDE = np.zeros((3, 4))


@pytest.mark.parametrize(
    "estimator, data, init, shapes",
    [
        (GDClassifier(), IRIS, (WIDE, [0.5]), r"\(3, 4\) and intercept of shape \(1,\)"),
        (GDClassifier(), IRIS, (WIDE, 0.5), r"\(3, 4\) and intercept of shape \(\)"),
        (GDClassifier(), IRIS, (WIDE, np.zeros((3, 1))), r"intercept of shape \(3, 1\)"),
        (GDClassifier(), IRIS, (WIDE.T, np.zeros(3)), r"\(4, 3\) .*shapes \(3, 4\) and \(3,\)"),
        (GDClassifier(), IRIS, (np.zeros(12), np.zeros(3)), r"\(12,\) .*shapes \(3, 4\)"),
        (GDRegressor(), DIABETES, (np.zeros((10, 1)), 0.0), r"\(10, 1\) .*shapes \(10,\) and"),
        (GDRegressor(), DIABETES, (np.zeros(10), [0, 0]), r"intercept of shape \(2,\)"),
        (GDRegressor(), DIABETES, (np.zeros(10), []), r"intercept of shape \(0,\)"),
        (GDRegressor(), DIABETES, np.zeros(10), "pass 'zeros', 'random', or"),
        (GDRegressor(), DIABETES, "ones", "init='ones': pass one of 'zeros'"),
    ],
)
def test_a_start_of_other_shapes_is_an_error_that_says_the_shapes(estimator, data, init, shapes):
    with pytest.raises(ValueError, match=shapes):
        clone(estimator).set_params(init=init).fit(*data)


def test_a_start_without_intercept_may_have_any_number_for_it():
    model = GDClassifier(init=(WIDE, 0.0), fit_intercept=False, max_iter=5, tol=None)
    assert_array_equal(model.fit(*IRIS).intercept_, np.zeros(3))


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"loss": Huber(delta="a")}, "Huber.*delta='a'.*pass numbers"),
        ({"optimizer": Adam(beta_1="b"), "learning_rate": 0.1}, "Adam.*beta_1='b'.*pass numbers"),
        ({"learning_rate": InverseScaling("fast")}, "rate='fast'.*pass a number"),
        ({"learning_rate": InverseScaling(0.1, power=None)}, "power=None.*pass a number"),
    ],
    ids=["Huber", "Adam", "rate", "power"],
)
def test_a_string_where_a_piece_needs_a_number_is_named(settings, words):
    with pytest.raises(TypeError, match=words):
        GDRegressor(**settings).fit(np.eye(4), np.arange(4.0))


# ---- early stopping -----------------------------------------------------------------------------

def test_validation_targets_are_checked_as_those_of_fit():
    X, y = IRIS
    model = GDClassifier(optimizer="adam", early_stopping=True, max_iter=5, tol=None)
    model.set_params(random_state=0)
    vector = model.fit(X, y, X_val=X, y_val=y).history_["validation_loss"]
    with pytest.warns(DataConversionWarning):
        column = model.fit(X, y, X_val=X, y_val=y[:, None]).history_["validation_loss"]
    assert_array_equal(column, vector)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y, X_val=X, y_val=y[1:])
    with pytest.raises(ValueError, match=r"labels \[7\], which are not among the classes"):
        model.fit(X, y, X_val=X, y_val=np.where(y == 2, 7, y))
    X, vector = DIABETES
    column, model = vector[:, None], GDRegressor(optimizer="adam", early_stopping=True)
    for y, y_val, shape in ((vector, column, r"\(442,\)"), (column, vector, r"\(442, 1\)")):
        with pytest.raises(ValueError, match=f"y has shape .*: pass {shape}"):
            model.fit(X, y, X_val=X, y_val=y_val)


@BOTH
@pytest.mark.parametrize("scoring", ["accuracy", "loss", lambda model, X, y: 0.0])
def test_a_score_that_nobody_looks_at_is_told(estimator, scoring):
    data = IRIS if isinstance(estimator, GDClassifier) else DIABETES
    model = clone(estimator).set_params(scoring=scoring)
    with pytest.warns(UserWarning, match="scoring=.*: pass early_stopping=True, or scoring=None"):
        watched = model.fit(*data).coef_
    assert_array_equal(watched, model.set_params(scoring=None).fit(*data).coef_)


@pytest.mark.parametrize("search", [GridSearchCV, GDSearchCV])
@pytest.mark.filterwarnings("ignore:scoring=:UserWarning")
def test_a_search_may_compare_fits_with_and_without_early_stopping(search):
    model = GDClassifier(optimizer="adam", max_iter=3, tol=None, scoring="accuracy")
    found = search(model, {"early_stopping": [False, True]}, cv=2).fit(*IRIS)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
