"""Step rules against torch and papers, and their step sizes against closed forms."""

from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
import record_torch
from rule_paths import new_state, path_of

from skgd import GDRegressor, optimizers
from skgd.optimizers import (
    LBFGS,
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    DoG,
    FullBatchOptimizer,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
    Yogi,
)
from skgd.penalties import L1

PUBLIC = [getattr(optimizers, name) for name in optimizers.__all__]
STEP_RULES = [kind for kind in PUBLIC if issubclass(kind, Optimizer) and kind is not Optimizer]
FULL_BATCH = [
    kind
    for kind in PUBLIC
    if issubclass(kind, FullBatchOptimizer) and kind is not FullBatchOptimizer
]
RECORDED = {
    "sgd": SGD(),
    "momentum": SGD(momentum=0.9),
    "nesterov": SGD(momentum=0.9, nesterov=True),
    "dampening": SGD(momentum=0.8, dampening=0.3),
    "adagrad": Adagrad(),
    "rmsprop": RMSprop(),
    "rmsprop_momentum": RMSprop(rho=0.9, momentum=0.9),
    "rmsprop_centered": RMSprop(centered=True),
    "rmsprop_both": RMSprop(centered=True, momentum=0.5),
    "adam": Adam(),
    "adam_betas": Adam(beta_1=0.5, beta_2=0.9, eps=1e-3),
    "amsgrad": Adam(amsgrad=True, beta_1=0.9, beta_2=0.9),
    "adadelta": Adadelta(),
    "adadelta_rho": Adadelta(rho=0.6, eps=1e-3),
    "adamw": AdamW(),
    "adamw_amsgrad": AdamW(weight_decay=0.3, amsgrad=True),
    "adamax": Adamax(),
    "adamax_betas": Adamax(beta_1=0.5, beta_2=0.9, eps=1e-3),
    "nadam": NAdam(),
    "nadam_decay": NAdam(beta_1=0.8, beta_2=0.9, momentum_decay=0.1),
    "radam": RAdam(),
    "radam_betas": RAdam(beta_1=0.5, beta_2=0.9, eps=1e-3),
    "radam_short": RAdam(beta_1=0.5, beta_2=0.6),
    "rprop": Rprop(),
    "rprop_etas": Rprop(etas=(0.3, 1.5), step_sizes=(0.01, 0.1)),
    "decayed_momentum": SGD(momentum=0.9),
    "decayed_adagrad": Adagrad(),
    "decayed_rmsprop": RMSprop(),
    "decayed_adadelta": Adadelta(),
    "decayed_adam": Adam(),
    "decayed_adamax": Adamax(),
    "decayed_nadam": NAdam(),
    "decayed_radam": RAdam(),
}


def distinct(pieces):
    return list({repr(piece): piece for piece in pieces}.values())


every_rule = pytest.mark.parametrize(
    "rule", distinct([*(kind() for kind in STEP_RULES), *RECORDED.values()]), ids=repr
)


# ---- against torch ------------------------------------------------------------------------------

def test_the_recording_and_the_table_have_the_same_rules(torch):
    assert set(RECORDED) == set(torch) - {"gradients", "rates", "start"}
    assert torch["gradients"].shape == (200, 5)


@pytest.mark.parametrize("name", RECORDED)
def test_the_rule_takes_the_steps_of_torch(name, torch):
    rule = RECORDED[name]
    l2 = record_torch.DECAY if name.startswith("decayed") else 0.0
    path = path_of(rule, torch, rule.compiled().apply, l2)
    np.testing.assert_allclose(path, torch[name], rtol=1e-10, atol=1e-13)


if find_spec("torch"):

    def test_the_recording_is_what_torch_does_today(torch):
        for name, values in record_torch.sequences(import_module("torch")).items():
            np.testing.assert_allclose(values, torch[name], rtol=1e-10, atol=1e-13)

    def test_every_rule_that_torch_has_is_recorded():
        theirs = set(import_module("torch").optim.__all__)
        recorded = {type(rule).__name__ for rule in RECORDED.values()}
        assert theirs & {kind.__name__ for kind in STEP_RULES} == recorded


@pytest.mark.parametrize("name", RECORDED)
def test_update_runs_the_compiled_rule(name, torch):
    rule = RECORDED[name]
    expected = path_of(rule, torch, rule.compiled().apply)
    np.testing.assert_array_equal(path_of(rule, torch, rule.update), expected)


# ---- against the papers -------------------------------------------------------------------------

def lion(w, g, memory, rate, t):
    """Chen et al. 2023, Algorithm 2, without weight decay."""
    m = memory.get("m", 0.0)
    c = 0.9 * m + (1 - 0.9) * g
    memory["m"] = 0.99 * m + (1 - 0.99) * g
    return w - rate * np.sign(c)


def yogi(w, g, memory, rate, t):
    """Zaheer et al. 2018, Algorithm 2."""
    m = 0.9 * memory.get("m", 0.0) + (1 - 0.9) * g
    v = memory.get("v", 0.0)
    v = v - (1 - 0.999) * np.sign(v - g**2) * g**2
    memory.update(m=m, v=v)
    return w - rate * m / (np.sqrt(v) + 1e-3)


def dog(w, g, memory, rate, t):
    """Ivgi et al. 2023, equations (1) to (3), with r_eps = 1e-6 (1 + |x_0|)."""
    points, squares = memory.setdefault("points", []), memory.setdefault("squares", [])
    points.append(w)
    squares.append(g @ g)
    r = max([1e-6 * (1 + np.linalg.norm(points[0]))]
            + [np.linalg.norm(x - points[0]) for x in points])
    return w - rate * r / np.sqrt(sum(squares)) * g


@pytest.mark.parametrize(("rule", "paper"), [(Lion(), lion), (Yogi(), yogi), (DoG(), dog)])
def test_the_rule_takes_the_steps_of_its_paper(rule, paper, torch):
    w, memory, path = torch["start"], {}, []
    for t, (g, rate) in enumerate(zip(torch["gradients"], torch["rates"], strict=True)):
        w = paper(w, g, memory, rate, t)
        path.append(w)
    np.testing.assert_allclose(
        path_of(rule, torch, rule.compiled().apply), path, rtol=1e-10, atol=1e-13
    )


@every_rule
def test_a_zero_gradient_from_the_start_moves_nothing(rule):
    w, state = np.ones(3), new_state(rule, 3)
    step = rule.update(w, np.zeros(3), state, 0.1, 0)
    np.testing.assert_array_equal(w, 1.0 - 0.1 * getattr(rule, "weight_decay", 0.0))
    assert np.all(np.isfinite(step)) and np.all(step > 0)


def first_move(rule, g):
    w = np.zeros(len(g))
    g.flags.writeable = False
    rule.update(w, g, new_state(rule, len(g)), 0.1, 0)
    return w


@every_rule
def test_the_gradient_is_read_only_and_nan_goes_where_it_has_a_say(rule):
    g = np.array([1.0, 2.0, -1.0])
    alone = [first_move(rule, g[j: j + 1].copy())[0] for j in range(3)]
    of_all = not np.allclose(first_move(rule, g.copy()), alone, rtol=1e-12, atol=0)
    spoilt = first_move(rule, np.where(g == 2, np.nan, g))
    assert np.isnan(spoilt).tolist() == [of_all, True, of_all]


# ---- the size of the step -----------------------------------------------------------------------

def undecayed(rule):
    """Return a rule without decoupled weight decay, which leaves the objective."""
    return rule.set_params(weight_decay=0.0) if hasattr(rule, "weight_decay") else rule


@pytest.mark.parametrize(
    "rule",
    [
        *(undecayed(kind()) for kind in STEP_RULES),
        *(RECORDED[n] for n in ("momentum", "nesterov", "dampening", "adam_betas", "amsgrad")),
        *(RECORDED[n] for n in ("rmsprop_momentum", "adadelta_rho", "adamax_betas")),
        *(RECORDED[n] for n in ("nadam_decay", "radam_betas", "radam_short")),
        RMSprop(rho=0.5, centered=True),
        RMSprop(rho=0.5, centered=True, momentum=0.5),
    ],
    ids=repr,
)
def test_with_a_constant_gradient_the_movement_tends_to_step_times_gradient(rule):
    g, compiled = np.array([1.0, -2.0, 0.5, 4.0, -8.0]), rule.compiled()
    state, w, rate = new_state(rule, 5), np.zeros(5), 0.01
    for t in range(4000):
        w[:] = 0.0
        step = compiled.apply(w, g, state, rate, t)
    np.testing.assert_allclose(-w / g, step, rtol=1e-9)


CURVATURES, CENTRES = np.array([1.0, 2.0, 0.5, 1.0, 4.0]), np.array([2, -1, 0.3, 0, 0.5])
ALPHA = 0.4
LASSO = np.sign(CENTRES) * np.maximum(np.abs(CENTRES) - ALPHA / CURVATURES, 0)


@pytest.mark.parametrize(
    ("rule", "rate"),
    [
        (SGD(), 0.1),
        (SGD(momentum=0.9), 0.02),
        (SGD(momentum=0.9, nesterov=True), 0.02),
        (SGD(momentum=0.8, dampening=0.3), 0.05),
        (Adagrad(), 1.0),
        (RMSprop(rho=0.9), 0.02),
        (RMSprop(rho=0.9, momentum=0.9), 0.002),
        (RMSprop(rho=0.9, centered=True, eps=1.0), 0.1),
        (Adam(beta_2=0.99), 0.01),
        (Adam(beta_1=0.5, beta_2=0.9, eps=1e-3), 0.02),
        (Adam(amsgrad=True), 0.05),
        (AdamW(weight_decay=0.0, beta_2=0.99), 0.01),
        (Adadelta(rho=0.5), 0.2),
        (Adamax(beta_2=0.9), 0.02),
        (NAdam(beta_2=0.9, momentum_decay=0.1), 0.02),
        (RAdam(beta_2=0.99), 0.01),
        (Yogi(beta_2=0.99), 0.01),
        (Lion(beta_1=0.5, beta_2=0.5), 0.02),
        (DoG(), 1.0),
    ],
    ids=lambda value: repr(value),
)
def test_the_proximal_step_has_the_minimiser_as_its_fixed_point(rule, rate):
    prox, compiled = L1().compiled(), rule.compiled()
    w, state = np.array([0.1, 0.2, -0.3, 0.4, -0.5]), new_state(rule, 5)
    for t in range(6000):
        g = CURVATURES * (w - CENTRES)
        step = compiled.apply(w, g, state, rate, t)
        prox.apply_prox(w[None], ALPHA * step[None])
    np.testing.assert_allclose(w, LASSO, atol=1e-12)
    np.testing.assert_array_equal(w == 0, LASSO == 0)
    assert np.array_equal(L1().prox(w, 0.0), w) and np.any(LASSO == 0)


# ---- in an estimator ----------------------------------------------------------------------------

def data():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 3)) * [1, 100, 0.1] + [0, 5, 1]
    return X, X @ [1.0, 0.02, -20.0] + 10 + 0.3 * generator.normal(size=60)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_string_names_an_optimizer_whose_fit_needs_no_rate(name):
    assert type(OPTIMIZERS[name]()) in STEP_RULES + FULL_BATCH
    model = GDRegressor(optimizer=name, random_state=0, max_iter=500, alpha=1e-5)
    assert model.fit(*data()).score(*data()) > 0.9
    assert model.history_["objective"][-1] < 0.1 * np.var(data()[1])


def test_the_strings_name_every_optimizer():
    assert {type(make()) for make in OPTIMIZERS.values()} == set(STEP_RULES + FULL_BATCH)
    assert {"adamw", "nadam", "radam", "rmsprop", "dog", "lbfgs", "gradient_descent"} < set(
        OPTIMIZERS
    )


@pytest.mark.parametrize("batch_size", [1, 16, 0.5])
def test_rprop_says_that_it_needs_all_rows(batch_size):
    model = GDRegressor(optimizer="rprop", batch_size=batch_size)
    with pytest.raises(ValueError, match="batch_size=.*Rprop needs all rows.*batch_size='full'"):
        model.fit(*data())
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as error:
        model.partial_fit(*data())
    assert "needs all rows" in str(error.value.__cause__)


def test_rprop_takes_all_rows_of_its_own_accord_and_the_rate_as_its_first_step():
    X, y = data()
    paths = [
        GDRegressor(optimizer="rprop", learning_rate=rate, tol=None, max_iter=200).fit(X, y)
        for rate in (0.01, lambda t: np.where(t == 0, 0.01, 5.0))
    ]
    assert paths[0].t_ == 200
    np.testing.assert_array_equal(paths[1].coef_, paths[0].coef_)
    exact = GDRegressor(tol=1e-12).fit(X, y)
    np.testing.assert_allclose(paths[0].coef_, exact.coef_, rtol=1e-4)


@pytest.mark.parametrize("optimizer", [Rprop(), LBFGS()], ids=repr)
@pytest.mark.parametrize("options", [{"penalty": "l1"}, {"positive": True}], ids=str)
def test_a_rule_for_smooth_penalties_says_so(optimizer, options):
    with pytest.raises(ValueError, match="needs a smooth penalty"):
        GDRegressor(optimizer=optimizer, **options).fit(*data())


def test_adamw_decays_the_coefficients_and_not_the_intercept():
    X, y = data()
    settings = {"batch_size": "full", "max_iter": 4000, "tol": None, "alpha": 0.0,
                "learning_rate": lambda t: 0.5 / (1 + t)}  # fmt: skip
    adam = GDRegressor(optimizer=Adam(), **settings).fit(X, y)
    adamw = GDRegressor(optimizer=AdamW(weight_decay=1.0), **settings).fit(X, y)
    assert np.all(np.abs(adamw.coef_) < 0.9999 * np.abs(adam.coef_))
    mean = y.mean()
    assert adamw.predict(X).mean() == pytest.approx(mean, rel=1e-6)
    for precondition in (None, "auto"):
        w, start = 0.5, (np.array([0.3, 0.2, 0.1]), 7.0)
        model = GDRegressor(
            optimizer=AdamW(weight_decay=w, beta_1=0.0, eps=1e12), learning_rate=0.1, init=start,
            precondition=precondition, max_iter=1, tol=None, batch_size="full",
        ).fit(X, y)  # fmt: skip
        np.testing.assert_allclose(model.coef_, 0.95 * start[0], rtol=1e-9)


# ---- what does not fit --------------------------------------------------------------------------

@every_rule
def test_arrays_that_do_not_fit_are_errors(rule):
    w, g, state = np.zeros(3), np.zeros(3), new_state(rule, 3)
    for bad in (np.zeros(2), np.zeros(4), np.zeros(3, np.float32), np.zeros(6)[::2]):
        with pytest.raises(ValueError):
            rule.update(w, bad, state, 0.1, 0)
    for bad in (np.zeros(6)[::2], np.zeros((3, 1)), np.zeros(3, np.float32), np.array(0.0)):
        with pytest.raises(ValueError):
            rule.update(bad, g, state, 0.1, 0)
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError):
        rule.update(frozen, g, state, 0.1, 0)


@pytest.mark.parametrize("rule", [rule for rule in RECORDED.values() if rule.slots], ids=repr)
def test_a_state_that_is_too_small_is_an_error(rule):
    # Views of a larger array: what is written beyond them does no harm to this process.
    ground = np.zeros((8, 3))
    with pytest.raises(ValueError):
        rule.update(np.zeros(3), np.ones(3), np.zeros((rule.slots, 2)), 0.1, 0)
    for slots in range(rule.slots):
        with pytest.raises(ValueError):
            rule.update(np.zeros(3), np.ones(3), ground[:slots], 0.1, 0)
    assert not ground.any()


BAD = [
    (kind, name, bad)
    for kind in STEP_RULES
    for name, value in kind().get_params().items()
    if type(value) is float
    for bad in (-0.1, np.nan, np.inf, 1.0)
    if bad != 1.0 or name in ("rho", "momentum", "dampening", "beta_1", "beta_2")
] + [
    *((Rprop, "etas", bad) for bad in ((0, 2), (1, 2), (0.5, 1), (0.5, np.inf), (np.nan, 2), 1)),
    *((Rprop, "step_sizes", bad) for bad in ((0, 1), (2, 1), (1, np.inf), (np.nan, 2), None)),
    (Adadelta, "eps", 0.0),
    (DoG, "initial_distance", 0.0),
]


@pytest.mark.parametrize(("kind", "name", "bad"), BAD)
def test_bad_hyperparameters_are_errors_when_compiled(kind, name, bad):
    optimizer = kind(**{name: bad})
    with pytest.raises(ValueError, match=name):
        optimizer.compiled()


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_needs_momentum_without_dampening(options):
    with pytest.raises(ValueError, match="nesterov"):
        SGD(nesterov=True, **options).compiled()


# ---- hyperparameters and ranges -----------------------------------------------------------------

def test_no_optimizer_holds_a_learning_rate():
    for kind in STEP_RULES + FULL_BATCH:
        assert not {"rate", "lr", "learning_rate"} & set(kind().get_params())


def test_adam_divides_by_roots_of_any_size():
    sizes = np.geomspace(1e-152, 1e152, 5001)
    w, state = np.zeros(len(sizes)), np.zeros((2, len(sizes)))
    Adam(eps=0.0).update(w, sizes, state, 0.5, 0)
    np.testing.assert_allclose(w, -0.5, rtol=2e-15)


def test_adam_stays_finite_where_squares_vanish():
    w, g = np.ones(3), np.array([0.0, 1e-170, -1e-160])
    Adam(eps=0.0).update(w, g, np.zeros((2, 3)), 0.5, 0)
    assert np.all(np.isfinite(w)) and w[0] == 1.0
