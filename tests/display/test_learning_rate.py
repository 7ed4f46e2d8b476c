"""Pictures of range tests and of searches over rates."""


import numpy as np
import pytest
from display_cases import labels_of, quietly
from numpy.testing import assert_array_equal
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, LearningRateDisplay
from skgd.schedules import Cosine

WINE = load_wine(return_X_y=True)


def test_the_picture_of_a_range_test():
    display = LearningRateDisplay.from_estimator(
        GDClassifier(optimizer="sgd"), *WINE, rates=[1e-5, 0.01, 1.0, 1e4]
    )
    curve, suggestion = display.lines_
    assert_array_equal(curve.get_xdata(), [1e-5, 0.01, 1.0, 1e4])
    assert_array_equal(curve.get_ydata(), np.append(display.values[:3], np.nan))
    assert display.suggestion == 1.0
    assert_array_equal(suggestion.get_xydata(), [[1.0, display.values[2]]])
    assert labels_of(display) == ["suggested: 1", "diverged"]
    assert display.ax_.get_xscale() == "log" and display.spread_ is None


def test_losses_far_above_the_rest_leave_the_picture():
    display = LearningRateDisplay(
        rates=[0.01, 0.1, 1, 10], values=[1.0, 0.1, 0.2, 1e6], suggestion=0.1
    ).plot()
    low, high = display.ax_.get_ylim()
    assert low < 0.1 and 1.0 < high < 2


def searched(**settings):
    grid = {"gdclassifier__learning_rate": [0.01, 0.1, 1.0]}
    pipeline = make_pipeline(
        StandardScaler(), GDClassifier(optimizer="sgd", max_iter=5, random_state=0)
    )
    search = GridSearchCV(pipeline, settings.pop("grid", grid), cv=3, **settings)
    return quietly(search.fit, *WINE)


def test_a_search_over_rates_is_drawn_with_its_spread():
    search = searched(scoring="neg_log_loss")
    display = LearningRateDisplay.from_search(search)
    results = search.cv_results_
    assert_array_equal(display.lines_[0].get_xdata(), [0.01, 0.1, 1.0])
    assert_array_equal(display.lines_[0].get_ydata(), results["mean_test_score"])
    assert_array_equal(display.spread, results["std_test_score"])
    assert display.spread_ is not None
    assert display.suggestion == search.best_params_["gdclassifier__learning_rate"]
    assert display.ax_.get_ylabel() == "neg_log_loss"
    assert labels_of(display)[:2] == ["mean over folds", "standard deviation"]


def test_a_search_over_more_than_rates_takes_the_best_of_each_rate():
    search = searched(
        grid={"gdclassifier__learning_rate": [1.0, 0.01], "gdclassifier__alpha": [1e-4, 1.0]}
    )
    display = LearningRateDisplay.from_search(search)
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    assert_array_equal(display.rates, [0.01, 1.0])
    best = {
        rate: max(
            score for score, params in zip(
                scores.ravel(), search.cv_results_["params"], strict=True
            ) if params["gdclassifier__learning_rate"] == rate
        ) for rate in (0.01, 1.0)
    }  # fmt: skip
    assert_array_equal(display.values, [best[0.01], best[1.0]])
    assert display.ax_.get_ylabel() == "score"


def test_a_search_with_several_scores():
    search = searched(scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss")
    display = LearningRateDisplay.from_search(search)
    assert_array_equal(display.values, search.cv_results_["mean_test_neg_log_loss"])
    display = LearningRateDisplay.from_search(search, scoring="accuracy")
    assert_array_equal(display.values, search.cv_results_["mean_test_accuracy"])
    with pytest.raises(ValueError, match="scoring='f1': pass one of 'accuracy', 'neg_log_loss'"):
        LearningRateDisplay.from_search(search, scoring="f1")


def test_a_search_that_is_not_over_rates_is_an_error():
    with pytest.raises(ValueError, match="0 of its parameters are a learning_rate"):
        LearningRateDisplay.from_search(searched(grid={"gdclassifier__alpha": [0.1, 1.0]}))
    schedules = {"gdclassifier__learning_rate": [Cosine(0.1), Cosine(0.2)]}
    with pytest.raises(ValueError, match="was searched over values that are no numbers"):
        LearningRateDisplay.from_search(searched(grid=schedules))
    with pytest.raises(NotFittedError):
        LearningRateDisplay.from_search(GridSearchCV(GDClassifier(), {"learning_rate": [0.1]}))
