"""The largest coefficients as bars."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from skgd import CoefficientDisplay, GDClassifier, GDRegressor

X, Y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)


def bars(display):
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    return dict(zip(names, [bar.get_width() for bar in display.bars_], strict=True))


def test_bars_are_the_largest_coefficients():
    model = GDRegressor().fit(X, Y)
    table = model.coefficients(sort=True).set_index("feature")["per_deviation"]
    drawn = bars(CoefficientDisplay.from_estimator(model, n_largest=4))
    assert list(drawn) == table.index[:4].tolist()
    assert_allclose(list(drawn.values()), table[:4])
    plain = bars(CoefficientDisplay.from_estimator(model, per_deviation=False, n_largest=None))
    assert plain == pytest.approx(dict(zip(X.columns, model.coef_, strict=True)))


def test_several_estimators_are_dots_about_their_mean():
    folds = cross_validate(GDRegressor(), X, Y, return_estimator=True, cv=3)["estimator"]
    display = CoefficientDisplay.from_estimators(folds, per_deviation=False, n_largest=None)
    coef = np.array([model.coef_ for model in folds])
    expected = dict(zip(X.columns, coef.mean(axis=0), strict=True))
    assert bars(display) == pytest.approx(expected)
    drawn = np.array([line.get_xdata() for line in display.lines_])
    assert_allclose(drawn.mean(axis=0), list(bars(display).values()))
    assert drawn.shape == (3, 10)


def test_a_pipeline_names_the_columns_of_its_last_step():
    names = ["age", "bmi"]
    model = make_pipeline(PolynomialFeatures(2, include_bias=False), GDRegressor())
    drawn = bars(CoefficientDisplay.from_estimator(model.fit(X[names], Y)))
    assert set(drawn) == {"age", "bmi", "age^2", "age bmi", "bmi^2"}


def test_one_of_several_outputs_is_drawn():
    iris, species = load_iris(return_X_y=True)
    model = GDClassifier(max_iter=3, tol=None, optimizer="adam").fit(iris, species)
    drawn = bars(CoefficientDisplay.from_estimator(model, output=2, per_deviation=False))
    assert drawn == pytest.approx({str(j): model.coef_[2, j] for j in range(4)})
    with pytest.raises(ValueError, match=r"output=None: pass one of \[0, 1, 2\]"):
        CoefficientDisplay.from_estimator(model)


def test_what_cannot_be_drawn_is_an_error():
    model = GDRegressor().fit(X, Y)
    with pytest.raises(TypeError, match=r"estimator=Ridge\(\): pass a fitted GDClassifier"):
        CoefficientDisplay.from_estimator(Ridge().fit(X, Y))
    with pytest.raises(ValueError, match="different features"):
        CoefficientDisplay.from_estimators([model, GDRegressor().fit(X[["age"]], Y)])
    with pytest.raises(ValueError, match="empty list"):
        CoefficientDisplay.from_estimators([])
    with pytest.raises(ValueError, match="n_largest=0"):
        CoefficientDisplay.from_estimator(model, n_largest=0)
