"""Poisson, gamma and Tweedie losses: half the deviance with a log link."""

import numpy as np
import pytest
from loss_cases import difference, sample
from sklearn import metrics

from skgd import GDRegressor
from skgd.losses import Gamma, Poisson, Tweedie

X = np.random.default_rng(0).normal(3.0, 1.0, (60, 4)) * [1.0, 1e3, 1e-3, 10.0]


def targets_of(loss):
    return loss.sample_targets(len(X), seed=2)


@pytest.mark.parametrize("power", [0, 0.5, -1.0])
def test_powers_below_1_are_errors(power):
    remedy = r"SquaredError\(\)" if power == 0 else "pass a number >= 1"
    with pytest.raises(ValueError, match=f"power={float(power)}.*{remedy}"):
        GDRegressor(Tweedie(power)).fit(X, targets_of(Tweedie()))
    with pytest.raises(TypeError, match="Tweedie: power='1.5' is not a number: pass numbers"):
        GDRegressor(Tweedie("1.5")).fit(X, targets_of(Tweedie()))


@pytest.mark.parametrize(("power", "same"), [(1.0, Poisson()), (2.0, Gamma())])
def test_tweedie_has_poisson_and_gamma_as_special_cases(power, same):
    y, z = sample(same, 50)
    for what in ("value", "gradient", "hessian"):
        np.testing.assert_array_equal(
            getattr(Tweedie(power), what)(y, z), getattr(same, what)(y, z)
        )


@pytest.mark.parametrize("power", [1.0, 1.2, 1.9, 2.0, 3.0])
def test_half_the_deviance_is_scikit_learns_whatever_the_power(power):
    loss = Tweedie(power)
    y, z = sample(loss, 200)
    expected = metrics.mean_tweedie_deviance(y, np.exp(z), power=power) / 2
    assert loss.value(y, z).mean() == pytest.approx(expected, rel=1e-12)
    assert loss.convex == (power <= 2)
    slope = difference(lambda z: loss.value(y, z), z)
    np.testing.assert_allclose(loss.gradient(y, z), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("loss", [Poisson(), Gamma(), Tweedie(1.5)], ids=repr)
@pytest.mark.parametrize("gap", [1e-3, 1e-6])
def test_a_deviance_close_to_zero_keeps_its_digits(loss, gap):
    y = np.array([0.1, 1.0, 7.0, 1e6])
    expected = y ** (2 - loss.power) * gap**2 / 2
    value = loss.value(y, np.log(y) + gap)
    np.testing.assert_allclose(value, expected, rtol=gap)


def test_all_targets_zero_predict_nothing():
    model = GDRegressor("poisson").fit(X, np.zeros(len(X)))
    assert np.all(model.predict(X) < 1e-100)


def test_the_unit_of_the_targets_of_a_log_link_moves_the_intercept_alone():
    y = targets_of(Gamma())
    expected = GDRegressor("gamma", alpha=0.1, tol=1e-12).fit(X, y)
    for unit in (1e-9, 1e9):
        model = GDRegressor("gamma", alpha=0.1, tol=1e-12).fit(X, y * unit)
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9)
        np.testing.assert_allclose(model.predict(X), unit * expected.predict(X), rtol=1e-9)
        assert model.n_iter_ == expected.n_iter_


@pytest.mark.parametrize("batch_size", [1, 16])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_steps_fit_a_log_link_whatever_the_unit(optimizer, batch_size, unit):
    rng = np.random.default_rng(0)
    y = unit * rng.gamma(5.0, np.exp(X[:, 0] - 3) / 5)
    model = GDRegressor(
        "gamma", optimizer=optimizer, batch_size=batch_size, random_state=0
    ).fit(X, y)
    best = GDRegressor("gamma").fit(X, y)
    losses = [m.history_["objective"][-1] for m in (model, best)]
    constant = Gamma().value(y, np.full(len(y), np.log(y.mean()))).mean()
    assert losses[0] - losses[1] < 0.2 * (constant - losses[1])
