"""Several quantiles in one fit."""

import numpy as np
import pytest
from sklearn import metrics

from skgd import GDRegressor
from skgd.losses import Quantile

X = np.random.default_rng(0).normal(3.0, 1.0, (60, 4)) * [1.0, 1e3, 1e-3, 10.0]


def targets_of(loss):
    return loss.sample_targets(len(X), seed=2)


def test_several_quantiles_are_one_fit_for_each():
    rng = np.random.default_rng(0)
    y, quantiles = X[:, 0] + rng.normal(size=len(X)) * X[:, 3] / 20, [0.2, 0.5, 0.9]
    model = GDRegressor(Quantile(quantiles), alpha=1e-3).fit(X, y)
    assert model.coef_.shape == (3, 4) and model.intercept_.shape == (3,)
    assert model.predict(X).shape == (60, 3)
    for q, column in zip(quantiles, model.predict(X).T, strict=True):
        alone = GDRegressor(Quantile(q), alpha=1e-3).fit(X, y)
        assert alone.coef_.shape == (4,)
        loss = metrics.mean_pinball_loss(y, column, alpha=q)
        assert loss == pytest.approx(metrics.mean_pinball_loss(y, alone.predict(X), alpha=q), 1e-3)
        assert np.mean(y <= column) == pytest.approx(q, abs=0.1)
    scores = [
        metrics.d2_pinball_score(y, column, alpha=q)
        for q, column in zip(quantiles, model.predict(X).T, strict=True)
    ]
    assert model.score(X, y) == pytest.approx(np.mean(scores)) and min(scores) > 0


def test_quantiles_take_steps_and_a_list_of_one_has_a_column():
    y = targets_of(Quantile())
    model = GDRegressor(Quantile([0.3, 0.7]), optimizer="adam", random_state=0)
    assert model.partial_fit(X, y).partial_fit(X, y).coef_.shape == (2, 4)
    model = GDRegressor(Quantile([0.3])).fit(X, y)
    assert model.coef_.shape == (1, 4) and model.predict(X).shape == (60, 1)
    assert np.isfinite(model.score(X, y))


@pytest.mark.parametrize("quantile", [0.0, 1.0, [0.5, 1.2], [], "median", None, [[0.5]]])
def test_quantiles_that_are_none_are_errors(quantile):
    with pytest.raises(ValueError, match="quantile=.*between 0 and 1"):
        GDRegressor(Quantile(quantile)).fit(X, targets_of(Quantile()))


def test_several_quantiles_of_several_outputs_are_an_error():
    with pytest.raises(ValueError, match="2 outputs.*one quantile"):
        GDRegressor(Quantile([0.5, 0.6])).fit(X, X[:, :2])
    with pytest.raises(ValueError, match="one for each quantile"):
        Quantile([0.5, 0.6]).value(np.ones((5, 3)), np.ones((5, 3)))
