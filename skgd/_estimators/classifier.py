"""The classifier."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from skgd._estimators.base import BaseGD, losses_in_words, takes_batches
from skgd._estimators.dask_inputs import lazy_on_collections
from skgd._estimators.regressor import GDRegressor
from skgd._fit.targets import check_classes
from skgd._utils.collections import gathered
from skgd.losses import by_name, make_loss


def _has_probabilities(estimator):
    """Whether the loss gives probabilities; the message names the losses that do."""
    loss = make_loss(estimator.loss, "classification", type(estimator).__name__)
    if hasattr(loss, "probabilities"):
        return True
    losses = by_name("classification")
    names = [name for name, loss in losses.items() if hasattr(loss, "probabilities")]
    raise AttributeError(
        f"loss={estimator.loss!r} gives no probabilities: pass loss="
        f"{' or '.join(map(repr, names))}, or wrap the classifier in "
        "sklearn.calibration.CalibratedClassifierCV."
    )


class GDClassifier(ClassifierMixin, BaseGD):
    """Linear classification trained by gradient descent, on unscaled features.

    Minimises ``F(W, b) = 1/sum(s) sum_i s_i loss(y_i, W x_i + b) + alpha penalty(W)``, where s are
    the sample weights times the class weights. With more than two classes, "log_loss" is a softmax,
    and the other losses are one-vs-rest.

    Parameters
    ----------
    loss : str or Loss, default="log_loss"
        An object from ``skgd.losses`` or one of the names

{losses}
{parameters}    class_weight : dict, "balanced" or None, default=None
        Class weights, which multiply the sample weights; "balanced" gives all classes the same
        total weight.

    Attributes
    ----------
    coef_ : array of shape (1, n_features) or (n_classes, n_features)
        Coefficients for the raw columns, in the dtype of X.
    intercept_ : array of shape (1,) or (n_classes,)
        Intercepts.
    classes_ : array of shape (n_classes,)
        The labels.
{attributes}
    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skgd import GDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> round(GDClassifier().fit(X, y).score(X, y), 2)
    0.97
    """

    _task = "classification"
    _single_output = False

    def __init__(
        self, loss="log_loss", *, penalty="l2", alpha=1e-4, l1_ratio=0.15, fit_intercept=True,
        positive=False, optimizer="auto", learning_rate="auto", batch_size="auto", shuffle=True,
        precondition="auto", average=False, max_iter=1000, tol=1e-4, n_iter_no_change=5,
        early_stopping=False, validation_fraction=0.1, scoring=None, init="zeros",
        on_divergence="recover", warm_start=False, n_jobs=None, verbose=0, random_state=None,
        class_weight=None,
    ):  # fmt: skip
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.precondition = precondition
        self.average = average
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.init = init
        self.on_divergence = on_divergence
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state
        self.class_weight = class_weight

    @available_if(takes_batches)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Take one epoch of update steps on a batch of rows and keep all state.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        classes : array of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call.
        sample_weight : array of shape (n_samples,), default=None
            The weight of each row; a call whose weights are all zero changes nothing.

        Returns
        -------
        self
        """
        first = not hasattr(self, "classes_")
        if classes is not None:
            classes = np.unique(classes)
            if first:
                check_classes(classes)
                self.classes_ = classes
            elif not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                    f"{self.classes_!r}. Pass the same classes in each call."
                )
        elif first:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        try:
            return self._partial_fit(X, y, sample_weight, first=first)
        except BaseException:
            if first and not hasattr(self, "coef_"):
                del self.classes_
            raise

    @lazy_on_collections
    def decision_function(self, X):
        """Return the margins: one number per row for two classes, one per class for more.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
        """
        margins = self._decision(X)
        return margins[:, 0] if margins.shape[1] == 1 else margins

    @lazy_on_collections
    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,)
        """
        margins = self.decision_function(X)
        if margins.ndim == 1:
            return self.classes_[(margins > 0).astype(np.intp)]
        return self.classes_[margins.argmax(axis=1)]

    def score(self, X, y, sample_weight=None):
        """Return the share of the rows whose label is predicted.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        y, sample_weight = gathered(y, "y"), gathered(sample_weight, "sample_weight")
        predictions = gathered(self.predict(X), "predict(X)")
        return accuracy_score(y, predictions, sample_weight=sample_weight)

    @available_if(_has_probabilities)
    @lazy_on_collections
    def predict_proba(self, X):
        """Return the probabilities of the classes, for losses that have them.

        "log_loss", "modified_huber" and "focal": the probabilities for which the margins are the
        best ones; several classes of the latter two are normalised to a sum of 1. Other losses
        raise an AttributeError: wrap those in ``sklearn.calibration.CalibratedClassifierCV``.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes)
        """
        with np.errstate(all="ignore"):
            return self._loss.probabilities(self._decision(X))

    @available_if(_has_probabilities)
    @lazy_on_collections
    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes)
        """
        with np.errstate(all="ignore"):
            return np.log(self.predict_proba(X))


def _shared(section):
    """Return the lines of the regressor's docstring that the classifier shares."""
    doc = GDRegressor.__doc__
    if section == "parameters":
        return doc[doc.index("    penalty :"):doc.index("\n    Attributes")]
    return doc[doc.index("    alpha_ :"):doc.index("\n    Examples")]


if GDClassifier.__doc__:  # which `python -OO` strips
    GDClassifier.__doc__ = GDClassifier.__doc__.format(
        losses=losses_in_words("classification"),
        parameters=_shared("parameters"), attributes=_shared("attributes"),
    )
