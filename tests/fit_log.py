"""A callback that records its notifications, and that may stop the fit."""

import numpy as np

from skgd.callbacks import Callback


class Log(Callback):
    """Keeps what it is told."""

    def __init__(self, stop_after=None):
        self.events, self.models, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.events.append(f"begin {context.task_name}")
        self.shape = np.shape(X), np.shape(y)

    def on_fit_task_end(self, estimator, context, *, metadata=None, fitted_estimator=None):
        self.events.append(f"end {context.task_name}")
        self.metadata = metadata
        if context.task_name == "epoch" and fitted_estimator is not None:
            self.models.append(fitted_estimator)
            return len(self.models) == self.stop_after
