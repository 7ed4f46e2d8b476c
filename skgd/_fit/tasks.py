"""The tasks of a fit and of its epochs, as callbacks see them."""

from functools import cache, cached_property
from math import inf

from skgd._utils import checkpoint
from skgd._utils.sklearn_compat import callback_context
from skgd.callbacks import PrintProgress

# What may change between a fit that was stopped and the one that continues from its checkpoint.
FREE_PARAMETERS = {"max_iter", "tol", "n_iter_no_change", "n_jobs", "verbose", "on_divergence"}


class FitTasks:
    """The tasks of one call of fit, as its callbacks see them: the fit and its epochs.

    Parameters
    ----------
    estimator : BaseGD
    sample : Sample
    sample_weight : array or None
        As it was passed to fit.
    held_out : Sample or None
        The validation set.
    """

    def __init__(self, estimator, sample, sample_weight=None, held_out=None):
        self.estimator, self.sample, self.held_out = estimator, sample, held_out
        self.printer = PrintProgress() if estimator.verbose else None
        self.context = self.epoch = self.fingerprint = None
        self.is_weighted = sample_weight is not None

    @cached_property
    def data(self):
        """What callbacks are told of the rows.

        Functions: only a callback that wants the rows has them taken, once.
        """
        sample, metadata = self.sample, None
        if self.is_weighted:
            metadata = {"sample_weight": sample.taken(sample.weights)}
        return {
            "X": cache(lambda: sample.taken(sample.X)), "y": cache(lambda: sample.taken(sample.y)),
            "metadata": metadata,
        }

    @property
    def callbacks(self):
        return getattr(self.estimator, "_skl_callbacks", [])

    @property
    def seconds_left(self):
        """The time that callbacks leave for what comes after the last epoch."""
        limits = [callback for callback in self.callbacks if hasattr(callback, "seconds_left")]
        if self.context is None:
            return inf
        return min((limit.seconds_left(self.context) for limit in limits), default=inf)

    @property
    def keepers(self):
        """The callbacks that keep the state of a run."""
        return [callback for callback in self.callbacks if hasattr(callback, "resume")]

    @property
    def stateful(self):
        """The callbacks that have a state of their own to keep, by name."""
        return {
            f"{number} {type(callback).__name__}": callback
            for number, callback in enumerate(self.callbacks) if hasattr(callback, "get_state")
        }  # fmt: skip

    @property
    def keep_later(self):
        """Whether a callback with a state hears of an epoch after one that keeps states."""
        kinds = [hasattr(callback, "get_state") for callback in self.callbacks]
        keeps = [hasattr(callback, "resume") for callback in self.callbacks]
        return any(kinds[keeps.index(True):]) if any(keeps) else False

    @property
    def has_listeners(self):
        return self.context is not None or self.printer is not None

    def begin(self):
        """Report that the fit begins; return the state to continue from, or None."""
        if not self.callbacks:
            return None
        self.context = callback_context(self.estimator, self.estimator.max_iter)
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        if not self.keepers:
            return None
        self.fingerprint = checkpoint.fingerprint(
            self.estimator, self.sample, self.held_out, FREE_PARAMETERS
        )
        states = (keeper.resume(self.fingerprint) for keeper in self.keepers)
        state = next((state for state in states if state is not None), None)
        for name, callback in self.stateful.items():
            if state is not None and name in state["callbacks"]:
                callback.set_state(self.estimator, state["callbacks"][name])
        return state

    def begin_epoch(self):
        """Tell that an epoch begins, unless one has begun."""
        if self.context is not None and self.epoch is None:
            self.epoch = self.context.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_epoch(self, history, attributes):
        """Tell that an epoch is over; return whether a callback wants to stop.

        Parameters
        ----------
        history : dict
        attributes : callable
            Returns the attributes of an estimator that is fitted up to here.
        """
        if self.printer is not None:
            self.printer.print_last(history)
        if self.epoch is None:
            return False
        epoch, self.epoch = self.epoch, None
        stops = epoch.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=attributes, **self.data
        )
        if self.keep_later:
            for keeper in self.keepers:
                keeper.keep(self.estimator, epoch.task_id, attributes()["_state"])
        return stops

    def end(self, attributes=dict):
        """Tell that a fit is over, whose attributes are those given; end a superfluous epoch."""
        if self.context is None:
            return
        for task in (self.epoch, self.context):
            if task is not None:
                task.call_on_fit_task_end(
                    estimator=self.estimator, reconstruction_attributes=attributes, **self.data
                )
