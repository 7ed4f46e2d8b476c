"""Pictures of regularisation paths, and the path that a search keeps."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import (
    GDClassifier,
    GDRegressor,
    GDSearchCV,
    RegularizationPathDisplay,
    alpha_sequence,
    one_standard_error,
)

X, Y = load_diabetes(return_X_y=True)
ALPHAS = [3.0, 0.3, 0.03, 0.003]


@pytest.mark.parametrize(
    "estimator, X, y",
    [
        (GDRegressor(penalty="l1"), X, Y),
        (GDRegressor(), X, Y),
        (GDClassifier(tol=1e-8), *load_iris(return_X_y=True)),
        (GDRegressor("absolute_error"), X[:60], Y[:60]),
    ],
)
def test_a_search_keeps_the_models_along_alpha(estimator, X, y):
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    search = GDSearchCV(estimator, {"alpha": ALPHAS[::-1]}, cv=2, return_path=True)
    path = search.fit(X, y, sample_weight=weights).path_
    assert_allclose(path["alpha"], ALPHAS)
    for alpha, coef, intercept in zip(*path.values(), strict=True):
        model = type(estimator)(**estimator.get_params() | {"alpha": alpha, "tol": 1e-9})
        model.fit(X, y, sample_weight=weights)
        size = np.abs(model.coef_).max()
        assert coef.shape == model.coef_.shape
        assert intercept.shape == model.intercept_.shape
        assert_allclose(coef, model.coef_, atol=1e-3 * size)


def test_the_path_has_the_other_parameters_of_the_best_candidate():
    model = make_pipeline(StandardScaler(), GDRegressor(penalty="elasticnet"))
    grid = {"gdregressor__alpha": ALPHAS, "gdregressor__l1_ratio": [0.1, 0.9]}
    search = GDSearchCV(model, grid, cv=2, return_path=True).fit(X, Y)
    best = ALPHAS.index(search.best_params_["gdregressor__alpha"])
    assert search.path_["coef"].shape == (4, 10)
    assert_allclose(search.path_["coef"][best], search.best_estimator_[-1].coef_, rtol=1e-4)


def test_a_path_needs_an_alpha_and_a_choice():
    with pytest.raises(ValueError, match="return_path=True with refit=False"):
        GDSearchCV(GDRegressor(), {"alpha": [1]}, refit=False, return_path=True).fit(X, Y)
    with pytest.raises(ValueError, match="0 of its parameters are an alpha"):
        GDSearchCV(GDRegressor(), {"tol": [1e-4]}, return_path=True).fit(X, Y)


def test_coefficients_are_drawn_and_named():
    rows, y = load_diabetes(return_X_y=True, as_frame=True)
    model = GDRegressor(penalty="l1")
    display = RegularizationPathDisplay.from_estimator(model, rows, y)
    assert_allclose(display.alphas, alpha_sequence(model, rows, y))
    assert [line.get_label() for line in display.lines_] == list(rows.columns)
    for j, line in enumerate(display.lines_):
        assert_allclose(line.get_ydata(), display.values[:, j])
    assert display.ax_.get_xscale() == "log"
    few = RegularizationPathDisplay.from_estimator(GDClassifier(), *load_iris(return_X_y=True),
                                                   alphas=[1.0, 0.0], ax=display.ax_)  # fmt: skip
    assert few.ax_ is display.ax_
    assert few.values.shape == (2, 12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [GDSearchCV, GridSearchCV])
def test_scores_are_drawn_with_their_errors_and_marks(kind):
    grid = {"alpha": ALPHAS, "l1_ratio": [0.5, 1.0]}
    search = kind(GDRegressor(penalty="elasticnet"), grid, cv=3).fit(X, Y)
    display = RegularizationPathDisplay.from_search(search)
    results = search.cv_results_
    ratio = search.best_params_["l1_ratio"]
    chosen = [i for i, each in enumerate(results["params"]) if each["l1_ratio"] == ratio]
    assert_allclose(display.values, results["mean_test_score"][chosen])
    splits = np.array([results[f"split{i}_test_score"][chosen] for i in range(3)])
    assert_allclose(display.errors, splits.std(axis=0, ddof=1) / np.sqrt(3))
    simple = results["params"][one_standard_error(results)]["alpha"]
    assert display.marks == {"best": search.best_params_["alpha"], "one standard error": simple}
    assert [line.get_xdata()[0] for line in display.lines_[1:]] == list(display.marks.values())
    assert display.errors_ is not None
