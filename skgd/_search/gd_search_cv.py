"""The search over parameters that trains all candidates on all folds in one pass."""

import copy
import time
from numbers import Integral
from traceback import format_exc

import numpy as np
from joblib import effective_n_jobs, parallel_config
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import indexable

from skgd._search.callbacks import SearchTasks
from skgd._search.candidates import (
    all_candidates,
    candidate,
    drawn,
    last_step,
    weight_name,
    with_the_same_steps,
)
from skgd._search.folds import Given, MaskedFolds, TransformedFolds
from skgd._search.halving import Halving
from skgd._search.monitor import DivergenceMonitor, ObjectiveMonitor
from skgd._search.one_by_one import fit_one_by_one
from skgd._search.path_search import PathSearch, is_plain, takes_steps
from skgd._search.regularization_path import path_of_search
from skgd._search.scoring import Scoring
from skgd._search.trials import Trial, train
from skgd._utils.checks import check_n_jobs, check_sparse
from skgd._utils.collections import gathered
from skgd._utils.linalg import one_thread
from skgd._utils.links import DOC_LINK_TEMPLATE
from skgd._utils.sklearn_compat import (
    BaseSearchCV,
    check_method_params,
    fit_context,
    insert_error_scores,
    parameter_constraints,
    report_failed_fits,
)
from skgd._utils.threads import ALONE, Threads

# Why fits stop, the gravest reason first: a candidate's is the gravest of its folds.
REASONS = (
    "failed", "diverged", "race", "interrupted", "max_iter", "callback", "early_stopping", "tol",
    "precision", "",
)  # fmt: skip


class GDSearchCV(BaseSearchCV):
    """Cross-validated search over parameters that trains candidates together.

    It has the interface and the attributes of ``GridSearchCV`` and ``RandomizedSearchCV``.
    Candidates that train on mini-batches are rows of one matrix of coefficients: each row of X is
    read once for all of them, on all folds. A fold is a mask of sample weights, so a candidate has
    the coefficients of ``fit(X, y, sample_weight=mask)`` with the same seed. Candidates of "auto"
    that differ only in ``alpha`` and ``l1_ratio`` are points of a regularisation path, which takes
    little longer than one fit. Other full-batch candidates ("lbfgs", ``batch_size="full"``) are
    fitted to the rows of each fold, and other estimators as in ``GridSearchCV``.

    Parameters
    ----------
    estimator : GDClassifier, GDRegressor, or a Pipeline that ends in one
        The steps before the last are fitted once for each fold and each setting of their
        parameters.
    param_grid : dict or list of dicts
        Parameter names and lists of values, or distributions with ``n_iter``. For ``alpha``, "path"
        means the values of `skgd.alpha_sequence`.
    n_iter : int, default=None
        How many candidates to draw from ``param_grid``; None tries all of them.
    scoring : str, callable, list, tuple, dict or None, default=None
        As for ``GridSearchCV``.
    cv : int, splitter or iterable, default=None
        As for ``GridSearchCV``.
    refit : bool, str or callable, default=True
        As for ``GridSearchCV``.
    n_jobs : int, default=None
        Threads that share the candidates or the folds; processes for fits that share nothing.
    return_train_score : bool, default=False
        Whether to score on the rows trained on, too.
    return_path : bool, default=False
        Whether to keep the coefficients along alpha on all rows as ``path_``.
    race : bool, default=True
        Whether to drop candidates early. After 1, 2, 4, 8 ... epochs, candidates are dropped that
        have diverged or can no longer win by their scores and losses on the held-out rows. Among
        many, only the better half stays each time, with all that are as good as the best within the
        noise of the folds. A dropped candidate keeps its last score. The best score may be that of
        a candidate that is as good as the best within the noise.
    error_score : "raise" or number, default=nan
        The score of a fit that fails.
    random_state : int, RandomState or None, default=None
        The source of random draws with ``n_iter``, and of row orders if the estimator has no
        ``random_state``.
    verbose : int, default=0
        As for ``GridSearchCV``.
    pre_dispatch : int or str, default="2*n_jobs"
        As for ``GridSearchCV``: how many fits are handed to processes ahead of time.

    Attributes
    ----------
    cv_results_ : dict of arrays
        As for ``GridSearchCV``, and ``stop_reason``: the worst of the candidate's folds, "race" if
        it was dropped. The fit time of a candidate is its share of the joint pass.
    best_estimator_ : estimator
        Fitted to all rows. It is set, like the attributes below, when ``GridSearchCV`` would set
        it.
    best_params_ : dict
    best_score_ : float
    best_index_ : int
    scorer_ : callable or dict
    n_splits_ : int
    refit_time_ : float
    path_ : dict of arrays
        With ``return_path=True``: "alpha" has the searched values in decreasing order, "coef" and
        "intercept" the model for each of them, with the other parameters of the best candidate.
    multimetric_ : bool
    classes_ : array of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skgd import GDClassifier, GDSearchCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = GDClassifier(max_iter=20, tol=None, random_state=0)
    >>> search = GDSearchCV(model, {"learning_rate": np.logspace(-4, 1, 6)}).fit(X, y)
    >>> print(f"{search.best_score_:.2f}")
    0.96
    """

    _doc_link_module = "skgd"
    _doc_link_template = DOC_LINK_TEMPLATE
    _required_parameters = ["estimator", "param_grid"]
    _parameter_constraints = parameter_constraints(BaseSearchCV) | {
        "param_grid": [dict, list],
        "n_iter": [Integral, None],
        "return_path": ["boolean"],
        "race": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator, param_grid, *, n_iter=None, scoring=None, cv=None, refit=True,
        n_jobs=None, return_train_score=False, return_path=False, race=True, error_score=np.nan,
        random_state=None, verbose=0, pre_dispatch="2*n_jobs",
    ):  # fmt: skip
        self.estimator = estimator
        self.param_grid = param_grid
        self.n_iter = n_iter
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.n_jobs = n_jobs
        self.return_train_score = return_train_score
        self.return_path = return_path
        self.race = race
        self.error_score = error_score
        self.random_state = random_state
        self.verbose = verbose
        self.pre_dispatch = pre_dispatch

    @fit_context(prefer_skip_nested_validation=False)
    @np.errstate(all="ignore")
    def fit(self, X, y=None, **params):
        """Train and score all candidates, and fit the best one to all rows.

        Parameters
        ----------
        X : array, frame or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        **params : dict
            For the estimator's ``fit``, the scorer and the splitter: ``sample_weight``, ``groups``
            and others, split along with X where they have a value for each row.

        Returns
        -------
        self
        """
        check_sparse(X)
        check_n_jobs(self.n_jobs)
        scorer, metric = self._get_scorers()
        X, y = indexable(gathered(X, "X"), gathered(y, "y"))
        params = check_method_params(X, params=params)
        weights, params = params.get("sample_weight"), self._get_routed_params_for_fit(params)
        candidates = drawn(
            self.param_grid, self.n_iter, self.random_state, estimator=self.estimator, X=X, y=y,
            sample_weight=params.estimator.fit.get(weight_name(self.estimator)),
        )  # fmt: skip
        tasks = SearchTasks(self, candidates, X, y, weights)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = _checked_splits(cv, X, y, params.splitter.split)
        self.n_splits_ = len(splits)
        if not candidates or not splits:
            raise ValueError(
                "No fits were performed. Was the CV iterator empty? Were there no candidates?"
            )
        if self.verbose > 0:
            print(f"Fitting {len(splits)} folds for each of {len(candidates)} candidates, "
                  f"totalling {len(splits) * len(candidates)} fits")  # fmt: skip
        scoring = Scoring(scorer, self.scoring, self.error_score)
        tasks.begin_search(len(candidates), len(splits))
        out = self._evaluate(X, y, candidates, splits, params, scoring, tasks)
        report_failed_fits(out, self.error_score)
        if callable(self.scoring):
            insert_error_scores(out, self.error_score)
        self.multimetric_ = isinstance(out[0]["test_scores"], dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(out[0]["test_scores"])
            metric = self.refit
        tasks.end_search()
        reasons = np.array([fit["stop_reason"] for fit in out]).reshape(len(candidates), -1)
        reasons = [min(row, key=REASONS.index) for row in reasons.tolist()]
        self.cv_results_ = self._format_results(
            candidates, len(splits), out, {"stop_reason": np.array(reasons, dtype=object)}
        )
        self.scorer_ = scoring.scorers if scoring.several else scorer
        self._choose(metric)
        if self.refit:
            self._refit(X, y, params.estimator.fit, tasks)
        if self.return_path:
            weights = params.estimator.fit.get(weight_name(self.estimator))
            self.path_ = path_of_search(self, X, y, weights)
        tasks.end()
        return self

    def _choose(self, metric):
        if self.refit or not self.multimetric_:
            results = self.cv_results_
            self.best_index_ = self._select_best_index(self.refit, metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]

    def _refit(self, X, y, params, tasks):
        self.best_estimator_ = candidate(self.estimator, self.best_params_)
        # A fit that does not say how many threads it wants may have those of the search.
        threads = parallel_config("threading", n_jobs=effective_n_jobs(self.n_jobs))
        with tasks.refitting(self.best_estimator_), threads:
            started = time.time()
            if y is None:
                self.best_estimator_.fit(X, **params)
            else:
                self.best_estimator_.fit(X, y, **params)
            self.refit_time_ = time.time() - started
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    # ---- training and scoring -------------------------------------------------------------------

    def _evaluate(self, X, y, candidates, splits, params, scoring, tasks):
        """Return the results of each candidate on each split, candidate by candidate."""
        estimators = all_candidates(self.estimator, candidates)
        # The steps of a pipeline are fitted for several candidates at once, and would be told so.
        told = isinstance(self.estimator, Pipeline) and tasks.reach_candidates
        fused = [
            i for i, each in enumerate(estimators)
            if not told and is_plain(each, y, params.estimator.fit) and takes_steps(each)
        ]  # fmt: skip
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        for i in fused:
            if last_step(estimators[i]).random_state is None:
                last_step(estimators[i]).set_params(random_state=seed)
        weights = params.estimator.fit.get(weight_name(self.estimator))
        given = Given(X, y, splits, weights, params.scorer.score, self.return_train_score)
        out = {}
        for several in with_the_same_steps(fused, candidates, self.estimator):
            out |= self._evaluate_fused(given, {i: estimators[i] for i in several}, scoring, tasks)
        on_paths = [
            i for i, each in enumerate(estimators)
            if i not in fused and is_plain(each, y, params.estimator.fit)
        ]  # fmt: skip
        out |= self._evaluate_paths(given, candidates, estimators, on_paths, scoring, tasks)
        pairs = [(i, j) for i in range(len(candidates)) for j in range(len(splits))]
        alone = [pair for pair in pairs if pair not in out]
        out |= fit_one_by_one(self, X, y, candidates, alone, splits, params, scoring, tasks)
        return [out[pair] for pair in pairs]

    def _evaluate_paths(self, given, candidates, estimators, chosen, scoring, tasks):
        """Return the results of candidates as points of paths, as far as they are."""
        # Callbacks hear of one fit after the other.
        if not chosen or tasks.listening or self.verbose > 1:
            return {}
        with one_thread(), Threads(effective_n_jobs(self.n_jobs)) as threads:
            search = PathSearch(given, candidates, estimators, scoring, threads)
            return search.evaluate(chosen)

    def _evaluate_fused(self, given, estimators, scoring, tasks):
        """Return the results of candidates that see the same rows."""
        first, numbers = next(iter(estimators.values())), range(len(given.splits))
        if not isinstance(first, Pipeline):
            return self._pass(MaskedFolds(given, first), numbers, estimators, scoring, tasks)
        folds = TransformedFolds(given, first)
        if self.race:
            return self._pass(folds, numbers, estimators, scoring, tasks)
        out = {}
        for number in numbers:  # so that one transformed X at a time is in memory
            out |= self._pass(folds, [number], estimators, scoring, tasks)
        return out

    def _pass(self, folds, numbers, estimators, scoring, tasks):
        """Return the results of candidates on some folds whose passes are taken together."""
        strict, out, made = self.error_score == "raise", {}, []
        for number in numbers:
            try:
                made.append(folds.fold(number))
            except Exception:
                if strict:
                    raise
                failed = _failed(format_exc(), scoring, self.return_train_score)
                out |= {(i, number): dict(failed) for i in estimators}
        known = {i: {} for i in estimators}
        trials = [
            Trial(i, last_step(estimator), fold, strict, known[i])
            for fold in made for i, estimator in estimators.items()
        ]  # fmt: skip
        metric = self.refit if scoring.several else "score"
        pairs = [(i, number) for number in numbers for i in estimators]
        told = tasks.evaluating(folds.given, pairs, trials)
        # The products are small for BLAS.
        with told, one_thread(), Threads(effective_n_jobs(self.n_jobs)) as threads:
            race = None
            if self.race:
                race = Halving(scoring, metric if isinstance(metric, str) else None, threads)
            # A scorer of the user's own may look at the history, and count on one after the other.
            monitor = DivergenceMonitor if scoring.needs_answers_alone else ObjectiveMonitor
            train(trials, threads, race, monitor)
            threads = threads if scoring.needs_answers_alone else ALONE
            jobs = [
                (fold, share) for fold in made
                for share in threads.share([each for each in trials if each.fold is fold])
            ]  # fmt: skip
            for results in threads.map(lambda job: self._results(*job, scoring), jobs):
                out |= results
        return out

    def _results(self, fold, trials, scoring):
        """Return the results of the candidates on a fold."""
        out = {}
        fitted = [trial for trial in trials if trial.model is not None]
        for trial in trials:
            out[trial.candidate, fold.number] = {
                **_failed(trial.error, scoring, self.return_train_score),
                "fit_time": trial.seconds, "stop_reason": trial.stop_reason,
            }  # fmt: skip
            if trial.score is not None:  # by the race
                out[trial.candidate, fold.number]["test_scores"] = trial.score
                out[trial.candidate, fold.number]["score_time"] = trial.score_time
        for name in fold.parts:
            chosen = [trial for trial in fitted if name != "test" or trial.score is None]
            if not chosen:
                continue
            started = time.perf_counter()
            scores = fold.scores([trial.model for trial in chosen], scoring, name)
            seconds = (time.perf_counter() - started) / len(chosen)
            for trial, score in zip(chosen, scores, strict=True):
                result = out[trial.candidate, fold.number]
                result[f"{name}_scores"] = score
                result["score_time"] += seconds if name == "test" else 0.0
        return out


def _checked_splits(cv, X, y, params):
    """Return the (train, test) of all splits, as many as the splitter says."""
    n_splits, splits = cv.get_n_splits(X, y, **params), list(cv.split(X, y, **params))
    if len(splits) != n_splits:
        raise ValueError(
            f"cv.split and cv.get_n_splits return inconsistent results. Expected {n_splits} "
            f"splits, got {len(splits)}"
        )
    return splits


def _failed(error, scoring, train_scores):
    """Return the results of a fit that has no scores."""
    scores = scoring.error_score
    if scoring.several:
        scores = dict.fromkeys(scoring.scorers, scores)
    results = {"fit_error": error, "test_scores": scores, "fit_time": 0.0, "score_time": 0.0,
               "stop_reason": "failed"}  # fmt: skip
    return results | ({"train_scores": copy.copy(scores)} if train_scores else {})
