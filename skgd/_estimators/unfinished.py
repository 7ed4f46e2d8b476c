"""Estimators whose fit does not end: they stay as they were."""

import functools

# What a fit sets in addition to the public attributes.
PRIVATE = ("_memory", "_n_outputs", "_single_output", "_weight_sum")


def learned(estimator):
    """Return all attributes that a fit sets, with their values."""
    return {
        name: value for name, value in vars(estimator).items()
        if name[-1] == "_" or name in PRIVATE
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
