"""A learning rate for one's own data: short runs at many rates, and the one to take."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils import resample

from skgd._estimators.base import BaseGD
from skgd._utils.checks import check_count, check_seed, check_sparse, check_weights, shown
from skgd._utils.collections import gathered
from skgd._utils.sklearn_compat import num_samples
from skgd.optimizers import FullBatchOptimizer, make_optimizer
from skgd.schedules import Schedule

__all__ = ["RateTest", "find_learning_rate"]
RATES = tuple(10.0 ** np.arange(-5.0, 1.01, 0.25))
# A short run lasts this many epochs and update steps, whichever is more.
EPOCHS, STEPS = 20, 100
# Its loss is the mean over its epochs but the first share of them.
SKIPPED = 0.25


@dataclass(frozen=True)
class RateTest:
    """The result of a learning-rate range test.

    Parameters
    ----------
    rates : array of shape (n_rates,)
        In rising order.
    losses : array of shape (n_rates,)
        The mean objective of the short run at each rate; inf if it diverged.
    suggestion : float
        The suggested learning rate.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor, find_learning_rate
    >>> X, y = load_diabetes(return_X_y=True)
    >>> test = find_learning_rate(GDRegressor(optimizer="adam"), X, y, rates=[1e-5, 0.1, 1e3])
    >>> test
    RateTest(suggestion=0.1, rates=<3 from 1e-05 to 1e+03>, 1 diverged)
    """

    rates: np.ndarray
    losses: np.ndarray
    suggestion: float

    def __repr__(self):
        rates, n_diverged = self.rates, int(np.sum(~np.isfinite(self.losses)))
        return (
            f"RateTest(suggestion={self.suggestion:.3g}, rates=<{len(rates)} from {rates[0]:.3g} "
            f"to {rates[-1]:.3g}>{f', {n_diverged} diverged' if n_diverged else ''})"
        )


def find_learning_rate(
    estimator, X, y, sample_weight=None, *, rates=None, epochs="auto", max_samples=20000,
    random_state=0,
):  # fmt: skip
    """Find a learning rate by short runs at many rates.

    The loss of a run is its mean objective without the first quarter of the epochs, and the rate
    with the smallest loss is suggested. The mean penalises rates that oscillate or make slow
    progress.

    Parameters
    ----------
    estimator : GDClassifier, GDRegressor or a Pipeline that ends with one
        Fitted or not; it is cloned. If its ``learning_rate`` is a schedule, the schedule's ``rate``
        is searched.
    X : array or sparse matrix of shape (n_samples, n_features)
    y : array of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array of shape (n_samples,), default=None
    rates : array of float, default=None
        The rates to try; None means four per decade from 1e-5 to 10.
    epochs : int or "auto", default="auto"
        The length of a run. "auto" is 20 epochs or 100 update steps, whichever is more, and at most
        the estimator's ``max_iter``.
    max_samples : int or None, default=20000
        The number of rows to draw from a larger X; None uses all.
    random_state : int, default=0
        The seed of that draw, and of the runs if the estimator has no ``random_state``.

    Returns
    -------
    RateTest
        With ``rates``, ``losses`` and ``suggestion``.

    Raises
    ------
    ValueError, TypeError
        If the estimator takes no learning rate, an argument is invalid, or all runs diverge.

    References
    ----------
    Smith, Cyclical learning rates for training neural networks, 2017, has the range test in one run
    with an increasing rate.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skgd import GDClassifier, find_learning_rate
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> test = find_learning_rate(GDClassifier(optimizer="adam", random_state=0), X, y)
    >>> 0.01 < test.suggestion < 1
    True
    """
    X, y, sample_weight = (
        gathered(value, name) for name, value in
        {"X": X, "y": y, "sample_weight": sample_weight}.items()
    )  # fmt: skip
    check_sparse(X)
    _check_estimator(estimator)
    rates = _rates_to_try(RATES if rates is None else rates)
    check_count("max_samples", max_samples, None)
    check_count("epochs", epochs, "auto")
    check_seed(random_state)
    if sample_weight is not None:
        check_weights(sample_weight, num_samples(X))
    if max_samples is not None and num_samples(y) > max_samples:
        X, y, sample_weight = drawn_rows(estimator, X, y, sample_weight, max_samples, random_state)
    model, X = _model_and_rows(estimator, X, y)
    if isinstance(make_optimizer(model.optimizer), FullBatchOptimizer):
        raise ValueError(
            f"estimator has optimizer={model.optimizer!r}, which finds its own step lengths: pass "
            "one with a step rule, such as optimizer='adam'."
        )
    model = clone(model).set_callbacks().set_params(
        tol=None, early_stopping=False, warm_start=False, on_divergence="recover", verbose=0,
        random_state=random_state if model.random_state is None else model.random_state,
    )
    if epochs == "auto":
        steps = _run(model, rates[0], 1, X, y, sample_weight).t_
        epochs = min(max(EPOCHS, -(-STEPS // steps)), model.max_iter)
    losses = np.array([
        _mean_objective(_run(model, rate, epochs, X, y, sample_weight)) for rate in rates
    ])  # fmt: skip
    if not np.any(np.isfinite(losses)):
        raise ValueError(
            f"rates: the descent diverged at all of them, {rates[0]:.3g} to {rates[-1]:.3g}; pass "
            "smaller rates, or precondition='auto' to the estimator."
        )
    return RateTest(rates, losses, float(rates[np.argmin(losses)]))


def _run(model, rate, epochs, X, y, sample_weight):
    """Return the model fitted for some epochs at a rate."""
    model = clone(model).set_params(
        learning_rate=_with_rate(model.learning_rate, float(rate)), max_iter=epochs
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, sample_weight=sample_weight)


def _mean_objective(model):
    if model.stop_reason_ == "diverged":
        return np.inf
    objectives = model.history_["objective"]
    return float(np.mean(objectives[int(SKIPPED * len(objectives)):]))


def _with_rate(learning_rate, rate):
    """Return the rate, within the schedule if there is one."""
    if not isinstance(learning_rate, Schedule):
        return rate
    schedule = clone(learning_rate)
    parameters = schedule.get_params()
    names = [name for name in parameters if name.split("__")[-1] == "rate"] or [
        name for name, value in parameters.items()
        if name.split("__")[-1] == "then" and not isinstance(value, Schedule)
    ]  # fmt: skip
    if not names:
        raise ValueError(
            f"learning_rate={learning_rate!r} has no parameter 'rate' to set: pass an estimator "
            "with learning_rate='auto', or a schedule that has one."
        )
    return schedule.set_params(**{names[0]: rate})


def _model_and_rows(estimator, X, y):
    """Return the model at the end of a pipeline, and what its transformers make of X."""
    if isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = clone(estimator[:-1]).fit_transform(X, y)
        estimator = estimator[-1]
    return estimator, X


def _check_estimator(estimator):
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(last, BaseGD):
        raise TypeError(
            f"estimator={shown(estimator)}: pass a GDClassifier, a GDRegressor, or a Pipeline "
            "that ends with one."
        )


def drawn_rows(estimator, X, y, sample_weight, n_samples, random_state):
    """Return a sample of the rows, with as many of each class as in all."""
    weights = () if sample_weight is None else (sample_weight,)
    X, y, *weights = resample(
        X, y, *weights, replace=False, n_samples=n_samples, random_state=random_state,
        stratify=y if is_classifier(estimator) else None,
    )  # fmt: skip
    return X, y, *(weights or [None])


def _rates_to_try(rates):
    try:
        rates = np.unique(np.asarray(rates if not isinstance(rates, bool) else "", dtype=float))
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"rates={shown(rates)}: pass a list of numbers above 0.") from error
    if not rates.size or not np.all((rates > 0) & (rates < np.inf)):
        raise ValueError(f"rates={shown(rates)}: pass finite numbers above 0.")
    return rates
