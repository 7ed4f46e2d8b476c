"""Losses against finite differences, scipy and scikit-learn; public losses are enumerated."""

import pickle

import numpy as np
import pytest
from scipy import optimize, special
from sklearn import metrics
from sklearn.base import clone

from skgd import losses
from skgd.losses import Hinge, Huber, LogLoss, Loss, SquaredError

CLASSES = [
    found
    for name in losses.__all__
    if isinstance(found := getattr(losses, name), type)
    and issubclass(found, Loss)
    and found.Rule is not None
]
PUBLIC = [found() for found in CLASSES]
SMOOTHED = [loss.smoothed(0.3) for loss in PUBLIC if not loss.smooth]
NOT_CONVEX = {"Cauchy", "Focal"}

every_loss = pytest.mark.parametrize("loss", PUBLIC + SMOOTHED, ids=repr)
public_loss = pytest.mark.parametrize("loss", PUBLIC, ids=repr)
rough_loss = pytest.mark.parametrize("loss", [a for a in PUBLIC if not a.smooth], ids=repr)
curved_loss = pytest.mark.parametrize(
    "loss", [a for a in PUBLIC + SMOOTHED if a.has_hessian], ids=repr
)


def sample_targets(loss, shape, seed=0):
    """Targets that every loss of the task allows: -1 and +1, or positive numbers."""
    generator = np.random.default_rng(seed)
    if loss.task == "classification":
        return generator.choice([-1.0, 1.0], shape)
    return generator.uniform(0.1, 4.0, shape)


def sample(loss, shape, seed=0):
    """Targets and margins; random margins do not meet the kinks."""
    return sample_targets(loss, shape, seed), np.random.default_rng(seed + 1).normal(0, 2, shape)


def difference(function, z, width=1e-5):
    return (function(z + width) - function(z - width)) / (2 * width)


def one_hot(codes, k):
    return np.where(codes[:, None] == np.arange(k), 1.0, -1.0)


@every_loss
def test_the_gradient_is_the_slope_of_the_value(loss):
    y, z = sample(loss, 300)
    slope = difference(lambda z: loss.value(y, z), z)
    np.testing.assert_allclose(loss.gradient(y, z), slope, rtol=1e-7, atol=1e-8)


@curved_loss
def test_the_hessian_is_the_slope_of_the_gradient(loss):
    y, z = sample(loss, 300)
    slope = difference(lambda z: loss.gradient(y, z), z)
    np.testing.assert_allclose(loss.hessian(y, z), slope, rtol=1e-7, atol=1e-8)


@curved_loss
def test_the_curvature_bounds_the_hessian(loss):
    z = np.linspace(-6, 6, 2001)
    y = np.ones(z.shape)
    bound = np.inf if loss.curvature is None else loss.curvature
    assert np.all(loss.hessian(y, z) <= bound * (1 + 1e-15))
    assert np.all(loss.hessian(-y if loss.task == "classification" else y, z) <= bound)


@every_loss
def test_the_curvature_bounds_the_slopes_of_the_gradient(loss):
    z = np.linspace(-6, 6, 2001)
    slopes = np.diff(loss.gradient(np.ones(z.shape), z)) / np.diff(z)
    bound = np.inf if loss.curvature is None else loss.curvature
    assert slopes.max() <= bound * (1 + 1e-9)


@curved_loss
def test_a_hessian_is_called_constant_only_where_it_is(loss):
    y, z = sample(loss, 100)
    assert loss.constant_hessian == (np.ptp(loss.hessian(y, z)) == 0)


@every_loss
def test_the_loss_is_smooth_where_it_says_so(loss):
    z = np.linspace(-5, 5, 100_001)
    jumps = np.abs(np.diff(loss.gradient(np.ones(z.shape), z)))
    assert loss.smooth == bool(jumps.max() < 0.05)


@pytest.mark.parametrize(
    "loss", [a for a in PUBLIC + SMOOTHED if type(a).__name__ not in NOT_CONVEX], ids=repr
)
def test_the_loss_is_convex(loss):
    y, a = sample(loss, 500)
    _, b = sample(loss, 500, seed=3)
    middle = loss.value(y, 0.3 * a + 0.7 * b)
    chord = 0.3 * loss.value(y, a) + 0.7 * loss.value(y, b)
    assert np.all(middle <= chord + 1e-12 * (1 + np.abs(chord)))


@every_loss
@pytest.mark.parametrize("n_samples", [0, 1, 7])
def test_one_output_gives_arrays_shaped_like_the_margins(loss, n_samples):
    y, z = sample(loss, n_samples)
    assert loss.value(y, z).shape == loss.gradient(y, z).shape == (n_samples,)


@every_loss
def test_several_outputs_give_a_column_each_unless_they_are_coupled(loss):
    y, z = sample(loss, (9, 3))
    assert loss.gradient(y, z).shape == (9, 3)
    if loss.couples(3):
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
        loss.bends(y, y)
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
    np.testing.assert_allclose(loss.bend(loss.bends(y, z), direction), along, atol=1e-9)
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


@curved_loss
def test_the_hessian_product_of_one_output_is_the_hessian_times_the_direction(loss):
    y, z = sample(loss, (20, 1))
    direction = np.random.default_rng(5).normal(size=(20, 1))
    expected = loss.hessian(y, z) * direction
    np.testing.assert_array_equal(loss.bend(loss.bends(y, z), direction), expected)


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
    y = sample_targets(loss, (31, 2), seed)
    weights = np.random.default_rng(seed).integers(0, 4, 31).astype(float)
    if loss.couples(2):
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


def test_a_loss_without_any_method_is_an_error():
    class Empty(Loss):
        pass

    with pytest.raises(TypeError, match="value"):
        Empty().compiled()


# ---- the object ---------------------------------------------------------------------------------

@every_loss
def test_clone_pickle_and_parameters_go_round(loss):
    y, z = sample(loss, 30)
    for copy in (clone(loss), pickle.loads(pickle.dumps(loss)), type(loss)(**loss.get_params())):
        assert type(copy) is type(loss) and copy.get_params() == loss.get_params()
        np.testing.assert_array_equal(copy.value(y, z), loss.value(y, z))


@public_loss
def test_set_params_takes_what_get_params_gives(loss):
    copy = type(loss)()
    assert copy.set_params(**loss.get_params()) is copy
    assert repr(copy) == repr(loss) == f"{type(loss).__name__}()"


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
