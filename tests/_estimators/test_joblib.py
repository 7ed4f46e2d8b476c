"""The same bits for any number of processes: joblib hands them large arrays as memory maps."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor

from skgd import GDClassifier, GDRegressor, GDSearchCV
from skgd._descent import batching

# Beyond joblib's limit of 1 MB, above which arrays are mapped.
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4_500, 30))
Y = X[:, :3] + RNG.normal(size=(len(X), 3))
CODES = Y.argmax(axis=1)
CLASSIFIER = GDClassifier(optimizer="adam", max_iter=2, tol=None, random_state=0)
REGRESSOR = GDRegressor(optimizer="sgd", max_iter=2, tol=None, random_state=0)

SPLIT_UP = {
    "one-vs-rest": (lambda n: OneVsRestClassifier(CLASSIFIER, n_jobs=n), CODES),
    "voting": (
        lambda n: VotingClassifier([("a", CLASSIFIER), ("b", CLASSIFIER)], voting="soft", n_jobs=n),
        CODES,
    ),
    "outputs": (lambda n: MultiOutputRegressor(REGRESSOR, n_jobs=n), Y),
}


@pytest.mark.parametrize("kind", SPLIT_UP)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_meta_estimators_give_the_same_for_any_n_jobs(kind):
    make, y = SPLIT_UP[kind]
    one, two = (make(n).fit(X, y).estimators_ for n in (1, 2))
    for alone, among_others in zip(one, two, strict=True):
        assert_array_equal(among_others.coef_, alone.coef_)
        assert_array_equal(among_others.intercept_, alone.intercept_)


def test_predictions_across_folds_are_the_same_for_any_n_jobs():
    one, two = (cross_val_predict(CLASSIFIER, X, CODES, cv=2, method="decision_function", n_jobs=n)
                for n in (1, 2))  # fmt: skip
    assert_array_equal(two, one)


FITS = [
    {"optimizer": "sgd", "batch_size": 1}, {"optimizer": "saga"}, {"optimizer": "svrg"},
    {"optimizer": "adam", "early_stopping": True}, {"learning_rate": 0.01, "average": True},
    {"optimizer": "adam", "n_jobs": 2}, {},
]  # fmt: skip


@pytest.mark.parametrize("settings", FITS, ids=str)
@pytest.mark.parametrize("kind", [GDClassifier, GDRegressor])
def test_a_memory_map_gives_the_same_bits_as_an_array(kind, settings, tmp_path):
    mapped = np.memmap(tmp_path / "X", dtype=X.dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    mapped = np.memmap(tmp_path / "X", dtype=X.dtype, mode="r", shape=X.shape)
    y = CODES if kind is GDClassifier else Y[:, 0]
    model = kind(**settings, max_iter=2, tol=None, random_state=0)
    in_memory = model.fit(X, y).coef_
    assert_array_equal(model.fit(mapped, y).coef_, in_memory)


def test_a_stream_and_a_search_of_a_map_give_the_same_bits(tmp_path):
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    mapped, array = np.load(tmp_path / "X.npy", mmap_mode="r"), X.astype(np.float32)
    streams = [GDRegressor(random_state=0).partial_fit(rows, Y).coef_ for rows in (mapped, array)]
    assert_array_equal(*streams)
    searches = [
        GDSearchCV(CLASSIFIER, {"learning_rate": [0.01, 0.1]}, cv=2).fit(rows, CODES)
        for rows in (mapped, array)
    ]
    assert_array_equal(*(search.cv_results_["mean_test_score"] for search in searches))
    assert_array_equal(*(search.best_estimator_.coef_ for search in searches))


def test_sparse_rows_of_a_map_give_the_same_bits(tmp_path):
    rows = sparse.csr_matrix(np.where(np.abs(X) > 1, X, 0.0))
    parts = []
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(rows, name))
        parts.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    mapped = sparse.csr_matrix(tuple(parts), shape=rows.shape)
    coefs = [REGRESSOR.fit(each, Y[:, 0]).coef_ for each in (rows, mapped)]
    assert_array_equal(*coefs)


def test_a_map_beyond_memory_is_read_block_by_block(monkeypatch, tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    sizes = {"fits": 2 * X.nbytes, "does not": 2 * X.nbytes - 1}
    coefs = {}
    for name, size in sizes.items():
        monkeypatch.setattr(batching, "memory_size", lambda size=size: size)
        coefs[name] = CLASSIFIER.fit(mapped, CODES).coef_
        coefs[name, "array"] = CLASSIFIER.fit(X, CODES).coef_
    assert_array_equal(coefs["fits"], coefs["fits", "array"])
    assert_array_equal(coefs["does not", "array"], coefs["fits", "array"])
    assert not np.array_equal(coefs["does not"], coefs["fits"])
