"""Where users import from, and what pickles name, whatever file a class is in."""

import importlib
import pickle

import pytest

NAMES = {
    "skgd": "DescentDisplay DivergenceWarning GDClassifier GDRegressor GDSearchCV "
    "LearningRateDisplay PathDisplay RateTest RegularizationPathDisplay "
    "alpha_sequence find_learning_rate minimize one_standard_error",
    "skgd.losses": "Loss SquaredError AbsoluteError Quantile EpsilonInsensitive Huber "
    "SquaredEpsilonInsensitive LogCosh Cauchy Poisson Gamma Tweedie Perceptron Hinge SquaredHinge "
    "ModifiedHuber LogLoss Focal by_name",
    "skgd.penalties": "Penalty L2 L1 ElasticNet GroupLasso Box",
    "skgd.optimizers": "Optimizer SGD Lion Rprop Adagrad RMSprop Adadelta Adam AdamW Adamax NAdam "
    "RAdam Yogi DoG SVRG SAGA FullBatchOptimizer GradientDescent AcceleratedGradient "
    "BarzilaiBorwein LBFGS",
    "skgd.schedules": "Schedule Constant InverseScaling Exponential Step Polynomial Cosine "
    "OneCycle Warmup ReduceOnPlateau",
    "skgd.display": "DescentDisplay LearningRateDisplay PathDisplay RegularizationPathDisplay",
}


@pytest.mark.parametrize("path", NAMES)
def test_public_names(path):
    module = importlib.import_module(path)
    assert set(NAMES[path].split()) <= set(module.__all__)
    assert len(module.__all__) == len(set(module.__all__))


@pytest.mark.parametrize("path", NAMES)
def test_pickles_that_name_the_public_path(path):
    module = importlib.import_module(path)
    for name in NAMES[path].split():
        thing = pickle.loads(f"c{path}\n{name}\n.".encode())
        assert thing is getattr(module, name)
        assert pickle.loads(pickle.dumps(thing)) is thing
        if path != "skgd":
            assert thing.__module__ == path
