"""What losses, penalties and optimizers are made of: a class, its compiled rule, and overrides.

A public class names its ``Rule``, which is made from its hyperparameters. A user's subclass has no
rule of its own: where it overrides a method, a rule calls that method back.
"""

import inspect
import re
import sys
from functools import cache, wraps

from skgd._utils.checks import check_flag, is_finite, is_number, shown

# Parameters whose default is a number, and which say themselves what they take: other things too,
# or integers alone.
MORE_THAN_NUMBERS = {"quantile", "epochs", "then", "every"}
# What other libraries pass to an optimizer, and where it goes.
ELSEWHERE = dict.fromkeys(
    ("lr", "eta0", "eta", "learning_rate", "learning_rate_init", "step_size"), "the learning rate "
    "belongs to the estimator: pass GDClassifier(optimizer={name}(), learning_rate={value})"
) | dict.fromkeys(
    ("weight_decay", "l2"), "weight decay is the penalty of the estimator: pass "
    "GDClassifier(optimizer={name}(), penalty='l2', alpha={value})"
) | {"betas": "pass beta_1 and beta_2", "epsilon": "pass eps={value}"}  # fmt: skip


def without_rate(init):
    """Return an optimizer's constructor that says where what it does not take goes."""
    known = inspect.signature(init).parameters
    named = all(
        parameter.kind is inspect.Parameter.KEYWORD_ONLY
        for name, parameter in known.items() if name != "self"
    )  # fmt: skip

    @wraps(init)
    def __init__(self, *args, **kwargs):
        own = type(self).__name__
        for name in kwargs.keys() - known.keys() & ELSEWHERE.keys():
            remedy = ELSEWHERE[name].format(name=own, value=shown(kwargs[name]))
            raise TypeError(f"{own}({name}={shown(kwargs[name])}): {remedy}.")
        if args and named:
            remedy = ELSEWHERE["lr"].format(name=own, value=shown(args[0]))
            raise TypeError(
                f"{own}({shown(args[0])}): pass hyperparameters by their names; {remedy}."
            )
        init(self, *args, **kwargs)

    return __init__


def check_types(piece):
    """Raise where a loss, penalty, optimizer or schedule of skgd has no number where one goes."""
    for name, default in _defaults(type(piece)):
        value, owner = getattr(piece, name, default), type(piece).__name__
        if isinstance(default, bool):
            check_flag(f"{owner}: {name}", value)
        elif not is_number(value):
            raise TypeError(
                f"{owner}: {name}={shown(value)} is not a number: pass numbers, such as "
                f"{name}={default!r}."
            )
        elif not is_finite(value):
            raise ValueError(
                f"{owner}: {name}={shown(value)} is not finite: pass numbers, such as "
                f"{name}={default!r}."
            )


@cache
def _defaults(cls):
    """Return the names and defaults of skgd's parameters that take numbers, or True and False."""
    own = (base for base in cls.__mro__ if base.__module__.startswith("skgd."))
    made = next((base for base in own if "__init__" in vars(base)), None)
    if made is None:
        return []
    parameters = inspect.signature(made.__init__).parameters.items()
    return [
        (name, parameter.default) for name, parameter in parameters
        if isinstance(parameter.default, bool | int | float) and name not in MORE_THAN_NUMBERS
    ]  # fmt: skip


def make_rule(piece, **more):
    """Return the rule of a loss, penalty or optimizer with its hyperparameters."""
    check_types(piece)
    for base in type(piece).__mro__:
        if base.__dict__.get("Rule") is not None:
            parameters = {name: getattr(piece, name) for name in parameter_names(base)}
            try:
                return base.Rule(**parameters, **more)
            except TypeError as error:
                raise TypeError(f"{piece!r}: pass numbers for its parameters ({error}).") from error
    raise NotImplementedError(
        f"{type(piece).__name__} has no compiled rule: define the method that was called."
    )


@cache
def parameter_names(cls):
    """Return the names of a class's hyperparameters; a search asks for thousands of rules."""
    return cls._get_param_names()


def snake_case(name):
    """Return the name of a class as users write it: "log_loss" for LogLoss, "sgd" for SGD."""
    return re.sub("(?<=[a-z])(?=[A-Z][a-z])", "_", name).lower()


def name_by_package(package):
    """Let the public classes of a package be known by it, not by the file that they are in.

    Pickles and checkpoints have that name, and what a user of skops trusts. A class that is known
    by a package of its own keeps that name.
    """
    for name in package["__all__"]:
        if not hasattr(sys.modules[package[name].__module__], "__path__"):
            package[name].__module__ = package["__name__"]


def check_complete(piece, root, *signatures):
    """Raise for a user's subclass of the base class ``root`` that lacks a method."""
    if type(piece).Rule is None:
        missing = [each for each in signatures if not defines(piece, root, each.partition("(")[0])]
        if missing:
            raise TypeError(
                f"{type(piece).__name__} is not complete: define {' and '.join(missing)}."
            )


def defines(piece, root, method):
    """Tell whether a piece has another method than that of the base class ``root``."""
    return getattr(type(piece), method) is not getattr(root, method)


def overrides(cls, root, methods):
    """Tell whether a subclass of a compiled piece, or of the base class, has methods of its own."""
    for base in cls.__mro__:
        if base is root or base.__dict__.get("Rule") is not None:
            return False
        if not methods.isdisjoint(base.__dict__):
            return True
    return False
