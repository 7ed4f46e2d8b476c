"""Curves of descents."""


import numpy as np
import pytest
from display_cases import CANCER, fitted, labels_of, quietly
from matplotlib.colors import to_hex
from numpy.testing import assert_array_equal
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import DescentDisplay, GDClassifier

WINE = load_wine(return_X_y=True)


@pytest.fixture(scope="module")
def validated():
    return fitted(early_stopping=True)


@pytest.mark.parametrize(
    ("x", "label"),
    [
        ("epoch", "Epoch"), ("passes", "Passes over the data"), ("seconds", "Seconds"),
        ("step", "Update steps"),
    ],
)  # fmt: skip
def test_the_curves_are_the_histories(models, x, label):
    display = DescentDisplay.from_estimators(models, x=x)
    assert len(display.lines_) == len(display.best_) == 3
    for line, best, model in zip(display.lines_, display.best_, models.values(), strict=True):
        history = model.history_
        assert_array_equal(line.get_xdata(), history[x])
        assert_array_equal(line.get_ydata(), history["objective"])
        epoch = history["objective"].argmin()
        assert_array_equal(best.get_xydata(), [[history[x][epoch], history["objective"][epoch]]])
        assert best.get_color() == line.get_color()
    assert labels_of(display) == ["sgd", "adam", "adagrad", "best epoch"]
    assert display.ax_.get_xlabel() == label and display.ax_.get_ylabel() == "Objective"
    assert len({to_hex(line.get_color()) for line in display.lines_}) == 3


def test_a_validated_descent_has_two_curves_and_the_best_validation_loss(validated):
    display = DescentDisplay.from_estimator(validated, name="mine")
    train, validation = display.lines_
    history = validated.history_
    assert_array_equal(train.get_ydata(), history["loss"])
    assert_array_equal(validation.get_ydata(), history["validation_loss"])
    assert train.get_linestyle() == "-" and validation.get_linestyle() == "--"
    epoch = history["validation_loss"].argmin()
    (best,) = display.best_
    assert_array_equal(best.get_xydata(), [[epoch + 1, history["validation_loss"].min()]])
    assert labels_of(display) == ["mine", "mine, validation", "best epoch"]
    assert display.ax_.get_ylabel() == "Loss"


def test_validated_and_other_descents_stand_side_by_side(validated, models):
    display = DescentDisplay.from_estimators([validated, models["sgd"]], names=["a", "b"])
    assert labels_of(display) == ["a", "a, validation", "b", "best epoch"]
    assert len(display.lines_) == 3 and len(display.best_) == 2
    assert_array_equal(display.lines_[2].get_ydata(), models["sgd"].history_["loss"])


def test_a_score_tells_the_best_epoch():
    model = fitted(early_stopping=True, scoring="accuracy")
    display = DescentDisplay.from_estimator(model, y="validation_score")
    epoch = model.history_["validation_score"].argmax()
    assert_array_equal(
        display.best_[0].get_xydata(), [[epoch + 1, model.history_["validation_score"].max()]]
    )
    assert display.ax_.get_ylabel() == "Validation score"


def test_excess_is_what_is_above_the_least_on_a_logarithmic_scale(models):
    display = DescentDisplay.from_estimators(models, excess=True)
    least = min(model.history_["objective"].min() for model in models.values())
    for line, model in zip(display.lines_, models.values(), strict=True):
        values = model.history_["objective"] - least
        assert_array_equal(line.get_ydata(), np.where(values > 0, values, np.nan))
    assert display.ax_.get_yscale() == "log"
    exact = GDClassifier(tol=1e-8).fit(*CANCER).history_["objective"][-1]
    display = DescentDisplay.from_estimators(models, excess=exact)
    for line, model in zip(display.lines_, models.values(), strict=True):
        assert_array_equal(line.get_ydata(), model.history_["objective"] - exact)


def test_pipelines_and_searches_are_looked_into(models):
    search = quietly(
        GridSearchCV(
            make_pipeline(StandardScaler(), GDClassifier(optimizer="sgd", max_iter=5)),
            {"gdclassifier__alpha": [1e-3, 1e-2]}, cv=2,
        ).fit, *CANCER,
    )  # fmt: skip
    display = DescentDisplay.from_estimator(search)
    history = search.best_estimator_[-1].history_
    assert_array_equal(display.lines_[0].get_ydata(), history["objective"])
    assert labels_of(display)[0] == "GDClassifier"


def test_other_keys_of_the_history_and_settings_of_lines(models):
    display = DescentDisplay.from_estimator(
        models["sgd"], y="learning_rate", line_kw={"linewidth": 5, "color": "k"}
    )
    assert_array_equal(display.lines_[0].get_ydata(), models["sgd"].history_["learning_rate"])
    assert display.lines_[0].get_linewidth() == 5 and display.best_[0].get_color() == "k"


def test_a_single_epoch_can_be_seen():
    display = DescentDisplay.from_estimator(fitted(max_iter=1))
    assert display.best_[0].get_marker() == "o"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"x": "time"}, ValueError, "x='time': pass one of 'epoch', 'passes', 'seconds', 'step'"),
        ({"y": "accuracy"}, ValueError, "y='accuracy': pass one of 'objective', 'loss'"),
        ({"y": "validation_loss"}, ValueError, "y='validation_loss': no history has it"),
    ],
)
def test_what_a_history_does_not_have_is_an_error(models, settings, error, message):
    with pytest.raises(error, match=message):
        DescentDisplay.from_estimators(models, **settings)


def test_what_has_no_descent_is_an_error(models):
    with pytest.raises(NotFittedError):
        DescentDisplay.from_estimator(GDClassifier())
    with pytest.raises(TypeError, match="has no history_: pass a fitted GDClassifier"):
        DescentDisplay.from_estimator(GaussianNB().fit(*WINE))
    with pytest.raises(ValueError, match="got 2 of them and 1 names; pass a dict"):
        DescentDisplay.from_estimators([models["sgd"], models["adam"]], names=["sgd"])
    with pytest.raises(ValueError, match="got 0 of them"):
        DescentDisplay.from_estimators([])
    model = fitted(early_stopping=True, scoring="accuracy")
    with pytest.raises(ValueError, match="pass a y that is minimised"):
        DescentDisplay.from_estimator(model, y="validation_score", excess=True)
