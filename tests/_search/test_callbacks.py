"""Callbacks of searches: the tasks of GridSearchCV, whether candidates share their passes or not.

The cases are those of scikit-learn's own tests (sklearn/model_selection/tests/test_search.py), with
candidates that are trained together, too.
"""

from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDSearchCV
from skgd.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    PrintProgress,
    StopAtLoss,
    TimeLimit,
)
from skgd.optimizers import Optimizer

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The estimator GaussianNB does not support callbacks"),
]

X, Y = load_iris(return_X_y=True)
X, Y = X[::2], Y[::2]
MODEL = GDClassifier(batch_size=8, max_iter=4, tol=None, random_state=0)
RATES = {"learning_rate": [0.01, 0.03, 0.1]}


class Recorder(Callback):
    """Keeps what it hears; it isn't propagated."""

    def __init__(self):
        self.heard = []

    def setup(self, estimator, context):
        self.heard.append(("setup", context.task_name, estimator, {}))

    def teardown(self, estimator, context):
        self.heard.append(("teardown", context.task_name, estimator, {}))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        told = {"X": X, "y": y, **(metadata or {})}
        self.heard.append(("begin", context.task_name, estimator, told))

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
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    epochs = getattr(last, "max_iter", 0)
    GDSearchCV(estimator, grid, cv=2, refit=refit, race=False).set_callbacks(ours).fit(X, Y)
    GridSearchCV(estimator, grid, cv=2, refit=refit).set_callbacks(theirs).fit(X, Y)
    for hook in ("setup", "teardown", "begin", "end"):
        assert ours.counts(hook) == theirs.counts(hook)
    assert ours.counts("end")["epoch"] == (6 + refit) * epochs


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
    # Each fit and each epoch that begins ends, of candidates that are dropped, too.
    assert recorder.counts("begin") == recorder.counts("end")
    assert all(told["fitted"].predict(make(X)).shape == Y.shape
               for told in recorder.told("end", "epoch"))  # fmt: skip


def test_hooks_get_the_rows_and_the_weights_of_the_split():
    weights = np.random.default_rng(0).integers(1, 5, len(Y)).astype(float)
    ours, inside = Recorder(), Propagated()
    search = GDSearchCV(MODEL, RATES, cv=KFold(3)).set_callbacks(ours, inside)
    search.fit(X, Y, sample_weight=weights)
    evaluations = ours.told("begin", "candidate-split-evaluation")
    epochs = inside.told("end", "epoch")[:-MODEL.max_iter]
    splits = [train for train, _ in KFold(3).split(X)]
    heard = [0, 0, 0]
    for told in evaluations + epochs:
        (i,) = (i for i, train in enumerate(splits) if np.array_equal(told["X"], X[train]))
        assert_array_equal(told["y"], Y[splits[i]])
        assert_array_equal(told["sample_weight"], weights[splits[i]])
        heard[i] += 1
    assert min(heard) >= 3 + 3
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


class Broken(Optimizer):
    def update(self, w, g, state, rate, t):
        raise RuntimeError("a fit that fails")


class BrokenScaler(StandardScaler):
    def __init__(self, fail=False):
        super().__init__()
        self.fail = fail

    def fit(self, X, y=None, sample_weight=None):
        if self.fail:
            raise RuntimeError("a transformer that fails")
        return super().fit(X)


@pytest.mark.parametrize("kind", [Recorder, Propagated])
@pytest.mark.parametrize("race", [True, False])
@pytest.mark.parametrize("estimator, grid", [
    (GaussianNB(), {"var_smoothing": [1e-9, -1.0]}),
    (MODEL, {"optimizer": ["adam", Broken()], "learning_rate": [0.1]}),
    (make_pipeline(BrokenScaler(), MODEL), {"brokenscaler__fail": [False, True]}),
])  # fmt: skip
def test_evaluations_that_fail_end_as_well(estimator, grid, race, kind):
    recorder = kind()
    search = GDSearchCV(estimator, grid, cv=2, refit=False, race=race, error_score=0.0)
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4."):
        search.set_callbacks(recorder).fit(X, Y)
    assert search.cv_results_["stop_reason"][1] == "failed"
    assert recorder.counts("teardown") == {"fit": 1}
    if kind is Recorder:
        assert recorder.counts("begin") == recorder.counts("end") == tasks_of(4, False)


class Raising(Callback):
    max_propagation_depth = None

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            raise RuntimeError("a callback that fails")


@pytest.mark.parametrize("estimator, grid", ALIKE[1:])
@pytest.mark.parametrize("race", [True, False])
def test_the_error_of_a_callback_is_that_of_the_fit(estimator, grid, race):
    search = GDSearchCV(estimator, grid, cv=2, race=race).set_callbacks(Raising())
    with pytest.raises(ValueError, match="(?s)All the 6 fits failed.*a callback that fails"):
        search.fit(X, Y)
    with pytest.raises(RuntimeError, match="a callback that fails"):
        search.set_params(error_score="raise").fit(X, Y)


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

    GDSearchCV(clone(estimator).set_callbacks(Path()), grid, cv=2).fit(X, Y)
    assert paths == {
        f"fit/{task}" for task in (
            "search/candidate-split-evaluation", "search/candidate-split-evaluation/epoch",
            "refit-with-best-params", "refit-with-best-params/epoch",
        )
    }  # fmt: skip


def test_what_is_propagated_belongs_on_the_search():
    search = GDSearchCV(clone(MODEL).set_callbacks(Propagated()), RATES, cv=2, error_score="raise")
    with pytest.raises(TypeError, match="Register them directly on the meta-estimator"):
        search.fit(X, Y)


def test_a_callback_of_a_pipeline_is_honoured():
    recorder = Recorder()
    pipeline = make_pipeline(StandardScaler(), MODEL).set_callbacks(recorder)
    GDSearchCV(pipeline, ALIKE[3][1], cv=2).fit(X, Y)
    assert recorder.counts("setup") == {"fit": 7}


@pytest.mark.parametrize("callback", [
    TimeLimit(0), StopAtLoss(9.0), PrintProgress(), EarlyStopping(X, Y), Checkpoint("unwritten"),
], ids=repr)  # fmt: skip
@pytest.mark.parametrize("wrap", [
    lambda model: GDSearchCV(model, RATES, cv=2, race=False),
    lambda model: GridSearchCV(model, RATES, cv=2),
    lambda model: make_pipeline(StandardScaler(), model),
])  # fmt: skip
def test_a_callback_that_acts_on_epochs_says_where_it_belongs(callback, wrap):
    outer = wrap(MODEL).set_callbacks(callback)
    message = f"{type(callback).__name__} on {type(outer).__name__} hears of no epoch: set it on"
    if isinstance(callback, Checkpoint):
        with pytest.raises(TypeError, match=message):
            outer.fit(X, Y)
    else:
        with pytest.warns(UserWarning, match=message):
            outer.fit(X, Y)
