"""What losses, penalties and optimizers are made of: a class, its compiled rule, and overrides.

A public class names its ``Rule``, which is made from its hyperparameters. A user's subclass has no
rule of its own: where it overrides a method, a rule calls that method back.
"""

import re
from functools import cache


def make_rule(piece, **more):
    """Return the rule of a loss, penalty or optimizer with its hyperparameters."""
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
