"""The state of a run as plain values: arrays, numbers and strings, and lists and dicts of them.

A fitted estimator and a checkpoint hold nothing else, so that neither needs a class of skgd, or any
code at all, to be loaded.
"""

import copy
import functools

import numpy as np

from skgd.schedules import Schedule

# What a fit sets beside the public attributes.
PRIVATE = ("_memory", "_n_outputs", "_single_output", "_weight_sum")
# Kinds of arrays that a file can hold without a pickle.
PLAIN_KINDS = "biufcSU"
BIT_GENERATORS = {
    kind.__name__: kind
    for kind in (
        np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64
    )
}  # fmt: skip


def is_plain(value):
    """Return whether a value is made of arrays, numbers and strings only."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in PLAIN_KINDS
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def copied(value):
    """Return a value whose arrays are copies, which a run may write to."""
    if isinstance(value, np.ndarray):
        return np.array(value)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(copied, value))
    return value


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


def learned(estimator):
    """Return all attributes that a fit sets, with their values."""
    return {
        name: value for name, value in vars(estimator).items()
        if name.endswith("_") or name in PRIVATE
    }  # fmt: skip


def all_or_nothing(method):
    """Let an estimator be as before where a fit raises before it has a model to give.

    Labels, names of columns and numbers of outputs are set before the descent and coefficients
    after it: an error in between would leave those of two fits.
    """

    @functools.wraps(method)
    def method_or_nothing(self, *args, **kwargs):
        before = learned(self)
        try:
            return method(self, *args, **kwargs)
        except BaseException as error:
            # The state is what a fit sets last.
            if vars(self).get("_memory") is before.get("_memory"):
                for name in learned(self):
                    delattr(self, name)
                vars(self).update(before)
                if isinstance(error, KeyboardInterrupt) and "coef_" in before:
                    self.stop_reason_, self.converged_ = "interrupted", False
            raise

    return method_or_nothing
