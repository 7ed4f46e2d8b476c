"""The claims of the gallery's story of descent, one test each."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skgd import GDClassifier, GDRegressor, minimize
from skgd.optimizers import SGD
from skgd.schedules import Polynomial


def descend(fun, start, slope, optimizer="sgd", **settings):
    return minimize(fun, start, jac=slope, optimizer=optimizer, tol=None, **settings)


def half_square(x):
    return 0.5 * x @ x


@pytest.mark.parametrize(
    ("rate", "shrinks"), [(0.1, True), (1.0, True), (1.9, True), (2.1, False)], ids=str
)
def test_descent_diverges_above_twice_the_inverse_curvature(rate, shrinks):
    run = descend(half_square, [-3.0], lambda x: x, learning_rate=rate, max_iter=20)
    assert (run.fun < half_square(np.array([3.0]))) == shrinks
    np.testing.assert_allclose(run.path[:, 0], -3.0 * (1 - rate) ** np.arange(21), atol=1e-12)


def test_momentum_is_faster_in_a_ravine():
    curvature = np.array([1.0, 30.0])
    plain, heavy = (
        descend(lambda x: 0.5 * curvature @ x**2, [-8.0, 1.2], lambda x: curvature * x,
                SGD(momentum=momentum), learning_rate=rate, max_iter=50).fun
        for momentum, rate in ((0.0, 0.06), (0.7, 0.04))
    )  # fmt: skip
    assert heavy < 1e-2 * plain


def test_adaptive_rates_learn_rare_features():
    rng = np.random.default_rng(0)
    X = (rng.random((5000, 2)) < [0.5, 0.004]).astype(float)
    y = X.sum(axis=1) + 0.1 * rng.normal(size=len(X))

    def rare(optimizer, rate, precondition=None):
        model = GDRegressor(penalty=None, optimizer=optimizer, learning_rate=rate, batch_size=32,
                            precondition=precondition, max_iter=2, tol=None, random_state=0)
        return model.fit(X, y).coef_[1]

    assert max(rare("sgd", rate) for rate in (0.01, 0.03, 0.1, 0.3)) < 0.6
    assert rare("adagrad", 0.3) > 0.9
    assert rare("sgd", 0.02, precondition="auto") > 0.9


def wells(x):
    return x[0] ** 4 / 4 - x[0] ** 2 / 2 + 0.1 * x[0]


def wells_slope(x):
    return x**3 - x + 0.1


def test_momentum_can_carry_a_descent_out_of_a_shallow_minimum():
    ends = [
        descend(wells, [1.7], wells_slope, SGD(momentum=momentum), learning_rate=0.05,
                max_iter=250).x[0]
        for momentum in (0.0, 0.95)
    ]  # fmt: skip
    assert ends[0] > 0.8 and ends[1] < 0


def test_dividing_by_the_gradient_leaves_a_saddle_sooner():
    def saddle(p):
        return 0.5 * p[0] ** 2 - 0.5 * p[1] ** 2 + 0.05 * p[1] ** 4

    def slope(p):
        return np.array([p[0], -p[1] + 0.2 * p[1] ** 3])

    left = {
        name: np.argmax(descend(saddle, [-2.0, 1e-4], slope, name, learning_rate=rate,
                                max_iter=150).path_fun < -0.5)
        for name, rate in (("sgd", 0.1), ("momentum", 0.1), ("adam", 0.1))
    }  # fmt: skip
    assert 0 < left["adam"] < left["momentum"] < left["sgd"]


def test_noise_helps_to_leave_a_shallow_minimum():
    def leaves(noise):
        rng = np.random.default_rng(0)
        ends = [
            descend(wells, [1.5], lambda x: wells_slope(x) + noise * rng.normal(size=1),
                    learning_rate=Polynomial(0.1), max_iter=120).x[0]
            for _ in range(10)
        ]  # fmt: skip
        return sum(end < 0 for end in ends)

    assert leaves(0.0) == 0
    assert leaves(2.0) >= 2


def test_the_start_decides_which_minimum_is_reached():
    ends = [
        descend(wells, [start], wells_slope, learning_rate=0.1, max_iter=300).x[0]
        for start in (-2.0, -0.1, 0.3, 2.0)
    ]
    assert ends[0] == pytest.approx(ends[1], abs=1e-8) and ends[0] < 0
    assert ends[2] == pytest.approx(ends[3], abs=1e-8) and ends[2] > 0


def test_a_convex_loss_has_one_minimum_for_every_start():
    X, y = load_breast_cancer(return_X_y=True)
    start = np.random.default_rng(0).normal(size=30), np.zeros(1)
    from_zero, from_random = (
        GDClassifier(tol=1e-8, init=init).fit(X, y).coef_ for init in ("zeros", start)
    )
    np.testing.assert_allclose(from_random, from_zero, rtol=1e-6)


def test_validation_loss_rises_while_training_loss_falls():
    X, y = load_breast_cancer(return_X_y=True)
    X, X_val, y, y_val = train_test_split(X, y, train_size=200, random_state=0)
    features = make_pipeline(StandardScaler(), PolynomialFeatures(include_bias=False))
    X, X_val = features.fit_transform(X), features.transform(X_val)
    model = GDClassifier(alpha=0.0, optimizer="adam", learning_rate=0.01, batch_size=32,
                         max_iter=100, early_stopping=True, n_iter_no_change=20, random_state=0)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    history = model.history_
    best = history["validation_loss"].argmin()
    assert model.stop_reason_ == "early_stopping" and model.n_iter_ - 1 - best == 20
    assert history["validation_loss"][-1] > history["validation_loss"][best]
    assert history["loss"][-1] < history["loss"][best]
