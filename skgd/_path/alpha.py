"""``alpha="auto"``: the alpha of the least leave-one-out loss, or of the least loss of five folds.

Leave-one-out losses follow from fits to all rows where the loss is smooth and the penalty squared
(`_solvers.leave_one_out`). Elsewhere five folds are fitted along the path, each fit continuing from
the last one. What is left out is a row with its whole weight; the others keep theirs, and the
penalty the factor ``alpha sum(s)`` that it has relative to the sum of all losses.
"""

import copy
from dataclasses import dataclass, replace

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils import check_random_state

from skgd._fit.alphas import tried_alphas
from skgd._fit.build_objective import build_objective
from skgd._fit.run import Run
from skgd._fit.state import FitState
from skgd._fit.targets import class_codes
from skgd._path import gram_path
from skgd._solvers import leave_one_out
from skgd._solvers.alpha_walk import still_falls, walk
from skgd._solvers.costs import LeaveOneOut
from skgd._utils.names import shown

FOLDS = 5
# How the fits to the folds end, whatever ends the fit itself.
MAX_ITER, TOL = 1000, 1e-4
# How often a path continues to smaller alphas because its last one is the best, and how far.
EXTENSIONS, EXTENSION = 6, 0.03


@dataclass(frozen=True, eq=False)
class AlphaChoice:
    """The alpha of a fit.

    Attributes
    ----------
    alpha : float
    path : dict or None
        The arrays ``alpha``, in rising order, and ``loss``; None where alpha was given.
    warnings : list of (category, message)
    """

    alpha: float
    path: dict | None = None
    warnings: tuple = ()

    @property
    def attributes(self):
        """The attributes of an estimator that describe its alpha."""
        return {"alpha_": self.alpha, "alpha_path_": self.path}


def choose_alpha(settings, targets, sample):
    """Return the settings with a number for alpha, and the `AlphaChoice`.

    Parameters
    ----------
    settings : Settings
    targets : Targets
    sample : Sample
    """
    if not settings.chooses_alpha:
        return settings, AlphaChoice(float(settings.alpha))
    if settings.penalty is None:
        return replace(settings, alpha=0.0), AlphaChoice(0.0)
    _check_rate(settings)
    _check_loss(settings)
    choice = _choose(settings, targets, sample)
    return replace(settings, alpha=choice.alpha), choice


def _check_rate(settings):
    if not settings.has_automatic_rate:
        raise ValueError(
            f"alpha='auto' with learning_rate={shown(settings.learning_rate)}: the best alpha of "
            "the minimum is not that of steps with a given rate; pass learning_rate='auto', or "
            "search with GDSearchCV(estimator, {'alpha': [...], 'learning_rate': [...]})."
        )


def _check_loss(settings):
    if settings.loss.homogeneous:
        raise ValueError(
            f"alpha='auto' with loss={settings.named_loss!r}, which is least for coefficients of 0 "
            "whatever the rows: pass a number, or search with GDSearchCV, which compares scores."
        )


def _choose(settings, targets, sample):
    solved = replace(
        settings, alpha=1.0, optimizer="auto", batch_size="auto", precondition="auto",
        init="zeros", average=False, early_stopping=False, verbose=0, max_iter=MAX_ITER,
        tol=TOL if settings.tol is None else min(settings.tol, TOL),
    )  # fmt: skip
    run = _run(solved, targets, sample)
    counted = run.problem.weighted_rows()
    if (run.problem.n if counted is None else len(counted)) < 2:
        raise ValueError(
            "alpha='auto' with 1 sample of a weight above 0, which cannot be left out: pass more "
            "rows, or a number for alpha."
        )
    alphas = tried_alphas(run)
    choice = _by_leaving_one_out(run, alphas) if leave_one_out.suits(run.objective) else None
    return _by_folds(solved, targets, sample, run, alphas) if choice is None else choice


def _run(settings, targets, sample, previous=None):
    state = FitState.empty(sample.X.shape[1], targets.n_outputs)
    return Run(settings, targets, sample, state, previous=previous)


def _choice(alphas, losses, found=()):
    order = np.argsort(alphas)
    alphas, losses = alphas[order], losses[order]
    best = int(np.nanargmin(losses))
    found = list(found)
    if still_falls(alphas, losses):
        found.append((UserWarning, (
            f"alpha='auto': the loss of rows that are left out still falls at the smallest alpha, "
            f"{alphas[0]:.3g}, as where classes can be separated without an error: compare smaller "
            "ones with GDSearchCV."
        )))  # fmt: skip
    path = {"alpha": alphas, "loss": losses}
    return AlphaChoice(float(alphas[best]), path, tuple(found))


# ---- leaving one out ----------------------------------------------------------------------------

def _by_leaving_one_out(run, alphas):
    """Return the choice by leave-one-out losses; None where they do not follow from a fit."""
    def objective_at(alpha):
        return build_objective(
            replace(run.settings, alpha=float(alpha)), run.problem, run.plan, run.state.moments,
            run.state.target_moments, run.shared,
        )  # fmt: skip

    baseline = run.history.baseline
    found = leave_one_out.along(objective_at, alphas, baseline.model, baseline.objective)
    if found is None:
        return None
    losses = np.minimum(found.losses, np.finfo(float).max)
    near, messages = int(found.near[np.nanargmin(losses)]), []
    if near:
        messages.append((UserWarning, (
            f"alpha='auto': {near} of {run.problem.n} rows decide alone about their own "
            "predictions at the best alpha, so that the loss of leaving them out is uncertain: "
            "compare with the folds of GDSearchCV."
        )))  # fmt: skip
    return _choice(found.alphas, losses, messages)


# ---- folds --------------------------------------------------------------------------------------

def _by_folds(settings, targets, sample, run, alphas):
    folds = FoldPaths([
        FoldPath(settings, targets, *parts) for parts in _folds(settings, targets, sample)
    ])  # fmt: skip
    if gram_path.is_for(settings):
        losses = folds.along(alphas)
        if losses is not None and not still_falls(alphas, losses):
            return _choice(alphas, losses)
    baseline = float(np.sum(run.problem.losses(*run.history.baseline.model)))
    # The largest alpha of an empty model costs nothing.
    first = 0 if run.objective.proximal else LeaveOneOut.first
    found = walk(folds, alphas, baseline, first)
    for _ in range(EXTENSIONS):
        if not still_falls(found.alphas, found.losses):
            break
        # Columns of other scales may follow.
        smallest = found.alphas.min()
        for alpha in smallest * np.geomspace(1.0, EXTENSION, len(alphas) // 4 + 1)[1:]:
            folds.move_to(alpha)
            found = found.with_more(alpha, *folds.left_out())
    return _choice(found.alphas, found.losses)


class FoldPaths:
    """The fits of all folds for one alpha.

    Parameters
    ----------
    folds : list of FoldPath
    """

    def __init__(self, folds):
        self.folds, self.loss = folds, np.nan

    def __copy__(self):
        return FoldPaths([copy.copy(fold) for fold in self.folds])

    def move_to(self, alpha):
        """Fit to all folds, from the last alpha."""
        weight = sum(fold.weight for fold in self.folds)
        self.loss = sum(fold.loss(alpha) for fold in self.folds) / weight

    def along(self, alphas):
        """Return the mean losses of alphas whose paths need no fits; None where there are none."""
        sums = [fold.squared_errors(alphas) for fold in self.folds]
        if any(losses is None for losses in sums):
            return None
        return np.sum(sums, axis=0) / sum(fold.weight for fold in self.folds)

    def left_out(self, enough=np.inf):
        """Return the mean loss of held-out rows, and 0, as by leaving out single rows."""
        return self.loss, 0


def _folds(settings, targets, sample):
    """Return samples to train on and to score, of rows with a weight."""
    weights = sample.masked_weights()
    rows = np.arange(sample.X.shape[0]) if weights is None else np.flatnonzero(weights)
    n_folds, kind, labels = min(FOLDS, len(rows)), KFold, None
    if settings.task == "classification":
        codes = class_codes(sample.targets)[rows]
        least = np.bincount(codes)[np.unique(codes)].min()
        if least > 1:
            n_folds, kind, labels = min(n_folds, int(least)), StratifiedKFold, codes
    seed = check_random_state(settings.random_state).randint(2**31 - 1)
    splitter = kind(n_folds, shuffle=True, random_state=seed)
    return [
        (sample.only(rows[train]), sample.only(rows[test]))
        for train, test in splitter.split(rows, labels)
    ]


class FoldPath:
    """Fits to the rows of a fold along alphas, each continuing from the last one.

    Parameters
    ----------
    settings : Settings
    targets : Targets
    train, held_out : Sample

    Attributes
    ----------
    weight : float
        That of the held-out rows.
    """

    def __init__(self, settings, targets, train, held_out):
        self.settings, self.targets, self.train = settings, targets, train
        self.previous = None
        run = _run(settings, targets, train)
        self.scored = run.make_problem(held_out)
        self.weight = self.scored.weight_sum

    def squared_errors(self, alphas):
        """Return the sums of the losses along a path on a Gram matrix; None without one."""
        points = gram_path.path_of_sample(self.train, self.settings, alphas)
        if any(point is None for point in points):
            return None
        return np.array([self._loss_of(point.coef, point.intercept) for point in points])

    def _loss_of(self, *model):
        model = map(np.ascontiguousarray, model)
        return self.weight * self.scored.losses(*model).sum()

    def loss(self, alpha):
        """Return the sum of the held-out rows' losses."""
        settings = replace(self.settings, alpha=float(alpha))
        self.previous = _run(settings, self.targets, self.train, self.previous).descend()
        return self._loss_of(*self.previous)
