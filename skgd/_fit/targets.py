"""How targets become the numbers that a loss takes, and coefficients the attributes of a model."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from skgd._utils.checks import check_size, is_finite
from skgd._utils.names import shown

# The range of integer labels that are counted: hashing and a search for each take 15 ms for 200 000
# rows of two classes, counting 1 ms.
COUNTED = 2**16


class Targets:
    """What a fit knows of its targets.

    Attributes
    ----------
    n_outputs : int
    """

    n_outputs = 1

    @property
    def attributes(self):
        """The attributes of an estimator that describe its targets."""
        raise NotImplementedError

    def encode(self, y):
        """Return targets as the loss wants them.

        Raises
        ------
        ValueError
            If the targets are of another kind than those that were learned.
        """
        raise NotImplementedError

    def weigh_nothing(self, targets, weights):
        """Tell whether no row has a weight."""
        return weights is not None and not np.any(weights)

    def class_factors(self, class_weights, state, is_partial):
        """Return the factor of the weights of each class, or None where all are 1.

        Parameters
        ----------
        class_weights : callable
            Of the number of classes: the sum of the weights of each.
        state : FitState
            Its totals of a stream are changed in place.
        is_partial : bool
        """
        return None

    def identified(self, coef, intercept, objective):
        """Return the model among those of the same loss that the estimator gives."""
        return coef, intercept

    def coefficients(self, coef, intercept, dtype):
        """Return the attributes that predictions need."""
        return {"coef_": coef.astype(dtype), "intercept_": intercept.astype(dtype)}


@dataclass(frozen=True)
class RegressionTargets(Targets):
    """Numbers, with one column or several.

    Attributes
    ----------
    loss : Loss
    is_single : bool
        Whether y has one dimension.
    n_outputs : int
    """

    loss: object
    is_single: bool
    n_outputs: int

    @classmethod
    def learn(cls, y, settings):
        """Return what the targets of a first fit tell, and the targets as the loss wants them."""
        loss, targets = settings.loss, _encoded(y, settings.loss)
        return cls(loss, y.ndim == 1 and not loss.expands, targets.shape[1]), targets

    def with_settings(self, settings):
        """Return the same for an estimator with other parameters."""
        return replace(self, loss=settings.loss)

    @property
    def attributes(self):
        return {"_single_output": self.is_single, "_n_outputs": self.n_outputs}

    def encode(self, y):
        targets = _encoded(y, self.loss)
        is_single = y.ndim == 1 and not self.loss.expands
        if targets.shape[1] != self.n_outputs or is_single != self.is_single:
            columns = "" if self.is_single else f" {self.n_outputs}"
            raise ValueError(
                f"y has shape {y.shape}: pass ({len(y)},{columns}), the shape of the y before."
            )
        return targets

    def coefficients(self, coef, intercept, dtype):
        coef = coef.astype(dtype)
        return {
            "coef_": coef[0] if self.is_single else coef, "intercept_": intercept.astype(dtype)
        }  # fmt: skip


def _encoded(y, loss):
    if y.dtype.kind not in "biuf":
        try:
            y = y.astype(float)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"y has dtype {y.dtype}: pass numbers.") from error
    targets = np.require(y.reshape(len(y), -1), np.float64, requirements="CA")
    check_size(targets)
    return loss.encoded(targets)


@dataclass(frozen=True, eq=False)
class ClassTargets(Targets):
    """Labels of classes, -1 and +1 for two classes and codes for more.

    Attributes
    ----------
    classes : array of shape (n_classes,)
    loss : Loss
    fit_intercept : bool
    class_weight : dict, "balanced" or None
    is_stream : bool
        Whether the classes were passed to ``partial_fit``.
    """

    classes: np.ndarray
    loss: object
    fit_intercept: bool = True
    class_weight: object = None
    is_stream: bool = False

    @classmethod
    def learn(cls, y, settings):
        """Return what the labels of a first fit tell, and the targets as the loss wants them."""
        classes, codes = _counted(y)
        if classes is None:
            classes = _labels(y)
        check_classes(classes)
        learned = cls(classes, settings.loss, settings.fit_intercept, settings.class_weight)
        return learned, learned.numbers(np.searchsorted(classes, y) if codes is None else codes)

    def with_settings(self, settings):
        """Return the same for an estimator with other parameters."""
        return replace(
            self, loss=settings.loss, fit_intercept=settings.fit_intercept,
            class_weight=settings.class_weight,
        )  # fmt: skip

    @property
    def attributes(self):
        return {"classes_": self.classes}

    @property
    def n_outputs(self):
        return 1 if len(self.classes) == 2 else len(self.classes)

    def encode(self, y):
        check_classification_targets(y)
        classes = self.classes
        codes = np.searchsorted(classes, y)
        codes[codes == len(classes)] = 0
        unknown = np.unique(y[classes[codes] != y])
        if len(unknown):
            remedy = (
                "pass all classes in the first call" if self.is_stream
                else "pass rows of these classes, or fit again with warm_start=False"
            )
            raise ValueError(
                f"y contains the labels {unknown.tolist()!r}, which are not among the classes "
                f"{classes.tolist()!r}: {remedy}."
            )
        return self.numbers(codes)

    def numbers(self, codes):
        """Return signs of shape (n, 1) for two classes, and the codes as numbers for more."""
        return 2.0 * codes[:, None] - 1.0 if self.n_outputs == 1 else codes.astype(np.float64)

    def weigh_nothing(self, targets, weights):
        if super().weigh_nothing(targets, weights):
            return True
        if not isinstance(self.class_weight, dict):
            return False
        sums = np.bincount(class_codes(targets), weights, len(self.classes))
        factors = [self.class_weight.get(label, 1.0) for label in self.classes.tolist()]
        return _weigh_nothing(factors, sums)

    def class_factors(self, class_weights, state, is_partial):
        if self.class_weight is None:
            return None
        if isinstance(self.class_weight, str):
            return self._balanced_factors(class_weights, state, is_partial)
        labels = self.classes.tolist()
        unknown = [label for label in self.class_weight if label not in labels]
        if unknown:
            raise ValueError(
                f"class_weight has the labels {unknown!r}, which are not among the classes "
                f"{labels!r}: pass labels of y."
            )
        factors = [self.class_weight.get(label, 1.0) for label in labels]
        usable = all(is_finite(factor) and factor >= 0 for factor in factors)
        if not usable or np.count_nonzero(factors) < 2:
            raise ValueError(
                f"class_weight={shown(self.class_weight)}: pass finite weights >= 0, at "
                "least two of them above 0."
            )
        if _weigh_nothing(factors, class_weights(len(labels))):
            raise ValueError(
                f"class_weight={shown(self.class_weight)}: all rows that have a weight above 0 in "
                "sample_weight are of classes with the weight 0; pass a weight above 0 for one of "
                "these classes."
            )
        return np.array(factors, dtype=float)

    def _balanced_factors(self, class_weights, state, is_partial):
        k = len(self.classes)
        sums = class_weights(k)
        state.class_weights = sums + (state.class_weights if is_partial else 0.0)
        present = state.class_weights > 0
        factors = np.zeros(k)
        counted = state.class_weights[present]
        factors[present] = state.class_weights.sum() / (present.sum() * counted)
        return factors

    def identified(self, coef, intercept, objective):
        """Let a softmax's free directions sum to zero over the classes, if bounds allow it.

        Otherwise they sum to what is next to zero within the bounds.
        """
        if not objective.problem.is_multiclass:
            return coef, intercept
        if not objective.alpha.any():
            bounds = objective.penalty.separable_form(coef.shape[1])
            lower, upper = bounds[1:] if bounds is not None else (-np.inf, np.inf)
            shift = np.minimum(coef.mean(axis=0), coef.min(axis=0) - lower)
            moved = np.maximum(coef - np.maximum(shift, coef.max(axis=0) - upper), lower)
            coef = np.minimum(moved, upper)
        return coef, intercept - intercept.mean() if self.fit_intercept else intercept


def learn_targets(settings, y):
    """Return the `Targets` of a first fit, and those of y as the loss wants them."""
    kind = ClassTargets if settings.task == "classification" else RegressionTargets
    return kind.learn(y, settings)


def known_targets(settings, attributes, y, *, is_stream=False):
    """Return the `Targets` that an estimator's attributes describe, and y as the loss wants it."""
    if settings.task == "classification":
        known = ClassTargets(
            attributes["classes_"], settings.loss, settings.fit_intercept, settings.class_weight,
            is_stream,
        )  # fmt: skip
    else:
        known = RegressionTargets(
            settings.loss, attributes["_single_output"], attributes["_n_outputs"]
        )
    return known, known.encode(y)


def check_classes(classes):
    """Raise unless there are at least two classes."""
    if len(classes) < 2:
        raise ValueError(
            f"GDClassifier needs at least 2 classes in y, got {len(classes)} class: pass "
            "y with at least two classes."
        )


def check_two_counted(targets, counts):
    """Raise unless the rows of a fold that count have at least two classes."""
    if np.count_nonzero(np.bincount(class_codes(targets), counts > 0)) < 2:
        raise ValueError(
            "GDClassifier needs at least 2 classes among the rows of a fold, and these have 1: "
            "pass fewer folds, or stratified ones."
        )


def _counted(y):
    """Return the labels of y and their codes by counting; None for both where that won't do.

    That is for integers that lie together, a few of which are labels, and for False and True.
    """
    if y.ndim != 1 or y.dtype.kind not in "biu" or not len(y):
        return None, None
    least, greatest = int(y.min()), int(y.max())
    if greatest - least >= min(len(y) // 2, COUNTED) or greatest > np.iinfo(np.intp).max:
        return None, None
    shifted = y.astype(np.intp) - least
    counts = np.bincount(shifted)
    found = np.flatnonzero(counts)
    code_of = np.zeros(len(counts), dtype=np.intp)
    code_of[found] = np.arange(len(found))
    return (found + least).astype(y.dtype), code_of[shifted]


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


def _weigh_nothing(factors, sums):
    """Tell whether no class has both a factor and weight."""
    return not any(factor != 0 for factor, weight in zip(factors, sums, strict=True) if weight)


def class_codes(targets):
    """Return the number of each row's class: targets are signs for two classes."""
    return (targets[:, 0] > 0 if targets.ndim == 2 else targets).astype(np.intp)
