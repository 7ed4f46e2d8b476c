"""Losses: the data term of the objective, in order of increasing complexity.

The objective that every estimator minimises, written once::

    F(W, b) = 1/sum(s) * sum_i s_i * loss(y_i, W x_i + b)
              + alpha * (l1_ratio * |W|_1 + (1 - l1_ratio)/2 * |W|_2^2)

with ``s`` the sample weights times the class weights. The intercept is never penalised.

A loss is two adjacent classes. The rule has the mathematics, as loops over arrays of margins; it is
made afresh for each run. The public class has the hyperparameters and the documentation.
Binary targets are -1 and +1; with several classes each output has its own -1 and +1.
"""

import math
from functools import cache
from numbers import Real

from skgd._utils.checks import shown
from skgd._utils.names import check_choice
from skgd._utils.rules import name_by_package, snake_case
from skgd.losses import base, classification, deviances, piecewise_linear, regression
from skgd.losses.base import *
from skgd.losses.classification import *
from skgd.losses.deviances import *
from skgd.losses.piecewise_linear import *
from skgd.losses.regression import *

__all__ = [
    *base.__all__,
    *regression.__all__,
    *piecewise_linear.__all__,
    *deviances.__all__,
    *classification.__all__,
    "by_name",
]


@cache
def by_name(task):
    """Return the losses of a task by the names that the estimators accept.

    Parameters
    ----------
    task : {"regression", "classification"}

    Returns
    -------
    dict
        From "squared_error" to `SquaredError`, and so on.

    Examples
    --------
    >>> from skgd.losses import by_name
    >>> by_name("classification")["log_loss"]()
    LogLoss()
    """
    kinds = [globals()[name] for name in __all__ if name not in ("Loss", "by_name")]
    return {snake_case(kind.__name__): kind for kind in kinds if kind.task == task}


name_by_package(globals())


def make_loss(loss, task, owner):
    """Return the loss object that a user's ``loss`` means, checked to go with the task.

    ``owner`` is the name of the estimator, for the messages.
    """
    losses = by_name(task)
    if isinstance(loss, str):
        others = by_name("regression" if task == "classification" else "classification")
        if loss in others and loss not in losses:
            raise ValueError(_of_other_task(loss, next(iter(others.values())).task, task, owner))
        check_choice("loss", loss, tuple(losses), "or a Loss")
        return losses[loss]()
    if not isinstance(loss, base.Loss):
        raise TypeError(
            f"loss={shown(loss)}: pass a string or an object from skgd.losses, such as "
            f"{next(iter(losses.values())).__name__}()."
        )
    if loss.task != task:
        raise ValueError(_of_other_task(loss, loss.task, task, owner))
    bound = loss.smoothness
    if bound is not None and not (isinstance(bound, Real) and 0 <= bound < math.inf):
        raise ValueError(
            f"smoothness={shown(bound)} of {type(loss).__name__}: define it as a finite bound on "
            "the second derivative, or as None."
        )
    return loss


def _of_other_task(loss, task, needed, owner):
    names = ", ".join(map(repr, by_name(needed)))
    return (
        f"loss={loss!r} is a loss for {task}: {owner} needs one for {needed}; pass one of {names}."
    )
