"""Candidates that differ in ``alpha`` and ``l1_ratio`` alone, on the folds of a cross-validation.

Their models are points of paths. Squared errors on few columns walk them on Gram matrices, those of
groups of rows that folds share; other smooth losses share Hessians. What a path cannot do, and what
fails, is fitted one by one.
"""

import re
import time
import warnings
from dataclasses import dataclass, field

import numpy as np
from sklearn.pipeline import Pipeline

from skgd._estimators.base import BaseGD
from skgd._fit.diagnosis import Diagnosis
from skgd._fit.plan import choose_optimizer
from skgd._fit.run import fresh_run, raw_model
from skgd._fit.settings import Settings
from skgd._path import gram_path, lasso_path, newton_path, warm_path
from skgd._problem.fold_grams import FoldGrams
from skgd._search.candidates import ALONG_PATH, alike, last_step, weight_name
from skgd._search.folds import MaskedFolds, SplitFolds, TransformedFolds
from skgd._utils.threads import ALONE
from skgd.optimizers import Optimizer

# Iterations within which a path's fits would have converged one by one.
ENOUGH = 100
# Alphas from which a path of Newton's method saves time.
FEWEST = 3
# Coefficients of the models of a fold that are scored together: 64 MB.
FILLED = 2**23


def is_plain(estimator, y, fit_params):
    """Tell whether fitting a candidate is skgd's own affair, with nothing else asked for."""
    last = last_step(estimator)
    if y is None or not isinstance(last, BaseGD) or type(last).fit is not BaseGD.fit:
        return False
    if estimator is not last and (type(estimator) is not Pipeline or len(estimator.steps) == 1):
        return False
    if fit_params.keys() - {weight_name(estimator)} or isinstance(last.alpha, str):
        return False
    return not any(getattr(each, "_skl_callbacks", None) for each in (estimator, last))


def takes_steps(estimator):
    """Tell whether a candidate takes update steps on batches."""
    last = last_step(estimator)
    try:
        optimizer = choose_optimizer(
            last.optimizer, last.learning_rate, last.batch_size, partial=False
        )
    except (TypeError, ValueError):
        return False
    full = isinstance(last.batch_size, str) and last.batch_size == "full"
    return isinstance(optimizer, Optimizer) and not full


def ends_at_minimum(settings):
    """Tell whether a fit comes to the minimum by "auto", with nothing that shows on the way."""
    optimizer = choose_optimizer(
        settings.optimizer, settings.learning_rate, settings.batch_size, partial=False
    )
    starts_at_zero = isinstance(settings.init, str) and settings.init == "zeros"
    on_the_way = settings.average or settings.tol is None or settings.precondition is None
    return (
        optimizer is None and starts_at_zero and not on_the_way and settings.max_iter >= ENOUGH
        and settings.loss.convex and is_quiet(settings)
    )  # fmt: skip


def is_quiet(settings):
    """Tell whether a fit needs its rows alone, and tells nobody of its epochs."""
    needs_more = settings.early_stopping or settings.warm_start or settings.scoring is not None
    return not (needs_more or settings.verbose or settings.loss.homogeneous)


def _settings_of(estimator):
    """Return the checked parameters of a candidate whose fit can share work, or None."""
    try:
        settings = Settings.of(last_step(estimator))
        choose_optimizer(
            settings.optimizer, settings.learning_rate, settings.batch_size, partial=False
        )
    except (TypeError, ValueError):
        return None
    return settings if is_quiet(settings) else None


def squared_error_path(sample, settings, alphas, pause=lambda: None):
    """Return the minimisers of squared errors for alphas on a sample; None for each not found."""
    points = gram_path.path_of_sample(sample, settings, alphas, pause)
    if all(point is None for point in points):
        return lasso_path.path_of_sample(sample, settings, alphas, pause)
    return points


@dataclass
class PathSearch:
    """What the paths of a search share.

    Attributes
    ----------
    given : Given
    candidates : list of dict
    estimators : list of estimator
        With the parameters of each candidate.
    scoring : Scoring
    threads : Threads
        That share the folds.
    told : dict
        The messages of fits, by what they have in common.
    """

    given: object
    candidates: list
    estimators: list
    scoring: object
    threads: object
    told: dict = field(default_factory=dict)

    def evaluate(self, chosen):
        """Return the results of candidates on the folds, as far as paths have come to them.

        Parameters
        ----------
        chosen : list of int
            The numbers of candidates that may be on a path.
        """
        settings = {i: _settings_of(self.estimators[i]) for i in chosen}
        chosen, out = [i for i in chosen if settings[i] is not None], {}
        along = {f"{self.prefix}{name}" for name in ALONG_PATH}
        groups = []
        for several in alike(chosen, self.candidates, lambda name: name not in along):
            paths = alike(several, self.candidates, lambda name: name != f"{self.prefix}alpha")
            groups.append([[(i, settings[i]) for i in path] for path in paths])
        masked = None
        for paths in groups:
            i, first = paths[0][0]
            if isinstance(self.estimators[i], Pipeline) or not ends_at_minimum(first):
                continue
            if gram_path.is_for(first):
                masked = MaskedFolds(self.given, self.estimators[i], masked)
                out |= self._walk_together(masked, paths)
        out |= self._fold_by_fold(groups, out)
        self._warn()
        return out

    @property
    def prefix(self):
        return weight_name(self.estimators[0]).removesuffix("sample_weight")

    def _fold_by_fold(self, groups, known):
        """Return the results that are not known, of all groups on a fold before the next fold.

        Parameters
        ----------
        groups : list of list of list of (int, Settings)
            Paths whose candidates differ in alpha and l1_ratio alone.
        known : dict
            Results, by candidate and split.
        """
        folds, shared = [], None
        for paths in groups:
            i, settings = paths[0][0]
            if isinstance(self.estimators[i], Pipeline):
                folds.append(TransformedFolds(self.given, self.estimators[i]))
            else:
                shared = SplitFolds(self.given, self.estimators[i], shared)
                folds.append(shared)
        jobs = [
            (each, paths) for each, paths in zip(folds, groups, strict=True)
            if self.scoring.needs_answers_alone or ends_at_minimum(paths[0][0][1])
        ]  # fmt: skip

        def left(paths, number):
            parts = [[pair for pair in path if (pair[0], number) not in known] for path in paths]
            return [part for part in parts if part]

        def walk(number):
            results, fold = {}, None
            for each, paths in jobs:
                if left(paths, number):
                    try:
                        fold = each.fold(number, fold)
                    except Exception:  # which a fit to the fold alone reports
                        continue
                    results |= self._on_fold(fold, left(paths, number))
            return results

        numbers = range(len(self.given.splits))
        return self._walk(walk, [
            number for number in numbers if any(left(paths, number) for _, paths in jobs)
        ])  # fmt: skip

    def _walk(self, walk, jobs):
        """Return the results of all folds, one or a thread after the other."""
        out, threads = {}, self.threads if self.scoring.needs_answers_alone else ALONE
        for results in threads.map(walk, jobs):
            out |= results
        return out

    def _on_fold(self, fold, paths):
        """Return the results of paths on a fold, as far as they finish."""
        started, points = time.perf_counter(), {}
        for path in paths:
            found = self._points(fold, [settings for _, settings in path])
            points |= {i: point for (i, _), point in zip(path, found, strict=True)
                       if point is not None}  # fmt: skip
        models = {i: self._model(fold, i, point) for i, point in points.items()}
        stops = {i: str(point.stop) for i, point in points.items()}
        seconds = dict.fromkeys(
            points, (time.perf_counter() - started) / max(1, len(points))
        )  # fmt: skip
        for path in paths:
            last, falling = None, sorted(path, key=lambda pair: -pair[1].alpha)
            falling = [pair for pair in falling if pair[0] not in points]
            for i, settings in falling:
                self.threads.pause()
                started = time.perf_counter()
                fitted, last = self._fit(fold, i, settings, last, leads_on=i != falling[-1][0])
                if fitted is not None:
                    models[i], stops[i] = fitted, fitted.stop_reason_
                    seconds[i] = time.perf_counter() - started
        return self._results(fold, models, stops, seconds)

    def _points(self, fold, settings):
        """Return the points of a path on a fold; None for those to which no path leads."""
        sample, nothing = fold.sample, [None] * len(settings)
        smallest = min(settings, key=lambda each: each.alpha)
        alphas = [each.alpha for each in settings]
        if not ends_at_minimum(smallest):
            return nothing
        targets = fold.targets.with_settings(smallest)
        try:
            if gram_path.is_for(smallest):
                if not isinstance(self.estimators[0], Pipeline):
                    return nothing
                return squared_error_path(sample, smallest, alphas, self.threads.pause)
            if len(settings) < FEWEST:
                return nothing
            run = fresh_run(smallest, targets, sample)
            if newton_path.suits(run):
                return newton_path.path(run, alphas, self.threads.pause)
        except (FloatingPointError, ValueError, np.linalg.LinAlgError):
            pass
        return nothing

    def _fit(self, fold, i, settings, last, *, leads_on):
        """Return a candidate fitted to a fold by itself, and where that ended; None if it fails.

        What the fits of a fold have in common is checked and computed once.

        Parameters
        ----------
        last : End or None
            Where the fit for the alpha before ended.
        leads_on : bool
            Whether a fit for a smaller alpha follows.
        """
        if not self.scoring.needs_answers_alone:
            return None, None
        model = fold.informed(last_step(self.estimators[i]))
        try:
            targets = fold.targets.with_settings(settings)
            run, (coef, intercept), end = warm_path.fit(settings, targets, fold.sample, last)
            vars(model).update(run.attributes(coef, intercept))
            names = getattr(model, "feature_names_in_", None)
            diagnosis = Diagnosis(run, *raw_model(vars(model), *coef.shape), names)
            for category, message in diagnosis.warnings():
                self.told.setdefault((category, re.sub(r"[-+.\de]+", "", message)), []).append(
                    message
                )
            is_start = leads_on and model.converged_ and ends_at_minimum(settings)
            last = end if is_start and warm_path.suits(run) else None
        except Exception:  # which a fit to the fold alone reports
            return None, None
        return model, last

    def _warn(self):
        """Warn once of what many fits have in common."""
        for (category, _), messages in self.told.items():
            others = f" So do {len(messages) - 1} other fits." if len(messages) > 1 else ""
            warnings.warn(messages[0] + others, category)
        self.told.clear()

    # ---- squared errors, all folds together -----------------------------------------------------

    def _walk_together(self, masked, paths):
        """Return the results of paths of squared errors, as far as they are found."""
        try:
            folds = [masked.fold(number) for number in range(len(self.given.splits))]
        except Exception:  # which a fit to the fold alone reports
            return {}
        (_, d), k = folds[0].sample.X.shape, folds[0].sample.n_outputs
        least, out = min(np.count_nonzero(fold.sample.weights) for fold in folds), {}
        on_grams = [path for path in paths if gram_path.suits(path[0][1], d, least)]
        if on_grams:
            out |= self._walk_on_grams(folds, on_grams)
        for path in paths:
            if path not in on_grams and lasso_path.suits(path[0][1], k, d):
                out |= self._walk_on_columns(folds, path)
        return out

    def _walk_on_columns(self, folds, path):
        """Return the results of a path on few of many columns."""
        started, samples = time.perf_counter(), [fold.sample for fold in folds]
        alphas = [settings.alpha for _, settings in path]
        found = lasso_path.paths(samples, path[0][1], alphas, self.threads.pause, self.threads.map)
        n_found = sum(point is not None for points in found for point in points)
        seconds = (time.perf_counter() - started) / max(1, n_found)
        d = samples[0].X.shape[1]
        size = max(1, FILLED // d)

        def walk(fold):
            """Return the results of a fold, for some alphas at a time: coefficients are many."""
            results = {}
            pairs = [(i, point) for (i, _), point in zip(path, found[fold.number], strict=True)
                     if point is not None]  # fmt: skip
            for start in range(0, len(pairs), size):
                points = {i: point.filled(d) for i, point in pairs[start:start + size]}
                models = {i: self._model(fold, i, point) for i, point in points.items()}
                stops = {i: str(point.stop) for i, point in points.items()}
                results |= self._results(fold, models, stops, dict.fromkeys(points, seconds))
            return results

        return self._walk(walk, folds)

    def _walk_on_grams(self, folds, paths):
        """Return the results of paths on the Gram matrices of groups of rows."""
        started, sample = time.perf_counter(), folds[0].sample
        counts = self.given.counts()
        grams = FoldGrams(sample.X, sample.targets, counts, self.given.checked_weights())
        of_groups = self.threads.map(grams.of_group, range(len(grams.groups)))
        n_fits = len(folds) * sum(map(len, paths))
        shared = (time.perf_counter() - started) / n_fits

        def walk(fold):
            """Return the points of all paths on a fold, by candidate, or none where one fails."""
            started = time.perf_counter()
            try:
                gram, points = grams.of_fold(fold.number, of_groups), {}
                if grams.loses_digits(fold.number, gram, centred=paths[0][0][1].fit_intercept):
                    return {}
                for path in paths:
                    alphas = [settings.alpha for _, settings in path]
                    found = gram_path.path(
                        gram, path[0][1], alphas, sample.n_outputs, self.threads.pause
                    )
                    points |= dict(zip((i for i, _ in path), found, strict=True))
            except (FloatingPointError, ValueError, np.linalg.LinAlgError):
                return {}
            models = {i: self._model(fold, i, point) for i, point in points.items()}
            seconds = shared + (time.perf_counter() - started) / len(points)
            stops = {i: str(point.stop) for i, point in points.items()}
            return self._results(fold, models, stops, dict.fromkeys(points, seconds))

        return self._walk(walk, folds)

    # ---- scores ---------------------------------------------------------------------------------

    def _results(self, fold, models, stops, seconds):
        """Return the results of the candidates whose models on a fold are known."""
        out = {
            (i, fold.number): {
                "fit_error": None, "fit_time": seconds[i], "score_time": 0.0,
                "stop_reason": stops[i],
            }
            for i in models
        }  # fmt: skip
        if not models:
            return out
        for name in fold.parts:
            started = time.perf_counter()
            scores = fold.scores(list(models.values()), self.scoring, name)
            each = (time.perf_counter() - started) / len(models)
            for i, score in zip(models, scores, strict=True):
                result = out[i, fold.number]
                result[f"{name}_scores"] = score
                result["score_time"] += each if name == "test" else 0.0
        return out

    def _model(self, fold, i, point):
        """Return a candidate fitted to a fold, with all attributes where a scorer may look."""
        model = fold.informed(last_step(self.estimators[i]))
        if not self.scoring.needs_answers_alone:
            vars(model).update(point.attributes())
        is_regression = not hasattr(model, "classes_")
        targets = fold.sample.targets if is_regression else None
        known = point.predictor(fold.targets, fold.sample.X.dtype, targets)
        vars(model).update(known)
        return model
