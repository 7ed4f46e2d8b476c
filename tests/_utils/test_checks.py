"""Sparse matrices whose arrays are wrong are refused before a compiled loop reads them.

Without the check SciPy or the engine reads and writes beyond the arrays, which may kill the process
or go unnoticed.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skgd import GDClassifier, GDRegressor, GDSearchCV, find_learning_rate

X, Y = load_iris(return_X_y=True)
N, D = X.shape


def tampered(name, place, number, form="csr", index=np.int32):
    """Return the data as a sparse matrix with another number in one of its arrays."""
    rows = sparse.csr_array(X).asformat(form)
    for part in {"indices", "indptr", "row", "col"} & set(dir(rows)):
        array = getattr(rows, part).astype(index)
        if part == name:
            array[place] = number
        setattr(rows, part, array)
    return rows


def replaced(form="csr", **arrays):
    """Return the data as a sparse matrix with other arrays."""
    rows = sparse.csr_array(X).asformat(form)
    for name, change in arrays.items():
        setattr(rows, name, change(getattr(rows, name)))
    return rows


BAD = {
    "falls": lambda: tampered("indptr", 5, 0),
    "beyond the end": lambda: tampered("indptr", -1, 10**6),
    "beyond the end within": lambda: tampered("indptr", 9, 10**6),
    "beyond the end, int64": lambda: tampered("indptr", -1, 10**12, index=np.int64),
    "negative": lambda: tampered("indptr", 3, -4),
    "begins late": lambda: tampered("indptr", 0, 2),
    "too long": lambda: replaced(indptr=lambda old: np.append(old, old[-1])),
    "too short": lambda: replaced(indptr=lambda old: old[:-1]),
    "floats": lambda: replaced(indptr=lambda old: old.astype(float)),
    "two dimensions": lambda: replaced(indptr=lambda old: old[:, None]),
    "empty": lambda: replaced(indptr=lambda old: old[:0]),
    "column too far": lambda: tampered("indices", 7, D),
    "column too far, int64": lambda: tampered("indices", 7, 10**12, index=np.int64),
    "negative column": lambda: tampered("indices", 7, -1),
    "columns of floats": lambda: replaced(indices=lambda old: old + 0.5),
    "too few columns": lambda: replaced(indices=lambda old: old[:-3]),
    "too few values": lambda: replaced(data=lambda old: old[:-3]),
    "too many values": lambda: replaced(data=lambda old: np.append(old, 1.0)),
    "CSC falls": lambda: tampered("indptr", 1, 10**6, "csc"),
    "CSC row too far": lambda: tampered("indices", 7, N, "csc"),
    "BSR beyond the end": lambda: tampered("indptr", -1, 10**6, "bsr"),
    "BSR column too far": lambda: tampered("indices", 7, D, "bsr"),
    "COO row too far": lambda: tampered("row", 7, N, "coo"),
    "COO negative column": lambda: tampered("col", 7, -1, "coo"),
    "COO too few values": lambda: replaced("coo", data=lambda old: old[:-3]),
    "DIA offsets": lambda: replaced("dia", offsets=lambda old: np.append(old, old)),
}
# That of DIA.
pytestmark = pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
SEARCH = {"param_grid": {"alpha": [1e-3, 1e-2]}, "cv": 2}


def fitted(kind=GDClassifier):
    return kind(max_iter=2, tol=None).fit(sparse.csr_array(X), Y)


def fit_with_validation(bad):
    GDClassifier(early_stopping=True).fit(sparse.csr_array(X), Y, X_val=bad, y_val=Y)


WAYS = {
    "fit": lambda bad: GDRegressor().fit(bad, Y),
    "fit of a classifier": lambda bad: GDClassifier(optimizer="sgd", batch_size=1).fit(bad, Y),
    "fit with early stopping": lambda bad: GDClassifier(early_stopping=True).fit(bad, Y),
    "X_val": fit_with_validation,
    "partial_fit": lambda bad: GDClassifier().partial_fit(bad, Y, classes=[0, 1, 2]),
    "partial_fit of a regressor": lambda bad: GDRegressor().partial_fit(bad, Y),
    "predict": lambda bad: fitted().predict(bad),
    "predict of a regressor": lambda bad: fitted(GDRegressor).predict(bad),
    "decision_function": lambda bad: fitted().decision_function(bad),
    "predict_proba": lambda bad: fitted().predict_proba(bad),
    "predict_log_proba": lambda bad: fitted().predict_log_proba(bad),
    "score": lambda bad: fitted().score(bad, Y),
    "optimality": lambda bad: fitted().optimality(bad, Y),
    "find_learning_rate": lambda bad: find_learning_rate(
        GDClassifier(optimizer="sgd"), bad, Y, max_samples=99
    ),
    "search": lambda bad: GDSearchCV(GDClassifier(), **SEARCH).fit(bad, Y),
    "fused search": lambda bad: GDSearchCV(GDClassifier(learning_rate=0.1), **SEARCH).fit(bad, Y),
    "search over a pipeline": lambda bad: GDSearchCV(
        make_pipeline(MaxAbsScaler(), GDClassifier()), {"gdclassifier__alpha": [1e-2]}, cv=2
    ).fit(bad, Y),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_a_sparse_matrix_whose_arrays_are_wrong_is_an_error(bad):
    with pytest.raises(ValueError, match=r"^X\.\w+ .*: pass "):
        GDClassifier().fit(BAD[bad](), Y)
    with pytest.raises(ValueError, match=r"^X\.\w+ .*: pass "):
        fitted().predict(BAD[bad]())


@pytest.mark.parametrize("bad", ["beyond the end", "negative column", "too short"])
@pytest.mark.parametrize("way", WAYS)
def test_no_way_in_leads_past_the_check(way, bad):
    with pytest.raises(ValueError, match=r"^X\.(indptr|indices) .*: pass "):
        WAYS[way](BAD[bad]())


@pytest.mark.parametrize("form", ["csr", "csc", "bsr", "coo", "dia", "lil", "dok"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_right_matrices_of_all_formats_pass(form, index):
    rows = tampered(None, 0, 0, form, index)
    expected = GDClassifier(max_iter=3, tol=None).fit(X, Y)
    model = GDClassifier(max_iter=3, tol=None).fit(rows, Y)
    assert_allclose(model.coef_, expected.coef_, rtol=1e-8)
    assert_allclose(model.decision_function(rows), model.decision_function(X), rtol=1e-12)


def test_entries_given_twice_with_indices_of_two_types_are_summed():
    rows = sparse.csr_array(
        ([1.0, 2.0, 5.0, 1.0, 4.0], [0, 0, 1, 0, 1], [0, 2, 3, 4, 5]), shape=(4, 2)
    )
    rows.indices, rows.indptr = rows.indices.astype(np.int32), rows.indptr.astype(np.int64)
    expected = GDRegressor(alpha=0.1).fit(rows.toarray(), [1.0, 3.0, 2.0, 0.0]).coef_
    assert_allclose(GDRegressor(alpha=0.1).fit(rows, [1.0, 3.0, 2.0, 0.0]).coef_, expected)
    assert rows.nnz == 5 and rows.indptr.dtype == np.int64
