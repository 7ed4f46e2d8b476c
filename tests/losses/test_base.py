"""A user's own loss, and the loss as an object."""

import re

import numpy as np
import pytest
from loss_cases import CLASSES, PUBLIC, sample
from scipy import optimize

from skgd import GDRegressor, losses
from skgd.losses import Hinge, Huber, Loss, SquaredError

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


X = np.random.default_rng(0).normal(3.0, 1.0, (60, 4)) * [1.0, 1e3, 1e-3, 10.0]


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
