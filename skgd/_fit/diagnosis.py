"""The warnings of a run: how far it is from the minimum, and what went wrong.

A `Diagnosis` turns the outcome of a run into the value of ``optimality_`` and into a list of
(category, message), which can be tested without a fit.
"""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgd._descent.history import DivergenceWarning
from skgd._descent.solution import Stop
from skgd._fit.accuracy import Accuracy
from skgd._fit.user_pieces import wrong_derivatives
from skgd.optimizers import make_optimizer

# A run that stopped warns where more than this share of the achieved decrease may be missing.
FAR = 0.05
# The share of the objective that rounding may leave of a bound where it has ended the run.
ROUNDED = 1e-3
# The share of the objective below which a bound is more than the objective itself.
KNOWN = 0.99
# A squared gradient above this share of the best constant model's objective is no rounding.
STEEP = 1e-6


class Diagnosis:
    """The outcome of a run, for its user.

    Parameters
    ----------
    run : Run
        That has ended.
    coef : array of shape (n_outputs, n_features)
    intercept : array of shape (n_outputs,)
        The model that the estimator has, in the dtype of X.
    names : array of str or None
        The names of the columns.
    """

    def __init__(self, run, coef, intercept, names=None):
        self.run, self.names = run, names
        self.settings, self.history, self.plan = run.settings, run.history, run.plan
        self.accuracy = Accuracy(run, coef, intercept)

    # ---- what to say ----------------------------------------------------------------------------

    def warnings(self):
        """Return the categories and messages of what the user should know.

        Raises
        ------
        FloatingPointError
            If the run diverged and ``on_divergence="raise"``.
        """
        found = self._left_out_columns()
        found += [(UserWarning, text) for text in wrong_derivatives(self.run, self.accuracy.coef)]
        found += self._of_the_end()
        return found

    def _of_the_end(self):
        history = self.history
        if self.accuracy.has_no_minimum():
            return [(ConvergenceWarning, (
                f"alpha={self.settings.alpha!r} and penalty={self.settings.named_penalty!r}: the "
                "classes can be separated without an error, so the minimum is at infinite "
                "coefficients, which are large here and would grow with max_iter; pass a penalty "
                "with alpha > 0."
            ))]  # fmt: skip
        if history.stop == Stop.DIVERGED:
            return self._divergence()
        if history.stop == Stop.MAX_ITER and history.tol is not None:
            return self._more_epochs()
        if history.stop == Stop.PRECISION:
            # Where nothing is known to be below the minimum, the bound is the objective itself.
            # Exact solvers end by rounding where a column has next to no digits, and bounds there
            # say little.
            is_known = self.accuracy.optimality < KNOWN * history.objective
            is_descent = self.plan.optimizer is not None
            return self._slope() or (self._plateau() if is_known and is_descent else [])
        if self.accuracy.is_in_doubt:
            return self._missing_decrease()
        return self._plateau() if self.accuracy.may_be_on_plateau else []

    def _left_out_columns(self):
        beyond = np.flatnonzero(self.run.objective.metric.beyond)
        if not beyond.size:
            return []
        names = np.arange(self.run.problem.d) if self.names is None else self.names
        return [(UserWarning, (
            f"X: squares of the numbers in the columns {names[beyond].tolist()} are beyond the "
            "range of doubles, so these columns were left out: multiply or divide them by a power "
            "of ten."
        ))]  # fmt: skip

    def _more_epochs(self):
        settings, takes_steps = self.settings, self.plan.takes_steps
        steps = self.run.state.steps
        if takes_steps and self.plan.schedule.ran_to_its_end(steps.t):
            return []
        advice = ""
        if takes_steps and not settings.has_automatic_rate:
            advice = ", or learning_rate='auto'"
        missing = self.accuracy.optimality
        known = f", at most {missing:.2g} above its minimum" if np.isfinite(missing) else ""
        return [(ConvergenceWarning, (
            f"max_iter={settings.max_iter} was reached before tol={settings.tol}{known}: pass a "
            f"larger max_iter or tol{advice}."
        ))]  # fmt: skip

    def _slope(self):
        objective, slope = self.run.objective, self.history.table["gradient_norm"][-1]
        size = self.history.baseline.size(objective.metric.unit)
        is_smooth = objective.loss.smooth and not objective.proximal
        if not (is_smooth and slope**2 > STEEP * size):
            return []
        return [(ConvergenceWarning, (
            f"No step lowers the objective, and yet its gradient has the length {slope:.2g} in "
            "the metric: check the gradients of the loss and the penalty, or set smooth = "
            "False in a loss with kinks."
        ))]  # fmt: skip

    def _missing_decrease(self):
        above, missing = "up to", self.accuracy.optimality
        if not np.isfinite(missing):
            above, missing = "at least", self.accuracy.further_decrease()
        if not missing > FAR * max(self.accuracy.decrease, 0.0) + self.accuracy.negligible:
            return []
        settings = self.settings
        return [(ConvergenceWarning, (
            f"The objective stopped falling (tol={settings.tol}, n_iter_no_change="
            f"{settings.n_iter_no_change}) {above} {missing:.2g} above its minimum, after a fall "
            f"of {self.accuracy.decrease:.2g}: pass {self._closer()}."
        ))]  # fmt: skip

    def _closer(self):
        """Say what brings a run of steps closer to the minimum and is not set already."""
        advice = [] if len(self.plan.bounds) == 2 else ["a larger batch_size"]
        advice.append("a smaller tol")
        if make_optimizer(self.settings.optimizer) is not None:
            advice.append("optimizer='auto'")
        elif not isinstance(self.settings.batch_size, str):
            advice.append("batch_size='auto'")
        return ", or ".join(filter(None, (", ".join(advice[:-1]), advice[-1])))

    def _plateau(self):
        share, missing = max(FAR, self.settings.tol or 0.0), self.accuracy.optimality
        least = share * max(self.accuracy.decrease, 0.0) + self.accuracy.negligible
        if self.history.stop == Stop.PRECISION:
            least = max(least, ROUNDED * abs(self.history.objective))
        if not least < missing < np.inf:
            return []
        remedy = (
            f"{self._more_penalty()}, or X without values that are far larger than the others of "
            "their columns, as a QuantileTransformer makes it"
        )
        if self.plan.optimizer is not None:
            remedy = "optimizer='auto'"
        return [(ConvergenceWarning, (
            f"The objective stopped falling at {self.history.objective:.3g}, after a "
            f"fall of {self.accuracy.decrease:.2g}, and may be up to {missing:.2g} above its "
            f"minimum: pass {remedy}."
        ))]  # fmt: skip

    # ---- divergence -----------------------------------------------------------------------------

    def _divergence(self):
        history = self.history
        message = (
            f"The descent diverged at {self._place()}: the objective rose to "
            f"{history.objective:.3g}, where the best constant model has "
            f"{history.baseline.objective:.3g}. {self._remedy()}"
        )
        if self.settings.on_divergence == "raise":
            raise FloatingPointError(message)
        return [(DivergenceWarning, (
            message + " The estimator keeps the best coefficients found so far."
        ))]  # fmt: skip

    def _place(self):
        """Say where the run diverged."""
        if self.plan.schedule is None:
            return f"iteration {self.history.n_iter} of the full-batch optimizer"
        rate = self.history.table["learning_rate"][-1]
        return f"update step {self.history.diverged_at} with learning rate {rate:.3g}"

    def _remedy(self):
        """Say what to pass instead of what made the run diverge."""
        run, plan = self.run, self.plan
        gradient, losses, _ = run.objective.losses_and_gradients(*run.start)
        if not (np.isfinite(losses).all() and np.isfinite(gradient).all()):
            return (
                "It or its gradient is not finite at the start: fix the loss or the penalty, or "
                "pass another init."
            )
        if plan.schedule is None:
            return f"Pass {self._other_settings()}{self._more_penalty()}."
        rate = self.history.table["learning_rate"][-1] / 10
        if not run.is_partial:  # whose automatic rate follows the rows of all calls
            rate = min(rate, run.automatic_schedule(False, np.random.default_rng(0)).rate)
        automatic = [] if self.settings.has_automatic_rate else ["learning_rate='auto'"]
        if not 0.0 < rate < np.inf:
            others = automatic + ["precondition='auto'"] * (not plan.preconditioned)
            return f"Pass {', or '.join([*others, self._more_penalty()])}."
        if plan.preconditioned:
            return f"Pass {' or '.join([f'learning_rate={rate:.1g}', *automatic])}."
        sizes = np.sqrt(run.problem.moments().variance(about_mean=False))
        largest = int(np.argmax(sizes))
        column = largest if self.names is None else repr(str(self.names[largest]))
        return (
            f"Column {column} has the largest scale, {sizes[largest]:.3g}: pass "
            "precondition='auto', which makes the descent independent of the columns' scales, or "
            f"scale the columns, or pass learning_rate={rate:.1g} or less."
        )

    def _more_penalty(self):
        """Say what penalises the coefficients more than what has been passed."""
        if self.settings.named_penalty is None:
            return "penalty='l2'"
        return "a larger alpha" if self.settings.alpha > 0 else "an alpha above 0"

    def _other_settings(self):
        """Return the settings that a descent without a rate might do with, as far as not passed."""
        advice = ""
        if not (isinstance(self.settings.init, str) and self.settings.init == "zeros"):
            advice += "init='zeros', "
        if make_optimizer(self.settings.optimizer) is not None:
            advice += "optimizer='auto', "
        return advice and advice + "or "
