"""The data that the estimators take, and what they say to data that they do not take."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from skgd import GDClassifier, GDRegressor

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


@pytest.mark.parametrize("row", [0, 299])
@pytest.mark.parametrize("kind", [np.float64, np.float32, sparse.csr_matrix])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("optimizer", ["auto", "sgd"])
def test_a_fit_that_meets_nan_or_infinity_leaves_nothing_behind(row, kind, weighted, optimizer):
    X = np.random.default_rng(0).normal(size=(300, 3))
    y = (X[:, 0] > 0).astype(int)
    weights = (np.arange(300) % 299 > 0).astype(float) if weighted else None
    model = GDClassifier(optimizer=optimizer, max_iter=2, tol=None).fit(X, y)
    before = dict(vars(model))
    for bad, words in ((np.nan, "^Input X contains NaN"), (-np.inf, "^Input X contains infinity")):
        X[row, 1] = bad
        for fit in (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match=words):
                fit(kind(X), y, sample_weight=weights)
            assert vars(model).keys() == before.keys()
            assert all(vars(model)[name] is value for name, value in before.items())


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


def test_missing_labels_are_an_error():
    with pytest.raises(ValueError, match="y has missing values"):
        GDClassifier().fit(np.eye(4), pd.Series(["a", None, "a", "b"], dtype="string"))


def test_labels_may_be_bool():
    X, y = IRIS
    model = GDClassifier().fit(X, y == 1)
    assert model.predict(X).dtype == bool
    assert_array_equal(model.classes_, [False, True])
    assert_array_equal(model.coef_, GDClassifier().fit(X, (y == 1).astype(int)).coef_)
    with pytest.raises(ValueError, match="at least 2 classes in y, got 1"):
        GDClassifier().fit(X, y == 3)


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


def test_an_error_is_not_its_own_cause():
    # Who follows causes to their end, as Dask does, would not come back.
    model = GDRegressor().fit([[0.0], [1.0]], [0.0, 1.0])
    for use in (lambda: model.fit([[np.nan]], [0.0]), lambda: model.predict([[np.nan]])):
        with pytest.raises(ValueError, match="NaN") as caught:
            use()
        assert caught.value.__cause__ is not caught.value
