"""Candidates that nothing is shared for: a fit for each on each split, as GridSearchCV does."""

from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from skgd._search.candidates import last_step
from skgd._utils.sklearn_compat import fit_and_score


def fit_one_by_one(search, X, y, candidates, pairs, splits, params, scoring, tasks):
    """Return the results of pairs of a candidate and a split.

    Parameters
    ----------
    search : GDSearchCV
    X, y : as passed to fit
    candidates : list of dict
    pairs : list of tuple
        The numbers of a candidate and of a split.
    splits : list of (train, test)
    params : Bunch
        Routed to the estimator, the scorer and the splitter.
    scoring : Scoring
    tasks : SearchTasks
    """
    caller = search if tasks.listening else None
    fits = Parallel(n_jobs=search.n_jobs, pre_dispatch=search.pre_dispatch)(
        delayed(fit_and_score)(
            clone(search.estimator), X, y, scorer=scoring.scorer, train=splits[j][0],
            test=splits[j][1], verbose=search.verbose, parameters=candidates[i],
            fit_params=params.estimator.fit, score_params=params.scorer.score,
            return_train_score=search.return_train_score, return_times=True,
            return_estimator=True, split_progress=(j, len(splits)),
            candidate_progress=(i, len(candidates)), error_score=search.error_score,
            caller=caller, callback_ctx=tasks.evaluation(i, j),
        )
        for i, j in pairs
    )  # fmt: skip
    for fit in fits:
        estimator = fit.pop("estimator")
        reason = getattr(last_step(estimator), "stop_reason_", "")
        fit["stop_reason"] = reason if fit["fit_error"] is None else "failed"
    return dict(zip(pairs, fits, strict=True))
