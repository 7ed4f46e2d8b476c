"""What both estimators share: check what was passed, plan the run, train, give attributes back."""

import warnings

import numpy as np
from joblib import effective_n_jobs
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted, validate_data

from skgd import auto
from skgd._checks import (
    canonical,
    check_parameters,
    check_weights,
    given_start,
    make_generator,
    naming_columns,
)
from skgd._engine import Problem
from skgd.batching import batch_bounds, batch_length, is_memory_map
from skgd.losses import Loss
from skgd.metric import Moments
from skgd.penalties import L1, L2, BoxRule, ElasticNet, Penalty
from skgd.schedules import as_schedule, checked_rates
from skgd.training import (
    Objective,
    Record,
    Steps,
    train_full_batch,
    train_steps,
    warn_diverged,
)
from skgd.validation import Validation

FLOATS = (np.float64, np.float32)


def takes_batches(estimator):
    """Whether the optimizer can learn from a part of the rows; the message says which can."""
    optimizer = auto.make_optimizer(estimator.optimizer)
    if optimizer is not None and not optimizer.takes_streams:
        raise AttributeError(
            f"partial_fit with optimizer={estimator.optimizer!r}, which needs all rows: pass a "
            "step rule such as optimizer='adam'."
        )
    return True


class _Memory:
    """What lasts from one call of partial_fit, or a warm start, to the next."""

    def __init__(self, n_features, n_outputs):
        self.moments = Moments.empty(n_features)
        self.target_moments = Moments.empty(n_outputs)
        self.rows = 0
        self.weight = 0.0
        self.class_weights = 0.0
        self.steps = None
        self.metric = None
        self.schedule = None


class BaseGD(BaseEstimator):
    """Base of the estimators; the subclasses encode targets and name the losses."""

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
        check_parameters(self)
        X, y = self._check_data(X, y, reset=True)
        weights = check_weights(sample_weight, len(y))
        given = (X_val, y_val, sample_weight_val)
        if any(part is not None for part in given) and not self.early_stopping:
            raise ValueError("X_val with early_stopping=False: pass early_stopping=True.")
        if (X_val is None) != (y_val is None):
            raise ValueError("pass both X_val and y_val, or neither.")
        warm = getattr(self, "_memory", None) if self.warm_start else None
        targets, n_outputs = self._encode(y, weights, reset=warm is None)
        held_out = None
        if X_val is not None:
            X_val, y_val = self._check_data(X_val, y_val, reset=False)
            weights_val = check_weights(sample_weight_val, len(y_val), "sample_weight_val")
            held_out = X_val, y_val, self._encode(y_val, None, reset=False)[0], weights_val
        elif self.early_stopping:
            X, y, targets, weights, held_out = self._split(X, y, targets, weights)
        memory = warm if warm is not None else _Memory(X.shape[1], n_outputs)
        self._train(X, targets, weights, n_outputs, memory, held_out, partial=False)
        return self

    def _partial_fit(self, X, y, sample_weight, first):
        check_parameters(self)
        X, y = self._check_data(X, y, reset=first)
        weights = check_weights(sample_weight, len(y), zeros=True)
        targets, n_outputs = self._encode(y, weights, reset=first, partial=True)
        memory = getattr(self, "_memory", None)
        if first or memory is None:
            memory = _Memory(X.shape[1], n_outputs)
        if weights is not None and not np.any(weights):
            if first:
                self._memory = memory
                self._set_untrained(X, n_outputs)
            return self
        self._train(X, targets, weights, n_outputs, memory, None, partial=True)
        return self

    # ---- what the user passed -------------------------------------------------------------------

    def _check_data(self, X, y, *, reset):
        if y is None:
            # scikit-learn's own sentence, for estimators that need targets.
            validate_data(self, X, y, reset=reset)
        try:
            X, y = validate_data(
                self, X, y, reset=reset, accept_sparse="csr", dtype=FLOATS, order=None,
                multi_output=self._task == "regression", accept_large_sparse=True,
            )  # fmt: skip
        except (ValueError, TypeError) as error:
            raise naming_columns(X, error) from error
        if sparse.issparse(X):
            X = canonical(X)
        return X, y

    def _make_loss(self):
        losses = self._losses
        if isinstance(self.loss, str):
            if self.loss not in losses:
                names = ", ".join(repr(name) for name in losses)
                raise ValueError(f"loss={self.loss!r}: pass one of {names}, or a Loss.")
            return losses[self.loss]()
        if not isinstance(self.loss, Loss):
            raise TypeError(
                f"loss={self.loss!r}: pass a string or an object from skgd.losses, such as "
                f"{next(iter(losses.values())).__name__}()."
            )
        if self.loss.task != self._task:
            raise ValueError(
                f"loss={self.loss!r} is a loss for {self.loss.task}: {type(self).__name__} needs "
                f"one for {self._task}."
            )
        return self.loss

    def _make_penalty(self):
        named = {
            None: lambda: None, "l2": L2, "l1": L1,
            "elasticnet": lambda: ElasticNet(l1_ratio=self.l1_ratio),
        }  # fmt: skip
        if isinstance(self.penalty, Penalty):
            return self.penalty
        if not (self.penalty is None or isinstance(self.penalty, str)):
            raise TypeError(
                f"penalty={self.penalty!r}: pass a string, None or an object from skgd.penalties."
            )
        if self.penalty not in named:
            names = ", ".join(repr(name) for name in named)
            raise ValueError(f"penalty={self.penalty!r}: pass one of {names}, or a Penalty.")
        return named[self.penalty]()

    def _split(self, X, y, targets, weights):
        """Hold a share of the rows out, stratified for classes; all rows stay where that fails."""
        rows = np.arange(len(y))
        stratify = y if self._task == "classification" else None
        try:
            train, test = train_test_split(
                rows, test_size=self.validation_fraction, stratify=stratify,
                random_state=self.random_state,
            )  # fmt: skip
        except ValueError as error:
            warnings.warn(
                f"early_stopping=True: no validation set was split off, because {error} All rows "
                "were used for training; pass X_val and y_val, or early_stopping=False.",
                UserWarning,
            )
            return X, y, targets, weights, None
        if weights is not None and not (weights[train].any() and weights[test].any()):
            warnings.warn(
                "early_stopping=True: no validation set was split off, because one side would have "
                "no weight. All rows were used for training; pass X_val and y_val.",
                UserWarning,
            )
            return X, y, targets, weights, None
        part = None if weights is None else weights[test]
        held_out = X[test], y[test], np.ascontiguousarray(targets[test]), part
        weights = None if weights is None else weights[train]
        return X[train], y[train], np.ascontiguousarray(targets[train]), weights, held_out

    # ---- the run --------------------------------------------------------------------------------

    def _train(self, X, targets, weights, n_outputs, memory, held_out, *, partial):
        try:
            self._run(X, targets, weights, n_outputs, memory, held_out, partial)
        except KeyboardInterrupt:
            if not hasattr(self, "coef_"):
                self._set_untrained(X, n_outputs)
            self.stop_reason_, self.converged_ = "interrupted", False
            raise

    def _run(self, X, targets, weights, n_outputs, memory, held_out, partial):
        loss = self._make_loss()
        penalty = self._make_penalty()
        generator = make_generator(self.random_state)
        weights = self._class_weighted(targets, weights, memory, partial)
        problem = Problem(X, targets, weights, loss.compiled(n_outputs), n_outputs)
        plan = self._plan(problem, X, memory, partial)
        objective = self._objective(problem, X, loss, penalty, plan, memory, partial)
        constant, objectives = self._best_constant(loss, objective)
        reference = objective.feasible(np.zeros((problem.k, problem.d)), constant)
        if reference[0].any():
            objectives = objective.values(*reference)[1]
        validation = None
        if held_out is not None:
            validation = Validation(self, held_out, loss, n_outputs, X.dtype)
        record = Record(
            max_iter=1 if partial else self.max_iter, tol=None if partial else self.tol,
            patience=self.n_iter_no_change, constant_objectives=objectives, validation=validation,
            constant=reference, partial=partial,
            callback=_printer if self.verbose else None,
        )  # fmt: skip
        start = objective.feasible(
            *self._start(loss, objective, constant, plan, memory, generator)
        )
        try:
            coef, intercept = self._descend(
                X, loss, objective, plan, record, start, memory, generator
            )
        except KeyboardInterrupt:
            record.stop_reason = "interrupted"
            coef, intercept = record.best if record.best is not None else start
            raise
        finally:
            if record.stop_reason is not None:
                self._memory = memory
                self._set_attributes(coef, intercept, X.dtype, objective, record, plan, memory)
        self._tell(record, plan)

    def _plan(self, problem, X, memory, partial):
        optimizer = auto.choose_optimizer(
            self.optimizer, self.learning_rate, self.batch_size, partial=partial
        )
        length = problem.n
        if optimizer is not None and optimizer.takes_batches:
            default = optimizer.automatic_batch(problem.d, problem.rows.width)
            length = batch_length(self.batch_size, problem.n, default)
        steps = isinstance(optimizer, auto.Optimizer)
        if self.precondition == "full" and steps:
            raise ValueError(
                f"precondition='full' with optimizer={self.optimizer!r}: step rules descend in the "
                "diagonal metric; pass precondition='auto' or a full-batch optimizer ('lbfgs')."
            )
        if partial:
            memory.rows += problem.n
            memory.weight += problem.weight_sum
        rows, weight = (memory.rows, memory.weight) if partial else (problem.n, problem.weight_sum)
        return auto.Plan(
            optimizer=optimizer,
            schedule=None,
            batch_length=length,
            bounds=batch_bounds(problem.n, length),
            preconditioned=self.precondition is not None,
            centred=not (steps and length == 1 and sparse.issparse(X)),
            shuffle=self.shuffle,
            in_blocks=is_memory_map(X),
            average_from=int(self.average) - (self.average is True) if self.average is not False
            else -1,
            weight_scale=rows / weight,
        )  # fmt: skip

    def _objective(self, problem, X, loss, penalty, plan, memory, partial):
        rule = (penalty if penalty is not None else L2()).compiled()
        rule.check(problem.d)
        if self.positive:
            rule = BoxRule(0.0, None, rule)
        alpha = np.full(problem.k, float(self.alpha) if penalty is not None else 0.0)
        bend = np.zeros(problem.d) if penalty is None else penalty.curvature(problem.d)
        penalty_curvature = alpha[:, None] * np.asarray(bend, dtype=float)
        if plan.preconditioned:
            if not partial:
                memory.moments = Moments.empty(problem.d)
            memory.moments.merge(X, problem.rows, problem.weights)
        unit = self._unit(loss, problem, plan, memory, partial)
        # A loss with a kink bends by its slope, which is 1, over the spread of the targets.
        curvature = unit if not loss.smooth else np.full(problem.k, loss.curvature or 1.0)
        if loss.couples(problem.k):
            curvature = np.full(problem.k, 0.5 * (1 - 1 / problem.k))
        metric = auto.make_metric(
            plan, memory.moments, curvature, penalty_curvature, unit, self.fit_intercept
        )
        return Objective(
            problem, rule, alpha, metric, curvature, penalty_curvature,
            n_threads=effective_n_jobs(self.n_jobs),
        )  # fmt: skip

    def _unit(self, loss, problem, plan, memory, partial):
        """The unit of the objective: one over the squared spread of the targets, for regression."""
        if self._task == "classification" or not plan.preconditioned:
            return np.ones(problem.k)
        weights = np.ones(problem.n) if problem.weights is None else problem.weights
        if not partial:
            memory.target_moments = Moments.empty(problem.k)
        moments = memory.target_moments
        mean = np.average(problem.targets, axis=0, weights=weights)
        deviation = weights @ (problem.targets - mean) ** 2
        moments.combine(weights.sum(), mean, deviation)
        spread = np.sqrt(moments.variance(about_mean=self.fit_intercept))
        size = np.sqrt(moments.variance(about_mean=False))
        spread = np.where(spread > 0, spread, np.where(size > 0, size, 1.0))
        return 1.0 / spread**2 if loss.smooth else 1.0 / spread

    def _best_constant(self, loss, objective):
        """Return the best intercepts without coefficients and each output's objective there.

        No pass over X: a constant model sees nothing but the targets, and of a classification
        nothing but the weights of the classes.
        """
        problem = objective.problem
        weights = np.ones(problem.n) if problem.weights is None else problem.weights
        targets = problem.targets
        if self._task == "regression":
            outputs = [(targets, weights)]
        elif loss.couples(problem.k):
            outputs = [(2.0 * np.eye(problem.k) - 1.0, _class_sums(targets, weights, problem.k))]
        else:
            signs = np.array([[-1.0], [1.0]])
            positive = _class_sums(targets, weights, problem.k)
            outputs = [(signs, np.array([weights.sum() - part, part])) for part in positive]
        constants, losses = [], []
        for y, s in outputs:
            constant = loss.best_constant(y, s) if self.fit_intercept else np.zeros(y.shape[1])
            constants.append(np.asarray(constant, dtype=float))
            losses.append(_constant_losses(loss, y, s, constants[-1]))
        return np.concatenate(constants), np.concatenate(losses)

    def _start(self, loss, objective, constant, plan, memory, generator):
        """Return the coefficients and intercepts to start from."""
        k, d = objective.problem.k, objective.problem.d
        if memory.steps is not None or (self.warm_start and hasattr(self, "coef_")):
            return self._raw_attributes(k, d)
        if isinstance(self.init, str) and self.init in ("zeros", "random"):
            # Where descent is free of scales, targets far from zero are no harder than others.
            centred = plan.preconditioned and (
                not plan.takes_steps or self._task == "regression"
            )
            intercept = constant.copy() if centred else np.zeros(k)
            coef = np.zeros((k, d))
            if self.init == "random":
                u = 0.1 * generator.normal(size=objective.metric.inverse.shape)
                coef = objective.metric.to_raw(u)[0]
            return coef, intercept
        return given_start(self.init, k, d, self.fit_intercept)

    def _raw_attributes(self, k, d):
        coef = self.coef_.toarray() if sparse.issparse(self.coef_) else self.coef_
        if coef.size != k * d:
            raise ValueError(
                f"warm_start=True: coef_ has shape {coef.shape}, and the new data need {(k, d)}; "
                "pass data of the same shape or warm_start=False."
            )
        return (
            np.array(coef, dtype=float).reshape(k, d),
            np.array(np.broadcast_to(self.intercept_, k), dtype=float),
        )

    def _descend(self, X, loss, objective, plan, record, start, memory, generator):
        at_constant = not start[0].any() and np.array_equal(start[1], record.constant[1])
        value = record.constant_objective if at_constant else objective.values(*start)[1].sum()
        record.start(*start, value)
        if plan.takes_steps:
            return self._take_steps(X, objective, plan, record, start, memory, generator)
        x = objective.metric.from_raw(*start).ravel()
        if plan.optimizer is None:
            x = auto.solve(objective, loss, X, x, record)
        else:
            x = train_full_batch(plan.optimizer, objective, x, record)
            record.stop_reason = record.stop_reason or "precision"
        return objective.raw(x)

    def _take_steps(self, X, objective, plan, record, start, memory, generator):
        metric, k = objective.metric, objective.problem.k
        if memory.steps is None:
            parameters = metric.from_raw(*start)
            slots = plan.optimizer.slots
            memory.steps = Steps(
                parameters=parameters,
                state=np.zeros((k, slots, parameters.shape[1])),
                average=parameters.copy() if plan.average_from >= 0 else None,
                generator=generator,
            )
        else:
            memory.steps.move_to(memory.metric, metric)
        memory.metric = metric
        steps = memory.steps
        record.epochs_before = steps.epochs
        if isinstance(self.learning_rate, str):
            if memory.schedule is None:
                memory.schedule = auto.automatic_schedule(
                    plan.optimizer, objective, X, plan, steps.generator,
                    trained=bool(start[0].any()) and self.init != "random",
                )
            plan.schedule = memory.schedule
        else:
            n_batches = -(-objective.problem.n // plan.batch_length)
            plan.schedule = as_schedule(self.learning_rate).bound(
                n_batches * self.max_iter, n_batches
            )
        self._first_rate = float(checked_rates(plan.schedule, np.array([steps.t]))[0])
        return train_steps(steps, objective, plan.optimizer, plan.schedule, plan, record)

    # ---- what comes back ------------------------------------------------------------------------

    def _set_attributes(self, coef, intercept, dtype, objective, record, plan, memory):
        coef, intercept = self._kept(coef, intercept, objective, record, memory)
        if objective.problem.k > 1 and memory is not None:
            coef, intercept = self._identified(coef, intercept, objective)
        self._set_coefficients(coef, intercept, dtype)
        steps = memory.steps
        self.history_ = record.as_arrays()
        if len(self.history_["objective"]) and record.stop_reason != "diverged":
            losses, values = objective.values(
                np.ascontiguousarray(coef), np.ascontiguousarray(intercept)
            )
            self.history_["loss"][-1], self.history_["objective"][-1] = losses.sum(), values.sum()
        self.n_iter_ = steps.epochs if steps is not None else max(1, record.n_iter)
        self.t_ = steps.t if steps is not None else record.n_iter
        self.stop_reason_ = record.stop_reason
        self.converged_ = record.stop_reason in ("tol", "precision", "early_stopping")
        self.learning_rate_ = self._first_rate if plan.takes_steps else 1.0
        self.__dict__.pop("_first_rate", None)

    def _kept(self, coef, intercept, objective, record, memory):
        """Return the iterate to keep: mostly the last one."""
        if record.n_iter and record.history["objective"][-1] > record.start_bound:
            record.stop_reason = "diverged"
            record.exploded_at = record.history["step"][-1]
        if record.stop_reason == "diverged":
            if record.best is None or record.best_objective > record.constant_objective:
                return record.constant
            return record.best
        if record.best_validated is not None:
            return record.best_validated
        # Noise may end a run of steps on a bad epoch; with tol=None the steps are the user's.
        noisy = memory.steps is not None and not memory.steps.averaged and record.tol is not None
        if noisy and record.history["objective"][-1] > record.best_objective:
            memory.steps.parameters[:] = objective.metric.from_raw(*record.best)
            return record.best
        return coef, intercept

    def _identified(self, coef, intercept, objective):
        return coef, intercept

    def _set_coefficients(self, coef, intercept, dtype):
        single = self._task == "regression" and self._single_output
        coef = coef.astype(dtype)
        self.coef_ = coef[0] if single else coef
        self.intercept_ = intercept.astype(dtype)

    def _set_untrained(self, X, n_outputs):
        self._set_coefficients(np.zeros((n_outputs, X.shape[1])), np.zeros(n_outputs), X.dtype)
        self.n_iter_, self.t_, self.converged_, self.stop_reason_ = 0, 0, False, "max_iter"

    def _tell(self, record, plan):
        if record.stop_reason == "diverged":
            warn_diverged(record, plan, self.on_divergence)
        elif record.stop_reason == "max_iter" and record.tol is not None:
            advice = (
                "pass a larger max_iter or tol, or learning_rate='auto'"
                if plan.takes_steps and not isinstance(self.learning_rate, str)
                else "pass a larger max_iter or tol"
            )
            warnings.warn(
                f"max_iter={self.max_iter} was reached before tol={self.tol}: {advice}.",
                ConvergenceWarning,
            )

    # ---- after the fit --------------------------------------------------------------------------

    def _decision(self, X):
        check_is_fitted(self)
        try:
            X = validate_data(
                self, X, reset=False, accept_sparse="csr", dtype=FLOATS, accept_large_sparse=True
            )
        except (ValueError, TypeError) as error:
            raise naming_columns(X, error) from error
        margins = X @ self.coef_.T
        margins = margins.toarray() if sparse.issparse(margins) else np.asarray(margins)
        return margins.reshape(X.shape[0], -1) + self.intercept_

    def sparsify(self):
        """Convert ``coef_`` to a CSR matrix, which is smaller where most of it is zero.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        self.coef_ = sparse.csr_matrix(np.atleast_2d(self.coef_)) if not sparse.issparse(
            self.coef_) else self.coef_
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
            single = self._task == "regression" and self._single_output
            self.coef_ = coef[0] if single else coef
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _class_sums(targets, weights, k):
    """Return the weight of each class, or of the positive class for two."""
    if targets.ndim == 1:
        return np.bincount(targets.astype(np.intp), weights=weights, minlength=k)
    return 0.5 * (weights.sum() + weights @ targets)


def _constant_losses(loss, y, weights, constant):
    """Return the mean loss of each output where all margins are one constant."""
    margins = np.broadcast_to(constant, y.shape)
    values = loss.compiled(y.shape[1]).apply("value", y, margins)
    return weights @ values / weights.sum()


def _printer(record, coef, intercept):
    """Print the newest entry of the history."""
    history = record.history
    print(
        f"epoch {history['epoch'][-1]:5d}  objective {history['objective'][-1]:.9g}  "
        f"rate {history['learning_rate'][-1]:.3g}  {history['seconds'][-1]:.2f} s"
    )
    return False
