"""Callbacks of a search: its tasks, as those of scikit-learn's ``GridSearchCV``.

The fit of a search has the tasks "search", in which each candidate on each fold is a
"candidate-split-evaluation", and "refit-with-best-params".
"""

from contextlib import ExitStack, contextmanager
from functools import cache

from skgd._fit.tasks import FitTasks
from skgd._search.scoring import shallow_copy
from skgd._utils.sklearn_compat import callback_context, propagation_depth


class SearchTasks:
    """The tasks of one call of a search's fit, as its callbacks see them.

    Parameters
    ----------
    search : GDSearchCV
    candidates : list of dict
    X, y : as passed to fit
    sample_weight : array or None
        As passed to fit.
    """

    def __init__(self, search, candidates, X, y, sample_weight):
        self.search, self.sample_weight = search, sample_weight
        self.listening = _has_callbacks(search, candidates)
        self.data = {"X": X, "y": y, "metadata": _metadata(sample_weight)}
        self.root = self.search_context = None
        self.evaluations = {}
        if self.listening:
            self.root = callback_context(search, 1 + (search.refit is not False))
            self.root.call_on_fit_task_begin(estimator=search, **self.data)

    def begin_search(self, n_candidates, n_splits):
        """Tell that the candidates are about to be evaluated.

        All contexts are made here: joblib pickles their tree while it hands the tasks out.
        """
        if not self.listening:
            return
        n = n_candidates * n_splits
        context = self.root.subcontext("search", max_subtasks=n, sequential_subtasks=False)
        self.search_context = context.call_on_fit_task_begin(estimator=self.search)
        self.evaluations = {
            divmod(i, n_splits): context.subcontext("candidate-split-evaluation", i)
            for i in range(n)
        }

    def evaluation(self, candidate, number):
        """Return the context of a candidate on a split, or None where nobody listens."""
        return self.evaluations.get((candidate, number))

    @property
    def reach_candidates(self):
        """Whether a callback is propagated to the estimators that the search fits."""
        if not self.listening:
            return False
        limits = [
            callback.max_propagation_depth
            for callback in getattr(self.search, "_skl_callbacks", ())
            if hasattr(callback, "max_propagation_depth")
        ]  # fmt: skip
        return any(limit is None or propagation_depth(self.root) < limit for limit in limits)

    def end_search(self):
        """Tell that the candidates are evaluated."""
        if self.listening:
            self.search_context.call_on_fit_task_end(estimator=self.search)

    @contextmanager
    def refitting(self, estimator):
        """Report the fit of the best candidate to all rows, and let it report its own tasks."""
        if not self.listening:
            yield
            return
        context = self.root.subcontext("refit-with-best-params")
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(estimator=self.search, **self.data)
            yield
        context.call_on_fit_task_end(estimator=self.search, **self.data)

    def end(self):
        """Tell that the search is over."""
        if self.listening:
            self.root.call_on_fit_task_end(estimator=self.search, **self.data)

    @contextmanager
    def evaluating(self, given, pairs, trials):
        """Report candidates that are evaluated together.

        Parameters
        ----------
        given : Given
        pairs : list of tuple
            The numbers of a candidate and of a split.
        trials : list of Trial
            Those of the pairs that can be trained.
        """
        if not self.listening:
            yield
            return
        rows = {number: self._rows(given, number) for number in {number for _, number in pairs}}
        with ExitStack() as links:
            for trial in trials if self.reach_candidates else []:
                context = self.evaluation(trial.candidate, trial.fold.number)
                trial.tasks = TrialTasks(trial.estimator, given.weights is not None)
                links.enter_context(context.propagate_callback_context(trial.tasks.estimator))
            for pair in pairs:
                self.evaluation(*pair).call_on_fit_task_begin(
                    estimator=self.search, **rows[pair[1]]
                )
            try:
                yield
            finally:
                for pair in pairs:
                    self.evaluation(*pair).call_on_fit_task_end(
                        estimator=self.search, **rows[pair[1]]
                    )

    def _rows(self, given, number):
        """Return what hooks get of the rows that a split trains on, taken once one asks."""
        train = given.rows(number)["train"]
        taken = cache(lambda: given.taken(train))
        weights = given.split_along(self.sample_weight, train)
        return {"X": lambda: taken()[0], "y": lambda: taken()[1], "metadata": _metadata(weights)}


class TrialTasks:
    """What the callbacks of a search hear of a fit that shares its passes.

    Parameters
    ----------
    estimator : GDClassifier or GDRegressor
        Not changed.
    weighted : bool
        Whether the user passed sample weights.
    """

    def __init__(self, estimator, weighted):
        self.estimator, self.weighted = shallow_copy(estimator), weighted
        self.fit = None

    def begin(self, sample):
        """Return the tasks of the fit to a sample."""
        weights = sample.masked_weights()
        if weights is not None:
            sample = sample.only(weights.nonzero()[0])
        self.fit = FitTasks(self.estimator, sample, sample.weights if self.weighted else None)
        self.fit.begin()
        return self.fit

    def end(self, model):
        """Tell that the fit is over."""
        self.fit.end(lambda: vars(model))


def _has_callbacks(search, candidates):
    """Whether a search or an estimator that it fits has callbacks."""
    values = [search, *search.get_params(deep=True).values()]
    values += [value for candidate in candidates for value in candidate.values()]
    return any(getattr(value, "_skl_callbacks", None) for value in values)


def _metadata(sample_weight):
    return None if sample_weight is None else {"sample_weight": sample_weight}
