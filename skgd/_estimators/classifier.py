"""The classifier."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from skgd._estimators.base import BaseGD, losses_in_words, takes_batches
from skgd._estimators.regressor import GDRegressor
from skgd._fit.targets import class_codes
from skgd._utils.checks import is_finite, shown
from skgd._utils.names import check_choice
from skgd.losses import by_name


def _has_probabilities(estimator):
    """Whether the loss gives probabilities; the message names the losses that do."""
    if hasattr(estimator._make_loss(), "probabilities"):
        return True
    losses = by_name("classification")
    names = [name for name, loss in losses.items() if hasattr(loss, "probabilities")]
    raise AttributeError(
        f"loss={estimator.loss!r} gives no probabilities: pass loss="
        f"{' or '.join(map(repr, names))}, or wrap the classifier in "
        "sklearn.calibration.CalibratedClassifierCV."
    )


class GDClassifier(ClassifierMixin, BaseGD):
    """Linear classification trained by gradient descent, on raw columns of any scale.

    Minimises ``F(W, b) = 1/sum(s) sum_i s_i loss(y_i, W x_i + b) + alpha penalty(W)``, where s are
    the sample weights times the class weights. Three and more classes are a softmax for "log_loss",
    one-versus-rest for the other losses.

    Parameters
    ----------
    loss : str or Loss, default="log_loss"
        An object from ``skgd.losses`` or one of the names

{losses}
{parameters}    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, which multiply the sample weights; "balanced" makes the classes'
        weights equal.

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
                self._check_classes(classes)
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

    @available_if(_has_probabilities)
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
            return self._make_loss().probabilities(self._decision(X))

    @available_if(_has_probabilities)
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

    def _check_classes(self, classes):
        if len(classes) < 2:
            raise ValueError(
                f"GDClassifier needs at least 2 classes in y, got {len(classes)} class: pass "
                "targets of two and more classes."
            )

    def _check_parameters(self):
        super()._check_parameters()
        if isinstance(self.class_weight, str):
            check_choice("class_weight", self.class_weight, ("balanced", None), "or a dict")
        elif not (self.class_weight is None or isinstance(self.class_weight, dict)):
            raise TypeError(
                f"class_weight={shown(self.class_weight)}: pass 'balanced', a dict or None."
            )

    def _encode(self, y, weights, *, reset, partial=False):
        learns = reset and not partial
        if learns:
            classes = _labels(y)
            self._check_classes(classes)
        else:
            check_classification_targets(y)
            classes = self.classes_
        codes = np.searchsorted(classes, y)
        if not learns:
            codes[codes == len(classes)] = 0
            unknown = np.unique(y[classes[codes] != y])
            if len(unknown):
                remedy = (
                    "pass all classes in the first call" if partial
                    else "pass rows of these classes, or fit anew with warm_start=False"
                )
                raise ValueError(
                    f"y contains the labels {unknown.tolist()!r}, which are not among the classes "
                    f"{classes.tolist()!r}: {remedy}."
                )
        two = len(classes) == 2
        targets = 2.0 * codes[:, None] - 1.0 if two else codes.astype(np.float64)
        if learns:
            self.classes_ = classes
        return targets, 1 if two else len(classes)

    def _check_counted(self, targets, counts):
        if np.count_nonzero(np.bincount(class_codes(targets), counts > 0)) < 2:
            raise ValueError(
                "GDClassifier needs at least 2 classes among the rows of a fold, and these have 1: "
                "pass fewer folds, or stratified ones."
            )

    def _weighs_nothing(self, targets, weights):
        if super()._weighs_nothing(targets, weights):
            return True
        if not isinstance(self.class_weight, dict):
            return False
        sums = np.bincount(class_codes(targets), weights, len(self.classes_))
        factors = [self.class_weight.get(label, 1.0) for label in self.classes_.tolist()]
        return not any(factor != 0 for factor, weight in zip(factors, sums, strict=True) if weight)

    def _class_factors(self, targets, weights, memory, partial):
        """Return the weight of each class, or None where all are 1."""
        if self.class_weight is None:
            return None
        k = len(self.classes_)
        if isinstance(self.class_weight, str):
            sums = np.bincount(class_codes(targets), weights=weights, minlength=k)
            memory.class_weights = sums + (memory.class_weights if partial else 0.0)
            present = memory.class_weights > 0
            factors = np.zeros(k)
            factors[present] = memory.class_weights.sum() / (
                present.sum() * memory.class_weights[present]
            )
            return factors
        unknown = [label for label in self.class_weight if label not in self.classes_.tolist()]
        if unknown:
            raise ValueError(
                f"class_weight has the labels {unknown!r}, which are not among the classes "
                f"{self.classes_.tolist()!r}: pass labels of y."
            )
        factors = [self.class_weight.get(label, 1.0) for label in self.classes_.tolist()]
        usable = all(is_finite(factor) and factor >= 0 for factor in factors)
        if not usable or np.count_nonzero(factors) < 2:
            raise ValueError(
                f"class_weight={shown(self.class_weight)}: pass finite weights >= 0, at "
                "least two of them above 0."
            )
        if self._weighs_nothing(targets, weights):
            raise ValueError(
                f"class_weight={shown(self.class_weight)}: all rows that have a weight above 0 in "
                "sample_weight are of classes with the weight 0; pass a weight above 0 for one of "
                "these classes."
            )
        return np.array(factors, dtype=float)

    def _identified(self, coef, intercept, objective):
        """Let a softmax's free directions sum to zero over the classes, if bounds allow it.

        Otherwise they sum to what is next to zero within the bounds.
        """
        if not self._make_loss().is_multiclass(objective.problem.k):
            return coef, intercept
        if not objective.alpha.any():
            bounds = objective.penalty.separable_form(coef.shape[1])
            lower, upper = bounds[1:] if bounds is not None else (-np.inf, np.inf)
            shift = np.minimum(coef.mean(axis=0), coef.min(axis=0) - lower)
            moved = np.maximum(coef - np.maximum(shift, coef.max(axis=0) - upper), lower)
            coef = np.minimum(moved, upper)
        return coef, intercept - intercept.mean() if self.fit_intercept else intercept


def _labels(y):
    """Return the labels of y, which are looked for once: the check of their kind does so too."""
    try:
        return unique_labels(y)
    except ValueError:
        check_classification_targets(y)  # which says more
        raise
    except TypeError as error:
        raise TypeError(
            f"y has labels of several types: pass labels of one type. ({error})"
        ) from error


def _shared(section):
    """Return the lines of the regressor's docstring that the classifier shares."""
    doc = GDRegressor.__doc__
    if section == "parameters":
        return doc[doc.index("    penalty :"):doc.index("\n    Attributes")]
    return doc[doc.index("    n_features_in_ :"):doc.index("\n    Examples")]


if GDClassifier.__doc__:  # which `python -OO` strips
    GDClassifier.__doc__ = GDClassifier.__doc__.format(
        losses=losses_in_words("classification"),
        parameters=_shared("parameters"), attributes=_shared("attributes"),
    )
