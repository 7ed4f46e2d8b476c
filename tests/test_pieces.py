"""What every public loss, penalty, optimizer and schedule does, found by enumeration.

A new piece needs no new line here. The pieces `Mine...` at the top are written as a user would and
go through the same checks, which shows that the base classes are all that the checks rely on.
"""

import inspect
import pickle
from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from skgd import GDClassifier, GDRegressor, losses, optimizers, penalties, schedules
from skgd.losses import Loss
from skgd.optimizers import FullBatchOptimizer, Optimizer
from skgd.penalties import L1, L2, Box, BoxRule, ElasticNet, GroupLasso, Penalty
from skgd.schedules import Schedule


class MineQuartic(Loss):
    """``(y - z)^4 / 4``"""

    def value(self, y, z):
        return (y - z) ** 4 / 4

    def gradient(self, y, z):
        return (z - y) ** 3


class MineCap(Penalty):
    """No coefficient beyond a limit, and a little l2.

    Parameters
    ----------
    limit : float, default=0.4
        The largest absolute coefficient.
    """

    def __init__(self, limit=0.4):
        self.limit = limit

    def value(self, coef):
        return np.inf if np.abs(coef).max() > self.limit * (1 + 1e-12) else 0.5 * coef @ coef

    def smooth_value(self, coef):
        return 0.5 * coef @ coef

    def gradient(self, coef):
        return coef

    def prox(self, coef, step):
        return np.clip(coef, -self.limit, self.limit)


class MineMomentum(Optimizer):
    """Heavy ball.

    Parameters
    ----------
    momentum : float, default=0.5
        The share of the last step that is kept.
    """

    slots = 1

    def __init__(self, momentum=0.5):
        self.momentum = momentum

    def update(self, w, g, state, rate, t):
        state[0] = self.momentum * state[0] + g
        w -= rate * state[0]
        return rate / (1 - self.momentum)


class MineSaw(Schedule):
    """Falls and starts anew.

    Parameters
    ----------
    rate : float, default=0.05
        The first rate.
    """

    def __init__(self, rate=0.05):
        self.rate = rate

    def rates(self, t):
        return self.rate / (1 + np.asarray(t) % 10)


def public(module, base):
    """Return the public classes of a kind, without the bases of them all."""
    found = [getattr(module, name) for name in module.__all__]
    return [
        kind for kind in found
        if inspect.isclass(kind) and issubclass(kind, base)
        and kind not in (base, Optimizer, FullBatchOptimizer)
    ]  # fmt: skip


LOSSES = [kind() for kind in [*public(losses, Loss), MineQuartic]]
PENALTIES = [kind() for kind in [*public(penalties, Penalty), MineCap]]
RULES = [kind() for kind in [*public(optimizers, Optimizer), MineMomentum]]
SOLVERS = [kind() for kind in public(optimizers, FullBatchOptimizer)]
SCHEDULES = [kind() for kind in [*public(schedules, Schedule), MineSaw]]
PIECES = LOSSES + PENALTIES + RULES + SOLVERS + SCHEDULES
# Penalties that do more than those without arguments.
COMBINED = [
    *PENALTIES,
    ElasticNet(0.5, weights=[0.0, 1, 2, 1]),
    GroupLasso([[0, 2], [1, 3]]),
    Box(-0.2, [0.1, 0.3, np.inf, 0.5]),
    Box(-0.2, 0.3, L1()),
    Box(0.1, None, L2()),
    Box(-0.2, 0.3, GroupLasso([[0, 1, 3]])),
]

every_piece = pytest.mark.parametrize("piece", PIECES, ids=repr)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)
every_penalty = pytest.mark.parametrize("penalty", COMBINED, ids=repr)
every_rule = pytest.mark.parametrize("rule", RULES, ids=repr)
every_optimizer = pytest.mark.parametrize("optimizer", RULES + SOLVERS, ids=repr)
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)


def data():
    """Return four columns of different scales and a target that follows from three of them."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 4)) * [1, 10, 0.1, 1] + [0, 5, 1, 0]
    return X, X @ [0.5, -0.02, 3.0, 0.0] + 0.3 * generator.normal(size=60)


def estimator_with(piece, **settings):
    """Return an estimator, unfitted, whose only unusual part is the piece."""
    settings = {"random_state": 0, "max_iter": 20} | settings
    if isinstance(piece, Schedule) or getattr(piece, "takes_batches", False):
        settings["batch_size"] = 4
    if isinstance(piece, Loss):
        kind = GDClassifier if piece.task == "classification" else GDRegressor
        return kind(loss=piece, **settings)
    if isinstance(piece, Penalty):
        return GDRegressor(penalty=piece, alpha=0.05, **settings)
    if isinstance(piece, Schedule):
        return GDRegressor(learning_rate=piece, optimizer="sgd", **settings)
    return GDRegressor(optimizer=piece, **settings)


def targets_for(estimator):
    """Return targets that the estimator's loss takes, which follow from the columns."""
    X, y = data()
    loss = estimator.loss
    if isinstance(estimator, GDClassifier):
        return y > np.median(y)
    if isinstance(loss, Loss) and not np.all(loss.in_domain(np.array([-1.0]))):
        return np.exp(y / 4)
    return y


# ---- the object ---------------------------------------------------------------------------------

def test_the_enumeration_finds_what_is_public():
    counts = {kind: len(found) for kind, found in
              {"losses": LOSSES, "penalties": PENALTIES, "rules": RULES, "solvers": SOLVERS,
               "schedules": SCHEDULES}.items()}  # fmt: skip
    assert counts["losses"] >= 17 and counts["penalties"] >= 5
    assert counts["rules"] >= 15 and counts["solvers"] >= 4 and counts["schedules"] >= 9


@every_piece
def test_clone_pickle_and_parameters_go_round(piece):
    for copy in (clone(piece), pickle.loads(pickle.dumps(piece))):
        assert type(copy) is type(piece) and copy is not piece
        assert repr(copy) == repr(piece) and copy.get_params() == piece.get_params()
    again = type(piece)().set_params(**piece.get_params())
    assert again.get_params() == piece.get_params()
    names = vars(optimizers) | vars(losses) | vars(penalties) | vars(schedules) | globals()
    assert repr(eval(repr(piece), names)) == repr(piece)
    with pytest.raises(ValueError, match="Invalid parameter"):
        piece.set_params(no_such_parameter=1)


@every_piece
def test_each_parameter_is_kept_as_it_was_passed_and_documented(piece):
    signature = inspect.signature(type(piece))
    for name, parameter in signature.parameters.items():
        value = object()
        assert getattr(type(piece)(**{name: value}), name) is value
        assert getattr(piece, name) is parameter.default
        documented = type(piece).__doc__
        assert f"\n    {name} : " in documented or f"{name}, " in documented or (
            f", {name} : " in documented
        )
    if not type(piece).__name__.startswith("Mine"):
        assert "Examples\n" in type(piece).__doc__


# ---- in an estimator ----------------------------------------------------------------------------

@every_piece
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_learns_and_changes_nothing_of_the_piece(piece):
    before = repr(sorted(vars(piece).items()))
    estimator = estimator_with(piece, tol=None)
    X, y = data()[0], targets_for(estimator)
    model = estimator.fit(X, y)
    assert repr(sorted(vars(piece).items())) == before
    assert np.isfinite(model.history_["objective"]).all()
    assert model.score(X, y) > 0.2
    again = clone(estimator).fit(X, y)
    np.testing.assert_array_equal(again.coef_, model.coef_)


@every_piece
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_learns_where_the_piece_takes_streams(piece):
    estimator = estimator_with(piece)
    takes_streams = getattr(piece, "takes_streams", True)
    assert hasattr(estimator, "partial_fit") == takes_streams
    if not takes_streams:
        with pytest.raises(AttributeError):
            estimator.partial_fit(*data())
        return
    X, y = data()[0], targets_for(estimator)
    classes = {"classes": [False, True]} if isinstance(estimator, GDClassifier) else {}
    for _ in range(30):
        estimator.partial_fit(X, y, **classes)
    assert estimator.t_ == 30 * np.ceil(60 / (4 if estimator.batch_size == 4 else 256))
    assert estimator.score(X, y) > 0.2


FAST = {
    "check_dict_unchanged", "check_estimators_unfitted", "check_estimators_overwrite_params",
    "check_fit2d_1feature", "check_n_features_in", "check_set_params",
}  # fmt: skip


@every_piece
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learns_fast_checks_find_nothing(piece):
    estimator, done = estimator_with(piece, max_iter=5), set()
    for checked, check in estimator_checks_generator(estimator):
        name = getattr(check, "func", check).__name__
        if name in FAST:
            check(checked)
            done.add(name)
    assert done == FAST


# ---- losses -------------------------------------------------------------------------------------

@every_loss
def test_a_loss_has_the_slope_and_the_bend_that_it_says(loss):
    y, z = loss.sample_targets(200), np.random.default_rng(1).normal(0, 2, 200)
    slope = (loss.value(y, z + 1e-5) - loss.value(y, z - 1e-5)) / 2e-5
    np.testing.assert_allclose(loss.gradient(y, z), slope, rtol=1e-6, atol=1e-7)
    if loss.curvature is not None:
        bend = (loss.gradient(y, z + 1e-3) - loss.gradient(y, z - 1e-3)) / 2e-3
        assert bend.max() <= loss.curvature * (1 + 1e-6)
    if loss.convex:
        other = np.random.default_rng(2).normal(0, 2, 200)
        middle = loss.value(y, (z + other) / 2)
        assert np.all(middle <= (loss.value(y, z) + loss.value(y, other)) / 2 + 1e-12)
    assert np.all(loss.in_domain(y))


# ---- penalties ----------------------------------------------------------------------------------

def rest(penalty, w):
    return penalty.value(w) - penalty.smooth_value(w)


@every_penalty
def test_a_penalty_has_the_slope_and_the_proximal_point_that_it_says(penalty):
    generator = np.random.default_rng(0)
    w, steps = generator.normal(size=4), np.array([0.05, 0.2, 1.0, 0.3])
    for j, e in enumerate(np.eye(4) * 1e-5):
        slope = (penalty.smooth_value(w + e) - penalty.smooth_value(w - e)) / 2e-5
        assert penalty.gradient(w)[j] == pytest.approx(slope, rel=1e-7, abs=1e-8)
    point = penalty.prox(w, steps)

    def total(v):
        return ((v - w) ** 2 / (2 * steps)).sum() + rest(penalty, v)

    for size in (1.0, 1e-2, 1e-4):
        trials = point + size * generator.normal(size=(200, 4)) * (generator.random((200, 4)) < 0.5)
        assert total(point) <= min(map(total, trials)) + 1e-13
    assert np.isfinite(penalty.value(point))
    np.testing.assert_array_equal(
        penalty.prox(point, 0.0), point, err_msg="a prox of step zero moves nothing"
    )


QUADRATIC = np.random.default_rng(3).normal(size=(20, 4))
HESSIAN = QUADRATIC.T @ QUADRATIC / 20
TARGET = np.array([1.0, -0.05, 0.4, -0.8])
ALPHA = 0.2


def slope_at(penalty, w):
    """Return the gradient of the smooth part; as in a fit, one that is rounding is zero."""
    g = HESSIAN @ (w - TARGET) + ALPHA * penalty.gradient(w)
    return np.where(np.abs(g) < 1e-13, 0.0, g)


def value_at(penalty, w):
    return 0.5 * (w - TARGET) @ HESSIAN @ (w - TARGET) + ALPHA * penalty.value(w)


def minimiser(penalty):
    """Return where a quadratic and the penalty are least, by plain proximal descent."""
    w, step = np.zeros(4), 1.0 / (np.linalg.norm(HESSIAN, 2) + 2 * ALPHA)
    for _ in range(3000):
        w = penalty.prox(w - step * slope_at(penalty, w), step * ALPHA)
    return w


MINIMISERS = {repr(penalty): minimiser(penalty) for penalty in COMBINED}


def refused(optimizer, penalty, positive=False):
    """Tell whether an optimizer says itself that it does not go with a penalty."""
    model = GDRegressor(optimizer=optimizer, penalty=penalty, positive=positive, max_iter=1)
    try:
        model.set_params(tol=None).fit(*data())
    except ValueError as error:
        proximal = positive or penalty.compiled().is_proximal
        assert proximal and "needs a smooth penalty" in str(error)
        return True
    return False


@cache
def exact_objective(penalty, positive):
    """Return the least objective on standardised data, and where it is, for a penalty's number."""
    model = GDRegressor(penalty=COMBINED[penalty], alpha=ALPHA, positive=positive, tol=1e-12)
    model.fit(StandardScaler().fit_transform(data()[0]), data()[1])
    return model.history_["objective"][-1], model.coef_


@every_penalty
def test_the_minimiser_that_the_next_test_relies_on_is_one(penalty):
    generator, w = np.random.default_rng(0), MINIMISERS[repr(penalty)]
    best = value_at(penalty, w)
    for size in (1.0, 1e-2, 1e-4, 1e-6):
        trials = w + size * generator.normal(size=(200, 4)) * (generator.random((200, 4)) < 0.5)
        assert best <= min(value_at(penalty, trial) for trial in trials) + 1e-13


@every_rule
def test_the_minimiser_is_the_fixed_point_of_every_rule_with_every_penalty(rule):
    """In the steady state: the rule's memory is that of many gradients at the minimiser."""
    if hasattr(rule, "weight_decay"):
        rule = clone(rule).set_params(weight_decay=0.0)  # what it decays is not of the objective
    taken = [penalty for penalty in COMBINED if not refused(rule, penalty)]
    parts = [slice(4 * i, 4 * i + 4) for i in range(len(taken))]
    best = np.concatenate([MINIMISERS[repr(penalty)] for penalty in taken])
    compiled, proxes = rule.compiled(), [penalty.compiled() for penalty in taken]
    w, g, state = best.copy(), np.empty(best.size), np.zeros((rule.slots, best.size))
    compiled.bind(w, g, state)

    def fill_gradient():
        for penalty, part in zip(taken, parts, strict=True):
            g[part] = slope_at(penalty, w[part])

    fill_gradient()
    for t in range(2500):
        compiled.apply(w, g, state, 1e-3, t)
        w[:] = best
    for t in range(2500, 2520):
        fill_gradient()
        step = compiled.apply(w, g, state, 1e-3, t)
        for prox, part in zip(proxes, parts, strict=True):
            prox.apply_prox(w[None, part], ALPHA * step[None, part])
    for penalty, part in zip(taken, parts, strict=True):
        np.testing.assert_allclose(w[part], best[part], atol=1e-10, err_msg=repr(penalty))
        np.testing.assert_array_equal(w[part] == 0, best[part] == 0, err_msg=repr(penalty))


def test_two_optimizers_at_most_refuse_penalties_that_are_not_smooth():
    assert sum(refused(optimizer, L1()) for optimizer in RULES + SOLVERS) <= 2
    assert not any(refused(optimizer, L2()) for optimizer in RULES + SOLVERS)


@every_penalty
@every_optimizer
@pytest.mark.parametrize("positive", [False, True])
def test_every_optimizer_trains_with_every_penalty(optimizer, penalty, positive):
    if refused(optimizer, penalty, positive):
        return
    X, y = StandardScaler().fit_transform(data()[0]), data()[1]
    settings = {"penalty": penalty, "alpha": ALPHA, "positive": positive}
    model = GDRegressor(
        optimizer=optimizer, max_iter=60, tol=None, random_state=0,
        batch_size=4 if optimizer.takes_batches else "auto", **settings,
    ).fit(X, y)  # fmt: skip
    rule = penalty.compiled()
    if positive:
        rule = BoxRule(0.0, None, rule)
    bound = model.coef_.copy()[None]
    rule.apply_projection(bound)
    np.testing.assert_array_equal(model.coef_, bound[0])
    least, coef = exact_objective(COMBINED.index(penalty), positive)
    gap = model.history_["objective"][-1] - least
    assert -1e-10 < gap < 0.05 * np.var(y)
    if isinstance(optimizer, FullBatchOptimizer):
        np.testing.assert_allclose(model.coef_, coef, atol=1e-6)


# ---- optimizers ---------------------------------------------------------------------------------

@every_optimizer
def test_an_optimizer_says_which_rows_it_takes(optimizer):
    assert optimizer.takes_batches or not optimizer.takes_streams
    batches = GDRegressor(optimizer=optimizer, batch_size=16, max_iter=2, tol=None)
    if optimizer.takes_batches:
        assert batches.fit(*data()).t_ == 8
    else:
        with pytest.raises(ValueError, match="batch_size=16 .*pass batch_size='full'"):
            batches.fit(*data())


@every_rule
def test_the_automatic_rate_trains_on_batches_and_on_all_rows(rule):
    X, y = data()
    least = GDRegressor(alpha=1e-3, tol=1e-12).fit(X, y).history_["objective"][-1]
    for batch_size in (4, "full") if rule.takes_batches else ("full",):
        model = GDRegressor(
            optimizer=rule, alpha=1e-3, batch_size=batch_size, max_iter=300, tol=None,
            random_state=0,
        ).fit(X, y)  # fmt: skip
        assert model.history_["objective"][-1] < least + 1e-2 * np.var(y)


# ---- schedules ----------------------------------------------------------------------------------

@every_schedule
def test_a_schedule_gives_each_step_one_rate_whatever_the_others(schedule):
    own = schedule.bound(100, 10)
    rates = np.asarray(own.rates(np.arange(100)))
    assert rates.shape == (100,) and np.isfinite(rates).all() and np.all(rates >= 0)
    for t in (0, 1, 37, 99):
        assert own.rates(np.array([t]))[0] == pytest.approx(rates[t], rel=1e-14)
    assert schedule.total_steps is None and own is not schedule


def test_the_pieces_of_a_user_are_among_the_checked():
    mine = {type(piece) for piece in PIECES if type(piece).__name__.startswith("Mine")}
    assert mine == {MineQuartic, MineCap, MineMomentum, MineSaw}


@pytest.mark.parametrize(
    ("kind", "base", "broken"),
    [
        (LOSSES, Loss, {"gradient": lambda self, y, z: 1.1 * (z - y) ** 3}),
        (COMBINED, Penalty, {"prox": lambda self, coef, step: 0.9 * coef}),
    ],
)
def test_a_piece_that_breaks_its_contract_fails_the_checks(kind, base, broken):
    parent = next(type(piece) for piece in kind if type(piece).__name__.startswith("Mine"))
    wrong = type("Wrong", (parent,), broken)()
    check = (
        test_a_loss_has_the_slope_and_the_bend_that_it_says if base is Loss
        else test_a_penalty_has_the_slope_and_the_proximal_point_that_it_says
    )  # fmt: skip
    with pytest.raises(AssertionError):
        check(wrong)


def test_an_optimizer_with_a_wrong_step_size_fails_the_check():
    class Wrong(MineMomentum):
        def update(self, w, g, state, rate, t):
            super().update(w, g, state, rate, t)
            return rate

    with pytest.raises(AssertionError):
        test_the_minimiser_is_the_fixed_point_of_every_rule_with_every_penalty(Wrong())
