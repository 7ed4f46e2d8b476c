"""From a fitted estimator to scikit-learn's of the same model, for tools that know those alone."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn import linear_model, multioutput, svm
from sklearn.base import ClassifierMixin, clone

from skgd import losses
from skgd._utils.sklearn_compat import (
    constructor_parameters,
    logistic_penalty,
    set_fitted_loss,
)
from skgd.losses import make_loss
from skgd.penalties import L1, L2, ElasticNet, make_penalty


@dataclass
class Terms:
    """What scikit-learn's constructors need to know of an objective.

    Attributes
    ----------
    alpha : float
        0 where scikit-learn does not have the penalty.
    l1_ratio : float
    weight : float
        The sum of the weights of the rows.
    shared : dict
        Parameters that mean the same in both.
    """

    alpha: float
    l1_ratio: float
    weight: float
    shared: dict

    @classmethod
    def of(cls, estimator):
        penalty = make_penalty(estimator.penalty, estimator.l1_ratio)
        known = {L1: 1.0, L2: 0.0, ElasticNet: getattr(penalty, "l1_ratio", 0.0)}
        plain = type(penalty) in known and getattr(penalty, "weights", None) is None
        shared = ("fit_intercept", "positive", "class_weight")
        return cls(
            alpha=float(estimator.alpha_) if plain else 0.0,
            l1_ratio=float(known[type(penalty)]) if plain else 0.0,
            weight=vars(estimator)["_weight_sum"],
            shared={name: getattr(estimator, name) for name in shared if hasattr(estimator, name)},
        )

    @property
    def l1(self):
        """The factor of a penalty that is l1 alone."""
        return self.alpha if self.l1_ratio == 1 else 0.0

    @property
    def l2(self):
        """The factor of a penalty that is l2 alone."""
        return self.alpha if self.l1_ratio == 0 else 0.0

    @property
    def C(self):
        """The factor of summed losses, relative to a penalty without one."""
        total = self.alpha * self.weight
        return 1.0 / total if total > 0 else np.inf

    def make(self, kind, **settings):
        """Return an unfitted estimator with the settings and the shared parameters that it has."""
        taken = constructor_parameters(kind)
        shared = {name: value for name, value in self.shared.items() if name in taken}
        return kind(**shared, **settings)

    def make_sgd(self, kind, **settings):
        """Return an unfitted estimator whose penalty has a name, as here."""
        name = {0.0: "l2", 1.0: "l1"}.get(self.l1_ratio, "elasticnet") if self.alpha else None
        return self.make(
            kind, penalty=name, alpha=self.alpha, l1_ratio=self.l1_ratio, **settings
        )


def _least_squares(loss, terms):
    if terms.alpha == 0:
        return terms.make(linear_model.LinearRegression)
    if terms.l1_ratio == 0:
        return terms.make(linear_model.Ridge, alpha=terms.alpha * terms.weight)
    if terms.l1_ratio == 1:
        return terms.make(linear_model.Lasso, alpha=terms.alpha)
    return terms.make(linear_model.ElasticNet, alpha=terms.alpha, l1_ratio=terms.l1_ratio)


def _huber(loss, terms):
    # HuberRegressor fits the scale of the residuals: delta is its epsilon times that.
    model = terms.make(linear_model.HuberRegressor)
    model.scale_ = loss.delta / model.epsilon
    return model.set_params(alpha=terms.l2 * terms.weight / model.scale_)


def _logistic(loss, terms):
    solver = "lbfgs" if terms.l1_ratio == 0 else "saga"
    return terms.make(
        linear_model.LogisticRegression, C=terms.C, solver=solver,
        **logistic_penalty(terms.l1_ratio),
    )  # fmt: skip


def _support_vectors(kind, name, **settings):
    def make(loss, terms):
        return terms.make(kind, loss=name, C=terms.C, **settings, **loss.get_params())
    return make


def _log_link(kind):
    def make(loss, terms):
        model = terms.make(kind, alpha=terms.l2, **loss.get_params())
        if "link" in constructor_parameters(kind):
            model.set_params(link="log")
        # Made by its fit, and read by its predict.
        set_fitted_loss(model)
        return model
    return make


# The makers of scikit-learn's estimators: from a loss and the other terms of the objective.
PEERS = {
    losses.SquaredError: _least_squares,
    losses.AbsoluteError: lambda loss, terms: terms.make(
        linear_model.QuantileRegressor, quantile=0.5, alpha=terms.l1 / 2
    ),
    losses.Quantile: lambda loss, terms: terms.make(
        linear_model.QuantileRegressor, quantile=loss.quantile, alpha=terms.l1
    ),
    losses.EpsilonInsensitive: _support_vectors(svm.LinearSVR, "epsilon_insensitive"),
    losses.Huber: _huber,
    losses.SquaredEpsilonInsensitive: _support_vectors(
        svm.LinearSVR, "squared_epsilon_insensitive", dual=False
    ),
    losses.Poisson: _log_link(linear_model.PoissonRegressor),
    losses.Gamma: _log_link(linear_model.GammaRegressor),
    losses.Tweedie: _log_link(linear_model.TweedieRegressor),
    losses.Perceptron: lambda loss, terms: terms.make_sgd(linear_model.Perceptron),
    losses.Hinge: _support_vectors(svm.LinearSVC, "hinge"),
    losses.SquaredHinge: _support_vectors(svm.LinearSVC, "squared_hinge", dual=False),
    losses.ModifiedHuber: lambda loss, terms: terms.make_sgd(
        linear_model.SGDClassifier, loss="modified_huber"
    ),
    losses.LogLoss: _logistic,
}
# Those whose fit is one in double precision, for the intercept of two classes at least, and those
# that have one intercept for each class even without intercepts; others have the number 0.
DOUBLE_PRECISION = (
    linear_model.QuantileRegressor, linear_model.HuberRegressor, svm.LinearSVR, svm.LinearSVC,
)  # fmt: skip
BINARY_IN_DOUBLE_PRECISION = (linear_model.Perceptron, linear_model.SGDClassifier)
ARRAYS_OF_ZEROS = (
    linear_model.LogisticRegression, linear_model.Perceptron, linear_model.SGDClassifier,
)  # fmt: skip
# Those that have coefficients for several outputs.
SEVERAL_OUTPUTS = (
    linear_model.LinearRegression, linear_model.Ridge, linear_model.Lasso, linear_model.ElasticNet,
)  # fmt: skip


def to_sklearn(estimator):
    """Return a fitted estimator of scikit-learn with the coefficients of a fitted one of skgd."""
    task = "classification" if isinstance(estimator, ClassifierMixin) else "regression"
    loss = make_loss(estimator.loss, task, type(estimator).__name__)
    if type(loss) not in PEERS:
        names = ", ".join(kind.__name__ for kind in PEERS if kind.task == loss.task)
        raise ValueError(
            f"loss={estimator.loss!r} has no counterpart in scikit-learn: {names} have one. Read "
            "coef_ and intercept_ instead."
        )
    terms = Terms.of(estimator)
    coef, intercept = estimator.coef_, estimator.intercept_
    coef = coef.toarray() if sparse.issparse(coef) else coef.copy()
    if loss.task == "classification":
        return _classifier(PEERS[type(loss)](loss, terms), estimator, coef, intercept)
    if coef.ndim == 1:
        return _regressor(PEERS[type(loss)](loss, terms), estimator, coef, intercept)
    # A list of quantiles has one for each output.
    parts = map(type(loss), loss.quantile) if loss.expands else [loss] * len(coef)
    peers = [PEERS[type(part)](part, terms) for part in parts]
    if isinstance(peers[0], SEVERAL_OUTPUTS):
        return _with_coefficients(peers[0], estimator, coef, intercept)
    model = multioutput.MultiOutputRegressor(clone(peers[0]))
    rows = zip(peers, coef, intercept[:, None], strict=True)
    return _described(
        model, estimator, estimators_=[_regressor(peer, estimator, *row) for peer, *row in rows]
    )


def _classifier(model, estimator, coef, intercept):
    model.classes_ = estimator.classes_.copy()
    _with_coefficients(model, estimator, coef, intercept)
    if isinstance(model, linear_model.LogisticRegression):
        model.n_iter_ = np.array([model.n_iter_], dtype=np.int32)
    return model


def _regressor(model, estimator, coef, intercept):
    one = intercept if isinstance(model, svm.LinearSVR) else intercept[0]
    return _with_coefficients(model, estimator, coef, one)


def _with_coefficients(model, estimator, coef, intercept):
    """Set coefficients and intercepts, of the types and shapes that the class's own fit gives."""
    double = isinstance(model, DOUBLE_PRECISION)
    if not model.fit_intercept and not isinstance(model, ARRAYS_OF_ZEROS):
        intercept = np.float64(0.0)
    elif double or (isinstance(model, BINARY_IN_DOUBLE_PRECISION) and len(intercept) == 1):
        intercept = intercept.astype(np.float64)
    return _described(
        model, estimator, coef_=coef.astype(np.float64) if double else coef,
        intercept_=intercept.copy(),
    )


def _described(model, estimator, **attributes):
    """Set attributes, and those that describe the features and the fit."""
    for name in ("n_features_in_", "feature_names_in_", "n_iter_"):
        if hasattr(estimator, name):
            attributes[name] = getattr(estimator, name)
    for name, value in attributes.items():
        setattr(model, name, value)
    return model
