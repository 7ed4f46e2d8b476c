"""Losses against finite differences, scipy and scikit-learn; public losses are enumerated."""


import re

import numpy as np
import pytest
from scipy import optimize, special
from sklearn import linear_model, metrics
from sklearn.base import clone

from skgd import GDClassifier, GDRegressor, losses
from skgd.losses import (
    Focal,
    Gamma,
    Hinge,
    Huber,
    LogLoss,
    Loss,
    Poisson,
    Quantile,
    SquaredError,
    Tweedie,
    by_name,
)

CLASSES = [
    found
    for name in losses.__all__
    if isinstance(found := getattr(losses, name), type)
    and issubclass(found, Loss)
    and found.Rule is not None
]
PUBLIC = [found() for found in CLASSES]
SMOOTHED = [loss.smoothed(0.3) for loss in PUBLIC if not loss.smooth]

every_loss = pytest.mark.parametrize("loss", PUBLIC + SMOOTHED, ids=repr)
public_loss = pytest.mark.parametrize("loss", PUBLIC, ids=repr)
rough_loss = pytest.mark.parametrize("loss", [a for a in PUBLIC if not a.smooth], ids=repr)
curved_loss = pytest.mark.parametrize(
    "loss", [a for a in PUBLIC + SMOOTHED if a.has_hessian], ids=repr
)


def sample(loss, shape, seed=0):
    """Targets and margins; random margins do not meet the kinks."""
    return loss.sample_targets(shape, seed), np.random.default_rng(seed + 1).normal(0, 2, shape)


def difference(function, z, width=1e-5):
    return (function(z + width) - function(z - width)) / (2 * width)


def one_hot(codes, k):
    return np.where(codes[:, None] == np.arange(k), 1.0, -1.0)


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


def test_binary_log_loss_is_exact_over_the_whole_range():
    z = np.concatenate([np.linspace(-40, 40, 801), [-1e4, -800, -700, 700, 800, 1e4]])
    y = np.ones(z.shape)
    np.testing.assert_allclose(
        LogLoss().value(y, z), np.logaddexp(0, -z), rtol=1e-14, atol=1e-306
    )
    np.testing.assert_allclose(
        LogLoss().gradient(y, z), -special.expit(-z), rtol=1e-14, atol=1e-306
    )


def test_binary_log_loss_of_huge_margins_does_not_overflow():
    y, z = np.array([1.0, 1.0, -1.0, -1.0]), np.array([1e4, -1e4, 1e4, -1e4])
    np.testing.assert_array_equal(LogLoss().value(y, z), [0, 1e4, 1e4, 0])
    np.testing.assert_array_equal(LogLoss().gradient(y, z), [0, -1, 1, 0])
    np.testing.assert_array_equal(LogLoss().hessian(y, z), [0, 0, 0, 0])


@pytest.mark.parametrize("margin", [np.inf, 1e300])
@pytest.mark.parametrize("loss", [a for a in PUBLIC if a.task == "classification"], ids=repr)
def test_a_margin_beyond_all_bounds_on_the_right_side_costs_nothing(loss, margin):
    y = np.array([1.0, -1.0])
    np.testing.assert_array_equal(loss.value(y, margin * y), [0, 0])
    np.testing.assert_array_equal(loss.gradient(y, margin * y), [0, 0])


# ---- softmax ------------------------------------------------------------------------------------

@pytest.mark.parametrize("k", [2, 3, 7])
def test_softmax_is_log_sum_exp_less_the_margin_of_the_class(k):
    generator = np.random.default_rng(k)
    codes, z = generator.integers(0, k, 50), generator.normal(0, 3, (50, k))
    expected = special.logsumexp(z, axis=1) - z[np.arange(50), codes]
    value = LogLoss().value(one_hot(codes, k), z)
    np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("k", [3, 7])
def test_the_softmax_gradient_is_the_probabilities_less_the_class(k):
    generator = np.random.default_rng(k)
    codes, z = generator.integers(0, k, 50), generator.normal(0, 3, (50, k))
    y, loss = one_hot(codes, k), LogLoss()
    expected = special.softmax(z, axis=1) - (y > 0)
    np.testing.assert_allclose(loss.gradient(y, z), expected, atol=1e-15)
    np.testing.assert_allclose(loss.probabilities(z), special.softmax(z, axis=1), rtol=1e-14)
    np.testing.assert_allclose(loss.probabilities(z).sum(axis=1), 1, rtol=1e-15)


def test_softmax_derivatives_are_the_slopes():
    y, z = one_hot(np.arange(6) % 3, 3), np.random.default_rng(0).normal(size=(6, 3))
    loss, direction = LogLoss(), np.random.default_rng(1).normal(size=(6, 3))
    along = difference(lambda t: loss.value(y, z + t * direction), 0.0)
    np.testing.assert_allclose((loss.gradient(y, z) * direction).sum(axis=1), along, atol=1e-9)
    along = difference(lambda t: loss.gradient(y, z + t * direction), 0.0)
    product = loss.hessian_product(loss.hessian_terms(y, z), direction)
    np.testing.assert_allclose(product, along, atol=1e-9)
    for c in range(3):
        bump = np.eye(3)[c]
        along = difference(lambda t, bump=bump: loss.gradient(y, z + t * bump), 0.0)
        np.testing.assert_allclose(loss.hessian(y, z)[:, c], along[:, c], atol=1e-9)


def test_softmax_of_huge_margins_does_not_overflow():
    y, z = one_hot(np.array([0, 0]), 3), np.array([[1e4, 0, -1e4], [-1e4, 0, 1e4]])
    np.testing.assert_array_equal(LogLoss().value(y, z), [0, 2e4])
    np.testing.assert_array_equal(LogLoss().gradient(y, z), [[0, 0, 0], [-1, 0, 1]])


def test_softmax_does_not_hide_nan():
    y, z = one_hot(np.arange(3), 3), np.diag([np.nan] * 3)
    assert np.all(np.isnan(LogLoss().value(y, z)))
    assert np.all(np.isnan(LogLoss().gradient(y, z)))


def test_the_value_of_a_quadratic_part_is_half_the_direction_times_its_slope():
    terms = special.softmax(np.random.default_rng(0).normal(size=(6, 3)), axis=1)
    direction = np.random.default_rng(1).normal(size=(6, 3))
    for loss, n_outputs in ((LogLoss(), 3), (LogLoss(), 1)):
        b, v = terms[:, :n_outputs], direction[:, :n_outputs]
        value = loss.quadratic(n_outputs).apply("value", b, v).sum(axis=1)
        product = loss.hessian_product(b, v)
        np.testing.assert_allclose(value, 0.5 * (v * product).sum(axis=1), rtol=1e-14)


@curved_loss
def test_the_hessian_product_of_one_output_is_the_hessian_times_the_direction(loss):
    y, z = sample(loss, (20, 1))
    direction = np.random.default_rng(5).normal(size=(20, 1))
    expected = loss.hessian(y, z) * direction
    product = loss.hessian_product(loss.hessian_terms(y, z), direction)
    np.testing.assert_array_equal(product, expected)


@pytest.mark.parametrize(
    "loss", [a for a in PUBLIC if "probabilities" in vars(type(a))], ids=repr
)
@pytest.mark.parametrize("k", [1, 4])
def test_probabilities_are_from_0_to_1_and_sum_to_1(loss, k):
    z = np.vstack([np.random.default_rng(0).normal(0, 2, (30, k)), np.full((1, k), -9.0)])
    p = loss.probabilities(z)
    assert p.shape == (31, max(k, 2)) and p.min() >= 0 and p.max() <= 1
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    if k == 1:
        assert np.all(np.diff(p[np.argsort(z[:, 0]), 1]) >= 0)


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


def test_the_best_constants_of_softmax_are_the_centred_logs_of_the_shares():
    codes, weights = np.array([0, 0, 1, 2, 2, 2]), np.array([1.0, 1, 4, 1, 0, 1])
    expected = np.log([2 / 8, 4 / 8, 2 / 8])
    best = LogLoss().best_constant(one_hot(codes, 3), weights)
    np.testing.assert_allclose(best, expected - expected.mean(), rtol=1e-14)


# ---- a user's own loss --------------------------------------------------------------------------

class Quartic(Loss):
    has_hessian = True

    def value(self, y, z):
        return (z - y) ** 4 / 4

    def gradient(self, y, z):
        return (z - y) ** 3

    def hessian(self, y, z):
        return 3 * (z - y) ** 2


class WithoutHessian(Loss):
    def value(self, y, z):
        return (z - y) ** 4 / 4

    def gradient(self, y, z):
        return (z - y) ** 3


class Doubled(Huber):
    """Overrides with the help of the compiled methods, with a hyperparameter of its own."""

    def __init__(self, delta=1.35, factor=2):
        self.delta = delta
        self.factor = factor

    def value(self, y, z):
        return self.factor * super().value(y, z)

    def gradient(self, y, z):
        return self.factor * super().gradient(y, z)


class OnlyGradient(SquaredError):
    def gradient(self, y, z):
        return 3 * (z - y)


@pytest.mark.parametrize("shape", [(70, 1), (70, 3)])
@pytest.mark.parametrize("what", ["value", "gradient", "hessian"])
def test_a_python_loss_gives_the_same_through_the_rule(shape, what):
    y, z = sample(Quartic(), shape)
    result = Quartic().compiled(shape[1]).apply(what, y, z)
    np.testing.assert_array_equal(result, getattr(Quartic(), what)(y, z))


def test_a_python_loss_has_a_best_constant():
    y = np.array([[0.0], [1.0], [5.0]])
    found = optimize.minimize_scalar(lambda b: ((y - b) ** 4).sum(), bracket=(0, 5), tol=1e-12)
    assert Quartic().best_constant(y, np.ones(3))[0] == pytest.approx(found.x, rel=1e-5)


WRONG_HESSIANS = [
    (lambda y, z: 1.0, ValueError, r"Wrong.hessian returned shape \(\) for margins of shape"),
    (lambda y, z: None, TypeError, "Wrong.hessian returned None: return numbers"),
    (lambda y, z: "one", (TypeError, ValueError), "Wrong.hessian returned 'one': return numbers"),
    (lambda y, z: np.ones(len(z) - 1), ValueError, "return one number per margin"),
    (lambda y, z: np.ones((*z.shape, 1)), ValueError, "return one number per margin"),
    (lambda y, z: np.eye(len(z)), ValueError, "return one number per margin"),
    (lambda y, z: np.full(z.shape, np.nan), ValueError, "NaN or infinite values: return finite"),
    (lambda y, z: np.full(z.shape, np.inf), ValueError, "NaN or infinite values: return finite"),
    (lambda y, z: -np.ones(z.shape), ValueError, "returned -1: .* or set convex = False"),
]


@pytest.mark.parametrize("hessian, error, message", WRONG_HESSIANS)
@pytest.mark.parametrize("settings", [{}, {"penalty": "l1"}, {"positive": True}], ids=str)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_wrong_hessian_is_named_as_a_wrong_value_is(hessian, error, message, settings, n_targets):
    class Wrong(Loss):
        has_hessian = True

        def value(self, y, z):
            return (z - y) ** 2

        def gradient(self, y, z):
            return 2 * (z - y)

    Wrong.hessian = lambda self, y, z: hessian(y, z)
    Wrong.hessian.__qualname__ = "Wrong.hessian"
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    y = X[:, :n_targets] if n_targets > 1 else X[:, 0]
    with pytest.raises(error, match=message):
        GDRegressor(Wrong(), **settings).fit(X, y)


def test_a_python_loss_without_hessian_says_so():
    with pytest.raises(NotImplementedError):
        WithoutHessian().hessian(np.ones(2), np.zeros(2))


def test_a_subclass_may_call_the_compiled_methods_of_its_parent():
    y, z = sample(Huber(), 20)
    loss = Doubled(delta=0.5)
    np.testing.assert_array_equal(loss.value(y, z), 2 * Huber(0.5).value(y, z))
    rule = loss.compiled()
    np.testing.assert_array_equal(
        rule.apply("gradient", y[:, None], z[:, None])[:, 0], 2 * Huber(0.5).gradient(y, z)
    )


def test_a_subclass_that_overrides_the_gradient_alone_keeps_the_value():
    y, z = sample(SquaredError(), (20, 1))
    rule = OnlyGradient().compiled()
    np.testing.assert_array_equal(rule.apply("value", y, z), SquaredError().value(y, z))
    np.testing.assert_array_equal(rule.apply("gradient", y, z), 3 * (z - y))


def test_a_python_loss_of_the_wrong_shape_is_an_error():
    class Summed(Quartic):
        def value(self, y, z):
            return np.sum(z - y)

    with pytest.raises(ValueError, match="shape"):
        Summed().compiled().apply("value", np.ones((4, 1)), np.ones((4, 1)))


def test_the_error_of_a_python_loss_reaches_the_user():
    class Broken(Quartic):
        def gradient(self, y, z):
            raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        Broken().compiled().apply("gradient", np.ones((4, 1)), np.ones((4, 1)))


@pytest.mark.parametrize(
    "defined, missing",
    [
        ((), "value(y, z) and gradient(y, z)"),
        (("value",), "gradient(y, z)"),
        (("gradient",), "value(y, z)"),
        (("value", "gradient", "has_hessian"), "hessian(y, z)"),
    ],
    ids=str,
)
def test_a_loss_that_lacks_a_method_is_an_error_that_names_it(defined, missing):
    part = type("Part", (Loss,), {name: getattr(Quartic, name) for name in defined})
    with pytest.raises(TypeError, match=re.escape(f"Part is not complete: define {missing}.")):
        part().compiled()


# ---- the object ---------------------------------------------------------------------------------

def test_the_repr_shows_what_was_changed():
    assert repr(Huber(delta=2.0)) == "Huber(delta=2.0)"


NUMBERS = [
    (type(loss), name)
    for loss in PUBLIC
    for name, value in loss.get_params().items()
    if isinstance(value, float)
]


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, -np.inf])
def test_bad_hyperparameters_are_errors_when_compiled(kind, name, bad):
    loss = kind(**{name: bad})
    with pytest.raises(ValueError, match=name):
        loss.compiled()


def test_every_public_name_has_a_doc_and_a_task():
    assert Hinge in CLASSES and Huber in CLASSES and len(CLASSES) >= 7
    for loss in PUBLIC:
        assert loss.__doc__ and loss.task in ("regression", "classification")


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


def test_several_quantiles_are_one_fit_for_each():
    rng = np.random.default_rng(0)
    y, quantiles = X[:, 0] + rng.normal(size=len(X)) * X[:, 3] / 20, [0.2, 0.5, 0.9]
    model = GDRegressor(Quantile(quantiles), alpha=1e-3).fit(X, y)
    assert model.coef_.shape == (3, 4) and model.intercept_.shape == (3,)
    assert model.predict(X).shape == (60, 3)
    for q, column in zip(quantiles, model.predict(X).T, strict=True):
        alone = GDRegressor(Quantile(q), alpha=1e-3).fit(X, y)
        assert alone.coef_.shape == (4,)
        loss = metrics.mean_pinball_loss(y, column, alpha=q)
        assert loss == pytest.approx(metrics.mean_pinball_loss(y, alone.predict(X), alpha=q), 1e-3)
        assert np.mean(y <= column) == pytest.approx(q, abs=0.1)
    scores = [
        metrics.d2_pinball_score(y, column, alpha=q)
        for q, column in zip(quantiles, model.predict(X).T, strict=True)
    ]
    assert model.score(X, y) == pytest.approx(np.mean(scores)) and min(scores) > 0


def test_quantiles_take_steps_and_a_list_of_one_has_a_column():
    y = targets_of(Quantile())
    model = GDRegressor(Quantile([0.3, 0.7]), optimizer="adam", random_state=0)
    assert model.partial_fit(X, y).partial_fit(X, y).coef_.shape == (2, 4)
    model = GDRegressor(Quantile([0.3])).fit(X, y)
    assert model.coef_.shape == (1, 4) and model.predict(X).shape == (60, 1)
    assert np.isfinite(model.score(X, y))


@pytest.mark.parametrize("quantile", [0.0, 1.0, [0.5, 1.2], [], "median", None, [[0.5]]])
def test_quantiles_that_are_none_are_errors(quantile):
    with pytest.raises(ValueError, match="quantile=.*between 0 and 1"):
        GDRegressor(Quantile(quantile)).fit(X, targets_of(Quantile()))


def test_several_quantiles_of_several_outputs_are_an_error():
    with pytest.raises(ValueError, match="2 outputs.*one quantile"):
        GDRegressor(Quantile([0.5, 0.6])).fit(X, X[:, :2])
    with pytest.raises(ValueError, match="one for each quantile"):
        Quantile([0.5, 0.6]).value(np.ones((5, 3)), np.ones((5, 3)))


@pytest.mark.parametrize("batches", [1, 4])
def test_the_perceptron_is_scikit_learns(batches):
    y = np.where(X[:, 0] + X[:, 1] / 1e3 + np.sin(np.arange(60)) > 6, "yes", "no")
    oracle = linear_model.Perceptron(shuffle=False, tol=None, max_iter=batches).fit(X, y)
    model = GDClassifier(
        "perceptron", penalty=None, optimizer="sgd", learning_rate=1.0, batch_size=1,
        precondition=None, shuffle=False, tol=None, max_iter=batches,
    ).fit(X, y)  # fmt: skip
    np.testing.assert_allclose(model.coef_, oracle.coef_, rtol=1e-12)
    np.testing.assert_allclose(model.intercept_, oracle.intercept_, rtol=1e-12)
    assert model.stop_reason_ == "max_iter"


@pytest.mark.parametrize("optimizer", ["lbfgs", "gradient_descent", "accelerated_gradient"])
def test_the_perceptrons_trivial_minimum_is_refused(optimizer):
    with pytest.raises(ValueError, match="zero coefficients.*pass a step rule"):
        GDClassifier("perceptron", optimizer=optimizer).fit(X, X[:, 0] > 3)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("truth", [0.02, 0.3, 0.5, 0.9])
def test_focal_probabilities_are_those_for_which_the_margin_is_the_best(gamma, truth):
    loss = Focal(gamma)

    def expected(z):
        z = np.full(2, z)
        return loss.value(np.array([1.0, -1.0]), z) @ [truth, 1 - truth]

    z = optimize.minimize_scalar(expected, bounds=(-30, 30), options={"xatol": 1e-10}).x
    assert loss.probabilities(np.array([[z]]))[0, 1] == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_probabilities_are_those_of_the_paper(gamma):
    z = np.linspace(-8, 8, 33)[:, None]
    v = np.hstack([special.expit(-z), special.expit(z)])
    h = v / ((1 - v) ** gamma - gamma * (1 - v) ** (gamma - 1) * v * np.log(v))
    expected = h / h.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Focal(gamma).probabilities(z), expected, rtol=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_the_curvature_of_focal_is_the_largest_second_derivative(gamma):
    loss = Focal(gamma)

    def hessian(z):
        return loss.hessian(np.ones(1), np.array([z]))[0]

    top = -optimize.minimize_scalar(lambda z: -hessian(z), bounds=(-10, 10)).fun
    assert top <= loss.smoothness <= 1.001 * top


@pytest.mark.parametrize("margin", [-1e4, -800.0, 800.0, 1e4])
def test_focal_probabilities_of_huge_margins_are_0_and_1(margin):
    expected = [[1.0, 0.0]] if margin < 0 else [[0.0, 1.0]]
    np.testing.assert_array_equal(Focal().probabilities(np.array([[margin]])), expected)


def test_a_loss_may_call_its_smoothness_curvature():
    class Constant(Loss):
        curvature = 2.0

    class Computed(Loss):
        def __init__(self, scale=3.0):
            self.scale = scale

        @property
        def curvature(self):
            return 1.0 / self.scale

    class Assigned(Loss):
        def __init__(self):
            self.curvature = 5.0

    assert [each().smoothness for each in (Constant, Computed, Assigned)] == [2.0, 1.0 / 3.0, 5.0]
    assert [each().curvature for each in (Constant, Computed, Assigned)] == [2.0, 1.0 / 3.0, 5.0]
    assert Loss().curvature is None and losses.Huber().curvature == 1.0
