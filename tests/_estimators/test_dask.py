"""Fits and predictions where the rows lie on the workers of a Dask cluster."""

import io
import pickle
import signal
import threading
import time
import warnings

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from clusters import two_workers
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from skgd import GDClassifier, GDRegressor
from skgd.callbacks import Callback, Checkpoint, TimeLimit

# Of nannies, which live in this process, on a machine that is busy.
pytestmark = pytest.mark.filterwarnings("ignore:Creating scratch directories")

GENERATOR = np.random.default_rng(0)
N, D = 1200, 6
# Raw columns over six decades, away from zero.
RAW = (GENERATOR.normal(size=(N, D)) + GENERATOR.normal(size=D)) * 10.0 ** np.linspace(-3, 3, D)
MARGINS = (RAW - RAW.mean(axis=0)) / RAW.std(axis=0) @ GENERATOR.normal(size=(D, 3)) / 2
WEIGHTS = GENERATOR.integers(0, 4, N).astype(float)
TARGETS = {
    "binary": (MARGINS[:, 0] + GENERATOR.logistic(size=N) > 0).astype(int),
    "three": (MARGINS + GENERATOR.gumbel(size=(N, 3))).argmax(axis=1),
    "numbers": MARGINS[:, 0] + GENERATOR.normal(size=N),
    "counts": GENERATOR.poisson(np.exp(0.5 * MARGINS[:, 0])).astype(float),
    "positive": GENERATOR.gamma(2.0, np.exp(0.5 * MARGINS[:, 0])),
}
MODELS = {
    "binary": GDClassifier(), "three": GDClassifier(), "numbers": GDRegressor(),
    "counts": GDRegressor("poisson"),
}  # fmt: skip


@pytest.fixture(scope="module")
def client():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of distributed itself
        with two_workers() as client:
            yield client


def uneven(n, n_parts):
    """Return sizes of partitions; the fourth has no rows."""
    sizes = np.random.default_rng(n_parts).uniform(0.3, 1.7, n_parts)
    if n_parts > 3:
        sizes[3] = 0.0
    sizes = np.floor(sizes / sizes.sum() * n).astype(int)
    sizes[0] += n - sizes.sum()
    return tuple(sizes.tolist())


def collections(n_parts, *arrays):
    sizes = uneven(len(arrays[0]), n_parts)
    return [da.from_array(a, chunks=(sizes, *a.shape[1:])) for a in arrays]


def assert_equal_models(model, other, rtol=1e-10):
    for name in ("coef_", "intercept_"):
        expected = getattr(other, name)
        assert getattr(model, name).dtype == expected.dtype
        size = np.abs(expected).max()
        assert_allclose(getattr(model, name), expected, rtol=rtol, atol=rtol * size)
    assert_array_equal(model.coef_ == 0, other.coef_ == 0)
    assert (model.n_iter_, model.stop_reason_) == (other.n_iter_, other.stop_reason_)
    assert type(model.coef_) is type(model.history_["objective"]) is np.ndarray


# ---- the same model -----------------------------------------------------------------------------


# Each objective on one number of partitions, as each fit takes a fraction of a second.
CASES = [
    (kind, penalty, (2, 7, 40)[(i + j) % 3])
    for i, kind in enumerate(MODELS) for j, penalty in enumerate(("l2", "l1"))
]  # fmt: skip


@pytest.mark.parametrize(("kind", "penalty", "n_parts"), CASES)
def test_the_model_of_one_machine(client, kind, penalty, n_parts):
    model = MODELS[kind].set_params(penalty=penalty, alpha=1e-2)
    here = [RAW, TARGETS[kind], WEIGHTS]
    elsewhere = clone(model).fit(*collections(n_parts, *here))
    assert_equal_models(elsewhere, model.fit(*here))


VARIANTS = {
    "one-vs-rest": (GDClassifier("squared_hinge", class_weight="balanced"), "three"),
    "class weights": (GDClassifier(class_weight={0: 2.0, 1: 0.5}), "binary"),
    "positive": (GDRegressor(penalty="elasticnet", positive=True), "numbers"),
    "huber": (GDRegressor("huber", fit_intercept=False), "numbers"),
    "gamma": (GDRegressor("gamma"), "positive"),
    "proximal gradient": (
        GDClassifier(optimizer="accelerated_gradient", penalty="l1", alpha=0.1), "binary"
    ),
    "whitened": (GDClassifier(optimizer="lbfgs", precondition="full"), "binary"),
    "interior point": (GDClassifier("hinge", alpha=1e-2), "binary"),
    "saga": (GDClassifier(optimizer="saga", max_iter=2, tol=None, random_state=0), "binary"),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(client, name):
    model, kind = VARIANTS[name]
    here = [RAW, TARGETS[kind], WEIGHTS]
    elsewhere = clone(model).fit(*collections(5, *here))
    # The interior point method and Newton systems of rounding leave a few digits less.
    assert_equal_models(elsewhere, model.fit(*here), rtol=1e-8)


def text_labels():
    order = np.argsort(TARGETS["three"], kind="stable")
    return RAW[order], np.array(["blue", "green", "red"])[TARGETS["three"][order]]


def test_sorted_text_labels_of_unknown_sizes(client):
    X, y = text_labels()
    frame = dd.from_pandas(pd.DataFrame({"label": y}), npartitions=6, sort=False)
    rows = dd.from_pandas(pd.DataFrame(X), npartitions=6, sort=False)
    assert np.isnan(rows.values.chunks[0]).all()
    model = GDClassifier().fit(rows.values, frame["label"])
    assert_equal_models(model, GDClassifier().fit(X, y))
    assert model.classes_.tolist() == ["blue", "green", "red"]


def test_data_frames(client):
    frame = pd.DataFrame(RAW, columns=[f"column {j}" for j in range(D)])
    parts = dd.from_pandas(frame, npartitions=4, sort=False)
    y = dd.from_pandas(pd.Series(TARGETS["numbers"]), npartitions=4, sort=False)
    model, here = GDRegressor().fit(parts, y), GDRegressor().fit(frame, TARGETS["numbers"])
    assert_equal_models(model, here)
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    assert_allclose(model.predict(parts).compute(), here.predict(frame), rtol=1e-10)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(parts.rename(columns={"column 0": "other"}))


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_sparse_rows(client, penalty):
    X = sparse.random_array((N, 40), density=0.1, rng=np.random.default_rng(0), format="csr")
    sizes = uneven(N, 5)
    ends = np.cumsum(sizes)
    rows = da.concatenate([
        da.from_delayed(da.core.delayed(X[end - n:end]), (n, 40), dtype=float, meta=X[:0])
        for n, end in zip(sizes, ends, strict=True)
    ])  # fmt: skip
    model = GDClassifier(penalty=penalty, alpha=1e-3)
    (y,) = collections(5, TARGETS["three"])
    elsewhere = clone(model).fit(rows, y)
    assert_equal_models(elsewhere, model.fit(X, TARGETS["three"]), rtol=1e-9)
    assert_array_equal(elsewhere.predict(rows).compute(), model.predict(X))


def test_single_precision(client):
    X = RAW.astype(np.float32)
    model = GDClassifier().fit(*collections(5, X, TARGETS["binary"]))
    assert model.coef_.dtype == np.float32
    assert_equal_models(model, GDClassifier().fit(X, TARGETS["binary"]), rtol=1e-6)


def test_columns_in_chunks_other_sizes_and_arrays_of_targets(client):
    X = da.from_array(RAW, chunks=(300, 2))
    here = GDClassifier().fit(RAW, TARGETS["binary"], WEIGHTS)
    (y,) = collections(3, TARGETS["binary"])
    assert_equal_models(GDClassifier().fit(X, y, WEIGHTS), here)
    assert_equal_models(GDClassifier().fit(X, TARGETS["binary"], da.from_array(WEIGHTS)), here)


def test_several_outputs_and_a_block_without_weight(client):
    y, weights = MARGINS + GENERATOR.normal(size=MARGINS.shape), WEIGHTS.copy()
    weights[:uneven(N, 5)[0]] = 0.0
    here = GDRegressor().fit(RAW, y, weights)
    assert_equal_models(GDRegressor().fit(*collections(5, RAW, y, weights)), here)


def test_fewer_rows_than_columns(client):
    X = np.random.default_rng(0).normal(size=(60, 300))
    here = GDRegressor().fit(X, TARGETS["numbers"][:60])
    elsewhere = GDRegressor().fit(*collections(3, X, TARGETS["numbers"][:60]))
    assert_equal_models(elsewhere, here)


def test_warm_starts_and_optimality(client):
    X, y = collections(4, RAW, TARGETS["three"])
    model = GDClassifier(warm_start=True, tol=1e-2).fit(X, y)
    bound = model.optimality(RAW, TARGETS["three"])
    assert_allclose(model.optimality(X, y), bound, rtol=1e-6)
    model.set_params(tol=1e-8).fit(X, y)
    assert model.optimality_ < 1e-3 * bound
    with pytest.raises(ValueError, match="not among the classes"):
        model.fit(X, y + 1)


# ---- update steps -------------------------------------------------------------------------------

STEPS = {
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "across blocks": {"optimizer": "lion", "learning_rate": 0.01, "batch_size": 500},
    "averaged": {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 32, "average": 20},
    "box": {"optimizer": "adagrad", "learning_rate": 0.1, "penalty": "l1", "positive": True},
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_update_steps_in_the_same_order_have_the_same_bits(client, name):
    X = (RAW - RAW.mean(axis=0)) / RAW.std(axis=0)
    model = GDClassifier(
        precondition=None, shuffle=False, tol=None, max_iter=2, **STEPS[name]
    )
    here = [X, TARGETS["three"], WEIGHTS]
    elsewhere = clone(model).fit(*collections(5, *here))
    model.fit(*here)
    assert_array_equal(elsewhere.coef_, model.coef_)
    assert elsewhere.coef_.any()


def test_update_steps_with_automatic_rates(client):
    model = GDClassifier(optimizer="adam", shuffle=False, random_state=0, tol=None, max_iter=2)
    here = [RAW, TARGETS["binary"], WEIGHTS]
    elsewhere = clone(model).fit(*collections(5, *here))
    assert_equal_models(elsewhere, model.fit(*here))


def test_shuffled_steps_repeat_with_a_seed(client):
    parts = collections(3, RAW, TARGETS["binary"])
    model = GDClassifier(optimizer="adam", max_iter=1, tol=None, random_state=0)
    coef = model.fit(*parts).coef_
    assert_array_equal(model.fit(*parts).coef_, coef)
    assert not np.array_equal(model.set_params(random_state=1).fit(*parts).coef_, coef)


# ---- what the cluster does ----------------------------------------------------------------------


def test_large_coefficients_and_answers(client, monkeypatch):
    monkeypatch.setattr("skgd._problem.dask_blocks.HELD", 0)
    monkeypatch.setattr("skgd._problem.dask_blocks.TOGETHER", 0)
    monkeypatch.setattr("skgd._problem.dask_blocks.FAN_IN", 2)
    model = GDClassifier().fit(*collections(5, RAW, TARGETS["three"]))
    assert_equal_models(model, GDClassifier().fit(RAW, TARGETS["three"]))


def test_the_number_of_workers_changes_no_bit(client):
    parts = client.persist(collections(6, RAW, TARGETS["three"]))
    both = GDClassifier().fit(*parts)
    worker = next(iter(client.scheduler_info()["workers"]))
    single = client.persist(collections(6, RAW, TARGETS["three"]), workers=[worker])
    assert_array_equal(GDClassifier().fit(*single).coef_, both.coef_)


def test_persisted_arrays_in_many_bundles(client, monkeypatch):
    # As of workers with little memory: each partition in a bundle of its own.
    monkeypatch.setattr("skgd._problem.dask_blocks.SHARE", 1e-9)
    here = [RAW, TARGETS["three"], WEIGHTS]
    model = GDClassifier().fit(*client.persist(collections(6, *here)))
    assert_equal_models(model, GDClassifier().fit(*here))
    assert_array_equal(model.predict(client.persist(da.from_array(RAW, chunks=(200, D)))).compute(),
                       model.predict(RAW))


class Interrupt(Callback):
    def on_fit_task_end(self, estimator, context, **more):
        if context.task_name == "epoch" and context.task_id == 2:
            raise KeyboardInterrupt


def test_an_interrupt_cancels_and_keeps_the_best_coefficients(client):
    parts = collections(4, RAW, TARGETS["three"])
    model = GDClassifier(optimizer="lbfgs", tol=1e-10).set_callbacks(Interrupt())
    with pytest.raises(KeyboardInterrupt):
        model.fit(*parts)
    assert model.stop_reason_ == "interrupted" and model.coef_.any()


class InterruptSoon(Callback):
    def on_fit_task_end(self, estimator, context, **more):
        if context.task_name == "epoch" and context.task_id == 2:
            threading.Timer(0.01, signal.raise_signal, (signal.SIGINT,)).start()


def test_an_interrupted_wait_leaves_no_task(client):
    parts = client.persist(collections(4, RAW, TARGETS["three"]))
    model = GDClassifier(optimizer="gradient_descent", tol=None, max_iter=10**9)
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(InterruptSoon()).fit(*parts)
    assert model.stop_reason_ == "interrupted"
    ends = time.perf_counter() + 10
    while any(client.processing().values()) and time.perf_counter() < ends:
        time.sleep(0.02)
    assert not any(client.processing().values())


def test_callbacks(client, tmp_path):
    parts = collections(4, RAW, TARGETS["three"])
    model = GDClassifier(optimizer="lbfgs", tol=1e-10)
    whole = clone(model).fit(*parts)
    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(Checkpoint(path), TimeLimit(60), Interrupt()).fit(*parts)
    with pytest.raises(ValueError, match="X differed"):
        model.set_callbacks(Checkpoint(path)).fit(parts[0] + 1.0, parts[1])
    model.fit(*parts)
    assert_allclose(model.coef_, whole.coef_, rtol=1e-6)
    assert 2 < model.n_iter_ < whole.n_iter_ + 10


# ---- predictions --------------------------------------------------------------------------------


def test_lazy_predictions(client):
    X, y = collections(5, RAW, TARGETS["three"])
    model = GDClassifier().fit(X, y)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        lazy, here = getattr(model, name)(X), getattr(model, name)(RAW)
        assert isinstance(lazy, da.Array)
        assert lazy.shape == here.shape and lazy.dtype == here.dtype
        assert_allclose(lazy.compute(), here)
    assert model.score(X, y) == model.score(RAW, TARGETS["three"])
    targets = TARGETS["numbers"]
    other = GDRegressor().fit(RAW, targets)
    assert other.score(*collections(5, RAW, targets)) == pytest.approx(other.score(RAW, targets))


class Unpickler(pickle.Unpickler):
    """Notes the packages that a pickle names."""

    def find_class(self, module, name):
        self.packages.add(module.partition(".")[0])
        return super().find_class(module, name)


def test_a_fitted_model_is_plain_numpy(client):
    model = GDClassifier().fit(*collections(5, RAW, TARGETS["three"]))
    unpickler = Unpickler(io.BytesIO(pickle.dumps(model)))
    unpickler.packages = set()
    assert_array_equal(unpickler.load().predict(RAW), model.predict(RAW))
    assert unpickler.packages <= {"numpy", "sklearn", "skgd", "builtins", "collections"}


# ---- what is refused ----------------------------------------------------------------------------

BROKEN = {
    "sizes": (lambda X, y: (X, y[:-1]), "rows"),
    "NaN": (lambda X, y: (X * np.nan, y), "NaN"),
    "one class": (lambda X, y: (X, y * 0), "at least 2 classes"),
    "zero weights": (lambda X, y: (X, y, y * 0.0), "only zeros"),
    "negative weights": (lambda X, y: (X, y, y - 1.0), "negative"),
    "continuous": (lambda X, y: (X, y + 0.5), "Unknown label type"),
    "no rows": (lambda X, y: (X[:0], y[:0]), "0 rows"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_refused(client, name):
    change, message = BROKEN[name]
    with pytest.raises(ValueError, match=message):
        GDClassifier().fit(*change(*collections(3, RAW, TARGETS["binary"])))


def test_early_stopping_takes_a_validation_set(client):
    X, y = collections(3, RAW, TARGETS["binary"])
    model = GDClassifier(optimizer="adam", early_stopping=True, max_iter=3, tol=None)
    with pytest.raises(ValueError, match="X_val"):
        model.fit(X, y)
    model.fit(X, y, X_val=X[:200], y_val=y[:200])
    assert np.isfinite(model.history_["validation_loss"]).all()
