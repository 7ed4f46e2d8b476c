"""Losses against finite differences, scipy and scikit-learn; public losses are enumerated."""

import numpy as np
import pytest
from loss_cases import PUBLIC, SMOOTHED, curved_loss, difference, sample
from scipy import optimize, special
from sklearn import metrics
from sklearn.base import clone

from skgd import GDClassifier, GDRegressor, losses
from skgd.losses import Huber, LogLoss, Poisson, SquaredError, by_name

every_loss = pytest.mark.parametrize("loss", PUBLIC + SMOOTHED, ids=repr)
public_loss = pytest.mark.parametrize("loss", PUBLIC, ids=repr)
rough_loss = pytest.mark.parametrize("loss", [a for a in PUBLIC if not a.smooth], ids=repr)


@curved_loss
def test_the_hessian_is_the_slope_of_the_gradient(loss):
    y, z = sample(loss, 300)
    slope = difference(lambda z: loss.gradient(y, z), z)
    np.testing.assert_allclose(loss.hessian(y, z), slope, rtol=1e-7, atol=1e-8)


@curved_loss
def test_the_curvature_bounds_the_hessian(loss):
    z = np.linspace(-6, 6, 2001)
    y = np.ones(z.shape)
    bound = np.inf if loss.smoothness is None else loss.smoothness
    assert np.all(loss.hessian(y, z) <= bound * (1 + 1e-15))
    assert np.all(loss.hessian(-y if loss.task == "classification" else y, z) <= bound)


@curved_loss
def test_a_hessian_is_called_constant_only_where_it_is(loss):
    y, z = sample(loss, 100)
    assert loss.constant_hessian == (np.ptp(loss.hessian(y, z)) == 0)


@every_loss
@pytest.mark.parametrize("n_samples", [0, 1, 7])
def test_one_output_gives_arrays_shaped_like_the_margins(loss, n_samples):
    y, z = sample(loss, n_samples)
    assert loss.value(y, z).shape == loss.gradient(y, z).shape == (n_samples,)


@every_loss
def test_several_outputs_give_a_column_each_unless_they_are_coupled(loss):
    y, z = sample(loss, (9, 3))
    assert loss.gradient(y, z).shape == (9, 3)
    if loss.is_multiclass(3):
        assert loss.value(y, z).shape == (9,)
        return
    for c in range(3):
        np.testing.assert_array_equal(loss.value(y, z)[:, c], loss.value(y[:, c], z[:, c]))
        np.testing.assert_array_equal(loss.gradient(y, z)[:, c], loss.gradient(y[:, c], z[:, c]))


@every_loss
def test_fortran_order_and_strides_change_nothing(loss):
    y, z = sample(loss, (9, 3))
    wide = np.repeat(z, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(loss.gradient(np.asfortranarray(y), wide), loss.gradient(y, z))


@every_loss
def test_nan_margins_give_nan_and_leave_the_others_alone(loss):
    y, z = sample(loss, 5)
    z[2] = np.nan
    expected = [False, False, True, False, False]
    np.testing.assert_array_equal(np.isnan(loss.value(y, z)), expected)
    np.testing.assert_array_equal(np.isnan(loss.gradient(y, z)), expected)


@every_loss
@pytest.mark.parametrize("method", ["value", "gradient", "hessian"])
@pytest.mark.parametrize("shapes", [((3,), (4,)), ((3, 1), (3,)), ((2, 2, 2),) * 2, ((), ())])
def test_shapes_that_do_not_fit_are_errors(loss, method, shapes):
    with pytest.raises(ValueError, match="shape"):
        getattr(loss, method)(np.ones(shapes[0]), np.ones(shapes[1]))


@public_loss
def test_the_methods_for_matrices_do_not_take_vectors(loss):
    y, refused = np.ones(3), (ValueError, TypeError, IndexError)
    with pytest.raises(refused):
        loss.hessian_terms(y, y)
    with pytest.raises(refused):
        loss.compiled().apply("value", y, y)
    if "probabilities" in vars(type(loss)):
        with pytest.raises(refused):
            loss.probabilities(y)


@pytest.mark.parametrize("loss", [Huber(), LogLoss()], ids=repr)
def test_the_best_constant_does_not_take_a_vector_of_targets(loss):
    with pytest.raises((ValueError, TypeError, IndexError)):
        loss.best_constant(np.ones(3), np.ones(3))


@pytest.mark.parametrize("loss, link", [(SquaredError(), np.asarray), (Poisson(), np.log)])
def test_the_best_constant_is_the_weighted_mean_of_each_column(loss, link):
    rng = np.random.default_rng(0)
    y, weights = rng.random((9, 2)), rng.random(9)
    expected = link(np.average(y, axis=0, weights=weights))
    np.testing.assert_allclose(loss.best_constant(y, weights), expected, rtol=1e-15)
    np.testing.assert_allclose(loss.best_constant(y[:, 0], weights), expected[0], rtol=1e-15)


# ---- values from elsewhere ----------------------------------------------------------------------

OUTSIDE = {
    "SquaredError": lambda y, z: 0.5 * metrics.mean_squared_error(y, z),
    "AbsoluteError": lambda y, z: metrics.mean_absolute_error(y, z),
    "Quantile": lambda y, z: metrics.mean_pinball_loss(y, z, alpha=0.5),
    "EpsilonInsensitive": lambda y, z: np.clip(np.abs(z - y) - 0.1, 0, None).mean(),
    "SquaredEpsilonInsensitive": lambda y, z: (np.clip(np.abs(z - y) - 0.1, 0, None) ** 2).mean(),
    "LogCosh": lambda y, z: (np.logaddexp(z - y, y - z) - np.log(2)).mean(),
    "Cauchy": lambda y, z: np.log(np.hypot(1, z - y)).mean(),
    "Poisson": lambda y, z: metrics.mean_poisson_deviance(y, np.exp(z)) / 2,
    "Gamma": lambda y, z: metrics.mean_gamma_deviance(y, np.exp(z)) / 2,
    "Tweedie": lambda y, z: metrics.mean_tweedie_deviance(y, np.exp(z), power=1.5) / 2,
    "Perceptron": lambda y, z: np.abs(z)[y * z < 0].sum() / len(y),
    "Focal": lambda y, z: -(special.expit(-y * z) ** 2 * special.log_expit(y * z)).mean(),
    "Huber": lambda y, z: special.huber(1.35, z - y).mean(),
    "Hinge": lambda y, z: metrics.hinge_loss(y, z, labels=[-1, 1]),
    "SquaredHinge": lambda y, z: np.where(y * z < 1, (1 - y * z) ** 2, 0).mean(),
    "ModifiedHuber": lambda y, z: np.where(
        y * z >= -1, np.maximum(0, 1 - y * z) ** 2, -4 * y * z
    ).mean(),
    "LogLoss": lambda y, z: metrics.log_loss(y, special.expit(z), labels=[-1, 1]),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_value_is_that_of_scipy_and_scikit_learn(name):
    loss = getattr(losses, name)()
    y, z = sample(loss, 200)
    assert loss.value(y, z).mean() == pytest.approx(OUTSIDE[name](y, z), rel=1e-13)


# ---- smoothing and constants --------------------------------------------------------------------

@rough_loss
@pytest.mark.parametrize("width", [1.0, 0.1, 1e-3])
def test_the_smoothed_loss_is_within_its_width_and_smooth(loss, width):
    smoothed = loss.smoothed(width)
    y, z = sample(loss, 2000)
    assert np.abs(smoothed.value(y, z) - loss.value(y, z)).max() <= width
    assert smoothed.smooth and smoothed.task == loss.task
    fine = np.linspace(-5, 5, 1_000_001)
    jumps = np.abs(np.diff(smoothed.gradient(np.ones(fine.shape), fine)))
    assert jumps.max() <= 2e-5 / width


@public_loss
@pytest.mark.parametrize("seed", range(3))
def test_the_best_constant_is_where_scipy_finds_the_least_loss(loss, seed):
    y = loss.sample_targets((31, 2), seed)
    weights = np.random.default_rng(seed).integers(0, 4, 31).astype(float)
    if loss.is_multiclass(2):
        y = y[:, :1]
    constants = loss.best_constant(y, weights)
    assert constants.shape == (y.shape[1],)
    for column, constant in zip(y.T, constants, strict=True):

        def total(b, column=column):
            return weights @ loss.value(column, np.full(31, b))

        found = optimize.minimize_scalar(total, bounds=(-8, 8), options={"xatol": 1e-10})
        assert total(constant) <= found.fun + 1e-12 * abs(found.fun)


@pytest.mark.parametrize("loss", [a for a in PUBLIC if a.task == "regression"], ids=repr)
def test_the_best_constant_of_equal_targets_is_the_target_or_as_good(loss):
    y = np.full((5, 1), 2.5)
    best, grid = loss.best_constant(y, np.ones(5)), np.linspace(-6, 6, 1201)
    values = [loss.value(y[:, 0], np.full(5, b)).sum() for b in (best[0], *grid)]
    assert values[0] <= min(values[1:]) + 1e-9


@pytest.mark.parametrize("loss", [a for a in PUBLIC if a.task == "classification"], ids=repr)
@pytest.mark.parametrize("only", [-1.0, 1.0])
def test_the_best_constant_of_a_single_class_is_finite_and_on_its_side(loss, only):
    best = loss.best_constant(np.full((5, 1), only), np.ones(5))
    assert np.isfinite(best[0]) and best[0] * only >= 0


# ---- in the estimators --------------------------------------------------------------------------

X = np.random.default_rng(0).normal(3.0, 1.0, (60, 4)) * [1.0, 1e3, 1e-3, 10.0]
ESTIMATORS = {"regression": GDRegressor, "classification": GDClassifier}


def targets_of(loss):
    return loss.sample_targets(len(X), seed=2)


@public_loss
def test_the_names_and_the_docs_have_every_loss(loss):
    name = next(key for key, kind in by_name(loss.task).items() if kind is type(loss))
    estimator = ESTIMATORS[loss.task]
    assert name.replace("_", "") == type(loss).__name__.lower()
    assert f'- "{name}": {loss.__doc__.splitlines()[0]}' in estimator.__doc__
    y = targets_of(loss)
    by_its_name = estimator(name, random_state=0).fit(X, y)
    np.testing.assert_array_equal(
        by_its_name.coef_, estimator(type(loss)(), random_state=0).fit(X, y).coef_
    )


@pytest.mark.parametrize(
    "loss",
    [loss for loss in PUBLIC if loss.convex and not loss.is_multiclass(3) and not loss.homogeneous],
    ids=repr,
)
def test_each_of_several_outputs_is_as_if_alone(loss):
    if loss.task == "classification":
        codes = np.arange(len(X)) % 3
        columns, y = [codes == c for c in range(3)], codes
    else:
        y = loss.sample_targets((len(X), 3), seed=4)
        columns = y.T
    model = ESTIMATORS[loss.task](loss, alpha=0.1, tol=1e-12, max_iter=5000).fit(X, y)
    coefs = np.vstack([clone(model).fit(X, column).coef_ for column in columns])
    assert model.coef_.shape == (3, 4)
    size = np.abs(coefs).max(axis=0)
    # Smooth losses that stand for rough ones are compared by values, which rounding cuts off.
    precision = 1e-6 if loss.smooth else 1e-3
    np.testing.assert_allclose(model.coef_ / size, coefs / size, atol=precision)


@pytest.mark.parametrize("loss", [a for a in PUBLIC if not a.in_domain(np.array(-1.0))], ids=repr)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_targets_out_of_the_domain_are_errors(loss, method):
    y = targets_of(loss)
    y[7] = -2.5
    model = GDRegressor(loss)
    with pytest.raises(ValueError, match=rf"-2\.5.*{type(loss).__name__}.*y >=? 0.*pass"):
        getattr(model, method)(X, y)
    y[7] = 0.0
    if loss.in_domain(np.array(0.0)):
        getattr(model, method)(X, y)
    else:
        with pytest.raises(ValueError, match="has the value 0"):
            getattr(model, method)(X, y)


def test_a_validation_set_out_of_the_domain_is_an_error():
    y = targets_of(Poisson())
    with pytest.raises(ValueError, match="needs y >= 0"):
        GDRegressor("poisson", early_stopping=True).fit(X, y, X_val=X, y_val=y - 10)
