"""Callbacks of searches: the tasks of GridSearchCV, whether candidates share their passes or not.

The cases are those of scikit-learn's own tests (sklearn/model_selection/tests/test_search.py), with
candidates that are trained together besides.
"""

from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd.callbacks import Callback, TimeLimit
from skgd.optimizers import Optimizer

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The estimator GaussianNB does not support callbacks"),
]

X, Y = load_iris(return_X_y=True)
X, Y = X[::2], Y[::2]
MODEL = GDClassifier(batch_size=8, max_iter=4, tol=None, random_state=0)
RATES = {"learning_rate": [0.01, 0.1, 1.0]}


class Recorder(Callback):
    """Keeps what it hears; it isn't propagated."""

    def __init__(self):
        self.heard = []

    def setup(self, estimator, context):
        self.heard.append(("setup", context.task_name, estimator, {}))

    def teardown(self, estimator, context):
        self.heard.append(("teardown", context.task_name, estimator, {}))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.heard.append(("begin", context.task_name, estimator, {"X": X, "y": y, **(metadata or {})}))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        told = {"X": X, "y": y, "fitted": fitted_estimator, **(metadata or {})}
        self.heard.append(("end", context.task_name, estimator, told))

    def counts(self, hook):
        return Counter(name for which, name, *_ in self.heard if which == hook)

    def told(self, hook, task):
        return [told for which, name, _, told in self.heard if (which, name) == (hook, task)]


class Propagated(Recorder):
    max_propagation_depth = None


def tasks_of(n_evaluations, refit):
    tasks = Counter({"fit": 1, "search": 1, "candidate-split-evaluation": n_evaluations})
    return tasks + Counter({"refit-with-best-params": int(refit)})


ALIKE = [  # an estimator without callbacks, steps on batches, all rows for a step, a pipeline
    (GaussianNB(), {"var_smoothing": [1e-9, 1e-3, 0.1]}),
    (MODEL, RATES),
    (GDClassifier(optimizer="lbfgs", max_iter=3, tol=None), {"alpha": [1e-3, 0.1, 1.0]}),
    (make_pipeline(StandardScaler(), MODEL), {f"gdclassifier__{k}": v for k, v in RATES.items()}),
]


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("estimator, grid", ALIKE)
@pytest.mark.parametrize("race", [True, False])
def test_a_search_tells_of_its_own_tasks(estimator, grid, refit, race):
    recorder = Recorder()
    search = GDSearchCV(estimator, grid, cv=2, refit=refit, race=race).set_callbacks(recorder)
    search.fit(X, Y)
    assert recorder.counts("setup") == recorder.counts("teardown") == {"fit": 1}
    assert recorder.counts("begin") == recorder.counts("end") == tasks_of(6, refit)
    assert all(estimator is search for _, _, estimator, _ in recorder.heard)


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("estimator, grid", ALIKE)
def test_a_propagated_callback_hears_what_it_hears_in_grid_search(estimator, grid, refit):
    ours, theirs = Propagated(), Propagated()
    GDSearchCV(estimator, grid, cv=2, refit=refit, race=False).set_callbacks(ours).fit(X, Y)
    GridSearchCV(estimator, grid, cv=2, refit=refit).set_callbacks(theirs).fit(X, Y)
    for hook in ("setup", "teardown", "begin", "end"):
        assert ours.counts(hook) == theirs.counts(hook)
    assert ours.counts("end")["epoch"] == (6 + refit) * getattr(estimator, "max_iter", 4) or (
        isinstance(estimator, GaussianNB)
    )


@pytest.mark.parametrize("race", [True, False])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_a_callback_that_only_listens_changes_nothing(race, make):
    searches = [GDSearchCV(MODEL, RATES, cv=3, race=race) for _ in range(2)]
    recorder = Propagated()
    searches[1].set_callbacks(recorder)
    plain, told = (search.fit(make(X), Y).cv_results_ for search in searches)
    assert_array_equal(told["mean_test_score"], plain["mean_test_score"])
    assert_array_equal(told["stop_reason"], plain["stop_reason"])
    assert_array_equal(searches[1].best_estimator_.coef_, searches[0].best_estimator_.coef_)
    assert not hasattr(searches[1].best_estimator_, "_skl_callbacks")
    # Each fit and each epoch that begins ends, of candidates that leave the race, too.
    assert recorder.counts("begin") == recorder.counts("end")
    assert all(told["fitted"].predict(make(X)).shape == Y.shape
               for told in recorder.told("end", "epoch"))  # fmt: skip


def test_hooks_get_the_rows_and_the_weights_of_the_split():
    weights = np.random.default_rng(0).integers(1, 5, len(Y)).astype(float)
    ours, inside = Recorder(), Propagated()
    search = GDSearchCV(MODEL, RATES, cv=KFold(3)).set_callbacks(ours, inside)
    search.fit(X, Y, sample_weight=weights)
    evaluations = ours.told("begin", "candidate-split-evaluation")
    epochs = inside.told("begin", "epoch")
    for i, (train, _) in enumerate(KFold(3).split(X)):
        of_split = [evaluations[3 * i:3 * i + 3], [each for each in epochs if each["X"][0] is not None
                     and len(each["X"]) == len(train) and np.array_equal(each["X"], X[train])]]
        for told in (each for several in of_split for each in several):
            assert_array_equal(told["X"], X[train])
            assert_array_equal(told["y"], Y[train])
            assert_array_equal(told["sample_weight"], weights[train])
        assert all(of_split)
    for task in ("fit", "refit-with-best-params"):
        assert_array_equal(ours.told("end", task)[0]["sample_weight"], weights)


class Stop(Callback):
    max_propagation_depth = None

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        return context.task_name == "epoch" and fitted_estimator.n_iter_ == 2


@pytest.mark.parametrize("estimator, grid", ALIKE[1:])
def test_a_propagated_callback_stops_each_fit(estimator, grid):
    search = GDSearchCV(estimator, grid, cv=2, race=False).set_callbacks(Stop()).fit(X, Y)
    assert search.cv_results_["stop_reason"].tolist() == 3 * ["callback"]
    best = search.best_estimator_
    assert (best[-1] if hasattr(best, "steps") else best).n_iter_ == 2


class MayFail(ClassifierMixin, BaseEstimator):
    def __init__(self, fail=False):
        self.fail = fail

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if self.fail:
            raise RuntimeError("a fit that fails")
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


class Broken(Optimizer):
    def update(self, w, g, state, rate, t):
        raise RuntimeError("a fit that fails")


@pytest.mark.parametrize("estimator, grid, fails", [
    (MayFail(), {"fail": [False, True]}, 2),
    (MODEL, {"optimizer": ["adam", Broken()]}, 2),
    (make_pipeline(MayFail(), MODEL), {"mayfail__fail": [True]}, 2),
])  # fmt: skip
def test_evaluations_that_fail_end_as_well(estimator, grid, fails):
    recorder = Recorder()
    search = GDSearchCV(estimator, grid, cv=2, refit=False, error_score=0.0)
    n = len(next(iter(grid.values())))
    try:
        with pytest.warns(FitFailedWarning, match=f"{fails} fits failed out of a total of 4."):
            search.set_callbacks(recorder).fit(X, Y)
    except ValueError as error:
        assert n == 1 and "All the 2 fits failed" in str(error)
    expected = tasks_of(2 * n, False)
    assert recorder.counts("begin")["candidate-split-evaluation"] == 2 * n
    assert recorder.counts("end")["candidate-split-evaluation"] == 2 * n
    if n == 2:
        assert recorder.counts("begin") == recorder.counts("end") == expected
    assert recorder.counts("teardown") == {"fit": 1}


@pytest.mark.parametrize("estimator, grid", ALIKE[1:3])
def test_callbacks_of_the_estimator_know_the_tree(estimator, grid):
    paths = set()

    class Path(Callback):
        def on_fit_task_begin(self, estimator, context):
            names = []
            while context is not None:
                names.append(context.source_task_name or context.task_name)
                context = context.parent
            paths.add("/".join(reversed(names)))

    from sklearn.base import clone
    GDSearchCV(clone(estimator).set_callbacks(Path()), grid, cv=2).fit(X, Y)
    assert paths == {
        f"fit/{task}" for task in (
            "search/candidate-split-evaluation", "search/candidate-split-evaluation/epoch",
            "refit-with-best-params", "refit-with-best-params/epoch",
        )
    }  # fmt: skip


def test_what_is_propagated_belongs_on_the_search():
    from sklearn.base import clone
    search = GDSearchCV(clone(MODEL).set_callbacks(Propagated()), RATES, cv=2, error_score="raise")
    with pytest.raises(TypeError, match="Register them directly on the meta-estimator"):
        search.fit(X, Y)


def test_a_callback_of_a_pipeline_is_honoured():
    recorder = Recorder()
    pipeline = make_pipeline(StandardScaler(), MODEL).set_callbacks(recorder)
    GDSearchCV(pipeline, ALIKE[3][1], cv=2).fit(X, Y)
    assert recorder.counts("setup") == {"fit": 7}


def test_scikit_learns_monitor_goes_with_a_search():
    monitor = ScoringMonitor(scoring="r2")
    search = GDSearchCV(GDRegressor(batch_size=8, max_iter=3, tol=None), {"alpha": [1e-4, 1.0]}, cv=2)
    search.set_callbacks(monitor).fit(X, Y.astype(float))
    assert monitor.get_logs()


def test_a_time_limit_on_a_search_does_not_reach_the_fits():
    search = GDSearchCV(MODEL, RATES, cv=2, race=False).set_callbacks(TimeLimit(0)).fit(X, Y)
    assert set(search.cv_results_["stop_reason"]) == {"max_iter"}
