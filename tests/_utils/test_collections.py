"""Dask collections where there is no cluster, or where they are not taken in blocks."""

import dask.array as da
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer

from skgd import GDClassifier, GDSearchCV, find_learning_rate

X, Y = load_breast_cancer(return_X_y=True)
MODEL = GDClassifier(optimizer="adam", random_state=0)
LARGE = da.zeros((1_000_000, 20), chunks=(100_000, 20)), da.zeros(1_000_000, chunks=100_000)


@pytest.mark.parametrize("use", [
    lambda *data: MODEL.partial_fit(*data, classes=[0, 1]),
    lambda *data: GDSearchCV(MODEL, {"alpha": [0.1]}).fit(*data),
    lambda *data: find_learning_rate(MODEL, *data),
], ids=["partial_fit", "search", "rate test"])  # fmt: skip
def test_nothing_large_is_gathered(use):
    with pytest.raises(TypeError, match="X is a Dask collection of 153 MiB.*spool"):
        use(*LARGE)


def test_small_collections_are_gathered():
    parts = da.from_array(X, chunks=(100, 30)), da.from_array(Y, chunks=100)
    coef = GDClassifier(optimizer="adam", random_state=0).partial_fit(*parts, [0, 1]).coef_
    assert_array_equal(coef, MODEL.partial_fit(X, Y, [0, 1]).coef_)


def test_a_cluster_is_needed():
    with pytest.raises(ValueError, match="distributed.Client"):
        GDClassifier().fit(da.from_array(X), da.from_array(Y))
