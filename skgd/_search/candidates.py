"""The candidates of a search: what a grid says, and what candidates have in common."""

from numbers import Number

from sklearn.base import clone
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.pipeline import Pipeline

from skgd._estimators.base import BaseGD
from skgd._search.alpha_sequence import alpha_sequence
from skgd._search.scoring import shallow_copy

# What a grid has instead of alphas where the data are to say which.
PATH = "path"
# Parameters whose values a path goes through.
ALONG_PATH = "alpha", "l1_ratio"


def drawn(param_grid, n_iter, random_state, *, estimator, X, y, sample_weight):
    """Return the parameters of all candidates, or of some.

    Parameters
    ----------
    param_grid : dict or list of dicts
    n_iter : int or None
    random_state : int, RandomState or None
    estimator : estimator
        Whose alphas a grid with ``alpha="path"`` gets, for the data.
    X, y, sample_weight : as passed to fit
    """
    grids = param_grid if isinstance(param_grid, list) else [param_grid]
    if n_iter is None:
        for name, values in (pair for grid in grids for pair in dict(grid).items()):
            if hasattr(values, "rvs"):
                raise ValueError(
                    f"param_grid has a distribution for {name!r}: pass n_iter, the number of "
                    "candidates to draw."
                )
    elif n_iter < 1:
        raise ValueError(f"n_iter={n_iter}: pass an integer >= 1, or None.")
    if any(_path_name(grid) for grid in grids):
        if n_iter is not None:
            raise ValueError(
                f"n_iter={n_iter} with alpha='path' in param_grid: pass n_iter=None, which tries "
                "all alphas of the path, or a distribution for alpha."
            )
        return [each for grid in grids for each in _with_alphas(grid, estimator, X, y,
                                                                sample_weight)]  # fmt: skip
    if n_iter is None:
        return list(ParameterGrid(param_grid))
    return list(ParameterSampler(param_grid, n_iter, random_state=random_state))


def _path_name(grid):
    """Return the parameter of a grid whose values the data are to say, or None."""
    for name, values in dict(grid).items():
        if isinstance(values, str) and values == PATH and name.split("__")[-1] == "alpha":
            return name
    return None


def _with_alphas(grid, estimator, X, y, sample_weight):
    """Return the candidates of a grid, each setting of other parameters with its own alphas."""
    name = _path_name(grid)
    if name is None:
        return list(ParameterGrid(grid))
    prefix = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    if name != f"{prefix}alpha" or not isinstance(last_step(estimator), BaseGD):
        raise ValueError(
            f"{name}='path' in param_grid: only the alpha of a GDClassifier or a GDRegressor, or "
            "of one at the end of a Pipeline, has a path; pass a list of alphas."
        )
    found = []
    for params in ParameterGrid({other: grid[other] for other in grid if other != name}):
        alphas = alpha_sequence(candidate(estimator, params), X, y, sample_weight=sample_weight)
        found += [params | {name: float(alpha)} for alpha in alphas]
    return found


def candidate(estimator, params):
    """Return the estimator with the parameters of a candidate."""
    # Parameters may be estimators themselves, which a fit would change.
    return clone(estimator).set_params(**clone(params, safe=False))


def all_candidates(estimator, all_params):
    """Return the estimator with the parameters of each candidate.

    Candidates without steps share the parameters that are not searched, which saves `clone` and
    ``set_params`` most of their time.
    """
    found, names = [], set()
    if isinstance(estimator, BaseGD):
        shared = clone(estimator)
        names = shared.get_params(deep=False).keys()
    for params in all_params:
        if not params.keys() <= names:
            found.append(candidate(estimator, params))
            continue
        found.append(shallow_copy(shared))
        vars(found[-1]).update(clone(params, safe=False))
    return found


def last_step(estimator):
    """Return the last step of a pipeline, or another estimator itself."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def weight_name(estimator):
    """Return the name by which the last step's sample weights are passed to fit."""
    prefix = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    return f"{prefix}sample_weight"


def with_the_same_steps(chosen, candidates, estimator):
    """Return lists of candidates whose parameters of the steps before the last are the same."""
    if not isinstance(estimator, Pipeline):
        return [chosen] if chosen else []
    last = estimator.steps[-1][0]
    return alike(chosen, candidates, lambda name: name.partition("__")[0] != last)


def alike(chosen, candidates, counts):
    """Return lists of candidates that have the same values of the parameters that count.

    Parameters
    ----------
    chosen : list of int
        The numbers of candidates.
    candidates : list of dict
    counts : callable
        Returns whether a parameter of a given name counts.
    """
    groups = {}
    for i in chosen:
        key = tuple(
            (name, _identity(value)) for name, value in sorted(candidates[i].items())
            if counts(name)
        )  # fmt: skip
        groups.setdefault(key, []).append(i)
    return list(groups.values())


def _identity(value):
    """Return what equal values have in common, as far as that can be told."""
    return (type(value), value) if isinstance(value, Number | str) else id(value)
