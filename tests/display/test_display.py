"""The pictures and the search for a learning rate."""

import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import rosen, rosen_der
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import (
    DescentDisplay,
    GDClassifier,
    GDRegressor,
    LearningRateDisplay,
    PathDisplay,
    RateTest,
    find_learning_rate,
    minimize,
)
from skgd.callbacks import Callback
from skgd.schedules import Constant, Cosine, OneCycle, Schedule, Warmup

matplotlib.use("Agg")

CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True, scaled=False)
DIGITS = load_digits(return_X_y=True)
WINE = load_wine(return_X_y=True)


def quietly(function, *args, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args, **settings)


def fitted(optimizer="adam", **settings):
    settings = {"max_iter": 20, "batch_size": 64, "random_state": 0} | settings
    return quietly(GDClassifier(optimizer=optimizer, **settings).fit, *CANCER)


@pytest.fixture(scope="module")
def models():
    return {name: fitted(name) for name in ("sgd", "adam", "adagrad")}


@pytest.fixture(scope="module")
def validated():
    return fitted(early_stopping=True)


@pytest.fixture(scope="module")
def results():
    return {
        name: minimize(
            rosen, [-1.2, 1.0], jac=rosen_der, optimizer=name, learning_rate=1e-3, max_iter=100
        )
        for name in ("sgd", "momentum")
    }


@pytest.fixture(autouse=True)
def no_figures_are_left():
    yield
    plt.close("all")


def labels_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


# ---- every display ------------------------------------------------------------------------------

@pytest.fixture(params=["descent", "rates", "search", "contours", "curve"])
def make(request, models, results):
    """A function of axes that makes a display."""
    double_well = minimize(lambda x: (x[0] ** 2 - 1) ** 2, [2.0], learning_rate=0.1, max_iter=30)
    return {
        "descent": lambda ax: DescentDisplay.from_estimators(models, ax=ax),
        "rates": lambda ax: LearningRateDisplay.from_estimator(
            GDClassifier(optimizer="sgd"), *WINE, rates=[0.01, 1.0, 1e4], ax=ax
        ),
        "search": lambda ax: LearningRateDisplay.from_search(searched(), ax=ax),
        "contours": lambda ax: PathDisplay.from_results(results, rosen, ax=ax),
        "curve": lambda ax: PathDisplay.from_result(
            double_well, lambda x: (x[0] ** 2 - 1) ** 2, ax=ax
        ),
    }[request.param]


def test_a_display_draws_on_the_axes_that_it_is_given(make):
    figure, (_, ax) = plt.subplots(1, 2)
    display = make(ax)
    assert display.ax_ is ax and display.figure_ is figure
    assert len(display.lines_) >= 1 and all(line.axes is ax for line in display.lines_)
    assert ax.get_xlabel() and ax.get_ylabel()


def test_a_legend_of_an_own_figure_stands_beside_the_axes(make):
    display = make(None)
    display.figure_.canvas.draw()
    axes, legend = display.ax_.get_window_extent(), display.ax_.get_legend().get_window_extent()
    assert legend.x0 >= axes.x1
    figure = display.figure_.bbox
    assert legend.x1 <= figure.x1 + 1 and legend.y0 >= 0
    assert axes.width > 0.5 * figure.width


def test_a_display_is_drawn_again_by_plot(make):
    display = make(None)
    lines, figure = display.lines_, display.figure_
    assert display.plot() is display
    assert display.figure_ is not figure
    assert len(display.lines_) == len(lines)
    for line, before in zip(display.lines_, lines, strict=True):
        assert_array_equal(line.get_xydata(), before.get_xydata())


def test_a_display_without_matplotlib_says_what_to_install(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Display needs matplotlib: .* install skgd\[plot\]`"):
        make(None)


def test_the_library_is_imported_without_matplotlib():
    code = "import sys, skgd; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ---- curves -------------------------------------------------------------------------------------

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


# ---- learning rates -----------------------------------------------------------------------------

@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        (GDClassifier(optimizer="adam", batch_size=32), CANCER),
        (GDClassifier(optimizer="momentum", batch_size="full"), CANCER),
        (GDClassifier(optimizer="sgd", batch_size=1), WINE),
        (GDClassifier(optimizer="rmsprop"), DIGITS),
        (GDRegressor(optimizer="sgd", batch_size=16), DIABETES),
        (GDRegressor("huber", optimizer="adagrad", batch_size=64), DIABETES),
    ],
    ids=["adam", "full batch", "single rows", "softmax", "regression", "huber"],
)
def test_the_suggestion_is_near_the_best_rate_of_a_grid(estimator, data):
    suggestion = find_learning_rate(estimator, *data).suggestion

    def final(rate):
        model = clone(estimator).set_params(
            learning_rate=rate, max_iter=40, tol=None, random_state=1
        )
        return quietly(model.fit, *data).history_["objective"][-1]

    finals = [final(rate) for rate in 10.0 ** np.arange(-4, 1.5, 0.5)]
    assert final(suggestion) <= 2 * np.nanmin(finals)


def test_the_losses_are_means_over_short_runs():
    model = GDClassifier(optimizer="sgd", batch_size=64, random_state=3)
    test = find_learning_rate(model, *CANCER, rates=[0.3, 0.01, 1e6], epochs=8)
    assert isinstance(test, RateTest)
    assert_array_equal(test.rates, [0.01, 0.3, 1e6])
    for rate, loss in zip(test.rates[:2], test.losses[:2], strict=True):
        run = clone(model).set_params(learning_rate=rate, max_iter=8, tol=None).fit(*CANCER)
        assert loss == run.history_["objective"][2:].mean()
    assert test.losses[2] == np.inf
    assert test.suggestion == 0.3


@pytest.mark.parametrize(
    ("batch_size", "max_iter", "epochs"), [(32, 1000, 20), ("full", 1000, 100), (32, 7, 7)]
)
def test_a_run_has_twenty_epochs_or_a_hundred_steps(batch_size, max_iter, epochs):
    model = GDClassifier(optimizer="sgd", batch_size=batch_size, max_iter=max_iter, random_state=0)
    automatic = find_learning_rate(model, *CANCER, rates=[0.1, 0.2])
    given = find_learning_rate(model, *CANCER, rates=[0.1, 0.2], epochs=epochs)
    assert_array_equal(automatic.losses, given.losses)


def test_the_estimator_is_left_alone_and_the_test_repeats():
    model = GDClassifier(optimizer="adam", early_stopping=True, on_divergence="raise")
    before = model.get_params()
    first = find_learning_rate(model, *WINE, rates=[0.01, 0.1, 1e3])
    second = find_learning_rate(model, *WINE, rates=[0.01, 0.1, 1e3])
    assert model.get_params() == before and not hasattr(model, "coef_")
    assert_array_equal(first.losses, second.losses)


def test_weights_count_and_sparse_rows_are_read():
    X, y = CANCER
    weights = np.where(y == 1, 1.0, 0.0)
    weights[0] = 1e-3
    model = GDClassifier(optimizer="sgd", batch_size=64)
    heavy = find_learning_rate(model, X, y, weights, rates=[0.1])
    assert heavy.losses[0] < 0.05 < find_learning_rate(model, X, y, rates=[0.1]).losses[0]
    sparse = find_learning_rate(model, csr_matrix(X), y, rates=[0.1])
    dense = find_learning_rate(model, X, y, rates=[0.1])
    assert_allclose(sparse.losses, dense.losses, rtol=1e-9)


def test_a_large_set_is_drawn_from():
    X, y = np.tile(CANCER[0], (3, 1)), np.tile(CANCER[1], 3)
    model = GDClassifier(optimizer="sgd", batch_size=64)
    weights = np.ones(len(y))
    few = find_learning_rate(model, X, y, weights, rates=[0.1], max_samples=100, epochs=5)
    again = find_learning_rate(model, X, y, rates=[0.1], max_samples=100, epochs=5)
    whole = find_learning_rate(model, X, y, rates=[0.1], max_samples=None, epochs=5)
    assert few.losses[0] == again.losses[0] != whole.losses[0]


def test_a_pipeline_is_tested_after_its_transformers():
    model = GDClassifier(optimizer="sgd", batch_size=32, precondition=None, random_state=0)
    X, y = CANCER
    scaled = StandardScaler().fit_transform(X)
    direct = find_learning_rate(model, scaled, y, rates=[0.01, 0.1])
    piped = find_learning_rate(make_pipeline(StandardScaler(), model), X, y, rates=[0.01, 0.1])
    alone = find_learning_rate(make_pipeline(model), scaled, y, rates=[0.01, 0.1])
    assert_array_equal(direct.losses, piped.losses)
    assert_array_equal(direct.losses, alone.losses)


@pytest.mark.parametrize(
    ("schedule", "of_rate"),
    [
        (Cosine(0.5), lambda rate: Cosine(rate)),
        (Warmup(10, then=OneCycle(0.5)), lambda rate: Warmup(10, then=OneCycle(rate))),
        (Warmup(10, then=0.5), lambda rate: Warmup(10, then=rate)),
        (Constant(0.5), lambda rate: rate),
        (lambda t: 0.5, lambda rate: rate),
        (0.5, lambda rate: rate),
    ],
    ids=["cosine", "warm-up", "warm-up to a number", "constant", "function", "number"],
)
def test_the_rate_of_a_schedule_is_looked_for(schedule, of_rate):
    model = GDClassifier(optimizer="sgd", batch_size=32, learning_rate=schedule, random_state=0)
    test = find_learning_rate(model, *WINE, rates=[0.01, 0.1], epochs=8)
    for rate, loss in zip(test.rates, test.losses, strict=True):
        run = clone(model).set_params(learning_rate=of_rate(rate), max_iter=8, tol=None).fit(*WINE)
        assert loss == run.history_["objective"][2:].mean()


class Sawtooth(Schedule):
    def rates(self, t):
        return 0.1 / (1 + t % 10)


@pytest.mark.parametrize(
    ("estimator", "settings", "error", "message"),
    [
        (GaussianNB(), {}, TypeError, "pass a GDClassifier, a GDRegressor, or a Pipeline"),
        (
            GDClassifier(optimizer="lbfgs"), {}, ValueError,
            "^estimator has optimizer='lbfgs', which finds its own .*: pass .* optimizer='adam'",
        ),
        (
            GDClassifier(learning_rate=Sawtooth()), {}, ValueError,
            "has no parameter 'rate' to set: pass an estimator with learning_rate='auto'",
        ),
        (GDClassifier(), {"rates": []}, ValueError, "rates=.*: pass finite numbers above 0"),
        (GDClassifier(), {"rates": [0.1, -1]}, ValueError, "rates=.*: pass finite numbers above 0"),
        (GDClassifier(), {"rates": ["a"]}, TypeError, "rates=.*: pass a list of numbers"),
        (GDClassifier(), {"epochs": 0}, ValueError, "epochs=0: pass an integer >= 1 or 'auto'"),
        (GDClassifier(), {"epochs": 1.5}, TypeError, "epochs=1.5: pass an integer >= 1 or 'auto'"),
        (GDClassifier(), {"max_samples": 0}, ValueError, "max_samples=0: pass an integer >= 1"),
        (
            GDClassifier(optimizer="sgd"), {"rates": [1e4, 1e5]}, ValueError,
            "diverged at all of them, 1e\\+04 to 1e\\+05; pass smaller rates",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_tested_is_an_error(estimator, settings, error, message):
    with pytest.raises(error, match=message):
        find_learning_rate(estimator, *WINE, **settings)


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


# ---- paths --------------------------------------------------------------------------------------

def test_paths_over_contours(results):
    display = PathDisplay.from_results(results, rosen)
    for line, result in zip(display.lines_, results.values(), strict=True):
        assert_array_equal(line.get_xydata(), result.path)
    assert labels_of(display) == ["sgd", "momentum", "start", "end"]
    assert display.contours_ is not None and display.curve_ is None
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x[0]", "x[1]")
    points = np.concatenate([result.path for result in results.values()])
    (left, right), (low, high) = display.ax_.get_xlim(), display.ax_.get_ylim()
    assert left < points[:, 0].min() and points[:, 0].max() < right
    assert low < points[:, 1].min() and points[:, 1].max() < high


def test_the_contours_are_those_of_the_function():
    result = minimize(lambda x: x @ ([1.0, 4.0] * x), [2.0, 1.0], learning_rate=0.1, max_iter=30)
    display = PathDisplay.from_result(result, lambda x: x @ ([1.0, 4.0] * x))
    for level, path in zip(display.contours_.levels, display.contours_.get_paths(), strict=True):
        if len(path.vertices) and level > 0.5:
            values = path.vertices[:, 0] ** 2 + 4 * path.vertices[:, 1] ** 2
            assert_allclose(values, level, rtol=0.02)


def test_a_path_on_a_curve():
    def double_well(x):
        return (x[0] ** 2 - 1) ** 2 + 0.3 * x[0]

    result = minimize(double_well, [2.0], optimizer="momentum", learning_rate=0.02)
    display = PathDisplay.from_result(result, double_well, name="momentum")
    (line,) = display.lines_
    assert_array_equal(line.get_xdata(), result.path[:, 0])
    assert_allclose(line.get_ydata(), result.path_fun, rtol=1e-12)
    assert display.contours_ is None
    x, y = display.curve_.get_data()
    assert_allclose(y, (x**2 - 1) ** 2 + 0.3 * x, rtol=1e-12)
    assert labels_of(display) == ["function", "momentum", "start", "end"]
    assert display.ax_.get_ylim()[1] < 1.3 * result.path_fun.max()


def test_two_parameters_of_many_and_of_any_shape():
    centre = np.arange(6.0).reshape(2, 3)
    calls = []

    def fun(x, scale):
        assert x.shape == (2, 3)
        calls.append(x[0, 0])
        return scale * np.sum((x - centre) ** 2)

    result = minimize(fun, np.zeros((2, 3)), args=(2.0,), learning_rate=0.1, max_iter=20)
    calls.clear()
    display = PathDisplay.from_result(result, fun, args=(2.0,), parameters=(4, -4))
    assert_array_equal(display.lines_[0].get_xydata(), result.path.reshape(-1, 6)[:, [4, 2]])
    assert display.ax_.get_xlabel() == "x[4]" and display.ax_.get_ylabel() == "x[2]"
    assert set(calls) == {result.x[0, 0]}


def test_functions_that_return_their_derivatives_and_that_are_not_finite():
    def fun(x):
        return x.sum() - np.log(x).sum(), 1 - 1 / x

    result = minimize(fun, [3.0, 0.1], jac=True, learning_rate=0.1, max_iter=50)
    display = PathDisplay.from_result(result, fun, limits=[(-1, 4), (-1, 2)])
    assert display.ax_.get_xlim() == (-1, 4) and display.ax_.get_ylim() == (-1, 2)
    assert display.contours_ is not None


def test_a_path_that_does_not_move_and_a_function_that_is_flat():
    result = minimize(lambda x: 1.0, [1.0, 2.0])
    assert PathDisplay.from_result(result, lambda x: 1.0).contours_ is None
    assert PathDisplay.from_result(minimize(lambda x: 1.0, [1.0]), lambda x: 1.0).curve_ is not None


@pytest.mark.parametrize("parameters", [(0, 0), (0, 2), (0,), (-3, 0)])
def test_parameters_that_are_not_there_are_an_error(results, parameters):
    with pytest.raises(ValueError, match="parameters=.*: pass two numbers from 0 to 1"):
        PathDisplay.from_results(results, rosen, parameters=parameters)


def test_a_result_without_a_path_is_an_error():
    result = minimize(rosen, [-1.0, 1.0], max_iter=3, keep_path=False)
    with pytest.raises(ValueError, match="has no path; pass keep_path=True"):
        PathDisplay.from_result(result, rosen)
    with pytest.raises(ValueError, match="results: 3 has no path; pass keep_path=True"):
        PathDisplay.from_result(3, rosen)


# ---- paths of estimators ------------------------------------------------------------------------

def test_the_path_of_two_coefficients_is_that_of_ever_longer_fits():
    model = GDRegressor(optimizer="adam", batch_size=64, learning_rate=0.1, random_state=0)
    model.set_params(max_iter=6, tol=None)
    display = PathDisplay.from_estimator(model, *DIABETES, features=(2, 8))
    expected = [
        clone(model).set_params(max_iter=epochs).fit(*DIABETES).coef_[[2, 8]]
        for epochs in range(1, 7)
    ]
    assert_array_equal(display.paths[0], [[0, 0], *expected])
    assert not hasattr(model, "coef_")
    assert display.labels == ["coefficient of column 2", "coefficient of column 8"]
    assert labels_of(display) == ["GDRegressor", "start", "end"]


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (GDRegressor(), DIABETES),
        (GDRegressor("huber", penalty="l1", alpha=0.1), DIABETES),
        (GDClassifier(class_weight="balanced", tol=1e-8), CANCER),
        (GDClassifier(optimizer="lbfgs", alpha=0.01), WINE),
    ],
    ids=["regression", "l1", "class weights", "softmax"],
)
def test_the_surface_is_the_objective(model, data):
    weights = np.random.default_rng(0).uniform(0.5, 2, len(data[1]))
    display = PathDisplay.from_estimator(model, *data, weights, features=(0, -1))
    reached = clone(model).fit(*data, sample_weight=weights).history_["objective"][-1]
    end = display.paths[0][-1]
    assert_allclose(display.surface(end), reached, rtol=1e-10)
    for move in ([0.1, 0.0], [0.0, 0.1], [-0.1, 0.1]):
        assert display.surface(end * (1 + np.array(move)) + np.array(move)) > reached


def test_columns_are_chosen_by_name_and_outputs_by_number():
    frame, y = load_wine(return_X_y=True, as_frame=True)
    model = GDClassifier(optimizer="adam", max_iter=3, tol=None, random_state=0)
    display = PathDisplay.from_estimator(
        model, frame, y, features=("hue", "ash"), output=2, name="mine"
    )
    assert display.labels == ["coefficient of hue", "coefficient of ash"]
    fit = clone(model).fit(frame, y)
    columns = [list(frame.columns).index(name) for name in ("hue", "ash")]
    assert_array_equal(display.paths[0][-1], fit.coef_[2, columns])
    assert labels_of(display)[0] == "mine"


def test_the_contours_of_many_rows_are_those_of_a_sample():
    X, y = np.tile(CANCER[0], (3, 1)), np.tile(CANCER[1], 3)
    display = PathDisplay.from_estimator(GDClassifier(), X, y, np.ones(len(y)))
    reached = GDClassifier().fit(X, y).history_["objective"][-1]
    assert_allclose(display.surface(display.paths[0][-1]), reached, rtol=0.2)


def test_a_start_that_is_given_is_not_taken_for_zeros():
    model = GDRegressor(init=(np.ones(10), 0.0), optimizer="sgd", max_iter=2, tol=None)
    display = PathDisplay.from_estimator(model, *DIABETES)
    assert len(display.paths[0]) == 3
    assert_array_equal(display.paths[0][0], [1, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": (0, 10)}, "features=.*: pass two numbers from 0 to 9, or two names"),
        ({"features": ("a", "b")}, "features=.*: pass two numbers from 0 to 9, or two names"),
        ({"features": (0, 0)}, "features=.*: pass two different columns"),
        ({"features": (0, 1, 2)}, "features=.*: pass two different columns"),
        ({"output": 1}, "output=1: pass a number from 0 to 0"),
    ],
)
def test_columns_that_are_not_there_are_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        PathDisplay.from_estimator(GDRegressor(), *DIABETES, **settings)


def test_callbacks_of_the_estimator_hear_nothing():
    class Listener(Callback):
        def on_fit_task_end(self, estimator, context):
            raise AssertionError("called")

    model = GDRegressor(optimizer="sgd", max_iter=2).set_callbacks(Listener())
    find_learning_rate(model, *DIABETES, rates=[0.1])
    PathDisplay.from_estimator(model, *DIABETES)
