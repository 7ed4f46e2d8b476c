"""Fitted estimators in files (skops, pickle, joblib, cloudpickle), and how they learn on."""

import copy
import io
import pickle

import cloudpickle
import joblib
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor
from skgd.losses import Focal, Quantile
from skgd.optimizers import Adam
from skgd.penalties import Box, ElasticNet, GroupLasso
from skgd.schedules import Cosine, ReduceOnPlateau, Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
TARGETS = {GDClassifier: Y, GDRegressor: X[:, 3]}
MODELS = {
    "classifier": GDClassifier(),
    "regressor": GDRegressor(),
    "huber": GDRegressor("huber"),
    "l1": GDClassifier(penalty="l1", alpha=0.01),
    "lbfgs": GDClassifier(optimizer="lbfgs", precondition="full"),
    "balanced": GDClassifier(class_weight="balanced"),
    "several quantiles": GDRegressor(Quantile([0.1, 0.5]), optimizer="adam"),
    "adam": GDClassifier(optimizer="adam"),
    "averaged": GDRegressor(optimizer="sgd", average=True, batch_size=1),
    "saga": GDClassifier(optimizer="saga", batch_size=1),
    "stopped early": GDClassifier(optimizer="momentum", early_stopping=True),
    "plateau": GDRegressor(optimizer="sgd", learning_rate=ReduceOnPlateau(0.05, patience=0)),
    "objects": GDClassifier(
        Focal(), optimizer=Adam(), penalty=ElasticNet(), learning_rate=Warmup(9, Cosine(0.01, 1e-4))
    ),
    "bounds": GDRegressor(penalty=Box(0, 1), optimizer="adam", learning_rate=0.01),
    "groups": GDRegressor(penalty=GroupLasso([[0, 1], [2]])),
}
# What skops has to be told to trust: the estimator, and the objects that the user has passed.
ESTIMATORS = {"skgd.GDClassifier", "skgd.GDRegressor"}
PASSED = {
    "several quantiles": {"skgd.losses.Quantile"},
    "plateau": {"skgd.schedules.ReduceOnPlateau"},
    "objects": {
        "skgd.losses.Focal", "skgd.optimizers.Adam", "skgd.penalties.ElasticNet",
        "skgd.schedules.Cosine", "skgd.schedules.Warmup",
    },
    "bounds": {"skgd.penalties.Box"},
    "groups": {"skgd.penalties.GroupLasso"},
}  # fmt: skip


def by_skops(model):
    import skops.io  # takes a second, which tests of other files in this process need not spend

    content = skops.io.dumps(model)
    return skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))


def by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


WAYS = {
    "skops": by_skops,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": by_joblib,
    "cloudpickle": lambda model: cloudpickle.loads(cloudpickle.dumps(model)),
}


def data_of(model):
    return X[:, :3], TARGETS[type(model)]


@pytest.mark.parametrize("name", MODELS)
def test_a_stored_model_predicts_and_learns_on_to_the_bit(name):
    model = clone(MODELS[name]).set_params(random_state=0, max_iter=5)
    rows, y = data_of(model)
    model.fit(rows, y)
    for go_on in ("warm start", "partial_fit"):
        stored = {way: store(model) for way, store in WAYS.items()}
        for way, again in stored.items():
            assert_array_equal(again.predict(rows), model.predict(rows), err_msg=way)
            assert again.history_.keys() == model.history_.keys()
        if go_on == "partial_fit" and not hasattr(model, "partial_fit"):
            break
        for each in (model, *stored.values()):
            each.set_params(warm_start=True)
            each.fit(rows, y) if go_on == "warm start" else each.partial_fit(rows[::2], y[::2])
        for way, again in stored.items():
            assert_array_equal(again.coef_, model.coef_, err_msg=f"{way}, {go_on}")
            assert_array_equal(again.intercept_, model.intercept_, err_msg=f"{way}, {go_on}")
            assert again.t_ == model.t_


@pytest.mark.parametrize("name", MODELS)
def test_skops_needs_to_trust_nothing_but_what_was_passed(name):
    import skops.io

    model = clone(MODELS[name]).set_params(max_iter=3)
    rows, y = data_of(model)
    expected = {f"{type(model).__module__}.{type(model).__name__}"} | PASSED.get(name, set())
    assert expected & ESTIMATORS
    found = skops.io.get_untrusted_types(data=skops.io.dumps(model.fit(rows, y)))
    assert set(found) == expected
    if hasattr(model, "partial_fit"):
        found = skops.io.get_untrusted_types(data=skops.io.dumps(model.partial_fit(rows, y)))
        assert set(found) == expected


def test_a_fitted_estimator_holds_no_objects_of_the_package():
    def held(value):
        yield value
        items = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list | tuple):
            for item in items:
                yield from held(item)

    for model in (GDClassifier(), GDClassifier(optimizer="adam"), GDClassifier(optimizer="saga")):
        for value in held(vars(model.set_params(max_iter=3).fit(X, Y))):
            assert type(value).__module__.partition(".")[0] in ("builtins", "numpy")


def test_a_pipeline_on_sparse_rows_is_stored_too():
    rows = sparse.csr_array(X)
    pipeline = make_pipeline(StandardScaler(with_mean=False), GDClassifier(optimizer="adam"))
    pipeline.fit(rows, Y)
    for way, store in WAYS.items():
        assert_array_equal(store(pipeline).predict(rows), pipeline.predict(rows), err_msg=way)


def test_a_shallow_copy_learns_for_itself():
    model = GDClassifier(optimizer="adam", random_state=0).partial_fit(X, Y, classes=[0, 1, 2])
    other = copy.copy(model)
    for _ in range(3):
        other.partial_fit(X, Y)
    again = pickle.loads(pickle.dumps(model)).partial_fit(X, Y)
    assert_array_equal(model.partial_fit(X, Y).coef_, again.coef_)
