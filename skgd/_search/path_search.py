"""Candidates that differ in ``alpha`` and ``l1_ratio`` alone, on the folds of a cross-validation.

Their models are points of paths. Squared errors on few columns walk them on Gram matrices, those of
groups of rows that folds share; other smooth losses share Hessians. What a path cannot do, and what
fails, is fitted one by one.
"""

import time
from dataclasses import dataclass

import numpy as np
from sklearn.pipeline import Pipeline

from skgd._estimators.base import BaseGD
from skgd._fit.plan import choose_optimizer
from skgd._fit.run import Run
from skgd._fit.settings import Settings
from skgd._fit.state import FitState
from skgd._path import gram_path, newton_path
from skgd._problem.fold_grams import FoldGrams
from skgd._search.candidates import ALONG_PATH, alike, last_step, weight_name
from skgd._search.folds import MaskedFolds, SplitFolds
from skgd._utils.threads import ALONE
from skgd.optimizers import Optimizer

# Iterations within which a path's fits would have converged one by one.
ENOUGH = 100
# Alphas from which a path of Newton's method saves time.
FEWEST = 3


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
    try:
        optimizer = choose_optimizer(
            settings.optimizer, settings.learning_rate, settings.batch_size, partial=False
        )
    except (TypeError, ValueError):
        return False
    starts_at_zero = isinstance(settings.init, str) and settings.init == "zeros"
    on_the_way = (
        settings.early_stopping or settings.warm_start or settings.average or settings.verbose
        or settings.scoring is not None or settings.tol is None or settings.precondition is None
    )  # fmt: skip
    return (
        optimizer is None and starts_at_zero and not on_the_way and settings.max_iter >= ENOUGH
        and settings.loss.convex and not settings.loss.homogeneous
    )  # fmt: skip


def _settings_of(estimator):
    """Return the checked parameters of a candidate whose path may be walked, or None."""
    try:
        settings = Settings.of(last_step(estimator))
    except (TypeError, ValueError):
        return None
    return settings if ends_at_minimum(settings) else None


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
    """

    given: object
    candidates: list
    estimators: list
    scoring: object
    threads: object

    def evaluate(self, chosen):
        """Return the results of candidates on the folds, as far as paths have come to them.

        Parameters
        ----------
        chosen : list of int
            The numbers of candidates that may be on a path.
        """
        settings = {i: _settings_of(self.estimators[i]) for i in chosen}
        chosen, out = [i for i in chosen if settings[i] is not None], {}
        for several in alike(chosen, self.candidates, lambda name: not _is_along(name)):
            paths = alike(several, self.candidates, lambda name: name.split("__")[-1] != "alpha")
            paths = [[(i, settings[i]) for i in path] for path in paths]
            out |= self._evaluate_alike(paths)
        return out

    def _evaluate_alike(self, paths):
        """Return the results of paths whose candidates differ in alpha and l1_ratio alone."""
        first, numbers = self.estimators[paths[0][0][0]], range(len(self.given.splits))
        if not gram_path.is_for(paths[0][0][1]):
            if len(paths[0]) < FEWEST:
                return {}
            splits = SplitFolds(self.given, first)
            return self._walk(lambda number: self._newton_paths(splits, paths, number), numbers)
        folds = MaskedFolds(self.given, first)
        try:
            made = [folds.fold(number) for number in numbers]
        except Exception:  # which a fit to the fold alone reports
            return {}
        sample = made[0].sample
        least = min(np.count_nonzero(fold.sample.weights) for fold in made)
        paths = [path for path in paths if gram_path.suits(path[0][1], sample.X.shape[1], least)]
        return self._walk_on_grams(made, paths) if paths else {}

    def _walk(self, walk, jobs):
        """Return the results of all folds, one or a thread after the other."""
        out, threads = {}, self.threads if self.scoring.needs_answers_alone else ALONE
        for results in threads.map(walk, jobs):
            out |= results
        return out

    # ---- smooth losses --------------------------------------------------------------------------

    def _newton_paths(self, folds, paths, number):
        """Return the results of paths on a fold, as far as Newton's method has come to them."""
        started, points = time.perf_counter(), {}
        try:
            fold = folds.fold(number)
            for path in paths:
                smallest = min((settings for _, settings in path), key=lambda each: each.alpha)
                targets, d = fold.targets.with_settings(smallest), fold.sample.X.shape[1]
                state = FitState.empty(d, targets.n_outputs)
                run = Run(smallest, targets, fold.sample, state)
                if not newton_path.suits(run):
                    return {}
                alphas = [settings.alpha for _, settings in path]
                found = newton_path.path(run, alphas, self.threads.pause)
                points |= {i: point for (i, _), point in zip(path, found, strict=True)
                           if point is not None}  # fmt: skip
        except (FloatingPointError, ValueError, np.linalg.LinAlgError):
            return {}
        if not points:
            return {}
        return self._results(fold, points, (time.perf_counter() - started) / len(points))

    # ---- squared errors on few columns ----------------------------------------------------------

    def _walk_on_grams(self, folds, paths):
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
            seconds = shared + (time.perf_counter() - started) / len(points)
            return self._results(fold, points, seconds)

        return self._walk(walk, folds)

    # ---- scores ---------------------------------------------------------------------------------

    def _results(self, fold, points, seconds):
        """Return the results of the candidates whose models on a fold are known."""
        models = {i: self._model(fold, i, point) for i, point in points.items()}
        out = {
            (i, fold.number): {
                "fit_error": None, "fit_time": seconds, "score_time": 0.0,
                "stop_reason": str(point.stop),
            }
            for i, point in points.items()
        }  # fmt: skip
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


def _is_along(name):
    return name.split("__")[-1] in ALONG_PATH
