"""What lasts from one call of partial_fit, or a warm start, to the next, as plain values.

A fitted estimator and a checkpoint hold arrays, numbers and strings, and lists and dicts of them,
and nothing else, so that neither needs a class of skgd, or any code at all, to be loaded.
"""

import copy
from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from skgd._descent.steps import Steps
from skgd._objective.metric import Metric
from skgd._problem import Moments
from skgd._utils.plain import copied, is_plain
from skgd.schedules import Schedule, as_schedule
from skgd.schedules.automatic import made_from

BIT_GENERATORS = {
    kind.__name__: kind
    for kind in (
        np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64
    )
}  # fmt: skip


def generator_state(generator):
    """Return the state of a random generator."""
    return generator.bit_generator.state


def resumed_generator(state):
    """Return a generator that continues from a state."""
    bits = BIT_GENERATORS[state["bit_generator"]](0)
    bits.state = state
    return np.random.Generator(bits)


def schedule_state(schedule):
    """Return what a schedule has come to know in a run.

    A constructor parameter that isn't plain is left out: the schedule to resume has it already.
    """
    state = {}
    for name, value in vars(schedule).items():
        if isinstance(value, Schedule):
            state[name] = schedule_state(value)
        elif is_plain(value):
            state[name] = copied(value)
        elif name not in schedule.get_params(deep=False):
            state[name] = copy.deepcopy(value)
    return state


def resume_schedule(schedule, state):
    """Let a run's own schedule continue from the state of another one of its kind."""
    for name, value in state.items():
        inner = getattr(schedule, name, None)
        if isinstance(inner, Schedule):
            resume_schedule(inner, value)
        else:
            setattr(schedule, name, copied(value) if is_plain(value) else copy.deepcopy(value))
    return schedule


@dataclass
class FitState:
    """What lasts from one call of partial_fit, or a warm start, to the next.

    Attributes
    ----------
    moments, target_moments : Moments
        Of the rows of all calls.
    rows : int
    weight : float
    class_weights : array of shape (n_classes,) or 0.0
        The weight of each class in all calls.
    steps : Steps or None
    kind : list or None
        The kind of run that the steps and the schedule belong to, in names.
    metric : Metric or None
        The coordinates of the steps' parameters.
    schedule : Schedule or None
    learning_rate : object
        What the user passed when the schedule was made.
    returned : tuple or None
        The coefficients and intercepts that the steps' parameters gave the estimator. Where the
        estimator has others, the next call starts from those.
    """

    moments: Moments
    target_moments: Moments
    rows: int = 0
    weight: float = 0.0
    class_weights: object = 0.0
    steps: Steps | None = None
    kind: list | None = None
    metric: object = None
    schedule: object = None
    learning_rate: object = None
    returned: tuple | None = None

    @classmethod
    def empty(cls, n_features, n_outputs):
        return cls(Moments.empty(n_features), Moments.empty(n_outputs))

    @classmethod
    def resumed(cls, state):
        """Return the state that `state` describes, with copies of its arrays; None for None."""
        if state is None:
            return None
        own = {
            name: value if name == "learning_rate" else copied(value)
            for name, value in state.items()
        }
        kinds = {"moments": Moments, "target_moments": Moments, "steps": Steps, "metric": Metric}
        if own["steps"] is not None:
            own["steps"]["generator"] = resumed_generator(own["steps"]["generator"])
        for name, kind in kinds.items():
            own[name] = None if own[name] is None else kind(**own[name])
        if own["schedule"] is not None:
            own["schedule"] = _resumed_schedule(own["learning_rate"], own["schedule"])
        return cls(**own)

    def state(self):
        """Return all of it as plain values, apart from what the user passed as the rate.

        An estimator holds them in the place of objects; arrays aren't copied.
        """
        state = _field_values(self)
        for name in ("moments", "target_moments", "steps", "metric"):
            if state[name] is not None:
                state[name] = _field_values(state[name])
        if self.steps is not None:
            state["steps"]["generator"] = generator_state(self.steps.generator)
        if self.schedule is not None:
            state["schedule"] = schedule_state(self.schedule)
        return state

    def keep_steps_of(self, kind):
        """Forget the steps and the schedule of another kind of run."""
        if self.kind != kind:
            self.kind, self.steps, self.schedule = kind, None, None


def _field_values(item):
    """Return the fields of a dataclass's instance by name."""
    return {name: getattr(item, name) for name in _field_names(type(item))}


@cache
def _field_names(kind):
    return [item.name for item in fields(kind)]


def _resumed_schedule(learning_rate, state):
    """Return the schedule of a rate that the user passed, with what it knew in an earlier run."""
    if isinstance(learning_rate, str):
        schedule = made_from(state)
    else:
        schedule = as_schedule(learning_rate).bound(state["total_steps"], state["steps_per_epoch"])
    return resume_schedule(schedule, state)
