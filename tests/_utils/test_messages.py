"""What the whole public API says to values of the wrong kind: a sentence with name and remedy.

Every parameter of every public class and function, found by enumeration, meets every value of
`WRONG`; those that it takes are listed in `RIGHT`.
"""

import inspect
import re
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_diabetes

import skgd
from skgd import (
    GDClassifier,
    GDRegressor,
    GDSearchCV,
    alpha_sequence,
    callbacks,
    find_learning_rate,
    losses,
    minimize,
    optimizers,
    penalties,
    schedules,
)
from skgd.optimizers import SGD, Adam, FullBatchOptimizer, Optimizer
from skgd.schedules import ReduceOnPlateau

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(12, 2))
Y = np.exp(X[:, 0] + 0.1 * GENERATOR.normal(size=12))
CLASSES = (Y > np.median(Y)).astype(int)

WRONG = {
    "huge": 10**400, "without digits": 10**5000, "-huge": -(10**400), "nan": np.nan, "inf": np.inf,
    "-1": -1, "-1.5": -1.5, "0": 0, "table": np.ones((3, 2)), "array": np.ones(3),
    "text": "nonsense", "None": None, "True": True, "complex": 1j, "object": object(), "list": [],
    "dict": {}, "bytes": b"x", "sparse": sparse.csr_array(np.eye(2)),
}  # fmt: skip
ZERO, FLAG, NOTHING = {"0"}, {"True"}, {"None"}
# What parameters of a name take, wherever they occur.
RIGHT = {
    **dict.fromkeys(("alpha", "tol", "threshold", "weight_decay", "momentum_decay"), ZERO),
    **dict.fromkeys(("l1_ratio", "epsilon", "gamma", "momentum", "dampening", "rho"), ZERO),
    **dict.fromkeys(("beta_1", "beta_2", "eps", "min_rate", "rising", "steps"), ZERO),
    **dict.fromkeys(("fit_intercept", "positive", "shuffle", "early_stopping"), FLAG),
    **dict.fromkeys(("warm_start", "amsgrad", "centered", "keep_path"), FLAG),
    **dict.fromkeys(("penalty", "precondition", "scoring", "weights", "groups"), NOTHING),
    **dict.fromkeys(("bounds", "callback", "jac", "sample_weight"), NOTHING),
    "tol": ZERO | NOTHING,
    "average": ZERO | FLAG,
    "batch_size": {"huge", "without digits"},
    "verbose": {"huge", "without digits", "0", "True"},
    "n_jobs": {"-1", "None"},
    "random_state": ZERO | NOTHING,
    "class_weight": {"None", "dict"},
    "power": {"-1", "-1.5", "0"},
    "epochs": {"array", "None", "list"},
    "patience": ZERO,
    "min_delta": ZERO,
    "lower": {"-1", "-1.5", "0", "None"},
    "upper": {"-1", "-1.5", "0", "None", "inf"},
    "max_samples": NOTHING,
    "rates": {"table", "array", "None"},
    "n": NOTHING,
    "ratio": NOTHING,
    "seconds": {"huge", "without digits", "inf", "0"},
    "threshold": {"-1", "-1.5", "0"},
    "path": {"text"},
    "monitor": {"text"},
    "fun": set(),
    "x0": {"-1", "-1.5", "0", "True", "table", "array"},
}  # fmt: skip
# scikit-learn's sentences, which name the parameter or say what the data are.
GIVEN = {"X_val", "y_val", "sample_weight", "sample_weight_val"}


def public(module, base=object):
    found = [getattr(module, name) for name in module.__all__]
    return [
        kind for kind in found
        if inspect.isclass(kind) and issubclass(kind, base) and kind is not base
    ]  # fmt: skip


def fit_regressor(**settings):
    return GDRegressor(**{"max_iter": 2, "tol": None} | settings).fit(X, Y)


def fit_estimator(kind):
    def call(**settings):
        if "scoring" in settings:
            settings["early_stopping"] = True
        if settings.keys() & {"average", "batch_size", "shuffle"}:
            settings["optimizer"] = "adam"
        y = CLASSES if kind is GDClassifier else Y
        return kind(**{"max_iter": 2, "tol": None} | settings).fit(X, y)
    return call


def fit_loss(kind):
    def call(**settings):
        estimator, y = (
            (GDClassifier, CLASSES) if kind.task == "classification" else (GDRegressor, Y)
        )
        return estimator(kind(**settings), max_iter=2, tol=None).fit(X, y)
    return call


def minimise(**settings):
    given = {"fun": lambda x: float(np.sum(x * x)), "x0": [1.0, 2.0], "max_iter": 2}
    return minimize(**given | settings)


def search_rate(**settings):
    given = {"estimator": GDRegressor(optimizer="sgd"), "rates": [0.1], "epochs": 1}
    return find_learning_rate(X=X, y=Y, **given | settings)


RIDGE = GDRegressor()
CALLS = {
    **{kind.__name__: (kind, fit_estimator(kind)) for kind in (GDClassifier, GDRegressor)},
    **{kind.__name__: (kind, fit_loss(kind)) for kind in public(losses, losses.Loss)},
    **{
        kind.__name__: (kind, lambda kind=kind, **given: fit_regressor(penalty=kind(**given)))
        for kind in public(penalties, penalties.Penalty)
    },
    **{
        kind.__name__: (kind, lambda kind=kind, **given: fit_regressor(optimizer=kind(**given)))
        for base in (Optimizer, FullBatchOptimizer) for kind in public(optimizers, base)
    },
    **{
        f"minimize with {kind.__name__}": (
            kind, lambda kind=kind, **given: minimise(optimizer=kind(**given))
        )
        for base in (Optimizer, FullBatchOptimizer) for kind in public(optimizers, base)
    },
    **{
        kind.__name__: (
            kind,
            lambda kind=kind, **given: fit_regressor(
                learning_rate=kind(**given), optimizer="sgd", batch_size=4
            ),
        )
        for kind in public(schedules, schedules.Schedule)
    },
    **{kind.__name__: (kind, kind) for kind in public(callbacks)},
    "minimize": (minimize, minimise),
    "find_learning_rate": (find_learning_rate, search_rate),
    "alpha_sequence": (
        alpha_sequence, lambda estimator=RIDGE, **given: alpha_sequence(estimator, X, Y, **given)
    ),
}  # fmt: skip
PARAMETERS = [
    (call, name) for call, (thing, _) in CALLS.items()
    for name in inspect.signature(thing).parameters
    if name not in GIVEN and (call, name) not in (
        ("find_learning_rate", "X"), ("find_learning_rate", "y"), ("ReduceOnPlateau", "min_rate"),
        ("alpha_sequence", "X"), ("alpha_sequence", "y"),
    )
]  # fmt: skip


def needed(thing, but):
    """Return values for the parameters without a default, but one."""
    parameters = inspect.signature(thing).parameters.values()
    empty = inspect.Parameter.empty
    return {each.name: 1.0 for each in parameters if each.default is empty and each.name != but}


@pytest.mark.parametrize("call, name", PARAMETERS, ids=str)
def test_a_wrong_value_is_an_error_that_names_it_and_says_what_to_pass(call, name):
    thing, fit = CALLS[call]
    fixed, taken = needed(thing, name) if inspect.isclass(thing) else {}, set()
    for label, value in WRONG.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fit(**fixed, **{name: value})
            except (ValueError, TypeError) as error:
                message = str(error)
                assert name in message, f"{label}: {message[:300]}"
                assert re.search("pass |return ", message), f"{label}: {message[:300]}"
                assert len(message) < 2500, f"{label}: {message[:300]}"
            else:
                taken.add(label)
    assert taken == OWN.get((call, name), RIGHT.get(name, set()))


# What a parameter takes that others of its name do not, or the other way round.
OWN = {
    ("Adadelta", "eps"): set(),
    ("minimize with Adadelta", "eps"): set(),
    ("Tweedie", "power"): set(),
    ("Polynomial", "power"): set(),
    ("Polynomial", "epochs"): NOTHING,
    ("Cosine", "epochs"): NOTHING,
    ("OneCycle", "epochs"): NOTHING,
    ("Step", "epochs"): {"array", "list"},
    ("find_learning_rate", "epochs"): set(),
    ("ReduceOnPlateau", "threshold"): ZERO,
    ("EarlyStopping", "patience"): set(),
    ("EarlyStopping", "scoring"): {"None", "text"},
    ("minimize", "learning_rate"): NOTHING,
    ("Box", "penalty"): NOTHING,
    **{
        (kind, name): taken for kind in ("GDClassifier", "GDRegressor")
        for name, taken in (("l1_ratio", {"0", "None"}), ("n_iter_no_change", {"inf"}))
    },
}  # fmt: skip


def test_every_public_thing_is_tried():
    # Displays draw what others have made; a RateTest is a result.
    drawn = {name for name in skgd.__all__ if name.endswith("Display")} | {"RateTest"}
    others = {"DivergenceWarning", "GDSearchCV", "one_standard_error", "show_versions"}
    assert set(skgd.__all__) - drawn - others <= set(CALLS)


@pytest.mark.parametrize("name", ["n_jobs", "n_iter", "refit", "race", "verbose", "scoring"])
@pytest.mark.parametrize("value", [1j, -1.5, object(), {"a"}], ids=type)
def test_a_search_says_what_it_takes(name, value):
    search = GDSearchCV(GDRegressor(max_iter=2), {"alpha": [1.0]}, **{name: value})
    with pytest.raises((ValueError, TypeError), match=name):
        search.fit(X, Y)


# ---- names ---------------------------------------------------------------------------------------

NAMES = [
    (GDRegressor, "loss", "mse", "squared_error"),
    (GDRegressor, "loss", "MSE", "squared_error"),
    (GDRegressor, "loss", "MSELoss", "squared_error"),
    (GDRegressor, "loss", "mean_squared_error", "squared_error"),
    (GDRegressor, "loss", "squared_loss", "squared_error"),
    (GDRegressor, "loss", "ls", "squared_error"),
    (GDRegressor, "loss", "mae", "absolute_error"),
    (GDRegressor, "loss", "lad", "absolute_error"),
    (GDRegressor, "loss", "SmoothL1Loss", "huber"),
    (GDRegressor, "loss", "pinball", "quantile"),
    (GDRegressor, "loss", "PoissonNLLLoss", "poisson"),
    (GDRegressor, "loss", "logcosh", "log_cosh"),
    (GDRegressor, "loss", "hubber", "huber"),
    (GDClassifier, "loss", "log", "log_loss"),
    (GDClassifier, "loss", "logistic", "log_loss"),
    (GDClassifier, "loss", "deviance", "log_loss"),
    (GDClassifier, "loss", "binary_crossentropy", "log_loss"),
    (GDClassifier, "loss", "CrossEntropyLoss", "log_loss"),
    (GDClassifier, "loss", "BCEWithLogitsLoss", "log_loss"),
    (GDClassifier, "loss", "Hinge", "hinge"),
    (GDClassifier, "loss", "hinge_loss", "hinge"),
    (GDClassifier, "loss", "squaredhinge", "squared_hinge"),
    (GDClassifier, "loss", "focal_loss", "focal"),
    (GDRegressor, "penalty", "L2", "l2"),
    (GDRegressor, "penalty", "ridge", "l2"),
    (GDRegressor, "penalty", "lasso", "l1"),
    (GDRegressor, "penalty", "elastic_net", "elasticnet"),
    (GDRegressor, "penalty", "none", None),
    (GDRegressor, "optimizer", "Adam", "adam"),
    (GDRegressor, "optimizer", "adams", "adam"),
    (GDRegressor, "optimizer", "RMSProp", "rmsprop"),
    (GDRegressor, "optimizer", "L-BFGS-B", "lbfgs"),
    (GDRegressor, "optimizer", "l-bfgs", "lbfgs"),
    (GDRegressor, "optimizer", "GD", "gradient_descent"),
    (GDRegressor, "optimizer", "sag", "saga"),
    (GDRegressor, "optimizer", "newton-cg", "auto"),
    (GDRegressor, "optimizer", "fista", "accelerated_gradient"),
    (GDRegressor, "optimizer", "accelerated", "accelerated_gradient"),
    (GDRegressor, "precondition", "diag", "diagonal"),
    (GDRegressor, "precondition", "none", None),
    (GDRegressor, "init", "zero", "zeros"),
    (GDRegressor, "init", "glorot_uniform", "random"),
    (GDRegressor, "on_divergence", "warn", "recover"),
    (GDRegressor, "on_divergence", "error", "raise"),
    (GDClassifier, "class_weight", "balance", "balanced"),
    (GDClassifier, "class_weight", "Balanced", "balanced"),
]


@pytest.mark.parametrize("kind, name, value, meant", NAMES)
def test_a_name_of_another_library_and_a_typo_are_understood(kind, name, value, meant):
    y = CLASSES if kind is GDClassifier else Y
    with pytest.raises(ValueError, match=f"^{name}='.*': pass one of .*; did you mean {meant!r}"):
        kind(**{name: value}).fit(X, y)


@pytest.mark.parametrize("kind", [GDClassifier, GDRegressor])
@pytest.mark.parametrize("name", ["loss", "penalty", "optimizer", "precondition", "init"])
def test_a_name_like_no_other_gets_the_list(kind, name):
    with pytest.raises(ValueError, match=f"^{name}='xyzzy': pass one of .*'") as caught:
        kind(**{name: "xyzzy"}).fit(X, CLASSES)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    "kind, loss, task",
    [(GDClassifier, "squared_error", "regression"), (GDRegressor, "hinge", "classification")],
)
def test_a_loss_of_the_other_task_is_said_to_be_one(kind, loss, task):
    with pytest.raises(ValueError, match=f"loss='{loss}' is a loss for {task}.*pass one of"):
        kind(loss).fit(X, CLASSES)


def test_minimize_understands_names_too():
    with pytest.raises(ValueError, match="optimizer='Adam': pass .*; did you mean 'adam'"):
        minimise(optimizer="Adam")
    with pytest.raises(ValueError, match="jac='2point': pass .*; did you mean '2-point'"):
        minimise(jac="2point")


# ---- learning rates -----------------------------------------------------------------------------

OPTIMIZERS = public(optimizers, Optimizer) + public(optimizers, FullBatchOptimizer)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("name", ["lr", "eta0", "learning_rate"])
def test_an_optimizer_says_where_the_learning_rate_goes(kind, name):
    words = rf"{kind.__name__}\({name}=0.1\): the learning rate belongs to the estimator: pass "
    words += rf"GDClassifier\(optimizer={kind.__name__}\(\), learning_rate=0.1\)"
    with pytest.raises(TypeError, match=words):
        kind(**{name: 0.1})


def test_an_optimizer_says_where_other_things_go():
    with pytest.raises(TypeError, match=r"Adam\(betas=\(0.9, 0.99\)\): pass beta_1 and beta_2"):
        Adam(betas=(0.9, 0.99))
    with pytest.raises(TypeError, match=r"Adam\(epsilon=1e-07\): pass eps=1e-07"):
        Adam(epsilon=1e-7)
    with pytest.raises(TypeError, match=r"SGD\(weight_decay=0.1\): .*alpha=0.1"):
        SGD(weight_decay=0.1)
    with pytest.raises(TypeError, match=r"SGD\(0.1\): pass hyperparameters by their names"):
        SGD(0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        Adam(nonsense=1)


def test_an_optimizer_of_ones_own_may_hold_a_rate():
    class Own(Optimizer):
        def __init__(self, lr=0.1):
            self.lr = lr

        def update(self, w, g, state, rate, t):
            w -= self.lr * g

    assert Own(lr=0.2).lr == Own(0.2).lr == 0.2
    assert Own().get_params() == {"lr": 0.1}
    assert inspect.signature(Adam) == inspect.signature(Adam.__init__.__wrapped__).replace(
        parameters=list(inspect.signature(Adam.__init__.__wrapped__).parameters.values())[1:]
    )


def test_a_function_of_a_number_is_told_that_it_gets_an_array():
    words = "takes no array, and t is one, of step numbers: write np.where"
    for rate in (
        lambda t: 0.1 if t < 5 else 0.01,
        lambda t: max(0.1, 1 / (1 + t)),
        lambda t: float(t),
    ):
        model = GDRegressor(learning_rate=rate, batch_size=2, max_iter=3)
        with pytest.raises((ValueError, TypeError), match=words):
            model.fit(X, Y)
    with pytest.raises(ValueError, match="of my own"):
        GDRegressor(learning_rate=raises_its_own, batch_size=2).fit(X, Y)


def raises_its_own(t):
    raise ValueError("of my own")


@pytest.mark.parametrize("rate", ["auto", "constant", "optimal"])
def test_minimize_says_which_rates_it_takes(rate):
    with pytest.raises(ValueError, match=f"learning_rate='{rate}'.*pass None.*0.01") as caught:
        minimise(learning_rate=rate)
    assert "pass 'auto'" not in str(caught.value)


def test_more_arguments_of_minimize_are_a_tuple():
    with pytest.raises(TypeError, match=r"args=3.0: pass a tuple, \(3.0,\)"):
        minimise(args=3.0)
    result = minimize(lambda x, c: c * float(x @ x), [1.0], (3.0,), optimizer="lbfgs")
    assert_allclose(result.x, 0, atol=1e-6)


def test_a_rate_below_zero_is_no_plateau():
    model = GDRegressor(learning_rate=ReduceOnPlateau(-0.1), optimizer="sgd")
    with pytest.raises(ValueError, match="rate=-0.1 of ReduceOnPlateau: pass"):
        model.fit(X, Y)


# ---- data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GDClassifier, GDRegressor])
def test_sparse_targets_are_an_error_with_the_remedy(kind):
    y = sparse.csr_array(CLASSES[:, None])
    for call in (
        lambda: kind().fit(X, y),
        lambda: kind().partial_fit(X, y, **({"classes": [0, 1]} if kind is GDClassifier else {})),
        lambda: kind(early_stopping=True).fit(X, CLASSES, X_val=X, y_val=y),
        lambda: kind().fit(X, CLASSES).optimality(X, y),
    ):
        with pytest.raises(TypeError, match=r"y is a sparse matrix.*pass an array, y.toarray\(\)"):
            call()


def test_numbers_beyond_floats_in_the_data_are_an_error():
    table = X.astype(object)
    table[3, 1] = 10**400
    with pytest.raises(ValueError, match="X or y has integers beyond the range of floats"):
        GDRegressor().fit(table, Y)
    with pytest.raises(ValueError, match="sample_weight has integers beyond the range of floats"):
        GDRegressor().fit(X, Y, sample_weight=[10**400] * 12)
    with pytest.raises(ValueError, match="y has|y:"):
        GDRegressor().fit(X, [10**400, *Y[1:]])
    with pytest.raises(ValueError, match="init="):
        GDRegressor(init=([10**400, 1], 0.0)).fit(X, Y)


def test_the_largest_counts_pass():
    model = GDRegressor(max_iter=sys.maxsize, n_iter_no_change=sys.maxsize, average=sys.maxsize)
    assert model.fit(*load_diabetes(return_X_y=True)).converged_
