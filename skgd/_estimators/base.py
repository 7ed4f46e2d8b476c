"""What both estimators share: check what was passed, fit, give attributes back."""

import warnings
from dataclasses import replace

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from skgd._descent.solution import Stop
from skgd._estimators.dask_inputs import any_dask, read_collections
from skgd._estimators.inputs import FLOATS, check_data, check_finite, checks_moments
from skgd._estimators.reports import Reports
from skgd._estimators.unfinished import all_or_nothing
from skgd._estimators.validation import make_validation
from skgd._fit.accuracy import Accuracy
from skgd._fit.block_sample import BlockSample
from skgd._fit.diagnosis import Diagnosis
from skgd._fit.early_stopping import split
from skgd._fit.run import Run, fresh_run, raw_model
from skgd._fit.sample import Sample
from skgd._fit.settings import Settings
from skgd._fit.state import FitState
from skgd._fit.targets import known_targets, learn_targets
from skgd._fit.tasks import FitTasks
from skgd._path.alpha import AlphaChoice, choose_alpha
from skgd._utils.checks import check_sparse, check_weights, raise_naming_columns
from skgd._utils.collections import gathered
from skgd._utils.sklearn_compat import CallbackSupportMixin, with_callbacks
from skgd.losses import by_name, make_loss
from skgd.optimizers import make_optimizer


def takes_batches(estimator):
    """Whether a part of the rows is enough to learn from; the message says what to pass instead."""
    if isinstance(estimator.alpha, str):
        raise AttributeError(
            f"partial_fit with alpha={estimator.alpha!r}, which needs all rows: pass a number, "
            "such as the alpha_ of a fit or the best one of a search with GDSearchCV."
        )
    optimizer = make_optimizer(estimator.optimizer)
    if optimizer is not None and not optimizer.takes_streams:
        raise AttributeError(
            f"partial_fit with optimizer={estimator.optimizer!r}, which needs all rows: pass a "
            "step rule such as optimizer='adam'."
        )
    return True


def losses_in_words(task):
    """Return the lines of a docstring that list the losses of a task."""
    return "\n".join(
        f'        - "{name}": {kind.__doc__.splitlines()[0]}'
        for name, kind in by_name(task).items()
    )


class BaseGD(Reports, CallbackSupportMixin, BaseEstimator):
    """Base of the estimators; the subclasses learn targets and name the losses."""

    @with_callbacks
    @all_or_nothing
    def fit(
        self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None
    ):
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or Dask collection of shape (n_samples, n_features)
            Raw columns; no scaling is needed. The rows of Dask arrays and dataframes stay on the
            workers of the cluster.
        y : array or Dask collection of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array or Dask collection of shape (n_samples,), default=None
            The weight of each row, at least 0; None means 1.
        X_val, y_val, sample_weight_val : default=None
            A validation set for ``early_stopping=True``, instead of a share of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X, y or a parameter cannot be used; the message says what to pass.
        """
        settings, held_out = Settings.of(self), None
        state = FitState.resumed(getattr(self, "_memory", None)) if self.warm_start else None
        self._check_validation_arguments(X_val, y_val, sample_weight_val)
        targets, sample = read_rows(
            self, settings, X, y, sample_weight, reset=True, is_known=state is not None,
            holds_out=self.early_stopping,
        )  # fmt: skip
        vars(self).update(targets.attributes)
        if X_val is not None:
            X_val, y_val = check_data(self, X_val, y_val, reset=False)
            weights = check_weights(sample_weight_val, len(y_val), "sample_weight_val")
            held_out = Sample(X_val, y_val, targets.encode(y_val), weights, targets.n_outputs)
        elif self.early_stopping:
            self._check_split(sample)
            sample, held_out = split(
                sample, self.validation_fraction, self.random_state,
                stratified=settings.task == "classification",
            )  # fmt: skip
        if state is None:
            state = FitState.empty(sample.n_features, targets.n_outputs)
        settings, choice = self._choose_alpha(settings, targets, sample)
        vars(self).update(choice.attributes)
        tasks = FitTasks(self, sample, sample_weight, held_out)
        self._train(
            settings, targets, sample, state, tasks=tasks, resumed=tasks.begin(),
            validation=make_validation(self, targets, held_out, sample.dtype),
        )  # fmt: skip
        tasks.end()
        return self

    @all_or_nothing
    def _partial_fit(self, X, y, sample_weight, first):
        settings = Settings.of(self)
        given, folds = (X, y), checks_moments(settings, sample_weight)
        X, y = check_data(self, X, y, reset=first, finite=not folds)
        weights = check_weights(sample_weight, len(y), zeros=True)
        if first and settings.task == "regression":
            targets, encoded = learn_targets(settings, y)
        else:
            targets, encoded = known_targets(settings, vars(self), y, is_stream=True)
        sample = Sample(X, y, encoded, weights, targets.n_outputs)
        if folds:
            check_finite(self, settings, sample, given)
        vars(self).update(targets.attributes | AlphaChoice(float(settings.alpha)).attributes)
        state = FitState.resumed(getattr(self, "_memory", None))
        if first or state is None:
            state = FitState.empty(X.shape[1], targets.n_outputs)
        if targets.weigh_nothing(sample.targets, weights):
            if first:
                self._set_untrained(sample, targets, state)
            return self
        self._train(
            settings, targets, sample, state, is_partial=True, tasks=FitTasks(self, sample)
        )
        return self

    # ---- what the user passed -------------------------------------------------------------------

    def _check_split(self, sample):
        if isinstance(sample, BlockSample):
            raise ValueError(
                "early_stopping=True with Dask collections: pass X_val and y_val, arrays or "
                "collections of at most 64 MiB, or early_stopping=False."
            )

    @property
    def _loss(self):
        return make_loss(self.loss, self._task, type(self).__name__)

    def _check_validation_arguments(self, X_val, y_val, sample_weight_val):
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        there = [name for name, value in given.items() if value is not None]
        missing = [name for name in ("X_val", "y_val") if given[name] is None]
        if there and missing:
            raise ValueError(
                f"{there[0]} is provided, but {missing[0]} was not provided: pass X_val and y_val, "
                "or neither."
            )
        if there and not self.early_stopping:
            raise ValueError(
                "X_val and y_val are passed to fit while early_stopping is False: pass "
                "early_stopping=True."
            )
        if self.scoring is not None and not self.early_stopping:
            warnings.warn(
                f"scoring={self.scoring!r} has no effect without early stopping: pass "
                "early_stopping=True, or scoring=None.",
                UserWarning,
            )

    # ---- the run --------------------------------------------------------------------------------

    def _choose_alpha(self, settings, targets, sample):
        with np.errstate(all="ignore"):
            settings, choice = choose_alpha(settings, targets, sample)
        for category, message in choice.warnings:
            warnings.warn(message, category)
        return settings, choice

    def _train(self, settings, targets, sample, state, **more):
        n_features = sample.n_features
        has_model = getattr(self, "n_iter_", 0) > 0
        is_partial = more.get("is_partial", False)
        previous = None
        if has_model and (is_partial or state.steps is not None or self.warm_start):
            previous = self._raw_model(targets.n_outputs, n_features)
        try:
            # What is not finite is looked for where it matters, and what underflows is zero.
            with np.errstate(all="ignore"):
                self._run(Run(settings, targets, sample, state, previous=previous, **more))
        except KeyboardInterrupt as interrupt:
            if not hasattr(self, "coef_"):
                empty = FitState.empty(n_features, targets.n_outputs)
                self._set_untrained(sample, targets, empty)
            self.stop_reason_, self.converged_ = "interrupted", False
            interrupt.add_note(
                f"{type(self).__name__} keeps the best coefficients so far; stop_reason_ is "
                "'interrupted'."
            )
            raise

    def _run(self, run):
        history = run.history
        try:
            coef, intercept = run.descend()
        except KeyboardInterrupt:
            history.halt(Stop.INTERRUPTED)
            best = history.best if history.best is not None else run.start
            vars(self).update(run.final_attributes(*best))
            raise
        found = Accuracy(run).check_moved()
        vars(self).update(run.final_attributes(coef, intercept))
        names = getattr(self, "feature_names_in_", None)
        diagnosis = Diagnosis(run, *self._raw_model(*coef.shape), names)
        self.optimality_ = diagnosis.accuracy.duality_gap()
        for category, message in found + diagnosis.warnings():
            warnings.warn(message, category)

    @np.errstate(all="ignore")
    def optimality(self, X, y, sample_weight=None):
        """Return an upper bound on how far the objective is from its minimum, ``F - F*``.

        Like ``optimality_``, for data of any size.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array of shape (n_samples,), default=None
            All as passed to ``fit``.

        Returns
        -------
        float
            inf where no bound is known: for losses that are not convex or have no ``conjugate``.
        """
        check_is_fitted(self)
        run = fitted_run(self, X, y, sample_weight)
        model = self._raw_model(run.problem.k, run.problem.d)
        return Accuracy(run, *model).duality_gap(budget=np.inf)

    def _raw_model(self, n_outputs, n_features):
        """Return the coefficients and intercepts of the last fit as arrays of doubles."""
        coef = self.coef_.toarray() if sparse.issparse(self.coef_) else self.coef_
        if coef.size != n_outputs * n_features:
            raise ValueError(
                f"warm_start=True: coef_ has shape {coef.shape}, and the new data need "
                f"{(n_outputs, n_features)}; pass data of the same shape or warm_start=False."
            )
        return raw_model({"coef_": coef, "intercept_": self.intercept_}, n_outputs, n_features)

    def _set_untrained(self, sample, targets, state):
        """Set the attributes of a model that has seen no row with a weight."""
        k, d = targets.n_outputs, sample.n_features
        vars(self).update(targets.coefficients(np.zeros((k, d)), np.zeros(k), sample.dtype))
        self.n_iter_, self.t_, self.converged_, self.stop_reason_ = 0, 0, False, "max_iter"
        self._weight_sum, self.optimality_ = 0.0, np.nan
        self._memory = state.state()

    # ---- after the fit --------------------------------------------------------------------------

    def _check_rows(self, X):
        X = gathered(X, "X")
        check_sparse(X)
        try:
            return validate_data(
                self, X, reset=False, accept_sparse="csr", dtype=FLOATS, accept_large_sparse=True
            )
        except (ValueError, TypeError) as error:
            raise_naming_columns(X, error)

    def _decision(self, X):
        check_is_fitted(self)
        X = self._check_rows(X)
        with np.errstate(all="ignore"):
            margins = _products(X, self.coef_)
            if margins.dtype == np.float32 and not np.isfinite(margins).all():
                # Terms may be beyond a range that their sum is in.
                margins = _products(X.astype(float), self.coef_)
        return margins.reshape(X.shape[0], -1) + self.intercept_

    def to_sklearn(self):
        """Return the fitted estimator of scikit-learn that makes the same predictions.

        Tools that know scikit-learn's classes alone (ONNX, PMML, SHAP) take it. Its parameters are
        those of the same objective where the class has it: LinearSVC and LinearSVR penalise the
        intercept, and not every class has every penalty. Several outputs of a loss whose class has
        one output become a MultiOutputRegressor. Nothing is fitted again.

        Returns
        -------
        LogisticRegression, Ridge, Lasso, LinearSVC, PoissonRegressor or another
            With copies of the coefficients.

        Raises
        ------
        ValueError
            If scikit-learn has no class for the loss.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skgd import GDRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> GDRegressor(alpha=1 / len(y)).fit(X, y).to_sklearn()
        Ridge()
        >>> GDRegressor("poisson", alpha=0.5).fit(X, y).to_sklearn()
        PoissonRegressor(alpha=0.5)
        """
        # Its imports take as long as all others of skgd.
        from skgd._estimators import to_sklearn

        check_is_fitted(self)
        return to_sklearn.to_sklearn(self)

    def sparsify(self):
        """Convert ``coef_`` to a CSR matrix, which is smaller where most of it is zero.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if not sparse.issparse(self.coef_):
            self.coef_ = sparse.csr_matrix(np.atleast_2d(self.coef_))
        return self

    def densify(self):
        """Convert ``coef_`` back to an array.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if sparse.issparse(self.coef_):
            coef = self.coef_.toarray()
            is_single = getattr(self, "_single_output", False)
            self.coef_ = coef[0] if is_single else coef
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _products(X, coef):
    products = X @ coef.T
    return products.toarray() if sparse.issparse(products) else np.asarray(products)


def read_rows(
    estimator, settings, X, y, sample_weight, *, reset, is_known, holds_out=True
):  # fmt: skip
    """Return what is known about the targets, and the checked rows.

    The targets must be those that the estimator knows already if `is_known` says so. Unless rows
    will be held out, the moments of the columns may show which numbers are not finite.
    """
    if any_dask(X, y, sample_weight):
        return read_collections(
            estimator, settings, X, y, sample_weight, reset=reset, is_known=is_known
        )
    given = X, y
    folds = not holds_out and checks_moments(settings, sample_weight)
    X, y = check_data(estimator, X, y, reset=reset, finite=not folds)
    weights = check_weights(sample_weight, len(y))
    if is_known:
        targets, encoded = known_targets(settings, vars(estimator), y)
    else:
        targets, encoded = learn_targets(settings, y)
    sample = Sample(X, y, encoded, weights, targets.n_outputs)
    if folds:
        check_finite(estimator, settings, sample, given)
    return targets, sample


def fitted_run(estimator, X, y, sample_weight=None):
    """Return a run over rows for a fitted estimator, of which only the objective is wanted."""
    # Models that were pickled before alpha could be chosen have no alpha_.
    alpha = getattr(estimator, "alpha_", estimator.alpha)
    settings = replace(Settings.of(estimator), alpha=alpha)
    targets, sample = read_rows(
        estimator, settings, X, y, sample_weight, reset=False, is_known=True
    )
    return fresh_run(settings, targets, sample)
