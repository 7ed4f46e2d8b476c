"""What the estimators take, and what they say to what they do not take."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd.losses import Hinge, Huber, LogLoss
from skgd.optimizers import LBFGS, SGD, Adam
from skgd.penalties import L1, ElasticNet
from skgd.schedules import Constant, InverseScaling

DIABETES = load_diabetes(return_X_y=True, scaled=False)
CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)
BOTH = pytest.mark.parametrize("estimator", [GDClassifier(), GDRegressor()], ids=str)


# ---- X and y ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "X, y, words",
    [
        (np.ones(6), np.arange(6) % 2, "2D array"),
        (np.ones((2, 3, 4)), np.arange(2), "dim 3"),
        (np.ones((0, 3)), np.ones(0), "0 sample"),
        (np.ones((6, 0)), np.arange(6) % 2, r"0 feature"),
        (np.ones((6, 2)), np.arange(5) % 2, "inconsistent numbers of samples"),
        (np.ones((6, 2)) * 1j, np.arange(6) % 2, "Complex data not supported"),
        (np.array([["a"], ["b"]]), np.arange(2), "could not convert string to float"),
        (np.ones((6, 2)), None, "requires y to be passed"),
    ],
)
def test_X_and_y_of_a_wrong_shape_or_kind_are_errors(estimator, X, y, words):
    with pytest.raises((ValueError, TypeError), match=words):
        estimator.fit(X, y)


@BOTH
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("convert", [np.array, sparse.csr_matrix, lambda X: X.astype(np.float32)])
def test_nan_and_infinity_in_X_are_errors(estimator, bad, convert):
    X, y = np.eye(6), np.arange(6) % 2
    estimator.fit(convert(X), y)
    X[3, 3] = bad
    words = "NaN" if np.isnan(bad) else "infinity"
    for method in (estimator.fit, lambda X, y: estimator.predict(X)):
        with pytest.raises(ValueError, match=f"(?i)input X contains {words}"):
            method(convert(X), y)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(6,), (6, 2)])
def test_nan_and_infinity_in_the_targets_of_a_regression_are_errors(shape, bad):
    y = np.ones(shape)
    y[2] = bad
    with pytest.raises(ValueError, match="(?i)input y contains (nan|infinity)"):
        GDRegressor().fit(np.eye(6), y)


@pytest.mark.parametrize("y", [np.zeros(6), ["a"] * 6, np.zeros(6, dtype=bool)])
def test_one_class_is_an_error(y):
    with pytest.raises(ValueError, match="at least 2 classes.*1 class"):
        GDClassifier().fit(np.eye(6), y)


def test_one_class_of_those_with_weight_is_a_constant_model():
    model = GDClassifier().fit(np.eye(4), [0, 1, 1, 1], sample_weight=[0, 1, 2, 1])
    assert_array_equal(model.classes_, [0, 1])
    assert_array_equal(model.predict(np.eye(4)), 1)


def test_continuous_targets_of_a_classification_are_an_error():
    with pytest.raises(ValueError, match="(?i)continuous"):
        GDClassifier().fit(*DIABETES[:1], DIABETES[1] + 0.5)


def test_several_targets_of_a_classification_are_an_error():
    with pytest.raises(ValueError, match="y should be a 1d array"):
        GDClassifier().fit(np.eye(4), np.eye(4)[:, :2].astype(int))


def test_text_as_target_of_a_regression_is_an_error():
    with pytest.raises(ValueError, match="y has dtype|could not convert|dtype='numeric'"):
        GDRegressor().fit(np.eye(3), np.array(["a", "b", "c"], dtype=object))


# ---- weights ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "weights, words",
    [
        ([1, 1, -1, 1], "negative"),
        ([0, 0, 0, 0], "only zeros"),
        ([1, 1, 1], r"expected \(4,\)"),
        ("weight", "sample_weight='weight'.*one weight a row"),
        ([[1], [1], [1], [1]], "1D"),
        ([1, 1, np.nan, 1], "NaN"),
        ([1, 1, np.inf, 1], "infinity"),
        ([1e308, 1e308, 1e308, 1e308], "overflow"),
        ([5e-324, 5e-324, 5e-324, 5e-324], "underflow"),
        (["a", "b", "c", "d"], "could not convert|numeric"),
    ],
    ids=str,
)
def test_bad_weights_are_errors(estimator, weights, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        estimator.fit(np.eye(4), [0, 1, 0, 1], sample_weight=weights)
    assert re.search("(?i)sample.?weight", str(caught.value)) or "convert" in words


@pytest.mark.parametrize("name", ["sample_weight_val"])
def test_bad_weights_of_the_validation_set_are_named(name):
    X, y = CANCER
    with pytest.raises(ValueError, match=name):
        GDClassifier(early_stopping=True).fit(X, y, X_val=X, y_val=y, **{name: -np.ones(len(y))})


@pytest.mark.parametrize("convert", [list, tuple, np.array, pd.Series, np.float32, np.int8])
def test_weights_may_come_as_any_sequence(convert):
    X, y = IRIS
    s = np.arange(len(y)) % 3
    expected = GDClassifier().fit(X, y, sample_weight=s.astype(float)).coef_
    assert_allclose(GDClassifier().fit(X, y, sample_weight=convert(s)).coef_, expected, rtol=1e-12)


# ---- constructor parameters ---------------------------------------------------------------------

BAD = {
    "loss": ["log", "mse", 3, None, LogLoss, ["hinge"], 1.5],
    "penalty": ["l3", "L2", 2, L1, ["l2"], True],
    "alpha": [-1e-9, np.nan, np.inf, "1", None, True, [1.0]],
    "l1_ratio": [-0.1, 1.1, np.nan, "half", None, True],
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
    "verbose": ["yes", None, 1.5],
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


# ---- frames -------------------------------------------------------------------------------------

FRAMES = pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])


@FRAMES
@BOTH
def test_a_column_with_nan_is_named_and_so_is_the_remedy(estimator, frame):
    X = frame({"age": [1.0, 2.0, 3.0, 4.0], "income": [1.0, float("nan"), 3.0, 5.0]})
    with pytest.raises(ValueError, match="'income'.*SimpleImputer") as caught:
        estimator.fit(X, [0, 1, 0, 1])
    assert "'age'" not in str(caught.value)


@FRAMES
@BOTH
def test_a_column_with_missing_values_is_named_and_so_is_the_remedy(estimator, frame):
    X = frame({"age": [1, 2, 3, 4], "income": [1.0, None, 3.0, 5.0]})
    with pytest.raises(ValueError, match="'income'.*SimpleImputer"):
        estimator.fit(X, [0, 1, 0, 1])


@FRAMES
@BOTH
def test_a_column_with_text_is_named_and_so_is_the_remedy(estimator, frame):
    X = frame({"age": [1.0, 2.0, 3.0, 4.0], "town": ["a", "b", "a", "c"]})
    with pytest.raises(ValueError, match="'town'.*OneHotEncoder") as caught:
        estimator.fit(X, [0, 1, 0, 1])
    assert "'age'" not in str(caught.value)


def test_columns_of_one_name_are_an_error_about_names():
    X = pd.DataFrame(np.eye(4), columns=["age", "age", "town", "income"])
    X.iloc[0, 3] = np.nan
    with pytest.raises(ValueError, match="^Expected unique column names"):
        GDRegressor().fit(X, np.arange(4))


@FRAMES
def test_a_column_with_nan_is_named_by_predict_too(frame):
    model = GDRegressor().fit(frame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 5.0]}), [1.0, 2.0, 4.0])
    with pytest.raises(ValueError, match="'b'.*SimpleImputer"):
        model.predict(frame({"a": [1.0, 2.0], "b": [0.0, float("nan")]}))


@pytest.mark.parametrize("dtype", ["category", "datetime64[ns]", "string"])
def test_pandas_columns_of_other_kinds_are_named(dtype):
    X = pd.DataFrame({"n": [1.0, 2.0, 3.0, 4.0]})
    X["when"] = pd.Series(["2020-01-01", "2021-01-01", "2020-01-01", "2023-01-01"], dtype=dtype)
    with pytest.raises((ValueError, TypeError), match="'when'"):
        GDClassifier().fit(X, [0, 1, 0, 1])


@FRAMES
@BOTH
def test_frames_give_feature_names_and_the_models_of_arrays(estimator, frame):
    X, y = IRIS
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    table = frame({name: column for name, column in zip(names, X.T, strict=True)})
    expected = estimator.fit(X, y).coef_
    assert not hasattr(estimator, "feature_names_in_")
    estimator.fit(table, y)
    assert_array_equal(estimator.feature_names_in_, names)
    # Frames hold columns, so sums are taken in another order.
    assert_allclose(estimator.coef_, expected, rtol=1e-10)
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(table[names[::-1]])


def test_boolean_nullable_and_integer_columns_are_numbers():
    table = pd.DataFrame({
        "yes": [True, False, True, False, True],
        "count": [1, 2, 3, 4, 7],
        "nullable": pd.array([1.5, 2.5, 0.5, 1.0, 2.0], dtype="Float64"),
    })
    y = [1.0, 2.0, 4.0, 3.0, 6.0]
    expected = GDRegressor().fit(table.to_numpy(dtype=float), y).coef_
    assert_allclose(GDRegressor().fit(table, y).coef_, expected, rtol=1e-12)


# ---- what is taken ------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "convert",
    [sparse.csc_matrix, sparse.coo_matrix, sparse.lil_matrix, sparse.csr_array, list,
     np.ndarray.tolist, lambda X: X.astype(np.int32), lambda X: X.astype(np.uint8),
     lambda X: X.astype(np.float16), lambda X: X.astype(object), lambda X: X.astype(">f8")],
    ids=["csc", "coo", "lil", "csr", "rows", "lists", "int32", "uint8", "float16", "object",
         "big endian"],
)  # fmt: skip
def test_other_kinds_of_X_give_the_same_model(estimator, convert):
    X, y = np.rint(IRIS[0]), IRIS[1]
    expected = estimator.fit(X, y).coef_
    other = estimator.fit(convert(X), y)
    assert_allclose(other.coef_, expected, rtol=1e-4, atol=1e-5)
    assert_array_equal(other.predict(convert(X)).shape, y.shape)


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "batch_size": 2}], ids=str)
def test_sparse_entries_that_are_given_twice_are_summed(settings):
    data, columns, starts = [1.0, 2.0, 5.0, 1.0, 4.0], [0, 0, 1, 0, 1], [0, 2, 3, 4, 5]
    X = sparse.csr_matrix((data, columns, starts), shape=(4, 2))
    assert not X.has_canonical_format
    estimator = GDRegressor(alpha=0.1, max_iter=5, tol=None, random_state=0, **settings)
    y = [1.0, 3.0, 2.0, 0.0]
    expected = estimator.fit(X.toarray(), y).coef_
    assert_allclose(estimator.fit(X, y).coef_, expected, rtol=1e-6)
    assert X.nnz == 5


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}, {"loss": "hinge"}], ids=str)
def test_numbers_that_lie_across_the_words_of_memory_are_read(settings):
    X, y = CANCER
    record = np.zeros(len(X), dtype=[("flag", "i1"), ("columns", "f8", X.shape[1])])
    record["columns"] = X
    estimator = GDClassifier(max_iter=5, tol=None, random_state=0, **settings)
    expected = estimator.fit(X, y).coef_
    assert_array_equal(estimator.fit(record["columns"], y).coef_, expected)


@pytest.mark.parametrize(
    "labels",
    [np.array(["setosa", "versicolor", "virginica"]), np.array(["x", "y", "z"], dtype=object),
     np.array([-7, 0, 300]), np.array([1.0, 2.0, 5.0])],
    ids=["text", "object", "integers", "floats"],
)  # fmt: skip
def test_any_labels_come_back(labels):
    X, y = IRIS
    model = GDClassifier().fit(X, labels[y])
    assert_array_equal(model.classes_, labels)
    assert_array_equal(model.predict(X), labels[GDClassifier().fit(X, y).predict(X)])
    two = GDClassifier().fit(X[50:], labels[y[50:]])
    assert_array_equal(two.classes_, labels[1:])
    assert set(two.predict(X)) <= set(labels[1:])
    assert_array_equal(two.decision_function(X) > 0, two.predict(X) == labels[2])


def test_labels_of_several_types_are_an_error():
    with pytest.raises(TypeError, match="y has labels of several types: pass"):
        GDClassifier().fit(np.eye(4), np.array([1, "a", 1, "a"], dtype=object))


def test_labels_may_be_bool():
    X, y = IRIS
    model = GDClassifier().fit(X, y == 1)
    assert model.predict(X).dtype == bool


def test_one_column_of_targets_gives_two_dimensions_back():
    X, y = DIABETES
    column = GDRegressor().fit(X, y[:, None])
    flat = GDRegressor().fit(X, y)
    assert column.coef_.shape == (1, 10)
    assert flat.coef_.shape == (10,)
    assert flat.intercept_.shape == column.intercept_.shape == (1,)
    assert_array_equal(column.predict(X), flat.predict(X)[:, None])


@BOTH
@pytest.mark.parametrize("convert", [np.array, sparse.csr_matrix])
def test_another_number_of_columns_in_predict_is_an_error(estimator, convert):
    X, y = IRIS
    estimator.fit(X, y)
    with pytest.raises(ValueError, match="3 features.*expecting 4"):
        estimator.predict(convert(X[:, :3]))


@BOTH
def test_predict_before_fit_is_an_error(estimator):
    with pytest.raises(ValueError, match="not fitted"):
        type(estimator)().predict(IRIS[0])


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "perceptron"])
@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_probabilities_of_a_loss_without_them_name_the_losses_with_them(loss, method):
    model = GDClassifier(loss).fit(*IRIS)
    assert not hasattr(model, method)
    with pytest.raises(AttributeError) as caught:
        getattr(model, method)
    words = str(caught.value) + str(caught.value.__cause__)
    assert "'log_loss'" in words
    assert "'modified_huber'" in words
    assert "'focal'" in words


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber", "focal"])
@pytest.mark.parametrize("several", [False, True])
def test_probabilities_are_probabilities(loss, several):
    X, y = IRIS
    y = y if several else y == 2
    model = GDClassifier(loss, alpha=1e-2).fit(X, y)
    p = model.predict_proba(1e3 * (X - X.mean(axis=0)))
    assert np.all(np.isfinite(p) & (p >= 0))
    assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    p = model.predict_proba(X)
    with np.errstate(divide="ignore"):
        assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-12)
    if loss == "log_loss":
        assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))


# ---- scales -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*minimum is at infinite")
@pytest.mark.parametrize("convert", [np.array, sparse.csr_matrix, np.asfortranarray])
@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "lbfgs"}, {"optimizer": "adam"}, {"optimizer": "sgd", "batch_size": 32},
     {"optimizer": "accelerated_gradient"}],
    ids=str,
)  # fmt: skip
def test_columns_from_1e_minus_21_to_1e10_train_like_scaled_ones(settings, convert):
    X, y = CANCER
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    units = 10.0 ** np.linspace(-21, 10, X.shape[1])
    model = GDClassifier(penalty=None, random_state=0, max_iter=15, tol=None, **settings)
    expected = model.fit(X, y).decision_function(X)
    actual = model.fit(convert(X * units), y).decision_function(X * units)
    assert model.score(X * units, y) > 0.96
    assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("unit", [1e-21, 1e10])
def test_a_tiny_or_huge_column_of_a_regression_is_not_lost(unit):
    X, y = DIABETES
    units = np.ones(10)
    units[2] = unit
    exact = np.linalg.lstsq(np.column_stack([X, np.ones(len(y))]), y, rcond=None)[0]
    model = GDRegressor(penalty=None, tol=1e-10).fit(X * units, y)
    assert_allclose(model.coef_ * units, exact[:-1], rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-320, 1e-200, 1e-160, 1e-153, 1e160, 1e200, 1e300])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_a_column_whose_squares_are_no_doubles_is_left_out_with_a_warning(loss, unit):
    X, y = load_diabetes(return_X_y=True)
    others = GDRegressor(loss, penalty=None).fit(np.delete(X, 2, axis=1), y).coef_
    X[:, 2] = (X[:, 2] + 0.1) * unit
    X, y = X.repeat(40, axis=0), y.repeat(40)
    model = GDRegressor(loss, penalty=None)
    with pytest.warns(UserWarning, match=r"columns \[2\] are beyond the range of doubles"):
        model.fit(X, y)
    assert model.coef_[2] == 0
    assert_allclose(np.delete(model.coef_, 2), others, rtol=1e-6)


def test_a_column_that_is_left_out_is_named():
    X = pd.DataFrame({"age": np.arange(9.0) ** 2, "income": np.arange(9.0) * 1e200})
    with pytest.warns(UserWarning, match="columns ..income.. are beyond"):
        GDRegressor().fit(X, np.arange(9.0))


@pytest.mark.parametrize("unit", [1e-170, 1e152, 1e300])
def test_targets_whose_squares_are_no_doubles_are_an_error(unit):
    X, y = DIABETES
    with pytest.raises(ValueError, match="y: the largest number has the size 3.46e.*power of ten"):
        GDRegressor().fit(X, y * unit)


@pytest.mark.parametrize("unit", [1e-140, 1e140])
def test_the_unit_of_the_targets_is_the_unit_of_the_coefficients(unit):
    X, y = DIABETES
    expected = GDRegressor(penalty=None).fit(X, y).coef_
    assert_allclose(GDRegressor(penalty=None).fit(X, y * unit).coef_ / unit, expected, rtol=1e-9)


@BOTH
def test_constant_and_equal_columns_do_no_harm(estimator):
    X, y = IRIS
    wide = np.column_stack([X, np.full(len(y), 7.0), np.zeros(len(y)), X[:, 0]])
    model = estimator.set_params(alpha=1e-2).fit(wide, y)
    assert np.all(np.isfinite(model.coef_))
    assert np.all(np.abs(model.coef_[..., 4:6]) < 1e-10)
    assert_allclose(model.coef_[..., 0], model.coef_[..., 6], rtol=1e-3, atol=1e-4)


def test_a_constant_target_is_the_intercept():
    X = DIABETES[0]
    model = GDRegressor().fit(X, np.full(len(X), 3.25))
    assert_array_equal(model.coef_, 0)
    assert_allclose(model.predict(X), 3.25, rtol=1e-12)
    assert model.converged_


@BOTH
def test_two_rows_are_enough(estimator):
    model = estimator.fit([[1.0], [3.0]], [0, 1])
    assert np.all(np.isfinite(model.coef_))
    assert model.predict([[3.0]])[0] > model.predict([[1.0]])[0]


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
