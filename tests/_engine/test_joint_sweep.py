"""Many models in one sweep: a joint sweep gives each model what its own sweep would."""

import numpy as np
import pytest
from scipy import sparse

from skgd._engine import DataTerm, JointSweep, Sweep, joint_losses, rows_of, value_and_gradient
from skgd._objective.metric import diagonal_metric, identity_metric
from skgd._problem import Moments
from skgd._utils.threads import ALONE, Threads
from skgd.losses import Huber, LogLoss, Loss, SquaredError
from skgd.optimizers import SGD, Adam
from skgd.penalties import L1, L2, ElasticNet

N, D = 150, 13


class Absolute(Loss):
    """A loss in Python."""

    def value(self, y, z):
        return np.abs(z - y)

    def gradient(self, y, z):
        return np.sign(z - y)


def make_sweep(rows, X, targets, k, loss, seed, optimizer, penalty, preconditioned, average):
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, size=N).astype(float)
    problem = DataTerm(rows, targets, weights, loss.compiled(k), k)
    metric = identity_metric(D, k, True)
    if preconditioned:
        moments = Moments.of(rows, weights)
        metric = diagonal_metric(
            moments, np.ones(k), np.full((k, D), 0.01), np.ones(k), True, centred=True
        )
    parameters = 0.1 * rng.normal(size=(k, D + 1))
    state = np.zeros((k, optimizer.slots, D + 1))
    mean = parameters.copy() if average else None
    rules = [optimizer.compiled() for _ in range(k)]
    sweep = Sweep(problem, penalty.compiled(), rules, parameters, state, np.full(k, 0.01), metric,
                  N / weights.sum(), mean)  # fmt: skip
    return sweep, parameters, state, mean


def make_models(X, targets, k, losses):
    """Return the sweeps over one Rows object, and all arrays that they change."""
    rows = rows_of(X)
    pieces = [
        (SGD(), L2(), False, False), (SGD(momentum=0.9), L1(), True, False),
        (Adam(), L2(), True, True), (Adam(beta_1=0.5), L1(), False, False),
        (SGD(), L2(), True, False),
    ]  # fmt: skip
    made = [
        make_sweep(rows, X, targets, k, losses[i % len(losses)], i, *piece)
        for i, piece in enumerate(pieces)
    ]
    return [one[0] for one in made], [array for one in made for array in one[1:]]


def layouts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) * np.geomspace(0.01, 100, D)
    thin = sparse.random_array((N, D), density=0.3, rng=rng, format="csr")
    return {
        "C": X, "F": np.asfortranarray(X), "float32": X.astype(np.float32), "CSR": thin,
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
    }  # fmt: skip


PROBLEMS = {
    "one output": (1, [SquaredError(), Huber(delta=0.5), Absolute()]),
    "two outputs": (2, [SquaredError(), Huber(delta=0.5)]),
    "softmax": (3, [LogLoss()]),
}


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_joint_sweep_gives_each_model_what_its_own_sweep_gives(layout, kind):
    X, (k, losses) = layouts()[layout], PROBLEMS[kind]
    rng = np.random.default_rng(2)
    targets = rng.normal(size=(N, k)) if kind != "softmax" else rng.integers(0, k, N).astype(float)
    order, bounds = rng.permutation(N), np.array([0, 1, 30, 100, 149])
    rates = np.outer([1e-4, 0.1, 0.02, 1e-3, 0.05], 1 / (1 + np.arange(4.0)))
    together, expected = make_models(X, targets, k, losses), make_models(X, targets, k, losses)
    averaged = [-1, -1, 0, -1, -1]
    JointSweep(together[0]).run(order, bounds, rates, 3, averaged)
    for sweep, rate, count in zip(expected[0], rates, averaged, strict=True):
        sweep.run(order, bounds, rate, 3, count)
    for got, wanted in zip(together[1], expected[1], strict=True):
        if wanted is not None:
            np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("k", [1, 3])
def test_models_pass_over_the_rows_that_do_not_count_for_them(k, layout):
    rng = np.random.default_rng(0)
    n, folds = 600, np.arange(600) % 4
    X, targets = rng.normal(size=(n, D)), rng.normal(size=(n, k))
    order, bounds = rng.permutation(n), np.array([0, 200, 400, 600])
    # Nobody counts the rows of the last fold.
    # Sparse rows are read once for four outputs that count the same rows.
    masks = [((folds != fold) & (folds != 3)).astype(float) for fold in (0, 1, 2, 0, 0, 0, 0)]

    def models():
        rows, made = rows_of(layout(X)), []
        for i, weights in enumerate(masks):
            parameters = np.zeros((k, D + 1))
            problem = DataTerm(rows, targets, weights, SquaredError().compiled(k), k)
            rules = [Adam().compiled() for _ in range(k)]
            sweep = Sweep(
                problem, L2().compiled(), rules, parameters, np.zeros((k, 2, D + 1)),
                np.full(k, 0.1 * i), identity_metric(D, k, True), n / weights.sum(),
            )  # fmt: skip
            made.append((sweep, parameters))
        return made

    together, expected = models(), models()
    rates = 0.1 / np.arange(1.0, 22.0).reshape(7, 3)
    JointSweep([sweep for sweep, _ in together]).run(order, bounds, rates, 0)
    for (_, got), (sweep, wanted), own in zip(together, expected, rates, strict=True):
        sweep.run(order, bounds, own, 0)
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-13)


WIDE = 1100  # columns: more than two tiles


def wide_models(X, threads):
    """Return the parameters of models after some steps along wide rows."""
    rows, made, rng = rows_of(X), [], np.random.default_rng(1)
    metric = diagonal_metric(
        Moments.of(rows, None), np.ones(2), np.full((2, WIDE), 0.01), np.ones(2), True
    )
    penalties = [L2(), ElasticNet(0.5), ElasticNet(0.5, weights=np.ones(WIDE))]
    targets = rng.normal(size=(N, 2))
    for penalty in penalties:
        parameters = 0.1 * np.random.default_rng(2).normal(size=(2, WIDE + 1))
        sweep = Sweep(
            DataTerm(rows, targets, None, SquaredError().compiled(2), 2), penalty.compiled(),
            [Adam().compiled() for _ in range(2)], parameters, np.zeros((2, 2, WIDE + 1)),
            np.full(2, 0.01), metric, 1.0,
        )  # fmt: skip
        made.append((sweep, parameters))
    rates = np.outer([0.1, 0.02, 0.02], 1 / (1 + np.arange(4.0)))
    JointSweep([sweep for sweep, _ in made], threads).run(
        rng.permutation(N), np.array([0, 1, 30, 100, 149]), rates, 0
    )
    return [parameters for _, parameters in made]


def test_wide_sparse_models_take_the_steps_of_dense_ones():
    X = sparse.random_array((N, WIDE), density=0.1, rng=np.random.default_rng(0), format="csr")
    alone = wide_models(X, ALONE)
    for sparse_model, dense_model in zip(alone, wide_models(X.toarray(), ALONE), strict=True):
        np.testing.assert_allclose(sparse_model, dense_model, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(alone[1], alone[2], rtol=1e-10, atol=1e-13)
    with Threads(2) as threads:
        np.testing.assert_array_equal(alone[:2], wide_models(X, threads)[:2])


def make_problems(X, weighted):
    """Return problems over the same rows, with one output and with three."""
    rng, rows = np.random.default_rng(2), rows_of(X)
    y, codes = rng.normal(size=(N, 1)), rng.integers(0, 3, N).astype(float)
    weights = rng.integers(0, 3, size=N).astype(float) if weighted else None
    pieces = [(y, SquaredError(), 1), (y, Absolute(), 1), (codes, LogLoss(), 3), (y, Huber(), 1)]
    return [DataTerm(rows, targets, weights, loss.compiled(k), k) for targets, loss, k in pieces]


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("weighted", [False, True])
def test_joint_losses_are_those_of_each_model(layout, weighted):
    problems, rng = make_problems(layouts()[layout], weighted), np.random.default_rng(3)
    coef, intercept = rng.normal(size=(6, D)), rng.normal(size=6)
    subset = rng.permutation(N)[:101]
    expected = [
        value_and_gradient(problem, coef[first:last], intercept[first:last], gradient=False,
                           subset=subset)[0]
        for problem, first, last in zip(problems, (0, 1, 2, 5), (1, 2, 5, 6), strict=True)
    ]  # fmt: skip
    losses = joint_losses(problems, coef, intercept, subset)
    np.testing.assert_allclose(losses, np.concatenate(expected), rtol=1e-12)


def test_joint_losses_are_refused_for_models_that_do_not_match():
    X = np.ones((N, D))
    problems, strangers = make_problems(X, True), make_problems(X, True)
    coef, intercept, subset = np.ones((6, D)), np.ones(6), np.arange(N)
    with pytest.raises(ValueError, match="one row for each output"):
        joint_losses(problems[:3], coef, intercept, subset)
    with pytest.raises(ValueError, match="share one Rows object and their weights"):
        joint_losses([*problems[:3], strangers[3]], coef, intercept, subset)
    with pytest.raises(ValueError, match="some row numbers from 0"):
        joint_losses(problems, coef, intercept, subset + 1)
    with pytest.raises(ValueError, match="pass float64 of shape"):
        joint_losses(problems, coef, intercept[:5], subset)


def test_a_joint_sweep_refuses_what_it_cannot_run():
    X, y = np.ones((N, D)), np.ones((N, 1))
    sweeps, _ = make_models(X, y, 1, [SquaredError()])
    strangers, _ = make_models(X, y, 1, [SquaredError()])
    order, bounds = np.arange(N), np.array([0, N])
    with pytest.raises(ValueError, match="at least one Sweep"):
        JointSweep([])
    with pytest.raises(ValueError, match="share one Rows"):
        JointSweep([sweeps[0], strangers[0]])
    joint = JointSweep(sweeps)
    with pytest.raises(ValueError, match="pass float64 of shape"):
        joint.run(order, bounds, np.ones((5, 2)), 0)
    with pytest.raises(ValueError, match="pass row numbers from 0"):
        joint.run(order + 1, bounds, np.ones((5, 1)), 0)
    with pytest.raises(ValueError, match="positions in order that rise"):
        joint.run(order, bounds[::-1].copy(), np.ones((5, 1)), 0)
    with pytest.raises(ValueError, match="pass 5 numbers"):
        joint.run(order, bounds, np.ones((5, 1)), 0, [0])
    with pytest.raises(ValueError, match="no array for the average"):
        joint.run(order, bounds, np.ones((5, 1)), 0, [0] * 5)
