"""What both estimators share: check what was passed, run, give attributes back."""

import warnings

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from skgd._checks import (
    canonical,
    check_dense,
    check_parameters,
    check_sparse,
    check_weights,
    naming_columns,
    out_of_range,
)
from skgd._pieces import check_types
from skgd.callbacks import CallbackSupportMixin, with_callbacks
from skgd.fit_tasks import FitTasks
from skgd.losses import by_name, make_loss
from skgd.optimizers import make_optimizer
from skgd.penalties import make_penalty
from skgd.report import tell
from skgd.run import Memory, Run, Sample
from skgd.schedules import as_schedule
from skgd.state import all_or_nothing
from skgd.validation import split

FLOATS = (np.float64, np.float32)


def takes_batches(estimator):
    """Whether the optimizer can learn from a part of the rows; the message says which can."""
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


class BaseGD(CallbackSupportMixin, BaseEstimator):
    """Base of the estimators; the subclasses encode targets and name the losses."""

    @with_callbacks
    @all_or_nothing
    def fit(
        self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None
    ):
        """Fit the model.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Raw columns; no scaling is needed.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array of shape (n_samples,), default=None
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
        self._check_parameters()
        X, y = self._check_data(X, y, reset=True)
        weights = check_weights(sample_weight, len(y))
        self._check_validation_arguments(X_val, y_val, sample_weight_val)
        memory = Memory.resumed(getattr(self, "_memory", None)) if self.warm_start else None
        targets, n_outputs = self._encode(y, weights, reset=memory is None)
        sample, held_out = Sample(X, y, targets, weights, n_outputs), None
        if X_val is not None:
            X_val, y_val = self._check_data(X_val, y_val, reset=False)
            weights = check_weights(sample_weight_val, len(y_val), "sample_weight_val")
            targets, _ = self._encode(y_val, None, reset=False)
            held_out = Sample(X_val, y_val, targets, weights, n_outputs)
        elif self.early_stopping:
            sample, held_out = split(
                sample, self.validation_fraction, self.random_state,
                stratified=self._task == "classification",
            )  # fmt: skip
        if memory is None:
            memory = Memory.empty(X.shape[1], n_outputs)
        tasks = FitTasks(self, sample, sample_weight, held_out)
        self._train(sample, held_out, memory, tasks, tasks.begin())
        tasks.end()
        return self

    @all_or_nothing
    def _partial_fit(self, X, y, sample_weight, first):
        self._check_parameters()
        X, y = self._check_data(X, y, reset=first)
        weights = check_weights(sample_weight, len(y), zeros=True)
        targets, n_outputs = self._encode(y, weights, reset=first, partial=True)
        memory = Memory.resumed(getattr(self, "_memory", None))
        if first or memory is None:
            memory = Memory.empty(X.shape[1], n_outputs)
        if self._weighs_nothing(targets, weights):
            if first:
                self._set_untrained(X, n_outputs, memory)
            return self
        sample = Sample(X, y, targets, weights, n_outputs)
        self._train(sample, None, memory, FitTasks(self, sample), partial=True)
        return self

    # ---- what the user passed -------------------------------------------------------------------

    def _check_data(self, X, y, *, reset):
        check_sparse(X)
        if y is None:
            # scikit-learn's own sentence, for estimators that need targets.
            validate_data(self, X, y, reset=reset)
        check_dense(y)
        try:
            X, y = validate_data(
                self, X, y, reset=reset, accept_sparse="csr", dtype=FLOATS, order=None,
                multi_output=self._task == "regression", accept_large_sparse=True,
            )  # fmt: skip
        except (ValueError, TypeError) as error:
            raise naming_columns(X, error) from error
        except OverflowError as error:
            raise out_of_range("X or y") from error
        return canonical(X), y

    def _make_loss(self):
        return make_loss(self.loss, self._task, type(self).__name__)

    def _make_penalty(self):
        return make_penalty(self.penalty, self.l1_ratio)

    def _check_parameters(self):
        """Raise for the first parameter that cannot be used, those of its pieces included."""
        check_parameters(self)
        for piece in (self._make_loss(), self._make_penalty()):
            check_types(piece)
        if not isinstance(self.learning_rate, str) or self.learning_rate != "auto":
            as_schedule(self.learning_rate)

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

    def _train(self, sample, held_out, memory, tasks, state=None, *, partial=False):
        try:
            # What is not finite is looked for where it matters, and what underflows is zero.
            with np.errstate(all="ignore"):
                self._run(Run(self, sample, held_out, memory, partial, tasks, state))
        except KeyboardInterrupt as interrupt:
            if not hasattr(self, "coef_"):
                empty = Memory.empty(sample.X.shape[1], sample.n_outputs)
                self._set_untrained(sample.X, sample.n_outputs, empty)
            self.stop_reason_, self.converged_ = "interrupted", False
            interrupt.add_note(
                f"{type(self).__name__} keeps the best coefficients so far; stop_reason_ is "
                "'interrupted'."
            )
            raise

    def _run(self, run):
        try:
            coef, intercept = run.descend()
        except KeyboardInterrupt:
            record = run.record
            record.stop_reason = "interrupted"
            self._set_attributes(*(record.best if record.best is not None else run.start), run)
            raise
        run.check_moved()
        self._set_attributes(coef, intercept, run)
        model = self._raw_attributes(*coef.shape)
        self.optimality_ = run.certificate(*model)
        tell(self, run, model)

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
        self._check_parameters()
        X, y = self._check_data(X, y, reset=False)
        weights = check_weights(sample_weight, len(y))
        targets, n_outputs = self._encode(y, weights, reset=False)
        sample = Sample(X, y, targets, weights, n_outputs)
        run = Run(self, sample, None, Memory.empty(X.shape[1], n_outputs), False, None)
        return run.certificate(*self._raw_attributes(n_outputs, X.shape[1]), budget=np.inf)

    def _raw_attributes(self, k, d):
        """Return the coefficients and intercepts of the last fit, to start from."""
        coef = self.coef_.toarray() if sparse.issparse(self.coef_) else self.coef_
        if coef.size != k * d:
            raise ValueError(
                f"warm_start=True: coef_ has shape {coef.shape}, and the new data need {(k, d)}; "
                "pass data of the same shape or warm_start=False."
            )
        return (
            np.array(coef, dtype=float).reshape(k, d),
            np.full(k, self.intercept_, dtype=float),
        )

    # ---- what comes back ------------------------------------------------------------------------

    def _set_attributes(self, coef, intercept, run):
        record, last = run.record, (coef, intercept)
        coef, intercept, entry = self._kept(coef, intercept, run)
        vars(self).update(run.attributes(coef, intercept))
        known = coef is last[0] and not run.watches_a_part
        if not known and record.n_iter and record.stop_reason not in ("diverged", "interrupted"):
            losses, values = run.objective.values(
                np.ascontiguousarray(coef), np.ascontiguousarray(intercept)
            )
            self.history_["loss"][entry] = losses.sum()
            self.history_["objective"][entry] = values.sum()
        # Whether the next call goes on from the steps' own parameters or from the attributes.
        goes_on = coef is last[0] and record.stop_reason not in ("diverged", "interrupted")
        run.memory.returned = self._raw_attributes(*coef.shape) if goes_on else None
        if record.stop_reason == "diverged" and run.memory.steps is not None:
            run.memory.steps.state[:] = 0.0
        if run.memory.steps is not None:
            # As large as the targets, and of no use with other rows.
            run.memory.steps.table = None
        self._memory = run.memory.state()

    def _kept(self, coef, intercept, run):
        """Return the iterate to keep, mostly the last one, and its entry of the history."""
        record, steps = run.record, run.memory.steps
        if record.cut_short:
            record.stop_reason = "max_iter"
        elif record.n_iter and record.history["objective"][-1] > record.start_bound:
            record.stop_reason = "diverged"
            record.exploded_at = record.history["step"][-1]
        if record.cut_short or record.stop_reason == "diverged":
            if record.best is None or record.best_objective > record.constant_objective:
                return *record.constant, -1
            return *record.best, -1
        if record.best_validated is not None:
            return *record.best_validated, record.validated_at
        # Noise may end a run of steps on a bad epoch; with tol=None the steps are the user's.
        noisy = steps is not None and not steps.averaged and record.tol is not None
        if noisy and record.n_iter and record.history["objective"][-1] > record.best_objective:
            return *record.best, -1
        return coef, intercept, -1

    def _class_factors(self, targets, weights, memory, partial):
        return None

    def _weighs_nothing(self, targets, weights):
        return weights is not None and not np.any(weights)

    def _identified(self, coef, intercept, objective):
        return coef, intercept

    def _coefficients(self, coef, intercept, dtype):
        """Return the attributes that predictions need."""
        single = self._task == "regression" and self._single_output
        coef = coef.astype(dtype)
        return {"coef_": coef[0] if single else coef, "intercept_": intercept.astype(dtype)}

    def _set_untrained(self, X, n_outputs, memory):
        coef, intercept = np.zeros((n_outputs, X.shape[1])), np.zeros(n_outputs)
        vars(self).update(self._coefficients(coef, intercept, X.dtype))
        self.n_iter_, self.t_, self.converged_, self.stop_reason_ = 0, 0, False, "max_iter"
        self._weight_sum, self.optimality_ = 0.0, np.nan
        self._memory = memory.state()

    # ---- after the fit --------------------------------------------------------------------------

    def _check_rows(self, X):
        check_sparse(X)
        try:
            return validate_data(
                self, X, reset=False, accept_sparse="csr", dtype=FLOATS, accept_large_sparse=True
            )
        except (ValueError, TypeError) as error:
            raise naming_columns(X, error) from error

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
        from skgd import conversion

        check_is_fitted(self)
        return conversion.to_sklearn(self)

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
            vars(self).update(self._coefficients(coef, self.intercept_, coef.dtype))
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _products(X, coef):
    products = X @ coef.T
    return products.toarray() if sparse.issparse(products) else np.asarray(products)
