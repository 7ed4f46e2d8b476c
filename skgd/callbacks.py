"""Callbacks, which are notified after each epoch and can stop a fit.

They need scikit-learn 1.9 or newer and follow its protocol (``sklearn.callback``, SLEP 23), so they
combine with its ``ProgressBar`` and ``ScoringMonitor``::

    GDClassifier().set_callbacks(TimeLimit(60), ScoringMonitor(scoring="accuracy")).fit(X, y)

A task named "epoch" is one unit of ``max_iter``. A callback that returns True at its end stops the
fit, with ``stop_reason_`` "callback". A callback that asks for ``fitted_estimator`` gets a copy
that can predict, with the current coefficients and ``history_``.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from numbers import Real

import numpy as np
from sklearn.metrics import check_scoring

from skgd._utils import checkpoint
from skgd._utils.checks import check_count, check_place, is_finite, is_number, shown

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "PrintProgress", "StopAtLoss", "TimeLimit"]


class Callback:
    """A callback that does nothing; subclass it and define what you need.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor
    >>> from skgd.callbacks import Callback
    >>> class Stop(Callback):
    ...     def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
    ...         return context.task_name == "epoch" and fitted_estimator.n_iter_ == 3
    >>> model = GDRegressor(optimizer="adam").set_callbacks(Stop())
    >>> model.fit(*load_diabetes(return_X_y=True)).stop_reason_
    'callback'
    """

    def setup(self, estimator, context):
        """Prepare for a fit."""

    def teardown(self, estimator, context):
        """Clean up after a fit, whatever its end."""

    def on_fit_task_begin(self, estimator, context):
        """Called when a task begins."""

    def on_fit_task_end(self, estimator, context):
        """Called when a task ends; True stops the tasks of its level."""

    def __repr__(self):
        shown = (
            f"{name}={value!r}" for name, value in vars(self).items()
            if not name.startswith("_") and isinstance(value, str | Real)
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class _OfEpochs(Callback):
    """A callback that acts on the epochs of the estimator on which it is set."""

    def setup(self, estimator, context):
        """Say where it is set on an estimator that fits others: it would never act."""
        check_place(self, estimator)


def _is_epoch(context):
    """Whether a task is one epoch and not the whole fit."""
    return context.parent is not None and context.max_subtasks == 0


def _is_new(context, fitted_estimator):
    """Whether the end of a task is that of an epoch which has changed the estimator."""
    ended = fitted_estimator is not None and _is_epoch(context)
    history = getattr(fitted_estimator, "history_", None)
    return ended and (history is None or len(history["epoch"]) > context.task_id)


def _fit_of(context):
    """Return the context of the fit that an epoch belongs to."""
    return context.parent if _is_epoch(context) else context


class TimeLimit(_OfEpochs):
    """Stop a fit at the end of the first epoch after a number of seconds.

    Parameters
    ----------
    seconds : float
        Seconds since the fit began.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor
    >>> from skgd.callbacks import TimeLimit
    >>> model = GDRegressor(optimizer="adam").set_callbacks(TimeLimit(0))
    >>> model.fit(*load_diabetes(return_X_y=True)).n_iter_
    1
    """

    def __init__(self, seconds):
        if not is_number(seconds) or not seconds >= 0:
            raise ValueError(f"seconds={shown(seconds)}: pass a number >= 0.")
        self.seconds = seconds

    def on_fit_task_end(self, estimator, context):
        """Stop once the time is over."""
        return _is_epoch(context) and self.seconds_left(_fit_of(context)) <= 0.0

    def seconds_left(self, fit):
        """Return the seconds that are left of a fit, whose context this is."""
        return self.seconds - (datetime.now(UTC) - fit.init_time).total_seconds()


class StopAtLoss(_OfEpochs):
    """Stop a fit when an entry of ``history_`` is at or below a threshold.

    Parameters
    ----------
    threshold : float
    monitor : str, default="loss"
        The key of ``history_``: "loss" is the mean weighted loss on the rows that are trained on,
        "objective" has the penalty in it, "validation_loss" needs ``early_stopping=True``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skgd import GDClassifier
    >>> from skgd.callbacks import StopAtLoss
    >>> model = GDClassifier(optimizer="lbfgs").set_callbacks(StopAtLoss(0.1))
    >>> model.fit(*load_breast_cancer(return_X_y=True)).history_["loss"][-1] <= 0.1
    np.True_
    """

    def __init__(self, threshold, *, monitor="loss"):
        if not is_number(threshold):
            raise TypeError(f"threshold={shown(threshold)}: pass a number.")
        if not is_finite(threshold):
            raise ValueError(f"threshold={shown(threshold)}: pass a finite number.")
        if not isinstance(monitor, str):
            raise TypeError(f"monitor={shown(monitor)}: pass a key of history_, as 'loss'.")
        self.threshold = threshold
        self.monitor = monitor

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Stop once the entry is small enough."""
        if not _is_new(context, fitted_estimator):
            return False
        history = fitted_estimator.history_
        if self.monitor not in history:
            names = ", ".join(map(repr, history))
            raise ValueError(f"monitor={self.monitor!r}: pass one of {names}.")
        return bool(history[self.monitor][-1] <= self.threshold)


class EarlyStopping(_OfEpochs):
    """Stop a fit when a score on held-out rows stops improving, and restore the best coefficients.

    ``early_stopping=True`` does the same with a fraction of the rows. This callback has its own
    patience and rows, works with every estimator that passes ``fitted_estimator`` to its callbacks,
    and keeps the scores.

    Parameters
    ----------
    X_val, y_val : array
        The held-out rows, in the form in which the estimator gets X.
    sample_weight_val : array, default=None
        Their weights.
    scoring : str, callable or None, default=None
        The score, larger is better; None is the estimator's ``score``.
    patience : int, default=5
        Epochs without a better score before the fit stops.
    min_delta : float, default=0.0
        How much better a score must be to count.

    Attributes
    ----------
    scores_ : list of float
        The score of each epoch of the last fit.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor
    >>> from skgd.callbacks import EarlyStopping
    >>> X, y = load_diabetes(return_X_y=True)
    >>> stop = EarlyStopping(X[:80], y[:80])
    >>> model = GDRegressor(optimizer="adam", random_state=0).set_callbacks(stop)
    >>> bool(model.fit(X[80:], y[80:]).score(X[:80], y[:80]) == max(stop.scores_))
    True
    """

    def __init__(
        self, X_val, y_val, *, sample_weight_val=None, scoring=None, patience=5, min_delta=0.0
    ):
        check_count("patience", patience)
        if not is_finite(min_delta) or min_delta < 0:
            raise ValueError(f"min_delta={shown(min_delta)}: pass a finite number >= 0.")
        if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
            raise TypeError(
                f"scoring={shown(scoring)}: pass one name of a score, a callable or None."
            )
        self.X_val = X_val
        self.y_val = y_val
        self.sample_weight_val = sample_weight_val
        self.scoring = scoring
        self.patience = patience
        self.min_delta = min_delta
        self._watches = {}

    def setup(self, estimator, context):
        """Forget earlier fits of the estimator."""
        super().setup(estimator, context)
        self._watches[estimator] = _Watch(check_scoring(estimator, scoring=self.scoring))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Score the epoch; at the end of the fit give the best weights back."""
        watch = self._watches[estimator]
        if not _is_epoch(context):
            if watch.best is not None:
                vars(estimator).update(watch.best)
            return False
        if not _is_new(context, fitted_estimator):
            return False
        weights = {}
        if self.sample_weight_val is not None:
            weights = {"sample_weight": self.sample_weight_val}
        score = watch.scorer(fitted_estimator, self.X_val, self.y_val, **weights)
        significant = not watch.scores or score > max(watch.scores) + self.min_delta
        watch.waited = 0 if significant else watch.waited + 1
        if not watch.scores or score > max(watch.scores):
            watch.best = {
                name: getattr(fitted_estimator, name) for name in ("coef_", "intercept_")
            }
        watch.scores.append(score)
        return watch.waited >= self.patience

    def get_state(self, estimator):
        """Return what a fit of the estimator has come to so far, for a checkpoint."""
        watch = self._watches[estimator]
        return {"scores": watch.scores, "best": watch.best, "waited": watch.waited}

    def set_state(self, estimator, state):
        """Resume from the state of an earlier fit."""
        watch = self._watches[estimator]
        watch.scores, watch.best, watch.waited = state["scores"], state["best"], state["waited"]

    def teardown(self, estimator, context):
        """Keep the scores."""
        if estimator in self._watches:  # not where setup has failed
            self.scores_ = self._watches.pop(estimator).scores

    def __getstate__(self):
        return {**vars(self), "_watches": {}}


@dataclass
class _Watch:
    """What EarlyStopping knows of one fit."""

    scorer: object
    scores: list = field(default_factory=list)
    best: dict | None = None
    waited: int = 0


class Checkpoint(_OfEpochs):
    """Write a fit's state to a file after each epoch, and resume from the file after a crash.

    Fit again with the same data and the same parameters: the fit resumes after the last epoch that
    was written. A step rule ends with the same weights, to the bit, as if it had never stopped; a
    full-batch optimizer starts again from the last iterate and finds the same minimum. The file is
    replaced in one step, so that a kill leaves the old one or the new one, and removed when a fit
    ends; after a kill, Ctrl-C, an error or another callback's stop it stays. ``max_iter``, ``tol``,
    ``n_iter_no_change``, ``n_jobs``, ``verbose`` and ``on_divergence`` may change in between.

    The file holds arrays, numbers and strings, with a checksum; nothing in it is executed when it
    is read. It also holds hashes of X, y, the weights and the parameters. Of an X of more than 64
    MiB, 4096 rows are hashed and the sums of all. What an optimizer or a loss of your own keeps in
    attributes isn't in the file; the ``state`` of an optimizer's ``update`` is, what a schedule
    knows, and what a callback's ``get_state(estimator)`` returns for ``set_state(estimator,
    state)``, as long as it is arrays, numbers and strings. `TimeLimit` counts from the resumed
    fit's own start. One file serves one fit: not the many fits of a grid search.

    Parameters
    ----------
    path : str or path
        Where the file is, in a folder that exists.
    every : int, default=1
        The number of epochs between writes.

    Raises
    ------
    ValueError
        By the fit, if the file is from other data or other parameters (the message names which),
        or is damaged.
    OSError
        By the fit, before its first epoch, if no file can be written there; after an epoch, if
        the file could not be written, on a full disk for instance. The file of an earlier epoch
        stays, to resume from once there is space.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor
    >>> from skgd.callbacks import Checkpoint
    >>> X, y = load_diabetes(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = Checkpoint(os.path.join(folder, "fit.checkpoint"))
    ...     model = GDRegressor(optimizer="adam", random_state=0).set_callbacks(kept).fit(X, y)
    ...     os.listdir(folder)
    []
    """

    def __init__(self, path, *, every=1):
        check_count("every", every)
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path={shown(path)}: pass the name of a file, a string or a Path.")
        self.path = os.fspath(path)
        self.every = every

    def resume(self, fingerprint):
        """Return the state in the file, or None where there is no file."""
        checkpoint.prepare(self.path)
        state = checkpoint.read(self.path)
        if state is not None:
            checkpoint.check(self.path, state, fingerprint)
        return state

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Write the state after an epoch; remove the file after the fit."""
        if _is_epoch(context):
            state = getattr(fitted_estimator, "_state", None)
            if _is_new(context, fitted_estimator) and state is not None and not state["later"]:
                self.keep(estimator, context.task_id, state)
        elif estimator.stop_reason_ != "callback":
            checkpoint.remove(self.path)

    def keep(self, estimator, epoch, state):
        """Write the state after an epoch, if it is its turn, with those of the callbacks."""
        if (epoch + 1) % self.every == 0:
            callbacks = state["callbacks"].items()
            checkpoint.write(self.path, state | {
                "callbacks": {name: callback.get_state(estimator) for name, callback in callbacks}
            })  # fmt: skip


class PrintProgress(_OfEpochs):
    """Print a line for each epoch; ``verbose=1`` does the same.

    Parameters
    ----------
    every : int, default=1
        The number of epochs between lines.

    Examples
    --------
    >>> from skgd.callbacks import PrintProgress
    >>> PrintProgress(every=10)
    PrintProgress(every=10)
    """

    def __init__(self, *, every=1):
        check_count("every", every)
        self.every = every

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Print the newest entry of the history."""
        if _is_new(context, fitted_estimator):
            self.print_last(fitted_estimator.history_)

    def print_last(self, history):
        """Print the newest entry of a history."""
        epoch = history["epoch"][-1]
        if epoch % self.every:
            return
        validated = history["validation_loss"][-1]
        watched = "" if np.isnan(validated) else f"  validation loss {validated:.6g}"
        print(
            f"epoch {epoch:5d}  objective {history['objective'][-1]:.9g}{watched}  "
            f"rate {history['learning_rate'][-1]:.3g}  {history['seconds'][-1]:.2f} s"
        )
