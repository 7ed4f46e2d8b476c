"""A class whose rows all have weight 0 stays a class, as it does in scikit-learn's classifiers."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.linear_model import LogisticRegression

from skgd import GDClassifier, GDSearchCV
from skgd.losses import by_name

X, SPECIES = load_iris(return_X_y=True)
# Class 7 has one row, and it does not count.
FOUR = SPECIES.copy()
FOUR[0] = 7
WEIGHTS = np.arange(len(X)) % 3 + 1.0
WEIGHTS[0] = 0.0
TWO = np.where(FOUR == 7, "rare", "usual")
LOSSES = list(by_name("classification"))
SETTINGS = [
    {}, {"optimizer": "adam", "random_state": 0, "max_iter": 30},
    {"optimizer": "lbfgs"}, {"penalty": "l1"},
    {"optimizer": "sgd", "batch_size": 1, "random_state": 0, "max_iter": 5},
]  # fmt: skip
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_setting = pytest.mark.parametrize("settings", SETTINGS, ids=str)
pytestmark = pytest.mark.filterwarnings("ignore:max_iter")


def makes_no_sense(loss, settings):
    return loss == "perceptron" and settings.get("optimizer") == "lbfgs"


CASES = [
    (loss, settings) for loss in LOSSES for settings in SETTINGS
    if not makes_no_sense(loss, settings)
]  # fmt: skip


@pytest.mark.parametrize("loss, settings", CASES[::2], ids=str)
def test_one_of_four_classes_has_no_weight(loss, settings):
    model = GDClassifier(loss, **settings).fit(X, FOUR, sample_weight=WEIGHTS)
    assert_array_equal(model.classes_, [0, 1, 2, 7])
    assert model.coef_.shape == (4, 4) and model.intercept_.shape == (4,)
    assert np.all(np.isfinite(model.coef_)) and np.all(np.abs(model.intercept_) < 1e3)
    assert set(model.predict(X)) <= {0, 1, 2}
    assert model.score(X[1:], FOUR[1:]) > 0.6
    if hasattr(model, "predict_proba"):
        p = model.predict_proba(X)
        assert p.shape == (150, 4) and np.all(p[:, 3] < 1e-6)
        assert_allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("loss, settings", CASES[1::2], ids=str)
@pytest.mark.parametrize("counted", ["usual", "rare"])
def test_one_of_two_classes_has_no_weight(loss, settings, counted):
    weights = np.where(TWO == counted, WEIGHTS + 1, 0.0)
    model = GDClassifier(loss, **settings).fit(X, TWO, sample_weight=weights)
    assert_array_equal(model.classes_, ["rare", "usual"])
    assert model.coef_.shape == (1, 4) and np.isfinite(model.intercept_).all()
    assert set(model.predict(X)) == {counted}
    if hasattr(model, "predict_proba"):
        p = model.predict_proba(X)
        assert p.shape == (150, 2)
        assert np.all(p[:, list(model.classes_).index(counted)] > 1 - 1e-6)


@pytest.mark.parametrize("y", [FOUR, TWO], ids=["four", "two"])
@pytest.mark.parametrize("convert", [np.float32, sparse.csr_array], ids=["float32", "CSR"])
def test_other_kinds_of_X_have_the_class_too(y, convert):
    rows = convert(X)
    model = GDClassifier(alpha=1e-2).fit(rows, y, sample_weight=WEIGHTS)
    assert len(model.classes_) == len(np.unique(y))
    expected = GDClassifier(alpha=1e-2).fit(X, y, sample_weight=WEIGHTS)
    assert_allclose(model.predict_proba(rows), expected.predict_proba(X), atol=1e-3)


def test_a_fit_of_the_class_tells_nothing_false():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loss in LOSSES:
            for y in (FOUR, TWO):
                model = GDClassifier(loss).fit(X, y, sample_weight=WEIGHTS)
                known = np.isfinite(model.optimality_)
                assert not known or model.optimality_ < 1e-3 * (1 + model.history_["objective"][-1])
        GDClassifier(penalty=None).fit(X, TWO, sample_weight=WEIGHTS)


def test_the_counted_classes_have_the_model_that_they_have_alone():
    model = GDClassifier(alpha=1e-2, tol=1e-8).fit(X, FOUR, sample_weight=WEIGHTS)
    alone = GDClassifier(alpha=1e-2, tol=1e-8).fit(X[1:], FOUR[1:], sample_weight=WEIGHTS[1:])
    assert_allclose(model.predict_proba(X)[:, :3], alone.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("class_weight", ["balanced", {"rare": 3.0}, {"usual": 2.0}], ids=str)
def test_class_weights_go_with_it(class_weight):
    model = GDClassifier(class_weight=class_weight).fit(X, TWO, sample_weight=WEIGHTS)
    assert_array_equal(model.classes_, ["rare", "usual"])
    assert set(model.predict(X)) == {"usual"}
    labels = {"rare": 7, "usual": 1}
    if isinstance(class_weight, dict):
        class_weight = {labels[name]: weight for name, weight in class_weight.items()}
    model = GDClassifier(class_weight=class_weight).fit(X, FOUR, sample_weight=WEIGHTS)
    assert_array_equal(model.classes_, [0, 1, 2, 7])
    assert np.all(model.predict_proba(X)[:, 3] < 1e-6)


def test_class_weights_that_leave_nothing_are_an_error():
    weights = np.where(SPECIES == 0, 1.0, 0.0)
    model = GDClassifier(class_weight={0: 0.0})
    with pytest.raises(ValueError, match="class_weight={0: 0.0}.*sample_weight.*pass"):
        model.fit(X, SPECIES, sample_weight=weights)


@pytest.mark.parametrize("y", [FOUR, TWO], ids=["four", "two"])
def test_early_stopping_splits_the_rows_that_count(y):
    settings = {"early_stopping": True, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = GDClassifier(**settings).fit(X, y, sample_weight=WEIGHTS)
    assert len(model.classes_) == len(np.unique(y))
    assert np.isfinite(model.history_["validation_loss"]).all()


def test_partial_fit_has_the_class():
    model = GDClassifier(random_state=0)
    for _ in range(20):
        model.partial_fit(X, FOUR, classes=[0, 1, 2, 7], sample_weight=WEIGHTS)
    assert model.predict_proba(X).shape == (150, 4)
    assert set(model.predict(X)) <= {0, 1, 2}
    model = GDClassifier(class_weight={0: 0.0}).partial_fit(X, SPECIES, classes=[0, 1, 2])
    before = model.coef_.copy()
    assert_array_equal(model.partial_fit(X[:50], SPECIES[:50]).coef_, before)


def test_ensembles_that_pass_weights_work_as_with_scikit_learns_classifiers():
    y = (np.arange(len(X)) < 2).astype(int)
    for ensemble in (BaggingClassifier, AdaBoostClassifier):
        model = ensemble(GDClassifier(), n_estimators=10, random_state=0).fit(X, y)
        other = ensemble(LogisticRegression(max_iter=500), n_estimators=10, random_state=0)
        other.fit(X, y)
        for ours, theirs in zip(model.estimators_, other.estimators_, strict=False):
            assert_array_equal(ours.classes_, theirs.classes_)
        assert model.predict_proba(X).shape == (150, 2)


@pytest.mark.parametrize("rate", ["auto", 0.1])
@pytest.mark.parametrize("y", [FOUR, TWO], ids=["four", "two"])
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_search_has_the_class(y, rate):
    # Three rows of the class, one for each fold, without weight.
    y = np.where(np.arange(len(X)) < 3, y[0], y)
    weights = np.where(y == y[0], 0.0, WEIGHTS)
    model = GDClassifier(learning_rate=rate, random_state=0, max_iter=20, tol=None)
    search = GDSearchCV(model, {"alpha": [1e-3, 1e-2]}, cv=3, race=False)
    search.fit(X, y, sample_weight=weights)
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert_array_equal(search.classes_, np.unique(y))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64, np.uint64])
@pytest.mark.parametrize("labels", [[-100, 120, 3], [5, 6], [-(2**62), 2**62, 0]])
def test_integer_labels_keep_their_order_and_their_type(dtype, labels):
    info = np.iinfo(dtype)
    labels = np.clip(np.array(labels, dtype=object), info.min, info.max).astype(dtype)
    X = np.arange(30.0)[:, None] % len(labels)
    y = labels[np.arange(30) % len(labels)]
    model = GDClassifier().fit(X, y)
    assert_array_equal(model.classes_, np.unique(labels), strict=True)
    text = np.array(list("abc"))[np.searchsorted(model.classes_, y)]
    assert_array_equal(model.coef_, GDClassifier().fit(X, text).coef_)
