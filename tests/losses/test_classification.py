"""Losses of classification: the softmax, the perceptron and focal."""

import numpy as np
import pytest
from loss_cases import PUBLIC, curved_loss, difference, sample
from scipy import optimize, special
from sklearn import linear_model

from skgd import GDClassifier
from skgd.losses import Focal, LogLoss


def one_hot(codes, k):
    return np.where(codes[:, None] == np.arange(k), 1.0, -1.0)


# ---- two classes --------------------------------------------------------------------------------

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


def test_the_best_constants_of_softmax_are_the_centred_logs_of_the_shares():
    codes, weights = np.array([0, 0, 1, 2, 2, 2]), np.array([1.0, 1, 4, 1, 0, 1])
    expected = np.log([2 / 8, 4 / 8, 2 / 8])
    best = LogLoss().best_constant(one_hot(codes, 3), weights)
    np.testing.assert_allclose(best, expected - expected.mean(), rtol=1e-14)


# ---- perceptron and focal -----------------------------------------------------------------------

X = np.random.default_rng(0).normal(3.0, 1.0, (60, 4)) * [1.0, 1e3, 1e-3, 10.0]


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
